/* Device memory: buffers with addresses, and host copies through a small ring of staging memory. */
#include <string.h>

#include "vulkan/vulkan_internal.h"

#define STAGING_BYTES (8u << 20)

/* First memory type among `allowed` with all of `want`; UINT32_MAX. */
static uint32_t find_type(const VkPhysicalDeviceMemoryProperties *memory, uint32_t allowed,
                          VkMemoryPropertyFlags want, uint64_t least_heap)
{
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++)
        if ((allowed >> i & 1) && (memory->memoryTypes[i].propertyFlags & want) == want &&
            memory->memoryHeaps[memory->memoryTypes[i].heapIndex].size >= least_heap)
            return i;
    return UINT32_MAX;
}

/* Memory that the device reaches fastest; host-visible as well if that is the same heap, so that
 * unified memory and a fully mapped card need no copies. */
static uint32_t choose_type(vulkan_backend *vb, uint32_t allowed, buffer_kind kind)
{
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(vb->gpu->physical, &memory);
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    const VkMemoryPropertyFlags host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags cached = host | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    const VkMemoryPropertyFlags host_order[] = {cached, host};
    const VkMemoryPropertyFlags device_order[] = {local | cached, local | host, local, host};
    const VkMemoryPropertyFlags *order = kind == BUFFER_HOST ? host_order : device_order;
    for (int i = 0; i < (kind == BUFFER_HOST ? 2 : 4); i++) {
        /* A small window into device memory (256 MiB on many cards) is not for weights. */
        uint64_t heap = kind == BUFFER_DEVICE && i < 2 ? vb->gpu->facts.memory_bytes : 0;
        uint32_t type = find_type(&memory, allowed, order[i], heap);
        if (type != UINT32_MAX)
            return type;
    }
    return UINT32_MAX;
}

lp_status lp_vk_buffer_create(vulkan_backend *vb, buffer_kind kind, uint64_t bytes,
                              const char *what, gpu_buffer *b)
{
    lp_context *ctx = vb->base.ctx;
    *b = (gpu_buffer){.bytes = bytes};
    if (bytes > vb->gpu->max_buffer_bytes)
        return lp_fail(ctx, LP_E_LIMIT, "%s: %llu bytes in one piece; %s allows %llu", what,
                       (unsigned long long)bytes, vb->gpu->facts.name,
                       (unsigned long long)vb->gpu->max_buffer_bytes);
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                               .size = bytes,
                               .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                        VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
                                        VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                        VK_BUFFER_USAGE_TRANSFER_DST_BIT,
                               .sharingMode = VK_SHARING_MODE_EXCLUSIVE};
    LP_VK(ctx, vb->vk.vkCreateBuffer(vb->device, &info, NULL, &b->buffer), what);
    VkMemoryRequirements needs;
    vb->vk.vkGetBufferMemoryRequirements(vb->device, b->buffer, &needs);
    uint32_t type = choose_type(vb, needs.memoryTypeBits, kind);
    if (type == UINT32_MAX)
        return lp_fail(ctx, LP_E_DEVICE, "%s: %s has no suitable memory type", what,
                       vb->gpu->facts.name);
    VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                       .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    VkMemoryAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                     .pNext = &flags,
                                     .allocationSize = needs.size,
                                     .memoryTypeIndex = type};
    VkResult result = vb->vk.vkAllocateMemory(vb->device, &allocate, NULL, &b->memory);
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY)
        return lp_fail(ctx, LP_E_MEMORY, "%s: %s has no %llu bytes left", what,
                       vb->gpu->facts.name, (unsigned long long)needs.size);
    LP_VK(ctx, result, what);
    LP_VK(ctx, vb->vk.vkBindBufferMemory(vb->device, b->buffer, b->memory, 0), what);
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(vb->gpu->physical, &memory);
    if (memory.memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) {
        void *mapped;
        LP_VK(ctx, vb->vk.vkMapMemory(vb->device, b->memory, 0, VK_WHOLE_SIZE, 0, &mapped), what);
        b->mapped = mapped;
    }
    VkBufferDeviceAddressInfo address = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
                                         .buffer = b->buffer};
    b->address = vb->vk.vkGetBufferDeviceAddress(vb->device, &address);
    return LP_OK;
}

