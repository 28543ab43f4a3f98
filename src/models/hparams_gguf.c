/* Hyperparameters from GGUF metadata. The keys are those of the GGUF specification:
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/hparams.h"

typedef struct reader {
    lp_context *ctx;
    const char *where, *arch;
    const lp_gguf *gguf;
    char key[128];
} reader;

static const char *full_key(reader *r, const char *key)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->arch, key);
    return r->key;
}

static bool has_key(const lp_gguf *gguf, const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < lp_gguf_count(gguf); i++) {
        lp_gguf_string k = lp_gguf_key(gguf, i);
        if (k.bytes == n && memcmp(k.data, key, n) == 0)
            return true;
    }
    return false;
}

/* Why a getter found nothing: no such key (fine unless it is required), or another type. */
static lp_status not_there(reader *r, bool required, const char *expected)
{
    if (has_key(r->gguf, r->key))
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: %s: %s expected", r->where, r->key, expected);
    if (required)
        return lp_fail(r->ctx, LP_E_MISSING, "%s: key %s is missing", r->where, r->key);
    return LP_OK;
}

static lp_status read_u32(reader *r, const char *key, bool required, uint32_t *value)
{
    if (lp_gguf_get_u32(r->gguf, full_key(r, key), value))
        return LP_OK;
    return not_there(r, required, "a whole number");
}

static lp_status read_f32(reader *r, const char *key, bool required, float *value)
{
    if (lp_gguf_get_f32(r->gguf, full_key(r, key), value))
        return LP_OK;
    return not_there(r, required, "a number");
}

static bool string_is(lp_gguf_string s, const char *text)
{
    return s.bytes == strlen(text) && memcmp(s.data, text, s.bytes) == 0;
}

/* A name out of a file, fit for an error message. */
static char *printable(lp_gguf_string s, char text[64])
{
    size_t n = s.bytes < 60 ? s.bytes : 60;
    for (size_t i = 0; i < n; i++)
        text[i] = s.data[i] >= 32 && s.data[i] < 127 ? s.data[i] : '?';
    text[n] = '\0';
    return text;
}

/* attn_factor comes on top of what the paper has; yarn_log_multiplier is 0.1 mscale_all. */
static lp_status read_yarn(reader *r, lp_rope_hparams *rope)
{
    float log_multiplier = 0;
    rope->beta_fast = 32;
    rope->beta_slow = 1;
    LP_TRY(read_f32(r, "rope.scaling.yarn_beta_fast", false, &rope->beta_fast));
    LP_TRY(read_f32(r, "rope.scaling.yarn_beta_slow", false, &rope->beta_slow));
    LP_TRY(read_f32(r, "rope.scaling.yarn_log_multiplier", false, &log_multiplier));
    rope->mscale = rope->mscale_all = 10 * log_multiplier; /* GGUF files know one for both */
    if (rope->attention_factor != 0)
        rope->attention_factor *= (float)lp_yarn_magnitude(rope, 1);
    return LP_OK;
}

static lp_status read_rope(reader *r, lp_hparams *hp)
{
    lp_rope_hparams *rope = &hp->rope;
    rope->pairing = hp->arch->gguf_halves ? LP_ROPE_HALVES : LP_ROPE_ADJACENT;
    rope->n_rotated = hp->head_k;
    rope->original_context = hp->n_context;
    LP_TRY(read_u32(r, "rope.dimension_count", false, &rope->n_rotated));
    LP_TRY(read_f32(r, "rope.freq_base", false, &rope->base));
    LP_TRY(read_f32(r, "rope.scale_linear", false, &rope->factor)); /* old files */
    rope->scaling = rope->factor != 1 ? LP_ROPE_SCALING_LINEAR : LP_ROPE_SCALING_NONE;
    LP_TRY(read_u32(r, "rope.scaling.original_context_length", false, &rope->original_context));
    LP_TRY(read_f32(r, "rope.scaling.attn_factor", false, &rope->attention_factor));
    lp_gguf_string type;
    if (!lp_gguf_get_string(r->gguf, full_key(r, "rope.scaling.type"), &type))
        return not_there(r, false, "a string");
    if (string_is(type, "none") ||
        string_is(type, "longrope")) /* that one's divisors are tensors */
        return LP_OK;
    rope->scaling = string_is(type, "yarn") ? LP_ROPE_SCALING_YARN : LP_ROPE_SCALING_LINEAR;
    if (rope->scaling == LP_ROPE_SCALING_LINEAR && !string_is(type, "linear")) {
        char name[64];
        return lp_fail(r->ctx, LP_E_UNSUPPORTED,
                       "%s: %s: RoPE scaling \"%s\" is not supported (none, linear, yarn, longrope "
                       "are)",
                       r->where, r->key, printable(type, name));
    }
    LP_TRY(read_f32(r, "rope.scaling.factor", true, &rope->factor));
    return rope->scaling == LP_ROPE_SCALING_YARN ? read_yarn(r, rope) : LP_OK;
}

