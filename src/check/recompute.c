/* A part of one node on the reference: see recompute.h.
 *
 * The op's own C function does it, on views: of rows of the activations (read back from the
 * device), of every step-th row of a weight (in the model's file), of rows of a cache. A part that
 * begins at token t0 is the op at a cursor that stands t0 further on; where only a piece of a cache
 * or of the history was read, cursor and piece are shifted by the same number of rows. */
#include "check/recompute.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "check/compare.h"
#include "ops/attention.h"

typedef struct part {
    const lp_recompute *what;
    lp_arena arena; /* all host copies */
    lp_node node;   /* the graph's, adapted to shifted rows */
    lp_cpu_call call;
    int32_t cursor[LP_CURSOR_WORDS];
    int64_t all_t, t0, n_t; /* tokens: all of the node's, the first and the number of this part */
    int64_t rows_per_t;     /* rows of the output per token: its slots, with experts */
    int64_t first, step, n; /* of each row's outputs: first, first + step, … */
} part;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* 0 … n - 1; another one for each `salt`. The mixing function of Steele, Lea & Flood's SplitMix. */
static int64_t pick(const part *p, uint64_t salt, int64_t n)
{
    uint64_t z = p->what->random + salt * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (int64_t)((z ^ z >> 31) % (uint64_t)n);
}

static const lp_tensor *tensor(const part *p, lp_tensor_id id)
{
    return &p->what->graph->tensors[id];
}

static void *take(part *p, uint64_t n, uint64_t bytes)
{
    return lp_arena_array(&p->arena, n + 1, bytes);
}

static lp_status no_memory(const part *p)
{
    return lp_fail_memory(p->what->ctx, "checking a node");
}

/* ---- What the device has ------------------------------------------------------------------- */

/* A whole activation as contiguous rows. */
static lp_status read_activation(part *p, lp_tensor_id id, float **x)
{
    *x = take(p, (uint64_t)lp_shape_elements(tensor(p, id)->shape), sizeof **x);
    if (*x == NULL)
        return no_memory(p);
    return p->what->backend->table->tensor_read(p->what->program, id, *x);
}

/* Rows [row, row + n) of a state. */
static lp_status read_state(part *p, lp_tensor_id id, int64_t row, int64_t n, lp_view *view)
{
    const lp_tensor *t = tensor(p, id);
    uint64_t bytes = lp_state_bytes(t->dtype, t->stride);
    *view = (lp_view){take(p, (uint64_t)n, bytes), t->dtype, t->shape, t->stride};
    view->shape.dim[0] = n;
    if (view->data == NULL)
        return no_memory(p);
    return p->what->backend->table->slot_read(p->what->backend, t->slot, (uint64_t)row * bytes,
                                              view->data, (uint64_t)n * bytes);
}

/* Weights and tables, where they lie in the file. */
static lp_view file_view(const part *p, lp_tensor_id id)
{
    const lp_tensor *t = tensor(p, id);
    const lp_dtype_info *info = &lp_dtype_table[t->dtype];
    const char *data = p->what->graph->store->slots[t->slot].data;
    return (lp_view){(void *)(uintptr_t)(data + t->offset / info->block * info->bytes), t->dtype,
                     t->shape, t->stride};
}

/* Whole rows of n_t tokens from t0; a token may have several. */
static lp_view tokens_of(const part *p, float *x, lp_shape shape)
{
    const uint64_t row = (uint64_t)lp_shape_row(shape);
    const int64_t rows = shape.dim[0] / p->all_t;
    shape.dim[0] = rows * p->n_t;
    return (lp_view){x + (uint64_t)(rows * p->t0) * row, LP_F32, shape, row};
}

/* Every source that is an activation, a weight or a table. */
static lp_status plain_sources(part *p)
{
    for (int i = 0; i < LP_MAX_SRC; i++) {
        lp_tensor_id id = p->node.src[i];
        if (id == LP_NONE)
            continue;
        const lp_tensor *t = tensor(p, id);
        if (t->slot == LP_NONE) {
            float *x;
            LP_TRY(read_activation(p, id, &x));
            p->call.src[i] = tokens_of(p, x, t->shape);
        } else if (p->what->graph->store->slots[t->slot].data != NULL) {
            p->call.src[i] = file_view(p, id);
        }
    }
    return LP_OK;
}

