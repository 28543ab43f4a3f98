/* Rows of the architecture table: decoders with RMS norms, from Llama on. */
#include "models/arch_rows.h"

#define QWEN LLAMA, .gguf_halves = true, .norm_eps = 1e-6f, .window = 4096, .window_from = 28
#define GEMMA                                                                                      \
    GATED, .norm = LP_NORM_RMS, .act = LP_ACT_GELU_TANH, .tied = true, .embed_scaled = true,       \
           .gguf_halves = true, .norm_eps = 1e-6f

/* What published files of Gemma 3 that see images leave out. */
#define GEMMA3_DEFAULTS                                                                            \
    "{\"model_type\": \"gemma3_text\", \"vocab_size\": 262208, \"num_attention_heads\": 8, "       \
    "\"num_key_value_heads\": 4, \"head_dim\": 256, \"max_position_embeddings\": 131072, "         \
    "\"rms_norm_eps\": 1e-6, \"query_pre_attn_scalar\": 256, \"rope_theta\": 1000000}"

static const lp_arch rows[] = {
    {
        /* Touvron et al. 2023, arXiv:2302.13971 and 2307.09288; Grattafiori et al. 2024,
           arXiv:2407.21783 */
        .gguf = "llama",
        .hf = "llama",
        LLAMA,
        .norms = LP_NORMS_PRE,
        .norm_eps = 1e-6f,
        .route = {.score = LP_ROUTE_CHOSEN, .k = 2, .scale = 1},
        .names = lp_names_llama,
        .more_names = lp_names_mixtral, /* in GGUF files Mixtral calls itself llama */
    },
    {
        /* Meta 2025, Llama 4, what reads text; growth of queries: arXiv:2501.19399 */
        .gguf = "llama4",
        .hf = "llama4_text",
        .hf_nested = "llama4",
        .hf_defaults = "{\"model_type\": \"llama4_text\"}",
        LLAMA,
        .norms = LP_NORMS_PRE | LP_NORMS_QK_TURNED,
        .norm_eps = 1e-5f,
        .interleaved = true,
        .rope_base = 500000,
        .no_rope_every = 4,
        .chunk = 8192,
        .q_growth = 0.1f,
        .q_growth_step = 8192,
        .route = {.score = LP_ROUTE_SIGMOID, .k = 1, .scale = 1},
        .route_first = true,
        .names = lp_names_llama4,
        .more_names = lp_names_llama,
    },
    {
        /* Jiang et al. 2023, arXiv:2310.06825; in GGUF files it calls itself llama */
        .hf = "mistral",
        .gguf_as = "llama",
        LLAMA,
        .norms = LP_NORMS_PRE,
        .norm_eps = 1e-6f,
        .window = 4096,
        .names = lp_names_llama,
    },
    {
        /* Jiang et al. 2024, arXiv:2401.04088; in GGUF files it calls itself llama */
        .hf = "mixtral",
        .gguf_as = "llama",
        LLAMA,
        .norms = LP_NORMS_PRE,
        .norm_eps = 1e-5f,
        .window = 1,
        .route = {.score = LP_ROUTE_CHOSEN, .k = 2, .scale = 1},
        .names = lp_names_mixtral,
        .more_names = lp_names_llama,
    },
    {
        /* Yang et al. 2024, arXiv:2407.10671 and 2412.15115 */
        .gguf = "qwen2",
        .hf = "qwen2",
        QWEN,
        .norms = LP_NORMS_PRE,
        .names = lp_names_llama,
    },
    {
        /* Yang et al. 2025, arXiv:2505.09388 */
        .gguf = "qwen3",
        .hf = "qwen3",
        QWEN,
        .norms = LP_NORMS_PRE | LP_NORMS_QK_HEAD,
        .names = lp_names_qk_norm,
        .more_names = lp_names_llama,
    },
    {
        /* Qwen Team 2024, Qwen1.5-MoE; Yang et al. 2024, arXiv:2407.10671 */
        .gguf = "qwen2moe",
        .hf = "qwen2_moe",
        QWEN,
        .norms = LP_NORMS_PRE,
        .route = {.score = LP_ROUTE_SOFTMAX, .k = 4, .scale = 1},
        .norm_topk = true,
        .names = lp_names_qwen_moe,
        .more_names = lp_names_llama,
    },
    {
        /* Yang et al. 2025, arXiv:2505.09388 */
        .gguf = "qwen3moe",
        .hf = "qwen3_moe",
        QWEN,
        .norms = LP_NORMS_PRE | LP_NORMS_QK_HEAD,
        .route = {.score = LP_ROUTE_SOFTMAX, .k = 8, .normalise = true, .scale = 1},
        .norm_topk = true,
        .names = lp_names_qwen_moe,
        .more_names = lp_names_llama,
    },
    {
        /* Gemma Team 2024, arXiv:2403.08295 */
        .gguf = "gemma",
        .hf = "gemma",
        GEMMA,
        .norms = LP_NORMS_PRE,
        .gelu_is_tanh = true,
        .names = lp_names_gemma,
        .more_names = lp_names_llama,
    },
    {
        /* Gemma Team 2024, arXiv:2408.00118 */
        .gguf = "gemma2",
        .hf = "gemma2",
        GEMMA,
        .norms = LP_NORMS_PRE | LP_NORMS_ATTN_POST | LP_NORMS_FFN_POST,
        .window = 4096,
        .window_every = 2,
        .full_scale_layers = 46,
        .names = lp_names_gemma2,
        .more_names = lp_names_llama,
    },
    {
        /* Gemma Team 2025, arXiv:2503.19786 */
        .gguf = "gemma3",
        .hf = "gemma3_text",
        .hf_nested = "gemma3",
        .hf_defaults = GEMMA3_DEFAULTS,
        GEMMA,
        .norms = LP_NORMS_PRE | LP_NORMS_ATTN_POST | LP_NORMS_FFN_POST | LP_NORMS_QK_HEAD,
        .window = 4096,
        .window_every = 6,
        .window_rope_base = 10000,
        .full_scale_layers = 62,
        .names = lp_names_gemma2,
        .more_names = lp_names_llama,
    },
    {
        /* DeepSeek-AI 2024, arXiv:2405.04434 */
        .gguf = "deepseek2",
        .hf = "deepseek_v2",
        LLAMA,
        .norms = LP_NORMS_PRE,
        .norm_eps = 1e-6f,
        .latent = true,
        .interleaved = true,
        .route = {.score = LP_ROUTE_SOFTMAX, .k = 1, .scale = 1, .group_best = 1},
        .names = lp_names_deepseek,
        .more_names = lp_names_llama,
    },
    {
        /* DeepSeek-AI 2024, arXiv:2412.19437; in GGUF files it calls itself deepseek2 */
        .hf = "deepseek_v3",
        .gguf_as = "deepseek2",
        LLAMA,
        .norms = LP_NORMS_PRE,
        .norm_eps = 1e-6f,
        .latent = true,
        .interleaved = true,
        .route = {.score = LP_ROUTE_SIGMOID, .k = 8, .scale = 1, .group_best = 2},
        .norm_topk = true,
        .names = lp_names_deepseek,
        .more_names = lp_names_llama,
    },
    {
        /* OpenAI 2025, arXiv:2508.10925 */
        .gguf = "gpt-oss",
        .hf = "gpt_oss",
        .position = LP_POSITION_ROPE,
        .gated = true,
        .hf_prefixes = "model.",
        .norm = LP_NORM_RMS,
        .norms = LP_NORMS_PRE,
        .gguf_halves = true,
        .norm_eps = 1e-5f,
        .window = 128,
        .window_every = 2,
        .act = LP_ACT_GELU_QUICK,
        .route = {.score = LP_ROUTE_CHOSEN, .k = 4, .scale = 1},
        .glu_limit = 7,
        .yarn_untruncated = true,
        .names = lp_names_gpt_oss,
        .more_names = lp_names_llama,
        .hf_ignored = "layers.%d.mlp.experts.gate_up_proj_scales "
                      "layers.%d.mlp.experts.down_proj_scales", /* read with the blocks */
    },
    {
        /* OLMo Team 2024, arXiv:2501.00656 */
        .gguf = "olmo2",
        .hf = "olmo2",
        LLAMA,
        .norms = LP_NORMS_ATTN_POST | LP_NORMS_FFN_POST | LP_NORMS_OUTPUT | LP_NORMS_QK_ROW,
        .gguf_halves = true,
        .norm_eps = 1e-5f,
        .names = lp_names_olmo2,
        .more_names = lp_names_llama,
    },
    {
        /* Abdin et al. 2024, arXiv:2404.14219 */
        .gguf = "phi3",
        .hf = "phi3",
        LLAMA,
        .norms = LP_NORMS_PRE,
        .norm_eps = 1e-5f,
        .gguf_halves = true,
        .window = 1,
        .names = lp_names_fused,
        .more_names = lp_names_llama,
    },
    {
        /* Granite Team 2024, Granite 3.0 */
        .gguf = "granite",
        .hf = "granite",
        LLAMA,
        .norm_eps = 1e-6f,
        .norms = LP_NORMS_PRE,
        .logits_divided = true,
        .names = lp_names_llama,
    },
    {
        /* Hugging Face 2025, SmolLM3 */
        .gguf = "smollm3",
        .hf = "smollm3",
        LLAMA,
        .norm_eps = 1e-6f,
        .norms = LP_NORMS_PRE,
        .tied = true,
        .no_rope_every = 4,
        .names = lp_names_llama,
    },
    {
        /* Team GLM 2024, arXiv:2406.12793 */
        .gguf = "chatglm",
        .hf = "glm",
        LLAMA,
        .norm_eps = 1.5625e-7f,
        .norms = LP_NORMS_PRE,
        .interleaved = true,
        .rotary = 0.5f,
        .names = lp_names_glm4,
        .more_names = lp_names_llama,
    },
    {
        /* ChatGLM 2 and 3, GLM-4-9B as it was published first: Team GLM 2024, arXiv:2406.12793 */
        .hf = "chatglm",
        .hf_key = "multi_query_attention",
        .gguf_as = "chatglm",
        .norm = LP_NORM_RMS,
        .norm_eps = 1e-5f,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_SILU,
        .gated = true,
        .interleaved = true,
        .rotary = 0.5f,
        .names = lp_names_chatglm2,
        .hf_prefixes = "transformer. encoder.",
        .hf_ignored = "rotary_pos_emb.inv_freq",
    },
    {
        /* ChatGLM-6B: Du et al. 2022, arXiv:2103.10360; Zeng et al. 2022, arXiv:2210.02414 */
        .hf = "chatglm",
        GPT,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_GELU_TANH,
        .deepnorm = true,
        .residual_normed = true,
        .prefix = true,
        .two_axes = true,
        .names = lp_names_chatglm,
        .hf_prefixes = "transformer.",
        .hf_ignored = "layers.%d.attention.rotary_emb.inv_freq",
    },
    {
        /* Zhipu AI 2025, GLM-4-0414 */
        .gguf = "glm4",
        .hf = "glm4",
        LLAMA,
        .norm_eps = 1e-5f,
        .norms = LP_NORMS_PRE | LP_NORMS_ATTN_POST | LP_NORMS_FFN_POST,
        .interleaved = true,
        .rotary = 0.5f,
        .names = lp_names_glm4,
        .more_names = lp_names_llama,
    },
};
const lp_arch_table lp_archs_llama = {rows, sizeof rows / sizeof rows[0]};
