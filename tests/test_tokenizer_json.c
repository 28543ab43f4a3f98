/* tokenizer.json: what is read from it, and one-line errors for everything that is wrong with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/tokenizer_build.h"

static lp_context ctx;

static void ok(lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx.message);
}

static lp_status read_json(const char *json, const char *config, lp_tokenizer **tokenizer)
{
    ctx.message[0] = 0;
    lp_tokenizer_file files[] = {
        {"DIR/tokenizer.json", json, strlen(json)},
        {"DIR/tokenizer_config.json", config, config ? strlen(config) : 0}};
    return lp_tokenizer_from_json(&ctx, files[0], files[1], tokenizer);
}

#define MODEL(rest)    "{\"model\":{\"type\":\"BPE\"," rest "}}"
#define VOCAB          "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\xe2\x96\x81\":3}"
#define UNIGRAM(vocab) "{\"model\":{\"type\":\"Unigram\",\"vocab\":" vocab "}}"
#define WORDS(rest)    "{\"model\":{\"type\":\"WordPiece\"," VOCAB "," rest "}}"
#define SMALL(parts)   "{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[\"a b\"]}," parts "}"

/* Ids of `text`, as "0 1 2". */
static void check(const char *json, const char *text, const char *want)
{
    lp_tokenizer *tokenizer = NULL;
    int32_t *ids;
    size_t n;
    char got[256] = "";
    ok(read_json(json, NULL, &tokenizer));
    ok(lp_tokenize(&ctx, tokenizer, text, strlen(text), 3, &ids, &n));
    for (size_t i = 0; i < n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", i ? " " : "", ids[i]);
    assert_string_equal(got, want);
    free(ids);
    lp_tokenizer_destroy(tokenizer);
}

static void reads_small_models(void **state)
{
    (void)state;
    check(MODEL(VOCAB ",\"merges\":[]"), "abba", "0 1 1 0");
    check(MODEL(VOCAB ",\"merges\":[\"a b\"]"), "abba", "2 1 0");
    check(MODEL(VOCAB ",\"merges\":[[\"a\",\"b\"]]"), "abba", "2 1 0");
    check("{\"model\":{" VOCAB ",\"merges\":[\"a b\"]}}", "ab", "2"); /* an older file */
    check(MODEL(VOCAB ",\"merges\":[\"a b\"]"), "axb", "2"); /* no unknown token: dropped first */
    check(MODEL("\"unk_token\":\"b\"," VOCAB ",\"merges\":[]"), "axya", "0 1 1 0");
    check(MODEL("\"unk_token\":\"b\",\"fuse_unk\":true," VOCAB ",\"merges\":[]"), "axya", "0 1 0");
    check(MODEL("\"ignore_merges\":true," VOCAB ",\"merges\":[]"), "ab", "2");
    check(MODEL("\"ignore_merges\":true," VOCAB ",\"merges\":[]"), "aba", "0 1 0");
    check("{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"<\",\"vocab\":{\"a\":0,\"a<\":1,"
          "\"aa<\":2},"
          "\"merges\":[\"a a<\"]},\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"}}",
          "aaa a", "0 2 1");
    check("{\"model\":{\"type\":\"BPE\",\"continuing_subword_prefix\":\"#\",\"vocab\":{\"a\":0,\"#"
          "a\":1,"
          "\"aa\":2},\"merges\":[\"a #a\"]}}",
          "aaa", "2 1");
    /* -3 - 3 < -5; the unknown character costs 10 less than the lowest score */
    check(UNIGRAM("[[\"?\",0],[\"a\",-3],[\"aa\",-5],[\"\xc3\xa9\",-1]],\"unk_id\":0"),
          "aaa\xc3\xa9xy", "1 2 3 0");
    check(UNIGRAM("[[\"a\",-3]]"), "axa", "0 0");
    check(WORDS("\"unk_token\":\"b\",\"continuing_subword_prefix\":\"\""), "aba", "2 0");
    check(WORDS("\"unk_token\":\"b\",\"max_input_chars_per_word\":2,\"continuing_subword_prefix\":"
                "\"\""),
          "aba", "1");
    check(WORDS("\"unk_token\":\"b\""), "aba", "1");
    check("{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"b\"," VOCAB "},\"pre_tokenizer\":"
          "{\"type\":\"WhitespaceSplit\"}}",
          "a ab  c", "0 2 1");
}

