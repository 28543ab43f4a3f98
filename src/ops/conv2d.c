/* Convolution of a picture (LeCun et al. 1989), as a product of matrices that are never formed: a
 * row per pixel of the result holds what the kernel sees there (Chellapilla, Puri & Simard 2006),
 * and the weights' rows lie in the same order. Pixels are rows and channels columns, so that linear
 * layers, norms and attention work on pictures as they are. The picture may be taken twice as
 * large, every pixel repeated (nearest-neighbour upsampling), which costs nothing here.
 *
 * Reference: the rows are formed, some at a time, and the linear layer's reference does the rest;
 * so does the `cpu` device. */
#include "ops/ops.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ops/linear.h"
#include "params.h"

enum {
    X = LP_LINEAR_X,
    W = LP_LINEAR_W,
    BIAS = LP_LINEAR_BIAS,
    RESIDUAL = LP_LINEAR_RESIDUAL
}; /* sources, see graph.h */

static lp_status check_options(lp_context *ctx, const lp_node *node)
{
    enum { MAX_SIDE = 1 << 15 };
    const lp_conv2d_options *o = &node->p.conv2d;
    if (o->height < 1 || o->height > MAX_SIDE || o->width < 1 || o->width > MAX_SIDE)
        return lp_fail(ctx, LP_E_LIMIT, "%s: a picture of %d x %d; 1 to %d are possible",
                       node->name, (int)o->width, (int)o->height, MAX_SIDE);
    if (o->kernel < 1 || o->kernel > LP_MAX_KERNEL || o->stride < 1 || o->stride > 2 ||
        o->pad_before < 0 || o->pad_before >= o->kernel || o->pad_after < 0 ||
        o->pad_after >= o->kernel || o->upsample < 1 || o->upsample > 2 ||
        (unsigned)o->act >= LP_N_ACTS)
        return lp_fail(ctx, LP_E_ARG,
                       "%s: a kernel of %d with stride %d, padding %d and %d, upsampling %d and "
                       "activation %d is not supported",
                       node->name, (int)o->kernel, (int)o->stride, (int)o->pad_before,
                       (int)o->pad_after, (int)o->upsample, (int)o->act);
    if (lp_conv2d_side(o, o->height) < 1 || lp_conv2d_side(o, o->width) < 1)
        return lp_fail(ctx, LP_E_SHAPE, "%s: a picture of %d x %d is less than the kernel",
                       node->name, (int)o->width, (int)o->height);
    return LP_OK;
}

lp_status lp_op_conv2d_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             lp_shape shapes[LP_MAX_DST])
{
    const lp_conv2d_options *o = &node->p.conv2d;
    LP_TRY(check_options(ctx, node));
    LP_TRY(lp_op_check_input(ctx, graph, node, X, "the input", 2));
    LP_TRY(lp_op_check_matrix(ctx, graph, node, W, "the weight"));
    const lp_tensor *x = lp_op_tensor(graph, node->src[X]), *w = lp_op_tensor(graph, node->src[W]);
    const int64_t n_outputs = w->shape.dim[0];
    const int64_t n_pixels = lp_conv2d_side(o, o->height) * lp_conv2d_side(o, o->width);
    const lp_shape y = LP_SHAPE2(n_pixels, n_outputs);
    char a[96], b[96];
    if (x->shape.dim[0] != (int64_t)o->height * o->width ||
        w->shape.dim[1] != lp_conv2d_row(o, x->shape.dim[1]))
        return lp_fail(
            ctx, LP_E_SHAPE,
            "%s: pixels %s and weight %s do not fit a picture of %d x %d and a kernel of "
            "%d",
            node->name, lp_shape_print(x->shape, a), lp_shape_print(w->shape, b), (int)o->width,
            (int)o->height, (int)o->kernel);
    LP_TRY(lp_op_check_vector(ctx, graph, node, BIAS, "the bias", n_outputs));
    LP_TRY(lp_op_check_like(ctx, graph, node, RESIDUAL, "the residual", y));
    /* kernels count a picture's elements in 31 bits */
    if (lp_tensor_extent(x) >= UINT64_C(1) << 30 || lp_shape_elements(y) >= INT64_C(1) << 30 ||
        (node->src[RESIDUAL] != LP_NONE &&
         lp_tensor_extent(lp_op_tensor(graph, node->src[RESIDUAL])) >= UINT64_C(1) << 30))
        return lp_fail(ctx, LP_E_LIMIT, "%s: pictures %s and %s are too large", node->name,
                       lp_shape_print(x->shape, a), lp_shape_print(y, b));
    shapes[0] = y;
    return LP_OK;
}

