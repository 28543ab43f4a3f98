/* Rotary position embedding (Su et al. 2021, arXiv:2104.09864): pair k of a head is turned by
 * position * frequency[k] radians. Devices have no sine that can be trusted, so a kernel reads
 * cos/sin from a two-level table and does one complex product (lp_rope_table in graph/builder.h);
 * the reference computes the angle in double and never looks at the table. */
#include <math.h>

#include "ops/ops.h"
#include "ops/sigma.h"
#include "params.h"

lp_status lp_op_rope_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                           lp_shape shapes[LP_MAX_DST])
{
    LP_TRY(lp_op_check_input(ctx, graph, node, 0, "x", 3));
    LP_TRY(lp_op_check_cursor(ctx, graph, node, node->src[1]));
    const lp_tensor *x = lp_op_tensor(graph, node->src[0]);
    const lp_tensor *table = lp_op_tensor(graph, node->src[2]);
    int64_t head = x->shape.dim[2], n = node->p.rope.n_rotated;
    if (head % 2 != 0 || n < 2 || n % 2 != 0 || n > head)
        return lp_fail(ctx, LP_E_SHAPE, "%s: cannot rotate %lld of %lld elements of a head",
                       node->name, (long long)n, (long long)head);
    if (node->p.rope.frequencies == NULL)
        return lp_fail(ctx, LP_E_ARG, "%s: no frequencies", node->name);
    if (!(isfinite(node->p.rope.scale) && node->p.rope.scale > 0))
        return lp_fail(ctx, LP_E_ARG, "%s: a scale of %g", node->name, (double)node->p.rope.scale);
    if (table == NULL || table->dtype != LP_F32 || table->shape.n != 3 ||
        table->shape.dim[0] <= 256 || table->shape.dim[1] != n / 2 || table->shape.dim[2] != 2)
        return lp_fail(ctx, LP_E_SHAPE, "%s: the table of angles does not fit", node->name);
    shapes[0] = x->shape;
    return LP_OK;
}

/* Sigma of y = a c - b s or a s + b c. cos and sin, times scale, come out of two products and a
 * sum, of table entries that are rounded themselves, all of them at most scale: four roundings of
 * it. */
static float rotated_sigma(double scale, double a, double b, double y)
{
    const double squares = lp_square(scale) * (lp_square(a) + lp_square(b));
    return lp_sigma(lp_rounding_variance(1) * (4 + 1) * squares + 2 * lp_rounding_variance(y));
}

lp_status lp_op_rope_cpu(const lp_cpu_call *call)
{
    const lp_node *node = call->node;
    const lp_view *x = &call->src[0], *y = &call->dst[0];
    int64_t n_tokens = x->shape.dim[0], n_heads = x->shape.dim[1], head = x->shape.dim[2];
    int32_t position = ((const int32_t *)call->src[1].data)[LP_CURSOR_POSITION];
    int32_t n_rotated = node->p.rope.n_rotated, pairs = n_rotated / 2;
    const double scale = (double)node->p.rope.scale;
    bool halves = node->p.rope.pairing == LP_ROPE_HALVES;
#pragma omp parallel for if (n_tokens * n_heads * head > LP_PARALLEL_WORK)
    for (int64_t t = 0; t < n_tokens; t++) {
        const float *from = (const float *)x->data + (uint64_t)t * x->stride;
        float *to = (float *)y->data + (uint64_t)t * y->stride;
        float *sigma = call->sigma != NULL ? call->sigma + t * n_heads * head : NULL;
        for (int32_t k = 0; k < pairs; k++) {
            double angle = (double)(position + t) * node->p.rope.frequencies[k];
            double c = scale * cos(angle), s = scale * sin(angle);
            int64_t i = halves ? k : 2 * k, j = halves ? k + pairs : 2 * k + 1;
            for (int64_t h = 0; h < n_heads; h++) {
                double a = from[h * head + i], b = from[h * head + j];
                to[h * head + i] = (float)(a * c - b * s);
                to[h * head + j] = (float)(a * s + b * c);
                if (sigma != NULL) {
                    sigma[h * head + i] = rotated_sigma(scale, a, b, a * c - b * s);
                    sigma[h * head + j] = rotated_sigma(scale, a, b, a * s + b * c);
                }
            }
        }
        for (int64_t h = 0; h < n_heads; h++)
            for (int64_t i = n_rotated; i < head; i++) {
                to[h * head + i] = from[h * head + i];
                if (sigma != NULL)
                    sigma[h * head + i] = lp_sigma(0); /* copied */
            }
    }
    return LP_OK;
}

lp_status lp_op_rope_plan(lp_planner *pl, const lp_node *node)
{
    const lp_tensor *x = lp_op_tensor(pl->graph, node->src[0]);
    const lp_tensor *table = lp_op_tensor(pl->graph, node->src[2]);
    bool halves = node->p.rope.pairing == LP_ROPE_HALVES;
    lp_rope_params push = {
        .x_stride = lp_op_stride(pl->graph, node->src[0]),
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
        .n_tokens = (uint32_t)x->shape.dim[0],
        .n_heads = (uint32_t)x->shape.dim[1],
        .head = (uint32_t)x->shape.dim[2],
        .n_rotated = (uint32_t)node->p.rope.n_rotated,
        .table_rows = (uint32_t)table->shape.dim[0],
    };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "rope", "f32", &kernel));
    uint32_t size = 128, groups[2];
    uint64_t pairs = (uint64_t)(lp_shape_elements(x->shape) / 2);
    lp_op_groups(pl->caps, (pairs + size - 1) / size, groups);
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1], 1, &push, sizeof push);
    lp_dispatch_spec(d, 0, size);
    lp_dispatch_spec(d, 1, halves);
    lp_dispatch_tensor(pl, d, offsetof(lp_rope_params, x), node->src[0], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_rope_params, cursor), node->src[1], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_rope_params, table), node->src[2], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_rope_params, y), node->dst[0], LP_WRITE);
    d->flops = 6.0 * (double)pairs;
    return LP_OK;
}
