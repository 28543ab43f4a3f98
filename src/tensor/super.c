/* Types of super-blocks, see super.h. Formats: https://huggingface.co/docs/hub/gguf and the Python
 * package gguf. 256 elements each; j is a run of 32, h a run of 16; f16 are d and dmin.
 *
 * - Q4_K (144 bytes): d, dmin, 12 bytes of eight 6-bit scales and eight 6-bit minima, 128 bytes: of
 *   every 64 elements 32 bytes, the first 32 in the low nibbles.
 *   x = (d scale[j]) q - (dmin min[j])
 *
 * - Q5_K (176): d, dmin, 12 bytes of the same, 32 bytes of fifth bits (bit j of byte i: element i
 * of run j), 128 bytes of nibbles. x as in Q4_K.
 *
 * - Q6_K (210): 128 bytes of nibbles (of every 128 elements 64 bytes, the first 64 in the low
 * ones), 64 of bits 4 and 5 (of every 128 elements 32 bytes, of every 32 two bits), 16 signed
 * scales, d. x = (d scale[h]) (q - 32)
 *
 * - Q2_K (84): 16 bytes, of a run each, scales low and minima high; 64 of two bits (of every 128
 *   elements 32 bytes, of every 32 two bits), d, dmin. x = (d scale[h]) q - (dmin min[h])
 *
 * - Q3_K (110): 32 bytes of third bits as Q5_K's fifth, 64 of two bits as in Q2_K, 12 of sixteen
 *   6-bit scales, d. x = (d (scale[h] - 32)) (q - 4)
 *
 * - IQ4_XS (136): d, two bytes and four of eight 6-bit scales, 128 of nibbles (of every 32 elements
 *   16 bytes, the first 16 low). x = (d (scale[j] - 32)) values[q]
 *
 * - TQ2_0 (66): 64 bytes of two bits as in Q2_K, d. x = d (q - 1), q of 0, 1, 2
 *
 * - TQ1_0 (54): q as in TQ2_0, five in a byte: ceil(256 / 243 (81 q0 + 27 q1 + 9 q2 + 3 q3 + q4));
 * of 160 elements 32 bytes (q0: the first 32), of 80 16; of the last 16 four of four. d.
 *
 * Planes. Plane 0, per super-block: the low bits of all runs of 32, then the high ones.
 *
 * - 4 bits: 16 bytes a run, as Q4_0's (dtype.c).
 *
 * - 2 bits: two words; elements 4 g ... 4 g + 3 are `word[g & 1] >> 2 (g >> 1) & 0x03030303`.
 *
 * - 1 bit: a word; they are `word >> g & 0x01010101`.
 *
 * Plane 1:
 *
 * - Q4_K, Q5_K: four words: d and dmin; the low four bits of the scales, 0 first; those of the
 *   minima; bits 4 and 5 of the scales, then of the minima.
 *
 * - Q6_K: five words: the 16 scales, d. Q2_K: five: the 16 bytes, d and dmin.
 *
 * - Q3_K: four: the low four bits of the scales in two, bits 4 and 5, d.
 *
 * - IQ4_XS: two: d and bits 4 and 5 of the scales, the low four bits.
 *
 * - TQ1_0, which becomes TQ2_0, and that: d. */
#include "tensor/super.h"

#include <math.h>
#include <string.h>

#include "base/half.h"

enum { RUN = 32, N_RUNS = LP_SUPER / RUN };

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

/* ---- Files' blocks ------------------------------------------------------------------------- */

/* Eight scales and eight minima of 6 bits: the first four of each in the low bits of bytes 0 to 3
 * and 4 to 7, the others' low nibbles in bytes 8 to 11, their upper two bits above the first four.
 */
static void load_pairs(const uint8_t from[12], lp_super *s)
{
    for (int j = 0; j < 4; j++) {
        s->scale[j] = (int8_t)(from[j] & 63);
        s->min[j] = from[4 + j] & 63;
        s->scale[4 + j] = (int8_t)((from[8 + j] & 15) | from[j] >> 6 << 4);
        s->min[4 + j] = (uint8_t)(from[8 + j] >> 4 | from[4 + j] >> 6 << 4);
    }
}

