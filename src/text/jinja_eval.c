/* Expressions: see jinja_node.h for what each node holds. */
#include "text/jinja_run.h"
#include "text/utf8.h"

/* --- Variables ----------------------------------------------------------------------------------
 */

lp_status lp_jinja_scope_create(lp_jinja *run, lp_jinja_scope *parent, lp_jinja_scope **scope)
{
    void *memory;
    LP_TRY(lp_jinja_alloc(run, 1, sizeof **scope, &memory));
    *scope = memory;
    (*scope)->parent = parent;
    return LP_OK;
}

static lp_status find(lp_jinja *run, const lp_jinja_scope *scope, lp_jinja_text name,
                      lp_jinja_value **value)
{
    LP_TRY(lp_jinja_charge(run, scope->n / 16));
    for (size_t i = 0; i < scope->n; i++)
        if (lp_jinja_text_equal(scope->names[i], name)) {
            *value = &scope->values[i];
            return LP_OK;
        }
    *value = NULL;
    return LP_OK;
}

lp_status lp_jinja_scope_set(lp_jinja *run, lp_jinja_scope *scope, lp_jinja_text name,
                             lp_jinja_value value)
{
    lp_jinja_value *found;
    LP_TRY(find(run, scope, name, &found));
    if (found) {
        *found = value;
        return LP_OK;
    }
    if (scope->n == scope->room) {
        const size_t room = scope->room ? 2 * scope->room : 4;
        lp_jinja_value *values;
        void *names;
        LP_TRY(lp_jinja_items(run, room, &values));
        LP_TRY(lp_jinja_alloc(run, room, sizeof name, &names));
        if (scope->n > 0) {
            memcpy(values, scope->values, scope->n * sizeof value);
            memcpy(names, scope->names, scope->n * sizeof name);
        }
        scope->values = values;
        scope->names = names;
        scope->room = room;
    }
    scope->names[scope->n] = name;
    scope->values[scope->n++] = value;
    return LP_OK;
}

static lp_status lookup(lp_jinja *run, const lp_jinja_scope *scope, lp_jinja_text name,
                        lp_jinja_value *result)
{
    lp_jinja_value *found;
    for (; scope; scope = scope->parent) {
        LP_TRY(find(run, scope, name, &found));
        if (found) {
            *result = *found;
            return LP_OK;
        }
    }
    const lp_jinja_function *row = lp_jinja_global_find(name);
    if (row && (run->now || strcmp(row->name, "strftime_now") != 0))
        *result = (lp_jinja_value){.kind = LP_JINJA_FUNCTION, .function = row};
    else
        *result = lp_jinja_undefined(LP_JINJA_MISSING, name);
    return LP_OK;
}

/* --- Arguments and calls ------------------------------------------------------------------------
 */

/* How many arguments there are when stars are spelt out. */
static lp_status count_arguments(lp_jinja *run, const lp_jinja_node *node,
                                 const lp_jinja_value *values, size_t *n, size_t *n_named)
{
    *n = *n_named = 0;
    for (size_t i = 0; i < node->n_arguments; i++) {
        if (node->arguments[i].stars == 1) {
            if (values[i].kind != LP_JINJA_SEQUENCE)
                return lp_jinja_fail(run, LP_E_FORMAT, "a list is expected behind *");
            *n += values[i].sequence->n;
        } else if (node->arguments[i].stars == 2) {
            if (values[i].kind != LP_JINJA_DICT)
                return lp_jinja_fail(run, LP_E_FORMAT, "a dict is expected behind **");
            *n_named += values[i].dict->n;
        } else if (node->arguments[i].name.data) {
            (*n_named)++;
        } else {
            (*n)++;
        }
    }
    return LP_OK;
}

