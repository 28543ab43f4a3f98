/* Rows of the architecture table: encoders, of texts and of pictures. */
#include "models/arch_rows.h"

/* Devlin et al. 2018, arXiv:1810.04805, and what followed; a head is there if its weights are. */
#define ENCODER .norm = LP_NORM_LAYER, .encoder_only = true, .tied = true, .act = LP_ACT_GELU_ERF
#define BERT                                                                                       \
    ENCODER, .norms = LP_NORMS_EMBD | LP_NORMS_SUM, .norm_eps = 1e-12f,                            \
             .position = LP_POSITION_LEARNED

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

static const lp_arch rows[] = {
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
const lp_arch_table lp_archs_encoders = {rows, sizeof rows / sizeof rows[0]};
