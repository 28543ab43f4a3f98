// Hostile tokenizer metadata in a GGUF file.
#include <stdint.h>

#include "tokenizer_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "a ab \xff<|end|> 12's <s>\n\xc3\xa9 word ing";
    lp_context ctx = {0};
    lp_gguf *gguf = NULL;
    lp_tokenizer *tokenizer = NULL;
    lp_weights *weights = lp_weights_create();
    if (weights && lp_gguf_parse(&ctx, "FILE", data, size, weights, &gguf) == LP_OK) {
        lp_status status = lp_tokenizer_from_gguf(&ctx, gguf, &tokenizer);
        tokenizer_run(&ctx, status, tokenizer, text, sizeof text - 1);
    }
    lp_gguf_destroy(gguf);
    lp_weights_destroy(weights);
    return 0;
}
