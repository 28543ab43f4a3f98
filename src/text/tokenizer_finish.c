/* What follows from a tokenizer's tokens: the bytes that they decode to, tokens of bytes, tries of
 * what is looked for in text, special tokens by their names, templates. */
#include "text/tokenizer_build.h"

#include <stdio.h>
#include <string.h>

int lp_byte_of_name(const char *text, size_t bytes)
{
    static const char digits[] = "0123456789ABCDEF";
    if (bytes != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    const char *high = memchr(digits, text[3], 16), *low = memchr(digits, text[4], 16);
    return high && low ? (int)((high - digits) * 16 + (low - digits)) : -1;
}

/* Bytes that a token's spelling stands for, into `to` (as many bytes as the text has at most). */
static size_t spell(const lp_tokenizer *tokenizer, const char *text, size_t bytes, char *to)
{
    size_t n = 0, at = 0;
    while (at < bytes) {
        uint32_t code = 0;
        size_t left = bytes - at;
        if (tokenizer->byte_level) {
            unsigned length = lp_utf8_decode(text + at, left, &code);
            int byte = length ? lp_letter_to_byte(code) : -1;
            if (byte >= 0) {
                to[n++] = (char)byte;
                at += length;
                continue;
            }
        } else if (tokenizer->escape_space && left >= 3 &&
                   memcmp(text + at, LP_SPACE_MARK, 3) == 0) {
            to[n++] = ' ';
            at += 3;
            continue;
        }
        to[n++] = text[at++];
    }
    return n;
}

/* Takes spaces away that people do not write, from a word with a space in front; returns the length
 * that is left. The rules are those of the decoder "WordPiece" of tokenizer.json files. */
static size_t clean_up(char *text, size_t bytes)
{
    static const struct {
        const char *from, *to;
    } rules[] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                 {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                 {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t r = 0; r < sizeof rules / sizeof rules[0]; r++) {
        size_t n = strlen(rules[r].from), k = strlen(rules[r].to);
        for (size_t at = 0; at + n <= bytes; at++)
            if (memcmp(text + at, rules[r].from, n) == 0) {
                memcpy(text + at, rules[r].to, k);
                memmove(text + at + k, text + at + n, bytes - at - n);
                bytes -= n - k;
                at += k - 1;
            }
    }
    return bytes;
}

/* WordPiece: a first piece has a space in front, others lose their prefix. Two kinds of spelling:
 * "word", "##ing" (with a prefix for the others) and U+2581 "word", "ing". */
static size_t spell_wordpiece(const lp_tokenizer *tokenizer, const lp_token *token, char *to)
{
    const char *prefix = tokenizer->rest_prefix, *text = token->text;
    size_t n = strlen(prefix), bytes = token->bytes, length = 0;
    if (n > 0 && bytes >= n && memcmp(text, prefix, n) == 0) {
        memcpy(to, text + n, bytes - n);
        length = bytes - n;
    } else {
        if (n > 0 || token->type == LP_TOKEN_CONTROL)
            to[length++] = ' ';
        length += spell(tokenizer, text, bytes, to + length);
    }
    return tokenizer->cleanup ? clean_up(to, length) : length;
}

/* A user's token that the model itself finds: spelt like its pieces. */
static bool is_users_piece(const lp_tokenizer *tokenizer, const lp_token *token)
{
    return token->type == LP_TOKEN_USER && tokenizer->user_inside &&
           !(token->flags & LP_TOKEN_ADDED);
}

static lp_status set_decoded(lp_context *ctx, const char *where, lp_tokenizer *tokenizer,
                             lp_token *token)
{
    int byte = lp_byte_of_name(token->text ? token->text : "", token->bytes);
    size_t suffix = strlen(tokenizer->word_suffix);
    bool is_piece = is_users_piece(tokenizer, token);
    token->decoded = "";
    if (token->type == LP_TOKEN_NONE || token->type == LP_TOKEN_UNUSED)
        return LP_OK;
    if (token->type == LP_TOKEN_BYTE && byte < 0)
        return lp_fail(ctx, LP_E_FORMAT, "%s: token %d is of type byte but not named <0xNN>", where,
                       (int)(token - tokenizer->vocab.tokens));
    /* a space in front and one behind */
    char *decoded = lp_arena_alloc(&tokenizer->arena, (size_t)token->bytes + 2);
    if (!decoded)
        return lp_fail_memory(ctx, where);
    *decoded++ = ' ';
    token->decoded = decoded;
    if (token->type == LP_TOKEN_BYTE) {
        decoded[0] = (char)byte;
        token->decoded_bytes = 1;
    } else if (tokenizer->model == LP_MODEL_WORDPIECE) {
        token->decoded--;
        token->decoded_bytes = (uint32_t)spell_wordpiece(tokenizer, token, decoded - 1);
    } else if (token->type != LP_TOKEN_NORMAL && !is_piece) { /* added: as it is */
        memcpy(decoded, token->text, token->bytes);
        token->decoded_bytes = token->bytes;
    } else if (suffix > 0 && token->bytes >= suffix &&
               memcmp(token->text + token->bytes - suffix, tokenizer->word_suffix, suffix) == 0) {
        size_t n = spell(tokenizer, token->text, token->bytes - suffix, decoded);
        decoded[n] = ' ';
        token->decoded_bytes = (uint32_t)n + 1;
        token->flags |= LP_TOKEN_WORD_END;
    } else {
        token->decoded_bytes = (uint32_t)spell(tokenizer, token->text, token->bytes, decoded);
    }
    return LP_OK;
}

/* What is looked for in text. */
static lp_status index_added(lp_context *ctx, lp_tokenizer *tokenizer)
{
    lp_status status = LP_OK;
    lp_vocab *vocab = &tokenizer->vocab;
    lp_text normal = {0}, spare = {0};
    for (uint32_t i = 0; i < vocab->n; i++) {
        const lp_token *token = &vocab->tokens[i];
        bool user = is_users_piece(tokenizer, token);
        bool special = token->type == LP_TOKEN_CONTROL || token->type == LP_TOKEN_USER ||
                       token->type == LP_TOKEN_UNKNOWN;
        if (token->bytes == 0 || !special)
            continue;
        if (!(token->flags & LP_TOKEN_NORMALIZED)) {
            LP_CHECK(lp_trie_add(ctx, user ? &tokenizer->user : &tokenizer->added, token->text,
                                 token->bytes, (int32_t)i));
            continue;
        }
        LP_CHECK(lp_normalize(ctx, tokenizer, token->text, token->bytes, true, &normal, &spare));
        if (normal.n > 0)
            LP_CHECK(
                lp_trie_add(ctx, &tokenizer->added_normalized, normal.data, normal.n, (int32_t)i));
    }
cleanup:
    lp_text_free(&normal);
    lp_text_free(&spare);
    return status;
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

/* Special tokens that no metadata named. */
static void find_special(lp_tokenizer *tokenizer)
{
    lp_special_tokens *s = &tokenizer->special;
    const struct {
        int32_t *id;
        const char *names[8];
    } rows[] = {
        {&s->cls, {"[CLS]"}},
        {&s->sep, {"[SEP]"}},
        {&s->mask, {"[MASK]", "<mask>"}},
        {&s->pad, {"[PAD]", "<pad>"}},
        {&s->eot,
         {"<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<|end|>", "<end_of_utterance>", "<EOT>"}},
        {&s->fim_prefix,
         {"<fim_prefix>", "<|fim_prefix|>", "<fim-prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>"}},
        {&s->fim_suffix,
         {"<fim_suffix>", "<|fim_suffix|>", "<fim-suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>"}},
        {&s->fim_middle,
         {"<fim_middle>", "<|fim_middle|>", "<fim-middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t k = 0; k < 8 && rows[i].names[k] && *rows[i].id < 0; k++) {
            const char *name = rows[i].names[k];
            int32_t id = lp_vocab_find(&tokenizer->vocab, name, strlen(name));
            if (id >= 0 && tokenizer->vocab.tokens[id].type != LP_TOKEN_NORMAL)
                *rows[i].id = id;
        }
}

/* A tokenizer without templates gets one from what is added at the ends; with one, it says what is
 * added. */
static lp_status settle_templates(lp_context *ctx, const char *where, lp_tokenizer *tokenizer)
{
    lp_special_tokens *special = &tokenizer->special;
    const lp_template *single = &tokenizer->single;
    if (single->n == 0) {
        int32_t before = special->add_bos ? special->bos : -1;
        return lp_template_around(ctx, where, tokenizer, before, before,
                                  special->add_eos ? special->eos : -1, 1);
    }
    size_t text = 0;
    while (text < single->n && single->items[text].id >= 0)
        text++;
    special->add_bos = text > 0;
    special->add_eos = text + 1 < single->n;
    if (special->add_bos && special->bos < 0 && single->items[0].id != special->cls)
        special->bos = single->items[0].id;
    if (special->add_eos && special->eos < 0 && single->items[text + 1].id != special->sep)
        special->eos = single->items[text + 1].id;
    return LP_OK;
}

/* The tokens of bytes. */
static void find_bytes(lp_context *ctx, const char *where, lp_tokenizer *tokenizer)
{
    unsigned n_byte_tokens = 0;
    bool ascii = true; /* all printable characters are there; rare bytes often are not */
    for (unsigned b = 0; b < 256; b++) {
        char name[8];
        size_t n = 6;
        if (tokenizer->byte_level)
            n = lp_utf8_encode(lp_byte_to_letter((uint8_t)b), name);
        else
            snprintf(name, sizeof name, "<0x%02X>", b);
        if (tokenizer->byte_level || tokenizer->byte_fallback)
            tokenizer->byte_token[b] = lp_vocab_find(&tokenizer->vocab, name, n);
        n_byte_tokens += tokenizer->byte_token[b] >= 0;
        ascii &= tokenizer->byte_token[b] >= 0 || b < ' ' || b > '~';
    }
    if (n_byte_tokens < 256 && tokenizer->special.unknown < 0)
        lp_log(ctx, ascii ? LP_LOG_INFO : LP_LOG_WARN,
               "%s: %u of 256 byte tokens and no unknown token: some text will be dropped", where,
               n_byte_tokens);
}

/* Whether no token has U+2581 behind anything but another one; then BPE can go word by word. */
static bool marks_lead(const lp_tokenizer *tokenizer)
{
    const lp_vocab *vocab = &tokenizer->vocab;
    const size_t mark = strlen(LP_SPACE_MARK);
    if (lp_vocab_find_text(vocab, LP_SPACE_MARK, mark) < 0)
        return false;
    for (uint32_t i = 0; i < vocab->n; i++) {
        const lp_token *token = &vocab->tokens[i];
        bool other = false;
        if (token->type != LP_TOKEN_NORMAL && token->type != LP_TOKEN_USER)
            continue;
        for (size_t at = 0; at < token->bytes;) {
            bool is_mark =
                token->bytes - at >= mark && memcmp(token->text + at, LP_SPACE_MARK, mark) == 0;
            if (is_mark && other)
                return false;
            other |= !is_mark;
            at += is_mark ? mark : 1;
        }
    }
    return true;
}

lp_status lp_tokenizer_finish(lp_context *ctx, const char *where, lp_tokenizer *tokenizer)
{
    lp_vocab *vocab = &tokenizer->vocab;
    find_special(tokenizer);
    LP_TRY(settle_templates(ctx, where, tokenizer));
    mark_ends(tokenizer);
    for (uint32_t i = 0; i < vocab->n; i++)
        LP_TRY(set_decoded(ctx, where, tokenizer, &vocab->tokens[i]));
    find_bytes(ctx, where, tokenizer);
    tokenizer->marks_lead = marks_lead(tokenizer);
    return index_added(ctx, tokenizer);
}
