/* Hyperparameters as GGUF metadata: the way back of hparams_gguf.c. What is written is read again
 * and compared, so that a number without a key, or with one that another row of the table reads
 * otherwise, is refused by its name instead of lost. */
#include "models/hparams.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct key_writer {
    lp_gguf_writer *file;
    const char *arch;
    char key[128];
} key_writer;

static const char *full_key(key_writer *w, const char *key)
{
    snprintf(w->key, sizeof w->key, "%s.%s", w->arch, key);
    return w->key;
}

static void put_u32(key_writer *w, const char *key, uint32_t value)
{
    lp_gguf_put_u32(w->file, full_key(w, key), value);
}

static void put_f32(key_writer *w, const char *key, float value)
{
    lp_gguf_put_f32(w->file, full_key(w, key), value);
}

/* Numbers that a file has only where they say something. */
static void put_f32_unless(key_writer *w, const char *key, float value, float usual)
{
    if (value != usual)
        put_f32(w, key, value);
}

static void put_u32_unless(key_writer *w, const char *key, uint32_t value, uint32_t usual)
{
    if (value != usual)
        put_u32(w, key, value);
}

/* Sizes of heads; with latent attention those of what is cached, and besides those of heads. */
static void put_heads(key_writer *w, const lp_hparams *hp)
{
    const bool latent = hp->n_kv_latent > 0;
    put_u32(w, "attention.head_count", hp->n_head);
    put_u32(w, "attention.head_count_kv", hp->n_head_kv);
    put_u32(w, "attention.key_length", latent ? hp->n_kv_latent + hp->rope.n_rotated : hp->head_k);
    put_u32(w, "attention.value_length", latent ? hp->n_kv_latent : hp->head_v);
    if (!latent)
        return;
    put_u32(w, "attention.kv_lora_rank", hp->n_kv_latent);
    put_u32_unless(w, "attention.q_lora_rank", hp->n_q_latent, 0);
    put_u32(w, "attention.key_length_mla", hp->head_k);
    put_u32(w, "attention.value_length_mla", hp->head_v);
}

/* The scale of scores that needs no key. */
static float usual_scale(const lp_hparams *hp, const lp_arch *arch)
{
    const bool by_layers = arch->full_scale_layers > 0 && hp->n_layer == arch->full_scale_layers;
    if (arch->unscaled)
        return 1;
    float scale =
        (float)(1 / sqrt(by_layers ? (double)hp->n_embd / hp->n_head : (double)hp->head_k));
    if (hp->n_kv_latent > 0 && hp->rope.scaling == LP_ROPE_SCALING_YARN)
        scale *= (float)pow(lp_yarn_magnitude(&hp->rope, (double)hp->rope.mscale_all), 2);
    return scale;
}

/* Which layers have the window, if not those that the row says: all but every n-th. */
static void put_window(key_writer *w, const lp_hparams *hp, const lp_arch *arch)
{
    put_u32_unless(w, "attention.sliding_window", hp->window, 0);
    if (hp->window == 0 || arch->window_every == 0)
        return;
    for (uint32_t every = arch->window_every, n = 0; n <= hp->n_layer; every = ++n) {
        uint32_t i = 0;
        while (i < hp->n_layer &&
               lp_layer_has_window(arch, every, i) == ((hp->layers[i] & LP_LAYER_WINDOW) != 0))
            i++;
        if (i < hp->n_layer)
            continue;
        put_u32_unless(w, "attention.sliding_window_pattern", every, arch->window_every);
        return;
    }
}

static void put_attention(key_writer *w, const lp_hparams *hp, const lp_arch *arch)
{
    put_heads(w, hp);
    put_f32(w,
            arch->norm == LP_NORM_RMS ? "attention.layer_norm_rms_epsilon"
                                      : "attention.layer_norm_epsilon",
            hp->norm_eps);
    put_window(w, hp, arch);
    put_f32_unless(w, "attention.scale", hp->attn_scale, usual_scale(hp, arch));
    put_f32_unless(w, "attention.clamp_kqv", hp->clamp_qkv, 0);
    put_f32_unless(w, "attn_logit_softcapping", hp->attn_softcap, 0);
    put_f32_unless(w, "final_logit_softcapping", hp->logit_softcap, 0);
    if (hp->position == LP_POSITION_ALIBI)
        put_f32(w, "attention.max_alibi_bias", hp->alibi_max);
}

