# cmake --install: library, headers, command, the shipped model, CMake package, pkg-config file.
include(CMakePackageConfigHelpers)

install(TARGETS lapilli EXPORT lapilliTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
    PUBLIC_HEADER DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(EXISTS ${PROJECT_SOURCE_DIR}/include/lapilli)
    install(DIRECTORY include/lapilli DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()
if(TARGET lapilli_command)
    install(TARGETS lapilli_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/models/story)
    install(DIRECTORY models/story DESTINATION ${CMAKE_INSTALL_DATADIR}/lapilli/models
        FILES_MATCHING PATTERN "*.gguf" PATTERN "*.md")
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/models/emoji)
    install(DIRECTORY models/emoji DESTINATION ${CMAKE_INSTALL_DATADIR}/lapilli/models
        PATTERN "train" EXCLUDE PATTERN "*.png" EXCLUDE)
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lapilli)
configure_package_config_file(cmake/lapilliConfig.cmake.in ${PROJECT_BINARY_DIR}/lapilliConfig.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lapilliConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(EXPORT lapilliTargets NAMESPACE lapilli:: DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/lapilliConfig.cmake
    ${PROJECT_BINARY_DIR}/lapilliConfigVersion.cmake DESTINATION ${package_dir})

# A static library makes its users link what it needs; a shared one has it inside.
set(pc_requires "yyjson libutf8proc libpcre2-8 nettle")
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    set(pc_libs "-lgomp -lpthread -lm -ldl")
else()
    set(pc_libs "-fopenmp -lpthread -lm -ldl")
endif()
if(BUILD_SHARED_LIBS)
    set(pc_private ".private")
    set(pc_libs_public "")
    set(pc_libs_private "${pc_libs}")
else()
    set(pc_private "")
    set(pc_libs_public "${pc_libs}")
    set(pc_libs_private "")
endif()
# The prefix is found from the file's own place: `cmake --install --prefix` may name another one.
set(pc_dir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_prefix ${pc_dir} ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH pc_libdir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH pc_includedir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(cmake/lapilli.pc.in ${PROJECT_BINARY_DIR}/lapilli.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/lapilli.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
