/* Tokenizers from GGUF metadata that is incomplete or wrong: one-line errors that name the key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "support/bytes.h"
#include "tensor/gguf_write.h"
#include "text/tokenizer.h"

#define KEY(name) "tokenizer.ggml." name

static lp_context ctx;
static char *folder, *path;

static int make_folder(void **state)
{
    (void)state;
    folder = scratch_create();
    path = lp_path_join(folder, "x.gguf");
    return path ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    scratch_destroy(folder);
    free(path);
    return 0;
}

/* What a file holds: strings separated by commas; NULL or 0 leaves a key out. */
typedef struct content {
    const char *model, *pre, *tokens, *merges;
    float scores[8];
    int n_scores;
    int32_t types[8];
    int n_types;
    int32_t bos, eos, eot; /* -1: none */
    bool tokens_are_numbers;
} content;

static void put_list(lp_gguf_writer *w, const char *key, const char *list)
{
    lp_gguf_string strings[16];
    uint64_t n = 0;
    while (list && *list) {
        size_t length = strcspn(list, ",");
        assert_true(n < 16);
        strings[n++] = (lp_gguf_string){list, length};
        list += length + (list[length] == ',');
    }
    if (list)
        lp_gguf_put_strings(w, key, strings, n);
}

static lp_status read_content(const content *c, lp_tokenizer **tokenizer)
{
    lp_gguf_writer *w = lp_gguf_writer_create(&ctx);
    assert_non_null(w);
    if (c->model)
        lp_gguf_put_string(w, KEY("model"), c->model);
    if (c->pre)
        lp_gguf_put_string(w, KEY("pre"), c->pre);
    if (c->tokens_are_numbers)
        lp_gguf_put_f32s(w, KEY("tokens"), c->scores, 2);
    else
        put_list(w, KEY("tokens"), c->tokens);
    put_list(w, KEY("merges"), c->merges);
    if (c->n_scores)
        lp_gguf_put_f32s(w, KEY("scores"), c->scores, (uint64_t)c->n_scores);
    if (c->n_types)
        lp_gguf_put_i32s(w, KEY("token_type"), c->types, (uint64_t)c->n_types);
    if (c->bos >= 0)
        lp_gguf_put_u32(w, KEY("bos_token_id"), (uint32_t)c->bos);
    if (c->eos >= 0)
        lp_gguf_put_u32(w, KEY("eos_token_id"), (uint32_t)c->eos);
    if (c->eot >= 0)
        lp_gguf_put_u32(w, KEY("eot_token_id"), (uint32_t)c->eot);
    assert_int_equal(lp_gguf_begin(w, path), LP_OK);
    assert_int_equal(lp_gguf_commit(w), LP_OK);
    lp_gguf_writer_destroy(w);

    lp_weights *weights = lp_weights_create();
    lp_gguf *gguf = NULL;
    assert_int_equal(lp_gguf_open(&ctx, path, weights, &gguf), LP_OK);
    ctx.message[0] = 0;
    lp_status status = lp_tokenizer_from_gguf(&ctx, gguf, tokenizer);
    lp_gguf_destroy(gguf);
    lp_weights_destroy(weights);
    return status;
}

