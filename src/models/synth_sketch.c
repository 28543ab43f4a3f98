/* Tensors of a model out of its config.json, see synth_sketch.h. What a file decides by having a
 * weight or not (fused projections, biases, experts) is decided here as the transformers library
 * does. Then the graphs are built over weights without shapes, and each gets the shape that is
 * asked for; what nothing asks for is not there. */
#include "models/synth_sketch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "graph/store.h"
#include "models/network.h"

/* Kinds of weights, of which a family's have biases or not. */
enum {
    OF_NORM = 1 << 0,
    OF_QKV = 1 << 1,
    OF_OUT = 1 << 2,
    OF_FFN = 1 << 3,
    OF_HEAD = 1 << 4,
    OF_ROUTER = 1 << 5,
    OF_DENSE = 1 << 6, /* pooler, what stands before a head */
    OF_EMBD = 1 << 7,
    OF_ALL = OF_NORM | OF_QKV | OF_OUT | OF_FFN | OF_DENSE
};

/* Biases of families that differ from their kind of norm: with layer norms all have them, with RMS
 * norms none. */
static const struct {
    const char *hf;
    unsigned with;
} biases[] = {
    {"gpt_neo", OF_NORM | OF_OUT | OF_FFN},
    {"gptj", OF_NORM | OF_FFN | OF_HEAD},
    {"codegen", OF_NORM | OF_FFN | OF_HEAD},
    {"mpt", 0},
    {"olmo", 0},
    {"transformer", OF_ALL | OF_HEAD},
    {"falcon", OF_NORM},
    {"cohere", 0},
    {"stablelm", OF_NORM},
    {"nemotron", OF_NORM},
    {"phi", OF_ALL | OF_HEAD},
    {"modernbert", OF_HEAD},
    {"bert", OF_ALL | OF_HEAD},
    {"roberta", OF_ALL | OF_HEAD},
    {"xlm-roberta", OF_ALL | OF_HEAD},
    {"distilbert", OF_ALL | OF_HEAD},
    {"electra", OF_ALL | OF_HEAD | OF_EMBD},
    {"qwen2", OF_QKV},
    {"qwen2_moe", OF_QKV},
    {"gpt_oss", OF_ROUTER},
    {"retro", OF_FFN},
    {"lstm_lm", OF_HEAD},
    {"gru_lm", OF_HEAD},
    {"luong_nmt", OF_HEAD},
    {"bahdanau_nmt", OF_HEAD},
};

typedef struct maker {
    lp_context *ctx;
    const char *where;
    yyjson_val *root; /* of config.json; of a text model that is one of several, its part */
    lp_network network;
    const lp_hparams *hp;
    const lp_arch *arch;
    unsigned with;    /* biases: OF_ */
    bool masked_head; /* an encoder has a head for masked tokens instead of a pooler */
    lp_sketch *sketch;
} maker;

static bool flag(const maker *m, const char *key, bool usual)
{
    yyjson_val *value = yyjson_obj_get(m->root, key);
    return yyjson_is_bool(value) ? yyjson_get_bool(value) : usual;
}

static uint32_t number(const maker *m, const char *key, uint32_t usual)
{
    yyjson_val *value = yyjson_obj_get(m->root, key);
    return yyjson_is_uint(value) && yyjson_get_uint(value) <= UINT32_MAX
               ? (uint32_t)yyjson_get_uint(value)
               : usual;
}

static bool is(const char *text, const char *other)
{
    return strcmp(text, other) == 0;
}

static bool starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool ends(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && is(text + n - m, end);
}

/* Rows with whole names have no ".weight" or ".bias" put behind them. */
static bool is_whole(const lp_weight_name *row)
{
    return ends(row->name, ".weight") || ends(row->name, ".bias");
}

/* A row's part of a name: "enc.", "dec." or "". */
static const char *part_of(const lp_weight_name *row)
{
    return starts(row->name, "enc.") ? "enc." : starts(row->name, "dec.") ? "dec." : "";
}

/* Whether it is of an encoder beside a decoder; an encoder alone is the model itself. */
static bool of_encoder(const maker *m, const lp_weight_name *row)
{
    return starts(row->name, "enc.") && m->arch->has_encoder;
}

