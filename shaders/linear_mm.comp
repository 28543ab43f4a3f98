// y [T, N] = x [T, K] w^T [N, K] with the epilogue, for many tokens: tiles of TILE_T tokens times
// TILE_N outputs per workgroup, TILE_K elements of K at a time in shared memory (x and w, both with
// K outermost), THREAD_T x 4 sums per invocation in registers. fp32 throughout.
// Shared memory at 64, 64, 16: 13 KiB with a gate. Groups: x tiles of outputs, y tiles of tokens.
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

void load_x(uint t0, uint k0)
{
    const uvec2 x0 = lp_x_row(t0);
    for (uint i = gl_LocalInvocationID.x; i < TILE_T * FOURS_K; i += SIZE) {
        uint t = i / FOURS_K, four = i % FOURS_K;
        uint first = min(t, p.n_tokens - 1u - t0) * p.x_stride, k = k0 + 4u * four;
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
    const uint n0 = gl_WorkGroupID.x * TILE_N, t0 = gl_WorkGroupID.y * TILE_T;
    const uint my_t = gl_LocalInvocationID.x / (TILE_N / 4u), my_n = gl_LocalInvocationID.x % (TILE_N / 4u);
    const lp_weight w = lp_weight_at(p.w, p.n_outputs, p.n_inputs, n0);
    const lp_weight v = lp_weight_at(p.gate, p.n_outputs, p.n_inputs, n0);

    vec4 sums[THREAD_T], gates[THREAD_T];
    [[unroll]] for (uint t = 0u; t < THREAD_T; t++) {
        sums[t] = vec4(0.0);
        gates[t] = vec4(0.0);
    }
    for (uint k0 = 0u; k0 < p.n_inputs; k0 += TILE_K) {
        load_x(t0, k0);
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
    [[unroll]] for (uint t = 0u; t < THREAD_T; t++)
        [[unroll]] for (uint n = 0u; n < 4u; n++)
            lp_linear_store(t0, my_t * THREAD_T + t, n0 + 4u * my_n + n, 0u, sums[t][n],
                            gates[t][n]);
}
