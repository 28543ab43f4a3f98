/* Which vector kernels there are, and the portable ones: see simd.h. */
#include "ops/simd.h"

#include <math.h>
#include <stdbool.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/half.h"

enum { CHUNK = 256 /* elements dequantised at a time, a multiple of every block */ };

static float dot(const float *a, const float *b, int64_t n)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void add(float *to, float factor, const float *from, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        to[i] += factor * from[i];
}

static void product(const float *const a[], int64_t first, const float *b, int64_t b_row, float *c,
                    int64_t c_row, int64_t m, int64_t n, int64_t k)
{
    for (int64_t r = 0; r < m; r++)
        for (int64_t i = 0; i < k; i++)
            add(c + r * c_row, a[r][first + i], b + i * b_row, n);
}

static void transpose(const float *from, int64_t from_row, float *to, int64_t to_row, int64_t m,
                      int64_t n)
{
    for (int64_t r = 0; r < m; r++)
        for (int64_t c = 0; c < n; c++)
            to[c * to_row + r] = from[r * from_row + c];
}

static void exps(float *x, float largest, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = expf(x[i] - largest);
}

static void silu(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] / (1 + expf(-x[i]));
}

/* Without branches, so that compilers make vectors of it; exact, subnormals and NaN included. */
static void halves_to_f32(const void *from, float *to, size_t n)
{
    const uint16_t *halves = from;
    for (size_t i = 0; i < n; i++) {
        const uint32_t h = halves[i], low = (h & 0x7fffu) << 13;
        const float x = lp_bits_f32(low) * 0x1p112f;
        const uint32_t special = low >= 0x0f800000u ? low | 0x70000000u : lp_f32_bits(x);
        to[i] = lp_bits_f32(special | (h & 0x8000u) << 16);
    }
}

const lp_simd lp_simd_portable = {.name = "portable",
                                  .int8_round = lp_int8_round,
                                  .to_f32 = {[LP_F16] = halves_to_f32},
                                  .product = product,
                                  .transpose = transpose,
                                  .exps = exps,
                                  .silu = silu,
                                  .dot = dot,
                                  .add = add};

#if defined(__x86_64__)
/* clang 14's __builtin_cpu_supports() does not know it. */
static bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

const lp_simd *lp_simd_choose(void)
{
#if defined(__x86_64__)
    if (lp_simd_avx2() != NULL && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        has_f16c())
        return lp_simd_avx2();
#endif
    return &lp_simd_portable;
}

void lp_simd_to_f32(const lp_simd *simd, lp_dtype dtype, const void *from, float *to, size_t n)
{
    (simd->to_f32[dtype] != NULL ? simd->to_f32[dtype] : lp_dtype_table[dtype].to_f32)(from, to, n);
}

void lp_simd_dots(const lp_simd *simd, lp_dtype dtype, const void *w, const float *const x[],
                  int n_rows, int64_t n, float out[])
{
    const lp_dtype_info *info = &lp_dtype_table[dtype];
    float part[CHUNK];
    if (simd->dots[dtype] != NULL) {
        simd->dots[dtype](w, x, n_rows, n, out);
        return;
    }
    for (int r = 0; r < n_rows; r++)
        out[r] = 0;
    for (int64_t k = 0; k < n; k += CHUNK) {
        const int64_t count = n - k < CHUNK ? n - k : CHUNK;
        lp_simd_to_f32(simd, dtype, (const char *)w + (uint64_t)k / info->block * info->bytes, part,
                       (size_t)count);
        for (int r = 0; r < n_rows; r++)
            out[r] += simd->dot(part, x[r] + k, count);
    }
}
