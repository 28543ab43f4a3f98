/* Filters of lists. What jinja2 makes lazily is made at once here, and marked as a generator: it
 * can be gone through once. */
#include "text/jinja_run.h"

/* --- Attributes of items
 * -------------------------------------------------------------------------- */

/* The attribute "a.b.0" of an item, or the item if there is no such argument. */
static lp_status get_path(lp_jinja *run, lp_jinja_value item, lp_jinja_value path,
                          lp_jinja_value otherwise, lp_jinja_value *result)
{
    *result = item;
    if (path.kind == LP_JINJA_MISSING || path.kind == LP_JINJA_NONE)
        return LP_OK;
    if (path.kind == LP_JINJA_INT)
        return lp_jinja_get_item(run, item, path, result);
    lp_jinja_text text;
    LP_TRY(lp_jinja_as_text(run, path, &text));
    for (bool more = true; more;) {
        const char *dot = memchr(text.data, '.', text.n);
        const lp_jinja_text part = {text.data, dot ? (size_t)(dot - text.data) : text.n};
        size_t digits = 0;
        int64_t number = 0;
        while (digits < part.n && digits < 9 && part.data[digits] >= '0' &&
               part.data[digits] <= '9')
            number = 10 * number + (part.data[digits++] - '0');
        const bool integer = part.n > 0 && digits == part.n;
        LP_TRY(lp_jinja_get_item(run, *result,
                                 integer ? lp_jinja_int(number) : lp_jinja_string(part), result));
        if (result->kind == LP_JINJA_UNDEFINED && otherwise.kind != LP_JINJA_MISSING)
            *result = otherwise;
        more = dot != NULL;
        text.data += part.n + more;
        text.n -= part.n + more;
    }
    return LP_OK;
}

/* What sorting and grouping compare: the attribute, strings in lower case unless `sensitive`. */
static lp_status get_key(lp_jinja *run, lp_jinja_value item, lp_jinja_value path, bool sensitive,
                         lp_jinja_value *key)
{
    const lp_jinja_value missing = {0};
    LP_TRY(get_path(run, item, path, missing, key));
    if (sensitive || key->kind != LP_JINJA_STRING)
        return LP_OK;
    const size_t mark = run->out.n;
    LP_TRY(lp_jinja_put_case(run, LP_JINJA_LOWER, key->text));
    return lp_jinja_take(run, mark, key);
}

/* Several attributes with commas between them make a tuple. */
static lp_status get_sort_key(lp_jinja *run, lp_jinja_value item, lp_jinja_value path,
                              bool sensitive, lp_jinja_value *key)
{
    lp_jinja_value *parts;
    size_t n = 1;
    if (path.kind != LP_JINJA_STRING || !memchr(path.text.data, ',', path.text.n))
        return get_key(run, item, path, sensitive, key);
    for (size_t i = 0; i < path.text.n; i++)
        n += path.text.data[i] == ',';
    LP_TRY(lp_jinja_items(run, n, &parts));
    lp_jinja_text rest = path.text;
    for (size_t i = 0; i < n; i++) {
        const char *comma = memchr(rest.data, ',', rest.n);
        const lp_jinja_text part = {rest.data, comma ? (size_t)(comma - rest.data) : rest.n};
        LP_TRY(get_key(run, item, lp_jinja_string(part), sensitive, &parts[i]));
        rest.data += part.n + 1;
        rest.n -= i + 1 < n ? part.n + 1 : part.n;
    }
    return lp_jinja_sequence_create(run, LP_JINJA_LIST, parts, n, key);
}

/* --- Sorting
 * --------------------------------------------------------------------------------------- */

