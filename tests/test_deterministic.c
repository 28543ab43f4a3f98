/* Plans that are deterministic: bit for bit the same logits for a text in one piece and in pieces
 * of any size, wherever the pieces begin and however long the caches are. On every device, and on
 * CPU implementations of Vulkan also planned as for a GPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check/step.h"
#include "cpu/cpu_backend.h"
#include "support/model_files.h"
#include "support/model_run.h"
#include "support/op_rows.h"
#include "text/runner.h"

enum { N_TOKENS = 75, MAX_PIECES = N_TOKENS + 1 };

/* Tokens per piece; the last one is repeated to the end. */
static const int32_t cuts[][4] = {{1}, {7}, {64}, {3, 64, 5}};
enum { N_CUTS = sizeof cuts / sizeof *cuts };

static void cut(const int32_t how[4], int32_t n_tokens, int32_t pieces[MAX_PIECES])
{
    int i = 0;
    for (int32_t left = n_tokens; left > 0; left -= *pieces++) {
        *pieces = how[i] < left ? how[i] : left;
        i += i < 3 && how[i + 1] != 0;
    }
    *pieces = 0;
}

typedef struct text {
    int32_t tokens[N_TOKENS], n; /* n: less where the model has fewer positions */
    uint32_t n_vocab;
} text;

static text text_for(const lp_network *network)
{
    const lp_hparams *hp = &network->hparams;
    text t = {.n = hp->n_context < N_TOKENS ? (int32_t)hp->n_context : N_TOKENS,
              .n_vocab = hp->n_vocab};
    for (uint32_t i = 0; i < N_TOKENS; i++)
        t.tokens[i] = (int32_t)((i * 2654435761u >> 7) % t.n_vocab);
    return t;
}

static float *logits_of(model_session *session, const text *t, model_run run)
{
    float *logits = malloc((size_t)t->n * t->n_vocab * sizeof *logits);
    assert_non_null(logits);
    model_session_run(session, &run, t->tokens, logits);
    return logits;
}

/* How many tokens have other logits in pieces than in one piece (`want`). */
static int n_different(model_session *session, const text *t, const float *want,
                       const int32_t how[4], model_run run)
{
    int n = 0;
    int32_t pieces[MAX_PIECES];
    cut(how, t->n, pieces);
    run.chunks = pieces;
    float *got = logits_of(session, t, run);
    for (int i = 0; i < t->n; i++)
        n += memcmp(want + (size_t)i * t->n_vocab, got + (size_t)i * t->n_vocab,
                    t->n_vocab * sizeof *got) != 0;
    free(got);
    return n;
}

static const char *const models[] = {
    FIXTURE("gpt2.gguf"),       FIXTURE("gpt2-f16"), FIXTURE("llama2.gguf"),
    FIXTURE("llama3.gguf"),     FIXTURE("mistral"),  FIXTURE("llama-q8_0.gguf"),
    FIXTURE("llama-q4_0.gguf"),
};
enum { N_MODELS = sizeof models / sizeof *models };

static void pieces_make_no_difference(void **state)
{
    (void)state;
    const bool vulkan = strncmp(test_device(), "vulkan", 6) == 0;
    int n_plain = 0;
    for (int m = 0; m < N_MODELS; m++) {
        lp_context ctx = {0};
        lp_network *network = NULL;
        if (lp_network_open(&ctx, models[m], &network) != LP_OK)
            fail_msg("%s", ctx.message);
        const text t = text_for(network);
        model_session *session =
            model_session_create(network, test_device(), m % 2 ? LP_F32 : LP_F16, t.n);
        for (int as_gpu = 0; as_gpu <= vulkan; as_gpu++) {
            const int32_t whole[] = {t.n, 0};
            model_run run = {.chunks = whole, .as_gpu = as_gpu, .plan.deterministic = true};
            float *want = logits_of(session, &t, run);
            for (int i = 0; i < N_CUTS; i++) {
                const int n = n_different(session, &t, want, cuts[i], run);
                if (n > 0)
                    fail_msg("%s%s: %d of %d tokens differ in pieces of %d, ...", models[m],
                             as_gpu ? ", planned as for a GPU" : "", n, (int)t.n, (int)cuts[i][0]);
            }
            run.plan.deterministic = false;
            if (as_gpu && n_plain == 0)
                n_plain = n_different(session, &t, want, (int32_t[4]){N_TOKENS}, run);
            free(want);
        }
        model_session_destroy(session);
        lp_network_destroy(network);
    }
    if (vulkan) /* other plans differ: what is tested here is no matter of course */
        assert_true(n_plain > 0);
}

/* ---- Sessions: growing caches, the last token's logits, text -------------------------------- */

enum { N_PROMPT = 263, N_DRAWN = 8 }; /* more than one bucket of keys */

typedef struct outcome {
    float *logits;
    int32_t drawn[N_DRAWN];
} outcome;

