/* The generation loop: see generate.h. */
#define _POSIX_C_SOURCE 200809L
#include "text/generate.h"

#include <stdlib.h>
#include <time.h>

#include "text/stop.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

lp_status lp_generate_token(lp_runner *runner, lp_sampler *sampler, lp_speculation *speculation,
                            uint32_t wanted, int32_t *token)
{
    if (speculation == NULL && (sampler == NULL || lp_sampler_on_device(sampler)))
        return lp_runner_next(runner, wanted, token);
    const uint32_t n_tokens = lp_runner_n_tokens(runner), window = lp_sampler_window(sampler);
    const uint32_t n = n_tokens < window ? n_tokens : window;
    float *logits;
    int32_t *history;
    LP_TRY(lp_sampler_room(sampler, n, &logits, &history));
    LP_TRY(speculation != NULL ? lp_speculation_logits(speculation, wanted, logits)
                               : lp_runner_logits(runner, logits));
    LP_TRY(lp_runner_tokens(runner, n_tokens - n, n, history));
    LP_TRY(lp_sampler_draw(sampler, logits, history, n, lp_runner_n_draws(runner), token));
    return speculation != NULL ? lp_speculation_drawn(speculation, *token)
                               : lp_runner_drawn(runner, *token);
}

/* Makes room in a full context; *full: that is not wanted or not possible. */
static lp_status make_room(lp_runner *runner, const lp_generate_options *options,
                           lp_generation *result, bool *full)
{
    const uint32_t n = lp_runner_n_tokens(runner), keep = options->keep;
    *full = n >= lp_runner_n_ctx(runner);
    if (!*full || !options->shift || keep >= n || (n - keep) / 2 == 0)
        return LP_OK;
    *full = false;
    result->n_shifts++;
    return lp_runner_forget(runner, keep, (n - keep) / 2);
}

lp_status lp_generate(lp_context *ctx, lp_runner *runner, const lp_tokenizer *tokenizer,
                      lp_sampler *sampler, lp_speculation *speculation,
                      const lp_generate_options *options, lp_generation *result)
{
    lp_status status = LP_OK;
    lp_stop_text text = {.stops = options->stop,
                         .n_stops = options->n_stop,
                         .on_text = options->on_text,
                         .user = options->user};
    const uint32_t most = options->max_tokens ? options->max_tokens : UINT32_MAX;
    double start = now();
    *result = (lp_generation){.n_prompt = lp_runner_n_pending(runner),
                              .ending = LP_ENDED_LENGTH};
    for (;;) {
        int32_t token;
        const char *bytes;
        size_t n;
        bool full;
        if (sampler != NULL && lp_sampler_is_finished(sampler)) {
            result->ending = LP_ENDED_GRAMMAR;
            break;
        }
        if (result->n_tokens >= most)
            break;
        LP_CHECK(make_room(runner, options, result, &full));
        if (full) {
            result->ending = LP_ENDED_CONTEXT;
            break;
        }
        LP_CHECK(lp_generate_token(runner, sampler, speculation, most - result->n_tokens, &token));
        if (result->n_tokens++ == 0)
            result->first_token_seconds = now() - start;
        if (lp_tokenizer_is_end(tokenizer, token)) {
            result->ending = LP_ENDED_END_TOKEN;
            LP_CHECK(lp_runner_rewind(runner, lp_runner_n_tokens(runner) - 1));
            if (sampler != NULL)
                LP_CHECK(lp_sampler_take_back(sampler, 1));
            break;
        }
        if ((uint32_t)token >= lp_tokenizer_size(tokenizer))
            continue; /* a row that pads the embedding: no text */
        LP_CHECK(lp_detokenize(ctx, tokenizer, token, &bytes, &n));
        LP_CHECK(lp_stop_push(ctx, &text, bytes, n));
        if (text.found || text.refused)
            break;
    }
    LP_CHECK(lp_runner_rewind(runner, lp_runner_n_tokens(runner)));
    LP_CHECK(lp_stop_finish(ctx, &text));
    if (text.found || text.refused)
        result->ending = text.found ? LP_ENDED_STOP_STRING : LP_ENDED_CALLER;
    result->seconds = now() - start;
cleanup:
    free(text.held);
    return status;
}
