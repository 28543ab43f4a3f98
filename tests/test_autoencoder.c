// Autoencoders of pictures against diffusers in float64 (tests/fixtures/autoencoder), and TAESD's
// real weights against PyTorch's results where they are at hand; what is wrong with files; PNG and
// latents in files.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cpu/cpu_backend.h"
#include "image/coder.h"
#include "support/model_files.h"
#include "support/model_run.h"
#include "tensor/safetensors.h"

#define FOLDER(name) LAPILLI_TEST_FIXTURES "/autoencoder/" name
#define WEIGHTS      "diffusion_pytorch_model.safetensors"

static const char *const fixtures[] = {FOLDER("kl"), FOLDER("kl-bare"), FOLDER("tiny")};
enum { N_FIXTURES = sizeof fixtures / sizeof *fixtures };

static void check(const lp_context *ctx, lp_status status)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), ctx->message);
}

static const char *device_name(void)
{
    const char *device = getenv("LAPILLI_TEST_DEVICE");
    return device != NULL ? device : "cpu";
}

static const lp_weight *tensor_of(const lp_weights *weights, const char *name)
{
    const lp_weight *w = lp_weights_find(weights, name);
    assert_non_null(w);
    assert_int_equal(w->dtype, LP_F32);
    return w;
}

static float *room(size_t n)
{
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    return values;
}

// [1, C, H, W] to [H W, C].
static float *channels_last(const lp_weight *w)
{
    const int64_t n_channels = w->shape.dim[1], n = w->shape.dim[2] * w->shape.dim[3];
    float *to = room((size_t)(n * n_channels));
    for (int64_t c = 0; c < n_channels; c++)
        for (int64_t i = 0; i < n; i++)
            to[i * n_channels + c] = ((const float *)w->data)[c * n + i];
    return to;
}

// What PyTorch makes of a picture and of latents.
typedef struct answers {
    lp_weights *weights; // owns the latents
    const lp_weight *encoded, *latents;
    float *pixels, *decoded; // [H W, 3]
    uint32_t height, width;  // of the latents
} answers;

static answers answers_open(lp_context *ctx, const char *path, const char *const names[4])
{
    answers a = {.weights = lp_weights_create()};
    assert_non_null(a.weights);
    check(ctx, lp_safetensors_open(ctx, path, a.weights));
    a.pixels = channels_last(tensor_of(a.weights, names[0]));
    a.encoded = tensor_of(a.weights, names[1]);
    a.latents = tensor_of(a.weights, names[2]);
    a.decoded = channels_last(tensor_of(a.weights, names[3]));
    a.height = (uint32_t)a.latents->shape.dim[2];
    a.width = (uint32_t)a.latents->shape.dim[3];
    return a;
}

static answers fixture_answers(lp_context *ctx, const char *folder)
{
    static const char *const names[4] = {"pixels", "encoded", "latents", "decoded"};
    char *path = test_path(folder, "expected.safetensors");
    const answers a = answers_open(ctx, path, names);
    free(path);
    return a;
}

static void answers_close(answers *a)
{
    free(a->pixels);
    free(a->decoded);
    lp_weights_destroy(a->weights);
}

// Both ways on a device; the normalised mean square errors.
static void run_both(lp_context *ctx, const char *device, const lp_autoencoder_model *model,
                     const answers *a, bool no_fusion, double errors[2])
{
    lp_test_device *opened;
    lp_coder *coder;
    lp_backend *backend = lp_test_device_create(ctx, device, &opened);
    const lp_coder_options options = {.no_fusion = no_fusion};
    check(ctx, lp_coder_create(ctx, model, backend, &options, &coder));
    const int64_t n = lp_shape_elements(a->encoded->shape);
    const int64_t n_pixels = (int64_t)a->height * a->width * model->factor * model->factor * 3;
    float *latents = room((size_t)n), *pixels = room((size_t)n_pixels);
    check(ctx, lp_coder_encode(coder, a->pixels, a->height, a->width, latents));
    check(ctx, lp_coder_decode(coder, a->latents->data, a->height, a->width, pixels));
    errors[0] = nmse(a->encoded->data, latents, (size_t)n);
    errors[1] = nmse(a->decoded, pixels, (size_t)n_pixels);
    free(latents);
    free(pixels);
    lp_coder_destroy(coder);
    lp_test_device_destroy(opened);
}

