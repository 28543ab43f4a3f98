/* Diffusion: from noise to latents, step by step. */
#ifndef LP_IMAGE_DIFFUSION_H
#define LP_IMAGE_DIFFUSION_H

#include "image/denoise.h"
#include "image/scheduler.h"

/* A text's vectors, [n, n_context]. */
typedef struct lp_condition {
    const float *vectors;
    uint32_t n;
} lp_condition;

/* Behind a step. */
typedef struct lp_diffusion_step {
    uint32_t step,
        n_steps;          /* n_steps: of the scheduler, which may be one more than was asked for */
    double timestep;      /* what the denoiser was asked at */
    const float *latents; /* [channels, h, w] */
    double scale;         /* latents times this are as wide as those of pictures and noise, mixed */
    const float *picture; /* [channels, h, w], where this seems to lead: x0 */
} lp_diffusion_step;

typedef struct lp_diffusion_options {
    const lp_scheduler_config *scheduler;
    uint32_t n_steps;
    lp_condition text;
    lp_condition
        negative; /* what it shall not be; n 0: there is none. A denoiser keeps one program:
                     as many vectors as the text has save making it anew twice a step */
    /* Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598): negative + guidance (text -
     * negative); at 1 or less, or without a negative, the text's answer alone. */
    float guidance;
    float rescale; /* 0 to 1: so much of it gets the text's answer's deviation
                      (arXiv:2305.08891, 3.4) */
    /* Latents [channels, h, w] of a picture to begin with: noise is mixed with them as in front of
     * the step `first` (Meng et al. 2022, arXiv:2108.01073), the first one that is taken. NULL:
     * nothing but noise, and `first` is 0. */
    const float *picture;
    uint32_t first;
    /* [h, w], 1 where the picture may change; the rest is put back after every step (Lugmayr et al.
     * 2022, arXiv:2201.09865, without going back). NULL: all may. Needs a picture. */
    const uint8_t *mask;
    /* [n, h, w], filled before `progress`: where the text's cross-attention looked in this step
     * (lp_denoise_look()). NULL: nobody asks. */
    float *share;
    /* Standard normal numbers for a step that draws; may be NULL if none does. */
    void (*draw)(void *user, uint32_t step, float *noise, size_t n);
    /* After every step; false: no more. May be NULL. */
    bool (*progress)(void *user, const lp_diffusion_step *step);
    void *user;
} lp_diffusion_options;

/* latents [channels, h, w]: standard normal noise, which becomes a picture's latents, or what there
 * is of it after the last step that `progress` allowed: then `picture` of that step. LP_E_ARG for a
 * model whose answers are not of the latents' size, LP_E_DEVICE if a number is not finite. */
lp_status lp_diffusion_run(lp_context *ctx, lp_denoise *denoise,
                           const lp_diffusion_options *options, uint32_t height, uint32_t width,
                           float *latents);

#endif
