/* Autoencoders of pictures: an encoder makes few numbers of many pixels, latents; a decoder makes a
 * picture of them again. Diffusion models work on latents (Rombach et al. 2022, arXiv:2112.10752).
 *
 * A folder is that of an AutoencoderKL or AutoencoderTiny of diffusers (config.json,
 * diffusion_pytorch_model.safetensors), or holds encoder.safetensors and decoder.safetensors, or
 * one of them, with the names of the first TAESD files, which have no config.json. */
#ifndef LP_MODELS_AUTOENCODER_H
#define LP_MODELS_AUTOENCODER_H

#include "models/config.h"
#include "models/feature_map.h"

enum {
    LP_AUTOENCODER_STAGES = LP_CONFIG_NUMBERS,
    LP_AUTOENCODER_SIDE = 1 << 13
}; /* at most: stages, pixels */

typedef enum lp_autoencoder_part {
    LP_AUTOENCODER_ENCODER,
    LP_AUTOENCODER_DECODER
} lp_autoencoder_part;

typedef struct lp_autoencoder_model lp_autoencoder_model;

/* Half of an autoencoder: its stages in the order of the computation. */
typedef struct lp_autoencoder_half {
    uint32_t n_stages;
    uint32_t channels[LP_AUTOENCODER_STAGES], blocks[LP_AUTOENCODER_STAGES];
} lp_autoencoder_half;

/* A half's graph being made: gets its input, gives its output. */
typedef lp_feature_map (*lp_autoencoder_walk)(lp_builder *b, const lp_autoencoder_model *model,
                                              lp_feature_map m);

/* A row per architecture. */
typedef struct lp_autoencoder_arch {
    const char *class_name;       /* "_class_name" of config.json */
    float low, high;              /* what black and white pixels are */
    uint32_t moments;             /* numbers per latent that its encoder makes: 2 with a variance */
    const char *first_weights[2]; /* of encoder and decoder: whether these are there */
    lp_status (*read)(const lp_config *config, lp_autoencoder_model *model);
    lp_autoencoder_walk walks[2]; /* encoder, decoder */
} lp_autoencoder_arch;

struct lp_autoencoder_model {
    char *path; /* as given */
    lp_weights *weights;
    const lp_autoencoder_arch *arch;
    lp_autoencoder_half halves[2]; /* encoder, decoder */
    bool has[2];                   /* which of them there are */
    uint32_t latent_channels;      /* L */
    uint32_t factor;               /* pixels per latent, in both directions */
    uint32_t n_groups;             /* of norms */
    bool attention, quant_conv, post_quant_conv;
    float scaling, shift; /* what diffusion models work on is (latents - shift) scaling */
};

/* Errors name file and key or tensor. */
lp_status lp_autoencoder_model_open(lp_context *ctx, const char *path,
                                    lp_autoencoder_model **model);
void lp_autoencoder_model_destroy(lp_autoencoder_model *model);

/* The rows (autoencoder_walk.c), and what config.json says for them. */
lp_status lp_autoencoder_read_kl(const lp_config *config, lp_autoencoder_model *model);
lp_status lp_autoencoder_read_tiny(const lp_config *config, lp_autoencoder_model *model);
extern const lp_autoencoder_arch lp_autoencoder_kl, lp_autoencoder_tiny;

/* The graph for latents of height h and width w. The encoder's has the input "pixels" [h f w f, 3]
 * and the output "latents" [h w, moments L], of each pixel the means first; the decoder's the input
 * "latents" [h w, L] and the output "pixels" [h f w f, 3]. LP_E_UNSUPPORTED for a half that is not
 * there. */
lp_status lp_autoencoder_graph(lp_context *ctx, const lp_autoencoder_model *model, lp_store *store,
                               lp_autoencoder_part part, uint32_t height, uint32_t width,
                               bool no_fusion, lp_graph **graph);

#endif
