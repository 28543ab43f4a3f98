/* Opening denoising U-Nets: see denoiser.h. */
#include "models/denoiser.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text before `end`, if `name` ends so; else 0. */
static size_t before(const char *name, const char *end)
{
    const size_t n = strlen(name), n_end = strlen(end);
    return n > n_end && strcmp(name + n - n_end, end) == 0 ? n - n_end : 0;
}

/* Half of the rows, as a weight of its own. */
static lp_status add_half(lp_context *ctx, lp_weights *weights, lp_weight w, bool second,
                          const char *name)
{
    w.name = name;
    w.shape.dim[0] /= 2;
    w.bytes /= 2;
    w.data = (const uint8_t *)w.data + (second ? w.bytes : 0);
    return lp_weights_add(ctx, weights, &w);
}

/* The gated layers' two matrices, which files hold in one: NAME.proj becomes NAME.value and
 * NAME.gate (Shazeer 2020, arXiv:2002.05202: GEGLU). */
static lp_status split_gated(lp_context *ctx, lp_weights *weights)
{
    static const char *const kinds[] = {"weight", "bias"};
    const size_t n = lp_weights_count(weights);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 2; k++) {
            const lp_weight w = *lp_weights_at(weights, i);
            char end[32], name[256];
            snprintf(end, sizeof end, ".ff.net.0.proj.%s", kinds[k]);
            const size_t length = before(w.name, end);
            if (length == 0 || length > 160 || !lp_dtype_is_plain(w.dtype) || w.data == NULL)
                continue;
            if (w.shape.n != 2 - k || w.shape.dim[0] % 2 != 0)
                return lp_fail(ctx, LP_E_SHAPE, "%s: the rows of two matrices are expected",
                               w.name);
            for (int half = 0; half < 2; half++) {
                snprintf(name, sizeof name, "%.*s.ff.net.0.%s.%s", (int)length, w.name,
                         half == 0 ? "value" : "gate", kinds[k]);
                LP_TRY(add_half(ctx, weights, w, half == 1, name));
            }
        }
    return LP_OK;
}

/* What a timestep adds to a residual block's first convolution joins with that one's bias: so they
 * are one number per channel, NAME.time_emb_proj.bias, and nothing is added to any pixel. */
static lp_status sum_biases(lp_context *ctx, lp_weights *weights)
{
    for (size_t i = 0; i < lp_weights_count(weights); i++) {
        lp_weight *time = lp_weights_at(weights, i);
        const size_t length = before(time->name, ".time_emb_proj.bias");
        char name[256];
        if (length == 0 || length > 200)
            continue;
        snprintf(name, sizeof name, "%.*s.conv1.bias", (int)length, time->name);
        const lp_weight *conv = lp_weights_find(weights, name);
        if (conv == NULL)
            return lp_fail(ctx, LP_E_MISSING, "%s: no such tensor in the model", name);
        LP_TRY(lp_weight_usable(ctx, time));
        LP_TRY(lp_weight_usable(ctx, conv));
        if (time->shape.n != 1 || !lp_shape_equal(time->shape, conv->shape) ||
            !lp_dtype_is_plain(time->dtype) || !lp_dtype_is_plain(conv->dtype) ||
            time->data == NULL || conv->data == NULL)
            return lp_fail(ctx, LP_E_SHAPE, "%s: it should be like %s", name, time->name);
        const size_t n = (size_t)time->shape.dim[0];
        uint8_t *memory = NULL;
        LP_TRY(lp_weights_memory(ctx, weights, 2 * n * sizeof(float), time->name, &memory));
        float *sum = (float *)(void *)memory;
        lp_dtype_table[time->dtype].to_f32(time->data, sum, n);
        lp_dtype_table[conv->dtype].to_f32(conv->data, sum + n, n);
        for (size_t k = 0; k < n; k++)
            sum[k] += sum[n + k];
        time->dtype = LP_F32;
        time->data = sum;
        time->bytes = n * sizeof(float);
    }
    return LP_OK;
}

static lp_status open_folder(lp_context *ctx, lp_denoiser_model *m)
{
    yyjson_doc *doc = NULL;
    char *path = lp_path_join(m->path, "config.json");
    if (path == NULL)
        return lp_fail_memory(ctx, "a path");
    lp_status status = lp_json_open(ctx, path, &doc);
    if (status == LP_OK) {
        const lp_config c = {ctx, path, yyjson_doc_get_root(doc)};
        status = lp_denoiser_read(&c, m);
        yyjson_doc_free(doc);
    }
    free(path);
    LP_TRY(status);
    LP_TRY(lp_feature_map_open(ctx, m->path, m->weights));
    LP_TRY(lp_feature_map_weights(ctx, m->weights));
    LP_TRY(split_gated(ctx, m->weights));
    return sum_biases(ctx, m->weights);
}

lp_status lp_denoiser_model_open(lp_context *ctx, const char *path, lp_denoiser_model **result)
{
    lp_status status;
    lp_denoiser_model *m = calloc(1, sizeof *m);
    *result = NULL;
    if (m == NULL || (m->path = malloc(strlen(path) + 1)) == NULL ||
        (m->weights = lp_weights_create()) == NULL) {
        status = lp_fail_memory(ctx, "a model");
        goto cleanup;
    }
    strcpy(m->path, path);
    LP_CHECK(open_folder(ctx, m));
    *result = m;
    return LP_OK;
cleanup:
    lp_denoiser_model_destroy(m);
    return status;
}

void lp_denoiser_model_destroy(lp_denoiser_model *m)
{
    if (m == NULL)
        return;
    lp_weights_destroy(m->weights);
    free(m->path);
    free(m);
}

void lp_denoiser_time(const lp_denoiser_model *m, double timestep, float *values)
{
    const uint32_t n = m->stages[0].channels, half = n / 2;
    for (uint32_t i = 0; i < half; i++) {
        const double angle = timestep * exp(-log(10000) * i / (half - m->frequency_shift));
        values[i + (m->cosine_first ? half : 0)] = (float)sin(angle);
        values[i + (m->cosine_first ? 0 : half)] = (float)cos(angle);
    }
    if (n % 2 != 0)
        values[n - 1] = 0;
}
