/* AVX2 kernels for weights in super-blocks of 256 (tensor/super.h has the formats): eight runs of
 * 32 integers without a sign, each of them as long as a block of x in int8. */
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include "ops/simd_avx2.h"

#include "tensor/super.h"

enum {
    RUN = LP_INT8_BLOCK,
    N_RUNS = LP_SUPER / RUN,
    Q4_K_BYTES = 144,
    Q5_K_BYTES = 176,
    Q6_K_BYTES = 210
};

/* ---- Q4_K and Q5_K: x = scale q - min ------------------------------------------------------- */

typedef struct pairs {
    __m256i q[N_RUNS];
    __m256 scale, min; /* of the runs */
} pairs;

/* Of 64 elements the first 32 are in the low nibbles. */
LP_INLINE void load_nibbles(const uint8_t *from, __m256i q[N_RUNS])
{
    const __m256i low = _mm256_set1_epi8(15);
    for (int j = 0; j < N_RUNS; j += 2) {
        const __m256i bytes = lp_avx2_bytes(from + RUN / 2 * j);
        q[j] = _mm256_and_si256(bytes, low);
        q[j + 1] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low);
    }
}

LP_INLINE __m256 bytes_to_f32(uint32_t first, uint32_t second)
{
    const __m128i bytes = _mm_set_epi32(0, 0, (int)second, (int)first);
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}

LP_INLINE void load_scales(const uint8_t *block, pairs *p)
{
    uint32_t w[3];
    memcpy(w, block + 4, sizeof w);
    p->scale =
        bytes_to_f32(w[0] & 0x3f3f3f3fu, (w[2] & 0x0f0f0f0fu) | (w[0] >> 6 & 0x03030303u) << 4);
    p->min = bytes_to_f32(w[1] & 0x3f3f3f3fu, (w[2] >> 4 & 0x0f0f0f0fu) | (w[1] >> 6 & 0x03030303u)
                                                                              << 4);
    p->scale = _mm256_mul_ps(_mm256_set1_ps(lp_avx2_half(block)), p->scale);
    p->min = _mm256_mul_ps(_mm256_set1_ps(lp_avx2_half(block + 2)), p->min);
}

LP_INLINE void load_q4_k(const uint8_t *block, pairs *p)
{
    load_scales(block, p);
    load_nibbles(block + 16, p->q);
}

/* Bit j of byte i is the fifth of element i of run j. */
LP_INLINE void load_q5_k(const uint8_t *block, pairs *p)
{
    const __m256i top = lp_avx2_bytes(block + 16), sixteen = _mm256_set1_epi8(16);
    load_scales(block, p);
    load_nibbles(block + 48, p->q);
    for (int j = 0; j < N_RUNS; j++) {
        const __m256i bit = _mm256_set1_epi8((char)(1 << j));
        const __m256i is_set = _mm256_cmpeq_epi8(_mm256_and_si256(top, bit), bit);
        p->q[j] = _mm256_or_si256(p->q[j], _mm256_and_si256(is_set, sixteen));
    }
}

typedef void (*load_pairs_fn)(const uint8_t *block, pairs *p);

/* Eight partial sums of q x, in integers. */
LP_INLINE __m256i dot_bytes(__m256i q, const int8_t *x)
{
    return _mm256_madd_epi16(_mm256_maddubs_epi16(q, lp_avx2_bytes(x)), _mm256_set1_epi16(1));
}

LP_INLINE void dots_of_pairs(load_pairs_fn load, size_t bytes, const void *w, const lp_int8_row x[],
                             int64_t n, float out[], int n_rows)
{
    __m256 sums[LP_SIMD_ROWS];
    const uint8_t *block = w;
    pairs p;
    for (int r = 0; r < n_rows; r++)
        sums[r] = _mm256_setzero_ps();
    for (int64_t k = 0; k < n; k += LP_SUPER, block += bytes) {
        load(block, &p);
        for (int r = 0; r < n_rows; r++) {
            const __m256 x_scales = _mm256_loadu_ps(x[r].scales + k / RUN);
            float factor[N_RUNS];
            _mm256_storeu_ps(factor, _mm256_mul_ps(p.scale, x_scales));
            /* of the block, less its minima: both are large where x has one sign, and must not pile
             * up */
            __m256 sum = _mm256_setzero_ps();
            for (int j = 0; j < N_RUNS; j++) {
                const __m256i part = dot_bytes(p.q[j], x[r].q + k + j * RUN);
                sum =
                    _mm256_fmadd_ps(_mm256_broadcast_ss(factor + j), _mm256_cvtepi32_ps(part), sum);
            }
            sum = _mm256_fnmadd_ps(_mm256_mul_ps(p.min, x_scales),
                                   _mm256_loadu_ps(x[r].sums + k / RUN), sum);
            sums[r] = _mm256_add_ps(sums[r], sum);
        }
    }
    for (int r = 0; r < n_rows; r++)
        out[r] = lp_avx2_sum(sums[r]);
}

/* 32 integers without a sign as f32. */
LP_INLINE void integers_to_f32(__m256i q, __m256 to[4])
{
    const __m128i low = _mm256_castsi256_si128(q), high = _mm256_extracti128_si256(q, 1);
    to[0] = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(low));
    to[1] = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(low, 8)));
    to[2] = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(high));
    to[3] = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(high, 8)));
}

