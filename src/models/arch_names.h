/* The names of weights, one table per family of checkpoints. */
#ifndef LP_MODELS_ARCH_NAMES_H
#define LP_MODELS_ARCH_NAMES_H

#include "models/arch.h"

extern const lp_weight_name lp_names_gpt2[], lp_names_gpt_neo[], lp_names_gptj[], lp_names_neox[],
    lp_names_opt[], lp_names_bloom[], lp_names_mpt[], lp_names_falcon[], lp_names_llama[],
    lp_names_qk_norm[], lp_names_gemma[], lp_names_gemma2[], lp_names_mixtral[],
    lp_names_qwen_moe[], lp_names_gpt_oss[], lp_names_deepseek[], lp_names_llama4[],
    lp_names_olmo2[], lp_names_phi[], lp_names_persimmon[], lp_names_bigcode[], lp_names_codegen[],
    lp_names_fused[], lp_names_glm4[], lp_names_chatglm[], lp_names_chatglm2[],
    lp_names_starcoder2[], lp_names_stablelm[], lp_names_t5[], lp_names_switch[], lp_names_bart[];

/* T5's in GGUF files */
extern const lp_weight_name lp_names_t5_gguf[];

/* arch_names_encoders.c */
extern const lp_weight_name lp_names_bert[], lp_names_roberta[], lp_names_electra[],
    lp_names_distilbert[], lp_names_modernbert[], lp_names_vit[], lp_names_clip_text[],
    lp_names_clip_vision[], lp_names_clip_towers[];

/* arch_names_papers.c */
extern const lp_weight_name lp_names_recurrent[], lp_names_luong[], lp_names_bahdanau[], lp_names_paper[],
    lp_names_post_norm[], lp_names_torch[], lp_names_retro[];

#endif
