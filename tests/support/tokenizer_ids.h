/* What tests of tokenizers compare. */
#ifndef LP_TEST_TOKENIZER_IDS_H
#define LP_TEST_TOKENIZER_IDS_H

#include "text/tokenizer.h"

/* Fails with the place of the first difference; `name` and `index` say which text it is. */
void check_ids(const char *name, size_t index, const lp_tokenizer *tokenizer, const char *text,
               size_t bytes, unsigned flags, const int32_t *want, size_t n_want);

#endif
