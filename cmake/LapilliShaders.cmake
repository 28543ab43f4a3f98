# Compiles every row of shaders/kernels.txt to SPIR-V and embeds it.
#
# A row is "name family variant source defines needs", columns separated by blanks, lists by
# commas, "-" for an empty list, "#" starts a comment. The result is one generated C file with
#     const lp_kernel lp_kernels[]      (src/graph/kernel.h, in the catalogue's order)
#     const unsigned  lp_n_kernels
# Needs that only some shader compilers know are probed once; rows that lack theirs are dropped,
# and configure says so. Rows that need "faults" are there with LAPILLI_FAULTS only. Each module is compiled by its own build rule with a depfile, so touching
# shaders/*.glsl or params.h rebuilds exactly what includes it.

find_program(LAPILLI_GLSLANG NAMES glslangValidator glslang REQUIRED)
set(lapilli_glslang_flags --quiet -V -x)

set(lapilli_need_words fp16 storage16 storage8 int64 coopmat coopmat2 int8dot subgroup_arith)
set(lapilli_need_probes coopmat coopmat2 int8dot)

# Everything targets the floor, Vulkan 1.2, except what cannot exist there.
function(lapilli_target_env result needs)
    if("coopmat2" IN_LIST needs)
        set(${result} vulkan1.3 PARENT_SCOPE) # GL_NV_cooperative_matrix2 wants SPIR-V 1.6
    else()
        set(${result} vulkan1.2 PARENT_SCOPE)
    endif()
endfunction()

# Sets LAPILLI_GLSLANG_<need> in the cache: whether this compiler can translate the need's probe.
function(lapilli_probe need)
    set(probe ${PROJECT_SOURCE_DIR}/cmake/probes/${need}.comp)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${probe})
    file(SHA256 ${probe} digest)
    set(key "${LAPILLI_GLSLANG} ${digest}")
    if(NOT "${LAPILLI_GLSLANG_${need}_KEY}" STREQUAL "${key}")
        lapilli_target_env(env ${need})
        execute_process(
            COMMAND ${LAPILLI_GLSLANG} ${lapilli_glslang_flags} --target-env ${env}
                    -o ${PROJECT_BINARY_DIR}/probe_${need}.inc ${probe}
            RESULT_VARIABLE rc OUTPUT_QUIET ERROR_QUIET)
        if(rc EQUAL 0)
            set(has ON)
        else()
            set(has OFF)
        endif()
        set(LAPILLI_GLSLANG_${need} ${has} CACHE INTERNAL "the shader compiler knows ${need}")
        set(LAPILLI_GLSLANG_${need}_KEY "${key}" CACHE INTERNAL "what was probed")
    endif()
endfunction()

function(lapilli_embed_shaders target catalogue)
    set(shader_dir ${PROJECT_SOURCE_DIR}/shaders)
    set(out_dir ${PROJECT_BINARY_DIR}/kernels)
    set(path ${PROJECT_SOURCE_DIR}/${catalogue})
    file(MAKE_DIRECTORY ${out_dir})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
    foreach(need IN LISTS lapilli_need_probes)
        lapilli_probe(${need})
    endforeach()

    file(STRINGS ${path} lines)
    set(arrays "")
    set(rows "")
    set(outputs "")
    set(names "")
    set(n_rows 0)
    set(line_number 0)
    foreach(line IN LISTS lines)
        math(EXPR line_number "${line_number} + 1")
        string(REGEX REPLACE "#.*" "" line "${line}")
        string(STRIP "${line}" line)
        if(line STREQUAL "")
            continue()
        endif()
        set(where "${catalogue}:${line_number}")
        string(REGEX REPLACE "[ \t]+" ";" columns "${line}")
        list(LENGTH columns n_columns)
        if(NOT n_columns EQUAL 6)
            message(FATAL_ERROR "${where}: 6 columns expected, found ${n_columns}")
        endif()
        list(GET columns 0 name)
        list(GET columns 1 family)
        list(GET columns 2 variant)
        list(GET columns 3 source)
        list(GET columns 4 defines)
        list(GET columns 5 needs)
        if(NOT name MATCHES "^[a-z][a-z0-9_]*$")
            message(FATAL_ERROR "${where}: \"${name}\" is no kernel name ([a-z][a-z0-9_]*)")
        endif()
        if(name IN_LIST names)
            message(FATAL_ERROR "${where}: a second kernel called ${name}")
        endif()
        list(APPEND names ${name})
        if(NOT EXISTS ${shader_dir}/${source})
            message(FATAL_ERROR "${where}: shaders/${source} does not exist")
        endif()

        set(bits "")
        set(missing "")
        string(REPLACE "," ";" needs "${needs}")
        if("faults" IN_LIST needs AND NOT LAPILLI_FAULTS)
            continue()
        endif()
        foreach(need IN LISTS needs)
            if(need STREQUAL "-" OR need STREQUAL "faults")
                continue()
            endif()
            if(NOT need IN_LIST lapilli_need_words)
                message(FATAL_ERROR "${where}: unknown need \"${need}\"")
            endif()
            if(need IN_LIST lapilli_need_probes AND NOT LAPILLI_GLSLANG_${need})
                list(APPEND missing ${need})
            endif()
            string(TOUPPER "LP_NEED_${need}" bit)
            list(APPEND bits ${bit})
        endforeach()
        if(missing)
            message(STATUS "kernel ${name} left out: ${LAPILLI_GLSLANG} lacks ${missing}")
            continue()
        endif()
        if(NOT bits)
            set(bits 0)
        endif()
        string(REPLACE ";" " | " bits "${bits}")

        set(flags "")
        string(REPLACE "," ";" defines "${defines}")
        foreach(define IN LISTS defines)
            if(NOT define STREQUAL "-")
                list(APPEND flags -D${define})
            endif()
        endforeach()

        lapilli_target_env(env "${needs}")
        set(out ${out_dir}/${name}.inc)
        add_custom_command(OUTPUT ${out}
            COMMAND ${LAPILLI_GLSLANG} ${lapilli_glslang_flags} --target-env ${env} ${flags}
                    -I${shader_dir} --depfile ${out}.d -o ${out} ${shader_dir}/${source}
            DEPENDS ${shader_dir}/${source}
            DEPFILE ${out}.d
            COMMENT "Shader ${name}"
            VERBATIM)
        list(APPEND outputs ${out})
        string(APPEND arrays "static const uint32_t ${name}_spirv[] = {\n#include \"${name}.inc\"\n};\n")
        string(APPEND rows "    {\"${name}\", \"${family}\", \"${variant}\", ${bits}, ${name}_spirv, "
            "sizeof ${name}_spirv},\n")
        math(EXPR n_rows "${n_rows} + 1")
    endforeach()
    if(n_rows EQUAL 0) # C has no empty array
        set(rows "    {0},\n")
    endif()

    file(CONFIGURE OUTPUT ${out_dir}/kernels.c CONTENT [[
// Generated from shaders/kernels.txt by cmake/LapilliShaders.cmake.
#include "graph/kernel.h"

@arrays@
const lp_kernel lp_kernels[] = {
@rows@};
const unsigned lp_n_kernels = @n_rows@;
]] @ONLY)
    add_custom_target(lapilli_shaders DEPENDS ${outputs})
    add_dependencies(${target} lapilli_shaders)
    target_sources(${target} PRIVATE ${out_dir}/kernels.c)
    set_source_files_properties(${out_dir}/kernels.c PROPERTIES OBJECT_DEPENDS "${outputs}")
    message(STATUS "${n_rows} kernels in ${catalogue}")
endfunction()
