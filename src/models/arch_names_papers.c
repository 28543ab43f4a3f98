/* Names of models that have papers, but no published files: docs/MODELS.md says which names their
 * folders hold. */
#include "models/arch_names_rows.h"

/* As in PyTorch's examples/word_language_model, whose rnn is an nn.LSTM or nn.GRU. */
const lp_weight_name lp_names_recurrent[] = {
    ROW("token_embd", "encoder"),
    ROW("blk.%d.rnn_x.weight", "rnn.weight_ih_l%d"),
    ROW("blk.%d.rnn_x.bias", "rnn.bias_ih_l%d"),
    ROW("blk.%d.rnn_h.weight", "rnn.weight_hh_l%d"),
    ROW("blk.%d.rnn_h.bias", "rnn.bias_hh_l%d"),
    ROW("output", "decoder"),
    END,
};

const lp_weight_name lp_names_luong[] = {
    ROW("enc.token_embd", "encoder.embedding"),
    ROW("enc.blk.%d.rnn_x.weight", "encoder.rnn.weight_ih_l%d"),
    ROW("enc.blk.%d.rnn_x.bias", "encoder.rnn.bias_ih_l%d"),
    ROW("enc.blk.%d.rnn_h.weight", "encoder.rnn.weight_hh_l%d"),
    ROW("enc.blk.%d.rnn_h.bias", "encoder.rnn.bias_hh_l%d"),
    ROW("token_embd", "decoder.embedding"),
    ROW("dec.blk.%d.rnn_x.weight", "decoder.rnn.weight_ih_l%d"),
    ROW("dec.blk.%d.rnn_x.bias", "decoder.rnn.bias_ih_l%d"),
    ROW("dec.blk.%d.rnn_h.weight", "decoder.rnn.weight_hh_l%d"),
    ROW("dec.blk.%d.rnn_h.bias", "decoder.rnn.bias_hh_l%d"),
    ROW("dec.cross_attn_k", "score"),
    ROW("dec.combine_context", "combine_context"),
    ROW("dec.combine_hidden", "combine_hidden"),
    ROW("output", "output"),
    END,
};

/* Annotations are the states of two directions; what they are multiplied by has two halves. Biases
 * that have rows are always there in models that synth makes. */
const lp_weight_name lp_names_bahdanau[] = {
    ROW("enc.token_embd", "encoder.embedding"),
    ROW("enc.blk.%d.rnn_x.weight", "encoder.rnn.weight_ih_l%d"),
    ROW("enc.blk.%d.rnn_x.bias", "encoder.rnn.bias_ih_l%d"),
    ROW("enc.blk.%d.rnn_h.weight", "encoder.rnn.weight_hh_l%d"),
    ROW("enc.blk.%d.rnn_back_x.weight", "encoder.rnn.weight_ih_l%d_reverse"),
    ROW("enc.blk.%d.rnn_back_x.bias", "encoder.rnn.bias_ih_l%d_reverse"),
    ROW("enc.blk.%d.rnn_back_h.weight", "encoder.rnn.weight_hh_l%d_reverse"),
    ROW("token_embd", "decoder.embedding"),
    ROW("dec.blk.%d.rnn_x.weight", "decoder.rnn.weight_ih_l%d"),
    ROW("dec.blk.%d.rnn_x.bias", "decoder.rnn.bias_ih_l%d"),
    ROW("dec.blk.%d.rnn_h.weight", "decoder.rnn.weight_hh_l%d"),
    ROW("dec.blk.%d.rnn_start.weight", "decoder.start_l%d.weight"),
    ROW("dec.blk.%d.rnn_start.bias", "decoder.start_l%d.bias"),
    ROW("dec.blk.%d.align_q", "score.state_l%d"),
    ROW("dec.blk.%d.align_k.weight", "score.forward_l%d.weight"),
    ROW("dec.blk.%d.align_k.bias", "score.forward_l%d.bias"),
    ROW("dec.blk.%d.align_k_back", "score.backward_l%d"),
    ROW("dec.blk.%d.align", "score.vector_l%d"),
    ROW("dec.blk.%d.context", "context.forward_l%d"),
    ROW("dec.blk.%d.context_back", "context.backward_l%d"),
    ROW("dec.blk.%d.maxout_h", "maxout.state_l%d"),
    ROW("dec.blk.%d.maxout_x.weight", "maxout.word_l%d.weight"),
    ROW("dec.blk.%d.maxout_x.bias", "maxout.word_l%d.bias"),
    ROW("output", "output"),
    END,
};

/* Models of papers without published files: the parts as PyTorch's nn.TransformerEncoderLayer calls
 * them. */
