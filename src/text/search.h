/* Beam search with a runner. Its cache holds one sequence: beams share the rows of what they have in
 * common, and the rest is computed anew where it is another beam's turn. */
#ifndef LP_TEXT_SEARCH_H
#define LP_TEXT_SEARCH_H

#include "text/beams.h"
#include "text/runner.h"

/* Answers to the runner's source text; it has been set just before. At most as many tokens as the
 * context has. The caller destroys *beams. `on_step` is asked after every token, with the user's
 * pointer; non-zero stops with LP_E_CANCELLED. NULL: nobody is asked. */
lp_status lp_search(lp_context *ctx, lp_runner *runner, const lp_search_rules *rules,
                    const lp_search_options *options, int (*on_step)(void *user), void *user,
                    lp_beams **beams);

#endif
