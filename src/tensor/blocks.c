/* Types with blocks of 32 elements; formats: https://huggingface.co/docs/hub/gguf and the Python
 * package gguf. 16 bytes of nibbles as in Q4_0 (dtype.c), before them
 *
 * Q4_1 (20 bytes): d, m (f16). x = d q + m
 * Q5_0 (22): d, a word of fifth bits, bit i that of element i. x = d (q - 16)
 * Q5_1 (24): d, m, that word. x = d q + m
 * IQ4_NL (18): d. x = d values[q], the values those of super.c
 *
 * Planes. Plane 0: the 16 bytes. Plane 1: Q4_1: a word, d and m. Q5_1: two: d and m, fifth bits.
 * Q5_0: three of every two blocks: both d, the fifth bits of the first, of the second. IQ4_NL: d.
 * The fifth bits of elements 4 g ... 4 g + 3 are `word >> g & 0x01010101`. */
#include "tensor/blocks.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/half.h"
#include "tensor/super.h"

enum { BLOCK = 32, NIBBLES = 16 };

static uint16_t load_u16(const uint8_t *from)
{
    uint16_t h;
    memcpy(&h, from, 2);
    return h;
}

static void store_u16(uint16_t h, uint8_t *to)
{
    memcpy(to, &h, 2);
}

static uint32_t load_u32(const uint8_t *from)
{
    uint32_t word;
    memcpy(&word, from, 4);
    return word;
}

/* q of element i; `fifth` is 0 where there is none. */
static int quant(const uint8_t *nibbles, uint32_t fifth, int i)
{
    const int low = nibbles[i % NIBBLES] >> i / NIBBLES * 4 & 15;
    return low | (int)(fifth >> i & 1) << 4;
}

/* Bits of elements in the order of the planes. */
static uint32_t by_groups(uint32_t fifth)
{
    uint32_t word = 0;
    for (int i = 0; i < BLOCK; i++)
        word |= (fifth >> i & 1) << (i % 4 * 8 + i / 4);
    return word;
}

/* Levels of x, `add` with a half for rounding, into nibbles and, if there are more than 16, a word
 * before them. NaN: 0. */
static void store_levels(const float *x, float least, float inverse, float add, int levels,
                         uint8_t *to)
{
    uint32_t fifth = 0;
    uint8_t *nibbles = levels > 16 ? to + 4 : to;
    memset(nibbles, 0, NIBBLES);
    for (int i = 0; i < BLOCK; i++) {
        const float level = (x[i] - least) * inverse + add;
        const uint32_t q = level >= 0 ? (uint32_t)fminf(level, (float)(levels - 1)) : 0;
        nibbles[i % NIBBLES] |= (uint8_t)((q & 15) << i / NIBBLES * 4);
        fifth |= q >> 4 << i;
    }
    if (levels > 16)
        memcpy(to, &fifth, 4);
}

/* ---- Q4_1, Q5_1: the range becomes that of the levels --------------------------------------- */

static void ranges_to_f32(const uint8_t *block, float *to, size_t n, bool has_fifth)
{
    for (size_t i = 0; i < n; i += BLOCK, block += has_fifth ? 24 : 20) {
        const float d = lp_f16_to_f32(load_u16(block)), m = lp_f16_to_f32(load_u16(block + 2));
        const uint32_t fifth = has_fifth ? load_u32(block + 4) : 0;
        for (int j = 0; j < BLOCK; j++)
            to[i + (size_t)j] = d * (float)quant(block + (has_fifth ? 8 : 4), fifth, j) + m;
    }
}

static void ranges_from_f32(const float *from, uint8_t *block, size_t n, int levels)
{
    for (size_t i = 0; i<n; i += BLOCK, block += levels> 16 ? 24 : 20) {
        float least = from[i], most = least;
        for (size_t j = i; j < i + BLOCK; j++) {
            least = fminf(least, from[j]);
            most = fmaxf(most, from[j]);
        }
        const float d = (most - least) / (float)(levels - 1), inverse = d > 0 ? 1 / d : 0;
        store_u16(lp_f32_to_f16(d), block);
        store_u16(lp_f32_to_f16(least), block + 2);
        store_levels(from + i, least, inverse, 0.5f, levels, block + 4);
    }
}

