/* The GGUF reader. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * A file is: magic, version, counts; key/value pairs; tensor table; padding; tensor data. Nothing
 * in it is believed: every count is checked against the bytes that are left before anything is
 * allocated, so memory stays below a small multiple of the file's size, and every read goes through
 * `take`, which knows the end. Values stay in the mapping; only the places of keys, values and of
 * the strings in arrays are kept. */
#include "tensor/gguf_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/print.h"

enum {
    GGUF_ALIGNMENT = 32, /* where the file has no general.alignment */
    MAX_NESTING = 4      /* arrays of arrays */
};

/* Tensor types that exist but that we do not read: listed by name, never used. */
typedef struct foreign_type {
    uint8_t id, block_log2, bytes;
    const char *name;
} foreign_type;
static const foreign_type foreign_types[] = {
    {3, 5, 20, "Q4_1"},     {6, 5, 22, "Q5_0"},     {7, 5, 24, "Q5_1"},    {9, 5, 36, "Q8_1"},
    {10, 8, 84, "Q2_K"},    {11, 8, 110, "Q3_K"},   {12, 8, 144, "Q4_K"},  {13, 8, 176, "Q5_K"},
    {14, 8, 210, "Q6_K"},   {16, 8, 66, "IQ2_XXS"}, {17, 8, 74, "IQ2_XS"}, {18, 8, 98, "IQ3_XXS"},
    {19, 8, 50, "IQ1_S"},   {20, 5, 18, "IQ4_NL"},  {21, 8, 110, "IQ3_S"}, {22, 8, 82, "IQ2_S"},
    {23, 8, 136, "IQ4_XS"}, {24, 0, 1, "I8"},       {25, 0, 2, "I16"},     {27, 0, 8, "I64"},
    {28, 0, 8, "F64"},      {29, 8, 56, "IQ1_M"},   {34, 8, 54, "TQ1_0"},  {35, 8, 66, "TQ2_0"},
    {39, 5, 17, "MXFP4"},   {40, 6, 36, "NVFP4"},   {41, 7, 18, "Q1_0"},
};

typedef struct parser {
    lp_context *ctx;
    const char *where;
    const uint8_t *data;
    size_t bytes, at;
    lp_gguf *gguf;
    lp_weights *weights;
    uint64_t alignment;
} parser;

typedef struct tensor_span { /* a tensor's bytes in the file */
    uint64_t begin, end;
    const char *name;
} tensor_span;

/* --- Reading --------------------------------------------------------------------------------- */

/* The next n bytes, or NULL at the end of the file. */
static const uint8_t *take(parser *p, uint64_t n)
{
    if (n > p->bytes - p->at)
        return NULL;
    const uint8_t *data = p->data + p->at;
    p->at += (size_t)n;
    return data;
}

static bool take_u32(parser *p, uint32_t *value)
{
    const uint8_t *data = take(p, 4);
    *value = data ? (uint32_t)lp_gguf_load(data, 4) : 0;
    return data;
}

static bool take_u64(parser *p, uint64_t *value)
{
    const uint8_t *data = take(p, 8);
    *value = data ? lp_gguf_load(data, 8) : 0;
    return data;
}

static bool take_string(parser *p, lp_gguf_string *text)
{
    uint64_t n;
    if (!take_u64(p, &n))
        return false;
    text->data = (const char *)take(p, n);
    text->bytes = (size_t)n;
    return text->data;
}

/* Length for "%.*s". */
static int shown(lp_gguf_string text)
{
    return text.bytes < 200 ? (int)text.bytes : 200;
}

static lp_status key_error(parser *p, lp_gguf_string key, const char *what)
{
    return lp_fail(p->ctx, LP_E_FORMAT, "%s: metadata key %.*s: %s", p->where, shown(key), key.data,
                   what);
}

/* Skips an array whose elements' type and count have been read. */
static const char *skip_array(parser *p, uint32_t type, uint64_t n, int depth)
{
    if (type >= LP_GGUF_N_TYPES)
        return "unknown type of array elements";
    uint64_t least = type == LP_GGUF_ARRAY    ? 12
                     : type == LP_GGUF_STRING ? 8
                                              : lp_gguf_value_bytes[type];
    if (n > (p->bytes - p->at) / least)
        return "the array does not fit into the file";
    if (lp_gguf_value_bytes[type]) {
        take(p, n * least);
        return NULL;
    }
    for (uint64_t i = 0; i < n; i++) {
        lp_gguf_string text;
        uint32_t element;
        uint64_t length;
        if (type == LP_GGUF_STRING) {
            if (!take_string(p, &text))
                return "a string does not fit into the file";
            continue;
        }
        if (depth >= MAX_NESTING)
            return "arrays are nested too deeply";
        if (!take_u32(p, &element) || !take_u64(p, &length))
            return "the file ends inside an array";
        const char *error = skip_array(p, element, length, depth + 1);
        if (error)
            return error;
    }
    return NULL;
}

