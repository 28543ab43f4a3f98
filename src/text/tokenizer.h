/* Text to token ids and back: SentencePiece-style BPE and GPT-2-style byte-level BPE. */
#ifndef LP_TEXT_TOKENIZER_H
#define LP_TEXT_TOKENIZER_H

#include "base/context.h"
#include "tensor/gguf.h"
#include "text/utf8.h"

typedef struct lp_tokenizer lp_tokenizer;

/* From a GGUF file's metadata (tokenizer.ggml.*). Everything needed is copied. */
lp_status lp_tokenizer_from_gguf(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer **tokenizer);
/* From a Hugging Face folder: tokenizer.json (and tokenizer_config.json where it is there). */
lp_status lp_tokenizer_from_folder(lp_context *ctx, const char *folder, lp_tokenizer **tokenizer);
void lp_tokenizer_destroy(lp_tokenizer *tokenizer);

uint32_t lp_tokenizer_size(const lp_tokenizer *tokenizer);
const char *lp_tokenizer_kind(const lp_tokenizer *tokenizer); /* "llama (SentencePiece BPE)" … */

typedef struct lp_special_tokens {
    int32_t bos, eos, unknown; /* -1: none */
    bool add_bos, add_eos;     /* what the model wants at the ends of a prompt */
    bool space_prefix; /* text gets a space in front that was not there: whoever decodes a text from
                          its very start drops one leading space */
} lp_special_tokens;
lp_special_tokens lp_tokenizer_special(const lp_tokenizer *tokenizer);
/* Whether a token ends generation: EOS, end of turn, end of text. */
bool lp_tokenizer_is_end(const lp_tokenizer *tokenizer, int32_t token);

enum {
    LP_TOKENIZE_ADD_SPECIAL = 1,  /* BOS/EOS as the model wants them */
    LP_TOKENIZE_PARSE_SPECIAL = 2 /* text like "<|end|>" becomes that token */
};

/* Any bytes are accepted, invalid UTF-8 included; LP_E_LIMIT from 1 GiB on. *tokens is malloc'ed
 * (and never NULL on success); the caller frees it. */
lp_status lp_tokenize(lp_context *ctx, const lp_tokenizer *tokenizer, const char *text,
                      size_t bytes, unsigned flags, int32_t **tokens, size_t *n_tokens);

/* Bytes of one token as they appear in text: a leading space is kept, control tokens give nothing.
 * Borrowed from the tokenizer. LP_E_ARG for an id out of range. */
lp_status lp_detokenize(lp_context *ctx, const lp_tokenizer *tokenizer, int32_t token,
                        const char **bytes, size_t *n_bytes);

/* How the vocabulary spells a token, control tokens included (for chat templates and inspection):
 * not terminated, borrowed. LP_E_ARG for an id out of range. */
lp_status lp_token_text(lp_context *ctx, const lp_tokenizer *tokenizer, int32_t token,
                        const char **text, size_t *bytes);

#endif
