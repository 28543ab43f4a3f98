/* Transformers as the rows of the architecture table describe them: decoders, encoders, and both. Plain nodes only:
 * merging activations, gates and residuals into their neighbours is the fusion pass's work. Shapes
 * are those of walk.h. */
#include "models/transformer.h"

#include "models/walk.h"

/* Whether token embeddings of another size go through linears before the layers and behind them;
 * those of recurrent layers take them as they are. */
static bool has_projections(const lp_hparams *hp)
{
    return hp->n_embd_token != hp->n_embd && hp->arch->cell == LP_CELL_NONE;
}

/* Embeddings of n elements, [T, n]: of the tokens, plus those of their positions and of the kinds
 * of their segments where the model learned them. */
static lp_tensor_id add_embeddings(lp_walk *w, lp_tensor_id x, int64_t n)
{
    const lp_hparams *hp = w->hp;
    if (hp->position == LP_POSITION_LEARNED) {
        const int64_t n_rows = (int64_t)hp->n_context + hp->position_offset;
        lp_tensor_id positions =
            lp_weight_tensor(w->b, LP_SHAPE2(n_rows, n), "%sposition_embd.weight", w->block);
        lp_tensor_id p = lp_embed_positions(w->b, "position_embd", positions, w->cursor,
                                            (int32_t)hp->position_offset);
        x = lp_add(w->b, "embd", x, p);
    }
    if (hp->position == LP_POSITION_SINUSOID) {
        lp_tensor_id p =
            lp_embed(w->b, "position_embd", lp_walk_sinusoids(w), w->cursor, LP_NONE, 1);
        x = lp_add(w->b, "embd", x, p);
    }
    if (hp->n_types > 0) {
        lp_tensor_id types =
            lp_state_tensor(w->b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(w->options->n_ctx), "types");
        lp_tensor_id kinds =
            lp_weight_tensor(w->b, LP_SHAPE2(hp->n_types, n), "token_types.weight");
        x = lp_add(w->b, "embd_typed", x,
                   lp_embed(w->b, "token_types", kinds, w->cursor, types, 1));
    }
    return hp->norms & LP_NORMS_EMBD ? lp_walk_norm_of(w, "token_embd_norm", x, n) : x;
}

/* What the first block reads: [T, N]. */
static lp_tensor_id embed(lp_walk *w, lp_tensor_id table)
{
    const lp_hparams *hp = w->hp;
    const bool other_size = has_projections(hp), last = hp->arch->embd_in_last;
    lp_tensor_id x = lp_embed(w->b, "token_embd", table, w->cursor, w->history, hp->embed_scale);
    if (other_size && !last)
        x = lp_walk_linear(w, "embd_in", x, hp->n_embd, hp->n_embd_token);
    x = add_embeddings(w, x, last ? hp->n_embd_token : hp->n_embd);
    return other_size && last ? lp_walk_linear(w, "embd_in", x, hp->n_embd, hp->n_embd_token) : x;
}

/* x [T, N], as it is added to what a part makes of it: DeepNorm (Wang et al. 2022,
 * arXiv:2203.00555) makes it larger. */
static lp_tensor_id residual(lp_walk *w, const char *name, lp_tensor_id x)
{
    float scale = w->hp->residual_scale;
    return scale == 1 ? x : lp_act_scaled(w->b, name, LP_ACT_NONE, 1, x, scale);
}

/* Norms that some files call otherwise. */
static lp_tensor_id norm_either(lp_walk *w, unsigned which, const char *name, const char *other,
                                lp_tensor_id x)
{
    return lp_walk_norm(w, which, lp_walk_has_weight(w, name) ? name : other, x);
}

/* What a part of a block adds to the residual stream. */
static lp_tensor_id part(lp_walk *w, const char *name, lp_tensor_id y)
{
    const float factor = w->hp->part_scale;
    return factor == 1 ? y : lp_act_scaled(w->b, name, LP_ACT_NONE, 1, y, factor);
}

/* Attention and feed-forward part side by side: Wang & Komatsuzaki 2021. With one norm both read
 * its result; with attn_norm_2 that one is attention's; ffn_norm is the feed-forward part's. */
