// The Vulkan executor itself, apart from what kernels compute: devices, memory, upload, copies,
// programs, many of them in flight, several devices at once. Cases run with device memory mapped
// and with all copies staged, since test drivers always map it and graphics cards often do not.
#include "support/vulkan_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"

static void devices(void **state)
{
    (void)state;
    assert_true(lp_vulkan_count(rig_vulkan) >= (rig_driver("both") ? 2 : 1));
    assert_null(lp_vulkan_gpu(rig_vulkan, lp_vulkan_count(rig_vulkan)));
    for (uint32_t i = 0; i < lp_vulkan_count(rig_vulkan); i++) {
        const lp_gpu *gpu = lp_vulkan_gpu(rig_vulkan, i);
        const lp_caps *caps = &gpu->caps;
        assert_true(gpu->name[0] != '\0' && gpu->driver[0] != '\0' && gpu->api_version != 0);
        if (gpu->unusable[0] != '\0')
            continue;
        assert_true(gpu->api_version >= VK_API_VERSION_1_2 && gpu->memory_bytes > 0);
        assert_true(gpu->max_allocation_bytes >= 1u << 30); // Vulkan's minimum
        assert_true(caps->subgroup_min <= caps->subgroup_size &&
                    caps->subgroup_size <= caps->subgroup_max && caps->subgroup_max <= 128);
        assert_int_equal(caps->subgroup_size & (caps->subgroup_size - 1), 0);
        assert_true(caps->max_shared_bytes >= 16384 && caps->max_workgroup_invocations >= 128);
        assert_true(caps->max_groups[0] >= 65535 && caps->n_cores > 0);
        assert_true(caps->flops > 0 && caps->bytes_per_second > 0);
        assert_int_equal(caps->is_cpu, gpu->type == LP_GPU_CPU);
        assert_int_equal((caps->has & LP_NEED_FP16) != 0, gpu->fp16);
        assert_int_equal((caps->has & LP_NEED_STORAGE16) != 0, gpu->storage16);
        assert_int_equal((caps->has & LP_NEED_INT64) != 0, gpu->int64);
        assert_int_equal((caps->has & LP_NEED_COOPMAT) != 0, gpu->coopmat);
    }
    const lp_gpu *gpu = lp_vulkan_gpu(rig_vulkan, 0);
    if (rig_driver("swiftshader")) // the poorest device worth supporting
        assert_int_equal(gpu->caps.has & ~(LP_NEED_SUBGROUP_ARITH | LP_NEED_INT8DOT), 0);
    if (rig_driver("lavapipe"))
        assert_true(gpu->fp16 && gpu->storage16 && gpu->storage8 && gpu->int64 && gpu->uma &&
                    gpu->type == LP_GPU_CPU);
    if (rig_driver("lavapipe128")) // Mesa offers no matrices there
        assert_int_equal(gpu->caps.subgroup_size, 4);
    else if (rig_driver("lavapipe"))
        assert_true(gpu->coopmat && gpu->coopmat2);
    if (rig_driver("lavapipe512"))
        assert_int_equal(gpu->caps.subgroup_size, 16);
    lp_backend *backend = NULL;
    assert_int_equal(lp_vulkan_backend_create(&rig_ctx, rig_vulkan, lp_vulkan_count(rig_vulkan),
                                              (lp_vulkan_options){0}, &backend),
                     LP_E_MISSING);
    assert_null(backend);
}

// A second list of devices, without the validation layer, beside the first.
static void two_instances(void **state)
{
    (void)state;
    lp_vulkan *other = NULL;
    rig_ok(lp_vulkan_create(&rig_ctx, false, &other));
    assert_int_equal(lp_vulkan_count(other), lp_vulkan_count(rig_vulkan));
    for (uint32_t i = 0; i < lp_vulkan_count(other); i++)
        assert_string_equal(lp_vulkan_gpu(other, i)->name, lp_vulkan_gpu(rig_vulkan, i)->name);
    lp_vulkan_destroy(other);
    lp_vulkan_destroy(NULL);
}

typedef struct slot_case {
    lp_dtype dtype;
    lp_shape shape;
} slot_case;

