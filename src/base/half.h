/* IEEE 754 binary16 and bfloat16, round to nearest even, NaN kept. Exact and portable. */
#ifndef LP_BASE_HALF_H
#define LP_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t lp_f32_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    return u;
}

static inline float lp_bits_f32(uint32_t u)
{
    float x;
    memcpy(&x, &u, 4);
    return x;
}

static inline float lp_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = (h >> 10) & 31u, mantissa = h & 0x3ffu;
    if (exponent == 31) /* infinity or NaN */
        return lp_bits_f32(sign | 0x7f800000u | mantissa << 13);
    if (exponent == 0) { /* zero or subnormal: mantissa * 2^-24 */
        float x = (float)mantissa * 0x1p-24f;
        return sign ? -x : x;
    }
    return lp_bits_f32(sign | (exponent + 112) << 23 | mantissa << 13);
}

static inline uint16_t lp_f32_to_f16(float x)
{
    uint32_t u = lp_f32_bits(x), sign = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) /* NaN: keep it quiet */
        return (uint16_t)(sign | 0x7e00u);
    if (a >= 0x477ff000u) /* rounds to at least 65520: infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (a < 0x38800000u) { /* below 2^-14: subnormal, in units of 2^-24 */
        if (a < 0x33000000u)
            return (uint16_t)sign;
        uint32_t shift = 126 - (a >> 23), m = (a & 0x7fffffu) | 0x800000u;
        uint32_t half = 1u << (shift - 1), rest = m & ((1u << shift) - 1), q = m >> shift;
        q += rest > half || (rest == half && (q & 1));
        return (uint16_t)(sign | q);
    }
    uint32_t r = a + 0xfffu + (a >> 13 & 1); /* ties to even */
    return (uint16_t)(sign | (r - 0x38000000u) >> 13);
}

static inline float lp_bf16_to_f32(uint16_t h)
{
    return lp_bits_f32((uint32_t)h << 16);
}

static inline uint16_t lp_f32_to_bf16(float x)
{
    uint32_t u = lp_f32_bits(x);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

#endif
