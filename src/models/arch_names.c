/* Tables of names, see arch.h. GGUF's are those of gguf-py's constants; Hugging Face's are those of
 * the published checkpoints, without the prefixes that the architecture's row lists. */
#include "models/arch_names_rows.h"

const lp_weight_name lp_names_gpt2[] = {
    ROW("token_embd", "wte"),
    ROW("position_embd", "wpe"),
    ROW("blk.%d.attn_norm", "h.%d.ln_1"),
    FORM("blk.%d.attn_qkv", "h.%d.attn.c_attn", LP_FORM_TRANSPOSED),
    FORM("blk.%d.attn_output", "h.%d.attn.c_proj", LP_FORM_TRANSPOSED),
    ROW("blk.%d.ffn_norm", "h.%d.ln_2"),
    FORM("blk.%d.ffn_up", "h.%d.mlp.c_fc", LP_FORM_TRANSPOSED),
    FORM("blk.%d.ffn_down", "h.%d.mlp.c_proj", LP_FORM_TRANSPOSED),
    ROW("output_norm", "ln_f"),
    ROW("output", "lm_head"),
    END,
};

const lp_weight_name lp_names_gpt_neo[] = {
    ROW("token_embd", "wte"),
    ROW("position_embd", "wpe"),
    ROW("blk.%d.attn_norm", "h.%d.ln_1"),
    ROW("blk.%d.attn_q", "h.%d.attn.attention.q_proj"),
    ROW("blk.%d.attn_k", "h.%d.attn.attention.k_proj"),
    ROW("blk.%d.attn_v", "h.%d.attn.attention.v_proj"),
    ROW("blk.%d.attn_output", "h.%d.attn.attention.out_proj"),
    ROW("blk.%d.ffn_norm", "h.%d.ln_2"),
    ROW("blk.%d.ffn_up", "h.%d.mlp.c_fc"),
    ROW("blk.%d.ffn_down", "h.%d.mlp.c_proj"),
    ROW("output_norm", "ln_f"),
    ROW("output", "lm_head"),
    END,
};

const lp_weight_name lp_names_gptj[] = {
    ROW("token_embd", "wte"),
    ROW("blk.%d.attn_norm", "h.%d.ln_1"),
    ROW("blk.%d.attn_q", "h.%d.attn.q_proj"),
    ROW("blk.%d.attn_k", "h.%d.attn.k_proj"),
    ROW("blk.%d.attn_v", "h.%d.attn.v_proj"),
    ROW("blk.%d.attn_output", "h.%d.attn.out_proj"),
    ROW("blk.%d.ffn_up", "h.%d.mlp.fc_in"),
    ROW("blk.%d.ffn_down", "h.%d.mlp.fc_out"),
    ROW("output_norm", "ln_f"),
    ROW("output", "lm_head"),
    END,
};

const lp_weight_name lp_names_neox[] = {
    ROW("token_embd", "embed_in"),
    ROW("blk.%d.attn_norm", "layers.%d.input_layernorm"),
    FORM("blk.%d.attn_qkv", "layers.%d.attention.query_key_value", LP_FORM_QKV_HEADS),
    ROW("blk.%d.attn_output", "layers.%d.attention.dense"),
    ROW("blk.%d.ffn_norm", "layers.%d.post_attention_layernorm"),
    ROW("blk.%d.ffn_up", "layers.%d.mlp.dense_h_to_4h"),
    ROW("blk.%d.ffn_down", "layers.%d.mlp.dense_4h_to_h"),
    ROW("output_norm", "final_layer_norm"),
    ROW("output", "embed_out"),
    END,
};

