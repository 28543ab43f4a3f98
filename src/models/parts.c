/* Parts of tensors, see parts.h. All of them are one gather: a box of elements with its strides in
 * the file's tensor. */
#include "models/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Element (e, n, k) of the part is element first + e by[0] + n by[1] + k by[2] of the tensor. */
typedef struct box {
    int32_t n_dims; /* of the part; leading sizes that are no dimensions are 1 */
    int64_t size[3], by[3], first;
} box;

static lp_status fail_part(lp_context *ctx, const char *where, const lp_weight *weight)
{
    char shape[96];
    return lp_fail(ctx, LP_E_SHAPE, "%s: %s: %s %s is not made of the parts that it should have",
                   where, weight->name, weight->type, lp_shape_print(weight->shape, shape));
}

/* Which output features the part has: `count` from `first` on, every `step`-th of n. */
static bool features(const lp_hparams *hp, lp_weight_part part, int64_t n, int64_t *first,
                     int64_t *step, int64_t *count)
{
    const int64_t keys = (int64_t)hp->head_k - hp->rope.n_rotated;
    *first = 0;
    *step = 1;
    *count = n / 2;
    switch (part) {
    case LP_PART_WHOLE:
        *count = n;
        return true;
    case LP_PART_EVEN:
    case LP_PART_ODD:
        *step = 2;
        *first = part == LP_PART_ODD;
        return n % 2 == 0;
    case LP_PART_FIRST:
        return n % 2 == 0;
    case LP_PART_SECOND:
        *first = n / 2;
        return n % 2 == 0;
    case LP_PART_QUERIES:
    case LP_PART_KEYS:
    case LP_PART_VALUES:
        *count = n / 3;
        *first = (part - LP_PART_QUERIES) * *count;
        return n % 3 == 0;
    case LP_PART_HEAD_KEYS:
        *count = keys;
        return n == keys + hp->head_v;
    case LP_PART_HEAD_VALUES:
        *first = keys;
        *count = hp->head_v;
        return n == keys + hp->head_v;
    }
    return false;
}

/* False if the tensor has no such part. */
static bool find_box(const lp_hparams *hp, const lp_weight_name *row, lp_shape shape, box *b)
{
    const bool of_heads = row->part == LP_PART_HEAD_KEYS || row->part == LP_PART_HEAD_VALUES;
    int64_t n_matrices = shape.n == 3 ? shape.dim[0] : 1, first, step, count;
    int64_t n_rows = shape.n > 1 ? shape.dim[shape.n - 2] : 1, n_columns = shape.dim[shape.n - 1];
    if (of_heads) {
        n_matrices = hp->n_head;
        if (shape.n != 2 || n_rows % n_matrices != 0)
            return false;
        n_rows /= n_matrices;
    }
    const bool columns = row->form == LP_FORM_TRANSPOSED || row->form == LP_FORM_VECTORS;
    if (!features(hp, row->part, columns ? n_columns : n_rows, &first, &step, &count))
        return false;
    const int64_t matrix = n_rows * n_columns;
    const int32_t n = of_heads ? 3 : shape.n;
    if (row->form == LP_FORM_VECTORS)
        *b = (box){n, {n_matrices, n_rows, count}, {matrix, n_columns, step}, first};
    else if (row->form == LP_FORM_TRANSPOSED)
        *b = (box){n, {n_matrices, count, n_rows}, {matrix, step, n_columns}, first};
    else if (row->part == LP_PART_HEAD_KEYS) /* used from the other side */
        *b = (box){n, {n_matrices, n_columns, count}, {matrix, 1, n_columns}, 0};
    else
        *b = (box){
            n, {n_matrices, count, n_columns}, {matrix, step * n_columns, 1}, first * n_columns};
    return true;
}

/* In blocks that stay in the cache. */
static void gather(const uint8_t *from, uint8_t *to, const box *b, size_t bytes)
{
    enum { SIDE = 32 };
    const int64_t n_rows = b->size[1], n_columns = b->size[2];
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t e = 0; e < b->size[0]; e++)
        for (int64_t n0 = 0; n0 < n_rows; n0 += SIDE)
            for (int64_t k0 = 0; k0 < n_columns; k0 += SIDE)
                for (int64_t n = n0; n < n_rows && n < n0 + SIDE; n++)
                    for (int64_t k = k0; k < n_columns && k < k0 + SIDE; k++)
                        memcpy(to + (size_t)((e * n_rows + n) * n_columns + k) * bytes,
                               from +
                                   (size_t)(b->first + e * b->by[0] + n * b->by[1] + k * b->by[2]) *
                                       bytes,
                               bytes);
}

/* The whole tensor in f32. */
static lp_status unpack(lp_context *ctx, const lp_weight *weight, lp_file *memory)
{
    const size_t n = (size_t)lp_shape_elements(weight->shape);
    LP_TRY(lp_file_memory(ctx, n * sizeof(float), weight->name, memory));
    lp_dtype_table[weight->dtype].to_f32(weight->data, (float *)(uintptr_t)memory->data, n);
    return LP_OK;
}

static bool is_bytes(const lp_weight *weight)
{
    return weight->data != NULL && strcmp(weight->type, "U8") == 0;
}

/* The tensor with the exponents of `blocks`, whose shape is known to be [E, rows, n, 16]; NULL:
 * there is none. */
