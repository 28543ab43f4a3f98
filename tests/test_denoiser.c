// Denoising U-Nets against diffusers in float64 (tests/fixtures/denoiser); what is wrong with
// files.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu_backend.h"
#include "image/denoise.h"
#include "support/model_files.h"
#include "support/model_run.h"
#include "tensor/safetensors.h"

#define FOLDER(name) LAPILLI_TEST_FIXTURES "/denoiser/" name
#define WEIGHTS      "diffusion_pytorch_model.safetensors"
#define GATE         1e-10

static const char *const fixtures[] = {FOLDER("cross"), FOLDER("linear")};
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

// What diffusers makes of latents [1, in, H, W] and a context [S, N] at some timesteps.
typedef struct answers {
    lp_weights *weights;
    const float *latents, *context, *timesteps, *results;
    uint32_t height, width, n_tokens, n_timesteps;
    size_t n; // elements of a result
} answers;

static const float *tensor_of(const lp_weights *weights, const char *name, lp_shape *shape)
{
    const lp_weight *w = lp_weights_find(weights, name);
    assert_non_null(w);
    assert_int_equal(w->dtype, LP_F32);
    *shape = w->shape;
    return w->data;
}

static answers answers_open(lp_context *ctx, const char *folder)
{
    answers a = {.weights = lp_weights_create()};
    lp_shape shape;
    assert_non_null(a.weights);
    char *path = test_path(folder, "expected.safetensors");
    check(ctx, lp_safetensors_open(ctx, path, a.weights));
    free(path);
    a.latents = tensor_of(a.weights, "latents", &shape);
    a.height = (uint32_t)shape.dim[2];
    a.width = (uint32_t)shape.dim[3];
    a.context = tensor_of(a.weights, "context", &shape);
    a.n_tokens = (uint32_t)shape.dim[0];
    a.timesteps = tensor_of(a.weights, "timesteps", &shape);
    a.n_timesteps = (uint32_t)shape.dim[0];
    a.results = tensor_of(a.weights, "results", &shape);
    a.n = (size_t)(lp_shape_elements(shape) / a.n_timesteps);
    return a;
}

// One program for all timesteps; the largest of their errors.
static double error_on(const char *fixture, const char *device, bool no_fusion)
{
    lp_context ctx = {0};
    lp_denoiser_model *model;
    lp_test_device *opened;
    lp_denoise *denoise;
    double worst = 0;
    check(&ctx, lp_denoiser_model_open(&ctx, fixture, &model));
    answers a = answers_open(&ctx, fixture);
    lp_backend *backend = lp_test_device_create(&ctx, device, &opened);
    const lp_denoise_options options = {.no_fusion = no_fusion};
    check(&ctx, lp_denoise_create(&ctx, model, backend, &options, &denoise));
    float *result = malloc(a.n * sizeof *result);
    assert_non_null(result);
    for (uint32_t t = 0; t < a.n_timesteps; t++) {
        check(&ctx, lp_denoise_run(denoise, a.latents, a.height, a.width, (double)a.timesteps[t],
                                   a.context, a.n_tokens, result));
        const double error = nmse(a.results + t * a.n, result, a.n);
        worst = error > worst || error != error ? error : worst;
    }
    free(result);
    lp_denoise_destroy(denoise);
    lp_test_device_destroy(opened);
    lp_weights_destroy(a.weights);
    lp_denoiser_model_destroy(model);
    return worst;
}

static void agrees_with_diffusers(void **state)
{
    (void)state;
    const char *const devices[] = {"reference", device_name()};
    for (int f = 0; f < N_FIXTURES; f++)
        for (int d = 0; d < 2; d++)
            for (int no_fusion = 0; no_fusion < 2; no_fusion++) {
                const double error = error_on(fixtures[f], devices[d], no_fusion);
                print_message("%s on %s%s: NMSE %.2g\n", strrchr(fixtures[f], '/') + 1, devices[d],
                              no_fusion ? ", not fused" : "", error);
                assert_true(error < GATE);
            }
}

// ---- Mutants: each change of a model or of its graph must be noticed

typedef struct mutant {
    const char *name;
    void (*change_model)(lp_denoiser_model *model);
    bool (*change_graph)(lp_graph *graph,
                         lp_node *node); // of all nodes; whether there was anything
} mutant;

