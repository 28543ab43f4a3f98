/* Regular expressions (ECMA-262, as far as they are regular) over the characters of a JSON string:
 * a character that JSON escapes is written escaped. Where dialects differ in what a class holds
 * (what counts as a letter beyond ASCII), only what all of them hold is written. */
#include <stdio.h>
#include <string.h>

#include "text/grammar_build.h"
#include "text/json_schema_build.h"
#include "text/utf8.h"

enum { MAX_RANGES = 128, MAX_GROUPS = 100 };

typedef struct regex {
    lp_schema_writer *w;
    lp_text *to;
    const char *pointer, *text;
    size_t n, at;
    unsigned depth; /* groups that are open */
} regex;

typedef struct class
{
    lp_code_range ranges[MAX_RANGES];
    size_t n;
    bool ascii; /* the complement is one of ASCII characters only */
} class;

static lp_status fail(regex *r, const char *what)
{
    return lp_schema_fail(r->w, LP_E_UNSUPPORTED, r->pointer, "pattern", "at character %zu: %s",
                          r->at + 1, what);
}

static char peek(const regex *r)
{
    return r->at < r->n ? r->text[r->at] : '\0';
}

/* ---- Classes ------------------------------------------------------------------------------- */

static lp_status add_range(regex *r, class *c, uint32_t first, uint32_t last)
{
    if (c->n == MAX_RANGES)
        return fail(r, "a class with too many ranges");
    c->ranges[c->n++] = (lp_code_range){first, last};
    return LP_OK;
}

