/* See files.h. */
#define _DEFAULT_SOURCE /* realpath, fsync */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TEXT ((size_t)16 << 20)

/* Removes what there is of the file; false. */
static bool fail(cli_output *output, int reason)
{
    cli_error("%s: %s", output->path, strerror(reason));
    cli_output_abandon(output);
    return false;
}

bool cli_output_begin(cli_output *output, const char *path)
{
    *output = (cli_output){.path = path};
    if (!path)
        return true;
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        cli_error("%s: exists and is %s", path,
                  S_ISDIR(info.st_mode) ? "a folder" : "no regular file");
        return false;
    }
    output->target = realpath(path, NULL); /* a link stays a link: its target is replaced */
    if (!output->target)
        output->target = strdup(path);
    size_t size = output->target ? strlen(output->target) + 32 : 0;
    output->temporary = size ? malloc(size) : NULL;
    if (!output->temporary)
        return fail(output, ENOMEM);
    snprintf(output->temporary, size, "%s.%ld.part", output->target, (long)getpid());
    int fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail(output, errno);
    output->stream = fdopen(fd, "wb");
    if (!output->stream) {
        int reason = errno;
        close(fd);
        unlink(output->temporary);
        return fail(output, reason);
    }
    return true;
}

bool cli_output_finish(cli_output *output, const char *text)
{
    if (!output->stream)
        return true;
    errno = 0;
    if (fputs(text, output->stream) < 0 || ferror(output->stream) || fflush(output->stream) != 0 ||
        fsync(fileno(output->stream)) != 0 || rename(output->temporary, output->target) != 0)
        return fail(output, errno ? errno : EIO);
    fclose(output->stream);
    output->stream = NULL;
    cli_output_abandon(output);
    return true;
}

void cli_output_abandon(cli_output *output)
{
    if (output->stream) {
        fclose(output->stream);
        unlink(output->temporary);
    }
    free(output->target);
    free(output->temporary);
    *output = (cli_output){.path = output->path};
}

char *cli_read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = file ? malloc(MAX_TEXT + 1) : NULL;
    const char *problem = NULL;
    size_t n = 0;
    errno = file ? ENOMEM : errno;
    if (text) {
        errno = 0;
        n = fread(text, 1, MAX_TEXT, file);
        text[n] = '\0';
        problem = ferror(file)            ? strerror(errno)
                  : getc(file) != EOF     ? "too long"
                  : memchr(text, '\0', n) ? "not a text"
                                          : NULL;
    } else {
        problem = strerror(errno);
    }
    if (file)
        fclose(file);
    if (problem) {
        cli_error("%s: %s", path, problem);
        free(text);
        return NULL;
    }
    return text;
}
