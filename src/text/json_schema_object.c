/* Objects and arrays. Members come in the order in which the schema lists them; those that are not
 * required may be left out. Only what a schema lists is written, unless it says itself what others
 * are: JSON Schema would allow anything more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/grammar.h"
#include "text/json_schema_build.h"
#include "text/utf8.h"

enum { MAX_MEMBERS = 512, MAX_KEY = 120 };

typedef struct member {
    yyjson_val *name;
    bool required;
    const char *value; /* its rule */
} member;

typedef struct members {
    member list[MAX_MEMBERS];
    size_t n;
    const char *others; /* the rule of what is not listed; NULL: there is nothing else */
} members;

static bool has_key(yyjson_val *object, yyjson_val *name)
{
    return yyjson_obj_getn(object, yyjson_get_str(name), yyjson_get_len(name)) != NULL;
}

static lp_status add_member(lp_schema_writer *w, members *m, yyjson_val *name, const char *pointer)
{
    for (size_t i = 0; i < m->n; i++)
        if (yyjson_equals_strn(m->list[i].name, yyjson_get_str(name), yyjson_get_len(name)))
            return LP_OK;
    if (m->n == MAX_MEMBERS || yyjson_get_len(name) > MAX_KEY)
        return lp_schema_fail(
            w, LP_E_LIMIT, pointer, NULL,
            "at most %d properties, with names of at most %d bytes, are supported", MAX_MEMBERS,
            MAX_KEY);
    if (memchr(yyjson_get_str(name), '\0', yyjson_get_len(name)) != NULL)
        return lp_schema_fail(w, LP_E_UNSUPPORTED, pointer, NULL, "a name with NUL in it");
    m->list[m->n++].name = name;
    return LP_OK;
}

/* All names, of properties first. */
static lp_status find_members(lp_schema_writer *w, const lp_schema_node *node, members *m)
{
    size_t k, n;
    yyjson_val *key, *value;
    for (size_t i = 0; i < node->n; i++) {
        yyjson_val *properties = yyjson_obj_get(node->parts[i].schema, "properties");
        if (properties != NULL && !yyjson_is_obj(properties))
            return lp_schema_fail(w, LP_E_FORMAT, node->parts[i].pointer, "properties",
                                  "an object is expected");
        if (properties == NULL)
            continue;
        yyjson_obj_foreach(properties, k, n, key, value)
            LP_TRY(add_member(w, m, key, node->parts[i].pointer));
    }
    for (size_t i = 0; i < node->n; i++) {
        yyjson_val *required = yyjson_obj_get(node->parts[i].schema, "required");
        if (required != NULL && !yyjson_is_arr(required))
            return lp_schema_fail(w, LP_E_FORMAT, node->parts[i].pointer, "required",
                                  "a list of names is expected");
        yyjson_arr_foreach(required, k, n, key)
        {
            if (!yyjson_is_str(key))
                return lp_schema_fail(w, LP_E_FORMAT, node->parts[i].pointer, "required",
                                      "a list of names is expected");
            LP_TRY(add_member(w, m, key, node->parts[i].pointer));
        }
    }
    return LP_OK;
}

/* What all parts say of a member (`name` NULL: of one that none of them lists). */
static lp_status find_value(lp_schema_writer *w, const lp_schema_node *node, yyjson_val *name,
                            const char **rule)
{
    lp_schema_node *value;
    LP_TRY(lp_schema_new_node(w, &value));
    for (size_t i = 0; i < node->n; i++) {
        const lp_schema_part *part = &node->parts[i];
        yyjson_val *properties = yyjson_obj_get(part->schema, "properties");
        yyjson_val *others = yyjson_obj_get(part->schema, "additionalProperties");
        if (name != NULL && has_key(properties, name)) {
            const char *pointer = lp_schema_pointer(w, part->pointer, "properties");
            LP_TRY(lp_schema_add(
                w, value, yyjson_obj_getn(properties, yyjson_get_str(name), yyjson_get_len(name)),
                lp_schema_pointer(w, pointer, yyjson_get_str(name))));
        } else if (others != NULL) {
            LP_TRY(lp_schema_add(w, value, others,
                                 lp_schema_pointer(w, part->pointer, "additionalProperties")));
        }
    }
    return lp_schema_value(w, value, rule);
}

