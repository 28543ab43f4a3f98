/* The public API of autoencoders of pictures. */
#include <stdlib.h>

#include "check/quirks.h"
#include "image/coder.h"
#include "lapilli_private.h"

struct lp_autoencoder {
    lp_context *ctx;
    lp_autoencoder_model *model;
    lp_coder *coder;
};

lp_status lp_autoencoder_open(lp_devices *devices, size_t device, const char *folder,
                              const char *cache_folder, lp_autoencoder **result)
{
    lp_context *ctx = lp_devices_context(devices);
    const lp_device_info *info = lp_devices_info(devices, device);
    lp_status status = LP_OK;
    lp_backend *backend = NULL;
    lp_quirks quirks;
    *result = NULL;
    if (info == NULL)
        return lp_fail(ctx, LP_E_ARG, "device %zu of %zu", device, lp_devices_count(devices));
    lp_autoencoder *a = calloc(1, sizeof *a);
    if (a == NULL)
        return lp_fail_memory(ctx, "an autoencoder");
    a->ctx = ctx;
    LP_CHECK(lp_autoencoder_model_open(ctx, folder, &a->model));
    LP_CHECK(lp_quirks_gather(ctx, (lp_quirks_device){info->name, info->driver}, NULL, cache_folder,
                              &quirks));
    LP_CHECK(lp_devices_open(devices, device, cache_folder, &backend));
    const lp_coder_options options = {lp_quirks_plan_options(&quirks), quirks.no_fusion};
    LP_CHECK(lp_coder_create(ctx, a->model, backend, &options, &a->coder));
    *result = a;
    return LP_OK;
cleanup:
    lp_autoencoder_destroy(a);
    return status;
}

void lp_autoencoder_destroy(lp_autoencoder *a)
{
    if (a == NULL)
        return;
    lp_coder_destroy(a->coder);
    lp_autoencoder_model_destroy(a->model);
    free(a);
}

lp_autoencoder_info lp_autoencoder_describe(const lp_autoencoder *a)
{
    const lp_autoencoder_model *m = a->model;
    return (lp_autoencoder_info){.kind = m->arch->class_name,
                                 .encodes = m->has[LP_AUTOENCODER_ENCODER],
                                 .decodes = m->has[LP_AUTOENCODER_DECODER],
                                 .factor = m->factor,
                                 .channels = m->latent_channels,
                                 .scaling = m->scaling,
                                 .shift = m->shift};
}

lp_status lp_autoencoder_encode(lp_autoencoder *a, const lp_image *image, float *latents)
{
    const uint32_t factor = a->model->factor;
    if (image->width % factor != 0 || image->height % factor != 0)
        return lp_fail(a->ctx, LP_E_ARG,
                       "a picture of %u x %u pixels: this autoencoder takes sides that are "
                       "multiples of %u",
                       image->width, image->height, factor);
    return lp_coder_encode_image(a->coder, image, latents);
}

lp_status lp_autoencoder_decode(lp_autoencoder *a, const float *latents, uint32_t height,
                                uint32_t width, lp_image **image)
{
    const uint32_t factor = a->model->factor;
    *image = NULL;
    if (height < 1 || width < 1 || height > LP_AUTOENCODER_SIDE / factor ||
        width > LP_AUTOENCODER_SIDE / factor)
        return lp_fail(a->ctx, LP_E_LIMIT, "latents of %u x %u; sides of 1 to %u are possible",
                       width, height, LP_AUTOENCODER_SIDE / factor);
    return lp_coder_decode_image(a->coder, latents, height, width, image);
}

lp_status lp_latents_save(lp_context *ctx, const char *path, const float *latents,
                          const uint32_t shape[3])
{
    return lp_latents_write(ctx, path, latents, shape);
}

lp_status lp_latents_open(lp_context *ctx, const char *path, float **latents, uint32_t shape[3])
{
    return lp_latents_read(ctx, path, latents, shape);
}
