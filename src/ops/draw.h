/* Arithmetic of drawing tokens that gives the same bits everywhere: what the sample op's reference,
 * its shader (shaders/sample.glsl) and the sampler of the host (src/text/sampler.h) have in common.
 */
#ifndef LP_OPS_DRAW_H
#define LP_OPS_DRAW_H

#include <stdint.h>

#define LP_MASS_ONE 0x40000000u /* of the largest logit: exp(0) */

/* NaN is -inf, +inf the largest finite number, subnormal numbers are 0. */
float lp_draw_clean(float x);

/* a / b, nearest even; 0 if it would be subnormal. */
float lp_draw_quotient(float a, float b);

/* floor(exp(d) 2^30) of d <= 0, with an error of about 2^-23 of itself; 0 below -21. */
uint32_t lp_draw_mass(float d);

/* Philox4x32-10 (Salmon et al. 2011). */
void lp_draw_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* floor(a b / 2^64) */
uint64_t lp_draw_multiply_high(uint64_t a, uint64_t b);

/* The share of a total, share being cut to a multiple of 2^-24; 0 for a negative one. */
uint64_t lp_draw_share(uint64_t total, float share);

/* The k-th largest (k >= 1) of n values, which are reordered. */
float lp_draw_select_largest(float *v, int64_t n, int64_t k);

#endif
