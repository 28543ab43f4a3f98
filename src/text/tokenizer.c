/* Text to token ids. A text is cut at special tokens; each stretch between them is normalised,
 * split into words, and each word merged from its smallest symbols (characters or bytes) upwards.
 *
 * SentencePiece: Kudo & Richardson 2018 (arXiv:1808.06226). Byte-level BPE: Radford et al. 2019,
 * "Language Models are Unsupervised Multitask Learners". */
#include "text/tokenizer_build.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define MAX_TEXT (1u << 30) /* bytes; spans are 32-bit, and normalising may double a text */

typedef struct id_list {
    int32_t *ids;
    size_t n, room;
} id_list;

/* Working memory of one call. */
typedef struct work {
    lp_context *ctx;
    const lp_tokenizer *tokenizer;
    id_list out;
    lp_bpe bpe;
    lp_text normal, spare, letters;
    lp_pieces pieces;
} work;

/* The text within which symbols have their spans, for the rule by score. */
typedef struct scored_text {
    const lp_vocab *vocab;
    const char *text;
} scored_text;

static lp_status push(work *w, int32_t id)
{
    if (w->out.n == w->out.room) {
        size_t room = w->out.room ? w->out.room * 2 : 64;
        int32_t *bigger = realloc(w->out.ids, room * sizeof *bigger);
        if (!bigger)
            return lp_fail_memory(w->ctx, "the tokens of a text");
        w->out.ids = bigger;
        w->out.room = room;
    }
    w->out.ids[w->out.n++] = id;
    return LP_OK;
}

/* Text never becomes a control token by merging, even if its spelling is the same. */
static bool is_text(const lp_token *token)
{
    return (token->type == LP_TOKEN_NORMAL || token->type == LP_TOKEN_USER) &&
           !(token->flags & LP_TOKEN_ADDED);
}

static int32_t find_text(const lp_vocab *vocab, const char *text, size_t bytes)
{
    int32_t id = lp_vocab_find(vocab, text, bytes);
    return id >= 0 && is_text(&vocab->tokens[id]) ? id : -1;
}

static bool score_rule(const void *user, const lp_bpe_symbol *left, const lp_bpe_symbol *right,
                       double *key, int32_t *id)
{
    const scored_text *scored = user;
    *id = find_text(scored->vocab, scored->text + left->start, left->length + right->length);
    if (*id < 0)
        return false;
    *key = -(double)scored->vocab->tokens[*id].score;
    return true;
}

static bool has_byte_tokens(const lp_tokenizer *tokenizer, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (tokenizer->byte_token[(uint8_t)text[i]] < 0)
            return false;
    return true;
}

/* Characters as symbols; without a token: by score, left for later (longer texts may be tokens);
 * by rank, bytes or the unknown token at once, as these may take part in merges. */
static lp_status add_characters(work *w, const char *text, size_t bytes)
{
    const lp_tokenizer *t = w->tokenizer;
    bool after_unknown = false;
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        unsigned length = lp_utf8_decode(text + at, bytes - at, &code);
        if (length == 0)
            length = 1;
        int32_t id = find_text(&t->vocab, text + at, length);
        if (id >= 0 || t->by_score) {
            LP_TRY(lp_bpe_add(w->ctx, &w->bpe, (uint32_t)at, length, id));
            after_unknown = false;
        } else if (t->byte_fallback && has_byte_tokens(t, text + at, length)) {
            for (unsigned i = 0; i < length; i++)
                LP_TRY(lp_bpe_add(w->ctx, &w->bpe, (uint32_t)at + i, 1,
                                  t->byte_token[(uint8_t)text[at + i]]));
            after_unknown = false;
        } else if (t->special.unknown >= 0 && !(t->fuse_unknown && after_unknown)) {
            LP_TRY(lp_bpe_add(w->ctx, &w->bpe, (uint32_t)at, length, t->special.unknown));
            after_unknown = true;
        }
        at += length;
    }
    return LP_OK;
}

