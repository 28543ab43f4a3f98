/* The public API of models: opening them, and what they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/print.h"
#include "image/labels.h"
#include "lapilli_private.h"
#include "models/network.h"
#include "text/generation_config.h"
#include "text/tokenizer.h"

struct lp_model {
    lp_context *ctx;
    lp_network *network;
    lp_tokenizer *tokenizer;         /* NULL: none */
    lp_tokenizer *target;            /* of answers; NULL: the same */
    lp_generation_config generation; /* of an encoder-decoder */
    char **labels;                   /* [n_labels] of pictures */
    uint32_t n_labels;
    lp_hparam facts[LP_MAX_FACTS];
    size_t n_facts;
    const char *type; /* the weights' */
    char title[128];
    char lacking[sizeof((lp_context *)0)->message]; /* what is wrong with the tokenizer */
    char meta_key[256], meta_value[512];            /* of the latest lp_model_metadata() */
};

const char *lp_weights_type(lp_weights *weights)
{
    enum { MAX_TYPES = 16 }; /* of one file; more would not change the answer */
    const char *names[MAX_TYPES] = {lp_dtype_table[LP_F32].name};
    uint64_t bytes[MAX_TYPES] = {0};
    size_t n = 1, best = 0;
    for (size_t i = 0; i < lp_weights_count(weights); i++) {
        const lp_weight *w = lp_weights_at(weights, i);
        size_t t = 0;
        while (t < n && strcmp(names[t], w->type) != 0)
            t++;
        if (w->shape.n < 2 || t == MAX_TYPES)
            continue;
        if (t == n)
            names[n++] = w->type;
        bytes[t] += w->bytes;
        if (bytes[t] > bytes[best])
            best = t;
    }
    return names[best];
}

/* What an encoder-decoder has besides: how it answers, and Marian's second tokenizer. */
static lp_status open_target(lp_context *ctx, const char *path, lp_model *model)
{
    if (!lp_model_reads_source(model))
        return LP_OK;
    char *pieces = lp_path_join(path, "target.spm");
    if (pieces == NULL)
        return lp_fail_memory(ctx, "a path");
    const bool two = model->network->gguf == NULL && lp_path_exists(pieces);
    free(pieces);
    if (two)
        LP_TRY(lp_tokenizer_target_from_folder(ctx, path, &model->target));
    return lp_generation_config_read(ctx, model->network, lp_model_target_tokenizer(model),
                                     &model->generation);
}

static lp_status check_size(lp_context *ctx, const char *path, const lp_model *model,
                            const lp_tokenizer *tokenizer)
{
    const uint32_t n_tokens = lp_tokenizer_size(tokenizer);
    if (n_tokens > model->network->hparams.n_vocab)
        return lp_fail(ctx, LP_E_FORMAT, "%s: the tokenizer has %u tokens, the embedding %u", path,
                       n_tokens, model->network->hparams.n_vocab);
    return LP_OK;
}

/* Everything that texts need. */
static lp_status open_tokenizers(lp_context *ctx, const char *path, lp_model *model)
{
    if (!lp_model_reads_texts(model)) {
        snprintf(model->lacking, sizeof model->lacking, "%s: %s models read no texts", path,
                 lp_model_architecture(model));
        return LP_OK;
    }
    if (model->network->gguf != NULL) {
        const lp_status status =
            lp_tokenizer_from_gguf(ctx, model->network->gguf, &model->tokenizer);
        if (status != LP_OK) /* the message names the key; the file's name goes before it */
            return lp_fail(ctx, status, "%s: %s", path, ctx->message);
    } else {
        LP_TRY(lp_tokenizer_from_folder(ctx, path, &model->tokenizer));
    }
    LP_TRY(open_target(ctx, path, model));
    LP_TRY(check_size(ctx, path, model, model->tokenizer));
    return check_size(ctx, path, model, lp_model_target_tokenizer(model));
}

static void close_tokenizers(lp_model *model)
{
    lp_generation_config_destroy(&model->generation);
    lp_tokenizer_destroy(model->target);
    lp_tokenizer_destroy(model->tokenizer);
    model->target = model->tokenizer = NULL;
}

