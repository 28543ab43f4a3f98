/* What goes wrong while a text is written is noticed, and named, on every device: NaN and infinity
 * by the layer where they began, wrong numbers by the guard. A healthy device is left in peace, and
 * the guard changes nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check/recompute.h"
#include "params.h"
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

static run *run_create(const char *model, lp_session_options options, lp_plan_options plan)
{
    run *r = calloc(1, sizeof *r);
    assert_non_null(r);
    CHECK(r, lp_network_open(&r->ctx, model, &r->network));
    lp_backend *backend = lp_test_device_create(&r->ctx, test_device(), &r->device);
    CHECK(r, lp_runner_create(&r->ctx, r->network, backend, &options,
                              &(lp_runner_programs){.plan = plan}, &r->runner));
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

/* One element of a model's file that is not finite, or too large; the node that must be named, and
 * for which of the five tokens: the first one whose keys or values suffer, or the last one. */
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
    {"llama2.gguf", "blk.1.ffn_gate.weight", 1, 2, -INFINITY, "blk.1.ffn_gate", 5},
    {"llama2.gguf", "blk.1.ffn_norm.weight", 9, 0, 3e38f, "blk.1.ffn_norm", 5}, /* overflows */
    {"llama2.gguf", "output_norm.weight", 9, 0, INFINITY, "output_norm", 5},
    {"llama2.gguf", "token_embd.weight", 4, 3, NAN, "token_embd", 2},
    {"gpt2.gguf", "blk.1.attn_qkv.bias", 11, 0, NAN, "blk.1.attn_qkv", 5},
    {"gpt2.gguf", "position_embd.weight", 1, 1, NAN, "position_embd", 2},
    {"llama-q8_0.gguf", "blk.0.ffn_up.weight", 8, 0, NAN, "blk.0.ffn_gate", 1},
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
    /* an F16 number, or a block's scale */
    const uint16_t half = isnan(w->value) ? 0x7e00 : w->value < 0 ? 0xfc00 : 0x7c00;
    if (weight->dtype == LP_F32)
        memcpy(file + at, &w->value, sizeof w->value);
    else
        memcpy(file + at, &half, sizeof half);
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
             isnan(w->value) ? "nan"
             : w->value > 0  ? "inf"
                             : "-inf",
             (int)w->row);
    if (isfinite(w->value))
        snprintf(holds, sizeof holds, "finite, and the CPU reference makes the same of them");
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
        run *r = run_create(path, (lp_session_options){.n_ctx = N_CTX, .cache_type = LP_F16},
                            (lp_plan_options){0});
        const int32_t tokens[] = {1, 4, 9, 3, 2};
        float *logits = malloc(r->network->hparams.n_vocab * sizeof *logits);
        int32_t token;
        assert_non_null(logits);
        CHECK(r, lp_runner_feed(r->runner, tokens, 5));
        expect_wound(r, w, lp_runner_next(r->runner, 9, &token));
        expect_wound(r, w, lp_runner_eval(r->runner, logits));
        assert_int_equal(lp_runner_n_tokens(r->runner), 5);
        CHECK(r, lp_runner_eval(r->runner, NULL)); /* nothing is asked for */
        if (w->token == 2) {                       /* a row of a table: before it all is well */
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

/* The embedding of a token that is drawn half way is not finite: what came before it stays, steps
 * in flight are dropped, and the session goes on from an earlier place. */
static void a_bad_token_in_the_middle_stops_the_text(void **state)
{
    (void)state;
    enum { N_DRAWN = 20 };
    const lp_sampling sampling = {.temperature = 1, .top_p = 1, .repeat_penalty = 1, .seed = 3};
    const lp_session_options options = {.n_ctx = N_CTX, .cache_type = LP_F32};
    const int32_t prompt[] = {1, 4, 9};
    int32_t drawn[N_DRAWN], token;
    wound w = {"llama2.gguf", "token_embd.weight", 0, 2, NAN, "token_embd", 0};
    run *r = run_create(FIXTURE("llama2.gguf"), options, (lp_plan_options){0});
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
    r = run_create(path, options, (lp_plan_options){0});
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

/* ---- The guard ----------------------------------------------------------------------------- */

static const lp_sampling warm = {.temperature = 1,
                                 .top_k = 40,
                                 .top_p = 0.95f,
                                 .repeat_penalty = 1.1f,
                                 .repeat_window = 16,
                                 .seed = 5};

/* The models here have no experts, whose nodes test_experts.c looks at, no gated units, and see no
 * pictures: test_recompute.c has the rows of the op table of all these. */
static bool is_elsewhere(int op)
{
    return op == LP_OP_ROUTE || op == LP_OP_COMBINE || op == LP_OP_GATED || op == LP_OP_MAX ||
           op == LP_OP_CONV2D || op == LP_OP_GROUP_NORM;
}

/* Every kind of node that graphs of real models have is looked at, in prompts and in single steps,
 * and the tokens of the first model are the same as without. */
static void a_healthy_device_passes(void **state)
{
    (void)state;
    enum { N_DRAWN = 100, N_PROMPT = 21 };
    static const char *const models[] = {LAPILLI_MODELS_DIR "/story/story.gguf",
                                         FIXTURE("gpt2.gguf"),
                                         FIXTURE("llama3.gguf"),
                                         FIXTURE("mistral"),
                                         FIXTURE("llama-q4_0.gguf"),
                                         FIXTURE("lstm_lm")};
    uint64_t n_of_op[LP_N_OPS] = {0};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        int32_t tokens[2][N_DRAWN], prompt[N_PROMPT];
        const uint32_t n_drawn = m == 0 ? N_DRAWN : 27;
        for (int i = 0; i < N_PROMPT; i++)
            prompt[i] = 3 + (7 * i) % 31;
        for (int guarded = m != 0; guarded < 2; guarded++) {
            run *r = run_create(models[m],
                                (lp_session_options){.n_ctx = m == 0 ? 128 : N_CTX,
                                                     .n_batch = 8,
                                                     .cache_type = m % 2 ? LP_F32 : LP_F16,
                                                     .guard = guarded},
                                (lp_plan_options){0});
            CHECK(r, lp_runner_sampling(r->runner, &warm));
            CHECK(r, lp_runner_feed(r->runner, prompt, N_PROMPT));
            for (uint32_t i = 0; i < n_drawn; i++)
                CHECK(r, lp_runner_next(r->runner, n_drawn - i, &tokens[guarded][i]));
            const lp_guard *guard = lp_runner_guard(r->runner);
            if (!guarded)
                assert_int_equal(guard->summary.n_nodes, 0);
            else /* the prompt's nodes, in three pieces, then one for every token; an LSTM of two
                    layers has 9, or 7 where no logits are wanted */
                assert_in_range(guard->summary.n_nodes, 3 * 7 + n_drawn - 1, 3 * 100 + n_drawn - 1);
            for (int op = 0; op < LP_N_OPS; op++)
                n_of_op[op] += guard->n_of_op[op];
            if (guarded)
                print_message("%s: %llu nodes, largest error %.2f sigma (%s)\n",
                              strrchr(models[m], '/') + 1,
                              (unsigned long long)guard->summary.n_nodes, guard->summary.largest,
                              guard->worst);
            run_destroy(r);
        }
        if (m == 0)
            assert_memory_equal(tokens[0], tokens[1], n_drawn * sizeof tokens[0][0]);
    }
    /* The fusion pass leaves no sums, products, activations. */
    for (int op = 0; op < LP_N_OPS; op++)
        if (n_of_op[op] == 0 && op != LP_OP_ADD && op != LP_OP_MUL && op != LP_OP_ACT &&
            !is_elsewhere(op))
            fail_msg("the guard never looked at %s", lp_op_name((lp_op)op));
}

/* Of prompts, one node of one piece is looked at; every piece and every node gets its turn. */
static void prompts_are_looked_at(void **state)
{
    (void)state;
    enum { N_PROMPT = 21, N_EVALS = 90 };
    int32_t prompt[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++)
        prompt[i] = 3 + (7 * i) % 31;
    run *r = run_create(
        FIXTURE("llama3.gguf"),
        (lp_session_options){.n_ctx = N_CTX, .n_batch = 8, .cache_type = LP_F16, .guard = 0.02},
        (lp_plan_options){0});
    for (int i = 0; i < N_EVALS; i++) {
        CHECK(r, lp_runner_rewind(r->runner, 0));
        CHECK(r, lp_runner_feed(r->runner, prompt, N_PROMPT));
        CHECK(r, lp_runner_eval(r->runner, NULL));
    }
    const lp_guard *guard = lp_runner_guard(r->runner);
    assert_int_equal(guard->summary.n_nodes, N_EVALS);
    assert_true(guard->n_of_op[LP_OP_ADVANCE] > 0 && guard->n_of_op[LP_OP_ATTENTION] > 0 &&
                guard->n_of_op[LP_OP_KV_WRITE] > 0 && guard->n_of_op[LP_OP_LINEAR] > 0);
    run_destroy(r);
}

/* Every node of graphs that were not fused, in whole and in small parts. */
static void all_parts_of_all_nodes_agree(void **state)
{
    (void)state;
    static const char *const models[] = {FIXTURE("gpt2.gguf"), FIXTURE("mistral"),
                                         FIXTURE("lstm_lm")};
    uint64_t n_of_op[LP_N_OPS] = {0};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        enum { T = 7, N_BEFORE = 12 };
        run *r = run_create(models[m], (lp_session_options){.n_ctx = N_CTX, .cache_type = LP_F16},
                            (lp_plan_options){0});
        lp_backend *backend = lp_runner_backend(r->runner);
        int32_t tokens[N_BEFORE + T];
        for (int i = 0; i < N_BEFORE + T; i++)
            tokens[i] = 2 + (5 * i) % 37;
        CHECK(r, lp_runner_feed(r->runner, tokens, N_BEFORE));
        CHECK(r, lp_runner_eval(r->runner, NULL));
        CHECK(r, lp_runner_feed(r->runner, tokens + N_BEFORE, T));
        lp_graph *graph;
        lp_program *program;
        lp_network_options options = {
            .n_tokens = T, .n_ctx = N_CTX, .kv_dtype = LP_F16, .sample = true, .no_fusion = true};
        CHECK(r,
              lp_network_graph(&r->ctx, r->network, lp_runner_store(r->runner), &options, &graph));
        CHECK(r, backend->table->program_create(backend, graph, (lp_plan_options){.keep_all = true},
                                                &program));
        uint64_t ticket;
        CHECK(r, backend->table->submit(program, 1, &ticket));
        CHECK(r, backend->table->wait(backend, ticket));
        for (uint32_t i = 0; i < graph->n_nodes; i++)
            for (uint64_t k = 0; k < 40; k++) {
                lp_recompute what = {.ctx = &r->ctx,
                                     .backend = backend,
                                     .program = program,
                                     .graph = graph,
                                     .node = i,
                                     .position = N_BEFORE,
                                     .budget = k == 0 ? 1000000 : 1 << k % 14,
                                     .random = k};
                lp_recomputed result;
                CHECK(r, lp_recompute_node(&what, &result));
                const lp_difference *d = &result.difference;
                if (d->n == 0 || !lp_recomputed_agrees(&result))
                    fail_msg("%s: part %d: of %d elements %d is %g, not %g (sigma %g)",
                             graph->nodes[i].name, (int)k, (int)d->n, (int)result.element, d->got,
                             d->expected, d->sigma);
                n_of_op[graph->nodes[i].op]++;
            }
        backend->table->program_destroy(program);
        lp_graph_destroy(graph);
        run_destroy(r);
    }
    for (int op = 0; op < LP_N_OPS; op++)
        assert_int_equal(n_of_op[op] == 0, op == LP_OP_ADVANCE || is_elsewhere(op));
}

