/* Hyperparameters: what the fixtures say, and what is refused with which words. */
#include <math.h>
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

static lp_status read_gguf(lp_context *ctx, const char *path, lp_hparams *hp)
{
    lp_weights *weights = lp_weights_create();
    assert_non_null(weights);
    lp_gguf *gguf = NULL;
    lp_status status = lp_gguf_open(ctx, path, weights, &gguf);
    if (status == LP_OK)
        status = lp_hparams_from_gguf(ctx, path, gguf, weights, hp);
    lp_gguf_destroy(gguf);
    lp_weights_destroy(weights);
    return status;
}

typedef struct expectation {
    const char *path;
    const char *arch;
    uint32_t n_context, n_embd, n_layer, n_ff, n_head, n_head_kv, head, window;
    float eps, base;
    bool tied;
    lp_act_kind act;
    lp_rope_pairing pairing;
    lp_rope_scaling scaling;
} expectation;

static const expectation fixtures[] = {
    {FIXTURE("gpt2/config.json"), "gpt2", 48, 36, 2, 144, 3, 3, 12, 0, 1e-5f, 0, true,
     LP_ACT_GELU_TANH, LP_ROPE_ADJACENT, LP_ROPE_SCALING_NONE},
    {FIXTURE("gpt2.gguf"), "gpt2", 48, 36, 2, 144, 3, 3, 12, 0, 1e-5f, 0, true, LP_ACT_GELU_TANH,
     LP_ROPE_ADJACENT, LP_ROPE_SCALING_NONE},
    {FIXTURE("gpt2-f16/config.json"), "gpt2", 48, 40, 2, 100, 5, 5, 8, 0, 1e-5f, 0, true,
     LP_ACT_GELU_TANH, LP_ROPE_ADJACENT, LP_ROPE_SCALING_NONE},
    {FIXTURE("llama2/config.json"), "llama", 256, 48, 2, 88, 6, 2, 16, 0, 1e-5f, 1e4f, false,
     LP_ACT_SILU, LP_ROPE_HALVES, LP_ROPE_SCALING_NONE},
    {FIXTURE("llama2.gguf"), "llama", 256, 48, 2, 88, 6, 2, 16, 0, 1e-5f, 1e4f, false, LP_ACT_SILU,
     LP_ROPE_ADJACENT, LP_ROPE_SCALING_NONE},
    {FIXTURE("llama3/config.json"), "llama", 512, 48, 2, 72, 4, 2, 16, 0, 1e-5f, 5e5f, true,
     LP_ACT_SILU, LP_ROPE_HALVES, LP_ROPE_SCALING_LLAMA3},
    {FIXTURE("llama3.gguf"), "llama", 512, 48, 2, 72, 4, 2, 16, 0, 1e-5f, 5e5f, true, LP_ACT_SILU,
     LP_ROPE_ADJACENT, LP_ROPE_SCALING_NONE}, /* the divisors are a tensor */
    {FIXTURE("llama3-sharded/config.json"), "llama", 512, 32, 3, 64, 4, 1, 12, 0, 1e-6f, 5e5f, true,
     LP_ACT_SILU, LP_ROPE_HALVES, LP_ROPE_SCALING_LLAMA3},
    {FIXTURE("mistral/config.json"), "mistral", 512, 44, 2, 60, 3, 1, 20, 11, 1e-6f, 1e4f, false,
     LP_ACT_SILU, LP_ROPE_HALVES, LP_ROPE_SCALING_NONE},
};

static void test_fixtures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        const expectation *e = &fixtures[i];
        lp_context ctx = {0};
        lp_hparams hp;
        lp_status status = strstr(e->path, ".gguf") ? read_gguf(&ctx, e->path, &hp)
                                                    : lp_hparams_from_config(&ctx, e->path, &hp);
        if (status != LP_OK)
            fail_msg("%s", ctx.message);
        assert_string_equal(hp.arch->hf, e->arch);
        assert_int_equal(hp.n_vocab, 67);
        assert_int_equal(hp.n_context, e->n_context);
        assert_int_equal(hp.n_embd, e->n_embd);
        assert_int_equal(hp.n_layer, e->n_layer);
        assert_int_equal(hp.n_ff, e->n_ff);
        assert_int_equal(hp.n_head, e->n_head);
        assert_int_equal(hp.n_head_kv, e->n_head_kv);
        assert_int_equal(hp.head_k, e->head);
        assert_int_equal(hp.head_v, e->head);
        assert_int_equal(hp.window, e->window);
        assert_true(hp.norm_eps == e->eps);
        assert_true(hp.rope.base == e->base);
        assert_int_equal(hp.tied, e->tied);
        assert_int_equal(hp.act, e->act);
        assert_int_equal(hp.rope.pairing, e->pairing);
        assert_int_equal(hp.rope.scaling, e->scaling);
        assert_int_equal(hp.rope.n_rotated, e->base > 0 ? e->head : 0);
    }
}

