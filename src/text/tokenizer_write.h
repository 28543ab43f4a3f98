/* A tokenizer as GGUF metadata (tokenizer.ggml.*). */
#ifndef LP_TEXT_TOKENIZER_WRITE_H
#define LP_TEXT_TOKENIZER_WRITE_H

#include "tensor/gguf_write.h"
#include "text/tokenizer.h"

/* Puts the tokenizer of the Hugging Face folder `path`, and its chat template, for a model of the
 * architecture `arch` with embeddings of n_vocab tokens (the vocabulary is filled up to that). What
 * is put is read again and must give the same ids for texts that tell pre-tokenizers apart.
 * LP_E_UNSUPPORTED: GGUF has no such tokenizer. NULL: puts that there is none. */
lp_status lp_tokenizer_to_gguf(lp_context *ctx, const char *path, const lp_tokenizer *tokenizer,
                               const char *arch, uint32_t n_vocab, lp_gguf_writer *writer);

#endif
