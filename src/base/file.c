/* File mapping, paths, and writing whole files.
 *
 * Mapped, not read: weights larger than memory stay in the page cache, and loading costs nothing
 * until a tensor is touched. A file that another process truncates while it is mapped raises SIGBUS
 * on access; nothing short of copying everything prevents that. */
#define _DEFAULT_SOURCE /* madvise, realpath */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

lp_status lp_file_open(lp_context *ctx, const char *path, lp_file *file)
{
    *file = (lp_file){0};
    lp_status status = LP_OK;
    struct stat info;
    /* O_NONBLOCK: opening a pipe without a writer would wait for ever */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0) {
        status = lp_fail(ctx, LP_E_IO, "%s: %s", path, strerror(errno));
        goto cleanup;
    }
    if (!S_ISREG(info.st_mode)) {
        status = lp_fail(ctx, LP_E_ARG, "%s: %s, not a regular file", path,
                         S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
        goto cleanup;
    }
    if ((uintmax_t)info.st_size > SIZE_MAX) {
        status = lp_fail(ctx, LP_E_LIMIT, "%s: too large for this machine's address space", path);
        goto cleanup;
    }
    file->path = malloc(strlen(path) + 1);
    if (!file->path) {
        status = lp_fail_memory(ctx, path);
        goto cleanup;
    }
    strcpy(file->path, path);
    file->bytes = (size_t)info.st_size;
    if (file->bytes) { /* an empty mapping is an error to mmap, not to us */
        void *data = mmap(NULL, file->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status = lp_fail(ctx, LP_E_IO, "%s: cannot be mapped: %s", path, strerror(errno));
            goto cleanup;
        }
        file->data = data;
    }
cleanup:
    if (fd >= 0)
        close(fd);
    if (status != LP_OK)
        lp_file_close(file);
    return status;
}

void lp_file_close(lp_file *file)
{
    if (!file)
        return;
    if (file->data)
        munmap((void *)file->data, file->bytes);
    free(file->path);
    *file = (lp_file){0};
}

lp_status lp_file_memory(lp_context *ctx, size_t bytes, const char *what, lp_file *file)
{
    *file = (lp_file){0};
    if (!bytes)
        return LP_OK;
    /* shared: dropping private anonymous pages would zero them */
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        return lp_fail_memory(ctx, what);
    file->data = data;
    file->bytes = bytes;
    return LP_OK;
}

void lp_file_forget(const void *data, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)data + page - 1) / page * page; /* whole pages inside only */
    uintptr_t end = ((uintptr_t)data + bytes) / page * page;
    if (data && end > first)
        madvise((void *)first, end - first, MADV_DONTNEED); /* a hint: its failure harms nothing */
}

bool lp_path_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

int lp_path_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *lp_path_join(const char *folder, const char *name)
{
    size_t n = strlen(folder), m = strlen(name);
    int slash = n > 0 && folder[n - 1] != '/';
    char *path = malloc(n + m + 2);
    if (!path)
        return NULL;
    memcpy(path, folder, n);
    if (slash)
        path[n] = '/';
    memcpy(path + n + slash, name, m + 1);
    return path;
}

static void writer_free(lp_writer *writer)
{
    free(writer->path);
    free(writer->temporary);
    *writer = (lp_writer){0};
}

lp_status lp_writer_open(lp_context *ctx, const char *path, lp_writer *writer)
{
    *writer = (lp_writer){.ctx = ctx};
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return lp_fail(ctx, LP_E_ARG, "%s: exists and is %s", path,
                       S_ISDIR(info.st_mode) ? "a folder" : "no regular file");

    writer->path = realpath(path, NULL); /* a link stays a link: its target is replaced */
    if (!writer->path) {
        writer->path = malloc(strlen(path) + 1);
        if (!writer->path)
            return lp_fail_memory(ctx, path);
        strcpy(writer->path, path);
    }
    size_t size = strlen(writer->path) + 48;
    writer->temporary = malloc(size);
    if (!writer->temporary) {
        writer_free(writer);
        return lp_fail_memory(ctx, path);
    }
    int fd = -1;
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        snprintf(writer->temporary, size, "%s.%ld-%u.part", writer->path, (long)getpid(), attempt);
        fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            break;
    }
    writer->stream = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!writer->stream) {
        lp_status status = lp_fail(ctx, LP_E_IO, "%s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
            unlink(writer->temporary);
        }
        writer_free(writer);
        return status;
    }
    return LP_OK;
}

lp_status lp_writer_write(lp_writer *writer, const void *data, size_t bytes)
{
    if (bytes && fwrite(data, 1, bytes, writer->stream) != bytes)
        return lp_fail(writer->ctx, LP_E_IO, "%s: %s", writer->path, strerror(errno));
    writer->written += bytes;
    return LP_OK;
}

lp_status lp_writer_align(lp_writer *writer, size_t alignment)
{
    static const uint8_t zeros[64];
    while (writer->written % alignment) {
        size_t rest = alignment - (size_t)(writer->written % alignment);
        LP_TRY(lp_writer_write(writer, zeros, rest < sizeof(zeros) ? rest : sizeof(zeros)));
    }
    return LP_OK;
}

lp_status lp_writer_commit(lp_writer *writer)
{
    lp_status status = LP_OK;
    FILE *stream = writer->stream;
    int failed = fflush(stream) != 0 || fsync(fileno(stream)) != 0;
    int reason = errno;
    if (fclose(stream) != 0 && !failed) {
        failed = 1;
        reason = errno;
    }
    if (!failed && rename(writer->temporary, writer->path) != 0) {
        failed = 1;
        reason = errno;
    }
    if (failed) {
        unlink(writer->temporary);
        status = lp_fail(writer->ctx, LP_E_IO, "%s: %s", writer->path, strerror(reason));
    }
    writer_free(writer);
    return status;
}

void lp_writer_abandon(lp_writer *writer)
{
    if (!writer || !writer->stream)
        return;
    fclose(writer->stream);
    unlink(writer->temporary);
    writer_free(writer);
}

lp_status lp_file_write(lp_context *ctx, const char *path, const void *data, size_t bytes)
{
    lp_writer writer;
    LP_TRY(lp_writer_open(ctx, path, &writer));
    lp_status status = lp_writer_write(&writer, data, bytes);
    if (status != LP_OK) {
        lp_writer_abandon(&writer);
        return status;
    }
    return lp_writer_commit(&writer);
}
