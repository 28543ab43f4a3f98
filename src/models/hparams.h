/* Hyperparameters of a model, from the metadata of a GGUF file or from config.json. Both are
 * hostile: whatever is read is checked here, so that the graph can be built from it without
 * overflow. The shapes of the weights are checked against it later, by the builder. */
#ifndef LP_MODELS_HPARAMS_H
#define LP_MODELS_HPARAMS_H

#include "models/arch.h"
#include "models/rope.h"
#include "tensor/gguf_write.h"

#define LP_MAX_LAYERS 1024

/* What tells layers of one model apart. */
enum {
    LP_LAYER_WINDOW = 1 << 0,  /* attention sees `window` tokens, RoPE is rope_window's */
    LP_LAYER_STRIDED = 1 << 1, /* sparse attention with `sparse_stride`: LP_MASK_STRIDED */
    LP_LAYER_FIXED = 1 << 2,   /* LP_MASK_FIXED */
    LP_LAYER_NO_ROPE = 1 << 3, /* queries and keys are not rotated */
    LP_LAYER_CHUNKED = 1 << 4  /* chunks of `sparse_stride` tokens do not see each other:
                                  LP_MASK_CHUNKED */
};

/* What an encoder has otherwise than the decoder that reads it. */
typedef struct lp_encoder_hparams {
    uint32_t n_layer;            /* 0: there is no encoder */
    uint32_t n_head, head, n_ff; /* head: size of one */
    uint32_t n_embd;             /* 0: the decoder's */
} lp_encoder_hparams;

/* What a tower that reads pictures has otherwise than the one beside it that reads texts. */
typedef struct lp_vision_hparams {
    uint32_t n_layer; /* 0: there is no such tower beside this network */
    uint32_t n_embd, n_head, n_ff;
    float norm_eps;
    lp_act_kind act;
    lp_picture_hparams picture;
} lp_vision_hparams;

/* Of models in which all tokens see the text up to where the answer begins (Du et al. 2022,
 * arXiv:2103.10360): a token tells where that is, and one before it what the answer replaces. */
typedef struct lp_prefix_hparams {
    bool used;
    uint32_t start, blanks[2]; /* the text's first token of the first kind that it has is meant */
} lp_prefix_hparams;

/* Retrieval (Borgeaud et al. 2021, arXiv:2112.04426): tokens that follow a chunk of the text see its
 * neighbours, texts that something outside of the model has found. */
typedef struct lp_retrieval_hparams {
    uint32_t chunk;        /* m, tokens; 0: there is no retrieval, and an encoder reads a source text */
    uint32_t n_neighbours; /* k, of a chunk */
    uint32_t length;       /* r, tokens of a neighbour */
} lp_retrieval_hparams;

typedef struct lp_hparams {
    const lp_arch *arch;
    uint32_t n_vocab, n_context, n_embd, n_layer, n_ff;
    uint32_t n_embd_token; /* size of the token embeddings; other than n_embd: projected */
    uint32_t n_types;      /* kinds of segments that have embeddings; 0: none */
    uint32_t n_head, n_head_kv, head_k, head_v; /* head sizes of keys and values */
    lp_encoder_hparams encoder;
    lp_retrieval_hparams retrieval;
    lp_prefix_hparams prefix;
    uint32_t n_align, n_maxout; /* units of additive attention, and of the layer before the head */
    bool score_general; /* of a recurrent decoder's attention: q W k, not q k */
    lp_picture_hparams picture; /* of a network that reads a picture; n_context: its tokens,
                                   n_vocab: labels */
    lp_vision_hparams vision;
    uint32_t n_projected; /* size of the space that texts and pictures share; 0: there is none */
    uint32_t end_token;   /* the token that stands for its text: the first with this id, */
    bool ends_at_largest; /* or with the largest */
    bool both_ways;       /* all tokens see each other, and nothing is cached */
    uint32_t n_bucket, max_distance; /* of relative positions */
    uint32_t n_layer_unused; /* that files have behind the n_layer: predictors of further tokens */
    uint32_t n_kv_latent;    /* latent attention: what keys and values are made of; 0: it is none */
    uint32_t n_q_latent;     /* the same of queries; 0: they are made of the embedding */
    uint32_t n_expert;    /* of the feed-forward part, in layers that have a router; 0: it is one */
    uint32_t n_ff_expert; /* hidden features of an expert */
    uint32_t n_ff_shared; /* of the part that all tokens use besides; 0: there is none */
    lp_route_options route; /* which of them a token uses */
    unsigned norms;         /* LP_NORMS_ */
    bool norm_plain;        /* norms have neither gain nor bias */
    float norm_eps;
    lp_position_kind position;
    uint32_t position_offset;  /* row of the position table that position 0 has */
    lp_act_kind act, head_act; /* head_act: of a head for masked tokens */
    float glu_limit;           /* c of gpt-oss: act(min(gate, c)) (1 + up cut to [-c, c]) in
                                  place of act(gate) up; 0: no */
    bool parallel;             /* attention and feed-forward part read one input */
    bool residual_normed;      /* what is added to a part's result is its normed input */
    float residual_scale;      /* factor of what is added to a part's result */
    bool solu;                 /* the activation is x softmax(x) instead of `act`:
                                  Elhage et al. 2022, Softmax Linear Units */
    bool tied;                 /* the head is the token embedding */
    uint32_t window;           /* sliding window of attention in tokens; 0: none */
    uint32_t sparse_stride, sparse_summary; /* of sparse attention, in tokens */
    float embed_scale;                      /* factor of the token embeddings */
    float part_scale;                       /* factor of a part's result before it is added */
    float logit_scale;                      /* factor of the logits */
    float attn_scale;                       /* of q k^T */
    float attn_softcap;                     /* of scaled q k^T; 0: none */
    float logit_softcap;                    /* 0: none */
    float q_growth, q_growth_step;     /* g and s, in layers that are not rotated: queries times
                                          1 + g log(1 + floor((position + 1) / s)); g = 0: no */
    float clamp_qkv;                   /* largest |q|, |k|, |v| before anything else; 0: none */
    float alibi_max;                   /* slopes go down to 2^-alibi_max */
    lp_rope_hparams rope, rope_window; /* of layers that see everything, and of the others */
    uint8_t layers[LP_MAX_LAYERS];     /* LP_LAYER_ */
} lp_hparams;

