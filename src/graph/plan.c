/* From graph to plan: lifetimes and offsets, then every node's dispatches, then barriers. */
#include "graph/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "graph/memory.h"

/* One interval per activation that is its own base, then one per node with scratch. `owner` is the
 * tensor, or n_tensors + node. */
lp_status lp_plan_memory(lp_context *ctx, const lp_graph *g, const lp_caps *caps,
                         lp_plan_options options, lp_arena_plan *plan)
{
    *plan = (lp_arena_plan){0};
    uint32_t most = g->n_tensors + g->n_nodes + 1, n = 0;
    lp_interval *intervals = calloc(most, sizeof *intervals);
    uint32_t *owner = malloc(most * sizeof *owner), *of = malloc(most * sizeof *of);
    lp_status status = LP_OK;
    plan->tensor_offset = malloc((g->n_tensors + 1) * sizeof *plan->tensor_offset);
    plan->scratch_offset = malloc((g->n_nodes + 1) * sizeof *plan->scratch_offset);
    if (intervals == NULL || owner == NULL || of == NULL || plan->tensor_offset == NULL ||
        plan->scratch_offset == NULL) {
        status = lp_fail_memory(ctx, "the memory plan");
        goto cleanup;
    }
    for (uint32_t i = 0; i < g->n_tensors; i++)
        plan->tensor_offset[i] = UINT64_MAX;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        plan->scratch_offset[i] = UINT64_MAX;
    uint32_t end = g->n_nodes ? g->n_nodes - 1 : 0;
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        const lp_tensor *t = &g->tensors[i];
        of[i] = LP_NONE;
        if (t->slot != LP_NONE || t->base != i)
            continue;
        of[i] = n;
        owner[n] = i;
        /* An input is written by the host before the run: in use from the start. */
        intervals[n++] = (lp_interval){
            .first = UINT32_MAX, .last = 0, .bytes = lp_tensor_extent(t) * sizeof(float)};
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const lp_node *node = &g->nodes[i];
        for (int k = 0; k < LP_MAX_SRC + LP_MAX_DST; k++) {
            bool write = k >= LP_MAX_SRC;
            lp_tensor_id id = write ? node->dst[k - LP_MAX_SRC] : node->src[k];
            if (id == LP_NONE || of[g->tensors[id].base] == LP_NONE)
                continue;
            lp_interval *at = &intervals[of[g->tensors[id].base]];
            if (at->first == UINT32_MAX)
                at->first = write ? i : 0;
            at->last = i;
        }
        uint64_t scratch = 0;
        if (caps != NULL && lp_op_table[node->op].scratch != NULL)
            scratch = lp_op_table[node->op].scratch(g, node, caps);
        if (scratch != 0) {
            owner[n] = g->n_tensors + i;
            intervals[n++] = (lp_interval){.first = i, .last = i, .bytes = scratch};
        }
    }
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        uint32_t base = of[g->tensors[i].base];
        if (g->tensors[i].output && base != LP_NONE)
            intervals[base].last = end;
    }
    for (uint32_t i = 0; i < n; i++)
        if (intervals[i].first == UINT32_MAX) /* fused away */
            intervals[i] = (lp_interval){0};
    LP_CHECK(lp_memory_plan(ctx, intervals, n, options.guard_bytes, options.keep_all,
                            &plan->bytes));
    for (uint32_t i = 0; i < n; i++)
        if (owner[i] < g->n_tensors)
            plan->tensor_offset[owner[i]] = intervals[i].offset;
        else
            plan->scratch_offset[owner[i] - g->n_tensors] = intervals[i].offset;
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        const lp_tensor *t = &g->tensors[i];
        if (t->slot == LP_NONE && t->base != i)
            plan->tensor_offset[i] = plan->tensor_offset[t->base] + t->offset * sizeof(float);
    }
cleanup:
    free(intervals);
    free(owner);
    free(of);
    if (status != LP_OK)
        lp_arena_plan_free(plan);
    return status;
}

void lp_arena_plan_free(lp_arena_plan *plan)
{
    free(plan->tensor_offset);
    free(plan->scratch_offset);
    *plan = (lp_arena_plan){0};
}

