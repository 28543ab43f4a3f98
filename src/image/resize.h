/* Resizing with antialiasing, to the bit as Pillow does it for 8 bits a channel. */
#ifndef LP_IMAGE_RESIZE_H
#define LP_IMAGE_RESIZE_H

#include "image/image.h"

/* The numbers are Pillow's. */
typedef enum lp_resample { LP_RESAMPLE_BILINEAR = 2, LP_RESAMPLE_BICUBIC = 3 } lp_resample;

lp_status lp_image_resize(lp_context *ctx, const lp_image *image, uint32_t width, uint32_t height,
                          lp_resample how, lp_image **resized);

#endif
