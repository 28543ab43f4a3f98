/* Tokenizers against ids from other libraries: the small fixtures of fixtures/tokenizer (made by its
 * make.py with Hugging Face's tokenizers and SentencePiece). Real vocabularies:
 * test_tokenizer_shared.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "support/tokenizer_ids.h"
#include "text/tokenizer.h"

#define FIXTURES LAPILLI_TEST_FIXTURES "/tokenizer/"
#define ALL      (LP_TOKENIZE_ADD_SPECIAL | LP_TOKENIZE_PARSE_SPECIAL)

static lp_context ctx;

/* Fixtures, and the cases that they share with another one. The first N_EXACT give back every text.
 */
static const struct {
    const char *name, *cases;
} fixtures[] = {{"gpt2", "gpt2"},
                {"llama3", "llama3"},
                {"qwen2", "qwen2"},
                {"llama2", "llama2"},
                {"roberta", "roberta"},
                {"roberta-bpe", "roberta"},
                {"gpt2.gguf", "gpt2.gguf"},
                {"llama3.gguf", "llama3.gguf"},
                {"qwen2.gguf", "qwen2.gguf"},
                {"spm.gguf", "spm.gguf"},
                {"bert", "bert"},
                {"bert-txt", "bert"},
                {"bert.gguf", "bert.gguf"},
                {"t5", "t5"},
                {"t5.gguf", "t5.gguf"},
                {"t5-spm", "t5.gguf"},
                {"user-spm", "user-spm"},
                {"clip", "clip"},
                {"clip-bpe", "clip"}};
#define N_FIXTURES (sizeof fixtures / sizeof fixtures[0])
#define N_EXACT    10

static void ok(lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx.message);
}

static lp_tokenizer *open_path(const char *path)
{
    lp_tokenizer *tokenizer = NULL;
    if (lp_path_is_folder(path)) {
        ok(lp_tokenizer_from_folder(&ctx, path, &tokenizer));
        return tokenizer;
    }
    lp_weights *weights = lp_weights_create();
    lp_gguf *gguf = NULL;
    assert_non_null(weights);
    ok(lp_gguf_open(&ctx, path, weights, &gguf));
    ok(lp_tokenizer_from_gguf(&ctx, gguf, &tokenizer));
    lp_gguf_destroy(gguf); /* the tokenizer keeps nothing of the file */
    lp_weights_destroy(weights);
    return tokenizer;
}

static lp_tokenizer *open_fixture(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, FIXTURES "%s", name);
    return open_path(path);
}

static int32_t id_of(const lp_tokenizer *tokenizer, const char *text)
{
    for (uint32_t i = 0; i < lp_tokenizer_size(tokenizer); i++) {
        const char *spelling;
        size_t n;
        ok(lp_token_text(&ctx, tokenizer, (int32_t)i, &spelling, &n));
        if (n == strlen(text) && memcmp(spelling, text, n) == 0)
            return (int32_t)i;
    }
    fail_msg("no token %s", text);
    return -1;
}

static int32_t *id_array(yyjson_val *list)
{
    int32_t *ids = calloc(yyjson_arr_size(list) + 1, sizeof *ids);
    yyjson_val *item;
    size_t i, n;
    assert_non_null(ids);
    yyjson_arr_foreach(list, i, n, item) ids[i] = (int32_t)yyjson_get_int(item);
    return ids;
}

static size_t from_hex(const char *hex, char *bytes)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        bytes[i] = (char)strtoul(pair, NULL, 16);
    }
    return n;
}

static yyjson_doc *open_cases(void)
{
    yyjson_doc *doc = NULL;
    ok(lp_json_open(&ctx, FIXTURES "cases.json", &doc));
    return doc;
}

