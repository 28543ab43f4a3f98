/* Programs: a plan recorded into command buffers once and submitted as often as one likes.
 *
 * All programs of a backend share one arena, since the queue runs them one after the other and each
 * recording begins with a barrier against whatever came before. When a larger program needs a
 * larger arena, it is replaced while nothing is in flight, and older programs are recorded again
 * with the new addresses before their next run. The price: activations are there until another
 * program is written to or runs. The arena's holder is remembered, so that reading a program's
 * output, or running it on inputs, after they were overwritten is an error and not garbage. */
#include <stdlib.h>
#include <string.h>

#include "vulkan/vulkan_internal.h"

enum { MAX_REPEATS = 8 }; /* runs of a short program in one batch */

struct lp_program {
    vulkan_backend *vb;
    const lp_graph *graph;
    lp_plan *plan;
    VkPipeline *pipelines;        /* per dispatch */
    uint32_t *first;              /* per command buffer: its first dispatch */
    uint32_t n_commands;          /* a run submits all of them */
    VkCommandBuffer *commands;    /* [n_commands], or the same one n_repeats times */
    gpu_batch *batches;           /* [n_commands]: one each */
    uint32_t n_repeats;           /* runs that fit into one batch; 1 if a run takes several */
    uint64_t recorded_generation; /* of the arena; 0: not recorded */
    uint64_t last_ticket;
    bool has_inputs; /* the host has written some */
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
    vb->arena_holder = NULL;
    LP_TRY(lp_vk_buffer_create(vb, BUFFER_DEVICE, bytes, "activations", &vb->arena));
    vb->bytes[2] = bytes;
    return LP_OK;
}

static uint64_t arena_bytes(const lp_program *p)
{
    return p->plan->arena.bytes ? p->plan->arena.bytes : 256;
}

static VkDeviceAddress address_of(const vulkan_backend *vb, const lp_relocation *r)
{
    if (r->buffer == LP_BUFFER_ARENA)
        return vb->arena.address + r->offset;
    const gpu_place *place = &vb->places[r->buffer - 1];
    return vb->buffers[place->buffer].address + place->offset + r->offset;
}

/* How many submits a run is cut into, each estimated to stay below submit_seconds; their first
 * dispatches go to first[n_dispatches]. *repeats: how many runs fit into one submit. */
static uint32_t cut_submits(const vulkan_backend *vb, const lp_plan *plan, uint32_t *first,
                            uint32_t *repeats)
{
    const lp_caps *caps = &vb->gpu->facts.caps;
    const double limit = vb->options.submit_seconds;
    uint32_t n = 0;
    double seconds = 0;
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        const lp_dispatch *d = &plan->dispatches[i];
        double arithmetic = d->flops / caps->flops, memory = d->bytes / caps->bytes_per_second;
        double cost = arithmetic > memory ? arithmetic : memory;
        if (i == 0 || seconds + cost > limit) {
            first[n++] = i;
            seconds = 0;
        }
        seconds += cost;
    }
    *repeats = 1;
    while (n == 1 && *repeats < MAX_REPEATS && (*repeats + 1) * seconds <= limit)
        ++*repeats;
    return n;
}

static void barrier(const vulkan_backend *vb, VkCommandBuffer commands, VkPipelineStageFlags from,
                    VkAccessFlags from_access, VkPipelineStageFlags to, VkAccessFlags to_access)
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
        if (d->n_push > 0)
            vb->vk.vkCmdPushConstants(commands, vb->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                      d->n_push, push);
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
    LP_TRY(lp_vk_wait(vb, p->last_ticket));
    p->recorded_generation = 0;
    for (uint32_t i = 0; i < p->n_commands; i++) {
        uint32_t end = i + 1 < p->n_commands ? p->first[i + 1] : p->plan->n_dispatches;
        LP_TRY(record_range(p, p->commands[i], p->first[i], end));
    }
    p->recorded_generation = vb->arena_generation;
    return LP_OK;
}

