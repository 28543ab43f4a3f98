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
    t->special = (lp_special_tokens){.bos = -1, .eos = -1, .unknown = -1};
    memset(t->byte_token, 0xff, sizeof t->byte_token);
    t->kind = "";
    return LP_OK;
}

void lp_tokenizer_destroy(lp_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    free(tokenizer->vocab.slots);
    lp_bpe_table_destroy(&tokenizer->merges);
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
    if (tokenizer->n_steps == LP_MAX_NORMALIZE_STEPS)
        return lp_fail(ctx, LP_E_LIMIT, "%s: more than %d steps", where, LP_MAX_NORMALIZE_STEPS);
    lp_normalize_step *copy = &tokenizer->steps[tokenizer->n_steps];
    *copy = *step;
    copy->from =
        lp_arena_strndup(&tokenizer->arena, step->from ? step->from : "", step->from_bytes);
    copy->to = lp_arena_strndup(&tokenizer->arena, step->to ? step->to : "", step->to_bytes);
    if (!copy->from || !copy->to)
        return lp_fail_memory(ctx, where);
    tokenizer->n_steps++;
    return LP_OK;
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

/* The byte that a text "<0xNN>" stands for, or -1. */
static int byte_of(const char *text, size_t bytes)
{
    static const char digits[] = "0123456789ABCDEF";
    if (bytes != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    const char *high = memchr(digits, text[3], 16), *low = memchr(digits, text[4], 16);
    return high && low ? (int)((high - digits) * 16 + (low - digits)) : -1;
}

/* Bytes that a token's spelling stands for, into `to` (as many bytes as the text has at most). */
static size_t decode(const lp_tokenizer *tokenizer, const lp_token *token, char *to)
{
    size_t n = 0, at = 0;
    while (at < token->bytes) {
        uint32_t code = 0;
        size_t left = token->bytes - at;
        if (tokenizer->byte_level) {
            unsigned length = lp_utf8_decode(token->text + at, left, &code);
            int byte = length ? lp_letter_to_byte(code) : -1;
            if (byte >= 0) {
                to[n++] = (char)byte;
                at += length;
                continue;
            }
        } else if (tokenizer->escape_space && left >= 3 &&
                   memcmp(token->text + at, LP_SPACE_MARK, 3) == 0) {
            to[n++] = ' ';
            at += 3;
            continue;
        }
        to[n++] = token->text[at++];
    }
    return n;
}

static lp_status set_decoded(lp_context *ctx, const char *where, lp_tokenizer *tokenizer,
                             lp_token *token)
{
    int byte = tokenizer->byte_level ? -1 : byte_of(token->text, token->bytes);
    token->decoded = "";
    if (token->type == LP_TOKEN_USER) {
        token->decoded = token->text;
        token->decoded_bytes = token->bytes;
        return LP_OK;
    }
    if (token->type == LP_TOKEN_BYTE && byte < 0)
        return lp_fail(ctx, LP_E_FORMAT, "%s: token %d is of type byte but not named <0xNN>", where,
                       (int)(token - tokenizer->vocab.tokens));
    if (token->type != LP_TOKEN_NORMAL && token->type != LP_TOKEN_BYTE)
        return LP_OK;
    char *decoded = lp_arena_alloc(&tokenizer->arena, token->bytes ? token->bytes : 1);
    if (!decoded)
        return lp_fail_memory(ctx, where);
    token->decoded = decoded;
    if (token->type == LP_TOKEN_BYTE) {
        decoded[0] = (char)byte;
        token->decoded_bytes = 1;
    } else {
        token->decoded_bytes = (uint32_t)decode(tokenizer, token, decoded);
    }
    return LP_OK;
}

static bool is_special(const lp_token *token)
{
    return token->bytes > 0 && (token->type == LP_TOKEN_CONTROL || token->type == LP_TOKEN_USER ||
                                token->type == LP_TOKEN_UNKNOWN);
}

/* Longer texts first, so that the longest special token at a place wins. */
static void sort_longest_first(const lp_vocab *vocab, uint32_t *ids, size_t n)
{
    for (size_t gap = n / 2; gap > 0; gap /= 2) /* Shell's sort, stable enough: texts differ */
        for (size_t i = gap; i < n; i++) {
            uint32_t id = ids[i];
            size_t k = i;
            for (; k >= gap && vocab->tokens[ids[k - gap]].bytes < vocab->tokens[id].bytes;
                 k -= gap)
                ids[k] = ids[k - gap];
            ids[k] = id;
        }
}

static lp_status index_special(lp_context *ctx, const char *where, lp_tokenizer *tokenizer)
{
    const lp_vocab *vocab = &tokenizer->vocab;
    uint32_t count[256] = {0}, total = 0;
    for (uint32_t i = 0; i < vocab->n; i++)
        if (is_special(&vocab->tokens[i]))
            count[(uint8_t)vocab->tokens[i].text[0]]++;
    for (int b = 0; b < 256; b++) {
        tokenizer->special_start[b] = total;
        total += count[b];
    }
    tokenizer->special_start[256] = total;
    uint32_t *order = lp_arena_array(&tokenizer->arena, total ? total : 1, sizeof *order);
    if (!order)
        return lp_fail_memory(ctx, where);
    memset(count, 0, sizeof count);
    for (uint32_t i = 0; i < vocab->n; i++)
        if (is_special(&vocab->tokens[i])) {
            uint8_t first = (uint8_t)vocab->tokens[i].text[0];
            order[tokenizer->special_start[first] + count[first]++] = i;
        }
    for (int b = 0; b < 256; b++)
        sort_longest_first(vocab, order + tokenizer->special_start[b], count[b]);
    tokenizer->special_order = order;
    return LP_OK;
}

/* Names that end a turn or a text in the models at hand, whatever the metadata calls them. */
static void mark_ends(lp_tokenizer *tokenizer)
{
    static const char *const names[] = {
        "</s>",       "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>",    "<|eom_id|>",
        "<|im_end|>", "<|end|>",       "<|return|>",      "<end_of_turn>", "<end_of_utterance>",
        "<eos>",      "<EOT>",         "[EOT]",           "[EOS]",         "<｜end▁of▁sentence｜>"};
    lp_vocab *vocab = &tokenizer->vocab;
    if (tokenizer->special.eos >= 0)
        vocab->tokens[tokenizer->special.eos].flags |= LP_TOKEN_END;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int32_t id = lp_vocab_find(vocab, names[i], strlen(names[i]));
        if (id >= 0)
            vocab->tokens[id].flags |= LP_TOKEN_END;
    }
    for (uint32_t i = 0; i < vocab->n; i++) /* an end is not text */
        if (vocab->tokens[i].flags & LP_TOKEN_END && vocab->tokens[i].type != LP_TOKEN_NONE)
            vocab->tokens[i].type = LP_TOKEN_CONTROL;
}

lp_status lp_tokenizer_finish(lp_context *ctx, const char *where, lp_tokenizer *tokenizer)
{
    lp_vocab *vocab = &tokenizer->vocab;
    unsigned n_byte_tokens = 0;
    mark_ends(tokenizer);
    for (uint32_t i = 0; i < vocab->n; i++)
        LP_TRY(set_decoded(ctx, where, tokenizer, &vocab->tokens[i]));
    for (unsigned b = 0; b < 256; b++) {
        char name[8];
        size_t n = 6;
        if (tokenizer->byte_level)
            n = lp_utf8_encode(lp_byte_to_letter((uint8_t)b), name);
        else
            snprintf(name, sizeof name, "<0x%02X>", b);
        if (tokenizer->byte_level || tokenizer->byte_fallback)
            tokenizer->byte_token[b] = lp_vocab_find(vocab, name, n);
        n_byte_tokens += tokenizer->byte_token[b] >= 0;
    }
    if (n_byte_tokens < 256 && tokenizer->special.unknown < 0)
        lp_log(ctx, LP_LOG_WARN,
               "%s: %u of 256 byte tokens and no unknown token: some text will be dropped", where,
               n_byte_tokens);
    return index_special(ctx, where, tokenizer);
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

lp_status lp_detokenize(lp_context *ctx, const lp_tokenizer *tokenizer, int32_t token,
                        const char **bytes, size_t *n_bytes)
{
    LP_TRY(lp_token_text(ctx, tokenizer, token, bytes, n_bytes));
    *bytes = tokenizer->vocab.tokens[token].decoded;
    *n_bytes = tokenizer->vocab.tokens[token].decoded_bytes;
    return LP_OK;
}