static void reads_the_parts(void **state)
{
    (void)state;
    check(
        SMALL(
            "\"normalizer\":null,\"pre_tokenizer\":null,\"post_processor\":null,\"decoder\":null"),
        "ab", "2");
    check(SMALL("\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"a\"}"), "b", "2");
    check(SMALL("\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"a\"}"), "", "");
    check(SMALL("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Replace\","
                "\"pattern\":{\"String\":\"xy\"},\"content\":\"b\"},{\"type\":\"NFKC\"}]}"),
          "axyxxy\xef\xbd\x81", "2 1 0"); /* U+FF41 is a wide "a" */
    check(SMALL("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"first\"}"),
          "a b ab", "3 0 3 1 3 2");
    check(SMALL("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"add_prefix_space\":false}"), "a b",
          "0 3 1");
    check(SMALL("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"b\"},\"behavior\":"
                "\"MergedWithNext\"}"),
          "abab", "0 1 0 1");
    check(SMALL("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"b\"},\"behavior\":"
                "\"MergedWithPrevious\"}"),
          "abab", "2 2");
    check(SMALL("\"added_tokens\":[{\"id\":7,\"content\":\"b\xe2\x80\xa6\",\"special\":true},"
                "{\"id\":9,\"content\":\"b\xe2\x80\xa6!\",\"lstrip\":true}]"),
          "abb\xe2\x80\xa6"
          "ab  b\xe2\x80\xa6!a",
          "2 7 2 9 0");
    check(SMALL("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
                "{\"id\":\"B\"}},{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"E\"}}],"
                "\"special_tokens\":{\"B\":{\"ids\":[1]},\"E\":{\"ids\":[3]}}}"),
          "ab", "1 2 3");
}

static void reads_the_config(void **state)
{
    (void)state;
    lp_tokenizer *t = NULL;
    ok(read_json(SMALL("\"x\":0"),
                 "{\"bos_token\":{\"content\":\"a\"},\"eos_token\":\"ab\","
                 "\"add_bos_token\":true}",
                 &t));
    lp_special_tokens special = lp_tokenizer_special(t);
    assert_true(special.bos == 0 && special.eos == 2 && special.unknown == -1);
    assert_true(special.add_bos && !special.add_eos && !special.space_prefix);
    assert_true(lp_tokenizer_is_end(t, 2) && !lp_tokenizer_is_end(t, 0));
    lp_tokenizer_destroy(t);
    ok(read_json(SMALL("\"x\":0"), "{\"bos_token\":null,\"eos_token\":\"none\"}", &t));
    assert_true(lp_tokenizer_special(t).bos == -1 && lp_tokenizer_special(t).eos == -1);
    lp_tokenizer_destroy(t);
    assert_int_equal(read_json(SMALL("\"x\":0"), "{", &t), LP_E_FORMAT);
    assert_non_null(strstr(ctx.message, "DIR/tokenizer_config.json: "));
    assert_null(t);
    assert_int_equal(read_json(SMALL("\"x\":0"), "{\"add_bos_token\":1}", &t), LP_E_FORMAT);
    assert_non_null(strstr(ctx.message, "add_bos_token"));
}

#define PRE(rest)       SMALL("\"pre_tokenizer\":{\"type\":" rest "}")
#define NORMALIZE(rest) SMALL("\"normalizer\":{\"type\":" rest "}")
#define POST(rest)      SMALL("\"post_processor\":{\"type\":" rest "}")
#define SEQ             "{\"type\":\"Sequence\",\"pretokenizers\":["

