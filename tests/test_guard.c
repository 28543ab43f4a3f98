/* What goes wrong while a text is written is noticed, and named: NaN and infinity by the layer where
 * they began, on every device. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/model_files.h"
#include "support/model_run.h"
#include "text/runner.h"

#define N_CTX 48

typedef struct run {
    lp_context ctx;
    lp_test_device *device;
    lp_network *network;
    lp_runner *runner;
} run;

#define CHECK(r, call)                                                                             \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s", (r)->ctx.message);                                                      \
    } while (0)

static run *run_create(const char *model, lp_session_options options)
{
    run *r = calloc(1, sizeof *r);
    assert_non_null(r);
    CHECK(r, lp_network_open(&r->ctx, model, &r->network));
    lp_backend *backend = lp_test_device_create(&r->ctx, test_device(), &r->device);
    CHECK(r, lp_runner_create(&r->ctx, r->network, backend, &options, (lp_plan_options){0}, &r->runner));
    return r;
}

static void run_destroy(run *r)
{
    lp_runner_destroy(r->runner);
    lp_test_device_destroy(r->device);
    lp_network_destroy(r->network);
    free(r);
}

/* ---- NaN and infinity ---------------------------------------------------------------------- */

/* One element of a model's file that is not finite; the node that must be named, and for which of
 * the five tokens: the first one whose keys or values suffer, or the last one. */
typedef struct wound {
    const char *model, *weight;
    int64_t row, column;
    float value;
    const char *node;
    uint32_t token;
} wound;

static const wound wounds[] = {
    {"llama2.gguf", "blk.1.ffn_down.weight", 5, 7, NAN, "blk.1.ffn_down", 5},
    {"llama2.gguf", "blk.0.attn_v.weight", 0, 0, NAN, "blk.0.attn_v", 1},
    {"llama2.gguf", "blk.1.attn_k.weight", 3, 1, INFINITY, "blk.1.attn_k", 1},
    {"llama2.gguf", "blk.0.attn_norm.weight", 2, 0, NAN, "blk.0.attn_norm", 1},
    {"llama2.gguf", "blk.1.ffn_gate.weight", 1, 2, -INFINITY, "blk.1.ffn_gate", 5},
    {"llama2.gguf", "output_norm.weight", 9, 0, INFINITY, "output_norm", 5},
    {"llama2.gguf", "token_embd.weight", 4, 3, NAN, "token_embd", 2},
    {"gpt2.gguf", "blk.1.attn_qkv.bias", 11, 0, NAN, "blk.1.attn_qkv", 5},
    {"gpt2.gguf", "blk.0.ffn_down.weight", 6, 0, INFINITY, "blk.0.ffn_down", 1},
    {"gpt2.gguf", "position_embd.weight", 1, 1, NAN, "position_embd", 2},
    {"llama-q8_0.gguf", "blk.0.ffn_up.weight", 8, 0, NAN, "blk.0.ffn_gate", 1},
    {"llama-q8_0.gguf", "blk.1.attn_output.weight", 12, 0, INFINITY, "blk.1.attn_output", 5},
};

/* A copy of the model with the wound. */
static char *wounded(const char *folder, const wound *w)
{
    lp_context ctx = {0};
    lp_network *network;
    size_t bytes;
    char from[512], *to = test_path(folder, w->model);
    snprintf(from, sizeof from, "%s/models/%s", LAPILLI_TEST_FIXTURES, w->model);
    if (lp_network_open(&ctx, from, &network) != LP_OK)
        fail_msg("%s", ctx.message);
    const lp_weight *weight = lp_weights_find(network->weights, w->weight);
    assert_non_null(weight);
    const lp_dtype_info *info = &lp_dtype_table[weight->dtype];
    uint8_t *file = test_read(from, &bytes);
    size_t at = 0;
    while (memcmp(file + at, weight->data, 64) != 0)
        at += 32; /* the file's alignment */
    int64_t columns = lp_shape_row(weight->shape);
    at += (size_t)(w->row * columns + w->column) / info->block * info->bytes;
    uint16_t half = isnan(w->value) ? 0x7e00 : 0x7c00; /* a block's scale */
    if (info->block > 1)
        memcpy(file + at, &half, sizeof half);
    else
        memcpy(file + at, &w->value, sizeof w->value);
    test_write(to, file, bytes);
    free(file);
    lp_network_destroy(network);
    return to;
}