/* Its canonical name below the layer. */
static const char *base_of(const lp_weight_name *row)
{
    const char *base = row->name + strlen(part_of(row));
    return starts(base, "blk.%d.") ? base + strlen("blk.%d.") : base;
}

/* --- What there is ---------------------------------------------------------------------------- */

static unsigned kind_of(const char *base)
{
    if (strstr(base, "norm"))
        return OF_NORM;
    if (is(base, "output"))
        return OF_HEAD;
    if (is(base, "ffn_gate_inp"))
        return OF_ROUTER;
    if (starts(base, "ffn_"))
        return strstr(base, "exp") ? 0 : OF_FFN;
    if (ends(base, "attn_output"))
        return OF_OUT;
    if (is(base, "pooler") || is(base, "mlm_dense"))
        return OF_DENSE;
    if (starts(base, "embd_"))
        return OF_EMBD;
    return strstr(base, "attn_q") || strstr(base, "attn_k") || strstr(base, "attn_v") ? OF_QKV : 0;
}

static unsigned family_biases(const maker *m)
{
    unsigned with = m->arch->norm == LP_NORM_LAYER ? OF_ALL : 0;
    const bool free_of = flag(m, "no_bias", true);
    for (size_t i = 0; i < sizeof biases / sizeof biases[0]; i++)
        if (is(m->arch->hf, biases[i].hf))
            with = biases[i].with;
    if (flag(m, "attention_bias", false))
        with |= starts(m->arch->hf, "glm") ? OF_QKV : OF_QKV | OF_OUT;
    if (flag(m, "use_qkv_bias", false) || flag(m, "add_qkv_bias", false))
        with |= OF_QKV;
    if (flag(m, "mlp_bias", false))
        with |= OF_FFN;
    if (flag(m, "bias", false) || !free_of)
        with |= OF_ALL;
    if (m->hp->tied && m->arch->has_encoder)
        with &= ~(unsigned)OF_HEAD;
    if (!flag(m, "use_bias", true) || !flag(m, "enable_bias", true))
        with &= OF_NORM;
    return with;
}

/* Whether a layer's feed-forward part is a mixture. */
static bool has_experts(const maker *m, const char *part, uint32_t layer)
{
    yyjson_val *list = yyjson_obj_get(m->root, "mlp_only_layers"), *value;
    size_t i, n;
    if (m->hp->n_expert == 0)
        return false;
    yyjson_arr_foreach(list, i, n, value) if (yyjson_get_uint(value) == layer) return false;
    if (m->hp->route.capacity > 0) { /* Switch: the second of so many */
        const uint32_t step =
            number(m, part[0] == 'e' ? "encoder_sparse_step" : "decoder_sparse_step", 1);
        return step == 1 || (step > 0 && layer % step == 1);
    }
    const uint32_t sparse = number(m, "decoder_sparse_step", 1);
    const uint32_t interleave = number(m, "interleave_moe_layer_step", 1);
    const uint32_t frequency = number(m, "moe_layer_freq", 1);
    return layer >= number(m, "first_k_dense_replace", 0) && sparse > 0 &&
           (layer + 1) % sparse == 0 && interleave > 0 && (layer + 1) % interleave == 0 &&
           frequency > 0 && layer % frequency == 0;
}

static const lp_weight_name *row_of(const maker *m, const char *name)
{
    const lp_weight_name *const tables[] = {m->arch->names, m->arch->more_names};
    for (int t = 0; t < 2; t++)
        for (const lp_weight_name *row = tables[t]; row && row->name; row++)
            if (is(row->name, name))
                return row->hf ? row : NULL;
    return NULL;
}

/* Falcon: two norms of parallel parts. */
static bool two_norms(const maker *m)
{
    return flag(m, "new_decoder_architecture", false) &&
           number(m, "num_ln_in_parallel_attn", 2) == 2;
}

/* Or Switch: the activation says whether there is a gate. */
static bool is_t5(const maker *m)
{
    return m->arch->position == LP_POSITION_RELATIVE;
}

