// Pictures of texts against pipelines of diffusers in float64 (tests/fixtures/pipeline): from a
// prompt, from a picture, in a part of it; what is refused; noise.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/context.h"
#include "image/noise.h"
#include "image/prompt.h"
#include "image/scheduler.h"
#include "lapilli.h"
#include "models/autoencoder.h"
#include "models/denoiser.h"
#include "support/model_files.h"
#include "support/model_run.h"
#include "tensor/safetensors.h"

#define FOLDER LAPILLI_TEST_FIXTURES "/pipeline/"
enum {
    CHANNELS = 4,
    HEIGHT = 12,
    WIDTH = 20,
    N = CHANNELS * HEIGHT * WIDTH,
    FACTOR = 2,
    TOKENS = 11,
    STEPS = 10
};
#define GATE 1e-10

typedef struct test {
    lp_context *ctx;
    lp_devices *devices;
    lp_image_generator *generator;
    lp_weights *weights;
    lp_image *init, *mask;
    lp_image_request request;
    float latents[N]; // behind the last step
    float looks[TOKENS * HEIGHT * WIDTH];
    double off; // the picture, at most: in bytes
    uint32_t n_seen, most;
} test;

static void check(const test *t, lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), lp_context_message(t->ctx));
}

static void refused(test *t, lp_status wanted, const char *text)
{
    lp_image *image = NULL;
    assert_int_equal(lp_image_generator_run(t->generator, &t->request, &image), wanted);
    assert_null(image);
    if (strstr(lp_context_message(t->ctx), text) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", lp_context_message(t->ctx), text);
}

static const float *tensor_of(const test *t, const char *name, int64_t n)
{
    const lp_weight *w = lp_weights_find(t->weights, name);
    assert_non_null(w);
    assert_int_equal(w->dtype, LP_F32);
    assert_int_equal(lp_shape_elements(w->shape), n);
    return w->data;
}

// On the CPU unless numbers are to be compared.
static const char *device_wanted(void)
{
    const char *device = getenv("LAPILLI_TEST_DEVICE");
    return device != NULL ? device : "cpu";
}

static void set_up(test *t, const char *device)
{
    size_t index;
    const char *reason;
    *t = (test){.ctx = lp_context_create(NULL, NULL, LP_LOG_ERROR), .weights = lp_weights_create()};
    assert_non_null(t->ctx);
    check(t, lp_devices_create(t->ctx, &t->devices));
    check(t, lp_devices_choose(t->devices, device, &index, &reason));
    check(t, lp_safetensors_open(t->ctx, FOLDER "expected.safetensors", t->weights));
    check(t, lp_image_generator_open(t->devices, index, FOLDER "sd", NULL, &t->generator));
    check(t, lp_image_open(t->ctx, FOLDER "init.png", &t->init));
    check(t, lp_image_open(t->ctx, FOLDER "mask.png", &t->mask));
}

static void tear_down(test *t)
{
    lp_image_destroy(t->init);
    lp_image_destroy(t->mask);
    lp_image_generator_destroy(t->generator);
    lp_weights_destroy(t->weights);
    lp_devices_destroy(t->devices);
    lp_context_destroy(t->ctx);
}

static int look(void *user, const lp_image_step *step)
{
    test *t = user;
    assert_int_equal(step->done, ++t->n_seen);
    assert_int_equal(step->shape[0], CHANNELS);
    assert_int_equal(step->shape[1], HEIGHT);
    assert_int_equal(step->shape[2], WIDTH);
    memcpy(t->latents, step->done == t->most ? step->picture : step->noisy, sizeof t->latents);
    assert_int_equal(step->looks != NULL, t->request.looks);
    if (step->looks != NULL && step->done == 1) // of the noise itself
        memcpy(t->looks, step->looks, sizeof t->looks);
    return step->done == t->most;
}

static const char *const names[] = {"text", "long", "init", "part"};
enum { N_CASES = sizeof names / sizeof *names };

static void prepare(test *t, int i)
{
    const lp_image_request plain = LP_IMAGE_REQUEST_DEFAULT;
    t->request = plain;
    t->request.prompt = "A small dog";
    t->request.n_steps = STEPS;
    t->request.noise = tensor_of(t, "noise", N);
    t->request.width = WIDTH * FACTOR;
    t->request.height = HEIGHT * FACTOR;
    t->request.progress = look;
    t->request.user = t;
    t->request.guidance = 1;
    t->n_seen = 0;
    t->most = UINT32_MAX;
    if (i == 0)
        t->request.guidance = 4;
    if (i == 1) {
        t->request.prompt =
            "the quick brown fox jumps over the lazy dog and the cat, again and again";
        t->request.negative = "a blurry picture";
        t->request.guidance = 2;
        t->request.rescale = 0.5f;
        t->request.sampler = "euler";
    }
    if (i >= 2) {
        t->request.init = t->init;
        t->request.width = t->request.height = 0;
        t->request.strength = i == 2 ? 0.6f : 0.8f;
        t->request.sampler = i == 2 ? "dpm++2m" : "euler";
        t->request.mask = i == 3 ? t->mask : NULL;
    }
}

// Runs it; the NMSE of the latents.
static double error_of(test *t, int i)
{
    lp_image *image;
    check(t, lp_image_generator_run(t->generator, &t->request, &image));
    assert_int_equal(lp_image_width(image), WIDTH * FACTOR);
    assert_int_equal(lp_image_height(image), HEIGHT * FACTOR);
    if (i == 0) { // the picture, too: to a byte
        const float *wanted = tensor_of(t, "picture", N / CHANNELS * FACTOR * FACTOR * 3);
        const size_t n = HEIGHT * FACTOR * (size_t)(WIDTH * FACTOR);
        const uint8_t *rgb = lp_image_rgb(image);
        double most = 0;
        for (size_t p = 0; p < 3 * n; p++) {
            const double value = fmin(fmax((double)wanted[p % 3 * n + p / 3], 0), 1);
            most = fmax(most, fabs(255 * value - rgb[p]));
        }
        t->off = most;
    }
    lp_image_destroy(image);
    return nmse(tensor_of(t, names[i], N), t->latents, N);
}

static void agrees_with_diffusers(void **state)
{
    (void)state;
    test t;
    set_up(&t, device_wanted());
    for (int i = 0; i < N_CASES; i++) {
        prepare(&t, i);
        const double error = error_of(&t, i);
        print_message("%s: NMSE %.2g\n", names[i], error);
        assert_true(error < GATE);
        assert_true(t.off < 0.51); // rounded
        assert_int_equal(t.n_seen, i == 2 ? 6 : i == 3 ? 8 : STEPS);
    }
    tear_down(&t);
}

// Everything that a request says matters.
static void mutants_are_noticed(void **state)
{
    (void)state;
    test t;
    set_up(&t, "cpu");
    for (int m = 0; m < 9; m++) {
        static const int cases[] = {0, 0, 1, 1, 2, 2, 2, 3, 1};
        lp_image *black = NULL;
        const uint8_t rgb[3] = {0};
        check(&t, lp_image_create(t.ctx, 1, 1, rgb, &black));
        prepare(&t, cases[m]);
        if (m == 0)
            t.request.prompt = "A small cat";
        if (m == 1)
            t.request.negative = "blurry";
        if (m == 2)
            t.request.negative = NULL;
        if (m == 3)
            t.request.rescale = 0;
        if (m == 4)
            t.request.strength = 0.7f;
        if (m == 5)
            t.request.karras = 1;
        if (m == 6)
            t.request.init = t.mask;
        if (m == 7)
            t.request.mask = black;
        if (m == 8)
            t.request.sampler = "ddim";
        if (m == 6) {
            t.request.width = WIDTH * FACTOR;
            t.request.height = HEIGHT * FACTOR;
        }
        if (!(error_of(&t, cases[m]) > 10 * GATE))
            fail_msg("mutant %d is not noticed", m);
        lp_image_destroy(black);
    }
    tear_down(&t);
}

// Cross-attention is where diffusers says, and asking for it changes nothing else.
static void tells_where_it_looks(void **state)
{
    (void)state;
    test t;
    uint32_t first = 0, n = 0;
    set_up(&t, device_wanted());
    prepare(&t, 0);
    t.request.looks = 1;
    assert_true(error_of(&t, 0) < GATE);
    const double error =
        nmse(tensor_of(&t, "looks", TOKENS * HEIGHT * WIDTH), t.looks, TOKENS * HEIGHT * WIDTH);
    print_message("where it looks: NMSE %.2g\n", error);
    assert_true(error < GATE);
    prepare(&t, 0);
    assert_true(error_of(&t, 0) < GATE);
    check(&t, lp_image_generator_find(t.generator, "A small dog", "small", &first, &n));
    assert_int_equal(first, 2);
    assert_int_equal(n, 3);
    check(&t, lp_image_generator_find(t.generator, "A small dog", "Dog", &first, &n));
    assert_int_equal(first, 5);
    assert_int_equal(lp_image_generator_find(t.generator, "A small dog", "cat", &first, &n),
                     LP_E_MISSING);
    assert_int_equal(lp_image_generator_find(t.generator, "A small dog", "", &first, &n),
                     LP_E_MISSING);
    tear_down(&t);
}

// What is black in the mask stays: of a black one everything, which is then the picture's latents.
static void masks_keep(void **state)
{
    (void)state;
    test t;
    const uint8_t rgb[3] = {127, 127, 127};
    lp_image *grey = NULL, *image = NULL;
    set_up(&t, "cpu");
    prepare(&t, 3);
    check(&t, lp_image_create(t.ctx, 1, 1, rgb, &grey));
    t.request.mask = grey;
    check(&t, lp_image_generator_run(t.generator, &t.request, &image));
    assert_true(nmse(tensor_of(&t, "init.latents", N), t.latents, N) < GATE);
    lp_image_destroy(image);
    lp_image_destroy(grey);
    tear_down(&t);
}

// A seed is a picture; one that is stopped is where it seemed to lead.
static void seeds_and_stops(void **state)
{
    (void)state;
    test t;
    lp_image *image = NULL, *decoded = NULL;
    float first[N];
    const uint32_t shape[3] = {CHANNELS, HEIGHT, WIDTH};
    const size_t bytes = (size_t)HEIGHT * FACTOR * WIDTH * FACTOR * 3;
    set_up(&t, "cpu");
    for (int run = 0; run < 3; run++) {
        prepare(&t, 0);
        t.request.noise = NULL;
        t.request.seed = run < 2 ? 7 : 8;
        t.request.sampler = "euler-ancestral"; // draws
        check(&t, lp_image_generator_run(t.generator, &t.request, &image));
        lp_image_destroy(image);
        if (run == 0)
            memcpy(first, t.latents, sizeof first);
        else if (run == 1)
            assert_memory_equal(first, t.latents, sizeof first);
        else
            assert_true(nmse(first, t.latents, N) > 1e-3);
    }
    prepare(&t, 0);
    t.most = 4;
    check(&t, lp_image_generator_run(t.generator, &t.request, &image));
    assert_int_equal(t.n_seen, 4);
    check(&t, lp_image_generator_decode(t.generator, t.latents, shape, &decoded));
    assert_memory_equal(lp_image_rgb(image), lp_image_rgb(decoded), bytes);
    lp_image_destroy(image);
    lp_image_destroy(decoded);
    tear_down(&t);
}

// PNDM asks once more than there are steps, from wherever it begins; of a single step not.
static void pndm_asks_once_more(void **state)
{
    (void)state;
    test t;
    set_up(&t, "cpu");
    for (uint32_t taken = 1; taken <= STEPS; taken += 3) {
        lp_image *image = NULL;
        prepare(&t, 2);
        t.request.sampler = "pndm";
        t.request.strength = (float)taken / STEPS;
        check(&t, lp_image_generator_run(t.generator, &t.request, &image));
        assert_int_equal(t.n_seen, taken > 1 ? taken + 1 : 1);
        lp_image_destroy(image);
    }
    tear_down(&t);
}

// The form in which Stable Diffusion 1.5 was published says less than diffusers writes today.
static void published_configs(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_scheduler_config scheduler;
    lp_denoiser_model unet = {0};
    lp_autoencoder_model vae = {0};
    yyjson_doc *doc = NULL;
    assert_int_equal(lp_json_open(&ctx, FOLDER "published/unet.json", &doc), LP_OK);
    lp_config c = {&ctx, "unet.json", yyjson_doc_get_root(doc)};
    assert_int_equal(lp_denoiser_read(&c, &unet), LP_OK);
    yyjson_doc_free(doc);
    assert_true(unet.sample_height == 64 && unet.sample_width == 64);
    assert_int_equal(unet.n_stages, 4);
    assert_int_equal(unet.n_groups, 32);
    assert_true(unet.has_middle && unet.cosine_first && !unet.linear_projections);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(unet.stages[i].n_heads, 8);
        assert_int_equal(unet.stages[i].depth, 1);
        assert_int_equal(unet.stages[i].n_blocks, 2);
        assert_int_equal(unet.stages[i].attends[0], i < 3);
        assert_int_equal(unet.stages[i].attends[1], i < 3);
    }
    assert_int_equal(lp_json_open(&ctx, FOLDER "published/vae.json", &doc), LP_OK);
    c = (lp_config){&ctx, "vae.json", yyjson_doc_get_root(doc)};
    assert_int_equal(lp_autoencoder_read_kl(&c, &vae), LP_OK);
    yyjson_doc_free(doc);
    assert_true(vae.scaling == 0.18215f && vae.shift == 0);
    assert_true(vae.attention && vae.quant_conv && vae.post_quant_conv);
    assert_int_equal(lp_scheduler_read(&ctx, FOLDER "published/scheduler.json", NULL, &scheduler),
                     LP_OK);
    assert_string_equal(scheduler.kind->name, "pndm");
    assert_true(!scheduler.last_is_one && scheduler.steps_offset == 1);
    assert_int_equal(scheduler.prediction, LP_PREDICTION_NOISE);
    assert_int_equal(scheduler.spacing, LP_SPACING_LEADING);
}