typedef struct gguf_case {
    const char *file, *key;
    uint32_t value;     /* bits that are put where the key's value is; or */
    const char *rename; /* the key gets this name of the same length */
    lp_status status;
    const char *message;
} gguf_case;

static const gguf_case gguf_cases[] = {
    {"llama2", "llama.attention.head_count", 0, NULL, LP_E_FORMAT, "head count is 0"},
    {"llama2", "llama.attention.head_count", 5, NULL, LP_E_FORMAT, "5 heads cannot share 2"},
    {"llama2", "llama.attention.head_count", 1u << 31, NULL, LP_E_LIMIT, "2147483648"},
    {"llama2", "llama.attention.head_count_kv", 0, NULL, LP_E_FORMAT, "key/value head count is 0"},
    {"llama2", "llama.attention.head_count_kv", 12, NULL, LP_E_FORMAT, "cannot share 12"},
    {"llama2", "llama.embedding_length", UINT32_MAX, NULL, LP_E_LIMIT, "embedding length"},
    {"llama2", "llama.embedding_length", 0, NULL, LP_E_FORMAT, "embedding length is 0"},
    {"llama2", "llama.block_count", 0, NULL, LP_E_FORMAT, "block count is 0"},
    {"llama2", "llama.block_count", 1000000, NULL, LP_E_LIMIT, "block count is 1000000"},
    {"llama2", "llama.feed_forward_length", UINT32_MAX, NULL, LP_E_LIMIT, "feed-forward length"},
    {"llama2", "llama.context_length", 0, NULL, LP_E_FORMAT, "context length is 0"},
    {"llama2", "llama.attention.key_length", 0, NULL, LP_E_FORMAT, "size of a key head"},
    {"llama2", "llama.attention.key_length", 100000, NULL, LP_E_LIMIT, "size of a key head"},
    {"llama2", "llama.attention.value_length", 0, NULL, LP_E_FORMAT, "size of a value head"},
    {"llama2", "llama.rope.dimension_count", 15, NULL, LP_E_FORMAT, "RoPE on 15 elements"},
    {"llama2", "llama.rope.dimension_count", 18, NULL, LP_E_FORMAT, "RoPE on 18 elements"},
    {"llama2", "llama.rope.dimension_count", 0, NULL, LP_E_FORMAT, "RoPE on 0 elements"},
    {"llama2", "llama.rope.freq_base", 0x7fc00000, NULL, LP_E_FORMAT, "rope.freq_base"},
    {"llama2", "llama.rope.freq_base", 0, NULL, LP_E_FORMAT, "base of RoPE is 0"},
    {"llama2", "llama.attention.layer_norm_rms_epsilon", 0x80000001, NULL, LP_E_FORMAT, "epsilon"},
    {"llama2", "llama.block_count", 0, "llama.block_counX", LP_E_MISSING,
     "key llama.block_count is missing"},
    {"llama2", "llama.attention.head_count", 0, "llama.attention.hXad_count", LP_E_MISSING,
     "key llama.attention.head_count is missing"},
    {"llama2", "llama.attention.layer_norm_rms_epsilon", 0,
     "llama.attention.layer_norm_rms_epsiloX", LP_E_MISSING, "layer_norm_rms_epsilon is missing"},
    {"llama2", "general.architecture", 0, "general.architectuXX", LP_E_MISSING,
     "general.architecture is missing"},
    {"llama2", "tokenizer.ggml.tokens", 0, "llama.expert_count_xx", LP_OK, ""}, /* vocab_size */
    {"gpt2", "gpt2.attention.layer_norm_epsilon", 0, NULL, LP_E_FORMAT, "epsilon"},
    {"gpt2", "gpt2.context_length", 0, "gpt2.contexX_length", LP_E_MISSING, "gpt2.context_length"},
    {"gpt2", "tokenizer.ggml.tokens", 0, "tokenizer.ggml.tokenX", LP_E_MISSING, "gpt2.vocab_size"},
    {"mixtral", "llama.expert_used_count", 0, NULL, LP_E_FORMAT, "0 of 5 experts per token"},
    {"mixtral", "llama.expert_used_count", 99, NULL, LP_E_FORMAT, "99 of 5 experts per token"},
    {"mixtral", "llama.expert_count", UINT32_MAX, NULL, LP_E_LIMIT, "number of experts"},
    {"deepseek_v3", "deepseek2.expert_group_count", 4, NULL, LP_E_FORMAT,
     "9 experts do not make 4 groups"},
    {"deepseek_v3", "deepseek2.expert_group_used_count", 0, NULL, LP_E_FORMAT,
     "0 of 3 groups of experts"},
    {"deepseek_v3", "deepseek2.expert_group_used_count", 1, NULL, LP_E_FORMAT,
     "4 experts per token, out of 1 groups"},
    {"deepseek_v3", "deepseek2.expert_shared_count", UINT32_MAX, NULL, LP_E_LIMIT, "shared expert"},
    {"deepseek_v3", "deepseek2.expert_feed_forward_length", UINT32_MAX, NULL, LP_E_LIMIT,
     "feed-forward length of an expert"},
    {"deepseek_v3", "deepseek2.expert_weights_scale", 0x7fc00000, NULL, LP_E_FORMAT,
     "expert_weights_scale"},
    {"deepseek_v3", "deepseek2.attention.kv_lora_rank", 0, NULL, LP_E_FORMAT,
     "rank of keys and values is 0"},
    {"deepseek_v3", "deepseek2.attention.kv_lora_rank", UINT32_MAX, NULL, LP_E_LIMIT,
     "rank of keys and values"},
    {"deepseek_v3", "deepseek2.attention.q_lora_rank", UINT32_MAX, NULL, LP_E_LIMIT,
     "rank of queries"},
    {"deepseek_v3", "deepseek2.rope.scaling.factor", 0x7149f2ca, NULL, LP_E_LIMIT,
     "factor of RoPE scaling is 1e+30"},
    {"cohere", "command-r.logit_scale", 0, NULL, LP_E_FORMAT, "factor of the logits is 0"},
};

