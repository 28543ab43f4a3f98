/* Timesteps, betas, sigmas, and the sum that every step is: see scheduler.h. */
#include "image/scheduler.h"

#include <math.h>
#include <stdlib.h>

/* ---- What the denoiser has been trained with ------------------------------------------------ */

/* cos^2 of the paper's (17). */
static double cosine(double t)
{
    const double value = cos((t + 0.008) / 1.008 * acos(-1) / 2);
    return value * value;
}

static double beta_at(const lp_scheduler_config *c, uint32_t t)
{
    const double n = c->n_trained, at = c->n_trained > 1 ? t / (n - 1) : 0;
    const double start = (double)c->beta_start, end = (double)c->beta_end;
    switch (c->betas) {
    case LP_BETAS_LINEAR:
        return start + (end - start) * at;
    case LP_BETAS_SCALED_LINEAR: {
        const double root = sqrt(start) + (sqrt(end) - sqrt(start)) * at;
        return root * root;
    }
    default:
        return fmin(1 - cosine((t + 1) / n) / cosine(t / n), 0.999);
    }
}

static void fill_products(lp_scheduler *s)
{
    const lp_scheduler_config *c = &s->config;
    const bool by_sigma = c->kind->by_sigma || c->kind->one_more;
    double product = 1;
    for (uint32_t t = 0; t < c->n_trained; t++)
        s->products[t] = product *= 1 - beta_at(c, t);
    if (!c->zero_snr)
        return;
    /* Lin et al., algorithm 1: alphas are moved and stretched until the last is 0 */
    const double first = sqrt(s->products[0]), end = sqrt(s->products[c->n_trained - 1]);
    for (uint32_t t = 0; t < c->n_trained; t++) {
        const double alpha = (sqrt(s->products[t]) - end) * first / (first - end);
        s->products[t] = alpha * alpha;
    }
    if (by_sigma) /* which would be infinite */
        s->products[c->n_trained - 1] = ldexp(1, -24);
}

/* ---- Timesteps and sigmas ------------------------------------------------------------------- */

static double spaced(const lp_scheduler *s, uint32_t step)
{
    const lp_scheduler_config *c = &s->config;
    const double n = c->n_trained;
    const uint32_t n_spaced = s->n_wanted + c->kind->one_more;
    const uint32_t place = c->kind->twice && step > s->first + 1 ? step - 1 : step;
    const uint32_t from_end = n_spaced - 1 - place;
    double t;
    switch (c->spacing) {
    case LP_SPACING_LEADING:
        return (double)(c->n_trained / n_spaced) * from_end + c->steps_offset;
    case LP_SPACING_TRAILING:
        return rint(n - place * (n / s->n_wanted)) - 1;
    default:
        t = n_spaced > 1 ? (n - 1) * from_end / (n_spaced - 1) : 0;
        return c->kind->whole ? rint(t) : t;
    }
}

static double ratio_at(const lp_scheduler *s, uint32_t t)
{
    return sqrt((1 - s->products[t]) / s->products[t]);
}

/* Between timesteps: linear. */
static double sigma_at(const lp_scheduler *s, double t)
{
    const uint32_t low = (uint32_t)t, last = s->config.n_trained - 1;
    if (low >= last)
        return ratio_at(s, last);
    const double a = ratio_at(s, low), b = ratio_at(s, low + 1);
    return a + (b - a) * (t - low);
}

/* The timestep of a sigma: linear in its logarithm between timesteps. */
static double timestep_of(const lp_scheduler *s, double sigma)
{
    const uint32_t last = s->config.n_trained - 1;
    uint32_t low = 0;
    while (low + 2 <= last && ratio_at(s, low + 1) <= sigma)
        low++;
    const double a = log(ratio_at(s, low)), b = log(ratio_at(s, low + 1));
    return low + fmin(fmax((log(sigma) - a) / (b - a), 0), 1);
}

