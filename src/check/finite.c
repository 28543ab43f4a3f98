/* Where NaN and infinity come from: see finite.h. This runs when something is wrong already, so it
 * may read whole caches and allocate. */
#include "check/finite.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "check/recompute.h"
#include "ops/ops.h"

/* First element that is not finite; n if all are. */
static uint64_t first_bad(const float *x, uint64_t n)
{
    uint64_t i = 0;
    while (i < n && isfinite(x[i]))
        i++;
    return i;
}

static const char *kind(float x)
{
    return isnan(x) ? "nan" : x > 0 ? "inf" : "-inf";
}

const char *lp_kernel_names(const lp_backend *backend, const lp_program *program, uint32_t node,
                            char *text, size_t size)
{
    const char *last = NULL;
    size_t n = 0;
    text[0] = '\0';
    if (backend->table->program_plan == NULL)
        return text;
    const lp_plan *plan = backend->table->program_plan(program);
    for (uint32_t i = 0; i < plan->n_dispatches && n < size; i++) {
        const char *name = plan->dispatches[i].kernel->name;
        if (plan->dispatches[i].node != node || (last != NULL && strcmp(last, name) == 0))
            continue;
        n += (size_t)snprintf(text + n, size - n, "%s%s", last ? " + " : "kernel ", name);
        last = name;
    }
    return text;
}

/* ---- Caches -------------------------------------------------------------------------------- */

/* Rows [first, first + n) of a cache as f32, malloc'ed. */
static lp_status cache_rows(lp_backend *backend, const lp_tensor *cache, uint32_t first, uint32_t n,
                            float **rows)
{
    const uint64_t row = (uint64_t)lp_shape_row(cache->shape);
    const uint64_t row_bytes = lp_state_bytes(cache->dtype, cache->stride);
    lp_status status = LP_OK;
    void *bytes = malloc(n * row_bytes + 1);
    *rows = malloc(n * row * sizeof **rows + 1);
    if (*rows == NULL || bytes == NULL) {
        status = lp_fail_memory(backend->ctx, "looking for NaN");
        goto cleanup;
    }
    LP_CHECK(
        backend->table->slot_read(backend, cache->slot, first * row_bytes, bytes, n * row_bytes));
    lp_state_load(cache->dtype, bytes, row, n, *rows);
cleanup:
    free(bytes);
    if (status != LP_OK) {
        free(*rows);
        *rows = NULL;
    }
    return status;
}

lp_status lp_finite_caches(lp_backend *backend, const lp_graph *graph, uint32_t n, uint32_t *first)
{
    enum { AT_ONCE = 64 };
    *first = n;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i].op != LP_OP_KV_WRITE)
            continue;
        const lp_tensor *cache = &graph->tensors[graph->nodes[i].dst[0]];
        uint64_t row = (uint64_t)lp_shape_row(cache->shape);
        for (uint32_t at = 0; at < *first; at += AT_ONCE) {
            uint32_t rows = *first - at < AT_ONCE ? *first - at : AT_ONCE;
            float *x;
            LP_TRY(cache_rows(backend, cache, at, rows, &x));
            uint64_t bad = first_bad(x, rows * row);
            free(x);
            if (bad < rows * row) {
                *first = at + (uint32_t)(bad / row);
                break;
            }
        }
    }
    return LP_OK;
}

/* ---- Nodes --------------------------------------------------------------------------------- */

typedef struct search {
    lp_backend *backend;
    lp_program *program;
    const lp_graph *graph;
    uint32_t position, node;
    uint32_t n_source, blank; /* of the cursor */
} search;

/* What a node left in output `d`, malloc'ed, as f32; NULL if it is no business of ours (the cursor,
 * the history, scratch). *shape: of what was read. */