static outcome run_session(const lp_network *network, uint32_t n_batch)
{
    lp_context ctx = {0};
    lp_test_device *device;
    lp_runner *runner = NULL;
    outcome o;
    int32_t tokens[N_PROMPT];
    const lp_session_options options = {.n_ctx = 384, .n_batch = n_batch, .cache_type = LP_F16};
    const lp_runner_programs programs = {.plan.deterministic = true};
    lp_backend *backend = lp_test_device_create(&ctx, test_device(), &device);
    for (uint32_t i = 0; i < N_PROMPT; i++)
        tokens[i] = (int32_t)((i * 2654435761u >> 7) % network->hparams.n_vocab);
    o.logits = malloc(network->hparams.n_vocab * sizeof *o.logits);
    assert_non_null(o.logits);
    lp_status status = lp_runner_create(&ctx, network, backend, &options, &programs, &runner);
    if (status == LP_OK)
        status = lp_runner_feed(runner, tokens, N_PROMPT);
    if (status == LP_OK)
        status = lp_runner_eval(runner, o.logits);
    for (uint32_t i = 0; i < N_DRAWN && status == LP_OK; i++)
        status = lp_runner_next(runner, N_DRAWN - i, &o.drawn[i]);
    if (status != LP_OK)
        fail_msg("%s", ctx.message);
    lp_runner_destroy(runner);
    lp_test_device_destroy(device);
    return o;
}

static void batches_make_no_difference(void **state)
{
    (void)state;
    static const uint32_t batches[] = {1, 7, 64};
    lp_context ctx = {0};
    lp_network *network = NULL;
    if (lp_network_open(&ctx, LAPILLI_MODELS_DIR "/story/story.gguf", &network) != LP_OK)
        fail_msg("%s", ctx.message);
    outcome one = run_session(network, 512);
    for (int i = 0; i < 3; i++) {
        outcome other = run_session(network, batches[i]);
        assert_memory_equal(one.logits, other.logits,
                            network->hparams.n_vocab * sizeof *one.logits);
        assert_memory_equal(one.drawn, other.drawn, sizeof one.drawn);
        free(other.logits);
    }
    free(one.logits);
    lp_network_destroy(network);
}

/* ---- Attention of every kind, experts --------------------------------------------------------- */

/* On Vulkan one row in so many: compiling takes most of the time. */
enum { ON_VULKAN = 5 };

/* The first n tokens by themselves: the same bits as among all. */
static void check_first(lp_backend *device, const lp_step *step, const char *name,
                        const lp_step_options *how, const lp_step_result *all, int64_t n)
{
    lp_step_options options = *how;
    lp_step_result first;
    const uint64_t row = step->n_outputs[0] / (uint64_t)step->graph->n_tokens;
    options.n_tokens = n;
    if (lp_step_run(device->ctx, device, step, &options, &first) != LP_OK)
        fail_msg("%s: %s", name, device->ctx->message);
    if (memcmp(first.outputs.values[0], all->outputs.values[0], (size_t)n * row * sizeof(float)) !=
        0)
        fail_msg("%s%s: the first %d tokens differ", name, how->caps != NULL ? ", as a GPU" : "",
                 (int)n);
    lp_step_result_free(&first);
}

static void check_row(lp_backend *reference, lp_backend *device, const lp_case *row)
{
    lp_program *chain = NULL;
    lp_step step;
    lp_caps gpu = lp_caps_minimum;
    gpu.n_cores = 64;
    assert_int_equal(reference->table->program_create(reference, row->graph,
                                                      (lp_plan_options){.keep_all = true}, &chain),
                     LP_OK);
    op_row_write(reference, chain, row);
    assert_int_equal(lp_step_take(reference->ctx, reference, chain, row->graph, 0,
                                  (uint32_t)op_row_cursor(row)[LP_CURSOR_POSITION], &step),
                     LP_OK);
    for (int i = 0; i < row->n_states; i++)
        assert_int_equal(device->table->slot_write(device,
                                                   row->graph->tensors[row->states[i].id].slot, 0,
                                                   row->states[i].data, row->states[i].bytes),
                         LP_OK);
    for (int as_gpu = 0; as_gpu <= (device->table->caps != NULL); as_gpu++) {
        const lp_step_options options = {
            .plan.deterministic = true, .caps = as_gpu ? &gpu : NULL, .n_runs = 1};
        lp_step_result all;
        if (lp_step_run(device->ctx, device, &step, &options, &all) != LP_OK)
            fail_msg("%s: %s", row->name, device->ctx->message);
        for (int64_t n = 1; n < row->n_tokens; n = 3 * n + 1)
            check_first(device, &step, row->name, &options, &all, n);
        lp_step_result_free(&all);
    }
    lp_step_free(&step);
    reference->table->program_destroy(chain);
}

/* Attention's kernels deal with many query rows at once, and may skip keys that none of them sees.
 * An expert's capacity is used up by tokens before, never by those behind. */
static void other_rows_make_no_difference(void **state)
{
    (void)state;
    lp_context ctx = {0}, table_ctx = {0};
    lp_case_table *table;
    lp_test_device *opened;
    lp_backend *reference;
    int n = 0;
    assert_int_equal(lp_case_table_create(&table_ctx, &table), LP_OK);
    assert_int_equal(lp_cpu_backend_create(&table_ctx, false, &reference), LP_OK);
    assert_int_equal(reference->table->load(reference, &table->store, NULL, NULL), LP_OK);
    lp_backend *device = lp_test_device_create(&ctx, test_device(), &opened);
    assert_int_equal(device->table->load(device, &table->store, NULL, NULL), LP_OK);
    for (int i = 0; i < table->n; i++)
        if ((table->cases[i].op == LP_OP_ATTENTION || op_row_has_experts(&table->cases[i])) &&
            table->cases[i].n_tokens > 1 &&
            (device->table->caps == NULL || n++ % ON_VULKAN == 0))
            check_row(reference, device, &table->cases[i]);
    device->table->destroy(device);
    lp_test_device_destroy(opened);
    reference->table->destroy(reference);
    lp_case_table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_make_no_difference),
        cmocka_unit_test(batches_make_no_difference),
        cmocka_unit_test(other_rows_make_no_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
