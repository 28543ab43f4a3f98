/* Beam search with a runner, see search.h. */
#include "text/search.h"

#include <stdlib.h>
#include <string.h>

typedef struct search {
    lp_context *ctx;
    lp_runner *runner;
    lp_beams *beams;
    int32_t *held; /* tokens of the runner */
    uint32_t n_held;
    float *logits; /* [V] */
} search;

static uint32_t n_common(const search *s, lp_sequence beam)
{
    uint32_t n = 0;
    while (n < beam.n && n < s->n_held && beam.tokens[n] == s->held[n])
        n++;
    return n;
}

/* The logits behind a beam, of which the runner holds the first n_kept tokens. */
static lp_status evaluate(search *s, lp_sequence beam, uint32_t n_kept)
{
    s->n_held = 0;
    LP_TRY(lp_runner_rewind(s->runner, n_kept));
    LP_TRY(lp_runner_feed(s->runner, beam.tokens + n_kept, beam.n - n_kept));
    LP_TRY(lp_runner_logits(s->runner, s->logits));
    memcpy(s->held, beam.tokens, beam.n * sizeof *s->held);
    s->n_held = beam.n;
    return LP_OK;
}

/* All open beams, next the one that has most in common with what the runner holds. */
static lp_status step(search *s)
{
    bool done[LP_MAX_BEAMS] = {false};
    const uint32_t n = lp_beams_n_open(s->beams);
    for (uint32_t turn = 0; turn < n; turn++) {
        uint32_t best = n, most = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (done[i])
                continue;
            const uint32_t common = n_common(s, lp_beams_open(s->beams, i));
            if (best == n || common > most) {
                best = i;
                most = common;
            }
        }
        done[best] = true;
        LP_TRY(evaluate(s, lp_beams_open(s->beams, best), most));
        lp_beams_offer(s->beams, best, s->logits);
    }
    return LP_OK;
}

lp_status lp_search(lp_context *ctx, lp_runner *runner, const lp_search_rules *rules,
                    const lp_search_options *options, int (*on_step)(void *user), void *user,
                    lp_beams **beams)
{
    lp_status status = LP_OK;
    search s = {.ctx = ctx, .runner = runner};
    lp_search_options o = *options;
    const uint32_t n_ctx = lp_runner_n_ctx(runner);
    const uint32_t n_vocab = lp_runner_network(runner)->hparams.n_vocab;
    *beams = NULL;
    o.max_tokens = o.max_tokens < n_ctx ? o.max_tokens : n_ctx;
    LP_TRY(lp_beams_create(ctx, rules, &o, n_vocab, &s.beams));
    s.held = malloc(n_ctx * sizeof *s.held);
    s.logits = malloc(n_vocab * sizeof *s.logits);
    if (s.held == NULL || s.logits == NULL) {
        status = lp_fail_memory(ctx, "a search");
        goto cleanup;
    }
    do {
        LP_CHECK(step(&s));
        if (on_step != NULL && on_step(user) != 0) {
            status = lp_fail(ctx, LP_E_CANCELLED, "the search was interrupted");
            goto cleanup;
        }
    } while (lp_beams_next(s.beams));
    *beams = s.beams;
    s.beams = NULL;
cleanup:
    lp_beams_destroy(s.beams);
    free(s.held);
    free(s.logits);
    return status;
}
