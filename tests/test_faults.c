/* Planted faults (src/check/faults.h) on a device: each one really does to the numbers, or to the
 * plan, what it says. Each is planted in the first of a few small models that can have it, in plans
 * as the device gets them, and as a GPU of many cores would get them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check/faults.h"
#include "check/plan_proof.h"
#include "lapilli.h"
#include "support/model_files.h"
#include "support/model_run.h"
#include "support/op_rows.h"

#define COUNT(array) (sizeof array / sizeof array[0])

/* Prompt, decoding, and another batch; below the smallest context. */
enum { N_TOKENS = 23 };
static const int32_t chunks[] = {12, 1, 1, 9, 0};

static const char *const paths[] = {LAPILLI_MODELS_DIR "/story/story.gguf", FIXTURE("gpt2.gguf"),
                                    FIXTURE("mistral"), FIXTURE("llama-q8_0.gguf")};
enum { N_MODELS = COUNT(paths) };

typedef struct model {
    lp_context ctx;
    lp_network *network;
    model_session *session;
    size_t n;        /* logits */
    float *right[2]; /* as it is, as a GPU */
    float *wrong;
} model;

static model models[N_MODELS];
static lp_context table_ctx, rows_ctx;
static lp_case_table *table; /* and a device that has it loaded */
static lp_test_device *rows_opened;
static lp_backend *rows_device;
static int32_t tokens[N_TOKENS];

#define CHECK(m, call)                                                                             \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s: %s", #call, (m)->ctx.message);                                           \
    } while (0)

static void run(model *m, lp_fault *fault, bool as_gpu, float *logits)
{
    model_run options = {.chunks = chunks, .as_gpu = as_gpu};
    if (fault != NULL)
        options.plan = (lp_plan_options){.alter = lp_fault_alter, .alter_user = fault};
    model_session_run(m->session, &options, tokens, logits);
}

/* On SwiftShader kernels for GPUs take minutes; lavapipe runs them. */
static bool has_gpu_plans(void)
{
    const char *driver = getenv("LAPILLI_TEST_DRIVER");
    return driver == NULL || strstr(driver, "swiftshader") == NULL;
}

static int open_models(void **state)
{
    (void)state;
    for (int i = 0; i < N_TOKENS; i++)
        tokens[i] = 3 + i * 37 % 64;
    for (int i = 0; i < N_MODELS; i++) {
        model *m = &models[i];
        CHECK(m, lp_network_open(&m->ctx, paths[i], &m->network));
        uint32_t n_context = m->network->hparams.n_context; /* 48 in one of them */
        m->session = model_session_create(m->network, test_device(), LP_F16,
                                          n_context < 512 ? (int32_t)n_context : 512);
        m->n = N_TOKENS * (size_t)m->network->hparams.n_vocab;
        m->wrong = malloc(m->n * sizeof(float));
        for (int as_gpu = 0; as_gpu < (has_gpu_plans() ? 2 : 1); as_gpu++) {
            m->right[as_gpu] = malloc(m->n * sizeof(float));
            assert_true(m->right[as_gpu] != NULL && m->wrong != NULL);
            run(m, NULL, as_gpu, m->right[as_gpu]);
        }
    }
    assert_int_equal(lp_case_table_create(&table_ctx, &table), LP_OK);
    rows_device = lp_test_device_create(&rows_ctx, test_device(), &rows_opened);
    assert_int_equal(rows_device->table->load(rows_device, &table->store, NULL, NULL), LP_OK);
    return 0;
}

static int close_models(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        model_session_destroy(models[i].session);
        lp_network_destroy(models[i].network);
        free(models[i].right[0]);
        free(models[i].right[1]);
        free(models[i].wrong);
    }
    rows_device->table->destroy(rows_device);
    lp_test_device_destroy(rows_opened);
    lp_case_table_destroy(table);
    return 0;
}

static lp_fault *fault_create(model *m, const char *name)
{
    lp_fault *fault = NULL;
    CHECK(m, lp_fault_create(&m->ctx, name, &fault));
    assert_false(lp_fault_planted(fault));
    return fault;
}

