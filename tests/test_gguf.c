/* The GGUF reader: good files in every version and type, and every way for a file to be broken.
 * Each broken file must give one line that names what and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/bytes.h"
#include "tensor/gguf.h"

/* --- A file by hand -------------------------------------------------------------------------- */

static void put_string(bytes *b, const char *text)
{
    bytes_u64(b, strlen(text));
    bytes_text(b, text);
}

static void put_header(bytes *b, uint32_t version, uint64_t n_tensors, uint64_t n_pairs)
{
    bytes_text(b, "GGUF");
    bytes_u32(b, version);
    bytes_u64(b, n_tensors);
    bytes_u64(b, n_pairs);
}

static void put_key(bytes *b, const char *key, uint32_t type)
{
    put_string(b, key);
    bytes_u32(b, type);
}

static void put_u32(bytes *b, const char *key, uint32_t value)
{
    put_key(b, key, LP_GGUF_U32);
    bytes_u32(b, value);
}

/* A row of the tensor table; dimensions innermost first, 0 ends them. */
static void put_tensor(bytes *b, const char *name, const uint64_t dims[4], uint32_t type,
                       uint64_t offset)
{
    uint32_t n = 0;
    while (n < 4 && dims[n])
        n++;
    put_string(b, name);
    bytes_u32(b, n);
    for (uint32_t i = 0; i < n; i++)
        bytes_u64(b, dims[i]);
    bytes_u32(b, type);
    bytes_u64(b, offset);
}

#define DIMS(...) ((const uint64_t[4]){__VA_ARGS__})

static void put_data(bytes *b, size_t alignment, size_t n)
{
    while (b->n % alignment)
        bytes_zeros(b, 1);
    bytes_zeros(b, n);
}

/* --- Good files ------------------------------------------------------------------------------ */

typedef struct opened {
    lp_context ctx;
    lp_weights *weights;
    lp_gguf *gguf;
    lp_status status;
} opened;

static opened open_bytes(const bytes *b)
{
    opened o = {.weights = lp_weights_create()};
    o.status = lp_gguf_parse(&o.ctx, "FILE", b->data, b->n, o.weights, &o.gguf);
    return o;
}

static void close_bytes(opened *o, bytes *b)
{
    lp_gguf_destroy(o->gguf);
    lp_weights_destroy(o->weights);
    bytes_free(b);
}

