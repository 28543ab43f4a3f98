/* Doctor for the public API: an exam of a device, the model that ships on it, what is remembered.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "check/compare.h"
#include "check/diagnosis.h"
#include "check/faults.h"
#include "check/quirks.h"
#include "lapilli_private.h"

enum {
    MAX_FACTS = 16,
    N_STEPS = 24, /* tokens of the shipped model, after the prompt */
    N_STEPS_QUICK = 6
};

/* Operating systems end work on a GPU that takes longer. */
#define WATCHDOG_SECONDS 2.0

typedef struct diagnosis {
    lp_diagnosis public;
    lp_arena arena;
} diagnosis;

typedef struct doctor {
    lp_context *ctx;
    lp_devices *devices;
    size_t device;
    const lp_device_info *info;
    const lp_doctor_options *options;
    lp_exam *exam;
    lp_diagnosis *d;
    lp_arena *arena;
} doctor;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static lp_quirks_device quirks_device(const lp_device_info *info)
{
    return (lp_quirks_device){info->name, info->driver};
}

/* ---- Facts --------------------------------------------------------------------------------- */

static void add_fact(doctor *w, const char *name, const char *format, ...) LP_PRINTF(3, 4);
static void add_fact(doctor *w, const char *name, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *copy = lp_arena_strdup(w->arena, text);
    if (copy != NULL && w->d->n_facts < MAX_FACTS)
        w->d->facts[w->d->n_facts++] = (lp_fact){name, copy, 0};
}

static void add_facts(doctor *w)
{
    const lp_device_info *i = w->info;
    const lp_gpu *gpu = lp_devices_gpu(w->devices, w->device);
    if (gpu == NULL)
        return;
    const lp_caps *caps = &gpu->caps;
    const double gib = 1024.0 * 1024.0 * 1024.0;
    add_fact(w, "kind", "%s, Vulkan %u.%u.%u", i->type, i->api_version >> 22,
             i->api_version >> 12 & 0x3ff, i->api_version & 0xfff);
    add_fact(w, "memory", "%.1f GiB%s, at most %.1f GiB in one piece",
             (double)gpu->memory_bytes / gib, gpu->uma ? " shared with the host" : "",
             (double)gpu->max_allocation_bytes / gib);
    add_fact(w, "workgroups", "of up to %u invocations, with %u KiB of shared memory",
             caps->max_workgroup_invocations, caps->max_shared_bytes / 1024);
    if (caps->subgroup_min < caps->subgroup_max)
        add_fact(w, "subgroup size", "%u to %u, usually %u", caps->subgroup_min, caps->subgroup_max,
                 caps->subgroup_size);
    else
        add_fact(w, "subgroup size", "%u", caps->subgroup_size);
    add_fact(w, "features", "%s%s%s%s%s%s", i->fp16 ? "fp16 " : "", i->storage16 ? "16-bit " : "",
             i->storage8 ? "8-bit " : "", i->int64 ? "int64 " : "", i->int_dot ? "int-dot " : "",
             *i->matrix_cores ? "matrix-cores" : "");
}

/* ---- Probes -------------------------------------------------------------------------------- */

static lp_status add_probe(doctor *w, const char *name, bool right, bool repaired, const char *text)
{
    return lp_diagnosis_add(w->ctx, w->arena, w->d,
                            (lp_diagnosis_probe){name, right, repaired, text});
}

/* Before the rows: without subgroups that can be relied on, none of their kernels is used. */
static lp_status probe_subgroups(doctor *w)
{
    bool right;
    char text[200];
    if (w->exam->device->table->caps == NULL)
        return LP_OK;
    lp_status status = lp_probe_subgroups(&w->exam->probe, w->exam->device, &right, text);
    if (status == LP_E_MEMORY)
        return status;
    if (status != LP_OK) {
        right = false;
        snprintf(text, sizeof text, "%.190s", w->ctx->message);
    }
    for (unsigned i = 0; i < lp_n_kernels && !right; i++)
        if (lp_kernels[i].needs & LP_NEED_SUBGROUP_ARITH)
            lp_kernel_set_add(&w->exam->refused, &lp_kernels[i]);
    return add_probe(w, "subgroups", right, true, text);
}

