// Mixtures of experts as graphs: blocks of the transformers library (tests/fixtures/ops/
// make_experts.py, float64), fused and not, on the device under test; choices made by hand; what is
// refused. Single ops on all types and sizes are rows of the op table.
#include "check/choice.h"
#include "check/plan_proof.h"
#include "check/recompute.h"
#include "graph/builder.h"
#include "ops/ops.h"
#include "support/model_files.h"
#include "support/model_run.h"
#include "tensor/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static lp_context ctx;
static lp_weights *weights;

#define MUST(call)                                                                                 \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s: %s", #call, ctx.message);                                                \
    } while (0)

static int set_up(void **state)
{
    (void)state;
    weights = lp_weights_create();
    return weights == NULL ||
           lp_safetensors_open(&ctx, LAPILLI_TEST_FIXTURES "/ops/experts.safetensors", weights) !=
               LP_OK;
}

static int tear_down(void **state)
{
    (void)state;
    lp_weights_destroy(weights);
    return 0;
}

// ---- Blocks

enum { PLAIN, SHARED, SHARED_WITH_GATE };

typedef struct block {
    const char *name;
    lp_route_options route;
    lp_act_kind act;
    int shared;
    uint32_t n_nodes; // after fusion
} block;

static const block blocks[] = {
    {"mixtral", {.score = LP_ROUTE_CHOSEN, .k = 2, .scale = 1}, LP_ACT_SILU, PLAIN, 5},
    {"qwen2moe",
     {.score = LP_ROUTE_SOFTMAX, .k = 4, .scale = 1},
     LP_ACT_SILU,
     SHARED_WITH_GATE,
     10},
    {"qwen3moe",
     {.score = LP_ROUTE_SOFTMAX, .k = 4, .scale = 1, .normalise = true},
     LP_ACT_SILU,
     SHARED_WITH_GATE,
     10},
    {"deepseek3",
     {.score = LP_ROUTE_SIGMOID,
      .k = 3,
      .scale = 2.5f,
      .normalise = true,
      .n_groups = 4,
      .n_groups_used = 2,
      .group_best = 2},
     LP_ACT_SILU,
     SHARED,
     7},
    {"gptoss", {.score = LP_ROUTE_CHOSEN, .k = 4, .scale = 1}, LP_ACT_GELU_QUICK, PLAIN, 5},
    {"switch",
     {.score = LP_ROUTE_SOFTMAX, .k = 1, .scale = 1, .capacity = 2},
     LP_ACT_RELU,
     PLAIN,
     5},
};
enum { N_BLOCKS = sizeof blocks / sizeof *blocks, MAX_T = 9 };

static const lp_weight *find(const block *k, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", k->name, what);
    return lp_weights_find(weights, name);
}

// LP_NONE if the block has none.
static lp_tensor_id weight(lp_builder *b, const block *k, const char *what)
{
    const lp_weight *w = find(k, what);
    if (w == NULL)
        return LP_NONE;
    if (strstr(what, "_bias") != NULL && w->shape.n == 2)
        return lp_weight_vectors(b, w->shape, "%s", w->name);
    return lp_weight_tensor(b, w->shape, "%s", w->name);
}

static lp_tensor_id shared(lp_builder *b, const block *k, lp_tensor_id x)
{
    lp_tensor_id gate = lp_linear(b, "shared_gate", x, weight(b, k, "shared_gate"), LP_NONE);
    lp_tensor_id up = lp_linear(b, "shared_up", x, weight(b, k, "shared_up"), LP_NONE);
    lp_tensor_id both = lp_mul(b, "shared_mul", lp_act(b, "shared_act", k->act, gate), up);
    lp_tensor_id y = lp_linear(b, "shared_down", both, weight(b, k, "shared_down"), LP_NONE);
    if (k->shared == SHARED)
        return y;
    lp_tensor_id logit = lp_linear(b, "shared_router", x, weight(b, k, "shared_router"), LP_NONE);
    const lp_route_options one = {.score = LP_ROUTE_SIGMOID, .k = 1, .scale = 1};
    return lp_combine(b, "shared", y, lp_route(b, "shared_route", logit, LP_NONE, one));
}

