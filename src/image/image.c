/* Pictures, see image.h. */
#include "image/image.h"

#include <limits.h>
#include <stb_image.h>
#include <stb_image_write.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static lp_status check_size(lp_context *ctx, const char *what, uint32_t width, uint32_t height)
{
    if (width >= 1 && height >= 1 && width <= LP_IMAGE_SIDE && height <= LP_IMAGE_SIDE &&
        (uint64_t)width * height <= LP_IMAGE_PIXELS)
        return LP_OK;
    return lp_fail(ctx, LP_E_LIMIT,
                   "%s: %u x %u pixels; 1 to %d a side and up to %d in all are possible", what,
                   width, height, LP_IMAGE_SIDE, LP_IMAGE_PIXELS);
}

/* Takes over `rgb`, which is malloc'ed. */
static lp_status wrap(lp_context *ctx, uint32_t width, uint32_t height, uint8_t *rgb,
                      lp_image **image)
{
    *image = rgb != NULL ? malloc(sizeof **image) : NULL;
    if (*image == NULL) {
        free(rgb);
        return lp_fail_memory(ctx, "a picture");
    }
    **image = (lp_image){ctx, width, height, rgb};
    return LP_OK;
}

static lp_status unpack(lp_context *ctx, const char *path, const lp_file *file, lp_image **image)
{
    int width = 0, height = 0, n = 0;
    const int bytes = (int)file->bytes;
    if (file->bytes == 0 || !stbi_info_from_memory(file->data, bytes, &width, &height, &n))
        return lp_fail(ctx, LP_E_FORMAT, "%s: no picture that is known (PNG, JPEG, BMP, PNM)%s%s",
                       path, file->bytes ? ": " : "", file->bytes ? stbi_failure_reason() : "");
    LP_TRY(check_size(ctx, path, (uint32_t)width, (uint32_t)height));
    const int said[2] = {width, height};
    uint8_t *rgb = stbi_load_from_memory(file->data, bytes, &width, &height, &n, 3);
    if (rgb == NULL)
        return lp_fail(ctx, LP_E_FORMAT, "%s: this picture cannot be read: %s", path,
                       stbi_failure_reason());
    if (width != said[0] || height != said[1]) {
        free(rgb);
        return lp_fail(ctx, LP_E_FORMAT, "%s: a picture of two sizes", path);
    }
    return wrap(ctx, (uint32_t)width, (uint32_t)height, rgb, image);
}

lp_status lp_image_read(lp_context *ctx, const char *path, lp_image **image)
{
    lp_file file;
    *image = NULL;
    LP_TRY(lp_file_open(ctx, path, &file));
    lp_status status =
        file.bytes > INT_MAX
            ? lp_fail(ctx, LP_E_LIMIT, "%s: %zu bytes are too much for a picture", path, file.bytes)
            : unpack(ctx, path, &file, image);
    lp_file_close(&file);
    return status;
}

lp_status lp_image_make(lp_context *ctx, uint32_t width, uint32_t height, const uint8_t *rgb,
                        lp_image **image)
{
    *image = NULL;
    LP_TRY(check_size(ctx, "a picture", width, height));
    const size_t bytes = (size_t)width * height * 3;
    uint8_t *copy = malloc(bytes);
    if (copy != NULL)
        memcpy(copy, rgb, bytes);
    return wrap(ctx, width, height, copy, image);
}

/* A PNG file that is ready, all at once. */
typedef struct png_target {
    lp_context *ctx;
    const char *path;
    lp_status status;
} png_target;

static void write_png(void *user, void *data, int bytes)
{
    png_target *to = user;
    to->status = lp_file_write(to->ctx, to->path, data, (size_t)bytes);
}

lp_status lp_image_write(lp_context *ctx, const lp_image *image, const char *path)
{
    png_target to = {ctx, path, LP_OK};
    if (!stbi_write_png_to_func(write_png, &to, (int)image->width, (int)image->height, 3,
                                image->rgb, (int)image->width * 3))
        return lp_fail_memory(ctx, "a PNG file");
    return to.status;
}

void lp_image_free(lp_image *image)
{
    if (image == NULL)
        return;
    free(image->rgb);
    free(image);
}
