/* The public API of pictures that are made of texts. */
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "image/noise.h"
#include "image/resize.h"
#include "lapilli_generator.h"
#include "lapilli_private.h"

/* ---- Opening -------------------------------------------------------------------------------- */

typedef lp_image_generator_opening opening;

static lp_status read_index(lp_image_generator *g)
{
    static const char wanted[] = "StableDiffusionPipeline";
    yyjson_doc *doc = NULL;
    const char *name = NULL;
    char *path = lp_path_join(g->folder, "model_index.json");
    if (path == NULL)
        return lp_fail_memory(g->ctx, "a path");
    lp_status status =
        lp_path_exists(path)
            ? lp_json_open(g->ctx, path, &doc)
            : lp_fail(g->ctx, LP_E_MISSING,
                      "%s: no model_index.json, which folders of pipelines have", g->folder);
    if (status == LP_OK)
        status = lp_json_get_string(g->ctx, path, yyjson_doc_get_root(doc), "_class_name",
                                    LP_JSON_REQUIRED, &name);
    if (status == LP_OK && strcmp(name, wanted) != 0)
        status = lp_fail(g->ctx, LP_E_UNSUPPORTED, "%s: a %s; %s is supported", path, name, wanted);
    yyjson_doc_free(doc);
    free(path);
    return status;
}

static lp_status read_scheduler(const lp_image_generator *g, const char *sampler,
                                lp_scheduler_config *config)
{
    char *path = lp_path_join(g->folder, "scheduler/scheduler_config.json");
    if (path == NULL)
        return lp_fail_memory(g->ctx, "a path");
    const lp_status status = lp_scheduler_read(g->ctx, path, sampler, config);
    free(path);
    return status;
}

static lp_status open_prompt(lp_image_generator *g, const opening *o)
{
    const lp_runner_programs programs = {
        .plan = o->plan, .no_fusion = o->no_fusion, .no_int8 = true, .batch = o->batch};
    lp_backend *backend = NULL;
    LP_TRY(lp_devices_open(o->devices, o->device, o->cache_folder, &backend));
    return lp_prompt_encoder_create(g->ctx, g->folder, backend, &programs, &g->prompt);
}

static lp_status open_denoiser(lp_image_generator *g, const opening *o)
{
    const lp_denoise_options options = {o->plan, o->no_fusion};
    lp_backend *backend = NULL;
    char *path = lp_path_join(g->folder, "unet");
    if (path == NULL)
        return lp_fail_memory(g->ctx, "a path");
    lp_status status = lp_denoiser_model_open(g->ctx, path, &g->denoiser);
    free(path);
    LP_TRY(status);
    LP_TRY(lp_devices_open(o->devices, o->device, o->cache_folder, &backend));
    return lp_denoise_create(g->ctx, g->denoiser, backend, &options, &g->denoise);
}

static lp_status open_autoencoder(lp_image_generator *g, const opening *o)
{
    const lp_coder_options options = {o->plan, o->no_fusion};
    lp_backend *backend = NULL;
    char *path = lp_path_join(g->folder, "vae");
    if (path == NULL)
        return lp_fail_memory(g->ctx, "a path");
    lp_status status = lp_autoencoder_model_open(g->ctx, path, &g->autoencoder);
    free(path);
    LP_TRY(status);
    LP_TRY(lp_devices_open(o->devices, o->device, o->cache_folder, &backend));
    return lp_coder_create(g->ctx, g->autoencoder, backend, &options, &g->coder);
}

/* Whether one part reads what another makes. */
static lp_status check_parts(const lp_image_generator *g)
{
    const lp_denoiser_model *d = g->denoiser;
    const lp_autoencoder_model *a = g->autoencoder;
    if (d->in_channels != d->out_channels || d->in_channels != a->latent_channels)
        return lp_fail(g->ctx, LP_E_SHAPE, "%s: unet reads %u channels and makes %u, vae has %u",
                       g->folder, d->in_channels, d->out_channels, a->latent_channels);
    if (d->n_context != lp_prompt_width(g->prompt))
        return lp_fail(g->ctx, LP_E_SHAPE,
                       "%s: unet reads texts in vectors of %u, text_encoder makes %u", g->folder,
                       d->n_context, lp_prompt_width(g->prompt));
    if (!a->has[LP_AUTOENCODER_DECODER])
        return lp_fail(g->ctx, LP_E_MISSING, "%s: vae has no decoder", g->folder);
    return LP_OK;
}

