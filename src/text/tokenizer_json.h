/* The parts of a tokenizer.json around its model, each read into a tokenizer. */
#ifndef LP_TEXT_TOKENIZER_JSON_H
#define LP_TEXT_TOKENIZER_JSON_H

#include "base/json.h"
#include "text/tokenizer_build.h"

typedef struct lp_json_reader {
    lp_context *ctx;
    const char *where; /* the file, for errors */
    lp_tokenizer *tokenizer;
    bool after_bytes; /* pre-tokenizers: ByteLevel was there */
    bool template;    /* post-processor: a template decided about BOS and EOS */
} lp_json_reader;

/* Each accepts null (or NULL) as "none"; LP_E_UNSUPPORTED names a type that is not supported. The
 * vocabulary must be complete before the post-processor is read. */
lp_status lp_json_normalizer(lp_json_reader *reader, yyjson_val *value, unsigned depth);
lp_status lp_json_pre_tokenizer(lp_json_reader *reader, yyjson_val *value, unsigned depth);
lp_status lp_json_post_processor(lp_json_reader *reader, yyjson_val *value, unsigned depth);
lp_status lp_json_decoder(lp_json_reader *reader, yyjson_val *value, unsigned depth);

#endif