/* The feed-forward part's weights in this layer. */
static bool wants_ffn(const maker *m, const char *base, const char *part, uint32_t layer)
{
    const bool experts = has_experts(m, part, layer);
    const lp_weight_name *up = row_of(m, "blk.%d.ffn_up");
    if (strstr(base, "shexp"))
        return experts && m->hp->n_ff_shared > 0;
    if (strstr(base, "_exps") || is(base, "ffn_gate_inp"))
        return experts;
    if (!is(base, "ffn_gate"))
        return !experts;
    const bool fused = up && (strstr(up->hf, "gate_up") || strstr(up->hf, "Wi"));
    const bool gated = m->arch->gated || (is_t5(m) && m->hp->act != LP_ACT_RELU);
    return gated && !fused && !experts;
}

/* RETRO: layers with cross-attention are listed, or all have it. */
static bool wants_cross(const maker *m, const char *part, uint32_t layer)
{
    yyjson_val *list = yyjson_obj_get(m->root, is(part, "enc.") ? "encoder_cross_attention_layers"
                                                                : "cross_attention_layers"),
               *value;
    size_t i, n;
    yyjson_arr_foreach(list, i, n, value) if (yyjson_is_uint(value) &&
                                              yyjson_get_uint(value) == layer) return true;
    return !yyjson_is_arr(list);
}

/* T5: without a gate the first matrix has another name. */
static bool wants_t5_up(const maker *m, const lp_weight_name *row)
{
    const bool gated = m->hp->act != LP_ACT_RELU;
    return !is_t5(m) || !strstr(row->hf, "DenseReluDense.wi") || gated != ends(row->hf, ".wi");
}

/* The name that a bias has in files: some heads' are beside their weights, in the last such row. */
static const lp_weight_name *row_of_bias(const maker *m, const lp_weight_name *row)
{
    const lp_weight_name *const tables[] = {m->arch->names, m->arch->more_names};
    const lp_weight_name *found = NULL;
    for (int t = 0; t < 2 && !found; t++)
        for (const lp_weight_name *r = tables[t]; r && r->name && is(row->name, "output"); r++)
            if (is(r->name, row->name) && r->hf)
                found = r;
    return found ? found : row;
}

/* Whether a row of the table stands for a weight of this model. Those that nothing asks for fall
 * out later. */
static bool wants(const maker *m, const lp_weight_name *row, uint32_t layer)
{
    const char *base = base_of(row), *part = part_of(row);
    if (starts(base, "ffn_") && !strstr(base, "norm"))
        return wants_ffn(m, base, part, layer) && wants_t5_up(m, row);
    if (is(base, "ffn_norm") && m->hp->parallel && is(m->arch->hf, "stablelm"))
        return false;
    if (is(base, "attn_norm_2"))
        return two_norms(m);
    if (is(m->arch->hf, "falcon") && is(base, "attn_norm"))
        return two_norms(m) == ends(row->hf, "ln_mlp");
    if (is(base, "attn_q") || is(base, "attn_k") || is(base, "attn_v"))
        return !row_of(m, "blk.%d.attn_qkv");
    if (starts(base, "attn_q_a") || starts(base, "attn_q_b"))
        return m->hp->n_q_latent > 0;
    if (starts(base, "exp_probs_b"))
        return has_experts(m, part, layer) && m->hp->route.score == LP_ROUTE_SIGMOID;
    if (m->arch->retrieves && starts(base, "cross_attn"))
        return wants_cross(m, part, layer);
    if (is(base, "attn_rel_b"))
        return layer == 0 && (!m->arch->part || is(part, m->arch->part));
    if (is(base, "pooler"))
        return !m->masked_head;
    if (starts(base, "mlm_"))
        return m->masked_head;
    if (is(base, "output") && m->arch->encoder_only)
        return m->masked_head && m->with & OF_HEAD;
    return !is(base, "output") || !m->hp->tied || m->with & OF_HEAD;
}

