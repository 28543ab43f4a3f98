/* Attention over the cache: softmax(scale q k^T) v (Vaswani et al. 2017, arXiv:1706.03762), causal,
 * optionally within a sliding window, heads grouped over fewer K/V heads (Ainslie et al. 2023,
 * arXiv:2305.13245).
 *
 * Devices never form the score matrix: softmax is computed online (Milakov & Gimelshein 2018,
 * arXiv:1805.02867) over tiles of keys (Dao et al. 2022, arXiv:2205.14135). All query rows of one
 * K/V head, its group's heads times the tokens, are one list, so that K and V are read once for the
 * group. Few rows: the keys are split over workgroups and merged (Dao et al. 2023, Flash-Decoding).
 * Tile sizes are chosen here, from the device's shared memory, and are specialization constants. */
#include "ops/attention.h"

#include <math.h>

#include "base/half.h"
#include "ops/sigma.h"
#include "params.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

lp_status lp_op_attention_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                                lp_shape shapes[LP_MAX_DST])
{
    LP_TRY(lp_op_check_input(ctx, graph, node, 0, "q", 3));
    LP_TRY(lp_op_check_cursor(ctx, graph, node, node->src[3]));
    const lp_tensor *q = lp_op_tensor(graph, node->src[0]);
    const lp_tensor *k = lp_op_tensor(graph, node->src[1]), *v = lp_op_tensor(graph, node->src[2]);
    if (k == NULL || v == NULL || k->shape.n != 3 || v->shape.n != 3 || k->dtype != v->dtype ||
        (k->dtype != LP_F16 && k->dtype != LP_F32))
        return lp_fail(ctx, LP_E_SHAPE, "%s: keys and values must be [C, G, D], F16 or F32",
                       node->name);
    char qs[96], ks[96], vs[96];
    if (k->shape.dim[0] != v->shape.dim[0] || k->shape.dim[1] != v->shape.dim[1] ||
        k->shape.dim[2] != q->shape.dim[2] || k->shape.dim[1] < 1 ||
        q->shape.dim[1] % k->shape.dim[1] != 0)
        return lp_fail(ctx, LP_E_SHAPE, "%s: q %s, keys %s and values %s do not fit", node->name,
                       lp_shape_print(q->shape, qs), lp_shape_print(k->shape, ks),
                       lp_shape_print(v->shape, vs));
    int64_t dk = k->shape.dim[2], dv = v->shape.dim[2];
    if (dk < 2 || dk > LP_MAX_HEAD || dk % 2 != 0 || dv < 2 || dv > LP_MAX_HEAD || dv % 2 != 0)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: head sizes %lld and %lld (even, 2 to %d)",
                       node->name, (long long)dk, (long long)dv, LP_MAX_HEAD);
    if (node->p.attention.kv_max < q->shape.dim[0] ||
        node->p.attention.kv_max > k->shape.dim[0] || node->p.attention.window < 0)
        return lp_fail(ctx, LP_E_ARG, "%s: kv_max %d or window %d is out of range", node->name,
                       (int)node->p.attention.kv_max, (int)node->p.attention.window);
    shapes[0] = LP_SHAPE3(q->shape.dim[0], q->shape.dim[1], dv);
    return LP_OK;
}

/* ---- Reference ----------------------------------------------------------------------------- */

/* The keys [first, end) that the token at `position` sees. */
static void visible(const lp_node *node, int64_t position, int64_t *first, int64_t *end)
{
    int64_t window = node->p.attention.window;
    *end = least(position + node->p.attention.mask_shift + 1, node->p.attention.kv_max);
    *first = window > 0 && position - window + 1 > 0 ? position - window + 1 : 0;
}

static double element(const lp_view *cache, int64_t row, int64_t column)
{
    uint64_t at = (uint64_t)row * cache->stride + (uint64_t)column;
    return cache->dtype == LP_F16 ? (double)lp_f16_to_f32(((const uint16_t *)cache->data)[at])
                                  : (double)((const float *)cache->data)[at];
}

/* A head of a token, and the keys [first, end) of group g that it sees. */
typedef struct query_row {
    const float *x; /* q [Dk] */
    float *y;       /* [Dv] */
    int64_t g, first, end;
} query_row;

