/* The safetensors reader: good files and folders, and every way for them to be broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/bytes.h"
#include "tensor/safetensors.h"
#include "tensor/weights_folder.h"

/* A file of a header and n zero bytes of data. */
static bytes make(const char *header, size_t n)
{
    bytes b = {0};
    bytes_u64(&b, strlen(header));
    bytes_text(&b, header);
    bytes_zeros(&b, n);
    return b;
}

static void reads_tensors(void **state)
{
    (void)state;
    /* the header's length leaves the data at an odd address: F32 and F16 must be moved */
    const char *header =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[1,25]},"
        "\"mask\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"h\":{\"dtype\":\"BF16\",\"shape\":[1,1,2,2],\"data_offsets\":[25,33]},"
        "\"scalar\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[33,41]},"
        "\"odd\":{\"dtype\":\"F4_STRANGE\",\"shape\":[9],\"data_offsets\":[41,46]},"
        "\"none\":{\"dtype\":\"F16\",\"shape\":[0,4],\"data_offsets\":[41,41]}}";
    for (int pad = 0; pad < 4; pad++) { /* spaces after the header are part of it */
        char padded[1024];
        snprintf(padded, sizeof(padded), "%s%*s", header, pad, "");
        bytes b = make(padded, 46);
        float value = 2.5f;
        memcpy(b.data + b.n - 46 + 1 + 5 * 4, &value, 4);

        lp_context ctx = {0};
        lp_weights *weights = lp_weights_create();
        lp_status status = lp_safetensors_parse(&ctx, "FILE", b.data, b.n, weights);
        assert_string_equal(ctx.message, "");
        assert_int_equal(status, LP_OK);
        assert_int_equal(lp_weights_count(weights), 6);
        const lp_weight *w = lp_weights_find(weights, "w");
        assert_true(lp_shape_equal(w->shape, LP_SHAPE2(2, 3)));
        assert_int_equal((uintptr_t)w->data % 4, 0);
        assert_true(((const float *)w->data)[5] == 2.5f);
        const lp_weight *h = lp_weights_find(weights, "h");
        assert_int_equal(h->dtype, LP_BF16);
        assert_int_equal((uintptr_t)h->data % 2, 0);
        assert_int_equal(lp_weights_find(weights, "scalar")->shape.n, 1);
        assert_int_equal(lp_weights_find(weights, "odd")->bytes, 5);
        assert_int_equal(lp_weights_find(weights, "none")->bytes, 0);
        assert_int_equal(lp_weight_usable(&ctx, lp_weights_find(weights, "mask")),
                         LP_E_UNSUPPORTED);
        assert_string_equal(ctx.message, "FILE: tensor mask: type BOOL is not supported");
        lp_weights_destroy(weights);
        bytes_free(&b);
    }
}

