/* Runners of models in which all tokens see the text up to where the answer begins: whatever is
 * fed, forgotten, kept or loaded in whatever pieces, the logits are those of the text as it is
 * then. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/model_files.h"
#include "support/model_run.h"
#include "text/snapshot.h"

/* Where the fixture's text has its [gMASK] and the start of the answer, which reads no more of it.
 */
enum { N_TOKENS = 40, BLANK = 14, START = 16, N_CTX = 64 };
#define ROW_GATE 1e-9

typedef struct run {
    lp_context ctx;
    lp_test_device *device;
    lp_network *network;
    lp_runner *runner;
    expected e;
    float *logits; /* [V] */
} run;

#define CHECK(r, call)                                                                             \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s: %s", #call, (r)->ctx.message);                                           \
    } while (0)

static run *run_create(uint32_t n_batch)
{
    run *r = calloc(1, sizeof *r);
    assert_non_null(r);
    lp_session_options options = {
        .n_ctx = N_CTX, .n_batch = n_batch, .cache_type = LP_F32, .guard = 1};
    CHECK(r, lp_network_open(&r->ctx, FIXTURE("chatglm"), &r->network));
    r->e = expected_open(FIXTURE("chatglm/expected.safetensors"));
    assert_int_equal(r->e.n_tokens, N_TOKENS);
    lp_backend *backend = lp_test_device_create(&r->ctx, test_device(), &r->device);
    CHECK(r, lp_runner_create(&r->ctx, r->network, backend, &options, NULL, &r->runner));
    r->logits = malloc((size_t)r->e.n_vocab * sizeof *r->logits);
    assert_non_null(r->logits);
    return r;
}

static void run_destroy(run *r)
{
    lp_runner_destroy(r->runner);
    lp_test_device_destroy(r->device);
    expected_close(&r->e);
    lp_network_destroy(r->network);
    free(r->logits);
    free(r);
}

/* Tokens [first, end) of the fixture's text. */
static void feed(run *r, int first, int end)
{
    CHECK(r, lp_runner_feed(r->runner, r->e.tokens + first, (size_t)(end - first)));
}

/* The logits behind n tokens of it. */
static void assert_logits(run *r, int n)
{
    CHECK(r, lp_runner_eval(r->runner, r->logits));
    assert_int_equal(lp_runner_n_tokens(r->runner), n);
    const float *want = r->e.logits + (size_t)(n - 1) * (size_t)r->e.n_vocab;
    const double error = nmse(want, r->logits, (size_t)r->e.n_vocab);
    if (!(error < ROW_GATE))
        fail_msg("NMSE %.2e behind %d tokens", error, n);
}

static void assert_refused(run *r, const char *what)
{
    assert_int_equal(lp_runner_eval(r->runner, r->logits), LP_E_ARG);
    if (strstr(r->ctx.message, what) == NULL)
        fail_msg("\"%s\" is not in: %s", what, r->ctx.message);
}

static void texts_grow_and_shrink(void **state)
{
    (void)state;
    static const uint32_t batches[] = {5, N_CTX}; /* shorter than what is read at once */
    for (int i = 0; i < 2; i++) {
        run *r = run_create(batches[i]);
        feed(r, 0, 30);
        assert_logits(r, 30);
        feed(r, 30, N_TOKENS);
        assert_logits(r, N_TOKENS);
        CHECK(r, lp_runner_rewind(r->runner, 25)); /* within the answer */
        assert_logits(r, 25);
        CHECK(r, lp_runner_rewind(r->runner, 8)); /* before it begins */
        feed(r, 8, START + 1);
        assert_logits(r, START + 1);
        for (int t = START + 1; t < N_TOKENS; t++) {
            feed(r, t, t + 1);
            assert_logits(r, t + 1);
        }
        run_destroy(r);
    }
}

/* What was computed for one beginning says nothing to another of the same length. */
static void other_beginnings_are_read_anew(void **state)
{
    (void)state;
    run *r = run_create(0);
    int32_t other[N_TOKENS];
    memcpy(other, r->e.tokens, sizeof other);
    other[10] = other[10] == 50 ? 51 : 50;
    CHECK(r, lp_runner_feed(r->runner, other, 30));
    CHECK(r, lp_runner_eval(r->runner, r->logits));
    assert_true(nmse(r->e.logits + (size_t)29 * (size_t)r->e.n_vocab, r->logits,
                     (size_t)r->e.n_vocab) > 1e-4);
    CHECK(r, lp_runner_rewind(r->runner, 10));
    feed(r, 10, 30);
    assert_logits(r, 30);
    CHECK(r, lp_runner_forget(r->runner, 3, 4)); /* it becomes shorter, and longer again */
    CHECK(r, lp_runner_eval(r->runner, r->logits));
    CHECK(r, lp_runner_rewind(r->runner, 3));
    feed(r, 3, N_TOKENS);
    assert_logits(r, N_TOKENS);
    run_destroy(r);
}

static void texts_without_an_answer_are_refused(void **state)
{
    (void)state;
    run *r = run_create(0);
    feed(r, 0, START);
    assert_refused(r, "has no token 0: chatglm models answer behind that");
    CHECK(r, lp_runner_rewind(r->runner, 0));
    CHECK(r, lp_runner_feed(r->runner, r->e.tokens + START, 3));
    assert_refused(r, "has no token 1 before the answer");
    CHECK(r, lp_runner_rewind(r->runner, 0));
    feed(r, 0, N_TOKENS);
    assert_logits(r, N_TOKENS);
    run_destroy(r);
}

