/* Text being built: bytes that grow as needed. */
#ifndef LP_TEXT_BUFFER_H
#define LP_TEXT_BUFFER_H

#include "base/context.h"

typedef struct lp_text {
    char *data;
    size_t n, room;
} lp_text; /* zero-initialise */

void lp_text_free(lp_text *text);
lp_status lp_text_append(lp_context *ctx, lp_text *text, const char *data, size_t n);
/* Appends a character's UTF-8. */
lp_status lp_text_append_code(lp_context *ctx, lp_text *text, uint32_t code);
/* `list` with room for one more element of `size` bytes behind n; NULL when out of memory. */
void *lp_list_grow(void *list, size_t n, size_t *room, size_t size);

#endif
