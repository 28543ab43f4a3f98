/* The vector kernels of the `cpu` device, those of every instruction set that this processor has,
 * beside sums in double over the dtype table: every type, lengths that are no multiple of a vector,
 * strides of rows; conversions to the bit, for all 65536 halves. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/half.h"
#include "ops/simd.h"

enum { MOST = 640, N_TABLES = 2 };

static const lp_dtype types[] = {LP_F32,  LP_F16,  LP_BF16, LP_Q8_0,
                                 LP_Q4_0, LP_Q4_K, LP_Q5_K, LP_Q6_K};

static int tables_of(const lp_simd *tables[N_TABLES])
{
    tables[0] = &lp_simd_portable;
    tables[1] = lp_simd_choose();
    return tables[1] != tables[0] ? 2 : 1;
}

static uint32_t state = 1;

static float number(void) /* in [-1, 1) */
{
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1.0f;
}

/* A row of weights in its file's form, and what the dtype table makes of it. */
static void make_weights(lp_dtype type, int64_t n, uint8_t *packed, float *values)
{
    float numbers[MOST];
    assert_true(n <= MOST);
    for (int64_t i = 0; i < n; i++)
        numbers[i] = number();
    lp_dtype_table[type].from_f32(numbers, packed, (size_t)n);
    lp_dtype_table[type].to_f32(packed, values, (size_t)n);
}

/* Sums may differ by what n additions in float may lose: n 2^-24 of the terms' absolute values. */
static void assert_sum(float got, const float *a, const float *b, int64_t n)
{
    double sum = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
        size += fabs((double)a[i] * (double)b[i]);
    }
    assert_true(fabs((double)got - sum) <= (double)n * 0x1p-24 * size);
}

static void test_dots(void **unused)
{
    (void)unused;
    static const int64_t lengths[] = {1, 7, 31, 32, 33, 64, 95, 96, 256, 320, 639, 640};
    static uint8_t packed[MOST * 4];
    static float values[MOST], rows[LP_SIMD_ROWS][MOST + 1];
    const lp_simd *tables[N_TABLES];
    const int n_tables = tables_of(tables);
    for (int t = 0; t < n_tables; t++)
        for (size_t k = 0; k < sizeof types / sizeof *types; k++)
            for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
                const float *x[LP_SIMD_ROWS];
                float single[LP_SIMD_ROWS], together[LP_SIMD_ROWS + 1];
                const int64_t n = lengths[l];
                if (n % lp_dtype_table[types[k]].block != 0)
                    continue;
                make_weights(types[k], n, packed, values);
                for (int r = 0; r < LP_SIMD_ROWS; r++) {
                    x[r] = rows[r];
                    for (int64_t i = 0; i < n; i++)
                        rows[r][i] = number();
                    rows[r][n] = NAN; /* not to be read */
                    lp_simd_dots(tables[t], types[k], packed, x + r, 1, n, single + r);
                    assert_sum(single[r], values, rows[r], n);
                }
                for (int count = 1; count <= LP_SIMD_ROWS; count++) {
                    together[count] = 42;
                    lp_simd_dots(tables[t], types[k], packed, x, count, n, together);
                    assert_memory_equal(together, single, (size_t)count * sizeof *single);
                    assert_true(together[count] == 42);
                }
            }
}

