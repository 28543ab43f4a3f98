/* An autoencoder on a device: see coder.h. */
#include "image/coder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct half_program {
    uint32_t height, width; /* of the latents it is for; 0: there is none */
    lp_graph *graph;
    lp_program *program;
} half_program;

struct lp_coder {
    lp_context *ctx;
    const lp_autoencoder_model *model;
    lp_backend *backend;
    lp_coder_options how;
    lp_store store;
    half_program halves[2];
};

static void forget(lp_coder *c, half_program *half)
{
    c->backend->table->program_destroy(half->program);
    lp_graph_destroy(half->graph);
    *half = (half_program){0};
}

/* The store is filled by graphs of the smallest picture. */
static lp_status load(lp_coder *c)
{
    for (int part = 0; part < 2; part++) {
        lp_graph *graph = NULL;
        if (!c->model->has[part])
            continue;
        LP_TRY(lp_autoencoder_graph(c->ctx, c->model, &c->store, (lp_autoencoder_part)part, 1, 1,
                                    c->how.no_fusion, &graph));
        lp_graph_destroy(graph);
    }
    return c->backend->table->load(c->backend, &c->store, NULL, NULL);
}

lp_status lp_coder_create(lp_context *ctx, const lp_autoencoder_model *model, lp_backend *backend,
                          const lp_coder_options *options, lp_coder **coder)
{
    lp_coder *c = calloc(1, sizeof *c);
    *coder = NULL;
    if (c == NULL) {
        backend->table->destroy(backend);
        return lp_fail_memory(ctx, "an autoencoder");
    }
    *c = (lp_coder){.ctx = ctx, .model = model, .backend = backend, .how = *options};
    const lp_status status = load(c);
    if (status != LP_OK) {
        lp_coder_destroy(c);
        return status;
    }
    *coder = c;
    return LP_OK;
}

void lp_coder_destroy(lp_coder *c)
{
    if (c == NULL)
        return;
    for (int part = 0; part < 2; part++)
        forget(c, &c->halves[part]);
    c->backend->table->destroy(c->backend);
    lp_store_destroy(&c->store);
    free(c);
}

static lp_status prepare(lp_coder *c, lp_autoencoder_part part, uint32_t height, uint32_t width)
{
    half_program *half = &c->halves[part];
    if (half->height == height && half->width == width)
        return LP_OK;
    forget(c, half);
    LP_TRY(lp_autoencoder_graph(c->ctx, c->model, &c->store, part, height, width, c->how.no_fusion,
                                &half->graph));
    LP_TRY(c->backend->table->program_create(c->backend, half->graph, c->how.plan, &half->program));
    half->height = height;
    half->width = width;
    return LP_OK;
}

/* Runs a half that is prepared: tensor `from` to tensor `to`. */
static lp_status run(lp_coder *c, lp_autoencoder_part part, const char *from, const float *input,
                     const char *to, float *output)
{
    const lp_backend_table *table = c->backend->table;
    const half_program *half = &c->halves[part];
    const lp_tensor_id result = lp_graph_find(half->graph, to);
    uint64_t ticket = 0;
    LP_TRY(table->tensor_write(half->program, lp_graph_find(half->graph, from), input));
    LP_TRY(table->submit(half->program, 1, &ticket));
    LP_TRY(table->wait(c->backend, ticket));
    LP_TRY(table->tensor_read(half->program, result, output));
    const int64_t n = lp_shape_elements(half->graph->tensors[result].shape);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(output[i]))
            return lp_fail(c->ctx, LP_E_DEVICE, "%s: number %lld of the %s is %g", c->model->path,
                           (long long)i, to, (double)output[i]);
    return LP_OK;
}

static float *room(uint64_t n)
{
    return malloc((size_t)n * sizeof(float));
}

