/* The public API of pictures: labels, vectors, and which text goes with one. */
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "image/patches.h"
#include "image/preprocess.h"
#include "lapilli_private.h"
#include "text/embedding.h"
#include "text/runner.h"

lp_status lp_image_open(lp_context *ctx, const char *path, lp_image **image)
{
    return lp_image_read(ctx, path, image);
}

lp_status lp_image_create(lp_context *ctx, uint32_t width, uint32_t height, const uint8_t *rgb,
                          lp_image **image)
{
    return lp_image_make(ctx, width, height, rgb, image);
}

void lp_image_destroy(lp_image *image)
{
    lp_image_free(image);
}

uint32_t lp_image_width(const lp_image *image)
{
    return image->width;
}

uint32_t lp_image_height(const lp_image *image)
{
    return image->height;
}

const uint8_t *lp_image_rgb(const lp_image *image)
{
    return image->rgb;
}

lp_status lp_image_save(const lp_image *image, const char *path)
{
    return lp_image_write(image->ctx, image, NULL, 0, path);
}

lp_status lp_image_save_texts(const lp_image *image, const lp_fact *texts, size_t n_texts,
                              const char *path)
{
    return lp_image_write(image->ctx, image, texts, n_texts, path);
}

lp_status lp_image_encode(const lp_image *image, uint8_t **data, size_t *bytes)
{
    return lp_image_pack(image->ctx, image, NULL, 0, data, bytes);
}

size_t lp_image_n_texts(const lp_image *image)
{
    return image->n_texts;
}

lp_fact lp_image_text(const lp_image *image, size_t index)
{
    return image->texts[index];
}

bool lp_model_reads_pictures(const lp_model *model)
{
    return lp_hparams_reads_pictures(&lp_model_network(model)->hparams);
}

bool lp_model_reads_texts(const lp_model *model)
{
    return lp_hparams_reads_texts(&lp_model_network(model)->hparams);
}

lp_status lp_model_patches(const lp_model *model, const lp_image *image, float **patches)
{
    const lp_network *network = lp_model_network(model);
    lp_context *ctx = lp_model_context_of(model);
    lp_status status = LP_OK;
    lp_preprocess prepare;
    lp_hparams vision;
    if (!lp_model_reads_pictures(model))
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: %s models read no pictures", network->path,
                       network->hparams.arch->hf);
    LP_TRY(lp_preprocess_read(ctx, network->path, network->hparams.arch->hf, &prepare));
    lp_hparams_of_vision(&network->hparams, &vision);
    const lp_picture_hparams *p = &vision.picture;
    float *pixels = malloc((size_t)p->size * p->size * 3 * sizeof *pixels);
    float *rows = malloc((size_t)vision.n_context * lp_picture_row(p) * sizeof *rows);
    if (pixels == NULL || rows == NULL)
        status = lp_fail_memory(ctx, "a picture");
    if (status == LP_OK)
        status = lp_preprocess_run(ctx, &prepare, image, p->size, pixels);
    if (status == LP_OK)
        lp_picture_patches(p, pixels, rows);
    free(pixels);
    if (status != LP_OK)
        free(rows);
    else
        *patches = rows;
    return status;
}

/* What the network makes of a picture: its `output`. */
static lp_status look(lp_session *session, const lp_image *image, const char *output, float *values)
{
    float *rows = NULL;
    LP_TRY(lp_model_patches(lp_session_model(session), image, &rows));
    const lp_status status = lp_runner_see(lp_session_runner(session), rows, output, values);
    free(rows);
    return status == LP_OK ? lp_session_check_fault(session) : status;
}

