/* Pictures: reading files, what transformers' image processors make of them
 * (fixtures/pictures/make.py), patches, and what makes no sense. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/patches.h"
#include "image/png_texts.h"
#include "image/preprocess.h"
#include "support/model_files.h"
#include "tensor/safetensors.h"

#define FOLDER LAPILLI_TEST_FIXTURES "/pictures"

static lp_image *picture(const char *name)
{
    lp_context ctx = {0};
    lp_image *image = NULL;
    char *path = test_path(FOLDER, name);
    if (lp_image_read(&ctx, path, &image) != LP_OK)
        fail_msg("%s", ctx.message);
    free(path);
    return image;
}

static const void *tensor(const lp_weights *weights, const char *name)
{
    const lp_weight *weight = lp_weights_find(weights, name);
    if (weight == NULL)
        fail_msg("there is no %s", name);
    return weight->data;
}

static lp_weights *expected_pixels(void)
{
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    assert_non_null(weights);
    assert_int_equal(lp_safetensors_open(&ctx, FOLDER "/expected.safetensors", weights), LP_OK);
    return weights;
}

/* Kinds of files: what is grey or transparent becomes RGB. */
static void test_files(void **state)
{
    (void)state;
    lp_image *image = picture("picture.png"), *grey = picture("grey.png"),
             *alpha = picture("alpha.png"), *photo = picture("photo.jpg");
    lp_weights *expected = expected_pixels();
    const uint8_t *rgb = image->rgb;
    assert_int_equal(image->width, 37);
    assert_int_equal(image->height, 22);
    const float *want = tensor(expected, "rgb");
    for (size_t i = 0; i < 22 * 37 * 3; i++)
        assert_true(rgb[i] == want[i]);
    long apart = 0;
    for (size_t y = 0; y < 9; y++)
        for (size_t x = 0; x < 11; x++)
            for (size_t c = 0; c < 3; c++) {
                assert_int_equal(grey->rgb[(y * 11 + x) * 3 + c], rgb[(y * 37 + x) * 3]);
                assert_int_equal(alpha->rgb[(y * 11 + x) * 3 + c], rgb[(y * 37 + x) * 3 + c]);
            }
    assert_int_equal(photo->width, 16);
    for (size_t y = 0; y < 16; y++)
        for (size_t x = 0; x < 16 * 3; x++)
            apart += labs((long)photo->rgb[y * 48 + x] - rgb[y * 111 + x]);
    assert_in_range(apart, 1, 16 * 16 * 3 * 40); /* JPEG loses some, of noise much */
    lp_weights_destroy(expected);
    lp_image_free(photo);
    lp_image_free(alpha);
    lp_image_free(grey);
    lp_image_free(image);
}

static lp_status parse(lp_context *ctx, const char *text, const char *kind, lp_preprocess *p)
{
    yyjson_doc *doc = NULL;
    assert_int_equal(lp_json_parse(ctx, "test", text, strlen(text), &doc), LP_OK);
    lp_status status = lp_preprocess_parse(ctx, "test", yyjson_doc_get_root(doc), kind, p);
    yyjson_doc_free(doc);
    return status;
}

static void test_cases(void **state)
{
    (void)state;
    yyjson_doc *doc = yyjson_read_file(FOLDER "/cases.json", 0, NULL, NULL);
    lp_weights *expected = expected_pixels();
    lp_image *image = picture("picture.png");
    yyjson_val *one;
    size_t i, n;
    assert_true(yyjson_arr_size(yyjson_doc_get_root(doc)) >= 8);
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, one)
    {
        lp_context ctx = {0};
        lp_preprocess p;
        char name[24];
        const uint32_t side = (uint32_t)yyjson_get_uint(yyjson_obj_get(one, "side"));
        float *pixels = malloc(3 * sizeof *pixels * side * side), worst = 0;
        snprintf(name, sizeof name, "%zu", i);
        const float *want = tensor(expected, name);
        assert_non_null(pixels);
        if (lp_preprocess_parse(&ctx, "cases.json", yyjson_obj_get(one, "settings"),
                                yyjson_get_str(yyjson_obj_get(one, "kind")), &p) != LP_OK ||
            lp_preprocess_run(&ctx, &p, image, side, pixels) != LP_OK)
            fail_msg("case %zu: %s", i, ctx.message);
        for (size_t k = 0; k < 3 * side * side; k++)
            worst = fmaxf(worst, fabsf(pixels[k] - want[k]));
        print_message("case %zu: largest difference %.1e\n", i, (double)worst);
        assert_true(worst < 2e-6f); /* one level of 256 is at least 4e-3 */
        assert_int_equal(lp_preprocess_run(&ctx, &p, image, side + 1, pixels), LP_E_UNSUPPORTED);
        free(pixels);
    }
    lp_image_free(image);
    lp_weights_destroy(expected);
    yyjson_doc_free(doc);
}

