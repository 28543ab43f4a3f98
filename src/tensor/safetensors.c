/* The safetensors reader: 8 bytes header length, a JSON header, then the data.
 * https://huggingface.co/docs/safetensors
 *
 * The header is checked against the file: types, shapes, sizes, ends, overlaps. Tensors lie where
 * they are in the mapping, except those that are not aligned for their own element type (the format
 * promises no alignment): these are copied, so that everybody above may dereference plain pointers.
 */
#include "tensor/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/print.h"

#define MAX_HEADER 100000000u /* as in the reference implementation */

/* Names of types; foreign ones have dtype LP_N_DTYPES and are listed only; of bytes,
 * which may be packed weights, the data is there. */
static const struct {
    const char *name;
    lp_dtype dtype;
    uint32_t bytes;
} types[] = {
    {"F32", LP_F32, 4},          {"F16", LP_F16, 2},          {"BF16", LP_BF16, 2},
    {"I32", LP_I32, 4},          {"F64", LP_N_DTYPES, 8},     {"I64", LP_N_DTYPES, 8},
    {"U64", LP_N_DTYPES, 8},     {"U32", LP_N_DTYPES, 4},     {"I16", LP_N_DTYPES, 2},
    {"U16", LP_N_DTYPES, 2},     {"I8", LP_N_DTYPES, 1},      {"U8", LP_N_DTYPES, 1},
    {"BOOL", LP_N_DTYPES, 1},    {"F8_E4M3", LP_N_DTYPES, 1}, {"F8_E5M2", LP_N_DTYPES, 1},
    {"F8_E8M0", LP_N_DTYPES, 1}, {"C64", LP_N_DTYPES, 8},
};

typedef struct reader {
    lp_context *ctx;
    const char *where;
    const uint8_t *data; /* after the header */
    uint64_t bytes;
    lp_weights *weights;
} reader;

typedef struct tensor_span { /* a tensor's bytes in the data */
    uint64_t begin, end;
    const char *name;
} tensor_span;

static lp_status tensor_error(reader *r, const char *name, const char *what)
{
    return lp_fail(r->ctx, LP_E_FORMAT, "%s: tensor %s: %s", r->where, name, what);
}

static lp_status read_shape(reader *r, const char *name, yyjson_val *shape, lp_shape *result)
{
    if (!yyjson_is_arr(shape))
        return tensor_error(r, name, "its shape is no array");
    size_t n = yyjson_arr_size(shape);
    if (n > LP_MAX_DIMS)
        return lp_fail(r->ctx, LP_E_UNSUPPORTED,
                       "%s: tensor %s: %zu dimensions, at most %d are possible", r->where, name, n,
                       LP_MAX_DIMS);
    *result = LP_SHAPE1(1); /* a scalar has no dimensions */
    if (n)
        result->n = (int)n;
    size_t i, count;
    yyjson_val *dim;
    yyjson_arr_foreach(shape, i, count, dim)
    {
        if (!yyjson_is_uint(dim) || yyjson_get_uint(dim) > INT64_MAX)
            return tensor_error(r, name, "a dimension is no integer in range");
        result->dim[i] = (int64_t)yyjson_get_uint(dim);
    }
    if (lp_shape_elements(*result) < 0)
        return tensor_error(r, name, "the product of its dimensions overflows");
    return LP_OK;
}

/* Type, and the bytes that type and shape ask for; *wanted stays as it is for an unknown type. */
static lp_status read_type(reader *r, yyjson_val *entry, lp_weight *weight, uint64_t *wanted)
{
    yyjson_val *type = yyjson_obj_get(entry, "dtype");
    weight->type = yyjson_get_str(type);
    if (!weight->type || strlen(weight->type) != yyjson_get_len(type))
        return tensor_error(r, weight->name, "its dtype is no string");
    weight->dtype = LP_N_DTYPES;
    uint64_t n = (uint64_t)lp_shape_elements(weight->shape);
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (strcmp(types[i].name, weight->type) != 0)
            continue;
        if (n > INT64_MAX / types[i].bytes)
            return tensor_error(r, weight->name, "the product of its dimensions overflows");
        weight->dtype = types[i].dtype;
        *wanted = n * types[i].bytes;
    }
    return LP_OK;
}

/* A copy, owned by the table, where the file's alignment does not suit the type. */
static lp_status align_data(reader *r, lp_weight *weight)
{
    if ((uintptr_t)weight->data % lp_dtype_table[weight->dtype].bytes == 0)
        return LP_OK;
    uint8_t *copy;
    LP_TRY(lp_weights_memory(r->ctx, r->weights, (size_t)weight->bytes, weight->name, &copy));
    memcpy(copy, weight->data, (size_t)weight->bytes);
    weight->data = copy;
    return LP_OK;
}

