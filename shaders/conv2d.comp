// y [H' W', O] = a convolution of x [H W, C], with the epilogue y = act(sum + bias) + residual. Rows of
// w are taps, then channels, rounded up to fours with zeros (src/graph/graph.h, CONV2D).
//
// An invocation makes ROWS outputs of PIXELS pixels, which the whole workgroup shares: their loads are
// uniform, only those of w differ. No shared memory. Groups: x, y tiles of pixels, split for devices
// that count only to 65535; z tiles of outputs.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "quant.glsl"

layout(push_constant, std430) uniform push_block {
    lp_conv2d_params p;
};
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ROWS = 1u;
layout(constant_id = 2) const uint PIXELS = 8u;
layout(constant_id = 3) const uint ACT = 0u;   // lp_act_kind
layout(constant_id = 4) const uint FLAGS = 0u; // as in src/ops/conv2d.c

const uint SIZE = gl_WorkGroupSize.x;
const bool HAS_BIAS = (FLAGS & 1u) != 0u;
const bool HAS_RESIDUAL = (FLAGS & 2u) != 0u;
const bool X_WHOLE = (FLAGS & 4u) != 0u; // rows of x: whole vec4, C a multiple of 4

float sums[ROWS * PIXELS];

// Channels c to c + 3 of the pixel that begins at x[first], 0 past its end.
vec4 channels(uint first, uint c)
{
    if (X_WHOLE)
        return lp_floats4(p.x).v[(first + c) >> 2];
    vec4 four = vec4(0.0);
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        if (c + i < p.n_channels)
            four[i] = lp_floats(p.x).v[first + c + i];
    return four;
}

// Where pixel `at` of the picture begins in x; false outside of the picture.
bool find_pixel(ivec2 at, out uint first)
{
    const bool inside = at.x >= 0 && at.y >= 0 && at.x < int(p.width) && at.y < int(p.height);
    const uvec2 from = inside ? uvec2(at) / p.upsample : uvec2(0u);
    first = (from.y * (p.width / p.upsample) + from.x) * p.x_stride;
    return inside;
}

// sums += tap's part, elements from 4 `four` on of the rows of w.
void add_tap(lp_weight w, uint rows[ROWS], uint four, ivec2 corners[PIXELS], ivec2 tap)
{
    uint firsts[PIXELS];
    bool inside[PIXELS];
    [[unroll]] for (uint t = 0u; t < PIXELS; t++)
        inside[t] = find_pixel(corners[t] + tap, firsts[t]);
    float part[ROWS * PIXELS]; // registers, where those of a whole invocation are not
    [[unroll]] for (uint s = 0u; s < ROWS * PIXELS; s++)
        part[s] = sums[s];
    for (uint c = 0u; c < p.n_channels; c += 4u) {
        vec4 w4[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            w4[r] = lp_weight_four(w, rows[r], four + c / 4u);
        [[unroll]] for (uint t = 0u; t < PIXELS; t++) {
            vec4 x = channels(firsts[t], c);
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

void store(uint t, uint n, float value)
{
    if (t >= p.n_pixels || n >= p.n_outputs)
        return;
    if (HAS_BIAS)
        value += lp_floats(p.bias).v[n];
    value = lp_activate(ACT, value);
    if (HAS_RESIDUAL)
        value += lp_floats(p.residual).v[t * p.residual_stride + n];
    lp_floats(p.y).v[t * p.y_stride + n] = value;
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
    [[unroll]] for (uint t = 0u; t < PIXELS; t++) {
        const uint at = min(t0 + t, p.n_pixels - 1u);
        corners[t] = ivec2(at % p.out_width, at / p.out_width) * int(p.step) - int(p.pad);
    }
    [[unroll]] for (uint s = 0u; s < ROWS * PIXELS; s++)
        sums[s] = 0.0;
    uint four = 0u;
    for (uint dy = 0u; dy < p.kernel_side; dy++)
        for (uint dx = 0u; dx < p.kernel_side; dx++, four += fours)
            add_tap(w, rows, four, corners, ivec2(dx, dy));
    [[unroll]] for (uint s = 0u; s < ROWS * PIXELS; s++)
        store(t0 + s % PIXELS, n0 + my_n + s / PIXELS, sums[s]);
}
