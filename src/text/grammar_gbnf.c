/* Reads GBNF, llama.cpp's notation for grammars (its grammars/README.md):
 *
 *     root  ::= item ("," item)*          rule: alternatives of sequences, ended by the line
 *     item  ::= [a-z]+ | "\"" [^"]* "\""  # names may contain letters, digits, - and _
 *
 * Symbols of a sequence are collected on one stack, so that an operator behind them can still take
 * the latest ones; a sequence that is complete becomes an alternative of its rule. Groups and
 * repetitions become rules without a name. */
#include "text/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "text/buffer.h"
#include "text/grammar_build.h"
#include "text/utf8.h"

typedef struct reader {
    lp_grammar_builder b;
    size_t at;
    lp_symbol *stack;
    size_t n_stack, stack_room;
    lp_code_range *ranges; /* of the class that is being read */
    size_t n_ranges, ranges_room;
    unsigned n_groups; /* parentheses that are open */
    size_t group;      /* where the innermost one was opened */
} reader;

static bool at_end(const reader *r)
{
    return r->at >= r->b.bytes;
}

static char peek(const reader *r)
{
    return at_end(r) ? '\0' : r->b.text[r->at];
}

static bool starts_with(const reader *r, const char *text)
{
    const size_t n = strlen(text);
    return r->b.bytes - r->at >= n && memcmp(r->b.text + r->at, text, n) == 0;
}

/* What stands at the place of an error. */
static const char *found(const reader *r, char to[LP_QUOTE_TEXT])
{
    uint32_t code;
    if (at_end(r))
        return strcpy(to, "the end");
    if (peek(r) == '\n' || peek(r) == '\r')
        return strcpy(to, "the end of the line");
    const unsigned n = lp_utf8_decode(r->b.text + r->at, r->b.bytes - r->at, &code);
    return lp_utf8_quote(r->b.text + r->at, n > 0 ? n : 1, to);
}

