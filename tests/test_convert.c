/* Models written as GGUF files: folders against the twins that llama.cpp's rules made of them
 * (fixtures/models/maker/gguf_twin.py), byte by byte, and against the logits of the transformers
 * library; GGUF files in other types; what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/model_files.h"
#include "support/model_run.h"
#include "support/tokenizer_texts.h"
#include "tensor/quantize.h"
#include "text/convert.h"
#include "text/tokenizer.h"

#define COUNT(array) (sizeof array / sizeof array[0])

/* A copy of a fixture with a tokenizer, which the fixtures lack. */
static char *make_folder(const char *fixture, const char *tokenizer)
{
    static const char *const names[] = {"config.json", "model.safetensors"};
    char *folder = test_folder_create(), *to = test_path(folder, "tokenizer.json");
    if (tokenizer)
        test_write(to, tokenizer, strlen(tokenizer));
    free(to);
    for (size_t i = 0; i < COUNT(names); i++) {
        char from[512];
        snprintf(from, sizeof from, LAPILLI_TEST_FIXTURES "/models/%s/%s", fixture, names[i]);
        to = test_path(folder, names[i]);
        test_copy(from, to);
        free(to);
    }
    return folder;
}

static lp_status convert(lp_context *ctx, const char *from, const char *to, lp_dtype type,
                         lp_convert_result *result)
{
    lp_convert_options options = {.type = type};
    return lp_convert_file(ctx, from, to, &options, result);
}

/* The same tensors, byte by byte. */
static void check_tensors(const char *a, const char *b)
{
    lp_context ctx = {0};
    lp_gguf *x, *y;
    lp_weights *wanted = lp_weights_create(), *got = lp_weights_create();
    assert_int_equal(lp_gguf_open(&ctx, a, wanted, &x), LP_OK);
    assert_int_equal(lp_gguf_open(&ctx, b, got, &y), LP_OK);
    for (size_t i = 0; i < lp_weights_count(wanted); i++) {
        const lp_weight *w = lp_weights_at(wanted, i), *g = lp_weights_find(got, w->name);
        if (!g || g->dtype != w->dtype || !lp_shape_equal(g->shape, w->shape) ||
            memcmp(g->data, w->data, w->bytes) != 0)
            fail_msg("%s: %s is not that of %s", b, w->name, a);
    }
    assert_int_equal(lp_weights_count(wanted), lp_weights_count(got));
    lp_gguf_destroy(x);
    lp_gguf_destroy(y);
    lp_weights_destroy(wanted);
    lp_weights_destroy(got);
}

static expected open_expected(const char *fixture)
{
    char name[512];
    snprintf(name, sizeof name, LAPILLI_TEST_FIXTURES "/models/%s/expected.safetensors", fixture);
    return expected_open(name);
}

/* All logits of the fixture's tokens, by the CPU reference; malloc'ed. */
static float *logits_of(const char *path, const expected *e)
{
    lp_context ctx = {0};
    lp_network *network;
    if (lp_network_open(&ctx, path, &network) != LP_OK)
        fail_msg("%s", ctx.message);
    float *logits = malloc((size_t)e->n_tokens * (size_t)e->n_vocab * sizeof *logits);
    assert_non_null(logits);
    const int32_t n_ctx = e->n_tokens > e->n_source ? e->n_tokens : e->n_source;
    model_session *session = model_session_create(network, "reference", LP_F32, n_ctx);
    const int32_t whole[] = {e->n_tokens, 0};
    const model_run run = {.chunks = whole, .source = e->source, .n_source = e->n_source};
    model_session_run(session, &run, e->tokens, logits);
    model_session_destroy(session);
    lp_network_destroy(network);
    return logits;
}

