/* One node by itself on a device: see step.h. The node becomes a graph of its own that borrows the
 * whole graph's tensors, so that it is planned exactly as it is within the whole. */
#include "check/step.h"

#include <stdlib.h>
#include <string.h>

enum {
    GUARD_BYTES = 256, /* between activations: room in which stray writes show */
    GUARD_ROWS = 4     /* of a cache, before and after the rows that are written */
};

static bool is_activation(const lp_graph *graph, lp_tensor_id id)
{
    return id != LP_NONE && graph->tensors[id].slot == LP_NONE;
}

static uint64_t elements(const lp_tensor *t)
{
    return (uint64_t)lp_shape_elements(t->shape);
}

static void find_slot(const lp_graph *graph, const lp_node *node, int d, uint32_t position,
                      lp_step_slot *s)
{
    const lp_tensor *t = &graph->tensors[node->dst[d]];
    const uint64_t row = lp_state_bytes(t->dtype, t->stride);
    const uint64_t n_rows = (uint64_t)t->shape.dim[0];
    uint64_t first = 0, end = n_rows, from = 0, to = n_rows;
    if (node->op == LP_OP_KV_WRITE) {
        const uint64_t n = (uint64_t)graph->tensors[node->src[0]].shape.dim[0];
        first = position;
        end = position + n < n_rows ? position + n : n_rows;
        from = first > GUARD_ROWS ? first - GUARD_ROWS : 0;
        to = end + GUARD_ROWS < n_rows ? end + GUARD_ROWS : n_rows;
    }
    *s = (lp_step_slot){.slot = t->slot,
                        .dtype = t->dtype,
                        .row = (uint64_t)lp_shape_row(t->shape),
                        .row_bytes = row,
                        .offset = from * row,
                        .bytes = (to - from) * row,
                        .written = (first - from) * row,
                        .n_written = (end - first) * row};
}

void lp_step_describe(const lp_graph *graph, uint32_t index, uint32_t position, lp_step *step)
{
    const lp_node *node = &graph->nodes[index];
    *step = (lp_step){.graph = graph, .node = index};
    for (int d = 0; d < LP_MAX_DST; d++) {
        step->slots[d].slot = LP_NONE;
        if (node->dst[d] == LP_NONE)
            continue;
        if (!is_activation(graph, node->dst[d])) {
            find_slot(graph, node, d, position, &step->slots[d]);
            step->n_outputs[d] =
                step->slots[d].bytes / step->slots[d].row_bytes * step->slots[d].row;
        } else if (node->op != LP_OP_SAMPLE) { /* what that one sorts is nobody's result */
            step->n_outputs[d] = elements(&graph->tensors[node->dst[d]]);
        }
    }
}

lp_status lp_step_take(lp_context *ctx, lp_backend *backend, lp_program *chain,
                       const lp_graph *graph, uint32_t index, uint32_t position, lp_step *step)
{
    lp_status status = LP_OK;
    const lp_node *node = &graph->nodes[index];
    lp_step_describe(graph, index, position, step);
    for (int s = 0; s < LP_MAX_SRC; s++) {
        if (!is_activation(graph, node->src[s]))
            continue;
        step->inputs[s] = malloc(elements(&graph->tensors[node->src[s]]) * sizeof(float));
        if (step->inputs[s] == NULL) {
            status = lp_fail_memory(ctx, "a node's inputs");
            goto cleanup;
        }
        LP_CHECK(backend->table->tensor_read(chain, node->src[s], step->inputs[s]));
    }
    for (int d = 0; d < LP_MAX_DST; d++) {
        lp_step_slot *s = &step->slots[d];
        if (s->slot == LP_NONE)
            continue;
        s->before = malloc(s->bytes + 1);
        if (s->before == NULL) {
            status = lp_fail_memory(ctx, "a node's slots");
            goto cleanup;
        }
        LP_CHECK(backend->table->slot_read(backend, s->slot, s->offset, s->before, s->bytes));
    }
    return LP_OK;
cleanup:
    lp_step_free(step);
    return status;
}

void lp_step_free(lp_step *step)
{
    for (int s = 0; s < LP_MAX_SRC; s++)
        free(step->inputs[s]);
    for (int d = 0; d < LP_MAX_DST; d++)
        free(step->slots[d].before);
    *step = (lp_step){0};
}

void lp_outputs_free(lp_outputs *outputs)
{
    for (int d = 0; d < LP_MAX_DST; d++)
        free(outputs->values[d]);
    *outputs = (lp_outputs){0};
}

