/* What makes tokens less likely because of the text so far: repetition, frequency and presence
 * penalties, and DRY (Weidmann 2024, "Don't Repeat Yourself", text-generation-webui #5677). */
#ifndef LP_TEXT_PENALTIES_H
#define LP_TEXT_PENALTIES_H

#include "text/candidates.h"
#include "text/tokenizer.h"

typedef struct lp_penalties {
    float repeat, frequency, presence;
} lp_penalties;

/* For each candidate that is among history[n] k times: x / repeat, or x * repeat of a negative x;
 * then x - k frequency - presence. counts [n_vocab] is zero before and after. */
void lp_candidates_penalties(lp_candidates *list, lp_penalties penalties, const int32_t *history,
                             size_t n, uint32_t *counts, uint32_t n_vocab);

typedef struct lp_dry {
    float multiplier, base;
    uint32_t allowed; /* length of a repeated sequence that costs nothing yet, plus 1 */
    const char **breakers;
    size_t *breaker_bytes;
    size_t n_breakers;
    /* working memory, which grows; free() it */
    uint32_t *lengths;
    char *reversed;
    size_t lengths_room, reversed_room;
} lp_dry;

/* For each candidate that would go on with a sequence of L tokens, L >= allowed, at the end of
 * history[n] that stands earlier in it, too: x - multiplier base^(L - allowed), for the longest L.
 * No sequence reaches over a token in which a breaker ends. longest [n_vocab] is zero before and
 * after. */
lp_status lp_candidates_dry(lp_context *ctx, lp_candidates *list, lp_dry *dry,
                            const lp_tokenizer *tokenizer, const int32_t *history, size_t n,
                            uint32_t *longest, uint32_t n_vocab);

#endif
