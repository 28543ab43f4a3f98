/* Statements, loops, macros. */
#include "text/jinja_run.h"
#include "text/utf8.h"

/* --- Setting -------------------------------------------------------------------------------------
 */

static lp_status set_attribute(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *target,
                               lp_jinja_value value)
{
    lp_jinja_value object;
    LP_TRY(lp_jinja_eval(run, scope, target->a, &object));
    run->at = target;
    if (object.kind != LP_JINJA_NAMESPACE)
        return lp_jinja_fail(run, LP_E_FORMAT, "only namespaces have attributes that can be set");
    return lp_jinja_namespace_set(run, object.dict, target->name, value);
}

static lp_status set(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *target,
                     lp_jinja_value value)
{
    if (target->type == LP_JINJA_NAME)
        return lp_jinja_scope_set(run, scope, target->name, value);
    if (target->type == LP_JINJA_ATTRIBUTE)
        return set_attribute(run, scope, target, value);
    const lp_jinja_value *items;
    size_t n;
    run->at = target;
    LP_TRY(lp_jinja_iterate(run, value, &items, &n));
    if (n != target->n)
        return lp_jinja_fail(run, LP_E_FORMAT, "%zu values for %zu names", n, target->n);
    for (size_t i = 0; i < n; i++)
        LP_TRY(lp_jinja_scope_set(run, scope, target->list[i]->name, items[i]));
    return LP_OK;
}

/* What a body writes, as a value; then through filters (NULL: none). */
static lp_status capture(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *body,
                         lp_jinja_scope *around, const lp_jinja_node *filters,
                         lp_jinja_value *result)
{
    const size_t mark = run->out.n;
    lp_jinja_value text;
    LP_TRY(lp_jinja_exec(run, scope, body));
    LP_TRY(lp_jinja_take(run, mark, &text));
    if (filters)
        return lp_jinja_eval_filters(run, around, filters, text, result);
    *result = text;
    return LP_OK;
}

/* --- Loops ---------------------------------------------------------------------------------------
 */

lp_status lp_jinja_loop_get(lp_jinja *run, lp_jinja_loop *loop, lp_jinja_text name,
                            lp_jinja_value *result)
{
    const int64_t i = (int64_t)loop->index, n = (int64_t)loop->n;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"index", i + 1},
                   {"index0", i},
                   {"revindex", n - i},
                   {"revindex0", n - i - 1},
                   {"length", n},
                   {"depth", (int64_t)loop->depth + 1},
                   {"depth0", (int64_t)loop->depth}};
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (lp_jinja_text_is(name, numbers[k].name)) {
            *result = lp_jinja_int(numbers[k].value);
            return LP_OK;
        }
    if (lp_jinja_text_is(name, "first"))
        *result = lp_jinja_bool(i == 0);
    else if (lp_jinja_text_is(name, "last"))
        *result = lp_jinja_bool(i == n - 1);
    else if (lp_jinja_text_is(name, "previtem") && i > 0)
        *result = loop->items[i - 1];
    else if (lp_jinja_text_is(name, "nextitem") && i < n - 1)
        *result = loop->items[i + 1];
    else {
        const lp_jinja_value self = {.kind = LP_JINJA_LOOP, .loop = loop};
        const lp_jinja_function *row = lp_jinja_method_find(self, name);
        void *memory;
        if (!row)
            return LP_OK; /* undefined: the caller has set it */
        LP_TRY(lp_jinja_alloc(run, 1, sizeof(lp_jinja_method), &memory));
        lp_jinja_method *method = memory;
        *method = (lp_jinja_method){row, self};
        *result = (lp_jinja_value){.kind = LP_JINJA_METHOD, .method = method};
    }
    return LP_OK;
}

/* The items of a loop that its condition lets through. */
static lp_status select_items(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                              lp_jinja_loop *loop)
{
    lp_jinja_value *chosen;
    lp_jinja_scope *inner;
    size_t n = 0;
    LP_TRY(lp_jinja_items(run, loop->n, &chosen));
    LP_TRY(lp_jinja_scope_create(run, scope, &inner));
    for (size_t i = 0; i < loop->n; i++) {
        lp_jinja_value truth;
        LP_TRY(set(run, inner, node->a, loop->items[i]));
        LP_TRY(lp_jinja_eval(run, inner, node->c, &truth));
        if (lp_jinja_truth(truth))
            chosen[n++] = loop->items[i];
    }
    loop->items = chosen;
    loop->n = n;
    return LP_OK;
}