static void more_heads(lp_denoiser_model *m)
{
    for (uint32_t i = 0; i < m->n_stages; i++)
        m->stages[i].n_heads = m->stages[i].n_heads == 1 ? 2 : 1;
}

static void other_flip(lp_denoiser_model *m)
{
    m->cosine_first = !m->cosine_first;
}

static void other_shift(lp_denoiser_model *m)
{
    m->frequency_shift = !m->frequency_shift;
}

static void other_groups(lp_denoiser_model *m)
{
    m->n_groups = m->n_groups == 1 ? 2 : 1;
}

static void other_eps(lp_denoiser_model *m)
{
    m->eps *= 1e3f;
}

static bool ends(const char *name, const char *end)
{
    const size_t n = strlen(name), n_end = strlen(end);
    return n >= n_end && strcmp(name + n - n_end, end) == 0;
}

static bool swapped_halves(lp_graph *graph, lp_node *node)
{
    (void)graph;
    if (node->op != LP_OP_LINEAR || node->src[3] == LP_NONE)
        return false;
    for (int s = 1; s < 3; s++) {
        const lp_tensor_id swap = node->src[s];
        node->src[s] = node->src[s == 1 ? 3 : 5];
        node->src[s == 1 ? 3 : 5] = swap;
    }
    return true;
}

// The skip's columns before the others: in the columns that both fill where they are of one number.
static bool swapped_join(lp_graph *graph, lp_node *node)
{
    if (node->op != LP_OP_ACT || !ends(node->name, ".first"))
        return false;
    lp_node *second = node + 1;
    assert_true(ends(second->name, ".second"));
    if (!lp_shape_equal(graph->tensors[node->dst[0]].shape, graph->tensors[second->dst[0]].shape))
        return false;
    const lp_tensor_id swap = node->src[0];
    node->src[0] = second->src[0];
    second->src[0] = swap;
    return true;
}

// The same skip twice, and not the other one: the order in which they are taken.
static bool other_skip(lp_graph *graph, lp_node *node)
{
    static lp_node *last;
    if (node == graph->nodes)
        last = NULL;
    if (node->op != LP_OP_ACT || !ends(node->name, ".second"))
        return false;
    const bool alike = last != NULL && lp_shape_equal(graph->tensors[node->src[0]].shape,
                                                      graph->tensors[last->src[0]].shape);
    if (alike)
        node->src[0] = last->src[0];
    last = node;
    return alike;
}

static bool other_gate(lp_graph *graph, lp_node *node)
{
    (void)graph;
    if (node->op != LP_OP_LINEAR || node->p.linear.act != LP_ACT_GELU_ERF)
        return false;
    node->p.linear.act = LP_ACT_GELU_TANH;
    return true;
}

static bool other_scale(lp_graph *graph, lp_node *node)
{
    (void)graph;
    if (node->op != LP_OP_ATTENTION)
        return false;
    node->p.attention.scale *= 1.1f;
    return true;
}

static bool no_time(lp_graph *graph, lp_node *node)
{
    (void)graph;
    if (node->op != LP_OP_CONV2D || !ends(node->name, ".conv1"))
        return false;
    node->src[2] = LP_NONE;
    return true;
}

static const mutant mutants[] = {
    {"heads", more_heads, NULL},        {"flip_sin_to_cos", other_flip, NULL},
    {"freq_shift", other_shift, NULL},  {"groups", other_groups, NULL},
    {"eps", other_eps, NULL},           {"GEGLU halves", NULL, swapped_halves},
    {"join order", NULL, swapped_join}, {"skip order", NULL, other_skip},
    {"GELU", NULL, other_gate},         {"attention scale", NULL, other_scale},
    {"time bias", NULL, no_time},
};
enum { N_MUTANTS = sizeof mutants / sizeof *mutants };

