/* The op table, made of the rows of graph/ops.def, and the checks that the families share. A missing
 * function is an error of the linker, a missing word about scratch one of the compiler. */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

/* Ops that need no scratch. */
#define lp_op_embed_scratch    NULL
#define lp_op_norm_scratch     NULL
#define lp_op_conv2d_scratch   NULL
#define lp_op_route_scratch    NULL
#define lp_op_combine_scratch  NULL
#define lp_op_rope_scratch     NULL
#define lp_op_recurrence_scratch NULL
#define lp_op_kv_write_scratch NULL
#define lp_op_add_scratch      NULL
#define lp_op_mul_scratch      NULL
#define lp_op_max_scratch      NULL
#define lp_op_act_scratch      NULL
#define lp_op_sample_scratch   NULL
#define lp_op_advance_scratch  NULL

const lp_op_info lp_op_table[LP_N_OPS] = {
#define OP(id, op_name, purpose)                                                                   \
    [LP_OP_##id] = {.name = #op_name,                                                              \
                    .infer = lp_op_##op_name##_infer,                                              \
                    .cpu = lp_op_##op_name##_cpu,                                                  \
                    .scratch = lp_op_##op_name##_scratch,                                          \
                    .plan = lp_op_##op_name##_plan},
#include "graph/ops.def"
#undef OP
};

const lp_tensor *lp_op_tensor(const lp_graph *graph, lp_tensor_id id)
{
    return id == LP_NONE ? NULL : &graph->tensors[id];
}

/* Kernels index with 31 bits from the first row of a workgroup, which takes up to 64: a row stays
 * below 2^24 elements. The rows of all experts' matrices are counted in 31 bits. */
static lp_status check_size(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                            const lp_tensor *t, const char *what)
{
    char text[96];
    const bool weight =
        t->slot != LP_NONE && graph->store->slots[t->slot].kind == LP_SLOT_WEIGHT;
    const uint64_t row = weight ? (uint64_t)t->shape.dim[t->shape.n - 1] : t->stride;
    bool good = lp_shape_elements(t->shape) > 0 && row < (UINT64_C(1) << 24);
    good = good && (!weight || (uint64_t)lp_shape_elements(t->shape) / row < (UINT64_C(1) << 31));
    for (int i = 0; i < t->shape.n; i++)
        good = good && t->shape.dim[i] < (INT64_C(1) << 30);
    if (good)
        return LP_OK;
    return lp_fail(ctx, LP_E_SHAPE, "%s: %s has an unusable shape %s", node->name, what,
                   lp_shape_print(t->shape, text));
}

lp_status lp_op_check_input(lp_context *ctx, const lp_graph *graph, const lp_node *node, int source,
                            const char *what, int n_dims)
{
    const lp_tensor *t = lp_op_tensor(graph, node->src[source]);
    char text[96];
    if (t == NULL)
        return lp_fail(ctx, LP_E_MISSING, "%s: no %s", node->name, what);
    if (t->dtype != LP_F32)
        return lp_fail(ctx, LP_E_SHAPE, "%s: %s must be F32, not %s", node->name, what,
                       lp_dtype_table[t->dtype].name);
    if (n_dims != 0 && t->shape.n != n_dims)
        return lp_fail(ctx, LP_E_SHAPE, "%s: %s must have %d dimensions, has %s", node->name, what,
                       n_dims, lp_shape_print(t->shape, text));
    return check_size(ctx, graph, node, t, what);
}

lp_status lp_op_check_like(lp_context *ctx, const lp_graph *graph, const lp_node *node, int source,
                           const char *what, lp_shape shape)
{
    const lp_tensor *t = lp_op_tensor(graph, node->src[source]);
    if (t == NULL)
        return LP_OK;
    char want[96], has[96];
    LP_TRY(lp_op_check_input(ctx, graph, node, source, what, 0));
    if (!lp_shape_equal(t->shape, shape))
        return lp_fail(ctx, LP_E_SHAPE, "%s: %s must be %s, is %s", node->name, what,
                       lp_shape_print(shape, want), lp_shape_print(t->shape, has));
    return LP_OK;
}

lp_status lp_op_check_vectors(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                              int source, const char *what, lp_shape shape)
{
    const lp_tensor *t = lp_op_tensor(graph, node->src[source]);
    char want[96], has[96];
    if (t == NULL)
        return LP_OK;
    if (!lp_shape_equal(t->shape, shape))
        return lp_fail(ctx, LP_E_SHAPE, "%s: %s must be %s, is %s", node->name, what,
                       lp_shape_print(shape, want), lp_shape_print(t->shape, has));
    const lp_slot *slot = t->slot != LP_NONE ? &graph->store->slots[t->slot] : NULL;
    const bool weight = slot != NULL && slot->kind == LP_SLOT_WEIGHT;
    const lp_dtype_info *info = &lp_dtype_table[t->dtype];
    if (weight ? info->to_f32 == NULL || info->block != 1 : t->dtype != LP_F32)
        return lp_fail(ctx, LP_E_SHAPE, "%s: %s cannot be %s", node->name, what, info->name);
    /* a matrix has padded rows on a device */
    if (shape.n == 2 && (slot == NULL || (weight && slot->shape.n != 1)))
        return lp_fail(ctx, LP_E_SHAPE, "%s: %s must be vectors in one weight", node->name, what);
    return LP_OK;
}

lp_status lp_op_check_vector(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             int source, const char *what, int64_t n)
{
    return lp_op_check_vectors(ctx, graph, node, source, what, LP_SHAPE1(n));
}

lp_status lp_op_check_weight(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             int source, const char *what, int n_dims)
{
    const lp_tensor *t = lp_op_tensor(graph, node->src[source]);
    char text[96];
    if (t == NULL)
        return lp_fail(ctx, LP_E_MISSING, "%s: no %s", node->name, what);
    if (t->slot == LP_NONE || graph->store->slots[t->slot].kind != LP_SLOT_WEIGHT ||
        !lp_shape_equal(t->shape, graph->store->slots[t->slot].shape))
        return lp_fail(ctx, LP_E_SHAPE, "%s: %s must be a whole weight", node->name, what);
    if (t->shape.n != n_dims)
        return lp_fail(ctx, LP_E_SHAPE, "%s: %s must have %d dimensions, has %s", node->name, what,
                       n_dims, lp_shape_print(t->shape, text));
    const lp_dtype_info *info = &lp_dtype_table[t->dtype];
    if (info->to_f32 == NULL || t->shape.dim[n_dims - 1] % info->block)
        return lp_fail(ctx, LP_E_SHAPE, "%s: %s cannot be %s with rows of %lld elements",
                       node->name, what, info->name, (long long)t->shape.dim[n_dims - 1]);
    return check_size(ctx, graph, node, t, what);
}

lp_status lp_op_check_matrix(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             int source, const char *what)
{
    return lp_op_check_weight(ctx, graph, node, source, what, 2);
}

lp_status lp_op_check_routes(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             int source)
{
    char text[96];
    LP_TRY(lp_op_check_input(ctx, graph, node, source, "the routes", 3));
    const lp_shape shape = lp_op_tensor(graph, node->src[source])->shape;
    if (shape.dim[2] != 2)
        return lp_fail(ctx, LP_E_SHAPE, "%s: the routes must be [T, k, 2], are %s", node->name,
                       lp_shape_print(shape, text));
    return LP_OK;
}

lp_status lp_op_check_cursor(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             lp_tensor_id id)
{
    const lp_tensor *t = lp_op_tensor(graph, id);
    if (t == NULL)
        return lp_fail(ctx, LP_E_MISSING, "%s: no cursor", node->name);
    if (t->dtype != LP_I32 || !lp_shape_equal(t->shape, LP_SHAPE1(LP_CURSOR_WORDS)))
        return lp_fail(ctx, LP_E_SHAPE, "%s: the cursor must be I32 [%d]", node->name,
                       LP_CURSOR_WORDS);
    return LP_OK;
}

void lp_view_load(const lp_view *view, int64_t row, int64_t first, float *to, int64_t n)
{
    const lp_dtype_info *info = &lp_dtype_table[view->dtype];
    const uint64_t start = ((uint64_t)row * view->stride + (uint64_t)first) / info->block;
    info->to_f32((const char *)view->data + start * info->bytes, to, (size_t)n);
}

int64_t lp_route_expert(const lp_view *routes, int64_t t, int64_t s, int64_t n_experts)
{
    const float id = ((const float *)routes->data)[(uint64_t)t * routes->stride + 2 * (uint64_t)s];
    return id >= 0 && id < (float)n_experts ? (int64_t)id : 0;
}

double lp_act_exact(lp_act_kind kind, double x)
{
    switch (kind) {
    case LP_ACT_RELU:
        return x < 0 ? 0 : x;
    case LP_ACT_GELU_ERF: /* 1 + erf(z) = erfc(-z), without cancellation */
        return 0.5 * x * erfc(-x * sqrt(0.5));
    case LP_ACT_GELU_TANH: /* (1 + tanh u) / 2 = 1 / (1 + exp(-2 u)), likewise */
        return x / (1 + exp(-2 * sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case LP_ACT_GELU_QUICK:
        return x / (1 + exp(-1.702 * x));
    case LP_ACT_SILU:
        return x / (1 + exp(-x));
    case LP_ACT_TANH:
        return tanh(x);
    case LP_ACT_SIGMOID:
        return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
    case LP_ACT_RELU_SQUARED:
        return x < 0 ? 0 : x * x;
    case LP_ACT_CLAMP:
        return x < -1 ? -1 : x > 1 ? 1 : x;
    case LP_ACT_CLAMP_ABOVE:
        return x > 1 ? 1 : x;
    case LP_N_ACTS:
    case LP_ACT_NONE:
        break;
    }
    return x;
}

void lp_op_groups(const lp_caps *caps, uint64_t n, uint32_t groups[2])
{
    const uint64_t most = caps->max_groups[0];
    const uint64_t rows = (n + most - 1) / most;
    groups[0] = (uint32_t)((n + rows - 1) / rows);
    groups[1] = (uint32_t)rows;
}

bool lp_op_aligned(const lp_planner *pl, lp_tensor_id id)
{
    const lp_tensor *t = lp_op_tensor(pl->graph, id);
    return t != NULL && t->offset % 4 == 0 && t->stride % 4 == 0;
}

uint32_t lp_op_stride(const lp_graph *graph, lp_tensor_id id)
{
    return id == LP_NONE ? 0 : (uint32_t)graph->tensors[id].stride;
}
