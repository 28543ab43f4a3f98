/* Answers of encoder-decoders against those that the transformers library's generate() found in
 * float64: fixtures/models/NAME/beams.json, see fixtures/models/maker/beams.py. On the device of
 * this run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yyjson.h>

#include "support/model_files.h"
#include "support/model_run.h"
#include "text/generation_config.h"
#include "text/search.h"

/* The library's scores are rounded to nine digits; logits here are float. */
#define SCORE_GATE 2e-5

/* Cases that a Vulkan device is asked; the CPU is asked all. */
static const struct {
    const char *folder;
    size_t n_gpu_cases;
} fixtures[] = {
    {FIXTURE("t5"), 4},        {FIXTURE("flan-t5"), 0},  {FIXTURE("bart"), 1},
    {FIXTURE("marian"), 0},    {FIXTURE("switch"), 0},   {FIXTURE("luong"), 2},
    {FIXTURE("luong-dot"), 0}, {FIXTURE("bahdanau"), 2},
};

typedef struct rig {
    lp_context ctx;
    lp_network *network;
    lp_runner *runner;
    lp_test_device *device;
    expected e;
} rig;

#define CHECK(r, call)                                                                             \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s: %s", #call, (r)->ctx.message);                                           \
    } while (0)

static void rig_open(rig *r, const char *folder, uint32_t n_batch)
{
    *r = (rig){0};
    char *path = test_path(folder, "expected.safetensors");
    r->e = expected_open(path);
    free(path);
    CHECK(r, lp_network_open(&r->ctx, folder, &r->network));
    const lp_session_options options = {.n_ctx = 48, .n_batch = n_batch, .cache_type = LP_F32};
    lp_backend *backend = lp_test_device_create(&r->ctx, test_device(), &r->device);
    CHECK(r, lp_runner_create(&r->ctx, r->network, backend, &options, NULL, &r->runner));
}

static void rig_close(rig *r)
{
    lp_runner_destroy(r->runner);
    lp_test_device_destroy(r->device);
    lp_network_destroy(r->network);
    expected_close(&r->e);
}

static lp_beams *answer(rig *r, yyjson_val *config)
{
    size_t bytes;
    char *text = yyjson_val_write(config, 0, &bytes);
    lp_generation_config c = {0};
    lp_beams *beams;
    CHECK(r, lp_generation_config_parse(&r->ctx, "beams.json", text, bytes, &c));
    CHECK(r, lp_runner_source(r->runner, r->e.source, (size_t)r->e.n_source));
    CHECK(r, lp_search(&r->ctx, r->runner, &c.rules, &c.options, NULL, NULL, &beams));
    lp_generation_config_destroy(&c);
    free(text);
    return beams;
}

static void compare(const lp_beams *beams, yyjson_val *sequences, yyjson_val *scores)
{
    assert_int_equal(lp_beams_n_ended(beams), yyjson_arr_size(sequences));
    for (uint32_t i = 0; i < lp_beams_n_ended(beams); i++) {
        const lp_sequence got = lp_beams_ended(beams, i);
        yyjson_val *want = yyjson_arr_get(sequences, i);
        bool same = got.n == yyjson_arr_size(want);
        for (uint32_t k = 0; k < got.n && same; k++)
            same = got.tokens[k] == yyjson_get_int(yyjson_arr_get(want, k));
        if (!same)
            fail_msg("answer %u has other tokens", i);
        if (yyjson_arr_size(scores) == 0) /* greedy */
            continue;
        const double score = yyjson_get_num(yyjson_arr_get(scores, i));
        if (!(fabs(got.score - score) < SCORE_GATE * fabs(score)))
            fail_msg("answer %u scores %.9g, by transformers %.9g", i, got.score, score);
    }
}

