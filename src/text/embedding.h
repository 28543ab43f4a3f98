/* What becomes of an encoder's numbers: one vector of a text (Reimers & Gurevych 2019,
 * arXiv:1908.10084), the likeliest tokens at a place. */
#ifndef LP_TEXT_EMBEDDING_H
#define LP_TEXT_EMBEDDING_H

#include "lapilli/types.h"
#include "models/network.h"

/* See lp_model_embedding(). */
lp_status lp_embedding_of(lp_context *ctx, const lp_network *network, lp_embedding *embedding);

/* Whether the model's texts and pictures can be pooled like that: LP_E_ARG, LP_E_UNSUPPORTED. */
lp_status lp_embedding_check(lp_context *ctx, const lp_network *network, lp_embedding embedding);

/* The vector [n] of a text from those of its tokens, hidden [n_tokens, n]; not for
 * LP_POOLING_POOLER. */
void lp_embedding_pool(lp_pooling pooling, const float *hidden, size_t n_tokens, size_t n,
                       float *vector);
/* To length 1; a vector of zeros stays. */
void lp_embedding_normalise(float *vector, size_t n);

/* The k <= n likeliest of n tokens by their logits, the likeliest first, the lower id first among
 * equals. */
void lp_guess_best(const float *logits, uint32_t n, uint32_t k, lp_guess *guesses);

#endif
