/* Doctor on every device: a right one is found good; one whose kernels are made wrong (by a change
 * of its plans) is found out, the kernel is named and refused, what is used instead is tried, and
 * the finding is remembered for sessions until it is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "check/quirks.h"
#include "lapilli_private.h"

#define STORY LAPILLI_MODELS_DIR "/story/story.gguf"

static char logged[4096], folder[] = "/tmp/lapilli-doctor-XXXXXX";
static lp_context *ctx;
static lp_devices *devices;
static lp_model *model;
static size_t device;

static void log_line(void *user, lp_log_level level, const char *line)
{
    (void)user;
    (void)level;
    strncat(logged, line, sizeof logged - strlen(logged) - 2);
    strcat(logged, "\n");
}

static void must(lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), lp_context_message(ctx));
}

static bool on_vulkan(void)
{
    return lp_devices_gpu(devices, device) != NULL;
}

static int set_up(void **state)
{
    (void)state;
    const char *name = getenv("LAPILLI_TEST_DEVICE");
    ctx = lp_context_create(log_line, NULL, LP_LOG_WARN);
    assert_non_null(ctx);
    assert_non_null(mkdtemp(folder));
    must(getenv("LAPILLI_TEST_VALIDATION") ? lp_devices_create_validated(ctx, &devices)
                                           : lp_devices_create(ctx, &devices));
    must(lp_devices_choose(devices, name ? name : "cpu", &device, NULL));
    must(lp_model_open(ctx, STORY, &model));
    return 0;
}

/* The pipelines' cache, and doctor's file if a test left it. */
static void empty_folder(void)
{
    int forgotten;
    must(lp_doctor_forget(devices, device, folder, &forgotten));
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static int tear_down(void **state)
{
    (void)state;
    const uint32_t n_messages = lp_devices_validation_errors(devices);
    empty_folder();
    lp_model_destroy(model);
    lp_devices_destroy(devices);
    lp_context_destroy(ctx);
    return n_messages != 0;
}

/* ---- Faults -------------------------------------------------------------------------------- */

/* The kernel named `user` leaves its last workgroups out. */
static void lose_groups(void *user, const lp_graph *graph, lp_plan *plan)
{
    (void)graph;
    for (uint32_t i = 0; i < plan->n_dispatches; i++)
        if (strcmp(plan->dispatches[i].kernel->name, user) == 0)
            plan->dispatches[i].groups[0] /= 2;
}

/* All kernels of the family named `user` write one element too far on. */
static void shift_output(void *user, const lp_graph *graph, lp_plan *plan)
{
    (void)graph;
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        lp_dispatch *d = &plan->dispatches[i];
        for (uint32_t r = 0; r < d->n_relocations && strcmp(d->kernel->family, user) == 0; r++)
            if (d->n_writes > 0 && d->relocations[r].buffer == d->writes[0].buffer &&
                d->relocations[r].offset == d->writes[0].offset)
                d->relocations[r].offset += 4;
    }
}

/* Altered devices are examined in two ops only, for time. */
static lp_diagnosis *examine(void (*alter)(void *, const lp_graph *, lp_plan *), const char *user)
{
    const lp_doctor_options options = {.quick = 1, .cache_folder = folder};
    const lp_alteration alteration = {alter, (void *)(uintptr_t)user,
                                      alter != NULL ? 1u << LP_OP_LINEAR | 1u << LP_OP_ROPE : 0};
    lp_diagnosis *d;
    logged[0] = '\0';
    must(lp_doctor_altered(devices, device, model, &options, alteration, &d));
    return d;
}

static const lp_diagnosis_probe *probe(const lp_diagnosis *d, const char *name)
{
    for (size_t i = 0; i < d->n_probes; i++)
        if (strcmp(d->probes[i].name, name) == 0)
            return &d->probes[i];
    return NULL;
}