/* Against int8.h's promises: at most half a scale, scales of 16 bits, exact sums in double. */
static void test_int8(void **unused)
{
    (void)unused;
    enum { N = 512, BLOCKS = N / LP_INT8_BLOCK };
    static uint8_t packed[N * 4];
    static float values[N];
    const lp_simd *tables[N_TABLES];
    const int n_tables = tables_of(tables);
    for (int t = 0; t < n_tables; t++)
        for (int trial = 0; trial < 70; trial++) {
            float x[LP_SIMD_ROWS][N], rounded[LP_SIMD_ROWS][N], scales[LP_SIMD_ROWS][BLOCKS + 1];
            float sums[LP_SIMD_ROWS][BLOCKS + 1], plain_sums[BLOCKS];
            float out[LP_SIMD_ROWS], plain[BLOCKS];
            int8_t q[LP_SIMD_ROWS][N + 1], expected[N];
            lp_int8_row rows[LP_SIMD_ROWS];
            for (int r = 0; r < LP_SIMD_ROWS; r++) {
                for (int i = 0; i < N; i++)
                    x[r][i] = ldexpf(number(), trial % 7 * 10 - 30);
                scales[r][BLOCKS] = sums[r][BLOCKS] = 42;
                q[r][N] = 42;
                tables[t]->int8_round(x[r], N, q[r], scales[r], sums[r]);
                assert_true(scales[r][BLOCKS] == 42 && sums[r][BLOCKS] == 42 && q[r][N] == 42);
                lp_int8_round(x[r], N, expected, plain, plain_sums);
                assert_memory_equal(q[r], expected, N);
                assert_memory_equal(scales[r], plain, sizeof plain);
                assert_memory_equal(sums[r], plain_sums, sizeof plain_sums);
                lp_int8_values(q[r], scales[r], N, rounded[r]);
                for (int i = 0; i < N; i++) {
                    const double scale = (double)scales[r][i / LP_INT8_BLOCK];
                    assert_true((lp_f32_bits((float)scale) & 0xffu) == 0);
                    assert_true((double)rounded[r][i] == scale * q[r][i]);
                    assert_true(fabs((double)rounded[r][i] - (double)x[r][i]) <=
                                scale * (0.5 + 0x1p-16));
                }
                rows[r] = (lp_int8_row){q[r], scales[r], sums[r]};
            }
            for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
                if (tables[t]->int8_dots[types[k]] == NULL)
                    continue;
                const int64_t step = lp_dtype_table[types[k]].block;
                for (int64_t n = step; n <= N; n += step)
                    for (int count = 1; count <= LP_SIMD_ROWS; count++) {
                        float single;
                        make_weights(types[k], n, packed, values);
                        tables[t]->int8_dots[types[k]](packed, rows, count, n, out);
                        for (int r = 0; r < count; r++) {
                            tables[t]->int8_dots[types[k]](packed, rows + r, 1, n, &single);
                            assert_memory_equal(&out[r], &single, sizeof single);
                            assert_sum(out[r], values, rounded[r], n);
                        }
                    }
            }
        }
}

static void test_int8_of_odd_blocks(void **unused)
{
    (void)unused;
    static const float odd[] = {NAN, INFINITY, -INFINITY, 0x1p-101f, 0, -0.0f, 0x1.fffffep127f};
    const lp_simd *tables[N_TABLES];
    const int n_tables = tables_of(tables);
    for (int t = 0; t < n_tables; t++)
        for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
            float x[LP_INT8_BLOCK] = {0}, scale, sum, value[LP_INT8_BLOCK];
            int8_t q[LP_INT8_BLOCK];
            x[k * 3] = odd[k];
            tables[t]->int8_round(x, LP_INT8_BLOCK, q, &scale, &sum);
            lp_int8_values(q, &scale, LP_INT8_BLOCK, value);
            if (!isfinite(odd[k])) { /* all of them: so the sums are */
                for (int i = 0; i < LP_INT8_BLOCK; i++)
                    assert_true(isnan(value[i]));
            } else if (odd[k] > 1) {
                assert_true(q[k * 3] == 127 && (scale == INFINITY || scale * 127 >= odd[k]));
            } else {
                assert_true(scale == 0 && q[k * 3] == 0);
            }
        }
}

static void test_conversions(void **unused)
{
    (void)unused;
    static uint8_t packed[MOST * 4];
    static float expected[MOST], got[MOST + 1];
    const lp_simd *tables[N_TABLES];
    const int n_tables = tables_of(tables);
    for (int t = 0; t < n_tables; t++)
        for (size_t k = 0; k < sizeof types / sizeof *types; k++)
            for (int64_t n = lp_dtype_table[types[k]].block; n <= MOST;
                 n += lp_dtype_table[types[k]].block) {
                make_weights(types[k], n, packed, expected);
                got[n] = 42;
                lp_simd_to_f32(tables[t], types[k], packed, got, (size_t)n);
                assert_memory_equal(got, expected, (size_t)n * sizeof *got);
                assert_true(got[n] == 42);
            }
}

