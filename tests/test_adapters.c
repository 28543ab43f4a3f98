/* LoRA adapters against the logits that Hugging Face's PEFT computed in float64
 * (fixtures/adapters/make.py), for models and adapters from files of both kinds; mutants; broken
 * files. */
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

#define ADAPTER(name) LAPILLI_TEST_FIXTURES "/adapters/" name
#define N_TOKENS      16
#define GATE          1e-10
#define MUST_MOVE     1e-9
#define COUNT(array)  (sizeof array / sizeof array[0])

typedef struct use {
    const char *path;
    float scale;
} use;

typedef struct fixture {
    const char *expected, *network;
    use adapters[2];
    bool on_gpu; /* on Vulkan devices, too: each kind of kernels once */
} fixture;

static const fixture fixtures[] = {
    {ADAPTER("llama2.safetensors"),
     FIXTURE("llama2"),
     {{ADAPTER("llama2-all"), 1.5f}, {ADAPTER("llama2-few"), -0.7f}},
     true},
    {ADAPTER("llama2.safetensors"),
     FIXTURE("llama2"),
     {{ADAPTER("llama2-few.gguf"), -0.7f}, {ADAPTER("llama2-all.gguf"), 1.5f}},
     false},
    {ADAPTER("llama2.safetensors"),
     FIXTURE("llama2.gguf"),
     {{ADAPTER("llama2-all"), 1.5f}, {ADAPTER("llama2-few.gguf"), -0.7f}},
     false},
    {ADAPTER("llama2.safetensors"),
     FIXTURE("llama2.gguf"),
     {{ADAPTER("llama2-all.gguf"), 1.5f}, {ADAPTER("llama2-few"), -0.7f}},
     false},
    {ADAPTER("gpt2.safetensors"), FIXTURE("gpt2"), {{ADAPTER("gpt2-all"), 0.8f}}, false},
    {ADAPTER("gpt2.safetensors"), FIXTURE("gpt2.gguf"), {{ADAPTER("gpt2-all"), 0.8f}}, false},
    {ADAPTER("gpt_neox.safetensors"), FIXTURE("gpt_neox"), {{ADAPTER("gpt_neox-all"), 1}}, true},
    {ADAPTER("gpt_neox.safetensors"),
     FIXTURE("gpt_neox"),
     {{ADAPTER("gpt_neox-all.gguf"), 1}},
     false},
    {ADAPTER("gpt_neox.safetensors"),
     FIXTURE("gpt_neox.gguf"),
     {{ADAPTER("gpt_neox-all"), 1}},
     false},
    {ADAPTER("falcon.safetensors"), FIXTURE("falcon-40b"), {{ADAPTER("falcon-all"), 1}}, false},
    {ADAPTER("falcon.safetensors"),
     FIXTURE("falcon-40b.gguf"),
     {{ADAPTER("falcon-all"), 1}},
     false},
    {ADAPTER("q8_0.safetensors"), FIXTURE("llama-q8_0.gguf"), {{ADAPTER("q8_0-all"), 1}}, true},
    {ADAPTER("q8_0.safetensors"),
     FIXTURE("llama-q8_0.gguf"),
     {{ADAPTER("q8_0-all.gguf"), 1}},
     false},
    {ADAPTER("bert.safetensors"), FIXTURE("bert"), {{ADAPTER("bert-all"), 1}}, false},
    {ADAPTER("t5.safetensors"), FIXTURE("t5"), {{ADAPTER("t5-all"), 1}}, false},
};

static const int32_t whole[] = {N_TOKENS, 0};
static const int32_t pieces[] = {1, 9, 1, 1, 4, 0};

static lp_network *open_network(const char *path)
{
    lp_context ctx = {0};
    lp_network *network;
    if (lp_network_open(&ctx, path, &network) != LP_OK)
        fail_msg("%s", ctx.message);
    return network;
}

static lp_network *open_adapted(const fixture *f)
{
    lp_context ctx = {0};
    lp_network *network = open_network(f->network);
    for (size_t i = 0; i < COUNT(f->adapters) && f->adapters[i].path; i++)
        if (lp_network_adapt(&ctx, network, f->adapters[i].path, f->adapters[i].scale) != LP_OK)
            fail_msg("%s", ctx.message);
    return network;
}