static const struct {
    const char *json;
    lp_status status;
    const char *message; /* a part of it */
} hostile[] = {
    {"", LP_E_FORMAT, "JSON"},
    {"{", LP_E_FORMAT, "JSON"},
    {"[]", LP_E_FORMAT, "object"},
    {"{}", LP_E_MISSING, "model"},
    {"{\"model\":[]}", LP_E_FORMAT, "model"},
    {"{\"model\":{}}", LP_E_UNSUPPORTED, "type"},
    {"{\"model\":{\"type\":\"RNN\",\"vocab\":[]}}", LP_E_UNSUPPORTED, "\"RNN\""},
    {UNIGRAM("[]"), LP_E_FORMAT, "empty"},
    {UNIGRAM("{}"), LP_E_FORMAT, "vocab"},
    {UNIGRAM("[[\"a\"]]"), LP_E_FORMAT, "0: [text, score]"},
    {UNIGRAM("[[\"a\",0],[1,0]]"), LP_E_FORMAT, "1: [text, score]"},
    {UNIGRAM("[[\"a\",\"0\"]]"), LP_E_FORMAT, "0: [text, score]"},
    {UNIGRAM("[[\"a\",1e999]]"), LP_E_FORMAT, "JSON"},
    {UNIGRAM("[[\"a\",0],[\"a\",1]]"), LP_E_FORMAT, "both \"a\""},
    {UNIGRAM("[[\"a\",0]],\"unk_id\":1"), LP_E_FORMAT, "unk_id is 1"},
    {UNIGRAM("[[\"a\",0]],\"unk_id\":-1"), LP_E_FORMAT, "unk_id"},
    {"{\"model\":{\"type\":\"WordPiece\"}}", LP_E_MISSING, "vocab"},
    {WORDS("\"unk_token\":\"?\""), LP_E_FORMAT, "unk_token"},
    {WORDS("\"max_input_chars_per_word\":-1"), LP_E_FORMAT, "max_input"},
    {"{\"model\":{\"type\":7}}", LP_E_FORMAT, "type"},
    {MODEL("\"merges\":[]"), LP_E_MISSING, "vocab"},
    {MODEL("\"vocab\":[],\"merges\":[]"), LP_E_FORMAT, "vocab"},
    {MODEL("\"vocab\":{},\"merges\":[]"), LP_E_FORMAT, "empty"},
    {MODEL(VOCAB), LP_E_MISSING, "merges"},
    {MODEL(VOCAB ",\"merges\":{}"), LP_E_FORMAT, "merges"},
    {MODEL(VOCAB ",\"merges\":[1]"), LP_E_FORMAT, "merge 0"},
    {MODEL(VOCAB ",\"merges\":[\"ab\"]"), LP_E_FORMAT, "merge 0"},
    {MODEL(VOCAB ",\"merges\":[\"\"]"), LP_E_FORMAT, "merge 0"},
    {MODEL(VOCAB ",\"merges\":[\" \"]"), LP_E_FORMAT, "merge 0"},
    {MODEL(VOCAB ",\"merges\":[\"a \"]"), LP_E_FORMAT, "merge 0: \"\""},
    {MODEL(VOCAB ",\"merges\":[[\"a\"]]"), LP_E_FORMAT, "merge 0"},
    {MODEL(VOCAB ",\"merges\":[[\"a\",\"b\",\"b\"]]"), LP_E_FORMAT, "merge 0"},
    {MODEL(VOCAB ",\"merges\":[\"a b\",\"x a\"]"), LP_E_FORMAT, "merge 1: \"x\""},
    {MODEL(VOCAB ",\"merges\":[\"b a\"]"), LP_E_FORMAT, "\"ba\" is not in the vocabulary"},
    {MODEL("\"vocab\":{\"a\":-1},\"merges\":[]"), LP_E_FORMAT, "\"a\""},
    {MODEL("\"vocab\":{\"a\":\"0\"},\"merges\":[]"), LP_E_FORMAT, "integer"},
    {MODEL("\"vocab\":{\"a\":1.5},\"merges\":[]"), LP_E_FORMAT, "integer"},
    {MODEL("\"vocab\":{\"a\":4294967296},\"merges\":[]"), LP_E_LIMIT, "4294967296"},
    {MODEL("\"vocab\":{\"a\":18446744073709551615},\"merges\":[]"), LP_E_LIMIT, "too large"},
    {MODEL("\"vocab\":{\"a\":9000000},\"merges\":[]"), LP_E_LIMIT, "few tokens"},
    {MODEL("\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]"), LP_E_FORMAT, "id 0"},
    {MODEL("\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]"), LP_E_FORMAT, "both \"a\""},
    {MODEL("\"unk_token\":\"u\"," VOCAB ",\"merges\":[]"), LP_E_FORMAT, "unk_token"},
    {MODEL("\"byte_fallback\":1," VOCAB ",\"merges\":[]"), LP_E_FORMAT, "byte_fallback"},
    {SMALL("\"added_tokens\":{}"), LP_E_FORMAT, "added_tokens"},
    {SMALL("\"added_tokens\":[7]"), LP_E_FORMAT, "added_tokens"},
    {SMALL("\"added_tokens\":[{\"id\":8}]"), LP_E_FORMAT, "added_tokens"},
    {SMALL("\"added_tokens\":[{\"id\":8,\"content\":\"\"}]"), LP_E_FORMAT, "added_tokens"},
    {SMALL("\"added_tokens\":[{\"id\":-8,\"content\":\"x\"}]"), LP_E_FORMAT, "added_tokens"},
    {SMALL("\"added_tokens\":[{\"id\":99999999999,\"content\":\"x\"}]"), LP_E_LIMIT, "too large"},
    {SMALL("\"added_tokens\":[{\"id\":1,\"content\":\"x\"}]"), LP_E_FORMAT, "id 1"},
    {SMALL("\"added_tokens\":[{\"id\":8,\"content\":\"a\"}]"), LP_E_FORMAT, "both"},
    {SMALL("\"added_tokens\":[{\"id\":8,\"content\":\"x\",\"special\":0}]"), LP_E_FORMAT,
     "special"},
    {NORMALIZE("\"Uppercase\""), LP_E_UNSUPPORTED, "normalizer: \"Uppercase\""},
    {NORMALIZE("7"), LP_E_FORMAT, "type"},
    {SMALL("\"normalizer\":[]"), LP_E_FORMAT, "normalizer"},
    {NORMALIZE("\"Prepend\""), LP_E_MISSING, "prepend"},
    {NORMALIZE("\"Replace\",\"content\":\"\""), LP_E_MISSING, "pattern"},
    {NORMALIZE("\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"\""), LP_E_FORMAT,
     "pattern"},
    {NORMALIZE("\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":7"), LP_E_FORMAT, "content"},
    {NORMALIZE("\"Replace\",\"pattern\":{\"Regex\":\"(a\"},\"content\":\"\""), LP_E_FORMAT,
     "\"(a\""},
    {NORMALIZE("\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"ByteLevel\"}]"),
     LP_E_UNSUPPORTED, "ByteLevel"},
    {NORMALIZE("\"BertNormalizer\",\"lowercase\":1"), LP_E_FORMAT, "lowercase"},
    {NORMALIZE("\"Precompiled\""), LP_E_FORMAT, "precompiled_charsmap"},
    {NORMALIZE("\"Precompiled\",\"precompiled_charsmap\":\"A\""), LP_E_FORMAT, "base64"},
    {NORMALIZE("\"Precompiled\",\"precompiled_charsmap\":\"AA=A\""), LP_E_FORMAT, "base64"},
    {NORMALIZE("\"Precompiled\",\"precompiled_charsmap\":\"AAAA\""), LP_E_FORMAT, "its 3 bytes"},
    {NORMALIZE("\"Precompiled\",\"precompiled_charsmap\":\"CAAAAAAA\""), LP_E_FORMAT,
     "its 6 bytes"},
    {PRE("\"UnicodeScripts\""), LP_E_UNSUPPORTED, "UnicodeScripts"},
    {PRE("\"CharDelimiterSplit\""), LP_E_FORMAT, "delimiter"},
    {PRE("\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\""), LP_E_FORMAT,
     "\"(\""},
    {PRE("\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Kept\""), LP_E_UNSUPPORTED,
     "Kept"},
    {PRE("\"Split\",\"pattern\":\"a\",\"behavior\":\"Isolated\""), LP_E_FORMAT, "pattern"},
    {PRE("\"Metaspace\",\"replacement\":\"_\""), LP_E_UNSUPPORTED, "Metaspace"},
    {PRE("\"Metaspace\",\"prepend_scheme\":\"last\""), LP_E_UNSUPPORTED, "\"last\""},
    {PRE("\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},{\"type\":\"ByteLevel\"}]"),
     LP_E_UNSUPPORTED, "second ByteLevel"},
    {PRE("\"Sequence\",\"pretokenizers\":[" SEQ SEQ SEQ SEQ SEQ SEQ SEQ SEQ SEQ SEQ
         "]}]}]}]}]}]}]}]}]}]}]"),
     LP_E_LIMIT, "nested"},
    {POST("\"PairProcessing\""), LP_E_UNSUPPORTED, "PairProcessing"},
    {POST("\"BertProcessing\""), LP_E_FORMAT, "cls"},
    {POST("\"RobertaProcessing\",\"cls\":[\"a\",0],\"sep\":[\"b\",4]"), LP_E_FORMAT, "sep"},
    {POST("\"TemplateProcessing\""), LP_E_MISSING, "single"},
    {POST("\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"B\"}}]"), LP_E_FORMAT,
     "no valid ids for B"},
    {POST(
         "\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"B\"}}],\"special_tokens\":"
         "{\"B\":{\"ids\":[4]}}"),
     LP_E_FORMAT, "no valid ids for B"},
    {POST("\"TemplateProcessing\",\"single\":[{\"Sequence\":{}},{\"Sequence\":{}}]"),
     LP_E_UNSUPPORTED, "template"},
    {POST("\"TemplateProcessing\",\"single\":[]"), LP_E_UNSUPPORTED, "template"},
    {SMALL("\"decoder\":{\"type\":\"CTC\"}"), LP_E_UNSUPPORTED, "decoder: \"CTC\""},
};

static void wrong_files_give_one_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        lp_tokenizer *tokenizer = NULL;
        lp_status status = read_json(hostile[i].json, NULL, &tokenizer);
        assert_null(tokenizer);
        if (status != hostile[i].status || !strstr(ctx.message, hostile[i].message) ||
            strncmp(ctx.message, "DIR/tokenizer.json: ", 20) != 0 || strchr(ctx.message, '\n'))
            fail_msg("%s: %s: %s", hostile[i].json, lp_status_text(status), ctx.message);
    }
}

