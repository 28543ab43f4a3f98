/* An independent prover for plans; it shares no code with the planner. */
#ifndef LP_CHECK_PLAN_PROOF_H
#define LP_CHECK_PLAN_PROOF_H

#include "graph/plan.h"

/* Runs the plan twice in thought, byte by byte. *hazard: NULL if no dispatch touches bytes that
 * another one since the last barrier wrote, or writes bytes that another one since then read;
 * otherwise what collides, malloc'ed. *node (may be NULL): the later of the two. */
lp_status lp_plan_find_hazard(lp_context *ctx, const lp_graph *graph, const lp_plan *plan,
                              char **hazard, uint32_t *node);

/* *overlap: NULL if every node, in order, finds in its sources the bytes that their producers left
 * there: nothing that is still needed is overwritten by another activation or by scratch. */
lp_status lp_plan_find_overlap(lp_context *ctx, const lp_graph *graph, const lp_plan *plan,
                               char **overlap, uint32_t *node);

#endif
