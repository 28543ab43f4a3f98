/* Building graphs: names, views, sticky failure. What an op accepts is decided by its infer
 * function in src/ops/; here the result becomes a node. */
#include "graph/builder.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/fuse.h"
#include "graph/plan.h"
#include "ops/int8.h"

#define MAX_NAME 256

static const lp_node empty_node = {
    .src = {LP_NONE, LP_NONE, LP_NONE, LP_NONE, LP_NONE, LP_NONE, LP_NONE, LP_NONE, LP_NONE},
    .dst = {LP_NONE, LP_NONE, LP_NONE},
};

static lp_tensor_id fail(lp_builder *b, lp_status status)
{
    if (b->status == LP_OK)
        b->status = status;
    return LP_NONE;
}

lp_status lp_builder_start(lp_builder *b, lp_context *ctx, lp_store *store,
                           const lp_weights *weights, int32_t n_tokens)
{
    *b = (lp_builder){.ctx = ctx, .store = store, .weights = weights};
    b->graph = calloc(1, sizeof *b->graph);
    if (b->graph == NULL)
        return b->status = lp_fail_memory(ctx, "a graph");
    b->graph->store = store;
    b->graph->n_tokens = n_tokens;
    return LP_OK;
}

lp_status lp_builder_finish(lp_builder *b, bool no_fusion, lp_graph **graph)
{
    if (b->status == LP_OK && !no_fusion)
        b->status = lp_graph_fuse(b->ctx, b->graph);
    if (b->status != LP_OK) {
        lp_graph_destroy(b->graph);
        b->graph = NULL;
        return b->status;
    }
    *graph = b->graph;
    b->graph = NULL;
    return LP_OK;
}

void lp_builder_prefix(lp_builder *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(b->prefix, sizeof b->prefix, format, args);
    va_end(args);
}

/* Grows an array of `size`-byte items so that one more fits. */
static bool grow(void **items, uint32_t n, uint32_t *capacity, size_t size)
{
    if (n < *capacity)
        return true;
    uint32_t want = *capacity ? 2 * *capacity : 128;
    void *more = realloc(*items, want * size);
    if (more == NULL)
        return false;
    *items = more;
    *capacity = want;
    return true;
}

/* `t` with its name copied into the graph; base defaults to itself. */
static lp_tensor_id add_tensor(lp_builder *b, lp_tensor t)
{
    lp_graph *g = b->graph;
    if (!grow((void **)&g->tensors, g->n_tensors, &g->tensor_capacity, sizeof *g->tensors) ||
        (t.name = lp_arena_strdup(&g->arena, t.name)) == NULL)
        return fail(b, lp_fail_memory(b->ctx, "a graph"));
    if (t.base == LP_NONE)
        t.base = g->n_tensors;
    g->tensors[g->n_tensors] = t;
    return g->n_tensors++;
}

static lp_tensor_id add_activation(lp_builder *b, const char *name, lp_shape shape)
{
    return add_tensor(b, (lp_tensor){.name = name,
                                     .dtype = LP_F32,
                                     .shape = shape,
                                     .slot = LP_NONE,
                                     .base = LP_NONE,
                                     .stride = (uint64_t)lp_shape_row(shape)});
}

/* The graph's tensor of a slot, made on first use. */
static lp_tensor_id slot_tensor(lp_builder *b, const lp_slot *slot)
{
    uint32_t index;
    lp_status status = lp_store_slot(b->ctx, b->store, slot, &index);
    if (status != LP_OK)
        return fail(b, status);
    for (uint32_t i = 0; i < b->graph->n_tensors; i++)
        if (b->graph->tensors[i].slot == index)
            return i;
    const uint64_t row = (uint64_t)lp_shape_row(slot->shape);
    return add_tensor(b, (lp_tensor){.name = slot->name,
                                     .dtype = slot->dtype,
                                     .shape = slot->shape,
                                     .slot = index,
                                     .base = LP_NONE,
                                     .stride = slot->kind == LP_SLOT_WEIGHT
                                                   ? row
                                                   : lp_state_stride(slot->dtype, row)});
}

