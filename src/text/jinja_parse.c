/* Templates to trees: statements. Expressions are in jinja_parse_expression.c. */
#include "text/jinja_parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

/* --- What the parsers share ------------------------------------------------------------------- */

lp_status lp_jinja_parse_fail(lp_jinja_parser *p, lp_status status, const char *format, ...)
{
    char message[256];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return lp_fail(p->ctx, status, "%s: line %u, column %u: %s", p->where, p->token->line,
                   p->token->column, message);
}

lp_status lp_jinja_parse_expected(lp_jinja_parser *p, const char *what)
{
    char quoted[LP_QUOTE_TEXT];
    if (p->token->type == LP_JINJA_T_END)
        return lp_jinja_parse_fail(p, LP_E_FORMAT, "%s expected, the template ends here", what);
    return lp_jinja_parse_fail(p, LP_E_FORMAT, "%s expected, not %s", what,
                               lp_utf8_quote(p->token->text.data, p->token->text.n, quoted));
}

lp_status lp_jinja_parse_enter(lp_jinja_parser *p)
{
    enum { MAX_PARSED_DEPTH = 120 }; /* each has a dozen C functions on the stack */
    if (p->depth == MAX_PARSED_DEPTH)
        return lp_jinja_parse_fail(p, LP_E_LIMIT, "more than %d levels within each other",
                                   MAX_PARSED_DEPTH);
    p->depth++;
    return LP_OK;
}

bool lp_jinja_at_name(const lp_jinja_parser *p, const char *name)
{
    return p->token->type == LP_JINJA_T_NAME && lp_jinja_text_is(p->token->text, name);
}

bool lp_jinja_at_operator(const lp_jinja_parser *p, const char *operator)
{
    return p->token->type == LP_JINJA_T_OPERATOR && lp_jinja_text_is(p->token->text, operator);
}

bool lp_jinja_skip_name(lp_jinja_parser *p, const char *name)
{
    const bool there = lp_jinja_at_name(p, name);
    p->token += there;
    return there;
}

bool lp_jinja_skip_operator(lp_jinja_parser *p, const char *operator)
{
    const bool there = lp_jinja_at_operator(p, operator);
    p->token += there;
    return there;
}

lp_status lp_jinja_expect_operator(lp_jinja_parser *p, const char *operator)
{
    char what[8];
    if (lp_jinja_skip_operator(p, operator))
        return LP_OK;
    snprintf(what, sizeof what, "\"%s\"", operator);
    return lp_jinja_parse_expected(p, what);
}

lp_status lp_jinja_expect_name(lp_jinja_parser *p, lp_jinja_text *name)
{
    if (p->token->type != LP_JINJA_T_NAME)
        return lp_jinja_parse_expected(p, "a name");
    *name = p->token++->text;
    return LP_OK;
}

lp_status lp_jinja_node_create(lp_jinja_parser *p, lp_jinja_node_type type, lp_jinja_node **node)
{
    *node = lp_arena_alloc(p->arena, sizeof **node);
    if (!*node)
        return lp_fail_memory(p->ctx, "a template");
    (*node)->type = type;
    (*node)->line = p->token->line;
    (*node)->column = p->token->column;
    return LP_OK;
}

/* `list` of n elements, with room for one more: it doubles whenever n is a power of two. */
static lp_status grow(lp_jinja_parser *p, void *list, size_t n, size_t size, void **bigger)
{
    *bigger = list;
    if ((n & (n - 1)) != 0)
        return LP_OK;
    *bigger = lp_arena_array(p->arena, n ? 2 * n : 1, size);
    if (!*bigger)
        return lp_fail_memory(p->ctx, "a template");
    if (n > 0)
        memcpy(*bigger, list, n * size);
    return LP_OK;
}

lp_status lp_jinja_node_append(lp_jinja_parser *p, lp_jinja_node *node, lp_jinja_node *child)
{
    void *list;
    LP_TRY(grow(p, node->list, node->n, sizeof *node->list, &list));
    node->list = list;
    node->list[node->n++] = child;
    return LP_OK;
}

lp_status lp_jinja_node_argument(lp_jinja_parser *p, lp_jinja_node *node,
                                 lp_jinja_argument argument)
{
    void *list;
    LP_TRY(grow(p, node->arguments, node->n_arguments, sizeof argument, &list));
    node->arguments = list;
    node->arguments[node->n_arguments++] = argument;
    return LP_OK;
}

/* --- Statements ------------------------------------------------------------------------------- */

static lp_status parse_statement(lp_jinja_parser *p, lp_jinja_node **node);

