/* Models written as GGUF files, see convert.h. A plan says for every tensor its type and the order
 * of its rows; then the data is streamed, one tensor after the other. */
#include "text/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "models/network.h"
#include "tensor/quantize.h"
#include "text/convert_folder.h"

typedef struct converter {
    lp_context *ctx;
    const char *from;
    const lp_convert_options *options;
    lp_convert_result *result;
    lp_gguf_writer *writer;
    lp_convert_source source;
    lp_dtype *types; /* one per tensor of the source */
    uint32_t n_layers;
    bool has_file_type; /* the source, a GGUF file */
    uint32_t file_type;
} converter;

/* The type of most bytes. */
static lp_dtype main_type(const lp_convert_source *source)
{
    uint64_t bytes[LP_N_DTYPES] = {0};
    lp_dtype best = LP_F32;
    for (size_t i = 0; i < source->n; i++)
        bytes[source->tensors[i].weight->dtype] += source->tensors[i].weight->bytes;
    for (int t = 0; t < LP_N_DTYPES; t++)
        if (bytes[t] > bytes[best])
            best = (lp_dtype)t;
    return best;
}

static const lp_weight *find_head(const lp_convert_source *source)
{
    const lp_weight *tied = NULL;
    for (size_t i = 0; i < source->n; i++) {
        const lp_weight *weight = source->tensors[i].weight;
        if (strcmp(source->tensors[i].name, "output.weight") == 0)
            return weight;
        if (strcmp(source->tensors[i].name, "token_embd.weight") == 0)
            tied = weight;
    }
    return tied;
}

static bool is_of_experts(const lp_convert_tensor *tensor)
{
    return strstr(tensor->name, "_exps.") != NULL;
}

/* See lp_quantize_type(). */
static bool is_fine(const converter *c, const lp_convert_tensor *tensor, const lp_weight *head)
{
    bool experts = false;
    for (size_t i = 0; c->options->type == LP_MXFP4 && i < c->source.n && !experts; i++)
        experts = is_of_experts(&c->source.tensors[i]);
    return tensor->weight == head || (experts && !is_of_experts(tensor)) ||
           (c->options->mixed && lp_quantize_is_finer(tensor->name, c->n_layers));
}

static uint32_t count_layers(const lp_convert_source *source)
{
    uint32_t n = 0;
    for (size_t i = 0; i < source->n; i++) {
        unsigned layer;
        if (sscanf(source->tensors[i].name, "blk.%u.", &layer) == 1 && layer >= n &&
            layer < UINT32_MAX)
            n = layer + 1;
    }
    return n;
}

static lp_status choose_type(converter *c, const lp_convert_tensor *tensor, const lp_weight *head,
                             lp_dtype *type)
{
    const lp_weight *weight = tensor->weight;
    LP_TRY(lp_weight_usable(c->ctx, weight));
    *type = weight->dtype;
    if (!lp_dtype_table[*type].to_f32)
        return LP_OK;
    if (!lp_quantize_applies(tensor->name, weight->shape)) {
        *type = c->source.plain_f32 ? LP_F32 : *type;
        return LP_OK;
    }
    if (c->options->type == LP_N_DTYPES)
        return LP_OK;
    *type = lp_quantize_type(weight->shape, c->options->type, is_fine(c, tensor, head));
    if (*type == weight->dtype || lp_dtype_table[weight->dtype].block == 1)
        return LP_OK;
    if (!c->options->allow_requantize)
        return lp_fail(c->ctx, LP_E_ARG,
                       "%s: %s is %s already; to make %s of it adds error to error and must be "
                       "allowed (--allow-requantize)",
                       c->from, tensor->name, weight->type, lp_dtype_table[*type].name);
    return LP_OK;
}

/* Rows that are no multiple of a block, not even of the shorter one that narrow rows get. */
static void tell_f16(converter *c, const lp_convert_tensor *first)
{
    lp_log(
        c->ctx, LP_LOG_WARN,
        "%s: %zu matrices stay in F16, among them %s: rows of %lld elements are no multiple of a "
        "block of 32",
        c->from, c->result->n_f16, first->name,
        (long long)first->weight->shape.dim[first->weight->shape.n - 1]);
}

static lp_status choose_types(converter *c)
{
    const lp_convert_tensor *narrow = NULL;
    const lp_weight *head = find_head(&c->source);
    c->n_layers = count_layers(&c->source);
    c->types = calloc(c->source.n + 1, sizeof *c->types);
    if (!c->types)
        return lp_fail_memory(c->ctx, c->from);
    for (size_t i = 0; i < c->source.n; i++) {
        const lp_convert_tensor *tensor = &c->source.tensors[i];
        LP_TRY(choose_type(c, tensor, head, &c->types[i]));
        c->result->n_changed += c->types[i] != tensor->weight->dtype;
        c->result->bytes_before += tensor->weight->bytes;
        c->result->bytes_after += (uint64_t)lp_dtype_file_bytes(c->types[i], tensor->weight->shape);
        if (c->options->type < LP_N_DTYPES && lp_dtype_table[c->options->type].block > 1 &&
            c->types[i] == LP_F16 && lp_quantize_applies(tensor->name, tensor->weight->shape)) {
            c->result->n_f16++;
            narrow = narrow ? narrow : tensor;
        }
    }
    c->result->n_tensors = c->source.n;
    if (narrow)
        tell_f16(c, narrow);
    return LP_OK;
}

