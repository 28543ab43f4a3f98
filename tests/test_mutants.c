/* Are the model fixtures strong enough? Every mechanism is broken once, and the logits must move by
 * more than ten times what test_models.c tolerates. Graphs are plain data, so a mutant is the
 * reference running a graph with one thing changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/model_fixtures.h"
#include "support/model_files.h"
#include "support/model_run.h"

#define N_TOKENS  40
#define N_CTX     48
#define MUST_MOVE 1e-9 /* ten times the gate for fp32 */

/* ---- Mutants of all nodes of a kind; each returns whether the node was its business. ---- */

static bool swap_rope_pairing(lp_node *n)
{
    if (n->op != LP_OP_ROPE)
        return false;
    n->p.rope.pairing = n->p.rope.pairing == LP_ROPE_HALVES ? LP_ROPE_ADJACENT : LP_ROPE_HALVES;
    return true;
}

static bool eps_times_100(lp_node *n)
{
    if (n->op != LP_OP_NORM || n->p.norm.kind == LP_NORM_SOFTMAX)
        return false;
    n->p.norm.eps *= n->p.norm.eps < 1e-9f ? 1e9f : 100; /* BERT's: next to nothing */
    return true;
}

static bool other_norm(lp_node *n)
{
    if (n->op != LP_OP_NORM || n->p.norm.kind == LP_NORM_SOFTMAX)
        return false;
    n->p.norm.kind = n->p.norm.kind == LP_NORM_RMS ? LP_NORM_LAYER : LP_NORM_RMS;
    return true;
}

static bool change_act(lp_node *n, lp_act_kind from, lp_act_kind to)
{
    if (n->op == LP_OP_LINEAR && n->p.linear.act == from) {
        n->p.linear.act = to;
        return true;
    }
    if (n->op == LP_OP_ACT && n->p.act.act == from) {
        n->p.act.act = to;
        return true;
    }
    return false;
}

static bool gelu_erf(lp_node *n)
{
    return change_act(n, LP_ACT_GELU_TANH, LP_ACT_GELU_ERF);
}

static bool gelu_tanh(lp_node *n)
{
    return change_act(n, LP_ACT_GELU_ERF, LP_ACT_GELU_TANH);
}

static bool gelu_quick(lp_node *n)
{
    return change_act(n, LP_ACT_GELU_TANH, LP_ACT_GELU_QUICK);
}

static bool silu_to_gelu_quick(lp_node *n)
{
    return change_act(n, LP_ACT_SILU, LP_ACT_GELU_QUICK);
}

static bool silu_to_relu(lp_node *n)
{
    return change_act(n, LP_ACT_SILU, LP_ACT_RELU);
}

static bool shift_mask(lp_node *n, int shift)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.mask == LP_MASK_FULL)
        return false;
    n->p.attention.mask_shift = shift;
    return true;
}

static bool mask_later(lp_node *n)
{
    return shift_mask(n, 1);
}

static bool mask_earlier(lp_node *n)
{
    return shift_mask(n, -1);
}

static bool mask_causal(lp_node *n)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.mask != LP_MASK_FULL)
        return false;
    n->p.attention.mask = LP_MASK_CAUSAL;
    return true;
}

static bool scale_attention(lp_node *n)
{
    if (n->op != LP_OP_ATTENTION)
        return false;
    n->p.attention.scale *= 1.1f;
    return true;
}

static bool change_window(lp_node *n, int by)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.window == 0)
        return false;
    if (n->p.attention.mask == LP_MASK_FULL) /* half of it on each side */
        by *= 2;
    n->p.attention.window = by == 0 ? 0 : n->p.attention.window + by;
    return true;
}

static bool window_off(lp_node *n)
{
    return change_window(n, 0);
}

static bool window_longer(lp_node *n)
{
    return change_window(n, 1);
}

static bool window_shorter(lp_node *n)
{
    return change_window(n, -1);
}

static bool scale_embedding(lp_node *n)
{
    if (n->op != LP_OP_EMBED || n->src[2] == LP_NONE)
        return false;
    n->p.embed.scale *= 1.1f;
    return true;
}

