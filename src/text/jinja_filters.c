/* Filters of single values: text and numbers. Those of lists are in jinja_filters_list.c. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/jinja_run.h"

const lp_jinja_function *lp_jinja_row_find(const lp_jinja_function *rows, size_t n,
                                           lp_jinja_text name)
{
    for (size_t i = 0; i < n; i++)
        if (lp_jinja_text_is(name, rows[i].name))
            return &rows[i];
    return NULL;
}

/* --- Text ----------------------------------------------------------------------------------------
 */

static lp_status filter_string(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                               lp_jinja_value *result)
{
    lp_jinja_text text;
    (void)arguments;
    if (value.kind == LP_JINJA_STRING) {
        *result = value;
        return LP_OK;
    }
    LP_TRY(lp_jinja_to_string(run, value, &text));
    *result = lp_jinja_string(text);
    return LP_OK;
}

static lp_status filter_trim(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                             lp_jinja_value *result)
{
    lp_jinja_text text, set;
    LP_TRY(lp_jinja_to_string(run, value, &text));
    LP_TRY(lp_jinja_charge(run, text.n / 64));
    if (arguments[0].kind == LP_JINJA_MISSING || arguments[0].kind == LP_JINJA_NONE) {
        *result = lp_jinja_string(lp_jinja_strip(text, true, true));
        return LP_OK;
    }
    LP_TRY(lp_jinja_as_text(run, arguments[0], &set));
    LP_TRY(lp_jinja_charge(run, text.n * (set.n + 1) / 16));
    *result = lp_jinja_string(lp_jinja_strip_set(text, set, true, true));
    return LP_OK;
}

lp_status lp_jinja_put_case(lp_jinja *run, lp_jinja_case to, lp_jinja_text text)
{
    for (size_t at = 0; at < text.n;) {
        uint32_t code, codes[3];
        const unsigned length =
            lp_jinja_decode((lp_jinja_text){text.data + at, text.n - at}, &code);
        const unsigned n = lp_jinja_convert(to, text, at, code, codes);
        for (unsigned i = 0; i < n; i++)
            LP_TRY(lp_jinja_put_code(run, codes[i]));
        at += length;
    }
    return lp_jinja_charge(run, text.n / 8);
}

static lp_status in_case(lp_jinja *run, lp_jinja_case to, lp_jinja_value value,
                         lp_jinja_value *result)
{
    lp_jinja_text text;
    LP_TRY(lp_jinja_to_string(run, value, &text));
    const size_t mark = run->out.n;
    LP_TRY(lp_jinja_put_case(run, to, text));
    return lp_jinja_take(run, mark, result);
}

static lp_status filter_upper(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                              lp_jinja_value *result)
{
    (void)arguments;
    return in_case(run, LP_JINJA_UPPER, value, result);
}

static lp_status filter_lower(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                              lp_jinja_value *result)
{
    (void)arguments;
    return in_case(run, LP_JINJA_LOWER, value, result);
}

/* The first character of text[from, to) as `first`, the others in lower case. */
static lp_status put_capital(lp_jinja *run, lp_jinja_case first, lp_jinja_text text)
{
    uint32_t code;
    if (text.n == 0)
        return LP_OK;
    const unsigned length = lp_jinja_decode(text, &code);
    LP_TRY(lp_jinja_put_case(run, first, (lp_jinja_text){text.data, length}));
    return lp_jinja_put_case(run, LP_JINJA_LOWER,
                             (lp_jinja_text){text.data + length, text.n - length});
}

static lp_status filter_capitalize(lp_jinja *run, lp_jinja_value value,
                                   const lp_jinja_value *arguments, lp_jinja_value *result)
{
    lp_jinja_text text;
    (void)arguments;
    LP_TRY(lp_jinja_to_string(run, value, &text));
    const size_t mark = run->out.n;
    LP_TRY(put_capital(run, LP_JINJA_TITLE, text));
    return lp_jinja_take(run, mark, result);
}

