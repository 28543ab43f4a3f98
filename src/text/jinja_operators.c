/* Truth, equality, order, arithmetic: as Python has them, with integers of 64 bits (an overflow is
 * an error, where Python's integers would grow). */
#include <math.h>

#include "text/jinja_run.h"

bool lp_jinja_truth(lp_jinja_value v)
{
    switch (v.kind) {
    case LP_JINJA_MISSING:
    case LP_JINJA_UNDEFINED:
    case LP_JINJA_NONE:
        return false;
    case LP_JINJA_BOOL:
        return v.truth;
    case LP_JINJA_INT:
        return v.integer != 0;
    case LP_JINJA_FLOAT:
        return v.number != 0;
    case LP_JINJA_STRING:
        return v.text.n > 0;
    case LP_JINJA_SEQUENCE:
        return v.sequence->n > 0 || v.sequence->form == LP_JINJA_GENERATOR;
    case LP_JINJA_DICT:
        return v.dict->n > 0;
    default:
        return true;
    }
}

/* --- Equality and order --------------------------------------------------------------------------
 */

/* An integer beside a float, exactly: not every integer is one. */
static int order_numbers(lp_jinja_value a, lp_jinja_value b)
{
    if (lp_jinja_is_integer(a) && lp_jinja_is_integer(b)) {
        const int64_t x = lp_jinja_integer(a), y = lp_jinja_integer(b);
        return (x > y) - (x < y);
    }
    const double x = lp_jinja_number(a), y = lp_jinja_number(b);
    if (x != y || a.kind == b.kind || fabs(x) < 0x1p53 || fabs(x) >= 0x1p63)
        return (x > y) - (x < y);
    const int64_t i = a.kind == LP_JINJA_FLOAT ? (int64_t)x : lp_jinja_integer(a);
    const int64_t k = b.kind == LP_JINJA_FLOAT ? (int64_t)y : lp_jinja_integer(b);
    return (i > k) - (i < k);
}

static bool is_nan(lp_jinja_value v)
{
    return v.kind == LP_JINJA_FLOAT && isnan(v.number);
}

static lp_status equal_sequences(lp_jinja *run, const lp_jinja_sequence *a,
                                 const lp_jinja_sequence *b, bool *equal)
{
    *equal = a == b;
    if (*equal || a->form != b->form || a->n != b->n || a->form > LP_JINJA_RANGE)
        return LP_OK;
    *equal = true;
    for (size_t i = 0; *equal && i < a->n; i++)
        LP_TRY(lp_jinja_equal(run, a->items[i], b->items[i], equal));
    return LP_OK;
}

static lp_status equal_dicts(lp_jinja *run, const lp_jinja_dict *a, const lp_jinja_dict *b,
                             bool *equal)
{
    *equal = a->n == b->n;
    for (size_t i = 0; *equal && i < a->n; i++) {
        lp_jinja_value *other;
        LP_TRY(lp_jinja_dict_find(run, b, a->keys[i], &other));
        *equal = other != NULL;
        if (other)
            LP_TRY(lp_jinja_equal(run, a->values[i], *other, equal));
    }
    return LP_OK;
}

lp_status lp_jinja_equal(lp_jinja *run, lp_jinja_value a, lp_jinja_value b, bool *equal)
{
    LP_TRY(lp_jinja_enter(run));
    *equal = false;
    if (lp_jinja_is_number(a) && lp_jinja_is_number(b))
        *equal = order_numbers(a, b) == 0 && !is_nan(a) && !is_nan(b);
    else if (a.kind == b.kind)
        switch (a.kind) {
        case LP_JINJA_STRING:
            *equal = lp_jinja_text_equal(a.text, b.text);
            LP_TRY(lp_jinja_charge(run, a.text.n / 256));
            break;
        case LP_JINJA_SEQUENCE:
            LP_TRY(equal_sequences(run, a.sequence, b.sequence, equal));
            break;
        case LP_JINJA_DICT:
            LP_TRY(equal_dicts(run, a.dict, b.dict, equal));
            break;
        case LP_JINJA_UNDEFINED:
        case LP_JINJA_NONE:
            *equal = true;
            break;
        case LP_JINJA_NAMESPACE:
            *equal = a.dict == b.dict;
            break;
        default:
            *equal = a.function == b.function;
        }
    run->depth--;
    return LP_OK;
}

