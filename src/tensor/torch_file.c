/* The reader of torch.save() files. Both forms hold a pickle of a dictionary from names to calls of
 * _rebuild_tensor_v2(storage, offset, size, stride, ...), where a storage is a persistent id
 * ('storage', class, key, device, elements). They differ in where the storages lie:
 *
 *   zip:   NAME/data.pkl is the pickle, NAME/data/KEY a storage; stored, not compressed
 *   older: pickles of a magic number, a protocol number, facts of the writing machine, the
 *          dictionary and the list of keys; then per key its number of elements (8 bytes) and data
 *
 * https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
 *
 * Tensors lie where they are in the mapping. Copied are storages that are not aligned for their own
 * type (the older form aligns nothing) and tensors whose elements are not in the order of rows. */
#include "tensor/torch_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/print.h"
#include "base/zip.h"
#include "tensor/pickle.h"

#define MAX_PICKLE (32u << 20) /* bytes; a tensor takes a few hundred, reading 80 times as much */

/* Classes of storages. Foreign types have dtype LP_N_DTYPES and are listed only. */
#define STORAGES(X)                                                                                \
    X("FloatStorage", "F32", LP_F32, 4)                                                            \
    X("HalfStorage", "F16", LP_F16, 2)                                                             \
    X("BFloat16Storage", "BF16", LP_BF16, 2)                                                       \
    X("IntStorage", "I32", LP_I32, 4)                                                              \
    X("DoubleStorage", "F64", LP_N_DTYPES, 8)                                                      \
    X("LongStorage", "I64", LP_N_DTYPES, 8)                                                        \
    X("ShortStorage", "I16", LP_N_DTYPES, 2)                                                       \
    X("CharStorage", "I8", LP_N_DTYPES, 1)                                                         \
    X("ByteStorage", "U8", LP_N_DTYPES, 1)                                                         \
    X("BoolStorage", "BOOL", LP_N_DTYPES, 1)                                                       \
    X("ComplexFloatStorage", "C64", LP_N_DTYPES, 8)                                                \
    X("ComplexDoubleStorage", "C128", LP_N_DTYPES, 16)

enum { ORDERED_DICT, TENSOR_V2, TENSOR, PARAMETER, FIRST_STORAGE };

/* All names that a file may call for; the storages in the order of `types`. */
static const lp_pickle_global globals[] = {
    [ORDERED_DICT] = {"collections", "OrderedDict", true},
    [TENSOR_V2] = {"torch._utils", "_rebuild_tensor_v2", false},
    [TENSOR] = {"torch._utils", "_rebuild_tensor", false},
    [PARAMETER] = {"torch._utils", "_rebuild_parameter", false},
#define X(class, type, dtype, bytes) {"torch", class, false},
    STORAGES(X)
#undef X
        {NULL, NULL, false},
};

typedef struct element_type {
    const char *name;
    lp_dtype dtype;
    uint32_t bytes;
} element_type;

static const element_type types[] = {
#define X(class, type, dtype, bytes) {type, dtype, bytes},
    STORAGES(X)
#undef X
};

typedef struct storage {
    const char *key; /* not terminated, borrowed from the pickle */
    size_t key_bytes;
    const element_type *type;
    uint64_t n;          /* elements */
    const uint8_t *data; /* aligned for the type once it is found; NULL: not found yet */
} storage;

typedef struct reader {
    lp_context *ctx;
    const char *where;
    const uint8_t *data;
    size_t bytes;
    lp_weights *weights;
    lp_pickle pickle;
    storage *storages; /* sorted by key */
    size_t n_storages;
    uint64_t copied; /* bytes so far */
} reader;

static lp_status tensor_error(reader *r, const char *name, const char *what)
{
    return lp_fail(r->ctx, LP_E_FORMAT, "%s: tensor %s: %s", r->where, name, what);
}

/* Memory that belongs to the weights. What is copied is bounded by the file: many small entries
 * must not unfold one storage again and again. */
static lp_status make_copy(reader *r, uint64_t bytes, const char *what, uint8_t **copy)
{
    *copy = NULL;
    r->copied += bytes; /* no overflow: each is at most the file's size */
    if (r->copied > 2 * (uint64_t)r->bytes)
        return lp_fail(r->ctx, LP_E_FORMAT,
                       "%s: %s: tensors would take more than twice the file's "
                       "size",
                       r->where, what);
    return lp_weights_memory(r->ctx, r->weights, (size_t)bytes, what, copy);
}

