/* y = act(x w^T + bias) * (x gate^T + gate_bias) + residual: the dense layer with its epilogue.
 * With routes w, gate and biases are those of E experts, and each row has the expert that its route
 * says.
 *
 * Reference: every weight row becomes f32 (dtype table), once for a tile of rows (that share an
 * expert); dot products are summed in double. The `cpu` device's version is in linear_fast.c. */
#include "ops/linear.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ops/sigma.h"
#include "params.h"

enum {
    X = LP_LINEAR_X,
    W = LP_LINEAR_W,
    BIAS = LP_LINEAR_BIAS,
    GATE = LP_LINEAR_GATE,
    RESIDUAL = LP_LINEAR_RESIDUAL,
    GATE_BIAS = LP_LINEAR_GATE_BIAS,
    ROUTES = LP_LINEAR_ROUTES
};

/* Rows of the output: those of x, or one per slot of the routes. Matrices that take turns have as
 * many rows each. */
static lp_status check_routes(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                              int64_t *n_rows)
{
    const lp_tensor *x = lp_op_tensor(graph, node->src[X]);
    char a[96], b[96];
    *n_rows = x->shape.dim[0];
    const lp_shape w = lp_op_tensor(graph, node->src[W])->shape;
    if (node->src[ROUTES] == LP_NONE) {
        if (w.n == 2 || *n_rows % w.dim[0] == 0)
            return LP_OK;
        return lp_fail(ctx, LP_E_SHAPE, "%s: the rows of %s do not fit the matrices %s", node->name,
                       lp_shape_print(x->shape, a), lp_shape_print(w, b));
    }
    LP_TRY(lp_op_check_routes(ctx, graph, node, ROUTES));
    const lp_shape routes = lp_op_tensor(graph, node->src[ROUTES])->shape;
    *n_rows = routes.dim[0] * routes.dim[1];
    if (x->shape.dim[0] == routes.dim[0] || x->shape.dim[0] == *n_rows)
        return LP_OK;
    return lp_fail(ctx, LP_E_SHAPE, "%s: input %s does not fit routes %s", node->name,
                   lp_shape_print(x->shape, a), lp_shape_print(routes, b));
}

lp_status lp_op_linear_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             lp_shape shapes[LP_MAX_DST])
{
    const lp_tensor *matrices = lp_op_tensor(graph, node->src[W]);
    const bool many = node->src[ROUTES] != LP_NONE || (matrices && matrices->shape.n == 3);
    const int n_dims = many ? 3 : 2;
    LP_TRY(lp_op_check_input(ctx, graph, node, X, "the input", 2));
    LP_TRY(lp_op_check_weight(ctx, graph, node, W, "the weight", n_dims));
    const lp_tensor *x = lp_op_tensor(graph, node->src[X]), *w = lp_op_tensor(graph, node->src[W]);
    char a[96], b[96];
    if (x->shape.dim[1] != w->shape.dim[n_dims - 1])
        return lp_fail(ctx, LP_E_SHAPE, "%s: input %s does not fit weight %s", node->name,
                       lp_shape_print(x->shape, a), lp_shape_print(w->shape, b));
    int64_t n_rows = 0;
    LP_TRY(check_routes(ctx, graph, node, &n_rows));
    if (node->p.linear.int8 && x->shape.dim[1] % LP_INT8_BLOCK != 0)
        return lp_fail(ctx, LP_E_SHAPE, "%s: input %s has no whole blocks of %d", node->name,
                       lp_shape_print(x->shape, a), LP_INT8_BLOCK);
    const int64_t n = w->shape.dim[n_dims - 2];
    lp_shape bias = w->shape; /* [N] or [E, N] */
    bias.dim[--bias.n] = 1;
    LP_TRY(lp_op_check_vectors(ctx, graph, node, BIAS, "the bias", bias));
    LP_TRY(lp_op_check_vectors(ctx, graph, node, GATE_BIAS, "the gate's bias", bias));
    if (node->src[GATE] != LP_NONE) {
        LP_TRY(lp_op_check_weight(ctx, graph, node, GATE, "the gate", n_dims));
        const lp_tensor *gate = lp_op_tensor(graph, node->src[GATE]);
        if (!lp_shape_equal(gate->shape, w->shape) || gate->dtype != w->dtype)
            return lp_fail(ctx, LP_E_SHAPE, "%s: gate %s %s does not fit weight %s %s", node->name,
                           lp_dtype_table[gate->dtype].name, lp_shape_print(gate->shape, a),
                           lp_dtype_table[w->dtype].name, lp_shape_print(w->shape, b));
    } else if (node->src[GATE_BIAS] != LP_NONE) {
        return lp_fail(ctx, LP_E_SHAPE, "%s: the gate's bias without a gate", node->name);
    }
    LP_TRY(lp_op_check_like(ctx, graph, node, RESIDUAL, "the residual", LP_SHAPE2(n_rows, n)));
    shapes[0] = LP_SHAPE2(n_rows, n);
    return LP_OK;
}

