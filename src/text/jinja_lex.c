/* Takes templates apart by jinja2's rules (its lexer.py describes them as regular expressions):
 * where a tag begins and ends, and what white space around it goes:
 *   "{%-", "-%}"  all white space on that side, for every kind of tag
 *   "{%", "{#"    blanks before it, if nothing else is on its line (lstrip_blocks); not after "{%+"
 *   "%}", "#}"    one newline after it (trim_blocks); not after "+%}"
 * The newline at the very end of a template is no part of it. */
#include "text/jinja_node.h"

#include <errno.h>
#include <stdlib.h>
#include "text/buffer.h"
#include "text/jinja_text.h"
#include "text/utf8.h"

typedef struct lexer {
    lp_context *ctx;
    const char *where;
    lp_arena *arena;
    lp_jinja_tokens *tokens;
    const char *text; /* newlines are '\n' only */
    size_t n, at;
    size_t place; /* that line and column belong to; never behind what was asked for */
    uint32_t line, column;
    bool line_starting; /* what was read last ended with a newline */
} lexer;

/* Line and column of a byte not before the ones asked for earlier. */
static void locate(lexer *lex, size_t at)
{
    for (; lex->place < at; lex->place++) {
        if (lex->text[lex->place] == '\n') {
            lex->line++;
            lex->column = 1;
        } else if (((uint8_t)lex->text[lex->place] & 0xc0) != 0x80) {
            lex->column++;
        }
    }
}

static lp_status fail(lexer *lex, lp_status status, size_t at, const char *message)
{
    if (at < lex->place) {
        lex->place = 0;
        lex->line = lex->column = 1;
    }
    locate(lex, at);
    return lp_fail(lex->ctx, status, "%s: line %u, column %u: %s", lex->where, lex->line,
                   lex->column, message);
}

static lp_status add(lexer *lex, lp_jinja_token_type type, size_t from, size_t to)
{
    lp_jinja_tokens *tokens = lex->tokens;
    lp_jinja_token *list =
        lp_list_grow(tokens->list, tokens->n, &tokens->room, sizeof *tokens->list);
    if (!list)
        return lp_fail_memory(lex->ctx, "a template");
    tokens->list = list;
    locate(lex, from);
    list[tokens->n++] = (lp_jinja_token){.type = type,
                                         .line = lex->line,
                                         .column = lex->column,
                                         .text = {lex->text + from, to - from}};
    return LP_OK;
}

static bool starts(const lexer *lex, size_t at, const char *what)
{
    size_t n = strlen(what);
    return lex->n - at >= n && memcmp(lex->text + at, what, n) == 0;
}

static size_t skip_space(const lexer *lex, size_t at)
{
    return at + lp_jinja_count_space((lp_jinja_text){lex->text + at, lex->n - at});
}

/* Text before a tag whose second character is at `tag` + 1, without the white space that goes. */
static lp_status data_before(lexer *lex, size_t tag)
{
    size_t from = lex->at, to = tag;
    const char sign = tag + 2 < lex->n ? lex->text[tag + 2] : '\0';
    if (sign == '-') {
        to = from + lp_jinja_strip((lp_jinja_text){lex->text + from, to - from}, false, true).n;
    } else if (sign != '+' && lex->text[tag + 1] != '{') {
        size_t line = to;
        while (line > from && lex->text[line - 1] != '\n')
            line--;
        if ((line > from || lex->line_starting) && skip_space(lex, line) >= to)
            to = line;
    }
    return to > from ? add(lex, LP_JINJA_T_DATA, from, to) : LP_OK;
}

/* Behind a tag that ends at `end`, where `sign` may stand before its two last characters. */
static size_t after_tag(const lexer *lex, size_t end, char sign, bool trim)
{
    if (sign == '-')
        return skip_space(lex, end);
    if (sign != '+' && trim && end < lex->n && lex->text[end] == '\n')
        end++;
    return end;
}

static void move_to(lexer *lex, size_t at)
{
    lex->at = at;
    lex->line_starting = at > 0 && lex->text[at - 1] == '\n';
}

