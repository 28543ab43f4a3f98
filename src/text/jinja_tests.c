/* Tests ("x is defined") and the functions that templates find without being given them. */
#define _POSIX_C_SOURCE 200809L /* newlocale, strftime_l, gmtime_r */
#include <locale.h>
#include <math.h>
#include <time.h>

#include "text/jinja_run.h"

/* --- Tests --------------------------------------------------------------------------------------
 */

/* Those that look only at what kind of value there is. */
typedef enum by_kind {
    IS_DEFINED,
    IS_UNDEFINED,
    IS_NONE,
    IS_BOOLEAN,
    IS_TRUE,
    IS_FALSE,
    IS_INTEGER,
    IS_FLOAT,
    IS_NUMBER,
    IS_STRING,
    IS_MAPPING,
    IS_SEQUENCE,
    IS_ITERABLE,
    IS_CALLABLE,
    IS_ESCAPED
} by_kind;

static bool is_kind(lp_jinja_value v, by_kind kind)
{
    const bool listed =
        v.kind == LP_JINJA_STRING || v.kind == LP_JINJA_DICT || v.kind == LP_JINJA_UNDEFINED;
    switch (kind) {
    case IS_DEFINED:
        return v.kind != LP_JINJA_UNDEFINED;
    case IS_UNDEFINED:
        return v.kind == LP_JINJA_UNDEFINED;
    case IS_NONE:
        return v.kind == LP_JINJA_NONE;
    case IS_BOOLEAN:
        return v.kind == LP_JINJA_BOOL;
    case IS_TRUE:
        return v.kind == LP_JINJA_BOOL && v.truth;
    case IS_FALSE:
        return v.kind == LP_JINJA_BOOL && !v.truth;
    case IS_INTEGER:
        return v.kind == LP_JINJA_INT;
    case IS_FLOAT:
        return v.kind == LP_JINJA_FLOAT;
    case IS_NUMBER:
        return lp_jinja_is_number(v);
    case IS_STRING:
        return v.kind == LP_JINJA_STRING;
    case IS_MAPPING:
        return v.kind == LP_JINJA_DICT;
    case IS_SEQUENCE: /* has a length and items by index */
        return listed || (v.kind == LP_JINJA_SEQUENCE && v.sequence->form <= LP_JINJA_RANGE);
    case IS_ITERABLE:
        return listed || v.kind == LP_JINJA_SEQUENCE || v.kind == LP_JINJA_LOOP;
    case IS_CALLABLE:
        return v.kind == LP_JINJA_UNDEFINED || v.kind >= LP_JINJA_LOOP;
    default:
        return v.kind == LP_JINJA_STRING && v.safe;
    }
}

#define KIND_TEST(name, kind)                                                                      \
    static lp_status name(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,    \
                          lp_jinja_value *result)                                                  \
    {                                                                                              \
        (void)run;                                                                                 \
        (void)arguments;                                                                           \
        *result = lp_jinja_bool(is_kind(value, kind));                                             \
        return LP_OK;                                                                              \
    }
KIND_TEST(test_defined, IS_DEFINED)
KIND_TEST(test_undefined, IS_UNDEFINED)
KIND_TEST(test_none, IS_NONE)
KIND_TEST(test_boolean, IS_BOOLEAN)
KIND_TEST(test_true, IS_TRUE)
KIND_TEST(test_false, IS_FALSE)
KIND_TEST(test_integer, IS_INTEGER)
KIND_TEST(test_float, IS_FLOAT)
KIND_TEST(test_number, IS_NUMBER)
KIND_TEST(test_string, IS_STRING)
KIND_TEST(test_mapping, IS_MAPPING)
KIND_TEST(test_sequence, IS_SEQUENCE)
KIND_TEST(test_iterable, IS_ITERABLE)
KIND_TEST(test_callable, IS_CALLABLE)
KIND_TEST(test_escaped, IS_ESCAPED)

#define COMPARE_TEST(name, op)                                                                     \
    static lp_status name(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,    \
                          lp_jinja_value *result)                                                  \
    {                                                                                              \
        bool truth;                                                                                \
        LP_TRY(lp_jinja_compare(run, op, value, arguments[0], &truth));                            \
        *result = lp_jinja_bool(truth);                                                            \
        return LP_OK;                                                                              \
    }