static int order_texts(lp_jinja_text a, lp_jinja_text b)
{
    const int order = memcmp(a.data, b.data, a.n < b.n ? a.n : b.n); /* as code points: UTF-8 */
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static lp_status order_sequences(lp_jinja *run, const char *sign, const lp_jinja_sequence *a,
                                 const lp_jinja_sequence *b, int *order)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        bool equal;
        LP_TRY(lp_jinja_equal(run, a->items[i], b->items[i], &equal));
        if (!equal)
            return lp_jinja_order(run, sign, a->items[i], b->items[i], order);
    }
    *order = (a->n > b->n) - (a->n < b->n);
    return LP_OK;
}

lp_status lp_jinja_order(lp_jinja *run, const char *sign, lp_jinja_value a, lp_jinja_value b,
                         int *order)
{
    LP_TRY(lp_jinja_refuse_undefined(run, a));
    LP_TRY(lp_jinja_refuse_undefined(run, b));
    LP_TRY(lp_jinja_enter(run));
    if (lp_jinja_is_number(a) && lp_jinja_is_number(b))
        *order = order_numbers(a, b);
    else if (a.kind == LP_JINJA_STRING && b.kind == LP_JINJA_STRING)
        *order = order_texts(a.text, b.text);
    else if (a.kind == LP_JINJA_SEQUENCE && b.kind == LP_JINJA_SEQUENCE &&
             a.sequence->form == b.sequence->form && a.sequence->form <= LP_JINJA_TUPLE)
        LP_TRY(order_sequences(run, sign, a.sequence, b.sequence, order));
    else
        return lp_jinja_fail(run, LP_E_FORMAT, "%s has no meaning between a %s and a %s", sign,
                             lp_jinja_type_name(a), lp_jinja_type_name(b));
    run->depth--;
    return LP_OK;
}

lp_status lp_jinja_contains(lp_jinja *run, lp_jinja_value all, lp_jinja_value item, bool *found)
{
    lp_jinja_value *member;
    *found = false;
    if (all.kind == LP_JINJA_STRING) {
        lp_jinja_text text;
        LP_TRY(lp_jinja_as_text(run, item, &text));
        *found = lp_jinja_find(all.text, text) != SIZE_MAX;
        return lp_jinja_charge(run, all.text.n / 64);
    }
    if (all.kind == LP_JINJA_DICT) {
        LP_TRY(lp_jinja_dict_find(run, all.dict, item, &member));
        *found = member != NULL;
        return LP_OK;
    }
    const lp_jinja_value *items;
    size_t n;
    LP_TRY(lp_jinja_iterate(run, all, &items, &n));
    for (size_t i = 0; !*found && i < n; i++)
        LP_TRY(lp_jinja_equal(run, items[i], item, found));
    return LP_OK;
}

lp_status lp_jinja_length_of(lp_jinja *run, lp_jinja_value value, int64_t *n)
{
    *n = 0;
    if (value.kind == LP_JINJA_STRING) {
        *n = (int64_t)lp_jinja_length(value.text);
        return lp_jinja_charge(run, value.text.n / 64);
    }
    if (value.kind == LP_JINJA_DICT)
        *n = (int64_t)value.dict->n;
    else if (value.kind == LP_JINJA_SEQUENCE && value.sequence->form != LP_JINJA_GENERATOR)
        *n = (int64_t)value.sequence->n;
    else if (value.kind == LP_JINJA_LOOP)
        *n = (int64_t)value.loop->n;
    else if (value.kind != LP_JINJA_UNDEFINED)
        return lp_jinja_fail(run, LP_E_FORMAT, "a %s has no length", lp_jinja_type_name(value));
    return LP_OK;
}

lp_status lp_jinja_compare(lp_jinja *run, lp_jinja_op op, lp_jinja_value a, lp_jinja_value b,
                           bool *result)
{
    static const char *const signs[LP_JINJA_N_OPS] = {
        [LP_JINJA_LT] = "<", [LP_JINJA_LE] = "<=", [LP_JINJA_GT] = ">", [LP_JINJA_GE] = ">="};
    int order = 0;
    switch (op) {
    case LP_JINJA_EQ:
        return lp_jinja_equal(run, a, b, result);
    case LP_JINJA_NE:
        LP_TRY(lp_jinja_equal(run, a, b, result));
        *result = !*result;
        return LP_OK;
    case LP_JINJA_IN:
        return lp_jinja_contains(run, b, a, result);
    case LP_JINJA_NOT_IN:
        LP_TRY(lp_jinja_contains(run, b, a, result));
        *result = !*result;
        return LP_OK;
    default:
        LP_TRY(lp_jinja_order(run, signs[op], a, b, &order));
    }
    *result = op == LP_JINJA_LT   ? order < 0
              : op == LP_JINJA_LE ? order <= 0
              : op == LP_JINJA_GT ? order > 0
                                  : order >= 0;
    if (is_nan(a) || is_nan(b))
        *result = false;
    return LP_OK;
}

