/* What a config.json says of RoPE: `rope_theta` and `rope_scaling` at the top, as published, or
 * `rope_parameters` with the base inside, as transformers 5 writes it. */
#include "models/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* LongRoPE: divisors, one per pair. */
static lp_status read_divisors(const lp_config *c, const char *key, lp_rope_hparams *rope,
                               float *divisors)
{
    yyjson_val *list = NULL, *value;
    size_t i, n;
    LP_TRY(lp_json_get_array(c->ctx, c->where, c->root, key, LP_JSON_REQUIRED, &list));
    if (yyjson_arr_size(list) != rope->n_rotated / 2 || rope->n_rotated / 2 > LP_MAX_ROPE_PAIRS)
        return lp_fail(c->ctx, LP_E_FORMAT, "%s: %s has %zu entries for %u pairs", c->where, key,
                       yyjson_arr_size(list), rope->n_rotated / 2);
    yyjson_arr_foreach(list, i, n, value)
    {
        divisors[i] = (float)yyjson_get_num(value);
        if (!(isfinite(divisors[i]) && divisors[i] > 0))
            return lp_fail(c->ctx, LP_E_FORMAT, "%s: entry %zu of %s is not a positive number",
                           c->where, i, key);
    }
    return LP_OK;
}

/* Zeros are as good as nothing here. */
static lp_status read_yarn(const lp_config *c, lp_rope_hparams *rope)
{
    bool truncate = true;
    float fast = 0, slow = 0;
    LP_TRY(lp_config_f32(c, "beta_fast", &fast));
    LP_TRY(lp_config_f32(c, "beta_slow", &slow));
    rope->beta_fast = fast == 0 ? 32 : fast;
    rope->beta_slow = slow == 0 ? 1 : slow;
    LP_TRY(lp_config_bool(c, "truncate", &truncate));
    rope->untruncated = !truncate;
    LP_TRY(lp_config_f32(c, "mscale", &rope->mscale));
    return lp_config_f32(c, "mscale_all_dim", &rope->mscale_all);
}

/* One kind of RoPE. */
static lp_status read_scaling(const lp_config *c, uint32_t n_context, lp_rope_hparams *rope)
{
    static const struct {
        const char *name;
        lp_rope_scaling scaling;
        bool has_factor, has_original;
    } kinds[] = {
        {"default", LP_ROPE_SCALING_NONE, false, false},
        {"linear", LP_ROPE_SCALING_LINEAR, true, false},
        {"dynamic", LP_ROPE_SCALING_DYNAMIC, true, false},
        {"yarn", LP_ROPE_SCALING_YARN, false, false},
        {"llama3", LP_ROPE_SCALING_LLAMA3, true, true},
        {"longrope", LP_ROPE_SCALING_LONGROPE, false, false},
        {"su", LP_ROPE_SCALING_LONGROPE, false, false}, /* Phi-3, at first */
    };
    enum { N_KINDS = sizeof kinds / sizeof kinds[0] };
    const char *type = kinds[0].name;
    LP_TRY(lp_config_f32(c, "rope_theta", &rope->base));
    LP_TRY(
        lp_json_get_string(c->ctx, c->where, c->root, "type", LP_JSON_OPTIONAL, &type)); /* old */
    LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, "rope_type", LP_JSON_OPTIONAL, &type));
    size_t i = 0;
    while (i < N_KINDS && (!type || strcmp(type, kinds[i].name) != 0))
        i++;
    if (i == N_KINDS)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                       "%s: RoPE scaling \"%.60s\" is not supported (default, linear, dynamic, "
                       "yarn, llama3, longrope are)",
                       c->where, type ? type : "?");
    rope->scaling = kinds[i].scaling;
    if (rope->scaling == LP_ROPE_SCALING_NONE)
        return LP_OK;
    LP_TRY(lp_config_u32(c, "original_max_position_embeddings",
                         kinds[i].has_original ? LP_JSON_REQUIRED : LP_JSON_OPTIONAL,
                         &rope->original_context));
    rope->factor = (float)n_context / (float)rope->original_context;
    LP_TRY(lp_json_get_f32(c->ctx, c->where, c->root, "factor",
                           kinds[i].has_factor ? LP_JSON_REQUIRED : LP_JSON_OPTIONAL,
                           &rope->factor));
    LP_TRY(lp_config_f32(c, "attention_factor", &rope->attention_factor));
    if (rope->scaling == LP_ROPE_SCALING_YARN)
        return read_yarn(c, rope);
    if (rope->scaling == LP_ROPE_SCALING_LONGROPE) {
        LP_TRY(read_divisors(c, "short_factor", rope, rope->divisors[0]));
        return read_divisors(c, "long_factor", rope, rope->divisors[1]);
    }
    if (rope->scaling != LP_ROPE_SCALING_LLAMA3)
        return LP_OK;
    LP_TRY(lp_json_get_f32(c->ctx, c->where, c->root, "low_freq_factor", LP_JSON_REQUIRED,
                           &rope->low_freq_factor));
    return lp_json_get_f32(c->ctx, c->where, c->root, "high_freq_factor", LP_JSON_REQUIRED,
                           &rope->high_freq_factor);
}

