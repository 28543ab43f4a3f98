/* Probes: see probe.h. */
#include "check/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "params.h"

enum {
    WORDS = 6,         /* per invocation, of shaders/subgroups.comp */
    INVOCATIONS = 512, /* in all */
    LARGE = 128,       /* Vulkan's guaranteed size of a workgroup, used by linear_mv */
    WIDTH = 1024       /* outputs and inputs of the heavy op */
};

/* ---- Graphs -------------------------------------------------------------------------------- */

static lp_status subgroup_graph(lp_case_table *table, lp_probe *probe)
{
    lp_builder b;
    LP_TRY(lp_builder_start(&b, table->ctx, &table->store, table->weights, 1));
    probe->words = lp_state_tensor(&b, LP_SLOT_STATE, LP_I32, LP_SHAPE2(INVOCATIONS, WORDS),
                                   "subgroups/words");
    /* a plan's dispatch belongs to a node; which one does not matter */
    lp_advance(
        &b, "subgroups",
        lp_state_tensor(&b, LP_SLOT_STATE, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), "subgroups/cursor"),
        1);
    return lp_builder_finish(&b, true, &probe->subgroups);
}

/* Halves with small values: the low bits of their index. */
static lp_status add_weight(lp_case_table *table, const char *name, lp_shape shape)
{
    lp_file memory;
    const size_t n = (size_t)lp_shape_elements(shape);
    LP_TRY(lp_file_memory(table->ctx, 2 * n, name, &memory));
    uint16_t *data = (uint16_t *)(uintptr_t)memory.data;
    for (size_t i = 0; i < n; i++)
        data[i] = (uint16_t)(0x2000 | (i & 0x3ff));
    const lp_weight weight = {
        .name = name, .dtype = LP_F16, .shape = shape, .data = data, .bytes = 2 * n};
    lp_status status = lp_weights_own_file(table->ctx, table->weights, &memory);
    lp_file_close(&memory); /* of no effect if it is owned now */
    return status == LP_OK ? lp_weights_add(table->ctx, table->weights, &weight) : status;
}

static lp_status heavy_graph(lp_case_table *table, const lp_caps *caps, lp_probe *probe)
{
    /* about a twentieth of a second by the estimate, but no more memory than 32 MiB */
    const double tokens = 0.05 * caps->flops / (2.0 * WIDTH * WIDTH);
    const int32_t t = tokens < 1 ? 1 : tokens > 4096 ? 4096 : (int32_t)tokens;
    lp_builder b;
    LP_TRY(add_weight(table, "heavy.weight", LP_SHAPE2(WIDTH, WIDTH)));
    LP_TRY(lp_builder_start(&b, table->ctx, &table->store, table->weights, t));
    lp_tensor_id w = lp_weight_tensor(&b, LP_SHAPE2(WIDTH, WIDTH), "heavy.weight");
    lp_tensor_id x = lp_input(&b, "heavy.x", LP_SHAPE2(t, WIDTH));
    lp_output(&b, lp_linear(&b, "heavy", x, w, LP_NONE), "heavy.y");
    return lp_builder_finish(&b, true, &probe->heavy);
}

lp_status lp_probe_create(lp_case_table *table, const lp_caps *caps, lp_probe *probe)
{
    *probe = (lp_probe){0};
    if (caps == NULL)
        return LP_OK;
    lp_status status = heavy_graph(table, caps, probe);
    if (status == LP_OK && (caps->has & LP_NEED_SUBGROUP_ARITH))
        status = subgroup_graph(table, probe);
    if (status != LP_OK)
        lp_probe_destroy(probe);
    return status;
}

void lp_probe_destroy(lp_probe *probe)
{
    lp_graph_destroy(probe->subgroups);
    lp_graph_destroy(probe->heavy);
    *probe = (lp_probe){0};
}

/* ---- Subgroups ----------------------------------------------------------------------------- */

/* The kernel over all invocations in workgroups of `size`. */
static lp_status subgroup_program(const lp_probe *probe, lp_backend *device, uint32_t size,
                                  lp_program **program)
{
    lp_context *ctx = device->ctx;
    const lp_caps *caps = device->table->caps(device);
    const lp_plan_options options = {0};
    const lp_subgroups_params push = {0};
    const lp_kernel *kernel = NULL;
    lp_plan *plan;
    LP_TRY(lp_plan_create(ctx, probe->subgroups, caps, options, &plan));
    plan->n_dispatches = 0;
    lp_planner pl = {
        .ctx = ctx, .graph = probe->subgroups, .caps = caps, .options = &options, .plan = plan};
    lp_status status = lp_plan_kernel(&pl, "subgroups", "u32", &kernel);
    if (status != LP_OK) {
        lp_plan_destroy(plan);
        return status;
    }
    lp_dispatch *d = lp_plan_dispatch(&pl, kernel, INVOCATIONS / size, 1, 1, &push, sizeof push);
    lp_dispatch_spec(d, 0, size);
    lp_dispatch_tensor(&pl, d, offsetof(lp_subgroups_params, to), probe->words, LP_WRITE);
    return device->table->program_from_plan(device, probe->subgroups, plan, program);
}

