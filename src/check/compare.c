/* Comparing two tensors: see compare.h. One pass, in double. */
#include "check/compare.h"

#include <math.h>
#include <string.h>

#include "graph/plan.h" /* the gates */

/* Floats in their order as integers, so that neighbours differ by 1. */
static int64_t ordinal(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? -(int64_t)(bits & INT32_MAX) : bits;
}

static double distance(float expected, float got, double sigma)
{
    if (expected == got || (isnan(expected) && isnan(got)))
        return 0;
    double d = fabs((double)expected - (double)got);
    return isfinite(d) && sigma > 0 ? d / sigma : INFINITY;
}

lp_difference lp_compare(const float *expected, const float *got, const float *sigma, uint64_t n)
{
    lp_difference r = {.n = n};
    double error = 0, squares = 0, got_squares = 0, product = 0, mean = 0;
    for (uint64_t i = 0; i < n; i++) {
        const double a = (double)expected[i], b = (double)got[i];
        const double s = sigma != NULL ? (double)sigma[i] : 0, z = distance(expected[i], got[i], s);
        r.n_nan += isnan(got[i]) != 0;
        r.n_inf += isinf(got[i]) != 0;
        mean += z * z;
        if (z > r.largest || i == 0) {
            r.largest = z;
            r.worst = i;
            r.expected = a;
            r.got = b;
            r.sigma = s;
        }
        if (isfinite(a) && !isfinite(b))
            error = INFINITY;
        if (!isfinite(a) || !isfinite(b))
            continue;
        error += (a - b) * (a - b);
        squares += a * a;
        got_squares += b * b;
        product += a * b;
        r.max_abs = fmax(r.max_abs, fabs(a - b));
        r.max_ulp = fmax(r.max_ulp, fabs((double)(ordinal(expected[i]) - ordinal(got[i]))));
    }
    r.mean_square = n > 0 ? mean / (double)n : 0;
    r.nmse = error == 0 ? 0 : squares > 0 ? error / squares : INFINITY;
    if (squares > 0 && got_squares > 0)
        r.cosine = product / sqrt(squares) / sqrt(got_squares);
    else
        r.cosine = squares == got_squares;
    return r;
}

bool lp_difference_agrees(const lp_difference *d)
{
    return d->mean_square <= LP_SIGMA_MEAN && d->largest <= LP_SIGMA_LARGEST;
}

double lp_log_sum_exp(const float *x, uint64_t n)
{
    double most = -INFINITY, sum = 0;
    for (uint64_t i = 0; i < n; i++)
        most = fmax(most, (double)x[i]);
    for (uint64_t i = 0; i < n; i++)
        sum += exp((double)x[i] - most);
    return most + log(sum);
}

double lp_kl_divergence(const float *expected, const float *got, uint64_t n)
{
    const double zp = lp_log_sum_exp(expected, n), zq = lp_log_sum_exp(got, n);
    double kl = 0;
    for (uint64_t i = 0; i < n; i++) {
        const double p = (double)expected[i] - zp, q = (double)got[i] - zq;
        if (p > -700) /* below, exp(p) p is 0 */
            kl += exp(p) * (p - q);
    }
    return isnan(kl) ? INFINITY : fmax(kl, 0);
}

void lp_top_k(const float *values, uint64_t n, uint32_t k, uint64_t *ids)
{
    for (uint32_t found = 0; found < k; found++) {
        uint64_t best = n;
        for (uint64_t i = 0; i < n; i++) {
            bool taken = false;
            for (uint32_t j = 0; j < found; j++)
                taken = taken || ids[j] == i;
            if (!taken && (best == n || values[i] > values[best]))
                best = i;
        }
        ids[found] = best;
    }
}