static void reads_every_value_type(void **state)
{
    (void)state;
    bytes b = {0};
    put_header(&b, 3, 0, 16);
    put_key(&b, "u8", LP_GGUF_U8);
    bytes_put(&b, "\xff", 1);
    put_key(&b, "i8", LP_GGUF_I8);
    bytes_put(&b, "\xff", 1);
    put_key(&b, "u16", LP_GGUF_U16);
    bytes_put(&b, "\x34\x12", 2);
    put_key(&b, "i16", LP_GGUF_I16);
    bytes_put(&b, "\x00\x80", 2);
    put_u32(&b, "u32", UINT32_MAX);
    put_key(&b, "i32", LP_GGUF_I32);
    bytes_u32(&b, 0x80000000u);
    put_key(&b, "f32", LP_GGUF_F32);
    bytes_u32(&b, 0x3fc00000u); /* 1.5 */
    put_key(&b, "bool", LP_GGUF_BOOL);
    bytes_put(&b, "\1", 1);
    put_key(&b, "string", LP_GGUF_STRING);
    put_string(&b, "a\n\xc2\x9b");
    put_key(&b, "u64", LP_GGUF_U64);
    bytes_u64(&b, UINT64_MAX);
    put_key(&b, "i64", LP_GGUF_I64);
    bytes_u64(&b, UINT64_MAX);
    put_key(&b, "f64", LP_GGUF_F64);
    bytes_u64(&b, 0x3ff8000000000000u); /* 1.5 */
    put_key(&b, "f64.huge", LP_GGUF_F64);
    bytes_u64(&b, 0x7fe0000000000000u); /* beyond f32 */
    put_key(&b, "numbers", LP_GGUF_ARRAY);
    bytes_u32(&b, LP_GGUF_I32);
    bytes_u64(&b, 3);
    bytes_u32(&b, 7), bytes_u32(&b, 0xffffffffu), bytes_u32(&b, 0);
    put_key(&b, "words", LP_GGUF_ARRAY);
    bytes_u32(&b, LP_GGUF_STRING);
    bytes_u64(&b, 2);
    put_string(&b, ""), put_string(&b, "two");
    put_key(&b, "nested", LP_GGUF_ARRAY);
    bytes_u32(&b, LP_GGUF_ARRAY);
    bytes_u64(&b, 1);
    bytes_u32(&b, LP_GGUF_U8);
    bytes_u64(&b, 2);
    bytes_put(&b, "\1\2", 2);

    opened o = open_bytes(&b);
    assert_string_equal(o.ctx.message, "");
    assert_int_equal(o.status, LP_OK);
    static const char *const printed[16] = {"255",
                                            "-1",
                                            "4660",
                                            "-32768",
                                            "4294967295",
                                            "-2147483648",
                                            "1.5",
                                            "true",
                                            "\"a  \"",
                                            "18446744073709551615",
                                            "-1",
                                            "1.5",
                                            "8.98846567431158e+307",
                                            "[7, -1, 0]",
                                            "[string x 2]",
                                            "[array x 1]"};
    assert_int_equal(lp_gguf_count(o.gguf), 16);
    for (size_t i = 0; i < 16; i++) {
        char text[128];
        assert_string_equal(lp_gguf_print(o.gguf, i, text, sizeof(text)), printed[i]);
        char small[16]; /* must not write beyond */
        assert_true(strlen(lp_gguf_print(o.gguf, i, small, sizeof(small))) < sizeof(small));
    }

    uint32_t u = 0;
    float f = 0;
    bool flag = false;
    lp_gguf_string s;
    assert_true(lp_gguf_get_u32(o.gguf, "u8", &u) && u == 255);
    assert_true(lp_gguf_get_u32(o.gguf, "u16", &u) && u == 0x1234);
    assert_true(lp_gguf_get_u32(o.gguf, "u32", &u) && u == UINT32_MAX);
    assert_false(lp_gguf_get_u32(o.gguf, "i8", &u));
    assert_false(lp_gguf_get_u32(o.gguf, "u64", &u));
    assert_false(lp_gguf_get_u32(o.gguf, "f32", &u));
    assert_false(lp_gguf_get_u32(o.gguf, "bool", &u));
    assert_false(lp_gguf_get_u32(o.gguf, "numbers", &u));
    assert_false(lp_gguf_get_u32(o.gguf, "missing", &u));
    assert_true(lp_gguf_get_f32(o.gguf, "f32", &f) && f == 1.5f);
    assert_true(lp_gguf_get_f32(o.gguf, "f64", &f) && f == 1.5f);
    assert_true(lp_gguf_get_f32(o.gguf, "i16", &f) && f == -32768.0f);
    assert_false(lp_gguf_get_f32(o.gguf, "f64.huge", &f));
    assert_false(lp_gguf_get_f32(o.gguf, "string", &f));
    assert_true(lp_gguf_get_bool(o.gguf, "bool", &flag) && flag);
    assert_false(lp_gguf_get_bool(o.gguf, "u8", &flag));
    assert_true(lp_gguf_get_string(o.gguf, "string", &s) && s.bytes == 4);
    assert_false(lp_gguf_get_string(o.gguf, "words", &s));

    lp_gguf_type type;
    uint64_t n;
    int32_t ints[3];
    float floats[3];
    assert_true(lp_gguf_get_array(o.gguf, "words", &type, &n) && type == LP_GGUF_STRING && n == 2);
    assert_int_equal(lp_gguf_array_string(o.gguf, "words", 0).bytes, 0);
    assert_memory_equal(lp_gguf_array_string(o.gguf, "words", 1).data, "two", 3);
    assert_int_equal(lp_gguf_array_string(o.gguf, "words", 2).bytes, 0); /* out of range */
    assert_true(lp_gguf_array_i32(o.gguf, "numbers", ints, 3) && ints[0] == 7 && ints[1] == -1);
    assert_true(lp_gguf_array_f32(o.gguf, "numbers", floats, 2) && floats[1] == -1.0f);
    assert_false(lp_gguf_array_i32(o.gguf, "numbers", ints, 4));
    assert_false(lp_gguf_array_f32(o.gguf, "words", floats, 1));
    assert_false(lp_gguf_array_i32(o.gguf, "nested", ints, 1));
    close_bytes(&o, &b);
}

