/* Stop strings: see stop.h. */
#include "text/stop.h"

#include <stdlib.h>
#include <string.h>

/* Gives out and forgets the first n bytes. */
static void give(lp_stop_text *text, size_t n)
{
    if (n > 0 && text->on_text != NULL && !text->refused &&
        text->on_text(text->user, text->held, n) != 0)
        text->refused = true;
    memmove(text->held, text->held + n, text->n_held - n);
    text->n_held -= n;
}

/* Gives out what cannot belong to a stop string; at the one that begins first, what is before it.
 * So what is given out does not depend on how the text came in pieces. */
static void flush(lp_stop_text *text, bool at_end)
{
    size_t keep_from = text->n_held;
    for (size_t at = 0; at < text->n_held && keep_from == text->n_held; at++)
        for (size_t s = 0; s < text->n_stops; s++) {
            const size_t n = strlen(text->stops[s]), left = text->n_held - at;
            if (n == 0 || memcmp(text->held + at, text->stops[s], n < left ? n : left) != 0)
                continue;
            if (n <= left) {
                give(text, at);
                text->n_held = 0;
                text->found = true;
                return;
            }
            if (!at_end)
                keep_from = at;
        }
    give(text, keep_from);
}

static lp_status reserve(lp_context *ctx, lp_stop_text *text, size_t more)
{
    if (text->n_held + more <= text->room)
        return LP_OK;
    const size_t room = 2 * (text->n_held + more);
    char *held = realloc(text->held, room);
    if (held == NULL)
        return lp_fail_memory(ctx, "generated text");
    text->held = held;
    text->room = room;
    return LP_OK;
}

lp_status lp_stop_push(lp_context *ctx, lp_stop_text *text, const char *bytes, size_t n)
{
    if (text->found || text->refused)
        return LP_OK;
    LP_TRY(reserve(ctx, text, 3 * (n + 4)));
    text->n_held += lp_utf8_push(&text->utf8, bytes, n, text->held + text->n_held);
    flush(text, false);
    return LP_OK;
}

lp_status lp_stop_finish(lp_context *ctx, lp_stop_text *text)
{
    if (text->found || text->refused)
        return LP_OK;
    LP_TRY(reserve(ctx, text, 12));
    text->n_held += lp_utf8_finish(&text->utf8, text->held + text->n_held);
    flush(text, true);
    return LP_OK;
}