static lp_status eval_arguments(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                                const lp_jinja_value *caller, lp_jinja_arguments *result)
{
    lp_jinja_value *given, *values, *named;
    size_t n = 0, n_named = 0;
    void *memory;
    *result = (lp_jinja_arguments){0};
    if (node->n_arguments == 0 && !caller)
        return LP_OK;
    LP_TRY(lp_jinja_items(run, node->n_arguments, &given));
    for (size_t i = 0; i < node->n_arguments; i++)
        LP_TRY(lp_jinja_eval(run, scope, node->arguments[i].node, &given[i]));
    run->at = node;
    LP_TRY(count_arguments(run, node, given, &n, &n_named));
    n_named += caller != NULL;
    LP_TRY(lp_jinja_items(run, n, &values));
    LP_TRY(lp_jinja_items(run, n_named, &named));
    LP_TRY(lp_jinja_alloc(run, n_named, sizeof(lp_jinja_text), &memory));
    lp_jinja_text *names = memory;
    n = n_named = 0;
    for (size_t i = 0; i < node->n_arguments; i++) {
        const lp_jinja_argument *argument = &node->arguments[i];
        if (argument->stars == 1) {
            const lp_jinja_value *items;
            size_t n_items;
            LP_TRY(lp_jinja_iterate(run, given[i], &items, &n_items));
            for (size_t k = 0; k < n_items; k++)
                values[n++] = items[k];
        } else if (argument->stars == 2) {
            const lp_jinja_dict *dict = given[i].dict;
            for (size_t k = 0; k < dict->n; k++) {
                LP_TRY(lp_jinja_as_text(run, dict->keys[k], &names[n_named]));
                named[n_named++] = dict->values[k];
            }
        } else if (argument->name.data) {
            names[n_named] = argument->name;
            named[n_named++] = given[i];
        } else {
            values[n++] = given[i];
        }
    }
    if (caller) {
        names[n_named] = LP_JINJA_TEXT("caller");
        named[n_named++] = *caller;
    }
    *result = (lp_jinja_arguments){values, n, names, named, n_named};
    return LP_OK;
}

/* The place of a name in a list that spaces separate; `n` if it is not there. */
static size_t parameter_index(const char *names, lp_jinja_text name, size_t *n)
{
    size_t index = SIZE_MAX;
    *n = 0;
    for (const char *at = names; *at;) {
        const size_t length = strcspn(at, " ");
        if (length == name.n && memcmp(at, name.data, length) == 0)
            index = *n;
        (*n)++;
        at += length + (at[length] == ' ');
    }
    return index;
}

lp_status lp_jinja_apply(lp_jinja *run, const lp_jinja_function *row, lp_jinja_value value,
                         const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    lp_jinja_value bound[LP_JINJA_MAX_PARAMETERS] = {0}; /* MISSING */
    char quoted[LP_QUOTE_TEXT];
    size_t n;
    if (row->raw)
        return row->raw(run, value, arguments, result);
    parameter_index(row->parameters, LP_JINJA_TEXT(""), &n);
    if (arguments->n > n)
        return lp_jinja_fail(run, LP_E_FORMAT, "%s takes at most %zu arguments, not %zu", row->name,
                             n, arguments->n);
    for (size_t i = 0; i < arguments->n; i++)
        bound[i] = arguments->values[i];
    for (size_t i = 0; i < arguments->n_named; i++) {
        const lp_jinja_text name = arguments->names[i];
        const size_t index = parameter_index(row->parameters, name, &n);
        if (index == SIZE_MAX || bound[index].kind != LP_JINJA_MISSING)
            return lp_jinja_fail(run, LP_E_FORMAT, "%s takes no %sargument %s", row->name,
                                 index == SIZE_MAX ? "" : "second ",
                                 lp_utf8_quote(name.data, name.n, quoted));
        bound[index] = arguments->named[i];
    }
    for (size_t i = 0; i < row->n_required; i++)
        if (bound[i].kind == LP_JINJA_MISSING)
            return lp_jinja_fail(run, LP_E_FORMAT, "%s wants %u argument%s", row->name,
                                 row->n_required, row->n_required == 1 ? "" : "s");
    return row->bound(run, value, bound, result);
}

lp_status lp_jinja_eval_call(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                             const lp_jinja_value *caller, lp_jinja_value *result)
{
    lp_jinja_value callee;
    lp_jinja_arguments arguments;
    LP_TRY(lp_jinja_eval(run, scope, node->a, &callee));
    LP_TRY(eval_arguments(run, scope, node, caller, &arguments));
    run->at = node;
    LP_TRY(lp_jinja_refuse_undefined(run, callee));
    switch (callee.kind) {
    case LP_JINJA_MACRO:
        return lp_jinja_call_macro(run, callee.macro, &arguments, result);
    case LP_JINJA_LOOP:
        return lp_jinja_call_loop(run, callee.loop, &arguments, result);
    case LP_JINJA_FUNCTION:
        return lp_jinja_apply(run, callee.function, lp_jinja_none(), &arguments, result);
    case LP_JINJA_METHOD:
        return lp_jinja_apply(run, callee.method->row, callee.method->self, &arguments, result);
    default:
        return lp_jinja_fail(run, LP_E_FORMAT, "a %s cannot be called", lp_jinja_type_name(callee));
    }
}

/* --- Filters and tests ---------------------------------------------------------------------------
 */