/* Factors of embeddings, parts and logits. */
static void put_scales(key_writer *w, const lp_hparams *hp, const lp_arch *arch)
{
    float usual = arch->embed_scaled ? (float)sqrt((double)hp->n_embd) : 1;
    put_f32_unless(w, "embedding_scale", hp->embed_scale, usual);
    put_f32_unless(w, "residual_scale", hp->part_scale, 1);
    if (!arch->head_scaled)
        put_f32_unless(w, "logit_scale",
                       arch->logits_divided ? 1 / hp->logit_scale : hp->logit_scale, 1);
}

static void put_yarn(key_writer *w, const lp_rope_hparams *rope)
{
    put_u32(w, "rope.scaling.original_context_length", rope->original_context);
    put_f32(w, "rope.scaling.yarn_beta_fast", rope->beta_fast);
    put_f32(w, "rope.scaling.yarn_beta_slow", rope->beta_slow);
    put_f32_unless(w, "rope.scaling.yarn_log_multiplier", rope->mscale_all / 10, 0);
}

static void put_rope(key_writer *w, const lp_hparams *hp, const lp_arch *arch)
{
    const lp_rope_hparams *rope = &hp->rope;
    put_u32(w, "rope.dimension_count", rope->n_rotated);
    put_f32(w, "rope.freq_base", rope->base);
    if (arch->window_rope_base != 0)
        put_f32_unless(w, "rope.freq_base_swa", hp->rope_window.base, arch->window_rope_base);
    static const char *const names[] = {[LP_ROPE_SCALING_LINEAR] = "linear",
                                        [LP_ROPE_SCALING_YARN] = "yarn",
                                        [LP_ROPE_SCALING_LONGROPE] = "longrope"};
    if (rope->scaling >= sizeof names / sizeof names[0] || names[rope->scaling] == NULL)
        return;
    lp_gguf_put_string(w->file, full_key(w, "rope.scaling.type"), names[rope->scaling]);
    if (rope->scaling != LP_ROPE_SCALING_LONGROPE) {
        put_f32(w, "rope.scaling.factor", rope->factor);
    } else { /* its divisors are tensors */
        put_u32(w, "rope.scaling.original_context_length", rope->original_context);
        put_f32(w, "rope.scaling.attn_factor", rope->attention_factor);
    }
    if (rope->scaling == LP_ROPE_SCALING_YARN)
        put_yarn(w, rope);
}

/* Layers before the first that has experts, if all after it have them in turn: every n-th. */
static uint32_t first_experts(const lp_hparams *hp, const lp_weights *weights)
{
    char name[64];
    uint32_t layer = 0;
    while (layer < hp->n_layer) {
        snprintf(name, sizeof name, "blk.%u.ffn_gate_inp.weight", layer);
        if (lp_weights_find(weights, name))
            break;
        layer++;
    }
    return layer;
}

static void put_experts(key_writer *w, const lp_hparams *hp, const lp_arch *arch,
                        const lp_weights *weights)
{
    const lp_route_options *route = &hp->route, *usual = &arch->route;
    static const uint32_t scores[] = {
        [LP_ROUTE_SOFTMAX] = 1, [LP_ROUTE_SIGMOID] = 2, [LP_ROUTE_CHOSEN] = 3};
    put_u32(w, "expert_count", hp->n_expert);
    put_u32(w, "expert_used_count", (uint32_t)route->k);
    put_u32(w, "expert_feed_forward_length", hp->n_ff_expert);
    if (arch->latent) {
        put_u32(w, "leading_dense_block_count", first_experts(hp, weights));
        put_u32(w, "expert_shared_count", hp->n_ff_shared / hp->n_ff_expert);
    } else if (arch->route_first) {
        put_u32(w, "interleave_moe_layer_step", first_experts(hp, weights) + 1);
    } else {
        put_u32_unless(w, "expert_shared_feed_forward_length", hp->n_ff_shared, 0);
    }
    if (arch->latent || route->normalise != usual->normalise)
        lp_gguf_put_bool(w->file, full_key(w, "expert_weights_norm"), route->normalise);
    put_f32_unless(w, "expert_weights_scale", route->scale, arch->latent ? 0 : usual->scale);
    if (arch->latent || route->score != usual->score)
        put_u32(w, "expert_gating_func", scores[route->score]);
    if (route->n_groups > 1) {
        put_u32(w, "expert_group_count", (uint32_t)route->n_groups);
        put_u32(w, "expert_group_used_count", (uint32_t)route->n_groups_used);
    }
}