static lp_status read_slot(lp_context *ctx, const lp_step_slot *s, lp_backend *backend, float *to)
{
    uint8_t *bytes = malloc(s->bytes + 1);
    if (bytes == NULL)
        return lp_fail_memory(ctx, "a node's slots");
    lp_status status = backend->table->slot_read(backend, s->slot, s->offset, bytes, s->bytes);
    if (status == LP_OK)
        lp_state_load(s->dtype, bytes, s->row, s->bytes / s->row_bytes, to);
    free(bytes);
    return status;
}

/* `n`: elements per output, at most those of the step. */
static lp_status read_outputs(lp_context *ctx, const lp_step *step, const uint64_t n[LP_MAX_DST],
                              lp_backend *backend, lp_program *program, lp_outputs *outputs)
{
    lp_status status = LP_OK;
    const lp_node *node = &step->graph->nodes[step->node];
    for (int d = 0; d < LP_MAX_DST; d++) {
        if (n[d] == 0)
            continue;
        if (outputs->values[d] == NULL)
            outputs->values[d] = malloc(n[d] * sizeof(float));
        if (outputs->values[d] == NULL) {
            status = lp_fail_memory(ctx, "a node's outputs");
            goto cleanup;
        }
        if (step->slots[d].slot != LP_NONE)
            LP_CHECK(read_slot(ctx, &step->slots[d], backend, outputs->values[d]));
        else
            LP_CHECK(backend->table->tensor_read(program, node->dst[d], outputs->values[d]));
    }
    return LP_OK;
cleanup:
    lp_outputs_free(outputs);
    return status;
}

lp_status lp_step_outputs(lp_context *ctx, const lp_step *step, lp_backend *backend,
                          lp_program *chain, lp_outputs *outputs)
{
    *outputs = (lp_outputs){0};
    return read_outputs(ctx, step, step->n_outputs, backend, chain, outputs);
}

lp_status lp_step_sync(lp_context *ctx, const lp_step *step, lp_backend *from, lp_backend *to)
{
    for (int d = 0; d < LP_MAX_DST; d++) {
        const lp_step_slot *s = &step->slots[d];
        if (s->slot == LP_NONE)
            continue;
        uint8_t *bytes = malloc(s->bytes + 1);
        if (bytes == NULL)
            return lp_fail_memory(ctx, "a node's slots");
        lp_status status = from->table->slot_read(from, s->slot, s->offset, bytes, s->bytes);
        if (status == LP_OK)
            status = to->table->slot_write(to, s->slot, s->offset, bytes, s->bytes);
        free(bytes);
        LP_TRY(status);
    }
    return LP_OK;
}

/* ---- Running ------------------------------------------------------------------------------- */

typedef struct run {
    lp_context *ctx;
    lp_backend *backend;
    const lp_step *step;
    lp_graph graph; /* the node alone; tensors are the whole graph's, or a copy with fewer rows */
    lp_tensor *tensors;
    uint64_t n_outputs[LP_MAX_DST];
    lp_program *program;
    const lp_plan *plan;     /* NULL on the CPU */
    uint8_t *before, *after; /* the plan's arena around a run */
} run;

/* Attention's keys and values belong to all tokens, however many look at them. */
static bool is_of_all_tokens(const lp_graph *graph, const lp_node *node, uint32_t tensor)
{
    for (int s = 1; s <= 2 && node->op == LP_OP_ATTENTION; s++)
        if (tensor == node->src[s] || tensor == graph->tensors[node->src[s]].base)
            return true;
    return false;
}

static lp_status make_graph(run *r, int64_t n_tokens)
{
    const lp_graph *whole = r->step->graph;
    r->graph = *whole;
    r->graph.nodes = &whole->nodes[r->step->node];
    r->graph.n_nodes = 1;
    memcpy(r->n_outputs, r->step->n_outputs, sizeof r->n_outputs);
    if (n_tokens == 0 || n_tokens == whole->n_tokens)
        return LP_OK;
    r->tensors = malloc(whole->n_tensors * sizeof *r->tensors);
    if (r->tensors == NULL)
        return lp_fail_memory(r->ctx, "a node's graph");
    memcpy(r->tensors, whole->tensors, whole->n_tensors * sizeof *r->tensors);
    for (uint32_t i = 0; i < whole->n_tensors; i++)
        if (r->tensors[i].slot == LP_NONE && r->tensors[i].shape.dim[0] % whole->n_tokens == 0 &&
            !is_of_all_tokens(whole, r->graph.nodes, i)) /* a token may have several rows */
            r->tensors[i].shape.dim[0] = r->tensors[i].shape.dim[0] / whole->n_tokens * n_tokens;
    r->graph.tensors = r->tensors;
    r->graph.n_tokens = (int32_t)n_tokens;
    for (int d = 0; d < LP_MAX_DST; d++)
        if (r->n_outputs[d] != 0 && r->step->slots[d].slot == LP_NONE)
            r->n_outputs[d] = elements(&r->tensors[r->graph.nodes[0].dst[d]]);
    return LP_OK;
}