const lp_weight_name lp_names_opt[] = {
    ROW("token_embd", "embed_tokens"),
    ROW("position_embd", "embed_positions"),
    ROW("embd_in", "project_in"),
    ROW("embd_out", "project_out"),
    ROW("blk.%d.attn_norm", "layers.%d.self_attn_layer_norm"),
    ROW("blk.%d.attn_q", "layers.%d.self_attn.q_proj"),
    ROW("blk.%d.attn_k", "layers.%d.self_attn.k_proj"),
    ROW("blk.%d.attn_v", "layers.%d.self_attn.v_proj"),
    ROW("blk.%d.attn_output", "layers.%d.self_attn.out_proj"),
    ROW("blk.%d.ffn_norm", "layers.%d.final_layer_norm"),
    ROW("blk.%d.ffn_up", "layers.%d.fc1"),
    ROW("blk.%d.ffn_down", "layers.%d.fc2"),
    ROW("output_norm", "final_layer_norm"),
    ROW("output", "lm_head"),
    END,
};

const lp_weight_name lp_names_bloom[] = {
    ROW("token_embd", "word_embeddings"),
    ROW("token_embd_norm", "word_embeddings_layernorm"),
    ROW("blk.%d.attn_norm", "h.%d.input_layernorm"),
    FORM("blk.%d.attn_qkv", "h.%d.self_attention.query_key_value", LP_FORM_QKV_HEADS),
    ROW("blk.%d.attn_output", "h.%d.self_attention.dense"),
    ROW("blk.%d.ffn_norm", "h.%d.post_attention_layernorm"),
    ROW("blk.%d.ffn_up", "h.%d.mlp.dense_h_to_4h"),
    ROW("blk.%d.ffn_down", "h.%d.mlp.dense_4h_to_h"),
    ROW("output_norm", "ln_f"),
    ROW("output", "lm_head"),
    END,
};

const lp_weight_name lp_names_mpt[] = {
    ROW("token_embd", "wte"),
    ROW("blk.%d.attn_norm", "blocks.%d.norm_1"),
    ROW("blk.%d.attn_qkv", "blocks.%d.attn.Wqkv"),
    ROW("blk.%d.attn_output", "blocks.%d.attn.out_proj"),
    ROW("blk.%d.ffn_norm", "blocks.%d.norm_2"),
    ROW("blk.%d.ffn_up", "blocks.%d.ffn.up_proj"),
    ROW("blk.%d.ffn_down", "blocks.%d.ffn.down_proj"),
    ROW("output_norm", "norm_f"),
    ROW("output", "lm_head"),
    END,
};

/* With two norms in a parallel block the second one's input is attention's. */
const lp_weight_name lp_names_falcon[] = {
    ROW("token_embd", "word_embeddings"),
    ROW("blk.%d.attn_norm", "h.%d.input_layernorm"),
    ROW("blk.%d.attn_norm", "h.%d.ln_mlp"),
    ROW("blk.%d.attn_norm_2", "h.%d.ln_attn"),
    FORM("blk.%d.attn_qkv", "h.%d.self_attention.query_key_value", LP_FORM_QKV_GROUPS),
    ROW("blk.%d.attn_output", "h.%d.self_attention.dense"),
    ROW("blk.%d.ffn_norm", "h.%d.post_attention_layernorm"),
    ROW("blk.%d.ffn_up", "h.%d.mlp.dense_h_to_4h"),
    ROW("blk.%d.ffn_down", "h.%d.mlp.dense_4h_to_h"),
    ROW("output_norm", "ln_f"),
    ROW("output", "lm_head"),
    END,
};

/* The norms of heads, as Phi, StableLM and Persimmon call them. */
#define HEAD_NORMS                                                                                 \
    ROW("blk.%d.attn_q_norm", "layers.%d.self_attn.q_layernorm"),                                  \
        ROW("blk.%d.attn_k_norm", "layers.%d.self_attn.k_layernorm")

