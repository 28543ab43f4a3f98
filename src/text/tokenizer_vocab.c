/* Building a tokenizer: its vocabulary (a hash table of texts) and what follows from it. */
#include "text/tokenizer_build.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

lp_status lp_tokenizer_create(lp_context *ctx, lp_tokenizer **tokenizer)
{
    lp_tokenizer *t = *tokenizer = calloc(1, sizeof *t);
    if (!t)
        return lp_fail_memory(ctx, "a tokenizer");
    t->special = (lp_special_tokens){.bos = -1,
                                     .eos = -1,
                                     .unknown = -1,
                                     .pad = -1,
                                     .sep = -1,
                                     .cls = -1,
                                     .mask = -1,
                                     .eot = -1,
                                     .fim_prefix = -1,
                                     .fim_suffix = -1,
                                     .fim_middle = -1};
    memset(t->byte_token, 0xff, sizeof t->byte_token);
    t->rest_prefix = t->word_suffix = t->kind = "";
    return LP_OK;
}

void lp_tokenizer_destroy(lp_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    free(tokenizer->vocab.slots);
    lp_bpe_table_destroy(&tokenizer->merges);
    lp_unigram_destroy(&tokenizer->unigram);
    lp_wordpiece_destroy(&tokenizer->wordpiece);
    lp_trie_destroy(&tokenizer->added);
    lp_trie_destroy(&tokenizer->added_normalized);
    lp_trie_destroy(&tokenizer->user);
    for (size_t i = 0; i < tokenizer->n_steps; i++)
        lp_pattern_destroy(tokenizer->steps[i].pattern);
    lp_splitter_destroy(tokenizer->splitter);
    lp_arena_destroy(&tokenizer->arena);
    free(tokenizer);
}

lp_status lp_vocab_create(lp_context *ctx, const char *where, lp_tokenizer *tokenizer, uint64_t n)
{
    lp_vocab *vocab = &tokenizer->vocab;
    if (n == 0)
        return lp_fail(ctx, LP_E_FORMAT, "%s: the vocabulary is empty", where);
    if (n > LP_MAX_TOKENS)
        return lp_fail(ctx, LP_E_LIMIT, "%s: %llu tokens, at most %u are supported", where,
                       (unsigned long long)n, LP_MAX_TOKENS);
    vocab->n_slots = 16;
    while (vocab->n_slots / 2 < n)
        vocab->n_slots *= 2;
    vocab->slots = malloc(vocab->n_slots * sizeof *vocab->slots);
    vocab->tokens = lp_arena_array(&tokenizer->arena, (size_t)n, sizeof *vocab->tokens);
    if (!vocab->slots || !vocab->tokens)
        return lp_fail_memory(ctx, where);
    memset(vocab->slots, 0xff, vocab->n_slots * sizeof *vocab->slots);
    vocab->n = (uint32_t)n;
    return LP_OK;
}

/* The slot of a text, or the free one where it belongs. */
static size_t find_slot(const lp_vocab *vocab, const char *text, size_t bytes)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    size_t at = (size_t)(hash ^ hash >> 32) & (vocab->n_slots - 1);
    while (vocab->slots[at] >= 0) {
        const lp_token *token = &vocab->tokens[vocab->slots[at]];
        if (token->bytes == bytes && memcmp(token->text, text, bytes) == 0)
            break;
        at = (at + 1) & (vocab->n_slots - 1);
    }
    return at;
}

int32_t lp_vocab_find(const lp_vocab *vocab, const char *text, size_t bytes)
{
    if (bytes == 0 || bytes > vocab->longest)
        return -1;
    return vocab->slots[find_slot(vocab, text, bytes)];
}

bool lp_token_is_text(const lp_token *token)
{
    return (token->type == LP_TOKEN_NORMAL || token->type == LP_TOKEN_USER) &&
           !(token->flags & LP_TOKEN_ADDED);
}

int32_t lp_vocab_find_text(const lp_vocab *vocab, const char *text, size_t bytes)
{
    int32_t id = lp_vocab_find(vocab, text, bytes);
    return id >= 0 && lp_token_is_text(&vocab->tokens[id]) ? id : -1;
}

