/* NaN and infinity in what the decoder of a source text reads, and in caches that an earlier run
 * left: the message names the place, on every device. See test_guard.c for decoders by themselves.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check/finite.h"
#include "support/model_files.h"
#include "support/model_run.h"
#include "text/runner.h"

enum { N_CTX = 48, N_SOURCE = 6, N_TOKENS = 5 };

static const int32_t tokens[] = {4, 9, 3, 12, 7, 5};

typedef struct run {
    lp_context ctx;
    lp_test_device *device;
    lp_network *network;
    lp_runner *runner;
} run;

#define CHECK(r, call)                                                                             \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s: %s", #call, (r)->ctx.message);                                           \
    } while (0)

/* With a source text, where the model reads one, and N_TOKENS of its own. */
static run *run_create(const char *model)
{
    const lp_session_options options = {.n_ctx = N_CTX, .cache_type = LP_F32};
    run *r = calloc(1, sizeof *r);
    assert_non_null(r);
    CHECK(r, lp_network_open(&r->ctx, model, &r->network));
    lp_backend *backend = lp_test_device_create(&r->ctx, test_device(), &r->device);
    CHECK(r, lp_runner_create(&r->ctx, r->network, backend, &options, NULL, &r->runner));
    if (r->network->hparams.encoder.n_layer > 0)
        CHECK(r, lp_runner_source(r->runner, tokens, N_SOURCE));
    CHECK(r, lp_runner_feed(r->runner, tokens, N_TOKENS));
    return r;
}

static void run_destroy(run *r)
{
    lp_runner_destroy(r->runner);
    lp_test_device_destroy(r->device);
    lp_network_destroy(r->network);
    free(r);
}

static void expect(const run *r, const char *message, const char *begins, const char *has)
{
    if (strncmp(message, begins, strlen(begins)) != 0 || strstr(message, has) == NULL)
        fail_msg("%s: not \"%s… %s…\" but \"%s\"", r->network->path, begins, has, message);
}

/* A copy of the folder in which one F16 number of a weight is not finite. */
static char *wounded(const char *from, const char *weight, size_t element, bool infinite)
{
    lp_context ctx = {0};
    lp_network *network;
    size_t bytes, at = 0;
    char *folder = test_folder_create();
    char *config = test_path(from, "config.json"), *to_config = test_path(folder, "config.json");
    char *path = test_path(from, "model.safetensors"), *to = test_path(folder, "model.safetensors");
    if (lp_network_open(&ctx, from, &network) != LP_OK)
        fail_msg("%s", ctx.message);
    const lp_weight *w = lp_weights_find(network->weights, weight);
    assert_true(w != NULL && w->dtype == LP_F16 && lp_shape_elements(w->shape) >= 32);
    uint8_t *file = test_read(path, &bytes);
    while (at + 64 < bytes && memcmp(file + at, w->data, 64) != 0)
        at++;
    assert_true(at + 64 < bytes);
    const uint16_t value = infinite ? 0xfc00 : 0x7e00;
    memcpy(file + at + 2 * element, &value, sizeof value);
    test_copy(config, to_config);
    test_write(to, file, bytes);
    free(file);
    free(config);
    free(to_config);
    free(path);
    free(to);
    lp_network_destroy(network);
    return folder;
}

/* What the encoder leaves for the decoder, beside its result, which is fine in all but the first;
 * and weights of gated units, of which any may have made any element. */
