/* The sampler: see sampler.h. An lp_sampling becomes a list of the steps that do something, in
 * their order. */
#include "text/sampler.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "ops/draw.h"
#include "text/constraint.h"
#include "text/json_schema.h"
#include "text/penalties.h"

/* In the default order. The device's order is the same. */
typedef enum step {
    PENALTIES,
    DRY,
    TOP_N_SIGMA,
    TOP_K,
    TAIL_FREE,
    TYPICAL,
    TOP_P,
    MIN_P,
    XTC,
    TEMPERATURE,
    N_STEPS
} step;

static const char *const step_names[N_STEPS] = {"penalties", "dry",        "top_n_sigma", "top_k",
                                                "tfs_z",     "typ_p",      "top_p",       "min_p",
                                                "xtc",       "temperature"};

typedef struct bias {
    int32_t token;
    float by;
} bias;

struct lp_sampler {
    lp_context *ctx;
    const lp_tokenizer *tokenizer;
    lp_sampling s;
    uint32_t n_vocab;
    step steps[N_STEPS]; /* those that do something */
    size_t n_steps;
    lp_arena arena; /* what was copied */
    bias *biases;
    size_t n_biases;
    lp_dry dry;
    double mu;                 /* of mirostat, bits */
    lp_constraint *constraint; /* NULL: any text */
    lp_candidates list;
    float *logits;   /* [n_vocab] for whoever draws */
    int32_t *tokens; /* [n_tokens] for them, too */
    size_t n_tokens;
    uint32_t *zeros; /* [n_vocab] for the penalties */
};

/* ---- What was asked for ------------------------------------------------------------------------
 */

static lp_status check_range(lp_context *ctx, const char *name, float value, float min, float max)
{
    if (value >= min && value <= max) /* not NaN */
        return LP_OK;
    return lp_fail(ctx, LP_E_ARG, "sampling: %s is %g; it can be from %g to %g", name,
                   (double)value, (double)min, (double)max);
}

