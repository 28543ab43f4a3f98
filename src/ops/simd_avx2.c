/* Vector kernels for x86-64 with AVX2, FMA and F16C (Intel since 2013, AMD since 2015): see simd.h.
 * This file and simd_avx2_super.c alone are compiled for them, and lp_simd_choose() asks the
 * processor before anything here runs.
 *
 * Weights come 32 at a time, the block of Q8_0 and Q4_0: four vectors and, of block types, a scale
 * that is multiplied once for the block's four products. */
#include "ops/simd.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include "ops/simd_avx2.h"

enum {
    BLOCK = 32,
    LANES = 8,
    VECTORS = BLOCK / LANES,
    PRODUCT_ROWS = 6, /* of a tile of a product */
    AHEAD = 1024      /* bytes: the processor's own prefetching ends with a page */
};

typedef struct vectors {
    __m256 v[VECTORS];
} vectors;

/* A block without its scale; returns the scale. */
typedef float (*load_fn)(const uint8_t *from, vectors *to);

LP_INLINE float load_f32(const uint8_t *from, vectors *to)
{
    for (int i = 0; i < VECTORS; i++)
        to->v[i] = _mm256_loadu_ps((const float *)(const void *)from + LANES * i);
    return 1;
}

LP_INLINE float load_f16(const uint8_t *from, vectors *to)
{
    for (int i = 0; i < VECTORS; i++)
        to->v[i] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)from + i));
    return 1;
}

LP_INLINE float load_bf16(const uint8_t *from, vectors *to)
{
    for (int i = 0; i < VECTORS; i++) {
        const __m128i half = _mm_loadu_si128((const __m128i *)(const void *)from + i);
        to->v[i] = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
    }
    return 1;
}

/* 16 signed bytes */
LP_INLINE void from_bytes(__m128i bytes, __m256 to[2])
{
    to[0] = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
    to[1] = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)));
}

/* f16 scale, 32 signed bytes */
LP_INLINE float load_q8_0(const uint8_t *from, vectors *to)
{
    from_bytes(_mm_loadu_si128((const __m128i *)(const void *)(from + 2)), to->v);
    from_bytes(_mm_loadu_si128((const __m128i *)(const void *)(from + 18)), to->v + 2);
    return lp_avx2_half(from);
}

/* f16 scale, 16 bytes: elements 0 to 15 in the low halves, 16 to 31 in the high ones; less 8 */
LP_INLINE float load_q4_0(const uint8_t *from, vectors *to)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(from + 2));
    const __m128i low = _mm_set1_epi8(15), eight = _mm_set1_epi8(8);
    from_bytes(_mm_sub_epi8(_mm_and_si128(bytes, low), eight), to->v);
    from_bytes(_mm_sub_epi8(_mm_and_si128(_mm_srli_epi16(bytes, 4), low), eight), to->v + 2);
    return lp_avx2_half(from);
}

/* sum += scale w . x */
LP_INLINE void add_block(__m256 sum[2], const vectors *w, const float *x, bool scaled, __m256 scale)
{
    __m256 a = scaled ? _mm256_setzero_ps() : sum[0], b = scaled ? a : sum[1];
    a = _mm256_fmadd_ps(w->v[0], _mm256_loadu_ps(x), a);
    b = _mm256_fmadd_ps(w->v[1], _mm256_loadu_ps(x + LANES), b);
    a = _mm256_fmadd_ps(w->v[2], _mm256_loadu_ps(x + 2 * LANES), a);
    b = _mm256_fmadd_ps(w->v[3], _mm256_loadu_ps(x + 3 * LANES), b);
    sum[0] = scaled ? _mm256_fmadd_ps(scale, a, sum[0]) : a;
    sum[1] = scaled ? _mm256_fmadd_ps(scale, b, sum[1]) : b;
}

