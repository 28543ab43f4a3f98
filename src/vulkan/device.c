/* One logical device with one queue: creation, the timeline that orders everything, and the backend
 * interface. */
#include <stdlib.h>
#include <string.h>

#include "vulkan/vulkan_internal.h"

static void backend_destroy(lp_backend *backend)
{
    vulkan_backend *vb = (vulkan_backend *)backend;
    if (vb == NULL)
        return;
    if (vb->device != VK_NULL_HANDLE) {
        vb->vk.vkDeviceWaitIdle(vb->device);
        lp_vk_pipelines_end(vb);
        for (uint32_t i = 0; i < vb->n_buffers; i++)
            lp_vk_buffer_destroy(vb, &vb->buffers[i]);
        lp_vk_buffer_destroy(vb, &vb->arena);
        for (uint32_t i = 0; i < STAGING_SLOTS; i++)
            lp_vk_buffer_destroy(vb, &vb->staging[i]);
        if (vb->pool != VK_NULL_HANDLE)
            vb->vk.vkDestroyCommandPool(vb->device, vb->pool, NULL);
        if (vb->timeline != VK_NULL_HANDLE)
            vb->vk.vkDestroySemaphore(vb->device, vb->timeline, NULL);
        vb->vk.vkDestroyDevice(vb->device, NULL);
    }
    free(vb->buffers);
    free(vb->places);
    free(vb);
}

/* Enables what caps.has promises to kernels, and nothing else. */
static lp_status create_device(vulkan_backend *vb)
{
    const gpu_record *gpu = vb->gpu;
    uint32_t has = gpu->facts.caps.has;
    bool v13 = gpu->facts.api_version >= VK_API_VERSION_1_3;
    const char *extensions[6];
    uint32_t n = 0;
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = gpu->queue_family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    void *next = NULL;
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV coopmat2 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV,
        .cooperativeMatrixWorkgroupScope = VK_TRUE};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
        .cooperativeMatrix = VK_TRUE};
    VkPhysicalDeviceShaderIntegerDotProductFeatures int_dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
        .shaderIntegerDotProduct = VK_TRUE};
    VkPhysicalDeviceSubgroupSizeControlFeatures size_control = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
        .subgroupSizeControl = VK_TRUE,
        .computeFullSubgroups = VK_TRUE};
    if (has & LP_NEED_COOPMAT2) {
        extensions[n++] = VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME;
        next = &coopmat2;
    }
    if (has & LP_NEED_COOPMAT) {
        extensions[n++] = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
        coopmat.pNext = next;
        next = &coopmat;
    }
    if (has & LP_NEED_INT8DOT) {
        if (!v13)
            extensions[n++] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
        int_dot.pNext = next;
        next = &int_dot;
    }
    if (gpu->size_control) {
        if (!v13)
            extensions[n++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
        size_control.pNext = next;
        next = &size_control;
    }
    if (lp_has_extension(gpu->physical, "VK_KHR_portability_subset"))
        extensions[n++] = "VK_KHR_portability_subset";
    VkPhysicalDeviceVulkan12Features v12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .pNext = next,
        .bufferDeviceAddress = VK_TRUE,
        .timelineSemaphore = VK_TRUE,
        .shaderFloat16 = (has & LP_NEED_FP16) != 0,
        .storageBuffer8BitAccess = (has & LP_NEED_STORAGE8) != 0,
        .shaderInt8 = (has & LP_NEED_STORAGE8) != 0};
    VkPhysicalDeviceVulkan11Features v11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
        .pNext = &v12,
        .storageBuffer16BitAccess = (has & LP_NEED_STORAGE16) != 0};
    VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
        .pNext = &v11,
        .features.shaderInt64 = (has & LP_NEED_INT64) != 0};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = &features,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = n,
                               .ppEnabledExtensionNames = extensions};
    LP_VK(vb->base.ctx, vkCreateDevice(gpu->physical, &info, NULL, &vb->device),
          gpu->facts.name);
    volkLoadDeviceTable(&vb->vk, vb->device);
    vb->vk.vkGetDeviceQueue(vb->device, gpu->queue_family, 0, &vb->queue);
    return LP_OK;
}

static lp_status create_queue_objects(vulkan_backend *vb)
{
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = vb->gpu->queue_family};
    LP_VK(vb->base.ctx, vb->vk.vkCreateCommandPool(vb->device, &pool, NULL, &vb->pool),
          "creating a command pool");
    VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                      .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                                       .pNext = &type};
    LP_VK(vb->base.ctx, vb->vk.vkCreateSemaphore(vb->device, &semaphore, NULL, &vb->timeline),
          "creating a timeline semaphore");
    VkCommandBufferAllocateInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = vb->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = STAGING_SLOTS};
    LP_VK(vb->base.ctx,
          vb->vk.vkAllocateCommandBuffers(vb->device, &commands, vb->staging_commands),
          "allocating command buffers");
    return LP_OK;
}

lp_status lp_vk_submit(vulkan_backend *vb, const VkCommandBuffer *commands, uint32_t n,
                       uint64_t *ticket)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t value = vb->ticket + 1;
        bool last = i + 1 == n;
        VkTimelineSemaphoreSubmitInfo timeline = {
            .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
            .signalSemaphoreValueCount = last,
            .pSignalSemaphoreValues = &value};
        VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                               .pNext = &timeline,
                               .commandBufferCount = 1,
                               .pCommandBuffers = &commands[i],
                               .signalSemaphoreCount = last,
                               .pSignalSemaphores = &vb->timeline};
        LP_VK(vb->base.ctx, vb->vk.vkQueueSubmit(vb->queue, 1, &submit, VK_NULL_HANDLE),
              "submitting work");
    }
    *ticket = ++vb->ticket;
    return LP_OK;
}

