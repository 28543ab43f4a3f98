/* UTF-8 by the table of well-formed sequences (The Unicode Standard, table 3-7). The stream
 * replaces each maximal part of a broken sequence by one U+FFFD, as browsers and Python do. */
#include "text/utf8.h"

#include <stdio.h>
#include <string.h>

/* Length that the first byte announces and the range of its second byte; 0: starts nothing. */
static unsigned lead(uint8_t byte, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (byte < 0x80)
        return 1;
    if (byte < 0xc2)
        return 0;
    if (byte < 0xe0)
        return 2;
    if (byte < 0xf0) {
        if (byte == 0xe0)
            *low = 0xa0; /* below: overlong */
        else if (byte == 0xed)
            *high = 0x9f; /* above: surrogates */
        return 3;
    }
    if (byte > 0xf4)
        return 0;
    if (byte == 0xf0)
        *low = 0x90;
    else if (byte == 0xf4)
        *high = 0x8f; /* above: beyond U+10FFFF */
    return 4;
}

/* How many bytes of text[bytes] (at least one) begin one character: all of them for a whole or an
 * unfinished one. *length is the length that the first byte announces, 0 if it starts nothing. */
static unsigned matching(const uint8_t *text, size_t bytes, unsigned *length)
{
    uint8_t low, high;
    *length = lead(text[0], &low, &high);
    unsigned n = 1;
    while (n < *length && n < bytes && text[n] >= low && text[n] <= high) {
        n++;
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

unsigned lp_utf8_decode(const char *text, size_t bytes, uint32_t *code)
{
    static const uint8_t first_bits[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const uint8_t *t = (const uint8_t *)text;
    unsigned length;
    if (bytes == 0 || matching(t, bytes, &length) != length)
        return 0;
    uint32_t c = t[0] & first_bits[length];
    for (unsigned i = 1; i < length; i++)
        c = c << 6 | (t[i] & 0x3fu);
    *code = c;
    return length;
}

unsigned lp_utf8_decode_last(const char *text, size_t bytes, uint32_t *code)
{
    for (unsigned n = 1; n <= 4 && n <= bytes; n++)
        if (lp_utf8_decode(text + bytes - n, n, code) == n)
            return n;
    return 0;
}

unsigned lp_utf8_encode(uint32_t code, char to[4])
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

size_t lp_utf8_valid_bytes(const char *text, size_t bytes)
{
    size_t at = 0;
    uint32_t code;
    while (at < bytes) {
        unsigned length =
            (uint8_t)text[at] < 0x80 ? 1 : lp_utf8_decode(text + at, bytes - at, &code);
        if (length == 0)
            break;
        at += length;
    }
    return at;
}

bool lp_utf8_is_space(uint32_t code)
{
    return (code >= 9 && code <= 13) || code == 0x20 || code == 0x85 || code == 0xa0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
           code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

char *lp_utf8_quote(const char *text, size_t bytes, char to[LP_QUOTE_TEXT])
{
    size_t n = 0, at = 0;
    to[n++] = '"';
    while (at < bytes) {
        if (n + 4 + 4 + 1 > LP_QUOTE_TEXT) { /* one more, `..."` and the end */
            memcpy(to + n, "...", 3);
            n += 3;
            break;
        }
        uint32_t code = 0;
        unsigned length = lp_utf8_decode(text + at, bytes - at, &code);
        if (length == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
            n += (size_t)snprintf(to + n, 5, "\\x%02X", (uint8_t)text[at]);
            at++;
        } else {
            memcpy(to + n, text + at, length);
            n += length;
            at += length;
        }
    }
    to[n++] = '"';
    to[n] = 0;
    return to;
}

static size_t put_replacement(char *out)
{
    memcpy(out, "\xef\xbf\xbd", 3);
    return 3;
}

size_t lp_utf8_push(lp_utf8_stream *stream, const char *bytes, size_t n, char *out)
{
    size_t written = 0;
    for (size_t i = 0; i < n; i++) {
        stream->pending[stream->n_pending++] = (uint8_t)bytes[i];
        for (;;) { /* at most twice: a byte that broke a sequence may start the next one */
            unsigned length, good = matching(stream->pending, stream->n_pending, &length);
            if (good < stream->n_pending) {
                written += put_replacement(out + written);
                stream->pending[0] = (uint8_t)bytes[i];
                stream->n_pending = 1;
                continue;
            }
            if (length == 0) {
                written += put_replacement(out + written);
                stream->n_pending = 0;
            } else if (good == length) {
                memcpy(out + written, stream->pending, length);
                written += length;
                stream->n_pending = 0;
            }
            break;
        }
    }
    return written;
}

size_t lp_utf8_finish(lp_utf8_stream *stream, char *out)
{
    if (stream->n_pending == 0)
        return 0;
    stream->n_pending = 0;
    return put_replacement(out);
}
