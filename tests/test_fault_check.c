/* lapilli check finds every planted fault, and names the node that has it. Each fault is planted in
 * the first of a few small models that can have it; what is found is printed as a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check/exam.h"
#include "check/faults.h"
#include "lapilli.h"
#include "support/model_files.h"
#include "support/model_run.h"

/* A prompt of more than eight tokens. */
enum { N_TOKENS = 19 };

/* The last one has a sliding window; the fixture is without a tokenizer, and gets one. */
enum { N_MODELS = 4 };
static const char *paths[N_MODELS] = {LAPILLI_MODELS_DIR "/story/story.gguf", FIXTURE("gpt2.gguf"),
                                      FIXTURE("llama-q8_0.gguf")};
static char *folder;

static lp_context *ctx;
static lp_devices *devices;
static lp_model *models[N_MODELS];
static size_t device, reference;
/* The same from inside, to know which node gets a fault. */
static lp_network *networks[N_MODELS];
static lp_backend *backend;
static lp_test_device *test_device_, *exam_device;
static int32_t tokens[N_TOKENS];

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s: %s", #call, lp_context_message(ctx));                                    \
    } while (0)

static void make_folder(void)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    static const char tokenizer[] =
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}";
    folder = test_folder_create();
    paths[N_MODELS - 1] = folder;
    for (int i = 0; i < 2; i++) {
        char *from = test_path(FIXTURE("mistral"), files[i]), *to = test_path(folder, files[i]);
        test_copy(from, to);
        free(from);
        free(to);
    }
    char *path = test_path(folder, "tokenizer.json");
    test_write(path, tokenizer, sizeof tokenizer - 1);
    free(path);
}

static int set_up(void **state)
{
    (void)state;
    make_folder();
    ctx = lp_context_create(NULL, NULL, LP_LOG_ERROR);
    assert_non_null(ctx);
    CHECK(lp_devices_create(ctx, &devices));
    CHECK(lp_devices_choose(devices, test_device(), &device, NULL));
    CHECK(lp_devices_choose(devices, "reference", &reference, NULL));
    for (int i = 0; i < N_MODELS; i++) {
        CHECK(lp_model_open(ctx, paths[i], &models[i]));
        CHECK(lp_network_open(ctx, paths[i], &networks[i]));
    }
    backend = lp_test_device_create(ctx, test_device(), &test_device_);
    for (int i = 0; i < N_TOKENS; i++)
        tokens[i] = 3 + i * 37 % 64;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        lp_network_destroy(networks[i]);
        lp_model_destroy(models[i]);
    }
    test_folder_remove(folder);
    backend->table->destroy(backend);
    lp_test_device_destroy(test_device_);
    lp_devices_destroy(devices);
    lp_context_destroy(ctx);
    return 0;
}

static lp_status check(const lp_model *model, const char *fault, bool quick, lp_report **report)
{
    lp_check_options options = LP_CHECK_DEFAULT;
    options.tokens = tokens;
    options.n_tokens = N_TOKENS;
    options.plant = fault;
    options.quick = quick;
    *report = NULL;
    return lp_check(devices, device, reference, model, &options, report);
}

/* NULL: the devices agree. */
static const lp_check_node *bad_node(const lp_report *report)
{
    return report->agrees ? NULL : &report->passes[report->bad_pass].nodes[report->bad_node];
}

static void sound_models_agree(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        lp_report *report;
        CHECK(check(models[i], NULL, true, &report));
        if (!report->agrees)
            fail_msg("%s", report->sentence);
        lp_report_destroy(report);
    }
}