static void test_broken_gguf(void **state)
{
    (void)state;
    char *folder = test_folder_create(), *path = test_path(folder, "broken.gguf");
    for (size_t i = 0; i < sizeof gguf_cases / sizeof gguf_cases[0]; i++) {
        const gguf_case *c = &gguf_cases[i];
        char from[512];
        snprintf(from, sizeof from, FIXTURE("%s.gguf"), c->file);
        if (c->rename)
            test_copy_replaced(from, path, c->key, c->rename);
        else
            test_copy_gguf_value(from, path, c->key, &c->value, 4);
        lp_context ctx = {0};
        lp_hparams hp;
        lp_status status = read_gguf(&ctx, path, &hp);
        if (c->status == LP_OK)
            assert_int_equal(status, LP_OK);
        else
            test_expect_failure(&ctx, status, c->status, c->message, "broken.gguf");
    }

    lp_context ctx = {0};
    lp_hparams hp;
    test_copy_gguf_value(FIXTURE("llama2.gguf"), path, "general.architecture",
                         "\5\0\0\0\0\0\0\0mam\nb", 13);
    lp_status status = read_gguf(&ctx, path, &hp);
    test_expect_failure(&ctx, status, LP_E_UNSUPPORTED, "\"mam?b\" is not supported",
                        "most like it is");
    test_folder_remove(folder);
    free(path);
}

