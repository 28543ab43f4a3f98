/* Buckets of relative positions, see relative.h. */
#include "models/relative.h"

#include <math.h>

uint32_t lp_relative_bucket(int64_t ahead, bool both_ways, uint32_t n_buckets,
                            uint32_t max_distance)
{
    uint32_t first = 0, n = n_buckets;
    if (both_ways) {
        n /= 2;
        first = ahead > 0 ? n : 0;
    } else if (ahead > 0) {
        return 0;
    }
    const int64_t distance = ahead < 0 ? -ahead : ahead;
    const uint32_t n_single = n / 2;
    if (distance < (int64_t)n_single)
        return first + (uint32_t)distance;
    const double share = log((double)distance / n_single) / log((double)max_distance / n_single);
    const double bucket = n_single + floor(share * (n - n_single));
    return first + (bucket < n - 1 ? (uint32_t)bucket : n - 1);
}

void lp_relative_table(const float *biases, uint32_t n_buckets, uint32_t n_heads, bool both_ways,
                       uint32_t max_distance, uint32_t reach, float *table)
{
    const uint64_t n = 2ull * reach + 1;
    for (uint64_t i = 0; i < n; i++) {
        const uint32_t bucket =
            lp_relative_bucket((int64_t)i - reach, both_ways, n_buckets, max_distance);
        for (uint32_t h = 0; h < n_heads; h++)
            table[h * n + i] = biases[(uint64_t)bucket * n_heads + h];
    }
}
