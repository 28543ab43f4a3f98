/* Rows of signed bytes, in plain C: see int8.h. */
#include "ops/int8.h"

#include <math.h>

void lp_int8_round(const float *x, int64_t n, int8_t *q, float *scales, float *sums)
{
    for (int64_t b = 0; b < n / LP_INT8_BLOCK; b++, x += LP_INT8_BLOCK, q += LP_INT8_BLOCK) {
        uint32_t largest = 0;
        for (int i = 0; i < LP_INT8_BLOCK; i++) {
            const uint32_t bits = lp_f32_bits(x[i]) & 0x7fffffffu;
            largest = bits > largest ? bits : largest;
        }
        scales[b] = lp_int8_scale(largest);
        const float inverse = lp_int8_inverse(scales[b]);
        int sum = 0;
        for (int i = 0; i < LP_INT8_BLOCK; i++) {
            q[i] = inverse > 0 ? (int8_t)rintf(x[i] * inverse) : 0;
            sum += q[i];
        }
        sums[b] = (float)sum;
    }
}

void lp_int8_values(const int8_t *q, const float *scales, int64_t n, float *to)
{
    for (int64_t b = 0; b < n / LP_INT8_BLOCK; b++)
        for (int64_t i = b * LP_INT8_BLOCK; i < (b + 1) * LP_INT8_BLOCK; i++)
            to[i] = scales[b] * (float)q[i];
}
