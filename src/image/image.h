/* Pictures in memory, and reading them from files: PNG, JPEG, BMP and PNM by way of stb_image;
 * writing PNG.
 * Files are hostile: sizes are looked at before anything is unpacked. */
#ifndef LP_IMAGE_IMAGE_H
#define LP_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/context.h"
#include "lapilli/types.h"

enum { LP_IMAGE_SIDE = 1 << 14, LP_IMAGE_PIXELS = 1 << 25 }; /* at most */

typedef struct lp_image {
    lp_context *ctx;
    uint32_t width, height;
    uint8_t *rgb;   /* [height, width, 3] */
    lp_fact *texts; /* [n_texts] that were in the file */
    size_t n_texts;
} lp_image;

/* Grey becomes RGB, transparency is dropped, 16 bits become 8; a photo's EXIF orientation is not
 * heeded. LP_E_FORMAT for what is no such picture, LP_E_LIMIT for one that is too large. */
lp_status lp_image_read(lp_context *ctx, const char *path, lp_image **image);
lp_status lp_image_make(lp_context *ctx, uint32_t width, uint32_t height, const uint8_t *rgb,
                        lp_image **image);
/* A PNG file, with texts, malloc'ed. */
lp_status lp_image_pack(lp_context *ctx, const lp_image *image, const lp_fact *texts,
                        size_t n_texts, uint8_t **data, size_t *bytes);
/* The same as a file: whole or not at all. */
lp_status lp_image_write(lp_context *ctx, const lp_image *image, const lp_fact *texts,
                         size_t n_texts, const char *path);
void lp_image_free(lp_image *image);

#endif
