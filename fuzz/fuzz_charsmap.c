// A hostile precompiled character map and a text: two bytes say how long the map is. What it gives
// must be whole, and at most a longest text for each byte.
#include <stdint.h>

#include <stdlib.h>
#include <string.h>

#include "text/charsmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lp_context ctx = {0};
    lp_arena arena = {0};
    lp_charsmap map;
    lp_text to = {0};
    if (size < 2)
        return 0;
    size_t bytes = data[0] | (size_t)data[1] << 8;
    if (bytes > size - 2)
        bytes = size - 2;
    const char *text = (const char *)data + 2 + bytes, *rule;
    size_t n = size - 2 - bytes, length, rule_bytes;
    if (lp_charsmap_read(&ctx, "fuzz", &arena, data + 2, bytes, &map) == LP_OK) {
        for (size_t i = 0; i < n; i++)
            if (lp_charsmap_find(&map, text + i, n - i, true, &length, &rule, &rule_bytes) &&
                (length == 0 || length > n - i || rule_bytes > map.n_texts))
                abort();
        if (lp_charsmap_apply(&ctx, &map, text, n, &to) == LP_OK && to.n > n * (255 + 4))
            abort();
    } else if (!ctx.message[0] || strchr(ctx.message, '\n')) {
        abort();
    }
    lp_text_free(&to);
    lp_arena_destroy(&arena);
    return 0;
}