/* Bytes as symbols; one without a token is unknown, or dropped where there is no such token. */
static lp_status add_bytes(work *w, const char *text, size_t bytes)
{
    const lp_tokenizer *t = w->tokenizer;
    bool after_unknown = false;
    for (size_t i = 0; i < bytes; i++) {
        int32_t id = t->byte_token[(uint8_t)text[i]];
        bool unknown = id < 0;
        if (unknown && !(t->fuse_unknown && after_unknown))
            id = t->special.unknown;
        if (id >= 0)
            LP_TRY(lp_bpe_add(w->ctx, &w->bpe, (uint32_t)i, 1, id));
        after_unknown = unknown;
    }
    return LP_OK;
}

/* A merged symbol of the rule by score that is no token: one character, as bytes or unknown. */
static lp_status push_unknown(work *w, const char *text, size_t bytes)
{
    const lp_tokenizer *t = w->tokenizer;
    if (t->byte_fallback && has_byte_tokens(t, text, bytes)) {
        for (size_t i = 0; i < bytes; i++)
            LP_TRY(push(w, t->byte_token[(uint8_t)text[i]]));
        return LP_OK;
    }
    return t->special.unknown >= 0 ? push(w, t->special.unknown) : LP_OK;
}

/* The word in the vocabulary's spelling, if that is a token by itself; -1 if not. */
static lp_status find_word(work *w, const char *text, size_t bytes, int32_t *id)
{
    const lp_tokenizer *t = w->tokenizer;
    *id = -1;
    if (bytes > t->vocab.longest)
        return LP_OK;
    if (!t->byte_level) {
        *id = find_text(&t->vocab, text, bytes);
        return LP_OK;
    }
    w->letters.n = 0;
    for (size_t i = 0; i < bytes; i++) {
        char letter[4];
        unsigned n = lp_utf8_encode(lp_byte_to_letter((uint8_t)text[i]), letter);
        LP_TRY(lp_text_append(w->ctx, &w->letters, letter, n));
    }
    *id = find_text(&t->vocab, w->letters.data, w->letters.n);
    return LP_OK;
}

static lp_status encode_word(work *w, const char *text, size_t bytes)
{
    const lp_tokenizer *t = w->tokenizer;
    if (t->ignore_merges) {
        int32_t id;
        LP_TRY(find_word(w, text, bytes, &id));
        if (id >= 0)
            return push(w, id);
    }
    lp_bpe_clear(&w->bpe);
    LP_TRY(t->byte_level ? add_bytes(w, text, bytes) : add_characters(w, text, bytes));
    if (t->by_score) {
        scored_text scored = {&t->vocab, text};
        LP_TRY(lp_bpe_merge(w->ctx, &w->bpe, score_rule, &scored));
    } else {
        LP_TRY(lp_bpe_merge(w->ctx, &w->bpe, lp_bpe_table_rule, &t->merges));
    }
    for (int32_t i = w->bpe.n_symbols ? 0 : -1; i >= 0; i = w->bpe.symbols[i].next) {
        const lp_bpe_symbol *symbol = &w->bpe.symbols[i];
        if (symbol->id >= 0)
            LP_TRY(push(w, symbol->id));
        else
            LP_TRY(push_unknown(w, text + symbol->start, symbol->length));
    }
    return LP_OK;
}

/* Text without special tokens. `first`: nothing is before it. */
static lp_status encode_stretch(work *w, const char *text, size_t bytes, bool first)
{
    const lp_tokenizer *t = w->tokenizer;
    if (bytes == 0)
        return LP_OK;
    if (t->n_steps > 0) {
        LP_TRY(lp_normalize(w->ctx, t, text, bytes, first, &w->normal, &w->spare));
        text = w->normal.data;
        bytes = w->normal.n;
        if (bytes >= INT32_MAX)
            return lp_fail(w->ctx, LP_E_LIMIT, "a normalised text of %zu bytes", bytes);
    }
    if (!t->splitter)
        return encode_word(w, text, bytes);
    LP_TRY(lp_split(w->ctx, t->splitter, text, bytes, &w->pieces));
    size_t from = 0;
    for (size_t i = 0; i < w->pieces.n; i++) {
        LP_TRY(encode_word(w, text + from, w->pieces.end[i] - from));
        from = w->pieces.end[i];
    }
    return LP_OK;
}

/* Letters, marks, digits, letter numbers, connectors and (non-)joiners: \w of the original's
 * regular expressions. */
static bool is_word(uint32_t code)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)code);
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_NL) || c == UTF8PROC_CATEGORY_PC ||
           code == 0x200c || code == 0x200d;
}

