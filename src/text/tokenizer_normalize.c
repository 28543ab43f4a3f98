/* Normalisation before tokenizing: replacements, a prefix, Unicode normal forms (utf8proc), rules
 * for single characters, SentencePiece's own way. Broken bytes pass through unchanged (only BERT's
 * cleaning drops them, as it drops U+FFFD): rules apply to the valid stretches between them. */
#include "text/tokenizer_build.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include "text/unicode.h"

/* Normal forms give at most 11 times the bytes (U+FDFA); more is a hostile tokenizer.json. */
#define MAX_GROWTH 16
#define MAX_MARKS  256

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

static lp_status replace_pattern(lp_context *ctx, const lp_normalize_step *step, const char *text,
                                 size_t bytes, lp_text *to)
{
    lp_status status = LP_OK;
    size_t at = 0, start, end;
    bool found = bytes > 0;
    char *clean = NULL;
    const char *subject = text;
    if (lp_utf8_valid_bytes(text, bytes) < bytes) {
        subject = clean = lp_pattern_subject(text, bytes);
        if (!clean)
            LP_CHECK(lp_fail_memory(ctx, "a text"));
    }
    while (found && at < bytes) {
        LP_CHECK(lp_pattern_find(ctx, step->pattern, subject, bytes, at, &start, &end, &found));
        if (!found)
            break;
        LP_CHECK(lp_text_append(ctx, to, text + at, start - at));
        LP_CHECK(lp_text_append(ctx, to, step->to, step->to_bytes));
        at = end;
    }
    LP_CHECK(lp_text_append(ctx, to, text + at, bytes - at));
cleanup:
    free(clean);
    return status;
}

static lp_status prepend(lp_context *ctx, const lp_normalize_step *step, const char *text,
                         size_t bytes, bool first, lp_text *to)
{
    if (bytes > 0 && (first || !step->first_only))
        LP_TRY(lp_text_append(ctx, to, step->to, step->to_bytes));
    return lp_text_append(ctx, to, text, bytes);
}

/* Bytes at the start of text[bytes] that every normal form leaves alone: ASCII, but for the last
 * one before another character, which may be composed with it. */
static size_t plain_bytes(const char *text, size_t bytes)
{
    size_t n = 0;
    while (n < bytes && (uint8_t)text[n] < 0x80)
        n++;
    return n < bytes && n > 0 ? n - 1 : n;
}

/* Bytes of text[bytes] (valid UTF-8) that may be normalised by themselves: up to between two ASCII
 * characters, before one that keeps its form (*keeps: that one alone), or until more marks than any
 * writing stacks followed each other. utf8proc orders marks by insertion, so a megabyte of them
 * would take hours; UAX #15 limits them to 30 for this reason (its section 13). */
static size_t safe_bytes(const char *text, size_t bytes, bool *keeps)
{
    size_t at = 0, n_marks = 0;
    *keeps = false;
    while (at < bytes && n_marks < MAX_MARKS) {
        uint32_t code = 0;
        if (at > 0 && (uint8_t)text[at] < 0x80 && (uint8_t)text[at - 1] < 0x80)
            break;
        unsigned length = lp_utf8_decode(text + at, bytes - at, &code);
        if (lp_code_keeps_form(code)) {
            *keeps = at == 0;
            return at ? at : length;
        }
        at += length;
        n_marks = lp_code_is_mark(code) ? n_marks + 1 : 0;
    }
    return at;
}

