/* Attention to the text so far and to a source text, with the caches of keys and values. */
#include "models/walk.h"

#include <stdio.h>

/* x [T, heads * size] -> [T, heads, size], normed as a whole or head by head if the model does. */
static lp_tensor_id norm_heads(lp_walk *w, const char *name, lp_tensor_id x, uint32_t n_heads,
                               uint32_t size)
{
    if (w->hp->norms & LP_NORMS_QK_ROW)
        x = lp_walk_norm_of(w, name, x, (int64_t)n_heads * size);
    x = lp_view_heads(w->b, x, n_heads);
    return w->hp->norms & LP_NORMS_QK_HEAD ? lp_walk_norm_of(w, name, x, size) : x;
}

/* x [T, heads, size], rotated, and perhaps normed then, if the model does. */
static lp_tensor_id rotated(lp_walk *w, const char *name, const char *norm, lp_tensor_id x)
{
    if (w->hp->position != LP_POSITION_ROPE || w->hp->layers[w->layer] & LP_LAYER_NO_ROPE)
        return x;
    x = lp_rope(w->b, name, w->hp->rope.pairing, x, w->cursor,
                lp_walk_has_window(w) ? w->angles_window : w->angles);
    return w->hp->norms & LP_NORMS_QK_TURNED
               ? lp_norm(w->b, norm, LP_NORM_RMS, w->hp->norm_eps, x, LP_NONE, LP_NONE)
               : x;
}

/* q [T, H, Dk], larger the later its token stands if the model does so. */
static lp_tensor_id grown(lp_walk *w, lp_tensor_id q)
{
    if (w->growth == LP_NONE || !(w->hp->layers[w->layer] & LP_LAYER_NO_ROPE))
        return q;
    q = lp_combine(w->b, "attn_q_growth", lp_view_flat(w->b, q), w->growth);
    return lp_view_heads(w->b, q, w->hp->n_head);
}

/* Stores the new rows x [T, G, size] in the layer's cache [C, G, size], which is returned. */
static lp_tensor_id cached(lp_walk *w, const char *name, lp_tensor_id x, uint32_t size)
{
    lp_tensor_id cache = lp_state_tensor(w->b, LP_SLOT_STATE, w->options->kv_dtype,
                                         LP_SHAPE3(w->options->n_ctx, w->hp->n_head_kv, size),
                                         "%s%s_cache", w->block, name);
    char node[32];
    snprintf(node, sizeof node, "%s_write", name);
    lp_kv_write(w->b, node, x, w->cursor, cache);
    return cache;
}

/* The queries, keys and values that have gone through one projection or three. */
static lp_tensor_id clamped(lp_walk *w, const char *name, lp_tensor_id x)
{
    float most = w->hp->clamp_qkv;
    return most == 0 ? x : lp_act_scaled(w->b, name, LP_ACT_CLAMP, 1 / most, x, most);
}

/* q [T, H, Dk], caches [C, G, Dk] and [C, G, Dv] -> [T, H, Dv]. */
static lp_tensor_id attend(lp_walk *w, lp_tensor_id q, lp_tensor_id keys, lp_tensor_id values)
{
    const lp_hparams *hp = w->hp;
    const uint8_t kind = hp->layers[w->layer];
    const int32_t length = (int32_t)hp->retrieval.length;
    const lp_attention_options of_neighbour = {.scale = hp->attn_scale,
                                               .kv_max = w->options->kv_max,
                                               .mask = LP_MASK_BLOCKS,
                                               .stride = length,
                                               .block = length,
                                               .period = length,
                                               .lengths = &w->lengths};
    if (w->of_neighbours)
        return lp_attention(w->b, "attn", q, keys, values, w->cursor, of_neighbour);
    const lp_attention_options options = {.scale = hp->attn_scale,
                                          .kv_max = hp->both_ways ? w->options->n_tokens
                                                                  : w->options->kv_max,
                                          .mask = hp->arch->whole_causal    ? LP_MASK_CAUSAL
                                                  : hp->both_ways           ? LP_MASK_FULL
                                                  : hp->prefix.used         ? LP_MASK_PREFIX
                                                  : kind & LP_LAYER_CHUNKED ? LP_MASK_CHUNKED
                                                  : kind & LP_LAYER_STRIDED ? LP_MASK_STRIDED
                                                  : kind & LP_LAYER_FIXED   ? LP_MASK_FIXED
                                                                            : LP_MASK_CAUSAL,
                                          .stride = (int32_t)hp->sparse_stride,
                                          .summary = (int32_t)hp->sparse_summary,
                                          .window = lp_walk_has_window(w) ? (int32_t)hp->window : 0,
                                          .softcap = hp->attn_softcap};
    lp_tensor_id sinks =
        lp_weight_optional(w->b, LP_SHAPE1(hp->n_head), "%sattn_sinks.weight", w->block);
    return lp_attention_biased(w->b, "attn", q, keys, values, w->cursor, w->bias, sinks, options);
}

