/* Opening autoencoders: folders, configs, names of weights. See autoencoder.h. */
#include "models/autoencoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/safetensors.h"

/* ---- config.json --------------------------------------------------------------------------- */

enum { MOST_CHANNELS = 1 << 13, MOST_BLOCKS = 64 };

/* What both kinds have. */
static lp_status read_common(const lp_config *c, lp_autoencoder_model *m)
{
    LP_TRY(lp_config_must_be_number(c, "in_channels", 3));
    LP_TRY(lp_config_must_be_number(c, "out_channels", 3));
    LP_TRY(lp_config_u32(c, "latent_channels", LP_JSON_OPTIONAL, &m->latent_channels));
    LP_TRY(lp_config_positive(c, "scaling_factor", &m->scaling));
    LP_TRY(lp_config_must_be_off(c, "latents_mean"));
    LP_TRY(lp_config_must_be_off(c, "latents_std"));
    LP_TRY(lp_config_f32(c, "shift_factor", &m->shift));
    if (m->latent_channels < 1 || m->latent_channels > MOST_CHANNELS)
        return lp_fail(c->ctx, LP_E_LIMIT, "%s: latent_channels is %u; 1 to %d is possible",
                       c->where, m->latent_channels, MOST_CHANNELS);
    return LP_OK;
}

lp_status lp_autoencoder_read_tiny(const lp_config *c, lp_autoencoder_model *m)
{
    static const struct {
        const char *channels, *blocks;
    } keys[2] = {{"encoder_block_out_channels", "num_encoder_blocks"},
                 {"decoder_block_out_channels", "num_decoder_blocks"}};
    m->latent_channels = 4;
    m->scaling = 1;
    LP_TRY(read_common(c, m));
    LP_TRY(lp_config_must_be(c, "act_fn", "relu"));
    LP_TRY(lp_config_must_be(c, "upsample_fn", "nearest"));
    LP_TRY(lp_config_must_be_number(c, "upsampling_scaling_factor", 2));
    LP_TRY(lp_config_must_be_number(c, "latent_magnitude", 3));
    for (int i = 0; i < 2; i++) {
        lp_autoencoder_half *half = &m->halves[i];
        LP_TRY(
            lp_config_numbers(c, keys[i].channels, MOST_CHANNELS, &half->n_stages, half->channels));
        LP_TRY(lp_config_numbers(c, keys[i].blocks, MOST_BLOCKS, &half->n_stages, half->blocks));
    }
    if (m->halves[0].n_stages != m->halves[1].n_stages)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: an encoder of %u stages, a decoder of %u",
                       c->where, m->halves[0].n_stages, m->halves[1].n_stages);
    return LP_OK;
}

/* All stages must be of the kind that is known. */
static lp_status check_stages(const lp_config *c, const char *key, const char *wanted)
{
    yyjson_val *array = NULL, *value;
    size_t i, n;
    LP_TRY(lp_json_get_array(c->ctx, c->where, c->root, key, LP_JSON_OPTIONAL, &array));
    yyjson_arr_foreach(array, i, n, value) if (!yyjson_equals_str(value, wanted)) return lp_fail(
        c->ctx, LP_E_UNSUPPORTED, "%s: %s: only \"%s\" is supported", c->where, key, wanted);
    return LP_OK;
}

lp_status lp_autoencoder_read_kl(const lp_config *c, lp_autoencoder_model *m)
{
    lp_autoencoder_half *encoder = &m->halves[0], *decoder = &m->halves[1];
    uint32_t n_blocks = 1;
    m->latent_channels = 4;
    m->n_groups = 32;
    m->attention = m->quant_conv = m->post_quant_conv = true;
    m->scaling = 0.18215f; /* of Stable Diffusion 1, whose files do not tell */
    LP_TRY(read_common(c, m));
    LP_TRY(lp_config_must_be(c, "act_fn", "silu"));
    LP_TRY(check_stages(c, "down_block_types", "DownEncoderBlock2D"));
    LP_TRY(check_stages(c, "up_block_types", "UpDecoderBlock2D"));
    LP_TRY(lp_config_u32(c, "norm_num_groups", LP_JSON_OPTIONAL, &m->n_groups));
    LP_TRY(lp_config_u32(c, "layers_per_block", LP_JSON_OPTIONAL, &n_blocks));
    LP_TRY(lp_config_bool(c, "mid_block_add_attention", &m->attention));
    LP_TRY(lp_config_bool(c, "use_quant_conv", &m->quant_conv));
    LP_TRY(lp_config_bool(c, "use_post_quant_conv", &m->post_quant_conv));
    LP_TRY(lp_config_numbers(c, "block_out_channels", MOST_CHANNELS, &encoder->n_stages,
                             encoder->channels));
    if (n_blocks < 1 || n_blocks > MOST_BLOCKS || m->n_groups < 1)
        return lp_fail(c->ctx, LP_E_LIMIT, "%s: layers_per_block is %u, norm_num_groups %u",
                       c->where, n_blocks, m->n_groups);
    decoder->n_stages = encoder->n_stages;
    for (uint32_t i = 0; i < encoder->n_stages; i++) {
        if (encoder->channels[i] % m->n_groups != 0)
            return lp_fail(c->ctx, LP_E_FORMAT, "%s: %u channels in %u groups", c->where,
                           encoder->channels[i], m->n_groups);
        encoder->blocks[i] = n_blocks;
        decoder->channels[encoder->n_stages - 1 - i] = encoder->channels[i];
        decoder->blocks[i] = n_blocks + 1;
    }
    return LP_OK;
}

