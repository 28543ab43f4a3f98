// The op table's machinery: see ops_table.h.
#include "ops_table.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
    if (memory == NULL)
        abort(); /* a test without memory has nothing to say */
    return memory;
}

ops_case *ops_case_add(ops_table *table, lp_op op, void (*build)(ops_build *c, const int64_t *arg),
                       const char *format, ...)
{
    if (table->n == table->capacity) {
        table->capacity = table->capacity ? 2 * table->capacity : 256;
        table->cases = must(realloc(table->cases, (size_t)table->capacity * sizeof *table->cases));
    }
    ops_case *row = &table->cases[table->n++];
    *row = (ops_case){.op = op, .gate = OPS_FP32, .n_tokens = 1, .build = build};
    va_list args;
    va_start(args, format);
    vsnprintf(row->name, sizeof row->name, format, args);
    va_end(args);
    return row;
}

// splitmix64: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

float ops_uniform(ops_build *c)
{
    return (float)(next(&c->random) >> 40) * 0x1p-23f - 1;
}

static float *fill(ops_build *c, int64_t n, ops_fill rule)
{
    float *values = must(malloc((size_t)n * sizeof *values));
    for (int64_t i = 0; i < n; i++)
        values[i] = rule.offset + rule.scale * ops_uniform(c);
    return values;
}

static const char *unique(ops_build *c, const char *what)
{
    static char name[128];
    snprintf(name, sizeof name, "%s/%s%d", c->row->name, what, c->row->n_names++);
    return name;
}

static void keep(ops_tensor *list, int *n, lp_tensor_id id, uint64_t bytes, void *data)
{
    if (*n == OPS_MAX_TENSORS)
        abort();
    list[(*n)++] = (ops_tensor){.id = id, .bytes = bytes, .data = data};
}

lp_tensor_id ops_input(ops_build *c, lp_shape shape, ops_fill rule)
{
    const int64_t n = lp_shape_elements(shape);
    lp_tensor_id id = lp_input(c->b, unique(c, "input"), shape);
    keep(c->row->inputs, &c->row->n_inputs, id, (uint64_t)n * 4, fill(c, n, rule));
    return id;
}

lp_tensor_id ops_input_view(ops_build *c, int64_t rows, int64_t n, int64_t first, int64_t width,
                            ops_fill rule)
{
    lp_tensor_id wide = lp_input(c->b, unique(c, "input"), LP_SHAPE2(rows, width));
    float *values = fill(c, rows * width, rule);
    for (int64_t i = 0; i < rows * width; i++)
        if (i % width < first || i % width >= first + n)
            values[i] = NAN;
    keep(c->row->inputs, &c->row->n_inputs, wide, (uint64_t)(rows * width) * 4, values);
    return lp_view_columns(c->b, wide, first, n);
}

lp_tensor_id ops_weight(ops_build *c, lp_dtype dtype, lp_shape shape, ops_fill rule)
{
    const int64_t n = lp_shape_elements(shape), bytes = lp_dtype_file_bytes(dtype, shape);
    if (bytes < 0)
        abort();
    const char *name = unique(c, "weight");
    float *values = fill(c, n, rule);
    lp_file memory; // not malloc: loading a device gives the pages of weights back
    if (lp_file_memory(c->b->ctx, (size_t)bytes, name, &memory) != LP_OK)
        abort();
    void *data = (void *)(uintptr_t)memory.data;
    lp_dtype_table[dtype].from_f32(values, data, (size_t)n);
    free(values);
    if (lp_weights_own_file(c->b->ctx, c->table->weights, &memory) != LP_OK)
        abort();
    const lp_weight weight = {
        .name = name, .dtype = dtype, .shape = shape, .data = data, .bytes = (uint64_t)bytes};
    if (c->b->status == LP_OK)
        c->b->status = lp_weights_add(c->b->ctx, c->table->weights, &weight);
    return lp_weight_tensor(c->b, shape, "%s", name);
}

lp_tensor_id ops_state(ops_build *c, lp_dtype dtype, lp_shape shape, const void *data, bool compare)
{
    const uint64_t bytes = (uint64_t)lp_dtype_file_bytes(dtype, shape);
    lp_tensor_id id = lp_state_tensor(c->b, LP_SLOT_STATE, dtype, shape, "%s", unique(c, "state"));
    void *copy = must(malloc(bytes));
    memcpy(copy, data, bytes);
    keep(c->row->states, &c->row->n_states, id, bytes, copy);
    if (compare)
        keep(c->row->outputs, &c->row->n_outputs, id, bytes, NULL);
    return id;
}

lp_tensor_id ops_cursor(ops_build *c, int32_t position, int32_t draws, bool compare)
{
    int32_t words[LP_CURSOR_WORDS] = {0};
    words[LP_CURSOR_POSITION] = position;
    words[LP_CURSOR_DRAWS] = draws;
    return ops_state(c, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), words, compare);
}

lp_node ops_node(lp_op op)
{
    lp_node node = {.op = op, .name = "node"};
    for (int i = 0; i < LP_MAX_SRC; i++)
        node.src[i] = LP_NONE;
    for (int i = 0; i < LP_MAX_DST; i++)
        node.dst[i] = LP_NONE;
    return node;
}

void ops_emit(ops_build *c, lp_node *node)
{
    node->name = lp_arena_strdup(&c->b->graph->arena, c->row->name);
    if (lp_builder_node(c->b, node) != LP_OK)
        return;
    for (int i = 0; i < LP_MAX_DST; i++) {
        if (node->dst[i] == LP_NONE)
            continue;
        lp_tensor *t = &c->b->graph->tensors[node->dst[i]];
        if (t->slot != LP_NONE)
            continue;
        t->output = true;
        keep(c->row->outputs, &c->row->n_outputs, node->dst[i],
             (uint64_t)lp_shape_elements(t->shape) * 4, NULL);
    }
}

static void build(ops_table *table, ops_case *row, uint64_t seed)
{
    lp_builder b;
    ops_build c = {.b = &b, .row = row, .table = table, .random = seed};
    row->status = lp_builder_start(&b, &table->ctx, &table->store, table->weights, row->n_tokens);
    if (row->status != LP_OK)
        return;
    row->build(&c, row->arg);
    row->status = lp_builder_finish(&b, true, &row->graph);
    if (row->status != LP_OK)
        fprintf(stderr, "%s: %s\n", row->name, table->ctx.message);
}

ops_table *ops_table_create(void)
{
    ops_table *table = must(calloc(1, sizeof *table));
    table->weights = must(lp_weights_create());
    ops_table_dense(table);
    ops_table_sequence(table);

    for (int i = 0; i < table->n; i++)
        build(table, &table->cases[i], (uint64_t)i);
    return table;
}

void ops_table_destroy(ops_table *table)
{
    if (table == NULL)
        return;
    for (int i = 0; i < table->n; i++) {
        ops_case *row = &table->cases[i];
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

bool ops_compare(const float *expected, const float *got, uint64_t n, ops_gate gate, char *why)
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
    snprintf(why, 256,
             "NMSE %.3g (gate %.3g), largest error %.3g rms (gate %.3g) at element %llu: want %.9g, "
             "got %.9g",
             nmse, gate.nmse, rms > 0 ? worst / rms : worst, gate.largest, (unsigned long long)at,
             (double)expected[at], (double)got[at]);
    return false;
}
