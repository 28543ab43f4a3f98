/* The steps of all schedulers, a row each: see scheduler.h. */
#include "image/scheduler.h"

#include <math.h>

/* The picture by the denoiser's answer, with latents alpha picture + sigma noise. */
static void picture_of(const lp_scheduler *s, double alpha, double sigma, lp_scheduler_sum *sum)
{
    switch (s->config.prediction) {
    case LP_PREDICTION_NOISE:
        sum->picture_x = 1 / alpha;
        sum->picture_answer = -sigma / alpha;
        break;
    case LP_PREDICTION_VELOCITY:
        sum->picture_x = alpha;
        sum->picture_answer = -sigma;
        break;
    default:
        sum->picture_answer = 1;
        break;
    }
}

/* a-bar at a step, which is a whole timestep. */
static double product_at(const lp_scheduler *s, uint32_t step)
{
    return s->products[(uint32_t)s->timesteps[step]];
}

/* Timesteps from one step to the next. */
static double stride(const lp_scheduler *s)
{
    return s->config.n_trained / s->n_wanted;
}

/* Song et al. 2021, arXiv:2010.02502, (12) without noise: alpha' x0 + sigma' noise, from a timestep
 * to another, which may be before the first. */
static void carry(const lp_scheduler *s, double from, double to, lp_scheduler_sum *sum)
{
    const double now = s->products[(uint32_t)from], alpha = sqrt(now), sigma = sqrt(1 - now);
    const double next = to >= 0                 ? s->products[(uint32_t)to]
                        : s->config.last_is_one ? 1
                                                : s->products[0];
    const double wanted = sqrt(1 - next);
    picture_of(s, alpha, sigma, sum);
    sum->x0 = sqrt(next);
    switch (s->config.prediction) {
    case LP_PREDICTION_NOISE:
        sum->answer = wanted;
        break;
    case LP_PREDICTION_VELOCITY:
        sum->answer = wanted * alpha;
        sum->x = wanted * sigma;
        break;
    default:
        sum->x = wanted / sigma;
        sum->answer = -wanted * alpha / sigma;
        break;
    }
}

static void ddim(const lp_scheduler *s, uint32_t step, lp_scheduler_sum *sum)
{
    const double at = s->timesteps[step];
    carry(s, at, at - stride(s), sum);
}

/* Liu et al. 2022, arXiv:2202.09778, (9) to (12), as Stable Diffusion has it: the first step again
 * with the mean of its answer and the one behind it, then Adams & Bashforth's sums of two, three,
 * four answers. */
static void pndm(const lp_scheduler *s, uint32_t step, lp_scheduler_sum *sum)
{
    static const double weights[][LP_SCHEDULER_EARLIER + 1] = {
        {1},
        {0.5, 0.5},
        {1.5, -0.5},
        {23. / 12, -16. / 12, 5. / 12},
        {55. / 24, -59. / 24, 37. / 24, -9. / 24}};
    const uint32_t taken = step - s->first; /* of steps before the first nothing is asked */
    const double *w = weights[step < s->first ? 0 : taken < 4 ? taken : 4];
    const double at = s->timesteps[step];
    sum->now = w[0];
    for (int k = 0; k < LP_SCHEDULER_EARLIER; k++)
        sum->earlier[k] = w[k + 1];
    sum->again = step == s->first + 1;
    if (sum->again)
        carry(s, fmin(at + stride(s), s->config.n_trained - 1), at, sum);
    else
        carry(s, at, at - stride(s), sum);
}

/* Ho et al. 2020, (7): the posterior's mean, and noise of its variance or of beta. */
static void ddpm(const lp_scheduler *s, uint32_t step, lp_scheduler_sum *sum)
{
    const double now = product_at(s, step);
    const double next = step + 1 < s->n_steps ? product_at(s, step + 1) : 1;
    const double beta = 1 - now / next;
    picture_of(s, sqrt(now), sqrt(1 - now), sum);
    sum->x0 = sqrt(next) * beta / (1 - now);
    sum->x = sqrt(now / next) * (1 - next) / (1 - now);
    if (s->timesteps[step] > 0)
        sum->noise =
            sqrt(s->config.large_variance ? beta : fmax((1 - next) / (1 - now) * beta, 1e-20));
}

