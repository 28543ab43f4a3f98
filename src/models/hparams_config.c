/* Hyperparameters from config.json of a Hugging Face folder, as published or as transformers 5
 * writes it. Keys that change the numbers in a way that is not implemented are refused, not
 * ignored. */
#include "models/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The activation that `key` names. */
static lp_status get_act(const lp_config *c, const char *key, lp_hparams *hp, lp_act_kind *act)
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
        {"relu2", LP_ACT_RELU_SQUARED},
        {"silu", LP_ACT_SILU},
        {"swish", LP_ACT_SILU},
        {"tanh", LP_ACT_TANH},
        /* of T5, which decides by its weights whether there is a gate */
        {"gated-gelu", LP_ACT_GELU_TANH},
        {"gated-silu", LP_ACT_SILU},
        {"gated-relu", LP_ACT_RELU},
    };
    const char *name = NULL;
    LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, key, LP_JSON_OPTIONAL, &name));
    if (!name)
        return LP_OK;
    if (act == &hp->act && (strcmp(name, "solu") == 0 || strcmp(name, "solu_ln") == 0)) {
        hp->solu = true;
        hp->norms |= name[4] ? LP_NORMS_FFN_HIDDEN : 0;
        return LP_OK;
    }
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (strcmp(acts[i].name, name) == 0) {
            *act = acts[i].act == LP_ACT_GELU_ERF && hp->arch->gelu_is_tanh ? LP_ACT_GELU_TANH
                                                                            : acts[i].act;
            return LP_OK;
        }
    }
    return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: %s: activation \"%.60s\" is not supported",
                   c->where, key, name);
}

static lp_status read_act(const lp_config *c, lp_hparams *hp)
{
    char text[64];
    const char *key = lp_config_key(
        c->root, "hidden_activation hidden_act activation_function activation feed_forward_proj",
        text);
    if (key && hp->arch->glu_limit == 0) /* gpt-oss says "silu" and means its own */
        LP_TRY(get_act(c, key, hp, &hp->act));
    hp->head_act = hp->arch->mlm_gelu ? LP_ACT_GELU_ERF : hp->act;
    return get_act(c, "classifier_activation", hp, &hp->head_act);
}

static lp_status set_layer(const lp_config *c, const char *key, lp_hparams *hp, uint32_t layer,
                           yyjson_val *kind)
{
    static const struct {
        const char *name;
        uint8_t layer; /* LP_LAYER_ */
    } kinds[] = {{"full_attention", 0},
                 {"global", 0},
                 {"sliding_attention", LP_LAYER_WINDOW},
                 {"chunked_attention", LP_LAYER_CHUNKED},
                 {"local", LP_LAYER_WINDOW},
                 {"strided_attention", LP_LAYER_STRIDED},
                 {"fixed_attention", LP_LAYER_FIXED}};
    const char *name = yyjson_get_str(kind);
    for (size_t i = 0; name && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(name, kinds[i].name) == 0) {
            hp->layers[layer] |= kinds[i].layer;
            return LP_OK;
        }
    return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                   "%s: %s: layer %u is \"%.60s\"; full, sliding, chunked, strided and fixed "
                   "attention are supported",
                   c->where, key, layer, name ? name : "?");
}

/* One kind per layer. */
static lp_status read_layer_types(const lp_config *c, const char *key, yyjson_val *types,
                                  lp_hparams *hp)
{
    if (yyjson_arr_size(types) != hp->n_layer)
        return lp_fail(c->ctx, LP_E_FORMAT, "%s: %s has %zu entries for %u layers", c->where, key,
                       yyjson_arr_size(types), hp->n_layer);
    size_t i, n;
    yyjson_val *kind;
    yyjson_arr_foreach(types, i, n, kind) LP_TRY(set_layer(c, key, hp, (uint32_t)i, kind));
    return LP_OK;
}