/* What the file's reader must find. */
static lp_hparams as_in_gguf(const lp_hparams *hp, const lp_arch *arch)
{
    lp_hparams wanted = *hp;
    wanted.position_offset = arch->position_offset; /* without the rows before it */
    lp_rope_hparams *const ropes[] = {&wanted.rope, &wanted.rope_window};
    for (int i = 0; i < 2 && hp->position == LP_POSITION_ROPE; i++) {
        ropes[i]->pairing = arch->gguf_halves ? LP_ROPE_HALVES : LP_ROPE_ADJACENT;
        if (ropes[i]->scaling != LP_ROPE_SCALING_LONGROPE &&
            ropes[i]->scaling != LP_ROPE_SCALING_YARN)
            ropes[i]->original_context = hp->n_context; /* says nothing */
        if (ropes[i]->scaling == LP_ROPE_SCALING_LLAMA3 ||
            ropes[i]->scaling == LP_ROPE_SCALING_LONGROPE)
            ropes[i]->scaling = LP_ROPE_SCALING_NONE; /* tensors say it */
    }
    return wanted;
}

/* What is left of a number that was divided by ten and multiplied again. */
static void forgive_rounding(float a, float *b)
{
    if (fabs((double)a - (double)*b) <= 1e-6 * fabs((double)a))
        *b = a;
}

/* Without scaling its numbers say nothing. */
static bool same_rope(const lp_rope_hparams *a, const lp_rope_hparams *b)
{
    if (a->scaling != LP_ROPE_SCALING_NONE)
        return memcmp(a, b, sizeof *a) == 0;
    return b->scaling == LP_ROPE_SCALING_NONE && a->pairing == b->pairing &&
           a->n_rotated == b->n_rotated && a->base == b->base &&
           a->attention_factor == b->attention_factor && a->original_context == b->original_context;
}

/* The first thing in which they differ, or NULL. `b` is changed where a difference says nothing. */
static const char *difference(const lp_hparams *a, lp_hparams *b)
{
    b->arch = a->arch;
    b->tied = a->tied;         /* the tensors tell */
    b->head_act = a->head_act; /* such heads are not written */
    if (a->n_expert == 0)
        b->route = a->route;
    b->n_layer_unused = a->n_layer_unused; /* not written */
    if (a->rope.mscale_all != 0) {
        forgive_rounding(a->rope.mscale, &b->rope.mscale);
        forgive_rounding(a->rope.mscale_all, &b->rope.mscale_all);
        forgive_rounding(a->rope.mscale, &b->rope_window.mscale);
        forgive_rounding(a->rope.mscale_all, &b->rope_window.mscale_all);
        forgive_rounding(a->attn_scale, &b->attn_scale);
    }
    if (a->position == LP_POSITION_ROPE && same_rope(&a->rope, &b->rope) &&
        same_rope(&a->rope_window, &b->rope_window)) {
        b->rope = a->rope;
        b->rope_window = a->rope_window;
    }
#define FIELD(name)                                                                                \
    {                                                                                              \
#name, offsetof(lp_hparams, name), sizeof a->name                                          \
    }
    static const struct {
        const char *name;
        size_t offset, bytes;
    } fields[] = {
        FIELD(n_vocab),
        FIELD(n_context),
        FIELD(n_embd),
        FIELD(n_layer),
        FIELD(n_ff),
        FIELD(n_embd_token),
        FIELD(encoder),
        FIELD(n_bucket),
        FIELD(max_distance),
        FIELD(n_head),
        FIELD(n_head_kv),
        FIELD(head_k),
        FIELD(head_v),
        FIELD(n_kv_latent),
        FIELD(n_q_latent),
        FIELD(n_expert),
        FIELD(n_ff_expert),
        FIELD(n_ff_shared),
        FIELD(route),
        FIELD(norms),
        FIELD(norm_plain),
        FIELD(norm_eps),
        FIELD(position),
        FIELD(act),
        FIELD(glu_limit),
        FIELD(parallel),
        FIELD(residual_normed),
        FIELD(attn_scale),
        FIELD(window),
        FIELD(embed_scale),
        FIELD(attn_softcap),
        FIELD(logit_softcap),
        FIELD(clamp_qkv),
        FIELD(alibi_max),
        FIELD(part_scale),
        FIELD(logit_scale),
        FIELD(rope),
        FIELD(rope_window),
        FIELD(sparse_stride),
        FIELD(q_growth),
        FIELD(q_growth_step),
        FIELD(layers),
        {"something else", 0, sizeof *a}, /* a field that is not listed here */
    };
#undef FIELD
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (memcmp((const char *)a + fields[i].offset, (const char *)b + fields[i].offset,
                   fields[i].bytes) != 0)
            return fields[i].name;
    return NULL;
}