// What the reference makes of the first timestep; the error, or -1 if there is nothing to change.
static double mutant_error(const char *fixture, const mutant *change)
{
    lp_context ctx = {0};
    lp_denoiser_model *model;
    lp_backend *backend;
    lp_program *program;
    lp_store store = {0};
    lp_graph *graph;
    uint64_t ticket;
    bool changed = change->change_model != NULL;
    check(&ctx, lp_denoiser_model_open(&ctx, fixture, &model));
    answers a = answers_open(&ctx, fixture);
    if (change->change_model != NULL)
        change->change_model(model);
    check(&ctx,
          lp_denoiser_graph(&ctx, model, &store, a.height, a.width, a.n_tokens, false, &graph));
    for (uint32_t i = 0; i < graph->n_nodes && change->change_graph != NULL; i++)
        changed |= change->change_graph(graph, &graph->nodes[i]);
    const size_t n = (size_t)a.height * a.width, n_in = model->in_channels;
    const size_t n_out = model->out_channels;
    float *latents = malloc(n * n_in * sizeof *latents), *result = malloc(a.n * sizeof *result);
    float *want = malloc(a.n * sizeof *want),
          *time = malloc(model->stages[0].channels * sizeof *time);
    assert_true(latents && result && want && time);
    for (size_t i = 0; i < n * n_in; i++)
        latents[i % n * n_in + i / n] = a.latents[i];
    for (size_t i = 0; i < a.n; i++)
        want[i % n * n_out + i / n] = a.results[i];
    lp_denoiser_time(model, (double)a.timesteps[0], time);
    check(&ctx, lp_cpu_backend_create(&ctx, false, &backend));
    const lp_backend_table *table = backend->table;
    check(&ctx, table->load(backend, &store, NULL, NULL));
    check(&ctx,
          table->program_create(backend, graph, (lp_plan_options){.keep_all = true}, &program));
    check(&ctx, table->tensor_write(program, lp_graph_find(graph, "latents"), latents));
    check(&ctx, table->tensor_write(program, lp_graph_find(graph, "time"), time));
    check(&ctx, table->tensor_write(program, lp_graph_find(graph, "context"), a.context));
    check(&ctx, table->submit(program, 1, &ticket));
    check(&ctx, table->tensor_read(program, lp_graph_find(graph, "result"), result));
    const double error = nmse(want, result, a.n);
    table->program_destroy(program);
    table->destroy(backend);
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
    lp_weights_destroy(a.weights);
    lp_denoiser_model_destroy(model);
    free(latents);
    free(result);
    free(want);
    free(time);
    return changed ? error : -1;
}

static void mutants_are_noticed(void **state)
{
    (void)state;
    assert_true(mutant_error(fixtures[0], &(mutant){"nothing", NULL, NULL}) < 0);
    for (int m = 0; m < N_MUTANTS; m++) {
        unsigned seen = 0;
        for (int f = 0; f < N_FIXTURES; f++) {
            const double error = mutant_error(fixtures[f], &mutants[m]);
            if (error == -1)
                continue;
            if (!(error > 10 * GATE))
                fail_msg("%s: %s is not noticed: %g", fixtures[f], mutants[m].name, error);
            seen++;
        }
        if (seen == 0)
            fail_msg("no model has anything for %s", mutants[m].name);
    }
}

// ---- Files

// A copy of a fixture with `find` replaced in one of its files.
static void broken(const char *fixture, const char *file, const char *find, const char *replace,
                   lp_status want, const char *what)
{
    static const char *const names[] = {"config.json", WEIGHTS};
    lp_context ctx = {0};
    lp_denoiser_model *model;
    lp_store store = {0};
    lp_graph *graph = NULL;
    char *folder = test_folder_replaced(fixture, names, 2, file, find, replace);
    lp_status status = lp_denoiser_model_open(&ctx, folder, &model);
    if (status == LP_OK)
        status = lp_denoiser_graph(&ctx, model, &store, 4, 4, 3, false, &graph);
    test_expect_failure(&ctx, status, want, what, what);
    lp_graph_destroy(graph);
    lp_denoiser_model_destroy(model);
    lp_store_destroy(&store);
    test_folder_remove(folder);
}

