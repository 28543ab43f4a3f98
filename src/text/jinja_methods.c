/* Methods of list, dict and of loops. Those that would change a list or a dict are refused, as
 * jinja2's sandbox refuses them. */
#include "text/jinja_methods.h"

METHOD(copy)
{
    (void)run;
    (void)arguments;
    *result = self;
    return LP_OK;
}

/* How often an item is in a list, or (-1: nowhere) where first. */
METHOD(list_count)
{
    int64_t n = 0;
    for (size_t i = 0; i < self.sequence->n; i++) {
        bool equal;
        LP_TRY(lp_jinja_equal(run, self.sequence->items[i], arguments[0], &equal));
        n += equal;
    }
    *result = lp_jinja_int(n);
    return LP_OK;
}

METHOD(list_index)
{
    for (size_t i = 0; i < self.sequence->n; i++) {
        bool equal;
        LP_TRY(lp_jinja_equal(run, self.sequence->items[i], arguments[0], &equal));
        if (equal) {
            *result = lp_jinja_int((int64_t)i);
            return LP_OK;
        }
    }
    return lp_jinja_fail(run, LP_E_FORMAT, "index: it is not in the list");
}

METHOD(dict_get)
{
    lp_jinja_value *found;
    LP_TRY(lp_jinja_dict_find(run, self.dict, arguments[0], &found));
    *result = found                                   ? *found
              : arguments[1].kind == LP_JINJA_MISSING ? lp_jinja_none()
                                                      : arguments[1];
    return LP_OK;
}

METHOD(dict_keys)
{
    (void)arguments;
    return lp_jinja_sequence_create(run, LP_JINJA_KEYS, self.dict->keys, self.dict->n, result);
}

METHOD(dict_values)
{
    (void)arguments;
    return lp_jinja_sequence_create(run, LP_JINJA_VALUES, self.dict->values, self.dict->n, result);
}

METHOD(dict_items)
{
    const lp_jinja_arguments none = {0};
    (void)arguments;
    LP_TRY(lp_jinja_apply(run, lp_jinja_filter_find(LP_JINJA_TEXT("items")), self, &none, result));
    result->sequence->form = LP_JINJA_ITEMS;
    return LP_OK;
}

static lp_status loop_cycle(lp_jinja *run, lp_jinja_value self, const lp_jinja_arguments *arguments,
                            lp_jinja_value *result)
{
    if (arguments->n == 0 || arguments->n_named > 0)
        return lp_jinja_fail(run, LP_E_FORMAT, "loop.cycle wants something to choose from");
    *result = arguments->values[self.loop->index % arguments->n];
    return LP_OK;
}

static lp_status loop_changed(lp_jinja *run, lp_jinja_value self,
                              const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    lp_jinja_value now;
    bool equal;
    LP_TRY(lp_jinja_sequence_create(run, LP_JINJA_TUPLE, arguments->values, arguments->n, &now));
    LP_TRY(lp_jinja_equal(run, now, self.loop->changed, &equal));
    self.loop->changed = now;
    *result = lp_jinja_bool(!equal);
    return LP_OK;
}

const lp_jinja_function *lp_jinja_method_find(lp_jinja_value self, lp_jinja_text name)
{
    static const lp_jinja_function lists[] = {
        {"append", NULL, 0, NULL, NULL}, {"clear", NULL, 0, NULL, NULL},
        {"copy", "", 0, copy, NULL},     {"count", "/value", 1, list_count, NULL},
        {"extend", NULL, 0, NULL, NULL}, {"index", "/value", 1, list_index, NULL},
        {"insert", NULL, 0, NULL, NULL}, {"pop", NULL, 0, NULL, NULL},
        {"remove", NULL, 0, NULL, NULL}, {"reverse", NULL, 0, NULL, NULL},
        {"sort", NULL, 0, NULL, NULL},
    };
    static const lp_jinja_function dicts[] = {
        {"clear", NULL, 0, NULL, NULL},
        {"copy", "", 0, copy, NULL},
        {"get", "/key /default", 1, dict_get, NULL},
        {"items", "", 0, dict_items, NULL},
        {"keys", "", 0, dict_keys, NULL},
        {"pop", NULL, 0, NULL, NULL},
        {"popitem", NULL, 0, NULL, NULL},
        {"setdefault", NULL, 0, NULL, NULL},
        {"update", NULL, 0, NULL, NULL},
        {"values", "", 0, dict_values, NULL},
    };
    static const lp_jinja_function loops[] = {
        {"changed", NULL, 0, NULL, loop_changed},
        {"cycle", NULL, 0, NULL, loop_cycle},
    };
#define FIND(rows) lp_jinja_row_find(rows, sizeof rows / sizeof *rows, name)
    switch (self.kind) {
    case LP_JINJA_STRING:
        return lp_jinja_text_method_find(name);
    case LP_JINJA_SEQUENCE:
        return self.sequence->form <= LP_JINJA_TUPLE ? FIND(lists) : NULL;
    case LP_JINJA_DICT:
        return FIND(dicts);
    case LP_JINJA_LOOP:
        return FIND(loops);
    default:
        return NULL;
    }
#undef FIND
}