/* ---- Names that are not listed ------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A rule for the rest of a name, behind `at` bytes that names[n] (sorted) begin with: no rest that
 * completes one of them. Characters are plain ones, so that a name is spelt in one way only. */
static lp_status put_other_names(lp_schema_writer *w, const char *const *names, size_t n, size_t at,
                                 char rule[32])
{
    lp_text body = {0}, excluded = {0};
    lp_status status = LP_OK;
    const bool complete = n > 0 && names[0][at] == '\0';
    snprintf(rule, 32, "name%u", w->n_names++);
    lp_schema_put(w, &body, complete ? "" : "| ");
    for (size_t i = complete, end; i < n; i = end) {
        uint32_t code;
        char inner[32];
        const unsigned bytes = lp_utf8_decode(names[i] + at, strlen(names[i] + at), &code);
        for (end = i + 1; end < n && strncmp(names[i] + at, names[end] + at, bytes) == 0;)
            end++;
        LP_CHECK(put_other_names(w, names + i, end - i, at + bytes, inner));
        lp_schema_put_literal(w, &body, names[i] + at, bytes);
        lp_schema_printf(w, &body, "%s | ", inner);
        lp_schema_printf(w, &excluded, "\\U%08X", (unsigned)code);
    }
    lp_schema_put(w, &body, "[^\"\\\\\\x00-\\x1F\\x7F");
    w->no_memory |= lp_text_append(w->ctx, &body, excluded.data, excluded.n) != LP_OK;
    lp_schema_put(w, &body, "] json-plain*");
    lp_schema_printf(w, w->out, "%s ::= ", rule);
    w->no_memory |= lp_text_append(w->ctx, w->out, body.data, body.n) != LP_OK;
    lp_schema_put(w, w->out, "\n");
cleanup:
    lp_text_free(&body);
    lp_text_free(&excluded);
    return status;
}

/* The rule of a member that is not listed: its name is none of the others. */
static lp_status put_other_member(lp_schema_writer *w, const members *m, char rule[32])
{
    const char *names[MAX_MEMBERS];
    char other[32];
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        const char *name = yyjson_get_str(m->list[i].name);
        bool plain = true; /* another one cannot be met by plain characters */
        for (const char *c = name; *c != '\0'; c++)
            plain &= (uint8_t)*c >= 0x20 && *c != 0x7f && *c != '"' && *c != '\\';
        if (plain)
            names[n++] = name;
    }
    qsort(names, n, sizeof *names, compare_names);
    LP_TRY(put_other_names(w, names, n, 0, other));
    snprintf(rule, 32, "other%u", w->n_names++);
    lp_schema_printf(w, w->out, "%s ::= \"\\\"\" %s \"\\\":\" json-ws %s\n", rule, other,
                     m->others);
    return LP_OK;
}

/* ---- Objects ------------------------------------------------------------------------------- */

/* Rules: behind1, what may follow when members were written already and those before 1 are past,
 * and first1, when none was. */
static lp_status put_members(lp_schema_writer *w, const members *m, const char *other,
                             const char **first)
{
    lp_text *out = w->out;
    const unsigned id = w->n_names++;
    size_t i = m->n;
    lp_schema_printf(w, out, "o%u-behind%zu ::= ", id, i);
    if (other != NULL)
        lp_schema_printf(w, out, "(\",\" json-ws %s)*", other);
    else
        lp_schema_put(w, out, "\"\"");
    lp_schema_printf(w, out, "\no%u-first%zu ::= ", id, i);
    if (other != NULL)
        lp_schema_printf(w, out, "| %s o%u-behind%zu", other, id, i);
    else
        lp_schema_put(w, out, "\"\"");
    lp_schema_put(w, out, "\n");
    while (i-- > 0) {
        const member *one = &m->list[i];
        lp_schema_printf(w, out, "o%u-m%zu ::= ", id, i);
        LP_TRY(lp_schema_put_value(w, out, one->name));
        lp_schema_printf(w, out, "\":\" json-ws %s\n", one->value);
        lp_schema_printf(w, out, "o%u-behind%zu ::= (\",\" json-ws o%u-m%zu)%s o%u-behind%zu\n", id,
                         i, id, i, one->required ? "" : "?", id, i + 1);
        lp_schema_printf(w, out, "o%u-first%zu ::= o%u-m%zu o%u-behind%zu", id, i, id, i, id,
                         i + 1);
        if (!one->required)
            lp_schema_printf(w, out, " | o%u-first%zu", id, i + 1);
        lp_schema_put(w, out, "\n");
    }
    char name[40];
    snprintf(name, sizeof name, "o%u-first0", id);
    *first = lp_schema_keep(w, name);
    return LP_OK;
}