static void store_pairs(const lp_super *s, uint8_t to[12])
{
    for (int j = 0; j < 4; j++) {
        to[j] = (uint8_t)(s->scale[j] | s->scale[4 + j] >> 4 << 6);
        to[4 + j] = (uint8_t)(s->min[j] | s->min[4 + j] >> 4 << 6);
        to[8 + j] = (uint8_t)((s->scale[4 + j] & 15) | (s->min[4 + j] & 15) << 4);
    }
}

/* Bytes [n / 2] hold, of every 2 `half` elements, the first half in their low nibbles. */
static void load_nibbles(const uint8_t *from, int half, lp_super *s)
{
    for (int i = 0; i < LP_SUPER; i++)
        s->q[i] = from[i / (2 * half) * half + i % half] >> (i / half % 2 ? 4 : 0) & 15;
}

static void store_nibbles(const lp_super *s, int half, uint8_t *to)
{
    for (int i = 0; i < LP_SUPER / 2; i++) {
        const uint8_t *q = s->q + i / half * 2 * half + i % half;
        to[i] = (uint8_t)((q[0] & 15) | (q[half] & 15) << 4);
    }
}

/* Bits `first` and up of element i of a run of 32: in byte i, at bit `step` times the run's number,
 * all over again after `runs` runs. */
static void load_bits(const uint8_t *from, int step, int runs, int first, lp_super *s)
{
    for (int i = 0; i < LP_SUPER; i++) {
        const int run = i / RUN, byte = run / runs * RUN + i % RUN;
        s->q[i] |= (uint8_t)((from[byte] >> run % runs * step & ((1 << step) - 1)) << first);
    }
}

static void store_bits(const lp_super *s, int step, int runs, int first, uint8_t *to)
{
    memset(to, 0, (size_t)(LP_SUPER / runs));
    for (int i = 0; i < LP_SUPER; i++) {
        const int run = i / RUN, byte = run / runs * RUN + i % RUN;
        to[byte] |= (uint8_t)((s->q[i] >> first & ((1 << step) - 1)) << run % runs * step);
    }
}

static void load_q4_k(const uint8_t *block, lp_super *s)
{
    s->d = load_u16(block);
    s->dmin = load_u16(block + 2);
    load_pairs(block + 4, s);
    load_nibbles(block + 16, RUN, s);
}

static void store_q4_k(const lp_super *s, uint8_t *block)
{
    store_u16(s->d, block);
    store_u16(s->dmin, block + 2);
    store_pairs(s, block + 4);
    store_nibbles(s, RUN, block + 16);
}

static void load_q5_k(const uint8_t *block, lp_super *s)
{
    load_q4_k(block, s); /* the scales */
    load_nibbles(block + 48, RUN, s);
    load_bits(block + 16, 1, 8, 4, s);
}

static void store_q5_k(const lp_super *s, uint8_t *block)
{
    store_u16(s->d, block);
    store_u16(s->dmin, block + 2);
    store_pairs(s, block + 4);
    store_bits(s, 1, 8, 4, block + 16);
    store_nibbles(s, RUN, block + 48);
}

static void load_q6_k(const uint8_t *block, lp_super *s)
{
    load_nibbles(block, 64, s);
    load_bits(block + 128, 2, 4, 4, s);
    memcpy(s->scale, block + 192, 16);
    memset(s->min, 0, sizeof s->min);
    s->d = load_u16(block + 208);
    s->dmin = 0;
}

static void store_q6_k(const lp_super *s, uint8_t *block)
{
    store_nibbles(s, 64, block);
    store_bits(s, 2, 4, 4, block + 128);
    memcpy(block + 192, s->scale, 16);
    store_u16(s->d, block + 208);
}

static void load_q2_k(const uint8_t *block, lp_super *s)
{
    for (int h = 0; h < LP_SUPER_RUNS; h++) {
        s->scale[h] = block[h] & 15;
        s->min[h] = block[h] >> 4;
    }
    memset(s->q, 0, sizeof s->q);
    load_bits(block + 16, 2, 4, 0, s);
    s->d = load_u16(block + 80);
    s->dmin = load_u16(block + 82);
}

