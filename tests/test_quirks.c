/* Workarounds and what doctor remembers: out as JSON and in again, hostile JSON, other devices and
 * drivers; what plans become by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "check/quirks.h"
#include "graph/builder.h"

static char logged[2048];

static void log_line(void *user, lp_log_level level, const char *line)
{
    (void)user;
    (void)level;
    strncat(logged, line, sizeof logged - strlen(logged) - 2);
    strcat(logged, "\n");
}

static lp_context ctx = {.log = log_line, .level = LP_LOG_WARN};
static const lp_quirks_device device = {"Some GPU", "some driver 1.2.3"};

static lp_status parse(const char *text, lp_quirks *q)
{
    logged[0] = '\0';
    return lp_quirks_parse(&ctx, "w.json", text, strlen(text), device, q);
}

static bool refused(const lp_quirks *q, const char *kernel)
{
    return lp_kernel_set_has(&q->refused, lp_kernel_by_name(kernel));
}

static void json_comes_back(void **state)
{
    (void)state;
    lp_quirks q = {.full_barriers = true, .no_fusion = true}, back;
    lp_kernel_set_add(&q.refused, lp_kernel_by_name("linear_mv_sg_f16"));
    lp_kernel_set_add(&q.refused, lp_kernel_by_name("rope"));
    char *json;
    assert_int_equal(lp_quirks_json(&ctx, &q, device, "rope \"turns\"\n\xff", &json), LP_OK);
    assert_int_equal(parse("{}", &back), LP_E_MISSING);
    assert_int_equal(parse(json, &back), LP_E_FORMAT); /* the \xff */
    free(json);
    assert_int_equal(lp_quirks_json(&ctx, &q, device, "rope \"turns\"", &json), LP_OK);
    assert_int_equal(parse(json, &back), LP_OK);
    assert_memory_equal(&back.refused, &q.refused, sizeof q.refused);
    assert_true(back.full_barriers && back.no_fusion && !back.keep_all && !back.deterministic);
    assert_false(lp_quirks_none(&back));
    free(json);

    assert_int_equal(lp_quirks_json(&ctx, &(lp_quirks){0}, device, NULL, &json), LP_OK);
    assert_int_equal(parse(json, &back), LP_OK);
    assert_true(lp_quirks_none(&back));
    free(json);
}

#define HEAD "{\"lapilli\":\"0.1.0\",\"device\":\"Some GPU\",\"driver\":\"some driver 1.2.3\""

