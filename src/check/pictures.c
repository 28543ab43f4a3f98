/* Passes of denoisers and decoders: see pictures.h. Each pass has all that its graph reads, so that
 * none depends on one before. */
#include "check/pictures.h"

#include <stdio.h>
#include <stdlib.h>

#include "image/denoise.h"

static lp_status denoiser_graph(lp_checker *c, uint32_t n_tokens, bool no_fusion, lp_graph **graph)
{
    const lp_denoiser_subject *s = c->subject.user;
    (void)n_tokens; /* a part of the subject */
    return lp_denoiser_graph(c->ctx, s->model, &c->store, s->height, s->width, s->n_tokens,
                             no_fusion, graph);
}

static lp_status decoder_graph(lp_checker *c, uint32_t n_tokens, bool no_fusion, lp_graph **graph)
{
    const lp_decoder_subject *s = c->subject.user;
    (void)n_tokens;
    return lp_autoencoder_graph(c->ctx, s->model, &c->store, LP_AUTOENCODER_DECODER, s->height,
                                s->width, no_fusion, graph);
}

lp_subject lp_subject_of_denoiser(const lp_denoiser_subject *denoiser)
{
    return (lp_subject){.graph = denoiser_graph, .user = denoiser};
}

lp_subject lp_subject_of_decoder(const lp_decoder_subject *decoder)
{
    return (lp_subject){.graph = decoder_graph, .user = decoder};
}

lp_status lp_subject_nodes(const lp_checker *c, lp_subject subject, uint32_t *n_nodes)
{
    lp_checker alone = {.ctx = c->ctx, .subject = subject};
    lp_graph *graph = NULL;
    const lp_status status = subject.graph(&alone, 0, c->quirks.no_fusion, &graph);
    *n_nodes = status == LP_OK ? graph->n_nodes : 0;
    lp_graph_destroy(graph);
    lp_store_destroy(&alone.store);
    return status;
}

/* Nothing of a text model is left; the subject's weights go to the devices. */
static lp_status begin(lp_checker *c, lp_subject subject, uint32_t n_passes)
{
    lp_graph *first = NULL;
    c->subject = subject;
    c->network = NULL;
    c->cursor = c->history = c->sampler = LP_NONE;
    c->position = c->n_source = 0;
    LP_TRY(c->subject.graph(c, 0, c->quirks.no_fusion, &first));
    lp_graph_destroy(first);
    LP_TRY(lp_checker_load(c));
    return lp_checker_reserve(c, n_passes);
}

lp_status lp_checker_run_denoiser(lp_checker *c, const lp_denoiser_subject *s,
                                  const lp_denoiser_question *questions, uint32_t n_questions)
{
    const lp_denoiser_model *m = s->model;
    const size_t n_pixels = (size_t)s->height * s->width, n = n_pixels * m->in_channels;
    float *rows = malloc((n + m->stages[0].channels) * sizeof *rows), *time = rows + n;
    if (rows == NULL)
        return lp_fail_memory(c->ctx, "latents");
    lp_subject subject = lp_subject_of_denoiser(s);
    subject.inputs[subject.n_inputs++] = (lp_graph_input){"latents", rows};
    subject.inputs[subject.n_inputs++] = (lp_graph_input){"time", time};
    subject.inputs[subject.n_inputs++] = (lp_graph_input){"context", s->context};
    lp_status status = begin(c, subject, n_questions);
    for (uint32_t i = 0; i < n_questions && status == LP_OK; i++) {
        char name[48];
        snprintf(name, sizeof name, "denoiser, step %u", questions[i].step + 1);
        lp_planes_transpose(questions[i].latents, n_pixels, m->in_channels, rows);
        lp_denoiser_time(m, questions[i].timestep, time);
        status = lp_checker_named_pass(c, 0, name);
    }
    free(rows);
    return status;
}

lp_status lp_checker_run_decoder(lp_checker *c, const lp_decoder_subject *s)
{
    const size_t n_pixels = (size_t)s->height * s->width, n_channels = s->model->latent_channels;
    float *rows = malloc(n_pixels * n_channels * sizeof *rows);
    if (rows == NULL)
        return lp_fail_memory(c->ctx, "latents");
    lp_subject subject = lp_subject_of_decoder(s);
    subject.inputs[subject.n_inputs++] = (lp_graph_input){"latents", rows};
    lp_planes_transpose(s->latents, n_pixels, n_channels, rows);
    lp_status status = begin(c, subject, 1);
    if (status == LP_OK)
        status = lp_checker_named_pass(c, 0, "decoder");
    free(rows);
    return status;
}
