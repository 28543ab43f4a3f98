/* See adapter.h. */
#include "models/adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/adapter_peft.h"
#include "models/names.h"
#include "tensor/gguf.h"
#include "tensor/safetensors.h"
#include "tensor/torch_file.h"

/* One file while it is read. */
typedef struct source {
    lp_context *ctx;
    const char *path;
    const lp_hparams *hp;
    const lp_weights *weights; /* the model's */
    lp_weights *tensors;       /* of this file */
    bool hf;
    lp_peft_config peft; /* hf */
    float alpha;         /* GGUF; 0: the factor is the scale alone, as llama.cpp has it */
    uint32_t number;
    float scale;
} source;

/* How names of tensors begin and end in files of both kinds. */
typedef struct naming {
    const char *prefix, *weight, *a, *b;
} naming;
static const naming of_gguf = {"", ".weight", ".lora_a", ".lora_b"};
static const naming of_hf = {"base_model.model.", "", ".lora_A.weight", ".lora_B.weight"};

/* Moves *text behind `prefix`, if it begins with it. */
static bool skip(const char **text, const char *prefix)
{
    size_t n = strlen(prefix);
    if (strncmp(*text, prefix, n) != 0)
        return false;
    *text += n;
    return true;
}

/* `name` is a stem and `suffix`; the stem's length. */
static bool ends_with(const char *name, const char *suffix, size_t *stem)
{
    size_t n = strlen(name), m = strlen(suffix);
    *stem = n - m;
    return n > m && strcmp(name + n - m, suffix) == 0;
}

/* The rows of every head's queries or keys in which RoPE finds its pairs: B lies in file order, the
 * model wants `to`. Of the n rows that are rotated, pair i is (2 i, 2 i + 1), or (i, i + n / 2). */
static lp_status sort_pairs(const source *s, lp_rope_pairing to, uint32_t n_heads, lp_weight *b)
{
    const uint32_t size = s->hp->head_k, n = s->hp->rope.n_rotated;
    const size_t row = b->bytes / ((uint64_t)n_heads * size);
    lp_file memory;
    LP_TRY(lp_file_memory(s->ctx, b->bytes, b->name, &memory));
    uint8_t *data = (uint8_t *)(uintptr_t)memory.data;
    memcpy(data, b->data, b->bytes);
    for (uint32_t h = 0; h < n_heads; h++)
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t half = i % 2 * (n / 2) + i / 2, head = h * size;
            const uint32_t from = to == LP_ROPE_ADJACENT ? half : i;
            const uint32_t at = to == LP_ROPE_ADJACENT ? i : half;
            memcpy(data + (head + at) * row, (const uint8_t *)b->data + (head + from) * row, row);
        }
    lp_status status = lp_weights_own_file(s->ctx, s->tensors, &memory);
    if (status != LP_OK) {
        lp_file_close(&memory);
        return status;
    }
    b->data = data;
    return LP_OK;
}

/* The two kinds of files may pair the elements of heads otherwise. */
static lp_status sort_rope(const source *s, const char *canonical, lp_weight *b)
{
    const lp_arch *arch = s->hp->arch;
    const bool halves = s->hf ? !arch->interleaved : arch->gguf_halves;
    const lp_rope_pairing has = halves ? LP_ROPE_HALVES : LP_ROPE_ADJACENT;
    const lp_rope_pairing want = s->hp->rope.pairing;
    size_t stem;
    if (s->hp->position != LP_POSITION_ROPE || has == want)
        return LP_OK;
    if (ends_with(canonical, ".attn_q", &stem))
        return sort_pairs(s, want, s->hp->n_head, b);
    if (ends_with(canonical, ".attn_k", &stem))
        return sort_pairs(s, want, s->hp->n_head_kv, b);
    return LP_OK;
}

/* The weight that the pair belongs to; the head may be the token embedding. */
static const lp_weight *find_weight(const source *s, const char *canonical)
{
    char name[LP_NAME_BYTES + 8];
    if (strcmp(canonical, "output") == 0 && s->hp->tied)
        canonical = "token_embd";
    snprintf(name, sizeof name, "%s.weight", canonical);
    return lp_weights_find(s->weights, name);
}

static lp_status check_matrix(const source *s, const lp_weight *m, lp_shape want)
{
    char a[96], b[96];
    LP_TRY(lp_weight_usable(s->ctx, m));
    if (!lp_shape_equal(m->shape, want))
        return lp_fail(s->ctx, LP_E_SHAPE, "%s: %s: want %s, file has %s", s->path, m->name,
                       lp_shape_print(want, a), lp_shape_print(m->shape, b));
    return LP_OK;
}