lp_status lp_jinja_filter(lp_jinja *run, const lp_jinja_function *row, lp_jinja_text name,
                          lp_jinja_value value, const lp_jinja_arguments *arguments,
                          lp_jinja_value *result)
{
    char quoted[LP_QUOTE_TEXT];
    if (!row)
        return lp_jinja_fail(run, LP_E_UNSUPPORTED, "there is no filter %s",
                             lp_utf8_quote(name.data, name.n, quoted));
    return lp_jinja_apply(run, row, value, arguments, result);
}

lp_status lp_jinja_test(lp_jinja *run, const lp_jinja_function *row, lp_jinja_text name,
                        lp_jinja_value value, const lp_jinja_arguments *arguments, bool *result)
{
    char quoted[LP_QUOTE_TEXT];
    lp_jinja_value answer;
    if (!row)
        return lp_jinja_fail(run, LP_E_UNSUPPORTED, "there is no test %s",
                             lp_utf8_quote(name.data, name.n, quoted));
    LP_TRY(lp_jinja_apply(run, row, value, arguments, &answer));
    *result = lp_jinja_truth(answer);
    return LP_OK;
}

lp_status lp_jinja_eval_filters(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                                lp_jinja_value input, lp_jinja_value *result)
{
    lp_jinja_arguments arguments;
    lp_jinja_value value = input;
    LP_TRY(lp_jinja_enter(run));
    if (node->a && node->a->type == LP_JINJA_FILTER)
        LP_TRY(lp_jinja_eval_filters(run, scope, node->a, input, &value));
    else if (node->a)
        LP_TRY(lp_jinja_eval(run, scope, node->a, &value));
    LP_TRY(eval_arguments(run, scope, node, NULL, &arguments));
    run->at = node;
    run->depth--;
    return lp_jinja_filter(run, node->row, node->name, value, &arguments, result);
}

static lp_status eval_test(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                           lp_jinja_value *result)
{
    lp_jinja_arguments arguments;
    lp_jinja_value value;
    bool truth = false;
    LP_TRY(lp_jinja_eval(run, scope, node->a, &value));
    LP_TRY(eval_arguments(run, scope, node, NULL, &arguments));
    run->at = node;
    LP_TRY(lp_jinja_test(run, node->row, node->name, value, &arguments, &truth));
    *result = lp_jinja_bool(truth);
    return LP_OK;
}

/* --- Everything else
 * ------------------------------------------------------------------------------ */

static lp_status eval_sequence(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                               lp_jinja_value *result)
{
    lp_jinja_value *items;
    LP_TRY(lp_jinja_items(run, node->n, &items));
    for (size_t i = 0; i < node->n; i++)
        LP_TRY(lp_jinja_eval(run, scope, node->list[i], &items[i]));
    return lp_jinja_sequence_create(
        run, node->type == LP_JINJA_TUPLE_OF ? LP_JINJA_TUPLE : LP_JINJA_LIST, items, node->n,
        result);
}

static lp_status eval_dict(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                           lp_jinja_value *result)
{
    lp_jinja_value dict;
    LP_TRY(lp_jinja_dict_create(run, &dict));
    for (size_t i = 0; i < node->n; i += 2) {
        lp_jinja_value key, value;
        LP_TRY(lp_jinja_eval(run, scope, node->list[i], &key));
        LP_TRY(lp_jinja_eval(run, scope, node->list[i + 1], &value));
        run->at = node;
        LP_TRY(lp_jinja_dict_set(run, dict.dict, key, value));
    }
    *result = dict;
    return LP_OK;
}

static lp_status eval_concat(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                             lp_jinja_value *result)
{
    lp_jinja_value *parts;
    LP_TRY(lp_jinja_items(run, node->n, &parts));
    for (size_t i = 0; i < node->n; i++) /* all before the first is put: they put texts together */
        LP_TRY(lp_jinja_eval(run, scope, node->list[i], &parts[i]));
    const size_t mark = run->out.n;
    run->at = node;
    for (size_t i = 0; i < node->n; i++)
        LP_TRY(lp_jinja_put_value(run, parts[i]));
    return lp_jinja_take(run, mark, result);
}

static lp_status eval_compare(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                              lp_jinja_value *result)
{
    lp_jinja_value left, right;
    bool truth = true;
    LP_TRY(lp_jinja_eval(run, scope, node->a, &left));
    for (size_t i = 0; truth && i < node->n; i++) {
        LP_TRY(lp_jinja_eval(run, scope, node->list[i]->b, &right));
        run->at = node->list[i];
        LP_TRY(lp_jinja_compare(run, node->list[i]->op, left, right, &truth));
        left = right;
    }
    *result = lp_jinja_bool(truth);
    return LP_OK;
}