/* Logits of the transformers library, or, where `folder` is one, those of that model. */
static void check_logits_of(const char *path, const char *fixture, const char *folder)
{
    expected e = open_expected(fixture);
    float *got = logits_of(path, &e), *wanted = folder ? logits_of(folder, &e) : NULL;
    double error = nmse(wanted ? wanted : e.logits, got, (size_t)e.n_tokens * (size_t)e.n_vocab);
    if (!(error < 1e-10))
        fail_msg("%s as GGUF: NMSE %.2e of all logits", fixture, error);
    free(wanted);
    free(got);
    expected_close(&e);
}

static void check_logits(const char *path, const char *fixture)
{
    check_logits_of(path, fixture, NULL);
}

/* What an encoder makes of the tokens. */
static void check_hidden(const char *path, const char *fixture)
{
    lp_context ctx = {0};
    lp_network *network;
    expected e = open_expected(fixture);
    if (lp_network_open(&ctx, path, &network) != LP_OK)
        fail_msg("%s", ctx.message);
    assert_false(lp_network_has_head(network));
    const size_t n = (size_t)e.n_tokens * network->hparams.n_embd;
    float *hidden = malloc(n * sizeof *hidden);
    assert_non_null(hidden);
    model_session *session = model_session_create(network, "reference", LP_F32, e.n_tokens);
    const int32_t whole[] = {e.n_tokens, 0};
    const model_run run = {.chunks = whole, .types = e.types, .hidden = hidden};
    model_session_run(session, &run, e.tokens, NULL);
    double error = nmse(e.hidden ? e.hidden : e.logits, hidden, n);
    if (!(error < 1e-10))
        fail_msg("%s as GGUF: NMSE %.2e of hidden states", fixture, error);
    model_session_destroy(session);
    free(hidden);
    expected_close(&e);
    lp_network_destroy(network);
}

static const struct {
    const char *fixture, *tokenizer, *kind;
} encoders[] = {
    {"bert", tokenizer_words, "bert"},
    {"distilbert", tokenizer_words, "bert"},
    {"roberta", tokenizer_byte_level, "gpt2"},
    {"modernbert", tokenizer_byte_level, "gpt2"},
    {"bert", NULL, "no_vocab"},
    {"t5encoder", tokenizer_unigram, "t5"},
};

static void encoders_become_files(void **state)
{
    (void)state;
    char *scratch = test_folder_create(), *to = test_path(scratch, "out.gguf");
    for (size_t i = 0; i < COUNT(encoders); i++) {
        char *folder = make_folder(encoders[i].fixture, encoders[i].tokenizer);
        lp_context ctx = {0};
        lp_convert_result result;
        lp_gguf *gguf;
        lp_gguf_string kind;
        char key[64];
        bool causal = true;
        if (convert(&ctx, folder, to, LP_N_DTYPES, &result) != LP_OK)
            fail_msg("%s: %s", encoders[i].fixture, ctx.message);
        check_hidden(to, encoders[i].fixture);
        lp_weights *weights = lp_weights_create();
        assert_int_equal(lp_gguf_open(&ctx, to, weights, &gguf), LP_OK);
        assert_true(lp_gguf_get_string(gguf, "tokenizer.ggml.model", &kind));
        assert_int_equal(kind.bytes, strlen(encoders[i].kind));
        assert_memory_equal(kind.data, encoders[i].kind, kind.bytes);
        assert_true(lp_gguf_get_string(gguf, "general.architecture", &kind));
        snprintf(key, sizeof key, "%.*s.attention.causal", (int)kind.bytes, kind.data);
        assert_true(lp_gguf_get_bool(gguf, key, &causal));
        assert_false(causal);
        lp_gguf_destroy(gguf);
        lp_weights_destroy(weights);
        test_folder_remove(folder);
    }
    free(to);
    test_folder_remove(scratch);
}

