/* Where cross-attention looks, over the picture: see image.h. */
#include <math.h>
#include <stdlib.h>

#include "image.h"

/* Between the values of four cells, whose middles are where they are. */
static double value_at(const float *map, uint32_t width, uint32_t height, double x, double y)
{
    x = fmin(fmax(x - 0.5, 0), width - 1.0);
    y = fmin(fmax(y - 0.5, 0), height - 1.0);
    const uint32_t left = (uint32_t)x, top = (uint32_t)y;
    const uint32_t right = left + 1 < width ? left + 1 : left;
    const uint32_t low = top + 1 < height ? top + 1 : top;
    const double u = x - left, v = y - top;
    const float *a = map + (size_t)top * width, *b = map + (size_t)low * width;
    return (1 - v) * ((1 - u) * (double)a[left] + u * (double)a[right]) +
           v * ((1 - u) * (double)b[left] + u * (double)b[right]);
}

/* 0: dark grey of the picture's lightness; then red, yellow and the picture's own white. */
static void colour(const uint8_t *rgb, double heat, uint8_t *to)
{
    const double grey = (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) * 0.6;
    const double hot[3] = {255 * fmin(2 * heat, 1), 255 * fmin(fmax(2 * heat - 0.6, 0), 1),
                           255 * fmax(3 * heat - 2.2, 0)};
    const double share = 0.75 * sqrt(heat);
    for (int c = 0; c < 3; c++)
        to[c] = (uint8_t)fmin((1 - share) * grey + share * hot[c] + 0.5, 255);
}

lp_status cli_overlay_save(lp_context *ctx, const lp_image *image, const float *map, uint32_t width,
                           uint32_t height, const char *path)
{
    const uint32_t w = lp_image_width(image), h = lp_image_height(image);
    const uint8_t *rgb = lp_image_rgb(image);
    lp_image *overlay = NULL;
    uint8_t *result = malloc((size_t)w * h * 3);
    float least = INFINITY, most = -INFINITY;
    if (!result)
        return LP_E_MEMORY;
    for (size_t i = 0; i < (size_t)width * height; i++) {
        least = map[i] < least ? map[i] : least;
        most = map[i] > most ? map[i] : most;
    }
    const double range = most > least ? (double)(most - least) : 1;
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            const size_t at = ((size_t)y * w + x) * 3;
            const double value =
                value_at(map, width, height, (x + 0.5) * width / w, (y + 0.5) * height / h);
            colour(rgb + at, fmin(fmax((value - (double)least) / range, 0), 1), result + at);
        }
    lp_status status = lp_image_create(ctx, w, h, result, &overlay);
    if (status == LP_OK)
        status = lp_image_save(overlay, path);
    lp_image_destroy(overlay);
    free(result);
    return status;
}