static void reads_tensors(void **state)
{
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        bytes b = {0};
        put_header(&b, version, 3, 1);
        put_u32(&b, "general.alignment", 64);
        put_tensor(&b, "q", DIMS(64, 3), 8, 0);     /* Q8_0: 204 bytes */
        put_tensor(&b, "k", DIMS(256), 21, 256);    /* IQ3_S: 110 bytes, listed only */
        put_tensor(&b, "n", DIMS(2, 1, 5), 0, 448); /* F32: 40 bytes */
        put_data(&b, 64, 448 + 40);
        float value = 3;
        memcpy(b.data + b.n - 4, &value, 4);

        opened o = open_bytes(&b);
        assert_string_equal(o.ctx.message, "");
        assert_int_equal(o.status, LP_OK);
        assert_int_equal(lp_weights_count(o.weights), 3);
        assert_int_equal(lp_weights_bytes(o.weights), 204 + 110 + 40);
        const lp_weight *q = lp_weights_at(o.weights, 0);
        assert_true(lp_shape_equal(q->shape, LP_SHAPE2(3, 64)));
        assert_int_equal(q->dtype, LP_Q8_0);
        assert_string_equal(q->type, "Q8_0");
        const lp_weight *n = lp_weights_find(o.weights, "n");
        assert_true(lp_shape_equal(n->shape, LP_SHAPE3(5, 1, 2)));
        assert_true(((const float *)n->data)[9] == 3);
        const lp_weight *k = lp_weights_find(o.weights, "k");
        assert_int_equal(k->dtype, LP_N_DTYPES);
        assert_null(k->data);
        assert_int_equal(lp_weight_usable(&o.ctx, q), LP_OK);
        assert_int_equal(lp_weight_usable(&o.ctx, k), LP_E_UNSUPPORTED);
        assert_string_equal(o.ctx.message, "FILE: tensor k: type IQ3_S is not supported");
        close_bytes(&o, &b);
    }
}

static void lists_types_without_a_name(void **state)
{
    (void)state;
    bytes b = {0};
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "x", DIMS(7), 99, 0);
    opened o = open_bytes(&b);
    assert_int_equal(o.status, LP_OK);
    assert_int_equal(lp_weight_usable(&o.ctx, lp_weights_at(o.weights, 0)), LP_E_UNSUPPORTED);
    assert_string_equal(o.ctx.message, "FILE: tensor x: type number 99 is not supported");
    close_bytes(&o, &b);
}

/* --- Broken files ---------------------------------------------------------------------------- */

