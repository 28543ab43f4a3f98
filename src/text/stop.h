/* Text on its way to the caller, with stop strings: what may be the start of one is held back until
 * it is known not to be, so that no part of a stop string is ever given out, however tokens cut it.
 */
#ifndef LP_TEXT_STOP_H
#define LP_TEXT_STOP_H

#include "base/context.h"
#include "text/utf8.h"

typedef struct lp_stop_text {
    const char *const *stops; /* empty ones are never found */
    size_t n_stops;
    lp_text_fn on_text; /* may be NULL */
    void *user;
    lp_utf8_stream utf8;
    char *held; /* whole characters, not given out yet; free() it */
    size_t n_held, room;
    bool found, refused; /* a stop string; on_text said no. Nothing is given out any more */
} lp_stop_text;

/* The next bytes of text, which may end within a character. */
lp_status lp_stop_push(lp_context *ctx, lp_stop_text *text, const char *bytes, size_t n);
/* The end of the text: what was held back is given out. */
lp_status lp_stop_finish(lp_context *ctx, lp_stop_text *text);

#endif
