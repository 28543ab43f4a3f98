/* Vectors of texts and guesses at masked words: through a runner, beside what the transformers
 * library computed in float64 (fixtures/models/make.py); what files say of pooling. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/model_files.h"
#include "support/model_run.h"
#include "text/embedding.h"
#include "text/runner.h"

#define N_TOKENS 40
#define GATE     1e-10 /* as in test_models.c */

typedef struct reader {
    lp_context ctx;
    lp_test_device *device;
    lp_network *network;
    lp_runner *runner;
    expected e;
    size_t n, n_vocab; /* elements of a hidden state and of a row of logits */
    float *hidden, *logits;
} reader;

#define CHECK(r, call)                                                                             \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s", (r)->ctx.message);                                                      \
    } while (0)

static reader *reader_create(const char *folder)
{
    reader *r = calloc(1, sizeof *r);
    assert_non_null(r);
    const lp_session_options options = {.n_ctx = N_TOKENS, .cache_type = LP_F32};
    CHECK(r, lp_network_open(&r->ctx, folder, &r->network));
    char *path = test_path(folder, "expected.safetensors");
    r->e = expected_open(path);
    free(path);
    assert_int_equal(r->e.n_tokens, N_TOKENS);
    r->n = r->network->hparams.n_embd;
    r->n_vocab = r->network->hparams.n_vocab;
    r->hidden = malloc(N_TOKENS * r->n * sizeof *r->hidden);
    r->logits = malloc(N_TOKENS * r->n_vocab * sizeof *r->logits);
    assert_true(r->hidden != NULL && r->logits != NULL);
    lp_backend *backend = lp_test_device_create(&r->ctx, test_device(), &r->device);
    CHECK(r, lp_runner_create(&r->ctx, r->network, backend, &options, NULL, &r->runner));
    return r;
}

static void reader_destroy(reader *r)
{
    lp_runner_destroy(r->runner);
    lp_test_device_destroy(r->device);
    expected_close(&r->e);
    lp_network_destroy(r->network);
    free(r->hidden);
    free(r->logits);
    free(r);
}

/* Those that have no types of tokens but one: the runner's are all of the first. */
static const char *const encoders[] = {FIXTURE("distilbert"), FIXTURE("roberta"),
                                       FIXTURE("t5encoder")};

static void test_hidden(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof encoders / sizeof encoders[0]; i++) {
        reader *r = reader_create(encoders[i]);
        const size_t n = N_TOKENS * r->n;
        float *again = malloc(n * sizeof *again);
        assert_non_null(again);
        CHECK(r, lp_runner_view(r->runner, r->e.tokens, N_TOKENS, "hidden", r->hidden));
        double error = nmse(r->e.hidden ? r->e.hidden : r->e.logits, r->hidden, n);
        if (!(error < GATE))
            fail_msg("%s: NMSE %.2e", encoders[i], error);
        /* another text between leaves nothing behind */
        CHECK(r, lp_runner_view(r->runner, r->e.tokens + 5, 9, "hidden", again));
        assert_true(nmse(r->hidden, again, 9 * r->n) > 1e-3);
        CHECK(r, lp_runner_view(r->runner, r->e.tokens, N_TOKENS, "hidden", again));
        assert_memory_equal(r->hidden, again, n * sizeof *again);
        assert_int_equal(lp_runner_view(r->runner, r->e.tokens, N_TOKENS, "pooled", again),
                         LP_E_UNSUPPORTED);
        assert_int_equal(lp_runner_view(r->runner, r->e.tokens, N_TOKENS + 1, "hidden", again),
                         LP_E_LIMIT);
        assert_int_equal(lp_runner_view(r->runner, r->e.tokens, 0, "hidden", again), LP_E_ARG);
        assert_int_equal(lp_runner_feed(r->runner, r->e.tokens, 1), LP_E_UNSUPPORTED);
        free(again);
        reader_destroy(r);
    }
}

