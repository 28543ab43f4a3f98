/* Texts in PNG files: see png_texts.h. */
#include "image/png_texts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIGNATURE = 8,
    FRAME = 12, /* of a chunk: length, kind, checksum */
    MOST_KEYWORD = 79,
};

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* CRC-32 as PNG has it (annex D of the specification). */
static uint32_t checksum(const uint8_t *data, size_t bytes)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* n bytes, which may be Latin-1, as a string of UTF-8; NULL when out of memory. */
static char *copy_text(const uint8_t *text, size_t n, bool latin1)
{
    char *copy = malloc(2 * n + 1);
    size_t at = 0;
    for (size_t i = 0; copy != NULL && i < n && text[i] != 0; i++) {
        if (latin1 && text[i] >= 0x80) {
            copy[at++] = (char)(0xC0 | text[i] >> 6);
            copy[at++] = (char)(0x80 | (text[i] & 0x3F));
        } else {
            copy[at++] = (char)text[i];
        }
    }
    if (copy != NULL)
        copy[at] = '\0';
    return copy;
}

/* From behind an iTXt chunk's keyword to its text: over compression flag and method, language,
 * translated keyword. False for one that is compressed or broken. */
static bool find_text(const uint8_t *data, size_t bytes, size_t *at)
{
    if (bytes - *at < 2 || data[*at] != 0)
        return false;
    *at += 2;
    for (int k = 0; k < 2; k++) {
        const uint8_t *end = *at < bytes ? memchr(data + *at, 0, bytes - *at) : NULL;
        if (end == NULL)
            return false;
        *at = (size_t)(end - data) + 1;
    }
    return true;
}

/* A chunk's keyword and text, if it is one. */
static lp_status take_chunk(lp_context *ctx, const uint8_t *kind, const uint8_t *data, size_t bytes,
                            lp_fact *texts, size_t *n)
{
    const bool latin1 = memcmp(kind, "tEXt", 4) == 0;
    const uint8_t *end = bytes > 0 ? memchr(data, 0, bytes) : NULL;
    if ((!latin1 && memcmp(kind, "iTXt", 4) != 0) || end == NULL || *n == LP_PNG_TEXTS)
        return LP_OK;
    const size_t length = (size_t)(end - data);
    size_t at = length + 1;
    if (!latin1 && !find_text(data, bytes, &at))
        return LP_OK;
    char *name = copy_text(data, length, true), *value = copy_text(data + at, bytes - at, latin1);
    if (name == NULL || value == NULL) {
        free(name);
        free(value);
        return lp_fail_memory(ctx, "a picture's texts");
    }
    texts[(*n)++] = (lp_fact){name, value, 0};
    return LP_OK;
}

lp_status lp_png_texts_read(lp_context *ctx, const uint8_t *data, size_t bytes, lp_fact **texts,
                            size_t *n)
{
    static const uint8_t signature[SIGNATURE] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    lp_status status = LP_OK;
    *texts = NULL;
    *n = 0;
    if (bytes < SIGNATURE || memcmp(data, signature, SIGNATURE) != 0)
        return LP_OK;
    lp_fact *list = calloc(LP_PNG_TEXTS, sizeof *list);
    if (list == NULL)
        return lp_fail_memory(ctx, "a picture's texts");
    for (size_t at = SIGNATURE; bytes - at >= FRAME && status == LP_OK;) {
        const size_t length = read_u32(data + at);
        if (length > bytes - at - FRAME)
            break;
        status = take_chunk(ctx, data + at + 4, data + at + 8, length, list, n);
        at += length + FRAME;
    }
    if (status == LP_OK)
        *texts = list;
    else {
        lp_png_texts_free(list, *n);
        *n = 0;
    }
    return status;
}

void lp_png_texts_free(lp_fact *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)texts[i].name);
        free((void *)(uintptr_t)texts[i].value);
    }
    free(texts);
}

/* ---- Writing -------------------------------------------------------------------------------- */

static bool is_keyword(const char *name)
{
    const size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if (name[i] < ' ' || name[i] > '~')
            return false;
    return n > 0 && n <= MOST_KEYWORD && name[0] != ' ' && name[n - 1] != ' ';
}

lp_status lp_png_texts_make(lp_context *ctx, const lp_fact *texts, size_t n, uint8_t **chunks,
                            size_t *bytes)
{
    enum {
        EMPTY = 5
    }; /* behind the keyword: NUL, no compression (2), no language, no translation */
    size_t total = 0, at = 0;
    *chunks = NULL;
    *bytes = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_keyword(texts[i].name) || strlen(texts[i].value) > INT32_MAX)
            return lp_fail(ctx, LP_E_ARG, "\"%.80s\" can be no keyword of a picture's text",
                           texts[i].name);
        total += FRAME + strlen(texts[i].name) + EMPTY + strlen(texts[i].value);
    }
    uint8_t *all = calloc(total + 1, 1);
    if (all == NULL)
        return lp_fail_memory(ctx, "a picture's texts");
    for (size_t i = 0; i < n; i++) {
        const size_t n_name = strlen(texts[i].name), n_value = strlen(texts[i].value);
        const size_t length = n_name + EMPTY + n_value;
        write_u32(all + at, (uint32_t)length);
        memcpy(all + at + 4, "iTXt", 4);
        memcpy(all + at + 8, texts[i].name, n_name);
        memcpy(all + at + 8 + n_name + EMPTY, texts[i].value, n_value);
        write_u32(all + at + 8 + length, checksum(all + at + 4, 4 + length));
        at += length + FRAME;
    }
    *chunks = all;
    *bytes = total;
    return LP_OK;
}