static lp_status expect_block_end(lp_jinja_parser *p)
{
    if (p->token->type != LP_JINJA_T_BLOCK_END)
        return lp_jinja_parse_expected(p, "\"%}\"");
    p->token++;
    return LP_OK;
}

/* Whether a tag begins here whose name is one of `names` (NULL at their end). */
static bool at_end(const lp_jinja_parser *p, const char *const *names)
{
    if (p->token->type != LP_JINJA_T_BLOCK_BEGIN || p->token[1].type != LP_JINJA_T_NAME)
        return false;
    for (; *names; names++)
        if (lp_jinja_text_is(p->token[1].text, *names))
            return true;
    return false;
}

/* Statements up to a tag that `ends` names (NULL: the template's end); the tag's name is the next
 * token then. */
static lp_status parse_body(lp_jinja_parser *p, const char *const *ends, lp_jinja_node **body)
{
    lp_jinja_node *node = NULL;
    LP_TRY(lp_jinja_node_create(p, LP_JINJA_BODY, body));
    LP_TRY(lp_jinja_parse_enter(p));
    while (p->token->type != LP_JINJA_T_END && !(ends && at_end(p, ends))) {
        switch (p->token->type) {
        case LP_JINJA_T_DATA:
            LP_TRY(lp_jinja_node_create(p, LP_JINJA_DATA, &node));
            node->value = lp_jinja_string(p->token++->text);
            break;
        case LP_JINJA_T_VARIABLE_BEGIN:
            LP_TRY(lp_jinja_node_create(p, LP_JINJA_OUTPUT, &node));
            p->token++;
            LP_TRY(lp_jinja_parse_tuple(p, true, NULL, &node->a));
            if (p->token->type != LP_JINJA_T_VARIABLE_END)
                return lp_jinja_parse_expected(p, "\"}}\"");
            p->token++;
            break;
        default: /* BLOCK_BEGIN: between tags there is nothing else */
            p->token++;
            LP_TRY(parse_statement(p, &node));
        }
        LP_TRY(lp_jinja_node_append(p, *body, node));
    }
    p->depth--;
    if (!ends)
        return LP_OK;
    if (p->token->type == LP_JINJA_T_END) {
        char what[32];
        snprintf(what, sizeof what, "{%% %s %%}", ends[0]);
        return lp_jinja_parse_expected(p, what);
    }
    p->token++;
    return LP_OK;
}

/* From the end of a tag to the tag `end` and its end. */
static lp_status parse_block(lp_jinja_parser *p, const char *end, lp_jinja_node **body)
{
    LP_TRY(expect_block_end(p));
    LP_TRY(parse_body(p, (const char *const[]){end, NULL}, body));
    p->token++;
    return expect_block_end(p);
}

static lp_status parse_if(lp_jinja_parser *p, lp_jinja_node *node)
{
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    do {
        lp_jinja_node *part;
        LP_TRY(lp_jinja_parse_tuple(p, false, NULL, &part));
        LP_TRY(lp_jinja_node_append(p, node, part));
        LP_TRY(expect_block_end(p));
        LP_TRY(parse_body(p, ends, &part));
        LP_TRY(lp_jinja_node_append(p, node, part));
    } while (lp_jinja_skip_name(p, "elif"));
    if (lp_jinja_skip_name(p, "else"))
        return parse_block(p, "endif", &node->c);
    p->token++;
    return expect_block_end(p);
}

static lp_status parse_for(lp_jinja_parser *p, lp_jinja_node *node)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    lp_jinja_node *body, *otherwise = NULL;
    LP_TRY(lp_jinja_parse_target(p, false, &node->a));
    if (!lp_jinja_skip_name(p, "in"))
        return lp_jinja_parse_expected(p, "\"in\"");
    LP_TRY(lp_jinja_parse_tuple(p, false, "recursive", &node->b));
    if (lp_jinja_skip_name(p, "if"))
        LP_TRY(lp_jinja_parse_expression(p, true, &node->c));
    node->recursive = lp_jinja_skip_name(p, "recursive");
    LP_TRY(expect_block_end(p));
    p->n_loops++;
    LP_TRY(parse_body(p, ends, &body));
    p->n_loops--;
    if (lp_jinja_skip_name(p, "else")) {
        LP_TRY(parse_block(p, "endfor", &otherwise));
    } else {
        p->token++;
        LP_TRY(expect_block_end(p));
    }
    LP_TRY(lp_jinja_node_append(p, node, body));
    return lp_jinja_node_append(p, node, otherwise);
}

