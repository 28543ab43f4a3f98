/* Masks of vocabularies: each bit against the bytes of that one token, from the start of the text,
 * on the way through random texts; with vocabularies whose tokens end within a character. And what
 * a sampler makes of it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "text/constraint.h"
#include "text/recognizer.h"
#include "text/sampler.h"

#define FIXTURES LAPILLI_TEST_FIXTURES "/tokenizer/"

static lp_context ctx;
static uint64_t random_state = 5;

static uint32_t below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

static void check(lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx.message);
}

static lp_grammar *read_grammar(const char *text)
{
    lp_grammar *g;
    check(lp_grammar_read(&ctx, text, strlen(text), &g));
    return g;
}

/* The state behind a text and a token more. */
static lp_grammar_state behind(lp_recognizer *r, const char *text, size_t n, const char *more,
                               size_t n_more)
{
    lp_grammar_state state = lp_recognizer_start(r);
    for (size_t i = 0; i < n; i++)
        check(lp_recognizer_step(r, state, (uint8_t)text[i], &state));
    for (size_t i = 0; i < n_more; i++)
        check(lp_recognizer_step(r, state, (uint8_t)more[i], &state));
    return state;
}

/* All bits, each by itself. Returns how many texts may go on with. */
static uint32_t check_mask(lp_constraint *c, lp_recognizer *r, const lp_tokenizer *tokenizer,
                           uint32_t n_vocab, const char *text, size_t n)
{
    const uint64_t *bits;
    uint32_t n_allowed = 0;
    check(lp_constraint_allowed(c, &bits));
    const bool may_end = lp_recognizer_may_end(r, behind(r, text, n, NULL, 0));
    for (uint32_t i = 0; i < n_vocab; i++) {
        const bool allowed = bits[i / 64] >> i % 64 & 1;
        bool wanted = false;
        const char *more;
        size_t n_more;
        if (i < lp_tokenizer_size(tokenizer) && lp_tokenizer_is_end(tokenizer, (int32_t)i)) {
            wanted = may_end;
        } else if (i < lp_tokenizer_size(tokenizer)) {
            check(lp_detokenize(&ctx, tokenizer, (int32_t)i, &more, &n_more));
            wanted = n_more > 0 && behind(r, text, n, more, n_more) != LP_GRAMMAR_DEAD;
            n_allowed += wanted;
        }
        if (allowed != wanted)
            fail_msg("behind \"%.*s\", token %u: %d", (int)n, text, i, allowed);
    }
    return n_allowed;
}

