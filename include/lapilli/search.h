/* Beam search: how an encoder-decoder's answer is looked for. Plain data.
 *
 * Of n_beams sequences the likeliest n_beams continuations are followed, until enough have ended
 * (Sutskever et al. 2014, arXiv:1409.3215). Ended ones are ranked by
 *
 *     score = sum of log-probabilities (natural) / tokens ^ length_penalty
 *
 * (tokens: what was chosen, the end token included). With one beam this is greedy. The rules are
 * those of transformers' generate() without sampling. */
#ifndef LAPILLI_SEARCH_H
#define LAPILLI_SEARCH_H

#include <stdint.h>

/* When to stop, once n_beams sequences have ended: */
typedef enum lp_early_stopping {
    LP_STOP_UNLIKELY, /* when the best one that goes on, by its length so far, scores below them */
    LP_STOP_AT_ONCE,  /* at once */
    LP_STOP_HOPELESS  /* the same as the first, by the best length that it could have */
} lp_early_stopping;

#define LP_MAX_BEAMS 64

typedef struct lp_search_options {
    uint32_t n_beams;     /* 1 to LP_MAX_BEAMS */
    uint32_t n_best;      /* answers wanted, 1 to n_beams */
    uint32_t max_tokens;  /* of an answer, the end token included */
    uint32_t min_tokens;  /* before the end token may come */
    uint32_t no_repeat;   /* no run of so many tokens comes twice; 0: off
                             (Paulus et al. 2017, arXiv:1705.04304) */
    float repeat_penalty; /* log-probabilities of tokens that came before times this; 1: none */
    float length_penalty; /* 0: none; above 0 favours long answers */
    lp_early_stopping early_stopping;
} lp_search_options;

#endif