const lp_weight_name lp_names_phi[] = {
    ROW("token_embd", "embed_tokens"),
    ROW("blk.%d.attn_norm", "layers.%d.input_layernorm"),
    ROW("blk.%d.attn_qkv", NULL),
    ROW("blk.%d.attn_q", "layers.%d.self_attn.q_proj"),
    ROW("blk.%d.attn_k", "layers.%d.self_attn.k_proj"),
    ROW("blk.%d.attn_v", "layers.%d.self_attn.v_proj"),
    HEAD_NORMS,
    ROW("blk.%d.attn_output", "layers.%d.self_attn.dense"),
    ROW("blk.%d.ffn_up", "layers.%d.mlp.fc1"),
    ROW("blk.%d.ffn_down", "layers.%d.mlp.fc2"),
    ROW("output_norm", "final_layernorm"),
    ROW("output", "lm_head"),
    END,
};

const lp_weight_name lp_names_persimmon[] = {
    ROW("token_embd", "embed_tokens"),
    ROW("blk.%d.attn_norm", "layers.%d.input_layernorm"),
    FORM("blk.%d.attn_qkv", "layers.%d.self_attn.query_key_value", LP_FORM_QKV_HEADS),
    HEAD_NORMS,
    ROW("blk.%d.attn_output", "layers.%d.self_attn.dense"),
    ROW("blk.%d.ffn_norm", "layers.%d.post_attention_layernorm"),
    ROW("blk.%d.ffn_up", "layers.%d.mlp.dense_h_to_4h"),
    ROW("blk.%d.ffn_down", "layers.%d.mlp.dense_4h_to_h"),
    ROW("output_norm", "final_layernorm"),
    ROW("output", "lm_head"),
    END,
};

const lp_weight_name lp_names_bigcode[] = {
    ROW("token_embd", "wte"),
    ROW("position_embd", "wpe"),
    ROW("blk.%d.attn_norm", "h.%d.ln_1"),
    FORM("blk.%d.attn_qkv", "h.%d.attn.c_attn", LP_FORM_QKV_GROUPS),
    ROW("blk.%d.attn_output", "h.%d.attn.c_proj"),
    ROW("blk.%d.ffn_norm", "h.%d.ln_2"),
    ROW("blk.%d.ffn_up", "h.%d.mlp.c_fc"),
    ROW("blk.%d.ffn_down", "h.%d.mlp.c_proj"),
    ROW("output_norm", "ln_f"),
    ROW("output", "lm_head"),
    END,
};

/* The rest is GPT-J's. */
const lp_weight_name lp_names_codegen[] = {
    FORM("blk.%d.attn_qkv", "h.%d.attn.qkv_proj", LP_FORM_QVK_PARTS),
    END,
};

/* The rest of these is Llama's. */
const lp_weight_name lp_names_fused[] = {
    ROW("blk.%d.attn_qkv", "layers.%d.self_attn.qkv_proj"),
    ROW("blk.%d.ffn_up", "layers.%d.mlp.gate_up_proj"),
    END,
};

const lp_weight_name lp_names_glm4[] = {
    ROW("blk.%d.attn_qkv", NULL),
    ROW("blk.%d.post_attention_norm", "layers.%d.post_self_attn_layernorm"),
    ROW("blk.%d.ffn_up", "layers.%d.mlp.gate_up_proj"),
    ROW("blk.%d.post_ffw_norm", "layers.%d.post_mlp_layernorm"),
    END,
};

const lp_weight_name lp_names_chatglm[] = {
    ROW("token_embd", "word_embeddings"),
    ROW("blk.%d.attn_norm", "layers.%d.input_layernorm"),
    FORM("blk.%d.attn_qkv", "layers.%d.attention.query_key_value", LP_FORM_QKV_HEADS),
    ROW("blk.%d.attn_output", "layers.%d.attention.dense"),
    ROW("blk.%d.ffn_norm", "layers.%d.post_attention_layernorm"),
    ROW("blk.%d.ffn_up", "layers.%d.mlp.dense_h_to_4h"),
    ROW("blk.%d.ffn_down", "layers.%d.mlp.dense_4h_to_h"),
    ROW("output_norm", "final_layernorm"),
    ROW("output", "lm_head"),
    END,
};

