/* Plans of real models and of random graphs, without a device: free of hazards and overlaps by the
 * independent prover, which is itself shown to find what is planted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "check/plan_proof.h"
#include "graph/builder.h"
#include "models/network.h"

static uint32_t next(uint64_t *state) /* Knuth's MMIX generator, upper half */
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static char *hazard_of(const lp_graph *graph, const lp_plan *plan)
{
    lp_context ctx = {0};
    char *problem = NULL;
    assert_int_equal(lp_plan_find_hazard(&ctx, graph, plan, &problem, NULL), LP_OK);
    return problem;
}

static char *overlap_of(const lp_graph *graph, const lp_plan *plan)
{
    lp_context ctx = {0};
    char *problem = NULL;
    assert_int_equal(lp_plan_find_overlap(&ctx, graph, plan, &problem, NULL), LP_OK);
    return problem;
}

static void prove(const lp_graph *graph, const lp_plan *plan)
{
    char *problem = hazard_of(graph, plan);
    if (problem == NULL)
        problem = overlap_of(graph, plan);
    if (problem != NULL)
        fail_msg("%s", problem);
}

static uint32_t n_barriers(const lp_plan *plan)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < plan->n_dispatches; i++)
        n += plan->dispatches[i].barrier;
    return n;
}

/* A graph of `n` random nodes over tensors of one shape, with views, outputs and a cache. */
static lp_graph *random_graph(lp_context *ctx, lp_store *store, lp_weights *weights,
                              uint64_t *random, uint32_t n)
{
    lp_builder b;
    lp_graph *graph = NULL;
    lp_tensor_id pool[64];
    uint32_t n_pool = 0;
    assert_int_equal(lp_builder_start(&b, ctx, store, weights, 3), LP_OK);
    lp_tensor_id cursor =
        lp_state_tensor(&b, LP_SLOT_STATE, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), "cursor");
    lp_tensor_id cache =
        lp_state_tensor(&b, LP_SLOT_STATE, LP_F16, LP_SHAPE3(64, 2, 32), "cache");
    lp_tensor_id w = lp_weight_tensor(&b, LP_SHAPE2(64, 64), "w");
    lp_tensor_id gain = lp_weight_tensor(&b, LP_SHAPE1(64), "gain");
    pool[n_pool++] = lp_input(&b, "in", LP_SHAPE2(3, 64));
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i);
        lp_tensor_id x = pool[next(random) % n_pool], y = pool[next(random) % n_pool], z;
        switch (next(random) % 7) {
        case 0:
            z = lp_add(&b, name, x, y);
            break;
        case 1:
            z = lp_mul(&b, name, x, y);
            break;
        case 2:
            z = lp_act(&b, name, LP_ACT_SILU, x);
            break;
        case 3:
            z = lp_norm(&b, name, LP_NORM_RMS, 1e-5f, x, gain, LP_NONE);
            break;
        case 4:
            lp_kv_write(&b, name, lp_view_heads(&b, x, 2), cursor, cache);
            z = lp_view_flat(&b,
                             lp_attention(&b, name, lp_view_heads(&b, y, 2), cache, cache, cursor,
                                          (lp_attention_options){.scale = 1, .kv_max = 64}));
            break;
        default:
            z = lp_linear(&b, name, x, w, LP_NONE);
            break;
        }
        if (next(random) % 8 == 0)
            lp_output(&b, z, name);
        pool[n_pool < 64 ? n_pool++ : next(random) % 64] = z;
    }
    if (lp_builder_finish(&b, next(random) % 2, &graph) != LP_OK)
        fail_msg("%s", ctx->message);
    return graph;
}