/* ---- CPU ----------------------------------------------------------------------------------- */

/* What the kernel sees at pixel `at` of the result, [lp_conv2d_row()]. */
static void load_row(const lp_view *x, const lp_conv2d_options *o, int64_t out_width, int64_t at,
                     float *row)
{
    const int64_t n = x->shape.dim[1], padded = (n + 3) / 4 * 4;
    const int64_t y0 = at / out_width * o->stride - o->pad_before;
    const int64_t x0 = at % out_width * o->stride - o->pad_before;
    for (int64_t dy = 0; dy < o->kernel; dy++)
        for (int64_t dx = 0; dx < o->kernel; dx++, row += padded) {
            const int64_t iy = y0 + dy, ix = x0 + dx;
            int64_t filled = 0;
            if (iy >= 0 && ix >= 0 && iy < (int64_t)o->height * o->upsample &&
                ix < (int64_t)o->width * o->upsample) {
                const int64_t pixel = iy / o->upsample * o->width + ix / o->upsample;
                memcpy(row, lp_linear_floats(x, pixel), (size_t)n * sizeof *row);
                filled = n;
            }
            for (int64_t c = filled; c < padded; c++)
                row[c] = 0;
        }
}

/* The view of rows from `first` on; nothing if there is nothing. */
static lp_view rows_from(lp_view view, int64_t first, int64_t n)
{
    if (view.data == NULL)
        return view;
    view.data = lp_linear_floats(&view, first);
    view.shape.dim[0] = n;
    return view;
}

lp_status lp_op_conv2d_cpu(const lp_cpu_call *call)
{
    enum { ELEMENTS = 1 << 18, LEAST_ROWS = 16 }; /* formed at a time */
    const lp_conv2d_options *o = &call->node->p.conv2d;
    const int64_t n_pixels = call->dst[0].shape.dim[0], n_inputs = call->src[W].shape.dim[1];
    const int64_t out_width = lp_conv2d_side(o, o->width);
    int64_t most = ELEMENTS / n_inputs > LEAST_ROWS ? ELEMENTS / n_inputs : LEAST_ROWS;
    most = most < n_pixels ? most : n_pixels;
    float *rows = malloc((size_t)(most * n_inputs) * sizeof *rows);
    if (rows == NULL)
        return lp_fail_memory(call->ctx, call->node->name);
    lp_node node = *call->node;
    node.op = LP_OP_LINEAR;
    node.p.linear.act = o->act;
    node.p.linear.int8 = false;
    lp_status status = LP_OK;
    for (int64_t first = 0; first < n_pixels && status == LP_OK; first += most) {
        const int64_t n = n_pixels - first < most ? n_pixels - first : most;
#pragma omp parallel for schedule(static) if (n * n_inputs > LP_PARALLEL_WORK)
        for (int64_t r = 0; r < n; r++)
            load_row(&call->src[X], o, out_width, first + r, rows + r * n_inputs);
        lp_cpu_call part = *call;
        part.node = &node;
        part.src[X] = (lp_view){rows, LP_F32, LP_SHAPE2(n, n_inputs), (uint64_t)n_inputs};
        part.src[RESIDUAL] = rows_from(call->src[RESIDUAL], first, n);
        part.dst[0] = rows_from(call->dst[0], first, n);
        if (call->sigma != NULL)
            part.sigma = call->sigma + first * call->dst[0].shape.dim[1];
        status = lp_op_linear_cpu(&part);
    }
    free(rows);
    return status;
}

/* ---- Plan ---------------------------------------------------------------------------------- */

/* Bits of the kernel's FLAGS. */
enum { HAS_BIAS = 1, HAS_RESIDUAL = 2, X_WHOLE = 4 };

