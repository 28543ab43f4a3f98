/* The K/V cache: new keys or values go to rows position + t, as f16 (nearest even), Q8_0
 * (tensor/state.h), in both cases the same bits on every device, or f32. Rows past the end of the
 * cache are dropped, never written: tokens that are in flight when the context fills up are
 * discarded by the session. */
#include "ops/ops.h"
#include "params.h"

lp_status lp_op_kv_write_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                               lp_shape shapes[LP_MAX_DST])
{
    (void)shapes; /* in place */
    LP_TRY(lp_op_check_input(ctx, graph, node, 0, "x", 3));
    LP_TRY(lp_op_check_cursor(ctx, graph, node, node->src[1]));
    const lp_tensor *x = lp_op_tensor(graph, node->src[0]);
    const lp_tensor *cache = lp_op_tensor(graph, node->dst[0]);
    if (cache == NULL || cache->slot == LP_NONE || cache->shape.n != 3 ||
        !lp_is_cache_type(cache->dtype))
        return lp_fail(ctx, LP_E_SHAPE, "%s: the cache must be a slot [C, G, D] of " LP_CACHE_TYPES,
                       node->name);
    char want[96], has[96];
    if (cache->shape.dim[1] != x->shape.dim[1] || cache->shape.dim[2] != x->shape.dim[2] ||
        cache->shape.dim[0] < x->shape.dim[0] || x->shape.dim[2] % 2 != 0)
        return lp_fail(ctx, LP_E_SHAPE, "%s: x is %s, the cache %s", node->name,
                       lp_shape_print(x->shape, want), lp_shape_print(cache->shape, has));
    if (lp_shape_elements(cache->shape) < 0 || lp_shape_elements(cache->shape) > INT32_MAX)
        return lp_fail(ctx, LP_E_LIMIT, "%s: the cache %s has more than 2^31 elements", node->name,
                       lp_shape_print(cache->shape, has));
    return LP_OK;
}

lp_status lp_op_kv_write_cpu(const lp_cpu_call *call)
{
    const lp_view *x = &call->src[0], *cache = &call->dst[0];
    int64_t position = ((const int32_t *)call->src[1].data)[LP_CURSOR_POSITION];
    int64_t n = x->shape.dim[1] * x->shape.dim[2];
#pragma omp parallel for if (x->shape.dim[0] * n > LP_PARALLEL_WORK)
    for (int64_t t = 0; t < x->shape.dim[0]; t++) {
        int64_t row = position + t;
        if (row < 0 || row >= cache->shape.dim[0])
            continue;
        const float *from = (const float *)x->data + (uint64_t)t * x->stride;
        uint64_t at = lp_state_bytes(cache->dtype, (uint64_t)row * cache->stride);
        lp_state_store(cache->dtype, from, (uint64_t)n, (uint8_t *)cache->data + at);
    }
    return LP_OK;
}

lp_status lp_op_kv_write_plan(lp_planner *pl, const lp_node *node)
{
    const lp_tensor *x = lp_op_tensor(pl->graph, node->src[0]);
    const lp_tensor *cache = lp_op_tensor(pl->graph, node->dst[0]);
    lp_kv_write_params push = {
        .x_stride = lp_op_stride(pl->graph, node->src[0]),
        .n_tokens = (uint32_t)x->shape.dim[0],
        .row = (uint32_t)(x->shape.dim[1] * x->shape.dim[2]),
        .cache_rows = (uint32_t)cache->shape.dim[0],
    };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "kv_write", lp_dtype_table[cache->dtype].kernel, &kernel));
    uint32_t size = 128, groups[2];
    /* Two elements each, of the padded row four. */
    uint64_t n = cache->dtype == LP_Q8_0 ? (uint64_t)x->shape.dim[0] * cache->stride / 4
                                         : (uint64_t)(lp_shape_elements(x->shape) / 2);
    lp_op_groups(pl->caps, (n + size - 1) / size, groups);
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1], 1, &push, sizeof push);
    lp_dispatch_spec(d, 0, size);
    lp_dispatch_tensor(pl, d, offsetof(lp_kv_write_params, x), node->src[0], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_kv_write_params, cursor), node->src[1], LP_READ);
    /* The row depends on the cursor: the whole layer's cache counts as written. */
    lp_dispatch_tensor(pl, d, offsetof(lp_kv_write_params, cache), node->dst[0], LP_WRITE);
    /* For the submit's cost only what is really written counts. */
    d->bytes = 6.0 * (double)lp_shape_elements(x->shape);
    return LP_OK;
}
