/* tokenizer.json: the model (BPE, Unigram, WordPiece, WordLevel), its vocabulary, added tokens.
 * https://huggingface.co/docs/tokenizers/api/models */
#include "text/tokenizer_json.h"

#include <math.h>
#include <string.h>

/* Ids may have gaps, but not so many that a small file takes much memory. */
static bool ids_are_dense(uint64_t n, uint64_t entries)
{
    return n <= 4 * entries + 65536;
}

static lp_status added_token(lp_json_reader *reader, yyjson_val *item, uint64_t *id,
                             yyjson_val **text)
{
    yyjson_val *number = yyjson_obj_get(item, "id");
    *text = yyjson_obj_get(item, "content");
    if (!yyjson_is_uint(number) || !yyjson_is_str(*text) || yyjson_get_len(*text) == 0)
        return lp_fail(reader->ctx, LP_E_FORMAT,
                       "%s: added_tokens: an integer id and a content expected", reader->where);
    *id = yyjson_get_uint(number);
    return LP_OK;
}

/* Room for the vocabulary: one more than the largest id of model and added tokens. */
static lp_status create_vocab(lp_json_reader *reader, yyjson_val *vocab, yyjson_val *added)
{
    yyjson_val *key, *item, *text;
    size_t i, n;
    uint64_t id, size = 0;
    char quoted[LP_QUOTE_TEXT];
    size = yyjson_arr_size(vocab); /* Unigram: a list */
    if (size > LP_MAX_TOKENS)
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: model: vocab: %llu tokens", reader->where,
                       (unsigned long long)size);
    yyjson_obj_foreach(vocab, i, n, key, item)
    {
        if (!yyjson_is_uint(item))
            return lp_fail(reader->ctx, LP_E_FORMAT, "%s: model: vocab: %s: integer expected",
                           reader->where,
                           lp_utf8_quote(yyjson_get_str(key), yyjson_get_len(key), quoted));
        if (yyjson_get_uint(item) >= size)
            size = yyjson_get_uint(item) + 1;
        if (size == 0 || size > LP_MAX_TOKENS) /* 0: wrapped around */
            return lp_fail(reader->ctx, LP_E_LIMIT, "%s: model: vocab: id %llu is too large",
                           reader->where, (unsigned long long)yyjson_get_uint(item));
    }
    yyjson_arr_foreach(added, i, n, item)
    {
        LP_TRY(added_token(reader, item, &id, &text));
        if (id >= LP_MAX_TOKENS)
            return lp_fail(reader->ctx, LP_E_LIMIT, "%s: added_tokens: id %llu is too large",
                           reader->where, (unsigned long long)id);
        if (id >= size)
            size = id + 1;
    }
    if (!ids_are_dense(size, yyjson_get_len(vocab) + yyjson_arr_size(added)))
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: model: vocab: ids up to %llu for few tokens",
                       reader->where, (unsigned long long)size - 1);
    return lp_vocab_create(reader->ctx, reader->where, reader->tokenizer, size);
}

