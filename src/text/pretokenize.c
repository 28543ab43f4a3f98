/* Pre-tokenizers on PCRE2, with UTF and Unicode properties, just-in-time compiled where that works.
 *
 * Text may hold invalid UTF-8, which PCRE2 must never see: each broken byte is shown to the
 * patterns as U+001A (substitute), which like the customary U+FFFD is neither letter, number, space
 * nor punctuation, but takes one byte, so that offsets stay true and the byte itself is kept. */
#include "text/pretokenize.h"

#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "text/utf8.h"

#define MAX_STEPS   32
#define MAX_PATTERN (64u << 10) /* bytes */
#define HEAP_LIMIT  (64u << 10) /* KiB that one match may take */
#define MATCH_LIMIT 10000000u   /* backtracking steps from one start */
#define SUBSTITUTE  0x1a

typedef struct step {
    pcre2_code *code;
    lp_split_mode mode;
} step;

struct lp_splitter {
    step steps[MAX_STEPS];
    size_t n_steps;
    pcre2_compile_context *compile;
    pcre2_match_context *limits;
};

lp_status lp_splitter_create(lp_context *ctx, lp_splitter **splitter)
{
    lp_splitter *s = *splitter = calloc(1, sizeof *s);
    if (!s)
        return lp_fail_memory(ctx, "a pre-tokenizer");
    s->compile = pcre2_compile_context_create(NULL);
    s->limits = pcre2_match_context_create(NULL);
    if (!s->compile || !s->limits) {
        lp_splitter_destroy(s);
        *splitter = NULL;
        return lp_fail_memory(ctx, "a pre-tokenizer");
    }
    pcre2_set_newline(s->compile, PCRE2_NEWLINE_LF);
    pcre2_set_max_pattern_length(s->compile, MAX_PATTERN);
    pcre2_set_match_limit(s->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(s->limits, HEAP_LIMIT);
    return LP_OK;
}

void lp_splitter_destroy(lp_splitter *splitter)
{
    if (!splitter)
        return;
    for (size_t i = 0; i < splitter->n_steps; i++)
        pcre2_code_free(splitter->steps[i].code);
    pcre2_compile_context_free(splitter->compile);
    pcre2_match_context_free(splitter->limits);
    free(splitter);
}

/* PCRE2's \s holds U+180E, Unicode's White_Space and the original engines' \s do not: \s and \S
 * become that property. `to` has room for 11 times the bytes. Returns the new length. */
static size_t translate(const char *pattern, size_t bytes, char *to)
{
    static const char is_space[] = "\\p{WSpace}", no_space[] = "\\P{WSpace}";
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (pattern[i] != '\\' || i + 1 == bytes) {
            to[n++] = pattern[i];
            continue;
        }
        i++;
        if (pattern[i] == 's' || pattern[i] == 'S') {
            memcpy(to + n, pattern[i] == 's' ? is_space : no_space, sizeof is_space - 1);
            n += sizeof is_space - 1;
        } else {
            to[n++] = '\\';
            to[n++] = pattern[i];
        }
    }
    return n;
}

lp_status lp_splitter_add(lp_context *ctx, lp_splitter *splitter, const char *where,
                          const char *pattern, size_t bytes, lp_split_mode mode)
{
    if (splitter->n_steps == MAX_STEPS)
        return lp_fail(ctx, LP_E_LIMIT, "%s: more than %d patterns", where, MAX_STEPS);
    if (bytes > MAX_PATTERN)
        return lp_fail(ctx, LP_E_LIMIT, "%s: a pattern of %zu bytes", where, bytes);
    char *text = malloc(bytes * 11 + 1);
    if (!text)
        return lp_fail_memory(ctx, where);
    size_t n = translate(pattern, bytes, text);
    int error = 0;
    PCRE2_SIZE place = 0;
    /* multi-line: in Oniguruma's syntax "$" matches at every line's end */
    pcre2_code *code = pcre2_compile(
        (PCRE2_SPTR)text, n, PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
        &error, &place, splitter->compile);
    free(text);
    if (!code) {
        char reason[160] = "", quoted[LP_QUOTE_TEXT];
        pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof reason);
        return lp_fail(ctx, LP_E_FORMAT, "%s: pattern %s: %s", where,
                       lp_utf8_quote(pattern, bytes, quoted), reason);
    }
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without it, matching is only slower */
    splitter->steps[splitter->n_steps++] = (step){code, mode};
    return LP_OK;
}

