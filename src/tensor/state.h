/* Rows of states (K/V caches, the cursor, the history) and of computed tables: dim[0] of them, one
 * after the other, on every device the same bytes.
 *
 * A row of a plain type is its elements. A row of Q8_0, which only K/V caches have, is padded with
 * zeros to a multiple of LP_ROW_ALIGN elements: first all quants, then all scales, f16, one per
 * block of 32, so that every load is a whole word. A block may hold the end of one head and the
 * beginning of the next: every head size will do, and none wastes room.
 *
 * Quants are made by one rule that leaves nothing to rounding, so that equal keys and values give
 * equal bytes everywhere (shaders/kv_write_q8_0.comp is the other copy): the scale d of a block is
 * the smallest half with 127 d >= all |x|, and x becomes the nearest of -127 d … 127 d, halves away
 * from zero. All products in these comparisons are exact in f32. A block with an x that is not
 * finite, or beyond 127 times the largest half, becomes NaN. */
#ifndef LP_TENSOR_STATE_H
#define LP_TENSOR_STATE_H

#include "base/half.h"
#include "tensor/dtype.h"

/* May a K/V cache be of this type? LP_CACHE_TYPES: which, for messages. */
bool lp_is_cache_type(lp_dtype dtype);
#define LP_CACHE_TYPES "F32, F16 or Q8_0"

/* Elements from one row of `row` elements to the next. */
uint64_t lp_state_stride(lp_dtype dtype, uint64_t row);
/* Bytes of n elements: any number of a plain type, of a block type whole rows, padding included. */
uint64_t lp_state_bytes(lp_dtype dtype, uint64_t n);
/* Bytes of all rows; -1 if they do not fit in int64. */
int64_t lp_state_size(lp_dtype dtype, lp_shape shape);

/* n_rows rows of `row` elements to contiguous f32; whole numbers must be below 2^24. */
void lp_state_load(lp_dtype dtype, const void *from, uint64_t row, uint64_t n_rows, float *to);
/* One row of `row` elements. */
void lp_state_store(lp_dtype dtype, const float *from, uint64_t row, void *to);

/* The scale of element i of a row of Q8_0. */
static inline float lp_state_scale(const uint8_t *row, uint64_t stride, uint64_t i)
{
    uint16_t scale;
    memcpy(&scale, row + stride + i / LP_Q8_0_BLOCK * sizeof scale, sizeof scale);
    return lp_f16_to_f32(scale);
}

/* The element: exact, as the product of a half and a byte is. */
static inline float lp_state_quant(const uint8_t *row, uint64_t stride, uint64_t i)
{
    return lp_state_scale(row, stride, i) * (float)(int8_t)row[i];
}

#endif
