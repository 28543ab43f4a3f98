/* Patches, see patches.h. */
#include "image/patches.h"

#include <string.h>

void lp_picture_patches(const lp_picture_hparams *picture, const float *pixels, float *rows)
{
    const size_t size = picture->size, patch = picture->patch, n = size / patch;
    const size_t n_row = lp_picture_row(picture);
    memset(rows, 0, picture->n_first * n_row * sizeof *rows);
    float *to = rows + picture->n_first * n_row;
    for (size_t i = 0; i < n * n; i++) {
        const float *corner = pixels + i / n * patch * size + i % n * patch;
        for (size_t c = 0; c < picture->channels; c++)
            for (size_t y = 0; y < patch; y++, to += patch)
                memcpy(to, corner + (c * size + y) * size, patch * sizeof *to);
    }
}
