/* Values: making, reading, going through them. */
#include <stdlib.h>

#include "text/jinja_run.h"
#include "text/utf8.h"

const char *lp_jinja_type_name(lp_jinja_value v)
{
    static const char *const kinds[] = {
        [LP_JINJA_MISSING] = "nothing",   [LP_JINJA_UNDEFINED] = "undefined",
        [LP_JINJA_NONE] = "none",         [LP_JINJA_BOOL] = "bool",
        [LP_JINJA_INT] = "int",           [LP_JINJA_FLOAT] = "float",
        [LP_JINJA_STRING] = "str",        [LP_JINJA_SEQUENCE] = "list",
        [LP_JINJA_DICT] = "dict",         [LP_JINJA_NAMESPACE] = "namespace",
        [LP_JINJA_LOOP] = "loop",         [LP_JINJA_MACRO] = "macro",
        [LP_JINJA_FUNCTION] = "function", [LP_JINJA_METHOD] = "method"};
    static const char *const forms[] = {
        [LP_JINJA_LIST] = "list",          [LP_JINJA_TUPLE] = "tuple",
        [LP_JINJA_RANGE] = "range",        [LP_JINJA_KEYS] = "dict_keys",
        [LP_JINJA_VALUES] = "dict_values", [LP_JINJA_ITEMS] = "dict_items",
        [LP_JINJA_GENERATOR] = "generator"};
    return v.kind == LP_JINJA_SEQUENCE ? forms[v.sequence->form] : kinds[v.kind];
}

lp_status lp_jinja_items(lp_jinja *run, size_t n, lp_jinja_value **items)
{
    void *memory;
    LP_TRY(lp_jinja_alloc(run, n, sizeof **items, &memory));
    *items = memory;
    return LP_OK;
}

lp_status lp_jinja_sequence_create(lp_jinja *run, lp_jinja_form form, const lp_jinja_value *items,
                                   size_t n, lp_jinja_value *result)
{
    void *memory;
    LP_TRY(lp_jinja_alloc(run, 1, sizeof(lp_jinja_sequence), &memory));
    lp_jinja_sequence *sequence = memory;
    *sequence = (lp_jinja_sequence){form, items, n};
    *result = (lp_jinja_value){.kind = LP_JINJA_SEQUENCE, .sequence = sequence};
    return LP_OK;
}

lp_status lp_jinja_dict_create(lp_jinja *run, lp_jinja_value *result)
{
    void *memory;
    LP_TRY(lp_jinja_alloc(run, 1, sizeof(lp_jinja_dict), &memory));
    *result = (lp_jinja_value){.kind = LP_JINJA_DICT, .dict = memory};
    return LP_OK;
}

lp_status lp_jinja_dict_find(lp_jinja *run, const lp_jinja_dict *dict, lp_jinja_value key,
                             lp_jinja_value **found)
{
    *found = NULL;
    LP_TRY(lp_jinja_charge(run, dict->n / 16));
    for (size_t i = 0; i < dict->n; i++) {
        const lp_jinja_value *k = &dict->keys[i];
        bool equal = key.kind == LP_JINJA_STRING && k->kind == LP_JINJA_STRING &&
                     lp_jinja_text_equal(k->text, key.text);
        if (key.kind != LP_JINJA_STRING && k->kind != LP_JINJA_STRING)
            LP_TRY(lp_jinja_equal(run, *k, key, &equal));
        if (equal) {
            *found = &dict->values[i];
            break;
        }
    }
    return LP_OK;
}

/* Whether Python accepts a value as a key. */
static bool is_hashable(lp_jinja_value key)
{
    if (key.kind == LP_JINJA_DICT)
        return false;
    if (key.kind != LP_JINJA_SEQUENCE)
        return true;
    if (key.sequence->form != LP_JINJA_TUPLE)
        return key.sequence->form == LP_JINJA_RANGE || key.sequence->form == LP_JINJA_GENERATOR;
    for (size_t i = 0; i < key.sequence->n; i++) /* one level: a tuple in a tuple is no key here */
        if (key.sequence->items[i].kind >= LP_JINJA_SEQUENCE)
            return false;
    return true;
}