static bool drop_factor(lp_node *n)
{
    if (n->op != LP_OP_ACT || n->p.act.act != LP_ACT_NONE)
        return false;
    n->p.act.out = 1;
    return true;
}

static bool change_stride(lp_node *n)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.stride == 0)
        return false;
    n->p.attention.stride++;
    return true;
}

static bool drop_summary(lp_node *n)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.mask != LP_MASK_FIXED)
        return false;
    n->p.attention.summary = 0;
    return true;
}

static bool no_softmax(lp_node *n)
{
    if (n->op != LP_OP_NORM || n->p.norm.kind != LP_NORM_SOFTMAX)
        return false;
    n->p.norm.kind = LP_NORM_RMS;
    return true;
}

static bool drop_positions(lp_node *n)
{
    if (n->op != LP_OP_EMBED || n->src[2] != LP_NONE)
        return false;
    n->p.embed.scale = 0;
    return true;
}

static bool other_score(lp_node *n)
{
    if (n->op != LP_OP_ROUTE)
        return false;
    n->p.route.score = n->p.route.score == LP_ROUTE_CHOSEN    ? LP_ROUTE_SOFTMAX
                       : n->p.route.score == LP_ROUTE_SOFTMAX ? LP_ROUTE_SIGMOID
                                                              : LP_ROUTE_CHOSEN;
    return true;
}

static bool positions_later(lp_node *n)
{
    if (n->op != LP_OP_EMBED || n->src[2] != LP_NONE)
        return false;
    n->p.embed.first++;
    return true;
}

typedef struct mutant {
    const char *what;
    bool (*apply)(lp_node *node);
} mutant;

static const mutant mutants[] = {
    {"RoPE pairing swapped", swap_rope_pairing},
    {"eps times 100", eps_times_100},
    {"layer norm for RMS norm or the reverse", other_norm},
    {"GELU by erf", gelu_erf},
    {"GELU by tanh", gelu_tanh},
    {"quick GELU", gelu_quick},
    {"quick GELU for SiLU", silu_to_gelu_quick},
    {"ReLU for SiLU", silu_to_relu},
    {"mask one later", mask_later},
    {"mask one earlier", mask_earlier},
    {"causal mask for all keys", mask_causal},
    {"attention scale times 1.1", scale_attention},
    {"sliding window off", window_off},
    {"sliding window one longer", window_longer},
    {"sliding window one shorter", window_shorter},
    {"embedding times 1.1", scale_embedding},
    {"position embeddings dropped", drop_positions},
    {"other scores of experts", other_score},
    {"factor of the residuals dropped", drop_factor},
    {"stride of sparse attention one more", change_stride},
    {"summary of fixed attention dropped", drop_summary},
    {"RMS norm for softmax", no_softmax},
    {"position embeddings one later", positions_later},
};
#define N_MUTANTS (sizeof mutants / sizeof mutants[0])

static void mutate_all(lp_graph *graph, const void *user)
{
    const mutant *m = user;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        m->apply(&graph->nodes[i]);
}

/* ---- Mutants of one node: a source that may be missing goes missing. ---- */

typedef struct dropped {
    uint32_t node;
    int src;
} dropped;

static bool can_drop(const lp_node *node, int src)
{
    static const struct {
        lp_op op;
        int src;
    } optional[] = {{LP_OP_NORM, 1},      {LP_OP_NORM, 2},     {LP_OP_LINEAR, 2},
                    {LP_OP_LINEAR, 3},    {LP_OP_LINEAR, 4},   {LP_OP_LINEAR, 5},
                    {LP_OP_RECURRENCE, 2},
                    {LP_OP_ATTENTION, 4}, {LP_OP_ATTENTION, 5}};
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++)
        if (optional[i].op == node->op && optional[i].src == src && node->src[src] != LP_NONE)
            return true;
    return false;
}

/* One vector added to all keys adds the same to all scores of a query, unless they are turned; the
 * pooler makes no logits (test_models.c looks at what it makes). */
