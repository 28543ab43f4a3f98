// Attention's reference (src/ops/attention.c) against PyTorch, its fast path against the reference,
// and the choice of tiles at every limit. Kernels are compared with the reference in test_ops.c.
//
// The expected numbers were printed by this (torch 2.15):
//     import torch, torch.nn.functional as F
//     def x(n, a): return torch.tensor([((i * a + 11) % 64 - 32) / 16 for i in range(n)],
//     dtype=torch.float64) def show(name, t):
//         v = [f"{y:.9g}" for y in t.flatten().tolist()]
//         print(f"static const float {name}[] = {{")
//         for i in range(0, len(v), 6): print("    " + ", ".join(v[i:i+6]) + ",")
//         print("};")
//     T, H, G, DK, DV, P = 3, 4, 2, 6, 4, 2
//     q, k, v = x(T*H*DK, 37).view(T, H, DK), x(5*G*DK, 29).view(5, G, DK), x(5*G*DV, 23).view(5,
//     G, DV) for w in 0, 2:
//         i, j = torch.arange(T)[:, None] + P, torch.arange(5)[None]
//         mask = (j <= i) & (j > i - w if w else j >= 0)
//         y = F.scaled_dot_product_attention(q.transpose(0, 1), k.transpose(0, 1), v.transpose(0,
//         1),
//                                            attn_mask=mask, scale=0.4, enable_gqa=True)
//         show(f"expected_window_{w}", y.transpose(0, 1))
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/half.h"
#include "ops/attention.h"
#include "ops/simd.h"

static const float expected_window_0[] = {
    -0.510982418, -0.184812999, 1.252687,     -1.309813,     0.526658949,   -0.625577459,
    0.811922541,  -1.75057746,  -0.084158849, 1.35334115,    -1.20915885,   0.228341151,
    -0.034646876, 1.40285312,   -1.15964688,  0.277853124,   -0.0338666248, -0.791391243,
    0.646108757,  0.136301997,  0.601762399,  -0.624921901,  0.812578099,   -1.69474874,
    -0.395249056, 1.04225094,   -0.14049825,  -0.0827490557, -0.192891272,  1.24460873,
    -1.26399846,  0.119608728,  -0.431402209, -0.824022264,  0.613477736,   -0.130522389,
    0.516348583,  -0.810188213, 0.627311787,  -0.795772745,  -0.756129481,  0.681370519,
    0.486633738,  -0.443629481, -0.397328152, 1.04017185,    -0.514838594,  -0.0848281518,
};
static const float expected_window_2[] = {
    1.03253561,   -0.781433659, 0.656066341, -1.90643366,  0.841786173,  -0.754183739, 0.683316261,
    -1.87918374,  -0.117966312, 1.31953369,  -1.24296631,  0.194533688,  -0.553451532, 0.884048468,
    -1.67845153,  -0.240951532, 1.21992136,  -1.34257864,  0.0949213625, 1.27305046,   1.67714539,
    -0.885354606, 0.552145394,  -1.92751776, -1.00885613,  0.428643867,  1.43699293,   -0.696356133,
    -0.573373952, 0.864126048,  -1.61138233, -0.260873952, 1.14708972,   -1.41541028,  0.0220897211,
    1.45958972,   0.837872789,  -1.72462721, -0.287127211, 1.15037279,   -1.23049119,  0.207008814,
    1.64450881,   -0.917991186, -1.21684509, 0.220654913,  1.65815491,   -0.904345087,
};

// The fixture's inputs: exact in f32 and f16.
static void fill(float *x, int n, int a)
{
    for (int i = 0; i < n; i++)
        x[i] = (float)((i * a + 11) % 64 - 32) / 16;
}

// T, H, G, Dk, Dv, C, cursor, window; f16 says what the cache holds.
typedef struct shape {
    int t, h, g, dk, dv, c, position, window;
    bool f16, fast;
} shape;