/* The comment whose "{#" is at lex->at. */
static lp_status skip_comment(lexer *lex, size_t tag)
{
    size_t from = tag + 2;
    if (from < lex->n && (lex->text[from] == '-' || lex->text[from] == '+'))
        from++;
    for (size_t i = from; i + 1 < lex->n; i++)
        if (lex->text[i] == '#' && lex->text[i + 1] == '}') {
            move_to(lex, after_tag(lex, i + 2, i > from ? lex->text[i - 1] : '\0', true));
            return LP_OK;
        }
    return fail(lex, LP_E_FORMAT, tag, "this comment has no end (\"#}\")");
}

/* Whether a block tag at `tag` holds only `name`; *end: behind it; *sign: the one at its end. */
static bool bare_tag(const lexer *lex, size_t tag, const char *name, size_t *end, char *sign)
{
    size_t at = tag + 2;
    if (at < lex->n && (lex->text[at] == '-' || lex->text[at] == '+'))
        at++;
    at = skip_space(lex, at);
    if (!starts(lex, at, name))
        return false;
    at = skip_space(lex, at + strlen(name));
    *sign = at < lex->n && (lex->text[at] == '-' || lex->text[at] == '+') ? lex->text[at] : '\0';
    at += *sign != '\0';
    *end = at + 2;
    return starts(lex, at, "%}");
}

/* Everything between {% raw %} and {% endraw %} is text. */
static lp_status read_raw(lexer *lex, size_t tag, size_t end, char sign)
{
    move_to(lex, after_tag(lex, end, sign, false));
    for (size_t i = lex->at; i + 1 < lex->n; i++)
        if (starts(lex, i, "{%") && bare_tag(lex, i, "endraw", &end, &sign)) {
            LP_TRY(data_before(lex, i));
            move_to(lex, after_tag(lex, end, sign, true));
            return LP_OK;
        }
    return fail(lex, LP_E_FORMAT, tag, "{% raw %} has no {% endraw %}");
}

/* Of a hexadecimal digit; 99 of anything else. */
static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' && (uint8_t)c < 0x80 ? (unsigned)(c - 'a' + 10) : 99;
}

/* \uXXXX and the like: the value of `n` hexadecimal digits. */
static bool hex(const char *from, size_t room, unsigned n, uint32_t *code)
{
    *code = 0;
    for (unsigned i = 0; i < n; i++) {
        if (i >= room || digit_value(from[i]) > 15)
            return false;
        *code = *code << 4 | digit_value(from[i]);
    }
    return true;
}

/* What the characters behind a backslash stand for, appended to `to`; returns how many they are, 0
 * if that is not supported. As Python has it, an unknown escape stays as it is. */
