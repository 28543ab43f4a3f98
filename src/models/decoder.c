/* The decoder-only, pre-norm family. Plain nodes only: merging activations, gates and residuals
 * into their neighbours is the fusion pass's work.
 *
 * Shapes: T tokens, N embedding, H heads of Dk (keys) and Dv (values), G key/value heads, F hidden
 * features of the feed-forward part, V vocabulary, C context. Activations are f32. */
#include "models/decoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct decoder {
    lp_builder *b;
    const lp_network *model;
    const lp_hparams *hp;
    const lp_network_options *options;
    char block[24]; /* "blk.3." or "": put before the names of weights */
    lp_tensor_id cursor, history, sampler;
    lp_rope_angles angles;
} decoder;

/* x [T, n_in] -> [T, n_out]; the bias is optional. */
static lp_tensor_id linear(decoder *d, const char *name, lp_tensor_id x, int64_t n_out,
                           int64_t n_in)
{
    lp_tensor_id w = lp_weight_tensor(d->b, LP_SHAPE2(n_out, n_in), "%s%s.weight", d->block, name);
    lp_tensor_id bias = lp_weight_optional(d->b, LP_SHAPE1(n_out), "%s%s.bias", d->block, name);
    return lp_linear(d->b, name, x, w, bias);
}

/* x [T, N] -> [T, N]. A layer norm has a bias in every model so far. */
static lp_tensor_id norm(decoder *d, const char *name, lp_tensor_id x)
{
    lp_norm_kind kind = d->hp->arch->norm;
    lp_shape shape = LP_SHAPE1(d->hp->n_embd);
    lp_tensor_id gain = lp_weight_tensor(d->b, shape, "%s%s.weight", d->block, name),
                 bias = LP_NONE;
    if (kind == LP_NORM_LAYER)
        bias = lp_weight_tensor(d->b, shape, "%s%s.bias", d->block, name);
    return lp_norm(d->b, name, kind, d->hp->norm_eps, x, gain, bias);
}

/* The divisors of RoPE's frequencies that GGUF files bring along, or NULL. */
static lp_status rope_divisors(const decoder *d, float **divisors)
{
    lp_context *ctx = d->b->ctx;
    const lp_weight *w = lp_weights_find(d->model->weights, "rope_freqs.weight");
    uint32_t n = d->hp->rope.n_rotated / 2;
    char text[96];
    *divisors = NULL;
    if (!w)
        return LP_OK;
    if (w->dtype != LP_F32 || !lp_shape_equal(w->shape, LP_SHAPE1(n)))
        return lp_fail(ctx, LP_E_SHAPE, "rope_freqs.weight: want F32 [%u], file has %s %s", n,
                       w->type, lp_shape_print(w->shape, text));
    *divisors = malloc(n * sizeof **divisors);
    if (!*divisors)
        return lp_fail_memory(ctx, "RoPE frequencies");
    memcpy(*divisors, w->data, n * sizeof **divisors);
    for (uint32_t i = 0; i < n; i++)
        if (!(isfinite((*divisors)[i]) && (*divisors)[i] > 0))
            return lp_fail(ctx, LP_E_FORMAT, "rope_freqs.weight: element %u is %g", i,
                           (double)(*divisors)[i]);
    return LP_OK;
}

static void make_rope_table(decoder *d)
{
    const lp_rope_hparams *rope = &d->hp->rope;
    float *divisors = NULL;
    double *frequencies = malloc(rope->n_rotated / 2 * sizeof *frequencies);
    lp_status status =
        frequencies ? rope_divisors(d, &divisors) : lp_fail_memory(d->b->ctx, "RoPE frequencies");
    if (status == LP_OK) {
        lp_rope_frequencies(rope, divisors, frequencies);
        d->angles = lp_rope_table(d->b, "rope_table", frequencies, (int32_t)rope->n_rotated,
                                  d->options->n_ctx);
    } else if (d->b->status == LP_OK) {
        d->b->status = status;
    }
    free(divisors);
    free(frequencies);
}

/* Token embeddings, plus those of the positions where the model learned them: [T, N]. */
static lp_tensor_id embed(decoder *d, lp_tensor_id table)
{
    lp_tensor_id x = lp_embed(d->b, "token_embd", table, d->cursor, d->history, 1);
    if (d->hp->arch->position == LP_POSITION_ROPE)
        return x;
    lp_tensor_id positions =
        lp_weight_tensor(d->b, LP_SHAPE2(d->hp->n_context, d->hp->n_embd), "position_embd.weight");
    lp_tensor_id p = lp_embed(d->b, "position_embd", positions, d->cursor, LP_NONE, 1);
    return lp_add(d->b, "embd", x, p);
}

