// What subgroups really are when a kernel asks for full ones of a certain size: for doctor. Per
// invocation, out [n, 6] words: gl_SubgroupSize, gl_NumSubgroups, gl_SubgroupID,
// gl_SubgroupInvocationID, and the subgroup's sum of (index in the workgroup + 1), in integers and
// in floats (by their bits; exact, since it is far below 2^24).
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block {
    lp_subgroups_params p;
};
layout(local_size_x_id = 0) in;

void main()
{
    const uint i = gl_GlobalInvocationID.x, value = gl_LocalInvocationIndex + 1u;
    const uint sum = subgroupAdd(value);
    const float float_sum = subgroupAdd(float(value));
    const uint words[6] = {gl_SubgroupSize,           gl_NumSubgroups, gl_SubgroupID,
                           gl_SubgroupInvocationID, sum,             floatBitsToUint(float_sum)};
    lp_words to = lp_words(p.to);
    [[unroll]] for (uint k = 0u; k < 6u; k++)
        to.v[6u * i + k] = words[k];
}