static void random_graphs_are_safe(void **state)
{
    (void)state;
    lp_context ctx = {0};
    static float data[64 * 64];
    lp_weights *weights = lp_weights_create();
    lp_weight w = {.name = "w", .dtype = LP_F32, .shape = LP_SHAPE2(64, 64), .data = data,
                   .bytes = sizeof data};
    lp_weight gain = {
        .name = "gain", .dtype = LP_F32, .shape = LP_SHAPE1(64), .data = data, .bytes = 256};
    assert_int_equal(lp_weights_add(&ctx, weights, &w), LP_OK);
    assert_int_equal(lp_weights_add(&ctx, weights, &gain), LP_OK);
    uint64_t random = 7;
    for (int round = 0; round < 100; round++) {
        lp_store store = {0};
        lp_graph *graph =
            random_graph(&ctx, &store, weights, &random, 1 + next(&random) % 40);
        for (int kind = 0; kind < 4; kind++) {
            lp_plan_options options = {.keep_all = kind == 1,
                                       .full_barriers = kind == 2,
                                       .guard_bytes = kind == 3 ? 256 : 0};
            lp_plan *plan = NULL;
            if (lp_plan_create(&ctx, graph, &lp_caps_minimum, options, &plan) != LP_OK)
                fail_msg("%s", ctx.message);
            prove(graph, plan);
            if (kind == 2)
                assert_int_equal(n_barriers(plan), plan->n_dispatches - 1);
            lp_plan_destroy(plan);
        }
        lp_graph_destroy(graph);
        lp_store_destroy(&store);
    }
    lp_weights_destroy(weights);
}

static void fixture_plan(lp_context *ctx, lp_store *store, const char *name, int32_t n_tokens,
                         lp_network **network, lp_graph **graph, lp_plan **plan)
{
    char path[512];
    snprintf(path, sizeof path, "%s/models/%s", LAPILLI_TEST_FIXTURES, name);
    lp_network_options options = {.n_tokens = n_tokens,
                                  .kv_max = 48,
                                  .n_ctx = 48,
                                  .kv_dtype = LP_F16,
                                  .sample = true};
    if (lp_network_open(ctx, path, network) != LP_OK ||
        lp_network_graph(ctx, *network, store, &options, graph) != LP_OK ||
        lp_plan_create(ctx, *graph, &lp_caps_minimum, (lp_plan_options){0}, plan) != LP_OK)
        fail_msg("%s", ctx->message);
}

static const char *const models[] = {"gpt2.gguf", "llama2.gguf", "llama3", "mistral"};
#define N_MODELS (sizeof models / sizeof *models)

static void models_are_safe(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MODELS; i++)
        for (int32_t n = 1; n <= 33; n += n < 9 ? 1 : 12) {
            lp_context ctx = {0};
            lp_store store = {0};
            lp_network *network = NULL;
            lp_graph *graph = NULL;
            lp_plan *plan = NULL;
            fixture_plan(&ctx, &store, models[i], n, &network, &graph, &plan);
            prove(graph, plan);
            lp_plan_destroy(plan);
            lp_graph_destroy(graph);
            lp_store_destroy(&store);
            lp_network_destroy(network);
        }
}

/* Every barrier of a real plan is needed: without it, the prover finds a hazard. Every pair of
 * memory that is moved onto another's is found, too. */
/* What lapilli check relies on: a node that is planned alone, with guard bytes, gets the dispatches
 * that it has within the whole. */
