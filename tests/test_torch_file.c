/* The reader of torch.save() files: what torch wrote, cut at every byte, and pickles made by hand
 * that ask for what must never happen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/network.h"
#include "support/bytes.h"
#include "support/zip_file.h"
#include "support/model_files.h"
#include "tensor/torch_file.h"
#include "tensor/weights_folder.h"

#define SEED(name)   LAPILLI_TEST_FIXTURES "/../../fuzz/corpus/torch/" name
#define COUNT(array) (sizeof array / sizeof array[0])

/* --- What torch wrote ------------------------------------------------------------------------ */

#define SHAPE(n, ...)                                                                              \
    {                                                                                              \
        n,                                                                                         \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* See make_torch_seeds() in fixtures/models/maker/torch_twin.py. */
static const struct {
    const char *name, *type;
    lp_shape shape;
    float values[12];
} tensors[] = {
    {"table",
     "F32",
     SHAPE(2, 3, 4, 1, 1),
     {0, .25f, .5f, .75f, 1, 1.25f, 1.5f, 1.75f, 2, 2.25f, 2.5f, 2.75f}},
    {"tied",
     "F32",
     SHAPE(2, 3, 4, 1, 1),
     {0, .25f, .5f, .75f, 1, 1.25f, 1.5f, 1.75f, 2, 2.25f, 2.5f, 2.75f}},
    {"transposed",
     "F32",
     SHAPE(2, 4, 3, 1, 1),
     {0, 1, 2, .25f, 1.25f, 2.25f, .5f, 1.5f, 2.5f, .75f, 1.75f, 2.75f}},
    {"part", "F32", SHAPE(2, 2, 2, 1, 1), {1.25f, 1.5f, 2.25f, 2.5f}},
    {"row", "F32", SHAPE(1, 4, 1, 1, 1), {2, 2.25f, 2.5f, 2.75f}},
    {"gain", "F16", SHAPE(1, 3, 1, 1, 1), {1.5f, -2, .25f}},
    {"half", "BF16", SHAPE(2, 2, 1, 1, 1), {1.5f, 3}},
    {"scalar", "F32", SHAPE(1, 1, 1, 1, 1), {7}},
    {"none", "F32", SHAPE(2, 0, 4, 1, 1), {0}},
    {"mask", "BOOL", SHAPE(4, 1, 1, 3, 3), {0}},
    {"ids", "I64", SHAPE(1, 5, 1, 1, 1), {0}},
    {"numbers", "I32", SHAPE(1, 3, 1, 1, 1), {0}},
    {"wide", "F64", SHAPE(1, 2, 1, 1, 1), {0}},
};

static void check_seed(const char *path)
{
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    if (lp_torch_open(&ctx, path, weights) != LP_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(lp_weights_count(weights), COUNT(tensors));
    for (size_t i = 0; i < COUNT(tensors); i++) {
        const lp_weight *w = lp_weights_at(weights, i);
        assert_string_equal(w->name, tensors[i].name);
        assert_string_equal(w->type, tensors[i].type);
        assert_string_equal(w->file, path);
        assert_true(lp_shape_equal(w->shape, tensors[i].shape));
        const lp_dtype_info *type = w->dtype < LP_N_DTYPES ? &lp_dtype_table[w->dtype] : NULL;
        if (!type) { /* foreign: listed, not usable */
            assert_null(w->data);
            assert_int_equal(lp_weight_usable(&ctx, w), LP_E_UNSUPPORTED);
        } else if (type->to_f32 && w->bytes) {
            float values[12];
            size_t n = (size_t)lp_shape_elements(w->shape);
            assert_int_equal(w->bytes, n * type->bytes);
            assert_int_equal((uintptr_t)w->data % type->bytes, 0);
            type->to_f32(w->data, values, n);
            assert_memory_equal(values, tensors[i].values, n * sizeof(float));
        }
    }
    /* tied weights lie in one place */
    assert_ptr_equal(lp_weights_at(weights, 0)->data, lp_weights_at(weights, 1)->data);
    lp_weights_destroy(weights);
}

static void reads_both_forms(void **state)
{
    (void)state;
    check_seed(SEED("older.bin"));
    check_seed(SEED("zip.bin"));
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    assert_int_equal(lp_torch_open(&ctx, SEED("module.bin"), weights), LP_OK);
    assert_int_equal(lp_weights_count(weights), 4);
    assert_non_null(lp_weights_find(weights, "1.bias"));
    lp_weights_destroy(weights);
}

/* Opens a copy of exactly n bytes, so that a sanitizer sees its end. */
static lp_status open_bytes(lp_context *ctx, const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, data, n);
    lp_weights *weights = lp_weights_create();
    lp_status status = lp_torch_parse(ctx, "FILE", copy, n, weights);
    lp_weights_destroy(weights);
    free(copy);
    return status;
}

static void refuses_files_that_are_cut(void **state)
{
    (void)state;
    static const char *const paths[] = {SEED("older.bin"), SEED("zip.bin")};
    for (size_t f = 0; f < COUNT(paths); f++) {
        size_t size;
        uint8_t *data = test_read(paths[f], &size);
        for (size_t n = 0; n < size; n++) {
            lp_context ctx = {0};
            if (open_bytes(&ctx, data, n) == LP_OK)
                fail_msg("%s is accepted without its last %zu bytes", paths[f], size - n);
            assert_int_equal(strncmp(ctx.message, "FILE: ", 6), 0);
        }
        free(data);
    }
}

/* --- Pickles by hand ------------------------------------------------------------------------- */

/* Opcodes with their arguments; counts are one byte. */
#define PROTO         "\x80\x02"
#define GLOBAL(m, n)  "c" m "\n" n "\n"
#define TEXT(n, text) "X" n "\0\0\0" text
#define INT(byte)     "K" byte
#define BIG(bytes)    "\x8a\x08" bytes /* eight of them */
#define PAIR          "\x86"
#define ONE           "\x85"
#define REBUILD       GLOBAL("torch._utils", "_rebuild_tensor_v2")
/* Storage "0" of n floats. */
#define FLOATS(n)                                                                                  \
    "(" TEXT("\x07", "storage") GLOBAL("torch", "FloatStorage") TEXT("\x01", "0")                  \
        TEXT("\x03", "cpu") n "tQ"
/* {"w": tensor} with the arguments that follow the storage */
#define DICT(value)           PROTO "}" TEXT("\x01", "w") value "s."
#define TENSOR(storage, rest) REBUILD "(" storage rest "\x89}tR"
#define W(storage, rest)      DICT(TENSOR(storage, rest))
#define HUGE_INT              BIG("\0\0\0\0\0\0\0\x40") /* 2^62 */

#define BYTES(literal)                                                                             \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* The storage has 6 floats. */
static const struct {
    struct {
        const char *data;
        size_t n;
    } pickle;
    const char *message; /* without "FILE: "; NULL: it is fine */
} by_hand[] = {
    {BYTES(W(FLOATS(INT("\x06")),
             INT("\0") INT("\x02") INT("\x03") PAIR INT("\x03") INT("\x01") PAIR)),
     NULL},
    {BYTES(W(FLOATS(INT("\x06")), INT("\0") "))")), NULL}, /* a scalar */
    /* names that must not be called, each as a real attack has them */
    {BYTES(DICT(GLOBAL("os", "system") TEXT("\x02", "ls") ONE "R")),
     "pickle: byte 9: global os.system is refused: nothing in a model file is executed"},
    {BYTES(DICT(GLOBAL("posix", "system") TEXT("\x02", "ls") ONE "R")),
     "pickle: byte 9: global posix.system is refused: nothing in a model file is executed"},
    {BYTES(DICT(GLOBAL("builtins", "eval") TEXT("\x01", "1") ONE "R")),
     "pickle: byte 9: global builtins.eval is refused: nothing in a model file is executed"},
    {BYTES(DICT(GLOBAL("__builtin__", "getattr") ")R")),
     "pickle: byte 9: global __builtin__.getattr is refused: nothing in a model file is executed"},
    {BYTES(DICT(GLOBAL("torch.storage", "_load_from_bytes") ")R")),
     "pickle: byte 9: global torch.storage._load_from_bytes is refused: nothing in a model file is "
     "executed"},
    {BYTES(DICT(GLOBAL("collections", "OrderedDict.__reduce__") ")R")),
     "pickle: byte 9: global collections.OrderedDict.__reduce__ is refused: nothing in a model "
     "file "
     "is executed"},
    /* opcodes that run code or make objects */
    {BYTES(DICT("(ios\nsystem\n")), "pickle: byte 10: opcode 0x69 (INST) is refused"},
    {BYTES(DICT("(o")), "pickle: byte 10: opcode 0x6f (OBJ) is refused"},
    {BYTES(DICT(GLOBAL("collections", "OrderedDict") ")\x81")),
     "pickle: byte 35: opcode 0x81 (NEWOBJ) is refused"},
    {BYTES(DICT("\x8c\x02os\x8c\x06system\x93")),
     "pickle: byte 9: opcode 0x8c (SHORT_BINUNICODE) is refused"},
    {BYTES(DICT("NN\x93")), "pickle: byte 11: opcode 0x93 (STACK_GLOBAL) is refused"},
    {BYTES(DICT("\x82\x01")), "pickle: byte 9: opcode 0x82 (EXT1) is refused"},
    {BYTES(DICT("Pid\n")), "pickle: byte 9: opcode 0x50 (PERSID) is refused"},
    {BYTES(DICT("\xff")), "pickle: byte 9: opcode 0xff (unknown) is refused"},
    {BYTES("\x80\x05."), "pickle: protocol 5, at most 2 is read"},
    {BYTES(DICT("}}R")), "pickle: byte 11: a call of a dictionary with a dictionary is refused"},
    {BYTES(DICT(REBUILD "}b")),
     "pickle: byte 43: attributes of anything but a dictionary are refused"},
    /* stack, marks and memo */
    {BYTES(PROTO "."), "pickle: byte 2: the pickle stops without one result"},
    {BYTES(PROTO "}}."), "pickle: byte 4: the pickle stops without one result"},
    {BYTES(PROTO "(}."), "pickle: byte 4: the pickle stops without one result"},
    {BYTES(PROTO "0."), "pickle: byte 2: the stack is empty"},
    {BYTES(PROTO "N(0."), "pickle: byte 4: the stack is empty"},
    {BYTES(PROTO "t."), "pickle: byte 2: there is no mark"},
    {BYTES(PROTO "N(\x85."), "pickle: byte 4: the stack holds too little for a tuple"},
    {BYTES(PROTO "}(Nu."), "pickle: byte 5: 1 items for a dictionary"},
    {BYTES(PROTO "](NNu."), "pickle: byte 6: 2 items for a list"},
    {BYTES(PROTO "}Na."), "pickle: byte 4: 1 items for a dictionary"},
    {BYTES(PROTO "h\0."), "pickle: byte 2: nothing has this number in the memo"},
    {BYTES(PROTO "q\0."), "pickle: byte 2: the stack is empty"},
    {BYTES(PROTO "Nr\xff\xff\xff\x7f."),
     "pickle: byte 3: a number in the memo that no pickle of this size needs"},
    {BYTES(PROTO "\x8a\x0a\1\2\3\4\5\6\7\10\11\12."),
     "pickle: byte 2: an integer of more than 64 bits"},
    {BYTES(PROTO "X\xff\xff\xff\xffw"), "pickle: ends in the middle of what begins at byte 2"},
    {BYTES(PROTO "cos"), "pickle: ends in the middle of what begins at byte 2"},
    {BYTES(PROTO "NQ."), "pickle: byte 3: a persistent id is no tuple"},
    /* well-formed, but no dictionary of tensors */
    {BYTES(PROTO "N."), "holds nothing, not a dictionary of tensors"},
    {BYTES(PROTO "]q\0h\0a."), "holds a list, not a dictionary of tensors"}, /* in itself */
    {BYTES(DICT("}")), "entry w is a dictionary, not a tensor"},
    {BYTES(DICT(INT("\1"))), "entry w is an integer, not a tensor"},
    {BYTES(PROTO "}NNs."), "a tensor's name is not text"},
    {BYTES(PROTO "}" TEXT("\0", "") "Ns."), "a tensor's name is not text"},
    {BYTES(PROTO "}" TEXT("\3", "a\0b") "Ns."), "a tensor's name is not text"},
    {BYTES(PROTO "}" TEXT("\3", "a\33b") "Ns."), "a tensor's name is not text"},
    {BYTES(DICT("}q\0h\0")), "pickle: byte 14: 2 items for a text"},
    {BYTES(DICT(GLOBAL("torch._utils", "_rebuild_parameter") "NN" PAIR "R")),
     "entry w is nothing, not a tensor"},
    {BYTES(DICT(REBUILD ")R")), "entry w is a call, not a tensor"},
    /* storages and views */
    {BYTES(W("N", INT("\0") "))")), "tensor w: its storage or offset is none"},
    {BYTES(W("NNNQ", "))")), "pickle: byte 46: a persistent id is no tuple"},
    {BYTES(W(")Q", INT("\0") "))")),
     "a persistent id is not (\"storage\", class, key, device, elements)"},
    {BYTES(W(FLOATS(REBUILD), INT("\0") "))")),
     "a persistent id is not (\"storage\", class, key, device, elements)"},
    {BYTES(W(FLOATS("J\xff\xff\xff\xff"), INT("\0") "))")),
     "a persistent id is not (\"storage\", class, key, device, elements)"},
    {BYTES(W(FLOATS(HUGE_INT), INT("\0") "))")), "storage 0 is larger than the file"},
    {BYTES(W(FLOATS(INT("\x06") ")"), INT("\0") "))")), "a storage is a view of another one"},
    {BYTES(W(FLOATS(INT("\x06")), "J\xff\xff\xff\xff"
                                  "))")),
     "tensor w: its storage or offset is none"},
    {BYTES(W(FLOATS(INT("\x06")), INT("\x06") "))")), "tensor w: reaches beyond its storage"},
    {BYTES(W(FLOATS(INT("\x06")), INT("\x01") INT("\x06") ONE INT("\x01") ONE)),
     "tensor w: reaches beyond its storage"},
    {BYTES(W(FLOATS(INT("\x06")), INT("\0") INT("\x03") ONE INT("\x03") ONE)),
     "tensor w: reaches beyond its storage"},
    {BYTES(W(FLOATS(INT("\x06")), INT("\0") INT("\x03") ONE HUGE_INT ONE)),
     "tensor w: reaches beyond its storage"},
    {BYTES(W(FLOATS(INT("\x06")), HUGE_INT INT("\x03") ONE HUGE_INT ONE)),
     "tensor w: reaches beyond its storage"},
    {BYTES(W(FLOATS(INT("\x06")), INT("\0") INT("\x07") ONE INT("\0") ONE)),
     "tensor w: has more elements than its storage"},
    {BYTES(W(FLOATS(INT("\x06")), INT("\0") HUGE_INT ONE INT("\0") ONE)),
     "tensor w: has more elements than its storage"},
    {BYTES(W(FLOATS(INT("\x06")), INT("\0") HUGE_INT HUGE_INT PAIR INT("\0") INT("\0") PAIR)),
     "tensor w: the product of its dimensions overflows"},
    {BYTES(W(FLOATS(INT("\x06")), INT("\0") INT("\x03") ONE "J\xff\xff\xff\xff" ONE)),
     "tensor w: a size or stride is no positive integer"},
    {BYTES(W(FLOATS(INT("\x06")), INT("\0") "N" ONE INT("\0") ONE)),
     "tensor w: a size or stride is no positive integer"},
    {BYTES(W(FLOATS(INT("\x06")), INT("\0") INT("\x03") ONE ")")),
     "tensor w: size and stride are not tuples of one length"},
    {BYTES(W(FLOATS(INT("\x06")), INT("\0") "(NNNNNt(NNNNNt")),
     "tensor w: 5 dimensions, at most 4 are possible"},
};

static const char head[] = /* magic number, protocol 1001, facts */
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." PROTO "M\xe9\x03." PROTO "}.";

