/* A device runs a whole graph by itself, from the plan that generation uses and again with every
 * activation kept: the two must give the same bits, and the plan must be provable. */
#ifndef LP_CHECK_DRIFT_H
#define LP_CHECK_DRIFT_H

#include "check/step.h"
#include "lapilli/check.h"

typedef struct lp_drift {
    lp_outputs *outputs; /* per node of the graph */
    uint32_t n_nodes;
    float *logits; /* of lp_drift_logits(); NULL if the graph computes none */
    /* What is wrong with the plan itself, or NONE, and at which node. */
    lp_finding finding;
    uint32_t node;
    char *detail;
} lp_drift;

/* An input of a graph, and what it is, contiguous. */
typedef struct lp_graph_input {
    const char *name;
    const float *values;
} lp_graph_input;
/* All those of a program, which must not be in flight. */
lp_status lp_graph_inputs_write(const lp_backend *backend, lp_program *program,
                                const lp_graph *graph, const lp_graph_input *inputs,
                                uint32_t n_inputs);

/* What is set for each run: the cursor (its slot, LP_NONE for graphs without one, and its words)
 * and the inputs. */
typedef struct lp_drift_start {
    uint32_t cursor_slot;
    const int32_t *cursor;
    const lp_graph_input *inputs;
    uint32_t n_inputs;
} lp_drift_start;

/* The slots must be as before the pass. What the device leaves in them stays there. A device that
 * fails is LP_E_DEVICE and the like. */
lp_status lp_drift_run(lp_context *ctx, lp_backend *backend, const lp_graph *graph,
                       const lp_plan_options *options, const lp_drift_start *start,
                       lp_drift *drift);
void lp_drift_free(lp_drift *drift);

/* The tensor of the last token's logits [1, V]; of an encoder that of all tokens' [T, V], or of
 * their vectors [T, N] where it has no head; what else a graph computes, a denoiser's "result" or a
 * decoder's "pixels"; or LP_NONE. */
lp_tensor_id lp_drift_logits(const lp_graph *graph);

#endif
