/* Methods of str that look for something or ask something. */
#include "text/jinja_methods.h"

/* --- Searching
 * ------------------------------------------------------------------------------------ */

/* The part of a text between the optional arguments start and stop, and the character it begins at.
 */
static lp_status part_of(lp_jinja *run, lp_jinja_text *text, const lp_jinja_value *bounds,
                         size_t *first)
{
    lp_jinja_value slice[3] = {lp_jinja_none(), lp_jinja_none(), lp_jinja_none()}, part;
    *first = 0;
    for (int i = 0; i < 2; i++)
        if (bounds[i].kind != LP_JINJA_MISSING)
            slice[i] = bounds[i];
    LP_TRY(lp_jinja_charge(run, text->n / 64));
    if (slice[0].kind == LP_JINJA_NONE && slice[1].kind == LP_JINJA_NONE)
        return LP_OK;
    LP_TRY(lp_jinja_slice(run, lp_jinja_string(*text), slice, &part));
    *first = lp_jinja_length((lp_jinja_text){text->data, (size_t)(part.text.data - text->data)});
    *text = part.text;
    return LP_OK;
}

static lp_status find(lp_jinja *run, lp_jinja_value self, const lp_jinja_value *arguments,
                      bool last, bool must, lp_jinja_value *result)
{
    lp_jinja_text text = self.text, what;
    size_t first;
    LP_TRY(lp_jinja_as_text(run, arguments[0], &what));
    LP_TRY(part_of(run, &text, arguments + 1, &first));
    if (last)
        LP_TRY(lp_jinja_charge(run, text.n * (what.n + 1) / 64));
    const size_t at = last ? lp_jinja_find_last(text, what) : lp_jinja_find(text, what);
    if (at == SIZE_MAX && must)
        return lp_jinja_fail(run, LP_E_FORMAT, "index: the text is not there");
    *result = lp_jinja_int(
        at == SIZE_MAX ? -1 : (int64_t)(first + lp_jinja_length((lp_jinja_text){text.data, at})));
    return LP_OK;
}

METHOD(str_find)
{
    return find(run, self, arguments, false, false, result);
}

METHOD(str_rfind)
{
    return find(run, self, arguments, true, false, result);
}

METHOD(str_index)
{
    return find(run, self, arguments, false, true, result);
}

METHOD(str_rindex)
{
    return find(run, self, arguments, true, true, result);
}

METHOD(str_count)
{
    lp_jinja_text text = self.text, what;
    int64_t n = 0;
    size_t first;
    LP_TRY(lp_jinja_as_text(run, arguments[0], &what));
    LP_TRY(part_of(run, &text, arguments + 1, &first));
    if (what.n == 0) {
        *result = lp_jinja_int((int64_t)lp_jinja_length(text) + 1);
        return LP_OK;
    }
    for (size_t at; (at = lp_jinja_find(text, what)) != SIZE_MAX; n++)
        text = lp_jinja_rest(text, at + what.n);
    *result = lp_jinja_int(n);
    return LP_OK;
}

lp_status lp_jinja_has_end(lp_jinja *run, lp_jinja_value self, const lp_jinja_value *arguments,
                           bool at_start, lp_jinja_value *result)
{
    const lp_jinja_value *ends = &arguments[0];
    lp_jinja_text text = self.text, end;
    size_t n = 1, first;
    bool found = false;
    if (ends->kind == LP_JINJA_SEQUENCE && ends->sequence->form == LP_JINJA_TUPLE) {
        n = ends->sequence->n;
        ends = ends->sequence->items;
    }
    LP_TRY(part_of(run, &text, arguments + 1, &first));
    for (size_t i = 0; i < n; i++) {
        LP_TRY(lp_jinja_as_text(run, ends[i], &end));
        found |= end.n <= text.n &&
                 memcmp(at_start ? text.data : text.data + text.n - end.n, end.data, end.n) == 0;
    }
    *result = lp_jinja_bool(found);
    return lp_jinja_charge(run, n);
}

