/* Layer norm (Ba, Kiros & Hinton 2016, arXiv:1607.06450), RMS norm (Zhang & Sennrich 2019,
 * arXiv:1910.07467) and softmax, with the residual sum that usually precedes them. The sum is a
 * second output, because the residual stream goes on from it. Variances are taken in a second pass
 * around the mean: E[x^2] - E[x]^2 loses everything where |mean| is large. */
#include "ops/ops.h"

#include <math.h>
#include <stddef.h>

#include "ops/moments.h"
#include "ops/sigma.h"
#include "params.h"

enum { X, GAIN, BIAS, RESIDUAL }; /* sources, see graph.h */

/* Rows of the result: those of x [T, N], or those of all heads of x [T, H, N]. */
static int64_t n_heads_of(lp_shape x)
{
    return x.n == 3 ? x.dim[1] : 1;
}

lp_status lp_op_norm_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                           lp_shape shapes[LP_MAX_DST])
{
    LP_TRY(lp_op_check_input(ctx, graph, node, X, "the input", 0));
    const lp_shape shape = lp_op_tensor(graph, node->src[X])->shape;
    const lp_tensor *gain = lp_op_tensor(graph, node->src[GAIN]);
    if (shape.n != 2 && shape.n != 3)
        return lp_op_check_input(ctx, graph, node, X, "the input", 2);
    const int64_t n = shape.dim[shape.n - 1];
    const bool per_head = shape.n == 3 && gain != NULL && gain->shape.n == 2;
    const lp_shape vectors = per_head ? LP_SHAPE2(shape.dim[1], n) : LP_SHAPE1(n);
    LP_TRY(lp_op_check_vectors(ctx, graph, node, GAIN, "the gain", vectors));
    LP_TRY(lp_op_check_vectors(ctx, graph, node, BIAS, "the bias", vectors));
    LP_TRY(lp_op_check_like(ctx, graph, node, RESIDUAL, "the residual", shape));
    if (!(node->p.norm.eps >= 0))
        return lp_fail(ctx, LP_E_ARG, "%s: epsilon %g", node->name, (double)node->p.norm.eps);
    if (node->src[RESIDUAL] == LP_NONE && node->dst[1] != LP_NONE)
        return lp_fail(ctx, LP_E_SHAPE, "%s: a sum without a residual", node->name);
    shapes[0] = shape;
    if (node->src[RESIDUAL] != LP_NONE)
        shapes[1] = shape;
    return LP_OK;
}

/* Element i of the vector, or of the head's vector. */
static double vector_at(const lp_view *vector, int64_t head, int64_t i, double missing)
{
    float value;
    if (vector->data == NULL)
        return missing;
    if (vector->shape.n == 2)
        lp_view_load(vector, head, i, &value, 1);
    else
        lp_view_load(vector, i, 0, &value, 1);
    return (double)value;
}

/* Of a softmax, exp(a - mean) scale: the largest element as the mean, scale = 1 / sum of the
 * exponentials. */
static lp_moments softmax_of(const float *a, int64_t n)
{
    lp_moments m = {.mean = (double)a[0]};
    double sum = 0;
    for (int64_t i = 1; i < n; i++)
        m.mean = !((double)a[i] <= m.mean) ? (double)a[i] : m.mean; /* NaN stays */
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)a[i] - m.mean);
    m.scale = 1 / sum;
    return m;
}

/* Sigma of one row of a softmax: exponentials, whose arguments are rounded; their sum; a quotient.
 */
static void softmax_sigma(const lp_cpu_call *call, int64_t head, const float *a, int64_t n,
                          const lp_moments *m, float *sigma)
{
    double squares = 0, in_sum = 0; /* of the exponentials */
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)a[i] - m->mean, e = exp(d);
        squares += e * e;
        in_sum += lp_ulp_variance(LP_ULP_EXP(d), e) + lp_square(e) * lp_rounding_variance(d);
    }
    in_sum += lp_sum_variance((double)n, squares, 1 / m->scale);
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)a[i] - m->mean, gain = vector_at(&call->src[GAIN], head, i, 1);
        const double y = exp(d) * m->scale * gain, bias = vector_at(&call->src[BIAS], head, i, 0);
        const double relative = lp_ulp_variance(LP_ULP_EXP(d), 1) + lp_rounding_variance(d) +
                                in_sum * lp_square(m->scale) + lp_ulp_variance(LP_ULP_DIVISION, 1) +
                                2 * lp_rounding_variance(1);
        sigma[i] = lp_sigma(lp_square(y) * relative + lp_rounding_variance(y + bias) +
                            lp_square(gain * (double)FLT_MIN));
    }
}

