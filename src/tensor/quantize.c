/* Weights in another type, see quantize.h. The rules which tensors change are those of llama.cpp's
 * llama-quantize and convert_hf_to_gguf.py, and the blocks are the same, bit for bit (dtype.c,
 * blocks.c), but for MXFP4, where the scale is the better one of two, and the types whose scales
 * are searched for, where the search is another (super_fit.c). */
#include "tensor/quantize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (4u << 20) /* bytes of f32 at a time */

static bool contains(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

bool lp_quantize_applies(const char *name, lp_shape shape)
{
    static const char *const kept[] = {"_norm.weight", "ffn_gate_inp", "position_embd",
                                       "token_types",  "attn_rel_b",   "rope_f"};
    size_t n = strlen(name);
    if (shape.n < 2 || n < 6 || strcmp(name + n - 6, "weight") != 0)
        return false;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (contains(name, kept[i]))
            return false;
    return true;
}

/* What takes the place of a type where rows are no multiple of its block, as in llama.cpp. */
static lp_dtype for_narrow(lp_dtype type)
{
    switch (type) {
    case LP_Q2_K:
    case LP_Q3_K:
    case LP_IQ4_XS:
        return LP_IQ4_NL;
    case LP_Q4_K:
        return LP_Q5_0;
    case LP_Q5_K:
        return LP_Q5_1;
    case LP_Q6_K:
        return LP_Q8_0;
    case LP_TQ1_0:
    case LP_TQ2_0:
        return LP_Q4_0;
    default:
        return LP_F16;
    }
}

/* What takes the place of a type where it is wanted finely. */
static lp_dtype for_fine(lp_dtype type)
{
    const uint32_t block = lp_dtype_table[type].block;
    return block > LP_ROW_ALIGN ? LP_Q6_K : block > 1 ? LP_Q8_0 : type;
}

lp_dtype lp_quantize_type(lp_shape shape, lp_dtype type, bool finely)
{
    if (finely)
        type = for_fine(type);
    while (shape.dim[shape.n - 1] % lp_dtype_table[type].block)
        type = for_narrow(type);
    return type;
}

bool lp_quantize_mixes(lp_dtype type)
{
    return type == LP_Q4_K || type == LP_Q5_K;
}

bool lp_quantize_is_finer(const char *name, uint32_t n_layers)
{
    unsigned i;
    int end = 0;
    if (sscanf(name, "blk.%u.%n", &i, &end) != 1 || end == 0 || i >= n_layers)
        return false;
    const char *part = name + end;
    if (strncmp(part, "attn_v.", 7) != 0 && strncmp(part, "ffn_down", 8) != 0)
        return false;
    const uint32_t eighth = n_layers / 8;
    return i < eighth || i >= (uint64_t)n_layers * 7 / 8 || (i - eighth) % 3 == 2;
}

uint32_t lp_gguf_file_type(lp_dtype type, bool mixed)
{
    static const uint32_t numbers[LP_N_DTYPES] = {
        [LP_F32] = 0,    [LP_F16] = 1,    [LP_Q4_0] = 2,    [LP_Q4_1] = 3,    [LP_Q8_0] = 7,
        [LP_Q5_0] = 8,   [LP_Q5_1] = 9,   [LP_Q2_K] = 10,   [LP_Q3_K] = 11,   [LP_Q4_K] = 14,
        [LP_Q5_K] = 16,  [LP_Q6_K] = 18,  [LP_IQ4_NL] = 25, [LP_IQ4_XS] = 30, [LP_BF16] = 32,
        [LP_TQ1_0] = 36, [LP_TQ2_0] = 37, [LP_MXFP4] = 38};
    return numbers[type] + (mixed && lp_quantize_mixes(type));
}

/* Rows [first, first + n) of the result, of k elements, through `values` [n, k]. */
static void convert_rows(const lp_weight *weight, lp_dtype type, lp_row_order rows, uint64_t k,
                         uint64_t first, uint64_t n, float *values, uint8_t *result)
{
    const lp_dtype_info *from = &lp_dtype_table[weight->dtype], *to = &lp_dtype_table[type];
    const uint64_t from_bytes = k / from->block * from->bytes, to_bytes = k / to->block * to->bytes;
#pragma omp parallel for schedule(static)
    for (uint64_t i = 0; i < n; i++) {
        uint64_t source = rows.order ? rows.order(rows.user, first + i) : first + i;
        const uint8_t *data = (const uint8_t *)weight->data + source * from_bytes;
        if (type == weight->dtype) {
            memcpy(result + i * to_bytes, data, to_bytes);
        } else {
            from->to_f32(data, values + i * k, k);
            to->from_f32(values + i * k, result + i * to_bytes, k);
        }
    }
}

lp_status lp_quantize_write(lp_context *ctx, lp_gguf_writer *writer, const lp_weight *weight,
                            lp_dtype type, lp_row_order rows, uint64_t *written, uint64_t total,
                            lp_progress_fn progress, void *user)
{
    const lp_dtype_info *to = &lp_dtype_table[type];
    const uint64_t n = (uint64_t)lp_shape_elements(weight->shape);
    if (n == 0)
        return LP_OK;
    const int last = weight->shape.n - 1; /* elements of a bias change places like rows */
    const uint64_t k = last == 0 && rows.order ? 1 : (uint64_t)weight->shape.dim[last];
    const uint64_t n_rows = n / k;
    const uint64_t from_bytes = weight->bytes / n_rows, to_bytes = k / to->block * to->bytes;
    uint64_t step = CHUNK / (k * sizeof(float));
    step = step == 0 ? 1 : step < n_rows ? step : n_rows;
    float *values = malloc(step * k * sizeof(float));
    uint8_t *result = malloc(step * to_bytes);
    lp_status status = values && result ? LP_OK : lp_fail_memory(ctx, weight->name);
    for (uint64_t row = 0; row < n_rows && status == LP_OK; row += step) {
        uint64_t count = row + step < n_rows ? step : n_rows - row;
        convert_rows(weight, type, rows, k, row, count, values, result);
        status = lp_gguf_data(writer, result, count * to_bytes);
        if (!rows.order) /* otherwise neighbours may still be needed */
            lp_file_forget((const uint8_t *)weight->data + row * from_bytes, count * from_bytes);
        *written += count * from_bytes;
        if (status == LP_OK && progress && progress(user, *written, total) != 0)
            status = lp_fail(ctx, LP_E_CANCELLED, "cancelled");
    }
    lp_file_forget(weight->data, weight->bytes);
    free(values);
    free(result);
    return status;
}
