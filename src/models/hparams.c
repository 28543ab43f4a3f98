/* Hyperparameters: what both kinds of files share: defaults, checks, slopes,
 * description. GGUF metadata is read in hparams_gguf.c, config.json in hparams_config.c. */
#include "models/hparams.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static lp_status check_range(lp_context *ctx, const char *where, const char *what, uint32_t value,
                             uint32_t max)
{
    if (value >= 1 && value <= max)
        return LP_OK;
    return lp_fail(ctx, value ? LP_E_LIMIT : LP_E_FORMAT, "%s: %s is %u; 1 to %u is possible",
                   where, what, value, max);
}

static lp_status check_positive(lp_context *ctx, const char *where, const char *what, float value)
{
    if (isfinite(value) && value > 0)
        return LP_OK;
    return lp_fail(ctx, LP_E_FORMAT, "%s: %s is %g; it must be positive", where, what,
                   (double)value);
}

void lp_hparams_init(lp_hparams *hp, const lp_arch *arch)
{
    *hp = (lp_hparams){
        .arch = arch,
        .norms = arch->norms,
        .route = arch->route,
        .norm_eps = arch->norm_eps,
        .position = arch->position,
        .position_offset = arch->position_offset,
        .both_ways = arch->encoder_only,
        .act = arch->act,
        .glu_limit = arch->glu_limit,
        .parallel = arch->parallel,
        .residual_normed = arch->residual_normed,
        .prefix = {.used = arch->prefix},
        .tied = arch->tied,
        .norm_plain = arch->norm_plain,
        .embed_scale = 1,
        .residual_scale = 1,
        .part_scale = 1,
        .logit_scale = 1,
        .alibi_max = 8,
    };
    if (arch->position == LP_POSITION_ROPE)
        hp->rope = (lp_rope_hparams){.base = arch->rope_base != 0 ? arch->rope_base : 10000,
                                     .factor = 1,
                                     .two_axes = arch->two_axes,
                                     .untruncated = arch->yarn_untruncated};
}

lp_status lp_hparams_check_layers(lp_context *ctx, const char *where, const lp_hparams *hp)
{
    return check_range(ctx, where, "block count", hp->n_layer, LP_MAX_LAYERS);
}

static lp_status check_encoder(lp_context *ctx, const char *where, const lp_hparams *hp)
{
    const lp_encoder_hparams *e = &hp->encoder;
    LP_TRY(check_range(ctx, where, "the encoder's block count", e->n_layer, LP_MAX_LAYERS));
    LP_TRY(check_range(ctx, where, "the encoder's head count", e->n_head, 4096));
    LP_TRY(check_range(ctx, where, "size of the encoder's heads", e->head, 1024));
    return check_range(ctx, where, "the encoder's feed-forward length", e->n_ff, 1u << 20);
}

static lp_status check_retrieval(lp_context *ctx, const char *where, const lp_hparams *hp)
{
    const lp_retrieval_hparams *r = &hp->retrieval;
    LP_TRY(check_range(ctx, where, "length of a chunk", r->chunk, 1u << 16));
    LP_TRY(check_range(ctx, where, "number of neighbours", r->n_neighbours, 1u << 10));
    LP_TRY(check_range(ctx, where, "length of a neighbour", r->length, 1u << 16));
    return check_range(ctx, where, "the encoder's embedding length",
                       hp->encoder.n_embd > 0 ? hp->encoder.n_embd : hp->n_embd, 1u << 17);
}

static lp_status check_relative(lp_context *ctx, const char *where, const lp_hparams *hp)
{
    if (hp->n_bucket < 4 || hp->n_bucket > 1u << 16)
        return lp_fail(ctx, hp->n_bucket < 4 ? LP_E_FORMAT : LP_E_LIMIT,
                       "%s: %u buckets of relative positions; 4 to %u are possible", where,
                       hp->n_bucket, 1u << 16);
    if (hp->max_distance > 1u << 26 || hp->max_distance <= hp->n_bucket / 2)
        return lp_fail(ctx, hp->max_distance > 1u << 26 ? LP_E_LIMIT : LP_E_FORMAT,
                       "%s: relative positions up to %u in %u buckets; more than half as many as "
                       "buckets, up to %u are possible",
                       where, hp->max_distance, hp->n_bucket, 1u << 26);
    return LP_OK;
}