static void set_cursor(part *p, int source, int64_t position)
{
    p->cursor[LP_CURSOR_POSITION] = (int32_t)position;
    p->call.src[source] = (lp_view){p->cursor, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1};
}

/* ---- Which part ---------------------------------------------------------------------------- */

/* At most n of the node's tokens. */
static void choose_tokens(part *p, int64_t all, int64_t n)
{
    p->all_t = all;
    p->n_t = least(all, most(n, 1));
    p->t0 = pick(p, 1, all - p->n_t + 1);
}

/* n of `all`, evenly spread. */
static void choose_outputs(part *p, int64_t all, int64_t n)
{
    p->n = least(all, most(n, 1));
    p->step = all / p->n;
    p->first = pick(p, 2, all - (p->n - 1) * p->step);
}

/* Indices [first, first + n) of dimension `dim`, which are `each` elements apart. */
static void narrow_view(const part *p, lp_view *view, int dim, uint64_t each)
{
    const lp_dtype_info *info = &lp_dtype_table[view->dtype];
    view->data = (char *)view->data + (uint64_t)p->first * each / info->block * info->bytes;
    view->shape.dim[dim] = p->n;
}

/* Of a linear: weight rows, biases and the residual of the chosen outputs. Matrices and biases of
 * experts keep their distance from each other. */
static lp_status narrow_linear(part *p)
{
    enum { W = 1, BIAS, GATE, RESIDUAL, GATE_BIAS };
    static const int by_row[] = {W, BIAS, GATE, GATE_BIAS};
    const bool many = p->call.src[W].shape.n == 3;
    const int64_t n_rows = p->n_t * p->rows_per_t;
    for (size_t i = 0; i < sizeof by_row / sizeof *by_row; i++) {
        lp_view *view = &p->call.src[by_row[i]];
        const bool matrix = by_row[i] == W || by_row[i] == GATE;
        if (view->data == NULL)
            continue;
        if (many) {
            narrow_view(p, view, 1, matrix ? (uint64_t)view->shape.dim[2] : 1);
            continue;
        }
        narrow_view(p, view, 0, view->stride);
        view->stride *= (uint64_t)p->step;
    }
    lp_view *residual = &p->call.src[RESIDUAL];
    if (residual->data == NULL)
        return LP_OK;
    float *few = take(p, (uint64_t)(n_rows * p->n), sizeof *few);
    if (few == NULL)
        return no_memory(p);
    for (int64_t t = 0; t < n_rows; t++)
        for (int64_t i = 0; i < p->n; i++)
            few[t * p->n + i] =
                ((const float *)residual
                     ->data)[(uint64_t)t * residual->stride + (uint64_t)(p->first + i * p->step)];
    *residual = (lp_view){few, LP_F32, LP_SHAPE2(n_rows, p->n), (uint64_t)p->n};
    return LP_OK;
}

static lp_status prepare_linear(part *p)
{
    enum { GATE = 3, ROUTES = 6, TOKENS = 8 };
    const lp_shape w = tensor(p, p->node.src[1])->shape, y = tensor(p, p->node.dst[0])->shape;
    const bool routed = p->node.src[ROUTES] != LP_NONE, many = w.n == 3;
    const int64_t n_tokens = routed ? tensor(p, p->node.src[ROUTES])->shape.dim[0]
                             : many ? y.dim[0] / w.dim[0]
                                    : y.dim[0];
    p->rows_per_t = y.dim[0] / n_tokens;
    int64_t each = w.dim[w.n - 1] * (p->node.src[GATE] != LP_NONE ? 2 : 1) * p->rows_per_t;
    choose_tokens(p, n_tokens, least(TOKENS, (int64_t)p->what->budget / (16 * each)));
    choose_outputs(p, y.dim[1], (int64_t)p->what->budget / (each * p->n_t));
    if (many) { /* neighbours, because the distance between rows is K */
        p->step = 1;
        p->first = pick(p, 2, y.dim[1] - p->n + 1);
    }
    LP_TRY(plain_sources(p));
    return narrow_linear(p);
}

