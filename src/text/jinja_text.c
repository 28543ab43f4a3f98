/* See jinja_text.h. All texts are valid UTF-8: what comes from outside was checked. */
#define _GNU_SOURCE /* memmem */
#include "text/jinja_text.h"

#include "text/utf8.h"

unsigned lp_jinja_decode(lp_jinja_text text, uint32_t *code)
{
    const unsigned length = lp_utf8_decode(text.data, text.n, code);
    if (length > 0)
        return length;
    *code = 0xfffd; /* cannot be: see above */
    return 1;
}

size_t lp_jinja_count_space(lp_jinja_text text)
{
    size_t at = 0;
    uint32_t code;
    while (at < text.n) {
        unsigned length = lp_jinja_decode((lp_jinja_text){text.data + at, text.n - at}, &code);
        if (!lp_jinja_is_space(code))
            break;
        at += length;
    }
    return at;
}

/* Whether a character goes: white space if there is no set. */
static bool goes(const lp_jinja_text *set, uint32_t code)
{
    if (!set)
        return lp_jinja_is_space(code);
    char bytes[4];
    const lp_jinja_text character = {bytes, lp_utf8_encode(code, bytes)};
    return lp_jinja_find(*set, character) != SIZE_MAX;
}

static lp_jinja_text strip(lp_jinja_text text, const lp_jinja_text *set, bool left, bool right)
{
    uint32_t code;
    while (left && text.n > 0) {
        unsigned length = lp_jinja_decode(text, &code);
        if (!goes(set, code))
            break;
        text.data += length;
        text.n -= length;
    }
    while (right && text.n > 0) {
        unsigned length = lp_utf8_decode_last(text.data, text.n, &code);
        if (length == 0 || !goes(set, code))
            break;
        text.n -= length;
    }
    return text;
}

lp_jinja_text lp_jinja_strip(lp_jinja_text text, bool left, bool right)
{
    return strip(text, NULL, left, right);
}

lp_jinja_text lp_jinja_strip_set(lp_jinja_text text, lp_jinja_text set, bool left, bool right)
{
    return strip(text, &set, left, right);
}

size_t lp_jinja_length(lp_jinja_text text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += ((uint8_t)text.data[i] & 0xc0) != 0x80;
    return n;
}

size_t lp_jinja_offset(lp_jinja_text text, size_t index)
{
    size_t at = 0;
    for (; at < text.n; at++)
        if (((uint8_t)text.data[at] & 0xc0) != 0x80 && index-- == 0)
            break;
    return at;
}

size_t lp_jinja_find(lp_jinja_text text, lp_jinja_text what)
{
    if (what.n == 0)
        return 0;
    const char *found = text.n >= what.n ? memmem(text.data, text.n, what.data, what.n) : NULL;
    return found ? (size_t)(found - text.data) : SIZE_MAX;
}

size_t lp_jinja_find_last(lp_jinja_text text, lp_jinja_text what)
{
    for (size_t at = text.n >= what.n ? text.n - what.n + 1 : 0; at-- > 0;)
        if (memcmp(text.data + at, what.data, what.n) == 0)
            return at;
    return SIZE_MAX;
}

size_t lp_jinja_line(lp_jinja_text text, size_t *end)
{
    uint32_t code;
    *end = 0;
    for (size_t at = 0; at < text.n;) {
        unsigned length = lp_jinja_decode((lp_jinja_text){text.data + at, text.n - at}, &code);
        if ((code >= 10 && code <= 13) || (code >= 0x1c && code <= 0x1e) || code == 0x85 ||
            code == 0x2028 || code == 0x2029) {
            *end = length + (code == '\r' && at + 1 < text.n && text.data[at + 1] == '\n');
            return at;
        }
        at += length;
    }
    return text.n;
}