static lp_status probe_heavy(doctor *w)
{
    const lp_gpu *gpu = lp_devices_gpu(w->devices, w->device);
    double estimated, measured;
    char text[200];
    if (gpu == NULL || w->exam->device == NULL)
        return LP_OK;
    lp_status status = lp_probe_heavy(&w->exam->probe, w->exam->device,
                                      lp_exam_plan_options(w->exam), &estimated, &measured);
    if (status == LP_E_UNSUPPORTED) /* its kernel is refused, which is said elsewhere */
        return LP_OK;
    if (status != LP_OK) {
        if (status == LP_E_MEMORY)
            return status;
        snprintf(text, sizeof text, "%.190s", w->ctx->message);
        return add_probe(w, "heavy work", false, false, text);
    }
    const double longest = LP_SUBMIT_SECONDS * measured / estimated;
    snprintf(text, sizeof text,
             "estimated %.0f ms, took %.0f ms; so the longest submit takes about %.2f s%s",
             1e3 * estimated, 1e3 * measured, longest,
             gpu->caps.is_cpu ? " (no watchdog here)" : " of the watchdogs' 2 s");
    return add_probe(w, "heavy work", gpu->caps.is_cpu || longest < WATCHDOG_SECONDS, false, text);
}

/* ---- The shipped model --------------------------------------------------------------------- */

/* Free-running errors grow through the layers, and the cache rounds to halves, where a value near a
 * rounding boundary may fall to the other side. Right devices were measured at 1e-10 to 1e-9 of the
 * logits' square sum on the model that ships; this leaves room for larger ones. */
#define MODEL_NMSE 1e-6

typedef struct contest {
    const lp_model *model;
    lp_session *session[2]; /* the device, the reference */
    float *logits[2];
    uint32_t n_same, n_steps;
    lp_difference worst;
} contest;

static lp_status start(doctor *w, contest *c)
{
    static const char prompt[] = "Once upon a time a small fox lived in the forest. One day in "
                                 "spring, the fox found a little door under an old tree.";
    size_t reference = 0;
    char *json = NULL;
    lp_status status;
    const lp_quirks quirks = {.refused = w->exam->refused};
    const uint32_t n_ctx = lp_model_context(c->model) < 256 ? lp_model_context(c->model) : 256;
    lp_session_options plain = LP_SESSION_DEFAULT;
    plain.n_ctx = n_ctx;
    lp_session_options options = plain;
    LP_CHECK(lp_quirks_json(w->ctx, &quirks, quirks_device(w->info), NULL, &json));
    options.workaround = json;
    options.cache_folder = w->options->cache_folder;
    options.plant = w->options->plant;
    options.no_int8 =
        1; /* what rounds to int8 drifts too far for MODEL_NMSE; check looks at nodes */
    LP_CHECK(lp_devices_choose(w->devices, "reference", &reference, NULL));
    LP_CHECK(lp_session_create(w->devices, w->device, c->model, &options, &c->session[0]));
    LP_CHECK(lp_session_create(w->devices, reference, c->model, &plain, &c->session[1]));
    for (int i = 0; i < 2; i++) {
        LP_CHECK(lp_session_feed_text(c->session[i], prompt, sizeof prompt - 1, LP_FEED_PROMPT));
        c->logits[i] = malloc(lp_model_vocabulary(c->model) * sizeof **c->logits);
        if (c->logits[i] == NULL)
            LP_CHECK(lp_fail_memory(w->ctx, "logits"));
    }
cleanup:
    free(json);
    return status;
}

/* Both go on with the reference's likeliest token, so that every step is comparable. */
static lp_status go(doctor *w, contest *c)
{
    const uint64_t n = lp_model_vocabulary(c->model);
    const uint32_t n_steps = w->options->quick ? N_STEPS_QUICK : N_STEPS;
    while (c->n_steps < n_steps &&
           lp_session_n_tokens(c->session[1]) + 1 < lp_session_n_ctx(c->session[1])) {
        uint64_t best[2];
        for (int i = 0; i < 2; i++) {
            LP_TRY(lp_session_eval(c->session[i], c->logits[i]));
            lp_top_k(c->logits[i], n, 1, &best[i]);
        }
        const lp_difference d = lp_compare(c->logits[1], c->logits[0], NULL, n);
        if (c->n_steps == 0 || d.n_nan > c->worst.n_nan || d.nmse > c->worst.nmse)
            c->worst = d;
        c->n_steps++;
        c->n_same += best[0] == best[1];
        const int32_t token = (int32_t)best[1];
        for (int i = 0; i < 2; i++)
            LP_TRY(lp_session_feed(c->session[i], &token, 1));
    }
    return LP_OK;
}

