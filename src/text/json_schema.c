/* Rules from a schema: one for each conjunction of schemas, named once. See json_schema_build.h for
 * the idea. */
#include "text/json_schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/json_schema_build.h"

/* JSON by itself (RFC 8259). Digits are bounded, so that no number goes on for ever and all fit
 * into a double; \u names no surrogates, so that each is one character. White space may stand
 * behind punctuation, and one line's worth of it. */
static const char json_rules[] =
    "json-ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n"
    "json-value ::= json-object | json-array | json-string | json-number | \"true\" | \"false\" | "
    "\"null\"\n"
    "json-object ::= \"{\" json-ws (json-member (\",\" json-ws json-member)*)? json-ws \"}\"\n"
    "json-member ::= json-string \":\" json-ws json-value\n"
    "json-array ::= \"[\" json-ws (json-value (\",\" json-ws json-value)*)? json-ws \"]\"\n"
    "json-string ::= \"\\\"\" json-char* \"\\\"\"\n"
    "json-plain ::= [^\"\\\\\\x00-\\x1F\\x7F]\n"
    "json-char ::= json-plain | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" ([0-9a-cefA-CEF] json-hex{3} | "
    "[dD] [0-7] json-hex{2}))\n"
    "json-hex ::= [0-9a-fA-F]\n"
    "json-integer ::= \"0\" | \"-\"? [1-9] [0-9]{0,14}\n"
    "json-number ::= \"-\"? (\"0\" | [1-9] [0-9]{0,14}) (\".\" [0-9]{1,15})? "
    "([eE] [-+]? [0-9]{1,2})?\n";

/* ---- Messages and text --------------------------------------------------------------------- */

lp_status lp_schema_fail(lp_schema_writer *w, lp_status status, const char *pointer,
                         const char *key, const char *format, ...)
{
    char message[256];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    lp_fail(w->ctx, status, "JSON schema, %.300s%s%.100s: %s", *pointer || key ? pointer : "root",
            key ? "/" : "", key ? key : "", message);
    for (char *c = w->ctx->message; *c != '\0'; c++) /* names may hold anything */
        *c = (uint8_t)*c < 0x20 || *c == 0x7f ? '?' : *c;
    return status;
}

void lp_schema_put(lp_schema_writer *w, lp_text *to, const char *text)
{
    w->no_memory |= lp_text_append(w->ctx, to, text, strlen(text)) != LP_OK;
}

void lp_schema_printf(lp_schema_writer *w, lp_text *to, const char *format, ...)
{
    char text[256]; /* names are short */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    lp_schema_put(w, to, text);
}

void lp_schema_put_literal(lp_schema_writer *w, lp_text *to, const char *text, size_t n)
{
    lp_schema_put(w, to, "\"");
    for (size_t i = 0; i < n; i++) {
        const uint8_t c = (uint8_t)text[i];
        if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
            lp_schema_printf(w, to, "\\x%02X", c);
        else
            w->no_memory |= lp_text_append(w->ctx, to, text + i, 1) != LP_OK;
    }
    lp_schema_put(w, to, "\" ");
}

lp_status lp_schema_put_value(lp_schema_writer *w, lp_text *to, yyjson_val *value)
{
    size_t n;
    char *text = yyjson_val_write(value, 0, &n);
    if (text == NULL)
        return lp_fail_memory(w->ctx, "a JSON schema");
    lp_schema_put_literal(w, to, text, n);
    free(text);
    return LP_OK;
}

const char *lp_schema_keep(lp_schema_writer *w, const char *text)
{
    const char *kept = lp_arena_strdup(&w->arena, text);
    w->no_memory |= kept == NULL;
    return kept != NULL ? kept : "";
}

const char *lp_schema_pointer(lp_schema_writer *w, const char *pointer, const char *key)
{
    char text[512];
    snprintf(text, sizeof text, "%.400s/%.100s", pointer, key);
    return lp_schema_keep(w, text);
}

/* ---- Rules --------------------------------------------------------------------------------- */

static lp_status put_types(lp_schema_writer *w, const lp_schema_node *node, lp_text *to,
                           bool *possible)
{
    typedef lp_status (*writer)(lp_schema_writer *, const lp_schema_node *, lp_text *, bool *);
    static const struct {
        unsigned type;
        writer write;
    } compound[] = {{LP_SCHEMA_OBJECT, lp_schema_object},
                    {LP_SCHEMA_ARRAY, lp_schema_array},
                    {LP_SCHEMA_STRING, lp_schema_string}};
    bool any, good;
    const unsigned types = lp_schema_types(node, &any);
    *possible = any;
    if (any) {
        lp_schema_put(w, to, "json-value");
        return LP_OK;
    }
    for (size_t i = 0; i < sizeof compound / sizeof *compound; i++) {
        const size_t mark = to->n;
        if ((types & compound[i].type) == 0)
            continue;
        lp_schema_put(w, to, *possible ? "| " : "");
        LP_TRY(compound[i].write(w, node, to, &good));
        to->n = good ? to->n : mark;
        *possible |= good;
    }
    if ((types & LP_SCHEMA_INTEGER) != 0) {
        const size_t mark = to->n;
        lp_schema_put(w, to, *possible ? "| " : "");
        LP_TRY(lp_schema_number(w, node, (types & LP_SCHEMA_FRACTION) != 0, to, &good));
        to->n = good ? to->n : mark;
        *possible |= good;
    }
    if ((types & LP_SCHEMA_BOOLEAN) != 0)
        lp_schema_printf(w, to, "%s\"true\" | \"false\" ", *possible ? "| " : "");
    *possible |= (types & LP_SCHEMA_BOOLEAN) != 0;
    if ((types & LP_SCHEMA_NULL) != 0)
        lp_schema_printf(w, to, "%s\"null\" ", *possible ? "| " : "");
    *possible |= (types & LP_SCHEMA_NULL) != 0;
    return LP_OK;
}

static lp_status put_body(lp_schema_writer *w, const lp_schema_node *node, lp_text *to,
                          bool *possible)
{
    yyjson_val *list, *constant;
    bool found;
    for (size_t i = 0; i < node->n; i++)
        LP_TRY(lp_schema_check_type(w, &node->parts[i]));
    LP_TRY(lp_schema_put_branches(w, node, to, &found, possible));
    if (found)
        return LP_OK;
    const lp_schema_part *part = lp_schema_find_list(node, &list, &constant);
    return part != NULL ? lp_schema_put_list(w, node, part, list, constant, to, possible)
                        : put_types(w, node, to, possible);
}

static bool same_node(const lp_schema_node *a, const lp_schema_node *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; i < a->n && same; i++)
        same = a->parts[i].schema == b->parts[i].schema &&
               a->parts[i].any_of == b->parts[i].any_of && a->parts[i].one_of == b->parts[i].one_of;
    return same;
}

