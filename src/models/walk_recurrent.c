/* Layers of an LSTM or a GRU, and what such a decoder looks at: the results of a net of the same
 * kind that has read a source text (Luong et al. 2015, arXiv:1508.04025). */
#include "models/walk.h"

#include <stdio.h>

/* The states after every token [C, 1, s N] of the layer of a part: rows of a cache, like keys, so
 * that a session rolls back by setting the cursor. */
static lp_tensor_id states(lp_walk *w, const char *part)
{
    const int64_t row = lp_cell_states(w->hp->arch->cell) * w->hp->n_embd;
    return lp_state_tensor(w->b, LP_SLOT_STATE, LP_F32, LP_SHAPE3(w->options->n_ctx, 1, row),
                           "%sblk.%u.rnn_cache", part, w->layer);
}

lp_tensor_id lp_walk_recurrent(lp_walk *w, lp_tensor_id x, lp_walk_rows rows)
{
    const lp_hparams *hp = w->hp;
    const lp_cell_kind cell = hp->arch->cell;
    const int64_t n = hp->n_embd, gates = lp_cell_gates(cell) * n;
    lp_tensor_id weight = lp_weight_vectors(w->b, LP_SHAPE2(gates, n), "%srnn_h.weight", w->block);
    lp_tensor_id bias = lp_weight_optional(w->b, LP_SHAPE1(gates), "%srnn_h.bias", w->block);
    lp_tensor_id cache = states(w, w->part);
    lp_tensor_id start = hp->encoder.n_layer > 0 ? states(w, "enc.") : LP_NONE;
    x = lp_walk_linear(w, "rnn_x", x, gates, w->layer == 0 ? hp->n_embd_token : n);
    x = lp_recurrence(w->b, "rnn", cell, x, weight, bias, w->cursor, cache, start);
    lp_kv_write(w->b, "rnn_write", lp_view_heads(w->b, x, 1), w->cursor, cache);
    return rows == LP_ROWS_NONE ? LP_NONE
                                : lp_view_columns(w->b, lp_walk_wanted_rows(w, x, rows), 0, n);
}

/* Keys or values of the source text: [C, 1, N]. */
static lp_tensor_id source(lp_walk *w, const char *name)
{
    return lp_state_tensor(w->b, LP_SLOT_STATE, w->options->kv_dtype,
                           LP_SHAPE3(w->options->n_ctx, 1, w->hp->n_embd), "%s%s_cache", w->block,
                           name);
}

void lp_walk_cache_annotations(lp_walk *w, lp_tensor_id x)
{
    const int64_t n = w->hp->n_embd;
    lp_tensor_id k = w->hp->score_general ? lp_walk_linear(w, "cross_attn_k", x, n, n) : x;
    lp_kv_write(w->b, "cross_attn_k_write", lp_view_heads(w->b, k, 1), w->cursor,
                source(w, "cross_attn_k"));
    lp_kv_write(w->b, "cross_attn_v_write", lp_view_heads(w->b, x, 1), w->cursor,
                source(w, "cross_attn_v"));
}

lp_tensor_id lp_walk_attentional(lp_walk *w, lp_tensor_id x)
{
    const int64_t n = w->hp->n_embd;
    const lp_attention_options options = {
        .scale = 1, .mask = LP_MASK_FULL, .kv_max = w->options->n_ctx, .from_source = true};
    lp_tensor_id context =
        lp_attention(w->b, "cross_attn", lp_view_heads(w->b, x, 1), source(w, "cross_attn_k"),
                     source(w, "cross_attn_v"), w->cursor, options);
    context = lp_walk_linear(w, "combine_context", lp_view_flat(w->b, context), n, n);
    x = lp_add(w->b, "combine", lp_walk_linear(w, "combine_hidden", x, n, n), context);
    return lp_act(w->b, "combine_act", LP_ACT_TANH, x);
}
