/* Runs networks in tests, see model_run.h. */
#include "support/model_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu_backend.h"
#include "image/patches.h"
#include "tensor/safetensors.h"
#include "vulkan/vulkan_backend.h"

#define CHECK(ctx, call)                                                                           \
    do {                                                                                           \
        lp_status status_ = (call);                                                                \
        if (status_ != LP_OK)                                                                      \
            fail_msg("%s: %s (%s)", #call, (ctx)->message, lp_status_text(status_));               \
    } while (0)

/* The tensor's data, or NULL. */
static const void *optional(const expected *e, const char *name, lp_dtype dtype)
{
    const lp_weight *weight = lp_weights_find(e->weights, name);
    assert_true(weight == NULL || weight->dtype == dtype);
    return weight != NULL ? weight->data : NULL;
}

expected expected_open(const char *path)
{
    lp_context ctx = {0};
    expected e = {.weights = lp_weights_create()};
    assert_non_null(e.weights);
    CHECK(&ctx, lp_safetensors_open(&ctx, path, e.weights));
    const lp_weight *tokens = lp_weights_find(e.weights, "tokens");
    const lp_weight *logits = lp_weights_find(e.weights, "logits");
    e.pixels = optional(&e, "pixels", LP_F32);
    e.match = optional(&e, "match", LP_F32);
    e.penultimate = optional(&e, "penultimate", LP_F32);
    assert_true((tokens && tokens->dtype == LP_I32 && tokens->shape.n == 1) || e.pixels);
    assert_true(logits && logits->dtype == LP_F32 && logits->shape.n == 2);
    const lp_weight *prefix = lp_weights_find(e.weights, "prefix");
    const lp_weight *encoder = lp_weights_find(e.weights, "encoder");
    if (prefix) { /* `tokens` are the encoder's */
        assert_true(prefix->dtype == LP_I32 && encoder && encoder->dtype == LP_F32);
        assert_int_equal(encoder->shape.dim[0], tokens->shape.dim[0]);
        e.source = tokens->data;
        e.n_source = (int32_t)tokens->shape.dim[0];
        e.encoder = encoder->data;
        tokens = prefix;
    }
    assert_true(e.pixels || tokens->shape.dim[0] == logits->shape.dim[0]);
    e.tokens = tokens ? tokens->data : NULL;
    e.n_tokens = tokens ? (int32_t)tokens->shape.dim[0] : 0;
    e.logits = logits->data;
    e.types = optional(&e, "types", LP_I32);
    e.hidden = optional(&e, "hidden", LP_F32);
    e.pooled = optional(&e, "pooled", LP_F32);
    e.neighbours = optional(&e, "neighbours", LP_I32);
    e.neighbour_lengths = optional(&e, "neighbour_lengths", LP_I32);
    if (e.neighbours)
        e.n_chunks = (int32_t)lp_weights_find(e.weights, "neighbours")->shape.dim[0];
    e.n_rows = (int32_t)logits->shape.dim[0];
    e.n_vocab = (int32_t)logits->shape.dim[1];
    return e;
}

void expected_close(expected *e)
{
    lp_weights_destroy(e->weights);
}

bool test_device_is_slow(void)
{
    const char *driver = getenv("LAPILLI_TEST_DRIVER");
    return driver != NULL && strncmp(driver, "swiftshader", 11) == 0;
}

const char *test_device(void)
{
    const char *device = getenv("LAPILLI_TEST_DEVICE");
    return device && *device ? device : "reference";
}

struct lp_test_device {
    lp_vulkan *vulkan;
};

lp_backend *lp_test_device_create(lp_context *ctx, const char *name, lp_test_device **device)
{
    lp_backend *backend = NULL;
    *device = calloc(1, sizeof **device);
    assert_non_null(*device);
    if (strncmp(name, "vulkan:", 7) == 0) {
        const char *validation = getenv("LAPILLI_TEST_VALIDATION");
        uint32_t index = (uint32_t)strtoul(name + 7, NULL, 10);
        CHECK(ctx, lp_vulkan_create(ctx, validation && *validation == '1', &(*device)->vulkan));
        CHECK(ctx, lp_vulkan_backend_create(ctx, (*device)->vulkan, index, (lp_vulkan_options){0},
                                            &backend));
    } else {
        assert_true(strcmp(name, "cpu") == 0 || strcmp(name, "reference") == 0);
        CHECK(ctx, lp_cpu_backend_create(ctx, strcmp(name, "cpu") == 0, &backend));
    }
    return backend;
}

void lp_test_device_destroy(lp_test_device *device)
{
    uint32_t errors = device->vulkan ? lp_vulkan_validation_errors(device->vulkan) : 0;
    lp_vulkan_destroy(device->vulkan);
    free(device);
    assert_int_equal(errors, 0);
}

lp_network_part model_main_part(const lp_network *network)
{
    return lp_hparams_reads_texts(&network->hparams) ? LP_PART_DECODER : LP_PART_PICTURE;
}

lp_network_options model_run_options(const lp_network *network, lp_network_part part,
                                     int32_t n_tokens, int32_t n_ctx)
{
    lp_network_options o = {.n_tokens = n_tokens, .n_ctx = n_ctx, .kv_dtype = LP_F32, .part = part};
    if (part == LP_PART_PICTURE) {
        lp_hparams vision;
        lp_hparams_of_vision(&network->hparams, &vision);
        o.n_tokens = (int32_t)vision.n_context;
    }
    if (part != LP_PART_ENCODER && lp_network_has_head(network))
        o.outputs = LP_OUTPUTS_ALL;
    o.hidden = part != LP_PART_ENCODER && network->hparams.arch->encoder_only;
    o.penultimate = part == LP_PART_DECODER && network->hparams.arch->whole_causal;
    return o;
}

float *model_patches(const lp_network *network, const float *pixels)
{
    lp_hparams vision;
    if (pixels == NULL)
        return NULL;
    lp_hparams_of_vision(&network->hparams, &vision);
    float *rows = malloc((size_t)vision.n_context * lp_picture_row(&vision.picture) * sizeof *rows);
    assert_non_null(rows);
    lp_picture_patches(&vision.picture, pixels, rows);
    return rows;
}

struct model_session {
    lp_context ctx;
    const lp_network *network;
    lp_dtype kv_dtype;
    int32_t n_ctx;
    lp_store store;
    lp_test_device *device;
    lp_backend *backend;
};

lp_graph *model_session_graph(model_session *s, int32_t n_tokens, bool no_fusion)
{
    lp_graph *graph = NULL;
    lp_network_options options =
        model_run_options(s->network, model_main_part(s->network), n_tokens, s->n_ctx);
    options.kv_dtype = s->kv_dtype;
    options.no_fusion = no_fusion;
    CHECK(&s->ctx, lp_network_graph(&s->ctx, s->network, &s->store, &options, &graph));
    return graph;
}

lp_backend *model_session_backend(model_session *s)
{
    return s->backend;
}

lp_caps model_session_caps(const model_session *s, bool as_gpu)
{
    assert_non_null(s->backend->table->caps);
    lp_caps caps = *s->backend->table->caps(s->backend);
    if (as_gpu) {
        caps.is_cpu = false;
        caps.n_cores = 64;
    }
    return caps;
}

static lp_program *plan_program(model_session *s, const model_run *run, const lp_graph *graph)
{
    const lp_backend_table *table = s->backend->table;
    lp_program *program = NULL;
    if (run->as_gpu) {
        lp_plan *plan = NULL;
        lp_caps caps = model_session_caps(s, true);
        CHECK(&s->ctx, lp_plan_create(&s->ctx, graph, &caps, run->plan, &plan));
        CHECK(&s->ctx, table->program_from_plan(s->backend, graph, plan, &program));
    } else {
        CHECK(&s->ctx, table->program_create(s->backend, graph, run->plan, &program));
    }
    return program;
}

model_session *model_session_create(const lp_network *network, const char *device,
                                    lp_dtype kv_dtype, int32_t n_ctx)
{
    model_session *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->network = network;
    s->kv_dtype = kv_dtype;
    s->n_ctx = n_ctx;
    s->backend = lp_test_device_create(&s->ctx, device, &s->device);
    lp_graph_destroy(model_session_graph(s, 1, false)); /* fills the store */
    CHECK(&s->ctx, s->backend->table->load(s->backend, &s->store, NULL, NULL));
    return s;
}

void model_session_destroy(model_session *s)
{
    s->backend->table->destroy(s->backend);
    lp_store_destroy(&s->store);
    lp_test_device_destroy(s->device);
    free(s);
}

static void set_cursor(model_session *s, const model_run *run, int32_t position)
{
    const int32_t cursor[LP_CURSOR_WORDS] = {
        [LP_CURSOR_POSITION] = position, [LP_CURSOR_SOURCE] = run->n_source};
    CHECK(&s->ctx, s->backend->table->slot_write(s->backend, lp_store_find(&s->store, "cursor"), 0,
                                                 cursor, sizeof cursor));
}

/* A graph that is not the decoder's own, over n tokens from `position` on. */
static void run_other(model_session *s, const model_run *run, lp_network_part part,
                      int32_t position, int32_t n, float *hidden)
{
    lp_context *ctx = &s->ctx;
    const lp_backend_table *table = s->backend->table;
    lp_graph *graph = NULL;
    uint64_t ticket;
    lp_network_options options = {.n_tokens = n,
                                  .n_ctx = s->n_ctx,
                                  .kv_dtype = s->kv_dtype,
                                  .part = part,
                                  .no_fusion = run->no_fusion};
    set_cursor(s, run, position);
    CHECK(ctx, lp_network_graph(ctx, s->network, &s->store, &options, &graph));
    if (run->mutate)
        run->mutate(graph, run->user);
    lp_program *program = plan_program(s, run, graph);
    CHECK(ctx, table->submit(program, 1, &ticket));
    CHECK(ctx, table->wait(s->backend, ticket));
    if (hidden)
        CHECK(ctx, table->tensor_read(program, lp_graph_find(graph, "hidden"), hidden));
    table->program_destroy(program);
    lp_graph_destroy(graph);
}

/* The encoder reads the source text, all at once. */
static void encode(model_session *s, const model_run *run)
{
    CHECK(&s->ctx, s->backend->table->slot_write(s->backend, lp_store_find(&s->store, "source"), 0,
                                                 run->source, 4 * (uint64_t)run->n_source));
    run_other(s, run, LP_PART_ENCODER, 0, run->n_source, run->encoder);
}

/* Puts the neighbours where the encoder reads them. */
static void give_neighbours(model_session *s, const expected *e)
{
    const lp_retrieval_hparams *of = &s->network->hparams.retrieval;
    const uint64_t room = lp_retrieval_chunks(&s->network->hparams, (uint32_t)s->n_ctx);
    const uint64_t n = (uint64_t)e->n_chunks < room ? (uint64_t)e->n_chunks : room;
    const lp_backend_table *table = s->backend->table;
    int32_t *lengths = calloc(room * of->n_neighbours, sizeof *lengths);
    assert_non_null(lengths);
    memcpy(lengths, e->neighbour_lengths, n * of->n_neighbours * sizeof *lengths);
    CHECK(&s->ctx, table->slot_write(s->backend, lp_store_find(&s->store, "neighbours"), 0,
                                     e->neighbours, 4 * n * of->n_neighbours * of->length));
    CHECK(&s->ctx, table->slot_write(s->backend, lp_store_find(&s->store, "neighbour_lengths"), 0,
                                     lengths, 4 * room * of->n_neighbours));
    free(lengths);
}

/* Before n tokens from `position` on: the neighbours of the chunks that they complete. */
static void retrieve(model_session *s, const model_run *run, int32_t position, int32_t n)
{
    const lp_retrieval_hparams *of = &s->network->hparams.retrieval;
    const int32_t m = (int32_t)of->chunk, rows = (int32_t)(of->n_neighbours * of->length);
    const int32_t first = position / m, n_chunks = (position + n) / m - first;
    if (n_chunks == 0)
        return;
    run_other(s, run, LP_PART_CONTEXT, position, n, NULL);
    run_other(s, run, LP_PART_ENCODER, first * rows, n_chunks * rows, NULL);
    set_cursor(s, run, position);
}

/* What a run wants of an encoder's graph besides. */
static void read_views(model_session *s, lp_program *program, const lp_graph *graph,
                       const model_run *run)
{
    const struct {
        const char *name;
        float *to;
    } views[] = {
        {"hidden", run->hidden}, {"pooled", run->pooled}, {"penultimate", run->penultimate}};
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++)
        if (views[i].to)
            CHECK(&s->ctx, s->backend->table->tensor_read(
                               program, lp_graph_find(graph, views[i].name), views[i].to));
}