/* Sigma of one row of the result; a: what is normalised. */
static void row_sigma(const lp_cpu_call *call, int64_t head, const float *a, int64_t n,
                      const lp_moments *m, float *sigma)
{
    const lp_moments_error error =
        lp_moments_error_of(a, n, m, call->node->p.norm.kind == LP_NORM_LAYER);
    for (int64_t i = 0; i < n; i++)
        sigma[i] = lp_sigma(lp_normalised_variance((double)a[i], m, &error,
                                                   vector_at(&call->src[GAIN], head, i, 1),
                                                   vector_at(&call->src[BIAS], head, i, 0)));
}

static float *row_of(const lp_view *view, int64_t t, int64_t head, int64_t n)
{
    return (float *)view->data + (uint64_t)t * view->stride + head * n;
}

lp_status lp_op_norm_cpu(const lp_cpu_call *call)
{
    const lp_view *x = &call->src[X], *residual = &call->src[RESIDUAL];
    const lp_view *y = &call->dst[0], *sum = &call->dst[1];
    const int64_t n_heads = n_heads_of(x->shape), n_rows = x->shape.dim[0] * n_heads;
    const int64_t n = x->shape.dim[x->shape.n - 1];
    const bool softmax = call->node->p.norm.kind == LP_NORM_SOFTMAX;
#pragma omp parallel for schedule(static) if (n_rows * n > LP_PARALLEL_WORK)
    for (int64_t r = 0; r < n_rows; r++) {
        const int64_t t = r / n_heads, head = r % n_heads;
        const float *a = row_of(x, t, head, n);
        float *to = row_of(y, t, head, n);
        if (residual->data != NULL) {
            const float *b = row_of(residual, t, head, n);
            float *s = sum->data ? row_of(sum, t, head, n) : to;
            for (int64_t i = 0; i < n; i++)
                s[i] = a[i] + b[i];
            a = s;
        }
        const lp_moments m = softmax ? softmax_of(a, n)
                                     : lp_moments_of(a, n, call->node->p.norm.kind == LP_NORM_LAYER,
                                                     (double)call->node->p.norm.eps);
        if (call->sigma != NULL) /* before y, which may be where the sum lies */
            (softmax ? softmax_sigma : row_sigma)(call, head, a, n, &m, call->sigma + r * n);
        for (int64_t i = 0; i < n; i++) {
            const double d = (double)a[i] - m.mean;
            to[i] =
                (float)((softmax ? exp(d) : d) * m.scale * vector_at(&call->src[GAIN], head, i, 1) +
                        vector_at(&call->src[BIAS], head, i, 0));
        }
    }
    return LP_OK;
}

lp_status lp_op_norm_plan(lp_planner *pl, const lp_node *node)
{
    const lp_shape shape = lp_op_tensor(pl->graph, node->src[X])->shape;
    const lp_tensor *gain = lp_op_tensor(pl->graph, node->src[GAIN]);
    const lp_norm_params p = {
        .n_rows = (uint32_t)(shape.dim[0] * n_heads_of(shape)),
        .n = (uint32_t)shape.dim[shape.n - 1],
        .n_heads = (uint32_t)n_heads_of(shape),
        .gain_per_head = gain != NULL && gain->shape.n == 2,
        .x_stride = lp_op_stride(pl->graph, node->src[X]),
        .residual_stride = lp_op_stride(pl->graph, node->src[RESIDUAL]),
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
        .sum_stride = lp_op_stride(pl->graph, node->dst[1]),
        .eps = node->p.norm.eps,
    };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "norm", "f32", &kernel));
    uint32_t groups[2];
    lp_op_groups(pl->caps, p.n_rows, groups);
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1], 1, &p, sizeof p);
    lp_dispatch_spec(d, 0, pl->caps->is_cpu ? 32 : 128);
    lp_dispatch_spec(d, 1, node->p.norm.kind);
    lp_dispatch_tensor(pl, d, offsetof(lp_norm_params, x), node->src[X], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_norm_params, residual), node->src[RESIDUAL], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_norm_params, gain), node->src[GAIN], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_norm_params, bias), node->src[BIAS], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_norm_params, y), node->dst[0], LP_WRITE);
    lp_dispatch_tensor(pl, d, offsetof(lp_norm_params, sum), node->dst[1], LP_WRITE);
    d->flops = 8.0 * p.n_rows * p.n;
    return LP_OK;
}
