/* The parts of a tokenizer.json, each read into a tokenizer. */
#ifndef LP_TEXT_TOKENIZER_JSON_H
#define LP_TEXT_TOKENIZER_JSON_H

#include "base/json.h"
#include "text/tokenizer_build.h"

typedef struct lp_json_reader {
    lp_context *ctx;
    const char *where; /* the file, for errors */
    lp_tokenizer *tokenizer;
    bool after_bytes; /* pre-tokenizers: ByteLevel was there */
} lp_json_reader;

/* The model with its vocabulary, and the added tokens (an array, or NULL). */
lp_status lp_json_model(lp_json_reader *reader, yyjson_val *model, yyjson_val *added);

/* An added token in a file. */
typedef struct lp_json_added {
    uint64_t id;      /* below LP_MAX_TOKENS */
    yyjson_val *text; /* not empty */
    yyjson_val *item; /* its properties, or NULL */
} lp_json_added;

/* From a list of objects with "id", an object of objects by id, or an object of ids by text; NULL
 * and others are empty. The list lies in the tokenizer's arena. */
lp_status lp_json_added_list(lp_json_reader *reader, yyjson_val *value, lp_json_added **list,
                             size_t *n);
/* Room for `size` ids and the added ones. LP_E_LIMIT if they are much more than the `entries`. */
lp_status lp_json_room(lp_json_reader *reader, uint64_t size, uint64_t entries,
                       const lp_json_added *added, size_t n_added);
/* Adds one to the vocabulary, or makes a token of the vocabulary one that is looked for in text. */
lp_status lp_json_add_token(lp_json_reader *reader, const lp_json_added *added);
/* A token's flags out of its properties (may be NULL). */
lp_status lp_json_flags(lp_json_reader *reader, yyjson_val *item, lp_token *token);
/* The whole vocabulary: {"text": id, ...} and what was added. */
lp_status lp_json_vocab(lp_json_reader *reader, yyjson_val *vocab, const lp_json_added *added,
                        size_t n_added);
/* What tokenizer_config.json or special_tokens_map.json says of special tokens: their names, which
 * are control tokens from then on, and which are added at the ends. What an earlier file said
 * counts. */
lp_status lp_json_config(lp_json_reader *reader, yyjson_val *config);

/* Each accepts null (or NULL) as "none"; LP_E_UNSUPPORTED names a type that is not supported. The
 * vocabulary must be complete before the post-processor is read. */
lp_status lp_json_normalizer(lp_json_reader *reader, yyjson_val *value, unsigned depth);
lp_status lp_json_pre_tokenizer(lp_json_reader *reader, yyjson_val *value, unsigned depth);
lp_status lp_json_post_processor(lp_json_reader *reader, yyjson_val *value, unsigned depth);
lp_status lp_json_decoder(lp_json_reader *reader, yyjson_val *value, unsigned depth);

/* When all parts are read: what follows from them together. */
lp_status lp_json_complete(lp_json_reader *reader);

/* --- What the parts share ----------------------------------------------------------------------
 */

#define LP_JSON_MAX_DEPTH       8   /* of nested Sequences */
#define LP_JSON_MAX_REPLACEMENT 255 /* bytes */

typedef lp_status (*lp_json_part)(lp_json_reader *reader, yyjson_val *value, unsigned depth);

lp_status lp_json_unsupported(lp_json_reader *reader, const char *part, const char *what);
/* The "type" of a part. */
lp_status lp_json_type(lp_json_reader *reader, const char *part, yyjson_val *value, unsigned depth,
                       const char **type);
/* Reads each part of the list `key`. */
lp_status lp_json_sequence(lp_json_reader *reader, yyjson_val *value, const char *key,
                           lp_json_part read, unsigned depth);
/* "pattern": {"String": ...} or {"Regex": ...}. */
lp_status lp_json_pattern(lp_json_reader *reader, const char *part, yyjson_val *value,
                          yyjson_val **text, bool *regex);

#endif
