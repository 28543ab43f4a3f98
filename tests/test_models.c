/* Networks against the logits that the transformers library computed in float64 (see
 * fixtures/models/make.py), on the device of this run: in one piece, in two, token by token, with
 * and without fusion, with both types of cache. */
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
#include "text/runner.h"

#define N_TOKENS 40

/* The gate for fp32; everything here is computed in fp32, whatever the weights are stored in.
 */
#define GATE 1e-10
/* One position alone must not hide among the others. */
#define ROW_GATE 1e-9
/* Keys and values rounded to f16 or Q8_0: now and then a device rounds one to the other side. */
#define GATE_F16_CACHE  3e-7
#define GATE_Q8_0_CACHE 3e-6

typedef struct fixture {
    const char *network, *expected;
    size_t n_gpu_ways; /* see model_fixtures.h */
} fixture;

static const fixture quantised[] = {
    {FIXTURE("llama-q8_0.gguf"), FIXTURE("llama-q8_0/expected.safetensors"), 2},
    {FIXTURE("llama-q4_0.gguf"), FIXTURE("llama-q4_0/expected.safetensors"), 2},
};
static const fixture with_f16_cache[] = {
    {FIXTURE("gpt2"), FIXTURE("gpt2/expected.safetensors"), 0},
    {FIXTURE("llama2"), FIXTURE("llama2/expected.safetensors"), 1},
    {FIXTURE("mistral"), FIXTURE("mistral/expected.safetensors"), 0},
};
static const fixture with_q8_0_cache[] = {
    {FIXTURE("llama2"), FIXTURE("llama2/expected-q8_0.safetensors"), 1},
    {FIXTURE("mistral"), FIXTURE("mistral/expected-q8_0.safetensors"), 0},
};
/* One row of 24 elements for all heads, of which the first 18 are the values, too; experts. */
static const fixture with_latent_cache = {FIXTURE("deepseek_v2"),
                                          FIXTURE("deepseek_v2/expected.safetensors"), 1};
#define COUNT(array) (sizeof array / sizeof array[0])

static const int32_t whole[] = {N_TOKENS, 0};
static const int32_t halves[] = {7, N_TOKENS - 7, 0};
static const int32_t mixed[] = {1, 9, 1, 1, 17, 8, 3, 0};
static const int32_t steps[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0};

/* Failures are printed, so that one network does not hide the others'. */
static bool is_close(const char *what, const float *want, const float *got, int32_t n_tokens,
                     int32_t n_vocab, double gate, double row_gate)
{
    double all = nmse(want, got, (size_t)n_tokens * (size_t)n_vocab);
    if (!(all < gate)) {
        print_error("%s: NMSE %.2e of all logits, the gate is %.0e\n", what, all, gate);
        return false;
    }
    for (int32_t t = 0; t < n_tokens; t++) {
        size_t at = (size_t)t * (size_t)n_vocab;
        double row = nmse(want + at, got + at, (size_t)n_vocab);
        if (!(row < row_gate)) {
            print_error("%s: NMSE %.2e of position %d, the gate is %.0e\n", what, row, t, row_gate);
            return false;
        }
    }
    return true;
}

typedef struct opened {
    lp_network *network;
    expected e;
    float *logits; /* room for all */
} opened;

static opened fixture_open(const fixture *f)
{
    lp_context ctx = {0};
    opened o;
    if (lp_network_open(&ctx, f->network, &o.network) != LP_OK)
        fail_msg("%s", ctx.message);
    o.e = expected_open(f->expected);
    assert_int_equal(o.e.n_tokens, N_TOKENS);
    assert_int_equal(o.e.n_vocab, o.network->hparams.n_vocab);
    o.logits = malloc((size_t)N_TOKENS * (size_t)o.e.n_vocab * sizeof *o.logits);
    assert_non_null(o.logits);
    return o;
}

static void fixture_close(opened *o)
{
    free(o->logits);
    expected_close(&o->e);
    lp_network_destroy(o->network);
}

/* Whether this run's device is to go at least `ways` ways. */
static bool goes(const fixture *f, size_t ways)
{
    return ways <= f->n_gpu_ways || strncmp(test_device(), "vulkan", 6) != 0;
}

/* A line for scripts/models.sh if nothing of a network failed. Returns n_bad. */
static unsigned report(const char *network, unsigned n_bad)
{
    if (n_bad == 0)
        print_message("tested: %s\n", strrchr(network, '/') + 1);
    return n_bad;
}

/* All ways through one network; the context is full at the end of each. Returns how many
 * failed. */
