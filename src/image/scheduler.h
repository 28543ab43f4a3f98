/* Schedulers: which timesteps a denoiser is asked at, and what is made of its answers. They work on
 * the host, in double precision; a step is one weighted sum per number.
 *
 * a-bar_t is the share of the picture at timestep t, alpha = sqrt(a-bar), sigma = sqrt(1 - a-bar)
 * (Ho et al. 2020, arXiv:2006.11239). */
#ifndef LP_IMAGE_SCHEDULER_H
#define LP_IMAGE_SCHEDULER_H

#include "base/context.h"

enum {
    LP_SCHEDULER_STEPS = 1000, /* at most; as many timesteps that a model is trained with: */
    LP_SCHEDULER_TRAINED = 10000,
    LP_SCHEDULER_EARLIER = 3 /* answers that are remembered */
};

/* What the denoiser's answer is. */
typedef enum lp_prediction {
    LP_PREDICTION_NOISE,
    LP_PREDICTION_VELOCITY, /* alpha noise - sigma picture: Salimans & Ho 2022, arXiv:2202.00512 */
    LP_PREDICTION_PICTURE
} lp_prediction;

/* Table 2 of Lin et al. 2024, arXiv:2305.08891. */
typedef enum lp_spacing { LP_SPACING_LEADING, LP_SPACING_TRAILING, LP_SPACING_LINSPACE } lp_spacing;

typedef enum lp_betas {
    LP_BETAS_LINEAR,
    LP_BETAS_SCALED_LINEAR, /* linear in their square roots */
    LP_BETAS_COSINE         /* Nichol & Dhariwal 2021, arXiv:2102.09672 */
} lp_betas;

typedef struct lp_scheduler_kind lp_scheduler_kind;

/* What a scheduler_config.json of diffusers says. */
typedef struct lp_scheduler_config {
    const lp_scheduler_kind *kind;
    uint32_t n_trained, steps_offset;
    float beta_start, beta_end;
    lp_betas betas;
    lp_prediction prediction;
    lp_spacing spacing;
    bool zero_snr;       /* the last step is nothing but noise: Lin et al. */
    bool last_is_one;    /* DDIM, PNDM: a-bar behind the last step is 1, not that of timestep 0 */
    float clip;          /* DDIM, DDPM: pictures are cut to this; 0: not at all */
    bool large_variance; /* DDPM: beta, not the posterior's */
    bool karras;         /* sigmas of Karras et al. 2022, arXiv:2206.00364 */
    uint32_t order;      /* DPM-Solver++: 1 or 2; the last step, to sigma 0, always is of order 1 */
} lp_scheduler_config;

/* `kind`: NULL, or the name of another scheduler ("ddim", "euler", "euler-ancestral", "dpm++2m",
 * "ddpm", "pndm") that shall work with these numbers. LP_E_UNSUPPORTED names what is not known. */
lp_status lp_scheduler_read(lp_context *ctx, const char *path, const char *kind,
                            lp_scheduler_config *config);
/* The names, one after the other; NULL behind the last. */
const char *lp_scheduler_name(size_t index);

typedef struct lp_scheduler lp_scheduler;

/* For so many steps on latents of n numbers; it may take one more (lp_scheduler_count()). LP_E_ARG
 * for steps that cannot be. */
lp_status lp_scheduler_create(lp_context *ctx, const lp_scheduler_config *config, uint32_t n_steps,
                              size_t n, lp_scheduler **scheduler);
void lp_scheduler_destroy(lp_scheduler *scheduler);
uint32_t lp_scheduler_count(const lp_scheduler *scheduler);

/* That the first step to be taken is this one of those that were asked for, on latents that are
 * made of a picture: nothing is known of steps before it. PNDM then takes its first steps there,
 * where diffusers begins in the middle of the list of all steps, and so at another timestep. */
lp_status lp_scheduler_begin(lp_context *ctx, lp_scheduler *scheduler, uint32_t step);
/* The latents in front of a step, or behind the last one, as a sum: so much of a
 * picture's latents, and of noise. */
void lp_scheduler_mix(const lp_scheduler *scheduler, uint32_t step, double *picture, double *noise);
/* What `picture` of the last step taken is, [n]: the denoiser's answer, as a picture's latents. */
const float *lp_scheduler_picture(const lp_scheduler *scheduler);

/* What noise is multiplied by to begin with, the timestep of a step, and what the latents are
 * multiplied by for the denoiser to see (there behind the last step, too). */
double lp_scheduler_start(const lp_scheduler *scheduler);
double lp_scheduler_timestep(const lp_scheduler *scheduler, uint32_t step);
double lp_scheduler_input(const lp_scheduler *scheduler, uint32_t step);
/* Whether a step draws. */
bool lp_scheduler_draws(const lp_scheduler *scheduler, uint32_t step);
/* latents [n] from before `step` to behind it; answer [n] is what the denoiser said, noise [n] may
 * be NULL where the step does not draw. Steps are to be taken in order. */
void lp_scheduler_step(lp_scheduler *scheduler, uint32_t step, const float *answer,
                       const float *noise, float *latents);

/* ---- Rows (scheduler_steps.c) --------------------------------------------------------------- */

/* A step, as factors. A = now answer + earlier[k] (answer of k + 1 steps before); x0 = picture_x x
 * + picture_answer A, then cut if that is to be; the result is x x + x0 x0 + last (x0 of the step
 * before) + answer A + noise noise. */
typedef struct lp_scheduler_sum {
    double now, earlier[LP_SCHEDULER_EARLIER];
    double picture_x, picture_answer;
    double x, x0, last, answer, noise;
    bool
        again; /* x is what it was in front of the step before, and this answer is not remembered */
} lp_scheduler_sum;

struct lp_scheduler {
    lp_scheduler_config config;
    uint32_t n_wanted, n_steps; /* as asked for, and as many as that takes */
    uint32_t first;             /* the step that is taken first */
    size_t n;
    double *products;       /* a-bar [n_trained] */
    double *timesteps;      /* [n_wanted + 1] */
    double *sigmas;         /* sigma / alpha at every step and behind the last, [n_wanted + 2] */
    lp_scheduler_sum *sums; /* [n_wanted + 1] */
    float *last;            /* [n], x0 */
    float *memory; /* [n] of latents, then earlier answers, [n] each; NULL: none is needed */
};

struct lp_scheduler_kind {
    const char *name, *class_name;
    lp_spacing spacing; /* unless the config tells */
    bool by_sigma;      /* latents are picture + sigma noise; else alpha picture + sigma noise */
    bool clips, may_karras; /* whether clip_sample, use_karras_sigmas are for it */
    bool whole, one_more;   /* timesteps are whole numbers; are spaced for one step more */
    bool twice;             /* the second step is taken twice, and answers are remembered */
    bool no_last_one;       /* unless the config tells: not last_is_one */
    void (*sum)(const lp_scheduler *s, uint32_t step, lp_scheduler_sum *sum);
};
extern const lp_scheduler_kind lp_scheduler_kinds[];
extern const size_t lp_n_scheduler_kinds;

#endif
