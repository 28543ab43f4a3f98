/* The safetensors reader: 8 bytes header length, a JSON header, then the data.
 * https://huggingface.co/docs/safetensors
 *
 * The header is checked against the file: types, shapes, sizes, ends, overlaps. Tensors lie where
 * they are in the mapping, except those that are not aligned for their own element type (the format
 * promises no alignment): these are copied, so that everybody above may dereference plain pointers.
 * Folders of shards come from downloads, so the shard names in an index are hostile, too. */
#include "tensor/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "base/print.h"

#define MAX_HEADER 100000000u /* as in the reference implementation */

enum { MAX_SHARDS = 4096 };

/* Names of types; foreign ones have dtype LP_N_DTYPES and are listed only. */
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
    lp_file copy;
    LP_TRY(lp_file_memory(r->ctx, (size_t)weight->bytes, weight->name, &copy));
    const uint8_t *data = copy.data;
    memcpy((uint8_t *)(uintptr_t)data, weight->data, (size_t)weight->bytes);
    lp_status status = lp_weights_own_file(r->ctx, r->weights, &copy);
    if (status != LP_OK) {
        lp_file_close(&copy);
        return status;
    }
    weight->data = data;
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
    if (weight.dtype < LP_N_DTYPES && weight.bytes) {
        weight.data = r->data + span->begin;
        LP_TRY(align_data(r, &weight));
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
    lp_file file;
    LP_TRY(lp_file_open(ctx, path, &file));
    const lp_file opened = file; /* its path and bytes live as long as `weights` */
    lp_status status = lp_weights_own_file(ctx, weights, &file);
    if (status != LP_OK) {
        lp_file_close(&file);
        return status;
    }
    return lp_safetensors_parse(ctx, opened.path, opened.data, opened.bytes, weights);
}

/* --- Folders --------------------------------------------------------------------------------- */

/* A shard is a file beside the index, nothing else. Links are followed: download caches use them.
 */
static bool is_shard_name(yyjson_val *value)
{
    static const char suffix[] = ".safetensors";
    const char *name = yyjson_get_str(value);
    size_t n = yyjson_get_len(value), m = sizeof(suffix) - 1;
    return name && n > m && n < 256 && strlen(name) == n && !strpbrk(name, "/\\") &&
           strcmp(name + n - m, suffix) == 0;
}

/* Opens each shard once, in the order of the index. */
static lp_status open_shards(lp_context *ctx, const char *folder, const char *index,
                             yyjson_val *map, lp_weights *weights)
{
    lp_status status = LP_OK;
    size_t n_shards = 0, i, n;
    const char **shards = calloc(MAX_SHARDS, sizeof(*shards));
    if (!shards)
        return lp_fail_memory(ctx, index);
    yyjson_val *key, *value;
    yyjson_obj_foreach(map, i, n, key, value)
    {
        if (!is_shard_name(value)) {
            status = lp_fail(ctx, LP_E_FORMAT,
                             "%s: tensor %s: its shard must be the name of a .safetensors file in "
                             "the same folder",
                             index, yyjson_get_str(key));
            goto cleanup;
        }
        const char *name = yyjson_get_str(value);
        size_t shard = n_shards; /* the latest first: tensors of one shard are neighbours */
        while (shard > 0 && strcmp(shards[shard - 1], name) != 0)
            shard--;
        if (shard > 0)
            continue;
        if (n_shards == MAX_SHARDS) {
            status = lp_fail(ctx, LP_E_LIMIT, "%s: more than %d shards", index, MAX_SHARDS);
            goto cleanup;
        }
        shards[n_shards++] = name;
        char *path = lp_path_join(folder, name);
        status = path ? lp_safetensors_open(ctx, path, weights) : lp_fail_memory(ctx, index);
        free(path);
        if (status != LP_OK)
            goto cleanup;
    }
cleanup:
    free(shards);
    return status;
}

/* Whether every tensor of the index lies in the shard that the index names. */
static lp_status check_index(lp_context *ctx, const char *index, yyjson_val *map,
                             const lp_weights *weights)
{
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(map, i, n, key, value)
    {
        const lp_weight *weight = lp_weights_find(weights, yyjson_get_str(key));
        if (!weight)
            return lp_fail(ctx, LP_E_MISSING, "%s: tensor %s is not in its shard %s", index,
                           yyjson_get_str(key), yyjson_get_str(value));
        const char *slash = strrchr(weight->file, '/');
        const char *file = slash ? slash + 1 : weight->file;
        if (strcmp(file, yyjson_get_str(value)) != 0)
            return lp_fail(ctx, LP_E_FORMAT, "%s: tensor %s is in shard %s, the index says %s",
                           index, weight->name, file, yyjson_get_str(value));
    }
    return LP_OK;
}

static lp_status open_index(lp_context *ctx, const char *folder, const char *index,
                            lp_weights *weights)
{
    yyjson_doc *doc;
    yyjson_val *map;
    LP_TRY(lp_json_open(ctx, index, &doc));
    lp_status status = LP_OK;
    LP_CHECK(lp_json_get_object(ctx, index, yyjson_doc_get_root(doc), "weight_map",
                                LP_JSON_REQUIRED, &map));
    if (yyjson_obj_size(map) == 0) {
        status = lp_fail(ctx, LP_E_FORMAT, "%s: weight_map is empty", index);
        goto cleanup;
    }
    LP_CHECK(open_shards(ctx, folder, index, map, weights));
    LP_CHECK(check_index(ctx, index, map, weights));
cleanup:
    yyjson_doc_free(doc);
    return status;
}

lp_status lp_safetensors_open_folder(lp_context *ctx, const char *folder, lp_weights *weights)
{
    char *single = lp_path_join(folder, "model.safetensors");
    char *index = lp_path_join(folder, "model.safetensors.index.json");
    lp_status status = LP_OK;
    if (!single || !index)
        status = lp_fail_memory(ctx, folder);
    else if (access(single, F_OK) == 0)
        status = lp_safetensors_open(ctx, single, weights);
    else if (access(index, F_OK) == 0)
        status = open_index(ctx, folder, index, weights);
    else
        status = lp_fail(ctx, LP_E_MISSING,
                         "%s: neither model.safetensors nor model.safetensors.index.json is there",
                         folder);
    free(single);
    free(index);
    return status;
}