static void test_answers(void **state)
{
    (void)state;
    const bool gpu = strncmp(test_device(), "vulkan", 6) == 0;
    for (size_t f = 0; f < sizeof fixtures / sizeof fixtures[0]; f++) {
        if (gpu && fixtures[f].n_gpu_cases == 0)
            continue;
        rig r;
        char *path = test_path(fixtures[f].folder, "beams.json");
        yyjson_doc *doc = yyjson_read_file(path, 0, NULL, NULL);
        assert_non_null(doc);
        rig_open(&r, fixtures[f].folder, 5);
        size_t i, n;
        yyjson_val *item;
        assert_true(yyjson_arr_size(yyjson_doc_get_root(doc)) > 0);
        yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, item)
        {
            if (gpu && i >= fixtures[f].n_gpu_cases)
                break;
            print_message("%s, case %zu\n", fixtures[f].folder, i);
            lp_beams *beams = answer(&r, yyjson_obj_get(item, "config"));
            compare(beams, yyjson_obj_get(item, "sequences"), yyjson_obj_get(item, "scores"));
            lp_beams_destroy(beams);
        }
        rig_close(&r);
        yyjson_doc_free(doc);
        free(path);
    }
}

/* What the decoder says depends on the source text alone, not on the one before. */
static void test_sources(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, FIXTURE("t5"), 0);
    const size_t n_vocab = (size_t)r.e.n_vocab;
    float *logits = malloc(n_vocab * sizeof *logits);
    assert_non_null(logits);
    for (int turn = 0; turn < 3; turn++) {
        const size_t n = turn == 1 ? 7 : (size_t)r.e.n_source;
        CHECK(&r, lp_runner_source(r.runner, r.e.source, n));
        assert_int_equal(lp_runner_n_pending(r.runner), n);
        CHECK(&r, lp_runner_feed(r.runner, r.e.tokens, 5));
        assert_int_equal(lp_runner_n_pending(r.runner), n + 5);
        CHECK(&r, lp_runner_eval(r.runner, logits));
        assert_int_equal(lp_runner_n_pending(r.runner), 0);
        const double error = nmse(r.e.logits + 4 * n_vocab, logits, n_vocab);
        assert_true(turn == 1 ? error > 1e-6 : error < 1e-9);
    }
    free(logits);
    rig_close(&r);
}

static int count_steps(void *user)
{
    return ++*(int *)user == 3;
}

static void test_refused(void **state)
{
    (void)state;
    rig r;
    static const int32_t token = 3, far = 131, start = 0;
    int32_t many[49] = {0};
    int n_steps = 0;
    rig_open(&r, FIXTURE("t5"), 0);
    assert_int_equal(lp_runner_feed(r.runner, &token, 1), LP_E_ARG);
    assert_non_null(strstr(r.ctx.message, "no source text"));
    assert_int_equal(lp_runner_source(r.runner, &token, 0), LP_E_ARG);
    assert_int_equal(lp_runner_source(r.runner, &far, 1), LP_E_ARG);
    assert_int_equal(lp_runner_source(r.runner, many, 49), LP_E_LIMIT);
    const lp_search_rules rules = {
        .start = start, .ends = {1}, .n_ends = 1, .first = -1, .last = -1};
    lp_search_options options = {
        .n_beams = 2, .n_best = 1, .max_tokens = 1000, .repeat_penalty = 1, .length_penalty = 1};
    lp_beams *beams;
    CHECK(&r, lp_runner_source(r.runner, &token, 1));
    assert_int_equal(lp_search(&r.ctx, r.runner, &rules, &options, count_steps, &n_steps, &beams),
                     LP_E_CANCELLED);
    assert_null(beams);
    assert_int_equal(n_steps, 3);
    /* as long as the context allows */
    CHECK(&r, lp_search(&r.ctx, r.runner, &rules, &options, NULL, NULL, &beams));
    assert_true(lp_beams_ended(beams, 0).n <= 49);
    lp_beams_destroy(beams);
    options.n_beams = 0;
    assert_int_equal(lp_search(&r.ctx, r.runner, &rules, &options, NULL, NULL, &beams), LP_E_ARG);
    rig_close(&r);

    rig_open(&r, FIXTURE("t5"), 0);
    lp_runner_destroy(r.runner);
    lp_test_device_destroy(r.device);
    lp_network_destroy(r.network);
    CHECK(&r, lp_network_open(&r.ctx, FIXTURE("gpt2"), &r.network));
    const lp_session_options session = {.n_ctx = 48, .cache_type = LP_F32};
    lp_backend *backend = lp_test_device_create(&r.ctx, test_device(), &r.device);
    CHECK(&r, lp_runner_create(&r.ctx, r.network, backend, &session, NULL, &r.runner));
    assert_int_equal(lp_runner_source(r.runner, &token, 1), LP_E_UNSUPPORTED);
    assert_non_null(strstr(r.ctx.message, "gpt2"));
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