// Weights lie as lp_layout_pack() says, whatever way they took; states are zero; guards stay.
static void slots(const lp_vulkan_options *options)
{
    const slot_case cases[] = {
        {LP_F32, {2, {3, 70, 1, 1}}},       {LP_F16, {2, {5, 64, 1, 1}}},
        {LP_BF16, {1, {1000, 1, 1, 1}}},    {LP_Q8_0, {2, {33, 96, 1, 1}}},
        {LP_Q4_0, {2, {2000, 416, 1, 1}}},  {LP_F32, {2, {2, 2500000, 1, 1}}}, // rows of 10 MB
        {LP_Q8_0, {2, {40000, 256, 1, 1}}}, // several groups of rows
    };
    enum { N_CASES = sizeof cases / sizeof *cases, STATE = N_CASES, TABLE, HOST };
    lp_store store = {0};
    lp_file files[N_CASES];
    uint32_t index;
    char name[16];
    for (int i = 0; i < N_CASES; i++) {
        size_t bytes = (size_t)lp_dtype_file_bytes(cases[i].dtype, cases[i].shape);
        rig_ok(lp_file_memory(&rig_ctx, bytes, "a weight", &files[i]));
        uint16_t *words = (uint16_t *)(uintptr_t)files[i].data;
        for (size_t j = 0; j < bytes / 2; j++)
            words[j] = (uint16_t)((j * 2654435761u) >> 11 & 0x3bff); // finite in every type
        snprintf(name, sizeof name, "w%d", i);
        const lp_slot slot = {.name = name,
                              .kind = LP_SLOT_WEIGHT,
                              .dtype = cases[i].dtype,
                              .shape = cases[i].shape,
                              .data = files[i].data};
        rig_ok(lp_store_slot(&rig_ctx, &store, &slot, &index));
    }
    static const float table[5] = {1, 2, 3, 4, 5};
    const lp_slot more[] = {
        {.name = "state", .kind = LP_SLOT_STATE, .dtype = LP_F16, .shape = LP_SHAPE2(9, 11)},
        {.name = "table",
         .kind = LP_SLOT_TABLE,
         .dtype = LP_F32,
         .shape = LP_SHAPE1(5),
         .data = table},
        {.name = "host", .kind = LP_SLOT_HOST, .dtype = LP_I32, .shape = LP_SHAPE1(3)},
    };
    for (int i = 0; i < 3; i++)
        rig_ok(lp_store_slot(&rig_ctx, &store, &more[i], &index));

    lp_backend *b = rig_open(0, *options);
    rig_ok(b->table->load(b, &store, NULL, NULL));
    assert_true(store.frozen);
    uint64_t memory[4], weights = 0;
    b->table->memory(b, memory);
    for (int i = 0; i < N_CASES; i++) {
        lp_layout layout = lp_layout_of(cases[i].dtype, cases[i].shape);
        uint64_t n_rows = cases[i].shape.n == 1 ? 1 : (uint64_t)cases[i].shape.dim[0];
        uint8_t *expected = calloc(1, layout.bytes), *got = malloc(layout.bytes);
        assert_true(expected != NULL && got != NULL);
        lp_layout_pack(cases[i].dtype, cases[i].shape, files[i].data, 0, n_rows, expected,
                       expected + layout.scale_offset);
        rig_ok(lp_vulkan_raw_read(b, LP_BUFFER_SLOT((uint32_t)i), 0, got, layout.bytes));
        assert_memory_equal(got, expected, layout.bytes);
        weights += layout.bytes;
        free(expected);
        free(got);
    }
    assert_true(memory[0] >= weights && memory[0] < weights + 20 * (256 + options->guard_bytes));

    uint8_t bytes[256], zeros[256] = {0};
    rig_ok(b->table->slot_read(b, STATE, 0, bytes, 9 * 11 * 2));
    assert_memory_equal(bytes, zeros, 9 * 11 * 2);
    rig_ok(b->table->slot_read(b, TABLE, 0, bytes, sizeof table));
    assert_memory_equal(bytes, table, sizeof table);
    for (uint32_t slot = STATE; slot <= HOST; slot++) {
        uint64_t size = lp_slot_device_bytes(&store.slots[slot]);
        if (options->guard_bytes)
            rig_ok(lp_vulkan_raw_fill(b, LP_BUFFER_SLOT(slot), size, options->guard_bytes,
                                      0xdeadbeefu));
        rig_ok(b->table->slot_write(b, slot, 3, "lapilli", 7));
        rig_ok(b->table->slot_read(b, slot, 2, bytes, 9));
        assert_memory_equal(bytes + 1, "lapilli", 7);
        rig_ok(b->table->slot_write(b, slot, size - 1, "x", 1));
        assert_int_equal(b->table->slot_write(b, slot, size, "x", 1), LP_E_ARG);
        assert_int_equal(b->table->slot_read(b, slot, UINT64_MAX, bytes, 2), LP_E_ARG);
        for (uint64_t at = size; at < lp_vulkan_raw_bytes(b, LP_BUFFER_SLOT(slot)); at += 4) {
            uint32_t word;
            rig_ok(lp_vulkan_raw_read(b, LP_BUFFER_SLOT(slot), at, &word, 4));
            assert_int_equal(word, 0xdeadbeefu);
        }
    }
    assert_int_equal(b->table->slot_read(b, store.n_slots, 0, bytes, 1), LP_E_ARG);
    b->table->destroy(b);
    lp_store_destroy(&store);
    for (int i = 0; i < N_CASES; i++)
        lp_file_close(&files[i]);
}

