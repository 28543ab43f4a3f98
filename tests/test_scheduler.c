// Schedulers against those of diffusers in float64 (tests/fixtures/scheduler): ten steps of each;
// what is wrong with their files.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/scheduler.h"
#include "support/model_files.h"
#include "tensor/safetensors.h"

#define FOLDER LAPILLI_TEST_FIXTURES "/scheduler/"
#define GATE   1e-10

enum { N = 6, STEPS = 10 };

static const char *const names[] = {
    "ddim-sd",  "ddim-v",     "ddim-clip",    "ddim-sample",  "ddpm",        "ddpm-v",
    "euler-sd", "euler-v",    "euler-karras", "ancestral-sd", "ancestral-v", "dpm-sd",
    "dpm-v",    "dpm-karras", "dpm-trailing", "dpm-first",    "pndm-sd",     "pndm-v"};
enum { N_NAMES = sizeof names / sizeof *names };

static void check(const lp_context *ctx, lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx->message);
}

static const float *tensor_of(const lp_weights *weights, const char *format, const char *name,
                              int64_t n)
{
    char text[64];
    snprintf(text, sizeof text, format, name);
    const lp_weight *w = lp_weights_find(weights, text);
    assert_non_null(w);
    assert_int_equal(w->dtype, LP_F32);
    assert_int_equal(lp_shape_elements(w->shape), n);
    return w->data;
}

static void read_config(lp_context *ctx, const char *name, lp_scheduler_config *config)
{
    char path[512];
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    check(ctx, lp_scheduler_read(ctx, path, NULL, config));
}

// The NMSE of ten steps, all latents together, or of the timesteps if that is more; INFINITY where
// it cannot run.
static double trajectory_error(const lp_weights *weights, const char *name,
                               const lp_scheduler_config *config)
{
    lp_context ctx = {0};
    lp_scheduler *s;
    const float *noise = tensor_of(weights, "%s", "noise", (STEPS + 1) * N);
    const float *c = tensor_of(weights, "%s", "c", N);
    if (lp_scheduler_create(&ctx, config, STEPS, N, &s) != LP_OK)
        return INFINITY;
    const uint32_t count = lp_scheduler_count(s);
    const float *timesteps = tensor_of(weights, "%s.timesteps", name, count);
    const float *want = tensor_of(weights, "%s.latents", name, (count + 1) * N);
    float x[N], answer[N];
    double square = 0, error = 0, time_error = 0;
    for (int i = 0; i < N; i++)
        x[i] = (float)(lp_scheduler_start(s) * (double)noise[i]);
    for (uint32_t step = 0; step <= count; step++) {
        for (int i = 0; i < N; i++) {
            const double wanted = (double)want[step * N + i], got = (double)x[i];
            error += (got - wanted) * (got - wanted);
            square += wanted * wanted;
        }
        if (step == count)
            break;
        const double t = lp_scheduler_timestep(s, step);
        time_error = fmax(time_error, fabs(t - (double)timesteps[step]));
        for (int i = 0; i < N; i++)
            answer[i] = (float)tanh(0.7 * lp_scheduler_input(s, step) * (double)x[i] +
                                    cos(t / 100) * (double)c[i]);
        const float *drawn = lp_scheduler_draws(s, step) ? noise + (step + 1) * N : NULL;
        lp_scheduler_step(s, step, answer, drawn, x);
    }
    lp_scheduler_destroy(s);
    return fmax(error / square, time_error > 1e-3 ? time_error : 0);
}

static lp_weights *expected(lp_context *ctx)
{
    lp_weights *weights = lp_weights_create();
    assert_non_null(weights);
    check(ctx, lp_safetensors_open(ctx, FOLDER "expected.safetensors", weights));
    return weights;
}

static void agree_with_diffusers(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_weights *weights = expected(&ctx);
    for (int i = 0; i < N_NAMES; i++) {
        lp_scheduler_config config;
        read_config(&ctx, names[i], &config);
        const double error = trajectory_error(weights, names[i], &config);
        print_message("%s: NMSE %.2g\n", names[i], error);
        assert_true(error < GATE);
    }
    lp_weights_destroy(weights);
}

// ---- Mutants: every key that is read matters somewhere

static void other_prediction(lp_scheduler_config *c)
{
    c->prediction =
        c->prediction == LP_PREDICTION_NOISE ? LP_PREDICTION_VELOCITY : LP_PREDICTION_NOISE;
}