/* ---- CPU ----------------------------------------------------------------------------------- */

enum {
    TILE = 16,    /* rows that share one dequantisation */
    COLUMNS = 256 /* elements dequantised at a time, a multiple of every block */
};

/* Some of the rows that one matrix makes, and their rows of x. */
typedef struct row_tile {
    int64_t first, n;
    const float *x[TILE];
} row_tile;

/* The matrix [N, K] of expert `e`; w itself if it has 2 dimensions. */
static lp_view matrix_of(const lp_view *w, int64_t e)
{
    lp_view matrix = *w;
    if (w->shape.n == 2 || w->data == NULL)
        return matrix;
    const lp_dtype_info *info = &lp_dtype_table[w->dtype];
    matrix.data = (char *)w->data + (uint64_t)e * w->stride / info->block * info->bytes;
    matrix.shape = LP_SHAPE2(w->shape.dim[1], w->shape.dim[2]);
    matrix.stride = (uint64_t)w->shape.dim[2];
    return matrix;
}

/* dots[r] = x[r] . w[n], in double. */
static void exact_dots(const row_tile *rows, const lp_view *w, int64_t n, double dots[TILE])
{
    const int64_t n_inputs = w->shape.dim[1];
    float part[COLUMNS];
    for (int64_t r = 0; r < rows->n; r++)
        dots[r] = 0;
    for (int64_t k = 0; k < n_inputs; k += COLUMNS) {
        const int64_t count = n_inputs - k < COLUMNS ? n_inputs - k : COLUMNS;
        lp_view_load(w, n, k, part, count);
        for (int64_t r = 0; r < rows->n; r++) {
            const float *x = rows->x[r] + k;
            double sum = 0;
            for (int64_t i = 0; i < count; i++)
                sum += (double)x[i] * (double)part[i];
            dots[r] += sum;
        }
    }
}

/* The variances of the same sums in float. */
static void dot_variances(const row_tile *rows, const lp_view *w, int64_t n, double variances[TILE])
{
    const int64_t n_inputs = w->shape.dim[1];
    float part[COLUMNS];
    lp_dot_sums sums[TILE] = {{0}};
    for (int64_t k = 0; k < n_inputs; k += COLUMNS) {
        const int64_t count = n_inputs - k < COLUMNS ? n_inputs - k : COLUMNS;
        lp_view_load(w, n, k, part, count);
        for (int64_t r = 0; r < rows->n; r++) {
            const float *x = rows->x[r] + k;
            lp_dot_sums sum = sums[r];
            for (int64_t i = 0; i < count; i++)
                lp_dot_add(&sum, (double)x[i] * (double)part[i]);
            sums[r] = sum;
        }
    }
    for (int64_t r = 0; r < rows->n; r++)
        variances[r] = lp_dot_variance((double)n_inputs, &sums[r]);
}

double lp_linear_bias(const lp_view *bias, int64_t e, int64_t n)
{
    float value = 0;
    if (bias->data != NULL && bias->shape.n == 2)
        lp_view_load(bias, e, n, &value, 1);
    else if (bias->data != NULL)
        lp_view_load(bias, n, 0, &value, 1);
    return (double)value;
}

