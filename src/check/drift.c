/* Free-running passes: see drift.h. */
#include "check/drift.h"

#include <stdlib.h>
#include <string.h>

#include "check/plan_proof.h"

typedef struct runner {
    lp_context *ctx;
    lp_backend *backend;
    const lp_graph *graph;
    const lp_plan_options *options;
    const lp_drift_start *start;
} runner;

lp_tensor_id lp_drift_logits(const lp_graph *graph)
{
    const lp_node *last = graph->n_nodes > 0 ? &graph->nodes[graph->n_nodes - 1] : NULL;
    if (last != NULL && last->op == LP_OP_SAMPLE)
        return last->src[0];
    static const char *const names[] = {"logits", "hidden", "result", "pixels"};
    lp_tensor_id id = LP_NONE;
    for (size_t i = 0; i < sizeof names / sizeof *names && id == LP_NONE; i++)
        id = lp_graph_find(graph, names[i]);
    return id;
}

lp_status lp_graph_inputs_write(const lp_backend *backend, lp_program *program,
                                const lp_graph *graph, const lp_graph_input *inputs,
                                uint32_t n_inputs)
{
    for (uint32_t i = 0; i < n_inputs; i++)
        LP_TRY(backend->table->tensor_write(program, lp_graph_find(graph, inputs[i].name),
                                            inputs[i].values));
    return LP_OK;
}

static uint32_t position_of(const runner *r)
{
    return (uint32_t)r->start->cursor[LP_CURSOR_POSITION];
}

static lp_status run(const runner *r, lp_program *program)
{
    const lp_backend_table *table = r->backend->table;
    uint64_t ticket = 0;
    const lp_plan *plan = table->program_plan != NULL ? table->program_plan(program) : NULL;
    if (plan != NULL && plan->arena.bytes > 0)
        LP_TRY(table->raw_fill(r->backend, LP_BUFFER_ARENA, 0, plan->arena.bytes, LP_CHECK_POISON));
    if (r->start->cursor_slot != LP_NONE)
        LP_TRY(table->slot_write(r->backend, r->start->cursor_slot, 0, r->start->cursor,
                                 LP_CURSOR_WORDS * sizeof *r->start->cursor));
    LP_TRY(
        lp_graph_inputs_write(r->backend, program, r->graph, r->start->inputs, r->start->n_inputs));
    LP_TRY(table->submit(program, 1, &ticket));
    return table->wait(r->backend, ticket);
}

/* Outputs of all nodes, or only those that are slots. */
static lp_status read_all(const runner *r, lp_program *program, bool slots_only,
                          lp_outputs *outputs)
{
    for (uint32_t i = 0; i < r->graph->n_nodes; i++) {
        lp_step step;
        lp_step_describe(r->graph, i, position_of(r), &step);
        for (int d = 0; d < LP_MAX_DST; d++)
            if (slots_only && step.slots[d].slot == LP_NONE)
                step.n_outputs[d] = 0;
        LP_TRY(lp_step_outputs(r->ctx, &step, r->backend, program, &outputs[i]));
    }
    return LP_OK;
}

static void free_all(lp_outputs *outputs, uint32_t n)
{
    for (uint32_t i = 0; outputs != NULL && i < n; i++)
        lp_outputs_free(&outputs[i]);
    free(outputs);
}

/* First node of which both sides have an output that differs in its bits, or LP_NONE. */
static uint32_t first_difference(const runner *r, const lp_outputs *a, const lp_outputs *b)
{
    for (uint32_t i = 0; i < r->graph->n_nodes; i++) {
        lp_step step;
        lp_step_describe(r->graph, i, position_of(r), &step);
        for (int d = 0; d < LP_MAX_DST; d++)
            if (a[i].values[d] != NULL && b[i].values[d] != NULL &&
                memcmp(a[i].values[d], b[i].values[d], step.n_outputs[d] * sizeof(float)) != 0)
                return i;
    }
    return LP_NONE;
}

static lp_status read_logits(const runner *r, lp_program *program, float **logits)
{
    const lp_tensor_id id = lp_drift_logits(r->graph);
    *logits = NULL;
    if (id == LP_NONE)
        return LP_OK;
    *logits = malloc((size_t)lp_shape_elements(r->graph->tensors[id].shape) * sizeof(float));
    if (*logits == NULL)
        return lp_fail_memory(r->ctx, "logits");
    return r->backend->table->tensor_read(program, id, *logits);
}

/* The plan up to node `last`, run from the same state; what that node has computed by then. */
static lp_status run_prefix(const runner *r, uint32_t last, lp_outputs *outputs)
{
    const lp_backend_table *table = r->backend->table;
    lp_plan *plan;
    lp_program *program = NULL;
    LP_TRY(lp_plan_create(r->ctx, r->graph, table->caps(r->backend), *r->options, &plan));
    while (plan->n_dispatches > 0 && plan->dispatches[plan->n_dispatches - 1].node > last)
        plan->n_dispatches--;
    LP_TRY(table->program_from_plan(r->backend, r->graph, plan, &program));
    lp_status status = run(r, program);
    if (status == LP_OK) {
        lp_step step;
        lp_step_describe(r->graph, last, position_of(r), &step);
        status = lp_step_outputs(r->ctx, &step, r->backend, program, outputs);
    }
    table->program_destroy(program);
    return status;
}

