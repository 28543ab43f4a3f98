/* Tables of names of encoders, see arch.h. */
#include "models/arch_names_rows.h"

/* BERT's encoder; RoBERTa's and ELECTRA's have its names, too. */
const lp_weight_name lp_names_bert[] = {
    ROW("token_embd", "embeddings.word_embeddings"),
    ROW("position_embd", "embeddings.position_embeddings"),
    ROW("token_types", "embeddings.token_type_embeddings"),
    ROW("token_embd_norm", "embeddings.LayerNorm"),
    ROW("embd_in", "embeddings_project"),
    ROW("blk.%d.attn_q", "encoder.layer.%d.attention.self.query"),
    ROW("blk.%d.attn_k", "encoder.layer.%d.attention.self.key"),
    ROW("blk.%d.attn_v", "encoder.layer.%d.attention.self.value"),
    ROW("blk.%d.attn_output", "encoder.layer.%d.attention.output.dense"),
    ROW("blk.%d.attn_output_norm", "encoder.layer.%d.attention.output.LayerNorm"),
    ROW("blk.%d.ffn_up", "encoder.layer.%d.intermediate.dense"),
    ROW("blk.%d.ffn_down", "encoder.layer.%d.output.dense"),
    ROW("blk.%d.layer_output_norm", "encoder.layer.%d.output.LayerNorm"),
    ROW("pooler", "pooler.dense"),
    ROW("mlm_dense", "cls.predictions.transform.dense"),
    ROW("mlm_norm", "cls.predictions.transform.LayerNorm"),
    ROW("output", "cls.predictions.decoder"),
    ROW("output", "cls.predictions"),
    END,
};

const lp_weight_name lp_names_roberta[] = {
    ROW("mlm_dense", "lm_head.dense"),
    ROW("mlm_norm", "lm_head.layer_norm"),
    ROW("output", "lm_head.decoder"),
    ROW("output", "lm_head"),
    END,
};

const lp_weight_name lp_names_electra[] = {
    ROW("mlm_dense", "generator_predictions.dense"),
    ROW("mlm_norm", "generator_predictions.LayerNorm"),
    ROW("output", "generator_lm_head"),
    END,
};

const lp_weight_name lp_names_distilbert[] = {
    ROW("token_embd", "embeddings.word_embeddings"),
    ROW("position_embd", "embeddings.position_embeddings"),
    ROW("token_embd_norm", "embeddings.LayerNorm"),
    ROW("blk.%d.attn_q", "transformer.layer.%d.attention.q_lin"),
    ROW("blk.%d.attn_k", "transformer.layer.%d.attention.k_lin"),
    ROW("blk.%d.attn_v", "transformer.layer.%d.attention.v_lin"),
    ROW("blk.%d.attn_output", "transformer.layer.%d.attention.out_lin"),
    ROW("blk.%d.attn_output_norm", "transformer.layer.%d.sa_layer_norm"),
    ROW("blk.%d.ffn_up", "transformer.layer.%d.ffn.lin1"),
    ROW("blk.%d.ffn_down", "transformer.layer.%d.ffn.lin2"),
    ROW("blk.%d.layer_output_norm", "transformer.layer.%d.output_layer_norm"),
    ROW("mlm_dense", "vocab_transform"),
    ROW("mlm_norm", "vocab_layer_norm"),
    ROW("output", "vocab_projector"),
    END,
};

/* mlp.Wi holds the gate's rows, then those of what it gates. */
const lp_weight_name lp_names_modernbert[] = {
    ROW("token_embd", "embeddings.tok_embeddings"),
    ROW("token_embd_norm", "embeddings.norm"),
    ROW("blk.%d.attn_norm", "layers.%d.attn_norm"),
    ROW("blk.%d.attn_qkv", "layers.%d.attn.Wqkv"),
    ROW("blk.%d.attn_output", "layers.%d.attn.Wo"),
    ROW("blk.%d.ffn_norm", "layers.%d.mlp_norm"),
    ROW("blk.%d.ffn_up", "layers.%d.mlp.Wi"),
    ROW("blk.%d.ffn_down", "layers.%d.mlp.Wo"),
    ROW("output_norm", "final_norm"),
    ROW("mlm_dense", "head.dense"),
    ROW("mlm_norm", "head.norm"),
    ROW("output", "decoder"),
    END,
};