/* What would otherwise be undefined behaviour on the device. */
static lp_status check_dispatch(const vulkan_backend *vb, const lp_program *p, const lp_dispatch *d)
{
    lp_context *ctx = vb->base.ctx;
    const lp_caps *caps = &vb->gpu->facts.caps;
    const char *node = p->graph->nodes[d->node].name, *kernel = d->kernel->name;
    uint32_t n_slots = vb->places != NULL ? vb->store->n_slots : 0;
    for (int i = 0; i < 3; i++)
        if (d->groups[i] > caps->max_groups[i])
            return lp_fail(ctx, LP_E_LIMIT, "%s: %s wants %u workgroups; %s allows %u", node,
                           kernel, d->groups[i], vb->gpu->facts.name, caps->max_groups[i]);
    if (d->n_spec == 0 || d->spec[0] == 0 || d->spec[0] > caps->max_workgroup_invocations)
        return lp_fail(ctx, LP_E_LIMIT, "%s: %s wants workgroups of %u; %s allows %u", node, kernel,
                       d->n_spec ? d->spec[0] : 0, vb->gpu->facts.name,
                       caps->max_workgroup_invocations);
    if (d->n_push % 4 != 0 || d->n_push > LP_MAX_PUSH)
        return lp_fail(ctx, LP_E_ARG, "%s: %s has parameters of %u bytes", node, kernel, d->n_push);
    for (uint32_t i = 0; i < d->n_relocations; i++) {
        const lp_relocation *r = &d->relocations[i];
        if (r->push_offset % 8 != 0 || r->push_offset + 8u > d->n_push || r->buffer > n_slots)
            return lp_fail(ctx, LP_E_ARG, "%s: %s uses buffer %u of %u", node, kernel, r->buffer,
                           n_slots);
    }
    for (uint32_t i = 0; i < d->n_reads + d->n_writes; i++) {
        const lp_range *r = i < d->n_reads ? &d->reads[i] : &d->writes[i - d->n_reads];
        uint64_t size = r->buffer == LP_BUFFER_ARENA
                            ? arena_bytes(p)
                            : lp_vulkan_raw_bytes(&vb->base, r->buffer) - vb->options.guard_bytes;
        if (r->buffer > n_slots || r->offset > size || r->bytes > size - r->offset)
            return lp_fail(ctx, LP_E_ARG, "%s: %s uses %llu bytes at %llu of buffer %u", node,
                           kernel, (unsigned long long)r->bytes, (unsigned long long)r->offset,
                           r->buffer);
    }
    return LP_OK;
}

static lp_status allocate_commands(lp_program *p)
{
    const vulkan_backend *vb = p->vb;
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = vb->pool,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY};
    lp_context *ctx = vb->base.ctx;
    uint32_t n = cut_submits(vb, p->plan, p->first, &p->n_repeats);
    p->commands = calloc((size_t)n + MAX_REPEATS, sizeof *p->commands);
    p->batches = calloc((size_t)n + 1, sizeof *p->batches);
    if (p->commands == NULL || p->batches == NULL)
        return lp_fail_memory(ctx, "a program");
    info.commandBufferCount = n;
    if (n > 0)
        LP_VK(ctx, vb->vk.vkAllocateCommandBuffers(vb->device, &info, p->commands),
              "allocating command buffers");
    p->n_commands = n;
    for (uint32_t i = 0; i < n; i++)
        p->batches[i] = (gpu_batch){.first = i, .n = 1};
    for (uint32_t i = 1; i < p->n_repeats; i++)
        p->commands[i] = p->commands[0];
    return LP_OK;
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
    vb->n_programs++;
    p->pipelines = calloc((size_t)plan->n_dispatches + 1, sizeof *p->pipelines);
    p->first = calloc((size_t)plan->n_dispatches + 1, sizeof *p->first);
    if (p->pipelines == NULL || p->first == NULL) {
        status = lp_fail_memory(backend->ctx, "a program");
        goto cleanup;
    }
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        LP_CHECK(check_dispatch(vb, p, &plan->dispatches[i]));
        LP_CHECK(lp_vk_pipeline(vb, &plan->dispatches[i], &p->pipelines[i]));
    }
    LP_CHECK(reserve_arena(vb, arena_bytes(p)));
    LP_CHECK(allocate_commands(p));
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
    if (vb->lost || lp_vk_wait(vb, p->last_ticket) != LP_OK)
        vb->vk.vkDeviceWaitIdle(vb->device); /* ends, whatever happened to the device */
    if (p->n_commands > 0)
        vb->vk.vkFreeCommandBuffers(vb->device, vb->pool, p->n_commands, p->commands);
    if (vb->arena_holder == p)
        vb->arena_holder = NULL;
    vb->n_programs--;
    lp_plan_destroy(p->plan);
    free(p->pipelines);
    free(p->first);
    free(p->commands);
    free(p->batches);
    free(p);
}

