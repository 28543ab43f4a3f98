/* Rows of x in blocks of 32 signed bytes and a scale: what a dense layer with lp_node.p.linear.int8
 * set multiplies instead of x.
 *
 * A scale is the block's largest |x| / 127, rounded up to 16 significant bits: so its products with
 * 7-bit integers are floats, and every device that has the same integers has the same numbers. A
 * block's value is scale * q, q = x / scale rounded to nearest even, |q| <= 127: wrong by at most
 * half a scale. A block whose largest |x| is below 2^-100 is zero; one with an infinity or NaN is
 * all NaN. */
#ifndef LP_OPS_INT8_H
#define LP_OPS_INT8_H

#include <stdint.h>

#include "base/half.h"

enum { LP_INT8_BLOCK = 32 };

/* The scale of a block, from the bits of its largest |x|. */
static inline float lp_int8_scale(uint32_t largest)
{
    if (largest >= 0x7f800000u)
        return lp_bits_f32(0x7fc00000u);
    if (largest < lp_f32_bits(0x1p-100f))
        return 0;
    return lp_bits_f32((lp_f32_bits(lp_bits_f32(largest) / 127) + 0xffu) & ~0xffu);
}

/* What x is multiplied by to become integers; 0 where the scale says it all. */
static inline float lp_int8_inverse(float scale)
{
    return scale > 0 ? 1 / scale : 0;
}

/* A row [n], as it is multiplied. */
typedef struct lp_int8_row {
    const int8_t *q;     /* [n] */
    const float *scales; /* [n / 32] */
    const float *sums;   /* [n / 32]: of each block's q, for weights that have a minimum */
} lp_int8_row;

/* n elements, a multiple of the block: q [n], scales and sums [n / 32]. */
void lp_int8_round(const float *x, int64_t n, int8_t *q, float *scales, float *sums);
/* The values, exactly. */
void lp_int8_values(const int8_t *q, const float *scales, int64_t n, float *to);

#endif