static lp_status check_prefix(lp_context *ctx, const char *where, const lp_hparams *hp)
{
    const lp_prefix_hparams *p = &hp->prefix;
    const uint32_t tokens[] = {p->start, p->blanks[0], p->blanks[1]};
    for (int i = 0; i < 3; i++)
        if (tokens[i] >= hp->n_vocab)
            return lp_fail(ctx, LP_E_FORMAT, "%s: token %u beside the answer; there are %u", where,
                           tokens[i], hp->n_vocab);
    if (p->start == p->blanks[0] || p->start == p->blanks[1])
        return lp_fail(ctx, LP_E_FORMAT, "%s: answers begin with the token %u that they replace",
                       where, p->start);
    return LP_OK;
}

static lp_status check_recurrent(lp_context *ctx, const char *where, const lp_hparams *hp)
{
    if (hp->tied && hp->n_embd_token != hp->n_embd)
        return lp_fail(ctx, LP_E_FORMAT,
                       "%s: token embeddings of %u cannot be the head of %u hidden units", where,
                       hp->n_embd_token, hp->n_embd);
    if (lp_cell_states(hp->arch->cell) * hp->n_embd % 2 != 0) /* caches hold pairs */
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: %u hidden units; an even number is supported",
                       where, hp->n_embd);
    if (hp->arch->cell != LP_CELL_GATED)
        return LP_OK;
    LP_TRY(check_range(ctx, where, "size of the alignment", hp->n_align, 1u << 17));
    LP_TRY(check_range(ctx, where, "size of the maxout layer", hp->n_maxout, 1u << 17));
    if (hp->n_layer != 1 || hp->n_align % 2 != 0)
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "%s: %u layers, and %u units of the alignment; one layer and an even number "
                       "are supported",
                       where, hp->n_layer, hp->n_align);
    return LP_OK;
}

/* Sizes, and which experts a token uses. */
static lp_status check_experts(lp_context *ctx, const char *where, lp_hparams *hp)
{
    const lp_route_options *route = &hp->route;
    LP_TRY(check_range(ctx, where, "number of experts", hp->n_expert, 1024));
    if (hp->arch->route.scale == 0)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: %u experts in a model of the kind \"%s\"", where,
                       hp->n_expert, hp->arch->hf);
    const uint32_t k = (uint32_t)route->k, n_groups = (uint32_t)route->n_groups;
    if (k < 1 || k > hp->n_expert)
        return lp_fail(ctx, LP_E_FORMAT, "%s: %u of %u experts per token", where, k, hp->n_expert);
    if (n_groups > 0 && hp->n_expert % n_groups)
        return lp_fail(ctx, LP_E_FORMAT, "%s: %u experts do not make %u groups of one size", where,
                       hp->n_expert, n_groups);
    if (n_groups > 0 && k > (uint32_t)route->n_groups_used * (hp->n_expert / n_groups))
        return lp_fail(ctx, LP_E_FORMAT, "%s: %u experts per token, out of %d groups of %u", where,
                       k, (int)route->n_groups_used, hp->n_expert / n_groups);
    LP_TRY(check_positive(ctx, where, "factor of the experts' weights", route->scale));
    if (hp->n_ff_expert == 0)
        hp->n_ff_expert = hp->n_ff;
    LP_TRY(check_range(ctx, where, "feed-forward length of an expert", hp->n_ff_expert, 1u << 20));
    if (hp->n_ff_shared == 0)
        return LP_OK;
    return check_range(ctx, where, "feed-forward length of the shared expert", hp->n_ff_shared,
                       1u << 20);
}

void lp_hparams_shared_experts(lp_hparams *hp, uint32_t n)
{
    const uint64_t all = (uint64_t)n * hp->n_ff_expert;
    hp->n_ff_shared = all < UINT32_MAX ? (uint32_t)all : UINT32_MAX;
}

