/* Retrieval: Borgeaud et al. 2021, arXiv:2112.04426 (RETRO), sections 2.3 to 2.5 and algorithm 1.
 *
 * A text is cut into chunks of m tokens, each with k neighbours of up to r tokens. Cross-attention
 * in either direction is attention to a block of keys (LP_MASK_BLOCKS): the m tokens from the last
 * one of chunk u on see the neighbours of u, equation 3; the tokens of these see chunk u. Angles of
 * RoPE count from the beginning of a chunk or of a neighbour, so that distances are those of B.1.2:
 * the first token of a neighbour stands beside the first of its chunk.
 *
 * Shapes: R = C / m k r rows of neighbours, of which a graph of the encoder has T; N elements of
 * the decoder, M of the encoder. */
#include "models/walk.h"

bool lp_walk_retrieves(const lp_walk *w)
{
    return w->hp->retrieval.chunk > 0 && lp_walk_has_weight(w, "cross_attn_q");
}

static lp_rope_angles at_places(const lp_walk *w, lp_rope_place place)
{
    lp_rope_angles angles = w->angles;
    angles.place = place;
    return angles;
}

/* [n_rows, G, Dk] and [n_rows, G, Dv] */
static lp_tensor_id block_cache(lp_walk *w, const char *name, int64_t n_rows, uint32_t size)
{
    return lp_state_tensor(w->b, LP_SLOT_STATE, w->options->kv_dtype,
                           LP_SHAPE3(n_rows, w->hp->n_head_kv, size), "%s%s_cache", w->block, name);
}

/* What the layer's cross-attention will read of y [T, n], whose tokens stand at the cursor, in
 * texts of `period` tokens. */
static void cache_blocks(lp_walk *w, lp_tensor_id y, int64_t n, int64_t n_rows, uint32_t period)
{
    const lp_hparams *hp = w->hp;
    lp_tensor_id k = lp_walk_linear(w, "cross_attn_k", y, (int64_t)hp->n_head_kv * hp->head_k, n);
    lp_tensor_id v = lp_walk_linear(w, "cross_attn_v", y, (int64_t)hp->n_head_kv * hp->head_v, n);
    k = lp_rope(w->b, "cross_attn_k_rope", hp->rope.pairing, lp_view_heads(w->b, k, hp->n_head_kv),
                w->cursor, at_places(w, (lp_rope_place){.period = (int32_t)period}));
    lp_kv_write(w->b, "cross_attn_k_write", k, w->cursor,
                block_cache(w, "cross_attn_k", n_rows, hp->head_k));
    lp_kv_write(w->b, "cross_attn_v_write", lp_view_heads(w->b, v, hp->n_head_kv), w->cursor,
                block_cache(w, "cross_attn_v", n_rows, hp->head_v));
}

static lp_attention_options to_neighbours(const lp_walk *w)
{
    const lp_retrieval_hparams *of = &w->hp->retrieval;
    const int32_t block = (int32_t)(of->n_neighbours * of->length);
    const int32_t n_chunks = (int32_t)lp_retrieval_chunks(w->hp, (uint32_t)w->options->kv_max);
    return (lp_attention_options){.scale = w->hp->attn_scale,
                                  .kv_max = n_chunks * block, /* up to R */
                                  .mask = LP_MASK_BLOCKS,
                                  .stride = (int32_t)of->chunk,
                                  .block = block,
                                  .offset = (int32_t)of->chunk - 1,
                                  .period = (int32_t)of->length,
                                  .lengths = &w->lengths};
}

static lp_attention_options to_chunk(const lp_walk *w)
{
    const lp_retrieval_hparams *of = &w->hp->retrieval;
    return (lp_attention_options){.scale = w->hp->attn_scale,
                                  .kv_max = w->n_ctx,
                                  .mask = LP_MASK_BLOCKS,
                                  .stride = (int32_t)(of->n_neighbours * of->length),
                                  .block = (int32_t)of->chunk};
}

lp_tensor_id lp_walk_retrieve(lp_walk *w, lp_tensor_id x)
{
    const lp_hparams *hp = w->hp;
    const bool encodes = w->of_neighbours;
    const int32_t m = (int32_t)hp->retrieval.chunk, r = (int32_t)hp->retrieval.length;
    const int64_t n_keys = encodes ? w->n_ctx : lp_retrieval_rows(hp, (uint32_t)w->n_ctx);
    const int64_t n_k = (int64_t)hp->n_head * hp->head_k, n_v = (int64_t)hp->n_head * hp->head_v;
    const lp_rope_place place =
        encodes ? (lp_rope_place){.period = r} : (lp_rope_place){m, 1, m - 1};
    lp_tensor_id q = lp_walk_norm(w, LP_NORMS_ATTN, "cross_attn_norm", x);
    q = lp_view_heads(w->b, lp_walk_linear(w, "cross_attn_q", q, n_k, hp->n_embd), hp->n_head);
    q = lp_rope(w->b, "cross_attn_q_rope", hp->rope.pairing, q, w->cursor, at_places(w, place));
    lp_tensor_id keys = block_cache(w, "cross_attn_k", n_keys, hp->head_k);
    lp_tensor_id values = block_cache(w, "cross_attn_v", n_keys, hp->head_v);
    lp_tensor_id y = lp_attention(w->b, "cross_attn", q, keys, values, w->cursor,
                                  encodes ? to_chunk(w) : to_neighbours(w));
    /* without a bias: where nothing is seen nothing is added */
    lp_tensor_id weight =
        lp_weight_tensor(w->b, LP_SHAPE2(hp->n_embd, n_v), "%scross_attn_output.weight", w->block);
    y = lp_view_flat(w->b, y);
    y = lp_walk_adapted(w, "cross_attn_output", y,
                        lp_linear(w->b, "cross_attn_output", y, weight, LP_NONE));
    return lp_add(w->b, "cross_attn_residual", y, x);
}

void lp_walk_of_neighbours(const lp_walk *w, lp_walk_neighbours *to)
{
    const int64_t n_rows = lp_retrieval_rows(&w->model->hparams, (uint32_t)w->n_ctx);
    lp_hparams_of_encoder(&w->model->hparams, &to->hp);
    to->options = *w->options;
    to->options.n_ctx = to->options.kv_max = (int32_t)n_rows;
    to->walk = *w;
    to->walk.hp = &to->hp;
    to->walk.options = &to->options;
    to->walk.part = "enc.";
    to->walk.of_neighbours = true;
    to->walk.history =
        lp_state_tensor(w->b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(n_rows + 2), "neighbours");
}

void lp_walk_cache_context(lp_walk *w, lp_tensor_id x)
{
    lp_walk_neighbours to;
    lp_walk_of_neighbours(w, &to);
    lp_walk_positions(&to.walk);
    for (uint32_t i = 0; i < to.hp.n_layer; i++) {
        lp_walk_enter(&to.walk, i);
        if (lp_walk_retrieves(&to.walk))
            cache_blocks(&to.walk, x, w->hp->n_embd, w->n_ctx, w->hp->retrieval.chunk);
    }
    lp_walk_enter(w, w->layer);
}

void lp_walk_cache_neighbours(lp_walk *w, lp_tensor_id x, int64_t n_embd)
{
    if (lp_walk_retrieves(w))
        cache_blocks(w, x, n_embd, lp_retrieval_rows(w->hp, (uint32_t)w->n_ctx),
                     w->hp->retrieval.length);
}
