/* Alternatives: values that are listed, and the branches of anyOf and oneOf, which for oneOf must
 * exclude each other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/json_schema_build.h"

lp_status lp_schema_put_list(lp_schema_writer *w, const lp_schema_node *node,
                             const lp_schema_part *part, yyjson_val *list, yyjson_val *constant,
                             lp_text *to, bool *possible)
{
    size_t i, n;
    yyjson_val *one, *key, *value;
    for (size_t k = 0; k < node->n; k++) /* these would have to be tried on each value */
        yyjson_obj_foreach(node->parts[k].schema, i, n, key, value)
        {
            const char *name = yyjson_get_str(key);
            if (lp_schema_about(name) != 0)
                return lp_schema_fail(w, LP_E_UNSUPPORTED, node->parts[k].pointer, name,
                                      "not supported together with enum or const");
        }
    if (list != NULL && !yyjson_is_arr(list))
        return lp_schema_fail(w, LP_E_FORMAT, part->pointer, "enum", "a list is expected");
    *possible = false;
    if (constant != NULL && lp_schema_passes(node, constant)) {
        *possible = true;
        return lp_schema_put_value(w, to, constant);
    }
    if (constant == NULL)
        yyjson_arr_foreach(list, i, n, one)
        {
            if (!lp_schema_passes(node, one))
                continue;
            lp_schema_put(w, to, *possible ? "| " : "");
            LP_TRY(lp_schema_put_value(w, to, one));
            *possible = true;
        }
    return LP_OK;
}

/* ---- Branches ------------------------------------------------------------------------------ */

/* All values of `list` of a conjunction's part: sure if true. */
static bool all_fail(const lp_schema_node *node, yyjson_val *list, yyjson_val *constant)
{
    size_t i, n;
    yyjson_val *one;
    bool fail = constant == NULL || !lp_schema_passes(node, constant);
    yyjson_arr_foreach(list, i, n, one) fail &= !lp_schema_passes(node, one);
    return fail;
}

/* What all parts say of a property, as far as they name it; *closed: one of them forbids it. */
static lp_status property_parts(lp_schema_writer *w, const lp_schema_node *node, const char *name,
                                lp_schema_node *found, bool *closed)
{
    *closed = false;
    for (size_t i = 0; i < node->n; i++) {
        yyjson_val *schema = node->parts[i].schema;
        yyjson_val *value = yyjson_obj_get(yyjson_obj_get(schema, "properties"), name);
        if (value != NULL)
            LP_TRY(lp_schema_add(w, found, value, node->parts[i].pointer));
        else
            *closed |= yyjson_is_false(yyjson_obj_get(schema, "additionalProperties"));
    }
    return LP_OK;
}

/* Objects: a property that one of them must have, and the other must not, or only with other
 * values. */
static bool objects_disjoint(lp_schema_writer *w, const lp_schema_node *a, const lp_schema_node *b)
{
    lp_schema_node *nodes = calloc(2, sizeof *nodes), *x = nodes, *y = nodes + 1;
    bool disjoint = false;
    size_t k, n;
    yyjson_val *one;
    for (size_t i = 0; i < a->n && nodes != NULL; i++)
        yyjson_arr_foreach(yyjson_obj_get(a->parts[i].schema, "required"), k, n, one)
        {
            const char *name = yyjson_get_str(one);
            bool closed_x, closed_y;
            x->n = y->n = 0;
            x->impossible = y->impossible = false;
            if (disjoint || name == NULL || property_parts(w, a, name, x, &closed_x) != LP_OK ||
                property_parts(w, b, name, y, &closed_y) != LP_OK)
                continue;
            /* where b does not need it, it may be absent there, but it is present in a's texts */
            disjoint = closed_y || (x->n > 0 && y->n > 0 && lp_schema_disjoint(w, x, y));
        }
    free(nodes);
    return disjoint;
}

bool lp_schema_disjoint(lp_schema_writer *w, const lp_schema_node *a, const lp_schema_node *b)
{
    yyjson_val *list, *constant;
    bool any_a, any_b;
    if (a->impossible || b->impossible)
        return true;
    if (w->depth >= LP_SCHEMA_MAX_DEPTH || w->n_compared++ >= LP_SCHEMA_MAX_COMPARED)
        return false;
    if (lp_schema_find_list(a, &list, &constant) != NULL && all_fail(b, list, constant))
        return true;
    if (lp_schema_find_list(b, &list, &constant) != NULL && all_fail(a, list, constant))
        return true;
    const unsigned types_a = lp_schema_types(a, &any_a), types_b = lp_schema_types(b, &any_b);
    if (any_a || any_b)
        return false;
    if ((types_a & types_b) != LP_SCHEMA_OBJECT)
        return (types_a & types_b) == 0;
    w->depth++;
    const bool disjoint = objects_disjoint(w, a, b) || objects_disjoint(w, b, a);
    w->depth--;
    return disjoint;
}

lp_status lp_schema_put_branches(lp_schema_writer *w, const lp_schema_node *node, lp_text *to,
                                 bool *found, bool *possible)
{
    enum { MAX_BRANCHES = 256 };
    size_t at = 0, i, n;
    yyjson_val *list = NULL, *one;
    bool exclusive = false;
    for (; at < node->n && list == NULL; at++) {
        const lp_schema_part *part = &node->parts[at];
        list = part->any_of ? NULL : yyjson_obj_get(part->schema, "anyOf");
        exclusive = list == NULL;
        if (list == NULL && !part->one_of)
            list = yyjson_obj_get(part->schema, "oneOf");
    }
    *found = list != NULL;
    if (list == NULL)
        return LP_OK;
    const char *key = exclusive ? "oneOf" : "anyOf", *pointer = node->parts[--at].pointer;
    lp_schema_node *branches[MAX_BRANCHES];
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0 || yyjson_arr_size(list) > MAX_BRANCHES)
        return lp_schema_fail(w, LP_E_FORMAT, pointer, key, "a list of 1 to %d schemas is expected",
                              MAX_BRANCHES);
    *possible = false;
    yyjson_arr_foreach(list, i, n, one)
    {
        const char *name;
        char step[40];
        snprintf(step, sizeof step, "%s/%zu", key, i);
        LP_TRY(lp_schema_new_node(w, &branches[i]));
        *branches[i] = *node;
        branches[i]->parts[at].any_of |= !exclusive;
        branches[i]->parts[at].one_of |= exclusive;
        LP_TRY(lp_schema_add(w, branches[i], one, lp_schema_pointer(w, pointer, step)));
        for (size_t k = 0; k < i && exclusive; k++)
            if (!lp_schema_disjoint(w, branches[k], branches[i]))
                return lp_schema_fail(w, LP_E_UNSUPPORTED, pointer, step,
                                      "may hold together with oneOf/%zu; only alternatives that "
                                      "exclude each other are supported (or use anyOf)",
                                      k);
        LP_TRY(lp_schema_value(w, branches[i], &name));
        if (name != NULL)
            lp_schema_printf(w, to, "%s%s ", *possible ? "| " : "", name);
        *possible |= name != NULL;
    }
    return LP_OK;
}
