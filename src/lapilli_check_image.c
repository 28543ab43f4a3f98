/* Checks of models that make pictures, for the public API. First the other device makes the whole
 * picture, then the device under test does; then every part's graph is checked node by node, on
 * what the other device came to. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "check/compare.h"
#include "check/pictures.h"
#include "check/repro.h"
#include "image/noise.h"
#include "lapilli_check.h"
#include "lapilli_generator.h"
#include "lapilli_private.h"

/* The bound on the NMSE of latents after all steps: DESIGN's for a full trajectory. */
#define MOST_LATENTS 1e-3

typedef struct image_check {
    lp_context *ctx;
    lp_devices *devices;
    size_t device, against;
    const char *folder;
    const lp_image_request *request;
    lp_check_options options; /* the caller's, with the prompt's tokens */
    lp_checker checker;
    lp_check_trajectory *trajectory;
    lp_image_generator *judge; /* on the other device, all the time */
    int32_t *tokens;
    float *context;           /* [n_tokens, width] of the prompt, from the judge */
    lp_image_latents latents; /* that the judge came to */
    float *pixels;            /* their picture [height, width, 3] */
    uint32_t n_steps;         /* that the scheduler makes of those asked for */
    float *inputs;            /* what the denoiser reads at each step, [n_steps, n], and once more
                                 behind the last */
    double *timesteps;        /* [n_steps] */
    size_t n;                 /* of latents */
    uint32_t n_nodes;         /* of the denoiser: a step's worth of progress */
    lp_status stopped;        /* by progress */
} image_check;

/* ---- The judge ------------------------------------------------------------------------------- */

static lp_status open_judge(image_check *k)
{
    const lp_image_generator_opening o = {
        .devices = k->devices, .device = k->against, .cache_folder = k->options.cache_folder};
    LP_TRY(lp_image_generator_create(&o, k->folder, &k->judge));
    const uint32_t n_tokens = lp_prompt_length(k->judge->prompt);
    k->tokens = malloc(n_tokens * sizeof *k->tokens);
    k->context = malloc((size_t)n_tokens * lp_prompt_width(k->judge->prompt) * sizeof *k->context);
    if (k->tokens == NULL || k->context == NULL)
        return lp_fail_memory(k->ctx, "a prompt");
    LP_TRY(lp_prompt_tokens(k->judge->prompt, k->request->prompt, k->tokens, NULL));
    LP_TRY(lp_prompt_encode(k->judge->prompt, k->request->prompt, k->context));
    k->options.tokens = k->tokens;
    k->options.n_tokens = n_tokens;
    k->options.n_ctx = n_tokens;
    k->options.cache_type = LP_F32; /* as the prompt's encoder has it */
    return LP_OK;
}

static int record(void *user, const lp_image_step *step)
{
    image_check *k = user;
    memcpy(k->inputs + step->done * k->n, step->noisy, k->n * sizeof *k->inputs);
    k->timesteps[step->done - 1] = step->timestep;
    k->stopped = lp_checker_progress(&k->checker, k->n_nodes);
    return k->stopped != LP_OK;
}

/* How many steps there are, and what the denoiser reads at the first one. */
static lp_status begin_inputs(image_check *k)
{
    lp_scheduler_config config;
    lp_scheduler *scheduler = NULL;
    LP_TRY(lp_image_generator_scheduler(k->judge, k->request, &config));
    LP_TRY(lp_scheduler_create(k->ctx, &config, k->request->n_steps, k->n, &scheduler));
    k->trajectory->n_steps = k->n_steps = lp_scheduler_count(scheduler);
    k->inputs = malloc((k->n_steps + 1) * k->n * sizeof *k->inputs);
    k->timesteps = malloc(k->n_steps * sizeof *k->timesteps);
    if (k->inputs == NULL || k->timesteps == NULL) {
        lp_scheduler_destroy(scheduler);
        return lp_fail_memory(k->ctx, "latents");
    }
    const double factor = lp_scheduler_input(scheduler, 0), start = lp_scheduler_start(scheduler);
    if (k->request->noise != NULL)
        memcpy(k->inputs, k->request->noise, k->n * sizeof *k->inputs);
    else
        lp_noise_fill(k->request->seed, 0, k->inputs, k->n);
    for (size_t i = 0; i < k->n; i++)
        k->inputs[i] = (float)(factor * (double)(float)(start * (double)k->inputs[i]));
    k->trajectory->sampler = config.kind->name;
    lp_scheduler_destroy(scheduler);
    return LP_OK;
}