/* What an expert has served already counts for its capacity. */
static lp_status prepare_route(part *p)
{
    if (p->node.p.route.capacity > 0)
        p->t0 = 0;
    return plain_sources(p);
}

/* Token t's row of the result, which begins with its state. */
static lp_status read_result(part *p, int64_t t, lp_view *row)
{
    float *y;
    LP_TRY(read_activation(p, p->node.dst[0], &y));
    *row = (lp_view){y + t * p->n, LP_F32, LP_SHAPE3(1, 1, p->n), (uint64_t)p->n};
    return LP_OK;
}

/* The chosen tokens, from the state that the device itself went on from, put where the cache's
 * first row is. */
static lp_status prepare_recurrence(part *p)
{
    enum { CURSOR = 3, STATES, START };
    lp_view *states = &p->call.src[STATES];
    const int64_t rows = tensor(p, p->node.src[STATES])->shape.dim[0];
    const int64_t row = least(p->what->position, rows) - 1;
    const int64_t last = most(least(p->what->n_source, rows) - 1, 0);
    LP_TRY(plain_sources(p));
    if (p->node.src[START] != LP_NONE) /* its last state, as if it were the only one */
        LP_TRY(read_state(p, p->node.src[START], last, 1, &p->call.src[START]));
    set_cursor(p, CURSOR, p->t0 > 0 || row >= 0 ? 1 : 0);
    if (p->t0 == 0)
        return read_state(p, p->node.src[STATES], most(row, 0), 1, states);
    return read_result(p, p->t0 - 1, states);
}

/* The same of gated units; of a source all that a token may see. */
static lp_status prepare_gated(part *p)
{
    enum { CURSOR = 2, STATES, START, KEYS, VALUES };
    const int64_t neighbour = p->node.p.gated.backwards ? p->t0 + p->n_t : p->t0 - 1;
    const bool later = p->what->position > 0;
    const lp_tensor_id from = p->node.src[later ? STATES : START];
    LP_TRY(plain_sources(p));
    set_cursor(p, CURSOR, 0);
    for (int i = KEYS; i <= VALUES && p->node.src[KEYS] != LP_NONE; i++) {
        const int64_t rows = tensor(p, p->node.src[i])->shape.dim[0];
        const int64_t n = most(least(p->what->n_source, rows), 1);
        LP_TRY(read_state(p, p->node.src[i], 0, n, &p->call.src[i]));
    }
    if (neighbour >= 0 && neighbour < p->all_t)
        return read_result(p, neighbour, &p->call.src[START]);
    if (from == LP_NONE)
        return LP_OK;
    const int64_t rows = later ? least(p->what->position, tensor(p, from)->shape.dim[0]) : 1;
    return read_state(p, from, rows - 1, 1, &p->call.src[START]);
}

/* A source that does not go by tokens: rows [row, row + n) of it. */
static lp_status read_rows(part *p, lp_tensor_id id, int64_t row, int64_t n, lp_view *view)
{
    const lp_tensor *t = tensor(p, id);
    if (t->slot == LP_NONE) {
        float *x;
        LP_TRY(read_activation(p, id, &x));
        *view = (lp_view){x, LP_F32, t->shape, (uint64_t)lp_shape_row(t->shape)};
    } else if (p->what->graph->store->slots[t->slot].data != NULL) {
        *view = file_view(p, id);
    } else {
        return read_state(p, id, row, n, view);
    }
    view->data = (char *)view->data + (uint64_t)row * view->stride * lp_dtype_table[t->dtype].bytes;
    view->shape.dim[0] = n;
    return LP_OK;
}

