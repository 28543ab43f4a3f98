/* Tokenizers from GGUF metadata (tokenizer.ggml.*): the models "llama" (SentencePiece BPE: pieces
 * with scores), "gpt2" (byte-level BPE: merges, and a pre-tokenizer by name), "bert" (WordPiece)
 * and "t5" (Unigram); the rest is refused by name.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#include "text/tokenizer_build.h"

#include <stdlib.h>
#include <string.h>

#define KEY(name) "tokenizer.ggml." name

static bool is_string(lp_gguf_string text, const char *expected)
{
    return text.bytes == strlen(expected) && memcmp(text.data, expected, text.bytes) == 0;
}

static lp_status need_strings(lp_context *ctx, const lp_gguf *gguf, const char *key, uint64_t *n)
{
    lp_gguf_type type;
    if (!lp_gguf_get_array(gguf, key, &type, n))
        return lp_fail(ctx, LP_E_MISSING, "%s is missing or not an array", key);
    if (type != LP_GGUF_STRING)
        return lp_fail(ctx, LP_E_FORMAT, "%s: strings expected", key);
    return LP_OK;
}

/* Whether the optional numeric array is there; LP_E_FORMAT if its length is not n. */
static lp_status numbers(lp_context *ctx, const lp_gguf *gguf, const char *key, uint64_t n,
                         bool *there)
{
    lp_gguf_type type;
    uint64_t count;
    *there = lp_gguf_get_array(gguf, key, &type, &count);
    if (*there && count != n)
        return lp_fail(ctx, LP_E_FORMAT, "%s: %llu values for %llu tokens", key,
                       (unsigned long long)count, (unsigned long long)n);
    return LP_OK;
}

static bool has_byte_tokens(const lp_vocab *vocab)
{
    for (uint32_t i = 0; i < vocab->n; i++)
        if (vocab->tokens[i].type == LP_TOKEN_BYTE)
            return true;
    return false;
}

/* Without types a token is normal, but SentencePiece's bytes are told by their names. */
static lp_token_type guess_type(lp_gguf_string text, bool sentencepiece)
{
    bool byte =
        sentencepiece && text.bytes == 6 && memcmp(text.data, "<0x", 3) == 0 && text.data[5] == '>';
    return byte ? LP_TOKEN_BYTE : LP_TOKEN_NORMAL;
}

static lp_status read_tokens(lp_context *ctx, const lp_gguf *gguf, bool sentencepiece,
                             lp_tokenizer *tokenizer)
{
    lp_status status = LP_OK;
    int32_t *types = NULL;
    float *scores = NULL;
    uint64_t n;
    bool typed, scored;

    LP_TRY(need_strings(ctx, gguf, KEY("tokens"), &n));
    LP_TRY(numbers(ctx, gguf, KEY("token_type"), n, &typed));
    LP_TRY(numbers(ctx, gguf, KEY("scores"), n, &scored));
    if (sentencepiece && !scored)
        return lp_fail(ctx, LP_E_MISSING, "%s is missing or not an array", KEY("scores"));
    LP_TRY(lp_vocab_create(ctx, KEY("tokens"), tokenizer, n));
    if (typed) {
        types = malloc(n * sizeof *types);
        if (!types)
            LP_CHECK(lp_fail_memory(ctx, KEY("token_type")));
        if (!lp_gguf_array_i32(gguf, KEY("token_type"), types, n))
            LP_CHECK(lp_fail(ctx, LP_E_FORMAT, "%s: integers expected", KEY("token_type")));
    }
    if (sentencepiece) {
        scores = malloc(n * sizeof *scores);
        if (!scores)
            LP_CHECK(lp_fail_memory(ctx, KEY("scores")));
        if (!lp_gguf_array_f32(gguf, KEY("scores"), scores, n))
            LP_CHECK(lp_fail(ctx, LP_E_FORMAT, "%s: numbers expected", KEY("scores")));
    }
    for (uint32_t i = 0; i < n; i++) {
        lp_gguf_string text = lp_gguf_array_string(gguf, KEY("tokens"), i);
        int32_t type = types ? types[i] : (int32_t)guess_type(text, sentencepiece);
        if (type < LP_TOKEN_NORMAL || type > LP_TOKEN_BYTE)
            LP_CHECK(
                lp_fail(ctx, LP_E_FORMAT, "%s: token %u has type %d", KEY("token_type"), i, type));
        LP_CHECK(lp_vocab_set(ctx, KEY("tokens"), tokenizer, i, text.data, text.bytes,
                              (lp_token_type)type));
        if (scores)
            tokenizer->vocab.tokens[i].score = scores[i];
    }
cleanup:
    free(types);
    free(scores);
    return status;
}

