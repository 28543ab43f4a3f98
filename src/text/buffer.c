/* Growing buffers: doubling, so that appending costs constant time on average. */
#include "text/buffer.h"

#include <stdlib.h>
#include <string.h>
#include "text/utf8.h"

void lp_text_free(lp_text *text)
{
    free(text->data);
    *text = (lp_text){0};
}

lp_status lp_text_append(lp_context *ctx, lp_text *text, const char *data, size_t n)
{
    if (n > SIZE_MAX / 2 - text->n)
        return lp_fail_memory(ctx, "a text");
    if (text->n + n >= text->room) { /* also for nothing: `data` is not NULL afterwards */
        size_t room = text->room * 2 > text->n + n ? text->room * 2 : text->n + n + 64;
        char *bigger = realloc(text->data, room);
        if (!bigger)
            return lp_fail_memory(ctx, "a text");
        text->data = bigger;
        text->room = room;
    }
    if (n > 0)
        memcpy(text->data + text->n, data, n);
    text->n += n;
    return LP_OK;
}

lp_status lp_text_append_code(lp_context *ctx, lp_text *text, uint32_t code)
{
    char bytes[4];
    unsigned n = lp_utf8_encode(code, bytes);
    return lp_text_append(ctx, text, bytes, n);
}

void *lp_list_grow(void *list, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return list;
    size_t more = *room ? *room * 2 : 64;
    void *bigger = more <= SIZE_MAX / size ? realloc(list, more * size) : NULL;
    if (bigger)
        *room = more;
    return bigger;
}