/* The vocabulary is the tokenizer's; files without a tokenizer say how many. */
static lp_status read_n_vocab(reader *r, uint32_t *n_vocab)
{
    lp_gguf_type type;
    uint64_t n;
    if (lp_gguf_get_array(r->gguf, "tokenizer.ggml.tokens", &type, &n)) {
        *n_vocab = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
        return LP_OK;
    }
    return read_u32(r, "vocab_size", true, n_vocab);
}

/* Numbers that a file may have; without them hparams keep what the row says. */
static lp_status read_optional(reader *r, lp_hparams *hp)
{
    const struct {
        const char *key;
        float *value;
    } numbers[] = {
        {"attention.scale", &hp->attn_scale},
        {"attention.max_alibi_bias", &hp->alibi_max},
        {"attention.clamp_kqv", &hp->clamp_qkv},
        {"attn_logit_softcapping", &hp->attn_softcap},
        {"final_logit_softcapping", &hp->logit_softcap},
        {"embedding_scale", &hp->embed_scale},
        {"residual_scale", &hp->part_scale},
        {"logit_scale", &hp->logit_scale},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        LP_TRY(read_f32(r, numbers[i].key, false, numbers[i].value));
    if (hp->arch->logits_divided && hp->logit_scale != 0)
        hp->logit_scale = 1 / hp->logit_scale;
    if (!lp_gguf_get_bool(r->gguf, full_key(r, "use_parallel_residual"), &hp->parallel))
        LP_TRY(not_there(r, false, "true or false"));
    return LP_OK;
}

/* Mixtures of experts; which layers have one, the weights tell. */
static lp_status read_experts(reader *r, lp_hparams *hp)
{
    uint32_t k = 0, n_shared = 0, score = 0, n_groups = 0, n_used = 0;
    LP_TRY(read_u32(r, "expert_count", false, &hp->n_expert));
    if (hp->n_expert == 0)
        return LP_OK;
    lp_route_options *route = &hp->route;
    LP_TRY(read_u32(r, "expert_used_count", true, &k));
    route->k = k < INT32_MAX ? (int32_t)k : INT32_MAX;
    if (!lp_gguf_get_bool(r->gguf, full_key(r, "expert_weights_norm"), &route->normalise))
        LP_TRY(not_there(r, false, "true or false"));
    LP_TRY(read_f32(r, "expert_weights_scale", false, &route->scale));
    if (route->scale == 0) /* some files say so and mean 1 */
        route->scale = 1;
    static const lp_route_score scores[] = {LP_ROUTE_SOFTMAX, LP_ROUTE_SIGMOID, LP_ROUTE_CHOSEN};
    LP_TRY(read_u32(r, "expert_gating_func", false, &score));
    if (score > sizeof scores / sizeof scores[0])
        return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: %s: %u is not supported", r->where, r->key,
                       score);
    if (score > 0)
        route->score = scores[score - 1];
    LP_TRY(read_u32(r, "expert_group_count", false, &n_groups));
    LP_TRY(read_u32(r, "expert_group_used_count", n_groups > 1, &n_used));
    if (n_groups > 1) { /* DeepSeek V2 and V3 rank groups otherwise */
        if (n_groups > INT32_MAX || n_used < 1 || n_used > n_groups)
            return lp_fail(r->ctx, LP_E_FORMAT, "%s: %u of %u groups of experts per token",
                           r->where, n_used, n_groups);
        route->n_groups = (int32_t)n_groups;
        route->n_groups_used = (int32_t)n_used;
        route->group_best = route->score == LP_ROUTE_SIGMOID ? 2 : 1;
    }
    LP_TRY(read_u32(r, "expert_feed_forward_length", false, &hp->n_ff_expert));
    LP_TRY(read_u32(r, "expert_shared_count", false, &n_shared));
    if (hp->arch->route_first) {
        if (route->k != 1)
            return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: %s: %d is not supported (1 is)", r->where,
                           full_key(r, "expert_used_count"), (int)route->k);
        hp->n_ff_shared = hp->n_ff_expert;
    }
    if (n_shared > 0)
        lp_hparams_shared_experts(hp, n_shared);
    return read_u32(r, "expert_shared_feed_forward_length", false, &hp->n_ff_shared);
}