/* Values that a config may leave out or set to null. */
static void test_config_defaults(void **state)
{
    (void)state;
    char *folder = test_folder_create(), *path = test_path(folder, "config.json");
    lp_context ctx = {0};
    lp_hparams hp;
    test_copy_replaced(FIXTURE("mistral/config.json"), path, "\"sliding_window\": 11",
                       "\"sliding_window\": null");
    assert_int_equal(lp_hparams_from_config(&ctx, path, &hp), LP_OK);
    assert_int_equal(hp.window, 0);
    test_copy_replaced(FIXTURE("mistral/config.json"), path, "\"sliding_window\": 11,", "");
    assert_int_equal(lp_hparams_from_config(&ctx, path, &hp), LP_OK);
    assert_int_equal(hp.window, 4096);
    test_copy_replaced(FIXTURE("llama2/config.json"), path, "\"num_key_value_heads\": 2",
                       "\"num_key_value_heads\": null, \"sliding_window\": 5");
    assert_int_equal(lp_hparams_from_config(&ctx, path, &hp), LP_OK);
    assert_int_equal(hp.n_head_kv, 6);
    assert_int_equal(hp.window, 0);
    test_copy_replaced(FIXTURE("llama2/config.json"), path, "\"head_dim\": 16,", "");
    assert_int_equal(lp_hparams_from_config(&ctx, path, &hp), LP_OK);
    assert_int_equal(hp.head_k, 8);
    test_copy_replaced(FIXTURE("llama2/config.json"), path, "\"rope_scaling\": null",
                       "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4.0}");
    assert_int_equal(lp_hparams_from_config(&ctx, path, &hp), LP_OK);
    double plain[8], scaled[8];
    lp_rope_frequencies(&hp.rope, 0, NULL, scaled);
    hp.rope.scaling = LP_ROPE_SCALING_NONE;
    lp_rope_frequencies(&hp.rope, 0, NULL, plain);
    for (int i = 0; i < 8; i++)
        assert_true(scaled[i] == plain[i] / 4);
    test_copy_replaced(FIXTURE("gpt2/config.json"), path, "gelu_new", "gelu");
    assert_int_equal(lp_hparams_from_config(&ctx, path, &hp), LP_OK);
    assert_int_equal(hp.act, LP_ACT_GELU_ERF);
    test_folder_remove(folder);
    free(path);
}

/* What published configs of Llama 4 say otherwise than the fixture's. */
static void test_llama4_config(void **state)
{
    (void)state;
    enum { CHUNK = LP_LAYER_CHUNKED, NO_ROPE = LP_LAYER_NO_ROPE };
    static const struct {
        const char *find, *replace;
        uint8_t layers[3];
        float growth;
    } cases[] = {
        {"{", "{", {CHUNK, CHUNK, NO_ROPE}, 0.1f},
        {"tuning\": true", "tuning\": 4", {CHUNK, CHUNK, NO_ROPE}, 0.1f},
        {"tuning\": true", "tuning\": 0", {CHUNK, CHUNK, NO_ROPE}, 0},
        {"\"no_rope_layers\": [\n    1,\n    1,\n    0\n  ]",
         "\"no_rope_layers\": [], \"no_rope_layer_interval\": 2",
         {CHUNK, NO_ROPE, CHUNK},
         0.1f},
        {"chunk_size\": 16", "chunk_size\": null", {0, 0, NO_ROPE}, 0.1f},
        {"{",
         "{\"layer_types\": [\"full_attention\", \"chunked_attention\", \"chunked_attention\"],",
         {0, CHUNK, CHUNK | NO_ROPE},
         0.1f},
    };
    char *folder = test_folder_create(), *path = test_path(folder, "config.json");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lp_context ctx = {0};
        lp_hparams hp;
        test_copy_replaced(FIXTURE("llama4/config.json"), path, cases[i].find, cases[i].replace);
        if (lp_hparams_from_config(&ctx, path, &hp) != LP_OK)
            fail_msg("%s", ctx.message);
        assert_memory_equal(hp.layers, cases[i].layers, sizeof cases[i].layers);
        assert_true(hp.q_growth == cases[i].growth);
    }
    test_folder_remove(folder);
    free(path);
}

/* Llama 3.1 8B: n = 128, base 500000, (8, 1, 4, 8192). Wavelengths below 2048 tokens stay, those
 * above 8192 are stretched eightfold, the others lie between. */