LP_INLINE void dots(load_fn load, size_t bytes, bool scaled, const void *w, const float *const x[],
                    int64_t n, float out[], int n_rows)
{
    const uint8_t *at = w;
    __m256 sums[LP_SIMD_ROWS][2];
    vectors weights;
    int64_t k = 0;
    for (int r = 0; r < n_rows; r++)
        sums[r][0] = sums[r][1] = _mm256_setzero_ps();
    for (; k + BLOCK <= n; k += BLOCK, at += bytes) {
        const __m256 scale = _mm256_set1_ps(load(at, &weights));
        for (int r = 0; r < n_rows; r++)
            add_block(sums[r], &weights, x[r] + k, scaled, scale);
    }
    if (k < n) { /* of types without blocks: the rest, filled up with zeros */
        uint8_t rest[BLOCK * sizeof(float)] = {0};
        float rest_x[BLOCK] = {0};
        memcpy(rest, at, (size_t)(n - k) * (bytes / BLOCK));
        load(rest, &weights);
        for (int r = 0; r < n_rows; r++) {
            memcpy(rest_x, x[r] + k, (size_t)(n - k) * sizeof(float));
            add_block(sums[r], &weights, rest_x, false, _mm256_setzero_ps());
        }
    }
    for (int r = 0; r < n_rows; r++)
        out[r] = lp_avx2_sum(_mm256_add_ps(sums[r][0], sums[r][1]));
}

LP_INLINE void to_f32(load_fn load, size_t bytes, const void *from, float *to, size_t n)
{
    const uint8_t *at = from;
    vectors weights;
    size_t k = 0;
    for (; k + BLOCK <= n; k += BLOCK, at += bytes) {
        const __m256 scale = _mm256_set1_ps(load(at, &weights));
        for (int i = 0; i < VECTORS; i++)
            _mm256_storeu_ps(to + k + (size_t)(LANES * i), _mm256_mul_ps(scale, weights.v[i]));
    }
    if (k < n) {
        uint8_t rest[BLOCK * sizeof(float)] = {0};
        float rest_to[BLOCK];
        memcpy(rest, at, (n - k) * (bytes / BLOCK));
        load(rest, &weights);
        for (int i = 0; i < VECTORS; i++)
            _mm256_storeu_ps(rest_to + LANES * i, weights.v[i]);
        memcpy(to + k, rest_to, (n - k) * sizeof(float));
    }
}

/* One pair of functions for each type. */
#define TYPE(name, bytes, scaled)                                                                  \
    static void dots_##name(const void *w, const float *const x[], int n_rows, int64_t n,          \
                            float out[])                                                           \
    {                                                                                              \
        LP_AVX2_ROWS(dots, n_rows, load_##name, bytes, scaled, w, x, n, out)                       \
    }                                                                                              \
    static void name##_to_f32(const void *from, float *to, size_t n)                               \
    {                                                                                              \
        to_f32(load_##name, bytes, from, to, n);                                                   \
    }

TYPE(f32, 128, false)
TYPE(f16, 64, false)
TYPE(bf16, 64, false)
TYPE(q8_0, 34, true)
TYPE(q4_0, 18, true)

/* ---- Rows of int8 */

/* 32 signed bytes of a block; returns the scale. */
typedef float (*load_bytes_fn)(const uint8_t *from, __m256i *to);

LP_INLINE float bytes_q8_0(const uint8_t *from, __m256i *to)
{
    *to = _mm256_loadu_si256((const __m256i *)(const void *)(from + 2));
    return lp_avx2_half(from);
}

LP_INLINE float bytes_q4_0(const uint8_t *from, __m256i *to)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(from + 2));
    const __m256i both = _mm256_set_m128i(_mm_srli_epi16(bytes, 4), bytes);
    *to = _mm256_sub_epi8(_mm256_and_si256(both, _mm256_set1_epi8(15)), _mm256_set1_epi8(8));
    return lp_avx2_half(from);
}

/* sum += scale w . q of a block, whose sum in integers is exact: pairs are at most 2 * 128 * 127.
 */
LP_INLINE __m256 add_bytes(__m256 sum, __m256i w, const int8_t *q, float scale)
{
    const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)q);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    return _mm256_fmadd_ps(_mm256_set1_ps(scale), _mm256_cvtepi32_ps(fours), sum);
}

