/* Vector kernels of the `cpu` device. The judge never calls them: it has plain loops of its own.
 *
 * One table per instruction set, chosen once, when the device is opened; an entry that a set lacks
 * is NULL, and the functions below the table then take the long way over the dtype table. */
#ifndef LP_OPS_SIMD_H
#define LP_OPS_SIMD_H

#include "ops/int8.h"
#include "tensor/dtype.h"

enum {
    LP_SIMD_LANES = 8, /* numbers that widths of products are multiples of */
    LP_SIMD_ROWS = 4   /* rows of x that one pass over a weight row serves */
};

typedef struct lp_simd {
    const char *name; /* "AVX2" */
    /* out[r] = w . x[r] for n elements of a weight's row and n_rows <= LP_SIMD_ROWS rows of x. A
     * row's sum does not depend on n_rows. */
    void (*dots[LP_N_DTYPES])(const void *w, const float *const x[], int n_rows, int64_t n,
                              float out[]);
    /* The same for rows of int8 (int8.h); NULL where a type has none. */
    void (*int8_dots[LP_N_DTYPES])(const void *w, const lp_int8_row x[], int n_rows, int64_t n,
                                   float out[]);
    /* lp_int8_round(), to the bit */
    void (*int8_round)(const float *x, int64_t n, int8_t *q, float *scales, float *sums);
    /* n elements, a multiple of the type's block. */
    void (*to_f32[LP_N_DTYPES])(const void *from, float *to, size_t n);
    /* c [m, n] += a [m, k] b [k, n]: row r of a begins at a[r] + first, rows of b and c are so far
     * apart; n is a multiple of LP_SIMD_LANES. */
    void (*product)(const float *const a[], int64_t first, const float *b, int64_t b_row, float *c,
                    int64_t c_row, int64_t m, int64_t n, int64_t k);
    /* to [n, m] = from [m, n], both multiples of LP_SIMD_LANES */
    void (*transpose)(const float *from, int64_t from_row, float *to, int64_t to_row, int64_t m,
                      int64_t n);
    /* x = exp(x - largest) of n numbers, a multiple of LP_SIMD_LANES, none of them larger: within 3
     * units in the last place, 0 where it would be subnormal; NaN stays. */
    void (*exps)(float *x, float largest, int64_t n);
    /* x = x / (1 + exp(-x)) */
    void (*silu)(float *x, int64_t n);
    float (*dot)(const float *a, const float *b, int64_t n);
    /* to += factor from */
    void (*add)(float *to, float factor, const float *from, int64_t n);
} lp_simd;

/* The best that this processor has; never NULL. */
const lp_simd *lp_simd_choose(void);
/* Plain C, for any processor. */
extern const lp_simd lp_simd_portable;
/* NULL where the library was built for another processor. */
const lp_simd *lp_simd_avx2(void);

/* As the entries of the table, for every type. */
void lp_simd_dots(const lp_simd *simd, lp_dtype dtype, const void *w, const float *const x[],
                  int n_rows, int64_t n, float out[]);
void lp_simd_to_f32(const lp_simd *simd, lp_dtype dtype, const void *from, float *to, size_t n);

#endif
