/* The graphs of autoencoders, a row per architecture.
 *
 * AutoencoderKL: Esser et al. 2021 (arXiv:2012.09841), Rombach et al. 2022 (arXiv:2112.10752):
 * stages of residual blocks with group norm, attention over all pixels between the two halves of
 * the middle. AutoencoderTiny: the TAESD family (Bohan 2023): plain blocks of three convolutions
 * without norms; in the one for FLUX.2 some blocks first look at the whole picture through a group
 * norm. */
#include <stdio.h>

#include "models/autoencoder.h"

/* NAME with a number in it. */
typedef struct layer_name {
    char text[96];
} layer_name;

static layer_name layer(const char *format, uint32_t i, uint32_t j)
{
    layer_name name;
    snprintf(name.text, sizeof name.text, format, i, j);
    return name;
}

/* ---- AutoencoderTiny ----------------------------------------------------------------------- */

static lp_feature_map tiny_act(lp_builder *b, const char *name, lp_feature_map m)
{
    char text[160];
    snprintf(text, sizeof text, "%s.act", name);
    return lp_feature_map_act(b, text, m, LP_ACT_RELU);
}

static lp_feature_map tiny_conv(lp_builder *b, const char *block, const char *which,
                                lp_feature_map m, int64_t n, lp_conv_kind kind, bool act)
{
    char text[128];
    snprintf(text, sizeof text, "%s.%s", block, which);
    m = lp_feature_map_conv(b, text, m, n, kind);
    return act ? tiny_act(b, text, m) : m;
}

/* m + pool(m): what a block of the middle may begin with. */
static lp_feature_map tiny_pool(lp_builder *b, const char *name, lp_feature_map m)
{
    enum { GROUPS = 4, TIMES = 4 };
    const lp_conv_kind plain = {1, 1, 0, 0, 1, true};
    char text[128];
    lp_feature_map h = tiny_conv(b, name, "pool.0", m, TIMES * (int64_t)m.channels, plain, false);
    snprintf(text, sizeof text, "%s.pool.1", name);
    h = lp_feature_map_norm(b, text, h, GROUPS, 1e-5f, LP_ACT_RELU);
    h = tiny_conv(b, name, "pool.3", h, m.channels, plain, false);
    snprintf(text, sizeof text, "%s.pool", name);
    return lp_feature_map_add(b, text, m, h);
}

/* relu(conv(relu(conv(relu(conv(m))))) + m) */
static lp_feature_map tiny_block(lp_builder *b, const lp_autoencoder_model *model, const char *name,
                                 lp_feature_map m)
{
    char text[128];
    snprintf(text, sizeof text, "%s.pool.0.weight", name);
    if (lp_weights_find(model->weights, text) != NULL)
        m = tiny_pool(b, name, m);
    lp_feature_map h = tiny_conv(b, name, "conv.0", m, m.channels, LP_CONV_3, true);
    h = tiny_conv(b, name, "conv.2", h, m.channels, LP_CONV_3, true);
    h = tiny_conv(b, name, "conv.4", h, m.channels, LP_CONV_3, false);
    snprintf(text, sizeof text, "%s.sum", name);
    return tiny_act(b, name, lp_feature_map_add(b, text, m, h));
}

static lp_feature_map tiny_encoder(lp_builder *b, const lp_autoencoder_model *model,
                                   lp_feature_map m)
{
    const char *format = "encoder.layers.%u";
    const lp_autoencoder_half *half = &model->halves[LP_AUTOENCODER_ENCODER];
    lp_conv_kind kind = LP_CONV_3;
    uint32_t i = 0;
    for (uint32_t s = 0; s < half->n_stages; s++) {
        m = lp_feature_map_conv(b, layer(format, i++, 0).text, m, half->channels[s], kind);
        kind = LP_CONV_HALF;
        kind.no_bias = true;
        for (uint32_t n = 0; n < half->blocks[s]; n++)
            m = tiny_block(b, model, layer(format, i++, 0).text, m);
    }
    return lp_feature_map_conv(b, layer(format, i, 0).text, m, model->latent_channels, LP_CONV_3);
}

