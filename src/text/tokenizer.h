/* Text to token ids and back: byte-level BPE, SentencePiece's BPE and Unigram, WordPiece. */
#ifndef LP_TEXT_TOKENIZER_H
#define LP_TEXT_TOKENIZER_H

#include "base/context.h"
#include "tensor/gguf.h"
#include "text/utf8.h"

typedef struct lp_tokenizer lp_tokenizer;

/* From a GGUF file's metadata (tokenizer.ggml.*). Everything needed is copied. */
lp_status lp_tokenizer_from_gguf(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer **tokenizer);
/* From a Hugging Face folder: tokenizer.json, or else vocab.txt, vocab.json with merges.txt, a
 * SentencePiece model, Marian's source.spm with vocab.json; and tokenizer_config.json,
 * special_tokens_map.json, added_tokens.json where they are there. */
lp_status lp_tokenizer_from_folder(lp_context *ctx, const char *folder, lp_tokenizer **tokenizer);
/* Marian: of the language that is translated to (target.spm). */
lp_status lp_tokenizer_target_from_folder(lp_context *ctx, const char *folder,
                                          lp_tokenizer **tokenizer);
/* From what lies at a path: a GGUF file (its tensors do not matter), a Hugging Face folder, or a
 * single file of one (tokenizer.json, vocab.txt, *.model, …). */
lp_status lp_tokenizer_open(lp_context *ctx, const char *path, lp_tokenizer **tokenizer);
void lp_tokenizer_destroy(lp_tokenizer *tokenizer);

uint32_t lp_tokenizer_size(const lp_tokenizer *tokenizer);
const char *lp_tokenizer_kind(const lp_tokenizer *tokenizer); /* "llama (SentencePiece BPE)" … */

lp_special_tokens lp_tokenizer_special(const lp_tokenizer *tokenizer);
/* Whether a token ends generation: EOS, end of turn, end of text. */
bool lp_tokenizer_is_end(const lp_tokenizer *tokenizer, int32_t token);
/* The token that the vocabulary spells like this, control tokens included; -1 if there is none. */
int32_t lp_tokenizer_find(const lp_tokenizer *tokenizer, const char *text, size_t bytes);

enum {
    LP_TOKENIZE_ADD_SPECIAL = 1,  /* BOS, EOS, CLS, SEP … as the model wants them */
    LP_TOKENIZE_PARSE_SPECIAL = 2 /* text like "<|end|>" becomes that token */
};

/* Any bytes are accepted, invalid UTF-8 included; LP_E_LIMIT from 1 GiB on. *tokens is malloc'ed
 * (and never NULL on success); the caller frees it. A broken byte stays that byte where the
 * vocabulary has tokens for bytes, and otherwise counts as an unknown character (BERT drops it). */
lp_status lp_tokenize(lp_context *ctx, const lp_tokenizer *tokenizer, const char *text,
                      size_t bytes, unsigned flags, int32_t **tokens, size_t *n_tokens);

/* Two texts in one sequence, as the model wants them ("[CLS] a [SEP] b [SEP]"). *segments: for each
 * token what the model's segment embedding gets; both arrays are malloc'ed. */
lp_status lp_tokenize_pair(lp_context *ctx, const lp_tokenizer *tokenizer, lp_tokenizer_text a,
                           lp_tokenizer_text b, unsigned flags, int32_t **tokens,
                           int32_t **segments, size_t *n_tokens);

/* Bytes of one token as they appear within a text: a leading space is kept, control tokens give
 * nothing. Borrowed from the tokenizer. LP_E_ARG for an id out of range. */
lp_status lp_detokenize(lp_context *ctx, const lp_tokenizer *tokenizer, int32_t token,
                        const char **bytes, size_t *n_bytes);

/* Decoding token by token. Its start is the start of a text, where no space goes before a word. The
 * pieces are bytes: lp_utf8_push() makes whole characters of them. */
typedef struct lp_decoder {
    const lp_tokenizer *tokenizer;
    bool special; /* control tokens appear as the vocabulary spells them */
    bool started; /* set it to go on in the middle of a text */
    bool space;   /* a space is due before the next token */
} lp_decoder;

/* What a further token adds: borrowed from the tokenizer. LP_E_ARG for an id out of range. */
lp_status lp_decode_next(lp_context *ctx, lp_decoder *decoder, int32_t token, const char **bytes,
                         size_t *n_bytes);
/* All of a text. *text is malloc'ed and ended by NUL; it may hold NULs and broken characters. */
lp_status lp_decode(lp_context *ctx, const lp_tokenizer *tokenizer, const int32_t *tokens,
                    size_t n_tokens, bool special, char **text, size_t *bytes);

/* How the vocabulary spells a token, control tokens included (for chat templates and inspection):
 * not terminated, borrowed. LP_E_ARG for an id out of range. */
lp_status lp_token_text(lp_context *ctx, const lp_tokenizer *tokenizer, int32_t token,
                        const char **text, size_t *bytes);

#endif