lp_status lp_image_generator_create(const lp_image_generator_opening *o, const char *folder,
                                    lp_image_generator **result)
{
    lp_context *ctx = lp_devices_context(o->devices);
    lp_status status = LP_OK;
    *result = NULL;
    lp_image_generator *g = calloc(1, sizeof *g);
    if (g == NULL)
        return lp_fail_memory(ctx, "an image generator");
    g->ctx = ctx;
    g->folder = malloc(strlen(folder) + 1);
    LP_CHECK(g->folder != NULL ? LP_OK : lp_fail_memory(ctx, "a path"));
    strcpy(g->folder, folder);
    LP_CHECK(read_index(g));
    LP_CHECK(read_scheduler(g, NULL, &g->scheduler));
    LP_CHECK(open_prompt(g, o));
    LP_CHECK(open_denoiser(g, o));
    LP_CHECK(open_autoencoder(g, o));
    LP_CHECK(check_parts(g));
    *result = g;
    return LP_OK;
cleanup:
    lp_image_generator_destroy(g);
    return status;
}

lp_status lp_image_generator_open(lp_devices *devices, size_t device, const char *folder,
                                  const lp_image_generator_options *options,
                                  lp_image_generator **result)
{
    static const lp_image_generator_options none = {0};
    lp_context *ctx = lp_devices_context(devices);
    const lp_device_info *info = lp_devices_info(devices, device);
    lp_quirks quirks;
    *result = NULL;
    if (info == NULL)
        return lp_fail(ctx, LP_E_ARG, "device %zu of %zu", device, lp_devices_count(devices));
    if (options == NULL)
        options = &none;
    LP_TRY(lp_quirks_gather(ctx, (lp_quirks_device){info->name, info->driver}, options->workaround,
                            options->cache_folder, &quirks));
    const opening o = {.devices = devices,
                       .device = device,
                       .cache_folder = options->cache_folder,
                       .plan = lp_quirks_plan_options(&quirks),
                       .no_fusion = quirks.no_fusion,
                       .batch = quirks.batch};
    return lp_image_generator_create(&o, folder, result);
}

void lp_image_generator_destroy(lp_image_generator *g)
{
    if (g == NULL)
        return;
    lp_coder_destroy(g->coder);
    lp_autoencoder_model_destroy(g->autoencoder);
    lp_denoise_destroy(g->denoise);
    lp_denoiser_model_destroy(g->denoiser);
    lp_prompt_encoder_destroy(g->prompt);
    free(g->folder);
    free(g);
}

/* ---- What it is ----------------------------------------------------------------------------- */

static uint32_t multiple_of(const lp_image_generator *g)
{
    return g->autoencoder->factor << (g->denoiser->n_stages - 1);
}

lp_image_generator_info lp_image_generator_describe(const lp_image_generator *g)
{
    const uint32_t factor = g->autoencoder->factor;
    return (lp_image_generator_info){.denoiser = "UNet2DConditionModel",
                                     .autoencoder = g->autoencoder->arch->class_name,
                                     .sampler = g->scheduler.kind->name,
                                     .width = g->denoiser->sample_width * factor,
                                     .height = g->denoiser->sample_height * factor,
                                     .multiple = multiple_of(g),
                                     .factor = factor,
                                     .channels = g->autoencoder->latent_channels,
                                     .n_tokens = lp_prompt_length(g->prompt)};
}

