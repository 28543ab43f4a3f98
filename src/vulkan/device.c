/* One logical device with one queue: creation, the timeline that orders everything, and the backend
 * interface.
 *
 * Every batch of commands has a value of one timeline semaphore. What cannot be prevented is that a
 * driver loses the device; then every further call fails with LP_E_DEVICE_LOST, the first one
 * naming the work that was in flight, and everything can still be destroyed. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan/vulkan_internal.h"

static void backend_destroy(lp_backend *backend)
{
    vulkan_backend *vb = (vulkan_backend *)backend;
    if (vb == NULL)
        return;
    assert(vb->n_programs == 0); /* they use the device */
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

lp_status lp_vk_usable(lp_context *ctx, const lp_vulkan *vulkan, uint32_t index,
                       const gpu_record **gpu)
{
    if (index >= vulkan->n_gpus)
        return lp_fail(ctx, LP_E_MISSING, "Vulkan device %u of %u", index, vulkan->n_gpus);
    *gpu = &vulkan->gpus[index];
    const lp_gpu *facts = &(*gpu)->facts;
    if (facts->unusable[0] != '\0')
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s cannot be used: %s", facts->name,
                       facts->unusable);
    return LP_OK;
}

/* Enables what caps.has promises to kernels, and nothing else. */
lp_status lp_vk_device_create(vulkan_backend *vb)
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
        .cooperativeMatrixFlexibleDimensions = VK_TRUE,
        .cooperativeMatrixReductions = VK_TRUE,
        .cooperativeMatrixConversions = VK_TRUE,
        .cooperativeMatrixPerElementOperations = VK_TRUE};
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
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pipelineExecutableInfo = VK_TRUE};
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
    if (vb->compiler) {
        extensions[n++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
        statistics.pNext = next;
        next = &statistics;
    }
    if (gpu->portability)
        extensions[n++] = "VK_KHR_portability_subset";
    VkPhysicalDeviceVulkan12Features v12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .pNext = next,
        .bufferDeviceAddress = VK_TRUE,
        .timelineSemaphore = VK_TRUE,
        .vulkanMemoryModel = (has & LP_NEED_COOPMAT) != 0,
        .vulkanMemoryModelDeviceScope = (has & LP_NEED_COOPMAT) != 0,
        .shaderFloat16 = (has & LP_NEED_FP16) != 0,
        .storageBuffer8BitAccess = (has & LP_NEED_STORAGE8) != 0,
        .shaderInt8 = (has & LP_NEED_STORAGE8) != 0};
    VkPhysicalDeviceVulkan11Features v11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
        .pNext = &v12,
        .storageBuffer16BitAccess = (has & LP_NEED_STORAGE16) != 0};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &v11,
                                          .features.shaderInt64 = (has & LP_NEED_INT64) != 0};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = &features,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = n,
                               .ppEnabledExtensionNames = extensions};
    LP_VK(vb->base.ctx, vkCreateDevice(gpu->physical, &info, NULL, &vb->device), gpu->facts.name);
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
    VkCommandBufferAllocateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = vb->pool,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = STAGING_SLOTS};
    LP_VK(vb->base.ctx,
          vb->vk.vkAllocateCommandBuffers(vb->device, &commands, vb->staging_commands),
          "allocating command buffers");
    return LP_OK;
}

lp_status lp_vk_fail(vulkan_backend *vb, VkResult result, const char *what)
{
    lp_context *ctx = vb->base.ctx;
    if (result != VK_ERROR_DEVICE_LOST)
        return lp_vulkan_fail(ctx, result, what);
    uint64_t reached = 0;
    if (vb->vk.vkGetSemaphoreCounterValue(vb->device, vb->timeline, &reached) != VK_SUCCESS ||
        reached > vb->ticket)
        reached = 0;
    const submit_entry *next = &vb->log[(reached + 1) % SUBMIT_LOG];
    vb->lost = true;
    if (next->ticket == reached + 1)
        return lp_fail(ctx, LP_E_DEVICE_LOST, "%s: %s lost the device in submit %llu (%s)", what,
                       vb->gpu->facts.name, (unsigned long long)next->ticket, next->what);
    return lp_fail(ctx, LP_E_DEVICE_LOST, "%s: %s lost the device after %llu submits", what,
                   vb->gpu->facts.name, (unsigned long long)vb->ticket);
}

