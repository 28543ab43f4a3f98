/* From a picture to the pixels that a model was trained with, as preprocessor_config.json of its
 * folder says: resized, cut, scaled, normalised. */
#ifndef LP_IMAGE_PREPROCESS_H
#define LP_IMAGE_PREPROCESS_H

#include "base/json.h"
#include "image/resize.h"

typedef struct lp_preprocess {
    bool resize, crop, rescale, normalise;
    uint32_t width, height; /* resized to these, */
    uint32_t shortest;      /* or, if not 0, the shorter side to this and the other in proportion */
    lp_resample resample;
    uint32_t crop_width, crop_height; /* of the middle; what is outside of the picture is black */
    float factor;
    float mean[3], deviation[3];
} lp_preprocess;

/* `kind`: model_type of config.json, whose usual settings count where the file has none. A folder
 * may have its settings in processor_config.json, too. Settings that are not known are refused
 * where they would change the pixels. */
lp_status lp_preprocess_read(lp_context *ctx, const char *folder, const char *kind,
                             lp_preprocess *p);
lp_status lp_preprocess_parse(lp_context *ctx, const char *where, yyjson_val *root,
                              const char *kind, lp_preprocess *p);

/* pixels [3, side, side]. LP_E_UNSUPPORTED if that is not what comes out. */
lp_status lp_preprocess_run(lp_context *ctx, const lp_preprocess *p, const lp_image *image,
                            uint32_t side, float *pixels);

#endif
