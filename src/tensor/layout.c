/* Device layout: rows padded to whole words, quants and scales in planes of their own; see dtype.h.
 * The same bytes on every device, so that what is checked on one holds on the other. */
#include "tensor/dtype.h"

#include <string.h>

enum { PLANE_ALIGN = 256 };

static uint64_t align_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* The type in device memory: vectors become f32 (integers stay as they are). */
static lp_dtype device_dtype(lp_dtype dtype, lp_shape shape)
{
    return shape.n == 1 && lp_dtype_table[dtype].to_f32 ? LP_F32 : dtype;
}

static uint64_t row_count(lp_shape shape)
{
    uint64_t rows = 1;
    for (int i = 0; i + 1 < shape.n; i++)
        rows *= (uint64_t)shape.dim[i];
    return rows;
}

lp_layout lp_layout_of(lp_dtype dtype, lp_shape shape)
{
    const lp_dtype_info *info = &lp_dtype_table[device_dtype(dtype, shape)];
    uint64_t rows = row_count(shape);
    lp_layout layout = {0};
    layout.row_elements = align_up((uint64_t)shape.dim[shape.n - 1], LP_ROW_ALIGN);
    uint64_t row_blocks = layout.row_elements / info->block;
    layout.quant_row_bytes = row_blocks * info->quant_bytes;
    layout.scale_row_bytes = align_up(row_blocks * info->scale_bytes, 4);
    layout.bytes = align_up(rows * layout.quant_row_bytes, PLANE_ALIGN);
    if (info->scale_bytes) {
        layout.scale_offset = layout.bytes;
        layout.bytes += align_up(rows * layout.scale_row_bytes, PLANE_ALIGN);
    }
    return layout;
}

void lp_layout_pack(lp_dtype dtype, lp_shape shape, const void *file_data, uint64_t row0,
                    uint64_t n_rows, uint8_t *quants, uint8_t *scales)
{
    const lp_dtype_info *file = &lp_dtype_table[dtype];
    const lp_dtype_info *device = &lp_dtype_table[device_dtype(dtype, shape)];
    const lp_layout layout = lp_layout_of(dtype, shape);
    const size_t k = (size_t)shape.dim[shape.n - 1];
    const size_t file_row_bytes = k / file->block * file->bytes;
    const size_t quant_bytes = k / device->block * device->quant_bytes;

    const uint8_t *from = (const uint8_t *)file_data + row0 * file_row_bytes;
    for (uint64_t row = 0; row < n_rows; row++, from += file_row_bytes) {
        if (device->scale_bytes) /* blocks may share words, of which the last have a part */
            memset(scales, 0, layout.scale_row_bytes);
        if (device == file)
            file->to_planes(from, quants, scales, k);
        else /* to f32, which is its own plane; every address of a row is a multiple of 4 */
            file->to_f32(from, (float *)(void *)quants, k);
        memset(quants + quant_bytes, 0, layout.quant_row_bytes - quant_bytes);
        quants += layout.quant_row_bytes;
        if (device->scale_bytes)
            scales += layout.scale_row_bytes;
    }
}