/* Sigma of act(dot + bias) (gate_dot + gate_bias) + residual, from the variances of the two dot
 * products; `before`, `gate`: the sums with their biases. */
static float output_sigma(const lp_cpu_call *call, double before, double dot_variance, double gate,
                          double gate_variance, double value)
{
    const lp_act_kind act = call->node->p.linear.act;
    double variance = dot_variance, factor = lp_act_exact(act, before);
    if (call->src[BIAS].data != NULL)
        variance += lp_rounding_variance(before);
    variance = lp_act_variance(act, before, variance);
    if (call->src[GATE].data != NULL) {
        if (call->src[GATE_BIAS].data != NULL)
            gate_variance += lp_rounding_variance(gate);
        variance = variance * (lp_square(gate) + gate_variance) +
                   lp_square(factor) * gate_variance + lp_rounding_variance(factor * gate);
    }
    if (call->src[RESIDUAL].data != NULL)
        variance += lp_rounding_variance(value);
    return lp_sigma(variance + lp_rounding_variance(value)); /* the reference's own, to float */
}

/* Output n of a tile of rows. */
static void output_of_tile(const lp_cpu_call *call, const lp_linear_rows *rows,
                           const row_tile *tile, int64_t n)
{
    const lp_view *residual = &call->src[RESIDUAL];
    const double bias = lp_linear_bias(&call->src[BIAS], rows->expert, n);
    const double gate_bias = lp_linear_bias(&call->src[GATE_BIAS], rows->expert, n);
    double dots[TILE], gates[TILE] = {0}, dot_variance[TILE], gate_variance[TILE] = {0};
    exact_dots(tile, &rows->w, n, dots);
    if (rows->gate.data != NULL)
        exact_dots(tile, &rows->gate, n, gates);
    if (call->sigma != NULL) {
        dot_variances(tile, &rows->w, n, dot_variance);
        if (rows->gate.data != NULL)
            dot_variances(tile, &rows->gate, n, gate_variance);
    }
    for (int64_t r = 0; r < tile->n; r++) {
        const int64_t row = lp_linear_row(rows, tile->first + r);
        double value = lp_act_exact(call->node->p.linear.act, dots[r] + bias);
        if (rows->gate.data != NULL)
            value *= gates[r] + gate_bias;
        if (residual->data != NULL)
            value += (double)lp_linear_floats(residual, row)[n];
        lp_linear_floats(&call->dst[0], row)[n] = (float)value;
        if (call->sigma != NULL)
            call->sigma[row * rows->w.shape.dim[0] + n] =
                output_sigma(call, dots[r] + bias, dot_variance[r], gates[r] + gate_bias,
                             gate_variance[r], value);
    }
}

static void exact_rows(const lp_cpu_call *call, const lp_linear_rows *rows)
{
    const int64_t n_outputs = rows->w.shape.dim[0];
    const int64_t work = n_outputs * rows->n * rows->w.shape.dim[1];
#pragma omp parallel for schedule(static) if (work > LP_PARALLEL_WORK)
    for (int64_t n = 0; n < n_outputs; n++)
        for (int64_t first = 0; first < rows->n; first += TILE) {
            row_tile tile = {first, rows->n - first < TILE ? rows->n - first : TILE, {NULL}};
            for (int64_t r = 0; r < tile.n; r++)
                tile.x[r] = lp_linear_x(call, rows, first + r);
            output_of_tile(call, rows, &tile, n);
        }
}

/* The rows that expert e makes; all of them if there is one matrix (order NULL). */
static void rows_of_expert(const lp_cpu_call *call, const lp_linear_int8 *x_int8, int64_t e,
                           const int64_t *order, int64_t n_rows)
{
    const lp_view *x = &call->src[X], *routes = &call->src[ROUTES];
    const bool shared = routes->data != NULL && x->shape.dim[0] == routes->shape.dim[0];
    const lp_linear_rows rows = {.w = matrix_of(&call->src[W], e),
                                 .gate = matrix_of(&call->src[GATE], e),
                                 .expert = e,
                                 .order = order,
                                 .n = n_rows,
                                 .rows_per_x = shared ? routes->shape.dim[1] : 1,
                                 .x_int8 = x_int8->rows};
    (call->simd != NULL ? lp_linear_fast : exact_rows)(call, &rows);
}

