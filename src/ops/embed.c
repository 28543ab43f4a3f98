/* Rows of a table: token embeddings (by the history's ids) and learned position embeddings (by
 * position). Ids are checked by the host; here they are only kept inside the table and the history
 * inside its end, so that a wrong one never reads foreign memory. */
#include "ops/ops.h"

#include <stddef.h>

#include "ops/sigma.h"
#include "params.h"

enum { TABLE, CURSOR, HISTORY }; /* sources, see graph.h */

lp_status lp_op_embed_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                            lp_shape shapes[LP_MAX_DST])
{
    LP_TRY(lp_op_check_matrix(ctx, graph, node, TABLE, "the table"));
    LP_TRY(lp_op_check_cursor(ctx, graph, node, node->src[CURSOR]));
    const lp_tensor *history = lp_op_tensor(graph, node->src[HISTORY]);
    if (history != NULL && (history->dtype != LP_I32 || history->shape.n != 1 ||
                            history->shape.dim[0] < 1))
        return lp_fail(ctx, LP_E_SHAPE, "%s: the history must be a vector of I32", node->name);
    if (graph->n_tokens < 1)
        return lp_fail(ctx, LP_E_ARG, "%s: %d tokens", node->name, (int)graph->n_tokens);
    shapes[0] = LP_SHAPE2(graph->n_tokens, lp_op_tensor(graph, node->src[TABLE])->shape.dim[1]);
    return LP_OK;
}

static int64_t clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

lp_status lp_op_embed_cpu(const lp_cpu_call *call)
{
    const lp_view *table = &call->src[TABLE], *history = &call->src[HISTORY], *y = &call->dst[0];
    const int32_t position = ((const int32_t *)call->src[CURSOR].data)[LP_CURSOR_POSITION];
    const int64_t n_tokens = y->shape.dim[0], n = y->shape.dim[1];
    const float scale = call->node->p.embed.scale;
    for (int64_t t = 0; t < n_tokens; t++) {
        int64_t row = call->node->p.embed.first + (int64_t)position + t;
        if (history->data != NULL)
            row = ((const int32_t *)history->data)[clamp(position + t, history->shape.dim[0])];
        float *to = (float *)y->data + (uint64_t)t * y->stride;
        lp_view_load(table, clamp(row, table->shape.dim[0]), 0, to, n);
        for (int64_t i = 0; i < n; i++)
            to[i] *= scale;
        for (int64_t i = 0; i < n && call->sigma != NULL; i++) /* f32 holds any weight exactly */
            call->sigma[t * n + i] = lp_sigma(scale == 1 ? 0 : lp_rounding_variance((double)to[i]));
    }
    return LP_OK;
}

lp_status lp_op_embed_plan(lp_planner *pl, const lp_node *node)
{
    const lp_tensor *table = lp_op_tensor(pl->graph, node->src[TABLE]);
    const lp_tensor *history = lp_op_tensor(pl->graph, node->src[HISTORY]);
    const lp_embed_params p = {
        .n_vocabulary = (uint32_t)table->shape.dim[0],
        .n = (uint32_t)table->shape.dim[1],
        .n_tokens = (uint32_t)lp_op_tensor(pl->graph, node->dst[0])->shape.dim[0],
        .n_history = history != NULL ? (uint32_t)history->shape.dim[0] : 0,
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
        .scale = node->p.embed.scale,
        .first = node->p.embed.first,
    };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "embed", lp_dtype_table[table->dtype].kernel, &kernel));
    uint32_t groups[2];
    lp_op_groups(pl->caps, p.n_tokens, groups);
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1], 1, &p, sizeof p);
    lp_dispatch_spec(d, 0, 128);
    lp_dispatch_tensor(pl, d, offsetof(lp_embed_params, table), node->src[TABLE], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_embed_params, cursor), node->src[CURSOR], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_embed_params, history), node->src[HISTORY], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_embed_params, y), node->dst[0], LP_WRITE);
    d->bytes = 8.0 * p.n_tokens * p.n; /* not the whole table */
    d->flops = (double)p.n_tokens * p.n;
    return LP_OK;
}