static const char *const grammars[] = {
    "root ::= .*",
    "root ::= \"\\u00fc\\u20ac\\U0001F600\"{3} [\\u4e00-\\u9fff]+ \" end\"?",
    "root ::= ([a-z]+ | \" \" | \"\\n\")+ \".\"",
    "root ::= [^\\x00-\\x7f]{1,6}",
    "root ::= o\no ::= \"{\" (s \":\" v (\",\" s \":\" v)*)? \"}\"\n"
    "v ::= o | s | [0-9]+ | \"[\" (v (\",\" v)*)? \"]\"\n"
    "s ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" [\"\\\\nrt])* \"\\\"\"",
    "root ::= \"yes\" | \"no\" | \" Yes\" | \"\"",
};

static void masks_are_those_of_single_tokens(void **state)
{
    (void)state;
    static const char *const files[] = {"spm.gguf", "gpt2.gguf", "llama3.gguf", "qwen2.gguf"};
    uint32_t n_cut = 0; /* texts that ended within a character on the way */
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        char path[512];
        lp_tokenizer *tokenizer;
        strcat(strcpy(path, FIXTURES), files[f]);
        check(lp_tokenizer_open(&ctx, path, &tokenizer));
        const uint32_t n_vocab = lp_tokenizer_size(tokenizer) + 5; /* rows that pad it */
        for (size_t k = 0; k < sizeof grammars / sizeof *grammars; k++) {
            lp_grammar *g = read_grammar(grammars[k]);
            lp_constraint *c;
            lp_recognizer *r;
            char text[4096];
            size_t n = 0;
            check(lp_recognizer_create(&ctx, g, &r));
            check(lp_constraint_create(&ctx, tokenizer, n_vocab, read_grammar(grammars[k]), &c));
            for (int step = 0; step < 40; step++) {
                const uint64_t *bits;
                const char *more;
                size_t n_more;
                const uint32_t n_allowed = check_mask(c, r, tokenizer, n_vocab, text, n);
                const lp_grammar_state at = behind(r, text, n, NULL, 0);
                assert_int_equal(lp_constraint_is_finished(c),
                                 lp_recognizer_may_end(r, at) && !lp_recognizer_may_go_on(r, at));
                if (n_allowed == 0)
                    break;
                check(lp_constraint_allowed(c, &bits));
                uint32_t token = below(n_vocab);
                while ((bits[token / 64] >> token % 64 & 1) == 0 ||
                       lp_tokenizer_is_end(tokenizer, (int32_t)token))
                    token = (token + 1) % n_vocab;
                check(lp_detokenize(&ctx, tokenizer, (int32_t)token, &more, &n_more));
                assert_true(n + n_more < sizeof text);
                check(lp_constraint_accept(c, (int32_t)token));
                memcpy(text + n, more, n_more);
                n += n_more;
                n_cut += lp_utf8_valid_bytes(text, n) < n;
            }
            lp_constraint_destroy(c);
            lp_recognizer_destroy(r);
            lp_grammar_destroy(g);
        }
        lp_tokenizer_destroy(tokenizer);
    }
    assert_true(n_cut > 100);
}

static int32_t token_of(const lp_tokenizer *tokenizer, const char *text)
{
    for (uint32_t i = 0; i < lp_tokenizer_size(tokenizer); i++) {
        const char *bytes;
        size_t n;
        check(lp_detokenize(&ctx, tokenizer, (int32_t)i, &bytes, &n));
        if (n == strlen(text) && memcmp(bytes, text, n) == 0)
            return (int32_t)i;
    }
    fail_msg("no token %s", text);
    return -1;
}

static void texts_can_be_taken_back(void **state)
{
    (void)state;
    lp_tokenizer *tokenizer;
    lp_constraint *c;
    check(lp_tokenizer_open(&ctx, FIXTURES "gpt2.gguf", &tokenizer));
    const int32_t a = token_of(tokenizer, "a"), b = token_of(tokenizer, "b");
    const int32_t end = lp_tokenizer_special(tokenizer).eos;
    check(lp_constraint_create(&ctx, tokenizer, lp_tokenizer_size(tokenizer),
                               read_grammar("root ::= \"a\" \"b\" \"a\"?"), &c));
    assert_int_equal(lp_constraint_accept(c, b), LP_E_ARG);
    assert_non_null(strstr(ctx.message, "cannot follow here"));
    assert_int_equal(lp_constraint_accept(c, end), LP_E_ARG);
    check(lp_constraint_accept(c, a)); /* what was refused changed nothing */
    check(lp_constraint_accept(c, b));
    check(lp_constraint_accept(c, end));
    check(lp_constraint_take_back(c, 1));
    assert_false(lp_constraint_is_finished(c));
    check(lp_constraint_accept(c, a));
    assert_true(lp_constraint_is_finished(c));
    check(lp_constraint_take_back(c, 2));
    assert_int_equal(lp_constraint_accept(c, a), LP_E_ARG);
    check(lp_constraint_accept(c, b));
    check(lp_constraint_take_back(c, 0));
    check(lp_constraint_accept(c, a));
    check(lp_constraint_take_back(c, 1000));
    check(lp_constraint_accept(c, a));
    lp_constraint_restart(c);
    assert_int_equal(lp_constraint_accept(c, b), LP_E_ARG);
    check(lp_constraint_accept(c, a));
    lp_constraint_destroy(c);
    lp_tokenizer_destroy(tokenizer);
}

