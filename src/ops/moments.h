/* What the norms share: mean and variance of numbers, and how wrong a float kernel's are. */
#ifndef LP_OPS_MOMENTS_H
#define LP_OPS_MOMENTS_H

#include <stdbool.h>
#include <stdint.h>

/* What numbers are normalised with: (a - mean) scale, scale = 1 / sqrt(variance + eps). */
typedef struct lp_moments {
    double mean, variance, scale;
} lp_moments;

/* Of n numbers; not `centred`: around 0. */
lp_moments lp_moments_of(const float *a, int64_t n, bool centred, double eps);

/* Variances of the errors of a mean, and of the scale relative to it. */
typedef struct lp_moments_error {
    double mean, scale;
} lp_moments_error;

lp_moments_error lp_moments_error_of(const float *a, int64_t n, const lp_moments *m, bool centred);

/* Variance of (a - mean) scale gain + bias in float. */
double lp_normalised_variance(double a, const lp_moments *m, const lp_moments_error *error,
                              double gain, double bias);

#endif
