/* The inside of a tokenizer: what the readers (GGUF, tokenizer.json, …) fill in. A reader creates
 * an empty tokenizer, sets its tokens, rules and special tokens, and finishes it. */
#ifndef LP_TEXT_TOKENIZER_BUILD_H
#define LP_TEXT_TOKENIZER_BUILD_H

#include "base/arena.h"
#include "text/bpe.h"
#include "text/buffer.h"
#include "text/charsmap.h"
#include "text/pattern.h"
#include "text/pretokenize.h"
#include "text/tokenizer.h"
#include "text/unigram.h"
#include "text/wordpiece.h"

/* GGUF's and SentencePiece's numbers (tokenizer.ggml.token_type). */
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
    LP_TOKEN_ADDED = 16,      /* not of the model's own vocabulary: words never become it */
    LP_TOKEN_NORMALIZED = 32, /* looked for in the normalised text, in its normalised spelling */
    LP_TOKEN_WORD_END = 64,   /* its decoded text ends with a space that only a successor shows */
    LP_TOKEN_AT_START = 128   /* recognised only at the very start of a text */
};

typedef struct lp_token {
    const char *text; /* as the vocabulary spells it */
    const char *decoded;
    double score; /* no NaN */
    uint32_t bytes, decoded_bytes;
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
    LP_NORMALIZE_REPLACE,         /* every `from` by `to` */
    LP_NORMALIZE_REPLACE_PATTERN, /* every match of `pattern` by `to` */
    LP_NORMALIZE_PREPEND,         /* `to` before text that is not empty */
    LP_NORMALIZE_NFC,
    LP_NORMALIZE_NFD,
    LP_NORMALIZE_NFKC,
    LP_NORMALIZE_NFKD,
    LP_NORMALIZE_LOWER,
    LP_NORMALIZE_NO_MARKS,      /* drops categories M */
    LP_NORMALIZE_NO_NONSPACING, /* drops category Mn */
    LP_NORMALIZE_CLEAN,         /* BERT: drops control characters, every space becomes U+0020 */
    LP_NORMALIZE_PAD_CJK,       /* BERT: spaces around ideographs */
    LP_NORMALIZE_NMT,           /* SentencePiece's rules for control characters and spaces */
    LP_NORMALIZE_STRIP,         /* spaces at the `left` and `right` end */
    LP_NORMALIZE_CHARSMAP,      /* `map`, as Hugging Face's tokenizers apply it */
    LP_NORMALIZE_SENTENCEPIECE  /* `map` and spaces, as SentencePiece does */
} lp_normalize_kind;

typedef struct lp_normalize_step {
    lp_normalize_kind kind;
    const char *from, *to;
    uint32_t from_bytes, to_bytes;
    bool first_only;     /* PREPEND, SENTENCEPIECE's prefix: only at the very start of a text */
    bool left, right;    /* STRIP */
    bool prefix, suffix; /* SENTENCEPIECE: a space in front of the text, or behind it */
    bool squeeze;        /* SENTENCEPIECE: no spaces at the ends, no two in a row */
    bool escape;         /* SENTENCEPIECE: spaces become U+2581 */
    lp_charsmap map;
    lp_pattern *pattern; /* owned by the tokenizer */
} lp_normalize_step;

#define LP_MAX_NORMALIZE_STEPS 16

typedef enum lp_model_kind {
    LP_MODEL_RANKED, /* BPE by the ranks of merges */
    LP_MODEL_SCORED, /* BPE by scores (SentencePiece): any two symbols whose text is a token join */
    LP_MODEL_UNIGRAM,   /* the likeliest segmentation */
    LP_MODEL_WORDPIECE, /* the longest token first */
    LP_MODEL_WORDS      /* a word is a token or unknown */
} lp_model_kind;