static void gives_the_ids_of_other_libraries(void **state)
{
    (void)state;
    yyjson_doc *doc = open_cases();
    yyjson_val *root = yyjson_doc_get_root(doc), *text;
    size_t i, n, n_checked = 0;
    for (size_t f = 0; f < N_FIXTURES; f++) {
        lp_tokenizer *tokenizer = open_fixture(fixtures[f].name);
        yyjson_val *ids = yyjson_obj_get(yyjson_obj_get(root, "ids"), fixtures[f].cases);
        yyjson_val *broken = yyjson_obj_get(yyjson_obj_get(root, "broken_ids"), fixtures[f].cases);
        yyjson_arr_foreach(yyjson_obj_get(root, "texts"), i, n, text)
        {
            yyjson_val *list = yyjson_arr_get(ids, i);
            int32_t *want = id_array(list);
            assert_true(yyjson_is_arr(list));
            check_ids(fixtures[f].name, i, tokenizer, yyjson_get_str(text), yyjson_get_len(text),
                      ALL, want, yyjson_arr_size(list));
            n_checked += yyjson_arr_size(list);
            free(want);
        }
        yyjson_arr_foreach(yyjson_obj_get(root, "broken"), i, n, text)
        {
            yyjson_val *list = yyjson_arr_get(broken, i);
            int32_t *want = id_array(list);
            char bytes[64];
            if (!broken) {
                free(want);
                continue;
            }
            assert_true(yyjson_is_arr(list) && yyjson_get_len(text) <= 128);
            size_t n_bytes = from_hex(yyjson_get_str(text), bytes);
            check_ids(fixtures[f].name, i, tokenizer, bytes, n_bytes, ALL, want,
                      yyjson_arr_size(list));
            n_checked += yyjson_arr_size(list);
            free(want);
        }
        lp_tokenizer_destroy(tokenizer);
    }
    assert_true(n_checked > 15000);
    yyjson_doc_free(doc);
}

/* Marian: source and target have pieces of their own and share the ids of vocab.json. */
static void reads_marian_folders(void **state)
{
    (void)state;
    yyjson_doc *doc = open_cases();
    yyjson_val *marian = yyjson_obj_get(yyjson_doc_get_root(doc), "marian"), *text;
    lp_tokenizer *source = open_fixture("marian"), *target = NULL;
    size_t i, n;
    ok(lp_tokenizer_target_from_folder(&ctx, FIXTURES "marian", &target));
    yyjson_arr_foreach(yyjson_obj_get(marian, "texts"), i, n, text)
    {
        for (int side = 0; side < 2; side++) {
            yyjson_val *list =
                yyjson_arr_get(yyjson_obj_get(marian, side ? "target_ids" : "ids"), i);
            int32_t *want = id_array(list);
            assert_true(yyjson_is_arr(list));
            check_ids(side ? "marian's target" : "marian", i, side ? target : source,
                      yyjson_get_str(text), yyjson_get_len(text), ALL, want, yyjson_arr_size(list));
            free(want);
        }
    }
    assert_true(n > 60);
    lp_special_tokens special = lp_tokenizer_special(source);
    assert_true(special.eos == 0 && special.unknown == 1 && special.pad > 0 && special.add_eos);
    lp_tokenizer_destroy(source);
    lp_tokenizer_destroy(target);
    yyjson_doc_free(doc);
    assert_int_equal(lp_tokenizer_target_from_folder(&ctx, FIXTURES "bert", &target), LP_E_MISSING);
    assert_non_null(strstr(ctx.message, "target.spm"));
}

static void check_pair(const char *name, yyjson_val *pair, yyjson_val *want)
{
    lp_tokenizer *tokenizer = open_fixture(name);
    yyjson_val *a = yyjson_arr_get(pair, 0), *b = yyjson_arr_get(pair, 1);
    lp_tokenizer_text texts[2] = {{yyjson_get_str(a), yyjson_get_len(a)},
                                  {yyjson_get_str(b), yyjson_get_len(b)}};
    int32_t *ids, *segments;
    int32_t *want_ids = id_array(yyjson_arr_get(want, 0));
    int32_t *want_segments = id_array(yyjson_arr_get(want, 1));
    size_t n;
    ok(lp_tokenize_pair(&ctx, tokenizer, texts[0], texts[1], ALL, &ids, &segments, &n));
    assert_int_equal(n, yyjson_arr_size(yyjson_arr_get(want, 0)));
    for (size_t i = 0; i < n; i++)
        if (ids[i] != want_ids[i] || segments[i] != want_segments[i])
            fail_msg("%s, \"%s\" and \"%s\": token %zu is %d of segment %d, expected %d of %d",
                     name, texts[0].data, texts[1].data, i, ids[i], segments[i], want_ids[i],
                     want_segments[i]);
    free(ids);
    free(segments);
    free(want_ids);
    free(want_segments);
    lp_tokenizer_destroy(tokenizer);
}