/* `vector`: kept as one long vector (lp_weight_vectors). */
static lp_tensor_id use_weight(lp_builder *b, const lp_weight *w, lp_shape shape, bool vector)
{
    char want[96], has[96];
    if (b->sketch && w->shape.n == 0)
        ((lp_weight *)(uintptr_t)w)->shape = shape;
    if (!lp_shape_equal(w->shape, shape))
        return fail(b, lp_fail(b->ctx, LP_E_SHAPE, "%s: want %s, file has %s", w->name,
                               lp_shape_print(shape, want), lp_shape_print(w->shape, has)));
    if ((unsigned)w->dtype >= LP_N_DTYPES || lp_dtype_table[w->dtype].to_f32 == NULL)
        return fail(b, lp_fail(b->ctx, LP_E_UNSUPPORTED, "%s: type %s cannot be used as a weight",
                               w->name, w->type));
    return slot_tensor(
        b, &(lp_slot){.name = w->name,
                      .kind = LP_SLOT_WEIGHT,
                      .dtype = w->dtype,
                      .shape = vector ? LP_SHAPE1(lp_shape_elements(w->shape)) : w->shape,
                      .data = w->data});
}

static lp_tensor_id weight_tensor(lp_builder *b, lp_shape shape, bool optional, bool vector,
                                  const char *name)
{
    const lp_weight *w = b->weights ? lp_weights_find(b->weights, name) : NULL;
    if (w != NULL)
        return use_weight(b, w, shape, vector);
    if (optional)
        return LP_NONE;
    return fail(b, lp_fail(b->ctx, LP_E_MISSING, "%s: no such tensor in the model", name));
}

lp_tensor_id lp_weight_given(lp_builder *b, const lp_weight *weight, lp_shape shape)
{
    return b->status == LP_OK ? use_weight(b, weight, shape, false) : LP_NONE;
}

#define FORMAT_NAME(name, format)                                                                  \
    char name[MAX_NAME];                                                                           \
    do {                                                                                           \
        va_list args_;                                                                             \
        va_start(args_, format);                                                                   \
        vsnprintf(name, sizeof name, format, args_);                                               \
        va_end(args_);                                                                             \
    } while (0)

lp_tensor_id lp_weight_tensor(lp_builder *b, lp_shape shape, const char *format, ...)
{
    FORMAT_NAME(name, format);
    return b->status == LP_OK ? weight_tensor(b, shape, false, false, name) : LP_NONE;
}

lp_tensor_id lp_weight_optional(lp_builder *b, lp_shape shape, const char *format, ...)
{
    FORMAT_NAME(name, format);
    return b->status == LP_OK ? weight_tensor(b, shape, true, false, name) : LP_NONE;
}

lp_tensor_id lp_state_tensor(lp_builder *b, lp_slot_kind kind, lp_dtype dtype, lp_shape shape,
                             const char *format, ...)
{
    FORMAT_NAME(name, format);
    if (b->status != LP_OK)
        return LP_NONE;
    return slot_tensor(b, &(lp_slot){.name = name, .kind = kind, .dtype = dtype, .shape = shape});
}

lp_rope_angles lp_rope_table(lp_builder *b, const char *name, const double *frequencies, int32_t n,
                             int32_t n_ctx, float scale)
{
    lp_rope_angles none = {.table = LP_NONE};
    if (b->status != LP_OK)
        return none;
    int32_t pairs = n / 2, upper = (n_ctx + 255) / 256;
    lp_shape shape = LP_SHAPE3(256 + upper, pairs, 2);
    double *copy = lp_arena_array(&b->graph->arena, (size_t)pairs, sizeof *copy);
    if (copy == NULL)
        return fail(b, lp_fail_memory(b->ctx, name)), none;
    memcpy(copy, frequencies, (size_t)pairs * sizeof *copy);

    lp_slot slot = {.name = name, .kind = LP_SLOT_TABLE, .dtype = LP_F32, .shape = shape};
    uint32_t known = lp_store_find(b->store, name);
    if (known == UINT32_MAX) {
        float *table =
            lp_arena_array(&b->store->arena, (size_t)lp_shape_elements(shape), sizeof *table);
        if (table == NULL)
            return fail(b, lp_fail_memory(b->ctx, name)), none;
        for (int32_t row = 0; row < 256 + upper; row++) {
            double position = row < 256 ? row : 256.0 * (row - 256);
            double size = row < 256 ? (double)scale : 1;
            for (int32_t k = 0; k < pairs; k++) {
                float *at = table + ((size_t)row * (size_t)pairs + (size_t)k) * 2;
                at[0] = (float)(size * cos(position * frequencies[k]));
                at[1] = (float)(size * sin(position * frequencies[k]));
            }
        }
        slot.data = table;
    }
    return (lp_rope_angles){
        .table = slot_tensor(b, &slot), .n_rotated = n, .frequencies = copy, .scale = scale};
}