static void other_spacing(lp_scheduler_config *c)
{
    c->spacing = c->spacing == LP_SPACING_LEADING ? LP_SPACING_TRAILING : LP_SPACING_LEADING;
}

static void other_offset(lp_scheduler_config *c)
{
    c->steps_offset ^= 1;
}

static void other_betas(lp_scheduler_config *c)
{
    c->betas = c->betas == LP_BETAS_LINEAR ? LP_BETAS_SCALED_LINEAR : LP_BETAS_LINEAR;
}

static void other_last(lp_scheduler_config *c)
{
    c->last_is_one = !c->last_is_one;
}

static void other_snr(lp_scheduler_config *c)
{
    c->zero_snr = !c->zero_snr;
}

static void other_clip(lp_scheduler_config *c)
{
    c->clip = c->clip > 0 ? 0 : 0.5f;
}

static void other_variance(lp_scheduler_config *c)
{
    c->large_variance = !c->large_variance;
}

static void other_karras(lp_scheduler_config *c)
{
    c->karras = !c->karras;
}

static void other_order(lp_scheduler_config *c)
{
    c->order = 3 - c->order;
}

static const struct {
    const char *name, *fixture;
    void (*change)(lp_scheduler_config *config);
} mutants[] = {
    {"prediction", "ddim-v", other_prediction},
    {"prediction", "ddpm", other_prediction},
    {"prediction", "euler-v", other_prediction},
    {"prediction", "dpm-sd", other_prediction},
    {"spacing", "ddim-sd", other_spacing},
    {"spacing", "ddim-clip", other_spacing},
    {"spacing", "euler-sd", other_spacing},
    {"spacing", "dpm-v", other_spacing},
    {"offset", "ddim-sd", other_offset},
    {"offset", "dpm-sd", other_offset},
    {"betas", "ddpm", other_betas},
    {"betas", "ddim-sample", other_betas},
    {"last alpha", "ddim-sd", other_last},
    {"zero SNR", "ddim-v", other_snr},
    {"clip", "ddim-clip", other_clip},
    {"clip", "ddpm", other_clip},
    {"variance", "ddpm-v", other_variance},
    {"Karras", "euler-karras", other_karras},
    {"Karras", "dpm-karras", other_karras},
    {"order", "dpm-first", other_order},
    {"order", "dpm-v", other_order},
    {"prediction", "pndm-sd", other_prediction},
    {"offset", "pndm-sd", other_offset},
    {"last alpha", "pndm-sd", other_last},
    {"spacing", "pndm-v", other_spacing},
};

static void mutants_are_noticed(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_weights *weights = expected(&ctx);
    for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++) {
        lp_scheduler_config config;
        read_config(&ctx, mutants[i].fixture, &config);
        mutants[i].change(&config);
        const double error = trajectory_error(weights, mutants[i].fixture, &config);
        if (!(error > 10 * GATE))
            fail_msg("%s: %s is not noticed: %g", mutants[i].fixture, mutants[i].name, error);
    }
    lp_weights_destroy(weights);
}

// ---- Files