/* NMSE of all logits. */
static double distance(const lp_network *network, const char *device, const model_run *run,
                       const expected *e)
{
    const size_t n = (size_t)e->n_tokens * (size_t)e->n_vocab;
    float *logits = malloc(n * sizeof *logits);
    assert_non_null(logits);
    model_session *session = model_session_create(network, device, LP_F32, N_TOKENS);
    model_run with_inputs = *run;
    with_inputs.source = e->source;
    with_inputs.n_source = e->n_source;
    with_inputs.types = e->types;
    if (network->hparams.both_ways)
        with_inputs.chunks = whole;
    model_session_run(session, &with_inputs, e->tokens, logits);
    model_session_destroy(session);
    const double result = nmse(e->logits, logits, n);
    free(logits);
    return result;
}

static void test_logits(void **state)
{
    (void)state;
    static const model_run runs[] = {
        {.chunks = whole}, {.chunks = pieces}, {.chunks = pieces, .no_fusion = true}};
    const bool vulkan = strncmp(test_device(), "vulkan", 6) == 0;
    unsigned n_bad = 0;
    for (size_t f = 0; f < COUNT(fixtures); f++) {
        if (vulkan && !fixtures[f].on_gpu)
            continue;
        lp_network *network = open_adapted(&fixtures[f]);
        expected e = expected_open(fixtures[f].expected);
        assert_int_equal(e.n_tokens, N_TOKENS);
        for (size_t r = 0; r < (vulkan ? 2 : COUNT(runs)); r++) {
            const double d = distance(network, test_device(), &runs[r], &e);
            print_message("%9.1e  %s, way %zu\n", d, strrchr(fixtures[f].network, '/') + 1, r);
            n_bad += !(d < GATE);
        }
        expected_close(&e);
        lp_network_destroy(network);
    }
    assert_int_equal(n_bad, 0);
}

/* ---- Mutants ------------------------------------------------------------------------------- */

static void must_move(const lp_network *network, const fixture *f, const char *what)
{
    expected e = expected_open(f->expected);
    const double d = distance(network, "reference", &(model_run){.chunks = whole}, &e);
    print_message("%9.1e  %s: %s\n", d, strrchr(f->network, '/') + 1, what);
    if (!(d > MUST_MOVE))
        fail_msg("%s: the fixture does not notice: %s (NMSE %.2e)", f->network, what, d);
    expected_close(&e);
}

/* Every pair counts, with its alpha and its rank. */
static void test_factors(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(fixtures); f++) {
        lp_network *network = open_adapted(&fixtures[f]);
        lp_adapters *adapters = &network->adapters;
        if (f > 0 && strcmp(fixtures[f].expected, fixtures[f - 1].expected) == 0) {
            lp_network_destroy(network); /* the same numbers from other files */
            continue;
        }
        assert_true(adapters->n_pairs > 0);
        for (size_t i = 0; i < adapters->n_pairs; i++) {
            lp_low_rank *pair = &adapters->pairs[i];
            const float right = pair->factor;
            char what[300];
            snprintf(what, sizeof what, "%s without %s", fixtures[f].expected, pair->a.name);
            pair->factor = 0;
            must_move(network, &fixtures[f], what);
            pair->factor = right;
        }
        for (size_t i = 0; i < adapters->n_pairs; i++)
            adapters->pairs[i].factor *= (float)adapters->pairs[i].a.shape.dim[0];
        must_move(network, &fixtures[f], "not divided by the rank");
        for (size_t i = 0; i < adapters->n_pairs; i++)
            adapters->pairs[i].factor = 1;
        must_move(network, &fixtures[f], "without alpha and scale");
        lp_network_destroy(network);
    }
}

