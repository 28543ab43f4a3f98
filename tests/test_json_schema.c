/* JSON Schema as a grammar. Judge: the jsonschema library (fixtures/grammar/schemas.py), which says
 * of each text whether it satisfies its schema. What cannot be heeded is refused by its JSON
 * pointer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <yyjson.h>

#include "text/json_schema.h"
#include "text/recognizer.h"

static lp_context ctx;

static void check(lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx.message);
}

static bool accepts(lp_recognizer *r, const char *text, size_t n)
{
    lp_grammar_state state = lp_recognizer_start(r);
    for (size_t i = 0; i < n; i++)
        check(lp_recognizer_step(r, state, (uint8_t)text[i], &state));
    return lp_recognizer_may_end(r, state);
}

static void jsonschema_agrees(void **state)
{
    (void)state;
    yyjson_doc *doc =
        yyjson_read_file(LAPILLI_TEST_FIXTURES "/grammar/schemas.json", 0, NULL, NULL);
    size_t c, n_cases, i, n, n_texts = 0;
    yyjson_val *one, *entry;
    assert_non_null(doc);
    yyjson_arr_foreach(yyjson_doc_get_root(doc), c, n_cases, one)
    {
        size_t bytes;
        char *schema = yyjson_val_write(yyjson_obj_get(one, "schema"), 0, &bytes);
        lp_grammar *grammar;
        lp_recognizer *r;
        assert_non_null(schema);
        if (lp_json_schema_read(&ctx, schema, bytes, &grammar) != LP_OK)
            fail_msg("%s: %s", schema, ctx.message);
        check(lp_recognizer_create(&ctx, grammar, &r));
        yyjson_arr_foreach(yyjson_obj_get(one, "texts"), i, n, entry)
        {
            yyjson_val *text = yyjson_arr_get(entry, 0);
            const bool wanted = yyjson_get_bool(yyjson_arr_get(entry, 1));
            if (accepts(r, yyjson_get_str(text), yyjson_get_len(text)) != wanted)
                fail_msg("%s: %s is %s", schema, yyjson_get_str(text),
                         wanted ? "refused" : "accepted");
            n_texts++;
        }
        lp_recognizer_destroy(r);
        lp_grammar_destroy(grammar);
        free(schema);
    }
    assert_true(n_cases > 30 && n_texts > 1000);
    yyjson_doc_free(doc);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *message;
        lp_status status;
    } all[] = {
        {"", "JSON schema: nothing at byte 0", LP_E_FORMAT},
        {"{\"type\": }", "JSON schema: ", LP_E_FORMAT},
        {"3", "root: a schema is an object, true or false, not uint", LP_E_FORMAT},
        {"false", "root: nothing satisfies this schema", LP_E_FORMAT},
        {"{\"type\":\"strnig\"}", "/type: one or several of null, ", LP_E_FORMAT},
        {"{\"type\":[]}", "/type: one or several of null, ", LP_E_FORMAT},
        {"{\"requierd\":[]}", "/requierd: this keyword is not supported", LP_E_UNSUPPORTED},
        {"{\"properties\":{\"a\":{\"not\":{}}}}", "/properties/a/not: this keyword",
         LP_E_UNSUPPORTED},
        {"{\"items\":{\"multipleOf\":2}}", "/items/multipleOf: this keyword", LP_E_UNSUPPORTED},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "/uniqueItems: this", LP_E_UNSUPPORTED},
        {"{\"type\":\"string\",\"format\":\"email\"}", "/format: date, time, ", LP_E_UNSUPPORTED},
        {"{\"type\":\"string\",\"pattern\":\"a\",\"minLength\":3}", "only one is",
         LP_E_UNSUPPORTED},
        {"{\"pattern\":\"a(?=b)\"}", "/pattern: at character 3: only (?: is", LP_E_UNSUPPORTED},
        {"{\"pattern\":\"(a)\\\\1\"}", "/pattern: at character 5: this \\ is", LP_E_UNSUPPORTED},
        {"{\"pattern\":\"a**\"}", "at character 3: a quantifier behind", LP_E_UNSUPPORTED},
        {"{\"pattern\":\"(a\"}", "at character 3: a ( is not closed", LP_E_UNSUPPORTED},
        {"{\"pattern\":\"a)\"}", "at character 2: unexpected )", LP_E_UNSUPPORTED},
        {"{\"pattern\":\"[a\"}", "at character 3: a character is expected", LP_E_UNSUPPORTED},
        {"{\"pattern\":\"a^b\"}", "at character 2: ^ and $ are", LP_E_UNSUPPORTED},
        {"{\"type\":\"number\",\"minimum\":0.5}", "/minimum: of numbers that may",
         LP_E_UNSUPPORTED},
        {"{\"type\":\"integer\",\"maximum\":1e300}", "/maximum: bounds must lie", LP_E_UNSUPPORTED},
        {"{\"type\":\"integer\",\"maximum\":\"1\"}", "/maximum: a number is expected", LP_E_FORMAT},
        {"{\"type\":\"integer\",\"maximum\":1,\"minimum\":2}", "nothing satisfies", LP_E_FORMAT},
        {"{\"type\":\"string\",\"minLength\":-1}", "/minLength: a whole number", LP_E_FORMAT},
        {"{\"type\":\"string\",\"maxLength\":20000}", "lengths of at most 10000", LP_E_LIMIT},
        {"{\"type\":\"array\",\"minItems\":2,\"maxItems\":1}", "nothing satisfies", LP_E_FORMAT},
        {"{\"allOf\":[{\"type\":\"null\"},{\"type\":\"array\"}]}", "nothing satisfies",
         LP_E_FORMAT},
        {"{\"enum\":[]}", "nothing satisfies", LP_E_FORMAT},
        {"{\"enum\":[\"a\"],\"minLength\":2}", "/minLength: not supported", LP_E_UNSUPPORTED},
        {"{\"properties\":{\"a\":false},\"required\":[\"a\"]}", "nothing satisfies", LP_E_FORMAT},
        {"{\"type\":\"object\",\"minProperties\":1}", "/minProperties: not", LP_E_UNSUPPORTED},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}",
         "/oneOf/1: may hold together with oneOf/0", LP_E_UNSUPPORTED},
        {"{\"anyOf\":[]}", "/anyOf: a list of 1 to 256", LP_E_FORMAT},
        {"{\"$ref\":\"#\"}", "leads back to itself with nothing in between", LP_E_FORMAT},
        {"{\"$ref\":\"#/a\"}", "/$ref: there is no #/a", LP_E_FORMAT},
        {"{\"$ref\":\"http://x/y\"}", "/$ref: only references into", LP_E_UNSUPPORTED},
        {"{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#\"}]}", "leads back to itself", LP_E_FORMAT},
        {"{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
         "a $ref leads back to itself without end", LP_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        lp_grammar *g;
        const lp_status status =
            lp_json_schema_read(&ctx, all[i].schema, strlen(all[i].schema), &g);
        if (status != all[i].status || g != NULL || strstr(ctx.message, all[i].message) == NULL)
            fail_msg("%s\nwanted: %s\ngot: %s", all[i].schema, all[i].message,
                     status != LP_OK ? ctx.message : "no error");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jsonschema_agrees),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
