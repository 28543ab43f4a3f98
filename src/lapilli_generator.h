/* What makes pictures of texts, from inside: its parts, for checks. */
#ifndef LP_LAPILLI_GENERATOR_H
#define LP_LAPILLI_GENERATOR_H

#include "check/quirks.h"
#include "image/coder.h"
#include "image/diffusion.h"
#include "image/prompt.h"
#include "lapilli.h"

struct lp_image_generator {
    lp_context *ctx;
    char *folder;
    lp_prompt_encoder *prompt;
    lp_denoiser_model *denoiser;
    lp_denoise *denoise;
    lp_autoencoder_model *autoencoder;
    lp_coder *coder;
    lp_scheduler_config scheduler;
};

/* Where, and how its programs are made. */
typedef struct lp_image_generator_opening {
    lp_devices *devices;
    size_t device;
    const char *cache_folder;
    lp_plan_options plan;
    bool no_fusion;
    uint32_t batch; /* as in lp_quirks */
} lp_image_generator_opening;

/* As lp_image_generator_open(), but nothing is asked of what doctor remembers. */
lp_status lp_image_generator_create(const lp_image_generator_opening *opening, const char *folder,
                                    lp_image_generator **generator);

/* The scheduler of a request. LP_E_UNSUPPORTED for one that cannot be. */
lp_status lp_image_generator_scheduler(const lp_image_generator *generator,
                                       const lp_image_request *request,
                                       lp_scheduler_config *config);

/* Channels, height and width of a request's latents. LP_E_ARG for sizes that cannot be. */
lp_status lp_image_generator_shape(lp_image_generator *generator, const lp_image_request *request,
                                   uint32_t shape[3]);

/* [channels, height, width], malloc'ed: as the decoder reads them. */
typedef struct lp_image_latents {
    uint32_t shape[3];
    float *values;
} lp_image_latents;
/* lp_image_generator_run() without decoding. */
lp_status lp_image_generator_latents(lp_image_generator *generator, const lp_image_request *request,
                                     lp_image_latents *latents);
/* The denoiser's latents become the decoder's. */
void lp_image_generator_plain(const lp_image_generator *generator, float *latents, size_t n);

#endif