static void test_llama3_frequencies(void **state)
{
    (void)state;
    lp_rope_hparams rope = {.n_rotated = 128,
                            .base = 500000,
                            .scaling = LP_ROPE_SCALING_LLAMA3,
                            .factor = 8,
                            .low_freq_factor = 1,
                            .high_freq_factor = 4,
                            .original_context = 8192};
    double scaled[64], plain[64], divided[64];
    float divisors[64];
    lp_rope_frequencies(&rope, 0, NULL, scaled);
    rope.scaling = LP_ROPE_SCALING_NONE;
    lp_rope_frequencies(&rope, 0, NULL, plain);
    int kept = 0, stretched = 0;
    for (int i = 0; i < 64; i++) {
        assert_true(fabs(plain[i] / pow(500000, -i / 64.0) - 1) < 1e-12);
        double wavelength = 2 * 3.141592653589793 / plain[i], ratio = plain[i] / scaled[i];
        if (wavelength < 2048) {
            assert_true(ratio == 1);
            kept++;
        } else if (wavelength > 8192) {
            assert_true(ratio == 8);
            stretched++;
        } else {
            double turns = 8192 / wavelength, keep = (turns - 1) / 3;
            assert_true(fabs(1 / ratio - (keep + (1 - keep) / 8)) < 1e-12);
        }
        divisors[i] = (float)ratio;
    }
    assert_int_equal(kept, 29);
    assert_int_equal(stretched, 29);
    rope.scaling = LP_ROPE_SCALING_LLAMA3; /* Llama 4: nothing between */
    rope.high_freq_factor = 1;
    lp_rope_frequencies(&rope, 0, NULL, divided);
    for (int i = 0; i < 64; i++)
        assert_true(divided[i] == (i < 35 ? plain[i] : plain[i] / 8));
    rope.scaling = LP_ROPE_SCALING_NONE;
    lp_rope_frequencies(&rope, 0, divisors, divided);
    for (int i = 0; i < 64; i++)
        assert_true(fabs(divided[i] / scaled[i] - 1) < 1e-7);
}

/* GGUF files do not tell that the largest Gemma 2 scales scores by N / H; its layers do. */
static void test_gemma2_27b_scale(void **state)
{
    (void)state;
    char *folder = test_folder_create(), *path = test_path(folder, "gemma2.gguf");
    lp_context ctx = {0};
    lp_hparams hp;
    for (uint32_t n_layer = 45; n_layer <= 46; n_layer++) {
        test_copy_gguf_value(FIXTURE("gemma2.gguf"), path, "gemma2.block_count", &n_layer, 4);
        if (read_gguf(&ctx, path, &hp) != LP_OK)
            fail_msg("%s", ctx.message);
        double d = n_layer == 46 ? (double)hp.n_embd / hp.n_head : (double)hp.head_k;
        assert_true(fabs((double)hp.attn_scale * sqrt(d) - 1) < 1e-6);
        assert_true((double)hp.n_embd / hp.n_head != (double)hp.head_k);
    }
    test_folder_remove(folder);
    free(path);
}

static void test_describe(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        if (strstr(fixtures[i].path, ".gguf"))
            continue;
        lp_context ctx = {0};
        lp_hparams hp;
        lp_hparam facts[LP_MAX_FACTS];
        assert_int_equal(lp_hparams_from_config(&ctx, fixtures[i].path, &hp), LP_OK);
        size_t n = lp_hparams_describe(&hp, facts);
        assert_in_range(n, 15, LP_MAX_FACTS);
        assert_string_equal(facts[0].name, "architecture");
        assert_string_equal(facts[0].value, fixtures[i].arch);
        assert_string_equal(facts[1].name, "vocabulary");
        assert_string_equal(facts[1].value, "67");
        assert_true(facts[1].is_number && !facts[0].is_number);
    }
}

/* What people read of a model, out of its config.json. */
typedef struct described {
    const char *fixture;
    struct {
        const char *name, *value;
    } facts[20];
} described;