static void puts_two_texts_into_one_sequence(void **state)
{
    (void)state;
    yyjson_doc *doc = open_cases();
    yyjson_val *root = yyjson_doc_get_root(doc), *pairs = yyjson_obj_get(root, "pairs");
    yyjson_val *name, *list, *pair;
    size_t f, n_names, i, n, n_checked = 0;
    yyjson_obj_foreach(yyjson_obj_get(root, "pair_ids"), f, n_names, name, list)
    {
        yyjson_arr_foreach(pairs, i, n, pair)
        {
            check_pair(yyjson_get_str(name), pair, yyjson_arr_get(list, i));
            n_checked++;
        }
    }
    assert_true(n_checked >= 30);
    yyjson_doc_free(doc);
}

/* Against the library's decoder. */
static void decodes_as_other_libraries(void **state)
{
    (void)state;
    yyjson_doc *doc = open_cases();
    yyjson_val *root = yyjson_doc_get_root(doc), *name, *list, *want;
    size_t f, n_names, i, n_texts, n_checked = 0;
    yyjson_obj_foreach(yyjson_obj_get(root, "decoded"), f, n_names, name, list)
    {
        lp_tokenizer *tokenizer = open_fixture(yyjson_get_str(name));
        yyjson_val *ids = yyjson_obj_get(yyjson_obj_get(root, "ids"), yyjson_get_str(name));
        yyjson_arr_foreach(list, i, n_texts, want)
        {
            int32_t *tokens = id_array(yyjson_arr_get(ids, i));
            char *text;
            size_t bytes;
            ok(lp_decode(&ctx, tokenizer, tokens, yyjson_arr_size(yyjson_arr_get(ids, i)), false,
                         &text, &bytes));
            if (bytes != yyjson_get_len(want) || memcmp(text, yyjson_get_str(want), bytes) != 0)
                fail_msg("%s, text %zu: got \"%s\", expected \"%s\"", yyjson_get_str(name), i, text,
                         yyjson_get_str(want));
            free(text);
            free(tokens);
            n_checked++;
        }
        lp_tokenizer_destroy(tokenizer);
    }
    assert_true(n_checked > 150);
    yyjson_doc_free(doc);
}

/* CLIP: a word's end is a space, but for the last one. */
static void decodes_ends_of_words(void **state)
{
    (void)state;
    lp_tokenizer *tokenizer = open_fixture("clip");
    int32_t *ids;
    char *text;
    size_t n, bytes;
    ok(lp_tokenize(&ctx, tokenizer, "The  White RABBIT's", 19, ALL, &ids, &n));
    ok(lp_decode(&ctx, tokenizer, ids, n, false, &text, &bytes));
    assert_string_equal(text, "the white rabbit 's");
    free(text);
    ok(lp_decode(&ctx, tokenizer, ids, n, true, &text, &bytes));
    assert_string_equal(text, "<|startoftext|>the white rabbit 's <|endoftext|>");
    free(text);
    ids[0] = (int32_t)lp_tokenizer_size(tokenizer);
    assert_int_equal(lp_decode(&ctx, tokenizer, ids, n, false, &text, &bytes), LP_E_ARG);
    assert_null(text);
    free(ids);
    lp_tokenizer_destroy(tokenizer);
}

/* Bytes of the ids, without the space that the tokenizer put in front. */
static char *decode_all(const lp_tokenizer *tokenizer, const int32_t *ids, size_t n, size_t *bytes)
{
    char *text = NULL;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const char *piece;
        size_t k;
        ok(lp_detokenize(&ctx, tokenizer, ids[i], &piece, &k));
        text = realloc(text, at + k + 1);
        assert_non_null(text);
        memcpy(text + at, piece, k);
        at += k;
    }
    if (lp_tokenizer_special(tokenizer).space_prefix && at > 0) {
        assert_int_equal(text[0], ' ');
        memmove(text, text + 1, --at);
    }
    *bytes = at;
    return text;
}

