/* The generation loop: tokens from a runner and a sampler, text to the caller, until something ends
 * it. */
#ifndef LP_TEXT_GENERATE_H
#define LP_TEXT_GENERATE_H

#include "text/runner.h"
#include "text/sampler.h"
#include "text/speculation.h"

/* The next token, drawn by the device or the host as the sampler needs it. `wanted` as in
 * lp_runner_next(). `speculation` may be NULL; with it there must be a sampler. */
lp_status lp_generate_token(lp_runner *runner, lp_sampler *sampler, lp_speculation *speculation,
                            uint32_t wanted, int32_t *token);

/* Continues what was fed to the runner. Whatever lies in flight behind the end is rolled back, so
 * the runner can be fed again; an end token is dropped, too. */
lp_status lp_generate(lp_context *ctx, lp_runner *runner, const lp_tokenizer *tokenizer,
                      lp_sampler *sampler, lp_speculation *speculation,
                      const lp_generate_options *options, lp_generation *result);

#endif