/* Rows of a block type as f32, which they are exactly: heads begin within a block. */
static lp_status unpack_blocks(part *p, lp_view *rows)
{
    const uint64_t row = (uint64_t)lp_shape_row(rows->shape);
    const uint64_t row_bytes = lp_state_bytes(rows->dtype, rows->stride);
    if (lp_dtype_table[rows->dtype].block == 1)
        return LP_OK;
    float *x = take(p, (uint64_t)lp_shape_elements(rows->shape), sizeof *x);
    if (x == NULL)
        return no_memory(p);
    for (uint64_t i = 0; i < (uint64_t)rows->shape.dim[0] * row; i++)
        x[i] = lp_state_quant((const uint8_t *)rows->data + i / row * row_bytes, rows->stride,
                              i % row);
    *rows = (lp_view){x, LP_F32, rows->shape, row};
    return LP_OK;
}

/* By how much the cursor must be shifted where the keys before `first` are left out. */
static int64_t shift_of(const lp_node *node, int64_t first)
{
    return node->p.attention.mask == LP_MASK_BLOCKS
               ? first / node->p.attention.block * node->p.attention.stride
               : first;
}

/* All rows that a part of the tokens may see, and no others: what stands behind the last one may be
 * anything. The cursor is shifted by the rows before the first one: a multiple of the chunk's
 * length, and 0 where a mask counts from the beginning of the text; or by the tokens that see them.
 */
static lp_status prepare_attention(part *p)
{
    enum {
        BIAS = 4,
        SINKS,
        LENGTHS,
        CONVERSION = 4
    }; /* an f16 element, or one of a block, costs several multiply-adds */
    const lp_shape q = tensor(p, p->node.src[0])->shape;
    const lp_shape k = tensor(p, p->node.src[1])->shape, v = tensor(p, p->node.src[2])->shape;
    const int64_t position = p->what->position;
    int64_t groups = k.dim[1], heads = q.dim[1] / groups, first, end, last;
    lp_attention_range(&p->node, p->cursor, position + q.dim[0] - 1, &first, &end);
    int64_t each = CONVERSION * heads * most(end - first, 1) * (2 * k.dim[2] + v.dim[2]);
    choose_tokens(p, q.dim[0], least(4, (int64_t)p->what->budget / each));
    int64_t n_g = least(groups, most((int64_t)p->what->budget / (each * p->n_t), 1));
    int64_t g0 = pick(p, 2, groups - n_g + 1);

    lp_attention_range(&p->node, p->cursor, position + p->t0, &first, &last);
    lp_attention_range(&p->node, p->cursor, position + p->t0 + p->n_t - 1, &last, &end);
    const int64_t n_seen = most(end - first, 0), rows = most(n_seen, 1);
    first = least(first, k.dim[0] - rows); /* if no key is seen, any row will do */
    p->node.p.attention.kv_max = (int32_t)n_seen;
    p->node.p.attention.from_source = false;
    set_cursor(p, 3, position + p->t0 - shift_of(&p->node, first));
    float *x;
    LP_TRY(read_activation(p, p->node.src[0], &x));
    p->call.src[0] = tokens_of(p, x, q);
    p->call.src[0].data = (float *)p->call.src[0].data + g0 * heads * q.dim[2];
    p->call.src[0].shape.dim[1] = n_g * heads;
    for (int i = 1; i <= 2; i++) {
        lp_view *cache = &p->call.src[i];
        LP_TRY(read_rows(p, p->node.src[i], first, rows, cache));
        LP_TRY(unpack_blocks(p, cache));
        cache->data = (char *)cache->data +
                      lp_state_bytes(cache->dtype, (uint64_t)(g0 * cache->shape.dim[2]));
        cache->shape.dim[1] = n_g;
    }
    for (int i = BIAS; i <= SINKS; i++) /* of the heads */
        if (p->node.src[i] != LP_NONE)
            LP_TRY(read_rows(p, p->node.src[i], g0 * heads, n_g * heads, &p->call.src[i]));
    const int64_t period = p->node.p.attention.period;
    if (p->node.src[LENGTHS] != LP_NONE)
        LP_TRY(read_rows(p, p->node.src[LENGTHS], first / period, (rows + period - 1) / period,
                         &p->call.src[LENGTHS]));
    p->first = g0 * heads * v.dim[2];
    p->n = n_g * heads * v.dim[2];
    return LP_OK;
}

