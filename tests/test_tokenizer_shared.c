/* Tokenizers against llama.cpp's ids of the real vocabularies in ../shared, where they are at hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/model_files.h"
#include "support/tokenizer_ids.h"
#include "text/tokenizer_write.h"

#define FIXTURES LAPILLI_TEST_FIXTURES "/tokenizer/"
#define SHARED   LAPILLI_TEST_FIXTURES "/../../../shared/tokenizers/"
#define ALL      (LP_TOKENIZE_ADD_SPECIAL | LP_TOKENIZE_PARSE_SPECIAL)

static lp_context ctx;

static void ok(lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx.message);
}

static lp_tokenizer *open_path(const char *path)
{
    lp_tokenizer *tokenizer = NULL;
    ok(lp_tokenizer_open(&ctx, path, &tokenizer));
    return tokenizer;
}

/* Every text of NAME.inp against its line of NAME.out. */
static void check_against_llama_cpp(const char *name, const lp_tokenizer *tokenizer)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    char path[4096];
    size_t n_texts, n_lines;
    snprintf(path, sizeof path, SHARED "gguf/ggml-vocab-%s.gguf.inp", name);
    char *texts = (char *)test_read(path, &n_texts);
    snprintf(path, sizeof path, SHARED "gguf/ggml-vocab-%s.gguf.out", name);
    char *lines = (char *)test_read(path, &n_lines), *line = lines, *text = texts;
    size_t index = 0;
    for (;; index++) {
        char *end = strstr(text, separator);
        size_t bytes = end ? (size_t)(end - text) : n_texts - (size_t)(text - texts);
        int32_t want[512];
        size_t n = 0;
        while (*line && *line != '\n') {
            assert_true(n < 512);
            want[n++] = (int32_t)strtol(line, &line, 10);
            while (*line == ' ')
                line++;
        }
        check_ids(name, index, tokenizer, text, bytes, 0, want, n);
        if (!end)
            break;
        text = end + strlen(separator);
        assert_int_equal(*line, '\n');
        line++;
    }
    assert_true(index > 40);
    free(texts);
    free(lines);
}

static void need_shared(const char *file)
{
    if (access(file, R_OK) != 0) {
        print_message("skipped: %s is not at hand\n",
                      file + strlen(LAPILLI_TEST_FIXTURES "/../../"));
        skip();
    }
}

static void check_shared_gguf(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, SHARED "gguf/ggml-vocab-%s.gguf", name);
    need_shared(path);
    lp_tokenizer *tokenizer = open_path(path);
    check_against_llama_cpp(name, tokenizer);
    lp_tokenizer_destroy(tokenizer);
}

#define SHARED_TEST(function, name)                                                                \
    static void function(void **state)                                                             \
    {                                                                                              \
        (void)state;                                                                               \
        check_shared_gguf(name);                                                                   \
    }
SHARED_TEST(shared_llama_spm, "llama-spm")
SHARED_TEST(shared_phi_3, "phi-3")
SHARED_TEST(shared_gpt_2, "gpt-2")
SHARED_TEST(shared_falcon, "falcon")
SHARED_TEST(shared_starcoder, "starcoder")
SHARED_TEST(shared_deepseek_llm, "deepseek-llm")
SHARED_TEST(shared_bert_bge, "bert-bge")

static void shared_gpt_2_folder(void **state)
{
    (void)state;
    need_shared(SHARED "gpt2/tokenizer.json");
    lp_tokenizer *tokenizer = open_path(SHARED "gpt2");
    assert_int_equal(lp_tokenizer_size(tokenizer), 50257);
    assert_true(lp_tokenizer_is_end(tokenizer, 50256));
    check_against_llama_cpp("gpt-2", tokenizer);
    lp_tokenizer_destroy(tokenizer);
}

/* Qwen 2's vocab.json and merges.txt; its tokenizer_config.json names the class. */
static void shared_qwen2(void **state)
{
    (void)state;
    need_shared(SHARED "qwen2/vocab.json");
    lp_tokenizer *tokenizer = open_path(SHARED "qwen2");
    assert_int_equal(lp_tokenizer_size(tokenizer), 0x25071);
    check_against_llama_cpp("qwen2", tokenizer);
    lp_tokenizer_destroy(tokenizer);
}

