/* Beam search, see beams.h. */
#include "text/beams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/compare.h"

/* A continuation: a token behind an open sequence. */
typedef struct candidate {
    double score; /* sum of log-probabilities with the token */
    uint32_t beam;
    int32_t token;
} candidate;

/* Sequences of equal capacity in one block. */
typedef struct sequences {
    int32_t *tokens; /* [n_beams, room] */
    uint32_t *lengths;
    double *scores;
    uint32_t n;
} sequences;

struct lp_beams {
    lp_search_rules rules;
    lp_search_options options;
    uint32_t n_vocab, room; /* tokens of the longest sequence */
    sequences open, spare, ended;
    candidate *candidates; /* the best so far, the best one first */
    uint32_t n_candidates, max_candidates;
    void *memory;
};

static lp_status check_token(lp_context *ctx, const char *what, int32_t token, uint32_t n_vocab)
{
    if (token >= 0 && (uint32_t)token < n_vocab)
        return LP_OK;
    return lp_fail(ctx, LP_E_ARG, "beam search: %s is %d; the vocabulary has %u tokens", what,
                   (int)token, n_vocab);
}

static lp_status check_rules(lp_context *ctx, const lp_search_rules *r, uint32_t n_vocab)
{
    LP_TRY(check_token(ctx, "the start token", r->start, n_vocab));
    if (r->n_ends > LP_MAX_ENDS)
        return lp_fail(ctx, LP_E_ARG, "beam search: %u end tokens; %d are possible", r->n_ends,
                       LP_MAX_ENDS);
    for (uint32_t i = 0; i < r->n_ends; i++)
        LP_TRY(check_token(ctx, "an end token", r->ends[i], n_vocab));
    if (r->first != -1)
        LP_TRY(check_token(ctx, "the forced first token", r->first, n_vocab));
    if (r->last != -1)
        LP_TRY(check_token(ctx, "the forced last token", r->last, n_vocab));
    for (size_t i = 0; i < r->n_banned; i++) {
        if (r->banned[i].n == 0)
            return lp_fail(ctx, LP_E_ARG, "beam search: a banned run of no tokens");
        for (uint32_t k = 0; k < r->banned[i].n; k++)
            LP_TRY(check_token(ctx, "a banned token", r->banned[i].tokens[k], n_vocab));
    }
    return LP_OK;
}

static lp_status check_options(lp_context *ctx, const lp_search_options *o)
{
    if (o->n_beams < 1 || o->n_beams > LP_MAX_BEAMS)
        return lp_fail(ctx, LP_E_ARG, "%u beams; 1 to %d are possible", o->n_beams, LP_MAX_BEAMS);
    if (o->n_best < 1 || o->n_best > o->n_beams)
        return lp_fail(ctx, LP_E_ARG, "the %u best of %u beams", o->n_best, o->n_beams);
    if (o->max_tokens < 1 || o->max_tokens > 1u << 20)
        return lp_fail(ctx, LP_E_ARG, "answers of up to %u tokens; 1 to %u are possible",
                       o->max_tokens, 1u << 20);
    if (!isfinite(o->length_penalty) || fabsf(o->length_penalty) > 100)
        return lp_fail(ctx, LP_E_ARG, "a length penalty of %g; -100 to 100 is possible",
                       (double)o->length_penalty);
    if (!(o->repeat_penalty > 0 && isfinite(o->repeat_penalty)))
        return lp_fail(ctx, LP_E_ARG, "a repeat penalty of %g; it must be positive",
                       (double)o->repeat_penalty);
    if ((unsigned)o->early_stopping > LP_STOP_HOPELESS)
        return lp_fail(ctx, LP_E_ARG, "early stopping %d does not exist", (int)o->early_stopping);
    return LP_OK;
}