static size_t escape(const char *from, size_t room, char *to, size_t *n)
{
    static const char letters[] = "ntr\\'\"abfv", values[] = "\n\t\r\\'\"\a\b\f\v";
    const char *letter = memchr(letters, from[0], sizeof letters - 1);
    uint32_t code = 0;
    size_t length = 1;
    if (letter) {
        to[(*n)++] = values[letter - letters];
        return 1;
    }
    if (from[0] == '\n')
        return 1;
    if (from[0] >= '0' && from[0] <= '7') {
        for (length = 0; length < 3 && length < room && from[length] >= '0' && from[length] <= '7';)
            code = code << 3 | (uint32_t)(from[length++] - '0');
    } else if (from[0] == 'x' || from[0] == 'u' || from[0] == 'U') {
        length = from[0] == 'x' ? 2 : from[0] == 'u' ? 4 : 8;
        if (!hex(from + 1, room - 1, (unsigned)length, &code))
            return 0;
        length++;
    } else if ((uint8_t)from[0] >= 0x80 || from[0] == 'N') {
        return 0;
    } else {
        to[(*n)++] = '\\';
        to[(*n)++] = from[0];
        return 1;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0; /* half of a pair is no character */
    *n += lp_utf8_encode(code, to + *n);
    return length;
}

static lp_status read_string(lexer *lex)
{
    const size_t from = lex->at;
    const char quote = lex->text[from];
    size_t end = from + 1, n = 0;
    while (end < lex->n && lex->text[end] != quote)
        end += lex->text[end] == '\\' ? 2 : 1;
    if (end >= lex->n)
        return fail(lex, LP_E_FORMAT, from, "this string has no end");
    LP_TRY(add(lex, LP_JINJA_T_STRING, from + 1, end));
    lp_jinja_token *token = &lex->tokens->list[lex->tokens->n - 1];
    lex->at = end + 1;
    if (!memchr(token->text.data, '\\', token->text.n))
        return LP_OK;
    char *to = lp_arena_alloc(lex->arena, token->text.n); /* no escape is shorter than its value */
    if (!to)
        return lp_fail_memory(lex->ctx, "a template");
    for (size_t i = from + 1; i < end;) {
        if (lex->text[i] != '\\') {
            to[n++] = lex->text[i++];
            continue;
        }
        size_t length = escape(lex->text + i + 1, end - i - 1, to, &n);
        if (length == 0)
            return fail(lex, LP_E_UNSUPPORTED, i, "this escape in a string is not supported");
        i += 1 + length;
    }
    token->text = (lp_jinja_text){to, n};
    return LP_OK;
}

/* Digits of a base, in groups that single underscores separate; returns where they end. */
static size_t digits(const lexer *lex, size_t at, unsigned base)
{
    for (;;) {
        const size_t digit = at + (lex->text[at] == '_');
        if (digit_value(lex->text[digit]) >= base)
            return at;
        at = digit + 1;
    }
}

static lp_status read_number(lexer *lex)
{
    const size_t from = lex->at;
    const char *text = lex->text;
    const char second = (char)(text[from + 1] | 32);
    unsigned base = text[from] != '0' ? 10
                    : second == 'x'   ? 16
                    : second == 'o'   ? 8
                    : second == 'b'   ? 2
                                      : 10;
    size_t first = base == 10 ? from : from + 2, to = digits(lex, first, base), part;
    bool is_float = false;
    if (base != 10 && to == first) { /* "0x" without digits: 0, and a name */
        base = 10;
        to = from + 1;
    }
    if (base == 10 && !(from > 0 && text[from - 1] == '.')) {
        if (text[to] == '.' && (part = digits(lex, to + 1, 10)) > to + 1 && text[to + 1] != '_') {
            is_float = true;
            to = part;
        }
        if ((text[to] | 32) == 'e') {
            size_t power = to + 1 + (text[to + 1] == '+' || text[to + 1] == '-');
            if (text[power] >= '0' && text[power] <= '9') {
                is_float = true;
                to = digits(lex, power, 10);
            }
        }
    }
    if (base == 10 && !is_float && text[from] == '0') /* no leading zeros: 007 is three numbers */
        for (to = from + 1; text[to] == '0' || (text[to] == '_' && text[to + 1] == '0');)
            to++;
    char number[512];
    size_t n = 0;
    for (size_t i = base == 10 ? from : first; i < to && n < sizeof number - 1; i++)
        if (text[i] != '_')
            number[n++] = text[i];
    number[n] = '\0';
    LP_TRY(add(lex, is_float ? LP_JINJA_T_FLOAT : LP_JINJA_T_INT, from, to));
    lp_jinja_token *token = &lex->tokens->list[lex->tokens->n - 1];
    lex->at = to;
    errno = 0;
    if (is_float)
        token->number = strtod(number, NULL);
    else
        token->integer = strtoll(number, NULL, (int)base);
    if (n == sizeof number - 1 || (!is_float && errno))
        return fail(lex, LP_E_UNSUPPORTED, from, "this number is too large");
    return LP_OK;
}

static size_t name_end(const lexer *lex, size_t at)
{
    uint32_t code;
    unsigned length;
    while (at < lex->n && (length = lp_utf8_decode(lex->text + at, lex->n - at, &code)) > 0 &&
           lp_jinja_is_word(code))
        at += length;
    return at;
}

static lp_status read_operator(lexer *lex)
{
    static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                            "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                            ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (starts(lex, lex->at, operators[i])) {
            size_t from = lex->at;
            lex->at += strlen(operators[i]);
            return add(lex, LP_JINJA_T_OPERATOR, from, lex->at);
        }
    return fail(lex, LP_E_FORMAT, lex->at, "this character means nothing within a tag");
}

/* Keeps count of brackets; a closing one must fit. */
static lp_status balance(lexer *lex, size_t at, char *open, size_t *depth)
{
    static const char opening[] = "([{", closing[] = ")]}";
    const char *closes = memchr(closing, lex->text[at], 3);
    if (memchr(opening, lex->text[at], 3)) {
        if (*depth == LP_JINJA_MAX_DEPTH)
            return fail(lex, LP_E_LIMIT, at, "too many brackets within each other");
        open[(*depth)++] = lex->text[at];
    } else if (closes && (*depth == 0 || open[--*depth] != opening[closes - closing])) {
        return fail(lex, LP_E_FORMAT, at, "nothing is open that this bracket closes");
    }
    return LP_OK;
}

