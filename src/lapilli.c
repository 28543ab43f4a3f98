/* The public API over the floors below: contexts, models, sessions. Devices are in
 * lapilli_devices.c. */
#include "lapilli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "check/faults.h"
#include "check/quirks.h"
#include "lapilli_private.h"
#include "models/network.h"
#include "text/generate.h"
#include "text/infill.h"
#include "text/generation_config.h"
#include "text/snapshot.h"
#include "text/tokenizer.h"

struct lp_model {
    lp_context *ctx;
    lp_network *network;
    lp_tokenizer *tokenizer;
    lp_tokenizer *target; /* of answers; NULL: the same */
    lp_generation_config generation; /* of an encoder-decoder */
    lp_hparam facts[LP_MAX_FACTS];
    size_t n_facts;
    const char *type; /* the weights' */
    char title[128];
    char meta_key[256], meta_value[512]; /* of the latest lp_model_metadata() */
};

struct lp_session {
    lp_runner *runner;
    lp_sampler *sampler; /* NULL: greedy, on the device */
    lp_speculation *speculation; /* NULL: none */
    lp_fault *fault; /* planted on purpose; NULL: none */
    const lp_model *model;
};

const char *lp_version(void)
{
    return LAPILLI_VERSION;
}

/* ---- Context ------------------------------------------------------------------------------- */

lp_context *lp_context_create(lp_log_fn log, void *user, lp_log_level level)
{
    lp_context *ctx = calloc(1, sizeof *ctx);
    if (ctx != NULL) {
        ctx->log = log;
        ctx->log_user = user;
        ctx->level = level;
    }
    return ctx;
}

void lp_context_destroy(lp_context *ctx)
{
    free(ctx);
}

const char *lp_context_message(const lp_context *ctx)
{
    return ctx->message;
}

/* ---- Models -------------------------------------------------------------------------------- */

/* The type that holds most bytes of the matrices, by name: it may be one that we do not read. */
static const char *main_type(lp_weights *weights)
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

lp_status lp_model_open(lp_context *ctx, const char *path, lp_model **result)
{
    lp_status status = LP_OK;
    lp_model *model = calloc(1, sizeof *model);
    *result = NULL;
    if (model == NULL)
        return lp_fail_memory(ctx, "a model");
    model->ctx = ctx;
    LP_CHECK(lp_network_open(ctx, path, &model->network));
    if (model->network->gguf != NULL) {
        status = lp_tokenizer_from_gguf(ctx, model->network->gguf, &model->tokenizer);
        if (status != LP_OK) { /* the message names the key; the file's name goes before it */
            lp_fail(ctx, status, "%s: %s", path, ctx->message);
            goto cleanup;
        }
    } else {
        LP_CHECK(lp_tokenizer_from_folder(ctx, path, &model->tokenizer));
    }
    LP_CHECK(open_target(ctx, path, model));
    LP_CHECK(check_size(ctx, path, model, model->tokenizer));
    LP_CHECK(check_size(ctx, path, model, lp_model_target_tokenizer(model)));
    model->n_facts = lp_hparams_describe(&model->network->hparams, model->facts);
    model->type = main_type(model->network->weights);
    uint64_t n = lp_model_parameters(model);
    const char *unit = n >= 1000000000 ? "B" : n >= 1000000 ? "M" : "K";
    double in_units = (double)n / (n >= 1000000000 ? 1e9 : n >= 1000000 ? 1e6 : 1e3);
    snprintf(model->title, sizeof model->title, "%s %.*f%s %s", lp_model_architecture(model),
             in_units < 100 ? 1 : 0, in_units, unit, model->type);
    *result = model;
    return LP_OK;
cleanup:
    lp_model_destroy(model);
    return status;
}

lp_status lp_model_adapt(lp_model *model, const char *path, float scale)
{
    return lp_network_adapt(model->ctx, model->network, path, scale);
}

