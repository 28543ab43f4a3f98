/* Rotary position embedding (Su et al. 2021, arXiv:2104.09864): pair k of a head is turned by
 * position * frequency[k] radians. Devices have no sine that can be trusted, so a kernel reads
 * cos/sin from a two-level table and does one complex product (lp_rope_table in graph/builder.h);
 * the reference computes the angle in double and never looks at the table.
 *
 * With two axes (Du et al. 2022, arXiv:2103.10360, 2.2, as rotations) a token has two positions. Of
 * a text of S tokens that all see, the one at i has i and 0; behind it, what is generated in the
 * place of the token at B has B and i - S + 1. The first turns the first half of the pairs, which
 * are neighbours in the head, the second the other half. */
#include <math.h>

#include "ops/ops.h"
#include "ops/sigma.h"
#include "params.h"

enum { X, CURSOR, TABLE, FRONT }; /* sources, see graph.h */

lp_status lp_op_rope_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                           lp_shape shapes[LP_MAX_DST])
{
    LP_TRY(lp_op_check_input(ctx, graph, node, X, "x", 3));
    LP_TRY(lp_op_check_cursor(ctx, graph, node, node->src[CURSOR]));
    const lp_tensor *x = lp_op_tensor(graph, node->src[X]);
    const lp_tensor *table = lp_op_tensor(graph, node->src[TABLE]);
    int64_t head = x->shape.dim[2], n = node->p.rope.n_rotated;
    if (head % 2 != 0 || n < 2 || n % 2 != 0 || n > head)
        return lp_fail(ctx, LP_E_SHAPE, "%s: cannot rotate %lld of %lld elements of a head",
                       node->name, (long long)n, (long long)head);
    if (node->p.rope.two_axes && (n % 4 != 0 || node->src[FRONT] != LP_NONE))
        return lp_fail(ctx, LP_E_SHAPE, "%s: cannot rotate %lld elements%s by two positions",
                       node->name, (long long)n, node->src[FRONT] != LP_NONE ? " at the end" : "");
    if (node->p.rope.frequencies == NULL)
        return lp_fail(ctx, LP_E_ARG, "%s: no frequencies", node->name);
    if (!(isfinite(node->p.rope.scale) && node->p.rope.scale > 0))
        return lp_fail(ctx, LP_E_ARG, "%s: a scale of %g", node->name, (double)node->p.rope.scale);
    if (table == NULL || table->dtype != LP_F32 || table->shape.n != 3 ||
        table->shape.dim[0] <= 256 || table->shape.dim[1] != n / 2 || table->shape.dim[2] != 2)
        return lp_fail(ctx, LP_E_SHAPE, "%s: the table of angles does not fit", node->name);
    const lp_rope_place place = node->p.rope.place;
    if (place.period < 0 || place.first < 0 || place.after < 0 ||
        (place.period == 0 && (place.first != 0 || place.after != 0)))
        return lp_fail(ctx, LP_E_ARG, "%s: places %d + (i + %d) %% %d", node->name,
                       (int)place.after, (int)place.first, (int)place.period);
    shapes[0] = x->shape;
    const lp_tensor *front = lp_op_tensor(graph, node->src[FRONT]);
    if (front == NULL)
        return LP_OK;
    LP_TRY(lp_op_check_input(ctx, graph, node, FRONT, "the front", 3));
    char a[96], b[96];
    if (front->shape.dim[0] != x->shape.dim[0] || front->shape.dim[1] != x->shape.dim[1] ||
        front->shape.dim[2] % 2 != 0)
        return lp_fail(ctx, LP_E_SHAPE, "%s: the front %s does not fit %s", node->name,
                       lp_shape_print(front->shape, a), lp_shape_print(x->shape, b));
    shapes[0].dim[2] = front->shape.dim[2] + n;
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

/* The position of the token at `place` on an axis. */
static int64_t position_of(const int32_t *cursor, int64_t place, bool two_axes, bool second)
{
    const int64_t n_source = cursor[LP_CURSOR_SOURCE];
    if (!two_axes)
        return place;
    if (place < n_source)
        return second ? 0 : place;
    return second ? place - n_source + 1 : cursor[LP_CURSOR_BLANK];
}

static void copy(const float *from, float *to, float *sigma, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] = from[i];
        if (sigma != NULL)
            sigma[i] = lp_sigma(0);
    }
}

/* The position whose angles the token at `place` in the text has. */
static int64_t placed(lp_rope_place p, int64_t place)
{
    return p.period == 0 ? place : p.after + (place + p.first) % p.period;
}