static void ranges_to_planes(const uint8_t *block, uint8_t *quants, uint8_t *scales, size_t n,
                             bool has_fifth)
{
    for (size_t i = 0; i < n; i += BLOCK, block += has_fifth ? 24 : 20) {
        const uint32_t fifth = has_fifth ? by_groups(load_u32(block + 4)) : 0;
        memcpy(scales, block, 4);
        memcpy(scales + 4, &fifth, has_fifth ? 4 : 0);
        memcpy(quants, block + (has_fifth ? 8 : 4), NIBBLES);
        scales += has_fifth ? 8 : 4;
        quants += NIBBLES;
    }
}

void lp_q4_1_to_f32(const void *from, float *to, size_t n)
{
    ranges_to_f32(from, to, n, false);
}

void lp_q4_1_from_f32(const float *from, void *to, size_t n)
{
    ranges_from_f32(from, to, n, 16);
}

void lp_q4_1_to_planes(const void *from, uint8_t *quants, uint8_t *scales, size_t n)
{
    ranges_to_planes(from, quants, scales, n, false);
}

void lp_q5_1_to_f32(const void *from, float *to, size_t n)
{
    ranges_to_f32(from, to, n, true);
}

void lp_q5_1_from_f32(const float *from, void *to, size_t n)
{
    ranges_from_f32(from, to, n, 32);
}

void lp_q5_1_to_planes(const void *from, uint8_t *quants, uint8_t *scales, size_t n)
{
    ranges_to_planes(from, quants, scales, n, true);
}

/* ---- Q5_0: the largest magnitude becomes -16 ------------------------------------------------ */

void lp_q5_0_to_f32(const void *from, float *to, size_t n)
{
    const uint8_t *block = from;
    for (size_t i = 0; i < n; i += BLOCK, block += 22) {
        const float d = lp_f16_to_f32(load_u16(block));
        for (int j = 0; j < BLOCK; j++)
            to[i + (size_t)j] = d * (float)(quant(block + 6, load_u32(block + 2), j) - 16);
    }
}

void lp_q5_0_from_f32(const float *from, void *to, size_t n)
{
    uint8_t *block = to;
    for (size_t i = 0; i < n; i += BLOCK, block += 22) {
        float extreme = 0;
        for (size_t j = i; j < i + BLOCK; j++)
            extreme = fabsf(from[j]) > fabsf(extreme) ? from[j] : extreme;
        const float d = extreme / -16, inverse = d != 0 ? 1 / d : 0;
        store_u16(lp_f32_to_f16(d), block);
        store_levels(from + i, 0, inverse, 16.5f, 32, block + 2);
    }
}

void lp_q5_0_to_planes(const void *from, uint8_t *quants, uint8_t *scales, size_t n)
{
    const uint8_t *block = from;
    for (size_t i = 0; i < n / BLOCK; i++, block += 22) {
        const uint32_t fifth = by_groups(load_u32(block + 2));
        uint8_t *pair = scales + i / 2 * 12;
        memcpy(pair + i % 2 * 2, block, 2);
        memcpy(pair + 4 + i % 2 * 4, &fifth, 4);
        memcpy(quants + NIBBLES * i, block + 6, NIBBLES);
    }
}

/* ---- IQ4_NL --------------------------------------------------------------------------------- */

void lp_iq4_nl_to_f32(const void *from, float *to, size_t n)
{
    const uint8_t *block = from;
    for (size_t i = 0; i < n; i += BLOCK, block += 18) {
        const float d = lp_f16_to_f32(load_u16(block));
        for (int j = 0; j < BLOCK; j++)
            to[i + (size_t)j] = d * (float)lp_iq4_values[quant(block + 2, 0, j)];
    }
}

void lp_iq4_nl_from_f32(const float *from, void *to, size_t n)
{
    static const lp_super_kind kind = {.run = BLOCK, .levels = 16, .values = lp_iq4_values};
    uint8_t *block = to, q[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK, block += 18) {
        store_u16(lp_super_fit_run(&kind, from + i, q), block);
        for (int j = 0; j < NIBBLES; j++)
            block[2 + j] = (uint8_t)(q[j] | q[j + NIBBLES] << 4);
    }
}

void lp_iq4_nl_to_planes(const void *from, uint8_t *quants, uint8_t *scales, size_t n)
{
    const uint8_t *block = from;
    for (size_t i = 0; i < n / BLOCK; i++, block += 18) {
        memcpy(scales + 2 * i, block, 2);
        memcpy(quants + NIBBLES * i, block + 2, NIBBLES);
    }
}
