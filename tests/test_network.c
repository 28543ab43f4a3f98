/* Opening networks and building their graphs: what is refused, naming what and where, and what the
 * graphs look like. The numbers are checked in test_models.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/network.h"
#include "support/model_files.h"

static lp_network *open_network(const char *path)
{
    lp_context ctx = {0};
    lp_network *network = NULL;
    if (lp_network_open(&ctx, path, &network) != LP_OK)
        fail_msg("%s", ctx.message);
    return network;
}

/* Opens and builds; the status and message of the first failure. */
static lp_status open_and_build(lp_context *ctx, const char *path)
{
    lp_network *network = NULL;
    lp_store store = {0};
    lp_graph *graph = NULL;
    lp_network_options options = {
        .n_tokens = 3, .n_ctx = 16, .kv_dtype = LP_F16, .outputs = LP_OUTPUTS_LAST};
    lp_status status = lp_network_open(ctx, path, &network);
    if (status == LP_OK)
        status = lp_network_graph(ctx, network, &store, &options, &graph);
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
    lp_network_destroy(network);
    return status;
}

static void expect_failure(const lp_context *ctx, lp_status status, lp_status want,
                           const char *what, const char *where)
{
    if (status != want || !strstr(ctx->message, what) || !strstr(ctx->message, where))
        fail_msg("status %d, \"%s\"; want status %d naming \"%s\" and \"%s\"", status, ctx->message,
                 want, what, where);
}

typedef struct gguf_case {
    const char *file;
    const char *key; /* its value becomes `value`; or */
    uint32_t value;
    const char *find, *replace;
    lp_status status;
    const char *message;
} gguf_case;

static const gguf_case gguf_cases[] = {
    {FIXTURE("llama2.gguf"), NULL, 0, "blk.1.attn_q.weight", "blk.1.attn_z.weight",
     LP_E_UNSUPPORTED, "tensor blk.1.attn_z.weight is not part of a llama model with 2 layers"},
    {FIXTURE("llama2.gguf"), NULL, 0, "blk.1.attn_q.weight", "blk.7.attn_q.weight",
     LP_E_UNSUPPORTED, "tensor blk.7.attn_q.weight is not part"},
    {FIXTURE("llama2.gguf"), NULL, 0, "blk.1.attn_q.weight", "blk.01attn_q.weight",
     LP_E_UNSUPPORTED, "tensor blk.01attn_q.weight is not part"},
    {FIXTURE("llama2.gguf"), NULL, 0, "blk.1.attn_k.weight", "blk.1.attn_v.weight", LP_E_FORMAT,
     "blk.1.attn_v.weight"},
    {FIXTURE("llama2.gguf"), "llama.block_count", 1, NULL, NULL, LP_E_UNSUPPORTED, "tensor blk.1."},
    {FIXTURE("llama2.gguf"), "llama.block_count", 3, NULL, NULL, LP_E_MISSING,
     "blk.2.attn_norm.weight: no such tensor"},
    {FIXTURE("llama2.gguf"), "llama.feed_forward_length", 96, NULL, NULL, LP_E_SHAPE,
     "blk.0.ffn_up.weight: want [96, 48], file has [88, 48]"},
    {FIXTURE("llama2.gguf"), "llama.embedding_length", 52, NULL, NULL, LP_E_SHAPE,
     "token_embd.weight: want [67, 52], file has [67, 48]"},
    {FIXTURE("llama2.gguf"), "llama.attention.head_count", 8, NULL, NULL, LP_E_SHAPE,
     "blk.0.attn_q.weight: want [128, 48], file has [96, 48]"},
    {FIXTURE("llama2.gguf"), "llama.attention.head_count_kv", 3, NULL, NULL, LP_E_SHAPE,
     "blk.0.attn_k.weight: want [48, 48], file has [32, 48]"},
    {FIXTURE("llama2.gguf"), NULL, 0, "output_norm.weight", "output_norm.weighs", LP_E_UNSUPPORTED,
     "output_norm.weighs"},
    {FIXTURE("llama3.gguf"), "llama.rope.dimension_count", 12, NULL, NULL, LP_E_SHAPE,
     "rope_freqs.weight: want F32 [6], file has F32 [8]"},
    {FIXTURE("gpt2.gguf"), "gpt2.context_length", 64, NULL, NULL, LP_E_SHAPE,
     "position_embd.weight: want [64, 36], file has [48, 36]"},
    {FIXTURE("gpt2.gguf"), "gpt2.attention.head_count", 5, NULL, NULL, LP_E_SHAPE,
     "blk.0.attn_qkv.weight: want [105, 36], file has [108, 36]"},
    {FIXTURE("gpt2.gguf"), NULL, 0, "GGUF", "GGML", LP_E_FORMAT, ""},
};

