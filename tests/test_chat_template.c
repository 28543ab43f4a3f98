/* Chat templates: where they are found, what they are given, which tokens their texts become. What
 * templates mean is tested in test_jinja.c. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "tensor/gguf_write.h"
#include "text/chat.h"

#define TOKENIZERS LAPILLI_TEST_FIXTURES "/tokenizer/"

static lp_context ctx;
static char folder[] = "/tmp/lapilli-test-chat-XXXXXX";

static void check(lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx.message);
}

static void write_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    check(lp_file_write(&ctx, path, text, strlen(text)));
}

static void remove_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

/* The template of the folder by name is `wanted`; NULL: there is none. */
static void expect_in_folder(const char *name, const char *wanted)
{
    lp_chat_template *template;
    const lp_status status = lp_chat_template_from_folder(&ctx, folder, name, &template);
    if (!wanted) {
        assert_int_equal(status, LP_E_MISSING);
        assert_null(template);
        return;
    }
    check(status);
    assert_string_equal(lp_chat_template_text(template), wanted);
    lp_chat_template_destroy(template);
}

static void test_folder(void **state)
{
    char path[512];
    (void)state;
    expect_in_folder(NULL, NULL);
    write_file("tokenizer_config.json", "{\"bos_token\": \"<s>\"}");
    expect_in_folder(NULL, NULL);
    write_file("tokenizer_config.json", "{\"chat_template\": \"one {{ messages }}\"}");
    expect_in_folder(NULL, "one {{ messages }}");
    expect_in_folder("default", "one {{ messages }}");
    expect_in_folder("tool_use", NULL);
    write_file("tokenizer_config.json",
               "{\"chat_template\": [{\"name\": \"default\", \"template\": \"two\"},"
               "{\"name\": \"tool_use\", \"template\": \"three\"}, 5, {}]}");
    expect_in_folder(NULL, "two");
    expect_in_folder("tool_use", "three");
    expect_in_folder("rag", NULL);
    write_file("chat_template.json", "{\"chat_template\": \"four\"}");
    expect_in_folder(NULL, "four");
    expect_in_folder("tool_use", "three");
    write_file("chat_template.jinja", "five\n");
    expect_in_folder(NULL, "five\n");
    snprintf(path, sizeof path, "%s/additional_chat_templates", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file("additional_chat_templates/tool_use.jinja", "six");
    expect_in_folder("tool_use", "six");
    expect_in_folder("../../x", NULL);

    lp_chat_template *template;
    write_file("chat_template.jinja", "a\n{% for %}");
    assert_int_equal(lp_chat_template_from_folder(&ctx, folder, NULL, &template), LP_E_FORMAT);
    assert_non_null(strstr(ctx.message, "/chat_template.jinja: line 2, column 8: a name expected"));
    write_file("tokenizer_config.json", "{\"chat_template\": ");
    assert_int_equal(lp_chat_template_from_folder(&ctx, folder, "rag", &template), LP_E_FORMAT);
    remove_file("additional_chat_templates/tool_use.jinja");
    assert_int_equal(rmdir(path), 0);
    remove_file("chat_template.jinja");
    remove_file("chat_template.json");
    remove_file("tokenizer_config.json");
}

static void test_gguf(void **state)
{
    lp_chat_template *template;
    lp_gguf *gguf = NULL;
    char path[512];
    (void)state;
    snprintf(path, sizeof path, "%s/chat.gguf", folder);
    lp_gguf_writer *writer = lp_gguf_writer_create(&ctx);
    lp_gguf_put_string(writer, "general.architecture", "llama");
    lp_gguf_put_string(writer, "tokenizer.chat_template", "one");
    lp_gguf_put_string(writer, "tokenizer.chat_template.tool_use", "{{ two");
    lp_gguf_put_u32(writer, "tokenizer.chat_template.rag", 5);
    lp_gguf_put_tensor(writer, "output_norm.weight", LP_F32, LP_SHAPE1(1));
    check(lp_gguf_begin(writer, path));
    check(lp_gguf_data(writer, &(float){1}, sizeof(float)));
    check(lp_gguf_commit(writer));
    lp_gguf_writer_destroy(writer);
    lp_weights *weights = lp_weights_create();
    check(lp_gguf_open(&ctx, path, weights, &gguf));
    check(lp_chat_template_from_gguf(&ctx, "x.gguf", gguf, NULL, &template));
    assert_string_equal(lp_chat_template_text(template), "one");
    lp_chat_template_destroy(template);
    assert_int_equal(lp_chat_template_from_gguf(&ctx, "x.gguf", gguf, "tool_use", &template),
                     LP_E_FORMAT);
    assert_string_equal(ctx.message,
                        "x.gguf: chat template: line 1, column 1: this tag has no end (\"}}\")");
    assert_int_equal(lp_chat_template_from_gguf(&ctx, "x.gguf", gguf, "rag", &template),
                     LP_E_MISSING);
    assert_string_equal(ctx.message, "x.gguf: no chat template called rag");
    lp_gguf_destroy(gguf);
    lp_weights_destroy(weights);
    remove_file("chat.gguf");
}

/* Text of a template over a conversation, or the message of its refusal in ctx. */
static lp_status render(const char *source, const lp_tokenizer *tokenizer,
                        const lp_chat_options *options, char text[1024])
{
    lp_chat_template *template;
    char *made;
    size_t bytes;
    lp_status status = lp_chat_template_create(&ctx, "test", source, strlen(source), &template);
    if (status == LP_OK)
        status = lp_chat_template_render(&ctx, template, tokenizer, options, &made, &bytes);
    lp_chat_template_destroy(template);
    if (status == LP_OK) {
        assert_int_equal(strlen(made), bytes);
        snprintf(text, 1024, "%s", made);
        free(made);
    }
    return status;
}

static void test_variables(void **state)
{
    static const char everything[] =
        "{{ messages|length }}{{ messages[0].role }}|{{ tools|tojson }}|{{ documents }}|"
        "{{ add_generation_prompt }}|{{ bos_token }}|{{ eos_token }}|{{ unk_token }}|"
        "{{ x|default('')|tojson }}|"
        "{{ strftime_now('%F') if strftime_now is defined else 'no clock' }}";
    lp_tokenizer *tokenizer;
    char text[1024];
    (void)state;
    check(lp_tokenizer_open(&ctx, TOKENIZERS "llama2", &tokenizer));
    lp_chat_options options = {.messages = "[{\"role\": \"user\", \"content\": \"\xc3\xa9\"}]"};
    check(render(everything, tokenizer, &options, text));
    assert_string_equal(text, "1user|null|None|False|<s>|</s>|<unk>|\"\"|no clock");
    options.tools = "[{\"name\": \"f\"}]";
    options.variables = "{\"x\": [1, null], \"documents\": [2], \"eos_token\": \"!\"}";
    options.add_generation_prompt = 1;
    options.now = 1709210096;
    check(render(everything, tokenizer, &options, text));
    assert_string_equal(text,
                        "1user|[{\"name\": \"f\"}]|[2]|True|<s>|!|<unk>|[1, null]|2024-02-29");
    check(render("{{ bos_token is defined }}", NULL, &options, text));
    assert_string_equal(text, "False");
    lp_tokenizer_destroy(tokenizer);

    static const struct {
        lp_chat_options options;
        const char *message;
    } wrong[] = {
        {{.messages = NULL}, "messages: JSON: "},
        {{.messages = "[1"}, "messages: JSON: "},
        {{.messages = "{}"}, "messages: an array is expected"},
        {{.messages = "[{}, 5]"}, "messages: number 1 is no object"},
        {{.messages = "[]", .tools = "{}"}, "tools: an array is expected"},
        {{.messages = "[]", .variables = "[]"}, "variables: an object is expected"},
        {{.messages = "[]", .variables = "nonsense"}, "variables: JSON: "},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(render("x", NULL, &wrong[i].options, text), LP_E_ARG);
        if (strncmp(ctx.message, wrong[i].message, strlen(wrong[i].message)) != 0)
            fail_msg("%s, expected %s", ctx.message, wrong[i].message);
    }
}

/* Templates that come with the library, as their models want them. */
static void test_builtins(void **state)
{
    static const char *const rows[][2] = {
        {"chatml",
         "<|im_start|>system\nBe.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>"
         "assistant\nYo<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n"},
        {"gemma",
         "<s><start_of_turn>user\nBe.\n\nHi<end_of_turn>\n<start_of_turn>model\nYo<end_of_turn>"
         "\n<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n"},
        {"llama2", "<s>[INST] <<SYS>>\nBe.\n<</SYS>>\n\nHi [/INST] Yo </s><s>[INST] Bye [/INST]"},
        {"llama3",
         "<s><|start_header_id|>system<|end_header_id|>\n\nBe.<|eot_id|><|start_header_id|>user"
         "<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nYo"
         "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|><|start_header_id|>"
         "assistant<|end_header_id|>\n\n"},
        {"phi3", "<|system|>\nBe.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nYo<|end|>\n<|user|>\n"
                 "Bye<|end|>\n<|assistant|>\n"},
        {"vicuna", "Be.\n\nUSER: Hi\nASSISTANT: Yo</s>\nUSER: Bye\nASSISTANT:"},
        {"zephyr",
         "<|system|>\nBe.</s>\n<|user|>\nHi</s>\n<|assistant|>\nYo</s>\n<|user|>\nBye</s>\n"
         "<|assistant|>\n"},
    };
    static const lp_chat_options options = {.messages =
                                                "[{\"role\": \"system\", \"content\": \"Be. \"}, "
                                                "{\"role\": \"user\", \"content\": \" Hi\"},"
                                                "{\"role\": \"assistant\", \"content\": \" Yo\"}, "
                                                "{\"role\": \"user\", \"content\": \"Bye\"}]",
                                            .add_generation_prompt = 1};
    lp_tokenizer *tokenizer;
    lp_chat_template *template;
    char text[1024];
    size_t n;
    (void)state;
    check(lp_tokenizer_open(&ctx, TOKENIZERS "llama2", &tokenizer));
    const lp_chat_builtin *builtins = lp_chat_builtins(&n);
    assert_int_equal(n, sizeof rows / sizeof *rows);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(builtins[i].name, rows[i][0]);
        check(render(builtins[i].source, tokenizer, &options, text));
        assert_string_equal(text, rows[i][1]);
    }
    check(lp_chat_template_from_name(&ctx, "llama3", &template));
    lp_chat_template_destroy(template);
    assert_int_equal(lp_chat_template_from_name(&ctx, "x", &template), LP_E_MISSING);
    assert_string_equal(ctx.message,
                        "no chat template is called x; there are chatml, gemma, llama2, "
                        "llama3, phi3, vicuna, zephyr");
    lp_tokenizer_destroy(tokenizer);
}