// The model that ships draws what diffusers draws with it, from the prompt's words to the picture.
static void emoji_are_those_of_diffusers(void **state)
{
    (void)state;
    enum { PIXELS = 64 * 64, LATENTS = 16 * 8 * 8 };
    test t;
    size_t index;
    const char *reason;
    lp_image *image = NULL;
    lp_image_request request = LP_IMAGE_REQUEST_DEFAULT;
    static float got[3 * PIXELS], wanted[3 * PIXELS];
    t = (test){.ctx = lp_context_create(NULL, NULL, LP_LOG_ERROR), .weights = lp_weights_create()};
    check(&t, lp_devices_create(t.ctx, &t.devices));
    check(&t, lp_devices_choose(t.devices, device_wanted(), &index, &reason));
    check(&t, lp_safetensors_open(t.ctx, LAPILLI_TEST_FIXTURES "/emoji/expected.safetensors",
                                  t.weights));
    check(&t, lp_image_generator_open(t.devices, index, LAPILLI_MODELS_DIR "/emoji", NULL,
                                      &t.generator));
    request.prompt = "a red apple";
    request.n_steps = 10;
    request.guidance = 4;
    request.noise = tensor_of(&t, "noise", LATENTS);
    check(&t, lp_image_generator_run(t.generator, &request, &image));
    assert_int_equal(lp_image_width(image), 64);
    assert_int_equal(lp_image_height(image), 64);
    const float *picture = tensor_of(&t, "picture", 3 * PIXELS); // planes, -1 to 1
    for (int i = 0; i < 3 * PIXELS; i++) {
        got[i] = lp_image_rgb(image)[i] / 255.0f;
        wanted[i] = fminf(fmaxf(picture[i % 3 * PIXELS + i / 3] / 2 + 0.5f, 0), 1);
    }
    const double error = nmse(wanted, got, 3 * PIXELS);
    print_message("emoji: NMSE %.2g\n", error);
    assert_true(error < 1e-5); // half a level of 255 is about 4e-6 of white
    lp_image_destroy(image);
    lp_image_generator_destroy(t.generator);
    lp_weights_destroy(t.weights);
    lp_devices_destroy(t.devices);
    lp_context_destroy(t.ctx);
}