/* "left right"; a space may itself be part of a token only at the very start of one. */
static lp_status read_merges(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer *tokenizer)
{
    uint64_t n;
    char quoted[LP_QUOTE_TEXT];
    LP_TRY(need_strings(ctx, gguf, KEY("merges"), &n));
    if (n > LP_MAX_TOKENS)
        return lp_fail(ctx, LP_E_LIMIT, "%s: %llu merges", KEY("merges"), (unsigned long long)n);
    LP_TRY(lp_bpe_table_create(ctx, &tokenizer->merges, (size_t)n));
    for (uint32_t i = 0; i < n; i++) {
        lp_gguf_string merge = lp_gguf_array_string(gguf, KEY("merges"), i);
        const char *space = merge.bytes > 1 ? memchr(merge.data + 1, ' ', merge.bytes - 1) : NULL;
        if (!space)
            return lp_fail(ctx, LP_E_FORMAT, "%s: merge %u: two tokens expected, found %s",
                           KEY("merges"), i, lp_utf8_quote(merge.data, merge.bytes, quoted));
        size_t left = (size_t)(space - merge.data);
        LP_TRY(lp_tokenizer_add_merge(ctx, KEY("merges"), tokenizer, i, merge.data, left, space + 1,
                                      merge.bytes - left - 1));
    }
    return LP_OK;
}

static lp_status set_sentencepiece(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer *tokenizer,
                                   bool *add_sep)
{
    (void)add_sep;
    tokenizer->model = LP_MODEL_SCORED;
    tokenizer->byte_fallback = true;
    tokenizer->escape_space = true;
    tokenizer->kind = "llama (SentencePiece BPE)";
    /* what files without these keys mean */
    tokenizer->special.bos = 1;
    tokenizer->special.eos = 2;
    tokenizer->special.unknown = 0;
    tokenizer->special.add_bos = tokenizer->special.space_prefix = true;
    LP_TRY(read_tokens(ctx, gguf, true, tokenizer));
    lp_gguf_get_bool(gguf, KEY("add_space_prefix"), &tokenizer->special.space_prefix);
    lp_normalize_step space = {.kind = LP_NORMALIZE_PREPEND, .to = " ", .to_bytes = 1};
    if (tokenizer->special.space_prefix)
        LP_TRY(lp_tokenizer_add_step(ctx, KEY("add_space_prefix"), tokenizer, &space));
    lp_normalize_step mark = {.kind = LP_NORMALIZE_REPLACE,
                              .from = " ",
                              .from_bytes = 1,
                              .to = LP_SPACE_MARK,
                              .to_bytes = 3};
    return lp_tokenizer_add_step(ctx, KEY("model"), tokenizer, &mark);
}

static lp_status set_byte_level(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer *tokenizer,
                                bool *add_sep)
{
    lp_gguf_string name = {"default", 7};
    char quoted[LP_QUOTE_TEXT];
    lp_gguf_get_string(gguf, KEY("pre"), &name);
    const lp_pretokenizer *row = lp_pretokenizer_find(name.data, name.bytes);
    if (!row)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: the pre-tokenizer %s is not known", KEY("pre"),
                       lp_utf8_quote(name.data, name.bytes, quoted));
    tokenizer->byte_level = true;
    tokenizer->ignore_merges = row->ignore_merges;
    tokenizer->special.add_bos = row->add_bos;
    *add_sep = row->add_sep;
    tokenizer->kind = lp_arena_printf(&tokenizer->arena, "gpt2 (byte-level BPE, %.*s)",
                                      (int)name.bytes, name.data);
    if (!tokenizer->kind)
        return lp_fail_memory(ctx, KEY("pre"));
    LP_TRY(read_tokens(ctx, gguf, false, tokenizer));
    LP_TRY(read_merges(ctx, gguf, tokenizer));
    LP_TRY(lp_splitter_create(ctx, &tokenizer->splitter));
    return lp_pretokenizer_add(ctx, row, tokenizer->splitter);
}

/* A word's first piece is spelt with U+2581 in front, the others as they are. Whether the text is
 * brought to lower case newer files say; in a vocabulary with capital letters it cannot be. */
