# Puts {"name", R"tidings(text)tidings"} of each *.json in the directory INPUT, by name, in place of
# @entries@ in TEMPLATE, and writes OUTPUT. Run with cmake -P.
file(GLOB files ${INPUT}/*.json)
list(SORT files)
foreach(file IN LISTS files)
  file(READ "${file}" text)
  get_filename_component(name "${file}" NAME_WLE)
  string(APPEND entries "    {\"${name}\", R\"tidings(${text})tidings\"},\n")
endforeach()
configure_file("${TEMPLATE}" "${OUTPUT}" @ONLY)