/* Stable, by merging: order[n] of the keys. `other` is room for n. */
static lp_status merge_sort(lp_jinja *run, const lp_jinja_value *keys, bool reverse, size_t *order,
                            size_t *other, size_t n)
{
    const size_t half = n / 2;
    if (n < 2)
        return LP_OK;
    LP_TRY(merge_sort(run, keys, reverse, order, other, half));
    LP_TRY(merge_sort(run, keys, reverse, order + half, other, n - half));
    memcpy(other, order, n * sizeof *order);
    for (size_t i = 0, a = 0, b = half; i < n; i++) {
        int less = 0; /* whether the one of the second half comes first */
        if (a < half && b < n)
            LP_TRY(reverse ? lp_jinja_order(run, "<", keys[other[a]], keys[other[b]], &less)
                           : lp_jinja_order(run, "<", keys[other[b]], keys[other[a]], &less));
        const bool second = a == half || (b < n && less < 0);
        order[i] = second ? other[b++] : other[a++];
    }
    return LP_OK;
}

static lp_status sort_by(lp_jinja *run, const lp_jinja_value *items, const lp_jinja_value *keys,
                         size_t n, bool reverse, lp_jinja_value *result)
{
    lp_jinja_value *sorted;
    void *memory;
    LP_TRY(lp_jinja_alloc(run, 2 * n, sizeof(size_t), &memory));
    size_t *order = memory;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    if (n > 0)
        LP_TRY(merge_sort(run, keys, reverse, order, order + n, n));
    LP_TRY(lp_jinja_items(run, n, &sorted));
    for (size_t i = 0; i < n; i++)
        sorted[i] = items[order[i]];
    return lp_jinja_sequence_create(run, LP_JINJA_LIST, sorted, n, result);
}

static lp_status filter_sort(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                             lp_jinja_value *result)
{
    const lp_jinja_value *items;
    lp_jinja_value *keys;
    size_t n;
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    LP_TRY(lp_jinja_items(run, n, &keys));
    for (size_t i = 0; i < n; i++)
        LP_TRY(get_sort_key(run, items[i], arguments[2], lp_jinja_truth(arguments[1]), &keys[i]));
    return sort_by(run, items, keys, n, lp_jinja_truth(arguments[0]), result);
}

/* Keys and values as a list of tuples. */
static lp_status get_pairs(lp_jinja *run, const lp_jinja_dict *dict, lp_jinja_value **pairs)
{
    LP_TRY(lp_jinja_items(run, dict->n, pairs));
    for (size_t i = 0; i < dict->n; i++) {
        lp_jinja_value *pair;
        LP_TRY(lp_jinja_items(run, 2, &pair));
        pair[0] = dict->keys[i];
        pair[1] = dict->values[i];
        LP_TRY(lp_jinja_sequence_create(run, LP_JINJA_TUPLE, pair, 2, &(*pairs)[i]));
    }
    return LP_OK;
}

static lp_status refuse_other_than_dict(lp_jinja *run, lp_jinja_value value)
{
    LP_TRY(lp_jinja_refuse_undefined(run, value));
    if (value.kind != LP_JINJA_DICT)
        return lp_jinja_fail(run, LP_E_FORMAT, "a dict is expected, not a %s",
                             lp_jinja_type_name(value));
    return LP_OK;
}

static lp_status filter_dictsort(lp_jinja *run, lp_jinja_value value,
                                 const lp_jinja_value *arguments, lp_jinja_value *result)
{
    lp_jinja_value *pairs, *keys;
    lp_jinja_text by = LP_JINJA_TEXT("key");
    LP_TRY(refuse_other_than_dict(run, value));
    if (arguments[1].kind != LP_JINJA_MISSING)
        LP_TRY(lp_jinja_as_text(run, arguments[1], &by));
    const bool by_key = lp_jinja_text_is(by, "key");
    if (!by_key && !lp_jinja_text_is(by, "value"))
        return lp_jinja_fail(run, LP_E_FORMAT, "dictsort: by key or by value");
    LP_TRY(get_pairs(run, value.dict, &pairs));
    LP_TRY(lp_jinja_items(run, value.dict->n, &keys));
    for (size_t i = 0; i < value.dict->n; i++)
        LP_TRY(get_key(run, by_key ? value.dict->keys[i] : value.dict->values[i], lp_jinja_none(),
                       lp_jinja_truth(arguments[0]), &keys[i]));
    return sort_by(run, pairs, keys, value.dict->n, lp_jinja_truth(arguments[2]), result);
}