static const described descriptions[] = {
    {"phi",
     {{"layers", "2"},
      {"embedding_length", "36"},
      {"feed_forward_length", "45"},
      {"kv_heads", "3"},
      {"key_head_size", "12"},
      {"norm", "layer"},
      {"activation", "gelu (tanh)"},
      {"block", "attention and feed-forward in parallel"},
      {"rope_elements", "6"},
      {"head", "untied"}}},
    {"phi3",
     {{"kv_heads", "2"},
      {"norm", "rms"},
      {"activation", "silu"},
      {"block", "one by one"},
      {"sliding_window", "13"},
      {"layers_with_window", "2"},
      {"rope_elements", "6"}}},
    {"cohere",
     {{"norm", "layer"},
      {"logit_factor", "0.3"},
      {"rope_base", "8000000"},
      {"rope_pairing", "adjacent"},
      {"head", "tied to the token embedding"}}},
    {"starcoder2",
     {{"norm", "layer"},
      {"kv_heads", "2"},
      {"activation", "gelu (tanh)"},
      {"sliding_window", "12"},
      {"rope_base", "999999.4"},
      {"head", "tied to the token embedding"}}},
    {"stablelm",
     {{"norm", "layer"}, {"rope_elements", "4"}, {"block", "one by one"}, {"head", "untied"}}},
    {"stablelm-parallel", {{"block", "attention and feed-forward in parallel"}}},
    {"granite",
     {{"attention_factor", "0.23"},
      {"embedding_factor", "3"},
      {"part_factor", "0.62"},
      {"logit_factor", "0.5882353"},
      {"norm", "rms"}}},
    {"smollm3",
     {{"layers", "3"},
      {"layers_without_positions", "1"},
      {"rope_base", "50000"},
      {"rope_elements", "6"}}},
    {"glm4",
     {{"kv_heads", "1"}, {"rope_elements", "6"}, {"rope_pairing", "adjacent"}, {"head", "untied"}}},
    {"nemotron", {{"activation", "squared relu"}}},
    {"luong", {{"cell", "lstm"}, {"attention_score", "general"}, {"head", "untied"}}},
    {"bahdanau",
     {{"cell", "gated"},
      {"attention_score", "additive"},
      {"alignment_length", "34"},
      {"maxout_length", "15"},
      {"head", "untied"}}},
    {"chatglm",
     {{"context_length", "64"},
      {"feed_forward_length", "41"},
      {"kv_heads", "3"},
      {"activation", "gelu (tanh)"},
      {"attention", "causal behind the prefix"},
      {"first_token_of_answers", "0"},
      {"residual_factor", "2"},
      {"rope_axes", "place in the prefix, place behind it"},
      {"rope_elements", "12"},
      {"rope_pairing", "halves"}}},
    {"chatglm2",
     {{"vocabulary", "67"},
      {"feed_forward_length", "39"},
      {"kv_heads", "2"},
      {"key_head_size", "12"},
      {"norm", "rms"},
      {"rope_elements", "6"},
      {"rope_pairing", "adjacent"},
      {"rope_base", "500000"}}},
    {"t5",
     {{"context_length", "512"},
      {"layers", "2"},
      {"feed_forward_length", "33"},
      {"key_head_size", "6"},
      {"encoder_layers", "2"},
      {"encoder_heads", "3"},
      {"encoder_feed_forward_length", "33"},
      {"norm", "rms"},
      {"activation", "relu"},
      {"attention_factor", "1"},
      {"logit_factor", "0.2041242"},
      {"positions", "relative"},
      {"relative_buckets", "12"},
      {"relative_distance", "128"}}},
    {"flan-t5",
     {{"layers", "2"},
      {"encoder_layers", "3"},
      {"activation", "gelu (tanh)"},
      {"head", "untied"},
      {"relative_buckets", "16"},
      {"relative_distance", "24"}}},
    {"bart",
     {{"heads", "3"},
      {"feed_forward_length", "31"},
      {"encoder_heads", "6"},
      {"encoder_feed_forward_length", "35"},
      {"norm", "layer"},
      {"activation", "gelu (erf)"},
      {"attention", "causal"},
      {"positions", "learned"}}},
    {"marian",
     {{"embedding_factor", "4.89898"}, {"activation", "silu"}, {"positions", "sinusoids"}}},
    {"transformer",
     {{"embedding_factor", "4.89898"},
      {"encoder_heads", "6"},
      {"activation", "relu"},
      {"head", "tied to the token embedding"},
      {"positions", "sinusoids"}}},
    {"retro",
     {{"chunk_length", "7"},
      {"neighbours", "2"},
      {"neighbour_length", "11"},
      {"encoder_embedding_length", "18"},
      {"norm", "rms"},
      {"positions", "rope"}}},
    {"switch",
     {{"experts", "5"},
      {"experts_per_token", "1"},
      {"expert_capacity", "9"},
      {"positions", "relative"},
      {"relative_buckets", "32"}}},
    {"vit",
     {{"picture_side", "20"},
      {"patch_side", "4"},
      {"patches", "25"},
      {"labels", "7"},
      {"context_length", "26"}}},
    {"deit", {{"patches", "16"}, {"context_length", "18"}, {"labels", "5"}}},
    {"clip",
     {{"attention", "causal"},
      {"patches", "9"},
      {"picture_layers", "3"},
      {"projected_length", "20"},
      {"activation", "quick gelu"}}},
    {"bert",
     {{"attention", "all tokens see each other"},
      {"token_types", "2"},
      {"norm_epsilon", "1e-12"},
      {"activation", "gelu (erf)"},
      {"positions", "learned"}}},
    {"roberta", {{"context_length", "48"}, {"token_types", "1"}}},
    {"modernbert",
     {{"layers", "4"},
      {"sliding_window", "12"},
      {"layers_with_window", "2"},
      {"rope_base", "160000"},
      {"attention", "all tokens see each other"}}},
    {"deepseek_v2-groups",
     {{"kv_heads", "1"},
      {"key_head_size", "16"},
      {"value_head_size", "8"},
      {"rank_of_keys_and_values", "18"},
      {"rank_of_queries", "14"},
      {"experts", "6"},
      {"experts_per_token", "3"},
      {"expert_feed_forward_length", "11"},
      {"shared_feed_forward_length", "11"},
      {"expert_groups", "3"},
      {"expert_groups_per_token", "2"},
      {"expert_factor", "2.5"},
      {"attention_factor", "0.2933185"},
      {"rope_elements", "6"},
      {"rope_scaling", "yarn"},
      {"rope_scaling_factor", "4"},
      {"rope_attention_factor", "1.051194"}}},
    {"deepseek_v2", {{"shared_feed_forward_length", "22"}}},
    {"gpt_oss",
     {{"key_head_size", "10"},
      {"experts", "5"},
      {"experts_per_token", "2"},
      {"expert_feed_forward_length", "15"},
      {"limit_of_gated_parts", "2"},
      {"sliding_window", "11"},
      {"layers_with_window", "1"},
      {"rope_scaling", "yarn"},
      {"rope_attention_factor", "1.138629"}}},
    {"llama-yarn-v5",
     {{"rope_base", "5000"}, {"rope_scaling_factor", "4"}, {"rope_attention_factor", "1.3"}}},
};

