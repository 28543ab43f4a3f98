/* lapilli image -p: pictures of a text. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "image.h"
#include "job.h"

/* What its card was made with; more makes its grounds speckled. */
#define SHIPPED_GUIDANCE 2

/* One picture being made. */
typedef struct making {
    cli_image_job *job;
    lp_image_generator *generator;
    lp_image_generator_info info;
    uint64_t seed;
    double begin, latest; /* of the steps, in seconds */
    uint32_t done;        /* steps */
    uint32_t n_steps;     /* to be taken */
    uint32_t n_lines;     /* that the preview takes */
    bool terminal, shown; /* whether there is one; whether a line of progress stands there */
    cli_filmstrip strip;
    uint32_t word[2];  /* of --attention: its first token, and how many it has */
    float *map;        /* [shape[1], shape[2]], of all steps so far */
    uint32_t shape[3]; /* of the latents */
    lp_status failed;  /* while a step was shown */
} making;

/* ---- While it grows -------------------------------------------------------------------------- */

static void show_bar(making *m, uint32_t n_steps)
{
    enum { WIDTH = 30 };
    char bar[WIDTH + 1] = {0};
    const double spent = cli_seconds() - m->begin;
    if (m->job->quiet || !m->terminal)
        return;
    for (uint32_t i = 0; i < WIDTH; i++)
        bar[i] = i * n_steps < m->done * WIDTH ? '#' : '.';
    fprintf(stderr, "\r\033[Kstep %u of %u [%s]", m->done, n_steps, bar);
    if (spent > 0 && m->done > 0)
        fprintf(stderr, " %.2f steps/s", m->done / spent);
    fflush(stderr);
    m->shown = true;
}

static void clear_bar(making *m)
{
    if (m->shown)
        fprintf(stderr, "\r\033[K");
    m->shown = false;
}

/* The picture that latents are, into the preview and the strip. */
static lp_status show_latents(making *m, const float *latents, const uint32_t shape[3],
                              uint32_t row, bool preview)
{
    lp_image *image = NULL;
    lp_status status = lp_image_generator_decode(m->generator, latents, shape, &image);
    if (status == LP_OK && m->job->filmstrip &&
        !cli_filmstrip_put(&m->strip, m->done - 1, row, image))
        status = LP_E_MEMORY;
    if (status == LP_OK && preview) {
        clear_bar(m);
        cli_preview_draw(m->job->preview, image, &m->n_lines);
    }
    lp_image_destroy(image);
    return status;
}

/* Adds where this step looked for the word. */
static bool add_looks(making *m, const lp_image_step *step)
{
    const size_t n = (size_t)step->shape[1] * step->shape[2];
    if (!m->map && !(m->map = calloc(n, sizeof(*m->map))))
        return false;
    for (int i = 0; i < 3; i++)
        m->shape[i] = step->shape[i];
    for (uint32_t t = m->word[0]; t < m->word[0] + m->word[1]; t++)
        for (size_t i = 0; i < n; i++)
            m->map[i] += step->looks[t * n + i];
    return true;
}

static int progress(void *user, const lp_image_step *step)
{
    making *m = user;
    const bool preview = m->job->preview != CLI_PREVIEW_NONE;
    m->done = step->done;
    m->n_steps = step->n_steps;
    m->strip.n_columns = step->n_steps;
    m->strip.n_rows = 2;
    if (m->job->attention && !add_looks(m, step))
        m->failed = LP_E_MEMORY;
    if (m->failed == LP_OK && m->job->filmstrip)
        m->failed = show_latents(m, step->noisy, step->shape, 0, false);
    if (m->failed == LP_OK && (m->job->filmstrip || preview))
        m->failed = show_latents(m, step->picture, step->shape, 1, preview);
    show_bar(m, step->n_steps);
    m->latest = cli_seconds();
    return m->failed != LP_OK || cli_stop_signal() != 0;
}

/* ---- Results --------------------------------------------------------------------------------- */