static lp_tensor_id parallel_block(lp_walk *w, lp_tensor_id x, lp_walk_rows rows)
{
    lp_tensor_id first = lp_walk_norm(w, LP_NORMS_ATTN, "attn_norm", x), of_attention = first;
    if (lp_walk_has_weight(w, "attn_norm_2"))
        of_attention = lp_walk_norm(w, LP_NORMS_ATTN, "attn_norm_2", x);
    lp_tensor_id y = lp_walk_attention(w, of_attention, rows);
    if (rows == LP_ROWS_NONE)
        return LP_NONE;
    x = lp_walk_wanted_rows(w, x, rows);
    const bool own_norm = w->hp->norms & LP_NORMS_FFN && lp_walk_has_weight(w, "ffn_norm");
    lp_tensor_id of_ffn = own_norm ? lp_walk_norm(w, LP_NORMS_FFN, "ffn_norm", x)
                                   : lp_walk_wanted_rows(w, first, rows);
    y = lp_add(w->b, "attn_residual", y, x);
    return lp_add(w->b, "ffn_residual", lp_walk_feed_forward(w, of_ffn), y);
}

/* The part of a decoder's block, x [T, N] -> [T, N], that looks at the source text. */
static lp_tensor_id source_block(lp_walk *w, lp_tensor_id x)
{
    lp_tensor_id y =
        lp_walk_cross_attention(w, lp_walk_norm(w, LP_NORMS_ATTN, "cross_attn_norm", x));
    x = lp_add(w->b, "cross_attn_residual", y, x);
    return lp_walk_norm(w, LP_NORMS_ATTN_SUM, "cross_attn_output_norm", x);
}

/* The part of a block that looks at neighbours, or at the chunk whose neighbour it is: x [T, N] ->
 * [T, N] or [1, N]. The first time the decoder leaves its chunks to the encoder, and a graph of the
 * part LP_PART_CONTEXT ends there: LP_NONE. */
static lp_tensor_id retrieving_block(lp_walk *w, lp_tensor_id x, lp_walk_rows rows)
{
    if (!w->of_neighbours && !w->looked)
        lp_walk_cache_context(w, x);
    w->looked = true;
    if (rows == LP_ROWS_NONE || w->options->part == LP_PART_CONTEXT)
        return LP_NONE;
    return lp_walk_wanted_rows(w, lp_walk_retrieve(w, x), rows);
}

/* The residual stream x [T, N] through one block: [T, N] or [1, N]; LP_NONE if only the cache was
 * to be filled. */
static lp_tensor_id block(lp_walk *w, lp_tensor_id x, lp_walk_rows rows)
{
    if (w->hp->arch->cell == LP_CELL_GATED)
        return lp_walk_gated(w, x, rows);
    if (w->hp->arch->cell != LP_CELL_NONE)
        return lp_walk_recurrent(w, x, rows);
    if (w->hp->parallel)
        return parallel_block(w, x, rows);
    const bool unnormed = w->layer == 0 && w->hp->arch->first_unnormed;
    const bool retrieves = lp_walk_retrieves(w); /* which depends on the place of a row */
    const lp_walk_rows attending = retrieves ? LP_ROWS_ALL : rows;
    lp_tensor_id normed = unnormed ? x : lp_walk_norm(w, LP_NORMS_ATTN, "attn_norm", x);
    lp_tensor_id y = lp_walk_attention(w, normed, attending);
    if (attending == LP_ROWS_NONE)
        return LP_NONE;
    x = w->hp->residual_normed ? normed : x;
    y = part(w, "attn_scale", lp_walk_norm(w, LP_NORMS_ATTN_POST, "post_attention_norm", y));
    x = residual(w, "attn_residual_scale", lp_walk_wanted_rows(w, x, attending));
    x = lp_add(w->b, "attn_residual", y, x);
    /* OPT calls norms of sums as if they stood before */
    x = norm_either(w, LP_NORMS_ATTN_SUM, "attn_output_norm", "attn_norm", x);
    if (retrieves && (x = retrieving_block(w, x, rows)) == LP_NONE)
        return LP_NONE;
    if (w->hp->encoder.n_layer > 0 && w->hp->retrieval.chunk == 0)
        x = source_block(w, x);
    /* gpt-oss calls this one as others call the norm of attention's result */
    const char *other = w->hp->norms & LP_NORMS_ATTN_POST ? "ffn_norm" : "post_attention_norm";
    normed = norm_either(w, LP_NORMS_FFN, "ffn_norm", other, x);
    y = lp_walk_feed_forward(w, normed);
    x = w->hp->residual_normed ? normed : x;
    y = part(w, "ffn_scale", lp_walk_norm(w, LP_NORMS_FFN_POST, "post_ffw_norm", y));
    x = lp_add(w->b, "ffn_residual", y, residual(w, "ffn_residual_scale", x));
    return norm_either(w, LP_NORMS_FFN_SUM, "layer_output_norm", "ffn_norm", x);
}