const lp_weight_name lp_names_chatglm2[] = {
    ROW("token_embd", "embedding.word_embeddings"),
    ROW("blk.%d.attn_norm", "layers.%d.input_layernorm"),
    ROW("blk.%d.attn_qkv", "layers.%d.self_attention.query_key_value"),
    ROW("blk.%d.attn_output", "layers.%d.self_attention.dense"),
    ROW("blk.%d.ffn_norm", "layers.%d.post_attention_layernorm"),
    ROW("blk.%d.ffn_up", "layers.%d.mlp.dense_h_to_4h"),
    ROW("blk.%d.ffn_down", "layers.%d.mlp.dense_4h_to_h"),
    ROW("output_norm", "final_layernorm"),
    ROW("output", "output_layer"),
    END,
};

const lp_weight_name lp_names_starcoder2[] = {
    ROW("blk.%d.ffn_up", "layers.%d.mlp.c_fc"),
    ROW("blk.%d.ffn_down", "layers.%d.mlp.c_proj"),
    END,
};

const lp_weight_name lp_names_stablelm[] = {
    FORM("blk.%d.attn_q_norm", "layers.%d.self_attn.q_layernorm.norms.%e", LP_FORM_HEAD),
    FORM("blk.%d.attn_k_norm", "layers.%d.self_attn.k_layernorm.norms.%e", LP_FORM_HEAD_KV),
    END,
};

const lp_weight_name lp_names_llama[] = {
    ROW("token_embd", "embed_tokens"),
    ROW("rope_freqs", NULL),
    ROW("rope_factors_long", NULL),
    ROW("rope_factors_short", NULL),
    ROW("blk.%d.attn_norm", "layers.%d.input_layernorm"),
    ROW("blk.%d.attn_q", "layers.%d.self_attn.q_proj"),
    ROW("blk.%d.attn_k", "layers.%d.self_attn.k_proj"),
    ROW("blk.%d.attn_v", "layers.%d.self_attn.v_proj"),
    ROW("blk.%d.attn_output", "layers.%d.self_attn.o_proj"),
    ROW("blk.%d.ffn_norm", "layers.%d.post_attention_layernorm"),
    ROW("blk.%d.ffn_gate", "layers.%d.mlp.gate_proj"),
    ROW("blk.%d.ffn_up", "layers.%d.mlp.up_proj"),
    ROW("blk.%d.ffn_down", "layers.%d.mlp.down_proj"),
    ROW("output_norm", "norm"),
    ROW("output", "lm_head"),
    END,
};

const lp_weight_name lp_names_qk_norm[] = {
    ROW("blk.%d.attn_q_norm", "layers.%d.self_attn.q_norm"),
    ROW("blk.%d.attn_k_norm", "layers.%d.self_attn.k_norm"),
    END,
};

const lp_weight_name lp_names_gemma[] = {
    FORM("blk.%d.attn_norm", "layers.%d.input_layernorm", LP_FORM_PLUS_ONE),
    FORM("blk.%d.ffn_norm", "layers.%d.post_attention_layernorm", LP_FORM_PLUS_ONE),
    FORM("output_norm", "norm", LP_FORM_PLUS_ONE),
    END,
};

const lp_weight_name lp_names_gemma2[] = {
    FORM("blk.%d.attn_norm", "layers.%d.input_layernorm", LP_FORM_PLUS_ONE),
    FORM("blk.%d.attn_q_norm", "layers.%d.self_attn.q_norm", LP_FORM_PLUS_ONE),
    FORM("blk.%d.attn_k_norm", "layers.%d.self_attn.k_norm", LP_FORM_PLUS_ONE),
    FORM("blk.%d.post_attention_norm", "layers.%d.post_attention_layernorm", LP_FORM_PLUS_ONE),
    FORM("blk.%d.ffn_norm", "layers.%d.pre_feedforward_layernorm", LP_FORM_PLUS_ONE),
    FORM("blk.%d.post_ffw_norm", "layers.%d.post_feedforward_layernorm", LP_FORM_PLUS_ONE),
    FORM("output_norm", "norm", LP_FORM_PLUS_ONE),
    END,
};