lp_status lp_coder_encode(lp_coder *c, const float *pixels, uint32_t height, uint32_t width,
                          float *latents)
{
    const lp_autoencoder_model *m = c->model;
    LP_TRY(prepare(c, LP_AUTOENCODER_ENCODER, height, width));
    const uint64_t n_pixels = (uint64_t)height * width * m->factor * m->factor * 3;
    const uint64_t n = (uint64_t)height * width, n_row = m->latent_channels * m->arch->moments;
    float *input = room(n_pixels), *moments = room(n * n_row);
    lp_status status = input && moments ? LP_OK : lp_fail_memory(c->ctx, "a picture");
    for (uint64_t i = 0; i < n_pixels && status == LP_OK; i++)
        input[i] = m->arch->low + (m->arch->high - m->arch->low) * pixels[i];
    if (status == LP_OK)
        status = run(c, LP_AUTOENCODER_ENCODER, "pixels", input, "latents", moments);
    for (uint64_t l = 0; l < m->latent_channels && status == LP_OK; l++)
        for (uint64_t i = 0; i < n; i++)
            latents[l * n + i] = moments[i * n_row + l];
    free(input);
    free(moments);
    return status;
}

lp_status lp_coder_decode(lp_coder *c, const float *latents, uint32_t height, uint32_t width,
                          float *pixels)
{
    const lp_autoencoder_model *m = c->model;
    LP_TRY(prepare(c, LP_AUTOENCODER_DECODER, height, width));
    const uint64_t n_pixels = (uint64_t)height * width * m->factor * m->factor * 3;
    const uint64_t n = (uint64_t)height * width, n_row = m->latent_channels;
    float *input = room(n * n_row);
    lp_status status = input ? LP_OK : lp_fail_memory(c->ctx, "a picture");
    for (uint64_t l = 0; l < n_row && status == LP_OK; l++)
        for (uint64_t i = 0; i < n; i++)
            input[i * n_row + l] = latents[l * n + i];
    if (status == LP_OK)
        status = run(c, LP_AUTOENCODER_DECODER, "latents", input, "pixels", pixels);
    for (uint64_t i = 0; i < n_pixels && status == LP_OK; i++)
        pixels[i] = (pixels[i] - m->arch->low) / (m->arch->high - m->arch->low);
    free(input);
    return status;
}

lp_status lp_coder_encode_image(lp_coder *c, const lp_image *image, float *latents)
{
    const uint32_t factor = c->model->factor;
    const uint64_t n = (uint64_t)image->width * image->height * 3;
    float *pixels = room(n);
    if (pixels == NULL)
        return lp_fail_memory(c->ctx, "a picture");
    for (uint64_t i = 0; i < n; i++)
        pixels[i] = (float)image->rgb[i] / 255;
    const lp_status status =
        lp_coder_encode(c, pixels, image->height / factor, image->width / factor, latents);
    free(pixels);
    return status;
}

static uint8_t byte_of(float value)
{
    return !(value > 0) ? 0 : value >= 1 ? 255 : (uint8_t)(value * 255 + 0.5f);
}

lp_status lp_coder_image(lp_context *ctx, const float *pixels, uint32_t height, uint32_t width,
                         lp_image **image)
{
    const uint64_t n = (uint64_t)height * width * 3;
    uint8_t *rgb = malloc((size_t)n);
    *image = NULL;
    if (rgb == NULL)
        return lp_fail_memory(ctx, "a picture");
    for (uint64_t i = 0; i < n; i++)
        rgb[i] = byte_of(pixels[i]);
    const lp_status status = lp_image_make(ctx, width, height, rgb, image);
    free(rgb);
    return status;
}

lp_status lp_coder_decode_image(lp_coder *c, const float *latents, uint32_t height, uint32_t width,
                                lp_image **image)
{
    const uint32_t factor = c->model->factor;
    float *pixels = room((uint64_t)height * width * factor * factor * 3);
    lp_status status = pixels ? LP_OK : lp_fail_memory(c->ctx, "a picture");
    *image = NULL;
    if (status == LP_OK)
        status = lp_coder_decode(c, latents, height, width, pixels);
    if (status == LP_OK)
        status = lp_coder_image(c->ctx, pixels, height * factor, width * factor, image);
    free(pixels);
    return status;
}