static bool holds(const char *data, size_t n, const char *text)
{
    size_t k = strlen(text), i = 0;
    while (i + k <= n && memcmp(data + i, text, k) != 0)
        i++;
    return i + k <= n;
}

/* An older file around a pickle, with a storage "0" of n_floats, if the pickle speaks of one. */
static bytes older_file(const void *pickle, size_t n, size_t n_floats)
{
    static const char keys[] = PROTO "]" TEXT("\x01", "0") "a.", no_keys[] = PROTO "].";
    bytes b = {0};
    bytes_put(&b, head, sizeof head - 1);
    bytes_put(&b, pickle, n);
    if (holds(pickle, n, "FloatStorage")) {
        bytes_put(&b, keys, sizeof keys - 1);
        bytes_u64(&b, n_floats);
        bytes_zeros(&b, n_floats * 4);
    } else {
        bytes_put(&b, no_keys, sizeof no_keys - 1);
    }
    return b;
}

/* A message about byte N of the pickle tells where it is in the file. */
static void shift_place(char *message)
{
    char *at = strstr(message, "byte "), rest[512];
    if (!at || !strstr(message, "pickle: "))
        return;
    unsigned long place = strtoul(at + 5, &at, 10);
    snprintf(rest, sizeof rest, "%s", at);
    sprintf(strstr(message, "byte "), "byte %lu%s", place - (sizeof head - 1), rest);
}