static lp_status read_config(lp_context *ctx, const char *path, lp_autoencoder_model *m)
{
    static const lp_autoencoder_arch *const archs[] = {&lp_autoencoder_kl, &lp_autoencoder_tiny};
    yyjson_doc *doc = NULL;
    const char *name = NULL;
    LP_TRY(lp_json_open(ctx, path, &doc));
    const lp_config c = {ctx, path, yyjson_doc_get_root(doc)};
    lp_status status =
        lp_json_get_string(ctx, path, c.root, "_class_name", LP_JSON_REQUIRED, &name);
    for (size_t i = 0; i < sizeof archs / sizeof *archs && status == LP_OK; i++)
        if (strcmp(archs[i]->class_name, name) == 0)
            m->arch = archs[i];
    if (status == LP_OK)
        status = m->arch != NULL
                     ? m->arch->read(&c, m)
                     : lp_fail(ctx, LP_E_UNSUPPORTED,
                               "%s: \"%.60s\" is no autoencoder that is known (AutoencoderKL, "
                               "AutoencoderTiny)",
                               path, name);
    yyjson_doc_free(doc);
    return status;
}

/* ---- Weights ------------------------------------------------------------------------------- */

/* Names of the first files: "encoder.layers." and a number in front; the decoder's number 0 is the
 * clamp, which diffusers does not count. */
static lp_status open_plain(lp_context *ctx, const char *path, bool decoder,
                            lp_autoencoder_model *m)
{
    const size_t before = lp_weights_count(m->weights);
    LP_TRY(lp_safetensors_open(ctx, path, m->weights));
    for (size_t i = before; i < lp_weights_count(m->weights); i++) {
        const char *name = lp_weights_at(m->weights, i)->name;
        char *end, other[256];
        const unsigned long number = strtoul(name, &end, 10);
        if (end == name || *end != '.' || number > 9999 || number < (unsigned long)decoder)
            return lp_fail(ctx, LP_E_FORMAT, "%s: %.100s is no tensor of a tiny autoencoder", path,
                           name);
        snprintf(other, sizeof other, "%s.layers.%lu%.200s", decoder ? "decoder" : "encoder",
                 number - decoder, end);
        LP_TRY(lp_weights_rename(ctx, m->weights, i, other));
    }
    return LP_OK;
}

/* The sizes that they have: those of the paper's code; the number of latent channels is in the
 * weights. */
static lp_status plain_sizes(lp_context *ctx, lp_autoencoder_model *m)
{
    enum { CHANNELS = 64, STAGES = 4 };
    static const uint32_t blocks[2][STAGES] = {{1, 3, 3, 3}, {3, 3, 3, 1}};
    const lp_weight *in = lp_weights_find(m->weights, "decoder.layers.0.weight");
    const lp_weight *out = lp_weights_find(m->weights, "encoder.layers.14.weight");
    m->arch = &lp_autoencoder_tiny;
    m->scaling = 1;
    for (int h = 0; h < 2; h++) {
        m->halves[h].n_stages = STAGES;
        for (int i = 0; i < STAGES; i++) {
            m->halves[h].channels[i] = CHANNELS;
            m->halves[h].blocks[i] = blocks[h][i];
        }
    }
    const int64_t n = in && in->shape.n == 4     ? in->shape.dim[1]
                      : out && out->shape.n == 4 ? out->shape.dim[0]
                                                 : 0;
    if (n < 1 || n > MOST_CHANNELS)
        return lp_fail(ctx, LP_E_FORMAT, "%s: these are no weights of a tiny autoencoder", m->path);
    m->latent_channels = (uint32_t)n;
    return LP_OK;
}

