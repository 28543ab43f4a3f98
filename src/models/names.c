/* Weight names, see names.h. */
#include "models/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/parts.h"

#define MAX_NAME  LP_NAME_BYTES
#define MAX_PARTS 3 /* of a tensor, which stays in the list beside them */

/* The number at *text, below n, without leading zeros; moves *text behind it. */
static bool take_number(const char **text, uint32_t n, uint32_t *number)
{
    char *end;
    if (**text < '0' || **text > '9' || (**text == '0' && (*text)[1] >= '0' && (*text)[1] <= '9'))
        return false;
    unsigned long value = strtoul(*text, &end, 10);
    *text = end;
    *number = (uint32_t)value;
    return value < n;
}

/* The numbers in a name: of the layer, and of a part of what becomes one tensor. */
typedef struct place {
    uint32_t layer, part;
} place;

/* Whether `name` is `pattern`, then `suffix`, with numbers of a layer and a part in the places of
 * "%d" and "%e". */
static bool matches(const lp_hparams *hp, const char *pattern, const char *suffix, const char *name,
                    place *at)
{
    for (; *pattern; pattern++) {
        if (pattern[0] != '%') {
            if (*name++ != *pattern)
                return false;
            continue;
        }
        bool layer = *++pattern == 'd';
        uint32_t n_layer = hp->n_layer > hp->encoder.n_layer ? hp->n_layer : hp->encoder.n_layer;
        n_layer = n_layer > hp->vision.n_layer ? n_layer : hp->vision.n_layer;
        if (!take_number(&name, layer ? n_layer : UINT32_MAX, layer ? &at->layer : &at->part))
            return false;
    }
    return strcmp(name, suffix) == 0;
}

/* What is put behind a row's names: in files, and here. */
static const struct {
    const char *there, *here;
} suffixes[] = {
    {".weight", ".weight"},
    {".bias", ".bias"},
    {".gamma", ".weight"}, /* norms in BERT's first files */
    {".beta", ".bias"},
};
enum { N_SUFFIXES = sizeof suffixes / sizeof suffixes[0], N_SUFFIXES_GGUF = 2 };

/* Rows of names that do not end in ".weight" or ".bias" in files are whole names. */
static bool is_whole(const lp_weight_name *row)
{
    const char *dot = strrchr(row->name, '.');
    return dot && (strcmp(dot, ".weight") == 0 || strcmp(dot, ".bias") == 0);
}

/* Row that `name` belongs to, or NULL; the first behind `last`, unless that is NULL. *suffix is
 * ".weight", ".bias", or "" where the row's names are complete. */
static const lp_weight_name *next_row(const lp_hparams *hp, bool hf, const char *name,
                                      const lp_weight_name *last, place *at, const char **suffix)
{
    const lp_weight_name *const tables[] = {hp->arch->names, hp->arch->more_names};
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const lp_weight_name *row = tables[t]; row && row->name; row++) {
            const char *pattern = hf ? row->hf : row->name;
            const bool whole = is_whole(row);
            const size_t n = whole ? 1 : hf ? N_SUFFIXES : N_SUFFIXES_GGUF;
            for (size_t s = 0; pattern && !last && s < n; s++) {
                if (matches(hp, pattern, whole ? "" : suffixes[s].there, name, at)) {
                    *suffix = whole ? "" : suffixes[s].here;
                    return row;
                }
            }
            last = row == last ? NULL : last;
        }
    return NULL;
}

static const lp_weight_name *find_row(const lp_hparams *hp, bool hf, const char *name, place *at,
                                      const char **suffix)
{
    return next_row(hp, hf, name, NULL, at, suffix);
}

/* The next word of a list that is separated by " "; false at its end. */
static bool next_word(const char **list, char word[MAX_NAME])
{
    *list += strspn(*list, " ");
    size_t n = strcspn(*list, " ");
    snprintf(word, MAX_NAME, "%.*s", (int)n, *list);
    *list += n;
    return n > 0;
}

/* `name` without the prefixes of a list that it has, each at most once. */
static const char *strip(const char *list, const char *name)
{
    char prefix[MAX_NAME];
    while (next_word(&list, prefix))
        if (strncmp(name, prefix, strlen(prefix)) == 0)
            name += strlen(prefix);
    return name;
}

