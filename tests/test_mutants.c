/* Are the model fixtures strong enough? Every mechanism is broken once, and the logits must move by
 * more than ten times what test_models.c tolerates. Graphs are plain data, so a mutant is the
 * reference running a graph with one thing changed. Of an encoder-decoder the encoder's graph and
 * the decoder's are broken one at a time. */
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
#include "support/mutants.h"

#define N_CTX     48
#define GATE      1e-10 /* for fp32 */
#define MUST_MOVE (10 * GATE)

typedef struct mutation {
    bool encoder; /* which graph, of two */
    const mutant *mutant;
} mutation;

static void mutate_all(lp_graph *graph, const void *user)
{
    const mutation *m = user;
    for (uint32_t i = 0; i < graph->n_nodes && mutant_is_other(graph) == m->encoder; i++)
        m->mutant->apply(&graph->nodes[i]);
}

/* ---- Mutants of one node: a source that may be missing goes missing. ---- */

typedef struct dropped {
    bool encoder;
    const char *node;
    int src;
} dropped;

static bool can_drop(const lp_node *node, int src)
{
    static const struct {
        lp_op op;
        int src;
    } optional[] = {{LP_OP_NORM, 1},       {LP_OP_NORM, 2},       {LP_OP_LINEAR, 2},
                    {LP_OP_LINEAR, 3},     {LP_OP_LINEAR, 4},     {LP_OP_LINEAR, 5},
                    {LP_OP_RECURRENCE, 2}, {LP_OP_RECURRENCE, 5}, {LP_OP_GATED, 4},
                    {LP_OP_ROUTE, 1},      {LP_OP_ATTENTION, 4},  {LP_OP_ATTENTION, 5},
                    {LP_OP_ATTENTION, 6}};
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
    for (uint32_t i = 0; i < graph->n_nodes && mutant_is_other(graph) == d->encoder; i++)
        if (strcmp(graph->nodes[i].name, d->node) == 0 && graph->nodes[i].op != LP_OP_KV_WRITE)
            graph->nodes[i].src[d->src] = LP_NONE;
}

/* ---- Mutants that need more than a node. ---- */

/* Gains of which every head has its own: the first head's for all. */
static bool share_gain(lp_graph *graph, const lp_node *node)
{
    if (node->op != LP_OP_NORM || node->src[1] == LP_NONE)
        return false;
    lp_shape *gain = &graph->tensors[node->src[1]].shape;
    if (gain->n != 2)
        return false;
    *gain = LP_SHAPE1(gain->dim[1]);
    return true;
}

static void mutate_gains(lp_graph *graph, const void *user)
{
    (void)user;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        share_gain(graph, &graph->nodes[i]);
}

/* The decoder does not see the source's last token. */
static void mutate_source(lp_graph *graph, const void *user)
{
    enum { GATED_KEYS = 5 };
    const int32_t *n_source = user;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].op == LP_OP_ATTENTION && graph->nodes[i].p.attention.from_source)
            graph->nodes[i].p.attention.kv_max = *n_source - 1;
        else if (graph->nodes[i].op == LP_OP_GATED && graph->nodes[i].src[GATED_KEYS] != LP_NONE)
            graph->tensors[graph->nodes[i].src[GATED_KEYS]].shape.dim[0] = *n_source - 1;
}

/* ---- */

/* All fixtures; NULL behind the last. */
static const char *folder_at(size_t i)
{
    const model_fixture *f = model_fixture_at(i);
    return f != NULL ? f->folder : NULL;
}

static bool has_mutants(size_t i)
{
    return model_fixture_at(i)->mutants;
}

typedef struct subject {
    const char *path;
    int32_t n_ctx;
    lp_network *network;
    expected e;
    float *logits;
    float *patches; /* of a picture; or NULL */
} subject;

static void subject_open(subject *s, const char *path)
{
    lp_context ctx = {0};
    char *logits = test_path(path, "expected.safetensors");
    s->path = path;
    s->n_ctx = N_CTX;
    if (lp_network_open(&ctx, path, &s->network) != LP_OK)
        fail_msg("%s", ctx.message);
    s->e = expected_open(logits);
    assert_in_range(s->e.n_tokens, s->e.pixels ? 0 : 24, N_CTX);
    s->patches = model_patches(s->network, s->e.pixels);
    s->logits = malloc((size_t)s->e.n_rows * (size_t)s->e.n_vocab * sizeof *s->logits);
    assert_non_null(s->logits);
    if (s->e.pixels != NULL || s->network->hparams.arch->whole_causal) /* positions are few */
        s->n_ctx = 28;
    free(logits);
}

