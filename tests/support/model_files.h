/* Files of the model fixtures, and broken variants of them in a temporary folder. Failures fail the
 * running test. */
#ifndef LP_TEST_MODEL_FILES_H
#define LP_TEST_MODEL_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "base/context.h"

/* LAPILLI_TEST_FIXTURES is defined for tests. */
#define FIXTURE(name) LAPILLI_TEST_FIXTURES "/models/" name

/* A new empty folder; test_folder_remove() deletes it with the files in it and frees the name. */
char *test_folder_create(void);
void test_folder_remove(char *folder);
/* "folder/name", malloc'ed. */
char *test_path(const char *folder, const char *name);

/* Whole file, malloc'ed, a NUL behind it. */
uint8_t *test_read(const char *path, size_t *bytes);
void test_write(const char *path, const void *data, size_t bytes);
void test_copy(const char *from, const char *to);

/* Copies `from` to `to` with the first occurrence of `find` replaced. */
void test_copy_replaced(const char *from, const char *to, const char *find, const char *replace);
/* A new folder (test_folder_create()) with those files of another, `find` replaced in one of them.
 */
char *test_folder_replaced(const char *from, const char *const names[], int n_names,
                           const char *file, const char *find, const char *replace);
/* Copies a GGUF file with the first `bytes` bytes of a value changed (strings begin with their
 * length). */
void test_copy_gguf_value(const char *from, const char *to, const char *key, const void *value,
                          size_t bytes);

/* Fails the test unless a call ended with `want` and a message that has `what` and `where`. */
void test_expect_failure(const lp_context *ctx, lp_status status, lp_status want, const char *what,
                         const char *where);

#endif
