/* Files of the model fixtures, see model_files.h. */
#include "support/model_files.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

char *test_folder_create(void)
{
    const char *base = getenv("TMPDIR");
    char *folder = test_path(base && *base ? base : "/tmp", "lapilli-test-XXXXXX");
    if (!mkdtemp(folder))
        fail_msg("%s: cannot be made", folder);
    return folder;
}

void test_folder_remove(char *folder)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = test_path(folder, entry->d_name);
        assert_int_equal(unlink(path), 0);
        free(path);
    }
    closedir(dir);
    assert_int_equal(rmdir(folder), 0);
    free(folder);
}

char *test_path(const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = malloc(n);
    assert_non_null(path);
    snprintf(path, n, "%s/%s", folder, name);
    return path;
}

uint8_t *test_read(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s: cannot be opened", path);
    fseek(file, 0, SEEK_END);
    long end = ftell(file);
    assert_true(end >= 0);
    rewind(file);
    uint8_t *data = malloc((size_t)end + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)end, file), (size_t)end);
    data[end] = 0;
    fclose(file);
    *bytes = (size_t)end;
    return data;
}

void test_write(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        fail_msg("%s: cannot be written", path);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

void test_copy(const char *from, const char *to)
{
    size_t bytes;
    uint8_t *data = test_read(from, &bytes);
    test_write(to, data, bytes);
    free(data);
}

/* Place of the first occurrence of `what` from `data + start`, which there must be. */
static size_t place_of(const uint8_t *data, size_t bytes, const char *what, size_t start)
{
    size_t n = strlen(what);
    for (size_t i = start; i + n <= bytes; i++)
        if (memcmp(data + i, what, n) == 0)
            return i;
    fail_msg("\"%s\" does not occur in the fixture", what);
    return 0;
}

void test_copy_replaced(const char *from, const char *to, const char *find, const char *replace)
{
    size_t bytes, n = strlen(find), m = strlen(replace);
    uint8_t *data = test_read(from, &bytes);
    size_t at = place_of(data, bytes, find, 0);
    uint8_t *edited = malloc(bytes + m);
    assert_non_null(edited);
    memcpy(edited, data, at);
    memcpy(edited + at, replace, m);
    memcpy(edited + at + m, data + at + n, bytes - at - n);
    test_write(to, edited, bytes - n + m);
    free(edited);
    free(data);
}

char *test_folder_replaced(const char *from, const char *const names[], int n_names,
                           const char *file, const char *find, const char *replace)
{
    char *folder = test_folder_create();
    for (int i = 0; i < n_names; i++) {
        char *source = test_path(from, names[i]), *to = test_path(folder, names[i]);
        if (strcmp(file, names[i]) == 0)
            test_copy_replaced(source, to, find, replace);
        else
            test_copy(source, to);
        free(source);
        free(to);
    }
    return folder;
}

void test_copy_gguf_value(const char *from, const char *to, const char *key, const void *value,
                          size_t bytes)
{
    size_t n;
    uint8_t *data = test_read(from, &n);
    size_t at = place_of(data, n, key, 0) + strlen(key) + 4; /* after the value's type */
    assert_true(at + bytes <= n);
    memcpy(data + at, value, bytes);
    test_write(to, data, n);
    free(data);
}

void test_expect_failure(const lp_context *ctx, lp_status status, lp_status want, const char *what,
                         const char *where)
{
    if (status != want || !strstr(ctx->message, what) || !strstr(ctx->message, where))
        fail_msg("status %d, \"%s\"; want status %d naming \"%s\" and \"%s\"", status, ctx->message,
                 want, what, where);
}
