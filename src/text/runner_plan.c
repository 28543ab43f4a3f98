/* What a runner would take, without a device: see runner.h. */
#include "text/runner_state.h"

#include <stdio.h>

static void add_slots(const lp_runner *s, bool on_device, lp_footprint *plan)
{
    for (uint32_t i = 0; i < s->store.n_slots; i++) {
        const lp_slot *slot = &s->store.slots[i];
        const bool weight = slot->kind == LP_SLOT_WEIGHT;
        const uint64_t bytes = weight && !on_device
                                   ? (uint64_t)lp_dtype_file_bytes(slot->dtype, slot->shape)
                                   : lp_slot_device_bytes(slot);
        *(weight || slot->kind == LP_SLOT_TABLE ? &plan->bytes.weights : &plan->bytes.cache) +=
            bytes;
        plan->n_weights += weight;
        if (bytes > plan->largest_bytes) {
            plan->largest_bytes = bytes;
            snprintf(plan->largest, sizeof plan->largest, "%s", slot->name);
        }
        if (slot->kind == LP_SLOT_STATE && slot->shape.n == 3 &&
            slot->shape.dim[0] == (int64_t)s->n_ctx)
            plan->cache_per_token += bytes / s->n_ctx;
    }
}

/* Activations and scratch of a program of n tokens that sees the whole context. */
static lp_status add_program(lp_runner *s, const lp_caps *caps, uint32_t n, lp_run_end end,
                             lp_footprint *plan)
{
    lp_status status;
    lp_graph *graph = NULL;
    lp_arena_plan arena = {0};
    lp_plan *dispatches = NULL;
    LP_CHECK(lp_runner_graph(s, n, s->n_ctx, end, &graph));
    uint64_t bytes;
    if (caps != NULL) {
        LP_CHECK(lp_plan_create(s->ctx, graph, caps, s->how.plan, &dispatches));
        bytes = dispatches->arena.bytes;
        plan->n_dispatches = dispatches->n_dispatches;
        plan->n_barriers = 0;
        for (uint32_t i = 0; i < dispatches->n_dispatches; i++)
            plan->n_barriers += dispatches->dispatches[i].barrier;
    } else {
        LP_CHECK(lp_plan_memory(s->ctx, graph, NULL, s->how.plan, &arena));
        bytes = arena.bytes;
    }
    if (bytes > plan->bytes.activations)
        plan->bytes.activations = bytes;
cleanup:
    lp_plan_destroy(dispatches);
    lp_arena_plan_free(&arena);
    lp_graph_destroy(graph);
    return status;
}

lp_status lp_runner_plan_memory(lp_context *ctx, const lp_network *network, const lp_caps *caps,
                                const lp_session_options *options,
                                const lp_runner_programs *programs, lp_footprint *plan)
{
    lp_status status;
    lp_graph *first = NULL;
    lp_backend backend = {.ctx = ctx}; /* graphs ask for no more */
    lp_runner s = {.ctx = ctx, .network = network, .backend = &backend, .how = *programs};
    lp_run_end end;
    *plan = (lp_footprint){0};
    LP_CHECK(lp_runner_sizes(&s, options));
    const uint32_t n_first = lp_runner_first(&s, &end);
    LP_CHECK(lp_runner_graph(&s, n_first, lp_runner_bucket(1, s.n_ctx), end, &first));
    s.store.frozen = true;
    plan->n_ctx = s.n_ctx;
    plan->n_batch = end == LP_END_PICTURE ? n_first : s.n_batch;
    add_slots(&s, caps != NULL, plan);
    if (end != LP_END_PICTURE && network->hparams.encoder.n_layer > 0)
        LP_CHECK(add_program(&s, caps, s.n_batch,
                             network->hparams.retrieval.chunk > 0 ? LP_END_CONTEXT : LP_END_SOURCE,
                             plan));
    LP_CHECK(add_program(&s, caps, plan->n_batch, end, plan));
    if (end == LP_END_SAMPLE) /* the last: a step's dispatches are told */
        LP_CHECK(add_program(&s, caps, 1, end, plan));
cleanup:
    lp_graph_destroy(first);
    lp_store_destroy(&s.store);
    return status;
}
