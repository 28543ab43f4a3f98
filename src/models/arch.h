/* The architectures: one row each, plain data. Whatever tells one transformer from another is a
 * field of its row; transformer.c builds the graph from it. What a file decides for itself (biases,
 * tied heads, fused or separate projections) is not in the row: the presence or the shape of a
 * weight decides.
 *
 * A weight's canonical name is the one it has in GGUF files. */
#ifndef LP_MODELS_ARCH_H
#define LP_MODELS_ARCH_H

#include "graph/graph.h"

typedef enum lp_position_kind {
    LP_POSITION_LEARNED,  /* a table of position embeddings, added to the tokens' */
    LP_POSITION_ROPE,     /* rotations of queries and keys: Su et al. 2021, arXiv:2104.09864 */
    LP_POSITION_ALIBI,    /* scores fall with the distance: Press et al. 2021, arXiv:2108.12409 */
    LP_POSITION_RELATIVE, /* biases by distance, learned: see relative.h */
    LP_POSITION_SINUSOID, /* a table of sines and cosines, added to the tokens' */
    LP_POSITION_NONE
} lp_position_kind;

/* Where norms stand; the names are those of their weights. */
enum {
    LP_NORMS_EMBD = 1 << 0,        /* token_embd_norm: of the embeddings */
    LP_NORMS_ATTN = 1 << 1,        /* attn_norm: before attention */
    LP_NORMS_ATTN_POST = 1 << 2,   /* post_attention_norm: of its result, before it is added */
    LP_NORMS_ATTN_SUM = 1 << 3,    /* attn_output_norm: of the sum, as in the paper of 2017 */
    LP_NORMS_FFN = 1 << 4,         /* ffn_norm */
    LP_NORMS_FFN_POST = 1 << 5,    /* post_ffw_norm */
    LP_NORMS_FFN_SUM = 1 << 6,     /* layer_output_norm */
    LP_NORMS_OUTPUT = 1 << 7,      /* output_norm: before the head */
    LP_NORMS_QK_HEAD = 1 << 8,     /* attn_q_norm, attn_k_norm: of every head of queries and keys */
    LP_NORMS_QK_ROW = 1 << 9,      /* the same, of all heads together */
    LP_NORMS_FFN_HIDDEN = 1 << 10, /* ffn_hidden_norm: of what the activation makes */
    LP_NORMS_QK_TURNED = 1 << 11,  /* of every head of queries and keys after RoPE, where there is
                                      RoPE; without a gain */

    LP_NORMS_PRE = LP_NORMS_ATTN | LP_NORMS_FFN | LP_NORMS_OUTPUT,
    LP_NORMS_SUM = LP_NORMS_ATTN_SUM | LP_NORMS_FFN_SUM
};

/* How a weight lies in a file, if not as the graph wants it. */
typedef enum lp_weight_form {
    LP_FORM_SAME,
    LP_FORM_TRANSPOSED, /* [in, out]: GPT-2's Conv1D; with a part also [E, in, out] */
    LP_FORM_VECTORS,    /* [E, out]: biases that have a part */
    LP_FORM_PLUS_ONE,   /* 1 is to be added: Gemma's gains */
    LP_FORM_QKV_GROUPS, /* rows [G, H / G + 2, D]: per K/V head its queries, key and value */
    LP_FORM_QKV_HEADS,  /* rows [H, 3, D]: the same with a key and a value per head */
    LP_FORM_QVK_PARTS,  /* rows [4, 3, H / 4, D]: CodeGen, queries, values, keys of four parts */
    LP_FORM_ROW,        /* one row, in GGUF files as a vector or as a matrix */
    LP_FORM_VECTOR,  /* [1, n]; its name has no ".weight" or ".bias" there, and both names are whole
                      */
    LP_FORM_MXFP4,   /* bytes [E, out, in / 32, 16] of nibbles, element 2 j low in byte j, and with
                        "_scales" in place of "_blocks" [E, out, in / 32] of exponents; both names
                        are whole */
    LP_FORM_PATCHES, /* [out, C, P, P]: a convolution that moves by its own size */
    LP_FORM_FLAT,    /* leading dimensions of 1: [1, 1, n] is [n]; both names are whole */
    LP_FORM_EXPERT,  /* one of n_expert matrices that become one tensor; "%e" is its number */
    LP_FORM_HEAD,    /* the same of n_head vectors */
    LP_FORM_HEAD_KV  /* the same of n_head_kv vectors */
} lp_weight_form;

