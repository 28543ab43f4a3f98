/* Opening models and making their graphs, see model.h. */
#include "models/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/transformer.h"
#include "models/names.h"
#include "tensor/weights_folder.h"

static lp_status open_folder(lp_context *ctx, lp_network *model)
{
    char *config = lp_path_join(model->path, "config.json");
    if (!config)
        return lp_fail_memory(ctx, "a path");
    lp_status status = lp_hparams_from_config(ctx, config, &model->hparams);
    free(config);
    LP_TRY(status);
    LP_TRY(lp_weights_open_folder(ctx, model->path, model->weights));
    return lp_names_from_hf(ctx, model->path, &model->hparams, model->weights);
}

static lp_status open_file(lp_context *ctx, lp_network *model)
{
    LP_TRY(lp_gguf_open(ctx, model->path, model->weights, &model->gguf));
    LP_TRY(lp_hparams_from_gguf(ctx, model->path, model->gguf, model->weights, &model->hparams));
    return lp_names_check(ctx, model->path, &model->hparams, model->weights);
}

lp_status lp_network_open(lp_context *ctx, const char *path, lp_network **model)
{
    *model = NULL;
    lp_network *m = calloc(1, sizeof *m);
    if (!m)
        return lp_fail_memory(ctx, "a model");
    m->path = malloc(strlen(path) + 1);
    m->weights = lp_weights_create();
    lp_status status = LP_OK;
    if (!m->path || !m->weights) {
        status = lp_fail_memory(ctx, "a model");
    } else {
        strcpy(m->path, path);
        status = lp_path_is_folder(path) ? open_folder(ctx, m) : open_file(ctx, m);
    }
    if (status != LP_OK) {
        lp_network_destroy(m);
        return status;
    }
    *model = m;
    return LP_OK;
}

void lp_network_destroy(lp_network *model)
{
    if (!model)
        return;
    lp_adapters_destroy(&model->adapters);
    lp_gguf_destroy(model->gguf);
    lp_weights_destroy(model->weights);
    free(model->path);
    free(model);
}

lp_status lp_network_adapt(lp_context *ctx, lp_network *model, const char *path, float scale)
{
    return lp_adapters_add(ctx, &model->adapters, &model->hparams, model->weights, path, scale);
}

static lp_status check_picture(lp_context *ctx, const lp_network *model,
                               const lp_network_options *o)
{
    lp_hparams vision;
    lp_hparams_of_vision(&model->hparams, &vision);
    if (o->n_ctx < 1 || o->n_ctx > LP_MAX_CONTEXT || o->n_tokens < 0 ||
        (uint32_t)o->n_tokens != vision.n_context)
        return lp_fail(ctx, LP_E_ARG, "%d tokens of a picture that has %u, in a context of %d",
                       o->n_tokens, vision.n_context, o->n_ctx);
    if (o->sample || o->outputs == LP_OUTPUTS_LAST)
        return lp_fail(ctx, LP_E_ARG, "a picture has logits of its labels or none");
    if (o->outputs != LP_OUTPUTS_NONE && !lp_network_has_head(model))
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: this model has no head that tells labels",
                       model->path);
    return LP_OK;
}

