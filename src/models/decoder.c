/* Decoder-only and encoder-only transformers, as the rows of arch.c describe them. Plain nodes
 * only: merging activations, gates and residuals into their neighbours is the fusion pass's work.
 *
 * Shapes: T tokens, N embedding, H heads of Dk (keys) and Dv (values), G key/value heads, F hidden
 * features of the feed-forward part, V vocabulary, C context. Activations are f32. */
#include "models/decoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/relative.h"

typedef struct decoder {
    lp_builder *b;
    const lp_network *model;
    const lp_hparams *hp;
    const lp_network_options *options;
    uint32_t layer;
    const char *part; /* "enc.", "dec." where a model has both, or "" */
    char block[24];   /* "blk.3." or "", with the part before it: put before the names of weights */
    lp_tensor_id cursor, history, sampler;
    lp_tensor_id bias; /* by distance: slopes of ALiBi, relative positions, or LP_NONE */
    lp_rope_angles angles, angles_window; /* of layers that see everything, and of the others */
} decoder;

/* Whether the file has this layer's `name` with the suffix: where models differ from layer to
 * layer, or from file to file, that decides. */
static bool has(const decoder *d, const char *name, const char *suffix)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s%s", d->block, name, suffix);
    return lp_weights_find(d->model->weights, full) != NULL;
}

static bool has_weight(const decoder *d, const char *name)
{
    return has(d, name, ".weight");
}

/* What weight `name` made of x, with what adapters add to it. */
static lp_tensor_id adapted(decoder *d, const char *name, lp_tensor_id x, lp_tensor_id y)
{
    return lp_adapted(d->b, &d->model->adapters, d->block, name, x, y);
}

/* x [T, n_in] -> [T, n_out]; the bias is optional, adapters add to the result. */
static lp_tensor_id linear(decoder *d, const char *name, lp_tensor_id x, int64_t n_out,
                           int64_t n_in)
{
    lp_tensor_id w = lp_weight_tensor(d->b, LP_SHAPE2(n_out, n_in), "%s%s.weight", d->block, name);
    lp_tensor_id bias = lp_weight_optional(d->b, LP_SHAPE1(n_out), "%s%s.bias", d->block, name);
    return adapted(d, name, x, lp_linear(d->b, name, x, w, bias));
}

/* x [T heads, n] -> the same with the weights `name`; a layer norm may lack the bias. A gain of two
 * dimensions is one per head. */
static lp_tensor_id norm_of(decoder *d, const char *name, lp_tensor_id x, int64_t n)
{
    const lp_norm_kind kind = d->hp->arch->norm;
    lp_tensor_id gain = LP_NONE, bias = LP_NONE;
    char full[64];
    snprintf(full, sizeof full, "%s%s.weight", d->block, name);
    const lp_weight *w = lp_weights_find(d->model->weights, full);
    if (w && w->shape.n == 2)
        gain = lp_weight_vectors(d->b, LP_SHAPE2(w->shape.dim[0], n), "%s", full);
    else if (!d->hp->norm_plain)
        gain = lp_weight_tensor(d->b, LP_SHAPE1(n), "%s", full);
    if (!d->hp->norm_plain && kind == LP_NORM_LAYER)
        bias = lp_weight_optional(d->b, LP_SHAPE1(n), "%s%s.bias", d->block, name);
    return lp_norm(d->b, name, kind, d->hp->norm_eps, x, gain, bias);
}

/* x [T, N], normed if the model has `which` of LP_NORMS_. */
static lp_tensor_id norm(decoder *d, unsigned which, const char *name, lp_tensor_id x)
{
    return d->hp->norms & which ? norm_of(d, name, x, d->hp->n_embd) : x;
}

/* x [T, heads * size] -> [T, heads, size], normed as a whole or head by head if the model does. */
static lp_tensor_id norm_heads(decoder *d, const char *name, lp_tensor_id x, uint32_t n_heads,
                               uint32_t size)
{
    if (d->hp->norms & LP_NORMS_QK_ROW)
        x = norm_of(d, name, x, (int64_t)n_heads * size);
    x = lp_view_heads(d->b, x, n_heads);
    return d->hp->norms & LP_NORMS_QK_HEAD ? norm_of(d, name, x, size) : x;
}

/* The divisors of RoPE's frequencies that GGUF files bring along, or NULL: Llama 3's, or LongRoPE's
 * for contexts as long as the original or longer. */
static lp_status rope_divisors(const decoder *d, float **divisors)
{
    lp_context *ctx = d->b->ctx;
    const bool is_long = d->options->n_ctx > (int64_t)d->hp->rope.original_context;
    const char *const names[] = {"rope_freqs.weight", is_long ? "rope_factors_long.weight"
                                                              : "rope_factors_short.weight"};
    const lp_weight *w = lp_weights_find(d->model->weights, names[0]);
    if (!w)
        w = lp_weights_find(d->model->weights, names[1]);
    uint32_t n = d->hp->rope.n_rotated / 2;
    char text[96];
    *divisors = NULL;
    if (!w)
        return LP_OK;
    if (w->dtype != LP_F32 || !lp_shape_equal(w->shape, LP_SHAPE1(n)))
        return lp_fail(ctx, LP_E_SHAPE, "%s: want F32 [%u], file has %s %s", w->name, n, w->type,
                       lp_shape_print(w->shape, text));
    *divisors = malloc(n * sizeof **divisors);
    if (!*divisors)
        return lp_fail_memory(ctx, "RoPE frequencies");
    memcpy(*divisors, w->data, n * sizeof **divisors);
    for (uint32_t i = 0; i < n; i++)
        if (!(isfinite((*divisors)[i]) && (*divisors)[i] > 0))
            return lp_fail(ctx, LP_E_FORMAT, "%s: element %u is %g", w->name, i,
                           (double)(*divisors)[i]);
    return LP_OK;
}