/* Counts of members are heeded where they say nothing new. */
static lp_status check_counts(lp_schema_writer *w, const lp_schema_node *node, const members *m)
{
    uint32_t least = 0, most = UINT32_MAX, n_required = 0;
    LP_TRY(lp_schema_count(w, node, "minProperties", true, &least));
    LP_TRY(lp_schema_count(w, node, "maxProperties", false, &most));
    for (size_t i = 0; i < m->n; i++)
        n_required += m->list[i].required;
    for (size_t i = 0; i < node->n; i++) {
        yyjson_val *schema = node->parts[i].schema;
        const char *key =
            yyjson_obj_get(schema, "minProperties") != NULL && least > n_required ? "minProperties"
            : yyjson_obj_get(schema, "maxProperties") != NULL && (most < m->n || m->others != NULL)
                ? "maxProperties"
                : NULL;
        if (key != NULL)
            return lp_schema_fail(w, LP_E_UNSUPPORTED, node->parts[i].pointer, key,
                                  "not supported, unless it follows from properties and required");
    }
    return LP_OK;
}

lp_status lp_schema_object(lp_schema_writer *w, const lp_schema_node *node, lp_text *to,
                           bool *possible)
{
    lp_status status = LP_OK;
    bool open = false, listed = false;
    char other[32];
    const char *first;
    members *m = calloc(1, sizeof *m);
    if (m == NULL)
        return lp_fail_memory(w->ctx, "a JSON schema");
    LP_CHECK(find_members(w, node, m));
    for (size_t i = 0; i < node->n; i++) {
        open |= yyjson_obj_get(node->parts[i].schema, "additionalProperties") != NULL;
        listed |= yyjson_obj_get(node->parts[i].schema, "properties") != NULL;
    }
    *possible = true;
    if (open || !listed) /* of an object of which nothing is said, anything */
        LP_CHECK(find_value(w, node, NULL, &m->others));
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        member one = m->list[i];
        one.required = lp_schema_requires(node, yyjson_get_str(one.name));
        LP_CHECK(find_value(w, node, one.name, &one.value));
        *possible &= one.value != NULL || !one.required;
        m->list[n] = one;
        n += one.value != NULL; /* one that may not be there is still no other name */
        if (one.value == NULL && m->others != NULL) {
            status = lp_schema_fail(w, LP_E_UNSUPPORTED, node->parts[0].pointer, NULL,
                                    "a property that is forbidden by name, with others allowed");
            goto cleanup;
        }
    }
    m->n = n;
    if (!*possible)
        goto cleanup;
    LP_CHECK(check_counts(w, node, m));
    if (m->others != NULL)
        LP_CHECK(put_other_member(w, m, other));
    LP_CHECK(put_members(w, m, m->others != NULL ? other : NULL, &first));
    lp_schema_printf(w, to, "\"{\" json-ws %s json-ws \"}\" ", first);
cleanup:
    free(m);
    return status;
}

/* ---- Arrays -------------------------------------------------------------------------------- */

/* Of a part: the list of schemas for its first items, and the schema of the others. Up to draft
 * 2019 both are called items. */
static yyjson_val *first_items(yyjson_val *schema)
{
    yyjson_val *items = yyjson_obj_get(schema, "items");
    return yyjson_is_arr(items) ? items : yyjson_obj_get(schema, "prefixItems");
}

static yyjson_val *other_items(yyjson_val *schema)
{
    yyjson_val *items = yyjson_obj_get(schema, "items");
    return yyjson_is_arr(items) ? yyjson_obj_get(schema, "additionalItems") : items;
}

