// Every mask and every extra of attention: the reference and the fast path against numbers that
// tests/fixtures/ops/make_attention.py made with numpy, caches of either type, keys nobody sees
// NaN; and what attention refuses. Kernels are compared with the reference in test_ops.c.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/half.h"
#include "graph/builder.h"
#include "ops/attention.h"
#include "ops/simd.h"

enum { CONTEXT = 14, MOST = 512 };

typedef struct kind {
    const char *name;
    int t, h, g, dk, dv, position, kv_max;
    lp_mask_kind mask;
    int window, stride, summary, n_source;
    float softcap;
    int reach; // of the table; 0: slopes; -1: no bias
    bool sinks;
    const float *expected;
} kind;

#include "fixtures/ops/attention_kinds.h"
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static void fill(float *x, int n, int a)
{
    for (int i = 0; i < n; i++)
        x[i] = (float)((i * a + 11) % 64 - 32) / 16;
}

static lp_view heads(void *x, lp_dtype type, int64_t t, int64_t h, int64_t d)
{
    return (lp_view){x, type, LP_SHAPE3(t, h, d), (uint64_t)(h * d)};
}

static void halves(const float *x, uint16_t *to, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = lp_f32_to_f16(x[i]);
}

// Slopes and sinks as weights may be: bf16.
static void brain_floats(const float *x, uint16_t *to, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = (uint16_t)(lp_f32_bits(x[i]) >> 16);
}

/* simd: of the `cpu` device; NULL: the reference. */
static void check_kind(const kind *c, bool f16, const lp_simd *simd)
{
    float q[MOST], k[MOST], v[MOST], y[MOST], sigma[MOST], bias[MOST], sinks[MOST];
    uint16_t half_k[MOST], half_v[MOST], short_bias[MOST], short_sinks[MOST];
    int32_t cursor[LP_CURSOR_WORDS] = {c->position, 0, c->n_source};
    const int n_y = c->t * c->h * c->dv, n_keys = c->kv_max;
    const bool from_source = c->n_source > 0 && c->mask == LP_MASK_FULL;
    const int seen = from_source ? c->n_source : n_keys;
    fill(q, c->t * c->h * c->dk, 37);
    fill(k, CONTEXT * c->g * c->dk, 29);
    fill(v, CONTEXT * c->g * c->dv, 23);
    for (int i = seen * c->g * c->dk; i < CONTEXT * c->g * c->dk; i++)
        k[i] = NAN;
    for (int i = seen * c->g * c->dv; i < CONTEXT * c->g * c->dv; i++)
        v[i] = NAN;
    halves(k, half_k, CONTEXT * c->g * c->dk);
    halves(v, half_v, CONTEXT * c->g * c->dv);
    fill(sinks, c->h, 5);
    brain_floats(sinks, short_sinks, c->h);
    fill(bias, c->h * (2 * (c->reach > 0 ? c->reach : 0) + 1), c->reach > 0 ? 19 : 13);
    for (int i = 0; i < c->h && c->reach == 0; i++)
        bias[i] = (bias[i] + 2) / 8;
    brain_floats(bias, short_bias, c->h);

    const bool fast = simd != NULL;
    lp_node node = {.op = LP_OP_ATTENTION, .name = "attn"};
    node.p.attention.scale = 0.4f;
    node.p.attention.kv_max = n_keys;
    node.p.attention.mask = c->mask;
    node.p.attention.window = c->window;
    node.p.attention.stride = c->stride;
    node.p.attention.summary = c->summary;
    node.p.attention.from_source = from_source;
    node.p.attention.softcap = c->softcap;
    lp_cpu_call call = {.node = &node, .simd = simd, .sigma = fast ? NULL : sigma};
    const lp_dtype type = f16 ? LP_F16 : LP_F32;
    call.src[0] = heads(q, LP_F32, c->t, c->h, c->dk);
    call.src[1] = heads(f16 ? (void *)half_k : (void *)k, type, CONTEXT, c->g, c->dk);
    call.src[2] = heads(f16 ? (void *)half_v : (void *)v, type, CONTEXT, c->g, c->dv);
    call.src[3] = (lp_view){cursor, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1};
    if (c->reach > 0)
        call.src[4] = (lp_view){bias, LP_F32, LP_SHAPE2(c->h, 2 * c->reach + 1),
                                (uint64_t)(2 * c->reach + 1)};
    else if (c->reach == 0)
        call.src[4] = (lp_view){f16 ? (void *)short_bias : (void *)bias, f16 ? LP_BF16 : LP_F32,
                                LP_SHAPE1(c->h), 1};
    if (c->sinks)
        call.src[5] = (lp_view){f16 ? (void *)short_sinks : (void *)sinks, f16 ? LP_BF16 : LP_F32,
                                LP_SHAPE1(c->h), 1};
    call.dst[0] = heads(y, LP_F32, c->t, c->h, c->dv);
    for (int i = 0; i < n_y; i++)
        y[i] = NAN;
    assert_int_equal(lp_op_attention_cpu(&call), LP_OK);
    for (int i = 0; i < n_y; i++) {
        if (!(fabsf(y[i] - c->expected[i]) <= (fast ? 2e-6f : 2e-7f)))
            fail_msg("%s%s: element %d: want %.9g, got %.9g", c->name, fast ? ", fast" : "", i,
                     (double)c->expected[i], (double)y[i]);
        assert_true(fast || (sigma[i] > 0 && sigma[i] < 1e-5f));
    }
}

