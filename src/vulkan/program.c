/* Programs: a plan recorded into command buffers once and submitted as often as one likes.
 *
 * All programs of a backend share one arena, since the queue runs them one after the other and each
 * recording begins with a barrier against whatever came before. When a larger program needs a
 * larger arena, it is replaced while nothing is in flight, and older programs are recorded again
 * with the new addresses before their next run; activations do not survive that. */
#include <stdlib.h>
#include <string.h>

#include "vulkan/vulkan_internal.h"

struct lp_program {
    vulkan_backend *vb;
    const lp_graph *graph;
    lp_plan *plan;
    VkPipeline *pipelines; /* per dispatch */
    VkCommandBuffer *commands;
    uint32_t n_commands; /* allocated; a run submits all of them */
    uint64_t recorded_generation; /* of the arena; 0: not recorded */
    uint64_t last_ticket;
};

/* Room for `bytes` of activations. */
static lp_status reserve_arena(vulkan_backend *vb, uint64_t bytes)
{
    if (bytes <= vb->arena.bytes)
        return LP_OK;
    LP_TRY(lp_vk_wait(vb, vb->ticket));
    vb->bytes[2] = 0;
    lp_vk_buffer_destroy(vb, &vb->arena);
    vb->arena_generation++;
    lp_status status =
        lp_vk_buffer_create(vb, BUFFER_DEVICE, bytes, "activations", &vb->arena);
    if (status != LP_OK) {
        lp_vk_buffer_destroy(vb, &vb->arena);
        return status;
    }
    vb->bytes[2] = bytes;
    return LP_OK;
}

static VkDeviceAddress address_of(const vulkan_backend *vb, const lp_relocation *r)
{
    if (r->buffer == LP_BUFFER_ARENA)
        return vb->arena.address + r->offset;
    const gpu_place *place = &vb->places[r->buffer - 1];
    return vb->buffers[place->buffer].address + place->offset + r->offset;
}

/* How many submits a run is cut into, each estimated to stay below submit_seconds; their first
 * dispatches go to first[], unless it is NULL. */
static uint32_t cut_submits(const vulkan_backend *vb, const lp_plan *plan, uint32_t *first)
{
    const lp_caps *caps = &vb->gpu->facts.caps;
    uint32_t n = 0;
    double seconds = 0;
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        const lp_dispatch *d = &plan->dispatches[i];
        double arithmetic = d->flops / caps->flops, memory = d->bytes / caps->bytes_per_second;
        double cost = arithmetic > memory ? arithmetic : memory;
        if (i == 0 || seconds + cost > vb->submit_seconds) {
            if (first != NULL)
                first[n] = i;
            n++;
            seconds = 0;
        }
        seconds += cost;
    }
    return n;
}

static void barrier(const vulkan_backend *vb, VkCommandBuffer commands,
                    VkPipelineStageFlags from, VkAccessFlags from_access, VkPipelineStageFlags to,
                    VkAccessFlags to_access)
{
    VkMemoryBarrier memory = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                              .srcAccessMask = from_access,
                              .dstAccessMask = to_access};
    vb->vk.vkCmdPipelineBarrier(commands, from, to, 0, 1, &memory, 0, NULL, 0, NULL);
}

static lp_status record_range(lp_program *p, VkCommandBuffer commands, uint32_t from, uint32_t to)
{
    const vulkan_backend *vb = p->vb;
    const VkAccessFlags use = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
    const VkPipelineStageFlags compute = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT};
    LP_VK(vb->base.ctx, vb->vk.vkBeginCommandBuffer(commands, &begin), "recording");
    barrier(vb, commands, compute | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, compute, use);
    VkPipeline bound = VK_NULL_HANDLE;
    for (uint32_t i = from; i < to; i++) {
        const lp_dispatch *d = &p->plan->dispatches[i];
        uint8_t push[LP_MAX_PUSH];
        memcpy(push, d->push, d->n_push);
        for (uint32_t r = 0; r < d->n_relocations; r++) {
            VkDeviceAddress address = address_of(vb, &d->relocations[r]);
            memcpy(push + d->relocations[r].push_offset, &address, sizeof address);
        }
        if (d->barrier && i > from)
            barrier(vb, commands, compute, VK_ACCESS_SHADER_WRITE_BIT, compute, use);
        if (p->pipelines[i] != bound) {
            bound = p->pipelines[i];
            vb->vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, bound);
        }
        vb->vk.vkCmdPushConstants(commands, vb->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, d->n_push,
                                  push);
        vb->vk.vkCmdDispatch(commands, d->groups[0], d->groups[1], d->groups[2]);
    }
    if (to == p->plan->n_dispatches)
        barrier(vb, commands, compute, VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                VK_ACCESS_HOST_READ_BIT);
    LP_VK(vb->base.ctx, vb->vk.vkEndCommandBuffer(commands), "recording");
    return LP_OK;
}