static const char *without_prefixes(const lp_arch *arch, const char *name)
{
    return strip(arch->hf_prefixes, arch->hf_nested ? strip("model. language_model.", name) : name);
}

/* A tensor of a part of the model that is no text. */
static bool is_no_text(const lp_arch *arch, const char *name)
{
    const char *part = arch->hf_nested ? strip("model.", name) : name;
    return arch->hf_nested && strip(LP_ARCH_NO_TEXT, part) != part;
}

static bool is_ignored(const lp_hparams *hp, const char *name)
{
    place at;
    char pattern[MAX_NAME];
    const char *number = name + strlen("layers.");
    uint32_t layer;
    if (hp->n_layer_unused > 0 && strncmp(name, "layers.", strlen("layers.")) == 0 &&
        take_number(&number, LP_MAX_LAYERS, &layer) && layer >= hp->n_layer &&
        layer - hp->n_layer < hp->n_layer_unused)
        return true;
    for (const char *list = hp->arch->hf_ignored; list && next_word(&list, pattern);)
        if (matches(hp, pattern, "", name, &at))
            return true;
    return false;
}

static lp_status fail_unknown(lp_context *ctx, const char *where, const lp_hparams *hp,
                              const char *name)
{
    return lp_fail(ctx, LP_E_UNSUPPORTED,
                   "%s: tensor %.200s is not part of a %s model with %u layers", where, name,
                   hp->arch->hf, hp->n_layer);
}

/* The weight's new contents are in `memory`, which the table takes over. */
static lp_status replace(lp_context *ctx, lp_weights *weights, lp_weight *weight, lp_file *memory)
{
    const uint8_t *data = memory->data;
    lp_status status = lp_weights_own_file(ctx, weights, memory);
    if (status != LP_OK) {
        lp_file_close(memory);
        return status;
    }
    lp_file_forget(weight->data, weight->bytes);
    weight->data = data;
    return LP_OK;
}

static lp_status fail_form(lp_context *ctx, const char *where, const lp_weight *weight,
                           const char *expected)
{
    char shape[96];
    return lp_fail(ctx, LP_E_SHAPE, "%s: %s: %s expected, file has %s %s", where, weight->name,
                   expected, weight->type, lp_shape_print(weight->shape, shape));
}

/* What lies there in another way, as a whole. */
static lp_status take_whole(lp_context *ctx, const char *where, const lp_hparams *hp,
                            lp_weight_form form, lp_weights *weights, lp_weight *weight)
{
    const lp_weight_name all = {.form = form};
    lp_weight taken;
    LP_TRY(lp_part_take(ctx, where, hp, &all, weights, weight, &taken));
    lp_file_forget(weight->data, weight->bytes);
    *weight = taken;
    return LP_OK;
}

/* [in, out] becomes [out, in]. */
static lp_status transpose_weight(lp_context *ctx, const char *where, const lp_hparams *hp,
                                  lp_weights *weights, lp_weight *weight)
{
    if (weight->shape.n < 2 || lp_dtype_table[weight->dtype].block != 1)
        return fail_form(ctx, where, weight, "a matrix");
    return take_whole(ctx, where, hp, LP_FORM_TRANSPOSED, weights, weight);
}

/* A gain that is stored less 1 becomes f32. */
static lp_status add_one(lp_context *ctx, const char *where, lp_weights *weights, lp_weight *weight)
{
    const lp_dtype_info *type = &lp_dtype_table[weight->dtype];
    if (weight->shape.n != 1 || !lp_dtype_is_plain(weight->dtype))
        return fail_form(ctx, where, weight, "a vector");
    size_t n = (size_t)weight->shape.dim[0];
    lp_file memory;
    LP_TRY(lp_file_memory(ctx, n * sizeof(float), weight->name, &memory));
    float *values = (float *)(uintptr_t)memory.data;
    type->to_f32(weight->data, values, n);
    for (size_t i = 0; i < n; i++)
        values[i] += 1;
    LP_TRY(replace(ctx, weights, weight, &memory));
    weight->dtype = LP_F32;
    weight->type = lp_dtype_table[LP_F32].name;
    weight->bytes = n * sizeof(float);
    return LP_OK;
}

/* How queries, keys and values take turns in the rows of one matrix. */
typedef struct qkv_order {
    uint32_t groups, q_heads, kv_heads; /* heads of each in a group */
    bool value_first;                   /* before the key */
} qkv_order;

