/* The op table's machinery: see op_table.h. */
#include "check/op_table.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

lp_case *lp_case_add(lp_case_table *table, lp_op op,
                     void (*build)(lp_case_build *c, const int64_t *arg), const char *format, ...)
{
    lp_case *row = &table->spare;
    if (table->n == table->capacity) {
        const int capacity = table->capacity ? 2 * table->capacity : 256;
        lp_case *more = realloc(table->cases, (size_t)capacity * sizeof *more);
        if (more == NULL) {
            table->failed = true;
        } else {
            table->cases = more;
            table->capacity = capacity;
        }
    }
    if (!table->failed)
        row = &table->cases[table->n++];
    *row = (lp_case){.op = op, .gate = LP_CASE_FP32, .n_tokens = 1, .build = build};
    va_list args;
    va_start(args, format);
    vsnprintf(row->name, sizeof row->name, format, args);
    va_end(args);
    return row;
}

/* splitmix64: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators" */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

float lp_case_uniform(lp_case_build *c)
{
    return (float)(next(&c->random) >> 40) * 0x1p-23f - 1;
}

static lp_tensor_id fail(lp_case_build *c, lp_status status)
{
    if (c->b->status == LP_OK)
        c->b->status = status;
    return LP_NONE;
}

static void *room(lp_case_build *c, uint64_t bytes)
{
    void *memory = c->b->status == LP_OK ? calloc(1, bytes + 1) : NULL;
    if (memory == NULL)
        fail(c, lp_fail_memory(c->b->ctx, "the op table"));
    return memory;
}

static float *fill(lp_case_build *c, int64_t n, lp_case_fill rule)
{
    float *values = room(c, (uint64_t)n * sizeof *values);
    for (int64_t i = 0; values != NULL && i < n; i++)
        values[i] = rule.offset + rule.scale * lp_case_uniform(c);
    return values;
}

static const char *unique(lp_case_build *c, const char *what)
{
    snprintf(c->name, sizeof c->name, "%s/%s%d", c->row->name, what, c->row->n_names++);
    return c->name;
}

/* Takes `data` over. */
static lp_tensor_id keep(lp_case_build *c, lp_case_tensor *list, int *n, lp_tensor_id id,
                         uint64_t bytes, void *data)
{
    if (*n == LP_CASE_MAX_TENSORS)
        fail(c, lp_fail(c->b->ctx, LP_E_LIMIT, "%s: more than %d tensors", c->row->name, *n));
    if (c->b->status != LP_OK) {
        free(data);
        return LP_NONE;
    }
    list[(*n)++] = (lp_case_tensor){.id = id, .bytes = bytes, .data = data};
    return id;
}

lp_tensor_id lp_case_input(lp_case_build *c, lp_shape shape, lp_case_fill rule)
{
    const int64_t n = lp_shape_elements(shape);
    const lp_tensor_id id = lp_input(c->b, unique(c, "input"), shape);
    return keep(c, c->row->inputs, &c->row->n_inputs, id, (uint64_t)n * 4, fill(c, n, rule));
}

lp_tensor_id lp_case_input_view(lp_case_build *c, int64_t rows, int64_t n, int64_t first,
                                int64_t width, lp_case_fill rule)
{
    const lp_tensor_id wide = lp_input(c->b, unique(c, "input"), LP_SHAPE2(rows, width));
    float *values = fill(c, rows * width, rule);
    for (int64_t i = 0; values != NULL && i < rows * width; i++)
        if (i % width < first || i % width >= first + n)
            values[i] = NAN;
    keep(c, c->row->inputs, &c->row->n_inputs, wide, (uint64_t)(rows * width) * 4, values);
    return lp_view_columns(c->b, wide, first, n);
}