/* Each guess is likelier than the next, and its probability that of the judge's logits. */
static void test_guesses(void **state)
{
    (void)state;
    enum { K = 5 };
    static const size_t places[] = {3, 17, 39};
    reader *r = reader_create(FIXTURE("distilbert"));
    CHECK(r, lp_runner_view(r->runner, r->e.tokens, N_TOKENS, "logits", r->logits));
    for (size_t i = 0; i < 3; i++) {
        lp_guess guesses[K];
        const float *want = r->e.logits + places[i] * r->n_vocab;
        lp_guess_best(r->logits + places[i] * r->n_vocab, (uint32_t)r->n_vocab, K, guesses);
        double total = 0;
        for (size_t v = 0; v < r->n_vocab; v++)
            total += exp((double)want[v]);
        for (size_t k = 0; k < K; k++) {
            size_t n_better = 0;
            for (size_t v = 0; v < r->n_vocab; v++)
                n_better += want[v] > want[guesses[k].token];
            assert_int_equal(n_better, k);
            const double p = exp((double)want[guesses[k].token]) / total;
            assert_true(fabs((double)guesses[k].probability - p) < 1e-5 * p);
        }
    }
    reader_destroy(r);
    /* equals: the lower id first; all of the vocabulary */
    static const float equal[] = {1, 3, 1, 3};
    lp_guess all[4];
    lp_guess_best(equal, 4, 4, all);
    for (int k = 0; k < 4; k++)
        assert_int_equal(all[k].token, ((int[]){1, 3, 0, 2})[k]);
}

/* Sentence encoders are published without a head. */
static void test_without_head(void **state)
{
    (void)state;
    reader *r = reader_create(FIXTURE("distilbert"));
    lp_runner_destroy(r->runner);
    lp_test_device_destroy(r->device);
    const size_t n = lp_weights_count(r->network->weights);
    bool *drop = calloc(n, sizeof *drop);
    assert_non_null(drop);
    for (size_t i = 0; i < n; i++) {
        const char *name = lp_weights_at(r->network->weights, i)->name;
        drop[i] = strncmp(name, "mlm_", 4) == 0 || strncmp(name, "output.", 7) == 0;
    }
    lp_weights_drop(r->network->weights, drop);
    free(drop);
    const lp_session_options options = {.n_ctx = N_TOKENS, .cache_type = LP_F32};
    lp_backend *backend = lp_test_device_create(&r->ctx, test_device(), &r->device);
    CHECK(r, lp_runner_create(&r->ctx, r->network, backend, &options, NULL, &r->runner));
    CHECK(r, lp_runner_view(r->runner, r->e.tokens, N_TOKENS, "hidden", r->hidden));
    assert_true(nmse(r->e.hidden, r->hidden, N_TOKENS * r->n) < GATE);
    assert_int_equal(lp_runner_view(r->runner, r->e.tokens, N_TOKENS, "logits", r->logits),
                     LP_E_UNSUPPORTED);
    reader_destroy(r);
}

/* A decoder's hidden states are those that its head reads: times the tied table they are its
 * logits. */
static void test_decoder(void **state)
{
    (void)state;
    reader *r = reader_create(FIXTURE("gpt2"));
    const lp_weight *table = lp_weights_find(r->network->weights, "token_embd.weight");
    assert_true(table != NULL && table->dtype == LP_F32);
    const float *rows = table->data;
    CHECK(r, lp_runner_view(r->runner, r->e.tokens, N_TOKENS, "hidden", r->hidden));
    for (size_t t = 0; t < N_TOKENS; t++)
        for (size_t v = 0; v < r->n_vocab; v++) {
            double sum = 0;
            for (size_t i = 0; i < r->n; i++)
                sum += (double)r->hidden[t * r->n + i] * (double)rows[v * r->n + i];
            r->logits[t * r->n_vocab + v] = (float)sum;
        }
    assert_true(nmse(r->e.logits, r->logits, N_TOKENS * r->n_vocab) < GATE);
    reader_destroy(r);
}

