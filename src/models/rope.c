/* Frequencies of rotary embeddings, see rope.h. */
#include "models/rope.h"

#include <math.h>
#include <stdio.h>

#define MAX_TOKENS (1u << 26) /* of contexts, and so of what they can be stretched by */

static const double two_pi = 2 * 3.14159265358979323846;

static lp_status check(lp_context *ctx, const char *where, const char *what, float value)
{
    if (isfinite(value) && value > 0)
        return LP_OK;
    return lp_fail(ctx, LP_E_FORMAT, "%s: %s is %g; it must be positive", where, what,
                   (double)value);
}

/* `high` must exceed `low`, or be as large if that is `equal`ly good. */
static lp_status check_order(lp_context *ctx, const char *where, const char *low_name, float low,
                             const char *high_name, float high, bool equal)
{
    char what[64];
    snprintf(what, sizeof what, "%s of RoPE scaling", low_name);
    LP_TRY(check(ctx, where, what, low));
    snprintf(what, sizeof what, "%s of RoPE scaling", high_name);
    LP_TRY(check(ctx, where, what, high));
    if (high > low || (equal && high == low))
        return LP_OK;
    return lp_fail(ctx, LP_E_FORMAT, "%s: %s %g of RoPE scaling must exceed %s %g", where,
                   high_name, (double)high, low_name, (double)low);
}

double lp_yarn_magnitude(const lp_rope_hparams *rope, double m)
{
    return rope->factor > 1 ? 0.1 * m * log((double)rope->factor) + 1 : 1;
}

/* Where mscale and mscale_all are there, the latter's share is in the scale of the scores, so that
 * it also meets elements that are not turned. */
static double default_attention_factor(const lp_rope_hparams *rope)
{
    if (rope->scaling == LP_ROPE_SCALING_YARN && rope->mscale != 0 && rope->mscale_all != 0)
        return lp_yarn_magnitude(rope, (double)rope->mscale) /
               lp_yarn_magnitude(rope, (double)rope->mscale_all);
    if (rope->scaling == LP_ROPE_SCALING_YARN)
        return lp_yarn_magnitude(rope, 1);
    if (rope->scaling == LP_ROPE_SCALING_LONGROPE && rope->factor > 1)
        return sqrt(1 + log((double)rope->factor) / log(rope->original_context));
    return 1;
}

lp_status lp_rope_finish(lp_context *ctx, const char *where, uint32_t head, lp_rope_hparams *rope)
{
    if (rope->n_rotated == 0 || rope->n_rotated % 2 || rope->n_rotated > head ||
        rope->n_rotated > 2 * LP_MAX_ROPE_PAIRS)
        return lp_fail(ctx, LP_E_FORMAT,
                       "%s: RoPE on %u elements of a head of %u; an even number up to the head's "
                       "size is possible",
                       where, rope->n_rotated, head);
    if (rope->two_axes && (rope->n_rotated % 4 || rope->scaling != LP_ROPE_SCALING_NONE))
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "%s: RoPE on %u elements of a head by two positions%s; a multiple of 4 is "
                       "possible, without scaling",
                       where, rope->n_rotated,
                       rope->scaling != LP_ROPE_SCALING_NONE ? ", scaled" : "");
    LP_TRY(check(ctx, where, "base of RoPE", rope->base));
    if (rope->scaling != LP_ROPE_SCALING_NONE)
        LP_TRY(check(ctx, where, "factor of RoPE scaling", rope->factor));
    if (rope->factor > (float)MAX_TOKENS)
        return lp_fail(ctx, LP_E_LIMIT, "%s: factor of RoPE scaling is %g; up to %u is possible",
                       where, (double)rope->factor, MAX_TOKENS);
    if (rope->original_context < 1 || rope->original_context > MAX_TOKENS)
        return lp_fail(ctx, rope->original_context ? LP_E_LIMIT : LP_E_FORMAT,
                       "%s: original context of RoPE scaling is %u; 1 to %u is possible", where,
                       rope->original_context, MAX_TOKENS);
    if (rope->scaling == LP_ROPE_SCALING_LLAMA3)
        /* Llama 4's are equal: a step instead of a slope */
        LP_TRY(check_order(ctx, where, "low_freq_factor", rope->low_freq_factor, "high_freq_factor",
                           rope->high_freq_factor, true));
    if (rope->scaling == LP_ROPE_SCALING_YARN)
        LP_TRY(check_order(ctx, where, "beta_slow", rope->beta_slow, "beta_fast", rope->beta_fast,
                           false));
    if (rope->scaling == LP_ROPE_SCALING_YARN && !(rope->base > 1)) /* its logarithm divides */
        return lp_fail(ctx, LP_E_FORMAT, "%s: base of RoPE is %g; YaRN needs more than 1", where,
                       (double)rope->base);
    if (rope->scaling == LP_ROPE_SCALING_DYNAMIC && rope->n_rotated == 2)
        return lp_fail(ctx, LP_E_FORMAT, "%s: dynamic RoPE scaling of 2 elements", where);
    if (rope->scaling == LP_ROPE_SCALING_LONGROPE && rope->original_context < 2)
        return lp_fail(ctx, LP_E_FORMAT, "%s: RoPE scaling \"longrope\" of a context of 1", where);
    if (rope->attention_factor == 0)
        rope->attention_factor = (float)default_attention_factor(rope);
    return check(ctx, where, "attention factor of RoPE scaling", rope->attention_factor);
}

