/* Regular expressions in the syntax of tokenizer files (Oniguruma's), run by PCRE2 with limits. */
#ifndef LP_TEXT_PATTERN_H
#define LP_TEXT_PATTERN_H

#include <stdbool.h>
#include "base/context.h"

typedef struct lp_pattern lp_pattern;

/* LP_E_FORMAT if it does not compile; `where` names it in errors. */
lp_status lp_pattern_create(lp_context *ctx, const char *where, const char *text, size_t bytes,
                            lp_pattern **pattern);
void lp_pattern_destroy(lp_pattern *pattern);

/* The next match in text[bytes] (valid UTF-8) that starts at `from` or behind it and is not empty.
 * LP_E_LIMIT if the pattern backtracks too much. */
lp_status lp_pattern_find(lp_context *ctx, const lp_pattern *pattern, const char *text,
                          size_t bytes, size_t from, size_t *start, size_t *end, bool *found);

/* text[bytes] with each byte that is no valid UTF-8 replaced by U+001A, for patterns: like the
 * customary U+FFFD it is neither letter, number, space nor punctuation, but takes one byte, so that
 * offsets stay true. Malloc'ed; NULL when out of memory. */
char *lp_pattern_subject(const char *text, size_t bytes);

#endif