static lp_status filter_items(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                              lp_jinja_value *result)
{
    lp_jinja_value *pairs;
    (void)arguments;
    if (value.kind == LP_JINJA_UNDEFINED)
        return lp_jinja_sequence_create(run, LP_JINJA_GENERATOR, NULL, 0, result);
    LP_TRY(refuse_other_than_dict(run, value));
    LP_TRY(get_pairs(run, value.dict, &pairs));
    return lp_jinja_sequence_create(run, LP_JINJA_GENERATOR, pairs, value.dict->n, result);
}

/* --- Choosing
 * ---------------------------------------------------------------------------------------- */

/* Which items a test (or without one, their truth) lets through. `attribute`: the first argument
 * names what is tested; `wanted`: what the test must say. */
static lp_status choose(lp_jinja *run, lp_jinja_value value, const lp_jinja_arguments *arguments,
                        bool attribute, bool wanted, lp_jinja_value *result)
{
    const lp_jinja_value missing = {0}, *items;
    lp_jinja_value path = missing, *chosen;
    lp_jinja_arguments rest = *arguments;
    lp_jinja_text name = {0};
    size_t n, n_chosen = 0;
    if (attribute) {
        if (rest.n == 0)
            return lp_jinja_fail(run, LP_E_FORMAT, "the name of an attribute is expected");
        path = *rest.values++;
        rest.n--;
    }
    if (rest.n > 0) {
        LP_TRY(lp_jinja_as_text(run, *rest.values++, &name));
        rest.n--;
    }
    const lp_jinja_function *test = name.data ? lp_jinja_test_find(name) : NULL;
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    LP_TRY(lp_jinja_items(run, n, &chosen));
    for (size_t i = 0; i < n; i++) {
        lp_jinja_value tested;
        LP_TRY(get_path(run, items[i], path, missing, &tested));
        bool truth = lp_jinja_truth(tested);
        if (name.data)
            LP_TRY(lp_jinja_test(run, test, name, tested, &rest, &truth));
        if (truth == wanted)
            chosen[n_chosen++] = items[i];
    }
    return lp_jinja_sequence_create(run, LP_JINJA_GENERATOR, chosen, n_chosen, result);
}

static lp_status filter_select(lp_jinja *run, lp_jinja_value value,
                               const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    return choose(run, value, arguments, false, true, result);
}

static lp_status filter_reject(lp_jinja *run, lp_jinja_value value,
                               const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    return choose(run, value, arguments, false, false, result);
}

static lp_status filter_selectattr(lp_jinja *run, lp_jinja_value value,
                                   const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    return choose(run, value, arguments, true, true, result);
}

static lp_status filter_rejectattr(lp_jinja *run, lp_jinja_value value,
                                   const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    return choose(run, value, arguments, true, false, result);
}

