/* The GGUF writer, read back with the reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "support/bytes.h"
#include "tensor/gguf_write.h"

static char *folder, *path;

static int make_folder(void **state)
{
    (void)state;
    folder = scratch_create();
    path = lp_path_join(folder, "x.gguf");
    return path ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    scratch_destroy(folder);
    free(path);
    return 0;
}

static void reads_what_it_wrote(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_gguf_writer *w = lp_gguf_writer_create(&ctx);
    const float floats[] = {1.5f, -2, 0};
    const int32_t ints[] = {-7, 0, INT32_MAX};
    const lp_gguf_string strings[] = {{"", 0}, {"a\0b", 3}};
    lp_gguf_put_u32(w, "u", 3000000000u);
    lp_gguf_put_f32(w, "f", 0.25f);
    lp_gguf_put_bool(w, "b", true);
    lp_gguf_put_string(w, "s", "text");
    lp_gguf_put_strings(w, "ss", strings, 2);
    lp_gguf_put_f32s(w, "fs", floats, 3);
    lp_gguf_put_i32s(w, "is", ints, 3);
    lp_gguf_put_tensor(w, "a", LP_F32, LP_SHAPE1(3)); /* 12 bytes: needs padding */
    lp_gguf_put_tensor(w, "empty", LP_F32, LP_SHAPE2(0, 4));
    lp_gguf_put_tensor(w, "q", LP_Q4_0, LP_SHAPE2(2, 64));
    uint8_t blocks[72];
    for (int i = 0; i < 72; i++)
        blocks[i] = (uint8_t)i;
    assert_int_equal(lp_gguf_begin(w, path), LP_OK);
    assert_int_equal(access(path, F_OK), -1); /* not before the commit */
    assert_int_equal(lp_gguf_data(w, floats, 8), LP_OK);
    assert_int_equal(lp_gguf_data(w, floats + 2, 4), LP_OK);
    assert_int_equal(lp_gguf_data(w, blocks, 72), LP_OK);
    assert_int_equal(lp_gguf_commit(w), LP_OK);
    lp_gguf_writer_destroy(w);

    lp_weights *weights = lp_weights_create();
    lp_gguf *gguf;
    lp_status status = lp_gguf_open(&ctx, path, weights, &gguf);
    assert_string_equal(ctx.message, "");
    assert_int_equal(status, LP_OK);
    uint32_t u = 0;
    float f = 0;
    bool b = false;
    lp_gguf_string s;
    assert_true(lp_gguf_get_u32(gguf, "u", &u) && u == 3000000000u);
    assert_true(lp_gguf_get_f32(gguf, "f", &f) && f == 0.25f);
    assert_true(lp_gguf_get_bool(gguf, "b", &b) && b);
    assert_true(lp_gguf_get_string(gguf, "s", &s) && s.bytes == 4);
    assert_memory_equal(s.data, "text", 4);
    assert_int_equal(lp_gguf_array_string(gguf, "ss", 0).bytes, 0);
    assert_memory_equal(lp_gguf_array_string(gguf, "ss", 1).data, "a\0b", 3);
    float read_floats[3];
    int32_t read_ints[3];
    assert_true(lp_gguf_array_f32(gguf, "fs", read_floats, 3));
    assert_memory_equal(read_floats, floats, sizeof(floats));
    assert_true(lp_gguf_array_i32(gguf, "is", read_ints, 3));
    assert_memory_equal(read_ints, ints, sizeof(ints));
    assert_int_equal(lp_weights_count(weights), 3);
    assert_memory_equal(lp_weights_find(weights, "a")->data, floats, 12);
    const lp_weight *q = lp_weights_find(weights, "q");
    assert_int_equal(q->dtype, LP_Q4_0);
    assert_true(lp_shape_equal(q->shape, LP_SHAPE2(2, 64)));
    assert_memory_equal(q->data, blocks, 72);
    lp_gguf_destroy(gguf);
    lp_weights_destroy(weights);
}

/* Whatever goes wrong: the commit says so, and nothing is left in the folder. */
static void leaves_nothing_after_a_failure(void **state)
{
    (void)state;
    const float data[4] = {0};
    for (int what = 0; what < 5; what++) {
        lp_context ctx = {0};
        lp_gguf_writer *w = lp_gguf_writer_create(&ctx);
        lp_gguf_put_tensor(w, "a", LP_F32, LP_SHAPE1(4));
        if (what == 0)
            lp_gguf_put_tensor(w, "b", LP_Q8_0, LP_SHAPE1(33)); /* no whole block */
        lp_status status = lp_gguf_begin(w, what == 1 ? "/nonexistent/x" : path);
        assert_int_equal(status == LP_OK, what > 1);
        if (what == 2)
            lp_gguf_data(w, data, 12); /* too little */
        if (what >= 3)
            lp_gguf_data(w, data, 16);
        if (what == 3)
            lp_gguf_data(w, data, 4); /* too much */
        if (what == 4) {
            lp_gguf_writer_destroy(w); /* no commit */
        } else {
            assert_int_not_equal(lp_gguf_commit(w), LP_OK);
            assert_string_not_equal(ctx.message, "");
            lp_gguf_writer_destroy(w);
        }
        assert_int_equal(scratch_count(folder), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_it_wrote, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(leaves_nothing_after_a_failure, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
