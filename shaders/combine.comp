// y[t, i] = sum over slots s of weight[t, s] * x[t k + s, i], plus residual[t, i]. Rows may be
// strided. Groups: x, y pieces of SIZE elements, row after row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block {
    lp_combine_params p;
};
layout(local_size_x_id = 0) in;

void main()
{
    const uint SIZE = gl_WorkGroupSize.x;
    const uint pieces = (p.n + SIZE - 1u) / SIZE;
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint t = group / pieces, i = group % pieces * SIZE + gl_LocalInvocationID.x;
    if (t >= p.n_tokens || i >= p.n)
        return;
    const uvec2 x = lp_row_words(p.x, t * p.n_slots, p.x_stride);
    const uvec2 routes = lp_row_words(p.routes, t, p.routes_stride);
    float sum = 0.0;
    for (uint s = 0u; s < p.n_slots; s++)
        sum = fma(lp_floats(routes).v[2u * s + 1u], lp_floats(x).v[s * p.x_stride + i], sum);
    if (lp_present(p.residual))
        sum += lp_floats(lp_row_words(p.residual, t, p.residual_stride)).v[i];
    lp_floats(lp_row_words(p.y, t, p.y_stride)).v[i] = sum;
}