static void refuses_what_is_no_tensor(void **state)
{
    (void)state;
    unsigned n_bad = 0;
    for (size_t i = 0; i < COUNT(by_hand); i++) {
        bytes b = older_file(by_hand[i].pickle.data, by_hand[i].pickle.n, 6);
        lp_context ctx = {0};
        char expected[512], got[1024];
        lp_status status = open_bytes(&ctx, b.data, b.n);
        snprintf(expected, sizeof expected, "%s%s", by_hand[i].message ? "FILE: " : "",
                 by_hand[i].message ? by_hand[i].message : "");
        snprintf(got, sizeof got, "%s", ctx.message);
        shift_place(got);
        if (strcmp(expected, got) != 0 || (status == LP_OK) != !by_hand[i].message) {
            print_error("row %zu: \"%s\", expected \"%s\"\n", i, got, expected);
            n_bad++;
        }
        bytes_free(&b);
    }
    assert_int_equal(n_bad, 0);
}

/* 200 transposed views of one storage: each must be copied. */
static lp_status open_views(lp_context *ctx, size_t n_floats, const char *shared, size_t n_shared,
                            const char *view, size_t n_view)
{
    bytes p = {0};
    bytes_put(&p, PROTO, 2);
    bytes_put(&p, shared, n_shared);
    for (int i = 0; i < 200; i++) {
        const char name[] = {'X', 2, 0, 0, 0, (char)('A' + i / 16), (char)('a' + i % 16)};
        bytes_put(&p, name, sizeof name);
        bytes_put(&p, view, n_view);
    }
    bytes_put(&p, "u.", 2);
    bytes b = older_file(p.data, p.n, n_floats);
    lp_status status = open_bytes(ctx, b.data, b.n);
    bytes_free(&b);
    bytes_free(&p);
    return status;
}