#define ONE(dtype, shape, offsets)                                                                 \
    "{\"w\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const struct {
    const char *header;
    size_t data;
    lp_status status;
    const char *message;
} broken[] = {
    {"", 0, LP_E_FORMAT, "FILE: JSON expected, nothing found"},
    {"[1]", 0, LP_E_FORMAT, "FILE: JSON: an object is expected"},
    {"{\"a\":", 0, LP_E_FORMAT, "FILE: JSON: unexpected end of data at byte 5"},
    {"{\"w\":1}", 0, LP_E_FORMAT, "FILE: tensor w: its entry is no object"},
    {"{\"\":{}}", 0, LP_E_FORMAT, "FILE: a tensor's name is empty"},
    {"{\"a\\u0000b\":{}}", 0, LP_E_FORMAT, "FILE: a tensor's name is not text"},
    {"{\"w\":{}}", 0, LP_E_FORMAT, "FILE: tensor w: its shape is no array"},
    {ONE("\"F32\"", "[1,1,1,1,1]", "[0,4]"), 4, LP_E_UNSUPPORTED,
     "FILE: tensor w: 5 dimensions, at most 4 are possible"},
    {ONE("\"F32\"", "[-1]", "[0,4]"), 4, LP_E_FORMAT,
     "FILE: tensor w: a dimension is no integer in range"},
    {ONE("\"F32\"", "[1.0]", "[0,4]"), 4, LP_E_FORMAT,
     "FILE: tensor w: a dimension is no integer in range"},
    {ONE("\"F32\"", "[4294967296,4294967296]", "[0,4]"), 4, LP_E_FORMAT,
     "FILE: tensor w: the product of its dimensions overflows"},
    {ONE("\"F32\"", "[4611686018427387904]", "[0,0]"), 4, LP_E_FORMAT,
     "FILE: tensor w: the product of its dimensions overflows"},
    {ONE("7", "[1]", "[0,4]"), 4, LP_E_FORMAT, "FILE: tensor w: its dtype is no string"},
    {ONE("\"F32\"", "[1]", "[0]"), 4, LP_E_FORMAT,
     "FILE: tensor w: data_offsets are not two integers"},
    {ONE("\"F32\"", "[1]", "[0,4,8]"), 4, LP_E_FORMAT,
     "FILE: tensor w: data_offsets are not two integers"},
    {ONE("\"F32\"", "[1]", "[0,-4]"), 4, LP_E_FORMAT,
     "FILE: tensor w: data_offsets are not two integers"},
    {ONE("\"F32\"", "[1]", "[4,0]"), 4, LP_E_FORMAT,
     "FILE: tensor w: its end lies before its beginning"},
    {ONE("\"F32\"", "[2,1000]", "[0,4]"), 4, LP_E_FORMAT,
     "FILE: tensor w: 8,000 bytes expected, its data_offsets give 4"},
    {ONE("\"I64\"", "[3]", "[0,12]"), 12, LP_E_FORMAT,
     "FILE: tensor w: 24 bytes expected, its data_offsets give 12"},
    {ONE("\"F32\"", "[262144]", "[0,1048576]"), 524288, LP_E_FORMAT,
     "FILE: tensor w: 1,048,576 bytes expected, file ends after 524,288"},
    {ONE("\"F32\"", "[1]", "[8,12]"), 4, LP_E_FORMAT,
     "FILE: tensor w: begins at byte 8 of the data, which ends after 4"},
    {"{\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
     12, LP_E_FORMAT, "FILE: tensor b overlaps tensor a"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, LP_E_FORMAT, "FILE: tensor w: the name occurs twice"},
};

static void refuses_broken_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        bytes b = make(broken[i].header, broken[i].data);
        lp_context ctx = {0};
        lp_weights *weights = lp_weights_create();
        lp_status status = lp_safetensors_parse(&ctx, "FILE", b.data, b.n, weights);
        assert_string_equal(ctx.message, broken[i].message);
        assert_int_equal(status, broken[i].status);
        lp_weights_destroy(weights);
        bytes_free(&b);
    }
}

static void refuses_absurd_headers(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        const char *message;
    } cases[] = {
        {UINT64_MAX, "FILE: not a safetensors file, or cut: header of 18,446,744,073,709,551,615 "
                     "bytes, 16 follow"},
        {17, "FILE: not a safetensors file, or cut: header of 17 bytes, 16 follow"},
    };
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    for (size_t i = 0; i < 2; i++) {
        bytes b = {0};
        bytes_u64(&b, cases[i].n);
        bytes_zeros(&b, 16);
        assert_int_equal(lp_safetensors_parse(&ctx, "FILE", b.data, b.n, weights), LP_E_FORMAT);
        assert_string_equal(ctx.message, cases[i].message);
        bytes_free(&b);
    }
    assert_int_equal(lp_safetensors_parse(&ctx, "FILE", "1234567", 7, weights), LP_E_FORMAT);
    assert_string_equal(ctx.message, "FILE: not a safetensors file: it has only 7 bytes");
    lp_weights_destroy(weights);
}

/* --- Folders --------------------------------------------------------------------------------- */

static char *folder;

static int make_folder(void **state)
{
    (void)state;
    folder = scratch_create();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    scratch_destroy(folder);
    return 0;
}

/* Writes folder/name with one F32 tensor of one element. */
static void put_shard(const char *name, const char *tensor)
{
    char header[256];
    snprintf(header, sizeof(header),
             "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", tensor);
    bytes b = make(header, 4);
    free(scratch_file(folder, name, b.data, b.n));
    bytes_free(&b);
}

