/* Templates against jinja2: fixtures/chat/make.py recorded what it makes of many expressions and
 * statements, and of chat templates in the style of the well-known families; where it refuses, so
 * do we. And what it does not say: limits, messages, the clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "text/jinja.h"

#define FOLDER LAPILLI_TEST_FIXTURES "/chat/"

static lp_context ctx;

static yyjson_doc *open_json(const char *path)
{
    yyjson_doc *doc = yyjson_read_file(path, 0, NULL, NULL);
    if (!doc)
        fail_msg("%s cannot be read", path);
    return doc;
}

/* The text (free() it), or NULL: refused, and the message says where. */
static char *render(const char *source, size_t bytes, yyjson_val *const *variables, size_t n,
                    int64_t now, size_t *n_text)
{
    lp_jinja_template *template;
    char *text = NULL;
    *n_text = 0;
    ctx.message[0] = '\0';
    lp_status status = lp_jinja_parse(&ctx, "test", source, bytes, &template);
    if (status == LP_OK)
        status = lp_jinja_render(&ctx, template, variables, n, now, &text, n_text);
    lp_jinja_destroy(template);
    if (status != LP_OK)
        assert_null(text);
    if (status != LP_OK && strncmp(ctx.message, "test: line ", 11) != 0)
        fail_msg("a refusal without a place: %s", ctx.message);
    return text;
}

static void check_case(const char *name, const char *text, size_t n, yyjson_val *wanted,
                       unsigned *n_wrong)
{
    const bool refused = yyjson_is_null(wanted);
    if (refused
            ? text == NULL
            : text && n == yyjson_get_len(wanted) && memcmp(text, yyjson_get_str(wanted), n) == 0)
        return;
    (*n_wrong)++;
    print_error("%s\n  got      %s\n  expected %s\n", name, text ? text : ctx.message,
                refused ? "(refused)" : yyjson_get_str(wanted));
}

static void test_expressions(void **state)
{
    (void)state;
    yyjson_doc *doc = open_json(FOLDER "expressions.json");
    yyjson_val *root = yyjson_doc_get_root(doc), *variables = yyjson_obj_get(root, "variables");
    yyjson_val *cases = yyjson_obj_get(root, "cases"), *item;
    unsigned n_wrong = 0;
    size_t i, n;
    assert_true(yyjson_arr_size(cases) > 900);
    yyjson_arr_foreach(cases, i, n, item)
    {
        yyjson_val *source = yyjson_arr_get(item, 0);
        size_t n_text;
        char *text = render(yyjson_get_str(source), yyjson_get_len(source), &variables, 1,
                            1700000000, &n_text);
        check_case(yyjson_get_str(source), text, n_text, yyjson_arr_get(item, 1), &n_wrong);
        free(text);
    }
    yyjson_arr_foreach(yyjson_obj_get(root, "unsupported"), i, n, item)
    {
        size_t n_text;
        char *text =
            render(yyjson_get_str(item), yyjson_get_len(item), &variables, 1, 1700000000, &n_text);
        if (text)
            fail_msg("%s gave %s", yyjson_get_str(item), text);
    }
    assert_true(i > 30);
    yyjson_doc_free(doc);
    assert_int_equal(n_wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