lp_status lp_beams_create(lp_context *ctx, const lp_search_rules *rules,
                          const lp_search_options *options, uint32_t n_vocab, lp_beams **result)
{
    *result = NULL;
    LP_TRY(check_options(ctx, options));
    LP_TRY(check_rules(ctx, rules, n_vocab));
    const size_t n = options->n_beams, room = options->max_tokens + 1u;
    /* Enough that n_beams of them go on even if every beam could end in each way. */
    const size_t most = n * (rules->n_ends > 1 ? rules->n_ends + 1 : 2);
    lp_beams *b = calloc(1, sizeof *b);
    const size_t each = n * (sizeof(double) + sizeof(uint32_t) + room * sizeof(int32_t));
    uint8_t *at = b != NULL ? calloc(1, most * sizeof(candidate) + 3 * each) : NULL;
    if (at == NULL) {
        free(b);
        return lp_fail_memory(ctx, "the beams");
    }
    b->memory = at;
    b->rules = *rules;
    b->options = *options;
    b->n_vocab = n_vocab;
    b->room = (uint32_t)room;
    b->max_candidates = (uint32_t)most;
    b->candidates = (candidate *)(void *)at;
    at += most * sizeof(candidate);
    sequences *const all[] = {&b->open, &b->spare, &b->ended};
    for (int i = 0; i < 3; i++, at += n * sizeof(double))
        all[i]->scores = (double *)(void *)at;
    for (int i = 0; i < 3; i++, at += n * sizeof(uint32_t))
        all[i]->lengths = (uint32_t *)(void *)at;
    for (int i = 0; i < 3; i++, at += n * room * sizeof(int32_t))
        all[i]->tokens = (int32_t *)(void *)at;
    b->open.n = 1;
    b->open.tokens[0] = rules->start;
    b->open.lengths[0] = 1;
    *result = b;
    return LP_OK;
}

void lp_beams_destroy(lp_beams *b)
{
    if (b == NULL)
        return;
    free(b->memory);
    free(b);
}

static lp_sequence sequence_of(const lp_beams *b, const sequences *s, uint32_t i)
{
    return (lp_sequence){s->tokens + (size_t)i * b->room, s->lengths[i], s->scores[i]};
}

uint32_t lp_beams_n_open(const lp_beams *b)
{
    return b->open.n;
}

lp_sequence lp_beams_open(const lp_beams *b, uint32_t i)
{
    return sequence_of(b, &b->open, i);
}

uint32_t lp_beams_n_ended(const lp_beams *b)
{
    return b->ended.n;
}

lp_sequence lp_beams_ended(const lp_beams *b, uint32_t i)
{
    return sequence_of(b, &b->ended, i);
}

/* ---- What may follow ----------------------------------------------------------------------- */

static bool ends_with(const lp_sequence *s, const int32_t *tokens, uint32_t n)
{
    return n <= s->n && memcmp(s->tokens + s->n - n, tokens, n * sizeof *tokens) == 0;
}

/* Each token that came, once. */
static void penalise_repeats(const lp_beams *b, const lp_sequence *s, float *scores)
{
    for (uint32_t i = 0; i < s->n && b->options.repeat_penalty != 1; i++) {
        bool seen = false;
        for (uint32_t k = 0; k < i && !seen; k++)
            seen = s->tokens[k] == s->tokens[i];
        float *score = &scores[s->tokens[i]];
        if (!seen)
            *score = *score < 0 ? *score * b->options.repeat_penalty
                                : *score / b->options.repeat_penalty;
    }
}

/* Tokens that would complete a run of no_repeat tokens that is there already. */
static void ban_repeats(const lp_beams *b, const lp_sequence *s, float *scores)
{
    const uint32_t n = b->options.no_repeat;
    for (uint32_t i = 0; n > 0 && i + n <= s->n; i++)
        if (ends_with(s, s->tokens + i, n - 1))
            scores[s->tokens[i + n - 1]] = -INFINITY;
}

static bool is_end(const lp_beams *b, int32_t token)
{
    for (uint32_t i = 0; i < b->rules.n_ends; i++)
        if (b->rules.ends[i] == token)
            return true;
    return false;
}

static void force(const lp_beams *b, int32_t token, float *scores)
{
    for (uint32_t i = 0; i < b->n_vocab; i++)
        scores[i] = -INFINITY;
    scores[token] = 0;
}

/* Log-probabilities [V] of what follows s, changed as rules and options want it. */
static void apply_rules(const lp_beams *b, const lp_sequence *s, float *scores)
{
    const lp_search_rules *r = &b->rules;
    const uint32_t n_chosen = s->n - 1;
    penalise_repeats(b, s, scores);
    ban_repeats(b, s, scores);
    for (size_t i = 0; i < r->n_banned; i++) {
        const lp_token_run *run = &r->banned[i];
        if (ends_with(s, run->tokens, run->n - 1))
            scores[run->tokens[run->n - 1]] = -INFINITY;
    }
    for (uint32_t i = 0; i < r->n_ends && n_chosen < b->options.min_tokens; i++)
        scores[r->ends[i]] = -INFINITY;
    if (r->first != -1 && n_chosen == 0)
        force(b, r->first, scores);
    if (r->last != -1 && n_chosen + 1 == b->options.max_tokens)
        force(b, r->last, scores);
}