const lp_weight_name lp_names_mixtral[] = {
    ROW("blk.%d.ffn_gate_inp", "layers.%d.block_sparse_moe.gate"),
    FORM("blk.%d.ffn_gate_exps", "layers.%d.block_sparse_moe.experts.%e.w1", LP_FORM_EXPERT),
    FORM("blk.%d.ffn_up_exps", "layers.%d.block_sparse_moe.experts.%e.w3", LP_FORM_EXPERT),
    FORM("blk.%d.ffn_down_exps", "layers.%d.block_sparse_moe.experts.%e.w2", LP_FORM_EXPERT),
    END,
};

#define EXPERTS                                                                                    \
    ROW("blk.%d.ffn_gate_inp", "layers.%d.mlp.gate"),                                              \
        FORM("blk.%d.ffn_gate_exps", "layers.%d.mlp.experts.%e.gate_proj", LP_FORM_EXPERT),        \
        FORM("blk.%d.ffn_up_exps", "layers.%d.mlp.experts.%e.up_proj", LP_FORM_EXPERT),            \
        FORM("blk.%d.ffn_down_exps", "layers.%d.mlp.experts.%e.down_proj", LP_FORM_EXPERT)

const lp_weight_name lp_names_qwen_moe[] = {
    EXPERTS,
    ROW("blk.%d.attn_q_norm", "layers.%d.self_attn.q_norm"),
    ROW("blk.%d.attn_k_norm", "layers.%d.self_attn.k_norm"),
    FORM("blk.%d.ffn_gate_inp_shexp", "layers.%d.mlp.shared_expert_gate", LP_FORM_ROW),
    ROW("blk.%d.ffn_gate_shexp", "layers.%d.mlp.shared_expert.gate_proj"),
    ROW("blk.%d.ffn_up_shexp", "layers.%d.mlp.shared_expert.up_proj"),
    ROW("blk.%d.ffn_down_shexp", "layers.%d.mlp.shared_expert.down_proj"),
    END,
};

/* Older GGUF files have attn_kv_b in one piece, too. */
const lp_weight_name lp_names_deepseek[] = {
    EXPERTS,
    ROW("blk.%d.attn_q_a", "layers.%d.self_attn.q_a_proj"),
    ROW("blk.%d.attn_q_a_norm", "layers.%d.self_attn.q_a_layernorm"),
    ROW("blk.%d.attn_q_b", "layers.%d.self_attn.q_b_proj"),
    ROW("blk.%d.attn_kv_a_mqa", "layers.%d.self_attn.kv_a_proj_with_mqa"),
    ROW("blk.%d.attn_kv_a_norm", "layers.%d.self_attn.kv_a_layernorm"),
    PART("blk.%d.attn_k_b", "layers.%d.self_attn.kv_b_proj", LP_FORM_SAME, LP_PART_HEAD_KEYS),
    PART("blk.%d.attn_v_b", "layers.%d.self_attn.kv_b_proj", LP_FORM_SAME, LP_PART_HEAD_VALUES),
    PART("blk.%d.attn_k_b", "blk.%d.attn_kv_b", LP_FORM_SAME, LP_PART_HEAD_KEYS),
    PART("blk.%d.attn_v_b", "blk.%d.attn_kv_b", LP_FORM_SAME, LP_PART_HEAD_VALUES),
    ROW("blk.%d.exp_probs_b.bias", "layers.%d.mlp.gate.e_score_correction_bias"),
    ROW("blk.%d.ffn_gate_shexp", "layers.%d.mlp.shared_experts.gate_proj"),
    ROW("blk.%d.ffn_up_shexp", "layers.%d.mlp.shared_experts.up_proj"),
    ROW("blk.%d.ffn_down_shexp", "layers.%d.mlp.shared_experts.down_proj"),
    END,
};

