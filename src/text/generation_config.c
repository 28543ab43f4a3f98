/* Reading generation_config.json, see generation_config.h. The keys are those of transformers'
 * GenerationConfig; lengths count the start token there, and not here. */
#include "text/generation_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

/* Where a file says nothing: greedy, and an end to answers that would never come. */
#define DEFAULT_MAX_TOKENS 256

typedef struct reader {
    lp_context *ctx;
    const char *where;
    yyjson_val *root;
    lp_generation_config *config;
} reader;

static lp_status wrong(const reader *r, const char *key, const char *expected)
{
    return lp_fail(r->ctx, LP_E_FORMAT, "%s: %s: %s expected", r->where, key, expected);
}

static bool is_token(yyjson_val *value)
{
    return yyjson_is_uint(value) && yyjson_get_uint(value) <= INT32_MAX;
}

/* *id stays as it is if the key is not there or null. */
static lp_status read_token(const reader *r, const char *key, int32_t *id)
{
    yyjson_val *value = yyjson_obj_get(r->root, key);
    if (value == NULL || yyjson_is_null(value))
        return LP_OK;
    if (!is_token(value))
        return wrong(r, key, "a token's number");
    *id = (int32_t)yyjson_get_uint(value);
    return LP_OK;
}

/* One token or several. */
static lp_status read_ends(const reader *r)
{
    static const char key[] = "eos_token_id";
    lp_search_rules *rules = &r->config->rules;
    yyjson_val *value = yyjson_obj_get(r->root, key), *item;
    size_t i, n;
    if (!yyjson_is_arr(value)) {
        int32_t id = -1;
        LP_TRY(read_token(r, key, &id));
        if (id >= 0)
            rules->ends[rules->n_ends++] = id;
        return LP_OK;
    }
    yyjson_arr_foreach(value, i, n, item)
    {
        if (!is_token(item))
            return wrong(r, key, "tokens' numbers");
        if (rules->n_ends == LP_MAX_ENDS)
            return lp_fail(r->ctx, LP_E_LIMIT, "%s: %s: more than %d end tokens", r->where, key,
                           LP_MAX_ENDS);
        rules->ends[rules->n_ends++] = (int32_t)yyjson_get_uint(item);
    }
    return LP_OK;
}

/* The tokens of a list, in the arena. */
static lp_status read_run(const reader *r, const char *key, yyjson_val *list, lp_token_run *run)
{
    size_t i, n = yyjson_arr_size(list);
    yyjson_val *item;
    int32_t *tokens = lp_arena_array(&r->config->arena, n + 1, sizeof *tokens);
    if (tokens == NULL)
        return lp_fail_memory(r->ctx, key);
    yyjson_arr_foreach(list, i, n, item)
    {
        if (!is_token(item))
            return wrong(r, key, "tokens' numbers");
        tokens[i] = (int32_t)yyjson_get_uint(item);
    }
    *run = (lp_token_run){tokens, (uint32_t)n};
    return LP_OK;
}

/* An end token alone is no bad word. */
static bool is_end(const lp_search_rules *rules, const lp_token_run *run)
{
    for (uint32_t i = 0; i < rules->n_ends && run->n == 1; i++)
        if (rules->ends[i] == run->tokens[0])
            return true;
    return false;
}

