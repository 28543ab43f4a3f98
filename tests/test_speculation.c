/* Speculative decoding on every device: whatever guesses, the tokens are those that are drawn
 * without it. Plans are deterministic, so that a pass for many tokens gives the bits that passes
 * for one give, and "the same" needs no exceptions. */
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
#include "text/tokenizer.h"

#define MODEL    FIXTURE("llama2.gguf")
#define PROMPT   "hello there, hello"
#define N_TOKENS 64
#define N_CTX    128

#define CHECK(ctx, call)                                                                           \
    do {                                                                                           \
        lp_status status_ = (call);                                                                \
        if (status_ != LP_OK)                                                                      \
            fail_msg("%s: %s (%s)", #call, (ctx)->message, lp_status_text(status_));               \
    } while (0)

/* A model on the device of this run. */
typedef struct machine {
    lp_context ctx;
    lp_test_device *device;
    lp_runner *runner;
} machine;

static machine *machine_create(const lp_network *network, uint32_t n_ctx)
{
    machine *m = calloc(1, sizeof *m);
    assert_non_null(m);
    const lp_session_options options = {.n_ctx = n_ctx, .n_batch = 16, .cache_type = LP_F16};
    const lp_runner_programs programs = {.plan = {.deterministic = true}};
    lp_backend *backend = lp_test_device_create(&m->ctx, test_device(), &m->device);
    CHECK(&m->ctx, lp_runner_create(&m->ctx, network, backend, &options, &programs, &m->runner));
    return m;
}

static void machine_destroy(machine *m)
{
    if (m == NULL)
        return;
    lp_runner_destroy(m->runner);
    lp_test_device_destroy(m->device);
    free(m);
}

/* Who guesses. */
typedef enum guesser { NOBODY, LOOKUP, SAME, OTHER, GARBAGE, N_GUESSERS } guesser;

/* Everything that the tests share. */
typedef struct stage {
    lp_context ctx;
    lp_network *networks[N_GUESSERS]; /* those of drafts, and NOBODY's is the target's */
    lp_tokenizer *tokenizer;
    machine *target, *drafts[N_GUESSERS];
    int32_t *prompt;
    size_t n_prompt;
} stage;

static lp_network *open_model(lp_context *ctx)
{
    lp_network *network;
    CHECK(ctx, lp_network_open(ctx, MODEL, &network));
    return network;
}

static int stage_create(void **state)
{
    stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    for (int g = 0; g < N_GUESSERS; g++)
        s->networks[g] = g == LOOKUP ? NULL : open_model(&s->ctx);
    s->networks[OTHER]->hparams.attn_scale *= 0.5f; /* a model that resembles the target */
    s->networks[GARBAGE]->hparams.embed_scale = 0;  /* one that sees nothing */
    CHECK(&s->ctx, lp_tokenizer_from_gguf(&s->ctx, s->networks[NOBODY]->gguf, &s->tokenizer));
    CHECK(&s->ctx, lp_tokenize(&s->ctx, s->tokenizer, PROMPT, strlen(PROMPT),
                               LP_TOKENIZE_ADD_SPECIAL, &s->prompt, &s->n_prompt));
    s->target = machine_create(s->networks[NOBODY], N_CTX);
    for (int g = SAME; g < N_GUESSERS; g++)
        s->drafts[g] = machine_create(s->networks[g], N_CTX);
    *state = s;
    return 0;
}

static int stage_destroy(void **state)
{
    stage *s = *state;
    machine_destroy(s->target);
    for (int g = SAME; g < N_GUESSERS; g++)
        machine_destroy(s->drafts[g]);
    for (int g = 0; g < N_GUESSERS; g++)
        lp_network_destroy(s->networks[g]);
    lp_tokenizer_destroy(s->tokenizer);
    free(s->prompt);
    free(s);
    return 0;
}

typedef struct way {
    lp_sampling sampling;
    guesser who;
    uint32_t most;
    float min_p;
} way;

/* What one way draws: a sampler and, unless nobody guesses, a speculation. */
typedef struct drawing {
    machine *m;
    lp_sampler *sampler;
    lp_speculation *speculation;
} drawing;

static drawing drawing_start(stage *s, const way *w)
{
    drawing d = {.m = s->target};
    lp_context *ctx = &d.m->ctx;
    CHECK(ctx, lp_sampler_create(ctx, s->tokenizer, s->networks[NOBODY]->hparams.n_vocab,
                                 &w->sampling, &d.sampler));
    const lp_sampling plain = lp_sampler_for_device(d.sampler);
    CHECK(ctx, lp_runner_rewind(d.m->runner, 0));
    CHECK(ctx, lp_runner_sampling(d.m->runner, &plain));
    CHECK(ctx, lp_runner_feed(d.m->runner, s->prompt, s->n_prompt));
    if (w->who == NOBODY)
        return d;
    machine *draft = w->who == LOOKUP ? NULL : s->drafts[w->who];
    CHECK(ctx, lp_speculation_create(ctx, d.m->runner, draft != NULL ? draft->runner : NULL,
                                     w->most, w->min_p, &d.speculation));
    CHECK(ctx, lp_speculation_sampling(d.speculation, &plain));
    return d;
}

static void drawing_end(drawing *d)
{
    lp_speculation_destroy(d->speculation);
    lp_sampler_destroy(d->sampler);
}

static void draw(drawing *d, int32_t *tokens, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        CHECK(&d->m->ctx,
              lp_generate_token(d->m->runner, d->sampler, d->speculation, n - i, &tokens[i]));
}

static void draw_all(stage *s, const way *w, int32_t tokens[N_TOKENS], lp_draft_summary *summary)
{
    drawing d = drawing_start(s, w);
    draw(&d, tokens, N_TOKENS);
    assert_int_equal(lp_runner_n_tokens(s->target->runner), s->n_prompt + N_TOKENS);
    *summary = d.speculation != NULL ? lp_speculation_summary(d.speculation)
                                     : (lp_draft_summary){.n_tokens = N_TOKENS};
    drawing_end(&d);
}

#define PLAIN .top_p = 1, .repeat_penalty = 1
static const lp_sampling samplings[] = {
    {PLAIN},                   /* greedy */
    {PLAIN, .temperature = 1}, /* device */
    {.temperature = 1.2f,
     .top_k = 50,
     .top_p = 0.95f,
     .min_p = 0.02f,
     .repeat_penalty = 1.3f,
     .repeat_window = 16},
    {PLAIN, .temperature = 1, .typical_p = 0.9f},              /* host */
    {PLAIN, .temperature = 1, .mirostat = 2},                  /* host, with a state */
    {.top_p = 1, .repeat_penalty = 0.2f, .repeat_window = 64}, /* says the same again and again */
    {PLAIN, .temperature = 1, .dry_multiplier = 0.8f, .xtc_probability = 0.5f},
};
#define N_SAMPLINGS (sizeof samplings / sizeof samplings[0])

static const way guesses[] = {
    {.who = LOOKUP, .most = 4},  {.who = LOOKUP, .most = 1},
    {.who = SAME, .most = 4},    {.who = SAME, .most = 15, .min_p = 0.02f},
    {.who = OTHER, .most = 3},   {.who = OTHER, .most = 6, .min_p = 0.1f},
    {.who = GARBAGE, .most = 4},
};
#define N_GUESSES (sizeof guesses / sizeof guesses[0])

/* Many seeds; one on a driver on which everything takes its time. */
static void test_same_tokens(void **state)
{
    stage *s = *state;
    const bool vulkan = strncmp(test_device(), "vulkan", 6) == 0;
    const uint64_t n_seeds = test_device_is_slow() ? 1 : vulkan ? 2 : 5;
    lp_draft_summary sums[N_GUESSES] = {{0}};
    int32_t greedy[N_TOKENS];
    unsigned n_texts = 0;
    for (size_t i = 0; i < N_SAMPLINGS; i++)
        for (uint64_t seed = 0; seed < (samplings[i].temperature > 0 ? n_seeds : 1); seed++) {
            way w = {.sampling = samplings[i]};
            int32_t want[N_TOKENS], got[N_TOKENS];
            lp_draft_summary summary;
            w.sampling.seed = 1000 * i + seed;
            draw_all(s, &w, want, &summary);
            if (i == 0)
                memcpy(greedy, want, sizeof want);
            n_texts += memcmp(greedy, want, sizeof want) != 0;
            for (size_t g = 0; g < N_GUESSES; g++) {
                w = guesses[g];
                w.sampling = samplings[i];
                w.sampling.seed = 1000 * i + seed;
                draw_all(s, &w, got, &summary);
                for (uint32_t t = 0; t < N_TOKENS; t++)
                    if (got[t] != want[t])
                        fail_msg("sampling %zu, seed %d, guesses %zu: token %u is %d, not %d", i,
                                 (int)seed, g, t, got[t], want[t]);
                assert_int_equal(summary.n_tokens, N_TOKENS);
                assert_true(summary.n_right <= summary.n_guessed);
                /* every evaluation gives one token more than guesses that were right */
                assert_int_equal(summary.n_passes + summary.n_right, N_TOKENS);
                if (w.who == SAME && i < 3) /* by the same numbers it draws the same */
                    assert_int_equal(summary.n_right, summary.n_guessed);
                sums[g].n_guessed += summary.n_guessed;
                sums[g].n_right += summary.n_right;
                sums[g].n_passes += summary.n_passes;
                sums[g].n_tokens += summary.n_tokens;
            }
        }
    assert_true(n_texts > 0); /* samplings do differ */
    for (size_t g = 0; g < N_GUESSES; g++)
        print_message("guesses %zu: %u of %u right, %.2f tokens per evaluation\n", g,
                      (unsigned)sums[g].n_right, (unsigned)sums[g].n_guessed,
                      (double)sums[g].n_tokens / (double)sums[g].n_passes);
    for (size_t g = 0; g < N_GUESSES; g++)
        if (guesses[g].who != GARBAGE)
            assert_true(sums[g].n_right > 0);
    assert_true(sums[4].n_right < sums[4].n_guessed);      /* the other one errs */
    assert_true(sums[6].n_right < sums[6].n_guessed / 10); /* garbage nearly always */
    assert_true(sums[2].n_passes * 2 < sums[2].n_tokens);  /* four guesses, most right */
}

/* Between draws the session is used in other ways: what was looked at ahead must not be taken for
 * what is now. */
static void test_in_between(void **state)
{
    stage *s = *state;
    int32_t want[3][24], got[3][24];
    for (int round = 0; round < 2; round++) {
        way w = {.sampling = samplings[2], .who = round == 0 ? NOBODY : SAME, .most = 5};
        drawing d = drawing_start(s, &w);
        lp_runner *runner = s->target->runner;
        lp_context *ctx = &s->target->ctx;
        int32_t(*tokens)[24] = round == 0 ? want : got;
        draw(&d, tokens[0], 23); /* in the middle of guesses */
        CHECK(ctx, lp_runner_rewind(runner, lp_runner_n_tokens(runner) - 3));
        CHECK(ctx, lp_runner_feed(runner, s->prompt + 2, 3)); /* as many others */
        draw(&d, tokens[1], 22);
        CHECK(ctx, lp_runner_forget(runner, 1, 20));
        draw(&d, tokens[2], 24);
        assert_int_equal(lp_runner_n_tokens(runner), s->n_prompt + 23 + 22 + 24 - 20);
        drawing_end(&d);
    }
    assert_memory_equal(want[0], got[0], 23 * 4);
    assert_memory_equal(want[1], got[1], 22 * 4);
    assert_memory_equal(want[2], got[2], 24 * 4);
}

/* To the last place of the context, also of a draft's that is shorter. */
static void test_full_context(void **state)
{
    stage *s = *state;
    const uint32_t n = N_CTX - (uint32_t)s->n_prompt;
    int32_t want[N_CTX], got[N_CTX], more;
    machine *all = s->drafts[SAME];
    for (int round = 0; round < 3; round++) {
        way w = {.sampling = samplings[0], .who = round == 0 ? NOBODY : SAME, .most = 7};
        if (round == 2)
            s->drafts[SAME] = machine_create(s->networks[SAME], N_CTX / 2 + 1);
        drawing d = drawing_start(s, &w);
        for (uint32_t i = 0; i < n; i++) /* as if without end */
            CHECK(&d.m->ctx, lp_generate_token(d.m->runner, d.sampler, d.speculation, 0,
                                               round == 0 ? &want[i] : &got[i]));
        assert_int_equal(lp_generate_token(d.m->runner, d.sampler, d.speculation, 0, &more),
                         LP_E_LIMIT);
        drawing_end(&d);
        if (round > 0)
            assert_memory_equal(want, got, n * sizeof *want);
    }
    machine_destroy(s->drafts[SAME]);
    s->drafts[SAME] = all;
}

static void test_refusals(void **state)
{
    stage *s = *state;
    lp_context ctx = {0};
    lp_tokenizer *other;
    lp_gguf *gguf;
    lp_weights *weights = lp_weights_create();
    lp_speculation *speculation;
    CHECK(&ctx, lp_speculation_check(&ctx, s->tokenizer, s->tokenizer));
    CHECK(&ctx, lp_gguf_open(&ctx, FIXTURE("gpt2.gguf"), weights, &gguf));
    CHECK(&ctx, lp_tokenizer_from_gguf(&ctx, gguf, &other));
    assert_int_equal(lp_speculation_check(&ctx, s->tokenizer, other), LP_E_SHAPE);
    assert_non_null(strstr(ctx.message, "the draft has another vocabulary: token 0 is \""));
    lp_tokenizer_destroy(other);
    lp_gguf_destroy(gguf);
    lp_weights_destroy(weights);
    lp_runner *runner = s->target->runner;
    assert_int_equal(lp_speculation_create(&ctx, runner, NULL, 0, 0, &speculation), LP_E_ARG);
    assert_int_equal(lp_speculation_create(&ctx, runner, NULL, 65, 0, &speculation), LP_E_ARG);
    assert_int_equal(lp_speculation_create(&ctx, runner, NULL, 4, 1.5f, &speculation), LP_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_tokens),
        cmocka_unit_test(test_in_between),
        cmocka_unit_test(test_full_context),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, stage_create, stage_destroy);
}
