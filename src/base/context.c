/* Status texts, failure details and log lines.
 *
 * Details quote names out of files and prompts, which are hostile: control characters (newlines,
 * terminal escapes) are replaced so that a message is always one harmless line. */
#include "base/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Makes `text` (of `size` bytes, `wanted` before it was cut) one line of whole characters. */
static void tidy(char *text, size_t size, int wanted)
{
    if (wanted < 0)
        text[0] = '\0';
    if (wanted >= 0 && (size_t)wanted >= size) { /* cut: end with dots, not inside a character */
        size_t end = size - 4;
        while (end > 0 && ((uint8_t)text[end] & 0xc0) == 0x80)
            end--;
        memcpy(text + end, "...", 4);
    }
    for (char *p = text; *p; p++) {
        uint8_t c = (uint8_t)*p;
        /* C0 and DEL; and C1, which is C2 80 to C2 9F in UTF-8 */
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && (uint8_t)p[1] >= 0x80 && (uint8_t)p[1] < 0xa0)) {
            *p = '?';
            if (c == 0xc2)
                *++p = '?';
        }
    }
}

lp_status lp_fail(lp_context *ctx, lp_status status, const char *format, ...)
{
    if (ctx) {
        /* formatted aside: an argument may be the previous message */
        char message[sizeof(ctx->message)];
        va_list args;
        va_start(args, format);
        int wanted = vsnprintf(message, sizeof(message), format, args);
        va_end(args);
        tidy(message, sizeof(message), wanted);
        memcpy(ctx->message, message, sizeof(message));
    }
    return status;
}

lp_status lp_fail_memory(lp_context *ctx, const char *what)
{
    return lp_fail(ctx, LP_E_MEMORY, "out of memory for %s", what);
}

void lp_log(lp_context *ctx, lp_log_level level, const char *format, ...)
{
    if (!ctx || !ctx->log || level > ctx->level)
        return;
    char line[1024];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    tidy(line, sizeof(line), wanted);
    ctx->log(ctx->log_user, level, line);
}

const char *lp_status_text(lp_status status)
{
    static const char *const texts[LP_N_STATUSES] = {
#define X(code, text) [LP_##code] = text,
        LP_STATUSES(X)
#undef X
    };
    return (unsigned)status < LP_N_STATUSES ? texts[status] : "unknown status";
}