static void attend(const shape *s, const float *q, const float *k, const float *v, float *y)
{
    int nk = s->c * s->g * s->dk, nv = s->c * s->g * s->dv;
    uint16_t *half = malloc((size_t)(nk + nv) * sizeof *half);
    assert_non_null(half);
    for (int i = 0; i < nk; i++)
        half[i] = lp_f32_to_f16(k[i]);
    for (int i = 0; i < nv; i++)
        half[nk + i] = lp_f32_to_f16(v[i]);
    int32_t cursor[LP_CURSOR_WORDS] = {s->position};
    lp_node node = {.op = LP_OP_ATTENTION,
                    .name = "attn",
                    .p.attention = {.scale = 0.4f, .kv_max = s->c, .window = s->window}};
    lp_dtype type = s->f16 ? LP_F16 : LP_F32;
    lp_cpu_call call = {
        .node = &node,
        .simd = s->fast ? lp_simd_choose() : NULL,
        .src = {{(void *)q, LP_F32, LP_SHAPE3(s->t, s->h, s->dk), (uint64_t)(s->h * s->dk)},
                {s->f16 ? (void *)half : (void *)k, type, LP_SHAPE3(s->c, s->g, s->dk),
                 (uint64_t)(s->g * s->dk)},
                {s->f16 ? (void *)(half + nk) : (void *)v, type, LP_SHAPE3(s->c, s->g, s->dv),
                 (uint64_t)(s->g * s->dv)},
                {cursor, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1}},
        .dst = {{y, LP_F32, LP_SHAPE3(s->t, s->h, s->dv), (uint64_t)(s->h * s->dv)}},
    };
    assert_int_equal(lp_op_attention_cpu(&call), LP_OK);
    free(half);
}

static void reference_equals_pytorch(void **state)
{
    (void)state;
    float q[72], k[60 + 12], v[40 + 8], y[48];
    fill(q, 72, 37);
    fill(k, 60, 29);
    fill(v, 40, 23);
    for (int i = 60; i < 72; i++) // a row that no token sees
        k[i] = NAN;
    for (int i = 40; i < 48; i++)
        v[i] = NAN;
    for (int i = 0; i < 8; i++) {
        shape s = {3, 4, 2, 6, 4, 6, 2, i & 1 ? 2 : 0, (i & 2) != 0, (i & 4) != 0};
        const float *expected = i & 1 ? expected_window_2 : expected_window_0;
        attend(&s, q, k, v, y);
        for (int j = 0; j < 48; j++)
            assert_float_equal(y[j], expected[j], s.fast ? 2e-6 : 2e-7);
    }
}

static void fast_path_equals_reference(void **state)
{
    (void)state;
    static const shape shapes[] = {
        {1, 4, 4, 64, 64, 200, 199, 0, true, false},
        {5, 8, 1, 20, 8, 100, 37, 0, true, false},
        {33, 6, 2, 80, 80, 64, 20, 7, false, false},
        {2, 2, 2, 576, 512, 50, 40, 0, true, false},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        shape s = shapes[i];
        int nq = s.t * s.h * s.dk, nk = s.c * s.g * s.dk, nv = s.c * s.g * s.dv;
        int ny = s.t * s.h * s.dv;
        float *q = malloc((size_t)(nq + nk + nv + 2 * ny) * sizeof *q), *k = q + nq, *v = k + nk;
        float *exact = v + nv, *fast = exact + ny;
        assert_non_null(q);
        fill(q, nq, 37);
        fill(k, nk, 29);
        fill(v, nv, 23);
        v[3] = 0x1p-20f; // subnormal in f16
        attend(&s, q, k, v, exact);
        s.fast = true;
        attend(&s, q, k, v, fast);
        double error = 0, norm = 0;
        for (int j = 0; j < ny; j++) {
            error += pow((double)exact[j] - (double)fast[j], 2);
            norm += pow((double)exact[j], 2);
        }
        assert_true(norm > 0 && error < 1e-10 * norm);
        free(q);
    }
}

// A row that sees no key is zero: here the window lies past the end of the cache.
static void a_row_without_keys_is_zero(void **state)
{
    (void)state;
    float q[12] = {1, 2, 3, 4, 5, 6}, k[24] = {1}, v[16] = {1}, y[8];
    for (int fast = 0; fast < 2; fast++) {
        shape s = {1, 2, 2, 6, 4, 2, 10, 3, false, fast != 0};
        for (int i = 0; i < 8; i++)
            y[i] = NAN;
        attend(&s, q, k, v, y);
        for (int i = 0; i < 8; i++)
            assert_true(y[i] == 0);
    }
}

