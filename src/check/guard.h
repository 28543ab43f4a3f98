/* The guard: while a session generates, a share of its steps is looked at. Such a step runs the
 * same kernels in a plan that keeps its activations, and a part of one node, another one every
 * time, is recomputed on the CPU reference from the device's own inputs (recompute.h). What a look
 * costs does not grow with the model. */
#ifndef LP_CHECK_GUARD_H
#define LP_CHECK_GUARD_H

#include <stdbool.h>

#include "graph/backend.h"
#include "lapilli/check.h"

typedef struct lp_guard {
    double rate;     /* share of the drawn tokens, 0 (off) … 1 */
    uint32_t n_source, blank; /* the cursor's words of these names, as the session set them */
    uint64_t seed;   /* where the walk through the nodes begins */
    uint64_t visits; /* nodes looked at, or about to be */
    uint64_t n_of_op[LP_N_OPS];
    lp_guard_summary summary;
    char worst[64]; /* summary.node */
} lp_guard;

/* Is the step that draws token number `draw` (from 0) looked at? A matter of counting, so that the
 * same session looks at the same steps again. */
bool lp_guard_due(const lp_guard *guard, uint64_t draw);

/* The next node of the walk, which comes past all nodes of a graph before it comes past one twice.
 */
uint32_t lp_guard_pick(lp_guard *guard, const lp_graph *graph);
/* Marks sources and outputs of a node as wanted after the run: before the graph is planned. */
void lp_guard_keep(lp_graph *graph, uint32_t node);

/* The program has just run, once, from `position` with `draws` tokens drawn before; nothing is in
 * flight. Looks at `node`, or, if that is LP_NONE and the program kept everything, at the next node
 * of the walk (of one token) or at all nodes (of several). LP_E_DEVICE with node, kernel and
 * element if rounding does not explain a difference. */
lp_status lp_guard_look(lp_guard *guard, lp_backend *backend, lp_program *program,
                        const lp_graph *graph, uint32_t node, uint32_t position, uint32_t draws);

#endif