static lp_status set_wordpiece(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer *tokenizer,
                               bool *add_sep)
{
    bool lower = true, strip;
    *add_sep = false; /* the end of the first text is one */
    tokenizer->model = LP_MODEL_WORDPIECE;
    tokenizer->escape_space = true;
    tokenizer->cleanup = true;
    tokenizer->kind = "bert (WordPiece)";
    tokenizer->wordpiece.longest = 100;
    LP_TRY(read_tokens(ctx, gguf, false, tokenizer));
    tokenizer->special.unknown = lp_tokenizer_find(tokenizer, "[UNK]", 5); /* without its key */
    tokenizer->special.cls = lp_tokenizer_find(tokenizer, "[CLS]", 5);
    tokenizer->special.sep = lp_tokenizer_find(tokenizer, "[SEP]", 5);
    for (uint32_t i = 0; i < tokenizer->vocab.n && lower; i++) {
        const lp_token *token = &tokenizer->vocab.tokens[i];
        for (uint32_t k = 0; k < token->bytes && token->type == LP_TOKEN_NORMAL; k++)
            lower &= token->text[k] < 'A' || token->text[k] > 'Z' || token->text[0] == '[';
    }
    lp_gguf_get_bool(gguf, KEY("normalizer.lowercase"), &lower);
    strip = lower;
    lp_gguf_get_bool(gguf, KEY("normalizer.strip_accents"), &strip);
    LP_TRY(lp_tokenizer_add_bert(ctx, KEY("model"), tokenizer, true, true, strip, lower));
    LP_TRY(lp_splitter_create(ctx, &tokenizer->splitter));
    LP_TRY(lp_splitter_add_bert(ctx, tokenizer->splitter, KEY("model")));
    return lp_tokenizer_index_wordpiece(ctx, tokenizer, LP_SPACE_MARK);
}

static lp_status read_charsmap(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer *tokenizer,
                               lp_charsmap *map)
{
    lp_status status = LP_OK;
    lp_gguf_type type;
    uint64_t n;
    if (!lp_gguf_get_array(gguf, KEY("precompiled_charsmap"), &type, &n) || n == 0)
        return LP_OK;
    uint8_t *bytes = n <= SIZE_MAX / 4 ? malloc(n) : NULL;
    int32_t *numbers = n <= SIZE_MAX / 4 ? malloc(n * sizeof *numbers) : NULL;
    if (!bytes || !numbers)
        LP_CHECK(lp_fail_memory(ctx, KEY("precompiled_charsmap")));
    if (!lp_gguf_array_i32(gguf, KEY("precompiled_charsmap"), numbers, n))
        LP_CHECK(lp_fail(ctx, LP_E_FORMAT, "%s: bytes expected", KEY("precompiled_charsmap")));
    for (uint64_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)numbers[i]; /* signed or not */
    LP_CHECK(lp_charsmap_read(ctx, "tokenizer.ggml", &tokenizer->arena, bytes, (size_t)n, map));
cleanup:
    free(bytes);
    free(numbers);
    return status;
}

static lp_status set_unigram(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer *tokenizer,
                             bool *add_sep)
{
    lp_normalize_step step = {.kind = LP_NORMALIZE_SENTENCEPIECE, .prefix = true, .escape = true};
    (void)add_sep;
    tokenizer->model = LP_MODEL_UNIGRAM;
    tokenizer->escape_space = true;
    tokenizer->fuse_unknown = true;
    tokenizer->kind = "t5 (Unigram)";
    tokenizer->special.eos = 1; /* what files without these keys mean */
    tokenizer->special.unknown = 2;
    tokenizer->special.pad = 0;
    tokenizer->special.add_eos = true;
    LP_TRY(read_tokens(ctx, gguf, true, tokenizer));
    lp_gguf_get_bool(gguf, KEY("add_space_prefix"), &step.prefix);
    lp_gguf_get_bool(gguf, KEY("remove_extra_whitespaces"), &step.squeeze);
    tokenizer->special.space_prefix = step.prefix;
    LP_TRY(read_charsmap(ctx, gguf, tokenizer, &step.map));
    LP_TRY(lp_tokenizer_add_step(ctx, KEY("model"), tokenizer, &step));
    tokenizer->byte_fallback = has_byte_tokens(&tokenizer->vocab);
    return lp_tokenizer_index_unigram(ctx, tokenizer);
}

/* An id that the file gives must exist; the default of a file that gives none may not. */
static lp_status read_id(lp_context *ctx, const lp_gguf *gguf, const char *key,
                         const lp_tokenizer *tokenizer, int32_t *id)
{
    uint32_t value;
    if (lp_gguf_get_u32(gguf, key, &value)) {
        if (value >= tokenizer->vocab.n)
            return lp_fail(ctx, LP_E_FORMAT, "%s: token %u, but the vocabulary has %u", key, value,
                           tokenizer->vocab.n);
        *id = (int32_t)value;
    }
    if (*id >= 0 && (uint32_t)*id >= tokenizer->vocab.n)
        *id = -1;
    return LP_OK;
}

