# cmake -DOUT=x.cc -DROOT=dir -DFILES="a.sql;b.sql" -P EmbedTexts.cmake
# Writes a C++ file with one table of (package, file name, text) for the texts below ROOT/<package>/.
set(body "")
foreach(file ${FILES})
  file(READ ${ROOT}/${file} text)
  get_filename_component(package ${file} DIRECTORY)
  get_filename_component(name ${file} NAME)
  string(APPEND body "    {\"${package}\", \"${name}\", R\"__SQL__(${text})__SQL__\"},\n")
endforeach()
file(WRITE ${OUT}.new "#include \"dbt/macro_registry.h\"\n\nnamespace quern::dbt {\n\nconst std::vector<BuiltinMacroFile>& BuiltinMacroFiles() {\n  static const std::vector<BuiltinMacroFile> files = {\n${body}  };\n  return files;\n}\n\n}  // namespace quern::dbt\n")
execute_process(COMMAND ${CMAKE_COMMAND} -E copy_if_different ${OUT}.new ${OUT})