/* The tower that reads pictures has its own prefix, also where there is no other. */
const lp_weight_name lp_names_vit[] = {
    FORM("v.class_embd.weight", "embeddings.cls_token", LP_FORM_FLAT),
    FORM("v.distilled_embd.weight", "embeddings.distillation_token", LP_FORM_FLAT),
    FORM("v.position_embd.weight", "embeddings.position_embeddings", LP_FORM_FLAT),
    FORM("v.patch_embd", "embeddings.patch_embeddings.projection", LP_FORM_PATCHES),
    ROW("v.blk.%d.attn_norm", "encoder.layer.%d.layernorm_before"),
    ROW("v.blk.%d.attn_q", "encoder.layer.%d.attention.attention.query"),
    ROW("v.blk.%d.attn_k", "encoder.layer.%d.attention.attention.key"),
    ROW("v.blk.%d.attn_v", "encoder.layer.%d.attention.attention.value"),
    ROW("v.blk.%d.attn_output", "encoder.layer.%d.attention.output.dense"),
    ROW("v.blk.%d.ffn_norm", "encoder.layer.%d.layernorm_after"),
    ROW("v.blk.%d.ffn_up", "encoder.layer.%d.intermediate.dense"),
    ROW("v.blk.%d.ffn_down", "encoder.layer.%d.output.dense"),
    ROW("v.output_norm", "layernorm"),
    ROW("v.pooler", "pooler.dense"),
    ROW("v.head", "classifier"),
    ROW("v.head", "cls_classifier"),
    ROW("v.head_distilled", "distillation_classifier"),
    END,
};

const lp_weight_name lp_names_clip_text[] = {
    ROW("token_embd", "embeddings.token_embedding"),
    ROW("position_embd", "embeddings.position_embedding"),
    ROW("blk.%d.attn_norm", "encoder.layers.%d.layer_norm1"),
    ROW("blk.%d.attn_q", "encoder.layers.%d.self_attn.q_proj"),
    ROW("blk.%d.attn_k", "encoder.layers.%d.self_attn.k_proj"),
    ROW("blk.%d.attn_v", "encoder.layers.%d.self_attn.v_proj"),
    ROW("blk.%d.attn_output", "encoder.layers.%d.self_attn.out_proj"),
    ROW("blk.%d.ffn_norm", "encoder.layers.%d.layer_norm2"),
    ROW("blk.%d.ffn_up", "encoder.layers.%d.mlp.fc1"),
    ROW("blk.%d.ffn_down", "encoder.layers.%d.mlp.fc2"),
    ROW("output_norm", "final_layer_norm"),
    ROW("projection", "text_projection"),
    END,
};

#define CLIP_VISION(p)                                                                             \
    FORM("v.class_embd.weight", p "embeddings.class_embedding", LP_FORM_FLAT),                     \
        ROW("v.position_embd", p "embeddings.position_embedding"),                                 \
        FORM("v.patch_embd", p "embeddings.patch_embedding", LP_FORM_PATCHES),                     \
        ROW("v.token_embd_norm", p "pre_layrnorm"),                                                \
        ROW("v.blk.%d.attn_norm", p "encoder.layers.%d.layer_norm1"),                              \
        ROW("v.blk.%d.attn_q", p "encoder.layers.%d.self_attn.q_proj"),                            \
        ROW("v.blk.%d.attn_k", p "encoder.layers.%d.self_attn.k_proj"),                            \
        ROW("v.blk.%d.attn_v", p "encoder.layers.%d.self_attn.v_proj"),                            \
        ROW("v.blk.%d.attn_output", p "encoder.layers.%d.self_attn.out_proj"),                     \
        ROW("v.blk.%d.ffn_norm", p "encoder.layers.%d.layer_norm2"),                               \
        ROW("v.blk.%d.ffn_up", p "encoder.layers.%d.mlp.fc1"),                                     \
        ROW("v.blk.%d.ffn_down", p "encoder.layers.%d.mlp.fc2"),                                   \
        ROW("v.output_norm", p "post_layernorm"), ROW("v.projection", "visual_projection")

const lp_weight_name lp_names_clip_vision[] = {
    CLIP_VISION(""),
    END,
};

const lp_weight_name lp_names_clip_towers[] = {
    CLIP_VISION("vision_model."),
    FORM("logit_scale.weight", "logit_scale", LP_FORM_SAME),
    END,
};