static void agrees_with_diffusers(void **state)
{
    (void)state;
    const char *const devices[] = {"reference", device_name()};
    for (int f = 0; f < N_FIXTURES; f++)
        for (int d = 0; d < 2; d++)
            for (int no_fusion = 0; no_fusion < 2; no_fusion++) {
                lp_context ctx = {0};
                lp_autoencoder_model *model;
                double errors[2];
                check(&ctx, lp_autoencoder_model_open(&ctx, fixtures[f], &model));
                answers a = fixture_answers(&ctx, fixtures[f]);
                run_both(&ctx, devices[d], model, &a, no_fusion, errors);
                if (!no_fusion)
                    print_message("%s on %s: NMSE %.2g, %.2g\n", strrchr(fixtures[f], '/') + 1,
                                  devices[d], errors[0], errors[1]);
                assert_true(errors[0] < 1e-10 && errors[1] < 1e-10);
                answers_close(&a);
                lp_autoencoder_model_destroy(model);
            }
}

// ---- Mutants: each change of a graph must be noticed

typedef bool (*mutate)(lp_node *node);

static bool other_padding(lp_node *n)
{
    if (n->op != LP_OP_CONV2D || n->p.conv2d.pad_before == n->p.conv2d.pad_after)
        return false;
    n->p.conv2d.pad_before = 1;
    n->p.conv2d.pad_after = 0;
    return true;
}

static bool no_bias(lp_node *n)
{
    if (n->op != LP_OP_CONV2D || n->src[2] == LP_NONE)
        return false;
    n->src[2] = LP_NONE;
    return true;
}

static bool no_residual(lp_node *n)
{
    if (n->op != LP_OP_CONV2D || n->src[4] == LP_NONE)
        return false;
    n->src[4] = LP_NONE;
    return true;
}

static bool no_conv_act(lp_node *n)
{
    if (n->op != LP_OP_CONV2D || n->p.conv2d.act == LP_ACT_NONE)
        return false;
    n->p.conv2d.act = LP_ACT_NONE;
    return true;
}

static bool no_norm_act(lp_node *n)
{
    if (n->op != LP_OP_GROUP_NORM || n->p.group_norm.act == LP_ACT_NONE)
        return false;
    n->p.group_norm.act = LP_ACT_NONE;
    return true;
}

static bool one_group(lp_node *n)
{
    if (n->op != LP_OP_GROUP_NORM)
        return false;
    n->p.group_norm.n_groups = 1;
    return true;
}

static bool other_eps(lp_node *n)
{
    if (n->op != LP_OP_GROUP_NORM)
        return false;
    n->p.group_norm.eps *= 1e3f;
    return true;
}

static bool other_scale(lp_node *n)
{
    if (n->op != LP_OP_ATTENTION)
        return false;
    n->p.attention.scale *= 1.1f;
    return true;
}

static bool no_clamp(lp_node *n)
{
    if (n->op != LP_OP_ACT || n->p.act.act != LP_ACT_TANH)
        return false;
    n->p.act.act = LP_ACT_NONE;
    return true;
}

static const struct {
    const char *name;
    mutate change;
} mutants[] = {{"padding", other_padding}, {"bias", no_bias},         {"residual", no_residual},
               {"conv act", no_conv_act},  {"norm act", no_norm_act}, {"one group", one_group},
               {"eps", other_eps},         {"scale", other_scale},    {"clamp", no_clamp}};
enum { N_MUTANTS = sizeof mutants / sizeof *mutants };

// What the reference makes of a half whose nodes are all changed, [elements]; false: nothing to
// change.
static bool run_mutant(lp_context *ctx, const lp_autoencoder_model *model, lp_autoencoder_part part,
                       const answers *a, mutate change, float *output)
{
    const char *const names[2] = {"pixels", "latents"};
    lp_store store = {0};
    lp_graph *graph;
    lp_backend *backend;
    lp_program *program;
    uint64_t ticket;
    unsigned n_changed = 0;
    check(ctx, lp_autoencoder_graph(ctx, model, &store, part, a->height, a->width, false, &graph));
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        n_changed += change(&graph->nodes[i]);
    float *latents = channels_last(a->latents);
    const int64_t n_pixels = (int64_t)a->height * a->width * model->factor * model->factor * 3;
    for (int64_t i = 0; i < n_pixels && part == LP_AUTOENCODER_ENCODER; i++)
        output[i] = model->arch->low + (model->arch->high - model->arch->low) * a->pixels[i];
    check(ctx, lp_cpu_backend_create(ctx, false, &backend));
    check(ctx, backend->table->load(backend, &store, NULL, NULL));
    check(ctx, backend->table->program_create(backend, graph, (lp_plan_options){0}, &program));
    check(ctx, backend->table->tensor_write(program, lp_graph_find(graph, names[part]),
                                            part == LP_AUTOENCODER_ENCODER ? output : latents));
    check(ctx, backend->table->submit(program, 1, &ticket));
    check(ctx, backend->table->tensor_read(program, lp_graph_find(graph, names[1 - part]), output));
    backend->table->program_destroy(program);
    backend->table->destroy(backend);
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
    free(latents);
    return n_changed > 0;
}

