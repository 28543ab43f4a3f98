/* The inside of a tokenizer: what the readers (GGUF, tokenizer.json) fill in. A reader creates an
 * empty tokenizer, sets its tokens, rules and special tokens, and finishes it. */
#ifndef LP_TEXT_TOKENIZER_BUILD_H
#define LP_TEXT_TOKENIZER_BUILD_H

#include "base/arena.h"
#include "text/bpe.h"
#include "text/pretokenize.h"
#include "text/tokenizer.h"

/* GGUF's numbers (tokenizer.ggml.token_type). */
typedef enum lp_token_type {
    LP_TOKEN_NONE = 0, /* a gap in the ids */
    LP_TOKEN_NORMAL = 1,
    LP_TOKEN_UNKNOWN = 2,
    LP_TOKEN_CONTROL = 3, /* recognised in text only if asked for; decodes to nothing */
    LP_TOKEN_USER = 4,    /* always recognised in text, before anything else */
    LP_TOKEN_UNUSED = 5,
    LP_TOKEN_BYTE = 6
} lp_token_type;

enum {
    LP_TOKEN_LEFT_STRIP = 1, /* eats the spaces before it */
    LP_TOKEN_RIGHT_STRIP = 2,
    LP_TOKEN_SINGLE_WORD = 4, /* recognised only as a word of its own */
    LP_TOKEN_END = 8,         /* ends generation */
    LP_TOKEN_ADDED = 16       /* not of the model's own vocabulary: words never become it */
};

typedef struct lp_token {
    const char *text; /* as the vocabulary spells it */
    const char *decoded;
    uint32_t bytes, decoded_bytes;
    float score; /* no NaN */
    uint8_t type, flags;
} lp_token;

/* Tokens by id and by text. */
typedef struct lp_vocab {
    lp_token *tokens;
    uint32_t n;
    uint32_t longest; /* bytes of the longest text */
    int32_t *slots;   /* hash table of ids, -1: free */
    size_t n_slots;
} lp_vocab;

typedef enum lp_normalize_kind {
    LP_NORMALIZE_REPLACE, /* every `from` by `to` */
    LP_NORMALIZE_PREPEND, /* `to` before text that is not empty */
    LP_NORMALIZE_NFC,
    LP_NORMALIZE_NFD,
    LP_NORMALIZE_NFKC,
    LP_NORMALIZE_NFKD
} lp_normalize_kind;

typedef struct lp_normalize_step {
    lp_normalize_kind kind;
    const char *from, *to;
    uint32_t from_bytes, to_bytes;
    bool unless_there; /* PREPEND: not before text that starts with `to` */
    bool first_only;   /* PREPEND: only at the very start, not behind a special token */
} lp_normalize_step;

#define LP_MAX_NORMALIZE_STEPS 16

struct lp_tokenizer {
    lp_arena arena; /* everything that is not listed below */
    lp_vocab vocab; /* slots: malloc */
    lp_bpe_table merges;
    lp_splitter *splitter; /* NULL: words are not split */
    lp_normalize_step steps[LP_MAX_NORMALIZE_STEPS];
    size_t n_steps;
    bool by_score;      /* SentencePiece: any two symbols whose text is a token join */
    bool byte_level;    /* GPT-2: tokens are spelt in an alphabet of 256 printable characters */
    bool byte_fallback; /* characters without a token become <0xNN> tokens */
    bool escape_space;  /* tokens spell a space as U+2581 */
    bool fuse_unknown;  /* neighbouring unknown characters give one unknown token */
    bool ignore_merges; /* a word that is a token is that token */
    int32_t byte_token[256];     /* -1: none */
    uint32_t *special_order;     /* ids recognised in text: by first byte, then the longest first */
    uint32_t special_start[257]; /* first of each byte */
    lp_special_tokens special;
    const char *kind;
};

/* Empty; lp_tokenizer_destroy() frees it at any stage. */
lp_status lp_tokenizer_create(lp_context *ctx, lp_tokenizer **tokenizer);

/* Room for ids 0 to n - 1. `where` names the list in errors. LP_E_LIMIT above LP_MAX_TOKENS. */
#define LP_MAX_TOKENS (1u << 24)
lp_status lp_vocab_create(lp_context *ctx, const char *where, lp_tokenizer *tokenizer, uint64_t n);
/* Copies the text. LP_E_FORMAT if the id or the text is taken. An empty text is a token that no
 * text gives. */
lp_status lp_vocab_set(lp_context *ctx, const char *where, lp_tokenizer *tokenizer, uint32_t id,
                       const char *text, size_t bytes, lp_token_type type);
/* -1 if there is none. */
int32_t lp_vocab_find(const lp_vocab *vocab, const char *text, size_t bytes);

/* Adds a merge of two token texts. LP_E_FORMAT if one of the three tokens is unknown. */
lp_status lp_tokenizer_add_merge(lp_context *ctx, const char *where, lp_tokenizer *tokenizer,
                                 uint32_t rank, const char *left, size_t left_bytes,
                                 const char *right, size_t right_bytes);

/* Appends a step; texts are copied. LP_E_LIMIT if there are too many. */
lp_status lp_tokenizer_add_step(lp_context *ctx, const char *where, lp_tokenizer *tokenizer,
                                const lp_normalize_step *step);

/* Derives what follows from the tokens: decoded bytes, byte tokens, special tokens, ends. */
lp_status lp_tokenizer_finish(lp_context *ctx, const char *where, lp_tokenizer *tokenizer);

/* Text being normalised: grows as needed. */
typedef struct lp_text {
    char *data;
    size_t n, room;
} lp_text;

void lp_text_free(lp_text *text);
lp_status lp_text_append(lp_context *ctx, lp_text *text, const char *data, size_t n);

/* text[bytes] after the tokenizer's steps, into `to` (`spare` is working memory). `first`: the text
 * is the very start of a prompt. */
lp_status lp_normalize(lp_context *ctx, const lp_tokenizer *tokenizer, const char *text,
                       size_t bytes, bool first, lp_text *to, lp_text *spare);

/* GPT-2's alphabet: the character that stands for a byte, and back (-1: none). */
uint32_t lp_byte_to_letter(uint8_t byte);
int lp_letter_to_byte(uint32_t code);

/* tokenizer.json and, unless NULL, tokenizer_config.json, from memory. `where` is the folder in
 * error messages. */
lp_status lp_tokenizer_from_json(lp_context *ctx, const char *where, const char *json, size_t bytes,
                                 const char *config, size_t config_bytes, lp_tokenizer **tokenizer);

#define LP_SPACE_MARK "\xe2\x96\x81" /* U+2581, which SentencePiece writes for a space */

#endif