/* A small file must not unfold one storage again and again until the memory is full. */
static void bounds_what_is_copied(void **state)
{
    (void)state;
#define SHARED(n)                                                                                  \
    REBUILD "q\0" FLOATS(n) "q\1"                                                                  \
                            "00}("
#define VIEW(a, b) "h\0(h\1" INT("\0") a b PAIR INT("\1") a PAIR "\x89}tR"
    static const char small[] = SHARED(INT("\x06")), small_view[] = VIEW(INT("\2"), INT("\3"));
    static const char large[] = SHARED("M\x58\x02"), large_view[] = VIEW(INT("\2"), "M\x2c\1");
    lp_context ctx = {0};
    assert_int_equal(
        open_views(&ctx, 6, small, sizeof small - 1, small_view, sizeof small_view - 1), LP_OK);
    assert_int_equal(
        open_views(&ctx, 600, large, sizeof large - 1, large_view, sizeof large_view - 1),
        LP_E_FORMAT);
    assert_non_null(strstr(ctx.message, "tensors would take more than twice the file's size"));
}

/* --- Zip files ------------------------------------------------------------------------------- */

#define ENTRY(name, literal)                                                                       \
    {                                                                                              \
        name, literal, sizeof(literal) - 1                                                         \
    }
#define ZIPPED W(FLOATS(INT("\x01")), INT("\0") "))")

