/* A denoising U-Net on a device: see denoise.h. */
#include "image/denoise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct lp_denoise {
    lp_context *ctx;
    const lp_denoiser_model *model;
    lp_backend *backend;
    lp_denoise_options how;
    lp_store store;
    uint32_t height, width, n_tokens; /* what the program is for; 0: there is none */
    lp_graph *graph;
    lp_program *program;
    float *rows, *time; /* [h w, in or out], [channels of the first stage] */
    bool watched;       /* all activations can be read */
};

static void forget(lp_denoise *d)
{
    d->backend->table->program_destroy(d->program);
    lp_graph_destroy(d->graph);
    free(d->rows);
    d->program = NULL;
    d->graph = NULL;
    d->rows = NULL;
    d->height = d->width = d->n_tokens = 0;
}

/* The store is filled by the graph of the smallest latents. */
static lp_status load(lp_denoise *d)
{
    const uint32_t side = 1u << (d->model->n_stages - 1);
    lp_graph *graph = NULL;
    d->time = malloc(d->model->stages[0].channels * sizeof *d->time);
    if (d->time == NULL)
        return lp_fail_memory(d->ctx, "a timestep");
    LP_TRY(lp_denoiser_graph(d->ctx, d->model, &d->store, side, side, 1, d->how.no_fusion, &graph));
    lp_graph_destroy(graph);
    return d->backend->table->load(d->backend, &d->store, NULL, NULL);
}

lp_status lp_denoise_create(lp_context *ctx, const lp_denoiser_model *model, lp_backend *backend,
                            const lp_denoise_options *options, lp_denoise **denoise)
{
    lp_denoise *d = calloc(1, sizeof *d);
    *denoise = NULL;
    if (d == NULL) {
        backend->table->destroy(backend);
        return lp_fail_memory(ctx, "a denoiser");
    }
    *d = (lp_denoise){.ctx = ctx, .model = model, .backend = backend, .how = *options};
    const lp_status status = load(d);
    if (status == LP_OK)
        *denoise = d;
    else
        lp_denoise_destroy(d);
    return status;
}

void lp_denoise_destroy(lp_denoise *d)
{
    if (d == NULL)
        return;
    forget(d);
    d->backend->table->destroy(d->backend);
    lp_store_destroy(&d->store);
    free(d->time);
    free(d);
}

const lp_denoiser_model *lp_denoise_model(const lp_denoise *d)
{
    return d->model;
}

static lp_status prepare(lp_denoise *d, uint32_t height, uint32_t width, uint32_t n_tokens)
{
    const lp_denoiser_model *m = d->model;
    if (d->height == height && d->width == width && d->n_tokens == n_tokens)
        return LP_OK;
    lp_plan_options plan = d->how.plan;
    plan.keep_all |= d->watched;
    forget(d);
    LP_TRY(lp_denoiser_graph(d->ctx, m, &d->store, height, width, n_tokens, d->how.no_fusion,
                             &d->graph));
    const size_t n = m->in_channels > m->out_channels ? m->in_channels : m->out_channels;
    d->rows = malloc((size_t)height * width * n * sizeof *d->rows);
    if (d->rows == NULL)
        return lp_fail_memory(d->ctx, "latents");
    LP_TRY(d->backend->table->program_create(d->backend, d->graph, plan, &d->program));
    d->height = height;
    d->width = width;
    d->n_tokens = n_tokens;
    return LP_OK;
}

void lp_planes_transpose(const float *from, size_t n_rows, size_t n_columns, float *to)
{
    for (size_t r = 0; r < n_rows; r++)
        for (size_t c = 0; c < n_columns; c++)
            to[r * n_columns + c] = from[c * n_rows + r];
}

static lp_status write(lp_denoise *d, const char *name, const float *values)
{
    return d->backend->table->tensor_write(d->program, lp_graph_find(d->graph, name), values);
}

lp_status lp_denoise_run(lp_denoise *d, const float *latents, uint32_t height, uint32_t width,
                         double timestep, const float *context, uint32_t n_tokens, float *result)
{
    const lp_backend_table *table = d->backend->table;
    const size_t n = (size_t)height * width, n_out = d->model->out_channels;
    uint64_t ticket = 0;
    LP_TRY(prepare(d, height, width, n_tokens));
    lp_planes_transpose(latents, n, d->model->in_channels, d->rows);
    lp_denoiser_time(d->model, timestep, d->time);
    LP_TRY(write(d, "latents", d->rows));
    LP_TRY(write(d, "time", d->time));
    LP_TRY(write(d, "context", context));
    LP_TRY(table->submit(d->program, 1, &ticket));
    LP_TRY(table->wait(d->backend, ticket));
    LP_TRY(table->tensor_read(d->program, lp_graph_find(d->graph, "result"), d->rows));
    for (size_t i = 0; i < n * n_out; i++)
        if (!isfinite(d->rows[i]))
            return lp_fail(d->ctx, LP_E_DEVICE, "%s: number %zu of the result is %g",
                           d->model->path, i, (double)d->rows[i]);
    lp_planes_transpose(d->rows, n_out, n, result);
    return LP_OK;
}

