/* The op table: op x shapes x types, each case a graph of one node with its data. test_ops.c runs
 * every case on the reference and on the device under test and compares. A family contributes its
 * cases in a file of its own, tests/support/ops_table_NAME.c, by one function that is called in
 * ops_table_create(); test_ops fails if an op of graph/ops.def has no case. */
#ifndef LP_TESTS_OPS_TABLE_H
#define LP_TESTS_OPS_TABLE_H

#include "graph/builder.h"

#define OPS_MAX_TENSORS 12
#define OPS_MAX_ARGS    16

/* Values of a tensor: offset + scale * u, u uniform in [-1, 1); from the case's own generator. */
typedef struct ops_fill {
    float offset, scale;
} ops_fill;

#define OPS_UNIT ((ops_fill){0, 1})
#define OPS_ZERO ((ops_fill){0, 0})
#define OPS_HUGE ((ops_fill){0, 1e6f}) /* beyond what a half can hold */

typedef struct ops_case ops_case;

/* Handed to a case's build function. Everything that fails makes the case fail by name. */
typedef struct ops_build {
    lp_builder *b;
    ops_case *row;
    struct ops_table *table;
    uint64_t random;
} ops_build;

/* What a run needs: filled before it, or read and compared after it. */
typedef struct ops_tensor {
    lp_tensor_id id;
    uint64_t bytes; /* of `data` */
    void *data;     /* inputs: f32 [elements]; states: in the slot's type; owned by the case */
} ops_tensor;

/* Error bounds against the reference. nmse: sum (a - b)^2 / sum a^2. The largest |a - b| may be
 * `largest` times the root mean square of a: one wrong element must not drown in many good ones. */
typedef struct ops_gate {
    double nmse, largest;
} ops_gate;

#define OPS_FP32  ((ops_gate){1e-10, 1e-4})
#define OPS_EXACT ((ops_gate){0, 0})

struct ops_case {
    char name[96];
    lp_op op;
    ops_gate gate;
    int32_t n_tokens; /* lp_graph.n_tokens */
    void (*build)(ops_build *c, const int64_t *arg);
    int64_t arg[OPS_MAX_ARGS];
    /* filled by building */
    lp_graph *graph;
    lp_status status;
    ops_tensor inputs[OPS_MAX_TENSORS], states[OPS_MAX_TENSORS], outputs[OPS_MAX_TENSORS];
    int n_inputs, n_states, n_outputs;
    int n_names;
};

typedef struct ops_table {
    ops_case *cases;
    int n, capacity;
    lp_context ctx;
    lp_store store;
    lp_weights *weights;
} ops_table;

/* ---- For the families' files --------------------------------------------------------------- */

/* A new row with this name. */
ops_case *ops_case_add(ops_table *table, lp_op op, void (*build)(ops_build *c, const int64_t *arg),
                       const char *format, ...) LP_PRINTF(4, 5);

float ops_uniform(ops_build *c); /* in [-1, 1) */

/* An activation that is filled before the run. */
lp_tensor_id ops_input(ops_build *c, lp_shape shape, ops_fill fill);
/* The same, but a view of columns [first, first + n) of an input with `width` columns; everything
 * around it is NaN. */
lp_tensor_id ops_input_view(ops_build *c, int64_t rows, int64_t n, int64_t first, int64_t width,
                            ops_fill fill);
/* A weight, made from f32 values by the type's own from_f32. */
lp_tensor_id ops_weight(ops_build *c, lp_dtype dtype, lp_shape shape, ops_fill fill);
/* A state that is written before every run; `data`: bytes of the slot's plain rows, copied. With
 * `compare` it is also read and compared after it (for ops that write in place). */
lp_tensor_id ops_state(ops_build *c, lp_dtype dtype, lp_shape shape, const void *data,
                       bool compare);
/* The cursor at `position`. */
lp_tensor_id ops_cursor(ops_build *c, int32_t position, int32_t draws, bool compare);
/* A node with all sources and outputs LP_NONE. */
lp_node ops_node(lp_op op);
/* Adds the node and keeps its outputs that are activations for comparison. */
void ops_emit(ops_build *c, lp_node *node);

/* ---- For test_ops.c ------------------------------------------------------------------------ */

/* All rows, built. NULL when out of memory. */
ops_table *ops_table_create(void);
void ops_table_destroy(ops_table *table);

/* Compares n values; false with the reason in `why` [256]. Values that are not finite must be the
 * same on both sides. If all of `expected` is 0, all of `got` must be. */
bool ops_compare(const float *expected, const float *got, uint64_t n, ops_gate gate, char *why);

/* The families. */
void ops_table_dense(ops_table *table);    /* linear, norm, embed, elementwise */
void ops_table_sequence(ops_table *table); /* rope, kv_write, attention, sample, advance */

#endif