/* Rows of B that stay in the order of the file. */
static void test_orders(void **state)
{
    (void)state;
    static const size_t of_rope[] = {1, 2, 12}, of_qkv[] = {6, 8, 9, 10};
    lp_context ctx = {0};
    for (size_t i = 0; i < COUNT(of_rope) + COUNT(of_qkv); i++) {
        const bool rope = i < COUNT(of_rope);
        const fixture *f = &fixtures[rope ? of_rope[i] : of_qkv[i - COUNT(of_rope)]];
        lp_network *network = open_network(f->network);
        const lp_arch *right = network->hparams.arch;
        lp_arch wrong = *right;
        lp_weight_name names[32];
        if (rope) { /* as if files of the other kind paired elements as the model does */
            wrong.interleaved = !wrong.interleaved;
            wrong.gguf_halves = !wrong.gguf_halves;
        } else {
            size_t n = 0;
            do {
                assert_true(n < COUNT(names));
                names[n] = right->names[n];
                names[n].form = LP_FORM_SAME;
            } while (right->names[n++].name != NULL);
            wrong.names = names;
        }
        network->hparams.arch = &wrong;
        for (size_t a = 0; a < COUNT(f->adapters) && f->adapters[a].path; a++)
            if (lp_network_adapt(&ctx, network, f->adapters[a].path, f->adapters[a].scale) != LP_OK)
                fail_msg("%s", ctx.message);
        network->hparams.arch = right;
        must_move(network, f, rope ? "pairs of RoPE" : "rows of queries, keys and values");
        lp_network_destroy(network);
    }
}

/* ---- Broken files -------------------------------------------------------------------------- */

static void must_refuse(const char *network_path, const char *path, const char *want)
{
    lp_context ctx = {0};
    lp_network *network = open_network(network_path);
    const lp_status status = lp_network_adapt(&ctx, network, path, 1);
    if (status == LP_OK || !strstr(ctx.message, want))
        fail_msg("%s: \"%s\" expected, got \"%s\"", path, want, ctx.message);
    if (strncmp(ctx.message, path, strlen(path)) != 0)
        fail_msg("\"%s\" does not begin with the path", ctx.message);
    /* the network is as before */
    assert_int_equal(network->adapters.n, 0);
    assert_int_equal(network->adapters.n_pairs, 0);
    lp_network_destroy(network);
}

