/* JSON being written with yyjson. NULL values stand for failed allocations; all functions accept
 * them, and `failed` is looked at once, at the end.
 *
 * JSON has no infinity and no NaN; they are the strings "inf", "-inf" and "nan". Names come from
 * files and drivers: bytes that are not UTF-8 become U+FFFD. */
#ifndef LP_CHECK_JSON_WRITER_H
#define LP_CHECK_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <yyjson.h>

typedef struct lp_json_writer {
    yyjson_mut_doc *doc;
    bool failed;
} lp_json_writer;

/* Keys are borrowed. */
void lp_json_add(lp_json_writer *w, yyjson_mut_val *object, const char *key, yyjson_mut_val *value);
void lp_json_append(lp_json_writer *w, yyjson_mut_val *array, yyjson_mut_val *value);
/* Rounded to so many digits; 9 hold every f32. */
yyjson_mut_val *lp_json_number(lp_json_writer *w, double value, int digits);
yyjson_mut_val *lp_json_string(lp_json_writer *w, const char *text);
void lp_json_add_number(lp_json_writer *w, yyjson_mut_val *object, const char *key, double value);
void lp_json_add_count(lp_json_writer *w, yyjson_mut_val *object, const char *key, uint64_t value);
void lp_json_add_string(lp_json_writer *w, yyjson_mut_val *object, const char *key,
                        const char *text);

#endif