/* What one step of generation says with doctor's findings around. */
static lp_status generate(void)
{
    lp_session_options options = LP_SESSION_DEFAULT;
    lp_session *session = NULL;
    int32_t token;
    options.cache_folder = folder;
    options.n_ctx = 64;
    logged[0] = '\0';
    must(lp_session_create(devices, device, model, &options, &session));
    must(lp_session_feed_text(session, "Once upon a time", 16, LP_FEED_PROMPT));
    lp_status status = lp_session_next(session, 1, &token);
    lp_session_destroy(session);
    return status;
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void a_right_device_is_good(void **state)
{
    (void)state;
    lp_diagnosis *d = examine(NULL, NULL);
    if (d->health != LP_HEALTH_GOOD)
        fail_msg("%s: %s", lp_health_text(d->health), d->sentence);
    assert_true(d->n_rows > 100 && d->n_wrong == 0 && d->n_refused == 0);
    uint32_t n = 0;
    for (size_t i = 0; i < d->n_cells; i++)
        n += d->cells[i].n;
    assert_int_equal(n, d->n_rows);
    assert_non_null(probe(d, "shipped model"));
    if (on_vulkan())
        assert_true(probe(d, "subgroups") != NULL && probe(d, "heavy work") != NULL);
    assert_string_equal(d->remembered, "");
    assert_string_equal(logged, "");
    lp_diagnosis_destroy(d);
}

/* The kernels of a row: `kernel`, behind the one that sorts the rows of experts, where there are
 * any. */
static void assert_kernels(const char *kernels, const char *kernel)
{
    static const char sorted[] = "group_rows + ";
    const size_t n = strlen(sorted);
    assert_string_equal(strncmp(kernels, sorted, n) == 0 ? kernels + n : kernels, kernel);
}

static void a_wrong_kernel_is_refused_and_remembered(void **state)
{
    (void)state;
    if (!on_vulkan())
        skip();
    const char *kernel = "linear_mv_sg_f16", *instead = "linear_mv_f16";
    if (!(lp_devices_gpu(devices, device)->caps.has & LP_NEED_SUBGROUP_ARITH))
        skip();
    lp_diagnosis *d = examine(lose_groups, kernel);
    assert_int_equal(d->health, LP_HEALTH_REDUCED);
    assert_true(d->n_wrong > 0 && d->n_left == 0);
    assert_int_equal(d->n_refused, 1);
    assert_string_equal(d->refused[0], kernel);
    assert_non_null(strstr(d->sentence, "computations are wrong (linear F16); right without "
                                        "linear_mv_sg_f16"));
    for (uint32_t i = 0; i < d->n_wrong; i++) {
        assert_string_equal(d->wrong[i].op, "linear");
        assert_string_equal(d->wrong[i].type, "F16");
        assert_kernels(d->wrong[i].kernels, kernel);
        assert_int_equal(d->wrong[i].finding, LP_FINDING_UNWRITTEN);
        assert_int_equal(d->wrong[i].outcome, LP_TRIAL_RIGHT);
        assert_kernels(d->wrong[i].instead, instead);
    }
    assert_int_equal(access(d->remembered, R_OK), 0);
    lp_diagnosis_destroy(d);

    assert_int_equal(generate(), LP_OK); /* without the fault, but without the kernel, too */
    assert_string_equal(logged,
                        "as doctor found this driver: without linear_mv_sg_f16 (lapilli doctor "
                        "--forget undoes it)\n");

    d = examine(shift_output, "nothing"); /* a quick look is not enough to take it back … */
    assert_int_equal(d->health, LP_HEALTH_GOOD);
    assert_string_equal(d->forgotten, "");
    lp_diagnosis_destroy(d);
    int forgotten; /* … and forgetting is asked for */
    must(lp_doctor_forget(devices, device, folder, &forgotten));
    assert_true(forgotten);
    must(lp_doctor_forget(devices, device, folder, &forgotten));
    assert_false(forgotten);
    assert_int_equal(generate(), LP_OK);
    assert_string_equal(logged, "");
}

static void without_an_alternative_it_is_not_run(void **state)
{
    (void)state;
    if (!on_vulkan())
        skip();
    lp_diagnosis *d = examine(shift_output, "rope");
    assert_int_equal(d->health, LP_HEALTH_BAD);
    assert_true(d->n_wrong > 0 && d->n_left == d->n_wrong);
    assert_int_equal(d->n_refused, 1);
    assert_string_equal(d->refused[0], "rope");
    for (uint32_t i = 0; i < d->n_wrong; i++) {
        assert_string_equal(d->wrong[i].op, "rope");
        assert_int_equal(d->wrong[i].outcome, LP_TRIAL_NOTHING);
    }
    assert_false(probe(d, "shipped model")->right);
    lp_diagnosis_destroy(d);
    assert_int_equal(generate(), LP_E_UNSUPPORTED);
    assert_non_null(strstr(lp_context_message(ctx), "rope was refused by doctor"));
    int forgotten;
    must(lp_doctor_forget(devices, device, folder, &forgotten));
}

/* A family of two rows, both of them wrong: the second one is found out as well. */
static void alternatives_are_examined_too(void **state)
{
    (void)state;
    if (!on_vulkan() || !(lp_devices_gpu(devices, device)->caps.has & LP_NEED_SUBGROUP_ARITH))
        skip();
    lp_diagnosis *d = examine(shift_output, "linear_mv");
    assert_int_equal(d->health, LP_HEALTH_BAD);
    assert_true(d->n_left > 0);
    bool both[2] = {false, false};
    for (size_t i = 0; i < d->n_refused; i++) {
        both[0] = both[0] || strcmp(d->refused[i], "linear_mv_sg_q4_0") == 0;
        both[1] = both[1] || strcmp(d->refused[i], "linear_mv_q4_0") == 0;
    }
    assert_true(both[0] && both[1]);
    lp_diagnosis_destroy(d);
    int forgotten;
    must(lp_doctor_forget(devices, device, folder, &forgotten));
}

static void the_reference_is_no_patient(void **state)
{
    (void)state;
    size_t index;
    lp_diagnosis *d;
    must(lp_devices_choose(devices, "reference", &index, NULL));
    must(lp_doctor(devices, index, model, NULL, &d));
    assert_int_equal(d->health, LP_HEALTH_JUDGE);
    lp_diagnosis_destroy(d);
    assert_int_equal(lp_doctor(devices, 1000, model, NULL, &d), LP_E_ARG);
}

static int stop(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    (void)total;
    return done > 3;
}

static void it_can_be_cancelled(void **state)
{
    (void)state;
    const lp_doctor_options options = {.progress = stop};
    lp_diagnosis *d;
    assert_int_equal(lp_doctor(devices, device, NULL, &options, &d), LP_E_CANCELLED);
    assert_null(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_device_is_good),
        cmocka_unit_test(a_wrong_kernel_is_refused_and_remembered),
        cmocka_unit_test(without_an_alternative_it_is_not_run),
        cmocka_unit_test(alternatives_are_examined_too),
        cmocka_unit_test(the_reference_is_no_patient),
        cmocka_unit_test(it_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
