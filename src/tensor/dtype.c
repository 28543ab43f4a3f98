/* The table of types. The conversions here are the reference: plain, exact, one block at a time.
 * Block formats: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (ids) and
 * https://huggingface.co/docs/hub/gguf#quantization-types (formulas).
 *
 * Q8_0 (32 elements, 34 bytes): f16 scale d, then int8 q[32]; x = d * q.
 *   planes: q[0..31] as they are; four consecutive elements per word, byte 0 first.
 * Q4_0 (32 elements, 18 bytes): f16 scale d, then 16 bytes; x = d * (nibble - 8). Byte j holds
 *   element j in its low nibble and element j + 16 in its high nibble.
 *   planes: the 16 bytes as they are: word w of a block (w = 0..3) holds elements 4w..4w+3 in
 *   `word & 0x0f0f0f0f` and elements 16+4w..16+4w+3 in `word >> 4 & 0x0f0f0f0f`, byte 0 first, so
 *   that each mask gives four consecutive elements, as int8 dot products want them.
 * Plane 1 of both: d, f16, in block order.
 * MXFP4 (32 elements, 17 bytes; Open Compute Project, Microscaling Formats v1.0, 2023): the scale's
 *   exponent e (E8M0), then 16 bytes as in Q4_0; x = 2^(e - 127) * E2M1 of the nibble: sign, two
 * bits of exponent, one of mantissa, so 0, 0.5, 1, 1.5, 2, 3, 4, 6. Here twice these, times half
 * the scale. e = 255, which is NaN in the paper, is 2^128, as in GGUF files. planes: 16 bytes as in
 * Q4_0; plane 1 the e, one byte a block. More types are in blocks.c and super.c. Plain types have
 * plane 0 only: their values, unchanged. */
#include "tensor/dtype.h"

#include <math.h>
#include <string.h>
#include "base/half.h"
#include "tensor/blocks.h"
#include "tensor/super.h"

static void f32_to_f32(const void *from, float *to, size_t n)
{
    memcpy(to, from, n * 4);
}

static void f32_from_f32(const float *from, void *to, size_t n)
{
    memcpy(to, from, n * 4);
}

/* Files give no alignment beyond their own, so halves are read by memcpy. */
static uint16_t load_u16(const uint8_t *from)
{
    uint16_t h;
    memcpy(&h, from, 2);
    return h;
}

static void f16_to_f32(const void *from, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = lp_f16_to_f32(load_u16((const uint8_t *)from + 2 * i));
}

static void f16_from_f32(const float *from, void *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h = lp_f32_to_f16(from[i]);
        memcpy((uint8_t *)to + 2 * i, &h, 2);
    }
}

static void bf16_to_f32(const void *from, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = lp_bf16_to_f32(load_u16((const uint8_t *)from + 2 * i));
}

static void bf16_from_f32(const float *from, void *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h = lp_f32_to_bf16(from[i]);
        memcpy((uint8_t *)to + 2 * i, &h, 2);
    }
}

static void q8_0_to_f32(const void *from, float *to, size_t n)
{
    const uint8_t *block = from;
    for (size_t i = 0; i < n; i += 32, block += 34) {
        float d = lp_f16_to_f32(load_u16(block));
        for (int j = 0; j < 32; j++)
            to[i + j] = d * (float)(int8_t)block[2 + j];
    }
}

/* The scale maps the largest magnitude to 127; halves are rounded away from zero. */
static void q8_0_from_f32(const float *from, void *to, size_t n)
{
    uint8_t *block = to;
    for (size_t i = 0; i < n; i += 32, block += 34) {
        float largest = 0;
        for (int j = 0; j < 32; j++)
            largest = fmaxf(largest, fabsf(from[i + j]));
        float d = largest / 127, inverse = d > 0 ? 1 / d : 0;
        uint16_t h = lp_f32_to_f16(d);
        memcpy(block, &h, 2);
        for (int j = 0; j < 32; j++) {
            float q = roundf(from[i + j] * inverse); /* infinite for inf, nan for nan */
            block[2 + j] = (uint8_t)(int8_t)(q >= -127 && q <= 127 ? q : 0);
        }
    }
}

static void q4_0_to_f32(const void *from, float *to, size_t n)
{
    const uint8_t *block = from;
    for (size_t i = 0; i < n; i += 32, block += 18) {
        float d = lp_f16_to_f32(load_u16(block));
        for (int j = 0; j < 16; j++) {
            to[i + j] = d * (float)((block[2 + j] & 15) - 8);
            to[i + j + 16] = d * (float)((block[2 + j] >> 4) - 8);
        }
    }
}

/* Twice the value of a nibble; no -0, as in GGUF files. */
static const float mxfp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* 2^(e - 128) */
static float mxfp4_half_scale(uint32_t e)
{
    return lp_bits_f32(e < 2 ? 0x00200000u << e : (e - 1) << 23);
}