static lp_rope_angles make_rope_table(decoder *d, const char *name, const lp_rope_hparams *rope)
{
    lp_rope_angles angles = {.table = LP_NONE};
    float *divisors = NULL;
    double *frequencies = malloc(rope->n_rotated / 2 * sizeof *frequencies);
    lp_status status =
        frequencies ? rope_divisors(d, &divisors) : lp_fail_memory(d->b->ctx, "RoPE frequencies");
    if (status == LP_OK) {
        const int32_t n_ctx = d->options->n_ctx;
        lp_rope_frequencies(rope, (uint32_t)n_ctx, divisors, frequencies);
        angles = lp_rope_table(d->b, name, frequencies, (int32_t)rope->n_rotated, n_ctx,
                               rope->attention_factor);
    } else if (d->b->status == LP_OK) {
        d->b->status = status;
    }
    free(divisors);
    free(frequencies);
    return angles;
}

/* Whether layers with a window turn queries and keys otherwise than the rest. */
static bool two_ropes(const lp_hparams *hp)
{
    const lp_rope_hparams *a = &hp->rope, *b = &hp->rope_window;
    return a->base != b->base || a->n_rotated != b->n_rotated || a->scaling != b->scaling ||
           a->factor != b->factor;
}

/* Biases by distance, [H, 2 M + 1] in a table: they are those of layer 0, and serve all layers. */
static lp_tensor_id make_relative_table(decoder *d)
{
    const lp_hparams *hp = d->hp;
    const uint32_t n = hp->n_bucket, n_ctx = (uint32_t)d->options->n_ctx;
    const uint32_t reach = hp->max_distance < n_ctx ? hp->max_distance : n_ctx;
    char name[48], text[96];
    snprintf(name, sizeof name, "%sblk.0.attn_rel_b.weight", d->part);
    const lp_weight *w = lp_weights_find(d->model->weights, name);
    lp_status status = LP_OK;
    float *biases = NULL, *table = NULL;
    lp_tensor_id id = LP_NONE;
    if (d->b->status != LP_OK)
        return LP_NONE;
    if (w == NULL) {
        status = lp_fail(d->b->ctx, LP_E_MISSING, "%s is not in the model", name);
    } else if (!lp_shape_equal(w->shape, LP_SHAPE2(n, hp->n_head)) ||
               (unsigned)w->dtype >= LP_N_DTYPES || lp_dtype_table[w->dtype].block != 1) {
        status = lp_fail(d->b->ctx, LP_E_SHAPE, "%s: want numbers [%u, %u], file has %s %s", name,
                         n, hp->n_head, w->type, lp_shape_print(w->shape, text));
    } else {
        biases = malloc((size_t)n * hp->n_head * sizeof *biases);
        table = malloc((2ull * reach + 1) * hp->n_head * sizeof *table);
        if (biases == NULL || table == NULL)
            status = lp_fail_memory(d->b->ctx, "biases of relative positions");
    }
    if (status == LP_OK) {
        lp_dtype_table[w->dtype].to_f32(w->data, biases, (size_t)n * hp->n_head);
        lp_relative_table(biases, n, hp->n_head, hp->both_ways, hp->max_distance, reach, table);
        snprintf(name, sizeof name, "%srelative_bias", d->part);
        id = lp_table_tensor(d->b, name, LP_SHAPE2(hp->n_head, 2ll * reach + 1), table);
    } else {
        d->b->status = status;
    }
    free(biases);
    free(table);
    return id;
}

/* Vaswani et al. 2017 as Marian has it, [C, N]: all sines, then all cosines. */
static lp_tensor_id make_sinusoid_table(decoder *d)
{
    const int64_t n = d->hp->n_embd, n_ctx = d->options->n_ctx;
    if (d->b->status != LP_OK)
        return LP_NONE;
    float *table = malloc((size_t)(n_ctx * n) * sizeof *table);
    if (table == NULL) {
        d->b->status = lp_fail_memory(d->b->ctx, "sinusoidal positions");
        return LP_NONE;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t pair = i < n / 2 ? i : i - n / 2;
        const double frequency = pow(10000, -2.0 * (double)pair / (double)n);
        for (int64_t t = 0; t < n_ctx; t++) {
            const double angle = (double)t * frequency;
            table[t * n + i] = (float)(i < n / 2 ? sin(angle) : cos(angle));
        }
    }
    lp_tensor_id id = lp_made_weight(d->b, "sinusoids", LP_SHAPE2(n_ctx, n), table);
    free(table);
    return id;
}

/* What the layers' attention needs to know of positions. */
static void make_position_tables(decoder *d)
{
    const lp_hparams *hp = d->hp;
    if (hp->position == LP_POSITION_ROPE) {
        d->angles = make_rope_table(d, "rope_table", &hp->rope);
        d->angles_window =
            two_ropes(hp) ? make_rope_table(d, "rope_table_window", &hp->rope_window) : d->angles;
    }
    if (hp->position == LP_POSITION_ALIBI) {
        float *slopes = malloc(hp->n_head * sizeof *slopes);
        if (slopes) {
            lp_alibi_slopes(hp, slopes);
            d->bias = lp_table_tensor(d->b, "alibi_slopes", LP_SHAPE1(hp->n_head), slopes);
        } else if (d->b->status == LP_OK) {
            d->b->status = lp_fail_memory(d->b->ctx, "ALiBi's slopes");
        }
        free(slopes);
    }
    if (hp->position == LP_POSITION_RELATIVE)
        d->bias = make_relative_table(d);
}

