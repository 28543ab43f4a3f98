/* Attention of many rows on the `cpu` device: blocks of query rows meet blocks of keys, which are
 * packed once for all of them; softmax goes along online (Dao et al. 2022, arXiv:2205.14135). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/attention.h"

enum {
    ROWS = 96, /* query rows of a block */
    KEYS = 64, /* keys of a block */
    LEAST_TOKENS = 4
};

/* A block's working memory, and what it is of. */
typedef struct block {
    const lp_cpu_call *call;
    int64_t dk, dv, padded; /* padded: dv up to whole vectors */
    int64_t n_rows;         /* that there are */
    lp_attention_row rows[ROWS];
    float largest[ROWS], sums[ROWS];
    const float *q[ROWS], *weights[ROWS]; /* rows of queries, of scores */
    float *keys;                          /* [dk, KEYS] */
    float *values;                        /* [KEYS, padded] */
    float *scores;                        /* [ROWS, KEYS] */
    float *out;                           /* [ROWS, padded] */
    bool finite;                          /* all of `values` are */
} block;

bool lp_attention_in_blocks(const lp_cpu_call *call)
{
    return !call->deterministic && call->src[0].shape.dim[0] >= LEAST_TOKENS;
}

static bool make_room(block *b)
{
    const size_t n = (size_t)(KEYS * b->dk + KEYS * b->padded + ROWS * KEYS + ROWS * b->padded);
    b->keys = malloc(n * sizeof *b->keys);
    if (b->keys == NULL)
        return false;
    b->values = b->keys + KEYS * b->dk;
    b->scores = b->values + KEYS * b->padded;
    b->out = b->scores + ROWS * KEYS;
    for (int r = 0; r < ROWS; r++)
        b->weights[r] = b->scores + r * KEYS;
    return true;
}

/* Rows `first` and following of a group: of each token its heads. */
static void take_rows(block *b, int64_t group, int64_t n_heads, int64_t first, int64_t n)
{
    b->n_rows = n;
    for (int64_t r = 0; r < n; r++) {
        const int64_t t = (first + r) / n_heads, h = group * n_heads + (first + r) % n_heads;
        b->rows[r] = lp_attention_row_of(b->call, t, h);
        b->q[r] = b->rows[r].q;
        b->largest[r] = b->rows[r].sink;
        b->sums[r] = b->rows[r].sink > -INFINITY ? 1 : 0;
    }
    memset(b->out, 0, (size_t)(n * b->padded) * sizeof *b->out);
}

/* x - x is 0 of all numbers but infinities and NaN. */
static bool all_finite(const float *x, int64_t n)
{
    float sums[LP_SIMD_LANES] = {0}, sum = 0;
    for (int64_t j = 0; j < n; j += LP_SIMD_LANES)
        for (int i = 0; i < LP_SIMD_LANES; i++)
            sums[i] += x[j + i] - x[j + i];
    for (int i = 0; i < LP_SIMD_LANES; i++)
        sum += sums[i];
    return sum == 0;
}

/* Keys [first, first + n) and their values; what is missing is zeros. */
static void pack(block *b, int64_t first, int64_t n)
{
    const lp_view *keys = &b->call->src[1], *values = &b->call->src[2];
    const int64_t group = b->rows[0].group;
    float row[LP_MAX_HEAD];
    for (int64_t j = 0; j < KEYS; j++) {
        float *value = b->values + j * b->padded;
        const float *from = row;
        if (j < n)
            from = lp_attention_load(b->call->simd, keys, first + j, group * b->dk, b->dk, row);
        for (int64_t i = 0; i < b->dk; i++)
            b->keys[i * KEYS + j] = j < n ? from[i] : 0;
        memset(value, 0, (size_t)b->padded * sizeof *value);
        if (j >= n)
            continue;
        from = lp_attention_load(b->call->simd, values, first + j, group * b->dv, b->dv, row);
        memcpy(value, from, (size_t)b->dv * sizeof *value);
    }
    b->finite = all_finite(b->values, KEYS * b->padded);
}

/* What the weights make of the values. A value that is not finite would reach rows that do not see
 * it, as 0 times infinity is NaN: such blocks go row by row. */
static void add_values(block *b, int64_t n)
{
    const lp_simd *simd = b->call->simd;
    if (b->finite) {
        simd->product(b->weights, 0, b->values, b->padded, b->out, b->padded, b->n_rows, b->padded,
                      n);
        return;
    }
    for (int64_t r = 0; r < b->n_rows; r++)
        for (int64_t j = 0; j < n; j++)
            if (b->scores[r * KEYS + j] != 0)
                simd->add(b->out + r * b->padded, b->scores[r * KEYS + j],
                          b->values + j * b->padded, b->padded);
}

/* Whether scores are products times a scale, and all keys of a row's range are seen. */
static bool is_plain(const lp_node *node, const lp_attention_row *row)
{
    const lp_mask_kind mask = node->p.attention.mask;
    return mask != LP_MASK_STRIDED && mask != LP_MASK_FIXED && row->lengths == NULL &&
           row->table == NULL && row->slope == 0 && !(node->p.attention.softcap > 0);
}

