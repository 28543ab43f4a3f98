/* Loading a store: slots are laid out in a few buffers, then weights are packed into the device's
 * layout group of rows by group of rows, straight into device memory where the host sees it, else
 * through staging memory, so that never more than a few megabytes are in memory twice. The file's
 * pages are given back on the way. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "vulkan/vulkan_internal.h"

#define CHUNK_BYTES (1ull << 30) /* of one buffer, unless a tensor is larger */
#define GROUP_BYTES (4u << 20)   /* packed between two looks at progress */

typedef struct upload {
    vulkan_backend *vb;
    lp_progress_fn progress;
    void *user;
    uint64_t done, total; /* bytes on the device */
} upload;

/* Weights and tables, states, and what the host sees lie in different buffers. */
static int slot_class(const lp_slot *slot)
{
    return slot->kind == LP_SLOT_HOST ? 2 : slot->kind == LP_SLOT_STATE ? 1 : 0;
}

static lp_status end_chunk(vulkan_backend *vb, int class, uint64_t bytes)
{
    static const char *const names[] = {"the weights", "the K/V cache", "host states"};
    LP_TRY(lp_vk_buffer_create(vb, class == 2 ? BUFFER_HOST : BUFFER_DEVICE, bytes, names[class],
                               &vb->buffers[vb->n_buffers]));
    vb->n_buffers++;
    vb->bytes[class == 0 ? 0 : 1] += bytes;
    return LP_OK;
}

static lp_status check_slot(const vulkan_backend *vb, const lp_slot *slot)
{
    uint64_t bytes = lp_slot_device_bytes(slot), limit = vb->gpu->max_buffer_bytes;
    if (bytes > limit || vb->options.guard_bytes > limit - bytes)
        return lp_fail(vb->base.ctx, LP_E_LIMIT, "%s: %llu bytes in one piece; %s allows %llu",
                       slot->name, (unsigned long long)bytes, vb->gpu->facts.name,
                       (unsigned long long)limit);
    return LP_OK;
}

/* Gives every slot its place; no slot straddles two buffers. */
static lp_status place_slots(vulkan_backend *vb, const lp_store *store)
{
    uint64_t limit = vb->gpu->max_buffer_bytes;
    if (limit > CHUNK_BYTES)
        limit = CHUNK_BYTES;
    for (uint32_t i = 0; i < store->n_slots; i++)
        LP_TRY(check_slot(vb, &store->slots[i]));
    for (int class = 0; class < 3; class ++) {
        uint64_t used = 0;
        for (uint32_t i = 0; i < store->n_slots; i++) {
            const lp_slot *slot = &store->slots[i];
            if (slot_class(slot) != class)
                continue;
            uint64_t bytes = lp_slot_device_bytes(slot) + vb->options.guard_bytes;
            if (used > 0 && used + bytes > limit) {
                LP_TRY(end_chunk(vb, class, used));
                used = 0;
            }
            vb->places[i] = (gpu_place){.buffer = vb->n_buffers, .offset = used};
            used += bytes;
        }
        if (used > 0)
            LP_TRY(end_chunk(vb, class, used));
    }
    return LP_OK;
}

static lp_status advance(upload *u, uint64_t bytes)
{
    u->done += bytes;
    if (u->progress != NULL && u->progress(u->user, u->done, u->total) != 0)
        return lp_fail(u->vb->base.ctx, LP_E_CANCELLED, "loading was cancelled");
    return LP_OK;
}

/* Rows [row, row + n) of a weight through staging memory, or if a single row does not fit there
 * through memory of its own. `quants` and `scales`: their places in the buffer. */
static lp_status send_rows(vulkan_backend *vb, const lp_slot *slot, const lp_layout *layout,
                           const gpu_buffer *buffer, uint64_t row, uint64_t n, uint64_t quants,
                           uint64_t scales)
{
    uint64_t quant_bytes = n * layout->quant_row_bytes, scale_bytes = n * layout->scale_row_bytes;
    if (quant_bytes + scale_bytes > STAGING_BYTES) {
        uint8_t *packed = malloc(quant_bytes + scale_bytes);
        if (packed == NULL)
            return lp_fail_memory(vb->base.ctx, slot->name);
        lp_layout_pack(slot->dtype, slot->shape, slot->data, row, n, packed, packed + quant_bytes);
        lp_status status = lp_vk_write(vb, buffer, quants, packed, quant_bytes);
        if (status == LP_OK)
            status = lp_vk_write(vb, buffer, scales, packed + quant_bytes, scale_bytes);
        free(packed);
        return status;
    }
    uint32_t staging;
    uint8_t *memory;
    LP_TRY(lp_vk_staging(vb, &staging, &memory));
    lp_layout_pack(slot->dtype, slot->shape, slot->data, row, n, memory, memory + quant_bytes);
    const VkBufferCopy regions[2] = {
        {.srcOffset = 0, .dstOffset = quants, .size = quant_bytes},
        {.srcOffset = quant_bytes, .dstOffset = scales, .size = scale_bytes},
    };
    return lp_vk_staging_send(vb, staging, buffer, regions, scale_bytes ? 2 : 1);
}