/* Of an encoder, x [T, N] -> what its head for masked tokens reads, [T, n_embd_token]. */
static lp_tensor_id mlm_transform(lp_walk *w, lp_tensor_id x)
{
    const lp_hparams *hp = w->hp;
    x = lp_walk_linear(w, "mlm_dense", x, hp->n_embd_token, hp->n_embd);
    x = lp_act(w->b, "mlm_act", hp->head_act, x);
    return lp_walk_norm_of(w, "mlm_norm", x, hp->n_embd_token);
}

/* x [T, N] -> logits [T, V]. */
static lp_tensor_id head(lp_walk *w, lp_tensor_id x, lp_tensor_id table)
{
    const lp_hparams *hp = w->hp;
    int64_t n = hp->n_maxout > 0 ? hp->n_maxout : hp->n_embd;
    if (hp->arch->encoder_only) {
        x = mlm_transform(w, x);
        n = hp->n_embd_token;
    } else if (has_projections(hp)) {
        x = lp_walk_linear(w, "embd_out", x, hp->n_embd_token, hp->n_embd);
        n = hp->n_embd_token;
    }
    /* T5 1.1 without the head of its own that config.json tells of is tied, too */
    if (hp->tied || (hp->arch->head_scaled && !lp_walk_has_weight(w, "output"))) {
        lp_tensor_id bias = lp_weight_optional(w->b, LP_SHAPE1(hp->n_vocab), "output.bias");
        x = lp_walk_adapted(w, "output", x, lp_linear(w->b, "output", x, table, bias));
    } else {
        x = lp_walk_linear(w, "output", x, hp->n_vocab, n);
    }
    if (hp->logit_scale != 1)
        x = lp_act_scaled(w->b, "output_scale", LP_ACT_NONE, 1, x, hp->logit_scale);
    if (hp->logit_softcap == 0)
        return x;
    return lp_act_scaled(w->b, "output_softcap", LP_ACT_TANH, 1 / hp->logit_softcap, x,
                         hp->logit_softcap);
}

/* x [T, N] after the last norm, for the host; and where the model has such a view of it, one row
 * for all: of the first token tanh(pooler x[0]) [1, N], Devlin et al. 2018, or the projection into
 * the space that texts and pictures share, of a text's last token, of a picture's first: Radford et
 * al. 2021. */
static void put_hidden(lp_walk *w, lp_tensor_id x)
{
    const int64_t n = w->hp->n_embd;
    lp_output(w->b, x, "hidden");
    const int64_t last = w->hp->arch->whole_causal ? (int64_t)w->options->n_tokens - 1 : 0;
    if (lp_walk_has_weight(w, "pooler")) {
        lp_tensor_id first = lp_walk_linear(w, "pooler", lp_view_rows(w->b, x, 0, 1), n, n);
        lp_output(w->b, lp_act(w->b, "pooler_act", LP_ACT_TANH, first), "pooled");
    } else if (lp_walk_has_weight(w, "projection")) {
        lp_tensor_id row = lp_view_rows(w->b, x, last, 1);
        lp_output(w->b, lp_walk_linear(w, "projection", row, w->hp->n_projected, n), "pooled");
    }
}

/* Of a picture, x [T, N] -> logits [1, V] of its labels; with a distillation token (Touvron et al.
 * 2020, arXiv:2012.12877) that has a head, the mean of its and the class token's. */
