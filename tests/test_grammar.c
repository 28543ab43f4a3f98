/* Grammars: GBNF and the recognizer. Judges: xgrammar (fixtures/grammar/make.py) for what is a text
 * and where a wrong one goes wrong; for random grammars a second recognizer, which tries every rule
 * at every place of the text (Cocke, Younger, Kasami). Mistakes are named with line and column. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <yyjson.h>

#include "text/recognizer.h"

static lp_context ctx;
static uint64_t random_state = 11;

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

/* How many bytes are the beginning of a text of the grammar; *whole: all of them are one. */
static size_t follow(lp_recognizer *r, const char *text, size_t n, bool *whole)
{
    lp_grammar_state state = lp_recognizer_start(r);
    size_t i = 0;
    for (; i < n; i++) {
        lp_grammar_state next;
        check(lp_recognizer_step(r, state, (uint8_t)text[i], &next));
        if (next == LP_GRAMMAR_DEAD)
            break;
        assert_true(lp_recognizer_may_end(r, next) || lp_recognizer_may_go_on(r, next));
        state = next;
    }
    *whole = i == n && lp_recognizer_may_end(r, state);
    return i;
}

/* ---- xgrammar ------------------------------------------------------------------------------ */

static void xgrammar_agrees(void **state)
{
    (void)state;
    yyjson_doc *doc = yyjson_read_file(LAPILLI_TEST_FIXTURES "/grammar/cases.json", 0, NULL, NULL);
    size_t c, n_cases, i, n, n_texts = 0;
    yyjson_val *one, *entry;
    assert_non_null(doc);
    yyjson_arr_foreach(yyjson_doc_get_root(doc), c, n_cases, one)
    {
        yyjson_val *text = yyjson_obj_get(one, "grammar");
        lp_grammar *grammar;
        lp_recognizer *r;
        check(lp_grammar_read(&ctx, yyjson_get_str(text), yyjson_get_len(text), &grammar));
        check(lp_recognizer_create(&ctx, grammar, &r));
        yyjson_arr_foreach(yyjson_obj_get(one, "texts"), i, n, entry)
        {
            yyjson_val *given = yyjson_arr_get(entry, 0);
            bool whole;
            const size_t alive = follow(r, yyjson_get_str(given), yyjson_get_len(given), &whole);
            if (alive != yyjson_get_uint(yyjson_arr_get(entry, 1)) ||
                whole != yyjson_get_bool(yyjson_arr_get(entry, 2)))
                fail_msg("%s\n%s: %zu bytes, %d", yyjson_get_str(text), yyjson_get_str(given),
                         alive, whole);
            n_texts++;
        }
        lp_recognizer_destroy(r);
        lp_grammar_destroy(grammar);
    }
    assert_true(n_cases > 20 && n_texts > 300);
    yyjson_doc_free(doc);
}

/* ---- A second recognizer ------------------------------------------------------------------- */

enum { MAX_RULES = 64, MAX_TEXT = 6 };

typedef struct chart {
    const lp_grammar *g;
    const char *text;
    size_t n;
    bool holds[MAX_RULES][MAX_TEXT + 1][MAX_TEXT + 1]; /* rule, from, to */
} chart;

/* Where symbols from `at` on can bring text[from, …): a bit per end. */
static uint32_t ends_of(const chart *c, uint32_t at, size_t from)
{
    const lp_symbol symbol = c->g->symbols[at];
    const uint32_t value = lp_symbol_value(symbol);
    uint32_t ends = 0;
    switch (lp_symbol_kind_of(symbol)) {
    case LP_SYMBOL_END:
        return 1u << from;
    case LP_SYMBOL_BYTE:
        return from < c->n && (uint8_t)c->text[from] == value ? ends_of(c, at + 1, from + 1) : 0;
    case LP_SYMBOL_SET: {
        const uint8_t byte = from < c->n ? (uint8_t)c->text[from] : 0;
        const bool there = c->g->sets[value].bits[byte / 64] >> byte % 64 & 1;
        return from < c->n && there ? ends_of(c, at + 1, from + 1) : 0;
    }
    default:
        for (size_t to = from; to <= c->n; to++)
            if (c->holds[value][from][to])
                ends |= ends_of(c, at + 1, to);
        return ends;
    }
}

