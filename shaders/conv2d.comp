// y [H' W', O] = a convolution of x [H W, C], with the epilogue of conv2d.glsl. Rows of w are taps, then
// channels, rounded up to fours with zeros (src/graph/graph.h, CONV2D). For CPU implementations.
//
// An invocation makes ROWS outputs of PIXELS pixels, which the whole workgroup shares: their loads are
// uniform, only those of w differ. No shared memory. Groups: x, y tiles of pixels, split for devices
// that count only to 65535; z tiles of outputs.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "conv2d.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ROWS = 1u;
layout(constant_id = 2) const uint PIXELS = 8u;

const uint SIZE = gl_WorkGroupSize.x;

float sums[ROWS * PIXELS];

// sums += tap's part, elements from 4 `four` on of the rows of w.
void add_tap(lp_weight w, uint rows[ROWS], uint four, ivec2 corners[PIXELS], ivec2 tap)
{
    uint firsts[PIXELS];
    bool inside[PIXELS];
    [[unroll]] for (uint t = 0u; t < PIXELS; t++)
        inside[t] = lp_find_pixel(corners[t] + tap, firsts[t]);
    float part[ROWS * PIXELS]; // registers, where those of a whole invocation are not
    [[unroll]] for (uint s = 0u; s < ROWS * PIXELS; s++)
        part[s] = sums[s];
    for (uint c = 0u; c < p.n_channels; c += 4u) {
        vec4 w4[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            w4[r] = lp_weight_four(w, rows[r], four + c / 4u);
        [[unroll]] for (uint t = 0u; t < PIXELS; t++) {
            vec4 x = lp_channels(firsts[t], c);
            x = inside[t] ? x : vec4(0.0);
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                const uint s = r * PIXELS + t;
                part[s] = fma(w4[r].w, x.w, fma(w4[r].z, x.z, fma(w4[r].y, x.y, fma(w4[r].x, x.x, part[s]))));
            }
        }
    }
    [[unroll]] for (uint s = 0u; s < ROWS * PIXELS; s++)
        sums[s] = part[s];
}

void main()
{
    const uint t0 = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * PIXELS;
    const uint n0 = gl_WorkGroupID.z * SIZE * ROWS, my_n = gl_LocalInvocationID.x * ROWS;
    if (t0 >= p.n_pixels)
        return;
    const uint fours = (p.n_channels + 3u) / 4u;
    const lp_weight w =
        lp_weight_at(p.w, p.n_outputs, 4u * fours * p.kernel_side * p.kernel_side, n0);

    // Rows and pixels past the end repeat the last one; they are not stored.
    uint rows[ROWS];
    ivec2 corners[PIXELS];
    [[unroll]] for (uint r = 0u; r < ROWS; r++)
        rows[r] = min(my_n + r, p.n_outputs - 1u - n0);
    [[unroll]] for (uint t = 0u; t < PIXELS; t++)
        corners[t] = lp_corner(min(t0 + t, p.n_pixels - 1u));
    [[unroll]] for (uint s = 0u; s < ROWS * PIXELS; s++)
        sums[s] = 0.0;
    uint four = 0u;
    for (uint dy = 0u; dy < p.kernel_side; dy++)
        for (uint dx = 0u; dx < p.kernel_side; dx++, four += fours)
            add_tap(w, rows, four, corners, ivec2(dx, dy));
    [[unroll]] for (uint s = 0u; s < ROWS * PIXELS; s++)
        lp_conv2d_store(t0 + s % PIXELS, n0 + my_n + s / PIXELS, sums[s]);
}
