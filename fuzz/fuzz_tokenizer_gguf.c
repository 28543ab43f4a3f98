// Hostile tokenizer metadata in a GGUF file. Ids must be within the vocabulary, and decoding must work.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer.h"

static void use(lp_context *ctx, const lp_tokenizer *tokenizer)
{
    static const char text[] = "a ab \xff<|end|> 12's <s>\n\xc3\xa9";
    for (unsigned flags = 0; flags < 4; flags++) {
        int32_t *ids;
        size_t n;
        if (lp_tokenize(ctx, tokenizer, text, sizeof text - 1, flags, &ids, &n) != LP_OK)
            abort();
        for (size_t i = 0; i < n; i++) {
            const char *bytes;
            size_t n_bytes;
            if (lp_detokenize(ctx, tokenizer, ids[i], &bytes, &n_bytes) != LP_OK)
                abort();
        }
        free(ids);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lp_context ctx = {0};
    lp_gguf *gguf = NULL;
    lp_tokenizer *tokenizer = NULL;
    lp_weights *weights = lp_weights_create();
    if (weights && lp_gguf_parse(&ctx, "FILE", data, size, weights, &gguf) == LP_OK) {
        if (lp_tokenizer_from_gguf(&ctx, gguf, &tokenizer) == LP_OK)
            use(&ctx, tokenizer);
        else if (tokenizer || !ctx.message[0] || strchr(ctx.message, '\n'))
            abort();
    }
    lp_tokenizer_destroy(tokenizer);
    lp_gguf_destroy(gguf);
    lp_weights_destroy(weights);
    return 0;
}
