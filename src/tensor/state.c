/* Rows of states: see state.h. */
#include "tensor/state.h"

#include <math.h>

enum { HALF_NAN = 0x7e00 };

bool lp_is_cache_type(lp_dtype dtype)
{
    return dtype == LP_F32 || dtype == LP_F16 || dtype == LP_Q8_0;
}

uint64_t lp_state_stride(lp_dtype dtype, uint64_t row)
{
    if (lp_dtype_table[dtype].block == 1)
        return row;
    return (row + LP_ROW_ALIGN - 1) / LP_ROW_ALIGN * LP_ROW_ALIGN;
}

uint64_t lp_state_bytes(lp_dtype dtype, uint64_t n)
{
    const lp_dtype_info *info = &lp_dtype_table[dtype];
    return n / info->block * info->bytes;
}

int64_t lp_state_size(lp_dtype dtype, lp_shape shape)
{
    if (lp_shape_elements(shape) < 0)
        return -1;
    const uint64_t stride = lp_state_stride(dtype, (uint64_t)lp_shape_row(shape));
    if (stride > (UINT64_C(1) << 31) || shape.dim[0] > INT32_MAX)
        return lp_dtype_file_bytes(dtype, shape); /* no cache is that large */
    return (int64_t)((uint64_t)shape.dim[0] * lp_state_bytes(dtype, stride));
}

void lp_state_load(lp_dtype dtype, const void *from, uint64_t row, uint64_t n_rows, float *to)
{
    const lp_dtype_info *info = &lp_dtype_table[dtype];
    const uint64_t n = n_rows * row;
    if (info->block > 1) {
        const uint64_t stride = lp_state_stride(dtype, row);
        for (uint64_t i = 0; i < n; i++) {
            const uint8_t *at = (const uint8_t *)from + i / row * lp_state_bytes(dtype, stride);
            to[i] = lp_state_quant(at, stride, i % row);
        }
    } else if (info->to_f32 != NULL) {
        info->to_f32(from, to, n);
    } else {
        for (uint64_t i = 0; i < n; i++) {
            int32_t whole;
            memcpy(&whole, (const uint8_t *)from + 4 * i, 4);
            to[i] = (float)whole;
        }
    }
}

/* ---- Quants -------------------------------------------------------------------------------- */

/* The bits of 127 d; those of numbers that are not negative are in their order. */
static uint32_t reach(uint32_t scale)
{
    return lp_f32_bits(127 * lp_f16_to_f32((uint16_t)scale));
}

/* The scale of a block. largest: bits of its largest |x|. */
static uint32_t scale_of(uint32_t largest)
{
    if (largest > lp_f32_bits(127 * 65504.0f))
        return HALF_NAN;
    const uint32_t near = lp_f32_to_f16(lp_bits_f32(largest) * (1.0f / 127));
    return near + (reach(near) < largest);
}

/* The quant of x: largest q with (q - 1/2) d <= |x|, and x's sign. */
static int8_t quant_of(float x, uint32_t scale)
{
    if (scale == 0 || scale == HALF_NAN)
        return scale != 0;
    const float d = lp_f16_to_f32((uint16_t)scale);
    const uint32_t size = lp_f32_bits(x) & 0x7fffffffu;
    float q = floorf(lp_bits_f32(size) / d + 0.5f);
    if (lp_f32_bits((q + 0.5f) * d) <= size)
        q++;
    else if (q > 0 && lp_f32_bits((q - 0.5f) * d) > size)
        q--;
    return (int8_t)(lp_f32_bits(x) >> 31 ? -q : q);
}

void lp_state_store(lp_dtype dtype, const float *from, uint64_t row, void *to)
{
    const lp_dtype_info *info = &lp_dtype_table[dtype];
    if (info->block == 1) {
        info->from_f32(from, to, row);
        return;
    }
    const uint64_t stride = lp_state_stride(dtype, row);
    int8_t *quants = to;
    for (uint64_t first = 0; first < stride; first += LP_Q8_0_BLOCK) {
        const uint64_t left = first < row ? row - first : 0;
        const uint64_t n = left < LP_Q8_0_BLOCK ? left : LP_Q8_0_BLOCK;
        uint32_t largest = 0;
        for (uint64_t i = first; i < first + n; i++) {
            const uint32_t size = lp_f32_bits(from[i]) & 0x7fffffffu; /* NaN is the largest */
            largest = size > largest ? size : largest;
        }
        const uint32_t scale = scale_of(largest);
        for (uint64_t i = first; i < first + LP_Q8_0_BLOCK; i++)
            quants[i] = quant_of(i < row ? from[i] : 0, scale);
        const uint16_t half = (uint16_t)scale;
        memcpy(quants + stride + first / LP_Q8_0_BLOCK * sizeof half, &half, sizeof half);
    }
}
