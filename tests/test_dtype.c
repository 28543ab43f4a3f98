/* The table of types against the Python package `gguf` (data/quants), half precision exhaustively,
 * and the device layout against a reading of it that follows dtype.h word by word. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/half.h"
#include "tensor/dtype.h"
#include "tensor/gguf.h"

static void table_is_complete(void **state)
{
    (void)state;
    for (int i = 0; i < LP_N_DTYPES; i++) {
        const lp_dtype_info *info = &lp_dtype_table[i];
        assert_non_null(info->name);
        assert_non_null(info->kernel);
        assert_non_null(info->to_planes);
        assert_true(info->block > 0 && (LP_ROW_ALIGN % info->block == 0 || info->block == 256));
        if (i != LP_TQ1_0) /* TQ2_0 on devices */
            assert_in_range(info->quant_bytes + info->scale_bytes, info->bytes, info->bytes + 2);
        assert_int_equal(lp_dtype_from_name(info->name), i);
        assert_int_equal(lp_dtype_from_name(info->kernel), i == LP_TQ1_0 ? LP_TQ2_0 : i);
        if (info->gguf_type >= 0)
            assert_int_equal(lp_dtype_from_gguf((uint32_t)info->gguf_type), i);
        assert_true((info->to_f32 == NULL) == (i == LP_I32));
        assert_true((info->from_f32 == NULL) == (i == LP_I32));
    }
    assert_int_equal(lp_dtype_from_gguf(40), LP_N_DTYPES);
    assert_int_equal(lp_dtype_from_gguf(UINT32_MAX), LP_N_DTYPES);
    assert_int_equal(lp_dtype_from_name("F"), LP_N_DTYPES);
    assert_int_equal(lp_dtype_from_name("F321"), LP_N_DTYPES);
    assert_int_equal(lp_dtype_from_name(""), LP_N_DTYPES);
}

static void file_sizes(void **state)
{
    (void)state;
    assert_int_equal(lp_dtype_file_bytes(LP_F32, LP_SHAPE2(3, 5)), 60);
    assert_int_equal(lp_dtype_file_bytes(LP_Q8_0, LP_SHAPE2(3, 64)), 204);
    assert_int_equal(lp_dtype_file_bytes(LP_Q4_0, LP_SHAPE1(32)), 18);
    assert_int_equal(lp_dtype_file_bytes(LP_Q4_0, LP_SHAPE2(64, 33)), -1);
    assert_int_equal(lp_dtype_file_bytes(LP_F32, LP_SHAPE2(0, 5)), 0);
    assert_int_equal(lp_dtype_file_bytes(LP_F32, LP_SHAPE2(INT64_MAX, 2)), -1);
    assert_int_equal(lp_dtype_file_bytes(LP_F32, LP_SHAPE1(INT64_MAX / 2)), -1);
    assert_int_equal(lp_dtype_file_bytes(LP_F32, LP_SHAPE1(-1)), -1);
}

