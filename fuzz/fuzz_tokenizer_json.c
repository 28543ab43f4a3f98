// A hostile tokenizer.json, then a text: the input is JSON, and if there is a NUL, the text behind it.
// Ids must be within the vocabulary, and decoding them must work.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lp_context ctx = {0};
    lp_tokenizer *tokenizer = NULL;
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t json_bytes = end ? (size_t)(end - data) : size;
    const char *text = end ? (const char *)end + 1 : "a \xff<|end|> 12";
    size_t text_bytes = end ? size - json_bytes - 1 : strlen(text);

    lp_tokenizer_file json = {"fuzz", (const char *)data, json_bytes}, config = {0};
    lp_status status = lp_tokenizer_from_json(&ctx, json, config, &tokenizer);
    if (status != LP_OK) {
        if (tokenizer || !ctx.message[0] || strchr(ctx.message, '\n'))
            abort();
        return 0;
    }
    for (unsigned flags = 0; flags < 4; flags++) {
        int32_t *ids;
        size_t n;
        if (lp_tokenize(&ctx, tokenizer, text, text_bytes, flags, &ids, &n) != LP_OK)
            continue;
        for (size_t i = 0; i < n; i++) {
            const char *bytes;
            size_t n_bytes;
            if (lp_detokenize(&ctx, tokenizer, ids[i], &bytes, &n_bytes) != LP_OK)
                abort();
        }
        free(ids);
    }
    lp_tokenizer_destroy(tokenizer);
    return 0;
}
