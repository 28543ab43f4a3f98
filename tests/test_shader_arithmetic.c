// The arithmetic that all shaders share (shaders/common.glsl), on the device: addresses beyond 4 GiB
// without allocating as much, and halves, bit for bit against 64-bit integers and src/base/half.h.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/half.h"
#include "graph/builder.h"
#include "params.h"
#include "vulkan/vulkan_internal.h"

enum { N = 65536 + 4096, WORDS_IN = 6, WORDS_OUT = 8, SIZE = 128 };

static lp_context ctx;

static void must(lp_status status)
{
    if (status != LP_OK) {
        fail_msg("%s: %s", lp_status_text(status), ctx.message);
    }
}

static uint32_t random_bits(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

// Every half in the low words; floats at every boundary of the conversion, then random ones.
static void fill(uint32_t *in)
{
    static const uint32_t edges[] = {0x33000000, 0x33000001, 0x387fffff, 0x38800000, 0x477fefff,
                                     0x477ff000, 0x7f7fffff, 0x7f800000, 0x7fc00001, 0x33c00000,
                                     0x38002000, 0x3f801000, 0x3f803000, 0,          1};
    enum { N_EDGES = sizeof edges / sizeof *edges };
    for (uint32_t i = 0; i < N; i++) {
        uint32_t *w = in + i * WORDS_IN;
        for (int k = 0; k < WORDS_IN; k++)
            w[k] = random_bits();
        if (i < 65536)
            w[0] = (w[0] & 0xffff0000u) | i;
        if (i % 3 == 0) // just below a carry
            w[0] |= 0xffff0000u;
        if (i % 5 == 0) // as rows of weights are
            w[3] %= 65536;
        w[4] = i < 4 * N_EDGES ? edges[i / 4] + (i & 1) * 0x80000000u - (i >> 1 & 1)
                               : (w[4] & 0x8fffffffu) | 0x30000000u; // 2^-31 to 2^1
    }
}

static uint64_t pair(const uint32_t *words)
{
    return words[0] | (uint64_t)words[1] << 32;
}

static void check(const uint32_t *in, const uint32_t *out)
{
    for (uint32_t i = 0; i < N; i++, in += WORDS_IN, out += WORDS_OUT) {
        const uint64_t address = pair(in), row = in[2], stride = in[3];
        assert_int_equal(pair(out), address + row * stride);
        assert_int_equal(pair(out + 2), address + stride);
        assert_int_equal(pair(out + 4), address + row * (stride & 0x3fffffffu) * 4);
        assert_int_equal(out[6], lp_f32_to_f16(lp_bits_f32(in[4])) |
                                     (uint32_t)lp_f32_to_f16(lp_bits_f32(in[5])) << 16);
        const uint16_t half = (uint16_t)in[0];
        if ((half & 0x7fff) <= 0x7c00)
            assert_int_equal(out[7], lp_f32_bits(lp_f16_to_f32(half)));
    }
}

// A graph that owns two states; its plan's one dispatch becomes the self-test's.
static void arithmetic_is_exact(void **state)
{
    (void)state;
    const char *name = getenv("LAPILLI_TEST_DEVICE");
    if (name == NULL || strncmp(name, "vulkan:", 7) != 0)
        skip();
    lp_store store = {0};
    lp_builder b;
    lp_graph *graph = NULL;
    must(lp_builder_start(&b, &ctx, &store, NULL, 1));
    const lp_tensor_id from =
        lp_state_tensor(&b, LP_SLOT_STATE, LP_I32, LP_SHAPE2(N, WORDS_IN), "from");
    const lp_tensor_id to =
        lp_state_tensor(&b, LP_SLOT_STATE, LP_I32, LP_SHAPE2(N, WORDS_OUT), "to");
    lp_advance(&b, "advance",
               lp_state_tensor(&b, LP_SLOT_STATE, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), "cursor"), 1);
    must(lp_builder_finish(&b, true, &graph));

    lp_vulkan *vulkan = NULL;
    lp_backend *device = NULL;
    must(lp_vulkan_create(&ctx, getenv("LAPILLI_TEST_VALIDATION") != NULL, &vulkan));
    must(lp_vulkan_backend_create(&ctx, vulkan, (uint32_t)atoi(name + 7), (lp_vulkan_options){0},
                                  &device));
    must(device->table->load(device, &store, NULL, NULL));
    const lp_caps *caps = lp_vulkan_backend_caps(device);
    lp_plan *plan = NULL;
    must(lp_plan_create(&ctx, graph, caps, (lp_plan_options){0}, &plan));
    plan->n_dispatches = 0;
    const lp_plan_options options = {0};
    lp_planner pl = {.ctx = &ctx,
                     .graph = graph,
                     .caps = caps,
                     .options = &options,
                     .plan = plan,
                     .node = 0};
    const lp_selftest_params push = {.n = N};
    const lp_kernel *kernel = NULL;
    must(lp_plan_kernel(&pl, "selftest", "f32", &kernel));
    lp_dispatch *d = lp_plan_dispatch(&pl, kernel, (N + SIZE - 1) / SIZE, 1, 1, &push, sizeof push);
    lp_dispatch_spec(d, 0, SIZE);
    lp_dispatch_tensor(&pl, d, offsetof(lp_selftest_params, from), from, LP_READ);
    lp_dispatch_tensor(&pl, d, offsetof(lp_selftest_params, to), to, LP_WRITE);
    lp_program *program = NULL;
    must(lp_vulkan_program_from_plan(device, graph, plan, &program));

    const uint64_t in_bytes = (uint64_t)N * WORDS_IN * 4, out_bytes = (uint64_t)N * WORDS_OUT * 4;
    uint32_t *in = malloc(in_bytes), *out = malloc(out_bytes);
    assert_non_null(in);
    assert_non_null(out);
    fill(in);
    uint64_t ticket = 0;
    must(device->table->slot_write(device, graph->tensors[from].slot, 0, in, in_bytes));
    must(device->table->submit(program, 1, &ticket));
    must(device->table->wait(device, ticket));
    must(device->table->slot_read(device, graph->tensors[to].slot, 0, out, out_bytes));
    check(in, out);

    free(in);
    free(out);
    device->table->program_destroy(program);
    device->table->destroy(device);
    assert_int_equal(lp_vulkan_validation_errors(vulkan), 0);
    lp_vulkan_destroy(vulkan);
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