COMPARE_TEST(test_eq, LP_JINJA_EQ)
COMPARE_TEST(test_ne, LP_JINJA_NE)
COMPARE_TEST(test_lt, LP_JINJA_LT)
COMPARE_TEST(test_le, LP_JINJA_LE)
COMPARE_TEST(test_gt, LP_JINJA_GT)
COMPARE_TEST(test_ge, LP_JINJA_GE)
COMPARE_TEST(test_in, LP_JINJA_IN)

/* Whether value % divisor is `wanted`. */
static lp_status rest_is(lp_jinja *run, lp_jinja_value value, lp_jinja_value divisor,
                         int64_t wanted, lp_jinja_value *result)
{
    bool equal;
    if (value.kind == LP_JINJA_STRING)
        return lp_jinja_fail(run, LP_E_FORMAT, "a str is no number");
    LP_TRY(lp_jinja_operate(run, LP_JINJA_MOD, value, divisor, result));
    LP_TRY(lp_jinja_equal(run, *result, lp_jinja_int(wanted), &equal));
    *result = lp_jinja_bool(equal);
    return LP_OK;
}

static lp_status test_divisibleby(lp_jinja *run, lp_jinja_value value,
                                  const lp_jinja_value *arguments, lp_jinja_value *result)
{
    return rest_is(run, value, arguments[0], 0, result);
}

static lp_status test_even(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                           lp_jinja_value *result)
{
    (void)arguments;
    return rest_is(run, value, lp_jinja_int(2), 0, result);
}

static lp_status test_odd(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                          lp_jinja_value *result)
{
    (void)arguments;
    return rest_is(run, value, lp_jinja_int(2), 1, result);
}

/* Python's `is`: the same object. Small values count as one. */
static lp_status test_sameas(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                             lp_jinja_value *result)
{
    const lp_jinja_value other = arguments[0];
    bool same = value.kind == other.kind;
    if (same && value.kind <= LP_JINJA_STRING)
        LP_TRY(lp_jinja_equal(run, value, other, &same));
    else if (same)
        same = value.sequence == other.sequence;
    *result = lp_jinja_bool(same);
    return LP_OK;
}

/* Whether all letters, and at least one, are of a case. */
static lp_status is_case(lp_jinja *run, lp_jinja_value value, bool upper, lp_jinja_value *result)
{
    lp_jinja_text text;
    bool any = false, all = true;
    LP_TRY(lp_jinja_to_string(run, value, &text));
    LP_TRY(lp_jinja_charge(run, text.n / 16));
    while (text.n > 0) {
        uint32_t code;
        const unsigned length = lp_jinja_decode(text, &code);
        const bool is_upper = lp_jinja_is_upper(code), is_lower = lp_jinja_is_lower(code);
        any |= upper ? is_upper : is_lower;
        all &= !(upper ? is_lower : is_upper) && !lp_jinja_is_title(code);
        text.data += length;
        text.n -= length;
    }
    *result = lp_jinja_bool(any && all);
    return LP_OK;
}

static lp_status test_lower(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                            lp_jinja_value *result)
{
    (void)arguments;
    return is_case(run, value, false, result);
}

static lp_status test_upper(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                            lp_jinja_value *result)
{
    (void)arguments;
    return is_case(run, value, true, result);
}

static lp_status exists(lp_jinja *run, lp_jinja_value value, bool filter, lp_jinja_value *result)
{
    lp_jinja_text name;
    LP_TRY(lp_jinja_as_text(run, value, &name));
    *result =
        lp_jinja_bool((filter ? lp_jinja_filter_find(name) : lp_jinja_test_find(name)) != NULL);
    return LP_OK;
}

static lp_status test_filter(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                             lp_jinja_value *result)
{
    (void)arguments;
    return exists(run, value, true, result);
}

static lp_status test_test(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                           lp_jinja_value *result)
{
    (void)arguments;
    return exists(run, value, false, result);
}

