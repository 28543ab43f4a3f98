/* Pictures as sequences of patches: Dosovitskiy et al. 2020, arXiv:2010.11929, 3.1. The convolution
 * that moves by its own size is a linear layer over patches [C, P, P], one per row; the host lays
 * the picture out like that. What does not depend on the picture is one table [T, N]: the learned
 * tokens before the patches' with their positions, then the layer's bias with the others'
 * positions. So the rows of those first tokens are zeros. */
#include "models/walk.h"

#include <stdlib.h>

/* The weight's numbers, malloc'ed; NULL with the builder's failure set, or if it is optional and
 * not there. */
static float *numbers_of(lp_walk *w, const char *name, lp_shape shape, bool optional)
{
    char want[96], has[96];
    const lp_weight *weight = lp_weights_find(w->model->weights, name);
    if (w->b->status != LP_OK || (weight == NULL && optional))
        return NULL;
    if (weight == NULL) {
        w->b->status = lp_fail(w->b->ctx, LP_E_MISSING, "%s is not in the model", name);
        return NULL;
    }
    if (!lp_shape_equal(weight->shape, shape) || !lp_dtype_is_plain(weight->dtype)) {
        w->b->status =
            lp_fail(w->b->ctx, LP_E_SHAPE, "%s: want numbers %s, file has %s %s", name,
                    lp_shape_print(shape, want), weight->type, lp_shape_print(weight->shape, has));
        return NULL;
    }
    const size_t n = (size_t)lp_shape_elements(shape);
    float *values = malloc(n * sizeof *values);
    if (values == NULL)
        w->b->status = lp_fail_memory(w->b->ctx, name);
    else
        lp_dtype_table[weight->dtype].to_f32(weight->data, values, n);
    return values;
}

static void add_to(float *row, const float *what, int64_t n)
{
    for (int64_t i = 0; what != NULL && i < n; i++)
        row[i] += what[i];
}

/* The table [T, N]. */
static lp_tensor_id make_table(lp_walk *w)
{
    const int64_t n = w->hp->n_embd, n_tokens = w->hp->n_context;
    const int64_t n_first = w->hp->picture.n_first;
    const lp_shape row = LP_SHAPE1(n);
    float *table = numbers_of(w, "v.position_embd.weight", LP_SHAPE2(n_tokens, n), false);
    float *class = numbers_of(w, "v.class_embd.weight", row, false);
    float *distilled = n_first > 1 ? numbers_of(w, "v.distilled_embd.weight", row, false) : NULL;
    float *bias = numbers_of(w, "v.patch_embd.bias", row, true);
    lp_tensor_id id = LP_NONE;
    if (w->b->status == LP_OK) {
        add_to(table, class, n);
        add_to(table + n, distilled, n);
        for (int64_t t = n_first; t < n_tokens; t++)
            add_to(table + t * n, bias, n);
        id = lp_made_weight(w->b, "v.embd", LP_SHAPE2(n_tokens, n), table);
    }
    free(table);
    free(class);
    free(distilled);
    free(bias);
    return id;
}

lp_tensor_id lp_walk_picture(lp_walk *w)
{
    const int64_t n = w->hp->n_embd, n_tokens = w->hp->n_context;
    const int64_t n_row = lp_picture_row(&w->hp->picture);
    lp_tensor_id patches =
        lp_state_tensor(w->b, LP_SLOT_HOST, LP_F32, LP_SHAPE2(n_tokens, n_row), "patches");
    lp_tensor_id weight = lp_weight_tensor(w->b, LP_SHAPE2(n, n_row), "v.patch_embd.weight");
    lp_tensor_id x = lp_linear(w->b, "patch_embd", patches, weight, LP_NONE);
    lp_tensor_id p = lp_embed(w->b, "position_embd", make_table(w), w->cursor, LP_NONE, 1);
    x = lp_add(w->b, "embd", x, p);
    return w->hp->norms & LP_NORMS_EMBD ? lp_walk_norm_of(w, "token_embd_norm", x, n) : x;
}
