/* Expected rounding errors of sums and activations: see sigma.h. */
#include "ops/sigma.h"

#include "ops/ops.h"

double lp_sum_variance(double n, double squares, double sum)
{
    return lp_rounding_variance(1) * (n + 1) * (squares / 6 + lp_square(sum) / 3);
}

double lp_dot_variance(double n, const lp_dot_sums *sums)
{
    /* Long runs of one sign (heads with a bias, one after the other) make partial sums in order
     * larger than in a random one. */
    const double in_order = lp_rounding_variance(1) * sums->partials;
    const double products = lp_rounding_variance(1) * sums->squares;
    return products + fmax(in_order, lp_sum_variance(n, sums->squares, sums->sum)) +
           lp_square(n * (double)FLT_MIN); /* every product may be flushed to zero */
}

/* x sigmoid(+-a) as shaders/common.glsl has it, t / (1 + t) or 1 / (1 + t) with t = exp(-a): exp()
 * gets an argument that is never positive, so nothing cancels. `a` >= 0 has gone through
 * n_roundings. */
static double sigmoid_variance(double x, double y, double a, double n_roundings)
{
    const double t = exp(-a), share = (x < 0 ? 1 : t) / (1 + t); /* of t's relative error in y's */
    const double relative_t =
        lp_ulp_variance(LP_ULP_EXP(a), 1) + n_roundings * lp_rounding_variance(a);
    return lp_square(y) * (lp_square(share) * relative_t + lp_ulp_variance(LP_ULP_DIVISION, 1) +
                           2 * lp_rounding_variance(1)) +
           lp_square(x * (double)FLT_MIN); /* t below the least normal number */
}

double lp_tanh_variance(double x)
{
    const double a = fabs(x), y = tanh(a), t = exp(-2 * a);
    if (a < 0.624) /* a polynomial */
        return lp_ulp_variance(1, y);
    return lp_square(2 * t / lp_square(1 + t)) * lp_ulp_variance(LP_ULP_EXP(2 * a), 1) +
           lp_rounding_variance(1 - t) + lp_rounding_variance(y) +
           lp_ulp_variance(LP_ULP_DIVISION, y);
}

/* x times the normal distribution function by Abramowitz & Stegun 7.1.26: the polynomial's own
 * error is 1.5e-7 of erf, and at most 0.4 of what is left to 1 where that is smaller. */
static double gelu_erf_variance(double x, double y)
{
    const double z2 = x * x / 2, tail = 0.5 * erfc(sqrt(z2));
    const double polynomial = fmin(0.75e-7, 0.4 * tail);
    const double relative = lp_ulp_variance(LP_ULP_EXP(z2), 1) + 9 * lp_rounding_variance(z2) +
                            lp_ulp_variance(2 * LP_ULP_DIVISION, 1);
    const double distribution = tail > 0 ? lp_square(tail) * relative : 0;
    return lp_square(x) * (distribution + lp_square(polynomial) / 3) + 2 * lp_rounding_variance(y) +
           lp_square(x * (double)FLT_MIN);
}

double lp_act_variance(lp_act_kind kind, double x, double variance)
{
    /* The derivative as the steeper of two difference quotients over four standard deviations:
     * right at kinks, and where the slope changes within the error. */
    const double y = lp_act_exact(kind, x), step = 4 * sqrt(variance);
    const double up = fabs(lp_act_exact(kind, x + step) - y) / 4;
    const double down = fabs(lp_act_exact(kind, x - step) - y) / 4;
    double own = 0, a;
    switch (kind) {
    case LP_ACT_GELU_ERF:
        own = gelu_erf_variance(x, y);
        break;
    case LP_ACT_GELU_TANH:
        a = 2 * sqrt(2 / acos(-1.0)) * fabs(x + 0.044715 * x * x * x);
        own = sigmoid_variance(x, y, a, 7);
        break;
    case LP_ACT_GELU_QUICK:
        own = sigmoid_variance(x, y, fabs(1.702 * x), 2);
        break;
    case LP_ACT_SILU:
        own = sigmoid_variance(x, y, fabs(x), 0);
        break;
    case LP_ACT_TANH:
        own = lp_tanh_variance(x);
        break;
    case LP_ACT_SIGMOID:
        own = sigmoid_variance(x < 0 ? -1 : 1, y, fabs(x), 0);
        break;
    case LP_ACT_RELU_SQUARED:
        own = lp_rounding_variance(y);
        break;
    case LP_ACT_CLAMP:
    case LP_ACT_CLAMP_ABOVE:
    case LP_ACT_RELU:
    case LP_ACT_NONE:
    case LP_N_ACTS:
        break;
    }
    return lp_square(fmax(up, down)) + own;
}