/* Reads what a graph is for: the logits or, without a head, the projection or, without one, the
 * hidden states. Returns where the next result goes. */
static float *read_result(model_session *s, lp_program *program, const lp_graph *graph, float *rows)
{
    lp_tensor_id id = lp_graph_find(graph, "logits");
    if (id == LP_NONE)
        id = lp_graph_find(graph, "pooled");
    if (id == LP_NONE)
        id = lp_graph_find(graph, "hidden");
    CHECK(&s->ctx, s->backend->table->tensor_read(program, id, rows));
    return rows + lp_shape_elements(graph->tensors[id].shape);
}

/* Runs one part over n tokens; its result goes to `rows`. Returns where the next part's goes. */
static float *run_part(model_session *s, const model_run *run, lp_network_part part, int32_t n,
                       float *rows)
{
    lp_context *ctx = &s->ctx;
    const int32_t cursor[LP_CURSOR_WORDS] = {0};
    lp_graph *graph = NULL;
    uint64_t ticket;
    lp_network_options options = model_run_options(s->network, part, n, s->n_ctx);
    CHECK(ctx, s->backend->table->slot_write(s->backend, lp_store_find(&s->store, "cursor"), 0,
                                             cursor, sizeof cursor));
    options.no_fusion = run->no_fusion;
    CHECK(ctx, lp_network_graph(ctx, s->network, &s->store, &options, &graph));
    if (run->mutate)
        run->mutate(graph, run->user);
    lp_program *program = plan_program(s, run, graph);
    CHECK(ctx, s->backend->table->submit(program, 1, &ticket));
    CHECK(ctx, s->backend->table->wait(s->backend, ticket));
    rows = read_result(s, program, graph, rows);
    read_views(s, program, graph, run);
    s->backend->table->program_destroy(program);
    lp_graph_destroy(graph);
    return rows;
}

