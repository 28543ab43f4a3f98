// The sampler of a device against the reference, bit for bit: thousands of random and nasty cases,
// on vocabularies that are no multiple of anything. The reference itself is judged in test_sample.c.
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu_backend.h"
#include "graph/builder.h"
#include "vulkan/vulkan_backend.h"

#define C 100

static lp_context ctx;
static lp_vulkan *vulkan;
static uint64_t random_state;

static uint32_t random_bits(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

static float uniform(void) // -1 ... 1
{
    return (float)random_bits() / 1073741824.0f - 1.0f;
}

#define PICK(array) ((array)[random_bits() % (sizeof(array) / sizeof *(array))])

static void check(lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx.message);
}

// The device under test, from the environment: see tests/CMakeLists.txt.
static lp_backend *open_device(void)
{
    lp_backend *backend = NULL;
    const char *device = getenv("LAPILLI_TEST_DEVICE");
    if (device == NULL || strcmp(device, "cpu") == 0) {
        check(lp_cpu_backend_create(&ctx, true, &backend));
    } else {
        check(lp_vulkan_create(&ctx, getenv("LAPILLI_TEST_VALIDATION") != NULL, &vulkan));
        check(lp_vulkan_backend_create(&ctx, vulkan, 0, (lp_vulkan_options){0}, &backend));
    }
    return backend;
}

// A graph of one node, on two executors.
typedef struct rig {
    lp_store store;
    lp_graph *graph;
    lp_tensor_id logits;
    lp_backend *backend[2];
    lp_program *program[2];
    uint32_t sampler, history, cursor; // slots
    int64_t n;
} rig;

static void rig_create(rig *r, int64_t n, int32_t advance)
{
    *r = (rig){.n = n};
    lp_builder b;
    check(lp_builder_start(&b, &ctx, &r->store, NULL, 1));
    r->logits = lp_input(&b, "logits", LP_SHAPE2(1, n));
    lp_tensor_id sampler = lp_state_tensor(&b, LP_SLOT_HOST, LP_I32,
                                           LP_SHAPE1(LP_SAMPLER_WORDS), "sampler");
    lp_tensor_id history = lp_state_tensor(&b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(C + 2), "history");
    lp_tensor_id cursor = lp_state_tensor(&b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS),
                                          "cursor");
    lp_sample(&b, "sample", r->logits, sampler, history, cursor, advance);
    check(lp_builder_finish(&b, false, &r->graph));
    r->sampler = lp_store_find(&r->store, "sampler");
    r->history = lp_store_find(&r->store, "history");
    r->cursor = lp_store_find(&r->store, "cursor");
    check(lp_cpu_backend_create(&ctx, false, &r->backend[0]));
    r->backend[1] = open_device();
    for (int i = 0; i < 2; i++) {
        check(r->backend[i]->table->load(r->backend[i], &r->store, NULL, NULL));
        check(r->backend[i]->table->program_create(r->backend[i], r->graph, (lp_plan_options){0},
                                                   &r->program[i]));
    }
}

static void rig_destroy(rig *r)
{
    for (int i = 0; i < 2; i++) {
        r->backend[i]->table->program_destroy(r->program[i]);
        r->backend[i]->table->destroy(r->backend[i]);
    }
    if (vulkan != NULL)
        assert_int_equal(lp_vulkan_validation_errors(vulkan), 0);
    lp_vulkan_destroy(vulkan);
    vulkan = NULL;
    lp_graph_destroy(r->graph);
    lp_store_destroy(&r->store);
}

typedef struct state {
    int32_t history[C + 2], cursor[LP_CURSOR_WORDS];
} state;

// One draw on executor i; `s` is what it starts from and what it leaves.
static void run(const rig *r, int i, const float *logits, const int32_t *sampler, state *s)
{
    lp_backend *b = r->backend[i];
    uint64_t ticket;
    check(b->table->tensor_write(r->program[i], r->logits, logits));
    check(b->table->slot_write(b, r->sampler, 0, sampler, 4 * LP_SAMPLER_WORDS));
    check(b->table->slot_write(b, r->history, 0, s->history, sizeof s->history));
    check(b->table->slot_write(b, r->cursor, 0, s->cursor, sizeof s->cursor));
    check(b->table->submit(r->program[i], 1, &ticket));
    check(b->table->wait(b, ticket));
    check(b->table->slot_read(b, r->history, 0, s->history, sizeof s->history));
    check(b->table->slot_read(b, r->cursor, 0, s->cursor, sizeof s->cursor));
}

