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

static void put_attention(key_writer *w, const lp_hparams *hp, const lp_arch *arch)
{
    put_u32(w, "attention.head_count", hp->n_head);
    put_u32(w, "attention.head_count_kv", hp->n_head_kv);
    put_u32(w, "attention.key_length", hp->head_k);
    put_u32(w, "attention.value_length", hp->head_v);
    put_f32(w,
            arch->norm == LP_NORM_RMS ? "attention.layer_norm_rms_epsilon"
                                      : "attention.layer_norm_epsilon",
            hp->norm_eps);
    put_u32_unless(w, "attention.sliding_window", hp->window, 0);
    bool by_layers = arch->full_scale_layers > 0 && hp->n_layer == arch->full_scale_layers;
    double usual = 1 / sqrt(by_layers ? (double)hp->n_embd / hp->n_head : (double)hp->head_k);
    put_f32_unless(w, "attention.scale", hp->attn_scale, arch->unscaled ? 1 : (float)usual);
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
    put_f32_unless(w, "logit_scale", arch->logits_divided ? 1 / hp->logit_scale : hp->logit_scale,
                   1);
}

static void put_rope(key_writer *w, const lp_rope_hparams *rope)
{
    put_u32(w, "rope.dimension_count", rope->n_rotated);
    put_f32(w, "rope.freq_base", rope->base);
    const bool yarn = rope->scaling == LP_ROPE_SCALING_YARN;
    if (!yarn && rope->scaling != LP_ROPE_SCALING_LINEAR)
        return;
    lp_gguf_put_string(w->file, full_key(w, "rope.scaling.type"), yarn ? "yarn" : "linear");
    put_f32(w, "rope.scaling.factor", rope->factor);
    if (!yarn)
        return;
    put_u32(w, "rope.scaling.original_context_length", rope->original_context);
    put_f32(w, "rope.scaling.yarn_beta_fast", rope->beta_fast);
    put_f32(w, "rope.scaling.yarn_beta_slow", rope->beta_slow);
}

/* What the file's reader must find. */
static lp_hparams as_in_gguf(const lp_hparams *hp, const lp_arch *arch)
{
    lp_hparams wanted = *hp;
    lp_rope_hparams *const ropes[] = {&wanted.rope, &wanted.rope_window};
    for (int i = 0; i < 2 && hp->position == LP_POSITION_ROPE; i++) {
        ropes[i]->pairing = arch->gguf_halves ? LP_ROPE_HALVES : LP_ROPE_ADJACENT;
        if (ropes[i]->scaling == LP_ROPE_SCALING_LLAMA3)
            ropes[i]->scaling = LP_ROPE_SCALING_NONE; /* rope_freqs.weight says it */
    }
    return wanted;
}

/* Without scaling its numbers say nothing. */
static bool same_rope(const lp_rope_hparams *a, const lp_rope_hparams *b)
{
    if (a->scaling != LP_ROPE_SCALING_NONE)
        return memcmp(a, b, sizeof *a) == 0;
    return b->scaling == LP_ROPE_SCALING_NONE && a->pairing == b->pairing &&
           a->n_rotated == b->n_rotated && a->base == b->base;
}

/* The first thing in which they differ, or NULL. `b` is changed where a difference says nothing. */
static const char *difference(const lp_hparams *a, lp_hparams *b)
{
    b->arch = a->arch;
    b->tied = a->tied; /* the tensors tell */
    if (!a->both_ways)
        b->head_act = a->head_act; /* of encoders only */
    if (a->n_expert == 0)
        b->route = a->route;
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
    put_u32(&w, "block_count", hp->n_layer);
    put_u32(&w, "feed_forward_length", hp->n_ff);
    put_attention(&w, hp, arch);
    put_scales(&w, hp, arch);
    if (hp->position == LP_POSITION_ROPE)
        put_rope(&w, &hp->rope);
    if (arch->parallel || hp->parallel)
        lp_gguf_put_bool(writer, full_key(&w, "use_parallel_residual"), hp->parallel);
    if (hp->n_expert > 0) {
        put_u32(&w, "expert_count", hp->n_expert);
        put_u32(&w, "expert_used_count", (uint32_t)hp->route.k);
        put_u32_unless(&w, "expert_feed_forward_length", hp->n_ff_expert, hp->n_ff);
        put_u32_unless(&w, "expert_shared_feed_forward_length", hp->n_ff_shared, 0);
    }
    lp_hparams *wanted = malloc(sizeof *wanted);
    if (!wanted)
        return lp_fail_memory(ctx, where);
    *wanted = as_in_gguf(hp, arch);
    lp_status status = read_again(ctx, where, wanted, arch, weights, writer);
    free(wanted);
    return status;
}