void lp_image_generator_digest(const lp_image_generator *g, char digest[LP_IMAGE_DIGEST])
{
    lp_weights *const parts[] = {lp_prompt_network(g->prompt)->weights, g->denoiser->weights,
                                 g->autoencoder->weights};
    uint8_t bytes[SHA256_DIGEST_SIZE];
    struct sha256_ctx sha;
    sha256_init(&sha);
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
        for (size_t i = 0; i < lp_weights_count(parts[p]); i++) {
            const lp_weight *w = lp_weights_at(parts[p], i);
            sha256_update(&sha, strlen(w->name) + 1, (const uint8_t *)w->name);
            if (w->data != NULL)
                sha256_update(&sha, (size_t)w->bytes, w->data);
        }
    sha256_digest(&sha, sizeof bytes, bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(digest + 2 * i, 3, "%02x", bytes[i]);
}

const char *lp_image_sampler(size_t index)
{
    return lp_scheduler_name(index);
}

/* ---- Making a picture ------------------------------------------------------------------------ */

typedef struct making {
    lp_image_generator *g;
    const lp_image_request *request;
    lp_scheduler_config scheduler;
    uint32_t shape[3]; /* of the latents: channels, height, width */
    size_t n;
    float *text, *negative;   /* [n_tokens, n_context] */
    float *latents, *picture; /* [n]; `picture`: those of the initial one */
    uint8_t *mask;            /* [height, width] */
    float *looks;             /* [n_tokens, height, width], or NULL */
    lp_status told;           /* what went wrong while a step was told */
    uint32_t first;           /* step */
} making;

static lp_status choose_size(making *m)
{
    const lp_image_request *r = m->request;
    const lp_image_generator_info info = lp_image_generator_describe(m->g);
    uint32_t sides[2] = {r->height, r->width};
    const uint32_t own[2] = {info.height, info.width};
    const uint32_t init[2] = {r->init ? r->init->height : 0, r->init ? r->init->width : 0};
    for (int i = 0; i < 2; i++) {
        if (sides[i] == 0)
            sides[i] = r->init == NULL           ? own[i]
                       : init[i] < info.multiple ? info.multiple
                                                 : init[i] / info.multiple * info.multiple;
        if (sides[i] % info.multiple != 0 || sides[i] > LP_AUTOENCODER_SIDE ||
            sides[i] / info.factor > LP_DENOISER_SIDE)
            return lp_fail(m->g->ctx, LP_E_ARG,
                           "a picture of %u x %u: this model makes sides that are multiples of %u, "
                           "up to %u",
                           sides[1], sides[0], info.multiple,
                           LP_DENOISER_SIDE * info.factor < LP_AUTOENCODER_SIDE
                               ? LP_DENOISER_SIDE * info.factor
                               : (uint32_t)LP_AUTOENCODER_SIDE);
        m->shape[i + 1] = sides[i] / info.factor;
    }
    m->shape[0] = info.channels;
    m->n = (size_t)m->shape[0] * m->shape[1] * m->shape[2];
    return LP_OK;
}

lp_status lp_image_generator_shape(lp_image_generator *g, const lp_image_request *request,
                                   uint32_t shape[3])
{
    making m = {.g = g, .request = request};
    LP_TRY(choose_size(&m));
    memcpy(shape, m.shape, sizeof m.shape);
    return LP_OK;
}

lp_status lp_image_generator_scheduler(const lp_image_generator *g, const lp_image_request *r,
                                       lp_scheduler_config *config)
{
    LP_TRY(read_scheduler(g, r->sampler, config));
    if (r->karras && !config->kind->may_karras)
        return lp_fail(g->ctx, LP_E_UNSUPPORTED, "the sampler %s has no Karras schedule",
                       config->kind->name);
    config->karras |= r->karras != 0;
    return LP_OK;
}

static lp_status choose_steps(making *m)
{
    const lp_image_request *r = m->request;
    lp_context *ctx = m->g->ctx;
    LP_TRY(lp_image_generator_scheduler(m->g, r, &m->scheduler));
    if (r->init == NULL) {
        if (r->mask != NULL)
            return lp_fail(ctx, LP_E_ARG, "a mask without a picture to begin with");
        return LP_OK;
    }
    if (!m->g->autoencoder->has[LP_AUTOENCODER_ENCODER])
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: vae has no encoder for a picture to begin with",
                       m->g->folder);
    if (!(r->strength > 0 && r->strength <= 1))
        return lp_fail(ctx, LP_E_ARG, "a strength of %g; more than 0 and up to 1 is possible",
                       (double)r->strength);
    /* of a float like 0.57 not less than its digits say: of 100 steps 57, where Python's has 56 */
    const double wanted = (double)r->strength * r->n_steps * (1 + 1e-6);
    const uint32_t taken = wanted < r->n_steps ? (uint32_t)wanted : r->n_steps;
    if (taken == 0 && r->n_steps > 0)
        return lp_fail(ctx, LP_E_ARG, "a strength of %g leaves none of %u steps",
                       (double)r->strength, r->n_steps);
    m->first = r->n_steps - taken;
    return LP_OK;
}