static lp_status parse_pair(parser *p, lp_gguf_pair *pair)
{
    size_t start = p->at;
    uint32_t type, element;
    if (!take_string(p, &pair->key))
        return lp_fail(p->ctx, LP_E_FORMAT,
                       "%s: the metadata key at byte %zu does not fit into the "
                       "file",
                       p->where, start);
    if (!take_u32(p, &type))
        return key_error(p, pair->key, "the file ends before its value");
    if (type >= LP_GGUF_N_TYPES)
        return key_error(p, pair->key, "unknown type of value");
    pair->type = pair->element = (lp_gguf_type)type;
    pair->n = 1;
    if (type == LP_GGUF_ARRAY) {
        if (!take_u32(p, &element) || !take_u64(p, &pair->n))
            return key_error(p, pair->key, "the file ends before its value");
        start = p->at;
        const char *error = skip_array(p, element, pair->n, 1);
        if (error)
            return key_error(p, pair->key, error);
        pair->element = (lp_gguf_type)element;
    } else {
        lp_gguf_string text;
        start = p->at;
        bool fits =
            type == LP_GGUF_STRING ? take_string(p, &text) : !!take(p, lp_gguf_value_bytes[type]);
        if (!fits)
            return key_error(p, pair->key, "its value does not fit into the file");
    }
    pair->data = p->data + start;
    pair->bytes = p->at - start;
    if (pair->element == LP_GGUF_STRING) { /* at least 8 bytes each: memory is bounded */
        pair->strings = lp_arena_array(&p->gguf->arena, (size_t)pair->n, sizeof(*pair->strings));
        if (!pair->strings)
            return lp_fail_memory(p->ctx, p->where);
        parser again = {.data = p->data, .bytes = p->at, .at = start};
        for (uint64_t i = 0; i < pair->n; i++)
            take_string(&again, &pair->strings[i]);
    }
    return LP_OK;
}

static int by_key(const void *a, const void *b)
{
    return lp_gguf_compare((*(const lp_gguf_pair *const *)a)->key,
                           (*(const lp_gguf_pair *const *)b)->key);
}

static lp_status parse_metadata(parser *p, uint64_t n)
{
    lp_gguf *gguf = p->gguf;
    if (n > (p->bytes - p->at) / 13) /* key length, type, one byte of value */
        return lp_fail(p->ctx, LP_E_FORMAT,
                       "%s: %" PRIu64 " metadata pairs do not fit into the "
                       "file",
                       p->where, n);
    gguf->pairs = lp_arena_array(&gguf->arena, (size_t)n, sizeof(*gguf->pairs));
    gguf->sorted = lp_arena_array(&gguf->arena, (size_t)n, sizeof(*gguf->sorted));
    if (!gguf->pairs || !gguf->sorted)
        return lp_fail_memory(p->ctx, p->where);
    for (size_t i = 0; i < n; i++) {
        LP_TRY(parse_pair(p, &gguf->pairs[i]));
        gguf->sorted[i] = &gguf->pairs[i];
    }
    gguf->n_pairs = (size_t)n;
    qsort(gguf->sorted, gguf->n_pairs, sizeof(*gguf->sorted), by_key);
    for (size_t i = 1; i < gguf->n_pairs; i++)
        if (by_key(&gguf->sorted[i - 1], &gguf->sorted[i]) == 0)
            return key_error(p, gguf->sorted[i]->key, "occurs twice");

    uint32_t alignment, parts;
    p->alignment = GGUF_ALIGNMENT;
    if (lp_gguf_get_u32(gguf, "general.alignment", &alignment)) {
        if (alignment < 8 || (alignment & (alignment - 1)))
            return lp_fail(p->ctx, LP_E_FORMAT,
                           "%s: general.alignment is %u, must be a power of two, at least 8",
                           p->where, alignment);
        p->alignment = alignment;
    }
    if (lp_gguf_get_u32(gguf, "split.count", &parts) && parts > 1)
        lp_log(p->ctx, LP_LOG_WARN, "%s: one of %u parts of a model; parts must be merged first",
               p->where, parts);
    return LP_OK;
}

/* --- Tensors --------------------------------------------------------------------------------- */