static lp_status check_options(lp_context *ctx, const lp_network *model,
                               const lp_network_options *o)
{
    const lp_hparams *hp = &model->hparams;
    const bool picture = o->part == LP_PART_PICTURE;
    if (picture ? !lp_hparams_reads_pictures(hp) : !lp_hparams_reads_texts(hp))
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: %s models read no %s", model->path, hp->arch->hf,
                       picture ? "pictures" : "texts");
    if (picture)
        return check_picture(ctx, model, o);
    const int64_t room = hp->retrieval.chunk > 0 && o->part == LP_PART_ENCODER && o->n_ctx > 0
                             ? lp_retrieval_rows(hp, (uint32_t)o->n_ctx)
                             : o->n_ctx;
    if (o->n_tokens < 1 || o->n_ctx < 1 || o->n_ctx > LP_MAX_CONTEXT || o->n_tokens > room ||
        o->kv_max < o->n_tokens || o->kv_max > room)
        return lp_fail(ctx, LP_E_ARG, "%d tokens with a K/V length up to %d in a context of %d",
                       o->n_tokens, o->kv_max, o->n_ctx);
    if (hp->retrieval.chunk > 0 && lp_retrieval_rows(hp, (uint32_t)o->n_ctx) > LP_MAX_CONTEXT)
        return lp_fail(ctx, LP_E_LIMIT, "%s: neighbours of %lld tokens in a context of %d",
                       model->path, (long long)lp_retrieval_rows(hp, (uint32_t)o->n_ctx), o->n_ctx);
    if (o->part == LP_PART_CONTEXT &&
        (hp->retrieval.chunk == 0 || o->outputs != LP_OUTPUTS_NONE || o->sample || o->hidden))
        return lp_fail(ctx, LP_E_ARG, "%s: chunks are only prepared for a model with retrieval",
                       model->path);
    if (!lp_is_cache_type(o->kv_dtype))
        return lp_fail(ctx, LP_E_ARG, "a K/V cache is " LP_CACHE_TYPES);
    if (o->part == LP_PART_ENCODER && hp->encoder.n_layer == 0)
        return lp_fail(ctx, LP_E_ARG, "%s: %s models have no encoder", model->path, hp->arch->hf);
    if (o->hidden && (o->outputs == LP_OUTPUTS_LAST || o->sample))
        return lp_fail(ctx, LP_E_ARG, "hidden states go with the logits of all tokens or of none");
    if (o->sample && hp->arch->encoder_only)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: %s is an encoder: it does not continue a text",
                       model->path, hp->arch->hf);
    if (o->outputs == LP_OUTPUTS_LAST && hp->arch->encoder_only)
        return lp_fail(ctx, LP_E_ARG, "an encoder gives the logits of all tokens or of none");
    if (o->outputs != LP_OUTPUTS_NONE && !lp_network_has_head(model))
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "%s: this model has no head that predicts masked tokens", model->path);
    if (hp->position == LP_POSITION_LEARNED && (uint32_t)o->n_ctx > hp->n_context)
        return lp_fail(ctx, LP_E_LIMIT, "%s: a context of %d; the model has positions for %u",
                       model->path, o->n_ctx, hp->n_context);
    return LP_OK;
}

/* The first graph must name what the other one needs, too, that of an encoder or of pictures: the
 * store is filled by it. */
static lp_status name_other(lp_context *ctx, const lp_network *model, lp_store *store,
                            const lp_network_options *options, lp_network_part part)
{
    lp_network_options o = *options;
    lp_graph *graph = NULL;
    o.part = part;
    o.n_tokens =
        part == LP_PART_PICTURE ? (int32_t)lp_picture_tokens(&model->hparams.vision.picture) : 1;
    LP_TRY(lp_network_graph(ctx, model, store, &o, &graph));
    lp_graph_destroy(graph);
    return LP_OK;
}

bool lp_network_has_head(const lp_network *model)
{
    return !model->hparams.arch->encoder_only ||
           lp_weights_find(model->weights, "mlm_dense.weight") ||
           lp_weights_find(model->weights, "v.head.weight");
}

bool lp_network_projects(const lp_network *model)
{
    return lp_weights_find(model->weights, "projection.weight") ||
           lp_weights_find(model->weights, "v.projection.weight");
}

bool lp_network_has_pooled(const lp_network *model)
{
    return lp_network_projects(model) || lp_weights_find(model->weights, "pooler.weight") ||
           lp_weights_find(model->weights, "v.pooler.weight");
}

lp_status lp_network_logit_scale(lp_context *ctx, const lp_network *model, double *scale)
{
    const char *name = "logit_scale.weight";
    const lp_weight *weight = lp_weights_find(model->weights, name);
    float value = 0;
    if (weight == NULL)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: %s models do not compare texts with pictures",
                       model->path, model->hparams.arch->hf);
    LP_TRY(lp_weight_usable(ctx, weight));
    if (lp_shape_elements(weight->shape) != 1 || !lp_dtype_is_plain(weight->dtype))
        return lp_fail(ctx, LP_E_SHAPE, "%s: logit_scale is not one number", model->path);
    lp_dtype_table[weight->dtype].to_f32(weight->data, &value, 1);
    *scale = exp((double)value);
    if (isfinite(*scale))
        return LP_OK;
    return lp_fail(ctx, LP_E_FORMAT, "%s: logit_scale is %g", model->path, (double)value);
}