/* Words begin behind white space, hyphens and opening brackets: "it's" is one. */
static lp_status filter_title(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                              lp_jinja_value *result)
{
    lp_jinja_text text;
    (void)arguments;
    LP_TRY(lp_jinja_to_string(run, value, &text));
    const size_t mark = run->out.n;
    for (size_t at = 0, word = 0; at <= text.n;) {
        uint32_t code = ' ';
        unsigned length = 1;
        if (at < text.n)
            length = lp_jinja_decode((lp_jinja_text){text.data + at, text.n - at}, &code);
        if (lp_jinja_is_space(code) || (code < 0x80 && code > 0 && strchr("-({[<", (int)code))) {
            LP_TRY(put_capital(run, LP_JINJA_UPPER, (lp_jinja_text){text.data + word, at - word}));
            if (at < text.n)
                LP_TRY(lp_jinja_put(run, (lp_jinja_text){text.data + at, length}));
            word = at + length;
        }
        at += length;
    }
    return lp_jinja_take(run, mark, result);
}

static lp_status filter_replace(lp_jinja *run, lp_jinja_value value,
                                const lp_jinja_value *arguments, lp_jinja_value *result)
{
    lp_jinja_text text, from, to;
    int64_t count = -1;
    LP_TRY(lp_jinja_to_string(run, value, &text));
    LP_TRY(lp_jinja_to_string(run, arguments[0], &from));
    LP_TRY(lp_jinja_to_string(run, arguments[1], &to));
    if (arguments[2].kind != LP_JINJA_MISSING && arguments[2].kind != LP_JINJA_NONE)
        LP_TRY(lp_jinja_as_integer(run, arguments[2], &count));
    return lp_jinja_replace(run, text, from, to, count, result);
}

static lp_status filter_indent(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                               lp_jinja_value *result)
{
    const bool first = lp_jinja_truth(arguments[1]), blank = lp_jinja_truth(arguments[2]);
    lp_jinja_text text, by = {0};
    int64_t width = 4;
    LP_TRY(lp_jinja_as_text(run, value, &text));
    if (arguments[0].kind == LP_JINJA_STRING)
        by = arguments[0].text;
    else if (arguments[0].kind != LP_JINJA_MISSING)
        LP_TRY(lp_jinja_as_integer(run, arguments[0], &width));
    const size_t mark = run->out.n, spaces = width > 0 && !by.data ? (size_t)width : 0;
    size_t end = 1;
    for (bool begin = true; end > 0; begin = false) {
        const size_t n = lp_jinja_line(text, &end);
        if (!begin)
            LP_TRY(lp_jinja_put(run, LP_JINJA_TEXT("\n")));
        if (begin ? first : blank || n > 0) {
            LP_TRY(lp_jinja_put(run, by));
            LP_TRY(lp_jinja_put_repeated(run, ' ', spaces));
        }
        LP_TRY(lp_jinja_put(run, (lp_jinja_text){text.data, n}));
        text.data += n + end;
        text.n -= n + end;
    }
    return lp_jinja_take(run, mark, result);
}

static lp_status filter_safe(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                             lp_jinja_value *result)
{
    LP_TRY(filter_string(run, value, arguments, result));
    result->safe = true;
    return LP_OK;
}

static lp_status filter_escape(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                               lp_jinja_value *result)
{
    lp_jinja_text text;
    (void)arguments;
    *result = value;
    if (value.kind == LP_JINJA_STRING && value.safe)
        return LP_OK;
    LP_TRY(lp_jinja_to_string(run, value, &text));
    const size_t mark = run->out.n;
    LP_TRY(lp_jinja_put_escaped(run, text));
    LP_TRY(lp_jinja_take(run, mark, result));
    result->safe = true;
    return LP_OK;
}

static lp_status filter_wordcount(lp_jinja *run, lp_jinja_value value,
                                  const lp_jinja_value *arguments, lp_jinja_value *result)
{
    lp_jinja_text text;
    int64_t n = 0;
    bool within = false;
    (void)arguments;
    LP_TRY(lp_jinja_to_string(run, value, &text));
    LP_TRY(lp_jinja_charge(run, text.n / 16));
    while (text.n > 0) {
        uint32_t code;
        const unsigned length = lp_jinja_decode(text, &code);
        const bool word = lp_jinja_is_word(code);
        n += word && !within;
        within = word;
        text.data += length;
        text.n -= length;
    }
    *result = lp_jinja_int(n);
    return LP_OK;
}