/* Ids of a chat's text. */
static void expect_tokens(const lp_tokenizer *tokenizer, const char *text, const int32_t *wanted,
                          size_t n_wanted)
{
    int32_t *tokens;
    size_t n;
    check(lp_chat_text_tokens(&ctx, tokenizer, text, strlen(text), &tokens, &n));
    assert_int_equal(n, n_wanted);
    assert_memory_equal(tokens, wanted, n * sizeof *tokens);
    free(tokens);
}

/* The token that begins every text stands there once, and special tokens are themselves. */
static void test_tokens(void **state)
{
    lp_tokenizer *tokenizer;
    int32_t *tokens;
    size_t n;
    (void)state;
    check(lp_tokenizer_open(&ctx, TOKENIZERS "llama2", &tokenizer));
    const lp_special_tokens special = lp_tokenizer_special(tokenizer);
    assert_true(special.add_bos);
    check(lp_tokenize(&ctx, tokenizer, "<s>[INST] Hi</s>", 16, LP_TOKENIZE_PARSE_SPECIAL, &tokens,
                      &n));
    assert_int_equal(tokens[0], special.bos);
    assert_int_equal(tokens[n - 1], special.eos);
    expect_tokens(tokenizer, "<s>[INST] Hi</s>", tokens, n);
    free(tokens);
    check(lp_tokenize(&ctx, tokenizer, "[INST] Hi", 9,
                      LP_TOKENIZE_PARSE_SPECIAL | LP_TOKENIZE_ADD_SPECIAL, &tokens, &n));
    assert_int_equal(tokens[0], special.bos);
    expect_tokens(tokenizer, "[INST] Hi", tokens, n);
    free(tokens);
    expect_tokens(tokenizer, "", &special.bos, 1);
    expect_tokens(tokenizer, "<s>", &special.bos, 1);
    lp_tokenizer_destroy(tokenizer);

    check(lp_tokenizer_open(&ctx, TOKENIZERS "qwen2", &tokenizer));
    assert_false(lp_tokenizer_special(tokenizer).add_bos);
    const int32_t end = lp_tokenizer_find(tokenizer, "<|im_end|>", 10);
    assert_true(end >= 0 && lp_tokenizer_is_end(tokenizer, end));
    expect_tokens(tokenizer, "<|im_end|>", &end, 1);
    expect_tokens(tokenizer, "", NULL, 0);
    lp_tokenizer_destroy(tokenizer);
}

