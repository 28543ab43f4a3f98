/* scheduler_config.json of diffusers, see scheduler.h. */
#include <math.h>
#include <string.h>

#include "image/scheduler.h"
#include "models/config.h"

/* The place of a text among those that are known; the key's absence leaves *value. */
static lp_status read_choice(const lp_config *c, const char *key, const char *const choices[],
                             uint32_t n, uint32_t *value)
{
    const char *text = choices[*value];
    LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, key, LP_JSON_OPTIONAL, &text));
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(text, choices[i]) == 0) {
            *value = i;
            return LP_OK;
        }
    return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: %s \"%.60s\" is not supported", c->where, key,
                   text);
}

static lp_status find_kind(const lp_config *c, const char *name, lp_scheduler_config *s)
{
    const char *wanted = name;
    if (name == NULL)
        LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, "_class_name", LP_JSON_REQUIRED,
                                  &wanted));
    for (size_t i = 0; i < lp_n_scheduler_kinds && s->kind == NULL; i++) {
        const lp_scheduler_kind *kind = &lp_scheduler_kinds[i];
        if (strcmp(name == NULL ? kind->class_name : kind->name, wanted) == 0)
            s->kind = kind;
    }
    if (s->kind != NULL)
        return LP_OK;
    return lp_fail(c->ctx, name == NULL ? LP_E_UNSUPPORTED : LP_E_ARG,
                   "%s: \"%.60s\" is no scheduler that is known", c->where, wanted);
}

static lp_status refuse_others(const lp_config *c)
{
    static const char *const off[] = {
        "thresholding",   "trained_betas",   "use_exponential_sigmas", "use_beta_sigmas",
        "use_lu_lambdas", "use_flow_sigmas", "use_dynamic_shifting",   "sigma_min",
        "sigma_max",      "euler_at_final"};
    static const char *const texts[][2] = {{"interpolation_type", "linear"},
                                           {"timestep_type", "discrete"},
                                           {"final_sigmas_type", "zero"},
                                           {"algorithm_type", "dpmsolver++"},
                                           {"solver_type", "midpoint"}};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        LP_TRY(lp_config_must_be_off(c, off[i]));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        LP_TRY(lp_config_must_be(c, texts[i][0], texts[i][1]));
    /* the least lambda that timesteps may have: minus infinity unless somebody wants it */
    yyjson_val *least = yyjson_obj_get(c->root, "lambda_min_clipped");
    if (yyjson_is_real(least) && isinf(yyjson_get_real(least)) && yyjson_get_real(least) < 0)
        return LP_OK;
    return lp_config_must_be_off(c, "lambda_min_clipped");
}

/* PNDM's first steps may be of Runge & Kutta's kind, and are unless the file says no. */
static lp_status read_runge_kutta(const lp_config *c)
{
    bool skipped = false;
    LP_TRY(lp_config_bool(c, "skip_prk_steps", &skipped));
    return skipped ? LP_OK
                   : lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: skip_prk_steps: only true is supported",
                             c->where);
}

/* Numbers that the schedule is made of. */
static lp_status read_numbers(const lp_config *c, lp_scheduler_config *s)
{
    LP_TRY(lp_config_u32(c, "num_train_timesteps", LP_JSON_OPTIONAL, &s->n_trained));
    LP_TRY(lp_config_u32(c, "steps_offset", LP_JSON_OPTIONAL, &s->steps_offset));
    LP_TRY(lp_config_positive(c, "beta_start", &s->beta_start));
    LP_TRY(lp_config_positive(c, "beta_end", &s->beta_end));
    LP_TRY(lp_config_bool(c, "rescale_betas_zero_snr", &s->zero_snr));
    LP_TRY(lp_config_bool(c, "set_alpha_to_one", &s->last_is_one));
    LP_TRY(lp_config_bool(c, "use_karras_sigmas", &s->karras));
    LP_TRY(lp_config_u32(c, "solver_order", LP_JSON_OPTIONAL, &s->order));
    if (s->n_trained < 2 || s->n_trained > LP_SCHEDULER_TRAINED || s->steps_offset >= s->n_trained)
        return lp_fail(c->ctx, LP_E_LIMIT, "%s: num_train_timesteps is %u, steps_offset %u",
                       c->where, s->n_trained, s->steps_offset);
    if (s->beta_start >= 1 || s->beta_end >= 1 || s->beta_end < s->beta_start)
        return lp_fail(c->ctx, LP_E_FORMAT, "%s: beta_start is %g, beta_end %g", c->where,
                       (double)s->beta_start, (double)s->beta_end);
    if (s->order < 1 || s->order > 2)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: solver_order %u; 1 and 2 are supported",
                       c->where, s->order);
    return LP_OK;
}

static lp_status read_all(const lp_config *c, const char *name, lp_scheduler_config *s)
{
    static const char *const betas[] = {"linear", "scaled_linear", "squaredcos_cap_v2"};
    static const char *const predictions[] = {"epsilon", "v_prediction", "sample"};
    static const char *const spacings[] = {"leading", "trailing", "linspace"};
    static const char *const variances[] = {"fixed_small", "fixed_large"};
    uint32_t kind = 0, prediction = 0, variance = 0;
    bool clips = true;
    float range = 1;
    *s = (lp_scheduler_config){
        .n_trained = 1000, .beta_start = 0.0001f, .beta_end = 0.02f, .order = 2};
    LP_TRY(find_kind(c, name, s));
    s->last_is_one = !s->kind->no_last_one;
    LP_TRY(refuse_others(c));
    if (s->kind->twice && name == NULL)
        LP_TRY(read_runge_kutta(c));
    LP_TRY(read_numbers(c, s));
    uint32_t spacing = s->kind->spacing;
    LP_TRY(read_choice(c, "beta_schedule", betas, 3, &kind));
    LP_TRY(read_choice(c, "prediction_type", predictions, 3, &prediction));
    LP_TRY(read_choice(c, "timestep_spacing", spacings, 3, &spacing));
    LP_TRY(read_choice(c, "variance_type", variances, 2, &variance));
    LP_TRY(lp_config_bool(c, "clip_sample", &clips));
    LP_TRY(lp_config_positive(c, "clip_sample_range", &range));
    s->betas = (lp_betas)kind;
    s->prediction = (lp_prediction)prediction;
    s->spacing = (lp_spacing)spacing;
    if (s->kind->twice && s->prediction == LP_PREDICTION_PICTURE)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: prediction_type: \"sample\" is not for %s",
                       c->where, s->kind->name);
    s->large_variance = variance == 1;
    s->clip = clips && s->kind->clips ? range : 0;
    s->karras &= s->kind->may_karras;
    return LP_OK;
}

lp_status lp_scheduler_read(lp_context *ctx, const char *path, const char *kind,
                            lp_scheduler_config *config)
{
    yyjson_doc *doc = NULL;
    LP_TRY(lp_json_open_infinite(ctx, path, &doc));
    const lp_config c = {ctx, path, yyjson_doc_get_root(doc)};
    const lp_status status = read_all(&c, kind, config);
    yyjson_doc_free(doc);
    return status;
}

const char *lp_scheduler_name(size_t index)
{
    return index < lp_n_scheduler_kinds ? lp_scheduler_kinds[index].name : NULL;
}