static query_row row_of(const lp_cpu_call *call, int64_t t, int64_t h)
{
    const lp_view *q = &call->src[0], *keys = &call->src[1], *y = &call->dst[0];
    query_row row = {.x = (const float *)q->data + (uint64_t)t * q->stride + h * q->shape.dim[2],
                     .y = (float *)y->data + (uint64_t)t * y->stride + h * y->shape.dim[2],
                     .g = h / (q->shape.dim[1] / keys->shape.dim[1])};
    visible(call->node, ((const int32_t *)call->src[3].data)[LP_CURSOR_POSITION] + t, &row.first,
            &row.end);
    return row;
}

/* Sigma of one row: out = sum p_j v_j with p_j = exp(s_j - largest) / sum. A relative error of p_j
 * moves element i of it by p_j (v_ji - out_i), because the total has the same error. Such errors
 * come from the score, from exp(), and whenever online softmax finds a larger score, from rescaling
 * all keys so far at once. The two sums are rounded on the way, too. Weights below half a ULP of
 * their total can get lost in it one by one, all with one sign: they may be missing altogether. */
static void row_sigma(const lp_cpu_call *call, const query_row *row, double largest, double sum,
                      const double *out, float *sigma)
{
    const lp_view *keys = &call->src[1], *values = &call->src[2];
    const int64_t dk = keys->shape.dim[2], dv = values->shape.dim[2];
    const double scale = (double)call->node->p.attention.scale;
    double variance[LP_MAX_HEAD] = {0}, so_far[LP_MAX_HEAD] = {0}, lost[LP_MAX_HEAD] = {0};
    lp_dot_sums sums[LP_MAX_HEAD] = {{0}}, total = {0};
    double top = -INFINITY, n_sums = 0; /* additions, and multiplications of what is there */
    for (int64_t j = row->first; j < row->end; j++) {
        lp_dot_sums dot = {0};
        for (int64_t i = 0; i < dk; i++)
            lp_dot_add(&dot, (double)row->x[i] * element(keys, j, row->g * dk + i));
        const double score = scale * dot.sum, below = score - largest, p = exp(below) / sum;
        /* q or the product is scaled, the largest score subtracted */
        const double relative = lp_square(scale) * (lp_dot_variance((double)dk, &dot) +
                                                    lp_rounding_variance(1) * dot.squares) +
                                lp_rounding_variance(score) + lp_rounding_variance(below) +
                                lp_ulp_variance(LP_ULP_EXP(below), 1);
        double rescaling = 0;
        if (score > top && j > row->first) {
            rescaling =
                lp_rounding_variance(score - top) + lp_ulp_variance(LP_ULP_EXP(score - top), 1);
            n_sums++;
        }
        top = score > top ? score : top;
        for (int64_t i = 0; i < dv; i++) {
            const double v = element(values, j, row->g * dv + i), moved = p * (v - out[i]);
            variance[i] += lp_square(moved) * relative + lp_square(so_far[i]) * rescaling;
            lp_dot_add(&sums[i], p * v);
            so_far[i] += moved;
            lost[i] += p < 0x1p-23 ? moved : 0;
        }
        lp_dot_add(&total, p);
        n_sums++;
    }
    const double in_total = lp_dot_variance(n_sums, &total) + lp_ulp_variance(LP_ULP_DIVISION, 1) +
                            lp_rounding_variance(1);
    for (int64_t i = 0; i < dv; i++)
        sigma[i] = lp_sigma(variance[i] + lp_square(lost[i]) + lp_dot_variance(n_sums, &sums[i]) +
                            lp_square(out[i]) * in_total);
}

/* One row of the formula: the scores are computed twice, for their maximum and for the sum. */
static void reference_row(const lp_cpu_call *call, int64_t t, int64_t h)
{
    const lp_view *keys = &call->src[1], *values = &call->src[2];
    const int64_t dk = keys->shape.dim[2], dv = values->shape.dim[2];
    const query_row row = row_of(call, t, h);
    double largest = -INFINITY, sum = 0, out[LP_MAX_HEAD] = {0};
    for (int pass = 0; pass < 2; pass++)
        for (int64_t j = row.first; j < row.end; j++) {
            double score = 0;
            for (int64_t i = 0; i < dk; i++)
                score += (double)row.x[i] * element(keys, j, row.g * dk + i);
            score *= (double)call->node->p.attention.scale;
            if (pass == 0) {
                largest = score > largest ? score : largest;
                continue;
            }
            double p = exp(score - largest);
            sum += p;
            for (int64_t i = 0; i < dv; i++)
                out[i] += p * element(values, j, row.g * dv + i);
        }
    for (int64_t i = 0; i < dv; i++) {
        out[i] = sum == 0 ? 0 : out[i] / sum;
        row.y[i] = (float)out[i];
    }
    if (call->sigma != NULL)
        row_sigma(call, &row, largest, sum, out,
                  call->sigma + (t * call->src[0].shape.dim[1] + h) * dv);
}