/* bad_words_ids [[…], …] and suppress_tokens […]: runs that must not come. */
static lp_status read_banned(const reader *r)
{
    static const char words[] = "bad_words_ids", tokens[] = "suppress_tokens";
    lp_search_rules *rules = &r->config->rules;
    yyjson_val *lists = NULL, *single = NULL, *list;
    LP_TRY(lp_json_get_array(r->ctx, r->where, r->root, words, LP_JSON_OPTIONAL, &lists));
    LP_TRY(lp_json_get_array(r->ctx, r->where, r->root, tokens, LP_JSON_OPTIONAL, &single));
    size_t i, n, n_single = yyjson_arr_size(single);
    lp_token_run *banned =
        lp_arena_array(&r->config->arena, yyjson_arr_size(lists) + n_single + 1, sizeof *banned);
    if (banned == NULL)
        return lp_fail_memory(r->ctx, words);
    yyjson_arr_foreach(lists, i, n, list)
    {
        if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0)
            return wrong(r, words, "lists of tokens' numbers");
        LP_TRY(read_run(r, words, list, &banned[rules->n_banned]));
        rules->n_banned += is_end(rules, &banned[rules->n_banned]) ? 0 : 1;
    }
    lp_token_run all = {0};
    LP_TRY(read_run(r, tokens, single, &all));
    for (i = 0; i < n_single; i++)
        banned[rules->n_banned++] = (lp_token_run){all.tokens + i, 1};
    rules->banned = banned;
    return LP_OK;
}

/* true, false or "never". */
static lp_status read_early_stopping(const reader *r)
{
    static const char key[] = "early_stopping";
    yyjson_val *value = yyjson_obj_get(r->root, key);
    lp_early_stopping *to = &r->config->options.early_stopping;
    if (yyjson_is_bool(value))
        *to = yyjson_get_bool(value) ? LP_STOP_AT_ONCE : LP_STOP_UNLIKELY;
    else if (yyjson_equals_str(value, "never"))
        *to = LP_STOP_HOPELESS;
    else if (value != NULL && !yyjson_is_null(value))
        return wrong(r, key, "true, false or \"never\"");
    return LP_OK;
}

/* A length with the start token (`total`) or, which counts, without it (`chosen`). */
static lp_status read_length(const reader *r, const char *total, const char *chosen, uint32_t *n)
{
    uint32_t all = 0;
    LP_TRY(lp_json_get_u32(r->ctx, r->where, r->root, total, LP_JSON_OPTIONAL, &all));
    if (all > 0)
        *n = all - 1;
    return lp_json_get_u32(r->ctx, r->where, r->root, chosen, LP_JSON_OPTIONAL, n);
}

/* Settings that change answers and that we lack, unless they say that they do nothing. */
static lp_status refuse_unknown(const reader *r)
{
    static const struct {
        const char *key;
        double neutral;
    } numbers[] = {
        {"num_beam_groups", 1},           {"diversity_penalty", 0},
        {"encoder_repetition_penalty", 1}, {"encoder_no_repeat_ngram_size", 0},
        {"guidance_scale", 1},
    };
    static const char *const others[] = {"exponential_decay_length_penalty", "sequence_bias",
                                         "force_words_ids", "constraints",
                                         "begin_suppress_tokens", "forced_decoder_ids"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        yyjson_val *value = yyjson_obj_get(r->root, numbers[i].key);
        if (value != NULL && !yyjson_is_null(value) &&
            !(yyjson_is_num(value) && yyjson_get_num(value) == numbers[i].neutral))
            return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: %s is not supported", r->where,
                           numbers[i].key);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        yyjson_val *value = yyjson_obj_get(r->root, others[i]);
        if (value != NULL && !yyjson_is_null(value))
            return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: %s is not supported", r->where,
                           others[i]);
    }
    return LP_OK;
}

static void set_defaults(lp_generation_config *config)
{
    config->rules = (lp_search_rules){.start = -1, .first = -1, .last = -1};
    config->options = (lp_search_options){.n_beams = 1,
                                          .n_best = 1,
                                          .max_tokens = DEFAULT_MAX_TOKENS,
                                          .repeat_penalty = 1,
                                          .length_penalty = 1};
}