/* `text` is valid UTF-8. */
static lp_status map_valid(lp_context *ctx, int options, const char *text, size_t bytes,
                           lp_text *to)
{
    while (bytes > 0) {
        size_t plain = plain_bytes(text, bytes);
        bool keeps;
        size_t n = safe_bytes(text + plain, bytes - plain, &keeps);
        utf8proc_uint8_t *mapped = NULL;
        LP_TRY(lp_text_append(ctx, to, text, plain + (keeps ? n : 0)));
        text += plain + n;
        bytes -= plain + n;
        if (keeps || n == 0)
            continue;
        utf8proc_ssize_t length =
            utf8proc_map((const utf8proc_uint8_t *)text - n, (utf8proc_ssize_t)n, &mapped, options);
        if (length < 0)
            return length == UTF8PROC_ERROR_NOMEM
                       ? lp_fail_memory(ctx, "a text")
                       : lp_fail(ctx, LP_E_FORMAT, "normal form: %s", utf8proc_errmsg(length));
        lp_status status = lp_text_append(ctx, to, (const char *)mapped, (size_t)length);
        free(mapped);
        LP_TRY(status);
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

/* SentencePiece's rules "nmt": which characters it drops and which are spaces. */
static bool nmt_drops(uint32_t code)
{
    return (code >= 1 && code <= 8) || code == 0xb || (code >= 0xe && code <= 0x1f) ||
           code == 0x7f || code == 0x8f || code == 0x9f;
}

static bool nmt_is_space(uint32_t code)
{
    return code == 9 || code == 0xa || code == 0xc || code == 0xd || code == 0x1680 ||
           (code >= 0x200b && code <= 0x200f) || code == 0x2028 || code == 0x2029 ||
           code == 0x2581 || code == 0xfeff || code == 0xfffd;
}

/* What becomes of one character: returns how many, `to` has room for 3. */
static unsigned map_character(lp_normalize_kind kind, uint32_t code, uint32_t to[3])
{
    bool space = code == '\t' || code == '\n' || code == '\r' || lp_utf8_is_space(code);
    to[0] = code;
    switch (kind) {
    case LP_NORMALIZE_LOWER:
        return lp_code_lower(code, to);
    case LP_NORMALIZE_NO_MARKS:
        return !lp_code_is_accent(code);
    case LP_NORMALIZE_NO_NONSPACING:
        return !lp_code_is_nonspacing(code);
    case LP_NORMALIZE_CLEAN:
        if (space)
            to[0] = ' ';
        return code == '\t' || code == '\n' || code == '\r' ||
               !(code == 0 || code == 0xfffd || lp_code_is_other(code));
    case LP_NORMALIZE_PAD_CJK:
        if (!lp_code_is_cjk(code))
            return 1;
        to[0] = to[2] = ' ';
        to[1] = code;
        return 3;
    case LP_NORMALIZE_NMT:
        if (nmt_is_space(code))
            to[0] = ' ';
        return !nmt_drops(code);
    default:
        return 1;
    }
}

static lp_status by_character(lp_context *ctx, lp_normalize_kind kind, const char *text,
                              size_t bytes, lp_text *to)
{
    for (size_t at = 0; at < bytes;) {
        uint32_t code, mapped[3];
        unsigned length = lp_utf8_decode(text + at, bytes - at, &code);
        if (length == 0) {
            LP_TRY(lp_text_append(ctx, to, text + at, kind != LP_NORMALIZE_CLEAN));
            at++;
            continue;
        }
        unsigned n = map_character(kind, code, mapped);
        for (unsigned i = 0; i < n; i++)
            LP_TRY(lp_text_append_code(ctx, to, mapped[i]));
        at += length;
    }
    return LP_OK;
}

static lp_status strip(lp_context *ctx, const lp_normalize_step *step, const char *text,
                       size_t bytes, lp_text *to)
{
    size_t start = 0, end = bytes;
    uint32_t code;
    unsigned length;
    while (step->left && (length = lp_utf8_decode(text + start, end - start, &code)) > 0 &&
           lp_utf8_is_space(code))
        start += length;
    while (step->right && (length = lp_utf8_decode_last(text + start, end - start, &code)) > 0 &&
           lp_utf8_is_space(code))
        end -= length;
    return lp_text_append(ctx, to, text + start, end - start);
}

static bool ends_with(const lp_text *text, const char *end, size_t bytes)
{
    return text->n >= bytes && memcmp(text->data + text->n - bytes, end, bytes) == 0;
}

/* What the start of text[bytes] becomes in SentencePiece's normaliser: a token that users defined
 * stays, otherwise the longest rule of the map counts, otherwise a character stays. Returns the
 * bytes taken. */
static size_t sentencepiece_prefix(const lp_tokenizer *tokenizer, const lp_charsmap *map,
                                   const char *text, size_t bytes, const char **to,
                                   size_t *to_bytes)
{
    size_t length = 0;
    uint32_t code;
    if (tokenizer->user.n_nodes > 0 &&
        lp_trie_longest(&tokenizer->user, text, bytes, &length) >= 0) {
        *to = text;
        *to_bytes = length;
        return length;
    }
    if (lp_charsmap_find(map, text, bytes, true, &length, to, to_bytes))
        return length;
    length = lp_utf8_decode(text, bytes, &code);
    *to = text;
    *to_bytes = length ? length : 1;
    return *to_bytes;
}

static lp_status sentencepiece(lp_context *ctx, const lp_tokenizer *tokenizer,
                               const lp_normalize_step *step, const char *text, size_t bytes,
                               bool first, lp_text *to)
{
    const char *space = step->escape ? LP_SPACE_MARK : " ", *mapped;
    size_t space_bytes = strlen(space), n, at = 0;
    bool after_space = step->squeeze, fix = first || !step->first_only;
    while (step->squeeze && at < bytes) { /* spaces in front */
        size_t length =
            sentencepiece_prefix(tokenizer, &step->map, text + at, bytes - at, &mapped, &n);
        if (n != 1 || mapped[0] != ' ')
            break;
        at += length;
    }
    if (at == bytes)
        return LP_OK;
    if (step->prefix && fix)
        LP_TRY(lp_text_append(ctx, to, space, space_bytes));
    while (at < bytes) {
        at += sentencepiece_prefix(tokenizer, &step->map, text + at, bytes - at, &mapped, &n);
        for (; after_space && n > 0 && mapped[0] == ' '; n--)
            mapped++;
        for (size_t i = 0; i < n; i++)
            if (mapped[i] == ' ')
                LP_TRY(lp_text_append(ctx, to, space, space_bytes));
            else
                LP_TRY(lp_text_append(ctx, to, mapped + i, 1));
        if (n > 0)
            after_space = step->squeeze && mapped[n - 1] == ' ';
    }
    while (step->squeeze && ends_with(to, space, space_bytes))
        to->n -= space_bytes;
    return step->suffix && fix ? lp_text_append(ctx, to, space, space_bytes) : LP_OK;
}

static lp_status apply(lp_context *ctx, const lp_tokenizer *tokenizer,
                       const lp_normalize_step *step, const char *text, size_t bytes, bool first,
                       lp_text *to)
{
    switch (step->kind) {
    case LP_NORMALIZE_REPLACE:
        return replace(ctx, step, text, bytes, to);
    case LP_NORMALIZE_REPLACE_PATTERN:
        return replace_pattern(ctx, step, text, bytes, to);
    case LP_NORMALIZE_PREPEND:
        return prepend(ctx, step, text, bytes, first, to);
    case LP_NORMALIZE_NFC:
    case LP_NORMALIZE_NFD:
    case LP_NORMALIZE_NFKC:
    case LP_NORMALIZE_NFKD:
        return normal_form(ctx, step->kind, text, bytes, to);
    case LP_NORMALIZE_STRIP:
        return strip(ctx, step, text, bytes, to);
    case LP_NORMALIZE_CHARSMAP:
        return lp_charsmap_apply(ctx, &step->map, text, bytes, to);
    case LP_NORMALIZE_SENTENCEPIECE:
        return sentencepiece(ctx, tokenizer, step, text, bytes, first, to);
    default:
        return by_character(ctx, step->kind, text, bytes, to);
    }
}

lp_status lp_normalize(lp_context *ctx, const lp_tokenizer *tokenizer, const char *text,
                       size_t bytes, bool first, lp_text *to, lp_text *spare)
{
    to->n = 0;
    LP_TRY(lp_text_append(ctx, to, text, bytes));
    for (size_t i = 0; i < tokenizer->n_steps; i++) {
        lp_text from = *to;
        *to = *spare;
        *spare = from;
        to->n = 0;
        LP_TRY(lp_text_append(ctx, to, "", 0)); /* there is data, even of an empty text */
        LP_TRY(apply(ctx, tokenizer, &tokenizer->steps[i], from.data, from.n, first, to));
        if (to->n / MAX_GROWTH > bytes + 64)
            return lp_fail(ctx, LP_E_LIMIT, "normalising %zu bytes of text gave %zu", bytes, to->n);
    }
    return LP_OK;
}