/* Which of its output features a weight is, where a file has several weights in one tensor; the
 * rows of such parts have the same name there. */
typedef enum lp_weight_part {
    LP_PART_WHOLE,
    LP_PART_EVEN, /* and odd ones */
    LP_PART_ODD,
    LP_PART_FIRST, /* half */
    LP_PART_SECOND,
    LP_PART_QUERIES, /* the first, second, last third */
    LP_PART_KEYS,
    LP_PART_VALUES,
    LP_PART_HEAD_KEYS, /* of every head first those of keys that are not turned, to be used from the
                          other side: [H, out, Dk - turned]; */
    LP_PART_HEAD_VALUES /* then those of values: [H, Dv, in] */
} lp_weight_part;

/* One weight by both its names, without ".weight" or ".bias"; "%d" stands for the layer. If `name`
 * has one of these endings, both are whole names. */
typedef struct lp_weight_name {
    const char *name;    /* canonical; NULL ends a table */
    const char *hf;      /* in Hugging Face files; NULL: not there */
    lp_weight_form form; /* there */
    lp_weight_part part; /* of what is there */
} lp_weight_name;

/* Pictures as sequences of patches: Dosovitskiy et al. 2020, arXiv:2010.11929. */
typedef struct lp_picture_hparams {
    uint32_t size;     /* pixels of each side */
    uint32_t patch;    /* the same of a patch; 0: no pictures are read */
    uint32_t channels; /* 3 */
    uint32_t n_first;  /* learned tokens before those of patches: class, DeiT's distillation */
} lp_picture_hparams;

/* Sizes that config.json may leave out. */
typedef struct lp_arch_sizes {
    uint32_t n_vocab, n_context, n_embd, n_layer, n_head, n_ff;
    uint32_t n_projected, end_token; /* see lp_hparams */
    lp_picture_hparams picture;
} lp_arch_sizes;