/* map(attribute="a", default=x), or map("filter", arguments of it). */
static lp_status filter_map(lp_jinja *run, lp_jinja_value value,
                            const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    lp_jinja_arguments rest = *arguments;
    lp_jinja_value path = {0}, otherwise = {0}, *mapped;
    const lp_jinja_value *items;
    lp_jinja_text name = {0};
    size_t n;
    if (rest.n > 0) {
        LP_TRY(lp_jinja_as_text(run, *rest.values++, &name));
        rest.n--;
    }
    for (size_t i = 0; !name.data && i < rest.n_named; i++) {
        if (lp_jinja_text_is(rest.names[i], "attribute"))
            path = rest.named[i];
        else if (lp_jinja_text_is(rest.names[i], "default"))
            otherwise = rest.named[i];
        else
            return lp_jinja_fail(run, LP_E_FORMAT, "map takes no argument '%.*s'",
                                 (int)rest.names[i].n, rest.names[i].data);
    }
    if (!name.data && path.kind == LP_JINJA_MISSING)
        return lp_jinja_fail(run, LP_E_FORMAT, "map wants a filter or an attribute");
    const lp_jinja_function *row = name.data ? lp_jinja_filter_find(name) : NULL;
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    LP_TRY(lp_jinja_items(run, n, &mapped));
    for (size_t i = 0; i < n; i++)
        LP_TRY(name.data ? lp_jinja_filter(run, row, name, items[i], &rest, &mapped[i])
                         : get_path(run, items[i], path, otherwise, &mapped[i]));
    return lp_jinja_sequence_create(run, LP_JINJA_GENERATOR, mapped, n, result);
}

static lp_status filter_unique(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                               lp_jinja_value *result)
{
    const lp_jinja_value *items;
    lp_jinja_value *chosen, seen, *found;
    size_t n, n_chosen = 0;
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    LP_TRY(lp_jinja_items(run, n, &chosen));
    LP_TRY(lp_jinja_dict_create(run, &seen));
    for (size_t i = 0; i < n; i++) {
        lp_jinja_value key;
        LP_TRY(get_key(run, items[i], arguments[1], lp_jinja_truth(arguments[0]), &key));
        LP_TRY(lp_jinja_dict_find(run, seen.dict, key, &found));
        if (!found)
            chosen[n_chosen++] = items[i];
        LP_TRY(lp_jinja_dict_set(run, seen.dict, key, key));
    }
    return lp_jinja_sequence_create(run, LP_JINJA_GENERATOR, chosen, n_chosen, result);
}

/* --- One of many
 * --------------------------------------------------------------------------------------- */

static lp_status filter_first(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                              lp_jinja_value *result)
{
    const lp_jinja_value *items;
    size_t n;
    (void)arguments;
    if (value.kind == LP_JINJA_SEQUENCE && value.sequence->form == LP_JINJA_GENERATOR &&
        value.sequence->n > 0) { /* takes one out of it */
        *result = *value.sequence->items++;
        value.sequence->n--;
        return LP_OK;
    }
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    *result =
        n > 0 ? items[0] : lp_jinja_undefined(LP_JINJA_MISSING, LP_JINJA_TEXT("first of nothing"));
    return LP_OK;
}

static lp_status filter_last(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                             lp_jinja_value *result)
{
    const lp_jinja_value *items;
    size_t n;
    (void)arguments;
    if (value.kind == LP_JINJA_SEQUENCE && value.sequence->form == LP_JINJA_GENERATOR)
        return lp_jinja_fail(run, LP_E_FORMAT, "last: a %s has no end", lp_jinja_type_name(value));
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    *result = n > 0 ? items[n - 1]
                    : lp_jinja_undefined(LP_JINJA_MISSING, LP_JINJA_TEXT("last of nothing"));
    return LP_OK;
}

static lp_status extreme(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                         int sign, lp_jinja_value *result)
{
    const lp_jinja_value *items;
    lp_jinja_value best = {0}, key;
    size_t n;
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    *result = lp_jinja_undefined(LP_JINJA_MISSING, LP_JINJA_TEXT("extreme of nothing"));
    for (size_t i = 0; i < n; i++) {
        int order = 0;
        LP_TRY(get_key(run, items[i], arguments[1], lp_jinja_truth(arguments[0]), &key));
        if (i > 0)
            LP_TRY(lp_jinja_order(run, sign < 0 ? "<" : ">", key, best, &order));
        if (i == 0 || order * sign > 0) {
            best = key;
            *result = items[i];
        }
    }
    return LP_OK;
}

