// UTF-8: decoding and the stream must agree on what is valid, whatever pieces the bytes come in.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

// The whole text through a stream in pieces of `piece` bytes; malloc'ed.
static char *through_stream(const char *text, size_t bytes, size_t piece, size_t *n)
{
    lp_utf8_stream stream = {0};
    char *out = malloc(3 * (bytes + 4) + 12);
    *n = 0;
    for (size_t at = 0; out && at < bytes; at += piece) {
        size_t k = bytes - at < piece ? bytes - at : piece;
        char *part = malloc(3 * (k + 4)); // the documented room, exactly
        if (!part)
            abort();
        size_t written = lp_utf8_push(&stream, text + at, k, part);
        memcpy(out + *n, part, written);
        *n += written;
        free(part);
    }
    if (out)
        *n += lp_utf8_finish(&stream, out + *n);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t valid = lp_utf8_valid_bytes(text, size), n, n_again;
    char *out = through_stream(text, size, size + 1, &n);
    char *again = through_stream(text, size, 1 + size % 7, &n_again);
    char quoted[LP_QUOTE_TEXT];
    if (!out || !again)
        abort();
    if (lp_utf8_valid_bytes(out, n) != n || n != n_again || memcmp(out, again, n) != 0)
        abort();
    if (valid > n || (valid > 0 && memcmp(out, text, valid) != 0))
        abort();
    if (strlen(lp_utf8_quote(text, size, quoted)) >= LP_QUOTE_TEXT)
        abort();
    free(out);
    free(again);
    return 0;
}
