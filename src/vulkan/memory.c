/* Device memory: buffers with addresses, and host copies, directly where the host sees the memory,
 * else through a small ring of staging memory. */
#include <string.h>

#include "vulkan/vulkan_internal.h"

enum { MAX_REGIONS = 64 }; /* rows of one staged copy */

/* Memory types of AMD for debugging; using them needs a feature that is not enabled. */
static const VkMemoryPropertyFlags foreign =
    VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD | VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD |
    VK_MEMORY_PROPERTY_PROTECTED_BIT | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT;

/* First memory type among `allowed` with all of `want`, in a heap of at least `least_heap` bytes;
 * UINT32_MAX. */
static uint32_t find_type(const VkPhysicalDeviceMemoryProperties *memory, uint32_t allowed,
                          VkMemoryPropertyFlags want, uint64_t least_heap)
{
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++)
        if ((allowed >> i & 1) && (memory->memoryTypes[i].propertyFlags & want) == want &&
            (memory->memoryTypes[i].propertyFlags & foreign) == 0 &&
            memory->memoryHeaps[memory->memoryTypes[i].heapIndex].size >= least_heap)
            return i;
    return UINT32_MAX;
}

/* Memory that the device reaches fastest; host-visible as well if that is the same heap, so that
 * unified memory and a fully mapped card need no copies. */
static uint32_t choose_type(const vulkan_backend *vb, uint32_t allowed, buffer_kind kind)
{
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
        uint32_t type = find_type(&vb->gpu->memory, allowed, order[i], heap);
        if (type != UINT32_MAX)
            return type;
    }
    return UINT32_MAX;
}

static lp_status create(vulkan_backend *vb, buffer_kind kind, const char *what, gpu_buffer *b)
{
    lp_context *ctx = vb->base.ctx;
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = b->bytes + BUFFER_SLACK,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
                 VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
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
        return lp_fail(ctx, LP_E_MEMORY, "%s: %s has no %llu bytes left", what, vb->gpu->facts.name,
                       (unsigned long long)needs.size);
    LP_VK(ctx, result, what);
    LP_VK(ctx, vb->vk.vkBindBufferMemory(vb->device, b->buffer, b->memory, 0), what);
    VkMemoryPropertyFlags has = vb->gpu->memory.memoryTypes[type].propertyFlags;
    if ((has & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) &&
        !(kind == BUFFER_DEVICE && vb->options.staged)) {
        void *mapped;
        LP_VK(ctx, vb->vk.vkMapMemory(vb->device, b->memory, 0, VK_WHOLE_SIZE, 0, &mapped), what);
        b->mapped = mapped;
        b->cached = (has & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
    }
    VkBufferDeviceAddressInfo address = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
                                         .buffer = b->buffer};
    b->address = vb->vk.vkGetBufferDeviceAddress(vb->device, &address);
    return LP_OK;
}

lp_status lp_vk_buffer_create(vulkan_backend *vb, buffer_kind kind, uint64_t bytes,
                              const char *what, gpu_buffer *b)
{
    *b = (gpu_buffer){.bytes = bytes};
    if (bytes > vb->gpu->max_buffer_bytes)
        return lp_fail(vb->base.ctx, LP_E_LIMIT, "%s: %llu bytes in one piece; %s allows %llu",
                       what, (unsigned long long)bytes, vb->gpu->facts.name,
                       (unsigned long long)vb->gpu->max_buffer_bytes);
    lp_status status = create(vb, kind, what, b);
    if (status != LP_OK)
        lp_vk_buffer_destroy(vb, b);
    return status;
}

void lp_vk_buffer_destroy(vulkan_backend *vb, gpu_buffer *b)
{
    if (b->buffer != VK_NULL_HANDLE)
        vb->vk.vkDestroyBuffer(vb->device, b->buffer, NULL);
    if (b->memory != VK_NULL_HANDLE)
        vb->vk.vkFreeMemory(vb->device, b->memory, NULL); /* unmaps */
    *b = (gpu_buffer){0};
}

