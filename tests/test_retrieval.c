/* Sessions of a model with retrieval, on every device: whatever the batches are and whenever the
 * neighbours come, logits are those of the fixture (fixtures/models/make.py), and drawn tokens those
 * that the logits of the whole text give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/model_files.h"
#include "support/model_run.h"
#include "text/runner.h"

#define RETRO    FIXTURE("retro")
#define N_CTX    48
#define ROW_GATE 1e-9

typedef struct reader {
    lp_context ctx;
    lp_test_device *device;
    lp_network *network;
    lp_runner *runner;
    expected e;
    float *logits;
} reader;

#define CHECK(s, call)                                                                             \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s", (s)->ctx.message);                                                      \
    } while (0)

static reader *reader_create(uint32_t n_batch)
{
    reader *s = calloc(1, sizeof *s);
    const lp_session_options options = {
        .n_ctx = N_CTX, .n_batch = n_batch, .cache_type = LP_F32, .guard = n_batch == 17 ? 1 : 0};
    CHECK(s, lp_network_open(&s->ctx, RETRO, &s->network));
    s->e = expected_open(RETRO "/expected.safetensors");
    s->logits = malloc((size_t)s->e.n_vocab * sizeof *s->logits);
    assert_non_null(s->logits);
    lp_backend *backend = lp_test_device_create(&s->ctx, test_device(), &s->device);
    CHECK(s, lp_runner_create(&s->ctx, s->network, backend, &options, NULL, &s->runner));
    return s;
}

static void reader_destroy(reader *s)
{
    lp_runner_destroy(s->runner);
    lp_test_device_destroy(s->device);
    expected_close(&s->e);
    lp_network_destroy(s->network);
    free(s->logits);
    free(s);
}

static void give(reader *s, uint32_t chunk)
{
    const lp_retrieval_hparams *of = &s->network->hparams.retrieval;
    int32_t tokens[64];
    uint32_t lengths[2], n = 0, n_tokens = 0;
    assert_int_equal(of->n_neighbours, 2);
    for (uint32_t j = 0; j < 2; j++) {
        const uint32_t at = 2 * chunk + j, length = (uint32_t)s->e.neighbour_lengths[at];
        if (length == 0)
            continue;
        memcpy(tokens + n_tokens, s->e.neighbours + (size_t)at * of->length, 4 * length);
        n_tokens += lengths[n++] = length;
    }
    CHECK(s, lp_runner_neighbours(s->runner, chunk, tokens, lengths, n));
}

static void check_row(reader *s, uint32_t t)
{
    const size_t n = (size_t)s->e.n_vocab;
    CHECK(s, lp_runner_eval(s->runner, s->logits));
    const double error = nmse(s->e.logits + t * n, s->logits, n);
    if (!(error < ROW_GATE))
        fail_msg("position %u: NMSE %.2e", t, error);
}

/* Rows before, at and behind the ends of chunks of 7, and the last one. */
static void rows_are_right(void **state)
{
    (void)state;
    static const uint32_t batches[] = {40, 17, 1}, rows[] = {5, 6, 7, 12, 13, 20, 27, 33, 34, 39};
    const size_t n_batches = test_device_is_slow() ? 1 : 3;
    for (size_t b = 0; b < n_batches; b++) {
        reader *s = reader_create(batches[b]);
        uint32_t fed = 0;
        for (uint32_t chunk = 0; chunk < (uint32_t)s->e.n_chunks; chunk++)
            give(s, chunk);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; fed = rows[i++] + 1) {
            CHECK(s, lp_runner_feed(s->runner, s->e.tokens + fed, rows[i] + 1 - fed));
            check_row(s, rows[i]);
        }
        reader_destroy(s);
    }
}

