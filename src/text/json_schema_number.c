/* Numbers of a range, digit by digit. A range of whole numbers is cut into ranges of numbers with
 * equally many digits; in one of those, digits before the first one where the bounds differ are
 * given, and behind it one bound at most still counts. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text/json_schema_build.h"

/* So that a double holds all digits, and a number just below a bound does not become the bound. */
#define MAX_BOUND          1e15 /* both exclusive */
#define MAX_FRACTION_BOUND 1e9
enum { FRACTION_DIGITS = 6 };

typedef struct bound {
    bool given, exclusive;
    double value;
    const char *pointer, *key;
} bound;

static void put_any_digits(lp_schema_writer *w, lp_text *to, size_t n)
{
    if (n > 0)
        lp_schema_printf(w, to, "[0-9]{%zu} ", n);
}

static bool all_are(const char *digits, size_t n, char digit)
{
    size_t i = 0;
    while (i < n && digits[i] == digit)
        i++;
    return i == n;
}

/* Digits from low[n] to high[n]. */
static void put_digits(lp_schema_writer *w, lp_text *to, const char *low, const char *high,
                       size_t n)
{
    if (n == 0)
        return;
    if (all_are(low, n, '0') && all_are(high, n, '9')) {
        put_any_digits(w, to, n);
        return;
    }
    if (low[0] == high[0]) {
        lp_schema_printf(w, to, "\"%c\" ", low[0]);
        put_digits(w, to, low + 1, high + 1, n - 1);
        return;
    }
    static const char zeros[] = "0000000000000000", nines[] = "9999999999999999";
    const bool low_free = all_are(low + 1, n - 1, '0'), high_free = all_are(high + 1, n - 1, '9');
    const char first = (char)(low[0] + !low_free), last = (char)(high[0] - !high_free);
    const char * or = "";
    lp_schema_put(w, to, "( ");
    if (!low_free) {
        lp_schema_printf(w, to, "\"%c\" ", low[0]);
        put_digits(w, to, low + 1, nines, n - 1);
        or = "| ";
    }
    if (first <= last) {
        lp_schema_printf(w, to, "%s[%c-%c] ", or, first, last);
        put_any_digits(w, to, n - 1);
        or = "| ";
    }
    if (!high_free) {
        lp_schema_printf(w, to, "%s\"%c\" ", or, high[0]);
        put_digits(w, to, zeros, high + 1, n - 1);
    }
    lp_schema_put(w, to, ") ");
}

/* Whole numbers from `low` to `high`, both from 0 to below MAX_BOUND. */
static void put_range(lp_schema_writer *w, lp_text *to, double low, double high)
{
    char from[24], upto[24];
    const char * or = "";
    lp_schema_put(w, to, "( ");
    while (low <= high) {
        const int n = snprintf(from, sizeof from, "%.0f", low);
        double last = pow(10, n) - 1; /* the last one with n digits */
        last = last < high ? last : high;
        snprintf(upto, sizeof upto, "%.0f", last);
        lp_schema_put(w, to, or);
        put_digits(w, to, from, upto, (size_t)n);
        or = "| ";
        low = last + 1;
    }
    lp_schema_put(w, to, ") ");
}

/* Magnitudes from `low` to `high`, which may be excluded. */
typedef struct interval {
    double low, high;
    bool no_low, no_high;
    bool fractions;
} interval;

