/* Weights in another type: which tensors of a model change, and the change itself, streamed into a
 * GGUF file. */
#ifndef LP_TENSOR_QUANTIZE_H
#define LP_TENSOR_QUANTIZE_H

#include "tensor/gguf_write.h"
#include "tensor/weights.h"

/* Whether a tensor is one of the matrices that take another type: gains, biases, routers, positions
 * and segments do not. `name` is GGUF's. */
bool lp_quantize_applies(const char *name, lp_shape shape);

/* The type that such a matrix gets when the model is to have `type`. Rows that are no multiple of
 * its block stay in F16. In place of a type of 4 bits those that are wanted `finely` get Q8_0: the
 * head, which decides between tokens (llama.cpp gives it Q6_K), and in MXFP4, if there are experts,
 * all but their matrices. */
lp_dtype lp_quantize_type(lp_shape shape, lp_dtype type, bool finely);

/* GGUF's number of a file whose matrices are mostly of a type (general.file_type). */
uint32_t lp_gguf_file_type(lp_dtype type);

/* Where rows of a matrix come from: row `to` of the result is row order(user, to) of the weight;
 * NULL: in their order. */
typedef struct lp_row_order {
    uint64_t (*order)(const void *user, uint64_t to);
    const void *user;
} lp_row_order;

/* Writes a weight's data as `type`; the file's pages are given back as it goes. *written counts
 * bytes of the weight for `progress` (may be NULL) out of `total`; LP_E_CANCELLED if it says so. */
lp_status lp_quantize_write(lp_context *ctx, lp_gguf_writer *writer, const lp_weight *weight,
                            lp_dtype type, lp_row_order rows, uint64_t *written, uint64_t total,
                            lp_progress_fn progress, void *user);

#endif