static lp_status filter_format(lp_jinja *run, lp_jinja_value value,
                               const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    lp_jinja_text text;
    LP_TRY(lp_jinja_to_string(run, value, &text));
    if (arguments->n_named > 0)
        return lp_jinja_fail(run, LP_E_UNSUPPORTED, "format with names is not supported");
    lp_jinja_value tuple;
    LP_TRY(lp_jinja_sequence_create(run, LP_JINJA_TUPLE, arguments->values, arguments->n, &tuple));
    return lp_jinja_format(run, text, &tuple, 1, result);
}

/* --- Numbers
 * -------------------------------------------------------------------------------------- */

/* A number from text as Python's float() reads it: white space around it, digits that underscores
 * may separate, a decimal point, an exponent; nan, inf. */
static bool parse_float(lp_jinja_text text, double *number)
{
    char copy[512], *end;
    size_t n = 0;
    text = lp_jinja_strip(text, true, true);
    if (text.n == 0 || text.n >= sizeof copy)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        const char c = text.data[i];
        if (c == '\0' || c == 'x' || c == 'X' || c == 'p' || c == 'P' || c == '(' ||
            (uint8_t)c >= 0x80)
            return false; /* what strtod() takes beyond that */
        if (c == '_') {
            if (i == 0 || i + 1 == text.n || text.data[i - 1] < '0' || text.data[i - 1] > '9' ||
                text.data[i + 1] < '0' || text.data[i + 1] > '9')
                return false;
            continue;
        }
        copy[n++] = c;
    }
    copy[n] = '\0';
    *number = strtod(copy, &end);
    return *end == '\0' && copy[0] != ' ';
}

/* The same for int(). */
static bool parse_integer(lp_jinja_text text, int base, int64_t *integer)
{
    char copy[128], *end;
    size_t n = 0, sign;
    text = lp_jinja_strip(text, true, true);
    if (text.n == 0 || text.n >= sizeof copy)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        const char c = text.data[i];
        if (c == '_' && i > 0 && i + 1 < text.n && text.data[i - 1] != '_')
            continue;
        if (c == '\0' || c == '_' || c == ' ')
            return false;
        copy[n++] = c;
    }
    copy[n] = '\0';
    sign = copy[0] == '-' || copy[0] == '+';
    const char letter = (char)(copy[sign] == '0' ? copy[sign + 1] | 32 : 0);
    if (letter == 'x' && base != 16 && base != 0)
        return false;
    if ((letter == 'o' && base == 8) || (letter == 'b' && base == 2)) /* 0x is known to strtoll() */
        memmove(copy + sign, copy + sign + 2, n - sign - 1);
    errno = 0;
    *integer = strtoll(copy, &end, base);
    return *end == '\0' && end > copy && errno == 0;
}

static lp_status filter_int(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                            lp_jinja_value *result)
{
    int64_t integer, base = 10;
    double number = 0;
    *result = arguments[0].kind == LP_JINJA_MISSING ? lp_jinja_int(0) : arguments[0];
    LP_TRY(lp_jinja_refuse_undefined(run, value));
    if (arguments[1].kind != LP_JINJA_MISSING)
        LP_TRY(lp_jinja_as_integer(run, arguments[1], &base));
    if (base != 0 && (base < 2 || base > 36))
        return LP_OK;
    if (lp_jinja_is_integer(value)) {
        *result = lp_jinja_int(lp_jinja_integer(value));
        return LP_OK;
    }
    if (value.kind == LP_JINJA_STRING && parse_integer(value.text, (int)base, &integer)) {
        *result = lp_jinja_int(integer);
        return LP_OK;
    }
    if (value.kind == LP_JINJA_FLOAT)
        number = value.number;
    else if (value.kind != LP_JINJA_STRING || !parse_float(value.text, &number))
        return LP_OK;
    if (!isfinite(number))
        return LP_OK;
    if (fabs(number) >= 0x1p63)
        return lp_jinja_fail(run, LP_E_UNSUPPORTED, "an integer beyond 64 bits");
    *result = lp_jinja_int((int64_t)number);
    return LP_OK;
}

