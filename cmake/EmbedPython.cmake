# cmake -DOUT=x.cc -DHEADER=part/x.h -DNAMESPACE=quern::part -DFILES="Function=path/a.py;..." -P EmbedPython.cmake
# Writes a C++ file in which each Function gives the text of its file, as HEADER declares it.
set(body "")
foreach(entry ${FILES})
  string(REGEX MATCH "^([^=]+)=(.*)$" _ "${entry}")
  set(function ${CMAKE_MATCH_1})
  file(READ ${CMAKE_MATCH_2} text)
  string(APPEND body "std::string_view ${function}() {\n  return R\"__PY__(${text})__PY__\";\n}\n\n")
endforeach()
file(WRITE ${OUT}.new "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n\n${body}}  // namespace ${NAMESPACE}\n")
execute_process(COMMAND ${CMAKE_COMMAND} -E copy_if_different ${OUT}.new ${OUT})