static lp_conv2d_params params_of(const lp_planner *pl, const lp_node *node)
{
    const lp_conv2d_options *o = &node->p.conv2d;
    const lp_shape x = lp_op_tensor(pl->graph, node->src[X])->shape;
    const lp_shape y = lp_op_tensor(pl->graph, node->dst[0])->shape;
    return (lp_conv2d_params){
        .n_pixels = (uint32_t)y.dim[0],
        .n_outputs = (uint32_t)y.dim[1],
        .n_channels = (uint32_t)x.dim[1],
        .x_stride = lp_op_stride(pl->graph, node->src[X]),
        .residual_stride = lp_op_stride(pl->graph, node->src[RESIDUAL]),
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
        .height = (uint32_t)(o->height * o->upsample),
        .width = (uint32_t)(o->width * o->upsample),
        .out_width = (uint32_t)lp_conv2d_side(o, o->width),
        .kernel_side = (uint32_t)o->kernel,
        .step = (uint32_t)o->stride,
        .pad = (uint32_t)o->pad_before,
        .upsample = (uint32_t)o->upsample,
    };
}

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

/* Specialization constants 0 to 4; what a workgroup makes. */
typedef struct tiling {
    const char *family;
    uint32_t spec[5], n_pixels, n_outputs;
} tiling;

/* On CPU implementations an invocation is a SIMD lane, and a workgroup one vector. The kernel for
 * these serves GPUs, too, only slower: for where the other is refused. */
static tiling tiling_of(const lp_planner *pl, const char *variant)
{
    enum { TILE = 64, TILE_K = 16, THREAD_T = 8, SIZE = TILE / THREAD_T * TILE / 4 };
    const lp_kernel_set *refused = &pl->options->refused;
    const bool lanes = pl->caps->is_cpu && pl->caps->subgroup_size <= 8;
    if (!pl->caps->is_cpu && lp_kernel_find(pl->caps, refused, "conv2d_mm", variant) != NULL)
        return (tiling){"conv2d_mm", {SIZE, TILE, TILE, TILE_K, THREAD_T}, TILE, TILE};
    const uint32_t size = lanes ? 8 : 64, rows = lanes ? 2 : 1, pixels = lanes ? 16 : 8;
    return (tiling){"conv2d", {size, rows, pixels}, pixels, size * rows};
}

static uint32_t flags_of(const lp_planner *pl, const lp_node *node, const lp_conv2d_params *p)
{
    uint32_t flags = 0;
    if (node->src[BIAS] != LP_NONE)
        flags |= HAS_BIAS;
    if (node->src[RESIDUAL] != LP_NONE)
        flags |= HAS_RESIDUAL;
    if (p->n_channels % 4 == 0 && lp_op_aligned(pl, node->src[X]))
        flags |= X_WHOLE;
    return flags;
}

lp_status lp_op_conv2d_plan(lp_planner *pl, const lp_node *node)
{
    const lp_tensor *w = lp_op_tensor(pl->graph, node->src[W]);
    const lp_conv2d_params p = params_of(pl, node);
    const char *variant = lp_dtype_table[w->dtype].kernel;
    const tiling tiles = tiling_of(pl, variant);
    const lp_kernel *kernel;
    uint32_t groups[2];
    LP_TRY(lp_plan_kernel(pl, tiles.family, variant, &kernel));
    lp_op_groups(pl->caps, ceil_div(p.n_pixels, tiles.n_pixels), groups);
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1],
                                      ceil_div(p.n_outputs, tiles.n_outputs), &p, sizeof p);
    for (uint32_t i = 0; i < sizeof tiles.spec / sizeof *tiles.spec; i++)
        lp_dispatch_spec(d, i, tiles.spec[i]);
    lp_dispatch_spec(d, 5, node->p.conv2d.act);
    lp_dispatch_spec(d, 6, flags_of(pl, node, &p));
    lp_dispatch_tensor(pl, d, offsetof(lp_conv2d_params, x), node->src[X], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_conv2d_params, w), node->src[W], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_conv2d_params, bias), node->src[BIAS], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_conv2d_params, residual), node->src[RESIDUAL], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_conv2d_params, y), node->dst[0], LP_WRITE);
    d->flops = 2.0 * p.n_pixels * p.n_outputs * (double)w->shape.dim[1];
    return LP_OK;
}