/* ---- The cpu device: online softmax over tiles of keys, in float ---------------------------- */

#define FAST_KEYS 16

/* Without branches, so that compilers make vectors of it; exact, subnormals and NaN included. */
static void halves_to_floats(const uint16_t *from, float *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t h = from[i], low = (h & 0x7fffu) << 13;
        float x = lp_bits_f32(low) * 0x1p112f;
        uint32_t special = low >= 0x0f800000u ? low | 0x70000000u : lp_f32_bits(x);
        to[i] = lp_bits_f32(special | (h & 0x8000u) << 16);
    }
}

static const float *load(const lp_view *cache, int64_t row, int64_t column, int64_t n, float *tile)
{
    uint64_t at = (uint64_t)row * cache->stride + (uint64_t)column;
    if (cache->dtype != LP_F16)
        return (const float *)cache->data + at;
    halves_to_floats((const uint16_t *)cache->data + at, tile, n);
    return tile;
}

static float dot(const float *a, const float *b, int64_t n)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* A head `h` of token t against all of its keys. */
static void fast_row(const lp_cpu_call *call, int64_t t, int64_t h)
{
    const lp_view *keys = &call->src[1], *values = &call->src[2];
    const int64_t dk = keys->shape.dim[2], dv = values->shape.dim[2];
    const query_row at = row_of(call, t, h);
    float largest = -INFINITY, sum = 0, out[LP_MAX_HEAD] = {0}, row[LP_MAX_HEAD];
    for (int64_t tile = at.first; tile < at.end; tile += FAST_KEYS) {
        int64_t n = least(FAST_KEYS, at.end - tile);
        float p[FAST_KEYS], top = largest;
        for (int64_t j = 0; j < n; j++) {
            p[j] = call->node->p.attention.scale *
                   dot(at.x, load(keys, tile + j, at.g * dk, dk, row), dk);
            top = p[j] > top ? p[j] : top;
        }
        if (top > largest) {
            float shrink = expf(largest - top);
            sum *= shrink;
            for (int64_t i = 0; i < dv; i++)
                out[i] *= shrink;
            largest = top;
        }
        for (int64_t j = 0; j < n; j++) {
            float weight = expf(p[j] - largest);
            const float *v = load(values, tile + j, at.g * dv, dv, row);
            sum += weight;
            for (int64_t i = 0; i < dv; i++)
                out[i] += weight * v[i];
        }
    }
    for (int64_t i = 0; i < dv; i++)
        at.y[i] = sum == 0 ? 0.0f : out[i] / sum;
}

lp_status lp_op_attention_cpu(const lp_cpu_call *call)
{
    int64_t n_heads = call->src[0].shape.dim[1], n = call->src[0].shape.dim[0] * n_heads;
    int64_t work = n * call->node->p.attention.kv_max * call->src[0].shape.dim[2];
#pragma omp parallel for schedule(dynamic, 4) if (work > LP_PARALLEL_WORK)
    for (int64_t i = 0; i < n; i++) {
        if (call->fast)
            fast_row(call, i / n_heads, i % n_heads);
        else
            reference_row(call, i / n_heads, i % n_heads);
    }
    return LP_OK;
}

/* ---- Plan ---------------------------------------------------------------------------------- */

static uint32_t ceil_div(uint64_t a, uint64_t b)
{
    return (uint32_t)((a + b - 1) / b);
}

/* Few tokens on a GPU. */
static lp_attention_tiles choose_decode(const lp_caps *caps, uint32_t rows, uint32_t n_groups,
                                        uint32_t dk, uint32_t n_visible)
{
    lp_attention_tiles tiles = {
        .kind = LP_ATTENTION_DECODE, .workgroup = 128, .n_keys = 128, .n_rows = 8};
    while (tiles.n_rows > 1 && (tiles.n_rows >= 2 * rows ||
                                lp_attention_shared(&tiles, dk) > caps->max_shared_bytes))
        tiles.n_rows /= 2;
    uint32_t blocks = ceil_div(rows, tiles.n_rows) * n_groups;
    uint32_t most = ceil_div(n_visible, tiles.n_keys), want = ceil_div(4 * caps->n_cores, blocks);
    tiles.n_splits = want < most ? want : most;
    if (tiles.n_splits > LP_MAX_SPLITS)
        tiles.n_splits = LP_MAX_SPLITS;
    return tiles;
}

