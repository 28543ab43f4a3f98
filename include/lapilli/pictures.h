/* Pictures: what autoencoders are, and models that make pictures of texts.
 *
 *     lp_image_request request = LP_IMAGE_REQUEST_DEFAULT;
 *     lp_image *image = NULL;
 *     request.prompt = "a red apple";
 *     if (lp_image_generator_run(generator, &request, &image) == LP_OK)
 *         lp_image_save(image, "apple.png");
 *     lp_image_destroy(image); */
#ifndef LAPILLI_PICTURES_H
#define LAPILLI_PICTURES_H

#include "lapilli/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lp_image lp_image;

typedef struct lp_autoencoder_info {
    const char *kind;         /* "AutoencoderKL", "AutoencoderTiny" */
    bool encodes, decodes;    /* a folder may hold one half only */
    uint32_t factor;          /* pixels per latent, in both directions */
    uint32_t channels;        /* numbers per latent */
    float scaling, shift;     /* diffusion models work on (latents - shift) scaling */
} lp_autoencoder_info;

typedef struct lp_image_generator_options {
    const char *cache_folder; /* for compiled pipelines, and for what doctor found out about the device; NULL:
                                 none kept */
    const char *workaround;   /* JSON that a check wrote (lp_report.workaround); NULL: none */
} lp_image_generator_options;

typedef struct lp_image_generator_info {
    const char *denoiser, *autoencoder; /* "UNet2DConditionModel", "AutoencoderKL" */
    const char *sampler;                /* of its scheduler, as in lp_image_sampler() */
    uint32_t width, height;             /* pixels of the pictures that it is made for */
    uint32_t multiple;                  /* sides are multiples of it */
    uint32_t factor, channels;          /* pixels per latent in both directions, numbers per latent */
    uint32_t n_tokens;                  /* of a text: what is longer loses its end */
} lp_image_generator_info;

/* Behind a step. Latents are [channels, height, width]. */
typedef struct lp_image_step {
    uint32_t done, n_steps; /* steps taken, and to be taken in all: fewer than the request's with an initial
                               picture, one more with "pndm" */
    double timestep;
    uint32_t shape[3];
    const float *noisy;   /* the latents, scaled to be as wide as those of pictures and noise, mixed */
    const float *picture; /* those of the picture that they seem to lead to */
    const float *looks;   /* [n_tokens, height, width]: where this step's cross-attention looked for each token
                             of the prompt, the mean of the softmax over layers and heads; NULL unless the
                             request asks for it */
} lp_image_step;

typedef struct lp_image_request {
    const char *prompt;
    const char *negative;   /* what shall not be seen; NULL: "" */
    uint32_t width, height; /* pixels; 0: those of the initial picture, down to the next multiple, or else the
                               model's own */
    uint32_t n_steps;
    const char *sampler;  /* NULL: the folder's own */
    int karras;           /* spaces its steps as Karras et al. 2022 (arXiv:2206.00364) do */
    float guidance;       /* classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598); 1: none */
    float rescale;        /* of guidance, 0 to 1 (arXiv:2305.08891, 3.4) */
    uint64_t seed;        /* of the noise: the same on every device */
    const float *noise;   /* other noise, standard normal, [channels, height / factor, width / factor];
                             NULL: the seed's */
    const lp_image *init; /* a picture to begin with (Meng et al. 2022, arXiv:2108.01073), resized to
                             the size asked for; of its latents the means count. NULL: none */
    float strength;       /* how much of it becomes noise: more than 0, up to 1 */
    const lp_image *mask; /* where it may change: white; resized, too. NULL: everywhere */
    int looks;            /* 1: steps tell where cross-attention looked; takes more memory */
    int (*progress)(void *user, const lp_image_step *step); /* non-zero: no more steps; the picture is
                                                               then what the latest seemed to lead to */
    void *user;
} lp_image_request;
#define LP_IMAGE_REQUEST_DEFAULT {.n_steps = 20, .guidance = 7.5f, .strength = 0.8f}

#ifdef __cplusplus
}
#endif
#endif