/* The text as far as it is looked at, then the picture. */
static void run_towers(model_session *s, const model_run *run, const int32_t *tokens, float *rows)
{
    const lp_backend_table *table = s->backend->table;
    const lp_hparams *hp = &s->network->hparams;
    lp_context *ctx = &s->ctx;
    if (lp_hparams_reads_texts(hp)) {
        size_t n = (size_t)run->chunks[0];
        if (lp_weights_find(s->network->weights, "projection.weight"))
            n = lp_hparams_text_end(hp, tokens, n) + 1;
        CHECK(ctx, table->slot_write(s->backend, lp_store_find(&s->store, "history"), 0, tokens,
                                     4 * (uint64_t)n));
        rows = run_part(s, run, LP_PART_DECODER, (int32_t)n, rows);
    }
    if (run->patches == NULL)
        return;
    const uint32_t slot = lp_store_find(&s->store, "patches");
    CHECK(ctx, table->slot_write(s->backend, slot, 0, run->patches,
                                 4 * (uint64_t)lp_shape_elements(s->store.slots[slot].shape)));
    run_part(s, run, LP_PART_PICTURE, 0, rows);
}

/* Of a model in which all tokens see the text up to where the answer begins, the chunks that have a
 * part of that are one; `merged` has room for as many as there are. */
