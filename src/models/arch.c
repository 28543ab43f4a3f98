/* The rows of the architecture table. */
#include "models/arch.h"

#include <string.h>

#include "models/arch_names.h"

/* Buffers that old checkpoints hold: masks and frequencies of RoPE. */
#define GPT2_BUFFERS "h.%d.attn.bias h.%d.attn.masked_bias"

/* What most rows of a kind have in common. */
#define GPT .norm = LP_NORM_LAYER, .norm_eps = 1e-5f
#define GATED                                                                                      \
    .position = LP_POSITION_ROPE, .gated = true, .hf_prefixes = "model.",                          \
    .hf_ignored = "layers.%d.self_attn.rotary_emb.inv_freq"
#define LLAMA GATED, .norm = LP_NORM_RMS, .act = LP_ACT_SILU
#define QWEN  LLAMA, .gguf_halves = true, .norm_eps = 1e-6f, .window = 4096, .window_from = 28
/* Devlin et al. 2018, arXiv:1810.04805, and what followed; a head is there if its weights are. */
#define ENCODER .norm = LP_NORM_LAYER, .encoder_only = true, .tied = true, .act = LP_ACT_GELU_ERF
#define BERT                                                                                       \
    ENCODER, .norms = LP_NORMS_EMBD | LP_NORMS_SUM, .norm_eps = 1e-12f,                            \
             .position = LP_POSITION_LEARNED
#define GEMMA                                                                                      \
    GATED, .norm = LP_NORM_RMS, .act = LP_ACT_GELU_TANH, .tied = true, .embed_scaled = true,       \
           .gguf_halves = true, .norm_eps = 1e-6f

/* What published files of Gemma 3 that see images leave out. */
#define GEMMA3_DEFAULTS                                                                            \
    "{\"model_type\": \"gemma3_text\", \"vocab_size\": 262208, \"num_attention_heads\": 8, "       \
    "\"num_key_value_heads\": 4, \"head_dim\": 256, \"max_position_embeddings\": 131072, "         \
    "\"rms_norm_eps\": 1e-6, \"query_pre_attn_scalar\": 256, \"rope_theta\": 1000000}"

/* Of encoder-decoders; copies of the token embedding that files hold, too. */
#define T5                                                                                         \
    .norm = LP_NORM_RMS, .norms = LP_NORMS_PRE, .norm_eps = 1e-6f,                                 \
    .position = LP_POSITION_RELATIVE, .act = LP_ACT_RELU, .has_encoder = true, .tied = true,       \
    .head_scaled = true, .unscaled = true, .context = 512, .hf_prefixes = "",                      \
    .hf_ignored = "encoder.embed_tokens.weight decoder.embed_tokens.weight "                       \
                  "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
#define BART                                                                                       \
    .norm = LP_NORM_LAYER, .norm_eps = 1e-5f, .has_encoder = true, .tied = true,                   \
    .names = lp_names_bart, .hf_prefixes = "model."
#define BART_COPIES "encoder.embed_tokens.weight decoder.embed_tokens.weight"

/* Towers of CLIP, and what is like the one that reads pictures. */
static const lp_arch_sizes vit_sizes = {
    .n_embd = 768, .n_layer = 12, .n_head = 12, .n_ff = 3072, .picture = {224, 16, 3, 1}};
static const lp_arch_sizes deit_sizes = {
    .n_embd = 768, .n_layer = 12, .n_head = 12, .n_ff = 3072, .picture = {224, 16, 3, 2}};
static const lp_arch_sizes clip_vision_sizes = {.n_embd = 768,
                                                .n_layer = 12,
                                                .n_head = 12,
                                                .n_ff = 3072,
                                                .n_projected = 512,
                                                .picture = {224, 32, 3, 1}};
static const lp_arch_sizes clip_text_sizes = {.n_vocab = 49408,
                                              .n_context = 77,
                                              .n_embd = 512,
                                              .n_layer = 12,
                                              .n_head = 8,
                                              .n_ff = 2048,
                                              .n_projected = 512,
                                              .end_token = 49407};
#define VISION ENCODER, .norms = LP_NORMS_PRE, .norm_eps = 1e-12f, .position = LP_POSITION_LEARNED
#define CLIP                                                                                       \
    .norm = LP_NORM_LAYER, .norm_eps = 1e-5f, .encoder_only = true, .tied = true,                  \
    .act = LP_ACT_GELU_QUICK, .position = LP_POSITION_LEARNED
