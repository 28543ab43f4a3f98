/* pytorch_model.bin: what torch.save() makes of a dictionary of tensors, as a zip file (since
 * PyTorch 1.6) or in the older form. https://pytorch.org/docs/stable/notes/serialization.html */
#ifndef LP_TENSOR_TORCH_FILE_H
#define LP_TENSOR_TORCH_FILE_H

#include "tensor/weights.h"

/* Adds the tensors of one file. Nothing in it is executed (pickle.h): whatever is not a plain
 * tensor is refused by its name. Tensors of types without a row in LP_DTYPES are listed, but not
 * usable: see weights.h. After a failure `weights` may hold some of the tensors; destroy it. */
lp_status lp_torch_open(lp_context *ctx, const char *path, lp_weights *weights);
/* The same for bytes in memory; they and `where`, the name for messages, are borrowed and must
 * outlive `weights`. */
lp_status lp_torch_parse(lp_context *ctx, const char *where, const void *data, size_t bytes,
                         lp_weights *weights);

#endif