/* The row's scores, -infinity where it does not look; returns the largest. */
static float finish_scores(const block *b, int64_t r, int64_t first, int64_t n)
{
    const lp_node *node = b->call->node;
    const lp_attention_row *row = &b->rows[r];
    const int64_t from = row->first > first ? row->first - first : 0;
    const int64_t end = row->end < first + n ? row->end - first : n;
    float *scores = b->scores + r * KEYS, tops[LP_SIMD_LANES];
    if (is_plain(node, row))
        for (int64_t j = 0; j < KEYS; j++)
            scores[j] *= node->p.attention.scale;
    else
        for (int64_t j = from; j < end; j++)
            scores[j] =
                lp_attention_sees(node, row, first + j)
                    ? lp_attention_score(node, row, first + j, node->p.attention.scale * scores[j])
                    : -INFINITY;
    for (int64_t j = 0; j < from && j < KEYS; j++)
        scores[j] = -INFINITY;
    for (int64_t j = end > 0 ? end : 0; j < KEYS; j++)
        scores[j] = -INFINITY;
    memcpy(tops, scores, sizeof tops);
    for (int64_t j = LP_SIMD_LANES; j < KEYS; j += LP_SIMD_LANES)
        for (int i = 0; i < LP_SIMD_LANES; i++)
            tops[i] = scores[j + i] > tops[i] ? scores[j + i] : tops[i];
    float top = -INFINITY;
    for (int i = 0; i < LP_SIMD_LANES; i++)
        top = tops[i] > top ? tops[i] : top;
    return top;
}

static float sum_of(const float *x)
{
    float sums[LP_SIMD_LANES] = {0}, sum = 0;
    for (int64_t j = 0; j < KEYS; j += LP_SIMD_LANES)
        for (int i = 0; i < LP_SIMD_LANES; i++)
            sums[i] += x[j + i];
    for (int i = 0; i < LP_SIMD_LANES; i++)
        sum += sums[i];
    return sum;
}

/* Scores become weights, and what was summed so far shrinks where a larger score comes. */
static void softmax_row(block *b, int64_t r, int64_t first, int64_t n)
{
    const float top = finish_scores(b, r, first, n);
    float *scores = b->scores + r * KEYS, *out = b->out + r * b->padded;
    if (top > b->largest[r]) {
        const float shrink = expf(b->largest[r] - top);
        b->sums[r] *= shrink;
        for (int64_t i = 0; i < b->padded; i++)
            out[i] *= shrink;
        b->largest[r] = top;
    }
    if (b->largest[r] == -INFINITY) /* it has seen nothing yet, or nothing but NaN */
        for (int64_t j = 0; j < KEYS; j++)
            scores[j] = isnan(scores[j]) ? scores[j] : 0;
    else
        b->call->simd->exps(scores, b->largest[r], KEYS);
    b->sums[r] += sum_of(scores);
}

/* All keys that any of the rows sees. */
static void attend(block *b)
{
    const lp_simd *simd = b->call->simd;
    int64_t from = INT64_MAX, end = 0;
    for (int64_t r = 0; r < b->n_rows; r++) {
        if (b->rows[r].first >= b->rows[r].end)
            continue;
        from = b->rows[r].first < from ? b->rows[r].first : from;
        end = b->rows[r].end > end ? b->rows[r].end : end;
    }
    for (int64_t first = from; first < end; first += KEYS) {
        const int64_t n = end - first < KEYS ? end - first : KEYS;
        pack(b, first, n);
        memset(b->scores, 0, (size_t)(b->n_rows * KEYS) * sizeof *b->scores);
        simd->product(b->q, 0, b->keys, KEYS, b->scores, KEYS, b->n_rows, KEYS, b->dk);
        for (int64_t r = 0; r < b->n_rows; r++)
            softmax_row(b, r, first, n);
        add_values(b, n);
    }
    for (int64_t r = 0; r < b->n_rows; r++)
        for (int64_t i = 0; i < b->dv; i++)
            b->rows[r].y[i] = b->sums[r] == 0 ? 0.0f : b->out[r * b->padded + i] / b->sums[r];
}

lp_status lp_attention_blocks(const lp_cpu_call *call)
{
    const lp_view *q = &call->src[0], *keys = &call->src[1], *values = &call->src[2];
    const int64_t n_groups = keys->shape.dim[1], n_heads = q->shape.dim[1] / n_groups;
    const int64_t n_rows = q->shape.dim[0] * n_heads, n_blocks = (n_rows + ROWS - 1) / ROWS;
    const int64_t work =
        q->shape.dim[1] * q->shape.dim[0] * call->node->p.attention.kv_max * q->shape.dim[2];
    bool failed = false;
#pragma omp parallel if (work > LP_PARALLEL_WORK)
    {
        block b = {.call = call, .dk = keys->shape.dim[2], .dv = values->shape.dim[2]};
        b.padded = (b.dv + LP_SIMD_LANES - 1) / LP_SIMD_LANES * LP_SIMD_LANES;
        const bool ready = make_room(&b);
        if (!ready) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < n_groups * n_blocks; i++) {
            /* the last rows see most where masks are causal: they come first */
            const int64_t group = i % n_groups, first = (n_blocks - 1 - i / n_groups) * ROWS;
            if (!ready)
                continue;
            take_rows(&b, group, n_heads, first, n_rows - first < ROWS ? n_rows - first : ROWS);
            attend(&b);
        }
        free(b.keys);
    }
    return failed ? lp_fail_memory(call->ctx, call->node->name) : LP_OK;
}