#define CLIP_TEXT CLIP, .norms = LP_NORMS_PRE, .whole_causal = true, .hf_prefixes = "text_model."

/* Layers of PyTorch's nn.LSTM or nn.GRU. */
#define RECURRENT                                                                                  \
    .position = LP_POSITION_NONE, .context = 4096, .norm_eps = 1, .names = lp_names_recurrent,     \
    .hf_prefixes = ""

#define RECURRENT_TRANSLATOR                                                                       \
    .has_encoder = true, .position = LP_POSITION_NONE, .context = 512, .norm_eps = 1,              \
    .hf_prefixes = ""

const lp_arch lp_archs[] = {
    {
        /* Radford et al. 2019, Language Models are Unsupervised Multitask Learners */
        .gguf = "gpt2",
        .hf = "gpt2",
        GPT,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_LEARNED,
        .act = LP_ACT_GELU_TANH,
        .tied = true,
        .names = lp_names_gpt2,
        .hf_prefixes = "transformer.",
        .hf_ignored = GPT2_BUFFERS,
    },
    {
        /* Black et al. 2021, GPT-Neo */
        .hf = "gpt_neo",
        GPT,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_LEARNED,
        .act = LP_ACT_GELU_TANH,
        .tied = true,
        .unscaled = true,
        .names = lp_names_gpt_neo,
        .hf_prefixes = "transformer.",
        .hf_ignored = "h.%d.attn.attention.bias h.%d.attn.attention.masked_bias",
    },
    {
        /* Wang & Komatsuzaki 2021, GPT-J-6B */
        .hf = "gptj",
        GPT,
        .norms = LP_NORMS_ATTN | LP_NORMS_OUTPUT,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_GELU_TANH,
        .parallel = true,
        .interleaved = true,
        .rotary_dim = 64,
        .names = lp_names_gptj,
        .hf_prefixes = "transformer.",
        .hf_ignored = GPT2_BUFFERS,
    },
    {
        /* Black et al. 2022, arXiv:2204.06745; Biderman et al. 2023, arXiv:2304.01373 */
        .gguf = "gptneox",
        .hf = "gpt_neox",
        GPT,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_GELU_ERF,
        .parallel = true,
        .gguf_halves = true,
        .rotary = 0.25f,
        .names = lp_names_neox,
        .hf_prefixes = "gpt_neox.",
        .hf_ignored = "layers.%d.attention.bias layers.%d.attention.masked_bias "
                      "layers.%d.attention.rotary_emb.inv_freq",
    },
    {
        /* Zhang et al. 2022, arXiv:2205.01068; Galactica: Taylor et al. 2022, arXiv:2211.09085 */
        .hf = "opt",
        GPT,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_LEARNED,
        .position_offset = 2,
        .act = LP_ACT_RELU,
        .tied = true,
        .names = lp_names_opt,
        .hf_prefixes = "model. decoder.",
    },
    {
        /* BigScience 2022, arXiv:2211.05100 */
        .gguf = "bloom",
        .hf = "bloom",
        GPT,
        .context = 2048,
        .norms = LP_NORMS_EMBD | LP_NORMS_PRE,
        .position = LP_POSITION_ALIBI,
        .act = LP_ACT_GELU_TANH,
        .tied = true,
        .names = lp_names_bloom,
        .hf_prefixes = "transformer.",
    },
    {
        /* MosaicML 2023, MPT */
        .gguf = "mpt",
        .hf = "mpt",
        GPT,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_ALIBI,
        .act = LP_ACT_GELU_ERF,
        .tied = true,
        .names = lp_names_mpt,
        .hf_prefixes = "transformer.",
    },
    {
        /* Almazrouei et al. 2023, arXiv:2311.16867 */
        .gguf = "falcon",
        .hf = "falcon",
        GPT,
        .multi_query = true,
        .context = 2048,
        .norms = LP_NORMS_ATTN | LP_NORMS_OUTPUT,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_GELU_ERF,
        .parallel = true,
        .tied = true,
        .gguf_halves = true,
        .names = lp_names_falcon,
        .hf_prefixes = "transformer.",
    },
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
        .gguf = "bert",
        .hf = "bert",
        BERT,
        .names = lp_names_bert,
        .hf_prefixes = "bert.",
        .hf_ignored = "embeddings.position_ids cls.predictions.decoder.bias "
                      "cls.seq_relationship.weight cls.seq_relationship.bias",
    },
    {
        /* Liu et al. 2019, arXiv:1907.11692; XLM-R: Conneau et al. 2020, arXiv:1911.02116 */
        .hf = "roberta",
        .gguf_as = "bert",
        BERT,
        .position_after_pad = true,
        .mlm_gelu = true,
        .names = lp_names_roberta,
        .more_names = lp_names_bert,
        .hf_prefixes = "roberta.",
        .hf_ignored = "embeddings.position_ids lm_head.decoder.bias",
    },
    {
        .hf = "xlm-roberta",
        .gguf_as = "bert",
        BERT,
        .position_after_pad = true,
        .mlm_gelu = true,
        .names = lp_names_roberta,
        .more_names = lp_names_bert,
        .hf_prefixes = "roberta.",
        .hf_ignored = "embeddings.position_ids lm_head.decoder.bias",
    },
    {
        /* Sanh et al. 2019, arXiv:1910.01108 */
        .hf = "distilbert",
        .gguf_as = "bert",
        BERT,
        .names = lp_names_distilbert,
        .hf_prefixes = "distilbert.",
        .hf_ignored = "embeddings.position_ids",
    },
    {
        /* Clark et al. 2020, arXiv:2003.10555: the generator fills masks; the discriminator has no
           such head */
        .hf = "electra",
        BERT,
        .embd_in_last = true,
        .mlm_gelu = true,
        .names = lp_names_electra,
        .more_names = lp_names_bert,
        .hf_prefixes = "electra.",
        .hf_ignored = "embeddings.position_ids "
                      "discriminator_predictions.dense.weight discriminator_predictions.dense.bias "
                      "discriminator_predictions.dense_prediction.weight "
                      "discriminator_predictions.dense_prediction.bias",
    },
    {
        /* Warner et al. 2024, arXiv:2412.13663 */
        .gguf = "modern-bert",
        .hf = "modernbert",
        ENCODER,
        .norms = LP_NORMS_EMBD | LP_NORMS_PRE,
        .norm_eps = 1e-5f,
        .first_unnormed = true,
        .position = LP_POSITION_ROPE,
        .rope_base = 160000,
        .gguf_halves = true,
        .window_rope_base = 10000,
        .window = 128,
        .window_every = 3,
        .window_every_first = true,
        .gated = true,
        .names = lp_names_modernbert,
        .hf_prefixes = "model.",
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
        /* Zeng et al. 2022, arXiv:2210.02414: post-LN with DeepNorm, GeGLU, RoPE */
        .hf = "glm_130b",
        GPT,
        .norms = LP_NORMS_SUM,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_GELU_ERF,
        .gated = true,
        .deepnorm = true,
        .names = lp_names_post_norm,
        .more_names = lp_names_paper,
        .hf_prefixes = "",
    },
    {
        /* Hochreiter & Schmidhuber 1997; Zaremba et al. 2014, arXiv:1409.2329 */
        .hf = "lstm_lm",
        RECURRENT,
        .cell = LP_CELL_LSTM,
    },
    {
        /* Cho et al. 2014, arXiv:1406.1078 */
        .hf = "gru_lm",
        RECURRENT,
        .cell = LP_CELL_GRU,
    },
    {
        /* Luong et al. 2015, arXiv:1508.04025: global attention */
        .hf = "luong_nmt",
        .cell = LP_CELL_LSTM,
        RECURRENT_TRANSLATOR,
        .names = lp_names_luong,
    },
    {
        /* Bahdanau et al. 2015, arXiv:1409.0473: additive attention */
        .hf = "bahdanau_nmt",
        .cell = LP_CELL_GATED,
        RECURRENT_TRANSLATOR,
        .names = lp_names_bahdanau,
    },
    {
        /* Child et al. 2019, arXiv:1904.10509: which keys a layer sees is in layer_types */
        .hf = "sparse_transformer",
        GPT,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_LEARNED,
        .act = LP_ACT_GELU_QUICK,
        .sparse = true,
        .names = lp_names_paper,
        .hf_prefixes = "",
    },
    {
        /* Elhage et al. 2022, Softmax Linear Units: hidden_act is "solu" or "solu_ln" */
        .hf = "solu",
        GPT,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_LEARNED,
        .act = LP_ACT_GELU_ERF,
        .names = lp_names_paper,
        .hf_prefixes = "",
    },
    {
        /* Raffel et al. 2020, arXiv:1910.10683; Flan: Chung et al. 2022, arXiv:2210.11416 */
        .gguf = "t5",
        .hf = "t5",
        T5,
        .names = lp_names_t5,
        .gguf_names = lp_names_t5_gguf,
    },
    {
        /* Fedus et al. 2021, arXiv:2101.03961 */
        .hf = "switch_transformers",
        T5,
        .route = {.score = LP_ROUTE_SOFTMAX, .k = 1, .scale = 1, .capacity = 64},
        .names = lp_names_switch,
        .more_names = lp_names_t5,
    },
    {
        /* Lewis et al. 2019, arXiv:1910.13461 */
        .hf = "bart",
        BART,
        .norms = LP_NORMS_EMBD | LP_NORMS_SUM,
        .position = LP_POSITION_LEARNED,
        .position_offset = 2,
        .act = LP_ACT_GELU_ERF,
        .hf_ignored = BART_COPIES,
    },
    {
        /* Vaswani et al. 2017, arXiv:1706.03762; Junczys-Dowmunt et al. 2018, arXiv:1804.00344 */
        .hf = "marian",
        BART,
        .norms = LP_NORMS_SUM,
        .position = LP_POSITION_SINUSOID,
        .act = LP_ACT_GELU_ERF,
        .hf_ignored = BART_COPIES " encoder.embed_positions.weight decoder.embed_positions.weight",
    },
    {
        /* Vaswani et al. 2017, arXiv:1706.03762, with the names of PyTorch's nn.Transformer */
        .hf = "transformer",
        .norm = LP_NORM_LAYER,
        .norm_eps = 1e-5f,
        .norms = LP_NORMS_SUM,
        .position = LP_POSITION_SINUSOID,
        .interleaved = true,
        .act = LP_ACT_RELU,
        .has_encoder = true,
        .tied = true,
        .embed_scaled = true,
        .names = lp_names_torch,
        .hf_prefixes = "transformer.",
    },
    {
        /* Borgeaud et al. 2021, arXiv:2112.04426 */
        .hf = "retro",
        .norm = LP_NORM_RMS,
        .norm_eps = 1e-5f,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_GELU_ERF,
        .has_encoder = true,
        .retrieves = true,
        .names = lp_names_retro,
        .hf_prefixes = "",
    },
    {
        /* Groeneveld et al. 2024, arXiv:2402.00838 */
        .gguf = "olmo",
        .hf = "olmo",
        GATED,
        .act = LP_ACT_SILU,
        .norm = LP_NORM_LAYER,
        .norm_eps = 1e-5f,
        .norms = LP_NORMS_PRE,
        .norm_plain = true,
        .names = lp_names_llama,
    },
    {
        /* Li et al. 2023, arXiv:2309.05463; Microsoft 2023, Phi-2 */
        .gguf = "phi2",
        .hf = "phi",
        GPT,
        .norms = LP_NORMS_ATTN | LP_NORMS_OUTPUT,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_GELU_TANH,
        .parallel = true,
        .gguf_halves = true,
        .rotary = 0.5f,
        .names = lp_names_phi,
        .hf_prefixes = "model.",
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
        /* Cohere 2024, Command-R */
        .gguf = "command-r",
        .hf = "cohere",
        GATED,
        .act = LP_ACT_SILU,
        .norm = LP_NORM_LAYER,
        .norm_eps = 1e-5f,
        .norms = LP_NORMS_ATTN | LP_NORMS_OUTPUT,
        .parallel = true,
        .tied = true,
        .interleaved = true,
        .names = lp_names_qk_norm,
        .more_names = lp_names_llama,
    },
    {
        /* Li et al. 2023, arXiv:2305.06161 */
        .gguf = "starcoder",
        .hf = "gpt_bigcode",
        GPT,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_LEARNED,
        .act = LP_ACT_GELU_TANH,
        .multi_query = true,
        .tied = true,
        .names = lp_names_bigcode,
        .hf_prefixes = "transformer.",
    },
    {
        /* Lozhkov et al. 2024, arXiv:2402.19173 */
        .gguf = "starcoder2",
        .hf = "starcoder2",
        GPT,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_GELU_TANH,
        .tied = true,
        .gguf_halves = true,
        .window = 1,
        .names = lp_names_starcoder2,
        .more_names = lp_names_llama,
        .hf_prefixes = "model.",
    },
    {
        /* Bellagente et al. 2024, arXiv:2402.17834 */
        .gguf = "stablelm",
        .hf = "stablelm",
        GATED,
        .act = LP_ACT_SILU,
        .norm = LP_NORM_LAYER,
        .norm_eps = 1e-5f,
        .norms = LP_NORMS_PRE,
        .gguf_halves = true,
        .rotary = 0.25f,
        .names = lp_names_stablelm,
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
    {
        /* Parmar et al. 2024, arXiv:2402.16819 */
        .gguf = "nemotron",
        .hf = "nemotron",
        GPT,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_RELU_SQUARED,
        .gguf_halves = true,
        .rotary = 0.5f,
        .names = lp_names_gemma,
        .more_names = lp_names_llama,
        .hf_prefixes = "model.",
    },
    {
        /* Nijkamp et al. 2022, arXiv:2203.13474 */
        .hf = "codegen",
        GPT,
        .norms = LP_NORMS_ATTN | LP_NORMS_OUTPUT,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_GELU_TANH,
        .parallel = true,
        .interleaved = true,
        .rotary_dim = 64,
        .names = lp_names_codegen,
        .more_names = lp_names_gptj,
        .hf_prefixes = "transformer.",
        .hf_ignored = GPT2_BUFFERS " h.%d.attn.causal_mask",
    },
    {
        /* Adept 2023, Persimmon-8B */
        .hf = "persimmon",
        GPT,
        .norms = LP_NORMS_PRE,
        .position = LP_POSITION_ROPE,
        .act = LP_ACT_RELU_SQUARED,
        .rotary = 0.5f,
        .names = lp_names_persimmon,
        .hf_prefixes = "model.",
    },
    {
        /* Dosovitskiy et al. 2020, arXiv:2010.11929 */
        .hf = "vit",
        VISION,
        .sizes = &vit_sizes,
        .names = lp_names_vit,
        .hf_prefixes = "vit.",
        .hf_ignored = "embeddings.mask_token",
    },
    {
        /* Touvron et al. 2020, arXiv:2012.12877 */
        .hf = "deit",
        VISION,
        .sizes = &deit_sizes,
        .names = lp_names_vit,
        .hf_prefixes = "deit.",
        .hf_ignored = "embeddings.mask_token",
    },
    {
        /* Radford et al. 2021, arXiv:2103.00020: both towers, */
        .hf = "clip",
        CLIP_TEXT,
        .sizes = &clip_text_sizes,
        .text_tower = "clip_text_model",
        .vision_tower = "clip_vision_model",
        .names = lp_names_clip_text,
        .more_names = lp_names_clip_towers,
        .hf_ignored = "embeddings.position_ids vision_model.embeddings.position_ids",
    },
    {
        /* each by itself */
        .hf = "clip_text_model",
        CLIP_TEXT,
        .sizes = &clip_text_sizes,
        .names = lp_names_clip_text,
        .hf_ignored = "embeddings.position_ids",
    },
    {
        .hf = "clip_vision_model",
        CLIP,
        .norms = LP_NORMS_EMBD | LP_NORMS_PRE,
        .sizes = &clip_vision_sizes,
        .names = lp_names_clip_vision,
        .hf_prefixes = "vision_model.",
        .hf_ignored = "embeddings.position_ids",
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
        if (lp_archs[i].hf && strcmp(lp_archs[i].hf, name) == 0)
            return &lp_archs[i];
    return NULL;
}

const lp_arch *lp_arch_find_nested(const char *name)
{
    for (size_t i = 0; i < lp_n_archs; i++)
        if (lp_archs[i].hf_nested && strcmp(lp_archs[i].hf_nested, name) == 0)
            return &lp_archs[i];
    return NULL;
}

const lp_arch *lp_arch_find_config(const char *name, bool (*has)(const void *user, const char *key),
                                   const void *user)
{
    for (size_t i = 0; i < lp_n_archs; i++) {
        const lp_arch *row = &lp_archs[i];
        if (row->hf && strcmp(row->hf, name) == 0 && (!row->hf_key || has(user, row->hf_key)))
            return row;
    }
    return NULL;
}

/* Levenshtein's distance of a and b, of at most 63 characters each. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], n = strnlen(b, 63);
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i] && i < 63; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= n; j++) {
            size_t change = diagonal + (a[i] != b[j - 1]);
            size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[n];
}

const char *lp_arch_nearest(bool gguf, const char *name)
{
    const char *best = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < lp_n_archs; i++) {
        const char *row = gguf ? lp_archs[i].gguf : lp_archs[i].hf;
        size_t d = row ? distance(name, row) : SIZE_MAX;
        if (d < least) {
            least = d;
            best = row;
        }
    }
    return best;
}