static void subject_close(subject *s)
{
    free(s->logits);
    free(s->patches);
    expected_close(&s->e);
    lp_network_destroy(s->network);
}

/* How many graphs it has. */
static int n_parts(const subject *s)
{
    const lp_hparams *hp = &s->network->hparams;
    return hp->encoder.n_layer > 0 || hp->vision.n_layer > 0 ? 2 : 1;
}

/* Which part a graph is of. */
static lp_network_part part_of(const subject *s, bool encoder)
{
    if (!encoder)
        return model_main_part(s->network);
    return s->network->hparams.encoder.n_layer > 0 ? LP_PART_ENCODER : LP_PART_PICTURE;
}

typedef void (*mutate_fn)(lp_graph *graph, const void *user);

/* NMSE of the logits of a mutant; `mutate` may be NULL. */
static double moved_by(subject *s, const lp_network *network, mutate_fn mutate, const void *user)
{
    const int32_t whole[] = {s->e.n_tokens, 0};
    const model_run run = {.chunks = whole,
                           .types = s->e.types,
                           .source = s->e.source,
                           .n_source = s->e.n_source,
                           .patches = s->patches,
                           .retrieval = &s->e,
                           .mutate = mutate,
                           .user = user};
    model_session *session = model_session_create(network, "reference", LP_F32, s->n_ctx);
    model_session_run(session, &run, s->e.tokens, s->logits);
    model_session_destroy(session);
    return nmse(s->e.logits, s->logits, (size_t)s->e.n_rows * (size_t)s->e.n_vocab);
}

static void must_move(subject *s, const lp_network *network, mutate_fn mutate, const void *user,
                      const char *what)
{
    const double moved = moved_by(s, network, mutate, user);
    print_message("%9.1e  %s: %s\n", moved, strrchr(s->path, '/') + 1, what);
    if (!(moved > MUST_MOVE))
        fail_msg("%s: the fixture does not notice: %s (NMSE %.2e)", s->path, what, moved);
}

static lp_graph *build(const subject *s, bool encoder, lp_store *store)
{
    lp_context ctx = {0};
    lp_graph *graph = NULL;
    if (encoder) /* the main graph fills the store: see mutant_is_other() */
        lp_graph_destroy(build(s, false, store));
    const lp_network_options options =
        model_run_options(s->network, part_of(s, encoder),
                          encoder && s->e.n_source > 0                         ? s->e.n_source
                          : encoder && s->network->hparams.retrieval.chunk > 0 ? 1
                                                                               : s->e.n_tokens,
                          s->n_ctx);
    if (lp_network_graph(&ctx, s->network, store, &options, &graph) != LP_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(mutant_is_other(graph), encoder);
    return graph;
}

/* Whether the mutant finds something to break. */
static bool applies(const subject *s, const mutation *m)
{
    lp_store store = {0};
    lp_graph *graph = build(s, m->encoder, &store);
    bool found = false;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        found |= m->mutant->apply(&graph->nodes[i]);
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
    const lp_hparams *hp = &s->network->hparams; /* a norm makes no difference of it */
    const bool normed = hp->norms & LP_NORMS_EMBD || hp->residual_normed;
    return found && !(m->mutant->apply == scale_embedding && normed);
}

static void test_mechanisms(void **state)
{
    (void)state;
    unsigned *applied = calloc(n_mutants, sizeof *applied);
    assert_non_null(applied);
    for (size_t f = 0; folder_at(f) != NULL; f++) {
        if (!has_mutants(f))
            continue;
        subject s;
        subject_open(&s, folder_at(f));
        assert_true(moved_by(&s, s.network, NULL, NULL) < GATE); /* nothing broken */
        for (size_t i = 0; i < n_mutants * (size_t)n_parts(&s); i++) {
            const mutation m = {i >= n_mutants, &mutants[i % n_mutants]};
            char what[100];
            if (!applies(&s, &m))
                continue;
            snprintf(what, sizeof what, "%s%s", m.encoder ? "in the encoder: " : "",
                     m.mutant->what);
            must_move(&s, s.network, mutate_all, &m, what);
            applied[i % n_mutants]++;
        }
        subject_close(&s);
    }
    for (size_t m = 0; m < n_mutants; m++)
        if (applied[m] == 0)
            fail_msg("no fixture has what this mutant breaks: %s", mutants[m].what);
    free(applied);
}

/* Every source once. */
static void drop_sources(subject *s, bool encoder)
{
    lp_store store = {0};
    lp_graph *graph = build(s, encoder, &store);
    unsigned n = 0;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const lp_node *node = &graph->nodes[i];
        for (int src = 0; src < LP_MAX_SRC; src++) {
            if (!can_drop(node, src) || cancels(s->network, graph, node->src[src]))
                continue;
            const dropped d = {encoder, node->name, src};
            char what[300];
            snprintf(what, sizeof what, "%s without %s", node->name,
                     graph->tensors[node->src[src]].name);
            must_move(s, s->network, mutate_drop, &d, what);
            n++;
        }
    }
    /* per layer at least two residuals; Galactica has no gains and no biases */
    const lp_hparams *hp = &s->network->hparams;
    const uint32_t n_other = hp->encoder.n_layer > 0 ? hp->encoder.n_layer : hp->vision.n_layer;
    assert_true(n >= 2 * (encoder ? n_other : hp->n_layer));
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
}