/* The picture by the answer, with latents picture + sigma noise: alpha is 1 / sqrt(1 + sigma^2)
 * there. */
static void picture_by_sigma(const lp_scheduler *s, double sigma, lp_scheduler_sum *sum)
{
    const double alpha = 1 / sqrt(1 + sigma * sigma);
    picture_of(s, alpha, sigma * alpha, sum);
    sum->picture_x *= alpha;
}

/* Along the derivative (x - x0) / sigma from sigma to `to`: Karras et al. 2022. */
static void along(double sigma, double to, lp_scheduler_sum *sum)
{
    sum->x = to / sigma;
    sum->x0 = 1 - to / sigma;
}

static void euler(const lp_scheduler *s, uint32_t step, lp_scheduler_sum *sum)
{
    picture_by_sigma(s, s->sigmas[step], sum);
    along(s->sigmas[step], s->sigmas[step + 1], sum);
}

/* Further than to the next sigma, and noise for what is too far. */
static void ancestral(const lp_scheduler *s, uint32_t step, lp_scheduler_sum *sum)
{
    const double from = s->sigmas[step], to = s->sigmas[step + 1];
    const double down = to * to / from;
    picture_by_sigma(s, from, sum);
    along(from, down, sum);
    sum->noise = sqrt(fmax(to * to - down * down, 0));
}

/* Lu et al. 2022, arXiv:2211.01095, algorithm 2 (2M), with lambda = log(alpha / sigma) = -log of
 * our sigmas: x' = sigma' / sigma x + alpha' (1 - e^-h) D. */
static void solver(const lp_scheduler *s, uint32_t step, lp_scheduler_sum *sum)
{
    const double from = s->sigmas[step], to = s->sigmas[step + 1];
    const double alpha = 1 / sqrt(1 + from * from), alpha_to = 1 / sqrt(1 + to * to);
    const double gain = alpha_to * (1 - to / from); /* e^-h = to / from */
    const bool is_last = step + 1 == s->n_steps;
    picture_of(s, alpha, from * alpha, sum);
    sum->x = to * alpha_to / (from * alpha);
    sum->x0 = gain;
    if (s->config.order < 2 || step <= s->first || is_last)
        return;
    const double h = log(from / to), h_before = log(s->sigmas[step - 1] / from);
    const double half =
        gain * h / h_before / 2; /* D = x0 + (x0 - last) / (2 r), r = h_before / h */
    sum->x0 += half;
    sum->last = -half;
}

const lp_scheduler_kind lp_scheduler_kinds[] = {
    {"ddim", "DDIMScheduler", LP_SPACING_LEADING, .clips = true, .whole = true, .sum = ddim},
    {"ddpm", "DDPMScheduler", LP_SPACING_LEADING, .clips = true, .whole = true, .sum = ddpm},
    {"euler", "EulerDiscreteScheduler", LP_SPACING_LINSPACE, .by_sigma = true, .may_karras = true,
     .sum = euler},
    {"euler-ancestral", "EulerAncestralDiscreteScheduler", LP_SPACING_LINSPACE, .by_sigma = true,
     .sum = ancestral},
    {"pndm", "PNDMScheduler", LP_SPACING_LEADING, .whole = true, .twice = true, .no_last_one = true,
     .sum = pndm},
    {"dpm++2m", "DPMSolverMultistepScheduler", LP_SPACING_LINSPACE, .may_karras = true,
     .whole = true, .one_more = true, .sum = solver},
};
const size_t lp_n_scheduler_kinds = sizeof lp_scheduler_kinds / sizeof *lp_scheduler_kinds;
