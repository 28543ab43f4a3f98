/* The table of types: one row per type. What files hold, how it becomes f32 (the reference), and
 * how it lies in device memory.
 *
 * Device layout of a weight matrix [N, K]: rows padded with zeros to a multiple of LP_ROW_ALIGN
 * elements, in two planes so that every load is a whole aligned word: plane 0 the quants (or the
 * plain values) of all rows, then, 256-byte aligned, plane 1 the scales of all rows (those of each
 * block, each row padded to whole words; only block types). One-dimensional weights (gains, biases)
 * lie as f32 on every device. */
#ifndef LP_TENSOR_DTYPE_H
#define LP_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include "lapilli/types.h"
#include "tensor/shape.h"

#define LP_ROW_ALIGN 64 /* elements; two f16 scales of 32-element blocks fill a 32-bit word */

typedef struct lp_dtype_info {
    const char *name;
    const char *kernel; /* variant name in shaders/kernels.txt: "f16", "q8_0" … */
    int gguf_type;      /* -1: never in a file */
    uint32_t block;     /* elements per block: up to LP_ROW_ALIGN, or 256: rows are whole blocks */
    uint32_t bytes;     /* bytes per block */
    /* n elements, a multiple of `block`. NULL where it makes no sense (I32). */
    void (*to_f32)(const void *from, float *to, size_t n);
    void (*from_f32)(const float *from, void *to, size_t n);
    /* Device layout: bytes per block in plane 0 and plane 1; splits n elements into both.
     * unpack order inside a quant plane is documented at each type in dtype.c. */
    uint32_t quant_bytes, scale_bytes;
    void (*to_planes)(const void *from, uint8_t *quants, uint8_t *scales, size_t n);
} lp_dtype_info;

/* The columns of LP_DTYPES by id, so that no number is written twice. */
enum {
#define X(id, text, gguf, elements, size)                                                          \
    LP_##id##_GGUF = (gguf), LP_##id##_BLOCK = (elements), LP_##id##_BYTES = (size),
    LP_DTYPES(X)
#undef X
};

extern const lp_dtype_info lp_dtype_table[LP_N_DTYPES];

/* Numbers one by one (no blocks) that can become f32; false also for a type that is none. */
static inline bool lp_dtype_is_plain(lp_dtype dtype)
{
    return (unsigned)dtype < LP_N_DTYPES && lp_dtype_table[dtype].block == 1 &&
           lp_dtype_table[dtype].to_f32 != NULL;
}

/* Type of a GGUF type id, or LP_N_DTYPES. */
lp_dtype lp_dtype_from_gguf(uint32_t type);
/* Type by name ("Q8_0", case ignored), or LP_N_DTYPES. */
lp_dtype lp_dtype_from_name(const char *name);

/* Bytes of `shape` as files hold it (rows contiguous); -1 if the last dimension is no multiple of
 * the block or the size overflows. */
int64_t lp_dtype_file_bytes(lp_dtype dtype, lp_shape shape);

typedef struct lp_layout {
    uint64_t row_elements; /* K padded */
    uint64_t quant_row_bytes, scale_row_bytes;
    uint64_t scale_offset; /* of plane 1 from the start; 0 if there is none */
    uint64_t bytes;        /* whole tensor, a multiple of 256 */
} lp_layout;

/* Layout of a matrix of `shape` (all dimensions but the last are rows). A one-dimensional shape
 * lies as plain f32, padded in the same way. */
lp_layout lp_layout_of(lp_dtype dtype, lp_shape shape);

/* Packs rows [row0, row0 + n_rows) of the file's data into device layout: plane 0 to `quants`,
 * plane 1 to `scales` (may be NULL if there is none), both at the place of row0. */
void lp_layout_pack(lp_dtype dtype, lp_shape shape, const void *file_data, uint64_t row0,
                    uint64_t n_rows, uint8_t *quants, uint8_t *scales);

#endif
