/* Blocks of networks that work on pictures: see feature_map.h. */
#include "models/feature_map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/safetensors.h"

/* ---- Weights ------------------------------------------------------------------------------- */

lp_status lp_feature_map_open(lp_context *ctx, const char *folder, lp_weights *weights)
{
    static const char *const names[] = {"diffusion_pytorch_model.safetensors",
                                        "diffusion_pytorch_model.fp16.safetensors",
                                        "model.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = lp_path_join(folder, names[i]);
        if (path == NULL)
            return lp_fail_memory(ctx, "a path");
        const bool there = lp_path_exists(path);
        const lp_status status = there ? lp_safetensors_open(ctx, path, weights) : LP_OK;
        free(path);
        if (there)
            return status;
    }
    return lp_fail(ctx, LP_E_MISSING, "%s: no %s", folder, names[0]);
}

static lp_status check_finite(lp_context *ctx, const lp_weight *w)
{
    enum { PIECE = 1024 };
    const lp_dtype_info *info = &lp_dtype_table[w->dtype];
    const int64_t n = lp_shape_elements(w->shape);
    float values[PIECE];
    for (int64_t first = 0; first < n; first += PIECE) {
        const int64_t count = n - first < PIECE ? n - first : PIECE;
        info->to_f32((const uint8_t *)w->data + (uint64_t)first * info->bytes, values,
                     (size_t)count);
        for (int64_t i = 0; i < count; i++)
            if (!isfinite(values[i]))
                return lp_fail(ctx, LP_E_FORMAT, "%s%s%s: number %lld is %g",
                               w->file ? w->file : "", w->file ? ": " : "", w->name,
                               (long long)(first + i), (double)values[i]);
    }
    return LP_OK;
}

/* [O, I, k, k] to [O, k k I']: the same numbers in another order, between zeros. */
static lp_status pack(lp_context *ctx, lp_weights *weights, lp_weight *w)
{
    const int64_t n_outputs = w->shape.dim[0], n = w->shape.dim[1];
    const int64_t taps = w->shape.dim[2] * w->shape.dim[3], padded = (n + 3) / 4 * 4;
    const size_t size = lp_dtype_table[w->dtype].bytes;
    if (w->shape.dim[2] != w->shape.dim[3] || w->shape.dim[2] < 1 ||
        w->shape.dim[2] > LP_MAX_KERNEL || n < 1 || n_outputs < 1 || n > INT32_MAX)
        return LP_OK; /* no convolution that there is: whoever uses it will say so */
    if (taps > 1 || padded != n) {
        uint8_t *to = NULL;
        LP_TRY(lp_weights_memory(ctx, weights, (size_t)(n_outputs * taps * padded) * size, w->name,
                                 &to));
        const uint8_t *from = w->data;
        for (int64_t o = 0; o < n_outputs; o++)
            for (int64_t i = 0; i < n; i++)
                for (int64_t tap = 0; tap < taps; tap++, from += size)
                    memcpy(to + (size_t)((o * taps + tap) * padded + i) * size, from, size);
        w->data = to;
        w->bytes = (uint64_t)(n_outputs * taps * padded) * size;
    }
    w->shape = LP_SHAPE2(n_outputs, taps * padded);
    return LP_OK;
}

lp_status lp_feature_map_weights(lp_context *ctx, lp_weights *weights)
{
    for (size_t i = 0; i < lp_weights_count(weights); i++) {
        lp_weight *w = lp_weights_at(weights, i);
        if (!lp_dtype_is_plain(w->dtype) || w->data == NULL)
            continue;
        LP_TRY(check_finite(ctx, w));
        if (w->shape.n == 4)
            LP_TRY(pack(ctx, weights, w));
    }
    return LP_OK;
}

/* ---- Blocks -------------------------------------------------------------------------------- */

/* The same with this bias [n_outputs], or none. */
static lp_feature_map biased_conv(lp_builder *b, const char *name, lp_feature_map m,
                                  int64_t n_outputs, lp_conv_kind kind, lp_tensor_id bias)
{
    const lp_conv2d_options options = {.height = m.height,
                                       .width = m.width,
                                       .kernel = kind.kernel,
                                       .stride = kind.stride,
                                       .pad_before = kind.pad_before,
                                       .pad_after = kind.pad_after,
                                       .upsample = kind.upsample};
    const bool is_linear =
        kind.kernel == 1 && kind.stride == 1 && kind.upsample == 1 && m.channels % 4 == 0;
    lp_tensor_id w = lp_weight_tensor(b, LP_SHAPE2(n_outputs, lp_conv2d_row(&options, m.channels)),
                                      "%s.weight", name);
    lp_tensor_id x =
        is_linear ? lp_linear(b, name, m.x, w, bias) : lp_conv2d(b, name, m.x, w, bias, options);
    return (lp_feature_map){x, (int32_t)lp_conv2d_side(&options, m.height),
                            (int32_t)lp_conv2d_side(&options, m.width), (int32_t)n_outputs};
}

lp_feature_map lp_feature_map_conv(lp_builder *b, const char *name, lp_feature_map m,
                                   int64_t n_outputs, lp_conv_kind kind)
{
    lp_tensor_id bias = LP_NONE;
    if (!kind.no_bias)
        bias = lp_weight_tensor(b, LP_SHAPE1(n_outputs), "%s.bias", name);
    return biased_conv(b, name, m, n_outputs, kind, bias);
}

lp_feature_map lp_feature_map_act(lp_builder *b, const char *name, lp_feature_map m,
                                  lp_act_kind act)
{
    m.x = lp_act(b, name, act, m.x);
    return m;
}

