/* The prover: memory is cut at every boundary that any range has, and each piece is followed
 * through the execution by itself. */
#include "check/plan_proof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

typedef struct cuts {
    uint64_t *at; /* sorted, unique */
    size_t n, capacity;
    bool failed; /* out of memory */
} cuts;

static void cut(cuts *c, uint64_t at)
{
    if (c->n == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 1024;
        uint64_t *more = realloc(c->at, capacity * sizeof *more);
        if (more == NULL) {
            c->failed = true;
            return;
        }
        c->at = more;
        c->capacity = capacity;
    }
    c->at[c->n++] = at;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void sort(cuts *c)
{
    if (c->n > 0) /* qsort(NULL, 0) is undefined */
        qsort(c->at, c->n, sizeof *c->at, compare);
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (n == 0 || c->at[n - 1] != c->at[i])
            c->at[n++] = c->at[i];
    c->n = n;
}

static bool covers(const lp_range *r, uint32_t n, uint32_t buffer, uint64_t byte)
{
    for (uint32_t i = 0; i < n; i++)
        if (r[i].buffer == buffer && byte >= r[i].offset && byte - r[i].offset < r[i].bytes)
            return true;
    return false;
}

static lp_status hazard_in(lp_context *ctx, const lp_graph *graph, const lp_plan *plan,
                           uint32_t buffer, char **hazard, uint32_t *node)
{
    cuts c = {0};
    char *found = NULL;
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        const lp_dispatch *d = &plan->dispatches[i];
        for (uint32_t r = 0; r < d->n_reads + d->n_writes; r++) {
            const lp_range *range = r < d->n_reads ? &d->reads[r] : &d->writes[r - d->n_reads];
            if (range->buffer == buffer) {
                cut(&c, range->offset);
                cut(&c, range->offset + range->bytes);
            }
        }
    }
    if (c.failed) {
        free(c.at);
        return lp_fail_memory(ctx, "the proof of a plan");
    }
    sort(&c);
    for (size_t piece = 0; piece + 1 < c.n && found == NULL; piece++) {
        uint64_t byte = c.at[piece];
        int64_t epoch = 0, writer = -1, reader = -1, write_epoch = -1, read_epoch = -1;
        for (uint32_t run = 0; run < 2 && found == NULL; run++)
            for (uint32_t i = 0; i < plan->n_dispatches && found == NULL; i++) {
                const lp_dispatch *d = &plan->dispatches[i];
                epoch += d->barrier || (run == 1 && i == 0); /* a replay begins with a barrier */
                bool reads = covers(d->reads, d->n_reads, buffer, byte);
                bool writes = covers(d->writes, d->n_writes, buffer, byte);
                int64_t other = -1;
                if ((reads || writes) && write_epoch == epoch)
                    other = writer;
                if (writes && read_epoch == epoch)
                    other = reader;
                if (other >= 0) {
                    lp_text text = {0};
                    lp_text_printf(
                        &text, "dispatches %d (%s) and %u (%s) collide at buffer %u, byte %llu",
                        (int)other, graph->nodes[plan->dispatches[other].node].name, i,
                        graph->nodes[d->node].name, buffer, (unsigned long long)byte);
                    found = lp_text_take(&text);
                    *node = d->node;
                    if (found == NULL) {
                        free(c.at);
                        return lp_fail_memory(ctx, "the proof of a plan");
                    }
                }
                if (writes) {
                    writer = i;
                    write_epoch = epoch;
                }
                if (reads) {
                    reader = i;
                    read_epoch = epoch;
                }
            }
    }
    free(c.at);
    *hazard = found;
    return LP_OK;
}

lp_status lp_plan_find_hazard(lp_context *ctx, const lp_graph *graph, const lp_plan *plan,
                              char **hazard, uint32_t *node)
{
    uint32_t unused;
    *hazard = NULL;
    for (uint32_t buffer = 0; buffer <= graph->store->n_slots && *hazard == NULL; buffer++)
        LP_TRY(hazard_in(ctx, graph, plan, buffer, hazard, node != NULL ? node : &unused));
    return LP_OK;
}

/* Bytes of an activation in the arena. */
static lp_range bytes_of(const lp_graph *graph, const lp_plan *plan, lp_tensor_id id)
{
    const lp_tensor *t = &graph->tensors[id];
    return (lp_range){0, plan->arena.tensor_offset[id], 4 * lp_tensor_extent(t)};
}

lp_status lp_plan_find_overlap(lp_context *ctx, const lp_graph *graph, const lp_plan *plan,
                               char **overlap, uint32_t *at)
{
    size_t words = (size_t)(plan->arena.bytes / 4 + 1);
    uint32_t *owner = malloc(words * sizeof *owner); /* base tensor whose value a word holds */
    char *found = NULL;
    *overlap = NULL;
    if (owner == NULL)
        return lp_fail_memory(ctx, "the proof of a plan");
    memset(owner, 0xff, words * sizeof *owner);
    for (uint32_t i = 0; i < graph->n_nodes && found == NULL; i++) {
        const lp_node *node = &graph->nodes[i];
        for (int s = 0; s < LP_MAX_SRC && found == NULL; s++) {
            lp_tensor_id id = node->src[s];
            if (id == LP_NONE || graph->tensors[id].slot != LP_NONE)
                continue;
            lp_range r = bytes_of(graph, plan, id);
            uint32_t base = graph->tensors[id].base;
            bool produced = false; /* inputs are filled by the host before the run */
            for (uint32_t p = 0; p < graph->n_nodes; p++)
                for (int d = 0; d < LP_MAX_DST; d++)
                    produced |= graph->nodes[p].dst[d] == base;
            for (uint64_t w = r.offset / 4; w < (r.offset + r.bytes) / 4 && found == NULL; w++)
                if (owner[w] != base && (produced || owner[w] != UINT32_MAX)) {
                    lp_text text = {0};
                    lp_text_printf(&text, "%s reads %s at byte %llu, which holds %s", node->name,
                                   graph->tensors[base].name, (unsigned long long)w * 4,
                                   owner[w] == UINT32_MAX ? "nothing"
                                   : owner[w] == UINT32_MAX - 1
                                       ? "scratch"
                                       : graph->tensors[owner[w]].name);
                    found = lp_text_take(&text);
                    if (at != NULL)
                        *at = i;
                    if (found == NULL) {
                        free(owner);
                        return lp_fail_memory(ctx, "the proof of a plan");
                    }
                }
        }
        for (uint32_t j = 0; j < plan->n_dispatches; j++) /* scratch: writes that are no output */
            for (uint32_t r = 0; r < plan->dispatches[j].n_writes; r++) {
                const lp_range *range = &plan->dispatches[j].writes[r];
                if (plan->dispatches[j].node == i && range->buffer == LP_BUFFER_ARENA)
                    for (uint64_t w = range->offset / 4; w < (range->offset + range->bytes) / 4;
                         w++)
                        owner[w] = UINT32_MAX - 1;
            }
        for (int d = 0; d < LP_MAX_DST; d++) {
            lp_tensor_id id = node->dst[d];
            if (id == LP_NONE || graph->tensors[id].slot != LP_NONE)
                continue;
            lp_range r = bytes_of(graph, plan, id);
            for (uint64_t w = r.offset / 4; w < (r.offset + r.bytes) / 4; w++)
                owner[w] = graph->tensors[id].base;
        }
    }
    free(owner);
    *overlap = found;
    return LP_OK;
}
