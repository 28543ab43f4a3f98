/* The sampler of the host against three judges: probabilities that fixtures/sampling/make.py
 * computed in float64 from the papers' formulas; the sample op, with which it must agree token by
 * token where both can draw; mirostat, and DRY with breakers, written a second time here. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/half.h"
#include "ops/draw.h"
#include "ops/ops.h"
#include "text/sampler.h"
#include <yyjson.h>

#define CASES LAPILLI_TEST_FIXTURES "/sampling/cases.json"
#define SPM   LAPILLI_TEST_FIXTURES "/tokenizer/spm.gguf"
#define MAX_V 2000
#define C     64

static lp_context ctx;

static void check(lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx.message);
}

static lp_sampling neutral(void)
{
    return (lp_sampling){.temperature = 1, .top_p = 1, .repeat_penalty = 1, .repeat_window = 64};
}

/* ---- The papers --------------------------------------------------------------------------------
 */

enum { MAX_BIASES = 8 };

static void read_settings(yyjson_val *from, lp_sampling *s, lp_logit_bias *biases)
{
    const struct {
        const char *name;
        float *value;
    } floats[] = {
        {"temperature", &s->temperature},
        {"top_p", &s->top_p},
        {"min_p", &s->min_p},
        {"repeat_penalty", &s->repeat_penalty},
        {"frequency_penalty", &s->frequency_penalty},
        {"presence_penalty", &s->presence_penalty},
        {"typical_p", &s->typical_p},
        {"tail_free_z", &s->tail_free_z},
        {"top_n_sigma", &s->top_n_sigma},
        {"xtc_probability", &s->xtc_probability},
        {"xtc_threshold", &s->xtc_threshold},
        {"dry_multiplier", &s->dry_multiplier},
        {"dry_base", &s->dry_base},
        {"mirostat_tau", &s->mirostat_tau},
    };
    const struct {
        const char *name;
        uint32_t *value;
    } words[] = {
        {"top_k", &s->top_k},
        {"repeat_window", &s->repeat_window},
        {"dry_allowed_length", &s->dry_allowed_length},
        {"dry_window", &s->dry_window},
    };
    size_t i, n, known = 0;
    yyjson_val *key, *value, *pair;
    yyjson_obj_foreach(from, i, n, key, value)
    {
        const char *name = yyjson_get_str(key);
        for (size_t k = 0; k < sizeof floats / sizeof *floats; k++)
            if (strcmp(name, floats[k].name) == 0) {
                *floats[k].value = (float)yyjson_get_num(value);
                known++;
            }
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (strcmp(name, words[k].name) == 0) {
                *words[k].value = (uint32_t)yyjson_get_uint(value);
                known++;
            }
        if (strcmp(name, "mirostat") == 0)
            s->mirostat = yyjson_get_int(value);
        else if (strcmp(name, "samplers") == 0)
            s->samplers = yyjson_get_str(value);
        else if (strcmp(name, "bias") != 0)
            continue;
        known++;
    }
    assert_int_equal(known, n); /* none that this does not know */
    value = yyjson_obj_get(from, "bias");
    yyjson_arr_foreach(value, i, n, pair)
    {
        yyjson_val *by = yyjson_arr_get(pair, 1);
        assert_true(i < MAX_BIASES);
        biases[i] = (lp_logit_bias){
            .token = yyjson_get_int(yyjson_arr_get(pair, 0)),
            .bias = yyjson_is_null(by) ? -INFINITY : (float)yyjson_get_num(by),
        };
        s->bias = biases;
        s->n_bias = i + 1;
    }
}

