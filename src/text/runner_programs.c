/* The programs of a runner: recorded once, the least recently used one makes room. */
#include "text/runner_state.h"

#define MIN_BUCKET 256 /* keys; buckets are powers of two, the last one is the whole context */

uint32_t lp_runner_bucket(uint32_t keys, uint32_t n_ctx)
{
    uint32_t size = MIN_BUCKET;
    while (size < keys)
        size *= 2;
    return lp_min_u32(size, n_ctx);
}

void lp_runner_drop_program(lp_runner *s, uint32_t i)
{
    s->backend->table->program_destroy(s->programs[i].program);
    lp_graph_destroy(s->programs[i].graph);
    s->programs[i] = s->programs[--s->n_programs];
}

lp_status lp_runner_graph(lp_runner *s, uint32_t n_tokens, uint32_t kv_max, lp_run_end end,
                          lp_graph **graph)
{
    const bool picture = end == LP_END_PICTURE;
    const bool labels = picture && lp_network_has_head(s->network);
    lp_network_options options = {
        .n_tokens = (int32_t)n_tokens,
        .n_ctx = (int32_t)s->n_ctx,
        .kv_max = (int32_t)kv_max,
        .kv_dtype = s->cache_type,
        .outputs = end == LP_END_LOGITS ? LP_OUTPUTS_LAST
                   : end == LP_END_ALL_LOGITS || end == LP_END_EVERYTHING || labels
                       ? LP_OUTPUTS_ALL
                       : LP_OUTPUTS_NONE,
        .hidden = end == LP_END_HIDDEN || end == LP_END_EVERYTHING || picture,
        .sample = end == LP_END_SAMPLE,
        .part = end == LP_END_SOURCE    ? LP_PART_ENCODER
                : picture               ? LP_PART_PICTURE
                : end == LP_END_CONTEXT ? LP_PART_CONTEXT
                                        : LP_PART_DECODER,
        .no_fusion = s->how.no_fusion,
        .int8_types = s->how.no_int8 ? 0 : s->backend->int8_types};
    return lp_network_graph(s->ctx, s->network, &s->store, &options, graph);
}

lp_status lp_runner_program(lp_runner *s, uint32_t n_tokens, uint32_t keys, lp_run_end end,
                            lp_run_keep keep, lp_run_program **found)
{
    uint32_t kv_max = lp_runner_bucket(keys, s->n_ctx);
    for (uint32_t i = 0; i < s->n_programs; i++) {
        lp_run_program *e = &s->programs[i];
        if (e->n_tokens == n_tokens && e->kv_max == kv_max && e->end == end && e->keep == keep &&
            keep != LP_KEEP_NODE) {
            e->used = ++s->clock;
            *found = e;
            return LP_OK;
        }
    }
    if (s->n_programs == LP_MAX_RUN_PROGRAMS) {
        uint32_t oldest = 0;
        for (uint32_t i = 1; i < s->n_programs; i++)
            if (s->programs[i].used < s->programs[oldest].used)
                oldest = i;
        LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
        lp_runner_drop_program(s, oldest);
    }
    lp_run_program entry = {.n_tokens = n_tokens,
                            .kv_max = kv_max,
                            .end = end,
                            .keep = keep,
                            .node = LP_NONE,
                            .used = ++s->clock};
    lp_plan_options options = s->how.plan;
    options.keep_all = keep == LP_KEEP_ALL;
    LP_TRY(lp_runner_graph(s, n_tokens, kv_max, end, &entry.graph));
    if (keep == LP_KEEP_NODE)
        lp_guard_keep(entry.graph, entry.node = lp_guard_pick(&s->guard, entry.graph));
    lp_status status =
        s->backend->table->program_create(s->backend, entry.graph, options, &entry.program);
    if (status != LP_OK) {
        lp_graph_destroy(entry.graph);
        return status;
    }
    *found = &s->programs[s->n_programs++];
    **found = entry;
    return LP_OK;
}

lp_status lp_runner_trim(lp_runner *s)
{
    lp_status status = s->backend->table->wait(s->backend, s->last_ticket);
    while (s->n_programs > 0)
        lp_runner_drop_program(s, s->n_programs - 1);
    return status;
}