static void slots_mapped(void **state)
{
    (void)state;
    slots(&(lp_vulkan_options){.guard_bytes = 512});
}

static void slots_staged(void **state)
{
    (void)state;
    slots(&(lp_vulkan_options){.guard_bytes = 512, .staged = true});
}

// Inputs, outputs and strided views in the arena; values are exact.
static void tensors(const lp_vulkan_options *options)
{
    rig r;
    rig_create(&r, 0, *options, true);
    float input[RIG_FEATURES], squares[RIG_FEATURES], cache[RIG_FEATURES];
    uint64_t ticket;
    for (int run = 0; run < 3; run++) {
        for (int i = 0; i < RIG_FEATURES; i++)
            input[i] = (float)(i - run);
        rig_ok(r.backend->table->tensor_write(r.program, r.input, input));
        rig_ok(r.backend->table->submit(r.program, 1, &ticket));
        rig_wait(r.backend, ticket);
        rig_ok(r.backend->table->tensor_read(r.program, r.sum, squares));
        rig_ok(r.backend->table->slot_read(r.backend, r.cache, (uint64_t)run * RIG_FEATURES * 4,
                                           cache, sizeof cache));
        for (int i = 0; i < RIG_FEATURES; i++) {
            float x = 2 * rig_weight(run, i) + input[i];
            assert_float_equal(cache[i], x, 0);
            assert_float_equal(squares[i], x * x, 0);
        }
    }
    assert_int_equal(rig_position(&r), 3);
    assert_int_equal(r.backend->table->tensor_read(r.program, r.graph->n_tensors, squares),
                     LP_E_ARG);
    lp_tensor_id slot = lp_graph_find(r.graph, "cache");
    assert_true(slot != LP_NONE);
    assert_int_equal(r.backend->table->tensor_read(r.program, slot, squares), LP_E_ARG);
    rig_destroy(&r);
}

static void tensors_mapped(void **state)
{
    (void)state;
    tensors(&(lp_vulkan_options){0});
}

static void tensors_staged(void **state)
{
    (void)state;
    tensors(&(lp_vulkan_options){.staged = true});
}

// A view's rows, with a stride, against the whole; more rows than one staged copy takes.
static void strided_copies(void **state)
{
    (void)state;
    enum { ROWS = 150, WIDE = 33, FIRST = 7, NARROW = 11 };
    lp_store store = {0};
    lp_builder b;
    lp_graph *graph;
    rig_ok(lp_builder_start(&b, &rig_ctx, &store, NULL, ROWS));
    lp_tensor_id whole = lp_input(&b, "whole", LP_SHAPE2(ROWS, WIDE));
    lp_tensor_id part = lp_view_columns(&b, whole, FIRST, NARROW);
    lp_tensor_id other = lp_input(&b, "other", LP_SHAPE2(ROWS, NARROW));
    lp_tensor_id sum = lp_add(&b, "add", part, other);
    lp_output(&b, sum, "sum");
    rig_ok(lp_builder_finish(&b, false, &graph));
    static float all[ROWS * WIDE], some[ROWS * NARROW], got[ROWS * WIDE];
    for (int staged = 0; staged < 2; staged++) {
        lp_backend *gpu = rig_open(0, (lp_vulkan_options){.staged = staged});
        lp_program *program;
        uint64_t ticket;
        rig_ok(gpu->table->load(gpu, &store, NULL, NULL));
        rig_ok(
            gpu->table->program_create(gpu, graph, (lp_plan_options){.keep_all = true}, &program));
        for (int i = 0; i < ROWS * WIDE; i++)
            all[i] = (float)i;
        for (int i = 0; i < ROWS * NARROW; i++)
            some[i] = -(float)i;
        rig_ok(gpu->table->tensor_write(program, whole, all));
        rig_ok(gpu->table->tensor_write(program, part, some));
        rig_ok(gpu->table->tensor_write(program, other, some));
        for (int r = 0; r < ROWS; r++)
            memcpy(all + r * WIDE + FIRST, some + r * NARROW, NARROW * sizeof *some);
        rig_ok(gpu->table->tensor_read(program, whole, got));
        assert_memory_equal(got, all, sizeof all);
        rig_ok(gpu->table->tensor_read(program, part, got));
        assert_memory_equal(got, some, sizeof some);
        rig_ok(gpu->table->submit(program, 1, &ticket));
        rig_wait(gpu, ticket);
        rig_ok(gpu->table->tensor_read(program, sum, got));
        for (int i = 0; i < ROWS * NARROW; i++)
            assert_float_equal(got[i], 2 * some[i], 0);
        gpu->table->program_destroy(program);
        gpu->table->destroy(gpu);
    }
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
}