static lp_status compare_model(doctor *w, const lp_model *model)
{
    contest c = {.model = model};
    char text[200];
    lp_status status = start(w, &c);
    if (status == LP_OK)
        status = go(w, &c);
    const bool right = status == LP_OK && c.n_same == c.n_steps && c.worst.n_nan == 0 &&
                       c.worst.n_inf == 0 && c.worst.nmse <= MODEL_NMSE;
    if (status == LP_OK)
        snprintf(text, sizeof text,
                 "%s: %u of %u tokens as on the reference, error of the logits %.1e (NMSE)%s",
                 lp_model_title(model), c.n_same, c.n_steps, c.worst.nmse,
                 right ? "" : "; lapilli check finds where");
    else
        snprintf(text, sizeof text, "%.190s", w->ctx->message);
    for (int i = 0; i < 2; i++) {
        lp_session_destroy(c.session[i]);
        free(c.logits[i]);
    }
    if (status == LP_E_MEMORY || status == LP_E_CANCELLED)
        return status;
    return add_probe(w, "shipped model", right, false, text);
}

/* ---- Remembering --------------------------------------------------------------------------- */

static lp_status remember(doctor *w, const char *path)
{
    lp_quirks quirks = {.refused = w->exam->refused};
    const lp_quirks_device device = quirks_device(w->info);
    char *json = NULL;
    if (w->options->quick) { /* which has not looked at everything that a longer one knew */
        lp_context quiet = {0};
        lp_quirks before;
        if (lp_quirks_gather(&quiet, device, NULL, w->options->cache_folder, &before) == LP_OK)
            quirks = lp_quirks_both(&quirks, &before);
    }
    LP_TRY(lp_quirks_json(w->ctx, &quirks, device, w->d->sentence, &json));
    lp_status status = lp_file_write(w->ctx, path, json, strlen(json));
    free(json);
    return status;
}

/* Writes the findings, or removes what is no longer so. */
static lp_status keep(doctor *w)
{
    /* what was planted is not the driver's fault */
    if (w->options->cache_folder == NULL || w->options->plant != NULL ||
        lp_devices_gpu(w->devices, w->device) == NULL)
        return LP_OK;
    char *path = lp_quirks_path(w->options->cache_folder, quirks_device(w->info));
    char *copy = path != NULL ? lp_arena_strdup(w->arena, path) : NULL;
    lp_status status = copy != NULL ? LP_OK : lp_fail_memory(w->ctx, "a path");
    if (status == LP_OK && w->d->n_refused > 0) {
        status = remember(w, path);
        w->d->remembered = copy;
    } else if (status == LP_OK && !w->options->quick && unlink(path) == 0) {
        w->d->forgotten = copy;
    }
    free(path);
    return status;
}