/* Applies rules until nothing is new. */
static bool derive(chart *c, const lp_grammar *g, const char *text, size_t n)
{
    *c = (chart){.g = g, .text = text, .n = n};
    for (bool news = true; news;) {
        news = false;
        for (uint32_t r = 0; r < g->n_rules; r++)
            for (size_t from = 0; from <= n; from++) {
                uint32_t ends = 0;
                for (uint32_t i = 0; i < g->rules[r].n; i++)
                    ends |= ends_of(c, g->starts[g->rules[r].first + i], from);
                for (size_t to = from; to <= n; to++)
                    if ((ends >> to & 1) != 0 && !c->holds[r][from][to])
                        news = c->holds[r][from][to] = true;
            }
    }
    return c->holds[g->root][0][n];
}

/* A random right-hand side over rules a, b, c and the letters x, y. */
static void append_random(char *to, unsigned depth)
{
    static const char *const atoms[] = {"\"x\"", "\"y\"", "[xy]", "\"xy\"", "a", "b", "c", "\"\""};
    static const char *const operators[] = {"", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}"};
    for (uint32_t alternative = 0, n = 1 + below(3); alternative < n; alternative++) {
        strcat(to, alternative > 0 ? " | " : "");
        for (uint32_t i = 0, length = below(4); i < length; i++) {
            if (depth < 2 && below(4) == 0) {
                strcat(to, "(");
                append_random(to, depth + 1);
                strcat(to, ")");
            } else {
                strcat(to, atoms[below(sizeof atoms / sizeof *atoms)]);
            }
            strcat(to, operators[below(sizeof operators / sizeof *operators)]);
            strcat(to, " ");
        }
    }
}

/* Every text of x and y up to MAX_TEXT letters: accepted by both or by none; and what is alive is
 * exactly what an accepted text begins with, as far as such texts are short enough to be seen. */
static void compare_all_texts(const lp_grammar *g, const char *written)
{
    static bool accepted[2 << MAX_TEXT], begins[2 << MAX_TEXT]; /* by a leading 1 and the letters */
    lp_recognizer *r;
    static chart c;
    char text[MAX_TEXT];
    check(lp_recognizer_create(&ctx, g, &r));
    for (uint32_t code = 2u << MAX_TEXT; --code > 0;) {
        size_t n = 0;
        while (code >> (n + 1) != 0)
            n++;
        for (size_t i = 0; i < n; i++)
            text[i] = code >> (n - 1 - i) & 1 ? 'y' : 'x';
        bool whole;
        const size_t alive = follow(r, text, n, &whole);
        accepted[code] = derive(&c, g, text, n);
        begins[code] =
            accepted[code] || (n < MAX_TEXT && (begins[2 * code] || begins[2 * code + 1]));
        if (whole != accepted[code] || (begins[code] && alive < n))
            fail_msg("%s: %.*s: %zu bytes are alive, %d; should be %d", written, (int)n, text,
                     alive, whole, accepted[code]);
    }
    /* From every live text, some text ends: search on by the recognizer alone. */
    for (uint32_t code = 1; code < 1u << 5; code++) {
        lp_grammar_state at = lp_recognizer_start(r), next;
        size_t n = 0;
        while (code >> (n + 1) != 0)
            n++;
        for (size_t i = n; i-- > 0;)
            check(lp_recognizer_step(r, at, code >> i & 1 ? 'y' : 'x', &at));
        lp_grammar_state reached[4096];
        size_t n_reached = 0, done = 0;
        bool ends = at == LP_GRAMMAR_DEAD;
        reached[n_reached++] = at;
        while (!ends && done < n_reached && n_reached < 4000) {
            at = reached[done++];
            ends |= lp_recognizer_may_end(r, at);
            for (int letter = 'x'; letter <= 'y'; letter++) {
                check(lp_recognizer_step(r, at, (uint8_t)letter, &next));
                if (next != LP_GRAMMAR_DEAD)
                    reached[n_reached++] = next;
            }
        }
        if (!ends)
            fail_msg("%s: nothing ends what begins with %u", written, code);
    }
    lp_recognizer_destroy(r);
}

static void random_grammars(void **state)
{
    (void)state;
    unsigned n_good = 0, n_left = 0, n_endless = 0;
    for (int k = 0; k < 4000 && n_good < 150; k++) {
        char text[4096] = "root ::= ";
        lp_grammar *g;
        append_random(text, 0);
        for (char name = 'a'; name <= 'c'; name++) {
            sprintf(text + strlen(text), "\n%c ::= ", name);
            append_random(text, 0);
        }
        const lp_status status = lp_grammar_read(&ctx, text, strlen(text), &g);
        if (status != LP_OK) {
            n_left += strstr(ctx.message, "left recursion") != NULL;
            n_endless += strstr(ctx.message, "never ends") != NULL;
            assert_int_equal(status, LP_E_FORMAT);
            continue;
        }
        if (g->n_rules <= MAX_RULES) {
            compare_all_texts(g, text);
            n_good++;
        }
        lp_grammar_destroy(g);
    }
    assert_true(n_good == 150 && n_left > 20 && n_endless > 5);
}