static void weights_of_a_source_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *weight;
        size_t element;
        bool infinite;
        const char *begins, *has;
    } rows[] = {
        {FIXTURE("t5"), "enc.blk.1.ffn_down.weight", 3, false, "enc.blk.1.ffn_down: element [0, 0]",
         "the model's enc.blk.1.ffn_down.weight holds nan at [0, 3] (of the source text)"},
        {FIXTURE("t5"), "dec.blk.1.cross_attn_v.weight", 26, true,
         "dec.blk.1.cross_attn_v: element [0, 1]",
         "the model's dec.blk.1.cross_attn_v.weight holds -inf at [1, 2] (of the source text)"},
        {FIXTURE("bahdanau"), "dec.blk.0.align_k.weight", 28, false,
         "dec.blk.0.align_k: element [0, 1]",
         "the model's dec.blk.0.align_k.weight holds nan at [1, 2] (of the source text)"},
        {FIXTURE("bahdanau"), "dec.blk.0.rnn_h.weight", 53, false, "dec.blk.0.rnn: element [0, ",
         "the model's dec.blk.0.rnn_h.weight holds nan at [53] (token 1 of the text)"},
        {FIXTURE("bahdanau"), "dec.blk.0.align.weight", 4, false, "dec.blk.0.rnn: element [0, ",
         "the model's dec.blk.0.align.weight holds nan at [4] (token 1 of the text)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *folder = wounded(rows[i].folder, rows[i].weight, rows[i].element, rows[i].infinite);
        run *r = run_create(folder);
        float *logits = malloc(r->network->hparams.n_vocab * sizeof *logits);
        int32_t token;
        assert_non_null(logits);
        if (lp_runner_eval(r->runner, logits) != LP_E_DEVICE)
            fail_msg("%s: %s", rows[i].weight, r->ctx.message);
        expect(r, r->ctx.message, rows[i].begins, rows[i].has);
        assert_int_equal(lp_runner_next(r->runner, 3, &token), LP_E_DEVICE);
        expect(r, r->ctx.message, rows[i].begins, rows[i].has);
        free(logits);
        run_destroy(r);
        test_folder_remove(folder);
    }
}

/* One number of a cache is not finite; the next token's program then finds it. */
static void caches_are_looked_at(void **state)
{
    (void)state;
    static const struct {
        const char *model, *cache;
        uint64_t row, element;
        const char *begins, *has;
    } rows[] = {
        {FIXTURE("llama2.gguf"), "blk.1.attn_v_cache", 3, 6, "blk.1.attn: element [0, ",
         "; blk.1.attn_v_cache, which it reads, holds inf at [3, 6]"},
        {FIXTURE("t5"), "dec.blk.0.cross_attn_v_cache", 5, 2, "dec.blk.0.cross_attn: element [0, ",
         "; dec.blk.0.cross_attn_v_cache, which it reads, holds inf at [5, 2]"},
        {FIXTURE("bahdanau"), "dec.blk.0.context_cache", 5, 80, "dec.blk.0.rnn: element [0, ",
         "; dec.blk.0.context_cache, which it reads, holds inf at [5, 80]"},
        {FIXTURE("lstm_lm"), "blk.1.rnn_cache", 4, 37, "blk.1.rnn: element [0, ",
         "; blk.1.rnn_cache, which it reads, holds inf at [4, 37]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        run *r = run_create(rows[i].model);
        lp_backend *backend = lp_runner_backend(r->runner);
        lp_store *store = lp_runner_store(r->runner);
        const lp_network_options options = {
            .n_tokens = 1, .n_ctx = N_CTX, .kv_dtype = LP_F32, .outputs = LP_OUTPUTS_LAST};
        const float wound = INFINITY;
        char text[512] = "";
        bool found = true;
        uint64_t ticket;
        lp_graph *graph;
        lp_program *program;
        CHECK(r, lp_runner_eval(r->runner, NULL));
        CHECK(r, lp_runner_feed(r->runner, tokens, 1));
        CHECK(r, lp_network_graph(&r->ctx, r->network, store, &options, &graph));
        const uint32_t slot = lp_store_find(store, rows[i].cache);
        assert_int_not_equal(slot, UINT32_MAX);
        const uint64_t row = (uint64_t)lp_shape_row(store->slots[slot].shape);
        CHECK(r, backend->table->slot_write(backend, slot,
                                            4 * (rows[i].row * row + rows[i].element), &wound, 4));
        CHECK(r, backend->table->program_create(backend, graph, (lp_plan_options){.keep_all = true},
                                                &program));
        CHECK(r, backend->table->submit(program, 1, &ticket));
        CHECK(r, backend->table->wait(backend, ticket));
        CHECK(r, lp_finite_find(program, backend, graph, N_TOKENS, text, sizeof text, &found));
        if (!found)
            fail_msg("%s: nothing is found", rows[i].cache);
        expect(r, text, rows[i].begins, rows[i].has);
        backend->table->program_destroy(program);
        lp_graph_destroy(graph);
        run_destroy(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(weights_of_a_source_are_named),
                                       cmocka_unit_test(caches_are_looked_at)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