/* Type and size; foreign types keep dtype LP_N_DTYPES. *known: whether the size is known. */
static lp_status set_type(parser *p, lp_weight *weight, uint32_t type, char name[24], bool *known)
{
    uint64_t block = 1, bytes = 0;
    *known = true;
    weight->dtype = lp_dtype_from_gguf(type);
    if (weight->dtype < LP_N_DTYPES) {
        block = lp_dtype_table[weight->dtype].block;
        bytes = lp_dtype_table[weight->dtype].bytes;
        weight->type = lp_dtype_table[weight->dtype].name;
    } else {
        *known = false;
        snprintf(name, 24, "number %u", type);
        weight->type = name;
        for (size_t i = 0; i < sizeof(foreign_types) / sizeof(*foreign_types); i++) {
            if (foreign_types[i].id != type)
                continue;
            block = 1u << foreign_types[i].block_log2;
            bytes = foreign_types[i].bytes;
            weight->type = foreign_types[i].name;
            *known = true;
        }
    }
    int64_t n = lp_shape_elements(weight->shape), row = weight->shape.dim[weight->shape.n - 1];
    if (n < 0 || (bytes && (uint64_t)n / block > INT64_MAX / bytes))
        return lp_fail(p->ctx, LP_E_FORMAT,
                       "%s: tensor %s: the product of its dimensions overflows", p->where,
                       weight->name);
    if ((uint64_t)row % block)
        return lp_fail(p->ctx, LP_E_FORMAT,
                       "%s: tensor %s: rows of %" PRId64
                       " elements, must be a multiple of %s's %" PRIu64,
                       p->where, weight->name, row, weight->type, block);
    weight->bytes = (uint64_t)n / block * bytes;
    return LP_OK;
}

/* One row of the tensor table. weight->name is in the arena; the offset goes into span->begin. */
static lp_status parse_tensor(parser *p, size_t index, lp_weight *weight, char type_name[24],
                              tensor_span *span)
{
    lp_gguf_string name;
    uint32_t n_dims, type;
    if (!take_string(p, &name))
        goto truncated;
    if (name.bytes == 0 || memchr(name.data, '\0', name.bytes))
        return lp_fail(p->ctx, LP_E_FORMAT, "%s: tensor number %zu: its name is %s", p->where,
                       index, name.bytes ? "not text" : "empty");
    weight->name = lp_arena_strndup(&p->gguf->arena, name.data, name.bytes);
    if (!weight->name)
        return lp_fail_memory(p->ctx, p->where);
    if (!take_u32(p, &n_dims))
        goto truncated;
    if (n_dims > LP_MAX_DIMS)
        return lp_fail(p->ctx, LP_E_FORMAT, "%s: tensor %s: %u dimensions, at most %d are possible",
                       p->where, weight->name, n_dims, LP_MAX_DIMS);
    weight->shape = LP_SHAPE1(1);
    if (n_dims)
        weight->shape.n = (int)n_dims;
    for (uint32_t i = 0; i < n_dims; i++) { /* the file lists the innermost first */
        uint64_t dim;
        if (!take_u64(p, &dim))
            goto truncated;
        if (dim > INT64_MAX)
            return lp_fail(p->ctx, LP_E_FORMAT,
                           "%s: tensor %s: the product of its dimensions overflows", p->where,
                           weight->name);
        weight->shape.dim[n_dims - 1 - i] = (int64_t)dim;
    }
    if (!take_u32(p, &type) || !take_u64(p, &span->begin))
        goto truncated;
    bool known;
    LP_TRY(set_type(p, weight, type, type_name, &known));
    if (span->begin % p->alignment)
        return lp_fail(p->ctx, LP_E_FORMAT,
                       "%s: tensor %s: its offset %" PRIu64
                       " is no multiple of the alignment %" PRIu64,
                       p->where, weight->name, span->begin, p->alignment);
    return LP_OK;
truncated:
    return lp_fail(p->ctx, LP_E_FORMAT, "%s: the file ends inside the tensor table, at number %zu",
                   p->where, index);
}

/* Whether the tensor lies inside the data section, which begins at `base`. */
static lp_status place_tensor(parser *p, lp_weight *weight, uint64_t base, tensor_span *span)
{
    char wanted[LP_COUNT_TEXT], present[LP_COUNT_TEXT];
    uint64_t room = p->bytes > base ? p->bytes - base : 0;
    if (span->begin > room)
        return lp_fail(p->ctx, LP_E_FORMAT,
                       "%s: tensor %s: begins at byte %s of the data, which ends after %s",
                       p->where, weight->name, lp_print_count(span->begin, wanted),
                       lp_print_count(room, present));
    room -= span->begin;
    if (weight->bytes > room)
        return lp_fail(p->ctx, LP_E_FORMAT, "%s: tensor %s: %s bytes expected, file ends after %s",
                       p->where, weight->name, lp_print_count(weight->bytes, wanted),
                       lp_print_count(room, present));
    if (weight->dtype < LP_N_DTYPES && weight->bytes)
        weight->data = p->data + base + span->begin;
    span->end = span->begin + weight->bytes;
    span->name = weight->name;
    return LP_OK;
}