static lp_status output(const search *s, int d, float **x, lp_shape *shape)
{
    const lp_node *node = &s->graph->nodes[s->node];
    *x = NULL;
    if (node->dst[d] == LP_NONE || node->op == LP_OP_SAMPLE)
        return LP_OK;
    const lp_tensor *t = &s->graph->tensors[node->dst[d]];
    *shape = t->shape;
    if (t->slot == LP_NONE) {
        *x = malloc((size_t)lp_shape_elements(t->shape) * sizeof **x);
        if (*x == NULL)
            return lp_fail_memory(s->backend->ctx, "looking for NaN");
        return s->backend->table->tensor_read(s->program, node->dst[d], *x);
    }
    if (node->op != LP_OP_KV_WRITE)
        return LP_OK;
    shape->dim[0] = s->graph->tensors[node->src[0]].shape.dim[0];
    int64_t left = t->shape.dim[0] - (int64_t)s->position;
    if (shape->dim[0] > left)
        shape->dim[0] = left > 0 ? left : 0;
    return cache_rows(s->backend, t, s->position, (uint32_t)shape->dim[0], x);
}

/* The expert that made row `row` of the node's output; 0 without experts. */
static lp_status expert_of(const search *s, uint64_t row, int64_t *expert)
{
    const lp_node *node = &s->graph->nodes[s->node];
    *expert = 0;
    if (node->op != LP_OP_LINEAR || node->src[6] == LP_NONE)
        return LP_OK;
    const lp_shape shape = s->graph->tensors[node->src[6]].shape;
    const uint64_t n = (uint64_t)shape.dim[1];
    float *routes = malloc((size_t)lp_shape_elements(shape) * sizeof *routes);
    if (routes == NULL)
        return lp_fail_memory(s->backend->ctx, "looking for NaN");
    lp_status status = s->backend->table->tensor_read(s->program, node->src[6], routes);
    const lp_view view = {routes, LP_F32, shape, 2 * n};
    if (status == LP_OK)
        *expert = lp_route_expert(&view, (int64_t)(row / n), (int64_t)(row % n),
                                  s->graph->tensors[node->src[1]].shape.dim[0]);
    free(routes);
    return status;
}

/* The row of a weight that element `at` of an output [.., n] comes from, counted through all
 * experts; its element in a vector. */
static lp_status weight_row(const search *s, int src, uint64_t at, uint64_t n, int64_t *row)
{
    const lp_node *node = &s->graph->nodes[s->node];
    int64_t expert;
    LP_TRY(expert_of(s, at / n, &expert));
    *row = expert * (int64_t)n + (int64_t)(at % n);
    if (node->op != LP_OP_EMBED)
        return LP_OK;
    const uint64_t place = s->position + at / n;
    int32_t id = (int32_t)place + node->p.embed.first;
    if (node->src[2] != LP_NONE)
        LP_TRY(s->backend->table->slot_read(s->backend, s->graph->tensors[node->src[2]].slot,
                                            4 * place, &id, 4));
    int64_t rows = s->graph->tensors[node->src[src]].shape.dim[0];
    *row = id < 0 ? 0 : id < rows ? id : rows - 1;
    return LP_OK;
}

/* Says what the reference makes of the same inputs, if that is one token: is it the device, or
 * numbers that are too large for the model's arithmetic? */
static lp_status describe_reference(const search *s, lp_text *text)
{
    lp_recompute what = {.ctx = s->backend->ctx,
                         .backend = s->backend,
                         .program = s->program,
                         .graph = s->graph,
                         .node = s->node,
                         .position = s->position,
                         .n_source = s->n_source,
                         .blank = s->blank,
                         .budget = INT64_MAX};
    lp_recomputed result;
    if (s->graph->n_tokens != 1)
        return LP_OK;
    LP_TRY(lp_recompute_node(&what, &result));
    if (lp_recomputed_agrees(&result))
        lp_text_printf(text, ", and the CPU reference makes the same of them");
    else
        lp_text_printf(text, ", and the CPU reference makes %.9g of them",
                       result.difference.expected);
    return LP_OK;
}

/* Rows of a state that an earlier run left and the node reads: what this run wrote was looked at
 * already. */
