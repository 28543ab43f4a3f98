/* Attention: softmax(scale q k^T) v (Vaswani et al. 2017, arXiv:1706.03762), heads grouped over
 * fewer K/V heads (Ainslie et al. 2023, arXiv:2305.13245): its shapes and its reference. Masks:
 * causal, all keys, windows of either (Beltagy et al. 2020, arXiv:2004.05150), chunks, and the
 * sparse patterns of Child et al. 2019 (arXiv:1904.10509), and causal behind a beginning that all
 * see (Du et al. 2022, arXiv:2103.10360); and blocks of keys for chunks of tokens (Borgeaud et al.
 * 2021, arXiv:2112.04426). Extras: a bias by distance (ALiBi, Press et al. 2021, arXiv:2108.12409,
 * or a table: relative positions of T5, Raffel et al. 2019, arXiv:1910.10683), a softcap of the
 * scores (Gemma 2, arXiv:2408.00118), sinks (gpt-oss, arXiv:2508.10925). The formula is beside
 * ATTENTION in graph.h. */
#include "ops/attention.h"

#include <math.h>

#include "base/half.h"
#include "ops/sigma.h"
#include "params.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

enum { Q, KEYS, VALUES, CURSOR, BIAS, SINKS, LENGTHS }; /* sources */

/* Slopes [H], or a table [H, 2 M + 1] in plain rows, which a weight's are not on a device. */
static lp_status check_bias(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                            int64_t n_heads)
{
    const lp_tensor *bias = lp_op_tensor(graph, node->src[BIAS]);
    char text[96];
    if (bias == NULL || bias->shape.n != 2)
        return lp_op_check_vector(ctx, graph, node, BIAS, "the bias", n_heads);
    LP_TRY(lp_op_check_input(ctx, graph, node, BIAS, "the bias", 2));
    if (bias->shape.dim[0] != n_heads || bias->shape.dim[1] % 2 == 0 ||
        bias->stride != (uint64_t)bias->shape.dim[1] ||
        lp_shape_elements(bias->shape) >= INT64_C(1) << 30 ||
        (bias->slot != LP_NONE && graph->store->slots[bias->slot].kind == LP_SLOT_WEIGHT))
        return lp_fail(ctx, LP_E_SHAPE,
                       "%s: the bias by distance must be a table [%lld, 2 M + 1], is %s",
                       node->name, (long long)n_heads, lp_shape_print(bias->shape, text));
    return LP_OK;
}

/* The parameters, for T tokens and C keys. */
static lp_status check_mask(lp_context *ctx, const lp_node *node, int64_t n_tokens, int64_t n_keys)
{
    const int32_t kv_max = node->p.attention.kv_max, window = node->p.attention.window;
    const int32_t stride = node->p.attention.stride, summary = node->p.attention.summary;
    const lp_mask_kind mask = node->p.attention.mask;
    const bool has_window = mask == LP_MASK_CAUSAL || mask == LP_MASK_FULL;
    const bool has_stride = !has_window && mask != LP_MASK_PREFIX;
    const float softcap = node->p.attention.softcap;
    if ((unsigned)mask >= LP_N_MASKS)
        return lp_fail(ctx, LP_E_ARG, "%s: mask %d does not exist", node->name, (int)mask);
    const bool any_keys = mask == LP_MASK_FULL || mask == LP_MASK_BLOCKS;
    if (kv_max < (any_keys ? 1 : n_tokens) || kv_max > n_keys || window < 0 ||
        (!has_window && window != 0))
        return lp_fail(ctx, LP_E_ARG, "%s: kv_max %d or window %d is out of range", node->name,
                       (int)kv_max, (int)window);
    if (has_stride && (stride < 1 || (mask == LP_MASK_FIXED && (summary < 1 || summary > stride))))
        return lp_fail(ctx, LP_E_ARG, "%s: stride %d or summary %d is out of range", node->name,
                       (int)stride, (int)summary);
    if (mask == LP_MASK_BLOCKS && (node->p.attention.block < 1 || node->p.attention.offset < 0))
        return lp_fail(ctx, LP_E_ARG, "%s: blocks of %d keys from token %d on", node->name,
                       (int)node->p.attention.block, (int)node->p.attention.offset);
    if (node->p.attention.from_source && mask != LP_MASK_FULL)
        return lp_fail(ctx, LP_E_ARG, "%s: a causal mask does not end with the source", node->name);
    if (!(softcap >= 0 && softcap < INFINITY))
        return lp_fail(ctx, LP_E_ARG, "%s: softcap %g is out of range", node->name,
                       (double)softcap);
    return LP_OK;
}

