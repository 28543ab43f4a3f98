/* Elementwise ops that the fusion pass left alone: a + b, a * b, max(a, b), out act(in a). Inputs
 * may be strided views (rows of dim[0]), outputs are contiguous. One kernel; the operation is a
 * constant of it. */
#include "ops/ops.h"

#include <math.h>
#include <stddef.h>

#include "ops/sigma.h"
#include "params.h"

/* OPERATION of shaders/elementwise.comp. */
enum { DO_ADD, DO_MUL, DO_ACT, DO_MAX };

static lp_status binary_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                              lp_shape shapes[LP_MAX_DST])
{
    LP_TRY(lp_op_check_input(ctx, graph, node, 0, "the first operand", 0));
    LP_TRY(lp_op_check_input(ctx, graph, node, 1, "the second operand", 0));
    shapes[0] = lp_op_tensor(graph, node->src[0])->shape;
    return lp_op_check_like(ctx, graph, node, 1, "the second operand", shapes[0]);
}

lp_status lp_op_add_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                          lp_shape shapes[LP_MAX_DST])
{
    return binary_infer(ctx, graph, node, shapes);
}

lp_status lp_op_mul_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                          lp_shape shapes[LP_MAX_DST])
{
    return binary_infer(ctx, graph, node, shapes);
}

lp_status lp_op_max_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                          lp_shape shapes[LP_MAX_DST])
{
    return binary_infer(ctx, graph, node, shapes);
}

lp_status lp_op_act_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                          lp_shape shapes[LP_MAX_DST])
{
    LP_TRY(lp_op_check_input(ctx, graph, node, 0, "the input", 0));
    if (!isfinite(node->p.act.in) || !isfinite(node->p.act.out) || node->p.act.act >= LP_N_ACTS)
        return lp_fail(ctx, LP_E_ARG, "%s: activation %d with the factors %g and %g", node->name,
                       (int)node->p.act.act, (double)node->p.act.in, (double)node->p.act.out);
    shapes[0] = lp_op_tensor(graph, node->src[0])->shape;
    return LP_OK;
}

/* Sigma of y, made of x by one operation. */
static float element_sigma(const lp_node *node, int operation, double x, double y)
{
    if (operation == DO_MAX)
        return lp_sigma(0);
    if (operation != DO_ACT)
        return lp_sigma(lp_rounding_variance(y));
    const lp_act_kind act = node->p.act.act;
    const double in = (double)node->p.act.in, out = (double)node->p.act.out;
    /* Multiplying by 1 rounds nothing. */
    const double variance = in == 1 ? 0 : lp_rounding_variance(in * x);
    const bool exact = act == LP_ACT_NONE || act == LP_ACT_RELU || act == LP_ACT_CLAMP ||
                       act == LP_ACT_CLAMP_ABOVE;
    const double own = exact ? 0 : lp_rounding_variance(y);
    return lp_sigma(lp_square(out) * lp_act_variance(act, in * x, variance) + own +
                    (out == 1 ? 0 : lp_rounding_variance(y)));
}

static lp_status elementwise_cpu(const lp_cpu_call *call, int operation)
{
    const lp_view *a = &call->src[0], *b = &call->src[1], *y = &call->dst[0];
    const int64_t n_rows = a->shape.dim[0], n = lp_shape_row(a->shape);
#pragma omp parallel for schedule(static) if (n_rows * n > LP_PARALLEL_WORK)
    for (int64_t t = 0; t < n_rows; t++) {
        const float *p = (const float *)a->data + (uint64_t)t * a->stride;
        const float *q = b->data ? (const float *)b->data + (uint64_t)t * b->stride : NULL;
        float *to = (float *)y->data + (uint64_t)t * y->stride;
        for (int64_t i = 0; i < n; i++)
            switch (operation) {
            case DO_ADD:
                to[i] = p[i] + q[i];
                break;
            case DO_MUL:
                to[i] = p[i] * q[i];
                break;
            case DO_MAX: /* of a NaN and anything NaN */
                to[i] = p[i] > q[i] || p[i] != p[i] ? p[i] : q[i];
                break;
            default:
                to[i] = (float)((double)call->node->p.act.out *
                                lp_act_exact(call->node->p.act.act,
                                             (double)call->node->p.act.in * (double)p[i]));
                break;
            }
        for (int64_t i = 0; i < n && call->sigma != NULL; i++)
            call->sigma[t * n + i] =
                element_sigma(call->node, operation, (double)p[i], (double)to[i]);
    }
    return LP_OK;
}

lp_status lp_op_add_cpu(const lp_cpu_call *call)
{
    return elementwise_cpu(call, DO_ADD);
}

lp_status lp_op_mul_cpu(const lp_cpu_call *call)
{
    return elementwise_cpu(call, DO_MUL);
}

lp_status lp_op_max_cpu(const lp_cpu_call *call)
{
    return elementwise_cpu(call, DO_MAX);
}

lp_status lp_op_act_cpu(const lp_cpu_call *call)
{
    return elementwise_cpu(call, DO_ACT);
}

static lp_status elementwise_plan(lp_planner *pl, const lp_node *node, uint32_t operation)
{
    enum { SIZE = 128, PER_INVOCATION = 4 };
    const lp_shape shape = lp_op_tensor(pl->graph, node->src[0])->shape;
    const bool is_act = operation == DO_ACT;
    const lp_tensor_id b = is_act ? LP_NONE : node->src[1];
    lp_elementwise_params p = {
        .n_rows = (uint32_t)shape.dim[0],
        .n = (uint32_t)lp_shape_row(shape),
        .a_stride = lp_op_stride(pl->graph, node->src[0]),
        .b_stride = lp_op_stride(pl->graph, b),
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
        .in_factor = is_act ? node->p.act.in : 1,
        .out_factor = is_act ? node->p.act.out : 1,
    };
    if (p.n == 1 && p.a_stride == 1 && p.b_stride <= 1 && p.y_stride == 1) { /* a vector */
        p.n = p.n_rows;
        p.n_rows = 1;
    }
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "elementwise", "f32", &kernel));
    const uint64_t per_row = (p.n + SIZE * PER_INVOCATION - 1) / (SIZE * PER_INVOCATION);
    uint32_t groups[2];
    lp_op_groups(pl->caps, per_row * p.n_rows, groups);
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1], 1, &p, sizeof p);
    lp_dispatch_spec(d, 0, SIZE);
    lp_dispatch_spec(d, 1, PER_INVOCATION);
    lp_dispatch_spec(d, 2, operation);
    lp_dispatch_spec(d, 3, is_act ? node->p.act.act : LP_ACT_NONE);
    lp_dispatch_tensor(pl, d, offsetof(lp_elementwise_params, a), node->src[0], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_elementwise_params, b), b, LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_elementwise_params, y), node->dst[0], LP_WRITE);
    d->flops = (double)p.n_rows * p.n;
    return LP_OK;
}

lp_status lp_op_add_plan(lp_planner *pl, const lp_node *node)
{
    return elementwise_plan(pl, node, DO_ADD);
}

lp_status lp_op_mul_plan(lp_planner *pl, const lp_node *node)
{
    return elementwise_plan(pl, node, DO_MUL);
}

lp_status lp_op_max_plan(lp_planner *pl, const lp_node *node)
{
    return elementwise_plan(pl, node, DO_MAX);
}

lp_status lp_op_act_plan(lp_planner *pl, const lp_node *node)
{
    return elementwise_plan(pl, node, DO_ACT);
}