/* x [T, n] -> [T, n]. The epsilon of these norms is no hyperparameter. */
static lp_tensor_id latent_norm(lp_walk *w, const char *name, lp_tensor_id x, int64_t n)
{
    lp_tensor_id gain = lp_weight_tensor(w->b, LP_SHAPE1(n), "%s%s.weight", w->block, name);
    return lp_norm(w->b, name, LP_NORM_RMS, 1e-6f, x, gain, LP_NONE);
}

/* x [T H, n_in] -> [T H, n_out]: every head has a matrix of its own. */
static lp_tensor_id linear_heads(lp_walk *w, const char *name, lp_tensor_id x, int64_t n_out,
                                 int64_t n_in)
{
    lp_shape shape = LP_SHAPE3(w->hp->n_head, n_out, n_in);
    return lp_linear(w->b, name, x, lp_weight_tensor(w->b, shape, "%s%s.weight", w->block, name),
                     LP_NONE);
}

/* Multi-head latent attention: DeepSeek-AI 2024, arXiv:2405.04434, 2.1. Keys and values of all
 * heads are made of one vector of R elements per token, and P turned ones that the heads share.
 * What makes them is moved to the other side of the products, to queries and results; so only the
 * vector is cached, [C, 1, R + P], and read as keys and, its first R, as values. */
static lp_tensor_id latent_attention(lp_walk *w, lp_tensor_id x, lp_walk_rows rows)
{
    const lp_hparams *hp = w->hp;
    const int64_t n_heads = hp->n_head, n_q = n_heads * hp->head_k, latent = hp->n_kv_latent;
    const int64_t turned = hp->rope.n_rotated, plain = hp->head_k - turned;
    const lp_rope_pairing pairing = hp->rope.pairing;
    lp_tensor_id kv = lp_walk_linear(w, "attn_kv_a_mqa", x, latent + turned, hp->n_embd);
    lp_tensor_id k = latent_norm(w, "attn_kv_a_norm", lp_view_columns(w->b, kv, 0, latent), latent);
    k = lp_rope_behind(w->b, "attn_k_rope", pairing, lp_view_heads(w->b, k, 1),
                       lp_view_heads(w->b, kv, 1), w->cursor, w->angles);
    k = cached(w, "attn_k", k, (uint32_t)(latent + turned));
    if (rows == LP_ROWS_NONE)
        return LP_NONE;

    lp_tensor_id q;
    if (lp_walk_has_weight(w, "attn_q_a")) {
        q = lp_walk_linear(w, "attn_q_a", x, hp->n_q_latent, hp->n_embd);
        q = latent_norm(w, "attn_q_a_norm", q, hp->n_q_latent);
        q = lp_walk_linear(w, "attn_q_b", q, n_q, hp->n_q_latent);
    } else {
        q = lp_walk_linear(w, "attn_q", x, n_q, hp->n_embd);
    }
    const int64_t n_tokens = w->options->n_tokens;
    lp_tensor_id front = lp_view_shape(w->b, q, LP_SHAPE2(n_tokens * n_heads, hp->head_k));
    front = linear_heads(w, "attn_k_b", lp_view_columns(w->b, front, 0, plain), latent, plain);
    front = lp_view_shape(w->b, front, LP_SHAPE3(n_tokens, n_heads, latent));
    q = lp_rope_behind(w->b, "attn_q_rope", pairing, front, lp_view_heads(w->b, q, n_heads),
                       w->cursor, w->angles);

    lp_tensor_id mixed = attend(w, q, k, lp_view_head_start(w->b, k, latent));
    const int64_t n_rows = rows == LP_ROWS_LAST ? 1 : n_tokens;
    mixed = lp_walk_wanted_rows(w, lp_view_flat(w->b, mixed), rows);
    mixed = lp_view_shape(w->b, mixed, LP_SHAPE2(n_rows * n_heads, latent));
    mixed = linear_heads(w, "attn_v_b", mixed, hp->head_v, latent);
    mixed = lp_view_shape(w->b, mixed, LP_SHAPE2(n_rows, n_heads * hp->head_v));
    return lp_walk_linear(w, "attn_output", mixed, hp->n_embd, n_heads * hp->head_v);
}