void lp_model_destroy(lp_model *model)
{
    if (model == NULL)
        return;
    lp_generation_config_destroy(&model->generation);
    lp_tokenizer_destroy(model->target);
    lp_tokenizer_destroy(model->tokenizer);
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

uint64_t lp_model_parameters(const lp_model *model)
{
    uint64_t n = 0;
    for (size_t i = 0; i < lp_weights_count(model->network->weights); i++) {
        int64_t elements =
            lp_shape_elements(lp_weights_at(model->network->weights, i)->shape);
        n += elements > 0 ? (uint64_t)elements : 0;
    }
    return n;
}

uint64_t lp_model_bytes(const lp_model *model)
{
    return lp_weights_bytes(model->network->weights);
}

uint32_t lp_model_context(const lp_model *model)
{
    return model->network->hparams.n_context;
}

uint32_t lp_model_vocabulary(const lp_model *model)
{
    return model->network->hparams.n_vocab;
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
    return lp_tokenizer_kind(model->tokenizer);
}

lp_status lp_model_tokenize(const lp_model *model, const char *text, size_t bytes, unsigned flags,
                            int32_t **tokens, size_t *n_tokens)
{
    unsigned inner = (flags & LP_TOKENS_SPECIAL ? LP_TOKENIZE_ADD_SPECIAL : 0) |
                     (flags & LP_TOKENS_PARSE ? LP_TOKENIZE_PARSE_SPECIAL : 0);
    return lp_tokenize(model->ctx, model->tokenizer, text, bytes, inner, tokens, n_tokens);
}

lp_status lp_model_detokenize(const lp_model *model, int32_t token, const char **bytes,
                              size_t *n_bytes)
{
    return lp_detokenize(model->ctx, model->tokenizer, token, bytes, n_bytes);
}

int lp_model_is_end(const lp_model *model, int32_t token)
{
    return lp_tokenizer_is_end(model->tokenizer, token);
}

int32_t lp_model_bos(const lp_model *model)
{
    lp_special_tokens special = lp_tokenizer_special(model->tokenizer);
    return special.add_bos ? special.bos : -1;
}

/* ---- Sessions ------------------------------------------------------------------------------ */

/* How a session's programs are made: what its options ask for, and what the device's driver needs. */
static lp_status make_programs(lp_session *session, lp_devices *devices, size_t device,
                               const lp_session_options *options, lp_runner_programs *programs)
{
    lp_context *ctx = lp_devices_context(devices);
    const lp_device_info *info = lp_devices_info(devices, device);
    lp_quirks quirks;
    if (info == NULL)
        return lp_fail(ctx, LP_E_ARG, "device %zu of %zu", device, lp_devices_count(devices));
    LP_TRY(lp_quirks_gather(ctx, (lp_quirks_device){info->name, info->driver}, options->workaround,
                            options->cache_folder, &quirks));
    *programs = (lp_runner_programs){.plan = lp_quirks_plan_options(&quirks),
                                     .no_fusion = quirks.no_fusion,
                                     .batch = quirks.batch};
    programs->plan.deterministic |= options->deterministic != 0;
    if (options->plant != NULL) {
        LP_TRY(lp_fault_create(ctx, options->plant, &session->fault));
        if (strcmp(info->type, "host") == 0)
            return lp_fail(ctx, LP_E_UNSUPPORTED, "faults are planted in plans; %s has none",
                           info->id);
        programs->plan.alter = lp_fault_alter;
        programs->plan.alter_user = session->fault;
    }
    return LP_OK;
}

lp_runner *lp_session_runner(lp_session *session)
{
    return session->runner;
}

const lp_model *lp_session_model(const lp_session *session)
{
    return session->model;
}

lp_status lp_session_check_fault(const lp_session *session)
{
    return session->fault != NULL ? lp_fault_require(session->model->ctx, session->fault) : LP_OK;
}

lp_status lp_session_create(lp_devices *devices, size_t device, const lp_model *model,
                            const lp_session_options *options, lp_session **result)
{
    static const lp_session_options defaults = LP_SESSION_DEFAULT;
    lp_status status = LP_OK;
    lp_backend *backend = NULL;
    lp_runner_programs programs;
    if (options == NULL)
        options = &defaults;
    *result = NULL;
    if (lp_devices_context(devices) != model->ctx)
        return lp_fail(model->ctx, LP_E_ARG, "devices and model belong to different contexts");
    lp_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return lp_fail_memory(model->ctx, "a session");
    session->model = model;
    LP_CHECK(make_programs(session, devices, device, options, &programs));
    LP_CHECK(lp_devices_open(devices, device, options->cache_folder, &backend));
    LP_CHECK(lp_runner_create(model->ctx, model->network, backend, options, &programs,
                              &session->runner));
    *result = session;
    return LP_OK;
cleanup:
    lp_session_destroy(session);
    return status;
}

void lp_session_destroy(lp_session *session)
{
    if (session == NULL)
        return;
    lp_speculation_destroy(session->speculation);
    lp_sampler_destroy(session->sampler);
    lp_runner_destroy(session->runner); /* its plans are done with the fault */
    lp_fault_destroy(session->fault);
    free(session);
}

uint32_t lp_session_n_ctx(const lp_session *session)
{
    return lp_runner_n_ctx(session->runner);
}

uint32_t lp_session_n_tokens(const lp_session *session)
{
    return lp_runner_n_tokens(session->runner);
}

/* What was fed is no part of a grammar's text. */
static void restart_grammar(lp_session *session)
{
    if (session->sampler != NULL)
        lp_sampler_restart(session->sampler);
}

lp_status lp_session_feed(lp_session *session, const int32_t *tokens, size_t n_tokens)
{
    if (n_tokens > 0)
        restart_grammar(session);
    return lp_runner_feed(session->runner, tokens, n_tokens);
}

lp_status lp_session_feed_text(lp_session *session, const char *text, size_t bytes, unsigned flags)
{
    if (flags & LP_FEED_PROMPT && lp_model_reads_source(session->model)) {
        LP_TRY(lp_session_source_text(session, text, bytes));
        return lp_session_feed(session, &session->model->generation.rules.start, 1);
    }
    int32_t *tokens = NULL;
    size_t n_tokens = 0;
    LP_TRY(lp_model_tokenize(session->model, text, bytes,
                             flags & LP_FEED_PROMPT ? LP_TOKENS_SPECIAL | LP_TOKENS_PARSE : 0,
                             &tokens, &n_tokens));
    /* A prompt is continued: the end token that some models want behind a text is not meant. */
    if (n_tokens > 0 && lp_model_is_end(session->model, tokens[n_tokens - 1]) &&
        lp_tokenizer_special(session->model->tokenizer).add_eos)
        n_tokens--;
    const lp_status status = lp_session_feed(session, tokens, n_tokens);
    free(tokens);
    return status;
}

lp_status lp_session_feed_infill(lp_session *session, const char *prefix, size_t prefix_bytes,
                                 const char *suffix, size_t suffix_bytes, unsigned flags)
{
    int32_t *tokens;
    size_t n_tokens;
    LP_TRY(lp_infill_tokens(session->model->ctx, session->model->tokenizer,
                            (lp_tokenizer_text){prefix, prefix_bytes},
                            (lp_tokenizer_text){suffix, suffix_bytes},
                            (flags & LP_INFILL_SUFFIX_FIRST) != 0, &tokens, &n_tokens));
    const lp_status status = lp_session_feed(session, tokens, n_tokens);
    free(tokens);
    return status;
}

lp_status lp_session_eval(lp_session *session, float *logits)
{
    LP_TRY(lp_runner_eval(session->runner, logits));
    return lp_session_check_fault(session);
}

lp_status lp_session_score(lp_session *session, const int32_t *tokens, size_t n_tokens,
                           double *scores)
{
    if (n_tokens > 0)
        restart_grammar(session);
    LP_TRY(lp_runner_score(session->runner, tokens, n_tokens, scores));
    return lp_session_check_fault(session);
}

lp_status lp_session_sampling(lp_session *session, const lp_sampling *sampling)
{
    const lp_model *model = session->model;
    lp_sampler *sampler;
    LP_TRY(lp_sampler_create(model->ctx, lp_model_target_tokenizer(model), lp_model_vocabulary(model),
                             sampling, &sampler));
    const lp_sampling plain = lp_sampler_for_device(sampler);
    lp_status status = lp_runner_sampling(session->runner, &plain);
    if (status == LP_OK && session->speculation != NULL)
        status = lp_speculation_sampling(session->speculation, &plain);
    lp_sampler_destroy(status == LP_OK ? session->sampler : sampler);
    if (status == LP_OK)
        session->sampler = sampler;
    return status;
}

lp_status lp_session_draft(lp_session *session, lp_session *draft, uint32_t most, float min_p)
{
    static const lp_sampling greedy = {.top_p = 1, .repeat_penalty = 1};
    lp_context *ctx = session->model->ctx;
    lp_speculation *speculation = NULL;
    if (draft == session || (draft != NULL && draft->model->ctx != ctx))
        return lp_fail(ctx, LP_E_ARG, "a draft is another session, of the same context");
    if (most > 0) {
        if (draft != NULL)
            LP_TRY(lp_speculation_check(ctx, lp_model_target_tokenizer(session->model),
                                        lp_model_target_tokenizer(draft->model)));
        if (session->sampler == NULL)
            LP_TRY(lp_session_sampling(session, &greedy));
        LP_TRY(lp_speculation_create(ctx, session->runner, draft != NULL ? draft->runner : NULL,
                                     most, min_p, &speculation));
        const lp_sampling plain = lp_sampler_for_device(session->sampler);
        const lp_status status = lp_speculation_sampling(speculation, &plain);
        if (status != LP_OK) {
            lp_speculation_destroy(speculation);
            return status;
        }
    }
    lp_speculation_destroy(session->speculation);
    session->speculation = speculation;
    return LP_OK;
}

lp_draft_summary lp_session_drafted(const lp_session *session)
{
    return session->speculation != NULL ? lp_speculation_summary(session->speculation)
                                        : (lp_draft_summary){0};
}

lp_status lp_session_next(lp_session *session, uint32_t wanted, int32_t *token)
{
    LP_TRY(lp_generate_token(session->runner, session->sampler, session->speculation, wanted,
                             token));
    return lp_session_check_fault(session);
}

lp_status lp_session_generate(lp_session *session, const lp_generate_options *options,
                              lp_generation *result)
{
    LP_TRY(lp_generate(session->model->ctx, session->runner,
                       lp_model_target_tokenizer(session->model), session->sampler,
                       session->speculation, options, result));
    return lp_session_check_fault(session);
}

const char *lp_ending_text(lp_ending ending)
{
    static const char *const texts[] = {
#define X(code, text) text,
        LP_ENDINGS(X)
#undef X
    };
    return (unsigned)ending < LP_N_ENDINGS ? texts[ending] : "?";
}

lp_status lp_session_rewind(lp_session *session, uint32_t n_tokens)
{
    const uint32_t before = lp_session_n_tokens(session);
    LP_TRY(lp_runner_rewind(session->runner, n_tokens));
    return session->sampler != NULL ? lp_sampler_take_back(session->sampler, before - n_tokens)
                                    : LP_OK;
}

lp_status lp_session_forget(lp_session *session, uint32_t first, uint32_t n)
{
    return lp_runner_forget(session->runner, first, n);
}

lp_status lp_session_tokens(lp_session *session, uint32_t first, uint32_t n, int32_t *tokens)
{
    return lp_runner_tokens(session->runner, first, n, tokens);
}

lp_status lp_session_save(lp_session *session, const char *path)
{
    LP_TRY(lp_runner_save(session->runner, path));
    return lp_session_check_fault(session);
}

lp_status lp_session_load(lp_session *session, const char *path, uint32_t *n_common)
{
    restart_grammar(session);
    return lp_runner_load(session->runner, path, n_common);
}

lp_guard_summary lp_session_guard(const lp_session *session)
{
    const lp_guard *guard = lp_runner_guard(session->runner);
    lp_guard_summary summary = guard->summary;
    summary.node = guard->worst;
    return summary;
}

lp_memory lp_session_memory(const lp_session *session)
{
    uint64_t bytes[4];
    lp_runner_memory(session->runner, bytes);
    return (lp_memory){bytes[0], bytes[1], bytes[2], bytes[3]};
}

lp_dtype lp_dtype_by_name(const char *name)
{
    return lp_dtype_from_name(name);
}
