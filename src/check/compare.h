/* Comparing two tensors: how far apart, in units of the error that rounding explains. */
#ifndef LP_CHECK_COMPARE_H
#define LP_CHECK_COMPARE_H

#include <stdbool.h>
#include "lapilli/check.h"

/* sigma [n]: expected standard deviation of each element's rounding error, as the reference computes
 * it (lp_cpu_call.sigma); NULL: the elements must be equal. An expected NaN or infinity must be met
 * exactly, up to the kind of NaN. */
lp_difference lp_compare(const float *expected, const float *got, const float *sigma, uint64_t n);

/* Do rounding errors explain the difference? (LP_SIGMA_MEAN, LP_SIGMA_LARGEST) */
bool lp_difference_agrees(const lp_difference *difference);

/* log(sum exp(x)) of n logits: what is to be subtracted of one to have a log-probability. */
double lp_log_sum_exp(const float *x, uint64_t n);

/* Kullback-Leibler divergence, in nats, of softmax(got) from softmax(expected); infinite if a logit
 * is NaN. */
double lp_kl_divergence(const float *expected, const float *got, uint64_t n);

/* Ids of the k largest of n, the largest first, the lowest id first among equals. */
void lp_top_k(const float *values, uint64_t n, uint32_t k, uint64_t *ids);

#endif