static void hostile_json(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        lp_status status;
        const char *message;
    } cases[] = {
        {"", LP_E_FORMAT, "w.json: JSON expected, nothing found"},
        {"[1]", LP_E_FORMAT, "w.json: JSON: an object is expected"},
        {HEAD, LP_E_FORMAT, "w.json: JSON: "},
        {HEAD ",\"refuse\":\"rope\"}", LP_E_FORMAT, "w.json: refuse: array expected, file has "},
        {HEAD ",\"refuse\":[\"rope\",5]}", LP_E_FORMAT,
         "w.json: refuse: names of kernels expected, item 1 is "},
        {HEAD ",\"keep_all\":1}", LP_E_FORMAT, "w.json: keep_all: true or false expected"},
        {HEAD ",\"full_barrier\":true}", LP_E_FORMAT,
         "w.json: there is no key \"full_barrier\" in a workaround"},
        {HEAD ",\"keep_all\":true,\"keep_all\":true}", LP_E_FORMAT,
         "w.json: keep_all stands there twice"},
        {HEAD ",\"why\":[]}", LP_E_FORMAT, "w.json: why: string expected"},
        {"{\"lapilli\":\"0.1.0\",\"driver\":\"some driver 1.2.3\"}", LP_E_MISSING,
         "w.json: device is missing"},
        {"{\"lapilli\":\"1\",\"device\":\"Other\",\"driver\":\"some driver 1.2.3\"}", LP_E_ARG,
         "w.json: this is for the device Other, not for Some GPU"},
        {"{\"lapilli\":\"1\",\"device\":\"Some GPU\",\"driver\":\"some driver 1.2.2\"}", LP_E_ARG,
         "w.json: this is for the driver some driver 1.2.2, but Some GPU has some driver 1.2.3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lp_quirks q;
        assert_int_equal(parse(cases[i].text, &q), cases[i].status);
        if (strncmp(ctx.message, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("\"%s\" instead of \"%s\"", ctx.message, cases[i].message);
        assert_string_equal(logged, "");
    }
}

static void kernels_that_are_gone_are_passed_over(void **state)
{
    (void)state;
    lp_quirks q;
    assert_int_equal(parse(HEAD ",\"refuse\":[\"linear_of_old\",\"rope\"]}", &q), LP_OK);
    assert_true(refused(&q, "rope"));
    assert_non_null(strstr(logged, "has no kernel linear_of_old to refuse: passed over"));
}

/* What a session sees: doctor's file for this very driver, and the workaround. */
static void doctor_is_remembered_for_one_driver(void **state)
{
    (void)state;
    char folder[] = "/tmp/lapilli-quirks-XXXXXX";
    assert_non_null(mkdtemp(folder));
    const lp_quirks_device newer = {device.name, "some driver 1.2.4"};
    char *path = lp_quirks_path(folder, device), *other = lp_quirks_path(folder, newer), *json;
    assert_string_not_equal(path, other);
    lp_quirks found = {0}, q;
    lp_kernel_set_add(&found.refused, lp_kernel_by_name("linear_mv_sg_f16"));
    assert_int_equal(lp_quirks_json(&ctx, &found, device, "test", &json), LP_OK);
    assert_int_equal(lp_file_write(&ctx, path, json, strlen(json)), LP_OK);

    logged[0] = '\0';
    assert_int_equal(lp_quirks_gather(&ctx, device, NULL, folder, &q), LP_OK);
    assert_true(refused(&q, "linear_mv_sg_f16"));
    assert_string_equal(logged, "as doctor found this driver: without linear_mv_sg_f16 (lapilli doctor "
                                "--forget undoes it)\n");
    assert_string_equal(q.by, "doctor");

    logged[0] = '\0';
    const char *workaround = HEAD ",\"refuse\":[\"rope\"],\"full_barriers\":true}";
    assert_int_equal(lp_quirks_gather(&ctx, device, workaround, folder, &q), LP_OK);
    assert_true(refused(&q, "linear_mv_sg_f16") && refused(&q, "rope") && q.full_barriers);
    assert_string_equal(q.by, "doctor and the workaround");
    assert_int_equal(lp_quirks_gather(&ctx, device, workaround, NULL, &q), LP_OK);
    assert_string_equal(q.by, "the workaround");

    logged[0] =
        '\0'; /* another driver: another file; and the old one, by whatever way it came there */
    assert_int_equal(lp_quirks_gather(&ctx, newer, NULL, folder, &q), LP_OK);
    assert_true(lp_quirks_none(&q));
    assert_string_equal(logged, "");
    assert_int_equal(lp_file_write(&ctx, other, json, strlen(json)), LP_OK);
    assert_int_equal(lp_quirks_gather(&ctx, newer, NULL, folder, &q), LP_OK);
    assert_true(lp_quirks_none(&q));
    assert_non_null(strstr(logged, "this is for the driver some driver 1.2.3, but Some GPU has "
                                   "some driver 1.2.4"));
    assert_int_equal(lp_file_write(&ctx, other, "{", 1), LP_OK); /* broken: said, not fatal */
    logged[0] = '\0';
    assert_int_equal(lp_quirks_gather(&ctx, newer, NULL, folder, &q), LP_OK);
    assert_non_null(strstr(logged, "what doctor found out is passed over: "));

    unlink(path);
    unlink(other);
    rmdir(folder);
    free(path);
    free(other);
    free(json);
}

/* x [T, 64] times an F16 weight, planned for a device with subgroups. */
static lp_status plan(int32_t n_tokens, const lp_quirks *q, const char **kernel)
{
    static uint16_t data[32 * 64];
    lp_weights *weights = lp_weights_create();
    lp_store store = {0};
    lp_builder b;
    lp_graph *graph = NULL;
    lp_plan *made = NULL;
    lp_caps caps = lp_caps_minimum;
    caps.has = LP_NEED_SUBGROUP_ARITH;
    caps.subgroup_size = caps.subgroup_min = caps.subgroup_max = 32;
    const lp_weight w = {.name = "w",
                         .dtype = LP_F16,
                         .shape = LP_SHAPE2(32, 64),
                         .data = data,
                         .bytes = sizeof data};
    assert_non_null(weights);
    assert_int_equal(lp_weights_add(&ctx, weights, &w), LP_OK);
    assert_int_equal(lp_builder_start(&b, &ctx, &store, weights, n_tokens), LP_OK);
    lp_tensor_id x = lp_input(&b, "x", LP_SHAPE2(n_tokens, 64));
    lp_output(&b, lp_linear(&b, "fc", x, lp_weight_tensor(&b, LP_SHAPE2(32, 64), "w"), LP_NONE),
              "y");
    assert_int_equal(lp_builder_finish(&b, true, &graph), LP_OK);
    lp_status status = lp_plan_create(&ctx, graph, &caps, lp_quirks_plan_options(q), &made);
    if (status == LP_OK)
        *kernel = made->dispatches[0].kernel->name;
    if (status == LP_OK)
        lp_plan_destroy(made);
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
    lp_weights_destroy(weights);
    return status;
}

static void plans_respect_what_is_refused(void **state)
{
    (void)state;
    lp_quirks q = {.by = "doctor"};
    const char *kernel = "";
    assert_int_equal(plan(1, &q, &kernel), LP_OK);
    assert_string_equal(kernel, "linear_mv_sg_f16");
    lp_kernel_set_add(&q.refused, lp_kernel_by_name("linear_mv_sg_f16"));
    assert_int_equal(plan(1, &q, &kernel), LP_OK);
    assert_string_equal(kernel, "linear_mv_f16");
    assert_int_equal(plan(70, &q, &kernel), LP_OK);
    assert_string_equal(kernel, "linear_mm_f16");
    lp_kernel_set_add(&q.refused,
                      lp_kernel_by_name("linear_mm_f16")); /* the other family can, too */
    assert_int_equal(plan(70, &q, &kernel), LP_OK);
    assert_string_equal(kernel, "linear_mv_f16");
    lp_kernel_set_add(&q.refused, lp_kernel_by_name("linear_mv_f16"));
    assert_int_equal(plan(1, &q, &kernel), LP_E_UNSUPPORTED);
    assert_string_equal(ctx.message, "fc: no kernel linear_mv for f16 is left on this device: "
                                     "linear_mv_sg_f16 was refused by doctor");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_comes_back),
        cmocka_unit_test(hostile_json),
        cmocka_unit_test(kernels_that_are_gone_are_passed_over),
        cmocka_unit_test(doctor_is_remembered_for_one_driver),
        cmocka_unit_test(plans_respect_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
