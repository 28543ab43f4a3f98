/* The public API over the floors below: contexts and sessions. Models are in lapilli_model.c, devices
 * in lapilli_devices.c. */
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
                                     .no_int8 = options->no_int8 != 0,
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
    return session->fault != NULL ? lp_fault_require(lp_model_context_of(session->model), session->fault) : LP_OK;
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
    if (lp_devices_context(devices) != lp_model_context_of(model))
        return lp_fail(lp_model_context_of(model), LP_E_ARG,
                       "devices and model belong to different contexts");
    lp_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return lp_fail_memory(lp_model_context_of(model), "a session");
    session->model = model;
    LP_CHECK(make_programs(session, devices, device, options, &programs));
    LP_CHECK(lp_devices_open(devices, device, options->cache_folder, &backend));
    LP_CHECK(lp_runner_create(lp_model_context_of(model), lp_model_network(model), backend, options, &programs,
                              &session->runner));
    *result = session;
    return LP_OK;
cleanup:
    lp_session_destroy(session);
    return status;
}

lp_status lp_session_plan(lp_devices *devices, size_t device, const lp_model *model,
                          const lp_session_options *options, lp_footprint *plan)
{
    static const lp_session_options defaults = LP_SESSION_DEFAULT;
    lp_session_options plain = options != NULL ? *options : defaults;
    lp_runner_programs programs;
    plain.plant = NULL; /* computes something else, in the same memory */
    LP_TRY(make_programs(NULL, devices, device, &plain, &programs));
    const lp_gpu *gpu = lp_devices_gpu(devices, device);
    LP_TRY(lp_runner_plan_memory(lp_model_context_of(model), lp_model_network(model),
                                 gpu != NULL ? &gpu->caps : NULL, &plain, &programs, plan));
    if (gpu != NULL && !gpu->uma) /* else the host writes where the device reads */
        plan->bytes.staging = lp_vulkan_staging_most();
    return LP_OK;
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
        return lp_session_feed(session, &lp_model_generation(session->model)->rules.start, 1);
    }
    int32_t *tokens = NULL;
    size_t n_tokens = 0;
    LP_TRY(lp_model_tokenize(session->model, text, bytes,
                             flags & LP_FEED_PROMPT ? LP_TOKENS_SPECIAL | LP_TOKENS_PARSE : 0,
                             &tokens, &n_tokens));
    /* A prompt is continued: the end token that some models want behind a text is not meant. */
    if (n_tokens > 0 && lp_model_is_end(session->model, tokens[n_tokens - 1]) &&
        lp_tokenizer_special(lp_model_vocab(session->model)).add_eos)
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
    LP_TRY(lp_model_needs_tokenizer(session->model));
    LP_TRY(lp_infill_tokens(lp_model_context_of(session->model), lp_model_vocab(session->model),
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

/* What looks at texts of tokens. */
static bool looks_at_texts(const lp_sampling *s)
{
    bool texts = s->grammar != NULL || s->json_schema != NULL || s->dry_multiplier != 0;
    for (size_t i = 0; i < s->n_bias; i++)
        texts |= s->bias[i].text != NULL;
    return texts;
}

lp_status lp_session_sampling(lp_session *session, const lp_sampling *sampling)
{
    const lp_model *model = session->model;
    lp_sampler *sampler;
    if (looks_at_texts(sampling))
        LP_TRY(lp_model_needs_tokenizer(model));
    LP_TRY(lp_sampler_create(lp_model_context_of(model), lp_model_target_tokenizer(model), lp_model_vocabulary(model),
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
    lp_context *ctx = lp_model_context_of(session->model);
    lp_speculation *speculation = NULL;
    if (draft == session || (draft != NULL && lp_model_context_of(draft->model) != ctx))
        return lp_fail(ctx, LP_E_ARG, "a draft is another session, of the same context");
    if (most > 0) {
        if (draft != NULL) {
            LP_TRY(lp_model_needs_tokenizer(session->model));
            LP_TRY(lp_model_needs_tokenizer(draft->model));
            LP_TRY(lp_speculation_check(ctx, lp_model_target_tokenizer(session->model),
                                        lp_model_target_tokenizer(draft->model)));
        }
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
    LP_TRY(lp_model_needs_tokenizer(session->model));
    LP_TRY(lp_generate(lp_model_context_of(session->model), session->runner,
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
