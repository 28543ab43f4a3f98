/* Hyperparameters of a model, from the metadata of a GGUF file or from config.json. Both are
 * hostile: whatever is read is checked here, so that the graph can be built from it without
 * overflow. The shapes of the weights are checked against it later, by the builder. */
#ifndef LP_MODELS_HPARAMS_H
#define LP_MODELS_HPARAMS_H

#include "models/arch.h"
#include "tensor/gguf.h"

typedef enum lp_rope_scaling {
    LP_ROPE_SCALING_NONE,
    LP_ROPE_SCALING_LINEAR, /* positions divided by `factor`: Chen et al. 2023, arXiv:2306.15595 */
    LP_ROPE_SCALING_LLAMA3  /* long wavelengths divided by `factor`: see lp_rope_frequencies() */
} lp_rope_scaling;

typedef struct lp_rope_hparams {
    lp_rope_pairing pairing;
    uint32_t n_rotated; /* leading elements of a head, even; 0: no RoPE */
    float base;         /* theta */
    lp_rope_scaling scaling;
    float factor, low_freq_factor, high_freq_factor;
    uint32_t original_context; /* tokens */
} lp_rope_hparams;

typedef struct lp_hparams {
    const lp_arch *arch;
    uint32_t n_vocab, n_context, n_embd, n_layer, n_ff;
    uint32_t n_head, n_head_kv, head_k, head_v; /* head sizes of keys and values */
    float norm_eps;
    lp_act_kind act;
    bool tied;       /* the head is the token embedding */
    uint32_t window; /* sliding window of attention in tokens; 0: none */
    lp_rope_hparams rope;
} lp_hparams;

/* Errors name `where` (the file) and the key. An unknown architecture is LP_E_UNSUPPORTED with the
 * list of known ones; so is every setting that would change the numbers and is not implemented. */
lp_status lp_hparams_from_gguf(lp_context *ctx, const char *where, const lp_gguf *gguf,
                               const lp_weights *weights, lp_hparams *hp);
/* `path`: of config.json. */
lp_status lp_hparams_from_config(lp_context *ctx, const char *path, lp_hparams *hp);
/* The same from its text. */
lp_status lp_hparams_parse_config(lp_context *ctx, const char *where, const char *text,
                                  size_t bytes, lp_hparams *hp);

/* What both end with: ranges and divisibility. */
lp_status lp_hparams_check(lp_context *ctx, const char *where, const lp_hparams *hp);

/* Radians per position of each of the n_rotated / 2 pairs, frequency i =
 * base^(-2 i / n_rotated), scaled as the model says (Su et al. 2021, arXiv:2104.09864).
 *
 * llama3 looks at how many turns a pair makes within the original context: above high_freq_factor
 * it stays, below low_freq_factor it is divided by `factor`, between them 1/divisor is interpolated
 * linearly in the turns. GGUF files bring the divisors ready-made instead: `divisors`
 * [n_rotated / 2], or NULL. */
void lp_rope_frequencies(const lp_rope_hparams *rope, const float *divisors, double *frequencies);

/* One hyperparameter as people read it. */
typedef struct lp_hparam {
    const char *name; /* snake_case, for JSON */
    bool is_number;   /* in JSON without quotes */
    char value[40];
} lp_hparam;
#define LP_MAX_FACTS 24
/* Returns how many were written. */
size_t lp_hparams_describe(const lp_hparams *hp, lp_hparam facts[LP_MAX_FACTS]);

#endif