/* Whether token embeddings of another size go through linears before the layers and behind them;
 * those of recurrent layers take them as they are. */
static bool has_projections(const lp_hparams *hp)
{
    return hp->n_embd_token != hp->n_embd && hp->arch->cell == LP_CELL_NONE;
}

/* Embeddings of n elements, [T, n]: of the tokens, plus those of their positions and of the kinds
 * of their segments where the model learned them. */
static lp_tensor_id add_embeddings(decoder *d, lp_tensor_id x, int64_t n)
{
    const lp_hparams *hp = d->hp;
    if (hp->position == LP_POSITION_LEARNED) {
        const int64_t n_rows = (int64_t)hp->n_context + hp->position_offset;
        lp_tensor_id positions =
            lp_weight_tensor(d->b, LP_SHAPE2(n_rows, n), "%sposition_embd.weight", d->block);
        lp_tensor_id p = lp_embed_positions(d->b, "position_embd", positions, d->cursor,
                                            (int32_t)hp->position_offset);
        x = lp_add(d->b, "embd", x, p);
    }
    if (hp->position == LP_POSITION_SINUSOID) {
        lp_tensor_id p =
            lp_embed(d->b, "position_embd", make_sinusoid_table(d), d->cursor, LP_NONE, 1);
        x = lp_add(d->b, "embd", x, p);
    }
    if (hp->n_types > 0) {
        lp_tensor_id types =
            lp_state_tensor(d->b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(d->options->n_ctx), "types");
        lp_tensor_id kinds =
            lp_weight_tensor(d->b, LP_SHAPE2(hp->n_types, n), "token_types.weight");
        x = lp_add(d->b, "embd_typed", x,
                   lp_embed(d->b, "token_types", kinds, d->cursor, types, 1));
    }
    return hp->norms & LP_NORMS_EMBD ? norm_of(d, "token_embd_norm", x, n) : x;
}

/* What the first block reads: [T, N]. */
static lp_tensor_id embed(decoder *d, lp_tensor_id table)
{
    const lp_hparams *hp = d->hp;
    const bool other_size = has_projections(hp), last = hp->arch->embd_in_last;
    lp_tensor_id x = lp_embed(d->b, "token_embd", table, d->cursor, d->history, hp->embed_scale);
    if (other_size && !last)
        x = linear(d, "embd_in", x, hp->n_embd, hp->n_embd_token);
    x = add_embeddings(d, x, last ? hp->n_embd_token : hp->n_embd);
    return other_size && last ? linear(d, "embd_in", x, hp->n_embd, hp->n_embd_token) : x;
}

/* x [T, N], as it is added to what a part makes of it: DeepNorm (Wang et al. 2022,
 * arXiv:2203.00555) makes it larger. */
static lp_tensor_id residual(decoder *d, const char *name, lp_tensor_id x)
{
    float scale = d->hp->residual_scale;
    return scale == 1 ? x : lp_act_scaled(d->b, name, LP_ACT_NONE, 1, x, scale);
}

static bool has_window(const decoder *d)
{
    return d->hp->layers[d->layer] & LP_LAYER_WINDOW;
}

/* x [T, heads, size], rotated if the model does. */
static lp_tensor_id rotated(decoder *d, const char *name, lp_tensor_id x)
{
    if (d->hp->position != LP_POSITION_ROPE || d->hp->layers[d->layer] & LP_LAYER_NO_ROPE)
        return x;
    return lp_rope(d->b, name, d->hp->rope.pairing, x, d->cursor,
                   has_window(d) ? d->angles_window : d->angles);
}

/* Stores the new rows x [T, G, size] in the layer's cache [C, G, size], which is returned. */
static lp_tensor_id cached(decoder *d, const char *name, lp_tensor_id x, uint32_t size)
{
    lp_tensor_id cache = lp_state_tensor(d->b, LP_SLOT_STATE, d->options->kv_dtype,
                                         LP_SHAPE3(d->options->n_ctx, d->hp->n_head_kv, size),
                                         "%s%s_cache", d->block, name);
    char node[32];
    snprintf(node, sizeof node, "%s_write", name);
    lp_kv_write(d->b, node, x, d->cursor, cache);
    return cache;
}

/* Which rows of a block's result are wanted. The cache is always filled with all T. */
typedef enum block_rows { ROWS_NONE, ROWS_LAST, ROWS_ALL } block_rows;

/* x [T, N] -> [T, N], or [1, N] if only the last row is wanted. */
static lp_tensor_id wanted_rows(decoder *d, lp_tensor_id x, block_rows rows)
{
    int32_t n_tokens = d->options->n_tokens;
    return rows == ROWS_LAST && n_tokens > 1 ? lp_view_rows(d->b, x, n_tokens - 1, 1) : x;
}

/* The queries, keys and values that have gone through one projection or three. */
static lp_tensor_id clamped(decoder *d, const char *name, lp_tensor_id x)
{
    float most = d->hp->clamp_qkv;
    return most == 0 ? x : lp_act_scaled(d->b, name, LP_ACT_CLAMP, 1 / most, x, most);
}

