// Runs a fuzz target over every file of a folder: `fuzz_NAME FOLDER`. This is how the committed
// corpus (fuzz/corpus/NAME) is tested in builds that have no libFuzzer.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1); // its exact size, so that a sanitizer sees its end
    int rc = 1;
    if (file && data && fread(data, 1, size, file) == size) {
        printf("%s\n", path);
        fflush(stdout);
        rc = LLVMFuzzerTestOneInput(data, size);
    } else {
        perror(path);
    }
    free(data);
    if (file) {
        fclose(file);
    }
    return rc;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    unsigned n_files = 0;
    int rc = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char path[4096];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
            continue;
        }
        rc |= replay_file(path, (size_t)info.st_size);
        n_files++;
    }
    closedir(dir);
    printf("%u inputs\n", n_files);
    return rc || n_files == 0;
}
