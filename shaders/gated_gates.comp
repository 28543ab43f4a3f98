// c [3 n + n_extra] = sum_j softmax(scores)_j values[j], and with it the gates of token t: r s', z, and the
// candidate before U_n and tanh (src/ops/gated.c). Of a row of y: s' and the columns of c behind the gates'.
// Groups: pieces of SIZE columns; each needs all scores, but no other's exponentials.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "gated.glsl"
#include "state.glsl"

layout(push_constant, std430) uniform push_block {
    lp_gated_gates_params p;
};

shared float shares[SIZE];

// Column m of c, in every invocation of a workgroup at once. Keys are taken in pieces of SIZE.
float context(uint m, uint columns)
{
    const uint me = gl_LocalInvocationID.x;
    const uint n = uint(clamp(lp_ints(p.cursor).v[LP_CURSOR_SOURCE], 0, int(p.n_keys)));
    float largest = uintBitsToFloat(0xff800000u), total = 0.0, sum = 0.0;
    for (uint j = me; j < n; j += SIZE)
        largest = max(largest, lp_floats(p.scores).v[j]);
    largest = lp_gated_combine(largest, true);
    for (uint first = 0u; first < n; first += SIZE) {
        const uint here = min(n - first, SIZE);
        barrier();
        shares[me] = me < here ? exp(lp_floats(p.scores).v[first + me] - largest) : 0.0;
        total += shares[me];
        barrier();
        for (uint j = 0u; j < here && m < columns; j++)
            sum = fma(shares[j], lp_floats(lp_row_words(p.values, first + j, columns)).v[m], sum);
    }
    total = lp_gated_combine(total, false);
    return n > 0u ? sum / total : 0.0;
}

void main()
{
    const uint columns = 3u * p.n + p.n_extra;
    const uint m = lp_gated_group() * SIZE + gl_LocalInvocationID.x;
    const bool source = lp_present(p.values);
    const float c = source ? context(m, columns) : 0.0;
    if (m >= columns)
        return;
    const uvec2 y = lp_row_words(p.y, p.t, p.y_stride);
    if (m >= 3u * p.n) {
        lp_floats(y).v[m - p.n] = c;
        return;
    }
    float value = lp_floats(lp_row_words(p.x, p.t, p.x_stride)).v[m];
    if (m < 2u * p.n)
        value += lp_floats(p.hidden).v[p.n + m];
    value += c;
    if (m < 2u * p.n)
        value = lp_activate(LP_ACT_SIGMOID, value);
    if (m < p.n) {
        const float before = lp_floats(p.hidden).v[m];
        value *= before;
        if (source)
            lp_floats(y).v[p.n + m] = before;
    }
    lp_floats(p.gates).v[m] = value;
}