void lp_case_weight_data(lp_case_build *c, lp_dtype dtype, lp_shape shape, lp_case_fill rule)
{
    const int64_t n = lp_shape_elements(shape), bytes = lp_dtype_file_bytes(dtype, shape);
    const char *name = unique(c, "weight");
    if (bytes < 0) {
        fail(c, lp_fail(c->b->ctx, LP_E_SHAPE, "%s: rows of part of a block", name));
        return;
    }
    float *values = fill(c, n, rule);
    lp_file memory = {0}; /* not malloc: loading a device gives the pages of weights back */
    if (values != NULL)
        fail(c, lp_file_memory(c->b->ctx, (size_t)bytes, name, &memory));
    if (c->b->status != LP_OK) {
        free(values);
        return;
    }
    void *data = (void *)(uintptr_t)memory.data;
    lp_dtype_table[dtype].from_f32(values, data, (size_t)n);
    free(values);
    fail(c, lp_weights_own_file(c->b->ctx, c->table->weights, &memory));
    lp_file_close(&memory); /* of no effect if it is owned now */
    const lp_weight weight = {
        .name = name, .dtype = dtype, .shape = shape, .data = data, .bytes = (uint64_t)bytes};
    if (c->b->status == LP_OK)
        fail(c, lp_weights_add(c->b->ctx, c->table->weights, &weight));
}

lp_tensor_id lp_case_weight(lp_case_build *c, lp_dtype dtype, lp_shape shape, lp_case_fill rule)
{
    lp_case_weight_data(c, dtype, shape, rule);
    return lp_weight_tensor(c->b, shape, "%s", c->name);
}

lp_tensor_id lp_case_state(lp_case_build *c, lp_dtype dtype, lp_shape shape, const void *data,
                           bool compare)
{
    const uint64_t bytes = (uint64_t)lp_state_size(dtype, shape);
    const lp_tensor_id id =
        lp_state_tensor(c->b, LP_SLOT_STATE, dtype, shape, "%s", unique(c, "state"));
    void *copy = room(c, bytes);
    if (copy != NULL)
        memcpy(copy, data, bytes);
    keep(c, c->row->states, &c->row->n_states, id, bytes, copy);
    if (compare)
        keep(c, c->row->outputs, &c->row->n_outputs, id, bytes, NULL);
    return id;
}

lp_tensor_id lp_case_cache(lp_case_build *c, lp_dtype dtype, lp_shape shape, int64_t valid,
                           bool compare)
{
    const int64_t row = lp_shape_row(shape);
    const uint64_t row_bytes = lp_state_bytes(dtype, lp_state_stride(dtype, (uint64_t)row));
    lp_tensor_id id = LP_NONE;
    float *values = malloc((size_t)row * sizeof *values);
    uint8_t *rows = malloc((size_t)lp_state_size(dtype, shape));
    if (values == NULL || rows == NULL) {
        fail(c, lp_fail_memory(c->b->ctx, "the op table"));
        goto cleanup;
    }
    for (int64_t i = 0; i < shape.dim[0]; i++) {
        for (int64_t k = 0; k < row; k++)
            values[k] = i * row + k < valid ? lp_case_uniform(c) : NAN;
        lp_state_store(dtype, values, (uint64_t)row, rows + (uint64_t)i * row_bytes);
    }
    id = lp_case_state(c, dtype, shape, rows, compare);

cleanup:
    free(values);
    free(rows);
    return id;
}

lp_tensor_id lp_case_heads(lp_case_build *c, int64_t t, int64_t h, int64_t d, bool view,
                           lp_case_fill rule)
{
    lp_tensor_id x = view ? lp_case_input_view(c, t, h * d, 3, h * d + 8, rule)
                          : lp_case_input(c, LP_SHAPE2(t, h * d), rule);
    return lp_view_heads(c->b, x, h);
}

lp_tensor_id lp_case_cursor(lp_case_build *c, int32_t position, int32_t draws, bool compare)
{
    int32_t words[LP_CURSOR_WORDS] = {0};
    words[LP_CURSOR_POSITION] = position;
    words[LP_CURSOR_DRAWS] = draws;
    return lp_case_state(c, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), words, compare);
}

