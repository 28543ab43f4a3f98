/* The steps of pre-tokenizers. Steps that find something report stretches of a piece, matching or
 * not, and one function joins them as the mode says; the others write a new text.
 *
 * Text may hold invalid UTF-8: patterns see a copy of it (lp_pattern_subject()), pieces keep it. */
#include "text/pretokenize.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "text/pattern.h"
#include "text/unicode.h"
#include "text/utf8.h"

#define MAX_STEPS 32

typedef enum step_kind {
    STEP_PATTERN,
    STEP_CLASS,
    STEP_METASPACE,
    STEP_SPACE,
    STEP_LETTERS
} step_kind;

typedef struct step {
    step_kind kind;
    lp_split_mode mode;
    lp_split_class class;
    lp_prefix prefix;
    bool invert, split;
    lp_pattern *pattern;
} step;

struct lp_splitter {
    step steps[MAX_STEPS];
    size_t n_steps;
};

lp_status lp_splitter_create(lp_context *ctx, lp_splitter **splitter)
{
    *splitter = calloc(1, sizeof **splitter);
    return *splitter ? LP_OK : lp_fail_memory(ctx, "a pre-tokenizer");
}

void lp_splitter_destroy(lp_splitter *splitter)
{
    if (!splitter)
        return;
    for (size_t i = 0; i < splitter->n_steps; i++)
        lp_pattern_destroy(splitter->steps[i].pattern);
    free(splitter);
}

static lp_status add_step(lp_context *ctx, lp_splitter *splitter, const char *where, step s)
{
    if (splitter->n_steps == MAX_STEPS)
        return lp_fail(ctx, LP_E_LIMIT, "%s: more than %d steps of a pre-tokenizer", where,
                       MAX_STEPS);
    splitter->steps[splitter->n_steps++] = s;
    return LP_OK;
}

lp_status lp_splitter_add(lp_context *ctx, lp_splitter *splitter, const char *where,
                          const char *pattern, size_t bytes, lp_split_mode mode, bool invert)
{
    step s = {.kind = STEP_PATTERN, .mode = mode, .invert = invert};
    LP_TRY(lp_pattern_create(ctx, where, pattern, bytes, &s.pattern));
    lp_status status = add_step(ctx, splitter, where, s);
    if (status != LP_OK)
        lp_pattern_destroy(s.pattern);
    return status;
}

lp_status lp_splitter_add_class(lp_context *ctx, lp_splitter *splitter, const char *where,
                                lp_split_class class, lp_split_mode mode)
{
    return add_step(ctx, splitter, where, (step){.kind = STEP_CLASS, .class = class, .mode = mode});
}

lp_status lp_splitter_add_bert(lp_context *ctx, lp_splitter *splitter, const char *where)
{
    LP_TRY(lp_splitter_add_class(ctx, splitter, where, LP_SPLIT_SPACE, LP_SPLIT_REMOVED));
    return lp_splitter_add_class(ctx, splitter, where, LP_SPLIT_PUNCTUATION, LP_SPLIT_ISOLATED);
}

lp_status lp_splitter_add_metaspace(lp_context *ctx, lp_splitter *splitter, const char *where,
                                    lp_prefix prefix, bool split)
{
    return add_step(ctx, splitter, where,
                    (step){.kind = STEP_METASPACE, .prefix = prefix, .split = split});
}

lp_status lp_splitter_add_space(lp_context *ctx, lp_splitter *splitter, const char *where)
{
    return add_step(ctx, splitter, where, (step){.kind = STEP_SPACE});
}

lp_status lp_splitter_add_letters(lp_context *ctx, lp_splitter *splitter, const char *where)
{
    return add_step(ctx, splitter, where, (step){.kind = STEP_LETTERS});
}

