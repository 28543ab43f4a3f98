/* lapilli check of a model that makes pictures: a sound device agrees in every part and over all
 * steps; a planted fault is found in the part and at the node that has it; what cannot be checked
 * is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yyjson.h>

#include "check/checker.h"
#include "check/pictures.h"
#include "cpu/cpu_backend.h"
#include "image/denoise.h"
#include "image/noise.h"
#include "image/prompt.h"
#include "lapilli.h"
#include "support/model_files.h"
#include "support/model_run.h"

#define FOLDER LAPILLI_TEST_FIXTURES "/pipeline/sd"
enum { STEPS = 4, SIDE = 16 };

static lp_context *ctx;
static lp_devices *devices;
static size_t device, reference;

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s: %s", #call, lp_context_message(ctx));                                    \
    } while (0)

static int set_up(void **state)
{
    (void)state;
    ctx = lp_context_create(NULL, NULL, LP_LOG_ERROR);
    assert_non_null(ctx);
    CHECK(lp_devices_create(ctx, &devices));
    CHECK(lp_devices_choose(devices, test_device(), &device, NULL));
    CHECK(lp_devices_choose(devices, "reference", &reference, NULL));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lp_devices_destroy(devices);
    lp_context_destroy(ctx);
    return 0;
}

static lp_image_request usual(void)
{
    lp_image_request request = LP_IMAGE_REQUEST_DEFAULT;
    request.prompt = "a red apple";
    request.n_steps = STEPS;
    request.width = request.height = SIDE;
    request.seed = 5;
    return request;
}

static lp_report *check(const lp_image_request *request, const char *fault)
{
    lp_check_options options = LP_CHECK_DEFAULT;
    lp_report *report = NULL;
    options.cache_folder = getenv("XDG_CACHE_HOME"); /* kernels are compiled once */
    options.plant = fault;
    CHECK(lp_check_image(devices, device, reference, FOLDER, request, &options, &report));
    return report;
}

/* ---- A sound device -------------------------------------------------------------------------- */

static void same_file(const lp_image *image, const uint8_t *data, size_t bytes)
{
    uint8_t *file = NULL;
    size_t n = 0;
    CHECK(lp_image_encode(image, &file, &n));
    assert_int_equal(n, bytes);
    assert_memory_equal(file, data, n);
    free(file);
}

/* What the report shows is what `lapilli image` makes on each device. */
static void has_pictures(const lp_report *report, const lp_image_request *request)
{
    const lp_check_picture *p = report->trajectory->picture;
    assert_non_null(p);
    assert_int_equal(p->width, SIDE);
    assert_int_equal(p->height, SIDE);
    const size_t of[] = {reference, device};
    for (int i = 0; i < 2; i++) {
        lp_image_generator *generator = NULL;
        lp_image *image = NULL;
        CHECK(lp_image_generator_open(devices, of[i], FOLDER, NULL, &generator));
        CHECK(lp_image_generator_run(generator, request, &image));
        same_file(image, i == 0 ? p->expected : p->got, i == 0 ? p->expected_bytes : p->got_bytes);
        lp_image_destroy(image);
        lp_image_generator_destroy(generator);
    }
    assert_true(p->map_bytes > 8 && memcmp(p->map, "\x89PNG", 4) == 0);
    assert_true(p->most_levels <= 1);
}

static const lp_difference *of_last_node(const lp_check_pass *pass)
{
    return &pass->nodes[pass->n_nodes - 1].isolated;
}

/* The decoder's pass is about the picture that the reference made. */
static void decodes_the_picture(const lp_report *report, const lp_image_request *request)
{
    const lp_difference *d = of_last_node(&report->passes[report->n_passes - 1]);
    lp_image_generator *generator = NULL;
    lp_image *image = NULL;
    CHECK(lp_image_generator_open(devices, reference, FOLDER, NULL, &generator));
    CHECK(lp_image_generator_run(generator, request, &image));
    const double level = fmin(fmax((d->expected + 1) / 2, 0), 1) * 255;
    assert_true(d->worst < SIDE * SIDE * 3);
    assert_true(fabs(level - lp_image_rgb(image)[d->worst]) <= 0.51);
    lp_image_destroy(image);
    lp_image_generator_destroy(generator);
}