LP_INLINE void int8_dots(load_bytes_fn load, size_t bytes, const void *w, const lp_int8_row x[],
                         int64_t n, float out[], int n_rows)
{
    const uint8_t *at = w;
    const int64_t n_blocks = n / BLOCK;
    __m256 even[LP_SIMD_ROWS], odd[LP_SIMD_ROWS]; /* blocks' sums: two additions at a time */
    __m256i weights;
    int64_t b = 0;
    for (int r = 0; r < n_rows; r++)
        even[r] = odd[r] = _mm256_setzero_ps();
    for (; b + 2 <= n_blocks; b += 2, at += 2 * bytes) {
        __m256i second;
        _mm_prefetch((const char *)at + AHEAD, _MM_HINT_T0);
        const float scale = load(at, &weights), second_scale = load(at + bytes, &second);
        for (int r = 0; r < n_rows; r++) {
            const int8_t *q = x[r].q + b * BLOCK;
            even[r] = add_bytes(even[r], weights, q, scale * x[r].scales[b]);
            odd[r] = add_bytes(odd[r], second, q + BLOCK, second_scale * x[r].scales[b + 1]);
        }
    }
    if (b < n_blocks) {
        const float scale = load(at, &weights);
        for (int r = 0; r < n_rows; r++)
            even[r] = add_bytes(even[r], weights, x[r].q + b * BLOCK, scale * x[r].scales[b]);
    }
    for (int r = 0; r < n_rows; r++)
        out[r] = lp_avx2_sum(_mm256_add_ps(even[r], odd[r]));
}

