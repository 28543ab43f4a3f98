/* Pre-tokenizers: regular expressions that cut text into the words within which BPE merges. */
#ifndef LP_TEXT_PRETOKENIZE_H
#define LP_TEXT_PRETOKENIZE_H

#include <stdbool.h>
#include "base/context.h"

/* What becomes of a match: a piece of its own, or the end or the start of one. */
typedef enum lp_split_mode {
    LP_SPLIT_ISOLATED,
    LP_SPLIT_WITH_PREVIOUS,
    LP_SPLIT_WITH_NEXT
} lp_split_mode;

/* A sequence of patterns; each cuts the pieces that the one before it left. */
typedef struct lp_splitter lp_splitter;

lp_status lp_splitter_create(lp_context *ctx, lp_splitter **splitter);
void lp_splitter_destroy(lp_splitter *splitter);
/* Appends a pattern, given in the syntax of Hugging Face's tokenizers (Oniguruma). LP_E_FORMAT if
 * it does not compile; `where` names it in errors. */
lp_status lp_splitter_add(lp_context *ctx, lp_splitter *splitter, const char *where,
                          const char *pattern, size_t bytes, lp_split_mode mode);

/* Where pieces end, ascending; the last one is the length of the text. Zero-initialise. */
typedef struct lp_pieces {
    uint32_t *end;
    size_t n, room;
} lp_pieces;

void lp_pieces_free(lp_pieces *pieces);

/* Cuts text[bytes] (any bytes, fewer than 2^31) into pieces, replacing what `pieces` held. No byte
 * is lost: what no pattern matches is a piece, too. LP_E_LIMIT if a pattern backtracks too much. */
lp_status lp_split(lp_context *ctx, const lp_splitter *splitter, const char *text, size_t bytes,
                   lp_pieces *pieces);

#define LP_MAX_PATTERNS 6

/* A pre-tokenizer that GGUF files name in tokenizer.ggml.pre. */
typedef struct lp_pretokenizer {
    const char *names;  /* separated by spaces */
    bool ignore_merges; /* a word that is a token is that token, whatever the merges say */
    bool add_bos;       /* unless the file says otherwise */
    const char *patterns[LP_MAX_PATTERNS];
} lp_pretokenizer;

/* NULL if there is no row of that name. */
const lp_pretokenizer *lp_pretokenizer_find(const char *name, size_t bytes);
/* Appends the row's patterns. */
lp_status lp_pretokenizer_add(lp_context *ctx, const lp_pretokenizer *row, lp_splitter *splitter);

/* GPT-2's pattern, which tokenizer.json files call by the name ByteLevel. */
extern const char lp_pattern_gpt2[];

#endif