static void growing_text_is_limited(void **state)
{
    (void)state;
    char json[8192], wide[101], text[101];
    lp_tokenizer *t = NULL;
    int32_t *ids;
    size_t n;
    memset(wide, 'a', 100);
    wide[100] = 0;
    memset(text, 'a', 100);
    text[100] = 0;
    snprintf(json, sizeof json,
             SMALL("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Replace\","
                   "\"pattern\":{\"String\":\"a\"},\"content\":\"%s\"},{\"type\":\"Replace\","
                   "\"pattern\":{\"String\":\"a\"},\"content\":\"%s\"}]}"),
             wide, wide);
    ok(read_json(json, NULL, &t));
    assert_int_equal(lp_tokenize(&ctx, t, text, 100, 0, &ids, &n), LP_E_LIMIT);
    assert_null(ids);
    lp_tokenizer_destroy(t);
}

static void missing_folder_is_named(void **state)
{
    (void)state;
    lp_tokenizer *t = NULL;
    assert_int_equal(lp_tokenizer_from_folder(&ctx, "/nonexistent", &t), LP_E_MISSING);
    assert_non_null(strstr(ctx.message, "/nonexistent: no tokenizer"));
    assert_null(t);
    lp_tokenizer_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_small_models),      cmocka_unit_test(reads_the_parts),
        cmocka_unit_test(reads_the_config),        cmocka_unit_test(wrong_files_give_one_line),
        cmocka_unit_test(growing_text_is_limited), cmocka_unit_test(missing_folder_is_named),
    };
    return cmocka_run_group_tests_name("tokenizer_json", tests, NULL, NULL);
}