static void put_index(const char *text)
{
    free(scratch_file(folder, "model.safetensors.index.json", text, strlen(text)));
}

/* Opens the folder; the message without the folder's path must be `message`. */
static void expect(lp_status wanted, const char *message)
{
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    lp_status status = lp_weights_open_folder(&ctx, folder, weights);
    const char *text = ctx.message;
    if (strncmp(text, folder, strlen(folder)) == 0)
        text += strlen(folder);
    assert_string_equal(text, message);
    assert_int_equal(status, wanted);
    lp_weights_destroy(weights);
}

#define INDEX "/model.safetensors.index.json"

static void reads_folders(void **state)
{
    (void)state;
    expect(LP_E_MISSING, ": neither model.safetensors nor pytorch_model.bin is there, nor an index of "
                         "shards (model.safetensors.index.json)");
    put_shard("m-1.safetensors", "a");
    put_shard("m-2.safetensors", "b");
    put_index("{\"metadata\":{},\"weight_map\":{\"a\":\"m-1.safetensors\","
              "\"b\":\"m-2.safetensors\"}}");
    expect(LP_OK, "");
    put_shard("model.safetensors", "c"); /* goes before the index */
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    assert_int_equal(lp_weights_open_folder(&ctx, folder, weights), LP_OK);
    assert_int_equal(lp_weights_count(weights), 1);
    assert_non_null(lp_weights_find(weights, "c"));
    lp_weights_destroy(weights);
}

static void refuses_broken_indices(void **state)
{
    (void)state;
    put_shard("m-1.safetensors", "a");
    put_shard("m-2.safetensors", "b");
    put_index("{}");
    expect(LP_E_MISSING, INDEX ": weight_map is missing");
    put_index("{\"weight_map\":{}}");
    expect(LP_E_FORMAT, INDEX ": weight_map is empty");
    put_index("{\"weight_map\":[]}");
    expect(LP_E_FORMAT, INDEX ": weight_map: object expected, file has array");
    static const char *const outside[] = {"\"../m-1.safetensors\"",
                                          "\"/etc/x.safetensors\"",
                                          "\"..\"",
                                          "\"\"",
                                          "7",
                                          "\"sub/m.safetensors\"",
                                          "\"..\\\\m.safetensors\"",
                                          "\"m-1.safetensors\\u0000.safetensors\"",
                                          "\"model.safetensors.index.json\""}; /* a cycle */
    for (size_t i = 0; i < sizeof(outside) / sizeof(*outside); i++) {
        char text[256];
        snprintf(text, sizeof(text), "{\"weight_map\":{\"a\":%s}}", outside[i]);
        put_index(text);
        expect(LP_E_FORMAT,
               INDEX ": tensor a: its shard must be the name of a .safetensors file in "
                     "the same folder");
    }
    put_index("{\"weight_map\":{\"a\":\"gone.safetensors\"}}");
    expect(LP_E_IO, "/gone.safetensors: No such file or directory");
    put_index("{\"weight_map\":{\"a\":\"m-1.safetensors\",\"x\":\"m-2.safetensors\"}}");
    expect(LP_E_MISSING, INDEX ": tensor x is not in its shard m-2.safetensors");
    put_index("{\"weight_map\":{\"a\":\"m-2.safetensors\",\"b\":\"m-1.safetensors\"}}");
    expect(LP_E_FORMAT,
           INDEX ": tensor a is in shard m-1.safetensors, the index says m-2.safetensors");
    put_shard("m-2.safetensors", "a");
    put_index("{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}");
    expect(LP_E_FORMAT, "/m-2.safetensors: tensor a: the name occurs twice");
    /* a shard that is a link to itself */
    char link[512];
    snprintf(link, sizeof(link), "%s/loop.safetensors", folder);
    assert_int_equal(symlink("loop.safetensors", link), 0);
    put_index("{\"weight_map\":{\"a\":\"loop.safetensors\"}}");
    expect(LP_E_IO, "/loop.safetensors: Too many levels of symbolic links");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_tensors),
        cmocka_unit_test(refuses_broken_files),
        cmocka_unit_test(refuses_absurd_headers),
        cmocka_unit_test_setup_teardown(reads_folders, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(refuses_broken_indices, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
