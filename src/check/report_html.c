/* The report as one HTML page without anything from outside: skeleton, style and program of
 * src/check/page, and the report's JSON in a script element that is data. Every "<" of the JSON
 * stands in a string and becomes \u003c, so that no text of the report can end the element. */
#include "check/report.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What the skeleton's marks stand for. */
typedef struct part {
    const char *mark, *text;
    size_t bytes;
} part;

/* A copy of JSON with every "<" escaped; NULL when out of memory. */
static char *escape(const char *json)
{
    static const char escaped[] = "\\u003c";
    size_t n_less = 0;
    for (const char *p = json; (p = strchr(p, '<')); p++)
        n_less++;
    char *text = malloc(strlen(json) + n_less * sizeof(escaped) + 1), *to = text;
    if (!text)
        return NULL;
    for (const char *p = json; *p; p++) {
        if (*p == '<') {
            memcpy(to, escaped, sizeof(escaped) - 1);
            to += sizeof(escaped) - 1;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
    return text;
}

lp_status lp_report_html(lp_context *ctx, const lp_report *report, char **html)
{
    const char *page = (const char *)lp_page_html;
    char *json = NULL;
    *html = NULL;
    LP_TRY(lp_report_json(ctx, report, &json));
    char *data = escape(json);
    free(json);
    if (!data)
        return lp_fail_memory(ctx, "the report");

    /* in the skeleton's order */
    part parts[] = {{"@style@", (const char *)lp_page_css, 0},
                    {"@report@", data, 0},
                    {"@program@", (const char *)lp_page_js, 0}};
    enum { N_PARTS = sizeof(parts) / sizeof(*parts) };
    size_t bytes = strlen(page) + 1;
    for (int i = 0; i < N_PARTS; i++)
        bytes += parts[i].bytes = strlen(parts[i].text);
    char *to = *html = malloc(bytes);
    for (int i = 0; to && i < N_PARTS; i++) {
        const char *mark = strstr(page, parts[i].mark);
        assert(mark);
        size_t n = (size_t)(mark - page);
        memcpy(to, page, n);
        memcpy(to + n, parts[i].text, parts[i].bytes);
        to += n + parts[i].bytes;
        page = mark + strlen(parts[i].mark);
    }
    if (to)
        strcpy(to, page);
    free(data);
    return *html ? LP_OK : lp_fail_memory(ctx, "the report");
}