/* ---- Staged copies ------------------------------------------------------------------------- */

uint64_t lp_vulkan_staging_most(void)
{
    return (uint64_t)STAGING_SLOTS * STAGING_BYTES;
}

lp_status lp_vk_staging(vulkan_backend *vb, uint32_t *slot, uint8_t **memory)
{
    *slot = vb->staging_next++ % STAGING_SLOTS;
    gpu_buffer *staging = &vb->staging[*slot];
    if (staging->buffer == VK_NULL_HANDLE) {
        LP_TRY(lp_vk_buffer_create(vb, BUFFER_HOST, STAGING_BYTES, "staging memory", staging));
        vb->bytes[3] += STAGING_BYTES;
    }
    *memory = staging->mapped;
    return lp_vk_wait(vb, vb->staging_ticket[*slot]);
}

static lp_status begin_copy(vulkan_backend *vb, VkCommandBuffer commands)
{
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkMemoryBarrier before = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    LP_VK(vb->base.ctx, vb->vk.vkBeginCommandBuffer(commands, &begin), "recording a copy");
    vb->vk.vkCmdPipelineBarrier(
        commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before, 0, NULL, 0, NULL);
    return LP_OK;
}

static lp_status end_copy(vulkan_backend *vb, uint32_t slot)
{
    const gpu_batch batch = {.first = 0, .n = 1};
    VkCommandBuffer commands = vb->staging_commands[slot];
    VkMemoryBarrier after = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                             .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                             .dstAccessMask = VK_ACCESS_SHADER_READ_BIT |
                                              VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_HOST_READ_BIT};
    vb->vk.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_HOST_BIT,
                                0, 1, &after, 0, NULL, 0, NULL);
    LP_VK(vb->base.ctx, vb->vk.vkEndCommandBuffer(commands), "recording a copy");
    return lp_vk_submit(vb, &commands, &batch, 1, "copies", &vb->staging_ticket[slot]);
}

lp_status lp_vk_staging_send(vulkan_backend *vb, uint32_t slot, const gpu_buffer *to,
                             const VkBufferCopy *regions, uint32_t n_regions)
{
    LP_TRY(begin_copy(vb, vb->staging_commands[slot]));
    vb->vk.vkCmdCopyBuffer(vb->staging_commands[slot], vb->staging[slot].buffer, to->buffer,
                           n_regions, regions);
    return end_copy(vb, slot);
}

static lp_status staging_fetch(vulkan_backend *vb, uint32_t slot, const gpu_buffer *from,
                               const VkBufferCopy *regions, uint32_t n_regions)
{
    LP_TRY(begin_copy(vb, vb->staging_commands[slot]));
    vb->vk.vkCmdCopyBuffer(vb->staging_commands[slot], from->buffer, vb->staging[slot].buffer,
                           n_regions, regions);
    LP_TRY(end_copy(vb, slot));
    return lp_vk_wait(vb, vb->staging_ticket[slot]);
}

/* The next pieces of rows, at most a staging buffer full: *row and *column move on. */
static uint32_t next_regions(const gpu_rows *rows, uint64_t *row, uint64_t *column, bool read,
                             VkBufferCopy *regions, uint64_t *total)
{
    uint32_t n = 0;
    for (*total = 0; *row < rows->n_rows && n < MAX_REGIONS && *total < STAGING_BYTES; n++) {
        uint64_t at = rows->offset + *row * rows->stride + *column;
        uint64_t left = rows->row_bytes - *column, room = STAGING_BYTES - *total;
        uint64_t bytes = left < room ? left : room;
        regions[n] = (VkBufferCopy){
            .srcOffset = read ? at : *total, .dstOffset = read ? *total : at, .size = bytes};
        *total += bytes;
        *column += bytes;
        if (*column == rows->row_bytes) {
            *column = 0;
            ++*row;
        }
    }
    return n;
}