/* --- Storages -------------------------------------------------------------------------------- */

static int compare_keys(const char *a, size_t n, const char *b, size_t m)
{
    int order = memcmp(a, b, n < m ? n : m);
    return order ? order : (n > m) - (n < m);
}

static int by_key(const void *a, const void *b)
{
    const storage *x = a, *y = b;
    return compare_keys(x->key, x->key_bytes, y->key, y->key_bytes);
}

static storage *find_storage(reader *r, const lp_pickle_value *key)
{
    const storage wanted = {.key = key->text, .key_bytes = key->bytes};
    return r->n_storages ? bsearch(&wanted, r->storages, r->n_storages, sizeof(wanted), by_key)
                         : NULL;
}

/* A persistent id as a storage. */
static lp_status read_storage(reader *r, const lp_pickle_value *id, storage *s)
{
    lp_pickle_value **part = id->items;
    if (id->n < 5 || id->n > 6 || !lp_pickle_is_text(part[0], "storage") ||
        part[1]->kind != LP_PICKLE_GLOBAL || part[1]->global < &globals[FIRST_STORAGE] ||
        part[2]->kind != LP_PICKLE_TEXT || part[4]->kind != LP_PICKLE_INT || part[4]->number < 0)
        return lp_fail(r->ctx, LP_E_FORMAT,
                       "%s: a persistent id is not (\"storage\", class, key, device, elements)",
                       r->where);
    if (id->n == 6 && part[5]->kind != LP_PICKLE_NONE)
        return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: a storage is a view of another one",
                       r->where);
    *s = (storage){.key = part[2]->text,
                   .key_bytes = part[2]->bytes,
                   .type = &types[part[1]->global - &globals[FIRST_STORAGE]],
                   .n = (uint64_t)part[4]->number};
    if (s->n > r->bytes / s->type->bytes)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: storage %.*s is larger than the file", r->where,
                       (int)(s->key_bytes < 40 ? s->key_bytes : 40), s->key);
    return LP_OK;
}

/* One storage per key; all its references must agree. */
static lp_status collect_storages(reader *r)
{
    const lp_pickle *p = &r->pickle;
    r->storages = calloc(p->n_references + 1, sizeof(*r->storages));
    if (!r->storages)
        return lp_fail_memory(r->ctx, r->where);
    for (size_t i = 0; i < p->n_references; i++)
        LP_TRY(read_storage(r, p->references[i], &r->storages[i]));
    qsort(r->storages, p->n_references, sizeof(*r->storages), by_key);
    for (size_t i = 0; i < p->n_references; i++) {
        storage *s = &r->storages[i], *last = r->storages + r->n_storages - 1;
        if (r->n_storages == 0 || by_key(last, s) != 0)
            r->storages[r->n_storages++] = *s;
        else if (last->type != s->type || last->n != s->n)
            return lp_fail(r->ctx, LP_E_FORMAT, "%s: storage %.*s has two types or sizes", r->where,
                           (int)(s->key_bytes < 40 ? s->key_bytes : 40), s->key);
    }
    for (size_t i = 0; i < p->n_references; i++) {
        storage *s = find_storage(r, p->references[i]->items[2]);
        p->references[i]->number = s - r->storages;
    }
    return LP_OK;
}

/* The storage lies at `data`, where `present` bytes are. */
static lp_status settle_storage(reader *r, storage *s, const uint8_t *data, uint64_t present)
{
    char a[LP_COUNT_TEXT], b[LP_COUNT_TEXT];
    uint64_t bytes = s->n * s->type->bytes;
    if (present < bytes)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: storage %.*s: %s bytes expected, file has %s",
                       r->where, (int)(s->key_bytes < 40 ? s->key_bytes : 40), s->key,
                       lp_print_count(bytes, a), lp_print_count(present, b));
    s->data = data;
    if (s->type->dtype == LP_N_DTYPES || bytes == 0 ||
        (uintptr_t)data % lp_dtype_table[s->type->dtype].bytes == 0)
        return LP_OK;
    uint8_t *copy;
    LP_TRY(make_copy(r, bytes, "a storage", &copy));
    memcpy(copy, data, (size_t)bytes);
    s->data = copy;
    return LP_OK;
}

/* --- Tensors --------------------------------------------------------------------------------- */

/* How a tensor lies in its storage, in elements. */
typedef struct view {
    uint64_t offset, stride[LP_MAX_DIMS];
} view;

