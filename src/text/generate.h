/* The generation loop: tokens from a runner, text to the caller, until something ends it. */
#ifndef LP_TEXT_GENERATE_H
#define LP_TEXT_GENERATE_H

#include "text/runner.h"
#include "text/tokenizer.h"

/* Continues what was fed to the runner. Whatever lies in flight behind the end is rolled back, so
 * the runner can be fed again; an end token is dropped, too. */
lp_status lp_generate(lp_context *ctx, lp_runner *runner, const lp_tokenizer *tokenizer,
                      const lp_generate_options *options, lp_generation *result);

#endif
