/* The generation loop: see generate.h. Text that may be the start of a stop string is held back
 * until it is known not to be one. */
#define _POSIX_C_SOURCE 200809L
#include "text/generate.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct output {
    const lp_generate_options *options;
    lp_utf8_stream utf8;
    char *held; /* whole characters, not given out yet */
    size_t n_held, capacity;
    bool found_stop, stopped_by_caller;
} output;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void give(output *out, size_t n)
{
    if (n > 0 && out->options->on_text != NULL && !out->stopped_by_caller &&
        out->options->on_text(out->options->user, out->held, n) != 0)
        out->stopped_by_caller = true;
    memmove(out->held, out->held + n, out->n_held - n);
    out->n_held -= n;
}

/* Gives out what cannot belong to a stop string; at the first stop string, what is before it. */
static void flush(output *out, bool at_end)
{
    size_t keep_from = out->n_held;
    for (size_t at = 0; at < out->n_held && keep_from == out->n_held; at++)
        for (size_t s = 0; s < out->options->n_stop; s++) {
            const char *stop = out->options->stop[s];
            size_t n = strlen(stop), left = out->n_held - at;
            if (n == 0 || memcmp(out->held + at, stop, n < left ? n : left) != 0)
                continue;
            if (n <= left) {
                give(out, at);
                out->n_held = 0;
                out->found_stop = true;
                return;
            }
            if (at < keep_from && !at_end)
                keep_from = at;
        }
    give(out, keep_from);
}

static lp_status reserve(lp_context *ctx, output *out, size_t more)
{
    if (out->n_held + more <= out->capacity)
        return LP_OK;
    size_t capacity = 2 * (out->n_held + more);
    char *held = realloc(out->held, capacity);
    if (held == NULL)
        return lp_fail_memory(ctx, "generated text");
    out->held = held;
    out->capacity = capacity;
    return LP_OK;
}

static lp_status push(lp_context *ctx, output *out, const char *bytes, size_t n)
{
    LP_TRY(reserve(ctx, out, 3 * (n + 4)));
    out->n_held += lp_utf8_push(&out->utf8, bytes, n, out->held + out->n_held);
    flush(out, false);
    return LP_OK;
}

lp_status lp_generate(lp_context *ctx, lp_runner *runner, const lp_tokenizer *tokenizer,
                      const lp_generate_options *options, lp_generation *result)
{
    lp_status status = LP_OK;
    output out = {.options = options};
    uint32_t most = options->max_tokens ? options->max_tokens : UINT32_MAX;
    double start = now();
    *result = (lp_generation){.n_prompt = lp_runner_n_pending(runner),
                              .ending = LP_ENDED_LENGTH};
    while (result->n_tokens < most) {
        int32_t token;
        const char *bytes;
        size_t n;
        if (lp_runner_n_tokens(runner) >= lp_runner_n_ctx(runner)) {
            result->ending = LP_ENDED_CONTEXT;
            break;
        }
        LP_CHECK(lp_runner_next(runner, most - result->n_tokens, &token));
        if (result->n_tokens++ == 0)
            result->first_token_seconds = now() - start;
        if (lp_tokenizer_is_end(tokenizer, token)) {
            result->ending = LP_ENDED_END_TOKEN;
            LP_CHECK(lp_runner_rewind(runner, lp_runner_n_tokens(runner) - 1));
            break;
        }
        if ((uint32_t)token >= lp_tokenizer_size(tokenizer))
            continue; /* a row that pads the embedding: no text */
        LP_CHECK(lp_detokenize(ctx, tokenizer, token, &bytes, &n));
        LP_CHECK(push(ctx, &out, bytes, n));
        if (out.found_stop || out.stopped_by_caller) {
            result->ending = out.found_stop ? LP_ENDED_STOP_STRING : LP_ENDED_CALLER;
            break;
        }
    }
    LP_CHECK(lp_runner_rewind(runner, lp_runner_n_tokens(runner)));
    if (!out.found_stop && !out.stopped_by_caller) {
        LP_CHECK(reserve(ctx, &out, 12));
        out.n_held += lp_utf8_finish(&out.utf8, out.held + out.n_held);
        flush(&out, true);
    }
    result->seconds = now() - start;
cleanup:
    free(out.held);
    return status;
}