static const lp_weight *find_scales(const lp_weights *weights, const lp_weight *blocks)
{
    static const char ending[] = "_blocks";
    char name[256];
    const size_t stem = strlen(blocks->name) - strlen(ending);
    if (strlen(blocks->name) < strlen(ending) || strcmp(blocks->name + stem, ending) != 0 ||
        stem + sizeof "_scales" > sizeof name)
        return NULL;
    snprintf(name, sizeof name, "%.*s_scales", (int)stem, blocks->name);
    const lp_weight *scales = lp_weights_find(weights, name);
    const int64_t *size = blocks->shape.dim;
    const bool fits = scales != NULL && is_bytes(scales) &&
                      lp_shape_equal(scales->shape, LP_SHAPE3(size[0], size[1], size[2]));
    return fits ? scales : NULL;
}

/* A block of GGUF's order (dtype.c): element j in the low nibble of byte j, j + 16 in the high one.
 */
static void put_mxfp4(uint8_t *to, uint8_t scale, const uint8_t from[16])
{
    *to++ = scale;
    for (int j = 0; j < 16; j++) {
        const int shift = j % 2 * 4;
        to[j] = (uint8_t)((from[j / 2] >> shift & 15) | (from[8 + j / 2] >> shift & 15) << 4);
    }
}

/* A part of LP_FORM_MXFP4. */
static lp_status take_mxfp4(lp_context *ctx, const char *where, const lp_hparams *hp,
                            const lp_weight_name *row, lp_weights *weights, const lp_weight *blocks,
                            lp_weight *part)
{
    const lp_dtype_info *type = &lp_dtype_table[LP_MXFP4];
    const int64_t *size = blocks->shape.dim;
    int64_t first, step, count;
    if (!is_bytes(blocks) || blocks->shape.n != 4 || size[3] != 16 ||
        !features(hp, row->part, size[1], &first, &step, &count))
        return fail_part(ctx, where, blocks);
    const lp_weight *scales = find_scales(weights, blocks);
    if (scales == NULL)
        return lp_fail(ctx, LP_E_MISSING, "%s: %s has no fitting scales", where, blocks->name);
    *part = *blocks;
    part->dtype = LP_MXFP4;
    part->type = type->name;
    part->shape =
        LP_SHAPE3(size[0], count, size[2] * type->block); /* less than blocks' elements * 2 */
    part->bytes = (uint64_t)(size[0] * count * size[2]) * type->bytes;
    uint8_t *to;
    LP_TRY(lp_weights_memory(ctx, weights, part->bytes, blocks->name, &to));
    part->data = to;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t e = 0; e < size[0]; e++)
        for (int64_t n = 0; n < count; n++)
            for (int64_t k = 0; k < size[2]; k++) {
                const int64_t block = (e * size[1] + first + n * step) * size[2] + k;
                put_mxfp4(to + ((e * count + n) * size[2] + k) * type->bytes,
                          ((const uint8_t *)scales->data)[block],
                          (const uint8_t *)blocks->data + 16 * block);
            }
    return LP_OK;
}

lp_status lp_part_take(lp_context *ctx, const char *where, const lp_hparams *hp,
                       const lp_weight_name *row, lp_weights *weights, const lp_weight *weight,
                       lp_weight *part)
{
    box b;
    if (row->form == LP_FORM_MXFP4)
        return take_mxfp4(ctx, where, hp, row, weights, weight, part);
    LP_TRY(lp_weight_usable(ctx, weight));
    if (weight->bytes == 0 || weight->shape.n < 1 || weight->shape.n > 3 ||
        !find_box(hp, row, weight->shape, &b))
        return fail_part(ctx, where, weight);
    *part = *weight;
    part->shape = b.n_dims == 3   ? LP_SHAPE3(b.size[0], b.size[1], b.size[2])
                  : b.n_dims == 2 ? LP_SHAPE2(b.size[1], b.size[2])
                                  : LP_SHAPE1(b.size[2]);
    lp_file whole = {0}, memory;
    const lp_dtype_info *type = &lp_dtype_table[weight->dtype];
    const uint8_t *from = weight->data;
    size_t bytes = type->bytes;
    const int64_t n = weight->shape.dim[weight->shape.n - 1];
    if (b.by[2] == 1 && b.size[2] == n) { /* whole rows, whatever they are made of */
        bytes = (size_t)n / type->block * type->bytes;
        b = (box){b.n_dims, {b.size[0], b.size[1], 1}, {b.by[0] / n, b.by[1] / n, 1}, b.first / n};
    } else if (type->block > 1) {
        LP_TRY(unpack(ctx, weight, &whole));
        from = whole.data;
        bytes = sizeof(float);
        part->dtype = LP_F32;
        part->type = lp_dtype_table[LP_F32].name;
    }
    part->bytes = (uint64_t)b.size[0] * (uint64_t)b.size[1] * (uint64_t)b.size[2] * bytes;
    lp_status status = lp_file_memory(ctx, part->bytes, weight->name, &memory);
    if (status == LP_OK) {
        part->data = memory.data;
        gather(from, (uint8_t *)(uintptr_t)memory.data, &b, bytes);
        if ((status = lp_weights_own_file(ctx, weights, &memory)) != LP_OK)
            lp_file_close(&memory);
    }
    lp_file_close(&whole);
    return status;
}
