# plexspaces::actor: the include folder. plexspaces_actor_module(<name>
# <source...>) makes <name>.so, ready for a worker's module folder.
get_filename_component(_plexspaces_lib "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
set(_plexspaces_prefix "${_plexspaces_lib}")
while(NOT EXISTS "${_plexspaces_prefix}/include/plexspaces/actor.h")
    get_filename_component(_plexspaces_up "${_plexspaces_prefix}" DIRECTORY)
    if(_plexspaces_up STREQUAL _plexspaces_prefix)
        message(FATAL_ERROR "plexspaces/actor.h is not beside its package")
    endif()
    set(_plexspaces_prefix "${_plexspaces_up}")
endwhile()
if(NOT TARGET plexspaces::actor)
    add_library(plexspaces::actor INTERFACE IMPORTED)
    set_target_properties(plexspaces::actor PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES "${_plexspaces_prefix}/include")
endif()
function(plexspaces_actor_module name)
    add_library(${name} MODULE ${ARGN})
    target_link_libraries(${name} PRIVATE plexspaces::actor)
    set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".so"
        C_VISIBILITY_PRESET hidden)
endfunction()