static void broken_folders(void **state)
{
    (void)state;
    static const struct {
        const char *find, *replace;
        lp_status status;
        const char *what;
    } rows[] = {
        {"UNet2DConditionModel", "UNet3DConditionModel", LP_E_UNSUPPORTED, "UNet3D"},
        {"\"act_fn\": \"silu\"", "\"act_fn\": \"gelu\"", LP_E_UNSUPPORTED, "act_fn"},
        {"\"addition_embed_type\": null", "\"addition_embed_type\": \"text_time\"",
         LP_E_UNSUPPORTED, "text_time"},
        {"\"time_cond_proj_dim\": null", "\"time_cond_proj_dim\": 256", LP_E_UNSUPPORTED,
         "time_cond_proj_dim"},
        {"\"dual_cross_attention\": false", "\"dual_cross_attention\": true", LP_E_UNSUPPORTED,
         "dual_cross_attention"},
        {"\"UpBlock2D\"", "\"SkipUpBlock2D\"", LP_E_UNSUPPORTED, "SkipUpBlock2D"},
        {"\"UNetMidBlock2DCrossAttn\"", "\"UNetMidBlock2D\"", LP_E_UNSUPPORTED, "mid_block_type"},
        {"\"attention_head_dim\": 2", "\"attention_head_dim\": 3", LP_E_FORMAT, "3 heads"},
        {"\"attention_head_dim\": 2", "\"attention_head_dim\": 0", LP_E_LIMIT,
         "attention_head_dim"},
        {"\"attention_head_dim\": 2", "\"attention_head_dim\": [2]", LP_E_UNSUPPORTED,
         "attention_head_dim"},
        {"\"norm_num_groups\": 2", "\"norm_num_groups\": 3", LP_E_FORMAT, "3 groups"},
        {"\"norm_num_groups\": 2", "\"norm_num_groups\": 0", LP_E_LIMIT, "norm_num_groups"},
        {"\"norm_eps\": 1e-05", "\"norm_eps\": -1", LP_E_FORMAT, "norm_eps"},
        {"\"layers_per_block\": 1", "\"layers_per_block\": 2", LP_E_MISSING, "resnets.1"},
        {"\"layers_per_block\": 1", "\"layers_per_block\": 17", LP_E_LIMIT, "layers_per_block"},
        {"\"block_out_channels\": [", "\"block_out_channels\": [4,", LP_E_FORMAT,
         "down_block_types"},
        {"\"cross_attention_dim\": 12", "\"cross_attention_dim\": 16", LP_E_SHAPE, "to_k"},
        {"\"cross_attention_dim\": 12", "\"cross_attention_dim\": 4000000000", LP_E_LIMIT,
         "cross_attention_dim"},
        {"\"in_channels\": 4", "\"in_channels\": 9", LP_E_SHAPE, "conv_in"},
        {"\"freq_shift\": 0", "\"freq_shift\": 7", LP_E_UNSUPPORTED, "freq_shift"},
        {"\"transformer_layers_per_block\": 1", "\"transformer_layers_per_block\": 2", LP_E_MISSING,
         "transformer_blocks.1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        broken(fixtures[0], "config.json", rows[i].find, rows[i].replace, rows[i].status,
               rows[i].what);
    broken(fixtures[0], WEIGHTS, "down_blocks.0.resnets.0.conv1.bias",
           "down_blocks.0.resnets.0.conv1.bxas", LP_E_MISSING, "conv1.bias");
    broken(fixtures[0], WEIGHTS, "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj.weight",
           "mid_block.attentions.0.transformer_blocks.0.ff.net.0.prxj.weight", LP_E_MISSING,
           "net.0.gate.weight");
}

static void sizes_that_are_none(void **state)
{
    (void)state;
    static const uint32_t sizes[][3] = {{3, 4, 5}, {4, 5, 5},
                                        {0, 4, 5}, {4, LP_DENOISER_SIDE + 2, 5},
                                        {4, 4, 0}, {4, 4, LP_DENOISER_TOKENS + 1}};
    lp_context ctx = {0};
    lp_denoiser_model *model;
    lp_store store = {0};
    lp_graph *graph = NULL;
    check(&ctx, lp_denoiser_model_open(&ctx, fixtures[0], &model));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const lp_status status = lp_denoiser_graph(&ctx, model, &store, sizes[i][0], sizes[i][1],
                                                   sizes[i][2], false, &graph);
        test_expect_failure(&ctx, status, LP_E_LIMIT, "possible", "");
    }
    lp_store_destroy(&store);
    lp_denoiser_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_diffusers),
        cmocka_unit_test(mutants_are_noticed),
        cmocka_unit_test(broken_folders),
        cmocka_unit_test(sizes_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