/* --- Arithmetic
 * ----------------------------------------------------------------------------------- */

static lp_status overflow(lp_jinja *run)
{
    return lp_jinja_fail(run, LP_E_UNSUPPORTED, "an integer beyond 64 bits");
}

static lp_status power(lp_jinja *run, int64_t base, int64_t exponent, lp_jinja_value *result)
{
    if (exponent < 0) {
        if (base == 0)
            return lp_jinja_fail(run, LP_E_FORMAT, "division by zero");
        *result = lp_jinja_float(pow((double)base, (double)exponent));
        return LP_OK;
    }
    int64_t product = 1;
    while (exponent > 0) {
        if (exponent & 1 && __builtin_mul_overflow(product, base, &product))
            return overflow(run);
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base))
            return overflow(run);
    }
    *result = lp_jinja_int(product);
    return LP_OK;
}

static lp_status integers(lp_jinja *run, lp_jinja_op op, int64_t a, int64_t b,
                          lp_jinja_value *result)
{
    int64_t c = 0;
    if ((op == LP_JINJA_DIV || op == LP_JINJA_FLOORDIV || op == LP_JINJA_MOD) && b == 0)
        return lp_jinja_fail(run, LP_E_FORMAT, "division by zero");
    switch (op) {
    case LP_JINJA_ADD:
        if (__builtin_add_overflow(a, b, &c))
            return overflow(run);
        break;
    case LP_JINJA_SUB:
        if (__builtin_sub_overflow(a, b, &c))
            return overflow(run);
        break;
    case LP_JINJA_MUL:
        if (__builtin_mul_overflow(a, b, &c))
            return overflow(run);
        break;
    case LP_JINJA_DIV:
        *result = lp_jinja_float((double)a / (double)b);
        return LP_OK;
    case LP_JINJA_FLOORDIV: /* towards minus infinity */
        if (a == INT64_MIN && b == -1)
            return overflow(run);
        c = a / b - (a % b != 0 && (a < 0) != (b < 0));
        break;
    case LP_JINJA_MOD: /* with the sign of b */
        c = b == -1 ? 0 : a % b;
        if (c != 0 && (c < 0) != (b < 0))
            c += b;
        break;
    default:
        return power(run, a, b, result);
    }
    *result = lp_jinja_int(c);
    return LP_OK;
}

static lp_status floats(lp_jinja *run, lp_jinja_op op, double a, double b, lp_jinja_value *result)
{
    double c;
    if ((op == LP_JINJA_DIV || op == LP_JINJA_FLOORDIV || op == LP_JINJA_MOD) && b == 0)
        return lp_jinja_fail(run, LP_E_FORMAT, "division by zero");
    double rest = op == LP_JINJA_FLOORDIV || op == LP_JINJA_MOD ? fmod(a, b) : 0;
    if (rest != 0 && (rest < 0) != (b < 0))
        rest += b;
    switch (op) {
    case LP_JINJA_ADD:
        c = a + b;
        break;
    case LP_JINJA_SUB:
        c = a - b;
        break;
    case LP_JINJA_MUL:
        c = a * b;
        break;
    case LP_JINJA_DIV:
        c = a / b;
        break;
    case LP_JINJA_FLOORDIV:
        c = round((a - rest) / b);
        break;
    case LP_JINJA_MOD:
        c = rest == 0 ? copysign(0, b) : rest;
        break;
    default:
        if (a < 0 && b != floor(b))
            return lp_jinja_fail(run, LP_E_UNSUPPORTED, "this power is no real number");
        if (a == 0 && b < 0)
            return lp_jinja_fail(run, LP_E_FORMAT, "division by zero");
        c = pow(a, b);
        if (isinf(c) && !isinf(a) && !isinf(b))
            return lp_jinja_fail(run, LP_E_FORMAT, "this power is too large");
    }
    *result = lp_jinja_float(c);
    return LP_OK;
}

