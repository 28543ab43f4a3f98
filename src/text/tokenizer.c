/* Text to token ids. A text is cut at added tokens; each stretch between them is normalised, cut at
 * added tokens that are looked for in normalised text, split into words, and each word becomes
 * tokens by the model: BPE merges from its smallest symbols upwards, Unigram takes the likeliest
 * segmentation, WordPiece the longest token first.
 *
 * SentencePiece: Kudo & Richardson 2018 (arXiv:1808.06226). Byte-level BPE: Radford et al. 2019,
 * "Language Models are Unsupervised Multitask Learners". */
#include "text/tokenizer_build.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT (1u << 30) /* bytes; spans are 32-bit, and normalising may double a text */

typedef struct id_list {
    int32_t *ids;
    size_t n, room;
} id_list;

/* Working memory of one call. */
typedef struct work {
    lp_context *ctx;
    const lp_tokenizer *tokenizer;
    unsigned flags;
    id_list out;
    lp_bpe bpe;
    lp_unigram_path path;
    lp_text normal, spare, letters;
    lp_words words;
} work;

/* The text within which symbols have their spans, for the rule by score. */
typedef struct scored_text {
    const lp_vocab *vocab;
    const char *text;
} scored_text;

static lp_status push(work *w, int32_t id)
{
    int32_t *ids = lp_list_grow(w->out.ids, w->out.n, &w->out.room, sizeof *ids);
    if (!ids)
        return lp_fail_memory(w->ctx, "the tokens of a text");
    w->out.ids = ids;
    w->out.ids[w->out.n++] = id;
    return LP_OK;
}

/* A user's token is a symbol that merges with nothing. */
static bool is_frozen(const lp_vocab *vocab, const lp_bpe_symbol *symbol)
{
    return symbol->id >= 0 && vocab->tokens[symbol->id].type == LP_TOKEN_USER;
}

static bool score_rule(const void *user, const lp_bpe_symbol *left, const lp_bpe_symbol *right,
                       double *key, int32_t *id)
{
    const scored_text *scored = user;
    if (is_frozen(scored->vocab, left) || is_frozen(scored->vocab, right))
        return false;
    *id =
        lp_vocab_find_text(scored->vocab, scored->text + left->start, left->length + right->length);
    if (*id < 0)
        return false;
    *key = -scored->vocab->tokens[*id].score;
    return true;
}

static bool has_byte_tokens(const lp_tokenizer *tokenizer, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (tokenizer->byte_token[(uint8_t)text[i]] < 0)
            return false;
    return bytes > 0;
}

/* The token of one character in a word; at its ends models may spell it with an affix. */
static lp_status character_token(work *w, const char *text, unsigned length, bool first, bool last,
                                 int32_t *id)
{
    const lp_tokenizer *t = w->tokenizer;
    const char *prefix = first ? "" : t->rest_prefix, *suffix = last ? t->word_suffix : "";
    if (!prefix[0] && !suffix[0]) {
        *id = lp_vocab_find_text(&t->vocab, text, length);
        return LP_OK;
    }
    w->letters.n = 0;
    LP_TRY(lp_text_append(w->ctx, &w->letters, prefix, strlen(prefix)));
    LP_TRY(lp_text_append(w->ctx, &w->letters, text, length));
    LP_TRY(lp_text_append(w->ctx, &w->letters, suffix, strlen(suffix)));
    *id = lp_vocab_find_text(&t->vocab, w->letters.data, w->letters.n);
    return LP_OK;
}

/* Characters as symbols; without a token: by score, left for later (longer texts may be tokens);
 * by rank, bytes or the unknown token at once, as these may take part in merges. */