/* GPT-Neo: [[["global", "local"], 12]]: lists of kinds, repeated. */
static lp_status read_attention_types(const lp_config *c, yyjson_val *groups, lp_hparams *hp)
{
    static const char key[] = "attention_types";
    uint32_t layer = 0;
    size_t g, n_groups, i, n;
    yyjson_val *group, *kind;
    yyjson_arr_foreach(groups, g, n_groups, group)
    {
        yyjson_val *kinds = yyjson_arr_get(group, 0), *times = yyjson_arr_get(group, 1);
        if (!yyjson_is_arr(kinds) || yyjson_arr_size(kinds) == 0 || !yyjson_is_uint(times))
            return lp_fail(c->ctx, LP_E_FORMAT, "%s: %s: [[kinds, times], ...] expected", c->where,
                           key);
        for (uint64_t t = 0; t < yyjson_get_uint(times) && layer < hp->n_layer; t++)
            yyjson_arr_foreach(kinds, i, n, kind) if (layer < hp->n_layer)
                LP_TRY(set_layer(c, key, hp, layer++, kind));
    }
    if (layer < hp->n_layer)
        return lp_fail(c->ctx, LP_E_FORMAT, "%s: %s tells of %u layers; there are %u", c->where,
                       key, layer, hp->n_layer);
    return LP_OK;
}

/* The window, and which layers have it. */
static lp_status read_window(const lp_config *c, lp_hparams *hp)
{
    yyjson_val *types = NULL;
    LP_TRY(
        lp_json_get_array(c->ctx, c->where, c->root, "attention_types", LP_JSON_OPTIONAL, &types));
    if (types) {
        LP_TRY(lp_config_u32(c, "window_size", LP_JSON_REQUIRED, &hp->window));
        return read_attention_types(c, types, hp);
    }
    if (hp->arch->sparse) {
        LP_TRY(lp_config_u32(c, "sparse_stride", LP_JSON_OPTIONAL, &hp->sparse_stride));
        LP_TRY(lp_config_u32(c, "sparse_summary", LP_JSON_OPTIONAL, &hp->sparse_summary));
        LP_TRY(lp_config_u32(c, "sliding_window", LP_JSON_OPTIONAL, &hp->window));
        LP_TRY(
            lp_json_get_array(c->ctx, c->where, c->root, "layer_types", LP_JSON_REQUIRED, &types));
        return read_layer_types(c, "layer_types", types, hp);
    }
    if (hp->arch->window == 0)
        return LP_OK;
    bool used = true;
    LP_TRY(lp_config_bool(c, "use_sliding_window", &used));
    if (!yyjson_obj_get(c->root, "sliding_window") && hp->arch->window > 1)
        hp->window = hp->arch->window; /* null: no window */
    LP_TRY(lp_config_u32(c, "sliding_window local_attention", LP_JSON_OPTIONAL, &hp->window));
    if (!used || (hp->arch->window_from > 0 && !yyjson_obj_get(c->root, "use_sliding_window")))
        hp->window = 0;
    LP_TRY(lp_json_get_array(c->ctx, c->where, c->root, "layer_types", LP_JSON_OPTIONAL, &types));
    if (hp->window == 0)
        return LP_OK;
    if (types)
        return read_layer_types(c, "layer_types", types, hp);
    uint32_t every = hp->arch->window_every, first = hp->arch->window_from;
    LP_TRY(lp_config_u32(c, "sliding_window_pattern global_attn_every_n_layers", LP_JSON_OPTIONAL,
                         &every));
    LP_TRY(lp_config_u32(c, "max_window_layers", LP_JSON_OPTIONAL, &first));
    for (uint32_t i = first; i < hp->n_layer; i++)
        hp->layers[i] = lp_layer_has_window(hp->arch, every, i) ? LP_LAYER_WINDOW : 0;
    return LP_OK;
}