/* Spaces and comments; also line ends where a rule cannot end. */
static void skip_space(reader *r, bool lines)
{
    for (; !at_end(r); r->at++) {
        const char c = peek(r);
        if (c == '#') {
            while (!at_end(r) && peek(r) != '\n')
                r->at++;
            if (at_end(r) || !lines)
                return;
        } else if (c != ' ' && c != '\t' && (!lines || (c != '\r' && c != '\n'))) {
            return;
        }
    }
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* A name's length. */
static size_t name_bytes(const reader *r)
{
    size_t n = 0;
    while (r->at + n < r->b.bytes && is_name(r->b.text[r->at + n]))
        n++;
    return n;
}

static lp_status push(reader *r, lp_symbol symbol)
{
    lp_symbol *stack = lp_list_grow(r->stack, r->n_stack, &r->stack_room, sizeof *stack);
    if (stack == NULL)
        return lp_fail_memory(r->b.ctx, "a grammar");
    r->stack = stack;
    stack[r->n_stack++] = symbol;
    return LP_OK;
}

/* ---- Characters ---------------------------------------------------------------------------- */

/* \xNN, \uNNNN, \UNNNNNNNN: behind the letter. */
static lp_status read_hex(reader *r, unsigned digits, uint32_t *code)
{
    const size_t where = r->at - 2;
    char text[LP_QUOTE_TEXT];
    *code = 0;
    for (unsigned i = 0; i < digits; i++, r->at++) {
        const char c = peek(r);
        const bool is_digit = c >= '0' && c <= '9';
        const bool is_letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!is_digit && !is_letter)
            return lp_grammar_fail(&r->b, LP_E_FORMAT, r->at,
                                   "%u hexadecimal digits are expected here, not %s", digits,
                                   found(r, text));
        if (*code > UINT32_MAX >> 4)
            break;
        *code = *code << 4 | (uint32_t)(is_digit ? c - '0' : (c | 32) - 'a' + 10);
    }
    if (*code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
        return lp_grammar_fail(&r->b, LP_E_FORMAT, where, "U+%04X is no character",
                               (unsigned)*code);
    return LP_OK;
}

static lp_status read_escape(reader *r, uint32_t *code)
{
    char text[LP_QUOTE_TEXT];
    r->at++;
    const char c = peek(r);
    const size_t where = r->at++;
    switch (c) {
    case 'x':
        return read_hex(r, 2, code);
    case 'u':
        return read_hex(r, 4, code);
    case 'U':
        return read_hex(r, 8, code);
    case 'n':
        *code = '\n';
        return LP_OK;
    case 'r':
        *code = '\r';
        return LP_OK;
    case 't':
        *code = '\t';
        return LP_OK;
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
    case '^':
        *code = (uint8_t)c;
        return LP_OK;
    default:
        r->at = where;
        return lp_grammar_fail(&r->b, LP_E_FORMAT, where - 1,
                               "\\ before %s; there are \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ "
                               "\\xNN \\uNNNN \\UNNNNNNNN",
                               found(r, text));
    }
}

/* One character of a literal or class. */
static lp_status read_char(reader *r, uint32_t *code)
{
    if (peek(r) == '\\')
        return read_escape(r, code);
    const unsigned n = lp_utf8_decode(r->b.text + r->at, r->b.bytes - r->at, code);
    if (n == 0)
        return lp_grammar_fail(&r->b, LP_E_FORMAT, r->at, "this is no UTF-8");
    r->at += n;
    return LP_OK;
}

/* Whether a literal or class that began at `where` goes on. */
static lp_status goes_on(const reader *r, size_t where, char close)
{
    if (at_end(r) || peek(r) == '\n')
        return lp_grammar_fail(&r->b, LP_E_FORMAT, where, "no %c ends this %s in its line", close,
                               close == '"' ? "text" : "class");
    return LP_OK;
}

static lp_status read_literal(reader *r)
{
    const size_t where = r->at++;
    for (;;) {
        uint32_t code;
        char utf8[4];
        LP_TRY(goes_on(r, where, '"'));
        if (peek(r) == '"')
            break;
        LP_TRY(read_char(r, &code));
        const unsigned n = lp_utf8_encode(code, utf8);
        for (unsigned i = 0; i < n; i++)
            LP_TRY(push(r, lp_symbol_make(LP_SYMBOL_BYTE, (uint8_t)utf8[i])));
    }
    r->at++;
    return LP_OK;
}

static lp_status add_range(reader *r, uint32_t first, uint32_t last)
{
    lp_code_range *ranges = lp_list_grow(r->ranges, r->n_ranges, &r->ranges_room, sizeof *ranges);
    if (ranges == NULL)
        return lp_fail_memory(r->b.ctx, "a grammar");
    r->ranges = ranges;
    ranges[r->n_ranges++] = (lp_code_range){first, last};
    return LP_OK;
}

static lp_status read_class(reader *r)
{
    const size_t where = r->at++;
    const bool negated = peek(r) == '^';
    lp_symbol symbol;
    r->at += negated;
    r->n_ranges = 0;
    for (;;) {
        uint32_t first, last;
        LP_TRY(goes_on(r, where, ']'));
        if (peek(r) == ']')
            break;
        const size_t begin = r->at;
        LP_TRY(read_char(r, &first));
        last = first;
        if (peek(r) == '-' && r->at + 1 < r->b.bytes && r->b.text[r->at + 1] != ']') {
            r->at++;
            LP_TRY(goes_on(r, where, ']'));
            LP_TRY(read_char(r, &last));
        }
        if (last < first)
            return lp_grammar_fail(&r->b, LP_E_FORMAT, begin, "a range from U+%04X down to U+%04X",
                                   (unsigned)first, (unsigned)last);
        LP_TRY(add_range(r, first, last));
    }
    r->at++;
    LP_TRY(lp_grammar_add_class(&r->b, where, r->ranges, r->n_ranges, negated, &symbol));
    return push(r, symbol);
}

static lp_status read_any(reader *r)
{
    lp_code_range all = {0, 0x10ffff};
    lp_symbol symbol;
    LP_TRY(lp_grammar_add_class(&r->b, r->at++, &all, 1, false, &symbol));
    return push(r, symbol);
}

/* ---- Repetition ---------------------------------------------------------------------------- */

/* The symbols [from, …) of the stack become one that stands for them. */
static lp_status as_one(reader *r, size_t from, size_t where, lp_symbol *symbol)
{
    uint32_t rule;
    if (r->n_stack - from == 1) {
        *symbol = r->stack[--r->n_stack];
        return LP_OK;
    }
    LP_TRY(lp_grammar_add_rule(&r->b, where, &rule));
    LP_TRY(lp_grammar_add_alternative(&r->b, rule, r->stack + from, r->n_stack - from));
    r->n_stack = from;
    *symbol = lp_symbol_make(LP_SYMBOL_RULE, rule);
    return LP_OK;
}

/* loop ::= symbol loop | "" */
static lp_status push_loop(reader *r, size_t where, lp_symbol symbol)
{
    uint32_t rule;
    LP_TRY(lp_grammar_add_rule(&r->b, where, &rule));
    r->b.rules[rule].loop = true;
    const lp_symbol again[2] = {symbol, lp_symbol_make(LP_SYMBOL_RULE, rule)};
    LP_TRY(lp_grammar_add_alternative(&r->b, rule, again, 2));
    LP_TRY(lp_grammar_add_alternative(&r->b, rule, NULL, 0));
    return push(r, again[1]);
}

/* up to n: o1 ::= symbol o2 | "", o2 ::= symbol o3 | "", …: one state per count */
static lp_status push_optional(reader *r, size_t where, lp_symbol symbol, uint32_t n)
{
    lp_symbol sequence[2] = {symbol, 0};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t rule;
        LP_TRY(lp_grammar_add_rule(&r->b, where, &rule));
        LP_TRY(lp_grammar_add_alternative(&r->b, rule, sequence, i == 0 ? 1 : 2));
        LP_TRY(lp_grammar_add_alternative(&r->b, rule, NULL, 0));
        sequence[1] = lp_symbol_make(LP_SYMBOL_RULE, rule);
    }
    return push(r, sequence[1]);
}

