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

/* Chat templates over conversations. */
static void test_chats(void **state)
{
    static const char defaults[] =
        "{\"tools\": null, \"documents\": null, \"add_generation_prompt\": false}";
    (void)state;
    yyjson_doc *doc = open_json(FOLDER "renders.json");
    yyjson_doc *default_doc = yyjson_read(defaults, sizeof defaults - 1, 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *chats = yyjson_obj_get(root, "chats"), *item;
    const int64_t now = yyjson_get_sint(yyjson_obj_get(root, "now"));
    unsigned n_wrong = 0;
    size_t i, n;
    yyjson_arr_foreach(yyjson_obj_get(root, "cases"), i, n, item)
    {
        const char *name = yyjson_get_str(yyjson_arr_get(item, 0));
        const char *chat = yyjson_get_str(yyjson_arr_get(item, 1));
        yyjson_val *variables[] = {yyjson_doc_get_root(default_doc), yyjson_obj_get(root, "tokens"),
                                   yyjson_obj_get(chats, chat)};
        char path[1024], label[128];
        lp_file file;
        size_t n_text;
        snprintf(path, sizeof path, FOLDER "templates/%s", name);
        snprintf(label, sizeof label, "%s: %s", name, chat);
        assert_int_equal(lp_file_open(&ctx, path, &file), LP_OK);
        char *text = render((const char *)file.data, file.bytes, variables, 3, now, &n_text);
        check_case(label, text, n_text, yyjson_arr_get(item, 2), &n_wrong);
        lp_file_close(&file);
        free(text);
    }
    assert_true(i > 200);
    yyjson_doc_free(default_doc);
    yyjson_doc_free(doc);
    assert_int_equal(n_wrong, 0);
}

/* `n` times `part`, between `before` and `after`; free() it. */
static char *repeated(const char *before, const char *part, size_t n, const char *after)
{
    char *text = malloc(strlen(before) + n * strlen(part) + strlen(after) + 1), *to = text;
    assert_non_null(text);
    to += sprintf(to, "%s", before);
    for (size_t i = 0; i < n; i++)
        to += sprintf(to, "%s", part);
    strcpy(to, after);
    return text;
}

/* Takes over `source`. */
static void refuse(lp_status wanted, char *source, const char *message)
{
    lp_jinja_template *template;
    char *text = NULL;
    size_t n;
    lp_status status = lp_jinja_parse(&ctx, "test", source, strlen(source), &template);
    if (status == LP_OK)
        status = lp_jinja_render(&ctx, template, NULL, 0, 0, &text, &n);
    lp_jinja_destroy(template);
    if (status != wanted || !strstr(ctx.message, message))
        fail_msg("%.60s: %s: %s, expected %s: %s", source, lp_status_text(status), ctx.message,
                 lp_status_text(wanted), message);
    assert_null(text);
    free(source);
}

/* Templates that would run, write or grow for ever, or nest without end. */
static void test_limits(void **state)
{
    static const char *const endless[] = {
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% for i in [1, 2] %}{{ m() }}{% endfor %}{% endmacro %}{{ m() }}",
        "{{ 'x' * 100000000000 }}",
        "{{ [1] * 100000000000 }}",
        "{{ [[1] * 1000] * 1000000 }}",
        "{% for i in range(100000) %}{{ 'x' * 100000 }}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}"
        "{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(64) %}"
        "{% set ns.s = ns.s.replace('x', 'xxx') %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(64) %}{% set ns.l = [ns.l, ns.l] %}"
        "{% endfor %}{{ ns.l|tojson }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(64) %}{% set ns.l = [ns.l, ns.l] %}"
        "{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[1], k=[1]) %}{% for i in range(64) %}"
        "{% set ns.l = [ns.l, ns.l] %}{% set ns.k = [ns.k, ns.k] %}{% endfor %}{{ ns.l == ns.k }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}"
        "{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[], k=[]) %}{% for i in range(10000) %}{% set ns.l = [ns.l] %}"
        "{% set ns.k = [ns.k] %}{% endfor %}{{ ns.l == ns.k }}",
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set ns = namespace(d={}) %}{% for i in range(100000) %}"
        "{% set ns.d = dict(ns.d, **{i|string: i}) %}{% endfor %}",
        "{{ ('%999d' % 1) * 100000000 }}",
        "{{ 'x'.center(100000000000) }}",
        "{{ '7'.zfill(9000000000000000000) }}",
        "{% set s = 'ab' * 1000000 %}{% for i in range(100000) %}{{ s.rfind('ba' * 1000) }}"
        "{% endfor %}",
        "{{ ('a ' * 1000000).rsplit()|length }}",
        "{% set s = ('ab' * 500000) %}{% for i in range(100000) %}"
        "{{ s.strip('abcdefgh')|length }}{% endfor %}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++)
        refuse(LP_E_LIMIT, repeated(endless[i], "", 0, ""), "test: line 1, column ");
    refuse(LP_E_LIMIT, repeated("{{ ", "(", 100000, ""), "within each other");
    refuse(LP_E_LIMIT, repeated("{{ ", "-", 100000, "1 }}"), "within each other");
    refuse(LP_E_LIMIT, repeated("{{ ", "not ", 100000, "1 }}"), "within each other");
    refuse(LP_E_LIMIT, repeated("{{ ", "1 if 1 else ", 80000, "1 }}"), "within each other");
    refuse(LP_E_LIMIT, repeated("", "{% if 1 %}", 100000, ""), "within each other");
    refuse(LP_E_LIMIT, repeated("", "{% for i in [1] %}", 50000, ""), "within each other");
    refuse(LP_E_LIMIT, repeated("{{ 1", " + 1", 100000, " }}"), "within each other");
    refuse(LP_E_LIMIT, repeated("{{ 'a'", "|trim", 100000, " }}"), "within each other");
    refuse(LP_E_LIMIT, repeated("{{ a", ".a", 100000, " }}"), "within each other");
    refuse(LP_E_LIMIT, repeated("{{ 1", " and 1", 100000, " }}"), "within each other");
    refuse(LP_E_LIMIT, repeated("", "x", (1 << 20) + 1, ""), "longer than 1 MiB");
}

