/* Pre-tokenizers: the pieces of each named row, broken bytes, modes, hostile patterns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/pretokenize.h"

static lp_context ctx;

static void ok(lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx.message);
}

static lp_splitter *named(const char *name)
{
    lp_splitter *splitter = NULL;
    const lp_pretokenizer *row = lp_pretokenizer_find(name, strlen(name));
    assert_non_null(row);
    ok(lp_splitter_create(&ctx, &splitter));
    ok(lp_pretokenizer_add(&ctx, row, splitter));
    return splitter;
}

static lp_splitter *of_pattern(const char *pattern, lp_split_mode mode)
{
    lp_splitter *splitter = NULL;
    ok(lp_splitter_create(&ctx, &splitter));
    ok(lp_splitter_add(&ctx, splitter, "test", pattern, strlen(pattern), mode, false));
    return splitter;
}

/* `marked` is the text with "|" between the pieces. Destroys the splitter. */
static void check(lp_splitter *splitter, const char *marked)
{
    char text[512] = "";
    uint32_t ends[256];
    size_t n = 0, n_ends = 0;
    for (const char *c = marked; *c; c++)
        if (*c == '|')
            ends[n_ends++] = (uint32_t)n;
        else
            text[n++] = *c;
    if (n > 0)
        ends[n_ends++] = (uint32_t)n;
    lp_words words = {0};
    ok(lp_split(&ctx, splitter, text, n, true, &words));
    for (size_t i = 0; i < words.n && i < n_ends; i++)
        if (words.pieces[i].end != ends[i])
            fail_msg("%s: piece %zu ends at %u, expected %u", marked, i, words.pieces[i].end,
                     ends[i]);
    assert_int_equal(words.n, n_ends);
    lp_words_free(&words);
    lp_splitter_destroy(splitter);
}

/* Pieces by Hugging Face's tokenizers library (Split of the published patterns, one after another).
 */
static const struct {
    const char *row, *marked;
} published[] = {
    {"gpt-2", "Hello| world|'s| | 12345| I|'|LL|!?|\n\n | x\xc3\xa9|(|y|).|\r\n"},
    {"gpt-2", "HTTPServer| don|'t| \xe4\xbd\xa0\xe5\xa5\xbd| e|\xcc\x81| a|/|b|\t|\t|z| "
              "\xd9\xa0\xd9\xa1\xd9\xa2\xd9\xa3| "},
    {"llama-bpe", "Hello| world|'s| | |123|45| I|'LL|!?\n\n| | x\xc3\xa9|(y|).\r\n"},
    {"llama-bpe", "HTTPServer| don|'t| \xe4\xbd\xa0\xe5\xa5\xbd| e|\xcc\x81| a|/b|\t|\tz| "
                  "|\xd9\xa0\xd9\xa1\xd9\xa2|\xd9\xa3| "},
    {"qwen2", "Hello| world|'s| | |1|2|3|4|5| I|'LL|!?\n\n| | x\xc3\xa9|(y|).\r\n"},
    {"qwen2", "HTTPServer| don|'t| \xe4\xbd\xa0\xe5\xa5\xbd| e|\xcc\x81| a|/b|\t|\tz| "
              "|\xd9\xa0|\xd9\xa1|\xd9\xa2|\xd9\xa3| "},
    {"tekken", "Hello| world|'s| | |1|2|3|4|5| I|'LL|!?\n\n| | x\xc3\xa9|(y|).\r\n"},
    {"tekken", "HTTPServer| don|'t| \xe4\xbd\xa0\xe5\xa5\xbd| e\xcc\x81| a|/b|\t|\tz| "
               "|\xd9\xa0|\xd9\xa1|\xd9\xa2|\xd9\xa3| "},
    {"gpt-4o", "Hello| world's| | |123|45| I'LL|!?\n\n| | x\xc3\xa9|(y|).\r\n"},
    {"gpt-4o", "HTTPServer| don't| \xe4\xbd\xa0\xe5\xa5\xbd| e\xcc\x81| a|/b|\t|\tz| "
               "|\xd9\xa0\xd9\xa1\xd9\xa2|\xd9\xa3| "},
    {"starcoder", "Hello| world|'s|  |1|2|3|4|5| I|'|LL|!?|\n\n | x\xc3\xa9|(|y|).|\r\n"},
    {"starcoder", "HTTPServer| don|'t| \xe4\xbd\xa0\xe5\xa5\xbd| e|\xcc\x81| a|/|b|\t|\t|z| "
                  "|\xd9\xa0|\xd9\xa1|\xd9\xa2|\xd9\xa3| "},
    {"falcon", "Hello| world|'|s| | |123|45| I|'|LL|!?|\n\n | x\xc3\xa9|(|y|).|\r\n"},
    {"falcon", "HTTPServer| don|'|t| \xe4\xbd\xa0\xe5\xa5\xbd| e|\xcc\x81| a|/|b|\t|\t|z| "
               "\xd9\xa0\xd9\xa1\xd9\xa2\xd9\xa3| "},
    {"default", "Hello| world|'|s| | |123|45| I|'|LL|!?|\n\n | x\xc3\xa9|(|y|).|\r\n"},
    {"default", "HTTPServer| don|'|t| \xe4\xbd\xa0\xe5\xa5\xbd| e|\xcc\x81| a|/|b|\t|\t|z| "
                "|\xd9\xa0\xd9\xa1\xd9\xa2\xd9\xa3| "},
    {"deepseek-coder", "Hello| world|'|s|  |1|2|3|4|5| I|'|LL|!?|\n|\n| | x\xc3\xa9|(|y|).|\r|\n"},
    {"deepseek-coder", "HTTPServer| don|'|t| |\xe4\xbd\xa0\xe5\xa5\xbd| e|\xcc\x81| a|/|b|\t|\tz| "
                       "|\xd9\xa0|\xd9\xa1|\xd9\xa2|\xd9\xa3| "},
    {"deepseek-v3", "Hello| world|'s|  |123|45| I|'LL|!?\n\n| | x\xc3\xa9|(y|).\r\n"},
    {"deepseek-v3", "HTTPServer| don|'t| |\xe4\xbd\xa0\xe5\xa5\xbd| e\xcc\x81| a|/b|\t|\tz| "
                    "|\xd9\xa0\xd9\xa1\xd9\xa2|\xd9\xa3| "},
};

