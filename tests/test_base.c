/* The lowest floor: messages, arena, files, numbers as text, JSON getters. */
#define _DEFAULT_SOURCE /* mkfifo, lstat, symlink */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/print.h"
#include "support/bytes.h"

static void messages_are_one_line(void **state)
{
    (void)state;
    lp_context ctx = {0};
    assert_int_equal(lp_fail(&ctx, LP_E_IO, "a\nb\33[1mc\x7f\xc2\x9b 5 %s", "\xc3\xa9"), LP_E_IO);
    assert_string_equal(ctx.message, "a?b?[1mc??? 5 \xc3\xa9");
    lp_fail(&ctx, LP_E_IO, "outer: %s", ctx.message); /* its own message as an argument */
    assert_string_equal(ctx.message, "outer: a?b?[1mc??? 5 \xc3\xa9");
    char text[3000];
    memset(text, 'x', sizeof(text));
    for (size_t i = 900; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[2998] = '\0';
    for (int shift = 0; shift < 2; shift++) { /* cut between characters, wherever they lie */
        lp_fail(&ctx, LP_E_IO, "%s", text + shift);
        size_t n = strlen(ctx.message);
        assert_true(n < sizeof(ctx.message) && n > 1000);
        assert_string_equal(ctx.message + n - 3, "...");
        assert_int_equal((uint8_t)ctx.message[n - 4], 0xa9);
    }
    assert_int_equal(lp_fail(NULL, LP_E_ARG, "nobody listens"), LP_E_ARG);
    lp_fail_memory(&ctx, "the moon");
    assert_string_equal(ctx.message, "out of memory for the moon");
    for (int i = 0; i < LP_N_STATUSES; i++)
        assert_true(strlen(lp_status_text((lp_status)i)) > 0);
    assert_string_equal(lp_status_text((lp_status)999), "unknown status");
}

static void keep_line(void *user, lp_log_level level, const char *line)
{
    snprintf(user, 64, "%d %s", (int)level, line);
}

static void logs_by_level(void **state)
{
    (void)state;
    char last[64] = "";
    lp_context ctx = {.log = keep_line, .log_user = last, .level = LP_LOG_INFO};
    lp_log(&ctx, LP_LOG_DEBUG, "too much");
    assert_string_equal(last, "");
    lp_log(&ctx, LP_LOG_WARN, "n = %d\n", 7);
    assert_string_equal(last, "1 n = 7?");
    lp_log(NULL, LP_LOG_WARN, "nobody listens");
}

static void arena_gives_zeroed_memory(void **state)
{
    (void)state;
    lp_arena arena = {0};
    for (size_t n = 0; n < 3000; n += 7) {
        uint8_t *p = lp_arena_alloc(&arena, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n); /* must not be given out again */
    }
    assert_non_null(lp_arena_alloc(&arena, 5u << 20)); /* larger than any block */
    assert_null(lp_arena_alloc(&arena, SIZE_MAX));
    assert_null(lp_arena_array(&arena, SIZE_MAX / 2, 3));
    assert_string_equal(lp_arena_strdup(&arena, "abc"), "abc");
    assert_string_equal(lp_arena_strndup(&arena, "abc", 2), "ab");
    assert_string_equal(lp_arena_printf(&arena, "%s.%d", "blk", 12), "blk.12");
    lp_arena_destroy(&arena);
    assert_null(arena.head);
    lp_arena_destroy(NULL);
}

static void counts_have_separators(void **state)
{
    (void)state;
    char text[LP_COUNT_TEXT];
    assert_string_equal(lp_print_count(0, text), "0");
    assert_string_equal(lp_print_count(999, text), "999");
    assert_string_equal(lp_print_count(1000, text), "1,000");
    assert_string_equal(lp_print_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
    assert_true(strlen(text) < sizeof(text));
}

static void maps_files(void **state)
{
    (void)state;
    char *folder = scratch_create();
    char *path = scratch_file(folder, "file", "content", 7);
    char *empty = scratch_file(folder, "empty", "", 0);
    char *pipe_path = lp_path_join(folder, "pipe");
    lp_context ctx = {0};
    lp_file file;
    assert_int_equal(lp_file_open(&ctx, path, &file), LP_OK);
    assert_int_equal(file.bytes, 7);
    assert_memory_equal(file.data, "content", 7);
    lp_file_forget(file.data, file.bytes);
    assert_memory_equal(file.data, "content", 7);
    lp_file_close(&file);
    assert_int_equal(lp_file_open(&ctx, empty, &file), LP_OK);
    assert_null(file.data);
    lp_file_close(&file);
    assert_int_equal(lp_file_open(&ctx, folder, &file), LP_E_ARG);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_int_equal(lp_file_open(&ctx, pipe_path, &file), LP_E_ARG); /* and does not wait */
    assert_int_equal(lp_file_open(&ctx, "", &file), LP_E_IO);
    assert_true(lp_path_is_folder(folder));
    assert_false(lp_path_is_folder(path));
    char *joined = lp_path_join("a/", "b");
    assert_string_equal(joined, "a/b");
    free(joined);
    free(path);
    free(empty);
    free(pipe_path);
    scratch_destroy(folder);
}

static void writes_whole_files_or_nothing(void **state)
{
    (void)state;
    char *folder = scratch_create();
    char *path = lp_path_join(folder, "out");
    char *link = lp_path_join(folder, "link");
    lp_context ctx = {0};
    lp_file file;
    assert_int_equal(lp_file_write(&ctx, path, "first", 5), LP_OK);
    assert_int_equal(symlink("out", link), 0);
    lp_writer writer;
    assert_int_equal(lp_writer_open(&ctx, link, &writer), LP_OK);
    assert_int_equal(lp_writer_write(&writer, "half", 4), LP_OK);
    lp_writer_abandon(&writer);
    lp_writer_abandon(&writer); /* closed: nothing happens */
    assert_int_equal(scratch_count(folder), 2);
    assert_int_equal(lp_file_open(&ctx, path, &file), LP_OK);
    assert_memory_equal(file.data, "first", 5);
    lp_file_close(&file);

    assert_int_equal(lp_writer_open(&ctx, link, &writer), LP_OK);
    assert_int_equal(lp_writer_write(&writer, "new", 3), LP_OK);
    assert_int_equal(lp_writer_align(&writer, 256), LP_OK);
    assert_int_equal(lp_writer_align(&writer, 256), LP_OK);
    assert_int_equal(lp_writer_commit(&writer), LP_OK);
    assert_int_equal(scratch_count(folder), 2);
    struct stat info;
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode)); /* the link is kept, its target is replaced */
    assert_int_equal(lp_file_open(&ctx, path, &file), LP_OK);
    assert_int_equal(file.bytes, 256);
    assert_memory_equal(file.data, "new\0\0", 5);
    lp_file_close(&file);

    assert_int_equal(lp_file_write(&ctx, folder, "x", 1), LP_E_ARG);
    assert_int_equal(lp_file_write(&ctx, "/dev/null", "x", 1), LP_E_ARG);
    assert_int_equal(lp_file_write(&ctx, "/nonexistent/x", "x", 1), LP_E_IO);
    assert_string_equal(ctx.message, "/nonexistent/x: No such file or directory");
    free(path);
    free(link);
    scratch_destroy(folder);
}