static lp_status prepare_embed(part *p)
{
    enum { CURSOR = 1, HISTORY };
    LP_TRY(plain_sources(p));
    int64_t position = p->what->position + p->t0;
    if (p->node.src[HISTORY] != LP_NONE) {
        LP_TRY(read_state(p, p->node.src[HISTORY], position, p->n_t, &p->call.src[HISTORY]));
        position = 0;
    }
    set_cursor(p, CURSOR, position);
    return LP_OK;
}

/* ---- Comparing ----------------------------------------------------------------------------- */

/* Output d, which is an activation. sigma NULL: single operations, rounded exactly. */
static lp_status compare_activation(part *p, int d, const float *sigma, lp_recomputed *result)
{
    const lp_tensor *t = tensor(p, p->node.dst[d]);
    uint64_t n = (uint64_t)(p->n_t * p->rows_per_t * p->n), row = (uint64_t)lp_shape_row(t->shape);
    const uint64_t row0 = (uint64_t)(p->t0 * p->rows_per_t);
    float *all, *got = take(p, n, sizeof *got), *flushed = take(p, n, sizeof *flushed);
    if (got == NULL || flushed == NULL)
        return no_memory(p);
    LP_TRY(read_activation(p, p->node.dst[d], &all));
    for (uint64_t i = 0; i < n; i++) {
        uint64_t token = i / (uint64_t)p->n, column = i % (uint64_t)p->n;
        got[i] = all[(row0 + token) * row + (uint64_t)p->first + column * (uint64_t)p->step];
        flushed[i] = FLT_MIN; /* a subnormal result may be 0 on a device */
    }
    result->shape = t->shape;
    result->difference = lp_compare(p->call.dst[d].data, got, sigma != NULL ? sigma : flushed, n);
    uint64_t worst = result->difference.worst;
    result->element = (row0 + worst / (uint64_t)p->n) * row + (uint64_t)p->first +
                      worst % (uint64_t)p->n * (uint64_t)p->step;
    return LP_OK;
}

/* Runs the op and compares what it computes. */
static lp_status run_activation(part *p, lp_recomputed *result)
{
    const lp_tensor *y = tensor(p, p->node.dst[0]);
    uint64_t n = (uint64_t)(p->n_t * p->rows_per_t * p->n);
    float *sigma = take(p, n, sizeof *sigma);
    lp_shape shape = y->shape;
    shape.dim[0] = p->n_t * p->rows_per_t;
    if (p->node.op == LP_OP_ATTENTION)
        shape.dim[1] = p->n / shape.dim[2];
    else if (p->node.op == LP_OP_LINEAR)
        shape.dim[1] = p->n;
    for (int d = 0; d < LP_MAX_DST; d++)
        if (p->node.dst[d] != LP_NONE)
            p->call.dst[d] = (lp_view){take(p, n, sizeof(float)), LP_F32, shape, (uint64_t)p->n};
    if (sigma == NULL || p->call.dst[0].data == NULL ||
        (p->node.dst[1] != LP_NONE && p->call.dst[1].data == NULL))
        return no_memory(p);
    p->call.sigma = sigma;
    LP_TRY(lp_op_table[p->node.op].cpu(&p->call));
    LP_TRY(compare_activation(p, 0, sigma, result));
    if (p->node.dst[1] != LP_NONE && lp_recomputed_agrees(result)) {
        lp_recomputed second = {0}; /* a norm's sum with the residual */
        LP_TRY(compare_activation(p, 1, NULL, &second));
        if (!lp_recomputed_agrees(&second))
            *result = second;
    }
    return LP_OK;
}

/* Words that must be equal; the worst element is the first that is not. */
static void compare_words(const lp_tensor *slot, const int32_t *expected, const int32_t *got,
                          uint64_t n, uint64_t from, lp_recomputed *result)
{
    lp_difference *d = &result->difference;
    for (uint64_t i = 0; i < n; i++) {
        if (expected[i] == got[i] || d->largest > 0)
            continue;
        d->largest = d->mean_square = INFINITY;
        d->expected = expected[i];
        d->got = got[i];
        d->worst = i;
        result->element = from + i;
        result->slot = slot->name;
        result->shape = slot->shape;
    }
    d->n += n;
}

