/* See speculation.h. The target's history and cursor always say what the caller knows: guesses are
 * fed, evaluated and taken back at once. Their keys and values stay in the cache behind the cursor,
 * where nothing reads them; a guess that turns out right is adopted. */
#include "text/speculation.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/compare.h"

enum { LONGEST = 4, SHORTEST = 2 }; /* tokens that prompt lookup wants to see again */

/* A runner's tokens. */
typedef struct token_list {
    int32_t *at;
    uint32_t n, room;
} token_list;

struct lp_speculation {
    lp_context *ctx;
    lp_runner *target, *draft; /* draft NULL: lookup */
    lp_sampler *sampler;       /* of the draft */
    uint32_t n_vocab, n_vocab_draft, most;
    float min_p;
    token_list known, of_draft;
    float *draft_logits; /* [V of the draft] */

    /* The latest pass: logits [n_rows, V] after tokens [.., base) and each of the guesses. They are
     * good as long as nobody but us has changed the target's tokens. */
    float *rows;
    uint32_t n_rows, base;
    uint64_t edits;
    int32_t guesses[LP_SPECULATION_MAX];
    lp_draft_summary summary;
};

static lp_status fail_token(lp_context *ctx, uint32_t id, lp_tokenizer_text a, lp_tokenizer_text b)
{
    return lp_fail(ctx, LP_E_SHAPE,
                   "the draft has another vocabulary: token %u is \"%.*s\" there, \"%.*s\" here",
                   id, (int)(b.bytes < 60 ? b.bytes : 60), b.data,
                   (int)(a.bytes < 60 ? a.bytes : 60), a.data);
}

lp_status lp_speculation_check(lp_context *ctx, const lp_tokenizer *target,
                               const lp_tokenizer *draft)
{
    const uint32_t n = lp_tokenizer_size(target), m = lp_tokenizer_size(draft);
    for (uint32_t id = 0; id < n && id < m; id++) {
        lp_tokenizer_text a, b;
        LP_TRY(lp_token_text(ctx, target, (int32_t)id, &a.data, &a.bytes));
        LP_TRY(lp_token_text(ctx, draft, (int32_t)id, &b.data, &b.bytes));
        if (a.bytes != b.bytes || memcmp(a.data, b.data, a.bytes) != 0)
            return fail_token(ctx, id, a, b);
        if (lp_tokenizer_is_end(target, (int32_t)id) != lp_tokenizer_is_end(draft, (int32_t)id))
            return lp_fail(ctx, LP_E_SHAPE,
                           "the draft has another vocabulary: token %u, \"%.*s\", ends a text %s",
                           id, (int)(a.bytes < 60 ? a.bytes : 60), a.data,
                           lp_tokenizer_is_end(target, (int32_t)id) ? "only here" : "only there");
    }
    if (n != m)
        return lp_fail(ctx, LP_E_SHAPE, "the draft has another vocabulary: %u tokens, here %u", m,
                       n);
    return LP_OK;
}

static lp_status check_models(lp_context *ctx, const lp_network *target, lp_runner *draft)
{
    const uint32_t n_encoder = target->hparams.encoder.n_layer;
    if (draft != NULL &&
        (n_encoder > 0 || lp_runner_network(draft)->hparams.encoder.n_layer > 0))
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "encoder-decoders have no drafts; guesses can come from the text itself");
    if (target->hparams.route.capacity > 0)
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "the experts of %s models serve a limited number of tokens at once: guesses "
                       "would change the text",
                       target->hparams.arch->hf);
    return LP_OK;
}