/* RoBERTa counts positions from behind the padding token's id. */
static lp_status read_position_offset(const lp_config *c, lp_hparams *hp)
{
    int64_t pad = 1;
    yyjson_val *value = yyjson_obj_get(c->root, "pad_token_id");
    if (!hp->arch->position_after_pad)
        return LP_OK;
    if (yyjson_is_uint(value)) /* beyond all tokens: as good as the largest */
        pad = yyjson_get_uint(value) < UINT32_MAX ? (int64_t)yyjson_get_uint(value) : UINT32_MAX;
    else if (yyjson_is_int(value))
        pad = yyjson_get_sint(value);
    if (pad < -1 || pad + 1 >= (int64_t)hp->n_context)
        return lp_fail(c->ctx, LP_E_FORMAT, "%s: pad_token_id %lld leaves no positions of %u",
                       c->where, (long long)pad, hp->n_context);
    hp->position_offset = (uint32_t)(pad + 1);
    hp->n_context -= hp->position_offset;
    return LP_OK;
}

/* OPT: the 350M model has its norms behind the sums and none before the head. Models that norm
 * heads always say so by no key. */
static lp_status read_norms(const lp_config *c, lp_hparams *hp)
{
    const unsigned turned = hp->norms & LP_NORMS_QK_TURNED;
    bool before = true, without_last = false, affine = !hp->norm_plain, of_heads = turned != 0;
    LP_TRY(lp_config_bool(c, "layer_norm_elementwise_affine", &affine));
    hp->norm_plain = !affine;
    LP_TRY(lp_config_bool(c, "qk_layernorm use_qk_norm", &of_heads));
    hp->norms &= ~turned;
    if (of_heads)
        hp->norms |= turned ? turned : LP_NORMS_QK_HEAD;
    LP_TRY(lp_config_bool(c, "do_layer_norm_before", &before));
    LP_TRY(lp_config_bool(c, "_remove_final_layer_norm", &without_last));
    if (hp->arch->deepnorm)
        LP_TRY(lp_config_f32(c, "deepnorm_alpha", &hp->residual_scale));
    if (!before)
        hp->norms = LP_NORMS_SUM;
    if (without_last)
        hp->norms &= ~(unsigned)LP_NORMS_OUTPUT;
    return LP_OK;
}

/* MPT nests what concerns attention. */
static lp_status read_attn_config(const lp_config *c, lp_hparams *hp)
{
    yyjson_val *attn = NULL;
    LP_TRY(lp_json_get_object(c->ctx, c->where, c->root, "attn_config", LP_JSON_OPTIONAL, &attn));
    if (!attn)
        return LP_OK;
    char where[512];
    snprintf(where, sizeof where, "%s: attn_config", c->where);
    const lp_config inner = {c->ctx, where, attn};
    bool alibi = true, qk_norm = false, rope = false, prefix = false, sequences = false;
    LP_TRY(lp_config_bool(&inner, "alibi", &alibi));
    LP_TRY(lp_config_bool(&inner, "qk_ln", &qk_norm));
    LP_TRY(lp_config_bool(&inner, "rope", &rope));
    LP_TRY(lp_config_bool(&inner, "prefix_lm", &prefix));
    LP_TRY(lp_config_bool(&inner, "attn_uses_sequence_id", &sequences));
    LP_TRY(lp_config_f32(&inner, "alibi_bias_max", &hp->alibi_max));
    LP_TRY(lp_config_f32(&inner, "clip_qkv", &hp->clamp_qkv));
    LP_TRY(lp_config_positive(&inner, "softmax_scale", &hp->attn_scale));
    LP_TRY(lp_config_u32(&inner, "kv_n_heads", LP_JSON_OPTIONAL, &hp->n_head_kv));
    /* the transformers library heeds none of these, so nothing here could be compared */
    const char *refused = rope        ? "rope"
                          : prefix    ? "prefix_lm"
                          : sequences ? "attn_uses_sequence_id"
                          : qk_norm   ? "qk_ln"
                          : !alibi    ? "attention without alibi"
                                      : NULL;
    if (refused)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: %s is not supported", where, refused);
    return LP_OK;
}

