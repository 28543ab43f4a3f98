/* A table of named tensors read from files. Data is borrowed from the mapped files, which the table
 * keeps alive; GGUF and safetensors readers both end here, so nothing above knows the format. */
#ifndef LP_TENSOR_WEIGHTS_H
#define LP_TENSOR_WEIGHTS_H

#include "base/context.h"
#include "base/file.h"
#include "tensor/dtype.h"

typedef struct lp_weight {
    const char *name; /* as in the file, or renamed by lp_weights_rename() */
    lp_dtype dtype;
    lp_shape shape;
    const void *data; /* contiguous rows */
    uint64_t bytes;
} lp_weight;

typedef struct lp_weights lp_weights;

lp_weights *lp_weights_create(void);
void lp_weights_destroy(lp_weights *weights);

/* Adds a tensor; the name is copied. LP_E_FORMAT if the name exists already. */
lp_status lp_weights_add(lp_context *ctx, lp_weights *weights, const lp_weight *weight);
/* The table closes the file when it is destroyed. */
lp_status lp_weights_own_file(lp_context *ctx, lp_weights *weights, lp_file *file);
/* The table frees `data` (from malloc) when it is destroyed. */
lp_status lp_weights_own_memory(lp_context *ctx, lp_weights *weights, void *data);

size_t lp_weights_count(const lp_weights *weights);
/* In file order. */
lp_weight *lp_weights_at(lp_weights *weights, size_t index);
/* NULL if there is none. O(1). */
const lp_weight *lp_weights_find(const lp_weights *weights, const char *name);
/* Gives tensor `index` another name. LP_E_FORMAT if the name exists already. */
lp_status lp_weights_rename(lp_context *ctx, lp_weights *weights, size_t index, const char *name);
/* Sum of bytes. */
uint64_t lp_weights_bytes(const lp_weights *weights);

#endif