static void test_broken_gguf(void **state)
{
    (void)state;
    char *folder = test_folder_create(), *path = test_path(folder, "broken.gguf");
    for (size_t i = 0; i < sizeof gguf_cases / sizeof gguf_cases[0]; i++) {
        const gguf_case *c = &gguf_cases[i];
        if (c->key)
            test_copy_gguf_value(c->file, path, c->key, &c->value, 4);
        else
            test_copy_replaced(c->file, path, c->find, c->replace);
        lp_context ctx = {0};
        lp_status status = open_and_build(&ctx, path);
        expect_failure(&ctx, status, c->status, c->message, "broken.gguf");
    }

    /* A divisor of zero: the tensor is found in the file by what it holds. */
    lp_network *network = open_network(FIXTURE("llama3.gguf"));
    const lp_weight *divisors = lp_weights_find(network->weights, "rope_freqs.weight");
    assert_non_null(divisors);
    size_t bytes, at = 0;
    uint8_t *data = test_read(FIXTURE("llama3.gguf"), &bytes);
    while (at + divisors->bytes < bytes && memcmp(data + at, divisors->data, divisors->bytes) != 0)
        at++;
    memset(data + at, 0, 4);
    test_write(path, data, bytes);
    free(data);
    lp_network_destroy(network);
    lp_context ctx = {0};
    lp_status status = open_and_build(&ctx, path);
    expect_failure(&ctx, status, LP_E_FORMAT, "rope_freqs.weight: element 0 is 0", "broken.gguf");
    test_folder_remove(folder);
    free(path);
}

typedef struct folder_case {
    const char *fixture, *file, *find, *replace;
    lp_status status;
    const char *message;
} folder_case;