/* "out.png" and "7" make "out-7.png", malloc'ed; a NULL end leaves it as it is. */
static char *name_with(const char *name, const char *end)
{
    const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');
    const size_t n = dot ? (size_t)(dot - name) : strlen(name);
    char *path = malloc(strlen(name) + (end ? strlen(end) : 0) + 2);
    if (!path)
        cli_error("out of memory");
    else if (end)
        sprintf(path, "%.*s-%s%s", (int)n, name, end, dot ? dot : "");
    else
        strcpy(path, name);
    return path;
}

/* Of several pictures each has its seed in its name. */
static char *output_of(const making *m)
{
    char seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)m->seed);
    return name_with(m->job->output ? m->job->output : "out.png",
                     m->job->n_pictures > 1 ? seed : NULL);
}

static lp_status save_looks(const making *m, const lp_image *image, const char *output)
{
    char *path = name_with(output, "attention");
    if (!path)
        return LP_E_MEMORY;
    const lp_status status =
        cli_overlay_save(m->job->ctx, image, m->map, m->shape[2], m->shape[1], path);
    free(path);
    return status;
}

/* What made it goes into the file. */
static lp_status save(const making *m, const lp_image *image, const char *path)
{
    const cli_image_job *job = m->job;
    const lp_image_request *r = &job->request;
    const lp_device_info *device = lp_devices_info(job->devices, job->device_index);
    char software[40], digest[LP_IMAGE_DIGEST], seed[24], steps[24], taken[40], guidance[24];
    char rescale[24], strength[24], on[256];
    lp_fact texts[16];
    size_t n = 0;
    lp_image_generator_digest(m->generator, digest);
    snprintf(software, sizeof software, "lapilli %s", lp_version());
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)m->seed);
    snprintf(steps, sizeof steps, "%u", r->n_steps);
    snprintf(taken, sizeof taken, "%u of %u", m->done, m->n_steps);
    snprintf(rescale, sizeof rescale, "%g", (double)r->rescale);
    snprintf(guidance, sizeof guidance, "%g", (double)r->guidance);
    snprintf(strength, sizeof strength, "%g", (double)r->strength);
    snprintf(on, sizeof on, "%s%s%s", device->name, *device->driver ? ", " : "", device->driver);
    texts[n++] = (lp_fact){.name = "Software", .value = software};
    texts[n++] = (lp_fact){.name = "prompt", .value = r->prompt};
    if (r->negative && *r->negative)
        texts[n++] = (lp_fact){.name = "negative prompt", .value = r->negative};
    texts[n++] = (lp_fact){.name = "seed", .value = seed};
    texts[n++] = (lp_fact){.name = "steps", .value = steps};
    if (m->done < m->n_steps)
        texts[n++] = (lp_fact){.name = "interrupted after step", .value = taken};
    texts[n++] = (lp_fact){.name = "sampler", .value = r->sampler ? r->sampler : m->info.sampler};
    texts[n++] = (lp_fact){.name = "schedule", .value = r->karras ? "karras" : "default"};
    texts[n++] = (lp_fact){.name = "guidance", .value = guidance};
    if (r->rescale > 0)
        texts[n++] = (lp_fact){.name = "guidance rescale", .value = rescale};
    if (r->mask)
        texts[n++] = (lp_fact){.name = "mask", .value = job->mask};
    if (r->init)
        texts[n++] = (lp_fact){.name = "first picture", .value = job->input};
    if (r->init)
        texts[n++] = (lp_fact){.name = "strength", .value = strength};
    texts[n++] = (lp_fact){.name = "model", .value = job->model};
    texts[n++] = (lp_fact){.name = "model SHA-256", .value = digest};
    texts[n++] = (lp_fact){.name = "device", .value = on};
    return lp_image_save_texts(image, texts, n, path);
}

static void say_done(const making *m, const char *path, double steps, double decode)
{
    if (m->job->quiet)
        return;
    fprintf(stderr, "lapilli: %s: seed %llu, %u step%s in %.2f s (%.2f/s), decoded in %.2f s\n",
            path, (unsigned long long)m->seed, m->done, m->done == 1 ? "" : "s", steps,
            steps > 0 ? m->done / steps : 0, decode);
}