/* A change to a kernel's parameters that makes one node wrong. */
typedef struct fault {
    const char *node;
    size_t at;    /* in the parameters */
    uint32_t add; /* to the word there, or to the address of a relocation */
    bool address;
    bool found;
} fault;

static void plant(void *user, const lp_graph *graph, lp_plan *plan)
{
    fault *f = user;
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        lp_dispatch *d = &plan->dispatches[i];
        uint32_t word;
        if (strcmp(graph->nodes[d->node].name, f->node) != 0)
            continue;
        f->found = true;
        memcpy(&word, d->push + f->at, sizeof word);
        word += f->add;
        if (!f->address)
            memcpy(d->push + f->at, &word, sizeof word);
        for (uint32_t k = 0; f->address && k < d->n_relocations; k++)
            if (d->relocations[k].push_offset == f->at)
                d->relocations[k].offset += f->add;
    }
}

static void a_wrong_node_is_named(void **state)
{
    (void)state;
    if (strncmp(test_device(), "vulkan:", 7) != 0) /* the CPU's programs are no plans */
        skip();
    static const fault faults[] = {
        {"blk.1.ffn_down", offsetof(lp_linear_params, n_outputs), (uint32_t)-1, false, false},
        {"blk.0.attn_q", offsetof(lp_linear_params, n_inputs), (uint32_t)-32, false, false},
        {"blk.1.attn", offsetof(lp_attention_params, scale), 1 << 20, false, false}, /* times 1.1 */
        {"blk.0.attn_norm", offsetof(lp_norm_params, eps), 1 << 26, false, false},   /* times 256 */
        {"blk.1.attn_k_rope", offsetof(lp_rope_params, n_rotated), (uint32_t)-2, false, false},
        {"blk.0.attn_v_write", offsetof(lp_kv_write_params, x), 4, true, false},
        {"token_embd", offsetof(lp_embed_params, scale), 1 << 10, false, false}, /* times 1.0001 */
        {"sample", offsetof(lp_sample_params, logits), 4, true, false},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        fault f = faults[i];
        run *r = run_create(FIXTURE("llama2.gguf"),
                            (lp_session_options){.n_ctx = 256, .cache_type = LP_F16, .guard = 1},
                            (lp_plan_options){.alter = plant, .alter_user = &f});
        const int32_t prompt[] = {1, 5, 9, 2};
        char begins[64];
        int32_t token;
        lp_status status = LP_OK;
        CHECK(r, lp_runner_sampling(r->runner, &warm));
        CHECK(r, lp_runner_feed(r->runner, prompt, 4));
        uint32_t n = 0;
        for (; n < 100 && status == LP_OK; n++)
            status = lp_runner_next(r->runner, 100 - n, &token);
        assert_true(f.found);
        if (status == LP_OK)
            fail_msg("%s is wrong, and the guard sees nothing", f.node);
        print_message("%u tokens: %s\n", n, r->ctx.message);
        assert_int_equal(status, LP_E_DEVICE);
        snprintf(begins, sizeof begins, "%s: ", f.node);
        if (strncmp(r->ctx.message, begins, strlen(begins)) != 0)
            fail_msg("not %s: %s", f.node, r->ctx.message);
        assert_non_null(strstr(r->ctx.message, "on the CPU reference"));
        assert_non_null(strstr(r->ctx.message, "(kernel"));
        uint32_t n_tokens = lp_runner_n_tokens(r->runner); /* all given out before */
        assert_int_equal(n_tokens, 4 + n - 1);
        CHECK(r, lp_runner_rewind(r->runner, n_tokens - 1));
        run_destroy(r);
    }
}

