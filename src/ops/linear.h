/* What the two CPU versions of the dense layer share: the rows that one matrix makes. */
#ifndef LP_OPS_LINEAR_H
#define LP_OPS_LINEAR_H

#include "ops/int8.h"
#include "ops/ops.h"

enum {
    LP_LINEAR_X,
    LP_LINEAR_W,
    LP_LINEAR_BIAS,
    LP_LINEAR_GATE,
    LP_LINEAR_RESIDUAL,
    LP_LINEAR_GATE_BIAS,
    LP_LINEAR_ROUTES
}; /* sources, see graph.h */

typedef struct lp_linear_rows {
    lp_view w, gate;           /* [N, K]; gate.data NULL: none */
    int64_t expert;            /* whose matrices these are; 0 if there is one */
    const int64_t *order;      /* rows of the output; NULL: all of them in order */
    int64_t n;                 /* how many */
    int64_t rows_per_x;        /* rows of the output that share a row of x */
    const lp_int8_row *x_int8; /* per row of x; NULL: x is not rounded */
} lp_linear_rows;

/* Number of the r-th of these rows in the output. */
static inline int64_t lp_linear_row(const lp_linear_rows *rows, int64_t r)
{
    return rows->order != NULL ? rows->order[r] : r;
}

/* Start of a row of f32. */
static inline float *lp_linear_floats(const lp_view *view, int64_t row)
{
    return (float *)view->data + (uint64_t)row * view->stride;
}

/* x of the r-th of these rows, [K]. */
static inline const float *lp_linear_x(const lp_cpu_call *call, const lp_linear_rows *rows,
                                       int64_t r)
{
    return lp_linear_floats(&call->src[LP_LINEAR_X], lp_linear_row(rows, r) / rows->rows_per_x);
}

/* bias[n], or of expert e bias[e, n]; 0 if there is none */
double lp_linear_bias(const lp_view *bias, int64_t e, int64_t n);

/* x rounded to int8, for the length of a call (linear_int8.c). */
typedef struct lp_linear_int8 {
    lp_int8_row *rows; /* per row of x */
    int8_t *q;
    float *scales; /* of a row, then its sums */
    float *values; /* values [rows, K]: NULL if nothing needs them */
} lp_linear_int8;

/* Rounds; where there are values, they take the place of x in the call. */
lp_status lp_linear_int8_begin(lp_cpu_call *call, lp_linear_int8 *x);
void lp_linear_int8_end(lp_linear_int8 *x);

/* Rows of a matrix that the `cpu` device serves one weight row at a time. */
bool lp_linear_is_few(const lp_cpu_call *call, int64_t n_rows);
/* The `cpu` device's version (linear_fast.c). */
void lp_linear_fast(const lp_cpu_call *call, const lp_linear_rows *rows);

#endif
