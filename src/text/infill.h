/* Filling in the middle (Bavarian et al. 2022, arXiv:2207.14255): a text's two ends as one prompt, behind
 * which the model writes what belongs between them. */
#ifndef LP_TEXT_INFILL_H
#define LP_TEXT_INFILL_H

#include "text/tokenizer.h"

/* The tokens of the prompt, malloc'ed: <prefix> the beginning <suffix> the end <middle>, or with
 * suffix_first <suffix> the end <prefix> the beginning <middle>; before them the token that begins
 * every text, if the model wants one. LP_E_UNSUPPORTED names a token that the vocabulary lacks. */
lp_status lp_infill_tokens(lp_context *ctx, const lp_tokenizer *tokenizer, lp_tokenizer_text prefix,
                           lp_tokenizer_text suffix, bool suffix_first, int32_t **tokens,
                           size_t *n_tokens);

#endif