/* ---- Mistakes ------------------------------------------------------------------------------ */

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *grammar, *message;
    } all[] = {
        {"", "line 1, column 1: there is no rule \"root\""},
        {"# nothing\n", "line 2, column 1: there is no rule \"root\""},
        {"a ::= \"b\"", "there is no rule \"root\""},
        {"root = \"b\"", "line 1, column 6: ::= is expected behind \"root\", not \"=\""},
        {"root ::= \"a\"\n  ::= \"b\"",
         "line 2, column 3: the name of a rule is expected, not \":\""},
        {"root ::= \"a\"\n\nroot ::= \"b\"", "line 3, column 1: there is a rule \"root\" already"},
        {"root ::= \"\xc3\xbc\" other", "line 1, column 14: there is no rule \"other\""},
        {"root ::= (\"a\"\nb ::= \"c\"", "line 1, column 10: no ) closes this ("},
        {"root ::= (\"a\"", "line 1, column 10: no ) closes this ("},
        {"root ::= \"a\")", "line 1, column 13: no ( is open for this )"},
        {"root ::= (\"a\" %)", "line 1, column 15: unexpected \"%\""},
        {"root ::= <think>", "line 1, column 10: unexpected \"<\""},
        {"root ::= \"a", "line 1, column 10: no \" ends this text in its line"},
        {"root ::= \"a\n\"", "line 1, column 10: no \" ends this text in its line"},
        {"root ::= [a-", "line 1, column 10: no ] ends this class in its line"},
        {"root ::= []", "line 1, column 10: no character is in this class"},
        {"root ::= [^\\x00-\\U0010FFFF]", "no character is in this class"},
        {"root ::= [z-a]", "line 1, column 11: a range from U+007A down to U+0061"},
        {"root ::= \"\\q\"", "line 1, column 11: \\ before \"q\"; there are "},
        {"root ::= \"\\x4\"",
         "line 1, column 14: 2 hexadecimal digits are expected here, not \"\"\""},
        {"root ::= \"\\uD800\"", "line 1, column 11: U+D800 is no character"},
        {"root ::= \"\\U00110000\"", "line 1, column 11: U+110000 is no character"},
        {"root ::= \"\\UFFFFFFFF\"", "is no character"},
        {"root ::= \"\xff\"", "line 1, column 11: this is no UTF-8"},
        {"root ::= *", "line 1, column 10: nothing stands before * to repeat"},
        {"root ::= \"a\" | {2}", "nothing stands before { to repeat"},
        {"root ::= \"a\"{}", "line 1, column 14: {m}, {m,}, {m,n} or {,n} is expected, not \"}\""},
        {"root ::= \"a\"{,}", "is expected, not \"}\""},
        {"root ::= \"a\"{x}", "line 1, column 14: {m}, {m,}, {m,n} or {,n} is expected, not \"x\""},
        {"root ::= \"a\"{3,2}", "line 1, column 13: at least 3 and at most 2 repetitions"},
        {"root ::= \"a\"{10001}", "line 1, column 14: at most 10000 repetitions are possible"},
        {"root ::= \"a\"{99999999999999999999}", "at most 10000 repetitions are possible"},
        {"root ::= root", "line 1, column 1: rule \"root\" never ends"},
        {"root ::= a\na ::= \"x\" b\nb ::= \"y\" a", "line 1, column 1: rule \"root\" never ends"},
        {"root ::= \"a\" | (\"b\" b)+\nb ::= \"c\" b", "line 2, column 1: rule \"b\" never ends"},
        {"root ::= root \"a\" | \"b\"", "line 1, column 1: rule \"root\" begins with itself"},
        {"root ::= \"z\"\n a ::= \"\" b\nb ::= c | \"x\"\nc ::= \"q\"* (a \"y\")?",
         "begins with itself"},
        {"root ::= \"x\"? root | \"y\"", "rule \"root\" begins with itself"},
        {"root ::= (\"x\"? root)* \"y\"", "rule \"root\" begins with itself"},
        {"root ::= a b", "line 1, column 10: there is no rule \"a\""},
        {"root ::= \"a\" b ::= \"c\"", "line 1, column 14: a rule begins in a line of its own"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        lp_grammar *g;
        const lp_status status = lp_grammar_read(&ctx, all[i].grammar, strlen(all[i].grammar), &g);
        if (status == LP_OK || g != NULL || strstr(ctx.message, all[i].message) == NULL)
            fail_msg("%s\nwanted: %s\ngot: %s", all[i].grammar, all[i].message,
                     status != LP_OK ? ctx.message : "no error");
    }
}