typedef struct run {
    lp_store store;
    lp_graph *graph;
    lp_tensor_id x, routes, y;
    int64_t n_tokens, first;
} run;

// y = x + block(x)
static void build(run *r, const block *k, int64_t n_tokens, bool no_fusion)
{
    lp_builder builder, *b = &builder;
    const int64_t d = find(k, "x")->shape.dim[1];
    r->n_tokens = n_tokens;
    MUST(lp_builder_start(b, &ctx, &r->store, weights, (int32_t)n_tokens));
    r->x = lp_input(b, "x", LP_SHAPE2(n_tokens, d));
    lp_tensor_id logits =
        lp_linear(b, "router", r->x, weight(b, k, "router"), weight(b, k, "router_bias"));
    r->routes = lp_route(b, "route", logits, weight(b, k, "selection_bias"), k->route);
    lp_tensor_id up =
        lp_linear_experts(b, "up", r->x, r->routes, weight(b, k, "up"), weight(b, k, "up_bias"));
    if (find(k, "gate") != NULL) {
        lp_tensor_id gate = lp_linear_experts(b, "gate", r->x, r->routes, weight(b, k, "gate"),
                                              weight(b, k, "gate_bias"));
        up = lp_mul(b, "mul", lp_act(b, "act", k->act, gate), up);
    } else {
        up = lp_act(b, "act", k->act, up);
    }
    lp_tensor_id down = lp_linear_experts(b, "down", up, r->routes, weight(b, k, "down"),
                                          weight(b, k, "down_bias"));
    lp_tensor_id y = lp_combine(b, "combine", down, r->routes);
    lp_tensor_id rest = r->x;
    if (k->shared != PLAIN) // in this order nothing is left of the additions
        rest = lp_add(b, "add_shared", shared(b, k, r->x), r->x);
    r->y = lp_add(b, "add", y, rest);
    if (b->status == LP_OK) { // read at the end
        b->graph->tensors[r->routes].output = true;
        b->graph->tensors[r->y].output = true;
    }
    MUST(lp_builder_finish(b, no_fusion, &r->graph));
}

// The weight that the fixture gives an expert; NAN: none.
static float wanted_weight(const float *routes, int64_t k, float expert)
{
    for (int64_t s = 0; s < k; s++)
        if (routes[2 * s] == expert)
            return routes[2 * s + 1];
    return NAN;
}

static void check_results(const block *k, const run *r, lp_backend *backend, lp_program *program)
{
    const lp_weight *x = find(k, "x"), *y = find(k, "y");
    const int64_t d = x->shape.dim[1], n_slots = k->route.k, n = r->n_tokens * d;
    const float *all_routes = find(k, "routes")->data;
    float *got = malloc((size_t)n * sizeof *got), *want = malloc((size_t)n * sizeof *want);
    float *routes = malloc((size_t)(r->n_tokens * n_slots * 2) * sizeof *routes);
    assert_true(got != NULL && want != NULL && routes != NULL);
    MUST(backend->table->tensor_read(program, r->routes, routes));
    MUST(backend->table->tensor_read(program, r->y, got));
    for (int64_t i = 0; i < n; i++)
        want[i] = (float)((double)((const float *)x->data)[r->first * d + i] +
                          (double)((const float *)y->data)[r->first * d + i]);
    for (int64_t i = 0; i < r->n_tokens * n_slots; i++) {
        const int64_t t = r->first + i / n_slots;
        const float w = wanted_weight(all_routes + t * n_slots * 2, n_slots, routes[2 * i]);
        if (!(fabsf(routes[2 * i + 1] - w) <= 2e-6f))
            fail_msg("%s: token %d, expert %g has weight %.9g, not %.9g", k->name, (int)t,
                     (double)routes[2 * i], (double)routes[2 * i + 1], (double)w);
    }
    const double error = nmse(want, got, (size_t)n);
    print_message("%-10s T%d: %u nodes, NMSE %.1e\n", k->name, (int)r->n_tokens, r->graph->n_nodes,
                  error);
    assert_true(error < 1e-12);
    free(got);
    free(want);
    free(routes);
}

