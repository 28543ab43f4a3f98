/* config.json of a denoising U-Net, see denoiser.h. */
#include "models/denoiser.h"

enum { MOST_CHANNELS = 1 << 13, MOST_HEADS = 256, MOST_CONTEXT = 1 << 14 };

/* What later models changed and is not known here. */
static lp_status refuse_others(const lp_config *c)
{
    static const char *const off[] = {"addition_embed_type",
                                      "attention_bias",
                                      "center_input_sample",
                                      "class_embed_type",
                                      "class_embeddings_concat",
                                      "cross_attention_norm",
                                      "dual_cross_attention",
                                      "encoder_hid_dim",
                                      "encoder_hid_dim_type",
                                      "mid_block_only_cross_attention",
                                      "num_attention_heads",
                                      "num_class_embeds",
                                      "only_cross_attention",
                                      "resnet_skip_time_act",
                                      "reverse_transformer_layers_per_block",
                                      "time_cond_proj_dim",
                                      "time_embedding_act_fn",
                                      "time_embedding_dim",
                                      "timestep_post_act"};
    static const struct {
        const char *key, *value;
    } texts[] = {{"act_fn", "silu"},
                 {"attention_type", "default"},
                 {"resnet_time_scale_shift", "default"},
                 {"time_embedding_type", "positional"}};
    static const struct {
        const char *key;
        float value;
    } numbers[] = {{"conv_in_kernel", 3},
                   {"conv_out_kernel", 3},
                   {"downsample_padding", 1},
                   {"mid_block_scale_factor", 1},
                   {"resnet_out_scale_factor", 1}};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        LP_TRY(lp_config_must_be_off(c, off[i]));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        LP_TRY(lp_config_must_be(c, texts[i].key, texts[i].value));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        LP_TRY(lp_config_must_be_number(c, numbers[i].key, numbers[i].value));
    return LP_OK;
}

/* The kinds of blocks; those on the way up come in the other order. */
static lp_status read_kinds(const lp_config *c, bool up, lp_denoiser_model *m)
{
    const char *key = up ? "up_block_types" : "down_block_types";
    const char *plain = up ? "UpBlock2D" : "DownBlock2D";
    const char *attends = up ? "CrossAttnUpBlock2D" : "CrossAttnDownBlock2D";
    yyjson_val *array = NULL;
    LP_TRY(lp_json_get_array(c->ctx, c->where, c->root, key, LP_JSON_REQUIRED, &array));
    if (yyjson_arr_size(array) != m->n_stages)
        return lp_fail(c->ctx, LP_E_FORMAT, "%s: %s: %zu blocks; block_out_channels has %u",
                       c->where, key, yyjson_arr_size(array), m->n_stages);
    for (uint32_t i = 0; i < m->n_stages; i++) {
        yyjson_val *value = yyjson_arr_get(array, i);
        const bool is_attention = yyjson_equals_str(value, attends);
        if (!is_attention && !yyjson_equals_str(value, plain))
            return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                           "%s: %s: \"%.60s\"; only %s and %s are supported", c->where, key,
                           yyjson_is_str(value) ? yyjson_get_str(value) : "?", plain, attends);
        m->stages[up ? m->n_stages - 1 - i : i].attends[up] = is_attention;
    }
    return LP_OK;
}

/* The middle is there unless its kind is null. */
static lp_status read_middle(const lp_config *c, lp_denoiser_model *m)
{
    yyjson_val *kind = yyjson_obj_get(c->root, "mid_block_type");
    m->has_middle = kind == NULL || !yyjson_is_null(kind);
    return lp_config_must_be(c, "mid_block_type", "UNetMidBlock2DCrossAttn");
}

static lp_status check_limit(const lp_config *c, const char *key, uint32_t value, uint32_t most)
{
    if (value >= 1 && value <= most)
        return LP_OK;
    return lp_fail(c->ctx, LP_E_LIMIT, "%s: %s is %u; 1 to %u is possible", c->where, key, value,
                   most);
}

