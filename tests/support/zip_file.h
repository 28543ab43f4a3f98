/* Zip files with what may be wrong in them. */
#ifndef LP_TEST_ZIP_FILE_H
#define LP_TEST_ZIP_FILE_H

#include <stdbool.h>

#include "support/bytes.h"

typedef struct zip_entry {
    const char *name;
    const void *data;
    size_t n;
} zip_entry;

/* What a directory entry says; the tests lie here. */
typedef struct zip_lies {
    uint32_t method, flags, moved; /* moved: by so many bytes */
    uint32_t longer;               /* by so many bytes than what is there */
    bool zip64;                    /* sizes and places are in the 64-bit fields */
} zip_lies;

/* Stored entries, a directory and its end; bytes_free() it. */
bytes make_zip(const zip_entry *entries, size_t n, zip_lies lies);

#endif
