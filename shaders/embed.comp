// y [T, N]: row t is scale * table[id], id = history[position + t] or, without a history,
// first + position + t. Ids outside the table and positions outside the history are clamped: the host has
// checked them, and here they must never read foreign memory. One workgroup per token.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "quant.glsl"
#include "state.glsl"

layout(push_constant, std430) uniform push_block {
    lp_embed_params p;
};
layout(local_size_x_id = 0) in;

void main()
{
    const uint t = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    if (t >= p.n_tokens)
        return;
    const int place = lp_ints(p.cursor).v[LP_CURSOR_POSITION] + int(t);
    int id = place + p.first;
    if (lp_present(p.history))
        id = lp_ints(p.history).v[clamp(place, 0, int(p.n_history) - 1)];
    id = clamp(id, 0, int(p.n_vocabulary) - 1);

    const lp_weight table = lp_weight_at(p.table, p.n_vocabulary, p.n, uint(id));
    const uvec2 y = lp_row_words(p.y, t, p.y_stride);
    for (uint i = gl_LocalInvocationID.x; i < (p.n + 3u) / 4u; i += gl_WorkGroupSize.x) {
        vec4 value = lp_weight_four(table, 0u, i) * p.scale;
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            if (4u * i + j < p.n)
                lp_floats(y).v[4u * i + j] = value[j];
    }
}
