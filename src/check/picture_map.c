/* How two pictures differ: see pictures.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/compare.h"
#include "check/pictures.h"
#include "image/coder.h"

/* From "nothing" to what stands out, light to dark. */
static const char *const scale[] = {"#f3f4f6", "#fbdc8b", "#f08a4b", "#b82a55", "#3d0b57"};
enum { N_SCALE = sizeof scale / sizeof *scale };
/* Of colours from 0 to 1: rounding to the sixth digit, and all there is. */
#define LOW  1e-7
#define HIGH 1.0

static void color_of(double difference, uint8_t rgb[3])
{
    const double t = difference > LOW ? log10(difference / LOW) / log10(HIGH / LOW) : 0;
    const double at = (isnan(difference) || t > 1 ? 1 : t) * (N_SCALE - 1);
    const size_t i = at < N_SCALE - 1 ? (size_t)at : N_SCALE - 2;
    const unsigned long a = strtoul(scale[i] + 1, NULL, 16),
                        b = strtoul(scale[i + 1] + 1, NULL, 16);
    for (int k = 0; k < 3; k++) {
        const double from = (double)(a >> (16 - 8 * k) & 255),
                     to = (double)(b >> (16 - 8 * k) & 255);
        rgb[k] = (uint8_t)(from + (to - from) * (at - (double)i) + 0.5);
    }
}

static lp_status heat(lp_context *ctx, const float *expected, const float *got, uint32_t height,
                      uint32_t width, lp_image **map)
{
    const size_t n = (size_t)height * width;
    uint8_t *rgb = malloc(3 * n);
    *map = NULL;
    if (rgb == NULL)
        return lp_fail_memory(ctx, "a heat map");
    for (size_t i = 0; i < n; i++) {
        double most = 0;
        for (size_t k = 3 * i; k < 3 * i + 3; k++) {
            const double d = fabs((double)expected[k] - (double)got[k]);
            most = isnan(d) ? NAN : d > most ? d : most;
        }
        color_of(most, rgb + 3 * i);
    }
    const lp_status status = lp_image_make(ctx, width, height, rgb, map);
    free(rgb);
    return status;
}

static void count_levels(const lp_image *a, const lp_image *b, lp_check_picture *picture)
{
    for (size_t i = 0; i < (size_t)a->width * a->height; i++) {
        picture->n_other += memcmp(a->rgb + 3 * i, b->rgb + 3 * i, 3) != 0;
        for (size_t k = 3 * i; k < 3 * i + 3; k++) {
            const uint32_t d = (uint32_t)abs(a->rgb[k] - b->rgb[k]);
            picture->most_levels = d > picture->most_levels ? d : picture->most_levels;
        }
    }
}

static lp_status pack(lp_context *ctx, lp_arena *arena, const lp_image *image, uint8_t **data,
                      size_t *bytes)
{
    uint8_t *png = NULL;
    LP_TRY(lp_image_pack(ctx, image, NULL, 0, &png, bytes));
    *data = lp_arena_alloc(arena, *bytes);
    if (*data != NULL)
        memcpy(*data, png, *bytes);
    free(png);
    return *data != NULL ? LP_OK : lp_fail_memory(ctx, "a report");
}

lp_status lp_check_pictures(lp_context *ctx, lp_arena *arena, const float *expected,
                            const float *got, uint32_t height, uint32_t width, lp_check_picture *p)
{
    lp_status status = LP_OK;
    lp_image *a = NULL, *b = NULL, *map = NULL;
    *p = (lp_check_picture){.width = width,
                            .height = height,
                            .low = LOW,
                            .high = HIGH,
                            .n_colors = N_SCALE,
                            .colors = scale};
    p->pixels = lp_compare(expected, got, NULL, (uint64_t)height * width * 3);
    LP_CHECK(lp_coder_image(ctx, expected, height, width, &a));
    LP_CHECK(lp_coder_image(ctx, got, height, width, &b));
    LP_CHECK(heat(ctx, expected, got, height, width, &map));
    count_levels(a, b, p);
    LP_CHECK(pack(ctx, arena, a, &p->expected, &p->expected_bytes));
    LP_CHECK(pack(ctx, arena, b, &p->got, &p->got_bytes));
    LP_CHECK(pack(ctx, arena, map, &p->map, &p->map_bytes));
cleanup:
    lp_image_free(a);
    lp_image_free(b);
    lp_image_free(map);
    return status;
}
