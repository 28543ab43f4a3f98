/* The table of tensors: order, names, renaming, growth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tensor/weights.h"

static void finds_what_was_added(void **state)
{
    (void)state;
    enum { N = 3000 };
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    const lp_weight *first = NULL;
    for (int i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof(name), "blk.%d.weight", i);
        lp_weight w = {.name = name,
                       .dtype = LP_F16,
                       .shape = LP_SHAPE1(i + 1),
                       .bytes = 2 * (uint64_t)(i + 1)};
        assert_int_equal(lp_weights_add(&ctx, weights, &w), LP_OK);
        memset(name, 'x', 5); /* the table has its own copy */
        if (i == 0)
            first = lp_weights_find(weights, "blk.0.weight");
    }
    assert_ptr_equal(first, lp_weights_at(weights, 0)); /* addresses are stable */
    assert_string_equal(first->type, "F16");
    assert_int_equal(lp_weights_count(weights), N);
    assert_int_equal(lp_weights_bytes(weights), (uint64_t)N * (N + 1));
    for (int i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof(name), "blk.%d.weight", i);
        assert_int_equal(lp_weights_find(weights, name)->shape.dim[0], i + 1);
    }
    assert_null(lp_weights_find(weights, "blk.3000.weight"));
    lp_weight twin = {.name = "blk.7.weight", .dtype = LP_F32, .shape = LP_SHAPE1(1)};
    assert_int_equal(lp_weights_add(&ctx, weights, &twin), LP_E_FORMAT);
    assert_string_equal(ctx.message, "tensor blk.7.weight: the name occurs twice");
    lp_weights_destroy(weights);
}

static void renames(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    assert_null(lp_weights_find(weights, "a"));
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof(name), "model.layers.%d", i);
        lp_weight w = {.name = name, .dtype = LP_F32, .shape = LP_SHAPE1(1)};
        assert_int_equal(lp_weights_add(&ctx, weights, &w), LP_OK);
    }
    for (int round = 0; round < 50; round++) /* tombstones must not fill the table */
        for (size_t i = 0; i < 100; i++) {
            char name[32];
            snprintf(name, sizeof(name), "blk.%zu.%d", i, round);
            assert_int_equal(lp_weights_rename(&ctx, weights, i, name), LP_OK);
            assert_ptr_equal(lp_weights_find(weights, name), lp_weights_at(weights, i));
        }
    assert_null(lp_weights_find(weights, "model.layers.5"));
    assert_null(lp_weights_find(weights, "blk.5.48"));
    assert_int_equal(lp_weights_rename(&ctx, weights, 5, "blk.5.49"), LP_OK); /* its own name */
    assert_int_equal(lp_weights_rename(&ctx, weights, 5, "blk.6.49"), LP_E_FORMAT);
    assert_string_equal(ctx.message, "tensor blk.5.49: its new name blk.6.49 exists already");
    assert_string_equal(lp_weights_at(weights, 5)->name, "blk.5.49");
    lp_weights_destroy(weights);
}

static void owns_files(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    for (size_t i = 0; i < 10; i++) {
        lp_file file;
        assert_int_equal(lp_file_memory(&ctx, 100 * i, "a test", &file), LP_OK);
        assert_int_equal(lp_weights_own_file(&ctx, weights, &file), LP_OK);
        assert_null(file.data); /* the table's now */
    }
    lp_weights_destroy(weights);
    lp_weights_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_added),
        cmocka_unit_test(renames),
        cmocka_unit_test(owns_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