METHOD(str_startswith)
{
    return lp_jinja_has_end(run, self, arguments, true, result);
}

METHOD(str_endswith)
{
    return lp_jinja_has_end(run, self, arguments, false, result);
}

/* --- Asking
 * ------------------------------------------------------------------------------------------ */

typedef enum property { ALPHA, DIGIT, DECIMAL, NUMERIC, ALNUM, SPACE } property;

static bool has_property(uint32_t code, property what)
{
    const int digit = what == SPACE || what == ALPHA ? 0 : lp_jinja_digit_class(code);
    switch (what) {
    case ALPHA:
        return lp_jinja_is_alpha(code);
    case DIGIT:
        return digit == 1 || digit == 2;
    case DECIMAL:
        return digit == 1;
    case NUMERIC:
        return digit > 0;
    case ALNUM:
        return digit > 0 || lp_jinja_is_alpha(code);
    default:
        return lp_jinja_is_space(code);
    }
}

static lp_status all_have(lp_jinja *run, lp_jinja_text text, property what, lp_jinja_value *result)
{
    bool all = text.n > 0;
    LP_TRY(lp_jinja_charge(run, text.n / 16));
    while (all && text.n > 0) {
        uint32_t code;
        const unsigned length = lp_jinja_decode(text, &code);
        all = has_property(code, what);
        text = lp_jinja_rest(text, length);
    }
    *result = lp_jinja_bool(all);
    return LP_OK;
}

#define PROPERTY(name, what)                                                                       \
    METHOD(name)                                                                                   \
    {                                                                                              \
        (void)arguments;                                                                           \
        return all_have(run, self.text, what, result);                                             \
    }
PROPERTY(str_isalpha, ALPHA)
PROPERTY(str_isdigit, DIGIT)
PROPERTY(str_isdecimal, DECIMAL)
PROPERTY(str_isnumeric, NUMERIC)
PROPERTY(str_isalnum, ALNUM)
PROPERTY(str_isspace, SPACE)

static lp_status test_case(lp_jinja *run, lp_jinja_value self, const char *name,
                           lp_jinja_value *result)
{
    const lp_jinja_arguments none = {0};
    return lp_jinja_apply(run, lp_jinja_test_find((lp_jinja_text){name, strlen(name)}), self, &none,
                          result);
}

METHOD(str_islower)
{
    (void)arguments;
    return test_case(run, self, "lower", result);
}

METHOD(str_isupper)
{
    (void)arguments;
    return test_case(run, self, "upper", result);
}

const lp_jinja_function *lp_jinja_text_method_find(lp_jinja_text name)
{
    static const lp_jinja_function rows[] = {
        {"count", "/sub /start /end", 1, str_count, NULL},
        {"endswith", "/suffix /start /end", 1, str_endswith, NULL},
        {"find", "/sub /start /end", 1, str_find, NULL},
        {"format", NULL, 0, NULL, lp_jinja_str_format},
        {"index", "/sub /start /end", 1, str_index, NULL},
        {"isalnum", "", 0, str_isalnum, NULL},
        {"isalpha", "", 0, str_isalpha, NULL},
        {"isdecimal", "", 0, str_isdecimal, NULL},
        {"isdigit", "", 0, str_isdigit, NULL},
        {"islower", "", 0, str_islower, NULL},
        {"isnumeric", "", 0, str_isnumeric, NULL},
        {"isspace", "", 0, str_isspace, NULL},
        {"isupper", "", 0, str_isupper, NULL},
        {"rfind", "/sub /start /end", 1, str_rfind, NULL},
        {"rindex", "/sub /start /end", 1, str_rindex, NULL},
        {"startswith", "/prefix /start /end", 1, str_startswith, NULL},
    };
    const lp_jinja_function *row = lp_jinja_row_find(rows, sizeof rows / sizeof *rows, name);
    return row ? row : lp_jinja_change_method_find(name);
}