static qkv_order order_of(const lp_hparams *hp, lp_weight_form form)
{
    if (form == LP_FORM_QVK_PARTS)
        return (qkv_order){4, hp->n_head / 4, hp->n_head / 4, true};
    const uint32_t groups = form == LP_FORM_QKV_HEADS ? hp->n_head : hp->n_head_kv;
    return (qkv_order){groups, hp->n_head / groups, 1, false};
}

/* Rows [groups, heads, D] in that order become all queries, all keys, all values. */
static lp_status sort_qkv(lp_context *ctx, const char *where, const lp_hparams *hp, qkv_order order,
                          lp_weights *weights, lp_weight *weight)
{
    const uint64_t per_group = order.q_heads + 2 * (uint64_t)order.kv_heads;
    const uint64_t rows = order.groups * per_group * hp->head_k;
    if (order.groups == 1) /* in this order already */
        return LP_OK;
    if (weight->shape.n < 1 || weight->shape.n > 2 || weight->shape.dim[0] < 0 || rows == 0 ||
        (uint64_t)weight->shape.dim[0] != rows)
        return fail_form(ctx, where, weight, "rows of all heads' queries, keys and values");
    const size_t head = weight->bytes / rows * hp->head_k;
    lp_file memory;
    LP_TRY(lp_file_memory(ctx, weight->bytes, weight->name, &memory));
    const uint8_t *from = weight->data;
    const size_t q_bytes = order.q_heads * head, kv_bytes = order.kv_heads * head;
    uint8_t *q = (uint8_t *)(uintptr_t)memory.data, *k = q + order.groups * q_bytes;
    uint8_t *v = k + order.groups * kv_bytes;
    for (uint32_t g = 0; g < order.groups; g++, from += per_group * head) {
        memcpy(q + g * q_bytes, from, q_bytes);
        memcpy((order.value_first ? v : k) + g * kv_bytes, from + q_bytes, kv_bytes);
        memcpy((order.value_first ? k : v) + g * kv_bytes, from + q_bytes + kv_bytes, kv_bytes);
    }
    return replace(ctx, weights, weight, &memory);
}

/* [N, C, P, P] becomes [N, C P P], a bias [N] stays. */
static lp_status flatten_patches(lp_context *ctx, const char *where, lp_weight *weight)
{
    const lp_shape shape = weight->shape;
    if (shape.n == 1)
        return LP_OK;
    if (shape.n != 4 || lp_dtype_table[weight->dtype].block != 1)
        return fail_form(ctx, where, weight, "a kernel [N, C, P, P]");
    weight->shape = LP_SHAPE2(shape.dim[0], shape.dim[1] * shape.dim[2] * shape.dim[3]);
    return LP_OK;
}

/* As the graph wants it. */
static lp_status bring_into_form(lp_context *ctx, const char *where, const lp_hparams *hp,
                                 lp_weight_form form, lp_weights *weights, lp_weight *weight)
{
    if (form == LP_FORM_SAME)
        return LP_OK;
    if (form == LP_FORM_MXFP4)
        return take_whole(ctx, where, hp, form, weights, weight);
    LP_TRY(lp_weight_usable(ctx, weight));
    if (weight->bytes == 0)
        return LP_OK;
    switch (form) {
    case LP_FORM_TRANSPOSED:
        return transpose_weight(ctx, where, hp, weights, weight);
    case LP_FORM_PLUS_ONE:
        return add_one(ctx, where, weights, weight);
    case LP_FORM_QKV_GROUPS:
    case LP_FORM_QKV_HEADS:
    case LP_FORM_QVK_PARTS:
        return sort_qkv(ctx, where, hp, order_of(hp, form), weights, weight);
    case LP_FORM_VECTOR:
        if (weight->shape.n != 2 || weight->shape.dim[0] != 1)
            return fail_form(ctx, where, weight, "one row");
        weight->shape = LP_SHAPE1(weight->shape.dim[1]);
        return LP_OK;
    case LP_FORM_PATCHES:
        return flatten_patches(ctx, where, weight);
    case LP_FORM_FLAT:
        while (weight->shape.n > 1 && weight->shape.dim[0] == 1) {
            memmove(weight->shape.dim, weight->shape.dim + 1, sizeof(int64_t[LP_MAX_DIMS - 1]));
            weight->shape.dim[--weight->shape.n] = 1;
        }
        return LP_OK;
    case LP_FORM_SAME:
    case LP_FORM_MXFP4:
    case LP_FORM_VECTORS:
    case LP_FORM_ROW:
    case LP_FORM_EXPERT:
    case LP_FORM_HEAD:
    case LP_FORM_HEAD_KV:
        break;
    }
    return LP_OK;
}