static const folder_case folder_cases[] = {
    {FIXTURE("opt"), "config.json", "\"do_layer_norm_before\": true",
     "\"do_layer_norm_before\": false", LP_E_UNSUPPORTED,
     "tensor output_norm.bias is not read by a model of the kind \"opt\""},
    {FIXTURE("mixtral"), "config.json", "\"num_local_experts\": 5", "\"num_local_experts\": 6",
     LP_E_MISSING, "5 of 6 parts are there"},
    {FIXTURE("mixtral"), "config.json", "\"num_local_experts\": 5", "\"num_local_experts\": 4",
     LP_E_UNSUPPORTED, "is not part of a mixtral model"},
    {FIXTURE("mixtral"), "config.json", "\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 7",
     LP_E_FORMAT, "7 of 5 experts per token"},
    {FIXTURE("llama2"), "config.json", "\"hidden_size\": 48", "\"hidden_size\": 56", LP_E_SHAPE,
     "token_embd.weight: want [67, 56], file has [67, 48]"},
    {FIXTURE("llama2"), "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
     LP_E_MISSING, "blk.2.attn_norm.weight: no such tensor"},
    {FIXTURE("llama2"), "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1",
     LP_E_UNSUPPORTED, "tensor model.layers.1."},
    {FIXTURE("llama2"), "model.safetensors", "model.norm.weight", "model.nurm.weight",
     LP_E_UNSUPPORTED, "tensor model.nurm.weight is not part of a llama model"},
    {FIXTURE("llama2"), "model.safetensors", "0.self_attn.q_proj.weight",
     "0.self_attn.q_norm.weight", LP_E_UNSUPPORTED, "model.layers.0.self_attn.q_norm.weight"},
    {FIXTURE("llama2"), "model.safetensors", "model.layers.0.self_attn.q_proj.weight",
     "elbow.layers.0.self_attn.q_proj.weight", LP_E_UNSUPPORTED, "elbow.layers.0"},
    {FIXTURE("llama3"), "config.json", "\"tie_word_embeddings\": true",
     "\"tie_word_embeddings\": false", LP_E_MISSING, "output.weight: no such tensor"},
    {FIXTURE("gpt_oss-mxfp4"), "model.safetensors", "0.mlp.experts.down_proj_scales",
     "2.mlp.experts.down_proj_scales", LP_E_MISSING,
     "0.mlp.experts.down_proj_blocks has no fitting scales"},
    {FIXTURE("gpt_oss-mxfp4"), "model.safetensors", "down_proj_scales\":{\"dtype\":\"U8\"",
     "down_proj_scales\":{\"dtype\":\"I8\"", LP_E_MISSING,
     "down_proj_blocks has no fitting scales"},
    {FIXTURE("gpt_oss-mxfp4"), "model.safetensors", "[4,64,2]", "[4,2,64]", LP_E_MISSING,
     "gate_up_proj_blocks has no fitting scales"},
    {FIXTURE("gpt_oss-mxfp4"), "model.safetensors", "[4,64,2,16]", "[4,64,16,2]", LP_E_SHAPE,
     "gate_up_proj_blocks: U8 [4, 64, 16, 2] is not made of the parts"},
    {FIXTURE("gpt_oss-mxfp4"), "model.safetensors", "[4,64,1,16]", "[4,32,2,16]", LP_E_MISSING,
     "down_proj_blocks has no fitting scales"},
    {FIXTURE("gpt_oss-mxfp4"), "model.safetensors", "0.mlp.experts.down_proj_blocks",
     "0.mlp.experts.down_proj_blokks", LP_E_UNSUPPORTED,
     "down_proj_blokks is not part of a gpt_oss"},
    {FIXTURE("gpt2"), "model.safetensors", "[36,108]", "[3888]  ", LP_E_SHAPE,
     "c_attn.weight: a matrix expected, file has F32 [3888]"},
    {FIXTURE("gpt2"), "model.safetensors", "[36,108]", "[108,36]", LP_E_SHAPE,
     "attn_qkv.weight: want [108, 36], file has [36, 108]"},
    {FIXTURE("gpt2"), "config.json", "\"n_positions\": 48", "\"n_positions\": 49", LP_E_SHAPE,
     "position_embd.weight: want [49, 36], file has [48, 36]"},
};

static void test_broken_folders(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors"};
    char *folder = test_folder_create();
    for (size_t i = 0; i < sizeof folder_cases / sizeof folder_cases[0]; i++) {
        const folder_case *c = &folder_cases[i];
        for (int f = 0; f < 2; f++) {
            char *from = test_path(c->fixture, files[f]), *to = test_path(folder, files[f]);
            if (strcmp(files[f], c->file) == 0)
                test_copy_replaced(from, to, c->find, c->replace);
            else
                test_copy(from, to);
            free(from);
            free(to);
        }
        lp_context ctx = {0};
        lp_status status = open_and_build(&ctx, folder);
        expect_failure(&ctx, status, c->status, c->message, folder);
    }
    test_folder_remove(folder);
}