/* Falcon: three generations share a name. */
static lp_status read_falcon(const lp_config *c, lp_hparams *hp)
{
    bool multi_query = true, grouped = false, alibi = false;
    if (hp->arch->multi_query) {
        LP_TRY(lp_config_bool(c, "multi_query", &multi_query));
        LP_TRY(lp_config_bool(c, "new_decoder_architecture", &grouped));
        if (!grouped)
            hp->n_head_kv = multi_query ? 1 : hp->n_head;
        hp->parallel = hp->parallel || grouped;
        if (!hp->parallel)
            hp->norms |= LP_NORMS_FFN;
    }
    LP_TRY(lp_config_bool(c, "alibi", &alibi));
    if (alibi) /* the two ways of attention in the transformers library disagree on it */
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: alibi is not supported", c->where);
    return LP_OK;
}

/* Encoders of BERT's kind can be made into decoders, and have other positions. */
static lp_status refuse_unknown_encoder(const lp_config *c, const lp_hparams *hp)
{
    bool is_decoder = false;
    const char *positions = NULL;
    if (!hp->arch->encoder_only)
        return LP_OK;
    LP_TRY(lp_config_bool(c, "is_decoder", &is_decoder));
    if (is_decoder)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: is_decoder is not supported", c->where);
    LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, "position_embedding_type",
                              LP_JSON_OPTIONAL, &positions));
    if (positions && strcmp(positions, "absolute") != 0)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                       "%s: position_embedding_type \"%.60s\" is not supported (absolute is)",
                       c->where, positions);
    return LP_OK;
}

static lp_status refuse_unknown(const lp_config *c)
{
    static const char *const keys[] = {"scale_attn_by_inverse_layer_idx", "add_cross_attention",
                                       "use_bidirectional_attention"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        bool value = false;
        LP_TRY(lp_json_get_bool(c->ctx, c->where, c->root, keys[i], LP_JSON_OPTIONAL, &value));
        if (value)
            return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: %s is not supported", c->where, keys[i]);
    }
    yyjson_val *quantization = NULL;
    LP_TRY(lp_json_get_object(c->ctx, c->where, c->root, "quantization_config", LP_JSON_OPTIONAL,
                              &quantization));
    if (quantization == NULL)
        return LP_OK;
    const char *method = NULL; /* with "mxfp4" the tensors tell the rest */
    LP_TRY(lp_json_get_string(c->ctx, c->where, quantization, "quant_method", LP_JSON_OPTIONAL,
                              &method));
    if (method == NULL || strcmp(method, "mxfp4") != 0)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                       "%s: quantization_config with quant_method \"%.60s\" is not supported "
                       "(mxfp4 is)",
                       c->where, method ? method : "");
    return LP_OK;
}