static lp_status make_program(run *r, const lp_step_options *options)
{
    const lp_backend_table *table = r->backend->table;
    lp_plan_options plan_options = options->plan;
    plan_options.guard_bytes = GUARD_BYTES;
    if (table->program_from_plan == NULL)
        return table->program_create(r->backend, &r->graph, plan_options, &r->program);
    lp_plan *plan;
    const lp_caps *caps = options->caps != NULL ? options->caps : table->caps(r->backend);
    LP_TRY(lp_plan_create(r->ctx, &r->graph, caps, plan_options, &plan));
    LP_TRY(table->program_from_plan(r->backend, &r->graph, plan, &r->program));
    r->plan = table->program_plan(r->program);
    r->before = malloc(r->plan->arena.bytes + 1);
    r->after = malloc(r->plan->arena.bytes + 1);
    return r->before == NULL || r->after == NULL ? lp_fail_memory(r->ctx, "a node's memory")
                                                 : LP_OK;
}

static lp_status poison_outputs(const run *r)
{
    const lp_node *node = r->graph.nodes;
    for (int d = 0; d < LP_MAX_DST; d++) {
        if (!is_activation(&r->graph, node->dst[d]))
            continue;
        uint64_t n = elements(&r->graph.tensors[node->dst[d]]);
        float *poison = malloc(n * sizeof *poison);
        if (poison == NULL)
            return lp_fail_memory(r->ctx, "a node's outputs");
        memset(poison, 0xff, n * sizeof *poison);
        lp_status status = r->backend->table->tensor_write(r->program, node->dst[d], poison);
        free(poison);
        LP_TRY(status);
    }
    return LP_OK;
}

/* Poison everywhere, then the inputs and the slots. */
static lp_status prepare(const run *r)
{
    const lp_backend_table *table = r->backend->table;
    const lp_node *node = r->graph.nodes;
    if (r->plan == NULL)
        LP_TRY(poison_outputs(r));
    else if (r->plan->arena.bytes > 0)
        LP_TRY(
            table->raw_fill(r->backend, LP_BUFFER_ARENA, 0, r->plan->arena.bytes, LP_CHECK_POISON));
    for (int s = 0; s < LP_MAX_SRC; s++)
        if (r->step->inputs[s] != NULL)
            LP_TRY(table->tensor_write(r->program, node->src[s], r->step->inputs[s]));
    for (int d = 0; d < LP_MAX_DST; d++) {
        const lp_step_slot *s = &r->step->slots[d];
        if (s->slot == LP_NONE)
            continue;
        LP_TRY(table->slot_write(r->backend, s->slot, s->offset, s->before, s->bytes));
        if (node->op != LP_OP_KV_WRITE || s->n_written == 0)
            continue;
        uint8_t *poison = malloc(s->n_written);
        if (poison == NULL)
            return lp_fail_memory(r->ctx, "a node's slots");
        memset(poison, 0xff, s->n_written);
        lp_status status =
            table->slot_write(r->backend, s->slot, s->offset + s->written, poison, s->n_written);
        free(poison);
        LP_TRY(status);
    }
    return LP_OK;
}

static bool declared(const lp_plan *plan, uint64_t byte)
{
    for (uint32_t i = 0; i < plan->n_dispatches; i++)
        for (uint32_t w = 0; w < plan->dispatches[i].n_writes; w++) {
            const lp_range *range = &plan->dispatches[i].writes[w];
            if (range->buffer == LP_BUFFER_ARENA && byte >= range->offset &&
                byte - range->offset < range->bytes)
                return true;
        }
    return false;
}

bool lp_step_stray(const lp_plan *plan, const uint8_t *before, const uint8_t *after,
                   uint64_t *offset)
{
    for (uint64_t i = 0; i < plan->arena.bytes; i++)
        if (before[i] != after[i] && !declared(plan, i)) {
            *offset = i;
            return true;
        }
    return false;
}

static lp_status run_once(const run *r, lp_outputs *outputs, lp_step_result *result)
{
    const lp_backend_table *table = r->backend->table;
    const bool look = r->plan != NULL && r->plan->arena.bytes > 0;
    uint64_t ticket = 0;
    LP_TRY(prepare(r));
    if (look)
        LP_TRY(table->raw_read(r->backend, LP_BUFFER_ARENA, 0, r->before, r->plan->arena.bytes));
    LP_TRY(table->submit(r->program, 1, &ticket));
    LP_TRY(table->wait(r->backend, ticket));
    if (look) {
        LP_TRY(table->raw_read(r->backend, LP_BUFFER_ARENA, 0, r->after, r->plan->arena.bytes));
        if (!result->stray)
            result->stray = lp_step_stray(r->plan, r->before, r->after, &result->stray_offset);
    }
    return read_outputs(r->ctx, r->step, r->n_outputs, r->backend, r->program, outputs);
}

