/* Beam search over log-probabilities: see lapilli/search.h. Nothing here knows of networks: the
 * caller computes the logits that follow each sequence.
 *
 *     lp_beams_create(...);
 *     do
 *         for each i < lp_beams_n_open(): lp_beams_offer(beams, i, logits after lp_beams_open(i));
 *     while (lp_beams_next(beams));
 *     lp_beams_ended(beams, 0) … are the answers, the best one first
 */
#ifndef LP_TEXT_BEAMS_H
#define LP_TEXT_BEAMS_H

#include "base/context.h"
#include "lapilli/search.h"

/* Tokens that stand for themselves; borrowed. */
typedef struct lp_token_run {
    const int32_t *tokens;
    uint32_t n;
} lp_token_run;

#define LP_MAX_ENDS 16

/* What a model demands of its answers. */
typedef struct lp_search_rules {
    int32_t start;       /* what every sequence begins with; it is no part of the answer */
    int32_t ends[LP_MAX_ENDS];
    uint32_t n_ends;
    int32_t first, last; /* what an answer's first token, and the one at max_tokens, must be; -1 */
    const lp_token_run *banned; /* that must not come; borrowed */
    size_t n_banned;
} lp_search_rules;

typedef struct lp_sequence {
    const int32_t *tokens; /* the start token, then what was chosen */
    uint32_t n;            /* with the start token */
    double score;          /* sum of log-probabilities; of ended ones the score */
} lp_sequence;

typedef struct lp_beams lp_beams;

/* LP_E_ARG for options that make no sense, ids outside the vocabulary included. */
lp_status lp_beams_create(lp_context *ctx, const lp_search_rules *rules,
                          const lp_search_options *options, uint32_t n_vocab, lp_beams **beams);
void lp_beams_destroy(lp_beams *beams);

/* Sequences to go on with, the best one first; all have the same length. */
uint32_t lp_beams_n_open(const lp_beams *beams);
lp_sequence lp_beams_open(const lp_beams *beams, uint32_t i);
/* The logits [V] behind open sequence i, each once, in any order; they are changed. -inf is a token that
 * must not come. */
void lp_beams_offer(lp_beams *beams, uint32_t i, float *logits);
/* The next step, after all were offered. false: the search is over. */
bool lp_beams_next(lp_beams *beams);

/* Those that ended, the best one first: at most n_beams. */
uint32_t lp_beams_n_ended(const lp_beams *beams);
lp_sequence lp_beams_ended(const lp_beams *beams, uint32_t i);

#endif
