/* The rows of the architecture table and of the names of their weights. */
#include "models/arch.h"

#include <stdio.h>
#include <string.h>

static const lp_config_keys gpt2_config = {
    .embedding_length = "n_embd",
    .block_count = "n_layer",
    .feed_forward_length = "n_inner",
    .head_count = "n_head",
    .context_length = "n_positions",
    .norm_eps = "layer_norm_epsilon",
    .act = "activation_function",
};

static const lp_config_keys llama_config = {
    .embedding_length = "hidden_size",
    .block_count = "num_hidden_layers",
    .feed_forward_length = "intermediate_size",
    .head_count = "num_attention_heads",
    .head_count_kv = "num_key_value_heads",
    .head_size = "head_dim",
    .context_length = "max_position_embeddings",
    .norm_eps = "rms_norm_eps",
    .act = "hidden_act",
};

static const lp_weight_name gpt2_names[] = {
    {"token_embd", "wte", false},
    {"position_embd", "wpe", false},
    {"blk.%d.attn_norm", "h.%d.ln_1", false},
    {"blk.%d.attn_qkv", "h.%d.attn.c_attn", true},
    {"blk.%d.attn_output", "h.%d.attn.c_proj", true},
    {"blk.%d.ffn_norm", "h.%d.ln_2", false},
    {"blk.%d.ffn_up", "h.%d.mlp.c_fc", true},
    {"blk.%d.ffn_down", "h.%d.mlp.c_proj", true},
    {"output_norm", "ln_f", false},
    {"output", "lm_head", false},
    {NULL, NULL, false},
};

static const lp_weight_name llama_names[] = {
    {"token_embd", "embed_tokens", false},
    {"rope_freqs", NULL, false},
    {"blk.%d.attn_norm", "layers.%d.input_layernorm", false},
    {"blk.%d.attn_q", "layers.%d.self_attn.q_proj", false},
    {"blk.%d.attn_k", "layers.%d.self_attn.k_proj", false},
    {"blk.%d.attn_v", "layers.%d.self_attn.v_proj", false},
    {"blk.%d.attn_output", "layers.%d.self_attn.o_proj", false},
    {"blk.%d.ffn_norm", "layers.%d.post_attention_layernorm", false},
    {"blk.%d.ffn_gate", "layers.%d.mlp.gate_proj", false},
    {"blk.%d.ffn_up", "layers.%d.mlp.up_proj", false},
    {"blk.%d.ffn_down", "layers.%d.mlp.down_proj", false},
    {"output_norm", "norm", false},
    {"output", "lm_head", false},
    {NULL, NULL, false},
};

/* GPT-2's checkpoints store the causal mask; old Llama ones the RoPE frequencies. */
static const char *const gpt2_ignored[] = {"h.%d.attn.bias", "h.%d.attn.masked_bias", NULL};
static const char *const llama_ignored[] = {"layers.%d.self_attn.rotary_emb.inv_freq", NULL};

const lp_arch lp_archs[] = {
    /* Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" */
    {
        .gguf = "gpt2",
        .hf = "gpt2",
        .norm = LP_NORM_LAYER,
        .position = LP_POSITION_LEARNED,
        .act = LP_ACT_GELU_TANH,
        .fused_qkv = true,
        .tied = true,
        .config = &gpt2_config,
        .names = gpt2_names,
        .hf_prefix = "transformer.",
        .hf_ignored = gpt2_ignored,
    },
    /* Touvron et al. 2023, arXiv:2302.13971 and 2307.09288; Grattafiori et al. 2024,
     * arXiv:2407.21783 */
    {
        .gguf = "llama",
        .hf = "llama",
        .norm = LP_NORM_RMS,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_SILU,
        .gated = true,
        .config = &llama_config,
        .names = llama_names,
        .hf_prefix = "model.",
        .hf_ignored = llama_ignored,
    },
    /* Jiang et al. 2023, arXiv:2310.06825. In GGUF files it calls itself llama. */
    {
        .gguf = NULL,
        .hf = "mistral",
        .norm = LP_NORM_RMS,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_SILU,
        .gated = true,
        .window = 4096,
        .config = &llama_config,
        .names = llama_names,
        .hf_prefix = "model.",
        .hf_ignored = llama_ignored,
    },
};
const size_t lp_n_archs = sizeof lp_archs / sizeof lp_archs[0];

const lp_arch *lp_arch_find_gguf(const char *name, size_t bytes)
{
    for (size_t i = 0; i < lp_n_archs; i++) {
        const char *row = lp_archs[i].gguf;
        if (row && strlen(row) == bytes && memcmp(row, name, bytes) == 0)
            return &lp_archs[i];
    }
    return NULL;
}

const lp_arch *lp_arch_find_hf(const char *name)
{
    for (size_t i = 0; i < lp_n_archs; i++)
        if (strcmp(lp_archs[i].hf, name) == 0)
            return &lp_archs[i];
    return NULL;
}

char *lp_arch_list(bool gguf, char *text, size_t n)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < lp_n_archs && used < n; i++) {
        const char *name = gguf ? lp_archs[i].gguf : lp_archs[i].hf;
        if (name)
            used += (size_t)snprintf(text + used, n - used, "%s%s", used ? ", " : "", name);
    }
    return text;
}