void lp_pieces_free(lp_pieces *pieces)
{
    free(pieces->end);
    *pieces = (lp_pieces){0};
}

/* Ends a piece at `end`, unless it would be empty. */
static lp_status cut(lp_context *ctx, lp_pieces *pieces, size_t end)
{
    if (end == (pieces->n ? pieces->end[pieces->n - 1] : 0))
        return LP_OK;
    if (pieces->n == pieces->room) {
        size_t room = pieces->room ? pieces->room * 2 : 256;
        uint32_t *bigger = realloc(pieces->end, room * sizeof *bigger);
        if (!bigger)
            return lp_fail_memory(ctx, "the words of a text");
        pieces->end = bigger;
        pieces->room = room;
    }
    pieces->end[pieces->n++] = (uint32_t)end;
    return LP_OK;
}

/* Cuts the piece text[from, to) at the matches of one pattern. */
static lp_status split_piece(lp_context *ctx, const lp_splitter *splitter, const step *by,
                             pcre2_match_data *match, const char *text, size_t from, size_t to,
                             lp_pieces *pieces)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)text + from;
    size_t at = 0, length = to - from;
    while (at < length) {
        uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
        int rc = pcre2_match(by->code, subject, length, at, options, match, splitter->limits);
        if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
            rc = pcre2_match(by->code, subject, length, at, options | PCRE2_NO_JIT, match,
                             splitter->limits);
        if (rc == PCRE2_ERROR_NOMATCH)
            break;
        if (rc < 0) {
            char reason[160] = "";
            pcre2_get_error_message(rc, (PCRE2_UCHAR *)reason, sizeof reason);
            return lp_fail(ctx, LP_E_LIMIT, "pre-tokenizer: %s", reason);
        }
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(match);
        if (span[0] < at || span[1] <= span[0] || span[1] > length)
            break; /* \K in a pattern can move the start */
        if (by->mode != LP_SPLIT_WITH_PREVIOUS)
            LP_TRY(cut(ctx, pieces, from + span[0]));
        if (by->mode != LP_SPLIT_WITH_NEXT)
            LP_TRY(cut(ctx, pieces, from + span[1]));
        at = span[1];
    }
    return cut(ctx, pieces, to);
}

/* A copy of text[bytes] with each invalid byte replaced. */
static char *sanitize(const char *text, size_t bytes)
{
    char *clean = malloc(bytes);
    if (!clean)
        return NULL;
    memcpy(clean, text, bytes);
    for (size_t at = lp_utf8_valid_bytes(text, bytes); at < bytes;) {
        clean[at++] = SUBSTITUTE;
        at += lp_utf8_valid_bytes(text + at, bytes - at);
    }
    return clean;
}

lp_status lp_split(lp_context *ctx, const lp_splitter *splitter, const char *text, size_t bytes,
                   lp_pieces *pieces)
{
    lp_status status = LP_OK;
    lp_pieces other = {0};
    pcre2_match_data *match = NULL;
    char *clean = NULL;

    pieces->n = 0;
    LP_CHECK(cut(ctx, pieces, bytes));
    if (splitter->n_steps == 0 || bytes == 0)
        goto cleanup;
    if (lp_utf8_valid_bytes(text, bytes) < bytes) {
        clean = sanitize(text, bytes);
        if (!clean)
            LP_CHECK(lp_fail_memory(ctx, "a text"));
        text = clean;
    }
    match = pcre2_match_data_create(1, NULL);
    if (!match)
        LP_CHECK(lp_fail_memory(ctx, "a pre-tokenizer"));
    for (size_t i = 0; i < splitter->n_steps; i++) {
        lp_pieces before = *pieces; /* swap: `other` receives this step's pieces */
        *pieces = other;
        other = before;
        pieces->n = 0;
        size_t from = 0;
        for (size_t k = 0; k < other.n; k++) {
            LP_CHECK(split_piece(ctx, splitter, &splitter->steps[i], match, text, from,
                                 other.end[k], pieces));
            from = other.end[k];
        }
    }
cleanup:
    pcre2_match_data_free(match);
    lp_pieces_free(&other);
    free(clean);
    return status;
}