// Every node again from what the device had, and the plan's proofs.
static void check_nodes(const run *r, lp_backend *backend, lp_program *program)
{
    for (uint32_t i = 0; i < r->graph->n_nodes; i++) {
        const lp_recompute what = {.ctx = &ctx,
                                   .backend = backend,
                                   .program = program,
                                   .graph = r->graph,
                                   .node = i,
                                   .budget = i % 2 ? 1 << 20 : 100,
                                   .random = i};
        lp_recomputed result;
        MUST(lp_recompute_node(&what, &result));
        if (!lp_recomputed_agrees(&result))
            fail_msg("%s: want %.9g, got %.9g", r->graph->nodes[i].name, result.difference.expected,
                     result.difference.got);
    }
    if (backend->table->program_plan == NULL)
        return;
    char *hazard, *overlap;
    const lp_plan *plan = backend->table->program_plan(program);
    MUST(lp_plan_find_hazard(&ctx, r->graph, plan, &hazard, NULL));
    MUST(lp_plan_find_overlap(&ctx, r->graph, plan, &overlap, NULL));
    if (hazard != NULL || overlap != NULL)
        fail_msg("%s", hazard != NULL ? hazard : overlap);
}

static void run_block(const block *k, lp_backend *backend, const run *r, bool keep_all)
{
    lp_program *program = NULL;
    uint64_t ticket;
    const lp_weight *x = find(k, "x");
    MUST(backend->table->program_create(backend, r->graph, (lp_plan_options){.keep_all = keep_all},
                                        &program));
    MUST(backend->table->tensor_write(program, r->x,
                                      (const float *)x->data + r->first * x->shape.dim[1]));
    MUST(backend->table->submit(program, 1, &ticket));
    MUST(backend->table->wait(backend, ticket));
    if (keep_all)
        check_nodes(r, backend, program);
    check_results(k, r, backend, program);
    backend->table->program_destroy(program);
}

static void check_block(const block *k, const char *device)
{
    run fused = {0};
    lp_test_device *opened;
    build(&fused, k, MAX_T, false);
    assert_int_equal(fused.graph->n_nodes, k->n_nodes);
    lp_backend *backend = lp_test_device_create(&ctx, device, &opened);
    MUST(backend->table->load(backend, &fused.store, NULL, NULL));
    run_block(k, backend, &fused, false);
    run_block(k, backend, &fused, true);

    run plain = {.store = fused.store};
    build(&plain, k, MAX_T, true);
    assert_true(plain.graph->n_nodes > k->n_nodes);
    run_block(k, backend, &plain, true);
    // alone, a token is always served
    run one = {.store = fused.store, .first = 0};
    build(&one, k, 1, false);
    for (; one.first < (k->route.capacity > 0 ? 1 : MAX_T); one.first += 4)
        run_block(k, backend, &one, one.first == 0);

    lp_graph_destroy(one.graph);
    lp_graph_destroy(plain.graph);
    lp_graph_destroy(fused.graph);
    backend->table->destroy(backend);
    lp_test_device_destroy(opened);
    lp_store_destroy(&fused.store);
}

static void blocks_equal_transformers(void **state)
{
    (void)state;
    for (int i = 0; i < N_BLOCKS; i++)
        check_block(&blocks[i], test_device());
}

static void blocks_on_the_reference(void **state)
{
    (void)state;
    for (int i = 0; i < N_BLOCKS; i++)
        check_block(&blocks[i], "reference");
}

// ---- Choices by hand

enum { E = 6 };

static void route(lp_route_options options, const float logits[E], const float *bias,
                  float to[2 * E])
{
    lp_node node = {.op = LP_OP_ROUTE, .name = "route", .p.route = options};
    lp_cpu_call call = {.ctx = &ctx, .node = &node};
    node.src[1] = bias != NULL ? 0 : LP_NONE;
    call.src[0] = (lp_view){(void *)(uintptr_t)logits, LP_F32, LP_SHAPE2(1, E), E};
    if (bias != NULL)
        call.src[1] = (lp_view){(void *)(uintptr_t)bias, LP_F32, LP_SHAPE1(E), 1};
    call.dst[0] = (lp_view){to, LP_F32, LP_SHAPE3(1, options.k, 2), 2 * (uint64_t)options.k};
    assert_int_equal(lp_op_route_cpu(&call), LP_OK);
}