lp_status lp_plan_create(lp_context *ctx, const lp_graph *graph, const lp_caps *caps,
                         lp_plan_options options, lp_plan **result)
{
    lp_status status = LP_OK;
    lp_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL)
        return lp_fail_memory(ctx, "a plan");
    LP_CHECK(lp_plan_memory(ctx, graph, caps, options, &plan->arena));
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        lp_planner pl = {.ctx = ctx,
                         .graph = graph,
                         .caps = caps,
                         .options = &options,
                         .plan = plan,
                         .node = i};
        LP_CHECK(lp_op_table[graph->nodes[i].op].plan(&pl, &graph->nodes[i]));
    }
    lp_plan_barriers(plan, options.full_barriers);
    if (options.alter != NULL)
        options.alter(options.alter_user, graph, plan);
    if (plan->failed) {
        status = lp_fail_memory(ctx, "a plan");
        goto cleanup;
    }
    *result = plan;
    return LP_OK;
cleanup:
    lp_plan_destroy(plan);
    return status;
}

void lp_plan_destroy(lp_plan *plan)
{
    if (plan == NULL)
        return;
    free(plan->dispatches);
    lp_arena_plan_free(&plan->arena);
    free(plan);
}

lp_status lp_plan_kernel(lp_planner *pl, const char *family, const char *variant,
                         const lp_kernel **kernel)
{
    *kernel = lp_kernel_find(pl->caps, &pl->options->refused, family, variant);
    if (*kernel != NULL)
        return LP_OK;
    const char *node = pl->graph->nodes[pl->node].name, *by = pl->options->refused_by;
    const lp_kernel *refused = lp_kernel_find(pl->caps, NULL, family, variant);
    if (refused == NULL)
        return lp_fail(pl->ctx, LP_E_UNSUPPORTED, "%s: no kernel %s for %s on this device", node,
                       family, variant);
    return lp_fail(pl->ctx, LP_E_UNSUPPORTED,
                   "%s: no kernel %s for %s is left on this device: %s was refused%s%s", node,
                   family, variant, refused->name, by != NULL ? " by " : "", by != NULL ? by : "");
}

lp_dispatch *lp_plan_dispatch(lp_planner *pl, const lp_kernel *kernel, uint32_t gx, uint32_t gy,
                              uint32_t gz, const void *push, size_t push_bytes)
{
    lp_plan *plan = pl->plan;
    if (plan->n_dispatches == plan->capacity) {
        uint32_t capacity = plan->capacity ? 2 * plan->capacity : 256;
        lp_dispatch *more = realloc(plan->dispatches, capacity * sizeof *more);
        if (more == NULL) {
            plan->failed = true;
            return &plan->spare;
        }
        plan->dispatches = more;
        plan->capacity = capacity;
    }
    assert(push_bytes <= LP_MAX_PUSH);
    lp_dispatch *d = &plan->dispatches[plan->n_dispatches++];
    *d = (lp_dispatch){.kernel = kernel,
                       .node = pl->node,
                       .groups = {gx, gy, gz},
                       .n_push = (uint32_t)push_bytes};
    memcpy(d->push, push, push_bytes);
    return d;
}

void lp_dispatch_spec(lp_dispatch *d, uint32_t id, uint32_t value)
{
    assert(id < LP_MAX_SPEC);
    d->spec[id] = value;
    if (id >= d->n_spec)
        d->n_spec = id + 1;
}

static void add_range(lp_dispatch *d, size_t at, lp_range range, lp_access access)
{
    assert(d->n_relocations < LP_MAX_RANGES && d->n_reads < LP_MAX_RANGES &&
           d->n_writes < LP_MAX_RANGES && at + 8 <= d->n_push);
    d->relocations[d->n_relocations++] = (lp_relocation){
        .push_offset = (uint16_t)at, .buffer = range.buffer, .offset = range.offset};
    if (range.bytes == 0)
        return;
    if (access & LP_READ)
        d->reads[d->n_reads++] = range;
    if (access & LP_WRITE)
        d->writes[d->n_writes++] = range;
    d->bytes += (double)range.bytes;
}