static lp_tensor_id labels(lp_walk *w, lp_tensor_id x)
{
    const int64_t n = w->hp->n_embd, n_labels = w->hp->n_vocab;
    lp_tensor_id y = lp_walk_linear(w, "head", lp_view_rows(w->b, x, 0, 1), n_labels, n);
    if (!lp_walk_has_weight(w, "head_distilled"))
        return y;
    lp_tensor_id other =
        lp_walk_linear(w, "head_distilled", lp_view_rows(w->b, x, 1, 1), n_labels, n);
    return lp_act_scaled(w->b, "head_mean", LP_ACT_NONE, 1, lp_add(w->b, "head_sum", y, other),
                         0.5f);
}

/* Embeddings, all blocks and the last norm: [T, N], or [1, N]; LP_NONE if only the caches were to
 * be filled. */
static lp_tensor_id walk(lp_walk *w, lp_tensor_id table, lp_walk_rows wanted)
{
    const uint32_t n_layer = w->hp->n_layer;
    lp_walk_positions(w);
    lp_walk_enter(w, -1);
    lp_tensor_id x = w->hp->picture.patch > 0 ? lp_walk_picture(w) : embed(w, table);
    for (uint32_t i = 0; i < n_layer && w->b->status == LP_OK && x != LP_NONE; i++) {
        lp_walk_enter(w, i);
        if (i + 1 == n_layer && w->options->penultimate)
            lp_output(w->b, x, "penultimate");
        x = block(w, x, i + 1 == n_layer ? wanted : LP_ROWS_ALL);
    }
    lp_walk_enter(w, -1);
    const lp_cell_kind cell = w->hp->arch->cell;
    if (cell == LP_CELL_LSTM && w->hp->encoder.n_layer > 0 && wanted != LP_ROWS_NONE)
        x = lp_walk_attentional(w, x);
    return wanted == LP_ROWS_NONE ? LP_NONE : lp_walk_norm(w, LP_NORMS_OUTPUT, "output_norm", x);
}

/* Recurrent encoders have one of their own; of neighbours may have. */
static lp_tensor_id token_table(lp_walk *w)
{
    const bool recurrent = w->hp->arch->cell != LP_CELL_NONE && w->hp->both_ways;
    const bool retrieves =
        w->of_neighbours && lp_weights_find(w->model->weights, "enc.token_embd.weight");
    return lp_weight_tensor(w->b, LP_SHAPE2(w->hp->n_vocab, w->hp->n_embd_token),
                            "%stoken_embd.weight", recurrent || retrieves ? w->part : "");
}

static lp_tensor_id cursor_tensor(lp_builder *b)
{
    return lp_state_tensor(b, LP_SLOT_STATE, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), "cursor");
}

/* The encoder of a model with retrieval, whose tokens are those of neighbours, and keys and values
 * of its result for the layers of the decoder that look at them. */
static void build_encoder_of_neighbours(lp_walk *w)
{
    lp_walk_neighbours to;
    lp_walk_of_neighbours(w, &to);
    lp_tensor_id x = walk(&to.walk, token_table(&to.walk), LP_ROWS_ALL);
    lp_output(w->b, x, "hidden");
    lp_walk_positions(w);
    for (uint32_t i = 0; i < w->hp->n_layer && w->b->status == LP_OK; i++) {
        lp_walk_enter(w, i);
        lp_walk_cache_neighbours(w, x, to.hp.n_embd);
    }
}

/* The encoder, and keys and values of its result for each layer of the decoder. */
static void build_encoder(lp_builder *b, const lp_network *model, const lp_network_options *options)
{
    lp_hparams encoder;
    lp_hparams_of_encoder(&model->hparams, &encoder);
    lp_walk w = {.b = b,
                 .model = model,
                 .hp = &encoder,
                 .options = options,
                 .n_ctx = options->n_ctx,
                 .part = "enc."};
    w.cursor = cursor_tensor(b);
    w.history = lp_state_tensor(b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(options->n_ctx + 2), "source");
    w.bias = LP_NONE;
    lp_tensor_id x = walk(&w, token_table(&w), LP_ROWS_ALL);
    lp_output(b, x, "hidden");
    w.hp = &model->hparams;
    w.part = "dec.";
    if (w.hp->arch->cell == LP_CELL_GATED) {
        lp_walk_enter(&w, 0);
        lp_walk_cache_gated(&w, x);
        return;
    }
    if (w.hp->arch->cell != LP_CELL_NONE) {
        lp_walk_enter(&w, -1);
        lp_walk_cache_annotations(&w, x);
        return;
    }
    for (uint32_t i = 0; i < w.hp->n_layer && b->status == LP_OK; i++) {
        lp_walk_enter(&w, i);
        lp_walk_cache_source(&w, x);
    }
}