static lp_status allocate(making *m)
{
    const size_t n_text = (size_t)lp_prompt_length(m->g->prompt) * lp_prompt_width(m->g->prompt);
    m->text = malloc(2 * n_text * sizeof *m->text);
    m->latents = malloc(2 * m->n * sizeof *m->latents);
    m->mask = malloc((size_t)m->shape[1] * m->shape[2]);
    if (m->request->looks)
        m->looks = malloc(lp_prompt_length(m->g->prompt) * (m->n / m->shape[0]) * sizeof *m->looks);
    if (m->text == NULL || m->latents == NULL || m->mask == NULL ||
        (m->looks == NULL && m->request->looks))
        return lp_fail_memory(m->g->ctx, "latents");
    m->negative = m->text + n_text;
    m->picture = m->latents + m->n;
    return LP_OK;
}

static void release(making *m)
{
    free(m->text);
    free(m->latents);
    free(m->mask);
    free(m->looks);
}

/* The latents of the initial picture, of the size that is wanted. */
static lp_status encode_picture(making *m)
{
    const lp_image *init = m->request->init;
    const lp_autoencoder_model *a = m->g->autoencoder;
    const uint32_t height = m->shape[1] * a->factor, width = m->shape[2] * a->factor;
    lp_image *resized = NULL;
    if (init->height != height || init->width != width) {
        LP_TRY(lp_image_resize(m->g->ctx, init, width, height, LP_RESAMPLE_BICUBIC, &resized));
        init = resized;
    }
    const lp_status status = lp_coder_encode_image(m->g->coder, init, m->picture);
    for (size_t i = 0; i < m->n && status == LP_OK; i++)
        m->picture[i] = (m->picture[i] - a->shift) * a->scaling;
    lp_image_free(resized);
    return status;
}

/* 1 where the mask's pixel in that place is light (ITU-R 601). */
static void sample_mask(making *m)
{
    const lp_image *mask = m->request->mask;
    const uint32_t height = m->shape[1], width = m->shape[2];
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            const size_t from_y = (size_t)y * mask->height / height;
            const size_t from_x = (size_t)x * mask->width / width;
            const uint8_t *rgb = mask->rgb + 3 * (from_y * mask->width + from_x);
            const uint32_t light = 299u * rgb[0] + 587u * rgb[1] + 114u * rgb[2];
            m->mask[(size_t)y * width + x] = light >= 127500;
        }
}

static void draw_noise(void *user, uint32_t step, float *noise, size_t n)
{
    const making *m = user;
    lp_noise_fill(m->request->seed, step + 1, noise, n);
}

static bool tell(void *user, const lp_diffusion_step *step)
{
    making *m = user;
    const lp_image_request *r = m->request;
    if (r->progress == NULL)
        return true;
    float *noisy = malloc(m->n * sizeof *noisy);
    if (noisy == NULL) {
        m->told = lp_fail_memory(m->g->ctx, "latents");
        return false;
    }
    for (size_t i = 0; i < m->n; i++)
        noisy[i] = (float)(step->scale * (double)step->latents[i]);
    const lp_image_step told = {.done = step->step + 1 - m->first,
                                .n_steps = step->n_steps - m->first,
                                .timestep = step->timestep,
                                .shape = {m->shape[0], m->shape[1], m->shape[2]},
                                .noisy = noisy,
                                .picture = step->picture,
                                .looks = m->looks};
    const bool go_on = r->progress(r->user, &told) == 0;
    free(noisy);
    return go_on;
}

static lp_status make(making *m)
{
    lp_image_generator *g = m->g;
    const lp_image_request *r = m->request;
    const uint32_t n_tokens = lp_prompt_length(g->prompt);
    const bool guided = r->guidance > 1;
    LP_TRY(lp_prompt_encode(g->prompt, r->prompt, m->text));
    if (guided)
        LP_TRY(lp_prompt_encode(g->prompt, r->negative != NULL ? r->negative : "", m->negative));
    if (r->init != NULL)
        LP_TRY(encode_picture(m));
    if (r->mask != NULL)
        sample_mask(m);
    if (r->noise != NULL)
        memcpy(m->latents, r->noise, m->n * sizeof *m->latents);
    else
        lp_noise_fill(r->seed, 0, m->latents, m->n);
    const lp_diffusion_options options = {.scheduler = &m->scheduler,
                                          .n_steps = r->n_steps,
                                          .text = {m->text, n_tokens},
                                          .negative = {m->negative, guided ? n_tokens : 0},
                                          .guidance = r->guidance,
                                          .rescale = r->rescale,
                                          .picture = r->init != NULL ? m->picture : NULL,
                                          .first = m->first,
                                          .mask = r->mask != NULL ? m->mask : NULL,
                                          .share = m->looks,
                                          .draw = draw_noise,
                                          .progress = tell,
                                          .user = m};
    LP_TRY(lp_diffusion_run(g->ctx, g->denoise, &options, m->shape[1], m->shape[2], m->latents));
    return m->told;
}