/* A [r, K] and B [N, r] against W [N, K]. */
static lp_status check_shapes(const source *s, const char *canonical, const lp_weight *a,
                              const lp_weight *b)
{
    const lp_weight *w = find_weight(s, canonical);
    char text[96];
    if (w == NULL)
        return lp_fail(s->ctx, LP_E_MISSING, "%s: %s: the model has no %s.weight", s->path, a->name,
                       canonical);
    if (strcmp(canonical, "token_embd") == 0 || w->shape.n != 2)
        return lp_fail(s->ctx, LP_E_UNSUPPORTED,
                       "%s: %s: adapters of embeddings, experts and vectors are not supported",
                       s->path, a->name);
    const int64_t rank = a->shape.n == 2 ? a->shape.dim[0] : 0;
    if (rank < 1 || lp_shape_elements(w->shape) == 0)
        return lp_fail(s->ctx, LP_E_SHAPE, "%s: %s: a matrix expected, file has %s", s->path,
                       a->name, lp_shape_print(a->shape, text));
    LP_TRY(check_matrix(s, a, LP_SHAPE2(rank, w->shape.dim[1])));
    return check_matrix(s, b, LP_SHAPE2(w->shape.dim[0], rank));
}

static lp_status add_pair(const source *s, lp_adapters *adapters, lp_low_rank pair)
{
    for (size_t i = 0; i < adapters->n_pairs; i++)
        if (adapters->pairs[i].adapter == s->number &&
            strcmp(adapters->pairs[i].name, pair.name) == 0)
            return lp_fail(s->ctx, LP_E_FORMAT, "%s: there are two pairs for %s.weight", s->path,
                           pair.name);
    if (adapters->n_pairs == adapters->room) {
        const size_t room = 2 * adapters->room + 64;
        lp_low_rank *pairs = realloc(adapters->pairs, room * sizeof *pairs);
        if (pairs == NULL)
            return lp_fail_memory(s->ctx, s->path);
        adapters->pairs = pairs;
        adapters->room = room;
    }
    lp_arena *arena = &adapters->arena;
    pair.adapter = s->number;
    pair.a.name = lp_arena_printf(arena, "%s.lora_a.%u", pair.name, s->number);
    pair.b.name = lp_arena_printf(arena, "%s.lora_b.%u", pair.name, s->number);
    pair.name = lp_arena_strdup(arena, pair.name);
    if (pair.name == NULL || pair.a.name == NULL || pair.b.name == NULL)
        return lp_fail_memory(s->ctx, s->path);
    adapters->pairs[adapters->n_pairs++] = pair;
    return LP_OK;
}

/* The pair whose A is `a`; `stem`: bytes of its name before ".lora_a". */
static lp_status read_pair(const source *s, const naming *names, lp_adapters *adapters,
                           const lp_weight *a, size_t stem)
{
    char of_b[2 * LP_NAME_BYTES], module[LP_NAME_BYTES], canonical[LP_NAME_BYTES];
    const char *text = a->name;
    size_t n = 0;
    snprintf(of_b, sizeof of_b, "%.*s%s", (int)stem, a->name, names->b);
    const lp_weight *b = lp_weights_find(s->tensors, of_b);
    if (b == NULL)
        return lp_fail(s->ctx, LP_E_MISSING, "%s: %.200s has no %s", s->path, a->name, names->b);
    const lp_weight_name *row = NULL;
    if (skip(&text, names->prefix) && stem > strlen(names->prefix)) {
        snprintf(module, sizeof module, "%.*s", (int)(stem - strlen(names->prefix)), text);
        if (*names->weight == '\0')
            row = lp_names_find(s->hp, s->hf, module, canonical);
        else if (ends_with(module, names->weight, &n)) {
            module[n] = '\0';
            row = lp_names_find(s->hp, s->hf, module, canonical);
        }
    }
    if (row == NULL)
        return lp_fail(s->ctx, LP_E_MISSING, "%s: %.200s belongs to no weight of a %s model",
                       s->path, a->name, s->hp->arch->hf);
    lp_low_rank pair = {.name = canonical, .a = *a, .b = *b};
    LP_TRY(check_shapes(s, canonical, a, b));
    if (s->hf)
        LP_TRY(lp_names_sort_rows(s->ctx, s->path, s->hp, row, s->tensors, &pair.b));
    LP_TRY(sort_rope(s, canonical, &pair.b));
    const int64_t rank = a->shape.dim[0];
    pair.factor = s->alpha != 0 ? s->alpha / (float)rank : 1;
    if (s->hf)
        LP_TRY(lp_peft_factor(s->ctx, &s->peft, module, rank, &pair.factor));
    pair.factor *= s->scale;
    if (!isfinite(pair.factor))
        return lp_fail(s->ctx, LP_E_FORMAT, "%s: %s: its factor is not finite", s->path, a->name);
    return add_pair(s, adapters, pair);
}

