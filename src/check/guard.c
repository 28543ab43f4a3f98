/* The guard: see guard.h. */
#include "check/guard.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "check/finite.h"
#include "check/recompute.h"

#define BUDGET 500000 /* multiply-adds of a look: about half a millisecond of one core */

bool lp_guard_due(const lp_guard *guard, uint64_t draw)
{
    /* The number of looks so far grows with this token. */
    return floor((double)(draw + 1) * guard->rate) > floor((double)draw * guard->rate);
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

uint32_t lp_guard_pick(lp_guard *guard, const lp_graph *graph)
{
    const uint32_t n = graph->n_nodes;
    /* Steps of the golden section: early visits are spread over the whole graph. */
    uint32_t stride = (uint32_t)(0.618 * n) | 1;
    while (common_divisor(stride, n) != 1)
        stride++;
    return (uint32_t)((guard->seed % n + guard->visits++ % n * stride) % n);
}

void lp_guard_keep(lp_graph *graph, uint32_t node)
{
    const lp_node *n = &graph->nodes[node];
    for (int i = 0; i < LP_MAX_SRC + LP_MAX_DST; i++) {
        lp_tensor_id id = i < LP_MAX_SRC ? n->src[i] : n->dst[i - LP_MAX_SRC];
        if (id != LP_NONE)
            graph->tensors[id].output = true;
    }
}

static lp_status disagree(const lp_recompute *what, const lp_recomputed *r)
{
    const lp_difference *d = &r->difference;
    const char *device = what->backend->name;
    char kernels[128], dims[96];
    lp_text text = {0};
    int64_t index[LP_MAX_DIMS];
    uint64_t rest = r->element;
    for (int i = r->shape.n; i-- > 0; rest /= (uint64_t)r->shape.dim[i])
        index[i] = (int64_t)(rest % (uint64_t)r->shape.dim[i]);
    lp_text_printf(&text, "%s: %s ", what->graph->nodes[what->node].name,
                   r->slot != NULL ? r->slot : "element");
    for (int i = 0; i < r->shape.n; i++)
        lp_text_printf(&text, "%s%lld", i ? ", " : "[", (long long)index[i]);
    lp_text_printf(&text, "] of %s is %.9g on %s", lp_shape_print(r->shape, dims), d->got, device);
    if (*lp_kernel_names(what->backend, what->program, what->node, kernels, sizeof kernels))
        lp_text_printf(&text, " (%s)", kernels);
    lp_text_printf(&text, ", but %.9g on the CPU reference from the same inputs", d->expected);
    if (d->largest < 1e9) /* else nothing to do with rounding: a token, an exact copy, NaN */
        lp_text_printf(&text, ": %.3g times the expected rounding error, in the mean of %llu %.3g",
                       d->largest, (unsigned long long)d->n, sqrt(d->mean_square));
    char *line = lp_text_take(&text);
    if (line == NULL)
        return lp_fail_memory(what->ctx, "a message");
    lp_status status = lp_fail(what->ctx, LP_E_DEVICE, "%s", line);
    free(line);
    return status;
}

static lp_status check(lp_guard *guard, const lp_recompute *what)
{
    const lp_node *node = &what->graph->nodes[what->node];
    lp_recomputed r;
    LP_TRY(lp_recompute_node(what, &r));
    guard->n_of_op[node->op]++;
    guard->summary.n_nodes++;
    guard->summary.n_elements += r.difference.n;
    if (!lp_recomputed_agrees(&r))
        return disagree(what, &r);
    if (r.difference.largest > guard->summary.largest) {
        guard->summary.largest = r.difference.largest;
        snprintf(guard->worst, sizeof guard->worst, "%s", node->name);
    }
    return LP_OK;
}

lp_status lp_guard_look(lp_guard *guard, lp_backend *backend, lp_program *program,
                        const lp_graph *graph, uint32_t node, uint32_t position, uint32_t draws)
{
    lp_recompute what = {.ctx = backend->ctx,
                         .backend = backend,
                         .program = program,
                         .graph = graph,
                         .node = graph->n_nodes - 1,
                         .position = position,
                         .draws = draws,
                         .n_source = guard->n_source,
                         .blank = guard->blank,
                         .budget = BUDGET,
                         .random = guard->seed + guard->visits};
    lp_recomputed cursor; /* first: if it is wrong, much else is */
    LP_TRY(lp_recompute_cursor(&what, &cursor));
    if (!lp_recomputed_agrees(&cursor))
        return disagree(&what, &cursor);
    uint32_t n = node == LP_NONE && graph->n_tokens > 1 ? graph->n_nodes : 1;
    for (uint32_t i = 0; i < n; i++) {
        what.node = node != LP_NONE ? node : n > 1 ? i : lp_guard_pick(guard, graph);
        LP_TRY(check(guard, &what));
    }
    return LP_OK;
}