static const struct {
    zip_entry entries[3];
    zip_lies lies;
    const char *message;
} zips[] = {
    {{ENTRY("m/data.pkl", ZIPPED), ENTRY("m/data/0", "\0\0\0\0")}, {0}, ""},
    {{ENTRY("m/data.pkl", ZIPPED), ENTRY("m/data/0", "\0\0\0\0")}, {.zip64 = true}, ""},
    {{ENTRY("m/data.pkl", ZIPPED), ENTRY("m/data/0", "\0\0\0\0"), ENTRY("m/byteorder", "little")},
     {0},
     ""},
    {{ENTRY("m/data.pkl", ZIPPED), ENTRY("m/data/0", "\0\0\0\0"), ENTRY("m/byteorder", "big")},
     {0},
     "FILE: written on a big-endian machine"},
    {{ENTRY("m/data.pkl", ZIPPED), ENTRY("m/data/0", "\0\0\0\0")},
     {.method = 8},
     "FILE: zip entry m/data.pkl is compressed"},
    {{ENTRY("m/data.pkl", ZIPPED), ENTRY("m/data/0", "\0\0\0\0")},
     {.flags = 1},
     "FILE: zip entry m/data.pkl is encrypted"},
    {{ENTRY("m/data.pkl", ZIPPED), ENTRY("m/data/0", "\0\0\0\0")},
     {.moved = 1},
     "FILE: zip entry m/data.pkl is not where the directory says"},
    {{ENTRY("m/data.pkl", ZIPPED), ENTRY("m/data/0", "\0\0\0\0")},
     {.moved = 0x7fffffff},
     "FILE: zip entry m/data.pkl is not where the directory says"},
    {{ENTRY("m/data.pkl", ZIPPED)},
     {.longer = 1000},
     "FILE: zip entry m/data.pkl does not fit into the file"},
    {{ENTRY("m/data.pkl", ZIPPED)},
     {.longer = 0x7fffff00, .zip64 = true},
     "FILE: zip entry m/data.pkl does not fit into the file"},
    {{ENTRY("m/data.pkl", ZIPPED)}, {0}, "FILE: there is no zip entry m/data/0"},
    {{ENTRY("m/data.pkl", ZIPPED), ENTRY("m/data/0", "\0\0\0")},
     {0},
     "FILE: storage 0: 4 bytes expected, file has 3"},
    {{ENTRY("m/data.pkl", ZIPPED), ENTRY("m/data/0", "\0\0\0\0"), ENTRY("m/data/0", "\0\0\0\0")},
     {0},
     "FILE: zip entry m/data/0 occurs twice"},
    {{ENTRY("m/model.pkl", ZIPPED)},
     {0},
     "FILE: a zip file without data.pkl: not written by torch.save()"},
    {{ENTRY("m/\33[2J", "")}, {0}, "FILE: zip file: the name of an entry is not printable ASCII"},
};

