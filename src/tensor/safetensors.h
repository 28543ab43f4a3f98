/* safetensors files. https://huggingface.co/docs/safetensors */
#ifndef LP_TENSOR_SAFETENSORS_H
#define LP_TENSOR_SAFETENSORS_H

#include "tensor/weights.h"

/* Adds the tensors of one file. Header, offsets, overlaps and sizes are checked against the file.
 * Tensors of types without a row in LP_DTYPES (BOOL, I64 ...) are listed, but not usable: see
 * weights.h. After a failure `weights` may hold some of the tensors; destroy it. */
lp_status lp_safetensors_open(lp_context *ctx, const char *path, lp_weights *weights);
/* The same for bytes in memory; they and `where`, the name for messages, are borrowed and must
 * outlive `weights`. */
lp_status lp_safetensors_parse(lp_context *ctx, const char *where, const void *data, size_t bytes,
                               lp_weights *weights);

#endif
