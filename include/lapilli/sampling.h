/* How the next token is drawn. Plain data; what is zero is off or has a usual value, so that this can
 * grow (but a temperature of zero is greedy, and top_p and repeat_penalty must be set).
 *
 * The steps are taken in this order (`samplers` can change it), each on what the one before left:
 *
 *   bias         adds to single logits; -inf bans a token. Always first.
 *   grammar      strikes out what it does not allow, so the other steps see only what may follow.
 *                Always second.
 *   penalties    repetition, then frequency and presence
 *   dry          penalty for going on with a sequence that was there before
 *   top_n_sigma  logits within n standard deviations of the largest
 *   top_k        the k largest logits
 *   tfs_z        tail-free
 *   typ_p        locally typical
 *   top_p        nucleus
 *   min_p        those not much less likely than the likeliest
 *   xtc          leaves out the likeliest, at times
 *   temperature  divides the logits
 *   draw
 *
 * With mirostat the steps from top_n_sigma to xtc are left out, and it cuts after the temperature.
 * Steps that cut keep equal logits together, except xtc.
 *
 * Penalties (repetition only), top_k, top_p, min_p and temperature, in this order, are done on the
 * device, several tokens ahead. Anything else is done on the host from the logits, one token at a
 * time. The arithmetic is the same, integers after the exponential, so both draw the same token from
 * the same logits, by the same random numbers: Philox4x32-10, key: seed, counter: tokens drawn. */
#ifndef LAPILLI_SAMPLING_H
#define LAPILLI_SAMPLING_H

#include <stddef.h>
#include <stdint.h>

typedef struct lp_logit_bias {
    const char *text; /* the token that is spelt so (a space in front counts); if there is none,
                         every token that the text becomes. NULL: `token` */
    int32_t token;
    float bias; /* -INFINITY: never */
} lp_logit_bias;

typedef struct lp_sampling {
    float temperature;    /* 0: greedy, the lowest id among equals */
    uint32_t top_k;       /* keep the k most likely; 0: all */
    float top_p;          /* keep the most likely ones that together have probability p; 1: all
                             (Holtzman et al. 2019, arXiv:1904.09751) */
    float min_p;          /* keep those at least p times as likely as the likeliest; 0: all
                             (Nguyen et al. 2024, arXiv:2407.01082) */
    float repeat_penalty; /* 1: none (Keskar et al. 2019, arXiv:1909.05858) */
    uint32_t repeat_window; /* how many latest tokens the three penalties look at */
    uint64_t seed;        /* same seed, same logits: same text, on every device */

    float frequency_penalty; /* off a logit per time that the token came; 0: none */
    float presence_penalty;  /* off a logit if the token came; 0: none */
    float typical_p;   /* keep those whose surprise is nearest to the expected one, together with
                          probability p; 0, 1: all (Meister et al. 2022, arXiv:2202.00666) */
    float tail_free_z; /* cut where the curvature of the sorted probabilities has all but 1 - z of
                          its sum; 0, 1: off (Phenix and Egan 2019, as their code does it) */
    float top_n_sigma; /* 0: off (Tang et al. 2024, arXiv:2411.07641) */
    float xtc_probability; /* how often the likeliest are left out: all but the least likely of
                              those with xtc_threshold or more; 0: never (Weidmann 2024) */
    float xtc_threshold;   /* 0: 0.1; above 0.5 there is never a second one */

    float dry_multiplier; /* 0: off; multiplier base^(length - allowed) off the logit of a token
                             that would go on with a sequence that came before (Weidmann 2024) */
    float dry_base;              /* 0: 1.75 */
    uint32_t dry_allowed_length; /* 0: 2 */
    uint32_t dry_window;         /* tokens looked at; 0: all */
    const char *const *dry_breakers; /* no sequence reaches over these; NULL: newline : " * */
    size_t n_dry_breakers;

    int mirostat;       /* 2: on; 0: off (Basu et al. 2021, arXiv:2007.14966) */
    float mirostat_tau; /* wanted surprise of a token in bits; 0: 5 */
    float mirostat_eta; /* how fast the cut follows; 0: 0.1 */

    const lp_logit_bias *bias;
    size_t n_bias;

    const char *samplers; /* names of steps as above with ; between them: these and no others, in
                             this order; NULL: all, in the order above */

    /* The text that is drawn is one of this grammar, in GBNF (docs/GRAMMARS.md); NULL: any text. Its
     * text begins anew where something was fed. A token that ends the text may come only where the
     * grammar's text may end; where nothing else can follow, generation ends (LP_ENDED_GRAMMAR).
     * Mistakes are LP_E_FORMAT with line and column; a grammar so ambiguous that it would take too
     * much time or memory is LP_E_LIMIT, here or later. */
    const char *grammar;
    const char *json_schema; /* instead of a grammar: a JSON Schema; the text is JSON that satisfies
                                it. "{}": any JSON. LP_E_UNSUPPORTED names, by its JSON pointer,
                                what would be left unheeded */
} lp_sampling;
#define LP_SAMPLING_DEFAULT                                                                        \
    {.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .repeat_penalty = 1.0f,     \
     .repeat_window = 64, .seed = 0}

#endif
