/* Runners and the generation loop on every device, with the model that ships: replaying recorded
 * programs with steps in flight is, bit for bit, what fresh recordings one at a time give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/model_run.h"
#include "text/generate.h"

#define STORY   LAPILLI_MODELS_DIR "/story/story.gguf"
#define N_CTX   384 /* more than one bucket of keys */
#define N_DRAWN 210

typedef struct run {
    lp_context ctx;
    lp_test_device *device;
    lp_network *network;
    lp_tokenizer *tokenizer;
    lp_runner *runner;
} run;

#define CHECK(r, call)                                                                             \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s", (r)->ctx.message);                                                      \
    } while (0)

static const lp_sampling warm = {
    .temperature = 0.9f, .top_k = 30, .top_p = 0.95f, .repeat_penalty = 1.1f, .repeat_window = 32,
    .seed = 42};

static void feed(run *r, const char *text, unsigned flags)
{
    int32_t *tokens;
    size_t n;
    CHECK(r, lp_tokenize(&r->ctx, r->tokenizer, text, strlen(text), flags, &tokens, &n));
    CHECK(r, lp_runner_feed(r->runner, tokens, n));
    free(tokens);
}

static run *run_create(uint32_t n_ctx, uint32_t n_batch)
{
    run *r = calloc(1, sizeof *r);
    lp_session_options options = {.n_ctx = n_ctx, .n_batch = n_batch, .cache_type = LP_F16};
    CHECK(r, lp_network_open(&r->ctx, STORY, &r->network));
    CHECK(r, lp_tokenizer_from_gguf(&r->ctx, r->network->gguf, &r->tokenizer));
    lp_backend *backend = lp_test_device_create(&r->ctx, test_device(), &r->device);
    CHECK(r, lp_runner_create(&r->ctx, r->network, backend, &options, NULL, &r->runner));
    CHECK(r, lp_runner_sampling(r->runner, &warm));
    feed(r, "One day, a little girl went to the park.", LP_TOKENIZE_ADD_SPECIAL);
    return r;
}

static void run_destroy(run *r)
{
    lp_runner_destroy(r->runner);
    lp_test_device_destroy(r->device);
    lp_tokenizer_destroy(r->tokenizer);
    lp_network_destroy(r->network);
    free(r);
}

/* Contents of all K/V caches for the first n tokens, malloc'ed. */
static uint8_t *caches(run *r, uint32_t n, size_t *bytes)
{
    const lp_store *store = lp_runner_store(r->runner);
    lp_backend *backend = lp_runner_backend(r->runner);
    uint8_t *all = NULL;
    *bytes = 0;
    for (uint32_t i = 0; i < store->n_slots; i++) {
        if (strstr(store->slots[i].name, "_cache") == NULL)
            continue;
        uint64_t size = 2 * n * (uint64_t)lp_shape_row(store->slots[i].shape);
        all = realloc(all, *bytes + size);
        assert_non_null(all);
        CHECK(r, backend->table->slot_read(backend, i, 0, all + *bytes, size));
        *bytes += size;
    }
    assert_true(*bytes > 0);
    return all;
}