static void check_round_trip(const lp_tokenizer *tokenizer, const char *text, size_t bytes)
{
    int32_t *ids;
    size_t n, n_back;
    ok(lp_tokenize(&ctx, tokenizer, text, bytes, 0, &ids, &n));
    char *back = decode_all(tokenizer, ids, n, &n_back);
    assert_int_equal(n_back, bytes);
    if (bytes > 0)
        assert_memory_equal(back, text, bytes);
    free(back);
    free(ids);
}

/* Without PARSE_SPECIAL every text comes back, special tokens' names and broken bytes included.
 * (Not where text is composed first, or where U+2581 itself stands for a space.) */
static void decodes_to_the_same_bytes(void **state)
{
    (void)state;
    yyjson_doc *doc = open_cases();
    yyjson_val *root = yyjson_doc_get_root(doc), *text;
    size_t i, n;
    for (size_t f = 0; f < N_EXACT; f++) {
        lp_tokenizer *tokenizer = open_fixture(fixtures[f].name);
        yyjson_arr_foreach(yyjson_obj_get(root, "texts"), i, n,
                           text) if (strcmp(fixtures[f].name, "qwen2") != 0 &&
                                     !strstr(yyjson_get_str(text), "\xe2\x96\x81"))
            check_round_trip(tokenizer, yyjson_get_str(text), yyjson_get_len(text));
        yyjson_arr_foreach(yyjson_obj_get(root, "broken"), i, n, text)
        {
            char bytes[64];
            size_t n_bytes = from_hex(yyjson_get_str(text), bytes);
            check_round_trip(tokenizer, bytes, n_bytes);
        }
        for (int b = 0; b < 256; b++) {
            char byte = (char)b;
            check_round_trip(tokenizer, &byte, 1);
        }
        lp_tokenizer_destroy(tokenizer);
    }
    yyjson_doc_free(doc);
}

static void names_of_special_tokens_are_text_unless_asked_for(void **state)
{
    (void)state;
    static const char text[] = "<|im_start|>a<tool><|im_end|>";
    lp_tokenizer *tokenizer = open_fixture("qwen2");
    int32_t start = id_of(tokenizer, "<|im_start|>"), end = id_of(tokenizer, "<|im_end|>");
    int32_t tool = id_of(tokenizer, "<tool>"), a = id_of(tokenizer, "a"), *ids;
    size_t n, n_tools = 0;
    const int32_t want[] = {start, a, tool, end};
    check_ids("qwen2", 0, tokenizer, text, strlen(text), ALL, want, 4);
    ok(lp_tokenize(&ctx, tokenizer, text, strlen(text), LP_TOKENIZE_ADD_SPECIAL, &ids, &n));
    for (size_t i = 0; i < n; i++) {
        assert_true(ids[i] != start && ids[i] != end);
        n_tools += ids[i] == tool; /* no control token: always recognised */
    }
    assert_int_equal(n_tools, 1);
    free(ids);
    lp_tokenizer_destroy(tokenizer);
}