/* The node that gets the fault in a model's plan; false: none can have it. */
static bool planted_node(int model, const char *name, char node[64])
{
    lp_context inner = {0};
    lp_store store = {0};
    lp_graph *graph = NULL;
    lp_plan *plan = NULL;
    lp_fault *fault = NULL;
    const int32_t n_ctx = (int32_t)lp_model_context(models[model]);
    const lp_network_options options = {
        .n_tokens = N_TOKENS, .n_ctx = n_ctx, .kv_dtype = LP_F16, .sample = true};
    const lp_backend_table *table = backend->table;
    if (lp_fault_create(&inner, name, &fault) != LP_OK ||
        lp_network_graph(&inner, networks[model], &store, &options, &graph) != LP_OK ||
        lp_plan_create(&inner, graph, table->caps(backend),
                       (lp_plan_options){.alter = lp_fault_alter, .alter_user = fault},
                       &plan) != LP_OK)
        fail_msg("%s", inner.message);
    const bool planted = lp_fault_planted(fault);
    snprintf(node, 64, "%s", lp_fault_node(fault));
    lp_plan_destroy(plan);
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
    lp_fault_destroy(fault);
    return planted;
}

/* Where the findings that are not about numbers belong. */
static bool right_finding(const char *fault, lp_finding finding)
{
    static const struct {
        const char *fault;
        lp_finding finding;
    } wanted[] = {
        {"missing-barrier", LP_FINDING_HAZARD},  {"aliased-arena", LP_FINDING_OVERLAP},
        {"stray-write", LP_FINDING_STRAY_WRITE}, {"tail-unwritten", LP_FINDING_UNWRITTEN},
        {"nan", LP_FINDING_NOT_FINITE},          {"infinity", LP_FINDING_NOT_FINITE},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (strcmp(wanted[i].fault, fault) == 0)
            return finding == wanted[i].finding;
    return finding != LP_FINDING_DEVICE;
}

static lp_status open_device(void *user, lp_backend **opened)
{
    (void)user;
    *opened = lp_test_device_create(ctx, test_device(), &exam_device);
    return LP_OK;
}

/* The op that has a fault of its own for experts; all others are attention's. */
static lp_op op_of(const char *name)
{
    static const struct {
        const char *name;
        lp_op op;
    } rows[] = {{"expert-lost", LP_OP_ROUTE},
                {"routes-scale", LP_OP_ROUTE},
                {"first-routes", LP_OP_LINEAR},
                {"expert-weights", LP_OP_COMBINE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].op;
    return LP_OP_ATTENTION;
}

/* Rows of the op table that are run: the first that can have a fault, and some behind it. */
typedef struct chosen_rows {
    const char *fault;
    int n;
} chosen_rows;

static bool wants_row(void *user, const lp_case *row)
{
    chosen_rows *chosen = user;
    lp_context inner = {0};
    lp_fault *fault = NULL;
    lp_plan *plan = NULL;
    if (chosen->n == 0) {
        if (lp_fault_create(&inner, chosen->fault, &fault) != LP_OK)
            fail_msg("%s", inner.message);
        const lp_plan_options options = {.alter = lp_fault_alter, .alter_user = fault};
        const bool can = lp_plan_create(&inner, row->graph, backend->table->caps(backend), options,
                                        &plan) == LP_OK &&
                         lp_fault_planted(fault);
        lp_plan_destroy(plan);
        lp_fault_destroy(fault);
        if (!can)
            return false;
    }
    return chosen->n++ < 6;
}

/* What no model here has (extras of attention, experts), in a row of the op table: doctor's exam
 * finds it, and nothing else. */
static bool is_caught_by_exam(const char *name)
{
    lp_fault *fault = NULL;
    lp_exam *exam = NULL;
    CHECK(lp_fault_create(ctx, name, &fault));
    chosen_rows chosen = {.fault = name};
    const lp_exam_options options = {.open = open_device,
                                     .ops = 1u << op_of(name),
                                     .wants = wants_row,
                                     .wants_user = &chosen,
                                     .alter = lp_fault_alter,
                                     .alter_user = fault};
    CHECK(lp_exam_create(ctx, &options, &exam));
    CHECK(lp_exam_run(exam));
    const bool planted = lp_fault_planted(fault);
    bool caught = planted && exam->n_wrong == 1;
    for (uint32_t i = 0; i < exam->n_rows; i++)
        if (exam->rows[i].finding != LP_FINDING_NONE) {
            caught = caught && strcmp(exam->rows[i].row->name, lp_fault_node(fault)) == 0;
            print_message("%-20s %s: %s\n", name, exam->rows[i].row->name,
                          lp_finding_text(exam->rows[i].finding));
        }
    if (planted && !caught)
        print_message("%-20s %s MISSED\n", name, lp_fault_node(fault));
    lp_exam_destroy(exam);
    lp_test_device_destroy(exam_device);
    lp_fault_destroy(fault);
    return caught;
}

/* One row of the table. */
static bool is_caught(size_t row)
{
    const char *name = lp_fault_name(row);
    char node[64];
    int model = 0;
    while (model < N_MODELS && !planted_node(model, name, node))
        model++;
    if (model == N_MODELS) {
        if (strcmp(name, "split-lost") != 0 && strcmp(name, "wrong-subgroup-size") != 0)
            return is_caught_by_exam(name);
        print_message("%-20s cannot be in any plan of this device\n", name);
        return true;
    }
    lp_report *report;
    CHECK(check(models[model], name, lp_fault_shows(row) != LP_FAULT_SOMETIMES, &report));
    const lp_check_node *bad = bad_node(report);
    const bool caught =
        bad != NULL && strcmp(bad->name, node) == 0 && right_finding(name, bad->finding);
    print_message("%-20s %-18s %s", name, node, caught ? "caught" : "MISSED");
    if (bad != NULL && strcmp(bad->name, node) != 0)
        print_message(", %s instead", bad->name);
    if (bad != NULL)
        print_message(": %s", lp_finding_text(bad->finding));
    if (bad != NULL && bad->finding == LP_FINDING_WRONG)
        print_message(", %.2g sigma", bad->isolated.largest);
    print_message("\n");
    lp_report_destroy(report);
    return caught;
}

static void every_fault_is_found_at_its_node(void **state)
{
    (void)state;
    size_t n_missed = 0;
    assert_true(lp_n_faults() > 30);
    for (size_t row = 0; row < lp_n_faults(); row++)
        n_missed += !is_caught(row);
    assert_int_equal(n_missed, 0);
}

/* The smallest change of a kernel that is wrong for many tokens: fewer at a time; and with it the
 * device agrees. */
static void many_tokens_are_worked_around(void **state)
{
    (void)state;
    lp_report *report, *again = NULL;
    CHECK(check(models[0], "many-tokens", true, &report));
    assert_false(report->agrees);
    assert_string_equal(report->smallest_change, "with at most 8 tokens at a time");
    assert_non_null(report->workaround);
    lp_check_options options = LP_CHECK_DEFAULT;
    options.tokens = tokens;
    options.n_tokens = N_TOKENS;
    options.plant = "many-tokens/linear_mv_sg_f16"; /* with a kernel it need not be planted */
    options.quick = 1;
    options.workaround = report->workaround;
    CHECK(lp_check(devices, device, reference, models[0], &options, &again));
    if (!again->agrees)
        fail_msg("%s", again->sentence);
    assert_int_equal(again->passes[0].n_tokens, 8);
    lp_report_destroy(again);
    lp_report_destroy(report);
}

/* Nothing tested must not look like nothing wrong. */
static void a_fault_that_is_nowhere_is_no_agreement(void **state)
{
    (void)state;
    lp_report *report;
    assert_int_equal(check(models[0], "bias-twice", true, &report), LP_E_MISSING);
    assert_null(report);
    assert_int_equal(check(models[0], "nan@blk.9.attn", true, &report), LP_E_MISSING);
    assert_non_null(strstr(lp_context_message(ctx), "nan could not be planted at blk.9.attn"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_models_agree),
        cmocka_unit_test(every_fault_is_found_at_its_node),
        cmocka_unit_test(many_tokens_are_worked_around),
        cmocka_unit_test(a_fault_that_is_nowhere_is_no_agreement),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