/* The first place of a token among n; n: it is not there. */
static size_t place_of(const int32_t *tokens, size_t n, uint32_t token)
{
    size_t i = 0;
    while (i < n && (uint32_t)tokens[i] != token)
        i++;
    return i;
}

lp_status lp_network_prefix(lp_context *ctx, const lp_network *model, const int32_t *tokens,
                            size_t n, lp_prefix *prefix)
{
    const lp_prefix_hparams *hp = &model->hparams.prefix;
    const size_t start = place_of(tokens, n, hp->start);
    size_t blank = n;
    for (int i = 0; i < 2 && blank == n; i++)
        blank = place_of(tokens, n, hp->blanks[i]);
    if (blank >= start || start == n)
        return lp_fail(ctx, LP_E_ARG,
                       "the text has no token %u%s: %s models answer behind that, in the place of "
                       "a token %u or %u before it",
                       start == n ? hp->start : hp->blanks[0],
                       start == n ? "" : " before the answer", model->hparams.arch->hf,
                       hp->blanks[0], hp->blanks[1]);
    *prefix = (lp_prefix){(uint32_t)start, (uint32_t)blank};
    return LP_OK;
}

lp_prefix lp_network_prefix_or_all(lp_context *ctx, const lp_network *model, const int32_t *tokens,
                                   size_t n)
{
    lp_prefix prefix;
    if (lp_network_prefix(ctx, model, tokens, n, &prefix) != LP_OK)
        prefix = (lp_prefix){(uint32_t)n, (uint32_t)n - 1};
    return prefix;
}

/* Whether a graph with these options names every weight. */
static bool reads_all(const lp_network *model, const lp_network_options *o)
{
    const bool head = o->outputs != LP_OUTPUTS_NONE || o->sample;
    return model->hparams.arch->encoder_only ? o->hidden && head == lp_network_has_head(model)
                                             : head;
}

lp_status lp_network_graph(lp_context *ctx, const lp_network *model, lp_store *store,
                           const lp_network_options *options, lp_graph **graph)
{
    *graph = NULL;
    lp_network_options o = *options;
    if (model->hparams.retrieval.chunk > 0 && o.part == LP_PART_ENCODER)
        o.kv_max = o.n_tokens; /* it sees the rows of its caches */
    else if (o.kv_max == 0)
        o.kv_max = o.n_ctx;
    LP_TRY(check_options(ctx, model, &o));
    const bool first =
        o.part == (lp_hparams_reads_texts(&model->hparams) ? LP_PART_DECODER : LP_PART_PICTURE);
    if (model->hparams.encoder.n_layer > 0 && first && !store->frozen)
        LP_TRY(name_other(ctx, model, store, &o, LP_PART_ENCODER));
    if (model->hparams.vision.n_layer > 0 && first && !store->frozen)
        LP_TRY(name_other(ctx, model, store, &o, LP_PART_PICTURE));
    lp_builder b;
    LP_TRY(lp_builder_start(&b, ctx, store, model->weights, o.n_tokens));
    b.sketch = model->sketch;
    b.int8_types = o.int8_types;
    lp_transformer_build(&b, model, &o);
    lp_status status = lp_builder_finish(&b, o.no_fusion, graph);
    if (status == LP_OK && !store->frozen && first && !model->sketch && reads_all(model, &o)) {
        status = lp_names_check_read(ctx, model->path, &model->hparams, model->weights, store);
        if (status == LP_OK)
            status = lp_adapters_check_read(ctx, &model->adapters, store);
        if (status != LP_OK) {
            lp_graph_destroy(*graph);
            *graph = NULL;
        }
        return status;
    }
    if (status != LP_OK) /* the builder names the layer; the file's name goes before it */
        return lp_fail(ctx, status, "%s: %s", model->path, ctx->message);
    return LP_OK;
}
