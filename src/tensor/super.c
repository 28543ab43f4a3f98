/* Types of super-blocks, see super.h. Formats: https://huggingface.co/docs/hub/gguf and the Python
 * package gguf. 256 elements each; j is a run of 32, h a run of 16.
 *
 * Q4_K (144 bytes): d, dmin (f16), 12 bytes of eight 6-bit scales and eight 6-bit minima, 128
 * bytes: of every 64 elements 32 bytes, the first 32 in the low nibbles. x = (d scale[j]) q - (dmin
 * min[j]) Q5_K (176): d, dmin, 12 bytes of the same, 32 bytes of fifth bits (bit j of byte i:
 * element i of run j), 128 bytes of nibbles. x as in Q4_K. Q6_K (210): 128 bytes of nibbles (of
 * every 128 elements 64 bytes, the first 64 in the low ones), 64 of bits 4 and 5 (of every 128
 * elements 32 bytes, of every 32 two bits), 16 signed scales, d. x = (d scale[h]) (q - 32)
 *
 * Planes. Plane 0, per super-block: the low bits of all runs of 32, then the high ones.
 *   4 bits: 16 bytes a run, as Q4_0's (dtype.c). 2 bits: two words; elements 4 g ... 4 g + 3 are
 *   `word[g & 1] >> 2 (g >> 1) & 0x03030303`. 1 bit: a word; they are `word >> g & 0x01010101`.
 * Plane 1. Q4_K, Q5_K: four words: d and dmin; the low four bits of the scales, 0 first; those of
 *   the minima; bits 4 and 5 of the scales, then of the minima. Q6_K: five words: the 16 scales, d.
 */
#include "tensor/super.h"

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
    for (int i = 0; i < LP_SUPER; i++)
        s->q[i] |= (uint8_t)((block[16 + i % RUN] >> i / RUN & 1) << 4);
}

static void store_q5_k(const lp_super *s, uint8_t *block)
{
    store_u16(s->d, block);
    store_u16(s->dmin, block + 2);
    store_pairs(s, block + 4);
    memset(block + 16, 0, RUN);
    for (int i = 0; i < LP_SUPER; i++)
        block[16 + i % RUN] |= (uint8_t)(s->q[i] >> 4 << i / RUN);
    store_nibbles(s, RUN, block + 48);
}

static void load_q6_k(const uint8_t *block, lp_super *s)
{
    load_nibbles(block, 64, s);
    for (int i = 0; i < LP_SUPER; i++)
        s->q[i] |= (uint8_t)((block[128 + i / 128 * RUN + i % RUN] >> i % 128 / RUN * 2 & 3) << 4);
    memcpy(s->scale, block + 192, 16);
    memset(s->min, 0, sizeof s->min);
    s->d = load_u16(block + 208);
    s->dmin = 0;
}

static void store_q6_k(const lp_super *s, uint8_t *block)
{
    store_nibbles(s, 64, block);
    memset(block + 128, 0, 64);
    for (int i = 0; i < LP_SUPER; i++)
        block[128 + i / 128 * RUN + i % RUN] |= (uint8_t)(s->q[i] >> 4 << i % 128 / RUN * 2);
    memcpy(block + 192, s->scale, 16);
    store_u16(s->d, block + 208);
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
                to[i + (size_t)e] = scale * (float)(s.q[e] - kind->offset) - min;
        }
    }
}

static void from_f32(const lp_super_kind *kind, const float *from, uint8_t *block, size_t n)
{
    lp_super s;
    for (size_t i = 0; i < n; i += LP_SUPER, block += kind->bytes) {
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

/* run, offset, levels, range of scales, of minima, low and high bits, bytes, bytes of plane 1 */
TYPE(q4_k, 32, 0, 16, 0, 63, 63, 4, 0, 144, 16)
TYPE(q5_k, 32, 0, 32, 0, 63, 63, 4, 1, 176, 16)
TYPE(q6_k, 16, 32, 64, -128, 127, 0, 4, 2, 210, 20)
