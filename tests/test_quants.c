/* Types whose blocks need a search for scales: to f32 bit for bit as the Python package gguf does
 * it, from f32 no worse than llama.cpp's llama-quantize (data/quants/more.gguf), and the device
 * layout against a reading of it that follows tensor/super.c word by word. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/half.h"
#include "tensor/dtype.h"
#include "tensor/gguf.h"

static const lp_dtype types[] = {LP_Q4_K, LP_Q5_K, LP_Q6_K};
enum { N_TYPES = sizeof types / sizeof *types };

typedef struct fixture {
    lp_weights *weights;
    lp_gguf *gguf;
} fixture;

static int open_fixture(void **state)
{
    static fixture f;
    lp_context ctx = {0};
    f.weights = lp_weights_create();
    *state = &f;
    return lp_gguf_open(&ctx, LAPILLI_TEST_DATA "/quants/more.gguf", f.weights, &f.gguf) != LP_OK;
}

static int close_fixture(void **state)
{
    fixture *f = *state;
    lp_gguf_destroy(f->gguf);
    lp_weights_destroy(f->weights);
    return 0;
}

static const lp_weight *find(void **state, lp_dtype type, const char *suffix)
{
    char name[32];
    snprintf(name, sizeof name, "%s%s", lp_dtype_table[type].name, suffix);
    const lp_weight *weight = lp_weights_find(((fixture *)*state)->weights, name);
    assert_non_null(weight);
    return weight;
}

static void blocks_become_what_the_package_makes_of_them(void **state)
{
    for (int i = 0; i < N_TYPES; i++) {
        const lp_weight *blocks = find(state, types[i], "");
        const float *expected = find(state, types[i], ".expected")->data;
        const size_t n = (size_t)lp_shape_elements(blocks->shape);
        float *values = malloc(n * sizeof *values);
        size_t n_nan = 0;
        assert_int_equal(blocks->dtype, types[i]);
        lp_dtype_table[types[i]].to_f32(blocks->data, values, n);
        for (size_t k = 0; k < n; k++) {
            n_nan += isnan(expected[k]);
            if (isnan(expected[k]))
                assert_true(isnan(values[k]));
            else
                assert_int_equal(lp_f32_bits(values[k]), lp_f32_bits(expected[k]));
        }
        assert_in_range(n_nan, 1, n / 2); /* scales of NaN, and infinities that meet 0 */
        free(values);
    }
}

static double squared_error(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

/* Row by row. */
static void errors_are_no_larger_than_those_of_llama_quantize(void **state)
{
    enum { K = 256, ROWS = 8 };
    const float *source = lp_weights_find(((fixture *)*state)->weights, "source")->data;
    for (int i = 0; i < N_TYPES; i++) {
        const lp_dtype_info *info = &lp_dtype_table[types[i]];
        const size_t row_bytes = K / info->block * info->bytes;
        const uint8_t *blocks = find(state, types[i], ".theirs")->data;
        for (size_t row = 0; row < ROWS; row++) {
            const float *x = source + K * row;
            float ours[K], theirs[K];
            uint8_t packed[2 * K];
            info->from_f32(x, packed, K);
            info->to_f32(packed, ours, K);
            info->to_f32(blocks + row * row_bytes, theirs, K);
            const double error = squared_error(x, ours, K), other = squared_error(x, theirs, K);
            if (!(error <= other))
                fail_msg("%s, row %zu: %g, theirs %g", info->name, row, error, other);
        }
    }
}

/* What a type can hold exactly comes back, and the blocks of values of a file are those values. */
static void zeros_and_constants_stay(void **state)
{
    (void)state;
    static const float values[] = {0, 1, 0.25f, 448};
    for (int i = 0; i < N_TYPES; i++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            float from[256], to[256];
            uint8_t packed[512];
            for (int k = 0; k < 256; k++)
                from[k] = values[v];
            lp_dtype_table[types[i]].from_f32(from, packed, 256);
            lp_dtype_table[types[i]].to_f32(packed, to, 256);
            for (int k = 0; k < 256; k++)
                assert_true(fabsf(to[k] - from[k]) <= 0x1p-10f * from[k]);
        }
}

/* Infinities and NaN in, no undefined conversion: the sanitizers look. Finite values stay finite.
 */
static void quantising_survives_anything(void **state)
{
    (void)state;
    static const float values[] = {INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e-45f, 0, 1};
    for (int t = 0; t < N_TYPES; t++)
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            float from[256] = {0}, to[256];
            uint8_t packed[512];
            from[0] = from[77] = values[i], from[6] = 1;
            lp_dtype_table[types[t]].from_f32(from, packed, 256);
            lp_dtype_table[types[t]].to_f32(packed, to, 256);
            for (int k = 0; isfinite(values[i]) && k < 256; k++)
                assert_true(isfinite(to[k]));
            if (fabsf(values[i]) <= 1)
                assert_true(fabsf(to[6] - 1) < 0.01f && fabsf(to[0] - values[i]) < 0.01f);
            for (int k = 0; k < 256; k++)
                from[k] = values[i];
            lp_dtype_table[types[t]].from_f32(from, packed, 256);
        }
}

