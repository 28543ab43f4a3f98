/* Building and fusing graphs: what the passes do to the list of nodes, and what errors say. That a
 * fused graph computes the same is shown in test_models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "graph/builder.h"
#include "graph/fuse.h"

typedef struct fixture {
    lp_context ctx;
    lp_store store;
    lp_weights *weights;
    lp_builder b;
    lp_tensor_id x;
} fixture;

static float data[64 * 64];

static void add_weight(fixture *f, const char *name, lp_dtype dtype, lp_shape shape)
{
    lp_weight w = {.name = name, .dtype = dtype, .shape = shape, .data = data,
                   .bytes = (uint64_t)lp_dtype_file_bytes(dtype, shape)};
    assert_int_equal(lp_weights_add(&f->ctx, f->weights, &w), LP_OK);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->weights = lp_weights_create();
    add_weight(f, "w", LP_F32, LP_SHAPE2(64, 64));
    add_weight(f, "u", LP_F32, LP_SHAPE2(64, 64));
    add_weight(f, "half", LP_F16, LP_SHAPE2(64, 64));
    add_weight(f, "gain", LP_F32, LP_SHAPE1(64));
    assert_int_equal(lp_builder_start(&f->b, &f->ctx, &f->store, f->weights, 3), LP_OK);
    f->x = lp_input(&f->b, "x", LP_SHAPE2(3, 64));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    lp_graph_destroy(f->b.graph);
    lp_store_destroy(&f->store);
    lp_weights_destroy(f->weights);
    free(f);
    return 0;
}

static lp_tensor_id weight(fixture *f, const char *name)
{
    return lp_weight_tensor(&f->b, LP_SHAPE2(64, 64), "%s", name);
}

static lp_tensor_id linear(fixture *f, const char *name, lp_tensor_id x, const char *w)
{
    return lp_linear(&f->b, name, x, weight(f, w), LP_NONE);
}

/* Finishes with fusion and checks the ops that are left, as "linear norm …". */
static lp_graph *expect_ops(fixture *f, const char *want)
{
    lp_graph *graph = NULL;
    char have[256] = "";
    if (lp_builder_finish(&f->b, false, &graph) != LP_OK)
        fail_msg("%s", f->ctx.message);
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        strcat(have, i ? " " : "");
        strcat(have, lp_op_name(graph->nodes[i].op));
    }
    f->b.graph = graph; /* for teardown */
    assert_string_equal(have, want);
    return graph;
}

static void activation_joins_linear(void **state)
{
    fixture *f = *state;
    lp_tensor_id y = lp_act(&f->b, "act", LP_ACT_SILU, linear(f, "up", f->x, "w"));
    lp_output(&f->b, y, "y");
    lp_graph *g = expect_ops(f, "linear");
    assert_int_equal(g->nodes[0].p.linear.act, LP_ACT_SILU);
    assert_int_equal(g->nodes[0].dst[0], y);
}

static void gated_pair_becomes_one_linear(void **state)
{
    for (int order = 0; order < 2; order++) {
        fixture *f = *state;
        lp_tensor_id a = LP_NONE, u;
        if (order == 0)
            a = lp_act(&f->b, "act", LP_ACT_SILU, linear(f, "gate", f->x, "w"));
        u = linear(f, "up", f->x, "u");
        if (order == 1)
            a = lp_act(&f->b, "act", LP_ACT_SILU, linear(f, "gate", f->x, "w"));
        lp_tensor_id y = order ? lp_mul(&f->b, "mul", u, a) : lp_mul(&f->b, "mul", a, u);
        lp_tensor_id z = lp_add(&f->b, "add", linear(f, "down", y, "w"), f->x);
        lp_output(&f->b, z, "z");
        lp_graph *g = expect_ops(f, "linear linear");
        assert_string_equal(g->tensors[g->nodes[0].src[1]].name, "w");
        assert_string_equal(g->tensors[g->nodes[0].src[3]].name, "u");
        assert_int_equal(g->nodes[0].p.linear.act, LP_ACT_SILU);
        assert_int_equal(g->nodes[1].src[0], y);
        assert_int_equal(g->nodes[1].src[4], f->x);
        assert_int_equal(g->nodes[1].dst[0], z);
        teardown(state);
        setup(state);
    }
}

static void gate_of_another_type_stays_apart(void **state)
{
    fixture *f = *state;
    lp_tensor_id a = lp_act(&f->b, "act", LP_ACT_SILU, linear(f, "gate", f->x, "half"));
    lp_output(&f->b, lp_mul(&f->b, "mul", a, linear(f, "up", f->x, "u")), "y");
    expect_ops(f, "linear linear mul");
}

static void what_others_read_is_kept(void **state)
{
    fixture *f = *state;
    lp_tensor_id u = linear(f, "up", f->x, "w");
    lp_tensor_id a = lp_act(&f->b, "act", LP_ACT_SILU, u);
    lp_output(&f->b, lp_add(&f->b, "add", a, u), "y"); /* u is read twice */
    expect_ops(f, "linear act add");
}

static void outputs_are_kept(void **state)
{
    fixture *f = *state;
    lp_tensor_id u = linear(f, "up", f->x, "w");
    lp_output(&f->b, u, "u");
    lp_output(&f->b, lp_add(&f->b, "add", u, f->x), "y");
    expect_ops(f, "linear add");
}

