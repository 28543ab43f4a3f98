/* Checks for the public API: opens the devices, fills in what a report says of them. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "check/digest.h"
#include "check/repro.h"
#include "lapilli_check.h"
#include "lapilli_private.h"
#include "text/generation_config.h"

void lp_report_destroy(lp_report *report)
{
    if (report == NULL)
        return;
    lp_report_box *box = (lp_report_box *)report;
    lp_arena_destroy(&box->arena);
    free(box);
}

double lp_check_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *lp_check_copy(lp_arena *arena, const char *text, bool *failed)
{
    const char *c = lp_arena_strdup(arena, text != NULL ? text : "");
    *failed = *failed || c == NULL;
    return c != NULL ? c : "";
}

static void add_fact(lp_report *r, lp_arena *arena, bool *failed, const char *name,
                     const char *value, int is_number)
{
    if (value[0] != '\0' && r->facts != NULL)
        r->facts[r->n_facts++] = (lp_fact){lp_check_copy(arena, name, failed),
                                           lp_check_copy(arena, value, failed), is_number};
}

static void add_number(lp_report *r, lp_arena *arena, bool *failed, const char *name,
                       uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    add_fact(r, arena, failed, name, text, 1);
}

static void add_facts(lp_report *r, lp_arena *arena, const lp_device_info *d, bool *failed)
{
    char range[48];
    r->facts = lp_arena_array(arena, 16, sizeof *r->facts);
    *failed = *failed || r->facts == NULL;
    add_fact(r, arena, failed, "id", d->id, 0);
    add_fact(r, arena, failed, "type", d->type, 0);
    if (d->api_version == 0) /* not Vulkan's */
        return;
    snprintf(range, sizeof range, "%u.%u.%u", d->api_version >> 22, d->api_version >> 12 & 0x3ff,
             d->api_version & 0xfff);
    add_fact(r, arena, failed, "Vulkan", range, 0);
    if (d->subgroup_min == d->subgroup_max)
        snprintf(range, sizeof range, "%u", d->subgroup_size);
    else
        snprintf(range, sizeof range, "%u (%u to %u)", d->subgroup_size, d->subgroup_min,
                 d->subgroup_max);
    add_fact(r, arena, failed, "subgroup", range, 0);
    add_number(r, arena, failed, "shared memory", d->shared_bytes);
    add_number(r, arena, failed, "memory", d->memory_bytes);
    add_fact(r, arena, failed, "unified memory", d->uma ? "yes" : "no", 0);
    add_fact(r, arena, failed, "fp16", d->fp16 ? "yes" : "no", 0);
    add_fact(r, arena, failed, "bf16", d->bf16 ? "yes" : "no", 0);
    add_fact(r, arena, failed, "16-bit storage", d->storage16 ? "yes" : "no", 0);
    add_fact(r, arena, failed, "8-bit storage", d->storage8 ? "yes" : "no", 0);
    add_fact(r, arena, failed, "int64", d->int64 ? "yes" : "no", 0);
    add_fact(r, arena, failed, "integer dot products", d->int_dot ? "yes" : "no", 0);
    add_fact(r, arena, failed, "matrix units", d->matrix_cores[0] ? d->matrix_cores : "none", 0);
}

lp_status lp_check_start(lp_context *ctx, const lp_device_info *device,
                         const lp_device_info *against, const lp_check_options *options,
                         lp_report *r, lp_arena *arena)
{
    bool failed = false;
    r->version = lp_check_copy(arena, LAPILLI_VERSION, &failed);
    r->sentence = r->smallest_change = r->repro = "";
    r->model_type = r->model_digest = r->conditions = "";
    r->device = lp_check_copy(arena, device->name, &failed);
    r->driver = lp_check_copy(arena, device->driver, &failed);
    r->against = lp_check_copy(arena, against->name, &failed);
    r->against_driver = lp_check_copy(arena, against->driver, &failed);
    r->command = lp_check_copy(arena, options->command, &failed);
    add_facts(r, arena, device, &failed);
    r->tokens = lp_arena_array(arena, options->n_tokens + 1, sizeof *r->tokens);
    if (failed || r->tokens == NULL)
        return lp_fail_memory(ctx, "a report");
    r->n_tokens = options->n_tokens;
    if (options->n_tokens > 0)
        memcpy(r->tokens, options->tokens, options->n_tokens * sizeof *r->tokens);
    return LP_OK;
}

