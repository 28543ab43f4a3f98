/* Expressions, by jinja2's grammar. From the loosest to the tightest: a if b else c; or; and; not;
 * comparisons and `in`, in chains; + -; ~; * / // %; **; signs; filters, tests and what stands
 * behind a primary expression. A sign binds tighter than ** here, and ** goes from left to right.
 */
#include <string.h>

#include "text/jinja_parse.h"
#include "text/jinja_run.h"

static lp_status parse_unary(lp_jinja_parser *p, bool filters, lp_jinja_node **node);
static lp_status parse_or(lp_jinja_parser *p, lp_jinja_node **node);

/* A node of two parts whose operator was just read. */
static lp_status binary(lp_jinja_parser *p, lp_jinja_node_type type, lp_jinja_op op,
                        const lp_jinja_token *at, lp_jinja_node *a, lp_jinja_node *b,
                        lp_jinja_node **node)
{
    LP_TRY(lp_jinja_node_create(p, type, node));
    (*node)->line = at->line;
    (*node)->column = at->column;
    (*node)->op = op;
    (*node)->a = a;
    (*node)->b = b;
    return LP_OK;
}

/* Operators of one rank, from left to right. */
typedef struct operators {
    const char *texts[4];
    lp_jinja_op ops[4];
} operators;

static bool skip_rank(lp_jinja_parser *p, const operators *rank, lp_jinja_op *op)
{
    for (int i = 0; i < 4 && rank->texts[i]; i++)
        if (lp_jinja_skip_operator(p, rank->texts[i])) {
            *op = rank->ops[i];
            return true;
        }
    return false;
}

static lp_status parse_rank(lp_jinja_parser *p, const operators *rank,
                            lp_status (*part)(lp_jinja_parser *, lp_jinja_node **),
                            lp_jinja_node **node)
{
    lp_jinja_op op;
    LP_TRY(part(p, node));
    for (const lp_jinja_token *at = p->token; skip_rank(p, rank, &op); at = p->token) {
        lp_jinja_node *right;
        LP_TRY(part(p, &right));
        LP_TRY(binary(p, LP_JINJA_BINARY, op, at, *node, right, node));
    }
    return LP_OK;
}

static lp_status parse_signed(lp_jinja_parser *p, lp_jinja_node **node)
{
    return parse_unary(p, true, node);
}

static lp_status parse_power(lp_jinja_parser *p, lp_jinja_node **node)
{
    static const operators powers = {{"**"}, {LP_JINJA_POW}};
    return parse_rank(p, &powers, parse_signed, node);
}

static lp_status parse_product(lp_jinja_parser *p, lp_jinja_node **node)
{
    static const operators products = {
        {"*", "/", "//", "%"}, {LP_JINJA_MUL, LP_JINJA_DIV, LP_JINJA_FLOORDIV, LP_JINJA_MOD}};
    return parse_rank(p, &products, parse_power, node);
}

static lp_status parse_concat(lp_jinja_parser *p, lp_jinja_node **node)
{
    lp_jinja_node *part;
    LP_TRY(parse_product(p, node));
    if (!lp_jinja_at_operator(p, "~"))
        return LP_OK;
    lp_jinja_node *all;
    LP_TRY(lp_jinja_node_create(p, LP_JINJA_CONCAT, &all));
    LP_TRY(lp_jinja_node_append(p, all, *node));
    while (lp_jinja_skip_operator(p, "~")) {
        LP_TRY(parse_product(p, &part));
        LP_TRY(lp_jinja_node_append(p, all, part));
    }
    *node = all;
    return LP_OK;
}

static lp_status parse_sum(lp_jinja_parser *p, lp_jinja_node **node)
{
    static const operators sums = {{"+", "-"}, {LP_JINJA_ADD, LP_JINJA_SUB}};
    return parse_rank(p, &sums, parse_concat, node);
}

