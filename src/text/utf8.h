/* UTF-8: decoding, what is a space, and a stream that never prints half a character. */
#ifndef LP_TEXT_UTF8_H
#define LP_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character at the start of text[bytes]: its length (1 to 4) and code point; 0 if no valid
 * character starts here (overlong forms and surrogates are invalid, as in RFC 3629). */
unsigned lp_utf8_decode(const char *text, size_t bytes, uint32_t *code);

/* The same for the character that ends text[bytes]. */
unsigned lp_utf8_decode_last(const char *text, size_t bytes, uint32_t *code);

/* Writes a code point up to U+10FFFF; returns its length. */
unsigned lp_utf8_encode(uint32_t code, char to[4]);

/* Bytes at the start of `text` that are valid UTF-8. */
size_t lp_utf8_valid_bytes(const char *text, size_t bytes);

/* Unicode's White_Space property. */
bool lp_utf8_is_space(uint32_t code);

/* `text` for a one-line message: shortened, control characters and broken bytes as \xNN, within
 * double quotes. Returns `to`. */
#define LP_QUOTE_TEXT 64
char *lp_utf8_quote(const char *text, size_t bytes, char to[LP_QUOTE_TEXT]);

/* Streaming: collects bytes of tokens and gives back whole UTF-8 characters only, so that half a
 * character is never printed. Each broken sequence comes out as one U+FFFD. */
typedef struct lp_utf8_stream {
    uint8_t pending[4];
    unsigned n_pending;
} lp_utf8_stream; /* zero-initialise */

/* Room needed in `out` for n bytes fed: 3 * (n + 4). Returns the bytes written. */
size_t lp_utf8_push(lp_utf8_stream *stream, const char *bytes, size_t n, char *out);
/* What is left at the end (U+FFFD for an incomplete character). `out` needs 12 bytes. */
size_t lp_utf8_finish(lp_utf8_stream *stream, char *out);

#endif
