/* JSON glue. yyjson parses without recursion and refuses invalid UTF-8, so hostile text is safe. */
#include "base/json.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include "base/file.h"

static lp_status parse(lp_context *ctx, const char *where, const char *text, size_t bytes,
                       yyjson_read_flag flags, yyjson_doc **doc)
{
    *doc = NULL;
    if (bytes == 0)
        return lp_fail(ctx, LP_E_FORMAT, "%s: JSON expected, nothing found", where);
    yyjson_read_err error = {0};
    /* without YYJSON_READ_INSITU the text is not changed */
    yyjson_doc *read = yyjson_read_opts((char *)(uintptr_t)text, bytes, flags, NULL, &error);
    if (!read) {
        if (error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
            return lp_fail_memory(ctx, where);
        return lp_fail(ctx, LP_E_FORMAT, "%s: JSON: %s at byte %zu", where, error.msg, error.pos);
    }
    if (!yyjson_is_obj(yyjson_doc_get_root(read))) {
        yyjson_doc_free(read);
        return lp_fail(ctx, LP_E_FORMAT, "%s: JSON: an object is expected", where);
    }
    *doc = read;
    return LP_OK;
}

lp_status lp_json_parse(lp_context *ctx, const char *where, const char *text, size_t bytes,
                        yyjson_doc **doc)
{
    return parse(ctx, where, text, bytes, YYJSON_READ_NOFLAG, doc);
}

static lp_status open_file(lp_context *ctx, const char *path, yyjson_read_flag flags,
                           yyjson_doc **doc)
{
    lp_file file;
    *doc = NULL;
    LP_TRY(lp_file_open(ctx, path, &file));
    lp_status status = parse(ctx, path, (const char *)file.data, file.bytes, flags, doc);
    lp_file_close(&file);
    return status;
}

lp_status lp_json_open(lp_context *ctx, const char *path, yyjson_doc **doc)
{
    return open_file(ctx, path, YYJSON_READ_NOFLAG, doc);
}

lp_status lp_json_open_infinite(lp_context *ctx, const char *path, yyjson_doc **doc)
{
    return open_file(ctx, path, YYJSON_READ_ALLOW_INF_AND_NAN, doc);
}

/* *found = NULL and LP_OK: missing and optional. */
static lp_status find(lp_context *ctx, const char *where, yyjson_val *object, const char *key,
                      lp_json_need need, yyjson_val **found)
{
    yyjson_val *value = yyjson_obj_get(object, key);
    *found = yyjson_is_null(value) ? NULL : value;
    if (!*found && need == LP_JSON_REQUIRED)
        return lp_fail(ctx, LP_E_MISSING, "%s: %s is missing", where, key);
    return LP_OK;
}

static lp_status mismatch(lp_context *ctx, const char *where, const char *key, const char *wanted,
                          yyjson_val *value)
{
    return lp_fail(ctx, LP_E_FORMAT, "%s: %s: %s expected, file has %s", where, key, wanted,
                   yyjson_get_type_desc(value));
}

lp_status lp_json_get_u32(lp_context *ctx, const char *where, yyjson_val *object, const char *key,
                          lp_json_need need, uint32_t *value)
{
    yyjson_val *found;
    LP_TRY(find(ctx, where, object, key, need, &found));
    if (!found)
        return LP_OK;
    if (!yyjson_is_int(found))
        return mismatch(ctx, where, key, "integer", found);
    if (!yyjson_is_uint(found) || yyjson_get_uint(found) > UINT32_MAX)
        return lp_fail(ctx, LP_E_FORMAT, "%s: %s: must lie between 0 and 4294967295", where, key);
    *value = (uint32_t)yyjson_get_uint(found);
    return LP_OK;
}

lp_status lp_json_get_f32(lp_context *ctx, const char *where, yyjson_val *object, const char *key,
                          lp_json_need need, float *value)
{
    yyjson_val *found;
    LP_TRY(find(ctx, where, object, key, need, &found));
    if (!found)
        return LP_OK;
    if (!yyjson_is_num(found))
        return mismatch(ctx, where, key, "number", found);
    double number = yyjson_get_num(found);
    if (!(fabs(number) <= (double)FLT_MAX))
        return lp_fail(ctx, LP_E_FORMAT, "%s: %s: too large for single precision", where, key);
    *value = (float)number;
    return LP_OK;
}

lp_status lp_json_get_bool(lp_context *ctx, const char *where, yyjson_val *object, const char *key,
                           lp_json_need need, bool *value)
{
    yyjson_val *found;
    LP_TRY(find(ctx, where, object, key, need, &found));
    if (!found)
        return LP_OK;
    if (!yyjson_is_bool(found))
        return mismatch(ctx, where, key, "true or false", found);
    *value = yyjson_get_bool(found);
    return LP_OK;
}

lp_status lp_json_get_string(lp_context *ctx, const char *where, yyjson_val *object,
                             const char *key, lp_json_need need, const char **value)
{
    yyjson_val *found;
    LP_TRY(find(ctx, where, object, key, need, &found));
    if (!found)
        return LP_OK;
    if (!yyjson_is_str(found))
        return mismatch(ctx, where, key, "string", found);
    if (strlen(yyjson_get_str(found)) != yyjson_get_len(found))
        return lp_fail(ctx, LP_E_FORMAT, "%s: %s: NUL inside a string", where, key);
    *value = yyjson_get_str(found);
    return LP_OK;
}

lp_status lp_json_get_object(lp_context *ctx, const char *where, yyjson_val *object,
                             const char *key, lp_json_need need, yyjson_val **value)
{
    yyjson_val *found;
    LP_TRY(find(ctx, where, object, key, need, &found));
    if (!found)
        return LP_OK;
    if (!yyjson_is_obj(found))
        return mismatch(ctx, where, key, "object", found);
    *value = found;
    return LP_OK;
}

lp_status lp_json_get_array(lp_context *ctx, const char *where, yyjson_val *object, const char *key,
                            lp_json_need need, yyjson_val **value)
{
    yyjson_val *found;
    LP_TRY(find(ctx, where, object, key, need, &found));
    if (!found)
        return LP_OK;
    if (!yyjson_is_arr(found))
        return mismatch(ctx, where, key, "array", found);
    *value = found;
    return LP_OK;
}
