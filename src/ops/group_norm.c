/* Group norm (Wu & He 2018, arXiv:1803.08494) of a picture: each group of neighbouring channels is
 * normalised over all pixels, then every channel has its gain, bias and, usually, an activation. A
 * group has up to millions of elements and there are few groups, so a device takes the moments of
 * pieces first (shaders/group_norm.comp). */
#include "ops/ops.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ops/moments.h"
#include "ops/sigma.h"
#include "ops/simd.h"
#include "params.h"

enum { X, GAIN, BIAS }; /* sources, see graph.h */

lp_status lp_op_group_norm_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                                 lp_shape shapes[LP_MAX_DST])
{
    LP_TRY(lp_op_check_input(ctx, graph, node, X, "the input", 2));
    const lp_tensor *x = lp_op_tensor(graph, node->src[X]);
    const int64_t n_channels = x->shape.dim[1], n_groups = node->p.group_norm.n_groups;
    char text[96];
    if (n_groups < 1 || n_channels % n_groups != 0)
        return lp_fail(ctx, LP_E_SHAPE, "%s: %lld channels in %lld groups", node->name,
                       (long long)n_channels, (long long)n_groups);
    if (!(node->p.group_norm.eps >= 0) || (unsigned)node->p.group_norm.act >= LP_N_ACTS)
        return lp_fail(ctx, LP_E_ARG, "%s: epsilon %g, activation %d", node->name,
                       (double)node->p.group_norm.eps, (int)node->p.group_norm.act);
    if (lp_tensor_extent(x) >= UINT64_C(1) << 30) /* kernels count in 31 bits */
        return lp_fail(ctx, LP_E_LIMIT, "%s: a picture %s is too large", node->name,
                       lp_shape_print(x->shape, text));
    LP_TRY(lp_op_check_vector(ctx, graph, node, GAIN, "the gain", n_channels));
    LP_TRY(lp_op_check_vector(ctx, graph, node, BIAS, "the bias", n_channels));
    shapes[0] = x->shape;
    return LP_OK;
}

/* ---- CPU ----------------------------------------------------------------------------------- */

static double vector_at(const lp_view *vector, int64_t i, double missing)
{
    float value;
    if (vector->data == NULL)
        return missing;
    lp_view_load(vector, i, 0, &value, 1);
    return (double)value;
}

/* Normalises the channels [first, first + width); a: their elements, pixel by pixel. */
static void finish_group(const lp_cpu_call *call, int64_t first, int64_t width, const float *a,
                         const lp_moments *m, const lp_moments_error *error)
{
    const lp_view *y = &call->dst[0];
    const lp_act_kind act = call->node->p.group_norm.act;
    for (int64_t c = 0; c < width; c++) {
        const double gain = vector_at(&call->src[GAIN], first + c, 1);
        const double bias = vector_at(&call->src[BIAS], first + c, 0);
        for (int64_t r = 0; r < y->shape.dim[0]; r++) {
            const double x = (double)a[r * width + c],
                         value = (x - m->mean) * m->scale * gain + bias;
            const double result = lp_act_exact(act, value);
            ((float *)y->data)[(uint64_t)r * y->stride + (uint64_t)(first + c)] = (float)result;
            if (call->sigma != NULL)
                call->sigma[r * y->shape.dim[1] + first + c] = lp_sigma(
                    lp_act_variance(act, value, lp_normalised_variance(x, m, error, gain, bias)) +
                    lp_rounding_variance(result));
        }
    }
}

/* The same in float, for the `cpu` device; what `a` holds is used up. False for another activation.
 */
static bool finish_fast(const lp_cpu_call *call, int64_t first, int64_t width, float *a,
                        const lp_moments *m)
{
    const lp_view *y = &call->dst[0];
    const lp_act_kind act = call->node->p.group_norm.act;
    const int64_t n = y->shape.dim[0] * width;
    if (call->simd == NULL || (act != LP_ACT_NONE && act != LP_ACT_SILU))
        return false;
    for (int64_t c = 0; c < width; c++) {
        const float gain = (float)(vector_at(&call->src[GAIN], first + c, 1) * m->scale);
        const float bias = (float)vector_at(&call->src[BIAS], first + c, 0);
        for (int64_t i = c; i < n; i += width)
            a[i] = (float)((double)a[i] - m->mean) * gain + bias;
    }
    if (act == LP_ACT_SILU)
        call->simd->silu(a, n);
    for (int64_t r = 0; r < y->shape.dim[0]; r++)
        memcpy((float *)y->data + (uint64_t)r * y->stride + (uint64_t)first, a + r * width,
               (size_t)width * sizeof *a);
    return true;
}

lp_status lp_op_group_norm_cpu(const lp_cpu_call *call)
{
    const lp_view *x = &call->src[X];
    const int64_t n_rows = x->shape.dim[0], n_groups = call->node->p.group_norm.n_groups;
    const int64_t width = x->shape.dim[1] / n_groups, n = n_rows * width;
    bool failed = false;
#pragma omp parallel for schedule(static) if (n > LP_PARALLEL_WORK) reduction(|| : failed)
    for (int64_t g = 0; g < n_groups; g++) {
        float *a = malloc((size_t)n * sizeof *a);
        if (a == NULL) {
            failed = true;
            continue;
        }
        for (int64_t r = 0; r < n_rows; r++)
            memcpy(a + r * width, (const float *)x->data + (uint64_t)r * x->stride + g * width,
                   (size_t)width * sizeof *a);
        const lp_moments m = lp_moments_of(a, n, true, (double)call->node->p.group_norm.eps);
        lp_moments_error error = {0};
        if (call->sigma != NULL)
            error = lp_moments_error_of(a, n, &m, true);
        if (!finish_fast(call, g * width, width, a, &m))
            finish_group(call, g * width, width, a, &m, &error);
        free(a);
    }
    return failed ? lp_fail_memory(call->ctx, call->node->name) : LP_OK;
}