lp_status lp_hparams_finish(lp_context *ctx, const char *where, lp_hparams *hp)
{
    LP_TRY(check_range(ctx, where, "vocabulary size", hp->n_vocab, 1u << 22));
    LP_TRY(check_range(ctx, where, "context length", hp->n_context, 1u << 26));
    LP_TRY(check_range(ctx, where, "embedding length", hp->n_embd, 1u << 17));
    LP_TRY(lp_hparams_check_layers(ctx, where, hp));
    if (hp->n_embd_token == 0)
        hp->n_embd_token = hp->n_embd;
    LP_TRY(check_range(ctx, where, "size of the token embeddings", hp->n_embd_token, 1u << 17));
    if (hp->arch->cell != LP_CELL_NONE)
        return check_recurrent(ctx, where, hp);
    LP_TRY(check_range(ctx, where, "feed-forward length", hp->n_ff, 1u << 20));
    LP_TRY(check_range(ctx, where, "head count", hp->n_head, 4096));
    LP_TRY(check_range(ctx, where, "key/value head count", hp->n_head_kv, 4096));
    LP_TRY(check_range(ctx, where, "size of a key head", hp->head_k, 1024));
    LP_TRY(check_range(ctx, where, "size of a value head", hp->head_v, 1024));
    if (hp->n_types > 0)
        LP_TRY(check_range(ctx, where, "number of token types", hp->n_types, 1u << 16));
    if (hp->arch->latent) {
        LP_TRY(check_range(ctx, where, "rank of keys and values", hp->n_kv_latent, 1u << 14));
        if (hp->n_q_latent > 0)
            LP_TRY(check_range(ctx, where, "rank of queries", hp->n_q_latent, 1u << 14));
        if (hp->rope.n_rotated >= hp->head_k || hp->n_kv_latent % 2)
            return lp_fail(ctx, LP_E_UNSUPPORTED,
                           "%s: RoPE on %u of %u elements of a head, keys and values of rank %u",
                           where, hp->rope.n_rotated, hp->head_k, hp->n_kv_latent);
    }
    if (hp->n_head % hp->n_head_kv)
        return lp_fail(ctx, LP_E_FORMAT, "%s: %u heads cannot share %u key/value heads evenly",
                       where, hp->n_head, hp->n_head_kv);
    LP_TRY(check_positive(ctx, where, "epsilon of the norms", hp->norm_eps));

    if (hp->n_expert > 0)
        LP_TRY(check_experts(ctx, where, hp));
    if (hp->arch->has_encoder)
        LP_TRY(check_encoder(ctx, where, hp));
    if (hp->prefix.used)
        LP_TRY(check_prefix(ctx, where, hp));
    if (hp->arch->retrieves)
        LP_TRY(check_retrieval(ctx, where, hp));
    if (hp->position == LP_POSITION_RELATIVE)
        LP_TRY(check_relative(ctx, where, hp));
    if (hp->arch->embed_scaled)
        hp->embed_scale = (float)sqrt((double)hp->n_embd);
    if (hp->arch->deepnorm && hp->residual_scale == 1)
        hp->residual_scale = (float)sqrt(2.0 * hp->n_layer);
    LP_TRY(check_positive(ctx, where, "factor of the residuals", hp->residual_scale));
    const unsigned in_turn = LP_NORMS_ATTN_POST | LP_NORMS_FFN_POST | LP_NORMS_SUM;
    if (hp->parallel && (hp->norms & in_turn || hp->residual_scale != 1 || hp->part_scale != 1))
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "%s: attention and feed-forward part in parallel, in a model of the kind "
                       "\"%s\"",
                       where, hp->arch->hf);
    if (hp->attn_scale == 0)
        hp->attn_scale = hp->arch->unscaled ? 1 : (float)(1 / sqrt((double)hp->head_k));
    if (hp->n_kv_latent > 0 && hp->rope.scaling == LP_ROPE_SCALING_YARN)
        /* YaRN's factor also meets what is not turned: once each of queries and keys */
        hp->attn_scale *= (float)pow(lp_yarn_magnitude(&hp->rope, (double)hp->rope.mscale_all), 2);
    LP_TRY(check_positive(ctx, where, "factor of the embeddings", hp->embed_scale));
    LP_TRY(check_positive(ctx, where, "factor of attention", hp->attn_scale));
    LP_TRY(check_positive(ctx, where, "factor of a layer's parts", hp->part_scale));
    LP_TRY(check_positive(ctx, where, "factor of the logits", hp->logit_scale));
    const struct {
        const char *what;
        float value;
    } optional[] = {{"soft cap of attention", hp->attn_softcap},
                    {"soft cap of the logits", hp->logit_softcap},
                    {"clamp of queries, keys and values", hp->clamp_qkv},
                    {"growth of queries", hp->q_growth},
                    {"limit of gated parts", hp->glu_limit}};
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++)
        if (optional[i].value != 0)
            LP_TRY(check_positive(ctx, where, optional[i].what, optional[i].value));
    if (hp->q_growth != 0)
        LP_TRY(check_positive(ctx, where, "tokens per step of the growth of queries",
                              hp->q_growth_step));

    for (uint32_t i = 0; i < hp->n_layer; i++) {
        if (hp->layers[i] & LP_LAYER_WINDOW)
            LP_TRY(check_range(ctx, where, "sliding window", hp->window, INT32_MAX));
        if (hp->layers[i] & (LP_LAYER_STRIDED | LP_LAYER_FIXED))
            LP_TRY(
                check_range(ctx, where, "stride of sparse attention", hp->sparse_stride, 1u << 26));
        if (hp->layers[i] & LP_LAYER_CHUNKED)
            LP_TRY(check_range(ctx, where, "size of a chunk of attention", hp->sparse_stride,
                               1u << 26));
        if (hp->layers[i] & LP_LAYER_FIXED)
            LP_TRY(check_range(ctx, where, "summary of fixed attention", hp->sparse_summary,
                               hp->sparse_stride));
    }
    if (hp->position == LP_POSITION_ALIBI)
        LP_TRY(check_positive(ctx, where, "ALiBi's largest exponent", hp->alibi_max));
    if (hp->position != LP_POSITION_ROPE)
        return LP_OK;
    LP_TRY(lp_rope_finish(ctx, where, hp->head_k, &hp->rope));
    if (hp->rope_window.base == 0)
        hp->rope_window = hp->rope;
    LP_TRY(lp_rope_finish(ctx, where, hp->head_k, &hp->rope_window));
    if (hp->arch->retrieves && (hp->rope.n_rotated != hp->head_k || hp->encoder.head % 2 != 0))
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "%s: RoPE on %u of %u elements of a head, and on the encoder's heads of %u",
                       where, hp->rope.n_rotated, hp->head_k, hp->encoder.head);
    return LP_OK;
}

