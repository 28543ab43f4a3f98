/* Text that grows: for reports and printed plans. After a failed allocation it stays NULL. */
#ifndef LP_BASE_TEXT_H
#define LP_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include "base/context.h"

typedef struct lp_text {
    char *data; /* terminated */
    size_t bytes, capacity;
    bool failed;
} lp_text; /* zero-initialise */

void lp_text_printf(lp_text *text, const char *format, ...) LP_PRINTF(2, 3);
/* The text (malloc'ed, "" if nothing was printed), or NULL when memory ran out. Resets `text`. */
char *lp_text_take(lp_text *text);

#endif