#define INT8_TYPE(name, bytes)                                                                     \
    static void int8_dots_##name(const void *w, const lp_int8_row x[], int n_rows, int64_t n,      \
                                 float out[])                                                      \
    {                                                                                              \
        LP_AVX2_ROWS(int8_dots, n_rows, bytes_##name, bytes, w, x, n, out)                         \
    }

INT8_TYPE(q8_0, 34)
INT8_TYPE(q4_0, 18)

static void int8_round(const float *x, int64_t n, int8_t *q, float *scales, float *sums)
{
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    for (int64_t b = 0; b < n / BLOCK; b++, x += BLOCK, q += BLOCK) {
        __m256 v[VECTORS];
        __m256i most = _mm256_setzero_si256(), whole[VECTORS];
        for (int i = 0; i < VECTORS; i++) {
            v[i] = _mm256_loadu_ps(x + LANES * i);
            most = _mm256_max_epi32(most, _mm256_and_si256(_mm256_castps_si256(v[i]), magnitude));
        }
        __m128i m = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
        m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
        m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
        scales[b] = lp_int8_scale((uint32_t)_mm_cvtsi128_si32(m));
        if (!(scales[b] > 0)) { /* infinities have no integers */
            memset(q, 0, BLOCK);
            sums[b] = 0;
            continue;
        }
        const __m256 inverse = _mm256_set1_ps(lp_int8_inverse(scales[b]));
        for (int i = 0; i < VECTORS; i++)
            whole[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
        sums[b] = lp_avx2_sum(_mm256_cvtepi32_ps(_mm256_add_epi32(
            _mm256_add_epi32(whole[0], whole[1]), _mm256_add_epi32(whole[2], whole[3]))));
        const __m256i words = _mm256_packs_epi16(_mm256_packs_epi32(whole[0], whole[1]),
                                                 _mm256_packs_epi32(whole[2], whole[3]));
        /* packing works within halves: fours of bytes are 0 2 4 6, 1 3 5 7 */
        const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        _mm256_storeu_si256((__m256i *)(void *)q, _mm256_permutevar8x32_epi32(words, order));
    }
}

/* Rows of c, a vector or two of each in registers. */
LP_INLINE void product_tile(const float *const a[], int64_t first, const float *b, int64_t b_row,
                            float *c, int64_t c_row, int64_t k, int n_rows, int n_vectors)
{
    __m256 sums[PRODUCT_ROWS][2];
    for (int r = 0; r < n_rows; r++)
        for (int v = 0; v < n_vectors; v++)
            sums[r][v] = _mm256_loadu_ps(c + r * c_row + LANES * v);
    for (int64_t i = 0; i < k; i++) {
        __m256 u[2];
        for (int v = 0; v < n_vectors; v++)
            u[v] = _mm256_loadu_ps(b + i * b_row + LANES * v);
        for (int r = 0; r < n_rows; r++) {
            const __m256 f = _mm256_broadcast_ss(a[r] + first + i);
            for (int v = 0; v < n_vectors; v++)
                sums[r][v] = _mm256_fmadd_ps(f, u[v], sums[r][v]);
        }
    }
    for (int r = 0; r < n_rows; r++)
        for (int v = 0; v < n_vectors; v++)
            _mm256_storeu_ps(c + r * c_row + LANES * v, sums[r][v]);
}

/* Any number of rows up to PRODUCT_ROWS, each with a loop of its own. */
LP_INLINE void product_rows(const float *const a[], int64_t first, const float *b, int64_t b_row,
                            float *c, int64_t c_row, int64_t k, int64_t n_rows, int n_vectors)
{
    switch (n_rows) {
    case 1:
        product_tile(a, first, b, b_row, c, c_row, k, 1, n_vectors);
        break;
    case 2:
        product_tile(a, first, b, b_row, c, c_row, k, 2, n_vectors);
        break;
    case 3:
        product_tile(a, first, b, b_row, c, c_row, k, 3, n_vectors);
        break;
    case 4:
        product_tile(a, first, b, b_row, c, c_row, k, 4, n_vectors);
        break;
    case 5:
        product_tile(a, first, b, b_row, c, c_row, k, 5, n_vectors);
        break;
    default:
        product_tile(a, first, b, b_row, c, c_row, k, PRODUCT_ROWS, n_vectors);
    }
}

/* Twelve sums in registers, for eight loads. */
static void product(const float *const a[], int64_t first, const float *b, int64_t b_row, float *c,
                    int64_t c_row, int64_t m, int64_t n, int64_t k)
{
    for (int64_t column = 0; column < n;) {
        const bool two = n - column >= 2 * LANES;
        for (int64_t r = 0; r < m; r += PRODUCT_ROWS) {
            const int64_t n_rows = m - r < PRODUCT_ROWS ? m - r : PRODUCT_ROWS;
            float *to = c + r * c_row + column;
            if (two)
                product_rows(a + r, first, b + column, b_row, to, c_row, k, n_rows, 2);
            else
                product_rows(a + r, first, b + column, b_row, to, c_row, k, n_rows, 1);
        }
        column += two ? 2 * LANES : LANES;
    }
}

/* Eight rows of eight: pairs, then pairs of pairs, then halves change places. */
LP_INLINE void transpose_eight(const float *from, int64_t from_row, float *to, int64_t to_row)
{
    __m256 x[LANES], y[LANES];
    for (int r = 0; r < LANES; r++)
        x[r] = _mm256_loadu_ps(from + r * from_row);
    for (int r = 0; r < LANES; r += 2) {
        y[r] = _mm256_unpacklo_ps(x[r], x[r + 1]);
        y[r + 1] = _mm256_unpackhi_ps(x[r], x[r + 1]);
    }
    for (int r = 0; r < LANES; r += 4)
        for (int i = 0; i < 2; i++) {
            x[r + 2 * i] = _mm256_shuffle_ps(y[r + i], y[r + i + 2], 0x44);
            x[r + 2 * i + 1] = _mm256_shuffle_ps(y[r + i], y[r + i + 2], 0xee);
        }
    for (int r = 0; r < LANES / 2; r++) {
        _mm256_storeu_ps(to + r * to_row, _mm256_permute2f128_ps(x[r], x[r + 4], 0x20));
        _mm256_storeu_ps(to + (r + 4) * to_row, _mm256_permute2f128_ps(x[r], x[r + 4], 0x31));
    }
}

static void transpose(const float *from, int64_t from_row, float *to, int64_t to_row, int64_t m,
                      int64_t n)
{
    for (int64_t r = 0; r < m; r += LANES)
        for (int64_t c = 0; c < n; c += LANES)
            transpose_eight(from + r * from_row + c, from_row, to + c * to_row + r, to_row);
}

/* exp(d) of d up to 88: Cody & Waite's reduction to half of ln 2 on either side, Taylor's
 * polynomial. 0 where it would be subnormal; NaN stays. */
LP_INLINE __m256 exp_of(__m256 d)
{
    static const float factors[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1, 1};
    const __m256 there = _mm256_cmp_ps(d, _mm256_set1_ps(-87), _CMP_NLT_UQ); /* NaN is */
    const __m256 whole = _mm256_round_ps(_mm256_mul_ps(d, _mm256_set1_ps(1.44269504f)),
                                         _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(whole, _mm256_set1_ps(0.693359375f), d);
    r = _mm256_fnmadd_ps(whole, _mm256_set1_ps(-2.12194440e-4f), r);
    __m256 y = _mm256_set1_ps(1.0f / 5040);
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
        y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(factors[i]));
    const __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(whole), 23);
    y = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(y), power));
    y = _mm256_blendv_ps(y, d, _mm256_cmp_ps(d, d, _CMP_UNORD_Q));
    return _mm256_and_ps(y, there);
}