static bool nothing(lp_node *n)
{
    (void)n;
    return false;
}

static void mutants_are_noticed(void **state)
{
    (void)state;
    enum { MOST = 4096 };
    unsigned seen[N_MUTANTS] = {0};
    float *want = room(MOST), *got = room(MOST);
    for (int f = 0; f < N_FIXTURES; f++) {
        lp_context ctx = {0};
        lp_autoencoder_model *model;
        check(&ctx, lp_autoencoder_model_open(&ctx, fixtures[f], &model));
        answers a = fixture_answers(&ctx, fixtures[f]);
        for (int part = 0; part < 2; part++)
            for (int m = 0; m < N_MUTANTS; m++) {
                const int64_t n =
                    part == LP_AUTOENCODER_ENCODER
                        ? (int64_t)a.height * a.width * model->arch->moments *
                              model->latent_channels
                        : (int64_t)a.height * a.width * model->factor * model->factor * 3;
                assert_true(n <= MOST);
                run_mutant(&ctx, model, (lp_autoencoder_part)part, &a, nothing, want);
                if (!run_mutant(&ctx, model, (lp_autoencoder_part)part, &a, mutants[m].change, got))
                    continue;
                if (!(nmse(want, got, (size_t)n) > 1e-9))
                    fail_msg("%s, part %d: %s is not noticed: %g", fixtures[f], part,
                             mutants[m].name, nmse(want, got, (size_t)n));
                seen[m]++;
            }
        answers_close(&a);
        lp_autoencoder_model_destroy(model);
    }
    for (int m = 0; m < N_MUTANTS; m++)
        if (seen[m] == 0)
            fail_msg("no graph has anything for %s", mutants[m].name);
    free(want);
    free(got);
}

// ---- Real weights

#define SHARED LAPILLI_TEST_FIXTURES "/../../../shared/models/"

static bool at_hand(const char *folder)
{
    char *path = test_path(folder, "decoder.safetensors");
    const bool there = lp_path_exists(path);
    if (!there)
        print_message("%s is not at hand: skipped\n", strrchr(folder, '/') + 1);
    free(path);
    return there;
}

// SwiftShader takes minutes for this.
static bool is_slow(void)
{
    const char *driver = getenv("LAPILLI_TEST_DRIVER");
    if (driver == NULL || strncmp(driver, "swiftshader", 11) != 0)
        return false;
    print_message("a whole picture on SwiftShader takes minutes: skipped\n");
    return true;
}

static void taef2_agrees_with_pytorch(void **state)
{
    (void)state;
    static const char *const names[4] = {"input", "latent", "latent", "output"};
    const char *folder = SHARED "taef2";
    if (!at_hand(folder) || is_slow())
        skip();
    lp_context ctx = {0};
    lp_autoencoder_model *model;
    double errors[2];
    check(&ctx, lp_autoencoder_model_open(&ctx, folder, &model));
    assert_int_equal(model->latent_channels, 32);
    char *path = test_path(folder, "reference.safetensors");
    answers a = answers_open(&ctx, path, names);
    run_both(&ctx, device_name(), model, &a, false, errors);
    print_message("taef2 on %s: NMSE %.2g, %.2g\n", device_name(), errors[0], errors[1]);
    assert_true(errors[0] < 1e-10 && errors[1] < 1e-10);
    answers_close(&a);
    lp_autoencoder_model_destroy(model);
    free(path);
}

