/* The memory planner: an offset in one arena for every activation and scratch, from its lifetime. */
#ifndef LP_GRAPH_MEMORY_H
#define LP_GRAPH_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/context.h"

typedef struct lp_interval {
    uint32_t first, last; /* node indices, inclusive, during which the bytes are in use */
    uint64_t bytes;
    uint64_t offset; /* result: a multiple of 256 */
} lp_interval;

/* Greedy by size: the largest first, each at the lowest offset that is free during its lifetime
 * (Pisarchyk & Lee 2020, arXiv:2001.03288). *total: bytes of the arena. With `disjoint`, lifetimes
 * are ignored. `guard`: unused bytes after each. */
lp_status lp_memory_plan(lp_context *ctx, lp_interval *intervals, uint32_t n, uint64_t guard,
                         bool disjoint, uint64_t *total);

#endif
