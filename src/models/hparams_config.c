/* Hyperparameters from config.json of a Hugging Face folder, as published (`rope_theta` and
 * `rope_scaling` at the top) or as transformers 5 writes it (`rope_parameters`). Keys that change
 * the numbers in a way that is not implemented are refused, not ignored. */
#include "models/hparams.h"

#include <stdio.h>
#include <string.h>
#include "base/json.h"

typedef struct config {
    lp_context *ctx;
    const char *where;
    yyjson_val *root;
} config;

static lp_status get_u32(const config *c, const char *key, lp_json_need need, uint32_t *value)
{
    return key ? lp_json_get_u32(c->ctx, c->where, c->root, key, need, value) : LP_OK;
}

static lp_status read_act(const config *c, lp_hparams *hp)
{
    static const struct {
        const char *name;
        lp_act_kind act;
    } acts[] = {
        {"gelu_new", LP_ACT_GELU_TANH},
        {"gelu_fast", LP_ACT_GELU_TANH},
        {"gelu_pytorch_tanh", LP_ACT_GELU_TANH},
        {"gelu", LP_ACT_GELU_ERF},
        {"gelu_python", LP_ACT_GELU_ERF},
        {"quick_gelu", LP_ACT_GELU_QUICK},
        {"relu", LP_ACT_RELU},
        {"silu", LP_ACT_SILU},
        {"swish", LP_ACT_SILU},
    };
    const char *key = hp->arch->config->act, *name = NULL;
    hp->act = hp->arch->act;
    LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, key, LP_JSON_OPTIONAL, &name));
    if (!name)
        return LP_OK;
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (strcmp(acts[i].name, name) == 0) {
            hp->act = acts[i].act;
            return LP_OK;
        }
    }
    return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: %s: activation \"%.60s\" is not supported",
                   c->where, key, name);
}

static lp_status read_rope(const config *c, lp_hparams *hp)
{
    lp_rope_hparams *rope = &hp->rope;
    yyjson_val *params = NULL;
    const char *key = "rope_parameters", *type = NULL;
    rope->pairing = LP_ROPE_HALVES;
    rope->n_rotated = hp->head_k;
    rope->base = 10000;
    rope->factor = 1;
    LP_TRY(lp_json_get_f32(c->ctx, c->where, c->root, "rope_theta", LP_JSON_OPTIONAL, &rope->base));
    LP_TRY(lp_json_get_object(c->ctx, c->where, c->root, key, LP_JSON_OPTIONAL, &params));
    if (!params) {
        key = "rope_scaling";
        LP_TRY(lp_json_get_object(c->ctx, c->where, c->root, key, LP_JSON_OPTIONAL, &params));
    }
    if (!params)
        return LP_OK;

    char where[512];
    snprintf(where, sizeof where, "%s: %s", c->where, key);
    LP_TRY(lp_json_get_f32(c->ctx, where, params, "rope_theta", LP_JSON_OPTIONAL, &rope->base));
    LP_TRY(lp_json_get_string(c->ctx, where, params, "type", LP_JSON_OPTIONAL, &type)); /* old */
    LP_TRY(lp_json_get_string(c->ctx, where, params, "rope_type", LP_JSON_OPTIONAL, &type));
    if (!type || strcmp(type, "default") == 0)
        return LP_OK;
    LP_TRY(lp_json_get_f32(c->ctx, where, params, "factor", LP_JSON_REQUIRED, &rope->factor));
    if (strcmp(type, "linear") == 0) {
        rope->scaling = LP_ROPE_SCALING_LINEAR;
        return LP_OK;
    }
    if (strcmp(type, "llama3") != 0)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                       "%s: RoPE scaling \"%.60s\" is not supported (default, linear, llama3 are)",
                       where, type);
    rope->scaling = LP_ROPE_SCALING_LLAMA3;
    LP_TRY(lp_json_get_f32(c->ctx, where, params, "low_freq_factor", LP_JSON_REQUIRED,
                           &rope->low_freq_factor));
    LP_TRY(lp_json_get_f32(c->ctx, where, params, "high_freq_factor", LP_JSON_REQUIRED,
                           &rope->high_freq_factor));
    return lp_json_get_u32(c->ctx, where, params, "original_max_position_embeddings",
                           LP_JSON_REQUIRED, &rope->original_context);
}

