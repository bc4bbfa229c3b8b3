# Warnings, sanitizers, ccache and the linker, for every target of ours.
add_library(quern_flags INTERFACE)
# Three warnings are false positives of g++ 12 (std::string concatenation, std::optional).
target_compile_options(quern_flags INTERFACE
  -Wall -Wextra -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow -Wnon-virtual-dtor -Werror=unused-result -Werror=return-type)
if(QUERN_SANITIZE)
  target_compile_options(quern_flags INTERFACE -fsanitize=${QUERN_SANITIZE} -fno-sanitize-recover=undefined)
  target_link_options(quern_flags INTERFACE -fsanitize=${QUERN_SANITIZE})
  if(QUERN_SANITIZE MATCHES address)
    # DuckDB's types have their typeinfo in a library built without sanitizers; vptr checks cannot see through it.
    target_compile_options(quern_flags INTERFACE -fno-sanitize=vptr)
  endif()
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # Same cache for every checkout of the project; precompiled headers need the sloppiness.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()
