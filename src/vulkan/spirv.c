/* Round to nearest, even. Vulkan lets devices round 32-bit results either way unless a module asks
 * (float controls); GLSL has no words for that, so the execution mode is added to the compiled
 * module: SPIR-V specification, 2.3 (physical layout), 2.4 (order of instructions), 3.6
 * (RoundingModeRTE). Modules are ours and of version 1.5, where this needs no extension. */
#include <stdlib.h>
#include <string.h>

#include "vulkan/vulkan_internal.h"

enum {
    SPIRV_MAGIC = 0x07230203,
    HEADER_WORDS = 5,
    OP_ENTRY_POINT = 15,
    OP_EXECUTION_MODE = 16,
    OP_CAPABILITY = 17,
    CAPABILITY_ROUNDING_MODE_RTE = 4467,
    MODE_ROUNDING_MODE_RTE = 4462,
    NEW_WORDS = 2 + 4
};

uint32_t *lp_spirv_round_nearest(const uint32_t *spirv, size_t bytes, size_t *new_bytes)
{
    size_t n = bytes / 4, capabilities_end = 0, entry_points_end = 0;
    uint32_t entry_point = 0;
    if (n <= HEADER_WORDS || spirv[0] != SPIRV_MAGIC)
        return NULL;
    for (size_t i = HEADER_WORDS; i < n;) {
        size_t words = spirv[i] >> 16;
        uint32_t op = spirv[i] & 0xffff;
        if (words == 0 || words > n - i)
            return NULL;
        if (op == OP_CAPABILITY)
            capabilities_end = i + words;
        if (op == OP_ENTRY_POINT && words > 3) {
            entry_points_end = i + words;
            entry_point = spirv[i + 2];
        }
        i += words;
    }
    if (capabilities_end == 0 || entry_points_end < capabilities_end)
        return NULL;
    uint32_t *copy = malloc((n + NEW_WORDS) * sizeof *copy);
    if (copy == NULL)
        return NULL;
    const uint32_t capability[2] = {2u << 16 | OP_CAPABILITY, CAPABILITY_ROUNDING_MODE_RTE};
    const uint32_t mode[4] = {4u << 16 | OP_EXECUTION_MODE, entry_point, MODE_ROUNDING_MODE_RTE,
                              32};
    uint32_t *to = copy;
    memcpy(to, spirv, capabilities_end * sizeof *to);
    memcpy(to += capabilities_end, capability, sizeof capability);
    memcpy(to += 2, spirv + capabilities_end, (entry_points_end - capabilities_end) * sizeof *to);
    memcpy(to += entry_points_end - capabilities_end, mode, sizeof mode);
    memcpy(to += 4, spirv + entry_points_end, (n - entry_points_end) * sizeof *to);
    *new_bytes = (n + NEW_WORDS) * sizeof *copy;
    return copy;
}
