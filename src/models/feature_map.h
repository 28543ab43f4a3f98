/* Blocks of networks that work on pictures: convolutions, residual blocks, attention over all
 * pixels. Autoencoders and denoising U-Nets are made of these. */
#ifndef LP_MODELS_FEATURE_MAP_H
#define LP_MODELS_FEATURE_MAP_H

#include "graph/builder.h"

/* Pixels are rows, line by line; channels are columns. */
typedef struct lp_feature_map {
    lp_tensor_id x; /* [height width, channels] */
    int32_t height, width, channels;
} lp_feature_map;

/* How a convolution is: as lp_conv2d_options. */
typedef struct lp_conv_kind {
    int32_t kernel, stride, pad_before, pad_after, upsample;
    bool no_bias;
} lp_conv_kind;

#define LP_CONV_1    ((lp_conv_kind){1, 1, 0, 0, 1, false})
#define LP_CONV_3    ((lp_conv_kind){3, 1, 1, 1, 1, false})
#define LP_CONV_HALF ((lp_conv_kind){3, 2, 1, 1, 1, false}) /* half the size */
#define LP_CONV_UP   ((lp_conv_kind){3, 1, 1, 1, 2, false}) /* twice the size: upsampled first */

/* Opens the weights in a folder of diffusers: LP_E_MISSING if there are none. */
lp_status lp_feature_map_open(lp_context *ctx, const char *folder, lp_weights *weights);
/* Brings the weights [O, I, k, k] of convolutions into the order that CONV2D wants, [O, k k I'], I'
 * being I rounded up to 4 with zeros; those of one tap stay where they are if I is I'. To be done
 * once, when they have been opened. LP_E_FORMAT names a number that is not finite. */
lp_status lp_feature_map_weights(lp_context *ctx, lp_weights *weights);

/* NAME.weight, NAME.bias. */
lp_feature_map lp_feature_map_conv(lp_builder *b, const char *name, lp_feature_map m,
                                   int64_t n_outputs, lp_conv_kind kind);
lp_feature_map lp_feature_map_norm(lp_builder *b, const char *name, lp_feature_map m,
                                   int32_t n_groups, float eps, lp_act_kind act);
lp_feature_map lp_feature_map_act(lp_builder *b, const char *name, lp_feature_map m,
                                  lp_act_kind act);
lp_feature_map lp_feature_map_add(lp_builder *b, const char *name, lp_feature_map m,
                                  lp_feature_map n);

/* The channels of m, then those of n. */
lp_feature_map lp_feature_map_join(lp_builder *b, const char *name, lp_feature_map m,
                                   lp_feature_map n);
/* A dense layer of x [T, n_inputs]. */
lp_tensor_id lp_feature_map_dense(lp_builder *b, const char *name, lp_tensor_id x,
                                  int64_t n_outputs, int64_t n_inputs, bool has_bias);

/* x + conv2(silu(norm2(conv1(silu(norm1(x)))))), NAME.norm1 and so on; where the number of channels
 * changes, NAME.conv_shortcut(x) + ...: He et al. 2016 (arXiv:1603.05027), as diffusers has it.
 * conv1_bias [n_outputs]: what is used instead of NAME.conv1.bias, or LP_NONE. */
lp_feature_map lp_feature_map_resnet(lp_builder *b, const char *name, lp_feature_map m,
                                     int64_t n_outputs, int32_t n_groups, float eps,
                                     lp_tensor_id conv1_bias);
/* x + to_out.0(attention(norm(x))) of all pixels with each other, n_heads heads; NAME.group_norm,
 * to_q, to_k, to_v, to_out.0. */
lp_feature_map lp_feature_map_attention(lp_builder *b, const char *name, lp_feature_map m,
                                        int32_t n_heads, int32_t n_groups, float eps);

#endif