static bool is_reserved(lp_jinja_text name)
{
    static const char *const names[] = {"true", "false", "none", "True", "False", "None", "and",
                                        "or",   "not",   "in",   "is",   "if",    "else", "elif"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (lp_jinja_text_is(name, names[i]))
            return true;
    return false;
}

static lp_status parse_target_name(lp_jinja_parser *p, lp_jinja_node **node)
{
    LP_TRY(lp_jinja_node_create(p, LP_JINJA_NAME, node));
    if (p->token->type == LP_JINJA_T_NAME && is_reserved(p->token->text))
        return lp_jinja_parse_expected(p, "a name that can be set");
    return lp_jinja_expect_name(p, &(*node)->name);
}

lp_status lp_jinja_parse_target(lp_jinja_parser *p, bool attribute, lp_jinja_node **node)
{
    lp_jinja_node *tuple, *part;
    const bool brackets = lp_jinja_skip_operator(p, "(");
    LP_TRY(parse_target_name(p, node));
    if (attribute && !brackets && lp_jinja_at_operator(p, ".")) {
        LP_TRY(lp_jinja_node_create(p, LP_JINJA_ATTRIBUTE, &part));
        p->token++;
        part->a = *node;
        *node = part;
        return lp_jinja_expect_name(p, &part->name);
    }
    if (lp_jinja_at_operator(p, ",")) {
        LP_TRY(lp_jinja_node_create(p, LP_JINJA_TUPLE_OF, &tuple));
        LP_TRY(lp_jinja_node_append(p, tuple, *node));
        while (lp_jinja_skip_operator(p, ",")) {
            if (p->token->type != LP_JINJA_T_NAME || lp_jinja_at_name(p, "in"))
                break; /* a comma at the end */
            LP_TRY(parse_target_name(p, &part));
            LP_TRY(lp_jinja_node_append(p, tuple, part));
        }
        *node = tuple;
    }
    return brackets ? lp_jinja_expect_operator(p, ")") : LP_OK;
}

static lp_status parse_set(lp_jinja_parser *p, lp_jinja_node *node)
{
    LP_TRY(lp_jinja_parse_target(p, true, &node->a));
    if (lp_jinja_skip_operator(p, "=")) {
        LP_TRY(lp_jinja_parse_tuple(p, true, NULL, &node->b));
        return expect_block_end(p);
    }
    node->type = LP_JINJA_SET_BLOCK;
    if (lp_jinja_at_operator(p, "|"))
        LP_TRY(lp_jinja_parse_filters(p, false, &node->c));
    return parse_block(p, "endset", &node->b);
}

/* "(a, b=1)": names with defaults, which are set when nothing is given. */
static lp_status parse_parameters(lp_jinja_parser *p, lp_jinja_node *node)
{
    LP_TRY(lp_jinja_expect_operator(p, "("));
    while (!lp_jinja_at_operator(p, ")")) {
        lp_jinja_argument parameter = {0};
        lp_jinja_node *name;
        const size_t n = node->n_arguments;
        if (n > 0)
            LP_TRY(lp_jinja_expect_operator(p, ","));
        LP_TRY(parse_target_name(p, &name));
        parameter.name = name->name;
        if (lp_jinja_skip_operator(p, "="))
            LP_TRY(lp_jinja_parse_expression(p, true, &parameter.node));
        else if (n > 0 && node->arguments[n - 1].node)
            return lp_jinja_parse_fail(p, LP_E_FORMAT,
                                       "a parameter without a default behind one with");
        LP_TRY(lp_jinja_node_argument(p, node, parameter));
    }
    return lp_jinja_expect_operator(p, ")");
}

/* The body of a macro: loops around it are not its own. */
static lp_status parse_macro_body(lp_jinja_parser *p, const char *end, lp_jinja_node *node)
{
    const unsigned n_loops = p->n_loops, mentions = p->mentions;
    p->n_loops = p->mentions = 0;
    LP_TRY(parse_block(p, end, &node->b));
    node->mentions = p->mentions;
    p->n_loops = n_loops;
    p->mentions |= mentions;
    return LP_OK;
}

static lp_status parse_macro(lp_jinja_parser *p, lp_jinja_node *node)
{
    lp_jinja_node *name;
    LP_TRY(parse_target_name(p, &name));
    node->name = name->name;
    LP_TRY(parse_parameters(p, node));
    return parse_macro_body(p, "endmacro", node);
}

static lp_status parse_call_block(lp_jinja_parser *p, lp_jinja_node *node)
{
    LP_TRY(lp_jinja_node_create(p, LP_JINJA_MACRO_OF, &node->c));
    node->c->name = LP_JINJA_TEXT("caller");
    if (lp_jinja_at_operator(p, "("))
        LP_TRY(parse_parameters(p, node->c));
    LP_TRY(lp_jinja_parse_postfix(p, &node->a));
    if (node->a->type != LP_JINJA_CALL)
        return lp_jinja_parse_expected(p, "a call");
    return parse_macro_body(p, "endcall", node->c);
}

static lp_status parse_with(lp_jinja_parser *p, lp_jinja_node *node)
{
    while (p->token->type != LP_JINJA_T_BLOCK_END) {
        lp_jinja_node *part;
        if (node->n > 0)
            LP_TRY(lp_jinja_expect_operator(p, ","));
        LP_TRY(parse_target_name(p, &part));
        LP_TRY(lp_jinja_node_append(p, node, part));
        LP_TRY(lp_jinja_expect_operator(p, "="));
        LP_TRY(lp_jinja_parse_expression(p, true, &part));
        LP_TRY(lp_jinja_node_append(p, node, part));
    }
    return parse_block(p, "endwith", &node->b);
}

static lp_status parse_filter_block(lp_jinja_parser *p, lp_jinja_node *node)
{
    LP_TRY(lp_jinja_parse_filters(p, true, &node->c));
    return parse_block(p, "endfilter", &node->b);
}

static lp_status parse_generation(lp_jinja_parser *p, lp_jinja_node *node)
{
    return parse_macro_body(p, "endgeneration", node);
}

static lp_status parse_jump(lp_jinja_parser *p, lp_jinja_node *node)
{
    (void)node;
    if (p->n_loops == 0)
        return lp_jinja_parse_fail(p, LP_E_FORMAT,
                                   "there is no loop here to leave or to go on with");
    return expect_block_end(p);
}

static lp_status parse_statement(lp_jinja_parser *p, lp_jinja_node **result)
{
    static const struct {
        const char *name;
        lp_jinja_node_type type;
        lp_status (*parse)(lp_jinja_parser *p, lp_jinja_node *node);
    } rows[] = {{"if", LP_JINJA_IF, parse_if},
                {"for", LP_JINJA_FOR, parse_for},
                {"set", LP_JINJA_SET, parse_set},
                {"macro", LP_JINJA_MACRO_OF, parse_macro},
                {"call", LP_JINJA_CALL_BLOCK, parse_call_block},
                {"with", LP_JINJA_WITH, parse_with},
                {"filter", LP_JINJA_FILTER_BLOCK, parse_filter_block},
                {"generation", LP_JINJA_GENERATION, parse_generation},
                {"break", LP_JINJA_BREAK, parse_jump},
                {"continue", LP_JINJA_CONTINUE, parse_jump}};
    static const char *const others[] = {"block", "extends",    "include", "import", "from",
                                         "print", "autoescape", "do",      "trans"};
    char quoted[LP_QUOTE_TEXT];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (lp_jinja_at_name(p, rows[i].name)) {
            LP_TRY(lp_jinja_node_create(p, rows[i].type, result));
            p->token++;
            return rows[i].parse(p, *result);
        }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (lp_jinja_at_name(p, others[i]))
            return lp_jinja_parse_fail(p, LP_E_UNSUPPORTED, "{%% %s %%} is not supported",
                                       others[i]);
    if (p->token->type != LP_JINJA_T_NAME)
        return lp_jinja_parse_expected(p, "the name of a tag");
    return lp_jinja_parse_fail(p, LP_E_FORMAT, "no tag %s belongs here",
                               lp_utf8_quote(p->token->text.data, p->token->text.n, quoted));
}

/* --- Templates -------------------------------------------------------------------------------- */

lp_status lp_jinja_parse(lp_context *ctx, const char *where, const char *source, size_t bytes,
                         lp_jinja_template **result)
{
    lp_status status = LP_OK;
    lp_jinja_tokens tokens = {0};
    lp_jinja_template *template = calloc(1, sizeof *template);
    *result = NULL;
    if (!template)
        return lp_fail_memory(ctx, "a template");
    template->where = lp_arena_strdup(&template->arena, where);
    if (!template->where)
        LP_CHECK(lp_fail_memory(ctx, "a template"));
    LP_CHECK(lp_jinja_lex(ctx, where, source, bytes, &template->arena, &tokens));
    lp_jinja_parser parser = {
        .ctx = ctx, .where = where, .arena = &template->arena, .token = tokens.list};
    LP_CHECK(parse_body(&parser, NULL, &template->body));
    *result = template;
    template = NULL;
cleanup:
    free(tokens.list);
    lp_jinja_destroy(template);
    return status;
}

void lp_jinja_destroy(lp_jinja_template *template)
{
    if (!template)
        return;
    lp_arena_destroy(&template->arena);
    free(template);
}
