/* Reports as JSON and as a page: every field is there with its value, what JSON cannot hold is
 * written as documented, and no text of a report becomes anything but text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yyjson.h>

#include "check/report.h"
#include "graph/plan.h"
#include "lapilli.h"
#include "support/report_sample.h"

static lp_context ctx;

static yyjson_doc *json_of(const lp_report *report)
{
    char *json = NULL;
    assert_int_equal(lp_report_json(&ctx, report, &json), LP_OK);
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    assert_non_null(doc);
    free(json);
    return doc;
}

static yyjson_val *at(yyjson_doc *doc, const char *pointer)
{
    yyjson_val *value = yyjson_doc_ptr_get(doc, pointer);
    if (!value)
        print_error("no %s\n", pointer);
    assert_non_null(value);
    return value;
}

static void has_text(yyjson_doc *doc, const char *pointer, const char *text)
{
    assert_string_equal(yyjson_get_str(at(doc, pointer)), text);
}

static void has_number(yyjson_doc *doc, const char *pointer, double number)
{
    assert_true(yyjson_is_num(at(doc, pointer)));
    double got = yyjson_get_num(at(doc, pointer));
    if (fabs(got - number) > 1e-8 * fabs(number))
        print_error("%s: %.17g instead of %.17g\n", pointer, got, number);
    assert_true(fabs(got - number) <= 1e-8 * fabs(number));
}

static void has_null(yyjson_doc *doc, const char *pointer)
{
    assert_true(yyjson_is_null(at(doc, pointer)));
}

static void has_bool(yyjson_doc *doc, const char *pointer, bool value)
{
    assert_true(yyjson_is_bool(at(doc, pointer)));
    assert_int_equal(yyjson_get_bool(at(doc, pointer)), value);
}

/* One of everything. */
static lp_check_map small_map = {.rows = 1,
                                 .columns = 3,
                                 .tensor_rows = 2,
                                 .tensor_columns = 7,
                                 .expected = (float[]){0, -1.5f, 3e38f},
                                 .got = (float[]){NAN, -INFINITY, 1e-40f},
                                 .error = (float[]){INFINITY, 0.125f, 1234567}};
static lp_check_node small_nodes[] = {
    {.name = "token_embd",
     .op = "embed",
     .type = "Q8_0",
     .kernels = "embed_q8",
     .n_dims = 2,
     .dims = {2, 7},
     .isolated = {.n = 14, .cosine = 1, .worst = 13, .expected = 0.1f, .got = 0.1f},
     .detail = "",
     .digest = ""},
    {.name = "blk.0.attn_q",
     .op = "linear",
     .type = "F16",
     .kernels = "a + b",
     .n_dims = 4,
     .dims = {1, 2, 3, 4},
     .n_inputs = 4096,
     .isolated = {24, 1e-300, 2.5, INFINITY, 1e300, 3e9, -0.25, 5, 6, 23, 0.1f, NAN, 1e-8},
     .drift = {24, 0.5, INFINITY, 7, 8, 9, 1.0 / 3, 1, 2, 3, -INFINITY, 4, 0},
     .finding = LP_FINDING_NOT_FINITE,
     .detail = "5 are NaN",
     .digest = "00ff",
     .map = &small_map}};
static lp_check_pass small_passes[] = {{.name = "7 tokens",
                                        .position = 3,
                                        .n_tokens = 7,
                                        .n_nodes = 2,
                                        .nodes = small_nodes,
                                        .worst = 1,
                                        .logits = {.n = 100, .nmse = 0.25, .worst = 99},
                                        .kl = 1.25e-9,
                                        .top1_same = 1,
                                        .top5_common = 4,
                                        .digest = "abcd",
                                        .choices = "blk.0.route gave 1 of 3 tokens other experts"},
                                       {.name = "empty", .digest = "", .choices = ""}};
static lp_check_trial small_trials[] = {{"full barriers", LP_TRIAL_WRONG, "as before"},
                                        {"7 tokens", LP_TRIAL_RIGHT, ""},
                                        {"fp32", LP_TRIAL_NOTHING, ""}};
static lp_fact small_facts[] = {{"subgroup size", "32", 1}, {"type", "\"discrete\"", 0},
                                {"odd", "12 GiB", 1},       {"long", "98765432109876543210", 1},
                                {"hexadecimal", "0x10", 1}, {"none", "nan", 1}};
