/* Strips of pictures: see image.h. */
#include <stdlib.h>
#include <string.h>

#include "image.h"

enum { MOST_WIDTH = 8192, MOST_HEIGHT = 4096, GAP = 2 };

static uint32_t width_of(const cli_filmstrip *s, uint32_t n_columns)
{
    return n_columns * (s->width + GAP) + GAP;
}

static uint32_t height_of(const cli_filmstrip *s)
{
    return s->n_rows * (s->height + GAP) + GAP;
}

static bool make_room(cli_filmstrip *s, const lp_image *image)
{
    const uint32_t width = lp_image_width(image), height = lp_image_height(image);
    s->shrink = 1;
    while ((s->n_columns * (width / s->shrink + GAP) + GAP > MOST_WIDTH ||
            s->n_rows * (height / s->shrink + GAP) + GAP > MOST_HEIGHT) &&
           s->shrink < width && s->shrink < height)
        s->shrink++;
    s->width = width / s->shrink;
    s->height = height / s->shrink;
    const size_t bytes = (size_t)width_of(s, s->n_columns) * height_of(s) * 3;
    s->rgb = malloc(bytes);
    if (s->rgb)
        memset(s->rgb, 255, bytes);
    return s->rgb != NULL;
}

bool cli_filmstrip_put(cli_filmstrip *s, uint32_t column, uint32_t row, const lp_image *image)
{
    if (!s->rgb && !make_room(s, image))
        return false;
    const uint32_t n = s->shrink, from_row = lp_image_width(image) * 3;
    const uint8_t *rgb = lp_image_rgb(image);
    const size_t to_row = (size_t)width_of(s, s->n_columns) * 3;
    uint8_t *to = s->rgb + (GAP + row * (s->height + GAP)) * to_row +
                  (size_t)(GAP + column * (s->width + GAP)) * 3;
    for (uint32_t y = 0; y < s->height; y++)
        for (uint32_t x = 0; x < 3 * s->width; x++) {
            uint32_t sum = 0;
            for (uint32_t i = 0; i < n * n; i++)
                sum += rgb[(size_t)(y * n + i / n) * from_row + (x / 3 * n + i % n) * 3 + x % 3];
            to[y * to_row + x] = (uint8_t)((sum + n * n / 2) / (n * n));
        }
    return true;
}

lp_status cli_filmstrip_save(const cli_filmstrip *s, lp_context *ctx, uint32_t n_columns,
                             const char *path)
{
    const uint32_t width = width_of(s, n_columns), height = height_of(s);
    const size_t all = (size_t)width_of(s, s->n_columns) * 3;
    lp_image *image = NULL;
    for (uint32_t y = 1; y < height && n_columns < s->n_columns; y++)
        memmove(s->rgb + (size_t)y * width * 3, s->rgb + y * all, (size_t)width * 3);
    lp_status status = lp_image_create(ctx, width, height, s->rgb, &image);
    if (status == LP_OK)
        status = lp_image_save(image, path);
    lp_image_destroy(image);
    return status;
}