/* Room in the arena, and commands that point there; both are there already in all but the first run
 * after the arena was replaced. */
static lp_status make_ready(lp_program *p)
{
    LP_TRY(reserve_arena(p->vb, arena_bytes(p)));
    return p->recorded_generation == p->vb->arena_generation ? LP_OK : record(p);
}

lp_status lp_vk_program_submit(lp_program *p, unsigned count, uint64_t *ticket)
{
    vulkan_backend *vb = p->vb;
    LP_TRY(make_ready(p));
    if (p->has_inputs && vb->arena_holder != p)
        return lp_fail(vb->base.ctx, LP_E_ARG,
                       "the inputs of this program were overwritten by another one's run");
    vb->arena_holder = p;
    *ticket = vb->ticket;
    if (p->n_commands == 0 || count == 0)
        return LP_OK;
    const char *what = p->graph->nodes[p->plan->dispatches[0].node].name;
    for (unsigned done = 0; done < count;) {
        gpu_batch batches[16];
        uint32_t n = 0;
        if (p->n_commands > 1) {
            LP_TRY(lp_vk_submit(vb, p->commands, p->batches, p->n_commands, what, ticket));
            done++;
        } else {
            for (; done < count && n < 16; done += batches[n++].n) {
                unsigned left = count - done;
                batches[n] = (gpu_batch){.n = left < p->n_repeats ? left : p->n_repeats};
            }
            LP_TRY(lp_vk_submit(vb, p->commands, batches, n, what, ticket));
        }
        p->last_ticket = *ticket;
    }
    return LP_OK;
}

/* Where an activation lies: its rows in the arena. */
static lp_status find_tensor(const lp_program *p, lp_tensor_id id, gpu_rows *rows)
{
    lp_context *ctx = p->vb->base.ctx;
    if (id >= p->graph->n_tensors)
        return lp_fail(ctx, LP_E_ARG, "tensor %u of %u", id, p->graph->n_tensors);
    const lp_tensor *t = &p->graph->tensors[id];
    uint64_t row = (uint64_t)lp_shape_row(t->shape) * sizeof(float);
    uint64_t start = p->plan->arena.tensor_offset[id];
    if (t->slot != LP_NONE || start == UINT64_MAX ||
        start + lp_tensor_extent(t) * sizeof(float) > arena_bytes(p))
        return lp_fail(ctx, LP_E_ARG, "%s is no activation of this program", t->name);
    *rows = (gpu_rows){start, row, (uint64_t)t->shape.dim[0], t->stride * sizeof(float)};
    return LP_OK;
}

lp_status lp_vk_tensor_read(lp_program *p, lp_tensor_id tensor, float *to)
{
    gpu_rows rows;
    LP_TRY(find_tensor(p, tensor, &rows));
    if (p->vb->arena_holder != p)
        return lp_fail(p->vb->base.ctx, LP_E_ARG,
                       "%s: this program has not run since another one used the memory",
                       p->graph->tensors[tensor].name);
    return lp_vk_read_rows(p->vb, &p->vb->arena, rows, to);
}

lp_status lp_vk_tensor_write(lp_program *p, lp_tensor_id tensor, const float *from)
{
    gpu_rows rows;
    LP_TRY(find_tensor(p, tensor, &rows));
    LP_TRY(make_ready(p));
    p->has_inputs = true;
    p->vb->arena_holder = p;
    return lp_vk_write_rows(p->vb, &p->vb->arena, rows, from);
}

const lp_plan *lp_vulkan_program_plan(const lp_program *program)
{
    return program->plan;
}

uint32_t lp_vulkan_program_submits(const lp_program *program)
{
    return program->n_commands;
}
