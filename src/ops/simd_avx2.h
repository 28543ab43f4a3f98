/* What the files of AVX2 kernels share; only they include it. */
#ifndef LP_OPS_SIMD_AVX2_H
#define LP_OPS_SIMD_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "ops/simd.h"

#define LP_INLINE static inline __attribute__((always_inline))

/* A half in the file. */
LP_INLINE float lp_avx2_half(const uint8_t *from)
{
    uint16_t half;
    memcpy(&half, from, sizeof half);
    return _cvtsh_ss(half);
}

LP_INLINE __m256i lp_avx2_bytes(const void *from)
{
    return _mm256_loadu_si256((const __m256i *)from);
}

LP_INLINE float lp_avx2_sum(__m256 x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* Calls f with the number of rows as a constant, so that each number has a loop of its own. */
#define LP_AVX2_ROWS(f, n_rows, ...)                                                               \
    switch (n_rows) {                                                                              \
    case 1:                                                                                        \
        f(__VA_ARGS__, 1);                                                                         \
        break;                                                                                     \
    case 2:                                                                                        \
        f(__VA_ARGS__, 2);                                                                         \
        break;                                                                                     \
    case 3:                                                                                        \
        f(__VA_ARGS__, 3);                                                                         \
        break;                                                                                     \
    default:                                                                                       \
        f(__VA_ARGS__, LP_SIMD_ROWS);                                                              \
    }

/* Super-blocks (simd_avx2_super.c); see lp_simd. */
#define LP_AVX2_SUPER(name)                                                                        \
    void lp_avx2_int8_dots_##name(const void *w, const lp_int8_row x[], int n_rows, int64_t n,     \
                                  float out[]);                                                    \
    void lp_avx2_##name##_to_f32(const void *from, float *to, size_t n);
LP_AVX2_SUPER(q4_k)
LP_AVX2_SUPER(q5_k)
LP_AVX2_SUPER(q6_k)
#undef LP_AVX2_SUPER

#endif