static lp_status write_all(converter *c, const char *to)
{
    const bool as_it_is = c->options->type == LP_N_DTYPES;
    const lp_dtype type = as_it_is ? main_type(&c->source) : c->options->type;
    lp_gguf_put_u32(c->writer, "general.file_type",
                    as_it_is && c->has_file_type ? c->file_type
                                                 : lp_gguf_file_type(type, c->options->mixed));
    if (lp_dtype_table[type].block > 1)
        lp_gguf_put_u32(c->writer, "general.quantization_version", 2);
    for (size_t i = 0; i < c->source.n; i++)
        lp_gguf_put_tensor(c->writer, c->source.tensors[i].name, c->types[i],
                           c->source.tensors[i].weight->shape);
    LP_TRY(lp_gguf_begin(c->writer, to));
    uint64_t written = 0;
    for (size_t i = 0; i < c->source.n; i++)
        LP_TRY(lp_quantize_write(c->ctx, c->writer, c->source.tensors[i].weight, c->types[i],
                                 c->source.tensors[i].rows, &written, c->result->bytes_before,
                                 c->options->progress, c->options->progress_user));
    return lp_gguf_commit(c->writer);
}

/* --- GGUF files ------------------------------------------------------------------------------ */

static bool is_key(lp_gguf_string key, const char *name)
{
    return key.bytes == strlen(name) && memcmp(key.data, name, key.bytes) == 0;
}

/* Everything but what the writer says itself. */
static lp_status copy_metadata(converter *c, const lp_gguf *gguf)
{
    static const char *const own[] = {"general.file_type", "general.quantization_version",
                                      "general.alignment"};
    uint32_t parts;
    if (lp_gguf_get_u32(gguf, "split.count", &parts) && parts > 1)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                       "%s: one of %u parts of a model; parts must be merged first", c->from,
                       parts);
    for (size_t i = 0; i < lp_gguf_count(gguf); i++) {
        bool skip = false;
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            skip |= is_key(lp_gguf_key(gguf, i), own[k]);
        if (!skip)
            lp_gguf_put_copy(c->writer, gguf, i);
    }
    return LP_OK;
}

static lp_status convert_gguf(converter *c, const char *to)
{
    lp_gguf *gguf = NULL;
    lp_status status = LP_OK;
    lp_weights *weights = lp_weights_create();
    if (!weights)
        return lp_fail_memory(c->ctx, c->from);
    LP_CHECK(lp_gguf_open(c->ctx, c->from, weights, &gguf));
    LP_CHECK(copy_metadata(c, gguf));
    c->has_file_type = lp_gguf_get_u32(gguf, "general.file_type", &c->file_type);
    c->source.n = lp_weights_count(weights);
    c->source.tensors = calloc(c->source.n + 1, sizeof *c->source.tensors);
    if (!c->source.tensors)
        LP_CHECK(lp_fail_memory(c->ctx, c->from));
    for (size_t i = 0; i < c->source.n; i++) {
        const lp_weight *weight = lp_weights_at(weights, i);
        c->source.tensors[i] = (lp_convert_tensor){.name = weight->name, .weight = weight};
    }
    LP_CHECK(choose_types(c));
    LP_CHECK(write_all(c, to));
cleanup:
    free(c->source.tensors);
    lp_gguf_destroy(gguf);
    lp_weights_destroy(weights);
    return status;
}

static lp_status convert_folder(converter *c, const char *to)
{
    lp_convert_folder folder = {0};
    lp_status status = lp_convert_folder_open(c->ctx, c->from, &folder, c->writer, &c->source);
    if (status == LP_OK)
        status = choose_types(c);
    if (status == LP_OK)
        status = write_all(c, to);
    free(c->source.tensors);
    lp_convert_folder_close(&folder);
    return status;
}

lp_status lp_convert_file(lp_context *ctx, const char *from, const char *to,
                          const lp_convert_options *options, lp_convert_result *result)
{
    *result = (lp_convert_result){0};
    if (options->type > LP_N_DTYPES || options->type == LP_I32)
        return lp_fail(ctx, LP_E_ARG, "a model's type is any but I32");
    if (options->mixed && !lp_quantize_mixes(options->type))
        return lp_fail(ctx, LP_E_ARG, "only Q4_K and Q5_K are mixed with Q6_K");
    converter c = {.ctx = ctx, .from = from, .options = options, .result = result};
    c.writer = lp_gguf_writer_create(ctx);
    lp_status status = c.writer ? LP_OK : lp_fail_memory(ctx, from);
    if (status == LP_OK)
        status = lp_path_is_folder(from) ? convert_folder(&c, to) : convert_gguf(&c, to);
    lp_gguf_writer_destroy(c.writer);
    free(c.types);
    return status;
}