static bool skip_comparison(lp_jinja_parser *p, lp_jinja_op *op)
{
    static const struct {
        const char *text;
        lp_jinja_op op;
    } rows[] = {{"==", LP_JINJA_EQ}, {"!=", LP_JINJA_NE}, {"<", LP_JINJA_LT},
                {"<=", LP_JINJA_LE}, {">", LP_JINJA_GT},  {">=", LP_JINJA_GE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (lp_jinja_skip_operator(p, rows[i].text)) {
            *op = rows[i].op;
            return true;
        }
    *op = LP_JINJA_IN;
    if (lp_jinja_skip_name(p, "in"))
        return true;
    if (!lp_jinja_at_name(p, "not") || p->token[1].type != LP_JINJA_T_NAME ||
        !lp_jinja_text_is(p->token[1].text, "in"))
        return false;
    p->token += 2;
    *op = LP_JINJA_NOT_IN;
    return true;
}

static lp_status parse_comparison(lp_jinja_parser *p, lp_jinja_node **node)
{
    lp_jinja_node *chain = NULL, *right, *link;
    lp_jinja_op op;
    LP_TRY(parse_sum(p, node));
    for (const lp_jinja_token *at = p->token; skip_comparison(p, &op); at = p->token) {
        if (!chain)
            LP_TRY(binary(p, LP_JINJA_COMPARE, LP_JINJA_EQ, at, *node, NULL, &chain));
        LP_TRY(parse_sum(p, &right));
        LP_TRY(binary(p, LP_JINJA_COMPARE, op, at, NULL, right, &link));
        LP_TRY(lp_jinja_node_append(p, chain, link));
    }
    if (chain)
        *node = chain;
    return LP_OK;
}

static lp_status parse_not(lp_jinja_parser *p, lp_jinja_node **node)
{
    if (!lp_jinja_at_name(p, "not"))
        return parse_comparison(p, node);
    LP_TRY(lp_jinja_parse_enter(p));
    LP_TRY(lp_jinja_node_create(p, LP_JINJA_NOT, node));
    p->token++;
    LP_TRY(parse_not(p, &(*node)->a));
    p->depth--;
    return LP_OK;
}

static lp_status parse_logic(lp_jinja_parser *p, const char *name, lp_jinja_node_type type,
                             lp_status (*part)(lp_jinja_parser *, lp_jinja_node **),
                             lp_jinja_node **node)
{
    LP_TRY(part(p, node));
    for (const lp_jinja_token *at = p->token; lp_jinja_skip_name(p, name); at = p->token) {
        lp_jinja_node *right;
        LP_TRY(part(p, &right));
        LP_TRY(binary(p, type, LP_JINJA_EQ, at, *node, right, node));
    }
    return LP_OK;
}

static lp_status parse_and(lp_jinja_parser *p, lp_jinja_node **node)
{
    return parse_logic(p, "and", LP_JINJA_AND, parse_not, node);
}

static lp_status parse_or(lp_jinja_parser *p, lp_jinja_node **node)
{
    return parse_logic(p, "or", LP_JINJA_OR, parse_and, node);
}

lp_status lp_jinja_parse_expression(lp_jinja_parser *p, bool condition, lp_jinja_node **node)
{
    LP_TRY(lp_jinja_parse_enter(p));
    LP_TRY(parse_or(p, node));
    while (condition && lp_jinja_at_name(p, "if")) {
        lp_jinja_node *whole;
        LP_TRY(lp_jinja_node_create(p, LP_JINJA_CONDITION, &whole));
        p->token++;
        whole->b = *node;
        LP_TRY(parse_or(p, &whole->a));
        if (lp_jinja_skip_name(p, "else"))
            LP_TRY(lp_jinja_parse_expression(p, true, &whole->c));
        *node = whole;
    }
    p->depth--;
    return LP_OK;
}

/* --- Primary expressions ---------------------------------------------------------------------- */

static bool ends_tuple(const lp_jinja_parser *p, const char *end)
{
    return p->token->type == LP_JINJA_T_VARIABLE_END || p->token->type == LP_JINJA_T_BLOCK_END ||
           lp_jinja_at_operator(p, ")") || (end && lp_jinja_at_name(p, end));
}

/* `brackets`: there may be nothing in it. */
static lp_status parse_list(lp_jinja_parser *p, bool condition, const char *end, bool brackets,
                            lp_jinja_node **node)
{
    lp_jinja_node *tuple, *part;
    bool comma = false;
    LP_TRY(lp_jinja_node_create(p, LP_JINJA_TUPLE_OF, &tuple));
    while (!ends_tuple(p, end)) {
        LP_TRY(lp_jinja_parse_expression(p, condition, &part));
        LP_TRY(lp_jinja_node_append(p, tuple, part));
        if (!lp_jinja_skip_operator(p, ","))
            break;
        comma = true;
    }
    if (tuple->n == 0 && !brackets)
        return lp_jinja_parse_expected(p, "an expression");
    *node = tuple->n == 1 && !comma ? tuple->list[0] : tuple;
    return LP_OK;
}

lp_status lp_jinja_parse_tuple(lp_jinja_parser *p, bool condition, const char *end,
                               lp_jinja_node **node)
{
    return parse_list(p, condition, end, false, node);
}

/* The inside of [...] or {...}, behind the opening bracket. */
static lp_status parse_display(lp_jinja_parser *p, const char *close, lp_jinja_node *node)
{
    lp_jinja_node *part;
    while (!lp_jinja_at_operator(p, close)) {
        if (node->n > 0)
            LP_TRY(lp_jinja_expect_operator(p, ","));
        if (lp_jinja_at_operator(p, close))
            break;
        LP_TRY(lp_jinja_parse_expression(p, true, &part));
        LP_TRY(lp_jinja_node_append(p, node, part));
        if (node->type == LP_JINJA_DICT_OF) {
            LP_TRY(lp_jinja_expect_operator(p, ":"));
            LP_TRY(lp_jinja_parse_expression(p, true, &part));
            LP_TRY(lp_jinja_node_append(p, node, part));
        }
    }
    return lp_jinja_expect_operator(p, close);
}

/* true, false, none, also with a capital. */
static bool is_constant(lp_jinja_text name, lp_jinja_value *value)
{
    if (lp_jinja_text_is(name, "true") || lp_jinja_text_is(name, "True"))
        *value = lp_jinja_bool(true);
    else if (lp_jinja_text_is(name, "false") || lp_jinja_text_is(name, "False"))
        *value = lp_jinja_bool(false);
    else if (lp_jinja_text_is(name, "none") || lp_jinja_text_is(name, "None"))
        *value = lp_jinja_none();
    else
        return false;
    return true;
}

/* One string, or several after each other. */
static lp_status parse_strings(lp_jinja_parser *p, lp_jinja_node *node)
{
    lp_jinja_text text = p->token->text;
    for (p->token++; p->token->type == LP_JINJA_T_STRING; p->token++) {
        char *both = lp_arena_alloc(p->arena, text.n + p->token->text.n);
        if (!both)
            return lp_fail_memory(p->ctx, "a template");
        memcpy(both, text.data, text.n);
        memcpy(both + text.n, p->token->text.data, p->token->text.n);
        text = (lp_jinja_text){both, text.n + p->token->text.n};
    }
    node->value = lp_jinja_string(text);
    return LP_OK;
}

static lp_status parse_primary(lp_jinja_parser *p, lp_jinja_node **result)
{
    lp_jinja_node *node;
    LP_TRY(lp_jinja_node_create(p, LP_JINJA_CONSTANT, &node));
    *result = node;
    switch (p->token->type) {
    case LP_JINJA_T_NAME:
        if (!is_constant(p->token->text, &node->value)) {
            node->type = LP_JINJA_NAME;
            node->name = p->token->text;
            p->mentions |= lp_jinja_text_is(node->name, "varargs")  ? LP_JINJA_VARARGS
                           : lp_jinja_text_is(node->name, "kwargs") ? LP_JINJA_KWARGS
                           : lp_jinja_text_is(node->name, "caller") ? LP_JINJA_CALLER
                                                                    : 0u;
        }
        p->token++;
        return LP_OK;
    case LP_JINJA_T_STRING:
        return parse_strings(p, node);
    case LP_JINJA_T_INT:
        node->value = lp_jinja_int(p->token++->integer);
        return LP_OK;
    case LP_JINJA_T_FLOAT:
        node->value = lp_jinja_float(p->token++->number);
        return LP_OK;
    default:
        break;
    }
    if (lp_jinja_skip_operator(p, "(")) {
        LP_TRY(parse_list(p, true, NULL, true, result));
        return lp_jinja_expect_operator(p, ")");
    }
    if (lp_jinja_skip_operator(p, "[")) {
        node->type = LP_JINJA_LIST_OF;
        return parse_display(p, "]", node);
    }
    if (lp_jinja_skip_operator(p, "{")) {
        node->type = LP_JINJA_DICT_OF;
        return parse_display(p, "}", node);
    }
    return lp_jinja_parse_expected(p, "an expression");
}

static lp_status parse_bound(lp_jinja_parser *p, lp_jinja_node **node)
{
    *node = NULL;
    if (lp_jinja_at_operator(p, ":") || lp_jinja_at_operator(p, "]"))
        return LP_OK;
    return lp_jinja_parse_expression(p, true, node);
}

/* "[...]" behind `inner`. */
static lp_status parse_index(lp_jinja_parser *p, lp_jinja_node *inner, lp_jinja_node **node)
{
    lp_jinja_node *whole, *bound;
    LP_TRY(lp_jinja_node_create(p, LP_JINJA_ITEM, &whole));
    p->token++;
    whole->a = inner;
    *node = whole;
    LP_TRY(parse_bound(p, &bound));
    whole->b = bound;
    if (lp_jinja_at_operator(p, ":")) {
        whole->type = LP_JINJA_SLICE;
        whole->b = NULL;
        LP_TRY(lp_jinja_node_append(p, whole, bound));
        while (whole->n < 3 && lp_jinja_skip_operator(p, ":")) {
            LP_TRY(parse_bound(p, &bound));
            LP_TRY(lp_jinja_node_append(p, whole, bound));
        }
        while (whole->n < 3)
            LP_TRY(lp_jinja_node_append(p, whole, NULL));
    } else if (!bound || lp_jinja_at_operator(p, ",")) { /* a tuple */
        LP_TRY(lp_jinja_node_create(p, LP_JINJA_TUPLE_OF, &whole->b));
        while (bound) {
            LP_TRY(lp_jinja_node_append(p, whole->b, bound));
            if (!lp_jinja_skip_operator(p, ","))
                break;
            LP_TRY(parse_bound(p, &bound));
        }
    }
    return lp_jinja_expect_operator(p, "]");
}

static lp_status parse_attribute(lp_jinja_parser *p, lp_jinja_node *inner, lp_jinja_node **node)
{
    LP_TRY(lp_jinja_node_create(p, LP_JINJA_ATTRIBUTE, node));
    p->token++;
    (*node)->a = inner;
    if (p->token->type == LP_JINJA_T_INT) { /* a.0 */
        (*node)->type = LP_JINJA_ITEM;
        LP_TRY(lp_jinja_node_create(p, LP_JINJA_CONSTANT, &(*node)->b));
        (*node)->b->value = lp_jinja_int(p->token++->integer);
        return LP_OK;
    }
    return lp_jinja_expect_name(p, &(*node)->name);
}

lp_status lp_jinja_parse_arguments(lp_jinja_parser *p, lp_jinja_node *node)
{
    bool first = true;
    LP_TRY(lp_jinja_expect_operator(p, "("));
    for (; !lp_jinja_at_operator(p, ")"); first = false) {
        lp_jinja_argument argument = {0};
        if (!first) {
            LP_TRY(lp_jinja_expect_operator(p, ","));
            if (lp_jinja_at_operator(p, ")"))
                break;
        }
        const lp_jinja_token *next = p->token + 1;
        if (lp_jinja_skip_operator(p, "*")) {
            argument.stars = 1;
        } else if (lp_jinja_skip_operator(p, "**")) {
            argument.stars = 2;
        } else if (p->token->type == LP_JINJA_T_NAME && next->type == LP_JINJA_T_OPERATOR &&
                   lp_jinja_text_is(next->text, "=")) {
            argument.name = p->token->text;
            p->token += 2;
        }
        const size_t n = node->n_arguments;
        if (n > 0 && !argument.name.data && argument.stars == 0 &&
            (node->arguments[n - 1].name.data || node->arguments[n - 1].stars > 0))
            return lp_jinja_parse_fail(p, LP_E_FORMAT,
                                       "an argument without a name behind one with");
        LP_TRY(lp_jinja_parse_expression(p, true, &argument.node));
        LP_TRY(lp_jinja_node_argument(p, node, argument));
    }
    return lp_jinja_expect_operator(p, ")");
}

static lp_status parse_call(lp_jinja_parser *p, lp_jinja_node *inner, lp_jinja_node **node)
{
    LP_TRY(lp_jinja_node_create(p, LP_JINJA_CALL, node));
    (*node)->a = inner;
    return lp_jinja_parse_arguments(p, *node);
}

static lp_status parse_behind(lp_jinja_parser *p, lp_jinja_node **node)
{
    for (;;) {
        if (lp_jinja_at_operator(p, "."))
            LP_TRY(parse_attribute(p, *node, node));
        else if (lp_jinja_at_operator(p, "["))
            LP_TRY(parse_index(p, *node, node));
        else if (lp_jinja_at_operator(p, "("))
            LP_TRY(parse_call(p, *node, node));
        else
            return LP_OK;
    }
}

lp_status lp_jinja_parse_postfix(lp_jinja_parser *p, lp_jinja_node **node)
{
    LP_TRY(parse_primary(p, node));
    return parse_behind(p, node);
}

/* --- Filters and tests ------------------------------------------------------------------------ */

lp_status lp_jinja_parse_filters(lp_jinja_parser *p, bool first, lp_jinja_node **node)
{
    for (; first || lp_jinja_at_operator(p, "|"); first = false) {
        lp_jinja_node *filter;
        if (!first)
            p->token++;
        LP_TRY(lp_jinja_node_create(p, LP_JINJA_FILTER, &filter));
        LP_TRY(lp_jinja_expect_name(p, &filter->name));
        filter->a = *node;
        filter->row = lp_jinja_filter_find(filter->name);
        if (lp_jinja_at_operator(p, "("))
            LP_TRY(lp_jinja_parse_arguments(p, filter));
        *node = filter;
    }
    return LP_OK;
}

/* Whether a test's only argument follows without brackets: "is divisibleby 3". */
static bool argument_follows(const lp_jinja_parser *p)
{
    switch (p->token->type) {
    case LP_JINJA_T_NAME:
        return !lp_jinja_at_name(p, "else") && !lp_jinja_at_name(p, "or") &&
               !lp_jinja_at_name(p, "and");
    case LP_JINJA_T_STRING:
    case LP_JINJA_T_INT:
    case LP_JINJA_T_FLOAT:
        return true;
    default:
        return lp_jinja_at_operator(p, "[") || lp_jinja_at_operator(p, "{");
    }
}

static lp_status parse_test(lp_jinja_parser *p, lp_jinja_node *inner, lp_jinja_node **node)
{
    lp_jinja_node *test, *not ;
    LP_TRY(lp_jinja_node_create(p, LP_JINJA_NOT, &not ));
    p->token++;
    const bool negated = lp_jinja_skip_name(p, "not");
    LP_TRY(lp_jinja_node_create(p, LP_JINJA_TEST, &test));
    LP_TRY(lp_jinja_expect_name(p, &test->name));
    test->a = inner;
    test->row = lp_jinja_test_find(test->name);
    if (lp_jinja_at_operator(p, "(")) {
        LP_TRY(lp_jinja_parse_arguments(p, test));
    } else if (argument_follows(p)) {
        lp_jinja_argument argument = {0};
        if (lp_jinja_at_name(p, "is"))
            return lp_jinja_parse_fail(p, LP_E_FORMAT, "\"is\" behind a test");
        LP_TRY(lp_jinja_parse_postfix(p, &argument.node));
        LP_TRY(lp_jinja_node_argument(p, test, argument));
    }
    not ->a = test;
    *node = negated ? not : test;
    return LP_OK;
}

static lp_status parse_unary(lp_jinja_parser *p, bool filters, lp_jinja_node **node)
{
    const bool minus = lp_jinja_at_operator(p, "-");
    LP_TRY(lp_jinja_parse_enter(p));
    if (minus || lp_jinja_at_operator(p, "+")) {
        LP_TRY(lp_jinja_node_create(p, minus ? LP_JINJA_NEGATE : LP_JINJA_PLUS, node));
        p->token++;
        LP_TRY(parse_unary(p, false, &(*node)->a));
    } else {
        LP_TRY(parse_primary(p, node));
    }
    LP_TRY(parse_behind(p, node));
    while (filters) {
        if (lp_jinja_at_operator(p, "|"))
            LP_TRY(lp_jinja_parse_filters(p, false, node));
        else if (lp_jinja_at_name(p, "is"))
            LP_TRY(parse_test(p, *node, node));
        else if (lp_jinja_at_operator(p, "("))
            LP_TRY(parse_call(p, *node, node));
        else
            break;
    }
    p->depth--;
    return LP_OK;
}
