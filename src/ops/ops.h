/* The op families: for every row of graph/ops.def three functions (and a fourth if the op needs
 * scratch), which ops.c puts into the op table, and what the families share.
 *
 * infer: shapes, and every check that the other functions rely on;
 * cpu:   the reference, from the formula, with double accumulation (or the fast path);
 * plan:  the kernels' dispatches as data, no device needed. */
#ifndef LP_OPS_OPS_H
#define LP_OPS_OPS_H

#include "graph/plan.h"

#define OP(id, name, purpose)                                                                      \
    lp_status lp_op_##name##_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,    \
                                   lp_shape shapes[LP_MAX_DST]);                                   \
    lp_status lp_op_##name##_cpu(const lp_cpu_call *call);                                         \
    lp_status lp_op_##name##_plan(lp_planner *pl, const lp_node *node);
#include "graph/ops.def"
#undef OP

uint64_t lp_op_linear_scratch(const lp_graph *graph, const lp_node *node, const lp_caps *caps);
uint64_t lp_op_gated_scratch(const lp_graph *graph, const lp_node *node, const lp_caps *caps);
uint64_t lp_op_group_norm_scratch(const lp_graph *graph, const lp_node *node, const lp_caps *caps);
uint64_t lp_op_attention_scratch(const lp_graph *graph, const lp_node *node, const lp_caps *caps);

/* ---- Shared by the cpu functions ----------------------------------------------------------- */

/* Products or elements above which a loop is shared among threads. Below, waking them costs more
 * than they save, and on a busy machine far more. */
#define LP_PARALLEL_WORK 65536

/* ---- Shared by the infer functions --------------------------------------------------------- */

/* Tensor of a source or output, NULL for LP_NONE. */
const lp_tensor *lp_op_tensor(const lp_graph *graph, lp_tensor_id id);
/* A source that must be there, f32, with `n_dims` dimensions (0: any), none of them 0. `what` names
 * it in the error. */
lp_status lp_op_check_input(lp_context *ctx, const lp_graph *graph, const lp_node *node, int source,
                            const char *what, int n_dims);
/* A source that may be missing; if it is there, it is f32 with `shape`. */
lp_status lp_op_check_like(lp_context *ctx, const lp_graph *graph, const lp_node *node, int source,
                           const char *what, lp_shape shape);
/* A vector [n] of a weight's type (f32 on every device), or nothing. */
lp_status lp_op_check_vector(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             int source, const char *what, int64_t n);
/* Vectors of one shape: [n], or [E, n] from lp_weight_vectors(), or nothing. */
lp_status lp_op_check_vectors(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                              int source, const char *what, lp_shape shape);
/* A whole weight matrix. */
lp_status lp_op_check_matrix(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             int source, const char *what);
/* A whole weight [N, K] (2 dimensions), or [E, N, K], the matrices of experts (3). */
lp_status lp_op_check_weight(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             int source, const char *what, int n_dims);
/* Routes [T, k, 2]. */
lp_status lp_op_check_routes(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             int source);
/* The cursor, I32[LP_CURSOR_WORDS], as source or output `id`. */
lp_status lp_op_check_cursor(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             lp_tensor_id id);

/* ---- Shared by the CPU functions ----------------------------------------------------------- */

/* n elements of row `row` from column `first`, a multiple of the type's block, as f32. */
void lp_view_load(const lp_view *view, int64_t row, int64_t first, float *to, int64_t n);
/* The expert in slot s of token t; 0 where the routes hold no expert's number. */
int64_t lp_route_expert(const lp_view *routes, int64_t t, int64_t s, int64_t n_experts);
/* act(x), in double, by the formulas beside lp_act_kind. */
double lp_act_exact(lp_act_kind kind, double x);

/* ---- Shared by the plan functions ---------------------------------------------------------- */

/* Splits n workgroups over x and y, because x alone is limited to 65535 on some devices. The kernel
 * numbers them y * gl_NumWorkGroups.x + x and skips those from n on. */
void lp_op_groups(const lp_caps *caps, uint64_t n, uint32_t groups[2]);
/* Does a tensor start, and every row of it, on 16 bytes? */
bool lp_op_aligned(const lp_planner *pl, lp_tensor_id id);
/* Row stride of a tensor in elements, 0 for LP_NONE. */
uint32_t lp_op_stride(const lp_graph *graph, lp_tensor_id id);

#endif