static void what_cannot_be(void **state)
{
    (void)state;
    test t;
    set_up(&t, "cpu");
    prepare(&t, 0);
    t.request.width = 41;
    refused(&t, LP_E_ARG, "multiples of 4");
    prepare(&t, 0);
    t.request.height = 1 << 20;
    refused(&t, LP_E_ARG, "40 x 1048576");
    prepare(&t, 0);
    t.request.prompt = NULL;
    refused(&t, LP_E_ARG, "no prompt");
    prepare(&t, 0);
    t.request.n_steps = 0;
    refused(&t, LP_E_ARG, "0 steps");
    prepare(&t, 2);
    t.request.n_steps = 0;
    refused(&t, LP_E_ARG, "0 steps");
    prepare(&t, 0);
    t.request.n_steps = 4000000000u;
    refused(&t, LP_E_ARG, "steps");
    prepare(&t, 0);
    t.request.guidance = NAN;
    refused(&t, LP_E_ARG, "guidance");
    prepare(&t, 0);
    t.request.sampler = "magic";
    refused(&t, LP_E_ARG, "magic");
    prepare(&t, 0);
    t.request.karras = 1;
    refused(&t, LP_E_UNSUPPORTED, "ddim has no Karras");
    prepare(&t, 0);
    t.request.mask = t.mask;
    refused(&t, LP_E_ARG, "without a picture");
    prepare(&t, 2);
    t.request.strength = 0;
    refused(&t, LP_E_ARG, "strength of 0");
    prepare(&t, 2);
    t.request.strength = 0.05f;
    refused(&t, LP_E_ARG, "none of 10 steps");
    prepare(&t, 2);
    t.request.strength = NAN;
    refused(&t, LP_E_ARG, "strength");
    tear_down(&t);
}

