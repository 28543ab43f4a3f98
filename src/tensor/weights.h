/* A table of named tensors read from files. Data is borrowed from the mapped files, which the table
 * keeps alive; GGUF and safetensors readers both end here, so nothing above knows the format.
 *
 * Checkpoints often carry tensors that nothing uses (masks, frequency tables) in types that we do
 * not read. They are listed, with dtype LP_N_DTYPES, the type's name and no data, so that only
 * *using* one fails: see lp_weight_usable(). */
#ifndef LP_TENSOR_WEIGHTS_H
#define LP_TENSOR_WEIGHTS_H

#include "base/context.h"
#include "base/file.h"
#include "tensor/dtype.h"

typedef struct lp_weight {
    const char *name; /* as in the file, or renamed by lp_weights_rename() */
    lp_dtype dtype;   /* LP_N_DTYPES: a type that we do not read */
    lp_shape shape;
    const void
        *data;      /* contiguous rows, aligned for the type's plain values (f32: 4 bytes); NULL if
                       the type is unknown (and not "U8" of safetensors) or there are no elements */
    uint64_t bytes; /* 0 if the type is unknown and the file does not tell */
    const char
        *type; /* the type's name in the file: "Q4_K", "BOOL"; NULL on adding: dtype's name */
    const char *file; /* path of the file it lies in; NULL: none. Borrowed, see own_file */
} lp_weight;

typedef struct lp_weights lp_weights;

lp_weights *lp_weights_create(void);
void lp_weights_destroy(lp_weights *weights);

/* Adds a tensor; name and type are copied. LP_E_FORMAT if the name exists already. */
lp_status lp_weights_add(lp_context *ctx, lp_weights *weights, const lp_weight *weight);
/* The table takes the file (or memory, see lp_file_memory()) over and closes it when it is
 * destroyed; *file is zeroed. On failure the file stays the caller's. */
lp_status lp_weights_own_file(lp_context *ctx, lp_weights *weights, lp_file *file);
/* Maps a file that the table owns; *file tells where it lies, and is not to be closed. */
lp_status lp_weights_map_file(lp_context *ctx, lp_weights *weights, const char *path,
                              lp_file *file);
/* Zeroed memory that the table owns (lp_file_memory()), to be written before the table is shared.
 */
lp_status lp_weights_memory(lp_context *ctx, lp_weights *weights, size_t bytes, const char *what,
                            uint8_t **data);

size_t lp_weights_count(const lp_weights *weights);
/* In file order. */
lp_weight *lp_weights_at(lp_weights *weights, size_t index);
/* NULL if there is none. O(1). */
const lp_weight *lp_weights_find(const lp_weights *weights, const char *name);
/* Gives tensor `index` another name. LP_E_FORMAT if the name exists already. */
lp_status lp_weights_rename(lp_context *ctx, lp_weights *weights, size_t index, const char *name);
/* Takes every tensor i with drop[i] out of the table; indices change, pointers stay. */
void lp_weights_drop(lp_weights *weights, const bool *drop);
/* LP_E_UNSUPPORTED, naming tensor and type, if the weight's type is one that we do not read. To be
 * asked before any use of `dtype` or `data`. */
lp_status lp_weight_usable(lp_context *ctx, const lp_weight *weight);
/* Sum of bytes. */
uint64_t lp_weights_bytes(const lp_weights *weights);

#endif
