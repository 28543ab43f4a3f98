// What every kernel shares: memory by 64-bit address, exact half conversion, activations.
//
// Addresses are uvec2 (low word, high word), so that no 64-bit integers are needed; sums and products
// carry by hand. Indices into a reference below are treated as signed 32-bit by SPIR-V: keep them
// under 2^31 and put larger distances (rows of a weight) into the address, with lp_row().
//
// A source starts with
//     #version 460
//     #extension GL_GOOGLE_include_directive : require
//     #include "common.glsl"
#ifndef LP_COMMON_GLSL
#define LP_COMMON_GLSL

#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : enable

#include "params.h"

// ---- Memory ------------------------------------------------------------------------------------
// Each declares its true alignment: activations may be views at any element, so 4 bytes, unless the
// plan has seen that offset and stride are multiples of 16 bytes. Rows of weights are multiples of
// 32 bytes in plane 0 and of 4 bytes in plane 1 (src/tensor/dtype.h).

layout(buffer_reference, std430, buffer_reference_align = 4) buffer lp_floats {
    float v[];
};
layout(buffer_reference, std430, buffer_reference_align = 16) buffer lp_floats4 {
    vec4 v[];
};
layout(buffer_reference, std430, buffer_reference_align = 4) buffer lp_words {
    uint v[];
};
layout(buffer_reference, std430, buffer_reference_align = 8) buffer lp_words2 {
    uvec2 v[];
};
layout(buffer_reference, std430, buffer_reference_align = 16) buffer lp_words4 {
    uvec4 v[];
};
layout(buffer_reference, std430, buffer_reference_align = 4) buffer lp_ints {
    int v[];
};

bool lp_present(uvec2 address)
{
    return (address.x | address.y) != 0u;
}

uvec2 lp_offset(uvec2 address, uint bytes)
{
    uint carry;
    uint low = uaddCarry(address.x, bytes, carry);
    return uvec2(low, address.y + carry);
}

// address + row * row_bytes, the product in 64 bits.
uvec2 lp_row(uvec2 address, uint row, uint row_bytes)
{
    uint low, high, carry;
    umulExtended(row, row_bytes, high, low);
    low = uaddCarry(address.x, low, carry);
    return uvec2(low, address.y + high + carry);
}

// address + 4 * (row * stride) for words; stride in elements below 2^30.
uvec2 lp_row_words(uvec2 address, uint row, uint stride)
{
    return lp_row(address, row, stride << 2);
}

// ---- Halves ------------------------------------------------------------------------------------
// packHalf2x16 may round either way, so halves are made of integers: bit for bit lp_f32_to_f16() of
// src/base/half.h (nearest even, NaN stays NaN, subnormals exact). unpackHalf2x16 is exact.

uint lp_half_bits(float x)
{
    uint u = floatBitsToUint(x);
    uint sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
    uint normal = (a + 0xfffu + ((a >> 13) & 1u) - 0x38000000u) >> 13;
    // below 2^-14: in units of 2^-24; the shift is 14 to 24 where it counts
    uint shift = clamp(126u - min(a >> 23, 126u), 1u, 31u);
    uint m = (a & 0x7fffffu) | 0x800000u;
    uint rest = m & ((1u << shift) - 1u), tie = 1u << (shift - 1u), q = m >> shift;
    q += uint(rest > tie || (rest == tie && (q & 1u) != 0u));
    uint h = a < 0x38800000u ? (a < 0x33000000u ? 0u : q) : normal;
    h = a >= 0x477ff000u ? 0x7c00u : h;
    h = a > 0x7f800000u ? 0x7e00u : h;
    return sign | h;
}

// Two halves in a word, x in the low one.
uint lp_pack_halves(float x, float y)
{
    return lp_half_bits(x) | (lp_half_bits(y) << 16);
}

// Four signed bytes, byte 0 first.
vec4 lp_bytes_signed(uint word)
{
    return vec4(ivec4(word << 24, word << 16, word << 8, word) >> 24);
}

// ---- Activations (lp_act_kind) -----------------------------------------------------------------
// Only exp() of a bounded, non-positive argument: it cannot overflow, so there is no inf / inf.

const uint LP_ACT_NONE = 0u, LP_ACT_RELU = 1u, LP_ACT_GELU_ERF = 2u, LP_ACT_GELU_TANH = 3u,
           LP_ACT_GELU_QUICK = 4u, LP_ACT_SILU = 5u, LP_ACT_TANH = 6u, LP_ACT_SIGMOID = 7u,
           LP_ACT_RELU_SQUARED = 8u, LP_ACT_CLAMP = 9u, LP_ACT_CLAMP_ABOVE = 10u;

float lp_sigmoid(float x)
{
    float t = exp(-min(abs(x), 100.0));
    return (x < 0.0 ? t : 1.0) / (1.0 + t);
}

// Error below 0.7 ULP up to |x| = 0.625 (a least-squares fit of tanh(x) / x in x^2), exp(-2 |x|) from
// there on: a driver's own may overflow, and may lose all digits near 0. NaN stays NaN.
float lp_tanh(float x)
{
    float a = abs(x), z = x * x, t = exp(-2.0 * a);
    float p = -0.333332839 +
              z * (0.133314912 + z * (-0.0537434953 + z * (0.020650579 - 0.00571703655 * z)));
    return a < 0.625 ? x + x * (z * p) : (x < 0.0 ? t - 1.0 : 1.0 - t) / (1.0 + t);
}

// Distribution function of the normal distribution, absolute error below 1e-7 before rounding:
// Abramowitz & Stegun, Handbook of Mathematical Functions, 7.1.26, |error of erf| <= 1.5e-7.
float lp_normal_cdf(float x)
{
    float z = min(abs(x) * 0.70710678118654752, 13.0);
    float t = 1.0 / (1.0 + 0.3275911 * z);
    float p = t * (0.254829592 +
                   t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    float tail = 0.5 * p * exp(-z * z);
    return x < 0.0 ? tail : 1.0 - tail;
}

// sqrt(2 / pi) (x + 0.044715 x^3), kept finite; tanh(u) = 2 sigmoid(2 u) - 1
float lp_gelu_tanh(float x)
{
    float c = clamp(x, -1e4, 1e4);
    return x * lp_sigmoid(1.5957691216057308 * (c + 0.044715 * c * c * c));
}

float lp_activate(uint kind, float x)
{
    switch (kind) {
    case LP_ACT_RELU:
        return x < 0.0 ? 0.0 : x;
    case LP_ACT_GELU_ERF:
        return x * lp_normal_cdf(x);
    case LP_ACT_GELU_TANH:
        return lp_gelu_tanh(x);
    case LP_ACT_GELU_QUICK:
        return x * lp_sigmoid(1.702 * x);
    case LP_ACT_SILU:
        return x * lp_sigmoid(x);
    case LP_ACT_TANH:
        return lp_tanh(x);
    case LP_ACT_SIGMOID:
        return x == x ? lp_sigmoid(x) : x;
    case LP_ACT_RELU_SQUARED:
        return x < 0.0 ? 0.0 : x * x;
    case LP_ACT_CLAMP:
        return x < -1.0 ? -1.0 : x > 1.0 ? 1.0 : x;
    case LP_ACT_CLAMP_ABOVE:
        return x > 1.0 ? 1.0 : x;
    default:
        return x;
    }
}

#endif
