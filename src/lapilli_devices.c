/* Devices for the public API: Vulkan's, then the two faces of the CPU executor; and the choice. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cpu/cpu_backend.h"
#include "lapilli_private.h"
#include "vulkan/vulkan_backend.h"

typedef struct device {
    lp_device_info info;
    char id[24];
    lp_gpu_type type; /* of Vulkan devices */
    uint32_t gpu;     /* index in lp_vulkan, or UINT32_MAX */
} device;

struct lp_devices {
    lp_context *ctx;
    lp_vulkan *vulkan; /* NULL: no Vulkan */
    char problem[1024];
    device *list;
    size_t n;
};

static const char *type_name(lp_gpu_type type)
{
    static const char *const names[] = {
        [LP_GPU_DISCRETE] = "discrete", [LP_GPU_INTEGRATED] = "integrated",
        [LP_GPU_VIRTUAL] = "virtual",   [LP_GPU_CPU] = "cpu",
        [LP_GPU_OTHER] = "other",
    };
    return names[type];
}

static void describe_gpu(device *d, const lp_gpu *gpu, uint32_t index)
{
    snprintf(d->id, sizeof d->id, "vulkan:%u", index);
    d->gpu = index;
    d->type = gpu->type;
    d->info = (lp_device_info){
        .id = d->id,
        .name = gpu->name,
        .driver = gpu->driver,
        .type = type_name(gpu->type),
        .unusable = gpu->unusable,
        .uma = gpu->uma,
        .fp16 = gpu->fp16,
        .bf16 = gpu->bf16,
        .storage16 = gpu->storage16,
        .storage8 = gpu->storage8,
        .int64 = gpu->int64,
        .int_dot = gpu->int_dot,
        .matrix_cores = gpu->coopmat2 ? "KHR, NV2" : gpu->coopmat ? "KHR" : "",
        .subgroup_size = gpu->caps.subgroup_size,
        .subgroup_min = gpu->caps.subgroup_min,
        .subgroup_max = gpu->caps.subgroup_max,
        .shared_bytes = gpu->caps.max_shared_bytes,
        .memory_bytes = gpu->memory_bytes,
        .api_version = gpu->api_version,
    };
}

static void describe_host(device *d, const char *id, const char *name)
{
    snprintf(d->id, sizeof d->id, "%s", id);
    d->gpu = UINT32_MAX;
    d->info = (lp_device_info){.id = d->id,
                               .name = name,
                               .driver = "",
                               .type = "host",
                               .unusable = "",
                               .uma = 1,
                               .matrix_cores = ""};
}

/* `vulkan`: its devices, too; otherwise nothing of it is touched. */
static lp_status create(lp_context *ctx, bool vulkan, bool validation, lp_devices **result)
{
    *result = NULL;
    lp_devices *devices = calloc(1, sizeof *devices);
    if (devices == NULL)
        return lp_fail_memory(ctx, "the list of devices");
    devices->ctx = ctx;
    lp_status status = vulkan ? lp_vulkan_create(ctx, validation, &devices->vulkan) : LP_OK;
    if (status != LP_OK && (status == LP_E_MEMORY || validation)) {
        lp_devices_destroy(devices);
        return status;
    }
    if (status != LP_OK) {
        devices->vulkan = NULL;
        snprintf(devices->problem, sizeof devices->problem, "%s", ctx->message);
    }
    uint32_t n_gpus = devices->vulkan != NULL ? lp_vulkan_count(devices->vulkan) : 0;
    devices->list = calloc((size_t)n_gpus + 2, sizeof *devices->list);
    if (devices->list == NULL) {
        lp_devices_destroy(devices);
        return lp_fail_memory(ctx, "the list of devices");
    }
    for (uint32_t i = 0; i < n_gpus; i++)
        describe_gpu(&devices->list[i], lp_vulkan_gpu(devices->vulkan, i), i);
    describe_host(&devices->list[n_gpus], "cpu", "CPU");
    describe_host(&devices->list[n_gpus + 1], "reference", "CPU reference");
    devices->n = (size_t)n_gpus + 2;
    *result = devices;
    return LP_OK;
}

lp_status lp_devices_create(lp_context *ctx, lp_devices **devices)
{
    return create(ctx, true, false, devices);
}

lp_status lp_devices_create_validated(lp_context *ctx, lp_devices **devices)
{
    return create(ctx, true, true, devices);
}

lp_status lp_devices_create_host(lp_context *ctx, lp_devices **devices)
{
    return create(ctx, false, false, devices);
}

void lp_devices_destroy(lp_devices *devices)
{
    if (devices == NULL)
        return;
    lp_vulkan_destroy(devices->vulkan);
    free(devices->list);
    free(devices);
}

size_t lp_devices_count(const lp_devices *devices)
{
    return devices->n;
}

const lp_device_info *lp_devices_info(const lp_devices *devices, size_t index)
{
    return index < devices->n ? &devices->list[index].info : NULL;
}