/* A chunk that gets its neighbours when it has been computed, or none again. */
static void late_neighbours(void **state)
{
    (void)state;
    reader *s = reader_create(40);
    const size_t bytes = (size_t)s->e.n_vocab * sizeof(float);
    float *without = malloc(bytes);
    assert_non_null(without);
    CHECK(s, lp_runner_feed(s->runner, s->e.tokens, 40));
    CHECK(s, lp_runner_eval(s->runner, s->logits));
    memcpy(without, s->logits, bytes);
    assert_true(nmse(s->e.logits + (size_t)39 * (size_t)s->e.n_vocab, without,
                     (size_t)s->e.n_vocab) > 1e-3);
    for (uint32_t chunk = (uint32_t)s->e.n_chunks; chunk-- > 0;) {
        give(s, chunk);
        CHECK(s, lp_runner_eval(s->runner, s->logits));
    }
    check_row(s, 39);
    for (uint32_t chunk = 0; chunk < (uint32_t)s->e.n_chunks; chunk++)
        CHECK(s, lp_runner_neighbours(s->runner, chunk, NULL, NULL, 0));
    CHECK(s, lp_runner_eval(s->runner, s->logits));
    assert_true(nmse(without, s->logits, (size_t)s->e.n_vocab) < ROW_GATE);
    free(without);
    reader_destroy(s);
}

/* Tokens that the device draws, several in flight, through the ends of three chunks. */
static void drawn_tokens(void **state)
{
    (void)state;
    enum { FED = 4, DRAWN = 22 };
    int32_t text[FED + DRAWN];
    reader *s = reader_create(40), *judge = reader_create(40);
    for (uint32_t chunk = 0; chunk < (uint32_t)s->e.n_chunks; chunk++) {
        give(s, chunk);
        give(judge, chunk);
    }
    memcpy(text, s->e.tokens, sizeof(int32_t) * FED);
    CHECK(s, lp_runner_feed(s->runner, text, FED));
    for (uint32_t i = 0; i < DRAWN; i++)
        CHECK(s, lp_runner_next(s->runner, DRAWN - i, &text[FED + i]));
    CHECK(judge, lp_runner_feed(judge->runner, text, FED));
    for (uint32_t i = 0; i < DRAWN; i++) {
        int32_t best = 0;
        CHECK(judge, lp_runner_eval(judge->runner, judge->logits));
        for (int32_t v = 1; v < judge->e.n_vocab; v++)
            best = judge->logits[v] > judge->logits[best] ? v : best;
        assert_int_equal(text[FED + i], best);
        CHECK(judge, lp_runner_feed(judge->runner, &text[FED + i], 1));
    }
    reader_destroy(s);
    reader_destroy(judge);
}

static void refuses(reader *s, uint32_t chunk, int32_t token, const uint32_t *lengths, uint32_t n,
                    lp_status status, const char *message)
{
    const int32_t tokens[] = {5, 6, token, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    assert_int_equal(lp_runner_neighbours(s->runner, chunk, tokens, lengths, n), status);
    if (strstr(s->ctx.message, message) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", s->ctx.message, message);
}

static void wrong_neighbours(void **state)
{
    (void)state;
    reader *s = reader_create(40);
    const uint32_t good[] = {2, 1, 1}, long_one[] = {3, 12}, empty[] = {0};
    refuses(s, 0, 7, good, 3, LP_E_ARG, "chunk 0 has 3 neighbours; the model takes 2");
    refuses(s, 1, 7, long_one, 2, LP_E_ARG,
            "neighbour 1 of chunk 1 has 12 tokens; the model takes 1 to 11");
    refuses(s, 1, 7, empty, 1, LP_E_ARG, "neighbour 0 of chunk 1 has 0 tokens");
    refuses(s, 6, 7, good, 2, LP_E_LIMIT,
            "neighbours of chunk 6; a context of 48 tokens has 6 chunks of 7");
    refuses(s, UINT32_MAX, 7, good, 2, LP_E_LIMIT, "neighbours of chunk 4294967295");
    refuses(s, 2, 67, good, 2, LP_E_ARG, "neighbours of chunk 2: token 2 is 67");
    refuses(s, 2, -1, good, 2, LP_E_ARG, "token 2 is -1");
    CHECK(s, lp_runner_feed(s->runner, s->e.tokens, 20));
    CHECK(s, lp_runner_forget(s->runner, 3, 2)); /* nothing belongs to its chunks */
    give(s, 0);
    assert_int_equal(lp_runner_forget(s->runner, 3, 2), LP_E_UNSUPPORTED);
    reader_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_right),
        cmocka_unit_test(late_neighbours),
        cmocka_unit_test(drawn_tokens),
        cmocka_unit_test(wrong_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