lp_status lp_jinja_dict_set(lp_jinja *run, lp_jinja_dict *dict, lp_jinja_value key,
                            lp_jinja_value value)
{
    lp_jinja_value *found;
    if (!is_hashable(key))
        return lp_jinja_fail(run, LP_E_FORMAT, "a %s cannot be a key", lp_jinja_type_name(key));
    LP_TRY(lp_jinja_dict_find(run, dict, key, &found));
    if (found) {
        *found = value;
        return LP_OK;
    }
    if (dict->n == dict->room) {
        const size_t room = dict->room ? 2 * dict->room : 4;
        lp_jinja_value *keys, *values;
        LP_TRY(lp_jinja_items(run, room, &keys));
        LP_TRY(lp_jinja_items(run, room, &values));
        if (dict->n > 0) {
            memcpy(keys, dict->keys, dict->n * sizeof *keys);
            memcpy(values, dict->values, dict->n * sizeof *values);
        }
        dict->keys = keys;
        dict->values = values;
        dict->room = room;
    }
    dict->keys[dict->n] = key;
    dict->values[dict->n++] = value;
    return LP_OK;
}

lp_status lp_jinja_namespace_set(lp_jinja *run, lp_jinja_dict *dict, lp_jinja_text name,
                                 lp_jinja_value value)
{
    if (name.n > 0 && name.data[0] == '_')
        return lp_jinja_fail(run, LP_E_FORMAT,
                             "names of a namespace must not begin with an underscore");
    return lp_jinja_dict_set(run, dict, lp_jinja_string(name), value);
}

/* --- From JSON ----------------------------------------------------------------------------------
 */

static lp_status from_array(lp_jinja *run, yyjson_val *json, lp_jinja_value *value)
{
    lp_jinja_value *items;
    size_t i, n;
    yyjson_val *item;
    LP_TRY(lp_jinja_items(run, yyjson_arr_size(json), &items));
    yyjson_arr_foreach(json, i, n, item) LP_TRY(lp_jinja_from_json(run, item, &items[i]));
    return lp_jinja_sequence_create(run, LP_JINJA_LIST, items, yyjson_arr_size(json), value);
}

static lp_status from_object(lp_jinja *run, yyjson_val *json, lp_jinja_value *value)
{
    size_t i, n;
    yyjson_val *key, *item;
    LP_TRY(lp_jinja_dict_create(run, value));
    yyjson_obj_foreach(json, i, n, key, item)
    {
        const lp_jinja_text name = {yyjson_get_str(key), yyjson_get_len(key)};
        lp_jinja_value member;
        LP_TRY(lp_jinja_from_json(run, item, &member));
        LP_TRY(lp_jinja_dict_set(run, value->dict, lp_jinja_string(name), member));
    }
    return LP_OK;
}

lp_status lp_jinja_from_json(lp_jinja *run, yyjson_val *json, lp_jinja_value *value)
{
    LP_TRY(lp_jinja_enter(run));
    if (yyjson_is_str(json))
        *value = lp_jinja_string((lp_jinja_text){yyjson_get_str(json), yyjson_get_len(json)});
    else if (yyjson_is_bool(json))
        *value = lp_jinja_bool(yyjson_get_bool(json));
    else if (yyjson_is_real(json))
        *value = lp_jinja_float(yyjson_get_real(json));
    else if (yyjson_is_uint(json) && yyjson_get_uint(json) > INT64_MAX)
        return lp_jinja_fail(run, LP_E_UNSUPPORTED, "a variable holds an integer above 2^63");
    else if (yyjson_is_int(json))
        *value = lp_jinja_int(yyjson_get_sint(json));
    else if (yyjson_is_arr(json))
        LP_TRY(from_array(run, json, value));
    else if (yyjson_is_obj(json))
        LP_TRY(from_object(run, json, value));
    else
        *value = lp_jinja_none();
    run->depth--;
    return LP_OK;
}

/* --- Reading ------------------------------------------------------------------------------------
 */

lp_status lp_jinja_refuse_undefined(lp_jinja *run, lp_jinja_value value)
{
    if (value.kind != LP_JINJA_UNDEFINED)
        return LP_OK;
    if (value.owner == LP_JINJA_MISSING)
        return lp_jinja_fail(run, LP_E_FORMAT, "'%.*s' is undefined", (int)value.text.n,
                             value.text.data);
    return lp_jinja_fail(run, LP_E_FORMAT, "a %s has no '%.*s'",
                         lp_jinja_type_name((lp_jinja_value){.kind = value.owner,
                                                             .sequence = &(lp_jinja_sequence){0}}),
                         (int)value.text.n, value.text.data);
}

lp_status lp_jinja_as_integer(lp_jinja *run, lp_jinja_value value, int64_t *integer)
{
    LP_TRY(lp_jinja_refuse_undefined(run, value));
    if (!lp_jinja_is_integer(value))
        return lp_jinja_fail(run, LP_E_FORMAT, "an integer is expected, not a %s",
                             lp_jinja_type_name(value));
    *integer = lp_jinja_integer(value);
    return LP_OK;
}