static const struct {
    const char *fixture, *twin, *tokenizer;
} folders[] = {
    {"gpt2", "gpt2.gguf", tokenizer_byte_level},
    {"gpt2-f16", NULL, tokenizer_byte_level},
    {"gpt_neox", "gpt_neox.gguf", tokenizer_byte_level},
    {"bloom", "bloom.gguf", tokenizer_byte_level},
    {"mpt", "mpt.gguf", tokenizer_byte_level},
    {"falcon-7b", "falcon-7b.gguf", tokenizer_byte_level},
    {"falcon-40b", "falcon-40b.gguf", tokenizer_byte_level},
    {"falcon-11b", NULL, tokenizer_byte_level},
    {"llama2", "llama2.gguf", tokenizer_pieces},
    {"llama3", "llama3.gguf", tokenizer_byte_level},
    {"llama-linear", NULL, tokenizer_pieces},
    {"mistral", NULL, tokenizer_pieces},
    {"mixtral", "mixtral.gguf", tokenizer_pieces},
    {"qwen2", "qwen2.gguf", tokenizer_byte_level},
    {"qwen3", "qwen3.gguf", tokenizer_byte_level},
    {"gemma", "gemma.gguf", tokenizer_pieces},
    {"gemma2", "gemma2.gguf", tokenizer_pieces},
    {"olmo2", NULL, tokenizer_byte_level},
    {"olmo", NULL, tokenizer_byte_level},
    {"phi", NULL, tokenizer_byte_level},
    {"phi3", NULL, tokenizer_pieces},
    {"cohere", "cohere.gguf", tokenizer_byte_level},
    {"gpt_bigcode", NULL, tokenizer_byte_level},
    {"starcoder2", NULL, tokenizer_byte_level},
    {"stablelm", NULL, tokenizer_byte_level},
    {"granite", NULL, tokenizer_byte_level},
    {"glm4", NULL, tokenizer_byte_level},
    {"chatglm2", NULL, tokenizer_byte_level},
    {"nemotron", NULL, tokenizer_byte_level},
    {"qwen2_moe", NULL, tokenizer_byte_level},
    {"qwen3_moe", NULL, tokenizer_byte_level},
    {"gpt_oss-mxfp4", "gpt_oss-mxfp4.gguf", tokenizer_byte_level},
    {"llama-yarn", NULL, tokenizer_pieces},
    {"t5", NULL, tokenizer_unigram},
    {"llama2", "llama2.gguf", NULL}, /* without a tokenizer */
    {"deepseek_v2", NULL, tokenizer_byte_level},
    {"deepseek_v3", "deepseek_v3.gguf", tokenizer_byte_level},
    {"gemma3", NULL, tokenizer_pieces},
    {"phi3-longrope", NULL, tokenizer_pieces},
};

static void folders_become_their_twins(void **state)
{
    (void)state;
    char *scratch = test_folder_create(), *to = test_path(scratch, "out.gguf"), twin[512];
    for (size_t i = 0; i < COUNT(folders); i++) {
        char *folder = make_folder(folders[i].fixture, folders[i].tokenizer);
        lp_context ctx = {0};
        lp_convert_result result;
        if (convert(&ctx, folder, to, LP_N_DTYPES, &result) != LP_OK)
            fail_msg("%s: %s", folders[i].fixture, ctx.message);
        snprintf(twin, sizeof twin, LAPILLI_TEST_FIXTURES "/models/%s", folders[i].twin);
        if (folders[i].twin)
            check_tensors(twin, to);
        check_logits(to, folders[i].fixture);
        test_folder_remove(folder);
    }
    free(to);
    test_folder_remove(scratch);
}

/* Where GGUF has no key for what a fixture's config.json says: another value, and the logits that
 * the folder has then. */
