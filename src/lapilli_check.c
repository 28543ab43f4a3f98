/* Checks for the public API: opens the devices, fills in what a report says of them. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "check/checker.h"
#include "check/digest.h"
#include "check/faults.h"
#include "check/repro.h"
#include "cpu/cpu_backend.h"
#include "lapilli_private.h"
#include "text/generation_config.h"

/* The report and everything that it points to. */
typedef struct report_box {
    lp_report report; /* first: the caller's pointer is ours */
    lp_arena arena;
} report_box;

void lp_report_destroy(lp_report *report)
{
    if (report == NULL)
        return;
    report_box *box = (report_box *)report;
    lp_arena_destroy(&box->arena);
    free(box);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Copies `text` into the arena; "" on failure, which *failed remembers. */
static const char *copy(lp_arena *arena, const char *text, bool *failed)
{
    const char *c = lp_arena_strdup(arena, text != NULL ? text : "");
    *failed = *failed || c == NULL;
    return c != NULL ? c : "";
}

static void add_fact(lp_report *r, lp_arena *arena, bool *failed, const char *name,
                     const char *value, int is_number)
{
    if (value[0] != '\0' && r->facts != NULL)
        r->facts[r->n_facts++] =
            (lp_fact){copy(arena, name, failed), copy(arena, value, failed), is_number};
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

static lp_status start_report(lp_context *ctx, const lp_device_info *device,
                              const lp_device_info *against, const lp_check_options *options,
                              lp_report *r, lp_arena *arena)
{
    bool failed = false;
    r->version = copy(arena, LAPILLI_VERSION, &failed);
    r->sentence = r->smallest_change = r->repro = "";
    r->model_type = r->model_digest = r->conditions = "";
    r->device = copy(arena, device->name, &failed);
    r->driver = copy(arena, device->driver, &failed);
    r->against = copy(arena, against->name, &failed);
    r->against_driver = copy(arena, against->driver, &failed);
    r->command = copy(arena, options->command, &failed);
    add_facts(r, arena, device, &failed);
    r->tokens = lp_arena_array(arena, options->n_tokens + 1, sizeof *r->tokens);
    if (failed || r->tokens == NULL)
        return lp_fail_memory(ctx, "a report");
    r->n_tokens = options->n_tokens;
    if (options->n_tokens > 0)
        memcpy(r->tokens, options->tokens, options->n_tokens * sizeof *r->tokens);
    return LP_OK;
}

/* What the device's plans respect: the workaround and the planted fault, but not what doctor
 * remembers: the device is checked as it is. */
static lp_status plan_as_sessions_do(lp_checker *c, const lp_device_info *info, lp_fault **fault)
{
    const lp_check_options *o = c->options;
    LP_TRY(lp_quirks_gather(c->ctx, (lp_quirks_device){info->name, info->driver}, o->workaround,
                            NULL, &c->quirks));
    c->quirks.deterministic |= o->deterministic != 0;
    c->plan = lp_quirks_plan_options(&c->quirks);
    if (o->plant == NULL)
        return LP_OK;
    LP_TRY(lp_fault_create(c->ctx, o->plant, fault));
    if (c->device->table->program_plan == NULL)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "faults are planted in plans; %s has none",
                       info->id);
    c->plan.alter = lp_fault_alter;
    c->plan.alter_user = *fault;
    return LP_OK;
}

/* What a certificate says besides results. */
static lp_status add_conditions(const lp_checker *c)
{
    const lp_plan_options *plan = &c->plan;
    char digest[LP_DIGEST_TEXT] = "";
    bool failed = false;
    lp_text text = {0};
    lp_text_printf(
        &text, "context %u, cache %s%s%s%s%s%s", c->n_ctx,
        lp_dtype_table[c->options->cache_type].kernel, c->rounds ? ", int8 inputs" : "",
        plan->deterministic ? ", deterministic" : "", c->quirks.no_fusion ? ", no fusion" : "",
        plan->full_barriers ? ", full barriers" : "", plan->keep_all ? ", keep all" : "");
    if (c->options->plant != NULL)
        lp_text_printf(&text, ", fault %s", c->options->plant);
    char *conditions = lp_text_take(&text);
    c->report->conditions = copy(c->arena, conditions, &failed);
    failed = failed || conditions == NULL;
    free(conditions);
    if (c->options->digests)
        LP_TRY(lp_digest_model(c->ctx, c->network, digest));
    c->report->model_digest = copy(c->arena, digest, &failed);
    return failed ? lp_fail_memory(c->ctx, "a report") : LP_OK;
}

static void destroy(lp_backend *backend)
{
    if (backend != NULL)
        backend->table->destroy(backend);
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
    report_box *box = calloc(1, sizeof *box);
    if (box == NULL)
        return lp_fail_memory(ctx, "a report");
    lp_checker c = {.ctx = ctx, .arena = &box->arena, .report = &box->report};
    bool failed = false;
    const double start = now();
    LP_CHECK(start_report(ctx, info, &judge, &options, &box->report, &box->arena));
    box->report.path = copy(&box->arena, folder, &failed);
    LP_CHECK(lp_devices_open(devices, device, NULL, &backend));
    LP_CHECK(lp_repro_run(ctx, folder, backend, n_runs, &box->arena, &box->report));
    LP_CHECK(lp_checker_verdict(&c));
    box->report.seconds = now() - start;
    *report = &box->report;
    box = NULL;
cleanup:
    destroy(backend);
    if (box != NULL)
        lp_report_destroy(&box->report);
    return status;
}

lp_status lp_check(lp_devices *devices, size_t device, size_t against, const lp_model *model,
                   const lp_check_options *options, lp_report **report)
{
    lp_status status = LP_OK;
    lp_context *ctx = lp_devices_context(devices);
    const lp_device_info *info = lp_devices_info(devices, device);
    const lp_device_info *other = lp_devices_info(devices, against);
    lp_backend *chain = NULL, *tested = NULL, *second = NULL;
    lp_fault *fault = NULL;
    *report = NULL;
    if (info == NULL || other == NULL)
        return lp_fail(ctx, LP_E_ARG, "no such device");
    if (device == against)
        return lp_fail(ctx, LP_E_ARG, "%s cannot be checked against itself", info->id);
    report_box *box = calloc(1, sizeof *box);
    if (box == NULL)
        return lp_fail_memory(ctx, "a report");
    lp_checker c = {.ctx = ctx,
                    .network = lp_model_network(model),
                    .start = lp_model_generation(model)->rules.start,
                    .options = options,
                    .n_trial_runs = options->n_runs,
                    .arena = &box->arena,
                    .report = &box->report};
    const double start = now();
    float *patches = NULL;
    LP_CHECK(start_report(ctx, info, other, options, &box->report, &box->arena));
    if (options->image != NULL)
        LP_CHECK(lp_model_patches(model, options->image, &patches));
    c.patches = patches;
    bool failed = false;
    box->report.model = copy(&box->arena, lp_model_title(model), &failed);
    box->report.model_type = copy(&box->arena, lp_model_type(model), &failed);
    box->report.path = copy(&box->arena, c.network->path, &failed);
    if (failed) {
        status = lp_fail_memory(ctx, "a report");
        goto cleanup;
    }
    if (options->repro_folder != NULL)
        LP_CHECK(lp_repro_begin(ctx, options->repro_folder));
    LP_CHECK(lp_cpu_backend_create(ctx, false, &chain));
    LP_CHECK(lp_devices_open(devices, device, options->cache_folder, &tested));
    if (strcmp(other->id, "reference") != 0)
        LP_CHECK(lp_devices_open(devices, against, options->cache_folder, &second));
    c.chain = chain;
    c.device = tested;
    c.against = second != NULL ? second : chain;
    if (!options->no_int8) /* what both can do; the reference can do all */
        c.int8_types = tested->int8_types & (second != NULL ? second->int8_types : UINT32_MAX);
    LP_CHECK(plan_as_sessions_do(&c, info, &fault));
    LP_CHECK(lp_checker_run(&c));
    LP_CHECK(lp_checker_conclude(&c));
    LP_CHECK(add_conditions(&c));
    if (fault != NULL)
        LP_CHECK(lp_fault_require(ctx, fault));
    box->report.seconds = now() - start;
    *report = &box->report;
    box = NULL;
cleanup:
    free(patches);
    destroy(second);
    destroy(tested);
    destroy(chain);
    lp_store_destroy(&c.store);
    lp_fault_destroy(fault);
    if (box != NULL)
        lp_report_destroy(&box->report);
    return status;
}