/* The rows that were written to a cache: rounding is exact. */
static lp_status run_kv_write(part *p, lp_recomputed *result)
{
    const lp_tensor *cache = tensor(p, p->node.dst[0]);
    const int64_t position = p->what->position + p->t0, n = p->n_t * p->n;
    float *expected = take(p, (uint64_t)n, sizeof *expected),
          *got = take(p, (uint64_t)n, sizeof *got);
    if (expected == NULL || got == NULL)
        return no_memory(p);
    lp_view have, want;
    LP_TRY(plain_sources(p));
    LP_TRY(read_state(p, p->node.dst[0], position, p->n_t, &have));
    want = have;
    want.data = take(p, (uint64_t)p->n_t, lp_state_bytes(have.dtype, have.stride));
    if (want.data == NULL)
        return no_memory(p);
    set_cursor(p, 1, 0);
    p->call.dst[0] = want;
    LP_TRY(lp_op_table[p->node.op].cpu(&p->call));
    lp_state_load(have.dtype, want.data, (uint64_t)p->n, (uint64_t)p->n_t, expected);
    lp_state_load(have.dtype, have.data, (uint64_t)p->n, (uint64_t)p->n_t, got);
    result->difference = lp_compare(expected, got, NULL, (uint64_t)n);
    result->slot = cache->name;
    result->shape = cache->shape;
    result->element = (uint64_t)position * (uint64_t)p->n + result->difference.worst;
    return LP_OK;
}

/* The cursor as the device left it. */
static lp_status compare_cursor(part *p, lp_tensor_id id, lp_recomputed *result)
{
    lp_view have;
    LP_TRY(read_state(p, id, 0, LP_CURSOR_WORDS, &have));
    compare_words(tensor(p, id), p->cursor, have.data, LP_CURSOR_WORDS, 0, result);
    return LP_OK;
}

/* The token: drawn again from the device's own logits. */
static lp_status run_sample(part *p, lp_recomputed *result)
{
    enum { LOGITS, SETTINGS };
    const lp_tensor *history = tensor(p, p->node.dst[0]);
    const int64_t size = history->shape.dim[0] - 1, n_vocab = p->n;
    const int64_t end = p->what->position + p->node.p.cursor.advance;
    lp_view have;
    LP_TRY(plain_sources(p));
    LP_TRY(read_state(p, p->node.src[SETTINGS], 0, LP_SAMPLER_WORDS, &p->call.src[SETTINGS]));
    const int32_t *settings = p->call.src[SETTINGS].data;
    int64_t from = most(end - most(settings[LP_SAMPLER_WINDOW], 0), 0);
    if (end < 0 || end >= size)
        return LP_OK; /* a token that is not there */
    LP_TRY(read_state(p, p->node.dst[0], from, end - from + 1, &have));
    int32_t *got = have.data, *tokens = take(p, (uint64_t)(end - from + 2), sizeof *tokens);
    float *scratch = take(p, (uint64_t)(2 * n_vocab), sizeof *scratch);
    if (tokens == NULL || scratch == NULL)
        return no_memory(p);
    memcpy(tokens, got, (size_t)(end - from) * sizeof *tokens);
    p->cursor[LP_CURSOR_POSITION] = (int32_t)(p->what->position - from);
    p->call.dst[0] = (lp_view){tokens, LP_I32, LP_SHAPE1(end - from + 2), 1};
    p->call.dst[1] = (lp_view){p->cursor, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1};
    p->call.dst[2] = (lp_view){scratch, LP_F32, LP_SHAPE2(2, n_vocab), (uint64_t)n_vocab};
    LP_TRY(lp_op_table[p->node.op].cpu(&p->call));
    compare_words(history, tokens + (end - from), got + (end - from), 1, (uint64_t)end, result);
    p->cursor[LP_CURSOR_POSITION] += (int32_t)from;
    return compare_cursor(p, p->node.dst[1], result);
}

