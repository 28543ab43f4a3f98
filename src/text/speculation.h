/* Speculative decoding (Leviathan et al. 2023, arXiv:2211.17192; Chen et al. 2023,
 * arXiv:2302.01318): something cheap guesses the next tokens, and the model computes its logits
 * after all of them in one pass, which takes little longer than a pass for one token where memory
 * is what limits.
 *
 * Those papers accept a guess by chance, such that tokens have the right distribution. Here a
 * token's random number is a function of seed and place (Salmon et al. 2011), so there is something
 * stronger and simpler: every token is drawn from the model's own logits exactly as without
 * guesses, and a guess is right if it is that token. Then the logits after it are there already,
 * else they are dropped. So the text is the same, token by token, wherever the logits of a pass for
 * many tokens are those of passes for one (with plans that are deterministic: always; otherwise up
 * to near ties, as with another batch size). A smaller model guesses by drawing with the same
 * random numbers.
 *
 * The other way to guess needs no model: what followed the last tokens when they came before
 * (prompt lookup: Saxena 2023). */
#ifndef LP_TEXT_SPECULATION_H
#define LP_TEXT_SPECULATION_H

#include "text/runner.h"
#include "text/sampler.h"

typedef struct lp_speculation lp_speculation;

#define LP_SPECULATION_MAX 64 /* guesses per pass */

/* Vocabularies must be the same: LP_E_SHAPE names the first token that differs. */
lp_status lp_speculation_check(lp_context *ctx, const lp_tokenizer *target,
                               const lp_tokenizer *draft);

/* `target` and `draft`, a smaller model's runner, are borrowed; draft NULL: prompt lookup. `most`:
 * 1 to LP_SPECULATION_MAX guesses per pass. A draft stops guessing at a token to which it gives
 * less than the probability `min_p`. */
lp_status lp_speculation_create(lp_context *ctx, lp_runner *target, lp_runner *draft, uint32_t most,
                                float min_p, lp_speculation **speculation);
void lp_speculation_destroy(lp_speculation *speculation);

/* How the target's tokens are drawn from now on (lp_sampler_for_device()): so the draft guesses. */
lp_status lp_speculation_sampling(lp_speculation *speculation, const lp_sampling *sampling);

/* As lp_runner_logits() and lp_runner_drawn() of the target, which may be used directly in between.
 * `wanted`: how many tokens the caller may still ask for, this one included; 0: any number. */
lp_status lp_speculation_logits(lp_speculation *speculation, uint32_t wanted, float *logits);
lp_status lp_speculation_drawn(lp_speculation *speculation, int32_t token);

lp_draft_summary lp_speculation_summary(const lp_speculation *speculation);

#endif