static void test_broken_folders(void **state)
{
    (void)state;
    static const struct {
        const char *file, *find, *replace, *want;
    } cases[] = {
        {"adapter_config.json", "\"LORA\"", "\"IA3\"", "peft_type is IA3; only LORA"},
        {"adapter_config.json", "\"bias\": \"none\"", "\"bias\": \"all\"",
         "bias is all; only none is supported"},
        {"adapter_config.json", "\"use_dora\": false", "\"use_dora\": true", "use_dora is set"},
        {"adapter_config.json", "\"lora_bias\": false", "\"lora_bias\": true", "lora_bias is set"},
        {"adapter_config.json", "\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]",
         "modules_to_save is set"},
        {"adapter_config.json", "\"use_dora\"", "\"of_tomorrow\": 3, \"use_dora\"",
         "of_tomorrow is set"},
        {"adapter_config.json", "\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\"",
         "init_lora_weights: pissa"},
        {"adapter_config.json", "\"lora_alpha\": 6", "\"lora_alpha\": \"6\"", "lora_alpha: "},
        {"adapter_config.json", "\"lora_alpha\": 6,", "", "lora_alpha is missing"},
        {"adapter_config.json", "\"r\": 4", "\"r\": 5",
         "the rank of model.layers.0.mlp.down_proj is 5, its matrices have 4"},
        {"adapter_config.json", "\"rank_pattern\": {}", "\"rank_pattern\": {\"v_proj\": 2}",
         "v_proj is 2, its matrices have 4"},
        {"adapter_config.json", "\"rank_pattern\": {}", "\"rank_pattern\": {\".*_proj\": 2}",
         "\".*_proj\" is no plain name"},
        {"adapter_config.json", "\"alpha_pattern\": {}", "\"alpha_pattern\": {\"q_proj\": null}",
         "alpha_pattern: q_proj: a number above 0 expected"},
        {"adapter_config.json", "{", "[", "JSON"},
        {"adapter_model.safetensors", "layers.1.self_attn.q_proj.lora_A",
         "layers.7.self_attn.q_proj.lora_A", "layers.7.self_attn.q_proj.lora_A.weight has no"},
        {"adapter_model.safetensors", "q_proj.lora_B.weight", "q_proj.lora_C.weight",
         "has no .lora_B"},
        {"adapter_model.safetensors", "q_proj.lora_A.weight", "x_proj.lora_A.weight",
         "has no .lora_B"},
        {"adapter_model.safetensors", "base_model.model", "lost_model.model", "has no .lora_B"},
        {"adapter_model.safetensors", "[4,48]", "[8,24]",
         "lora_A.weight: want [8, 48], file has [8, 24]"},
        {"adapter_model.safetensors", "[48,4]", "[24,8]",
         "lora_B.weight: want [48, 4], file has [24, 8]"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *folder = test_folder_create();
        static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors"};
        for (size_t f = 0; f < COUNT(files); f++) {
            char *to = test_path(folder, files[f]),
                 *from = test_path(ADAPTER("llama2-all"), files[f]);
            if (strcmp(files[f], cases[i].file) == 0)
                test_copy_replaced(from, to, cases[i].find, cases[i].replace);
            else
                test_copy(from, to);
            free(to);
            free(from);
        }
        must_refuse(FIXTURE("llama2"), folder, cases[i].want);
        test_folder_remove(folder);
    }
}

static void test_wrong_models(void **state)
{
    (void)state;
    must_refuse(FIXTURE("gpt2"), ADAPTER("llama2-all"), "belongs to no weight of a gpt2 model");
    must_refuse(FIXTURE("gpt2"), ADAPTER("llama2-all.gguf"),
                "general.architecture is \"llama\", \"gpt2\" is expected");
    must_refuse(FIXTURE("llama3"), ADAPTER("llama2-all"), "lora_A.weight: want [4, 72]");
    must_refuse(FIXTURE("llama2"), FIXTURE("llama2.gguf"), "no adapter: general.type is missing");
    must_refuse(FIXTURE("llama2"), FIXTURE("llama2"), "adapter_config.json");
    must_refuse(FIXTURE("llama2"), ADAPTER("none"), "No such file");
}

static void test_broken_gguf(void **state)
{
    (void)state;
    static const float nan_alpha = 0.0f / 0.0f;
    static const struct {
        const char *key;
        const void *value;
        size_t bytes;
        const char *want;
    } values[] = {
        {"general.type", "\x7\0\0\0\0\0\0\0module!", 15, "general.type is \"module!\""},
        {"adapter.type", "\x4\0\0\0\0\0\0\0lola", 12, "adapter.type is \"lola\""},
        {"adapter.lora.alpha", &nan_alpha, 4, "adapter.lora.alpha is missing, or no number"},
    };
    static const struct {
        const char *find, *replace, *want;
    } names[] = {
        {"blk.0.attn_q.weight.lora_a", "blk.9.attn_q.weight.lora_a",
         "blk.9.attn_q.weight.lora_a has no"},
        {"blk.0.attn_q.weight.lora_b", "blk.0.attn_q.weight.lora_x", "has no .lora_b"},
        {"adapter.lora.alpha", "adapter.lora.Alpha", "adapter.lora.alpha is missing"},
    };
    for (size_t i = 0; i < COUNT(values) + COUNT(names); i++) {
        char *folder = test_folder_create(), *path = test_path(folder, "a.gguf");
        const bool value = i < COUNT(values);
        const size_t n = i - COUNT(values);
        if (value)
            test_copy_gguf_value(ADAPTER("llama2-all.gguf"), path, values[i].key, values[i].value,
                                 values[i].bytes);
        else
            test_copy_replaced(ADAPTER("llama2-all.gguf"), path, names[n].find, names[n].replace);
        must_refuse(FIXTURE("llama2.gguf"), path, value ? values[i].want : names[n].want);
        free(path);
        test_folder_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits),       cmocka_unit_test(test_factors),
        cmocka_unit_test(test_orders),       cmocka_unit_test(test_broken_folders),
        cmocka_unit_test(test_wrong_models), cmocka_unit_test(test_broken_gguf),
    };
    const bool on_device = strncmp(test_device(), "vulkan", 6) == 0;
    return _cmocka_run_group_tests("adapters", tests, on_device ? 1 : COUNT(tests), NULL, NULL);
}