// On any device: a small picture as on the reference.
static void small_pictures_agree(void **state)
{
    (void)state;
    enum { SIDE = 2, FACTOR = 8 };
    static const char *const folders[] = {SHARED "taef2", SHARED "taesd"};
    for (int f = 0; f < 2; f++) {
        if (!at_hand(folders[f]))
            continue;
        lp_context ctx = {0};
        lp_autoencoder_model *model;
        check(&ctx, lp_autoencoder_model_open(&ctx, folders[f], &model));
        assert_int_equal(model->factor, FACTOR);
        assert_int_equal(model->has[LP_AUTOENCODER_ENCODER], f == 0);
        const int64_t n = SIDE * SIDE * (int64_t)model->latent_channels;
        float *latents = room((size_t)n), *pixels[2];
        for (int64_t i = 0; i < n; i++)
            latents[i] = (float)(i * 37 % 101) / 40 - 1.25f;
        for (int d = 0; d < 2; d++) {
            lp_test_device *opened;
            lp_coder *coder;
            lp_backend *backend =
                lp_test_device_create(&ctx, d ? device_name() : "reference", &opened);
            check(&ctx, lp_coder_create(&ctx, model, backend, &(lp_coder_options){0}, &coder));
            pixels[d] = room(SIDE * SIDE * FACTOR * FACTOR * 3);
            check(&ctx, lp_coder_decode(coder, latents, SIDE, SIDE, pixels[d]));
            lp_coder_destroy(coder);
            lp_test_device_destroy(opened);
        }
        assert_true(nmse(pixels[0], pixels[1], SIDE * SIDE * FACTOR * FACTOR * 3) < 1e-10);
        free(pixels[0]);
        free(pixels[1]);
        free(latents);
        lp_autoencoder_model_destroy(model);
    }
}

// ---- Files

// A copy of a fixture with `find` replaced in one of its files.
static void broken(const char *fixture, const char *file, const char *find, const char *replace,
                   lp_status want, const char *what)
{
    static const char *const names[] = {"config.json", WEIGHTS};
    lp_context ctx = {0};
    lp_autoencoder_model *model;
    lp_store store = {0};
    lp_graph *graph = NULL;
    char *folder = test_folder_replaced(fixture, names, 2, file, find, replace);
    lp_status status = lp_autoencoder_model_open(&ctx, folder, &model);
    for (int part = 0; part < 2 && status == LP_OK; part++) {
        status = lp_autoencoder_graph(&ctx, model, &store, (lp_autoencoder_part)part, 1, 1, false,
                                      &graph);
        if (status == LP_OK)
            lp_graph_destroy(graph);
    }
    test_expect_failure(&ctx, status, want, what, what);
    lp_autoencoder_model_destroy(model);
    lp_store_destroy(&store);
    test_folder_remove(folder);
}

static void broken_folders(void **state)
{
    (void)state;
    const char *kl = FOLDER("kl"), *tiny = FOLDER("tiny"), *config = "config.json";
    broken(kl, config, "AutoencoderKL", "AutoencoderVQ", LP_E_UNSUPPORTED, "AutoencoderVQ");
    broken(kl, config, "\"_class_name\"", "\"_class\"", LP_E_MISSING, "_class_name");
    broken(kl, config, "\"silu\"", "\"mish\"", LP_E_UNSUPPORTED, "act_fn");
    broken(kl, config, "UpDecoderBlock2D", "UpBlock", LP_E_UNSUPPORTED, "up_block_types");
    broken(kl, config, "\"norm_num_groups\": 2", "\"norm_num_groups\": 3", LP_E_FORMAT, "3 groups");
    broken(kl, config, "\"norm_num_groups\": 2", "\"norm_num_groups\": 0", LP_E_LIMIT,
           "norm_num_groups 0");
    broken(kl, config, "\"latent_channels\": 3", "\"latent_channels\": 0", LP_E_LIMIT,
           "latent_channels");
    broken(kl, config, "\"latent_channels\": 3", "\"latent_channels\": 4", LP_E_SHAPE, "want");
    broken(kl, config, "\"layers_per_block\": 1", "\"layers_per_block\": 2", LP_E_MISSING,
           "resnets.1");
    broken(kl, config, "\"layers_per_block\": 1", "\"layers_per_block\": 4000000000", LP_E_LIMIT,
           "layers_per_block");
    broken(kl, config, "\"block_out_channels\": [\n  4", "\"block_out_channels\": [\n  -4",
           LP_E_FORMAT, "block_out_channels");
    broken(kl, config, "\"block_out_channels\": [", "\"block_out_channels\": [1,1,1,1,1,1,",
           LP_E_UNSUPPORTED, "9 numbers");
    broken(kl, WEIGHTS, "decoder.conv_in.weight", "decoder.conv_xx.weight", LP_E_UNSUPPORTED,
           "no decoder");
    broken(kl, WEIGHTS, "decoder.mid_block.attentions.0.to_q.weight",
           "decoder.mid_block.attentions.0.to_x.weight", LP_E_MISSING, "to_q.weight");
    broken(tiny, config, "\"upsample_fn\": \"nearest\"", "\"upsample_fn\": \"bilinear\"",
           LP_E_UNSUPPORTED, "upsample_fn");
    broken(tiny, config, "\"num_decoder_blocks\": [\n  2", "\"num_decoder_blocks\": [\n  2,\n  2",
           LP_E_UNSUPPORTED, "num_decoder_blocks");
    broken(tiny, config, "\"num_decoder_blocks\": [\n  2", "\"num_decoder_blocks\": [\n  1",
           LP_E_MISSING, "decoder.layers");
}

