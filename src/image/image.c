/* Pictures, see image.h. */
#include "image/image.h"

#include <limits.h>
#include <stb_image.h>
#include <stb_image_write.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "image/png_texts.h"

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
    **image = (lp_image){.ctx = ctx, .width = width, .height = height, .rgb = rgb};
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
    LP_TRY(wrap(ctx, (uint32_t)width, (uint32_t)height, rgb, image));
    lp_image *i = *image;
    const lp_status status =
        lp_png_texts_read(ctx, file->data, file->bytes, &i->texts, &i->n_texts);
    if (status != LP_OK) {
        lp_image_free(i);
        *image = NULL;
    }
    return status;
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

/* A PNG file being made: stb hands it over all at once. */
typedef struct png_target {
    const uint8_t *texts;
    size_t n_texts;
    uint8_t *data;
    size_t bytes;
} png_target;

static void take_png(void *user, void *data, int bytes)
{
    enum { HEADER = 8 + 25 }; /* signature and IHDR; texts may come behind */
    png_target *to = user;
    const size_t rest = (size_t)bytes - HEADER;
    to->data = malloc((size_t)bytes + to->n_texts);
    if (to->data == NULL)
        return;
    memcpy(to->data, data, HEADER);
    memcpy(to->data + HEADER, to->texts, to->n_texts);
    memcpy(to->data + HEADER + to->n_texts, (uint8_t *)data + HEADER, rest);
    to->bytes = HEADER + to->n_texts + rest;
}

lp_status lp_image_pack(lp_context *ctx, const lp_image *image, const lp_fact *texts,
                        size_t n_texts, uint8_t **data, size_t *bytes)
{
    png_target to = {0};
    uint8_t *chunks = NULL;
    *data = NULL;
    LP_TRY(lp_png_texts_make(ctx, texts, n_texts, &chunks, &to.n_texts));
    to.texts = chunks;
    const int done = stbi_write_png_to_func(take_png, &to, (int)image->width, (int)image->height, 3,
                                            image->rgb, (int)image->width * 3);
    free(chunks);
    if (!done || to.data == NULL)
        return lp_fail_memory(ctx, "a PNG file");
    *data = to.data;
    *bytes = to.bytes;
    return LP_OK;
}

lp_status lp_image_write(lp_context *ctx, const lp_image *image, const lp_fact *texts,
                         size_t n_texts, const char *path)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    LP_TRY(lp_image_pack(ctx, image, texts, n_texts, &data, &bytes));
    const lp_status status = lp_file_write(ctx, path, data, bytes);
    free(data);
    return status;
}

void lp_image_free(lp_image *image)
{
    if (image == NULL)
        return;
    lp_png_texts_free(image->texts, image->n_texts);
    free(image->rgb);
    free(image);
}