static void kinds_equal_numpy(void **state)
{
    (void)state;
    const lp_simd *const ways[] = {NULL, &lp_simd_portable, lp_simd_choose()};
    for (int i = 0; i < N_KINDS; i++)
        for (int way = 0; way < 6; way++)
            check_kind(&kinds[i], way & 1, ways[way / 2]);
}

// An infinite value reaches those who see it, and nobody else, however many rows are computed together.
static void infinities_stay_where_they_are(void **state)
{
    (void)state;
    enum { T = 6, D = 8, LAST = T - 1 };
    float q[T * D], k[T * D], v[T * D], y[2][T * D];
    int32_t cursor[LP_CURSOR_WORDS] = {0};
    lp_node node = {.op = LP_OP_ATTENTION, .name = "attn"};
    node.p.attention.scale = 0.4f;
    node.p.attention.kv_max = T;
    node.p.attention.mask = LP_MASK_CAUSAL;
    fill(q, T * D, 37);
    fill(k, T * D, 29);
    fill(v, T * D, 23);
    lp_cpu_call call = {.node = &node, .simd = lp_simd_choose()};
    call.src[0] = heads(q, LP_F32, T, 1, D);
    call.src[1] = heads(k, LP_F32, T, 1, D);
    call.src[2] = heads(v, LP_F32, T, 1, D);
    call.src[3] = (lp_view){cursor, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1};
    for (int run = 0; run < 2; run++) {
        call.dst[0] = heads(y[run], LP_F32, T, 1, D);
        v[LAST * D + 2] = run == 0 ? 1 : INFINITY;
        assert_int_equal(lp_op_attention_cpu(&call), LP_OK);
    }
    for (int i = 0; i < LAST * D; i++)
        assert_true(fabsf(y[0][i] - y[1][i]) < 1e-6f);
    assert_true(y[1][LAST * D + 2] == INFINITY);
    assert_true(isfinite(y[1][LAST * D + 1]));
}

// The fixture tells all kinds of one shape apart.
static void kinds_differ(void **state)
{
    (void)state;
    for (int i = 0; i < N_KINDS; i++)
        for (int j = 0; j < i; j++) {
            const kind *a = &kinds[i], *b = &kinds[j];
            const int n = a->t * a->h * a->dv;
            if (n == b->t * b->h * b->dv &&
                memcmp(a->expected, b->expected, (size_t)n * sizeof(float)) == 0)
                fail_msg("%s and %s give the same", a->name, b->name);
        }
}

// ---- What is refused

enum { T = 3, H = 4, G = 2, D = 8, C = 20 };

typedef struct attempt {
    lp_builder b;
    lp_tensor_id q, k, v, cursor, slopes, sinks;
    lp_attention_options options;
} attempt;

typedef void (*change)(attempt *a);