// Runs that each need what the one before left, all in flight together.
static void in_flight(const lp_vulkan_options *options)
{
    rig r;
    rig_create(&r, 0, *options, false);
    uint64_t ticket = 0, before = 0, tickets[100];
    for (int i = 0; i < 100; i++) {
        rig_ok(r.backend->table->submit(r.program, 1, &tickets[i]));
        assert_true(tickets[i] > before);
        before = tickets[i];
    }
    rig_ok(r.backend->table->submit(r.program, 101, &ticket));
    assert_true(ticket > before);
    rig_wait(r.backend, tickets[49]); // the host reads while others run
    int32_t at = rig_position(&r);
    assert_true(at >= 50 && at <= 201);
    rig_wait(r.backend, ticket);
    assert_int_equal(rig_position(&r), 201);
    rig_check_cache(&r, 201);
    rig_wait(r.backend, tickets[3]); // again, long done
    assert_int_equal(r.backend->table->wait(r.backend, ticket + 1000), LP_E_ARG);
    rig_destroy(&r);
}

static void in_flight_mapped(void **state)
{
    (void)state;
    in_flight(&(lp_vulkan_options){0});
}

static void in_flight_staged(void **state)
{
    (void)state;
    in_flight(&(lp_vulkan_options){.staged = true});
}

// Every dispatch in a submit of its own gives the same.
static void cut_submits(void **state)
{
    (void)state;
    in_flight(&(lp_vulkan_options){.submit_seconds = 1e-15});
    rig r;
    rig_create(&r, 0, (lp_vulkan_options){.submit_seconds = 1e-15}, false);
    assert_int_equal(lp_vulkan_program_submits(r.program),
                     lp_vulkan_program_plan(r.program)->n_dispatches);
    rig_destroy(&r);
    rig_create(&r, 0, (lp_vulkan_options){0}, false);
    assert_int_equal(lp_vulkan_program_submits(r.program), 1);
    rig_destroy(&r);
}

// Programs share an arena: a larger one replaces it, older ones go on, and activations that are no
// longer there are an error, never garbage.
static void shared_arena(const lp_vulkan_options *options)
{
    rig r;
    rig_create(&r, 0, *options, true);
    const lp_backend_table *table = r.backend->table;
    lp_tensor_id input = r.input, sum = r.sum;
    lp_graph *graph;
    lp_program *large;
    float in[RIG_FEATURES] = {0}, out[RIG_FEATURES];
    static float many_in[64 * RIG_FEATURES], many_out[64 * RIG_FEATURES];
    uint64_t ticket;
    assert_int_equal(table->tensor_read(r.program, sum, out), LP_E_ARG); // has not run
    rig_ok(table->tensor_write(r.program, input, in));
    rig_graph(&r, &graph, true, 64);
    rig_ok(table->program_create(r.backend, graph, (lp_plan_options){0}, &large));
    assert_int_equal(table->submit(r.program, 1, &ticket), LP_E_ARG); // its input is gone
    rig_ok(table->tensor_write(r.program, input, in));
    rig_ok(table->submit(r.program, 1, &ticket));
    rig_ok(table->tensor_write(large, r.input, many_in));
    rig_ok(table->submit(large, 1, &ticket));
    rig_wait(r.backend, ticket);
    assert_int_equal(table->tensor_read(r.program, sum, out), LP_E_ARG);
    rig_ok(table->tensor_read(large, r.sum, many_out));
    for (int i = 0; i < 64 * RIG_FEATURES; i++) {
        float x = 2 * rig_weight(1 + i / RIG_FEATURES, i % RIG_FEATURES);
        assert_float_equal(many_out[i], x * x, 0);
    }
    assert_int_equal(rig_position(&r), 65);
    uint64_t memory[4];
    table->memory(r.backend, memory);
    assert_int_equal(memory[2], lp_vulkan_raw_bytes(r.backend, LP_BUFFER_ARENA));
    assert_true(memory[2] >= 64 * RIG_FEATURES * 4);
    table->program_destroy(large);
    table->program_destroy(NULL);
    lp_graph_destroy(graph);
    rig_destroy(&r);
}