static int64_t matrix_of_row(const lp_view *routes, int64_t row, int64_t n_experts)
{
    if (routes->data == NULL)
        return row % n_experts;
    const int64_t n_slots = routes->shape.dim[1];
    return lp_route_expert(routes, row / n_slots, row % n_slots, n_experts);
}

static lp_status all_rows(const lp_cpu_call *call, const lp_linear_int8 *x_int8)
{
    const lp_view *routes = &call->src[ROUTES];
    const int64_t n_rows = call->dst[0].shape.dim[0];
    if (call->src[W].shape.n == 2) {
        rows_of_expert(call, x_int8, 0, NULL, n_rows);
        return LP_OK;
    }
    const int64_t n_experts = call->src[W].shape.dim[0];
    int64_t *order = malloc((size_t)n_rows * sizeof *order);
    if (order == NULL)
        return lp_fail_memory(call->ctx, call->node->name);
    for (int64_t e = 0; e < n_experts; e++) {
        int64_t n = 0;
        for (int64_t row = 0; row < n_rows; row++)
            if (matrix_of_row(routes, row, n_experts) == e)
                order[n++] = row;
        if (n > 0)
            rows_of_expert(call, x_int8, e, order, n);
    }
    free(order);
    return LP_OK;
}

lp_status lp_op_linear_cpu(const lp_cpu_call *call)
{
    lp_cpu_call rounded = *call;
    lp_linear_int8 x_int8 = {0};
    if (!call->node->p.linear.int8)
        return all_rows(call, &x_int8);
    lp_status status = lp_linear_int8_begin(&rounded, &x_int8);
    if (status == LP_OK)
        status = all_rows(&rounded, &x_int8);
    lp_linear_int8_end(&x_int8);
    return status;
}

/* ---- Plan ---------------------------------------------------------------------------------- */

/* Bits of the kernels' FLAGS. */
enum {
    HAS_BIAS = 1,
    HAS_GATE = 2,
    HAS_GATE_BIAS = 4,
    HAS_RESIDUAL = 8,
    X_WHOLE = 16,
    HAS_ROUTES = 32,
    IN_TURNS = 64, /* row r has matrix r mod E */
    GROUPED = 128
};

/* How rows are joined into tiles of one matrix. */
typedef struct grouping {
    uint32_t tile;    /* rows of a tile, at most; 0: they are not joined */
    uint32_t n_tiles; /* at most: whole ones, and one more per matrix */
} grouping;

enum {
    MAX_FEW = 8, /* tokens that are served by linear_mv, each by itself with many matrices */
    MAX_FEW_OF_ONE = 16, /* rows of a matrix, on average, from which on a tile of linear_mm pays */
    MAX_MATRICES = 2048, /* whose counts have room in shaders/group_rows.comp */
    TILE_T = 64          /* rows of a tile of linear_mm */
};

static uint32_t flags_of(const lp_planner *pl, const lp_node *node, const lp_linear_params *p,
                         const grouping *g)
{
    uint32_t flags = 0;
    if (node->src[BIAS] != LP_NONE)
        flags |= HAS_BIAS;
    if (node->src[GATE] != LP_NONE)
        flags |= HAS_GATE;
    if (node->src[GATE_BIAS] != LP_NONE)
        flags |= HAS_GATE_BIAS;
    if (node->src[RESIDUAL] != LP_NONE)
        flags |= HAS_RESIDUAL;
    if (p->n_inputs % 32 == 0 && lp_op_aligned(pl, node->src[X]))
        flags |= X_WHOLE; /* x is read in whole vec4, without guards */
    if (g->tile > 0)
        flags |= GROUPED;
    else if (node->src[ROUTES] != LP_NONE)
        flags |= HAS_ROUTES;
    else if (lp_op_tensor(pl->graph, node->src[W])->shape.n == 3)
        flags |= IN_TURNS;
    return flags;
}