/* ---- Layout -------------------------------------------------------------------------------- */

static uint32_t word_at(const uint8_t *bytes, uint64_t i)
{
    uint32_t word;
    memcpy(&word, bytes + 4 * i, sizeof word);
    return word;
}

static float half_at(const uint8_t *bytes, uint64_t i)
{
    const uint32_t word = word_at(bytes, i / 2);
    return lp_f16_to_f32((uint16_t)(word >> i % 2 * 16));
}

/* Element `at` of a super-block from its planes: `low` and `high` bits of q. */
static uint32_t quant_of(const uint8_t *quants, int low, int high, uint32_t at)
{
    const uint32_t run = at / 32, g = at % 32 / 4, byte = at % 4 * 8;
    const uint8_t *lows = quants + 4 * (uint32_t)low * run;
    const uint8_t *highs = quants + 32 * low + 4 * (uint32_t)high * run;
    uint32_t q = low == 4 ? word_at(lows, g % 4) >> (g / 4 * 4 + byte) & 15
                          : word_at(lows, g % 2) >> (g / 2 * 2 + byte) & 3;
    if (high == 1)
        q |= (word_at(highs, 0) >> (g + byte) & 1) << low;
    if (high == 2)
        q |= (word_at(highs, g % 2) >> (g / 2 * 2 + byte) & 3) << low;
    return q;
}

static float read_super(lp_dtype type, const uint8_t *quants, const uint8_t *scales, uint32_t at)
{
    const uint32_t run = at / 32;
    if (type == LP_Q6_K) {
        const float q = (float)quant_of(quants, 4, 2, at) - 32;
        return half_at(scales, 8) * (float)(int8_t)scales[at / 16] * q;
    }
    const uint32_t top = word_at(scales, 3) >> 2 * run;
    const uint32_t scale = (word_at(scales, 1) >> 4 * run & 15) | (top & 3) << 4;
    const uint32_t min = (word_at(scales, 2) >> 4 * run & 15) | (top >> 16 & 3) << 4;
    const uint32_t q = quant_of(quants, 4, type == LP_Q5_K, at);
    return half_at(scales, 0) * (float)scale * (float)q - half_at(scales, 1) * (float)min;
}

static void layout_holds_the_blocks(void **state)
{
    enum { ROWS = 2 };
    for (int i = 0; i < N_TYPES; i++) {
        const lp_dtype_info *info = &lp_dtype_table[types[i]];
        const lp_weight *blocks = find(state, types[i], "");
        const float *expected = find(state, types[i], ".expected")->data;
        const int64_t k = lp_shape_elements(blocks->shape) / ROWS / 256 * 256;
        const lp_shape shape = LP_SHAPE2(ROWS, k);
        const lp_layout layout = lp_layout_of(types[i], shape);
        assert_int_equal(layout.row_elements, k);
        assert_int_equal(layout.quant_row_bytes % 16, 0);
        assert_int_equal(layout.scale_row_bytes % 4, 0);
        assert_int_equal(layout.scale_offset % 256, 0);
        uint8_t *packed = malloc(layout.bytes);
        memset(packed, 0xff, layout.bytes);
        lp_layout_pack(types[i], shape, blocks->data, 0, ROWS, packed,
                       packed + layout.scale_offset);
        for (uint64_t e = 0; e < (uint64_t)(ROWS * k); e++) {
            const uint64_t row = e / (uint64_t)k, at = e % (uint64_t)k;
            const uint8_t *quants =
                packed + row * layout.quant_row_bytes + at / 256 * info->quant_bytes;
            const uint8_t *scales = packed + layout.scale_offset + row * layout.scale_row_bytes +
                                    at / 256 * info->scale_bytes;
            const float got = read_super(types[i], quants, scales, at % 256);
            assert_true(isnan(expected[e]) ? isnan(got) : got == expected[e]);
        }
        free(packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_become_what_the_package_makes_of_them),
        cmocka_unit_test(errors_are_no_larger_than_those_of_llama_quantize),
        cmocka_unit_test(zeros_and_constants_stay),
        cmocka_unit_test(quantising_survives_anything),
        cmocka_unit_test(layout_holds_the_blocks),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
