/* lapilli image without a prompt: pictures through an autoencoder, to latents and back. */
#include <stdlib.h>
#include <string.h>

#include "image.h"

typedef struct coding {
    const cli_image_job *job;
    lp_autoencoder *autoencoder;
    lp_autoencoder_info info;
    float *latents;
    uint32_t shape[3]; /* of the latents: channels, height, width */
} coding;

static int encode(coding *c, const lp_image *image)
{
    const uint32_t factor = c->info.factor;
    c->shape[0] = c->info.channels;
    c->shape[1] = lp_image_height(image) / factor;
    c->shape[2] = lp_image_width(image) / factor;
    c->latents = malloc((size_t)c->shape[0] * c->shape[1] * c->shape[2] * sizeof(*c->latents) + 1);
    if (!c->latents) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    const lp_status status = lp_autoencoder_encode(c->autoencoder, image, c->latents);
    return status == LP_OK ? CLI_OK : cli_failed(c->job->ctx, status);
}

/* Into c->latents, from a picture or a file. */
static int get_latents(coding *c)
{
    lp_status status;
    if (c->job->input) {
        lp_image *image = NULL;
        status = lp_image_open(c->job->ctx, c->job->input, &image);
        const int code = status == LP_OK ? encode(c, image) : cli_failed(c->job->ctx, status);
        lp_image_destroy(image);
        return code;
    }
    status = lp_latents_open(c->job->ctx, c->job->from_latents, &c->latents, c->shape);
    if (status != LP_OK)
        return cli_failed(c->job->ctx, status);
    if (c->shape[0] == c->info.channels)
        return CLI_OK;
    cli_error("%s: latents of %u channels; %s has %u", c->job->from_latents, c->shape[0],
              c->job->model, c->info.channels);
    return CLI_FAILED;
}

static int decode(coding *c)
{
    lp_image *image = NULL;
    lp_status status =
        lp_autoencoder_decode(c->autoencoder, c->latents, c->shape[1], c->shape[2], &image);
    if (status == LP_OK)
        status = lp_image_save(image, c->job->output);
    lp_image_destroy(image);
    return status == LP_OK ? CLI_OK : cli_failed(c->job->ctx, status);
}

static int save(coding *c)
{
    const lp_status status =
        lp_latents_save(c->job->ctx, c->job->save_latents, c->latents, c->shape);
    return status == LP_OK ? CLI_OK : cli_failed(c->job->ctx, status);
}

static void say(const coding *c, const char *what, double began)
{
    if (!c->job->quiet)
        fprintf(stderr, "lapilli: %s: %u x %u latents of %u channels, %.2f s\n", what, c->shape[2],
                c->shape[1], c->shape[0], cli_seconds() - began);
}

static int compute(coding *c)
{
    double began = cli_seconds();
    int code = get_latents(c);
    if (code == CLI_OK && c->job->input)
        say(c, "encoded", began);
    if (code == CLI_OK && c->job->save_latents && !cli_stop_signal())
        code = save(c);
    began = cli_seconds();
    if (code != CLI_OK || !c->job->output || cli_stop_signal())
        return code;
    code = decode(c);
    if (code == CLI_OK)
        say(c, "decoded", began);
    return code;
}

/* A half that is not there. */
static int check_halves(const coding *c)
{
    if (c->job->input && !c->info.encodes)
        cli_error("%s: there is no encoder in it: --from-latents has what it can decode",
                  c->job->model);
    else if (c->job->output && !c->info.decodes)
        cli_error("%s: there is no decoder in it: --save-latents keeps what it makes",
                  c->job->model);
    else
        return CLI_OK;
    return CLI_FAILED;
}

int cli_image_code(cli_image_job *job)
{
    coding c = {.job = job};
    int code = cli_image_begin(job);
    if (code == CLI_OK) {
        char *cache = cli_cache_folder();
        const lp_status status =
            lp_autoencoder_open(job->devices, job->device_index, job->model, cache, &c.autoencoder);
        free(cache);
        code = status == LP_OK ? CLI_OK : cli_failed(job->ctx, status);
    }
    if (code == CLI_OK) {
        c.info = lp_autoencoder_describe(c.autoencoder);
        cli_image_say_device(job, c.info.kind);
        code = check_halves(&c);
    }
    if (code == CLI_OK)
        code = compute(&c);
    free(c.latents);
    lp_autoencoder_destroy(c.autoencoder);
    return code;
}