static lp_status filter_min(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                            lp_jinja_value *result)
{
    return extreme(run, value, arguments, -1, result);
}

static lp_status filter_max(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                            lp_jinja_value *result)
{
    return extreme(run, value, arguments, 1, result);
}

static lp_status filter_sum(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                            lp_jinja_value *result)
{
    const lp_jinja_value missing = {0}, *items;
    size_t n;
    lp_jinja_value sum = arguments[1].kind == LP_JINJA_MISSING ? lp_jinja_int(0) : arguments[1];
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    if (sum.kind == LP_JINJA_STRING)
        return lp_jinja_fail(run, LP_E_FORMAT, "sum: strings are joined by join");
    for (size_t i = 0; i < n; i++) {
        lp_jinja_value item;
        LP_TRY(get_path(run, items[i], arguments[0], missing, &item));
        LP_TRY(lp_jinja_operate(run, LP_JINJA_ADD, sum, item, &sum));
    }
    *result = sum;
    return LP_OK;
}

static lp_status filter_join(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                             lp_jinja_value *result)
{
    const lp_jinja_value missing = {0}, *items;
    lp_jinja_value *parts;
    size_t n;
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    LP_TRY(lp_jinja_items(run, n, &parts));
    for (size_t i = 0; i < n; i++)
        LP_TRY(get_path(run, items[i], arguments[1], missing, &parts[i]));
    const size_t mark = run->out.n;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && arguments[0].kind != LP_JINJA_MISSING)
            LP_TRY(lp_jinja_put_value(run, arguments[0]));
        LP_TRY(lp_jinja_put_value(run, parts[i]));
    }
    return lp_jinja_take(run, mark, result);
}

/* --- Other lists
 * ----------------------------------------------------------------------------------------- */

static lp_status filter_list(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                             lp_jinja_value *result)
{
    const lp_jinja_value *items;
    size_t n;
    (void)arguments;
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    return lp_jinja_sequence_create(run, LP_JINJA_LIST, items, n, result);
}

static lp_status filter_reverse(lp_jinja *run, lp_jinja_value value,
                                const lp_jinja_value *arguments, lp_jinja_value *result)
{
    const lp_jinja_value *items;
    lp_jinja_value *turned;
    size_t n;
    (void)arguments;
    LP_TRY(lp_jinja_refuse_undefined(run, value));
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    LP_TRY(lp_jinja_items(run, n, &turned));
    for (size_t i = 0; i < n; i++)
        turned[i] = items[n - 1 - i];
    if (value.kind != LP_JINJA_STRING)
        return lp_jinja_sequence_create(run, LP_JINJA_GENERATOR, turned, n, result);
    const size_t mark = run->out.n;
    for (size_t i = 0; i < n; i++)
        LP_TRY(lp_jinja_put(run, turned[i].text));
    return lp_jinja_take(run, mark, result);
}

static lp_status filter_batch(lp_jinja *run, lp_jinja_value value, const lp_jinja_value *arguments,
                              lp_jinja_value *result)
{
    const lp_jinja_value *items;
    lp_jinja_value *lists;
    int64_t size;
    size_t n;
    LP_TRY(lp_jinja_as_integer(run, arguments[0], &size));
    if (size < 1)
        return lp_jinja_fail(run, LP_E_UNSUPPORTED, "batch: a size of at least 1");
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    const size_t each = (uint64_t)size < n ? (size_t)size : n;
    const size_t n_lists = n == 0 ? 0 : (n - 1) / each + 1;
    LP_TRY(lp_jinja_items(run, n_lists, &lists));
    for (size_t i = 0; i < n_lists; i++) {
        const size_t from = i * each, here = n - from < each ? n - from : each;
        const lp_jinja_value *part = items + from;
        size_t full = here;
        if (i + 1 == n_lists && arguments[1].kind > LP_JINJA_NONE && here < (uint64_t)size) {
            lp_jinja_value *filled;
            full = (size_t)size;
            LP_TRY(lp_jinja_items(run, full, &filled));
            for (size_t k = 0; k < full; k++)
                filled[k] = k < here ? part[k] : arguments[1];
            part = filled;
        }
        LP_TRY(lp_jinja_sequence_create(run, LP_JINJA_LIST, part, full, &lists[i]));
    }
    return lp_jinja_sequence_create(run, LP_JINJA_GENERATOR, lists, n_lists, result);
}