static const lp_report small = {.version = "1.2.3",
                                .sentence = "It disagrees.",
                                .device = "GPU",
                                .driver = "driver 1",
                                .against = "CPU",
                                .against_driver = "none",
                                .model = "llama 1M",
                                .path = "a/b.gguf",
                                .command = "lapilli check",
                                .n_facts = 6,
                                .facts = small_facts,
                                .n_tokens = 2,
                                .tokens = (int32_t[]){1, 2000000000},
                                .n_passes = 2,
                                .passes = small_passes,
                                .bad_node = 1,
                                .n_trials = 3,
                                .trials = small_trials,
                                .smallest_change = "7 tokens",
                                .repro = "bug",
                                .workaround = "{\"disable\": [\"a\"]}",
                                .seconds = 12.5};

static void json_holds_every_field(void **state)
{
    (void)state;
    yyjson_doc *doc = json_of(&small);
    has_number(doc, "/schema", 1);
    has_text(doc, "/version", "1.2.3");
    has_text(doc, "/sentence", "It disagrees.");
    has_bool(doc, "/agrees", false);
    has_text(doc, "/device", "GPU");
    has_text(doc, "/driver", "driver 1");
    has_text(doc, "/against", "CPU");
    has_text(doc, "/against_driver", "none");
    has_text(doc, "/model", "llama 1M");
    has_text(doc, "/path", "a/b.gguf");
    has_text(doc, "/command", "lapilli check");
    has_number(doc, "/bounds/mean_square", LP_SIGMA_MEAN);
    has_number(doc, "/bounds/largest", LP_SIGMA_LARGEST);
    has_text(doc, "/facts/0/name", "subgroup size");
    has_number(doc, "/facts/0/value", 32);
    has_text(doc, "/facts/1/value", "\"discrete\"");
    has_text(doc, "/facts/2/value", "12 GiB");
    has_number(doc, "/facts/3/value", 98765432109876543210.0);
    has_text(doc, "/facts/4/value", "0x10");
    has_text(doc, "/facts/5/value", "nan");
    has_number(doc, "/tokens/1", 2e9);
    has_number(doc, "/bad/pass", 0);
    has_number(doc, "/bad/node", 1);
    has_text(doc, "/trials/0/change", "full barriers");
    has_text(doc, "/trials/0/outcome", "wrong");
    has_text(doc, "/trials/0/detail", "as before");
    has_text(doc, "/trials/1/outcome", "right");
    has_text(doc, "/trials/2/outcome", "nothing");
    has_text(doc, "/smallest_change", "7 tokens");
    has_text(doc, "/repro", "bug");
    has_text(doc, "/workaround/disable/0", "a");
    has_number(doc, "/seconds", 12.5);

    has_text(doc, "/passes/0/name", "7 tokens");
    has_number(doc, "/passes/0/position", 3);
    has_number(doc, "/passes/0/n_tokens", 7);
    has_number(doc, "/passes/0/worst", 1);
    has_number(doc, "/passes/0/logits/n", 100);
    has_number(doc, "/passes/0/logits/nmse", 0.25);
    has_number(doc, "/passes/0/logits/worst", 99);
    has_number(doc, "/passes/0/kl", 1.25e-9);
    has_bool(doc, "/passes/0/top1_same", true);
    has_number(doc, "/passes/0/top5_common", 4);
    has_text(doc, "/passes/0/digest", "abcd");
    has_text(doc, "/passes/0/choices", "blk.0.route gave 1 of 3 tokens other experts");
    has_null(doc, "/passes/1/logits");
    has_bool(doc, "/passes/1/top1_same", false);
    assert_int_equal(yyjson_arr_size(at(doc, "/passes/1/nodes")), 0);

    has_text(doc, "/passes/0/nodes/0/name", "token_embd");
    has_text(doc, "/passes/0/nodes/0/finding", "none");
    has_null(doc, "/passes/0/nodes/0/drift");
    has_null(doc, "/passes/0/nodes/0/map");
    assert_true((float)yyjson_get_num(at(doc, "/passes/0/nodes/0/isolated/got")) == 0.1f);
    has_text(doc, "/passes/0/nodes/1/op", "linear");
    has_text(doc, "/passes/0/nodes/1/type", "F16");
    has_text(doc, "/passes/0/nodes/1/kernels", "a + b");
    assert_int_equal(yyjson_arr_size(at(doc, "/passes/0/nodes/1/dims")), 4);
    has_number(doc, "/passes/0/nodes/1/dims/3", 4);
    has_number(doc, "/passes/0/nodes/1/n_inputs", 4096);
    has_text(doc, "/passes/0/nodes/1/finding", "not_finite");
    has_text(doc, "/passes/0/nodes/1/detail", "5 are NaN");
    has_text(doc, "/passes/0/nodes/1/digest", "00ff");
    has_number(doc, "/passes/0/nodes/1/isolated/n", 24);
    has_number(doc, "/passes/0/nodes/1/isolated/nmse", 1e-300);
    has_number(doc, "/passes/0/nodes/1/isolated/mean_square", 2.5);
    has_text(doc, "/passes/0/nodes/1/isolated/largest", "inf");
    has_number(doc, "/passes/0/nodes/1/isolated/max_abs", 1e300);
    has_number(doc, "/passes/0/nodes/1/isolated/max_ulp", 3e9);
    has_number(doc, "/passes/0/nodes/1/isolated/cosine", -0.25);
    has_number(doc, "/passes/0/nodes/1/isolated/n_nan", 5);
    has_number(doc, "/passes/0/nodes/1/isolated/n_inf", 6);
    has_number(doc, "/passes/0/nodes/1/isolated/worst", 23);
    has_text(doc, "/passes/0/nodes/1/isolated/got", "nan");
    has_number(doc, "/passes/0/nodes/1/isolated/sigma", 1e-8);
    has_text(doc, "/passes/0/nodes/1/drift/mean_square", "inf");
    has_number(doc, "/passes/0/nodes/1/drift/cosine", 1.0 / 3);
    has_text(doc, "/passes/0/nodes/1/drift/expected", "-inf");
    has_number(doc, "/passes/0/nodes/1/map/rows", 1);
    has_number(doc, "/passes/0/nodes/1/map/columns", 3);
    has_number(doc, "/passes/0/nodes/1/map/tensor_rows", 2);
    has_number(doc, "/passes/0/nodes/1/map/tensor_columns", 7);
    has_number(doc, "/passes/0/nodes/1/map/expected/1", -1.5);
    has_number(doc, "/passes/0/nodes/1/map/expected/2", 3e38);
    has_text(doc, "/passes/0/nodes/1/map/got/0", "nan");
    has_text(doc, "/passes/0/nodes/1/map/got/1", "-inf");
    has_text(doc, "/passes/0/nodes/1/map/error/0", "inf");
    assert_true(fabs(yyjson_get_num(at(doc, "/passes/0/nodes/1/map/error/2")) - 1234567) < 10);
    yyjson_doc_free(doc);
}

