/* Prompts: from a text to the vectors that a denoiser reads, by CLIP's tower of texts on a device
 * (Radford et al. 2021, arXiv:2103.00020). */
#ifndef LP_IMAGE_PROMPT_H
#define LP_IMAGE_PROMPT_H

#include "graph/backend.h"
#include "text/runner.h"
#include "text/tokenizer.h"

typedef struct lp_prompt_encoder lp_prompt_encoder;

/* Of a folder of diffusers: text_encoder/ and tokenizer/. LP_E_UNSUPPORTED for another kind of
 * model; other errors name file and key or tensor. Takes the backend over, also when it fails. */
lp_status lp_prompt_encoder_create(lp_context *ctx, const char *folder, lp_backend *backend,
                                   const lp_runner_programs *programs, lp_prompt_encoder **encoder);
void lp_prompt_encoder_destroy(lp_prompt_encoder *encoder);

/* Every text has so many tokens, and so many numbers per token. */
uint32_t lp_prompt_length(const lp_prompt_encoder *encoder);
uint32_t lp_prompt_width(const lp_prompt_encoder *encoder);
const lp_network *lp_prompt_network(const lp_prompt_encoder *encoder);

/* The text's tokens, [length]: filled up as the tokenizer wants it. A text that is too long loses
 * its end, with a warning in the log. *n_used (may be NULL): how many there are before what fills
 * up. */
lp_status lp_prompt_tokens(const lp_prompt_encoder *encoder, const char *text, int32_t *tokens,
                           uint32_t *n_used);
/* vectors [length, width]: the tower's results behind its last norm. LP_E_DEVICE if a number is not
 * finite. */
lp_status lp_prompt_encode(lp_prompt_encoder *encoder, const char *text, float *vectors);

#endif