lp_status lp_check_plans(lp_checker *c, const lp_device_info *info, lp_fault **fault)
{
    const lp_check_options *o = c->options;
    LP_TRY(lp_quirks_gather(c->ctx, (lp_quirks_device){info->name, info->driver}, o->workaround,
                            NULL, &c->quirks));
    c->quirks.deterministic |= o->deterministic != 0;
    c->plan = lp_quirks_plan_options(&c->quirks);
    if (o->plant == NULL)
        return LP_OK;
    LP_TRY(lp_fault_create(c->ctx, o->plant, fault));
    c->plan.alter = lp_fault_alter;
    c->plan.alter_user = *fault;
    return LP_OK;
}

static void destroy(lp_backend *backend)
{
    if (backend != NULL)
        backend->table->destroy(backend);
}

lp_status lp_check_open(lp_checker *c, lp_devices *devices, size_t device, size_t against)
{
    const char *cache = c->options->cache_folder;
    const lp_device_info *info = lp_devices_info(devices, device);
    LP_TRY(lp_cpu_backend_create(c->ctx, false, &c->chain));
    LP_TRY(lp_devices_open(devices, device, cache, &c->device));
    if (c->plan.alter != NULL && c->device->table->program_plan == NULL)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "faults are planted in plans; %s has none",
                       info->id);
    if (strcmp(lp_devices_info(devices, against)->id, "reference") == 0)
        c->against = c->chain;
    else
        LP_TRY(lp_devices_open(devices, against, cache, &c->against));
    return LP_OK;
}

void lp_check_close(lp_checker *c)
{
    if (c->against != c->chain)
        destroy(c->against);
    destroy(c->device);
    destroy(c->chain);
    c->chain = c->device = c->against = NULL;
    lp_store_destroy(&c->store);
    c->store = (lp_store){0};
}

lp_status lp_check_conditions(const lp_checker *c, const char *what)
{
    const lp_plan_options *plan = &c->plan;
    bool failed = false;
    lp_text text = {0};
    lp_text_printf(&text, "%s%s%s%s%s", what, plan->deterministic ? ", deterministic" : "",
                   c->quirks.no_fusion ? ", no fusion" : "",
                   plan->full_barriers ? ", full barriers" : "",
                   plan->keep_all ? ", keep all" : "");
    if (c->options->plant != NULL)
        lp_text_printf(&text, ", fault %s", c->options->plant);
    char *conditions = lp_text_take(&text);
    c->report->conditions = lp_check_copy(c->arena, conditions, &failed);
    failed = failed || conditions == NULL;
    free(conditions);
    return failed ? lp_fail_memory(c->ctx, "a report") : LP_OK;
}

/* What a certificate says besides results. */
static lp_status add_conditions(const lp_checker *c)
{
    char what[64], digest[LP_DIGEST_TEXT] = "";
    bool failed = false;
    snprintf(what, sizeof what, "context %u, cache %s%s", c->n_ctx,
             lp_dtype_table[c->options->cache_type].kernel, c->rounds ? ", int8 inputs" : "");
    LP_TRY(lp_check_conditions(c, what));
    if (c->options->digests)
        LP_TRY(lp_digest_model(c->ctx, c->network, digest));
    c->report->model_digest = lp_check_copy(c->arena, digest, &failed);
    return failed ? lp_fail_memory(c->ctx, "a report") : LP_OK;
}