uint32_t lp_retrieval_chunks(const lp_hparams *hp, uint32_t n_ctx)
{
    return n_ctx / hp->retrieval.chunk > 0 ? n_ctx / hp->retrieval.chunk : 1;
}

int64_t lp_retrieval_rows(const lp_hparams *hp, uint32_t n_ctx)
{
    return (int64_t)lp_retrieval_chunks(hp, n_ctx) * hp->retrieval.n_neighbours *
           hp->retrieval.length;
}

void lp_hparams_of_encoder(const lp_hparams *hp, lp_hparams *encoder)
{
    *encoder = *hp;
    encoder->encoder = (lp_encoder_hparams){0};
    encoder->both_ways = hp->retrieval.chunk == 0;
    if (hp->encoder.n_embd > 0)
        encoder->n_embd = encoder->n_embd_token = hp->encoder.n_embd;
    if (hp->retrieval.chunk > 0) /* of whole heads */
        encoder->rope.n_rotated = encoder->rope_window.n_rotated = hp->encoder.head;
    encoder->n_layer = hp->encoder.n_layer;
    encoder->n_head = encoder->n_head_kv = hp->encoder.n_head;
    encoder->head_k = encoder->head_v = hp->encoder.head;
    encoder->n_ff = encoder->n_ff_expert = hp->encoder.n_ff;
    encoder->attn_scale = hp->arch->unscaled ? 1 : (float)(1 / sqrt((double)hp->encoder.head));
}

bool lp_hparams_reads_texts(const lp_hparams *hp)
{
    return hp->picture.patch == 0;
}

bool lp_hparams_reads_pictures(const lp_hparams *hp)
{
    return hp->picture.patch > 0 || hp->vision.n_layer > 0;
}

size_t lp_hparams_text_end(const lp_hparams *hp, const int32_t *tokens, size_t n)
{
    size_t end = 0;
    if (!hp->ends_at_largest) {
        while (end < n && (uint32_t)tokens[end] != hp->end_token)
            end++;
        return end;
    }
    for (size_t i = 1; i < n; i++)
        if (tokens[i] > tokens[end])
            end = i;
    return end;
}