static lp_tensor_id made_tensor(lp_builder *b, lp_slot_kind kind, const char *name, lp_shape shape,
                                const float *values)
{
    if (b->status != LP_OK)
        return LP_NONE;
    lp_slot slot = {.name = name, .kind = kind, .dtype = LP_F32, .shape = shape};
    if (lp_store_find(b->store, name) == UINT32_MAX) {
        size_t n = (size_t)lp_shape_elements(shape);
        float *copy = lp_arena_array(&b->store->arena, n, sizeof *copy);
        if (copy == NULL)
            return fail(b, lp_fail_memory(b->ctx, name));
        memcpy(copy, values, n * sizeof *copy);
        slot.data = copy;
    }
    return slot_tensor(b, &slot);
}

lp_tensor_id lp_table_tensor(lp_builder *b, const char *name, lp_shape shape, const float *values)
{
    return made_tensor(b, LP_SLOT_TABLE, name, shape, values);
}

lp_tensor_id lp_made_weight(lp_builder *b, const char *name, lp_shape shape, const float *values)
{
    return made_tensor(b, LP_SLOT_WEIGHT, name, shape, values);
}

lp_tensor_id lp_input(lp_builder *b, const char *name, lp_shape shape)
{
    return b->status == LP_OK ? add_activation(b, name, shape) : LP_NONE;
}

lp_status lp_builder_node(lp_builder *b, lp_node *node)
{
    if (b->status != LP_OK)
        return b->status;
    lp_graph *g = b->graph;
    lp_shape shapes[LP_MAX_DST] = {{0}};
    lp_status status = lp_op_table[node->op].infer(b->ctx, g, node, shapes);
    if (status != LP_OK)
        return b->status = status;
    for (int d = 0; d < LP_MAX_DST && b->status == LP_OK; d++)
        if (node->dst[d] == LP_NONE && shapes[d].n != 0) {
            char name[MAX_NAME + 16];
            snprintf(name, sizeof name, d == 0 ? "%s" : "%s:%d", node->name, d);
            node->dst[d] = add_activation(b, name, shapes[d]);
        }
    if (b->status != LP_OK)
        return b->status;
    if (!grow((void **)&g->nodes, g->n_nodes, &g->node_capacity, sizeof *g->nodes))
        return b->status = lp_fail_memory(b->ctx, "a graph");
    g->nodes[g->n_nodes++] = *node;
    return LP_OK;
}

/* The common path: prefixed name, node, first output. */
static lp_tensor_id emit(lp_builder *b, const char *name, lp_node node)
{
    if (b->status != LP_OK)
        return LP_NONE;
    node.name = lp_arena_printf(&b->graph->arena, "%s%s", b->prefix, name);
    if (node.name == NULL)
        return fail(b, lp_fail_memory(b->ctx, "a graph"));
    return lp_builder_node(b, &node) == LP_OK ? node.dst[0] : LP_NONE;
}

static lp_node node_of(lp_op op, lp_tensor_id a, lp_tensor_id b, lp_tensor_id c)
{
    lp_node node = empty_node;
    node.op = op;
    node.src[0] = a;
    node.src[1] = b;
    node.src[2] = c;
    return node;
}

static lp_tensor_id embed(lp_builder *b, const char *name, const lp_tensor_id src[3], float scale,
                          int32_t first)
{
    lp_node node = node_of(LP_OP_EMBED, src[0], src[1], src[2]);
    node.p.embed.scale = scale;
    node.p.embed.first = first;
    return emit(b, name, node);
}

lp_tensor_id lp_embed(lp_builder *b, const char *name, lp_tensor_id table, lp_tensor_id cursor,
                      lp_tensor_id history, float scale)
{
    return embed(b, name, (lp_tensor_id[]){table, cursor, history}, scale, 0);
}

lp_tensor_id lp_embed_positions(lp_builder *b, const char *name, lp_tensor_id table,
                                lp_tensor_id cursor, int32_t first)
{
    return embed(b, name, (lp_tensor_id[]){table, cursor, LP_NONE}, 1, first);
}

