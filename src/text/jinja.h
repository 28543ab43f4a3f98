/* Templates in the subset of Jinja that chat templates are written in, evaluated as jinja2's
 * sandbox evaluates them with the settings of the transformers library (trim_blocks, lstrip_blocks,
 * loop controls): the same text, character by character, or an error. A template can compute a text
 * from its variables and nothing else, within limits of time, memory and depth.
 * https://jinja.palletsprojects.com/en/stable/templates/ */
#ifndef LP_TEXT_JINJA_H
#define LP_TEXT_JINJA_H

#include <yyjson.h>
#include "base/context.h"

typedef struct lp_jinja_template lp_jinja_template;

/* `where` names the template in errors ("WHERE: line 3, column 7: ..."). LP_E_FORMAT for what is no
 * template, LP_E_UNSUPPORTED for what is one, but not of this subset, LP_E_LIMIT above 1 MiB. */
lp_status lp_jinja_parse(lp_context *ctx, const char *where, const char *source, size_t bytes,
                         lp_jinja_template **result);
void lp_jinja_destroy(lp_jinja_template *template);

/* The text that the template makes of its variables: the members of `variables` (n objects; a later
 * one wins). *text is malloc'ed and ended by NUL. `now`: seconds since 1970 on the local clock, for
 * strftime_now(); 0: the template finds no such function. LP_E_ARG with the template's own words
 * when it calls raise_exception(); LP_E_FORMAT for a wrong operation, LP_E_LIMIT for a template
 * that does not come to an end. */
lp_status lp_jinja_render(lp_context *ctx, const lp_jinja_template *template,
                          yyjson_val *const *variables, size_t n, int64_t now, char **text,
                          size_t *bytes);

#endif