static void test_nonsense(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        lp_status status;
    } rows[] = {
        {"{\"size\": 0}", "size: a number of pixels", LP_E_FORMAT},
        {"{\"size\": -3}", "size: a number of pixels", LP_E_FORMAT},
        {"{\"size\": 1e9}", "size: a number of pixels", LP_E_FORMAT},
        {"{\"size\": 100000}", "size: a number of pixels", LP_E_FORMAT},
        {"{\"size\": {\"height\": 4}}", "size: a number of pixels", LP_E_FORMAT},
        {"{\"size\": {\"height\": 4, \"width\": 4, \"shortest_edge\": 4}}", "size", LP_E_FORMAT},
        {"{\"size\": [4, 4]}", "size: a number of pixels", LP_E_FORMAT},
        {"{\"size\": {\"shortest_edge\": 4, \"longest_edge\": 9}}", "longest_edge",
         LP_E_UNSUPPORTED},
        {"{\"crop_size\": {\"shortest_edge\": 4}}", "crop_size", LP_E_FORMAT},
        {"{\"do_center_crop\": true}", "without crop_size", LP_E_MISSING},
        {"{\"do_center_crop\": 1}", "do_center_crop", LP_E_FORMAT},
        {"{\"do_pad\": true}", "do_pad is not supported", LP_E_UNSUPPORTED},
        {"{\"resample\": 1}", "resample is 1", LP_E_UNSUPPORTED},
        {"{\"resample\": \"bicubic\"}", "resample", LP_E_FORMAT},
        {"{\"rescale_factor\": 0}", "rescale_factor is 0", LP_E_FORMAT},
        {"{\"rescale_factor\": 1e60}", "rescale_factor", LP_E_FORMAT},
        {"{\"image_mean\": [1, 2]}", "image_mean: three numbers", LP_E_FORMAT},
        {"{\"image_mean\": [1, 2, 1e99]}", "image_mean: three numbers", LP_E_FORMAT},
        {"{\"image_std\": [1, 0, 1]}", "image_std: three positive numbers", LP_E_FORMAT},
        {"{\"image_std\": 0.5}", "image_std", LP_E_FORMAT},
        {"{\"image_processor_type\": \"ConvNextImageProcessor\"}", "ConvNext", LP_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lp_context ctx = {0};
        lp_preprocess p;
        const lp_status status = parse(&ctx, rows[i].text, "vit", &p);
        if (status != rows[i].status || strstr(ctx.message, rows[i].says) == NULL)
            fail_msg("%s: %s (%s)", rows[i].text, ctx.message, lp_status_text(status));
    }
}

/* Pictures that are none, are cut off anywhere, or are too large. */
static void test_hostile(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_image *image;
    char *path = test_path(FOLDER, "picture.png"), *folder = test_folder_create();
    char *cut = test_path(folder, "cut.png");
    size_t n;
    uint8_t *bytes = test_read(path, &n);
    assert_true(n > 200);
    for (size_t length = 0; length < n; length += length < 64 ? 1 : 97) {
        assert_int_equal(lp_file_write(&ctx, cut, bytes, length), LP_OK);
        assert_int_equal(lp_image_read(&ctx, cut, &image), LP_E_FORMAT);
        assert_null(image);
    }
    bytes[18] = 0x7f; /* of the width: 32,549 pixels */
    assert_int_equal(lp_file_write(&ctx, cut, bytes, n), LP_OK);
    assert_int_not_equal(lp_image_read(&ctx, cut, &image), LP_OK);
    assert_non_null(strstr(ctx.message, cut));
    static const char wide[] = "P6 16384 16384 255\n";
    assert_int_equal(lp_file_write(&ctx, cut, wide, strlen(wide)), LP_OK);
    assert_int_equal(lp_image_read(&ctx, cut, &image), LP_E_LIMIT);
    assert_non_null(strstr(ctx.message, "16384 x 16384 pixels"));
    assert_int_equal(lp_image_read(&ctx, FOLDER "/cases.json", &image), LP_E_FORMAT);
    assert_int_equal(lp_image_read(&ctx, FOLDER, &image), LP_E_ARG);
    assert_int_equal(lp_image_make(&ctx, 0, 5, bytes, &image), LP_E_LIMIT);

    /* a line of pixels whose other side would become endless */
    lp_preprocess p;
    uint8_t *line = calloc(LP_IMAGE_SIDE, 3);
    assert_non_null(line);
    assert_int_equal(parse(&ctx, "{\"size\": 16384, \"crop_size\": 4}", "clip", &p), LP_OK);
    assert_int_equal(lp_image_make(&ctx, LP_IMAGE_SIDE, 1, line, &image), LP_OK);
    float pixels[3 * 4 * 4];
    assert_int_equal(lp_preprocess_run(&ctx, &p, image, 4, pixels), LP_E_LIMIT);
    lp_image_free(image);
    free(line);
    free(bytes);
    free(cut);
    test_folder_remove(folder);
    free(path);
}

