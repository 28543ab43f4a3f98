/* lp_model_look(): a folder without a tokenizer can be described; whatever needs tokens fails, with
 * the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lapilli.h"

#define FOLDER LAPILLI_TEST_FIXTURES "/models/gpt_oss"

static void lacks_tokenizer(lp_context *ctx, lp_status status)
{
    assert_int_equal(status, LP_E_MISSING);
    assert_non_null(strstr(lp_context_message(ctx), "gpt_oss: no tokenizer"));
}

static void test_look(void **state)
{
    (void)state;
    lp_context *ctx = lp_context_create(NULL, NULL, LP_LOG_ERROR);
    lp_devices *devices;
    lp_session *session;
    lp_model *model;
    lp_chat_template *template;
    int32_t *tokens;
    const char *text;
    char *prompt;
    size_t n, device;
    assert_non_null(ctx);
    lacks_tokenizer(ctx, lp_model_open(ctx, FOLDER, &model));
    assert_null(model);
    assert_int_equal(lp_model_look(ctx, FOLDER, &model), LP_OK);
    assert_string_equal(lp_model_architecture(model), "gpt_oss");
    assert_string_equal(lp_model_tokenizer(model), "none");
    assert_true(lp_model_n_facts(model) > 10 && lp_model_n_tensors(model) > 10);
    assert_int_equal(lp_model_bos(model), -1);
    assert_int_equal(lp_model_mask(model), -1);
    assert_int_equal(lp_model_is_end(model, 0), 0);
    lacks_tokenizer(ctx, lp_model_tokenize(model, "a", 1, 0, &tokens, &n));
    lacks_tokenizer(ctx, lp_model_detokenize(model, 1, &text, &n));
    lacks_tokenizer(ctx, lp_model_token_text(model, 1, &text, &n));
    lacks_tokenizer(ctx, lp_chat_tokenize(model, "a", 1, &tokens, &n));
    assert_int_equal(lp_chat_template_builtin(ctx, "chatml", &template), LP_OK);
    lacks_tokenizer(ctx, lp_chat_render(ctx, template, model, &(lp_chat_options){0}, &prompt, &n));
    assert_int_equal(lp_devices_create(ctx, &devices), LP_OK);
    assert_int_equal(lp_devices_choose(devices, "cpu", &device, NULL), LP_OK);
    lacks_tokenizer(ctx, lp_session_create(devices, device, model, NULL, &session));
    assert_null(session);
    lp_chat_template_destroy(template);
    lp_devices_destroy(devices);
    lp_model_destroy(model);
    assert_int_equal(lp_model_look(ctx, "/nonexistent", &model), LP_E_IO);
    lp_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_look)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