static lp_status fail_lost(vulkan_backend *vb)
{
    return lp_fail(vb->base.ctx, LP_E_DEVICE_LOST, "%s was lost before", vb->gpu->facts.name);
}

lp_status lp_vk_submit(vulkan_backend *vb, const VkCommandBuffer *commands,
                       const gpu_batch *batches, uint32_t n_batches, const char *what,
                       uint64_t *ticket)
{
    enum { AT_ONCE = 16 };
    VkTimelineSemaphoreSubmitInfo timelines[AT_ONCE];
    VkSubmitInfo submits[AT_ONCE];
    uint64_t values[AT_ONCE];
    if (vb->lost)
        return fail_lost(vb);
    for (uint32_t done = 0, n; done < n_batches; done += n) {
        n = n_batches - done < AT_ONCE ? n_batches - done : AT_ONCE;
        for (uint32_t i = 0; i < n; i++) {
            const gpu_batch *batch = &batches[done + i];
            values[i] = vb->ticket + 1 + i;
            submit_entry *entry = &vb->log[values[i] % SUBMIT_LOG];
            entry->ticket = values[i];
            snprintf(entry->what, sizeof entry->what, "%.40s, part %u", what, done + i + 1);
            timelines[i] = (VkTimelineSemaphoreSubmitInfo){
                .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                .signalSemaphoreValueCount = 1,
                .pSignalSemaphoreValues = &values[i]};
            submits[i] = (VkSubmitInfo){.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                        .pNext = &timelines[i],
                                        .commandBufferCount = batch->n,
                                        .pCommandBuffers = commands + batch->first,
                                        .signalSemaphoreCount = 1,
                                        .pSignalSemaphores = &vb->timeline};
        }
        VkResult result = vb->vk.vkQueueSubmit(vb->queue, n, submits, VK_NULL_HANDLE);
        if (result != VK_SUCCESS)
            return lp_vk_fail(vb, result, "submitting work");
        vb->ticket += n;
    }
    *ticket = vb->ticket;
    return LP_OK;
}

/* As long as the timeline moves, the device is slow, not dead: only a standstill is an error. */
lp_status lp_vk_wait(vulkan_backend *vb, uint64_t ticket)
{
    const uint64_t second = 1000000000u;
    const unsigned patience = vb->gpu->facts.caps.is_cpu ? 600 : 60; /* seconds */
    VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                .semaphoreCount = 1,
                                .pSemaphores = &vb->timeline,
                                .pValues = &ticket};
    if (vb->lost)
        return fail_lost(vb);
    if (ticket > vb->ticket)
        return lp_fail(vb->base.ctx, LP_E_ARG, "ticket %llu was never given out",
                       (unsigned long long)ticket);
    uint64_t reached = 0;
    for (;;) {
        VkResult result = vb->vk.vkWaitSemaphores(vb->device, &info, patience * second);
        if (result == VK_SUCCESS)
            return LP_OK;
        if (result != VK_TIMEOUT)
            return lp_vk_fail(vb, result, "waiting for the device");
        uint64_t before = reached;
        result = vb->vk.vkGetSemaphoreCounterValue(vb->device, vb->timeline, &reached);
        if (result != VK_SUCCESS)
            return lp_vk_fail(vb, result, "waiting for the device");
        if (reached == before) {
            vb->lost = true;
            return lp_fail(vb->base.ctx, LP_E_DEVICE_LOST, "%s made no progress for %u s (%s)",
                           vb->gpu->facts.name, patience, vb->log[(reached + 1) % SUBMIT_LOG].what);
        }
    }
}

static lp_status backend_wait(lp_backend *backend, uint64_t ticket)
{
    return lp_vk_wait((vulkan_backend *)backend, ticket);
}

uint64_t lp_vulkan_raw_bytes(const lp_backend *backend, uint32_t buffer)
{
    const vulkan_backend *vb = (const vulkan_backend *)backend;
    if (buffer == LP_BUFFER_ARENA)
        return vb->arena.bytes;
    if (vb->places == NULL || buffer - 1 >= vb->store->n_slots)
        return 0;
    return lp_slot_device_bytes(&vb->store->slots[buffer - 1]) + vb->options.guard_bytes;
}