static lp_status read_root(const reader *r)
{
    lp_search_rules *rules = &r->config->rules;
    lp_search_options *o = &r->config->options;
    LP_TRY(read_token(r, "bos_token_id", &rules->start));
    LP_TRY(read_token(r, "decoder_start_token_id", &rules->start));
    LP_TRY(read_token(r, "forced_bos_token_id", &rules->first));
    LP_TRY(read_token(r, "forced_eos_token_id", &rules->last));
    LP_TRY(read_ends(r));
    LP_TRY(read_banned(r));
    LP_TRY(read_early_stopping(r));
    LP_TRY(lp_json_get_u32(r->ctx, r->where, r->root, "num_beams", LP_JSON_OPTIONAL, &o->n_beams));
    LP_TRY(lp_json_get_u32(r->ctx, r->where, r->root, "no_repeat_ngram_size", LP_JSON_OPTIONAL,
                           &o->no_repeat));
    LP_TRY(lp_json_get_f32(r->ctx, r->where, r->root, "length_penalty", LP_JSON_OPTIONAL,
                           &o->length_penalty));
    LP_TRY(lp_json_get_f32(r->ctx, r->where, r->root, "repetition_penalty", LP_JSON_OPTIONAL,
                           &o->repeat_penalty));
    LP_TRY(read_length(r, "max_length", "max_new_tokens", &o->max_tokens));
    LP_TRY(read_length(r, "min_length", "min_new_tokens", &o->min_tokens));
    return refuse_unknown(r);
}

static lp_status read_doc(lp_context *ctx, const char *where, yyjson_doc *doc,
                          lp_generation_config *config)
{
    set_defaults(config);
    const reader r = {ctx, where, yyjson_doc_get_root(doc), config};
    lp_status status = read_root(&r);
    yyjson_doc_free(doc);
    return status;
}

lp_status lp_generation_config_parse(lp_context *ctx, const char *where, const char *text,
                                     size_t bytes, lp_generation_config *config)
{
    yyjson_doc *doc = NULL;
    LP_TRY(lp_json_parse(ctx, where, text, bytes, &doc));
    return read_doc(ctx, where, doc, config);
}

static lp_status read_file(lp_context *ctx, const char *folder, const char *name,
                           lp_generation_config *config, bool *found)
{
    char *path = lp_path_join(folder, name);
    lp_status status = path != NULL ? LP_OK : lp_fail_memory(ctx, "a path");
    *found = path != NULL && lp_path_exists(path);
    if (*found) {
        yyjson_doc *doc = NULL;
        status = lp_json_open(ctx, path, &doc);
        if (status == LP_OK)
            status = read_doc(ctx, path, doc, config);
    }
    free(path);
    return status;
}

static lp_status read_gguf(const lp_network *network, lp_generation_config *config)
{
    char key[96];
    uint32_t start;
    set_defaults(config);
    snprintf(key, sizeof key, "%s.decoder_start_token_id", network->hparams.arch->gguf);
    if (lp_gguf_get_u32(network->gguf, key, &start) && start <= INT32_MAX)
        config->rules.start = (int32_t)start;
    return LP_OK;
}

lp_status lp_generation_config_read(lp_context *ctx, const lp_network *network,
                                    const lp_tokenizer *tokenizer, lp_generation_config *config)
{
    lp_search_rules *rules = &config->rules;
    bool found = false;
    if (network->gguf != NULL)
        LP_TRY(read_gguf(network, config));
    else
        LP_TRY(read_file(ctx, network->path, "generation_config.json", config, &found));
    if (network->gguf == NULL && !found)
        LP_TRY(read_file(ctx, network->path, "config.json", config, &found));
    const lp_special_tokens special = lp_tokenizer_special(tokenizer);
    if (rules->n_ends == 0 && special.eos >= 0)
        rules->ends[rules->n_ends++] = special.eos;
    if (rules->start < 0)
        rules->start = special.bos >= 0 ? special.bos : special.pad;
    if (rules->start < 0)
        return lp_fail(ctx, LP_E_MISSING, "%s: nothing says which token the decoder starts with",
                       network->path);
    return LP_OK;
}

void lp_generation_config_destroy(lp_generation_config *config)
{
    lp_arena_destroy(&config->arena);
    *config = (lp_generation_config){0};
}
