/* Hugging Face tokenizers: tokenizer.json, whose parts other files read.
 * https://huggingface.co/docs/tokenizers */
#include "text/tokenizer_json.h"

#include <string.h>

static const char *kind_of(const lp_tokenizer *t)
{
    switch (t->model) {
    case LP_MODEL_UNIGRAM:
        return t->byte_fallback ? "Unigram (byte fallback)" : "Unigram";
    case LP_MODEL_WORDPIECE:
        return "WordPiece";
    case LP_MODEL_WORDS:
        return "words";
    default:
        return t->byte_level      ? "BPE (byte-level)"
               : t->byte_fallback ? "BPE (byte fallback)"
                                  : "BPE (characters)";
    }
}

lp_status lp_json_complete(lp_json_reader *reader)
{
    lp_tokenizer *t = reader->tokenizer;
    if (t->byte_level && !t->letters && (t->rest_prefix[0] || t->word_suffix[0])) {
        LP_TRY(lp_splitter_add_letters(reader->ctx, t->splitter, reader->where));
        t->letters = true; /* affixes go to characters */
    }
    t->kind = kind_of(t);
    return LP_OK;
}

static lp_status read_tokenizer(lp_json_reader *reader, yyjson_val *root)
{
    yyjson_val *model = NULL, *added = NULL;
    LP_TRY(lp_json_get_object(reader->ctx, reader->where, root, "model", LP_JSON_REQUIRED, &model));
    LP_TRY(lp_json_get_array(reader->ctx, reader->where, root, "added_tokens", LP_JSON_OPTIONAL,
                             &added));
    LP_TRY(lp_json_model(reader, model, added));
    LP_TRY(lp_json_normalizer(reader, yyjson_obj_get(root, "normalizer"), 0));
    LP_TRY(lp_json_pre_tokenizer(reader, yyjson_obj_get(root, "pre_tokenizer"), 0));
    LP_TRY(lp_json_post_processor(reader, yyjson_obj_get(root, "post_processor"), 0));
    LP_TRY(lp_json_decoder(reader, yyjson_obj_get(root, "decoder"), 0));
    return lp_json_complete(reader);
}

lp_status lp_tokenizer_from_json(lp_context *ctx, lp_tokenizer_file json, lp_tokenizer_file config,
                                 lp_tokenizer **tokenizer)
{
    lp_status status = LP_OK;
    yyjson_doc *doc = NULL, *config_doc = NULL;
    lp_json_reader reader = {.ctx = ctx, .where = json.path};

    *tokenizer = NULL;
    LP_CHECK(lp_json_parse(ctx, json.path, json.data, json.bytes, &doc));
    LP_CHECK(lp_tokenizer_create(ctx, &reader.tokenizer));
    LP_CHECK(read_tokenizer(&reader, yyjson_doc_get_root(doc)));
    if (config.data) {
        reader.where = config.path;
        LP_CHECK(lp_json_parse(ctx, config.path, config.data, config.bytes, &config_doc));
        LP_CHECK(lp_json_config(&reader, yyjson_doc_get_root(config_doc)));
    }
    LP_CHECK(lp_tokenizer_finish(ctx, json.path, reader.tokenizer));
    *tokenizer = reader.tokenizer;
    reader.tokenizer = NULL;
cleanup:
    lp_tokenizer_destroy(reader.tokenizer);
    yyjson_doc_free(config_doc);
    yyjson_doc_free(doc);
    return status;
}