static lp_status eval_slice(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                            lp_jinja_value *result)
{
    lp_jinja_value object, bounds[3];
    LP_TRY(lp_jinja_eval(run, scope, node->a, &object));
    for (int i = 0; i < 3; i++) {
        bounds[i] = lp_jinja_none();
        if (node->list[i])
            LP_TRY(lp_jinja_eval(run, scope, node->list[i], &bounds[i]));
    }
    run->at = node;
    return lp_jinja_slice(run, object, bounds, result);
}

static lp_status eval_sign(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                           lp_jinja_value *result)
{
    lp_jinja_value value;
    LP_TRY(lp_jinja_eval(run, scope, node->a, &value));
    run->at = node;
    LP_TRY(lp_jinja_refuse_undefined(run, value));
    if (!lp_jinja_is_number(value))
        return lp_jinja_fail(run, LP_E_FORMAT, "a %s has no sign", lp_jinja_type_name(value));
    if (value.kind != LP_JINJA_FLOAT)
        return lp_jinja_operate(run, node->type == LP_JINJA_NEGATE ? LP_JINJA_SUB : LP_JINJA_ADD,
                                lp_jinja_int(0), value, result);
    *result = lp_jinja_float(node->type == LP_JINJA_NEGATE ? -value.number : value.number);
    return LP_OK;
}

/* Nodes of two values. */
static lp_status eval_pair(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                           lp_jinja_value *result)
{
    lp_jinja_value a, b;
    LP_TRY(lp_jinja_eval(run, scope, node->a, &a));
    if ((node->type == LP_JINJA_AND && !lp_jinja_truth(a)) ||
        (node->type == LP_JINJA_OR && lp_jinja_truth(a))) {
        *result = a;
        return LP_OK;
    }
    LP_TRY(lp_jinja_eval(run, scope, node->b, &b));
    run->at = node;
    if (node->type == LP_JINJA_BINARY)
        return lp_jinja_operate(run, node->op, a, b, result);
    if (node->type == LP_JINJA_ITEM)
        return lp_jinja_get_item(run, a, b, result);
    *result = b;
    return LP_OK;
}

static lp_status eval(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                      lp_jinja_value *result)
{
    lp_jinja_value value;
    switch (node->type) {
    case LP_JINJA_CONSTANT:
        *result = node->value;
        return LP_OK;
    case LP_JINJA_NAME:
        return lookup(run, scope, node->name, result);
    case LP_JINJA_TUPLE_OF:
    case LP_JINJA_LIST_OF:
        return eval_sequence(run, scope, node, result);
    case LP_JINJA_DICT_OF:
        return eval_dict(run, scope, node, result);
    case LP_JINJA_NEGATE:
    case LP_JINJA_PLUS:
        return eval_sign(run, scope, node, result);
    case LP_JINJA_NOT:
        LP_TRY(lp_jinja_eval(run, scope, node->a, &value));
        *result = lp_jinja_bool(!lp_jinja_truth(value));
        return LP_OK;
    case LP_JINJA_CONCAT:
        return eval_concat(run, scope, node, result);
    case LP_JINJA_COMPARE:
        return eval_compare(run, scope, node, result);
    case LP_JINJA_CONDITION:
        LP_TRY(lp_jinja_eval(run, scope, node->a, &value));
        if (lp_jinja_truth(value))
            return lp_jinja_eval(run, scope, node->b, result);
        if (node->c)
            return lp_jinja_eval(run, scope, node->c, result);
        *result = lp_jinja_undefined(LP_JINJA_MISSING, LP_JINJA_TEXT("else"));
        return LP_OK;
    case LP_JINJA_ATTRIBUTE:
        LP_TRY(lp_jinja_eval(run, scope, node->a, &value));
        run->at = node;
        return lp_jinja_get(run, value, node->name, result);
    case LP_JINJA_SLICE:
        return eval_slice(run, scope, node, result);
    case LP_JINJA_CALL:
        return lp_jinja_eval_call(run, scope, node, NULL, result);
    case LP_JINJA_FILTER:
        return lp_jinja_eval_filters(run, scope, node, lp_jinja_none(), result);
    case LP_JINJA_TEST:
        return eval_test(run, scope, node, result);
    default: /* AND, OR, BINARY, ITEM */
        return eval_pair(run, scope, node, result);
    }
}

lp_status lp_jinja_eval(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                        lp_jinja_value *result)
{
    run->at = node;
    LP_TRY(lp_jinja_enter(run));
    LP_TRY(eval(run, scope, node, result));
    run->depth--;
    return LP_OK;
}