/* A number for every `period` keys. */
static lp_status check_lengths(lp_context *ctx, const lp_graph *graph, const lp_node *node)
{
    const lp_tensor *lengths = lp_op_tensor(graph, node->src[LENGTHS]);
    const int64_t period = node->p.attention.period, kv_max = node->p.attention.kv_max;
    if (lengths == NULL)
        return LP_OK;
    if (lengths->slot == LP_NONE || lengths->dtype != LP_I32 || lengths->shape.n != 1 ||
        period < 1 || lengths->shape.dim[0] < (kv_max + period - 1) / period)
        return lp_fail(ctx, LP_E_SHAPE, "%s: %lld keys, but no length for every %lld of them",
                       node->name, (long long)kv_max, (long long)period);
    return LP_OK;
}

lp_status lp_op_attention_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                                lp_shape shapes[LP_MAX_DST])
{
    LP_TRY(lp_op_check_input(ctx, graph, node, Q, "q", 3));
    LP_TRY(lp_op_check_cursor(ctx, graph, node, node->src[CURSOR]));
    const lp_tensor *q = lp_op_tensor(graph, node->src[Q]);
    const lp_tensor *k = lp_op_tensor(graph, node->src[KEYS]),
                    *v = lp_op_tensor(graph, node->src[VALUES]);
    if (k == NULL || v == NULL || k->shape.n != 3 || v->shape.n != 3 || k->dtype != v->dtype ||
        !lp_is_cache_type(k->dtype))
        return lp_fail(ctx, LP_E_SHAPE, "%s: keys and values must be [C, G, D], " LP_CACHE_TYPES,
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
    for (int i = KEYS; i <= VALUES; i++)
        if (lp_op_tensor(graph, node->src[i])->slot == LP_NONE)
            LP_TRY(lp_op_check_input(ctx, graph, node, i, i == KEYS ? "keys" : "values", 3));
    LP_TRY(check_mask(ctx, node, q->shape.dim[0], k->shape.dim[0]));
    LP_TRY(check_bias(ctx, graph, node, q->shape.dim[1]));
    LP_TRY(lp_op_check_vector(ctx, graph, node, SINKS, "sinks", q->shape.dim[1]));
    LP_TRY(check_lengths(ctx, graph, node));
    shapes[0] = LP_SHAPE3(q->shape.dim[0], q->shape.dim[1], dv);
    return LP_OK;
}

/* ---- Reference ----------------------------------------------------------------------------- */

/* The block of keys that a token sees; none before the offset. */
static void block_range(const lp_node *node, int64_t place, int64_t *first, int64_t *end)
{
    const int64_t since = place + node->p.attention.mask_shift - node->p.attention.offset;
    const int64_t kv_max = node->p.attention.kv_max, block = node->p.attention.block;
    const bool any = since >= 0 && since / node->p.attention.stride <= kv_max / block;
    *first = any ? least(since / node->p.attention.stride * block, kv_max) : since < 0 ? 0 : kv_max;
    *end = since < 0 ? 0 : least(*first + block, kv_max);
}

void lp_attention_range(const lp_node *node, const int32_t *cursor, int64_t place, int64_t *first,
                        int64_t *end)
{
    const int64_t window = node->p.attention.window, stride = node->p.attention.stride;
    const int64_t kv_max = node->p.attention.kv_max;
    *first = 0;
    *end = least(place + node->p.attention.mask_shift + 1, kv_max);
    switch (node->p.attention.mask) {
    case LP_MASK_FULL:
        *end = node->p.attention.from_source ? least(cursor[LP_CURSOR_SOURCE], kv_max) : kv_max;
        if (window > 0) {
            *first = most(place - window / 2, 0);
            *end = least(*end, place + window / 2 + 1);
        }
        break;
    case LP_MASK_BLOCKS:
        block_range(node, place, first, end);
        break;
    case LP_MASK_CHUNKED:
        *first = place / stride * stride;
        break;
    case LP_MASK_PREFIX:
        place = most(place, cursor[LP_CURSOR_SOURCE] - 1);
        *end = least(place + node->p.attention.mask_shift + 1, kv_max);
        break;
    default:
        if (window > 0)
            *first = most(place - window + 1, 0);
    }
}

lp_attention_row lp_attention_row_of(const lp_cpu_call *call, int64_t t, int64_t h)
{
    const lp_view *q = &call->src[Q], *keys = &call->src[KEYS], *y = &call->dst[0];
    const lp_view *bias = &call->src[BIAS], *sinks = &call->src[SINKS];
    const int32_t *cursor = call->src[CURSOR].data;
    lp_attention_row row = {.q = (const float *)q->data + (uint64_t)t * q->stride +
                                 h * q->shape.dim[2],
                            .y = (float *)y->data + (uint64_t)t * y->stride + h * y->shape.dim[2],
                            .group = h / (q->shape.dim[1] / keys->shape.dim[1]),
                            .place = cursor[LP_CURSOR_POSITION] + t,
                            .sink = -INFINITY};
    lp_attention_range(call->node, cursor, row.place, &row.first, &row.end);
    if (bias->data != NULL && bias->shape.n == 2) {
        row.table = (const float *)bias->data + (uint64_t)h * bias->stride;
        row.reach = bias->shape.dim[1] / 2;
    } else if (bias->data != NULL) {
        lp_view_load(bias, 0, h, &row.slope, 1);
    }
    if (sinks->data != NULL)
        lp_view_load(sinks, 0, h, &row.sink, 1);
    row.lengths = call->src[LENGTHS].data;
    return row;
}

static double element(const lp_view *cache, int64_t row, int64_t column)
{
    const uint64_t start = (uint64_t)row * cache->stride, at = start + (uint64_t)column;
    switch (cache->dtype) {
    case LP_F16:
        return (double)lp_f16_to_f32(((const uint16_t *)cache->data)[at]);
    case LP_Q8_0:
        return (double)lp_state_quant((const uint8_t *)cache->data + lp_state_bytes(LP_Q8_0, start),
                                      cache->stride, (uint64_t)column);
    default:
        return (double)((const float *)cache->data)[at];
    }
}

/* The score of key j. variance: what its rounding errors are expected to be; NULL: not wanted. */
static double score_of(const lp_cpu_call *call, const lp_attention_row *row, int64_t j,
                       double *variance)
{
    const lp_view *keys = &call->src[KEYS];
    const int64_t dk = keys->shape.dim[2];
    const double scale = (double)call->node->p.attention.scale;
    const double softcap = (double)call->node->p.attention.softcap;
    lp_dot_sums dot = {0};
    for (int64_t i = 0; i < dk; i++) {
        const double product = (double)row->q[i] * element(keys, j, row->group * dk + i);
        if (variance != NULL)
            lp_dot_add(&dot, product);
        else
            dot.sum += product;
    }
    const double product = scale * dot.sum, bias = lp_attention_bias(row, j);
    const double capped = softcap > 0 ? softcap * tanh(product / softcap) : product;
    if (variance == NULL)
        return capped + bias;
    /* q or the product is scaled */
    *variance = lp_square(scale) *
                    (lp_dot_variance((double)dk, &dot) + lp_rounding_variance(1) * dot.squares) +
                lp_rounding_variance(product);
    if (softcap > 0)
        *variance = lp_square(1 - lp_square(capped / softcap)) *
                        (*variance + lp_ulp_variance(LP_ULP_DIVISION, product)) +
                    lp_square(softcap) * lp_tanh_variance(product / softcap) +
                    lp_rounding_variance(capped);
    if (call->src[BIAS].data != NULL) /* the product with a slope, and the sum */
        *variance += (row->table == NULL ? lp_rounding_variance(bias) : 0) +
                     lp_rounding_variance(capped + bias);
    return capped + bias;
}

/* Sums over the keys of a row, on the way to the sigma of its result. */
typedef struct row_errors {
    double variance[LP_MAX_HEAD], so_far[LP_MAX_HEAD];
    lp_dot_sums sums[LP_MAX_HEAD], total;
    double lost[LP_MAX_HEAD], lost_total; /* what may get lost in the sums and in their total */
    double top;                           /* the largest score so far */
    double n_sums;                        /* additions, and multiplications of what is there */
} row_errors;

/* The next key: p = exp(score - largest) / sum, and its value [dv]; a sink has none. */
static void add_errors(row_errors *e, double score, double variance, double largest, double sum,
                       const double *value, const double *out, int64_t dv)
{
    const double below = score - largest, p = exp(below) / sum;
    const double relative = variance + lp_rounding_variance(below) + /* the largest is subtracted */
                            lp_ulp_variance(LP_ULP_EXP(below), 1);
    double rescaling = 0;
    if (score > e->top && e->n_sums > 0) {
        rescaling =
            lp_rounding_variance(score - e->top) + lp_ulp_variance(LP_ULP_EXP(score - e->top), 1);
        e->n_sums++;
    }
    e->top = score > e->top ? score : e->top;
    for (int64_t i = 0; i < dv; i++) {
        const double v = value != NULL ? value[i] : 0, moved = p * (v - out[i]);
        e->variance[i] += lp_square(moved) * relative + lp_square(e->so_far[i]) * rescaling;
        lp_dot_add(&e->sums[i], p * v);
        e->so_far[i] += moved;
        e->lost[i] += p < 0x1p-23 ? p * v : 0;
    }
    e->lost_total += p < 0x1p-23 ? p : 0;
    lp_dot_add(&e->total, p);
    e->n_sums++;
}

/* Sigma of one row: out = sum p_j v_j with p_j = exp(s_j - largest) / sum. A relative error of p_j
 * moves element i of it by p_j (v_ji - out_i), because the total has the same error. Such errors
 * come from the score, from exp(), and whenever online softmax finds a larger score, from rescaling
 * all keys so far at once. The two sums are rounded on the way, too. Weights below half a ULP of
 * their total can get lost in it one by one, all with one sign: they may be missing altogether, in
 * the total, in the sum (which is smaller, and may keep what the total loses) or in both. */
static void row_sigma(const lp_cpu_call *call, const lp_attention_row *row, double largest,
                      double sum, const double *out, float *sigma)
{
    const lp_view *values = &call->src[VALUES];
    const int64_t dv = values->shape.dim[2];
    row_errors e = {.top = -INFINITY};
    if (row->sink > -INFINITY)
        add_errors(&e, (double)row->sink, 0, largest, sum, NULL, out, dv);
    for (int64_t j = row->first; j < row->end; j++) {
        double variance, value[LP_MAX_HEAD];
        if (!lp_attention_sees(call->node, row, j))
            continue;
        const double score = score_of(call, row, j, &variance);
        for (int64_t i = 0; i < dv; i++)
            value[i] = element(values, j, row->group * dv + i);
        add_errors(&e, score, variance, largest, sum, value, out, dv);
    }
    const double in_total = lp_dot_variance(e.n_sums, &e.total) +
                            lp_ulp_variance(LP_ULP_DIVISION, 1) + lp_rounding_variance(1);
    for (int64_t i = 0; i < dv; i++) {
        const double of_total = out[i] * e.lost_total, of_sum = e.lost[i];
        const double lost = fmax(fmax(fabs(of_total), fabs(of_sum)), fabs(of_sum - of_total));
        sigma[i] = lp_sigma(e.variance[i] + lp_square(lost) +
                            lp_dot_variance(e.n_sums, &e.sums[i]) + lp_square(out[i]) * in_total);
    }
}

/* One row of the formula: the scores are computed twice, for their maximum and for the sum. */
static void reference_row(const lp_cpu_call *call, int64_t t, int64_t h)
{
    const lp_view *values = &call->src[VALUES];
    const int64_t dv = values->shape.dim[2];
    const lp_attention_row row = lp_attention_row_of(call, t, h);
    double largest = (double)row.sink, sum = 0, out[LP_MAX_HEAD] = {0};
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1 && row.sink > -INFINITY)
            sum = exp((double)row.sink - largest);
        for (int64_t j = row.first; j < row.end; j++) {
            if (!lp_attention_sees(call->node, &row, j))
                continue;
            const double score = score_of(call, &row, j, NULL);
            if (pass == 0) {
                largest = score > largest ? score : largest;
                continue;
            }
            const double p = exp(score - largest);
            sum += p;
            for (int64_t i = 0; i < dv; i++)
                out[i] += p * element(values, j, row.group * dv + i);
        }
    }
    for (int64_t i = 0; i < dv; i++) {
        out[i] = sum == 0 ? 0 : out[i] / sum;
        row.y[i] = (float)out[i];
    }
    if (call->sigma != NULL)
        row_sigma(call, &row, largest, sum, out,
                  call->sigma + (t * call->src[Q].shape.dim[1] + h) * dv);
}

lp_status lp_op_attention_cpu(const lp_cpu_call *call)
{
    int64_t n_heads = call->src[Q].shape.dim[1], n = call->src[Q].shape.dim[0] * n_heads;
    int64_t work = n * call->node->p.attention.kv_max * call->src[Q].shape.dim[2];
    if (call->simd != NULL && lp_attention_in_blocks(call))
        return lp_attention_blocks(call);
#pragma omp parallel for schedule(dynamic, 4) if (work > LP_PARALLEL_WORK)
    for (int64_t i = 0; i < n; i++) {
        if (call->simd != NULL)
            lp_attention_fast_row(call, i / n_heads, i % n_heads);
        else
            reference_row(call, i / n_heads, i % n_heads);
    }
    return LP_OK;
}
