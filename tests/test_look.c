/* lp_model_look(): a folder without a tokenizer can be described; whatever needs texts fails, with
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

/* A session without texts. */
static void ids_go(lp_context *ctx, lp_devices *devices, size_t device, const lp_model *model)
{
    static const int32_t ids[] = {5, 17, 66};
    static const lp_logit_bias by_id = {.token = 3, .bias = 1}, by_text = {.text = "a", .bias = 1};
    const lp_generate_options options = {.max_tokens = 3};
    const lp_sampling plain = {.top_p = 1, .repeat_penalty = 1};
    lp_session *session;
    lp_generation generation;
    lp_sampling s = plain;
    int32_t token;
    assert_int_equal(lp_session_create(devices, device, model, NULL, &session), LP_OK);
    assert_int_equal(lp_session_feed(session, ids, 3), LP_OK);
    s.bias = &by_id;
    s.n_bias = 1;
    assert_int_equal(lp_session_sampling(session, &s), LP_OK);
    assert_int_equal(lp_session_next(session, 1, &token), LP_OK);
    assert_true(token >= 0 && (uint32_t)token < lp_model_vocabulary(model));
    lacks_tokenizer(ctx, lp_session_feed_text(session, "a", 1, 0));
    lacks_tokenizer(ctx, lp_session_feed_infill(session, "a", 1, "b", 1, 0));
    lacks_tokenizer(ctx, lp_session_generate(session, &options, &generation));
    s.bias = &by_text;
    lacks_tokenizer(ctx, lp_session_sampling(session, &s));
    s = plain;
    s.grammar = "root ::= \"a\"";
    lacks_tokenizer(ctx, lp_session_sampling(session, &s));
    s = plain;
    s.dry_multiplier = 1;
    lacks_tokenizer(ctx, lp_session_sampling(session, &s));
    lp_session_destroy(session);
}

static void test_look(void **state)
{
    (void)state;
    lp_context *ctx = lp_context_create(NULL, NULL, LP_LOG_ERROR);
    lp_devices *devices;
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
    ids_go(ctx, devices, device, model);
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