static lp_status record(lp_program *p)
{
    vulkan_backend *vb = p->vb;
    lp_status status = LP_OK;
    LP_TRY(lp_vk_wait(vb, p->last_ticket));
    uint32_t *first = malloc((p->n_commands + 1) * sizeof *first);
    if (first == NULL)
        return lp_fail_memory(vb->base.ctx, "a program");
    cut_submits(vb, p->plan, first);
    first[p->n_commands] = p->plan->n_dispatches;
    for (uint32_t i = 0; i < p->n_commands; i++)
        LP_CHECK(record_range(p, p->commands[i], first[i], first[i + 1]));
    p->recorded_generation = vb->arena_generation;
cleanup:
    free(first);
    return status;
}

lp_status lp_vulkan_program_from_plan(lp_backend *backend, const lp_graph *graph, lp_plan *plan,
                                      lp_program **result)
{
    vulkan_backend *vb = (vulkan_backend *)backend;
    lp_status status = LP_OK;
    lp_program *p = calloc(1, sizeof *p);
    *result = NULL;
    if (p == NULL) {
        lp_plan_destroy(plan);
        return lp_fail_memory(backend->ctx, "a program");
    }
    p->vb = vb;
    p->graph = graph;
    p->plan = plan;
    uint32_t n = cut_submits(vb, plan, NULL);
    p->pipelines = calloc(plan->n_dispatches + 1, sizeof *p->pipelines);
    p->commands = calloc(n + 1, sizeof(VkCommandBuffer));
    if (p->pipelines == NULL || p->commands == NULL) {
        status = lp_fail_memory(backend->ctx, "a program");
        goto cleanup;
    }
    for (uint32_t i = 0; i < plan->n_dispatches; i++)
        LP_CHECK(lp_vk_pipeline(vb, &plan->dispatches[i], &p->pipelines[i]));
    LP_CHECK(reserve_arena(vb, plan->arena.bytes + 256));
    if (n > 0) {
        VkCommandBufferAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
            .commandPool = vb->pool,
            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
            .commandBufferCount = n};
        VkResult vk = vb->vk.vkAllocateCommandBuffers(vb->device, &info, p->commands);
        if (vk != VK_SUCCESS) {
            status = lp_vulkan_fail(backend->ctx, vk, "allocating command buffers");
            goto cleanup;
        }
        p->n_commands = n;
    }
    LP_CHECK(record(p));
    *result = p;
    return LP_OK;
cleanup:
    lp_vk_program_destroy(p);
    return status;
}

lp_status lp_vk_program_create(lp_backend *backend, const lp_graph *graph, lp_plan_options options,
                               lp_program **program)
{
    lp_plan *plan;
    LP_TRY(lp_plan_create(backend->ctx, graph, lp_vulkan_backend_caps(backend), options, &plan));
    return lp_vulkan_program_from_plan(backend, graph, plan, program);
}

void lp_vk_program_destroy(lp_program *p)
{
    if (p == NULL)
        return;
    vulkan_backend *vb = p->vb;
    if (p->n_commands > 0)
        vb->vk.vkFreeCommandBuffers(vb->device, vb->pool, p->n_commands, p->commands);
    lp_plan_destroy(p->plan);
    free(p->pipelines);
    free(p->commands);
    free(p);
}

lp_status lp_vk_program_submit(lp_program *p, unsigned count, uint64_t *ticket)
{
    vulkan_backend *vb = p->vb;
    if (p->recorded_generation != vb->arena_generation)
        LP_TRY(record(p));
    for (unsigned i = 0; i < count; i++)
        LP_TRY(lp_vk_submit(vb, p->commands, p->n_commands, &p->last_ticket));
    *ticket = p->last_ticket;
    return LP_OK;
}

/* Rows of an activation between its place in the arena and contiguous host memory. */
static lp_status tensor_copy(lp_program *p, lp_tensor_id id, float *to, const float *from)
{
    const lp_tensor *t = &p->graph->tensors[id];
    uint64_t start = p->plan->arena.tensor_offset[id];
    uint64_t row = (uint64_t)lp_shape_row(t->shape) * sizeof(float);
    uint64_t n_rows = (uint64_t)t->shape.dim[0], stride = t->stride * sizeof(float);
    if (stride == row) { /* one piece */
        row *= n_rows;
        n_rows = 1;
    }
    for (uint64_t i = 0; i < n_rows; i++) {
        uint64_t at = start + i * stride;
        if (to != NULL)
            LP_TRY(lp_vk_read(p->vb, &p->vb->arena, at, (uint8_t *)to + i * row, row));
        else
            LP_TRY(lp_vk_write(p->vb, &p->vb->arena, at, (const uint8_t *)from + i * row, row));
    }
    return LP_OK;
}

lp_status lp_vk_tensor_read(lp_program *program, lp_tensor_id tensor, float *to)
{
    return tensor_copy(program, tensor, to, NULL);
}

lp_status lp_vk_tensor_write(lp_program *program, lp_tensor_id tensor, const float *from)
{
    return tensor_copy(program, tensor, NULL, from);
}

const lp_plan *lp_vulkan_program_plan(const lp_program *program)
{
    return program->plan;
}

uint32_t lp_vulkan_program_submits(const lp_program *program)
{
    return program->n_commands;
}