static lp_status read_dims(reader *r, const char *name, const lp_pickle_value *size,
                           const lp_pickle_value *stride, lp_shape *shape, view *at)
{
    if (size->kind != LP_PICKLE_TUPLE || stride->kind != LP_PICKLE_TUPLE || size->n != stride->n)
        return tensor_error(r, name, "size and stride are not tuples of one length");
    if (size->n > LP_MAX_DIMS)
        return lp_fail(r->ctx, LP_E_UNSUPPORTED,
                       "%s: tensor %s: %zu dimensions, at most %d are possible", r->where, name,
                       size->n, LP_MAX_DIMS);
    *shape = LP_SHAPE1(1); /* a scalar has no dimensions */
    if (size->n)
        shape->n = (int)size->n;
    at->stride[0] = 1;
    for (size_t i = 0; i < size->n; i++) {
        const lp_pickle_value *n = size->items[i], *step = stride->items[i];
        if (n->kind != LP_PICKLE_INT || n->number < 0 || step->kind != LP_PICKLE_INT ||
            step->number < 0)
            return tensor_error(r, name, "a size or stride is no positive integer");
        shape->dim[i] = n->number;
        at->stride[i] = (uint64_t)step->number;
    }
    if (lp_shape_elements(*shape) < 0)
        return tensor_error(r, name, "the product of its dimensions overflows");
    return LP_OK;
}

/* Whether every element lies in the storage. */
static bool fits(const storage *s, lp_shape shape, const view *at)
{
    uint64_t last = at->offset; /* of the last element */
    if (last >= s->n)
        return false;
    for (int i = 0; i < shape.n; i++) {
        uint64_t steps = (uint64_t)shape.dim[i] - 1;
        if (steps && at->stride[i] > (s->n - 1 - last) / steps)
            return false;
        last += steps * at->stride[i];
    }
    return true;
}

static bool is_contiguous(lp_shape shape, const view *at)
{
    uint64_t expected = 1;
    for (int i = shape.n - 1; i >= 0; i--) {
        if (shape.dim[i] != 1 && at->stride[i] != expected)
            return false;
        expected *= (uint64_t)shape.dim[i];
    }
    return true;
}

/* Elements in the order of rows. */
static void gather(const uint8_t *from, uint8_t *to, lp_shape shape, const view *at, size_t size)
{
    uint64_t n = (uint64_t)lp_shape_elements(shape), index[LP_MAX_DIMS] = {0};
    for (uint64_t i = 0; i < n; i++, to += size) {
        uint64_t element = at->offset;
        for (int d = 0; d < shape.n; d++)
            element += index[d] * at->stride[d];
        memcpy(to, from + element * size, size);
        for (int d = shape.n - 1; d >= 0 && ++index[d] == (uint64_t)shape.dim[d]; d--)
            index[d] = 0;
    }
}

static lp_status place_tensor(reader *r, const storage *s, const view *at, lp_weight *weight)
{
    uint64_t n = (uint64_t)lp_shape_elements(weight->shape);
    if (n && !fits(s, weight->shape, at))
        return tensor_error(r, weight->name, "reaches beyond its storage");
    if (n > s->n)
        return tensor_error(r, weight->name, "has more elements than its storage");
    weight->bytes = n * s->type->bytes;
    if (n == 0 || weight->dtype == LP_N_DTYPES)
        return LP_OK;
    if (is_contiguous(weight->shape, at)) {
        weight->data = s->data + at->offset * s->type->bytes;
        return LP_OK;
    }
    uint8_t *copy;
    LP_TRY(make_copy(r, weight->bytes, weight->name, &copy));
    gather(s->data, copy, weight->shape, at, s->type->bytes);
    weight->data = copy;
    return LP_OK;
}

static lp_status add_tensor(reader *r, const char *name, const lp_pickle_value *v)
{
    if (v->kind == LP_PICKLE_CALL && v->global == &globals[PARAMETER] && v->n)
        v = v->items[0];
    if (v->kind != LP_PICKLE_CALL || v->n < 4 ||
        (v->global != &globals[TENSOR_V2] && v->global != &globals[TENSOR]))
        return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: entry %s is %s, not a tensor", r->where, name,
                       lp_pickle_kind_name(v));
    if (v->items[0]->kind != LP_PICKLE_PERSISTENT || v->items[1]->kind != LP_PICKLE_INT ||
        v->items[1]->number < 0)
        return tensor_error(r, name, "its storage or offset is none");
    const storage *s = &r->storages[v->items[0]->number];
    view at = {.offset = (uint64_t)v->items[1]->number};
    lp_weight weight = {
        .name = name, .dtype = s->type->dtype, .type = s->type->name, .file = r->where};
    LP_TRY(read_dims(r, name, v->items[2], v->items[3], &weight.shape, &at));
    LP_TRY(place_tensor(r, s, &at, &weight));
    if (lp_weights_find(r->weights, name))
        return tensor_error(r, name, "the name occurs twice");
    return lp_weights_add(r->ctx, r->weights, &weight);
}