/* A list or a string n times. */
static lp_status repeat(lp_jinja *run, lp_jinja_value what, int64_t n, lp_jinja_value *result)
{
    n = n < 0 ? 0 : n;
    if (what.kind == LP_JINJA_STRING) {
        const size_t mark = run->out.n;
        for (int64_t i = 0; i < n && what.text.n > 0; i++) {
            LP_TRY(lp_jinja_charge(run, 1));
            LP_TRY(lp_jinja_put(run, what.text));
        }
        return lp_jinja_take(run, mark, result);
    }
    const lp_jinja_sequence *list = what.sequence;
    lp_jinja_value *items;
    if (list->n > 0 && (uint64_t)n > LP_JINJA_MAX_MEMORY / list->n)
        n = LP_JINJA_MAX_MEMORY / (int64_t)list->n; /* too much all the same */
    LP_TRY(lp_jinja_items(run, list->n * (size_t)n, &items));
    for (size_t i = 0; i < list->n * (size_t)n; i++)
        items[i] = list->items[i % list->n];
    return lp_jinja_sequence_create(run, list->form, items, list->n * (size_t)n, result);
}

static bool is_list(lp_jinja_value v)
{
    return v.kind == LP_JINJA_SEQUENCE && v.sequence->form <= LP_JINJA_TUPLE;
}

static lp_status join_lists(lp_jinja *run, const lp_jinja_sequence *a, const lp_jinja_sequence *b,
                            lp_jinja_value *result)
{
    lp_jinja_value *items;
    LP_TRY(lp_jinja_items(run, a->n + b->n, &items));
    if (a->n > 0)
        memcpy(items, a->items, a->n * sizeof *items);
    if (b->n > 0)
        memcpy(items + a->n, b->items, b->n * sizeof *items);
    return lp_jinja_sequence_create(run, a->form, items, a->n + b->n, result);
}

/* One that is safe stays safe: the other one is escaped. */
static lp_status join_texts(lp_jinja *run, lp_jinja_value a, lp_jinja_value b,
                            lp_jinja_value *result)
{
    const size_t mark = run->out.n;
    const bool safe = a.safe || b.safe;
    LP_TRY(safe && !a.safe ? lp_jinja_put_escaped(run, a.text) : lp_jinja_put(run, a.text));
    LP_TRY(safe && !b.safe ? lp_jinja_put_escaped(run, b.text) : lp_jinja_put(run, b.text));
    LP_TRY(lp_jinja_take(run, mark, result));
    result->safe = safe;
    return LP_OK;
}

lp_status lp_jinja_operate(lp_jinja *run, lp_jinja_op op, lp_jinja_value a, lp_jinja_value b,
                           lp_jinja_value *result)
{
    static const char *const signs[LP_JINJA_N_OPS] = {"+", "-", "*", "/", "//", "%", "**"};
    LP_TRY(lp_jinja_refuse_undefined(run, a));
    if (op == LP_JINJA_MOD && a.kind == LP_JINJA_STRING)
        return lp_jinja_format(run, a.text, &b, 1, result);
    LP_TRY(lp_jinja_refuse_undefined(run, b));
    if (lp_jinja_is_integer(a) && lp_jinja_is_integer(b))
        return integers(run, op, lp_jinja_integer(a), lp_jinja_integer(b), result);
    if (lp_jinja_is_number(a) && lp_jinja_is_number(b))
        return floats(run, op, lp_jinja_number(a), lp_jinja_number(b), result);
    if (op == LP_JINJA_ADD && a.kind == LP_JINJA_STRING && b.kind == LP_JINJA_STRING)
        return join_texts(run, a, b, result);
    if (op == LP_JINJA_ADD && is_list(a) && is_list(b) && a.sequence->form == b.sequence->form)
        return join_lists(run, a.sequence, b.sequence, result);
    if (op == LP_JINJA_MUL && lp_jinja_is_integer(b) && (a.kind == LP_JINJA_STRING || is_list(a)))
        return repeat(run, a, lp_jinja_integer(b), result);
    if (op == LP_JINJA_MUL && lp_jinja_is_integer(a) && (b.kind == LP_JINJA_STRING || is_list(b)))
        return repeat(run, b, lp_jinja_integer(a), result);
    return lp_jinja_fail(run, LP_E_FORMAT, "%s has no meaning between a %s and a %s", signs[op],
                         lp_jinja_type_name(a), lp_jinja_type_name(b));
}