static void is_text(const lp_image *image, size_t i, const char *name, const char *value)
{
    assert_true(i < image->n_texts);
    assert_string_equal(image->texts[i].name, name);
    assert_string_equal(image->texts[i].value, value);
}

static bool contains(const uint8_t *data, size_t n, const uint8_t *part, size_t bytes)
{
    for (size_t at = 0; at + bytes <= n; at++)
        if (memcmp(data + at, part, bytes) == 0)
            return true;
    return false;
}

/* Texts in PNG files, as Pillow writes them; ours are the same bytes. */
static void test_texts(void **state)
{
    (void)state;
    static const lp_fact own[] = {{"prompt", "ein rötlicher Apfel \U0001f34e\nund mehr", 0},
                                  {"empty", "", 0}};
    static const char *const no_names[] = {"", " a", "a ", "a\nb", "\xc3\xa4"};
    lp_context ctx = {0};
    lp_image *image = picture("texts.png"), *again = NULL;
    uint8_t *chunks = NULL;
    char *path = test_path(FOLDER, "texts.png"), *folder = test_folder_create();
    char *copy = test_path(folder, "copy.png"), name[81];
    size_t bytes, n;
    assert_int_equal(image->n_texts, 4);
    is_text(image, 0, "Title", "café");
    is_text(image, 1, own[0].name, own[0].value);
    is_text(image, 2, "in French", "oui");
    is_text(image, 3, "empty", "");
    uint8_t *file = test_read(path, &n);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lp_png_texts_make(&ctx, &own[i], 1, &chunks, &bytes), LP_OK);
        assert_true(contains(file, n, chunks, bytes));
        free(chunks);
    }
    assert_int_equal(lp_image_write(&ctx, image, own, 2, copy), LP_OK);
    assert_int_equal(lp_image_read(&ctx, copy, &again), LP_OK);
    assert_int_equal(again->n_texts, 2);
    is_text(again, 0, own[0].name, own[0].value);
    is_text(again, 1, own[1].name, own[1].value);
    assert_memory_equal(again->rgb, image->rgb, 12);
    memset(name, 'x', 80);
    name[80] = '\0';
    for (int i = 0; i < 6; i++) {
        const lp_fact bad = {i < 5 ? no_names[i] : name, "value", 0};
        assert_int_equal(lp_png_texts_make(&ctx, &bad, 1, &chunks, &bytes), LP_E_ARG);
        assert_null(chunks);
    }
    lp_image_free(image);
    lp_image_free(again);
    free(file);
    free(path);
    free(copy);
    test_folder_remove(folder);
}

/* Whatever the chunks say, nothing is read behind the file: sanitizers watch. */
static void test_hostile_texts(void **state)
{
    (void)state;
    lp_context ctx = {0};
    char *path = test_path(FOLDER, "texts.png");
    size_t n, n_texts;
    lp_fact *texts;
    uint8_t *file = test_read(path, &n);
    for (size_t length = 0; length <= n; length++) {
        uint8_t *cut = malloc(length + 1);
        assert_non_null(cut);
        memcpy(cut, file, length);
        assert_int_equal(lp_png_texts_read(&ctx, cut, length, &texts, &n_texts), LP_OK);
        assert_true(n_texts <= 4);
        lp_png_texts_free(texts, n_texts);
        free(cut);
    }
    for (size_t at = 8; at < n; at++) {
        const uint8_t was = file[at];
        for (int value = 0; value < 256; value += 51) {
            file[at] = (uint8_t)value;
            assert_int_equal(lp_png_texts_read(&ctx, file, n, &texts, &n_texts), LP_OK);
            lp_png_texts_free(texts, n_texts);
        }
        file[at] = was;
    }
    free(file);
    free(path);
}

static void test_patches(void **state)
{
    (void)state;
    const lp_picture_hparams p = {.size = 4, .patch = 2, .channels = 3, .n_first = 2};
    float pixels[48], rows[6 * 12];
    for (int i = 0; i < 48; i++)
        pixels[i] = (float)(100 * (i / 16) + 10 * (i / 4 % 4) + i % 4); /* channel, line, column */
    lp_picture_patches(&p, pixels, rows);
    static const float second[] = {2, 3, 12, 13, 102, 103, 112, 113, 202, 203, 212, 213};
    for (int i = 0; i < 24; i++)
        assert_true(rows[i] == 0);
    for (int i = 0; i < 12; i++)
        assert_true(rows[3 * 12 + i] == second[i]);
    assert_true(rows[4 * 12] == 20 && rows[5 * 12 + 11] == 233);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),         cmocka_unit_test(test_cases),
        cmocka_unit_test(test_nonsense),      cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_patches),       cmocka_unit_test(test_texts),
        cmocka_unit_test(test_hostile_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
