/* Compute pipelines: one layout for all (128 bytes of push constants, no descriptors), made on first
 * use, looked up by kernel and specialization constants, and kept on disk in Vulkan's own form.
 *
 * The file: a header of ours {magic, bytes, checksum}, then the driver's data. Vulkan requires
 * drivers to check their own header, but a truncated or flipped file is better not shown to them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    }
    VkResult result = vb->vk.vkCreatePipelineCache(vb->device, &info, NULL, &vb->cache);
    lp_file_close(&file);
    LP_VK(ctx, result, "creating the pipeline cache");
    return LP_OK;
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
        if (lp_file_write(&quiet, vb->cache_path, file, sizeof header + bytes) != LP_OK)
            lp_log(vb->base.ctx, LP_LOG_DEBUG, "pipeline cache not kept: %s", quiet.message);
    }
    free(file);
}

void lp_vk_pipelines_end(vulkan_backend *vb)
{
    if (vb->cache != VK_NULL_HANDLE && vb->cache_path != NULL && vb->cache_changed)
        save_cache(vb);
    free(vb->cache_path);
    for (uint32_t i = 0; i < vb->n_pipelines; i++)
        vb->vk.vkDestroyPipeline(vb->device, vb->pipelines[i].pipeline, NULL);
    free(vb->pipelines);
    if (vb->cache != VK_NULL_HANDLE)
        vb->vk.vkDestroyPipelineCache(vb->device, vb->cache, NULL);
    if (vb->layout != VK_NULL_HANDLE)
        vb->vk.vkDestroyPipelineLayout(vb->device, vb->layout, NULL);
}

static lp_status create_pipeline(vulkan_backend *vb, const lp_dispatch *d, VkPipeline *pipeline)
{
    const lp_caps *caps = &vb->gpu->facts.caps;
    lp_log(vb->base.ctx, LP_LOG_DEBUG, "compiling %s", d->kernel->name);
    VkShaderModule module;
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = d->kernel->spirv_bytes,
                                     .pCode = d->kernel->spirv};
    LP_VK(vb->base.ctx, vb->vk.vkCreateShaderModule(vb->device, &code, NULL, &module),
          d->kernel->name);
    VkSpecializationMapEntry entries[LP_MAX_SPEC];
    for (uint32_t i = 0; i < d->n_spec; i++)
        entries[i] = (VkSpecializationMapEntry){.constantID = i, .offset = 4 * i, .size = 4};
    VkSpecializationInfo spec = {.mapEntryCount = d->n_spec,
                                 .pMapEntries = entries,
                                 .dataSize = 4 * d->n_spec,
                                 .pData = d->spec};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = caps->subgroup_size};
    bool subgroups = (d->kernel->needs & LP_NEED_SUBGROUP_ARITH) != 0;
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .pNext = subgroups ? &size : NULL,
                  .flags = subgroups
                               ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT
                               : 0u,
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

lp_status lp_vk_pipeline(vulkan_backend *vb, const lp_dispatch *d, VkPipeline *pipeline)
{
    for (uint32_t i = 0; i < vb->n_pipelines; i++) {
        const pipeline_entry *e = &vb->pipelines[i];
        if (e->kernel == d->kernel && e->n_spec == d->n_spec &&
            memcmp(e->spec, d->spec, 4 * d->n_spec) == 0) {
            *pipeline = e->pipeline;
            return LP_OK;
        }
    }
    if (vb->n_pipelines == vb->pipeline_capacity) {
        uint32_t capacity = vb->pipeline_capacity ? 2 * vb->pipeline_capacity : 64;
        pipeline_entry *more = realloc(vb->pipelines, capacity * sizeof *more);
        if (more == NULL)
            return lp_fail_memory(vb->base.ctx, "pipelines");
        vb->pipelines = more;
        vb->pipeline_capacity = capacity;
    }
    LP_TRY(create_pipeline(vb, d, pipeline));
    pipeline_entry *e = &vb->pipelines[vb->n_pipelines++];
    *e = (pipeline_entry){.kernel = d->kernel, .n_spec = d->n_spec, .pipeline = *pipeline};
    memcpy(e->spec, d->spec, sizeof e->spec);
    return LP_OK;
}
