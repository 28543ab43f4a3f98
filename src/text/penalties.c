/* Penalties: see penalties.h. */
#include "text/penalties.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/draw.h"

static bool in_vocabulary(int32_t token, uint32_t n_vocab)
{
    return token >= 0 && (uint32_t)token < n_vocab;
}

static float less(float x, float by)
{
    return fminf(fmaxf(lp_draw_clean(x - by), -FLT_MAX), FLT_MAX);
}

void lp_candidates_penalties(lp_candidates *list, lp_penalties p, const int32_t *history, size_t n,
                             uint32_t *counts, uint32_t n_vocab)
{
    for (size_t i = 0; i < n; i++)
        if (in_vocabulary(history[i], n_vocab))
            counts[history[i]]++;
    for (size_t i = 0; i < list->n; i++) {
        lp_candidate *c = &list->at[i];
        const uint32_t count = counts[c->id];
        if (count == 0)
            continue;
        if (p.repeat != 1.0f) /* as the sample op has it; may become -inf */
            c->x = c->x > 0.0f ? lp_draw_quotient(c->x, p.repeat) : lp_draw_clean(c->x * p.repeat);
        if (c->x > -INFINITY)
            c->x = less(c->x, (float)count * p.frequency + p.presence);
    }
    size_t n_left = 0;
    for (size_t i = 0; i < list->n; i++)
        if (list->at[i].x > -INFINITY)
            list->at[n_left++] = list->at[i];
    list->n = n_left;
    for (size_t i = 0; i < n; i++)
        if (in_vocabulary(history[i], n_vocab))
            counts[history[i]] = 0;
}

/* ---- DRY ---------------------------------------------------------------------------------------
 */

/* Room for n elements: `old`, grown if need be. NULL when out of memory, and `old` stays. */
static void *grow(void *old, size_t *room, size_t n, size_t size)
{
    if (old != NULL && n <= *room)
        return old;
    void *grown = realloc(old, (2 * n + 16) * size);
    if (grown != NULL)
        *room = 2 * n + 16;
    return grown;
}

/* Tokens at the end of the history that stand behind the latest breaker. The text is looked at from
 * its end, reversed, and only as far as needed. */
static lp_status behind_breaker(lp_context *ctx, lp_dry *dry, const lp_tokenizer *tokenizer,
                                const int32_t *history, size_t n, size_t *behind)
{
    size_t longest = 0, n_text = 0, n_taken = 0, token = 0, token_end = 0;
    for (size_t b = 0; b < dry->n_breakers; b++)
        longest = dry->breaker_bytes[b] > longest ? dry->breaker_bytes[b] : longest;
    *behind = n;
    for (size_t p = 0; longest > 0; p++) {
        while (n_text < p + longest && n_taken < n) {
            const char *bytes;
            size_t n_bytes = 0;
            int32_t id = history[n - 1 - n_taken++];
            if (in_vocabulary(id, lp_tokenizer_size(tokenizer)))
                LP_TRY(lp_detokenize(ctx, tokenizer, id, &bytes, &n_bytes));
            char *text = grow(dry->reversed, &dry->reversed_room, n_text + n_bytes, 1);
            if (text == NULL)
                return lp_fail_memory(ctx, "the sampler");
            dry->reversed = text;
            for (size_t i = n_bytes; i > 0; i--)
                dry->reversed[n_text++] = bytes[i - 1];
        }
        if (p >= n_text)
            return LP_OK;
        while (p >= token_end) { /* which token byte p belongs to; those without text are passed */
            const char *bytes;
            size_t n_bytes = 0;
            int32_t id = history[n - 1 - token++];
            if (in_vocabulary(id, lp_tokenizer_size(tokenizer)))
                LP_TRY(lp_detokenize(ctx, tokenizer, id, &bytes, &n_bytes));
            token_end += n_bytes;
        }
        for (size_t b = 0; b < dry->n_breakers; b++) {
            size_t length = dry->breaker_bytes[b], i = 0;
            while (i < length && p + i < n_text &&
                   dry->reversed[p + i] == dry->breakers[b][length - 1 - i])
                i++;
            if (i == length) {
                *behind = token - 1;
                return LP_OK;
            }
        }
    }
    return LP_OK;
}

/* lengths[k], 1 <= k < n: how many tokens before the end are the same as before the k-th from the
 * end, at most `most` (Z algorithm, on the reversed history). */
static void common_suffixes(uint32_t *lengths, const int32_t *history, size_t n, size_t most)
{
    const int32_t *last = history + n - 1;
    size_t left = 0, right = 0; /* the match [left, right) that reaches furthest */
    for (size_t k = 1; k < n; k++) {
        size_t z = k < right ? lengths[k - left] : 0;
        if (k < right && z > right - k)
            z = right - k;
        while (k + z < n && last[-(ptrdiff_t)z] == last[-(ptrdiff_t)(k + z)])
            z++;
        if (k + z > right) {
            left = k;
            right = k + z;
        }
        lengths[k] = (uint32_t)z;
    }
    for (size_t k = 1; k < n; k++)
        if (lengths[k] > most)
            lengths[k] = (uint32_t)most;
}

lp_status lp_candidates_dry(lp_context *ctx, lp_candidates *list, lp_dry *dry,
                            const lp_tokenizer *tokenizer, const int32_t *history, size_t n,
                            uint32_t *longest, uint32_t n_vocab)
{
    size_t behind;
    LP_TRY(behind_breaker(ctx, dry, tokenizer, history, n, &behind));
    if (n < 2 || behind < dry->allowed)
        return LP_OK;
    uint32_t *lengths = grow(dry->lengths, &dry->lengths_room, n, sizeof *lengths);
    if (lengths == NULL)
        return lp_fail_memory(ctx, "the sampler");
    dry->lengths = lengths;
    common_suffixes(dry->lengths, history, n, behind);
    for (size_t k = 1; k < n; k++) {
        int32_t next = history[n - k]; /* what stood behind that sequence */
        if (in_vocabulary(next, n_vocab) && dry->lengths[k] > longest[next])
            longest[next] = dry->lengths[k];
    }
    for (size_t i = 0; i < list->n; i++) {
        lp_candidate *c = &list->at[i];
        if (longest[c->id] < dry->allowed)
            continue;
        double penalty = (double)dry->multiplier;
        for (uint32_t e = longest[c->id] - dry->allowed; e > 0 && penalty < 1e30; e--) {
            double grown = penalty * (double)dry->base;
            if (grown == penalty)
                break; /* base 1 */
            penalty = grown;
        }
        c->x = less(c->x, (float)fmin(penalty, 1e30));
    }
    for (size_t k = 1; k < n; k++)
        if (in_vocabulary(history[n - k], n_vocab))
            longest[history[n - k]] = 0;
    return LP_OK;
}