static lp_status read_pairs(const source *s, lp_adapters *adapters)
{
    const naming *names = s->hf ? &of_hf : &of_gguf;
    const size_t before = adapters->n_pairs, n = lp_weights_count(s->tensors);
    for (size_t i = 0; i < n; i++) {
        const lp_weight *w = lp_weights_at(s->tensors, i);
        char of_a[2 * LP_NAME_BYTES];
        size_t stem;
        if (strlen(w->name) >= LP_NAME_BYTES)
            return lp_fail(s->ctx, LP_E_UNSUPPORTED, "%s: %.200s is no tensor of a LoRA adapter",
                           s->path, w->name);
        if (ends_with(w->name, names->a, &stem)) {
            LP_TRY(read_pair(s, names, adapters, w, stem));
            continue;
        }
        if (!ends_with(w->name, names->b, &stem))
            return lp_fail(s->ctx, LP_E_UNSUPPORTED, "%s: %s is no tensor of a LoRA adapter",
                           s->path, w->name);
        snprintf(of_a, sizeof of_a, "%.*s%s", (int)stem, w->name, names->a);
        if (lp_weights_find(s->tensors, of_a) == NULL)
            return lp_fail(s->ctx, LP_E_MISSING, "%s: %s has no %s", s->path, w->name, names->a);
    }
    if (adapters->n_pairs == before)
        return lp_fail(s->ctx, LP_E_FORMAT, "%s: holds no adapter", s->path);
    return LP_OK;
}

/* ---- Files --------------------------------------------------------------------------------- */

static lp_status want_text(const source *s, const lp_gguf *gguf, const char *key, const char *want)
{
    lp_gguf_string text;
    if (!lp_gguf_get_string(gguf, key, &text))
        return lp_fail(s->ctx, LP_E_FORMAT, "%s: no adapter: %s is missing", s->path, key);
    if (text.bytes != strlen(want) || memcmp(text.data, want, text.bytes) != 0)
        return lp_fail(s->ctx, LP_E_UNSUPPORTED, "%s: %s is \"%.*s\", \"%s\" is expected", s->path,
                       key, (int)(text.bytes < 60 ? text.bytes : 60), text.data, want);
    return LP_OK;
}

static lp_status read_gguf(source *s, lp_adapters *adapters)
{
    static const char *const invocation = "adapter.alora.invocation_tokens";
    lp_status status = LP_OK;
    lp_gguf *gguf = NULL;
    lp_gguf_type type;
    uint64_t n;
    LP_TRY(lp_gguf_open(s->ctx, s->path, s->tensors, &gguf));
    LP_CHECK(want_text(s, gguf, "general.type", "adapter"));
    LP_CHECK(want_text(s, gguf, "adapter.type", "lora"));
    if (s->hp->arch->gguf != NULL) /* else names and shapes must do */
        LP_CHECK(want_text(s, gguf, "general.architecture", s->hp->arch->gguf));
    if (lp_gguf_get_array(gguf, invocation, &type, &n) && n > 0) {
        status = lp_fail(s->ctx, LP_E_UNSUPPORTED, "%s: %s is set; it is not supported", s->path,
                         invocation);
        goto cleanup;
    }
    if (!lp_gguf_get_f32(gguf, "adapter.lora.alpha", &s->alpha)) {
        status = lp_fail(s->ctx, LP_E_MISSING, "%s: adapter.lora.alpha is missing, or no number",
                         s->path);
        goto cleanup;
    }
    status = read_pairs(s, adapters);
cleanup:
    lp_gguf_destroy(gguf);
    return status;
}

