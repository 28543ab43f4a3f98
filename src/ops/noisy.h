/* Numbers with the variance of their error in float (sigma.h), for references of recurrent layers,
 * whose errors are handed on from token to token. Errors of two operands are taken as independent.
 */
#ifndef LP_OPS_NOISY_H
#define LP_OPS_NOISY_H

#include "ops/ops.h"
#include "ops/sigma.h"

typedef struct lp_noisy {
    double value, variance;
} lp_noisy;

static inline lp_noisy lp_noisy_act(lp_act_kind act, lp_noisy a)
{
    return (lp_noisy){lp_act_exact(act, a.value), lp_act_variance(act, a.value, a.variance)};
}

static inline lp_noisy lp_noisy_product(lp_noisy a, lp_noisy b)
{
    const double value = a.value * b.value;
    return (lp_noisy){value, lp_square(a.value) * b.variance + lp_square(b.value) * a.variance +
                                 lp_rounding_variance(value)};
}

static inline lp_noisy lp_noisy_sum(lp_noisy a, lp_noisy b)
{
    return (lp_noisy){a.value + b.value,
                      a.variance + b.variance + lp_rounding_variance(a.value + b.value)};
}

/* 1 - a */
static inline lp_noisy lp_noisy_rest(lp_noisy a)
{
    return (lp_noisy){1 - a.value, a.variance + lp_rounding_variance(1 - a.value)};
}

#endif