static lp_status refuse_unknown(const config *c)
{
    static const char *const keys[] = {"scale_attn_by_inverse_layer_idx", "add_cross_attention"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        bool value = false;
        LP_TRY(lp_json_get_bool(c->ctx, c->where, c->root, keys[i], LP_JSON_OPTIONAL, &value));
        if (value)
            return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: %s is not supported", c->where, keys[i]);
    }
    bool scaled = true;
    LP_TRY(lp_json_get_bool(c->ctx, c->where, c->root, "scale_attn_weights", LP_JSON_OPTIONAL,
                            &scaled));
    if (!scaled)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: unscaled attention is not supported",
                       c->where);
    yyjson_val *quantization = NULL;
    LP_TRY(lp_json_get_object(c->ctx, c->where, c->root, "quantization_config", LP_JSON_OPTIONAL,
                              &quantization));
    if (quantization)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: quantization_config is not supported",
                       c->where);
    return LP_OK;
}

static lp_status read_config(const config *c, lp_hparams *hp)
{
    char list[256];
    const char *type = NULL;
    LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, "model_type", LP_JSON_REQUIRED, &type));
    hp->arch = lp_arch_find_hf(type);
    if (!hp->arch)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                       "%s: model_type \"%.60s\" is not supported; supported are: %s", c->where,
                       type, lp_arch_list(false, list, sizeof list));

    const lp_config_keys *keys = hp->arch->config;
    LP_TRY(get_u32(c, "vocab_size", LP_JSON_REQUIRED, &hp->n_vocab));
    LP_TRY(get_u32(c, keys->context_length, LP_JSON_REQUIRED, &hp->n_context));
    LP_TRY(get_u32(c, keys->embedding_length, LP_JSON_REQUIRED, &hp->n_embd));
    LP_TRY(get_u32(c, keys->block_count, LP_JSON_REQUIRED, &hp->n_layer));
    LP_TRY(get_u32(c, keys->head_count, LP_JSON_REQUIRED, &hp->n_head));
    hp->n_head_kv = hp->n_head;
    LP_TRY(get_u32(c, keys->head_count_kv, LP_JSON_OPTIONAL, &hp->n_head_kv));
    /* GPT-2 leaves it out: four times the embedding */
    hp->n_ff = hp->n_embd <= UINT32_MAX / 4 ? 4 * hp->n_embd : UINT32_MAX;
    LP_TRY(get_u32(c, keys->feed_forward_length,
                   hp->arch->gated ? LP_JSON_REQUIRED : LP_JSON_OPTIONAL, &hp->n_ff));
    if (hp->n_head > 0)
        hp->head_k = hp->n_embd / hp->n_head;
    LP_TRY(get_u32(c, keys->head_size, LP_JSON_OPTIONAL, &hp->head_k));
    hp->head_v = hp->head_k;
    LP_TRY(lp_json_get_f32(c->ctx, c->where, c->root, keys->norm_eps, LP_JSON_REQUIRED,
                           &hp->norm_eps));
    hp->tied = hp->arch->tied;
    LP_TRY(lp_json_get_bool(c->ctx, c->where, c->root, "tie_word_embeddings", LP_JSON_OPTIONAL,
                            &hp->tied));
    if (hp->arch->window) { /* null: no window */
        yyjson_val *window = yyjson_obj_get(c->root, "sliding_window");
        hp->window = window ? 0 : hp->arch->window;
        LP_TRY(get_u32(c, "sliding_window", LP_JSON_OPTIONAL, &hp->window));
    }
    if (hp->arch->position == LP_POSITION_ROPE)
        LP_TRY(read_rope(c, hp));
    LP_TRY(read_act(c, hp));
    LP_TRY(refuse_unknown(c));
    return lp_hparams_check(c->ctx, c->where, hp);
}

static lp_status read_doc(lp_context *ctx, const char *where, yyjson_doc *doc, lp_hparams *hp)
{
    config c = {ctx, where, yyjson_doc_get_root(doc)};
    *hp = (lp_hparams){0};
    lp_status status = read_config(&c, hp);
    yyjson_doc_free(doc);
    return status;
}

lp_status lp_hparams_from_config(lp_context *ctx, const char *path, lp_hparams *hp)
{
    yyjson_doc *doc = NULL;
    LP_TRY(lp_json_open(ctx, path, &doc));
    return read_doc(ctx, path, doc, hp);
}

lp_status lp_hparams_parse_config(lp_context *ctx, const char *where, const char *text,
                                  size_t bytes, lp_hparams *hp)
{
    yyjson_doc *doc = NULL;
    LP_TRY(lp_json_parse(ctx, where, text, bytes, &doc));
    return read_doc(ctx, where, doc, hp);
}