/* Karras et al. 2022, (5), rho = 7. */
static void space_karras(lp_scheduler *s)
{
    enum { RHO = 7 };
    const lp_scheduler_config *c = &s->config;
    const bool all =
        c->kind->one_more; /* between the first and last there are, not those of steps */
    const double most = all ? ratio_at(s, c->n_trained - 1) : s->sigmas[0];
    const double least = all ? ratio_at(s, 0) : s->sigmas[s->n_steps - 1];
    const double from = pow(most, 1.0 / RHO), to = pow(least, 1.0 / RHO);
    for (uint32_t i = 0; i < s->n_steps; i++) {
        const double at = s->n_steps > 1 ? (double)i / (s->n_steps - 1) : 0;
        s->sigmas[i] = pow(from + at * (to - from), RHO);
        const double t = timestep_of(s, s->sigmas[i]);
        s->timesteps[i] = c->kind->whole && c->betas != LP_BETAS_COSINE ? rint(t) : t;
    }
}

static lp_status fill_steps(lp_context *ctx, lp_scheduler *s)
{
    const lp_scheduler_config *c = &s->config;
    s->n_steps = s->n_wanted + (c->kind->twice && s->n_wanted - s->first > 1);
    for (uint32_t i = 0; i < s->n_steps; i++) {
        s->timesteps[i] = spaced(s, i);
        if (!(s->timesteps[i] >= 0 && s->timesteps[i] < c->n_trained))
            return lp_fail(ctx, LP_E_ARG, "%u steps with an offset of %u: step %u is at %g of %u",
                           s->n_steps, c->steps_offset, i, s->timesteps[i], c->n_trained);
        s->sigmas[i] = sigma_at(s, s->timesteps[i]);
    }
    s->sigmas[s->n_steps] = 0;
    if (c->karras)
        space_karras(s);
    for (uint32_t i = 0; i < s->n_steps; i++) {
        lp_scheduler_sum *sum = &s->sums[i];
        *sum = (lp_scheduler_sum){.now = 1};
        c->kind->sum(s, i, sum);
        if (!isfinite(sum->picture_x + sum->picture_answer + sum->x + sum->x0 + sum->last +
                      sum->answer + sum->noise))
            return lp_fail(ctx, LP_E_ARG,
                           "%s: step %u, at timestep %g, has nothing to go by: there is no picture "
                           "left in the noise, or no noise",
                           c->kind->name, i, s->timesteps[i]);
    }
    return LP_OK;
}

/* ---- A scheduler ---------------------------------------------------------------------------- */

lp_status lp_scheduler_create(lp_context *ctx, const lp_scheduler_config *config, uint32_t n_steps,
                              size_t n, lp_scheduler **scheduler)
{
    *scheduler = NULL;
    if (n_steps < 1 || n_steps > LP_SCHEDULER_STEPS || n_steps > config->n_trained)
        return lp_fail(ctx, LP_E_ARG, "%u steps; 1 to %u are possible", n_steps,
                       config->n_trained < LP_SCHEDULER_STEPS ? config->n_trained
                                                              : (uint32_t)LP_SCHEDULER_STEPS);
    lp_scheduler *s = calloc(1, sizeof *s);
    if (s == NULL)
        return lp_fail_memory(ctx, "a scheduler");
    s->config = *config;
    s->n_wanted = n_steps;
    s->n = n;
    s->products = calloc(config->n_trained, sizeof *s->products);
    s->timesteps = calloc(n_steps + 1, sizeof *s->timesteps);
    s->sigmas = calloc(n_steps + 2, sizeof *s->sigmas);
    s->sums = calloc(n_steps + 1, sizeof *s->sums);
    s->last = calloc(n + 1, sizeof *s->last);
    if (config->kind->twice)
        s->memory = calloc((LP_SCHEDULER_EARLIER + 1) * n + 1, sizeof *s->memory);
    lp_status status = s->products && s->timesteps && s->sigmas && s->sums && s->last &&
                               (s->memory || !config->kind->twice)
                           ? LP_OK
                           : lp_fail_memory(ctx, "a scheduler");
    if (status == LP_OK) {
        fill_products(s);
        status = fill_steps(ctx, s);
    }
    if (status == LP_OK)
        *scheduler = s;
    else
        lp_scheduler_destroy(s);
    return status;
}

