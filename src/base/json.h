/* JSON out of files by way of yyjson: typed getters whose errors name the file and the key. */
#ifndef LP_BASE_JSON_H
#define LP_BASE_JSON_H

#include <stdbool.h>
#include <yyjson.h>
#include "base/context.h"

/* Parses text; its root must be an object. `where` names it in errors ("DIR/config.json"). The
 * caller frees with yyjson_doc_free(). LP_E_FORMAT with the place of the mistake. */
lp_status lp_json_parse(lp_context *ctx, const char *where, const char *text, size_t bytes,
                        yyjson_doc **doc);
/* The same for a file. */
lp_status lp_json_open(lp_context *ctx, const char *path, yyjson_doc **doc);
/* The same with Infinity and NaN, which Python writes although they are no JSON. */
lp_status lp_json_open_infinite(lp_context *ctx, const char *path, yyjson_doc **doc);

typedef enum lp_json_need {
    LP_JSON_OPTIONAL, /* a missing key (or null) is fine: *value stays as it is */
    LP_JSON_REQUIRED  /* a missing key is LP_E_MISSING */
} lp_json_need;

/* Member `key` of `object`. LP_E_FORMAT, "WHERE: KEY: integer expected, file has string", if it has
 * another type or does not fit. */
lp_status lp_json_get_u32(lp_context *ctx, const char *where, yyjson_val *object, const char *key,
                          lp_json_need need, uint32_t *value);
/* Any number; finite and within f32. */
lp_status lp_json_get_f32(lp_context *ctx, const char *where, yyjson_val *object, const char *key,
                          lp_json_need need, float *value);
lp_status lp_json_get_bool(lp_context *ctx, const char *where, yyjson_val *object, const char *key,
                           lp_json_need need, bool *value);
/* Borrowed from the document; a string with NUL inside is refused. */
lp_status lp_json_get_string(lp_context *ctx, const char *where, yyjson_val *object,
                             const char *key, lp_json_need need, const char **value);
lp_status lp_json_get_object(lp_context *ctx, const char *where, yyjson_val *object,
                             const char *key, lp_json_need need, yyjson_val **value);
lp_status lp_json_get_array(lp_context *ctx, const char *where, yyjson_val *object, const char *key,
                            lp_json_need need, yyjson_val **value);

#endif