static void store_q2_k(const lp_super *s, uint8_t *block)
{
    for (int h = 0; h < LP_SUPER_RUNS; h++)
        block[h] = (uint8_t)(s->scale[h] | s->min[h] << 4);
    store_bits(s, 2, 4, 0, block + 16);
    store_u16(s->d, block + 80);
    store_u16(s->dmin, block + 82);
}

static void load_q3_k(const uint8_t *block, lp_super *s)
{
    const uint8_t *scales = block + 96;
    memset(s, 0, sizeof *s);
    load_bits(block + 32, 2, 4, 0, s);
    load_bits(block, 1, 8, 2, s);
    for (int h = 0; h < LP_SUPER_RUNS; h++) {
        const int low = scales[h % 8] >> (h / 8 * 4) & 15, top = scales[8 + h % 4] >> h / 4 * 2 & 3;
        s->scale[h] = (int8_t)((low | top << 4) - 32);
    }
    s->d = load_u16(block + 108);
}

static void store_q3_k(const lp_super *s, uint8_t *block)
{
    uint8_t *scales = block + 96;
    store_bits(s, 2, 4, 0, block + 32);
    store_bits(s, 1, 8, 2, block);
    memset(scales, 0, 12);
    for (int h = 0; h < LP_SUPER_RUNS; h++) {
        const int scale = s->scale[h] + 32;
        scales[h % 8] |= (uint8_t)((scale & 15) << h / 8 * 4);
        scales[8 + h % 4] |= (uint8_t)(scale >> 4 << h / 4 * 2);
    }
    store_u16(s->d, block + 108);
}

static void load_iq4_xs(const uint8_t *block, lp_super *s)
{
    const uint16_t tops = load_u16(block + 2);
    memset(s, 0, sizeof *s);
    s->d = load_u16(block);
    for (int j = 0; j < N_RUNS; j++) {
        const int low = block[4 + j / 2] >> j % 2 * 4 & 15;
        s->scale[j] = (int8_t)((low | (tops >> 2 * j & 3) << 4) - 32);
    }
    load_nibbles(block + 8, 16, s);
}

static void store_iq4_xs(const lp_super *s, uint8_t *block)
{
    uint32_t tops = 0;
    memset(block, 0, 8);
    store_u16(s->d, block);
    for (int j = 0; j < N_RUNS; j++) {
        const uint32_t scale = (uint32_t)(s->scale[j] + 32);
        block[4 + j / 2] |= (uint8_t)((scale & 15) << j % 2 * 4);
        tops |= scale >> 4 << 2 * j;
    }
    store_u16((uint16_t)tops, block + 2);
    store_nibbles(s, 16, block + 8);
}

static void load_tq2_0(const uint8_t *block, lp_super *s)
{
    memset(s, 0, sizeof *s);
    load_bits(block, 2, 4, 0, s);
    s->scale[0] = 1;
    s->d = load_u16(block + 64);
}

static void store_tq2_0(const lp_super *s, uint8_t *block)
{
    store_bits(s, 2, 4, 0, block);
    store_u16(s->d, block + 64);
}

/* Bytes [n] of `digits` elements each; digit t of byte i is element n t + i. */
static void load_digits(const uint8_t *from, int n, int digits, uint8_t *q)
{
    for (int i = 0; i < n; i++) {
        uint8_t rest = from[i]; /* a fraction of 256 */
        for (int t = 0; t < digits; t++, rest = (uint8_t)(3 * rest))
            q[n * t + i] = (uint8_t)(3 * rest >> 8);
    }
}

static void store_digits(const uint8_t *q, int n, int digits, uint8_t *to)
{
    for (int i = 0; i < n; i++) {
        int value = 0;
        for (int t = 0; t < 5; t++)
            value = 3 * value + (t < digits ? q[n * t + i] : 0);
        to[i] = (uint8_t)((value * 256 + 242) / 243);
    }
}

