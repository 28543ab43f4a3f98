/* Faults that are a dispatch of shaders/fault.comp behind the node's own: it changes what the node
 * has computed. ("llama.cpp" is github.com/ggml-org/llama.cpp.) */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "check/fault_site.h"
#include "params.h"

enum { SET, MULTIPLY, ADD_VECTOR, HALF, MASK }; /* MODE of the kernel */
enum { SIZE = 64, ONE_RUN_IN = 10 };

/* The activation that the node writes, or NULL. */
static const lp_tensor *output_of(const lp_fault_site *s)
{
    lp_tensor_id id = node_of(s)->dst[0];
    if (id == LP_NONE || s->graph->tensors[id].slot != LP_NONE)
        return NULL;
    return &s->graph->tensors[id];
}

static uint64_t output_offset(const lp_fault_site *s)
{
    return s->plan->arena.tensor_offset[node_of(s)->dst[0]];
}

/* A dispatch of the node's own behind its others. NULL when out of memory: the plan is marked. */
static lp_dispatch *append(const lp_fault_site *s, uint32_t mode, lp_fault_params push)
{
    lp_plan *plan = s->plan;
    const uint32_t at = s->first + s->n;
    if (plan->n_dispatches == plan->capacity) {
        lp_dispatch *more = realloc(plan->dispatches, (plan->capacity + 16) * sizeof *more);
        if (more == NULL) {
            plan->failed = true;
            return NULL;
        }
        plan->dispatches = more;
        plan->capacity += 16;
    }
    lp_dispatch *d = &plan->dispatches[at];
    memmove(d + 1, d, (plan->n_dispatches - at) * sizeof *d);
    plan->n_dispatches++;
    if (at + 1 < plan->n_dispatches)
        d[1].barrier = true;
    const uint32_t size = push.count == 1 ? 1 : SIZE, groups = (push.count + size - 1) / size;
    const uint32_t wide = groups < 65535 ? groups : 65535;
    *d = (lp_dispatch){.kernel = lp_kernel_by_name("fault"),
                       .node = s->node,
                       .groups = {wide, (groups + wide - 1) / wide, 1},
                       .spec = {size, mode},
                       .n_spec = 2,
                       .n_push = sizeof push,
                       .bytes = 8.0 * push.count,
                       .flops = push.count,
                       .barrier = true};
    memcpy(d->push, &push, sizeof push);
    const lp_range y = {.buffer = LP_BUFFER_ARENA,
                        .offset = output_offset(s),
                        .bytes = lp_tensor_extent(output_of(s)) * sizeof(float)};
    d->relocations[d->n_relocations++] = (lp_relocation){
        .push_offset = offsetof(lp_fault_params, y), .buffer = y.buffer, .offset = y.offset};
    d->reads[d->n_reads++] = d->writes[d->n_writes++] = y;
    return d;
}

/* Changes `count` elements of the node's output, `step` apart. */
static lp_dispatch *change(const lp_fault_site *s, uint32_t mode, uint32_t bits, uint64_t first,
                           uint64_t step, uint64_t count)
{
    const lp_tensor *y = output_of(s);
    if (y == NULL || count == 0)
        return NULL;
    return append(s, mode,
                  (lp_fault_params){.n = (uint32_t)lp_shape_row(y->shape),
                                    .y_stride = (uint32_t)y->stride,
                                    .first = (uint32_t)first,
                                    .step = (uint32_t)step,
                                    .count = (uint32_t)count,
                                    .bits = bits,
                                    .every = 1});
}

static bool change_all(const lp_fault_site *s, uint32_t mode, uint32_t bits)
{
    const lp_tensor *y = output_of(s);
    return y != NULL && change(s, mode, bits, 0, 1, (uint64_t)lp_shape_elements(y->shape)) != NULL;
}

/* One element, two thirds into the output. */
static lp_dispatch *change_one(const lp_fault_site *s, uint32_t mode, uint32_t bits)
{
    const lp_tensor *y = output_of(s);
    if (y == NULL)
        return NULL;
    return change(s, mode, bits, (uint64_t)lp_shape_elements(y->shape) * 2 / 3, 1, 1);
}

