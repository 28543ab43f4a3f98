/* The op table: op x shapes x types, each case a graph of one node with its data, run on the
 * reference and on a device and compared: by the tests and by doctor. A family contributes its
 * cases in a file of its own, op_table_NAME.c, by one function that is called in
 * lp_case_table_create(); test_ops fails if an op of graph/ops.def has no case. */
#ifndef LP_CHECK_OP_TABLE_H
#define LP_CHECK_OP_TABLE_H

#include "graph/builder.h"

#define LP_CASE_MAX_TENSORS 12
#define LP_CASE_MAX_ARGS    20

/* Values of a tensor: offset + scale * u, u uniform in [-1, 1); from the case's own generator. */
typedef struct lp_case_fill {
    float offset, scale;
} lp_case_fill;

#define LP_CASE_UNIT ((lp_case_fill){0, 1})
#define LP_CASE_ZERO ((lp_case_fill){0, 0})
#define LP_CASE_HUGE ((lp_case_fill){0, 1e6f}) /* beyond what a half can hold */

typedef struct lp_case lp_case;

/* Handed to a case's build function. The first failure is kept in b->status; after it nothing more
 * is built. */
typedef struct lp_case_build {
    lp_builder *b;
    lp_case *row;
    struct lp_case_table *table;
    uint64_t random;
    char name[160]; /* of the tensor being made */
} lp_case_build;

/* What a run needs: filled before it, or read and compared after it. */
typedef struct lp_case_tensor {
    lp_tensor_id id;
    uint64_t bytes; /* of `data` */
    void *data;     /* inputs: f32 [elements]; states: in the slot's type; owned by the case */
} lp_case_tensor;

/* Error bounds against the reference. nmse: sum (a - b)^2 / sum a^2. The largest |a - b| may be
 * `largest` times the root mean square of a: one wrong element must not drown in many good ones. */
typedef struct lp_case_gate {
    double nmse, largest;
} lp_case_gate;

#define LP_CASE_FP32  ((lp_case_gate){1e-10, 1e-4})
#define LP_CASE_EXACT ((lp_case_gate){0, 0})

struct lp_case {
    char name[128];
    lp_op op;
    lp_case_gate gate;
    int32_t n_tokens; /* lp_graph.n_tokens */
    void (*build)(lp_case_build *c, const int64_t *arg);
    int64_t arg[LP_CASE_MAX_ARGS];
    /* filled by building */
    lp_graph *graph;
    lp_case_tensor inputs[LP_CASE_MAX_TENSORS], states[LP_CASE_MAX_TENSORS],
        outputs[LP_CASE_MAX_TENSORS];
    int n_inputs, n_states, n_outputs;
    int n_names;
};

typedef struct lp_case_table {
    lp_context *ctx;
    lp_case *cases;
    int n, capacity;
    bool failed;   /* out of memory while rows were added */
    lp_case spare; /* what is filled after that */
    lp_store store;
    lp_weights *weights;
} lp_case_table;

/* ---- For the families' files --------------------------------------------------------------- */

/* A new row with this name; never NULL. */
lp_case *lp_case_add(lp_case_table *table, lp_op op,
                     void (*build)(lp_case_build *c, const int64_t *arg), const char *format, ...)
    LP_PRINTF(4, 5);

float lp_case_uniform(lp_case_build *c); /* in [-1, 1) */

/* An activation that is filled before the run. */
lp_tensor_id lp_case_input(lp_case_build *c, lp_shape shape, lp_case_fill fill);
/* The same, but a view of columns [first, first + n) of an input with `width` columns; everything
 * around it is NaN. */
lp_tensor_id lp_case_input_view(lp_case_build *c, int64_t rows, int64_t n, int64_t first,
                                int64_t width, lp_case_fill fill);
/* A weight, made from f32 values by the type's own from_f32. */
lp_tensor_id lp_case_weight(lp_case_build *c, lp_dtype dtype, lp_shape shape, lp_case_fill fill);
/* The same, but it is only added to the weights, under c->name. */
void lp_case_weight_data(lp_case_build *c, lp_dtype dtype, lp_shape shape, lp_case_fill fill);
/* A state that is written before every run; `data`: bytes of the slot's plain rows, copied. With
 * `compare` it is also read and compared after it (for ops that write in place). */
lp_tensor_id lp_case_state(lp_case_build *c, lp_dtype dtype, lp_shape shape, const void *data,
                       bool compare);
/* A state of n values as a K/V cache holds them, the first `valid` random, the rest NaN. */
lp_tensor_id lp_case_cache(lp_case_build *c, lp_dtype dtype, lp_shape shape, int64_t valid,
                           bool compare);
/* An input x [T, H, D], perhaps as a view into a wider matrix. */
lp_tensor_id lp_case_heads(lp_case_build *c, int64_t t, int64_t h, int64_t d, bool view,
                           lp_case_fill fill);
/* The cursor at `position`. */
lp_tensor_id lp_case_cursor(lp_case_build *c, int32_t position, int32_t draws, bool compare);
/* A node named like the row, with all sources and outputs LP_NONE. */
lp_node lp_case_node(lp_case_build *c, lp_op op);
/* Adds the node and keeps its outputs that are activations for comparison. */
void lp_case_emit(lp_case_build *c, lp_node *node);

/* ---- For who runs it ----------------------------------------------------------------------- */

/* All rows, built. `ctx` must live as long as the table. */
lp_status lp_case_table_create(lp_context *ctx, lp_case_table **table);
void lp_case_table_destroy(lp_case_table *table);

/* Compares n values; false with the reason in `why` [256]. Values that are not finite must be the
 * same on both sides. If all of `expected` is 0, all of `got` must be. */
bool lp_case_compare(const float *expected, const float *got, uint64_t n, lp_case_gate gate,
                     char *why);

/* The families. */
void lp_cases_dense(lp_case_table *table);    /* linear, norm, embed, elementwise */
void lp_cases_sequence(lp_case_table *table); /* rope, kv_write, sample, advance */
void lp_cases_attention(lp_case_table *table);
void lp_cases_pictures(lp_case_table *table); /* conv2d, group_norm */
void lp_cases_experts(lp_case_table *table);  /* route, linear with routes, combine */

#endif