static lp_status add_added(lp_json_reader *reader, yyjson_val *item)
{
    static const struct {
        const char *key;
        uint8_t flag;
    } flags[] = {{"lstrip", LP_TOKEN_LEFT_STRIP},
                 {"rstrip", LP_TOKEN_RIGHT_STRIP},
                 {"single_word", LP_TOKEN_SINGLE_WORD}};
    lp_vocab *vocab = &reader->tokenizer->vocab;
    yyjson_val *text;
    uint64_t id;
    bool special = false, normalized = false;
    LP_TRY(added_token(reader, item, &id, &text));
    LP_TRY(
        lp_json_get_bool(reader->ctx, reader->where, item, "special", LP_JSON_OPTIONAL, &special));
    LP_TRY(lp_json_get_bool(reader->ctx, reader->where, item, "normalized", LP_JSON_OPTIONAL,
                            &normalized));
    lp_token *token = &vocab->tokens[id];
    lp_token_type type = special ? LP_TOKEN_CONTROL : LP_TOKEN_USER;
    bool there = token->type != LP_TOKEN_NONE && token->bytes == yyjson_get_len(text) &&
                 memcmp(token->text, yyjson_get_str(text), token->bytes) == 0;
    if (there) /* in the model's vocabulary, too */
        token->type = (uint8_t)type;
    else
        LP_TRY(lp_vocab_set(reader->ctx, reader->where, reader->tokenizer, (uint32_t)id,
                            yyjson_get_str(text), yyjson_get_len(text), type));
    if (!there)
        token->flags |= LP_TOKEN_ADDED;
    if (normalized)
        token->flags |= LP_TOKEN_NORMALIZED;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        bool on = false;
        LP_TRY(lp_json_get_bool(reader->ctx, reader->where, item, flags[i].key, LP_JSON_OPTIONAL,
                                &on));
        if (on)
            token->flags |= flags[i].flag;
    }
    return LP_OK;
}

/* One merge, "left right" or ["left", "right"]. */
static lp_status add_merge(lp_json_reader *reader, yyjson_val *merge, uint32_t rank)
{
    yyjson_val *left = yyjson_arr_get(merge, 0), *right = yyjson_arr_get(merge, 1);
    if (yyjson_is_str(left) && yyjson_is_str(right) && yyjson_arr_size(merge) == 2)
        return lp_tokenizer_add_merge(reader->ctx, reader->where, reader->tokenizer, rank,
                                      yyjson_get_str(left), yyjson_get_len(left),
                                      yyjson_get_str(right), yyjson_get_len(right));
    const char *text = yyjson_get_str(merge);
    size_t bytes = yyjson_get_len(merge);
    const char *space = text && bytes > 1 ? memchr(text + 1, ' ', bytes - 1) : NULL;
    if (!space)
        return lp_fail(reader->ctx, LP_E_FORMAT, "%s: model: merge %u: two tokens expected",
                       reader->where, rank);
    size_t n = (size_t)(space - text);
    return lp_tokenizer_add_merge(reader->ctx, reader->where, reader->tokenizer, rank, text, n,
                                  space + 1, bytes - n - 1);
}

/* A token of the model's own vocabulary. */
static lp_status set_token(lp_json_reader *reader, uint32_t id, yyjson_val *text)
{
    const char *name = yyjson_get_str(text);
    size_t bytes = yyjson_get_len(text);
    bool byte = reader->tokenizer->byte_fallback && lp_byte_of_name(name, bytes) >= 0;
    return lp_vocab_set(reader->ctx, reader->where, reader->tokenizer, id, name, bytes,
                        byte ? LP_TOKEN_BYTE : LP_TOKEN_NORMAL);
}

/* "vocab": {"text": id, ...} and what was added. */
static lp_status read_vocab(lp_json_reader *reader, yyjson_val *model, yyjson_val *added)
{
    yyjson_val *vocab = NULL, *key, *item;
    size_t i, n;
    LP_TRY(
        lp_json_get_object(reader->ctx, reader->where, model, "vocab", LP_JSON_REQUIRED, &vocab));
    LP_TRY(create_vocab(reader, vocab, added));
    yyjson_obj_foreach(vocab, i, n, key, item)
        LP_TRY(set_token(reader, (uint32_t)yyjson_get_uint(item), key));
    yyjson_arr_foreach(added, i, n, item) LP_TRY(add_added(reader, item));
    return LP_OK;
}

/* "unk_token": a text that must be in the vocabulary. */
static lp_status read_unknown(lp_json_reader *reader, yyjson_val *model)
{
    lp_tokenizer *t = reader->tokenizer;
    const char *unknown = NULL;
    LP_TRY(lp_json_get_string(reader->ctx, reader->where, model, "unk_token", LP_JSON_OPTIONAL,
                              &unknown));
    if (!unknown)
        return LP_OK;
    t->special.unknown = lp_vocab_find(&t->vocab, unknown, strlen(unknown));
    return t->special.unknown >= 0
               ? LP_OK
               : lp_fail(reader->ctx, LP_E_FORMAT, "%s: model: unk_token is not in the vocabulary",
                         reader->where);
}