static const char *fact(const lp_hparam *facts, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(facts[i].name, name) == 0)
            return facts[i].value;
    return "nothing";
}

static void test_described(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof descriptions / sizeof descriptions[0]; i++) {
        const described *d = &descriptions[i];
        char *folder = test_path(FIXTURE(""), d->fixture), *path = test_path(folder, "config.json");
        lp_context ctx = {0};
        lp_hparams hp;
        lp_hparam facts[LP_MAX_FACTS];
        if (lp_hparams_from_config(&ctx, path, &hp) != LP_OK)
            fail_msg("%s", ctx.message);
        const size_t n = lp_hparams_describe(&hp, facts);
        for (size_t f = 0; d->facts[f].name != NULL; f++)
            if (strcmp(fact(facts, n, d->facts[f].name), d->facts[f].value) != 0)
                fail_msg("%s: %s is %s; want %s", d->fixture, d->facts[f].name,
                         fact(facts, n, d->facts[f].name), d->facts[f].value);
        free(path);
        free(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures),        cmocka_unit_test(test_broken_gguf),
        cmocka_unit_test(test_config_defaults), cmocka_unit_test(test_llama3_frequencies),
        cmocka_unit_test(test_llama4_config),   cmocka_unit_test(test_describe),
        cmocka_unit_test(test_described),       cmocka_unit_test(test_gemma2_27b_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
