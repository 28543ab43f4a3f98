/* A part of one node, recomputed on the CPU reference from the very inputs that the device had. */
#ifndef LP_CHECK_RECOMPUTE_H
#define LP_CHECK_RECOMPUTE_H

#include <stdbool.h>

#include "graph/backend.h"
#include "lapilli/check.h"

typedef struct lp_recompute {
    lp_context *ctx;
    lp_backend *backend;
    lp_program *program; /* has just run, once; nothing is in flight, and nothing ran after it */
    const lp_graph *graph;
    uint32_t node; /* its sources and outputs must still be there (keep_all, or marked outputs) */
    uint32_t position; /* the cursor's words before the run */
    uint32_t draws, n_source, blank;
    uint64_t budget; /* multiply-adds, about */
    uint64_t random; /* chooses the part */
} lp_recompute;

typedef struct lp_recomputed {
    lp_difference difference; /* its `worst` is an element of the part */
    const char *slot;         /* what was compared, if that was written in place; else NULL */
    lp_shape shape;           /* of the node's whole output, or of the slot */
    uint64_t element;         /* the worst one, in it */
} lp_recomputed;

/* The part: a few tokens; of a linear evenly spread outputs of these, of an attention the heads of
 * a few K/V groups; everything of the other ops. What is written in place (cache rows, the history,
 * the cursor) is compared, too, and must be equal. */
lp_status lp_recompute_node(const lp_recompute *what, lp_recomputed *result);

/* The cursor, after the whole program: compared with where `position` and `draws` must have come
 * to. What moves it is the last node. */
lp_status lp_recompute_cursor(const lp_recompute *what, lp_recomputed *result);

/* Do rounding errors explain the difference? Gates as for whole tensors (lp_difference_agrees()),
 * but the mean of a few elements says no more than the largest of them. */
bool lp_recomputed_agrees(const lp_recomputed *result);

#endif