lp_node lp_case_node(lp_case_build *c, lp_op op)
{
    lp_node node = {.op = op, .name = lp_arena_strdup(&c->b->graph->arena, c->row->name)};
    if (node.name == NULL)
        fail(c, lp_fail_memory(c->b->ctx, "the op table"));
    for (int i = 0; i < LP_MAX_SRC; i++)
        node.src[i] = LP_NONE;
    for (int i = 0; i < LP_MAX_DST; i++)
        node.dst[i] = LP_NONE;
    return node;
}

void lp_case_emit(lp_case_build *c, lp_node *node)
{
    if (lp_builder_node(c->b, node) != LP_OK)
        return;
    for (int i = 0; i < LP_MAX_DST; i++) {
        if (node->dst[i] == LP_NONE)
            continue;
        lp_tensor *t = &c->b->graph->tensors[node->dst[i]];
        if (t->slot != LP_NONE)
            continue;
        t->output = true;
        keep(c, c->row->outputs, &c->row->n_outputs, node->dst[i],
             (uint64_t)lp_shape_elements(t->shape) * 4, NULL);
    }
}

static lp_status build(lp_case_table *table, lp_case *row, uint64_t seed)
{
    lp_builder b;
    lp_case_build c = {.b = &b, .row = row, .table = table, .random = seed};
    LP_TRY(lp_builder_start(&b, table->ctx, &table->store, table->weights, row->n_tokens));
    row->build(&c, row->arg);
    return lp_builder_finish(&b, true, &row->graph);
}

lp_status lp_case_table_create(lp_context *ctx, lp_case_table **result)
{
    lp_status status = LP_OK;
    lp_case_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return lp_fail_memory(ctx, "the op table");
    table->ctx = ctx;
    table->weights = lp_weights_create();
    lp_cases_dense(table);
    lp_cases_sequence(table);
    lp_cases_attention(table);
    lp_cases_experts(table);
    lp_cases_pictures(table);
    if (table->weights == NULL || table->failed)
        LP_CHECK(lp_fail_memory(ctx, "the op table"));
    for (int i = 0; i < table->n; i++)
        LP_CHECK(build(table, &table->cases[i], (uint64_t)i));

cleanup:
    if (status != LP_OK) {
        lp_case_table_destroy(table);
        table = NULL;
    }
    *result = table;
    return status;
}

void lp_case_table_destroy(lp_case_table *table)
{
    if (table == NULL)
        return;
    for (int i = 0; i < table->n; i++) {
        lp_case *row = &table->cases[i];
        lp_graph_destroy(row->graph);
        for (int k = 0; k < row->n_inputs; k++)
            free(row->inputs[k].data);
        for (int k = 0; k < row->n_states; k++)
            free(row->states[k].data);
    }
    free(table->cases);
    lp_store_destroy(&table->store);
    lp_weights_destroy(table->weights);
    free(table);
}

bool lp_case_compare(const float *expected, const float *got, uint64_t n, lp_case_gate gate,
                     char *why)
{
    double error = 0, square = 0, worst = 0;
    uint64_t at = 0;
    for (uint64_t i = 0; i < n; i++) {
        const double a = (double)expected[i], b = (double)got[i], d = fabs(a - b);
        if (!isfinite(a) || !isfinite(b)) {
            if (a == b || (isnan(a) && isnan(b)))
                continue;
            snprintf(why, 256, "element %llu: want %g, got %g", (unsigned long long)i, a, b);
            return false;
        }
        error += d * d;
        square += a * a;
        if (d > worst) {
            worst = d;
            at = i;
        }
    }
    const double rms = sqrt(square / (double)n), nmse = square > 0 ? error / square : error;
    if (nmse <= gate.nmse && worst <= gate.largest * rms)
        return true;
    snprintf(
        why, 256,
        "NMSE %.3g (gate %.3g), largest error %.3g rms (gate %.3g) at element %llu: want %.9g, "
        "got %.9g",
        nmse, gate.nmse, rms > 0 ? worst / rms : worst, gate.largest, (unsigned long long)at,
        (double)expected[at], (double)got[at]);
    return false;
}