/* Among equals an earlier beam comes first, then a lower id. */
static bool precedes(const candidate *a, const candidate *b)
{
    if (a->score != b->score)
        return a->score > b->score;
    return a->beam != b->beam ? a->beam < b->beam : a->token < b->token;
}

/* Into the sorted list. */
static void insert(lp_beams *b, candidate c)
{
    if (b->n_candidates == b->max_candidates) {
        if (!precedes(&c, &b->candidates[b->n_candidates - 1]))
            return;
        b->n_candidates--;
    }
    uint32_t at = b->n_candidates++;
    for (; at > 0 && precedes(&c, &b->candidates[at - 1]); at--)
        b->candidates[at] = b->candidates[at - 1];
    b->candidates[at] = c;
}

void lp_beams_offer(lp_beams *b, uint32_t i, float *logits)
{
    const lp_sequence s = lp_beams_open(b, i);
    const double all = lp_log_sum_exp(logits, b->n_vocab);
    for (uint32_t v = 0; v < b->n_vocab; v++)
        logits[v] = (float)((double)logits[v] - all);
    apply_rules(b, &s, logits);
    for (uint32_t v = 0; v < b->n_vocab; v++)
        if (logits[v] > -INFINITY)
            insert(b, (candidate){s.score + (double)logits[v], i, (int32_t)v});
}

/* ---- The step ------------------------------------------------------------------------------ */

static void append(const lp_beams *b, sequences *to, uint32_t at, const candidate *c, double score)
{
    const lp_sequence s = lp_beams_open(b, c->beam);
    int32_t *tokens = to->tokens + (size_t)at * b->room;
    memcpy(tokens, s.tokens, s.n * sizeof *tokens);
    tokens[s.n] = c->token;
    to->lengths[at] = s.n + 1;
    to->scores[at] = score;
}

/* Into the list of the best n_beams that ended, behind equals. */
static void finish(lp_beams *b, const candidate *c, double score)
{
    sequences *e = &b->ended;
    uint32_t at = e->n;
    while (at > 0 && score > e->scores[at - 1])
        at--;
    if (at == b->options.n_beams)
        return;
    const uint32_t kept = e->n < b->options.n_beams ? e->n : b->options.n_beams - 1;
    for (uint32_t i = kept; i > at; i--) {
        memcpy(e->tokens + (size_t)i * b->room, e->tokens + (size_t)(i - 1) * b->room,
               e->lengths[i - 1] * sizeof *e->tokens);
        e->lengths[i] = e->lengths[i - 1];
        e->scores[i] = e->scores[i - 1];
    }
    e->n = kept + 1;
    append(b, e, at, c, score);
}

static double by_length(const lp_beams *b, double sum, uint32_t n_tokens)
{
    return sum / pow(n_tokens, (double)b->options.length_penalty);
}

/* Once n_beams have ended: may one that goes on still be better than the worst of them? */
static bool may_improve(const lp_beams *b, uint32_t n_chosen)
{
    const lp_search_options *o = &b->options;
    if (b->ended.n < o->n_beams)
        return true;
    if (o->n_beams == 1 || o->early_stopping == LP_STOP_AT_ONCE)
        return false;
    const uint32_t n = o->early_stopping == LP_STOP_HOPELESS && o->length_penalty > 0
                           ? o->max_tokens
                           : n_chosen;
    return by_length(b, b->open.scores[0], n) > b->ended.scores[o->n_beams - 1];
}

bool lp_beams_next(lp_beams *b)
{
    const uint32_t n_beams = b->options.n_beams, n_chosen = b->open.lengths[0];
    b->spare.n = 0;
    for (uint32_t i = 0; i < b->n_candidates; i++) {
        const candidate *c = &b->candidates[i];
        if (!is_end(b, c->token) && n_chosen < b->options.max_tokens) {
            if (b->spare.n < n_beams)
                append(b, &b->spare, b->spare.n++, c, c->score);
        } else if (i < n_beams) { /* the others are there to go on with */
            finish(b, c, by_length(b, c->score, n_chosen));
        }
    }
    const sequences spent = b->open;
    b->open = b->spare;
    b->spare = spent;
    b->n_candidates = 0;
    return b->open.n > 0 && may_improve(b, n_chosen);
}
