# Compiler settings shared by the library, the command, the tests and the fuzz targets.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)

function(lapilli_compile_options target)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow)
    # C17 without extensions hides POSIX (mmap, clock_gettime, isatty); this brings it back.
    target_compile_definitions(${target} PRIVATE _DEFAULT_SOURCE=)
    if(LAPILLI_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()

# assert() is for programmer errors: a release drops it, the tests and sanitizer builds keep it.
if(LAPILLI_SANITIZE OR LAPILLI_FUZZ)
    add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all
                        -fno-omit-frame-pointer -g)
    add_link_options(-fsanitize=address,undefined)
    string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
    # Sanitizers keep `omp simd` loops from being vectorised; clang warns of every one.
    if(CMAKE_C_COMPILER_ID MATCHES "Clang")
        add_compile_options(-Wno-pass-failed)
    endif()
endif()
if(LAPILLI_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "LAPILLI_FUZZ needs clang (libFuzzer); got ${CMAKE_C_COMPILER_ID}")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# A version script with every function that the header declares with LP_API (at the line's start).
function(lapilli_export_only_api target header)
    set(path ${PROJECT_SOURCE_DIR}/${header})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
    file(STRINGS ${path} lines REGEX "^LP_API ")
    set(names "")
    foreach(line IN LISTS lines)
        if(line MATCHES "(lp_[a-z0-9_]+)\\(")
            string(APPEND names "        ${CMAKE_MATCH_1};\n")
        endif()
    endforeach()
    set(script ${PROJECT_BINARY_DIR}/lapilli.map)
    file(CONFIGURE OUTPUT ${script} CONTENT "{\n    global:\n${names}    local:\n        *;\n};\n")
    target_link_options(${target} PRIVATE "LINKER:--version-script=${script}")
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${script})
endfunction()