/* Many tokens on a GPU: the largest tiles that fit. An invocation accumulates
 * rows / (workgroup / 8) * Dv / 8 numbers. */
static lp_attention_tiles choose_prefill(const lp_caps *caps, uint32_t dk, uint32_t dv)
{
    lp_attention_tiles tiles = {
        .kind = LP_ATTENTION_PREFILL, .workgroup = 128, .n_keys = 64, .n_splits = 1};
    uint32_t rows_each = dv <= 128 ? 4 : dv <= 256 ? 2 : 1;
    for (;;) {
        tiles.n_rows = rows_each * (tiles.workgroup / 8);
        for (int resident = 1; resident >= 0; resident--) {
            tiles.resident = resident;
            if (lp_attention_shared(&tiles, dk) <= caps->max_shared_bytes)
                return tiles;
        }
        if (tiles.n_keys == 32 && rows_each == 1)
            return tiles; /* 16 rows, 10 KiB: fits everywhere */
        if (tiles.n_keys > 32)
            tiles.n_keys = 32;
        else
            rows_each /= 2;
    }
}

/* A CPU implementation: one workgroup is one vector. Everything is unrolled, so the product of rows
 * and keys is bounded, or compiling takes longer than running. */
static lp_attention_tiles choose_rows(const lp_caps *caps, uint32_t rows, uint32_t dk, uint32_t dv)
{
    uint32_t lanes = caps->subgroup_size < 4    ? 4
                     : caps->subgroup_size > 32 ? 32
                                                : caps->subgroup_size;
    lp_attention_tiles tiles = {
        .kind = LP_ATTENTION_ROWS, .workgroup = lanes, .n_rows = lanes, .n_splits = 1};
    if (rows > lanes && dk + dv <= 256)
        tiles.n_rows *= 2;
    tiles.n_keys = dk + dv <= 512 ? 4 : 2;
    return tiles;
}

lp_attention_tiles lp_attention_choose(const lp_caps *caps, uint32_t n_tokens, uint32_t n_heads,
                                       uint32_t n_groups, uint32_t dk, uint32_t dv, uint32_t kv_max,
                                       uint32_t window)
{
    uint32_t rows = n_tokens * (n_heads / n_groups);
    if (caps->is_cpu) { /* unless it leaves most of many cores idle */
        lp_attention_tiles tiles = choose_rows(caps, rows, dk, dv);
        if (2 * ceil_div(rows, tiles.n_rows) * n_groups >= caps->n_cores)
            return tiles;
    }
    if (n_tokens > LP_DECODE_TOKENS)
        return choose_prefill(caps, dk, dv);
    uint64_t visible = window > 0 ? (uint64_t)window + n_tokens : kv_max;
    return choose_decode(caps, rows, n_groups, dk, visible < kv_max ? (uint32_t)visible : kv_max);
}

/* The same for any number of tokens, wherever they stand and however long the caches are. The decode
 * kernel gets rows of one token only, so that its tiles begin and end with that token's keys; to the
 * rows kernel it makes no difference which rows it has beside each other. */
static lp_attention_tiles choose_deterministic(const lp_caps *caps, uint32_t heads, uint32_t dk,
                                               uint32_t dv)
{
    if (caps->is_cpu)
        return choose_rows(caps, 1, dk, dv);
    return choose_decode(caps, heads & (~heads + 1), 1, dk, 1); /* 2^k that divides the heads */
}

uint32_t lp_attention_shared(const lp_attention_tiles *t, uint32_t dk)
{
    if (t->kind == LP_ATTENTION_ROWS)
        return 0;
    if (t->kind == LP_ATTENTION_DECODE) /* q, weights, partial reductions and factors, outputs being added up */
        return 32 * t->n_rows * ((dk + 7) / 8) + 4 * t->n_rows * (t->n_keys + 16 + 1) +
               16 * t->workgroup;
    /* q, a chunk of keys or values, weights (rows padded by 16 bytes against bank conflicts), and
     * partial reductions */
    uint32_t q = t->resident ? (dk + 31) / 32 * 8 : 8;
    return 16 * (t->n_rows * (q + 1) + t->n_keys * 9 + t->n_rows * (t->n_keys / 4 + 1)) +
           32 * t->n_rows;
}