/* A weight as the device wants it; one group of rows after the other. */
static lp_status upload_weight(upload *u, const lp_slot *slot, const gpu_place *place)
{
    vulkan_backend *vb = u->vb;
    const gpu_buffer *buffer = &vb->buffers[place->buffer];
    lp_layout layout = lp_layout_of(slot->dtype, slot->shape);
    uint64_t row_bytes = layout.quant_row_bytes + layout.scale_row_bytes;
    uint64_t n_rows =
        slot->shape.n == 1
            ? 1
            : (uint64_t)(lp_shape_elements(slot->shape) / slot->shape.dim[slot->shape.n - 1]);
    uint64_t group = GROUP_BYTES / row_bytes ? GROUP_BYTES / row_bytes : 1;
    uint64_t file_bytes = (uint64_t)lp_dtype_file_bytes(slot->dtype, slot->shape);
    for (uint64_t row = 0; row < n_rows; row += group) {
        uint64_t n = n_rows - row < group ? n_rows - row : group;
        uint64_t quants = place->offset + row * layout.quant_row_bytes;
        uint64_t scales = place->offset + layout.scale_offset + row * layout.scale_row_bytes;
        if (buffer->mapped != NULL)
            lp_layout_pack(slot->dtype, slot->shape, slot->data, row, n, buffer->mapped + quants,
                           buffer->mapped + scales);
        else
            LP_TRY(send_rows(vb, slot, &layout, buffer, row, n, quants, scales));
        lp_file_forget(slot->data, file_bytes / n_rows * (row + n));
        LP_TRY(advance(u, n * row_bytes));
    }
    /* between the planes, and after them */
    uint64_t quants_end = n_rows * layout.quant_row_bytes;
    uint64_t scales_end = layout.scale_offset + n_rows * layout.scale_row_bytes;
    uint64_t middle = layout.scale_offset ? layout.scale_offset : layout.bytes;
    LP_TRY(lp_vk_fill(vb, buffer, place->offset + quants_end, middle - quants_end, 0));
    if (layout.scale_offset)
        LP_TRY(lp_vk_fill(vb, buffer, place->offset + scales_end, layout.bytes - scales_end, 0));
    return LP_OK;
}

static lp_status fill_slots(upload *u, const lp_store *store)
{
    vulkan_backend *vb = u->vb;
    for (uint32_t i = 0; i < store->n_slots; i++)
        u->total += lp_slot_device_bytes(&store->slots[i]);
    for (uint32_t i = 0; i < store->n_slots; i++) {
        const lp_slot *slot = &store->slots[i];
        const gpu_place *place = &vb->places[i];
        const gpu_buffer *buffer = &vb->buffers[place->buffer];
        uint64_t before = u->done, bytes = lp_slot_device_bytes(slot);
        if (slot->kind == LP_SLOT_WEIGHT) {
            LP_TRY(upload_weight(u, slot, place));
        } else {
            LP_TRY(lp_vk_fill(vb, buffer, place->offset, bytes, 0));
            if (slot->kind == LP_SLOT_TABLE)
                LP_TRY(lp_vk_write(vb, buffer, place->offset, slot->data,
                                   (uint64_t)lp_state_size(slot->dtype, slot->shape)));
        }
        LP_TRY(advance(u, bytes - (u->done - before)));
    }
    return lp_vk_wait(vb, vb->ticket);
}

lp_status lp_vk_load(lp_backend *backend, lp_store *store, lp_progress_fn progress, void *user)
{
    vulkan_backend *vb = (vulkan_backend *)backend;
    upload u = {.vb = vb, .progress = progress, .user = user};
    if (vb->store != NULL)
        return lp_fail(backend->ctx, LP_E_ARG, "a device is loaded once");
    store->frozen = true;
    vb->store = store;
    vb->places = calloc((size_t)store->n_slots + 1, sizeof *vb->places);
    vb->buffers = calloc((size_t)store->n_slots + 1, sizeof *vb->buffers);
    if (vb->places == NULL || vb->buffers == NULL)
        return lp_fail_memory(backend->ctx, "loading the weights");
    LP_TRY(place_slots(vb, store));
    return fill_slots(&u, store);
}