static bool cancels(const lp_network *network, const lp_graph *graph, lp_tensor_id source)
{
    if (strncmp(graph->tensors[source].name, "pooler", 6) == 0)
        return true;
    return network->hparams.position != LP_POSITION_ROPE &&
           strstr(graph->tensors[source].name, "attn_k.bias") != NULL;
}

static void mutate_drop(lp_graph *graph, const void *user)
{
    const dropped *d = user;
    graph->nodes[d->node].src[d->src] = LP_NONE;
}

/* ---- */

static const int32_t whole[] = {N_TOKENS, 0};
static const model_run plain = {.chunks = whole};

typedef struct subject {
    const char *path;
    lp_network *network;
    expected e;
    float *logits;
} subject;

static void subject_open(subject *s, const char *path)
{
    lp_context ctx = {0};
    char *logits = test_path(path, "expected.safetensors");
    s->path = path;
    if (lp_network_open(&ctx, path, &s->network) != LP_OK)
        fail_msg("%s", ctx.message);
    s->e = expected_open(logits);
    assert_int_equal(s->e.n_tokens, N_TOKENS);
    s->logits = malloc((size_t)N_TOKENS * (size_t)s->e.n_vocab * sizeof *s->logits);
    assert_non_null(s->logits);
    free(logits);
}

static void subject_close(subject *s)
{
    free(s->logits);
    expected_close(&s->e);
    lp_network_destroy(s->network);
}

static void must_move(subject *s, const lp_network *network, const model_run *run, const char *what)
{
    model_session *session = model_session_create(network, "reference", LP_F32, N_CTX);
    model_run with_types = *run;
    with_types.types = s->e.types;
    model_session_run(session, &with_types, s->e.tokens, s->logits);
    model_session_destroy(session);
    double moved = nmse(s->e.logits, s->logits, (size_t)N_TOKENS * (size_t)s->e.n_vocab);
    print_message("%9.1e  %s: %s\n", moved, strrchr(s->path, '/') + 1, what);
    if (!(moved > MUST_MOVE))
        fail_msg("%s: the fixture does not notice: %s (NMSE %.2e)", s->path, what, moved);
}

static lp_graph *build(const subject *s, lp_store *store)
{
    lp_context ctx = {0};
    lp_graph *graph = NULL;
    lp_network_options options = {.n_tokens = N_TOKENS,
                                  .n_ctx = N_CTX,
                                  .kv_dtype = LP_F32,
                                  .outputs = LP_OUTPUTS_ALL,
                                  .hidden = s->network->hparams.arch->encoder_only};
    if (lp_network_graph(&ctx, s->network, store, &options, &graph) != LP_OK)
        fail_msg("%s", ctx.message);
    return graph;
}

static void test_mechanisms(void **state)
{
    (void)state;
    unsigned applied[N_MUTANTS] = {0};
    for (size_t f = 0; f < n_model_fixtures; f++) {
        if (!model_fixtures[f].mutants)
            continue;
        subject s;
        subject_open(&s, model_fixtures[f].folder);
        for (size_t m = 0; m < N_MUTANTS; m++) {
            lp_store store = {0};
            lp_graph *graph = build(&s, &store);
            bool applies = false;
            for (uint32_t i = 0; i < graph->n_nodes; i++)
                applies |= mutants[m].apply(&graph->nodes[i]);
            lp_graph_destroy(graph);
            lp_store_destroy(&store);
            /* a norm of the embeddings takes their scale away */
            bool normed = s.network->hparams.norms & LP_NORMS_EMBD;
            if (!applies || (normed && mutants[m].apply == scale_embedding))
                continue;
            model_run run = plain;
            run.mutate = mutate_all;
            run.user = &mutants[m];
            must_move(&s, s.network, &run, mutants[m].what);
            applied[m]++;
        }
        subject_close(&s);
    }
    for (size_t m = 0; m < N_MUTANTS; m++)
        if (applied[m] == 0)
            fail_msg("no fixture has what this mutant breaks: %s", mutants[m].what);
}

