/* A denoising U-Net on a device. The graph is made for the size that is asked for; the latest one
 * is kept, and serves all timesteps. */
#ifndef LP_IMAGE_DENOISE_H
#define LP_IMAGE_DENOISE_H

#include "graph/backend.h"
#include "models/denoiser.h"

typedef struct lp_denoise lp_denoise;

/* How programs are made; as for sessions. */
typedef struct lp_denoise_options {
    lp_plan_options plan;
    bool no_fusion;
} lp_denoise_options;

/* Takes the backend over, also when it fails. The model is borrowed. */
lp_status lp_denoise_create(lp_context *ctx, const lp_denoiser_model *model, lp_backend *backend,
                            const lp_denoise_options *options, lp_denoise **denoise);
void lp_denoise_destroy(lp_denoise *denoise);
const lp_denoiser_model *lp_denoise_model(const lp_denoise *denoise);

/* result [out, h, w] of latents [in, h, w] and a text's n vectors [n, n_context]. LP_E_DEVICE if a
 * number that comes out is not finite. */
lp_status lp_denoise_run(lp_denoise *denoise, const float *latents, uint32_t height, uint32_t width,
                         double timestep, const float *context, uint32_t n_tokens, float *result);

/* [n_columns, n_rows] of `from` to [n_rows, n_columns]: latents are planes outside of graphs, and
 * rows of pixels in them. */
void lp_planes_transpose(const float *from, size_t n_rows, size_t n_columns, float *to);
/* From now on, or no longer: that lp_denoise_look() can be asked. It takes more memory. */
void lp_denoise_watch(lp_denoise *denoise, bool on);
/* Where the cross-attention of the latest run looked: share [n, h, w] becomes, for every token of
 * the text and every latent, the mean over layers and heads of the softmax; a coarser layer's pixel
 * counts for all latents below it. LP_E_ARG if nobody watched, LP_E_UNSUPPORTED for a model without
 * cross-attention. */
lp_status lp_denoise_look(lp_denoise *denoise, float *share);

#endif
