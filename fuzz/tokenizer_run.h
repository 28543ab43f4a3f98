// What the tokenizer fuzz targets do with a tokenizer that was made from hostile input: ids must be
// within the vocabulary, and decoding them must work. Then it is destroyed.
#ifndef LP_FUZZ_TOKENIZER_RUN_H
#define LP_FUZZ_TOKENIZER_RUN_H

#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_build.h"

static void tokenizer_check_ids(lp_context *ctx, const lp_tokenizer *tokenizer, const int32_t *ids,
                                size_t n)
{
    char *text;
    size_t bytes;
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= lp_tokenizer_size(tokenizer))
            abort();
    for (int special = 0; special < 2; special++) {
        if (lp_decode(ctx, tokenizer, ids, n, special, &text, &bytes) != LP_OK)
            abort();
        free(text);
    }
}

// `status`: of making it. A failure must have left a line and no tokenizer.
static void tokenizer_run(lp_context *ctx, lp_status status, lp_tokenizer *tokenizer,
                          const char *text, size_t bytes)
{
    if (status != LP_OK) {
        if (tokenizer || !ctx->message[0] || strchr(ctx->message, '\n'))
            abort();
        return;
    }
    for (unsigned flags = 0; flags < 4; flags++) {
        int32_t *ids, *segments;
        size_t n;
        if (lp_tokenize(ctx, tokenizer, text, bytes, flags, &ids, &n) == LP_OK) {
            tokenizer_check_ids(ctx, tokenizer, ids, n);
            free(ids);
        }
        lp_tokenizer_text a = {text, bytes / 2}, b = {text + bytes / 2, bytes - bytes / 2};
        if (lp_tokenize_pair(ctx, tokenizer, a, b, flags, &ids, &segments, &n) == LP_OK) {
            tokenizer_check_ids(ctx, tokenizer, ids, n);
            free(ids);
            free(segments);
        }
    }
    lp_tokenizer_destroy(tokenizer);
}

#endif