/* Errors name `where` (the file) and the key. An unknown architecture is LP_E_UNSUPPORTED with the
 * list of known ones; so is every setting that would change the numbers and is not implemented. */
lp_status lp_hparams_from_gguf(lp_context *ctx, const char *where, const lp_gguf *gguf,
                               const lp_weights *weights, lp_hparams *hp);
/* `path`: of config.json. */
lp_status lp_hparams_from_config(lp_context *ctx, const char *path, lp_hparams *hp);
/* The same from its text. */
lp_status lp_hparams_parse_config(lp_context *ctx, const char *where, const char *text,
                                  size_t bytes, lp_hparams *hp);

/* Puts the metadata from which lp_hparams_from_gguf() makes the same numbers, as the architecture
 * `arch` (a row with a GGUF name) calls them; only what belongs to Hugging Face's layout (RoPE's
 * pairing, Llama 3's scaling, which becomes a table) is GGUF's afterwards. LP_E_UNSUPPORTED names
 * what GGUF has no key for. */
lp_status lp_hparams_to_gguf(lp_context *ctx, const char *where, const lp_hparams *hp,
                             const lp_arch *arch, const lp_weights *weights,
                             lp_gguf_writer *writer);

/* What both begin with: what the row says. */
void lp_hparams_init(lp_hparams *hp, const lp_arch *arch);
/* Whether there is room for what is kept per layer: to be asked before it is read. */
lp_status lp_hparams_check_layers(lp_context *ctx, const char *where, const lp_hparams *hp);
/* `n` experts of their size that all tokens use: side by side they are one. */
void lp_hparams_shared_experts(lp_hparams *hp, uint32_t n);
/* What both end with: what follows from the rest, then ranges and divisibility. */
lp_status lp_hparams_finish(lp_context *ctx, const char *where, lp_hparams *hp);

/* Chunks of a context of n_ctx tokens that are complete some time, at least 1; and the rows that
 * tokens of their neighbours have in caches: that of token i of chunk u's neighbour j is (u k + j) r
 * + i. */
uint32_t lp_retrieval_chunks(const lp_hparams *hp, uint32_t n_ctx);
int64_t lp_retrieval_rows(const lp_hparams *hp, uint32_t n_ctx);

/* The encoder of an encoder-decoder, as if it were a model of its own. */
void lp_hparams_of_encoder(const lp_hparams *hp, lp_hparams *encoder);

/* The tower that reads pictures, as if it were a model of its own. */
void lp_hparams_of_vision(const lp_hparams *hp, lp_hparams *vision);
bool lp_hparams_reads_texts(const lp_hparams *hp);
bool lp_hparams_reads_pictures(const lp_hparams *hp);
/* The place of the token that stands for its text in such models: the first end token, or n where
 * there is none. */
size_t lp_hparams_text_end(const lp_hparams *hp, const int32_t *tokens, size_t n);
/* Tokens of a picture, and elements of a patch [C, P, P]. */
uint32_t lp_picture_tokens(const lp_picture_hparams *picture);
uint32_t lp_picture_row(const lp_picture_hparams *picture);

/* Whether layer `layer` has the window, if one in `every` layers has not; 0: all have it. */
bool lp_layer_has_window(const lp_arch *arch, uint32_t every, uint32_t layer);

/* Every n-th layer does not rotate; 0: all do. */
void lp_hparams_unrotated(lp_hparams *hp, uint32_t every);

/* Slopes of ALiBi per head, Press et al. 2021: with n the largest power of two up to n_head,
 * 2^(-max (h + 1) / n), then for the heads beyond 2^(-max (2 (h - n) + 1) / (2 n)). */
void lp_alibi_slopes(const lp_hparams *hp, float *slopes);

/* One hyperparameter as people read it. */
typedef struct lp_hparam {
    const char *name; /* snake_case, for JSON */
    bool is_number;   /* in JSON without quotes */
    char value[40];
} lp_hparam;
#define LP_MAX_FACTS 56
/* Returns how many were written. */
size_t lp_hparams_describe(const lp_hparams *hp, lp_hparam facts[LP_MAX_FACTS]);

#endif