static const int32_t *merge_prefix(const int32_t *chunks, int32_t n, int32_t *merged)
{
    size_t i = 0;
    merged[0] = 0;
    while (chunks[i] != 0 && merged[0] < n)
        merged[0] += chunks[i++];
    size_t at = merged[0] > 0;
    while ((merged[at++] = chunks[i++]) != 0)
        ;
    return merged;
}

void model_session_run(model_session *s, const model_run *run, const int32_t *tokens, float *logits)
{
    if (s->network->hparams.arch->sizes != NULL) {
        run_towers(s, run, tokens, logits);
        return;
    }
    lp_context *ctx = &s->ctx;
    lp_backend *backend = s->backend;
    int32_t cursor[LP_CURSOR_WORDS] = {[LP_CURSOR_SOURCE] = run->n_source};
    int32_t n_tokens = 0, position = 0, merged[64];
    const int32_t *chunks = run->chunks;
    if (run->source)
        encode(s, run);
    if (run->retrieval && run->retrieval->neighbours)
        give_neighbours(s, run->retrieval);
    for (const int32_t *n = chunks; *n; n++)
        n_tokens += *n;
    if (s->network->hparams.prefix.used) {
        lp_prefix prefix;
        CHECK(ctx, lp_network_prefix(ctx, s->network, tokens, (size_t)n_tokens, &prefix));
        assert_true(n_tokens < 64);
        chunks = merge_prefix(chunks, (int32_t)prefix.n, merged);
        cursor[LP_CURSOR_SOURCE] = (int32_t)prefix.n;
        cursor[LP_CURSOR_BLANK] = (int32_t)prefix.blank;
    }
    CHECK(ctx, backend->table->slot_write(backend, lp_store_find(&s->store, "cursor"), 0, cursor,
                                          sizeof cursor));
    CHECK(ctx, backend->table->slot_write(backend, lp_store_find(&s->store, "history"), 0, tokens,
                                          4 * (uint64_t)n_tokens));
    if (run->types)
        CHECK(ctx, backend->table->slot_write(backend, lp_store_find(&s->store, "types"), 0,
                                              run->types, 4 * (uint64_t)n_tokens));
    lp_graph *graph = NULL;
    lp_program *program = NULL;
    for (const int32_t *n = chunks; *n; n++) {
        if (!graph || graph->n_tokens != *n) {
            backend->table->program_destroy(program);
            lp_graph_destroy(graph);
            graph = model_session_graph(s, *n, run->no_fusion);
            if (run->mutate)
                run->mutate(graph, run->user);
            program = plan_program(s, run, graph);
        }
        uint64_t ticket;
        if (run->retrieval && run->retrieval->neighbours)
            retrieve(s, run, position, *n);
        position += *n;
        CHECK(ctx, backend->table->submit(program, 1, &ticket));
        CHECK(ctx, backend->table->wait(backend, ticket));
        if (logits)
            logits = read_result(s, program, graph, logits);
        read_views(s, program, graph, run);
    }
    backend->table->program_destroy(program);
    lp_graph_destroy(graph);
}

double nmse(const float *a, const float *b, size_t n)
{
    double error = 0, power = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(b[i]))
            return INFINITY;
        double d = (double)a[i] - (double)b[i];
        error += d * d;
        power += (double)a[i] * (double)a[i];
    }
    if (power == 0)
        return error == 0 ? 0 : INFINITY;
    return error / power;
}
