# find_package(charlet): charlet::charlet, in lib/cmake/charlet of where it was installed.
if(NOT TARGET charlet::charlet)
    get_filename_component(charlet_lib "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
    find_path(charlet_include charlet.h HINTS "${charlet_lib}/../include" "${charlet_lib}/../../include"
        NO_DEFAULT_PATH)
    add_library(charlet::charlet STATIC IMPORTED)
    set_target_properties(charlet::charlet PROPERTIES
        IMPORTED_LOCATION "${charlet_lib}/${CMAKE_STATIC_LIBRARY_PREFIX}charlet${CMAKE_STATIC_LIBRARY_SUFFIX}"
        INTERFACE_INCLUDE_DIRECTORIES "${charlet_include}")
    # What isn't called isn't linked.
    if(NOT APPLE AND NOT WIN32)
        set_target_properties(charlet::charlet PROPERTIES INTERFACE_LINK_OPTIONS -Wl,--gc-sections)
    endif()
endif()