static const struct {
    const char *fixture, *tokenizer, *find[4], *replace[4];
} changed[] = {
    {"flan-t5",
     tokenizer_unigram,
     {"\"relative_attention_max_distance\": 24"},
     {"\"relative_attention_max_distance\": 128"}},
    {"gpt_oss", tokenizer_byte_level, {"\"swiglu_limit\": 2.0"}, {"\"swiglu_limit\": 7.0"}},
    {"smollm3",
     tokenizer_byte_level,
     {"\"no_rope_layers\": [\n    1,\n    0,\n    1\n  ]", "\"no_rope_layer_interval\": 2"},
     {"\"no_rope_layers\": null", "\"no_rope_layer_interval\": 4"}},
    {"llama4",
     tokenizer_byte_level,
     {"\"attention_chunk_size\": 16", "\"floor_scale\": 8,", "\"use_qk_norm\": false",
      "\"no_rope_layers\": [\n    1,\n    1,\n    0\n  ]"},
     {"\"attention_chunk_size\": 8192", "\"floor_scale\": 8192.0,", "\"use_qk_norm\": true",
      "\"no_rope_layers\": null"}},
    {"deepseek_v2-groups", tokenizer_byte_level, {"\"mscale\": 1.0"}, {"\"mscale\": 0.6"}},
};

static void changed_folders_become_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(changed); i++) {
        char *folder = make_folder(changed[i].fixture, changed[i].tokenizer);
        char *to = test_path(folder, "out.gguf"), *config = test_path(folder, "config.json");
        char *before = test_path(folder, "before.json");
        lp_context ctx = {0};
        lp_convert_result result;
        for (size_t k = 0; k < COUNT(changed[i].find) && changed[i].find[k]; k++) {
            test_copy(config, before);
            test_copy_replaced(before, config, changed[i].find[k], changed[i].replace[k]);
        }
        if (convert(&ctx, folder, to, LP_N_DTYPES, &result) != LP_OK)
            fail_msg("%s: %s", changed[i].fixture, ctx.message);
        check_logits_of(to, changed[i].fixture, folder);
        free(before);
        free(config);
        free(to);
        test_folder_remove(folder);
    }
}

static const struct {
    const char *fixture, *message;
} refused[] = {
#define NOT_WRITTEN(name)                                                                          \
    ": GGUF files of the architecture " name " are not written: llama.cpp does not know it, or "   \
    "lays it out otherwise"
    {"switch", NOT_WRITTEN("switch_transformers")},
    {"electra", NOT_WRITTEN("electra")},
    {"flan-t5", ": a GGUF file of the architecture t5 cannot say what max_distance is here"},
    {"opt", NOT_WRITTEN("opt")},
    {"gptj", NOT_WRITTEN("gptj")},
    {"chatglm", NOT_WRITTEN("chatglm")},
    {"gpt_neo", NOT_WRITTEN("gpt_neo")},
    {"gpt_neox-sequential",
     ": a GGUF file of the architecture gptneox cannot say what act is here"},
    {"bloom-176b",
     ": a GGUF file of the architecture bloom cannot say what residual_normed is here"},
    {"qwen2-window", ": a GGUF file of the architecture qwen2 cannot say what layers is here"},
    {"gemma3-v5", ": a GGUF file of the architecture gemma3 cannot say what layers is here"},
    {"gpt_oss", ": a GGUF file of the architecture gpt-oss cannot say what glu_limit is here"},
    {"llama4", ": a GGUF file of the architecture llama4 cannot say what norms is here"},
    {"deepseek_v2-groups",
     ": a GGUF file of the architecture deepseek2 cannot say what rope is here"},
    {"llama-dynamic", ": a GGUF file of the architecture llama cannot say what rope is here"},
};

static void what_gguf_cannot_say_is_refused(void **state)
{
    (void)state;
    char *scratch = test_folder_create(), *to = test_path(scratch, "out.gguf");
    for (size_t i = 0; i < COUNT(refused); i++) {
        char *folder = make_folder(refused[i].fixture, tokenizer_byte_level);
        lp_context ctx = {0};
        lp_convert_result result;
        assert_int_equal(convert(&ctx, folder, to, LP_N_DTYPES, &result), LP_E_UNSUPPORTED);
        assert_int_equal(strncmp(ctx.message, folder, strlen(folder)), 0);
        assert_string_equal(ctx.message + strlen(folder), refused[i].message);
        assert_int_not_equal(access(to, F_OK), 0); /* nothing was written */
        test_folder_remove(folder);
    }
    free(to);
    test_folder_remove(scratch);
}

