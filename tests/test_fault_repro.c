/* Repros of planted faults: written by a check, run again without the model with the same finding;
 * and every broken repro is refused with a message that names what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lapilli.h"
#include "support/model_files.h"
#include "support/model_run.h"

static lp_context *ctx;
static lp_devices *devices;
static lp_model *model;
static size_t device, reference;

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s: %s", #call, lp_context_message(ctx));                                    \
    } while (0)

static int set_up(void **state)
{
    (void)state;
    ctx = lp_context_create(NULL, NULL, LP_LOG_ERROR);
    assert_non_null(ctx);
    CHECK(lp_devices_create(ctx, &devices));
    CHECK(lp_devices_choose(devices, test_device(), &device, NULL));
    CHECK(lp_devices_choose(devices, "reference", &reference, NULL));
    CHECK(lp_model_open(ctx, FIXTURE("llama-q8_0.gguf"), &model));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lp_model_destroy(model);
    lp_devices_destroy(devices);
    lp_context_destroy(ctx);
    return 0;
}

/* Checks with a planted fault and writes the repro to `folder`. */
static lp_report *write_repro(const char *fault, const char *folder)
{
    int32_t tokens[19];
    for (int i = 0; i < 19; i++)
        tokens[i] = 3 + i * 37 % 64;
    lp_check_options options = LP_CHECK_DEFAULT;
    options.tokens = tokens;
    options.n_tokens = 19;
    options.quick = 1;
    options.plant = fault;
    options.repro_folder = folder;
    lp_report *report = NULL;
    CHECK(lp_check(devices, device, reference, model, &options, &report));
    assert_false(report->agrees);
    assert_string_equal(report->repro, folder);
    return report;
}

static void same_finding_without_the_model(void **state)
{
    (void)state;
    static const char *const faults[] = {"one-in-a-million", "tail-unwritten", "stray-write",
                                         "kv-off-by-one",    "softmax-scale",  "nan"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        char *folder = test_folder_create();
        lp_report *first = write_repro(faults[i], folder), *again = NULL;
        CHECK(lp_check_repro(devices, device, folder, 2, &again));
        const lp_check_node *a = &first->passes[first->bad_pass].nodes[first->bad_node];
        const lp_check_node *b = &again->passes[0].nodes[0];
        assert_false(again->agrees);
        assert_string_equal(a->name, b->name);
        assert_string_equal(a->op, b->op);
        assert_string_equal(a->kernels, b->kernels);
        /* a row of the cache that must not be touched is just wrong there */
        if (a->finding != LP_FINDING_STRAY_WRITE || strcmp(a->op, "kv_write") != 0)
            assert_int_equal(a->finding, b->finding);
        assert_int_equal(a->isolated.worst, b->isolated.worst);
        assert_memory_equal(&a->isolated.got, &b->isolated.got, sizeof(double));
        lp_report_destroy(first);
        lp_report_destroy(again);
        test_folder_remove(folder);
    }
}

/* A folder that holds something is left alone, before anything is computed. */
static void used_folder(void **state)
{
    (void)state;
    char *folder = test_folder_create(), *path = test_path(folder, "mine");
    const int32_t token = 3;
    lp_check_options options = LP_CHECK_DEFAULT;
    lp_report *report = NULL;
    test_write(path, "x", 1);
    options.tokens = &token;
    options.n_tokens = 1;
    options.repro_folder = folder;
    assert_int_equal(lp_check(devices, device, reference, model, &options, &report), LP_E_ARG);
    assert_null(report);
    assert_non_null(strstr(lp_context_message(ctx), "not empty"));
    free(path);
    test_folder_remove(folder);
}

typedef struct damage {
    const char *file, *find, *replace; /* find NULL: the file becomes `replace` */
    lp_status status;
    const char *message;
} damage;

