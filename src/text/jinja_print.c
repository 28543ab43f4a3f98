/* Values as text: Python's str() and repr(), and its json.dumps(). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/jinja_run.h"

#define PUT(run, literal) LP_TRY(lp_jinja_put(run, LP_JINJA_TEXT(literal)))

static lp_status put_c(lp_jinja *run, const char *text)
{
    return lp_jinja_put(run, (lp_jinja_text){text, strlen(text)});
}

static lp_status put_integer(lp_jinja *run, int64_t integer)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)integer);
    return put_c(run, text);
}

/* The fewest digits that give the number back; with an exponent below 1e-4 and from 1e16 on. */
static lp_status put_float(lp_jinja *run, double x, const char *nan, const char *infinity)
{
    char text[40], digits[20];
    if (isnan(x))
        return put_c(run, nan);
    if (x < 0 || (x == 0 && signbit(x)))
        PUT(run, "-");
    if (isinf(x))
        return put_c(run, infinity);
    x = fabs(x);
    int n = 0;
    do
        snprintf(text, sizeof text, "%.*e", n++, x);
    while (n < 17 && strtod(text, NULL) != x);
    digits[0] = text[0];
    if (n > 1) /* text[1] is the decimal point of the locale */
        memcpy(digits + 1, text + 2, (size_t)n - 1);
    const int power = atoi(strchr(text, 'e') + 1);
    if (power < -4 || power >= 16) {
        LP_TRY(lp_jinja_put(run, (lp_jinja_text){digits, 1}));
        if (n > 1)
            PUT(run, ".");
        LP_TRY(lp_jinja_put(run, (lp_jinja_text){digits + 1, (size_t)n - 1}));
        snprintf(text, sizeof text, "e%c%02d", power < 0 ? '-' : '+', abs(power));
        return put_c(run, text);
    }
    if (power < 0) {
        PUT(run, "0.");
        LP_TRY(lp_jinja_put_repeated(run, '0', (size_t)(-power - 1)));
        return lp_jinja_put(run, (lp_jinja_text){digits, (size_t)n});
    }
    const size_t whole = (size_t)power + 1, known = (size_t)n < whole ? (size_t)n : whole;
    LP_TRY(lp_jinja_put(run, (lp_jinja_text){digits, known}));
    LP_TRY(lp_jinja_put_repeated(run, '0', whole - known));
    PUT(run, ".");
    if ((size_t)n <= whole)
        return lp_jinja_put_repeated(run, '0', 1);
    return lp_jinja_put(run, (lp_jinja_text){digits + whole, (size_t)n - whole});
}