/* Whether an earlier row has the name in files, or stands for the same weight. */
static bool is_taken(const maker *m, const lp_weight_name *row, uint32_t layer)
{
    const lp_weight_name *const tables[] = {m->arch->names, m->arch->more_names};
    for (int t = 0; t < 2; t++)
        for (const lp_weight_name *r = tables[t]; r && r->name; r++) {
            if (r == row)
                return false;
            if (!r->hf || row->part != LP_PART_WHOLE)
                continue;
            if (is(r->hf, row->hf) || (is(r->name, row->name) && wants(m, r, layer)))
                return true;
        }
    return false;
}

/* --- Every row, layer by layer ---------------------------------------------------------------- */

typedef lp_status (*row_fn)(maker *m, const lp_weight_name *row, uint32_t layer, const char *stem);

static lp_status each_row(maker *m, row_fn act)
{
    const lp_weight_name *const tables[] = {m->arch->names, m->arch->more_names};
    for (int t = 0; t < 2; t++)
        for (const lp_weight_name *row = tables[t]; row && row->name; row++) {
            const char *hole = strstr(row->name, "%d");
            const uint32_t layers = of_encoder(m, row) ? m->hp->encoder.n_layer : m->hp->n_layer;
            if (!row->hf || starts(row->hf, "blk.") || ends(row->hf, "_blocks") ||
                ends(row->hf, "_scales"))
                continue;
            for (uint32_t i = 0; i < (hole ? layers : 1); i++) {
                char stem[LP_NAME_BYTES];
                if (hole)
                    snprintf(stem, sizeof stem, "%.*s%u%s", (int)(hole - row->name), row->name, i,
                             hole + 2);
                else
                    snprintf(stem, sizeof stem, "%s", row->name);
                if (wants(m, row, i) && !is_taken(m, row, i))
                    LP_TRY(act(m, row, i, stem));
            }
        }
    return LP_OK;
}

/* --- Weights without shapes ------------------------------------------------------------------- */

static lp_status add_weight(maker *m, const char *name, lp_shape shape, const void *data)
{
    if (lp_weights_find(m->network.weights, name))
        return LP_OK;
    const lp_weight weight = {.name = name, .dtype = LP_F32, .shape = shape, .data = data};
    return lp_weights_add(m->ctx, m->network.weights, &weight);
}

/* Relative positions become a table while the graph is built, so they must have numbers. */
static lp_status add_relative(maker *m, const char *name, bool encoder)
{
    const uint32_t heads = encoder ? m->hp->encoder.n_head : m->hp->n_head;
    uint8_t *data;
    LP_TRY(lp_weights_memory(m->ctx, m->network.weights,
                             (size_t)m->hp->n_bucket * heads * sizeof(float), name, &data));
    return add_weight(m, name, LP_SHAPE2(m->hp->n_bucket, heads), data);
}

/* Norms of heads that have a gain for each. */
static bool per_head(const maker *m, const lp_weight_name *row, lp_shape *shape)
{
    const char *base = base_of(row);
    const bool q = is(base, "attn_q_norm"), k = is(base, "attn_k_norm");
    const bool many =
        row->form == LP_FORM_HEAD || row->form == LP_FORM_HEAD_KV || is(m->arch->hf, "cohere");
    *shape = LP_SHAPE2(q ? m->hp->n_head : m->hp->n_head_kv, m->hp->head_k);
    return (q || k) && many && m->hp->norms & LP_NORMS_QK_HEAD;
}

static lp_status add_row(maker *m, const lp_weight_name *row, uint32_t layer, const char *stem)
{
    const char *base = base_of(row);
    char name[2 * LP_NAME_BYTES];
    lp_shape shape;
    (void)layer;
    snprintf(name, sizeof name, "%s%s", stem, is_whole(row) ? "" : ".weight");
    if (is(base, "attn_rel_b"))
        return add_relative(m, name, of_encoder(m, row));
    if (per_head(m, row, &shape))
        return add_weight(m, name, shape, NULL);
    if (!is(base, "output") || !m->hp->tied)
        LP_TRY(add_weight(m, name, (lp_shape){0}, NULL));
    if (is_whole(row) || !(kind_of(base) & m->with))
        return LP_OK;
    snprintf(name, sizeof name, "%s.bias", stem);
    return add_weight(m, name, (lp_shape){0}, NULL);
}

