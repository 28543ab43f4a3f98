/* x of a dense layer rounded to int8: see int8.h.
 *
 * Where few rows meet a matrix, the `cpu` device multiplies the integers; everywhere else their
 * values take the place of x, in the judge, too: so the numbers do not depend on how many rows
 * there are, and what the judge expects is as near as if nothing had been rounded. */
#include <stdlib.h>

#include "ops/linear.h"
#include "ops/simd.h"

static bool needs_values(const lp_cpu_call *call)
{
    return call->simd == NULL || call->simd->int8_dots[call->src[LP_LINEAR_W].dtype] == NULL ||
           !lp_linear_is_few(call, call->dst[0].shape.dim[0]);
}

lp_status lp_linear_int8_begin(lp_cpu_call *call, lp_linear_int8 *x)
{
    lp_view *from = &call->src[LP_LINEAR_X];
    const int64_t n_rows = from->shape.dim[0], n = from->shape.dim[1];
    const size_t size = (size_t)(n_rows * n), n_blocks = (size_t)(n / LP_INT8_BLOCK);
    const bool with_values = needs_values(call);
    *x = (lp_linear_int8){.rows = malloc((size_t)n_rows * sizeof *x->rows),
                          .q = malloc(size),
                          .scales = malloc((size_t)n_rows * 2 * n_blocks * sizeof *x->scales)};
    if (with_values)
        x->values = malloc(size * sizeof *x->values);
    if (x->rows == NULL || x->q == NULL || x->scales == NULL || (with_values && x->values == NULL))
        return lp_fail_memory(call->ctx, call->node->name);
#pragma omp parallel for schedule(static) if (n_rows * n > LP_PARALLEL_WORK)
    for (int64_t r = 0; r < n_rows; r++) {
        int8_t *q = x->q + r * n;
        float *scales = x->scales + (size_t)r * 2 * n_blocks, *sums = scales + n_blocks;
        (call->simd != NULL ? call->simd->int8_round : lp_int8_round)(lp_linear_floats(from, r), n,
                                                                      q, scales, sums);
        if (with_values)
            lp_int8_values(q, scales, n, x->values + r * n);
        x->rows[r] = (lp_int8_row){q, scales, sums};
    }
    if (with_values) {
        from->data = x->values;
        from->stride = (uint64_t)n;
    }
    return LP_OK;
}

void lp_linear_int8_end(lp_linear_int8 *x)
{
    free(x->rows);
    free(x->q);
    free(x->scales);
    free(x->values);
}