typedef struct lp_arch {
    const char *gguf;        /* general.architecture; NULL: comes in Hugging Face folders only */
    const char *hf;          /* model_type of config.json; NULL: GGUF files only */
    const char *hf_nested;   /* model_type of config.json files that have this model's as their
                                text_config, beside models of other things; or NULL */
    const char *hf_defaults; /* JSON: keys that such a text_config may lack; or NULL */
    const char *hf_key;      /* of rows with one model_type: config.json has this key; or NULL */
    const char *hf_class;    /* the same: the first of "architectures" there; or NULL */
    const char *part;        /* the canonical names of all its layers begin with this; NULL: "", or
                                where there is an encoder "dec." */
    const char *gguf_as;     /* what it calls itself in GGUF files if that is another row's name */
    lp_norm_kind norm;
    unsigned norms; /* LP_NORMS_ */
    lp_position_kind position;
    uint32_t position_offset; /* rows before that of position 0, beyond config.json's number */
    bool position_after_pad;  /* position 0 has the row after the padding token's, within it */
    lp_act_kind act;          /* unless config.json tells otherwise; GGUF files do not */
    bool gelu_is_tanh;        /* where config.json says "gelu", it means the tanh approximation */
    bool encoder_only;        /* every token sees all others; there is no cache */
    bool whole_causal;        /* though an encoder: tokens see those before them only */
    bool first_unnormed;  /* the first layer's attention reads the embeddings without attn_norm */
    bool embd_in_last;    /* embeddings are added up and normed before embd_in, not after */
    bool mlm_gelu;        /* the head's activation is GELU, whatever config.json says of others */
    bool gated;           /* ffn_down(act(ffn_gate x) * ffn_up x), or ffn_down(act(ffn_up x)) */
    bool has_encoder;     /* the decoder looks at what an encoder made of a source text */
    bool retrieves;       /* that encoder reads neighbours of chunks instead: RETRO */
    bool head_scaled;     /* a tied head reads its input times 1/sqrt(N): T5 */
    bool parallel;        /* x + attention(norm x) + ffn(norm x); unless a key says otherwise */
    bool tied;            /* where config.json does not say: is the head the token embedding? */
    lp_cell_kind cell;    /* layers are those of an LSTM or a GRU, not of a transformer */
    bool sparse;          /* layer_types says what each layer's attention sees */
    bool deepnorm;        /* residuals times sqrt(2 n_layer), unless a key says otherwise */
    bool residual_normed; /* what is added to a part's result is its normed input; the same */
    bool prefix;          /* all tokens see the text up to where the answer begins: see lp_prefix */
    bool two_axes; /* RoPE turns one half of a head by the place in that, one by that behind it */
    bool unscaled; /* q k^T is not divided by sqrt(d) */
    bool embed_scaled;   /* embeddings times sqrt(N) */
    bool interleaved;    /* Hugging Face: pairs of RoPE or of sinusoids are (2k, 2k + 1) instead of
                            (k, k + d/2) */
    bool gguf_halves;    /* GGUF: pairs (k, k + d/2) instead of (2k, 2k + 1) */
    bool norm_plain;     /* norms have neither gain nor bias */
    bool logits_divided; /* GGUF's logit_scale divides instead of multiplying */
    float norm_eps;      /* where config.json has no such key */
    float rotary;        /* share of a head that RoPE turns where config.json does not say; 0: 1 */
    uint32_t rotary_dim; /* the same in elements; 0: by the share */
    uint32_t window;     /* sliding_window where config.json does not say, 1: no such default
                            but the key is heeded; 0: no such key */
    uint32_t window_every;   /* every n-th layer sees everything; 0: none does */
    bool window_every_first; /* the first of n such layers, not the last */
    uint32_t window_from;   /* the window counts only if use_sliding_window says so, by default from
                               this layer on; 0: it always counts */
    uint32_t no_rope_every; /* every n-th layer does not rotate, unless no_rope_layers says so */
    uint32_t chunk; /* attention_chunk_size of layers that rotate where config.json does not say;
                       0: no such key */
    float q_growth, q_growth_step; /* the same of attn_scale and floor_scale: see lp_hparams */
    bool multi_query;       /* config.json's multi_query and new_decoder_architecture count */
    lp_route_options route; /* of mixtures of experts; k where config.json does not say */
    bool route_first; /* experts' weights scale what they read, not what they make; config.json's
                         intermediate_size is theirs and that of a shared one: Llama 4 */
    bool latent;      /* latent attention */
    bool yarn_untruncated;      /* bounds of YaRN are not rounded; config.json may say otherwise */
    float glu_limit;            /* gated parts of experts are clamped; see lp_hparams */
    bool norm_topk;             /* config.json's norm_topk_prob counts */
    uint32_t context;           /* context length where config.json has no such key; 0: it must */
    float rope_base;            /* base of RoPE where config.json does not say; 0: 10000 */
    float window_rope_base;     /* base of RoPE in layers with a window; 0: as in the others */
    uint32_t full_scale_layers; /* GGUF, Gemma: models of so many layers scale by N / H, not by D */
    const lp_arch_sizes *sizes; /* NULL: config.json says them all */
    const char *text_tower;   /* model_type of what config.json's text_config describes; or NULL */
    const char *vision_tower; /* and its vision_config */
    const lp_weight_name *names;
    const lp_weight_name *more_names; /* looked up after those; or NULL */
    const lp_weight_name *gguf_names; /* weights that have other names than the canonical ones in
                                         GGUF files: those are in `hf`; or NULL */
    const char *hf_prefixes; /* that names in Hugging Face files may have, separated by " " */
    const char *hf_ignored;  /* whole names of buffers that are no weights, by " "; or NULL */
} lp_arch;

/* Parts of such models that are no text: starts of names. */
#define LP_ARCH_NO_TEXT "vision_model. vision_tower. multi_modal_projector."

/* Row by either name, or NULL. */
const lp_arch *lp_arch_find_gguf(const char *name, size_t bytes);
const lp_arch *lp_arch_find_hf(const char *name);
/* The row whose hf_nested it is, or NULL. */
const lp_arch *lp_arch_find_nested(const char *name);
/* Of rows that have the name: the one whose class it is (NULL: none is said) and that `has` the key
 * that tells them apart. */
const lp_arch *lp_arch_find_config(const char *name, const char *hf_class,
                                   bool (*has)(const void *user, const char *key),
                                   const void *user);
/* The known name that resembles `name` most. `gguf`: among those of GGUF files. */
const char *lp_arch_nearest(bool gguf, const char *name);

#endif