static lp_attention_tiles choose(const lp_graph *graph, const lp_node *node, const lp_caps *caps)
{
    const lp_shape *q = &lp_op_tensor(graph, node->src[0])->shape;
    const lp_shape *v = &lp_op_tensor(graph, node->src[2])->shape;
    return lp_attention_choose(caps, (uint32_t)q->dim[0], (uint32_t)q->dim[1],
                               (uint32_t)v->dim[1], (uint32_t)q->dim[2], (uint32_t)v->dim[2],
                               (uint32_t)node->p.attention.kv_max,
                               (uint32_t)node->p.attention.window);
}

/* Scratch: partial outputs [H, T, splits, Dv], then their statistics [H, T, splits, 2]. */
static uint64_t partial_bytes(const lp_graph *graph, const lp_node *node, uint32_t n_splits)
{
    const lp_shape *q = &lp_op_tensor(graph, node->src[0])->shape;
    int64_t dv = lp_op_tensor(graph, node->src[2])->shape.dim[2];
    return (uint64_t)(q->dim[0] * q->dim[1] * dv) * n_splits * sizeof(float);
}

static uint64_t stats_bytes(const lp_graph *graph, const lp_node *node, uint32_t n_splits)
{
    const lp_shape *q = &lp_op_tensor(graph, node->src[0])->shape;
    return (uint64_t)(q->dim[0] * q->dim[1] * 2) * n_splits * sizeof(float);
}

uint64_t lp_op_attention_scratch(const lp_graph *graph, const lp_node *node, const lp_caps *caps)
{
    uint32_t n_splits = choose(graph, node, caps).n_splits;
    if (n_splits == 1)
        return 0;
    return partial_bytes(graph, node, n_splits) + stats_bytes(graph, node, n_splits);
}

/* Keys or values: rows from kv_max on are never read. */
static void read_cache(lp_planner *pl, lp_dispatch *d, size_t at, lp_tensor_id id, int32_t kv_max)
{
    uint32_t n = d->n_reads;
    lp_dispatch_tensor(pl, d, at, id, LP_READ);
    const lp_tensor *cache = lp_op_tensor(pl->graph, id);
    uint64_t bytes = (uint64_t)kv_max * cache->stride * lp_dtype_table[cache->dtype].bytes;
    if (d->n_reads > n && bytes < d->reads[n].bytes)
        d->reads[n].bytes = bytes;
}

static lp_status plan_merge(lp_planner *pl, const lp_node *node, uint32_t n_splits)
{
    const lp_tensor *y = lp_op_tensor(pl->graph, node->dst[0]);
    const lp_tensor *v = lp_op_tensor(pl->graph, node->src[2]);
    uint64_t partial = partial_bytes(pl->graph, node, n_splits);
    uint64_t stats = stats_bytes(pl->graph, node, n_splits);
    lp_attention_merge_params push = {
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
        .n_tokens = (uint32_t)y->shape.dim[0],
        .n_heads = (uint32_t)y->shape.dim[1],
        .n_groups = (uint32_t)v->shape.dim[1],
        .n_splits = n_splits,
        .head = (uint32_t)v->shape.dim[2],
    };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "attention_merge", "f32", &kernel));
    uint32_t size = 64, groups[2];
    lp_op_groups(pl->caps, ceil_div((uint64_t)lp_shape_elements(y->shape), size), groups);
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1], 1, &push, sizeof push);
    lp_dispatch_spec(d, 0, size);
    lp_dispatch_scratch(pl, d, offsetof(lp_attention_merge_params, partial), 0, partial, LP_READ);
    lp_dispatch_scratch(pl, d, offsetof(lp_attention_merge_params, stats), partial, stats,
                        LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_attention_merge_params, y), node->dst[0], LP_WRITE);
    d->flops = 4.0 * n_splits * (double)lp_shape_elements(y->shape);
    return LP_OK;
}

