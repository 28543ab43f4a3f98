/* What a conjunction of schemas says: its keywords, what its references lead to, its types, and
 * which of the values that it lists pass. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/json_schema_build.h"

/* ---- Keywords ------------------------------------------------------------------------------ */

/* What a keyword is about; 0: nothing of the text. */
static const struct keyword {
    const char *name;
    unsigned types;
} keywords[] = {
    {"type", 0},
    {"enum", 0},
    {"const", 0},
    {"$ref", 0},
    {"allOf", 0},
    {"anyOf", 0},
    {"oneOf", 0},
    {"nullable", 0},
    {"properties", LP_SCHEMA_OBJECT},
    {"required", LP_SCHEMA_OBJECT},
    {"additionalProperties", LP_SCHEMA_OBJECT},
    {"minProperties", LP_SCHEMA_OBJECT},
    {"maxProperties", LP_SCHEMA_OBJECT},
    {"items", LP_SCHEMA_ARRAY},
    {"prefixItems", LP_SCHEMA_ARRAY},
    {"additionalItems", LP_SCHEMA_ARRAY},
    {"minItems", LP_SCHEMA_ARRAY},
    {"maxItems", LP_SCHEMA_ARRAY},
    {"uniqueItems", LP_SCHEMA_ARRAY},
    {"minLength", LP_SCHEMA_STRING},
    {"maxLength", LP_SCHEMA_STRING},
    {"pattern", LP_SCHEMA_STRING},
    {"format", LP_SCHEMA_STRING},
    {"minimum", LP_SCHEMA_INTEGER | LP_SCHEMA_FRACTION},
    {"maximum", LP_SCHEMA_INTEGER | LP_SCHEMA_FRACTION},
    {"exclusiveMinimum", LP_SCHEMA_INTEGER | LP_SCHEMA_FRACTION},
    {"exclusiveMaximum", LP_SCHEMA_INTEGER | LP_SCHEMA_FRACTION},
    {"title", 0},
    {"description", 0},
    {"default", 0},
    {"examples", 0},
    {"example", 0},
    {"deprecated", 0},
    {"readOnly", 0},
    {"writeOnly", 0},
    {"contentEncoding", 0},
    {"contentMediaType", 0},
    {"contentSchema", 0},
    {"externalDocs", 0},
    {"xml", 0},
    {"discriminator", 0},
    {"definitions", 0},
    {"$defs", 0},
    {"$schema", 0},
    {"$id", 0},
    {"$anchor", 0},
    {"$comment", 0},
};

static const struct keyword *find_keyword(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    return NULL;
}

unsigned lp_schema_about(const char *name)
{
    const struct keyword *keyword = find_keyword(name);
    return keyword != NULL ? keyword->types : 0;
}

/* A keyword that is not heeded would make the texts wrong: better none. */
static lp_status check_keywords(lp_schema_writer *w, yyjson_val *schema, const char *pointer)
{
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(schema, i, n, key, value)
    {
        const char *name = yyjson_get_str(key);
        if (find_keyword(name) == NULL && strncmp(name, "x-", 2) != 0)
            return lp_schema_fail(w, LP_E_UNSUPPORTED, pointer, name,
                                  "this keyword is not supported");
    }
    return LP_OK;
}

lp_status lp_schema_count(lp_schema_writer *w, const lp_schema_node *node, const char *key,
                          bool largest, uint32_t *value)
{
    bool any = false;
    for (size_t i = 0; i < node->n; i++) {
        yyjson_val *given = yyjson_obj_get(node->parts[i].schema, key);
        if (given == NULL)
            continue;
        const double number = yyjson_get_num(given);
        if (!yyjson_is_num(given) || !(number >= 0 && number <= 1e9) ||
            number != (double)(uint32_t)number)
            return lp_schema_fail(w, LP_E_FORMAT, node->parts[i].pointer, key,
                                  "a whole number from 0 on is expected");
        const uint32_t count = (uint32_t)number;
        if (!any || (largest ? count > *value : count < *value))
            *value = count;
        any = true;
    }
    return LP_OK;
}

/* ---- References and conjunctions ----------------------------------------------------------- */

/* The schemas that led here by $ref and allOf, innermost first. */
typedef struct chain {
    const struct chain *outer;
    yyjson_val *schema;
    unsigned depth;
} chain;

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* One step of a JSON pointer (RFC 6901) in a URI: %XX, then ~0 and ~1. Returns its end. */
static const char *read_step(const char *from, char *to)
{
    for (; *from != '\0' && *from != '/'; from++) {
        char c = *from;
        if (c == '%' && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
            c = (char)(hex_digit(from[1]) << 4 | hex_digit(from[2]));
            from += 2;
        } else if (c == '~' && (from[1] == '0' || from[1] == '1')) {
            c = *++from == '0' ? '~' : '/';
        }
        *to++ = c;
    }
    *to = '\0';
    return from;
}

