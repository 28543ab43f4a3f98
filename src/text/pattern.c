/* PCRE2 with UTF and Unicode properties, just-in-time compiled where that works. Where its syntax
 * means something else than Oniguruma's, the pattern is translated. */
#include "text/pattern.h"

#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "text/buffer.h"
#include "text/utf8.h"

#define MAX_PATTERN (64u << 10) /* bytes */
#define HEAP_LIMIT  (64u << 10) /* KiB that one match may take */
#define MATCH_LIMIT 10000000u   /* backtracking steps from one start */
#define SUBSTITUTE  0x1a

struct lp_pattern {
    pcre2_code *code;
    pcre2_match_data *match; /* of the latest find */
    pcre2_match_context *limits;
};

/* What an escape means: PCRE2's \s holds U+180E, Unicode's White_Space and the original engines'
 * \s do not; its \w has fewer marks and numbers, so that \b differs, too; \h is a hexadecimal
 * digit. `inside`: of a class in brackets. NULL: the same. */
static const char *meaning(char letter, bool inside)
{
#define WORD  "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define DIGIT "0-9A-Fa-f"
    switch (letter) {
    case 's':
        return "\\p{WSpace}";
    case 'S':
        return "\\P{WSpace}";
    case 'w':
        return inside ? WORD : "[" WORD "]";
    case 'W':
        return inside ? NULL : "[^" WORD "]";
    case 'b': /* in a class: backspace */
        return inside ? NULL : "(?:(?<=[" WORD "])(?![" WORD "])|(?<![" WORD "])(?=[" WORD "]))";
    case 'B':
        return inside ? NULL : "(?:(?<=[" WORD "])(?=[" WORD "])|(?<![" WORD "])(?![" WORD "]))";
    case 'h':
        return inside ? DIGIT : "[" DIGIT "]";
    case 'H':
        return inside ? NULL : "[^" DIGIT "]";
    default:
        return NULL;
    }
}

/* Length of the class in brackets at the start of text[bytes]; *ands: places of "&&" (at most 4)
 * that are not within an inner class. 0: it does not end. */
static size_t class_length(const char *text, size_t bytes, size_t ands[4], size_t *n_ands)
{
    size_t depth = 0;
    *n_ands = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\\')
            i++;
        else if (text[i] == '[')
            depth++;
        else if (text[i] == ']' && --depth == 0)
            return i + 1;
        else if (depth == 1 && text[i] == '&' && i + 1 < bytes && text[i + 1] == '&' && *n_ands < 4)
            ands[(*n_ands)++] = i++;
    }
    return 0;
}

static lp_status append(lp_context *ctx, lp_text *to, const char *text)
{
    return lp_text_append(ctx, to, text, strlen(text));
}

/* Copies text[bytes] with the escapes' meanings. Classes within classes ("[a[bc]]") are joined to
 * one; names like [:alpha:] stay. `inside`: it starts within a class. */
static lp_status copy_escapes(lp_context *ctx, const char *text, size_t bytes, bool inside,
                              lp_text *to)
{
    size_t depth = inside;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\\' && i + 1 < bytes) {
            const char *other = meaning(text[++i], depth > 0);
            LP_TRY(other ? append(ctx, to, other) : lp_text_append(ctx, to, text + i - 1, 2));
            continue;
        }
        bool name = depth > 0 && i + 1 < bytes && text[i] == '[' && text[i + 1] == ':';
        const char *end = name ? memchr(text + i, ']', bytes - i) : NULL;
        if (end) {
            LP_TRY(lp_text_append(ctx, to, text + i, (size_t)(end - text) - i + 1));
            i = (size_t)(end - text);
            continue;
        }
        bool inner = text[i] == '[' ? depth > 0 : text[i] == ']' && depth > 1;
        depth += text[i] == '[';
        depth -= text[i] == ']' && depth > 0;
        if (!inner)
            LP_TRY(lp_text_append(ctx, to, text + i, 1));
    }
    return LP_OK;
}

/* One operand of an intersection, itself a class or what is between its brackets. */
static lp_status copy_operand(lp_context *ctx, const char *text, size_t bytes, lp_text *to)
{
    bool class = bytes > 0 && text[0] == '[';
    LP_TRY(append(ctx, to, class ? "" : "["));
    LP_TRY(copy_escapes(ctx, text, bytes, !class, to));
    return append(ctx, to, class ? "" : "]");
}

/* "[a&&b&&c]", which PCRE2 does not have, as "(?:(?=[b])(?=[c])[a])". */
static lp_status intersection(lp_context *ctx, const char *text, size_t bytes, const size_t *ands,
                              size_t n_ands, lp_text *to)
{
    LP_TRY(append(ctx, to, "(?:"));
    for (size_t k = 0; k < n_ands; k++) {
        size_t from = ands[k] + 2, end = k + 1 < n_ands ? ands[k + 1] : bytes - 1;
        LP_TRY(append(ctx, to, "(?="));
        LP_TRY(copy_operand(ctx, text + from, end - from, to));
        LP_TRY(append(ctx, to, ")"));
    }
    LP_TRY(copy_operand(ctx, text + 1, ands[0] - 1, to));
    return append(ctx, to, ")");
}