static void mxfp4_to_f32(const void *from, float *to, size_t n)
{
    const uint8_t *block = from;
    for (size_t i = 0; i < n; i += 32, block += 17) {
        float d = mxfp4_half_scale(block[0]);
        for (int j = 0; j < 16; j++) {
            to[i + j] = d * mxfp4_values[block[1 + j] & 15];
            to[i + j + 16] = d * mxfp4_values[block[1 + j] >> 4];
        }
    }
}

/* The nearest value's nibble; in the middle the smaller magnitude's, nan: 0. x: in units of d. */
static uint8_t mxfp4_nibble(float x)
{
    static const float middles[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5, 7, 10};
    uint8_t nibble = 0;
    for (int i = 0; i < 7; i++)
        nibble += fabsf(x) > middles[i];
    return x < 0 && nibble > 0 ? nibble | 8 : nibble;
}

/* Quantises a block with exponent e; returns the sum of squared errors. */
static double mxfp4_try(const float *from, uint32_t e, uint8_t block[17])
{
    const float d = mxfp4_half_scale(e);
    double sum = 0;
    uint8_t nibble[32];
    for (int j = 0; j < 32; j++) {
        nibble[j] = mxfp4_nibble(from[j] / d);
        const double error = (double)from[j] - (double)d * (double)mxfp4_values[nibble[j]];
        sum += error * error;
    }
    block[0] = (uint8_t)e;
    for (int j = 0; j < 16; j++)
        block[1 + j] = (uint8_t)(nibble[j] | nibble[j + 16] << 4);
    return sum;
}

/* The paper's exponent, that of the largest magnitude less that of 4, cuts magnitudes beyond 6
 * scales; the next one does not, but is coarser: the better one is taken. */
static void mxfp4_from_f32(const float *from, void *to, size_t n)
{
    uint8_t *block = to, next[17];
    for (size_t i = 0; i < n; i += 32, block += 17) {
        float largest = 0;
        for (int j = 0; j < 32; j++)
            largest = fmaxf(largest, fabsf(from[i + j]));
        const int exponent = largest > 0 && largest < INFINITY ? ilogbf(largest) - 2 + 127 : 0;
        const uint32_t e = exponent < 0 ? 0 : (uint32_t)exponent;
        const double error = mxfp4_try(from + i, e, block);
        if (e < 252 && mxfp4_try(from + i, e + 1, next) < error) /* 6 * 2^(253 - 127): infinite */
            memcpy(block, next, sizeof next);
    }
}

/* The element of the largest magnitude becomes -8, so its sign decides the sign of the scale. */
static void q4_0_from_f32(const float *from, void *to, size_t n)
{
    uint8_t *block = to;
    for (size_t i = 0; i < n; i += 32, block += 18) {
        float extreme = 0;
        for (int j = 0; j < 32; j++)
            if (fabsf(from[i + j]) > fabsf(extreme))
                extreme = from[i + j];
        float d = extreme / -8, inverse = d != 0 ? 1 / d : 0;
        uint16_t h = lp_f32_to_f16(d);
        memcpy(block, &h, 2);
        for (int j = 0; j < 16; j++) {
            float low = from[i + j] * inverse + 8.5f, high = from[i + j + 16] * inverse + 8.5f;
            uint8_t a = low >= 0 ? (uint8_t)fminf(low, 15) : 0; /* nan: 0 */
            uint8_t b = high >= 0 ? (uint8_t)fminf(high, 15) : 0;
            block[2 + j] = (uint8_t)(a | b << 4);
        }
    }
}

static void plain4_to_planes(const void *from, uint8_t *quants, uint8_t *scales, size_t n)
{
    (void)scales;
    memcpy(quants, from, n * 4);
}

static void plain2_to_planes(const void *from, uint8_t *quants, uint8_t *scales, size_t n)
{
    (void)scales;
    memcpy(quants, from, n * 2);
}

static void q8_0_to_planes(const void *from, uint8_t *quants, uint8_t *scales, size_t n)
{
    const uint8_t *block = from;
    for (size_t i = 0; i < n / 32; i++, block += 34) {
        memcpy(scales + 2 * i, block, 2);
        memcpy(quants + 32 * i, block + 2, 32);
    }
}

static void q4_0_to_planes(const void *from, uint8_t *quants, uint8_t *scales, size_t n)
{
    const uint8_t *block = from;
    for (size_t i = 0; i < n / 32; i++, block += 18) {
        memcpy(scales + 2 * i, block, 2);
        memcpy(quants + 16 * i, block + 2, 16);
    }
}

static void mxfp4_to_planes(const void *from, uint8_t *quants, uint8_t *scales, size_t n)
{
    const uint8_t *block = from;
    for (size_t i = 0; i < n / 32; i++, block += 17) {
        scales[i] = block[0];
        memcpy(quants + 16 * i, block + 1, 16);
    }
}

