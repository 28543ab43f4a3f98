/* See preprocess.h. Judged by transformers' image processors with Pillow (tests/test_image.c). */
#include "image/preprocess.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* What the library's classes do where a file is silent. */
typedef struct usual {
    const char *kind, *class; /* model_type; what class names begin with */
    bool by_shortest;         /* a plain number is the shorter side, not both */
    lp_preprocess settings;
} usual;

#define HALVES                                                                                     \
    {                                                                                              \
        0.5f, 0.5f, 0.5f                                                                           \
    }
#define RESCALED .resize = true, .rescale = true, .normalise = true, .factor = 1 / 255.0f
#define TO(a)    .width = (a), .height = (a)
#define CROPPED  .crop = true, .crop_width = 224, .crop_height = 224
static const usual usuals[] = {
    {"vit", "ViT", false, {RESCALED, TO(224), .resample = 2, .mean = HALVES, .deviation = HALVES}},
    {"deit",
     "DeiT",
     false,
     {RESCALED, TO(256), CROPPED, .resample = 3, .mean = HALVES, .deviation = HALVES}},
    {"clip",
     "CLIP",
     true,
     {RESCALED, CROPPED, .shortest = 224, .resample = 3,
      .mean = {0.48145466f, 0.4578275f, 0.40821073f},
      .deviation = {0.26862954f, 0.26130258f, 0.27577711f}}},
};
enum { N_USUALS = sizeof usuals / sizeof usuals[0] };

typedef struct reader {
    lp_context *ctx;
    const char *where;
    yyjson_val *root;
} reader;

static lp_status fail_size(const reader *r, const char *key)
{
    return lp_fail(
        r->ctx, LP_E_FORMAT,
        "%s: %s: a number of pixels from 1 to %d is expected, or an object with height and "
        "width%s",
        r->where, key, LP_IMAGE_SIDE, strcmp(key, "size") == 0 ? ", or with shortest_edge" : "");
}

static bool is_side(yyjson_val *value)
{
    return yyjson_is_uint(value) && yyjson_get_uint(value) >= 1 &&
           yyjson_get_uint(value) <= LP_IMAGE_SIDE;
}

/* `shortest` NULL: both sides must be said. */
static lp_status read_size(const reader *r, const char *key, bool by_shortest, uint32_t *width,
                           uint32_t *height, uint32_t *shortest)
{
    yyjson_val *value = yyjson_obj_get(r->root, key);
    yyjson_val *w = yyjson_obj_get(value, "width"), *h = yyjson_obj_get(value, "height");
    yyjson_val *edge = yyjson_obj_get(value, "shortest_edge");
    if (value == NULL || yyjson_is_null(value))
        return LP_OK;
    if (yyjson_is_obj(value) && yyjson_obj_get(value, "longest_edge") &&
        !yyjson_is_null(yyjson_obj_get(value, "longest_edge")))
        return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: %s: longest_edge is not supported", r->where,
                       key);
    if (is_side(value) && by_shortest)
        edge = value;
    else if (is_side(value))
        w = h = value;
    if (is_side(w) && is_side(h) && !edge) {
        *width = (uint32_t)yyjson_get_uint(w);
        *height = (uint32_t)yyjson_get_uint(h);
        if (shortest)
            *shortest = 0;
        return LP_OK;
    }
    if (!is_side(edge) || w || h || !shortest)
        return fail_size(r, key);
    *shortest = (uint32_t)yyjson_get_uint(edge);
    return LP_OK;
}

/* A number per channel. */
static lp_status read_channels(const reader *r, const char *key, bool positive, float values[3])
{
    yyjson_val *list = NULL;
    LP_TRY(lp_json_get_array(r->ctx, r->where, r->root, key, LP_JSON_OPTIONAL, &list));
    if (list == NULL)
        return LP_OK;
    bool good = yyjson_arr_size(list) == 3;
    for (size_t c = 0; c < 3 && good; c++) {
        yyjson_val *value = yyjson_arr_get(list, c);
        values[c] = yyjson_is_num(value) ? (float)yyjson_get_num(value) : NAN;
        good = isfinite(values[c]) && (!positive || values[c] > 0);
    }
    if (good)
        return LP_OK;
    return lp_fail(r->ctx, LP_E_FORMAT, "%s: %s: three %snumbers are expected", r->where, key,
                   positive ? "positive " : "");
}

static lp_status read_flags(const reader *r, lp_preprocess *p)
{
    const struct {
        const char *key;
        bool *value;
    } flags[] = {{"do_resize", &p->resize},
                 {"do_center_crop", &p->crop},
                 {"do_rescale", &p->rescale},
                 {"do_normalize", &p->normalise}};
    static const char *const refused[] = {"do_pad", "do_grayscale", "do_flip_channel_order",
                                          "do_thumbnail", "do_align_long_axis"};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        LP_TRY(lp_json_get_bool(r->ctx, r->where, r->root, flags[i].key, LP_JSON_OPTIONAL,
                                flags[i].value));
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        bool set = false;
        LP_TRY(lp_json_get_bool(r->ctx, r->where, r->root, refused[i], LP_JSON_OPTIONAL, &set));
        if (set)
            return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: %s is not supported", r->where,
                           refused[i]);
    }
    return LP_OK;
}

/* The row of the class that the file names, or of the model. */
static lp_status find_usual(const reader *r, const char *kind, const usual **row)
{
    const char *class = NULL;
    LP_TRY(lp_json_get_string(r->ctx, r->where, r->root, "feature_extractor_type", LP_JSON_OPTIONAL,
                              &class));
    LP_TRY(lp_json_get_string(r->ctx, r->where, r->root, "image_processor_type", LP_JSON_OPTIONAL,
                              &class));
    for (size_t i = 0; i < N_USUALS; i++) {
        *row = &usuals[i];
        if (class ? strncmp(class, (*row)->class, strlen((*row)->class)) == 0
                  : strncmp(kind, (*row)->kind, strlen((*row)->kind)) == 0)
            return LP_OK;
    }
    return lp_fail(r->ctx, LP_E_UNSUPPORTED,
                   "%s: pictures for \"%.60s\" are not supported (ViT, DeiT and CLIP are)",
                   r->where, class ? class : kind);
}