static lp_status translate(lp_context *ctx, const char *text, size_t bytes, lp_text *to)
{
    size_t at = 0, done = 0;
    while (at < bytes) {
        size_t ands[4], n_ands = 0, length = 0;
        if (text[at] == '\\') {
            at += 2;
            continue;
        }
        if (text[at] == '[')
            length = class_length(text + at, bytes - at, ands, &n_ands);
        if (n_ands > 0 && length > 0) {
            LP_TRY(copy_escapes(ctx, text + done, at - done, false, to));
            LP_TRY(intersection(ctx, text + at, length, ands, n_ands, to));
            done = at + length;
        }
        at += length ? length : 1;
    }
    return copy_escapes(ctx, text + done, bytes - done, false, to);
}

lp_status lp_pattern_create(lp_context *ctx, const char *where, const char *text, size_t bytes,
                            lp_pattern **pattern)
{
    lp_status status = LP_OK;
    lp_text translated = {0};
    int error = 0;
    PCRE2_SIZE place = 0;
    lp_pattern *p = calloc(1, sizeof *p);
    pcre2_compile_context *compile = pcre2_compile_context_create(NULL);

    *pattern = NULL;
    if (!p || !compile)
        LP_CHECK(lp_fail_memory(ctx, "a pattern"));
    if (bytes > MAX_PATTERN)
        LP_CHECK(lp_fail(ctx, LP_E_LIMIT, "%s: a pattern of %zu bytes", where, bytes));
    LP_CHECK(translate(ctx, text, bytes, &translated));
    pcre2_set_newline(compile, PCRE2_NEWLINE_LF);
    /* multi-line: in Oniguruma's syntax "$" matches at every line's end */
    p->code = pcre2_compile(
        translated.n ? (PCRE2_SPTR)translated.data : (PCRE2_SPTR) "", translated.n,
        PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &place, compile);
    if (!p->code) {
        char reason[160] = "", quoted[LP_QUOTE_TEXT];
        pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof reason);
        LP_CHECK(lp_fail(ctx, LP_E_FORMAT, "%s: pattern %s: %s", where,
                         lp_utf8_quote(text, bytes, quoted), reason));
    }
    (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* without it, matching is only slower */
    p->match = pcre2_match_data_create(1, NULL);
    p->limits = pcre2_match_context_create(NULL);
    if (!p->match || !p->limits)
        LP_CHECK(lp_fail_memory(ctx, "a pattern"));
    pcre2_set_match_limit(p->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(p->limits, HEAP_LIMIT);
    *pattern = p;
    p = NULL;
cleanup:
    lp_pattern_destroy(p);
    pcre2_compile_context_free(compile);
    lp_text_free(&translated);
    return status;
}

void lp_pattern_destroy(lp_pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_code_free(pattern->code);
    pcre2_match_data_free(pattern->match);
    pcre2_match_context_free(pattern->limits);
    free(pattern);
}

lp_status lp_pattern_find(lp_context *ctx, const lp_pattern *pattern, const char *text,
                          size_t bytes, size_t from, size_t *start, size_t *end, bool *found)
{
    uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    PCRE2_SPTR subject = (PCRE2_SPTR)text;
    *found = false;
    int rc =
        pcre2_match(pattern->code, subject, bytes, from, options, pattern->match, pattern->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(pattern->code, subject, bytes, from, options | PCRE2_NO_JIT,
                         pattern->match, pattern->limits);
    if (rc == PCRE2_ERROR_NOMATCH)
        return LP_OK;
    if (rc < 0) {
        char reason[160] = "";
        pcre2_get_error_message(rc, (PCRE2_UCHAR *)reason, sizeof reason);
        return lp_fail(ctx, LP_E_LIMIT, "pattern of the tokenizer: %s", reason);
    }
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(pattern->match);
    *start = span[0];
    *end = span[1];
    *found = span[0] >= from && span[1] > span[0] && span[1] <= bytes; /* \K can move the start */
    return LP_OK;
}

char *lp_pattern_subject(const char *text, size_t bytes)
{
    char *clean = malloc(bytes ? bytes : 1);
    if (!clean)
        return NULL;
    memcpy(clean, text, bytes);
    for (size_t at = lp_utf8_valid_bytes(text, bytes); at < bytes;) {
        clean[at++] = SUBSTITUTE;
        at += lp_utf8_valid_bytes(text + at, bytes - at);
    }
    return clean;
}
