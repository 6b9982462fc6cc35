# Warnings, sanitizers and the functions every CMakeLists.txt here uses.

add_compile_definitions(_GNU_SOURCE PLEX_VERSION="${PROJECT_VERSION}")
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes
    -Wmissing-prototypes -Wformat=2 -Wimplicit-fallthrough
    -Wno-missing-field-initializers -Werror -fno-common)
set(PLEX_TEST_TIMEOUT 120)
if(PLEX_SANITIZE)
    set(PLEX_TEST_TIMEOUT 300) # everything is several times slower
    add_compile_options(-fsanitize=${PLEX_SANITIZE} -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${PLEX_SANITIZE})
endif()
if(PLEX_FUZZ)
    # Coverage of the code under test, not only of the target's own file.
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
# Assertions ship: CMake's release types would compile them out.
foreach(type RELEASE RELWITHDEBINFO MINSIZEREL)
    string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${type} "${CMAKE_C_FLAGS_${type}}")
endforeach()
include_directories(${PROJECT_SOURCE_DIR})
find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(MHD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(CHECK REQUIRED IMPORTED_TARGET check)
pkg_check_modules(CYAML REQUIRED IMPORTED_TARGET libcyaml)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
find_library(NNG_LIB nng REQUIRED)

enable_testing()

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

# plex_embed_schema(<target> <sqlite|postgres> <service>): the migrations
# deploy/schema/<database>/<service>_NNNN_*.sql, in order, for <target>'s
# sources as the array <service>_<database>_schema in a header of that name.
function(plex_embed_schema target database service)
    file(GLOB files CONFIGURE_DEPENDS
        ${PROJECT_SOURCE_DIR}/deploy/schema/${database}/${service}_*.sql)
    plex_schema(${service}_${database}_schema ${files})
    target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
endfunction()

# plex_test(<level.area.module> <source...> LIBS <target...> [ENV <k=v...>])
# level: unit, contract, integration, e2e, fuzz (corpus replay), sim, chaos.
# The program is named test_<area>_<module>; the same program may be
# registered again with plex_test_again under other environments.
function(plex_test name)
    cmake_parse_arguments(T "" "" "LIBS;ENV" ${ARGN})
    # REGEX REPLACE with "^" would strip every leading part, not just the level.
    string(FIND ${name} "." dot)
    math(EXPR dot "${dot} + 1")
    string(SUBSTRING ${name} ${dot} -1 program)
    string(REPLACE "." "_" program test_${program})
    add_executable(${program} ${T_UNPARSED_ARGUMENTS})
    target_link_libraries(${program} PRIVATE ${T_LIBS} PkgConfig::CHECK)
    set_target_properties(${program} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
    plex_test_again(${name} ${program} ENV ${T_ENV})
endfunction()

function(plex_test_again name program)
    cmake_parse_arguments(T "" "" "ENV" ${ARGN})
    add_test(NAME ${name} COMMAND ${program})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${PLEX_TEST_TIMEOUT}
        ENVIRONMENT "CK_FORK=no;PLEX_BIN=${CMAKE_BINARY_DIR}/bin;${T_ENV}")
endfunction()

# plex_fuzz(<name> <source> LIBS <target...>): a libFuzzer target fuzz_<name>
# with the seed corpus tests/fuzz/corpus/<name>/. Built with PLEX_FUZZ only;
# without it the source is linked to tests/fuzz/replay.c and ctest replays the
# corpus, so the seeds are a regression test everywhere.
function(plex_fuzz name source)
    cmake_parse_arguments(T "" "" "LIBS" ${ARGN})
    if(PLEX_FUZZ)
        add_executable(fuzz_${name} ${source})
        target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    else()
        add_executable(fuzz_${name} ${source} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
        add_test(NAME fuzz.${name}
            COMMAND fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
    endif()
    target_link_libraries(fuzz_${name} PRIVATE ${T_LIBS})
    set_target_properties(fuzz_${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
endfunction()
