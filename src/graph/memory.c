/* The memory planner: see memory.h. n is a few hundred, so the quadratic search for a gap is fine. */
#include "graph/memory.h"

#include <stdlib.h>

#define ALIGN 256u

typedef struct placed {
    uint32_t index;
    uint64_t bytes, offset;
} placed;

static int by_size(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->index < y->index ? -1 : 1; /* a total order: plans are the same everywhere */
}

static int by_offset(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

lp_status lp_memory_plan(lp_context *ctx, lp_interval *intervals, uint32_t n, uint64_t guard,
                         bool disjoint, uint64_t *total)
{
    *total = 0;
    if (n == 0)
        return LP_OK;
    placed *order = malloc(n * sizeof *order), *busy = malloc(n * sizeof *busy);
    if (order == NULL || busy == NULL) {
        free(order);
        free(busy);
        return lp_fail_memory(ctx, "the memory plan");
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bytes = intervals[i].bytes + guard;
        order[i] = (placed){.index = i, .bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN};
    }
    qsort(order, n, sizeof *order, by_size);
    for (uint32_t i = 0; i < n; i++) {
        lp_interval *now = &intervals[order[i].index];
        uint32_t n_busy = 0;
        for (uint32_t j = 0; j < i; j++) {
            const lp_interval *other = &intervals[order[j].index];
            if (disjoint || (other->first <= now->last && now->first <= other->last))
                busy[n_busy++] = order[j];
        }
        qsort(busy, n_busy, sizeof *busy, by_offset);
        uint64_t offset = 0;
        for (uint32_t j = 0; j < n_busy; j++) {
            if (offset + order[i].bytes <= busy[j].offset)
                break;
            if (busy[j].offset + busy[j].bytes > offset)
                offset = busy[j].offset + busy[j].bytes;
        }
        now->offset = order[i].offset = offset;
        if (offset + order[i].bytes > *total)
            *total = offset + order[i].bytes;
    }
    free(order);
    free(busy);
    return LP_OK;
}