static void exps(float *x, float largest, int64_t n)
{
    const __m256 top = _mm256_set1_ps(largest);
    for (int64_t k = 0; k < n; k += LANES)
        _mm256_storeu_ps(x + k, exp_of(_mm256_sub_ps(_mm256_loadu_ps(x + k), top)));
}

/* By e = exp(-|x|): x / (1 + e), or of a negative x what that is times e. */
LP_INLINE __m256 silu_of(__m256 x)
{
    const __m256 one = _mm256_set1_ps(1), sign = _mm256_set1_ps(-0.0f);
    const __m256 e = exp_of(_mm256_or_ps(x, sign));
    const __m256 top = _mm256_blendv_ps(x, _mm256_mul_ps(x, e), x); /* by the sign of x */
    return _mm256_div_ps(top, _mm256_add_ps(one, e));
}

static void silu(float *x, int64_t n)
{
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        _mm256_storeu_ps(x + k, silu_of(_mm256_loadu_ps(x + k)));
    if (k < n) {
        float rest[LANES] = {0};
        memcpy(rest, x + k, (size_t)(n - k) * sizeof *x);
        _mm256_storeu_ps(rest, silu_of(_mm256_loadu_ps(rest)));
        memcpy(x + k, rest, (size_t)(n - k) * sizeof *x);
    }
}

static float dot(const float *a, const float *b, int64_t n)
{
    __m256 s = _mm256_setzero_ps(), t = s;
    int64_t k = 0;
    for (; k + 2 * LANES <= n; k += 2 * LANES) {
        s = _mm256_fmadd_ps(_mm256_loadu_ps(a + k), _mm256_loadu_ps(b + k), s);
        t = _mm256_fmadd_ps(_mm256_loadu_ps(a + k + LANES), _mm256_loadu_ps(b + k + LANES), t);
    }
    float sum = lp_avx2_sum(_mm256_add_ps(s, t));
    for (; k < n; k++)
        sum += a[k] * b[k];
    return sum;
}

static void add(float *to, float factor, const float *from, int64_t n)
{
    const __m256 f = _mm256_set1_ps(factor);
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        _mm256_storeu_ps(to + k,
                         _mm256_fmadd_ps(f, _mm256_loadu_ps(from + k), _mm256_loadu_ps(to + k)));
    for (; k < n; k++)
        to[k] += factor * from[k];
}

static const lp_simd avx2 = {
    .name = "AVX2",
    .dots = {[LP_F32] = dots_f32,
             [LP_F16] = dots_f16,
             [LP_BF16] = dots_bf16,
             [LP_Q8_0] = dots_q8_0,
             [LP_Q4_0] = dots_q4_0},
    .int8_dots = {[LP_Q8_0] = int8_dots_q8_0,
                  [LP_Q4_0] = int8_dots_q4_0,
                  [LP_Q4_K] = lp_avx2_int8_dots_q4_k,
                  [LP_Q5_K] = lp_avx2_int8_dots_q5_k,
                  [LP_Q6_K] = lp_avx2_int8_dots_q6_k},
    .int8_round = int8_round,
    .to_f32 = {[LP_F32] = f32_to_f32,
               [LP_F16] = f16_to_f32,
               [LP_BF16] = bf16_to_f32,
               [LP_Q8_0] = q8_0_to_f32,
               [LP_Q4_0] = q4_0_to_f32,
               [LP_Q4_K] = lp_avx2_q4_k_to_f32,
               [LP_Q5_K] = lp_avx2_q5_k_to_f32,
               [LP_Q6_K] = lp_avx2_q6_k_to_f32},
    .product = product,
    .transpose = transpose,
    .exps = exps,
    .silu = silu,
    .dot = dot,
    .add = add,
};

const lp_simd *lp_simd_avx2(void)
{
    return &avx2;
}

#else

const lp_simd *lp_simd_avx2(void)
{
    return NULL;
}

#endif