static void ties_go_to_the_lower_id(void **state)
{
    (void)state;
    static const struct {
        float logits[E], ids[3];
        int32_t n_groups, n_groups_used, group_best;
    } cases[] = {
        {{1, 1, 1, 1, 1, 1}, {0, 1, 2}, 0, 0, 0},
        {{0, -0.0f, 0, -0.0f, -1, 1}, {5, 0, 1}, 0, 0, 0},
        {{2, 3, 3, 2, 3, 1}, {1, 2, 4}, 0, 0, 0},
        {{-INFINITY, -1, -INFINITY, -2, -3, -3}, {1, 3, 4}, 0, 0, 0},
        {{1, 2, NAN, 3, NAN, INFINITY}, {2, 4, 5}, 0, 0, 0},
        {{1e-40f, 2e-40f, -1e-40f, 0, 3e-40f, -2e-40f}, {4, 1, 0}, 0, 0, 0},
        {{1, 1 + FLT_EPSILON, 1, 1 - FLT_EPSILON, 1, 1}, {1, 0, 2}, 0, 0, 0},
        {{1, 5, 5, 5, 5, 1}, {1, 2, 3}, 3, 2, 2},  // pairs 6, 10, 6: the second group and the first
        {{1, 5, 4, 4, 5, 6}, {5, 4, 2}, 3, 2, 2},  // pairs 6, 8, 11: the last two
        {{1, 5, 5, 4, 5, 1}, {1, 2, 3}, 3, 2, 1},  // best 5, 5, 5: the first two
        {{0, 0, 9, -9, 1, 1}, {4, 5, 0}, 3, 2, 2}, // pairs 0, 0, 2: the last and the first
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int score = LP_ROUTE_SOFTMAX; score <= LP_ROUTE_CHOSEN; score++) {
            // sums of two scores are not those of two logits; elsewhere scores rise with logits
            if (cases[i].group_best == 2 && score != LP_ROUTE_CHOSEN)
                continue;
            float to[2 * E];
            route((lp_route_options){.k = 3,
                                     .score = (lp_route_score)score,
                                     .scale = 1,
                                     .n_groups = cases[i].n_groups,
                                     .n_groups_used = cases[i].n_groups_used,
                                     .group_best = cases[i].group_best},
                  cases[i].logits, NULL, to);
            for (int s = 0; s < 3; s++)
                if (to[2 * s] != cases[i].ids[s])
                    fail_msg("case %d, score %d: expert %g in slot %d, not %g", (int)i, score,
                             (double)to[2 * s], s, (double)cases[i].ids[s]);
        }
}

// A bias moves the choice, not the weight; a NaN among the logits is not hidden.
static void biases_choose_only(void **state)
{
    (void)state;
    static const float logits[E] = {0, 1, 2, 3, 4, 5}, bias[E] = {10, 0, 0, 0, 0, 0};
    static const float odd[E] = {0, NAN, 2, 3, 4, 5};
    float to[2 * E];
    route((lp_route_options){.k = 2, .score = LP_ROUTE_SIGMOID, .scale = 1}, logits, bias, to);
    assert_true(to[0] == 0 && to[2] == 5 && to[1] == 0.5f);
    for (int score = LP_ROUTE_SOFTMAX; score <= LP_ROUTE_CHOSEN; score++) {
        route((lp_route_options){.k = 2, .score = (lp_route_score)score, .scale = 1}, odd, NULL,
              to);
        assert_true(to[0] == 1 && isnan(to[1]));
    }
}

// ---- Free runs that choose others

