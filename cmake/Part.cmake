# quern_part(NAME SOURCES x.cc ... [TESTS x_test.cc ...] [DEPENDS part ...] [LIBRARIES lib ...] [NO_PCH])
#
# One part of src/: a static library quern_NAME, and a test program NAME_test (ctest label "unit") from TESTS.
# Sources are listed, never globbed. DEPENDS names parts of lower rows (see tools/check_layers.py).
function(quern_part name)
  cmake_parse_arguments(ARG "NO_PCH" "" "SOURCES;TESTS;DEPENDS;LIBRARIES;TEST_LIBRARIES" ${ARGN})
  add_library(quern_${name} STATIC ${ARG_SOURCES})
  target_include_directories(quern_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM ARG_DEPENDS PREPEND quern_)
  target_link_libraries(quern_${name} PUBLIC quern_flags fmt::fmt ${ARG_DEPENDS} PRIVATE ${ARG_LIBRARIES})
  if(NOT ARG_NO_PCH)
    quern_use_pch(quern_${name})
  endif()
  if(ARG_TESTS)
    quern_test(${name}_test SOURCES ${ARG_TESTS} LIBRARIES quern_${name} ${ARG_LIBRARIES} ${ARG_TEST_LIBRARIES})
  endif()
endfunction()

# quern_test(NAME SOURCES ... LIBRARIES ...): a GoogleTest program whose cases ctest lists one by one (label "unit").
function(quern_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE QUERN_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  quern_use_pch(${name})
  quern_unit_test(${name})
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1 WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 300 ENVIRONMENT
    "UBSAN_OPTIONS=print_stacktrace=1;ASAN_OPTIONS=detect_leaks=1;TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tools/tsan.supp")
endfunction()

# What `ninja unit_tests` builds: the sanitizer presets need no more.
function(quern_unit_test target)
  if(NOT TARGET unit_tests)
    add_custom_target(unit_tests)
  endif()
  add_dependencies(unit_tests ${target})
endfunction()

# One precompiled header (standard library, fmt, nlohmann::json) shared by all: these three are most of what a file costs.
function(quern_use_pch target)
  if(target STREQUAL "quern_base")
    return()
  endif()
  if(NOT TARGET quern_pch)
    file(WRITE ${CMAKE_BINARY_DIR}/pch.cc "")
    add_library(quern_pch STATIC ${CMAKE_BINARY_DIR}/pch.cc)
    target_link_libraries(quern_pch PRIVATE quern_flags fmt::fmt)
    target_precompile_headers(quern_pch PRIVATE
      <algorithm> <chrono> <functional> <map> <memory> <mutex> <optional> <set> <string> <string_view>
      <unordered_map> <variant> <vector> <fmt/format.h> <nlohmann/json.hpp>)
  endif()
  target_precompile_headers(${target} REUSE_FROM quern_pch)
endfunction()

# The same for the few files that include DuckDB's headers (10 s and more each without): use NO_PCH in quern_part, then this.
function(quern_use_duckdb_pch target)
  if(NOT TARGET quern_duckdb_pch)
    file(WRITE ${CMAKE_BINARY_DIR}/duckdb_pch.cc "")
    add_library(quern_duckdb_pch STATIC ${CMAKE_BINARY_DIR}/duckdb_pch.cc)
    target_link_libraries(quern_duckdb_pch PRIVATE quern_flags fmt::fmt duckdb)
    # Parts on DuckDB's own headers go into libquern_engine.so (src/cli/CMakeLists.txt).
    set_target_properties(quern_duckdb_pch PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_precompile_headers(quern_duckdb_pch PRIVATE
      <algorithm> <chrono> <functional> <map> <memory> <mutex> <optional> <set> <string> <string_view>
      <unordered_map> <variant> <vector> <fmt/format.h> <nlohmann/json.hpp> <duckdb.hpp>
      <duckdb/catalog/catalog.hpp> <duckdb/catalog/catalog_entry/table_catalog_entry.hpp>
      <duckdb/catalog/catalog_entry/view_catalog_entry.hpp> <duckdb/catalog/catalog_entry/table_function_catalog_entry.hpp>
      <duckdb/common/multi_file/multi_file_reader.hpp> <duckdb/common/multi_file/multi_file_states.hpp>
      <duckdb/execution/physical_plan_generator.hpp> <duckdb/main/client_context_state.hpp>
      <duckdb/main/extension/extension_loader.hpp> <duckdb/optimizer/filter_combiner.hpp>
      <duckdb/transaction/transaction_manager.hpp>)
  endif()
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_precompile_headers(${target} REUSE_FROM quern_duckdb_pch)
endfunction()

# quern_fuzz(NAME SOURCES x_fuzz.cc ROUNDS n LIBRARIES ...): a fuzz target, replayed over fuzz/corpora/NAME and a fixed set of
# mutations by ctest (label "unit"). With clang and libFuzzer the same source is a fuzzer: leave fuzz/replay_main.cc out.
function(quern_fuzz name)
  cmake_parse_arguments(ARG "" "ROUNDS" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name}_fuzz ${ARG_SOURCES} ${CMAKE_SOURCE_DIR}/fuzz/replay_main.cc)
  target_link_libraries(${name}_fuzz PRIVATE ${ARG_LIBRARIES})
  quern_unit_test(${name}_fuzz)
  add_test(NAME ${name}_fuzz COMMAND ${name}_fuzz --rounds ${ARG_ROUNDS} ${CMAKE_SOURCE_DIR}/fuzz/corpora/${name})
  set_tests_properties(${name}_fuzz PROPERTIES LABELS unit TIMEOUT 300 ENVIRONMENT "UBSAN_OPTIONS=print_stacktrace=1")
endfunction()