static void test_dropped_sources(void **state)
{
    (void)state;
    for (size_t f = 0; folder_at(f) != NULL; f++) {
        if (!has_mutants(f))
            continue;
        subject s;
        subject_open(&s, folder_at(f));
        for (int part = 0; part < n_parts(&s); part++)
            drop_sources(&s, part == 1);
        subject_close(&s);
    }
}

/* Numbers that are 0 where a model has no such thing, by their places in lp_hparams. */
static const struct {
    const char *what;
    size_t number;
    float factor;
} number_mutants[] = {
    {"limit of gated parts times 0.9", offsetof(lp_hparams, glu_limit), 0.9f},
    {"soft cap of attention times 1.1", offsetof(lp_hparams, attn_softcap), 1.1f},
    {"soft cap of the logits times 1.1", offsetof(lp_hparams, logit_softcap), 1.1f},
    {"clamp of queries, keys and values times 0.9", offsetof(lp_hparams, clamp_qkv), 0.9f},
    {"growth of queries times 1.1", offsetof(lp_hparams, q_growth), 1.1f},
    {"steps of that growth times 1.5", offsetof(lp_hparams, q_growth_step), 1.5f},
};
#define N_NUMBER_MUTANTS (sizeof number_mutants / sizeof number_mutants[0])

static void other_numbers(subject *s, unsigned n_moved[N_NUMBER_MUTANTS])
{
    for (size_t i = 0; i < N_NUMBER_MUTANTS; i++) {
        lp_network changed = *s->network;
        float *number = (float *)((char *)&changed.hparams + number_mutants[i].number);
        if (*number == 0)
            continue;
        *number *= number_mutants[i].factor;
        must_move(s, &changed, NULL, NULL, number_mutants[i].what);
        n_moved[i]++;
    }
}

/* Numbers of scaled RoPE. */
typedef struct rope_mutant {
    const char *what;
    lp_rope_scaling scaling; /* whose number it is */
    size_t number;           /* its place in lp_rope_hparams */
    float factor;
} rope_mutant;

static const rope_mutant rope_mutants[] = {
    {"high_freq_factor times 1.1", LP_ROPE_SCALING_LLAMA3,
     offsetof(lp_rope_hparams, high_freq_factor), 1.1f},
    {"low_freq_factor times 1.1", LP_ROPE_SCALING_LLAMA3,
     offsetof(lp_rope_hparams, low_freq_factor), 1.1f},
    {"factor times 1.1", LP_ROPE_SCALING_LLAMA3, offsetof(lp_rope_hparams, factor), 1.1f},
    {"factor times 1.1", LP_ROPE_SCALING_LINEAR, offsetof(lp_rope_hparams, factor), 1.1f},
    {"factor times 1.1", LP_ROPE_SCALING_YARN, offsetof(lp_rope_hparams, factor), 1.1f},
    {"beta_fast times 2", LP_ROPE_SCALING_YARN, offsetof(lp_rope_hparams, beta_fast), 2},
    {"beta_slow times 2", LP_ROPE_SCALING_YARN, offsetof(lp_rope_hparams, beta_slow), 2},
    {"attention_factor times 1.1", LP_ROPE_SCALING_YARN,
     offsetof(lp_rope_hparams, attention_factor), 1.1f},
};
#define N_ROPE_MUTANTS (sizeof rope_mutants / sizeof rope_mutants[0])