/* The elements of a head that are turned: a number, or a share of the head. */
static lp_status read_rotated(const lp_config *c, const lp_config *params, lp_hparams *hp)
{
    float share = hp->arch->rotary != 0 ? hp->arch->rotary : 1;
    uint32_t n = hp->arch->rotary_dim;
    LP_TRY(lp_config_f32(c, "rotary_pct partial_rotary_factor rope_pct", &share));
    LP_TRY(lp_config_f32(params, "partial_rotary_factor", &share));
    LP_TRY(lp_config_u32(c, hp->arch->latent ? "qk_rope_head_dim" : "rotary_dim", LP_JSON_OPTIONAL,
                         &n));
    if (n == 0 && share >= 0 && share <= 1)
        n = (uint32_t)((double)share * hp->head_k);
    else if (n == 0)
        return lp_fail(c->ctx, LP_E_FORMAT,
                       "%s: RoPE on a share of %g of a head; 0 to 1 is possible", c->where,
                       (double)share);
    hp->rope.n_rotated = n;
    return LP_OK;
}

/* The object at `key`, or an empty one. */
static lp_status inner(const lp_config *c, const char *key, char where[512], lp_config *params)
{
    yyjson_val *object = NULL;
    LP_TRY(lp_json_get_object(c->ctx, c->where, c->root, key, LP_JSON_OPTIONAL, &object));
    snprintf(where, 512, "%s: %s", c->where, key);
    *params = (lp_config){c->ctx, where, object};
    return LP_OK;
}

lp_status lp_config_rope(const lp_config *c, lp_hparams *hp)
{
    lp_rope_hparams *rope = &hp->rope;
    bool interleaved = hp->arch->interleaved;
    LP_TRY(lp_config_bool(c, "rope_interleave", &interleaved));
    rope->pairing = interleaved ? LP_ROPE_ADJACENT : LP_ROPE_HALVES;
    LP_TRY(lp_config_f32(c, "rope_theta rotary_emb_base global_rope_theta", &rope->base));
    rope->original_context = hp->n_context;
    LP_TRY(lp_config_u32(c, "original_max_position_embeddings", LP_JSON_OPTIONAL,
                         &rope->original_context)); /* Phi-3 has it out here */
    char where[512], where_window[512];
    lp_config params, of_rest, of_window;
    LP_TRY(inner(c, "rope_parameters", where, &params));
    /* transformers 5 may tell them apart by the kind of layer */
    LP_TRY(inner(&params, "sliding_attention", where_window, &of_window));
    if (!params.root) {
        LP_TRY(inner(c, "rope_scaling", where, &params));
    } else {
        char where_rest[512];
        LP_TRY(inner(&params, "full_attention", where_rest, &of_rest));
        params.root = of_rest.root ? of_rest.root : params.root;
    }
    LP_TRY(read_rotated(c, &params, hp));
    if (params.root)
        LP_TRY(read_scaling(&params, hp->n_context, rope));
    if (hp->arch->window_rope_base == 0 && !of_window.root)
        return LP_OK;
    hp->rope_window = (lp_rope_hparams){.pairing = rope->pairing,
                                        .n_rotated = rope->n_rotated,
                                        .base = hp->arch->window_rope_base,
                                        .factor = 1,
                                        .original_context = hp->n_context};
    LP_TRY(lp_config_f32(c, "rope_local_base_freq local_rope_theta", &hp->rope_window.base));
    if (!of_window.root)
        return LP_OK;
    return read_scaling(&of_window, hp->n_context, &hp->rope_window);
}