/* Specialization constants: 0 to 5 the tile (0 the workgroup size), 6 activation, 7 flags. */
static void add_constants(lp_planner *pl, lp_dispatch *d, const lp_node *node,
                          const lp_linear_params *p, const grouping *g, const uint32_t *tile,
                          uint32_t n_tile)
{
    for (uint32_t i = 0; i < n_tile; i++)
        lp_dispatch_spec(d, i, tile[i]);
    lp_dispatch_spec(d, 6, node->p.linear.act);
    lp_dispatch_spec(d, 7, flags_of(pl, node, p, g));
}

static uint64_t group_bytes(uint64_t n_rows, uint64_t n_tiles)
{
    return (4 * n_tiles + n_rows) * sizeof(uint32_t);
}

static void add_tensors(lp_planner *pl, lp_dispatch *d, const lp_node *node,
                        const lp_linear_params *p, const grouping *g)
{
    lp_dispatch_tensor(pl, d, offsetof(lp_linear_params, x), node->src[X], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_linear_params, w), node->src[W], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_linear_params, bias), node->src[BIAS], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_linear_params, gate), node->src[GATE], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_linear_params, gate_bias), node->src[GATE_BIAS], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_linear_params, residual), node->src[RESIDUAL], LP_READ);
    if (g->tile > 0)
        lp_dispatch_scratch(pl, d, offsetof(lp_linear_params, groups), 0,
                            group_bytes(p->n_tokens, g->n_tiles), LP_READ);
    else
        lp_dispatch_tensor(pl, d, offsetof(lp_linear_params, routes), node->src[ROUTES], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_linear_params, y), node->dst[0], LP_WRITE);
}

static bool has_many(const lp_graph *graph, const lp_node *node)
{
    return lp_op_tensor(graph, node->src[W])->shape.n == 3;
}

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static grouping grouped_by(uint32_t n_rows, uint32_t n_experts, uint32_t tile)
{
    return (grouping){tile, n_rows / tile + min_u32(n_rows, n_experts)};
}

/* Rows of a tile of linear_mv: as many as a matrix gets on average, as far as registers go. */
static uint32_t rows_of_tile(const lp_caps *caps, uint32_t n_rows, uint32_t n_experts)
{
    const uint32_t most = caps->is_cpu ? 16 : 8, wanted = ceil_div(n_rows, n_experts);
    uint32_t tile = 2;
    while (tile < most && tile < wanted)
        tile *= 2;
    return tile;
}

/* Whether there are enough rows for joining them, and few enough for 32-bit indices of elements. */
static bool is_groupable(const lp_graph *graph, const lp_node *node)
{
    const lp_shape w = lp_op_tensor(graph, node->src[W])->shape;
    const lp_tensor *routes = lp_op_tensor(graph, node->src[ROUTES]);
    const int64_t n_rows = lp_op_tensor(graph, node->dst[0])->shape.dim[0];
    const int64_t n_tokens = routes != NULL ? routes->shape.dim[0] : n_rows / w.dim[0];
    if (w.n != 3 || n_tokens <= MAX_FEW || w.dim[0] > MAX_MATRICES)
        return false;
    const lp_tensor_id ids[] = {node->src[X], node->src[RESIDUAL], node->dst[0]};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i] != LP_NONE && lp_tensor_extent(lp_op_tensor(graph, ids[i])) > UINT32_MAX / 4)
            return false;
    return true;
}

/* Of the smallest tiles that there may be. */
uint64_t lp_op_linear_scratch(const lp_graph *graph, const lp_node *node, const lp_caps *caps)
{
    if (!is_groupable(graph, node))
        return 0;
    const uint32_t n_rows = (uint32_t)lp_op_tensor(graph, node->dst[0])->shape.dim[0];
    const uint32_t n_experts = (uint32_t)lp_op_tensor(graph, node->src[W])->shape.dim[0];
    const uint32_t tile = rows_of_tile(caps, n_rows, n_experts);
    return group_bytes(n_rows, grouped_by(n_rows, n_experts, tile).n_tiles);
}