void lp_dispatch_tensor(lp_planner *pl, lp_dispatch *d, size_t at, lp_tensor_id id,
                        lp_access access)
{
    if (id == LP_NONE || d == &pl->plan->spare)
        return;
    const lp_tensor *t = &pl->graph->tensors[id];
    lp_range range;
    if (t->slot == LP_NONE)
        range = (lp_range){.buffer = LP_BUFFER_ARENA,
                           .offset = pl->plan->arena.tensor_offset[id],
                           .bytes = lp_tensor_extent(t) * sizeof(float)};
    else {
        const lp_slot *slot = &pl->graph->store->slots[t->slot];
        range.buffer = LP_BUFFER_SLOT(t->slot);
        if (slot->kind == LP_SLOT_WEIGHT) {
            assert(t->offset == 0); /* the device layout has no views */
            range.offset = 0;
            range.bytes = lp_slot_device_bytes(slot);
        } else {
            range.offset = lp_state_bytes(t->dtype, t->offset);
            range.bytes = lp_tensor_bytes(t);
        }
    }
    add_range(d, at, range, access);
}

void lp_dispatch_scratch(lp_planner *pl, lp_dispatch *d, size_t at, uint64_t offset, uint64_t bytes,
                         lp_access access)
{
    if (d == &pl->plan->spare)
        return;
    uint64_t start = pl->plan->arena.scratch_offset[pl->node];
    assert(start != UINT64_MAX);
    add_range(d, at, (lp_range){LP_BUFFER_ARENA, start + offset, bytes}, access);
}

static bool overlap(const lp_range *a, uint32_t n_a, const lp_range *b, uint32_t n_b)
{
    for (uint32_t i = 0; i < n_a; i++)
        for (uint32_t j = 0; j < n_b; j++)
            if (a[i].buffer == b[j].buffer && a[i].offset < b[j].offset + b[j].bytes &&
                b[j].offset < a[i].offset + a[i].bytes)
                return true;
    return false;
}

void lp_plan_barriers(lp_plan *plan, bool full)
{
    uint32_t since = 0; /* first dispatch after the last barrier */
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        lp_dispatch *d = &plan->dispatches[i];
        d->barrier = full && i > 0;
        for (uint32_t j = since; j < i && !d->barrier; j++) {
            const lp_dispatch *e = &plan->dispatches[j];
            d->barrier = overlap(d->reads, d->n_reads, e->writes, e->n_writes) ||
                         overlap(d->writes, d->n_writes, e->reads, e->n_reads) ||
                         overlap(d->writes, d->n_writes, e->writes, e->n_writes);
        }
        if (d->barrier)
            since = i;
    }
}

static void print_range(lp_text *text, const lp_graph *g, const lp_range *r)
{
    if (r->buffer == LP_BUFFER_ARENA)
        lp_text_printf(text, " [%llu+%llu]", (unsigned long long)r->offset,
                       (unsigned long long)r->bytes);
    else
        lp_text_printf(text, " %s", g->store->slots[r->buffer - 1].name);
}

char *lp_plan_print(const lp_graph *graph, const lp_plan *plan)
{
    lp_text text = {0};
    lp_text_printf(&text, "arena %llu bytes, %u dispatches\n",
                   (unsigned long long)plan->arena.bytes, plan->n_dispatches);
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        const lp_dispatch *d = &plan->dispatches[i];
        lp_text_printf(&text, "%s%4u  %-20s %-20s %ux%ux%u spec", d->barrier ? "-- barrier\n" : "",
                       i, graph->nodes[d->node].name, d->kernel->name, d->groups[0], d->groups[1],
                       d->groups[2]);
        for (uint32_t s = 0; s < d->n_spec; s++)
            lp_text_printf(&text, " %u", d->spec[s]);
        lp_text_printf(&text, " reads");
        for (uint32_t r = 0; r < d->n_reads; r++)
            print_range(&text, graph, &d->reads[r]);
        lp_text_printf(&text, " writes");
        for (uint32_t r = 0; r < d->n_writes; r++)
            print_range(&text, graph, &d->writes[r]);
        lp_text_printf(&text, "\n");
    }
    return lp_text_take(&text);
}
