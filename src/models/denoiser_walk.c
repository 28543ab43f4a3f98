/* The graph of a denoising U-Net: see denoiser.h. Names are those of diffusers. */
#include "models/denoiser.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct walk {
    lp_builder *b;
    const lp_denoiser_model *model;
    lp_tensor_id time;    /* [1, 4 N], N channels of the first stage */
    lp_tensor_id context; /* [S, n_context] */
    lp_tensor_id cursor;
    uint32_t n_tokens;
    uint32_t n_skips; /* what the way up gets of the way down */
    lp_feature_map skips[1 + LP_DENOISER_STAGES * (LP_DENOISER_BLOCKS + 1)];
} walk;

/* The name of a layer, or of a part of it. */
typedef struct layer {
    char text[128];
} layer;

LP_PRINTF(1, 2) static layer layer_of(const char *format, ...)
{
    layer name;
    va_list args;
    va_start(args, format);
    vsnprintf(name.text, sizeof name.text, format, args);
    va_end(args);
    return name;
}

/* ---- Residual blocks ----------------------------------------------------------------------- */

/* linear_2(silu(linear_1(x))), and the activation that every block begins with. */
static lp_tensor_id time_embedding(walk *w)
{
    const int64_t n = w->model->stages[0].channels, wide = 4 * n;
    lp_tensor_id x = lp_input(w->b, "time", LP_SHAPE2(1, n));
    x = lp_feature_map_dense(w->b, "time_embedding.linear_1", x, wide, n, true);
    x = lp_act(w->b, "time_embedding.act", LP_ACT_SILU, x);
    x = lp_feature_map_dense(w->b, "time_embedding.linear_2", x, wide, wide, true);
    return lp_act(w->b, "time_embedding.act_out", LP_ACT_SILU, x);
}

static lp_feature_map resnet(walk *w, const char *name, lp_feature_map m, uint32_t n)
{
    const int64_t wide = 4 * (int64_t)w->model->stages[0].channels;
    lp_tensor_id bias =
        lp_feature_map_dense(w->b, layer_of("%s.time_emb_proj", name).text, w->time, n, wide, true);
    bias = lp_view_shape(w->b, bias, LP_SHAPE1(n));
    return lp_feature_map_resnet(w->b, name, m, n, (int32_t)w->model->n_groups, w->model->eps,
                                 bias);
}

/* ---- Transformer blocks -------------------------------------------------------------------- */

static lp_tensor_id norm(walk *w, const char *name, lp_tensor_id x, int64_t n)
{
    const lp_shape shape = LP_SHAPE1(n);
    return lp_norm(w->b, name, LP_NORM_LAYER, 1e-5f, x,
                   lp_weight_tensor(w->b, shape, "%s.weight", name),
                   lp_weight_tensor(w->b, shape, "%s.bias", name));
}

/* Of x [T, n] over rows of y [S, n_y]. */
static lp_tensor_id attention(walk *w, const char *name, lp_tensor_id x, int64_t n,
                              uint32_t n_heads, lp_tensor_id y, int64_t n_y, int64_t n_rows)
{
    lp_tensor_id heads[3];
    for (int i = 0; i < 3; i++) {
        const layer part = layer_of("%s.to_%c", name, "qkv"[i]);
        heads[i] =
            lp_feature_map_dense(w->b, part.text, i == 0 ? x : y, n, i == 0 ? n : n_y, false);
        heads[i] = lp_view_heads(w->b, heads[i], n_heads);
    }
    const lp_attention_options options = {.scale = (float)(1 / sqrt((double)n / n_heads)),
                                          .kv_max = (int32_t)n_rows,
                                          .mask = LP_MASK_FULL};
    lp_tensor_id result =
        lp_attention(w->b, name, heads[0], heads[1], heads[2], w->cursor, options);
    return lp_feature_map_dense(w->b, layer_of("%s.to_out.0", name).text,
                                lp_view_flat(w->b, result), n, n, true);
}