lp_status lp_jinja_as_text(lp_jinja *run, lp_jinja_value value, lp_jinja_text *text)
{
    LP_TRY(lp_jinja_refuse_undefined(run, value));
    if (value.kind != LP_JINJA_STRING)
        return lp_jinja_fail(run, LP_E_FORMAT, "a str is expected, not a %s",
                             lp_jinja_type_name(value));
    *text = value.text;
    return LP_OK;
}

/* A string's characters. */
static lp_status characters(lp_jinja *run, lp_jinja_text text, const lp_jinja_value **items,
                            size_t *n)
{
    lp_jinja_value *list;
    *n = lp_jinja_length(text);
    LP_TRY(lp_jinja_items(run, *n, &list));
    for (size_t i = 0, at = 0; i < *n; i++) {
        uint32_t code;
        const lp_jinja_text rest = {text.data + at, text.n - at};
        const unsigned length = lp_jinja_decode(rest, &code);
        list[i] = lp_jinja_string((lp_jinja_text){rest.data, length});
        at += length;
    }
    *items = list;
    return LP_OK;
}

lp_status lp_jinja_iterate(lp_jinja *run, lp_jinja_value value, const lp_jinja_value **items,
                           size_t *n)
{
    *items = NULL;
    *n = 0;
    switch (value.kind) {
    case LP_JINJA_UNDEFINED:
        return LP_OK;
    case LP_JINJA_STRING:
        return characters(run, value.text, items, n);
    case LP_JINJA_DICT:
        *items = value.dict->keys;
        *n = value.dict->n;
        break;
    case LP_JINJA_SEQUENCE:
        *items = value.sequence->items;
        *n = value.sequence->n;
        if (value.sequence->form == LP_JINJA_GENERATOR)
            value.sequence->n = 0;
        break;
    default:
        return lp_jinja_fail(run, LP_E_FORMAT, "a %s cannot be gone through",
                             lp_jinja_type_name(value));
    }
    return lp_jinja_charge(run, *n);
}

/* Methods, and the attributes of namespaces and loops; undefined if there is none. */
static lp_status get_attribute(lp_jinja *run, lp_jinja_value object, lp_jinja_text name,
                               lp_jinja_value *result)
{
    lp_jinja_value *found;
    *result = lp_jinja_undefined(object.kind, name);
    LP_TRY(lp_jinja_refuse_undefined(run, object));
    if (object.kind == LP_JINJA_LOOP)
        return lp_jinja_loop_get(run, object.loop, name, result);
    if (object.kind == LP_JINJA_NAMESPACE) {
        LP_TRY(lp_jinja_dict_find(run, object.dict, lp_jinja_string(name), &found));
        if (found)
            *result = *found;
        return LP_OK;
    }
    const lp_jinja_function *row = lp_jinja_method_find(object, name);
    if (row && (row->bound || row->raw)) {
        void *memory;
        LP_TRY(lp_jinja_alloc(run, 1, sizeof(lp_jinja_method), &memory));
        lp_jinja_method *method = memory;
        *method = (lp_jinja_method){row, object};
        *result = (lp_jinja_value){.kind = LP_JINJA_METHOD, .method = method};
    }
    return LP_OK;
}

lp_status lp_jinja_get(lp_jinja *run, lp_jinja_value object, lp_jinja_text name,
                       lp_jinja_value *result)
{
    lp_jinja_value *found;
    LP_TRY(get_attribute(run, object, name, result));
    if (result->kind != LP_JINJA_UNDEFINED || object.kind != LP_JINJA_DICT ||
        lp_jinja_method_find(object, name))
        return LP_OK;
    LP_TRY(lp_jinja_dict_find(run, object.dict, lp_jinja_string(name), &found));
    if (found)
        *result = *found;
    return LP_OK;
}

/* The name of what was not found, for a message. */
static lp_status missing_item(lp_jinja *run, lp_jinja_value object, lp_jinja_value index,
                              lp_jinja_value *result)
{
    lp_jinja_text name;
    LP_TRY(lp_jinja_to_string(run, index, &name));
    *result = lp_jinja_undefined(object.kind, name);
    return LP_OK;
}

