/* Texts in PNG files, each with a keyword: the chunks tEXt and iTXt (W3C, Portable Network
 * Graphics, 11.3.3). */
#ifndef LP_IMAGE_PNG_TEXTS_H
#define LP_IMAGE_PNG_TEXTS_H

#include "base/context.h"
#include "lapilli/types.h"

enum { LP_PNG_TEXTS = 64 }; /* at most */

/* Those of a file, malloc'ed one by one; what is compressed, broken or more than LP_PNG_TEXTS is
 * passed over. None if it is no PNG file. */
lp_status lp_png_texts_read(lp_context *ctx, const uint8_t *data, size_t bytes, lp_fact **texts,
                            size_t *n);
void lp_png_texts_free(lp_fact *texts, size_t n);

/* The chunks of texts in UTF-8, malloc'ed. LP_E_ARG for a keyword that is empty, longer than 79
 * bytes or no printable ASCII. */
lp_status lp_png_texts_make(lp_context *ctx, const lp_fact *texts, size_t n, uint8_t **chunks,
                            size_t *bytes);

#endif