bool lp_plant_not_a_number(const lp_fault_site *s)
{
    return change_one(s, SET, 0x7fc00000) != NULL;
}

bool lp_plant_infinity(const lp_fault_site *s)
{
    return change_one(s, SET, 0x7f800000) != NULL;
}

bool lp_plant_one_element(const lp_fault_site *s)
{
    return change_one(s, MULTIPLY, bits_of(1.25f)) != NULL;
}

bool lp_plant_through_half(const lp_fault_site *s)
{
    return change_all(s, HALF, bits_of(1));
}

/* Largest half 65504 times the unit is 1: vllm-vulkan and llama.cpp #18969, a sum in half
 * precision. */
bool lp_plant_half_overflow(const lp_fault_site *s)
{
    return change_all(s, HALF, bits_of(1.0f / 65536));
}

bool lp_plant_ten_bits(const lp_fault_site *s)
{
    return change_all(s, MASK, 0xffffe000);
}

bool lp_plant_low_bits(const lp_fault_site *s)
{
    return change_all(s, MASK, 0xffffff00);
}

/* The counter is a word of the sampler's state that nothing else uses. */
bool lp_plant_race(const lp_fault_site *s)
{
    uint32_t slot = lp_store_find(s->graph->store, "sampler");
    if (slot == UINT32_MAX)
        return false;
    lp_dispatch *d = change_one(s, MULTIPLY, bits_of(1.25f));
    if (d == NULL)
        return false;
    const lp_range counter = {.buffer = LP_BUFFER_SLOT(slot),
                              .offset = (LP_SAMPLER_WORDS - 1) * sizeof(uint32_t),
                              .bytes = sizeof(uint32_t)};
    set_word(d, offsetof(lp_fault_params, every), ONE_RUN_IN);
    d->relocations[d->n_relocations++] =
        (lp_relocation){.push_offset = offsetof(lp_fault_params, counter),
                        .buffer = counter.buffer,
                        .offset = counter.offset};
    d->reads[d->n_reads++] = d->writes[d->n_writes++] = counter;
    return true;
}

/* Up to 16 numbers behind the output, or before it where the arena ends. The ranges still say that
 * the output is all that is written. */
bool lp_plant_stray_write(const lp_fault_site *s)
{
    enum { STRAY = 16 };
    const lp_tensor *y = output_of(s);
    if (y == NULL)
        return false;
    const uint64_t end = output_offset(s) + lp_tensor_extent(y) * sizeof(float);
    const uint64_t room = (s->plan->arena.bytes - end) / sizeof(float);
    if (room == 0 && output_offset(s) < STRAY * sizeof(float))
        return false;
    lp_dispatch *d = change(s, SET, bits_of(1000), 0, 1, room > 0 && room < STRAY ? room : STRAY);
    if (d == NULL)
        return false;
    relocation(d, offsetof(lp_fault_params, y))->offset =
        room > 0 ? end : output_offset(s) - STRAY * sizeof(float);
    set_word(d, offsetof(lp_fault_params, n), STRAY);
    return true;
}

/* The bias of a linear or a norm. */
bool lp_plant_bias_twice(const lp_fault_site *s)
{
    const lp_node *node = node_of(s);
    const bool linear = node->op == LP_OP_LINEAR;
    const lp_tensor_id bias = node->src[2];
    if (bias == LP_NONE || (linear && node->src[6] != LP_NONE) ||
        (linear && (node->p.linear.act != LP_ACT_NONE || node->src[3] != LP_NONE)))
        return false;
    const uint32_t slot = s->graph->tensors[bias].slot;
    if (slot == LP_NONE || !change_all(s, ADD_VECTOR, 0))
        return false;
    lp_dispatch *d = &s->plan->dispatches[s->first + s->n];
    d->relocations[d->n_relocations++] = (lp_relocation){
        .push_offset = offsetof(lp_fault_params, vector), .buffer = LP_BUFFER_SLOT(slot)};
    d->reads[d->n_reads++] =
        (lp_range){.buffer = LP_BUFFER_SLOT(slot),
                   .bytes = lp_slot_device_bytes(&s->graph->store->slots[slot])};
    return true;
}