lp_status lp_jinja_get_item(lp_jinja *run, lp_jinja_value object, lp_jinja_value index,
                            lp_jinja_value *result)
{
    LP_TRY(lp_jinja_refuse_undefined(run, object));
    const bool integer = lp_jinja_is_integer(index);
    const bool indexed =
        object.kind == LP_JINJA_SEQUENCE && object.sequence->form <= LP_JINJA_RANGE;
    if (object.kind == LP_JINJA_DICT && index.kind != LP_JINJA_DICT) {
        lp_jinja_value *found;
        LP_TRY(lp_jinja_dict_find(run, object.dict, index, &found));
        if (found) {
            *result = *found;
            return LP_OK;
        }
    } else if (integer && (indexed || object.kind == LP_JINJA_STRING)) {
        int64_t at = lp_jinja_integer(index), n;
        LP_TRY(lp_jinja_length_of(run, object, &n));
        at += at < 0 ? n : 0;
        if (at >= 0 && at < n && indexed) {
            *result = object.sequence->items[at];
            return LP_OK;
        }
        if (at >= 0 && at < n) {
            uint32_t code;
            const size_t from = lp_jinja_offset(object.text, (size_t)at);
            lp_jinja_text text = {object.text.data + from, object.text.n - from};
            LP_TRY(lp_jinja_charge(run, from / 64));
            text.n = lp_jinja_decode(text, &code);
            *result = lp_jinja_string(text);
            return LP_OK;
        }
    }
    if (index.kind == LP_JINJA_STRING)
        return get_attribute(run, object, index.text, result);
    return missing_item(run, object, index, result);
}

/* --- Slices -------------------------------------------------------------------------------------
 */

/* A bound of a slice over n items, as Python's slice.indices() gives it. */
static lp_status slice_bound(lp_jinja *run, lp_jinja_value bound, int64_t n, int64_t step,
                             int64_t without, int64_t *at)
{
    *at = without;
    if (bound.kind == LP_JINJA_NONE)
        return LP_OK;
    LP_TRY(lp_jinja_as_integer(run, bound, at));
    if (*at < 0)
        *at = *at < -n ? (step < 0 ? -1 : 0) : *at + n;
    else if (*at >= n)
        *at = step < 0 ? n - 1 : n;
    return LP_OK;
}

lp_status lp_jinja_slice(lp_jinja *run, lp_jinja_value object, const lp_jinja_value bounds[3],
                         lp_jinja_value *result)
{
    int64_t n, start, stop, step = 1;
    LP_TRY(lp_jinja_refuse_undefined(run, object));
    const bool is_text = object.kind == LP_JINJA_STRING;
    if (!is_text && !(object.kind == LP_JINJA_SEQUENCE && object.sequence->form <= LP_JINJA_RANGE))
        return lp_jinja_fail(run, LP_E_FORMAT, "a %s has no slices", lp_jinja_type_name(object));
    LP_TRY(lp_jinja_length_of(run, object, &n));
    if (bounds[2].kind != LP_JINJA_NONE)
        LP_TRY(lp_jinja_as_integer(run, bounds[2], &step));
    if (step == 0)
        return lp_jinja_fail(run, LP_E_FORMAT, "the step of a slice cannot be 0");
    LP_TRY(slice_bound(run, bounds[0], n, step, step < 0 ? n - 1 : 0, &start));
    LP_TRY(slice_bound(run, bounds[1], n, step, step < 0 ? -1 : n, &stop));
    if (step > n)
        step = n + 1;
    if (step < -n)
        step = -n - 1;
    int64_t count = 0;
    if (step > 0 && start < stop)
        count = (stop - start - 1) / step + 1;
    else if (step < 0 && start > stop)
        count = (start - stop - 1) / -step + 1;
    if (step == 1 && is_text) { /* a part of the text as it is */
        const size_t from = lp_jinja_offset(object.text, (size_t)start);
        const lp_jinja_text rest = {object.text.data + from, object.text.n - from};
        *result = lp_jinja_string((lp_jinja_text){rest.data, lp_jinja_offset(rest, (size_t)count)});
        return lp_jinja_charge(run, object.text.n / 64);
    }
    const lp_jinja_form form = is_text ? LP_JINJA_LIST : object.sequence->form;
    if (step == 1)
        return lp_jinja_sequence_create(run, form, object.sequence->items + start, (size_t)count,
                                        result);
    const lp_jinja_value *all;
    lp_jinja_value *items;
    size_t n_all;
    LP_TRY(lp_jinja_iterate(run, object, &all, &n_all));
    LP_TRY(lp_jinja_items(run, (size_t)count, &items));
    for (int64_t i = 0; i < count; i++)
        items[i] = all[start + i * step];
    if (!is_text)
        return lp_jinja_sequence_create(run, form, items, (size_t)count, result);
    const size_t mark = run->out.n;
    for (int64_t i = 0; i < count; i++)
        LP_TRY(lp_jinja_put(run, items[i].text));
    return lp_jinja_take(run, mark, result);
}
