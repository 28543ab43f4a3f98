/* Which tensors the folder of a model has, by its config.json alone: the names of the
 * architecture's table, and the shapes that its graph asks for. */
#ifndef LP_MODELS_SYNTH_SKETCH_H
#define LP_MODELS_SYNTH_SKETCH_H

#include "models/names.h"

typedef struct lp_sketch_tensor {
    char name[LP_NAME_BYTES]; /* in the folder */
    lp_shape shape;
    float mean, deviation; /* of random weights of sane scale: see synth.c */
} lp_sketch_tensor;

typedef struct lp_sketch {
    lp_hparams hparams;
    lp_sketch_tensor *tensors;
    size_t n, room;
} lp_sketch;

/* `config`: path of config.json. LP_E_UNSUPPORTED: models that read pictures. */
lp_status lp_sketch_open(lp_context *ctx, const char *config, lp_sketch **sketch);
void lp_sketch_destroy(lp_sketch *sketch);

#endif
