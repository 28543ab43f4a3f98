/* The command's surroundings: the model that ships, the cache folder, the choice of a device, the
 * progress bar, the clock. */
#define _DEFAULT_SOURCE /* readlink, isatty */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

double cli_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* "a" "b" joined, malloc'ed; NULL when out of memory. */
static char *concat(const char *a, const char *b)
{
    char *text = malloc(strlen(a) + strlen(b) + 1);
    if (text)
        strcat(strcpy(text, a), b);
    return text;
}

/* Beside the installed command (which may have been moved), where it was to be installed, or in the
 * source tree that it was built from. */
static char *find_shipped(const char *model)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 32);
    char *slash = NULL;
    if (n > 0) {
        self[n] = '\0';
        slash = strrchr(self, '/');
    }
    if (slash)
        strcpy(slash, "/../share/lapilli");
    const char *const places[] = {slash ? self : "", LAPILLI_DATA_DIR, LAPILLI_SOURCE_DIR};
    for (int i = 0; i < 3; i++) {
        char *path = concat(places[i], model);
        if (path && access(path, R_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

char *cli_find_model(void)
{
    return find_shipped("/models/story/story.gguf");
}

char *cli_default_model(void)
{
    char *path = cli_find_model();
    if (!path)
        cli_error("the model that ships with lapilli is not there; name one with -m");
    return path;
}

char *cli_default_image_model(void)
{
    char *path = find_shipped("/models/emoji");
    if (!path)
        cli_error("the image model that ships with lapilli is not there; name one with -m");
    return path;
}

uint64_t cli_any_seed(void)
{
    return ((uint64_t)time(NULL) * 1000003u + (uint64_t)getpid()) % 1000000u;
}

char *cli_cache_folder(void)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *cache = NULL;
    if (base && *base == '/') /* relative ones are to be ignored, says the standard */
        cache = concat(base, "");
    else if (home && *home == '/')
        cache = concat(home, "/.cache");
    char *folder = cache ? concat(cache, "/lapilli") : NULL;
    struct stat info;
    if (folder && stat(folder, &info) != 0) {
        mkdir(cache, 0700);
        mkdir(folder, 0777);
    }
    if (folder && (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode))) {
        free(folder); /* nothing is kept then: it only costs time */
        folder = NULL;
    }
    free(cache);
    return folder;
}

int cli_list_faults(void)
{
    if (lp_n_faults() == 0) {
        cli_error("this build has no faults to plant (configure with -DLAPILLI_FAULTS=ON)");
        return CLI_FAILED;
    }
    for (size_t i = 0; i < lp_n_faults(); i++)
        printf("%-20s %s\n", lp_fault_name(i), lp_fault_text(i));
    return CLI_OK;
}

int cli_choose_device(lp_context *ctx, const char *selector, bool alone, lp_devices **devices,
                      size_t *index, const char **reason)
{
    const bool host =
        alone && selector && (strcmp(selector, "cpu") == 0 || strcmp(selector, "reference") == 0);
    lp_status status =
        host ? lp_devices_create_host(ctx, devices) : lp_devices_create(ctx, devices);
    if (status == LP_OK)
        status = lp_devices_choose(*devices, selector, index, reason);
    return status == LP_OK ? CLI_OK : cli_failed(ctx, status);
}

int cli_show_progress(void *user, uint64_t done, uint64_t total)
{
    cli_progress *p = user;
    double now = cli_seconds();
    if (p->begin == 0)
        p->begin = now;
    int percent = total ? (int)((double)done / (double)total * 100) : 100;
    if (now - p->begin > 0.3 && percent != p->percent && isatty(STDERR_FILENO)) {
        enum { WIDTH = 40 };
        char bar[WIDTH + 1];
        for (int i = 0; i < WIDTH; i++)
            bar[i] = i * 100 < percent * WIDTH ? '#' : '.';
        bar[WIDTH] = '\0';
        fprintf(stderr, "\r%s [%s] %3d%%", p->what, bar, percent);
        fflush(stderr);
        p->percent = percent;
    }
    return cli_stop_signal() != 0;
}

void cli_clear_progress(cli_progress *p)
{
    if (p->percent < 0)
        return;
    fprintf(stderr, "\r%*s\r", (int)strlen(p->what) + 50, "");
    fflush(stderr);
    p->percent = -1;
}
