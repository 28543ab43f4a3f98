/* Masks of a vocabulary: see constraint.h. The tokens lie in the order of their bytes, each with
 * the number of bytes that it shares with the one before it: that is a trie, depth first. A walk
 * through it steps the grammar once per edge, and leaves out all tokens behind a byte that cannot
 * follow. A state's mask is remembered, and text inside a string, say, comes back to the same
 * state. */
#include "text/constraint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/buffer.h"
#include "text/recognizer.h"

enum { N_MASKS = 64 };

typedef struct entry {
    const char *text; /* borrowed from the tokenizer; not empty */
    uint32_t bytes;
    uint32_t shared; /* with the entry before */
    int32_t id;
} entry;

typedef struct mask {
    lp_grammar_state state; /* LP_GRAMMAR_DEAD: none */
    bool any;
    uint64_t *bits;
} mask;

struct lp_constraint {
    lp_context *ctx;
    const lp_tokenizer *tokenizer;
    uint32_t n_vocab;
    lp_grammar *grammar;
    lp_recognizer *recognizer;
    lp_grammar_state state;
    entry *entries;
    size_t n_entries;
    int32_t *ends; /* tokens that end a text */
    size_t n_ends, ends_room;
    lp_grammar_state *path; /* [longest + 1]: behind each byte of the token that is walked */
    mask masks[N_MASKS];
    size_t next_mask;
    int32_t *tokens; /* the text so far */
    size_t n_tokens, tokens_room;
};

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int order = memcmp(x->text, y->text, x->bytes < y->bytes ? x->bytes : y->bytes);
    if (order != 0)
        return order;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static lp_status read_vocabulary(lp_constraint *c)
{
    const uint32_t n = lp_tokenizer_size(c->tokenizer);
    uint32_t longest = 0;
    c->entries = calloc((size_t)n + 1, sizeof *c->entries);
    if (c->entries == NULL)
        return lp_fail_memory(c->ctx, "a vocabulary in order");
    for (uint32_t i = 0; i < n && i < c->n_vocab; i++) {
        const char *text;
        size_t bytes;
        if (lp_tokenizer_is_end(c->tokenizer, (int32_t)i)) {
            int32_t *ends = lp_list_grow(c->ends, c->n_ends, &c->ends_room, sizeof *ends);
            if (ends == NULL)
                return lp_fail_memory(c->ctx, "a vocabulary in order");
            c->ends = ends;
            ends[c->n_ends++] = (int32_t)i;
            continue;
        }
        LP_TRY(lp_detokenize(c->ctx, c->tokenizer, (int32_t)i, &text, &bytes));
        if (bytes == 0)
            continue; /* would be drawn again and again */
        c->entries[c->n_entries++] = (entry){text, (uint32_t)bytes, 0, (int32_t)i};
        longest = bytes > longest ? (uint32_t)bytes : longest;
    }
    qsort(c->entries, c->n_entries, sizeof *c->entries, compare_entries);
    for (size_t i = 1; i < c->n_entries; i++) {
        const entry *before = &c->entries[i - 1];
        entry *e = &c->entries[i];
        while (e->shared < e->bytes && e->shared < before->bytes &&
               e->text[e->shared] == before->text[e->shared])
            e->shared++;
    }
    c->path = calloc((size_t)longest + 1, sizeof *c->path);
    return c->path != NULL ? LP_OK : lp_fail_memory(c->ctx, "a vocabulary in order");
}

lp_status lp_constraint_create(lp_context *ctx, const lp_tokenizer *tokenizer, uint32_t n_vocab,
                               lp_grammar *grammar, lp_constraint **constraint)
{
    lp_status status = LP_OK;
    lp_constraint *c = calloc(1, sizeof *c);
    *constraint = NULL;
    if (c == NULL) {
        lp_grammar_destroy(grammar);
        return lp_fail_memory(ctx, "a grammar");
    }
    c->ctx = ctx;
    c->tokenizer = tokenizer;
    c->n_vocab = n_vocab;
    c->grammar = grammar;
    LP_CHECK(lp_recognizer_create(ctx, grammar, &c->recognizer));
    LP_CHECK(read_vocabulary(c));
    lp_constraint_restart(c);
    *constraint = c;
    return LP_OK;
cleanup:
    lp_constraint_destroy(c);
    return status;
}

void lp_constraint_destroy(lp_constraint *c)
{
    if (c == NULL)
        return;
    lp_recognizer_destroy(c->recognizer);
    lp_grammar_destroy(c->grammar);
    for (size_t i = 0; i < N_MASKS; i++)
        free(c->masks[i].bits);
    free(c->entries);
    free(c->ends);
    free(c->path);
    free(c->tokens);
    free(c);
}

/* ---- The text so far ----------------------------------------------------------------------- */

/* The state behind a token's bytes; an end token changes nothing. */
static lp_status follow(lp_constraint *c, int32_t token, lp_grammar_state *state)
{
    const char *text;
    size_t bytes;
    if (lp_tokenizer_is_end(c->tokenizer, token)) {
        if (!lp_recognizer_may_end(c->recognizer, *state))
            *state = LP_GRAMMAR_DEAD;
        return LP_OK;
    }
    LP_TRY(lp_detokenize(c->ctx, c->tokenizer, token, &text, &bytes));
    for (size_t i = 0; i < bytes; i++)
        LP_TRY(lp_recognizer_step(c->recognizer, *state, (uint8_t)text[i], state));
    return LP_OK;
}