static lp_status add_characters(work *w, const char *text, size_t bytes)
{
    const lp_tokenizer *t = w->tokenizer;
    bool after_unknown = false, scored = t->model == LP_MODEL_SCORED;
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        size_t user = 0;
        int32_t id = t->user.n_nodes ? lp_trie_longest(&t->user, text + at, bytes - at, &user) : -1;
        if (id >= 0) {
            LP_TRY(lp_bpe_add(w->ctx, &w->bpe, (uint32_t)at, (uint32_t)user, id));
            at += user;
            continue;
        }
        unsigned length = lp_utf8_decode(text + at, bytes - at, &code);
        if (length == 0)
            length = 1;
        LP_TRY(character_token(w, text + at, length, at == 0, at + length == bytes, &id));
        if (id >= 0 || scored) {
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

/* Text that is no token: as bytes, or the unknown token, of which `after` says that one came just
 * before; returns whether it is one in *unknown. */
static lp_status push_unknown(work *w, const char *text, size_t bytes, bool after, bool *unknown)
{
    const lp_tokenizer *t = w->tokenizer;
    *unknown = !(t->byte_fallback && has_byte_tokens(t, text, bytes));
    for (size_t i = 0; i < bytes && !*unknown; i++)
        LP_TRY(push(w, t->byte_token[(uint8_t)text[i]]));
    if (*unknown && t->special.unknown >= 0 && !(t->fuse_unknown && after))
        LP_TRY(push(w, t->special.unknown));
    return LP_OK;
}

/* The word in the vocabulary's spelling, if that is a token by itself; -1 if not. */
static lp_status find_word(work *w, const char *text, size_t bytes, int32_t *id)
{
    const lp_tokenizer *t = w->tokenizer;
    *id = -1;
    if (bytes > t->vocab.longest)
        return LP_OK;
    if (!t->byte_level || t->letters) {
        *id = lp_vocab_find_text(&t->vocab, text, bytes);
        return LP_OK;
    }
    w->letters.n = 0;
    for (size_t i = 0; i < bytes; i++)
        LP_TRY(lp_text_append_code(w->ctx, &w->letters, lp_byte_to_letter((uint8_t)text[i])));
    *id = lp_vocab_find_text(&t->vocab, w->letters.data, w->letters.n);
    return LP_OK;
}

static lp_status encode_bpe(work *w, const char *text, size_t bytes)
{
    const lp_tokenizer *t = w->tokenizer;
    bool unknown = false;
    if (t->ignore_merges) {
        int32_t id;
        LP_TRY(find_word(w, text, bytes, &id));
        if (id >= 0)
            return push(w, id);
    }
    lp_bpe_clear(&w->bpe);
    LP_TRY(t->byte_level && !t->letters ? add_bytes(w, text, bytes)
                                        : add_characters(w, text, bytes));
    if (t->model == LP_MODEL_SCORED) {
        scored_text scored = {&t->vocab, text};
        LP_TRY(lp_bpe_merge(w->ctx, &w->bpe, score_rule, &scored));
    } else {
        LP_TRY(lp_bpe_merge(w->ctx, &w->bpe, lp_bpe_table_rule, &t->merges));
    }
    for (int32_t i = w->bpe.n_symbols ? 0 : -1; i >= 0; i = w->bpe.symbols[i].next) {
        const lp_bpe_symbol *symbol = &w->bpe.symbols[i];
        if (symbol->id < 0) {
            LP_TRY(push_unknown(w, text + symbol->start, symbol->length, unknown, &unknown));
            continue;
        }
        LP_TRY(push(w, symbol->id));
        unknown = false;
    }
    return LP_OK;
}

/* A run of characters that are no pieces, as one unknown token (or bytes, or a token after all). */
static lp_status push_unknown_run(work *w, const char *text, size_t bytes)
{
    const lp_tokenizer *t = w->tokenizer;
    int32_t id = t->find_unknown ? lp_vocab_find_text(&t->vocab, text, bytes) : -1;
    bool unknown;
    return id >= 0 ? push(w, id) : push_unknown(w, text, bytes, false, &unknown);
}

static lp_status encode_unigram(work *w, const char *text, size_t bytes)
{
    size_t run = 0; /* bytes of unknown characters before `at` */
    LP_TRY(lp_unigram_segment(w->ctx, &w->tokenizer->unigram, text, bytes, &w->path));
    const lp_unigram_node *nodes = w->path.nodes;
    for (size_t at = 0; at < bytes; at = nodes[at].start) {
        if (nodes[at].id < 0) {
            run += nodes[at].start - at;
            if (w->tokenizer->fuse_unknown && nodes[at].start < bytes)
                continue;
        }
        if (run > 0)
            LP_TRY(
                push_unknown_run(w, text + (nodes[at].id < 0 ? nodes[at].start : at) - run, run));
        run = 0;
        if (nodes[at].id >= 0)
            LP_TRY(push(w, nodes[at].id));
    }
    return LP_OK;
}

static lp_status encode_wordpiece(work *w, const char *text, size_t bytes)
{
    const lp_wordpiece *model = &w->tokenizer->wordpiece;
    size_t n_before = w->out.n, n_characters = 0, length = 0;
    for (size_t i = 0; i < bytes; i++)
        n_characters += ((uint8_t)text[i] & 0xc0) != 0x80;
    bool known = n_characters <= model->longest;
    for (size_t at = 0; at < bytes && known; at += length) {
        int32_t id = lp_wordpiece_next(model, text, bytes, at, &length);
        known = id >= 0;
        if (known)
            LP_TRY(push(w, id));
    }
    if (known)
        return LP_OK;
    w->out.n = n_before;
    return w->tokenizer->special.unknown >= 0 ? push(w, w->tokenizer->special.unknown) : LP_OK;
}

static lp_status encode_word(work *w, const char *text, size_t bytes)
{
    int32_t id;
    switch (w->tokenizer->model) {
    case LP_MODEL_UNIGRAM:
        return encode_unigram(w, text, bytes);
    case LP_MODEL_WORDPIECE:
        return encode_wordpiece(w, text, bytes);
    case LP_MODEL_WORDS:
        id = lp_vocab_find_text(&w->tokenizer->vocab, text, bytes);
        id = id < 0 ? w->tokenizer->special.unknown : id;
        return id >= 0 ? push(w, id) : LP_OK;
    default:
        return encode_bpe(w, text, bytes);
    }
}

/* Text that nothing splits. BPE takes it word by word where no merge can join two words: the same
 * tokens, from memory that stays in the cache. */
static lp_status encode_unsplit(work *w, const char *text, size_t bytes)
{
    const lp_tokenizer *t = w->tokenizer;
    const size_t mark = strlen(LP_SPACE_MARK);
    bool bpe = t->model == LP_MODEL_RANKED || t->model == LP_MODEL_SCORED;
    bool affixes = t->rest_prefix[0] || t->word_suffix[0];
    size_t start = 0, at = 1;
    while (bpe && t->marks_lead && !t->ignore_merges && !affixes && at < bytes) {
        const char *next = memchr(text + at, LP_SPACE_MARK[0], bytes - at);
        if (!next)
            break;
        at = (size_t)(next - text);
        bool is_mark = bytes - at >= mark && memcmp(next, LP_SPACE_MARK, mark) == 0;
        bool after_mark = at >= mark && memcmp(next - mark, LP_SPACE_MARK, mark) == 0;
        if (is_mark && !after_mark) {
            LP_TRY(encode_word(w, text + start, at - start));
            start = at;
        }
        at++;
    }
    return encode_word(w, text + start, bytes - start);
}

/* Text without added tokens, normalised. `first`: nothing is before it. */
static lp_status encode_words(work *w, const char *text, size_t bytes, bool first)
{
    const lp_tokenizer *t = w->tokenizer;
    if (bytes == 0)
        return LP_OK;
    if (!t->splitter)
        return encode_unsplit(w, text, bytes);
    LP_TRY(lp_split(w->ctx, t->splitter, text, bytes, first, &w->words));
    for (size_t i = 0; i < w->words.n; i++) {
        lp_piece piece = w->words.pieces[i];
        LP_TRY(encode_word(w, w->words.text + piece.start, piece.end - piece.start));
    }
    return LP_OK;
}

typedef lp_status (*encode_part)(work *w, const char *text, size_t bytes, bool first);

/* Cuts text at the added tokens of a trie; `encode` gets what is between them. */
static lp_status cut(work *w, const lp_trie *tokens, const char *text, size_t bytes, bool first,
                     encode_part encode)
{
    size_t done = 0, at = 0, start = 0, end = 0;
    int32_t id;
    while ((id = lp_find_added(w->tokenizer, tokens, text, bytes, done, &at, w->flags, &start,
                               &end)) >= 0) {
        LP_TRY(encode(w, text + done, start - done, first && done == 0));
        LP_TRY(push(w, id));
        done = end;
    }
    return encode(w, text + done, bytes - done, first && done == 0);
}

/* Text without the added tokens that are looked for in text as it is. */
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
    return cut(w, &t->added_normalized, text, bytes, first, encode_words);
}

static lp_status encode_text(work *w, lp_tokenizer_text text)
{
    return cut(w, &w->tokenizer->added, text.data, text.bytes, true, encode_stretch);
}

static lp_status check_length(lp_context *ctx, size_t bytes)
{
    return bytes < MAX_TEXT
               ? LP_OK
               : lp_fail(ctx, LP_E_LIMIT, "a text of %zu bytes; at most %u are tokenized", bytes,
                         MAX_TEXT - 1);
}

/* Items of the template, or the texts alone; notes in *segments where ids belong. */
static lp_status encode_template(work *w, const lp_template *form, const lp_tokenizer_text texts[2],
                                 id_list *segments)
{
    bool special = w->flags & LP_TOKENIZE_ADD_SPECIAL;
    for (size_t i = 0; i < form->n; i++) {
        const lp_template_item *item = &form->items[i];
        if (item->id < 0)
            LP_TRY(encode_text(w, texts[item->id == LP_TEMPLATE_B]));
        else if (special)
            LP_TRY(push(w, item->id));
        while (segments && segments->n < w->out.n) {
            int32_t *ids = lp_list_grow(segments->ids, segments->n, &segments->room, sizeof *ids);
            if (!ids)
                return lp_fail_memory(w->ctx, "the segments of a text");
            segments->ids = ids;
            segments->ids[segments->n++] = item->segment;
        }
    }
    return LP_OK;
}

static lp_status encode_all(lp_context *ctx, const lp_tokenizer *tokenizer, const lp_template *form,
                            const lp_tokenizer_text texts[2], unsigned flags, int32_t **tokens,
                            int32_t **segments, size_t *n_tokens)
{
    lp_status status = LP_OK;
    work w = {.ctx = ctx, .tokenizer = tokenizer, .flags = flags};
    id_list where = {0};

    *n_tokens = 0;
    w.out.ids = malloc(64 * sizeof *w.out.ids); /* not NULL on success, also without tokens */
    where.ids = malloc(64 * sizeof *where.ids);
    if (!w.out.ids || !where.ids)
        LP_CHECK(lp_fail_memory(ctx, "the tokens of a text"));
    w.out.room = where.room = 64;
    LP_CHECK(encode_template(&w, form, texts, segments ? &where : NULL));
    *tokens = w.out.ids;
    *n_tokens = w.out.n;
    w.out.ids = NULL;
    if (segments) {
        *segments = where.ids;
        where.ids = NULL;
    }
cleanup:
    free(w.out.ids);
    free(where.ids);
    lp_bpe_free(&w.bpe);
    lp_unigram_path_free(&w.path);
    lp_text_free(&w.normal);
    lp_text_free(&w.spare);
    lp_text_free(&w.letters);
    lp_words_free(&w.words);
    return status;
}

lp_status lp_tokenize(lp_context *ctx, const lp_tokenizer *tokenizer, const char *text,
                      size_t bytes, unsigned flags, int32_t **tokens, size_t *n_tokens)
{
    const lp_tokenizer_text texts[2] = {{text, bytes}, {"", 0}};
    *tokens = NULL;
    *n_tokens = 0;
    LP_TRY(check_length(ctx, bytes));
    return encode_all(ctx, tokenizer, &tokenizer->single, texts, flags, tokens, NULL, n_tokens);
}

lp_status lp_tokenize_pair(lp_context *ctx, const lp_tokenizer *tokenizer, lp_tokenizer_text a,
                           lp_tokenizer_text b, unsigned flags, int32_t **tokens,
                           int32_t **segments, size_t *n_tokens)
{
    const lp_tokenizer_text texts[2] = {a, b};
    *tokens = *segments = NULL;
    *n_tokens = 0;
    LP_TRY(check_length(ctx, a.bytes));
    LP_TRY(check_length(ctx, b.bytes));
    return encode_all(ctx, tokenizer, &tokenizer->pair, texts, flags, tokens, segments, n_tokens);
}
