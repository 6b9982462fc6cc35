# plex_schema(<name> <file.sql...>): a header <name>.h in the build folder of
# the caller with `static const char *const <name>[]`, one string per file, in
# the order given (the numbers in the names sort).
function(plex_schema name)
    set(text "/* Generated from deploy/schema. */\n")
    string(APPEND text "static const char *const ${name}[] = {\n")
    foreach(file ${ARGN})
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
        file(READ ${file} sql)
        string(REPLACE "\\" "\\\\" sql "${sql}")
        string(REPLACE "\"" "\\\"" sql "${sql}")
        string(REPLACE "\n" "\\n\"\n    \"" sql "${sql}")
        string(APPEND text "    \"${sql}\",\n")
    endforeach()
    string(APPEND text "};\n")
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${name}.h.new "${text}")
    configure_file(${CMAKE_CURRENT_BINARY_DIR}/${name}.h.new
        ${CMAKE_CURRENT_BINARY_DIR}/${name}.h COPYONLY)
endfunction()