LP_INLINE void pairs_to_f32(load_pairs_fn load, size_t bytes, const void *from, float *to, size_t n)
{
    const uint8_t *block = from;
    pairs p;
    for (size_t k = 0; k < n; k += LP_SUPER, block += bytes) {
        float scale[N_RUNS], min[N_RUNS];
        load(block, &p);
        _mm256_storeu_ps(scale, p.scale);
        _mm256_storeu_ps(min, p.min);
        for (int j = 0; j < N_RUNS; j++) {
            __m256 v[4];
            integers_to_f32(p.q[j], v);
            for (int i = 0; i < 4; i++) /* two roundings, as everywhere */
                _mm256_storeu_ps(to + k + (size_t)(j * RUN + 8 * i),
                                 _mm256_sub_ps(_mm256_mul_ps(_mm256_broadcast_ss(scale + j), v[i]),
                                               _mm256_broadcast_ss(min + j)));
        }
    }
}

#define PAIRS(name, bytes)                                                                         \
    void lp_avx2_int8_dots_##name(const void *w, const lp_int8_row x[], int n_rows, int64_t n,     \
                                  float out[])                                                     \
    {                                                                                              \
        LP_AVX2_ROWS(dots_of_pairs, n_rows, load_##name, bytes, w, x, n, out)                      \
    }                                                                                              \
    void lp_avx2_##name##_to_f32(const void *from, float *to, size_t n)                            \
    {                                                                                              \
        pairs_to_f32(load_##name, bytes, from, to, n);                                             \
    }

PAIRS(q4_k, Q4_K_BYTES)
PAIRS(q5_k, Q5_K_BYTES)

/* ---- Q6_K: x = d scale (q - 32), a scale per 16 elements ------------------------------------- */

typedef struct sixes {
    __m256i q[N_RUNS];
    __m256i
        scales; /* 16-bit; low half: of the runs' first halves, high half: of their second ones */
    float d;
} sixes;

LP_INLINE void load_q6_k(const uint8_t *block, sixes *s)
{
    const __m256i low = _mm256_set1_epi8(15), two = _mm256_set1_epi8(3);
    for (int half = 0; half < 2; half++) {
        const __m256i a = lp_avx2_bytes(block + 64 * half);
        const __m256i b = lp_avx2_bytes(block + 64 * half + RUN);
        const __m256i top = lp_avx2_bytes(block + 128 + RUN * half);
        const __m256i nibbles[4] = {a, b, _mm256_srli_epi16(a, 4), _mm256_srli_epi16(b, 4)};
        for (int j = 0; j < 4; j++) {
            const __m256i bits = _mm256_and_si256(_mm256_srli_epi16(top, 2 * j), two);
            s->q[4 * half + j] =
                _mm256_or_si256(_mm256_and_si256(nibbles[j], low), _mm256_slli_epi16(bits, 4));
        }
    }
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(block + 192));
    const __m128i even = _mm_srai_epi16(_mm_slli_epi16(bytes, 8), 8);
    s->scales = _mm256_set_m128i(_mm_srai_epi16(bytes, 8), even);
    s->d = lp_avx2_half(block + 208);
}

/* The scales of run j, in all lanes of each half. */
LP_INLINE __m256i scales_of_run(const sixes *s, int j)
{
    return _mm256_shuffle_epi8(s->scales, _mm256_set1_epi16((short)((2 * j + 1) << 8 | 2 * j)));
}

LP_INLINE void dots_of_sixes(const void *w, const lp_int8_row x[], int64_t n, float out[],
                             int n_rows)
{
    const __m256i offset = _mm256_set1_epi8(32);
    const uint8_t *block = w;
    __m256 sums[LP_SIMD_ROWS];
    sixes s;
    for (int r = 0; r < n_rows; r++)
        sums[r] = _mm256_setzero_ps();
    for (int64_t k = 0; k < n; k += LP_SUPER, block += Q6_K_BYTES) {
        load_q6_k(block, &s);
        for (int r = 0; r < n_rows; r++) {
            float factor[N_RUNS];
            _mm256_storeu_ps(
                factor, _mm256_mul_ps(_mm256_set1_ps(s.d), _mm256_loadu_ps(x[r].scales + k / RUN)));
            for (int j = 0; j < N_RUNS; j++) {
                const __m256i v = lp_avx2_bytes(x[r].q + k + j * RUN);
                /* pairs are at most 2 * 63 * 127 and 2 * 32 * 127: nothing saturates */
                const __m256i twos = _mm256_sub_epi16(_mm256_maddubs_epi16(s.q[j], v),
                                                      _mm256_maddubs_epi16(offset, v));
                const __m256i fours = _mm256_madd_epi16(twos, scales_of_run(&s, j));
                sums[r] = _mm256_fmadd_ps(_mm256_broadcast_ss(factor + j),
                                          _mm256_cvtepi32_ps(fours), sums[r]);
            }
        }
    }
    for (int r = 0; r < n_rows; r++)
        out[r] = lp_avx2_sum(sums[r]);
}

void lp_avx2_int8_dots_q6_k(const void *w, const lp_int8_row x[], int n_rows, int64_t n,
                            float out[])
{
    LP_AVX2_ROWS(dots_of_sixes, n_rows, w, x, n, out)
}

void lp_avx2_q6_k_to_f32(const void *from, float *to, size_t n)
{
    const uint8_t *block = from;
    sixes s;
    for (size_t k = 0; k < n; k += LP_SUPER, block += Q6_K_BYTES) {
        load_q6_k(block, &s);
        const int8_t *scales = (const int8_t *)(const void *)(block + 192);
        for (int j = 0; j < N_RUNS; j++) {
            __m256 v[4];
            integers_to_f32(s.q[j], v);
            for (int i = 0; i < 4; i++) {
                const __m256 scale = _mm256_set1_ps(s.d * (float)scales[2 * j + i / 2]);
                _mm256_storeu_ps(to + k + (size_t)(j * RUN + 8 * i),
                                 _mm256_mul_ps(scale, _mm256_sub_ps(v[i], _mm256_set1_ps(32))));
            }
        }
    }
}

#else

typedef int lp_avx2_super_is_empty; /* built for another processor */

#endif
