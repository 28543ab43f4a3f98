/* tokenizer_config.json and special_tokens_map.json: the names of special tokens, and which of them
 * are added at the ends. A name is "text" or {"content": "text", "lstrip": ..., ...}. */
#include "text/tokenizer_json.h"

#include <string.h>

/* The token that a value names, -1 if there is none; it is a control token from then on. */
static lp_status special_token(lp_json_reader *reader, yyjson_val *value, const char *name,
                               int32_t *id)
{
    lp_vocab *vocab = &reader->tokenizer->vocab;
    yyjson_val *item = yyjson_is_obj(value) ? value : NULL;
    yyjson_val *text = item ? yyjson_obj_get(item, "content") : value;
    *id = -1;
    if (!yyjson_is_str(text) || yyjson_get_len(text) == 0)
        return LP_OK;
    *id = lp_vocab_find(vocab, yyjson_get_str(text), yyjson_get_len(text));
    if (*id < 0) {
        lp_log(reader->ctx, LP_LOG_INFO, "%s: %s is not in the vocabulary", reader->where, name);
        return LP_OK;
    }
    lp_token *token = &vocab->tokens[*id];
    if (token->type != LP_TOKEN_NORMAL && token->type != LP_TOKEN_USER)
        return LP_OK;
    if (token->bytes > 1) /* some pad with "!", which stays text */
        token->type = LP_TOKEN_CONTROL;
    return lp_json_flags(reader, item, token);
}

lp_status lp_json_config(lp_json_reader *reader, yyjson_val *config)
{
    lp_special_tokens *special = &reader->tokenizer->special;
    const struct {
        const char *key;
        int32_t *id;
    } rows[] = {{"bos_token", &special->bos}, {"eos_token", &special->eos},
                {"pad_token", &special->pad}, {"cls_token", &special->cls},
                {"sep_token", &special->sep}, {"mask_token", &special->mask}};
    yyjson_val *others = yyjson_obj_get(config, "additional_special_tokens"), *item;
    size_t i, n;
    int32_t id;
    if (!config)
        return LP_OK;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        LP_TRY(special_token(reader, yyjson_obj_get(config, rows[i].key), rows[i].key, &id));
        if (*rows[i].id < 0)
            *rows[i].id = id;
    }
    if (yyjson_is_arr(others)) {
        yyjson_arr_foreach(others, i, n, item)
            LP_TRY(special_token(reader, item, "additional_special_tokens", &id));
    }
    LP_TRY(lp_json_get_bool(reader->ctx, reader->where, config, "add_bos_token", LP_JSON_OPTIONAL,
                            &special->add_bos));
    return lp_json_get_bool(reader->ctx, reader->where, config, "add_eos_token", LP_JSON_OPTIONAL,
                            &special->add_eos);
}