static lp_feature_map tiny_decoder(lp_builder *b, const lp_autoencoder_model *model,
                                   lp_feature_map m)
{
    enum { MAGNITUDE = 3 };
    const char *format = "decoder.layers.%u";
    const lp_autoencoder_half *half = &model->halves[LP_AUTOENCODER_DECODER];
    const float magnitude = MAGNITUDE;
    m.x = lp_act_scaled(b, "decoder.clamp", LP_ACT_TANH, 1 / magnitude, m.x, magnitude);
    m = lp_feature_map_conv(b, layer(format, 0, 0).text, m, half->channels[0], LP_CONV_3);
    m = tiny_act(b, layer(format, 0, 0).text, m);
    uint32_t i = 2; /* 1 is the activation */
    for (uint32_t s = 0; s < half->n_stages; s++) {
        const bool last = s + 1 == half->n_stages;
        lp_conv_kind kind = last ? LP_CONV_3 : LP_CONV_UP;
        kind.no_bias = !last;
        for (uint32_t n = 0; n < half->blocks[s]; n++)
            m = tiny_block(b, model, layer(format, i++, 0).text, m);
        i += !last; /* the upsampling has a number, too */
        m = lp_feature_map_conv(b, layer(format, i++, 0).text, m, last ? 3 : half->channels[s],
                                kind);
    }
    return m;
}

/* ---- AutoencoderKL ------------------------------------------------------------------------- */

#define KL_EPS 1e-6f

static lp_feature_map kl_resnet(lp_builder *b, const lp_autoencoder_model *model,
                                const layer_name *name, lp_feature_map m, int64_t n)
{
    return lp_feature_map_resnet(b, name->text, m, n, (int32_t)model->n_groups, KL_EPS, LP_NONE);
}

static lp_feature_map kl_middle(lp_builder *b, const lp_autoencoder_model *model, const char *half,
                                lp_feature_map m)
{
    layer_name name[3];
    snprintf(name[0].text, sizeof name[0].text, "%s.mid_block.resnets.0", half);
    snprintf(name[1].text, sizeof name[1].text, "%s.mid_block.attentions.0", half);
    snprintf(name[2].text, sizeof name[2].text, "%s.mid_block.resnets.1", half);
    m = kl_resnet(b, model, &name[0], m, m.channels);
    if (model->attention)
        m = lp_feature_map_attention(b, name[1].text, m, 1, (int32_t)model->n_groups, KL_EPS);
    return kl_resnet(b, model, &name[2], m, m.channels);
}

static lp_feature_map kl_encoder(lp_builder *b, const lp_autoencoder_model *model, lp_feature_map m)
{
    const lp_autoencoder_half *half = &model->halves[LP_AUTOENCODER_ENCODER];
    const lp_conv_kind down = {3, 2, 0, 1, 1, false}; /* padded below and right only */
    const int64_t n_moments = 2 * (int64_t)model->latent_channels;
    m = lp_feature_map_conv(b, "encoder.conv_in", m, half->channels[0], LP_CONV_3);
    for (uint32_t s = 0; s < half->n_stages; s++) {
        for (uint32_t n = 0; n < half->blocks[s]; n++) {
            const layer_name name = layer("encoder.down_blocks.%u.resnets.%u", s, n);
            m = kl_resnet(b, model, &name, m, half->channels[s]);
        }
        if (s + 1 < half->n_stages)
            m = lp_feature_map_conv(b,
                                    layer("encoder.down_blocks.%u.downsamplers.0.conv", s, 0).text,
                                    m, half->channels[s], down);
    }
    m = kl_middle(b, model, "encoder", m);
    m = lp_feature_map_norm(b, "encoder.conv_norm_out", m, (int32_t)model->n_groups, KL_EPS,
                            LP_ACT_SILU);
    m = lp_feature_map_conv(b, "encoder.conv_out", m, n_moments, LP_CONV_3);
    return model->quant_conv ? lp_feature_map_conv(b, "quant_conv", m, n_moments, LP_CONV_1) : m;
}