/* Latent attention: in newer files key_length and value_length are those of the cache. */
static lp_status read_latent(reader *r, lp_hparams *hp)
{
    if (!hp->arch->latent)
        return LP_OK;
    LP_TRY(read_u32(r, "attention.kv_lora_rank", true, &hp->n_kv_latent));
    LP_TRY(read_u32(r, "attention.q_lora_rank", false, &hp->n_q_latent));
    LP_TRY(read_u32(r, "attention.key_length_mla", false, &hp->head_k));
    LP_TRY(read_u32(r, "attention.value_length_mla", false, &hp->head_v));
    hp->n_head_kv = 1;
    return LP_OK;
}

/* Biases of T5 by distance; and whether there is a gate, which the weights tell. */
static lp_status read_relative(reader *r, const lp_weights *weights, lp_hparams *hp)
{
    if (hp->position != LP_POSITION_RELATIVE)
        return LP_OK;
    LP_TRY(read_u32(r, "attention.relative_buckets_count", true, &hp->n_bucket));
    hp->max_distance = 128; /* there is no key */
    if (lp_weights_find(weights, "enc.blk.0.ffn_gate.weight"))
        hp->act = LP_ACT_GELU_TANH;
    return LP_OK;
}

/* Encoder and decoder of T5: sizes of both but for their layers are the same, and the weights tell
 * whether there is a head of its own. */
static lp_status read_encoder(reader *r, const lp_weights *weights, lp_hparams *hp)
{
    if (!hp->arch->has_encoder)
        return LP_OK;
    hp->encoder = (lp_encoder_hparams){
        .n_layer = hp->n_layer, .n_head = hp->n_head, .head = hp->head_k, .n_ff = hp->n_ff};
    LP_TRY(read_u32(r, "decoder_block_count", false, &hp->n_layer));
    if (hp->arch->head_scaled && !lp_weights_find(weights, "output.weight") && hp->n_embd > 0)
        hp->logit_scale = (float)(1 / sqrt((double)hp->n_embd));
    return LP_OK;
}

/* Which layers have the window, where the file has one: as the row says, or all but every n-th, or
 * by a list. */
static lp_status read_window(reader *r, lp_hparams *hp)
{
    uint32_t every = hp->arch->window_every;
    lp_gguf_type type;
    uint64_t n;
    LP_TRY(read_u32(r, "attention.sliding_window", false, &hp->window));
    const char *key = full_key(r, "attention.sliding_window_pattern");
    const bool list = every > 0 && lp_gguf_get_array(r->gguf, key, &type, &n);
    if (every > 0 && !list)
        LP_TRY(read_u32(r, "attention.sliding_window_pattern", false, &every));
    if (hp->window == 0)
        return LP_OK;
    LP_TRY(lp_hparams_check_layers(r->ctx, r->where, hp));
    for (uint32_t i = 0; i < hp->n_layer && !list; i++)
        hp->layers[i] = lp_layer_has_window(hp->arch, every, i) ? LP_LAYER_WINDOW : 0;
    int32_t has[LP_MAX_LAYERS];
    if (list && (n != hp->n_layer || !lp_gguf_array_i32(r->gguf, key, has, n)))
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: %s: a number, or one for each of %u layers",
                       r->where, r->key, hp->n_layer);
    for (uint32_t i = 0; i < hp->n_layer && list; i++)
        hp->layers[i] = has[i] ? LP_LAYER_WINDOW : 0;
    return LP_OK;
}