static lp_status add_tensors(reader *r)
{
    const lp_pickle_value *root = r->pickle.root;
    if (root->kind != LP_PICKLE_DICT)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: holds %s, not a dictionary of tensors", r->where,
                       lp_pickle_kind_name(root));
    for (size_t i = 0; i + 1 < root->n; i += 2) {
        const lp_pickle_value *key = root->items[i];
        bool is_name = key->kind == LP_PICKLE_TEXT && key->bytes;
        for (size_t j = 0; is_name && j < key->bytes; j++)
            is_name = key->text[j] > ' ' && key->text[j] <= '~';
        if (!is_name)
            return lp_fail(r->ctx, LP_E_FORMAT, "%s: a tensor's name is not text", r->where);
        const char *name = lp_arena_strndup(&r->pickle.arena, key->text, key->bytes);
        if (!name)
            return lp_fail_memory(r->ctx, r->where);
        LP_TRY(add_tensor(r, name, root->items[i + 1]));
    }
    return LP_OK;
}

/* --- The two forms --------------------------------------------------------------------------- */

static lp_status check_byte_order(reader *r, bool little)
{
    return little
               ? LP_OK
               : lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: written on a big-endian machine", r->where);
}

static lp_status find_in_zip(reader *r, const lp_zip *zip, const char *prefix)
{
    for (size_t i = 0; i < r->n_storages; i++) {
        storage *s = &r->storages[i];
        char *name = lp_arena_printf(&r->pickle.arena, "%sdata/%.*s", prefix,
                                     (int)(s->key_bytes < 256 ? s->key_bytes : 256), s->key);
        if (!name)
            return lp_fail_memory(r->ctx, r->where);
        const lp_zip_entry *entry = lp_zip_find(zip, name);
        if (!entry)
            return lp_fail(r->ctx, LP_E_MISSING, "%s: there is no zip entry %s", r->where, name);
        LP_TRY(settle_storage(r, s, entry->data, entry->bytes));
    }
    return LP_OK;
}

static lp_status parse_zip(reader *r)
{
    static const char pickle_name[] = "data.pkl";
    lp_zip zip;
    LP_TRY(lp_zip_read(r->ctx, r->where, r->data, r->bytes, &r->pickle.arena, &zip));
    const lp_zip_entry *pickle = NULL;
    for (size_t i = 0; i < zip.n; i++) { /* NAME/data.pkl; NAME is the writer's choice */
        const char *slash = strchr(zip.entries[i].name, '/');
        if (slash && strcmp(slash + 1, pickle_name) == 0)
            pickle = &zip.entries[i];
    }
    if (!pickle)
        return lp_fail(r->ctx, LP_E_FORMAT,
                       "%s: a zip file without data.pkl: not written by "
                       "torch.save()",
                       r->where);
    size_t n = strlen(pickle->name) - (sizeof(pickle_name) - 1), at = 0;
    const char *prefix = lp_arena_strndup(&r->pickle.arena, pickle->name, n);
    const char *order = prefix ? lp_arena_printf(&r->pickle.arena, "%sbyteorder", prefix) : NULL;
    if (!order)
        return lp_fail_memory(r->ctx, r->where);
    const lp_zip_entry *entry = lp_zip_find(&zip, order);
    LP_TRY(check_byte_order(r, !entry ||
                                   (entry->bytes == 6 && memcmp(entry->data, "little", 6) == 0)));
    if (pickle->bytes > MAX_PICKLE)
        return lp_fail(r->ctx, LP_E_LIMIT, "%s: data.pkl is too large", r->where);
    LP_TRY(lp_pickle_read(r->ctx, r->where, pickle->data, (size_t)pickle->bytes, &at, &r->pickle));
    LP_TRY(collect_storages(r));
    LP_TRY(find_in_zip(r, &zip, prefix));
    return add_tensors(r);
}

