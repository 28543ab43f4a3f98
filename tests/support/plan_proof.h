/* An independent prover for plans; it shares no code with the planner. */
#ifndef PLAN_PROOF_H
#define PLAN_PROOF_H

#include "graph/plan.h"

/* Runs the plan twice in thought, byte by byte: NULL if no dispatch touches bytes that another one
 * since the last barrier wrote, or writes bytes that another one since then read. Otherwise what
 * collides, malloc'ed. */
char *plan_find_hazard(const lp_graph *graph, const lp_plan *plan);

/* NULL if every node, in order, finds in its sources the bytes that their producers left there:
 * nothing that is still needed is overwritten by another activation or by scratch. */
char *plan_find_overlap(const lp_graph *graph, const lp_plan *plan);

#endif