/* value(x) gelu(gate(x)). */
static lp_tensor_id feed_forward(walk *w, const char *name, lp_tensor_id x, int64_t n)
{
    const int64_t wide = 4 * n;
    lp_tensor_id gate =
        lp_feature_map_dense(w->b, layer_of("%s.net.0.gate", name).text, x, wide, n, true);
    gate = lp_act(w->b, layer_of("%s.net.0.act", name).text, LP_ACT_GELU_ERF, gate);
    lp_tensor_id value =
        lp_feature_map_dense(w->b, layer_of("%s.net.0.value", name).text, x, wide, n, true);
    x = lp_mul(w->b, layer_of("%s.net.0.product", name).text, value, gate);
    return lp_feature_map_dense(w->b, layer_of("%s.net.2", name).text, x, n, wide, true);
}

/* Pixels look at each other, at the text, and each at itself. */
static lp_tensor_id transformer_block(walk *w, const char *name, lp_tensor_id x,
                                      const lp_denoiser_stage *stage, int64_t n_pixels)
{
    const int64_t n = stage->channels;
    lp_tensor_id h = norm(w, layer_of("%s.norm1", name).text, x, n);
    h = attention(w, layer_of("%s.attn1", name).text, h, n, stage->n_heads, h, n, n_pixels);
    x = lp_add(w->b, layer_of("%s.sum1", name).text, x, h);
    h = norm(w, layer_of("%s.norm2", name).text, x, n);
    h = attention(w, layer_of("%s.attn2", name).text, h, n, stage->n_heads, w->context,
                  w->model->n_context, w->n_tokens);
    x = lp_add(w->b, layer_of("%s.sum2", name).text, x, h);
    h = norm(w, layer_of("%s.norm3", name).text, x, n);
    h = feed_forward(w, layer_of("%s.ff", name).text, h, n);
    return lp_add(w->b, layer_of("%s.sum3", name).text, x, h);
}

/* A layer of as many outputs as inputs before or behind the blocks. */
static lp_feature_map projection(walk *w, const char *name, lp_feature_map m)
{
    if (!w->model->linear_projections)
        return lp_feature_map_conv(w->b, name, m, m.channels, LP_CONV_1);
    m.x = lp_feature_map_dense(w->b, name, m.x, m.channels, m.channels, true);
    return m;
}

static lp_feature_map transformer(walk *w, const char *name, lp_feature_map m,
                                  const lp_denoiser_stage *stage)
{
    lp_feature_map h = lp_feature_map_norm(w->b, layer_of("%s.norm", name).text, m,
                                           (int32_t)w->model->n_groups, 1e-6f, LP_ACT_NONE);
    h = projection(w, layer_of("%s.proj_in", name).text, h);
    for (uint32_t i = 0; i < stage->depth; i++)
        h.x = transformer_block(w, layer_of("%s.transformer_blocks.%u", name, i).text, h.x, stage,
                                (int64_t)m.height * m.width);
    h = projection(w, layer_of("%s.proj_out", name).text, h);
    return lp_feature_map_add(w->b, layer_of("%s.sum", name).text, m, h);
}

/* ---- The U --------------------------------------------------------------------------------- */

static lp_feature_map down(walk *w, lp_feature_map m)
{
    const lp_denoiser_model *model = w->model;
    w->skips[w->n_skips++] = m;
    for (uint32_t s = 0; s < model->n_stages; s++) {
        const lp_denoiser_stage *stage = &model->stages[s];
        const layer name = layer_of("down_blocks.%u", s);
        for (uint32_t i = 0; i < stage->n_blocks; i++) {
            m = resnet(w, layer_of("%s.resnets.%u", name.text, i).text, m, stage->channels);
            if (stage->attends[0])
                m = transformer(w, layer_of("%s.attentions.%u", name.text, i).text, m, stage);
            w->skips[w->n_skips++] = m;
        }
        if (s + 1 < model->n_stages) {
            m = lp_feature_map_conv(w->b, layer_of("%s.downsamplers.0.conv", name.text).text, m,
                                    stage->channels, LP_CONV_HALF);
            w->skips[w->n_skips++] = m;
        }
    }
    return m;
}