/* A tag whose inside begins at lex->at. */
static lp_status read_tag(lexer *lex, size_t tag, bool variable)
{
    const char *close = variable ? "}}" : "%}";
    char open[LP_JINJA_MAX_DEPTH];
    size_t depth = 0;
    while (lex->at < lex->n) {
        const size_t at = lex->at;
        const char c = lex->text[at];
        const bool sign = c == '-' || (c == '+' && !variable);
        if (depth == 0 && (starts(lex, at, close) || (sign && starts(lex, at + 1, close)))) {
            LP_TRY(add(lex, variable ? LP_JINJA_T_VARIABLE_END : LP_JINJA_T_BLOCK_END, at, at + 2));
            move_to(lex, after_tag(lex, at + 2 + sign, sign ? c : '\0', !variable));
            return LP_OK;
        }
        const size_t next = skip_space(lex, at);
        if (next > at) {
            lex->at = next;
        } else if (c >= '0' && c <= '9') {
            LP_TRY(read_number(lex));
        } else if (c == '"' || c == '\'') {
            LP_TRY(read_string(lex));
        } else if (name_end(lex, at) > at) {
            lex->at = name_end(lex, at);
            LP_TRY(add(lex, LP_JINJA_T_NAME, at, lex->at));
        } else {
            LP_TRY(read_operator(lex));
            LP_TRY(balance(lex, at, open, &depth));
        }
    }
    return fail(lex, LP_E_FORMAT, tag,
                variable ? "this tag has no end (\"}}\")" : "this tag has no end (\"%}\")");
}

static lp_status read_all(lexer *lex)
{
    while (lex->at < lex->n) {
        size_t tag = lex->at, end;
        char sign;
        while (tag < lex->n &&
               !(starts(lex, tag, "{%") || starts(lex, tag, "{{") || starts(lex, tag, "{#")))
            tag++;
        if (tag == lex->n)
            return add(lex, LP_JINJA_T_DATA, lex->at, lex->n);
        LP_TRY(data_before(lex, tag));
        const char kind = lex->text[tag + 1];
        if (kind == '#') {
            LP_TRY(skip_comment(lex, tag));
        } else if (kind == '%' && bare_tag(lex, tag, "raw", &end, &sign) && sign != '+') {
            LP_TRY(read_raw(lex, tag, end, sign));
        } else {
            LP_TRY(add(lex, kind == '{' ? LP_JINJA_T_VARIABLE_BEGIN : LP_JINJA_T_BLOCK_BEGIN, tag,
                       tag + 2));
            lex->at = tag + 2;
            if (lex->at < lex->n && (lex->text[lex->at] == '-' || lex->text[lex->at] == '+'))
                lex->at++;
            LP_TRY(read_tag(lex, tag, kind == '{'));
        }
    }
    return LP_OK;
}

lp_status lp_jinja_lex(lp_context *ctx, const char *where, const char *source, size_t bytes,
                       lp_arena *arena, lp_jinja_tokens *tokens)
{
    lexer lex = {.ctx = ctx, .where = where, .arena = arena, .tokens = tokens};
    lex.line = lex.column = 1;
    lex.line_starting = true;
    if (bytes > LP_JINJA_MAX_SOURCE)
        return lp_fail(ctx, LP_E_LIMIT, "%s: longer than 1 MiB", where);
    char *text = lp_arena_alloc(arena, bytes + 2); /* NULs behind it: some look ahead */
    if (!text)
        return lp_fail_memory(ctx, "a template");
    for (size_t i = 0; i < bytes; i++) {
        if (source[i] == '\r' && i + 1 < bytes && source[i + 1] == '\n')
            continue;
        text[lex.n++] = source[i] == '\r' ? '\n' : source[i];
    }
    lex.text = text;
    size_t valid = lp_utf8_valid_bytes(text, lex.n);
    if (valid < lex.n)
        return fail(&lex, LP_E_FORMAT, valid, "no valid UTF-8");
    if (lex.n > 0 && text[lex.n - 1] == '\n')
        text[--lex.n] = '\0';
    LP_TRY(read_all(&lex));
    return add(&lex, LP_JINJA_T_END, lex.n, lex.n);
}
