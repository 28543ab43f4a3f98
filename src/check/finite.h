/* Where NaN and infinity come from: looked for in what a program left behind, node by node. */
#ifndef LP_CHECK_FINITE_H
#define LP_CHECK_FINITE_H

#include <stdbool.h>

#include "graph/backend.h"

/* The program has just run, once, over the tokens from `position`, with keep_all, and nothing is in
 * flight. Finds the first node that computed NaN or infinity; since all nodes before it are fine,
 * its inputs are. *found: there is one, and `text` says which ("blk.3.ffn_down: element [0, 17] of
 * [1, 768] is nan on cpu; its inputs and weights are finite"). */
lp_status lp_finite_find(lp_program *program, lp_backend *backend, const lp_graph *graph,
                         uint32_t position, char *text, size_t size, bool *found);

/* The first of n tokens of whose keys or values, as they lie in the caches of the graph (a
 * decoder's), some are not finite; n if there is none. */
lp_status lp_finite_caches(lp_backend *backend, const lp_graph *graph, uint32_t n, uint32_t *first);

/* "kernel linear_mv_f16" of a node, or of several "kernels … + …", in the program's plan; "" where
 * programs are no plans. Returns `text`. */
const char *lp_kernel_names(const lp_backend *backend, const lp_program *program, uint32_t node,
                            char *text, size_t size);

#endif