lp_status lp_op_attention_plan(lp_planner *pl, const lp_node *node)
{
    const lp_tensor *q = lp_op_tensor(pl->graph, node->src[0]);
    const lp_tensor *k = lp_op_tensor(pl->graph, node->src[1]);
    const lp_tensor *v = lp_op_tensor(pl->graph, node->src[2]);
    uint32_t n_tokens = (uint32_t)q->shape.dim[0], n_heads = (uint32_t)q->shape.dim[1];
    uint32_t n_groups = (uint32_t)k->shape.dim[1];
    uint32_t dk = (uint32_t)k->shape.dim[2], dv = (uint32_t)v->shape.dim[2];
    lp_attention_tiles tiles = pl->options->deterministic
                                   ? choose_deterministic(pl->caps, n_heads / n_groups, dk, dv)
                                   : choose(pl->graph, node, pl->caps);
    bool split = tiles.n_splits > 1;
    static const char *const families[] = {"attention_prefill", "attention_decode",
                                           "attention_rows"};
    lp_attention_params push = {
        .q_stride = lp_op_stride(pl->graph, node->src[0]),
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
        .n_tokens = n_tokens,
        .n_heads = n_heads,
        .n_groups = n_groups,
        .n_splits = tiles.n_splits,
        .kv_max = (uint32_t)node->p.attention.kv_max,
        .window = (uint32_t)node->p.attention.window,
        .mask_shift = node->p.attention.mask_shift,
        .scale = node->p.attention.scale,
    };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, families[tiles.kind], lp_dtype_table[k->dtype].kernel, &kernel));
    /* 16-byte loads of keys and values where every head starts on one. */
    uint32_t per_load = k->dtype == LP_F16 ? 8 : 4;
    bool wide = dk % per_load == 0 && dv % per_load == 0;
    uint32_t blocks = ceil_div((uint64_t)n_tokens * (n_heads / n_groups), tiles.n_rows);
    uint64_t partial = partial_bytes(pl->graph, node, tiles.n_splits);

    uint32_t rows_each = tiles.kind == LP_ATTENTION_DECODE ? tiles.n_rows
                         : tiles.kind == LP_ATTENTION_ROWS ? tiles.n_rows / tiles.workgroup
                                                           : tiles.n_rows / (tiles.workgroup / 8);

    /* A dispatch cannot be cut by the executor, so long work becomes several: an eighth of a second
     * each, by the device's estimate. */
    double flops = 2.0 * n_tokens * n_heads * (double)push.kv_max * (dk + dv);
    double most = 0.125 * pl->caps->flops;
    uint32_t pieces = flops > most ? ceil_div((uint64_t)flops, (uint64_t)most) : 1;
    uint32_t per_piece = ceil_div(blocks, pieces < blocks ? pieces : blocks);
    for (uint32_t first = 0; first < blocks; first += per_piece) {
        uint32_t n = blocks - first < per_piece ? blocks - first : per_piece;
        push.first_block = first;
        lp_dispatch *d =
            lp_plan_dispatch(pl, kernel, n, n_groups, tiles.n_splits, &push, sizeof push);
        lp_dispatch_spec(d, 0, tiles.workgroup);
        lp_dispatch_spec(d, 1, rows_each);
        lp_dispatch_spec(d, 2, tiles.n_keys);
        lp_dispatch_spec(d, 3, dk);
        lp_dispatch_spec(d, 4, dv);
        lp_dispatch_spec(d, 5, wide);
        lp_dispatch_spec(d, 6, tiles.kind == LP_ATTENTION_DECODE ? split : tiles.resident);
        lp_dispatch_tensor(pl, d, offsetof(lp_attention_params, q), node->src[0], LP_READ);
        read_cache(pl, d, offsetof(lp_attention_params, keys), node->src[1],
                   node->p.attention.kv_max);
        read_cache(pl, d, offsetof(lp_attention_params, values), node->src[2],
                   node->p.attention.kv_max);
        lp_dispatch_tensor(pl, d, offsetof(lp_attention_params, cursor), node->src[3], LP_READ);
        if (split) {
            lp_dispatch_scratch(pl, d, offsetof(lp_attention_params, y), 0, partial, LP_WRITE);
            lp_dispatch_scratch(pl, d, offsetof(lp_attention_params, stats), partial,
                                stats_bytes(pl->graph, node, tiles.n_splits), LP_WRITE);
        } else {
            lp_dispatch_tensor(pl, d, offsetof(lp_attention_params, y), node->dst[0], LP_WRITE);
        }
        d->flops = flops * n / blocks;
    }
    return split ? plan_merge(pl, node, tiles.n_splits) : LP_OK;
}