static lp_status judge_pixels(const lp_image_generator *g, const lp_image_latents *latents,
                              float **pixels)
{
    const uint32_t factor = g->autoencoder->factor;
    const size_t n = (size_t)latents->shape[1] * latents->shape[2] * factor * factor * 3;
    *pixels = malloc(n * sizeof **pixels);
    if (*pixels == NULL)
        return lp_fail_memory(g->ctx, "a picture");
    return lp_coder_decode(g->coder, latents->values, latents->shape[1], latents->shape[2],
                           *pixels);
}

static lp_status run_judge(image_check *k)
{
    lp_image_request request = *k->request;
    request.progress = record;
    request.user = k;
    LP_TRY(lp_image_generator_latents(k->judge, &request, &k->latents));
    LP_TRY(k->stopped);
    return judge_pixels(k->judge, &k->latents, &k->pixels);
}

/* ---- The device, by itself ------------------------------------------------------------------- */

static int compare(void *user, const lp_image_step *step)
{
    image_check *k = user;
    lp_check_trajectory *t = k->trajectory;
    t->latents[t->n_latents++] = (lp_check_latents){
        .step = step->done,
        .timestep = step->timestep,
        .latents = lp_compare(k->inputs + step->done * k->n, step->noisy, NULL, k->n)};
    k->stopped = lp_checker_progress(&k->checker, k->n_nodes);
    return k->stopped != LP_OK;
}

static lp_status make_picture(image_check *k, lp_image_generator *g)
{
    lp_image_request request = *k->request;
    lp_image_latents latents = {0};
    float *pixels = NULL;
    const uint32_t factor = k->judge->autoencoder->factor;
    request.progress = compare;
    request.user = k;
    lp_status status = lp_image_generator_latents(g, &request, &latents);
    if (status == LP_OK)
        status = k->stopped;
    if (status == LP_OK)
        status = judge_pixels(g, &latents, &pixels);
    if (status == LP_OK) {
        k->trajectory->picture = lp_arena_alloc(k->checker.arena, sizeof *k->trajectory->picture);
        status = k->trajectory->picture != NULL
                     ? lp_check_pictures(k->ctx, k->checker.arena, k->pixels, pixels,
                                         latents.shape[1] * factor, latents.shape[2] * factor,
                                         k->trajectory->picture)
                     : lp_fail_memory(k->ctx, "a report");
    }
    free(latents.values);
    free(pixels);
    return status;
}

/* A device that fails is a result. */
static lp_status run_device(image_check *k)
{
    const lp_checker *c = &k->checker;
    const lp_image_generator_opening o = {.devices = k->devices,
                                          .device = k->device,
                                          .cache_folder = k->options.cache_folder,
                                          .plan = c->plan,
                                          .no_fusion = c->quirks.no_fusion,
                                          .batch = c->quirks.batch};
    lp_image_generator *g = NULL;
    lp_status status = lp_image_generator_create(&o, k->folder, &g);
    if (status == LP_OK)
        status = make_picture(k, g);
    lp_image_generator_destroy(g);
    if (status != LP_E_DEVICE && status != LP_E_DEVICE_LOST && status != LP_E_UNSUPPORTED)
        return status;
    bool failed = false;
    k->trajectory->failure = lp_check_copy(c->arena, k->ctx->message, &failed);
    return failed ? lp_fail_memory(k->ctx, "a report") : LP_OK;
}

/* ---- Node by node ---------------------------------------------------------------------------- */

