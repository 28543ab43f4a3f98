/* Rows of the architecture table: encoder-decoders with published files, and T5's encoder alone. */
#include "models/arch_rows.h"

/* Of encoder-decoders; copies of the token embedding that files hold, too. */
#define T5_STACK                                                                                   \
    .norm = LP_NORM_RMS, .norms = LP_NORMS_PRE, .norm_eps = 1e-6f,                                 \
    .position = LP_POSITION_RELATIVE, .act = LP_ACT_RELU, .unscaled = true, .context = 512,        \
    .hf_prefixes = ""
#define T5                                                                                         \
    T5_STACK,                                                                                      \
        .has_encoder = true, .tied = true, .head_scaled = true,                                    \
        .hf_ignored = "encoder.embed_tokens.weight decoder.embed_tokens.weight "                   \
                      "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
#define BART                                                                                       \
    .norm = LP_NORM_LAYER, .norm_eps = 1e-5f, .has_encoder = true, .tied = true,                   \
    .names = lp_names_bart, .hf_prefixes = "model."
#define BART_COPIES "encoder.embed_tokens.weight decoder.embed_tokens.weight"

static const lp_arch rows[] = {
    {
        /* Ni et al. 2021, arXiv:2108.08877, and image models that read texts with it */
        .gguf = "t5encoder",
        .hf = "t5",
        .hf_class = "T5EncoderModel",
        T5_STACK,
        .part = "enc.",
        .encoder_only = true,
        .tied = true,
        .names = lp_names_t5,
        .gguf_names = lp_names_t5_gguf,
        .hf_ignored = "encoder.embed_tokens.weight",
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
};
const lp_arch_table lp_archs_seq2seq = {rows, sizeof rows / sizeof rows[0]};