/* The first node that computes something else within the plan than with all activations kept. */
static lp_status find_first(const runner *r, const lp_outputs *kept, uint32_t *node)
{
    *node = LP_NONE;
    for (uint32_t i = 0; i < r->graph->n_nodes && *node == LP_NONE; i++) {
        lp_outputs *here = calloc(r->graph->n_nodes, sizeof *here);
        if (here == NULL)
            return lp_fail_memory(r->ctx, "outputs");
        lp_status status = run_prefix(r, i, &here[i]);
        if (status == LP_OK)
            *node = first_difference(r, here, kept);
        free_all(here, r->graph->n_nodes);
        LP_TRY(status);
    }
    return LP_OK;
}

/* Runs twice from the same state; differences are a finding. */
static lp_status compare_runs(const runner *r, lp_program *plain, lp_program *kept, lp_drift *drift)
{
    lp_status status = LP_OK;
    float *logits = NULL;
    uint32_t first = LP_NONE;
    lp_outputs *slots = calloc(r->graph->n_nodes + 1, sizeof *slots);
    if (slots == NULL)
        return lp_fail_memory(r->ctx, "outputs");
    LP_CHECK(run(r, plain));
    LP_CHECK(read_logits(r, plain, &logits));
    LP_CHECK(read_all(r, plain, true, slots));
    LP_CHECK(run(r, kept));
    LP_CHECK(read_logits(r, kept, &drift->logits));
    LP_CHECK(read_all(r, kept, false, drift->outputs));
    first = first_difference(r, slots, drift->outputs);
    const lp_tensor_id id = lp_drift_logits(r->graph);
    if (first == LP_NONE && id != LP_NONE &&
        memcmp(logits, drift->logits,
               (size_t)lp_shape_elements(r->graph->tensors[id].shape) * sizeof(float)) != 0)
        first = r->graph->n_nodes - 1;
    if (first != LP_NONE && drift->finding == LP_FINDING_NONE) {
        drift->finding = LP_FINDING_REPLAY;
        drift->node = first;
        if (r->backend->table->program_from_plan != NULL) {
            LP_CHECK(find_first(r, drift->outputs, &first));
            if (first != LP_NONE)
                drift->node = first;
        }
        /* what the plan of generation computes is what the user sees */
        free(drift->logits);
        drift->logits = logits;
        logits = NULL;
    }
cleanup:
    free_all(slots, r->graph->n_nodes);
    free(logits);
    return status;
}

static lp_status prove(const runner *r, lp_program *plain, lp_drift *drift)
{
    const lp_plan *plan =
        r->backend->table->program_plan != NULL ? r->backend->table->program_plan(plain) : NULL;
    if (plan == NULL)
        return LP_OK;
    LP_TRY(lp_plan_find_hazard(r->ctx, r->graph, plan, &drift->detail, &drift->node));
    if (drift->detail != NULL) {
        drift->finding = LP_FINDING_HAZARD;
        return LP_OK;
    }
    LP_TRY(lp_plan_find_overlap(r->ctx, r->graph, plan, &drift->detail, &drift->node));
    if (drift->detail != NULL)
        drift->finding = LP_FINDING_OVERLAP;
    return LP_OK;
}

lp_status lp_drift_run(lp_context *ctx, lp_backend *backend, const lp_graph *graph,
                       const lp_plan_options *options, const lp_drift_start *start, lp_drift *drift)
{
    lp_status status = LP_OK;
    const runner r = {ctx, backend, graph, options, start};
    lp_program *plain = NULL, *kept = NULL;
    lp_plan_options keep = *options;
    keep.keep_all = true;
    *drift = (lp_drift){.n_nodes = graph->n_nodes};
    drift->outputs = calloc(graph->n_nodes + 1, sizeof *drift->outputs);
    if (drift->outputs == NULL)
        return lp_fail_memory(ctx, "outputs");
    LP_CHECK(backend->table->program_create(backend, graph, *options, &plain));
    LP_CHECK(backend->table->program_create(backend, graph, keep, &kept));
    LP_CHECK(prove(&r, plain, drift));
    LP_CHECK(compare_runs(&r, plain, kept, drift));
cleanup:
    if (plain != NULL)
        backend->table->program_destroy(plain);
    if (kept != NULL)
        backend->table->program_destroy(kept);
    if (status != LP_OK)
        lp_drift_free(drift);
    return status;
}

void lp_drift_free(lp_drift *drift)
{
    free_all(drift->outputs, drift->n_nodes);
    free(drift->logits);
    free(drift->detail);
    *drift = (lp_drift){0};
}
