/* Compute pipelines: one layout for all (128 bytes of push constants, no descriptors), made on
 * first use, looked up by kernel and specialization constants, and kept on disk in Vulkan's own
 * form.
 *
 * The file: a header of ours {magic, bytes, checksum}, then the driver's data. Vulkan requires
 * drivers to check their own header, but a truncated or flipped file is better not shown to them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "vulkan/vulkan_internal.h"

typedef struct cache_header {
    char magic[8];
    uint64_t bytes, checksum;
} cache_header;

static const char magic[8] = "lapilli1";

/* FNV-1a. */
static uint64_t checksum(const uint8_t *data, uint64_t bytes)
{
    uint64_t hash = 14695981039346656037u;
    for (uint64_t i = 0; i < bytes; i++)
        hash = (hash ^ data[i]) * 1099511628211u;
    return hash;
}

/* One file per device and driver build. */
static char *cache_path(const gpu_record *gpu, const char *folder)
{
    char name[96];
    int n = snprintf(name, sizeof name, "pipelines-%04x-%04x-", gpu->facts.vendor_id & 0xffff,
                     gpu->facts.device_id & 0xffff);
    for (int i = 0; i < 16; i++)
        n += snprintf(name + n, sizeof name - (size_t)n, "%02x", gpu->facts.driver_uuid[i]);
    snprintf(name + n, sizeof name - (size_t)n, "-%08x.bin", gpu->facts.driver_version);
    return lp_path_join(folder, name);
}

/* The driver's data in a file, or NULL: no file, or not one that we wrote. */
static const uint8_t *cache_data(const lp_file *file, uint64_t *bytes)
{
    cache_header header;
    if (file->bytes < sizeof header)
        return NULL;
    memcpy(&header, file->data, sizeof header);
    *bytes = file->bytes - sizeof header;
    const uint8_t *data = file->data + sizeof header;
    bool good = memcmp(header.magic, magic, sizeof magic) == 0 && header.bytes == *bytes &&
                header.checksum == checksum(data, *bytes);
    return good ? data : NULL;
}

lp_status lp_vk_pipelines_start(vulkan_backend *vb, const char *cache_folder)
{
    lp_context *ctx = vb->base.ctx;
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = LP_MAX_PUSH};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .pushConstantRangeCount = 1,
                                         .pPushConstantRanges = &push};
    LP_VK(ctx, vb->vk.vkCreatePipelineLayout(vb->device, &layout, NULL, &vb->layout),
          "creating the pipeline layout");
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    lp_file file = {0};
    if (cache_folder != NULL) {
        vb->cache_path = cache_path(vb->gpu, cache_folder);
        if (vb->cache_path == NULL)
            return lp_fail_memory(ctx, "the pipeline cache");
        lp_context quiet = {0}; /* a missing or unreadable cache is no failure */
        uint64_t bytes = 0;
        if (lp_file_open(&quiet, vb->cache_path, &file) == LP_OK &&
            (info.pInitialData = cache_data(&file, &bytes)) != NULL)
            info.initialDataSize = bytes;
        if (info.initialDataSize > 0)
            vb->cache_checksum = checksum(info.pInitialData, bytes);
    }
    VkResult result = vb->vk.vkCreatePipelineCache(vb->device, &info, NULL, &vb->cache);
    lp_file_close(&file);
    LP_VK(ctx, result, "creating the pipeline cache");
    return LP_OK;
}

/* Creates a folder and those above it; whether that worked shows when the file is written. */
static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0777);
        *slash = '/';
    }
}

static void save_cache(vulkan_backend *vb)
{
    size_t bytes = 0;
    if (vb->vk.vkGetPipelineCacheData(vb->device, vb->cache, &bytes, NULL) != VK_SUCCESS)
        return;
    uint8_t *file = malloc(sizeof(cache_header) + bytes);
    if (file == NULL)
        return;
    uint8_t *data = file + sizeof(cache_header);
    if (vb->vk.vkGetPipelineCacheData(vb->device, vb->cache, &bytes, data) == VK_SUCCESS) {
        cache_header header = {.bytes = bytes, .checksum = checksum(data, bytes)};
        memcpy(header.magic, magic, sizeof magic);
        memcpy(file, &header, sizeof header);
        lp_context quiet = {0};
        make_folders(vb->cache_path);
        if (header.checksum != vb->cache_checksum &&
            lp_file_write(&quiet, vb->cache_path, file, sizeof header + bytes) != LP_OK)
            lp_log(vb->base.ctx, LP_LOG_DEBUG, "pipeline cache not kept: %s", quiet.message);
    }
    free(file);
}

void lp_vk_pipelines_end(vulkan_backend *vb)
{
    if (vb->cache != VK_NULL_HANDLE && vb->cache_path != NULL && vb->cache_changed)
        save_cache(vb);
    free(vb->cache_path);
    for (uint32_t i = 0; i < vb->pipeline_capacity; i++)
        if (vb->pipelines[i].kernel != NULL)
            vb->vk.vkDestroyPipeline(vb->device, vb->pipelines[i].pipeline, NULL);
    free(vb->pipelines);
    if (vb->cache != VK_NULL_HANDLE)
        vb->vk.vkDestroyPipelineCache(vb->device, vb->cache, NULL);
    if (vb->layout != VK_NULL_HANDLE)
        vb->vk.vkDestroyPipelineLayout(vb->device, vb->layout, NULL);
}