#define NO_LIMIT UINT32_MAX

static lp_status repeat(reader *r, size_t from, size_t where, uint32_t min, uint32_t max)
{
    lp_symbol symbol;
    if (r->n_stack == from) /* of nothing */
        return LP_OK;
    LP_TRY(as_one(r, from, where, &symbol));
    for (uint32_t i = 0; i < min; i++)
        LP_TRY(push(r, symbol));
    if (max == NO_LIMIT)
        return push_loop(r, where, symbol);
    return max > min ? push_optional(r, where, symbol, max - min) : LP_OK;
}

/* A count within {}; *value stays as it is if there is none. */
static lp_status read_count(reader *r, uint32_t *value)
{
    const size_t where = r->at;
    uint32_t count = 0;
    for (; peek(r) >= '0' && peek(r) <= '9'; r->at++) {
        count = count * 10 + (uint32_t)(peek(r) - '0');
        if (count > LP_GRAMMAR_MAX_REPEAT)
            return lp_grammar_fail(&r->b, LP_E_LIMIT, where, "at most %u repetitions are possible",
                                   LP_GRAMMAR_MAX_REPEAT);
    }
    if (r->at > where)
        *value = count;
    skip_space(r, false);
    return LP_OK;
}

static lp_status read_counts(reader *r, uint32_t *min, uint32_t *max)
{
    const size_t where = r->at++;
    char text[LP_QUOTE_TEXT];
    skip_space(r, false);
    *min = *max = NO_LIMIT;
    LP_TRY(read_count(r, min));
    if (peek(r) == ',') {
        r->at++;
        skip_space(r, false);
        LP_TRY(read_count(r, max));
        if (*min == NO_LIMIT && *max != NO_LIMIT)
            *min = 0;
    } else {
        *max = *min;
    }
    if (peek(r) != '}' || *min == NO_LIMIT)
        return lp_grammar_fail(&r->b, LP_E_FORMAT, r->at,
                               "{m}, {m,}, {m,n} or {,n} is expected, not %s here", found(r, text));
    r->at++;
    if (*max < *min)
        return lp_grammar_fail(&r->b, LP_E_FORMAT, where, "at least %u and at most %u repetitions",
                               *min, *max);
    return LP_OK;
}

/* An operator behind the symbols [from, …) of the stack. */
static lp_status read_operator(reader *r, size_t from, bool anything)
{
    const size_t where = r->at;
    uint32_t min = peek(r) == '+', max = peek(r) == '?' ? 1 : NO_LIMIT;
    if (!anything)
        return lp_grammar_fail(&r->b, LP_E_FORMAT, where, "nothing stands before %c to repeat",
                               peek(r));
    if (peek(r) == '{')
        LP_TRY(read_counts(r, &min, &max));
    else
        r->at++;
    return repeat(r, from, where, min, max);
}

/* ---- Rules --------------------------------------------------------------------------------- */

static lp_status read_alternatives(reader *r, uint32_t rule);

static lp_status read_group(reader *r)
{
    const size_t where = r->at++, outer = r->group;
    uint32_t rule;
    char text[LP_QUOTE_TEXT];
    if (r->n_groups == LP_GRAMMAR_MAX_GROUPS)
        return lp_grammar_fail(&r->b, LP_E_LIMIT, where, "more than %u parentheses are open",
                               LP_GRAMMAR_MAX_GROUPS);
    LP_TRY(lp_grammar_add_rule(&r->b, where, &rule));
    r->n_groups++;
    r->group = where;
    skip_space(r, true);
    LP_TRY(read_alternatives(r, rule));
    if (at_end(r))
        return lp_grammar_fail(&r->b, LP_E_FORMAT, where, "no ) closes this (");
    if (peek(r) != ')')
        return lp_grammar_fail(&r->b, LP_E_FORMAT, r->at, "unexpected %s", found(r, text));
    r->n_groups--;
    r->group = outer;
    r->at++;
    return push(r, lp_symbol_make(LP_SYMBOL_RULE, rule));
}