/* Whether two kinds of RoPE turn alike: bounds of YaRN may lie before the first pair. */
static bool turns_alike(const lp_rope_hparams *a, const lp_rope_hparams *b)
{
    double of_a[LP_MAX_ROPE_PAIRS], of_b[LP_MAX_ROPE_PAIRS];
    lp_rope_frequencies(a, N_CTX, NULL, of_a);
    lp_rope_frequencies(b, N_CTX, NULL, of_b);
    return memcmp(of_a, of_b, a->n_rotated / 2 * sizeof *of_a) == 0 &&
           a->attention_factor == b->attention_factor;
}

static void scaled_rope(subject *s, unsigned n_moved[N_ROPE_MUTANTS])
{
    const lp_rope_hparams *rope = &s->network->hparams.rope;
    lp_network changed = *s->network;
    changed.hparams.rope.scaling = LP_ROPE_SCALING_NONE;
    must_move(s, &changed, NULL, NULL, "RoPE scaling off");
    if (rope->scaling != LP_ROPE_SCALING_LINEAR) {
        changed.hparams.rope.scaling = LP_ROPE_SCALING_LINEAR;
        must_move(s, &changed, NULL, NULL, "RoPE scaling linear");
    }
    for (size_t i = 0; i < N_ROPE_MUTANTS; i++) {
        changed = *s->network;
        *(float *)((char *)&changed.hparams.rope + rope_mutants[i].number) *=
            rope_mutants[i].factor;
        if (rope_mutants[i].scaling != rope->scaling || turns_alike(rope, &changed.hparams.rope))
            continue;
        must_move(s, &changed, NULL, NULL, rope_mutants[i].what);
        n_moved[i]++;
    }
}

static void unscaled_rope(subject *s)
{
    lp_network changed = *s->network;
    changed.hparams.rope.base *= 1.5f;
    changed.hparams.rope_window.base *= 1.5f;
    must_move(s, &changed, NULL, NULL, "base of RoPE times 1.5");
    if (s->network->hparams.n_kv_latent == 0) { /* else it is also a size of weights */
        changed = *s->network;
        const uint32_t n = s->network->hparams.rope.two_axes ? 4 : 2;
        changed.hparams.rope.n_rotated -= n;
        changed.hparams.rope_window.n_rotated -= n;
        must_move(s, &changed, NULL, NULL, "RoPE on a pair of elements less");
    }
}

/* Layers that do not rotate do, one at a time. Returns how many there are. */
static unsigned rotate_layers(subject *s)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < s->network->hparams.n_layer; i++) {
        if (!(s->network->hparams.layers[i] & LP_LAYER_NO_ROPE))
            continue;
        lp_network changed = *s->network;
        changed.hparams.layers[i] &= (uint8_t)~LP_LAYER_NO_ROPE;
        must_move(s, &changed, NULL, NULL, "a layer rotated that is not");
        n++;
    }
    return n;
}

/* Whether heads have gains of their own. */
static bool has_head_gains(const subject *s)
{
    lp_store store = {0};
    lp_graph *graph = build(s, false, &store);
    bool found = false;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        found |= share_gain(graph, &graph->nodes[i]);
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
    return found;
}

/* The picture, and the rows that stand for pictures and texts. Returns whether there is a picture.
 */
static bool break_picture(subject *s)
{
    lp_hparams vision;
    lp_hparams_of_vision(&s->network->hparams, &vision);
    const bool has_projection = lp_weights_find(s->network->weights, "projection.weight") != NULL;
    if (s->network->hparams.arch->whole_causal) {
        must_move(s, s->network, mutant_see_all, NULL, "no causal mask");
        if (has_projection)
            must_move(s, s->network, mutant_row, &(mutant_moved){false, -1},
                      "the token before the end");
    }
    if (s->patches == NULL)
        return false;
    if (n_parts(s) > 1 || s->e.n_rows == 1) /* one row stands for the picture */
        must_move(s, s->network, mutant_row, &(mutant_moved){n_parts(s) > 1, 1},
                  "a patch for the class token");
    float *right = s->patches;
    s->patches = malloc(lp_picture_tokens(&vision.picture) * lp_picture_row(&vision.picture) * 4);
    assert_non_null(s->patches);
    for (int columns = 0; columns < 2; columns++) {
        mutant_patches(&vision.picture, columns != 0, right, s->patches);
        must_move(s, s->network, NULL, NULL,
                  columns ? "patches column by column" : "channels last in patches");
    }
    free(s->patches);
    s->patches = right;
    return true;
}

/* Norms of sums in place of norms before them. */
static void post_norms(subject *s)
{
    lp_network changed = *s->network;
    changed.hparams.norms =
        (s->network->hparams.norms & ~(unsigned)LP_NORMS_PRE) | LP_NORMS_SUM | LP_NORMS_OUTPUT;
    must_move(s, &changed, NULL, NULL, "norms behind the sums");
}