lp_status lp_image_generator_latents(lp_image_generator *g, const lp_image_request *request,
                                     lp_image_latents *latents)
{
    making m = {.g = g, .request = request};
    *latents = (lp_image_latents){0};
    if (request->prompt == NULL)
        return lp_fail(g->ctx, LP_E_ARG, "no prompt");
    LP_TRY(choose_size(&m));
    LP_TRY(choose_steps(&m));
    lp_status status = allocate(&m);
    lp_denoise_watch(g->denoise, request->looks != 0);
    if (status == LP_OK)
        status = make(&m);
    if (status == LP_OK) {
        memcpy(latents->shape, m.shape, sizeof m.shape);
        latents->values = m.latents;
        m.latents = NULL;
        lp_image_generator_plain(g, latents->values, m.n);
    }
    release(&m);
    return status;
}

void lp_image_generator_plain(const lp_image_generator *g, float *latents, size_t n)
{
    const lp_autoencoder_model *a = g->autoencoder;
    for (size_t i = 0; i < n; i++)
        latents[i] = latents[i] / a->scaling + a->shift;
}

lp_status lp_image_generator_run(lp_image_generator *g, const lp_image_request *request,
                                 lp_image **image)
{
    lp_image_latents latents;
    *image = NULL;
    LP_TRY(lp_image_generator_latents(g, request, &latents));
    const lp_status status =
        lp_coder_decode_image(g->coder, latents.values, latents.shape[1], latents.shape[2], image);
    free(latents.values);
    return status;
}

lp_status lp_image_generator_decode(lp_image_generator *g, const float *latents,
                                    const uint32_t shape[3], lp_image **image)
{
    const lp_autoencoder_model *a = g->autoencoder;
    const size_t n = (size_t)shape[0] * shape[1] * shape[2];
    *image = NULL;
    if (shape[0] != a->latent_channels || n == 0 || shape[1] > LP_AUTOENCODER_SIDE / a->factor ||
        shape[2] > LP_AUTOENCODER_SIDE / a->factor)
        return lp_fail(g->ctx, LP_E_ARG, "latents of %u x %u with %u channels", shape[2], shape[1],
                       shape[0]);
    float *plain = malloc(n * sizeof *plain);
    if (plain == NULL)
        return lp_fail_memory(g->ctx, "latents");
    memcpy(plain, latents, n * sizeof *plain);
    lp_image_generator_plain(g, plain, n);
    const lp_status status = lp_coder_decode_image(g->coder, plain, shape[1], shape[2], image);
    free(plain);
    return status;
}

lp_status lp_image_generator_find(lp_image_generator *g, const char *prompt, const char *word,
                                  uint32_t *first, uint32_t *n)
{
    const uint32_t length = lp_prompt_length(g->prompt);
    int32_t *tokens = malloc(2 * (size_t)length * sizeof *tokens), *of_word = tokens + length;
    uint32_t n_tokens = 0, n_word = 0;
    if (tokens == NULL)
        return lp_fail_memory(g->ctx, "tokens");
    lp_status status = lp_prompt_tokens(g->prompt, prompt, tokens, &n_tokens);
    if (status == LP_OK)
        status = lp_prompt_tokens(g->prompt, word, of_word, &n_word);
    n_word = n_word > 2 ? n_word - 2 : 0; /* without what begins and ends a text */
    bool found = false;
    for (uint32_t at = 1; status == LP_OK && n_word > 0 && !found && at + n_word < n_tokens; at++) {
        found = memcmp(tokens + at, of_word + 1, n_word * sizeof *tokens) == 0;
        *first = at;
        *n = n_word;
    }
    if (status == LP_OK && !found)
        status = lp_fail(g->ctx, LP_E_MISSING, "\"%.200s\" is not in the prompt", word);
    free(tokens);
    return status;
}