// Whatever the head sizes and the device, the tiles fit, and threads have work that they can hold.
static void check_tiles(const lp_caps *caps, uint32_t tokens, uint32_t heads, uint32_t dk,
                        uint32_t dv)
{
    lp_attention_tiles t = lp_attention_choose(caps, tokens, heads, 1, dk, dv, 4096, 0);
    assert_true(lp_attention_shared(&t, dk) <= caps->max_shared_bytes);
    assert_true(t.workgroup <= caps->max_workgroup_invocations);
    assert_true(t.n_rows >= 1 && t.n_splits >= 1 && t.n_splits <= LP_MAX_SPLITS);
    switch (t.kind) {
    case LP_ATTENTION_DECODE:
        assert_true(tokens <= LP_DECODE_TOKENS && t.n_rows < 2 * tokens * heads);
        assert_true(t.workgroup % t.n_rows == 0);
        break;
    case LP_ATTENTION_PREFILL:
        assert_true(tokens > LP_DECODE_TOKENS && t.n_splits == 1);
        assert_true(t.n_rows % (t.workgroup / 8) == 0 && t.n_keys % 32 == 0);
        break;
    case LP_ATTENTION_ROWS:
        assert_true(caps->is_cpu && t.n_splits == 1 && t.n_rows % t.workgroup == 0);
        // unrolled multiply-adds of a tile: more would take seconds to compile
        assert_true(t.n_rows / t.workgroup * t.n_keys * (dk + dv) <= 2304);
        break;
    }
}

static void tiles_fit_every_device(void **state)
{
    (void)state;
    static const uint32_t shared[] = {16384, 32768, 49152, 65536, 233472},
                          tokens[] = {1, 8, 9, 512};
    for (uint32_t dk = 2; dk <= LP_MAX_HEAD; dk += 2)
        for (uint32_t i = 0; i < 10; i++)
            for (uint32_t j = 0; j < 4; j++)
                for (uint32_t heads = 1; heads <= 64; heads *= 4) {
                    lp_caps caps = lp_caps_minimum;
                    caps.max_shared_bytes = shared[i % 5];
                    caps.n_cores = 1 + i * 30;
                    caps.is_cpu = i >= 5;
                    caps.subgroup_size = 1u << i % 7;
                    check_tiles(&caps, tokens[j], heads, dk, dk > 64 ? dk - 64 : dk);
                }
}

// Splits follow the cache's length and the device's size, but never exceed what a window shows.
static void splits_fill_the_device(void **state)
{
    (void)state;
    lp_caps caps = lp_caps_minimum;
    caps.n_cores = 128;
    assert_int_equal(lp_attention_choose(&caps, 1, 32, 8, 128, 128, 128, 0).n_splits, 1);
    assert_int_equal(lp_attention_choose(&caps, 1, 32, 8, 128, 128, 4096, 0).n_splits, 32);
    assert_int_equal(lp_attention_choose(&caps, 1, 32, 8, 128, 128, 131072, 0).n_splits, 64);
    assert_int_equal(lp_attention_choose(&caps, 1, 32, 8, 128, 128, 131072, 512).n_splits, 5);
}

static void cpu_implementations_take_rows(void **state)
{
    (void)state;
    lp_caps caps = lp_caps_minimum;
    caps.is_cpu = true;
    caps.subgroup_size = 8;
    caps.n_cores = 2;
    assert_int_equal(lp_attention_choose(&caps, 1, 4, 1, 64, 64, 512, 0).kind, LP_ATTENTION_ROWS);
    assert_int_equal(lp_attention_choose(&caps, 512, 12, 4, 64, 64, 512, 0).n_rows, 16);
    caps.n_cores = 64; // one workgroup for 64 cores: rather split the keys
    assert_int_equal(lp_attention_choose(&caps, 1, 4, 1, 64, 64, 512, 0).kind, LP_ATTENTION_DECODE);
    assert_int_equal(lp_attention_choose(&caps, 1, 4, 1, 64, 64, 512, 0).n_splits, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_equals_pytorch),
        cmocka_unit_test(fast_path_equals_reference),
        cmocka_unit_test(a_row_without_keys_is_zero),
        cmocka_unit_test(tiles_fit_every_device),
        cmocka_unit_test(splits_fill_the_device),
        cmocka_unit_test(cpu_implementations_take_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