static void nothing_bad_and_no_workaround_are_null(void **state)
{
    (void)state;
    lp_report report = small;
    report.bad_pass = report.n_passes;
    report.workaround = NULL;
    report.agrees = 1;
    yyjson_doc *doc = json_of(&report);
    has_null(doc, "/bad");
    has_null(doc, "/workaround");
    has_bool(doc, "/agrees", true);
    yyjson_doc_free(doc);
    report.workaround = "{not JSON"; /* as text, then */
    doc = json_of(&report);
    has_text(doc, "/workaround", "{not JSON");
    yyjson_doc_free(doc);
}

static void the_same_report_gives_the_same_text(void **state)
{
    (void)state;
    lp_arena arena = {0};
    sample_spec spec = {.n_layers = 3, .n_passes = 2, .map = 8, .bad = 1};
    char *text[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++)
        assert_int_equal(lp_report_json(&ctx, report_sample(&arena, spec), &text[i]), LP_OK);
    assert_string_equal(text[0], text[1]);
    assert_true(strncmp(text[0], "{\"schema\":1,\"version\":\"0.1.0\",\"sentence\":", 41) == 0);
    free(text[0]);
    free(text[1]);
    lp_arena_destroy(&arena);
}

static void findings_have_texts(void **state)
{
    (void)state;
    assert_string_equal(lp_finding_text(LP_FINDING_NONE), "right");
    assert_string_equal(lp_finding_text(LP_FINDING_DEVICE), "the device failed");
    for (int i = 0; i < LP_N_FINDINGS; i++)
        assert_true(*lp_finding_text((lp_finding)i) != '\0');
    assert_string_equal(lp_finding_text(LP_N_FINDINGS), "");
}

