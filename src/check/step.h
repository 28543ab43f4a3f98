/* A step: one node of a graph with its inputs as data, taken from where the graph was walked (the
 * chain) and run by itself on any device. */
#ifndef LP_CHECK_STEP_H
#define LP_CHECK_STEP_H

#include "graph/backend.h"

#define LP_CHECK_POISON 0xffffffffu /* a NaN that no arithmetic makes */

/* Bytes of a slot that the node may change: of a K/V cache the rows that it writes and some around
 * them, of the other slots all. */
typedef struct lp_step_slot {
    uint32_t slot; /* LP_NONE: this output is no slot */
    lp_dtype dtype;
    uint64_t row, row_bytes; /* elements of a row, and its bytes in the slot */
    uint64_t offset, bytes;
    uint64_t written, n_written; /* bytes that it writes, from `offset` (all for other slots) */
    uint8_t *before;
} lp_step_slot;

typedef struct lp_step {
    const lp_graph *graph;
    uint32_t node;
    float *inputs[LP_MAX_SRC]; /* contiguous; NULL for sources that are no activations */
    lp_step_slot slots[LP_MAX_DST];
    uint64_t n_outputs[LP_MAX_DST]; /* elements that count; 0: none (scratch) */
} lp_step;

/* A step without inputs: what of node `node`'s outputs counts. Position: the cursor before the run. */
void lp_step_describe(const lp_graph *graph, uint32_t node, uint32_t position, lp_step *step);
/* The inputs of node `node` as they are in `chain`, a program of the whole graph that has run up to
 * it. */
lp_status lp_step_take(lp_context *ctx, lp_backend *backend, lp_program *chain,
                       const lp_graph *graph, uint32_t node, uint32_t position, lp_step *step);
void lp_step_free(lp_step *step);

/* What a node computed: f32, contiguous; of slots the region's elements converted. */
typedef struct lp_outputs {
    float *values[LP_MAX_DST];
} lp_outputs;
void lp_outputs_free(lp_outputs *outputs);
/* What the chain has there, after the node ran. */
lp_status lp_step_outputs(lp_context *ctx, const lp_step *step, lp_backend *backend,
                          lp_program *chain, lp_outputs *outputs);
/* Makes the slots of `to` what they are in `from`. */
lp_status lp_step_sync(lp_context *ctx, const lp_step *step, lp_backend *from, lp_backend *to);

typedef struct lp_step_options {
    lp_plan_options plan; /* guard bytes are added */
    const lp_caps *caps;  /* plan as for a device with these; NULL: its own */
    uint32_t n_runs;
    int64_t n_tokens;     /* only the first rows; 0: all */
} lp_step_options;

typedef struct lp_step_result {
    lp_outputs outputs;
    bool flaky;               /* runs differ in their bits */
    uint64_t n_unwritten;     /* elements of activations that still hold the poison */
    bool stray;               /* bytes changed that the plan does not declare as written */
    uint32_t stray_buffer;
    uint64_t stray_offset;
    uint32_t n_dispatches;
    const lp_kernel *kernels[8]; /* of the first dispatches */
} lp_step_result;

/* Runs the step with poisoned outputs. The device's slots must be as they were in the chain before the
 * node; those that the node writes are set again before each run. */
lp_status lp_step_run(lp_context *ctx, lp_backend *backend, const lp_step *step,
                      const lp_step_options *options, lp_step_result *result);
/* The step made ready to run on a device with plans: the plan, and the arena's bytes, are shown to
 * `visit`, whose status is returned. */
lp_status lp_step_visit(lp_context *ctx, lp_backend *backend, const lp_step *step,
                        const lp_step_options *options,
                        lp_status (*visit)(void *user, const lp_plan *plan, const uint8_t *arena),
                        void *user);
/* Is there a byte of the arena that changed and that the plan does not declare as written? */
bool lp_step_stray(const lp_plan *plan, const uint8_t *before, const uint8_t *after,
                   uint64_t *offset);
void lp_step_result_free(lp_step_result *result);

#endif