static void knows_special_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *fixture, *kind, *bos, *eos, *end, *no_end;
        bool add_bos, space_prefix;
    } rows[] = {
        {"gpt2", "BPE (byte-level)", "<|endoftext|>", "<|endoftext|>", "<|im_end|>", "<|im_start|>",
         false, false},
        {"llama3", "BPE (byte-level)", "<|begin|>", "<|im_end|>", "<|endoftext|>", "<|begin|>",
         true, false},
        {"qwen2", "BPE (byte-level)", NULL, "<|im_end|>", "<|endoftext|>", "<tool>", false, false},
        {"llama2", "BPE (byte fallback)", "<s>", "</s>", "</s>", "<s>", true, true},
        {"gpt2.gguf", "gpt2 (byte-level BPE, gpt-2)", "<|endoftext|>", "<|endoftext|>",
         "<|im_end|>", "<|im_start|>", false, false},
        {"llama3.gguf", "gpt2 (byte-level BPE, llama-bpe)", "<|begin|>", "<|im_end|>",
         "<|endoftext|>", "<|begin|>", true, false},
        {"qwen2.gguf", "gpt2 (byte-level BPE, qwen2)", NULL, "<|im_end|>", "<|endoftext|>", "a",
         false, false},
        {"spm.gguf", "llama (SentencePiece BPE)", "<s>", "</s>", "</s>", "<unk>", true, true},
        {"roberta", "BPE (byte-level)", "<s>", "</s>", "</s>", "<mask>", true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lp_tokenizer *t = open_fixture(rows[i].fixture);
        lp_special_tokens special = lp_tokenizer_special(t);
        const char *bytes;
        size_t n;
        assert_string_equal(lp_tokenizer_kind(t), rows[i].kind);
        assert_int_equal(special.bos, rows[i].bos ? id_of(t, rows[i].bos) : -1);
        assert_int_equal(special.eos, id_of(t, rows[i].eos));
        assert_int_equal(special.add_bos, rows[i].add_bos);
        assert_int_equal(special.add_eos, strcmp(rows[i].fixture, "roberta") == 0);
        assert_int_equal(special.space_prefix, rows[i].space_prefix);
        assert_true(lp_tokenizer_is_end(t, special.eos));
        assert_true(lp_tokenizer_is_end(t, id_of(t, rows[i].end)));
        assert_false(lp_tokenizer_is_end(t, id_of(t, rows[i].no_end)));
        assert_false(lp_tokenizer_is_end(t, -1));
        assert_false(lp_tokenizer_is_end(t, (int32_t)lp_tokenizer_size(t)));
        ok(lp_detokenize(&ctx, t, special.eos, &bytes, &n));
        assert_int_equal(n, 0); /* control tokens are not text */
        assert_int_equal(lp_detokenize(&ctx, t, -1, &bytes, &n), LP_E_ARG);
        assert_int_equal(lp_detokenize(&ctx, t, (int32_t)lp_tokenizer_size(t), &bytes, &n),
                         LP_E_ARG);
        lp_tokenizer_destroy(t);
    }
}

/* Long words and long runs; a quadratic merge loop would take many minutes. */
static void long_texts_take_seconds(void **state)
{
    (void)state;
    enum { BYTES = 1 << 18 };
    static const char *const units[] = {"ab",   " ",         "\n ", "e\xcc\x81\xcc\xa3",
                                        "\xff", "Alice was "};
    char *text = malloc(BYTES);
    assert_non_null(text);
    for (size_t f = 0; f < N_FIXTURES; f++) {
        lp_tokenizer *tokenizer = open_fixture(fixtures[f].name);
        for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
            size_t unit = strlen(units[u]), n, bytes = BYTES / unit * unit;
            for (size_t i = 0; i < bytes; i++)
                text[i] = units[u][i % unit];
            int32_t *ids;
            ok(lp_tokenize(&ctx, tokenizer, text, bytes, 0, &ids, &n));
            assert_true(n <= bytes + 1);
            assert_true(f >= N_EXACT || n > bytes / 40);
            free(ids);
        }
        lp_tokenizer_destroy(tokenizer);
    }
    /* marks in an order that normalising must turn round, in one run */
    lp_tokenizer *tokenizer = open_fixture("qwen2");
    for (size_t i = 0; i < BYTES / 4; i++)
        memcpy(text + 4 * i, "\xcc\x81\xcc\xa3", 4);
    int32_t *ids;
    size_t n;
    ok(lp_tokenize(&ctx, tokenizer, text, BYTES, 0, &ids, &n));
    assert_true(n > 0);
    free(ids);
    lp_tokenizer_destroy(tokenizer);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_ids_of_other_libraries),
        cmocka_unit_test(reads_marian_folders),
        cmocka_unit_test(puts_two_texts_into_one_sequence),
        cmocka_unit_test(decodes_as_other_libraries),
        cmocka_unit_test(decodes_ends_of_words),
        cmocka_unit_test(decodes_to_the_same_bytes),
        cmocka_unit_test(names_of_special_tokens_are_text_unless_asked_for),
        cmocka_unit_test(knows_special_tokens),
        cmocka_unit_test(long_texts_take_seconds),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
