/* "%d of %s" % (1, x), and "{} of {}".format(1, x): what templates use of them. */
#include <stdio.h>

#include "text/jinja_run.h"

/* --- % -------------------------------------------------------------------------------------------
 */

typedef struct conversion {
    char flags[8];
    int width, precision; /* precision -1: none */
    char letter;
} conversion;

/* Reads what is behind a "%"; returns its length, 0 if it is not supported. */
static size_t read_conversion(lp_jinja_text text, conversion *c)
{
    enum { MOST = 999 };
    size_t at = 0, n_flags = 0;
    *c = (conversion){.precision = -1};
    while (at < text.n && text.data[at] && strchr("-+ #0", text.data[at]) && n_flags < 5)
        c->flags[n_flags++] = text.data[at++];
    for (; at < text.n && text.data[at] >= '0' && text.data[at] <= '9' && c->width <= MOST; at++)
        c->width = 10 * c->width + (text.data[at] - '0');
    if (at < text.n && text.data[at] == '.') {
        c->precision = 0;
        for (at++;
             at < text.n && text.data[at] >= '0' && text.data[at] <= '9' && c->precision <= MOST;
             at++)
            c->precision = 10 * c->precision + (text.data[at] - '0');
    }
    if (at == text.n || c->width > MOST || c->precision > MOST)
        return 0;
    c->letter = text.data[at];
    return at + 1;
}

/* A text in its field: blanks before it, or behind it. */
static lp_status put_field(lp_jinja *run, const conversion *c, lp_jinja_text text)
{
    if (c->precision >= 0)
        text.n = lp_jinja_offset(text, (size_t)c->precision);
    const size_t n = lp_jinja_length(text), width = (size_t)c->width;
    const size_t missing = n < width ? width - n : 0;
    const bool left = strchr(c->flags, '-') != NULL;
    LP_TRY(lp_jinja_put_repeated(run, ' ', left ? 0 : missing));
    LP_TRY(lp_jinja_put(run, text));
    return lp_jinja_put_repeated(run, ' ', left ? missing : 0);
}

static lp_status put_number(lp_jinja *run, const conversion *c, lp_jinja_value value)
{
    char format[40], text[1400];
    const bool integer = strchr("diuxXo", c->letter) != NULL;
    int n;
    LP_TRY(lp_jinja_refuse_undefined(run, value));
    if (!lp_jinja_is_number(value) || (strchr("xXo", c->letter) && value.kind == LP_JINJA_FLOAT))
        return lp_jinja_fail(run, LP_E_FORMAT, "%%%c wants a number, not a %s", c->letter,
                             lp_jinja_type_name(value));
    const double number = lp_jinja_number(value);
    if (integer && value.kind == LP_JINJA_FLOAT && !(number > -0x1p63 && number < 0x1p63))
        return lp_jinja_fail(run, LP_E_UNSUPPORTED, "an integer beyond 64 bits");
    const int64_t whole = value.kind == LP_JINJA_FLOAT ? (int64_t)number : lp_jinja_integer(value);
    if (whole < 0 && strchr("xXo", c->letter))
        return lp_jinja_fail(run, LP_E_UNSUPPORTED, "%%%c of a negative number", c->letter);
    char precision[16] = "";
    if (c->precision >= 0)
        snprintf(precision, sizeof precision, ".%d", c->precision);
    snprintf(format, sizeof format, "%%%s%.0d%s%s%c", c->flags, c->width, precision,
             integer ? "ll" : "", c->letter == 'i' || c->letter == 'u' ? 'd' : c->letter);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    n = integer ? snprintf(text, sizeof text, format, (long long)whole)
                : snprintf(text, sizeof text, format, number);
#pragma GCC diagnostic pop
    if (n < 0 || (size_t)n >= sizeof text)
        return lp_jinja_fail(run, LP_E_LIMIT, "%%%c: a number that is too long", c->letter);
    return lp_jinja_put(run, (lp_jinja_text){text, (size_t)n});
}

static lp_status put_conversion(lp_jinja *run, const conversion *c, lp_jinja_value value)
{
    const size_t mark = run->out.n;
    lp_jinja_text text;
    if (c->letter == 's' || c->letter == 'r') {
        lp_jinja_value shown = value;
        if (c->letter == 'r') {
            LP_TRY(lp_jinja_put_repr(run, value));
            LP_TRY(lp_jinja_take(run, mark, &shown));
        }
        LP_TRY(lp_jinja_to_string(run, shown, &text));
        return put_field(run, c, text);
    }
    if (strchr("diuxXofFeEgG", c->letter))
        return put_number(run, c, value);
    return lp_jinja_fail(run, LP_E_UNSUPPORTED, "%%%c is not supported", c->letter);
}