static void reads_zip_files_by_their_directory(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(zips); i++) {
        size_t n = 0;
        while (n < 3 && zips[i].entries[n].name)
            n++;
        bytes b = make_zip(zips[i].entries, n, zips[i].lies);
        lp_context ctx = {0};
        lp_status status = open_bytes(&ctx, b.data, b.n);
        assert_string_equal(ctx.message, zips[i].message);
        assert_int_equal(status == LP_OK, *zips[i].message == 0);
        bytes_free(&b);
    }
}

static void tells_other_files_apart(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "FILE: not a file of torch.save()",
        "FILE: a tar file as torch.save() wrote them before PyTorch 0.1.10"};
    uint8_t data[512] = {0};
    for (int i = 0; i < 2; i++) {
        lp_context ctx = {0};
        assert_int_not_equal(open_bytes(&ctx, data, sizeof data), LP_OK);
        assert_string_equal(ctx.message, messages[i]);
        memcpy(data + 257, "ustar", 5);
    }
}

/* --- Folders --------------------------------------------------------------------------------- */

/* A folder in this form is the same network as its safetensors twin. */
static void equals_its_twin(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_network *a, *b;
    if (lp_network_open(&ctx, FIXTURE("opt-post"), &a) != LP_OK ||
        lp_network_open(&ctx, FIXTURE("opt-post-bin"), &b) != LP_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(lp_weights_count(a->weights), lp_weights_count(b->weights));
    for (size_t i = 0; i < lp_weights_count(a->weights); i++) {
        const lp_weight *x = lp_weights_at(a->weights, i);
        const lp_weight *y = lp_weights_find(b->weights, x->name);
        assert_non_null(y);
        assert_int_equal(x->dtype, y->dtype);
        assert_true(lp_shape_equal(x->shape, y->shape));
        assert_memory_equal(x->data, y->data, x->bytes);
    }
    lp_network_destroy(a);
    lp_network_destroy(b);
}

static void safetensors_go_first(void **state)
{
    (void)state;
    char *folder = test_folder_create();
    char *bin = test_path(folder, "pytorch_model.bin");
    char *safetensors = test_path(folder, "model.safetensors");
    test_copy(SEED("zip.bin"), bin);
    for (int i = 0; i < 2; i++) {
        lp_context ctx = {0};
        lp_weights *weights = lp_weights_create();
        if (lp_weights_open_folder(&ctx, folder, weights) != LP_OK)
            fail_msg("%s", ctx.message);
        assert_int_equal(lp_weights_find(weights, "tied") != NULL, i == 0);
        lp_weights_destroy(weights);
        test_copy(FIXTURE("opt-post/model.safetensors"), safetensors);
    }
    free(bin);
    free(safetensors);
    test_folder_remove(folder);
}

static void shards_stay_in_the_folder(void **state)
{
    (void)state;
    char *folder = test_folder_create();
    char *index = test_path(folder, "pytorch_model.bin.index.json");
    static const char *const texts[] = {"{\"weight_map\":{\"a\":\"../x.bin\"}}",
                                        "{\"weight_map\":{\"a\":\"x.safetensors\"}}"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        lp_context ctx = {0};
        lp_weights *weights = lp_weights_create();
        test_write(index, texts[i], strlen(texts[i]));
        assert_int_equal(lp_weights_open_folder(&ctx, folder, weights), LP_E_FORMAT);
        assert_non_null(strstr(ctx.message, ": tensor a: its shard must be the name of a .bin file "
                                            "in the same folder"));
        lp_weights_destroy(weights);
    }
    free(index);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_forms),
        cmocka_unit_test(refuses_files_that_are_cut),
        cmocka_unit_test(refuses_what_is_no_tensor),
        cmocka_unit_test(bounds_what_is_copied),
        cmocka_unit_test(reads_zip_files_by_their_directory),
        cmocka_unit_test(tells_other_files_apart),
        cmocka_unit_test(equals_its_twin),
        cmocka_unit_test(safetensors_go_first),
        cmocka_unit_test(shards_stay_in_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