static void wrong_magic(bytes *b)
{
    bytes_text(b, "GGML____________________");
}
static void empty(bytes *b)
{
    bytes_zeros(b, 0);
}
static void only_magic(bytes *b)
{
    bytes_text(b, "GGUF");
}
static void old_version(bytes *b)
{
    put_header(b, 1, 0, 0);
}
static void big_endian(bytes *b)
{
    put_header(b, 0x03000000u, 0, 0);
}
static void cut_header(bytes *b)
{
    put_header(b, 3, 0, 0);
    b->n -= 3;
}
static void absurd_pairs(bytes *b)
{
    put_header(b, 3, 0, UINT64_MAX);
}
static void absurd_tensors(bytes *b)
{
    put_header(b, 3, 1000000000000u, 0);
}
static void absurd_key(bytes *b)
{
    put_header(b, 3, 0, 1);
    bytes_u64(b, UINT64_MAX);
    bytes_zeros(b, 8);
}
static void unknown_value_type(bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "some.key", 13);
    bytes_zeros(b, 8);
}
static void cut_value(bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "some.key", LP_GGUF_U64);
    bytes_u32(b, 0);
}
static void absurd_string(bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "some.key", LP_GGUF_STRING);
    bytes_u64(b, UINT64_MAX - 7);
}
static void put_array(bytes *b, uint32_t type, uint64_t n)
{
    put_header(b, 3, 0, 1);
    put_key(b, "some.key", LP_GGUF_ARRAY);
    bytes_u32(b, type);
    bytes_u64(b, n);
}
static void absurd_array(bytes *b)
{
    put_array(b, LP_GGUF_F64, UINT64_MAX / 8 + 1); /* n * 8 overflows to a small number */
    bytes_zeros(b, 16);
}
static void absurd_string_array(bytes *b)
{
    put_array(b, LP_GGUF_STRING, 1u << 30);
    bytes_zeros(b, 16);
}
static void cut_string_array(bytes *b)
{
    put_array(b, LP_GGUF_STRING, 2);
    put_string(b, "first");
    bytes_u64(b, 9);
}
static void bad_array_type(bytes *b)
{
    put_array(b, 77, 1);
    bytes_zeros(b, 16);
}
static void nested_too_deeply(bytes *b)
{
    put_array(b, LP_GGUF_ARRAY, 1);
    for (int i = 0; i < 10000; i++) {
        bytes_u32(b, LP_GGUF_ARRAY);
        bytes_u64(b, 1);
    }
}
static void duplicate_key(bytes *b)
{
    put_header(b, 3, 0, 3);
    put_u32(b, "some.key", 1);
    put_u32(b, "other", 1);
    put_u32(b, "some.key", 2);
}
static void alignment_zero(bytes *b)
{
    put_header(b, 3, 0, 1);
    put_u32(b, "general.alignment", 0);
}
static void alignment_odd(bytes *b)
{
    put_header(b, 3, 0, 1);
    put_u32(b, "general.alignment", 24);
}
static void put_one(bytes *b, const uint64_t dims[4], uint32_t type, uint64_t offset, size_t data)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "blk.3.ffn_up.weight", dims, type, offset);
    put_data(b, 32, data);
}
static void cut_data(bytes *b)
{
    put_one(b, DIMS(512, 512), 0, 0, 524288);
}
static void no_data(bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "blk.3.ffn_up.weight", DIMS(1), 0, 0);
}
static void offset_past_end(bytes *b)
{
    put_one(b, DIMS(4), 0, 64, 32);
}
static void offset_overflows(bytes *b)
{
    put_one(b, DIMS(4), 0, UINT64_MAX - 31, 32);
}
static void offset_misaligned(bytes *b)
{
    put_one(b, DIMS(4), 0, 8, 64);
}
static void five_dims(bytes *b)
{
    put_header(b, 3, 1, 0);
    put_string(b, "blk.3.ffn_up.weight");
    bytes_u32(b, 5);
    bytes_zeros(b, 64);
}
static void dims_overflow(bytes *b)
{
    put_one(b, DIMS(1ull << 32, 1ull << 31, 2), 0, 0, 64);
}
static void dims_times_size_overflow(bytes *b)
{
    put_one(b, DIMS(1ull << 62), 0, 0, 64);
}
static void dim_negative(bytes *b)
{
    put_one(b, DIMS(UINT64_MAX, 2), 0, 0, 64);
}
static void block_mismatch(bytes *b)
{
    put_one(b, DIMS(100, 2), 8, 0, 640);
}
static void foreign_block_mismatch(bytes *b)
{
    put_one(b, DIMS(32, 8), 12, 0, 640);
}
static void foreign_cut(bytes *b)
{
    put_one(b, DIMS(256, 8), 12, 0, 640);
}
static void duplicate_name(bytes *b)
{
    put_header(b, 3, 2, 0);
    put_tensor(b, "twin", DIMS(8), 0, 0);
    put_tensor(b, "twin", DIMS(8), 0, 32);
    put_data(b, 32, 64);
}
static void overlap(bytes *b)
{
    put_header(b, 3, 3, 0);
    put_tensor(b, "c", DIMS(8), 0, 64);
    put_tensor(b, "a", DIMS(9), 0, 0);
    put_tensor(b, "b", DIMS(8), 0, 32);
    put_data(b, 32, 96);
}
static void cut_table(bytes *b)
{
    put_header(b, 3, 2, 0);
    put_tensor(b, "a", DIMS(8), 0, 0);
    put_string(b, "b");
    bytes_zeros(b, 15);
}
static void empty_name(bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "", DIMS(8), 0, 0);
    put_data(b, 32, 96);
}
static void newline_in_name(bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "a\n\33[31mb", DIMS(8), 0, 8);
    put_data(b, 32, 96);
}

