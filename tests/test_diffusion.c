// From noise to latents against whole pipelines of diffusers in float64 (tests/fixtures/diffusion).
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/diffusion.h"
#include "support/model_files.h"
#include "support/model_run.h"
#include "tensor/safetensors.h"

enum { HEIGHT = 6, WIDTH = 10, N = 4 * HEIGHT * WIDTH, TOKENS = 7, STEPS = 10 };
#define GATE 1e-10

typedef struct test {
    lp_context ctx;
    lp_denoiser_model *model;
    lp_test_device *device;
    lp_denoise *denoise;
    lp_weights *weights;
    lp_scheduler_config scheduler;
    lp_diffusion_options options;
    float latents[N];
    uint32_t n_seen; // by `progress`
} test;

static const struct {
    const char *name;
    float guidance, rescale;
} cases[] = {{"euler-sd", 4.5f, 0}, {"ddim-v", 3, 0.7f}, {"dpm-karras", 1, 0}};
enum { N_CASES = sizeof cases / sizeof *cases };

static void check(const lp_context *ctx, lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx->message);
}

static const float *tensor_of(const test *t, const char *name)
{
    const lp_weight *w = lp_weights_find(t->weights, name);
    assert_non_null(w);
    assert_int_equal(w->dtype, LP_F32);
    return w->data;
}

static void set_up(test *t, const char *device)
{
    *t = (test){.weights = lp_weights_create()};
    assert_non_null(t->weights);
    check(&t->ctx,
          lp_safetensors_open(&t->ctx, LAPILLI_TEST_FIXTURES "/diffusion/expected.safetensors",
                              t->weights));
    check(&t->ctx,
          lp_denoiser_model_open(&t->ctx, LAPILLI_TEST_FIXTURES "/denoiser/cross", &t->model));
    lp_backend *backend = lp_test_device_create(&t->ctx, device, &t->device);
    check(&t->ctx,
          lp_denoise_create(&t->ctx, t->model, backend, &(lp_denoise_options){0}, &t->denoise));
}

static void tear_down(test *t)
{
    lp_denoise_destroy(t->denoise);
    lp_test_device_destroy(t->device);
    lp_denoiser_model_destroy(t->model);
    lp_weights_destroy(t->weights);
}

static void prepare(test *t, int i)
{
    char path[512];
    snprintf(path, sizeof path, LAPILLI_TEST_FIXTURES "/scheduler/%s.json", cases[i].name);
    check(&t->ctx, lp_scheduler_read(&t->ctx, path, NULL, &t->scheduler));
    t->options = (lp_diffusion_options){.scheduler = &t->scheduler,
                                        .n_steps = STEPS,
                                        .text = {tensor_of(t, "context"), TOKENS},
                                        .negative = {tensor_of(t, "negative"), TOKENS},
                                        .guidance = cases[i].guidance,
                                        .rescale = cases[i].rescale,
                                        .user = t};
    memcpy(t->latents, tensor_of(t, "noise"), sizeof t->latents);
}

static lp_status run(test *t)
{
    return lp_diffusion_run(&t->ctx, t->denoise, &t->options, HEIGHT, WIDTH, t->latents);
}

static double error_of(const test *t, int i)
{
    return nmse(tensor_of(t, cases[i].name), t->latents, N);
}

static void agrees_with_pipelines(void **state)
{
    (void)state;
    const char *device = getenv("LAPILLI_TEST_DEVICE");
    const char *const devices[] = {"reference", device != NULL ? device : "cpu"};
    for (int d = 0; d < 2; d++) {
        test t;
        set_up(&t, devices[d]);
        for (int i = 0; i < N_CASES; i++) {
            prepare(&t, i);
            check(&t.ctx, run(&t));
            print_message("%s on %s: NMSE %.2g\n", cases[i].name, devices[d], error_of(&t, i));
            assert_true(error_of(&t, i) < GATE);
        }
        tear_down(&t);
    }
}