/* Special tokens, padding, the pre-tokenizer's name, scores from merges, the chat template. */
static void tokenizers_go_along(void **state)
{
    (void)state;
    static const struct {
        const char *json, *model, *pre, *text;
    } rows[] = {{tokenizer_byte_level, "gpt2", "gpt-2", "the hello the\nt he"},
                {tokenizer_pieces, "llama", NULL, "the hello the\nt he"},
                {tokenizer_unigram, "t5", NULL, "the hello the t  he"},
                {tokenizer_words, "bert", NULL, "The hello, th\xc3\xa9\nthe "}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *folder = make_folder("llama2", rows[i].json), *to = test_path(folder, "out.gguf");
        char *config = test_path(folder, "tokenizer_config.json");
        static const char settings[] = "{\"chat_template\":\"{{ messages }}\"}";
        test_write(config, settings, sizeof settings - 1);
        lp_context ctx = {0};
        lp_convert_result result;
        if (convert(&ctx, folder, to, LP_N_DTYPES, &result) != LP_OK)
            fail_msg("%s", ctx.message);
        lp_gguf *gguf;
        lp_gguf_string value;
        lp_gguf_type type;
        uint64_t n;
        lp_weights *weights = lp_weights_create();
        assert_int_equal(lp_gguf_open(&ctx, to, weights, &gguf), LP_OK);
        assert_true(lp_gguf_get_string(gguf, "tokenizer.ggml.model", &value));
        assert_memory_equal(value.data, rows[i].model, value.bytes);
        assert_int_equal(lp_gguf_get_string(gguf, "tokenizer.ggml.pre", &value),
                         rows[i].pre != NULL);
        if (rows[i].pre)
            assert_memory_equal(value.data, rows[i].pre, value.bytes);
        assert_true(lp_gguf_get_array(gguf, "tokenizer.ggml.tokens", &type, &n));
        assert_int_equal(n, 67);
        value = lp_gguf_array_string(gguf, "tokenizer.ggml.tokens", 66);
        assert_memory_equal(value.data, "[PAD66]", value.bytes);
        assert_true(lp_gguf_get_string(gguf, "tokenizer.chat_template", &value));
        assert_memory_equal(value.data, "{{ messages }}", value.bytes);
        lp_gguf_destroy(gguf);
        lp_weights_destroy(weights);

        const char *text = rows[i].text;
        lp_tokenizer *from, *again;
        int32_t *x, *y;
        size_t n_x, n_y;
        assert_int_equal(lp_tokenizer_from_folder(&ctx, folder, &from), LP_OK);
        assert_int_equal(lp_tokenizer_open(&ctx, to, &again), LP_OK);
        assert_int_equal(
            lp_tokenize(&ctx, from, text, strlen(text), LP_TOKENIZE_ADD_SPECIAL, &x, &n_x), LP_OK);
        assert_int_equal(
            lp_tokenize(&ctx, again, text, strlen(text), LP_TOKENIZE_ADD_SPECIAL, &y, &n_y), LP_OK);
        assert_int_equal(n_x, n_y);
        assert_memory_equal(x, y, n_x * sizeof *x);
        free(x);
        free(y);
        lp_tokenizer_destroy(from);
        lp_tokenizer_destroy(again);
        free(config);
        free(to);
        test_folder_remove(folder);
    }
}

