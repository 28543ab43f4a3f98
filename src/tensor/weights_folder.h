/* The weights of a Hugging Face folder, whatever their format. */
#ifndef LP_TENSOR_WEIGHTS_FOLDER_H
#define LP_TENSOR_WEIGHTS_FOLDER_H

#include "tensor/weights.h"

/* Adds the tensors of a folder: those of model.safetensors, or of the shards named in
 * model.safetensors.index.json; without either, of pytorch_model.bin or its shards. Shard names
 * must stay inside the folder; every tensor of the index must be found in the shard that the index
 * names. */
lp_status lp_weights_open_folder(lp_context *ctx, const char *folder, lp_weights *weights);

#endif