/* A range of a plan's buffer as a range of a real one. */
static lp_status find_range(vulkan_backend *vb, uint32_t buffer, uint64_t offset, uint64_t bytes,
                            const gpu_buffer **at, uint64_t *start)
{
    uint64_t size = lp_vulkan_raw_bytes(&vb->base, buffer);
    if (offset > size || bytes > size - offset || size == 0)
        return lp_fail(vb->base.ctx, LP_E_ARG, "buffer %u has no %llu bytes at %llu", buffer,
                       (unsigned long long)bytes, (unsigned long long)offset);
    const gpu_place *place = buffer == LP_BUFFER_ARENA ? NULL : &vb->places[buffer - 1];
    *at = place == NULL ? &vb->arena : &vb->buffers[place->buffer];
    *start = place == NULL ? offset : place->offset + offset;
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

lp_status lp_vulkan_raw_fill(lp_backend *backend, uint32_t buffer, uint64_t offset, uint64_t bytes,
                             uint32_t word)
{
    vulkan_backend *vb = (vulkan_backend *)backend;
    const gpu_buffer *at = NULL;
    uint64_t start = 0;
    if ((offset | bytes) % 4 != 0)
        return lp_fail(backend->ctx, LP_E_ARG, "whole words are filled");
    LP_TRY(find_range(vb, buffer, offset, bytes, &at, &start));
    return lp_vk_fill(vb, at, start, bytes, word);
}

static lp_status slot_range(lp_backend *backend, uint32_t slot, uint64_t offset, uint64_t bytes)
{
    uint64_t size = lp_vulkan_raw_bytes(backend, LP_BUFFER_SLOT(slot));
    size -= size ? ((const vulkan_backend *)backend)->options.guard_bytes : 0;
    if (offset > size || bytes > size - offset)
        return lp_fail(backend->ctx, LP_E_ARG, "slot %u has no %llu bytes at %llu", slot,
                       (unsigned long long)bytes, (unsigned long long)offset);
    return LP_OK;
}

static lp_status slot_read(lp_backend *backend, uint32_t slot, uint64_t offset, void *to,
                           uint64_t bytes)
{
    LP_TRY(slot_range(backend, slot, offset, bytes));
    return lp_vulkan_raw_read(backend, LP_BUFFER_SLOT(slot), offset, to, bytes);
}

static lp_status slot_write(lp_backend *backend, uint32_t slot, uint64_t offset, const void *from,
                            uint64_t bytes)
{
    LP_TRY(slot_range(backend, slot, offset, bytes));
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
    .caps = lp_vulkan_backend_caps,
    .program_from_plan = lp_vulkan_program_from_plan,
    .program_plan = lp_vulkan_program_plan,
    .raw_read = lp_vulkan_raw_read,
    .raw_write = lp_vulkan_raw_write,
    .raw_fill = lp_vulkan_raw_fill,
};

lp_status lp_vulkan_backend_create(lp_context *ctx, lp_vulkan *vulkan, uint32_t index,
                                   lp_vulkan_options options, lp_backend **result)
{
    lp_status status = LP_OK;
    *result = NULL;
    const gpu_record *gpu = NULL;
    LP_TRY(lp_vk_usable(ctx, vulkan, index, &gpu));
    vulkan_backend *vb = calloc(1, sizeof *vb);
    if (vb == NULL)
        return lp_fail_memory(ctx, "a Vulkan device");
    vb->base = (lp_backend){.table = &table, .ctx = ctx, .ahead = 4, .name = gpu->facts.name};
    vb->vulkan = vulkan;
    vb->gpu = gpu;
    vb->options = options;
    vb->options.cache_folder = NULL; /* the caller's, only used here */
    if (!(options.submit_seconds > 0))
        vb->options.submit_seconds = LP_SUBMIT_SECONDS;
    vb->options.guard_bytes = (options.guard_bytes + 255) / 256 * 256;
    LP_CHECK(lp_vk_device_create(vb));
    LP_CHECK(create_queue_objects(vb));
    LP_CHECK(lp_vk_pipelines_start(vb, options.cache_folder));
    *result = &vb->base;
    return LP_OK;
cleanup:
    backend_destroy(&vb->base);
    return status;
}
