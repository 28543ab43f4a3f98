/* Keys of GGUF files that no fixture has: patterns of windows, bases of RoPE, Llama 4. The metadata
 * is written here, and read by lp_hparams_from_gguf(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/hparams.h"
#include "support/model_files.h"

typedef struct pair {
    const char *key; /* below the architecture; NULL ends a list */
    uint32_t value;
} pair;

/* A model of four layers with these keys besides, and perhaps a list of n numbers. */
static lp_status read_keys(lp_context *ctx, const char *arch, const pair *pairs, const char *list,
                           const int32_t *values, uint64_t n, lp_hparams *hp)
{
    static const pair usual[] = {{"context_length", 128},
                                 {"embedding_length", 24},
                                 {"block_count", 4},
                                 {"feed_forward_length", 32},
                                 {"attention.head_count", 2},
                                 {"vocab_size", 131},
                                 {NULL, 0}};
    char key[128];
    uint8_t *data = NULL;
    size_t bytes;
    lp_gguf *gguf = NULL;
    lp_weights *weights = lp_weights_create();
    lp_gguf_writer *writer = lp_gguf_writer_create(ctx);
    assert_non_null(weights);
    assert_non_null(writer);
    lp_gguf_put_string(writer, "general.architecture", arch);
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", arch);
    lp_gguf_put_f32(writer, key, 1e-6f);
    const pair *const lists[] = {usual, pairs};
    for (int i = 0; i < 2; i++)
        for (const pair *p = lists[i]; p->key; p++) {
            snprintf(key, sizeof key, "%s.%s", arch, p->key);
            lp_gguf_put_u32(writer, key, p->value);
        }
    snprintf(key, sizeof key, "%s.%s", arch, list ? list : "unused");
    lp_gguf_put_i32s(writer, key, values, n);
    assert_int_equal(lp_gguf_metadata(writer, &data, &bytes), LP_OK);
    assert_int_equal(lp_gguf_parse(ctx, "written", data, bytes, weights, &gguf), LP_OK);
    lp_status status = lp_hparams_from_gguf(ctx, "written", gguf, weights, hp);
    lp_gguf_destroy(gguf);
    lp_gguf_writer_destroy(writer);
    lp_weights_destroy(weights);
    free(data);
    return status;
}

static void expect_layers(const lp_hparams *hp, const uint8_t layers[4])
{
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(hp->layers[i], layers[i]);
}

static const char pattern[] = "attention.sliding_window_pattern";

static void patterns_of_windows(void **state)
{
    (void)state;
    enum { W = LP_LAYER_WINDOW };
    static const int32_t list[] = {0, 1, 0, 1, 1};
    static const struct {
        pair pairs[3];
        uint64_t n; /* of the list */
        uint8_t layers[4];
    } rows[] = {
        {{{"attention.sliding_window", 11}}, 0, {W, W, W, W}}, /* five of six */
        {{{"attention.sliding_window", 11}, {pattern, 2}}, 0, {W, 0, W, 0}},
        {{{"attention.sliding_window", 11}, {pattern, 0}}, 0, {W, W, W, W}},
        {{{"attention.sliding_window", 11}, {pattern, 1}}, 0, {0, 0, 0, 0}},
        {{{"attention.sliding_window", 11}}, 4, {0, W, 0, W}},
        {{{NULL, 0}}, 4, {0, 0, 0, 0}}, /* no window: it says nothing */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lp_context ctx = {0};
        lp_hparams hp;
        if (read_keys(&ctx, "gemma3", rows[i].pairs, rows[i].n ? pattern : NULL, list, rows[i].n,
                      &hp) != LP_OK)
            fail_msg("%s", ctx.message);
        expect_layers(&hp, rows[i].layers);
        assert_float_equal(hp.rope_window.base, 10000, 0);
    }
    static const pair window[] = {{"attention.sliding_window", 11}, {NULL, 0}};
    lp_context ctx = {0};
    lp_hparams hp;
    assert_int_equal(read_keys(&ctx, "gemma3", window, pattern, list, 5, &hp), LP_E_FORMAT);
    assert_non_null(strstr(ctx.message, "a number, or one for each of 4 layers"));
    static const pair other[] = {{"rope.freq_base_swa", 5000}, {NULL, 0}};
    assert_int_equal(read_keys(&ctx, "gemma3", other, NULL, NULL, 0, &hp), LP_OK);
    assert_float_equal(hp.rope_window.base, 5000, 0);
}

#define EXPERTS(n, k)                                                                              \
    {"expert_count", n}, {"expert_used_count", k},                                                 \
    {                                                                                              \
        "expert_feed_forward_length", 16                                                           \
    }

static void llama4_keys(void **state)
{
    (void)state;
    enum { C = LP_LAYER_CHUNKED, N = LP_LAYER_NO_ROPE };
    static const struct {
        pair pairs[5];
        uint8_t layers[4];
        bool norms;
        float growth;
    } rows[] = {
        {{EXPERTS(16, 1)}, {C, C, C, N}, true, 0.1f},
        {{EXPERTS(128, 1)}, {C, C, C, N}, false, 0.1f},
        {{EXPERTS(16, 1), {"attention.sliding_window", 0}}, {0, 0, 0, 0}, true, 0},
    };
    lp_context ctx = {0};
    lp_hparams hp;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (read_keys(&ctx, "llama4", rows[i].pairs, NULL, NULL, 0, &hp) != LP_OK)
            fail_msg("%s", ctx.message);
        expect_layers(&hp, rows[i].layers);
        assert_int_equal((hp.norms & LP_NORMS_QK_TURNED) != 0, rows[i].norms);
        assert_float_equal(hp.q_growth, rows[i].growth, 0);
        assert_int_equal(hp.n_ff_shared, 16);
        assert_int_equal(hp.n_ff, 32);
    }
    static const pair two[] = {EXPERTS(16, 2), {NULL, 0}};
    assert_int_equal(read_keys(&ctx, "llama4", two, NULL, NULL, 0, &hp), LP_E_UNSUPPORTED);
    assert_non_null(strstr(ctx.message, "llama4.expert_used_count: 2 is not supported"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_of_windows),
        cmocka_unit_test(llama4_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
