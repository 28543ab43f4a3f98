/* Other experts: see choice.h. */
#include "check/choice.h"

#include <stdlib.h>

#include "check/compare.h"

lp_status lp_choice_source(lp_context *ctx, const lp_graph *graph, uint32_t node,
                           const lp_outputs *outputs, float **source)
{
    const lp_tensor *t = &graph->tensors[graph->nodes[node].src[0]];
    const float *made = NULL;
    for (uint32_t i = 0; i < node; i++)
        for (int d = 0; d < LP_MAX_DST; d++)
            if (graph->nodes[i].dst[d] == t->base && t->slot == LP_NONE)
                made = outputs[i].values[d];
    *source = NULL;
    if (made == NULL)
        return LP_OK;
    const uint64_t n_rows = (uint64_t)t->shape.dim[0], n = (uint64_t)lp_shape_row(t->shape);
    float *x = malloc(n_rows * n * sizeof *x);
    if (x == NULL)
        return lp_fail_memory(ctx, "a router's logits");
    for (uint64_t i = 0; i < n_rows * n; i++)
        x[i] = made[t->offset + i / n * t->stride + i % n];
    *source = x;
    return LP_OK;
}

/* What the reference makes of these logits. */
static lp_status route_again(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             const float *logits, float *routes)
{
    const lp_tensor *x = &graph->tensors[node->src[0]], *y = &graph->tensors[node->dst[0]];
    lp_cpu_call call = {.ctx = ctx, .graph = graph, .node = node};
    call.src[0] =
        (lp_view){(void *)(uintptr_t)logits, LP_F32, x->shape, (uint64_t)lp_shape_row(x->shape)};
    call.dst[0] = (lp_view){routes, LP_F32, y->shape, (uint64_t)lp_shape_row(y->shape)};
    if (node->src[1] != LP_NONE) {
        const lp_tensor *bias = &graph->tensors[node->src[1]];
        call.src[1] = (lp_view){(void *)(uintptr_t)graph->store->slots[bias->slot].data,
                                bias->dtype, bias->shape, bias->stride};
    }
    return lp_op_table[node->op].cpu(&call);
}

/* Are a token's k experts the same, in the same order? */
static bool same_experts(const float *a, const float *b, uint64_t token, uint64_t k)
{
    for (uint64_t s = 0; s < k; s++)
        if (a[2 * (token * k + s)] != b[2 * (token * k + s)])
            return false;
    return true;
}

lp_status lp_choice_compare(lp_context *ctx, const lp_graph *graph, uint32_t index,
                            const lp_outputs *device, const float *logits, const float *routes,
                            lp_choice *choice)
{
    lp_status status = LP_OK;
    const lp_node *node = &graph->nodes[index];
    const lp_shape shape = graph->tensors[node->dst[0]].shape;
    const uint64_t n_tokens = (uint64_t)shape.dim[0], k = (uint64_t)shape.dim[1];
    const float *got = device[index].values[0];
    float *own = NULL, *again = malloc(n_tokens * k * 2 * sizeof *again);
    *choice = (lp_choice){.own = true};
    if (again == NULL)
        return lp_fail_memory(ctx, "a router's choice");
    LP_CHECK(lp_choice_source(ctx, graph, index, device, &own));
    if (own == NULL || got == NULL)
        goto cleanup;
    LP_CHECK(route_again(ctx, graph, node, own, again));
    for (uint64_t t = n_tokens; t-- > 0;) {
        choice->own = choice->own && same_experts(again, got, t, k);
        if (same_experts(routes, got, t, k))
            continue;
        choice->n_tokens++;
        choice->first = t;
    }
    choice->nmse = lp_compare(logits, own, NULL,
                              (uint64_t)lp_shape_elements(graph->tensors[node->src[0]].shape))
                       .nmse;
cleanup:
    free(own);
    free(again);
    return status;
}