/* The first step is about the seed's noise, the prompt and the schedule's timestep. */
static void asks_of_the_noise(const lp_report *report, const lp_image_request *request)
{
    enum { N_PIXELS = SIDE / 2 * SIDE / 2, N = 4 * N_PIXELS };
    const lp_denoise_options how = {{0}, false};
    const lp_runner_programs programs = {.no_int8 = true};
    const lp_difference *d = of_last_node(&report->passes[1]);
    lp_backend *backends[2];
    lp_denoiser_model *model = NULL;
    lp_denoise *denoise = NULL;
    lp_prompt_encoder *prompt = NULL;
    float noise[N], answer[N];
    for (int i = 0; i < 2; i++)
        CHECK(lp_cpu_backend_create(ctx, false, &backends[i]));
    CHECK(lp_prompt_encoder_create(ctx, FOLDER, backends[0], &programs, &prompt));
    CHECK(lp_denoiser_model_open(ctx, FOLDER "/unet", &model));
    CHECK(lp_denoise_create(ctx, model, backends[1], &how, &denoise));
    const uint32_t n_tokens = lp_prompt_length(prompt);
    float *context = malloc((size_t)n_tokens * lp_prompt_width(prompt) * sizeof *context);
    assert_non_null(context);
    CHECK(lp_prompt_encode(prompt, request->prompt, context));
    lp_noise_fill(request->seed, 0, noise, N);
    CHECK(lp_denoise_run(denoise, noise, SIDE / 2, SIDE / 2,
                         report->trajectory->latents[0].timestep, context, n_tokens, answer));
    const size_t pixel = d->worst / 4, channel = d->worst % 4;
    assert_true(fabs(d->expected - (double)answer[channel * N_PIXELS + pixel]) < 1e-6);
    free(context);
    lp_denoise_destroy(denoise);
    lp_denoiser_model_destroy(model);
    lp_prompt_encoder_destroy(prompt);
}

static void a_sound_device_agrees(void **state)
{
    (void)state;
    static const char *const names[] = {"text encoder", "denoiser, step 1", "denoiser, step 3",
                                        "denoiser, step 4", "decoder"};
    const lp_image_request request = usual();
    lp_report *report = check(&request, NULL);
    if (!report->agrees)
        fail_msg("%s", report->sentence);
    assert_int_equal(report->n_passes, 5);
    for (size_t i = 0; i < report->n_passes; i++) {
        const lp_check_pass *p = &report->passes[i];
        assert_string_equal(p->name, names[i]);
        assert_true(p->n_nodes > 10);
        assert_true(p->logits.n > 0 && p->logits.nmse < 1e-8);
        for (size_t k = 0; k < p->n_nodes; k++)
            assert_true(p->nodes[k].isolated.n > 0 && p->nodes[k].drift.n > 0);
    }
    const lp_check_trajectory *t = report->trajectory;
    assert_int_equal(t->n_latents, STEPS);
    for (uint32_t i = 0; i < STEPS; i++) {
        assert_int_equal(t->latents[i].step, i + 1);
        assert_int_equal(t->latents[i].latents.n, 4 * SIDE / 2 * SIDE / 2);
        assert_true(t->latents[i].latents.nmse < 1e-6);
    }
    assert_true(t->latents[0].timestep > t->latents[STEPS - 1].timestep);
    has_pictures(report, &request);
    decodes_the_picture(report, &request);
    asks_of_the_noise(report, &request);
    lp_report_destroy(report);
}