static lp_status read_stages(const lp_config *c, lp_denoiser_model *m)
{
    uint32_t channels[LP_DENOISER_STAGES], blocks[LP_DENOISER_STAGES], heads[LP_DENOISER_STAGES],
        depths[LP_DENOISER_STAGES];
    LP_TRY(lp_config_numbers(c, "block_out_channels", MOST_CHANNELS, &m->n_stages, channels));
    LP_TRY(lp_config_numbers_or_one(c, "layers_per_block", LP_DENOISER_BLOCKS, m->n_stages, 2,
                                    blocks));
    /* a number of heads, in spite of its name */
    LP_TRY(lp_config_numbers_or_one(c, "attention_head_dim", MOST_HEADS, m->n_stages, 8, heads));
    LP_TRY(lp_config_numbers_or_one(c, "transformer_layers_per_block", LP_DENOISER_BLOCKS,
                                    m->n_stages, 1, depths));
    for (uint32_t i = 0; i < m->n_stages; i++) {
        m->stages[i] = (lp_denoiser_stage){.channels = channels[i],
                                           .n_blocks = blocks[i],
                                           .n_heads = heads[i],
                                           .depth = depths[i]};
        if (channels[i] % m->n_groups != 0)
            return lp_fail(c->ctx, LP_E_FORMAT, "%s: %u channels in %u groups", c->where,
                           channels[i], m->n_groups);
    }
    LP_TRY(read_kinds(c, false, m));
    LP_TRY(read_kinds(c, true, m));
    for (uint32_t i = 0; i < m->n_stages; i++) {
        const lp_denoiser_stage *stage = &m->stages[i];
        const bool middle = m->has_middle && i + 1 == m->n_stages;
        if ((stage->attends[0] || stage->attends[1] || middle) &&
            stage->channels % stage->n_heads != 0)
            return lp_fail(c->ctx, LP_E_FORMAT, "%s: attention_head_dim: %u channels, %u heads",
                           c->where, stage->channels, stage->n_heads);
    }
    return LP_OK;
}

/* A number or a pair of them, height and width; what is neither, or too large, is no matter: it
 * only is what is made if nothing else is asked for. */
static void read_sample_size(const lp_config *c, lp_denoiser_model *m)
{
    enum { USUAL = 64 };
    yyjson_val *size = yyjson_obj_get(c->root, "sample_size");
    yyjson_val *height = yyjson_is_arr(size) ? yyjson_arr_get(size, 0) : size;
    yyjson_val *width = yyjson_is_arr(size) ? yyjson_arr_get(size, 1) : size;
    const uint64_t h = yyjson_get_uint(height), w = yyjson_get_uint(width);
    const bool possible = h >= 1 && w >= 1 && h <= LP_DENOISER_SIDE && w <= LP_DENOISER_SIDE;
    m->sample_height = possible ? (uint32_t)h : USUAL;
    m->sample_width = possible ? (uint32_t)w : USUAL;
}

lp_status lp_denoiser_read(const lp_config *c, lp_denoiser_model *m)
{
    LP_TRY(lp_config_must_be(c, "_class_name", "UNet2DConditionModel"));
    LP_TRY(refuse_others(c));
    m->in_channels = m->out_channels = 4;
    m->n_groups = 32;
    m->n_context = 1280;
    m->eps = 1e-5f;
    m->cosine_first = true;
    LP_TRY(lp_config_u32(c, "in_channels", LP_JSON_OPTIONAL, &m->in_channels));
    LP_TRY(lp_config_u32(c, "out_channels", LP_JSON_OPTIONAL, &m->out_channels));
    LP_TRY(lp_config_u32(c, "norm_num_groups", LP_JSON_OPTIONAL, &m->n_groups));
    LP_TRY(lp_config_u32(c, "cross_attention_dim", LP_JSON_OPTIONAL, &m->n_context));
    LP_TRY(lp_config_positive(c, "norm_eps", &m->eps));
    LP_TRY(lp_config_bool(c, "flip_sin_to_cos", &m->cosine_first));
    LP_TRY(lp_config_u32(c, "freq_shift", LP_JSON_OPTIONAL, &m->frequency_shift));
    LP_TRY(lp_config_bool(c, "use_linear_projection", &m->linear_projections));
    LP_TRY(check_limit(c, "in_channels", m->in_channels, MOST_CHANNELS));
    read_sample_size(c, m);
    LP_TRY(check_limit(c, "out_channels", m->out_channels, MOST_CHANNELS));
    LP_TRY(check_limit(c, "norm_num_groups", m->n_groups, MOST_CHANNELS));
    LP_TRY(check_limit(c, "cross_attention_dim", m->n_context, MOST_CONTEXT));
    LP_TRY(read_middle(c, m));
    LP_TRY(read_stages(c, m));
    if (m->frequency_shift > 1 || m->stages[0].channels / 2 <= m->frequency_shift)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: freq_shift is %u, of %u channels", c->where,
                       m->frequency_shift, m->stages[0].channels);
    return LP_OK;
}