/* How many parts there are of what becomes one tensor; 0: it is whole. */
static uint32_t n_parts(const lp_hparams *hp, lp_weight_form form)
{
    switch (form) {
    case LP_FORM_EXPERT:
        return hp->n_expert;
    case LP_FORM_HEAD:
        return hp->n_head;
    case LP_FORM_HEAD_KV:
        return hp->n_head_kv;
    default:
        return 0;
    }
}

/* Puts a part, [N, K] or [N], where it belongs in `stack` [n, N, K], which is made when it is NULL,
 * and whose pages come with the first part. */
static lp_status stack_part(lp_context *ctx, const char *where, uint32_t n, uint32_t part,
                            lp_weights *weights, lp_weight *weight, lp_weight *stack)
{
    LP_TRY(lp_weight_usable(ctx, weight));
    if (weight->shape.n < 1 || weight->shape.n > 2 || weight->bytes == 0)
        return fail_form(ctx, where, weight, "a vector or a matrix");
    lp_shape shape = LP_SHAPE1(n);
    shape.n += weight->shape.n;
    for (int i = 0; i < weight->shape.n; i++)
        shape.dim[i + 1] = weight->shape.dim[i];
    const void *from = weight->data;
    const uint64_t bytes = weight->bytes;
    if (stack == NULL) {
        lp_file memory;
        if (bytes > SIZE_MAX / n)
            return fail_form(ctx, where, weight, "less");
        LP_TRY(lp_file_memory(ctx, bytes * n, weight->name, &memory));
        LP_TRY(replace(ctx, weights, weight, &memory));
        weight->shape = shape;
        weight->bytes = bytes * n;
        stack = weight;
    } else if (!lp_shape_equal(stack->shape, shape) || stack->dtype != weight->dtype) {
        return fail_form(ctx, where, weight, "the same shape and type as of the other parts");
    }
    memcpy((uint8_t *)(uintptr_t)stack->data + part * bytes, from, bytes);
    lp_file_forget(from, bytes);
    return LP_OK;
}

static void put_layer(char canonical[MAX_NAME], const char *pattern, uint32_t layer,
                      const char *suffix)
{
    const char *hole = strstr(pattern, "%d");
    if (hole)
        snprintf(canonical, MAX_NAME, "%.*s%u%s%s", (int)(hole - pattern), pattern, layer, hole + 2,
                 suffix);
    else
        snprintf(canonical, MAX_NAME, "%s%s", pattern, suffix);
}

/* Adds the parts of weight `i` under their names; `row`, found with `at` and `suffix`, is that of
 * the first. */
static lp_status take_parts(lp_context *ctx, const char *where, const lp_hparams *hp,
                            lp_weights *weights, size_t i, const lp_weight_name *row, place at,
                            const char *suffix)
{
    const lp_weight whole = *lp_weights_at(weights, i);
    const char *name = without_prefixes(hp->arch, whole.name);
    for (; row; row = next_row(hp, true, name, row, &at, &suffix)) {
        lp_weight part;
        char canonical[MAX_NAME];
        put_layer(canonical, row->name, at.layer, suffix);
        LP_TRY(lp_part_take(ctx, where, hp, row, weights, &whole, &part));
        part.name = canonical;
        LP_TRY(lp_weights_add(ctx, weights, &part));
    }
    lp_file_forget(whole.data, whole.bytes);
    return LP_OK;
}

/* Weight `i` under its canonical name and in form; drop[i] is set if it went into others.
 * stacked[j] counts the parts in weight j. */
