/* A check's report for programs and for people. The functions are public (lapilli.h). */
#ifndef LP_CHECK_REPORT_H
#define LP_CHECK_REPORT_H

#include "base/context.h"
#include "lapilli/check.h"

const char *lp_finding_text(lp_finding finding);
lp_status lp_report_json(lp_context *ctx, const lp_report *report, char **json);
lp_status lp_certificate(lp_context *ctx, const lp_report *report, char **json);
lp_status lp_certificate_diff(lp_context *ctx, const char *name_a, const char *text_a,
                              const char *name_b, const char *text_b, int *same, char **text);
lp_status lp_report_html(lp_context *ctx, const lp_report *report, char **html);

/* Files of src/check/page, embedded, terminated: the page's skeleton, its style, its program. */
extern const unsigned char lp_page_html[], lp_page_css[], lp_page_js[];

#endif