/* A sampler with a grammar draws what one without it draws from logits that are -inf elsewhere. */
static void samplers_see_what_is_left(void **state)
{
    (void)state;
    lp_tokenizer *tokenizer;
    lp_sampler *plain, *bound;
    check(lp_tokenizer_open(&ctx, FIXTURES "spm.gguf", &tokenizer));
    const uint32_t n_vocab = lp_tokenizer_size(tokenizer);
    lp_sampling s = LP_SAMPLING_DEFAULT;
    s.seed = 3;
    check(lp_sampler_create(&ctx, tokenizer, n_vocab, &s, &plain));
    assert_true(lp_sampler_on_device(plain));
    s.grammar = grammars[2];
    check(lp_sampler_create(&ctx, tokenizer, n_vocab, &s, &bound));
    assert_false(lp_sampler_on_device(bound));
    lp_constraint *c;
    check(lp_constraint_create(&ctx, tokenizer, n_vocab, read_grammar(grammars[2]), &c));
    float *logits = malloc(n_vocab * sizeof *logits), *struck = malloc(n_vocab * sizeof *struck);
    assert_true(logits != NULL && struck != NULL);
    int n = 0;
    for (; n < 300 && !lp_sampler_is_finished(bound); n++) {
        int32_t drawn, wanted;
        const uint64_t *bits;
        check(lp_constraint_allowed(c, &bits));
        for (uint32_t i = 0; i < n_vocab; i++) {
            logits[i] = (float)below(1000) / 100.0f;
            struck[i] = bits[i / 64] >> i % 64 & 1 ? logits[i] : -INFINITY;
        }
        check(lp_sampler_draw(plain, struck, NULL, 0, (uint32_t)n, &wanted));
        check(lp_sampler_draw(bound, logits, NULL, 0, (uint32_t)n, &drawn));
        assert_int_equal(drawn, wanted);
        if (lp_tokenizer_is_end(tokenizer, drawn))
            break;
        check(lp_constraint_accept(c, drawn));
    }
    assert_true(n > 3);
    free(logits);
    free(struck);
    lp_constraint_destroy(c);
    lp_sampler_destroy(plain);
    lp_sampler_destroy(bound);
    s.grammar = "root ::=";
    check(lp_sampler_create(&ctx, tokenizer, n_vocab, &s, &bound));
    assert_true(lp_sampler_is_finished(bound)); /* the empty text, and no other */
    lp_sampler_destroy(bound);
    s.grammar = "root ::= x";
    assert_int_equal(lp_sampler_create(&ctx, tokenizer, n_vocab, &s, &bound), LP_E_FORMAT);
    lp_tokenizer_destroy(tokenizer);
}

/* A vocabulary of letters only cannot write what some grammars want. */
static void nothing_can_follow(void **state)
{
    (void)state;
    lp_tokenizer *tokenizer;
    lp_constraint *c;
    float logits[8192] = {0};
    check(lp_tokenizer_open(&ctx, FIXTURES "bert.gguf", &tokenizer));
    const uint32_t n_vocab = lp_tokenizer_size(tokenizer);
    assert_true(n_vocab <= sizeof logits / sizeof *logits);
    check(lp_constraint_create(&ctx, tokenizer, n_vocab, read_grammar("root ::= \"\\x01\""), &c));
    assert_int_equal(lp_constraint_strike(c, logits), LP_E_ARG);
    assert_non_null(
        strstr(ctx.message, "grammar: behind the prompt, no token of this vocabulary can follow"));
    lp_constraint_destroy(c);
    lp_tokenizer_destroy(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_those_of_single_tokens),
        cmocka_unit_test(texts_can_be_taken_back),
        cmocka_unit_test(samplers_see_what_is_left),
        cmocka_unit_test(nothing_can_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
