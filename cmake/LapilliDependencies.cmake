# What the library links: OpenMP, yyjson, utf8proc, PCRE2, Nettle, the Vulkan headers and volk.
# The names are repeated in cmake/lapilliConfig.cmake.in for users of the static library.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(YYJSON REQUIRED IMPORTED_TARGET yyjson)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(NETTLE REQUIRED IMPORTED_TARGET nettle)

# The Vulkan loader is opened at run time by volk, so only headers are needed. volk is compiled
# from its own header (cmake/volk.c), like stb_image (cmake/stb.c): the distribution's libvolk.a is not position independent.
find_path(LAPILLI_VULKAN_INCLUDE vulkan/vulkan_core.h)
find_path(LAPILLI_VOLK_INCLUDE volk.h PATH_SUFFIXES . volk)
find_path(LAPILLI_STB_INCLUDE stb_image.h PATH_SUFFIXES stb . )
foreach(what VULKAN VOLK STB)
    if(NOT LAPILLI_${what}_INCLUDE)
        message(FATAL_ERROR "The headers of ${what} are missing: run scripts/setup.sh")
    endif()
endforeach()

function(lapilli_link_dependencies target)
    target_link_libraries(${target} PRIVATE OpenMP::OpenMP_C Threads::Threads PkgConfig::YYJSON
        PkgConfig::UTF8PROC PkgConfig::PCRE2 PkgConfig::NETTLE m ${CMAKE_DL_LIBS})
    target_include_directories(${target} SYSTEM PRIVATE
        ${LAPILLI_VULKAN_INCLUDE} ${LAPILLI_VOLK_INCLUDE} ${LAPILLI_STB_INCLUDE})
    set_source_files_properties(${PROJECT_SOURCE_DIR}/cmake/volk.c
        ${PROJECT_SOURCE_DIR}/cmake/stb.c PROPERTIES COMPILE_OPTIONS -w)
endfunction()