static void read_output(const run *r, lp_backend *backend, lp_program *program, uint32_t node,
                        lp_outputs *to)
{
    const lp_tensor_id id = r->graph->nodes[node].dst[0];
    to->values[0] = malloc((size_t)lp_shape_elements(r->graph->tensors[id].shape) * sizeof(float));
    assert_non_null(to->values[0]);
    MUST(backend->table->tensor_read(program, id, to->values[0]));
}

// The router is node 1, its logits are made by node 0. Token 3's second and third expert are as
// good as equal; then rounding turns them round.
static void other_choices_are_explained(void **state)
{
    (void)state;
    enum { EXPERTS = 7, K = 2, TOKEN = 3 };
    const block *k = &blocks[0];
    run r = {0};
    lp_test_device *opened;
    lp_program *program;
    lp_outputs outputs[2] = {{{0}}};
    lp_choice choice;
    uint64_t ticket;
    build(&r, k, MAX_T, false);
    assert_true(r.graph->nodes[1].op == LP_OP_ROUTE);
    lp_backend *backend = lp_test_device_create(&ctx, "reference", &opened);
    MUST(backend->table->load(backend, &r.store, NULL, NULL));
    MUST(backend->table->program_create(backend, r.graph, (lp_plan_options){.keep_all = true},
                                        &program));
    MUST(backend->table->tensor_write(program, r.x, find(k, "x")->data));
    MUST(backend->table->submit(program, 1, &ticket));
    for (uint32_t i = 0; i < 2; i++)
        read_output(&r, backend, program, i, &outputs[i]);
    float *logits = outputs[0].values[0], *routes = outputs[1].values[0];
    float chain_logits[MAX_T * EXPERTS], chain_routes[MAX_T * K * 2], to[2 * EXPERTS];
    memcpy(chain_logits, logits, sizeof chain_logits);
    memcpy(chain_routes, routes, sizeof chain_routes);
    MUST(lp_choice_compare(&ctx, r.graph, 1, outputs, chain_logits, chain_routes, &choice));
    assert_true(choice.n_tokens == 0 && choice.own && choice.nmse == 0);

    const lp_node node = {.op = LP_OP_ROUTE, .p.route = {.k = 3, .scale = 1}, .src = {0, LP_NONE}};
    lp_cpu_call call = {.ctx = &ctx, .node = &node};
    call.src[0] = (lp_view){logits + TOKEN * EXPERTS, LP_F32, LP_SHAPE2(1, EXPERTS), EXPERTS};
    call.dst[0] = (lp_view){to, LP_F32, LP_SHAPE3(1, 3, 2), 6};
    MUST(lp_op_route_cpu(&call));
    float *of_token = logits + TOKEN * EXPERTS;
    const int second = (int)to[2], third = (int)to[4];
    of_token[third] = nextafterf(of_token[second], INFINITY);
    routes[(TOKEN * K + 1) * 2] = (float)third; // as it must
    chain_logits[TOKEN * EXPERTS + third] = nextafterf(of_token[second], -INFINITY);
    MUST(lp_choice_compare(&ctx, r.graph, 1, outputs, chain_logits, chain_routes, &choice));
    assert_true(choice.n_tokens == 1 && choice.first == TOKEN && choice.own);
    assert_true(choice.nmse > 0 && choice.nmse < 1e-13);

    routes[(TOKEN * K + 1) * 2] = (float)second; // not what its logits say
    MUST(lp_choice_compare(&ctx, r.graph, 1, outputs, chain_logits, chain_routes, &choice));
    assert_true(choice.n_tokens == 0 && !choice.own);
    for (int i = 0; i < 2; i++)
        lp_outputs_free(&outputs[i]);
    backend->table->program_destroy(program);
    backend->table->destroy(backend);
    lp_test_device_destroy(opened);
    lp_graph_destroy(r.graph);
    lp_store_destroy(&r.store);
}

// ---- What is refused

