/* A grammar over a vocabulary: which tokens may come next, as the text goes on. */
#ifndef LP_TEXT_CONSTRAINT_H
#define LP_TEXT_CONSTRAINT_H

#include "text/grammar.h"
#include "text/tokenizer.h"

typedef struct lp_constraint lp_constraint;

/* Takes over the grammar, also when it fails. The tokenizer must outlive it. n_vocab: logits, at
 * least as many as tokens. */
lp_status lp_constraint_create(lp_context *ctx, const lp_tokenizer *tokenizer, uint32_t n_vocab,
                               lp_grammar *grammar, lp_constraint **constraint);
void lp_constraint_destroy(lp_constraint *constraint);

/* Bit i (of word i / 64) is set if token i may come next: its bytes lead on, or it ends a text that
 * may end here. [(n_vocab + 63) / 64] words, borrowed until the next call. LP_E_LIMIT for a grammar
 * that is too ambiguous. */
lp_status lp_constraint_allowed(lp_constraint *constraint, const uint64_t **bits);
/* logits[n_vocab] of the others become -inf. LP_E_ARG if there are no others. */
lp_status lp_constraint_strike(lp_constraint *constraint, float *logits);

/* The text goes on with a token. LP_E_ARG if it must not. */
lp_status lp_constraint_accept(lp_constraint *constraint, int32_t token);
/* Takes back the latest n tokens; from more than there were, the text starts anew. */
lp_status lp_constraint_take_back(lp_constraint *constraint, size_t n);
void lp_constraint_restart(lp_constraint *constraint);
/* Whether the text is complete and nothing can follow. */
bool lp_constraint_is_finished(const lp_constraint *constraint);

#endif