lp_status lp_session_classify(lp_session *session, const lp_image *image, uint32_t k,
                              lp_guess *guesses)
{
    const lp_model *model = lp_session_model(session);
    lp_context *ctx = lp_model_context_of(model);
    const uint32_t n = lp_model_n_labels(model);
    if (n == 0)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: this %s model has no labels",
                       lp_model_network(model)->path, lp_model_architecture(model));
    if (k < 1 || k > n)
        return lp_fail(ctx, LP_E_ARG, "%u guesses; there are %u labels", k, n);
    float *logits = malloc(n * sizeof *logits);
    if (logits == NULL)
        return lp_fail_memory(ctx, "logits");
    lp_status status = look(session, image, "logits", logits);
    if (status == LP_OK)
        lp_guess_best(logits, n, k, guesses);
    free(logits);
    return status;
}

lp_status lp_session_embed_image(lp_session *session, const lp_image *image, lp_embedding embedding,
                                 float *vector)
{
    const lp_model *model = lp_session_model(session);
    const lp_network *network = lp_model_network(model);
    lp_context *ctx = lp_model_context_of(model);
    const size_t n = lp_model_embedding_length(model);
    LP_TRY(lp_embedding_check(ctx, network, embedding));
    if (embedding.pooling == LP_POOLING_POOLER) {
        LP_TRY(look(session, image, "pooled", vector));
    } else {
        lp_hparams vision;
        lp_hparams_of_vision(&network->hparams, &vision);
        if (vision.n_embd != n)
            return lp_fail(
                ctx, LP_E_UNSUPPORTED,
                "%s: vectors of pictures have %u elements, those of texts %zu, and there "
                "are no projections",
                network->path, vision.n_embd, n);
        float *hidden = malloc((size_t)vision.n_context * vision.n_embd * sizeof *hidden);
        if (hidden == NULL)
            return lp_fail_memory(ctx, "a picture's vectors");
        const lp_status status = look(session, image, "hidden", hidden);
        if (status == LP_OK)
            lp_embedding_pool(embedding.pooling, hidden, vision.n_context, n, vector);
        free(hidden);
        LP_TRY(status);
    }
    if (embedding.normalised)
        lp_embedding_normalise(vector, n);
    return LP_OK;
}

/* The vector of a text, to length 1. */
static lp_status text_vector(lp_session *session, const char *text, float *vector)
{
    const lp_embedding unit = {.pooling = LP_POOLING_POOLER, .normalised = true};
    int32_t *tokens = NULL;
    size_t n = 0;
    LP_TRY(lp_model_tokenize(lp_session_model(session), text, strlen(text), LP_TOKENS_SPECIAL,
                             &tokens, &n));
    const lp_status status = lp_session_embed(session, tokens, n, unit, vector);
    free(tokens);
    return status;
}

lp_status lp_session_match(lp_session *session, const lp_image *image, const char *const *texts,
                           uint32_t n_texts, uint32_t k, lp_guess *guesses)
{
    const lp_model *model = lp_session_model(session);
    lp_context *ctx = lp_model_context_of(model);
    const lp_embedding unit = {.pooling = LP_POOLING_POOLER, .normalised = true};
    const size_t n = lp_model_embedding_length(model);
    double scale;
    LP_TRY(lp_network_logit_scale(ctx, lp_model_network(model), &scale));
    if (n_texts < 1 || k < 1 || k > n_texts)
        return lp_fail(ctx, LP_E_ARG, "%u guesses out of %u texts", k, n_texts);
    float *vectors = malloc(2 * n * sizeof *vectors), *logits = malloc(n_texts * sizeof *logits);
    lp_status status =
        vectors && logits ? LP_OK : lp_fail_memory(ctx, "vectors of texts and a picture");
    if (status == LP_OK)
        status = lp_session_embed_image(session, image, unit, vectors);
    for (uint32_t t = 0; t < n_texts && status == LP_OK; t++) {
        double cosine = 0;
        status = text_vector(session, texts[t], vectors + n);
        for (size_t i = 0; i < n && status == LP_OK; i++)
            cosine += (double)vectors[i] * (double)vectors[n + i];
        logits[t] = (float)(scale * cosine);
    }
    if (status == LP_OK)
        lp_guess_best(logits, n_texts, k, guesses);
    free(vectors);
    free(logits);
    return status;
}