/* Where the text so far leads, from the start. */
static lp_status replay(lp_constraint *c)
{
    c->state = lp_recognizer_start(c->recognizer);
    for (size_t i = 0; i < c->n_tokens; i++)
        LP_TRY(follow(c, c->tokens[i], &c->state));
    return LP_OK;
}

/* Before a piece of work: many states are forgotten, and the one where we are is found again. */
static lp_status begin(lp_constraint *c)
{
    bool forgot;
    LP_TRY(lp_recognizer_begin(c->recognizer, &forgot));
    if (!forgot)
        return LP_OK;
    for (size_t i = 0; i < N_MASKS; i++)
        c->masks[i].state = LP_GRAMMAR_DEAD;
    return replay(c);
}

lp_status lp_constraint_accept(lp_constraint *c, int32_t token)
{
    LP_TRY(begin(c));
    lp_grammar_state state = c->state;
    LP_TRY(follow(c, token, &state));
    if (state == LP_GRAMMAR_DEAD)
        return lp_fail(c->ctx, LP_E_ARG, "grammar: token %d cannot follow here", (int)token);
    int32_t *tokens = lp_list_grow(c->tokens, c->n_tokens, &c->tokens_room, sizeof *tokens);
    if (tokens == NULL)
        return lp_fail_memory(c->ctx, "a text");
    c->tokens = tokens;
    tokens[c->n_tokens++] = token;
    c->state = state;
    return LP_OK;
}

lp_status lp_constraint_take_back(lp_constraint *c, size_t n)
{
    if (n == 0)
        return LP_OK;
    c->n_tokens = n < c->n_tokens ? c->n_tokens - n : 0;
    LP_TRY(begin(c));
    return replay(c);
}

void lp_constraint_restart(lp_constraint *c)
{
    c->n_tokens = 0;
    c->state = lp_recognizer_start(c->recognizer);
}

bool lp_constraint_is_finished(const lp_constraint *c)
{
    return lp_recognizer_may_end(c->recognizer, c->state) &&
           !lp_recognizer_may_go_on(c->recognizer, c->state);
}

/* ---- What may follow ----------------------------------------------------------------------- */

static void allow(mask *m, int32_t id)
{
    m->bits[(uint32_t)id / 64] |= 1ull << (uint32_t)id % 64;
    m->any = true;
}

static lp_status walk(lp_constraint *c, mask *m)
{
    c->path[0] = c->state;
    for (size_t i = 0; i < c->n_entries;) {
        const entry *e = &c->entries[i];
        uint32_t at = e->shared;
        for (; at < e->bytes && c->path[at] != LP_GRAMMAR_DEAD; at++)
            LP_TRY(lp_recognizer_step(c->recognizer, c->path[at], (uint8_t)e->text[at],
                                      &c->path[at + 1]));
        i++;
        if (c->path[at] != LP_GRAMMAR_DEAD)
            allow(m, e->id);
        else /* bytes [0, at) cannot follow, whatever comes behind them */
            while (i < c->n_entries && c->entries[i].shared >= at)
                i++;
    }
    for (size_t i = 0; i < c->n_ends && lp_recognizer_may_end(c->recognizer, c->state); i++)
        allow(m, c->ends[i]);
    return LP_OK;
}

static lp_status find_mask(lp_constraint *c, const mask **result)
{
    const size_t words = ((size_t)c->n_vocab + 63) / 64;
    LP_TRY(begin(c));
    for (size_t i = 0; i < N_MASKS; i++)
        if (c->masks[i].state == c->state) {
            *result = &c->masks[i];
            return LP_OK;
        }
    mask *m = &c->masks[c->next_mask];
    c->next_mask = (c->next_mask + 1) % N_MASKS;
    m->state = LP_GRAMMAR_DEAD; /* until it is whole */
    m->any = false;
    if (m->bits == NULL)
        m->bits = calloc(words, sizeof *m->bits);
    else
        memset(m->bits, 0, words * sizeof *m->bits);
    if (m->bits == NULL)
        return lp_fail_memory(c->ctx, "a mask");
    LP_TRY(walk(c, m));
    m->state = c->state;
    *result = m;
    return LP_OK;
}

lp_status lp_constraint_allowed(lp_constraint *c, const uint64_t **bits)
{
    const mask *m;
    LP_TRY(find_mask(c, &m));
    *bits = m->bits;
    return LP_OK;
}

/* Nothing may follow: the vocabulary lacks a text that the grammar wants, or an end. */
static lp_status fail_stuck(const lp_constraint *c)
{
    const size_t first = c->n_tokens > 8 ? c->n_tokens - 8 : 0;
    char *text = NULL, quoted[LP_QUOTE_TEXT];
    size_t bytes = 0;
    if (c->n_tokens > 0)
        LP_TRY(lp_decode(c->ctx, c->tokenizer, c->tokens + first, c->n_tokens - first, false, &text,
                         &bytes));
    const size_t from = bytes > 40 ? bytes - 40 : 0;
    const lp_status status = lp_fail(
        c->ctx, LP_E_ARG, "grammar: behind %s, no token of this vocabulary can follow%s",
        c->n_tokens > 0 ? lp_utf8_quote(text + from, bytes - from, quoted) : "the prompt",
        lp_recognizer_may_end(c->recognizer, c->state) ? ", and it has none for the end" : "");
    free(text);
    return status;
}

lp_status lp_constraint_strike(lp_constraint *c, float *logits)
{
    const mask *m;
    LP_TRY(find_mask(c, &m));
    if (!m->any)
        return fail_stuck(c);
    for (uint32_t i = 0; i < c->n_vocab; i++)
        if ((m->bits[i / 64] >> i % 64 & 1) == 0)
            logits[i] = -INFINITY;
    return LP_OK;
}
