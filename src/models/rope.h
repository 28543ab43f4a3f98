/* Rotary position embeddings (Su et al. 2021, arXiv:2104.09864) and the ways in which models
 * stretch them over longer contexts. */
#ifndef LP_MODELS_ROPE_H
#define LP_MODELS_ROPE_H

#include "graph/graph.h"

typedef enum lp_rope_scaling {
    LP_ROPE_SCALING_NONE,
    LP_ROPE_SCALING_LINEAR,  /* positions divided by `factor`: Chen et al. 2023, arXiv:2306.15595 */
    LP_ROPE_SCALING_DYNAMIC, /* a larger base for longer contexts ("dynamic NTK") */
    LP_ROPE_SCALING_YARN,    /* long wavelengths divided: Peng et al. 2023, arXiv:2309.00071 */
    LP_ROPE_SCALING_LLAMA3,  /* the same with other bounds: Grattafiori et al. 2024 */
    LP_ROPE_SCALING_LONGROPE /* a divisor per pair: Ding et al. 2024, arXiv:2402.13753 */
} lp_rope_scaling;

#define LP_MAX_ROPE_PAIRS 512

typedef struct lp_rope_hparams { /* without padding: it is compared byte by byte */
    lp_rope_pairing pairing;
    uint32_t n_rotated; /* leading elements of a head, even; 0: no RoPE */
    uint32_t two_axes;  /* one half of these is turned by one position, one by another */
    float base;         /* theta */
    lp_rope_scaling scaling;
    float factor;                            /* by how much the context was stretched */
    uint32_t original_context;               /* tokens, before that */
    float low_freq_factor, high_freq_factor; /* Llama 3: turns within the original context */
    float beta_slow, beta_fast;              /* YaRN: the same */
    uint32_t untruncated;                    /* YaRN: its bounds are not rounded to whole pairs */
    float mscale, mscale_all; /* YaRN, DeepSeek: of the turned elements, of all; see rope.c */
    float attention_factor;   /* of the turned elements; 0: as the kind of scaling has it */
    float divisors[2][LP_MAX_ROPE_PAIRS]; /* LongRoPE: of contexts up to the original; longer */
} lp_rope_hparams;

/* Ranges, and what follows from the rest. `head`: size of a key head. */
lp_status lp_rope_finish(lp_context *ctx, const char *where, uint32_t head, lp_rope_hparams *rope);

/* YaRN multiplies queries and keys by 0.1 m ln(factor) + 1; m is 1 but in DeepSeek's models. */
double lp_yarn_magnitude(const lp_rope_hparams *rope, double m);

/* Radians per position of each of the n_rotated / 2 pairs, frequency i =
 * base^(-2 i / n_rotated), scaled as the model says, in a session with a context of n_ctx tokens.
 *
 * - llama3 looks at how many turns a pair makes within the original context: above high_freq_factor
 *   it stays, below low_freq_factor it is divided by `factor`, between them 1/divisor is
 *   interpolated linearly in the turns.
 * - yarn does so linearly in the number of the pair, between the pairs that make beta_fast and
 *   beta_slow turns.
 * - dynamic stretches the base, longrope chooses its divisors, by n_ctx. The papers look at the
 *   length of each text instead, which would turn keys that are in the cache already.
 *
 * With two axes both halves have the frequencies of one.
 *
 * GGUF files may bring divisors ready-made: `divisors` [n_rotated / 2], or NULL. */
void lp_rope_frequencies(const lp_rope_hparams *rope, uint32_t n_ctx, const float *divisors,
                         double *frequencies);

#endif
