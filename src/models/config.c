/* Values of a config.json, see config.h. */
#include "models/config.h"

#include <stdio.h>
#include <string.h>

const char *lp_config_key(yyjson_val *object, const char *keys, char found[64])
{
    while (*keys) {
        size_t n = strcspn(keys, " ");
        yyjson_val *value = yyjson_obj_getn(object, keys, n);
        if (value && !yyjson_is_null(value)) {
            snprintf(found, 64, "%.*s", (int)n, keys);
            return found;
        }
        keys += n;
        keys += strspn(keys, " ");
    }
    return NULL;
}

lp_status lp_config_u32(const lp_config *c, const char *keys, lp_json_need need, uint32_t *value)
{
    char text[64];
    const char *key = lp_config_key(c->root, keys, text);
    if (key)
        return lp_json_get_u32(c->ctx, c->where, c->root, key, need, value);
    if (need != LP_JSON_REQUIRED)
        return LP_OK;
    return lp_fail(c->ctx, LP_E_MISSING, "%s: key %s is missing%s", c->where, keys,
                   strchr(keys, ' ') ? " (one of these)" : "");
}

lp_status lp_config_f32(const lp_config *c, const char *keys, float *value)
{
    char text[64];
    const char *key = lp_config_key(c->root, keys, text);
    return key ? lp_json_get_f32(c->ctx, c->where, c->root, key, LP_JSON_OPTIONAL, value) : LP_OK;
}

lp_status lp_config_positive(const lp_config *c, const char *keys, float *value)
{
    char text[64];
    const char *key = lp_config_key(c->root, keys, text);
    if (!key)
        return LP_OK;
    LP_TRY(lp_json_get_f32(c->ctx, c->where, c->root, key, LP_JSON_OPTIONAL, value));
    if (*value > 0)
        return LP_OK;
    return lp_fail(c->ctx, LP_E_FORMAT, "%s: %s is %g; it must be positive", c->where, key,
                   (double)*value);
}

lp_status lp_config_bool(const lp_config *c, const char *keys, bool *value)
{
    char text[64];
    const char *key = lp_config_key(c->root, keys, text);
    return key ? lp_json_get_bool(c->ctx, c->where, c->root, key, LP_JSON_OPTIONAL, value) : LP_OK;
}