/* Large, but no more than that. */
static void test_large(void **state)
{
    static const struct {
        const char *before, *part;
        size_t n;
        const char *after, *text;
    } rows[] = {
        {"{{ ('a'", " ~ 'b'", 50000, ")|length }}", "50001"},
        {"{{ [1", ", 1", 100000, "]|length }}", "100001"},
        {"{% if 0 %}", "{% elif 0 %}", 50000, "{% else %}x{% endif %}", "x"},
        {"", "{% set z = 1 %}", 50000, "{{ z }}", "1"},
        {"{# ", "x", 1000000, "#}y", "y"},
        {"", "\n", 1000000, "{{- 1 }}", "1"},
        {"{{ '", "x", 1000000, "'|length }}", "1000000"},
        {"{{ ('", "x", 100000, "' * 10)|replace('x', 'yy')|length }}", "2000000"},
        {"{{ 1 ", "< 2 > 1 ", 50000, "}}", "True"},
        {"{{ (range(", "1", 1, "0000)|list|sort(reverse=true))[0] }}", "9999"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *source = repeated(rows[i].before, rows[i].part, rows[i].n, rows[i].after);
        size_t n;
        char *text = render(source, strlen(source), NULL, 0, 0, &n);
        if (!text || strcmp(text, rows[i].text) != 0)
            fail_msg("row %zu: %s", i, text ? text : ctx.message);
        free(source);
        free(text);
    }
}

static void test_messages(void **state)
{
    static const struct {
        const char *source;
        lp_status status;
        const char *message;
    } rows[] = {
        {"a\n  {{ x + }}", LP_E_FORMAT,
         "test: line 2, column 10: an expression expected, not \"}}\""},
        {"{% if x %}\n", LP_E_FORMAT,
         "test: line 1, column 11: {% endif %} expected, the template ends here"},
        {"\xc3\xa9{{ none + 1 }}", LP_E_FORMAT,
         "test: line 1, column 10: + has no meaning between a none and a int"},
        {"{{ x.y }}", LP_E_FORMAT, "test: line 1, column 5: 'x' is undefined"},
        {"{{ {}.y.z }}", LP_E_FORMAT, "test: line 1, column 8: a dict has no 'y'"},
        {"{{ raise_exception('Only\\nwords.') }}", LP_E_ARG,
         "test: line 1, column 19: the template refuses this conversation: Only?words."},
        {"{{ 1|nosuch }}", LP_E_UNSUPPORTED,
         "test: line 1, column 6: there is no filter \"nosuch\""},
        {"{% include 'x' %}", LP_E_UNSUPPORTED,
         "test: line 1, column 4: {% include %} is not supported"},
        {"{{ strftime_now('%Y') }}", LP_E_FORMAT,
         "test: line 1, column 16: 'strftime_now' is undefined"},
        {"x\xff", LP_E_FORMAT, "test: line 1, column 2: no valid UTF-8"},
        {"{{ 'abc", LP_E_FORMAT, "test: line 1, column 4: this string has no end"},
        {"{{ 9223372036854775808 }}", LP_E_UNSUPPORTED,
         "test: line 1, column 4: this number is too large"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refuse(rows[i].status, repeated(rows[i].source, "", 0, ""), rows[i].message);
        assert_int_equal(strlen(ctx.message), strlen(rows[i].message));
    }
}

/* strftime_now() says what the caller's clock says, in English. */
static void test_clock(void **state)
{
    static const char source[] =
        "{{ strftime_now('%d %b %Y %-d %A %H:%M:%S %j %B %y %I %p %% %e %F') }}";
    size_t n;
    (void)state;
    char *text = render(source, sizeof source - 1, NULL, 0, 1709210096, &n);
    assert_string_equal(text,
                        "29 Feb 2024 29 Thursday 12:34:56 060 February 24 12 PM % 29 2024-02-29");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions), cmocka_unit_test(test_chats),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_large),
        cmocka_unit_test(test_messages),    cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