static void load_tq1_0(const uint8_t *block, lp_super *s)
{
    memset(s, 0, sizeof *s);
    load_digits(block, 32, 5, s->q);
    load_digits(block + 32, 16, 5, s->q + 160);
    load_digits(block + 48, 4, 4, s->q + 240);
    s->scale[0] = 1;
    s->d = load_u16(block + 52);
}

static void store_tq1_0(const lp_super *s, uint8_t *block)
{
    store_digits(s->q, 32, 5, block);
    store_digits(s->q + 160, 16, 5, block + 32);
    store_digits(s->q + 240, 4, 4, block + 48);
    store_u16(s->d, block + 52);
}

/* ---- Planes -------------------------------------------------------------------------------- */

static void scales_of_pairs(const lp_super *s, uint8_t *plane)
{
    uint32_t words[4] = {s->d | (uint32_t)s->dmin << 16};
    for (int j = 0; j < N_RUNS; j++) {
        const uint32_t scale = (uint8_t)s->scale[j], min = s->min[j];
        words[1] |= (scale & 15) << 4 * j;
        words[2] |= (min & 15) << 4 * j;
        words[3] |= scale >> 4 << 2 * j | min >> 4 << (16 + 2 * j);
    }
    memcpy(plane, words, sizeof words);
}

static void scales_of_bytes(const lp_super *s, uint8_t *plane)
{
    memcpy(plane, s->scale, LP_SUPER_RUNS);
    memset(plane + LP_SUPER_RUNS, 0, 4);
    store_u16(s->d, plane + LP_SUPER_RUNS);
}

static void scales_q2_k(const lp_super *s, uint8_t *plane)
{
    for (int h = 0; h < LP_SUPER_RUNS; h++)
        plane[h] = (uint8_t)(s->scale[h] | s->min[h] << 4);
    store_u16(s->d, plane + 16);
    store_u16(s->dmin, plane + 18);
}

static void scales_q3_k(const lp_super *s, uint8_t *plane)
{
    uint32_t words[4] = {0, 0, 0, s->d};
    for (int h = 0; h < LP_SUPER_RUNS; h++) {
        const uint32_t scale = (uint32_t)(s->scale[h] + 32);
        words[h / 8] |= (scale & 15) << h % 8 * 4;
        words[2] |= scale >> 4 << 2 * h;
    }
    memcpy(plane, words, sizeof words);
}

static void scales_iq4_xs(const lp_super *s, uint8_t *plane)
{
    uint32_t words[2] = {s->d, 0};
    for (int j = 0; j < N_RUNS; j++) {
        const uint32_t scale = (uint32_t)(s->scale[j] + 32);
        words[0] |= scale >> 4 << (16 + 2 * j);
        words[1] |= (scale & 15) << 4 * j;
    }
    memcpy(plane, words, sizeof words);
}

static void scales_of_none(const lp_super *s, uint8_t *plane)
{
    store_u16(s->d, plane);
}

/* `bits` bits of the elements of a run, from bit `first` on. */
static void put_bits(const uint8_t q[RUN], int bits, int first, uint8_t *to)
{
    uint32_t words[4] = {0};
    for (int g = 0; g < RUN / 4; g++) {
        const int word = bits == 4 ? g & 3 : bits == 2 ? g & 1 : 0;
        const int shift = bits == 4 ? g & 4 : bits == 2 ? g >> 1 << 1 : g;
        for (int i = 0; i < 4; i++) {
            const uint32_t part = q[4 * g + i] >> first & ((1u << bits) - 1);
            words[word] |= part << (8 * i + shift);
        }
    }
    memcpy(to, words, (size_t)(4 * bits));
}

static void to_planes(const lp_super_kind *kind, const uint8_t *block, uint8_t *quants,
                      uint8_t *scales, size_t n)
{
    const int low = 4 * kind->low_bits, high = 4 * kind->high_bits; /* bytes of a run */
    lp_super s;
    for (size_t i = 0; i < n; i += LP_SUPER, block += kind->bytes) {
        kind->load(block, &s);
        kind->scales(&s, scales);
        for (int j = 0; j < N_RUNS; j++) {
            put_bits(s.q + RUN * j, kind->low_bits, 0, quants + j * low);
            if (high > 0)
                put_bits(s.q + RUN * j, kind->high_bits, kind->low_bits,
                         quants + N_RUNS * low + j * high);
        }
        quants += N_RUNS * (low + high);
        scales += kind->scale_bytes;
    }
}

