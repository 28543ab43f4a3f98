// y [T, N] = x [T, K] w^T [N, K] with the epilogue, for many tokens: tiles of TILE_T tokens times
// TILE_N outputs per workgroup, TILE_K elements of K at a time in shared memory (x and w, both with
// K outermost), THREAD_T x 4 sums per invocation in registers. fp32 throughout.
// Shared memory at 64, 64, 16: 13 KiB with a gate. Groups: x tiles of outputs, y tiles of tokens, which
// have one matrix each.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "quant.glsl"
#include "epilogue.glsl"

layout(local_size_x_id = 0) in; // TILE_T / THREAD_T * TILE_N / 4
layout(constant_id = 1) const uint TILE_T = 64u;
layout(constant_id = 2) const uint TILE_N = 64u;
layout(constant_id = 3) const uint TILE_K = 16u; // a multiple of 4
layout(constant_id = 4) const uint THREAD_T = 8u; // a multiple of 4

const uint SIZE = gl_WorkGroupSize.x;
const uint FOURS_K = TILE_K / 4u, FOURS_T = THREAD_T / 4u;
const uint X_PITCH = TILE_T / 4u + 1u, W_PITCH = TILE_N / 4u + 1u; // vec4; odd, against bank conflicts

shared vec4 xs[TILE_K * X_PITCH];
shared vec4 ws[TILE_K * W_PITCH];
shared vec4 vs[HAS_GATE ? TILE_K * W_PITCH : 1u];
shared uint rows[GROUPED ? TILE_T : 1u]; // of y
shared uint x_first[GROUPED ? TILE_T : 1u]; // where their rows of x begin

// Rows past the end repeat the last one; they are not stored.
void load_rows(lp_tile tile)
{
    for (uint t = gl_LocalInvocationID.x; t < TILE_T; t += SIZE) {
        rows[t] = lp_tile_row(tile, min(t, tile.n - 1u));
        x_first[t] = lp_x_of(rows[t]) * p.x_stride;
    }
    barrier();
}

void load_x(lp_tile tile, uint k0)
{
    const uvec2 x0 = lp_row_words(p.x, lp_tile_base(tile), p.x_stride);
    for (uint i = gl_LocalInvocationID.x; i < TILE_T * FOURS_K; i += SIZE) {
        uint t = i / FOURS_K, four = i % FOURS_K;
        uint first = GROUPED ? x_first[t] : min(t, tile.n - 1u) * p.x_stride, k = k0 + 4u * four;
        vec4 x = k < p.n_inputs ? lp_x_four(x0, first, k) : vec4(0.0);
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            xs[(4u * four + j) * X_PITCH + t / 4u][t % 4u] = x[j];
    }
}

// Rows of weights are padded with zeros to a multiple of 64, so K has no tail here.
void load_w(lp_weight w, lp_weight v, uint n0, uint k0)
{
    for (uint i = gl_LocalInvocationID.x; i < TILE_N * FOURS_K; i += SIZE) {
        uint n = i / FOURS_K, four = i % FOURS_K, row = min(n, p.n_outputs - 1u - n0);
        vec4 a = lp_weight_four(w, row, k0 / 4u + four);
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            ws[(4u * four + j) * W_PITCH + n / 4u][n % 4u] = a[j];
        if (HAS_GATE) {
            vec4 b = lp_weight_four(v, row, k0 / 4u + four);
            [[unroll]] for (uint j = 0u; j < 4u; j++)
                vs[(4u * four + j) * W_PITCH + n / 4u][n % 4u] = b[j];
        }
    }
}

void main()
{
    const uint n0 = gl_WorkGroupID.x * TILE_N;
    const uint my_t = gl_LocalInvocationID.x / (TILE_N / 4u), my_n = gl_LocalInvocationID.x % (TILE_N / 4u);
    const lp_tile tile = lp_tile_at(gl_WorkGroupID.y, TILE_T);
    if (GROUPED && tile.n == 0u)
        return;
    if (GROUPED)
        load_rows(tile);
    const uint n_rows = p.n_experts * p.n_outputs, first = tile.expert * p.n_outputs + n0;
    const lp_weight w = lp_weight_at(p.w, n_rows, p.n_inputs, first);
    const lp_weight v = lp_weight_at(p.gate, n_rows, p.n_inputs, first);

    vec4 sums[THREAD_T], gates[THREAD_T];
    [[unroll]] for (uint t = 0u; t < THREAD_T; t++) {
        sums[t] = vec4(0.0);
        gates[t] = vec4(0.0);
    }
    for (uint k0 = 0u; k0 < p.n_inputs; k0 += TILE_K) {
        load_x(tile, k0);
        load_w(w, v, n0, k0);
        barrier();
        for (uint k = 0u; k < TILE_K; k++) {
            const vec4 b = ws[k * W_PITCH + my_n];
            vec4 gate = vec4(0.0);
            if (HAS_GATE)
                gate = vs[k * W_PITCH + my_n];
            [[unroll]] for (uint f = 0u; f < FOURS_T; f++) {
                const vec4 a = xs[k * X_PITCH + my_t * FOURS_T + f];
                [[unroll]] for (uint j = 0u; j < 4u; j++) {
                    sums[4u * f + j] = fma(vec4(a[j]), b, sums[4u * f + j]);
                    if (HAS_GATE)
                        gates[4u * f + j] = fma(vec4(a[j]), gate, gates[4u * f + j]);
                }
            }
        }
        barrier();
    }
    [[unroll]] for (uint t = 0u; t < THREAD_T; t++) {
        const uint at = my_t * THREAD_T + t, row = GROUPED ? rows[at] : at;
        if (at < tile.n)
            [[unroll]] for (uint n = 0u; n < 4u; n++)
                lp_linear_store(tile, row, n0 + 4u * my_n + n, sums[t][n], gates[t][n]);
    }
}