static void shared_arena_mapped(void **state)
{
    (void)state;
    shared_arena(&(lp_vulkan_options){0});
}

static void shared_arena_staged(void **state)
{
    (void)state;
    shared_arena(&(lp_vulkan_options){.staged = true});
}

static void all_devices_agree(void **state)
{
    (void)state;
    enum { MAX = 4, RUNS = 40 };
    rig rigs[MAX];
    uint32_t n = 0;
    uint64_t tickets[MAX];
    for (uint32_t i = 0; i < lp_vulkan_count(rig_vulkan) && n < MAX; i++)
        if (lp_vulkan_gpu(rig_vulkan, i)->unusable[0] == '\0')
            rig_create(&rigs[n++], i, (lp_vulkan_options){.staged = i % 2}, false);
    if (rig_driver("both"))
        assert_true(n >= 2 && strcmp(rigs[0].backend->name, rigs[1].backend->name) != 0);
    for (int run = 0; run < RUNS; run++) // interleaved
        for (uint32_t i = 0; i < n; i++)
            rig_ok(rigs[i].backend->table->submit(rigs[i].program, 1, &tickets[i]));
    for (uint32_t i = 0; i < n; i++) {
        rig_wait(rigs[i].backend, tickets[i]);
        rig_check_cache(&rigs[i], RUNS);
    }
    for (uint32_t i = 0; i < n; i++)
        rig_destroy(&rigs[i]);
}

// A device that only compiles tells about a plan's kernels, or says that its driver does not tell.
static void compiler(void **state)
{
    (void)state;
    rig r;
    lp_gpu_compiler *c = NULL;
    lp_gpu_statistics told;
    assert_int_equal(lp_gpu_compiler_create(&rig_ctx, rig_vulkan, lp_vulkan_count(rig_vulkan), &c),
                     LP_E_MISSING);
    assert_null(c);
    lp_gpu_compiler_destroy(NULL);
    if (lp_gpu_compiler_create(&rig_ctx, rig_vulkan, 0, &c) == LP_E_UNSUPPORTED) {
        assert_null(c);
        assert_non_null(strstr(rig_ctx.message, "VK_KHR_pipeline_executable_properties"));
        return;
    }
    assert_non_null(c);
    rig_store(&r, true);
    lp_plan *plan = NULL;
    rig_ok(lp_plan_create(&rig_ctx, r.graph, &lp_vulkan_gpu(rig_vulkan, 0)->caps,
                          (lp_plan_options){0}, &plan));
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        rig_ok(lp_gpu_compile(c, &plan->dispatches[i], &told));
        assert_true(told.subgroup_size > 0 && told.n <= sizeof told.list / sizeof *told.list);
        for (uint32_t k = 0; k < told.n; k++)
            assert_true(told.list[k].name[0] != '\0');
        assert_true(told.n == 0 ||
                    lp_gpu_statistic_find(&told, told.list[0].name) == told.list[0].value);
        assert_true(isnan(lp_gpu_statistic_find(&told, "there is no such statistic")));
    }
    lp_plan_destroy(plan);
    lp_gpu_compiler_destroy(c);
    rig_destroy(&r);
}

static void no_driver(void **state)
{
    (void)state;
    lp_vulkan *none = NULL;
    assert_int_equal(lp_vulkan_create(&rig_ctx, false, &none), LP_E_MISSING);
    assert_null(none);
    assert_non_null(strstr(rig_ctx.message, "Vulkan"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices),
        cmocka_unit_test(two_instances),
        cmocka_unit_test(slots_mapped),
        cmocka_unit_test(slots_staged),
        cmocka_unit_test(tensors_mapped),
        cmocka_unit_test(tensors_staged),
        cmocka_unit_test(strided_copies),
        cmocka_unit_test(in_flight_mapped),
        cmocka_unit_test(in_flight_staged),
        cmocka_unit_test(cut_submits),
        cmocka_unit_test(shared_arena_mapped),
        cmocka_unit_test(shared_arena_staged),
        cmocka_unit_test(all_devices_agree),
        cmocka_unit_test(compiler),
    };
    const struct CMUnitTest without[] = {cmocka_unit_test(no_driver)};
    const char *device = getenv("LAPILLI_TEST_DEVICE");
    if (device == NULL || strcmp(device, "cpu") == 0)
        return cmocka_run_group_tests(without, rig_set_up, rig_tear_down);
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