static lp_feature_map middle(walk *w, lp_feature_map m)
{
    const lp_denoiser_stage *stage = &w->model->stages[w->model->n_stages - 1];
    m = resnet(w, "mid_block.resnets.0", m, stage->channels);
    m = transformer(w, "mid_block.attentions.0", m, stage);
    return resnet(w, "mid_block.resnets.1", m, stage->channels);
}

static lp_feature_map up(walk *w, lp_feature_map m)
{
    const lp_denoiser_model *model = w->model;
    for (uint32_t s = 0; s < model->n_stages; s++) {
        const lp_denoiser_stage *stage = &model->stages[model->n_stages - 1 - s];
        const layer name = layer_of("up_blocks.%u", s);
        for (uint32_t i = 0; i <= stage->n_blocks; i++) {
            m = lp_feature_map_join(w->b, layer_of("%s.join.%u", name.text, i).text, m,
                                    w->skips[--w->n_skips]);
            m = resnet(w, layer_of("%s.resnets.%u", name.text, i).text, m, stage->channels);
            if (stage->attends[1])
                m = transformer(w, layer_of("%s.attentions.%u", name.text, i).text, m, stage);
        }
        if (s + 1 < model->n_stages)
            m = lp_feature_map_conv(w->b, layer_of("%s.upsamplers.0.conv", name.text).text, m,
                                    stage->channels, LP_CONV_UP);
    }
    return m;
}

static lp_status check_sizes(lp_context *ctx, const lp_denoiser_model *model, uint32_t height,
                             uint32_t width, uint32_t n_tokens)
{
    const uint32_t factor = 1u << (model->n_stages - 1);
    if (height < 1 || width < 1 || height > LP_DENOISER_SIDE || width > LP_DENOISER_SIDE ||
        height % factor != 0 || width % factor != 0)
        return lp_fail(
            ctx, LP_E_LIMIT,
            "latents of %u x %u; sides of up to %d that are multiples of %u are possible", width,
            height, LP_DENOISER_SIDE, factor);
    if (n_tokens < 1 || n_tokens > LP_DENOISER_TOKENS)
        return lp_fail(ctx, LP_E_LIMIT, "a text of %u tokens; 1 to %d are possible", n_tokens,
                       LP_DENOISER_TOKENS);
    return LP_OK;
}

lp_status lp_denoiser_graph(lp_context *ctx, const lp_denoiser_model *model, lp_store *store,
                            uint32_t height, uint32_t width, uint32_t n_tokens, bool no_fusion,
                            lp_graph **graph)
{
    lp_builder b;
    walk w = {.b = &b, .model = model, .n_tokens = n_tokens};
    LP_TRY(check_sizes(ctx, model, height, width, n_tokens));
    LP_TRY(lp_builder_start(&b, ctx, store, model->weights, 1));
    w.cursor = lp_state_tensor(&b, LP_SLOT_HOST, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), "cursor");
    lp_feature_map m = {.height = (int32_t)height,
                        .width = (int32_t)width,
                        .channels = (int32_t)model->in_channels};
    m.x = lp_input(&b, "latents", LP_SHAPE2((int64_t)height * width, m.channels));
    w.context = lp_input(&b, "context", LP_SHAPE2(n_tokens, model->n_context));
    w.time = time_embedding(&w);
    m = lp_feature_map_conv(&b, "conv_in", m, model->stages[0].channels, LP_CONV_3);
    m = down(&w, m);
    if (model->has_middle)
        m = middle(&w, m);
    m = up(&w, m);
    m = lp_feature_map_norm(&b, "conv_norm_out", m, (int32_t)model->n_groups, model->eps,
                            LP_ACT_SILU);
    m = lp_feature_map_conv(&b, "conv_out", m, model->out_channels, LP_CONV_3);
    lp_output(&b, m.x, "result");
    return lp_builder_finish(&b, no_fusion, graph);
}
