/* The map is a double-array trie (Aoe 1989) in the layout of the library Darts-clone: a unit holds
 * an offset, the label of the edge that leads to it, and whether a value hangs on it; the node
 * behind byte c of node s is offset(s) XOR c. Nothing in it is trusted: each index is checked. */
#include "text/charsmap.h"

#include <string.h>
#include <utf8proc.h>
#include "text/utf8.h"

#define MAX_CLUSTER 6   /* bytes; longer ones are taken apart */
#define MAX_TEXT    255 /* bytes of a replacement; the longest in use has 33 */

static uint32_t offset(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

static uint32_t label(uint32_t unit)
{
    return unit & (1u << 31 | 0xff);
}

static bool has_value(uint32_t unit)
{
    return unit & 1u << 8;
}

lp_status lp_charsmap_read(lp_context *ctx, const char *where, lp_arena *arena, const uint8_t *data,
                           size_t bytes, lp_charsmap *map)
{
    *map = (lp_charsmap){0};
    if (bytes == 0)
        return LP_OK;
    size_t n = bytes < 4
                   ? SIZE_MAX
                   : data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 | (size_t)data[3] << 24;
    if (n > bytes - 4 || n % 4 != 0 || n == 0)
        return lp_fail(ctx, LP_E_FORMAT,
                       "%s: precompiled_charsmap: its trie does not fit into its %zu bytes", where,
                       bytes);
    size_t n_texts = bytes - 4 - n;
    if (n_texts > 0 && data[bytes - 1] != 0)
        return lp_fail(ctx, LP_E_FORMAT, "%s: precompiled_charsmap: the last text does not end",
                       where);
    for (size_t i = 4 + n, start = i; i < bytes; i++) {
        if (data[i] == 0)
            start = i + 1;
        else if (i - start >= MAX_TEXT)
            return lp_fail(ctx, LP_E_LIMIT,
                           "%s: precompiled_charsmap: a text of more than %d bytes", where,
                           MAX_TEXT);
    }
    uint32_t *units = lp_arena_array(arena, n / 4, sizeof *units);
    char *texts = lp_arena_alloc(arena, n_texts ? n_texts : 1);
    if (!units || !texts)
        return lp_fail_memory(ctx, where);
    for (size_t i = 0; i < n / 4; i++) {
        const uint8_t *p = data + 4 + 4 * i;
        units[i] = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
    memcpy(texts, data + 4 + n, n_texts);
    *map = (lp_charsmap){units, n / 4, texts, n_texts};
    return LP_OK;
}

bool lp_charsmap_find(const lp_charsmap *map, const char *text, size_t bytes, bool longest,
                      size_t *length, const char **to, size_t *to_bytes)
{
    bool found = false;
    if (map->n_units == 0)
        return false;
    uint32_t node = offset(map->units[0]);
    for (size_t i = 0; i < bytes && text[i]; i++) {
        uint8_t byte = (uint8_t)text[i];
        node ^= byte;
        if (node >= map->n_units || label(map->units[node]) != byte)
            break;
        uint32_t unit = map->units[node];
        node ^= offset(unit);
        if (!has_value(unit))
            continue;
        uint32_t value = node < map->n_units ? map->units[node] & INT32_MAX : UINT32_MAX;
        if (value >= map->n_texts)
            break;
        found = true;
        *length = i + 1;
        *to = map->texts + value;
        *to_bytes = strlen(*to);
        if (!longest)
            break;
    }
    return found;
}

/* Replaces text[bytes], a character or a cluster, by the rule of its shortest start. */
static lp_status apply_one(lp_context *ctx, const lp_charsmap *map, const char *text, size_t bytes,
                           lp_text *out, bool *done)
{
    size_t length, to_bytes;
    const char *to;
    *done = lp_charsmap_find(map, text, bytes, false, &length, &to, &to_bytes);
    return *done ? lp_text_append(ctx, out, to, to_bytes) : LP_OK;
}

lp_status lp_charsmap_apply(lp_context *ctx, const lp_charsmap *map, const char *text, size_t bytes,
                            lp_text *to)
{
    bool done;
    for (size_t at = 0; at < bytes;) {
        uint32_t code = 0, next = 0;
        size_t n_characters = 1;
        utf8proc_int32_t state = 0;
        unsigned length = lp_utf8_decode(text + at, bytes - at, &code);
        if (length == 0) { /* a broken byte */
            LP_TRY(lp_text_append(ctx, to, text + at, 1));
            at++;
            continue;
        }
        size_t end = at + length;
        while ((length = lp_utf8_decode(text + end, bytes - end, &next)) > 0 &&
               !utf8proc_grapheme_break_stateful((utf8proc_int32_t)code, (utf8proc_int32_t)next,
                                                 &state)) {
            end += length;
            code = next;
            n_characters++;
        }
        done = false;
        if (end - at < MAX_CLUSTER)
            LP_TRY(apply_one(ctx, map, text + at, end - at, to, &done));
        if (done) {
            at = end;
            continue;
        }
        for (; n_characters > 0; n_characters--) {
            length = lp_utf8_decode(text + at, bytes - at, &code);
            LP_TRY(apply_one(ctx, map, text + at, length, to, &done));
            if (!done)
                LP_TRY(lp_text_append(ctx, to, text + at, length));
            at += length;
        }
    }
    return LP_OK;
}
