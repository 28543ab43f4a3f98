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

/* Hints that [data, data + bytes) will not be read again soon: the pages leave resident memory. */
void lp_file_forget(const void *data, size_t bytes);

/* Whether a path exists and is a folder. */
int lp_path_is_folder(const char *path);

/* "folder/name", malloc'ed; NULL when out of memory. */
char *lp_path_join(const char *folder, const char *name);

/* Writes `bytes` to `path` by way of a temporary file beside it: whole or not at all. */
lp_status lp_file_write(lp_context *ctx, const char *path, const void *data, size_t bytes);

#endif
