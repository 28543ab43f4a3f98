/* Directory of a zip file, see zip.h. The truth is the central directory at the end; of the header
 * in front of an entry only its length is read. */
#include "base/zip.h"

#include <stdlib.h>
#include <string.h>

enum {
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    MAX_COMMENT = 65535,
    ZIP64_EXTRA = 1, /* id of the extra field */
    ENCRYPTED = 1    /* flag */
};

#define END_SIGNATURE     0x06054b50u
#define END64_SIGNATURE   0x06064b50u
#define LOCATOR_SIGNATURE 0x07064b50u
#define CENTRAL_SIGNATURE 0x02014b50u
#define LOCAL_SIGNATURE   0x04034b50u

typedef struct reader {
    lp_context *ctx;
    const char *where;
    const uint8_t *data;
    size_t bytes;
} reader;

static uint64_t load(const uint8_t *data, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | data[i];
    return value;
}

static lp_status broken(const reader *r, const char *what)
{
    return lp_fail(r->ctx, LP_E_FORMAT, "%s: zip file: %s", r->where, what);
}

/* Whether [at, at + n) lies in the file. */
static bool inside(const reader *r, uint64_t at, uint64_t n)
{
    return at <= r->bytes && n <= r->bytes - at;
}

typedef struct directory {
    uint64_t at, bytes, n;
} directory;

/* The end record is the last one whose comment reaches to the end of the file. */
static lp_status find_directory(const reader *r, directory *d)
{
    const uint8_t *end = NULL;
    size_t at = 0;
    for (size_t comment = 0; comment <= MAX_COMMENT && END_BYTES + comment <= r->bytes; comment++) {
        at = r->bytes - END_BYTES - comment;
        if (load(r->data + at, 4) == END_SIGNATURE && load(r->data + at + 20, 2) == comment) {
            end = r->data + at;
            break;
        }
    }
    if (!end)
        return broken(r, "it has no end record: it was cut, or is no zip file");
    *d = (directory){.at = load(end + 16, 4), .bytes = load(end + 12, 4), .n = load(end + 10, 2)};
    if (at >= LOCATOR_BYTES && load(end - LOCATOR_BYTES, 4) == LOCATOR_SIGNATURE) {
        uint64_t at64 = load(end - LOCATOR_BYTES + 8, 8);
        if (!inside(r, at64, END64_BYTES) || load(r->data + at64, 4) != END64_SIGNATURE)
            return broken(r, "its zip64 end record is not where it should be");
        const uint8_t *end64 = r->data + at64;
        *d = (directory){load(end64 + 48, 8), load(end64 + 40, 8), load(end64 + 32, 8)};
    }
    if (!inside(r, d->at, d->bytes) || d->n > d->bytes / CENTRAL_BYTES)
        return broken(r, "its directory does not fit into the file");
    return LP_OK;
}

/* Sizes and place that did not fit into 32 bits are in an extra field, in this order. */
static lp_status read_zip64(const reader *r, const uint8_t *extra, size_t n, uint64_t *size,
                            uint64_t *packed, uint64_t *at)
{
    uint64_t *const wide[] = {size, packed, at};
    while (n >= 4) {
        size_t length = (size_t)load(extra + 2, 2);
        if (length > n - 4)
            break;
        const uint8_t *field = extra + 4;
        for (int i = 0; i < 3 && load(extra, 2) == ZIP64_EXTRA; i++) {
            if (*wide[i] != UINT32_MAX)
                continue;
            if ((size_t)(field - extra) + 4 > length)
                return broken(r, "a zip64 field is too short");
            *wide[i] = load(field, 8);
            field += 8;
        }
        extra += 4 + length;
        n -= 4 + length;
    }
    return LP_OK;
}

/* The entry at `at` of the directory, which ends at `end`; *at moves behind it. */
static lp_status read_entry(const reader *r, uint64_t *at, uint64_t end, lp_arena *arena,
                            lp_zip_entry *entry)
{
    const uint8_t *c = r->data + *at;
    if (end - *at < CENTRAL_BYTES || load(c, 4) != CENTRAL_SIGNATURE)
        return broken(r, "its directory is damaged");
    size_t name_bytes = (size_t)load(c + 28, 2), extra_bytes = (size_t)load(c + 30, 2);
    uint64_t length = CENTRAL_BYTES + name_bytes + extra_bytes + load(c + 32, 2);
    if (length > end - *at)
        return broken(r, "its directory is damaged");
    *at += length;
    const char *name = (const char *)c + CENTRAL_BYTES;
    for (size_t i = 0; i < name_bytes; i++)
        if (name[i] < ' ' || name[i] > '~')
            return broken(r, "the name of an entry is not printable ASCII");
    entry->name = lp_arena_strndup(arena, name, name_bytes);
    if (!entry->name)
        return lp_fail_memory(r->ctx, r->where);

    uint64_t packed = load(c + 20, 4), size = load(c + 24, 4), local = load(c + 42, 4);
    LP_TRY(read_zip64(r, c + CENTRAL_BYTES + name_bytes, extra_bytes, &size, &packed, &local));
    if (load(c + 10, 2) != 0 || load(c + 8, 2) & ENCRYPTED)
        return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: zip entry %s is %s", r->where, entry->name,
                       load(c + 10, 2) ? "compressed" : "encrypted");
    if (!inside(r, local, LOCAL_BYTES) || load(r->data + local, 4) != LOCAL_SIGNATURE)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: zip entry %s is not where the directory says",
                       r->where, entry->name);
    uint64_t data = local + LOCAL_BYTES + load(r->data + local + 26, 2) +
                    load(r->data + local + 28, 2); /* no overflow: local is within the file */
    if (size != packed || !inside(r, data, size))
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: zip entry %s does not fit into the file", r->where,
                       entry->name);
    entry->data = r->data + data;
    entry->bytes = size;
    return LP_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const lp_zip_entry *)a)->name, ((const lp_zip_entry *)b)->name);
}

lp_status lp_zip_read(lp_context *ctx, const char *where, const uint8_t *data, size_t bytes,
                      lp_arena *arena, lp_zip *zip)
{
    reader r = {ctx, where, data, bytes};
    directory d = {0};
    LP_TRY(find_directory(&r, &d));
    *zip = (lp_zip){lp_arena_array(arena, (size_t)d.n, sizeof(*zip->entries)), (size_t)d.n};
    if (!zip->entries)
        return lp_fail_memory(ctx, where);
    uint64_t at = d.at, end = d.at + d.bytes;
    for (size_t i = 0; i < zip->n; i++)
        LP_TRY(read_entry(&r, &at, end, arena, &zip->entries[i]));
    if (zip->n)
        qsort(zip->entries, zip->n, sizeof(*zip->entries), by_name);
    for (size_t i = 1; i < zip->n; i++)
        if (by_name(&zip->entries[i - 1], &zip->entries[i]) == 0)
            return lp_fail(ctx, LP_E_FORMAT, "%s: zip entry %s occurs twice", where,
                           zip->entries[i].name);
    return LP_OK;
}

const lp_zip_entry *lp_zip_find(const lp_zip *zip, const char *name)
{
    const lp_zip_entry key = {.name = name};
    return zip->n ? bsearch(&key, zip->entries, zip->n, sizeof(key), by_name) : NULL;
}
