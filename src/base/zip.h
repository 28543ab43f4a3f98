/* Where the stored entries of a zip file lie, so that they can be mapped instead of unpacked (a zip
 * library hands out bytes, not places). PKWARE's APPNOTE.TXT 6.3, with zip64. */
#ifndef LP_BASE_ZIP_H
#define LP_BASE_ZIP_H

#include "base/arena.h"

typedef struct lp_zip_entry {
    const char *name;    /* printable ASCII, terminated, in the arena */
    const uint8_t *data; /* borrowed from the file; unaligned */
    uint64_t bytes;
} lp_zip_entry;

typedef struct lp_zip {
    lp_zip_entry *entries; /* sorted by name */
    size_t n;
} lp_zip;

/* Every place and size is checked against the file. Compressed or encrypted entries are
 * LP_E_UNSUPPORTED. The entries lie in `arena`. */
lp_status lp_zip_read(lp_context *ctx, const char *where, const uint8_t *data, size_t bytes,
                      lp_arena *arena, lp_zip *zip);
/* NULL if there is none. */
const lp_zip_entry *lp_zip_find(const lp_zip *zip, const char *name);

#endif