lp_status lp_speculation_create(lp_context *ctx, lp_runner *target, lp_runner *draft, uint32_t most,
                                float min_p, lp_speculation **result)
{
    *result = NULL;
    if (most < 1 || most > LP_SPECULATION_MAX)
        return lp_fail(ctx, LP_E_ARG, "%u guesses per pass (1 to %d)", most, LP_SPECULATION_MAX);
    if (!(min_p >= 0 && min_p <= 1))
        return lp_fail(ctx, LP_E_ARG, "guesses with a probability of at least %g (0 to 1)",
                       (double)min_p);
    LP_TRY(check_models(ctx, lp_runner_network(target), draft));
    lp_speculation *s = calloc(1, sizeof *s);
    if (s == NULL)
        return lp_fail_memory(ctx, "guesses");
    s->ctx = ctx;
    s->target = target;
    s->draft = draft;
    s->most = most;
    s->min_p = min_p;
    s->n_vocab = lp_runner_network(target)->hparams.n_vocab;
    s->n_vocab_draft = draft != NULL ? lp_runner_network(draft)->hparams.n_vocab : 0;
    s->rows = malloc((most + 1ull) * s->n_vocab * sizeof *s->rows);
    s->draft_logits = malloc((s->n_vocab_draft + 1ull) * sizeof *s->draft_logits);
    if (s->rows == NULL || s->draft_logits == NULL) {
        lp_speculation_destroy(s);
        return lp_fail_memory(ctx, "guesses");
    }
    *result = s;
    return LP_OK;
}

void lp_speculation_destroy(lp_speculation *s)
{
    if (s == NULL)
        return;
    lp_sampler_destroy(s->sampler);
    free(s->known.at);
    free(s->of_draft.at);
    free(s->draft_logits);
    free(s->rows);
    free(s);
}

lp_status lp_speculation_sampling(lp_speculation *s, const lp_sampling *sampling)
{
    lp_sampler *sampler;
    if (s->draft == NULL)
        return LP_OK;
    LP_TRY(lp_sampler_create(s->ctx, NULL, s->n_vocab_draft, sampling, &sampler));
    lp_sampler_destroy(s->sampler);
    s->sampler = sampler;
    return LP_OK;
}

/* ---- Guessing ------------------------------------------------------------------------------ */

/* All tokens of a runner, with room for the guesses behind them. */
static lp_status read_tokens(lp_runner *runner, token_list *list)
{
    const uint32_t n = lp_runner_n_tokens(runner);
    if (n + LP_SPECULATION_MAX > list->room) {
        const uint32_t room = 2 * n + 1024;
        int32_t *at = realloc(list->at, room * sizeof *at);
        if (at == NULL)
            return lp_fail_memory(lp_runner_backend(runner)->ctx, "tokens");
        list->at = at;
        list->room = room;
    }
    list->n = n;
    return lp_runner_tokens(runner, 0, n, list->at);
}

/* Gives the draft the tokens that the target has. */
static lp_status catch_up(lp_speculation *s)
{
    uint32_t common = 0;
    LP_TRY(read_tokens(s->draft, &s->of_draft));
    while (common < s->known.n && common < s->of_draft.n &&
           s->known.at[common] == s->of_draft.at[common])
        common++;
    if (common < s->of_draft.n)
        LP_TRY(lp_runner_rewind(s->draft, common));
    return lp_runner_feed(s->draft, s->known.at + common, s->known.n - common);
}

/* Up to `most` guesses of the draft; *n: how many. */
static lp_status guess_by_draft(lp_speculation *s, uint32_t most, uint32_t *n)
{
    const uint32_t draws = lp_runner_n_draws(s->target), room = lp_runner_n_ctx(s->draft);
    *n = 0;
    if (s->sampler == NULL || s->known.n >= room)
        return LP_OK;
    LP_TRY(catch_up(s));
    for (; *n < most && s->known.n + *n < room; ++*n) {
        int32_t token;
        LP_TRY(lp_runner_logits(s->draft, s->draft_logits));
        LP_TRY(lp_sampler_draw(s->sampler, s->draft_logits, s->known.at, s->known.n + *n,
                               draws + *n, &token));
        if ((uint32_t)token >= s->n_vocab) /* pads the draft's embedding */
            return LP_OK;
        if (s->min_p > 0 &&
            exp((double)s->draft_logits[token] -
                lp_log_sum_exp(s->draft_logits, s->n_vocab_draft)) < (double)s->min_p)
            return LP_OK;
        LP_TRY(lp_runner_feed(s->draft, &token, 1));
        s->guesses[*n] = s->known.at[s->known.n + *n] = token;
    }
    return LP_OK;
}