static uint32_t rows_before(const search *s, int src)
{
    enum { GATED_START = 4, GATED_KEYS, GATED_VALUES, RECURRENCE_START = 5, LENGTHS };
    const lp_node *node = &s->graph->nodes[s->node];
    const bool gated = node->op == LP_OP_GATED;
    if (node->op == LP_OP_ATTENTION && node->src[LENGTHS] != LP_NONE)
        return 0; /* of neighbours: which rows there are, the lengths say */
    if (gated && src == GATED_START)
        return 1;
    if ((node->op == LP_OP_ATTENTION && node->p.attention.from_source) ||
        (gated && (src == GATED_KEYS || src == GATED_VALUES)) ||
        (node->op == LP_OP_RECURRENCE && src == RECURRENCE_START))
        return s->n_source;
    return s->position;
}

/* Says which cache holds NaN or infinity, if one does that the node reads. */
static lp_status describe_caches(const search *s, lp_text *text, bool *found)
{
    const lp_node *node = &s->graph->nodes[s->node];
    *found = false;
    for (int i = 0; i < LP_MAX_SRC && !*found; i++) {
        const lp_tensor *t = node->src[i] != LP_NONE ? &s->graph->tensors[node->src[i]] : NULL;
        if (t == NULL || t->slot == LP_NONE || t->dtype == LP_I32 ||
            s->graph->store->slots[t->slot].kind != LP_SLOT_STATE)
            continue;
        const uint64_t row = (uint64_t)lp_shape_row(t->shape);
        uint32_t n = rows_before(s, i);
        n = n < t->shape.dim[0] ? n : (uint32_t)t->shape.dim[0];
        float *x;
        LP_TRY(cache_rows(s->backend, t, 0, n, &x));
        const uint64_t bad = first_bad(x, n * row);
        *found = bad < n * row;
        if (*found)
            lp_text_printf(text, "%s, which it reads, holds %s at [%" PRIu64 ", %" PRIu64 "]",
                           t->name, kind(x[bad]), bad / row, bad % row);
        free(x);
    }
    return LP_OK;
}

/* Says what of a weight is not finite, if something is: of its rows [row, row + n_rows). */
static lp_status describe_weight(const search *s, const lp_tensor *t, int64_t row, int64_t n_rows,
                                 int64_t columns, lp_text *text, bool *found)
{
    /* of the slot: biases of experts are one long vector in it */
    const lp_shape shape = s->graph->store->slots[t->slot].shape;
    const lp_dtype_info *info = &lp_dtype_table[t->dtype];
    const char *data = s->graph->store->slots[t->slot].data;
    float *x = malloc((size_t)columns * sizeof *x);
    if (x == NULL)
        return lp_fail_memory(s->backend->ctx, "looking for NaN");
    *found = false;
    for (const int64_t end = row + n_rows; row < end && !*found; row++) {
        const uint64_t first = ((uint64_t)(row * columns) + t->offset) / info->block * info->bytes;
        info->to_f32(data + first, x, (size_t)columns);
        const int64_t bad = (int64_t)first_bad(x, (uint64_t)columns);
        *found = bad < columns;
        if (!*found)
            continue;
        lp_text_printf(text, "the model's %s holds %s at [", t->name, kind(x[bad]));
        if (shape.n == 3) /* expert, row, column */
            lp_text_printf(text, "%" PRId64 ", ", row / shape.dim[1]);
        if (shape.n > 1)
            lp_text_printf(text, "%" PRId64 ", ", shape.n == 3 ? row % shape.dim[1] : row);
        lp_text_printf(text, "%" PRId64 "]", shape.n > 1 ? bad : row + bad);
    }
    free(x);
    return LP_OK;
}

