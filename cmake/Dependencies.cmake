# Outside libraries. System packages by find_package; DuckDB from where ./dev setup laid it.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(date REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(GTest REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
# -pthread of its own would keep the precompiled header from being used; g++ 12 needs none.
set_target_properties(PkgConfig::RE2 PROPERTIES INTERFACE_COMPILE_OPTIONS "")
pkg_check_modules(LIBGIT2 REQUIRED IMPORTED_TARGET libgit2)
pkg_check_modules(SIMDJSON REQUIRED IMPORTED_TARGET simdjson)
pkg_check_modules(LIBEDIT REQUIRED IMPORTED_TARGET libedit)

add_library(roaring INTERFACE)
target_link_libraries(roaring INTERFACE -lroaring)

add_library(soci_sqlite INTERFACE)
target_link_libraries(soci_sqlite INTERFACE -lsoci_sqlite3 -lsoci_core -lsqlite3)

if(NOT EXISTS ${QUERN_DUCKDB_DIR}/lib/libduckdb.so)
  message(FATAL_ERROR "DuckDB is not in ${QUERN_DUCKDB_DIR}: run ./dev setup")
endif()
# The library lies beside the program (rpath $ORIGIN), so that build/<preset>/ can be moved as a whole.
file(COPY_FILE ${QUERN_DUCKDB_DIR}/lib/libduckdb.so ${CMAKE_BINARY_DIR}/libduckdb.so ONLY_IF_DIFFERENT)
add_library(duckdb SHARED IMPORTED)
set_target_properties(duckdb PROPERTIES IMPORTED_LOCATION ${CMAKE_BINARY_DIR}/libduckdb.so IMPORTED_NO_SONAME ON
  INTERFACE_INCLUDE_DIRECTORIES ${QUERN_DUCKDB_DIR}/include)
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