lp_status lp_vocab_set(lp_context *ctx, const char *where, lp_tokenizer *tokenizer, uint32_t id,
                       const char *text, size_t bytes, lp_token_type type)
{
    lp_vocab *vocab = &tokenizer->vocab;
    char quoted[LP_QUOTE_TEXT];
    assert(id < vocab->n && type != LP_TOKEN_NONE);
    lp_token *token = &vocab->tokens[id];
    if (token->type != LP_TOKEN_NONE)
        return lp_fail(ctx, LP_E_FORMAT, "%s: two tokens have the id %u", where, id);
    if (bytes > UINT32_MAX / 4)
        return lp_fail(ctx, LP_E_LIMIT, "%s: token %u has %zu bytes", where, id, bytes);
    size_t at = 0;
    if (bytes > 0) {
        at = find_slot(vocab, text, bytes);
        if (vocab->slots[at] >= 0)
            return lp_fail(ctx, LP_E_FORMAT, "%s: tokens %d and %u are both %s", where,
                           vocab->slots[at], id, lp_utf8_quote(text, bytes, quoted));
    }
    token->text = lp_arena_strndup(&tokenizer->arena, text, bytes);
    if (!token->text)
        return lp_fail_memory(ctx, where);
    token->bytes = (uint32_t)bytes;
    token->type = (uint8_t)type;
    if (bytes > 0)
        vocab->slots[at] = (int32_t)id;
    if (token->bytes > vocab->longest)
        vocab->longest = token->bytes;
    return LP_OK;
}

static lp_status find_merged(lp_context *ctx, const char *where, const lp_tokenizer *tokenizer,
                             uint32_t rank, const char *text, size_t bytes, int32_t *id)
{
    char quoted[LP_QUOTE_TEXT];
    *id = lp_vocab_find(&tokenizer->vocab, text, bytes);
    if (*id < 0)
        return lp_fail(ctx, LP_E_FORMAT, "%s: merge %u: %s is not in the vocabulary", where, rank,
                       lp_utf8_quote(text, bytes, quoted));
    return LP_OK;
}

lp_status lp_tokenizer_add_merge(lp_context *ctx, const char *where, lp_tokenizer *tokenizer,
                                 uint32_t rank, const char *left, size_t left_bytes,
                                 const char *right, size_t right_bytes)
{
    char joined[256], *text = joined;
    int32_t left_id, right_id, id;
    LP_TRY(find_merged(ctx, where, tokenizer, rank, left, left_bytes, &left_id));
    LP_TRY(find_merged(ctx, where, tokenizer, rank, right, right_bytes, &right_id));
    size_t prefix = strlen(tokenizer->rest_prefix); /* only a word's first piece is without it */
    if (right_bytes >= prefix && memcmp(right, tokenizer->rest_prefix, prefix) == 0) {
        right += prefix;
        right_bytes -= prefix;
    }
    size_t bytes = left_bytes + right_bytes;
    if (bytes > sizeof joined) {
        text = malloc(bytes);
        if (!text)
            return lp_fail_memory(ctx, where);
    }
    memcpy(text, left, left_bytes);
    memcpy(text + left_bytes, right, right_bytes);
    lp_status status = find_merged(ctx, where, tokenizer, rank, text, bytes, &id);
    if (text != joined)
        free(text);
    LP_TRY(status);
    lp_bpe_table_add(&tokenizer->merges, left_id, right_id, rank, id);
    return LP_OK;
}

lp_status lp_tokenizer_add_step(lp_context *ctx, const char *where, lp_tokenizer *tokenizer,
                                const lp_normalize_step *step)
{
    if (tokenizer->n_steps == LP_MAX_NORMALIZE_STEPS) {
        lp_pattern_destroy(step->pattern);
        return lp_fail(ctx, LP_E_LIMIT, "%s: more than %d steps", where, LP_MAX_NORMALIZE_STEPS);
    }
    lp_normalize_step *copy = &tokenizer->steps[tokenizer->n_steps];
    *copy = *step;
    tokenizer->n_steps++; /* its pattern is destroyed with the tokenizer */
    copy->from =
        lp_arena_strndup(&tokenizer->arena, step->from ? step->from : "", step->from_bytes);
    copy->to = lp_arena_strndup(&tokenizer->arena, step->to ? step->to : "", step->to_bytes);
    if (!copy->from || !copy->to)
        return lp_fail_memory(ctx, where);
    return LP_OK;
}

lp_status lp_tokenizer_add_bert(lp_context *ctx, const char *where, lp_tokenizer *tokenizer,
                                bool clean, bool pad, bool strip, bool lower)
{
    const struct {
        bool on;
        lp_normalize_kind kind;
    } rows[] = {{clean, LP_NORMALIZE_CLEAN},
                {pad, LP_NORMALIZE_PAD_CJK},
                {strip, LP_NORMALIZE_NFD},
                {strip, LP_NORMALIZE_NO_NONSPACING},
                {lower, LP_NORMALIZE_LOWER}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lp_normalize_step step = {.kind = rows[i].kind};
        if (rows[i].on)
            LP_TRY(lp_tokenizer_add_step(ctx, where, tokenizer, &step));
    }
    return LP_OK;
}

