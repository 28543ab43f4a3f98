/* The merge loop against the definition: again and again, join the best pair, the leftmost of
 * equals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/bpe.h"

static lp_context ctx;
static uint32_t seed = 12345;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* The definition, on plain arrays; the table's rule decides what joins. Returns the new count. */
static size_t merge_slowly(const lp_bpe_table *table, lp_bpe_symbol *symbols, size_t n)
{
    for (;;) {
        size_t best = n;
        double best_key = 0, key;
        int32_t best_id = -1, id;
        for (size_t i = 0; i + 1 < n; i++)
            if (lp_bpe_table_rule(table, &symbols[i], &symbols[i + 1], &key, &id) &&
                (best == n || key < best_key)) {
                best = i;
                best_key = key;
                best_id = id;
            }
        if (best == n)
            return n;
        symbols[best].id = best_id;
        symbols[best].length += symbols[best + 1].length;
        memmove(&symbols[best + 1], &symbols[best + 2], (n - best - 2) * sizeof *symbols);
        n--;
    }
}

static void merges_as_defined(void **state)
{
    (void)state;
    enum { MAX = 60 };
    lp_bpe bpe = {0};
    for (int round = 0; round < 3000; round++) {
        uint32_t n_letters = 1 + draw(4), n_merges = draw(40), n_ids = n_letters;
        lp_bpe_table table;
        assert_int_equal(lp_bpe_table_create(&ctx, &table, n_merges), LP_OK);
        for (uint32_t i = 0; i < n_merges; i++, n_ids++) {
            int32_t left = (int32_t)draw(n_ids), right = (int32_t)draw(n_ids);
            lp_bpe_table_add(&table, left, right, draw(20), (int32_t)n_ids); /* with ties */
        }
        lp_bpe_symbol expected[MAX];
        size_t n = draw(MAX);
        lp_bpe_clear(&bpe);
        for (size_t i = 0; i < n; i++) {
            int32_t id = (int32_t)draw(n_letters + 1) - 1; /* -1 joins with nothing */
            assert_int_equal(lp_bpe_add(&ctx, &bpe, (uint32_t)i, 1, id), LP_OK);
            expected[i] = bpe.symbols[i];
        }
        size_t n_expected = merge_slowly(&table, expected, n), k = 0;
        assert_int_equal(lp_bpe_merge(&ctx, &bpe, lp_bpe_table_rule, &table), LP_OK);
        for (int32_t i = n ? 0 : -1; i >= 0; i = bpe.symbols[i].next, k++) {
            assert_true(k < n_expected);
            assert_int_equal(bpe.symbols[i].id, expected[k].id);
            assert_int_equal(bpe.symbols[i].start, expected[k].start);
            assert_int_equal(bpe.symbols[i].length, expected[k].length);
        }
        assert_int_equal(k, n_expected);
        lp_bpe_table_destroy(&table);
    }
    lp_bpe_free(&bpe);
}

static void table_finds_what_was_added(void **state)
{
    (void)state;
    enum { N = 20000 };
    lp_bpe_table table;
    assert_int_equal(lp_bpe_table_create(&ctx, &table, N + 1), LP_OK);
    for (int32_t i = 0; i < N; i++)
        lp_bpe_table_add(&table, i, i * 7 % N, (uint32_t)i, i + 1);
    lp_bpe_table_add(&table, 5, 35, 9, 99); /* there already: the first one counts */
    for (int32_t i = 0; i < N; i++) {
        lp_bpe_symbol left = {.id = i}, right = {.id = i * 7 % N}, other = {.id = (i * 7 + 1) % N};
        double key = -1;
        int32_t id = -1;
        assert_true(lp_bpe_table_rule(&table, &left, &right, &key, &id));
        assert_true(key == i && id == i + 1);
        assert_false(lp_bpe_table_rule(&table, &left, &other, &key, &id));
    }
    lp_bpe_table_destroy(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(merges_as_defined),
                                       cmocka_unit_test(table_finds_what_was_added)};
    return cmocka_run_group_tests_name("tokenizer_bpe", tests, NULL, NULL);
}