void lp_scheduler_destroy(lp_scheduler *s)
{
    if (s == NULL)
        return;
    free(s->products);
    free(s->timesteps);
    free(s->sigmas);
    free(s->sums);
    free(s->last);
    free(s->memory);
    free(s);
}

uint32_t lp_scheduler_count(const lp_scheduler *s)
{
    return s->n_steps;
}

lp_status lp_scheduler_begin(lp_context *ctx, lp_scheduler *s, uint32_t step)
{
    s->first = step;
    return fill_steps(ctx, s);
}

/* With s = sigma / alpha, which is infinite where nothing is left of the picture. */
void lp_scheduler_mix(const lp_scheduler *s, uint32_t step, double *picture, double *noise)
{
    const double sigma = s->sigmas[step], alpha = 1 / sqrt(1 + sigma * sigma);
    *picture = s->config.kind->by_sigma ? 1 : alpha;
    *noise = s->config.kind->by_sigma ? sigma : isinf(sigma) ? 1 : sigma * alpha;
}

const float *lp_scheduler_picture(const lp_scheduler *s)
{
    return s->last;
}

double lp_scheduler_start(const lp_scheduler *s)
{
    if (!s->config.kind->by_sigma)
        return 1;
    const double sigma = s->sigmas[0];
    return s->config.spacing == LP_SPACING_LEADING ? sqrt(sigma * sigma + 1) : sigma;
}

double lp_scheduler_timestep(const lp_scheduler *s, uint32_t step)
{
    return s->timesteps[step];
}

double lp_scheduler_input(const lp_scheduler *s, uint32_t step)
{
    const double sigma = s->sigmas[step];
    return s->config.kind->by_sigma ? 1 / sqrt(sigma * sigma + 1) : 1;
}

bool lp_scheduler_draws(const lp_scheduler *s, uint32_t step)
{
    return s->sums[step].noise > 0;
}

/* What is remembered of the steps before: the latents in front of the latest, and k + 1 answers
 * back. */
static float *latents_before(const lp_scheduler *s)
{
    return s->memory;
}

static float *answer_before(const lp_scheduler *s, size_t k)
{
    return s->memory + (k + 1) * s->n;
}

/* Where answers are remembered: the latents to go on from, and the sum of this answer and earlier
 * ones, in place of both. */
static void recall(lp_scheduler *s, const lp_scheduler_sum *sum, size_t i, double *x, double *said)
{
    float *before = latents_before(s) + i;
    const float now = (float)*said;
    const double at = *x;
    *said *= sum->now;
    for (size_t k = 0; k < LP_SCHEDULER_EARLIER; k++)
        *said += sum->earlier[k] * (double)answer_before(s, k)[i];
    if (sum->again)
        *x = (double)*before;
    *before = (float)at;
    for (size_t k = LP_SCHEDULER_EARLIER; k-- > 0 && !sum->again;)
        answer_before(s, k)[i] = k > 0 ? answer_before(s, k - 1)[i] : now;
}

void lp_scheduler_step(lp_scheduler *s, uint32_t step, const float *answer, const float *noise,
                       float *latents)
{
    const lp_scheduler_sum *sum = &s->sums[step];
    const double clip = (double)s->config.clip;
    for (size_t i = 0; i < s->n; i++) {
        double x = (double)latents[i], said = (double)answer[i];
        if (s->memory != NULL)
            recall(s, sum, i, &x, &said);
        double x0 = sum->picture_x * x + sum->picture_answer * said;
        if (clip > 0)
            x0 = fmin(fmax(x0, -clip), clip);
        double y = sum->x * x + sum->x0 * x0 + sum->last * (double)s->last[i] + sum->answer * said;
        if (sum->noise > 0)
            y += sum->noise * (double)noise[i];
        s->last[i] = (float)x0;
        latents[i] = (float)y;
    }
}
