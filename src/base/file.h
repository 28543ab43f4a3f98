/* Read-only file mapping. Weights borrow it for as long as it lives. */
#ifndef LP_BASE_FILE_H
#define LP_BASE_FILE_H

#include "base/context.h"

typedef struct lp_file {
    char *path;
    const uint8_t *data; /* NULL for an empty file */
    size_t bytes;
} lp_file;

/* Maps `path`. Errors: LP_E_IO with the system's reason, LP_E_ARG for folders and devices. */
lp_status lp_file_open(lp_context *ctx, const char *path, lp_file *file);
void lp_file_close(lp_file *file);
/* Zeroed pages that are no file's but behave like one's: write to them through a cast before they
 * are shared; lp_file_forget() does not lose their contents. `what` is for the error. */
lp_status lp_file_memory(lp_context *ctx, size_t bytes, const char *what, lp_file *file);

/* Hints that [data, data + bytes) will not be read again soon: the pages leave resident memory. */
void lp_file_forget(const void *data, size_t bytes);

/* Whether there is anything at a path. */
bool lp_path_exists(const char *path);
/* Whether a path exists and is a folder. */
int lp_path_is_folder(const char *path);

/* "folder/name", malloc'ed; NULL when out of memory. */
char *lp_path_join(const char *folder, const char *name);

/* A file being written: to a temporary file beside `path`, which takes its name on commit. Whoever
 * reads `path` sees the old file or the whole new one, never a part. */
typedef struct lp_writer {
    lp_context *ctx;
    char *path, *temporary;
    void *stream;     /* FILE */
    uint64_t written; /* bytes so far */
} lp_writer;

/* LP_E_ARG if `path` exists and is no regular file, LP_E_IO with the system's reason. */
lp_status lp_writer_open(lp_context *ctx, const char *path, lp_writer *writer);
lp_status lp_writer_write(lp_writer *writer, const void *data, size_t bytes);
/* Zeros up to the next multiple of `alignment`. */
lp_status lp_writer_align(lp_writer *writer, size_t alignment);
/* Renames the temporary file. The writer is closed afterwards, also on failure. */
lp_status lp_writer_commit(lp_writer *writer);
/* Removes the temporary file; does nothing on a closed or zeroed writer. */
void lp_writer_abandon(lp_writer *writer);

/* Writes `bytes` to `path`: whole or not at all. */
lp_status lp_file_write(lp_context *ctx, const char *path, const void *data, size_t bytes);

#endif
