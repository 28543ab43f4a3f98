/* Prompts for the middle of a text: the order of their tokens, as llama.cpp has it; in the texts no
 * token is recognised; a vocabulary without the tokens is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "text/infill.h"
#include "text/tokenizer_build.h"

#define GPT2 LAPILLI_TEST_FIXTURES "/tokenizer/gpt2/tokenizer.json"

static lp_context ctx;

static void check(lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx.message);
}

/* The fixture's tokenizer with added tokens of these names behind all others. */
static lp_tokenizer *with_tokens(const char *const names[3])
{
    static const char key[] = "\"added_tokens\":[";
    lp_file file;
    lp_tokenizer *tokenizer;
    check(lp_tokenizer_open(&ctx, GPT2, &tokenizer));
    uint32_t id = lp_tokenizer_size(tokenizer);
    lp_tokenizer_destroy(tokenizer);
    check(lp_file_open(&ctx, GPT2, &file));
    char *json = calloc(file.bytes + 1000, 1);
    assert_non_null(json);
    memcpy(json, file.data, file.bytes);
    char *at = strstr(json, key);
    assert_non_null(at);
    at += strlen(key);
    const size_t before = (size_t)(at - json);
    for (int i = 0; i < 3; i++)
        if (names[i] != NULL)
            at += sprintf(at,
                          "{\"id\": %u, \"content\": \"%s\", \"single_word\": false, \"lstrip\": "
                          "false, \"rstrip\": false, \"normalized\": false, \"special\": true},",
                          id++, names[i]);
    memcpy(at, file.data + before, file.bytes - before);
    lp_file_close(&file);
    check(lp_tokenizer_from_json(&ctx, (lp_tokenizer_file){"test", json, strlen(json)},
                                 (lp_tokenizer_file){0}, &tokenizer));
    free(json);
    return tokenizer;
}

static size_t append_text(const lp_tokenizer *tokenizer, const char *text, int32_t *to)
{
    int32_t *tokens;
    size_t n;
    check(lp_tokenize(&ctx, tokenizer, text, strlen(text), 0, &tokens, &n));
    memcpy(to, tokens, n * sizeof *to);
    free(tokens);
    return n;
}

static void order_of_tokens(void **state)
{
    (void)state;
    static const char *const names[][3] = {
        {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},
        {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
        {"<PRE>", "<SUF>", "<MID>"},
        {"<fim-prefix>", "<fim-suffix>", "<fim-middle>"},
    };
    static const struct {
        const char *prefix, *suffix;
    } texts[] = {{"def f(x):\n", "\n    return x\n"}, {"", "end"}, {"<|endoftext|> a", ""}};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        lp_tokenizer *tokenizer = with_tokens(names[k]);
        int32_t mark[3];
        for (int i = 0; i < 3; i++)
            mark[i] = lp_tokenizer_find(tokenizer, names[k][i], strlen(names[k][i]));
        assert_true(mark[0] >= 0 && mark[1] == mark[0] + 1 && mark[2] == mark[1] + 1);
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
            for (int suffix_first = 0; suffix_first < 2; suffix_first++) {
                const lp_tokenizer_text prefix = {texts[t].prefix, strlen(texts[t].prefix)};
                const lp_tokenizer_text suffix = {texts[t].suffix, strlen(texts[t].suffix)};
                int32_t want[256], *tokens;
                size_t n = 0, n_tokens;
                want[n++] = mark[suffix_first];
                n += append_text(tokenizer, suffix_first ? suffix.data : prefix.data, want + n);
                want[n++] = mark[!suffix_first];
                n += append_text(tokenizer, suffix_first ? prefix.data : suffix.data, want + n);
                want[n++] = mark[2];
                check(lp_infill_tokens(&ctx, tokenizer, prefix, suffix, suffix_first, &tokens,
                                       &n_tokens));
                assert_int_equal(n_tokens, n);
                assert_memory_equal(tokens, want, n * sizeof *want);
                free(tokens);
            }
        lp_tokenizer_destroy(tokenizer);
    }
}

static void what_is_missing(void **state)
{
    (void)state;
    static const struct {
        const char *names[3], *message;
    } all[] = {
        {{NULL, NULL, NULL}, "no token for the prefix (as <fim_prefix>)"},
        {{"<fim_prefix>", NULL, "<fim_middle>"}, "no token for the suffix (as <fim_suffix>)"},
        {{"<fim_prefix>", "<fim_suffix>", NULL}, "no token for the middle (as <fim_middle>)"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        lp_tokenizer *tokenizer = with_tokens(all[i].names);
        const lp_tokenizer_text text = {"a", 1};
        int32_t *tokens;
        size_t n;
        assert_int_equal(lp_infill_tokens(&ctx, tokenizer, text, text, false, &tokens, &n),
                         LP_E_UNSUPPORTED);
        assert_non_null(strstr(ctx.message, all[i].message));
        assert_true(tokens == NULL && n == 0);
        lp_tokenizer_destroy(tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_tokens),
        cmocka_unit_test(what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