static void test_all_halves(void **unused)
{
    (void)unused;
    const lp_simd *tables[N_TABLES];
    const int n_tables = tables_of(tables);
    uint16_t *halves = malloc(65536 * sizeof *halves);
    float *values = malloc(65536 * sizeof *values);
    assert_true(halves != NULL && values != NULL);
    for (uint32_t i = 0; i < 65536; i++)
        halves[i] = (uint16_t)i;
    for (int t = 0; t < n_tables; t++) {
        lp_simd_to_f32(tables[t], LP_F16, halves, values, 65536);
        for (uint32_t i = 0; i < 65536; i++) {
            const float expected = lp_f16_to_f32((uint16_t)i);
            if (isnan(expected))
                assert_true(isnan(values[i]));
            else
                assert_memory_equal(&values[i], &expected, sizeof expected);
        }
    }
    free(halves);
    free(values);
}

/* Every number of rows, widths of one vector and more; nothing is written beside them. */
static void test_products(void **unused)
{
    (void)unused;
    enum { ROWS = 13, INNER = 9, WIDTH = 40, ROW = 43 };
    static float a[ROWS][INNER + 1], b[INNER][ROW], c[ROWS + 1][ROW], before[ROWS + 1][ROW];
    const lp_simd *tables[N_TABLES];
    const int n_tables = tables_of(tables);
    for (int t = 0; t < n_tables; t++)
        for (int64_t m = 0; m <= ROWS; m++)
            for (int64_t n = 0; n <= WIDTH; n += LP_SIMD_LANES) {
                const int64_t k = (m + n) % (INNER + 1);
                for (int64_t i = 0; i < ROWS * (INNER + 1); i++)
                    a[i / (INNER + 1)][i % (INNER + 1)] = number();
                for (int64_t i = 0; i < INNER * ROW; i++)
                    b[i / ROW][i % ROW] = number();
                for (int64_t i = 0; i < (ROWS + 1) * ROW; i++)
                    before[i / ROW][i % ROW] = c[i / ROW][i % ROW] = number();
                const float *rows[ROWS];
                for (int r = 0; r < ROWS; r++)
                    rows[r] = a[r];
                tables[t]->product(rows, 1, b[0], ROW, c[0], ROW, m, n, k);
                for (int64_t r = 0; r <= ROWS; r++)
                    for (int64_t j = 0; j < ROW; j++) {
                        double sum = (double)before[r][j];
                        for (int64_t i = 0; i < k && r < m && j < n; i++)
                            sum += (double)a[r][i + 1] * (double)b[i][j];
                        if (r < m && j < n)
                            assert_true(fabs((double)c[r][j] - sum) < 1e-5);
                        else
                            assert_true(c[r][j] == before[r][j]);
                    }
            }
}

static void test_transposes(void **unused)
{
    (void)unused;
    enum { M = 24, N = 16, ROW = 27 };
    static float from[M][ROW], to[N][ROW];
    const lp_simd *tables[N_TABLES];
    const int n_tables = tables_of(tables);
    for (int t = 0; t < n_tables; t++) {
        for (int i = 0; i < M * ROW; i++)
            from[i / ROW][i % ROW] = (float)i;
        for (int i = 0; i < N * ROW; i++)
            to[i / ROW][i % ROW] = -1;
        tables[t]->transpose(from[0], ROW, to[0], ROW, M, N);
        for (int r = 0; r < N; r++)
            for (int c = 0; c < ROW; c++)
                assert_true(to[r][c] == (c < M ? from[c][r] : -1));
    }
}

/* Units in the last place between a float and what it should be. */
static double ulps(float got, double wanted)
{
    return fabs((double)got - wanted) / (fmax(fabs(wanted), 0x1p-126) * 0x1p-23);
}

