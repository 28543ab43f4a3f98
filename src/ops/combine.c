/* What a token's experts made, added up: y[t] = sum over slots s of weight[t, s] x[t k + s], plus
 * residual. With k = 1 it scales rows. */
#include "ops/ops.h"

#include <stddef.h>

#include "ops/sigma.h"
#include "params.h"

enum { X, ROUTES, RESIDUAL }; /* sources, see graph.h */

lp_status lp_op_combine_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                              lp_shape shapes[LP_MAX_DST])
{
    LP_TRY(lp_op_check_input(ctx, graph, node, X, "the input", 2));
    LP_TRY(lp_op_check_routes(ctx, graph, node, ROUTES));
    const lp_shape x = lp_op_tensor(graph, node->src[X])->shape;
    const lp_shape routes = lp_op_tensor(graph, node->src[ROUTES])->shape;
    char a[96], b[96];
    if (x.dim[0] != routes.dim[0] * routes.dim[1])
        return lp_fail(ctx, LP_E_SHAPE, "%s: input %s does not fit routes %s", node->name,
                       lp_shape_print(x, a), lp_shape_print(routes, b));
    shapes[0] = LP_SHAPE2(routes.dim[0], x.dim[1]);
    return lp_op_check_like(ctx, graph, node, RESIDUAL, "the residual", shapes[0]);
}

static const float *row_of(const lp_view *view, int64_t row)
{
    return (const float *)view->data + (uint64_t)row * view->stride;
}

lp_status lp_op_combine_cpu(const lp_cpu_call *call)
{
    const lp_view *x = &call->src[X], *routes = &call->src[ROUTES], *y = &call->dst[0];
    const lp_view *residual = &call->src[RESIDUAL];
    const int64_t n_tokens = y->shape.dim[0], n = y->shape.dim[1], k = routes->shape.dim[1];
#pragma omp parallel for schedule(static) if (n_tokens * k * n > LP_PARALLEL_WORK)
    for (int64_t t = 0; t < n_tokens; t++) {
        const float *route = row_of(routes, t);
        float *to = (float *)y->data + (uint64_t)t * y->stride;
        for (int64_t i = 0; i < n; i++) {
            lp_dot_sums sums = {0};
            for (int64_t s = 0; s < k; s++)
                lp_dot_add(&sums, (double)route[2 * s + 1] * (double)row_of(x, t * k + s)[i]);
            double value = sums.sum;
            if (residual->data != NULL)
                value += (double)row_of(residual, t)[i];
            to[i] = (float)value;
            if (call->sigma != NULL) /* the residual's sum, and the reference's own to float */
                call->sigma[t * n + i] =
                    lp_sigma(lp_dot_variance((double)k, &sums) + 2 * lp_rounding_variance(value));
        }
    }
    return LP_OK;
}

lp_status lp_op_combine_plan(lp_planner *pl, const lp_node *node)
{
    enum { SIZE = 128 };
    const lp_shape shape = lp_op_tensor(pl->graph, node->dst[0])->shape;
    const lp_combine_params p = {
        .n_tokens = (uint32_t)shape.dim[0],
        .n = (uint32_t)shape.dim[1],
        .n_slots = (uint32_t)lp_op_tensor(pl->graph, node->src[ROUTES])->shape.dim[1],
        .x_stride = lp_op_stride(pl->graph, node->src[X]),
        .routes_stride = lp_op_stride(pl->graph, node->src[ROUTES]),
        .residual_stride = lp_op_stride(pl->graph, node->src[RESIDUAL]),
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
    };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "combine", "f32", &kernel));
    uint32_t groups[2];
    lp_op_groups(pl->caps, (p.n + SIZE - 1) / SIZE * (uint64_t)p.n_tokens, groups);
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1], 1, &p, sizeof p);
    lp_dispatch_spec(d, 0, SIZE);
    lp_dispatch_tensor(pl, d, offsetof(lp_combine_params, x), node->src[X], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_combine_params, routes), node->src[ROUTES], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_combine_params, residual), node->src[RESIDUAL], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_combine_params, y), node->dst[0], LP_WRITE);
    d->flops = 2.0 * p.n_tokens * p.n_slots * p.n;
    return LP_OK;
}