/* The rows in the order of their matrices, into scratch. */
static lp_status plan_groups(lp_planner *pl, const lp_node *node, const lp_linear_params *p,
                             const grouping *g)
{
    enum { SIZE = 64 };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "group_rows", "u32", &kernel));
    const lp_group_rows_params params = {.n_rows = p->n_tokens,
                                         .n_slots = p->n_slots,
                                         .routes_stride = p->routes_stride,
                                         .n_tiles = g->n_tiles};
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, 1, 1, 1, &params, sizeof params);
    const uint32_t spec[] = {SIZE, p->n_experts, g->tile, node->src[ROUTES] != LP_NONE};
    for (uint32_t i = 0; i < sizeof spec / sizeof *spec; i++)
        lp_dispatch_spec(d, i, spec[i]);
    lp_dispatch_tensor(pl, d, offsetof(lp_group_rows_params, routes), node->src[ROUTES], LP_READ);
    lp_dispatch_scratch(pl, d, offsetof(lp_group_rows_params, groups), 0,
                        group_bytes(p->n_tokens, g->n_tiles), LP_WRITE);
    return LP_OK;
}

/* That are computed, with those of tiles that are not full. */
static uint32_t rows_at_most(const lp_linear_params *p, const grouping *g)
{
    return g->tile > 0 ? g->n_tiles * g->tile : p->n_tokens;
}

/* Few tokens: every weight is read once for all of them, `lanes` invocations share a row.
 *
 * On CPU implementations an invocation is a SIMD lane, and memory by lane is a gather: there one
 * invocation takes a whole row, so that the weights are the only gathered loads, the input is
 * uniform, and nothing has to be reduced. That serves any number of tokens, in blocks.
 *
 * With many matrices every row has weights of its own, so a tile has one column, unless rows are
 * grouped.
 *
 * Deterministic plans use one tile for any number of tokens, so one compiled kernel: compilers may
 * fuse and order operations of another tile in another way. Its columns are what prompts lose least
 * with, without making single tokens pay for too many. */
static lp_status plan_mv(lp_planner *pl, const lp_node *node, const lp_linear_params *p,
                         const grouping *g, const char *variant)
{
    const lp_caps *caps = pl->caps;
    const bool one_tile = pl->options->deterministic;
    const bool single = has_many(pl->graph, node) && g->tile == 0;
    const uint32_t columns = g->tile > 0 ? g->tile
                             : single    ? 1
                             : one_tile  ? 4
                                         : min_u32(p->n_tokens, caps->is_cpu ? 16 : 8);
    const uint32_t n_tiles = g->tile > 0 ? g->n_tiles : ceil_div(p->n_tokens, columns);
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "linear_mv", variant, &kernel));
    uint32_t size = 128, lanes = 64, rows = 2;
    if (kernel->needs & LP_NEED_SUBGROUP_ARITH)
        lanes = caps->subgroup_size;
    /* With vectors of 16 lanes llvmpipe crashes on addresses that differ between invocations. */
    if (caps->is_cpu &&
        caps->subgroup_size <=
            8) { /* one SIMD unit; rows amortise the loads of x, up to a limit of registers */
        size = 8;
        lanes = 1;
        rows = columns == 1 ? 4 : 2;
    }
    const uint32_t per_group = size / lanes * rows;
    uint32_t groups[2];
    lp_op_groups(caps, ceil_div(p->n_outputs, per_group), groups);
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1], n_tiles, p, sizeof *p);
    const uint32_t tile[] = {size, lanes, rows, columns};
    add_constants(pl, d, node, p, g, tile, sizeof tile / sizeof *tile);
    add_tensors(pl, d, node, p, g);
    d->flops = 2.0 * rows_at_most(p, g) * p->n_outputs * p->n_inputs;
    if (single) /* one matrix per row is read, and not all of them once */
        d->bytes *= (double)p->n_tokens / p->n_experts;
    return LP_OK;
}

