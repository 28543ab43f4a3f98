/* What lp_convert_file() writes, and how a Hugging Face folder becomes that. */
#ifndef LP_TEXT_CONVERT_FOLDER_H
#define LP_TEXT_CONVERT_FOLDER_H

#include "models/names.h"
#include "models/network.h"
#include "tensor/quantize.h"

/* Rows that change places: the first n_rows, in heads of `head` rows of which `rotated` are turned.
 */
typedef struct lp_row_rotation {
    uint64_t n_rows, head, rotated;
} lp_row_rotation;

typedef struct lp_convert_tensor {
    const char *name;
    const lp_weight *weight;
    lp_row_order rows;
} lp_convert_tensor;

typedef struct lp_convert_source {
    lp_convert_tensor *tensors; /* malloc'ed */
    size_t n;
    bool plain_f32; /* what is no matrix becomes F32 */
} lp_convert_source;

/* An opened folder, which the source's tensors borrow from. Zero-initialise. */
typedef struct lp_convert_folder {
    lp_network *network;
    lp_row_rotation *rotations; /* of queries and keys */
    float *divisors;            /* of RoPE's frequencies: tables [n_rotated / 2] */
    lp_weight divisor_weights[2];
    lp_weight positions;          /* a part of the table */
    char (*names)[LP_NAME_BYTES]; /* of tensors that GGUF calls otherwise */
} lp_convert_folder;

/* Opens the folder, puts its metadata and tokenizer, and lists its tensors. */
lp_status lp_convert_folder_open(lp_context *ctx, const char *path, lp_convert_folder *folder,
                                 lp_gguf_writer *writer, lp_convert_source *source);
void lp_convert_folder_close(lp_convert_folder *folder);

#endif