/* A rule's name, for people: a number, and the last step of where its schema stands. */
static const char *make_name(lp_schema_writer *w, const lp_schema_node *node)
{
    const char *step = node->n > 0 ? strrchr(node->parts[0].pointer, '/') : NULL;
    char name[48];
    if (w->n_names++ == 0)
        return "root";
    int n = snprintf(name, sizeof name, "r%u-", w->n_names - 1);
    for (step = step != NULL ? step + 1 : ""; *step != '\0' && n < 40; step++) {
        const char c = *step;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
            name[n++] = c;
    }
    name[n] = '\0';
    return lp_schema_keep(w, name);
}

lp_status lp_schema_value(lp_schema_writer *w, const lp_schema_node *node, const char **name)
{
    lp_text body = {0};
    lp_status status = LP_OK;
    bool possible = true;
    *name = NULL;
    if (node->impossible)
        return LP_OK;
    for (size_t i = 0; i < w->n_rules; i++)
        if (same_node(w->rules[i].node, node)) {
            *name = w->rules[i].impossible ? NULL : w->rules[i].name;
            return LP_OK;
        }
    if (node->n == 0 && w->n_names > 0) {
        *name = "json-value";
        return LP_OK;
    }
    const char *pointer = node->n > 0 ? node->parts[0].pointer : "";
    if (w->depth >= LP_SCHEMA_MAX_DEPTH || w->n_rules == LP_SCHEMA_MAX_RULES)
        return lp_schema_fail(w, LP_E_LIMIT, pointer, NULL, "the schema is too large or too deep");
    lp_schema_rule *rules = lp_list_grow(w->rules, w->n_rules, &w->rules_room, sizeof *rules);
    if (rules == NULL)
        return lp_fail_memory(w->ctx, "a JSON schema");
    w->rules = rules;
    const size_t own = w->n_rules++;
    rules[own] = (lp_schema_rule){.node = node, .name = make_name(w, node)};
    w->depth++;
    LP_CHECK(put_body(w, node, &body, &possible));
    w->depth--;
    w->rules[own].impossible = !possible;
    if (possible) {
        *name = w->rules[own].name;
        lp_schema_printf(w, w->out, "%s ::= ", *name);
        w->no_memory |= lp_text_append(w->ctx, w->out, body.data, body.n) != LP_OK;
        lp_schema_put(w, w->out, "\n");
    }
cleanup:
    lp_text_free(&body);
    return status;
}

