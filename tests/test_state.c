// Rows of K/V caches (src/tensor/state.h): sizes, what comes back, and the rule for the quants of
// Q8_0, judged in double, where all of its comparisons are exact.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tensor/state.h"

static void sizes(void **state)
{
    (void)state;
    assert_int_equal(lp_state_stride(LP_F32, 30), 30);
    assert_int_equal(lp_state_stride(LP_F16, 30), 30);
    assert_int_equal(lp_state_stride(LP_Q8_0, 30), 64);
    assert_int_equal(lp_state_stride(LP_Q8_0, 64), 64);
    assert_int_equal(lp_state_stride(LP_Q8_0, 65), 128);
    assert_int_equal(lp_state_bytes(LP_F16, 30), 60);
    assert_int_equal(lp_state_bytes(LP_Q8_0, 128), 136);
    assert_int_equal(lp_state_size(LP_F32, LP_SHAPE3(7, 2, 15)), 840);
    assert_int_equal(lp_state_size(LP_Q8_0, LP_SHAPE3(7, 2, 15)), 7 * 68);
    assert_int_equal(lp_state_size(LP_I32, LP_SHAPE1(8)), 32);
    assert_int_equal(lp_state_size(LP_Q8_0, LP_SHAPE3(7, INT64_MAX / 2, 15)), -1);
    for (int t = 0; t < LP_N_DTYPES; t++)
        assert_int_equal(lp_is_cache_type((lp_dtype)t), t == LP_F32 || t == LP_F16 || t == LP_Q8_0);
}

static void plain_types(void **state)
{
    (void)state;
    const float x[5] = {1, -2.5f, 0x1p-20f, 65504, 0};
    const int32_t whole[3] = {7, -1, 1 << 20};
    float got[5];
    uint16_t halves[5];
    lp_state_store(LP_F16, x, 5, halves);
    lp_state_load(LP_F16, halves, 1, 5, got);
    assert_memory_equal(got, x, sizeof x);
    lp_state_load(LP_F32, x, 5, 1, got);
    assert_memory_equal(got, x, sizeof x);
    lp_state_load(LP_I32, whole, 3, 1, got);
    assert_true(got[0] == 7 && got[1] == -1 && got[2] == 1 << 20);
}

static double half(unsigned bits)
{
    return (double)lp_f16_to_f32((uint16_t)bits);
}

// One block: the smallest d with 127 d >= all |x|, then the nearest multiples, halves away from
// zero.
static void check_block(const float *x, const uint8_t *quants, unsigned scale)
{
    double largest = 0;
    for (int i = 0; i < 32; i++)
        largest = fmax(largest, fabs((double)x[i]));
    assert_true(scale <= 0x7bff && 127 * half(scale) >= largest);
    assert_true(scale == 0 || 127 * half(scale - 1) < largest);
    for (int i = 0; i < 32; i++) {
        const int q = (int8_t)quants[i];
        const double d = half(scale), size = fabs((double)x[i]), n = abs(q);
        assert_true(q == 0 || (q < 0) == (x[i] < 0));
        assert_true(scale != 0 ? (n + 0.5) * d > size && (n - 0.5) * d <= size : q == 0);
    }
}

static float uniform(uint32_t *random)
{
    *random = *random * 1664525 + 1013904223;
    return (float)(*random >> 8) * 0x1p-23f - 1;
}

static void rule_of_the_quants(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int n = 0; n < 20000; n++) {
        float x[32], got[32];
        uint8_t row[68];
        const float size = ldexpf(1, n % 170 - 147); // from subnormals to far beyond halves
        for (int i = 0; i < 32; i++)
            x[i] = uniform(&random) * size;
        if (n % 3 == 0) // ties, and numbers beside them
            for (int i = 0; i < 32; i += 2) {
                const float tie = ((float)(i * 3) + 0.5f) * ldexpf(1, n % 30 - 24);
                x[i] = i % 4 ? -tie : tie;
                x[i + 1] = nextafterf(tie, i % 4 ? 0 : 1e9f);
            }
        memset(row, 0xa5, sizeof row);
        lp_state_store(LP_Q8_0, x, 32, row);
        uint16_t scales[2];
        memcpy(scales, row + 64, 4);
        check_block(x, row, scales[0]);
        lp_state_load(LP_Q8_0, row, 32, 1, got);
        for (int i = 0; i < 32; i++) {
            assert_true((double)got[i] == half(scales[0]) * (int8_t)row[i]);
            assert_int_equal(row[32 + i], 0); // what the row is padded with
        }
        assert_int_equal(scales[1], 0);
    }
}

// A block that cannot be stored is NaN as a whole, its neighbours are what they are.
static void numbers_that_do_not_fit(void **state)
{
    (void)state;
    const float bad[] = {INFINITY, -INFINITY, NAN, 3e38f, 8319009.0f};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        float x[96], got[96];
        uint8_t row[136];
        for (int i = 0; i < 96; i++)
            x[i] = (float)(i % 32 - 16);
        x[40] = bad[k];
        lp_state_store(LP_Q8_0, x, 96, row);
        lp_state_load(LP_Q8_0, row, 96, 1, got);
        for (int i = 0; i < 96; i++)
            assert_true(i / 32 == 1 ? isnan(got[i]) : fabsf(got[i] - x[i]) <= 0.07f);
    }
    float largest[32] = {127 * 65504.0f}, got[32];
    uint8_t row[68];
    lp_state_store(LP_Q8_0, largest, 32, row);
    lp_state_load(LP_Q8_0, row, 32, 1, got);
    assert_true(got[0] == largest[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(plain_types),
        cmocka_unit_test(rule_of_the_quants),
        cmocka_unit_test(numbers_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
