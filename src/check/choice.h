/* Other experts. A router's choice is exact (src/ops/route.c), so alone, from the reference's
 * logits, a device must make the reference's. When it runs freely its logits differ by rounding,
 * and where two are nearly equal it may choose another expert: no fault, but from there on its
 * numbers are others.
 *
 * It is told apart from a fault by making the choice again, from the device's own logits: they must
 * give the device's experts. Where they do, and the logits themselves are as near as everywhere
 * else, the choice is explained, and the drift behind it says nothing. */
#ifndef LP_CHECK_CHOICE_H
#define LP_CHECK_CHOICE_H

#include "check/step.h"

typedef struct lp_choice {
    uint64_t n_tokens, first; /* that have other experts; the first of them */
    bool own;                 /* all experts of the device are those that its own logits give */
    double nmse;              /* of the device's logits to the other ones */
} lp_choice;

/* Free runs of `node`, a ROUTE: `device` has the outputs of all nodes of the graph; logits [T, E]
 * and routes [T, k, 2] are the other side's. */
lp_status lp_choice_compare(lp_context *ctx, const lp_graph *graph, uint32_t node,
                            const lp_outputs *device, const float *logits, const float *routes,
                            lp_choice *choice);
/* A node's first source [T, N] as a free run left it, contiguous and malloc'ed; NULL if no node
 * made it. */
lp_status lp_choice_source(lp_context *ctx, const lp_graph *graph, uint32_t node,
                           const lp_outputs *outputs, float **source);

#endif