/* Of the tokens from `first` on; evaluated: those before have been read already. */
static void assert_scores(run *r, int first, bool evaluated)
{
    double scores[N_TOKENS];
    CHECK(r, lp_runner_rewind(r->runner, 0));
    feed(r, 0, first);
    if (evaluated)
        assert_logits(r, first);
    CHECK(r, lp_runner_score(r->runner, r->e.tokens + first, (size_t)(N_TOKENS - first), scores));
    for (int t = first; t < N_TOKENS; t++) {
        const float *row = r->e.logits + (size_t)(t - 1) * (size_t)r->e.n_vocab;
        double sum = 0;
        for (int v = 0; v < r->e.n_vocab; v++)
            sum += exp((double)row[v]);
        assert_true(fabs((double)row[r->e.tokens[t]] - log(sum) - scores[t - first]) < 1e-4);
    }
}

static void scores_begin_with_the_answer(void **state)
{
    (void)state;
    double scores[N_TOKENS];
    run *r = run_create(7);
    assert_scores(r, 20, false);
    assert_scores(r, 20, true);
    assert_scores(r, START + 1, false); /* what is read at once ends there */
    assert_scores(r, START + 1, true);
    CHECK(r, lp_runner_rewind(r->runner, 0));
    feed(r, 0, 4);
    assert_int_equal(lp_runner_score(r->runner, r->e.tokens + 4, N_TOKENS - 4, scores), LP_E_ARG);
    assert_non_null(strstr(r->ctx.message, "the text is read up to token 16"));
    run_destroy(r);
}

/* Guesses right behind what is read at once. */
static void looks_ahead_from_the_start_of_the_answer(void **state)
{
    (void)state;
    run *r = run_create(0);
    const size_t n_vocab = (size_t)r->e.n_vocab;
    float *rows = malloc(4 * n_vocab * sizeof *rows);
    assert_non_null(rows);
    feed(r, 0, START + 1);
    assert_logits(r, START + 1);
    CHECK(r, lp_runner_look_ahead(r->runner, r->e.tokens + START + 1, 3, rows));
    assert_true(nmse(r->e.logits + (size_t)START * n_vocab, rows, 4 * n_vocab) < ROW_GATE);
    free(rows);
    run_destroy(r);
}

static void drawn_tokens_follow(void **state)
{
    (void)state;
    run *a = run_create(0), *b = run_create(9);
    int32_t token;
    feed(a, 0, 20);
    for (int i = 0; i < 12; i++) { /* greedy, several steps in flight */
        CHECK(a, lp_runner_next(a->runner, (uint32_t)(12 - i), &token));
        int32_t all[N_CTX];
        CHECK(a, lp_runner_tokens(a->runner, 0, (uint32_t)(20 + i), all));
        CHECK(b, lp_runner_rewind(b->runner, 0));
        CHECK(b, lp_runner_feed(b->runner, all, (size_t)(20 + i)));
        CHECK(b, lp_runner_eval(b->runner, b->logits));
        int32_t best = 0;
        for (int32_t v = 1; v < b->e.n_vocab; v++)
            best = b->logits[v] > b->logits[best] ? v : best;
        assert_int_equal(token, best);
    }
    run_destroy(a);
    run_destroy(b);
}

static void sessions_are_saved(void **state)
{
    (void)state;
    char *folder = test_folder_create(), *path = test_path(folder, "saved");
    uint32_t n_common;
    run *r = run_create(0);
    feed(r, 0, 30);
    CHECK(r, lp_runner_save(r->runner, path));
    run_destroy(r);
    r = run_create(0);
    CHECK(r, lp_runner_load(r->runner, path, &n_common)); /* all of it */
    assert_int_equal(n_common, 30);
    assert_int_equal(lp_runner_n_pending(r->runner), 0);
    feed(r, 30, N_TOKENS);
    assert_logits(r, N_TOKENS);
    run_destroy(r);
    r = run_create(0); /* another text with the same beginning */
    int32_t other[N_TOKENS];
    memcpy(other, r->e.tokens, sizeof other);
    other[10] = other[10] == 50 ? 51 : 50;
    CHECK(r, lp_runner_feed(r->runner, other, N_TOKENS));
    CHECK(r, lp_runner_load(r->runner, path, &n_common));
    assert_int_equal(lp_runner_n_pending(r->runner), N_TOKENS); /* rows of half a beginning */
    CHECK(r, lp_runner_rewind(r->runner, 10));
    feed(r, 10, N_TOKENS);
    CHECK(r, lp_runner_load(r->runner, path, &n_common));
    assert_int_equal(lp_runner_n_pending(r->runner), N_TOKENS - 30);
    assert_logits(r, N_TOKENS);
    run_destroy(r);
    free(path);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_grow_and_shrink),
        cmocka_unit_test(other_beginnings_are_read_anew),
        cmocka_unit_test(texts_without_an_answer_are_refused),
        cmocka_unit_test(scores_begin_with_the_answer),
        cmocka_unit_test(looks_ahead_from_the_start_of_the_answer),
        cmocka_unit_test(drawn_tokens_follow),
        cmocka_unit_test(sessions_are_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