/* Names that older versions of diffusers gave to the layers of attention. */
static lp_status rename_old(lp_context *ctx, lp_weights *weights)
{
    static const char *const names[][2] = {{".attentions.0.query.", ".attentions.0.to_q."},
                                           {".attentions.0.key.", ".attentions.0.to_k."},
                                           {".attentions.0.value.", ".attentions.0.to_v."},
                                           {".attentions.0.proj_attn.", ".attentions.0.to_out.0."}};
    for (size_t i = 0; i < lp_weights_count(weights); i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            const char *name = lp_weights_at(weights, i)->name, *at = strstr(name, names[k][0]);
            char other[256];
            if (at == NULL)
                continue;
            snprintf(other, sizeof other, "%.*s%s%.60s", (int)(at - name < 100 ? at - name : 100),
                     name, names[k][1], at + strlen(names[k][0]));
            LP_TRY(lp_weights_rename(ctx, weights, i, other));
            break;
        }
    return LP_OK;
}

/* The path of a file in the model's folder, malloc'ed; *there tells whether it is. */
static lp_status file_of(lp_context *ctx, const lp_autoencoder_model *m, const char *name,
                         char **path, bool *there)
{
    *path = lp_path_join(m->path, name);
    if (*path == NULL)
        return lp_fail_memory(ctx, "a path");
    *there = lp_path_exists(*path);
    return LP_OK;
}

static lp_status open_plain_files(lp_context *ctx, lp_autoencoder_model *m)
{
    static const char *const names[2] = {"encoder.safetensors", "decoder.safetensors"};
    for (int i = 0; i < 2; i++) {
        char *path;
        bool there = false;
        LP_TRY(file_of(ctx, m, names[i], &path, &there));
        const lp_status status = there ? open_plain(ctx, path, i == 1, m) : LP_OK;
        free(path);
        LP_TRY(status);
    }
    if (lp_weights_count(m->weights) == 0)
        return lp_fail(ctx, LP_E_MISSING,
                       "%s: no config.json, encoder.safetensors or decoder.safetensors", m->path);
    return plain_sizes(ctx, m);
}

static lp_status open_folder(lp_context *ctx, lp_autoencoder_model *m)
{
    char *config;
    bool there = false;
    LP_TRY(file_of(ctx, m, "config.json", &config, &there));
    const lp_status status = there ? read_config(ctx, config, m) : open_plain_files(ctx, m);
    free(config);
    if (status != LP_OK || !there)
        return status;
    LP_TRY(lp_feature_map_open(ctx, m->path, m->weights));
    return rename_old(ctx, m->weights);
}

lp_status lp_autoencoder_model_open(lp_context *ctx, const char *path,
                                    lp_autoencoder_model **result)
{
    lp_status status = LP_OK;
    lp_autoencoder_model *m = calloc(1, sizeof *m);
    *result = NULL;
    if (m == NULL || (m->path = malloc(strlen(path) + 1)) == NULL ||
        (m->weights = lp_weights_create()) == NULL) {
        status = lp_fail_memory(ctx, "a model");
        goto cleanup;
    }
    strcpy(m->path, path);
    if (!lp_path_is_folder(path)) {
        status = lp_fail(ctx, lp_path_exists(path) ? LP_E_ARG : LP_E_IO,
                         "%s: an autoencoder is a folder%s", path,
                         lp_path_exists(path) ? "" : ", and there is none");
        goto cleanup;
    }
    LP_CHECK(open_folder(ctx, m));
    m->factor = 1u << (m->halves[0].n_stages - 1);
    for (int i = 0; i < 2; i++)
        m->has[i] = lp_weights_find(m->weights, m->arch->first_weights[i]) != NULL;
    if (!m->has[0] && !m->has[1]) {
        status = lp_fail(ctx, LP_E_MISSING, "%s: neither %s nor %s is in it", path,
                         m->arch->first_weights[0], m->arch->first_weights[1]);
        goto cleanup;
    }
    LP_CHECK(lp_feature_map_weights(ctx, m->weights));
    *result = m;
    return LP_OK;
cleanup:
    lp_autoencoder_model_destroy(m);
    return status;
}

void lp_autoencoder_model_destroy(lp_autoencoder_model *m)
{
    if (m == NULL)
        return;
    lp_weights_destroy(m->weights);
    free(m->path);
    free(m);
}