static lp_status run_loop(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                          lp_jinja_value iterable, unsigned depth)
{
    void *memory;
    lp_jinja_scope *inner;
    bool whole = false; /* whether a round came to its end: as jinja2 has it, else no `else` */
    run->at = node->b;
    LP_TRY(lp_jinja_alloc(run, 1, sizeof(lp_jinja_loop), &memory));
    lp_jinja_loop *loop = memory;
    *loop = (lp_jinja_loop){.depth = depth, .node = node, .scope = scope};
    LP_TRY(lp_jinja_iterate(run, iterable, &loop->items, &loop->n));
    if (node->c)
        LP_TRY(select_items(run, scope, node, loop));
    LP_TRY(lp_jinja_scope_create(run, scope, &inner));
    const lp_jinja_value self = {.kind = LP_JINJA_LOOP, .loop = loop};
    for (; loop->index < loop->n && run->flow != LP_JINJA_LEAVE; loop->index++) {
        inner->n = 0; /* what was set in the round before is gone */
        LP_TRY(lp_jinja_scope_set(run, inner, LP_JINJA_TEXT("loop"), self));
        LP_TRY(set(run, inner, node->a, loop->items[loop->index]));
        run->flow = LP_JINJA_GO_ON;
        LP_TRY(lp_jinja_exec(run, inner, node->list[0]));
        whole |= run->flow == LP_JINJA_GO_ON;
    }
    run->flow = LP_JINJA_GO_ON;
    if (whole || !node->list[1])
        return LP_OK;
    inner->n = 0;
    return lp_jinja_exec(run, inner, node->list[1]);
}

lp_status lp_jinja_call_loop(lp_jinja *run, const lp_jinja_loop *loop,
                             const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    const size_t mark = run->out.n;
    if (!loop->node->recursive)
        return lp_jinja_fail(run, LP_E_FORMAT, "this loop is not recursive");
    if (arguments->n != 1 || arguments->n_named > 0)
        return lp_jinja_fail(run, LP_E_FORMAT, "a loop wants one argument");
    LP_TRY(run_loop(run, loop->scope, loop->node, arguments->values[0], loop->depth + 1));
    return lp_jinja_take(run, mark, result);
}

/* --- Macros --------------------------------------------------------------------------------------
 */

static lp_status create_macro(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                              lp_jinja_value *result)
{
    void *memory;
    LP_TRY(lp_jinja_alloc(run, 1, sizeof(lp_jinja_macro), &memory));
    lp_jinja_macro *macro = memory;
    *macro = (lp_jinja_macro){node, scope};
    *result = (lp_jinja_value){.kind = LP_JINJA_MACRO, .macro = macro};
    return LP_OK;
}

/* Arguments beyond the parameters. */
static lp_status set_others(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                            const lp_jinja_arguments *arguments, lp_jinja_value kwargs)
{
    char quoted[LP_QUOTE_TEXT];
    const size_t n = node->n_arguments;
    if (node->mentions & LP_JINJA_VARARGS) {
        lp_jinja_value varargs;
        const size_t more = arguments->n > n ? arguments->n - n : 0;
        LP_TRY(lp_jinja_sequence_create(run, LP_JINJA_TUPLE,
                                        more > 0 ? arguments->values + n : NULL, more, &varargs));
        LP_TRY(lp_jinja_scope_set(run, scope, LP_JINJA_TEXT("varargs"), varargs));
    } else if (arguments->n > n) {
        return lp_jinja_fail(run, LP_E_FORMAT, "the macro %s takes at most %zu argument%s",
                             lp_utf8_quote(node->name.data, node->name.n, quoted), n,
                             n == 1 ? "" : "s");
    }
    if (node->mentions & LP_JINJA_KWARGS)
        return lp_jinja_scope_set(run, scope, LP_JINJA_TEXT("kwargs"), kwargs);
    if (kwargs.dict->n > 0)
        return lp_jinja_fail(
            run, LP_E_FORMAT, "the macro %.*s takes no argument %s",
            (int)(node->name.n < 64 ? node->name.n : 64), node->name.data,
            lp_utf8_quote(kwargs.dict->keys[0].text.data, kwargs.dict->keys[0].text.n, quoted));
    return LP_OK;
}

static lp_status set_parameters(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                                const lp_jinja_arguments *arguments)
{
    lp_jinja_value kwargs, *found;
    LP_TRY(lp_jinja_dict_create(run, &kwargs));
    for (size_t i = 0; i < node->n_arguments && i < arguments->n; i++)
        LP_TRY(lp_jinja_scope_set(run, scope, node->arguments[i].name, arguments->values[i]));
    for (size_t i = 0; i < arguments->n_named; i++) {
        const lp_jinja_text name = arguments->names[i];
        size_t k = 0;
        while (k < node->n_arguments && !lp_jinja_text_equal(node->arguments[k].name, name))
            k++;
        if (k < node->n_arguments && k < arguments->n)
            return lp_jinja_fail(run, LP_E_FORMAT, "the argument '%.*s' is given twice",
                                 (int)name.n, name.data);
        if (k < node->n_arguments ||
            (lp_jinja_text_is(name, "caller") && node->mentions & LP_JINJA_CALLER))
            LP_TRY(lp_jinja_scope_set(run, scope, name, arguments->named[i]));
        else
            LP_TRY(lp_jinja_dict_set(run, kwargs.dict, lp_jinja_string(name), arguments->named[i]));
    }
    LP_TRY(set_others(run, scope, node, arguments, kwargs));
    for (size_t i = 0; i < node->n_arguments; i++) {
        const lp_jinja_argument *parameter = &node->arguments[i];
        size_t k = 0;
        while (k < scope->n && !lp_jinja_text_equal(scope->names[k], parameter->name))
            k++;
        found = k < scope->n ? &scope->values[k] : NULL;
        lp_jinja_value value = lp_jinja_undefined(LP_JINJA_MISSING, parameter->name);
        if (!found && parameter->node)
            LP_TRY(lp_jinja_eval(run, scope, parameter->node, &value));
        if (!found)
            LP_TRY(lp_jinja_scope_set(run, scope, parameter->name, value));
    }
    return LP_OK;
}

