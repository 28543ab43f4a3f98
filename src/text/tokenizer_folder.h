/* Folders without a tokenizer.json: what the readers of their files share. */
#ifndef LP_TEXT_TOKENIZER_FOLDER_H
#define LP_TEXT_TOKENIZER_FOLDER_H

#include "text/tokenizer_json.h"

typedef struct lp_parts_reader {
    lp_json_reader json;
    const lp_tokenizer_file *parts; /* [LP_N_PARTS] */
    yyjson_doc *docs[LP_N_PARTS];   /* of those that are JSON and were read */
    const char *class;              /* tokenizer_class without "Fast"; else model_type; "" */
    lp_json_added *added;           /* of tokenizer_config.json or added_tokens.json */
    size_t n_added;
} lp_parts_reader;

/* Root of a part that is JSON; NULL if the part is not there. */
lp_status lp_parts_json(lp_parts_reader *reader, lp_tokenizer_part part, yyjson_val **root);
/* Whether the reader's class is among the names, which spaces separate. */
bool lp_parts_is(const lp_parts_reader *reader, const char *names);
/* Makes a control token of the token of that text; -1 if the vocabulary lacks it. */
int32_t lp_parts_special(lp_parts_reader *reader, const char *text);

/* SentencePiece: T5, Llama, Gemma and others of the plain kind; Marian's source.spm and vocab.json.
 */
lp_status lp_parts_pieces(lp_parts_reader *reader);
lp_status lp_parts_marian(lp_parts_reader *reader);

#endif
