// What the kernels of convolutions share: parameters, constants 5 and 6, where pixels lie, the epilogue
//   y[t, n] = act(value + bias[n]) + residual[t, n].
#ifndef LP_CONV2D_GLSL
#define LP_CONV2D_GLSL

#include "quant.glsl"

layout(push_constant, std430) uniform push_block {
    lp_conv2d_params p;
};
layout(constant_id = 5) const uint ACT = 0u;   // lp_act_kind
layout(constant_id = 6) const uint FLAGS = 0u; // as in src/ops/conv2d.c

const bool HAS_BIAS = (FLAGS & 1u) != 0u;
const bool HAS_RESIDUAL = (FLAGS & 2u) != 0u;
const bool X_WHOLE = (FLAGS & 4u) != 0u; // rows of x: whole vec4, C a multiple of 4

// Channels c to c + 3 of the pixel that begins at x[first], 0 past its end.
vec4 lp_channels(uint first, uint c)
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
bool lp_find_pixel(ivec2 at, out uint first)
{
    const bool inside = at.x >= 0 && at.y >= 0 && at.x < int(p.width) && at.y < int(p.height);
    // Clamped, not chosen: llvmpipe drops a choice by `inside` where what was loaded is chosen by it, too,
    // and loads from behind the picture.
    const uvec2 from = uvec2(clamp(at, ivec2(0), ivec2(p.width, p.height) - 1)) / p.upsample;
    first = (from.y * (p.width / p.upsample) + from.x) * p.x_stride;
    return inside;
}

// The pixel of the picture that the kernel's first tap sees at pixel t of the result.
ivec2 lp_corner(uint t)
{
    return ivec2(t % p.out_width, t / p.out_width) * int(p.step) - int(p.pad);
}

void lp_conv2d_store(uint t, uint n, float value)
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

#endif
