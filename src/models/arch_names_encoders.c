/* Tables of names of encoders, see arch.h. */
#include "models/arch_names_rows.h"

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