static lp_status filter_float(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                              lp_jinja_value *result)
{
    double number;
    *result = arguments[0].kind == LP_JINJA_MISSING ? lp_jinja_float(0) : arguments[0];
    LP_TRY(lp_jinja_refuse_undefined(run, value));
    if (lp_jinja_is_number(value))
        *result = lp_jinja_float(lp_jinja_number(value));
    else if (value.kind == LP_JINJA_STRING && parse_float(value.text, &number))
        *result = lp_jinja_float(number);
    return LP_OK;
}

static lp_status filter_abs(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                            lp_jinja_value *result)
{
    (void)arguments;
    LP_TRY(lp_jinja_refuse_undefined(run, value));
    if (!lp_jinja_is_number(value))
        return lp_jinja_fail(run, LP_E_FORMAT, "a %s has no size", lp_jinja_type_name(value));
    *result = value.kind == LP_JINJA_FLOAT ? lp_jinja_float(fabs(value.number))
                                           : lp_jinja_int(lp_jinja_integer(value));
    if (value.kind == LP_JINJA_INT && value.integer < 0)
        return lp_jinja_operate(run, LP_JINJA_SUB, lp_jinja_int(0), value, result);
    return LP_OK;
}

static lp_status filter_round(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                              lp_jinja_value *result)
{
    enum { MAX_DIGITS = 300 };
    lp_jinja_text method = LP_JINJA_TEXT("common");
    int64_t precision = 0;
    char text[700];
    if (arguments[0].kind != LP_JINJA_MISSING)
        LP_TRY(lp_jinja_as_integer(run, arguments[0], &precision));
    if (arguments[1].kind != LP_JINJA_MISSING)
        LP_TRY(lp_jinja_as_text(run, arguments[1], &method));
    const bool common = lp_jinja_text_is(method, "common"), up = lp_jinja_text_is(method, "ceil");
    if (!common && !up && !lp_jinja_text_is(method, "floor"))
        return lp_jinja_fail(run, LP_E_FORMAT, "round: the method is common, ceil or floor");
    LP_TRY(lp_jinja_refuse_undefined(run, value));
    if (!lp_jinja_is_number(value))
        return lp_jinja_fail(run, LP_E_FORMAT, "a %s cannot be rounded", lp_jinja_type_name(value));
    if (precision < 0 || precision > MAX_DIGITS)
        return lp_jinja_fail(run, LP_E_UNSUPPORTED, "round: 0 to %d digits", MAX_DIGITS);
    if (common && lp_jinja_is_integer(value)) {
        *result = lp_jinja_int(lp_jinja_integer(value));
        return LP_OK;
    }
    const double x = lp_jinja_number(value), scale = pow(10, (double)precision);
    if (!isfinite(x)) {
        if (!common)
            return lp_jinja_fail(run, LP_E_FORMAT, "this number cannot be rounded");
        *result = value;
    } else if (common) { /* as decimal digits, ties to even: what printf() does */
        snprintf(text, sizeof text, "%.*f", (int)precision, x);
        *result = lp_jinja_float(strtod(text, NULL));
    } else {
        *result = lp_jinja_float((up ? ceil(x * scale) : floor(x * scale)) / scale);
    }
    return LP_OK;
}

/* --- Others
 * --------------------------------------------------------------------------------------- */

static lp_status filter_default(lp_jinja *run, lp_jinja_value value,
                                const lp_jinja_value *arguments, lp_jinja_value *result)
{
    (void)run;
    *result = value;
    if (value.kind == LP_JINJA_UNDEFINED ||
        (lp_jinja_truth(arguments[1]) && !lp_jinja_truth(value)))
        *result = arguments[0].kind == LP_JINJA_MISSING ? lp_jinja_string(LP_JINJA_TEXT(""))
                                                        : arguments[0];
    return LP_OK;
}

static lp_status filter_length(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                               lp_jinja_value *result)
{
    int64_t n;
    (void)arguments;
    LP_TRY(lp_jinja_length_of(run, value, &n));
    *result = lp_jinja_int(n);
    return LP_OK;
}