static void broken_files(void **state)
{
    (void)state;
    static const struct {
        const char *fixture, *find, *replace;
        lp_status status;
        const char *what;
    } rows[] = {
        {"ddim-sd", "DDIMScheduler", "LCMScheduler", LP_E_UNSUPPORTED, "LCMScheduler"},
        {"ddim-sd", "_class_name", "_class", LP_E_MISSING, "_class_name"},
        {"ddim-sd", "scaled_linear", "laplace", LP_E_UNSUPPORTED, "laplace"},
        {"ddim-sd", "\"thresholding\": false", "\"thresholding\": true", LP_E_UNSUPPORTED,
         "thresholding"},
        {"ddim-sd", "\"trained_betas\": null", "\"trained_betas\": [0.1]", LP_E_UNSUPPORTED,
         "trained_betas"},
        {"ddim-sd", "\"num_train_timesteps\": 1000", "\"num_train_timesteps\": 1", LP_E_LIMIT,
         "num_train_timesteps"},
        {"ddim-sd", "\"num_train_timesteps\": 1000", "\"num_train_timesteps\": 4000000000",
         LP_E_LIMIT, "num_train_timesteps"},
        {"ddim-sd", "\"beta_end\": 0.012", "\"beta_end\": 1.5", LP_E_FORMAT, "beta_end"},
        {"ddim-sd", "\"beta_start\": 0.00085", "\"beta_start\": 0", LP_E_FORMAT, "beta_start"},
        {"ddim-sd", "\"leading\"", "\"following\"", LP_E_UNSUPPORTED, "following"},
        {"ddpm", "fixed_small", "learned", LP_E_UNSUPPORTED, "learned"},
        {"dpm-sd", "\"solver_order\": 2", "\"solver_order\": 3", LP_E_UNSUPPORTED, "solver_order"},
        {"dpm-sd", "midpoint", "heun", LP_E_UNSUPPORTED, "solver_type"},
        {"dpm-sd", "\"dpmsolver++\"", "\"sde-dpmsolver++\"", LP_E_UNSUPPORTED, "algorithm_type"},
        {"dpm-sd", "\"lambda_min_clipped\": -Infinity", "\"lambda_min_clipped\": -5.1",
         LP_E_UNSUPPORTED, "lambda_min_clipped"},
        {"dpm-sd", "\"beta_end\": 0.012", "\"beta_end\": Infinity", LP_E_FORMAT, "beta_end"},
        {"dpm-sd", "\"beta_end\": 0.012", "\"beta_end\": NaN", LP_E_FORMAT, "beta_end"},
        {"pndm-sd", "\"skip_prk_steps\": true", "\"skip_prk_steps\": false", LP_E_UNSUPPORTED,
         "skip_prk_steps"},
        {"pndm-sd", "\"epsilon\"", "\"sample\"", LP_E_UNSUPPORTED, "sample"},
        {"euler-sd", "\"linear\"", "\"log_linear\"", LP_E_UNSUPPORTED, "log_linear"},
    };
    char *folder = test_folder_create(), *path = test_path(folder, "scheduler_config.json");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lp_context ctx = {0};
        lp_scheduler_config config;
        char from[512];
        snprintf(from, sizeof from, FOLDER "%s.json", rows[i].fixture);
        test_copy_replaced(from, path, rows[i].find, rows[i].replace);
        const lp_status status = lp_scheduler_read(&ctx, path, NULL, &config);
        test_expect_failure(&ctx, status, rows[i].status, rows[i].what, "scheduler_config.json");
    }
    free(path);
    test_folder_remove(folder);
}

static void steps_that_cannot_be(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_scheduler_config config;
    lp_scheduler *s;
    read_config(&ctx, "ddim-sd", &config);
    static const uint32_t steps[] = {0, LP_SCHEDULER_STEPS + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        test_expect_failure(&ctx, lp_scheduler_create(&ctx, &config, steps[i], N, &s), LP_E_ARG,
                            "possible", "steps");
    // an offset that goes beyond the end; nothing but noise, of which no noise can be told
    test_expect_failure(&ctx, lp_scheduler_create(&ctx, &config, 1000, N, &s), LP_E_ARG, "1000",
                        "offset");
    read_config(&ctx, "ddim-v", &config);
    config.prediction = LP_PREDICTION_NOISE;
    test_expect_failure(&ctx, lp_scheduler_create(&ctx, &config, STEPS, N, &s), LP_E_ARG, "ddim",
                        "999");
    read_config(&ctx, "dpm-v", &config);
    check(&ctx, lp_scheduler_create(&ctx, &config, 1, N, &s));
    lp_scheduler_destroy(s);
}

// The numbers of one scheduler, the steps of another.
static void other_kinds(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_scheduler_config config;
    size_t n = 0;
    for (; lp_scheduler_name(n) != NULL; n++) {
        check(&ctx, lp_scheduler_read(&ctx, FOLDER "ddim-v.json", lp_scheduler_name(n), &config));
        assert_string_equal(config.kind->name, lp_scheduler_name(n));
        assert_int_equal(config.prediction, LP_PREDICTION_VELOCITY);
    }
    assert_int_equal(n, lp_n_scheduler_kinds);
    test_expect_failure(&ctx, lp_scheduler_read(&ctx, FOLDER "ddim-v.json", "plms", &config),
                        LP_E_ARG, "plms", "ddim-v.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agree_with_diffusers), cmocka_unit_test(mutants_are_noticed),
        cmocka_unit_test(broken_files),         cmocka_unit_test(steps_that_cannot_be),
        cmocka_unit_test(other_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
