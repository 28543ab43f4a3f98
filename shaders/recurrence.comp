// One token of a layer of an LSTM or a GRU: y[t] = the new state, h [n] and, of an LSTM, c [n], from
// the inputs' gates x[t] [g n], the state before, and w [g n, n]; src/ops/recurrence.c has the
// equations. The state before token t is y[t - 1], before the first one the cache's row before the
// cursor, before the first of all zeros or the source's last in `start`. One workgroup per unit, all its gates.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "state.glsl"

layout(push_constant, std430) uniform push_block {
    lp_recurrence_params p;
};
layout(local_size_x_id = 0) in;              // a power of two
layout(constant_id = 1) const uint CELL = 0u; // lp_cell_kind

const uint LP_CELL_LSTM = 1u, LP_CELL_GRU = 2u;
const uint SIZE = gl_WorkGroupSize.x;
const uint GATES = CELL == LP_CELL_LSTM ? 4u : 3u;

shared float parts[4u * SIZE];

uvec2 state_before()
{
    int n = lp_ints(p.cursor).v[LP_CURSOR_POSITION];
    uvec2 states = p.states;
    if (p.t > 0u)
        return lp_row_words(p.y, p.t - 1u, p.y_stride);
    if (n <= 0 && lp_present(p.start)) {
        n = lp_ints(p.cursor).v[LP_CURSOR_SOURCE];
        states = p.start;
    }
    if (n <= 0)
        return uvec2(0u);
    return lp_row_words(states, min(uint(n), p.cache_rows) - 1u, p.cache_stride);
}

// w h' of unit j's gates, in every invocation.
float[4] hidden_gates(uvec2 before, uint j)
{
    const uint me = gl_LocalInvocationID.x;
    float sums[4] = float[4](0.0, 0.0, 0.0, 0.0);
    if (lp_present(before)) {
        for (uint k = me; k < p.n; k += SIZE) {
            const float h = lp_floats(before).v[k];
            [[unroll]] for (uint g = 0u; g < GATES; g++)
                sums[g] = fma(lp_floats(lp_row_words(p.w, g * p.n + j, p.n)).v[k], h, sums[g]);
        }
    }
    [[unroll]] for (uint g = 0u; g < GATES; g++)
        parts[g * SIZE + me] = sums[g];
    for (uint half_size = SIZE / 2u; half_size > 0u; half_size /= 2u) {
        barrier();
        if (me < half_size)
            [[unroll]] for (uint g = 0u; g < GATES; g++)
                parts[g * SIZE + me] += parts[g * SIZE + me + half_size];
    }
    barrier();
    [[unroll]] for (uint g = 0u; g < GATES; g++) {
        sums[g] = parts[g * SIZE];
        if (lp_present(p.bias))
            sums[g] += lp_floats(p.bias).v[g * p.n + j];
    }
    return sums;
}

void main()
{
    const uint j = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    if (j >= p.n)
        return;
    const uvec2 before = state_before();
    const float h[4] = hidden_gates(before, j);
    if (gl_LocalInvocationID.x != 0u)
        return;
    const uvec2 x = lp_row_words(p.x, p.t, p.x_stride), y = lp_row_words(p.y, p.t, p.y_stride);
    // Mesa 26's llvmpipe loads ahead of the test: without a state from somewhere that can be read
    const bool known = lp_present(before);
    const float old = lp_floats(known ? before : x).v[CELL == LP_CELL_LSTM ? p.n + j : j];
    const float kept = known ? old : 0.0;
    float gate[4];
    [[unroll]] for (uint g = 0u; g < GATES; g++)
        gate[g] = lp_floats(x).v[g * p.n + j] + h[g];
    if (CELL == LP_CELL_LSTM) {
        const float c = lp_activate(LP_ACT_SIGMOID, gate[1]) * kept +
                        lp_activate(LP_ACT_SIGMOID, gate[0]) * lp_tanh(gate[2]);
        lp_floats(y).v[p.n + j] = c;
        lp_floats(y).v[j] = lp_activate(LP_ACT_SIGMOID, gate[3]) * lp_tanh(c);
    } else {
        const float z = lp_activate(LP_ACT_SIGMOID, gate[1]);
        const float n = lp_tanh(lp_floats(x).v[2u * p.n + j] +
                                lp_activate(LP_ACT_SIGMOID, gate[0]) * h[2]);
        lp_floats(y).v[j] = (1.0 - z) * n + z * kept;
    }
}
