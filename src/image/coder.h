/* An autoencoder on a device: pictures to latents and back. Graphs are made for the size that is
 * asked for; the latest one of each half is kept. */
#ifndef LP_IMAGE_CODER_H
#define LP_IMAGE_CODER_H

#include "graph/backend.h"
#include "image/image.h"
#include "models/autoencoder.h"

typedef struct lp_coder lp_coder;

/* How programs are made; as for sessions. */
typedef struct lp_coder_options {
    lp_plan_options plan;
    bool no_fusion;
} lp_coder_options;

/* Takes the backend over, also when it fails. The model is borrowed. */
lp_status lp_coder_create(lp_context *ctx, const lp_autoencoder_model *model, lp_backend *backend,
                          const lp_coder_options *options, lp_coder **coder);
void lp_coder_destroy(lp_coder *coder);

/* Latents [L, h, w] of pixels [h f, w f, 3], from 0 (black) to 1. */
lp_status lp_coder_encode(lp_coder *coder, const float *pixels, uint32_t height, uint32_t width,
                          float *latents);
/* The other way; pixels may be a little outside of 0 to 1. height and width are those of the
 * latents, in both functions. LP_E_DEVICE if a number that comes out is not finite. */
lp_status lp_coder_decode(lp_coder *coder, const float *latents, uint32_t height, uint32_t width,
                          float *pixels);

/* The same with pictures: of sides that are height and width times the factor; colours that are
 * darker than black or lighter than white are cut. */
lp_status lp_coder_encode_image(lp_coder *coder, const lp_image *image, float *latents);
lp_status lp_coder_decode_image(lp_coder *coder, const float *latents, uint32_t height,
                                uint32_t width, lp_image **image);

/* The picture of pixels [height, width, 3] from 0 to 1, cut in the same way. */
lp_status lp_coder_image(lp_context *ctx, const float *pixels, uint32_t height, uint32_t width,
                         lp_image **image);

/* Latents in a file: safetensors, "latents" F32 [1, L, h, w]. */
lp_status lp_latents_write(lp_context *ctx, const char *path, const float *latents,
                           const uint32_t shape[3]);
/* *latents is malloc'ed. LP_E_SHAPE, LP_E_FORMAT for what is no such file. */
lp_status lp_latents_read(lp_context *ctx, const char *path, float **latents, uint32_t shape[3]);

#endif