/* One token is enough to ask for everything. */
static lp_status give_shapes(maker *m)
{
    lp_store store = {0};
    lp_graph *graph = NULL;
    const bool encoder = m->arch->encoder_only;
    const lp_network_options options = {.n_tokens = 1,
                                        .n_ctx = 1,
                                        .kv_dtype = LP_F32,
                                        .outputs = encoder && !m->masked_head ? LP_OUTPUTS_NONE
                                                                              : LP_OUTPUTS_ALL,
                                        .hidden = encoder};
    lp_status status = lp_network_graph(m->ctx, &m->network, &store, &options, &graph);
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
    return status;
}

/* --- As files have them ----------------------------------------------------------------------- */

static lp_sketch_tensor *new_tensor(maker *m)
{
    lp_sketch *s = m->sketch;
    if (s->n == s->room) {
        const size_t room = 2 * s->room + 64;
        lp_sketch_tensor *grown = realloc(s->tensors, room * sizeof *grown);
        if (!grown)
            return NULL;
        s->tensors = grown;
        s->room = room;
    }
    return &s->tensors[s->n++];
}

/* The prefixes, which go before everything but heads, and the row's name with its numbers. */
static void put_name(const maker *m, const lp_weight_name *row, uint32_t layer, int64_t part,
                     const char *suffix, char name[LP_NAME_BYTES])
{
    const char *base = base_of(row);
    const bool head =
        (starts(base, "output") && !starts(base, "output_norm")) || starts(base, "mlm_");
    size_t n = 0;
    for (const char *p = m->arch->hf_prefixes; p && *p && !head && n < LP_NAME_BYTES / 2; p++)
        if (*p != ' ')
            name[n++] = *p;
    for (const char *p = row->hf; *p && n + 24 < LP_NAME_BYTES; p++) {
        if (*p != '%')
            name[n++] = *p;
        else
            n += (size_t)snprintf(name + n, 22, "%lld", *++p == 'd' ? (long long)layer : part);
    }
    snprintf(name + n, LP_NAME_BYTES - n, "%s", suffix);
}

/* What a shape, as the graph has it, is in the file. false: another row stands for the tensor. */
static bool shape_in_file(const maker *m, const lp_weight_name *row, lp_shape *shape)
{
    const uint32_t plain = m->hp->head_k - m->hp->rope.n_rotated;
    const int last = shape->n - 1;
    switch (row->part) {
    case LP_PART_WHOLE:
        break;
    case LP_PART_EVEN:
    case LP_PART_FIRST:
        shape->dim[row->form == LP_FORM_VECTORS ? last : last - 1] *= 2;
        break;
    case LP_PART_QUERIES:
        shape->dim[0] *= 3;
        break;
    case LP_PART_HEAD_KEYS: /* [H, R, plain] and [H, Dv, R] are [H (plain + Dv), R] */
        *shape = LP_SHAPE2((int64_t)m->hp->n_head * (plain + m->hp->head_v), shape->dim[1]);
        break;
    default:
        return false;
    }
    if (row->form == LP_FORM_TRANSPOSED && shape->n >= 2) {
        const int64_t n_in = shape->dim[last];
        shape->dim[last] = shape->dim[last - 1];
        shape->dim[last - 1] = n_in;
    }
    if (row->form == LP_FORM_VECTOR)
        *shape = LP_SHAPE2(1, shape->dim[0]);
    return true;
}

/* See the head of synth.c. */
static void set_scale(const maker *m, const lp_weight_name *row, bool bias, lp_shape shape,
                      lp_sketch_tensor *t)
{
    const char *base = base_of(row);
    const double n_in = (double)shape.dim[shape.n - 1];
    const bool residual = ends(base, "attn_output") || starts(base, "ffn_down");
    const bool head = is(base, "output") || is(base, "token_embd");
    if (bias) {
        t->deviation = 0.02f;
    } else if (kind_of(base) == OF_NORM) {
        t->mean = row->form == LP_FORM_PLUS_ONE ? 0 : 1;
        t->deviation = 0.1f;
    } else if (shape.n < 2) {
        t->deviation = 0.1f;
    } else {
        t->deviation = (float)((head ? 3 : 1) / sqrt(n_in));
        if (residual)
            t->deviation *= (float)(1 / sqrt(2.0 * m->hp->n_layer));
    }
}

