/* Tokenizers from GGUF metadata (tokenizer.ggml.*). Models "llama" (SentencePiece BPE: pieces with
 * scores) and "gpt2" (byte-level BPE: merges, and a pre-tokenizer by name); WordPiece, Unigram and
 * the rest are refused by name. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
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

static lp_status set_sentencepiece(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer *tokenizer)
{
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

static lp_status set_byte_level(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer *tokenizer)
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
    tokenizer->kind = lp_arena_printf(&tokenizer->arena, "gpt2 (byte-level BPE, %.*s)",
                                      (int)name.bytes, name.data);
    if (!tokenizer->kind)
        return lp_fail_memory(ctx, KEY("pre"));
    LP_TRY(read_tokens(ctx, gguf, false, tokenizer));
    LP_TRY(read_merges(ctx, gguf, tokenizer));
    LP_TRY(lp_splitter_create(ctx, &tokenizer->splitter));
    return lp_pretokenizer_add(ctx, row, tokenizer->splitter);
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
    static const char *const ends[] = {KEY("eot_token_id"), KEY("eom_token_id")};
    lp_special_tokens *special = &tokenizer->special;
    LP_TRY(read_id(ctx, gguf, KEY("bos_token_id"), tokenizer, &special->bos));
    LP_TRY(read_id(ctx, gguf, KEY("eos_token_id"), tokenizer, &special->eos));
    LP_TRY(read_id(ctx, gguf, KEY("unknown_token_id"), tokenizer, &special->unknown));
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        int32_t id = -1;
        LP_TRY(read_id(ctx, gguf, ends[i], tokenizer, &id));
        if (id >= 0)
            tokenizer->vocab.tokens[id].flags |= LP_TOKEN_END;
    }
    lp_gguf_get_bool(gguf, KEY("add_bos_token"), &special->add_bos);
    lp_gguf_get_bool(gguf, KEY("add_eos_token"), &special->add_eos);
    return LP_OK;
}

lp_status lp_tokenizer_from_gguf(lp_context *ctx, const lp_gguf *gguf, lp_tokenizer **tokenizer)
{
    lp_status status;
    lp_gguf_string model;
    char quoted[LP_QUOTE_TEXT];

    *tokenizer = NULL;
    if (!lp_gguf_get_string(gguf, KEY("model"), &model))
        return lp_fail(ctx, LP_E_MISSING, "%s is missing", KEY("model"));
    lp_tokenizer *t;
    LP_TRY(lp_tokenizer_create(ctx, &t));
    if (is_string(model, "llama"))
        LP_CHECK(set_sentencepiece(ctx, gguf, t));
    else if (is_string(model, "gpt2"))
        LP_CHECK(set_byte_level(ctx, gguf, t));
    else
        LP_CHECK(lp_fail(ctx, LP_E_UNSUPPORTED, "%s: the tokenizer model %s is not supported",
                         KEY("model"), lp_utf8_quote(model.data, model.bytes, quoted)));
    LP_CHECK(read_special(ctx, gguf, t));
    LP_CHECK(lp_tokenizer_finish(ctx, KEY("tokens"), t));
    *tokenizer = t;
    t = NULL;
cleanup:
    lp_tokenizer_destroy(t);
    return status;
}