lp_status lp_preprocess_parse(lp_context *ctx, const char *where, yyjson_val *root,
                              const char *kind, lp_preprocess *p)
{
    const reader r = {ctx, where, root};
    const usual *row;
    LP_TRY(find_usual(&r, kind, &row));
    *p = row->settings;
    uint32_t resample = p->resample;
    LP_TRY(read_flags(&r, p));
    LP_TRY(read_size(&r, "size", row->by_shortest, &p->width, &p->height, &p->shortest));
    LP_TRY(read_size(&r, "crop_size", false, &p->crop_width, &p->crop_height, NULL));
    if (p->crop && p->crop_width == 0)
        return lp_fail(ctx, LP_E_MISSING, "%s: do_center_crop without crop_size", where);
    LP_TRY(lp_json_get_u32(ctx, where, root, "resample", LP_JSON_OPTIONAL, &resample));
    if (resample != LP_RESAMPLE_BILINEAR && resample != LP_RESAMPLE_BICUBIC)
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "%s: resample is %u; 2 (bilinear) and 3 (bicubic) are supported", where,
                       resample);
    p->resample = (lp_resample)resample;
    LP_TRY(lp_json_get_f32(ctx, where, root, "rescale_factor", LP_JSON_OPTIONAL, &p->factor));
    if (!(p->factor > 0))
        return lp_fail(ctx, LP_E_FORMAT, "%s: rescale_factor is %g; it must be positive", where,
                       (double)p->factor);
    LP_TRY(read_channels(&r, "image_mean", false, p->mean));
    return read_channels(&r, "image_std", true, p->deviation);
}

/* The settings within `name`, of all of it or of its object `inner`. */
static lp_status parse_file(lp_context *ctx, const char *where, const char *inner, const char *kind,
                            lp_preprocess *p)
{
    yyjson_doc *doc = NULL;
    yyjson_val *root = NULL;
    LP_TRY(lp_json_open(ctx, where, &doc));
    lp_status status = LP_OK;
    root = yyjson_doc_get_root(doc);
    if (inner)
        status = lp_json_get_object(ctx, where, root, inner, LP_JSON_REQUIRED, &root);
    if (status == LP_OK)
        status = lp_preprocess_parse(ctx, where, root, kind, p);
    yyjson_doc_free(doc);
    return status;
}

lp_status lp_preprocess_read(lp_context *ctx, const char *folder, const char *kind,
                             lp_preprocess *p)
{
    char *where = lp_path_join(folder, "preprocessor_config.json");
    char *other = lp_path_join(folder, "processor_config.json");
    lp_status status = LP_OK;
    if (where == NULL || other == NULL)
        status = lp_fail_memory(ctx, "a path");
    else if (!lp_path_exists(where) && lp_path_exists(other))
        status = parse_file(ctx, other, "image_processor", kind, p);
    else
        status = parse_file(ctx, where, NULL, kind, p);
    free(where);
    free(other);
    return status;
}

/* The size that the picture is resized to. */
static void target(const lp_preprocess *p, const lp_image *image, uint32_t *width, uint32_t *height)
{
    *width = p->width;
    *height = p->height;
    if (p->shortest == 0)
        return;
    const bool wide = image->width > image->height;
    const uint32_t from_short = wide ? image->height : image->width;
    const uint32_t from_long = wide ? image->width : image->height;
    const uint32_t to_long = (uint32_t)((uint64_t)p->shortest * from_long / from_short);
    *width = wide ? to_long : p->shortest;
    *height = wide ? p->shortest : to_long;
}

/* Where the middle of n begins in m, as the library counts: rounded down if it is cut, and padding
 * in front rounded up. */
static int64_t middle(int64_t n, int64_t m)
{
    return m >= n ? (m - n) / 2 : -((n - m + 1) / 2);
}

lp_status lp_preprocess_run(lp_context *ctx, const lp_preprocess *p, const lp_image *image,
                            uint32_t side, float *pixels)
{
    lp_image *resized = NULL;
    uint32_t width = image->width, height = image->height;
    if (p->resize) {
        target(p, image, &width, &height);
        LP_TRY(lp_image_resize(ctx, image, width, height, p->resample, &resized));
        image = resized;
    }
    const uint32_t n_x = p->crop ? p->crop_width : width, n_y = p->crop ? p->crop_height : height;
    if (n_x != side || n_y != side) {
        lp_image_free(resized);
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "the picture becomes one of %u x %u pixels; the model reads %u x %u", n_x,
                       n_y, side, side);
    }
    const int64_t left = middle(n_x, width), top = middle(n_y, height);
    for (size_t c = 0; c < 3; c++)
        for (int64_t y = 0; y < side; y++)
            for (int64_t x = 0; x < side; x++) {
                const int64_t at_x = left + x, at_y = top + y;
                const bool inside = at_x >= 0 && at_y >= 0 && at_x < width && at_y < height;
                double value = inside ? image->rgb[(at_y * width + at_x) * 3 + (int64_t)c] : 0;
                if (p->rescale)
                    value *= (double)p->factor;
                if (p->normalise)
                    value = (value - (double)p->mean[c]) / (double)p->deviation[c];
                pixels[((int64_t)c * side + y) * side + x] = (float)value;
            }
    lp_image_free(resized);
    return LP_OK;
}