#define GPT_OSS_EXPERTS "layers.%d.mlp.experts."
const lp_weight_name lp_names_gpt_oss[] = {
    ROW("blk.%d.attn_sinks.weight", "layers.%d.self_attn.sinks"),
    ROW("blk.%d.post_attention_norm", "layers.%d.post_attention_layernorm"),
    ROW("blk.%d.ffn_gate_inp", "layers.%d.mlp.router"),
    PART("blk.%d.ffn_gate_exps.weight", GPT_OSS_EXPERTS "gate_up_proj", LP_FORM_TRANSPOSED,
         LP_PART_EVEN),
    PART("blk.%d.ffn_up_exps.weight", GPT_OSS_EXPERTS "gate_up_proj", LP_FORM_TRANSPOSED,
         LP_PART_ODD),
    FORM("blk.%d.ffn_down_exps.weight", GPT_OSS_EXPERTS "down_proj", LP_FORM_TRANSPOSED),
    PART("blk.%d.ffn_gate_exps.weight", GPT_OSS_EXPERTS "gate_up_proj_blocks", LP_FORM_MXFP4,
         LP_PART_EVEN),
    PART("blk.%d.ffn_up_exps.weight", GPT_OSS_EXPERTS "gate_up_proj_blocks", LP_FORM_MXFP4,
         LP_PART_ODD),
    FORM("blk.%d.ffn_down_exps.weight", GPT_OSS_EXPERTS "down_proj_blocks", LP_FORM_MXFP4),
    PART("blk.%d.ffn_gate_exps.bias", GPT_OSS_EXPERTS "gate_up_proj_bias", LP_FORM_VECTORS,
         LP_PART_EVEN),
    PART("blk.%d.ffn_up_exps.bias", GPT_OSS_EXPERTS "gate_up_proj_bias", LP_FORM_VECTORS,
         LP_PART_ODD),
    ROW("blk.%d.ffn_down_exps.bias", GPT_OSS_EXPERTS "down_proj_bias"),
    END,
};

#define LLAMA4_FFN "layers.%d.feed_forward."
const lp_weight_name lp_names_llama4[] = {
    ROW("blk.%d.ffn_gate", LLAMA4_FFN "gate_proj"),
    ROW("blk.%d.ffn_up", LLAMA4_FFN "up_proj"),
    ROW("blk.%d.ffn_down", LLAMA4_FFN "down_proj"),
    ROW("blk.%d.ffn_gate_inp", LLAMA4_FFN "router"),
    PART("blk.%d.ffn_gate_exps.weight", LLAMA4_FFN "experts.gate_up_proj", LP_FORM_TRANSPOSED,
         LP_PART_FIRST),
    PART("blk.%d.ffn_up_exps.weight", LLAMA4_FFN "experts.gate_up_proj", LP_FORM_TRANSPOSED,
         LP_PART_SECOND),
    FORM("blk.%d.ffn_down_exps.weight", LLAMA4_FFN "experts.down_proj", LP_FORM_TRANSPOSED),
    ROW("blk.%d.ffn_gate_shexp", LLAMA4_FFN "shared_expert.gate_proj"),
    ROW("blk.%d.ffn_up_shexp", LLAMA4_FFN "shared_expert.up_proj"),
    ROW("blk.%d.ffn_down_shexp", LLAMA4_FFN "shared_expert.down_proj"),
    END,
};

const lp_weight_name lp_names_olmo2[] = {
    ROW("blk.%d.attn_q_norm", "layers.%d.self_attn.q_norm"),
    ROW("blk.%d.attn_k_norm", "layers.%d.self_attn.k_norm"),
    ROW("blk.%d.post_attention_norm", "layers.%d.post_attention_layernorm"),
    ROW("blk.%d.post_ffw_norm", "layers.%d.post_feedforward_layernorm"),
    END,
};

