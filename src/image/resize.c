/* Resizing: every output pixel is a weighted mean of the input pixels under a kernel that grows
 * with the factor by which the picture shrinks, along rows, then along columns, each rounded to 8
 * bits. Weights are fixed-point numbers with 22 bits behind the point, as Pillow's are, so that a
 * model sees the numbers that it was trained with. */
#include "image/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BITS = 22 };

/* Keys 1981, Cubic convolution interpolation, with a = -1/2. */
static double bicubic(double x)
{
    x = fabs(x);
    if (x < 1)
        return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Which inputs each output is made of, and with which weights. */
typedef struct kernel {
    uint32_t size;           /* weights that there is room for per output */
    uint32_t *first, *count; /* [n_out] */
    int32_t *weights;        /* [n_out, size] */
} kernel;

static void kernel_free(kernel *k)
{
    free(k->first);
    free(k->count);
    free(k->weights);
}

static lp_status kernel_make(lp_context *ctx, uint32_t n_in, uint32_t n_out, lp_resample how,
                             kernel *k)
{
    double (*const shape)(double) = how == LP_RESAMPLE_BICUBIC ? bicubic : bilinear;
    const double scale = (double)n_in / n_out, stretch = scale > 1 ? scale : 1;
    const double reach = (how == LP_RESAMPLE_BICUBIC ? 2 : 1) * stretch;
    k->size = 2 * (uint32_t)ceil(reach) + 1;
    k->first = malloc(n_out * sizeof *k->first);
    k->count = malloc(n_out * sizeof *k->count);
    k->weights = calloc((size_t)n_out * k->size, sizeof *k->weights);
    double *exact = malloc(k->size * sizeof *exact);
    if (!k->first || !k->count || !k->weights || !exact) {
        free(exact);
        return lp_fail_memory(ctx, "resizing");
    }
    for (uint32_t i = 0; i < n_out; i++) {
        const double centre = (i + 0.5) * scale;
        const double from = centre - reach + 0.5, to = centre + reach + 0.5;
        const uint32_t first = from > 0 ? (uint32_t)from : 0;
        const uint32_t end = to < n_in ? (uint32_t)to : n_in;
        double sum = 0;
        for (uint32_t j = first; j < end; j++)
            sum += exact[j - first] = shape((j - centre + 0.5) * (1 / stretch));
        k->first[i] = first;
        k->count[i] = end - first;
        for (uint32_t j = 0; j < end - first && sum != 0; j++)
            k->weights[(size_t)i * k->size + j] = (int32_t)round(exact[j] / sum * (1 << BITS));
    }
    free(exact);
    return LP_OK;
}

/* Output (i, j, c) of n_lines lines; neighbours along the line are `step` bytes apart, lines `line`
 * bytes: the same for rows and for columns. */
static void apply(const kernel *k, uint32_t n_out, uint32_t n_lines, const uint8_t *from,
                  size_t from_step, size_t from_line, uint8_t *to, size_t to_step, size_t to_line)
{
#pragma omp parallel for schedule(static)
    for (uint32_t line = 0; line < n_lines; line++)
        for (uint32_t i = 0; i < n_out; i++) {
            const int32_t *weights = k->weights + (size_t)i * k->size;
            const uint8_t *at = from + line * from_line + k->first[i] * from_step;
            for (int c = 0; c < 3; c++) {
                int32_t sum = 1 << (BITS - 1);
                for (uint32_t j = 0; j < k->count[i]; j++)
                    sum += weights[j] * at[j * from_step + (size_t)c];
                const int32_t value = sum > 0 ? sum >> BITS : 0;
                to[line * to_line + i * to_step + (size_t)c] = (uint8_t)(value < 255 ? value : 255);
            }
        }
}

/* One direction; a picture that has the size already is copied. */
static lp_status pass(lp_context *ctx, const lp_image *image, bool columns, uint32_t n_out,
                      lp_resample how, lp_image *result)
{
    kernel k = {0};
    const uint32_t n_in = columns ? image->height : image->width;
    *result = (lp_image){.ctx = ctx,
                         .width = columns ? image->width : n_out,
                         .height = columns ? n_out : image->height};
    const size_t bytes = (size_t)result->width * result->height * 3;
    result->rgb = malloc(bytes);
    if (result->rgb == NULL)
        return lp_fail_memory(ctx, "a picture");
    if (n_in == n_out) {
        memcpy(result->rgb, image->rgb, bytes);
        return LP_OK;
    }
    lp_status status = kernel_make(ctx, n_in, n_out, how, &k);
    const size_t from_row = (size_t)image->width * 3, to_row = (size_t)result->width * 3;
    if (status == LP_OK && columns)
        apply(&k, n_out, image->width, image->rgb, from_row, 3, result->rgb, to_row, 3);
    else if (status == LP_OK)
        apply(&k, n_out, image->height, image->rgb, 3, from_row, result->rgb, 3, to_row);
    kernel_free(&k);
    return status;
}

lp_status lp_image_resize(lp_context *ctx, const lp_image *image, uint32_t width, uint32_t height,
                          lp_resample how, lp_image **resized)
{
    lp_image between = {0}, result = {0};
    *resized = NULL;
    if ((uint64_t)width * image->height > 2 * (uint64_t)LP_IMAGE_PIXELS ||
        (uint64_t)width * height > 2 * (uint64_t)LP_IMAGE_PIXELS)
        return lp_fail(ctx, LP_E_LIMIT, "a picture of %u x %u pixels cannot become one of %u x %u",
                       image->width, image->height, width, height);
    lp_status status = pass(ctx, image, false, width, how, &between);
    if (status == LP_OK)
        status = pass(ctx, &between, true, height, how, &result);
    if (status == LP_OK && (*resized = malloc(sizeof **resized)) == NULL)
        status = lp_fail_memory(ctx, "a picture");
    if (status == LP_OK)
        **resized = result;
    else
        free(result.rgb);
    free(between.rgb);
    return status;
}