const char *lp_devices_vulkan_problem(const lp_devices *devices)
{
    return devices->problem;
}

uint32_t lp_devices_validation_errors(const lp_devices *devices)
{
    return devices->vulkan != NULL ? lp_vulkan_validation_errors(devices->vulkan) : 0;
}

/* Higher is better; negative: never chosen by itself. */
static int rank(const device *d)
{
    if (d->info.unusable[0] != '\0' || strcmp(d->id, "reference") == 0)
        return -1;
    if (d->gpu == UINT32_MAX)
        return 0;
    static const int ranks[] = {[LP_GPU_DISCRETE] = 5, [LP_GPU_INTEGRATED] = 4,
                                [LP_GPU_VIRTUAL] = 3,  [LP_GPU_OTHER] = 2,
                                [LP_GPU_CPU] = 1};
    return ranks[d->type];
}

static const char *rank_reason(const device *best)
{
    static const char *const reasons[] = {
        "no usable Vulkan device",       "a Vulkan driver on the CPU: there is no GPU",
        "the only kind of device there", "a virtual GPU: no other GPU is usable",
        "an integrated GPU: no discrete one is usable", "a discrete GPU"};
    const int r = rank(best);
    return reasons[r > 0 ? r : 0];
}

static bool contains_ignoring_case(const char *text, const char *part)
{
    size_t n = strlen(part);
    for (; *text != '\0'; text++) {
        size_t i = 0;
        while (i < n && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

/* Best ranked device, of Vulkan only if asked; n if there is none. */
static size_t best(const lp_devices *devices, bool vulkan_only)
{
    size_t found = devices->n;
    for (size_t i = 0; i < devices->n; i++) {
        const device *d = &devices->list[i];
        if (rank(d) >= 0 && !(vulkan_only && d->gpu == UINT32_MAX) &&
            (found == devices->n || rank(d) > rank(&devices->list[found])))
            found = i;
    }
    return found;
}

static lp_status none_such(lp_devices *devices, const char *selector)
{
    lp_text text = {0};
    for (size_t i = 0; i < devices->n; i++)
        lp_text_printf(&text, "%s%s (%s)", i ? ", " : "", devices->list[i].id,
                       devices->list[i].info.name);
    char *list = lp_text_take(&text);
    lp_status status =
        lp_fail(devices->ctx, LP_E_MISSING, "no device \"%s\"; there are: %s%s%s", selector,
                list != NULL ? list : "?", devices->problem[0] ? "; " : "", devices->problem);
    free(list);
    return status;
}

lp_status lp_devices_choose(lp_devices *devices, const char *selector, size_t *index,
                            const char **reason)
{
    size_t found = devices->n;
    const char *why = "asked for";
    if (selector == NULL || strcmp(selector, "vulkan") == 0) {
        found = best(devices, selector != NULL);
        if (found < devices->n)
            why = rank_reason(&devices->list[found]);
    } else {
        for (size_t i = 0; i < devices->n && found == devices->n; i++)
            if (strcmp(devices->list[i].id, selector) == 0)
                found = i;
        for (size_t i = 0; i < devices->n && found == devices->n && selector[0] != '\0'; i++)
            if (contains_ignoring_case(devices->list[i].info.name, selector))
                found = i;
    }
    if (found == devices->n)
        return none_such(devices, selector);
    const device *d = &devices->list[found];
    if (d->info.unusable[0] != '\0')
        return lp_fail(devices->ctx, LP_E_UNSUPPORTED, "%s (%s) cannot be used: %s", d->id,
                       d->info.name, d->info.unusable);
    *index = found;
    if (reason != NULL)
        *reason = why;
    return LP_OK;
}

lp_context *lp_devices_context(const lp_devices *devices)
{
    return devices->ctx;
}

const lp_gpu *lp_devices_gpu(const lp_devices *devices, size_t index)
{
    const uint32_t gpu = devices->list[index].gpu;
    return gpu != UINT32_MAX ? lp_vulkan_gpu(devices->vulkan, gpu) : NULL;
}

void lp_device_limits(const lp_devices *devices, size_t index, uint64_t *memory,
                      uint64_t *allocation)
{
    const lp_gpu *gpu = lp_devices_gpu(devices, index);
    *allocation = gpu != NULL ? gpu->max_allocation_bytes : 0;
    *memory = gpu != NULL ? gpu->memory_bytes
                          : (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

lp_status lp_devices_open(lp_devices *devices, size_t index, const char *cache_folder,
                          lp_backend **backend)
{
    if (index >= devices->n)
        return lp_fail(devices->ctx, LP_E_ARG, "device %zu of %zu", index, devices->n);
    const device *d = &devices->list[index];
    if (d->gpu == UINT32_MAX)
        return lp_cpu_backend_create(devices->ctx, strcmp(d->id, "cpu") == 0, backend);
    lp_vulkan_options options = {.cache_folder = cache_folder};
    return lp_vulkan_backend_create(devices->ctx, devices->vulkan, d->gpu, options, backend);
}
