/* Growing text: see text.h. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool reserve(lp_text *text, size_t bytes)
{
    if (text->failed)
        return false;
    if (bytes <= text->capacity)
        return true;
    size_t capacity = bytes < 1024 ? 1024 : 2 * bytes;
    char *data = realloc(text->data, capacity);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void lp_text_printf(lp_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        text->failed = true;
    else if (reserve(text, text->bytes + (size_t)n + 1)) {
        vsnprintf(text->data + text->bytes, (size_t)n + 1, format, again);
        text->bytes += (size_t)n;
    }
    va_end(again);
}

char *lp_text_take(lp_text *text)
{
    lp_text_printf(text, "%s", "");
    char *data = text->data;
    if (text->failed) {
        free(data);
        data = NULL;
    }
    *text = (lp_text){0};
    return data;
}