/* The picture of one seed. */
static int make_one(making *m)
{
    lp_image_request request = m->job->request;
    lp_context *ctx = m->job->ctx;
    lp_image *image = NULL;
    char *path = output_of(m);
    if (!path)
        return CLI_FAILED;
    request.seed = m->seed;
    request.progress = progress;
    request.user = m;
    m->begin = cli_seconds();
    lp_status status = lp_image_generator_run(m->generator, &request, &image);
    const double end = cli_seconds();
    clear_bar(m);
    if (status == LP_OK)
        status = m->failed;
    if (status == LP_OK && m->job->preview != CLI_PREVIEW_NONE)
        cli_preview_draw(m->job->preview, image, &m->n_lines);
    if (status == LP_OK)
        status = save(m, image, path);
    if (status == LP_OK && m->job->filmstrip)
        status = cli_filmstrip_save(&m->strip, ctx, m->done, m->job->filmstrip);
    if (status == LP_OK && m->job->attention)
        status = save_looks(m, image, path);
    if (status == LP_OK)
        say_done(m, path, m->latest - m->begin, end - m->latest);
    lp_image_destroy(image);
    free(m->strip.rgb);
    free(m->map);
    free(path);
    if (status == LP_E_MEMORY) { /* of the library or of the command, which leaves no message */
        cli_error("out of memory");
        return CLI_FAILED;
    }
    return status == LP_OK ? CLI_OK : cli_failed(ctx, status);
}

static int make_all(cli_image_job *job, lp_image_generator *generator)
{
    int code = CLI_OK;
    for (uint32_t i = 0; i < job->n_pictures && code == CLI_OK && !cli_stop_signal(); i++) {
        making m = {.job = job,
                    .generator = generator,
                    .info = lp_image_generator_describe(generator),
                    .seed = job->request.seed + i,
                    .terminal = isatty(STDERR_FILENO)};
        lp_status status = LP_OK;
        if (job->attention)
            status = lp_image_generator_find(generator, job->request.prompt, job->attention,
                                             &m.word[0], &m.word[1]);
        code = status == LP_OK ? make_one(&m) : cli_failed(job->ctx, status);
    }
    return code;
}

/* Pictures that are read before anything else: a wrong path is noticed at once. */
static int open_pictures(cli_image_job *job, lp_image **init, lp_image **mask)
{
    lp_status status = LP_OK;
    if (job->input)
        status = lp_image_open(job->ctx, job->input, init);
    if (status == LP_OK && job->mask)
        status = lp_image_open(job->ctx, job->mask, mask);
    job->request.init = *init;
    job->request.mask = *mask;
    return status == LP_OK ? CLI_OK : cli_failed(job->ctx, status);
}

int cli_image_make(cli_image_job *job)
{
    lp_image *init = NULL, *mask = NULL;
    lp_image_generator *generator = NULL;
    char *shipped = NULL, *workaround = NULL;
    int code = CLI_OK;
    if (!job->model && !(job->model = shipped = cli_default_image_model()))
        return CLI_FAILED;
    if (shipped && !job->has_guidance)
        job->request.guidance = SHIPPED_GUIDANCE;
    if (job->workaround && !(workaround = cli_read_text(job->workaround))) {
        free(shipped);
        return CLI_FAILED;
    }
    if (!job->has_seed)
        job->request.seed = cli_any_seed();
    code = cli_image_begin(job);
    if (code == CLI_OK)
        code = open_pictures(job, &init, &mask);
    if (code == CLI_OK) {
        char *cache = cli_cache_folder();
        const lp_image_generator_options options = {cache, workaround};
        const lp_status status = lp_image_generator_open(job->devices, job->device_index,
                                                         job->model, &options, &generator);
        free(cache);
        code = status == LP_OK ? CLI_OK : cli_job_failed(job->ctx, status, job->workaround);
    }
    if (code == CLI_OK) {
        cli_image_say_device(job, job->model);
        code = make_all(job, generator);
    }
    lp_image_generator_destroy(generator);
    lp_image_destroy(init);
    lp_image_destroy(mask);
    free(shipped);
    free(workaround);
    return code;
}