lp_tensor_id lp_norm(lp_builder *b, const char *name, lp_norm_kind kind, float eps, lp_tensor_id x,
                     lp_tensor_id gain, lp_tensor_id bias)
{
    lp_node node = node_of(LP_OP_NORM, x, gain, bias);
    node.p.norm.kind = kind;
    node.p.norm.eps = eps;
    return emit(b, name, node);
}

lp_tensor_id lp_linear(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id w,
                       lp_tensor_id bias)
{
    return lp_linear_experts(b, name, x, LP_NONE, w, bias);
}

lp_tensor_id lp_conv2d(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id w,
                       lp_tensor_id bias, lp_conv2d_options options)
{
    lp_node node = node_of(LP_OP_CONV2D, x, w, bias);
    node.p.conv2d = options;
    return emit(b, name, node);
}

lp_tensor_id lp_group_norm(lp_builder *b, const char *name, int32_t n_groups, float eps,
                           lp_tensor_id x, lp_tensor_id gain, lp_tensor_id bias)
{
    lp_node node = node_of(LP_OP_GROUP_NORM, x, gain, bias);
    node.p.group_norm.n_groups = n_groups;
    node.p.group_norm.eps = eps;
    node.p.group_norm.act = LP_ACT_NONE;
    return emit(b, name, node);
}

lp_tensor_id lp_route(lp_builder *b, const char *name, lp_tensor_id logits, lp_tensor_id bias,
                      lp_route_options options)
{
    lp_node node = node_of(LP_OP_ROUTE, logits, bias, LP_NONE);
    node.p.route = options;
    return emit(b, name, node);
}

/* Are rows that weight w multiplies to be rounded? */
static bool rounds_to_int8(const lp_builder *b, lp_tensor_id w)
{
    if (b->status != LP_OK || w == LP_NONE)
        return false;
    const lp_tensor *t = &b->graph->tensors[w];
    return (b->int8_types >> t->dtype & 1u) != 0 && lp_shape_row(t->shape) > 0 &&
           t->shape.dim[t->shape.n - 1] % LP_INT8_BLOCK == 0;
}

lp_tensor_id lp_linear_experts(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id routes,
                               lp_tensor_id w, lp_tensor_id bias)
{
    lp_node node = node_of(LP_OP_LINEAR, x, w, bias);
    node.src[6] = routes;
    node.p.linear.act = LP_ACT_NONE;
    node.p.linear.int8 = rounds_to_int8(b, w);
    return emit(b, name, node);
}

lp_tensor_id lp_combine(lp_builder *b, const char *name, lp_tensor_id y, lp_tensor_id routes)
{
    lp_node node = node_of(LP_OP_COMBINE, y, routes, LP_NONE);
    return emit(b, name, node);
}

lp_tensor_id lp_rope(lp_builder *b, const char *name, lp_rope_pairing pairing, lp_tensor_id x,
                     lp_tensor_id cursor, lp_rope_angles angles)
{
    return lp_rope_behind(b, name, pairing, LP_NONE, x, cursor, angles);
}

lp_tensor_id lp_rope_behind(lp_builder *b, const char *name, lp_rope_pairing pairing,
                            lp_tensor_id front, lp_tensor_id x, lp_tensor_id cursor,
                            lp_rope_angles angles)
{
    lp_node node = node_of(LP_OP_ROPE, x, cursor, LP_NONE);
    node.src[2] = angles.table;
    node.src[3] = front;
    node.p.rope.pairing = pairing;
    node.p.rope.n_rotated = angles.n_rotated;
    node.p.rope.frequencies = angles.frequencies;
    node.p.rope.scale = angles.scale;
    node.p.rope.two_axes = angles.two_axes;
    node.p.rope.place = angles.place;
    return emit(b, name, node);
}

lp_tensor_id lp_recurrence(lp_builder *b, const char *name, lp_cell_kind cell, lp_tensor_id x,
                           lp_tensor_id w, lp_tensor_id bias, lp_tensor_id cursor,
                           lp_tensor_id states, lp_tensor_id start)
{
    lp_node node = node_of(LP_OP_RECURRENCE, x, w, bias);
    node.src[3] = cursor;
    node.src[4] = states;
    node.src[5] = start;
    node.p.recurrence.cell = cell;
    return emit(b, name, node);
}

