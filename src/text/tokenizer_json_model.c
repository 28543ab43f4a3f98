/* tokenizer.json: the model (BPE, Unigram, WordPiece, WordLevel), its vocabulary, added tokens.
 * https://huggingface.co/docs/tokenizers/api/models */
#include "text/tokenizer_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* yyjson's own adds to a null pointer when there is none. */
#define EACH_MEMBER(object, i, n, key, item)                                                       \
    if (yyjson_obj_size(object) > 0)                                                               \
    yyjson_obj_foreach(object, i, n, key, item)

/* Ids may have gaps, but not so many that a small file takes much memory. */
static bool ids_are_dense(uint64_t n, uint64_t entries)
{
    return n <= 4 * entries + 65536;
}

/* One added token: {"id": 1, "content": "text", ...}, "1": {"content": "text", ...} or "text": 1.
 */
static lp_status added_token(lp_json_reader *reader, yyjson_val *key, yyjson_val *item,
                             lp_json_added *added)
{
    yyjson_val *number = yyjson_is_uint(item) ? item : yyjson_obj_get(item, "id");
    *added = (lp_json_added){.text = yyjson_is_uint(item) ? key : yyjson_obj_get(item, "content"),
                             .item = yyjson_is_obj(item) ? item : NULL};
    char *end = NULL;
    bool valid = yyjson_is_str(added->text) && yyjson_get_len(added->text) > 0;
    if (yyjson_is_uint(number)) {
        added->id = yyjson_get_uint(number);
    } else if (key && yyjson_get_str(key)[0] >= '0' && yyjson_get_str(key)[0] <= '9') {
        added->id = strtoull(yyjson_get_str(key), &end, 10);
        valid = valid && *end == 0;
    } else {
        valid = false;
    }
    if (!valid)
        return lp_fail(reader->ctx, LP_E_FORMAT,
                       "%s: added_tokens: an integer id and a content expected", reader->where);
    if (added->id >= LP_MAX_TOKENS)
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: added_tokens: id %llu is too large",
                       reader->where, (unsigned long long)added->id);
    return LP_OK;
}

lp_status lp_json_added_list(lp_json_reader *reader, yyjson_val *value, lp_json_added **list,
                             size_t *n)
{
    yyjson_val *key, *item;
    size_t i, max;
    *n = yyjson_is_ctn(value) ? yyjson_get_len(value) : 0;
    *list = lp_arena_array(&reader->tokenizer->arena, *n ? *n : 1, sizeof **list);
    if (!*list)
        return lp_fail_memory(reader->ctx, reader->where);
    yyjson_arr_foreach(value, i, max, item) LP_TRY(added_token(reader, NULL, item, &(*list)[i]));
    EACH_MEMBER(value, i, max, key, item)
    LP_TRY(added_token(reader, key, item, &(*list)[i]));
    return LP_OK;
}

lp_status lp_json_room(lp_json_reader *reader, uint64_t size, uint64_t entries,
                       const lp_json_added *added, size_t n_added)
{
    for (size_t i = 0; i < n_added; i++)
        if (added[i].id >= size)
            size = added[i].id + 1;
    if (!ids_are_dense(size, entries + n_added))
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: vocabulary: ids up to %llu for few tokens",
                       reader->where, (unsigned long long)size - 1);
    return lp_vocab_create(reader->ctx, reader->where, reader->tokenizer, size);
}

/* Room for the vocabulary: one more than the largest id of model and added tokens. */
static lp_status create_vocab(lp_json_reader *reader, yyjson_val *vocab, const lp_json_added *added,
                              size_t n_added)
{
    yyjson_val *key, *item;
    size_t i, n;
    uint64_t size = yyjson_arr_size(vocab); /* Unigram: a list */
    char quoted[LP_QUOTE_TEXT];
    EACH_MEMBER(vocab, i, n, key, item)
    {
        if (!yyjson_is_uint(item))
            return lp_fail(reader->ctx, LP_E_FORMAT, "%s: vocab: %s: integer expected",
                           reader->where,
                           lp_utf8_quote(yyjson_get_str(key), yyjson_get_len(key), quoted));
        if (yyjson_get_uint(item) >= LP_MAX_TOKENS)
            return lp_fail(reader->ctx, LP_E_LIMIT, "%s: vocab: id %llu is too large",
                           reader->where, (unsigned long long)yyjson_get_uint(item));
        if (yyjson_get_uint(item) >= size)
            size = yyjson_get_uint(item) + 1;
    }
    return lp_json_room(reader, size, yyjson_get_len(vocab), added, n_added);
}