lp_status lp_jinja_call_macro(lp_jinja *run, const lp_jinja_macro *macro,
                              const lp_jinja_arguments *arguments, lp_jinja_value *result)
{
    lp_jinja_scope *scope;
    LP_TRY(lp_jinja_enter(run));
    LP_TRY(lp_jinja_scope_create(run, macro->scope, &scope));
    LP_TRY(set_parameters(run, scope, macro->node, arguments));
    LP_TRY(capture(run, scope, macro->node->b, scope, NULL, result));
    run->depth--;
    return LP_OK;
}

static lp_status exec_call_block(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node)
{
    lp_jinja_value caller, text;
    LP_TRY(create_macro(run, scope, node->c, &caller));
    LP_TRY(lp_jinja_eval_call(run, scope, node->a, &caller, &text));
    return lp_jinja_put_value(run, text);
}

/* --- Statements ----------------------------------------------------------------------------------
 */

static lp_status exec_if(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node)
{
    for (size_t i = 0; i < node->n; i += 2) {
        lp_jinja_value truth;
        LP_TRY(lp_jinja_eval(run, scope, node->list[i], &truth));
        if (lp_jinja_truth(truth))
            return lp_jinja_exec(run, scope, node->list[i + 1]);
    }
    return node->c ? lp_jinja_exec(run, scope, node->c) : LP_OK;
}

static lp_status exec_with(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node)
{
    lp_jinja_scope *inner;
    LP_TRY(lp_jinja_scope_create(run, scope, &inner));
    for (size_t i = 0; i < node->n; i += 2) {
        lp_jinja_value value;
        LP_TRY(lp_jinja_eval(run, scope, node->list[i + 1], &value));
        LP_TRY(set(run, inner, node->list[i], value));
    }
    return lp_jinja_exec(run, inner, node->b);
}

static lp_status exec(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node)
{
    lp_jinja_value value;
    lp_jinja_scope *inner;
    switch (node->type) {
    case LP_JINJA_DATA:
        return lp_jinja_put(run, node->value.text);
    case LP_JINJA_OUTPUT:
        LP_TRY(lp_jinja_eval(run, scope, node->a, &value));
        run->at = node;
        return lp_jinja_put_value(run, value);
    case LP_JINJA_IF:
        return exec_if(run, scope, node);
    case LP_JINJA_FOR:
        LP_TRY(lp_jinja_eval(run, scope, node->b, &value));
        return run_loop(run, scope, node, value, 0);
    case LP_JINJA_SET:
        LP_TRY(lp_jinja_eval(run, scope, node->b, &value));
        return set(run, scope, node->a, value);
    case LP_JINJA_SET_BLOCK:
        LP_TRY(lp_jinja_scope_create(run, scope, &inner));
        LP_TRY(capture(run, inner, node->b, scope, node->c, &value));
        return set(run, scope, node->a, value);
    case LP_JINJA_MACRO_OF:
        LP_TRY(create_macro(run, scope, node, &value));
        return lp_jinja_scope_set(run, scope, node->name, value);
    case LP_JINJA_CALL_BLOCK:
        return exec_call_block(run, scope, node);
    case LP_JINJA_FILTER_BLOCK:
        LP_TRY(lp_jinja_scope_create(run, scope, &inner));
        LP_TRY(capture(run, inner, node->b, inner, node->c, &value));
        return lp_jinja_put_value(run, value);
    case LP_JINJA_WITH:
        return exec_with(run, scope, node);
    case LP_JINJA_GENERATION:
        LP_TRY(lp_jinja_scope_create(run, scope, &inner));
        return lp_jinja_exec(run, inner, node->b);
    default: /* BREAK, CONTINUE */
        run->flow = node->type == LP_JINJA_BREAK ? LP_JINJA_LEAVE : LP_JINJA_NEXT;
        return LP_OK;
    }
}

lp_status lp_jinja_exec(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *body)
{
    LP_TRY(lp_jinja_enter(run));
    for (size_t i = 0; i < body->n && run->flow == LP_JINJA_GO_ON; i++) {
        run->at = body->list[i];
        LP_TRY(lp_jinja_charge(run, 1));
        LP_TRY(exec(run, scope, body->list[i]));
    }
    run->depth--;
    return LP_OK;
}