static lp_status read_sizes(const lp_config *c, lp_hparams *hp)
{
    static const lp_arch_sizes none = {0};
    const lp_arch_sizes *sizes = hp->arch->sizes ? hp->arch->sizes : &none;
    const lp_json_need need = sizes != &none ? LP_JSON_OPTIONAL : LP_JSON_REQUIRED;
    hp->n_vocab = sizes->n_vocab;
    hp->n_embd = sizes->n_embd;
    hp->n_layer = sizes->n_layer;
    hp->n_head = sizes->n_head;
    LP_TRY(lp_config_u32(c, "padded_vocab_size vocab_size", need, &hp->n_vocab));
    hp->n_context = sizes->n_context ? sizes->n_context : hp->arch->context;
    LP_TRY(lp_config_u32(
        c, "max_position_embeddings n_positions max_seq_len seq_length max_sequence_length",
        hp->n_context ? LP_JSON_OPTIONAL : need, &hp->n_context));
    LP_TRY(lp_config_u32(c, "hidden_size n_embd d_model n_embed dim", need, &hp->n_embd));
    LP_TRY(lp_config_u32(c, "word_embed_proj_dim embedding_size", LP_JSON_OPTIONAL,
                         &hp->n_embd_token));
    /* T5's encoder alone may tell how many layers the decoder had */
    LP_TRY(lp_config_u32(c,
                         hp->arch->encoder_only
                             ? "num_hidden_layers n_layers num_layers"
                             : "num_decoder_layers decoder_layers num_hidden_layers n_layer "
                               "n_layers num_layers",
                         need, &hp->n_layer));
    LP_TRY(lp_hparams_check_layers(c->ctx, c->where, hp));
    if (hp->arch->cell != LP_CELL_NONE)
        return LP_OK;
    LP_TRY(lp_config_u32(c, "decoder_attention_heads num_attention_heads n_head n_heads num_heads",
                         need, &hp->n_head));
    LP_TRY(lp_config_u32(c, "type_vocab_size", LP_JSON_OPTIONAL, &hp->n_types));
    hp->n_head_kv = hp->n_head;
    LP_TRY(lp_config_u32(c, "num_key_value_heads num_kv_heads multi_query_group_num",
                         LP_JSON_OPTIONAL, &hp->n_head_kv));
    /* GPT-2 and others leave it out: four times the embedding */
    uint32_t ratio = 4;
    LP_TRY(lp_config_u32(c, "expansion_ratio", LP_JSON_OPTIONAL, &ratio));
    hp->n_ff = ratio > 0 && hp->n_embd <= UINT32_MAX / ratio ? ratio * hp->n_embd : UINT32_MAX;
    if (sizes->n_ff > 0)
        hp->n_ff = sizes->n_ff;
    LP_TRY(lp_config_u32(c,
                         "decoder_ffn_dim intermediate_size n_inner ffn_dim ffn_hidden_size d_ff "
                         "hidden_dim inner_hidden_size",
                         hp->arch->gated ? LP_JSON_REQUIRED : LP_JSON_OPTIONAL, &hp->n_ff));
    if (hp->n_head > 0)
        hp->head_k = hp->n_embd / hp->n_head;
    LP_TRY(lp_config_u32(c, "head_dim d_kv kv_channels", LP_JSON_OPTIONAL, &hp->head_k));
    hp->head_v = hp->head_k;
    return LP_OK;
}

/* Latent attention: heads have turned elements behind those that are not; K/V heads are one. */
static lp_status read_latent(const lp_config *c, lp_hparams *hp)
{
    char text[64];
    uint32_t plain = 0, turned = 0;
    if (!hp->arch->latent)
        return LP_OK;
    LP_TRY(lp_config_u32(c, "kv_lora_rank", LP_JSON_REQUIRED, &hp->n_kv_latent));
    LP_TRY(lp_config_u32(c, "q_lora_rank", LP_JSON_OPTIONAL, &hp->n_q_latent));
    if (hp->n_q_latent == 0 && lp_config_key(c->root, "q_lora_rank", text))
        return lp_fail(c->ctx, LP_E_FORMAT, "%s: q_lora_rank is 0; null is possible", c->where);
    LP_TRY(lp_config_u32(c, "qk_nope_head_dim", LP_JSON_REQUIRED, &plain));
    LP_TRY(lp_config_u32(c, "qk_rope_head_dim", LP_JSON_REQUIRED, &turned));
    LP_TRY(lp_config_u32(c, "v_head_dim", LP_JSON_REQUIRED, &hp->head_v));
    hp->head_k = plain <= UINT32_MAX - turned ? plain + turned : UINT32_MAX;
    hp->n_head_kv = 1;
    return lp_config_u32(c, "num_nextn_predict_layers", LP_JSON_OPTIONAL, &hp->n_layer_unused);
}

