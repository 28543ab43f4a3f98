/* A growing byte buffer, for tests that write files by hand; and a folder for these files. */
#ifndef LP_TESTS_BYTES_H
#define LP_TESTS_BYTES_H

#include <stddef.h>
#include <stdint.h>

typedef struct bytes {
    uint8_t *data; /* malloc'ed */
    size_t n;
} bytes; /* zero-initialise; bytes_free() at the end */

void bytes_put(bytes *b, const void *data, size_t n);
void bytes_text(bytes *b, const char *text); /* without NUL */
void bytes_u32(bytes *b, uint32_t value);    /* little-endian */
void bytes_u64(bytes *b, uint64_t value);
void bytes_zeros(bytes *b, size_t n);
void bytes_free(bytes *b);

/* A new empty folder; the path is malloc'ed. */
char *scratch_create(void);
/* Writes folder/name and returns its path (malloc'ed). */
char *scratch_file(const char *folder, const char *name, const void *data, size_t n);
/* Entries of the folder. */
int scratch_count(const char *folder);
/* Removes the folder with its files and frees the path. */
void scratch_destroy(char *folder);

#endif