static void test_missing_files(void **state)
{
    (void)state;
    char *folder = test_folder_create();
    lp_context ctx = {0};
    lp_status status = open_and_build(&ctx, folder);
    expect_failure(&ctx, status, LP_E_IO, "config.json", folder);
    char *config = test_path(folder, "config.json");
    test_copy(FIXTURE("llama2/config.json"), config);
    status = open_and_build(&ctx, folder);
    assert_int_not_equal(status, LP_OK);
    assert_non_null(strstr(ctx.message, "model.safetensors"));
    status = open_and_build(&ctx, config); /* a file, but no GGUF */
    expect_failure(&ctx, status, LP_E_FORMAT, "", "config.json");
    free(config);
    test_folder_remove(folder);
    status = open_and_build(&ctx, "/nonexistent/model.gguf");
    expect_failure(&ctx, status, LP_E_IO, "", "/nonexistent/model.gguf");
}

/* A head in the file does not untie what config.json ties. */
static void test_tied_head(void **state)
{
    (void)state;
    char *folder = test_folder_create();
    char *config = test_path(folder, "config.json"), *data = test_path(folder, "model.safetensors");
    test_copy_replaced(FIXTURE("llama2/config.json"), config, "\"tie_word_embeddings\": false",
                       "\"tie_word_embeddings\": true");
    test_copy(FIXTURE("llama2/model.safetensors"), data);
    lp_network *network = open_network(folder);
    assert_true(network->hparams.tied);
    assert_non_null(lp_weights_find(network->weights, "output.weight"));
    lp_context ctx = {0};
    lp_store store = {0};
    lp_graph *graph;
    lp_network_options options = {
        .n_tokens = 1, .n_ctx = 8, .kv_dtype = LP_F32, .outputs = LP_OUTPUTS_LAST};
    assert_int_equal(lp_network_graph(&ctx, network, &store, &options, &graph), LP_OK);
    assert_true(lp_store_find(&store, "output.weight") == UINT32_MAX);
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
    lp_network_destroy(network);
    free(config);
    free(data);
    test_folder_remove(folder);
}

/* GPT-2's folder and GGUF file hold the same weights; those that were transposed survive being
 * forgotten, as backends do after a copy. */
static void test_conv1d(void **state)
{
    (void)state;
    lp_network *hf = open_network(FIXTURE("gpt2")), *gguf = open_network(FIXTURE("gpt2.gguf"));
    for (size_t i = 0; i < lp_weights_count(gguf->weights); i++) {
        const lp_weight *want = lp_weights_at(gguf->weights, i);
        const lp_weight *got = lp_weights_find(hf->weights, want->name);
        assert_non_null(got);
        assert_true(lp_shape_equal(got->shape, want->shape));
        lp_file_forget(got->data, got->bytes);
        assert_memory_equal(got->data, want->data, want->bytes);
    }
    lp_network_destroy(hf);
    lp_network_destroy(gguf);
}

static void test_options(void **state)
{
    (void)state;
    lp_network *gpt2 = open_network(FIXTURE("gpt2.gguf"));
    static const struct {
        lp_network_options options;
        lp_status status;
    } cases[] = {
        {{.n_tokens = 1, .n_ctx = 48, .kv_dtype = LP_F16}, LP_OK},
        {{.n_tokens = 48, .n_ctx = 48, .kv_max = 48, .kv_dtype = LP_F32}, LP_OK},
        {{.n_tokens = 1, .n_ctx = 49, .kv_dtype = LP_F16}, LP_E_LIMIT},
        {{.n_tokens = 0, .n_ctx = 48, .kv_dtype = LP_F16}, LP_E_ARG},
        {{.n_tokens = 49, .n_ctx = 48, .kv_dtype = LP_F16}, LP_E_ARG},
        {{.n_tokens = 2, .n_ctx = 48, .kv_max = 1, .kv_dtype = LP_F16}, LP_E_ARG},
        {{.n_tokens = 2, .n_ctx = 48, .kv_max = 49, .kv_dtype = LP_F16}, LP_E_ARG},
        {{.n_tokens = 1, .n_ctx = -1, .kv_dtype = LP_F16}, LP_E_ARG},
        {{.n_tokens = 1, .n_ctx = 48, .kv_dtype = LP_Q8_0}, LP_OK},
        {{.n_tokens = 1, .n_ctx = 48, .kv_dtype = LP_Q4_0}, LP_E_ARG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lp_context ctx = {0};
        lp_store store = {0};
        lp_graph *graph;
        lp_status status = lp_network_graph(&ctx, gpt2, &store, &cases[i].options, &graph);
        assert_int_equal(status, cases[i].status);
        assert_true(status == LP_OK ? graph != NULL : ctx.message[0] != '\0');
        lp_graph_destroy(graph);
        lp_store_destroy(&store);
    }
    lp_network_destroy(gpt2);
}

static unsigned count_ops(const lp_graph *graph, lp_op op)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        n += graph->nodes[i].op == op;
    return n;
}