/* ---- Plan ---------------------------------------------------------------------------------- */

/* Rows that one workgroup takes the moments of, and how many such pieces there are: enough of them
 * for all cores, and none that is not worth a workgroup. */
static uint32_t rows_of_piece(const lp_graph *graph, const lp_node *node, uint32_t *n_pieces)
{
    enum { ELEMENTS = 4096, MOST_PIECES = 1024 };
    const lp_shape x = lp_op_tensor(graph, node->src[X])->shape;
    const uint32_t n_rows = (uint32_t)x.dim[0];
    const uint32_t width = (uint32_t)(x.dim[1] / node->p.group_norm.n_groups);
    uint32_t rows = width < ELEMENTS ? ELEMENTS / width : 1;
    if (n_rows / rows >= MOST_PIECES)
        rows = (n_rows + MOST_PIECES - 1) / MOST_PIECES;
    *n_pieces = (n_rows + rows - 1) / rows;
    return rows;
}

enum { MOMENTS_BYTES = 3 * sizeof(float) };

uint64_t lp_op_group_norm_scratch(const lp_graph *graph, const lp_node *node, const lp_caps *caps)
{
    uint32_t n_pieces;
    (void)caps;
    rows_of_piece(graph, node, &n_pieces);
    return (uint64_t)node->p.group_norm.n_groups * (n_pieces + 1) * MOMENTS_BYTES;
}

/* STAGE of shaders/group_norm.comp. */
typedef enum stage { OF_PIECES, OF_GROUPS, NORMALISE } stage;
enum { PER_INVOCATION = 4 };

static void add_stage(lp_planner *pl, const lp_node *node, const lp_kernel *kernel, uint32_t size,
                      const lp_group_norm_params *p, stage which, const uint32_t groups[2])
{
    const uint64_t pieces = (uint64_t)p->n_groups * p->n_pieces * MOMENTS_BYTES;
    const size_t at_pieces = offsetof(lp_group_norm_params, pieces);
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1], 1, p, sizeof *p);
    lp_dispatch_spec(d, 0, size);
    lp_dispatch_spec(d, 1, which);
    lp_dispatch_spec(d, 2, PER_INVOCATION);
    lp_dispatch_spec(d, 3, which == NORMALISE ? node->p.group_norm.act : LP_ACT_NONE);
    if (which != OF_GROUPS)
        lp_dispatch_tensor(pl, d, offsetof(lp_group_norm_params, x), node->src[X], LP_READ);
    if (which != NORMALISE)
        lp_dispatch_scratch(pl, d, at_pieces, 0, pieces, which == OF_PIECES ? LP_WRITE : LP_READ);
    if (which != OF_PIECES)
        lp_dispatch_scratch(pl, d, offsetof(lp_group_norm_params, stats), pieces,
                            (uint64_t)p->n_groups * MOMENTS_BYTES,
                            which == OF_GROUPS ? LP_WRITE : LP_READ);
    if (which == NORMALISE) {
        lp_dispatch_tensor(pl, d, offsetof(lp_group_norm_params, gain), node->src[GAIN], LP_READ);
        lp_dispatch_tensor(pl, d, offsetof(lp_group_norm_params, bias), node->src[BIAS], LP_READ);
        lp_dispatch_tensor(pl, d, offsetof(lp_group_norm_params, y), node->dst[0], LP_WRITE);
    }
    d->flops = which == OF_GROUPS ? 8.0 * p->n_groups * p->n_pieces
                                  : 6.0 * p->n_rows * (double)p->n_channels;
}

lp_status lp_op_group_norm_plan(lp_planner *pl, const lp_node *node)
{
    const lp_shape shape = lp_op_tensor(pl->graph, node->src[X])->shape;
    lp_group_norm_params p = {
        .n_rows = (uint32_t)shape.dim[0],
        .n_channels = (uint32_t)shape.dim[1],
        .n_groups = (uint32_t)node->p.group_norm.n_groups,
        .x_stride = lp_op_stride(pl->graph, node->src[X]),
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
        .eps = node->p.group_norm.eps,
    };
    p.piece_rows = rows_of_piece(pl->graph, node, &p.n_pieces);
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "group_norm", "f32", &kernel));
    const uint32_t size = pl->caps->is_cpu ? 32 : 128, piece = size * PER_INVOCATION;
    const uint64_t n = (uint64_t)p.n_rows * p.n_channels;
    uint32_t groups[2];
    add_stage(pl, node, kernel, size, &p, OF_PIECES, (uint32_t[]){p.n_pieces, p.n_groups});
    add_stage(pl, node, kernel, size, &p, OF_GROUPS, (uint32_t[]){p.n_groups, 1});
    lp_op_groups(pl->caps, (n + piece - 1) / piece, groups);
    add_stage(pl, node, kernel, size, &p, NORMALISE, groups);
    return LP_OK;
}
