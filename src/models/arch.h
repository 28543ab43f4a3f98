/* The architectures: one row each, plain data. Whatever tells one member of the decoder-only,
 * pre-norm family from another is a field of its row; decoder.c builds the graph from it. What the
 * files decide for themselves (biases, tied heads, grouped heads) is not in the row: the presence
 * or the shape of a weight decides.
 *
 * A weight's canonical name is the one it has in GGUF files. */
#ifndef LP_MODELS_ARCH_H
#define LP_MODELS_ARCH_H

#include "graph/graph.h"

typedef enum lp_position_kind {
    LP_POSITION_LEARNED, /* a table of position embeddings, added to the tokens' */
    LP_POSITION_ROPE     /* rotations of queries and keys */
} lp_position_kind;

/* One weight by both its names, without ".weight" or ".bias"; "%d" stands for the layer. */
typedef struct lp_weight_name {
    const char *name; /* canonical; NULL ends a table */
    const char *hf;   /* in Hugging Face files */
    bool conv1d;      /* stored as [in, out]: transposed when the folder is opened */
} lp_weight_name;

/* Keys of config.json; NULL where the family has no such key. */
typedef struct lp_config_keys {
    const char *embedding_length, *block_count, *feed_forward_length, *head_count, *head_count_kv,
        *head_size, *context_length, *norm_eps, *act;
} lp_config_keys;

typedef struct lp_arch {
    const char *gguf; /* general.architecture; NULL: comes in Hugging Face folders only */
    const char *hf;   /* model_type of config.json */
    lp_norm_kind norm;
    lp_position_kind position;
    lp_act_kind act; /* GGUF files do not tell; config.json may */
    bool gated;      /* ffn_down(act(ffn_gate x) * ffn_up x), or ffn_down(act(ffn_up x)) */
    bool fused_qkv;  /* attn_qkv, rows of q, k, v in this order; or attn_q, attn_k, attn_v */
    bool tied;       /* where config.json does not say: is the head the token embedding? */
    uint32_t window; /* config.json's sliding_window is heeded, this is its default; 0: no such
                        key */
    const lp_config_keys *config;
    const lp_weight_name *names;
    const char *hf_prefix;         /* that names in Hugging Face files may have or lack */
    const char *const *hf_ignored; /* whole names of buffers that are no weights; ends with NULL */
} lp_arch;

extern const lp_arch lp_archs[];
extern const size_t lp_n_archs;

/* Row by either name, or NULL. */
const lp_arch *lp_arch_find_gguf(const char *name, size_t bytes);
const lp_arch *lp_arch_find_hf(const char *name);
/* "gpt2, llama, mistral" into text[n]; returns text. `gguf`: those of GGUF files. */
char *lp_arch_list(bool gguf, char *text, size_t n);

#endif