/* q [T, H, Dk], caches [C, G, Dk] and [C, G, Dv] -> [T, H, Dv]. */
static lp_tensor_id attend(decoder *d, lp_tensor_id q, lp_tensor_id keys, lp_tensor_id values)
{
    const lp_hparams *hp = d->hp;
    const uint8_t kind = hp->layers[d->layer];
    const lp_attention_options options = {.scale = hp->attn_scale,
                                          .kv_max = hp->both_ways ? d->options->n_tokens
                                                                  : d->options->kv_max,
                                          .mask = hp->both_ways             ? LP_MASK_FULL
                                                  : kind & LP_LAYER_STRIDED ? LP_MASK_STRIDED
                                                  : kind & LP_LAYER_FIXED   ? LP_MASK_FIXED
                                                                            : LP_MASK_CAUSAL,
                                          .stride = (int32_t)hp->sparse_stride,
                                          .summary = (int32_t)hp->sparse_summary,
                                          .window = has_window(d) ? (int32_t)hp->window : 0,
                                          .softcap = hp->attn_softcap};
    lp_tensor_id sinks =
        lp_weight_optional(d->b, LP_SHAPE1(hp->n_head), "%sattn_sinks.weight", d->block);
    return lp_attention_biased(d->b, "attn", q, keys, values, d->cursor, d->bias, sinks, options);
}

/* x [T, n] -> [T, n]. The epsilon of these norms is no hyperparameter. */
static lp_tensor_id latent_norm(decoder *d, const char *name, lp_tensor_id x, int64_t n)
{
    lp_tensor_id gain = lp_weight_tensor(d->b, LP_SHAPE1(n), "%s%s.weight", d->block, name);
    return lp_norm(d->b, name, LP_NORM_RMS, 1e-6f, x, gain, LP_NONE);
}

/* x [T H, n_in] -> [T H, n_out]: every head has a matrix of its own. */
static lp_tensor_id linear_heads(decoder *d, const char *name, lp_tensor_id x, int64_t n_out,
                                 int64_t n_in)
{
    lp_shape shape = LP_SHAPE3(d->hp->n_head, n_out, n_in);
    return lp_linear(d->b, name, x, lp_weight_tensor(d->b, shape, "%s%s.weight", d->block, name),
                     LP_NONE);
}

/* Multi-head latent attention: DeepSeek-AI 2024, arXiv:2405.04434, 2.1. Keys and values of all
 * heads are made of one vector of R elements per token, and P turned ones that the heads share.
 * What makes them is moved to the other side of the products, to queries and results; so only the
 * vector is cached, [C, 1, R + P], and read as keys and, its first R, as values. */
static lp_tensor_id latent_attention(decoder *d, lp_tensor_id x, block_rows rows)
{
    const lp_hparams *hp = d->hp;
    const int64_t n_heads = hp->n_head, n_q = n_heads * hp->head_k, latent = hp->n_kv_latent;
    const int64_t turned = hp->rope.n_rotated, plain = hp->head_k - turned;
    const lp_rope_pairing pairing = hp->rope.pairing;
    lp_tensor_id kv = linear(d, "attn_kv_a_mqa", x, latent + turned, hp->n_embd);
    lp_tensor_id k = latent_norm(d, "attn_kv_a_norm", lp_view_columns(d->b, kv, 0, latent), latent);
    k = lp_rope_behind(d->b, "attn_k_rope", pairing, lp_view_heads(d->b, k, 1),
                       lp_view_heads(d->b, kv, 1), d->cursor, d->angles);
    k = cached(d, "attn_k", k, (uint32_t)(latent + turned));
    if (rows == ROWS_NONE)
        return LP_NONE;

    lp_tensor_id q;
    if (has_weight(d, "attn_q_a")) {
        q = linear(d, "attn_q_a", x, hp->n_q_latent, hp->n_embd);
        q = latent_norm(d, "attn_q_a_norm", q, hp->n_q_latent);
        q = linear(d, "attn_q_b", q, n_q, hp->n_q_latent);
    } else {
        q = linear(d, "attn_q", x, n_q, hp->n_embd);
    }
    const int64_t n_tokens = d->options->n_tokens;
    lp_tensor_id front = lp_view_shape(d->b, q, LP_SHAPE2(n_tokens * n_heads, hp->head_k));
    front = linear_heads(d, "attn_k_b", lp_view_columns(d->b, front, 0, plain), latent, plain);
    front = lp_view_shape(d->b, front, LP_SHAPE3(n_tokens, n_heads, latent));
    q = lp_rope_behind(d->b, "attn_q_rope", pairing, front, lp_view_heads(d->b, q, n_heads),
                       d->cursor, d->angles);

    lp_tensor_id mixed = attend(d, q, k, lp_view_head_start(d->b, k, latent));
    const int64_t n_rows = rows == ROWS_LAST ? 1 : n_tokens;
    mixed = wanted_rows(d, lp_view_flat(d->b, mixed), rows);
    mixed = lp_view_shape(d->b, mixed, LP_SHAPE2(n_rows * n_heads, latent));
    mixed = linear_heads(d, "attn_v_b", mixed, hp->head_v, latent);
    mixed = lp_view_shape(d->b, mixed, LP_SHAPE2(n_rows, n_heads * hp->head_v));
    return linear(d, "attn_output", mixed, hp->n_embd, n_heads * hp->head_v);
}