// The numbers of a prompt: with the vectors of the text encoder of transformers.
static void encodes_texts(void **state)
{
    (void)state;
    enum { LENGTH = 11, VECTOR = 12 };
    test t;
    lp_prompt_encoder *encoder = NULL;
    lp_test_device *device = NULL;
    float vectors[LENGTH * VECTOR];
    int32_t tokens[LENGTH];
    uint32_t n_used = 0;
    static const int32_t wanted[LENGTH] = {900, 514, 82, 76, 817, 335, 520, 901, 0, 0, 0};
    set_up(&t, "cpu");
    lp_backend *backend = lp_test_device_create(t.ctx, device_wanted(), &device);
    check(&t, lp_prompt_encoder_create(t.ctx, FOLDER "sd", backend, NULL, &encoder));
    assert_int_equal(lp_prompt_length(encoder), LENGTH);
    assert_int_equal(lp_prompt_width(encoder), VECTOR);
    check(&t, lp_prompt_tokens(encoder, "A small dog", tokens, &n_used));
    assert_memory_equal(tokens, wanted, sizeof wanted);
    assert_int_equal(n_used, 8);
    check(&t, lp_prompt_encode(encoder, "A small dog", vectors));
    const double error =
        nmse(tensor_of(&t, "text.vectors", LENGTH * VECTOR), vectors, LENGTH * VECTOR);
    print_message("a text's vectors: NMSE %.2g\n", error);
    assert_true(error < GATE);
    lp_prompt_encoder_destroy(encoder);
    lp_test_device_destroy(device);
    tear_down(&t);
}

