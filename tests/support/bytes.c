/* Bytes and scratch folders for tests. Failures here end the test program: nothing can be tested.
 */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "support/bytes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *must(void *p)
{
    if (!p) {
        perror("test support");
        abort();
    }
    return p;
}

void bytes_put(bytes *b, const void *data, size_t n)
{
    b->data = must(realloc(b->data, b->n + n + 1));
    if (n)
        memcpy(b->data + b->n, data, n);
    b->n += n;
}

void bytes_text(bytes *b, const char *text)
{
    bytes_put(b, text, strlen(text));
}

void bytes_u32(bytes *b, uint32_t value)
{
    for (int i = 0; i < 4; i++, value >>= 8)
        bytes_put(b, &(uint8_t){(uint8_t)value}, 1);
}

void bytes_u64(bytes *b, uint64_t value)
{
    bytes_u32(b, (uint32_t)value);
    bytes_u32(b, (uint32_t)(value >> 32));
}

void bytes_zeros(bytes *b, size_t n)
{
    b->data = must(realloc(b->data, b->n + n + 1));
    memset(b->data + b->n, 0, n);
    b->n += n;
}

void bytes_free(bytes *b)
{
    free(b->data);
    *b = (bytes){0};
}

char *scratch_create(void)
{
    const char *base = getenv("TMPDIR");
    if (!base || !*base)
        base = "/tmp";
    size_t n = strlen(base) + 32;
    char *folder = must(malloc(n));
    snprintf(folder, n, "%s/lapilli-test-XXXXXX", base);
    return must(mkdtemp(folder));
}

static char *join(const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = must(malloc(n));
    snprintf(path, n, "%s/%s", folder, name);
    return path;
}

char *scratch_file(const char *folder, const char *name, const void *data, size_t n)
{
    char *path = join(folder, name);
    FILE *file = must(fopen(path, "wb"));
    if (fwrite(data, 1, n, file) != n || fclose(file) != 0)
        must(NULL);
    return path;
}

int scratch_count(const char *folder)
{
    int n = 0;
    DIR *dir = must(opendir(folder));
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2; /* without . and .. */
}

void scratch_destroy(char *folder)
{
    DIR *dir = must(opendir(folder));
    for (struct dirent *entry; (entry = readdir(dir));) {
        char *path = join(folder, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlink(path);
        free(path);
    }
    closedir(dir);
    rmdir(folder);
    free(folder);
}
