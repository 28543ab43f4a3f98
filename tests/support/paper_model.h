/* Networks that exist on paper: the shape of a well-known model (models/synth.h) with the names,
 * types and shapes of its weights and no data. Graphs and plans can be made from them, of any size
 * and at once; nothing can be run. */
#ifndef LP_TEST_PAPER_MODEL_H
#define LP_TEST_PAPER_MODEL_H

#include "models/network.h"

/* `shape`: a row of lp_synth_shapes without RoPE divisors; `type`: of the matrices; with `n_layer`
 * blocks, because all are alike. For lp_network_destroy(). */
lp_status paper_model_create(lp_context *ctx, const char *shape, lp_dtype type, uint32_t n_layer,
                             lp_network **network);

/* Whether the rows of the shape's matrices are whole blocks of the type (1600 elements of GPT-2 XL
 * are none of 256). */
bool paper_model_possible(const char *shape, lp_dtype type);

#endif