static lp_status check_text(image_check *k)
{
    lp_checker *c = &k->checker;
    c->network = lp_prompt_network(k->judge->prompt);
    c->only_text = "text encoder";
    lp_status status = lp_check_open(c, k->devices, k->device, k->against);
    if (status == LP_OK)
        status = lp_checker_run(c);
    lp_check_close(c);
    return status;
}

/* The first step, the one in the middle, the last one; quick: the first one. */
static lp_status check_denoiser(image_check *k, const lp_denoiser_subject *subject)
{
    enum { MOST = 3 };
    const uint32_t n = k->n_steps, steps[MOST] = {0, n / 2, n - 1};
    const uint32_t most = k->options.quick ? 1 : MOST;
    lp_denoiser_question questions[MOST];
    uint32_t n_questions = 0;
    for (uint32_t i = 0; i < most; i++)
        if (i == 0 || steps[i] != steps[i - 1])
            questions[n_questions++] = (lp_denoiser_question){steps[i], k->timesteps[steps[i]],
                                                              k->inputs + steps[i] * k->n};
    lp_checker *c = &k->checker;
    lp_status status = lp_check_open(c, k->devices, k->device, k->against);
    if (status == LP_OK)
        status = lp_checker_run_denoiser(c, subject, questions, n_questions);
    lp_check_close(c);
    return status;
}

static lp_status check_decoder(image_check *k, const lp_decoder_subject *subject)
{
    lp_checker *c = &k->checker;
    lp_status status = lp_check_open(c, k->devices, k->device, k->against);
    if (status == LP_OK)
        status = lp_checker_run_decoder(c, subject);
    lp_check_close(c);
    return status;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static lp_status describe(image_check *k, const uint32_t shape[3])
{
    lp_checker *c = &k->checker;
    lp_report *r = c->report;
    const lp_image_request *q = k->request;
    const lp_image_generator_info info = lp_image_generator_describe(k->judge);
    lp_weights *const parts[] = {lp_prompt_network(k->judge->prompt)->weights,
                                 k->judge->denoiser->weights, k->judge->autoencoder->weights};
    char text[160], amount[LP_AMOUNT_TEXT], digest[LP_IMAGE_DIGEST] = "";
    bool failed = false;
    uint64_t n = 0;
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
        n += lp_weights_parameters(parts[p]);
    r->model_type = lp_check_copy(c->arena, lp_weights_type(k->judge->denoiser->weights), &failed);
    snprintf(text, sizeof text, "%s + %s %s %s", info.denoiser, info.autoencoder,
             lp_print_amount(n, amount), lp_weights_type(k->judge->denoiser->weights));
    r->model = lp_check_copy(c->arena, text, &failed);
    r->path = lp_check_copy(c->arena, k->folder, &failed);
    if (k->options.digests)
        lp_image_generator_digest(k->judge, digest);
    r->model_digest = lp_check_copy(c->arena, digest, &failed);
    snprintf(text, sizeof text, "%u x %u pixels, %u steps of %s%s, guidance %g, seed %llu",
             shape[2] * info.factor, shape[1] * info.factor, q->n_steps, k->trajectory->sampler,
             q->karras ? ", karras" : "", (double)q->guidance, (unsigned long long)q->seed);
    LP_TRY(lp_check_conditions(c, text));
    return failed ? lp_fail_memory(k->ctx, "a report") : LP_OK;
}

static lp_status start_trajectory(image_check *k)
{
    const lp_image_request *q = k->request;
    lp_arena *arena = k->checker.arena;
    lp_check_trajectory *t = lp_arena_alloc(arena, sizeof *t);
    if (t == NULL ||
        (t->latents = lp_arena_array(arena, (size_t)q->n_steps + 1, sizeof *t->latents)) == NULL)
        return lp_fail_memory(k->ctx, "a report");
    t->guidance = (double)q->guidance;
    t->seed = q->seed;
    t->n_steps = q->n_steps;
    t->bound = MOST_LATENTS;
    t->failure = t->sampler = "";
    k->trajectory = k->checker.report->trajectory = t;
    return LP_OK;
}

/* Both trajectories, then the parts in the order of the computation. */
static lp_status check_all(image_check *k)
{
    lp_checker *c = &k->checker;
    uint32_t shape[3], n_decoder;
    LP_TRY(lp_image_generator_shape(k->judge, k->request, shape));
    k->n = (size_t)shape[0] * shape[1] * shape[2];
    const lp_denoiser_subject denoiser = {.model = k->judge->denoiser,
                                          .height = shape[1],
                                          .width = shape[2],
                                          .n_tokens = (uint32_t)k->options.n_tokens,
                                          .context = k->context};
    lp_decoder_subject decoder = {
        .model = k->judge->autoencoder, .height = shape[1], .width = shape[2]};
    LP_TRY(lp_subject_nodes(c, lp_subject_of_denoiser(&denoiser), &k->n_nodes));
    LP_TRY(lp_subject_nodes(c, lp_subject_of_decoder(&decoder), &n_decoder));
    LP_TRY(begin_inputs(k));
    const uint32_t n = k->n_steps;
    const uint32_t n_asked = k->options.quick ? 1 : n < 3 ? n : 3;
    c->total = (2ull * n + n_asked) * k->n_nodes + n_decoder;
    LP_TRY(run_judge(k));
    LP_TRY(describe(k, shape));
    LP_TRY(run_device(k));
    LP_TRY(check_text(k));
    LP_TRY(check_denoiser(k, &denoiser));
    decoder.latents = k->latents.values;
    LP_TRY(check_decoder(k, &decoder));
    return lp_checker_conclude(c);
}

static lp_status check_request(lp_context *ctx, const lp_image_request *r)
{
    if (r->prompt == NULL)
        return lp_fail(ctx, LP_E_ARG, "no prompt");
    if (r->init != NULL || r->mask != NULL)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "checks begin with noise, not with a picture");
    if (r->n_steps < 1 || r->n_steps > LP_SCHEDULER_STEPS)
        return lp_fail(ctx, LP_E_ARG, "%u steps; 1 to %d are possible", r->n_steps,
                       LP_SCHEDULER_STEPS);
    return LP_OK;
}