/* One step has one pass; other sizes, sampler and no guidance work, too. */
static void other_requests_agree(void **state)
{
    (void)state;
    lp_image_request request = usual();
    request.n_steps = 1;
    request.sampler = "euler";
    request.guidance = 1;
    request.width = 20;
    request.height = 8;
    lp_report *report = check(&request, NULL);
    if (!report->agrees)
        fail_msg("%s", report->sentence);
    assert_int_equal(report->n_passes, 3);
    assert_int_equal(report->trajectory->picture->width, 20);
    assert_string_equal(report->trajectory->sampler, "euler");
    lp_report_destroy(report);
}

/* One step more than was asked for. */
static void pndm_agrees(void **state)
{
    (void)state;
    lp_image_request request = usual();
    request.n_steps = 3;
    request.sampler = "pndm";
    lp_report *report = check(&request, NULL);
    if (!report->agrees)
        fail_msg("%s", report->sentence);
    assert_int_equal(report->trajectory->n_steps, 4);
    assert_int_equal(report->trajectory->n_latents, 4);
    lp_report_destroy(report);
}

static void a_quick_check_asks_once(void **state)
{
    (void)state;
    const lp_image_request request = usual();
    lp_check_options options = LP_CHECK_DEFAULT;
    lp_report *report = NULL;
    options.quick = 1;
    options.n_runs = 1;
    CHECK(lp_check_image(devices, device, reference, FOLDER, &request, &options, &report));
    assert_true(report->agrees);
    assert_int_equal(report->n_passes, 3);
    assert_string_equal(report->passes[1].name, "denoiser, step 1");
    lp_report_destroy(report);
}

static yyjson_val *at(yyjson_doc *doc, const char *pointer)
{
    yyjson_val *value = yyjson_doc_ptr_get(doc, pointer);
    if (value == NULL)
        fail_msg("the JSON has no %s", pointer);
    return value;
}