/* x [T, heads * size] -> [T, heads, size], rotated if the model does. */
static lp_tensor_id heads(decoder *d, const char *name, lp_tensor_id x, uint32_t n_heads)
{
    lp_tensor_id split = lp_view_heads(d->b, x, n_heads);
    if (d->hp->arch->position != LP_POSITION_ROPE)
        return split;
    return lp_rope(d->b, name, d->hp->rope.pairing, split, d->cursor, d->angles);
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

/* Normed x [T, N] -> [T, N] or [1, N]; LP_NONE if only the cache was to be filled. */
static lp_tensor_id attention(decoder *d, lp_tensor_id x, block_rows rows)
{
    const lp_hparams *hp = d->hp;
    int64_t n_q = (int64_t)hp->n_head * hp->head_k, n_k = (int64_t)hp->n_head_kv * hp->head_k;
    int64_t n_v = (int64_t)hp->n_head_kv * hp->head_v;
    lp_tensor_id q = LP_NONE, k, v;
    if (hp->arch->fused_qkv) {
        lp_tensor_id qkv = linear(d, "attn_qkv", x, n_q + n_k + n_v, hp->n_embd);
        q = lp_view_columns(d->b, qkv, 0, n_q);
        k = lp_view_columns(d->b, qkv, n_q, n_k);
        v = lp_view_columns(d->b, qkv, n_q + n_k, n_v);
    } else {
        if (rows != ROWS_NONE)
            q = linear(d, "attn_q", x, n_q, hp->n_embd);
        k = linear(d, "attn_k", x, n_k, hp->n_embd);
        v = linear(d, "attn_v", x, n_v, hp->n_embd);
    }
    k = heads(d, "attn_k_rope", k, hp->n_head_kv);
    v = lp_view_heads(d->b, v, hp->n_head_kv);
    k = cached(d, "attn_k", k, hp->head_k);
    v = cached(d, "attn_v", v, hp->head_v);
    if (rows == ROWS_NONE)
        return LP_NONE;
    q = heads(d, "attn_q_rope", q, hp->n_head);
    lp_tensor_id mixed =
        lp_attention(d->b, "attn", q, k, v, d->cursor,
                     (lp_attention_options){.scale = (float)(1 / sqrt((double)hp->head_k)),
                                            .kv_max = d->options->kv_max,
                                            .window = (int32_t)hp->window});
    mixed = wanted_rows(d, lp_view_flat(d->b, mixed), rows);
    return linear(d, "attn_output", mixed, hp->n_embd, (int64_t)hp->n_head * hp->head_v);
}

/* Normed x [T, N] -> [T, N]: ffn_down(act(ffn_up x)), or gated: Shazeer 2020, arXiv:2002.05202. */
static lp_tensor_id feed_forward(decoder *d, lp_tensor_id x)
{
    const lp_hparams *hp = d->hp;
    lp_tensor_id up = linear(d, "ffn_up", x, hp->n_ff, hp->n_embd), hidden;
    if (hp->arch->gated) {
        lp_tensor_id gate = linear(d, "ffn_gate", x, hp->n_ff, hp->n_embd);
        hidden = lp_mul(d->b, "ffn_mul", lp_act(d->b, "ffn_act", hp->act, gate), up);
    } else {
        hidden = lp_act(d->b, "ffn_act", hp->act, up);
    }
    return linear(d, "ffn_down", hidden, hp->n_embd, hp->n_ff);
}

/* The residual stream x [T, N] through one block: [T, N] or [1, N]; LP_NONE if only the cache was to
 * be filled. */
static lp_tensor_id block(decoder *d, lp_tensor_id x, block_rows rows)
{
    lp_tensor_id y = attention(d, norm(d, "attn_norm", x), rows);
    if (rows == ROWS_NONE)
        return LP_NONE;
    x = lp_add(d->b, "attn_residual", y, wanted_rows(d, x, rows));
    y = feed_forward(d, norm(d, "ffn_norm", x));
    return lp_add(d->b, "ffn_residual", y, x);
}

void lp_decoder_build(lp_builder *b, const lp_network *model, const lp_network_options *options)
{
    decoder d = {.b = b, .model = model, .hp = &model->hparams, .options = options};
    const lp_hparams *hp = d.hp;
    int32_t n_tokens = options->n_tokens;
    d.cursor = lp_state_tensor(b, LP_SLOT_STATE, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), "cursor");
    d.history = lp_state_tensor(b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(options->n_ctx + 2), "history");
    d.sampler = lp_state_tensor(b, LP_SLOT_STATE, LP_I32, LP_SHAPE1(LP_SAMPLER_WORDS), "sampler");
    if (hp->arch->position == LP_POSITION_ROPE)
        make_rope_table(&d);

    bool has_head = options->outputs != LP_OUTPUTS_NONE || options->sample;
    block_rows wanted = options->outputs == LP_OUTPUTS_ALL ? ROWS_ALL
                        : has_head                         ? ROWS_LAST
                                                           : ROWS_NONE;
    lp_tensor_id table =
        lp_weight_tensor(b, LP_SHAPE2(hp->n_vocab, hp->n_embd), "token_embd.weight");
    lp_tensor_id x = embed(&d, table);
    for (uint32_t i = 0; i < hp->n_layer && b->status == LP_OK; i++) {
        snprintf(d.block, sizeof d.block, "blk.%u.", i);
        lp_builder_prefix(b, "%s", d.block);
        x = block(&d, x, i + 1 == hp->n_layer ? wanted : ROWS_ALL);
    }
    d.block[0] = '\0';
    lp_builder_prefix(b, "%s", d.block);
    if (!has_head) {
        lp_advance(b, "advance", d.cursor, n_tokens);
        return;
    }

    x = norm(&d, "output_norm", x);
    lp_tensor_id logits = hp->tied ? lp_linear(b, "output", x, table, LP_NONE)
                                   : linear(&d, "output", x, hp->n_vocab, hp->n_embd);
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