/* Every half, there and back; and rounding against the C library's double arithmetic. */
static void halves_are_exact(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float x = lp_f16_to_f32((uint16_t)h);
        int exponent = h >> 10 & 31, mantissa = h & 1023;
        if (exponent == 31) {
            assert_true(mantissa ? isnan(x) : isinf(x));
        } else {
            double magnitude =
                exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
            assert_true((double)x == (h >> 15 ? -magnitude : magnitude));
        }
        assert_int_equal(signbit(x) != 0, h >> 15);
        if (!isnan(x)) {
            assert_int_equal(lp_f32_to_f16(x), h);
            /* between this half and the next: below, at and above the middle */
            float next = lp_f16_to_f32((uint16_t)(h + 1));
            if ((h & 0x7fff) < 0x7bff) {
                float middle = (x + next) / 2; /* exact in f32 */
                assert_int_equal(lp_f32_to_f16(middle), h + (h & 1));
                assert_int_equal(lp_f32_to_f16(nextafterf(middle, x)), h);
                assert_int_equal(lp_f32_to_f16(nextafterf(middle, next)), h + 1);
            }
        } else {
            assert_true(isnan(lp_f16_to_f32(lp_f32_to_f16(x))));
        }
        float b = lp_bf16_to_f32((uint16_t)h);
        if (isnan(b))
            assert_true(isnan(lp_bf16_to_f32(lp_f32_to_bf16(b))));
        else
            assert_int_equal(lp_f32_to_bf16(b), h);
    }
    assert_int_equal(lp_f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(lp_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(lp_f32_to_bf16(lp_bits_f32(0x3f808000u)), 0x3f80); /* tie to even */
    assert_int_equal(lp_f32_to_bf16(lp_bits_f32(0x3f818000u)), 0x3f82);
    assert_int_equal(lp_f32_to_bf16(lp_bits_f32(0x3f808001u)), 0x3f81);
}

/* Bit for bit what gguf.quants makes of the same blocks, and the same blocks of the same data. */
static void matches_the_gguf_package(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    lp_gguf *gguf = NULL;
    lp_status status = lp_gguf_open(&ctx, LAPILLI_TEST_DATA "/quants/quants.gguf", weights, &gguf);
    assert_string_equal(ctx.message, "");
    assert_int_equal(status, LP_OK);
    static const char *const names[][3] = {{"F16", "F16.source", "F16.expected"},
                                           {"BF16", "BF16.source", "BF16.expected"},
                                           {"Q8_0", "Q8_0.source", "Q8_0.expected"},
                                           {"Q4_0", "Q4_0.source", "Q4_0.expected"},
                                           {"MXFP4", "MXFP4.source", "MXFP4.expected"}};
    for (size_t i = 0; i < 5; i++) {
        const lp_weight *blocks = lp_weights_find(weights, names[i][0]);
        const lp_weight *source = lp_weights_find(weights, names[i][1]);
        const lp_weight *expected = lp_weights_find(weights, names[i][2]);
        assert_non_null(blocks);
        const lp_dtype_info *info = &lp_dtype_table[blocks->dtype];
        assert_string_equal(info->name, names[i][0]);
        size_t n = (size_t)lp_shape_elements(blocks->shape);
        assert_int_equal(n, 12 * 64);
        const bool exact = blocks->dtype != LP_MXFP4; /* ours are closer: see below */
        float values[12 * 64];
        uint8_t packed[12 * 64 * 2];
        info->to_f32(blocks->data, values, n);
        assert_memory_equal(values, expected->data, sizeof(values));
        info->from_f32(source->data, packed, n);
        if (exact)
            assert_memory_equal(packed, blocks->data, (size_t)blocks->bytes);
    }
    lp_gguf_destroy(gguf);
    lp_weights_destroy(weights);
}

static double squared_error(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

/* Every exponent times every nibble against the paper's formula: 2^(e - 127) times sign, exponent
 * and mantissa of E2M1. What holds such values comes back bit for bit. */
static void mxfp4_holds_what_the_paper_says(void **state)
{
    (void)state;
    for (int e = 0; e < 256; e++) {
        uint8_t block[17] = {(uint8_t)e}, again[17];
        float values[32], same[32];
        for (int j = 0; j < 16; j++)
            block[1 + j] = (uint8_t)(j | (15 - j) << 4);
        lp_dtype_table[LP_MXFP4].to_f32(block, values, 32);
        for (int j = 0; j < 32; j++) {
            const int nibble = j < 16 ? j : 31 - j, exponent = nibble >> 1 & 3;
            double size =
                exponent ? ldexp(1 + 0.5 * (nibble & 1), exponent - 1) : 0.5 * (nibble & 1);
            size = ldexp(nibble & 8 ? -size : size, e - 127);
            assert_true(values[j] == (float)size);
        }
        if (e > 252) /* 6 is infinite */
            continue;
        lp_dtype_table[LP_MXFP4].from_f32(values, again, 32);
        lp_dtype_table[LP_MXFP4].to_f32(again, same, 32);
        assert_memory_equal(same, values, sizeof same);
        assert_int_equal(again[0], e);
    }
}

/* The choice of two scales is never worse than the paper's scale, block by block, and over random
 * ones better. */
static void mxfp4_is_no_worse_than_the_package(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    lp_gguf *gguf = NULL;
    assert_int_equal(lp_gguf_open(&ctx, LAPILLI_TEST_DATA "/quants/quants.gguf", weights, &gguf),
                     LP_OK);
    const float *source = lp_weights_find(weights, "MXFP4.source")->data;
    const float *theirs = lp_weights_find(weights, "MXFP4.expected")->data;
    double sum = 0, their_sum = 0;
    for (size_t i = 0; i < 12 * 64; i += 32) {
        uint8_t block[17];
        float ours[32];
        lp_dtype_table[LP_MXFP4].from_f32(source + i, block, 32);
        lp_dtype_table[LP_MXFP4].to_f32(block, ours, 32);
        const double size = squared_error(source + i, (float[32]){0}, 32);
        const double error = squared_error(source + i, ours, 32);
        const double their_error = squared_error(source + i, theirs + i, 32);
        assert_true(error <= their_error);
        sum += size > 0 ? error / size : 0;
        their_sum += size > 0 ? their_error / size : 0;
    }
    assert_true(sum < their_sum);
    lp_gguf_destroy(gguf);
    lp_weights_destroy(weights);
}

/* Infinities and NaN in, no undefined conversion: the sanitizers look. Finite values stay finite.
 */
static void quantising_survives_anything(void **state)
{
    (void)state;
    static const float values[] = {INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e-45f, 0, 1};
    for (int t = LP_Q8_0; t <= LP_MXFP4; t++) {
        for (size_t i = 0; i < 8; i++) {
            float from[32] = {0}, to[32];
            uint8_t block[34];
            from[5] = values[i], from[6] = 1;
            lp_dtype_table[t].from_f32(from, block, 32);
            lp_dtype_table[t].to_f32(block, to, 32);
            if (fabsf(values[i]) <= 1)
                assert_true(fabsf(to[6] - 1) < 0.01f && fabsf(to[5] - values[i]) < 0.01f);
        }
    }
}

/* --- Layout ---------------------------------------------------------------------------------- */

/* Element (row, column) of a packed matrix, as a kernel reads it. */
static float read_packed(lp_dtype dtype, const lp_layout *layout, const uint8_t *data, uint64_t row,
                         uint64_t column)
{
    const uint8_t *quants = data + row * layout->quant_row_bytes;
    const uint8_t *scales = data + layout->scale_offset + row * layout->scale_row_bytes;
    uint64_t block = column / 32, at = column % 32;
    uint32_t word;
    uint16_t half;
    float x;
    switch (dtype) {
    case LP_F32:
        memcpy(&x, quants + 4 * column, 4);
        return x;
    case LP_F16:
    case LP_BF16:
        memcpy(&half, quants + 2 * column, 2);
        return dtype == LP_F16 ? lp_f16_to_f32(half) : lp_bf16_to_f32(half);
    case LP_Q8_0:
        memcpy(&half, scales + 2 * block, 2);
        memcpy(&word, quants + 32 * block + at / 4 * 4, 4);
        return lp_f16_to_f32(half) * (float)(int8_t)(word >> 8 * (at % 4) & 255);
    case LP_MXFP4:
        memcpy(&word, quants + 16 * block + at % 16 / 4 * 4, 4);
        word = (at < 16 ? word : word >> 4) >> 8 * (at % 4) & 15;
        x = (float[]){0, 0.5f, 1, 1.5f, 2, 3, 4, 6}[word & 7];
        return ldexpf(word & 8 ? -x : x, scales[block] - 127);
    default:
        memcpy(&half, scales + 2 * block, 2);
        memcpy(&word, quants + 16 * block + at % 16 / 4 * 4, 4);
        word = at < 16 ? word & 0x0f0f0f0fu : word >> 4 & 0x0f0f0f0fu;
        return lp_f16_to_f32(half) * (float)((int)(word >> 8 * (at % 4) & 255) - 8);
    }
}

static void layout_holds_the_matrix(void **state)
{
    (void)state;
    const int64_t rows = 5;
    for (int t = 0; t <= LP_MXFP4; t++) {
        for (int64_t k = lp_dtype_table[t].block; k <= 160; k += lp_dtype_table[t].block) {
            lp_shape shape = LP_SHAPE2(rows, k);
            size_t n = (size_t)(rows * k), file_bytes = (size_t)lp_dtype_file_bytes(t, shape);
            float *values = calloc(n, sizeof(float));
            uint8_t *file = malloc(file_bytes + 1);
            for (size_t i = 0; i < n; i++)
                values[i] = (float)((i * 37) % 101) - 50;
            /* an odd address: files promise no more for block types */
            uint8_t *odd = file + (lp_dtype_table[t].block > 1);
            lp_dtype_table[t].from_f32(values, odd, n);
            lp_dtype_table[t].to_f32(odd, values, n);

            lp_layout layout = lp_layout_of(t, shape);
            assert_int_equal(layout.bytes % 256, 0);
            assert_int_equal(layout.scale_offset % 256, 0);
            assert_int_equal(layout.quant_row_bytes % 4, 0);
            assert_int_equal(layout.scale_row_bytes % 4, 0);
            assert_int_equal(layout.row_elements, (k + 63) / 64 * 64);
            assert_true(layout.bytes >=
                        (uint64_t)rows * (layout.quant_row_bytes + layout.scale_row_bytes));
            uint8_t *packed = malloc(layout.bytes);
            memset(packed, 0xff, layout.bytes); /* poison: padding must be written */
            for (uint64_t row = 0; row < 5; row += row ? 2 : 1) /* rows 0, 1-2, 3-4 */
                lp_layout_pack(t, shape, odd, row, row ? 2 : 1,
                               packed + row * layout.quant_row_bytes,
                               packed + layout.scale_offset + row * layout.scale_row_bytes);
            for (uint64_t row = 0; row < 5; row++)
                for (uint64_t c = 0; c < layout.row_elements; c++) {
                    float want = c < (uint64_t)k ? values[row * (uint64_t)k + c] : 0;
                    assert_true(read_packed(t, &layout, packed, row, c) == want);
                }
            free(values);
            free(file);
            free(packed);
        }
    }
}

static void vectors_become_f32(void **state)
{
    (void)state;
    uint16_t halves[70];
    float packed[128];
    for (int i = 0; i < 70; i++)
        halves[i] = lp_f32_to_f16((float)i / 4);
    memset(packed, 0xff, sizeof(packed));
    lp_layout layout = lp_layout_of(LP_F16, LP_SHAPE1(70));
    assert_int_equal(layout.bytes, 512);
    assert_int_equal(layout.scale_offset, 0);
    lp_layout_pack(LP_F16, LP_SHAPE1(70), halves, 0, 1, (uint8_t *)packed, NULL);
    for (int i = 0; i < 128; i++)
        assert_true(packed[i] == (i < 70 ? (float)i / 4 : 0));

    int32_t ids[3] = {-1, 2, INT32_MAX}, kept[64]; /* integers stay integers */
    lp_layout_pack(LP_I32, LP_SHAPE1(3), ids, 0, 1, (uint8_t *)kept, NULL);
    assert_memory_equal(kept, ids, sizeof(ids));
    assert_int_equal(kept[3], 0);
}

static void shapes(void **state)
{
    (void)state;
    char text[96];
    assert_string_equal(lp_shape_print(LP_SHAPE2(768, 2304), text), "[768, 2304]");
    lp_shape widest = {4, {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX}};
    assert_true(strlen(lp_shape_print(widest, text)) < sizeof(text));
    assert_int_equal(lp_shape_elements(widest), -1);
    widest.dim[2] = 0;
    assert_int_equal(lp_shape_elements(widest), 0);
    assert_int_equal(lp_shape_row(LP_SHAPE3(5, 6, 7)), 42);
    assert_int_equal(lp_shape_row(LP_SHAPE1(5)), 1);
    assert_true(lp_shape_equal(LP_SHAPE2(1, 2), LP_SHAPE2(1, 2)));
    assert_false(lp_shape_equal(LP_SHAPE2(1, 2), LP_SHAPE2(2, 1)));
    assert_false(lp_shape_equal(LP_SHAPE1(2), LP_SHAPE2(2, 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_complete),
        cmocka_unit_test(file_sizes),
        cmocka_unit_test(halves_are_exact),
        cmocka_unit_test(matches_the_gguf_package),
        cmocka_unit_test(mxfp4_holds_what_the_paper_says),
        cmocka_unit_test(mxfp4_is_no_worse_than_the_package),
        cmocka_unit_test(quantising_survives_anything),
        cmocka_unit_test(layout_holds_the_matrix),
        cmocka_unit_test(vectors_become_f32),
        cmocka_unit_test(shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