static void test_pooling(void **state)
{
    (void)state;
    static const float hidden[] = {1, 2, 3, 4, 5, 9}; /* [3, 2] */
    float v[2];
    lp_embedding_pool(LP_POOLING_MEAN, hidden, 3, 2, v);
    assert_true(v[0] == 3 && v[1] == 5);
    lp_embedding_pool(LP_POOLING_CLS, hidden, 3, 2, v);
    assert_true(v[0] == 1 && v[1] == 2);
    lp_embedding_pool(LP_POOLING_LAST, hidden, 3, 2, v);
    assert_true(v[0] == 5 && v[1] == 9);
    v[0] = 3, v[1] = -4;
    lp_embedding_normalise(v, 2);
    assert_true(fabsf(v[0] - 0.6f) < 1e-7f && fabsf(v[1] + 0.8f) < 1e-7f);
    v[0] = v[1] = 0;
    lp_embedding_normalise(v, 2);
    assert_true(v[0] == 0 && v[1] == 0);
}

#define MODULES(more)                                                                              \
    "[{\"idx\": 0, \"path\": \"\", \"type\": \"sentence_transformers.models.Transformer\"},"       \
    " {\"idx\": 1, \"path\": \"1_Pooling\", \"type\": "                                            \
    "\"sentence_transformers.models.Pooling\"}" more "]"
#define NORMALIZE                                                                                  \
    ", {\"idx\": 2, \"path\": \"2_Normalize\", \"type\": "                                         \
    "\"sentence_transformers.models.Normalize\"}"

/* What sentence-transformers' files say, and what they must not. */
static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *modules, *pooling;
        lp_status status;
        lp_pooling want;
        bool normalised;
    } cases[] = {
        {NULL, NULL, LP_OK, LP_POOLING_MEAN, true},
        {MODULES(NORMALIZE), "{\"pooling_mode_mean_tokens\": true}", LP_OK, LP_POOLING_MEAN, true},
        {MODULES(""), "{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": false}",
         LP_OK, LP_POOLING_CLS, false},
        {MODULES(""), "{\"pooling_mode_lasttoken\": true}", LP_OK, LP_POOLING_LAST, false},
        {MODULES(""), "{\"pooling_mode\": \"cls\"}", LP_OK, LP_POOLING_CLS, false},
        {MODULES(""), "{\"pooling_mode_max_tokens\": true}", LP_E_UNSUPPORTED, 0, false},
        {MODULES(""), "{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": true}",
         LP_E_UNSUPPORTED, 0, false},
        {MODULES(""), "{}", LP_E_UNSUPPORTED, 0, false},
        {MODULES(""), "{\"pooling_mode_cls_token\": 1}", LP_E_FORMAT, 0, false},
        {MODULES(", {\"type\": \"sentence_transformers.models.Dense\"}"),
         "{\"pooling_mode_mean_tokens\": true}", LP_E_UNSUPPORTED, 0, false},
        {"[{\"type\": \"a.Pooling\", \"path\": \"../b\"}]", NULL, LP_E_FORMAT, 0, false},
        {"[{\"type\": \"a.Pooling\", \"path\": \"nothing\"}]", NULL, LP_E_IO, 0, false},
        {"[1]", NULL, LP_E_FORMAT, 0, false},
        {"{}", NULL, LP_E_FORMAT, 0, false},
        {"[", NULL, LP_E_FORMAT, 0, false},
        {"", NULL, LP_E_FORMAT, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lp_context ctx = {0};
        lp_embedding got;
        char *folder = test_folder_create(), *inner = test_path(folder, "1_Pooling");
        char *modules = test_path(folder, "modules.json"), *pooling = NULL;
        if (cases[i].modules != NULL)
            test_write(modules, cases[i].modules, strlen(cases[i].modules));
        if (cases[i].pooling != NULL) {
            assert_int_equal(mkdir(inner, 0700), 0);
            pooling = test_path(inner, "config.json");
            test_write(pooling, cases[i].pooling, strlen(cases[i].pooling));
        }
        lp_network network = {.path = folder, .hparams.both_ways = true};
        const lp_status status = lp_embedding_of(&ctx, &network, &got);
        if (status != cases[i].status)
            fail_msg("case %zu: %s (%s)", i, lp_status_text(status), ctx.message);
        if (status == LP_OK)
            assert_true(got.pooling == cases[i].want && got.normalised == cases[i].normalised);
        if (pooling != NULL) {
            assert_int_equal(unlink(pooling), 0);
            assert_int_equal(rmdir(inner), 0);
        }
        free(pooling);
        free(modules);
        free(inner);
        test_folder_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hidden),  cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_decoder), cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_files),   cmocka_unit_test(test_without_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
