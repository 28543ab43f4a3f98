// What the kernels of gated units share: sums over a workgroup, whose size is a power of two.
#ifndef LP_GATED_GLSL
#define LP_GATED_GLSL

#include "common.glsl"

layout(local_size_x_id = 0) in;
const uint SIZE = gl_WorkGroupSize.x;

shared float parts[SIZE];

// The sum, or the largest, of every invocation's x, in all of them.
float lp_gated_combine(float x, bool largest)
{
    const uint me = gl_LocalInvocationID.x;
    barrier(); // who still reads what was there
    parts[me] = x;
    for (uint half_size = SIZE / 2u; half_size > 0u; half_size /= 2u) {
        barrier();
        if (me < half_size)
            parts[me] = largest ? max(parts[me], parts[me + half_size])
                                : parts[me] + parts[me + half_size];
    }
    barrier();
    return parts[0];
}

uint lp_gated_group()
{
    return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
}

// Rows of n f32, a . b
float lp_gated_dot(uvec2 a, uvec2 b, uint n)
{
    float sum = 0.0;
    for (uint k = gl_LocalInvocationID.x; k < n; k += SIZE)
        sum = fma(lp_floats(a).v[k], lp_floats(b).v[k], sum);
    return lp_gated_combine(sum, false);
}

#endif