/* How one or two texts and special tokens follow each other. */
typedef struct lp_template_item {
    int32_t id;      /* of a special token; LP_TEMPLATE_A or _B: a text */
    int32_t segment; /* what a model's segment embedding sees */
} lp_template_item;
enum { LP_TEMPLATE_A = -1, LP_TEMPLATE_B = -2, LP_MAX_TEMPLATE = 24 };
typedef struct lp_template {
    lp_template_item items[LP_MAX_TEMPLATE];
    size_t n; /* 0: not set */
} lp_template;

struct lp_tokenizer {
    lp_arena arena; /* everything that is not listed below */
    lp_vocab vocab; /* slots: malloc */
    lp_bpe_table merges;
    lp_unigram unigram;
    lp_wordpiece wordpiece;
    lp_trie added, added_normalized; /* tokens looked for in text, as it is and normalised */
    lp_trie user;                    /* tokens that the model itself must not take apart */
    lp_splitter *splitter;           /* NULL: words are not split */
    lp_normalize_step steps[LP_MAX_NORMALIZE_STEPS];
    size_t n_steps;
    lp_model_kind model;
    bool byte_level;    /* GPT-2: tokens are spelt in an alphabet of 256 printable characters */
    bool letters;       /* byte_level: the splitter gives text in this alphabet already */
    bool byte_fallback; /* characters without a token become <0xNN> tokens */
    bool escape_space;  /* tokens spell a space as U+2581 */
    bool fuse_unknown;  /* neighbouring unknown characters give one unknown token */
    bool ignore_merges; /* a word that is a token is that token */
    bool user_inside;   /* user tokens are found by the model (`user`), not before normalising */
    bool find_unknown;  /* Marian: what is no piece may still be a token by its text */
    bool marks_lead;    /* no token has U+2581 behind another character: none spans two words */
    bool cleanup;       /* WordPiece: no space before punctuation in decoded text */
    const char *rest_prefix; /* of the characters behind a word's first; "" if none */
    const char *word_suffix; /* of a word's last character; "" if none */
    int32_t byte_token[256]; /* -1: none */
    lp_template single, pair;
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
/* A token that words may become; -1 if there is none. */
int32_t lp_vocab_find_text(const lp_vocab *vocab, const char *text, size_t bytes);
/* Whether words may become this token: no control token, none that was added. */
bool lp_token_is_text(const lp_token *token);
/* The byte that a text "<0xNN>" stands for, or -1. */
int lp_byte_of_name(const char *text, size_t bytes);

/* Adds a merge of two token texts. LP_E_FORMAT if one of the three tokens is unknown. */
lp_status lp_tokenizer_add_merge(lp_context *ctx, const char *where, lp_tokenizer *tokenizer,
                                 uint32_t rank, const char *left, size_t left_bytes,
                                 const char *right, size_t right_bytes);

/* Appends a step; texts are copied, the pattern becomes the tokenizer's (also on failure).
 * LP_E_LIMIT if there are too many. */
lp_status lp_tokenizer_add_step(lp_context *ctx, const char *where, lp_tokenizer *tokenizer,
                                const lp_normalize_step *step);

/* BERT's normaliser: control characters dropped, ideographs as words of their own, accents
 * stripped, lower case. */
lp_status lp_tokenizer_add_bert(lp_context *ctx, const char *where, lp_tokenizer *tokenizer,
                                bool clean, bool pad, bool strip, bool lower);

/* Makes the WordPiece model of a complete vocabulary; `first`: the prefix of a word's first piece.
 */
lp_status lp_tokenizer_index_wordpiece(lp_context *ctx, lp_tokenizer *tokenizer, const char *first);

/* Makes the Unigram model of a complete vocabulary with scores, as SentencePiece does. */
lp_status lp_tokenizer_index_unigram(lp_context *ctx, lp_tokenizer *tokenizer);

/* Appends to a template. LP_E_LIMIT if it is full. */
lp_status lp_template_add(lp_context *ctx, const char *where, lp_template *form, int32_t id,
                          int32_t segment);
/* Sets both templates: "before A behind" and "before A behind between B behind"; -1: no such token.
 * `second`: the segment of the second text. */
lp_status lp_template_around(lp_context *ctx, const char *where, lp_tokenizer *tokenizer,
                             int32_t before, int32_t between, int32_t behind, int32_t second);

/* Derives what follows from the tokens: decoded bytes, byte tokens, tries, templates, ends. */
lp_status lp_tokenizer_finish(lp_context *ctx, const char *where, lp_tokenizer *tokenizer);

/* text[bytes] after the tokenizer's steps, into `to` (`spare` is working memory). `first`: the text
 * is the very start of a prompt. */
lp_status lp_normalize(lp_context *ctx, const lp_tokenizer *tokenizer, const char *text,
                       size_t bytes, bool first, lp_text *to, lp_text *spare);

/* Looks for added tokens in text[bytes] from `at` on: the next one's id and the span that it takes,
 * spaces that it eats included, not before `done`; -1 if there is none. */
int32_t lp_find_added(const lp_tokenizer *tokenizer, const lp_trie *tokens, const char *text,
                      size_t bytes, size_t done, size_t *at, unsigned flags, size_t *start,
                      size_t *end);

/* A file's contents. `data` NULL: there is none. */
typedef struct lp_tokenizer_file {
    const char *path; /* for errors */
    const char *data;
    size_t bytes;
} lp_tokenizer_file;

/* tokenizer.json, and tokenizer_config.json where there is one. */
lp_status lp_tokenizer_from_json(lp_context *ctx, lp_tokenizer_file json, lp_tokenizer_file config,
                                 lp_tokenizer **tokenizer);

/* The files of a folder that a tokenizer can be made of. */
typedef enum lp_tokenizer_part {
    LP_PART_JSON,         /* tokenizer.json: all that is needed */
    LP_PART_CONFIG,       /* tokenizer_config.json: class, special tokens, options */
    LP_PART_SPECIAL,      /* special_tokens_map.json */
    LP_PART_ADDED,        /* added_tokens.json */
    LP_PART_MODEL_CONFIG, /* config.json: model_type */
    LP_PART_VOCAB_TXT,    /* vocab.txt (WordPiece) */
    LP_PART_VOCAB_JSON,   /* vocab.json, with merges.txt or source.spm */
    LP_PART_MERGES,
    LP_PART_PIECES, /* spiece.model, tokenizer.model (SentencePiece) */
    LP_PART_SOURCE, /* source.spm (Marian) */
    LP_N_PARTS
} lp_tokenizer_part;

/* From what there is of them. `where` names the folder in errors. */
lp_status lp_tokenizer_from_parts(lp_context *ctx, const char *where,
                                  const lp_tokenizer_file parts[LP_N_PARTS],
                                  lp_tokenizer **tokenizer);

/* One piece of a SentencePiece model. */
typedef struct lp_piece_entry {
    const char *text; /* borrowed from the file */
    uint32_t bytes;
    float score;
    lp_token_type type;
} lp_piece_entry;

/* What a SentencePiece model file (a protobuf message ModelProto) holds. */
typedef struct lp_pieces_file {
    lp_piece_entry *pieces; /* malloc'ed */
    size_t n, room;
    uint32_t model_type;            /* 1 Unigram, 2 BPE, 3 words, 4 characters */
    int32_t unknown, bos, eos, pad; /* -1: none */
    const uint8_t *charsmap;        /* borrowed from the file */
    size_t charsmap_bytes;
    bool byte_fallback, whitespace_suffix;
    bool prefix, squeeze, escape; /* of the normaliser */
} lp_pieces_file;

lp_status lp_pieces_read(lp_context *ctx, lp_tokenizer_file file, lp_pieces_file *pieces);
void lp_pieces_free(lp_pieces_file *pieces);

#endif