/* The rule of item `index`. */
static lp_status find_item(lp_schema_writer *w, const lp_schema_node *node, size_t index,
                           const char **rule)
{
    lp_schema_node *value;
    LP_TRY(lp_schema_new_node(w, &value));
    for (size_t i = 0; i < node->n; i++) {
        yyjson_val *first = first_items(node->parts[i].schema);
        yyjson_val *schema = index < yyjson_arr_size(first) ? yyjson_arr_get(first, index)
                                                            : other_items(node->parts[i].schema);
        const char *pointer = lp_schema_pointer(w, node->parts[i].pointer, "items");
        char step[24];
        snprintf(step, sizeof step, "%zu", index);
        if (index < yyjson_arr_size(first))
            pointer = lp_schema_pointer(w, pointer, step);
        if (schema != NULL)
            LP_TRY(lp_schema_add(w, value, schema, pointer));
    }
    return lp_schema_value(w, value, rule);
}

static lp_status check_items(lp_schema_writer *w, const lp_schema_part *part)
{
    yyjson_val *prefix = yyjson_obj_get(part->schema, "prefixItems");
    if (prefix != NULL && !yyjson_is_arr(prefix))
        return lp_schema_fail(w, LP_E_FORMAT, part->pointer, "prefixItems", "a list is expected");
    if (yyjson_is_true(yyjson_obj_get(part->schema, "uniqueItems")))
        return lp_schema_fail(w, LP_E_UNSUPPORTED, part->pointer, "uniqueItems",
                              "this keyword is not supported");
    return LP_OK;
}

lp_status lp_schema_array(lp_schema_writer *w, const lp_schema_node *node, lp_text *to,
                          bool *possible)
{
    uint32_t least = 0, most = UINT32_MAX, n_first = 0;
    bool open = false;
    const char *other = NULL;
    for (size_t i = 0; i < node->n; i++) {
        yyjson_val *first = first_items(node->parts[i].schema);
        LP_TRY(check_items(w, &node->parts[i]));
        if (yyjson_arr_size(first) > n_first)
            n_first = (uint32_t)yyjson_arr_size(first);
        open |= other_items(node->parts[i].schema) != NULL;
    }
    LP_TRY(lp_schema_count(w, node, "minItems", true, &least));
    LP_TRY(lp_schema_count(w, node, "maxItems", false, &most));
    if (n_first > most)
        n_first = most;
    if (open || n_first == 0 || least > n_first)
        LP_TRY(find_item(w, node, n_first, &other));
    *possible = least <= most && (other != NULL || least <= n_first);
    if (!*possible)
        return LP_OK;
    const uint32_t more_least = least > n_first ? least - n_first : 0, more_most = most - n_first;
    if (more_least > LP_GRAMMAR_MAX_REPEAT ||
        (most != UINT32_MAX && more_most > LP_GRAMMAR_MAX_REPEAT))
        return lp_schema_fail(w, LP_E_LIMIT, node->parts[0].pointer, NULL,
                              "arrays of at most %u items are supported", LP_GRAMMAR_MAX_REPEAT);
    lp_schema_put(w, to, "\"[\" json-ws ");
    for (uint32_t i = 0; i < n_first; i++) {
        const char *rule;
        LP_TRY(find_item(w, node, i, &rule));
        *possible &= rule != NULL;
        lp_schema_printf(w, to, "%s%s ", i > 0 ? "\",\" json-ws " : "", rule != NULL ? rule : "");
    }
    if (other != NULL && more_most > 0) {
        /* without a first one, the comma is missing before the next */
        const bool alone = n_first == 0;
        const uint32_t skip = alone ? 1 : 0;
        if (alone)
            lp_schema_printf(w, to, "%s%s ", more_least == 0 ? "( " : "", other);
        lp_schema_printf(w, to, "(\",\" json-ws %s){%u,", other,
                         more_least > skip ? more_least - skip : 0);
        if (most != UINT32_MAX)
            lp_schema_printf(w, to, "%u", more_most - skip);
        lp_schema_put(w, to, alone && more_least == 0 ? "} )? " : "} ");
    }
    lp_schema_put(w, to, "json-ws \"]\" ");
    return LP_OK;
}