/* A recurrent encoder is as deep as the decoder, which goes on with its states. */
static lp_status read_recurrent_encoder(const lp_config *c, lp_hparams *hp)
{
    const char *score = "dot";
    hp->encoder.n_layer = hp->n_layer;
    if (hp->arch->cell == LP_CELL_GATED) {
        hp->n_align = hp->n_embd;
        hp->n_maxout = hp->n_embd / 2;
        LP_TRY(lp_config_u32(c, "alignment_size", LP_JSON_OPTIONAL, &hp->n_align));
        return lp_config_u32(c, "maxout_size", LP_JSON_OPTIONAL, &hp->n_maxout);
    }
    LP_TRY(
        lp_json_get_string(c->ctx, c->where, c->root, "attention_score", LP_JSON_OPTIONAL, &score));
    hp->score_general = score != NULL && strcmp(score, "general") == 0;
    if (!hp->score_general && (score == NULL || strcmp(score, "dot") != 0))
        return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                       "%s: attention_score \"%.60s\" is not supported (dot and general are)",
                       c->where, score ? score : "?");
    return LP_OK;
}

/* RETRO: see docs/MODELS.md. */
static lp_status read_retrieval(const lp_config *c, lp_hparams *hp)
{
    lp_retrieval_hparams *r = &hp->retrieval;
    *r = (lp_retrieval_hparams){64, 2, 0};
    LP_TRY(lp_config_u32(c, "encoder_hidden_size", LP_JSON_OPTIONAL, &hp->encoder.n_embd));
    LP_TRY(lp_config_u32(c, "chunk_length", LP_JSON_OPTIONAL, &r->chunk));
    LP_TRY(lp_config_u32(c, "num_neighbours", LP_JSON_OPTIONAL, &r->n_neighbours));
    r->length = r->chunk <= UINT32_MAX / 2 ? 2 * r->chunk : UINT32_MAX;
    return lp_config_u32(c, "neighbour_length", LP_JSON_OPTIONAL, &r->length);
}

/* Biases by distance. */
static lp_status read_relative(const lp_config *c, lp_hparams *hp)
{
    if (hp->position != LP_POSITION_RELATIVE)
        return LP_OK;
    hp->n_bucket = 32;
    hp->max_distance = 128;
    LP_TRY(lp_config_u32(c, "relative_attention_num_buckets", LP_JSON_OPTIONAL, &hp->n_bucket));
    return lp_config_u32(c, "relative_attention_max_distance", LP_JSON_OPTIONAL, &hp->max_distance);
}

/* The encoder of an encoder-decoder, and what only such models have. */
static lp_status read_encoder(const lp_config *c, lp_hparams *hp)
{
    lp_encoder_hparams *e = &hp->encoder;
    bool scaled = false, last_norm = false;
    if (!hp->arch->has_encoder)
        return LP_OK;
    if (hp->arch->cell != LP_CELL_NONE)
        return read_recurrent_encoder(c, hp);
    LP_TRY(lp_config_u32(c, "encoder_layers num_layers", LP_JSON_REQUIRED, &e->n_layer));
    LP_TRY(lp_config_u32(c, "encoder_attention_heads num_heads", LP_JSON_REQUIRED, &e->n_head));
    LP_TRY(lp_config_u32(c, "encoder_ffn_dim d_ff", LP_JSON_REQUIRED, &e->n_ff));
    if (hp->arch->retrieves)
        LP_TRY(read_retrieval(c, hp));
    const uint32_t n_embd = e->n_embd > 0 ? e->n_embd : hp->n_embd;
    e->head = e->n_head > 0 ? n_embd / e->n_head : 0;
    LP_TRY(lp_config_u32(c, "d_kv", LP_JSON_OPTIONAL, &e->head));
    LP_TRY(lp_config_bool(c, "add_final_layer_norm", &last_norm));
    if (last_norm)
        hp->norms |= LP_NORMS_OUTPUT;
    LP_TRY(lp_config_bool(c, "scale_embedding", &scaled));
    if (scaled)
        hp->embed_scale = (float)sqrt((double)hp->n_embd);
    if (hp->arch->head_scaled && hp->tied)
        hp->logit_scale = (float)(1 / sqrt((double)hp->n_embd));
    return LP_OK;
}