/* \d \w \s, and \D \W \S within ASCII. */
static const struct named_class {
    char name;
    uint8_t ranges[12]; /* pairs, ended by 0, 0 */
} named_classes[] = {
    {'d', {'0', '9'}},
    {'D', {' ', '/', ':', '~'}},
    {'w', {'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}},
    {'W', {' ', '/', ':', '@', '[', '^', '`', '`', '{', '~'}},
    {'s', {'\t', '\r', ' ', ' '}},
    {'S', {'!', '~'}},
};

static const struct named_class *find_named(char name)
{
    for (size_t i = 0; i < sizeof named_classes / sizeof *named_classes; i++)
        if (named_classes[i].name == name)
            return &named_classes[i];
    return NULL;
}

static lp_status add_named(regex *r, class *c, const struct named_class *named)
{
    for (size_t i = 0; i + 1 < sizeof named->ranges && named->ranges[i + 1] != 0; i += 2)
        LP_TRY(add_range(r, c, named->ranges[i], named->ranges[i + 1]));
    return LP_OK;
}

/* What is not in the class: of printable characters. */
static lp_status negate(regex *r, class *c)
{
    class other = {.n = 0};
    const uint32_t end = c->ascii ? '~' : 0x10ffff;
    uint32_t next = ' ';
    LP_TRY(add_range(r, c, 0x7f, 0x7f));
    c->n = lp_code_ranges_join(c->ranges, c->n);
    for (size_t i = 0; i < c->n && next <= end; i++) {
        if (c->ranges[i].first > next)
            LP_TRY(add_range(r, &other, next,
                             c->ranges[i].first - 1 < end ? c->ranges[i].first - 1 : end));
        if (c->ranges[i].last >= next)
            next = c->ranges[i].last + 1;
    }
    if (next <= end)
        LP_TRY(add_range(r, &other, next, end));
    *c = other;
    return LP_OK;
}

/* The part of a range that JSON does not escape, as ranges of a class of GBNF. */
static void put_plain(regex *r, uint32_t first, uint32_t last, bool *any)
{
    static const lp_code_range plain[] = {
        {' ', '!'}, {'#', '['}, {']', 0xd7ff}, {0xe000, 0x10ffff}};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        const uint32_t from = first > plain[i].first ? first : plain[i].first;
        const uint32_t upto = last < plain[i].last ? last : plain[i].last;
        if (from > upto)
            continue;
        lp_schema_printf(r->w, r->to, "%s\\U%08X-\\U%08X", *any ? "" : "[", (unsigned)from,
                         (unsigned)upto);
        *any = true;
    }
}

/* A character that JSON must escape. */
static void put_escaped(regex *r, uint32_t code)
{
    static const char letters[] = "btn\0fr"; /* of U+0008 to U+000D; U+000B has none */
    if (code == '"' || code == '\\')
        lp_schema_printf(r->w, r->to, "\"\\\\\\%c\" ", (char)code);
    else if (code >= 8 && code <= 13 && letters[code - 8] != '\0')
        lp_schema_printf(r->w, r->to, "\"\\\\%c\" ", letters[code - 8]);
    else
        lp_schema_printf(r->w, r->to, "\"\\\\u00%02x\" ", (unsigned)code);
}

static lp_status put_class(regex *r, class *c)
{
    bool any = false;
    c->n = lp_code_ranges_join(c->ranges, c->n);
    lp_schema_put(r->w, r->to, "( ");
    for (size_t i = 0; i < c->n; i++)
        put_plain(r, c->ranges[i].first, c->ranges[i].last, &any);
    lp_schema_put(r->w, r->to, any ? "] " : "");
    for (size_t i = 0; i < c->n; i++)
        for (uint32_t code = c->ranges[i].first; code <= c->ranges[i].last && code <= '\\'; code++)
            if (code < ' ' || code == '"' || code == '\\') {
                lp_schema_put(r->w, r->to, any ? "| " : "");
                put_escaped(r, code);
                any = true;
            }
    lp_schema_put(r->w, r->to, ") ");
    return any ? LP_OK : fail(r, "no character is in this class");
}

/* ---- Characters ---------------------------------------------------------------------------- */

static lp_status read_hex(regex *r, unsigned digits, uint32_t *code)
{
    *code = 0;
    for (unsigned i = 0; i < digits; i++, r->at++) {
        const char c = peek(r);
        const bool digit = c >= '0' && c <= '9', letter = (c | 32) >= 'a' && (c | 32) <= 'f';
        if (!digit && !letter)
            return fail(r, "a hexadecimal digit is expected");
        *code = *code << 4 | (uint32_t)(digit ? c - '0' : (c | 32) - 'a' + 10);
    }
    return *code >= 0xd800 && *code < 0xe000 ? fail(r, "half of a character") : LP_OK;
}

/* Behind a backslash: a class (*named), or a character. */
static lp_status read_escape(regex *r, uint32_t *code, const struct named_class **named)
{
    static const char from[] = "nrtfv", to[] = "\n\r\t\f\v";
    const char c = peek(r);
    const char *letter = c != '\0' ? strchr(from, c) : NULL;
    *named = find_named(c);
    *code = letter != NULL ? (uint8_t)to[letter - from] : (uint8_t)c;
    if ((uint8_t)c <= ' ' || (uint8_t)c >= 0x7f)
        return fail(r, "\\ before nothing that it could mean");
    r->at++;
    if (c == 'x' || c == 'u')
        return read_hex(r, c == 'x' ? 2 : 4, code);
    const bool alphanumeric = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    if (alphanumeric && letter == NULL && *named == NULL) {
        r->at--;
        return fail(r, "this \\ is not supported (word boundaries, references back, properties)");
    }
    return LP_OK;
}

static lp_status read_char(regex *r, uint32_t *code, const struct named_class **named)
{
    *named = NULL;
    if (peek(r) == '\\') {
        r->at++;
        return read_escape(r, code, named);
    }
    const unsigned n = lp_utf8_decode(r->text + r->at, r->n - r->at, code);
    if (n == 0)
        return fail(r, "a character is expected");
    r->at += n;
    return LP_OK;
}

static lp_status read_class(regex *r)
{
    class c = {.n = 0};
    r->at++;
    const bool negated = peek(r) == '^';
    r->at += negated;
    while (peek(r) != ']') {
        uint32_t first, last;
        const struct named_class *named, *other = NULL;
        LP_TRY(read_char(r, &first, &named));
        if (named != NULL) {
            if (negated && named->name < 'a')
                return fail(r, "\\D, \\W and \\S are not supported in a class with ^");
            c.ascii = true;
            LP_TRY(add_named(r, &c, named));
            continue;
        }
        last = first;
        if (peek(r) == '-' && r->at + 1 < r->n && r->text[r->at + 1] != ']') {
            r->at++;
            LP_TRY(read_char(r, &last, &other));
        }
        if (other != NULL || last < first)
            return fail(r, "a range that goes down");
        LP_TRY(add_range(r, &c, first, last));
    }
    r->at++;
    if (negated)
        LP_TRY(negate(r, &c));
    return put_class(r, &c);
}

static lp_status read_any(regex *r)
{
    class c = {.ranges = {{0x2028, 0x2029}}, .n = 1}; /* line ends; others are not printable */
    r->at++;
    LP_TRY(negate(r, &c));
    return put_class(r, &c);
}

static lp_status read_single(regex *r)
{
    class c = {.n = 0};
    uint32_t code;
    const struct named_class *named;
    LP_TRY(read_char(r, &code, &named));
    LP_TRY(named != NULL ? add_named(r, &c, named) : add_range(r, &c, code, code));
    return put_class(r, &c);
}

/* ---- Structure ----------------------------------------------------------------------------- */

static lp_status read_number(regex *r, unsigned *value)
{
    const size_t begin = r->at;
    for (*value = 0; peek(r) >= '0' && peek(r) <= '9'; r->at++) {
        *value = *value * 10 + (unsigned)(peek(r) - '0');
        if (*value > LP_GRAMMAR_MAX_REPEAT)
            return fail(r, "too many repetitions");
    }
    return r->at > begin ? LP_OK : fail(r, "a count is expected");
}

static lp_status read_quantifier(regex *r)
{
    unsigned min, max;
    if (peek(r) == '*' || peek(r) == '+' || peek(r) == '?') {
        lp_schema_printf(r->w, r->to, "%c ", peek(r));
        r->at++;
    } else if (peek(r) == '{') {
        r->at++;
        LP_TRY(read_number(r, &min));
        lp_schema_printf(r->w, r->to, "{%u", min);
        if (peek(r) == ',') {
            r->at++;
            lp_schema_put(r->w, r->to, ",");
            if (peek(r) != '}') {
                LP_TRY(read_number(r, &max));
                if (max < min)
                    return fail(r, "at least more than at most");
                lp_schema_printf(r->w, r->to, "%u", max);
            }
        }
        if (peek(r) != '}')
            return fail(r, "} is expected");
        r->at++;
        lp_schema_put(r->w, r->to, "} ");
    } else {
        return LP_OK;
    }
    if (peek(r) == '?') /* the shortest first: the same texts */
        r->at++;
    if (peek(r) == '*' || peek(r) == '+' || peek(r) == '?' || peek(r) == '{')
        return fail(r, "a quantifier behind a quantifier");
    return LP_OK;
}

static lp_status read_alternatives(regex *r);

static lp_status read_group(regex *r)
{
    r->at++;
    if (peek(r) == '?') {
        if (r->at + 1 >= r->n || r->text[r->at + 1] != ':')
            return fail(r, "only (?: is supported of what begins with (?");
        r->at += 2;
    }
    if (++r->depth > MAX_GROUPS)
        return fail(r, "too many parentheses");
    lp_schema_put(r->w, r->to, "( ");
    LP_TRY(read_alternatives(r));
    if (peek(r) != ')')
        return fail(r, "a ( is not closed");
    r->depth--;
    r->at++;
    lp_schema_put(r->w, r->to, ") ");
    return LP_OK;
}

/* One alternative; outside of all groups it may be anchored, and is found anywhere if it is not. */
static lp_status read_sequence(regex *r)
{
    const bool outside = r->depth == 0;
    bool ended = false;
    if (outside && peek(r) == '^')
        r->at++;
    else if (outside)
        lp_schema_put(r->w, r->to, "json-char* ");
    while (r->at < r->n && peek(r) != '|' && peek(r) != ')') {
        const char c = peek(r);
        if (c == '$' && outside && (r->at + 1 == r->n || r->text[r->at + 1] == '|')) {
            r->at++;
            ended = true;
            break;
        }
        if (c == '^' || c == '$')
            return fail(r, "^ and $ are supported only at the ends, outside of parentheses");
        if (c == '*' || c == '+' || c == '?' || c == '{')
            return fail(r, "a quantifier behind nothing");
        if (c == '(')
            LP_TRY(read_group(r));
        else if (c == '[')
            LP_TRY(read_class(r));
        else if (c == '.')
            LP_TRY(read_any(r));
        else
            LP_TRY(read_single(r));
        LP_TRY(read_quantifier(r));
    }
    if (outside && !ended)
        lp_schema_put(r->w, r->to, "json-char* ");
    return LP_OK;
}

static lp_status read_alternatives(regex *r)
{
    for (;;) {
        LP_TRY(read_sequence(r));
        if (peek(r) != '|')
            return LP_OK;
        r->at++;
        lp_schema_put(r->w, r->to, "| ");
    }
}

lp_status lp_schema_pattern(lp_schema_writer *w, const char *pointer, const char *pattern, size_t n,
                            lp_text *to)
{
    regex r = {.w = w, .to = to, .pointer = pointer, .text = pattern, .n = n};
    lp_schema_put(w, to, "( ");
    LP_TRY(read_alternatives(&r));
    lp_schema_put(w, to, ") ");
    return r.at == n ? LP_OK : fail(&r, "unexpected )");
}
