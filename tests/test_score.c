/* Scoring given tokens on every device: log-probabilities are those of the logits that single steps
 * give, whatever the pieces are and wherever the session stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <math.h>

#include "support/model_run.h"
#include "text/runner.h"
#include "text/tokenizer.h"

#define STORY LAPILLI_MODELS_DIR "/story/story.gguf"
#define TEXT                                                                                       \
    "Once upon a time, near Aunt Drake, there was a round sparrow called Samir, who loved to "     \
    "watch clouds on the big hill. His dear friend was a little panda called Tara."
#define N_FED     5
#define TOLERANCE 1e-4 /* nats: fp32 kernels for many tokens beside those for one */

typedef struct scorer {
    lp_context ctx;
    lp_test_device *device;
    lp_network *network;
    lp_runner *runner;
    int32_t *tokens;
    size_t n;
} scorer;

#define CHECK(s, call)                                                                             \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s", (s)->ctx.message);                                                      \
    } while (0)

static scorer *scorer_create(uint32_t n_batch, double guard)
{
    scorer *s = calloc(1, sizeof *s);
    lp_session_options options = {
        .n_ctx = 128, .n_batch = n_batch, .cache_type = LP_F32, .guard = guard};
    lp_tokenizer *tokenizer;
    CHECK(s, lp_network_open(&s->ctx, STORY, &s->network));
    CHECK(s, lp_tokenizer_from_gguf(&s->ctx, s->network->gguf, &tokenizer));
    CHECK(s, lp_tokenize(&s->ctx, tokenizer, TEXT, strlen(TEXT), LP_TOKENIZE_ADD_SPECIAL,
                         &s->tokens, &s->n));
    lp_tokenizer_destroy(tokenizer);
    assert_true(s->n > 4 * N_FED && s->n < 100);
    lp_backend *backend = lp_test_device_create(&s->ctx, test_device(), &s->device);
    CHECK(s, lp_runner_create(&s->ctx, s->network, backend, &options, NULL, &s->runner));
    CHECK(s, lp_runner_feed(s->runner, s->tokens, N_FED));
    return s;
}

static void scorer_destroy(scorer *s)
{
    lp_runner_destroy(s->runner);
    lp_test_device_destroy(s->device);
    lp_network_destroy(s->network);
    free(s->tokens);
    free(s);
}

/* By the definition: softmax of the logits after everything before, one token at a time. */
static double *expected_scores(void)
{
    scorer *s = scorer_create(0, 0);
    uint32_t n_vocab = s->network->hparams.n_vocab;
    float *logits = malloc(n_vocab * sizeof *logits);
    double *scores = malloc(s->n * sizeof *scores);
    for (size_t i = N_FED; i < s->n; i++) {
        CHECK(s, lp_runner_eval(s->runner, logits));
        double sum = 0;
        for (uint32_t v = 0; v < n_vocab; v++)
            sum += exp((double)logits[v]);
        scores[i - N_FED] = (double)logits[s->tokens[i]] - log(sum);
        CHECK(s, lp_runner_feed(s->runner, &s->tokens[i], 1));
    }
    free(logits);
    scorer_destroy(s);
    return scores;
}

static void assert_scores(const double *scores, const double *wanted, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(fabs(scores[i] - wanted[i]) < TOLERANCE))
            fail_msg("score %zu is %.9g, expected %.9g", i, scores[i], wanted[i]);
        assert_true(scores[i] < 0);
        sum += scores[i];
    }
    assert_true(sum < -1); /* the text does not go without saying */
}

static void scores_are_log_probabilities(void **state)
{
    (void)state;
    static const uint32_t batches[] = {0, 1, 3, 7};
    double *wanted = expected_scores(), scores[128];
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
        scorer *s = scorer_create(batches[b], b == 3);
        size_t n = s->n - N_FED;
        CHECK(s, lp_runner_score(s->runner, s->tokens + N_FED, n, scores));
        assert_scores(scores, wanted, n);
        assert_int_equal(lp_runner_n_tokens(s->runner), s->n);
        assert_int_equal(lp_runner_n_pending(s->runner), 1);
        /* from where the cache holds everything, and in two parts */
        CHECK(s, lp_runner_rewind(s->runner, N_FED));
        CHECK(s, lp_runner_eval(s->runner, NULL));
        CHECK(s, lp_runner_score(s->runner, s->tokens + N_FED, 9, scores));
        CHECK(s, lp_runner_score(s->runner, s->tokens + N_FED + 9, n - 9, scores + 9));
        assert_scores(scores, wanted, n);
        if (b == 3)
            assert_true(lp_runner_guard(s->runner)->summary.n_nodes > 0);
        scorer_destroy(s);
    }
    free(wanted);
}