lp_status lp_vk_wait(vulkan_backend *vb, uint64_t ticket)
{
    VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                .semaphoreCount = 1,
                                .pSemaphores = &vb->timeline,
                                .pValues = &ticket};
    LP_VK(vb->base.ctx, vb->vk.vkWaitSemaphores(vb->device, &info, UINT64_MAX),
          "waiting for the device");
    return LP_OK;
}

static lp_status backend_wait(lp_backend *backend, uint64_t ticket)
{
    return lp_vk_wait((vulkan_backend *)backend, ticket);
}

/* A range of a plan's buffer as a range of a real one. */
static lp_status find_range(vulkan_backend *vb, uint32_t buffer, uint64_t offset, uint64_t bytes,
                            const gpu_buffer **at, uint64_t *start)
{
    uint64_t size = 0;
    if (buffer == LP_BUFFER_ARENA) {
        *at = &vb->arena;
        *start = offset;
        size = vb->arena.bytes;
    } else if (vb->places != NULL && buffer - 1 < vb->store->n_slots) {
        const gpu_place *place = &vb->places[buffer - 1];
        *at = &vb->buffers[place->buffer];
        *start = place->offset + offset;
        size = lp_slot_device_bytes(&vb->store->slots[buffer - 1]);
    }
    if (offset > size || bytes > size - offset)
        return lp_fail(vb->base.ctx, LP_E_ARG, "buffer %u has no %llu bytes at %llu", buffer,
                       (unsigned long long)bytes, (unsigned long long)offset);
    return LP_OK;
}

lp_status lp_vulkan_raw_read(lp_backend *backend, uint32_t buffer, uint64_t offset, void *to,
                             uint64_t bytes)
{
    vulkan_backend *vb = (vulkan_backend *)backend;
    const gpu_buffer *at = NULL;
    uint64_t start = 0;
    LP_TRY(find_range(vb, buffer, offset, bytes, &at, &start));
    return lp_vk_read(vb, at, start, to, bytes);
}

lp_status lp_vulkan_raw_write(lp_backend *backend, uint32_t buffer, uint64_t offset,
                              const void *from, uint64_t bytes)
{
    vulkan_backend *vb = (vulkan_backend *)backend;
    const gpu_buffer *at = NULL;
    uint64_t start = 0;
    LP_TRY(find_range(vb, buffer, offset, bytes, &at, &start));
    return lp_vk_write(vb, at, start, from, bytes);
}

static lp_status slot_read(lp_backend *backend, uint32_t slot, uint64_t offset, void *to,
                           uint64_t bytes)
{
    return lp_vulkan_raw_read(backend, LP_BUFFER_SLOT(slot), offset, to, bytes);
}

static lp_status slot_write(lp_backend *backend, uint32_t slot, uint64_t offset, const void *from,
                            uint64_t bytes)
{
    return lp_vulkan_raw_write(backend, LP_BUFFER_SLOT(slot), offset, from, bytes);
}

static void memory(const lp_backend *backend, uint64_t bytes[4])
{
    memcpy(bytes, ((const vulkan_backend *)backend)->bytes, 4 * sizeof *bytes);
}

const lp_caps *lp_vulkan_backend_caps(const lp_backend *backend)
{
    return &((const vulkan_backend *)backend)->gpu->facts.caps;
}

static const lp_backend_table table = {
    .destroy = backend_destroy,
    .load = lp_vk_load,
    .program_create = lp_vk_program_create,
    .program_destroy = lp_vk_program_destroy,
    .submit = lp_vk_program_submit,
    .wait = backend_wait,
    .slot_read = slot_read,
    .slot_write = slot_write,
    .tensor_read = lp_vk_tensor_read,
    .tensor_write = lp_vk_tensor_write,
    .memory = memory,
};

lp_status lp_vulkan_backend_create(lp_context *ctx, lp_vulkan *vulkan, uint32_t index,
                                   lp_vulkan_options options, lp_backend **result)
{
    lp_status status = LP_OK;
    *result = NULL;
    if (index >= vulkan->n_gpus)
        return lp_fail(ctx, LP_E_MISSING, "Vulkan device %u of %u", index, vulkan->n_gpus);
    const gpu_record *gpu = &vulkan->gpus[index];
    if (gpu->facts.unusable[0] != '\0')
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s cannot be used: %s", gpu->facts.name,
                       gpu->facts.unusable);
    vulkan_backend *vb = calloc(1, sizeof *vb);
    if (vb == NULL)
        return lp_fail_memory(ctx, "a Vulkan device");
    vb->base = (lp_backend){.table = &table, .ctx = ctx, .ahead = 4, .name = gpu->facts.name};
    vb->vulkan = vulkan;
    vb->gpu = gpu;
    vb->submit_seconds = options.submit_seconds > 0 ? options.submit_seconds : 0.25;
    LP_CHECK(create_device(vb));
    LP_CHECK(create_queue_objects(vb));
    LP_CHECK(lp_vk_pipelines_start(vb, options.cache_folder));
    *result = &vb->base;
    return LP_OK;
cleanup:
    backend_destroy(&vb->base);
    return status;
}
