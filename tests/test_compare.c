/* The comparison of tensors: known differences, values that are not finite, one wrong element among
 * a million, divergence and order of logits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "check/compare.h"
#include "graph/plan.h"

static void known_differences(void **state)
{
    (void)state;
    const float a[] = {1, -2, 2}, b[] = {1, -2, 3}, sigma[] = {1, 1, 0.25f};
    lp_difference d = lp_compare(a, b, sigma, 3);
    assert_int_equal(d.n, 3);
    assert_int_equal(d.worst, 2);
    assert_true(fabs(d.nmse - 1.0 / 9) < 1e-15);
    assert_true(d.largest == 4 && fabs(d.mean_square - 16.0 / 3) < 1e-15);
    assert_true(d.max_abs == 1 && d.max_ulp == 0x400000);
    assert_true(d.expected == 2 && d.got == 3 && d.sigma == 0.25);
    assert_true(fabs(d.cosine - 11 / (3 * sqrt(14))) < 1e-15);
    assert_false(lp_difference_agrees(&d));
    d = lp_compare(a, a, sigma, 3);
    assert_true(lp_difference_agrees(&d) && d.nmse == 0 && d.largest == 0 && d.max_ulp == 0);
    d = lp_compare(a, b, NULL, 3); /* exact values are wanted */
    assert_true(isinf(d.largest));
    d = lp_compare(a, a, NULL, 3);
    assert_true(lp_difference_agrees(&d));
    const float zero = 0, minus_zero = -0.0f;
    d = lp_compare(&zero, &minus_zero, NULL, 1);
    assert_true(lp_difference_agrees(&d) && d.max_ulp == 0 && d.cosine == 1);
}

static void not_finite(void **state)
{
    (void)state;
    const float a[] = {1, INFINITY, NAN}, b[] = {1, INFINITY, -NAN}, sigma[] = {1, 1, 1};
    lp_difference d = lp_compare(a, b, sigma, 3);
    assert_true(lp_difference_agrees(&d));
    assert_int_equal(d.n_nan, 1);
    assert_int_equal(d.n_inf, 1);
    const float c[] = {1, -INFINITY, NAN}, e[] = {NAN, INFINITY, NAN}, f[] = {1, INFINITY, 3};
    d = lp_compare(a, c, sigma, 3);
    assert_true(!lp_difference_agrees(&d) && d.worst == 1);
    d = lp_compare(a, e, sigma, 3);
    assert_true(!lp_difference_agrees(&d) && d.worst == 0 && isinf(d.largest));
    d = lp_compare(a, f, sigma, 3); /* a number where there should be none */
    assert_true(!lp_difference_agrees(&d) && d.worst == 2);
}

static void one_in_a_million(void **state)
{
    (void)state;
    enum { N = 1000000 };
    float *a = malloc(3 * N * sizeof *a), *b = a + N, *sigma = b + N;
    assert_non_null(a);
    for (int i = 0; i < N; i++) {
        a[i] = b[i] = (float)(i % 7 - 3);
        sigma[i] = 1e-6f;
    }
    b[777777] += 1e-5f; /* NMSE 2.5e-17 */
    lp_difference d = lp_compare(a, b, sigma, N);
    assert_false(lp_difference_agrees(&d));
    assert_int_equal(d.worst, 777777);
    b[777777] = a[777777];
    for (int i = 0; i < N; i++) /* each small, together too much */
        b[i] = a[i] + 2.5e-6f;
    d = lp_compare(a, b, sigma, N);
    assert_true(d.largest < LP_SIGMA_LARGEST && !lp_difference_agrees(&d));
    free(a);
}

static void logits(void **state)
{
    (void)state;
    const float p[] = {0, logf(3)}, q[] = {5, 5}, bad[] = {0, NAN}, none[] = {-INFINITY, 2};
    assert_true(fabs(lp_kl_divergence(p, p, 2)) < 1e-12);
    /* 1/4 log(1/2) + 3/4 log(3/2) */
    assert_true(fabs(lp_kl_divergence(p, q, 2) - 0.130812) < 1e-6);
    assert_true(isinf(lp_kl_divergence(p, bad, 2)));
    assert_true(fabs(lp_kl_divergence(none, none, 2)) < 1e-12);
    const float x[] = {1, 7, 3, 7, -1};
    uint64_t ids[3];
    lp_top_k(x, 5, 3, ids);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 3);
    assert_int_equal(ids[2], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_differences),
        cmocka_unit_test(not_finite),
        cmocka_unit_test(one_in_a_million),
        cmocka_unit_test(logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
