/* From pixels to what a network reads. */
#ifndef LP_IMAGE_PATCHES_H
#define LP_IMAGE_PATCHES_H

#include "models/hparams.h"

/* Rows [T, C P P] of the slot "patches" (models/network.h) from pixels [C, S, S]: zeros for the
 * tokens before those of patches, then the patches, line by line, each [C, P, P]. */
void lp_picture_patches(const lp_picture_hparams *picture, const float *pixels, float *rows);

#endif