static lp_status find_reference(lp_schema_writer *w, const char *pointer, yyjson_val *ref,
                                yyjson_val **target)
{
    const char *text = yyjson_get_str(ref);
    char step[512];
    if (text == NULL || text[0] != '#' || (text[1] != '\0' && text[1] != '/') ||
        strlen(text) >= sizeof step)
        return lp_schema_fail(
            w, LP_E_UNSUPPORTED, pointer, "$ref",
            "only references into the schema itself are followed: #, #/$defs/NAME");
    *target = w->root;
    for (const char *at = text + 1; *at == '/' && *target != NULL;) {
        at = read_step(at + 1, step);
        if (yyjson_is_arr(*target)) {
            char *end;
            const unsigned long index = strtoul(step, &end, 10);
            *target = end > step && *end == '\0' ? yyjson_arr_get(*target, index) : NULL;
        } else {
            *target = yyjson_obj_get(*target, step);
        }
    }
    return *target != NULL
               ? LP_OK
               : lp_schema_fail(w, LP_E_FORMAT, pointer, "$ref", "there is no %.200s", text);
}

static lp_status add_schema(lp_schema_writer *w, lp_schema_node *node, yyjson_val *schema,
                            const char *pointer, const chain *outer)
{
    const chain here = {outer, schema, outer != NULL ? outer->depth + 1 : 1};
    if (yyjson_is_bool(schema)) {
        node->impossible |= !yyjson_get_bool(schema);
        return LP_OK;
    }
    if (!yyjson_is_obj(schema))
        return lp_schema_fail(w, LP_E_FORMAT, pointer, NULL,
                              "a schema is an object, true or false, not %s",
                              yyjson_get_type_desc(schema));
    for (const chain *c = outer; c != NULL; c = c->outer)
        if (c->schema == schema)
            return lp_schema_fail(w, LP_E_FORMAT, pointer, NULL,
                                  "leads back to itself with nothing in between");
    for (size_t i = 0; i < node->n; i++)
        if (node->parts[i].schema == schema)
            return node->parts[i].any_of || node->parts[i].one_of
                       ? lp_schema_fail(w, LP_E_FORMAT, pointer, NULL,
                                        "leads back to itself with nothing in between")
                       : LP_OK;
    LP_TRY(check_keywords(w, schema, pointer));
    if (node->n == LP_SCHEMA_MAX_PARTS || here.depth > LP_SCHEMA_MAX_DEPTH)
        return lp_schema_fail(w, LP_E_LIMIT, pointer, NULL, "more than %d schemas for one place",
                              node->n == LP_SCHEMA_MAX_PARTS ? LP_SCHEMA_MAX_PARTS
                                                             : LP_SCHEMA_MAX_DEPTH);
    node->parts[node->n++] = (lp_schema_part){.schema = schema, .pointer = pointer};
    yyjson_val *ref = yyjson_obj_get(schema, "$ref"), *all = yyjson_obj_get(schema, "allOf"), *one;
    size_t i, n;
    if (ref != NULL) {
        yyjson_val *target;
        LP_TRY(find_reference(w, pointer, ref, &target));
        LP_TRY(add_schema(w, node, target, lp_schema_keep(w, yyjson_get_str(ref) + 1), &here));
    }
    if (all != NULL && !yyjson_is_arr(all))
        return lp_schema_fail(w, LP_E_FORMAT, pointer, "allOf", "a list is expected");
    yyjson_arr_foreach(all, i, n, one)
    {
        char step[40];
        snprintf(step, sizeof step, "allOf/%zu", i);
        LP_TRY(add_schema(w, node, one, lp_schema_pointer(w, pointer, step), &here));
    }
    return LP_OK;
}

lp_status lp_schema_add(lp_schema_writer *w, lp_schema_node *node, yyjson_val *schema,
                        const char *pointer)
{
    return add_schema(w, node, schema, pointer, NULL);
}

lp_status lp_schema_new_node(lp_schema_writer *w, lp_schema_node **node)
{
    *node = lp_arena_alloc(&w->arena, sizeof **node);
    return *node != NULL ? LP_OK : lp_fail_memory(w->ctx, "a JSON schema");
}

/* ---- Types --------------------------------------------------------------------------------- */

