/* Latents in files of safetensors: see coder.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/coder.h"
#include "tensor/safetensors.h"

lp_status lp_latents_write(lp_context *ctx, const char *path, const float *latents,
                           const uint32_t shape[3])
{
    char header[160];
    uint8_t length[8] = {0};
    lp_writer writer = {0};
    const size_t bytes = (size_t)shape[0] * shape[1] * shape[2] * sizeof *latents;
    const int n = snprintf(
        header, sizeof header,
        "{\"latents\":{\"dtype\":\"F32\",\"shape\":[1,%u,%u,%u],\"data_offsets\":[0,%zu]}}",
        shape[0], shape[1], shape[2], bytes);
    const size_t padded = ((size_t)n + 7) / 8 * 8;
    memset(header + n, ' ', padded - (size_t)n);
    length[0] = (uint8_t)padded;
    LP_TRY(lp_writer_open(ctx, path, &writer));
    lp_status status = lp_writer_write(&writer, length, sizeof length);
    if (status == LP_OK)
        status = lp_writer_write(&writer, header, padded);
    if (status == LP_OK)
        status = lp_writer_write(&writer, latents, bytes);
    if (status == LP_OK)
        status = lp_writer_commit(&writer);
    lp_writer_abandon(&writer);
    return status;
}

static lp_status copy_latents(lp_context *ctx, const char *path, const lp_weights *weights,
                              float **latents, uint32_t shape[3])
{
    const lp_weight *w = lp_weights_find(weights, "latents");
    char text[96];
    if (w == NULL)
        return lp_fail(ctx, LP_E_MISSING, "%s: there is no tensor \"latents\" in it", path);
    LP_TRY(lp_weight_usable(ctx, w));
    const int64_t n = lp_shape_elements(w->shape);
    if (w->shape.n != 4 || w->shape.dim[0] != 1 || n < 1 || n > LP_IMAGE_PIXELS ||
        !lp_dtype_is_plain(w->dtype))
        return lp_fail(ctx, LP_E_SHAPE, "%s: latents are numbers [1, L, h, w]; there are %s %s",
                       path, w->type, lp_shape_print(w->shape, text));
    *latents = malloc((size_t)n * sizeof **latents);
    if (*latents == NULL)
        return lp_fail_memory(ctx, "latents");
    lp_dtype_table[w->dtype].to_f32(w->data, *latents, (size_t)n);
    for (int i = 0; i < 3; i++)
        shape[i] = (uint32_t)w->shape.dim[i + 1];
    return LP_OK;
}

lp_status lp_latents_read(lp_context *ctx, const char *path, float **latents, uint32_t shape[3])
{
    *latents = NULL;
    lp_weights *weights = lp_weights_create();
    if (weights == NULL)
        return lp_fail_memory(ctx, "latents");
    lp_status status = lp_safetensors_open(ctx, path, weights);
    if (status == LP_OK)
        status = copy_latents(ctx, path, weights, latents, shape);
    lp_weights_destroy(weights);
    return status;
}
