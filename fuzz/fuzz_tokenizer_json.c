// A hostile tokenizer.json, then a text: the input is JSON, and if there is a NUL, the text behind
// it.
#include <stdint.h>

#include "tokenizer_run.h"

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
    tokenizer_run(&ctx, status, tokenizer, text, text_bytes);
    return 0;
}