/* Says whether the weights that made element `at` are finite in the model's file. */
static lp_status describe_weights(const search *s, uint64_t at, uint64_t n, lp_text *text,
                                  bool *found)
{
    const lp_node *node = &s->graph->nodes[s->node];
    *found = false;
    for (int i = 0; i < LP_MAX_SRC && !*found; i++) {
        const lp_tensor *t = node->src[i] != LP_NONE ? &s->graph->tensors[node->src[i]] : NULL;
        if (t == NULL || t->slot == LP_NONE ||
            s->graph->store->slots[t->slot].kind != LP_SLOT_WEIGHT)
            continue;
        const lp_shape shape = s->graph->store->slots[t->slot].shape;
        const int64_t all = lp_shape_elements(shape);
        int64_t row = 0, n_rows = 1, columns = shape.n > 1 ? shape.dim[shape.n - 1] : 1;
        if (node->op == LP_OP_GATED) /* any row may have made any element */
            n_rows = all / columns;
        else if (node->op == LP_OP_ROUTE) /* any of the selection bias */
            columns = shape.dim[0];
        else
            LP_TRY(weight_row(s, i, at, n, &row));
        if (row >= 0 && row < all / columns)
            LP_TRY(describe_weight(s, t, row, n_rows, columns, text, found));
    }
    return LP_OK;
}

/* Says where element `at` of rows of n comes from: another run, the model, or this node. */
static lp_status describe_origin(const search *s, uint64_t at, uint64_t n, lp_text *text)
{
    bool found;
    LP_TRY(describe_caches(s, text, &found));
    if (!found)
        LP_TRY(describe_weights(s, at, n, text, &found));
    if (found)
        return LP_OK;
    lp_text_printf(text, "its inputs and weights are finite");
    return describe_reference(s, text);
}

static lp_status describe(const search *s, float value, uint64_t at, lp_shape shape, char *to,
                          size_t size)
{
    const char *device = s->backend->name;
    char dims[96], kernels[128];
    int64_t index[LP_MAX_DIMS];
    uint64_t rest = at;
    lp_text text = {0};
    for (int i = shape.n; i-- > 0; rest /= (uint64_t)shape.dim[i])
        index[i] = (int64_t)(rest % (uint64_t)shape.dim[i]);
    lp_text_printf(&text, "%s: element ", s->graph->nodes[s->node].name);
    for (int i = 0; i < shape.n; i++)
        lp_text_printf(&text, "%s%" PRId64, i ? ", " : "[", index[i]);
    lp_text_printf(&text, "] of %s is %s on %s", lp_shape_print(shape, dims), kind(value), device);
    if (*lp_kernel_names(s->backend, s->program, s->node, kernels, sizeof kernels))
        lp_text_printf(&text, " (%s)", kernels);
    lp_text_printf(&text, "; ");
    lp_status status = describe_origin(s, at, (uint64_t)lp_shape_row(shape), &text);
    char *line = lp_text_take(&text);
    if (line == NULL)
        return lp_fail_memory(s->backend->ctx, "a message");
    if (status == LP_OK)
        snprintf(to, size, "%s", line);
    free(line);
    return status;
}

lp_status lp_finite_find(lp_program *program, lp_backend *backend, const lp_graph *graph,
                         uint32_t position, char *text, size_t size, bool *found)
{
    search s = {.backend = backend, .program = program, .graph = graph, .position = position};
    lp_status status = LP_OK;
    const uint32_t slot = lp_store_find(graph->store, "cursor");
    if (slot != UINT32_MAX) {
        int32_t cursor[LP_CURSOR_WORDS];
        LP_TRY(backend->table->slot_read(backend, slot, 0, cursor, sizeof cursor));
        s.n_source = (uint32_t)cursor[LP_CURSOR_SOURCE];
        s.blank = (uint32_t)cursor[LP_CURSOR_BLANK];
    }
    *found = false;
    for (s.node = 0; s.node < graph->n_nodes && !*found && status == LP_OK; s.node++)
        for (int d = 0; d < LP_MAX_DST && !*found && status == LP_OK; d++) {
            float *x;
            lp_shape shape;
            status = output(&s, d, &x, &shape);
            if (status == LP_OK && x != NULL) {
                uint64_t n = (uint64_t)lp_shape_elements(shape), at = first_bad(x, n);
                *found = at < n;
                if (*found)
                    status = describe(&s, x[at], at, shape, text, size);
            }
            free(x);
        }
    return status;
}
