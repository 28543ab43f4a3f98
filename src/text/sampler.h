/* The sampler: draws tokens as an lp_sampling asks (lapilli/sampling.h says what the steps do).
 * What the sample op can do is left to the device; anything else is done here, from the logits of
 * the last token. In what both can do they draw the same tokens. */
#ifndef LP_TEXT_SAMPLER_H
#define LP_TEXT_SAMPLER_H

#include "text/candidates.h"
#include "text/tokenizer.h"

typedef struct lp_sampler lp_sampler;

/* Copies what it needs of `sampling`; the tokenizer must outlive it, and may be NULL if no text is
 * to be looked at (bias, DRY). n_vocab: logits. LP_E_ARG names what is wrong. */
lp_status lp_sampler_create(lp_context *ctx, const lp_tokenizer *tokenizer, uint32_t n_vocab,
                            const lp_sampling *sampling, lp_sampler **sampler);
void lp_sampler_destroy(lp_sampler *sampler);

/* Whether the device can draw as asked, and what it is to be told: steps that are off are neutral.
 */
bool lp_sampler_on_device(const lp_sampler *sampler);
lp_sampling lp_sampler_for_device(const lp_sampler *sampler);

/* How many of the latest tokens it wants to see. */
uint32_t lp_sampler_window(const lp_sampler *sampler);

/* Room for logits [n_vocab] and n tokens, for whoever draws. Borrowed. */
lp_status lp_sampler_room(lp_sampler *sampler, size_t n, float **logits, int32_t **history);

/* The token that follows history[n]. logits [n_vocab], which biases change; n_draws: tokens drawn
 * before this one. LP_E_ARG if every logit is -inf. */
lp_status lp_sampler_draw(lp_sampler *sampler, float *logits, const int32_t *history, size_t n,
                          uint32_t n_draws, int32_t *token);

/* Of the grammar, if there is one (constraint.h). A draw is accepted at once. The text begins anew
 * where something was fed; and the latest n tokens of the context, drawn or not, can be taken back. */
bool lp_sampler_is_finished(const lp_sampler *sampler);
void lp_sampler_restart(lp_sampler *sampler);
lp_status lp_sampler_take_back(lp_sampler *sampler, size_t n);

/* The same up to the draw: candidates in the order of ids, each with the mass that is its
 * probability. Borrowed until the next call. */
lp_status lp_sampler_weigh(lp_sampler *sampler, float *logits, const int32_t *history, size_t n,
                           uint32_t n_draws, const lp_candidates **list);

#endif
