/* Where a fault is planted, and the functions that plant them: see faults.h and faults.def. */
#ifndef LP_CHECK_FAULT_SITE_H
#define LP_CHECK_FAULT_SITE_H

#include <string.h>

#include "graph/plan.h"

/* A node of a plan: its dispatches are [first, first + n), n > 0. */
typedef struct lp_fault_site {
    const lp_graph *graph;
    lp_plan *plan;
    uint32_t node, first, n;
} lp_fault_site;

/* False, and nothing changed, if this node of this plan cannot have the fault. */
#define FAULT(function, name, sign, ops, usual, text)                                              \
    bool lp_plant_##function(const lp_fault_site *site);
#include "check/faults.def"
#undef FAULT

static inline const lp_node *node_of(const lp_fault_site *s)
{
    return &s->graph->nodes[s->node];
}

static inline lp_dispatch *first_dispatch(const lp_fault_site *s)
{
    return &s->plan->dispatches[s->first];
}

/* Words of a dispatch's parameters, by their place in the struct. */
static inline uint32_t word(const lp_dispatch *d, size_t at)
{
    uint32_t value;
    memcpy(&value, d->push + at, sizeof value);
    return value;
}

static inline void set_word(lp_dispatch *d, size_t at, uint32_t value)
{
    memcpy(d->push + at, &value, sizeof value);
}

static inline uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The address at that place; NULL if there is none. */
static inline lp_relocation *relocation(lp_dispatch *d, size_t at)
{
    for (uint32_t i = 0; i < d->n_relocations; i++)
        if (d->relocations[i].push_offset == at)
            return &d->relocations[i];
    return NULL;
}

#endif