/* A pre-tokenizer without a name, a tokenizer that is too large, none at all. */
static void tokenizers_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *find, *replace, *message;
    } rows[] = {
        {"\"add_prefix_space\":false", "\"add_prefix_space\":true ",
         ": GGUF has no name for a pre-tokenizer that cuts text as this one does"},
        {"\"id\":0,\"content\":\"<|end|>\"", "\"id\":150,\"content\":\"<|more|>\"",
         ": the tokenizer has 151 tokens, the embedding 67"},
        {tokenizer_byte_level,
         "{\"version\":\"1.0\",\"added_tokens\":[],\"model\":{\"type\":\"WordLevel\","
         "\"unk_token\":\"a\",\"vocab\":{\"a\":0}}}",
         " is not written to GGUF files"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *folder = make_folder("llama2", tokenizer_byte_level),
             *to = test_path(folder, "out.gguf");
        char *json = test_path(folder, "tokenizer.json");
        lp_context ctx = {0};
        lp_convert_result result;
        char *first = test_path(folder, "first.json");
        test_copy(json, first);
        test_copy_replaced(first, json, rows[i].find, rows[i].replace);
        assert_int_not_equal(convert(&ctx, folder, to, LP_N_DTYPES, &result), LP_OK);
        if (!strstr(ctx.message, rows[i].message))
            fail_msg("\"%s\" lacks \"%s\"", ctx.message, rows[i].message);
        free(first);
        free(json);
        free(to);
        test_folder_remove(folder);
    }
}

static void gguf_files_change_their_type(void **state)
{
    (void)state;
    char *scratch = test_folder_create(), *to = test_path(scratch, "out.gguf");
    char *again = test_path(scratch, "again.gguf");
    lp_context ctx = {0};
    lp_convert_result result;
    /* as it is: the same file in all that counts */
    assert_int_equal(convert(&ctx, FIXTURE("bloom.gguf"), to, LP_N_DTYPES, &result), LP_OK);
    assert_int_equal(result.n_changed, 0);
    check_tensors(FIXTURE("bloom.gguf"), to);
    check_logits(to, "bloom");
    /* F16 is exact as F32; back again the same bits */
    assert_int_equal(convert(&ctx, FIXTURE("bloom.gguf"), to, LP_F32, &result), LP_OK);
    check_logits(to, "bloom");
    assert_int_equal(convert(&ctx, to, again, LP_F16, &result), LP_OK);
    check_tensors(FIXTURE("bloom.gguf"), again);
    /* the quantised fixture is what its own weights are rounded to */
    assert_int_equal(convert(&ctx, FIXTURE("llama-q8_0.gguf"), to, LP_Q8_0, &result), LP_OK);
    assert_int_equal(result.n_changed, 0);
    check_tensors(FIXTURE("llama-q8_0.gguf"), to);
    /* and not quantised twice without being asked */
    assert_int_equal(convert(&ctx, FIXTURE("llama-q4_0.gguf"), to, LP_Q8_0, &result), LP_E_ARG);
    assert_non_null(
        strstr(ctx.message, " is Q4_0 already; to make Q8_0 of it adds error to error"));
    lp_convert_options allowed = {.type = LP_F32, .allow_requantize = true};
    assert_int_equal(lp_convert_file(&ctx, FIXTURE("llama-q4_0.gguf"), to, &allowed, &result),
                     LP_OK);
    check_logits(to, "llama-q4_0"); /* F32 holds all of Q4_0 */
    /* it becomes the same Q4_0 again, but for the head, which gets Q8_0 */
    assert_int_equal(convert(&ctx, to, again, LP_Q4_0, &result), LP_OK);
    lp_gguf *x, *y;
    lp_weights *wanted = lp_weights_create(), *got = lp_weights_create();
    assert_int_equal(lp_gguf_open(&ctx, FIXTURE("llama-q4_0.gguf"), wanted, &x), LP_OK);
    assert_int_equal(lp_gguf_open(&ctx, again, got, &y), LP_OK);
    for (size_t i = 0; i < lp_weights_count(wanted); i++) {
        const lp_weight *w = lp_weights_at(wanted, i), *g = lp_weights_find(got, w->name);
        assert_non_null(g);
        bool head = strcmp(w->name, "output.weight") == 0;
        assert_int_equal(g->dtype, head ? LP_Q8_0 : w->dtype);
        if (!head)
            assert_memory_equal(g->data, w->data, w->bytes);
    }
    lp_gguf_destroy(x);
    lp_gguf_destroy(y);
    lp_weights_destroy(wanted);
    lp_weights_destroy(got);
    free(again);
    free(to);
    test_folder_remove(scratch);
}