lp_status lp_check_image(lp_devices *devices, size_t device, size_t against, const char *folder,
                         const lp_image_request *request, const lp_check_options *options,
                         lp_report **report)
{
    lp_status status = LP_OK;
    lp_context *ctx = lp_devices_context(devices);
    const lp_device_info *info = lp_devices_info(devices, device);
    lp_fault *fault = NULL;
    *report = NULL;
    LP_TRY(lp_check_devices(devices, device, against));
    LP_TRY(check_request(ctx, request));
    lp_report_box *box = calloc(1, sizeof *box);
    if (box == NULL)
        return lp_fail_memory(ctx, "a report");
    image_check k = {.ctx = ctx,
                     .devices = devices,
                     .device = device,
                     .against = against,
                     .folder = folder,
                     .request = request,
                     .options = *options};
    k.checker = (lp_checker){.ctx = ctx,
                             .options = &k.options,
                             .n_trial_runs = options->n_runs,
                             .arena = &box->arena,
                             .report = &box->report};
    const double start = lp_check_now();
    if (options->repro_folder != NULL)
        LP_CHECK(lp_repro_begin(ctx, options->repro_folder));
    LP_CHECK(lp_check_plans(&k.checker, info, &fault));
    LP_CHECK(start_trajectory(&k));
    LP_CHECK(open_judge(&k));
    LP_CHECK(lp_check_start(ctx, info, lp_devices_info(devices, against), &k.options, &box->report,
                            &box->arena));
    LP_CHECK(check_all(&k));
    if (fault != NULL)
        LP_CHECK(lp_fault_require(ctx, fault));
    box->report.seconds = lp_check_now() - start;
    *report = &box->report;
    box = NULL;
cleanup:
    lp_image_generator_destroy(k.judge);
    free(k.tokens);
    free(k.context);
    free(k.latents.values);
    free(k.pixels);
    free(k.inputs);
    free(k.timesteps);
    lp_fault_destroy(fault);
    if (box != NULL)
        lp_report_destroy(&box->report);
    return status;
}