lp_status lp_doctor_forget(lp_devices *devices, size_t device, const char *cache_folder,
                           int *forgotten)
{
    lp_context *ctx = lp_devices_context(devices);
    const lp_device_info *info = lp_devices_info(devices, device);
    *forgotten = 0;
    if (info == NULL)
        return lp_fail(ctx, LP_E_ARG, "device %zu of %zu", device, lp_devices_count(devices));
    char *path = lp_quirks_path(cache_folder, quirks_device(info));
    if (path == NULL)
        return lp_fail_memory(ctx, "a path");
    lp_status status = LP_OK;
    if (unlink(path) == 0)
        *forgotten = 1;
    else if (access(path, F_OK) == 0)
        status = lp_fail(ctx, LP_E_IO, "%s: it cannot be removed", path);
    free(path);
    return status;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static lp_status open_device(void *user, lp_backend **backend)
{
    const doctor *w = user;
    return lp_devices_open(w->devices, w->device, w->options->cache_folder, backend);
}

static lp_status examine(doctor *w, const lp_model *model, lp_alteration alteration)
{
    const lp_exam_options options = {.open = open_device,
                                     .open_user = w,
                                     .quick = w->options->quick != 0,
                                     .ops = alteration.ops,
                                     .alter = alteration.alter,
                                     .alter_user = alteration.user,
                                     .progress = w->options->progress,
                                     .progress_user = w->options->progress_user};
    add_facts(w);
    LP_TRY(lp_exam_create(w->ctx, &options, &w->exam));
    LP_TRY(probe_subgroups(w));
    LP_TRY(lp_exam_run(w->exam));
    LP_TRY(lp_diagnosis_rows(w->ctx, w->arena, w->exam, w->d));
    if (w->exam->stopped)
        LP_TRY(add_probe(w, "driver", false, false,
                         "it lost the device again and again; the rest was left out"));
    else
        LP_TRY(probe_heavy(w));
    if (model != NULL && !w->exam->stopped)
        LP_TRY(compare_model(w, model));
    LP_TRY(lp_diagnosis_conclude(w->ctx, w->arena, w->d));
    return keep(w);
}

lp_status lp_doctor_altered(lp_devices *devices, size_t device, const lp_model *model,
                            const lp_doctor_options *options, lp_alteration alteration,
                            lp_diagnosis **result)
{
    static const lp_doctor_options defaults;
    lp_context *ctx = lp_devices_context(devices);
    const lp_device_info *info = lp_devices_info(devices, device);
    lp_fault *fault = NULL;
    lp_status status = LP_OK;
    const double begin = seconds();
    *result = NULL;
    if (info == NULL)
        return lp_fail(ctx, LP_E_ARG, "device %zu of %zu", device, lp_devices_count(devices));
    diagnosis *whole = calloc(1, sizeof *whole);
    if (whole == NULL)
        return lp_fail_memory(ctx, "a diagnosis");
    lp_diagnosis *d = &whole->public;
    doctor w = {.ctx = ctx,
                .devices = devices,
                .device = device,
                .info = info,
                .options = options != NULL ? options : &defaults,
                .d = d,
                .arena = &whole->arena};
    *d = (lp_diagnosis){.version = lp_version(),
                        .remembered = "",
                        .forgotten = "",
                        .id = lp_arena_strdup(w.arena, info->id),
                        .device = lp_arena_strdup(w.arena, info->name),
                        .driver = lp_arena_strdup(w.arena, info->driver),
                        .facts = lp_arena_array(w.arena, MAX_FACTS, sizeof *d->facts)};
    if (d->id == NULL || d->device == NULL || d->driver == NULL || d->facts == NULL)
        LP_CHECK(lp_fail_memory(ctx, "a diagnosis"));
    if (w.options->plant != NULL) {
        LP_CHECK(lp_fault_create(ctx, w.options->plant, &fault));
        alteration = (lp_alteration){.alter = lp_fault_alter, .user = fault};
    }
    if (*info->unusable != '\0') {
        d->health = LP_HEALTH_UNUSABLE;
        d->sentence = lp_arena_printf(w.arena, "it cannot be used: %s", info->unusable);
    } else if (strcmp(info->id, "reference") == 0) {
        d->health = LP_HEALTH_JUDGE;
        d->sentence = lp_arena_strdup(w.arena, "what all others are compared with");
    } else {
        LP_CHECK(examine(&w, model, alteration));
    }
    if (d->sentence == NULL)
        LP_CHECK(lp_fail_memory(ctx, "a diagnosis"));
    d->seconds = seconds() - begin;
    *result = d;
cleanup:
    lp_exam_destroy(w.exam);
    lp_fault_destroy(fault);
    if (status != LP_OK)
        lp_diagnosis_destroy(d);
    return status;
}

lp_status lp_doctor(lp_devices *devices, size_t device, const lp_model *model,
                    const lp_doctor_options *options, lp_diagnosis **result)
{
    return lp_doctor_altered(devices, device, model, options, (lp_alteration){0}, result);
}

void lp_diagnosis_destroy(lp_diagnosis *d)
{
    diagnosis *whole = (diagnosis *)d;
    if (whole == NULL)
        return;
    lp_arena arena = whole->arena;
    lp_arena_destroy(&arena);
    free(whole);
}

const char *lp_health_text(lp_health health)
{
    static const char *const words[] = {
#define X(code, word, text) word,
        LP_HEALTHS(X)
#undef X
    };
    return (unsigned)health < LP_N_HEALTHS ? words[health] : "?";
}