static lp_status read_folder(source *s, lp_adapters *adapters)
{
    static const struct {
        const char *name;
        lp_status (*open)(lp_context *ctx, const char *path, lp_weights *weights);
    } forms[] = {{"adapter_model.safetensors", lp_safetensors_open},
                 {"adapter_model.bin", lp_torch_open}};
    lp_status status = lp_peft_config_open(s->ctx, s->path, &s->peft);
    bool found = false;
    s->hf = true;
    for (int i = 0; i < 2 && status == LP_OK && !found; i++) {
        char *file = lp_path_join(s->path, forms[i].name);
        if (file == NULL)
            status = lp_fail_memory(s->ctx, "a path");
        else if (access(file, F_OK) == 0) {
            found = true;
            status = forms[i].open(s->ctx, file, s->tensors);
        }
        free(file);
    }
    if (status == LP_OK && !found)
        status = lp_fail(s->ctx, LP_E_MISSING, "%s: neither %s nor %s is there", s->path,
                         forms[0].name, forms[1].name);
    if (status == LP_OK)
        status = read_pairs(s, adapters);
    lp_peft_config_close(&s->peft);
    return status;
}

lp_status lp_adapters_add(lp_context *ctx, lp_adapters *adapters, const lp_hparams *hp,
                          const lp_weights *weights, const char *path, float scale)
{
    const size_t before = adapters->n_pairs;
    lp_weights **files = realloc(adapters->files, (adapters->n + 1) * sizeof *files);
    if (files == NULL)
        return lp_fail_memory(ctx, path);
    adapters->files = files;
    char **paths = realloc(adapters->paths, (adapters->n + 1) * sizeof *paths);
    if (paths == NULL)
        return lp_fail_memory(ctx, path);
    adapters->paths = paths;
    source s = {.ctx = ctx,
                .path = path,
                .hp = hp,
                .weights = weights,
                .tensors = lp_weights_create(),
                .number = adapters->n,
                .scale = scale};
    paths[adapters->n] = lp_arena_strdup(&adapters->arena, path);
    if (s.tensors == NULL || paths[adapters->n] == NULL) {
        lp_weights_destroy(s.tensors);
        return lp_fail_memory(ctx, path);
    }
    lp_status status =
        lp_path_is_folder(path) ? read_folder(&s, adapters) : read_gguf(&s, adapters);
    if (status != LP_OK) {
        adapters->n_pairs = before;
        lp_weights_destroy(s.tensors);
        return status;
    }
    adapters->files[adapters->n++] = s.tensors;
    return LP_OK;
}

void lp_adapters_destroy(lp_adapters *adapters)
{
    for (uint32_t i = 0; i < adapters->n; i++)
        lp_weights_destroy(adapters->files[i]);
    free(adapters->files);
    free(adapters->paths);
    free(adapters->pairs);
    lp_arena_destroy(&adapters->arena);
}

/* ---- Graphs -------------------------------------------------------------------------------- */

/* y + factor B (A x); the factor is applied where there is least to multiply. */
static lp_tensor_id add_low_rank(lp_builder *b, const lp_low_rank *pair, const char *name,
                                 lp_tensor_id x, lp_tensor_id y)
{
    char node[LP_NAME_BYTES];
    const uint32_t i = pair->adapter;
    lp_tensor_id in = lp_weight_given(b, &pair->a, pair->a.shape);
    lp_tensor_id out = lp_weight_given(b, &pair->b, pair->b.shape);
    snprintf(node, sizeof node, "%s.lora_a.%u", name, i);
    lp_tensor_id low = lp_linear(b, node, x, in, LP_NONE);
    snprintf(node, sizeof node, "%s.lora_scale.%u", name, i);
    low = lp_act_scaled(b, node, LP_ACT_NONE, 1, low, pair->factor);
    snprintf(node, sizeof node, "%s.lora_b.%u", name, i);
    lp_tensor_id more = lp_linear(b, node, low, out, LP_NONE);
    snprintf(node, sizeof node, "%s.lora.%u", name, i);
    return lp_add(b, node, y, more);
}

lp_tensor_id lp_adapted(lp_builder *b, const lp_adapters *adapters, const char *block,
                        const char *name, lp_tensor_id x, lp_tensor_id y)
{
    for (size_t i = 0; i < adapters->n_pairs && b->status == LP_OK; i++) {
        const char *of = adapters->pairs[i].name;
        if (skip(&of, block) && strcmp(of, name) == 0)
            y = add_low_rank(b, &adapters->pairs[i], name, x, y);
    }
    return y;
}

lp_status lp_adapters_check_read(lp_context *ctx, const lp_adapters *adapters,
                                 const lp_store *store)
{
    for (size_t i = 0; i < adapters->n_pairs; i++) {
        const lp_low_rank *pair = &adapters->pairs[i];
        if (lp_store_find(store, pair->a.name) == UINT32_MAX)
            return lp_fail(ctx, LP_E_UNSUPPORTED,
                           "%s: adapters of %s.weight are not supported in this model",
                           adapters->paths[pair->adapter], pair->name);
    }
    return LP_OK;
}