// A weight that is NaN, or infinite, in the last number of the file.
static void weights_that_are_no_numbers(void **state)
{
    (void)state;
    static const uint8_t ends[2][2] = {{0x01, 0x7e}, {0x00, 0xfc}};
    for (int i = 0; i < 2; i++) {
        lp_context ctx = {0};
        lp_autoencoder_model *model;
        size_t bytes;
        char *folder = test_folder_create();
        char *config = test_path(folder, "config.json"), *weights = test_path(folder, WEIGHTS);
        test_copy(FOLDER("tiny") "/config.json", config);
        uint8_t *data = test_read(FOLDER("tiny") "/" WEIGHTS, &bytes);
        memcpy(data + bytes - 2, ends[i], 2);
        test_write(weights, data, bytes);
        const lp_status status = lp_autoencoder_model_open(&ctx, folder, &model);
        test_expect_failure(&ctx, status, LP_E_FORMAT, i == 0 ? "is nan" : "is -inf", "number");
        free(data);
        free(config);
        free(weights);
        test_folder_remove(folder);
    }
}

static void no_folders(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_autoencoder_model *model;
    char *folder = test_folder_create();
    test_expect_failure(&ctx, lp_autoencoder_model_open(&ctx, folder, &model), LP_E_MISSING,
                        "no config.json", folder);
    test_expect_failure(&ctx, lp_autoencoder_model_open(&ctx, FOLDER("kl/config.json"), &model),
                        LP_E_ARG, "is a folder", "config.json");
    test_expect_failure(&ctx, lp_autoencoder_model_open(&ctx, FOLDER("nowhere"), &model), LP_E_IO,
                        "there is none", "nowhere");
    test_folder_remove(folder);
}

static void files_come_back(void **state)
{
    (void)state;
    enum { N = 3 * 2 * 5, WIDTH = 31, HEIGHT = 7 };
    lp_context ctx = {0};
    char *folder = test_folder_create();
    char *path = test_path(folder, "latents.safetensors"), *png = test_path(folder, "a.png");
    float latents[N], *again;
    uint32_t shape[3] = {3, 2, 5}, got[3];
    uint8_t rgb[WIDTH * HEIGHT * 3];
    lp_image *image, *read;
    for (int i = 0; i < N; i++)
        latents[i] = (float)i / 7 - 1;
    for (int i = 0; i < WIDTH * HEIGHT * 3; i++)
        rgb[i] = (uint8_t)(i * 89);
    check(&ctx, lp_latents_write(&ctx, path, latents, shape));
    check(&ctx, lp_latents_read(&ctx, path, &again, got));
    assert_memory_equal(shape, got, sizeof shape);
    assert_memory_equal(latents, again, sizeof latents);
    free(again);
    check(&ctx, lp_image_make(&ctx, WIDTH, HEIGHT, rgb, &image));
    check(&ctx, lp_image_write(&ctx, image, NULL, 0, png));
    check(&ctx, lp_image_read(&ctx, png, &read));
    assert_int_equal(read->width, WIDTH);
    assert_memory_equal(read->rgb, rgb, sizeof rgb);
    lp_image_free(read);
    // what cannot be written leaves nothing behind; what is no latents is said so
    test_expect_failure(&ctx, lp_image_write(&ctx, image, NULL, 0, folder), LP_E_ARG, folder, "");
    test_expect_failure(&ctx, lp_latents_read(&ctx, png, &again, got), LP_E_FORMAT, "a.png", "");
    check(&ctx, lp_latents_read(&ctx, FOLDER("tiny/expected.safetensors"), &again, got));
    free(again);
    test_expect_failure(&ctx, lp_latents_read(&ctx, FOLDER("tiny/" WEIGHTS), &again, got),
                        LP_E_MISSING, "\"latents\"", WEIGHTS);
    lp_image_free(image);
    free(path);
    free(png);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_diffusers),
        cmocka_unit_test(mutants_are_noticed),
        cmocka_unit_test(taef2_agrees_with_pytorch),
        cmocka_unit_test(small_pictures_agree),
        cmocka_unit_test(broken_folders),
        cmocka_unit_test(weights_that_are_no_numbers),
        cmocka_unit_test(no_folders),
        cmocka_unit_test(files_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