lp_status lp_op_rope_cpu(const lp_cpu_call *call)
{
    const lp_node *node = call->node;
    const lp_view *x = &call->src[X], *y = &call->dst[0], *front = &call->src[FRONT];
    int64_t n_tokens = x->shape.dim[0], n_heads = x->shape.dim[1];
    int64_t head = x->shape.dim[2], y_head = y->shape.dim[2];
    const int32_t *cursor = call->src[CURSOR].data;
    const bool two_axes = node->p.rope.two_axes;
    int32_t n_rotated = node->p.rope.n_rotated, pairs = n_rotated / 2;
    const int32_t per_axis = two_axes ? pairs / 2 : pairs;
    int64_t n_front = front->data != NULL ? front->shape.dim[2] : 0;
    int64_t first = front->data != NULL ? head - n_rotated : 0; /* of x */
    const double scale = (double)node->p.rope.scale;
    bool halves = node->p.rope.pairing == LP_ROPE_HALVES;
#pragma omp parallel for if (n_tokens * n_heads * y_head > LP_PARALLEL_WORK)
    for (int64_t t = 0; t < n_tokens; t++) {
        const float *from = (const float *)x->data + (uint64_t)t * x->stride + first;
        float *to = (float *)y->data + (uint64_t)t * y->stride + n_front;
        float *sigma = call->sigma != NULL ? call->sigma + t * n_heads * y_head + n_front : NULL;
        for (int32_t k = 0; k < pairs; k++) {
            const int64_t position =
                placed(node->p.rope.place, position_of(cursor, cursor[LP_CURSOR_POSITION] + t,
                                                       two_axes, k >= per_axis));
            double angle = (double)position * node->p.rope.frequencies[k];
            double c = scale * cos(angle), s = scale * sin(angle);
            int64_t i = halves ? k + k / per_axis * per_axis : 2 * k;
            int64_t j = halves ? i + per_axis : 2 * k + 1;
            for (int64_t h = 0; h < n_heads; h++) {
                double a = from[h * head + i], b = from[h * head + j];
                to[h * y_head + i] = (float)(a * c - b * s);
                to[h * y_head + j] = (float)(a * s + b * c);
                if (sigma != NULL) {
                    sigma[h * y_head + i] = rotated_sigma(scale, a, b, a * c - b * s);
                    sigma[h * y_head + j] = rotated_sigma(scale, a, b, a * s + b * c);
                }
            }
        }
        for (int64_t h = 0; h < n_heads; h++) {
            float *of_head = to + h * y_head, *its_sigma = sigma ? sigma + h * y_head : NULL;
            if (front->data != NULL)
                copy((const float *)front->data + (uint64_t)t * front->stride + h * n_front,
                     of_head - n_front, its_sigma ? its_sigma - n_front : NULL, n_front);
            else
                copy(from + h * head + n_rotated, of_head + n_rotated,
                     its_sigma ? its_sigma + n_rotated : NULL, head - n_rotated);
        }
    }
    return LP_OK;
}

lp_status lp_op_rope_plan(lp_planner *pl, const lp_node *node)
{
    const lp_tensor *x = lp_op_tensor(pl->graph, node->src[X]);
    const lp_tensor *y = lp_op_tensor(pl->graph, node->dst[0]);
    const lp_tensor *table = lp_op_tensor(pl->graph, node->src[TABLE]);
    const lp_tensor *front = lp_op_tensor(pl->graph, node->src[FRONT]);
    bool halves = node->p.rope.pairing == LP_ROPE_HALVES;
    lp_rope_params push = {
        .x_stride = lp_op_stride(pl->graph, node->src[X]),
        .front_stride = lp_op_stride(pl->graph, node->src[FRONT]),
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
        .n_tokens = (uint32_t)x->shape.dim[0],
        .n_heads = (uint32_t)x->shape.dim[1],
        .head = (uint32_t)x->shape.dim[2],
        .first = front != NULL ? (uint32_t)(x->shape.dim[2] - node->p.rope.n_rotated) : 0,
        .n_front = front != NULL ? (uint32_t)front->shape.dim[2] : 0,
        .y_head = (uint32_t)y->shape.dim[2],
        .n_rotated = (uint32_t)node->p.rope.n_rotated,
        .table_rows = (uint32_t)table->shape.dim[0],
        .period = (uint32_t)node->p.rope.place.period,
        .place_first = (uint32_t)node->p.rope.place.first,
        .place_after = (uint32_t)node->p.rope.place.after,
    };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "rope", "f32", &kernel));
    uint32_t size = 128, groups[2];
    uint64_t pairs = (uint64_t)(lp_shape_elements(y->shape) / 2);
    lp_op_groups(pl->caps, (pairs + size - 1) / size, groups);
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1], 1, &push, sizeof push);
    lp_dispatch_spec(d, 0, size);
    lp_dispatch_spec(d, 1, halves);
    lp_dispatch_spec(d, 2, node->p.rope.two_axes);
    lp_dispatch_tensor(pl, d, offsetof(lp_rope_params, x), node->src[X], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_rope_params, cursor), node->src[CURSOR], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_rope_params, table), node->src[TABLE], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_rope_params, front), node->src[FRONT], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_rope_params, y), node->dst[0], LP_WRITE);
    d->flops = 6.0 * (double)pairs;
    return LP_OK;
}