/* An affix that marks where in a word a token stands; "" if there is none. */
static lp_status read_affix(lp_json_reader *reader, yyjson_val *model, const char *key,
                            const char **affix)
{
    const char *text = *affix;
    LP_TRY(lp_json_get_string(reader->ctx, reader->where, model, key, LP_JSON_OPTIONAL, &text));
    if (strlen(text) > LP_JSON_MAX_REPLACEMENT)
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: model: %s has more than %d bytes",
                       reader->where, key, LP_JSON_MAX_REPLACEMENT);
    *affix = lp_arena_strdup(&reader->tokenizer->arena, text);
    return *affix ? LP_OK : lp_fail_memory(reader->ctx, reader->where);
}

static lp_status read_bpe(lp_json_reader *reader, yyjson_val *model, yyjson_val *added)
{
    lp_context *ctx = reader->ctx;
    lp_tokenizer *t = reader->tokenizer;
    yyjson_val *merges = NULL, *item;
    size_t i, n;
    t->model = LP_MODEL_RANKED;
    LP_TRY(lp_json_get_bool(ctx, reader->where, model, "byte_fallback", LP_JSON_OPTIONAL,
                            &t->byte_fallback));
    LP_TRY(lp_json_get_bool(ctx, reader->where, model, "fuse_unk", LP_JSON_OPTIONAL,
                            &t->fuse_unknown));
    LP_TRY(lp_json_get_bool(ctx, reader->where, model, "ignore_merges", LP_JSON_OPTIONAL,
                            &t->ignore_merges));
    LP_TRY(read_affix(reader, model, "continuing_subword_prefix", &t->rest_prefix));
    LP_TRY(read_affix(reader, model, "end_of_word_suffix", &t->word_suffix));
    LP_TRY(read_vocab(reader, model, added));
    LP_TRY(lp_json_get_array(ctx, reader->where, model, "merges", LP_JSON_REQUIRED, &merges));
    if (yyjson_arr_size(merges) > LP_MAX_TOKENS)
        return lp_fail(ctx, LP_E_LIMIT, "%s: model: too many merges", reader->where);
    LP_TRY(lp_bpe_table_create(ctx, &t->merges, yyjson_arr_size(merges)));
    yyjson_arr_foreach(merges, i, n, item) LP_TRY(add_merge(reader, item, (uint32_t)i));
    return read_unknown(reader, model);
}

/* One piece, ["text", score]. */
static lp_status read_piece(lp_json_reader *reader, yyjson_val *item, uint32_t id)
{
    yyjson_val *text = yyjson_arr_get(item, 0), *score = yyjson_arr_get(item, 1);
    if (yyjson_arr_size(item) != 2 || !yyjson_is_str(text) || !yyjson_is_num(score) ||
        !isfinite(yyjson_get_num(score)))
        return lp_fail(reader->ctx, LP_E_FORMAT, "%s: model: vocab: %u: [text, score] expected",
                       reader->where, id);
    LP_TRY(set_token(reader, id, text));
    reader->tokenizer->vocab.tokens[id].score = yyjson_get_num(score);
    lp_unigram_range(&reader->tokenizer->unigram, yyjson_get_num(score));
    return LP_OK;
}