static void rules_of_types(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool applies;
    } rows[] = {
        {"token_embd.weight", true},     {"output.weight", true},
        {"blk.0.attn_q.weight", true},   {"blk.0.ffn_down_exps.weight", true},
        {"blk.0.attn_q.bias", false},    {"blk.0.ffn_gate_inp.weight", false},
        {"position_embd.weight", false}, {"blk.0.attn_q_norm.weight", false},
        {"token_types.weight", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(lp_quantize_applies(rows[i].name, LP_SHAPE2(64, 64)), rows[i].applies);
    assert_false(lp_quantize_applies("blk.0.attn_q.weight", LP_SHAPE1(64)));
    assert_int_equal(lp_quantize_type(LP_SHAPE2(3, 64), LP_Q4_0, false), LP_Q4_0);
    assert_int_equal(lp_quantize_type(LP_SHAPE2(3, 64), LP_Q4_0, true), LP_Q8_0);
    assert_int_equal(lp_quantize_type(LP_SHAPE2(3, 64), LP_MXFP4, false), LP_MXFP4);
    assert_int_equal(lp_quantize_type(LP_SHAPE2(3, 64), LP_MXFP4, true), LP_Q8_0);
    assert_int_equal(lp_quantize_type(LP_SHAPE2(64, 48), LP_Q8_0, false), LP_F16);
    assert_int_equal(lp_quantize_type(LP_SHAPE2(64, 48), LP_F32, true), LP_F32);
    static const lp_dtype supers[][2] = {
        /* and what rows of 288 elements get */
        {LP_Q2_K, LP_IQ4_NL}, {LP_Q3_K, LP_IQ4_NL},   {LP_Q4_K, LP_Q5_0},  {LP_Q5_K, LP_Q5_1},
        {LP_Q6_K, LP_Q8_0},   {LP_IQ4_XS, LP_IQ4_NL}, {LP_TQ1_0, LP_Q4_0}, {LP_TQ2_0, LP_Q4_0}};
    for (size_t i = 0; i < COUNT(supers); i++) {
        assert_int_equal(lp_quantize_type(LP_SHAPE2(3, 512), supers[i][0], false), supers[i][0]);
        assert_int_equal(lp_quantize_type(LP_SHAPE2(3, 512), supers[i][0], true), LP_Q6_K);
        assert_int_equal(lp_quantize_type(LP_SHAPE2(3, 288), supers[i][0], false), supers[i][1]);
        assert_int_equal(lp_quantize_type(LP_SHAPE2(3, 40), supers[i][0], false), LP_F16);
    }
}

/* Of 12 layers as llama-quantize mixes Q4_K_M; names that only look like those of layers. */
static void rules_of_mixes(void **state)
{
    (void)state;
    static const bool finer[12] = {true, false, false, true, false, false,
                                   true, false, false, true, true,  true};
    char name[48];
    for (unsigned i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "blk.%u.attn_v.weight", i);
        assert_int_equal(lp_quantize_is_finer(name, 12), finer[i]);
        snprintf(name, sizeof name, "blk.%u.ffn_down_exps.weight", i);
        assert_int_equal(lp_quantize_is_finer(name, 12), finer[i]);
        snprintf(name, sizeof name, "blk.%u.attn_q.weight", i);
        assert_false(lp_quantize_is_finer(name, 12));
    }
    assert_false(lp_quantize_is_finer("blk.12.attn_v.weight", 12));
    assert_false(lp_quantize_is_finer("blk.attn_v.weight", 12));
    assert_false(lp_quantize_is_finer("output.weight", 12));
    assert_int_equal(lp_gguf_file_type(LP_Q4_K, true), 15);
    assert_int_equal(lp_gguf_file_type(LP_Q5_K, true), 17);
    assert_int_equal(lp_gguf_file_type(LP_Q5_K, false), 16);
    lp_context ctx = {0};
    lp_convert_result result;
    const lp_convert_options mixed = {.type = LP_Q6_K, .mixed = true};
    assert_int_equal(lp_convert_file(&ctx, FIXTURE("llama2.gguf"), "x", &mixed, &result), LP_E_ARG);
}