static lp_status read_factors(const lp_config *c, lp_hparams *hp)
{
    float scalar = 0, divisor = 0;
    bool scaled = true;
    LP_TRY(lp_config_positive(c, "query_pre_attn_scalar", &scalar));
    if (scalar != 0)
        hp->attn_scale = (float)(1 / sqrt((double)scalar));
    LP_TRY(lp_config_bool(c, "scale_attn_weights", &scaled));
    if (!scaled)
        hp->attn_scale = 1;
    LP_TRY(lp_config_positive(c, "attention_multiplier", &hp->attn_scale));
    LP_TRY(lp_config_positive(c, "embedding_multiplier", &hp->embed_scale));
    LP_TRY(lp_config_positive(c, "residual_multiplier", &hp->part_scale));
    LP_TRY(lp_config_f32(c, "clip_qkv", &hp->clamp_qkv));
    LP_TRY(lp_config_positive(c, "logit_scale", &hp->logit_scale));
    LP_TRY(lp_config_positive(c, "logits_scaling", &divisor));
    if (divisor != 0)
        hp->logit_scale = 1 / divisor;
    return LP_OK;
}

/* Layers without RoPE: a list of which have it, or every n-th has not. */
static lp_status read_unrotated(const lp_config *c, lp_hparams *hp)
{
    uint32_t every = hp->arch->no_rope_every;
    if (every == 0)
        return LP_OK;
    yyjson_val *list = NULL, *value;
    size_t i, n;
    LP_TRY(lp_config_u32(c, "no_rope_layer_interval", LP_JSON_OPTIONAL, &every));
    LP_TRY(lp_json_get_array(c->ctx, c->where, c->root, "no_rope_layers", LP_JSON_OPTIONAL, &list));
    if (yyjson_arr_size(list) == 0) { /* [] says no more than null */
        lp_hparams_unrotated(hp, every);
        return LP_OK;
    }
    if (yyjson_arr_size(list) != hp->n_layer)
        return lp_fail(c->ctx, LP_E_FORMAT, "%s: no_rope_layers has %zu entries for %u layers",
                       c->where, yyjson_arr_size(list), hp->n_layer);
    yyjson_arr_foreach(list, i, n, value)
    {
        if (!yyjson_is_uint(value) || yyjson_get_uint(value) > 1)
            return lp_fail(c->ctx, LP_E_FORMAT, "%s: entry %zu of no_rope_layers is not 0 or 1",
                           c->where, i);
        if (yyjson_get_uint(value) == 0)
            hp->layers[i] |= LP_LAYER_NO_ROPE;
    }
    return LP_OK;
}

/* Llama 4: layers that rotate see the chunk that a token is in, and queries of the others grow. */
static lp_status read_chunks(const lp_config *c, lp_hparams *hp)
{
    static const char size[] = "attention_chunk_size", grows[] = "attn_temperature_tuning";
    yyjson_val *types = NULL, *value = yyjson_obj_get(c->root, grows);
    bool growing = true;
    if (hp->arch->chunk == 0)
        return LP_OK;
    if (yyjson_is_num(value)) /* 4 in the first files, and meant as true */
        growing = yyjson_get_num(value) != 0;
    else
        LP_TRY(lp_config_bool(c, grows, &growing));
    if (growing) {
        hp->q_growth = hp->arch->q_growth;
        hp->q_growth_step = hp->arch->q_growth_step;
        LP_TRY(lp_config_f32(c, "attn_scale", &hp->q_growth));
        LP_TRY(lp_config_f32(c, "floor_scale", &hp->q_growth_step));
    }
    value = yyjson_obj_get(c->root, size);
    if (!yyjson_is_null(value))
        hp->sparse_stride = hp->arch->chunk;
    LP_TRY(lp_config_u32(c, size, LP_JSON_OPTIONAL, &hp->sparse_stride));
    LP_TRY(lp_json_get_array(c->ctx, c->where, c->root, "layer_types", LP_JSON_OPTIONAL, &types));
    if (types)
        return read_layer_types(c, "layer_types", types, hp);
    for (uint32_t i = 0; i < hp->n_layer && !yyjson_is_null(value); i++)
        if (!(hp->layers[i] & LP_LAYER_NO_ROPE))
            hp->layers[i] |= LP_LAYER_CHUNKED;
    return LP_OK;
}