// What would go wrong first: other guidance, no rescaling, texts exchanged.
static void mutants_are_noticed(void **state)
{
    (void)state;
    test t;
    set_up(&t, "cpu");
    for (int i = 0; i < N_CASES; i++)
        for (int m = 0; m < 3; m++) {
            prepare(&t, i);
            const lp_condition text = t.options.text;
            if (m == 0)
                t.options.guidance += 0.25f;
            if (m == 1)
                t.options.rescale = t.options.rescale > 0 ? 0 : 0.25f;
            if (m == 2) {
                t.options.text = t.options.negative;
                t.options.negative = text;
            }
            if (m == 1 && !(t.options.guidance > 1))
                continue; // nothing to rescale
            check(&t.ctx, run(&t));
            if (!(error_of(&t, i) > 10 * GATE))
                fail_msg("%s: mutant %d is not noticed: %g", cases[i].name, m, error_of(&t, i));
        }
    tear_down(&t);
}

static bool three_steps(void *user, const lp_diffusion_step *step)
{
    test *t = user;
    assert_int_equal(step->step, t->n_seen);
    assert_ptr_equal(step->latents, t->latents);
    assert_true(step->scale > 0 && step->scale <= 1);
    return ++t->n_seen < 3;
}

static void draw_zeros(void *user, uint32_t step, float *noise, size_t n)
{
    test *t = user;
    assert_int_equal(n, N);
    assert_int_equal(step, t->n_seen++);
    for (size_t i = 0; i < n; i++)
        noise[i] = 0;
}

static void stops_and_draws(void **state)
{
    (void)state;
    test t;
    set_up(&t, "cpu");
    prepare(&t, 0);
    t.options.progress = three_steps;
    check(&t.ctx, run(&t));
    assert_int_equal(t.n_seen, 3);
    assert_true(error_of(&t, 0) > GATE);
    prepare(&t, 0);
    check(&t.ctx, lp_scheduler_read(&t.ctx, LAPILLI_TEST_FIXTURES "/scheduler/ancestral-sd.json",
                                    NULL, &t.scheduler));
    test_expect_failure(&t.ctx, run(&t), LP_E_ARG, "draws", "step 0");
    prepare(&t, 0);
    check(&t.ctx, lp_scheduler_read(&t.ctx, LAPILLI_TEST_FIXTURES "/scheduler/ancestral-sd.json",
                                    NULL, &t.scheduler));
    t.options.draw = draw_zeros;
    t.n_seen = 0;
    check(&t.ctx, run(&t));
    assert_int_equal(t.n_seen, STEPS - 1); // to sigma 0 nothing is drawn
    tear_down(&t);
}

static void what_cannot_be(void **state)
{
    (void)state;
    test t;
    set_up(&t, "cpu");
    prepare(&t, 0);
    t.options.rescale = 1.5f;
    test_expect_failure(&t.ctx, run(&t), LP_E_ARG, "rescaled", "1.5");
    prepare(&t, 0);
    t.options.guidance = NAN;
    test_expect_failure(&t.ctx, run(&t), LP_E_ARG, "guidance", "nan");
    prepare(&t, 0);
    t.options.n_steps = 4000000000u;
    test_expect_failure(&t.ctx, run(&t), LP_E_ARG, "steps", "4000000000");
    prepare(&t, 0);
    t.options.text.n = 0;
    test_expect_failure(&t.ctx, run(&t), LP_E_LIMIT, "tokens", "0");
    prepare(&t, 0);
    t.latents[3] = INFINITY;
    test_expect_failure(&t.ctx, run(&t), LP_E_DEVICE, "number", "");
    tear_down(&t);
    // a model for inpainting, or one that tells variances
    check(&t.ctx,
          lp_denoiser_model_open(&t.ctx, LAPILLI_TEST_FIXTURES "/denoiser/linear", &t.model));
    lp_backend *backend = lp_test_device_create(&t.ctx, "cpu", &t.device);
    check(&t.ctx,
          lp_denoise_create(&t.ctx, t.model, backend, &(lp_denoise_options){0}, &t.denoise));
    test_expect_failure(&t.ctx, run(&t), LP_E_ARG, "5 channels", "linear");
    lp_denoise_destroy(t.denoise);
    lp_test_device_destroy(t.device);
    lp_denoiser_model_destroy(t.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_pipelines),
        cmocka_unit_test(mutants_are_noticed),
        cmocka_unit_test(stops_and_draws),
        cmocka_unit_test(what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
