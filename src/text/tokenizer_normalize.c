/* Normalisation before tokenizing: replacements, a prefix, Unicode normal forms (utf8proc). Broken
 * bytes pass through unchanged: normal forms apply to the valid stretches between them. */
#include "text/tokenizer_build.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Normal forms give at most 11 times the bytes (U+FDFA); more is a hostile tokenizer.json. */
#define MAX_GROWTH 16
#define MAX_MARKS  256

void lp_text_free(lp_text *text)
{
    free(text->data);
    *text = (lp_text){0};
}

lp_status lp_text_append(lp_context *ctx, lp_text *text, const char *data, size_t n)
{
    if (n > SIZE_MAX / 2 - text->n)
        return lp_fail_memory(ctx, "a text");
    if (text->n + n > text->room) {
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

static lp_status replace(lp_context *ctx, const lp_normalize_step *step, const char *text,
                         size_t bytes, lp_text *to)
{
    size_t done = 0, at = 0;
    while (at + step->from_bytes <= bytes) {
        const char *hit = memchr(text + at, step->from[0], bytes - at - step->from_bytes + 1);
        if (!hit)
            break;
        at = (size_t)(hit - text);
        if (memcmp(hit, step->from, step->from_bytes) != 0) {
            at++;
            continue;
        }
        LP_TRY(lp_text_append(ctx, to, text + done, at - done));
        LP_TRY(lp_text_append(ctx, to, step->to, step->to_bytes));
        at += step->from_bytes;
        done = at;
    }
    return lp_text_append(ctx, to, text + done, bytes - done);
}

static lp_status prepend(lp_context *ctx, const lp_normalize_step *step, const char *text,
                         size_t bytes, bool first, lp_text *to)
{
    bool there = bytes >= step->to_bytes && memcmp(text, step->to, step->to_bytes) == 0;
    if (bytes > 0 && !(step->first_only && !first) && !(step->unless_there && there))
        LP_TRY(lp_text_append(ctx, to, step->to, step->to_bytes));
    return lp_text_append(ctx, to, text, bytes);
}

/* Bytes of text[bytes] (valid UTF-8) that may be normalised by themselves: all, unless more marks
 * than any writing stacks follow each other. utf8proc orders marks by insertion, so a megabyte of
 * them would take hours; UAX #15 limits them to 30 for this reason (its section 13). */
static size_t safe_bytes(const char *text, size_t bytes)
{
    size_t at = 0, n_marks = 0;
    while (at < bytes && n_marks < MAX_MARKS) {
        uint32_t code = 0;
        at += lp_utf8_decode(text + at, bytes - at, &code);
        utf8proc_category_t c =
            code < 0x300 ? UTF8PROC_CATEGORY_CN : utf8proc_category((utf8proc_int32_t)code);
        bool mark = c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME;
        n_marks = mark ? n_marks + 1 : 0;
    }
    return at;
}

/* `text` is valid UTF-8. */
static lp_status map_valid(lp_context *ctx, int options, const char *text, size_t bytes,
                           lp_text *to)
{
    while (bytes > 0) {
        size_t n = safe_bytes(text, bytes);
        utf8proc_uint8_t *mapped = NULL;
        utf8proc_ssize_t length =
            utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &mapped, options);
        if (length < 0)
            return length == UTF8PROC_ERROR_NOMEM
                       ? lp_fail_memory(ctx, "a text")
                       : lp_fail(ctx, LP_E_FORMAT, "normal form: %s", utf8proc_errmsg(length));
        lp_status status = lp_text_append(ctx, to, (const char *)mapped, (size_t)length);
        free(mapped);
        LP_TRY(status);
        text += n;
        bytes -= n;
    }
    return LP_OK;
}

static lp_status normal_form(lp_context *ctx, lp_normalize_kind kind, const char *text,
                             size_t bytes, lp_text *to)
{
    int options = UTF8PROC_STABLE;
    bool compose = kind == LP_NORMALIZE_NFC || kind == LP_NORMALIZE_NFKC;
    options |= compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
    if (kind == LP_NORMALIZE_NFKC || kind == LP_NORMALIZE_NFKD)
        options |= UTF8PROC_COMPAT;
    while (bytes > 0) {
        size_t valid = lp_utf8_valid_bytes(text, bytes);
        LP_TRY(map_valid(ctx, options, text, valid, to));
        size_t broken = valid < bytes; /* one byte at a time */
        LP_TRY(lp_text_append(ctx, to, text + valid, broken));
        text += valid + broken;
        bytes -= valid + broken;
    }
    return LP_OK;
}

lp_status lp_normalize(lp_context *ctx, const lp_tokenizer *tokenizer, const char *text,
                       size_t bytes, bool first, lp_text *to, lp_text *spare)
{
    to->n = 0;
    LP_TRY(lp_text_append(ctx, to, text, bytes));
    for (size_t i = 0; i < tokenizer->n_steps; i++) {
        const lp_normalize_step *step = &tokenizer->steps[i];
        lp_text from = *to;
        *to = *spare;
        *spare = from;
        to->n = 0;
        if (step->kind == LP_NORMALIZE_REPLACE)
            LP_TRY(replace(ctx, step, from.data, from.n, to));
        else if (step->kind == LP_NORMALIZE_PREPEND)
            LP_TRY(prepend(ctx, step, from.data, from.n, first, to));
        else
            LP_TRY(normal_form(ctx, step->kind, from.data, from.n, to));
        if (to->n / MAX_GROWTH > bytes + 64)
            return lp_fail(ctx, LP_E_LIMIT, "normalising %zu bytes of text gave %zu", bytes, to->n);
    }
    return LP_OK;
}
