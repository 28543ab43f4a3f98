/* Rows of the op table for pictures: conv2d, group_norm. */
#include "check/op_table.h"

#include <string.h>

enum { WITH_BIAS = 1, WITH_RESIDUAL = 2, WITH_VIEW = 4, WITH_GAIN = 8 };

/* ---- conv2d */

enum {
    C_HEIGHT,
    C_WIDTH,
    C_CHANNELS,
    C_OUTPUTS,
    C_KERNEL,
    C_STRIDE,
    C_BEFORE,
    C_AFTER,
    C_UP,
    C_TYPE,
    C_ACT,
    C_WITH,
    C_SCALE
};

static lp_tensor_id picture(lp_case_build *c, int64_t n_pixels, int64_t n_channels, bool view,
                            lp_case_fill fill)
{
    return view ? lp_case_input_view(c, n_pixels, n_channels, 3, n_channels + 6, fill)
                : lp_case_input(c, LP_SHAPE2(n_pixels, n_channels), fill);
}

static void build_conv2d(lp_case_build *c, const int64_t *arg)
{
    const int64_t with = arg[C_WITH], n_outputs = arg[C_OUTPUTS];
    lp_node node = lp_case_node(c, LP_OP_CONV2D);
    lp_conv2d_options *o = &node.p.conv2d;
    *o = (lp_conv2d_options){.height = (int32_t)arg[C_HEIGHT],
                             .width = (int32_t)arg[C_WIDTH],
                             .kernel = (int32_t)arg[C_KERNEL],
                             .stride = (int32_t)arg[C_STRIDE],
                             .pad_before = (int32_t)arg[C_BEFORE],
                             .pad_after = (int32_t)arg[C_AFTER],
                             .upsample = (int32_t)arg[C_UP],
                             .act = (lp_act_kind)arg[C_ACT]};
    const int64_t n_pixels = lp_conv2d_side(o, o->height) * lp_conv2d_side(o, o->width);
    node.src[0] = picture(c, arg[C_HEIGHT] * arg[C_WIDTH], arg[C_CHANNELS], with & WITH_VIEW,
                          (lp_case_fill){0, (float)arg[C_SCALE]});
    node.src[1] =
        lp_case_weight(c, (lp_dtype)arg[C_TYPE],
                       LP_SHAPE2(n_outputs, lp_conv2d_row(o, arg[C_CHANNELS])), LP_CASE_UNIT);
    if (with & WITH_BIAS)
        node.src[2] = lp_case_weight(c, (lp_dtype)arg[C_TYPE], LP_SHAPE1(n_outputs), LP_CASE_UNIT);
    if (with & WITH_RESIDUAL)
        node.src[4] = picture(c, n_pixels, n_outputs, with & WITH_VIEW, LP_CASE_UNIT);
    lp_case_emit(c, &node);
}

static void convolutions(lp_case_table *table)
{
    enum { ALL = WITH_BIAS | WITH_RESIDUAL };
    /* height, width, channels, outputs, kernel, stride, padding, upsampling, type, activation */
    static const int64_t rows[][13] = {
        {5, 7, 3, 11, 3, 1, 1, 1, 1, LP_F16, LP_ACT_NONE, 0, 1},
        {5, 7, 8, 67, 3, 1, 1, 1, 1, LP_F32, LP_ACT_SILU, ALL, 1},
        {6, 5, 12, 20, 3, 2, 0, 1, 1, LP_F16, LP_ACT_NONE, WITH_BIAS, 1},
        {4, 6, 6, 9, 3, 2, 1, 1, 1, LP_F32, LP_ACT_RELU, ALL | WITH_VIEW, 1},
        {3, 5, 16, 20, 3, 1, 1, 1, 2, LP_F16, LP_ACT_RELU, ALL, 1},
        {1, 1, 1, 1, 1, 1, 0, 0, 1, LP_F32, LP_ACT_NONE, 0, 1},
        {9, 8, 4, 65, 1, 1, 0, 0, 1, LP_BF16, LP_ACT_NONE, ALL | WITH_VIEW, 1},
        {8, 9, 5, 3, 7, 2, 3, 3, 1, LP_F16, LP_ACT_TANH, WITH_BIAS, 1},
        {4, 4, 4, 4, 4, 2, 1, 1, 2, LP_F32, LP_ACT_NONE, ALL, 1000000},
        {9, 9, 64, 130, 3, 1, 1, 1, 1, LP_F16, LP_ACT_NONE, ALL, 1},
        {3, 3, 4, 4, 3, 1, 1, 1, 1, LP_F16, LP_ACT_NONE, 0, 0},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int64_t *arg = rows[i];
        lp_case *row =
            lp_case_add(table, LP_OP_CONV2D, build_conv2d,
                        "conv2d %s %dx%d C%d O%d k%d s%d p%d,%d up%d act%d with%d x%d",
                        lp_dtype_table[arg[C_TYPE]].name, (int)arg[C_WIDTH], (int)arg[C_HEIGHT],
                        (int)arg[C_CHANNELS], (int)arg[C_OUTPUTS], (int)arg[C_KERNEL],
                        (int)arg[C_STRIDE], (int)arg[C_BEFORE], (int)arg[C_AFTER], (int)arg[C_UP],
                        (int)arg[C_ACT], (int)arg[C_WITH], (int)arg[C_SCALE]);
        memcpy(row->arg, arg, sizeof rows[i]);
    }
}

