/* The CPU executor: see cpu_backend.h. Weights stay in the mapped files, in the files' types; the
 * ops' C functions read them there. A program is an arena and one resolved call per node. */
#include "cpu/cpu_backend.h"

#include <stdlib.h>
#include <string.h>

#include "ops/simd.h"

typedef struct cpu_backend {
    lp_backend base;
    const lp_simd *simd; /* NULL: the reference */
    lp_store *store;     /* after load */
    void **states;       /* per slot: memory of states, NULL for weights and tables */
    uint64_t state_bytes, arena_bytes;
    uint64_t ticket;
} cpu_backend;

struct lp_program {
    cpu_backend *backend;
    const lp_graph *graph;
    lp_arena_plan plan;
    uint8_t *arena;
    lp_cpu_call *calls; /* per node */
};

static void backend_destroy(lp_backend *backend)
{
    if (backend == NULL)
        return;
    cpu_backend *cpu = (cpu_backend *)backend;
    for (uint32_t i = 0; cpu->states != NULL && i < cpu->store->n_slots; i++)
        free(cpu->states[i]);
    free(cpu->states);
    free(cpu);
}

static uint64_t slot_bytes(const lp_slot *slot)
{
    return slot->kind == LP_SLOT_WEIGHT ? (uint64_t)lp_dtype_file_bytes(slot->dtype, slot->shape)
                                        : (uint64_t)lp_state_size(slot->dtype, slot->shape);
}

static lp_status backend_load(lp_backend *backend, lp_store *store, lp_progress_fn progress,
                              void *user)
{
    cpu_backend *cpu = (cpu_backend *)backend;
    cpu->store = store;
    store->frozen = true;
    cpu->states = calloc(store->n_slots + 1, sizeof *cpu->states);
    if (cpu->states == NULL)
        return lp_fail_memory(backend->ctx, "the states of a session");
    for (uint32_t i = 0; i < store->n_slots; i++) {
        const lp_slot *slot = &store->slots[i];
        if (slot->kind == LP_SLOT_WEIGHT || slot->kind == LP_SLOT_TABLE)
            continue;
        cpu->states[i] = calloc(1, slot_bytes(slot) + 1);
        if (cpu->states[i] == NULL)
            return lp_fail_memory(backend->ctx, slot->name);
        cpu->state_bytes += slot_bytes(slot);
    }
    if (progress != NULL && progress(user, 1, 1) != 0)
        return lp_fail(backend->ctx, LP_E_CANCELLED, "loading was cancelled");
    return LP_OK;
}

static void program_destroy(lp_program *program)
{
    if (program == NULL)
        return;
    lp_arena_plan_free(&program->plan);
    free(program->arena);
    free(program->calls);
    free(program);
}

static void *slot_data(const cpu_backend *cpu, uint32_t slot)
{
    if (cpu->states[slot] != NULL)
        return cpu->states[slot];
    return (void *)(uintptr_t)cpu->store->slots[slot].data; /* ops only read weights and tables */
}

static lp_view view_of(const lp_program *program, lp_tensor_id id)
{
    if (id == LP_NONE)
        return (lp_view){0};
    const lp_tensor *t = &program->graph->tensors[id];
    lp_view view = {.dtype = t->dtype, .shape = t->shape, .stride = t->stride};
    if (t->slot == LP_NONE)
        view.data = program->arena + program->plan.tensor_offset[id];
    else
        view.data = (uint8_t *)slot_data(program->backend, t->slot) +
                    t->offset / lp_dtype_table[t->dtype].block * lp_dtype_table[t->dtype].bytes;
    return view;
}

static lp_status program_create(lp_backend *backend, const lp_graph *graph, lp_plan_options options,
                                lp_program **result)
{
    lp_status status = LP_OK;
    cpu_backend *cpu = (cpu_backend *)backend;
    lp_program *program = calloc(1, sizeof *program);
    if (program == NULL)
        return lp_fail_memory(backend->ctx, "a program");
    program->backend = cpu;
    program->graph = graph;
    LP_CHECK(lp_plan_memory(backend->ctx, graph, NULL, options, &program->plan));
    program->arena = aligned_alloc(256, (program->plan.bytes + 511) / 256 * 256);
    program->calls = calloc(graph->n_nodes + 1, sizeof *program->calls);
    if (program->arena == NULL || program->calls == NULL) {
        status = lp_fail_memory(backend->ctx, "a program");
        goto cleanup;
    }
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        lp_cpu_call *call = &program->calls[i];
        const lp_node *node = &graph->nodes[i];
        *call = (lp_cpu_call){.ctx = backend->ctx,
                              .graph = graph,
                              .node = node,
                              .simd = cpu->simd,
                              .deterministic = options.deterministic};
        for (int s = 0; s < LP_MAX_SRC; s++)
            call->src[s] = view_of(program, node->src[s]);
        for (int d = 0; d < LP_MAX_DST; d++)
            call->dst[d] = view_of(program, node->dst[d]);
    }
    if (program->plan.bytes > cpu->arena_bytes)
        cpu->arena_bytes = program->plan.bytes;
    *result = program;
    return LP_OK;