/* Normed x [T, N] -> [T, N] or [1, N]; LP_NONE if only the cache was to be filled. */
static lp_tensor_id attention(decoder *d, lp_tensor_id x, block_rows rows)
{
    const lp_hparams *hp = d->hp;
    int64_t n_q = (int64_t)hp->n_head * hp->head_k, n_k = (int64_t)hp->n_head_kv * hp->head_k;
    int64_t n_v = (int64_t)hp->n_head_kv * hp->head_v;
    lp_tensor_id q = LP_NONE, k, v;
    if (hp->n_kv_latent > 0)
        return latent_attention(d, x, rows);
    if (has_weight(d, "attn_qkv")) {
        lp_tensor_id qkv =
            clamped(d, "attn_qkv_clamp", linear(d, "attn_qkv", x, n_q + n_k + n_v, hp->n_embd));
        q = lp_view_columns(d->b, qkv, 0, n_q);
        k = lp_view_columns(d->b, qkv, n_q, n_k);
        v = lp_view_columns(d->b, qkv, n_q + n_k, n_v);
    } else {
        if (rows != ROWS_NONE)
            q = clamped(d, "attn_q_clamp", linear(d, "attn_q", x, n_q, hp->n_embd));
        k = clamped(d, "attn_k_clamp", linear(d, "attn_k", x, n_k, hp->n_embd));
        v = clamped(d, "attn_v_clamp", linear(d, "attn_v", x, n_v, hp->n_embd));
    }
    k = rotated(d, "attn_k_rope", norm_heads(d, "attn_k_norm", k, hp->n_head_kv, hp->head_k));
    v = lp_view_heads(d->b, v, hp->n_head_kv);
    if (!hp->both_ways) {
        k = cached(d, "attn_k", k, hp->head_k);
        v = cached(d, "attn_v", v, hp->head_v);
    }
    if (rows == ROWS_NONE)
        return LP_NONE;
    q = rotated(d, "attn_q_rope", norm_heads(d, "attn_q_norm", q, hp->n_head, hp->head_k));
    lp_tensor_id mixed = attend(d, q, k, v);
    mixed = wanted_rows(d, lp_view_flat(d->b, mixed), rows);
    return linear(d, "attn_output", mixed, hp->n_embd, (int64_t)hp->n_head * hp->head_v);
}

/* Keys or values of the source text in the layer's cache [C, G, size]. */
static lp_tensor_id source_cache(decoder *d, const char *name, uint32_t size)
{
    return lp_state_tensor(d->b, LP_SLOT_STATE, d->options->kv_dtype,
                           LP_SHAPE3(d->options->n_ctx, d->hp->n_head_kv, size), "%s%s_cache",
                           d->block, name);
}

/* Of the encoder's result x [T, N]: what the layer's attention to the source will read. */
static void cache_source(decoder *d, lp_tensor_id x)
{
    const struct {
        const char *name, *write;
        uint32_t size;
    } parts[] = {{"cross_attn_k", "cross_attn_k_write", d->hp->head_k},
                 {"cross_attn_v", "cross_attn_v_write", d->hp->head_v}};
    for (int i = 0; i < 2; i++) {
        lp_tensor_id y =
            linear(d, parts[i].name, x, (int64_t)d->hp->n_head_kv * parts[i].size, d->hp->n_embd);
        lp_kv_write(d->b, parts[i].write, lp_view_heads(d->b, y, d->hp->n_head_kv), d->cursor,
                    source_cache(d, parts[i].name, parts[i].size));
    }
}

/* Normed x [T, N] -> [T, N]: attention to the source text, all of it and without positions. */
static lp_tensor_id cross_attention(decoder *d, lp_tensor_id x)
{
    const lp_hparams *hp = d->hp;
    const int64_t n = (int64_t)hp->n_head * hp->head_k;
    lp_tensor_id q = lp_view_heads(d->b, linear(d, "cross_attn_q", x, n, hp->n_embd), hp->n_head);
    const lp_attention_options options = {.scale = hp->attn_scale,
                                          .mask = LP_MASK_FULL,
                                          .kv_max = d->options->n_ctx,
                                          .from_source = true};
    lp_tensor_id mixed =
        lp_attention(d->b, "cross_attn", q, source_cache(d, "cross_attn_k", hp->head_k),
                     source_cache(d, "cross_attn_v", hp->head_v), d->cursor, options);
    return linear(d, "cross_attn_output", lp_view_flat(d->b, mixed), hp->n_embd,
                  (int64_t)hp->n_head * hp->head_v);
}

/* What the activation `name` makes of x [T, F], normed if the model does. */
static lp_tensor_id activated(decoder *d, const char *name, lp_tensor_id x, int64_t n_ff)
{
    if (d->hp->solu) {
        lp_tensor_id share = lp_norm(d->b, "ffn_softmax", LP_NORM_SOFTMAX, 0, x, LP_NONE, LP_NONE);
        x = lp_mul(d->b, name, x, share);
    } else {
        x = lp_act(d->b, name, d->hp->act, x);
    }
    return d->hp->norms & LP_NORMS_FFN_HIDDEN ? norm_of(d, "ffn_hidden_norm", x, n_ff) : x;
}

/* act(gate) * up; gpt-oss: act(min(gate, c)) (1 + up cut to [-c, c]). `kind` ends the names. */
static lp_tensor_id gated(decoder *d, const char *kind, lp_tensor_id gate, lp_tensor_id up,
                          int64_t n_ff)
{
    const float most = d->hp->glu_limit;
    char names[2][24];
    snprintf(names[0], sizeof names[0], "ffn_act%s", kind);
    snprintf(names[1], sizeof names[1], "ffn_mul%s", kind);
    if (most == 0)
        return lp_mul(d->b, names[1], activated(d, names[0], gate, n_ff), up);
    gate = lp_act_scaled(d->b, "ffn_gate_clamp", LP_ACT_CLAMP_ABOVE, 1 / most, gate, most);
    up = lp_act_scaled(d->b, "ffn_up_clamp", LP_ACT_CLAMP, 1 / most, up, most);
    gate = lp_act(d->b, names[0], d->hp->act, gate);
    return lp_add(d->b, "ffn_glu", lp_mul(d->b, names[1], gate, up), gate);
}

/* x [T, N] -> [T, N]: ffn_down(act(ffn_up x)), or gated: Shazeer 2020, arXiv:2002.05202. Gate and
 * what it gates may be one matrix, the gate's rows first. `kind` is put behind the names of the
 * weights. */