static unsigned check_fixture(const fixture *f)
{
    static const struct {
        const char *how;
        model_run run;
    } ways[] = {
        {"token by token", {.chunks = steps}},
        {"in two pieces", {.chunks = halves}},
        {"in one piece", {.chunks = whole}},
        {"in mixed pieces", {.chunks = mixed}},
        {"without fusion", {.chunks = mixed, .no_fusion = true}},
    };
    unsigned n_bad = 0;
    if (!goes(f, 1))
        return 0;
    opened o = fixture_open(f);
    model_session *session = model_session_create(o.network, test_device(), LP_F32, N_TOKENS);
    for (size_t i = 0; i < COUNT(ways) && goes(f, i + 1); i++) {
        char what[512];
        snprintf(what, sizeof what, "%s %s", f->network, ways[i].how);
        model_run run = ways[i].run;
        run.retrieval = &o.e;
        model_session_run(session, &run, o.e.tokens, o.logits);
        n_bad += !is_close(what, o.e.logits, o.logits, N_TOKENS, o.e.n_vocab, GATE, ROW_GATE);
    }
    model_session_destroy(session);
    fixture_close(&o);
    return report(f->network, n_bad);
}

static void test_decoders(void **state)
{
    (void)state;
    unsigned n_bad = 0;
    for (size_t i = 0; i < n_model_fixtures; i++) {
        const model_fixture *d = &model_fixtures[i];
        if (d->encoder)
            continue;
        n_bad += check_fixture(&(fixture){d->folder, d->expected, d->n_gpu_ways});
        if (d->twin)
            n_bad += check_fixture(&(fixture){d->twin, d->expected, 0});
    }
    assert_int_equal(n_bad, 0);
}

static void test_quantised(void **state)
{
    (void)state;
    unsigned n_bad = 0;
    for (size_t i = 0; i < COUNT(quantised); i++)
        n_bad += check_fixture(&quantised[i]);
    assert_int_equal(n_bad, 0);
}

/* Encoder-decoders: the encoder in one piece, the decoder in several ways. */
static void test_seq2seq(void **state)
{
    (void)state;
    static const int32_t decoder_whole[] = {24, 0}, decoder_halves[] = {7, 17, 0};
    static const int32_t decoder_mixed[] = {1, 9, 1, 1, 8, 3, 1, 0};
    static const int32_t decoder_steps[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                            1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0};
    static const struct {
        const char *how;
        model_run run;
    } ways[] = {
        {"in one piece", {.chunks = decoder_whole}},
        {"token by token", {.chunks = decoder_steps}},
        {"in two pieces", {.chunks = decoder_halves}},
        {"without fusion", {.chunks = decoder_mixed, .no_fusion = true}},
    };
    unsigned n_bad_in_all = 0;
    for (size_t f = 0; f < n_seq2seq_fixtures; f++) {
        unsigned n_bad = 0;
        const fixture row = {seq2seq_fixtures[f].folder, seq2seq_fixtures[f].expected,
                             seq2seq_fixtures[f].n_gpu_ways};
        lp_context ctx = {0};
        lp_network *network;
        if (!goes(&row, 1))
            continue;
        if (lp_network_open(&ctx, row.network, &network) != LP_OK)
            fail_msg("%s", ctx.message);
        expected e = expected_open(row.expected);
        const size_t n_hidden = (size_t)e.n_source * network->hparams.n_embd;
        const size_t n_logits = (size_t)e.n_tokens * (size_t)e.n_vocab;
        float *hidden = malloc((n_hidden + n_logits) * sizeof *hidden), *logits = hidden + n_hidden;
        assert_true(hidden != NULL && e.source != NULL && e.n_tokens == 24);
        model_session *session = model_session_create(network, test_device(), LP_F32, 48);
        /* what an expert has no room for depends on what is computed at a time */
        const size_t n_ways = network->hparams.route.capacity > 0 ? 1 : COUNT(ways);
        for (size_t i = 0; i < n_ways && goes(&row, i + 1); i++) {
            char what[512];
            snprintf(what, sizeof what, "%s %s", row.network, ways[i].how);
            model_run run = ways[i].run;
            run.source = e.source;
            run.n_source = e.n_source;
            run.encoder = hidden;
            model_session_run(session, &run, e.tokens, logits);
            const double encoder = nmse(e.encoder, hidden, n_hidden);
            if (!(encoder < GATE))
                print_error("%s: NMSE %.2e of the encoder, the gate is %.0e\n", what, encoder,
                            GATE);
            n_bad += !(encoder < GATE);
            n_bad += !is_close(what, e.logits, logits, e.n_tokens, e.n_vocab, GATE, ROW_GATE);
        }
        model_session_destroy(session);
        free(hidden);
        expected_close(&e);
        lp_network_destroy(network);
        n_bad_in_all += report(row.network, n_bad);
    }
    assert_int_equal(n_bad_in_all, 0);
}