static lp_status read_special(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer *tokenizer)
{
    lp_special_tokens *special = &tokenizer->special;
    int32_t end = -1;
    const struct {
        const char *key;
        int32_t *id;
    } rows[] = {{KEY("bos_token_id"), &special->bos},
                {KEY("eos_token_id"), &special->eos},
                {KEY("unknown_token_id"), &special->unknown},
                {KEY("padding_token_id"), &special->pad},
                {KEY("cls_token_id"), &special->cls},
                {KEY("seperator_token_id"), &special->sep}, /* spelt so in the files */
                {KEY("mask_token_id"), &special->mask},
                {KEY("eot_token_id"), &special->eot},
                {KEY("eom_token_id"), &end},
                {KEY("fim_pre_token_id"), &special->fim_prefix},
                {KEY("fim_suf_token_id"), &special->fim_suffix},
                {KEY("fim_mid_token_id"), &special->fim_middle},
                {KEY("prefix_token_id"), &special->fim_prefix}, /* of older files */
                {KEY("suffix_token_id"), &special->fim_suffix},
                {KEY("middle_token_id"), &special->fim_middle}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        LP_TRY(read_id(ctx, gguf, rows[i].key, tokenizer, rows[i].id));
    if (tokenizer->model == LP_MODEL_WORDPIECE && special->cls < 0)
        special->cls = special->bos;
    if (special->eot >= 0)
        tokenizer->vocab.tokens[special->eot].flags |= LP_TOKEN_END;
    if (end >= 0)
        tokenizer->vocab.tokens[end].flags |= LP_TOKEN_END;
    lp_gguf_get_bool(gguf, KEY("add_bos_token"), &special->add_bos);
    lp_gguf_get_bool(gguf, KEY("add_eos_token"), &special->add_eos);
    return LP_OK;
}

/* What goes around texts: BERT's "cls A sep B sep", and RoBERTa's "bos A eos sep B eos". */
static lp_status set_templates(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer *tokenizer,
                               bool add_sep)
{
    const lp_special_tokens *special = &tokenizer->special;
    lp_gguf_get_bool(gguf, KEY("add_sep_token"), &add_sep);
    if (tokenizer->model == LP_MODEL_WORDPIECE)
        return lp_template_around(ctx, KEY("model"), tokenizer, special->cls, -1, special->sep, 1);
    if (!add_sep)
        return LP_OK;
    int32_t sep = special->sep >= 0 ? special->sep : special->eos;
    return lp_template_around(ctx, KEY("model"), tokenizer, special->add_bos ? special->bos : -1,
                              sep, special->add_eos ? special->eos : -1, 0);
}

lp_status lp_tokenizer_from_gguf(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer **tokenizer)
{
    static const struct {
        const char *model;
        lp_status (*set)(lp_context *, const lp_gguf *, lp_tokenizer *, bool *);
    } models[] = {{"llama", set_sentencepiece},
                  {"gpt2", set_byte_level},
                  {"bert", set_wordpiece},
                  {"t5", set_unigram}};
    lp_status status = LP_OK;
    lp_gguf_string model;
    char quoted[LP_QUOTE_TEXT];
    bool add_sep = false;
    size_t i = 0, n = sizeof models / sizeof models[0];

    *tokenizer = NULL;
    if (!lp_gguf_get_string(gguf, KEY("model"), &model))
        return lp_fail(ctx, LP_E_MISSING, "%s is missing", KEY("model"));
    if (is_string(model, "no_vocab"))
        return lp_fail(ctx, LP_E_MISSING, "%s: the file was written without a tokenizer",
                       KEY("model"));
    while (i < n && !is_string(model, models[i].model))
        i++;
    if (i == n)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: the tokenizer model %s is not supported",
                       KEY("model"), lp_utf8_quote(model.data, model.bytes, quoted));
    lp_tokenizer *t;
    LP_TRY(lp_tokenizer_create(ctx, &t));
    LP_CHECK(models[i].set(ctx, gguf, t, &add_sep));
    LP_CHECK(read_special(ctx, gguf, t));
    LP_CHECK(set_templates(ctx, gguf, t, add_sep));
    LP_CHECK(lp_tokenizer_finish(ctx, KEY("tokens"), t));
    *tokenizer = t;
    t = NULL;
cleanup:
    lp_tokenizer_destroy(t);
    return status;
}