/* ---- In numbers ------------------------------------------------------------------------------ */

static bool differs(const model *m, bool as_gpu)
{
    return memcmp(m->right[as_gpu], m->wrong, m->n * sizeof(float)) != 0;
}

/* The first output of a row of the op table. */
static float *run_row(const lp_case *row, lp_fault *fault, bool as_gpu)
{
    const lp_backend_table *f = rows_device->table;
    lp_plan_options options = {.alter = fault != NULL ? lp_fault_alter : NULL, .alter_user = fault};
    lp_caps caps = *f->caps(rows_device);
    lp_plan *plan = NULL;
    lp_program *program = NULL;
    float *y = malloc(row->outputs[0].bytes);
    assert_non_null(y);
    if (as_gpu) {
        caps.is_cpu = false;
        caps.n_cores = 64;
    }
    assert_int_equal(lp_plan_create(&rows_ctx, row->graph, &caps, options, &plan), LP_OK);
    if (fault == NULL || lp_fault_planted(fault)) {
        assert_int_equal(f->program_from_plan(rows_device, row->graph, plan, &program), LP_OK);
        op_row_write(rows_device, program, row);
        op_row_run(rows_device, program);
        assert_int_equal(f->tensor_read(program, row->outputs[0].id, y), LP_OK);
        f->program_destroy(program);
    } else {
        lp_plan_destroy(plan);
    }
    return y;
}

/* Runs the fault in the first model that can have it. NULL: no one can. */
static model *plant_somewhere(size_t row, bool as_gpu, char node[64])
{
    for (int i = 0; i < N_MODELS; i++) {
        model *m = &models[i];
        lp_fault *fault = fault_create(m, lp_fault_name(row));
        run(m, fault, as_gpu, m->wrong);
        snprintf(node, 64, "%s", lp_fault_node(fault));
        bool planted = lp_fault_planted(fault);
        lp_fault_destroy(fault);
        if (planted)
            return m;
        assert_false(differs(m, as_gpu)); /* nothing was changed */
    }
    return NULL;
}

/* What no model here has (attention's extras, experts), in rows of the op table: in which one the
 * fault is planted, with results that are other ones. NULL: in none. */
static const char *plant_in_a_row(const char *name, bool as_gpu, double *error)
{
    const char *found = NULL;
    for (int i = 0; i < table->n && found == NULL; i++) {
        const lp_case *row = &table->cases[i];
        lp_fault *fault = NULL;
        if (row->n_outputs == 0 || row->graph->tensors[row->outputs[0].id].slot != LP_NONE)
            continue;
        assert_int_equal(lp_fault_create(&table_ctx, name, &fault), LP_OK);
        const uint64_t n = row->outputs[0].bytes / sizeof(float);
        float *wrong = run_row(row, fault, as_gpu);
        if (lp_fault_planted(fault)) {
            float *right = run_row(row, NULL, as_gpu);
            *error = nmse(right, wrong, n);
            if (*error > 0)
                found = row->name;
            free(right);
        }
        free(wrong);
        lp_fault_destroy(fault);
    }
    return found;
}

/* What these plans do not have, whatever the model: subgroup kernels where the device has none,
 * keys split over workgroups on CPU implementations of few cores. */
static bool may_be_missing(size_t row, bool as_gpu)
{
    const lp_caps caps = model_session_caps(models[0].session, as_gpu);
    if (strcmp(lp_fault_name(row), "wrong-subgroup-size") == 0)
        return (caps.has & LP_NEED_SUBGROUP_ARITH) == 0;
    return strcmp(lp_fault_name(row), "split-lost") == 0 && !as_gpu;
}