static void the_rate_is_kept(void **state)
{
    (void)state;
    for (int i = 0; i <= 16; i++) {
        const lp_guard guard = {.rate = i / 16.0};
        int n = 0;
        for (uint64_t draw = 0; draw < 1600; draw++)
            n += lp_guard_due(&guard, draw);
        assert_int_equal(n, 100 * i);
    }
    lp_context ctx = {0};
    lp_network *network;
    assert_int_equal(lp_network_open(&ctx, FIXTURE("llama2.gguf"), &network), LP_OK);
    const double bad[] = {-0.1, 1.5, NAN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lp_test_device *device;
        lp_backend *backend = lp_test_device_create(&ctx, test_device(), &device);
        lp_runner *runner;
        lp_session_options options = {.cache_type = LP_F16, .guard = bad[i]};
        assert_int_equal(lp_runner_create(&ctx, network, backend, &options, NULL, &runner),
                         LP_E_ARG);
        lp_test_device_destroy(device);
    }
    lp_network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_weight_is_named),
        cmocka_unit_test(a_bad_token_in_the_middle_stops_the_text),
        cmocka_unit_test(a_healthy_device_passes),
        cmocka_unit_test(prompts_are_looked_at),
        cmocka_unit_test(all_parts_of_all_nodes_agree),
        cmocka_unit_test(a_wrong_node_is_named),
        cmocka_unit_test(the_rate_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
