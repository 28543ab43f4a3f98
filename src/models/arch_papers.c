/* Rows of the architecture table: models of papers without published files, docs/MODELS.md. */
#include "models/arch_rows.h"

/* Layers of PyTorch's nn.LSTM or nn.GRU. */
#define RECURRENT                                                                                  \
    .position = LP_POSITION_NONE, .context = 4096, .norm_eps = 1, .names = lp_names_recurrent,     \
    .hf_prefixes = ""

#define RECURRENT_TRANSLATOR                                                                       \
    .has_encoder = true, .position = LP_POSITION_NONE, .context = 512, .norm_eps = 1,              \
    .hf_prefixes = ""

static const lp_arch rows[] = {
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
};
const lp_arch_table lp_archs_papers = {rows, sizeof rows / sizeof rows[0]};
