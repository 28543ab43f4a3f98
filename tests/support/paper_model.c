/* Models without weights: see paper_model.h. */
#include "support/paper_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/synth.h"

typedef struct paper {
    lp_context *ctx;
    lp_network *network;
    lp_dtype type;
    char block[16]; /* "blk.3." or "": put before the names */
    lp_status status;
} paper;

static void add(paper *p, const char *name, const char *suffix, lp_dtype type, lp_shape shape)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s.%s", p->block, name, suffix);
    const int64_t bytes = lp_dtype_file_bytes(type, shape);
    const lp_weight weight = {
        .name = full, .dtype = type, .shape = shape, .bytes = bytes > 0 ? (uint64_t)bytes : 0};
    if (p->status == LP_OK)
        p->status = bytes > 0 ? lp_weights_add(p->ctx, p->network->weights, &weight)
                              : lp_fail(p->ctx, LP_E_SHAPE, "%s: not whole blocks", full);
}

/* [rows, columns], and where the architecture has biases one of [rows]. */
static void add_linear(paper *p, const char *name, uint32_t rows, uint32_t columns)
{
    add(p, name, "weight", p->type, LP_SHAPE2(rows, columns));
    if (p->network->hparams.arch->norm == LP_NORM_LAYER)
        add(p, name, "bias", LP_F32, LP_SHAPE1(rows));
}

static void add_norm(paper *p, const char *name)
{
    const lp_hparams *hp = &p->network->hparams;
    add(p, name, "weight", LP_F32, LP_SHAPE1(hp->n_embd));
    if (hp->arch->norm == LP_NORM_LAYER)
        add(p, name, "bias", LP_F32, LP_SHAPE1(hp->n_embd));
}

static void add_weights(paper *p)
{
    const lp_hparams *hp = &p->network->hparams;
    const uint32_t d = hp->n_embd, q = hp->n_head * hp->head_k;
    const uint32_t k = hp->n_head_kv * hp->head_k, v = hp->n_head_kv * hp->head_v;
    add(p, "token_embd", "weight", p->type, LP_SHAPE2(hp->n_vocab, d));
    if (hp->position == LP_POSITION_LEARNED)
        add(p, "position_embd", "weight", LP_F32, LP_SHAPE2(hp->n_context, d));
    add_norm(p, "output_norm");
    if (!hp->tied)
        add(p, "output", "weight", p->type, LP_SHAPE2(hp->n_vocab, d));
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        snprintf(p->block, sizeof p->block, "blk.%u.", i);
        add_norm(p, "attn_norm");
        if (strcmp(hp->arch->hf, "gpt2") == 0) {
            add_linear(p, "attn_qkv", q + k + v, d);
        } else {
            add_linear(p, "attn_q", q, d);
            add_linear(p, "attn_k", k, d);
            add_linear(p, "attn_v", v, d);
        }
        add_linear(p, "attn_output", d, hp->n_head * hp->head_v);
        add_norm(p, "ffn_norm");
        if (hp->arch->gated)
            add_linear(p, "ffn_gate", hp->n_ff, d);
        add_linear(p, "ffn_up", hp->n_ff, d);
        add_linear(p, "ffn_down", d, hp->n_ff);
    }
}

static const lp_synth_shape_info *find_shape(const char *name)
{
    for (size_t i = 0; i < lp_synth_shape_count; i++)
        if (strcmp(lp_synth_shapes[i].name, name) == 0)
            return &lp_synth_shapes[i];
    return NULL;
}

bool paper_model_possible(const char *shape, lp_dtype type)
{
    const lp_synth_shape_info *s = find_shape(shape);
    const uint32_t block = lp_dtype_table[type].block;
    return s != NULL && s->dim % block == 0 && s->n_ff % block == 0;
}

static lp_status describe(lp_context *ctx, const char *name, uint32_t n_layer, lp_hparams *hp)
{
    const lp_synth_shape_info *s = find_shape(name);
    if (s == NULL)
        return lp_fail(ctx, LP_E_MISSING, "no shape \"%s\"", name);
    const uint32_t head = s->dim / s->n_head;
    lp_hparams_init(hp, lp_arch_find_gguf(s->arch, strlen(s->arch)));
    hp->n_vocab = s->n_vocab;
    hp->n_context = s->n_context;
    hp->n_embd = s->dim;
    hp->n_layer = n_layer;
    hp->n_ff = s->n_ff;
    hp->n_head = s->n_head;
    hp->n_head_kv = s->n_head_kv;
    hp->head_k = hp->head_v = head;
    hp->norm_eps = 1e-5f;
    hp->tied = s->tied;
    hp->rope.n_rotated = head;
    hp->rope.base = s->rope_base;
    hp->rope.original_context = hp->n_context;
    return lp_hparams_finish(ctx, name, hp);
}

lp_status paper_model_create(lp_context *ctx, const char *shape, lp_dtype type, uint32_t n_layer,
                             lp_network **network)
{
    *network = NULL;
    lp_network *n = calloc(1, sizeof *n);
    if (n == NULL)
        return lp_fail_memory(ctx, shape);
    paper p = {.ctx = ctx, .network = n, .type = type};
    n->path = malloc(strlen(shape) + 1);
    n->weights = lp_weights_create();
    if (n->path == NULL || n->weights == NULL)
        p.status = lp_fail_memory(ctx, shape);
    else
        p.status = describe(ctx, strcpy(n->path, shape), n_layer, &n->hparams);
    if (p.status == LP_OK)
        add_weights(&p);
    if (p.status != LP_OK) {
        lp_network_destroy(n);
        return p.status;
    }
    *network = n;
    return LP_OK;
}