/* Many tokens: tiles of tokens x outputs in registers, fed from shared memory. */
static lp_status plan_mm(lp_planner *pl, const lp_node *node, const lp_linear_params *p,
                         const grouping *g, const char *variant)
{
    enum { TILE_N = 64, TILE_K = 16, THREAD_T = 8, SIZE = TILE_T / THREAD_T * TILE_N / 4 };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "linear_mm", variant, &kernel));
    const uint32_t n_tiles = g->tile > 0 ? g->n_tiles : ceil_div(p->n_tokens, TILE_T);
    lp_dispatch *d =
        lp_plan_dispatch(pl, kernel, ceil_div(p->n_outputs, TILE_N), n_tiles, 1, p, sizeof *p);
    const uint32_t tile[] = {SIZE, TILE_T, TILE_N, TILE_K, THREAD_T};
    add_constants(pl, d, node, p, g, tile, sizeof tile / sizeof *tile);
    add_tensors(pl, d, node, p, g);
    d->flops = 2.0 * rows_at_most(p, g) * p->n_outputs * p->n_inputs;
    return LP_OK;
}

static bool has_kernel(const lp_planner *pl, const char *family, const char *variant)
{
    return lp_kernel_find(pl->caps, &pl->options->refused, family, variant) != NULL;
}

/* Tokens that share tiles would be computed differently with others: not in deterministic plans. */
static bool groups_rows(const lp_planner *pl, const lp_node *node)
{
    return is_groupable(pl->graph, node) && !pl->options->deterministic &&
           has_kernel(pl, "group_rows", "u32");
}

lp_status lp_op_linear_plan(lp_planner *pl, const lp_node *node)
{
    const lp_tensor *x = lp_op_tensor(pl->graph, node->src[X]);
    const lp_tensor *w = lp_op_tensor(pl->graph, node->src[W]);
    const lp_tensor *routes = lp_op_tensor(pl->graph, node->src[ROUTES]);
    const lp_tensor *y = lp_op_tensor(pl->graph, node->dst[0]);
    if (node->p.linear.int8)
        return lp_fail(pl->ctx, LP_E_UNSUPPORTED, "%s: only the CPU rounds inputs to int8",
                       node->name);
    lp_linear_params p = {
        .n_tokens = (uint32_t)y->shape.dim[0],
        .n_outputs = (uint32_t)y->shape.dim[1],
        .n_inputs = (uint32_t)x->shape.dim[1],
        .x_stride = lp_op_stride(pl->graph, node->src[X]),
        .residual_stride = lp_op_stride(pl->graph, node->src[RESIDUAL]),
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
        .n_experts = has_many(pl->graph, node) ? (uint32_t)w->shape.dim[0] : 1,
        .n_slots = routes != NULL ? (uint32_t)routes->shape.dim[1] : 1,
        .rows_per_x = (uint32_t)(y->shape.dim[0] / x->shape.dim[0]),
        .routes_stride = lp_op_stride(pl->graph, node->src[ROUTES]),
    };
    const char *variant = lp_dtype_table[w->dtype].kernel;
    const bool grouped = groups_rows(pl, node);
    /* the kernel for few tokens does many, too, only slower: for where the other is refused */
    const bool few = p.n_tokens / p.n_experts <= (grouped ? MAX_FEW_OF_ONE : MAX_FEW) ||
                     (has_many(pl->graph, node) && !grouped) || pl->caps->is_cpu ||
                     pl->options->deterministic || !has_kernel(pl, "linear_mm", variant);
    grouping g = {0};
    if (grouped) {
        g = grouped_by(p.n_tokens, p.n_experts,
                       few ? rows_of_tile(pl->caps, p.n_tokens, p.n_experts) : TILE_T);
        p.n_tiles = g.n_tiles;
        LP_TRY(plan_groups(pl, node, &p, &g));
    }
    return few ? plan_mv(pl, node, &p, &g, variant) : plan_mm(pl, node, &p, &g, variant);
}
