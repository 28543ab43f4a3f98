/* Moments and their errors: see moments.h. Variances are taken in a second pass around the mean:
 * E[x^2] - E[x]^2 loses everything where |mean| is large. */
#include "ops/moments.h"

#include "ops/sigma.h"

lp_moments lp_moments_of(const float *a, int64_t n, bool centred, double eps)
{
    lp_moments m = {0};
    for (int64_t i = 0; i < n && centred; i++)
        m.mean += (double)a[i];
    m.mean /= (double)n;
    for (int64_t i = 0; i < n; i++)
        m.variance += ((double)a[i] - m.mean) * ((double)a[i] - m.mean);
    m.variance /= (double)n;
    m.scale = 1 / sqrt(m.variance + eps);
    return m;
}

/* Variance of the error of a mean. A device keeps it as a float and the mean of what is left after
 * it (shaders/norm.comp): what counts is the error of the second, of n terms a - mean, to each of
 * which the first adds its own error. The terms are rounded, and not always independently: rows
 * that are sums of halves have only zeros in their low bits, so all roundings go the way of the
 * mean's. */
static double mean_variance(const float *a, int64_t n, const lp_moments *m)
{
    const double count = (double)n, sum = count * m->mean;
    double squares = 0;
    for (int64_t i = 0; i < n; i++)
        squares += lp_square((double)a[i]);
    const double first = lp_sum_variance(count, squares, sum) / lp_square(count) +
                         lp_ulp_variance(LP_ULP_DIVISION, m->mean);
    return lp_sum_variance(count, count * m->variance, 0) / lp_square(count) +
           lp_sum_variance(count, 0, 1) * first + lp_rounding_variance(1) * m->variance;
}

lp_moments_error lp_moments_error_of(const float *a, int64_t n, const lp_moments *m, bool centred)
{
    lp_moments_error error = {.mean = centred ? mean_variance(a, n, m) : 0};
    const double count = (double)n;
    double fourths = 0; /* sum of (a - mean)^4 */
    for (int64_t i = 0; i < n; i++)
        fourths += lp_square(lp_square((double)a[i] - m->mean));
    /* Errors of the squares' sum: additions; products; the mean's error, whose square it takes up.
     */
    const double in_variance =
        (lp_sum_variance(count, fourths, count * m->variance) + lp_rounding_variance(1) * fourths) /
            lp_square(count) +
        lp_square(error.mean) + lp_square((double)FLT_MIN);
    /* 1 / sqrt(): half the relative error; sqrt is 1 / inversesqrt. */
    error.scale = in_variance * lp_square(lp_square(m->scale)) / 4 +
                  lp_ulp_variance(LP_ULP_INVERSESQRT, 1) + 3 * lp_ulp_variance(LP_ULP_DIVISION, 1) +
                  lp_rounding_variance(1);
    return error;
}

double lp_normalised_variance(double a, const lp_moments *m, const lp_moments_error *error,
                              double gain, double bias)
{
    const double d = a - m->mean, by_gain = m->scale * gain;
    /* a - mean is rounded twice, and so are the products */
    const double variance = error->mean + lp_square((double)FLT_MIN) +
                            lp_square(d) * (error->scale + 4 * lp_rounding_variance(1));
    return lp_square(by_gain) * variance + 2 * lp_rounding_variance(d * by_gain + bias);
}