static void the_steps_are_those_of_the_papers(void **state)
{
    (void)state;
    static const char *const no_breakers[1];
    lp_file file;
    check(lp_file_open(&ctx, CASES, &file));
    yyjson_doc *doc = yyjson_read((const char *)file.data, file.bytes, 0);
    yyjson_val *one, *value;
    size_t c, n_cases, i, n;
    assert_true(yyjson_arr_size(yyjson_doc_get_root(doc)) > 100);
    yyjson_arr_foreach(yyjson_doc_get_root(doc), c, n_cases, one)
    {
        float logits[64];
        double p[64], worst = 0;
        int32_t history[64];
        size_t n_history = 0, at = 0;
        lp_logit_bias biases[MAX_BIASES];
        lp_sampling s = neutral();
        lp_sampler *sampler;
        const lp_candidates *list;
        uint64_t total = 0;
        s.dry_breakers = no_breakers;
        read_settings(yyjson_obj_get(one, "settings"), &s, biases);
        yyjson_arr_foreach(yyjson_obj_get(one, "logits"), i, n, value) logits[i] =
            (float)yyjson_get_num(value);
        const uint32_t n_vocab = (uint32_t)n;
        yyjson_arr_foreach(yyjson_obj_get(one, "p"), i, n, value) p[i] = yyjson_get_num(value);
        yyjson_arr_foreach(yyjson_obj_get(one, "history"), i, n, value) history[n_history++] =
            yyjson_get_int(value);
        check(lp_sampler_create(&ctx, NULL, n_vocab, &s, &sampler));
        check(lp_sampler_weigh(sampler, logits, history, n_history, 0, &list));
        for (i = 0; i < list->n; i++)
            total += list->at[i].mass;
        for (i = 0; i < n_vocab; i++) {
            double have = 0;
            if (at < list->n && list->at[at].id == (int32_t)i)
                have = (double)list->at[at++].mass / (double)total;
            worst = fmax(worst, fabs(have - p[i]));
            if ((p[i] == 0 && have > 0) || (p[i] > 1e-9 && have == 0))
                worst = 1; /* a token in or out is no rounding */
        }
        if (!(worst < 1e-6))
            fail_msg("case %zu: a probability is wrong by %g", c, worst);
        lp_sampler_destroy(sampler);
    }
    yyjson_doc_free(doc);
    lp_file_close(&file);
}

/* ---- The sample op -----------------------------------------------------------------------------
 */

static uint64_t random_state = 1;

