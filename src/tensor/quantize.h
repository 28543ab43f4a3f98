/* Weights in another type: which tensors of a model change, and the change itself, streamed into a
 * GGUF file. */
#ifndef LP_TENSOR_QUANTIZE_H
#define LP_TENSOR_QUANTIZE_H

#include "tensor/gguf_write.h"
#include "tensor/weights.h"

/* Whether a tensor is one of the matrices that take another type: gains, biases, routers, positions
 * and segments do not. `name` is GGUF's. */
bool lp_quantize_applies(const char *name, lp_shape shape);

/* The type that such a matrix gets when the model is to have `type`. Where rows are no multiple of 256,
 * a type of 32 takes the place of super-blocks, F16 where they are no multiple of that either. Those
 * that are wanted `finely` get Q8_0 in place of blocks of 32, and Q6_K in place of super-blocks: the
 * head, which decides between tokens, what lp_quantize_is_finer() says, and in MXFP4, if there are
 * experts, all but their matrices. */
lp_dtype lp_quantize_type(lp_shape shape, lp_dtype type, bool finely);

/* Whether llama.cpp has a mix "_M" of a type with Q6_K: Q4_K, Q5_K. */
bool lp_quantize_mixes(lp_dtype type);
/* Whether a matrix gets Q6_K in such a mix: attention's values and the feed-forward part's second
 * matrix in the first and last eighth of the layers, and in every third between. */
bool lp_quantize_is_finer(const char *name, uint32_t n_layers);

/* GGUF's number of a file whose matrices are mostly of a type (general.file_type). */
uint32_t lp_gguf_file_type(lp_dtype type, bool mixed);

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
