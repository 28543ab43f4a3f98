/* Pre-tokenizers: they cut text into the words within which a model looks for tokens, and may
 * change it on the way (a mark for a space, letters for bytes). */
#ifndef LP_TEXT_PRETOKENIZE_H
#define LP_TEXT_PRETOKENIZE_H

#include <stdbool.h>
#include "text/buffer.h"

/* What becomes of what a step finds. */
typedef enum lp_split_mode {
    LP_SPLIT_ISOLATED,      /* a piece of its own */
    LP_SPLIT_WITH_PREVIOUS, /* the end of the piece before it */
    LP_SPLIT_WITH_NEXT,     /* the start of the piece behind it */
    LP_SPLIT_REMOVED,       /* dropped */
    LP_SPLIT_JOINED         /* one piece with its like beside it */
} lp_split_mode;

typedef enum lp_split_class {
    LP_SPLIT_SPACE,
    LP_SPLIT_PUNCTUATION,
    LP_SPLIT_NUMBER
} lp_split_class;

typedef enum lp_prefix { LP_PREFIX_NEVER, LP_PREFIX_FIRST, LP_PREFIX_ALWAYS } lp_prefix;

/* A sequence of steps; each works on the pieces that the one before it left. */
typedef struct lp_splitter lp_splitter;

lp_status lp_splitter_create(lp_context *ctx, lp_splitter **splitter);
void lp_splitter_destroy(lp_splitter *splitter);

/* Each appends a step; `where` names the file in errors. LP_E_LIMIT if there are too many. */

/* A pattern in the syntax of Hugging Face's tokenizers (Oniguruma). LP_E_FORMAT if it does not
 * compile. `invert`: what lies between its matches is what it finds. */
lp_status lp_splitter_add(lp_context *ctx, lp_splitter *splitter, const char *where,
                          const char *pattern, size_t bytes, lp_split_mode mode, bool invert);
/* Single characters of a class. */
lp_status lp_splitter_add_class(lp_context *ctx, lp_splitter *splitter, const char *where,
                                lp_split_class class, lp_split_mode mode);
/* Spaces become U+2581, which `prefix` also puts before pieces that do not start with it (first:
 * only before the very start of a text). `split`: a piece starts at each U+2581. */
lp_status lp_splitter_add_metaspace(lp_context *ctx, lp_splitter *splitter, const char *where,
                                    lp_prefix prefix, bool split);
/* BERT's: spaces are dropped, punctuation is a word of its own. */
lp_status lp_splitter_add_bert(lp_context *ctx, lp_splitter *splitter, const char *where);
/* A space before each piece that does not start with one. */
lp_status lp_splitter_add_space(lp_context *ctx, lp_splitter *splitter, const char *where);
/* Bytes become the characters of GPT-2's alphabet. */
lp_status lp_splitter_add_letters(lp_context *ctx, lp_splitter *splitter, const char *where);

typedef struct lp_piece {
    uint32_t start, end;
} lp_piece;

/* The pieces of a text, and the text they lie in, which is the caller's or `changed`.
 * Zero-initialise; kept from text to text. */
typedef struct lp_words {
    const char *text;
    size_t bytes;
    lp_piece *pieces, *spare;
    size_t n, room, n_spare, spare_room;
    lp_text changed, other;
} lp_words;

void lp_words_free(lp_words *words);

/* Cuts text[bytes] (any bytes, fewer than 2^31) into pieces, replacing what `words` held. What no
 * step finds is a piece, too. `first`: the text is the very start of a prompt. LP_E_LIMIT if a
 * pattern backtracks too much. */
lp_status lp_split(lp_context *ctx, const lp_splitter *splitter, const char *text, size_t bytes,
                   bool first, lp_words *words);

#define LP_MAX_PATTERNS 6

/* A pre-tokenizer that GGUF files name in tokenizer.ggml.pre. */
typedef struct lp_pretokenizer {
    const char *names;  /* separated by spaces */
    bool ignore_merges; /* a word that is a token is that token, whatever the merges say */
    bool add_bos;       /* unless the file says otherwise */
    bool add_sep;       /* a separator goes between two texts */
    const char *patterns[LP_MAX_PATTERNS];
} lp_pretokenizer;

/* NULL if there is no row of that name. */
const lp_pretokenizer *lp_pretokenizer_find(const char *name, size_t bytes);
/* Row i of the table; NULL behind the last. */
const lp_pretokenizer *lp_pretokenizer_at(size_t i);
/* Whether the row has this name. */
bool lp_pretokenizer_is(const lp_pretokenizer *row, const char *name, size_t bytes);
/* Appends the row's patterns. */
lp_status lp_pretokenizer_add(lp_context *ctx, const lp_pretokenizer *row, lp_splitter *splitter);

/* GPT-2's pattern, which tokenizer.json files call by the name ByteLevel. */
extern const char lp_pattern_gpt2[];

/* GPT-2's alphabet: the character that stands for a byte, and back (-1: none). */
uint32_t lp_byte_to_letter(uint8_t byte);
int lp_letter_to_byte(uint32_t code);

#define LP_SPACE_MARK "\xe2\x96\x81" /* U+2581, which SentencePiece writes for a space */

#endif