lp_status lp_json_schema_to_gbnf(lp_context *ctx, const char *schema, size_t bytes, lp_text *gbnf)
{
    lp_schema_writer w = {.ctx = ctx, .out = gbnf};
    lp_schema_node *node;
    lp_status status = LP_OK;
    const char *name;
    yyjson_read_err error = {0};
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)schema, bytes, 0, NULL, &error);
    if (doc == NULL)
        return lp_fail(ctx, LP_E_FORMAT, "JSON schema: %s at byte %zu",
                       bytes > 0 ? error.msg : "nothing", error.pos);
    w.root = yyjson_doc_get_root(doc);
    LP_CHECK(lp_schema_new_node(&w, &node));
    LP_CHECK(lp_schema_add(&w, node, w.root, ""));
    LP_CHECK(lp_schema_value(&w, node, &name));
    if (name == NULL)
        status = lp_schema_fail(&w, LP_E_FORMAT, "", NULL, "nothing satisfies this schema");
    lp_schema_put(&w, gbnf, json_rules);
    if (w.no_memory)
        status = lp_fail_memory(ctx, "a JSON schema");
cleanup:
    lp_arena_destroy(&w.arena);
    free(w.rules);
    yyjson_doc_free(doc);
    return status;
}

lp_status lp_json_schema_read(lp_context *ctx, const char *schema, size_t bytes,
                              lp_grammar **grammar)
{
    lp_text gbnf = {0};
    lp_status status = LP_OK;
    *grammar = NULL;
    LP_CHECK(lp_json_schema_to_gbnf(ctx, schema, bytes, &gbnf));
    status = lp_grammar_read(ctx, gbnf.data, gbnf.n, grammar);
    if (status == LP_E_FORMAT) { /* nothing else can be wrong with it */
        char detail[sizeof ctx->message];
        memcpy(detail, ctx->message, sizeof detail);
        lp_fail(ctx, status, "JSON schema: a $ref leads back to itself without end (as a %.500s)",
                detail);
    }
cleanup:
    lp_text_free(&gbnf);
    return status;
}

lp_status lp_grammar_open(lp_context *ctx, const char *gbnf, const char *schema,
                          lp_grammar **grammar)
{
    if ((gbnf != NULL) == (schema != NULL))
        return lp_fail(ctx, LP_E_ARG, "either a grammar or a JSON schema is expected");
    return gbnf != NULL ? lp_grammar_read(ctx, gbnf, strlen(gbnf), grammar)
                        : lp_json_schema_read(ctx, schema, strlen(schema), grammar);
}