lp_tensor_id lp_walk_attention(lp_walk *w, lp_tensor_id x, lp_walk_rows rows)
{
    const lp_hparams *hp = w->hp;
    int64_t n_q = (int64_t)hp->n_head * hp->head_k, n_k = (int64_t)hp->n_head_kv * hp->head_k;
    int64_t n_v = (int64_t)hp->n_head_kv * hp->head_v;
    lp_tensor_id q = LP_NONE, k, v;
    if (hp->n_kv_latent > 0)
        return latent_attention(w, x, rows);
    if (lp_walk_has_weight(w, "attn_qkv")) {
        lp_tensor_id qkv = clamped(w, "attn_qkv_clamp",
                                   lp_walk_linear(w, "attn_qkv", x, n_q + n_k + n_v, hp->n_embd));
        q = lp_view_columns(w->b, qkv, 0, n_q);
        k = lp_view_columns(w->b, qkv, n_q, n_k);
        v = lp_view_columns(w->b, qkv, n_q + n_k, n_v);
    } else {
        if (rows != LP_ROWS_NONE)
            q = clamped(w, "attn_q_clamp", lp_walk_linear(w, "attn_q", x, n_q, hp->n_embd));
        k = clamped(w, "attn_k_clamp", lp_walk_linear(w, "attn_k", x, n_k, hp->n_embd));
        v = clamped(w, "attn_v_clamp", lp_walk_linear(w, "attn_v", x, n_v, hp->n_embd));
    }
    k = rotated(w, "attn_k_rope", "attn_k_norm",
                norm_heads(w, "attn_k_norm", k, hp->n_head_kv, hp->head_k));
    v = lp_view_heads(w->b, v, hp->n_head_kv);
    if (!hp->both_ways) {
        k = cached(w, "attn_k", k, hp->head_k);
        v = cached(w, "attn_v", v, hp->head_v);
    }
    if (rows == LP_ROWS_NONE)
        return LP_NONE;
    q = rotated(w, "attn_q_rope", "attn_q_norm",
                norm_heads(w, "attn_q_norm", q, hp->n_head, hp->head_k));
    lp_tensor_id mixed = attend(w, grown(w, q), k, v);
    mixed = lp_walk_wanted_rows(w, lp_view_flat(w->b, mixed), rows);
    return lp_walk_linear(w, "attn_output", mixed, hp->n_embd, (int64_t)hp->n_head * hp->head_v);
}

/* Keys or values of the source text in the layer's cache [C, G, size]. */
static lp_tensor_id source_cache(lp_walk *w, const char *name, uint32_t size)
{
    return lp_state_tensor(w->b, LP_SLOT_STATE, w->options->kv_dtype,
                           LP_SHAPE3(w->options->n_ctx, w->hp->n_head_kv, size), "%s%s_cache",
                           w->block, name);
}

void lp_walk_cache_source(lp_walk *w, lp_tensor_id x)
{
    const struct {
        const char *name, *write;
        uint32_t size;
    } parts[] = {{"cross_attn_k", "cross_attn_k_write", w->hp->head_k},
                 {"cross_attn_v", "cross_attn_v_write", w->hp->head_v}};
    for (int i = 0; i < 2; i++) {
        lp_tensor_id y = lp_walk_linear(w, parts[i].name, x,
                                        (int64_t)w->hp->n_head_kv * parts[i].size, w->hp->n_embd);
        lp_kv_write(w->b, parts[i].write, lp_view_heads(w->b, y, w->hp->n_head_kv), w->cursor,
                    source_cache(w, parts[i].name, parts[i].size));
    }
}

lp_tensor_id lp_walk_cross_attention(lp_walk *w, lp_tensor_id x)
{
    const lp_hparams *hp = w->hp;
    const int64_t n = (int64_t)hp->n_head * hp->head_k;
    lp_tensor_id q =
        lp_view_heads(w->b, lp_walk_linear(w, "cross_attn_q", x, n, hp->n_embd), hp->n_head);
    const lp_attention_options options = {.scale = hp->attn_scale,
                                          .mask = LP_MASK_FULL,
                                          .kv_max = w->options->n_ctx,
                                          .from_source = true};
    lp_tensor_id mixed =
        lp_attention(w->b, "cross_attn", q, source_cache(w, "cross_attn_k", hp->head_k),
                     source_cache(w, "cross_attn_v", hp->head_v), w->cursor, options);
    return lp_walk_linear(w, "cross_attn_output", lp_view_flat(w->b, mixed), hp->n_embd,
                          (int64_t)hp->n_head * hp->head_v);
}