static void test_dropped_sources(void **state)
{
    (void)state;
    for (size_t f = 0; f < n_model_fixtures; f++) {
        if (!model_fixtures[f].mutants)
            continue;
        subject s;
        subject_open(&s, model_fixtures[f].folder);
        lp_store store = {0};
        lp_graph *graph = build(&s, &store);
        unsigned n = 0;
        for (uint32_t i = 0; i < graph->n_nodes; i++) {
            for (int src = 0; src < LP_MAX_SRC; src++) {
                if (!can_drop(&graph->nodes[i], src) ||
                    cancels(s.network, graph, graph->nodes[i].src[src]))
                    continue;
                dropped d = {i, src};
                model_run run = plain;
                run.mutate = mutate_drop;
                run.user = &d;
                char what[300];
                snprintf(what, sizeof what, "%s without %s", graph->nodes[i].name,
                         graph->tensors[graph->nodes[i].src[src]].name);
                must_move(&s, s.network, &run, what);
                n++;
            }
        }
        /* per layer at least two residuals; Galactica has no gains and no biases */
        assert_true(n >= 2 * s.network->hparams.n_layer);
        lp_graph_destroy(graph);
        lp_store_destroy(&store);
        subject_close(&s);
    }
}

/* What is decided before there is a graph. */
static void test_hyperparameters(void **state)
{
    (void)state;
    unsigned scaled = 0;
    for (size_t f = 0; f < n_model_fixtures; f++) {
        if (!model_fixtures[f].mutants)
            continue;
        subject s;
        subject_open(&s, model_fixtures[f].folder);
        if (s.network->hparams.position == LP_POSITION_ROPE) {
            lp_network changed = *s.network;
            changed.hparams.rope.base *= 1.5f;
            changed.hparams.rope_window.base *= 1.5f;
            must_move(&s, &changed, &plain, "base of RoPE times 1.5");
            if (s.network->hparams.n_kv_latent == 0) { /* else it is also a size of weights */
                changed = *s.network;
                changed.hparams.rope.n_rotated -= 2;
                changed.hparams.rope_window.n_rotated -= 2;
                must_move(&s, &changed, &plain, "RoPE on two elements less");
            }
        }
        if (s.network->hparams.position == LP_POSITION_ALIBI) {
            lp_network changed = *s.network;
            changed.hparams.alibi_max *= 1.1f;
            must_move(&s, &changed, &plain, "slopes of ALiBi");
        }
        if (s.network->hparams.rope.scaling == LP_ROPE_SCALING_LLAMA3) {
            lp_network changed = *s.network;
            changed.hparams.rope.scaling = LP_ROPE_SCALING_NONE;
            must_move(&s, &changed, &plain, "RoPE scaling off");
            changed = *s.network;
            changed.hparams.rope.scaling = LP_ROPE_SCALING_LINEAR;
            must_move(&s, &changed, &plain, "RoPE scaling linear");
            changed = *s.network;
            changed.hparams.rope.high_freq_factor *= 1.1f;
            must_move(&s, &changed, &plain, "high_freq_factor times 1.1");
            changed = *s.network;
            changed.hparams.rope.low_freq_factor *= 1.1f;
            must_move(&s, &changed, &plain, "low_freq_factor times 1.1");
            scaled++;
        }
        subject_close(&s);
    }
    assert_int_equal(scaled, 2);

    /* GGUF: the divisors are a tensor */
    subject s;
    subject_open(&s, FIXTURE("llama3"));
    lp_network_destroy(s.network);
    lp_context ctx = {0};
    assert_int_equal(lp_network_open(&ctx, FIXTURE("llama3.gguf"), &s.network), LP_OK);
    for (size_t i = 0; i < lp_weights_count(s.network->weights); i++)
        if (strcmp(lp_weights_at(s.network->weights, i)->name, "rope_freqs.weight") == 0)
            assert_int_equal(lp_weights_rename(&ctx, s.network->weights, i, "lost"), LP_OK);
    must_move(&s, s.network, &plain, "rope_freqs.weight dropped");
    subject_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mechanisms),
        cmocka_unit_test(test_dropped_sources),
        cmocka_unit_test(test_hyperparameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