static void broken_repros(void **state)
{
    (void)state;
    static const damage rows[] = {
        {"repro.json", NULL, "{", LP_E_FORMAT, "repro.json"},
        {"repro.json", NULL, "[]", LP_E_FORMAT, "repro.json"},
        {"repro.json", NULL, "{}", LP_E_FORMAT, "schema"},
        {"repro.json", "\"schema\": 1", "\"schema\": 2", LP_E_FORMAT, "schema"},
        {"repro.json", "\"schema\": 1", "\"schema\": -1", LP_E_FORMAT, "schema"},
        {"repro.json", "\"number\": 1", "\"number\": 7", LP_E_FORMAT, "buffers"},
        {"repro.json", "buffer-1.bin", "../../etc/passwd", LP_E_FORMAT, "passwd"},
        {"repro.json", "buffer-1.bin", ".hidden", LP_E_FORMAT, ".hidden"},
        {"repro.json", "buffer-1.bin", "nothing.bin", LP_E_IO, "nothing.bin"},
        {"repro.json", "buffer-1.bin", "sigma.bin", LP_E_FORMAT, "sigma.bin"},
        {"repro.json", "\"bytes\": ", "\"bytes\": 1", LP_E_FORMAT, "buffer"},
        {"repro.json", "\"bytes\": ", "\"bytes\": -", LP_E_FORMAT, "repro.json"},
        {"repro.json", ".spv\"", ".txt\"", LP_E_IO, ".txt"},
        {"repro.json", "\"needs\": ", "\"needs\": 429496729", LP_E_FORMAT, "needs"},
        {"repro.json", "\"constants\": [", "\"constants\": [1,2,3,4,5,6,7,8,9,10,11,", LP_E_LIMIT,
         "constants"},
        {"repro.json", "\"groups\": [", "\"groups\": [4294967295, ", LP_E_LIMIT, "groups"},
        {"repro.json", "\"parameters\": \"", "\"parameters\": \"zz", LP_E_FORMAT, "parameters"},
        {"repro.json", "\"parameters\": \"", "\"parameters\": \"00", LP_E_FORMAT, "parameters"},
        {"repro.json", "\"at\": ", "\"at\": 99", LP_E_FORMAT, "at"},
        {"repro.json", "\"barrier\": ", "\"barrier\": 3,\"x\": ", LP_E_FORMAT, "barrier"},
        {"repro.json", "\"elements\": ", "\"elements\": 99999", LP_E_FORMAT, "elements"},
        {"repro.json", "\"elements\": ", "\"elements\": 0, \"x\": ", LP_E_FORMAT, "shape"},
        {"repro.json", "\"type\": \"F32\"", "\"type\": \"MXFP4\"", LP_E_FORMAT, "MXFP4"},
        {"repro.json", "\"type\": \"F32\"", "\"type\": \"Q8_0\"", LP_E_FORMAT, "row: a whole number"},
        {"repro.json", "\"shape\": [", "\"shape\": [3, ", LP_E_FORMAT, "shape"},
        {"expected.bin", NULL, "short", LP_E_FORMAT, "expected.bin"},
        {"sigma.bin", NULL, "short", LP_E_FORMAT, "sigma.bin"},
        {"buffer-0.bin", NULL, "short", LP_E_FORMAT, "buffer-0.bin"},
        {"fault.spv", NULL, "not SPIR-V, but some bytes", LP_E_FORMAT, "SPIR-V"},
    };
    char *folder = test_folder_create();
    lp_report_destroy(write_repro("one-in-a-million", folder));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const damage *d = &rows[i];
        char *path = test_path(folder, d->file);
        size_t bytes = 0;
        uint8_t *whole = test_read(path, &bytes);
        lp_report *report = NULL;
        if (d->find != NULL)
            test_copy_replaced(path, path, d->find, d->replace);
        else
            test_write(path, d->replace, strlen(d->replace));
        lp_status status = lp_check_repro(devices, device, folder, 2, &report);
        if (status != d->status || report != NULL ||
            strstr(lp_context_message(ctx), d->message) == NULL)
            fail_msg("%s, %s: status %s: %s", d->file, d->replace, lp_status_text(status),
                     lp_context_message(ctx));
        test_write(path, whole, bytes);
        free(whole);
        free(path);
    }
    lp_report *report = NULL; /* whole again */
    CHECK(lp_check_repro(devices, device, folder, 2, &report));
    assert_false(report->agrees);
    lp_report_destroy(report);
    test_folder_remove(folder);
}

static void devices_without_shaders(void **state)
{
    (void)state;
    lp_report *report = NULL;
    assert_int_equal(lp_check_repro(devices, reference, "/nonexistent", 2, &report),
                     LP_E_UNSUPPORTED);
    assert_int_equal(lp_check_repro(devices, device, "/nonexistent", 2, &report), LP_E_IO);
    assert_non_null(strstr(lp_context_message(ctx), "/nonexistent/repro.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_finding_without_the_model),
        cmocka_unit_test(used_folder),
        cmocka_unit_test(broken_repros),
        cmocka_unit_test(devices_without_shaders),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