/* What followed the latest place where the last tokens stood before. */
static uint32_t guess_by_lookup(lp_speculation *s, uint32_t most)
{
    const int32_t *at = s->known.at;
    const uint32_t n = s->known.n;
    for (uint32_t length = LONGEST; length >= SHORTEST; length--)
        for (uint32_t end = n; end-- > length;) {
            if (memcmp(at + end - length, at + n - length, length * sizeof *at) != 0)
                continue;
            const uint32_t n_guesses = n - end < most ? n - end : most;
            memcpy(s->guesses, at + end, n_guesses * sizeof *at);
            return n_guesses;
        }
    return 0;
}

/* ---- Looking ahead ------------------------------------------------------------------------- */

static void drop_rows(lp_speculation *s)
{
    s->n_rows = 0;
}

/* The row of logits that belongs to the target's next token, or NULL. */
static float *row(const lp_speculation *s)
{
    const uint32_t n = lp_runner_n_tokens(s->target);
    if (s->edits != lp_runner_edits(s->target) || n < s->base || n - s->base >= s->n_rows)
        return NULL;
    return s->rows + (size_t)(n - s->base) * s->n_vocab;
}

/* Makes rows, if something can be guessed. */
static lp_status look_ahead(lp_speculation *s, uint32_t wanted)
{
    const uint32_t n = lp_runner_n_tokens(s->target);
    uint32_t most = lp_runner_n_batch(s->target) - 1, n_guesses;
    drop_rows(s);
    if (n == 0 || lp_runner_n_pending(s->target) > 1) /* a prompt */
        return LP_OK;
    if (most > s->most)
        most = s->most;
    if (wanted != 0 && most > wanted - 1)
        most = wanted - 1;
    if (most > lp_runner_n_ctx(s->target) - n)
        most = lp_runner_n_ctx(s->target) - n;
    if (most == 0)
        return LP_OK;
    LP_TRY(read_tokens(s->target, &s->known));
    if (s->draft != NULL)
        LP_TRY(guess_by_draft(s, most, &n_guesses));
    else
        n_guesses = guess_by_lookup(s, most);
    if (n_guesses == 0)
        return LP_OK;
    LP_TRY(lp_runner_look_ahead(s->target, s->guesses, n_guesses, s->rows));
    s->n_rows = n_guesses + 1;
    s->base = n;
    s->edits = lp_runner_edits(s->target);
    s->summary.n_guessed += n_guesses;
    return LP_OK;
}

static bool usable(const float *logits, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!(logits[i] <= FLT_MAX)) /* -inf is a token that must not come */
            return false;
    return true;
}

lp_status lp_speculation_logits(lp_speculation *s, uint32_t wanted, float *logits)
{
    const float *from = row(s);
    if (from == NULL) {
        LP_TRY(look_ahead(s, wanted));
        s->summary.n_passes++;
        from = row(s);
    }
    if (from != NULL && usable(from, s->n_vocab)) {
        memcpy(logits, from, s->n_vocab * sizeof *logits);
        return LP_OK;
    }
    /* No guesses; or numbers that are not finite, perhaps because of a guess: looked into there. */
    drop_rows(s);
    return lp_runner_logits(s->target, logits);
}

lp_status lp_speculation_drawn(lp_speculation *s, int32_t token)
{
    const uint32_t at = lp_runner_n_tokens(s->target) - s->base;
    const bool right = row(s) != NULL && at + 1 < s->n_rows && s->guesses[at] == token;
    LP_TRY(lp_runner_drawn(s->target, token));
    s->summary.n_tokens++;
    if (!right) {
        drop_rows(s);
        return LP_OK;
    }
    s->summary.n_right++;
    LP_TRY(lp_runner_adopt(s->target, lp_runner_n_tokens(s->target)));
    s->edits = lp_runner_edits(s->target);
    return LP_OK;
}

lp_draft_summary lp_speculation_summary(const lp_speculation *s)
{
    return s->summary;
}