static lp_tensor_id dense(decoder *d, const char *kind, lp_tensor_id x, int64_t n_ff)
{
    const lp_hparams *hp = d->hp;
    char names[4][24];
    static const char *const parts[] = {"up", "gate", "down", "act"};
    enum { UP, GATE, DOWN, ACT };
    for (int i = 0; i < 4; i++)
        snprintf(names[i], sizeof names[i], "ffn_%s%s", parts[i], kind);
    const bool fused = hp->arch->gated && !has_weight(d, names[GATE]);
    lp_tensor_id up = linear(d, names[UP], x, fused ? 2 * n_ff : n_ff, hp->n_embd), hidden;
    if (hp->arch->gated || has_weight(d, names[GATE])) {
        lp_tensor_id gate = fused ? lp_view_columns(d->b, up, 0, n_ff)
                                  : linear(d, names[GATE], x, n_ff, hp->n_embd);
        up = fused ? lp_view_columns(d->b, up, n_ff, n_ff) : up;
        hidden = gated(d, kind, gate, up, n_ff);
    } else {
        hidden = activated(d, names[ACT], up, n_ff);
    }
    return linear(d, names[DOWN], hidden, hp->n_embd, n_ff);
}

/* w [E, n_out, n_in]. */
static lp_tensor_id experts(decoder *d, const char *name, lp_tensor_id x, lp_tensor_id routes,
                            int64_t n_out, int64_t n_in)
{
    lp_shape shape = LP_SHAPE3(d->hp->n_expert, n_out, n_in);
    lp_tensor_id w = lp_weight_tensor(d->b, shape, "%s%s.weight", d->block, name), bias = LP_NONE;
    if (has(d, name, ".bias"))
        bias =
            lp_weight_vectors(d->b, LP_SHAPE2(d->hp->n_expert, n_out), "%s%s.bias", d->block, name);
    return lp_linear_experts(d->b, name, x, routes, w, bias);
}

/* Normed x [T, N] -> [T, N]: a mixture of feed-forward parts, of which each token uses a few:
 * Shazeer et al. 2017, arXiv:1701.06538. */
static lp_tensor_id mixture(decoder *d, lp_tensor_id x)
{
    const lp_hparams *hp = d->hp;
    lp_tensor_id logits = linear(d, "ffn_gate_inp", x, hp->n_expert, hp->n_embd);
    lp_tensor_id bias =
        lp_weight_optional(d->b, LP_SHAPE1(hp->n_expert), "%sexp_probs_b.bias", d->block);
    lp_tensor_id routes = lp_route(d->b, "ffn_route", logits, bias, hp->route);
    lp_tensor_id up = experts(d, "ffn_up_exps", x, routes, hp->n_ff_expert, hp->n_embd);
    lp_tensor_id hidden;
    if (hp->arch->gated) {
        lp_tensor_id gate = experts(d, "ffn_gate_exps", x, routes, hp->n_ff_expert, hp->n_embd);
        hidden = gated(d, "", gate, up, hp->n_ff_expert);
    } else {
        hidden = lp_act(d->b, "ffn_act", hp->act, up);
    }
    lp_tensor_id y = experts(d, "ffn_down_exps", hidden, routes, hp->n_embd, hp->n_ff_expert);
    return lp_combine(d->b, "ffn_combine", y, routes);
}

/* Normed x [T, N] -> [T, N]: the part of a mixture that all tokens use (Dai et al. 2024,
 * arXiv:2401.06066). Qwen weighs it by a sigmoid, which is a route to one expert. */
static lp_tensor_id shared_expert(decoder *d, lp_tensor_id x)
{
    lp_tensor_id y = dense(d, "_shexp", x, d->hp->n_ff_shared);
    if (!has_weight(d, "ffn_gate_inp_shexp"))
        return y;
    const lp_route_options one = {.score = LP_ROUTE_SIGMOID, .k = 1, .scale = 1};
    lp_tensor_id logit = linear(d, "ffn_gate_inp_shexp", x, 1, d->hp->n_embd);
    lp_tensor_id route = lp_route(d->b, "ffn_route_shexp", logit, LP_NONE, one);
    return lp_combine(d->b, "ffn_combine_shexp", y, route);
}

/* Normed x [T, N] -> [T, N]. */
static lp_tensor_id feed_forward(decoder *d, lp_tensor_id x)
{
    if (!has_weight(d, "ffn_gate_inp"))
        return dense(d, "", x, d->hp->n_ff);
    lp_tensor_id y = mixture(d, x);
    if (d->hp->n_ff_shared > 0)
        y = lp_add(d->b, "ffn_shared", y, shared_expert(d, x));
    return y;
}

/* Norms that some files call otherwise. */
static lp_tensor_id norm_either(decoder *d, unsigned which, const char *name, const char *other,
                                lp_tensor_id x)
{
    return norm(d, which, has_weight(d, name) ? name : other, x);
}

/* What a part of a block adds to the residual stream. */
static lp_tensor_id part(decoder *d, const char *name, lp_tensor_id y)
{
    const float factor = d->hp->part_scale;
    return factor == 1 ? y : lp_act_scaled(d->b, name, LP_ACT_NONE, 1, y, factor);
}

/* Attention and feed-forward part side by side: Wang & Komatsuzaki 2021. With one norm both read
 * its result; with attn_norm_2 that one is attention's; ffn_norm is the feed-forward part's. */
