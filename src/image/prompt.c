/* From a text to vectors: see prompt.h. */
#include "image/prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

struct lp_prompt_encoder {
    lp_context *ctx;
    lp_network *network;
    lp_tokenizer *tokenizer;
    lp_runner *runner;
    uint32_t length;
    int32_t pad;
    int32_t *tokens; /* [length] */
};

/* model_max_length of tokenizer_config.json; what is more than the tower's own context
 * (transformers writes 10^30 for "any") is that. */
static lp_status read_length(lp_prompt_encoder *e, const char *folder)
{
    yyjson_doc *doc = NULL;
    e->length = e->network->hparams.n_context;
    char *path = lp_path_join(folder, "tokenizer_config.json");
    lp_status status = path != NULL ? LP_OK : lp_fail_memory(e->ctx, "a path");
    if (status == LP_OK && lp_path_exists(path))
        status = lp_json_open(e->ctx, path, &doc);
    yyjson_val *most =
        doc != NULL ? yyjson_obj_get(yyjson_doc_get_root(doc), "model_max_length") : NULL;
    if (yyjson_is_num(most)) {
        const double n = yyjson_get_num(most);
        if (!(n >= 2))
            status = lp_fail(e->ctx, LP_E_FORMAT, "%s: model_max_length is %g", path, n);
        else if (n < e->length)
            e->length = (uint32_t)n;
    }
    yyjson_doc_free(doc);
    free(path);
    return status;
}

static lp_status open_tokenizer(lp_prompt_encoder *e, const char *folder)
{
    char *path = lp_path_join(folder, "tokenizer");
    if (path == NULL)
        return lp_fail_memory(e->ctx, "a path");
    lp_status status = lp_tokenizer_from_folder(e->ctx, path, &e->tokenizer);
    if (status == LP_OK)
        status = read_length(e, path);
    if (status == LP_OK && lp_tokenizer_size(e->tokenizer) > e->network->hparams.n_vocab)
        status = lp_fail(e->ctx, LP_E_FORMAT, "%s: the tokenizer has %u tokens, the embedding %u",
                         path, lp_tokenizer_size(e->tokenizer), e->network->hparams.n_vocab);
    if (status == LP_OK) {
        const lp_special_tokens special = lp_tokenizer_special(e->tokenizer);
        e->pad = special.pad >= 0 ? special.pad : special.eos;
        if (e->pad < 0)
            status = lp_fail(e->ctx, LP_E_MISSING, "%s: no token to fill texts up with", path);
    }
    free(path);
    return status;
}

static lp_status open_network(lp_prompt_encoder *e, const char *folder)
{
    char *path = lp_path_join(folder, "text_encoder");
    if (path == NULL)
        return lp_fail_memory(e->ctx, "a path");
    lp_status status = lp_network_open(e->ctx, path, &e->network);
    if (status == LP_OK && !e->network->hparams.arch->whole_causal)
        status = lp_fail(e->ctx, LP_E_UNSUPPORTED,
                         "%s: a %s model; texts of pictures are read by CLIP's", path,
                         e->network->hparams.arch->hf);
    free(path);
    return status;
}

lp_status lp_prompt_encoder_create(lp_context *ctx, const char *folder, lp_backend *backend,
                                   const lp_runner_programs *programs, lp_prompt_encoder **encoder)
{
    lp_prompt_encoder *e = calloc(1, sizeof *e);
    lp_status status = e != NULL ? LP_OK : lp_fail_memory(ctx, "an encoder of prompts");
    *encoder = NULL;
    if (status == LP_OK) {
        e->ctx = ctx;
        status = open_network(e, folder);
    }
    if (status == LP_OK)
        status = open_tokenizer(e, folder);
    if (status == LP_OK) {
        e->tokens = malloc(e->length * sizeof *e->tokens);
        if (e->tokens == NULL)
            status = lp_fail_memory(ctx, "tokens");
    }
    if (status == LP_OK) {
        const lp_session_options options = {
            .n_ctx = e->length, .n_batch = e->length, .cache_type = LP_F32};
        status = lp_runner_create(ctx, e->network, backend, &options, programs, &e->runner);
    } else {
        backend->table->destroy(backend);
    }
    if (status == LP_OK)
        *encoder = e;
    else
        lp_prompt_encoder_destroy(e);
    return status;
}

void lp_prompt_encoder_destroy(lp_prompt_encoder *e)
{
    if (e == NULL)
        return;
    lp_runner_destroy(e->runner);
    lp_tokenizer_destroy(e->tokenizer);
    lp_network_destroy(e->network);
    free(e->tokens);
    free(e);
}

uint32_t lp_prompt_length(const lp_prompt_encoder *e)
{
    return e->length;
}

uint32_t lp_prompt_width(const lp_prompt_encoder *e)
{
    return e->network->hparams.n_embd;
}

const lp_network *lp_prompt_network(const lp_prompt_encoder *e)
{
    return e->network;
}

lp_status lp_prompt_tokens(const lp_prompt_encoder *e, const char *text, int32_t *tokens,
                           uint32_t *n_used)
{
    int32_t *all = NULL;
    size_t n = 0;
    LP_TRY(
        lp_tokenize(e->ctx, e->tokenizer, text, strlen(text), LP_TOKENIZE_ADD_SPECIAL, &all, &n));
    if (n > e->length) {
        lp_log(e->ctx, LP_LOG_WARN, "the text has %zu tokens; the last %zu are cut off", n - 2,
               n - e->length);
        all[e->length - 1] = all[n - 1]; /* the one that ends a text */
        n = e->length;
    }
    memcpy(tokens, all, n * sizeof *tokens);
    for (uint32_t i = (uint32_t)n; i < e->length; i++)
        tokens[i] = e->pad;
    free(all);
    if (n_used != NULL)
        *n_used = (uint32_t)n;
    return LP_OK;
}

lp_status lp_prompt_encode(lp_prompt_encoder *e, const char *text, float *vectors)
{
    LP_TRY(lp_prompt_tokens(e, text, e->tokens, NULL));
    LP_TRY(lp_runner_view(e->runner, e->tokens, e->length, "hidden", vectors));
    const size_t n = (size_t)e->length * lp_prompt_width(e);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(vectors[i]))
            return lp_fail(e->ctx, LP_E_DEVICE, "%s: number %zu of the text's vectors is %g",
                           e->network->path, i, (double)vectors[i]);
    return LP_OK;
}
