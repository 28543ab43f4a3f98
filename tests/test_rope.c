// Rotary embedding's reference (src/ops/rope.c) against PyTorch's complex numbers (adjacent pairs)
// and the transformers library (halves). Kernels are compared with the reference in test_ops.c.
//
// The expected numbers were printed by this (torch 2.15, transformers 5.23):
//     import torch
//     def x(n, a): return torch.tensor([((i * a + 11) % 64 - 32) / 16 for i in range(n)],
//     dtype=torch.float64) def show(name, t):
//         v = [f"{y:.9g}" for y in t.flatten().tolist()]
//         print(f"static const float {name}[] = {{")
//         for i in range(0, len(v), 6): print("    " + ", ".join(v[i:i+6]) + ",")
//         print("};")
//     P, T, H, D, N = 1000, 2, 2, 8, 6
//     f = 10000.0 ** (-torch.arange(0, N, 2, dtype=torch.float64) / N)
//     a = torch.outer(torch.arange(P, P + T, dtype=torch.float64), f)
//     r = torch.polar(torch.ones_like(a), a)[:, None]
//     y = x(T*H*D, 37).view(T, H, D)
//     z = torch.view_as_complex(y[..., :N].reshape(T, H, N // 2, 2).contiguous())
//     show("expected_adjacent", torch.cat([torch.view_as_real(z * r).flatten(2), y[..., N:]], -1))
//     from transformers.models.llama.modeling_llama import apply_rotary_pos_emb
//     emb = torch.cat([a, a], -1)[None]
//     h = y[..., :N].transpose(0, 1)[None]
//     show("expected_halves", torch.cat([apply_rotary_pos_emb(h, h, emb.cos(),
//     emb.sin())[0][0].transpose(0, 1), y[..., N:]], -1))
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ops/ops.h"

static const float expected_adjacent[] = {
    -1.56500208, -0.522900321, -0.534496535, -1.68154533, 1.49475209,  0.912207451, 0.5625,  -1.125,
    1.08126492,  0.700729916,  -1.45817892,  1.08374142,  0.235189559, -1.71714651, -0.9375, 1.375,
    1.96246258,  0.496383797,  0.598188463,  1.27689146,  0.106649118, 1.19583954,  1.5625,  -0.125,
    0.25039673,  -1.86345317,  0.245795413,  -1.61720928, -1.14724572, -1.43622195, 0.0625,  -1.625,
};
static const float expected_halves[] = {
    -2.08180179, -0.719018268, 1.83916688, -0.171413398, 0.697795802,   0.390667946,  0.5625,
    -1.125,      0.564465211,  1.39595163, -1.62465029,  1.05221684,    0.861815119,  1.09916682,
    -0.9375,     1.375,        1.38746846, 1.00206755,   0.452186727,   0.251421029,  -1.96844275,
    0.675043268, 1.5625,       -0.125,     -0.324597394, -0.0489271664, -0.801708116, -2.10841594,
    0.751007578, -1.95701823,  0.0625,     -1.625,
};

// The fixture's inputs: exact in f32 and f16.
static void fill(float *x, int n, int a)
{
    for (int i = 0; i < n; i++)
        x[i] = (float)((i * a + 11) % 64 - 32) / 16;
}

static void reference_equals_pytorch(void **state)
{
    (void)state;
    double frequencies[3];
    for (int i = 0; i < 3; i++)
        frequencies[i] = pow(10000, -2.0 * i / 6);
    float x[32], wide[2 * 20];
    fill(x, 32, 37);
    for (int t = 0; t < 2; t++) // a view: rows of a wider matrix
        memcpy(wide + 20 * t, x + 16 * t, 16 * sizeof *x);
    int32_t cursor[LP_CURSOR_WORDS] = {1000};
    for (int halves = 0; halves < 2; halves++) {
        float y[32];
        lp_node node = {.op = LP_OP_ROPE,
                        .name = "rope",
                        .p.rope = {.pairing = halves ? LP_ROPE_HALVES : LP_ROPE_ADJACENT,
                                   .n_rotated = 6,
                                   .frequencies = frequencies,
                                   .scale = 1}};
        lp_cpu_call call = {.node = &node,
                            .src = {{wide, LP_F32, LP_SHAPE3(2, 2, 8), 20},
                                    {cursor, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1}},
                            .dst = {{y, LP_F32, LP_SHAPE3(2, 2, 8), 16}}};
        assert_int_equal(lp_op_rope_cpu(&call), LP_OK);
        for (int i = 0; i < 32; i++)
            assert_float_equal(y[i], halves ? expected_halves[i] : expected_adjacent[i], 2e-7);
    }
}

// ChatGLM's two positions: those that its authors' code gives the tokens of "x x [gMASK] x <sop> x
// x", by halves of a head that are turned as if they were heads of their own.
static void two_axes_are_two_heads(void **state)
{
    (void)state;
    static const int32_t first[] = {0, 1, 2, 3, 2, 2, 2}, second[] = {0, 0, 0, 0, 1, 2, 3};
    const double frequencies[] = {1, 0.01, 1, 0.01};
    float x[7 * 8], y[7 * 8];
    fill(x, 7 * 8, 37);
    for (int halves = 0; halves < 2; halves++) {
        const lp_rope_pairing pairing = halves ? LP_ROPE_HALVES : LP_ROPE_ADJACENT;
        const int32_t cursor[LP_CURSOR_WORDS] = {[LP_CURSOR_SOURCE] = 4, [LP_CURSOR_BLANK] = 2};
        lp_node node = {.op = LP_OP_ROPE,
                        .p.rope = {pairing, .n_rotated = 8, .two_axes = true,
                                   .frequencies = frequencies, .scale = 1}};
        lp_cpu_call call = {
            .node = &node,
            .src = {{x, LP_F32, LP_SHAPE3(7, 1, 8), 8},
                    {(void *)(uintptr_t)cursor, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1}},
            .dst = {{y, LP_F32, LP_SHAPE3(7, 1, 8), 8}}};
        assert_int_equal(lp_op_rope_cpu(&call), LP_OK);
        for (int t = 0; t < 7; t++)
            for (int half = 0; half < 2; half++) {
                float want[4];
                int32_t at[LP_CURSOR_WORDS] = {half ? second[t] : first[t]};
                lp_node plain = {
                    .op = LP_OP_ROPE,
                    .p.rope = {pairing, .n_rotated = 4, .frequencies = frequencies, .scale = 1}};
                lp_cpu_call one = {.node = &plain,
                                   .src = {{x + 8 * t + 4 * half, LP_F32, LP_SHAPE3(1, 1, 4), 4},
                                           {at, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1}},
                                   .dst = {{want, LP_F32, LP_SHAPE3(1, 1, 4), 4}}};
                assert_int_equal(lp_op_rope_cpu(&one), LP_OK);
                assert_memory_equal(want, y + 8 * t + 4 * half, sizeof want);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_equals_pytorch),
        cmocka_unit_test(two_axes_are_two_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
