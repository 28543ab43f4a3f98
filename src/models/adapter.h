/* Low-rank adapters (LoRA: Hu et al. 2021, arXiv:2106.09685). Beside a weight W [N, K] that stays
 * as it is, a file holds A [r, K] and B [N, r], and the layer computes
 *
 *   y = W x + f B (A x),   f = scale alpha / r
 *
 * (alpha / sqrt(r) in rank-stabilised ones: Kalajdzievski 2023, arXiv:2312.03732). These are nodes
 * of the graph like any others, so that W may be quantised, that it works on every device, and that
 * checks see it. Several adapters add up. */
#ifndef LP_MODELS_ADAPTER_H
#define LP_MODELS_ADAPTER_H

#include "base/arena.h"
#include "graph/builder.h"
#include "models/hparams.h"

/* What one adapter adds to one weight. */
typedef struct lp_low_rank {
    const char *name; /* of W without ".weight": "blk.3.attn_q" */
    uint32_t adapter; /* number of the file, from 0 */
    lp_weight a, b;   /* [r, K], [N, r]; named NAME.lora_a.ADAPTER, NAME.lora_b.ADAPTER */
    float factor;     /* f */
} lp_low_rank;

typedef struct lp_adapters {
    lp_arena arena;     /* names, paths */
    lp_weights **files; /* [n], own the data */
    char **paths;       /* [n] */
    uint32_t n;
    lp_low_rank *pairs; /* of all files, in their order */
    size_t n_pairs, room;
} lp_adapters; /* zero-initialise */

/* Adds one: a GGUF file (general.type "adapter", adapter.type "lora"), or a folder that PEFT wrote
 * (adapter_config.json, adapter_model.safetensors or .bin). Names, rows and pairs of RoPE are
 * brought into the order of the model's, which may come from a file of the other kind. Every tensor
 * must belong to a weight of the model and fit it: LP_E_MISSING, LP_E_SHAPE, LP_E_FORMAT and
 * LP_E_UNSUPPORTED name file and tensor or key. After a failure `adapters` is as before. */
lp_status lp_adapters_add(lp_context *ctx, lp_adapters *adapters, const lp_hparams *hp,
                          const lp_weights *weights, const char *path, float scale);
void lp_adapters_destroy(lp_adapters *adapters);

/* y [T, N], the result of W `name` ("blk.3." "attn_q") for x [T, K], plus what adapters add to it.
 */
lp_tensor_id lp_adapted(lp_builder *b, const lp_adapters *adapters, const char *block,
                        const char *name, lp_tensor_id x, lp_tensor_id y);

/* Checks that the graphs of a store, which is filled by one that has the head, read every adapter.
 */
lp_status lp_adapters_check_read(lp_context *ctx, const lp_adapters *adapters,
                                 const lp_store *store);

#endif