static lp_status open_labels(lp_context *ctx, const char *path, lp_model *model)
{
    const lp_hparams *hp = &model->network->hparams;
    if (hp->picture.patch == 0 || !lp_network_has_head(model->network))
        return LP_OK;
    LP_TRY(lp_labels_read(ctx, path, hp->n_vocab, &model->labels));
    model->n_labels = hp->n_vocab;
    return LP_OK;
}

static void describe(lp_model *model)
{
    model->n_facts = lp_hparams_describe(&model->network->hparams, model->facts);
    model->type = lp_weights_type(model->network->weights);
    char amount[LP_AMOUNT_TEXT];
    snprintf(model->title, sizeof model->title, "%s %s %s", lp_model_architecture(model),
             lp_print_amount(lp_model_parameters(model), amount), model->type);
}

/* `look`: it works without tokenizers, too. */
static lp_status open_model(lp_context *ctx, const char *path, bool look, lp_model **result)
{
    lp_status status = LP_OK;
    lp_model *model = calloc(1, sizeof *model);
    *result = NULL;
    if (model == NULL)
        return lp_fail_memory(ctx, "a model");
    model->ctx = ctx;
    LP_CHECK(lp_network_open(ctx, path, &model->network));
    LP_CHECK(open_labels(ctx, path, model));
    status = open_tokenizers(ctx, path, model);
    if (status != LP_OK && (!look || status == LP_E_MEMORY))
        goto cleanup;
    if (status != LP_OK) {
        snprintf(model->lacking, sizeof model->lacking, "%s", ctx->message);
        lp_log(ctx, LP_LOG_WARN, "%s", model->lacking);
        close_tokenizers(model);
    }
    describe(model);
    *result = model;
    return LP_OK;
cleanup:
    lp_model_destroy(model);
    return status;
}

lp_status lp_model_open(lp_context *ctx, const char *path, lp_model **model)
{
    return open_model(ctx, path, false, model);
}

lp_status lp_model_look(lp_context *ctx, const char *path, lp_model **model)
{
    return open_model(ctx, path, true, model);
}

lp_status lp_model_needs_tokenizer(const lp_model *model)
{
    return model->tokenizer != NULL ? LP_OK
                                    : lp_fail(model->ctx, LP_E_MISSING, "%s", model->lacking);
}

lp_status lp_model_adapt(lp_model *model, const char *path, float scale)
{
    return lp_network_adapt(model->ctx, model->network, path, scale);
}

void lp_model_destroy(lp_model *model)
{
    if (model == NULL)
        return;
    close_tokenizers(model);
    lp_labels_free(model->labels, model->n_labels);
    lp_network_destroy(model->network);
    free(model);
}

lp_context *lp_model_context_of(const lp_model *model)
{
    return model->ctx;
}

const lp_tokenizer *lp_model_target_tokenizer(const lp_model *model)
{
    return model->target != NULL ? model->target : model->tokenizer;
}

const lp_generation_config *lp_model_generation(const lp_model *model)
{
    return &model->generation;
}

const lp_network *lp_model_network(const lp_model *model)
{
    return model->network;
}

const lp_tokenizer *lp_model_vocab(const lp_model *model)
{
    return model->tokenizer;
}

const char *lp_model_architecture(const lp_model *model)
{
    const lp_arch *arch = model->network->hparams.arch;
    return model->network->gguf != NULL && arch->gguf != NULL ? arch->gguf : arch->hf;
}

const char *lp_model_title(const lp_model *model)
{
    return model->title;
}

const char *lp_model_type(const lp_model *model)
{
    return model->type;
}

uint64_t lp_weights_parameters(lp_weights *weights)
{
    uint64_t n = 0;
    for (size_t i = 0; i < lp_weights_count(weights); i++) {
        int64_t elements = lp_shape_elements(lp_weights_at(weights, i)->shape);
        n += elements > 0 ? (uint64_t)elements : 0;
    }
    return n;
}

uint64_t lp_model_parameters(const lp_model *model)
{
    return lp_weights_parameters(model->network->weights);
}