static void check_numbers(bool as_gpu)
{
    size_t n_bad = 0;
    for (size_t row = 0; row < lp_n_faults(); row++) {
        lp_fault_sign sign = lp_fault_shows(row);
        if (sign != LP_FAULT_IN_NUMBERS && sign != LP_FAULT_IN_WHOLE)
            continue;
        char node[64];
        const model *m = plant_somewhere(row, as_gpu, node);
        double error = m != NULL ? nmse(m->right[as_gpu], m->wrong, m->n) : 0;
        const char *path = m != NULL ? strrchr(paths[m - models], '/') + 1 : "nowhere";
        bool good = m != NULL ? differs(m, as_gpu) : may_be_missing(row, as_gpu);
        if (!good && m == NULL) {
            const char *place = plant_in_a_row(lp_fault_name(row), as_gpu, &error);
            good = place != NULL;
            path = good ? "op table" : path;
            snprintf(node, sizeof node, "%.63s", good ? place : "");
        }
        print_message("%-20s %-16s %-18s error %.1e%s\n", lp_fault_name(row), path, node, error,
                      good ? "" : " WITHOUT EFFECT");
        n_bad += !good;
    }
    assert_int_equal(n_bad, 0);
}

static void numbers_change(void **state)
{
    (void)state;
    check_numbers(false);
}

static void numbers_change_in_plans_for_gpus(void **state)
{
    (void)state;
    if (!has_gpu_plans())
        skip();
    check_numbers(true);
}

/* The same every time, unless the fault is planted; then wrong in each tenth run. */
static void one_run_in_ten_is_wrong(void **state)
{
    (void)state;
    model *m = &models[0];
    static const int32_t prompt[] = {12, 0};
    model_run options = {.chunks = prompt};
    const size_t n = 12 * (size_t)m->network->hparams.n_vocab;
    lp_fault *fault = fault_create(m, "race");
    for (int planted = 0; planted < 2; planted++) {
        int n_wrong = 0;
        if (planted)
            options.plan = (lp_plan_options){.alter = lp_fault_alter, .alter_user = fault};
        for (int i = 0; i < 20; i++) {
            model_session_run(m->session, &options, tokens, m->wrong);
            n_wrong += memcmp(m->right[0], m->wrong, n * sizeof(float)) != 0;
        }
        assert_int_equal(n_wrong, planted ? 2 : 0);
    }
    assert_true(lp_fault_planted(fault));
    lp_fault_destroy(fault);
}

/* ---- Outside --------------------------------------------------------------------------------- */

/* Words of the arena that belong to no tensor and are not what they were filled with. */
static size_t stray_words(model *m, lp_fault *fault)
{
    enum { CANARY = 0x5ca1ab1e };
    lp_backend *backend = model_session_backend(m->session);
    lp_graph *graph = model_session_graph(m->session, 12, false);
    lp_plan_options options = {.keep_all = true, .guard_bytes = 256};
    lp_program *program = NULL;
    if (fault != NULL) {
        options.alter = lp_fault_alter;
        options.alter_user = fault;
    }
    CHECK(m, backend->table->program_create(backend, graph, options, &program));
    const lp_plan *plan = backend->table->program_plan(program);
    const size_t bytes = (size_t)plan->arena.bytes;
    uint64_t ticket;
    CHECK(m, backend->table->submit(program, 1, &ticket)); /* the arena is there from now on */
    CHECK(m, backend->table->wait(backend, ticket));
    CHECK(m, backend->table->raw_fill(backend, LP_BUFFER_ARENA, 0, bytes, CANARY));
    CHECK(m, backend->table->submit(program, 1, &ticket));
    CHECK(m, backend->table->wait(backend, ticket));
    uint32_t *words = malloc(bytes);
    assert_non_null(words);
    CHECK(m, backend->table->raw_read(backend, LP_BUFFER_ARENA, 0, words, bytes));
    for (uint32_t i = 0; i < plan->n_dispatches; i++)
        for (uint32_t w = 0; w < plan->dispatches[i].n_writes; w++) {
            const lp_range *r = &plan->dispatches[i].writes[w];
            for (uint64_t at = r->offset; r->buffer == LP_BUFFER_ARENA && at < r->offset + r->bytes;
                 at += 4)
                words[at / 4] = CANARY;
        }
    size_t n = 0;
    for (size_t i = 0; i < bytes / 4; i++)
        n += words[i] != CANARY;
    free(words);
    backend->table->program_destroy(program);
    lp_graph_destroy(graph);
    return n;
}

