/* From noise to latents: see diffusion.h. */
#include "image/diffusion.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct diffusion {
    lp_denoise *denoise;
    const lp_diffusion_options *options;
    lp_scheduler *scheduler;
    uint32_t height, width;
    size_t n;
    float *input, *text, *negative, *noise, *begin; /* [n] each, in one piece of memory; `begin`:
                                                       the noise of the beginning */
} diffusion;

static lp_status ask(const diffusion *d, double timestep, lp_condition condition, float *answer)
{
    return lp_denoise_run(d->denoise, d->input, d->height, d->width, timestep, condition.vectors,
                          condition.n, answer);
}

static double deviation(const float *values, size_t n)
{
    double mean = 0, square = 0;
    for (size_t i = 0; i < n; i++)
        mean += (double)values[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        square += ((double)values[i] - mean) * ((double)values[i] - mean);
    return sqrt(square);
}

/* Of d->text and d->negative, into the latter. */
static void guide(const diffusion *d)
{
    const double guidance = (double)d->options->guidance, rescale = (double)d->options->rescale;
    for (size_t i = 0; i < d->n; i++) {
        const double negative = (double)d->negative[i];
        d->negative[i] = (float)(negative + guidance * ((double)d->text[i] - negative));
    }
    const double has = rescale > 0 ? deviation(d->negative, d->n) : 0;
    if (!(has > 0))
        return;
    const double factor = 1 - rescale + rescale * deviation(d->text, d->n) / has;
    for (size_t i = 0; i < d->n; i++)
        d->negative[i] = (float)(factor * (double)d->negative[i]);
}

/* What the denoiser says at a step, with guidance: in d->text or d->negative. */
static lp_status answer_of(const diffusion *d, uint32_t step, const float *latents,
                           const float **answer)
{
    const double timestep = lp_scheduler_timestep(d->scheduler, step);
    const double factor = lp_scheduler_input(d->scheduler, step);
    for (size_t i = 0; i < d->n; i++)
        d->input[i] = (float)(factor * (double)latents[i]);
    *answer = d->text;
    LP_TRY(ask(d, timestep, d->options->text, d->text));
    if (d->options->share != NULL)
        LP_TRY(lp_denoise_look(d->denoise, d->options->share));
    if (d->options->negative.n == 0 || !(d->options->guidance > 1))
        return LP_OK;
    LP_TRY(ask(d, timestep, d->options->negative, d->negative));
    guide(d);
    *answer = d->negative;
    return LP_OK;
}

/* In front of a step: the picture and the noise of the beginning; all of it, or where the mask
 * wants it kept. */
static void mix(const diffusion *d, uint32_t step, bool all, float *latents)
{
    const lp_diffusion_options *o = d->options;
    const size_t n_pixels = (size_t)d->height * d->width;
    double picture, noise;
    lp_scheduler_mix(d->scheduler, step, &picture, &noise);
    for (size_t i = 0; i < d->n; i++)
        if (all || o->mask[i % n_pixels] == 0)
            latents[i] = (float)(picture * (double)o->picture[i] + noise * (double)d->begin[i]);
}

static lp_status begin(lp_context *ctx, const diffusion *d, float *latents)
{
    memcpy(d->begin, latents, d->n * sizeof *latents);
    if (d->options->picture != NULL) {
        LP_TRY(lp_scheduler_begin(ctx, d->scheduler, d->options->first));
        if (d->options->mask == NULL || d->options->first > 0) {
            mix(d, d->options->first, true, latents);
            return LP_OK;
        } /* where all may change, nothing shall be left of the picture */
    }
    for (size_t i = 0; i < d->n; i++)
        latents[i] = (float)(lp_scheduler_start(d->scheduler) * (double)latents[i]);
    return LP_OK;
}

/* Whether to go on. */
static bool tell(const diffusion *d, uint32_t step, float *latents)
{
    const lp_diffusion_options *o = d->options;
    const lp_diffusion_step told = {.step = step,
                                    .n_steps = lp_scheduler_count(d->scheduler),

                                    .timestep = lp_scheduler_timestep(d->scheduler, step),
                                    .latents = latents,
                                    .scale = lp_scheduler_input(d->scheduler, step + 1),
                                    .picture = lp_scheduler_picture(d->scheduler)};
    if (o->progress == NULL || o->progress(o->user, &told))
        return true;
    memcpy(latents, told.picture, d->n * sizeof *latents);
    return false;
}

static lp_status take_steps(lp_context *ctx, const diffusion *d, float *latents)
{
    const lp_diffusion_options *o = d->options;
    for (uint32_t step = o->first; step < lp_scheduler_count(d->scheduler); step++) {
        const float *answer = NULL;
        const bool draws = lp_scheduler_draws(d->scheduler, step);
        if (draws && o->draw == NULL)
            return lp_fail(ctx, LP_E_ARG, "step %u draws, and there is nothing to draw from", step);
        LP_TRY(answer_of(d, step, latents, &answer));
        if (draws)
            o->draw(o->user, step, d->noise, d->n);
        lp_scheduler_step(d->scheduler, step, answer, draws ? d->noise : NULL, latents);
        if (o->mask != NULL)
            mix(d, step + 1, false, latents);
        for (size_t i = 0; i < d->n; i++)
            if (!isfinite(latents[i]))
                return lp_fail(ctx, LP_E_DEVICE, "step %u: number %zu of the latents is %g", step,
                               i, (double)latents[i]);
        if (!tell(d, step, latents))
            return LP_OK;
    }
    return LP_OK;
}

lp_status lp_diffusion_run(lp_context *ctx, lp_denoise *denoise,
                           const lp_diffusion_options *options, uint32_t height, uint32_t width,
                           float *latents)
{
    enum { PIECES = 5 };
    const lp_denoiser_model *m = lp_denoise_model(denoise);
    diffusion d = {.denoise = denoise, .options = options, .height = height, .width = width};
    if (m->in_channels != m->out_channels)
        return lp_fail(ctx, LP_E_ARG, "%s: latents of %u channels, answers of %u", m->path,
                       m->in_channels, m->out_channels);
    if (height < 1 || width < 1 || height > LP_DENOISER_SIDE || width > LP_DENOISER_SIDE)
        return lp_fail(ctx, LP_E_LIMIT, "latents of %u x %u; sides of 1 to %d are possible", width,
                       height, LP_DENOISER_SIDE);
    if (!isfinite(options->guidance) || !(options->rescale >= 0 && options->rescale <= 1))
        return lp_fail(ctx, LP_E_ARG, "guidance of %g, rescaled by %g", (double)options->guidance,
                       (double)options->rescale);
    if (options->picture == NULL ? options->first > 0 || options->mask != NULL
                                 : options->n_steps > 0 && options->first >= options->n_steps)
        return lp_fail(ctx, LP_E_ARG, "step %u of %u is the first%s", options->first,
                       options->n_steps, options->picture ? "" : ", without a picture");
    d.n = (size_t)height * width * m->in_channels;
    LP_TRY(lp_scheduler_create(ctx, options->scheduler, options->n_steps, d.n, &d.scheduler));
    d.input = malloc(PIECES * d.n * sizeof *d.input);
    lp_status status = d.input ? LP_OK : lp_fail_memory(ctx, "latents");
    if (status == LP_OK) {
        d.text = d.input + d.n;
        d.negative = d.text + d.n;
        d.noise = d.negative + d.n;
        d.begin = d.noise + d.n;
        status = begin(ctx, &d, latents);
    }
    if (status == LP_OK)
        status = take_steps(ctx, &d, latents);
    free(d.input);
    lp_scheduler_destroy(d.scheduler);
    return status;
}