cleanup:
    program_destroy(program);
    return status;
}

lp_status lp_cpu_program_node(lp_program *program, uint32_t node, float *sigma)
{
    lp_cpu_call call = program->calls[node];
    call.sigma = sigma;
    return lp_op_table[call.node->op].cpu(&call);
}

static lp_status submit(lp_program *program, unsigned count, uint64_t *ticket)
{
    for (unsigned run = 0; run < count; run++)
        for (uint32_t i = 0; i < program->graph->n_nodes; i++)
            LP_TRY(lp_op_table[program->graph->nodes[i].op].cpu(&program->calls[i]));
    *ticket = ++program->backend->ticket;
    return LP_OK;
}

static lp_status wait_ticket(lp_backend *backend, uint64_t ticket)
{
    (void)backend;
    (void)ticket; /* submit() returned when it was done */
    return LP_OK;
}

static lp_status slot_range(lp_backend *backend, uint32_t slot, uint64_t offset, uint64_t bytes,
                            uint8_t **at)
{
    cpu_backend *cpu = (cpu_backend *)backend;
    if (cpu->states == NULL || slot >= cpu->store->n_slots || cpu->states[slot] == NULL ||
        offset > slot_bytes(&cpu->store->slots[slot]) ||
        bytes > slot_bytes(&cpu->store->slots[slot]) - offset)
        return lp_fail(backend->ctx, LP_E_ARG, "slot %u has no state of %llu bytes at %llu", slot,
                       (unsigned long long)bytes, (unsigned long long)offset);
    *at = (uint8_t *)cpu->states[slot] + offset;
    return LP_OK;
}

static lp_status slot_read(lp_backend *backend, uint32_t slot, uint64_t offset, void *to,
                           uint64_t bytes)
{
    uint8_t *at = NULL;
    LP_TRY(slot_range(backend, slot, offset, bytes, &at));
    memcpy(to, at, bytes);
    return LP_OK;
}

static lp_status slot_write(lp_backend *backend, uint32_t slot, uint64_t offset, const void *from,
                            uint64_t bytes)
{
    uint8_t *at = NULL;
    LP_TRY(slot_range(backend, slot, offset, bytes, &at));
    memcpy(at, from, bytes);
    return LP_OK;
}

/* Copies between contiguous rows and a tensor's own stride. */
static void copy_rows(const lp_program *program, lp_tensor_id id, float *to, const float *from)
{
    lp_view view = view_of(program, id);
    size_t row = (size_t)lp_shape_row(view.shape);
    for (int64_t i = 0; i < view.shape.dim[0]; i++) {
        float *at = (float *)view.data + (size_t)i * view.stride;
        if (to != NULL)
            memcpy(to + (size_t)i * row, at, row * sizeof *at);
        else
            memcpy(at, from + (size_t)i * row, row * sizeof *at);
    }
}

static lp_status tensor_read(lp_program *program, lp_tensor_id id, float *to)
{
    copy_rows(program, id, to, NULL);
    return LP_OK;
}

static lp_status tensor_write(lp_program *program, lp_tensor_id id, const float *from)
{
    copy_rows(program, id, NULL, from);
    return LP_OK;
}

static void memory(const lp_backend *backend, uint64_t bytes[4])
{
    const cpu_backend *cpu = (const cpu_backend *)backend;
    bytes[0] = 0;
    for (uint32_t i = 0; cpu->store != NULL && i < cpu->store->n_slots; i++)
        if (cpu->store->slots[i].kind == LP_SLOT_WEIGHT)
            bytes[0] += slot_bytes(&cpu->store->slots[i]);
    bytes[1] = cpu->state_bytes;
    bytes[2] = cpu->arena_bytes;
    bytes[3] = 0;
}

static const lp_backend_table table = {
    .destroy = backend_destroy,
    .load = backend_load,
    .program_create = program_create,
    .program_destroy = program_destroy,
    .submit = submit,
    .wait = wait_ticket,
    .slot_read = slot_read,
    .slot_write = slot_write,
    .tensor_read = tensor_read,
    .tensor_write = tensor_write,
    .memory = memory,
};

lp_status lp_cpu_backend_create(lp_context *ctx, bool fast, lp_backend **backend)
{
    cpu_backend *cpu = calloc(1, sizeof *cpu);
    if (cpu == NULL)
        return lp_fail_memory(ctx, "the CPU device");
    cpu->base =
        (lp_backend){.table = &table, .ctx = ctx, .ahead = 1, .name = fast ? "cpu" : "reference"};
    cpu->simd = fast ? lp_simd_choose() : NULL;
    for (int t = 0; fast && t < LP_N_DTYPES; t++)
        if (cpu->simd->int8_dots[t] != NULL)
            cpu->base.int8_types |= 1u << t;
    *backend = &cpu->base;
    return LP_OK;
}