static lp_status add_tensor(reader *r, yyjson_val *key, yyjson_val *entry, tensor_span *span)
{
    char a[LP_COUNT_TEXT], b[LP_COUNT_TEXT];
    lp_weight weight = {.name = yyjson_get_str(key), .file = r->where};
    if (!*weight.name || strlen(weight.name) != yyjson_get_len(key))
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: a tensor's name is %s", r->where,
                       *weight.name ? "not text" : "empty");
    if (!yyjson_is_obj(entry))
        return tensor_error(r, weight.name, "its entry is no object");
    LP_TRY(read_shape(r, weight.name, yyjson_obj_get(entry, "shape"), &weight.shape));
    yyjson_val *offsets = yyjson_obj_get(entry, "data_offsets");
    yyjson_val *begin = yyjson_arr_get_first(offsets), *end = yyjson_arr_get_last(offsets);
    if (yyjson_arr_size(offsets) != 2 || !yyjson_is_uint(begin) || !yyjson_is_uint(end))
        return tensor_error(r, weight.name, "data_offsets are not two integers");
    *span = (tensor_span){yyjson_get_uint(begin), yyjson_get_uint(end), weight.name};
    if (span->begin > span->end)
        return tensor_error(r, weight.name, "its end lies before its beginning");

    uint64_t present = span->end - span->begin, wanted = present;
    LP_TRY(read_type(r, entry, &weight, &wanted));
    if (present != wanted)
        return lp_fail(r->ctx, LP_E_FORMAT,
                       "%s: tensor %s: %s bytes expected, its data_offsets give %s", r->where,
                       weight.name, lp_print_count(wanted, a), lp_print_count(present, b));
    if (span->begin > r->bytes)
        return lp_fail(r->ctx, LP_E_FORMAT,
                       "%s: tensor %s: begins at byte %s of the data, which ends after %s",
                       r->where, weight.name, lp_print_count(span->begin, a),
                       lp_print_count(r->bytes, b));
    if (span->end > r->bytes)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: tensor %s: %s bytes expected, file ends after %s",
                       r->where, weight.name, lp_print_count(wanted, a),
                       lp_print_count(r->bytes - span->begin, b));
    weight.bytes = wanted;
    if (lp_weights_find(r->weights, weight.name))
        return tensor_error(r, weight.name, "the name occurs twice");
    const bool known = weight.dtype < LP_N_DTYPES;
    if ((known || strcmp(weight.type, "U8") == 0) && weight.bytes) {
        weight.data = r->data + span->begin;
        LP_TRY(known ? align_data(r, &weight) : LP_OK);
    }
    return lp_weights_add(r->ctx, r->weights, &weight);
}

static int by_begin(const void *a, const void *b)
{
    const tensor_span *x = a, *y = b;
    int order = (x->begin > y->begin) - (x->begin < y->begin);
    return order ? order : (x->end > y->end) - (x->end < y->end); /* empty ones first */
}

static lp_status add_tensors(reader *r, yyjson_val *header)
{
    lp_status status = LP_OK;
    tensor_span *spans = calloc(yyjson_obj_size(header) + 1, sizeof(*spans));
    if (!spans)
        return lp_fail_memory(r->ctx, r->where);
    size_t n_spans = 0, i, n;
    yyjson_val *key, *entry;
    yyjson_obj_foreach(header, i, n, key, entry)
    {
        if (!yyjson_equals_str(key, "__metadata__"))
            LP_CHECK(add_tensor(r, key, entry, &spans[n_spans++]));
    }
    qsort(spans, n_spans, sizeof(*spans), by_begin);
    for (i = 1; i < n_spans; i++) {
        if (spans[i].begin < spans[i - 1].end) {
            status = lp_fail(r->ctx, LP_E_FORMAT, "%s: tensor %s overlaps tensor %s", r->where,
                             spans[i].name, spans[i - 1].name);
            goto cleanup;
        }
    }
cleanup:
    free(spans);
    return status;
}

lp_status lp_safetensors_parse(lp_context *ctx, const char *where, const void *data, size_t bytes,
                               lp_weights *weights)
{
    const uint8_t *file = data;
    char a[LP_COUNT_TEXT], b[LP_COUNT_TEXT];
    if (bytes < 8)
        return lp_fail(ctx, LP_E_FORMAT, "%s: not a safetensors file: it has only %zu bytes", where,
                       bytes);
    uint64_t header_bytes = 0;
    for (int i = 7; i >= 0; i--)
        header_bytes = header_bytes << 8 | file[i];
    if (header_bytes > bytes - 8 || header_bytes > MAX_HEADER)
        return lp_fail(ctx, LP_E_FORMAT,
                       "%s: not a safetensors file, or cut: header of %s bytes, %s follow", where,
                       lp_print_count(header_bytes, a), lp_print_count(bytes - 8, b));
    yyjson_doc *doc;
    LP_TRY(lp_json_parse(ctx, where, (const char *)file + 8, (size_t)header_bytes, &doc));
    reader r = {ctx, where, file + 8 + header_bytes, bytes - 8 - header_bytes, weights};
    lp_status status = add_tensors(&r, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    return status;
}

lp_status lp_safetensors_open(lp_context *ctx, const char *path, lp_weights *weights)
{
    lp_file file = {0};
    LP_TRY(lp_weights_map_file(ctx, weights, path, &file));
    return lp_safetensors_parse(ctx, file.path, file.data, file.bytes, weights);
}