lp_tensor_id lp_gated(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id u,
                      lp_tensor_id cursor, lp_gated_options options)
{
    lp_node node = node_of(LP_OP_GATED, x, u, cursor);
    const lp_gated_source *source = options.source;
    if (options.states != NULL)
        node.src[3] = *options.states;
    if (options.start != NULL)
        node.src[4] = *options.start;
    if (source != NULL) {
        node.src[5] = source->keys;
        node.src[6] = source->values;
        node.src[7] = source->query;
        node.src[8] = source->align;
    }
    node.p.gated.backwards = options.backwards;
    return emit(b, name, node);
}

void lp_kv_write(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id cursor,
                 lp_tensor_id cache)
{
    lp_node node = node_of(LP_OP_KV_WRITE, x, cursor, LP_NONE);
    node.dst[0] = cache;
    emit(b, name, node);
}

lp_tensor_id lp_attention_biased(lp_builder *b, const char *name, lp_tensor_id q, lp_tensor_id keys,
                                 lp_tensor_id values, lp_tensor_id cursor, lp_tensor_id bias,
                                 lp_tensor_id sinks, lp_attention_options options)
{
    lp_node node = node_of(LP_OP_ATTENTION, q, keys, values);
    node.src[3] = cursor;
    node.src[4] = bias;
    node.src[5] = sinks;
    node.src[6] = options.lengths != NULL ? *options.lengths : LP_NONE;
    node.p.attention.scale = options.scale;
    node.p.attention.kv_max = options.kv_max;
    node.p.attention.mask = options.mask;
    node.p.attention.window = options.window;
    node.p.attention.stride = options.stride;
    node.p.attention.summary = options.summary;
    node.p.attention.block = options.block;
    node.p.attention.offset = options.offset;
    node.p.attention.period = options.period;
    node.p.attention.from_source = options.from_source;
    node.p.attention.softcap = options.softcap;
    return emit(b, name, node);
}

lp_tensor_id lp_attention(lp_builder *b, const char *name, lp_tensor_id q, lp_tensor_id keys,
                          lp_tensor_id values, lp_tensor_id cursor, lp_attention_options options)
{
    return lp_attention_biased(b, name, q, keys, values, cursor, LP_NONE, LP_NONE, options);
}

static lp_tensor_id elementwise(lp_builder *b, lp_op op, const char *name, lp_tensor_id x,
                                lp_tensor_id y)
{
    lp_node node = node_of(op, x, y, LP_NONE);
    return emit(b, name, node);
}

lp_tensor_id lp_add(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id y)
{
    return elementwise(b, LP_OP_ADD, name, x, y);
}

lp_tensor_id lp_mul(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id y)
{
    return elementwise(b, LP_OP_MUL, name, x, y);
}

lp_tensor_id lp_max(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id y)
{
    return elementwise(b, LP_OP_MAX, name, x, y);
}

lp_tensor_id lp_act(lp_builder *b, const char *name, lp_act_kind kind, lp_tensor_id x)
{
    return lp_act_scaled(b, name, kind, 1, x, 1);
}

lp_tensor_id lp_act_scaled(lp_builder *b, const char *name, lp_act_kind kind, float in,
                           lp_tensor_id x, float out)
{
    lp_node node = node_of(LP_OP_ACT, x, LP_NONE, LP_NONE);
    node.p.act.act = kind;
    node.p.act.in = in;
    node.p.act.out = out;
    return emit(b, name, node);
}

void lp_sample(lp_builder *b, const char *name, lp_tensor_id logits, lp_tensor_id sampler,
               lp_tensor_id history, lp_tensor_id cursor, int32_t advance)
{
    lp_node node = node_of(LP_OP_SAMPLE, logits, sampler, LP_NONE);
    node.dst[0] = history;
    node.dst[1] = cursor;
    node.p.cursor.advance = advance;
    emit(b, name, node);
}

void lp_advance(lp_builder *b, const char *name, lp_tensor_id cursor, int32_t advance)
{
    lp_node node = empty_node;
    node.op = LP_OP_ADVANCE;
    node.dst[0] = cursor;
    node.p.cursor.advance = advance;
    emit(b, name, node);
}