static unsigned type_by_name(yyjson_val *name)
{
    static const struct {
        const char *name;
        unsigned types;
    } all[] = {
        {"null", LP_SCHEMA_NULL},       {"boolean", LP_SCHEMA_BOOLEAN},
        {"integer", LP_SCHEMA_INTEGER}, {"number", LP_SCHEMA_INTEGER | LP_SCHEMA_FRACTION},
        {"string", LP_SCHEMA_STRING},   {"array", LP_SCHEMA_ARRAY},
        {"object", LP_SCHEMA_OBJECT},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (yyjson_equals_str(name, all[i].name))
            return all[i].types;
    return 0;
}

lp_status lp_schema_check_type(lp_schema_writer *w, const lp_schema_part *part)
{
    yyjson_val *type = yyjson_obj_get(part->schema, "type"), *one;
    size_t i, n;
    bool good = type == NULL || type_by_name(type) != 0 || yyjson_arr_size(type) > 0;
    yyjson_arr_foreach(type, i, n, one) good &= type_by_name(one) != 0;
    return good ? LP_OK
                : lp_schema_fail(w, LP_E_FORMAT, part->pointer, "type",
                                 "one or several of null, boolean, integer, number, string, array, "
                                 "object are expected");
}

unsigned lp_schema_types(const lp_schema_node *node, bool *any)
{
    unsigned types = LP_SCHEMA_ALL, about = 0;
    bool named = false;
    size_t k, n;
    yyjson_val *one, *key, *value;
    for (size_t i = 0; i < node->n; i++) {
        yyjson_val *schema = node->parts[i].schema, *type = yyjson_obj_get(schema, "type");
        unsigned here = type_by_name(type);
        yyjson_arr_foreach(type, k, n, one) here |= type_by_name(one);
        if (yyjson_is_true(yyjson_obj_get(schema, "nullable")))
            here |= type != NULL ? LP_SCHEMA_NULL : 0;
        if (type != NULL)
            types &= here;
        named |= type != NULL;
        yyjson_obj_foreach(schema, k, n, key, value)
        {
            about |= lp_schema_about(yyjson_get_str(key));
        }
    }
    *any = !named && about == 0;
    return named || about == 0 ? types : types & about;
}

/* ---- Values that are listed ---------------------------------------------------------------- */

static bool equal(yyjson_val *a, yyjson_val *b)
{
    return yyjson_equals(a, b) ||
           (yyjson_is_num(a) && yyjson_is_num(b) && yyjson_get_num(a) == yyjson_get_num(b));
}

static bool allows(yyjson_val *schema, yyjson_val *value)
{
    yyjson_val *constant = yyjson_obj_get(schema, "const"), *list = yyjson_obj_get(schema, "enum");
    yyjson_val *one;
    size_t i, n;
    bool found = list == NULL;
    yyjson_arr_foreach(list, i, n, one) found |= equal(one, value);
    return found && (constant == NULL || equal(constant, value));
}

static unsigned type_of(yyjson_val *value)
{
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL:
        return LP_SCHEMA_NULL;
    case YYJSON_TYPE_BOOL:
        return LP_SCHEMA_BOOLEAN;
    case YYJSON_TYPE_NUM: {
        const double x = yyjson_get_num(value);
        return yyjson_is_int(value) || (x >= -1e18 && x <= 1e18 && x == (double)(int64_t)x)
                   ? LP_SCHEMA_INTEGER
                   : LP_SCHEMA_FRACTION;
    }
    case YYJSON_TYPE_STR:
        return LP_SCHEMA_STRING;
    case YYJSON_TYPE_ARR:
        return LP_SCHEMA_ARRAY;
    default:
        return LP_SCHEMA_OBJECT;
    }
}

bool lp_schema_passes(const lp_schema_node *node, yyjson_val *value)
{
    bool any, good = true;
    for (size_t i = 0; i < node->n; i++)
        good &= allows(node->parts[i].schema, value);
    const unsigned types = lp_schema_types(node, &any);
    return good && (any || (types & type_of(value)) != 0);
}

const lp_schema_part *lp_schema_find_list(const lp_schema_node *node, yyjson_val **list,
                                          yyjson_val **constant)
{
    for (size_t i = 0; i < node->n; i++) {
        *list = yyjson_obj_get(node->parts[i].schema, "enum");
        *constant = yyjson_obj_get(node->parts[i].schema, "const");
        if (*list != NULL || *constant != NULL)
            return &node->parts[i];
    }
    return NULL;
}

bool lp_schema_requires(const lp_schema_node *node, const char *name)
{
    size_t k, n;
    yyjson_val *one;
    for (size_t i = 0; i < node->n; i++)
        yyjson_arr_foreach(yyjson_obj_get(node->parts[i].schema, "required"), k, n, one)
        {
            if (yyjson_equals_str(one, name))
                return true;
        }
    return false;
}