/* First pieces and others get keys of their own: "word" and "##ing", or U+2581 "word" and "ing". */
lp_status lp_tokenizer_index_wordpiece(lp_context *ctx, lp_tokenizer *tokenizer, const char *first)
{
    static const char first_key[] = "\x01", rest_key[] = "\x02";
    const char *rest = tokenizer->rest_prefix, *prefix = rest[0] ? rest : first;
    size_t n = strlen(prefix);
    lp_status status = LP_OK;
    lp_text key = {0};
    for (uint32_t i = 0; i < tokenizer->vocab.n; i++) {
        const lp_token *token = &tokenizer->vocab.tokens[i];
        bool with = token->bytes >= n && memcmp(token->text, prefix, n) == 0;
        if (token->bytes == 0 || !lp_token_is_text(token))
            continue;
        for (int k = 0; k < 2; k++) { /* without prefixes every token is of both kinds */
            bool as_rest = n == 0 ? k : with == (rest[0] != 0);
            size_t skip = with ? n : 0;
            key.n = 0;
            LP_CHECK(lp_text_append(ctx, &key, as_rest ? rest_key : first_key, 1));
            LP_CHECK(lp_text_append(ctx, &key, token->text + skip, token->bytes - skip));
            LP_CHECK(lp_trie_add(ctx, &tokenizer->wordpiece.trie, key.data, key.n, (int32_t)i));
        }
    }
    lp_wordpiece_prefixes(&tokenizer->wordpiece, first_key, rest_key);
cleanup:
    lp_text_free(&key);
    return status;
}

lp_status lp_tokenizer_index_unigram(lp_context *ctx, lp_tokenizer *tokenizer)
{
    lp_unigram *model = &tokenizer->unigram;
    model->single = true;
    for (uint32_t i = 0; i < tokenizer->vocab.n; i++) {
        const lp_token *token = &tokenizer->vocab.tokens[i];
        if (token->type == LP_TOKEN_NORMAL)
            lp_unigram_range(model, token->score);
        lp_unigram_piece piece = {token->score, (int32_t)i, token->type == LP_TOKEN_USER};
        if (token->bytes > 0 && lp_token_is_text(token))
            LP_TRY(lp_unigram_add(ctx, model, token->text, token->bytes, piece));
    }
    return LP_OK;
}

lp_status lp_template_add(lp_context *ctx, const char *where, lp_template *form, int32_t id,
                          int32_t segment)
{
    if (form->n == LP_MAX_TEMPLATE)
        return lp_fail(ctx, LP_E_LIMIT, "%s: a template of more than %d tokens", where,
                       LP_MAX_TEMPLATE);
    form->items[form->n++] = (lp_template_item){id, segment};
    return LP_OK;
}

/* One text, LP_TEMPLATE_A or _B, with what is around it; -1: nothing. */
static lp_status add_text(lp_context *ctx, const char *where, lp_template *form, int32_t before,
                          int32_t text, int32_t behind, int32_t segment)
{
    if (before >= 0)
        LP_TRY(lp_template_add(ctx, where, form, before, segment));
    LP_TRY(lp_template_add(ctx, where, form, text, segment));
    return behind >= 0 ? lp_template_add(ctx, where, form, behind, segment) : LP_OK;
}

lp_status lp_template_around(lp_context *ctx, const char *where, lp_tokenizer *tokenizer,
                             int32_t before, int32_t between, int32_t behind, int32_t second)
{
    tokenizer->single.n = tokenizer->pair.n = 0;
    LP_TRY(add_text(ctx, where, &tokenizer->single, before, LP_TEMPLATE_A, behind, 0));
    LP_TRY(add_text(ctx, where, &tokenizer->pair, before, LP_TEMPLATE_A, behind, 0));
    return add_text(ctx, where, &tokenizer->pair, between, LP_TEMPLATE_B, behind, second);
}

uint32_t lp_tokenizer_size(const lp_tokenizer *tokenizer)
{
    return tokenizer->vocab.n;
}

const char *lp_tokenizer_kind(const lp_tokenizer *tokenizer)
{
    return tokenizer->kind;
}

lp_special_tokens lp_tokenizer_special(const lp_tokenizer *tokenizer)
{
    return tokenizer->special;
}

bool lp_tokenizer_is_end(const lp_tokenizer *tokenizer, int32_t token)
{
    return token >= 0 && (uint32_t)token < tokenizer->vocab.n &&
           (tokenizer->vocab.tokens[token].flags & LP_TOKEN_END);
}

lp_status lp_token_text(lp_context *ctx, const lp_tokenizer *tokenizer, int32_t token,
                        const char **text, size_t *bytes)
{
    if (token < 0 || (uint32_t)token >= tokenizer->vocab.n)
        return lp_fail(ctx, LP_E_ARG, "token %d: the vocabulary has %u", token, tokenizer->vocab.n);
    const lp_token *t = &tokenizer->vocab.tokens[token];
    *text = t->text ? t->text : "";
    *bytes = t->bytes;
    return LP_OK;
}

int32_t lp_tokenizer_find(const lp_tokenizer *tokenizer, const char *text, size_t bytes)
{
    return lp_vocab_find(&tokenizer->vocab, text, bytes);
}
