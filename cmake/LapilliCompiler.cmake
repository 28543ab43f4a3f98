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
endif()
if(LAPILLI_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "LAPILLI_FUZZ needs clang (libFuzzer); got ${CMAKE_C_COMPILER_ID}")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
