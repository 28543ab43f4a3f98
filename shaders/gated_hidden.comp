// The state s' [n] before a token, and the products of U_r, U_z (rows of u) and W_a (query) with it: hidden
// [3 n + n_align]; src/ops/gated.c has the equations. One workgroup per row of a matrix.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "gated.glsl"
#include "state.glsl"

layout(push_constant, std430) uniform push_block {
    lp_gated_hidden_params p;
};

// 0: all zeros
uvec2 state_before()
{
    if (p.before > 0u)
        return lp_row_words(p.y, p.before - 1u, p.y_stride);
    const int position = lp_ints(p.cursor).v[LP_CURSOR_POSITION];
    if (position <= 0)
        return p.start;
    return lp_present(p.states)
               ? lp_row_words(p.states, min(uint(position), p.cache_rows) - 1u, p.n)
               : p.states;
}

void main()
{
    const uint row = lp_gated_group();
    if (row >= 2u * p.n + p.n_align)
        return;
    const uvec2 w = row < 2u * p.n ? lp_row_words(p.u, row, p.n)
                                   : lp_row_words(p.query, row - 2u * p.n, p.n);
    const uvec2 before = state_before();
    const bool known = lp_present(before);
    // llvmpipe loads ahead of tests: without a state from somewhere that can be read
    const float product = lp_gated_dot(w, known ? before : w, p.n);
    if (gl_LocalInvocationID.x != 0u)
        return;
    lp_floats(p.hidden).v[p.n + row] = known ? product : 0.0;
    if (row < p.n) {
        const float old = lp_floats(known ? before : w).v[row];
        lp_floats(p.hidden).v[row] = known ? old : 0.0;
    }
}