static bool all_close(const char *name, const char *what, const float *want, const float *got,
                      size_t n)
{
    double error = nmse(want, got, n);
    if (error < GATE)
        return true;
    print_error("%s %s: NMSE %.2e, the gate is %.0e\n", name, what, error, GATE);
    return false;
}

/* A whole text, twice, and what else an encoder gives. Returns how many failed. */
static unsigned check_encoder(const fixture *f)
{
    unsigned n_bad = 0;
    if (!goes(f, 1))
        return 0;
    opened o = fixture_open(f);
    const size_t n = o.network->hparams.n_embd;
    float *hidden = malloc((N_TOKENS + 1) * n * sizeof *hidden);
    float *pooled = hidden + N_TOKENS * n;
    assert_non_null(hidden);
    assert_true(o.e.hidden != NULL && (o.network->hparams.n_types > 1) == (o.e.types != NULL));
    model_session *session = model_session_create(o.network, test_device(), LP_F32, N_TOKENS);
    for (size_t way = 0; way < 2 && goes(f, way + 1); way++) {
        model_run run = {.chunks = whole,
                         .no_fusion = way == 1,
                         .types = o.e.types,
                         .hidden = hidden,
                         .pooled = o.e.pooled != NULL ? pooled : NULL};
        model_session_run(session, &run, o.e.tokens, o.logits);
        n_bad += !is_close(f->network, o.e.logits, o.logits, N_TOKENS, o.e.n_vocab, GATE, ROW_GATE);
        n_bad += !all_close(f->network, "hidden states", o.e.hidden, hidden, N_TOKENS * n);
        n_bad += run.pooled != NULL && !all_close(f->network, "pooler", o.e.pooled, pooled, n);
    }
    model_session_destroy(session);
    free(hidden);
    fixture_close(&o);
    return report(f->network, n_bad);
}

/* Of a tensor of the fixture; 0: it is not there. */
static size_t n_elements(const expected *e, const char *name)
{
    const lp_weight *weight = lp_weights_find(e->weights, name);
    return weight ? (size_t)lp_shape_elements(weight->shape) : 0;
}

/* Models that read pictures, in one piece and without fusion. Returns how many failed. */
static unsigned check_picture(const fixture *f)
{
    lp_context ctx = {0};
    lp_network *network;
    unsigned n_bad = 0;
    if (!goes(f, 1))
        return 0;
    if (lp_network_open(&ctx, f->network, &network) != LP_OK)
        fail_msg("%s", ctx.message);
    expected e = expected_open(f->expected);
    float *got = malloc((size_t)e.n_rows * (size_t)e.n_vocab * sizeof *got);
    float *patches = model_patches(network, e.pixels);
    const int32_t chunks[] = {e.n_tokens, 0};
    const size_t n_views = n_elements(&e, e.hidden ? "hidden" : "penultimate");
    float *views = malloc((n_views + 1) * sizeof *views);
    const size_t text_end =
        e.pooled ? lp_hparams_text_end(&network->hparams, e.tokens, (size_t)e.n_tokens) : 0;
    assert_true(got != NULL && views != NULL);
    model_session *session =
        model_session_create(network, test_device(), LP_F32, e.n_tokens > 28 ? e.n_tokens : 28);
    for (size_t way = 0; way < 2 && goes(f, way + 1); way++) {
        const model_run run = {.chunks = chunks,
                               .no_fusion = way == 1,
                               .patches = patches,
                               .hidden = e.hidden ? views : NULL,
                               .penultimate = e.hidden == NULL && e.penultimate ? views : NULL};
        model_session_run(session, &run, e.tokens, got);
        n_bad += !is_close(f->network, e.logits, got, e.n_rows, e.n_vocab, GATE, ROW_GATE);
        if (n_views > 0)
            n_bad += !all_close(f->network, run.hidden ? "hidden states" : "before the last layer",
                                run.hidden ? e.hidden : e.penultimate, views, n_views);
        if (e.pooled != NULL) /* a row of a text's */
            n_bad += !all_close(f->network, "the text's last token", e.pooled,
                                got + text_end * (size_t)e.n_vocab, (size_t)e.n_vocab);
    }
    model_session_destroy(session);
    free(patches);
    free(views);
    free(got);
    expected_close(&e);
    lp_network_destroy(network);
    return report(f->network, n_bad);
}

static void test_pictures(void **state)
{
    (void)state;
    unsigned n_bad = 0;
    for (size_t i = 0; i < n_picture_fixtures; i++) {
        const model_fixture *d = &picture_fixtures[i];
        n_bad += check_picture(&(fixture){d->folder, d->expected, d->n_gpu_ways});
    }
    assert_int_equal(n_bad, 0);
}

