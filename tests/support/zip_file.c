/* See zip_file.h. */
#include "support/zip_file.h"

#include <string.h>

static void put_u16(bytes *b, uint32_t value)
{
    const uint8_t two[] = {(uint8_t)value, (uint8_t)(value >> 8)};
    bytes_put(b, two, 2);
}

bytes make_zip(const zip_entry *entries, size_t n, zip_lies lies)
{
    bytes b = {0}, directory = {0};
    for (size_t i = 0; i < n; i++) {
        size_t name = strlen(entries[i].name), at = b.n;
        uint32_t size = (uint32_t)entries[i].n + lies.longer;
        bytes_put(&b, "PK\3\4", 4);
        bytes_zeros(&b, 22);
        put_u16(&b, (uint32_t)name);
        put_u16(&b, 5);
        bytes_text(&b, entries[i].name);
        bytes_zeros(&b, 5); /* an extra field */
        bytes_put(&b, entries[i].data, entries[i].n);

        bytes_put(&directory, "PK\1\2\0\0\0\0", 8);
        put_u16(&directory, lies.flags);
        put_u16(&directory, lies.method);
        bytes_zeros(&directory, 8);
        bytes_u32(&directory, lies.zip64 ? UINT32_MAX : size);
        bytes_u32(&directory, lies.zip64 ? UINT32_MAX : size);
        put_u16(&directory, (uint32_t)name);
        put_u16(&directory, lies.zip64 ? 28 : 0);
        bytes_zeros(&directory, 10);
        bytes_u32(&directory, lies.zip64 ? UINT32_MAX : (uint32_t)at + lies.moved);
        bytes_text(&directory, entries[i].name);
        if (lies.zip64) {
            put_u16(&directory, 1);
            put_u16(&directory, 24);
            bytes_u64(&directory, size);
            bytes_u64(&directory, size);
            bytes_u64(&directory, at + lies.moved);
        }
    }
    size_t start = b.n, end;
    bytes_put(&b, directory.data, directory.n);
    end = b.n;
    if (lies.zip64) {
        bytes_put(&b, "PK\6\6", 4);
        bytes_zeros(&b, 28);
        bytes_u64(&b, n);
        bytes_u64(&b, directory.n);
        bytes_u64(&b, start);
        bytes_put(&b, "PK\6\7\0\0\0\0", 8);
        bytes_u64(&b, end);
        bytes_u32(&b, 1);
    }
    bytes_put(&b, "PK\5\6\0\0\0\0", 8);
    put_u16(&b, lies.zip64 ? 0xffff : (uint32_t)n);
    put_u16(&b, lies.zip64 ? 0xffff : (uint32_t)n);
    bytes_u32(&b, lies.zip64 ? UINT32_MAX : (uint32_t)directory.n);
    bytes_u32(&b, lies.zip64 ? UINT32_MAX : (uint32_t)start);
    put_u16(&b, 0);
    bytes_free(&directory);
    return b;
}
