/* Synthetic models: GGUF files of well-known shapes with random weights, for benchmarks, tests and
 * bug reports without a download. */
#ifndef LP_MODELS_SYNTH_H
#define LP_MODELS_SYNTH_H

#include "tensor/gguf_write.h"

typedef enum lp_synth_tokenizer {
    LP_SYNTH_SPM,       /* SentencePiece-style, as Llama 2: 3 control tokens, 256 bytes, pieces */
    LP_SYNTH_BPE_GPT2,  /* byte-level BPE, as GPT-2: 256 bytes, pieces, <|endoftext|> */
    LP_SYNTH_BPE_LLAMA3 /* byte-level BPE, as Llama 3: 256 bytes, pieces, 256 special tokens */
} lp_synth_tokenizer;

typedef struct lp_synth_shape_info {
    const char *name;
    const char *text; /* "llama, dim 288, 6 layers, ..." */
    const char *arch; /* "gpt2", "llama" */
    lp_synth_tokenizer tokenizer;
    uint32_t dim, n_layer, n_head, n_head_kv, n_ff, n_vocab, n_context;
    float rope_base;
    float rope_factor; /* 0, or that of Llama 3's RoPE scaling (rope_freqs.weight is written) */
    bool tied;         /* the head is the token embedding */
} lp_synth_shape_info;

extern const lp_synth_shape_info lp_synth_shapes[];
extern const size_t lp_synth_shape_count;

/* Writes `path`, whole or not at all. `type` is that of the matrices: any but LP_I32;
 * vectors and position embeddings are F32. The same seed gives the same
 * file on every machine, and the same f32 weights before rounding for every type. LP_E_MISSING
 * lists the shapes. `progress` (may be NULL) counts bytes of weights. */
lp_status lp_synth_write(lp_context *ctx, const char *shape, lp_dtype type, uint64_t seed,
                         const char *path, lp_progress_fn progress, void *user);

/* n random numbers of a stream, from `first` on: the same wherever and in whatever pieces. */
void lp_synth_fill(uint64_t stream, float mean, float deviation, uint64_t first, float *values,
                   size_t n);
/* The stream of tensor `index`. */
uint64_t lp_synth_stream(uint64_t seed, uint64_t index);

/* Writes the folder `to` (made; LP_E_IO if it is there): a model with random weights for the
 * config.json `from`, a file or in a folder, of which tokenizers go along. `type`: LP_F32, LP_F16,
 * LP_BF16. */
lp_status lp_synth_folder(lp_context *ctx, const char *from, lp_dtype type, uint64_t seed,
                          const char *to, lp_progress_fn progress, void *user);

/* Removes what that wrote. */
void lp_synth_folder_remove(const char *folder);

/* Puts tokenizer.ggml.* of a vocabulary of n tokens. */
lp_status lp_synth_vocab(lp_context *ctx, lp_gguf_writer *writer, lp_synth_tokenizer kind,
                         uint32_t n);

#endif