uint32_t lp_picture_tokens(const lp_picture_hparams *picture)
{
    const uint32_t n = picture->size / picture->patch;
    return picture->n_first + n * n;
}

uint32_t lp_picture_row(const lp_picture_hparams *picture)
{
    return picture->channels * picture->patch * picture->patch;
}

void lp_hparams_of_vision(const lp_hparams *hp, lp_hparams *vision)
{
    const lp_vision_hparams *v = &hp->vision;
    *vision = *hp;
    if (v->n_layer == 0)
        return;
    lp_hparams_init(vision, lp_arch_find_hf(hp->arch->vision_tower));
    vision->n_context = lp_picture_tokens(&v->picture);
    vision->n_layer = v->n_layer;
    vision->n_embd = vision->n_embd_token = v->n_embd;
    vision->n_head = vision->n_head_kv = v->n_head;
    vision->head_k = vision->head_v = v->n_embd / v->n_head;
    vision->n_ff = v->n_ff;
    vision->norm_eps = v->norm_eps;
    vision->act = v->act;
    vision->attn_scale = (float)(1 / sqrt((double)vision->head_k));
    vision->picture = v->picture;
    vision->n_projected = hp->n_projected;
}

bool lp_layer_has_window(const lp_arch *arch, uint32_t every, uint32_t layer)
{
    return every == 0 || layer % every != (arch->window_every_first ? 0 : every - 1);
}

void lp_hparams_unrotated(lp_hparams *hp, uint32_t every)
{
    for (uint32_t i = every; every > 0 && i <= hp->n_layer && i <= LP_MAX_LAYERS; i += every)
        hp->layers[i - 1] |= LP_LAYER_NO_ROPE;
}

void lp_alibi_slopes(const lp_hparams *hp, float *slopes)
{
    uint32_t n = 1;
    while (2 * n <= hp->n_head)
        n *= 2;
    for (uint32_t h = 0; h < hp->n_head; h++) {
        double power = h < n ? (double)(h + 1) / n : (double)(2 * (h - n) + 1) / (2 * n);
        slopes[h] = (float)exp2(-(double)hp->alibi_max * power);
    }
}

typedef struct writer {
    lp_hparam *facts;
    size_t n;
} writer;

static void put_number(writer *w, const char *name, double value)
{
    lp_hparam *fact = &w->facts[w->n++];
    *fact = (lp_hparam){.name = name, .is_number = true};
    snprintf(fact->value, sizeof fact->value, "%.7g", value);
}

static void put_count(writer *w, const char *name, uint32_t value)
{
    lp_hparam *fact = &w->facts[w->n++];
    *fact = (lp_hparam){.name = name, .is_number = true};
    snprintf(fact->value, sizeof fact->value, "%u", value);
}

static void put_text(writer *w, const char *name, const char *value)
{
    lp_hparam *fact = &w->facts[w->n++];
    *fact = (lp_hparam){.name = name};
    snprintf(fact->value, sizeof fact->value, "%s", value);
}

static void put_picture(writer *w, const lp_picture_hparams *p)
{
    put_count(w, "picture_side", p->size);
    put_count(w, "patch_side", p->patch);
    put_count(w, "patches", lp_picture_tokens(p) - p->n_first);
}

/* A tower beside one that reads texts. */
static void put_vision(writer *w, const lp_vision_hparams *v)
{
    put_picture(w, &v->picture);
    put_count(w, "picture_layers", v->n_layer);
    put_count(w, "picture_embedding_length", v->n_embd);
    put_count(w, "picture_heads", v->n_head);
    put_count(w, "picture_feed_forward_length", v->n_ff);
}