static void test_encoders(void **state)
{
    (void)state;
    unsigned n_bad = 0;
    for (size_t i = 0; i < n_model_fixtures; i++) {
        const model_fixture *d = &model_fixtures[i];
        if (d->encoder)
            n_bad += check_encoder(&(fixture){d->folder, d->expected, d->n_gpu_ways});
    }
    assert_int_equal(n_bad, 0);
}

static void run_on(const opened *o, const char *device, lp_dtype cache, const int32_t *chunks,
                   float *logits)
{
    model_session *session = model_session_create(o->network, device, cache, 48);
    model_session_run(session, &(model_run){.chunks = chunks}, o->e.tokens, logits);
    model_session_destroy(session);
}

/* A cache that rounds: the judge is the reference with the same cache. *rounded: how far that one
 * is from the fixture. */
static void check_narrow_cache(const fixture *f, lp_dtype cache, double gate, double *rounded)
{
    opened o = fixture_open(f);
    size_t n = (size_t)N_TOKENS * (size_t)o.e.n_vocab;
    float *want = malloc(n * sizeof *want);
    assert_non_null(want);
    run_on(&o, "reference", cache, whole, want);
    *rounded = nmse(o.e.logits, want, n);
    run_on(&o, test_device(), cache, mixed, o.logits);
    assert_true(is_close(f->network, want, o.logits, N_TOKENS, o.e.n_vocab, gate, 10 * gate));
    free(want);
    fixture_close(&o);
}

static void test_f16_cache(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(with_f16_cache); i++) {
        double rounded;
        if (!goes(&with_f16_cache[i], 1))
            continue;
        check_narrow_cache(&with_f16_cache[i], LP_F16, GATE_F16_CACHE, &rounded);
        /* the cache was f16 indeed: close to the float64 logits, but not that close */
        assert_true(rounded > 10 * GATE && rounded < 1e-3);
    }
}

/* Here the float64 logits are of a cache that rounds, too. */
static void test_q8_0_cache(void **state)
{
    (void)state;
    double rounded;
    for (size_t i = 0; i < COUNT(with_q8_0_cache); i++) {
        if (!goes(&with_q8_0_cache[i], 1))
            continue;
        check_narrow_cache(&with_q8_0_cache[i], LP_Q8_0, GATE_Q8_0_CACHE, &rounded);
        assert_true(rounded < GATE);
    }
    if (!goes(&with_latent_cache, 1))
        return;
    check_narrow_cache(&with_latent_cache, LP_Q8_0, GATE_Q8_0_CACHE, &rounded);
    assert_true(rounded > 1e-7 && rounded < 1e-2);
}

/* As sessions run: batches that only fill the cache, then one of which the last layer computes
 * nothing but the last row. */
static void test_last_row(void **state)
{
    (void)state;
    static const fixture chosen[] = {
        {FIXTURE("gpt2"), FIXTURE("gpt2/expected.safetensors"), 1},
        {FIXTURE("llama3"), FIXTURE("llama3/expected.safetensors"), 1},
    };
    static const uint32_t batches[] = {17, N_TOKENS, 1};
    for (size_t i = 0; i < COUNT(chosen) * COUNT(batches); i++) {
        const fixture *f = &chosen[i / COUNT(batches)];
        uint32_t n_batch = batches[i % COUNT(batches)];
        if (!goes(f, i % COUNT(batches) + 1))
            continue;
        lp_context ctx = {0};
        opened o = fixture_open(f);
        lp_test_device *device;
        lp_backend *backend = lp_test_device_create(&ctx, test_device(), &device);
        lp_session_options options = {.n_ctx = N_TOKENS, .n_batch = n_batch, .cache_type = LP_F32};
        lp_runner *runner = NULL;
        if (lp_runner_create(&ctx, o.network, backend, &options, NULL, &runner) != LP_OK ||
            lp_runner_feed(runner, o.e.tokens, N_TOKENS) != LP_OK ||
            lp_runner_eval(runner, o.logits) != LP_OK)
            fail_msg("%s", ctx.message);
        size_t n = (size_t)o.e.n_vocab;
        double row = nmse(o.e.logits + (N_TOKENS - 1) * n, o.logits, n);
        if (!(row < ROW_GATE))
            fail_msg("%s in batches of %u: NMSE %.2e, the gate is %.0e", f->network, n_batch, row,
                     ROW_GATE);
        lp_runner_destroy(runner);
        lp_test_device_destroy(device);
        fixture_close(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures),   cmocka_unit_test(test_decoders),
        cmocka_unit_test(test_quantised),  cmocka_unit_test(test_f16_cache),
        cmocka_unit_test(test_q8_0_cache), cmocka_unit_test(test_last_row),
        cmocka_unit_test(test_seq2seq),    cmocka_unit_test(test_encoders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