static lp_status check(lp_context *ctx, const lp_sampling *s)
{
    const struct {
        const char *name;
        float value, min, max;
    } all[] = {
        {"temperature", s->temperature, 0, FLT_MAX},
        {"top-p", s->top_p, 1e-6f, FLT_MAX},
        {"min-p", s->min_p, 0, 1},
        {"the repetition penalty", s->repeat_penalty, 1e-6f, 1e6f},
        {"the frequency penalty", s->frequency_penalty, -1e6f, 1e6f},
        {"the presence penalty", s->presence_penalty, -1e6f, 1e6f},
        {"typical-p", s->typical_p, 0, 1},
        {"tail-free z", s->tail_free_z, 0, 1},
        {"top-n-sigma", s->top_n_sigma, 0, FLT_MAX},
        {"the probability of XTC", s->xtc_probability, 0, 1},
        {"the threshold of XTC", s->xtc_threshold, 0, 1},
        {"DRY's multiplier", s->dry_multiplier, 0, 1e6f},
        {"DRY's base", s->dry_base == 0 ? 1 : s->dry_base, 1, 1e6f},
        {"mirostat's tau", s->mirostat_tau, 0, 1e6f},
        {"mirostat's eta", s->mirostat_eta, 0, 1e6f},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        LP_TRY(check_range(ctx, all[i].name, all[i].value, all[i].min, all[i].max));
    if (s->mirostat != 0 && s->mirostat != 2)
        return lp_fail(ctx, LP_E_ARG, "sampling: mirostat %d; there is 2, and 0 for none",
                       s->mirostat);
    return LP_OK;
}

/* Whether a step does anything. */
static bool is_active(const lp_sampling *s, step which)
{
    if (s->mirostat != 0 && which >= TOP_N_SIGMA && which <= XTC)
        return false;
    switch (which) {
    case PENALTIES:
        return s->repeat_window > 0 &&
               (s->repeat_penalty != 1.0f || s->frequency_penalty != 0 || s->presence_penalty != 0);
    case DRY:
        return s->dry_multiplier > 0;
    case TOP_N_SIGMA:
        return s->top_n_sigma > 0;
    case TOP_K:
        return s->top_k > 0;
    case TAIL_FREE:
        return s->tail_free_z > 0 && s->tail_free_z < 1;
    case TYPICAL:
        return s->typical_p > 0 && s->typical_p < 1;
    case TOP_P:
        return s->top_p < 1;
    case MIN_P:
        return s->min_p > 0;
    case XTC:
        return s->xtc_probability > 0;
    default:
        return s->temperature != 1.0f;
    }
}

/* Whether name[n] is a step's; - is as good as _. */
static bool is_named(const char *name, size_t n, const char *step_name)
{
    size_t i = 0;
    while (i < n && step_name[i] != '\0' && (name[i] == '-' ? '_' : name[i]) == step_name[i])
        i++;
    return i == n && step_name[i] == '\0';
}

static lp_status read_steps(lp_sampler *sampler)
{
    const char *text = sampler->s.samplers;
    bool seen[N_STEPS] = {false};
    if (text == NULL)
        for (step i = 0; i < N_STEPS; i++)
            if (is_active(&sampler->s, i))
                sampler->steps[sampler->n_steps++] = i;
    while (text != NULL && *text != '\0') {
        size_t n = strcspn(text, ";");
        step i = 0;
        char quoted[LP_QUOTE_TEXT];
        while (i < N_STEPS && !is_named(text, n, step_names[i]))
            i++;
        if (i == N_STEPS || seen[i])
            return lp_fail(sampler->ctx, LP_E_ARG,
                           i == N_STEPS ? "samplers: there is no %s; there are penalties, dry, "
                                          "top_n_sigma, top_k, tfs_z, typ_p, top_p, min_p, xtc, "
                                          "temperature"
                                        : "samplers: %s is there twice",
                           lp_utf8_quote(text, n, quoted));
        seen[i] = true;
        if (is_active(&sampler->s, i))
            sampler->steps[sampler->n_steps++] = i;
        text += n + (text[n] == ';');
    }
    return LP_OK;
}

static lp_status add_bias(lp_sampler *sampler, size_t *room, int32_t token, float by)
{
    if (token < 0 || (uint32_t)token >= sampler->n_vocab)
        return lp_fail(sampler->ctx, LP_E_ARG, "logit bias: token %d; the vocabulary has %u",
                       (int)token, sampler->n_vocab);
    if (sampler->n_biases == *room) {
        *room = 2 * *room + 8;
        bias *grown = realloc(sampler->biases, *room * sizeof *grown);
        if (grown == NULL)
            return lp_fail_memory(sampler->ctx, "logit biases");
        sampler->biases = grown;
    }
    sampler->biases[sampler->n_biases++] = (bias){token, by};
    return LP_OK;
}

/* Every token that spells exactly this text; if there is none, every token that the text becomes.
 */
static lp_status bias_text(lp_sampler *sampler, size_t *room, const char *text, float by)
{
    const size_t n_text = strlen(text), n_before = sampler->n_biases;
    int32_t *tokens = NULL;
    size_t n = 0;
    lp_status status = LP_OK;
    for (uint32_t i = 0; i < lp_tokenizer_size(sampler->tokenizer); i++) {
        const char *bytes;
        LP_TRY(lp_detokenize(sampler->ctx, sampler->tokenizer, (int32_t)i, &bytes, &n));
        if (n == n_text && memcmp(bytes, text, n) == 0)
            LP_TRY(add_bias(sampler, room, (int32_t)i, by));
    }
    if (sampler->n_biases > n_before)
        return LP_OK;
    LP_TRY(lp_tokenize(sampler->ctx, sampler->tokenizer, text, n_text, 0, &tokens, &n));
    for (size_t k = 0; k < n && status == LP_OK; k++)
        status = add_bias(sampler, room, tokens[k], by);
    free(tokens);
    return status;
}

static lp_status read_biases(lp_sampler *sampler, const lp_sampling *s)
{
    size_t room = 0;
    for (size_t i = 0; i < s->n_bias; i++) {
        const lp_logit_bias *b = &s->bias[i];
        if (!(b->bias <= 1e6f))
            return lp_fail(sampler->ctx, LP_E_ARG, "logit bias: %g; at most 1e6 is possible",
                           (double)b->bias);
        if (b->text != NULL && b->text[0] == '\0')
            return lp_fail(sampler->ctx, LP_E_ARG, "logit bias: an empty text");
        LP_TRY(b->text != NULL ? bias_text(sampler, &room, b->text, b->bias)
                               : add_bias(sampler, &room, b->token, b->bias));
    }
    return LP_OK;
}

static lp_status read_dry(lp_sampler *sampler, const lp_sampling *s)
{
    static const char *const usual[] = {"\n", ":", "\"", "*"};
    const char *const *breakers = s->dry_breakers != NULL ? s->dry_breakers : usual;
    const size_t n = s->dry_breakers != NULL ? s->n_dry_breakers : sizeof usual / sizeof *usual;
    sampler->dry =
        (lp_dry){.multiplier = s->dry_multiplier,
                 .base = s->dry_base == 0 ? 1.75f : s->dry_base,
                 .allowed = s->dry_allowed_length ? s->dry_allowed_length : 2,
                 .breakers = lp_arena_array(&sampler->arena, n + 1, sizeof(char *)),
                 .breaker_bytes = lp_arena_array(&sampler->arena, n + 1, sizeof(size_t))};
    if (sampler->dry.breakers == NULL || sampler->dry.breaker_bytes == NULL)
        return lp_fail_memory(sampler->ctx, "the sampler");
    for (size_t i = 0; i < n; i++) {
        if (breakers[i][0] == '\0')
            return lp_fail(sampler->ctx, LP_E_ARG, "sampling: an empty sequence breaker");
        sampler->dry.breakers[i] = lp_arena_strdup(&sampler->arena, breakers[i]);
        if (sampler->dry.breakers[i] == NULL)
            return lp_fail_memory(sampler->ctx, "the sampler");
        sampler->dry.breaker_bytes[i] = strlen(breakers[i]);
    }
    sampler->dry.n_breakers = n;
    return LP_OK;
}

static lp_status read_grammar(lp_sampler *sampler, const lp_sampling *s)
{
    lp_grammar *grammar;
    if (s->grammar == NULL && s->json_schema == NULL)
        return LP_OK;
    LP_TRY(lp_grammar_open(sampler->ctx, s->grammar, s->json_schema, &grammar));
    return lp_constraint_create(sampler->ctx, sampler->tokenizer, sampler->n_vocab, grammar,
                                &sampler->constraint);
}

lp_status lp_sampler_create(lp_context *ctx, const lp_tokenizer *tokenizer, uint32_t n_vocab,
                            const lp_sampling *sampling, lp_sampler **result)
{
    lp_status status = LP_OK;
    lp_sampler *sampler = calloc(1, sizeof *sampler);
    *result = NULL;
    if (sampler == NULL)
        return lp_fail_memory(ctx, "a sampler");
    sampler->ctx = ctx;
    sampler->tokenizer = tokenizer;
    sampler->n_vocab = n_vocab;
    sampler->s = *sampling;
    lp_sampling *s = &sampler->s;
    s->xtc_threshold = s->xtc_threshold == 0 ? 0.1f : s->xtc_threshold;
    s->mirostat_tau = s->mirostat_tau == 0 ? 5.0f : s->mirostat_tau;
    s->mirostat_eta = s->mirostat_eta == 0 ? 0.1f : s->mirostat_eta;
    sampler->mu = 2 * (double)s->mirostat_tau;
    LP_CHECK(check(ctx, sampling));
    LP_CHECK(read_steps(sampler));
    LP_CHECK(read_biases(sampler, sampling));
    LP_CHECK(read_dry(sampler, sampling));
    LP_CHECK(read_grammar(sampler, sampling));
    s->bias = NULL; /* borrowed from the caller: all copied now */
    s->dry_breakers = NULL;
    s->samplers = NULL;
    s->grammar = s->json_schema = NULL;
    *result = sampler;
    return LP_OK;
cleanup:
    lp_sampler_destroy(sampler);
    return status;
}

void lp_sampler_destroy(lp_sampler *sampler)
{
    if (sampler == NULL)
        return;
    lp_constraint_destroy(sampler->constraint);
    free(sampler->biases);
    free(sampler->dry.lengths);
    free(sampler->dry.reversed);
    free(sampler->list.at);
    free(sampler->list.spare);
    free(sampler->list.values);
    free(sampler->logits);
    free(sampler->tokens);
    free(sampler->zeros);
    lp_arena_destroy(&sampler->arena);
    free(sampler);
}

static bool has_step(const lp_sampler *sampler, step which)
{
    bool found = false;
    for (size_t i = 0; i < sampler->n_steps; i++)
        found |= sampler->steps[i] == which;
    return found;
}

bool lp_sampler_on_device(const lp_sampler *sampler)
{
    const lp_sampling *s = &sampler->s;
    if (sampler->n_biases > 0 || sampler->constraint != NULL || s->mirostat != 0)
        return false;
    for (size_t i = 0; i < sampler->n_steps; i++) {
        const step which = sampler->steps[i];
        if (i > 0 && sampler->steps[i - 1] > which)
            return false; /* another order */
        if (which == PENALTIES && (s->frequency_penalty != 0 || s->presence_penalty != 0))
            return false;
        if (which == DRY || which == TOP_N_SIGMA || which == TAIL_FREE || which == TYPICAL ||
            which == XTC)
            return false;
    }
    return true;
}

lp_sampling lp_sampler_for_device(const lp_sampler *sampler)
{
    lp_sampling s = {.temperature = 1, .top_p = 1, .repeat_penalty = 1, .seed = sampler->s.seed};
    if (has_step(sampler, TEMPERATURE))
        s.temperature = sampler->s.temperature;
    if (has_step(sampler, TOP_K))
        s.top_k = sampler->s.top_k;
    if (has_step(sampler, TOP_P))
        s.top_p = sampler->s.top_p;
    if (has_step(sampler, MIN_P))
        s.min_p = sampler->s.min_p;
    if (has_step(sampler, PENALTIES)) {
        s.repeat_penalty = sampler->s.repeat_penalty;
        s.repeat_window = sampler->s.repeat_window;
    }
    return s;
}

static uint32_t dry_window(const lp_sampler *sampler)
{
    return sampler->s.dry_window != 0 ? sampler->s.dry_window : UINT32_MAX;
}

uint32_t lp_sampler_window(const lp_sampler *sampler)
{
    uint32_t window = has_step(sampler, PENALTIES) ? sampler->s.repeat_window : 0;
    if (has_step(sampler, DRY) && dry_window(sampler) > window)
        window = dry_window(sampler);
    return window;
}

/* ---- Drawing -----------------------------------------------------------------------------------
 */

static lp_status reserve(lp_sampler *sampler)
{
    const size_t n = sampler->n_vocab;
    lp_candidates *list = &sampler->list;
    if (sampler->zeros != NULL)
        return LP_OK;
    list->at = malloc(n * sizeof *list->at);
    list->spare = malloc(n * sizeof *list->spare);
    list->values = malloc(n * sizeof *list->values);
    sampler->logits = malloc(n * sizeof *sampler->logits);
    sampler->zeros = calloc(n, sizeof *sampler->zeros);
    if (list->at && list->spare && list->values && sampler->logits && sampler->zeros)
        return LP_OK;
    return lp_fail_memory(sampler->ctx, "the sampler");
}

lp_status lp_sampler_room(lp_sampler *sampler, size_t n, float **logits, int32_t **tokens)
{
    LP_TRY(reserve(sampler));
    if (n > sampler->n_tokens || sampler->tokens == NULL) {
        int32_t *grown = realloc(sampler->tokens, (2 * n + 64) * sizeof *grown);
        if (grown == NULL)
            return lp_fail_memory(sampler->ctx, "the sampler");
        sampler->tokens = grown;
        sampler->n_tokens = 2 * n + 64;
    }
    *logits = sampler->logits;
    *tokens = sampler->tokens;
    return LP_OK;
}

typedef struct history {
    const int32_t *tokens;
    size_t n;
} history;

static history latest(history h, uint32_t window)
{
    const size_t n = h.n < window ? h.n : window;
    return (history){h.tokens + (h.n - n), n};
}

static lp_status take_step(lp_sampler *sampler, step which, history all, const uint32_t random[4])
{
    const lp_sampling *s = &sampler->s;
    lp_candidates *list = &sampler->list;
    history h;
    switch (which) {
    case PENALTIES:
        h = latest(all, s->repeat_window);
        lp_candidates_penalties(
            list, (lp_penalties){s->repeat_penalty, s->frequency_penalty, s->presence_penalty},
            h.tokens, h.n, sampler->zeros, sampler->n_vocab);
        break;
    case DRY:
        h = latest(all, dry_window(sampler));
        return lp_candidates_dry(sampler->ctx, list, &sampler->dry, sampler->tokenizer, h.tokens,
                                 h.n, sampler->zeros, sampler->n_vocab);
    case TOP_N_SIGMA:
        lp_candidates_top_n_sigma(list, s->top_n_sigma);
        break;
    case TOP_K:
        lp_candidates_top_k(list, s->top_k);
        break;
    case TAIL_FREE:
        lp_candidates_tail_free(list, s->tail_free_z);
        break;
    case TYPICAL:
        lp_candidates_typical(list, s->typical_p);
        break;
    case TOP_P:
        lp_candidates_top_p(list, s->top_p);
        break;
    case MIN_P:
        lp_candidates_min_p(list, s->min_p);
        break;
    case XTC: /* words 0 and 1 are for the draw */
        if ((double)random[2] < (double)s->xtc_probability * 4294967296.0)
            lp_candidates_xtc(list, s->xtc_threshold);
        break;
    default:
        lp_candidates_temperature(list, s->temperature);
    }
    return LP_OK;
}

static lp_status weigh(lp_sampler *sampler, float *logits, history h, uint32_t n_draws,
                       uint32_t random[4])
{
    lp_candidates *list = &sampler->list;
    const uint32_t key[2] = {(uint32_t)sampler->s.seed, (uint32_t)(sampler->s.seed >> 32)};
    LP_TRY(reserve(sampler));
    lp_draw_philox((const uint32_t[4]){n_draws}, key, random);
    for (size_t i = 0; i < sampler->n_biases; i++)
        logits[sampler->biases[i].token] += sampler->biases[i].by;
    if (sampler->constraint != NULL)
        LP_TRY(lp_constraint_strike(sampler->constraint, logits));
    lp_candidates_fill(list, logits, sampler->n_vocab);
    for (size_t i = 0; i < sampler->n_steps && list->n > 0; i++)
        LP_TRY(take_step(sampler, sampler->steps[i], h, random));
    if (list->n == 0)
        return lp_fail(sampler->ctx, LP_E_ARG, "sampling: every token is ruled out");
    if (sampler->s.mirostat != 0)
        lp_candidates_mirostat(list, sampler->mu);
    lp_candidates_by_id(list);
    lp_candidates_weigh(list);
    return LP_OK;
}

lp_status lp_sampler_weigh(lp_sampler *sampler, float *logits, const int32_t *tokens, size_t n,
                           uint32_t n_draws, const lp_candidates **list)
{
    uint32_t random[4];
    LP_TRY(weigh(sampler, logits, (history){tokens, n}, n_draws, random));
    *list = &sampler->list;
    return LP_OK;
}

lp_status lp_sampler_draw(lp_sampler *sampler, float *logits, const int32_t *tokens, size_t n,
                          uint32_t n_draws, int32_t *token)
{
    uint32_t random[4];
    const lp_candidates *list = &sampler->list;
    LP_TRY(weigh(sampler, logits, (history){tokens, n}, n_draws, random));
    uint64_t total = 0, sum = 0;
    for (size_t i = 0; i < list->n; i++)
        total += list->at[i].mass;
    const uint64_t at = lp_draw_multiply_high((uint64_t)random[1] << 32 | random[0], total);
    size_t i = 0;
    while (sum + list->at[i].mass <= at)
        sum += list->at[i++].mass;
    *token = list->at[i].id;
    if (sampler->s.mirostat != 0)
        sampler->mu -=
            (double)sampler->s.mirostat_eta *
            (lp_candidates_surprise(total, list->at[i].mass) - (double)sampler->s.mirostat_tau);
    return sampler->constraint != NULL ? lp_constraint_accept(sampler->constraint, *token) : LP_OK;
}

bool lp_sampler_is_finished(const lp_sampler *sampler)
{
    return sampler->constraint != NULL && lp_constraint_is_finished(sampler->constraint);
}

void lp_sampler_restart(lp_sampler *sampler)
{
    if (sampler->constraint != NULL)
        lp_constraint_restart(sampler->constraint);
}

lp_status lp_sampler_take_back(lp_sampler *sampler, size_t n)
{
    return sampler->constraint != NULL ? lp_constraint_take_back(sampler->constraint, n) : LP_OK;
}
