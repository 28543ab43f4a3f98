// The same as conv2d.comp for GPUs: an implicit product of matrices in tiles of TILE_T pixels times TILE_N
// outputs per workgroup, TILE_K elements of the weights' rows at a time in shared memory (with K
// outermost), THREAD_T x 4 sums per invocation in registers, like linear_mm.comp. Shared memory at 64,
// 64, 16: 9 KiB. Groups: x, y tiles of pixels, split for devices that count only to 65535; z tiles of
// outputs.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "conv2d.glsl"

layout(local_size_x_id = 0) in; // TILE_T / THREAD_T * TILE_N / 4
layout(constant_id = 1) const uint TILE_T = 64u;
layout(constant_id = 2) const uint TILE_N = 64u;
layout(constant_id = 3) const uint TILE_K = 16u; // a multiple of 4 that divides 64
layout(constant_id = 4) const uint THREAD_T = 8u; // a multiple of 4

const uint SIZE = gl_WorkGroupSize.x;
const uint FOURS_K = TILE_K / 4u, FOURS_T = THREAD_T / 4u;
const uint X_PITCH = TILE_T / 4u + 1u, W_PITCH = TILE_N / 4u + 1u; // vec4; odd, against bank conflicts

shared vec4 xs[TILE_K * X_PITCH];
shared vec4 ws[TILE_K * W_PITCH];
shared ivec2 corners[TILE_T];

// Fours of a row from k0 / 4 on, of which there are n_fours: taps of `fours` each.
void load_x(uint k0, uint fours, uint n_fours)
{
    for (uint i = gl_LocalInvocationID.x; i < TILE_T * FOURS_K; i += SIZE) {
        const uint t = i / FOURS_K, four = i % FOURS_K, at = k0 / 4u + four, tap = at / fours;
        vec4 x = vec4(0.0);
        uint first;
        if (at < n_fours &&
            lp_find_pixel(corners[t] + ivec2(tap % p.kernel_side, tap / p.kernel_side), first))
            x = lp_channels(first, 4u * (at % fours));
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            xs[(4u * four + j) * X_PITCH + t / 4u][t % 4u] = x[j];
    }
}

// Rows of weights are padded with zeros to a multiple of 64, so K has no tail here.
void load_w(lp_weight w, uint n0, uint k0)
{
    for (uint i = gl_LocalInvocationID.x; i < TILE_N * FOURS_K; i += SIZE) {
        const uint n = i / FOURS_K, four = i % FOURS_K;
        const vec4 a = lp_weight_four(w, min(n, p.n_outputs - 1u - n0), k0 / 4u + four);
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            ws[(4u * four + j) * W_PITCH + n / 4u][n % 4u] = a[j];
    }
}

void main()
{
    const uint t0 = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * TILE_T;
    const uint n0 = gl_WorkGroupID.z * TILE_N;
    const uint my_t = gl_LocalInvocationID.x / (TILE_N / 4u), my_n = gl_LocalInvocationID.x % (TILE_N / 4u);
    if (t0 >= p.n_pixels)
        return;
    const uint fours = (p.n_channels + 3u) / 4u, n_fours = fours * p.kernel_side * p.kernel_side;
    const lp_weight w = lp_weight_at(p.w, p.n_outputs, 4u * n_fours, n0);
    for (uint t = gl_LocalInvocationID.x; t < TILE_T; t += SIZE)
        corners[t] = lp_corner(min(t0 + t, p.n_pixels - 1u));
    barrier();

    vec4 sums[THREAD_T];
    [[unroll]] for (uint t = 0u; t < THREAD_T; t++)
        sums[t] = vec4(0.0);
    for (uint k0 = 0u; k0 < 4u * n_fours; k0 += TILE_K) {
        load_x(k0, fours, n_fours);
        load_w(w, n0, k0);
        barrier();
        for (uint k = 0u; k < TILE_K; k++) {
            const vec4 b = ws[k * W_PITCH + my_n];
            [[unroll]] for (uint f = 0u; f < FOURS_T; f++) {
                const vec4 a = xs[k * X_PITCH + my_t * FOURS_T + f];
                [[unroll]] for (uint j = 0u; j < 4u; j++)
                    sums[4u * f + j] = fma(vec4(a[j]), b, sums[4u * f + j]);
            }
        }
        barrier();
    }
    [[unroll]] for (uint t = 0u; t < THREAD_T; t++)
        [[unroll]] for (uint n = 0u; n < 4u; n++)
            lp_conv2d_store(t0 + my_t * THREAD_T + t, n0 + 4u * my_n + n, sums[t][n]);
}
