/* Parts of tensors: files may hold several weights in one tensor, and matrices the other way round;
 * the rows of the tables of names say how (lp_weight_part). */
#ifndef LP_MODELS_PARTS_H
#define LP_MODELS_PARTS_H

#include "models/hparams.h"

/* Fills `part` with that part of `weight` [rows, columns], [E, rows, columns] or, biases,
 * [E, columns], in memory that `weights` owns: all but the name. Types of blocks become f32 where
 * rows are no rows any more. With LP_FORM_MXFP4 `weight` is that of the blocks. */
lp_status lp_part_take(lp_context *ctx, const char *where, const lp_hparams *hp,
                       const lp_weight_name *row, lp_weights *weights, const lp_weight *weight,
                       lp_weight *part);

#endif