static void count_warning(void *user, lp_log_level level, const char *message)
{
    (void)message;
    *(int *)user += level == LP_LOG_WARN;
}

/* Real vocabularies as GGUF metadata: nothing is lost, and all texts give the same ids. */
static void shared_as_gguf(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *file, *arch;
    } rows[] = {{"t5", "tokenizer.json", "t5"},
                {"bert-uncased", "tokenizer.json", "bert"},
                {"gpt2", "tokenizer.json", "gpt2"},
                {"qwen2", "vocab.json", "qwen2"}};
    size_t bytes;
    char *text = (char *)test_read(FIXTURES "cases.json", &bytes);
    char *folder = test_folder_create(), *config = test_path(folder, "config.json");
    test_write(config, "{}", 2);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[4096];
        int n_warnings = 0;
        lp_context own = {.log = count_warning, .log_user = &n_warnings, .level = LP_LOG_WARN};
        snprintf(path, sizeof path, SHARED "%s/%s", rows[i].folder, rows[i].file);
        need_shared(path);
        snprintf(path, sizeof path, SHARED "%s", rows[i].folder);
        lp_tokenizer *from = open_path(path), *again = NULL;
        lp_gguf_writer *writer = lp_gguf_writer_create(&own);
        uint8_t *data = NULL;
        int32_t *a, *b;
        size_t n_data, n_a, n_b;
        lp_gguf *gguf = NULL;
        lp_weights *none = lp_weights_create();
        if (lp_tokenizer_to_gguf(&own, folder, from, rows[i].arch, lp_tokenizer_size(from),
                                 writer) != LP_OK)
            fail_msg("%s", own.message);
        assert_int_equal(n_warnings, 0);
        ok(lp_gguf_metadata(writer, &data, &n_data));
        ok(lp_gguf_parse(&ctx, "metadata", data, n_data, none, &gguf));
        ok(lp_tokenizer_from_gguf(&ctx, gguf, &again));
        ok(lp_tokenize(&ctx, from, text, bytes, LP_TOKENIZE_ADD_SPECIAL, &a, &n_a));
        ok(lp_tokenize(&ctx, again, text, bytes, LP_TOKENIZE_ADD_SPECIAL, &b, &n_b));
        assert_int_equal(n_a, n_b);
        assert_memory_equal(a, b, n_a * sizeof *a);
        free(a);
        free(b);
        lp_tokenizer_destroy(from);
        lp_tokenizer_destroy(again);
        lp_gguf_destroy(gguf);
        lp_weights_destroy(none);
        lp_gguf_writer_destroy(writer);
        free(data);
    }
    free(config);
    test_folder_remove(folder);
    free(text);
}

/* BERT's vocab.txt beside its tokenizer.json: the same ids for a long text. */
static void shared_bert_forms_agree(void **state)
{
    (void)state;
    need_shared(SHARED "bert-uncased/vocab.txt");
    size_t bytes, n, n_txt;
    int32_t *ids, *ids_txt;
    lp_tokenizer *json = open_path(SHARED "bert-uncased"), *txt = NULL;
    char *text = (char *)test_read(FIXTURES "cases.json", &bytes);
    ok(lp_tokenizer_open(&ctx, SHARED "bert-uncased/vocab.txt", &txt));
    ok(lp_tokenize(&ctx, json, text, bytes, ALL, &ids, &n));
    ok(lp_tokenize(&ctx, txt, text, bytes, ALL, &ids_txt, &n_txt));
    assert_true(n == n_txt && n > 10000);
    assert_memory_equal(ids, ids_txt, n * sizeof *ids);
    free(ids);
    free(ids_txt);
    free(text);
    lp_tokenizer_destroy(json);
    lp_tokenizer_destroy(txt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_llama_spm), cmocka_unit_test(shared_phi_3),
        cmocka_unit_test(shared_gpt_2),     cmocka_unit_test(shared_falcon),
        cmocka_unit_test(shared_starcoder), cmocka_unit_test(shared_deepseek_llm),
        cmocka_unit_test(shared_bert_bge),  cmocka_unit_test(shared_gpt_2_folder),
        cmocka_unit_test(shared_qwen2),     cmocka_unit_test(shared_bert_forms_agree),
        cmocka_unit_test(shared_as_gguf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