/* ---- group_norm */

enum { G_PIXELS, G_CHANNELS, G_GROUPS, G_ACT, G_WITH, G_OFFSET, G_SCALE };

static void build_group_norm(lp_case_build *c, const int64_t *arg)
{
    const int64_t with = arg[G_WITH], n_channels = arg[G_CHANNELS];
    lp_node node = lp_case_node(c, LP_OP_GROUP_NORM);
    node.p.group_norm.n_groups = (int32_t)arg[G_GROUPS];
    node.p.group_norm.eps = 1e-6f;
    node.p.group_norm.act = (lp_act_kind)arg[G_ACT];
    node.src[0] = picture(c, arg[G_PIXELS], n_channels, with & WITH_VIEW,
                          (lp_case_fill){(float)arg[G_OFFSET], (float)arg[G_SCALE]});
    if (with & WITH_GAIN)
        node.src[1] = lp_case_weight(c, LP_F16, LP_SHAPE1(n_channels), LP_CASE_UNIT);
    if (with & WITH_BIAS)
        node.src[2] = lp_case_weight(c, LP_F32, LP_SHAPE1(n_channels), LP_CASE_UNIT);
    lp_case_emit(c, &node);
}

static void group_norms(lp_case_table *table)
{
    enum { BOTH = WITH_GAIN | WITH_BIAS };
    static const int64_t rows[][7] = {
        {35, 12, 4, LP_ACT_NONE, 0, 0, 1},
        {64, 64, 32, LP_ACT_SILU, BOTH, 0, 1},
        {7, 6, 1, LP_ACT_RELU, BOTH | WITH_VIEW, 0, 1},
        {3001, 8, 2, LP_ACT_SILU, BOTH, 5, 2}, /* several pieces, the last one smaller */
        {2048, 20, 5, LP_ACT_NONE, WITH_GAIN, 1000, 1},
        {1500, 4, 1, LP_ACT_NONE, WITH_BIAS, -30000, 1},
        {50, 10, 10, LP_ACT_NONE, BOTH, 0, 1000000},
        {40, 8, 2, LP_ACT_SILU, BOTH, 0, 0},
        {2, 2, 1, LP_ACT_NONE, 0, 0, 1},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int64_t *arg = rows[i];
        lp_case *row = lp_case_add(table, LP_OP_GROUP_NORM, build_group_norm,
                                   "group_norm T%d C%d G%d act%d with%d %d+%d", (int)arg[G_PIXELS],
                                   (int)arg[G_CHANNELS], (int)arg[G_GROUPS], (int)arg[G_ACT],
                                   (int)arg[G_WITH], (int)arg[G_OFFSET], (int)arg[G_SCALE]);
        memcpy(row->arg, arg, sizeof rows[i]);
    }
}

void lp_cases_pictures(lp_case_table *table)
{
    convolutions(table);
    group_norms(table);
}