static lp_status read_again(lp_context *ctx, const char *where, const lp_hparams *wanted,
                            const lp_arch *arch, const lp_weights *weights, lp_gguf_writer *writer)
{
    uint8_t *data = NULL;
    size_t bytes;
    lp_gguf *gguf = NULL;
    lp_weights *none = lp_weights_create();
    lp_hparams *found = malloc(sizeof *found);
    lp_status status = none && found ? LP_OK : lp_fail_memory(ctx, where);
    if (status == LP_OK)
        status = lp_gguf_metadata(writer, &data, &bytes);
    if (status == LP_OK)
        status = lp_gguf_parse(ctx, where, data, bytes, none, &gguf);
    if (status == LP_OK)
        status = lp_hparams_from_gguf(ctx, where, gguf, weights, found);
    if (status == LP_OK) {
        const char *name = difference(wanted, found);
        if (name)
            status = lp_fail(ctx, LP_E_UNSUPPORTED,
                             "%s: a GGUF file of the architecture %s cannot say what %s is here",
                             where, arch->gguf, name);
    }
    lp_gguf_destroy(gguf);
    lp_weights_destroy(none);
    free(found);
    free(data);
    return status;
}

lp_status lp_hparams_to_gguf(lp_context *ctx, const char *where, const lp_hparams *hp,
                             const lp_arch *arch, const lp_weights *weights, lp_gguf_writer *writer)
{
    key_writer w = {.file = writer, .arch = arch->gguf};
    lp_gguf_put_string(writer, "general.architecture", arch->gguf);
    put_u32(&w, "vocab_size", hp->n_vocab);
    put_u32(&w, "context_length", hp->n_context);
    put_u32(&w, "embedding_length", hp->n_embd);
    put_u32(&w, "block_count", arch->has_encoder ? hp->encoder.n_layer : hp->n_layer);
    if (arch->has_encoder)
        put_u32(&w, "decoder_block_count", hp->n_layer);
    if (hp->position == LP_POSITION_RELATIVE)
        put_u32(&w, "attention.relative_buckets_count", hp->n_bucket);
    put_u32(&w, "feed_forward_length", hp->n_ff);
    put_attention(&w, hp, arch);
    put_scales(&w, hp, arch);
    if (hp->position == LP_POSITION_ROPE)
        put_rope(&w, hp, arch);
    if (arch->parallel || hp->parallel)
        lp_gguf_put_bool(writer, full_key(&w, "use_parallel_residual"), hp->parallel);
    if (arch->encoder_only) {
        lp_gguf_put_bool(writer, full_key(&w, "attention.causal"), false);
        lp_gguf_put_u32(writer, "tokenizer.ggml.token_type_count",
                        hp->n_types > 0 ? hp->n_types : 1); /* llama.cpp wants one */
    }
    if (hp->n_expert > 0)
        put_experts(&w, hp, arch, weights);
    lp_hparams *wanted = malloc(sizeof *wanted);
    if (!wanted)
        return lp_fail_memory(ctx, where);
    *wanted = as_in_gguf(hp, arch);
    lp_status status = read_again(ctx, where, wanted, arch, weights, writer);
    free(wanted);
    return status;
}