/* NAME.PART, for a node or a weight. */
typedef struct part_name {
    char text[160];
} part_name;

static part_name part(const char *name, const char *what)
{
    part_name p;
    snprintf(p.text, sizeof p.text, "%s.%s", name, what);
    return p;
}

lp_feature_map lp_feature_map_norm(lp_builder *b, const char *name, lp_feature_map m,
                                   int32_t n_groups, float eps, lp_act_kind act)
{
    const lp_shape shape = LP_SHAPE1(m.channels);
    m.x = lp_group_norm(b, name, n_groups, eps, m.x, lp_weight_tensor(b, shape, "%s.weight", name),
                        lp_weight_tensor(b, shape, "%s.bias", name));
    return act == LP_ACT_NONE ? m : lp_feature_map_act(b, part(name, "act").text, m, act);
}

lp_feature_map lp_feature_map_add(lp_builder *b, const char *name, lp_feature_map m,
                                  lp_feature_map n)
{
    m.x = lp_add(b, name, m.x, n.x);
    return m;
}

/* Copies columns to where they belong. */
static void put_columns(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id wide,
                        int64_t first, int64_t n)
{
    lp_node node = {.op = LP_OP_ACT, .name = name, .p.act = {LP_ACT_NONE, 1, 1}};
    for (int i = 0; i < LP_MAX_SRC; i++)
        node.src[i] = LP_NONE;
    for (int i = 0; i < LP_MAX_DST; i++)
        node.dst[i] = LP_NONE;
    node.src[0] = x;
    node.dst[0] = lp_view_columns(b, wide, first, n);
    if (b->status == LP_OK && (node.name = lp_arena_strdup(&b->graph->arena, name)) == NULL)
        b->status = lp_fail_memory(b->ctx, "a graph");
    lp_builder_node(b, &node);
}

lp_feature_map lp_feature_map_join(lp_builder *b, const char *name, lp_feature_map m,
                                   lp_feature_map n)
{
    const int32_t n_channels = m.channels + n.channels;
    lp_tensor_id wide = lp_input(b, name, LP_SHAPE2((int64_t)m.height * m.width, n_channels));
    put_columns(b, part(name, "first").text, m.x, wide, 0, m.channels);
    put_columns(b, part(name, "second").text, n.x, wide, m.channels, n.channels);
    return (lp_feature_map){wide, m.height, m.width, n_channels};
}

lp_feature_map lp_feature_map_resnet(lp_builder *b, const char *name, lp_feature_map m,
                                     int64_t n_outputs, int32_t n_groups, float eps,
                                     lp_tensor_id conv1_bias)
{
    const part_name conv1 = part(name, "conv1");
    lp_feature_map h =
        lp_feature_map_norm(b, part(name, "norm1").text, m, n_groups, eps, LP_ACT_SILU);
    h = conv1_bias == LP_NONE ? lp_feature_map_conv(b, conv1.text, h, n_outputs, LP_CONV_3)
                              : biased_conv(b, conv1.text, h, n_outputs, LP_CONV_3, conv1_bias);
    h = lp_feature_map_norm(b, part(name, "norm2").text, h, n_groups, eps, LP_ACT_SILU);
    h = lp_feature_map_conv(b, part(name, "conv2").text, h, n_outputs, LP_CONV_3);
    if (m.channels != n_outputs)
        m = lp_feature_map_conv(b, part(name, "conv_shortcut").text, m, n_outputs, LP_CONV_1);
    return lp_feature_map_add(b, part(name, "sum").text, m, h);
}

lp_tensor_id lp_feature_map_dense(lp_builder *b, const char *name, lp_tensor_id x,
                                  int64_t n_outputs, int64_t n_inputs, bool has_bias)
{
    lp_tensor_id bias = LP_NONE;
    lp_tensor_id w = lp_weight_tensor(b, LP_SHAPE2(n_outputs, n_inputs), "%s.weight", name);
    if (has_bias)
        bias = lp_weight_tensor(b, LP_SHAPE1(n_outputs), "%s.bias", name);
    return lp_linear(b, name, x, w, bias);
}

/* A dense layer of as many outputs as inputs. */
static lp_tensor_id square(lp_builder *b, const char *name, const char *what, lp_tensor_id x,
                           int64_t n)
{
    return lp_feature_map_dense(b, part(name, what).text, x, n, n, true);
}

lp_feature_map lp_feature_map_attention(lp_builder *b, const char *name, lp_feature_map m,
                                        int32_t n_heads, int32_t n_groups, float eps)
{
    const int64_t n = m.channels;
    const lp_feature_map h =
        lp_feature_map_norm(b, part(name, "group_norm").text, m, n_groups, eps, LP_ACT_NONE);
    lp_tensor_id cursor =
        lp_state_tensor(b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), "cursor");
    lp_tensor_id q = lp_view_heads(b, square(b, name, "to_q", h.x, n), n_heads);
    lp_tensor_id k = lp_view_heads(b, square(b, name, "to_k", h.x, n), n_heads);
    lp_tensor_id v = lp_view_heads(b, square(b, name, "to_v", h.x, n), n_heads);
    const lp_attention_options options = {.scale = (float)(1 / sqrt((double)n / n_heads)),
                                          .kv_max = m.height * m.width,
                                          .mask = LP_MASK_FULL};
    lp_tensor_id y = lp_attention(b, part(name, "attention").text, q, k, v, cursor, options);
    y = square(b, name, "to_out.0", lp_view_flat(b, y), n);
    m.x = lp_add(b, part(name, "sum").text, m.x, y);
    return m;
}
