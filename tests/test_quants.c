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

static const lp_dtype types[] = {LP_Q4_1, LP_Q5_0, LP_Q5_1, LP_IQ4_NL, LP_Q2_K,  LP_Q3_K,
                                 LP_Q4_K, LP_Q5_K, LP_Q6_K, LP_IQ4_XS, LP_TQ1_0, LP_TQ2_0};
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
            const lp_dtype type = types[t];
            const bool searched = type >= LP_IQ4_NL && type <= LP_IQ4_XS;
            float from[256] = {0}, to[256];
            uint8_t packed[512];
            from[0] = from[77] = values[i], from[6] = 1;
            lp_dtype_table[types[t]].from_f32(from, packed, 256);
            lp_dtype_table[types[t]].to_f32(packed, to, 256);
            for (int k = 0; searched && isfinite(values[i]) && k < 256; k++)
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

/* A 6-bit number from its parts. */
static int six_bits(uint32_t lows, uint32_t tops, uint32_t i)
{
    return (int)((lows >> 4 * (i % 8) & 15) | (tops >> 2 * i & 3) << 4);
}

static const float iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                     1,    13,   25,  38,  53,  69,  89,  113};

/* Element `at` of the super-block whose planes these are. */
static float read_super(lp_dtype type, const uint8_t *quants, const uint8_t *scales, uint32_t at)
{
    const uint32_t run = at / 32, h = at / 16;
    const uint32_t nibble = quant_of(quants, 4, 0, at), two = quant_of(quants, 2, 0, at);
    switch (type) {
    case LP_Q2_K:
        return half_at(scales, 8) * (float)(scales[h] & 15) * (float)two -
               half_at(scales, 9) * (float)(scales[h] >> 4);
    case LP_Q3_K:
        return half_at(scales, 6) *
               (float)(six_bits(word_at(scales, h / 8), word_at(scales, 2), h) - 32) *
               ((float)quant_of(quants, 2, 1, at) - 4);
    case LP_Q6_K:
        return half_at(scales, 8) * (float)(int8_t)scales[h] *
               ((float)quant_of(quants, 4, 2, at) - 32);
    case LP_IQ4_XS:
        return half_at(scales, 0) *
               (float)(six_bits(word_at(scales, 1), word_at(scales, 0) >> 16, run) - 32) *
               iq4_values[nibble];
    case LP_TQ1_0:
    case LP_TQ2_0:
        return half_at(scales, 0) * ((float)two - 1);
    default: /* Q4_K, Q5_K */
        return half_at(scales, 0) *
                   (float)six_bits(word_at(scales, 1), word_at(scales, 3) & 0xffff, run) *
                   (float)quant_of(quants, 4, type == LP_Q5_K, at) -
               half_at(scales, 1) *
                   (float)six_bits(word_at(scales, 2), word_at(scales, 3) >> 16, run);
    }
}

/* Element `at` of a row of blocks of 32 whose planes these are. */
static float read_blocks(lp_dtype type, const uint8_t *quants, const uint8_t *scales, uint64_t at)
{
    const uint64_t block = at / 32;
    const uint32_t i = at % 32, nibble = quant_of(quants + 16 * block, 4, 0, i);
    const uint32_t fifth = i / 4 + i % 4 * 8; /* place of the bit */
    switch (type) {
    case LP_Q4_1:
        return half_at(scales, 2 * block) * (float)nibble + half_at(scales, 2 * block + 1);
    case LP_Q5_1:
        return half_at(scales, 4 * block) *
                   (float)(nibble | (word_at(scales, 2 * block + 1) >> fifth & 1) << 4) +
               half_at(scales, 4 * block + 1);
    case LP_Q5_0:
        scales += block / 2 * 12;
        return half_at(scales, block % 2) *
               ((float)(nibble | (word_at(scales, 1 + block % 2) >> fifth & 1) << 4) - 16);
    default: /* IQ4_NL */
        return half_at(scales, block) * iq4_values[nibble];
    }
}

/* Two rows; of blocks of 32 an odd number of them, so that there is padding. */
static void layout_holds_the_blocks(void **state)
{
    enum { ROWS = 2 };
    for (int i = 0; i < N_TYPES; i++) {
        const lp_dtype_info *info = &lp_dtype_table[types[i]];
        const lp_weight *blocks = find(state, types[i], "");
        const float *expected = find(state, types[i], ".expected")->data;
        const int64_t n_blocks = lp_shape_elements(blocks->shape) / info->block;
        const int64_t k =
            (info->block == 32 ? (n_blocks / ROWS - 1) | 1 : n_blocks / ROWS) * info->block;
        const lp_shape shape = LP_SHAPE2(ROWS, k);
        const lp_layout layout = lp_layout_of(types[i], shape);
        assert_int_equal(layout.row_elements, (k + 63) / 64 * 64);
        assert_int_equal(layout.quant_row_bytes % (types[i] == LP_Q3_K ? 8 : 16), 0);
        assert_int_equal(layout.scale_row_bytes % 4, 0);
        assert_int_equal(layout.scale_offset % 256, 0);
        uint8_t *packed = malloc(layout.bytes);
        memset(packed, 0xff, layout.bytes); /* poison: padding must be written */
        lp_layout_pack(types[i], shape, blocks->data, 0, ROWS, packed,
                       packed + layout.scale_offset);
        for (uint64_t e = 0; e < ROWS * layout.row_elements; e++) {
            const uint64_t row = e / layout.row_elements, at = e % layout.row_elements;
            const uint64_t super = info->block == 256 ? at / 256 : 0;
            const uint8_t *quants =
                packed + row * layout.quant_row_bytes + super * info->quant_bytes;
            const uint8_t *scales = packed + layout.scale_offset + row * layout.scale_row_bytes;
            const float want = at < (uint64_t)k ? expected[row * (uint64_t)k + at] : 0;
            const float got =
                info->block == 256
                    ? read_super(types[i], quants, scales + super * info->scale_bytes, at % 256)
                    : read_blocks(types[i], quants, scales, at);
            if (isnan(want) ? !isnan(got) : got != want)
                fail_msg("%s: row %d, element %d: %g, want %g", info->name, (int)row, (int)at,
                         (double)got, (double)want);
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