static void replay_equals_fresh_recording(void **state)
{
    (void)state;
    run *replay = run_create(N_CTX, 0), *fresh = run_create(N_CTX, 0);
    for (int i = 0; i < 5; i++) { /* so far that the drawn tokens cross into the next bucket */
        feed(replay, " She saw a big dog and a small cat.", 0);
        feed(fresh, " She saw a big dog and a small cat.", 0);
    }
    uint32_t n_prompt = lp_runner_n_tokens(replay->runner);
    assert_true(n_prompt < 256 && n_prompt + N_DRAWN > 256 && n_prompt + N_DRAWN < N_CTX);
    for (uint32_t i = 0; i < N_DRAWN; i++) {
        int32_t a, b;
        CHECK(replay, lp_runner_next(replay->runner, N_DRAWN - i, &a));
        CHECK(fresh, lp_runner_trim(fresh->runner));
        CHECK(fresh, lp_runner_next(fresh->runner, 1, &b));
        assert_int_equal(a, b);
    }
    size_t n_a, n_b;
    uint32_t n_vocab = replay->network->hparams.n_vocab;
    float *logits = malloc(2 * n_vocab * sizeof *logits);
    CHECK(replay, lp_runner_eval(replay->runner, logits));
    CHECK(fresh, lp_runner_eval(fresh->runner, logits + n_vocab));
    assert_memory_equal(logits, logits + n_vocab, n_vocab * sizeof *logits);
    uint8_t *a = caches(replay, n_prompt + N_DRAWN, &n_a);
    uint8_t *b = caches(fresh, n_prompt + N_DRAWN, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    free(a);
    free(b);
    free(logits);
    run_destroy(replay);
    run_destroy(fresh);
}

typedef struct text {
    char data[8192];
    size_t bytes, stop_after;
} text;

static int collect(void *user, const char *bytes, size_t n)
{
    text *t = user;
    assert_true(t->bytes + n < sizeof t->data);
    memcpy(t->data + t->bytes, bytes, n);
    t->bytes += n;
    t->data[t->bytes] = '\0';
    return t->stop_after != 0 && t->bytes >= t->stop_after;
}

static lp_generation generate(run *r, uint32_t most, const char *stop, text *t)
{
    lp_generation result;
    lp_generate_options options = {.max_tokens = most,
                                   .stop = &stop,
                                   .n_stop = stop != NULL,
                                   .on_text = collect,
                                   .user = t};
    CHECK(r, lp_generate(&r->ctx, r->runner, r->tokenizer, NULL, NULL, &options, &result));
    return result;
}

/* Stopping in the middle rolls back what was in flight: going on gives what never stopping gives. */
static void a_stop_string_in_the_middle_changes_nothing(void **state)
{
    (void)state;
    run *whole = run_create(N_CTX, 0), *parts = run_create(N_CTX, 0);
    text a = {0}, b = {0};
    generate(whole, 100, NULL, &a);
    assert_true(a.bytes > 100);
    char stop[8];
    memcpy(stop, a.data + 60, 7); /* seven bytes from the middle */
    stop[7] = '\0';
    size_t at = (size_t)(strstr(a.data, stop) - a.data);
    lp_generation first = generate(parts, 100, stop, &b);
    assert_int_equal(first.ending, LP_ENDED_STOP_STRING);
    assert_int_equal(b.bytes, at);
    assert_memory_equal(a.data, b.data, at);

    /* The tokens up to the stop are there; the next ones are the same as without a stop. */
    uint32_t n = lp_runner_n_tokens(parts->runner);
    for (uint32_t i = first.n_tokens; i < 100 + 10; i++) {
        int32_t token;
        CHECK(parts, lp_runner_next(parts->runner, 110 - i, &token));
    }
    for (uint32_t i = 0; i < 10; i++) {
        int32_t token;
        CHECK(whole, lp_runner_next(whole->runner, 10 - i, &token));
    }
    uint32_t total = lp_runner_n_tokens(whole->runner);
    assert_int_equal(lp_runner_n_tokens(parts->runner), total);
    assert_true(n < total);
    int32_t *x = malloc(4 * total), *y = malloc(4 * total);
    for (int i = 0; i < 2; i++) {
        run *r = i ? parts : whole;
        lp_backend *backend = lp_runner_backend(r->runner);
        CHECK(r, backend->table->slot_read(backend,
                                           lp_store_find(lp_runner_store(r->runner), "history"), 0,
                                           i ? y : x, 4 * total));
    }
    assert_memory_equal(x, y, 4 * total);
    free(x);
    free(y);
    run_destroy(whole);
    run_destroy(parts);
}

/* The host draws what the device draws, from the same seed on, and whoever begins may go on. */
static void the_host_draws_what_the_device_draws(void **state)
{
    (void)state;
    run *device = run_create(N_CTX, 0), *host = run_create(N_CTX, 0);
    const lp_logit_bias nothing = {.token = 3, .bias = 0}; /* that only the host can add */
    lp_sampling asked = warm;
    lp_sampler *sampler;
    asked.bias = &nothing;
    asked.n_bias = 1;
    CHECK(host, lp_sampler_create(&host->ctx, host->tokenizer, host->network->hparams.n_vocab, &asked,
                                  &sampler));
    assert_false(lp_sampler_on_device(sampler));
    for (uint32_t i = 0; i < 90; i++) {
        int32_t a, b;
        CHECK(device, lp_runner_next(device->runner, 90 - i, &a));
        CHECK(host, lp_generate_token(host->runner, i / 30 == 1 ? NULL : sampler, NULL, 1, &b));
        if (a != b)
            fail_msg("draw %u: token %d, on the device %d", i, b, a);
    }
    lp_sampler_destroy(sampler);
    run_destroy(device);
    run_destroy(host);
}

static void a_caller_can_stop(void **state)
{
    (void)state;
    run *r = run_create(N_CTX, 0);
    text t = {.stop_after = 20};
    assert_int_equal(generate(r, 100, NULL, &t).ending, LP_ENDED_CALLER);
    assert_in_range(t.bytes, 20, 60);
    run_destroy(r);
}

static void a_full_context_ends_the_text(void **state)
{
    (void)state;
    run *small = run_create(48, 0), *large = run_create(N_CTX, 0);
    text a = {0}, b = {0};
    lp_generation result = generate(small, 0, NULL, &a);
    assert_int_equal(result.ending, LP_ENDED_CONTEXT);
    assert_int_equal(lp_runner_n_tokens(small->runner), 48);
    generate(large, result.n_tokens, NULL, &b);
    assert_string_equal(a.data, b.data);
    int32_t token = 1;
    assert_int_equal(lp_runner_next(small->runner, 1, &token), LP_E_LIMIT);
    assert_int_equal(lp_runner_feed(small->runner, &token, 1), LP_E_LIMIT);
    run_destroy(small);
    run_destroy(large);
}

/* Prompts in one piece and in small ones give logits that agree. */
static void chunks_agree(void **state)
{
    (void)state;
    run *whole = run_create(N_CTX, 0), *chunked = run_create(N_CTX, 3);
    uint32_t n_vocab = whole->network->hparams.n_vocab;
    float *a = malloc(n_vocab * sizeof *a), *b = malloc(n_vocab * sizeof *b);
    CHECK(whole, lp_runner_eval(whole->runner, a));
    CHECK(chunked, lp_runner_eval(chunked->runner, b));
    /* Rounding of the f16 cache may fall differently: 2^-11 relative per element. */
    assert_true(nmse(a, b, n_vocab) < 1e-6);
    CHECK(whole, lp_runner_eval(whole->runner, b)); /* again: nothing new to compute */
    assert_true(nmse(a, b, n_vocab) < 1e-6);
    free(a);
    free(b);
    run_destroy(whole);
    run_destroy(chunked);
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    run *r = run_create(64, 0);
    int32_t bad[] = {1, -1}, far[] = {1 << 30};
    uint32_t n = lp_runner_n_tokens(r->runner);
    assert_int_equal(lp_runner_feed(r->runner, bad, 2), LP_E_ARG);
    assert_non_null(strstr(r->ctx.message, "token 1 is -1"));
    assert_int_equal(lp_runner_feed(r->runner, far, 1), LP_E_ARG);
    assert_int_equal(lp_runner_n_tokens(r->runner), n);
    assert_int_equal(lp_runner_rewind(r->runner, n + 1), LP_E_ARG);
    lp_sampling wrong = warm;
    wrong.temperature = -1;
    assert_int_equal(lp_runner_sampling(r->runner, &wrong), LP_E_ARG);
    CHECK(r, lp_runner_rewind(r->runner, 0));
    int32_t token;
    assert_int_equal(lp_runner_next(r->runner, 1, &token), LP_E_ARG);
    assert_int_equal(lp_runner_eval(r->runner, NULL), LP_E_ARG);
    run_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_equals_fresh_recording),
        cmocka_unit_test(a_stop_string_in_the_middle_changes_nothing),
        cmocka_unit_test(the_host_draws_what_the_device_draws),
        cmocka_unit_test(a_caller_can_stop),
        cmocka_unit_test(a_full_context_ends_the_text),
        cmocka_unit_test(chunks_agree),
        cmocka_unit_test(bad_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