const lp_weight_name lp_names_paper[] = {
    ROW("token_embd", "embed_tokens"),
    ROW("position_embd", "embed_positions"),
    ROW("blk.%d.attn_norm", "layers.%d.norm1"),
    ROW("blk.%d.attn_q", "layers.%d.self_attn.q_proj"),
    ROW("blk.%d.attn_k", "layers.%d.self_attn.k_proj"),
    ROW("blk.%d.attn_v", "layers.%d.self_attn.v_proj"),
    ROW("blk.%d.attn_output", "layers.%d.self_attn.out_proj"),
    ROW("blk.%d.ffn_norm", "layers.%d.norm2"),
    ROW("blk.%d.ffn_up", "layers.%d.linear1"),
    ROW("blk.%d.ffn_gate", "layers.%d.linear_gate"),
    ROW("blk.%d.ffn_hidden_norm", "layers.%d.norm_hidden"),
    ROW("blk.%d.ffn_down", "layers.%d.linear2"),
    ROW("output_norm", "norm"),
    ROW("output", "lm_head"),
    END,
};

const lp_weight_name lp_names_post_norm[] = {
    ROW("blk.%d.attn_output_norm", "layers.%d.norm1"),
    ROW("blk.%d.layer_output_norm", "layers.%d.norm2"),
    END,
};

/* PyTorch's nn.Transformer: queries, keys and values in one matrix. */
#define TORCH_BLOCK(part, there, last_norm)                                                        \
    ROW(part "blk.%d.attn_output", there ".layers.%d.self_attn.out_proj"),                         \
        ROW(part "blk.%d.attn_qkv.weight", there ".layers.%d.self_attn.in_proj_weight"),           \
        ROW(part "blk.%d.attn_qkv.bias", there ".layers.%d.self_attn.in_proj_bias"),               \
        ROW(part "blk.%d.attn_output_norm", there ".layers.%d.norm1"),                             \
        ROW(part "blk.%d.ffn_up", there ".layers.%d.linear1"),                                     \
        ROW(part "blk.%d.ffn_down", there ".layers.%d.linear2"),                                   \
        ROW(part "blk.%d.layer_output_norm", there ".layers.%d." last_norm),                       \
        ROW(part "output_norm", there ".norm")
#define TORCH_CROSS(name, part)                                                                    \
    PART("dec.blk.%d." name ".weight", "decoder.layers.%d.multihead_attn.in_proj_weight",          \
         LP_FORM_SAME, part),                                                                      \
        PART("dec.blk.%d." name ".bias", "decoder.layers.%d.multihead_attn.in_proj_bias",          \
             LP_FORM_VECTORS, part)
const lp_weight_name lp_names_torch[] = {
    ROW("token_embd", "embed"),
    TORCH_BLOCK("enc.", "encoder", "norm2"),
    TORCH_BLOCK("dec.", "decoder", "norm3"),
    TORCH_CROSS("cross_attn_q", LP_PART_QUERIES),
    TORCH_CROSS("cross_attn_k", LP_PART_KEYS),
    TORCH_CROSS("cross_attn_v", LP_PART_VALUES),
    ROW("dec.blk.%d.cross_attn_output", "decoder.layers.%d.multihead_attn.out_proj"),
    ROW("dec.blk.%d.cross_attn_output_norm", "decoder.layers.%d.norm2"),
    ROW("output", "generator"),
    END,
};

/* The decoder's parts are named as lp_names_paper has them, the encoder's the same behind
 * "encoder."; cross-attention is in some layers of either. */
#define RETRO_STACK(part, there)                                                                   \
    ROW(part "blk.%d.attn_norm", there "layers.%d.norm1"),                                         \
        ROW(part "blk.%d.attn_q", there "layers.%d.self_attn.q_proj"),                             \
        ROW(part "blk.%d.attn_k", there "layers.%d.self_attn.k_proj"),                             \
        ROW(part "blk.%d.attn_v", there "layers.%d.self_attn.v_proj"),                             \
        ROW(part "blk.%d.attn_output", there "layers.%d.self_attn.out_proj"),                      \
        ROW(part "blk.%d.cross_attn_norm", there "layers.%d.norm_cross"),                          \
        ROW(part "blk.%d.cross_attn_q", there "layers.%d.cross_attn.q_proj"),                      \
        ROW(part "blk.%d.cross_attn_k", there "layers.%d.cross_attn.k_proj"),                      \
        ROW(part "blk.%d.cross_attn_v", there "layers.%d.cross_attn.v_proj"),                      \
        ROW(part "blk.%d.cross_attn_output", there "layers.%d.cross_attn.out_proj"),               \
        ROW(part "blk.%d.ffn_norm", there "layers.%d.norm2"),                                      \
        ROW(part "blk.%d.ffn_up", there "layers.%d.linear1"),                                      \
        ROW(part "blk.%d.ffn_down", there "layers.%d.linear2"),                                    \
        ROW(part "output_norm", there "norm")
const lp_weight_name lp_names_retro[] = {
    ROW("token_embd", "embed_tokens"), ROW("enc.token_embd", "encoder.embed_tokens"),
    RETRO_STACK("enc.", "encoder."),   RETRO_STACK("dec.", ""),
    ROW("output", "lm_head"),          END,
};
