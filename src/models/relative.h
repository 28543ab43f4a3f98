/* Relative positions of T5 (Raffel et al. 2020, arXiv:1910.10683, section 2.1): how far a key
 * stands from a query decides on a bucket, and each bucket has one bias per head. */
#ifndef LP_MODELS_RELATIVE_H
#define LP_MODELS_RELATIVE_H

#include <stdbool.h>
#include <stdint.h>

/* Bucket of a key `ahead` tokens after the query (negative: before it). One half of the buckets is
 * for single distances, the other for distances up to max_distance that grow by a constant factor;
 * what is farther away goes into the last one. both_ways: half of all buckets is for keys ahead; if
 * not, those share bucket 0. n_buckets >= 4, max_distance > n_buckets / 2. */
uint32_t lp_relative_bucket(int64_t ahead, bool both_ways, uint32_t n_buckets,
                            uint32_t max_distance);

/* The biases of buckets [n_buckets, n_heads] by distance: table [n_heads, 2 reach + 1], element
 * reach + d of a row for keys d tokens ahead. */
void lp_relative_table(const float *biases, uint32_t n_buckets, uint32_t n_heads, bool both_ways,
                       uint32_t max_distance, uint32_t reach, float *table);

#endif