static lp_tensor_id parallel_block(decoder *d, lp_tensor_id x, block_rows rows)
{
    lp_tensor_id first = norm(d, LP_NORMS_ATTN, "attn_norm", x), of_attention = first;
    if (has_weight(d, "attn_norm_2"))
        of_attention = norm(d, LP_NORMS_ATTN, "attn_norm_2", x);
    lp_tensor_id y = attention(d, of_attention, rows);
    if (rows == ROWS_NONE)
        return LP_NONE;
    x = wanted_rows(d, x, rows);
    const bool own_norm = d->hp->norms & LP_NORMS_FFN && has_weight(d, "ffn_norm");
    lp_tensor_id of_ffn =
        own_norm ? norm(d, LP_NORMS_FFN, "ffn_norm", x) : wanted_rows(d, first, rows);
    y = lp_add(d->b, "attn_residual", y, x);
    return lp_add(d->b, "ffn_residual", feed_forward(d, of_ffn), y);
}

/* The part of a decoder's block, x [T, N] -> [T, N], that looks at the source text. */
static lp_tensor_id source_block(decoder *d, lp_tensor_id x)
{
    lp_tensor_id y = cross_attention(d, norm(d, LP_NORMS_ATTN, "cross_attn_norm", x));
    x = lp_add(d->b, "cross_attn_residual", y, x);
    return norm(d, LP_NORMS_ATTN_SUM, "cross_attn_output_norm", x);
}

/* x [T, K], K = N but in the first layer, through a layer of an LSTM or a GRU: [T, N]. Its states
 * after every token are rows of a cache, like keys: a session rolls back by setting the cursor. */
static lp_tensor_id recurrent_block(decoder *d, lp_tensor_id x, block_rows rows)
{
    const lp_hparams *hp = d->hp;
    const lp_cell_kind cell = hp->arch->cell;
    const int64_t n = hp->n_embd, gates = lp_cell_gates(cell) * n;
    lp_tensor_id w = lp_weight_vectors(d->b, LP_SHAPE2(gates, n), "%srnn_h.weight", d->block);
    lp_tensor_id bias = lp_weight_optional(d->b, LP_SHAPE1(gates), "%srnn_h.bias", d->block);
    lp_tensor_id cache = lp_state_tensor(d->b, LP_SLOT_STATE, LP_F32,
                                         LP_SHAPE3(d->options->n_ctx, 1, lp_cell_states(cell) * n),
                                         "%srnn_cache", d->block);
    x = linear(d, "rnn_x", x, gates, d->layer == 0 ? hp->n_embd_token : n);
    x = lp_recurrence(d->b, "rnn", cell, x, w, bias, d->cursor, cache);
    lp_kv_write(d->b, "rnn_write", lp_view_heads(d->b, x, 1), d->cursor, cache);
    return rows == ROWS_NONE ? LP_NONE : lp_view_columns(d->b, wanted_rows(d, x, rows), 0, n);
}

/* The residual stream x [T, N] through one block: [T, N] or [1, N]; LP_NONE if only the cache was
 * to be filled. */
static lp_tensor_id block(decoder *d, lp_tensor_id x, block_rows rows)
{
    if (d->hp->arch->cell != LP_CELL_NONE)
        return recurrent_block(d, x, rows);
    if (d->hp->parallel)
        return parallel_block(d, x, rows);
    const bool unnormed = d->layer == 0 && d->hp->arch->first_unnormed;
    lp_tensor_id normed = unnormed ? x : norm(d, LP_NORMS_ATTN, "attn_norm", x);
    lp_tensor_id y = attention(d, normed, rows);
    if (rows == ROWS_NONE)
        return LP_NONE;
    x = d->hp->residual_normed ? normed : x;
    y = part(d, "attn_scale", norm(d, LP_NORMS_ATTN_POST, "post_attention_norm", y));
    x = residual(d, "attn_residual_scale", wanted_rows(d, x, rows));
    x = lp_add(d->b, "attn_residual", y, x);
    /* OPT calls norms of sums as if they stood before */
    x = norm_either(d, LP_NORMS_ATTN_SUM, "attn_output_norm", "attn_norm", x);
    if (d->hp->encoder.n_layer > 0)
        x = source_block(d, x);
    normed = norm_either(d, LP_NORMS_FFN, "ffn_norm", "post_attention_norm", x); /* gpt-oss */
    y = feed_forward(d, normed);
    x = d->hp->residual_normed ? normed : x;
    y = part(d, "ffn_scale", norm(d, LP_NORMS_FFN_POST, "post_ffw_norm", y));
    x = lp_add(d->b, "ffn_residual", y, residual(d, "ffn_residual_scale", x));
    return norm_either(d, LP_NORMS_FFN_SUM, "layer_output_norm", "ffn_norm", x);
}

/* Of an encoder, x [T, N] -> what its head for masked tokens reads, [T, n_embd_token]. */
static lp_tensor_id mlm_transform(decoder *d, lp_tensor_id x)
{
    const lp_hparams *hp = d->hp;
    x = linear(d, "mlm_dense", x, hp->n_embd_token, hp->n_embd);
    x = lp_act(d->b, "mlm_act", hp->head_act, x);
    return norm_of(d, "mlm_norm", x, hp->n_embd_token);
}

/* x [T, N] -> logits [T, V]. */
static lp_tensor_id head(decoder *d, lp_tensor_id x, lp_tensor_id table)
{
    const lp_hparams *hp = d->hp;
    int64_t n = hp->n_embd;
    if (hp->arch->encoder_only) {
        x = mlm_transform(d, x);
        n = hp->n_embd_token;
    } else if (has_projections(hp)) {
        x = linear(d, "embd_out", x, hp->n_embd_token, hp->n_embd);
        n = hp->n_embd_token;
    }
    /* T5 1.1 without the head of its own that config.json tells of is tied, too */
    if (hp->tied || (hp->arch->head_scaled && !has_weight(d, "output"))) {
        lp_tensor_id bias = lp_weight_optional(d->b, LP_SHAPE1(hp->n_vocab), "output.bias");
        x = adapted(d, "output", x, lp_linear(d->b, "output", x, table, bias));
    } else {
        x = linear(d, "output", x, hp->n_vocab, n);
    }
    if (hp->logit_scale != 1)
        x = lp_act_scaled(d->b, "output_scale", LP_ACT_NONE, 1, x, hp->logit_scale);
    if (hp->logit_softcap == 0)
        return x;
    return lp_act_scaled(d->b, "output_softcap", LP_ACT_TANH, 1 / hp->logit_softcap, x,
                         hp->logit_softcap);
}