lp_status lp_check_repro(lp_devices *devices, size_t device, const char *folder, uint32_t n_runs,
                         lp_report **report)
{
    static const lp_device_info judge = {.name = "what was expected", .driver = ""};
    static const lp_check_options options = LP_CHECK_DEFAULT;
    lp_status status = LP_OK;
    lp_context *ctx = lp_devices_context(devices);
    const lp_device_info *info = lp_devices_info(devices, device);
    lp_backend *backend = NULL;
    *report = NULL;
    if (info == NULL)
        return lp_fail(ctx, LP_E_ARG, "no such device");
    lp_report_box *box = calloc(1, sizeof *box);
    if (box == NULL)
        return lp_fail_memory(ctx, "a report");
    lp_checker c = {.ctx = ctx, .arena = &box->arena, .report = &box->report};
    bool failed = false;
    const double start = lp_check_now();
    LP_CHECK(lp_check_start(ctx, info, &judge, &options, &box->report, &box->arena));
    box->report.path = lp_check_copy(&box->arena, folder, &failed);
    LP_CHECK(lp_devices_open(devices, device, NULL, &backend));
    LP_CHECK(lp_repro_run(ctx, folder, backend, n_runs, &box->arena, &box->report));
    LP_CHECK(lp_checker_verdict(&c));
    box->report.seconds = lp_check_now() - start;
    *report = &box->report;
    box = NULL;
cleanup:
    destroy(backend);
    if (box != NULL)
        lp_report_destroy(&box->report);
    return status;
}

lp_status lp_check_devices(lp_devices *devices, size_t device, size_t against)
{
    lp_context *ctx = lp_devices_context(devices);
    const lp_device_info *info = lp_devices_info(devices, device);
    if (info == NULL || lp_devices_info(devices, against) == NULL)
        return lp_fail(ctx, LP_E_ARG, "no such device");
    if (device == against)
        return lp_fail(ctx, LP_E_ARG, "%s cannot be checked against itself", info->id);
    return LP_OK;
}

lp_status lp_check(lp_devices *devices, size_t device, size_t against, const lp_model *model,
                   const lp_check_options *options, lp_report **report)
{
    lp_status status = LP_OK;
    lp_context *ctx = lp_devices_context(devices);
    const lp_device_info *info = lp_devices_info(devices, device);
    const lp_device_info *other = lp_devices_info(devices, against);
    lp_fault *fault = NULL;
    *report = NULL;
    LP_TRY(lp_check_devices(devices, device, against));
    lp_report_box *box = calloc(1, sizeof *box);
    if (box == NULL)
        return lp_fail_memory(ctx, "a report");
    lp_checker c = {.ctx = ctx,
                    .network = lp_model_network(model),
                    .start = lp_model_generation(model)->rules.start,
                    .options = options,
                    .n_trial_runs = options->n_runs,
                    .arena = &box->arena,
                    .report = &box->report};
    const double start = lp_check_now();
    float *patches = NULL;
    LP_CHECK(lp_check_start(ctx, info, other, options, &box->report, &box->arena));
    if (options->image != NULL)
        LP_CHECK(lp_model_patches(model, options->image, &patches));
    c.patches = patches;
    bool failed = false;
    box->report.model = lp_check_copy(&box->arena, lp_model_title(model), &failed);
    box->report.model_type = lp_check_copy(&box->arena, lp_model_type(model), &failed);
    box->report.path = lp_check_copy(&box->arena, c.network->path, &failed);
    if (failed) {
        status = lp_fail_memory(ctx, "a report");
        goto cleanup;
    }
    if (options->repro_folder != NULL)
        LP_CHECK(lp_repro_begin(ctx, options->repro_folder));
    LP_CHECK(lp_check_plans(&c, info, &fault));
    LP_CHECK(lp_check_open(&c, devices, device, against));
    if (!options->no_int8) /* what both can do; the reference can do all */
        c.int8_types =
            c.device->int8_types & (c.against != c.chain ? c.against->int8_types : UINT32_MAX);
    LP_CHECK(lp_checker_run(&c));
    LP_CHECK(lp_checker_conclude(&c));
    LP_CHECK(add_conditions(&c));
    if (fault != NULL)
        LP_CHECK(lp_fault_require(ctx, fault));
    box->report.seconds = lp_check_now() - start;
    *report = &box->report;
    box = NULL;
cleanup:
    free(patches);
    lp_check_close(&c);
    lp_fault_destroy(fault);
    if (box != NULL)
        lp_report_destroy(&box->report);
    return status;
}
