/* A model: weights under their canonical names, hyperparameters, and graphs built from both. The
 * tokenizer belongs to a higher floor; what it is made from (the GGUF handle or the folder) is kept
 * here for it. */
#ifndef LP_MODELS_NETWORK_H
#define LP_MODELS_NETWORK_H

#include "graph/graph.h"
#include "models/adapter.h"
#include "models/hparams.h"
#include "tensor/gguf.h"
#include "tensor/weights.h"

typedef struct lp_network {
    char *path;    /* as given */
    lp_gguf *gguf; /* NULL if `path` is a Hugging Face folder */
    lp_weights *weights;
    lp_hparams hparams;
    lp_adapters adapters;
    bool sketch; /* weights have names only: building a graph gives them their shapes
                    (synth_sketch.c); nothing can run */
} lp_network;

/* A GGUF file, or a folder with config.json and safetensors or pytorch_model.bin. Nothing is read
 * but headers (and GPT-2's matrices, which folders hold transposed). */
lp_status lp_network_open(lp_context *ctx, const char *path, lp_network **model);
void lp_network_destroy(lp_network *model);

/* Adds an adapter, see lp_adapters_add(). To be done before the first graph is built. */
lp_status lp_network_adapt(lp_context *ctx, lp_network *model, const char *path, float scale);

/* Whether its graphs have the output "pooled", and whether that is a projection. */
bool lp_network_has_pooled(const lp_network *model);
bool lp_network_projects(const lp_network *model);

/* exp(logit_scale): what the cosine of a text and a picture is multiplied by before a softmax over
 * texts (Radford et al. 2021); LP_E_UNSUPPORTED where a model does not compare them. */
lp_status lp_network_logit_scale(lp_context *ctx, const lp_network *model, double *scale);

/* Whether it can tell which token stands somewhere: a decoder can, of an encoder it depends on the
 * file. */
bool lp_network_has_head(const lp_network *model);

/* Where the answer begins in a text that all its tokens see up to there: how long that is, and the
 * place in it that the answer replaces. They go into the cursor, LP_CURSOR_SOURCE and _BLANK, and
 * the graph for the text's first tokens must be for so many at least. */
typedef struct lp_prefix {
    uint32_t n, blank;
} lp_prefix;

/* Of the n tokens of a text; LP_E_ARG if it has no such tokens. For models with hparams.prefix. */
lp_status lp_network_prefix(lp_context *ctx, const lp_network *model, const int32_t *tokens,
                            size_t n, lp_prefix *prefix);
/* The same; without such tokens all of the text, n > 0, is the prefix. */
lp_prefix lp_network_prefix_or_all(lp_context *ctx, const lp_network *model, const int32_t *tokens,
                                   size_t n);

/* Rows of logits that the host reads after the run, as the tensor "logits" [1 or T, V]. */
typedef enum lp_network_outputs {
    LP_OUTPUTS_NONE,
    LP_OUTPUTS_LAST,
    LP_OUTPUTS_ALL
} lp_network_outputs;

#define LP_MAX_CONTEXT (1 << 26)

/* Of an encoder-decoder, or of what reads pictures; LP_PART_CONTEXT of a model with retrieval only.
 * Everything else is LP_PART_DECODER. */
typedef enum lp_network_part {
    LP_PART_DECODER,
    LP_PART_ENCODER,
    LP_PART_PICTURE,
    LP_PART_CONTEXT
} lp_network_part;

typedef struct lp_network_options {
    int32_t n_tokens;  /* T */
    int32_t kv_max;    /* position + T never exceeds it in this graph; 0: n_ctx */
    int32_t n_ctx;     /* C, tokens that the K/V cache holds */
    lp_dtype kv_dtype; /* F32, F16 or Q8_0 */
    lp_network_outputs outputs;
    bool hidden; /* the last layer's results after the last norm, "hidden" [T, N]; where there is a
                    pooler "pooled" [1, N]; of CLIP's towers "pooled" is the projection [1, P], of a
                    text that of its last token: which is to be the one that stands for it */
    bool penultimate; /* the residual stream before the last layer, "penultimate" [T, N], without a
                         norm: what Stable Diffusion 2 and XL read of CLIP's tower of texts */
    bool sample;      /* draw a token from the last row: history[position + T], on the device */
    bool no_fusion;
    uint32_t int8_types; /* see lp_backend */
    lp_network_part part; /* which graph */
} lp_network_options;

/* The graph of a picture (LP_PART_PICTURE) is for as many tokens as a picture has; they lie in
 * "patches" F32 [T, C P P] (HOST): rows of zeros for the tokens before those of patches, then a
 * patch [C, P, P] per row, line by line. The cursor must be at 0 and stays. "logits" [1, V] are
 * those of the labels.
 *
 * An encoder-decoder has two graphs. That of its encoder is for T tokens that stand in "source" I32
 * [C + 2] (HOST) from position 0 on, where the cursor must be and stays; it leaves keys and values
 * of them in "dec.blk.N.cross_attn_k_cache" and "…_v_cache", and its result as the tensor "hidden"
 * [T, N]. That of its decoder looks at the first cursor[LP_CURSOR_SOURCE] of these.
 *
 * A model with retrieval has three. Its encoder's is for T = n k r tokens of the neighbours of n
 * chunks that follow each other, which stand in "neighbours" I32 [R + 2] (HOST), R =
 * lp_retrieval_rows(); the cursor stands at the first one's row there, and stays.
 * "neighbour_lengths" I32 [R / r] (HOST) has the tokens that each neighbour really has, 0: there is
 * none. What it makes of them depends on what the decoder has made of the chunk before it looks at
 * neighbours for the first time. So where T tokens complete chunks, the graph of the part
 * LP_PART_CONTEXT comes first: the decoder's, as far as that; the cursor stays. It leaves keys and
 * values of the chunks in "enc.blk.N.cross_attn_k_cache" [C, ...]. Then comes the encoder's, which
 * leaves "dec.blk.N.cross_attn_k_cache" [R, ...], then the decoder's, whole.
 *
 * The graph for T tokens that stand in history[position …]; at its end the cursor has advanced by
 * T. Without outputs and sampling a decoder's only fills the K/V cache. An encoder's has no cache:
 * its tokens see each other, at positions from the cursor's on, and nothing else.
 *
 * Slots of the store besides the weights: "cursor" I32 [LP_CURSOR_WORDS], "history" I32 [C + 2]
 * (HOST), "sampler" I32 [LP_SAMPLER_WORDS], per layer "blk.N.attn_k_cache" [C, G, Dk] and
 * "blk.N.attn_v_cache" [C, G, Dv], "rope_table", "types" I32 [C] (HOST) where tokens have types.
 * All graphs of a store share n_ctx and kv_dtype. The graph built first must have outputs or
 * sample, or the head is not in the store; an encoder's must have `hidden`, and outputs if it has a
 * head.
 *
 * Errors name the weight: LP_E_MISSING, LP_E_SHAPE, LP_E_UNSUPPORTED for one that nothing reads;
 * LP_E_LIMIT if n_ctx exceeds the table of position embeddings; LP_E_ARG for options that make no
 * sense. */
lp_status lp_network_graph(lp_context *ctx, const lp_network *model, lp_store *store,
                           const lp_network_options *options, lp_graph **graph);

#endif