/* What a session keeps beside weights and caches. */
static void name_states(lp_walk *w)
{
    const int32_t n_ctx = w->options->n_ctx;
    w->cursor = cursor_tensor(w->b);
    w->history = lp_state_tensor(w->b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(n_ctx + 2), "history");
    w->sampler =
        lp_state_tensor(w->b, LP_SLOT_STATE, LP_I32, LP_SHAPE1(LP_SAMPLER_WORDS), "sampler");
    w->bias = LP_NONE;
}

/* The tower that reads pictures. */
static void build_picture(lp_builder *b, const lp_network *model, const lp_network_options *options)
{
    lp_hparams vision;
    lp_hparams_of_vision(&model->hparams, &vision);
    lp_walk w = {.b = b,
                 .model = model,
                 .hp = &vision,
                 .options = options,
                 .n_ctx = options->n_ctx,
                 .part = "v."};
    name_states(&w);
    lp_tensor_id x = walk(&w, LP_NONE, LP_ROWS_ALL);
    if (options->hidden)
        put_hidden(&w, x);
    if (options->outputs != LP_OUTPUTS_NONE)
        lp_output(b, labels(&w, x), "logits");
}

void lp_transformer_build(lp_builder *b, const lp_network *model, const lp_network_options *options)
{
    lp_walk w = {.b = b,
                 .model = model,
                 .hp = &model->hparams,
                 .options = options,
                 .n_ctx = options->n_ctx,
                 .part = model->hparams.arch->part ? model->hparams.arch->part : "",
                 .bias = LP_NONE,
                 .lengths = LP_NONE};
    int32_t n_tokens = options->n_tokens;
    if (w.hp->encoder.n_layer > 0)
        w.part = "dec.";
    if (options->part == LP_PART_ENCODER && w.hp->retrieval.chunk == 0) {
        build_encoder(b, model, options);
        return;
    }
    if (options->part == LP_PART_PICTURE) {
        build_picture(b, model, options);
        return;
    }
    name_states(&w);
    if (w.hp->retrieval.chunk > 0) {
        const int64_t n = lp_retrieval_rows(w.hp, (uint32_t)w.n_ctx) / w.hp->retrieval.length;
        w.lengths = lp_state_tensor(b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(n), "neighbour_lengths");
    }
    if (options->part == LP_PART_ENCODER) {
        build_encoder_of_neighbours(&w);
        return;
    }

    bool has_head = options->outputs != LP_OUTPUTS_NONE || options->sample;
    lp_walk_rows wanted = options->outputs == LP_OUTPUTS_ALL || options->hidden ? LP_ROWS_ALL
                          : has_head                                            ? LP_ROWS_LAST
                                                                                : LP_ROWS_NONE;
    lp_tensor_id table = token_table(&w);
    lp_tensor_id x = walk(&w, table, wanted);
    w.part = "";
    lp_walk_enter(&w, -1);
    if (options->hidden)
        put_hidden(&w, x);
    if (options->part == LP_PART_CONTEXT)
        return;
    if (!has_head) {
        lp_advance(b, "advance", w.cursor, n_tokens);
        return;
    }

    lp_tensor_id logits = head(&w, x, table);
    if (options->outputs != LP_OUTPUTS_NONE)
        lp_output(b, logits, "logits");
    if (!options->sample) {
        lp_advance(b, "advance", w.cursor, n_tokens);
        return;
    }
    if (options->outputs == LP_OUTPUTS_ALL && n_tokens > 1)
        logits = lp_view_rows(b, logits, n_tokens - 1, 1);
    lp_sample(b, "sample", logits, w.sampler, w.history, w.cursor, n_tokens);
}