/* The JSON inside the page, as a browser takes it: up to the first "</script" or "<!--". */
static char *data_of(const char *html)
{
    static const char begin[] = "<script type=\"application/json\" id=\"report\">";
    const char *from = strstr(html, begin);
    assert_non_null(from);
    assert_null(strstr(from + 1, begin));
    from += strlen(begin);
    size_t n = strcspn(from, "<");
    assert_true(strncmp(from + n, "</script>\n<script>\n", 19) == 0);
    char *data = malloc(n + 1);
    assert_non_null(data);
    memcpy(data, from, n);
    data[n] = '\0';
    return data;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

/* `expected`: what the browser must find where the report has `hostile`. */
static void stays_text(const char *hostile, const char *expected)
{
    lp_arena arena = {0};
    char *html = NULL, *plain = NULL;
    sample_spec spec = {.n_layers = 3, .n_passes = 2, .map = 4, .bad = 1, .text = hostile};
    assert_int_equal(lp_report_html(&ctx, report_sample(&arena, spec), &html), LP_OK);
    spec.text = NULL;
    assert_int_equal(lp_report_html(&ctx, report_sample(&arena, spec), &plain), LP_OK);
    for (const char *const *tag =
             (const char *const[]){"<script", "</script", "<!--", "<img", "<style", "]]>", NULL};
         *tag; tag++)
        assert_int_equal(count(html, *tag), count(plain, *tag));

    char *data = data_of(html);
    yyjson_doc *doc = yyjson_read(data, strlen(data), 0);
    assert_non_null(doc);
    has_text(doc, "/sentence", expected);
    has_text(doc, "/device", expected);
    has_text(doc, "/model", expected);
    has_text(doc, "/facts/0/name", expected);
    has_text(doc, "/facts/0/value", expected);
    has_text(doc, "/passes/0/name", expected);
    has_text(doc, "/passes/0/nodes/1/name", expected);
    has_text(doc, "/passes/0/nodes/1/kernels", expected);
    has_text(doc, "/trials/0/change", expected);
    has_text(doc, "/workaround", expected);
    yyjson_doc_free(doc);
    free(data);
    free(html);
    free(plain);
    lp_arena_destroy(&arena);
}

static void hostile_text_stays_text(void **state)
{
    (void)state;
    static const char *const same[] = {
        "</script><script>alert(1)</script>",
        "<!-- <script>",
        "\"};alert(1);//",
        "'\\\"\\u003c/script>\n\r\t\x01",
        "@report@ @program@ @style@",
        "<img src=x onerror=alert(1)>",
        "\xe2\x80\xa8 \xf0\x9f\xa6\x99 h\xc3\xa9",
        "%s%n%d",
        "",
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
        stays_text(same[i], same[i]);
    stays_text("\xff</script>\xc3", "\xef\xbf\xbd</script>\xef\xbf\xbd");
    stays_text("\xed\xa0\x80!", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!");
}

static void page_is_whole_and_alone(void **state)
{
    (void)state;
    lp_arena arena = {0};
    char *html = NULL, *json = NULL;
    sample_spec spec = {.n_layers = 32, .n_passes = 12, .map = 64, .bad = 1};
    const lp_report *report = report_sample(&arena, spec);
    assert_int_equal(lp_report_html(&ctx, report, &html), LP_OK);
    assert_int_equal(lp_report_json(&ctx, report, &json), LP_OK);
    char *data = data_of(html);
    assert_string_equal(data, json); /* this report has no "<" to escape */
    assert_true(strncmp(html, "<!DOCTYPE html>\n", 16) == 0);
    assert_non_null(strstr(html, "</html>\n"));
    assert_null(strstr(html, "@report@"));
    /* nothing from outside: the one address is the name of SVG's elements */
    assert_int_equal(count(html, "://"), 1);
    assert_int_equal(count(html, "http://www.w3.org/2000/svg"), 1);
    assert_int_equal(count(html, "default-src 'none'"), 1);
    assert_int_equal(count(html, "@import"), 0);
    assert_int_equal(count(html, "innerHTML"), 0);
    for (int i = 0; i < LP_N_FINDINGS; i++) /* the page says them as the command does */
        assert_non_null(strstr(html, lp_finding_text((lp_finding)i)));

    yyjson_doc *doc = yyjson_read(data, strlen(data), 0);
    assert_non_null(doc);
    assert_int_equal(yyjson_arr_size(at(doc, "/passes")), 12);
    assert_int_equal(yyjson_arr_size(at(doc, "/passes/11/nodes")), 288);
    assert_int_equal(yyjson_arr_size(at(doc, "/passes/11/nodes/97/map/error")), 64 * 64);
    has_number(doc, "/passes/11/nodes/287/isolated/mean_square",
               report->passes[11].nodes[287].isolated.mean_square);
    yyjson_doc_free(doc);
    free(data);
    free(json);
    free(html);
    lp_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_holds_every_field),
        cmocka_unit_test(nothing_bad_and_no_workaround_are_null),
        cmocka_unit_test(the_same_report_gives_the_same_text),
        cmocka_unit_test(findings_have_texts),
        cmocka_unit_test(hostile_text_stays_text),
        cmocka_unit_test(page_is_whole_and_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