static void no_change(attempt *a)
{
    a->options.softcap = 30;
}
static void softcap_negative(attempt *a)
{
    a->options.softcap = -1;
}
static void softcap_nan(attempt *a)
{
    a->options.softcap = NAN;
}
static void mask_unknown(attempt *a)
{
    a->options.mask = LP_N_MASKS;
}
static void no_stride(attempt *a)
{
    a->options.mask = LP_MASK_CHUNKED;
}
static void stride_negative(attempt *a)
{
    a->options.mask = LP_MASK_STRIDED;
    a->options.stride = -4;
}
static void summary_too_long(attempt *a)
{
    a->options.mask = LP_MASK_FIXED;
    a->options.stride = 4;
    a->options.summary = 5;
}
static void no_summary(attempt *a)
{
    a->options.mask = LP_MASK_FIXED;
    a->options.stride = 4;
}
static void window_and_stride(attempt *a)
{
    a->options.mask = LP_MASK_CHUNKED;
    a->options.stride = 4;
    a->options.window = 2;
}
static void prefix(attempt *a)
{
    a->options.mask = LP_MASK_PREFIX;
}
static void prefix_with_window(attempt *a)
{
    a->options.mask = LP_MASK_PREFIX;
    a->options.window = 3;
}
static void source_but_causal(attempt *a)
{
    a->options.from_source = true;
}
static void too_few_keys(attempt *a)
{
    a->options.kv_max = T - 1;
}
static void no_keys(attempt *a)
{
    a->options.mask = LP_MASK_FULL;
    a->options.kv_max = 0;
}
static void keys_past_the_cache(attempt *a)
{
    a->options.mask = LP_MASK_FULL;
    a->options.kv_max = C + 1;
}
static void few_keys_all_seen(attempt *a)
{
    a->options.mask = LP_MASK_FULL;
    a->options.kv_max = 1;
}
static void slopes_of_other_heads(attempt *a)
{
    a->slopes = lp_table_tensor(&a->b, "others", LP_SHAPE1(H + 1), (float[H + 1]){0});
}
static void slopes_whole(attempt *a)
{
    a->slopes = lp_table_tensor(&a->b, "whole", LP_SHAPE1(H), (float[H]){0});
}
static void table_even(attempt *a)
{
    a->slopes = lp_table_tensor(&a->b, "even", LP_SHAPE2(H, 4), (float[4 * H]){0});
}
static void table_whole(attempt *a)
{
    a->slopes = lp_table_tensor(&a->b, "odd", LP_SHAPE2(H, 5), (float[5 * H]){0});
}
static void table_of_three(attempt *a)
{
    a->slopes = lp_table_tensor(&a->b, "three", LP_SHAPE3(H, 5, 1), (float[5 * H]){0});
}
static void sinks_of_other_heads(attempt *a)
{
    a->sinks = lp_table_tensor(&a->b, "sinks", LP_SHAPE1(G), (float[G]){0});
}
static void keys_of_the_graph(attempt *a)
{
    a->k = lp_input(&a->b, "k", LP_SHAPE3(C, G, D));
    a->v = lp_input(&a->b, "v", LP_SHAPE3(C, G, D));
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        change make;
        const char *message; // NULL: it is accepted
    } changes[] = {
        {no_change, NULL},
        {softcap_negative, "attn: softcap -1 is out of range"},
        {softcap_nan, "attn: softcap nan is out of range"},
        {mask_unknown, "attn: mask 7 does not exist"},
        {no_stride, "attn: stride 0 or summary 0 is out of range"},
        {stride_negative, "attn: stride -4 or summary 0 is out of range"},
        {summary_too_long, "attn: stride 4 or summary 5 is out of range"},
        {no_summary, "attn: stride 4 or summary 0 is out of range"},
        {window_and_stride, "attn: kv_max 20 or window 2 is out of range"},
        {prefix, NULL},
        {prefix_with_window, "attn: kv_max 20 or window 3 is out of range"},
        {source_but_causal, "attn: a causal mask does not end with the source"},
        {too_few_keys, "attn: kv_max 2 or window 0 is out of range"},
        {no_keys, "attn: kv_max 0 or window 0 is out of range"},
        {keys_past_the_cache, "attn: kv_max 21 or window 0 is out of range"},
        {few_keys_all_seen, NULL},
        {slopes_of_other_heads, "attn: the bias must be [4], is [5]"},
        {slopes_whole, NULL},
        {table_even, "attn: the bias by distance must be a table [4, 2 M + 1], is [4, 4]"},
        {table_whole, NULL},
        {table_of_three, "attn: the bias must be [4], is [4, 5, 1]"},
        {sinks_of_other_heads, "attn: sinks must be [4], is [2]"},
        {keys_of_the_graph, NULL},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        lp_context ctx = {0};
        lp_store store = {0};
        attempt a = {.slopes = LP_NONE, .sinks = LP_NONE};
        assert_int_equal(lp_builder_start(&a.b, &ctx, &store, NULL, T), LP_OK);
        a.q = lp_input(&a.b, "q", LP_SHAPE3(T, H, D));
        a.k = lp_state_tensor(&a.b, LP_SLOT_STATE, LP_F16, LP_SHAPE3(C, G, D), "keys");
        a.v = lp_state_tensor(&a.b, LP_SLOT_STATE, LP_F16, LP_SHAPE3(C, G, D), "values");
        a.cursor =
            lp_state_tensor(&a.b, LP_SLOT_STATE, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), "cursor");
        a.options = (lp_attention_options){.scale = 1, .kv_max = C};
        changes[i].make(&a);
        const lp_tensor_id y = lp_attention_biased(&a.b, "attn", a.q, a.k, a.v, a.cursor, a.slopes,
                                                   a.sinks, a.options);
        if (changes[i].message == NULL) {
            assert_int_equal(a.b.status, LP_OK);
            assert_true(lp_shape_equal(a.b.graph->tensors[y].shape, LP_SHAPE3(T, H, D)));
        } else {
            assert_int_not_equal(a.b.status, LP_OK);
            assert_string_equal(ctx.message, changes[i].message);
        }
        lp_graph_destroy(a.b.graph);
        lp_store_destroy(&store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_equal_numpy),
        cmocka_unit_test(kinds_differ),
        cmocka_unit_test(infinities_stay_where_they_are),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
