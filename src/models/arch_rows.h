/* What the tables of rows are written with, for arch*.c only. */
#ifndef LP_MODELS_ARCH_ROWS_H
#define LP_MODELS_ARCH_ROWS_H

#include "models/arch.h"
#include "models/arch_names.h"

typedef struct lp_arch_table {
    const lp_arch *rows;
    size_t n;
} lp_arch_table;

extern const lp_arch_table lp_archs_gpt, lp_archs_llama, lp_archs_encoders, lp_archs_seq2seq,
    lp_archs_papers;

/* What most rows of a kind have in common. */
#define GPT .norm = LP_NORM_LAYER, .norm_eps = 1e-5f
#define GATED                                                                                      \
    .position = LP_POSITION_ROPE, .gated = true, .hf_prefixes = "model.",                          \
    .hf_ignored = "layers.%d.self_attn.rotary_emb.inv_freq"
#define LLAMA GATED, .norm = LP_NORM_RMS, .act = LP_ACT_SILU

#endif