/* What each kind of graph ends with, and what it leaves out. */
static void test_endings(void **state)
{
    (void)state;
    static const struct {
        lp_network_outputs outputs;
        bool sample;
        int64_t rows; /* of the tensor "logits"; 0: there is none */
    } cases[] = {
        {LP_OUTPUTS_LAST, true, 1},  {LP_OUTPUTS_NONE, true, 0}, {LP_OUTPUTS_NONE, false, 0},
        {LP_OUTPUTS_LAST, false, 1}, {LP_OUTPUTS_ALL, false, 5}, {LP_OUTPUTS_ALL, true, 5},
    };
    lp_network *network = open_network(FIXTURE("llama2.gguf"));
    lp_store store = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lp_context ctx = {0};
        lp_graph *graph;
        lp_network_options options = {.n_tokens = 5,
                                      .n_ctx = 32,
                                      .kv_dtype = LP_F16,
                                      .outputs = cases[i].outputs,
                                      .sample = cases[i].sample};
        if (lp_network_graph(&ctx, network, &store, &options, &graph) != LP_OK)
            fail_msg("%s", ctx.message);
        store.frozen = true; /* the first graph named everything that the others need */
        lp_tensor_id logits = lp_graph_find(graph, "logits");
        assert_int_equal(logits != LP_NONE, cases[i].rows > 0);
        if (cases[i].rows > 0) {
            assert_true(graph->tensors[logits].output);
            assert_true(
                lp_shape_equal(graph->tensors[logits].shape, LP_SHAPE2(cases[i].rows, 67)));
        }
        assert_int_equal(count_ops(graph, LP_OP_SAMPLE), cases[i].sample);
        assert_int_equal(count_ops(graph, LP_OP_ADVANCE), !cases[i].sample);
        const lp_node *last = &graph->nodes[graph->n_nodes - 1];
        assert_int_equal(last->p.cursor.advance, 5);
        bool cache_only = cases[i].outputs == LP_OUTPUTS_NONE && !cases[i].sample;
        assert_int_equal(count_ops(graph, LP_OP_KV_WRITE), 4);
        assert_int_equal(count_ops(graph, LP_OP_ATTENTION), cache_only ? 1 : 2);
        /* fused: q, k, v, output, gated up, down per layer, and the head */
        assert_int_equal(count_ops(graph, LP_OP_LINEAR), cache_only ? 8 : 13);
        assert_int_equal(count_ops(graph, LP_OP_ADD) + count_ops(graph, LP_OP_MUL) +
                             count_ops(graph, LP_OP_ACT),
                         0);
        lp_graph_destroy(graph);
    }
    lp_store_destroy(&store);
    lp_network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_gguf),   cmocka_unit_test(test_broken_folders),
        cmocka_unit_test(test_missing_files), cmocka_unit_test(test_tied_head),
        cmocka_unit_test(test_conv1d),        cmocka_unit_test(test_options),
        cmocka_unit_test(test_endings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