/* Experts' matrices and nothing else, where there are experts. */
static void experts_become_mxfp4(void **state)
{
    (void)state;
    char *scratch = test_folder_create(), *to = test_path(scratch, "out.gguf");
    char *again = test_path(scratch, "again.gguf");
    lp_context ctx = {0};
    lp_convert_result result;
    lp_convert_options allowed = {.type = LP_F32, .allow_requantize = true};
    const char *twin = FIXTURE("gpt_oss-mxfp4.gguf");
    assert_int_equal(lp_convert_file(&ctx, twin, to, &allowed, &result), LP_OK);
    check_logits(to, "gpt_oss-mxfp4"); /* F32 holds all of MXFP4 */
    assert_int_equal(convert(&ctx, to, again, LP_MXFP4, &result), LP_OK);
    lp_gguf *x, *y;
    uint32_t file_type;
    lp_weights *wanted = lp_weights_create(), *got = lp_weights_create();
    assert_int_equal(lp_gguf_open(&ctx, twin, wanted, &x), LP_OK);
    assert_int_equal(lp_gguf_open(&ctx, again, got, &y), LP_OK);
    assert_true(lp_gguf_get_u32(y, "general.file_type", &file_type) && file_type == 38);
    for (size_t i = 0; i < lp_weights_count(wanted); i++) {
        const lp_weight *w = lp_weights_at(wanted, i), *g = lp_weights_find(got, w->name);
        const bool in_blocks = lp_quantize_applies(w->name, w->shape) && w->shape.dim[1] != 20;
        assert_non_null(g);
        if (w->dtype == LP_MXFP4) { /* what is on the grid stays there */
            assert_int_equal(g->dtype, LP_MXFP4);
            const size_t n = (size_t)lp_shape_elements(w->shape);
            float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
            lp_dtype_table[LP_MXFP4].to_f32(w->data, a, n);
            lp_dtype_table[LP_MXFP4].to_f32(g->data, b, n);
            assert_memory_equal(a, b, n * sizeof *a);
            free(a);
            free(b);
        } else if (in_blocks) {
            assert_int_equal(g->dtype, LP_Q8_0);
        } else {
            assert_true(lp_dtype_table[g->dtype].block == 1);
        }
    }
    /* without experts all but the head */
    assert_int_equal(convert(&ctx, FIXTURE("llama2.gguf"), to, LP_MXFP4, &result), LP_OK);
    lp_gguf_destroy(x);
    lp_gguf_destroy(y);
    lp_weights_destroy(wanted);
    lp_weights_destroy(got);
    wanted = lp_weights_create();
    assert_int_equal(lp_gguf_open(&ctx, to, wanted, &x), LP_OK);
    const lp_weight *down = lp_weights_find(wanted, "blk.0.ffn_down.weight");
    assert_int_equal(down->dtype, down->shape.dim[1] % 32 ? LP_F16 : LP_MXFP4);
    lp_gguf_destroy(x);
    lp_weights_destroy(wanted);
    free(to);
    free(again);
    test_folder_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_become_their_twins),
        cmocka_unit_test(encoders_become_files),
        cmocka_unit_test(changed_folders_become_files),
        cmocka_unit_test(what_gguf_cannot_say_is_refused),
        cmocka_unit_test(tokenizers_go_along),
        cmocka_unit_test(tokenizers_that_do_not_fit_are_refused),
        cmocka_unit_test(gguf_files_change_their_type),
        cmocka_unit_test(experts_become_mxfp4),
        cmocka_unit_test(rules_of_types),
        cmocka_unit_test(rules_of_mixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