/* ---- Cross-attention ------------------------------------------------------------------------- */

void lp_denoise_watch(lp_denoise *d, bool on)
{
    if (d->watched != on)
        forget(d);
    d->watched = on;
}

static bool is_cross_attention(const lp_node *node)
{
    static const char end[] = ".attn2";
    const size_t n = strlen(node->name);
    return node->op == LP_OP_ATTENTION && n >= sizeof end &&
           strcmp(node->name + n - (sizeof end - 1), end) == 0;
}

static lp_status read_tensor(lp_denoise *d, lp_tensor_id id, float **values)
{
    const int64_t n = lp_shape_elements(d->graph->tensors[id].shape);
    *values = malloc((size_t)n * sizeof **values);
    if (*values == NULL)
        return lp_fail_memory(d->ctx, "attention");
    return d->backend->table->tensor_read(d->program, id, *values);
}

/* p [n_keys] = softmax of a query's products with keys [n_keys, H, D], of one head. */
static void weigh_keys(const float *q, const float *keys, const lp_shape *shape, float scale,
                       double *p)
{
    const int64_t n = shape->dim[0], row = shape->dim[1] * shape->dim[2];
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++) {
        p[j] = 0;
        for (int64_t i = 0; i < shape->dim[2]; i++)
            p[j] += (double)q[i] * (double)keys[j * row + i];
        p[j] *= (double)scale;
        top = fmax(top, p[j]);
    }
    for (int64_t j = 0; j < n; j++)
        sum += p[j] = exp(p[j] - top);
    for (int64_t j = 0; j < n; j++)
        p[j] /= sum;
}

/* Adds a layer's shares, of `weight` in all; p [n_tokens] is working memory. */
static void add_layer(const lp_denoise *d, const lp_node *node, const float *q, const float *keys,
                      double weight, double *p, float *share)
{
    const lp_shape *of_q = &d->graph->tensors[node->src[0]].shape;
    const lp_shape *of_keys = &d->graph->tensors[node->src[1]].shape;
    const int64_t n_heads = of_q->dim[1], size = of_q->dim[2],
                  n_latents = (int64_t)d->height * d->width;
    uint32_t factor = 1; /* latents per pixel of the layer, each way */
    while ((int64_t)(d->height / factor) * (d->width / factor) > of_q->dim[0])
        factor *= 2;
    const int64_t width = d->width / factor;
    for (int64_t at = 0; at < of_q->dim[0]; at++)
        for (int64_t h = 0; h < n_heads; h++) {
            weigh_keys(q + (at * n_heads + h) * size, keys + h * size, of_keys,
                       node->p.attention.scale, p);
            for (int64_t j = 0; j < d->n_tokens; j++)
                for (int64_t k = 0; k < factor * factor; k++)
                    share[j * n_latents + (at / width * factor + k / factor) * d->width +
                          at % width * factor + k % factor] +=
                        (float)(weight * p[j] / (double)n_heads);
        }
}

lp_status lp_denoise_look(lp_denoise *d, float *share)
{
    lp_status status = LP_OK;
    uint32_t n_layers = 0;
    if (!d->watched || d->graph == NULL)
        return lp_fail(d->ctx, LP_E_ARG, "nobody watched the cross-attention");
    for (uint32_t i = 0; i < d->graph->n_nodes; i++)
        n_layers += is_cross_attention(&d->graph->nodes[i]);
    if (n_layers == 0)
        return lp_fail(d->ctx, LP_E_UNSUPPORTED, "%s: no cross-attention", d->model->path);
    double *p = malloc(d->n_tokens * sizeof *p);
    if (p == NULL)
        return lp_fail_memory(d->ctx, "attention");
    memset(share, 0, (size_t)d->n_tokens * d->height * d->width * sizeof *share);
    for (uint32_t i = 0; i < d->graph->n_nodes && status == LP_OK; i++) {
        const lp_node *node = &d->graph->nodes[i];
        float *q = NULL, *keys = NULL;
        if (!is_cross_attention(node))
            continue;
        status = read_tensor(d, node->src[0], &q);
        if (status == LP_OK)
            status = read_tensor(d, node->src[1], &keys);
        if (status == LP_OK)
            add_layer(d, node, q, keys, 1.0 / n_layers, p, share);
        free(q);
        free(keys);
    }
    free(p);
    return status;
}
