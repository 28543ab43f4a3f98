/* Attention's kernels: tiles and dispatches.
 *
 * Devices never form the score matrix: softmax is computed online (Milakov & Gimelshein 2018,
 * arXiv:1805.02867) over tiles of keys (Dao et al. 2022, arXiv:2205.14135). All query rows of one
 * K/V head, its group's heads times the tokens, are one list, so that K and V are read once for the
 * group. Few rows: the keys are split over workgroups and merged (Dao et al. 2023, Flash-Decoding).
 * Tile sizes are chosen here, from the device's shared memory, and are specialization constants, as
 * are mask and extras: without them the kernels are what they would be if there were none. */
#include "ops/attention.h"

#include "params.h"

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
    while (tiles.n_rows > 1 &&
           (tiles.n_rows >= 2 * rows || lp_attention_shared(&tiles, dk) > caps->max_shared_bytes))
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
                                       uint32_t reach)
{
    uint32_t rows = n_tokens * (n_heads / n_groups);
    if (caps->is_cpu) { /* unless it leaves most of many cores idle */
        lp_attention_tiles tiles = choose_rows(caps, rows, dk, dv);
        if (2 * ceil_div(rows, tiles.n_rows) * n_groups >= caps->n_cores)
            return tiles;
    }
    if (n_tokens > LP_DECODE_TOKENS)
        return choose_prefill(caps, dk, dv);
    uint64_t visible = reach > 0 ? (uint64_t)reach + n_tokens : kv_max;
    return choose_decode(caps, rows, n_groups, dk, visible < kv_max ? (uint32_t)visible : kv_max);
}

/* The same for any number of tokens, wherever they stand and however long the caches are. The
 * decode kernel gets rows of one token only, so that its tiles begin and end with that token's
 * keys; to the rows kernel it makes no difference which rows it has beside each other. */
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
    if (t->kind == LP_ATTENTION_DECODE) /* q, weights, partial reductions and factors, outputs being
                                           added up */
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
    return lp_attention_choose(
        caps, (uint32_t)q->dim[0], (uint32_t)q->dim[1], (uint32_t)v->dim[1], (uint32_t)q->dim[2],
        (uint32_t)v->dim[2], (uint32_t)node->p.attention.kv_max,
        (uint32_t)(node->p.attention.mask == LP_MASK_CHUNKED  ? node->p.attention.stride
                   : node->p.attention.mask == LP_MASK_BLOCKS ? node->p.attention.block
                                                              : node->p.attention.window));
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
static void read_keys(lp_planner *pl, lp_dispatch *d, size_t at, lp_tensor_id id, int32_t kv_max)
{
    uint32_t n = d->n_reads;
    lp_dispatch_tensor(pl, d, at, id, LP_READ);
    lp_tensor seen = *lp_op_tensor(pl->graph, id);
    seen.shape.dim[0] = kv_max;
    if (d->n_reads > n)
        d->reads[n].bytes = lp_tensor_bytes(&seen);
}

/* Do all heads of keys or values start on 16 bytes, or of Q8_0 on 8 quants of one block? */
static bool whole_loads(const lp_graph *graph, lp_tensor_id id)
{
    const lp_tensor *t = lp_op_tensor(graph, id);
    uint64_t per_load = t->dtype == LP_F32 ? 4 : 8;
    return t->offset % per_load == 0 && t->stride % per_load == 0 &&
           (uint64_t)t->shape.dim[2] % per_load == 0;
}

static uint32_t flags_of(const lp_graph *graph, const lp_node *node)
{
    const lp_tensor *bias = lp_op_tensor(graph, node->src[4]);
    return (uint32_t)node->p.attention.mask |
           (node->p.attention.softcap > 0 ? LP_ATTENTION_SOFTCAP : 0) |
           (bias == NULL         ? 0
            : bias->shape.n == 1 ? LP_ATTENTION_SLOPES
                                 : LP_ATTENTION_TABLE) |
           (node->src[5] != LP_NONE ? LP_ATTENTION_SINKS : 0) |
           (node->p.attention.from_source ? LP_ATTENTION_SOURCE : 0) |
           (node->src[6] != LP_NONE ? LP_ATTENTION_LENGTHS : 0);
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
    lp_dispatch_scratch(pl, d, offsetof(lp_attention_merge_params, stats), partial, stats, LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_attention_merge_params, y), node->dst[0], LP_WRITE);
    d->flops = 4.0 * n_splits * (double)lp_shape_elements(y->shape);
    return LP_OK;
}

lp_status lp_op_attention_plan(lp_planner *pl, const lp_node *node)
{
    const lp_tensor *q = lp_op_tensor(pl->graph, node->src[0]);
    const lp_tensor *k = lp_op_tensor(pl->graph, node->src[1]);
    const lp_tensor *v = lp_op_tensor(pl->graph, node->src[2]);
    const lp_tensor *bias = lp_op_tensor(pl->graph, node->src[4]);
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
        .key_stride = lp_op_stride(pl->graph, node->src[1]),
        .value_stride = lp_op_stride(pl->graph, node->src[2]),
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
        .n_tokens = n_tokens,
        .n_heads = n_heads,
        .n_groups = n_groups,
        .kv_max = (uint32_t)node->p.attention.kv_max,
        .window = (uint32_t)node->p.attention.window,
        .mask_shift = node->p.attention.mask_shift,
        .scale = node->p.attention.scale,
        .softcap = node->p.attention.softcap,
        .bias_reach = bias != NULL && bias->shape.n == 2 ? (uint32_t)bias->shape.dim[1] / 2 : 0,
    };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, families[tiles.kind], lp_dtype_table[k->dtype].kernel, &kernel));
    bool wide = whole_loads(pl->graph, node->src[1]) && whole_loads(pl->graph, node->src[2]);
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
        lp_dispatch_spec(d, 7, flags_of(pl->graph, node));
        lp_dispatch_spec(d, 8,
                         node->p.attention.stride > 0 ? (uint32_t)node->p.attention.stride : 1);
        lp_dispatch_spec(d, 9, (uint32_t)node->p.attention.summary);
        lp_dispatch_spec(d, 10,
                         node->p.attention.block > 0 ? (uint32_t)node->p.attention.block : 1);
        lp_dispatch_spec(d, 11, (uint32_t)node->p.attention.offset);
        lp_dispatch_spec(d, 12,
                         node->p.attention.period > 0 ? (uint32_t)node->p.attention.period : 1);
        lp_dispatch_tensor(pl, d, offsetof(lp_attention_params, q), node->src[0], LP_READ);
        read_keys(pl, d, offsetof(lp_attention_params, keys), node->src[1],
                  node->p.attention.kv_max);
        read_keys(pl, d, offsetof(lp_attention_params, values), node->src[2],
                  node->p.attention.kv_max);
        lp_dispatch_tensor(pl, d, offsetof(lp_attention_params, cursor), node->src[3], LP_READ);
        lp_dispatch_tensor(pl, d, offsetof(lp_attention_params, bias), node->src[4], LP_READ);
        lp_dispatch_tensor(pl, d, offsetof(lp_attention_params, sinks), node->src[5], LP_READ);
        lp_dispatch_tensor(pl, d, offsetof(lp_attention_params, lengths), node->src[6], LP_READ);
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
