/* What a graph needs to know of positions: angles of RoPE, slopes of ALiBi, biases by distance,
 * sinusoids. */
#include "models/walk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/relative.h"

/* The divisors of RoPE's frequencies that GGUF files bring along, or NULL: Llama 3's, or LongRoPE's
 * for contexts as long as the original or longer. */
static lp_status rope_divisors(const lp_walk *w, float **divisors)
{
    lp_context *ctx = w->b->ctx;
    const bool is_long = w->options->n_ctx > (int64_t)w->hp->rope.original_context;
    const char *const names[] = {"rope_freqs.weight", is_long ? "rope_factors_long.weight"
                                                              : "rope_factors_short.weight"};
    const lp_weight *weight = lp_weights_find(w->model->weights, names[0]);
    if (!weight)
        weight = lp_weights_find(w->model->weights, names[1]);
    uint32_t n = w->hp->rope.n_rotated / 2;
    char text[96];
    *divisors = NULL;
    if (!weight)
        return LP_OK;
    if (weight->dtype != LP_F32 || !lp_shape_equal(weight->shape, LP_SHAPE1(n)))
        return lp_fail(ctx, LP_E_SHAPE, "%s: want F32 [%u], file has %s %s", weight->name, n,
                       weight->type, lp_shape_print(weight->shape, text));
    *divisors = malloc(n * sizeof **divisors);
    if (!*divisors)
        return lp_fail_memory(ctx, "RoPE frequencies");
    memcpy(*divisors, weight->data, n * sizeof **divisors);
    for (uint32_t i = 0; i < n; i++)
        if (!(isfinite((*divisors)[i]) && (*divisors)[i] > 0))
            return lp_fail(ctx, LP_E_FORMAT, "%s: element %u is %g", weight->name, i,
                           (double)(*divisors)[i]);
    return LP_OK;
}

static lp_rope_angles make_rope_table(lp_walk *w, const char *name, const lp_rope_hparams *rope)
{
    lp_rope_angles angles = {.table = LP_NONE};
    float *divisors = NULL;
    double *frequencies = malloc(rope->n_rotated / 2 * sizeof *frequencies);
    lp_status status =
        frequencies ? rope_divisors(w, &divisors) : lp_fail_memory(w->b->ctx, "RoPE frequencies");
    if (status == LP_OK) {
        const lp_retrieval_hparams *of = &w->hp->retrieval;
        const uint32_t side = 2 * of->chunk > of->length ? 2 * of->chunk : of->length;
        const int32_t n = w->n_ctx > (int32_t)side ? w->n_ctx : (int32_t)side;
        lp_rope_frequencies(rope, (uint32_t)w->n_ctx, divisors, frequencies);
        /* the second axis counts from 1 */
        angles = lp_rope_table(w->b, name, frequencies, (int32_t)rope->n_rotated,
                               rope->two_axes ? n + 1 : n, rope->attention_factor);
        angles.two_axes = rope->two_axes;
    } else if (w->b->status == LP_OK) {
        w->b->status = status;
    }
    free(divisors);
    free(frequencies);
    return angles;
}

/* Whether layers with a window turn queries and keys otherwise than the rest. */
static bool two_ropes(const lp_hparams *hp)
{
    const lp_rope_hparams *a = &hp->rope, *b = &hp->rope_window;
    return a->base != b->base || a->n_rotated != b->n_rotated || a->scaling != b->scaling ||
           a->factor != b->factor;
}

/* Biases by distance, [H, 2 M + 1] in a table: they are those of layer 0, and serve all layers. */
static lp_tensor_id make_relative_table(lp_walk *w)
{
    const lp_hparams *hp = w->hp;
    const uint32_t n = hp->n_bucket, n_ctx = (uint32_t)w->options->n_ctx;
    const uint32_t reach = hp->max_distance < n_ctx ? hp->max_distance : n_ctx;
    char name[48], text[96];
    snprintf(name, sizeof name, "%sblk.0.attn_rel_b.weight", w->part);
    const lp_weight *weight = lp_weights_find(w->model->weights, name);
    lp_status status = LP_OK;
    float *biases = NULL, *table = NULL;
    lp_tensor_id id = LP_NONE;
    if (w->b->status != LP_OK)
        return LP_NONE;
    if (weight == NULL) {
        status = lp_fail(w->b->ctx, LP_E_MISSING, "%s is not in the model", name);
    } else if (!lp_shape_equal(weight->shape, LP_SHAPE2(n, hp->n_head)) ||
               !lp_dtype_is_plain(weight->dtype)) {
        status = lp_fail(w->b->ctx, LP_E_SHAPE, "%s: want numbers [%u, %u], file has %s %s", name,
                         n, hp->n_head, weight->type, lp_shape_print(weight->shape, text));
    } else {
        biases = malloc((size_t)n * hp->n_head * sizeof *biases);
        table = malloc((2ull * reach + 1) * hp->n_head * sizeof *table);
        if (biases == NULL || table == NULL)
            status = lp_fail_memory(w->b->ctx, "biases of relative positions");
    }
    if (status == LP_OK) {
        lp_dtype_table[weight->dtype].to_f32(weight->data, biases, (size_t)n * hp->n_head);
        lp_relative_table(biases, n, hp->n_head, hp->both_ways, hp->max_distance, reach, table);
        snprintf(name, sizeof name, "%srelative_bias", w->part);
        id = lp_table_tensor(w->b, name, LP_SHAPE2(hp->n_head, 2ll * reach + 1), table);
    } else {
        w->b->status = status;
    }
    free(biases);
    free(table);
    return id;
}

