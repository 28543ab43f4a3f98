/* The command that repeats a check, see check.h. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef struct line {
    char *text;
    size_t bytes, room;
    bool failed;
} line;

static void append(line *l, const char *text, size_t n)
{
    if (l->bytes + n + 1 > l->room && !l->failed) {
        size_t room = 2 * (l->bytes + n) + 256;
        char *grown = realloc(l->text, room);
        l->failed = !grown;
        if (grown) {
            l->text = grown;
            l->room = room;
        }
    }
    if (l->failed)
        return;
    memcpy(l->text + l->bytes, text, n);
    l->bytes += n;
    l->text[l->bytes] = '\0';
}

/* " OPTION VALUE", quoted for a shell where that is needed. Nothing if the value is NULL. */
static void append_option(line *l, const char *option, const char *value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=.,:/@%";
    if (!value)
        return;
    append(l, " ", 1);
    append(l, option, strlen(option));
    append(l, " ", 1);
    if (*value && strspn(value, plain) == strlen(value)) {
        append(l, value, strlen(value));
        return;
    }
    append(l, "'", 1);
    for (const char *p = value; *p; p++)
        append(l, *p == '\'' ? "'\\''" : p, *p == '\'' ? 4 : 1);
    append(l, "'", 1);
}

/* What was asked of a model that makes pictures. */
static void append_request(line *l, const lp_image_request *r)
{
    static const lp_image_request usual = LP_IMAGE_REQUEST_DEFAULT;
    char text[32];
    const struct {
        const char *option;
        uint32_t value, usual;
    } numbers[] = {{"-W", r->width, usual.width},
                   {"-H", r->height, usual.height},
                   {"--steps", r->n_steps, usual.n_steps}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        snprintf(text, sizeof(text), "%u", numbers[i].value);
        append_option(l, numbers[i].option, numbers[i].value != numbers[i].usual ? text : NULL);
    }
    snprintf(text, sizeof(text), "%llu", (unsigned long long)r->seed);
    append_option(l, "-s", r->seed != usual.seed ? text : NULL);
    append_option(l, "--negative", r->negative);
    snprintf(text, sizeof(text), "%.9g", (double)r->guidance);
    append_option(l, "--cfg-scale", r->guidance != usual.guidance ? text : NULL);
    snprintf(text, sizeof(text), "%.9g", (double)r->rescale);
    append_option(l, "--cfg-rescale", r->rescale != usual.rescale ? text : NULL);
    append_option(l, "--sampler", r->sampler);
    append_option(l, "--schedule", r->karras ? "karras" : NULL);
}

char *cli_check_command(const cli_check_settings *s, const char *device, const char *against)
{
    static const char command[] = "lapilli check";
    line l = {0};
    char number[24];
    append(&l, command, strlen(command));
    append_option(&l, "-m", s->job.path);
    for (size_t i = 0; i < s->job.adapters.n; i++) {
        append_option(&l, "--lora-scaled", s->job.adapters.item[i].path);
        snprintf(number, sizeof(number), ":%.9g", (double)s->job.adapters.item[i].scale);
        append(&l, number, strlen(number));
    }
    append_option(&l, "-p", s->prompt_text);
    append_option(&l, "-f", s->prompt_file);
    append_option(&l, "--image", s->image);
    append_request(&l, &s->request);
    append_option(&l, "--device", device);
    append_option(&l, "--against", against);
    snprintf(number, sizeof(number), "%u", s->check.n_ctx);
    append_option(&l, "-c", s->check.n_ctx ? number : NULL);
    append_option(&l, "--cache-type",
                  s->check.cache_type != LP_F16 ? cli_cache_type(s->check.cache_type) : NULL);
    snprintf(number, sizeof(number), "%u", s->check.n_runs);
    append_option(&l, "--runs", s->check.n_runs != 2 ? number : NULL);
    append_option(&l, "--workaround", s->job.workaround);
    append_option(&l, "--plant", s->check.plant);
    if (s->check.quick)
        append(&l, " --quick", 8);
    if (s->check.deterministic)
        append(&l, " --deterministic", 16);
    if (s->check.no_int8)
        append(&l, " --no-int8", 10);
    if (l.failed) {
        free(l.text);
        return NULL;
    }
    return l.text;
}