static void stray_writes_hit_the_guards(void **state)
{
    (void)state;
    model *m = &models[0];
    lp_fault *fault = fault_create(m, "stray-write");
    assert_int_equal(stray_words(m, NULL), 0);
    assert_int_equal(stray_words(m, fault), 16);
    assert_true(lp_fault_planted(fault));
    lp_fault_destroy(fault);
}

/* ---- In the plan ----------------------------------------------------------------------------- */

/* The proof says what is wrong, and which node. */
static void check_proof(size_t row, int32_t n_tokens, bool as_gpu, bool no_fusion)
{
    for (int i = 0; i < N_MODELS; i++) {
        model *m = &models[i];
        lp_fault *fault = fault_create(m, lp_fault_name(row));
        lp_graph *graph = model_session_graph(m->session, n_tokens, no_fusion);
        lp_caps caps = model_session_caps(m->session, as_gpu);
        for (int planted = 0; planted < 2; planted++) {
            lp_plan_options options = {.alter = planted ? lp_fault_alter : NULL,
                                       .alter_user = fault};
            lp_plan *plan = NULL;
            char *hazard, *overlap;
            uint32_t hazard_node = 0, overlap_node = 0;
            CHECK(m, lp_plan_create(&m->ctx, graph, &caps, options, &plan));
            CHECK(m, lp_plan_find_hazard(&m->ctx, graph, plan, &hazard, &hazard_node));
            CHECK(m, lp_plan_find_overlap(&m->ctx, graph, plan, &overlap, &overlap_node));
            bool in_plan =
                planted && lp_fault_planted(fault) && lp_fault_shows(row) == LP_FAULT_IN_PLAN;
            bool in_whole =
                planted && lp_fault_planted(fault) && lp_fault_shows(row) == LP_FAULT_IN_WHOLE;
            if ((hazard != NULL) != in_plan || (overlap != NULL) != in_whole)
                fail_msg("%s in %s, %d tokens: %s", lp_fault_name(row), paths[i], (int)n_tokens,
                         hazard != NULL    ? hazard
                         : overlap != NULL ? overlap
                                           : "not found");
            if (in_plan)
                assert_string_equal(graph->nodes[hazard_node].name, lp_fault_node(fault));
            if (in_whole)
                assert_string_equal(graph->nodes[overlap_node].name, lp_fault_node(fault));
            free(hazard);
            free(overlap);
            lp_plan_destroy(plan);
        }
        bool whole =
            lp_fault_shows(row) == LP_FAULT_IN_WHOLE || lp_fault_shows(row) == LP_FAULT_IN_PLAN;
        if (whole && !no_fusion && !lp_fault_planted(fault))
            fail_msg("%s was not planted in %s", lp_fault_name(row), paths[i]);
        lp_graph_destroy(graph);
        lp_fault_destroy(fault);
    }
}

static void the_proof_finds_faults_of_plans_and_no_others(void **state)
{
    (void)state;
    for (size_t row = 0; row < lp_n_faults(); row++)
        for (int as_gpu = 0; as_gpu < 2; as_gpu++) {
            check_proof(row, 1, as_gpu, false);
            check_proof(row, 12, as_gpu, false);
            check_proof(row, 12, as_gpu, true);
        }
}

/* ---- Where ----------------------------------------------------------------------------------- */

static bool same_dispatch(const lp_dispatch *a, const lp_dispatch *b)
{
    bool same = a->kernel == b->kernel && memcmp(a->groups, b->groups, sizeof a->groups) == 0 &&
                memcmp(a->spec, b->spec, sizeof a->spec) == 0 && a->n_push == b->n_push &&
                memcmp(a->push, b->push, a->n_push) == 0 && a->barrier == b->barrier &&
                a->n_relocations == b->n_relocations;
    for (uint32_t i = 0; same && i < a->n_relocations; i++)
        same = a->relocations[i].push_offset == b->relocations[i].push_offset &&
               a->relocations[i].buffer == b->relocations[i].buffer &&
               a->relocations[i].offset == b->relocations[i].offset;
    return same;
}