/* ---- f32 ----------------------------------------------------------------------------------- */

const int8_t lp_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};

static int value_of(const lp_super_kind *kind, uint8_t q)
{
    return kind->values != NULL ? kind->values[q] : q - kind->offset;
}

static void to_f32(const lp_super_kind *kind, const uint8_t *block, float *to, size_t n)
{
    lp_super s;
    for (size_t i = 0; i < n; i += LP_SUPER, block += kind->bytes) {
        kind->load(block, &s);
        const float d = lp_f16_to_f32(s.d), dmin = lp_f16_to_f32(s.dmin);
        for (int k = 0; k < LP_SUPER; k += kind->run) {
            const float scale = d * (float)s.scale[k / kind->run];
            const float min = dmin * (float)s.min[k / kind->run];
            for (int e = k; e < k + kind->run; e++)
                to[i + (size_t)e] = scale * (float)value_of(kind, s.q[e]) - min;
        }
    }
}

/* TQ1_0, TQ2_0: the largest magnitude is 1 d; what is no number is 0. */
static void fit_ternary(const float x[LP_SUPER], lp_super *s)
{
    float largest = 0;
    for (int i = 0; i < LP_SUPER; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    const float inverse = largest > 0 ? 1 / largest : 0;
    s->d = lp_f32_to_f16(largest);
    for (int i = 0; i < LP_SUPER; i++) {
        const float q = roundf(x[i] * inverse);
        s->q[i] = (uint8_t)(q > 0 ? 2 : q < 0 ? 0 : 1);
    }
}

static void from_f32(const lp_super_kind *kind, const float *from, uint8_t *block, size_t n)
{
    lp_super s;
    for (size_t i = 0; i < n; i += LP_SUPER, block += kind->bytes) {
        if (kind->run == LP_SUPER)
            fit_ternary(from + i, &s);
        else
            lp_super_fit(kind, from + i, &s);
        kind->store(&s, block);
    }
}

#define TYPE(name, ...)                                                                            \
    static const lp_super_kind name = {__VA_ARGS__, load_##name, store_##name, scales_##name};     \
    void lp_##name##_to_f32(const void *from, float *to, size_t n)                                 \
    {                                                                                              \
        to_f32(&name, from, to, n);                                                                \
    }                                                                                              \
    void lp_##name##_from_f32(const float *from, void *to, size_t n)                               \
    {                                                                                              \
        from_f32(&name, from, to, n);                                                              \
    }                                                                                              \
    void lp_##name##_to_planes(const void *from, uint8_t *quants, uint8_t *scales, size_t n)       \
    {                                                                                              \
        to_planes(&name, from, quants, scales, n);                                                 \
    }
#define scales_q4_k scales_of_pairs
#define scales_q5_k scales_of_pairs
#define scales_q6_k scales_of_bytes

#define scales_tq1_0 scales_of_none
#define scales_tq2_0 scales_of_none

/* run, offset, levels, values, range of scales, of minima, low and high bits, bytes, of plane 1 */
TYPE(q2_k, 16, 0, 4, NULL, 0, 15, 15, 2, 0, 84, 20)
TYPE(q3_k, 16, 4, 8, NULL, -32, 31, 0, 2, 1, 110, 16)
TYPE(q4_k, 32, 0, 16, NULL, 0, 63, 63, 4, 0, 144, 16)
TYPE(q5_k, 32, 0, 32, NULL, 0, 63, 63, 4, 1, 176, 16)
TYPE(q6_k, 16, 32, 64, NULL, -128, 127, 0, 4, 2, 210, 20)
TYPE(iq4_xs, 32, 0, 16, lp_iq4_values, -32, 31, 0, 4, 0, 136, 8)
TYPE(tq1_0, 256, 1, 3, NULL, 0, 1, 0, 2, 0, 54, 2)
TYPE(tq2_0, 256, 1, 3, NULL, 0, 1, 0, 2, 0, 66, 2)