/* T5: Raffel et al. 2020, arXiv:1910.10683. */
const lp_weight_name lp_names_t5[] = {
    ROW("token_embd", "shared"),
    ROW("enc.blk.%d.attn_norm", "encoder.block.%d.layer.0.layer_norm"),
    ROW("enc.blk.%d.attn_q", "encoder.block.%d.layer.0.SelfAttention.q"),
    ROW("enc.blk.%d.attn_k", "encoder.block.%d.layer.0.SelfAttention.k"),
    ROW("enc.blk.%d.attn_v", "encoder.block.%d.layer.0.SelfAttention.v"),
    ROW("enc.blk.%d.attn_output", "encoder.block.%d.layer.0.SelfAttention.o"),
    ROW("enc.blk.%d.attn_rel_b", "encoder.block.%d.layer.0.SelfAttention.relative_attention_bias"),
    ROW("enc.blk.%d.ffn_norm", "encoder.block.%d.layer.1.layer_norm"),
    ROW("enc.blk.%d.ffn_up", "encoder.block.%d.layer.1.DenseReluDense.wi"),
    ROW("enc.blk.%d.ffn_gate", "encoder.block.%d.layer.1.DenseReluDense.wi_0"),
    ROW("enc.blk.%d.ffn_up", "encoder.block.%d.layer.1.DenseReluDense.wi_1"),
    ROW("enc.blk.%d.ffn_down", "encoder.block.%d.layer.1.DenseReluDense.wo"),
    ROW("enc.output_norm", "encoder.final_layer_norm"),
    ROW("dec.blk.%d.attn_norm", "decoder.block.%d.layer.0.layer_norm"),
    ROW("dec.blk.%d.attn_q", "decoder.block.%d.layer.0.SelfAttention.q"),
    ROW("dec.blk.%d.attn_k", "decoder.block.%d.layer.0.SelfAttention.k"),
    ROW("dec.blk.%d.attn_v", "decoder.block.%d.layer.0.SelfAttention.v"),
    ROW("dec.blk.%d.attn_output", "decoder.block.%d.layer.0.SelfAttention.o"),
    ROW("dec.blk.%d.attn_rel_b", "decoder.block.%d.layer.0.SelfAttention.relative_attention_bias"),
    ROW("dec.blk.%d.cross_attn_norm", "decoder.block.%d.layer.1.layer_norm"),
    ROW("dec.blk.%d.cross_attn_q", "decoder.block.%d.layer.1.EncDecAttention.q"),
    ROW("dec.blk.%d.cross_attn_k", "decoder.block.%d.layer.1.EncDecAttention.k"),
    ROW("dec.blk.%d.cross_attn_v", "decoder.block.%d.layer.1.EncDecAttention.v"),
    ROW("dec.blk.%d.cross_attn_output", "decoder.block.%d.layer.1.EncDecAttention.o"),
    ROW("dec.blk.%d.ffn_norm", "decoder.block.%d.layer.2.layer_norm"),
    ROW("dec.blk.%d.ffn_up", "decoder.block.%d.layer.2.DenseReluDense.wi"),
    ROW("dec.blk.%d.ffn_gate", "decoder.block.%d.layer.2.DenseReluDense.wi_0"),
    ROW("dec.blk.%d.ffn_up", "decoder.block.%d.layer.2.DenseReluDense.wi_1"),
    ROW("dec.blk.%d.ffn_down", "decoder.block.%d.layer.2.DenseReluDense.wo"),
    ROW("dec.output_norm", "decoder.final_layer_norm"),
    ROW("output", "lm_head"),
    END,
};

const lp_weight_name lp_names_t5_gguf[] = {
    ROW("enc.blk.%d.attn_output", "enc.blk.%d.attn_o"),
    ROW("dec.blk.%d.attn_output", "dec.blk.%d.attn_o"),
    ROW("dec.blk.%d.cross_attn_output", "dec.blk.%d.cross_attn_o"),
    END,
};