static void expect_wound(const run *r, const wound *w, lp_status status)
{
    char begins[96], holds[96], ends[32];
    assert_int_equal(status, LP_E_DEVICE);
    snprintf(begins, sizeof begins, "%s: element [", w->node);
    snprintf(holds, sizeof holds, "the model's %s holds %s at [%d", w->weight,
             isnan(w->value) ? "nan" : w->value > 0 ? "inf" : "-inf", (int)w->row);
    snprintf(ends, sizeof ends, "(token %u of the text)", w->token);
    if (strncmp(r->ctx.message, begins, strlen(begins)) != 0 ||
        strstr(r->ctx.message, holds) == NULL || strstr(r->ctx.message, ends) == NULL)
        fail_msg("not \"%s… %s… %s\" but \"%s\"", begins, holds, ends, r->ctx.message);
}

static void a_bad_weight_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wounds / sizeof *wounds; i++) {
        const wound *w = &wounds[i];
        char *folder = test_folder_create(), *path = wounded(folder, w);
        run *r = run_create(path, (lp_session_options){.n_ctx = N_CTX, .cache_type = LP_F16});
        const int32_t tokens[] = {1, 4, 9, 3, 2};
        float *logits = malloc(r->network->hparams.n_vocab * sizeof *logits);
        int32_t token;
        assert_non_null(logits);
        CHECK(r, lp_runner_feed(r->runner, tokens, 5));
        expect_wound(r, w, lp_runner_next(r->runner, 9, &token));
        expect_wound(r, w, lp_runner_eval(r->runner, logits));
        assert_int_equal(lp_runner_n_tokens(r->runner), 5);
        CHECK(r, lp_runner_eval(r->runner, NULL)); /* nothing is asked for */
        if (w->token == 2) { /* a row of a table: before it all is well */
            CHECK(r, lp_runner_rewind(r->runner, 1));
            CHECK(r, lp_runner_eval(r->runner, logits));
            CHECK(r, lp_runner_next(r->runner, 1, &token));
        }
        free(logits);
        run_destroy(r);
        free(path);
        test_folder_remove(folder);
    }
}

/* The embedding of a token that is drawn half way is not finite: what came before it stays, steps in
 * flight are dropped, and the session goes on from an earlier place. */
static void a_bad_token_in_the_middle_stops_the_text(void **state)
{
    (void)state;
    enum { N_DRAWN = 20 };
    const lp_sampling sampling = {
        .temperature = 1, .top_p = 1, .repeat_penalty = 1, .seed = 3};
    const lp_session_options options = {.n_ctx = N_CTX, .cache_type = LP_F32};
    const int32_t prompt[] = {1, 4, 9};
    int32_t drawn[N_DRAWN], token;
    wound w = {"llama2.gguf", "token_embd.weight", 0, 2, NAN, "token_embd", 0};
    run *r = run_create(FIXTURE("llama2.gguf"), options);
    assert_false(r->network->hparams.tied);
    CHECK(r, lp_runner_sampling(r->runner, &sampling));
    CHECK(r, lp_runner_feed(r->runner, prompt, 3));
    for (uint32_t i = 0; i < N_DRAWN; i++)
        CHECK(r, lp_runner_next(r->runner, N_DRAWN - i, &drawn[i]));
    run_destroy(r);
    uint32_t bad = 9; /* the first one from here that is new */
    for (bool again = true; again; bad += again) {
        again = drawn[bad] == 1 || drawn[bad] == 4 || drawn[bad] == 9;
        for (uint32_t i = 0; i < bad; i++)
            again |= drawn[i] == drawn[bad];
        assert_true(bad < N_DRAWN - 2);
    }
    w.row = drawn[bad];
    w.token = 3 + bad + 1;

    char *folder = test_folder_create(), *path = wounded(folder, &w);
    r = run_create(path, options);
    CHECK(r, lp_runner_sampling(r->runner, &sampling));
    CHECK(r, lp_runner_feed(r->runner, prompt, 3));
    for (uint32_t i = 0; i <= bad; i++) {
        CHECK(r, lp_runner_next(r->runner, N_DRAWN - i, &token));
        assert_int_equal(token, drawn[i]);
    }
    for (int i = 0; i < 2; i++) {
        expect_wound(r, &w, lp_runner_next(r->runner, N_DRAWN - bad, &token));
        assert_int_equal(lp_runner_n_tokens(r->runner), 3 + bad + 1);
    }
    CHECK(r, lp_runner_rewind(r->runner, 3));
    CHECK(r, lp_runner_sampling(r->runner, &sampling));
    for (uint32_t i = 0; i <= bad; i++) {
        CHECK(r, lp_runner_next(r->runner, 1, &token));
        assert_int_equal(token, drawn[i]);
    }
    run_destroy(r);
    free(path);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_weight_is_named),
        cmocka_unit_test(a_bad_token_in_the_middle_stops_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