static void refused(lp_shape logits, lp_route_options options, const char *why)
{
    lp_store store = {0};
    lp_builder b;
    MUST(lp_builder_start(&b, &ctx, &store, NULL, 1));
    lp_tensor_id x = lp_input(&b, "logits", logits);
    assert_true(lp_route(&b, "the router", x, LP_NONE, options) == LP_NONE);
    lp_graph *graph;
    assert_true(lp_builder_finish(&b, false, &graph) != LP_OK);
    if (strstr(ctx.message, why) == NULL || strstr(ctx.message, "the router") == NULL)
        fail_msg("\"%s\" does not say \"%s\"", ctx.message, why);
    lp_store_destroy(&store);
}

static void bad_routers_are_refused(void **state)
{
    (void)state;
    const lp_shape s = LP_SHAPE2(2, 12);
    refused(LP_SHAPE1(12), (lp_route_options){.k = 1, .scale = 1}, "2 dimensions");
    refused(s, (lp_route_options){.k = 0, .scale = 1}, "0 of 12 experts");
    refused(s, (lp_route_options){.k = 13, .scale = 1}, "13 of 12 experts");
    refused(LP_SHAPE2(1, 64), (lp_route_options){.k = 33, .scale = 1}, "at most 32");
    refused(LP_SHAPE2(1, 4096), (lp_route_options){.k = 1, .scale = 1}, "4096 experts");
    refused(s, (lp_route_options){.k = 1, .scale = NAN}, "scale nan");
    refused(s, (lp_route_options){.k = 1, .scale = 1, .capacity = -1}, "capacity -1");
    refused(s, (lp_route_options){.k = 1, .scale = 1, .score = (lp_route_score)7}, "score 7");
    refused(s, (lp_route_options){.k = 1, .scale = 1, .n_groups = 5}, "12 experts in 5 groups");
    refused(
        s,
        (lp_route_options){.k = 5, .scale = 1, .n_groups = 3, .n_groups_used = 1, .group_best = 1},
        "1 of 3 groups for 5");
    refused(
        s,
        (lp_route_options){.k = 1, .scale = 1, .n_groups = 12, .n_groups_used = 2, .group_best = 2},
        "best 2");
}

// Shapes that do not belong together: each builds a linear of experts, or a sum.
static void misfits_are_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t x_rows, slots, pairs, k;
        bool combine, bias_as_matrix;
        const char *why;
    } cases[] = {{3, 2, 2, 20, false, false, "does not fit routes"},
                 {4, 2, 3, 20, false, false, "must be [T, k, 2]"},
                 {4, 2, 2, 19, false, false, "does not fit weight"},
                 {4, 2, 2, 20, true, false, "does not fit routes"},
                 {4, 2, 2, 20, false, true, "vectors in one weight"}};
    const lp_weight *w = lp_weights_find(weights, "gptoss.up");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lp_store store = {0};
        lp_builder b;
        lp_graph *graph;
        MUST(lp_builder_start(&b, &ctx, &store, weights, 4));
        lp_tensor_id x = lp_input(&b, "x", LP_SHAPE2(cases[i].x_rows, cases[i].k));
        lp_tensor_id routes = lp_input(&b, "routes", LP_SHAPE3(4, cases[i].slots, cases[i].pairs));
        lp_tensor_id matrix = lp_weight_tensor(&b, w->shape, "gptoss.up");
        lp_tensor_id bias = cases[i].bias_as_matrix
                                ? lp_weight_tensor(&b, LP_SHAPE2(8, 12), "gptoss.up_bias")
                                : lp_weight_vectors(&b, LP_SHAPE2(8, 12), "gptoss.up_bias");
        if (cases[i].combine)
            lp_combine(&b, "the sum", x, routes);
        else
            lp_linear_experts(&b, "the experts", x, routes, matrix, bias);
        assert_true(lp_builder_finish(&b, false, &graph) != LP_OK);
        if (strstr(ctx.message, cases[i].why) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", ctx.message, cases[i].why);
        lp_store_destroy(&store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_on_the_reference),     cmocka_unit_test(blocks_equal_transformers),
        cmocka_unit_test(ties_go_to_the_lower_id),     cmocka_unit_test(biases_choose_only),
        cmocka_unit_test(other_choices_are_explained), cmocka_unit_test(bad_routers_are_refused),
        cmocka_unit_test(misfits_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