static lp_status filter_attr(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                             lp_jinja_value *result)
{
    lp_jinja_text name;
    LP_TRY(lp_jinja_as_text(run, arguments[0], &name));
    if (value.kind != LP_JINJA_DICT)
        return lp_jinja_get(run, value, name, result);
    *result = lp_jinja_undefined(value.kind, name); /* members are no attributes */
    return LP_OK;
}

/* json.dumps() with what the transformers library lets templates choose. */
static lp_status filter_tojson(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                               lp_jinja_value *result)
{
    enum { MAX_INDENT = 64 };
    static const char spaces[MAX_INDENT + 1] =
        "                                                                ";
    lp_jinja_json how = {.ascii = lp_jinja_truth(arguments[0]),
                         .sort = lp_jinja_truth(arguments[3]),
                         .comma = LP_JINJA_TEXT(", "),
                         .colon = LP_JINJA_TEXT(": ")};
    const lp_jinja_value indent = arguments[1], separators = arguments[2];
    if (indent.kind != LP_JINJA_MISSING && indent.kind != LP_JINJA_NONE) {
        int64_t n = 0;
        how.pretty = true;
        how.comma = LP_JINJA_TEXT(",");
        if (indent.kind == LP_JINJA_STRING)
            how.indent = indent.text;
        else
            LP_TRY(lp_jinja_as_integer(run, indent, &n));
        if (n > MAX_INDENT)
            return lp_jinja_fail(run, LP_E_LIMIT, "tojson: an indent above %d", MAX_INDENT);
        if (indent.kind != LP_JINJA_STRING)
            how.indent = (lp_jinja_text){spaces, n > 0 ? (size_t)n : 0};
    }
    if (separators.kind != LP_JINJA_MISSING && separators.kind != LP_JINJA_NONE) {
        if (separators.kind != LP_JINJA_SEQUENCE || separators.sequence->n != 2)
            return lp_jinja_fail(run, LP_E_FORMAT, "tojson: two separators are expected");
        LP_TRY(lp_jinja_as_text(run, separators.sequence->items[0], &how.comma));
        LP_TRY(lp_jinja_as_text(run, separators.sequence->items[1], &how.colon));
    }
    const size_t mark = run->out.n;
    LP_TRY(lp_jinja_put_json(run, &how, value, 0));
    return lp_jinja_take(run, mark, result);
}

const lp_jinja_function *lp_jinja_filter_find(lp_jinja_text name)
{
    static const lp_jinja_function rows[] = {
        {"abs", "", 0, filter_abs, NULL},
        {"attr", "name", 1, filter_attr, NULL},
        {"capitalize", "", 0, filter_capitalize, NULL},
        {"count", "", 0, filter_length, NULL},
        {"d", "default_value boolean", 0, filter_default, NULL},
        {"default", "default_value boolean", 0, filter_default, NULL},
        {"e", "", 0, filter_escape, NULL},
        {"escape", "", 0, filter_escape, NULL},
        {"float", "default", 0, filter_float, NULL},
        {"format", NULL, 0, NULL, filter_format},
        {"indent", "width first blank", 0, filter_indent, NULL},
        {"int", "default base", 0, filter_int, NULL},
        {"length", "", 0, filter_length, NULL},
        {"lower", "", 0, filter_lower, NULL},
        {"replace", "old new count", 2, filter_replace, NULL},
        {"round", "precision method", 0, filter_round, NULL},
        {"safe", "", 0, filter_safe, NULL},
        {"string", "", 0, filter_string, NULL},
        {"title", "", 0, filter_title, NULL},
        {"tojson", "ensure_ascii indent separators sort_keys", 0, filter_tojson, NULL},
        {"trim", "chars", 0, filter_trim, NULL},
        {"upper", "", 0, filter_upper, NULL},
        {"wordcount", "", 0, filter_wordcount, NULL},
    };
    const lp_jinja_function *row = lp_jinja_row_find(rows, sizeof rows / sizeof *rows, name);
    size_t n;
    const lp_jinja_function *others = lp_jinja_list_filters(&n);
    return row ? row : lp_jinja_row_find(others, n, name);
}