static lp_status settle(lp_context *ctx, const char *where, const lp_hparams *hp,
                        lp_weights *weights, size_t i, bool *drop, uint32_t *stacked)
{
    lp_weight *weight = lp_weights_at(weights, i);
    const char *name = without_prefixes(hp->arch, weight->name), *suffix = "";
    if (is_ignored(hp, name))
        return LP_OK;
    place at = {0, 0};
    char canonical[MAX_NAME];
    const lp_weight_name *row = find_row(hp, true, name, &at, &suffix);
    if (!row)
        return fail_unknown(ctx, where, hp, weight->name);
    if (row->part != LP_PART_WHOLE) {
        drop[i] = true;
        return take_parts(ctx, where, hp, weights, i, row, at, suffix);
    }
    put_layer(canonical, row->name, at.layer, suffix);
    const uint32_t n = n_parts(hp, row->form);
    if (n > 0 && at.part >= n)
        return fail_unknown(ctx, where, hp, weight->name);
    if (n > 0) {
        size_t host = 0;
        while (host < i && strcmp(lp_weights_at(weights, host)->name, canonical) != 0)
            host++;
        LP_TRY(stack_part(ctx, where, n, at.part, weights, weight,
                          host < i ? lp_weights_at(weights, host) : NULL));
        stacked[host]++;
        drop[i] = host < i;
        return drop[i] ? LP_OK : lp_weights_rename(ctx, weights, i, canonical);
    }
    bool is_bias = strcmp(suffix, ".bias") == 0;
    const bool of_weight = row->form == LP_FORM_TRANSPOSED || row->form == LP_FORM_PLUS_ONE;
    if (!is_bias || !of_weight) /* other forms are those of rows */
        LP_TRY(bring_into_form(ctx, where, hp, row->form, weights, weight));
    return lp_weights_rename(ctx, weights, i, canonical);
}

lp_status lp_names_from_hf(lp_context *ctx, const char *where, const lp_hparams *hp,
                           lp_weights *weights)
{
    const size_t n = lp_weights_count(weights);
    bool *drop = calloc((MAX_PARTS + 1) * n + 1, sizeof *drop);
    uint32_t *stacked = calloc(n + 1, sizeof *stacked);
    lp_status status = drop && stacked ? LP_OK : lp_fail_memory(ctx, "the names of tensors");
    uint32_t n_skipped = 0;
    for (size_t i = 0; i < n && status == LP_OK; i++) {
        drop[i] = is_no_text(hp->arch, lp_weights_at(weights, i)->name);
        n_skipped += drop[i];
        if (!drop[i])
            status = settle(ctx, where, hp, weights, i, drop, stacked);
    }
    if (n_skipped > 0 && status == LP_OK)
        lp_log(ctx, LP_LOG_WARN,
               "%s: only the text model is read; %u tensors of what sees images are skipped", where,
               n_skipped);
    for (size_t i = 0; i < n && status == LP_OK; i++) {
        const lp_weight *weight = lp_weights_at(weights, i);
        if (stacked[i] != 0 && stacked[i] != weight->shape.dim[0])
            status = lp_fail(ctx, LP_E_MISSING, "%s: %s: %u of %u parts are there", where,
                             weight->name, stacked[i], (uint32_t)weight->shape.dim[0]);
    }
    if (status == LP_OK)
        lp_weights_drop(weights, drop);
    free(drop);
    free(stacked);
    return status;
}

/* From a GGUF file's name to the canonical one (`from_gguf`) or back, where they differ: false if
 * they do not. */
static bool rename_gguf(const lp_hparams *hp, const lp_arch *arch, bool from_gguf, const char *name,
                        char renamed[MAX_NAME])
{
    for (const lp_weight_name *row = arch->gguf_names; row && row->name; row++)
        for (size_t s = 0; s < N_SUFFIXES_GGUF; s++) {
            place at = {0, 0};
            if (!matches(hp, from_gguf ? row->hf : row->name, suffixes[s].here, name, &at))
                continue;
            put_layer(renamed, from_gguf ? row->name : row->hf, at.layer, suffixes[s].here);
            return true;
        }
    return false;
}

bool lp_names_in_gguf(const lp_hparams *hp, const lp_arch *arch, const char *name,
                      char renamed[LP_NAME_BYTES])
{
    return rename_gguf(hp, arch, false, name, renamed);
}

bool lp_names_is_weight(const lp_hparams *hp, const char *name)
{
    const char *suffix;
    place at;
    return find_row(hp, false, name, &at, &suffix) != NULL;
}