static lp_status read_reference(reader *r)
{
    const size_t where = r->at, n = name_bytes(r);
    uint32_t rule;
    r->at += n;
    skip_space(r, r->n_groups > 0);
    if (starts_with(r, "::="))
        return r->n_groups > 0 ? lp_grammar_fail(&r->b, LP_E_FORMAT, r->group, "no ) closes this (")
                               : lp_grammar_fail(&r->b, LP_E_FORMAT, where,
                                                 "a rule begins in a line of its own");
    LP_TRY(lp_grammar_find_rule(&r->b, where, n, &rule));
    return push(r, lp_symbol_make(LP_SYMBOL_RULE, rule));
}

static lp_status read_sequence(reader *r)
{
    size_t latest = r->n_stack;
    for (bool anything = false;; anything = true) {
        const char c = peek(r);
        if (c == '*' || c == '+' || c == '?' || c == '{') {
            LP_TRY(read_operator(r, latest, anything));
            skip_space(r, r->n_groups > 0);
            continue;
        }
        latest = r->n_stack;
        if (c == '"')
            LP_TRY(read_literal(r));
        else if (c == '[')
            LP_TRY(read_class(r));
        else if (c == '.')
            LP_TRY(read_any(r));
        else if (c == '(')
            LP_TRY(read_group(r));
        else if (is_name(c))
            LP_TRY(read_reference(r));
        else
            return LP_OK;
        skip_space(r, r->n_groups > 0);
    }
}

static lp_status read_alternatives(reader *r, uint32_t rule)
{
    for (;;) {
        const size_t mark = r->n_stack;
        LP_TRY(read_sequence(r));
        LP_TRY(lp_grammar_add_alternative(&r->b, rule, r->n_stack > mark ? r->stack + mark : NULL,
                                          r->n_stack - mark));
        r->n_stack = mark;
        if (peek(r) != '|')
            return LP_OK;
        r->at++;
        skip_space(r, true);
    }
}

static lp_status read_rule(reader *r)
{
    const size_t where = r->at, n = name_bytes(r);
    uint32_t rule;
    char text[LP_QUOTE_TEXT];
    if (n == 0)
        return lp_grammar_fail(&r->b, LP_E_FORMAT, where, "the name of a rule is expected, not %s",
                               found(r, text));
    r->at += n;
    skip_space(r, false);
    if (!starts_with(r, "::="))
        return lp_grammar_fail(&r->b, LP_E_FORMAT, r->at, "::= is expected behind %s, not %s",
                               lp_utf8_quote(r->b.text + where, n, (char[LP_QUOTE_TEXT]){0}),
                               found(r, text));
    r->at += 3;
    skip_space(r, true);
    LP_TRY(lp_grammar_find_rule(&r->b, where, n, &rule));
    if (r->b.rules[rule].defined)
        return lp_grammar_fail(&r->b, LP_E_FORMAT, where, "there is a rule %s already",
                               lp_utf8_quote(r->b.text + where, n, text));
    r->b.rules[rule].defined = true;
    r->b.rules[rule].where = where;
    LP_TRY(read_alternatives(r, rule));
    if (peek(r) == ')')
        return lp_grammar_fail(&r->b, LP_E_FORMAT, r->at, "no ( is open for this )");
    if (!at_end(r) && peek(r) != '\n' && peek(r) != '\r')
        return lp_grammar_fail(&r->b, LP_E_FORMAT, r->at, "unexpected %s", found(r, text));
    skip_space(r, true);
    return LP_OK;
}

lp_status lp_grammar_read(lp_context *ctx, const char *text, size_t bytes, lp_grammar **grammar)
{
    reader r = {.b = {.ctx = ctx, .text = text, .bytes = bytes}};
    lp_status status = LP_OK;
    *grammar = NULL;
    LP_CHECK(lp_grammar_begin(&r.b));
    skip_space(&r, true);
    while (!at_end(&r))
        LP_CHECK(read_rule(&r));
    LP_CHECK(lp_grammar_end(&r.b, grammar));
cleanup:
    lp_grammar_builder_free(&r.b);
    free(r.stack);
    free(r.ranges);
    return status;
}
