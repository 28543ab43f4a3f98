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

/* Each accepts null (or NULL) as "none"; LP_E_UNSUPPORTED names a type that is not supported. The
 * vocabulary must be complete before the post-processor is read. */
lp_status lp_json_normalizer(lp_json_reader *reader, yyjson_val *value, unsigned depth);
lp_status lp_json_pre_tokenizer(lp_json_reader *reader, yyjson_val *value, unsigned depth);
lp_status lp_json_post_processor(lp_json_reader *reader, yyjson_val *value, unsigned depth);
lp_status lp_json_decoder(lp_json_reader *reader, yyjson_val *value, unsigned depth);

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