static lp_status read_unigram(lp_json_reader *reader, yyjson_val *model, yyjson_val *added)
{
    lp_context *ctx = reader->ctx;
    lp_tokenizer *t = reader->tokenizer;
    yyjson_val *vocab = NULL, *item;
    size_t i, n;
    uint32_t unknown = UINT32_MAX;
    t->model = LP_MODEL_UNIGRAM;
    t->fuse_unknown = true;
    LP_TRY(lp_json_get_bool(ctx, reader->where, model, "byte_fallback", LP_JSON_OPTIONAL,
                            &t->byte_fallback));
    LP_TRY(lp_json_get_u32(ctx, reader->where, model, "unk_id", LP_JSON_OPTIONAL, &unknown));
    LP_TRY(lp_json_get_array(ctx, reader->where, model, "vocab", LP_JSON_REQUIRED, &vocab));
    if (unknown != UINT32_MAX && unknown >= yyjson_arr_size(vocab))
        return lp_fail(ctx, LP_E_FORMAT, "%s: model: unk_id is %u, but the vocabulary has %zu",
                       reader->where, unknown, yyjson_arr_size(vocab));
    LP_TRY(create_vocab(reader, vocab, added));
    yyjson_arr_foreach(vocab, i, n, item) LP_TRY(read_piece(reader, item, (uint32_t)i));
    yyjson_arr_foreach(added, i, n, item) LP_TRY(add_added(reader, item));
    t->special.unknown = unknown == UINT32_MAX ? -1 : (int32_t)unknown;
    for (uint32_t id = 0; id < yyjson_arr_size(vocab); id++) {
        const lp_token *token = &t->vocab.tokens[id];
        lp_unigram_piece piece = {token->score, (int32_t)id, false};
        if (lp_token_is_text(token) || token->type == LP_TOKEN_BYTE)
            LP_TRY(lp_unigram_add(ctx, &t->unigram, token->text, token->bytes, piece));
    }
    return LP_OK;
}

static lp_status read_wordpiece(lp_json_reader *reader, yyjson_val *model, yyjson_val *added)
{
    lp_tokenizer *t = reader->tokenizer;
    t->model = LP_MODEL_WORDPIECE;
    t->wordpiece.longest = 100;
    LP_TRY(lp_json_get_u32(reader->ctx, reader->where, model, "max_input_chars_per_word",
                           LP_JSON_OPTIONAL, &t->wordpiece.longest));
    t->rest_prefix = "##";
    LP_TRY(read_affix(reader, model, "continuing_subword_prefix", &t->rest_prefix));
    LP_TRY(read_vocab(reader, model, added));
    LP_TRY(read_unknown(reader, model));
    return lp_tokenizer_index_wordpiece(reader->ctx, t, "");
}

static lp_status read_words(lp_json_reader *reader, yyjson_val *model, yyjson_val *added)
{
    reader->tokenizer->model = LP_MODEL_WORDS;
    LP_TRY(read_vocab(reader, model, added));
    return read_unknown(reader, model);
}

lp_status lp_json_model(lp_json_reader *reader, yyjson_val *model, yyjson_val *added)
{
    static const struct {
        const char *type;
        lp_status (*read)(lp_json_reader *, yyjson_val *, yyjson_val *);
    } models[] = {{"BPE", read_bpe},
                  {"Unigram", read_unigram},
                  {"WordPiece", read_wordpiece},
                  {"WordLevel", read_words}};
    const char *type = NULL;
    char quoted[LP_QUOTE_TEXT];
    LP_TRY(lp_json_get_string(reader->ctx, reader->where, model, "type", LP_JSON_OPTIONAL, &type));
    if (!type) /* older files: told apart by what they hold */
        type = yyjson_obj_get(model, "merges")                     ? "BPE"
               : yyjson_is_arr(yyjson_obj_get(model, "vocab"))     ? "Unigram"
               : yyjson_obj_get(model, "max_input_chars_per_word") ? "WordPiece"
                                                                   : "(none)";
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        if (strcmp(type, models[i].type) == 0)
            return models[i].read(reader, model, added);
    return lp_fail(reader->ctx, LP_E_UNSUPPORTED, "%s: model: type %s is not supported",
                   reader->where, lp_utf8_quote(type, strlen(type), quoted));
}