/* ---- Host copies --------------------------------------------------------------------------- */

static gpu_rows tidy(gpu_rows rows)
{
    if (rows.row_bytes == 0 || rows.n_rows == 0)
        return (gpu_rows){.offset = rows.offset};
    if (rows.stride == rows.row_bytes) /* one piece */
        return (gpu_rows){
            .offset = rows.offset, .row_bytes = rows.row_bytes * rows.n_rows, .n_rows = 1};
    return rows;
}

lp_status lp_vk_read_rows(vulkan_backend *vb, const gpu_buffer *b, gpu_rows rows, void *to)
{
    uint8_t *out = to;
    rows = tidy(rows);
    /* Reading mapped device memory that is not cached is hundreds of times slower than copying. */
    if (b->mapped != NULL && (b->cached || rows.row_bytes * rows.n_rows <= 256)) {
        for (uint64_t i = 0; i < rows.n_rows; i++, out += rows.row_bytes)
            memcpy(out, b->mapped + rows.offset + i * rows.stride, rows.row_bytes);
        return LP_OK;
    }
    for (uint64_t row = 0, column = 0, total; row < rows.n_rows; out += total) {
        VkBufferCopy regions[MAX_REGIONS];
        uint32_t slot, n = next_regions(&rows, &row, &column, true, regions, &total);
        uint8_t *memory;
        LP_TRY(lp_vk_staging(vb, &slot, &memory));
        LP_TRY(staging_fetch(vb, slot, b, regions, n));
        memcpy(out, memory, total);
    }
    return LP_OK;
}

lp_status lp_vk_write_rows(vulkan_backend *vb, const gpu_buffer *b, gpu_rows rows, const void *from)
{
    const uint8_t *in = from;
    rows = tidy(rows);
    if (b->mapped != NULL) {
        for (uint64_t i = 0; i < rows.n_rows; i++, in += rows.row_bytes)
            memcpy(b->mapped + rows.offset + i * rows.stride, in, rows.row_bytes);
        return LP_OK;
    }
    for (uint64_t row = 0, column = 0, total; row < rows.n_rows; in += total) {
        VkBufferCopy regions[MAX_REGIONS];
        uint32_t slot, n = next_regions(&rows, &row, &column, false, regions, &total);
        uint8_t *memory;
        LP_TRY(lp_vk_staging(vb, &slot, &memory));
        memcpy(memory, in, total);
        LP_TRY(lp_vk_staging_send(vb, slot, b, regions, n));
    }
    return LP_OK;
}

lp_status lp_vk_read(vulkan_backend *vb, const gpu_buffer *b, uint64_t offset, void *to,
                     uint64_t bytes)
{
    return lp_vk_read_rows(vb, b, (gpu_rows){offset, bytes, 1, bytes}, to);
}

lp_status lp_vk_write(vulkan_backend *vb, const gpu_buffer *b, uint64_t offset, const void *from,
                      uint64_t bytes)
{
    return lp_vk_write_rows(vb, b, (gpu_rows){offset, bytes, 1, bytes}, from);
}

lp_status lp_vk_fill(vulkan_backend *vb, const gpu_buffer *b, uint64_t offset, uint64_t bytes,
                     uint32_t word)
{
    if (bytes == 0)
        return LP_OK;
    if (b->mapped != NULL) {
        if (word == 0) {
            memset(b->mapped + offset, 0, bytes);
            return LP_OK;
        }
        for (uint64_t i = 0; i < bytes; i += 4)
            memcpy(b->mapped + offset + i, &word, 4);
        return LP_OK;
    }
    uint32_t slot;
    uint8_t *memory;
    LP_TRY(lp_vk_staging(vb, &slot, &memory));
    LP_TRY(begin_copy(vb, vb->staging_commands[slot]));
    vb->vk.vkCmdFillBuffer(vb->staging_commands[slot], b->buffer, offset, bytes, word);
    return end_copy(vb, slot);
}
