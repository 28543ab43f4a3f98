/* Loading a store: slots are laid out in a few buffers, then weights are packed into the device's
 * layout group of rows by group of rows, so that never more than a few megabytes are in memory
 * twice. The file's pages are given back on the way. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "vulkan/vulkan_internal.h"

#define CHUNK_BYTES (1ull << 30) /* of one buffer, unless a tensor is larger */
#define GROUP_BYTES (4u << 20)   /* packed at once where the device's memory is not mapped */

/* Weights and tables, states, and what the host sees lie in different buffers. */
static int slot_class(const lp_slot *slot)
{
    return slot->kind == LP_SLOT_HOST ? 2 : slot->kind == LP_SLOT_STATE ? 1 : 0;
}

static lp_status end_chunk(vulkan_backend *vb, int class, uint64_t bytes)
{
    static const char *const names[] = {"the weights", "the K/V cache", "host states"};
    LP_TRY(lp_vk_buffer_create(vb, class == 2 ? BUFFER_HOST : BUFFER_DEVICE, bytes, names[class],
                               &vb->buffers[vb->n_buffers++]));
    vb->bytes[class == 0 ? 0 : 1] += bytes;
    return LP_OK;
}

/* Gives every slot its place; no slot straddles two buffers. */
static lp_status place_slots(vulkan_backend *vb, const lp_store *store)
{
    uint64_t limit = vb->gpu->max_buffer_bytes;
    for (int class = 0; class < 3; class++) {
        uint64_t used = 0;
        for (uint32_t i = 0; i < store->n_slots; i++) {
            const lp_slot *slot = &store->slots[i];
            if (slot_class(slot) != class)
                continue;
            uint64_t bytes = lp_slot_device_bytes(slot);
            if (bytes > limit)
                return lp_fail(vb->base.ctx, LP_E_LIMIT,
                               "%s: %llu bytes in one piece; %s allows %llu", slot->name,
                               (unsigned long long)bytes, vb->gpu->facts.name,
                               (unsigned long long)limit);
            if (used > 0 && used + bytes > (limit < CHUNK_BYTES ? limit : CHUNK_BYTES)) {
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

/* Rows of a weight as the device wants them; one group after the other. */
static lp_status upload_weight(vulkan_backend *vb, const lp_slot *slot, const gpu_place *place,
                               uint8_t *scratch)
{
    const gpu_buffer *buffer = &vb->buffers[place->buffer];
    lp_layout layout = lp_layout_of(slot->dtype, slot->shape);
    uint64_t row_bytes = layout.quant_row_bytes + layout.scale_row_bytes;
    uint64_t n_rows = slot->shape.n == 1 ? 1
                                         : (uint64_t)(lp_shape_elements(slot->shape) /
                                                      slot->shape.dim[slot->shape.n - 1]);
    uint64_t group = GROUP_BYTES / row_bytes ? GROUP_BYTES / row_bytes : 1;
    uint64_t file_bytes = (uint64_t)lp_dtype_file_bytes(slot->dtype, slot->shape);
    uint8_t *large = NULL;
    lp_status status = LP_OK;
    if (buffer->mapped == NULL && row_bytes > GROUP_BYTES) {
        large = malloc(row_bytes);
        if (large == NULL)
            return lp_fail_memory(vb->base.ctx, slot->name);
        scratch = large;
    }
    for (uint64_t row = 0; row < n_rows; row += group) {
        uint64_t n = n_rows - row < group ? n_rows - row : group;
        uint64_t quants = place->offset + row * layout.quant_row_bytes;
        uint64_t scales = place->offset + layout.scale_offset + row * layout.scale_row_bytes;
        if (buffer->mapped != NULL) {
            lp_layout_pack(slot->dtype, slot->shape, slot->data, row, n, buffer->mapped + quants,
                           layout.scale_row_bytes ? buffer->mapped + scales : NULL);
        } else {
            uint64_t quant_bytes = n * layout.quant_row_bytes;
            uint64_t scale_bytes = n * layout.scale_row_bytes;
            lp_layout_pack(slot->dtype, slot->shape, slot->data, row, n, scratch,
                           scale_bytes ? scratch + quant_bytes : NULL);
            LP_CHECK(lp_vk_write(vb, buffer, quants, scratch, quant_bytes));
            LP_CHECK(lp_vk_write(vb, buffer, scales, scratch + quant_bytes, scale_bytes));
        }
        lp_file_forget(slot->data, file_bytes / n_rows * (row + n));
    }
    lp_file_forget(slot->data, file_bytes);
cleanup:
    free(large);
    return status;
}

static lp_status zero(vulkan_backend *vb, const lp_slot *slot, const gpu_place *place,
                      const uint8_t *zeros)
{
    uint64_t bytes = lp_slot_device_bytes(slot);
    const gpu_buffer *buffer = &vb->buffers[place->buffer];
    if (buffer->mapped != NULL) {
        memset(buffer->mapped + place->offset, 0, bytes);
        return LP_OK;
    }
    for (uint64_t done = 0, n; done < bytes; done += n) {
        n = bytes - done < GROUP_BYTES ? bytes - done : GROUP_BYTES;
        LP_TRY(lp_vk_write(vb, buffer, place->offset + done, zeros, n));
    }
    return LP_OK;
}

static lp_status fill_slots(vulkan_backend *vb, const lp_store *store, lp_progress_fn progress,
                            void *user, uint8_t *scratch, const uint8_t *zeros)
{
    uint64_t total = 0, done = 0;
    for (uint32_t i = 0; i < store->n_slots; i++)
        total += lp_slot_device_bytes(&store->slots[i]);
    for (uint32_t i = 0; i < store->n_slots; i++) {
        const lp_slot *slot = &store->slots[i];
        const gpu_place *place = &vb->places[i];
        if (slot->kind == LP_SLOT_WEIGHT)
            LP_TRY(upload_weight(vb, slot, place, scratch));
        else if (slot->kind == LP_SLOT_TABLE)
            LP_TRY(lp_vk_write(vb, &vb->buffers[place->buffer], place->offset, slot->data,
                               (uint64_t)lp_dtype_file_bytes(slot->dtype, slot->shape)));
        else
            LP_TRY(zero(vb, slot, place, zeros));
        done += lp_slot_device_bytes(slot);
        if (progress != NULL && progress(user, done, total) != 0)
            return lp_fail(vb->base.ctx, LP_E_CANCELLED, "loading was cancelled");
    }
    return lp_vk_wait(vb, vb->ticket);
}

lp_status lp_vk_load(lp_backend *backend, lp_store *store, lp_progress_fn progress, void *user)
{
    vulkan_backend *vb = (vulkan_backend *)backend;
    lp_status status = LP_OK;
    uint8_t *scratch = malloc(GROUP_BYTES), *zeros = calloc(1, GROUP_BYTES);
    store->frozen = true;
    vb->store = store;
    vb->places = calloc(store->n_slots + 1, sizeof *vb->places);
    vb->buffers = calloc(store->n_slots + 1, sizeof *vb->buffers);
    if (scratch == NULL || zeros == NULL || vb->places == NULL || vb->buffers == NULL) {
        status = lp_fail_memory(backend->ctx, "loading the weights");
        goto cleanup;
    }
    LP_CHECK(place_slots(vb, store));
    LP_CHECK(fill_slots(vb, store, progress, user, scratch, zeros));
cleanup:
    free(scratch);
    free(zeros);
    return status;
}