// Moments of a million numbers: within five deviations of those of normal ones.
static void noise_is_normal(void **state)
{
    (void)state;
    enum { MANY = 1000000 };
    float *a = malloc(MANY * sizeof *a), b[10], c[10];
    double sums[5] = {0}, next = 0;
    assert_non_null(a);
    lp_noise_fill(3, 0, a, MANY);
    for (size_t i = 0; i < MANY; i++) {
        double power = 1;
        for (int k = 1; k <= 4; k++)
            sums[k] += power *= (double)a[i];
        next += (double)a[i] * (double)a[(i + 1) % MANY];
    }
    assert_true(fabs(sums[1]) < 5 * sqrt(MANY));
    assert_true(fabs(sums[2] - MANY) < 5 * sqrt(2.0 * MANY));
    assert_true(fabs(sums[3]) < 5 * sqrt(15.0 * MANY));
    assert_true(fabs(sums[4] - 3.0 * MANY) < 5 * sqrt(96.0 * MANY));
    assert_true(fabs(next) < 5 * sqrt(MANY));
    lp_noise_fill(3, 0, b, 10);
    assert_memory_equal(a, b, sizeof b);
    lp_noise_fill(3, 1, b, 10);
    lp_noise_fill(3 + (1ull << 40), 0, c, 10);
    assert_memory_not_equal(a, b, sizeof b);
    assert_memory_not_equal(a, c, sizeof c);
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_diffusers),
        cmocka_unit_test(mutants_are_noticed),
        cmocka_unit_test(masks_keep),
        cmocka_unit_test(seeds_and_stops),
        cmocka_unit_test(what_cannot_be),
        cmocka_unit_test(encodes_texts),
        cmocka_unit_test(noise_is_normal),
        cmocka_unit_test(pndm_asks_once_more),
        cmocka_unit_test(emoji_are_those_of_diffusers),
        cmocka_unit_test(published_configs),
        cmocka_unit_test(tells_where_it_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