/* The pair, as a real number, that makes `turns` turns within the original context. */
static double pair_of_turns(const lp_rope_hparams *rope, double turns)
{
    return rope->n_rotated * log(rope->original_context / (turns * two_pi)) /
           (2 * log((double)rope->base));
}

/* The pairs from which on YaRN divides in part and in full. */
static void yarn_bounds(const lp_rope_hparams *rope, double *low, double *high)
{
    *low = pair_of_turns(rope, (double)rope->beta_fast);
    *high = pair_of_turns(rope, (double)rope->beta_slow);
    if (!rope->untruncated) {
        *low = floor(*low);
        *high = ceil(*high);
    }
    *low = fmax(*low, 0);
    *high = fmin(*high, rope->n_rotated - 1);
    if (*high == *low)
        *high += 0.001;
}

/* Base of dynamic scaling for a context of n_ctx tokens. */
static double dynamic_base(const lp_rope_hparams *rope, uint32_t n_ctx)
{
    const double factor = (double)rope->factor, n = rope->n_rotated;
    const double stretch = factor * fmax(1, (double)n_ctx / rope->original_context) - (factor - 1);
    return (double)rope->base * pow(stretch, n / (n - 2));
}

void lp_rope_frequencies(const lp_rope_hparams *rope, uint32_t n_ctx, const float *divisors,
                         double *frequencies)
{
    const double factor = (double)rope->factor;
    const double low = (double)rope->low_freq_factor, high = (double)rope->high_freq_factor;
    const bool is_long = n_ctx > rope->original_context;
    double base = (double)rope->base, first = 0, last = 1, keep;
    if (rope->scaling == LP_ROPE_SCALING_DYNAMIC)
        base = dynamic_base(rope, n_ctx);
    if (rope->scaling == LP_ROPE_SCALING_YARN)
        yarn_bounds(rope, &first, &last);
    const uint32_t n = rope->two_axes ? rope->n_rotated / 2 : rope->n_rotated;
    for (uint32_t i = 0; i < rope->n_rotated / 2; i++) {
        double f = pow(base, -2.0 * (i % (n / 2)) / n);
        switch (rope->scaling) {
        case LP_ROPE_SCALING_LINEAR:
            f /= factor;
            break;
        case LP_ROPE_SCALING_LLAMA3:
            keep = fmin(fmax((rope->original_context * f / two_pi - low) / (high - low), 0), 1);
            f *= keep + (1 - keep) / factor;
            break;
        case LP_ROPE_SCALING_YARN:
            keep = 1 - fmin(fmax((i - first) / (last - first), 0), 1);
            f *= keep + (1 - keep) / factor;
            break;
        case LP_ROPE_SCALING_LONGROPE:
            f /= (double)rope->divisors[is_long][i];
            break;
        case LP_ROPE_SCALING_DYNAMIC:
        case LP_ROPE_SCALING_NONE:
            break;
        }
        frequencies[i] = divisors ? f / (double)divisors[i] : f;
    }
}
