/* Denoising U-Nets: from noisy latents, a timestep and a text's vectors they tell what is noise
 * (Ho et al. 2020, arXiv:2006.11239; Rombach et al. 2022, arXiv:2112.10752).
 *
 * A folder is that of a UNet2DConditionModel of diffusers (config.json,
 * diffusion_pytorch_model.safetensors). */
#ifndef LP_MODELS_DENOISER_H
#define LP_MODELS_DENOISER_H

#include "models/config.h"
#include "models/feature_map.h"

enum {
    LP_DENOISER_STAGES = LP_CONFIG_NUMBERS,
    LP_DENOISER_BLOCKS = 16,      /* residual blocks of a stage, at most */
    LP_DENOISER_SIDE = 1 << 10,   /* of latents, at most */
    LP_DENOISER_TOKENS = 1 << 12, /* of a text, at most */
};

/* Sizes on one level of resolution, both on the way down and on the way up. */
typedef struct lp_denoiser_stage {
    uint32_t channels;
    uint32_t n_blocks;       /* residual blocks on the way down; one more on the way up */
    uint32_t n_heads, depth; /* of attention: heads, transformer blocks in a row */
    bool attends[2];         /* on the way down, up */
} lp_denoiser_stage;

typedef struct lp_denoiser_model {
    char *path; /* as given */
    lp_weights *weights;
    uint32_t n_stages;
    lp_denoiser_stage stages[LP_DENOISER_STAGES]; /* on the way down */
    bool has_middle;
    uint32_t in_channels, out_channels, n_context; /* n_context: elements of a text's vectors */
    uint32_t sample_height, sample_width;          /* of the latents that it is made for */
    uint32_t n_groups;                             /* of norms */
    float eps;
    bool cosine_first;        /* in the embedding of a timestep */
    uint32_t frequency_shift; /* there, too */
    bool linear_projections;  /* around transformer blocks, instead of convolutions of one pixel */
} lp_denoiser_model;

/* Errors name file and key or tensor. */
lp_status lp_denoiser_model_open(lp_context *ctx, const char *path, lp_denoiser_model **model);
void lp_denoiser_model_destroy(lp_denoiser_model *model);
/* What config.json says (denoiser_config.c). */
lp_status lp_denoiser_read(const lp_config *config, lp_denoiser_model *model);

/* The embedding of a timestep, "time" of the graph, [channels of the first stage]: sines and
 * cosines of t 10000^(-i / (n / 2 - shift)), i from 0 to n / 2 - 1. */
void lp_denoiser_time(const lp_denoiser_model *model, double timestep, float *values);

/* The graph for latents of height h and width w and a text of n tokens: inputs "latents" [h w, in],
 * "time" [1, channels of the first stage], "context" [n, n_context], the output "result" [h w,
 * out]. LP_E_LIMIT for sizes that are too large, or that cannot be halved as often as the model
 * does. */
lp_status lp_denoiser_graph(lp_context *ctx, const lp_denoiser_model *model, lp_store *store,
                            uint32_t height, uint32_t width, uint32_t n_tokens, bool no_fusion,
                            lp_graph **graph);

#endif