static const struct {
    void (*put)(bytes *b);
    lp_status status;
    const char *message;
} broken[] = {
    {wrong_magic, LP_E_FORMAT, "FILE: not a GGUF file (it does not begin with \"GGUF\")"},
    {empty, LP_E_FORMAT, "FILE: not a GGUF file (it does not begin with \"GGUF\")"},
    {only_magic, LP_E_FORMAT, "FILE: the file ends inside its header"},
    {old_version, LP_E_UNSUPPORTED, "FILE: GGUF version 1, readable are 2 and 3"},
    {big_endian, LP_E_UNSUPPORTED, "FILE: a big-endian GGUF file"},
    {cut_header, LP_E_FORMAT, "FILE: the file ends inside its header"},
    {absurd_pairs, LP_E_FORMAT,
     "FILE: 18446744073709551615 metadata pairs do not fit into the file"},
    {absurd_tensors, LP_E_FORMAT, "FILE: 1000000000000 tensors do not fit into the file"},
    {absurd_key, LP_E_FORMAT, "FILE: the metadata key at byte 24 does not fit into the file"},
    {unknown_value_type, LP_E_FORMAT, "FILE: metadata key some.key: unknown type of value"},
    {cut_value, LP_E_FORMAT, "FILE: metadata key some.key: its value does not fit into the file"},
    {absurd_string, LP_E_FORMAT,
     "FILE: metadata key some.key: its value does not fit into the file"},
    {absurd_array, LP_E_FORMAT,
     "FILE: metadata key some.key: the array does not fit into the file"},
    {absurd_string_array, LP_E_FORMAT,
     "FILE: metadata key some.key: the array does not fit into the file"},
    {cut_string_array, LP_E_FORMAT,
     "FILE: metadata key some.key: a string does not fit into the file"},
    {bad_array_type, LP_E_FORMAT, "FILE: metadata key some.key: unknown type of array elements"},
    {nested_too_deeply, LP_E_FORMAT, "FILE: metadata key some.key: arrays are nested too deeply"},
    {duplicate_key, LP_E_FORMAT, "FILE: metadata key some.key: occurs twice"},
    {alignment_zero, LP_E_FORMAT,
     "FILE: general.alignment is 0, must be a power of two, at least 8"},
    {alignment_odd, LP_E_FORMAT,
     "FILE: general.alignment is 24, must be a power of two, at least 8"},
    {cut_data, LP_E_FORMAT,
     "FILE: tensor blk.3.ffn_up.weight: 1,048,576 bytes expected, file ends after 524,288"},
    {no_data, LP_E_FORMAT, "FILE: tensor blk.3.ffn_up.weight: 4 bytes expected, file ends after 0"},
    {offset_past_end, LP_E_FORMAT,
     "FILE: tensor blk.3.ffn_up.weight: begins at byte 64 of the data, which ends after 32"},
    {offset_overflows, LP_E_FORMAT,
     "FILE: tensor blk.3.ffn_up.weight: begins at byte 18,446,744,073,709,551,584 of the data, "
     "which ends after 32"},
    {offset_misaligned, LP_E_FORMAT,
     "FILE: tensor blk.3.ffn_up.weight: its offset 8 is no multiple of the alignment 32"},
    {five_dims, LP_E_FORMAT,
     "FILE: tensor blk.3.ffn_up.weight: 5 dimensions, at most 4 are possible"},
    {dims_overflow, LP_E_FORMAT,
     "FILE: tensor blk.3.ffn_up.weight: the product of its dimensions overflows"},
    {dims_times_size_overflow, LP_E_FORMAT,
     "FILE: tensor blk.3.ffn_up.weight: the product of its dimensions overflows"},
    {dim_negative, LP_E_FORMAT,
     "FILE: tensor blk.3.ffn_up.weight: the product of its dimensions overflows"},
    {block_mismatch, LP_E_FORMAT,
     "FILE: tensor blk.3.ffn_up.weight: rows of 100 elements, must be a multiple of Q8_0's 32"},
    {foreign_block_mismatch, LP_E_FORMAT,
     "FILE: tensor blk.3.ffn_up.weight: rows of 32 elements, must be a multiple of Q4_K's 256"},
    {foreign_cut, LP_E_FORMAT,
     "FILE: tensor blk.3.ffn_up.weight: 1,152 bytes expected, file ends after 640"},
    {duplicate_name, LP_E_FORMAT, "FILE: tensor twin: the name occurs twice"},
    {overlap, LP_E_FORMAT, "FILE: tensor b overlaps tensor a"},
    {cut_table, LP_E_FORMAT, "FILE: the file ends inside the tensor table, at number 1"},
    {empty_name, LP_E_FORMAT, "FILE: tensor number 0: its name is empty"},
    {newline_in_name, LP_E_FORMAT,
     "FILE: tensor a??[31mb: its offset 8 is no multiple of the alignment 32"},
};