/* One workgroup's words: every place in every subgroup is taken once, and each sum is right. */
static bool check_workgroup(const uint32_t *words, uint32_t size, uint32_t asked, char *text)
{
    bool taken[LARGE] = {false};
    uint32_t sums[LARGE] = {0};
    for (uint32_t i = 0; i < size; i++) {
        const uint32_t *w = words + WORDS * i;
        if (w[0] != asked || w[1] != size / asked || w[2] >= w[1] || w[3] >= asked ||
            taken[w[2] * asked + w[3]]) {
            snprintf(text, 200,
                     "asked for subgroups of %u in workgroups of %u, invocation %u is number %u of "
                     "%u in subgroup %u of %u",
                     asked, size, i, w[3], w[0], w[2], w[1]);
            return false;
        }
        taken[w[2] * asked + w[3]] = true;
        sums[w[2]] += i + 1;
    }
    for (uint32_t i = 0; i < size; i++) {
        const uint32_t *w = words + WORDS * i;
        float sum;
        memcpy(&sum, &w[5], sizeof sum);
        if (w[4] != sums[w[2]] || sum != (float)sums[w[2]]) {
            snprintf(text, 200,
                     "subgroups of %u in workgroups of %u: the sum %u comes out as %u, in floats "
                     "as %g",
                     asked, size, sums[w[2]], w[4], (double)sum);
            return false;
        }
    }
    return true;
}

static lp_status probe_size(const lp_probe *probe, lp_backend *device, uint32_t size, bool *right,
                            char *text)
{
    const lp_backend_table *table = device->table;
    const uint32_t slot = probe->subgroups->tensors[probe->words].slot;
    const uint32_t asked = table->caps(device)->subgroup_size;
    uint32_t words[INVOCATIONS * WORDS];
    lp_program *program = NULL;
    uint64_t ticket = 0;
    memset(words, 0xff, sizeof words);
    LP_TRY(subgroup_program(probe, device, size, &program));
    lp_status status = table->slot_write(device, slot, 0, words, sizeof words);
    if (status == LP_OK)
        status = table->submit(program, 1, &ticket);
    if (status == LP_OK)
        status = table->wait(device, ticket);
    if (status == LP_OK)
        status = table->slot_read(device, slot, 0, words, sizeof words);
    table->program_destroy(program);
    for (uint32_t first = 0; status == LP_OK && *right && first < INVOCATIONS; first += size)
        *right = check_workgroup(words + WORDS * first, size, asked, text);
    return status;
}

lp_status lp_probe_subgroups(const lp_probe *probe, lp_backend *device, bool *right, char *text)
{
    const lp_caps *caps = device->table->caps != NULL ? device->table->caps(device) : NULL;
    *right = true;
    snprintf(text, 200, "not used: the driver does not promise full subgroups of one size");
    if (caps == NULL || probe->subgroups == NULL)
        return LP_OK;
    const uint32_t size = caps->subgroup_size;
    LP_TRY(probe_size(probe, device, size, right, text));
    if (*right && size < LARGE)
        LP_TRY(probe_size(probe, device, LARGE, right, text));
    if (*right)
        snprintf(text, 200, "full, of %u as asked for, and their sums are right", size);
    return LP_OK;
}

/* ---- The heavy dispatch -------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

lp_status lp_probe_heavy(const lp_probe *probe, lp_backend *device, lp_plan_options options,
                         double *estimated, double *measured)
{
    enum { N_RUNS = 3 };
    const lp_backend_table *table = device->table;
    lp_program *program = NULL;
    lp_status status = LP_OK;
    *estimated = *measured = 0;
    LP_TRY(table->program_create(device, probe->heavy, options, &program));
    const lp_tensor_id x = lp_graph_find(probe->heavy, "heavy.x");
    const int64_t n = lp_shape_elements(probe->heavy->tensors[x].shape);
    float *values = malloc((size_t)n * sizeof *values);
    if (values == NULL) {
        status = lp_fail_memory(device->ctx, "a probe");
        goto cleanup;
    }
    for (int64_t i = 0; i < n; i++)
        values[i] = (float)(i % 17) - 8;
    LP_CHECK(table->tensor_write(program, x, values));

    const lp_plan *plan = table->program_plan(program);
    const lp_caps *caps = table->caps(device);
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        const double a = plan->dispatches[i].flops / caps->flops;
        const double b = plan->dispatches[i].bytes / caps->bytes_per_second;
        *estimated += a > b ? a : b;
    }
    for (int i = 0; i < N_RUNS; i++) { /* the first one warms up; of the others the longer */
        uint64_t ticket = 0;
        const double begin = seconds();
        LP_CHECK(table->submit(program, 1, &ticket));
        LP_CHECK(table->wait(device, ticket));
        const double length = seconds() - begin;
        if (i > 0 && length > *measured)
            *measured = length;
    }
cleanup:
    free(values);
    table->program_destroy(program);
    return status;
}