lp_status lp_jinja_format(lp_jinja *run, lp_jinja_text format, const lp_jinja_value *values,
                          size_t n, lp_jinja_value *result)
{
    size_t used = 0, at = 0;
    const bool tuple =
        n == 1 && values->kind == LP_JINJA_SEQUENCE && values->sequence->form == LP_JINJA_TUPLE;
    if (tuple) {
        n = values->sequence->n;
        values = values->sequence->items;
    }
    /* one dict, list or undefined value may stay unused: it could be looked into by name */
    const bool optional = !tuple && n == 1 && values->kind >= LP_JINJA_SEQUENCE;
    const size_t mark = run->out.n;
    while (at < format.n) {
        const lp_jinja_text rest = {format.data + at, format.n - at};
        const size_t next = lp_jinja_find(rest, LP_JINJA_TEXT("%"));
        const size_t plain = next == SIZE_MAX ? rest.n : next;
        conversion c;
        LP_TRY(lp_jinja_put(run, (lp_jinja_text){rest.data, plain}));
        at += plain;
        if (at == format.n)
            break;
        const size_t length =
            read_conversion((lp_jinja_text){format.data + at + 1, format.n - at - 1}, &c);
        if (length == 0)
            return lp_jinja_fail(run, LP_E_FORMAT, "a conversion (%%) that is not supported");
        at += 1 + length;
        if (c.letter == '%') {
            LP_TRY(lp_jinja_put(run, LP_JINJA_TEXT("%")));
            continue;
        }
        if (used == n)
            return lp_jinja_fail(run, LP_E_FORMAT, "more conversions (%%) than values");
        LP_TRY(put_conversion(run, &c, values[used++]));
    }
    if (used < n && !optional)
        return lp_jinja_fail(run, LP_E_FORMAT, "more values than conversions (%%)");
    return lp_jinja_take(run, mark, result);
}

/* --- format()
 * -------------------------------------------------------------------------------------- */

/* The argument that a field names: "", "0" or "name". */
static lp_status field_value(lp_jinja *run, lp_jinja_text field,
                             const lp_jinja_arguments *arguments, size_t *next,
                             lp_jinja_value *value)
{
    size_t index = 0;
    bool number = field.n > 0 && field.n < 6;
    for (size_t i = 0; number && i < field.n; i++) {
        number = field.data[i] >= '0' && field.data[i] <= '9';
        index = 10 * index + (size_t)(field.data[i] - '0');
    }
    for (size_t i = 0; !number && i < arguments->n_named; i++)
        if (field.n > 0 && lp_jinja_text_equal(arguments->names[i], field)) {
            *value = arguments->named[i];
            return LP_OK;
        }
    if (field.n > 0 && !number)
        return lp_jinja_fail(run, LP_E_UNSUPPORTED,
                             "format: {%.*s}: only {}, {0} and {name} are supported",
                             (int)(field.n < 64 ? field.n : 64), field.data);
    if (field.n == 0)
        index = (*next)++;
    if (index >= arguments->n)
        return lp_jinja_fail(run, LP_E_FORMAT, "format: more fields than values");
    *value = arguments->values[index];
    return LP_OK;
}

lp_status lp_jinja_str_format(lp_jinja *run, lp_jinja_value self,
                              const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    const lp_jinja_text text = self.text;
    const size_t mark = run->out.n;
    size_t next = 0;
    for (size_t at = 0; at < text.n; at++) {
        const char c = text.data[at];
        const bool twice = at + 1 < text.n && text.data[at + 1] == c;
        if ((c != '{' && c != '}') || twice) {
            LP_TRY(lp_jinja_put(run, (lp_jinja_text){text.data + at, 1}));
            at += twice && (c == '{' || c == '}');
            continue;
        }
        const char *end = c == '{' ? memchr(text.data + at, '}', text.n - at) : NULL;
        lp_jinja_value value;
        if (!end)
            return lp_jinja_fail(run, LP_E_FORMAT, "format: a brace without its partner");
        const lp_jinja_text field = {text.data + at + 1, (size_t)(end - text.data) - at - 1};
        LP_TRY(field_value(run, field, arguments, &next, &value));
        LP_TRY(lp_jinja_put_value(run, value));
        at += field.n + 1;
    }
    return lp_jinja_take(run, mark, result);
}
