/* Hugging Face tokenizers: tokenizer.json, whose model must be BPE, and from tokenizer_config.json
 * the names of BOS and EOS. https://huggingface.co/docs/tokenizers */
#include "text/tokenizer_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"

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
    if (!ids_are_dense(size, yyjson_obj_size(vocab) + yyjson_arr_size(added)))
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: model: vocab: ids up to %llu for few tokens",
                       reader->where, (unsigned long long)size - 1);
    return lp_vocab_create(reader->ctx, reader->where, reader->tokenizer, size);
}

static bool is_byte_name(yyjson_val *key)
{
    const char *text = yyjson_get_str(key);
    return yyjson_get_len(key) == 6 && memcmp(text, "<0x", 3) == 0 && text[5] == '>' &&
           strchr("0123456789ABCDEF", text[3]) && strchr("0123456789ABCDEF", text[4]);
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
    bool special = false;
    LP_TRY(added_token(reader, item, &id, &text));
    LP_TRY(
        lp_json_get_bool(reader->ctx, reader->where, item, "special", LP_JSON_OPTIONAL, &special));
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

static lp_status check_model(lp_json_reader *reader, yyjson_val *model)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    lp_context *ctx = reader->ctx;
    const char *type = NULL;
    char quoted[LP_QUOTE_TEXT];
    LP_TRY(lp_json_get_string(ctx, reader->where, model, "type", LP_JSON_OPTIONAL, &type));
    if (!type) /* older files: told apart by what they hold */
        type = yyjson_obj_get(model, "merges") ? "BPE" : "(none)";
    if (strcmp(type, "BPE") != 0)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: model: type %s is not supported", reader->where,
                       lp_utf8_quote(type, strlen(type), quoted));
    for (size_t i = 0; i < sizeof affixes / sizeof affixes[0]; i++) {
        const char *affix = "";
        LP_TRY(lp_json_get_string(ctx, reader->where, model, affixes[i], LP_JSON_OPTIONAL, &affix));
        if (affix[0])
            return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: model: %s is not supported", reader->where,
                           affixes[i]);
    }
    return LP_OK;
}

static lp_status read_model(lp_json_reader *reader, yyjson_val *model, yyjson_val *added)
{
    lp_context *ctx = reader->ctx;
    lp_tokenizer *t = reader->tokenizer;
    const char *unknown = NULL;
    yyjson_val *vocab = NULL, *merges = NULL, *key, *item;
    size_t i, n;

    LP_TRY(check_model(reader, model));
    LP_TRY(lp_json_get_bool(ctx, reader->where, model, "byte_fallback", LP_JSON_OPTIONAL,
                            &t->byte_fallback));
    LP_TRY(lp_json_get_bool(ctx, reader->where, model, "fuse_unk", LP_JSON_OPTIONAL,
                            &t->fuse_unknown));
    LP_TRY(lp_json_get_bool(ctx, reader->where, model, "ignore_merges", LP_JSON_OPTIONAL,
                            &t->ignore_merges));
    LP_TRY(lp_json_get_string(ctx, reader->where, model, "unk_token", LP_JSON_OPTIONAL, &unknown));
    LP_TRY(lp_json_get_object(ctx, reader->where, model, "vocab", LP_JSON_REQUIRED, &vocab));
    LP_TRY(lp_json_get_array(ctx, reader->where, model, "merges", LP_JSON_REQUIRED, &merges));
    LP_TRY(create_vocab(reader, vocab, added));
    yyjson_obj_foreach(vocab, i, n, key, item)
    {
        bool byte = t->byte_fallback && is_byte_name(key);
        LP_TRY(lp_vocab_set(ctx, reader->where, t, (uint32_t)yyjson_get_uint(item),
                            yyjson_get_str(key), yyjson_get_len(key),
                            byte ? LP_TOKEN_BYTE : LP_TOKEN_NORMAL));
    }
    yyjson_arr_foreach(added, i, n, item) LP_TRY(add_added(reader, item));
    if (yyjson_arr_size(merges) > LP_MAX_TOKENS)
        return lp_fail(ctx, LP_E_LIMIT, "%s: model: too many merges", reader->where);
    LP_TRY(lp_bpe_table_create(ctx, &t->merges, yyjson_arr_size(merges)));
    yyjson_arr_foreach(merges, i, n, item) LP_TRY(add_merge(reader, item, (uint32_t)i));
    if (unknown) {
        t->special.unknown = lp_vocab_find(&t->vocab, unknown, strlen(unknown));
        if (t->special.unknown < 0)
            return lp_fail(ctx, LP_E_FORMAT, "%s: model: unk_token is not in the vocabulary",
                           reader->where);
    }
    return LP_OK;
}