uint64_t lp_model_bytes(const lp_model *model)
{
    return lp_weights_bytes(model->network->weights);
}

uint32_t lp_model_n_labels(const lp_model *model)
{
    return model->n_labels;
}

const char *lp_model_label(const lp_model *model, uint32_t index)
{
    return index < model->n_labels ? model->labels[index] : "?";
}

uint32_t lp_model_context(const lp_model *model)
{
    return model->network->hparams.n_context;
}

uint32_t lp_model_vocabulary(const lp_model *model)
{
    return model->network->hparams.n_vocab;
}

size_t lp_model_prompt_end(const lp_model *model, int32_t tokens[2])
{
    const lp_prefix_hparams *prefix = &model->network->hparams.prefix;
    if (!prefix->used)
        return 0;
    tokens[0] = (int32_t)prefix->blanks[0];
    tokens[1] = (int32_t)prefix->start;
    return 2;
}

size_t lp_model_n_facts(const lp_model *model)
{
    return model->n_facts;
}

lp_fact lp_model_fact(const lp_model *model, size_t index)
{
    const lp_hparam *fact = &model->facts[index];
    return (lp_fact){fact->name, fact->value, fact->is_number};
}

size_t lp_model_n_metadata(const lp_model *model)
{
    return model->network->gguf != NULL ? lp_gguf_count(model->network->gguf) : 0;
}

lp_fact lp_model_metadata(lp_model *model, size_t index)
{
    const lp_gguf *gguf = model->network->gguf;
    lp_gguf_string key = lp_gguf_key(gguf, index);
    lp_gguf_type type = lp_gguf_value_type(gguf, index);
    snprintf(model->meta_key, sizeof model->meta_key, "%.*s",
             (int)(key.bytes < sizeof model->meta_key ? key.bytes : sizeof model->meta_key - 1),
             key.data);
    lp_gguf_print(gguf, index, model->meta_value, sizeof model->meta_value);
    int is_number = type != LP_GGUF_STRING && type != LP_GGUF_ARRAY && type != LP_GGUF_BOOL;
    return (lp_fact){model->meta_key, model->meta_value, is_number};
}

size_t lp_model_n_tensors(const lp_model *model)
{
    return lp_weights_count(model->network->weights);
}

lp_tensor_info lp_model_tensor(const lp_model *model, size_t index)
{
    const lp_weight *w = lp_weights_at(model->network->weights, index);
    lp_tensor_info info = {
        .name = w->name, .type = w->type, .n_dims = w->shape.n, .bytes = w->bytes};
    for (int i = 0; i < LP_MAX_DIMS; i++)
        info.dims[i] = w->shape.dim[i];
    return info;
}

const char *lp_model_tokenizer(const lp_model *model)
{
    return model->tokenizer != NULL ? lp_tokenizer_kind(model->tokenizer) : "none";
}

lp_status lp_model_tokenize(const lp_model *model, const char *text, size_t bytes, unsigned flags,
                            int32_t **tokens, size_t *n_tokens)
{
    LP_TRY(lp_model_needs_tokenizer(model));
    unsigned inner = (flags & LP_TOKENS_SPECIAL ? LP_TOKENIZE_ADD_SPECIAL : 0) |
                     (flags & LP_TOKENS_PARSE ? LP_TOKENIZE_PARSE_SPECIAL : 0);
    return lp_tokenize(model->ctx, model->tokenizer, text, bytes, inner, tokens, n_tokens);
}

lp_status lp_model_detokenize(const lp_model *model, int32_t token, const char **bytes,
                              size_t *n_bytes)
{
    LP_TRY(lp_model_needs_tokenizer(model));
    return lp_detokenize(model->ctx, model->tokenizer, token, bytes, n_bytes);
}

int lp_model_is_end(const lp_model *model, int32_t token)
{
    return model->tokenizer != NULL && lp_tokenizer_is_end(model->tokenizer, token);
}

int32_t lp_model_bos(const lp_model *model)
{
    if (model->tokenizer == NULL)
        return -1;
    lp_special_tokens special = lp_tokenizer_special(model->tokenizer);
    return special.add_bos ? special.bos : -1;
}