const lp_jinja_function *lp_jinja_test_find(lp_jinja_text name)
{
    static const lp_jinja_function rows[] = {
        {"!=", "other", 1, test_ne, NULL},
        {"<", "other", 1, test_lt, NULL},
        {"<=", "other", 1, test_le, NULL},
        {"==", "other", 1, test_eq, NULL},
        {">", "other", 1, test_gt, NULL},
        {">=", "other", 1, test_ge, NULL},
        {"boolean", "", 0, test_boolean, NULL},
        {"callable", "", 0, test_callable, NULL},
        {"defined", "", 0, test_defined, NULL},
        {"divisibleby", "num", 1, test_divisibleby, NULL},
        {"eq", "other", 1, test_eq, NULL},
        {"equalto", "other", 1, test_eq, NULL},
        {"escaped", "", 0, test_escaped, NULL},
        {"even", "", 0, test_even, NULL},
        {"false", "", 0, test_false, NULL},
        {"filter", "", 0, test_filter, NULL},
        {"float", "", 0, test_float, NULL},
        {"ge", "other", 1, test_ge, NULL},
        {"greaterthan", "other", 1, test_gt, NULL},
        {"gt", "other", 1, test_gt, NULL},
        {"in", "seq", 1, test_in, NULL},
        {"integer", "", 0, test_integer, NULL},
        {"iterable", "", 0, test_iterable, NULL},
        {"le", "other", 1, test_le, NULL},
        {"lessthan", "other", 1, test_lt, NULL},
        {"lower", "", 0, test_lower, NULL},
        {"lt", "other", 1, test_lt, NULL},
        {"mapping", "", 0, test_mapping, NULL},
        {"ne", "other", 1, test_ne, NULL},
        {"none", "", 0, test_none, NULL},
        {"number", "", 0, test_number, NULL},
        {"odd", "", 0, test_odd, NULL},
        {"sameas", "other", 1, test_sameas, NULL},
        {"sequence", "", 0, test_sequence, NULL},
        {"string", "", 0, test_string, NULL},
        {"test", "", 0, test_test, NULL},
        {"true", "", 0, test_true, NULL},
        {"undefined", "", 0, test_undefined, NULL},
        {"upper", "", 0, test_upper, NULL},
    };
    return lp_jinja_row_find(rows, sizeof rows / sizeof *rows, name);
}

/* --- Functions -----------------------------------------------------------------------------------
 */

static lp_status call_raise(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                            lp_jinja_value *result)
{
    lp_jinja_text text;
    (void)value;
    (void)result;
    LP_TRY(lp_jinja_to_string(run, arguments[0], &text));
    return lp_jinja_fail(run, LP_E_ARG, "the template refuses this conversation: %.*s",
                         (int)(text.n < 512 ? text.n : 512), text.data);
}

static lp_status call_range(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                            lp_jinja_value *result)
{
    int64_t start = 0, stop, step = 1;
    lp_jinja_value *items;
    (void)value;
    LP_TRY(lp_jinja_as_integer(run, arguments[0], &stop));
    if (arguments[1].kind != LP_JINJA_MISSING) {
        start = stop;
        LP_TRY(lp_jinja_as_integer(run, arguments[1], &stop));
    }
    if (arguments[2].kind != LP_JINJA_MISSING)
        LP_TRY(lp_jinja_as_integer(run, arguments[2], &step));
    if (step == 0)
        return lp_jinja_fail(run, LP_E_FORMAT, "the step of a range cannot be 0");
    const bool empty = step > 0 ? start >= stop : start <= stop;
    /* without overflow: as unsigned numbers, the distance and the step are right */
    const uint64_t distance =
        step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
    const uint64_t stride = step > 0 ? (uint64_t)step : -(uint64_t)step;
    const uint64_t n = empty ? 0 : (distance - 1) / stride + 1;
    if (n > LP_JINJA_MAX_RANGE)
        return lp_jinja_fail(run, LP_E_LIMIT, "a range of more than %d numbers",
                             LP_JINJA_MAX_RANGE);
    LP_TRY(lp_jinja_items(run, (size_t)n, &items));
    for (uint64_t i = 0; i < n; i++)
        items[i] = lp_jinja_int(start + (int64_t)i * step);
    return lp_jinja_sequence_create(run, LP_JINJA_RANGE, items, (size_t)n, result);
}

