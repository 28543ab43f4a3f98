// Hostile files of a folder without tokenizer.json. The input's stretches between NULs are
// tokenizer_config.json, special_tokens_map.json, added_tokens.json, the vocabulary (vocab.json if
// it starts with a brace, else vocab.txt), merges.txt and a text; empty ones are missing files.
#include <stdint.h>

#include "tokenizer_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const lp_tokenizer_part order[] = {LP_PART_CONFIG, LP_PART_SPECIAL, LP_PART_ADDED,
                                              LP_PART_VOCAB_TXT, LP_PART_MERGES};
    lp_context ctx = {0};
    lp_tokenizer *tokenizer = NULL;
    lp_tokenizer_file parts[LP_N_PARTS];
    const char *text = (const char *)data;
    size_t left = size;
    for (int i = 0; i < LP_N_PARTS; i++)
        parts[i] = (lp_tokenizer_file){.path = "fuzz"};
    for (size_t i = 0; i < sizeof order / sizeof order[0] && left > 0; i++) {
        const char *end = memchr(text, 0, left);
        size_t bytes = end ? (size_t)(end - text) : left;
        lp_tokenizer_part part = order[i] == LP_PART_VOCAB_TXT && bytes > 0 && *text == '{'
                                     ? LP_PART_VOCAB_JSON
                                     : order[i];
        if (bytes > 0) {
            parts[part].data = text;
            parts[part].bytes = bytes;
        }
        text += bytes + (end != NULL);
        left -= bytes + (end != NULL);
    }
    lp_status status = lp_tokenizer_from_parts(&ctx, "fuzz", parts, &tokenizer);
    tokenizer_run(&ctx, status, tokenizer, text, left);
    return 0;
}