static void a_view_counts_as_a_use(void **state)
{
    fixture *f = *state;
    lp_tensor_id u = linear(f, "up", f->x, "w");
    lp_tensor_id part = lp_view_columns(&f->b, u, 0, 32);
    lp_output(&f->b, lp_act(&f->b, "act", LP_ACT_RELU, part), "part");
    lp_output(&f->b, lp_add(&f->b, "add", u, f->x), "y");
    expect_ops(f, "linear act add");
}

static void sum_joins_norm(void **state)
{
    fixture *f = *state;
    lp_tensor_id gain = lp_weight_tensor(&f->b, LP_SHAPE1(64), "gain");
    lp_tensor_id y = lp_input(&f->b, "other", LP_SHAPE2(3, 64));
    lp_tensor_id sum = lp_add(&f->b, "sum", f->x, y);
    lp_tensor_id n = lp_norm(&f->b, "norm", LP_NORM_RMS, 1e-5f, sum, gain, LP_NONE);
    lp_output(&f->b, lp_mul(&f->b, "mul", n, sum), "y");
    lp_graph *g = expect_ops(f, "norm mul");
    assert_int_equal(g->nodes[0].src[0], f->x);
    assert_int_equal(g->nodes[0].src[3], y);
    assert_int_equal(g->nodes[0].dst[1], sum);
}

static void sum_that_is_read_before_the_norm_stays(void **state)
{
    fixture *f = *state;
    lp_tensor_id gain = lp_weight_tensor(&f->b, LP_SHAPE1(64), "gain");
    lp_tensor_id sum = lp_add(&f->b, "sum", f->x, lp_input(&f->b, "other", LP_SHAPE2(3, 64)));
    lp_tensor_id a = lp_act(&f->b, "act", LP_ACT_RELU, sum);
    lp_tensor_id n = lp_norm(&f->b, "norm", LP_NORM_RMS, 1e-5f, sum, gain, LP_NONE);
    lp_output(&f->b, lp_mul(&f->b, "mul", n, a), "y");
    expect_ops(f, "add act norm mul");
}

static void expect_failure(fixture *f, lp_status want, const char *message)
{
    lp_graph *graph = NULL;
    assert_int_equal(lp_builder_finish(&f->b, false, &graph), want);
    assert_null(graph);
    assert_string_equal(f->ctx.message, message);
}

static void first_failure_is_kept(void **state)
{
    fixture *f = *state;
    lp_builder_prefix(&f->b, "blk.%d.", 3);
    lp_tensor_id w = lp_weight_tensor(&f->b, LP_SHAPE2(64, 32), "w");
    assert_int_equal(w, LP_NONE);
    lp_tensor_id y = lp_linear(&f->b, "attn_q", f->x, w, LP_NONE);
    assert_int_equal(y, LP_NONE);
    assert_int_equal(lp_view_heads(&f->b, y, 3), LP_NONE);
    lp_output(&f->b, lp_add(&f->b, "sum", y, y), "y");
    expect_failure(f, LP_E_SHAPE, "w: want [64, 32], file has [64, 64]");
}

static void missing_weight_is_named(void **state)
{
    fixture *f = *state;
    assert_int_equal(lp_weight_optional(&f->b, LP_SHAPE1(64), "blk.%d.bias", 2), LP_NONE);
    weight(f, "blk.2.attn_q.weight");
    expect_failure(f, LP_E_MISSING, "blk.2.attn_q.weight: no such tensor in the model");
}

static void views_are_checked(void **state)
{
    fixture *f = *state;
    assert_int_equal(lp_view_columns(&f->b, f->x, 60, 5), LP_NONE);
    expect_failure(f, LP_E_SHAPE, "x [3, 64]: cannot be viewed as a range of columns");
}

static void a_frozen_store_takes_no_more(void **state)
{
    fixture *f = *state;
    weight(f, "w");
    f->store.frozen = true;
    assert_int_not_equal(weight(f, "w"), LP_NONE);
    weight(f, "u");
    expect_failure(f, LP_E_ARG, "u: not in the store, which is loaded already");
}

static void views_lie_in_their_base(void **state)
{
    fixture *f = *state;
    lp_tensor_id part = lp_view_columns(&f->b, f->x, 16, 32);
    lp_tensor_id last = lp_view_rows(&f->b, part, 2, 1), heads = lp_view_heads(&f->b, last, 4);
    const lp_tensor *t = &f->b.graph->tensors[heads];
    assert_int_equal(t->base, f->x);
    assert_int_equal(t->offset, 2 * 64 + 16);
    assert_int_equal(t->stride, 64);
    assert_true(lp_shape_equal(t->shape, LP_SHAPE3(1, 4, 8)));
    assert_int_equal(lp_tensor_extent(&f->b.graph->tensors[part]), 2 * 64 + 32);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(activation_joins_linear),
        TEST(gated_pair_becomes_one_linear),
        TEST(gate_of_another_type_stays_apart),
        TEST(what_others_read_is_kept),
        TEST(outputs_are_kept),
        TEST(a_view_counts_as_a_use),
        TEST(sum_joins_norm),
        TEST(sum_that_is_read_before_the_norm_stays),
        TEST(first_failure_is_kept),
        TEST(missing_weight_is_named),
        TEST(views_are_checked),
        TEST(a_frozen_store_takes_no_more),
        TEST(views_lie_in_their_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
