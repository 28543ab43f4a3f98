// See vulkan_rig.h.
#include "support/vulkan_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

lp_context rig_ctx;
lp_vulkan *rig_vulkan;

static void print_line(void *user, lp_log_level level, const char *line)
{
    (void)user;
    (void)level;
    print_error("%s\n", line);
}

void rig_ok(lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), rig_ctx.message);
}

bool rig_driver(const char *name)
{
    const char *driver = getenv("LAPILLI_TEST_DRIVER");
    return driver != NULL && strncmp(driver, name, strlen(name)) == 0;
}

lp_backend *rig_open(uint32_t index, lp_vulkan_options options)
{
    lp_backend *backend = NULL;
    rig_ok(lp_vulkan_backend_create(&rig_ctx, rig_vulkan, index, options, &backend));
    assert_non_null(backend);
    return backend;
}

float rig_weight(int64_t row, int64_t column)
{
    return (float)((row * 31 + column * 7) % 101) - 50.0f;
}

void rig_graph(rig *r, lp_graph **graph, bool with_input, int64_t n_tokens)
{
    lp_builder b;
    rig_ok(lp_builder_start(&b, &rig_ctx, &r->store, r->weights, (int32_t)n_tokens));
    lp_tensor_id table = lp_weight_tensor(&b, LP_SHAPE2(RIG_POSITIONS, RIG_FEATURES), "table");
    lp_tensor_id cursor =
        lp_state_tensor(&b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), "cursor");
    lp_tensor_id cache = lp_state_tensor(&b, LP_SLOT_STATE, LP_F32,
                                         LP_SHAPE3(RIG_POSITIONS, 2, RIG_FEATURES / 2), "cache");
    lp_tensor_id x = lp_embed(&b, "embed", table, cursor, LP_NONE, 2);
    if (with_input) {
        r->input = lp_input(&b, "input", LP_SHAPE2(n_tokens, RIG_FEATURES));
        x = lp_add(&b, "add", x, r->input);
        r->sum = lp_mul(&b, "mul", x, x);
        lp_output(&b, r->sum, "squares");
    }
    lp_kv_write(&b, "write", lp_view_heads(&b, x, 2), cursor, cache);
    lp_advance(&b, "advance", cursor, (int32_t)n_tokens);
    rig_ok(lp_builder_finish(&b, false, graph));
    r->cursor = lp_store_find(&r->store, "cursor");
    r->cache = lp_store_find(&r->store, "cache");
}

void rig_store(rig *r, bool with_input)
{
    *r = (rig){.weights = lp_weights_create()};
    assert_non_null(r->weights);
    lp_file memory;
    rig_ok(
        lp_file_memory(&rig_ctx, RIG_POSITIONS * RIG_FEATURES * sizeof(float), "table", &memory));
    for (int64_t i = 0; i < RIG_POSITIONS * RIG_FEATURES; i++)
        ((float *)(uintptr_t)memory.data)[i] = rig_weight(i / RIG_FEATURES, i % RIG_FEATURES);
    const lp_weight weight = {.name = "table",
                              .dtype = LP_F32,
                              .shape = LP_SHAPE2(RIG_POSITIONS, RIG_FEATURES),
                              .data = memory.data,
                              .bytes = RIG_POSITIONS * RIG_FEATURES * sizeof(float)};
    rig_ok(lp_weights_own_file(&rig_ctx, r->weights, &memory));
    rig_ok(lp_weights_add(&rig_ctx, r->weights, &weight));
    rig_graph(r, &r->graph, with_input, 1);
}

void rig_create(rig *r, uint32_t gpu, lp_vulkan_options options, bool with_input)
{
    rig_store(r, with_input);
    r->backend = rig_open(gpu, options);
    rig_ok(r->backend->table->load(r->backend, &r->store, NULL, NULL));
    rig_ok(
        r->backend->table->program_create(r->backend, r->graph, (lp_plan_options){0}, &r->program));
}

void rig_destroy(rig *r)
{
    if (r->backend != NULL) {
        r->backend->table->program_destroy(r->program);
        r->backend->table->destroy(r->backend);
    }
    lp_graph_destroy(r->graph);
    lp_store_destroy(&r->store);
    lp_weights_destroy(r->weights);
}

void rig_wait(lp_backend *backend, uint64_t ticket)
{
    rig_ok(backend->table->wait(backend, ticket));
}

int32_t rig_position(const rig *r)
{
    int32_t words[LP_CURSOR_WORDS];
    rig_ok(r->backend->table->slot_read(r->backend, r->cursor, 0, words, sizeof words));
    return words[LP_CURSOR_POSITION];
}

// The first n rows of the cache are twice the table's, the others zero.
void rig_check_cache(const rig *r, int32_t n)
{
    static float cache[RIG_POSITIONS * RIG_FEATURES];
    rig_ok(r->backend->table->slot_read(r->backend, r->cache, 0, cache, sizeof cache));
    for (int i = 0; i < RIG_POSITIONS * RIG_FEATURES; i++)
        assert_float_equal(
            cache[i], i / RIG_FEATURES < n ? 2 * rig_weight(i / RIG_FEATURES, i % RIG_FEATURES) : 0,
            0);
}

int rig_set_up(void **state)
{
    (void)state;
    rig_ctx = (lp_context){.log = print_line, .level = LP_LOG_WARN};
    const char *device = getenv("LAPILLI_TEST_DEVICE");
    if (device == NULL || strcmp(device, "cpu") == 0)
        return 0;
    rig_ok(lp_vulkan_create(&rig_ctx, getenv("LAPILLI_TEST_VALIDATION") != NULL, &rig_vulkan));
    return 0;
}

int rig_tear_down(void **state)
{
    (void)state;
    int n_messages = rig_vulkan != NULL ? (int)lp_vulkan_validation_errors(rig_vulkan) : 0;
    lp_vulkan_destroy(rig_vulkan);
    return n_messages;
}