/* Storages follow in the order of the list `keys`. */
static lp_status find_in_stream(reader *r, const lp_pickle_value *keys, size_t at)
{
    if (keys->kind != LP_PICKLE_LIST)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: %s instead of the list of storages", r->where,
                       lp_pickle_kind_name(keys));
    for (size_t i = 0; i < keys->n; i++) {
        const lp_pickle_value *key = keys->items[i];
        storage *s = key->kind == LP_PICKLE_TEXT ? find_storage(r, key) : NULL;
        if (!s || s->data)
            return lp_fail(r->ctx, LP_E_FORMAT,
                           "%s: storage number %zu belongs to no tensor, or occurs twice", r->where,
                           i);
        uint64_t n = 0, rest = r->bytes - at;
        if (rest >= 8) {
            for (int j = 7; j >= 0; j--)
                n = n << 8 | r->data[at + (size_t)j];
            at += 8;
            rest -= 8;
        }
        if (n != s->n)
            return lp_fail(r->ctx, LP_E_FORMAT,
                           "%s: storage number %zu: its size is not the one its tensors expect",
                           r->where, i);
        LP_TRY(settle_storage(r, s, r->data + at, rest));
        at += (size_t)(n * s->type->bytes);
    }
    for (size_t i = 0; i < r->n_storages; i++)
        if (!r->storages[i].data)
            return lp_fail(r->ctx, LP_E_MISSING, "%s: storage %.*s is not in the list", r->where,
                           (int)(r->storages[i].key_bytes < 40 ? r->storages[i].key_bytes : 40),
                           r->storages[i].key);
    return LP_OK;
}

/* The magic number as a pickle. */
static const uint8_t magic[] = {0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c, 0x46,
                                0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

static lp_status parse_stream(reader *r)
{
    enum { PROTOCOL = 1001 };
    size_t at = sizeof(magic);
    lp_pickle *p = &r->pickle;
    const size_t end = r->bytes < MAX_PICKLE ? r->bytes : MAX_PICKLE; /* of the pickles */
    LP_TRY(lp_pickle_read(r->ctx, r->where, r->data, end, &at, p));
    if (p->root->kind != LP_PICKLE_INT || p->root->number != PROTOCOL)
        return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: torch.save() protocol other than %d",
                       r->where, PROTOCOL);
    LP_TRY(lp_pickle_read(r->ctx, r->where, r->data, end, &at, p));
    const lp_pickle_value *little = lp_pickle_get(p->root, "little_endian");
    LP_TRY(check_byte_order(r, !little || little->number == 1));
    LP_TRY(lp_pickle_read(r->ctx, r->where, r->data, end, &at, p));
    lp_pickle_value *dictionary = p->root;
    LP_TRY(collect_storages(r));
    LP_TRY(lp_pickle_read(r->ctx, r->where, r->data, end, &at, p));
    LP_TRY(find_in_stream(r, p->root, at));
    p->root = dictionary;
    return add_tensors(r);
}

static lp_status parse(reader *r)
{
    if (r->bytes >= 4 && memcmp(r->data, "PK\3\4", 4) == 0)
        return parse_zip(r);
    if (r->bytes >= sizeof(magic) && memcmp(r->data, magic, sizeof(magic)) == 0)
        return parse_stream(r);
    bool tar = r->bytes > 262 && memcmp(r->data + 257, "ustar", 5) == 0;
    return lp_fail(r->ctx, tar ? LP_E_UNSUPPORTED : LP_E_FORMAT, "%s: %s", r->where,
                   tar ? "a tar file as torch.save() wrote them before PyTorch 0.1.10"
                       : "not a file of torch.save()");
}

lp_status lp_torch_parse(lp_context *ctx, const char *where, const void *data, size_t bytes,
                         lp_weights *weights)
{
    reader r = {.ctx = ctx,
                .where = where,
                .data = data,
                .bytes = bytes,
                .weights = weights,
                .pickle = {.globals = globals}};
    lp_status status = parse(&r);
    free(r.storages);
    lp_arena_destroy(&r.pickle.arena);
    return status;
}

lp_status lp_torch_open(lp_context *ctx, const char *path, lp_weights *weights)
{
    lp_file file = {0};
    LP_TRY(lp_weights_map_file(ctx, weights, path, &file));
    return lp_torch_parse(ctx, file.path, file.data, file.bytes, weights);
}