/* One token more than the text has. */
static void later_end(subject *s)
{
    lp_network changed = *s->network;
    const size_t end = lp_hparams_text_end(&changed.hparams, s->e.tokens, (size_t)s->e.n_tokens);
    int32_t *tokens = malloc((size_t)s->e.n_tokens * sizeof *tokens);
    const int32_t *right = s->e.tokens;
    assert_true(tokens != NULL && end + 1 < (size_t)s->e.n_tokens);
    memcpy(tokens, right, (size_t)s->e.n_tokens * sizeof *tokens);
    changed.hparams.ends_at_largest = false; /* the last token that a graph reads stands for all */
    changed.hparams.end_token = (uint32_t)(tokens[end + 1] = 129);
    s->e.tokens = tokens;
    must_move(s, &changed, NULL, NULL, "the token behind the end");
    s->e.tokens = right;
    free(tokens);
}

/* What is decided before there is a graph. */
static void test_hyperparameters(void **state)
{
    (void)state;
    unsigned n_numbers[N_NUMBER_MUTANTS] = {0};
    unsigned n_moved[N_ROPE_MUTANTS] = {0}, n_unrotated = 0, n_gains = 0, n_relative = 0;
    unsigned n_sinusoids = 0, n_pictures = 0;
    for (size_t f = 0; folder_at(f) != NULL; f++) {
        if (!has_mutants(f))
            continue;
        subject s;
        subject_open(&s, folder_at(f));
        const lp_hparams *hp = &s.network->hparams;
        lp_network changed = *s.network;
        if (hp->position == LP_POSITION_ROPE)
            unscaled_rope(&s);
        if (hp->position == LP_POSITION_ROPE && hp->rope.scaling != LP_ROPE_SCALING_NONE)
            scaled_rope(&s, n_moved);
        n_unrotated += rotate_layers(&s);
        other_numbers(&s, n_numbers);
        if (hp->position == LP_POSITION_ALIBI) {
            changed.hparams.alibi_max *= 1.1f;
            must_move(&s, &changed, NULL, NULL, "slopes of ALiBi");
        }
        if (hp->position == LP_POSITION_RELATIVE) {
            changed.hparams.max_distance *= 2;
            must_move(&s, &changed, NULL, NULL, "relative positions twice as far");
            n_relative++;
        }
        if (hp->position == LP_POSITION_SINUSOID) {
            lp_arch other = *hp->arch;
            other.interleaved = !other.interleaved;
            changed = *s.network;
            changed.hparams.arch = &other;
            must_move(&s, &changed, NULL, NULL, "sines and cosines in the other order");
            n_sinusoids++;
        }
        if (hp->encoder.n_layer > 0 && hp->retrieval.chunk == 0)
            must_move(&s, s.network, mutate_source, &s.e.n_source, "source one token shorter");
        if (hp->arch->sizes != NULL) {
            n_pictures += break_picture(&s);
            post_norms(&s);
            if (hp->vision.n_layer > 0)
                later_end(&s);
        }
        if (has_head_gains(&s)) {
            must_move(&s, s.network, mutate_gains, NULL, "the first head's gain for all");
            n_gains++;
        }
        subject_close(&s);
    }
    for (size_t i = 0; i < N_NUMBER_MUTANTS; i++)
        if (n_numbers[i] == 0)
            fail_msg("no fixture has what this mutant breaks: %s", number_mutants[i].what);
    for (size_t i = 0; i < N_ROPE_MUTANTS; i++)
        if (n_moved[i] == 0)
            fail_msg("no fixture has what this mutant breaks: %s", rope_mutants[i].what);
    assert_true(n_unrotated > 0 && n_gains > 0 && n_relative > 0 && n_sinusoids > 0);
    assert_true(n_pictures > 0);

    /* GGUF: the divisors are a tensor */
    subject s;
    subject_open(&s, FIXTURE("llama3"));
    lp_network_destroy(s.network);
    lp_context ctx = {0};
    assert_int_equal(lp_network_open(&ctx, FIXTURE("llama3.gguf"), &s.network), LP_OK);
    for (size_t i = 0; i < lp_weights_count(s.network->weights); i++)
        if (strcmp(lp_weights_at(s.network->weights, i)->name, "rope_freqs.weight") == 0)
            assert_int_equal(lp_weights_rename(&ctx, s.network->weights, i, "lost"), LP_OK);
    must_move(&s, s.network, NULL, NULL, "rope_freqs.weight dropped");
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