lp_status lp_config_model(const lp_config *c, const lp_arch *arch, lp_hparams *hp)
{
    lp_hparams_init(hp, arch);
    LP_TRY(read_sizes(c, hp));
    LP_TRY(lp_config_picture(c, hp));
    LP_TRY(read_latent(c, hp));
    LP_TRY(lp_config_experts(c, hp));
    LP_TRY(lp_config_f32(c,
                         "rms_norm_eps norm_epsilon layer_norm_epsilon layer_norm_eps norm_eps "
                         "layernorm_epsilon",
                         &hp->norm_eps));
    LP_TRY(lp_config_bool(c, "tie_word_embeddings", &hp->tied));
    LP_TRY(read_relative(c, hp));
    LP_TRY(read_encoder(c, hp));
    LP_TRY(lp_config_bool(c, "use_parallel_residual parallel_attn", &hp->parallel));
    LP_TRY(lp_config_bool(c, "apply_residual_connection_post_layernorm", &hp->residual_normed));
    LP_TRY(lp_config_f32(c, "attn_logit_softcapping", &hp->attn_softcap));
    LP_TRY(lp_config_f32(c, "final_logit_softcapping", &hp->logit_softcap));
    LP_TRY(read_factors(c, hp));
    LP_TRY(read_norms(c, hp));
    LP_TRY(read_attn_config(c, hp));
    LP_TRY(read_falcon(c, hp));
    LP_TRY(read_window(c, hp));
    LP_TRY(read_position_offset(c, hp));
    LP_TRY(read_unrotated(c, hp));
    LP_TRY(read_chunks(c, hp));
    if (hp->position == LP_POSITION_ROPE)
        LP_TRY(lp_config_rope(c, hp));
    LP_TRY(read_act(c, hp));
    LP_TRY(lp_config_chatglm(c, hp));
    LP_TRY(refuse_unknown_encoder(c, hp));
    LP_TRY(refuse_unknown(c));
    return lp_hparams_finish(c->ctx, c->where, hp);
}

static bool has_key(const void *root, const char *key)
{
    return yyjson_obj_get((yyjson_val *)(uintptr_t)root, key) != NULL;
}

static lp_status read_config(const lp_config *c, lp_hparams *hp)
{
    const char *type = NULL;
    LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, "model_type", LP_JSON_REQUIRED, &type));
    yyjson_val *classes = yyjson_obj_get(c->root, "architectures");
    const char *hf_class = yyjson_get_str(yyjson_arr_get_first(classes));
    const lp_arch *arch = lp_arch_find_config(type, hf_class, has_key, c->root);
    if (!arch)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                       "%s: model_type \"%.60s\" is not supported; the supported one that is most "
                       "like it is \"%s\"",
                       c->where, type, lp_arch_nearest(false, type));
    return arch->vision_tower ? lp_config_towers(c, arch, hp) : lp_config_model(c, arch, hp);
}

static lp_status read_doc(lp_context *ctx, const char *where, yyjson_doc *doc, lp_hparams *hp)
{
    lp_config c = {ctx, where, yyjson_doc_get_root(doc)};
    yyjson_doc *text = NULL;
    const lp_config whole = c;
    lp_status status = lp_config_text(&c, &text);
    if (status == LP_OK && text)
        status = refuse_unknown(&whole);
    if (status == LP_OK)
        status = read_config(&c, hp);
    yyjson_doc_free(text);
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