/* generation_config.json says which tokens end an answer. */
static void test_ends(void **state)
{
    lp_tokenizer *tokenizer;
    (void)state;
    write_file("vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\nb\nc\n");
    write_file("generation_config.json", "{\"eos_token_id\": [4, 5, 900, -1, \"x\"]}");
    check(lp_tokenizer_from_folder(&ctx, folder, &tokenizer));
    assert_false(lp_tokenizer_is_end(tokenizer, 3));
    assert_true(lp_tokenizer_is_end(tokenizer, 4));
    assert_true(lp_tokenizer_is_end(tokenizer, 5));
    lp_tokenizer_destroy(tokenizer);
    write_file("generation_config.json", "{\"eos_token_id\": 3}");
    check(lp_tokenizer_from_folder(&ctx, folder, &tokenizer));
    assert_true(lp_tokenizer_is_end(tokenizer, 3));
    assert_false(lp_tokenizer_is_end(tokenizer, 4));
    lp_tokenizer_destroy(tokenizer);
    write_file("generation_config.json", "{");
    assert_int_equal(lp_tokenizer_from_folder(&ctx, folder, &tokenizer), LP_E_FORMAT);
    assert_null(tokenizer);
    remove_file("generation_config.json");
    remove_file("vocab.txt");
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder),    cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_variables), cmocka_unit_test(test_builtins),
        cmocka_unit_test(test_tokens),    cmocka_unit_test(test_ends),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
