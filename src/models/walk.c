/* What the parts of a walk share, see walk.h. */
#include "models/walk.h"

#include <stdio.h>

bool lp_walk_has(const lp_walk *w, const char *name, const char *suffix)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s%s", w->block, name, suffix);
    return lp_weights_find(w->model->weights, full) != NULL;
}

bool lp_walk_has_weight(const lp_walk *w, const char *name)
{
    return lp_walk_has(w, name, ".weight");
}

lp_tensor_id lp_walk_adapted(lp_walk *w, const char *name, lp_tensor_id x, lp_tensor_id y)
{
    return lp_adapted(w->b, &w->model->adapters, w->block, name, x, y);
}

lp_tensor_id lp_walk_linear(lp_walk *w, const char *name, lp_tensor_id x, int64_t n_out,
                            int64_t n_in)
{
    lp_tensor_id weight =
        lp_weight_tensor(w->b, LP_SHAPE2(n_out, n_in), "%s%s.weight", w->block, name);
    lp_tensor_id bias = lp_weight_optional(w->b, LP_SHAPE1(n_out), "%s%s.bias", w->block, name);
    return lp_walk_adapted(w, name, x, lp_linear(w->b, name, x, weight, bias));
}

lp_tensor_id lp_walk_norm_of(lp_walk *w, const char *name, lp_tensor_id x, int64_t n)
{
    const lp_norm_kind kind = w->hp->arch->norm;
    lp_tensor_id gain = LP_NONE, bias = LP_NONE;
    char full[64];
    snprintf(full, sizeof full, "%s%s.weight", w->block, name);
    const lp_weight *weight = lp_weights_find(w->model->weights, full);
    if (weight && weight->shape.n == 2)
        gain = lp_weight_vectors(w->b, LP_SHAPE2(weight->shape.dim[0], n), "%s", full);
    else if (!w->hp->norm_plain)
        gain = lp_weight_tensor(w->b, LP_SHAPE1(n), "%s", full);
    if (!w->hp->norm_plain && kind == LP_NORM_LAYER)
        bias = lp_weight_optional(w->b, LP_SHAPE1(n), "%s%s.bias", w->block, name);
    return lp_norm(w->b, name, kind, w->hp->norm_eps, x, gain, bias);
}

lp_tensor_id lp_walk_norm(lp_walk *w, unsigned which, const char *name, lp_tensor_id x)
{
    return w->hp->norms & which ? lp_walk_norm_of(w, name, x, w->hp->n_embd) : x;
}

void lp_walk_enter(lp_walk *w, int64_t layer)
{
    w->layer = layer < 0 ? 0 : (uint32_t)layer;
    if (layer < 0)
        snprintf(w->block, sizeof w->block, "%s", w->part);
    else
        snprintf(w->block, sizeof w->block, "%sblk.%u.", w->part, w->layer);
    lp_builder_prefix(w->b, "%s", w->block);
}

lp_tensor_id lp_walk_wanted_rows(lp_walk *w, lp_tensor_id x, lp_walk_rows rows)
{
    int32_t n_tokens = w->options->n_tokens;
    return rows == LP_ROWS_LAST && n_tokens > 1 ? lp_view_rows(w->b, x, n_tokens - 1, 1) : x;
}

bool lp_walk_has_window(const lp_walk *w)
{
    return w->hp->layers[w->layer] & LP_LAYER_WINDOW;
}