lp_status lp_json_flags(lp_json_reader *reader, yyjson_val *item, lp_token *token)
{
    static const struct {
        const char *key;
        uint8_t flag;
    } flags[] = {{"lstrip", LP_TOKEN_LEFT_STRIP},
                 {"rstrip", LP_TOKEN_RIGHT_STRIP},
                 {"single_word", LP_TOKEN_SINGLE_WORD},
                 {"normalized", LP_TOKEN_NORMALIZED}};
    for (size_t i = 0; item && i < sizeof flags / sizeof flags[0]; i++) {
        bool on = false;
        LP_TRY(lp_json_get_bool(reader->ctx, reader->where, item, flags[i].key, LP_JSON_OPTIONAL,
                                &on));
        if (on)
            token->flags |= flags[i].flag;
    }
    return LP_OK;
}

lp_status lp_json_add_token(lp_json_reader *reader, const lp_json_added *added)
{
    lp_vocab *vocab = &reader->tokenizer->vocab;
    const char *text = yyjson_get_str(added->text);
    size_t bytes = yyjson_get_len(added->text);
    bool special = false;
    if (added->item)
        LP_TRY(lp_json_get_bool(reader->ctx, reader->where, added->item, "special",
                                LP_JSON_OPTIONAL, &special));
    lp_token *token = &vocab->tokens[added->id];
    lp_token_type type = special ? LP_TOKEN_CONTROL : LP_TOKEN_USER;
    bool there = token->type != LP_TOKEN_NONE && token->bytes == bytes &&
                 memcmp(token->text, text, bytes) == 0;
    if (there) { /* in the model's vocabulary, too */
        token->type = (uint8_t)type;
    } else {
        LP_TRY(lp_vocab_set(reader->ctx, reader->where, reader->tokenizer, (uint32_t)added->id,
                            text, bytes, type));
        token->flags |= LP_TOKEN_ADDED;
    }
    return lp_json_flags(reader, added->item, token);
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

lp_status lp_json_vocab(lp_json_reader *reader, yyjson_val *vocab, const lp_json_added *added,
                        size_t n_added)
{
    yyjson_val *key, *item;
    size_t i, n;
    LP_TRY(create_vocab(reader, vocab, added, n_added));
    EACH_MEMBER(vocab, i, n, key, item)
    LP_TRY(set_token(reader, (uint32_t)yyjson_get_uint(item), key));
    for (i = 0; i < n_added; i++)
        LP_TRY(lp_json_add_token(reader, &added[i]));
    return LP_OK;
}

/* "vocab": {"text": id, ...} and what was added. */
static lp_status read_vocab(lp_json_reader *reader, yyjson_val *model, yyjson_val *added)
{
    yyjson_val *vocab = NULL;
    lp_json_added *list;
    size_t n;
    LP_TRY(
        lp_json_get_object(reader->ctx, reader->where, model, "vocab", LP_JSON_REQUIRED, &vocab));
    LP_TRY(lp_json_added_list(reader, added, &list, &n));
    return lp_json_vocab(reader, vocab, list, n);
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
    lp_json_added *list;
    size_t i, n, n_added;
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
    LP_TRY(lp_json_added_list(reader, added, &list, &n_added));
    LP_TRY(create_vocab(reader, vocab, list, n_added));
    yyjson_arr_foreach(vocab, i, n, item) LP_TRY(read_piece(reader, item, (uint32_t)i));
    for (i = 0; i < n_added; i++)
        LP_TRY(lp_json_add_token(reader, &list[i]));
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
