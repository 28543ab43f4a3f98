// y = a + b, a * b, max(a, b) or out act(in a), [n_rows, n]; a and b may be strided rows. Groups: x, y pieces
// of rows, SIZE * PER_INVOCATION elements each.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block {
    lp_elementwise_params p;
};
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint PER_INVOCATION = 4u;
layout(constant_id = 2) const uint OPERATION = 0u; // 0 a + b, 1 a * b, 2 out act(in a), 3 max(a, b)
layout(constant_id = 3) const uint ACT = 0u;       // lp_act_kind

const uint PIECE = gl_WorkGroupSize.x * PER_INVOCATION;

void main()
{
    const uint pieces = (p.n + PIECE - 1u) / PIECE;
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint row = group / pieces, first = group % pieces * PIECE;
    if (row >= p.n_rows)
        return;
    const uvec2 a = lp_row_words(p.a, row, p.a_stride), b = lp_row_words(p.b, row, p.b_stride);
    const uvec2 y = lp_row_words(p.y, row, p.y_stride);
    [[unroll]] for (uint j = 0u; j < PER_INVOCATION; j++) {
        const uint i = first + j * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (i >= p.n)
            continue;
        float value = lp_floats(a).v[i];
        if (OPERATION == 0u)
            value += lp_floats(b).v[i];
        else if (OPERATION == 1u)
            value *= lp_floats(b).v[i];
        else if (OPERATION == 3u)
            value = value > lp_floats(b).v[i] || value != value ? value : lp_floats(b).v[i];
        else
            value = p.out_factor * lp_activate(ACT, p.in_factor * value);
        lp_floats(y).v[i] = value;
    }
}