/* Appends the magnitudes as alternatives; false: there are none. */
static bool put_interval(lp_schema_writer *w, lp_text *to, const char *before, const char *sign,
                         interval i)
{
    const double low = i.low + i.no_low; /* bounds are whole numbers by now */
    bool any = false;
    if (!i.fractions) {
        if (low > i.high)
            return false;
        lp_schema_printf(w, to, "%s%s", before, sign);
        put_range(w, to, low, i.high);
        return true;
    }
    /* a fraction stays below the next whole number */
    if (low <= i.high - 1) {
        lp_schema_printf(w, to, "%s%s", before, sign);
        put_range(w, to, low, i.high - 1);
        lp_schema_printf(w, to, "(\".\" [0-9]{1,%d})? ", FRACTION_DIGITS);
        any = true;
    }
    if (i.no_low && i.low < i.high) {
        lp_schema_printf(w, to, "%s%s\"%.0f.\" [0-9]{0,%d} [1-9] ", any ? "| " : before, sign,
                         i.low, FRACTION_DIGITS - 1);
        any = true;
    }
    if (!i.no_high && (i.low < i.high || (i.low == i.high && !i.no_low))) {
        lp_schema_printf(w, to, "%s%s\"%.0f\" (\".\" \"0\"{1,%d})? ", any ? "| " : before, sign,
                         i.high, FRACTION_DIGITS);
        any = true;
    }
    return any;
}

/* The tightest bound of the parts; `sign` 1: from below, -1: from above. */
static lp_status find_bound(lp_schema_writer *w, const lp_schema_node *node, int sign, bool whole,
                            bound *b)
{
    const char *keys[2] = {sign > 0 ? "minimum" : "maximum",
                           sign > 0 ? "exclusiveMinimum" : "exclusiveMaximum"};
    *b = (bound){0};
    for (size_t i = 0; i < node->n; i++)
        for (int k = 0; k < 2; k++) {
            yyjson_val *schema = node->parts[i].schema, *value = yyjson_obj_get(schema, keys[k]);
            const char *pointer = node->parts[i].pointer;
            if (value == NULL || (k == 1 && yyjson_is_bool(value)))
                continue;
            const double x = yyjson_get_num(value);
            if (!yyjson_is_num(value))
                return lp_schema_fail(w, LP_E_FORMAT, pointer, keys[k], "a number is expected");
            if (!(fabs(x) < (whole ? MAX_FRACTION_BOUND : MAX_BOUND)))
                return lp_schema_fail(w, LP_E_UNSUPPORTED, pointer, keys[k],
                                      "bounds must lie below %.0e",
                                      whole ? MAX_FRACTION_BOUND : MAX_BOUND);
            if (whole && x != floor(x))
                return lp_schema_fail(
                    w, LP_E_UNSUPPORTED, pointer, keys[k],
                    "of numbers that may have fractions, the bounds must be whole "
                    "numbers");
            /* draft 4: a boolean beside it */
            const bool exclusive = k == 1 || yyjson_is_true(yyjson_obj_get(schema, keys[1]));
            if (!b->given || sign * x > sign * b->value || (x == b->value && exclusive))
                *b = (bound){true, exclusive, x, pointer, keys[k]};
        }
    return LP_OK;
}

lp_status lp_schema_number(lp_schema_writer *w, const lp_schema_node *node, bool fractions,
                           lp_text *to, bool *possible)
{
    bound low, high;
    LP_TRY(find_bound(w, node, 1, fractions, &low));
    LP_TRY(find_bound(w, node, -1, fractions, &high));
    *possible = true;
    if (!low.given && !high.given) {
        lp_schema_put(w, to, fractions ? "json-number " : "json-integer ");
        return LP_OK;
    }
    const double most = fractions ? MAX_FRACTION_BOUND : MAX_BOUND;
    double from = low.given ? low.value : 1 - most, upto = high.given ? high.value : most - 1;
    if (!fractions) {
        from = low.exclusive ? floor(from) + 1 : ceil(from);
        upto = high.exclusive ? ceil(upto) - 1 : floor(upto);
        low.exclusive = high.exclusive = false;
    }
    *possible = false;
    if (upto > 0 || (upto == 0 && !high.exclusive))
        *possible = put_interval(
            w, to, "", "",
            (interval){fmax(from, 0), upto, low.exclusive && from >= 0, high.exclusive, fractions});
    if (from < 0) /* no minus before a whole 0 */
        *possible |=
            put_interval(w, to, *possible ? "| " : "", "\"-\" ",
                         (interval){fmax(-upto, fractions ? 0 : 1), -from,
                                    high.exclusive && upto <= 0, low.exclusive, fractions});
    return LP_OK;
}