/* ---- Sizes --------------------------------------------------------------------------------- */

static char *repeated(const char *before, const char *part, size_t n, const char *behind)
{
    char *text = malloc(strlen(before) + n * strlen(part) + strlen(behind) + 1), *at = text;
    assert_non_null(text);
    at += sprintf(at, "%s", before);
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, "%s", part);
    sprintf(at, "%s", behind);
    return text;
}

static lp_status read_and_free(char *text, lp_grammar **g)
{
    const lp_status status = lp_grammar_read(&ctx, text, strlen(text), g);
    free(text);
    return status;
}

static void too_large(void **state)
{
    (void)state;
    lp_grammar *g;
    assert_int_equal(read_and_free(repeated("root ::= ", "(", 300, ""), &g), LP_E_LIMIT);
    assert_non_null(strstr(ctx.message, "line 1, column 266: more than 256 parentheses are open"));
    assert_int_equal(read_and_free(repeated("root ::= ", "\"a\"{10000} ", 300, ""), &g),
                     LP_E_LIMIT);
    assert_non_null(strstr(ctx.message, "the grammar becomes too large here"));
    assert_int_equal(read_and_free(repeated("root ::= ", "()", 1100000, ""), &g), LP_E_LIMIT);
    assert_non_null(strstr(ctx.message, "more than 1048576 rules and groups"));
    assert_int_equal(read_and_free(repeated("root ::= \"a\"\n", "a", 300, " ::= \"b\""), &g),
                     LP_E_LIMIT);
    /* a chain of 50,000 rules, each of which needs the next: no check goes through it twice */
    char *chain = malloc(50000 * 32), *at = chain;
    assert_non_null(chain);
    at += sprintf(at, "root ::= r0\n");
    for (int i = 0; i < 50000; i++)
        at += sprintf(at, "r%d ::= \"\" r%d\n", i, i + 1);
    sprintf(at, "r50000 ::= \"x\"\n");
    check(read_and_free(chain, &g));
    lp_grammar_destroy(g);
}

/* Texts that a set of stacks without sharing would need 2^n stacks for, or whose repetition is
 * long, or that nest. `most`: bytes that are followed. */
static void long_texts(void **state)
{
    (void)state;
    static const struct {
        const char *grammar, *before, *part, *behind;
        size_t n, most;
        bool whole;
    } all[] = {
        {"root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"\"", "", "a", "b", 900, SIZE_MAX, false},
        {"root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"\"", "", "a", "", 2000, 1000, false},
        {"root ::= [a-z]{0,10000}", "", "q", "", 10000, SIZE_MAX, true},
        {"root ::= [a-z]{0,10000}", "", "q", "", 10001, 10000, false},
        {"root ::= \"(\" root \")\" root | \"\"", "", "()", "", 20000, SIZE_MAX, true},
        {"root ::= (\"a\" | \"aa\" | \"aaa\")*", "", "a", "", 20000, SIZE_MAX, true},
        {"root ::= (\"a\"* \"a\"*)* \"b\"", "", "a", "b", 20000, SIZE_MAX, true},
        {"root ::= .*", "", "\xf0\x9f\x98\x80", "", 20000, SIZE_MAX, true},
        {"root ::= r r r r r r\nr ::= \"a\" r \"a\" | \"a\" r r | \"\"", "", "a", "", 100, SIZE_MAX,
         true},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        lp_grammar *g;
        lp_recognizer *r;
        bool whole;
        char *text = repeated(all[i].before, all[i].part, all[i].n, all[i].behind);
        const size_t n = strlen(text);
        check(lp_grammar_read(&ctx, all[i].grammar, strlen(all[i].grammar), &g));
        check(lp_recognizer_create(&ctx, g, &r));
        assert_int_equal(follow(r, text, n, &whole), all[i].most < n ? all[i].most : n);
        assert_int_equal(whole, all[i].whole);
        free(text);
        lp_recognizer_destroy(r);
        lp_grammar_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xgrammar_agrees),    cmocka_unit_test(random_grammars),
        cmocka_unit_test(mistakes_are_named), cmocka_unit_test(too_large),
        cmocka_unit_test(long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
