/* Candidates for the next token, and the steps that change or cut their list: see
 * lapilli/sampling.h for what each does and where it comes from. Everything is a fixed sequence of
 * correctly rounded operations, so that the same logits give the same list on every machine. */
#ifndef LP_TEXT_CANDIDATES_H
#define LP_TEXT_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lp_candidate {
    float x; /* its logit, as the steps so far left it; finite */
    int32_t id;
    uint32_t mass; /* exp(x - largest x) in units of 2^-30, once lp_candidates_weigh() was called */
    uint32_t key;  /* while sorting */
} lp_candidate;

typedef struct lp_candidates {
    lp_candidate *at, *spare; /* [room] */
    float *values;            /* [room] */
    size_t n;                 /* never 0 after a step that had any */
} lp_candidates;

/* The logits that are not -inf, in the order of ids. */
void lp_candidates_fill(lp_candidates *list, const float *logits, size_t n);

/* Masses; returns their sum, which is at least LP_MASS_ONE. */
uint64_t lp_candidates_weigh(lp_candidates *list);
void lp_candidates_by_logit(lp_candidates *list); /* largest first, lowest id first among equals */
void lp_candidates_by_id(lp_candidates *list);

void lp_candidates_top_n_sigma(lp_candidates *list, float n);
void lp_candidates_top_k(lp_candidates *list, uint32_t k);
void lp_candidates_tail_free(lp_candidates *list, float z);
void lp_candidates_typical(lp_candidates *list, float p);
void lp_candidates_top_p(lp_candidates *list, float p);
void lp_candidates_min_p(lp_candidates *list, float p);
/* Leaves out the likeliest: the caller has decided that it is time to. */
void lp_candidates_xtc(lp_candidates *list, float threshold);
void lp_candidates_temperature(lp_candidates *list, float temperature);
/* Those with a surprise of at most mu bits. */
void lp_candidates_mirostat(lp_candidates *list, double mu);

/* log2(total / mass): the surprise of a candidate, in bits. */
double lp_candidates_surprise(uint64_t total, uint32_t mass);

#endif