static void json_getters_name_the_key(void **state)
{
    (void)state;
    static const char text[] = "{\"n\":7,\"neg\":-1,\"big\":4294967296,\"x\":0.5,\"huge\":1e300,"
                               "\"yes\":true,\"s\":\"text\",\"nul\":\"a\\u0000b\",\"null\":null,"
                               "\"o\":{},\"a\":[]}";
    lp_context ctx = {0};
    yyjson_doc *doc;
    assert_int_equal(lp_json_parse(&ctx, "FILE", text, sizeof(text) - 1, &doc), LP_OK);
    yyjson_val *root = yyjson_doc_get_root(doc), *value = NULL;
    uint32_t u = 5;
    float f = 0;
    bool b = false;
    const char *s = NULL;
#define GET(kind, key, need, to) lp_json_get_##kind(&ctx, "FILE", root, key, need, to)
    assert_int_equal(GET(u32, "n", LP_JSON_REQUIRED, &u), LP_OK);
    assert_int_equal(u, 7);
    assert_int_equal(GET(u32, "missing", LP_JSON_OPTIONAL, &u), LP_OK);
    assert_int_equal(GET(u32, "null", LP_JSON_OPTIONAL, &u), LP_OK);
    assert_int_equal(u, 7);
    assert_int_equal(GET(u32, "missing", LP_JSON_REQUIRED, &u), LP_E_MISSING);
    assert_string_equal(ctx.message, "FILE: missing is missing");
    assert_int_equal(GET(u32, "s", LP_JSON_OPTIONAL, &u), LP_E_FORMAT);
    assert_string_equal(ctx.message, "FILE: s: integer expected, file has string");
    assert_int_equal(GET(u32, "neg", LP_JSON_OPTIONAL, &u), LP_E_FORMAT);
    assert_int_equal(GET(u32, "big", LP_JSON_OPTIONAL, &u), LP_E_FORMAT);
    assert_string_equal(ctx.message, "FILE: big: must lie between 0 and 4294967295");
    assert_int_equal(GET(f32, "x", LP_JSON_REQUIRED, &f), LP_OK);
    assert_true(f == 0.5f);
    assert_int_equal(GET(f32, "neg", LP_JSON_REQUIRED, &f), LP_OK);
    assert_true(f == -1.0f);
    assert_int_equal(GET(f32, "huge", LP_JSON_REQUIRED, &f), LP_E_FORMAT);
    assert_int_equal(GET(f32, "yes", LP_JSON_REQUIRED, &f), LP_E_FORMAT);
    assert_int_equal(GET(bool, "yes", LP_JSON_REQUIRED, &b), LP_OK);
    assert_true(b);
    assert_int_equal(GET(bool, "n", LP_JSON_REQUIRED, &b), LP_E_FORMAT);
    assert_int_equal(GET(string, "s", LP_JSON_REQUIRED, &s), LP_OK);
    assert_string_equal(s, "text");
    assert_int_equal(GET(string, "nul", LP_JSON_REQUIRED, &s), LP_E_FORMAT);
    assert_int_equal(GET(object, "o", LP_JSON_REQUIRED, &value), LP_OK);
    assert_int_equal(GET(object, "a", LP_JSON_REQUIRED, &value), LP_E_FORMAT);
    assert_int_equal(GET(array, "a", LP_JSON_REQUIRED, &value), LP_OK);
    assert_int_equal(GET(array, "o", LP_JSON_REQUIRED, &value), LP_E_FORMAT);
#undef GET
    yyjson_doc_free(doc);
    assert_int_equal(lp_json_parse(&ctx, "FILE", "{\"a\":1,}", 8, &doc), LP_E_FORMAT);
    assert_non_null(strstr(ctx.message, "FILE: JSON: "));
    assert_non_null(strstr(ctx.message, " at byte "));
    assert_int_equal(lp_json_open(&ctx, "/nonexistent", &doc), LP_E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_one_line),
        cmocka_unit_test(logs_by_level),
        cmocka_unit_test(arena_gives_zeroed_memory),
        cmocka_unit_test(counts_have_separators),
        cmocka_unit_test(maps_files),
        cmocka_unit_test(writes_whole_files_or_nothing),
        cmocka_unit_test(json_getters_name_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
