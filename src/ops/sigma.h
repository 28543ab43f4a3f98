/* How large the rounding errors of an fp32 kernel are expected to be, beside the reference's
 * results (lp_cpu_call.sigma). Errors of single operations are taken as independent, so their
 * variances add, times the square of the result's derivative by what carries them.
 *
 * An operation that may be wrong by n ULP counts as an error uniform in [-n, n] ULP, a ULP as 2^-23
 * of the value, the most it can be: a standard deviation of n 2^-23 |value| / sqrt 3. What n is, is
 * in the Vulkan specification, "Precision and Operation of SPIR-V Instructions". Subnormal numbers
 * may be flushed to zero, so sigma never is below the least normal number. */
#ifndef LP_OPS_SIGMA_H
#define LP_OPS_SIGMA_H

#include <float.h>
#include <math.h>

#include "graph/graph.h"

#define LP_ULP_ROUNDING    0.5 /* + - * fma, constants */
#define LP_ULP_DIVISION    2.5
#define LP_ULP_INVERSESQRT 2.0
#define LP_ULP_EXP(x)      (3.0 + 2.0 * fabs(x))

static inline double lp_square(double x)
{
    return x * x;
}

/* Variance of an error of up to n ULP of `value`. */
static inline double lp_ulp_variance(double n, double value)
{
    return lp_square(n * 0x1p-23 * value) / 3;
}

/* Variance of one correctly rounded operation. */
static inline double lp_rounding_variance(double value)
{
    return lp_ulp_variance(LP_ULP_ROUNDING, value);
}

static inline float lp_sigma(double variance)
{
    return (float)(sqrt(variance) + (double)FLT_MIN);
}

/* Variance of a sum of n terms, one added after the other in float: every addition rounds a partial
 * sum. `sum` is theirs, `squares` that of their squares.
 *
 * Devices add in many orders. Over all of them the square of the partial sum of k terms is on
 * average k/n squares + k(k-1) / (n(n-1)) (sum^2 - squares), which adds up to (n+1) (squares/6 +
 * sum^2/3): n/2 squares for terms of either sign, n/3 sum^2 for terms of one sign. Several partial
 * sums in parallel only make it less. */
double lp_sum_variance(double n, double squares, double sum);

/* A dot product's exact sums, from which the variance in float follows. */
typedef struct lp_dot_sums {
    double sum;      /* of the products */
    double squares;  /* of their squares */
    double partials; /* of the squares of the partial sums, in the order of the elements */
} lp_dot_sums;

static inline void lp_dot_add(lp_dot_sums *sums, double product)
{
    sums->sum += product;
    sums->squares += product * product;
    sums->partials += sums->sum * sums->sum;
}

/* Products may be rounded, sums are taken in order or in an order as good as random. */
double lp_dot_variance(double n, const lp_dot_sums *sums);

/* Variance of tanh(x) as shaders/common.glsl computes it, of an exact x. */
double lp_tanh_variance(double x);

/* Variance of act(x) in float, where x itself has `variance`. */
double lp_act_variance(lp_act_kind kind, double x, double variance);

#endif