static void test_exponentials(void **unused)
{
    (void)unused;
    const lp_simd *tables[N_TABLES];
    const int n_tables = tables_of(tables);
    for (int t = 0; t < n_tables; t++)
        for (int i = 0; i < 200000; i++) {
            float x[LP_SIMD_LANES], got[LP_SIMD_LANES], line[LP_SIMD_LANES + 3];
            for (int k = 0; k < LP_SIMD_LANES; k++)
                x[k] = got[k] = line[k] = 100 * number();
            const float largest = i % 2 == 0 ? 100 : x[3];
            for (int k = 0; k < LP_SIMD_LANES; k++)
                x[k] = got[k] = x[k] > largest ? largest : x[k];
            tables[t]->exps(got, largest, LP_SIMD_LANES);
            for (int k = 0; k < LP_SIMD_LANES; k++) {
                const float d = x[k] - largest;
                if (d < -87)
                    assert_true(got[k] >= 0 && got[k] < 2e-38f);
                else
                    assert_true(ulps(got[k], exp((double)d)) <= 3);
            }
            const int64_t n = i % (LP_SIMD_LANES + 3) + 1; /* what is behind stays */
            for (int k = 0; k < LP_SIMD_LANES + 3; k++)
                line[k] = 100 * number();
            float was[LP_SIMD_LANES + 3];
            memcpy(was, line, sizeof was);
            tables[t]->silu(line, n);
            for (int64_t k = 0; k < LP_SIMD_LANES + 3; k++) {
                const double v = (double)was[k], wanted = v / (1 + exp(-v));
                if (k >= n)
                    assert_true(line[k] == was[k]);
                else
                    assert_true(v < -87 ? fabsf(line[k]) < 1e-35f : ulps(line[k], wanted) <= 6);
            }
        }
}

/* NaN stays NaN, infinities are what they should be. */
static void test_exponentials_of_infinities(void **unused)
{
    (void)unused;
    const lp_simd *tables[N_TABLES];
    const int n_tables = tables_of(tables);
    for (int t = 0; t < n_tables; t++) {
        float x[LP_SIMD_LANES] = {NAN, -INFINITY, 0, -1000, 0, 0, 0, 0};
        float y[LP_SIMD_LANES] = {NAN, -INFINITY, INFINITY, 0, 3e38f, -3e38f, -0.0f, 1};
        float z[LP_SIMD_LANES] = {INFINITY, 0};
        tables[t]->exps(x, 0, LP_SIMD_LANES);
        assert_true(isnan(x[0]) && x[1] == 0 && x[2] == 1 && x[3] == 0);
        tables[t]->silu(y, LP_SIMD_LANES);
        assert_true(isnan(y[0]) && isnan(y[1]) && y[2] == INFINITY && y[3] == 0);
        assert_true(y[4] == 3e38f && y[5] == 0 && y[6] == 0);
        assert_true(y[7] > 0.73105f && y[7] < 0.73107f);
        tables[t]->exps(z, INFINITY, LP_SIMD_LANES);
        assert_true(isnan(z[0]) && z[1] == 0);
    }
}

static void test_sums(void **unused)
{
    (void)unused;
    static float a[MOST], b[MOST], sum[MOST + 1];
    const lp_simd *tables[N_TABLES];
    const int n_tables = tables_of(tables);
    for (int t = 0; t < n_tables; t++)
        for (int64_t n = 1; n <= 130; n++) {
            for (int64_t i = 0; i < n; i++) {
                a[i] = number();
                b[i] = number();
                sum[i] = a[i];
            }
            sum[n] = 42;
            assert_sum(tables[t]->dot(a, b, n), a, b, n);
            tables[t]->add(sum, 0.75f, b, n);
            for (int64_t i = 0; i < n; i++)
                assert_true(fabsf(sum[i] - (a[i] + 0.75f * b[i])) <= 0x1p-22f);
            assert_true(sum[n] == 42);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dots),
                                       cmocka_unit_test(test_int8),
                                       cmocka_unit_test(test_int8_of_odd_blocks),
                                       cmocka_unit_test(test_conversions),
                                       cmocka_unit_test(test_all_halves),
                                       cmocka_unit_test(test_transposes),
                                       cmocka_unit_test(test_products),
                                       cmocka_unit_test(test_exponentials),
                                       cmocka_unit_test(test_exponentials_of_infinities),
                                       cmocka_unit_test(test_sums)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