static void examine(const run *r, const lp_outputs *outputs, lp_step_result *result)
{
    for (int d = 0; d < LP_MAX_DST; d++) {
        const lp_step_slot *s = &r->step->slots[d];
        if (r->n_outputs[d] == 0 || s->slot != LP_NONE)
            continue;
        for (uint64_t i = 0; i < r->n_outputs[d]; i++) {
            uint32_t bits;
            memcpy(&bits, &outputs->values[d][i], sizeof bits);
            result->n_unwritten += bits == LP_CHECK_POISON;
        }
    }
}

/* Rows of a cache around the written ones must be as before. */
static lp_status find_stray_rows(const run *r, const lp_outputs *outputs, lp_step_result *result)
{
    for (int d = 0; d < LP_MAX_DST && !result->stray; d++) {
        const lp_step_slot *s = &r->step->slots[d];
        if (s->slot == LP_NONE || r->graph.nodes[0].op != LP_OP_KV_WRITE)
            continue;
        float *was = malloc(s->row * sizeof *was);
        if (was == NULL)
            return lp_fail_memory(r->ctx, "a row of a cache");
        for (uint64_t at = 0; at < s->bytes && !result->stray; at += s->row_bytes) {
            lp_state_load(s->dtype, s->before + at, s->row, 1, was);
            if ((at >= s->written && at < s->written + s->n_written) ||
                memcmp(was, outputs->values[d] + at / s->row_bytes * s->row,
                       s->row * sizeof *was) == 0)
                continue;
            result->stray = true;
            result->stray_buffer = LP_BUFFER_SLOT(s->slot);
            result->stray_offset = s->offset + at;
        }
        free(was);
    }
    return LP_OK;
}

static bool same_bits(const run *r, const lp_outputs *a, const lp_outputs *b)
{
    for (int d = 0; d < LP_MAX_DST; d++)
        if (r->n_outputs[d] != 0 &&
            memcmp(a->values[d], b->values[d], r->n_outputs[d] * sizeof(float)) != 0)
            return false;
    return true;
}

static void end(run *r)
{
    if (r->program != NULL)
        r->backend->table->program_destroy(r->program);
    free(r->tensors);
    free(r->before);
    free(r->after);
}

lp_status lp_step_run(lp_context *ctx, lp_backend *backend, const lp_step *step,
                      const lp_step_options *options, lp_step_result *result)
{
    lp_status status = LP_OK;
    lp_outputs again = {0};
    run r = {.ctx = ctx, .backend = backend, .step = step};
    *result = (lp_step_result){0};
    LP_CHECK(make_graph(&r, options->n_tokens));
    LP_CHECK(make_program(&r, options));
    for (uint32_t i = 0; r.plan != NULL && i < r.plan->n_dispatches; i++)
        if (result->n_dispatches < sizeof result->kernels / sizeof *result->kernels)
            result->kernels[result->n_dispatches++] = r.plan->dispatches[i].kernel;
    LP_CHECK(run_once(&r, &result->outputs, result));
    examine(&r, &result->outputs, result);
    LP_CHECK(find_stray_rows(&r, &result->outputs, result));
    for (uint32_t i = 1; i < options->n_runs && !result->flaky; i++) {
        LP_CHECK(run_once(&r, &again, result));
        result->flaky = !same_bits(&r, &result->outputs, &again);
    }
cleanup:
    end(&r);
    lp_outputs_free(&again);
    if (status != LP_OK)
        lp_step_result_free(result);
    return status;
}

lp_status lp_step_visit(lp_context *ctx, lp_backend *backend, const lp_step *step,
                        const lp_step_options *options,
                        lp_status (*visit)(void *user, const lp_plan *plan, const uint8_t *arena),
                        void *user)
{
    lp_status status = LP_OK;
    run r = {.ctx = ctx, .backend = backend, .step = step};
    LP_CHECK(make_graph(&r, options->n_tokens));
    LP_CHECK(make_program(&r, options));
    LP_CHECK(prepare(&r));
    if (r.plan->arena.bytes > 0)
        LP_CHECK(
            backend->table->raw_read(backend, LP_BUFFER_ARENA, 0, r.before, r.plan->arena.bytes));
    LP_CHECK(visit(user, r.plan, r.before));
cleanup:
    end(&r);
    return status;
}

void lp_step_result_free(lp_step_result *result)
{
    lp_outputs_free(&result->outputs);
}