/* Start of the character that ends at `end`. */
static size_t character_before(const char *text, size_t end, uint32_t *code)
{
    for (size_t n = 1; n <= 4 && n <= end; n++)
        if (lp_utf8_decode(text + end - n, n, code) == n)
            return end - n;
    *code = 0;
    return end - 1;
}

static bool stands_alone(const char *text, size_t bytes, size_t start, size_t end)
{
    uint32_t code = 0;
    if (start > 0) {
        character_before(text, start, &code);
        if (is_word(code))
            return false;
    }
    return end == bytes || lp_utf8_decode(text + end, bytes - end, &code) == 0 || !is_word(code);
}

/* The special token at text + at, or -1. */
static int32_t special_at(const lp_tokenizer *t, const char *text, size_t bytes, size_t at,
                          unsigned flags)
{
    uint8_t first = (uint8_t)text[at];
    for (uint32_t i = t->special_start[first]; i < t->special_start[first + 1]; i++) {
        const lp_token *token = &t->vocab.tokens[t->special_order[i]];
        if (token->type != LP_TOKEN_USER && !(flags & LP_TOKENIZE_PARSE_SPECIAL))
            continue;
        if (token->bytes > bytes - at || memcmp(token->text, text + at, token->bytes) != 0)
            continue;
        if (token->flags & LP_TOKEN_SINGLE_WORD &&
            !stands_alone(text, bytes, at, at + token->bytes))
            continue;
        return (int32_t)t->special_order[i];
    }
    return -1;
}

static lp_status encode(work *w, const char *text, size_t bytes, unsigned flags)
{
    const lp_tokenizer *t = w->tokenizer;
    size_t done = 0, at = 0;
    while (at < bytes) {
        int32_t id = special_at(t, text, bytes, at, flags);
        if (id < 0) {
            at++;
            continue;
        }
        const lp_token *token = &t->vocab.tokens[id];
        size_t start = at, end = at + token->bytes, before;
        uint32_t code;
        while (token->flags & LP_TOKEN_LEFT_STRIP && start > done &&
               (before = character_before(text, start, &code)) >= done && lp_utf8_is_space(code))
            start = before;
        unsigned length;
        while (token->flags & LP_TOKEN_RIGHT_STRIP &&
               (length = lp_utf8_decode(text + end, bytes - end, &code)) > 0 &&
               lp_utf8_is_space(code))
            end += length;
        LP_TRY(encode_stretch(w, text + done, start - done, done == 0));
        LP_TRY(push(w, id));
        done = at = end;
    }
    return encode_stretch(w, text + done, bytes - done, done == 0);
}

lp_status lp_tokenize(lp_context *ctx, const lp_tokenizer *tokenizer, const char *text,
                      size_t bytes, unsigned flags, int32_t **tokens, size_t *n_tokens)
{
    lp_status status = LP_OK;
    work w = {.ctx = ctx, .tokenizer = tokenizer};
    lp_special_tokens special = tokenizer->special;

    *tokens = NULL;
    *n_tokens = 0;
    if (bytes >= MAX_TEXT)
        return lp_fail(ctx, LP_E_LIMIT, "a text of %zu bytes; at most %u are tokenized", bytes,
                       MAX_TEXT - 1);
    w.out.ids = malloc(64 * sizeof *w.out.ids);
    if (!w.out.ids)
        return lp_fail_memory(ctx, "the tokens of a text");
    w.out.room = 64;
    if (flags & LP_TOKENIZE_ADD_SPECIAL && special.add_bos && special.bos >= 0)
        LP_CHECK(push(&w, special.bos));
    LP_CHECK(encode(&w, text, bytes, flags));
    if (flags & LP_TOKENIZE_ADD_SPECIAL && special.add_eos && special.eos >= 0)
        LP_CHECK(push(&w, special.eos));
    *tokens = w.out.ids;
    *n_tokens = w.out.n;
    w.out.ids = NULL;
cleanup:
    free(w.out.ids);
    lp_bpe_free(&w.bpe);
    lp_text_free(&w.normal);
    lp_text_free(&w.spare);
    lp_text_free(&w.letters);
    lp_pieces_free(&w.pieces);
    return status;
}
