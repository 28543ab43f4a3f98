/* Checking what makes pictures: the passes of a denoiser and of a decoder, and how two pictures
 * differ.
 */
#ifndef LP_CHECK_PICTURES_H
#define LP_CHECK_PICTURES_H

#include "check/checker.h"
#include "models/autoencoder.h"
#include "models/denoiser.h"

/* What a denoiser is asked. */
typedef struct lp_denoiser_question {
    uint32_t step; /* from 0 on, for the pass's name */
    double timestep;
    const float *latents; /* [channels, h, w] */
} lp_denoiser_question;

typedef struct lp_denoiser_subject {
    const lp_denoiser_model *model;
    uint32_t height, width;
    uint32_t n_tokens;
    const float *context; /* [n_tokens, n_context] */
} lp_denoiser_subject;

typedef struct lp_decoder_subject {
    const lp_autoencoder_model *model;
    uint32_t height, width;
    const float *latents; /* [L, h, w] */
} lp_decoder_subject;

lp_subject lp_subject_of_denoiser(const lp_denoiser_subject *denoiser);
lp_subject lp_subject_of_decoder(const lp_decoder_subject *decoder);
/* Nodes of its graph, which is made in a store of its own. */
lp_status lp_subject_nodes(const lp_checker *c, lp_subject subject, uint32_t *n_nodes);

/* Passes over every question, or over the latents. The backends were just created, the store is
 * empty.
 */
lp_status lp_checker_run_denoiser(lp_checker *c, const lp_denoiser_subject *subject,
                                  const lp_denoiser_question *questions, uint32_t n_questions);
lp_status lp_checker_run_decoder(lp_checker *c, const lp_decoder_subject *subject);

/* Both are [height, width, 3], from 0 to 1. The PNG files are in the arena. */
lp_status lp_check_pictures(lp_context *ctx, lp_arena *arena, const float *expected,
                            const float *got, uint32_t height, uint32_t width,
                            lp_check_picture *picture);

#endif