/* What Switch has beside T5's. */
const lp_weight_name lp_names_switch[] = {
    ROW("enc.blk.%d.ffn_up", "encoder.block.%d.layer.1.mlp.wi"),
    ROW("enc.blk.%d.ffn_down", "encoder.block.%d.layer.1.mlp.wo"),
    ROW("enc.blk.%d.ffn_gate_inp", "encoder.block.%d.layer.1.mlp.router.classifier"),
    FORM("enc.blk.%d.ffn_up_exps", "encoder.block.%d.layer.1.mlp.experts.expert_%e.wi",
         LP_FORM_EXPERT),
    FORM("enc.blk.%d.ffn_down_exps", "encoder.block.%d.layer.1.mlp.experts.expert_%e.wo",
         LP_FORM_EXPERT),
    ROW("dec.blk.%d.ffn_up", "decoder.block.%d.layer.2.mlp.wi"),
    ROW("dec.blk.%d.ffn_down", "decoder.block.%d.layer.2.mlp.wo"),
    ROW("dec.blk.%d.ffn_gate_inp", "decoder.block.%d.layer.2.mlp.router.classifier"),
    FORM("dec.blk.%d.ffn_up_exps", "decoder.block.%d.layer.2.mlp.experts.expert_%e.wi",
         LP_FORM_EXPERT),
    FORM("dec.blk.%d.ffn_down_exps", "decoder.block.%d.layer.2.mlp.experts.expert_%e.wo",
         LP_FORM_EXPERT),
    END,
};

const lp_weight_name lp_names_bart[] = {
    ROW("token_embd", "shared"),
    ROW("enc.position_embd", "encoder.embed_positions"),
    ROW("enc.token_embd_norm", "encoder.layernorm_embedding"),
    ROW("enc.blk.%d.attn_q", "encoder.layers.%d.self_attn.q_proj"),
    ROW("enc.blk.%d.attn_k", "encoder.layers.%d.self_attn.k_proj"),
    ROW("enc.blk.%d.attn_v", "encoder.layers.%d.self_attn.v_proj"),
    ROW("enc.blk.%d.attn_output", "encoder.layers.%d.self_attn.out_proj"),
    ROW("enc.blk.%d.attn_output_norm", "encoder.layers.%d.self_attn_layer_norm"),
    ROW("enc.blk.%d.ffn_up", "encoder.layers.%d.fc1"),
    ROW("enc.blk.%d.ffn_down", "encoder.layers.%d.fc2"),
    ROW("enc.blk.%d.layer_output_norm", "encoder.layers.%d.final_layer_norm"),
    ROW("dec.position_embd", "decoder.embed_positions"),
    ROW("dec.token_embd_norm", "decoder.layernorm_embedding"),
    ROW("dec.blk.%d.attn_q", "decoder.layers.%d.self_attn.q_proj"),
    ROW("dec.blk.%d.attn_k", "decoder.layers.%d.self_attn.k_proj"),
    ROW("dec.blk.%d.attn_v", "decoder.layers.%d.self_attn.v_proj"),
    ROW("dec.blk.%d.attn_output", "decoder.layers.%d.self_attn.out_proj"),
    ROW("dec.blk.%d.attn_output_norm", "decoder.layers.%d.self_attn_layer_norm"),
    ROW("dec.blk.%d.cross_attn_q", "decoder.layers.%d.encoder_attn.q_proj"),
    ROW("dec.blk.%d.cross_attn_k", "decoder.layers.%d.encoder_attn.k_proj"),
    ROW("dec.blk.%d.cross_attn_v", "decoder.layers.%d.encoder_attn.v_proj"),
    ROW("dec.blk.%d.cross_attn_output", "decoder.layers.%d.encoder_attn.out_proj"),
    ROW("dec.blk.%d.cross_attn_output_norm", "decoder.layers.%d.encoder_attn_layer_norm"),
    ROW("dec.blk.%d.ffn_up", "decoder.layers.%d.fc1"),
    ROW("dec.blk.%d.ffn_down", "decoder.layers.%d.fc2"),
    ROW("dec.blk.%d.layer_output_norm", "decoder.layers.%d.final_layer_norm"),
    FORM("output.bias", "final_logits_bias", LP_FORM_VECTOR),
    ROW("output", "lm_head"),
    END,
};