/* "name": "text" or {"content": "text"}. A token that the vocabulary lacks is no token. */
static void config_token(lp_json_reader *reader, yyjson_val *config, const char *name, int32_t *id)
{
    yyjson_val *value = yyjson_obj_get(config, name);
    if (yyjson_is_obj(value))
        value = yyjson_obj_get(value, "content");
    if (!yyjson_is_str(value))
        return;
    int32_t found =
        lp_vocab_find(&reader->tokenizer->vocab, yyjson_get_str(value), yyjson_get_len(value));
    if (found >= 0)
        *id = found;
    else
        lp_log(reader->ctx, LP_LOG_WARN, "%s: %s is not in the vocabulary", reader->where, name);
}

/* Where a template has not decided already. */
static lp_status read_config(lp_json_reader *reader, yyjson_val *config)
{
    lp_special_tokens *special = &reader->tokenizer->special;
    bool add_bos = false, add_eos = false;
    if (special->bos < 0)
        config_token(reader, config, "bos_token", &special->bos);
    if (special->eos < 0)
        config_token(reader, config, "eos_token", &special->eos);
    LP_TRY(lp_json_get_bool(reader->ctx, reader->where, config, "add_bos_token", LP_JSON_OPTIONAL,
                            &add_bos));
    LP_TRY(lp_json_get_bool(reader->ctx, reader->where, config, "add_eos_token", LP_JSON_OPTIONAL,
                            &add_eos));
    if (!reader->template) {
        special->add_bos = add_bos;
        special->add_eos = add_eos;
    }
    return LP_OK;
}

static lp_status read_tokenizer(lp_json_reader *reader, yyjson_val *root)
{
    lp_tokenizer *t = reader->tokenizer;
    yyjson_val *model = NULL, *added = NULL;
    LP_TRY(lp_json_get_object(reader->ctx, reader->where, root, "model", LP_JSON_REQUIRED, &model));
    LP_TRY(lp_json_get_array(reader->ctx, reader->where, root, "added_tokens", LP_JSON_OPTIONAL,
                             &added));
    LP_TRY(read_model(reader, model, added));
    LP_TRY(lp_json_normalizer(reader, yyjson_obj_get(root, "normalizer"), 0));
    LP_TRY(lp_json_pre_tokenizer(reader, yyjson_obj_get(root, "pre_tokenizer"), 0));
    LP_TRY(lp_json_post_processor(reader, yyjson_obj_get(root, "post_processor"), 0));
    LP_TRY(lp_json_decoder(reader, yyjson_obj_get(root, "decoder"), 0));
    t->kind = t->byte_level      ? "BPE (byte-level)"
              : t->byte_fallback ? "BPE (byte fallback)"
                                 : "BPE (characters)";
    return LP_OK;
}

lp_status lp_tokenizer_from_json(lp_context *ctx, const char *where, const char *json, size_t bytes,
                                 const char *config, size_t config_bytes, lp_tokenizer **tokenizer)
{
    lp_status status = LP_OK;
    yyjson_doc *doc = NULL, *config_doc = NULL;
    char path[512], config_path[512];
    lp_json_reader reader = {.ctx = ctx, .where = path};

    *tokenizer = NULL;
    snprintf(path, sizeof path, "%s/tokenizer.json", where);
    snprintf(config_path, sizeof config_path, "%s/tokenizer_config.json", where);
    LP_CHECK(lp_json_parse(ctx, path, json, bytes, &doc));
    LP_CHECK(lp_tokenizer_create(ctx, &reader.tokenizer));
    LP_CHECK(read_tokenizer(&reader, yyjson_doc_get_root(doc)));
    if (config) {
        reader.where = config_path;
        LP_CHECK(lp_json_parse(ctx, config_path, config, config_bytes, &config_doc));
        LP_CHECK(read_config(&reader, yyjson_doc_get_root(config_doc)));
    }
    LP_CHECK(lp_tokenizer_finish(ctx, path, reader.tokenizer));
    *tokenizer = reader.tokenizer;
    reader.tokenizer = NULL;
cleanup:
    lp_tokenizer_destroy(reader.tokenizer);
    yyjson_doc_free(config_doc);
    yyjson_doc_free(doc);
    return status;
}

lp_status lp_tokenizer_from_folder(lp_context *ctx, const char *folder, lp_tokenizer **tokenizer)
{
    lp_status status = LP_OK;
    lp_file json = {0}, config = {0};
    char *path = lp_path_join(folder, "tokenizer.json");
    char *config_path = lp_path_join(folder, "tokenizer_config.json");

    *tokenizer = NULL;
    if (!path || !config_path)
        LP_CHECK(lp_fail_memory(ctx, folder));
    LP_CHECK(lp_file_open(ctx, path, &json));
    if (access(config_path, F_OK) == 0)
        LP_CHECK(lp_file_open(ctx, config_path, &config));
    LP_CHECK(lp_tokenizer_from_json(ctx, folder, (const char *)json.data, json.bytes,
                                    (const char *)config.data, config.bytes, tokenizer));
cleanup:
    lp_file_close(&config);
    lp_file_close(&json);
    free(config_path);
    free(path);
    return status;
}
