/* Values of JSON, see json_writer.h. */
#include "check/json_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

enum { DIGITS = 9 };

void lp_json_add(lp_json_writer *w, yyjson_mut_val *object, const char *key, yyjson_mut_val *value)
{
    if (!yyjson_mut_obj_add(object, yyjson_mut_str(w->doc, key), value))
        w->failed = true;
}

void lp_json_append(lp_json_writer *w, yyjson_mut_val *array, yyjson_mut_val *value)
{
    if (!yyjson_mut_arr_append(array, value))
        w->failed = true;
}

yyjson_mut_val *lp_json_number(lp_json_writer *w, double value, int digits)
{
    char text[40];
    if (isnan(value))
        return yyjson_mut_str(w->doc, "nan");
    if (isinf(value))
        return yyjson_mut_str(w->doc, value > 0 ? "inf" : "-inf");
    if (value == 0)
        return yyjson_mut_uint(w->doc, 0);
    /* there and back with the same locale; yyjson then writes the shortest text of that number */
    snprintf(text, sizeof(text), "%.*e", digits - 1, value);
    return yyjson_mut_real(w->doc, strtod(text, NULL));
}

yyjson_mut_val *lp_json_string(lp_json_writer *w, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    char *clean = malloc(3 * (n + 8));
    if (!clean)
        return NULL;
    lp_utf8_stream stream = {0};
    size_t bytes = lp_utf8_push(&stream, text ? text : "", n, clean);
    bytes += lp_utf8_finish(&stream, clean + bytes);
    yyjson_mut_val *value = yyjson_mut_strncpy(w->doc, clean, bytes);
    free(clean);
    return value;
}

void lp_json_add_number(lp_json_writer *w, yyjson_mut_val *object, const char *key, double value)
{
    lp_json_add(w, object, key, lp_json_number(w, value, DIGITS));
}

void lp_json_add_count(lp_json_writer *w, yyjson_mut_val *object, const char *key, uint64_t value)
{
    lp_json_add(w, object, key, yyjson_mut_uint(w->doc, value));
}

void lp_json_add_string(lp_json_writer *w, yyjson_mut_val *object, const char *key,
                        const char *text)
{
    lp_json_add(w, object, key, lp_json_string(w, text));
}