/* Llama 4: see read_chunks() of config.json; files say only whether there is any of this. */
static lp_status read_chunks(reader *r, lp_hparams *hp)
{
    uint32_t window = hp->arch->chunk;
    if (hp->arch->chunk == 0)
        return LP_OK;
    LP_TRY(read_u32(r, "attention.sliding_window", false, &window));
    if (hp->n_expert == 128) /* Maverick; files do not tell */
        hp->norms &= ~(unsigned)LP_NORMS_QK_TURNED;
    if (window == 0) /* all layers turn, and see everything */
        return LP_OK;
    hp->sparse_stride = hp->arch->chunk;
    hp->q_growth = hp->arch->q_growth;
    hp->q_growth_step = hp->arch->q_growth_step;
    lp_hparams_unrotated(hp, hp->arch->no_rope_every);
    for (uint32_t i = 0; i < hp->n_layer && i < LP_MAX_LAYERS; i++)
        if (!(hp->layers[i] & LP_LAYER_NO_ROPE))
            hp->layers[i] |= LP_LAYER_CHUNKED;
    return LP_OK;
}

lp_status lp_hparams_from_gguf(lp_context *ctx, const char *where, const lp_gguf *gguf,
                               const lp_weights *weights, lp_hparams *hp)
{
    char text[64];
    lp_gguf_string name;
    if (!lp_gguf_get_string(gguf, "general.architecture", &name))
        return lp_fail(ctx, LP_E_MISSING, "%s: key general.architecture is missing", where);
    const lp_arch *arch = lp_arch_find_gguf(name.data, name.bytes);
    if (!arch)
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "%s: architecture \"%s\" is not supported; the supported one that is most "
                       "like it is \"%s\"",
                       where, printable(name, text), lp_arch_nearest(true, text));

    lp_hparams_init(hp, arch);
    reader r = {.ctx = ctx, .where = where, .arch = arch->gguf, .gguf = gguf};
    LP_TRY(read_n_vocab(&r, &hp->n_vocab));
    LP_TRY(read_u32(&r, "context_length", true, &hp->n_context));
    LP_TRY(read_u32(&r, "embedding_length", true, &hp->n_embd));
    LP_TRY(read_u32(&r, "block_count", true, &hp->n_layer));
    LP_TRY(read_u32(&r, "feed_forward_length", true, &hp->n_ff));
    LP_TRY(read_u32(&r, "attention.head_count", true, &hp->n_head));
    hp->n_head_kv = hp->n_head;
    LP_TRY(read_u32(&r, "attention.head_count_kv", false, &hp->n_head_kv));
    LP_TRY(read_f32(&r,
                    hp->arch->norm == LP_NORM_RMS ? "attention.layer_norm_rms_epsilon"
                                                  : "attention.layer_norm_epsilon",
                    true, &hp->norm_eps));
    if (hp->n_head > 0)
        hp->head_k = hp->head_v = hp->n_embd / hp->n_head;
    LP_TRY(read_u32(&r, "attention.key_length", false, &hp->head_k));
    LP_TRY(read_u32(&r, "attention.value_length", false, &hp->head_v));
    LP_TRY(read_latent(&r, hp));
    LP_TRY(read_optional(&r, hp));
    if (hp->n_head > 0 && arch->full_scale_layers > 0 && hp->n_layer == arch->full_scale_layers)
        hp->attn_scale = (float)(1 / sqrt((double)hp->n_embd / hp->n_head));
    if (hp->position == LP_POSITION_ROPE) {
        LP_TRY(read_rope(&r, hp));
        if (arch->window_rope_base != 0) { /* files tell it where it is another */
            hp->rope_window = (lp_rope_hparams){.pairing = hp->rope.pairing,
                                                .n_rotated = hp->rope.n_rotated,
                                                .base = arch->window_rope_base,
                                                .factor = 1,
                                                .original_context = hp->n_context};
            LP_TRY(read_f32(&r, "rope.freq_base_swa", false, &hp->rope_window.base));
        }
    }
    if (arch->encoder_only && lp_weights_find(weights, "token_types.weight"))
        lp_gguf_get_u32(gguf, "tokenizer.ggml.token_type_count", &hp->n_types);
    LP_TRY(read_relative(&r, weights, hp));
    LP_TRY(read_encoder(&r, weights, hp));
    LP_TRY(read_experts(&r, hp));
    if (arch->chunk == 0) {
        LP_TRY(read_window(&r, hp));
        lp_hparams_unrotated(hp, arch->no_rope_every);
    }
    LP_TRY(read_chunks(&r, hp));
    if (!(hp->norms & LP_NORMS_QK_ROW) && lp_weights_find(weights, "blk.0.attn_q_norm.weight"))
        hp->norms |= LP_NORMS_QK_HEAD;
    hp->tied = !lp_weights_find(weights, "output.weight");
    return lp_hparams_finish(ctx, where, hp);
}