/* x [T, N] after the last norm, for the host; where the model has a pooler, also its view of the
 * first token: tanh(pooler x[0]) [1, N], Devlin et al. 2018. */
static void put_hidden(decoder *d, lp_tensor_id x)
{
    const int64_t n = d->hp->n_embd;
    lp_output(d->b, x, "hidden");
    if (!lp_weights_find(d->model->weights, "pooler.weight"))
        return;
    lp_tensor_id first = linear(d, "pooler", lp_view_rows(d->b, x, 0, 1), n, n);
    lp_output(d->b, lp_act(d->b, "pooler_act", LP_ACT_TANH, first), "pooled");
}

/* Where weights of the part's block `layer` are; of the whole part where there is none. */
static void enter_block(decoder *d, int64_t layer)
{
    d->layer = layer < 0 ? 0 : (uint32_t)layer;
    if (layer < 0)
        snprintf(d->block, sizeof d->block, "%s", d->part);
    else
        snprintf(d->block, sizeof d->block, "%sblk.%u.", d->part, d->layer);
    lp_builder_prefix(d->b, "%s", d->block);
}

/* Embeddings, all blocks and the last norm: [T, N], or [1, N]; LP_NONE if only the caches were to
 * be filled. */
static lp_tensor_id walk(decoder *d, lp_tensor_id table, block_rows wanted)
{
    const uint32_t n_layer = d->hp->n_layer;
    make_position_tables(d);
    enter_block(d, -1);
    lp_tensor_id x = embed(d, table);
    for (uint32_t i = 0; i < n_layer && d->b->status == LP_OK; i++) {
        enter_block(d, i);
        x = block(d, x, i + 1 == n_layer ? wanted : ROWS_ALL);
    }
    enter_block(d, -1);
    return wanted == ROWS_NONE ? LP_NONE : norm(d, LP_NORMS_OUTPUT, "output_norm", x);
}

static lp_tensor_id token_table(decoder *d)
{
    return lp_weight_tensor(d->b, LP_SHAPE2(d->hp->n_vocab, d->hp->n_embd_token),
                            "token_embd.weight");
}

static lp_tensor_id cursor_tensor(lp_builder *b)
{
    return lp_state_tensor(b, LP_SLOT_STATE, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), "cursor");
}

/* The encoder, and keys and values of its result for each layer of the decoder. */
static void build_encoder(lp_builder *b, const lp_network *model, const lp_network_options *options)
{
    lp_hparams encoder;
    lp_hparams_of_encoder(&model->hparams, &encoder);
    decoder d = {.b = b, .model = model, .hp = &encoder, .options = options, .part = "enc."};
    d.cursor = cursor_tensor(b);
    d.history = lp_state_tensor(b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(options->n_ctx + 2), "source");
    d.bias = LP_NONE;
    lp_tensor_id x = walk(&d, token_table(&d), ROWS_ALL);
    lp_output(b, x, "hidden");
    d.hp = &model->hparams;
    d.part = "dec.";
    for (uint32_t i = 0; i < d.hp->n_layer && b->status == LP_OK; i++) {
        enter_block(&d, i);
        cache_source(&d, x);
    }
}

void lp_decoder_build(lp_builder *b, const lp_network *model, const lp_network_options *options)
{
    decoder d = {.b = b, .model = model, .hp = &model->hparams, .options = options, .part = ""};
    int32_t n_tokens = options->n_tokens;
    if (d.hp->encoder.n_layer > 0)
        d.part = "dec.";
    if (options->part == LP_PART_ENCODER) {
        build_encoder(b, model, options);
        return;
    }
    d.cursor = cursor_tensor(b);
    d.history = lp_state_tensor(b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(options->n_ctx + 2), "history");
    d.sampler = lp_state_tensor(b, LP_SLOT_STATE, LP_I32, LP_SHAPE1(LP_SAMPLER_WORDS), "sampler");
    d.bias = LP_NONE;

    bool has_head = options->outputs != LP_OUTPUTS_NONE || options->sample;
    block_rows wanted = options->outputs == LP_OUTPUTS_ALL || options->hidden ? ROWS_ALL
                        : has_head                                            ? ROWS_LAST
                                                                              : ROWS_NONE;
    lp_tensor_id table = token_table(&d);
    lp_tensor_id x = walk(&d, table, wanted);
    d.part = "";
    enter_block(&d, -1);
    if (options->hidden)
        put_hidden(&d, x);
    if (!has_head) {
        lp_advance(b, "advance", d.cursor, n_tokens);
        return;
    }

    lp_tensor_id logits = head(&d, x, table);
    if (options->outputs != LP_OUTPUTS_NONE)
        lp_output(b, logits, "logits");
    if (!options->sample) {
        lp_advance(b, "advance", d.cursor, n_tokens);
        return;
    }
    if (options->outputs == LP_OUTPUTS_ALL && n_tokens > 1)
        logits = lp_view_rows(b, logits, n_tokens - 1, 1);
    lp_sample(b, "sample", logits, d.sampler, d.history, d.cursor, n_tokens);
}