static void the_report_has_the_pictures(void **state)
{
    (void)state;
    static const char *const files[] = {"expected", "got", "map"};
    static const char start[] = "data:image/png;base64,iVBORw0KGgo";
    const lp_image_request request = usual();
    lp_report *report = check(&request, NULL);
    char *json = NULL, *html = NULL;
    CHECK(lp_report_json(ctx, report, &json));
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    assert_non_null(doc);
    assert_int_equal(yyjson_arr_size(at(doc, "/trajectory/steps")), STEPS);
    assert_true(yyjson_get_num(at(doc, "/trajectory/steps/3/latents/nmse")) < 1e-6);
    for (size_t i = 0; i < 3; i++) {
        char pointer[64];
        snprintf(pointer, sizeof pointer, "/trajectory/picture/%s", files[i]);
        assert_memory_equal(yyjson_get_str(at(doc, pointer)), start, sizeof start - 1);
    }
    CHECK(lp_report_html(ctx, report, &html));
    assert_non_null(strstr(html, start));
    yyjson_doc_free(doc);
    free(json);
    free(html);
    lp_report_destroy(report);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

#define BLOCK ".attentions.0.transformer_blocks.0."

static const struct planted {
    const char *fault, *node, *op, *pass;
    lp_finding finding;
} planted[] = {
    {"ten-bits", "blk.1.attn", "attention", "text encoder", LP_FINDING_WRONG},
    {"half", "down_blocks.0.resnets.0.conv1", "conv2d", "denoiser, step 1", LP_FINDING_WRONG},
    {"one-in-a-million", "mid_block.resnets.1.conv2", "conv2d", "denoiser, step 1",
     LP_FINDING_WRONG},
    {"low-bits", "up_blocks.0.resnets.0.norm1", "group_norm", "denoiser, step 1", LP_FINDING_WRONG},
    {"nan", "down_blocks.0" BLOCK "attn2", "attention", "denoiser, step 1", LP_FINDING_NOT_FINITE},
    {"softmax-scale", "mid_block" BLOCK "attn2", "attention", "denoiser, step 1", LP_FINDING_WRONG},
    {"stray-write", "up_blocks.1.resnets.0.conv1", "conv2d", "denoiser, step 1",
     LP_FINDING_STRAY_WRITE},
    {"missing-barrier", "mid_block.resnets.0.conv1", "conv2d", "denoiser, step 1",
     LP_FINDING_HAZARD},
    {"half", "decoder.up_blocks.0.resnets.0.conv1", "conv2d", "decoder", LP_FINDING_WRONG},
    {"infinity", "decoder.mid_block.resnets.0.norm1", "group_norm", "decoder",
     LP_FINDING_NOT_FINITE},
};

static void find(const struct planted *p)
{
    char fault[160];
    lp_image_request request = usual();
    request.n_steps = 2;
    snprintf(fault, sizeof fault, "%s@%s", p->fault, p->node);
    lp_report *report = check(&request, fault);
    if (report->agrees || report->bad_pass == report->n_passes)
        fail_msg("%s was not found: %s", fault, report->sentence);
    const lp_check_pass *pass = &report->passes[report->bad_pass];
    const lp_check_node *node = &pass->nodes[report->bad_node];
    if (strcmp(pass->name, p->pass) != 0 || strcmp(node->name, p->node) != 0 ||
        strcmp(node->op, p->op) != 0 || node->finding != p->finding)
        fail_msg("%s: %s", fault, report->sentence);
    /* that one only; but bytes that are nobody's in one plan may be somebody's in the whole one */
    for (size_t i = 0; i < pass->n_nodes && p->finding != LP_FINDING_STRAY_WRITE; i++)
        if (i != report->bad_node && pass->nodes[i].finding != LP_FINDING_NONE)
            fail_msg("%s: %s is bad, too: %s", fault, pass->nodes[i].name, pass->nodes[i].detail);
    assert_non_null(strstr(report->sentence, p->pass));
    assert_non_null(strstr(report->sentence, p->node));
    if (p->finding == LP_FINDING_NOT_FINITE) {
        assert_null(report->trajectory->picture);
        assert_non_null(strstr(report->trajectory->failure, "nan"));
    }
    assert_true(report->n_trials > 0);
    lp_report_destroy(report);
}

static void faults_are_found(void **state)
{
    (void)state;
    if (lp_n_faults() == 0 || strncmp(lp_devices_info(devices, device)->id, "vulkan", 6) != 0)
        skip();
    for (size_t i = 0; i < sizeof planted / sizeof *planted; i++)
        find(&planted[i]);
}

/* Every node is right, but what comes of all of them is not. */
static void a_picture_that_is_apart(void **state)
{
    (void)state;
    lp_check_latents latents = {.step = 1, .latents = {.n = 4, .nmse = 0.02}};
    lp_check_picture picture = {.width = 8, .height = 8};
    lp_check_trajectory t = {.n_steps = 1,
                             .n_latents = 1,
                             .latents = &latents,
                             .bound = 1e-3,
                             .failure = "",
                             .picture = &picture};
    lp_report report = {
        .device = "D", .driver = "", .against = "R", .model = "M", .trajectory = &t};
    lp_arena arena = {0};
    lp_checker c = {.ctx = ctx, .arena = &arena, .report = &report};
    CHECK(lp_checker_conclude(&c));
    assert_false(report.agrees);
    assert_string_equal(report.sentence, "D disagrees with R on M: every node is right by itself, "
                                         "but after 1 step the latents differ by NMSE 0.02 "
                                         "(bound 0.001)");
    latents.latents.nmse = 1e-9;
    CHECK(lp_checker_conclude(&c));
    assert_true(report.agrees);
    latents.latents.nmse = NAN;
    CHECK(lp_checker_conclude(&c));
    assert_false(report.agrees);
    latents.latents.nmse = 0;
    t.picture = NULL;
    t.failure = "the device was lost";
    CHECK(lp_checker_conclude(&c));
    assert_false(report.agrees);
    assert_non_null(strstr(report.sentence, "after 1 of 1 steps (the device was lost)"));
    lp_arena_destroy(&arena);
}

/* ---- The difference of pictures -------------------------------------------------------------- */

static void differences_are_told(void **state)
{
    (void)state;
    float a[2 * 2 * 3] = {0.5f, 0.5f, 0.5f, 0, 1, 0.25f, 1, 1, 1, 0.1f, 0.2f, 0.3f};
    float b[2 * 2 * 3];
    lp_arena arena = {0};
    lp_check_picture p;
    memcpy(b, a, sizeof a);
    CHECK(lp_check_pictures(ctx, &arena, a, b, 2, 2, &p));
    assert_int_equal(p.n_other, 0);
    assert_true(p.pixels.nmse <= 0);
    b[1] = 0.5f + 10 / 255.f;
    b[9] = NAN;
    CHECK(lp_check_pictures(ctx, &arena, a, b, 2, 2, &p));
    assert_int_equal(p.n_other, 2);
    assert_int_equal(p.most_levels, 26); /* of 0.1, which became 0 */
    assert_int_equal(p.pixels.n_nan, 1);
    lp_arena_destroy(&arena);
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void refuse(lp_image_request request, const char *folder, lp_status wanted, const char *text)
{
    const lp_check_options options = LP_CHECK_DEFAULT;
    lp_report *report = NULL;
    const lp_status status =
        lp_check_image(devices, device, reference, folder, &request, &options, &report);
    assert_null(report);
    if (status != wanted || strstr(lp_context_message(ctx), text) == NULL)
        fail_msg("%s, \"%s\" instead of \"%s\"", lp_status_text(status), lp_context_message(ctx),
                 text);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static uint8_t rgb[SIDE * SIDE * 3];
    lp_image *init = NULL;
    lp_image_request request = usual();
    request.n_steps = 0;
    refuse(request, FOLDER, LP_E_ARG, "0 steps");
    request.n_steps = UINT32_MAX;
    refuse(request, FOLDER, LP_E_ARG, "4294967295 steps");
    request = usual();
    request.width = 17;
    refuse(request, FOLDER, LP_E_ARG, "17 x 16");
    request = usual();
    request.prompt = NULL;
    refuse(request, FOLDER, LP_E_ARG, "no prompt");
    request = usual();
    request.sampler = "sundial";
    refuse(request, FOLDER, LP_E_ARG, "sundial");
    CHECK(lp_image_create(ctx, SIDE, SIDE, rgb, &init));
    request = usual();
    request.init = init;
    refuse(request, FOLDER, LP_E_UNSUPPORTED, "not with a picture");
    lp_image_destroy(init);
    refuse(usual(), FOLDER "/unet", LP_E_MISSING, "no model_index.json");
}

static int stop_at(void *user, uint64_t done, uint64_t total)
{
    const double *share = user;
    assert_true(done <= total);
    return (double)done >= *share * (double)total;
}

static void a_check_can_be_stopped(void **state)
{
    (void)state;
    double shares[] = {0.01, 0.4, 0.9}; /* the one trajectory, the other, the passes */
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        const lp_image_request request = usual();
        lp_check_options options = LP_CHECK_DEFAULT;
        lp_report *report = NULL;
        options.progress = stop_at;
        options.progress_user = &shares[i];
        assert_int_equal(
            lp_check_image(devices, device, reference, FOLDER, &request, &options, &report),
            LP_E_CANCELLED);
        assert_null(report);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_device_agrees),   cmocka_unit_test(other_requests_agree),
        cmocka_unit_test(pndm_agrees),
        cmocka_unit_test(a_quick_check_asks_once),
        cmocka_unit_test(the_report_has_the_pictures),
        cmocka_unit_test(faults_are_found),        cmocka_unit_test(a_picture_that_is_apart),
        cmocka_unit_test(differences_are_told),    cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(a_check_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