static lp_status run(part *p, lp_recomputed *result)
{
    const lp_node *node = &p->node;
    const lp_tensor *y = node->dst[0] != LP_NONE ? tensor(p, node->dst[0]) : NULL;
    const lp_tensor *x = node->src[0] != LP_NONE ? tensor(p, node->src[0]) : NULL;
    /* Whole rows of as many tokens as the budget allows, unless the op says otherwise below. */
    const lp_tensor *rows = node->op == LP_OP_KV_WRITE || node->op == LP_OP_SAMPLE ? x : y;
    p->n = lp_shape_row(rows->shape);
    p->step = p->rows_per_t = 1;
    choose_tokens(p, rows->shape.dim[0], least(16, (int64_t)p->what->budget / p->n));
    switch (node->op) {
    case LP_OP_LINEAR:
        LP_TRY(prepare_linear(p));
        break;
    case LP_OP_ATTENTION:
        LP_TRY(prepare_attention(p));
        break;
    case LP_OP_EMBED:
        LP_TRY(prepare_embed(p));
        break;
    case LP_OP_ROUTE:
        LP_TRY(prepare_route(p));
        break;
    case LP_OP_ROPE:
        LP_TRY(plain_sources(p));
        set_cursor(p, 1, p->what->position + p->t0);
        break;
    case LP_OP_RECURRENCE:
        LP_TRY(prepare_recurrence(p));
        break;
    case LP_OP_GATED:
        LP_TRY(prepare_gated(p));
        break;
    case LP_OP_CONV2D:
    case LP_OP_GROUP_NORM: /* a pixel depends on others: all of them are one part */
        choose_tokens(p, 1, 1);
        p->rows_per_t = rows->shape.dim[0];
        LP_TRY(plain_sources(p));
        break;
    case LP_OP_KV_WRITE:
        return run_kv_write(p, result);
    case LP_OP_SAMPLE:
        return run_sample(p, result);
    case LP_OP_ADVANCE:
        p->call.dst[0] = (lp_view){p->cursor, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1};
        LP_TRY(lp_op_table[node->op].cpu(&p->call));
        return compare_cursor(p, node->dst[0], result);
    default:
        LP_TRY(plain_sources(p));
    }
    return run_activation(p, result);
}

lp_status lp_recompute_cursor(const lp_recompute *what, lp_recomputed *result)
{
    part p = {.what = what, .node = what->graph->nodes[what->node]};
    const bool draws = p.node.op == LP_OP_SAMPLE;
    *result = (lp_recomputed){0};
    p.cursor[LP_CURSOR_POSITION] = (int32_t)what->position + p.node.p.cursor.advance;
    p.cursor[LP_CURSOR_DRAWS] = (int32_t)(what->draws + draws);
    p.cursor[LP_CURSOR_SOURCE] = (int32_t)what->n_source;
    p.cursor[LP_CURSOR_BLANK] = (int32_t)what->blank;
    lp_status status = compare_cursor(&p, p.node.dst[draws ? 1 : 0], result);
    lp_arena_destroy(&p.arena);
    return status;
}

bool lp_recomputed_agrees(const lp_recomputed *result)
{
    enum { FEW = 64 };
    if (result->difference.n < FEW)
        return result->difference.largest <= LP_SIGMA_LARGEST;
    return lp_difference_agrees(&result->difference);
}

lp_status lp_recompute_node(const lp_recompute *what, lp_recomputed *result)
{
    part p = {.what = what, .node = what->graph->nodes[what->node]};
    *result = (lp_recomputed){0};
    p.call = (lp_cpu_call){.ctx = what->ctx, .graph = what->graph, .node = &p.node};
    p.cursor[LP_CURSOR_POSITION] = (int32_t)what->position;
    p.cursor[LP_CURSOR_DRAWS] = (int32_t)what->draws;
    p.cursor[LP_CURSOR_SOURCE] = (int32_t)what->n_source;
    p.cursor[LP_CURSOR_BLANK] = (int32_t)what->blank;
    lp_status status = run(&p, result);
    lp_arena_destroy(&p.arena);
    return status;
}