static lp_status filter_groupby(lp_jinja *run, lp_jinja_value value,
                                const lp_jinja_value *arguments, lp_jinja_value *result)
{
    const lp_jinja_value *items;
    lp_jinja_value *keys, *shown, *groups, sorted, sorted_shown;
    const bool sensitive = lp_jinja_truth(arguments[2]);
    size_t n, n_groups = 0;
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    LP_TRY(lp_jinja_items(run, n, &keys));
    LP_TRY(lp_jinja_items(run, n, &shown));
    for (size_t i = 0; i < n; i++) {
        LP_TRY(get_path(run, items[i], arguments[0], arguments[1], &shown[i]));
        LP_TRY(get_key(run, shown[i], lp_jinja_none(), sensitive, &keys[i]));
    }
    LP_TRY(sort_by(run, items, keys, n, false, &sorted));
    LP_TRY(sort_by(run, shown, keys, n, false, &sorted_shown));
    LP_TRY(sort_by(run, keys, keys, n, false, &value));
    LP_TRY(lp_jinja_items(run, n, &groups));
    for (size_t from = 0, to; from < n; from = to) {
        bool equal = true;
        for (to = from + 1; to < n; to++) {
            LP_TRY(lp_jinja_equal(run, value.sequence->items[from], value.sequence->items[to],
                                  &equal));
            if (!equal)
                break;
        }
        lp_jinja_value *pair;
        LP_TRY(lp_jinja_items(run, 2, &pair));
        pair[0] = sensitive ? value.sequence->items[from] : sorted_shown.sequence->items[from];
        LP_TRY(lp_jinja_sequence_create(run, LP_JINJA_LIST, sorted.sequence->items + from,
                                        to - from, &pair[1]));
        LP_TRY(lp_jinja_sequence_create(run, LP_JINJA_TUPLE, pair, 2, &groups[n_groups++]));
    }
    return lp_jinja_sequence_create(run, LP_JINJA_LIST, groups, n_groups, result);
}

const lp_jinja_function *lp_jinja_list_filters(size_t *n)
{
    static const lp_jinja_function rows[] = {
        {"batch", "linecount fill_with", 1, filter_batch, NULL},
        {"dictsort", "case_sensitive by reverse", 0, filter_dictsort, NULL},
        {"first", "", 0, filter_first, NULL},
        {"groupby", "attribute default case_sensitive", 1, filter_groupby, NULL},
        {"items", "", 0, filter_items, NULL},
        {"join", "d attribute", 0, filter_join, NULL},
        {"last", "", 0, filter_last, NULL},
        {"list", "", 0, filter_list, NULL},
        {"map", NULL, 0, NULL, filter_map},
        {"max", "case_sensitive attribute", 0, filter_max, NULL},
        {"min", "case_sensitive attribute", 0, filter_min, NULL},
        {"reject", NULL, 0, NULL, filter_reject},
        {"rejectattr", NULL, 0, NULL, filter_rejectattr},
        {"reverse", "", 0, filter_reverse, NULL},
        {"select", NULL, 0, NULL, filter_select},
        {"selectattr", NULL, 0, NULL, filter_selectattr},
        {"sort", "reverse case_sensitive attribute", 0, filter_sort, NULL},
        {"sum", "attribute start", 0, filter_sum, NULL},
        {"unique", "case_sensitive attribute", 0, filter_unique, NULL},
    };
    *n = sizeof rows / sizeof *rows;
    return rows;
}