static lp_feature_map kl_decoder(lp_builder *b, const lp_autoencoder_model *model, lp_feature_map m)
{
    const lp_autoencoder_half *half = &model->halves[LP_AUTOENCODER_DECODER];
    if (model->post_quant_conv)
        m = lp_feature_map_conv(b, "post_quant_conv", m, model->latent_channels, LP_CONV_1);
    m = lp_feature_map_conv(b, "decoder.conv_in", m, half->channels[0], LP_CONV_3);
    m = kl_middle(b, model, "decoder", m);
    for (uint32_t s = 0; s < half->n_stages; s++) {
        for (uint32_t n = 0; n < half->blocks[s]; n++) {
            const layer_name name = layer("decoder.up_blocks.%u.resnets.%u", s, n);
            m = kl_resnet(b, model, &name, m, half->channels[s]);
        }
        if (s + 1 < half->n_stages)
            m = lp_feature_map_conv(b, layer("decoder.up_blocks.%u.upsamplers.0.conv", s, 0).text,
                                    m, half->channels[s], LP_CONV_UP);
    }
    m = lp_feature_map_norm(b, "decoder.conv_norm_out", m, (int32_t)model->n_groups, KL_EPS,
                            LP_ACT_SILU);
    return lp_feature_map_conv(b, "decoder.conv_out", m, 3, LP_CONV_3);
}

/* ---- Rows ---------------------------------------------------------------------------------- */

const lp_autoencoder_arch lp_autoencoder_kl = {
    .class_name = "AutoencoderKL",
    .low = -1,
    .high = 1,
    .moments = 2,
    .first_weights = {"encoder.conv_in.weight", "decoder.conv_in.weight"},
    .read = lp_autoencoder_read_kl,
    .walks = {kl_encoder, kl_decoder},
};

const lp_autoencoder_arch lp_autoencoder_tiny = {
    .class_name = "AutoencoderTiny",
    .low = 0,
    .high = 1,
    .moments = 1,
    .first_weights = {"encoder.layers.0.weight", "decoder.layers.0.weight"},
    .read = lp_autoencoder_read_tiny,
    .walks = {tiny_encoder, tiny_decoder},
};

lp_status lp_autoencoder_graph(lp_context *ctx, const lp_autoencoder_model *model, lp_store *store,
                               lp_autoencoder_part which, uint32_t height, uint32_t width,
                               bool no_fusion, lp_graph **graph)
{
    const bool encodes = which == LP_AUTOENCODER_ENCODER;
    const uint32_t factor = encodes ? model->factor : 1;
    lp_builder b;
    if (!model->has[which])
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: there is no %s in it", model->path,
                       encodes ? "encoder" : "decoder");
    if (height < 1 || width < 1 || height > LP_AUTOENCODER_SIDE / model->factor ||
        width > LP_AUTOENCODER_SIDE / model->factor)
        return lp_fail(ctx, LP_E_LIMIT, "latents of %u x %u; sides of 1 to %u are possible", width,
                       height, LP_AUTOENCODER_SIDE / model->factor);
    lp_feature_map m = {.height = (int32_t)(height * factor),
                        .width = (int32_t)(width * factor),
                        .channels = encodes ? 3 : (int32_t)model->latent_channels};
    LP_TRY(lp_builder_start(&b, ctx, store, model->weights, 1));
    m.x = lp_input(&b, encodes ? "pixels" : "latents",
                   LP_SHAPE2((int64_t)m.height * m.width, m.channels));
    m = model->arch->walks[which](&b, model, m);
    lp_output(&b, m.x, encodes ? "latents" : "pixels");
    return lp_builder_finish(&b, no_fusion, graph);
}