static void nodes_alone_are_planned_as_in_the_whole(void **state)
{
    (void)state;
    for (size_t m = 0; m < N_MODELS; m++)
        for (int32_t n = 1; n <= 33; n += n < 9 ? 1 : 12) {
            lp_context ctx = {0};
            lp_store store = {0};
            lp_network *network = NULL;
            lp_graph *graph = NULL;
            lp_plan *whole = NULL;
            fixture_plan(&ctx, &store, models[m], n, &network, &graph, &whole);
            uint32_t first = 0;
            for (uint32_t i = 0; i < graph->n_nodes; i++) {
                lp_graph one = *graph;
                lp_plan *plan = NULL;
                one.nodes = &graph->nodes[i];
                one.n_nodes = 1;
                if (lp_plan_create(&ctx, &one, &lp_caps_minimum,
                                   (lp_plan_options){.guard_bytes = 256}, &plan) != LP_OK)
                    fail_msg("%s", ctx.message);
                for (uint32_t k = 0; k < plan->n_dispatches; k++) {
                    const lp_dispatch *a = &plan->dispatches[k], *b = &whole->dispatches[first + k];
                    assert_true(first + k < whole->n_dispatches && b->node == i);
                    assert_ptr_equal(a->kernel, b->kernel);
                    assert_memory_equal(a->groups, b->groups, sizeof a->groups);
                    assert_int_equal(a->n_spec, b->n_spec);
                    assert_memory_equal(a->spec, b->spec, sizeof a->spec);
                    assert_int_equal(a->n_push, b->n_push);
                    assert_memory_equal(a->push, b->push, sizeof a->push);
                    assert_int_equal(a->n_relocations, b->n_relocations);
                }
                first += plan->n_dispatches;
                lp_plan_destroy(plan);
            }
            assert_int_equal(first, whole->n_dispatches);
            lp_plan_destroy(whole);
            lp_graph_destroy(graph);
            lp_store_destroy(&store);
            lp_network_destroy(network);
        }
}

static void the_prover_finds_what_is_planted(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_store store = {0};
    lp_network *network = NULL;
    lp_graph *graph = NULL;
    lp_plan *plan = NULL;
    fixture_plan(&ctx, &store, "llama2.gguf", 5, &network, &graph, &plan);
    uint32_t n = 0;
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        if (!plan->dispatches[i].barrier)
            continue;
        plan->dispatches[i].barrier = false;
        char *problem = hazard_of(graph, plan);
        assert_non_null(problem);
        free(problem);
        plan->dispatches[i].barrier = true;
        n++;
    }
    assert_true(n > 10);

    lp_tensor_id residual = LP_NONE; /* of the first block: alive across the feed-forward part */
    for (uint32_t i = 0; i < graph->n_nodes && residual == LP_NONE; i++)
        if (strcmp(graph->nodes[i].name, "blk.0.attn_output") == 0)
            residual = graph->nodes[i].dst[0];
    assert_int_not_equal(residual, LP_NONE);
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (strcmp(graph->nodes[i].name, "blk.0.ffn_norm") == 0)
            plan->arena.tensor_offset[graph->nodes[i].dst[0]] =
                plan->arena.tensor_offset[residual];
    char *problem = overlap_of(graph, plan);
    assert_non_null(problem);
    free(problem);

    lp_plan_destroy(plan);
    lp_graph_destroy(graph);
    lp_store_destroy(&store);
    lp_network_destroy(network);
}

/* The same input gives the same plan, and it prints. */
static void plans_are_deterministic(void **state)
{
    (void)state;
    char *text[2], *nodes[2];
    for (int i = 0; i < 2; i++) {
        lp_context ctx = {0};
        lp_store store = {0};
        lp_network *network = NULL;
        lp_graph *graph = NULL;
        lp_plan *plan = NULL;
        fixture_plan(&ctx, &store, "gpt2.gguf", 3, &network, &graph, &plan);
        text[i] = lp_plan_print(graph, plan);
        nodes[i] = lp_graph_print(graph);
        assert_non_null(text[i]);
        assert_non_null(nodes[i]);
        lp_plan_destroy(plan);
        lp_graph_destroy(graph);
        lp_store_destroy(&store);
        lp_network_destroy(network);
    }
    assert_string_equal(text[0], text[1]);
    assert_non_null(strstr(text[0], "blk.0.attn"));
    assert_string_equal(nodes[0], nodes[1]);
    assert_non_null(strstr(nodes[0], "attention"));
    free(nodes[0]);
    free(nodes[1]);
    free(text[0]);
    free(text[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_are_safe),
        cmocka_unit_test(models_are_safe),
        cmocka_unit_test(nodes_alone_are_planned_as_in_the_whole),
        cmocka_unit_test(the_prover_finds_what_is_planted),
        cmocka_unit_test(plans_are_deterministic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