static void refuses_broken_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        bytes b = {0};
        broken[i].put(&b);
        opened o = open_bytes(&b);
        assert_string_equal(o.ctx.message, broken[i].message);
        assert_int_equal(o.status, broken[i].status);
        assert_null(o.gguf);
        close_bytes(&o, &b);
    }
}

/* Cut anywhere, a file is refused or, where only padding is lost, read. */
static void survives_every_cut(void **state)
{
    (void)state;
    bytes b = {0};
    put_header(&b, 3, 2, 3);
    put_u32(&b, "general.alignment", 32);
    put_key(&b, "words", LP_GGUF_ARRAY);
    bytes_u32(&b, LP_GGUF_STRING);
    bytes_u64(&b, 2);
    put_string(&b, "one"), put_string(&b, "two");
    put_key(&b, "name", LP_GGUF_STRING);
    put_string(&b, "cut");
    put_tensor(&b, "a", DIMS(32, 2), 2, 0);
    put_tensor(&b, "b", DIMS(8), 0, 64);
    put_data(&b, 32, 96);
    size_t whole = b.n;
    for (b.n = 0; b.n < whole; b.n++) {
        uint8_t *exact = malloc(b.n + 1); /* so that a read beyond the end is seen by sanitizers */
        assert_non_null(exact);
        memcpy(exact, b.data, b.n);
        exact = realloc(exact, b.n ? b.n : 1);
        opened o = open_bytes(&(bytes){exact, b.n});
        assert_int_not_equal(o.status, LP_OK);
        assert_true(strncmp(o.ctx.message, "FILE: ", 6) == 0);
        bytes none = {exact, 0};
        close_bytes(&o, &none);
    }
    b.n = whole;
    opened o = open_bytes(&b);
    assert_int_equal(o.status, LP_OK);
    close_bytes(&o, &b);
}

static void names_the_path(void **state)
{
    (void)state;
    char *folder = scratch_create();
    char *path = scratch_file(folder, "x.gguf", "nothing", 7);
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    lp_gguf *gguf;
    assert_int_equal(lp_gguf_open(&ctx, path, weights, &gguf), LP_E_FORMAT);
    assert_true(strncmp(ctx.message, path, strlen(path)) == 0);
    assert_int_equal(lp_gguf_open(&ctx, folder, weights, &gguf), LP_E_ARG);
    assert_non_null(strstr(ctx.message, "a folder"));
    assert_int_equal(lp_gguf_open(&ctx, "/nonexistent.gguf", weights, &gguf), LP_E_IO);
    assert_string_equal(ctx.message, "/nonexistent.gguf: No such file or directory");
    lp_weights_destroy(weights);
    free(path);
    scratch_destroy(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_value_type),     cmocka_unit_test(reads_tensors),
        cmocka_unit_test(lists_types_without_a_name), cmocka_unit_test(refuses_broken_files),
        cmocka_unit_test(survives_every_cut),         cmocka_unit_test(names_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