/* The size that kernels of subgroups get; they are planned for the device's usual one. Vulkan wants
 * the workgroup to consist of whole subgroups, and not of too many. */
static lp_status subgroup_size(const vulkan_backend *vb, const lp_dispatch *d, uint32_t *size)
{
    *size = vb->gpu->facts.caps.subgroup_size;
    if (!vb->gpu->size_control || d->spec[0] % *size != 0 ||
        d->spec[0] / *size > vb->gpu->max_workgroup_subgroups)
        return lp_fail(vb->base.ctx, LP_E_UNSUPPORTED,
                       "%s: a workgroup of %u is not made of subgroups of %u on %s",
                       d->kernel->name, d->spec[0], *size, vb->gpu->facts.name);
    return LP_OK;
}

static lp_status create_module(const vulkan_backend *vb, const lp_kernel *kernel,
                               VkShaderModule *module)
{
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = kernel->spirv_bytes,
                                     .pCode = kernel->spirv};
    uint32_t *nearest = NULL;
    if (vb->gpu->round_nearest) {
        nearest = lp_spirv_round_nearest(kernel->spirv, kernel->spirv_bytes, &code.codeSize);
        if (nearest == NULL)
            return lp_fail_memory(vb->base.ctx, kernel->name);
        code.pCode = nearest;
    }
    VkResult result = vb->vk.vkCreateShaderModule(vb->device, &code, NULL, module);
    free(nearest);
    LP_VK(vb->base.ctx, result, kernel->name);
    return LP_OK;
}

static lp_status create_pipeline(vulkan_backend *vb, const lp_dispatch *d, VkPipeline *pipeline)
{
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO};
    bool subgroups = (d->kernel->needs & LP_NEED_SUBGROUP_ARITH) != 0;
    if (subgroups)
        LP_TRY(subgroup_size(vb, d, &size.requiredSubgroupSize));
    lp_log(vb->base.ctx, LP_LOG_DEBUG, "compiling %s", d->kernel->name);
    VkShaderModule module;
    LP_TRY(create_module(vb, d->kernel, &module));
    VkSpecializationMapEntry entries[LP_MAX_SPEC];
    for (uint32_t i = 0; i < d->n_spec; i++)
        entries[i] = (VkSpecializationMapEntry){.constantID = i, .offset = 4 * i, .size = 4};
    VkSpecializationInfo spec = {.mapEntryCount = d->n_spec,
                                 .pMapEntries = entries,
                                 .dataSize = 4 * d->n_spec,
                                 .pData = d->spec};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = vb->compiler ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0u,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .pNext = subgroups && vb->gpu->size_request ? &size : NULL,
                  .flags =
                      subgroups ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0u,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &spec},
        .layout = vb->layout};
    VkResult result =
        vb->vk.vkCreateComputePipelines(vb->device, vb->cache, 1, &info, NULL, pipeline);
    vb->vk.vkDestroyShaderModule(vb->device, module, NULL);
    LP_VK(vb->base.ctx, result, d->kernel->name);
    vb->cache_changed = true;
    return LP_OK;
}

/* Where a kernel with these constants is, or the free entry where it belongs. */
static pipeline_entry *find_entry(pipeline_entry *table, uint32_t capacity, const lp_kernel *kernel,
                                  const uint32_t *spec, uint32_t n_spec)
{
    uint64_t hash = checksum((const uint8_t *)spec, 4 * n_spec) ^
                    checksum((const uint8_t *)&kernel, sizeof kernel);
    uint32_t i = (uint32_t)hash & (capacity - 1);
    while (table[i].kernel != NULL && !(table[i].kernel == kernel && table[i].n_spec == n_spec &&
                                        memcmp(table[i].spec, spec, 4 * n_spec) == 0))
        i = (i + 1) & (capacity - 1);
    return &table[i];
}

static lp_status grow_table(vulkan_backend *vb)
{
    uint32_t capacity = vb->pipeline_capacity ? 2 * vb->pipeline_capacity : 64;
    pipeline_entry *more = calloc(capacity, sizeof *more);
    if (more == NULL)
        return lp_fail_memory(vb->base.ctx, "pipelines");
    for (uint32_t i = 0; i < vb->pipeline_capacity; i++) {
        const pipeline_entry *e = &vb->pipelines[i];
        if (e->kernel != NULL)
            *find_entry(more, capacity, e->kernel, e->spec, e->n_spec) = *e;
    }
    free(vb->pipelines);
    vb->pipelines = more;
    vb->pipeline_capacity = capacity;
    return LP_OK;
}

lp_status lp_vk_pipeline(vulkan_backend *vb, const lp_dispatch *d, VkPipeline *pipeline)
{
    if (2 * vb->n_pipelines >= vb->pipeline_capacity)
        LP_TRY(grow_table(vb));
    pipeline_entry *e =
        find_entry(vb->pipelines, vb->pipeline_capacity, d->kernel, d->spec, d->n_spec);
    if (e->kernel == NULL) {
        LP_TRY(create_pipeline(vb, d, &e->pipeline));
        e->kernel = d->kernel;
        e->n_spec = d->n_spec;
        memcpy(e->spec, d->spec, sizeof e->spec);
        vb->n_pipelines++;
    }
    *pipeline = e->pipeline;
    return LP_OK;
}