/* A string as Python writes it in its source. */
static lp_status put_quoted(lp_jinja *run, lp_jinja_text text)
{
    const bool twice = memchr(text.data, '\'', text.n) && !memchr(text.data, '"', text.n);
    const char quote = text.n > 0 && twice ? '"' : '\'';
    char hex[12];
    LP_TRY(lp_jinja_put_repeated(run, quote, 1));
    for (size_t at = 0; at < text.n;) {
        uint32_t code;
        const lp_jinja_text rest = {text.data + at, text.n - at};
        const unsigned length = lp_jinja_decode(rest, &code);
        at += length;
        if (code == '\\' || code == (uint32_t)quote) {
            PUT(run, "\\");
            LP_TRY(lp_jinja_put_code(run, code));
        } else if (code == '\n' || code == '\r' || code == '\t') {
            LP_TRY(put_c(run, code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t"));
        } else if (!lp_jinja_is_printable(code)) {
            snprintf(hex, sizeof hex,
                     code < 0x100     ? "\\x%02x"
                     : code < 0x10000 ? "\\u%04x"
                                      : "\\U%08x",
                     code);
            LP_TRY(put_c(run, hex));
        } else {
            LP_TRY(lp_jinja_put(run, (lp_jinja_text){rest.data, length}));
        }
    }
    return lp_jinja_put_repeated(run, quote, 1);
}

static lp_status put_list(lp_jinja *run, const lp_jinja_sequence *sequence)
{
    static const char *const around[][2] = {
        [LP_JINJA_LIST] = {"[", "]"},
        [LP_JINJA_TUPLE] = {"(", ")"},
        [LP_JINJA_KEYS] = {"dict_keys([", "])"},
        [LP_JINJA_VALUES] = {"dict_values([", "])"},
        [LP_JINJA_ITEMS] = {"dict_items([", "])"},
    };
    LP_TRY(put_c(run, around[sequence->form][0]));
    for (size_t i = 0; i < sequence->n; i++) {
        if (i > 0)
            PUT(run, ", ");
        LP_TRY(lp_jinja_put_repr(run, sequence->items[i]));
    }
    if (sequence->form == LP_JINJA_TUPLE && sequence->n == 1)
        PUT(run, ",");
    return put_c(run, around[sequence->form][1]);
}

static lp_status put_range(lp_jinja *run, const lp_jinja_sequence *range)
{
    /* as many as there are: what it was asked for is not kept */
    const int64_t start = range->n > 0 ? range->items[0].integer : 0;
    const int64_t step = range->n > 1 ? range->items[1].integer - start : 1;
    PUT(run, "range(");
    LP_TRY(put_integer(run, start));
    PUT(run, ", ");
    LP_TRY(put_integer(run, range->n > 0 ? range->items[range->n - 1].integer + step : 0));
    if (step != 1) {
        PUT(run, ", ");
        LP_TRY(put_integer(run, step));
    }
    return lp_jinja_put_repeated(run, ')', 1);
}

static lp_status put_dict(lp_jinja *run, const lp_jinja_dict *dict)
{
    PUT(run, "{");
    for (size_t i = 0; i < dict->n; i++) {
        if (i > 0)
            PUT(run, ", ");
        LP_TRY(lp_jinja_put_repr(run, dict->keys[i]));
        PUT(run, ": ");
        LP_TRY(lp_jinja_put_repr(run, dict->values[i]));
    }
    return lp_jinja_put_repeated(run, '}', 1);
}

static lp_status put_repr(lp_jinja *run, lp_jinja_value value)
{
    switch (value.kind) {
    case LP_JINJA_UNDEFINED:
        return put_c(run, "Undefined");
    case LP_JINJA_NONE:
        return put_c(run, "None");
    case LP_JINJA_BOOL:
        return put_c(run, value.truth ? "True" : "False");
    case LP_JINJA_INT:
        return put_integer(run, value.integer);
    case LP_JINJA_FLOAT:
        return put_float(run, value.number, "nan", "inf");
    case LP_JINJA_STRING:
        return put_quoted(run, value.text);
    case LP_JINJA_DICT:
        return put_dict(run, value.dict);
    case LP_JINJA_SEQUENCE:
        if (value.sequence->form == LP_JINJA_RANGE)
            return put_range(run, value.sequence);
        if (value.sequence->form != LP_JINJA_GENERATOR)
            return put_list(run, value.sequence);
        /* fall through */
    default:
        return lp_jinja_fail(run, LP_E_UNSUPPORTED, "a %s has no text", lp_jinja_type_name(value));
    }
}

lp_status lp_jinja_put_repr(lp_jinja *run, lp_jinja_value value)
{
    LP_TRY(lp_jinja_enter(run));
    LP_TRY(put_repr(run, value));
    run->depth--;
    return LP_OK;
}

lp_status lp_jinja_put_value(lp_jinja *run, lp_jinja_value value)
{
    if (value.kind == LP_JINJA_STRING)
        return lp_jinja_put(run, value.text);
    if (value.kind == LP_JINJA_UNDEFINED)
        return LP_OK;
    return lp_jinja_put_repr(run, value);
}

lp_status lp_jinja_to_string(lp_jinja *run, lp_jinja_value value, lp_jinja_text *text)
{
    const size_t mark = run->out.n;
    if (value.kind != LP_JINJA_STRING) {
        LP_TRY(lp_jinja_put_value(run, value));
        LP_TRY(lp_jinja_take(run, mark, &value));
    }
    *text = value.text;
    return LP_OK;
}

lp_status lp_jinja_put_escaped(lp_jinja *run, lp_jinja_text text)
{
    static const struct {
        char c;
        const char *name;
    } rows[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'\'', "&#39;"}, {'"', "&#34;"}};
    for (size_t i = 0; i < text.n; i++) {
        const char *name = NULL;
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
            if (text.data[i] == rows[k].c)
                name = rows[k].name;
        if (name)
            LP_TRY(put_c(run, name));
        else
            LP_TRY(lp_jinja_put(run, (lp_jinja_text){text.data + i, 1}));
    }
    return LP_OK;
}

/* --- JSON ---------------------------------------------------------------------------------------
 */

static lp_status put_json_string(lp_jinja *run, const lp_jinja_json *how, lp_jinja_text text)
{
    static const char letters[] = "\"\\\n\r\t\b\f", names[] = "\"\\nrtbf";
    char hex[16];
    PUT(run, "\"");
    for (size_t at = 0; at < text.n;) {
        uint32_t code;
        const lp_jinja_text rest = {text.data + at, text.n - at};
        const unsigned length = lp_jinja_decode(rest, &code);
        const char *letter =
            code > 0 && code < 0x80 ? memchr(letters, (int)code, sizeof letters - 1) : NULL;
        at += length;
        if (letter) {
            snprintf(hex, sizeof hex, "\\%c", names[letter - letters]);
        } else if (code >= 0x10000 && how->ascii) {
            snprintf(hex, sizeof hex, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                     0xdc00 + ((code - 0x10000) & 0x3ff));
        } else if (code < 0x20 || (code >= 0x7f && how->ascii)) {
            snprintf(hex, sizeof hex, "\\u%04x", code);
        } else {
            LP_TRY(lp_jinja_put(run, (lp_jinja_text){rest.data, length}));
            continue;
        }
        LP_TRY(put_c(run, hex));
    }
    return lp_jinja_put_repeated(run, '"', 1);
}

static lp_status put_line(lp_jinja *run, const lp_jinja_json *how, size_t level)
{
    if (!how->pretty)
        return LP_OK;
    PUT(run, "\n");
    while (level-- > 0)
        LP_TRY(lp_jinja_put(run, how->indent));
    return LP_OK;
}

static lp_status put_json_key(lp_jinja *run, const lp_jinja_json *how, lp_jinja_value key)
{
    if (key.kind == LP_JINJA_STRING)
        return put_json_string(run, how, key.text);
    if (key.kind != LP_JINJA_NONE && !lp_jinja_is_number(key))
        return lp_jinja_fail(run, LP_E_FORMAT, "a %s is no key in JSON", lp_jinja_type_name(key));
    PUT(run, "\"");
    LP_TRY(lp_jinja_put_json(run, how, key, 0));
    return lp_jinja_put_repeated(run, '"', 1);
}

/* The order of the members: by key if that is asked for. */
static lp_status member_order(lp_jinja *run, bool sort, const lp_jinja_dict *dict, size_t **order)
{
    void *memory;
    LP_TRY(lp_jinja_alloc(run, dict->n, sizeof **order, &memory));
    *order = memory;
    for (size_t i = 0; i < dict->n; i++) {
        size_t at = i;
        int less = -1;
        for (; sort && at > 0; at--) { /* insertion: the objects are small, and steps are counted */
            LP_TRY(lp_jinja_charge(run, 1));
            LP_TRY(lp_jinja_order(run, "<", dict->keys[i], dict->keys[(*order)[at - 1]], &less));
            if (less >= 0)
                break;
            (*order)[at] = (*order)[at - 1];
        }
        (*order)[at] = i;
    }
    return LP_OK;
}

static lp_status put_json_object(lp_jinja *run, const lp_jinja_json *how, const lp_jinja_dict *dict,
                                 size_t level)
{
    size_t *order;
    LP_TRY(member_order(run, how->sort, dict, &order));
    PUT(run, "{");
    for (size_t i = 0; i < dict->n; i++) {
        if (i > 0)
            LP_TRY(lp_jinja_put(run, how->comma));
        LP_TRY(put_line(run, how, level + 1));
        LP_TRY(put_json_key(run, how, dict->keys[order[i]]));
        LP_TRY(lp_jinja_put(run, how->colon));
        LP_TRY(lp_jinja_put_json(run, how, dict->values[order[i]], level + 1));
    }
    if (dict->n > 0)
        LP_TRY(put_line(run, how, level));
    return lp_jinja_put_repeated(run, '}', 1);
}

static lp_status put_json_array(lp_jinja *run, const lp_jinja_json *how,
                                const lp_jinja_sequence *sequence, size_t level)
{
    PUT(run, "[");
    for (size_t i = 0; i < sequence->n; i++) {
        if (i > 0)
            LP_TRY(lp_jinja_put(run, how->comma));
        LP_TRY(put_line(run, how, level + 1));
        LP_TRY(lp_jinja_put_json(run, how, sequence->items[i], level + 1));
    }
    if (sequence->n > 0)
        LP_TRY(put_line(run, how, level));
    return lp_jinja_put_repeated(run, ']', 1);
}

static lp_status put_json(lp_jinja *run, const lp_jinja_json *how, lp_jinja_value value,
                          size_t level)
{
    LP_TRY(lp_jinja_refuse_undefined(run, value));
    switch (value.kind) {
    case LP_JINJA_NONE:
        return put_c(run, "null");
    case LP_JINJA_BOOL:
        return put_c(run, value.truth ? "true" : "false");
    case LP_JINJA_INT:
        return put_integer(run, value.integer);
    case LP_JINJA_FLOAT:
        return put_float(run, value.number, "NaN", "Infinity");
    case LP_JINJA_STRING:
        return put_json_string(run, how, value.text);
    case LP_JINJA_DICT:
        return put_json_object(run, how, value.dict, level);
    case LP_JINJA_SEQUENCE:
        if (value.sequence->form <= LP_JINJA_TUPLE)
            return put_json_array(run, how, value.sequence, level);
        /* fall through */
    default:
        return lp_jinja_fail(run, LP_E_FORMAT, "a %s is nothing that JSON can hold",
                             lp_jinja_type_name(value));
    }
}

lp_status lp_jinja_put_json(lp_jinja *run, const lp_jinja_json *how, lp_jinja_value value,
                            size_t level)
{
    LP_TRY(lp_jinja_enter(run));
    LP_TRY(put_json(run, how, value, level));
    run->depth--;
    return LP_OK;
}