/* The printable bytes of Latin-1 stand for themselves, the other 68 for U+0100 and up in order. */
static bool is_printable(unsigned byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

uint32_t lp_byte_to_letter(uint8_t byte)
{
    if (is_printable(byte))
        return byte;
    if (byte <= 32)
        return 256u + byte;
    return byte == 173 ? 323u : 256u + 33u + byte - 127u;
}

int lp_letter_to_byte(uint32_t code)
{
    if (code < 256)
        return is_printable(code) ? (int)code : -1;
    if (code <= 288)
        return (int)code - 256;
    if (code <= 322)
        return (int)code - 289 + 127;
    return code == 323 ? 173 : -1;
}

void lp_words_free(lp_words *words)
{
    free(words->pieces);
    free(words->spare);
    lp_text_free(&words->changed);
    lp_text_free(&words->other);
    *words = (lp_words){0};
}

static lp_status push_piece(lp_context *ctx, lp_words *words, size_t start, size_t end)
{
    if (start == end)
        return LP_OK;
    lp_piece *pieces = lp_list_grow(words->pieces, words->n, &words->room, sizeof *pieces);
    if (!pieces)
        return lp_fail_memory(ctx, "the words of a text");
    words->pieces = pieces;
    words->pieces[words->n++] = (lp_piece){(uint32_t)start, (uint32_t)end};
    return LP_OK;
}

/* The stretch before, within one piece. */
typedef struct stretch_state {
    bool any, match;
} stretch_state;

/* One stretch of a piece: joined to the one before it, a piece of its own, or dropped. */
static lp_status stretch(lp_context *ctx, lp_words *words, lp_split_mode mode,
                         stretch_state *before, size_t start, size_t end, bool match)
{
    bool join = false;
    if (start == end)
        return LP_OK;
    if (before->any && mode == LP_SPLIT_WITH_PREVIOUS)
        join = match && !before->match;
    else if (before->any && mode == LP_SPLIT_WITH_NEXT)
        join = !match && before->match;
    else if (before->any && mode == LP_SPLIT_JOINED)
        join = match == before->match;
    *before = (stretch_state){true, match};
    if (join) {
        words->pieces[words->n - 1].end = (uint32_t)end;
        return LP_OK;
    }
    return mode == LP_SPLIT_REMOVED && match ? LP_OK : push_piece(ctx, words, start, end);
}

static lp_status split_by_pattern(lp_context *ctx, const step *by, const char *subject,
                                  lp_piece piece, lp_words *words)
{
    stretch_state state = {0};
    const char *text = subject + piece.start;
    size_t at = 0, bytes = piece.end - piece.start, start, end;
    bool found = true;
    while (at < bytes) {
        LP_TRY(lp_pattern_find(ctx, by->pattern, text, bytes, at, &start, &end, &found));
        if (!found)
            break;
        LP_TRY(stretch(ctx, words, by->mode, &state, piece.start + at, piece.start + start,
                       by->invert));
        LP_TRY(stretch(ctx, words, by->mode, &state, piece.start + start, piece.start + end,
                       !by->invert));
        at = end;
    }
    return stretch(ctx, words, by->mode, &state, piece.start + at, piece.end, by->invert);
}

static bool in_class(lp_split_class class, uint32_t code)
{
    if (class == LP_SPLIT_SPACE)
        return lp_utf8_is_space(code);
    if (class == LP_SPLIT_NUMBER)
        return lp_code_is_number(code);
    return lp_code_is_punctuation(code);
}

static lp_status split_by_class(lp_context *ctx, const step *by, const char *text, lp_piece piece,
                                lp_words *words)
{
    stretch_state state = {0};
    size_t done = piece.start, at = piece.start;
    while (at < piece.end) {
        uint32_t code = 0;
        unsigned length = lp_utf8_decode(text + at, piece.end - at, &code);
        if (length > 0 && in_class(by->class, code)) {
            LP_TRY(stretch(ctx, words, by->mode, &state, done, at, false));
            LP_TRY(stretch(ctx, words, by->mode, &state, at, at + length, true));
            done = at + length;
        }
        at += length ? length : 1;
    }
    return stretch(ctx, words, by->mode, &state, done, piece.end, false);
}

/* Appends the piece with U+2581 for its spaces, and the pieces that it becomes. */
static lp_status metaspace(lp_context *ctx, const step *by, const char *text, size_t bytes,
                           bool first, lp_text *to, lp_words *words)
{
    size_t mark = strlen(LP_SPACE_MARK), start = to->n;
    bool there = text[0] == ' ' || (bytes >= mark && memcmp(text, LP_SPACE_MARK, mark) == 0);
    if (!there && (by->prefix == LP_PREFIX_ALWAYS || (by->prefix == LP_PREFIX_FIRST && first)))
        LP_TRY(lp_text_append(ctx, to, LP_SPACE_MARK, mark));
    for (size_t at = 0; at < bytes;) {
        const char *space = memchr(text + at, ' ', bytes - at);
        size_t n = space ? (size_t)(space - text) - at : bytes - at;
        LP_TRY(lp_text_append(ctx, to, text + at, n));
        if (space)
            LP_TRY(lp_text_append(ctx, to, LP_SPACE_MARK, mark));
        at += n + (space != NULL);
    }
    for (size_t at = start + 1; by->split && at + mark <= to->n; at++) {
        const char *next = memchr(to->data + at, LP_SPACE_MARK[0], to->n - at);
        if (!next)
            break;
        at = (size_t)(next - to->data);
        if (at + mark > to->n || memcmp(next, LP_SPACE_MARK, mark) != 0)
            continue;
        LP_TRY(push_piece(ctx, words, start, at));
        start = at;
    }
    return push_piece(ctx, words, start, to->n);
}

static lp_status letters(lp_context *ctx, const char *text, size_t bytes, lp_text *to)
{
    for (size_t i = 0; i < bytes; i++)
        LP_TRY(lp_text_append_code(ctx, to, lp_byte_to_letter((uint8_t)text[i])));
    return LP_OK;
}

/* A step that writes a new text, into words->other. */
static lp_status change(lp_context *ctx, const step *by, bool first, lp_words *words)
{
    lp_text *to = &words->other;
    to->n = 0;
    for (size_t i = 0; i < words->n_spare; i++) {
        const char *text = words->text + words->spare[i].start;
        size_t bytes = words->spare[i].end - words->spare[i].start, start = to->n;
        first &= words->spare[i].start == 0;
        if (by->kind == STEP_METASPACE) {
            LP_TRY(metaspace(ctx, by, text, bytes, first, to, words));
        } else {
            if (by->kind == STEP_LETTERS)
                LP_TRY(letters(ctx, text, bytes, to));
            else if (text[0] != ' ')
                LP_TRY(lp_text_append(ctx, to, " ", 1));
            if (by->kind == STEP_SPACE)
                LP_TRY(lp_text_append(ctx, to, text, bytes));
            LP_TRY(push_piece(ctx, words, start, to->n));
        }
        if (to->n >= INT32_MAX)
            return lp_fail(ctx, LP_E_LIMIT, "a pre-tokenized text of %zu bytes", to->n);
    }
    lp_text changed = words->changed;
    words->changed = words->other;
    words->other = changed;
    words->text = words->changed.data;
    words->bytes = words->changed.n;
    return LP_OK;
}

/* One step over all pieces. */
static lp_status apply(lp_context *ctx, const step *by, bool first, lp_words *words)
{
    lp_status status = LP_OK;
    char *clean = NULL;
    lp_piece *pieces = words->pieces; /* swap: words->pieces receives this step's */
    size_t room = words->room;
    words->pieces = words->spare;
    words->room = words->spare_room;
    words->spare = pieces;
    words->spare_room = room;
    words->n_spare = words->n;
    words->n = 0;
    if (words->n_spare == 0)
        return LP_OK;
    if (by->kind == STEP_PATTERN) {
        const char *subject = words->text;
        if (lp_utf8_valid_bytes(subject, words->bytes) < words->bytes) {
            subject = clean = lp_pattern_subject(subject, words->bytes);
            if (!clean)
                LP_CHECK(lp_fail_memory(ctx, "a text"));
        }
        for (size_t i = 0; i < words->n_spare; i++)
            LP_CHECK(split_by_pattern(ctx, by, subject, words->spare[i], words));
    } else if (by->kind == STEP_CLASS) {
        for (size_t i = 0; i < words->n_spare; i++)
            LP_CHECK(split_by_class(ctx, by, words->text, words->spare[i], words));
    } else {
        LP_CHECK(change(ctx, by, first, words));
    }
cleanup:
    free(clean);
    return status;
}

lp_status lp_split(lp_context *ctx, const lp_splitter *splitter, const char *text, size_t bytes,
                   bool first, lp_words *words)
{
    assert(bytes < INT32_MAX);
    words->text = text;
    words->bytes = bytes;
    words->n = 0;
    LP_TRY(push_piece(ctx, words, 0, bytes));
    for (size_t i = 0; i < splitter->n_steps; i++)
        LP_TRY(apply(ctx, &splitter->steps[i], first, words));
    return LP_OK;
}