void lp_vk_buffer_destroy(vulkan_backend *vb, gpu_buffer *b)
{
    if (b->buffer != VK_NULL_HANDLE)
        vb->vk.vkDestroyBuffer(vb->device, b->buffer, NULL);
    if (b->memory != VK_NULL_HANDLE)
        vb->vk.vkFreeMemory(vb->device, b->memory, NULL);
    *b = (gpu_buffer){0};
}

/* The next piece of staging memory, free to be written. */
static lp_status next_staging(vulkan_backend *vb, uint32_t *slot)
{
    *slot = vb->staging_next++ % STAGING_SLOTS;
    if (vb->staging[*slot].buffer == VK_NULL_HANDLE) {
        LP_TRY(lp_vk_buffer_create(vb, BUFFER_HOST, STAGING_BYTES, "staging memory",
                                   &vb->staging[*slot]));
        vb->bytes[3] += STAGING_BYTES;
    }
    return lp_vk_wait(vb, vb->staging_ticket[*slot]);
}

/* Copies between staging memory and a buffer, after everything that was submitted before. */
static lp_status submit_copy(vulkan_backend *vb, uint32_t slot, VkBuffer from, uint64_t from_offset,
                             VkBuffer to, uint64_t to_offset, uint64_t bytes)
{
    VkCommandBuffer commands = vb->staging_commands[slot];
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkMemoryBarrier before = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                              .srcAccessMask =
                                  VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                              .dstAccessMask =
                                  VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    VkMemoryBarrier after = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                             .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                             .dstAccessMask = VK_ACCESS_SHADER_READ_BIT |
                                              VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_HOST_READ_BIT};
    VkBufferCopy region = {.srcOffset = from_offset, .dstOffset = to_offset, .size = bytes};
    LP_VK(vb->base.ctx, vb->vk.vkBeginCommandBuffer(commands, &begin), "recording a copy");
    vb->vk.vkCmdPipelineBarrier(
        commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before, 0, NULL, 0, NULL);
    vb->vk.vkCmdCopyBuffer(commands, from, to, 1, &region);
    vb->vk.vkCmdPipelineBarrier(
        commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &after, 0, NULL, 0,
        NULL);
    LP_VK(vb->base.ctx, vb->vk.vkEndCommandBuffer(commands), "recording a copy");
    return lp_vk_submit(vb, &commands, 1, &vb->staging_ticket[slot]);
}

lp_status lp_vk_read(vulkan_backend *vb, const gpu_buffer *b, uint64_t offset, void *to,
                     uint64_t bytes)
{
    if (b->mapped != NULL) {
        memcpy(to, b->mapped + offset, bytes);
        return LP_OK;
    }
    for (uint64_t done = 0, n; done < bytes; done += n) {
        uint32_t slot;
        n = bytes - done < STAGING_BYTES ? bytes - done : STAGING_BYTES;
        LP_TRY(next_staging(vb, &slot));
        LP_TRY(submit_copy(vb, slot, b->buffer, offset + done, vb->staging[slot].buffer, 0, n));
        LP_TRY(lp_vk_wait(vb, vb->staging_ticket[slot]));
        memcpy((uint8_t *)to + done, vb->staging[slot].mapped, n);
    }
    return LP_OK;
}

lp_status lp_vk_write(vulkan_backend *vb, const gpu_buffer *b, uint64_t offset, const void *from,
                      uint64_t bytes)
{
    if (b->mapped != NULL) {
        memcpy(b->mapped + offset, from, bytes);
        return LP_OK;
    }
    for (uint64_t done = 0, n; done < bytes; done += n) {
        uint32_t slot;
        n = bytes - done < STAGING_BYTES ? bytes - done : STAGING_BYTES;
        LP_TRY(next_staging(vb, &slot));
        memcpy(vb->staging[slot].mapped, (const uint8_t *)from + done, n);
        LP_TRY(submit_copy(vb, slot, vb->staging[slot].buffer, 0, b->buffer, offset + done, n));
    }
    return LP_OK;
}