static uint32_t random_bits(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

#define PICK(array) ((array)[random_bits() % (sizeof(array) / sizeof *(array))])

static void random_logits(float *x, size_t n)
{
    static const float spreads[] = {0.01f, 1, 3, 10, 40, 1e4f, 3e38f, 1e-38f};
    const float spread = PICK(spreads);
    const uint32_t kind = random_bits() % 4;
    for (size_t i = 0; i < n; i++) {
        x[i] = spread * ((float)random_bits() / 1073741824.0f - 1.0f);
        if (kind == 0) /* ties */
            x[i] = spread * (float)(random_bits() % 5);
        else if (kind == 1 && random_bits() % 3 == 0)
            x[i] = -INFINITY;
        else if (kind == 2 && random_bits() % 7 == 0)
            x[i] = -0.0f;
    }
    x[random_bits() % n] = 0; /* not all -inf */
}

static int32_t op_draw(const lp_sampling *s, float *logits, size_t n, const int32_t *history,
                       int32_t n_history, uint32_t n_draws)
{
    static float scratch[2 * MAX_V];
    int32_t words[LP_SAMPLER_WORDS] = {0}, tokens[C + 2] = {0}, cursor[LP_CURSOR_WORDS] = {0};
    lp_node node = {.op = LP_OP_SAMPLE, .name = "sample"};
    lp_cpu_call call = {
        .node = &node,
        .src = {{logits, LP_F32, LP_SHAPE2(1, (int64_t)n), n},
                {words, LP_I32, LP_SHAPE1(LP_SAMPLER_WORDS), 1}},
        .dst = {{tokens, LP_I32, LP_SHAPE1(C + 2), 1},
                {cursor, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1},
                {scratch, LP_F32, LP_SHAPE2(2, (int64_t)n), n}},
    };
    words[LP_SAMPLER_TEMPERATURE] = (int32_t)lp_f32_bits(s->temperature);
    words[LP_SAMPLER_TOP_K] = (int32_t)s->top_k;
    words[LP_SAMPLER_TOP_P] = (int32_t)lp_f32_bits(s->top_p);
    words[LP_SAMPLER_MIN_P] = (int32_t)lp_f32_bits(s->min_p);
    words[LP_SAMPLER_PENALTY] = (int32_t)lp_f32_bits(s->repeat_penalty);
    words[LP_SAMPLER_WINDOW] = (int32_t)s->repeat_window;
    words[LP_SAMPLER_SEED_LO] = (int32_t)s->seed;
    words[LP_SAMPLER_SEED_HI] = (int32_t)(s->seed >> 32);
    memcpy(tokens, history, (size_t)n_history * sizeof *tokens);
    cursor[LP_CURSOR_POSITION] = n_history;
    cursor[LP_CURSOR_DRAWS] = (int32_t)n_draws;
    check(lp_op_sample_cpu(&call));
    return tokens[n_history];
}

static void it_draws_what_the_device_draws(void **state)
{
    (void)state;
    static const float temperatures[] = {0, 0.1f, 0.7f, 1, 1.5f, 2.5f, 1e-30f, 1e30f, 1e-3f};
    static const float top_ps[] = {1, 1, 0.95f, 0.9f, 0.5f, 0.99999994f, 1e-6f};
    static const float min_ps[] = {0, 0, 0.05f, 0.3f, 1, 1e-9f};
    static const float repeat[] = {1, 1.1f, 1.3f, 0.7f, 3, 9e5f};
    static const uint32_t windows[] = {0, 1, 5, 64, 1000}, sizes[] = {1, 2, 7, 60, 300, MAX_V};
    static float logits[MAX_V];
    for (int k = 0; k < 20000; k++) {
        const size_t n = sizes[random_bits() % (k % 50 == 0 ? 6 : 5)];
        const uint32_t top_ks[] = {0, 1, 2, 40, (uint32_t)n / 2, (uint32_t)n, (uint32_t)n + 5};
        const int32_t n_history = (int32_t)(random_bits() % C);
        const uint32_t n_draws = random_bits();
        int32_t history[C], token;
        lp_sampling s = {.temperature = PICK(temperatures),
                         .top_k = PICK(top_ks),
                         .top_p = PICK(top_ps),
                         .min_p = PICK(min_ps),
                         .repeat_penalty = PICK(repeat),
                         .repeat_window = PICK(windows),
                         .seed = (uint64_t)random_bits() << 32 | random_bits()};
        lp_sampler *sampler;
        random_logits(logits, n);
        for (int32_t i = 0; i < n_history; i++)
            history[i] = (int32_t)(random_bits() % (n + 2)) - 1;
        check(lp_sampler_create(&ctx, NULL, (uint32_t)n, &s, &sampler));
        assert_true(lp_sampler_on_device(sampler));
        const lp_sampling told = lp_sampler_for_device(sampler);
        const int32_t expected = op_draw(&told, logits, n, history, n_history, n_draws);
        assert_int_equal(op_draw(&s, logits, n, history, n_history, n_draws), expected);
        check(lp_sampler_draw(sampler, logits, history, (size_t)n_history, n_draws, &token));
        if (token != expected)
            fail_msg("case %d (V %zu, temperature %g, top-k %u, top-p %g, min-p %g, penalty %g): "
                     "token %d, on the device %d",
                     k, n, (double)s.temperature, s.top_k, (double)s.top_p, (double)s.min_p,
                     (double)s.repeat_penalty, token, expected);
        lp_sampler_destroy(sampler);
    }
}

/* ---- Mirostat ----------------------------------------------------------------------------------
 */

/* Basu et al. 2021, their second algorithm, with the tokens that the sampler drew. */
static void mirostat_keeps_to_its_surprise(void **state)
{
    (void)state;
    enum { V = 500, N = 3000 };
    static float logits[V];
    static double p[V];
    const double tau = 3, eta = 0.1;
    double mu = 2 * tau, mean = 0;
    lp_sampling s = neutral();
    lp_sampler *sampler;
    s.mirostat = 2;
    s.mirostat_tau = (float)tau;
    s.mirostat_eta = 0.1f;
    s.seed = 5;
    check(lp_sampler_create(&ctx, NULL, V, &s, &sampler));
    for (uint32_t step = 0; step < N; step++) {
        double total = 0, kept = 0, largest = 0;
        int32_t token;
        for (int i = 0; i < V; i++) { /* text that is now easy, now hard to foretell */
            logits[i] =
                (step % 100 < 50 ? 2.0f : 5.0f) * ((float)random_bits() / 1073741824.0f - 1);
            total += p[i] = exp((double)logits[i]);
        }
        for (int i = 0; i < V; i++)
            largest = fmax(largest, p[i] /= total);
        check(lp_sampler_draw(sampler, logits, NULL, 0, step, &token));
        for (int i = 0; i < V; i++)
            if (-log2(p[i]) <= mu || p[i] == largest)
                kept += p[i];
        assert_true(-log2(p[token]) <= mu + 1e-4 || p[token] == largest);
        const double surprise = -log2(p[token] / kept);
        mu -= eta * (surprise - tau);
        mean += step >= 100 ? surprise / (N - 100) : 0;
    }
    assert_float_equal(mean, tau, 0.05);
    lp_sampler_destroy(sampler);
}

/* ---- DRY ---------------------------------------------------------------------------------------
 */

/* The token that is this one character. */
static int32_t letter(const lp_tokenizer *tokenizer, char c)
{
    for (uint32_t i = 0; i < lp_tokenizer_size(tokenizer); i++) {
        const char *bytes;
        size_t n;
        check(lp_detokenize(&ctx, tokenizer, (int32_t)i, &bytes, &n));
        if (n == 1 && *bytes == c)
            return (int32_t)i;
    }
    fail_msg("no token is %c", c);
    return -1;
}

/* DRY on a text, one token for each character: only `punished` loses anything. */
static void dry_on(const lp_tokenizer *tokenizer, const char *text, const char *breaker,
                   char punished, float by)
{
    static float logits[MAX_V];
    const char *const breakers[] = {"vvv", breaker, "gg"}; /* two that are never there */
    const uint32_t n_vocab = lp_tokenizer_size(tokenizer);
    const size_t n = strlen(text);
    const int32_t wanted = letter(tokenizer, punished);
    int32_t history[32];
    lp_sampling s = neutral();
    lp_sampler *sampler;
    const lp_candidates *list;
    assert_true(n_vocab <= MAX_V && n <= 32);
    s.dry_multiplier = 1;
    s.dry_base = 2;
    s.dry_breakers = breakers;
    s.n_dry_breakers = breaker ? 3 : 1;
    memset(logits, 0, sizeof logits);
    for (size_t i = 0; i < n; i++)
        history[i] = letter(tokenizer, text[i]);
    check(lp_sampler_create(&ctx, tokenizer, n_vocab, &s, &sampler));
    check(lp_sampler_weigh(sampler, logits, history, n, 0, &list));
    assert_int_equal(list->n, n_vocab);
    for (size_t i = 0; i < n_vocab; i++)
        if (list->at[i].x != (list->at[i].id == wanted ? -by : 0.0f))
            fail_msg("%s, breaker %s: token %zu has %g", text, breaker ? breaker : "", i,
                     (double)list->at[i].x);
    lp_sampler_destroy(sampler);
}

static void dry_stops_at_breakers(void **state)
{
    (void)state;
    lp_gguf *gguf;
    lp_tokenizer *tokenizer;
    lp_weights *weights = lp_weights_create();
    check(lp_gguf_open(&ctx, SPM, weights, &gguf));
    check(lp_tokenizer_from_gguf(&ctx, gguf, &tokenizer));
    dry_on(tokenizer, "abcab", NULL, 'c', 1);
    dry_on(tokenizer, "abcabcab", NULL, 'c', 8); /* overlapping: abcab came before */
    dry_on(tokenizer, "xabcdxabc", NULL, 'd', 4);
    dry_on(tokenizer, "abcdefa", NULL, 'b', 0); /* one token is allowed */
    dry_on(tokenizer, "xabcdxabc", "p", 'd', 4);
    dry_on(tokenizer, "xabcdxabc", "x", 'd', 2);
    dry_on(tokenizer, "xabcdxabc", "xa", 'd', 1);
    dry_on(tokenizer, "xabcdxabc", "dx", 'd', 2);
    dry_on(tokenizer, "xabcdxabc", "bcdxa", 'd', 1);
    dry_on(tokenizer, "xabcdxabc", "c", 'd', 0);
    dry_on(tokenizer, "xabcdxabc", "xab", 'd', 0);
    dry_on(tokenizer, "xabcdxabc", "bcx", 'd', 4); /* not there in one piece */
    lp_tokenizer_destroy(tokenizer);
    lp_gguf_destroy(gguf);
    lp_weights_destroy(weights);
}

/* ---- What is refused ---------------------------------------------------------------------------
 */

static void refused(lp_sampling s, const char *message)
{
    lp_sampler *sampler = NULL;
    assert_int_equal(lp_sampler_create(&ctx, NULL, 10, &s, &sampler), LP_E_ARG);
    assert_null(sampler);
    if (strstr(ctx.message, message) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", ctx.message, message);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const lp_logit_bias far = {.token = 10}, back = {.token = -1}, much = {.bias = INFINITY};
    static const char *const empty[] = {""};
    lp_sampling s = neutral();
#define REFUSED(field, value, message)                                                             \
    s = neutral();                                                                                 \
    s.field = value;                                                                               \
    refused(s, message)
    REFUSED(temperature, -1, "sampling: temperature is -1; it can be from 0 to ");
    REFUSED(temperature, NAN, "temperature is nan");
    REFUSED(top_p, 0, "top-p is 0");
    REFUSED(min_p, 1.5f, "min-p is 1.5; it can be from 0 to 1");
    REFUSED(repeat_penalty, 0, "the repetition penalty is 0");
    REFUSED(frequency_penalty, INFINITY, "the frequency penalty is inf");
    REFUSED(typical_p, 2, "typical-p is 2");
    REFUSED(tail_free_z, -0.5f, "tail-free z is -0.5");
    REFUSED(top_n_sigma, NAN, "top-n-sigma is nan");
    REFUSED(xtc_probability, 3, "the probability of XTC is 3");
    REFUSED(dry_base, 0.5f, "DRY's base is 0.5; it can be from 1 to ");
    REFUSED(mirostat, 1, "mirostat 1; there is 2");
    REFUSED(mirostat_eta, -1, "mirostat's eta is -1");
    REFUSED(samplers, "top_k;nucleus", "samplers: there is no \"nucleus\"; there are penalties, ");
    REFUSED(samplers, "top_k;;top_p", "samplers: there is no \"\"");
    REFUSED(samplers, "top_k;top-k", "samplers: \"top-k\" is there twice");
    s = neutral();
    s.n_bias = 1;
    s.bias = &far;
    refused(s, "logit bias: token 10; the vocabulary has 10");
    s.bias = &back;
    refused(s, "logit bias: token -1");
    s.bias = &much;
    refused(s, "logit bias: inf");
    s = neutral();
    s.dry_breakers = empty;
    s.n_dry_breakers = 1;
    refused(s, "an empty sequence breaker");
}

static void ruling_out_everything_is_an_error(void **state)
{
    (void)state;
    lp_logit_bias biases[3];
    float logits[] = {1, 2, -INFINITY};
    lp_sampling s = neutral();
    lp_sampler *sampler;
    int32_t token;
    for (int i = 0; i < 3; i++)
        biases[i] = (lp_logit_bias){.token = i, .bias = -INFINITY};
    s.bias = biases;
    s.n_bias = 3;
    check(lp_sampler_create(&ctx, NULL, 3, &s, &sampler));
    assert_false(lp_sampler_on_device(sampler));
    assert_int_equal(lp_sampler_draw(sampler, logits, NULL, 0, 0, &token), LP_E_ARG);
    assert_string_equal(ctx.message, "sampling: every token is ruled out");
    lp_sampler_destroy(sampler);
}

/* What is done where: everything that the device lacks, and its steps in another order, is the
 * host's. */
static void the_device_is_asked_where_it_can(void **state)
{
    (void)state;
    static const lp_logit_bias bias = {.token = 1, .bias = 1};
    const lp_sampling usual = LP_SAMPLING_DEFAULT;
    struct {
        lp_sampling s;
        bool on_device;
    } cases[20];
    size_t n = 0;
#define CASE(field, value, device)                                                                 \
    cases[n].s = usual;                                                                            \
    cases[n].s.field = value;                                                                      \
    cases[n++].on_device = device
    CASE(seed, 3, true);
    CASE(repeat_penalty, 1.3f, true);
    CASE(samplers, "penalties;top_k;temperature", true);
    CASE(samplers, "", true);
    CASE(samplers, "top_p;top_k;temperature", false);
    CASE(samplers, "dry;xtc;min_p", true); /* which are off */
    CASE(frequency_penalty, 0.1f, false);
    CASE(presence_penalty, 0.1f, false);
    CASE(dry_multiplier, 0.5f, false);
    CASE(top_n_sigma, 1, false);
    CASE(tail_free_z, 0.9f, false);
    CASE(tail_free_z, 1, true);
    CASE(typical_p, 0.9f, false);
    CASE(typical_p, 1, true);
    CASE(xtc_probability, 0.1f, false);
    CASE(mirostat, 2, false);
    CASE(n_bias, 1, false);
    cases[n - 1].s.bias = &bias;
    for (size_t i = 0; i < n; i++) {
        lp_sampler *sampler;
        check(lp_sampler_create(&ctx, NULL, 10, &cases[i].s, &sampler));
        if (lp_sampler_on_device(sampler) != cases[i].on_device)
            fail_msg("case %zu", i);
        lp_sampler_destroy(sampler);
    }
}

/* XTC happens as often as asked, and the draw's own random number is another one. */
static void xtc_happens_as_often_as_asked(void **state)
{
    (void)state;
    enum { N = 20000 };
    lp_sampling s = neutral();
    lp_sampler *sampler;
    int count[3] = {0};
    s.xtc_probability = 0.3f;
    s.seed = 11;
    check(lp_sampler_create(&ctx, NULL, 3, &s, &sampler));
    for (uint32_t i = 0; i < N; i++) {
        float logits[] = {0, 0.5f, -5};
        int32_t token;
        check(lp_sampler_draw(sampler, logits, NULL, 0, i, &token));
        count[token]++;
    }
    const double e = exp(0.5), t = exp(-5), all = 1 + e + t;
    const double p[3] = {0.7 / all + 0.3 / (1 + t), 0.7 * e / all,
                         0.7 * t / all + 0.3 * t / (1 + t)};
    for (int i = 0; i < 3; i++) /* five standard deviations */
        assert_float_equal(count[i], N * p[i], 5 * sqrt(N * p[i]));
    lp_sampler_destroy(sampler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_steps_are_those_of_the_papers),
        cmocka_unit_test(it_draws_what_the_device_draws),
        cmocka_unit_test(mirostat_keeps_to_its_surprise),
        cmocka_unit_test(dry_stops_at_breakers),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(ruling_out_everything_is_an_error),
        cmocka_unit_test(the_device_is_asked_where_it_can),
        cmocka_unit_test(xtc_happens_as_often_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