/* dict() and namespace(): from a dict or a list of pairs, and from names. */
static lp_status call_dict(lp_jinja *run, lp_jinja_value value, const lp_jinja_arguments *arguments,
                           lp_jinja_value *result)
{
    (void)value;
    LP_TRY(lp_jinja_dict_create(run, result));
    if (arguments->n > 1)
        return lp_jinja_fail(run, LP_E_FORMAT, "dict takes at most one argument without a name");
    if (arguments->n == 1 && arguments->values[0].kind == LP_JINJA_DICT) {
        const lp_jinja_dict *from = arguments->values[0].dict;
        for (size_t i = 0; i < from->n; i++)
            LP_TRY(lp_jinja_dict_set(run, result->dict, from->keys[i], from->values[i]));
    } else if (arguments->n == 1) {
        const lp_jinja_value *items, *pair;
        size_t n, n_pair;
        LP_TRY(lp_jinja_iterate(run, arguments->values[0], &items, &n));
        for (size_t i = 0; i < n; i++) {
            LP_TRY(lp_jinja_iterate(run, items[i], &pair, &n_pair));
            if (n_pair != 2)
                return lp_jinja_fail(run, LP_E_FORMAT, "dict wants pairs");
            LP_TRY(lp_jinja_dict_set(run, result->dict, pair[0], pair[1]));
        }
    }
    for (size_t i = 0; i < arguments->n_named; i++)
        LP_TRY(lp_jinja_dict_set(run, result->dict, lp_jinja_string(arguments->names[i]),
                                 arguments->named[i]));
    return LP_OK;
}

static lp_status call_namespace(lp_jinja *run, lp_jinja_value value,
                                const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    lp_jinja_value members;
    LP_TRY(call_dict(run, value, arguments, &members));
    LP_TRY(lp_jinja_dict_create(run, result));
    result->kind = LP_JINJA_NAMESPACE;
    for (size_t i = 0; i < members.dict->n; i++) {
        lp_jinja_text name;
        LP_TRY(lp_jinja_as_text(run, members.dict->keys[i], &name));
        LP_TRY(lp_jinja_namespace_set(run, result->dict, name, members.dict->values[i]));
    }
    return LP_OK;
}

/* The conversions of strftime() that need no more than a date and a time; "-" behind "%": no
 * padding.
 */
static lp_status call_strftime(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                               lp_jinja_value *result)
{
    static const char conversions[] = "aAbBcdeDFgGhHIjklmMnpPrRStTuUVwWxXyY%";
    lp_jinja_text format;
    struct tm when;
    const time_t now = (time_t)run->now;
    (void)value;
    LP_TRY(lp_jinja_as_text(run, arguments[0], &format));
    locale_t names = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!names)
        return lp_fail_memory(run->ctx, "a locale");
    lp_status status = LP_OK;
    const size_t mark = run->out.n;
    if (!gmtime_r(&now, &when))
        LP_CHECK(lp_jinja_fail(run, LP_E_ARG, "the clock is wrong"));
    for (size_t i = 0; i < format.n; i++) {
        char conversion[4] = {'%'}, text[128];
        size_t n = 1;
        if (format.data[i] != '%') {
            LP_CHECK(lp_jinja_put(run, (lp_jinja_text){format.data + i, 1}));
            continue;
        }
        if (i + 1 < format.n && format.data[i + 1] == '-')
            conversion[n++] = format.data[++i];
        const char letter = ++i < format.n ? format.data[i] : '\0';
        if (letter == '\0' || !strchr(conversions, letter))
            LP_CHECK(lp_jinja_fail(run, LP_E_UNSUPPORTED, "strftime_now: %%%c is not supported",
                                   letter ? letter : ' '));
        conversion[n] = letter;
        n = strftime_l(text, sizeof text, conversion, &when, names);
        LP_CHECK(lp_jinja_put(run, (lp_jinja_text){text, n}));
    }
    LP_CHECK(lp_jinja_take(run, mark, result));
cleanup:
    freelocale(names);
    return status;
}

static lp_status call_unsupported(lp_jinja *run, lp_jinja_value value,
                                  const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    (void)value;
    (void)arguments;
    (void)result;
    return lp_jinja_fail(run, LP_E_UNSUPPORTED, "joiner, cycler and lipsum are not supported");
}

const lp_jinja_function *lp_jinja_global_find(lp_jinja_text name)
{
    static const lp_jinja_function rows[] = {
        {"cycler", NULL, 0, NULL, call_unsupported},
        {"dict", NULL, 0, NULL, call_dict},
        {"joiner", NULL, 0, NULL, call_unsupported},
        {"lipsum", NULL, 0, NULL, call_unsupported},
        {"namespace", NULL, 0, NULL, call_namespace},
        {"raise_exception", "message", 1, call_raise, NULL},
        {"range", "/start /stop /step", 1, call_range, NULL},
        {"strftime_now", "format", 1, call_strftime, NULL},
    };
    return lp_jinja_row_find(rows, sizeof rows / sizeof *rows, name);
}