static void random_logits(float *x, int64_t n)
{
    static const float spreads[] = {0, 0.01f, 1, 3, 10, 40, 1e4f, 3e38f, 1e-38f};
    float spread = PICK(spreads);
    uint32_t kind = random_bits() % 6;
    for (int64_t i = 0; i < n; i++) {
        x[i] = spread * uniform();
        if (kind == 0) // ties
            x[i] = spread * (float)(random_bits() % 5);
        else if (kind == 1 && random_bits() % 3 == 0)
            x[i] = -INFINITY;
        else if (kind == 2 && random_bits() % 7 == 0)
            x[i] = random_bits() % 2 ? NAN : -0.0f;
        else if (kind == 3 && random_bits() % 50 == 0)
            x[i] = INFINITY;
        else if (kind == 4) // a few stand out
            x[i] += random_bits() % 20 == 0 ? 4.0f * uniform() : -9.0f;
    }
    if (random_bits() % 40 == 0)
        for (int64_t i = 0; i < n; i++)
            x[i] = -INFINITY;
}

static void random_sampler(int32_t *words, int64_t n)
{
    static const float temperatures[] = {0, 0.1f, 0.7f, 0.8f, 1, 1.5f, 2.5f, 1e-30f, 1e30f, 1e-3f};
    static const float top_ps[] = {1, 1, 0.95f, 0.9f, 0.5f, 0.99999994f, 1e-6f, 0, -1, 2};
    static const float min_ps[] = {0, 0, 0.05f, 0.3f, 1, 7, 1e-9f, -1};
    static const float penalties[] = {1, 1.1f, 1.3f, 0.7f, 2, 3, 1e-30f, 3e38f, 0, -1};
    static const int32_t windows[] = {0, 1, 5, 64, 1000, -1};
    const int32_t top_ks[] = {0, 0, 1, 2, 40, (int32_t)(n / 2), (int32_t)n - 1, (int32_t)n,
                              (int32_t)n + 5, -1};
    const float floats[] = {PICK(temperatures), PICK(top_ps), PICK(min_ps), PICK(penalties)};
    memset(words, 0, 4 * LP_SAMPLER_WORDS);
    memcpy(words + LP_SAMPLER_TEMPERATURE, floats, 4);
    memcpy(words + LP_SAMPLER_TOP_P, floats + 1, 4);
    memcpy(words + LP_SAMPLER_MIN_P, floats + 2, 4);
    memcpy(words + LP_SAMPLER_PENALTY, floats + 3, 4);
    words[LP_SAMPLER_TOP_K] = PICK(top_ks);
    words[LP_SAMPLER_WINDOW] = PICK(windows);
    words[LP_SAMPLER_SEED_LO] = (int32_t)random_bits();
    words[LP_SAMPLER_SEED_HI] = (int32_t)random_bits();
}

static void compare(int64_t n, int32_t advance, int n_cases)
{
    rig r;
    rig_create(&r, n, advance);
    random_state = (uint64_t)n;
    float *logits = malloc((size_t)n * sizeof *logits);
    assert_non_null(logits);
    for (int k = 0; k < n_cases; k++) {
        int32_t sampler[LP_SAMPLER_WORDS];
        state start = {.cursor = {(int32_t)(random_bits() % (C + 3)), (int32_t)random_bits()}};
        random_logits(logits, n);
        random_sampler(sampler, n);
        for (int i = 0; i <= C; i++)
            start.history[i] = (int32_t)(random_bits() % (uint32_t)(n + 2)) - 1;
        start.history[C + 1] = random_bits() % 4 == 0 ? 5 : 0; // a bad token was noted before
        state s[2] = {start, start};
        for (int i = 0; i < 2; i++)
            run(&r, i, logits, sampler, &s[i]);
        if (memcmp(&s[0], &s[1], sizeof s[0]) != 0) {
            int32_t end = start.cursor[0] + advance;
            float p[4];
            memcpy(p, sampler, sizeof p);
            fail_msg("V %lld, case %d: token %d, not %d; noted %d, not %d (temperature %g, top-k %d, "
                     "top-p %g, min-p %g)",
                     (long long)n, k, end <= C ? s[1].history[end] : -1,
                     end <= C ? s[0].history[end] : -1, s[1].history[C + 1], s[0].history[C + 1],
                     (double)p[0], sampler[1], (double)p[2],
                     (double)p[3]);
        }
    }
    free(logits);
    rig_destroy(&r);
}

static void tiny_vocabularies(void **unused)
{
    (void)unused;
    compare(1, 1, 50);
    compare(2, 1, 300);
}

static void small_vocabularies(void **unused)
{
    (void)unused;
    compare(255, 1, 1500);
    compare(257, 3, 1500);
}

static void large_vocabularies(void **unused)
{
    (void)unused;
    compare(32000, 1, 100);
    compare(151936, 1, 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_vocabularies),
        cmocka_unit_test(small_vocabularies),
        cmocka_unit_test(large_vocabularies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