static int by_begin(const void *a, const void *b)
{
    const tensor_span *x = a, *y = b;
    int order = (x->begin > y->begin) - (x->begin < y->begin);
    return order ? order : (x->end > y->end) - (x->end < y->end); /* empty ones first */
}

static lp_status parse_tensors(parser *p, uint64_t n)
{
    lp_gguf *gguf = p->gguf;
    if (n > (p->bytes - p->at) / 24) /* name length, n_dims, type, offset */
        return lp_fail(p->ctx, LP_E_FORMAT, "%s: %" PRIu64 " tensors do not fit into the file",
                       p->where, n);
    lp_weight *table = lp_arena_array(&gguf->arena, (size_t)n, sizeof(*table));
    tensor_span *spans = lp_arena_array(&gguf->arena, (size_t)n, sizeof(*spans));
    char(*type_names)[24] = lp_arena_array(&gguf->arena, (size_t)n, sizeof(*type_names));
    if (!table || !spans || !type_names)
        return lp_fail_memory(p->ctx, p->where);
    for (size_t i = 0; i < n; i++)
        LP_TRY(parse_tensor(p, i, &table[i], type_names[i], &spans[i]));

    uint64_t base = ((uint64_t)p->at + p->alignment - 1) / p->alignment * p->alignment;
    for (size_t i = 0; i < n; i++) {
        LP_TRY(place_tensor(p, &table[i], base, &spans[i]));
        table[i].file = p->where;
        if (lp_weights_find(p->weights, table[i].name))
            return lp_fail(p->ctx, LP_E_FORMAT, "%s: tensor %s: the name occurs twice", p->where,
                           table[i].name);
        LP_TRY(lp_weights_add(p->ctx, p->weights, &table[i]));
    }
    qsort(spans, (size_t)n, sizeof(*spans), by_begin);
    for (size_t i = 1; i < n; i++)
        if (spans[i].begin < spans[i - 1].end)
            return lp_fail(p->ctx, LP_E_FORMAT, "%s: tensor %s overlaps tensor %s", p->where,
                           spans[i].name, spans[i - 1].name);
    return LP_OK;
}

static lp_status parse(parser *p)
{
    const uint8_t *magic = take(p, 4);
    if (!magic || memcmp(magic, "GGUF", 4) != 0)
        return lp_fail(p->ctx, LP_E_FORMAT, "%s: not a GGUF file (it does not begin with \"GGUF\")",
                       p->where);
    uint32_t version;
    uint64_t n_tensors, n_pairs;
    if (!take_u32(p, &version))
        return lp_fail(p->ctx, LP_E_FORMAT, "%s: the file ends inside its header", p->where);
    if (version & 0xffff0000u) /* a small number in the other byte order */
        return lp_fail(p->ctx, LP_E_UNSUPPORTED, "%s: a big-endian GGUF file", p->where);
    if (version < 2 || version > 3)
        return lp_fail(p->ctx, LP_E_UNSUPPORTED, "%s: GGUF version %u, readable are 2 and 3",
                       p->where, version);
    if (!take_u64(p, &n_tensors) || !take_u64(p, &n_pairs))
        return lp_fail(p->ctx, LP_E_FORMAT, "%s: the file ends inside its header", p->where);
    LP_TRY(parse_metadata(p, n_pairs));
    return parse_tensors(p, n_tensors);
}

lp_status lp_gguf_parse(lp_context *ctx, const char *where, const void *data, size_t bytes,
                        lp_weights *weights, lp_gguf **gguf)
{
    *gguf = NULL;
    parser p = {.ctx = ctx, .where = where, .data = data, .bytes = bytes, .weights = weights};
    p.gguf = calloc(1, sizeof(*p.gguf));
    if (!p.gguf)
        return lp_fail_memory(ctx, where);
    lp_status status = parse(&p);
    if (status == LP_OK)
        *gguf = p.gguf;
    else
        lp_gguf_destroy(p.gguf);
    return status;
}

lp_status lp_gguf_open(lp_context *ctx, const char *path, lp_weights *weights, lp_gguf **gguf)
{
    *gguf = NULL;
    lp_file file = {0};
    LP_TRY(lp_weights_map_file(ctx, weights, path, &file));
    return lp_gguf_parse(ctx, file.path, file.data, file.bytes, weights, gguf);
}

void lp_gguf_destroy(lp_gguf *gguf)
{
    if (!gguf)
        return;
    lp_arena_destroy(&gguf->arena);
    free(gguf);
}