lp_tensor_id lp_walk_sinusoids(lp_walk *w)
{
    const int64_t n = w->hp->n_embd, n_ctx = w->options->n_ctx;
    if (w->b->status != LP_OK)
        return LP_NONE;
    float *table = malloc((size_t)(n_ctx * n) * sizeof *table);
    if (table == NULL) {
        w->b->status = lp_fail_memory(w->b->ctx, "sinusoidal positions");
        return LP_NONE;
    }
    const bool adjacent = w->hp->arch->interleaved;
    for (int64_t i = 0; i < n; i++) {
        const bool sine = adjacent ? i % 2 == 0 : i < n / 2;
        const int64_t pair = adjacent ? i / 2 : sine ? i : i - n / 2;
        const double frequency = pow(10000, -2.0 * (double)pair / (double)n);
        for (int64_t t = 0; t < n_ctx; t++) {
            const double angle = (double)t * frequency;
            table[t * n + i] = (float)(sine ? sin(angle) : cos(angle));
        }
    }
    lp_tensor_id id = lp_made_weight(w->b, "sinusoids", LP_SHAPE2(n_ctx, n), table);
    free(table);
    return id;
}

/* Factors of queries by their positions, of layers that tell positions by nothing else (Nakanishi
 * 2025, arXiv:2501.19399): a table [C, 2] of routes to an expert 0 with the factor as its weight.
 */
static lp_tensor_id make_growth(lp_walk *w)
{
    const lp_hparams *hp = w->hp;
    const int64_t n_ctx = w->options->n_ctx;
    uint32_t layer = 0;
    while (layer < hp->n_layer && !(hp->layers[layer] & LP_LAYER_NO_ROPE))
        layer++;
    if (hp->q_growth == 0 || layer == hp->n_layer || w->b->status != LP_OK)
        return LP_NONE;
    float *table = malloc((size_t)n_ctx * 2 * sizeof *table);
    if (table == NULL) {
        w->b->status = lp_fail_memory(w->b->ctx, "the growth of queries");
        return LP_NONE;
    }
    for (int64_t t = 0; t < n_ctx; t++) {
        const double steps = floor((double)(t + 1) / (double)hp->q_growth_step);
        table[2 * t] = 0;
        table[2 * t + 1] = (float)(1 + (double)hp->q_growth * log1p(steps));
    }
    lp_tensor_id id = lp_made_weight(w->b, "query_growth", LP_SHAPE2(n_ctx, 2), table);
    free(table);
    return lp_view_heads(w->b, lp_embed(w->b, "growth", id, w->cursor, LP_NONE, 1), 1);
}

void lp_walk_positions(lp_walk *w)
{
    const lp_hparams *hp = w->hp;
    w->growth = make_growth(w);
    if (hp->position == LP_POSITION_ROPE) {
        w->angles =
            make_rope_table(w, w->of_neighbours ? "enc.rope_table" : "rope_table", &hp->rope);
        w->angles_window =
            two_ropes(hp) ? make_rope_table(w, "rope_table_window", &hp->rope_window) : w->angles;
    }
    if (hp->position == LP_POSITION_ALIBI) {
        float *slopes = malloc(hp->n_head * sizeof *slopes);
        if (slopes) {
            lp_alibi_slopes(hp, slopes);
            w->bias = lp_table_tensor(w->b, "alibi_slopes", LP_SHAPE1(hp->n_head), slopes);
        } else if (w->b->status == LP_OK) {
            w->b->status = lp_fail_memory(w->b->ctx, "ALiBi's slopes");
        }
        free(slopes);
    }
    if (hp->position == LP_POSITION_RELATIVE)
        w->bias = make_relative_table(w);
}