static void rows_cut_as_published(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++)
        check(named(published[i].row), published[i].marked);
    check(named("gpt-2"), "");
    check(named("deepseek-llm"), "a| b| ,|\n|  |12|\xe4\xbd\xa0\xe5\xa5\xbd|  ");
}

static void names_are_whole(void **state)
{
    (void)state;
    assert_null(lp_pretokenizer_find("gpt", 3));
    assert_null(lp_pretokenizer_find("", 0));
    assert_null(lp_pretokenizer_find("phi-2 mpt", 9));
    assert_non_null(lp_pretokenizer_find("mpt", 3));
    assert_true(lp_pretokenizer_find("llama-bpe", 9)->ignore_merges);
    assert_true(lp_pretokenizer_find("llama-bpe", 9)->add_bos);
    assert_false(lp_pretokenizer_find("gpt-2", 5)->ignore_merges);
}

/* A broken byte is neither letter nor space, and stays where it is. */
static void broken_bytes_are_kept(void **state)
{
    (void)state;
    check(named("gpt-2"), "a|\xff| b|\x80\x80|c| \xe2\x82");
    check(named("llama-bpe"), "a|\xff| b|\x80"
                              "c| \xf0\x9f|\xc3\xa9");
}

static void modes(void **state)
{
    (void)state;
    check(of_pattern("-", LP_SPLIT_ISOLATED), "a|-|b|-|-|c");
    check(of_pattern("-", LP_SPLIT_WITH_PREVIOUS), "a-|b-|-|c");
    check(of_pattern("-", LP_SPLIT_WITH_NEXT), "a|-b|-|-c");
    check(of_pattern("$", LP_SPLIT_ISOLATED), "abc");            /* an empty match cuts nothing */
    check(of_pattern("\\s+$", LP_SPLIT_ISOLATED), "a| |\nb|  "); /* lines, as in Oniguruma */
    check(of_pattern("\\S+", LP_SPLIT_ISOLATED), "a\xe1\xa0\x8e"
                                                 "b|\xe2\x80\x83|c");
    check(of_pattern("[^\\s]+", LP_SPLIT_ISOLATED), "a\xe1\xa0\x8e"
                                                    "b|\xc2\x85|c");
    check(of_pattern("\\\\s", LP_SPLIT_ISOLATED), "a |\\s|b"); /* an escaped backslash */
}

static void hostile_patterns_fail(void **state)
{
    (void)state;
    lp_splitter *s = NULL;
    lp_words words = {0};
    char text[200];
    ok(lp_splitter_create(&ctx, &s));
    assert_int_equal(lp_splitter_add(&ctx, s, "x.json", "(", 1, LP_SPLIT_ISOLATED, false),
                     LP_E_FORMAT);
    assert_non_null(strstr(ctx.message, "x.json: pattern \"(\": "));
    assert_int_equal(lp_splitter_add(&ctx, s, "x.json", "\\", 1, LP_SPLIT_ISOLATED, false),
                     LP_E_FORMAT);
    assert_int_equal(lp_splitter_add(&ctx, s, "x.json", "a\\C", 3, LP_SPLIT_ISOLATED, false),
                     LP_E_FORMAT);
    assert_int_equal(lp_splitter_add(&ctx, s, "x.json", text, 1 << 20, LP_SPLIT_ISOLATED, false),
                     LP_E_LIMIT);
    ok(lp_splitter_add(&ctx, s, "x.json", "(a|aa|a+)+$", 11, LP_SPLIT_ISOLATED, false));
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'b';
    assert_int_equal(lp_split(&ctx, s, text, sizeof text, true, &words), LP_E_LIMIT);
    lp_words_free(&words);
    lp_splitter_destroy(s);

    ok(lp_splitter_create(&ctx, &s));
    for (int i = 0; i < 32; i++)
        ok(lp_splitter_add(&ctx, s, "x.json", "a", 1, LP_SPLIT_ISOLATED, false));
    assert_int_equal(lp_splitter_add(&ctx, s, "x.json", "a", 1, LP_SPLIT_ISOLATED, false),
                     LP_E_LIMIT);
    lp_splitter_destroy(s);
    lp_splitter_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_cut_as_published), cmocka_unit_test(names_are_whole),
        cmocka_unit_test(broken_bytes_are_kept), cmocka_unit_test(modes),
        cmocka_unit_test(hostile_patterns_fail),
    };
    return cmocka_run_group_tests_name("tokenizer_split", tests, NULL, NULL);
}