static void check_ids(const lp_tokenizer *tokenizer, const char *text, unsigned flags,
                      const char *want)
{
    int32_t *ids;
    size_t n;
    char got[256] = "";
    assert_int_equal(lp_tokenize(&ctx, tokenizer, text, strlen(text), flags, &ids, &n), LP_OK);
    for (size_t i = 0; i < n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", i ? " " : "", ids[i]);
    assert_string_equal(got, want);
    free(ids);
}

#define NONE .bos = -1, .eos = -1, .eot = -1

static void reads_small_vocabularies(void **state)
{
    (void)state;
    lp_tokenizer *t = NULL;
    /* by score: "bc" (-1) before "ab" (-2), though "ab" is further left */
    content spm = {.model = "llama",
                   .tokens = "<unk>,<s>,</s>,a,b,c,ab,bc",
                   .scores = {0, 0, 0, -3, -3, -3, -2, -1},
                   .n_scores = 8,
                   .types = {2, 3, 3, 1, 1, 1, 1, 1},
                   .n_types = 8,
                   NONE};
    assert_int_equal(read_content(&spm, &t), LP_OK);
    check_ids(t, "abc", 0, "0 3 7"); /* the added space is unknown here */
    check_ids(t, "abc</s>", LP_TOKENIZE_ADD_SPECIAL | LP_TOKENIZE_PARSE_SPECIAL, "1 0 3 7 2");
    check_ids(t, "", LP_TOKENIZE_ADD_SPECIAL, "1");
    assert_true(lp_tokenizer_is_end(t, 2) && !lp_tokenizer_is_end(t, 1));
    lp_tokenizer_destroy(t);

    content bpe = {.model = "gpt2",
                   .pre = "gpt-2",
                   .tokens = "a,b,c,ab,bc,<end>,<turn>",
                   .merges = "a b,b c",
                   .types = {1, 1, 1, 1, 1, 3, 1},
                   .n_types = 7,
                   .bos = -1,
                   .eos = 5,
                   .eot = 6};
    assert_int_equal(read_content(&bpe, &t), LP_OK);
    check_ids(t, "abc<end>", LP_TOKENIZE_PARSE_SPECIAL, "3 2 5");
    check_ids(t, "a b", LP_TOKENIZE_ADD_SPECIAL, "0 1"); /* no token for a space: dropped */
    assert_true(lp_tokenizer_is_end(t, 5) && lp_tokenizer_is_end(t, 6));
    assert_false(lp_tokenizer_special(t).add_bos);
    lp_tokenizer_destroy(t);
}

static void wrong_metadata_gives_one_line(void **state)
{
    (void)state;
    static const struct {
        content content;
        lp_status status;
        const char *message;
    } rows[] = {
        {{NONE}, LP_E_MISSING, KEY("model")},
        {{.model = "rwkv", .tokens = "a", NONE}, LP_E_UNSUPPORTED, "\"rwkv\""},
        {{.model = "bert", NONE}, LP_E_MISSING, KEY("tokens")},
        {{.model = "t5", .tokens = "a,b", NONE}, LP_E_MISSING, KEY("scores")},
        {{.model = "llama", NONE}, LP_E_MISSING, KEY("tokens")},
        {{.model = "llama", .tokens_are_numbers = true, NONE}, LP_E_FORMAT, KEY("tokens")},
        {{.model = "llama", .tokens = "", NONE}, LP_E_MISSING, KEY("scores")},
        {{.model = "llama", .tokens = "a,b", NONE}, LP_E_MISSING, KEY("scores")},
        {{.model = "llama", .tokens = "a,b", .n_scores = 1, NONE}, LP_E_FORMAT, "1 values for 2"},
        {{.model = "llama", .tokens = "a,b", .n_scores = 2, .n_types = 3, NONE},
         LP_E_FORMAT,
         KEY("token_type")},
        {{.model = "llama", .tokens = "a,b", .n_scores = 2, .n_types = 2, NONE},
         LP_E_FORMAT,
         "token 0 has type 0"},
        {{.model = "llama", .tokens = "a,b", .n_scores = 2, .types = {1, 7}, .n_types = 2, NONE},
         LP_E_FORMAT,
         "token 1 has type 7"},
        {{.model = "llama", .tokens = "a,b", .n_scores = 2, .types = {1, 6}, .n_types = 2, NONE},
         LP_E_FORMAT,
         "token 1 is of type byte"},
        {{.model = "llama", .tokens = "a,b,a", .n_scores = 3, NONE},
         LP_E_FORMAT,
         "0 and 2 are both \"a\""},
        {{.model = "llama",
          .tokens = "a,b",
          .scores = {0, (float)(0.0 * (1e300 * 1e300))},
          .n_scores = 2,
          NONE},
         LP_E_FORMAT,
         "numbers expected"},
        {{.model = "llama", .tokens = "a,b", .n_scores = 2, .bos = 2, .eos = -1, .eot = -1},
         LP_E_FORMAT,
         KEY("bos_token_id")},
        {{.model = "gpt2", .pre = "nobody's", .tokens = "a", .merges = "", NONE},
         LP_E_UNSUPPORTED,
         "\"nobody's\""},
        {{.model = "gpt2", .tokens = "", .merges = "", NONE}, LP_E_FORMAT, "empty"},
        {{.model = "gpt2", .tokens = "a,b", NONE}, LP_E_MISSING, KEY("merges")},
        {{.model = "gpt2", .tokens = "a,b", .merges = "ab", NONE}, LP_E_FORMAT, "merge 0"},
        {{.model = "gpt2", .tokens = "a,b", .merges = "a x", NONE}, LP_E_FORMAT, "merge 0: \"x\""},
        {{.model = "gpt2", .tokens = "a,b", .merges = "a b", NONE}, LP_E_FORMAT, "\"ab\" is not"},
        {{.model = "gpt2", .tokens = "a", .merges = "", .bos = -1, .eos = -1, .eot = 9},
         LP_E_FORMAT,
         KEY("eot_token_id")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lp_tokenizer *tokenizer = NULL;
        lp_status status = read_content(&rows[i].content, &tokenizer);
        assert_null(tokenizer);
        if (status != rows[i].status || !strstr(ctx.message, rows[i].message) ||
            strchr(ctx.message, '\n'))
            fail_msg("row %zu: %s: %s", i, lp_status_text(status), ctx.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_small_vocabularies),
                                       cmocka_unit_test(wrong_metadata_gives_one_line)};
    return cmocka_run_group_tests_name("tokenizer_gguf", tests, make_folder, remove_folder);
}
