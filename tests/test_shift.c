/* Going on when the context is full, on every device: the text is, token for token, what a session
 * gives that has never seen what was forgotten, whatever the model does with positions. */
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
#include "text/generate.h"

#define STORY LAPILLI_MODELS_DIR "/story/story.gguf"
#define N_CTX 48

typedef struct run {
    lp_context ctx;
    lp_test_device *device;
    lp_network *network;
    lp_tokenizer *tokenizer; /* of the story model */
    lp_runner *runner;
} run;

#define CHECK(r, call)                                                                             \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s", (r)->ctx.message);                                                      \
    } while (0)

/* Deterministic: a token's numbers do not depend on how many are computed with it, so that tokens
 * that were drawn one by one may be compared with tokens that were fed. */
static run *run_create(const char *model)
{
    run *r = calloc(1, sizeof *r);
    lp_session_options options = {.n_ctx = N_CTX, .cache_type = LP_F16};
    lp_runner_programs programs = {.plan.deterministic = true};
    CHECK(r, lp_network_open(&r->ctx, model, &r->network));
    if (strcmp(model, STORY) == 0)
        CHECK(r, lp_tokenizer_open(&r->ctx, model, &r->tokenizer));
    lp_backend *backend = lp_test_device_create(&r->ctx, test_device(), &r->device);
    CHECK(r, lp_runner_create(&r->ctx, r->network, backend, &options, &programs, &r->runner));
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

/* Forgets [first, first + n) of `all`, which has n_all tokens. */
static void forget(int32_t *all, uint32_t *n_all, uint32_t first, uint32_t n)
{
    memmove(all + first, all + first + n, (*n_all - first - n) * sizeof *all);
    *n_all -= n;
}

/* RoPE, learned positions, ALiBi, sliding windows: drawing with things forgotten in between gives
 * what a session gives that is fed what is left; logits and all tokens are the same. */
static void forgotten_tokens_leave_no_trace(void **state)
{
    (void)state;
    static const char *const models[] = {FIXTURE("llama2.gguf"), FIXTURE("gpt2.gguf"),
                                         FIXTURE("bloom"), FIXTURE("mistral")};
    const size_t n_models = test_device_is_slow() ? 1 : sizeof models / sizeof *models;
    for (size_t m = 0; m < n_models; m++) {
        run *r = run_create(models[m]), *fresh = run_create(models[m]);
        uint32_t n_vocab = r->network->hparams.n_vocab, n = 12;
        float *x = malloc(2 * n_vocab * sizeof *x), *y = x + n_vocab;
        int32_t all[N_CTX], again[N_CTX];
        for (uint32_t i = 0; i < n; i++)
            all[i] = (int32_t)(i * 37 % n_vocab);
        CHECK(r, lp_runner_feed(r->runner, all, n));
        for (uint32_t round = 0; round < 3; round++) {
            for (; n < N_CTX; n++)
                CHECK(r, lp_runner_next(r->runner, N_CTX - n, &all[n]));
            uint32_t first = 5 * round, count = round == 1 ? 40 : (N_CTX - first) / 2;
            if (first + count > n)
                count = n - first;
            CHECK(r, lp_runner_forget(r->runner, first, count));
            forget(all, &n, first, count);
            assert_int_equal(lp_runner_n_tokens(r->runner), n);
            CHECK(fresh, lp_runner_rewind(fresh->runner, 0));
            CHECK(fresh, lp_runner_feed(fresh->runner, all, n));
            CHECK(r, lp_runner_eval(r->runner, x));
            CHECK(fresh, lp_runner_eval(fresh->runner, y));
            assert_memory_equal(x, y, n_vocab * sizeof *x);
            for (uint32_t i = 0; i < 4; i++, n++) {
                int32_t token;
                CHECK(r, lp_runner_next(r->runner, 4 - i, &all[n]));
                CHECK(fresh, lp_runner_next(fresh->runner, 4 - i, &token));
                assert_int_equal(token, all[n]);
            }
            CHECK(r, lp_runner_tokens(r->runner, 0, n, again));
            assert_memory_equal(again, all, n * sizeof *all);
        }
        free(x);
        run_destroy(r);
        run_destroy(fresh);
    }
}

static void bad_ranges_are_refused(void **state)
{
    (void)state;
    run *r = run_create(FIXTURE("llama2.gguf"));
    int32_t tokens[] = {1, 2, 3, 4, 5}, left[4];
    CHECK(r, lp_runner_feed(r->runner, tokens, 5));
    assert_int_equal(lp_runner_forget(r->runner, 6, 0), LP_E_ARG);
    assert_int_equal(lp_runner_forget(r->runner, 3, 3), LP_E_ARG);
    assert_int_equal(lp_runner_forget(r->runner, 1, UINT32_MAX), LP_E_ARG);
    assert_int_equal(lp_runner_n_tokens(r->runner), 5);
    CHECK(r, lp_runner_forget(r->runner, 5, 0));
    CHECK(r, lp_runner_forget(r->runner, 2, 1));
    CHECK(r, lp_runner_tokens(r->runner, 0, 4, left));
    assert_int_equal(left[1], 2);
    assert_int_equal(left[2], 4);
    CHECK(r, lp_runner_forget(r->runner, 0, 4));
    assert_int_equal(lp_runner_n_tokens(r->runner), 0);
    run_destroy(r);
}

/* ---- The generation loop ------------------------------------------------------------------- */

typedef struct text {
    char data[4096];
    size_t bytes;
} text;

static int collect(void *user, const char *bytes, size_t n)
{
    text *t = user;
    assert_true(t->bytes + n < sizeof t->data);
    memcpy(t->data + t->bytes, bytes, n);
    t->bytes += n;
    return 0;
}

static void feed_prompt(run *r)
{
    static const char prompt[] = "One day, a little girl went to the park.";
    int32_t *tokens;
    size_t n;
    CHECK(r, lp_tokenize(&r->ctx, r->tokenizer, prompt, strlen(prompt), LP_TOKENIZE_ADD_SPECIAL,
                         &tokens, &n));
    CHECK(r, lp_runner_feed(r->runner, tokens, n));
    free(tokens);
}

static lp_generation generate(run *r, lp_generate_options options, text *t)
{
    lp_generation g;
    options.on_text = collect;
    options.user = t;
    CHECK(r, lp_generate(&r->ctx, r->runner, r->tokenizer, NULL, NULL, &options, &g));
    return g;
}

/* The text beyond the context, one context after the other, by hand. */
static uint32_t expected_text(uint32_t keep, uint32_t most, text *t)
{
    run *r = run_create(STORY);
    int32_t all[N_CTX];
    uint32_t n, n_shifts = 0;
    feed_prompt(r);
    n = lp_runner_n_tokens(r->runner);
    CHECK(r, lp_runner_tokens(r->runner, 0, n, all));
    for (uint32_t i = 0; i < most; i++) {
        const char *bytes;
        size_t n_bytes;
        if (n == N_CTX) {
            forget(all, &n, keep, (n - keep) / 2);
            n_shifts++;
        }
        CHECK(r, lp_runner_rewind(r->runner, 0));
        CHECK(r, lp_runner_feed(r->runner, all, n));
        CHECK(r, lp_runner_next(r->runner, 1, &all[n]));
        if (lp_tokenizer_is_end(r->tokenizer, all[n]))
            break;
        CHECK(r, lp_detokenize(&r->ctx, r->tokenizer, all[n++], &bytes, &n_bytes));
        collect(t, bytes, n_bytes);
    }
    run_destroy(r);
    return n_shifts;
}

static void generation_goes_on_in_a_full_context(void **state)
{
    (void)state;
    static const uint32_t keeps[] = {7, 0, 45};
    const size_t n_keeps = test_device_is_slow() ? 1 : sizeof keeps / sizeof *keeps;
    for (size_t k = 0; k < n_keeps; k++) {
        run *r = run_create(STORY);
        text a = {0}, b = {0};
        feed_prompt(r);
        lp_generation g =
            generate(r, (lp_generate_options){.max_tokens = 90, .shift = 1, .keep = keeps[k]}, &a);
        uint32_t n_shifts = expected_text(keeps[k], 90, &b);
        assert_string_equal(a.data, b.data);
        assert_int_equal(g.n_shifts, n_shifts);
        assert_true(n_shifts > 0);
        run_destroy(r);
    }
}

static void without_room_it_ends(void **state)
{
    (void)state;
    run *r = run_create(STORY);
    text t = {0};
    static const lp_generate_options options[] = {
        {.max_tokens = 90},
        {.max_tokens = 90, .shift = 1, .keep = N_CTX - 1},
        {.max_tokens = 90, .shift = 1, .keep = UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        CHECK(r, lp_runner_rewind(r->runner, 0));
        feed_prompt(r);
        lp_generation g = generate(r, options[i], &t);
        assert_int_equal(g.ending, LP_ENDED_CONTEXT);
        assert_int_equal(g.n_shifts, 0);
        assert_int_equal(lp_runner_n_tokens(r->runner), N_CTX);
    }
    run_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forgotten_tokens_leave_no_trace),
        cmocka_unit_test(bad_ranges_are_refused),
        cmocka_unit_test(generation_goes_on_in_a_full_context),
        cmocka_unit_test(without_room_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