size_t lp_hparams_describe(const lp_hparams *hp, lp_hparam facts[LP_MAX_FACTS])
{
    static const char *const acts[] = {
        [LP_ACT_NONE] = "none",
        [LP_ACT_RELU] = "relu",
        [LP_ACT_GELU_ERF] = "gelu (erf)",
        [LP_ACT_GELU_TANH] = "gelu (tanh)",
        [LP_ACT_GELU_QUICK] = "quick gelu",
        [LP_ACT_SILU] = "silu",
        [LP_ACT_TANH] = "tanh",
        [LP_ACT_SIGMOID] = "sigmoid",
        [LP_ACT_RELU_SQUARED] = "squared relu",
        [LP_ACT_CLAMP] = "clamp",
        [LP_ACT_CLAMP_ABOVE] = "clamp above",
    };
    static const char *const scalings[] = {
        [LP_ROPE_SCALING_NONE] = "none",       [LP_ROPE_SCALING_LINEAR] = "linear",
        [LP_ROPE_SCALING_DYNAMIC] = "dynamic", [LP_ROPE_SCALING_YARN] = "yarn",
        [LP_ROPE_SCALING_LLAMA3] = "llama3",   [LP_ROPE_SCALING_LONGROPE] = "longrope",
    };
    static const char *const cells[] = {
        [LP_CELL_LSTM] = "lstm", [LP_CELL_GRU] = "gru", [LP_CELL_GATED] = "gated"};
    writer w = {facts, 0};
    put_text(&w, "architecture", hp->arch->hf);
    if (hp->picture.patch > 0)
        put_picture(&w, &hp->picture);
    put_count(&w, hp->picture.patch > 0 ? "labels" : "vocabulary", hp->n_vocab);
    put_count(&w, "context_length", hp->n_context);
    put_count(&w, "layers", hp->n_layer);
    put_count(&w, "embedding_length", hp->n_embd);
    if (hp->arch->cell != LP_CELL_NONE) {
        put_text(&w, "cell", cells[hp->arch->cell]);
        put_count(&w, "token_embedding_length", hp->n_embd_token);
        if (hp->arch->cell == LP_CELL_GATED) {
            put_text(&w, "attention_score", "additive");
            put_count(&w, "alignment_length", hp->n_align);
            put_count(&w, "maxout_length", hp->n_maxout);
        } else if (hp->encoder.n_layer > 0)
            put_text(&w, "attention_score", hp->score_general ? "general" : "dot");
        put_text(&w, "head", hp->tied ? "tied to the token embedding" : "untied");
        return w.n;
    }
    put_count(&w, "feed_forward_length", hp->n_ff);
    put_count(&w, "heads", hp->n_head);
    put_count(&w, "kv_heads", hp->n_head_kv);
    put_count(&w, "key_head_size", hp->head_k);
    put_count(&w, "value_head_size", hp->head_v);
    if (hp->n_kv_latent > 0)
        put_count(&w, "rank_of_keys_and_values", hp->n_kv_latent);
    if (hp->n_q_latent > 0)
        put_count(&w, "rank_of_queries", hp->n_q_latent);
    if (hp->n_expert > 0) {
        put_count(&w, "experts", hp->n_expert);
        put_count(&w, "experts_per_token", (uint32_t)hp->route.k);
        put_count(&w, "expert_feed_forward_length", hp->n_ff_expert);
        if (hp->n_ff_shared > 0)
            put_count(&w, "shared_feed_forward_length", hp->n_ff_shared);
        if (hp->route.n_groups > 0) {
            put_count(&w, "expert_groups", (uint32_t)hp->route.n_groups);
            put_count(&w, "expert_groups_per_token", (uint32_t)hp->route.n_groups_used);
        }
        if (hp->route.capacity > 0)
            put_count(&w, "expert_capacity", (uint32_t)hp->route.capacity);
        if (hp->route.scale != 1)
            put_number(&w, "expert_factor", (double)hp->route.scale);
    }
    if (hp->encoder.n_layer > 0) {
        put_count(&w, "encoder_layers", hp->encoder.n_layer);
        put_count(&w, "encoder_heads", hp->encoder.n_head);
        put_count(&w, "encoder_feed_forward_length", hp->encoder.n_ff);
    }
    if (hp->vision.n_layer > 0)
        put_vision(&w, &hp->vision);
    if (hp->n_projected > 0)
        put_count(&w, "projected_length", hp->n_projected);
    if (hp->retrieval.chunk > 0) {
        put_count(&w, "encoder_embedding_length",
                  hp->encoder.n_embd > 0 ? hp->encoder.n_embd : hp->n_embd);
        put_count(&w, "chunk_length", hp->retrieval.chunk);
        put_count(&w, "neighbours", hp->retrieval.n_neighbours);
        put_count(&w, "neighbour_length", hp->retrieval.length);
    }
    put_text(&w, "norm", hp->arch->norm == LP_NORM_RMS ? "rms" : "layer");
    put_number(&w, "norm_epsilon", (double)hp->norm_eps);
    put_text(&w, "activation", hp->solu ? "solu" : acts[hp->act]);
    if (hp->arch->sizes == NULL)
        put_text(&w, "head", hp->tied ? "tied to the token embedding" : "untied");
    if (hp->n_types > 0)
        put_count(&w, "token_types", hp->n_types);
    put_text(&w, "attention",
             hp->both_ways && !hp->arch->whole_causal ? "all tokens see each other"
             : hp->prefix.used                        ? "causal behind the prefix"
                                                      : "causal");
    if (hp->prefix.used)
        put_count(&w, "first_token_of_answers", hp->prefix.start);
    put_text(&w, "block", hp->parallel ? "attention and feed-forward in parallel" : "one by one");
    if (hp->residual_scale != 1)
        put_number(&w, "residual_factor", (double)hp->residual_scale);
    if (hp->embed_scale != 1)
        put_number(&w, "embedding_factor", (double)hp->embed_scale);
    if (hp->part_scale != 1)
        put_number(&w, "part_factor", (double)hp->part_scale);
    if (hp->logit_scale != 1)
        put_number(&w, "logit_factor", (double)hp->logit_scale);
    put_number(&w, "attention_factor", (double)hp->attn_scale);
    if (hp->attn_softcap != 0)
        put_number(&w, "attention_soft_cap", (double)hp->attn_softcap);
    if (hp->logit_softcap != 0)
        put_number(&w, "logit_soft_cap", (double)hp->logit_softcap);
    if (hp->clamp_qkv != 0)
        put_number(&w, "clamp_qkv", (double)hp->clamp_qkv);
    if (hp->glu_limit != 0)
        put_number(&w, "limit_of_gated_parts", (double)hp->glu_limit);
    uint32_t n_window = 0;
    for (uint32_t i = 0; i < hp->n_layer; i++)
        n_window += hp->layers[i] & LP_LAYER_WINDOW ? 1 : 0;
    if (n_window > 0) {
        put_count(&w, "sliding_window", hp->window);
        put_count(&w, "layers_with_window", n_window);
    }
    if (hp->sparse_stride > 0)
        put_count(&w, hp->arch->chunk > 0 ? "attention_chunk" : "sparse_stride", hp->sparse_stride);
    if (hp->sparse_summary > 0)
        put_count(&w, "sparse_summary", hp->sparse_summary);
    if (hp->q_growth != 0) {
        put_number(&w, "growth_of_queries", (double)hp->q_growth);
        put_number(&w, "tokens_per_step_of_growth", (double)hp->q_growth_step);
    }
    static const char *const positions[] = {
        [LP_POSITION_LEARNED] = "learned",    [LP_POSITION_ROPE] = "rope",
        [LP_POSITION_ALIBI] = "alibi",        [LP_POSITION_RELATIVE] = "relative",
        [LP_POSITION_SINUSOID] = "sinusoids",
    };
    put_text(&w, "positions", positions[hp->position]);
    if (hp->position == LP_POSITION_RELATIVE) {
        put_count(&w, "relative_buckets", hp->n_bucket);
        put_count(&w, "relative_distance", hp->max_distance);
    }
    uint32_t n_unrotated = 0;
    for (uint32_t i = 0; i < hp->n_layer; i++)
        n_unrotated += hp->layers[i] & LP_LAYER_NO_ROPE ? 1 : 0;
    if (n_unrotated > 0)
        put_count(&w, "layers_without_positions", n_unrotated);
    if (hp->position != LP_POSITION_ROPE)
        return w.n;
    const lp_rope_hparams *rope = &hp->rope;
    if (rope->two_axes)
        put_text(&w, "rope_axes", "place in the prefix, place behind it");
    put_text(&w, "rope_pairing", rope->pairing == LP_ROPE_HALVES ? "halves" : "adjacent");
    put_count(&w, "rope_elements", rope->n_rotated);
    put_number(&w, "rope_base", (double)rope->base);
    put_text(&w, "rope_scaling", scalings[rope->scaling]);
    if (rope->scaling != LP_ROPE_SCALING_NONE)
        put_number(&w, "rope_scaling_factor", (double)rope->factor);
    if (rope->attention_factor != 1)
        put_number(&w, "rope_attention_factor", (double)rope->attention_factor);
    return w.n;
}