/* A view of `x` with another shape, start and stride; `good` is what the caller demands of x. */
static lp_tensor_id add_view(lp_builder *b, lp_tensor_id x, bool good, const char *what,
                             lp_shape shape, uint64_t offset, uint64_t stride)
{
    const lp_tensor t = b->graph->tensors[x];
    char text[96];
    if (!good)
        return fail(b, lp_fail(b->ctx, LP_E_SHAPE, "%s %s: cannot be viewed as %s", t.name,
                               lp_shape_print(t.shape, text), what));
    return add_tensor(b, (lp_tensor){.name = t.name,
                                     .dtype = t.dtype,
                                     .shape = shape,
                                     .slot = t.slot,
                                     .base = t.base,
                                     .offset = t.offset + offset,
                                     .stride = stride});
}

lp_tensor_id lp_weight_vectors(lp_builder *b, lp_shape shape, const char *format, ...)
{
    FORMAT_NAME(name, format);
    if (b->status != LP_OK)
        return LP_NONE;
    lp_tensor_id id = weight_tensor(b, shape, false, true, name);
    return id == LP_NONE ? LP_NONE
                         : add_view(b, id, true, "", shape, 0, (uint64_t)lp_shape_row(shape));
}

lp_tensor_id lp_view_columns(lp_builder *b, lp_tensor_id x, int64_t first, int64_t n)
{
    if (b->status != LP_OK)
        return LP_NONE;
    lp_tensor t = b->graph->tensors[x];
    bool good = t.shape.n == 2 && first >= 0 && n > 0 && first <= t.shape.dim[1] - n;
    return add_view(b, x, good, "a range of columns", LP_SHAPE2(t.shape.dim[0], n), (uint64_t)first,
                    t.stride);
}

lp_tensor_id lp_view_rows(lp_builder *b, lp_tensor_id x, int64_t first, int64_t n)
{
    if (b->status != LP_OK)
        return LP_NONE;
    lp_tensor t = b->graph->tensors[x];
    bool good = first >= 0 && n > 0 && first <= t.shape.dim[0] - n;
    lp_shape shape = t.shape;
    shape.dim[0] = n;
    return add_view(b, x, good, "a range of rows", shape, (uint64_t)first * t.stride, t.stride);
}

lp_tensor_id lp_view_heads(lp_builder *b, lp_tensor_id x, int64_t n_heads)
{
    if (b->status != LP_OK)
        return LP_NONE;
    lp_tensor t = b->graph->tensors[x];
    bool good = t.shape.n == 2 && n_heads > 0 && t.shape.dim[1] % n_heads == 0;
    return add_view(b, x, good, "heads",
                    LP_SHAPE3(t.shape.dim[0], n_heads, good ? t.shape.dim[1] / n_heads : 1), 0,
                    t.stride);
}

lp_tensor_id lp_view_head_start(lp_builder *b, lp_tensor_id x, int64_t n)
{
    if (b->status != LP_OK)
        return LP_NONE;
    lp_tensor t = b->graph->tensors[x];
    bool good = t.shape.n == 3 && t.shape.dim[1] == 1 && n > 0 && n <= t.shape.dim[2];
    return add_view(b, x, good, "the start of its only head", LP_SHAPE3(t.shape.dim[0], 1, n), 0,
                    t.stride);
}

lp_tensor_id lp_view_flat(lp_builder *b, lp_tensor_id x)
{
    if (b->status != LP_OK)
        return LP_NONE;
    lp_tensor t = b->graph->tensors[x];
    return add_view(b, x, t.shape.n == 3, "rows",
                    LP_SHAPE2(t.shape.dim[0], t.shape.dim[1] * t.shape.dim[2]), 0, t.stride);
}

lp_tensor_id lp_view_shape(lp_builder *b, lp_tensor_id x, lp_shape shape)
{
    if (b->status != LP_OK)
        return LP_NONE;
    lp_tensor t = b->graph->tensors[x];
    char text[96];
    bool good = t.stride == (uint64_t)lp_shape_row(t.shape) &&
                lp_shape_elements(t.shape) == lp_shape_elements(shape);
    return add_view(b, x, good, lp_shape_print(shape, text), shape, 0,
                    (uint64_t)lp_shape_row(shape));
}

void lp_output(lp_builder *b, lp_tensor_id x, const char *name)
{
    if (b->status != LP_OK)
        return;
    lp_tensor *t = &b->graph->tensors[x];
    if ((t->name = lp_arena_strdup(&b->graph->arena, name)) == NULL)
        fail(b, lp_fail_memory(b->ctx, "a graph"));
    t->output = true;
}