static lp_status put_tensors(maker *m, const lp_weight_name *row, uint32_t layer, bool bias,
                             const lp_weight *weight)
{
    const bool stacked =
        row->form == LP_FORM_EXPERT || row->form == LP_FORM_HEAD || row->form == LP_FORM_HEAD_KV;
    const char *suffix = is_whole(row) ? "" : bias ? ".bias" : ".weight";
    lp_shape shape = weight->shape;
    if (!bias && !shape_in_file(m, row, &shape))
        return LP_OK;
    const int64_t n = stacked ? shape.dim[0] : 1;
    for (int i = 1; i < shape.n && stacked; i++)
        shape.dim[i - 1] = shape.dim[i];
    shape.n -= stacked;
    for (int64_t e = 0; e < n; e++) {
        lp_sketch_tensor *t = new_tensor(m);
        if (!t)
            return lp_fail_memory(m->ctx, m->where);
        *t = (lp_sketch_tensor){.shape = shape};
        put_name(m, bias ? row_of_bias(m, row) : row, layer, e, suffix, t->name);
        set_scale(m, row, bias || ends(row->name, ".bias"), weight->shape, t);
    }
    return LP_OK;
}

static lp_status list_row(maker *m, const lp_weight_name *row, uint32_t layer, const char *stem)
{
    for (int bias = 0; bias < (is_whole(row) ? 1 : 2); bias++) {
        char name[2 * LP_NAME_BYTES];
        snprintf(name, sizeof name, "%s%s", stem, is_whole(row) ? "" : bias ? ".bias" : ".weight");
        const lp_weight *weight = lp_weights_find(m->network.weights, name);
        if (weight && weight->shape.n > 0)
            LP_TRY(put_tensors(m, row, layer, bias, weight));
    }
    return LP_OK;
}

static lp_status make(maker *m)
{
    const char *kind =
        yyjson_get_str(yyjson_arr_get_first(yyjson_obj_get(m->root, "architectures")));
    if (m->hp->vision.n_layer > 0 || !lp_hparams_reads_texts(m->hp))
        return lp_fail(m->ctx, LP_E_UNSUPPORTED, "%s: models that read pictures are not made",
                       m->where);
    m->masked_head =
        m->arch->encoder_only && kind && (strstr(kind, "MaskedLM") || strstr(kind, "PreTraining"));
    m->with = family_biases(m);
    LP_TRY(each_row(m, add_row));
    LP_TRY(give_shapes(m));
    return each_row(m, list_row);
}

lp_status lp_sketch_open(lp_context *ctx, const char *config, lp_sketch **sketch)
{
    yyjson_doc *doc = NULL;
    maker m = {.ctx = ctx, .where = config};
    *sketch = NULL;
    LP_TRY(lp_hparams_from_config(ctx, config, &m.network.hparams));
    LP_TRY(lp_json_open(ctx, config, &doc));
    m.root = yyjson_doc_get_root(doc);
    if (m.network.hparams.arch->hf_nested && yyjson_obj_get(m.root, "text_config"))
        m.root = yyjson_obj_get(m.root, "text_config");
    m.network.sketch = true;
    m.network.path = (char *)(uintptr_t)config; /* only read */
    m.network.weights = lp_weights_create();
    m.hp = &m.network.hparams;
    m.arch = m.hp->arch;
    m.sketch = calloc(1, sizeof *m.sketch);
    lp_status status =
        m.sketch && m.network.weights ? make(&m) : lp_fail_memory(ctx, "a list of tensors");
    if (status == LP_OK) {
        m.sketch->hparams = m.network.hparams;
        *sketch = m.sketch;
    } else {
        lp_sketch_destroy(m.sketch);
    }
    lp_weights_destroy(m.network.weights);
    yyjson_doc_free(doc);
    return status;
}

void lp_sketch_destroy(lp_sketch *sketch)
{
    if (!sketch)
        return;
    free(sketch->tensors);
    free(sketch);
}
