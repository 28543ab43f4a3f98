/* The encoder and the decoder of Bahdanau et al. 2015, arXiv:1409.0473, "RNNsearch": gated hidden
 * units (src/ops/gated.c), additive attention within the decoder's, a maxout layer before the
 * words.
 *
 * N hidden units, M elements of a word's embedding, A units of the alignment, L of the maxout
 * layer. An annotation is the states of both directions [2 N]; matrices that it is multiplied by
 * come in two halves. */
#include "models/walk.h"

/* U of a layer, `name` its inputs' weights: U [3 N, N], gates [T, 3 N]. */
static lp_tensor_id gates(lp_walk *w, const char *inputs, const char *hidden, lp_tensor_id x,
                          lp_tensor_id *u)
{
    const int64_t n = w->hp->n_embd;
    *u = lp_weight_vectors(w->b, LP_SHAPE2(3 * n, n), "%s%s.weight", w->block, hidden);
    return lp_walk_linear(w, inputs, x, 3 * n, w->hp->n_embd_token);
}

/* Appendix A.2.1: the states of either direction. */
static lp_tensor_id encode(lp_walk *w, lp_tensor_id x)
{
    lp_tensor_id u;
    lp_tensor_id y = gates(w, "rnn_back_x", "rnn_back_h", x, &u);
    w->reverse = lp_gated(w->b, "rnn_back", y, u, w->cursor, (lp_gated_options){.backwards = true});
    y = gates(w, "rnn_x", "rnn_h", x, &u);
    return lp_gated(w->b, "rnn", y, u, w->cursor, (lp_gated_options){0});
}

/* A cache of the decoder's layer: [rows, 1, n]. */
static lp_tensor_id cache(lp_walk *w, const char *name, int64_t rows, int64_t n)
{
    return lp_state_tensor(w->b, LP_SLOT_STATE, LP_F32, LP_SHAPE3(rows, 1, n), "%s%s_cache",
                           w->block, name);
}

/* Elements of a value: of the context what it adds to the gates and to the maxout layer. */
static int64_t n_value(const lp_hparams *hp)
{
    return 3 * (int64_t)hp->n_embd + 2 * (int64_t)hp->n_maxout;
}

/* y [T, 2 N + 2 L] of the decoder's units and the words' embeddings x [T, M] -> t [T, L]: A.2.2,
 * t~ = U_o s' + V_o E y + C_o c, t_j the larger of t~_2j and t~_2j+1. */
static lp_tensor_id maxout(lp_walk *w, lp_tensor_id y, lp_tensor_id x)
{
    const int64_t n = w->hp->n_embd, l = w->hp->n_maxout;
    lp_tensor_id of_state = lp_walk_linear(w, "maxout_h", lp_view_columns(w->b, y, n, n), 2 * l, n);
    lp_tensor_id t = lp_walk_linear(w, "maxout_x", x, 2 * l, w->hp->n_embd_token);
    t = lp_add(w->b, "maxout_words", t, of_state);
    t = lp_add(w->b, "maxout_sum", t, lp_view_columns(w->b, y, 2 * n, 2 * l));
    if (w->b->status != LP_OK)
        return LP_NONE;
    const int64_t n_tokens = w->b->graph->tensors[t].shape.dim[0];
    t = lp_view_shape(w->b, t, LP_SHAPE2(n_tokens * l, 2));
    t = lp_max(w->b, "maxout", lp_view_columns(w->b, t, 0, 1), lp_view_columns(w->b, t, 1, 1));
    return lp_view_shape(w->b, t, LP_SHAPE2(n_tokens, l));
}

static lp_tensor_id decode(lp_walk *w, lp_tensor_id x, lp_walk_rows rows)
{
    const lp_hparams *hp = w->hp;
    const int64_t n = hp->n_embd, n_ctx = w->options->n_ctx;
    const lp_tensor_id states = cache(w, "rnn", n_ctx, n), start = cache(w, "rnn_start", 1, n);
    const lp_gated_source source = {
        .keys = cache(w, "align_k", n_ctx, hp->n_align),
        .values = cache(w, "context", n_ctx, n_value(hp)),
        .query = lp_weight_vectors(w->b, LP_SHAPE2(hp->n_align, n), "%salign_q.weight", w->block),
        .align = lp_weight_tensor(w->b, LP_SHAPE1(hp->n_align), "%salign.weight", w->block)};
    lp_tensor_id u, y = gates(w, "rnn_x", "rnn_h", x, &u);
    y = lp_gated(w->b, "rnn", y, u, w->cursor,
                 (lp_gated_options){.states = &states, .start = &start, .source = &source});
    lp_tensor_id state = lp_view_columns(w->b, y, 0, n);
    lp_kv_write(w->b, "rnn_write", lp_view_heads(w->b, state, 1), w->cursor, states);
    if (rows == LP_ROWS_NONE)
        return LP_NONE;
    return maxout(w, lp_walk_wanted_rows(w, y, rows), lp_walk_wanted_rows(w, x, rows));
}

lp_tensor_id lp_walk_gated(lp_walk *w, lp_tensor_id x, lp_walk_rows rows)
{
    return w->hp->both_ways ? encode(w, x) : decode(w, x, rows);
}

/* Of annotations, forwards x [T, N]: their product with a matrix of which `back` has the other
 * half. */
static void annotate(lp_walk *w, const char *name, const char *back, const char *write,
                     lp_tensor_id x, int64_t n_out)
{
    const int64_t n = w->hp->n_embd;
    lp_tensor_id y = lp_walk_linear(w, name, x, n_out, n);
    y = lp_add(w->b, name, lp_walk_linear(w, back, w->reverse, n_out, n), y);
    lp_kv_write(w->b, write, lp_view_heads(w->b, y, 1), w->cursor,
                cache(w, name, w->options->n_ctx, n_out));
}

/* U_a h of all annotations h, C h, and s_0 = tanh(W_s h), h the backward state at the first word.
 */
void lp_walk_cache_gated(lp_walk *w, lp_tensor_id x)
{
    const int64_t n = w->hp->n_embd;
    annotate(w, "align_k", "align_k_back", "align_k_write", x, w->hp->n_align);
    annotate(w, "context", "context_back", "context_write", x, n_value(w->hp));
    lp_tensor_id s = lp_walk_linear(w, "rnn_start", lp_view_rows(w->b, w->reverse, 0, 1), n, n);
    s = lp_act(w->b, "rnn_start_act", LP_ACT_TANH, s);
    lp_kv_write(w->b, "rnn_start_write", lp_view_heads(w->b, s, 1), w->cursor,
                cache(w, "rnn_start", 1, n));
}
