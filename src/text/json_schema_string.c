/* Strings: lengths, formats, and regular expressions over the characters of a JSON string. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/grammar.h"
#include "text/json_schema_build.h"
#include "text/utf8.h"

/* RFC 3339 and RFC 4122. Years from 1000 to 2999; no leap seconds; 29 February in years that 4
 * divides and that end no century. */
#define FEBRUARY_YEAR "[12] [0-9] (\"0\" [48] | [2468] [048] | [13579] [26])"
#define DATE                                                                                       \
    "([12] [0-9]{3} \"-\" ((\"0\" [13578] | \"1\" [02]) \"-\" (\"0\" [1-9] | [12] [0-9] | \"3\" "  \
    "[01]) | (\"0\" [469] | \"11\") \"-\" (\"0\" [1-9] | [12] [0-9] | \"30\") | \"02-\" (\"0\" "   \
    "[1-9] | \"1\" [0-9] | \"2\" [0-8])) | " FEBRUARY_YEAR " \"-02-29\") "
#define HOUR_MINUTE "([01] [0-9] | \"2\" [0-3]) \":\" [0-5] [0-9]"
#define TIME        HOUR_MINUTE " \":\" [0-5] [0-9] (\".\" [0-9]{1,6})? (\"Z\" | [-+] " HOUR_MINUTE ") "
#define HEX4        "[0-9a-f]{4}"

static const struct {
    const char *name, *text;
} formats[] = {
    {"date", DATE},
    {"time", TIME},
    {"date-time", DATE "\"T\" " TIME},
    {"uuid", "[0-9a-f]{8} \"-\" " HEX4 " \"-\" " HEX4 " \"-\" " HEX4 " \"-\" [0-9a-f]{12} "},
};

static lp_status put_format(lp_schema_writer *w, const lp_schema_part *part, lp_text *to)
{
    yyjson_val *format = yyjson_obj_get(part->schema, "format");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (yyjson_equals_str(format, formats[i].name)) {
            lp_schema_put(w, to, formats[i].text);
            return LP_OK;
        }
    return lp_schema_fail(w, LP_E_UNSUPPORTED, part->pointer, "format",
                          "date, time, date-time and uuid are supported (pattern says more)");
}

lp_status lp_schema_string(lp_schema_writer *w, const lp_schema_node *node, lp_text *to,
                           bool *possible)
{
    uint32_t least = 0, most = UINT32_MAX;
    const lp_schema_part *form = NULL; /* the one with a pattern or format */
    LP_TRY(lp_schema_count(w, node, "minLength", true, &least));
    LP_TRY(lp_schema_count(w, node, "maxLength", false, &most));
    for (size_t i = 0; i < node->n; i++) {
        yyjson_val *schema = node->parts[i].schema;
        const bool both =
            yyjson_obj_get(schema, "pattern") != NULL && yyjson_obj_get(schema, "format") != NULL;
        if (yyjson_obj_get(schema, "pattern") == NULL && yyjson_obj_get(schema, "format") == NULL)
            continue;
        if (form != NULL || both || least > 0 || most != UINT32_MAX)
            return lp_schema_fail(w, LP_E_UNSUPPORTED, node->parts[i].pointer, NULL,
                                  "of pattern, format and a length, only one is supported at a "
                                  "time");
        form = &node->parts[i];
    }
    *possible = least <= most;
    if (!*possible)
        return LP_OK;
    if (least > LP_GRAMMAR_MAX_REPEAT || (most != UINT32_MAX && most > LP_GRAMMAR_MAX_REPEAT))
        return lp_schema_fail(w, LP_E_LIMIT, node->parts[0].pointer, NULL,
                              "lengths of at most %u are supported", LP_GRAMMAR_MAX_REPEAT);
    lp_schema_put(w, to, "\"\\\"\" ");
    if (form != NULL) {
        yyjson_val *pattern = yyjson_obj_get(form->schema, "pattern");
        if (pattern != NULL && !yyjson_is_str(pattern))
            return lp_schema_fail(w, LP_E_FORMAT, form->pointer, "pattern", "a text is expected");
        LP_TRY(pattern != NULL ? lp_schema_pattern(w, form->pointer, yyjson_get_str(pattern),
                                                   yyjson_get_len(pattern), to)
                               : put_format(w, form, to));
    } else if (most != UINT32_MAX) {
        lp_schema_printf(w, to, "json-char{%u,%u} ", least, most);
    } else {
        lp_schema_printf(w, to, "json-char{%u,} ", least);
    }
    lp_schema_put(w, to, "\"\\\"\" ");
    return LP_OK;
}