#define ROW(id, text)                                                                              \
    .name = #id, .kernel = text, .gguf_type = LP_##id##_GGUF, .block = LP_##id##_BLOCK,            \
    .bytes = LP_##id##_BYTES

/* A type without a row fails test_dtype. */
const lp_dtype_info lp_dtype_table[LP_N_DTYPES] = {
    [LP_F32] = {ROW(F32, "f32"), f32_to_f32, f32_from_f32, 4, 0, plain4_to_planes},
    [LP_F16] = {ROW(F16, "f16"), f16_to_f32, f16_from_f32, 2, 0, plain2_to_planes},
    [LP_BF16] = {ROW(BF16, "bf16"), bf16_to_f32, bf16_from_f32, 2, 0, plain2_to_planes},
    [LP_Q8_0] = {ROW(Q8_0, "q8_0"), q8_0_to_f32, q8_0_from_f32, 32, 2, q8_0_to_planes},
    [LP_Q4_0] = {ROW(Q4_0, "q4_0"), q4_0_to_f32, q4_0_from_f32, 16, 2, q4_0_to_planes},
    [LP_MXFP4] = {ROW(MXFP4, "mxfp4"), mxfp4_to_f32, mxfp4_from_f32, 16, 1, mxfp4_to_planes},
    [LP_Q4_1] = {ROW(Q4_1, "q4_1"), lp_q4_1_to_f32, lp_q4_1_from_f32, 16, 4, lp_q4_1_to_planes},
    [LP_Q5_0] = {ROW(Q5_0, "q5_0"), lp_q5_0_to_f32, lp_q5_0_from_f32, 16, 6, lp_q5_0_to_planes},
    [LP_Q5_1] = {ROW(Q5_1, "q5_1"), lp_q5_1_to_f32, lp_q5_1_from_f32, 16, 8, lp_q5_1_to_planes},
    [LP_IQ4_NL] = {ROW(IQ4_NL, "iq4_nl"), lp_iq4_nl_to_f32, lp_iq4_nl_from_f32, 16, 2,
                   lp_iq4_nl_to_planes},
    [LP_Q2_K] = {ROW(Q2_K, "q2_k"), lp_q2_k_to_f32, lp_q2_k_from_f32, 64, 20, lp_q2_k_to_planes},
    [LP_Q3_K] = {ROW(Q3_K, "q3_k"), lp_q3_k_to_f32, lp_q3_k_from_f32, 96, 16, lp_q3_k_to_planes},
    [LP_Q4_K] = {ROW(Q4_K, "q4_k"), lp_q4_k_to_f32, lp_q4_k_from_f32, 128, 16, lp_q4_k_to_planes},
    [LP_Q5_K] = {ROW(Q5_K, "q5_k"), lp_q5_k_to_f32, lp_q5_k_from_f32, 160, 16, lp_q5_k_to_planes},
    [LP_Q6_K] = {ROW(Q6_K, "q6_k"), lp_q6_k_to_f32, lp_q6_k_from_f32, 192, 20, lp_q6_k_to_planes},
    [LP_IQ4_XS] = {ROW(IQ4_XS, "iq4_xs"), lp_iq4_xs_to_f32, lp_iq4_xs_from_f32, 128, 8,
                   lp_iq4_xs_to_planes},
    [LP_TQ1_0] = {ROW(TQ1_0, "tq2_0"), lp_tq1_0_to_f32, lp_tq1_0_from_f32, 64, 2,
                  lp_tq1_0_to_planes},
    [LP_TQ2_0] = {ROW(TQ2_0, "tq2_0"), lp_tq2_0_to_f32, lp_tq2_0_from_f32, 64, 2,
                  lp_tq2_0_to_planes},
    [LP_I32] = {ROW(I32, "i32"), NULL, NULL, 4, 0, plain4_to_planes},
};

lp_dtype lp_dtype_from_gguf(uint32_t type)
{
    int i = 0;
    while (i < LP_N_DTYPES &&
           (lp_dtype_table[i].gguf_type < 0 || (uint32_t)lp_dtype_table[i].gguf_type != type))
        i++;
    return (lp_dtype)i;
}

/* Names are ASCII; the locale must not matter. */
static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

lp_dtype lp_dtype_from_name(const char *name)
{
    int i = 0;
    for (; i < LP_N_DTYPES; i++) {
        const char *p = name, *q = lp_dtype_table[i].name;
        while (*p && lower(*p) == lower(*q))
            p++, q++;
        if (!*p && !*q)
            break;
    }
    return (lp_dtype)i;
}

int64_t lp_dtype_file_bytes(lp_dtype dtype, lp_shape shape)
{
    const lp_dtype_info *info = &lp_dtype_table[dtype];
    int64_t n = lp_shape_elements(shape);
    if (n < 0 || shape.dim[shape.n - 1] % info->block)
        return -1;
    int64_t blocks = n / info->block;
    return blocks > INT64_MAX / info->bytes ? -1 : blocks * info->bytes;
}