/* The text goes on behind scored tokens as behind fed ones, also when steps were in flight. */
static void a_scored_text_goes_on(void **state)
{
    (void)state;
    scorer *fed = scorer_create(1, 0), *scored = scorer_create(1, 0);
    double scores[128];
    int32_t a, b;
    CHECK(scored, lp_runner_next(scored->runner, 8, &a));
    CHECK(scored, lp_runner_rewind(scored->runner, N_FED));
    CHECK(scored, lp_runner_next(scored->runner, 8, &a));
    CHECK(scored, lp_runner_score(scored->runner, scored->tokens + N_FED, 20, scores));
    CHECK(fed, lp_runner_feed(fed->runner, &a, 1));
    CHECK(fed, lp_runner_feed(fed->runner, fed->tokens + N_FED, 20));
    for (int i = 0; i < 12; i++) {
        CHECK(fed, lp_runner_next(fed->runner, 8, &a));
        CHECK(scored, lp_runner_next(scored->runner, 8, &b));
        assert_int_equal(a, b);
    }
    scorer_destroy(fed);
    scorer_destroy(scored);
}

static void what_cannot_be_scored_is_refused(void **state)
{
    (void)state;
    scorer *s = scorer_create(4, 0);
    double scores[128];
    int32_t bad[] = {3, 1 << 30};
    uint32_t n = lp_runner_n_tokens(s->runner);
    assert_int_equal(lp_runner_score(s->runner, bad, 2, scores), LP_E_ARG);
    assert_non_null(strstr(s->ctx.message, "token 1 is 1073741824"));
    assert_int_equal(lp_runner_n_tokens(s->runner), n);
    CHECK(s, lp_runner_score(s->runner, s->tokens, 0, scores));
    assert_int_equal(lp_runner_n_tokens(s->runner), n);
    int32_t *many = calloc(128, sizeof *many);
    assert_int_equal(lp_runner_score(s->runner, many, 128, scores), LP_E_LIMIT);
    free(many);
    CHECK(s, lp_runner_rewind(s->runner, 0));
    assert_int_equal(lp_runner_score(s->runner, s->tokens, 2, scores), LP_E_ARG);
    assert_non_null(strstr(s->ctx.message, "first token"));
    assert_int_equal(lp_runner_n_tokens(s->runner), 0);
    scorer_destroy(s);
}

/* A value that went bad stops the scoring with the node's name; nothing behind it stays. */
static void logits_that_are_not_finite_are_no_scores(void **state)
{
    (void)state;
    scorer *s = scorer_create(4, 0);
    lp_backend *backend = lp_runner_backend(s->runner);
    double scores[128];
    uint32_t cache = lp_store_find(lp_runner_store(s->runner), "blk.1.attn_v_cache");
    float nan = NAN;
    CHECK(s, lp_runner_eval(s->runner, NULL));
    uint64_t row = 4 * (uint64_t)lp_shape_row(lp_runner_store(s->runner)->slots[cache].shape);
    CHECK(s, backend->table->slot_write(backend, cache, 2 * row, &nan, 4));
    assert_int_equal(lp_runner_score(s->runner, s->tokens + N_FED, 12, scores), LP_E_DEVICE);
    assert_non_null(strstr(s->ctx.message, "not finite"));
    assert_int_equal(lp_runner_n_tokens(s->runner), N_FED);
    /* what was bad is computed anew */
    CHECK(s, lp_runner_score(s->runner, s->tokens + N_FED, 12, scores));
    double *wanted = expected_scores();
    assert_scores(scores, wanted, 12);
    free(wanted);
    scorer_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_log_probabilities),
        cmocka_unit_test(a_scored_text_goes_on),
        cmocka_unit_test(what_cannot_be_scored_is_refused),
        cmocka_unit_test(logits_that_are_not_finite_are_no_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