/* Weight `i` of a GGUF file; drop[i] is set if it is there in one piece and went into parts. */
static lp_status settle_gguf(lp_context *ctx, const char *where, const lp_hparams *hp,
                             lp_weights *weights, size_t i, bool *drop)
{
    lp_weight *weight = lp_weights_at(weights, i);
    const char *suffix;
    place at;
    const lp_weight_name *row = find_row(hp, false, weight->name, &at, &suffix);
    if (row) {
        if (row->form == LP_FORM_ROW && weight->shape.n == 1)
            weight->shape = LP_SHAPE2(1, weight->shape.dim[0]);
        return LP_OK;
    }
    char canonical[MAX_NAME];
    if (rename_gguf(hp, hp->arch, true, weight->name, canonical))
        return lp_weights_rename(ctx, weights, i, canonical);
    row = find_row(hp, true, weight->name, &at, &suffix);
    if (!row || row->part == LP_PART_WHOLE)
        return fail_unknown(ctx, where, hp, weight->name);
    drop[i] = true;
    return take_parts(ctx, where, hp, weights, i, row, at, suffix);
}

lp_status lp_names_check(lp_context *ctx, const char *where, const lp_hparams *hp,
                         lp_weights *weights)
{
    const size_t n = lp_weights_count(weights);
    bool *drop = calloc((MAX_PARTS + 1) * n + 1, sizeof *drop);
    lp_status status = drop ? LP_OK : lp_fail_memory(ctx, "the names of tensors");
    for (size_t i = 0; i < n && status == LP_OK; i++)
        status = settle_gguf(ctx, where, hp, weights, i, drop);
    if (status == LP_OK)
        lp_weights_drop(weights, drop);
    free(drop);
    return status;
}

/* Whether the graph sees a weight by way of a table that is made of it, or only the host does. */
static bool goes_into_table(const char *name)
{
    static const char *const whole[] = {"v.class_embd.weight", "v.distilled_embd.weight",
                                        "v.position_embd.weight", "v.patch_embd.bias",
                                        "logit_scale.weight"};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (strcmp(name, whole[i]) == 0)
            return true;
    return strncmp(name, "rope_", 5) == 0 || strstr(name, ".attn_rel_b") != NULL;
}

lp_status lp_names_check_read(lp_context *ctx, const char *where, const lp_hparams *hp,
                              lp_weights *weights, const lp_store *store)
{
    for (size_t i = 0; i < lp_weights_count(weights); i++) {
        const char *suffix, *name = lp_weights_at(weights, i)->name;
        place at;
        const lp_weight_name *row = find_row(hp, false, name, &at, &suffix);
        if (!row || lp_store_find(store, name) != UINT32_MAX || goes_into_table(name) ||
            (hp->tied && strcmp(row->name, "output") == 0))
            continue;
        return lp_fail(
            ctx, LP_E_UNSUPPORTED,
            "%s: tensor %s is not read by a model of the kind \"%s\" with these hyperparameters",
            where, name, hp->arch->hf);
    }
    return LP_OK;
}

const lp_weight_name *lp_names_find(const lp_hparams *hp, bool hf, const char *name,
                                    char canonical[LP_NAME_BYTES])
{
    place at = {0, 0};
    const char *suffix;
    char whole[2 * MAX_NAME];
    if (strlen(name) >= MAX_NAME)
        return NULL;
    char renamed[MAX_NAME];
    snprintf(whole, sizeof whole, "%s.weight", hf ? without_prefixes(hp->arch, name) : name);
    const bool other = !hf && rename_gguf(hp, hp->arch, true, whole, renamed);
    const lp_weight_name *row = find_row(hp, hf, other ? renamed : whole, &at, &suffix);
    if (row != NULL)
        put_layer(canonical, row->name, at.layer, "");
    return row;
}

lp_status lp_names_sort_rows(lp_context *ctx, const char *where, const lp_hparams *hp,
                             const lp_weight_name *row, lp_weights *weights, lp_weight *b)
{
    switch (row->part == LP_PART_WHOLE ? row->form : LP_FORM_EXPERT) {
    case LP_FORM_SAME:
    case LP_FORM_TRANSPOSED: /* W is; A and B are the factors of what it is turned into */
        return LP_OK;
    case LP_FORM_QKV_GROUPS:
    case LP_FORM_QKV_HEADS:
        return bring_into_form(ctx, where, hp, row->form, weights, b);
    default: /* no linears, or none that is known to be one */
        break;
    }
    return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: %s: adapters of such weights are not supported",
                   where, b->name);
}
