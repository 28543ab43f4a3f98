/* What a config.json must say for us to go on, see config.h. */
#include "models/config.h"

#include <string.h>

lp_status lp_config_numbers(const lp_config *c, const char *key, uint32_t most, uint32_t *n,
                            uint32_t numbers[LP_CONFIG_NUMBERS])
{
    yyjson_val *array = NULL;
    LP_TRY(lp_json_get_array(c->ctx, c->where, c->root, key, LP_JSON_REQUIRED, &array));
    const size_t size = yyjson_arr_size(array);
    if (size < 1 || size > LP_CONFIG_NUMBERS || (*n != 0 && size != *n))
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: %s: %zu numbers; %u%s are possible", c->where,
                       key, size, *n ? *n : LP_CONFIG_NUMBERS, *n ? "" : " at most");
    for (size_t i = 0; i < size; i++) {
        yyjson_val *value = yyjson_arr_get(array, i);
        if (!yyjson_is_uint(value) || yyjson_get_uint(value) < 1 || yyjson_get_uint(value) > most)
            return lp_fail(c->ctx, LP_E_FORMAT, "%s: %s: a number of 1 to %u is expected", c->where,
                           key, most);
        numbers[i] = (uint32_t)yyjson_get_uint(value);
    }
    *n = (uint32_t)size;
    return LP_OK;
}

lp_status lp_config_numbers_or_one(const lp_config *c, const char *key, uint32_t most, uint32_t n,
                                   uint32_t otherwise, uint32_t numbers[LP_CONFIG_NUMBERS])
{
    yyjson_val *value = yyjson_obj_get(c->root, key);
    if (yyjson_is_arr(value))
        return lp_config_numbers(c, key, most, &n, numbers);
    LP_TRY(lp_config_u32(c, key, LP_JSON_OPTIONAL, &otherwise));
    if (otherwise < 1 || otherwise > most)
        return lp_fail(c->ctx, LP_E_LIMIT, "%s: %s is %u; 1 to %u is possible", c->where, key,
                       otherwise, most);
    for (uint32_t i = 0; i < n; i++)
        numbers[i] = otherwise;
    return LP_OK;
}

lp_status lp_config_must_be(const lp_config *c, const char *key, const char *wanted)
{
    const char *value = wanted;
    LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, key, LP_JSON_OPTIONAL, &value));
    if (strcmp(value, wanted) == 0)
        return LP_OK;
    return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: %s \"%.60s\"; only \"%s\" is supported", c->where,
                   key, value, wanted);
}

lp_status lp_config_must_be_number(const lp_config *c, const char *key, float wanted)
{
    float value = wanted;
    LP_TRY(lp_json_get_f32(c->ctx, c->where, c->root, key, LP_JSON_OPTIONAL, &value));
    if (value == wanted)
        return LP_OK;
    return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: %s %g; only %g is supported", c->where, key,
                   (double)value, (double)wanted);
}

lp_status lp_config_must_be_off(const lp_config *c, const char *key)
{
    yyjson_val *value = yyjson_obj_get(c->root, key);
    if (value == NULL || yyjson_is_null(value) || yyjson_is_false(value))
        return LP_OK;
    const char *text = yyjson_get_str(value);
    return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: %s%s%.60s%s is not supported", c->where, key,
                   text ? " \"" : "", text ? text : "", text ? "\"" : "");
}