/* Plans of single nodes, as checks make them: only the one of that node is changed, and the others
 * are what they are without the fault. */
static void only_the_nodes_own_plan_changes(void **state)
{
    (void)state;
    model *m = &models[0];
    lp_caps caps = model_session_caps(m->session, false);
    lp_graph *graph = model_session_graph(m->session, 12, false);
    for (size_t row = 0; row < lp_n_faults(); row++) {
        lp_fault *fault = fault_create(m, lp_fault_name(row));
        uint32_t n_changed = 0;
        for (uint32_t i = 0; i < graph->n_nodes; i++) {
            lp_graph part = *graph;
            part.nodes = &graph->nodes[i];
            part.n_nodes = 1;
            lp_plan *plans[2];
            for (int planted = 0; planted < 2; planted++) {
                lp_plan_options options = {.alter = planted ? lp_fault_alter : NULL,
                                           .alter_user = fault};
                CHECK(m, lp_plan_create(&m->ctx, &part, &caps, options, &plans[planted]));
            }
            bool changed = plans[0]->n_dispatches != plans[1]->n_dispatches ||
                           !same_dispatch(plans[0]->dispatches, plans[1]->dispatches);
            n_changed += changed;
            assert_true(changed == (lp_fault_planted(fault) &&
                                    strcmp(graph->nodes[i].name, lp_fault_node(fault)) == 0));
            lp_plan_destroy(plans[0]);
            lp_plan_destroy(plans[1]);
        }
        assert_int_equal(n_changed, lp_fault_planted(fault));
        lp_fault_destroy(fault);
    }
    lp_graph_destroy(graph);
}

static void a_node_can_be_named(void **state)
{
    (void)state;
    model *m = &models[0];
    lp_fault *fault = fault_create(m, "half@blk.1.ffn_down");
    run(m, fault, false, m->wrong);
    assert_string_equal(lp_fault_node(fault), "blk.1.ffn_down");
    assert_true(differs(m, false));
    assert_int_equal(lp_fault_require(&m->ctx, fault), LP_OK);
    lp_fault_destroy(fault);

    fault = fault_create(m, "softmax-scale@blk.1.ffn_down"); /* not an attention */
    run(m, fault, false, m->wrong);
    assert_false(lp_fault_planted(fault));
    assert_false(differs(m, false));
    assert_int_equal(lp_fault_require(&m->ctx, fault), LP_E_MISSING);
    assert_non_null(strstr(m->ctx.message, "softmax-scale could not be planted at blk.1.ffn_down"));
    lp_fault_destroy(fault);
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_fault *fault;
    assert_int_equal(lp_fault_create(&ctx, "no-such", &fault), LP_E_MISSING);
    assert_non_null(
        strstr(ctx.message, "there is no fault \"no-such\"; there are missing-barrier, "));
    assert_null(fault);
    assert_int_equal(lp_fault_create(&ctx, "", &fault), LP_E_MISSING);
    assert_int_equal(lp_fault_create(&ctx, "na", &fault), LP_E_MISSING);
    assert_int_equal(lp_fault_create(&ctx, "nan@", &fault), LP_E_ARG);
    lp_fault_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_change),
        cmocka_unit_test(numbers_change_in_plans_for_gpus),
        cmocka_unit_test(one_run_in_ten_is_wrong),
        cmocka_unit_test(stray_writes_hit_the_guards),
        cmocka_unit_test(the_proof_finds_faults_of_plans_and_no_others),
        cmocka_unit_test(only_the_nodes_own_plan_changes),
        cmocka_unit_test(a_node_can_be_named),
        cmocka_unit_test(bad_names_are_refused),
    };
    return cmocka_run_group_tests(tests, open_models, close_models);
}
