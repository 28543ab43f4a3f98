/* SHA-256 (FIPS 180-4), by Nettle, of what a certificate names: results, kernels, models. */
#ifndef LP_CHECK_DIGEST_H
#define LP_CHECK_DIGEST_H

#include "base/arena.h"
#include "base/context.h"
#include "models/network.h"

#define LP_DIGEST_TEXT 65 /* 64 small hexadecimal digits, terminated */

void lp_digest_bytes(const void *data, size_t bytes, char text[LP_DIGEST_TEXT]);

/* Of the bits (little-endian) of `count` arrays one after another; those without elements are left
 * out. The text is the arena's. */
lp_status lp_digest_floats(lp_context *ctx, lp_arena *arena, float *const values[],
                           const uint64_t n[], int count, const char **text);

/* Of a GGUF file: what `sha256sum FILE` prints. Of a folder, that of the lines "DIGEST  NAME\n" of
 * its configuration, tokenizer and weights, sorted by name. With adapters, that of the lines "DIGEST
 * model" and, per matrix, "DIGEST  NAME  FACTOR". */
lp_status lp_digest_model(lp_context *ctx, const lp_network *network, char text[LP_DIGEST_TEXT]);

#endif
