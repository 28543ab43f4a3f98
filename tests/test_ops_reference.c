// The CPU reference against PyTorch, because it judges everything else: numbers made by
// tests/fixtures/ops/make.py, in float64.
#include "graph/plan.h"
#include "ops/ops.h"
#include "ops/simd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

// Inputs: x [2, 5], w and gate [3, 5], bias [3], residual [2, 3], gain and shift [5].
static const float x[] = {1.32270432f,  0.533848226f, 0.123354517f, 1.24263465f,  -0.903811932f,
                          -0.33226046f, -3.04553699f, 0.763367832f, -2.05521727f, -1.12610555f};
static const float w[] = {-0.892290533f, -0.0582501777f, -0.195509583f, -0.965635955f,
                          0.422415316f,  0.267316997f,   -0.421195149f, -0.510699987f,
                          -1.57266521f,  -0.123247758f,  3.5869894f,    -1.83129013f,
                          1.59870028f,   -1.27700698f,   0.325501531f};
static const float gate[] = {-0.479144931f, 1.37900829f,   2.5285573f,    0.410741657f,
                             -0.988007128f, -0.908073366f, 0.542273641f,  0.110254891f,
                             -2.2590096f,   0.606699586f,  -0.138309658f, 0.831016302f,
                             -0.247707456f, -0.802940965f, 0.23657468f};
static const float bias[] = {0.285692751f, 0.689814866f, -0.633054018f};
static const float residual[] = {0.879475296f, -0.684178174f, 0.45329079f,
                                 0.291157961f, -0.831716597f, -0.552508295f};
static const float gain[] = {0.635477304f, -0.396815807f, -0.657059848f, -1.64275241f,
                             0.980291724f};
static const float shift[] = {-0.0421470627f, -0.820575774f, 0.313299507f, -1.13516653f,
                              0.377333701f};

// act(x w^T + bias), per lp_act_kind
static const float linear[][6] = {
    [LP_ACT_NONE] = {-2.53147423f, -1.08731072f, 1.45000296f, 2.11923042f, 4.86486815f,
                     7.23076715f},
    [LP_ACT_RELU] = {0.0f, 0.0f, 1.45000296f, 2.11923042f, 4.86486815f, 7.23076715f},
    [LP_ACT_GELU_ERF] = {-0.014376769f, -0.150537904f, 1.34338591f, 2.08312827f, 4.86486537f,
                         7.23076715f},
    [LP_ACT_GELU_TANH] = {-0.0139270239f, -0.150720185f, 1.34315853f, 2.08332881f, 4.86486759f,
                          7.23076715f},
    [LP_ACT_GELU_QUICK] = {-0.0336033198f, -0.147659113f, 1.33670117f, 2.06324424f, 4.86363505f,
                           7.23073446f},
    [LP_ACT_SILU] = {-0.186521461f, -0.274138243f, 1.17450079f, 1.89196048f, 4.82763336f,
                     7.22553612f},
};
// silu(x w^T + bias) (x gate^T + bias) + residual
static const float gated[] = {0.487147877f, 0.292760435f, -1.44293761f,
                              -2.65324497f, 15.5036918f,  -14.4491789f};
static const float layer_norm[] = {0.626158741f,   -0.854634164f, 0.587133044f,  -2.70173936f,
                                   -1.26402739f,   0.355244434f,  -0.254479344f, -0.64201459f,
                                   -0.0219407335f, 0.401831726f};
static const float rms_norm[] = {0.894932283f,  -0.22554548f,  -0.0862953403f, -2.17341637f,
                                 -0.943323745f, -0.120074975f, 0.687268822f,   -0.285241416f,
                                 1.92001071f,   -0.627781096f};
static const float softmax[] = {0.185891479f, -0.885275334f, 0.242236736f,  -1.67930134f,
                                0.415291395f, 0.0934063613f, -0.826189334f, -0.105919242f,
                                -1.19772871f, 0.471871011f};

static lp_view vector(const float *data, int64_t n)
{
    return (lp_view){(void *)(uintptr_t)data, LP_F32, LP_SHAPE1(n), 1};
}

static lp_view matrix(const float *data, int64_t rows, int64_t n)
{
    return (lp_view){(void *)(uintptr_t)data, LP_F32, LP_SHAPE2(rows, n), (uint64_t)n};
}

// One unit in the last place of the rounded result, and a little for what is near 0.
static void expect(const float *want, const float *got, int n)
{
    for (int i = 0; i < n; i++)
        if (!(fabsf(want[i] - got[i]) <= 2e-7f * fmaxf(fabsf(want[i]), 0.1f))) {
            fail_msg("element %d: want %.9g, got %.9g", i, (double)want[i], (double)got[i]);
        }
}

static void linear_equals_pytorch(void **state)
{
    (void)state;
    const lp_simd *const ways[] = {NULL, &lp_simd_portable, lp_simd_choose()};
    for (int way = 0; way < 3; way++)
        for (int act = LP_ACT_NONE; act <= LP_ACT_SILU; act++) {
            float y[6];
            const lp_node node = {.op = LP_OP_LINEAR, .name = "linear", .p.linear.act = act};
            lp_cpu_call call = {.node = &node, .simd = ways[way]};
            call.src[0] = matrix(x, 2, 5);
            call.src[1] = matrix(w, 3, 5);
            call.src[2] = vector(bias, 3);
            call.dst[0] = matrix(y, 2, 3);
            assert_int_equal(lp_op_linear_cpu(&call), LP_OK);
            if (way == 0)
                expect(linear[act], y, 6);
            else
                for (int i = 0; i < 6; i++)
                    assert_true(fabsf(linear[act][i] - y[i]) < 3e-6f);
        }
}

static void gated_linear_equals_pytorch(void **state)
{
    (void)state;
    float y[6];
    const lp_node node = {.op = LP_OP_LINEAR, .name = "linear", .p.linear.act = LP_ACT_SILU};
    lp_cpu_call call = {.node = &node};
    call.src[0] = matrix(x, 2, 5);
    call.src[1] = matrix(w, 3, 5);
    call.src[2] = vector(bias, 3);
    call.src[3] = matrix(gate, 3, 5);
    call.src[4] = matrix(residual, 2, 3);
    call.src[5] = vector(bias, 3);
    call.dst[0] = matrix(y, 2, 3);
    assert_int_equal(lp_op_linear_cpu(&call), LP_OK);
    expect(gated, y, 6);
}

static void norms_equal_pytorch(void **state)
{
    (void)state;
    float y[10], sum[10], minus[10];
    lp_node node = {.op = LP_OP_NORM, .name = "norm", .p.norm = {LP_NORM_LAYER, 1e-5f}};
    lp_cpu_call call = {.node = &node};
    call.src[0] = matrix(x, 2, 5);
    call.src[1] = vector(gain, 5);
    call.src[2] = vector(shift, 5);
    call.dst[0] = matrix(y, 2, 5);
    assert_int_equal(lp_op_norm_cpu(&call), LP_OK);
    expect(layer_norm, y, 10);

    node.p.norm.kind = LP_NORM_SOFTMAX;
    assert_int_equal(lp_op_norm_cpu(&call), LP_OK);
    expect(softmax, y, 10);

    // the residual is added first, and the sum comes out
    node.p.norm.kind = LP_NORM_RMS;
    node.p.norm.eps = 1e-6f;
    for (int i = 0; i < 10; i++)
        minus[i] = x[i] / -2;
    float twice[10];
    for (int i = 0; i < 10; i++)
        twice[i] = x[i] * 1.5f;
    call.src[0] = matrix(minus, 2, 5);
    call.src[2] = (lp_view){0};
    call.src[3] = matrix(twice, 2, 5);
    call.dst[1] = matrix(sum, 2, 5);
    assert_int_equal(lp_op_norm_cpu(&call), LP_OK);
    expect(rms_norm, y, 10);
    expect(x, sum, 10);
}

static void activations_stay_finite(void **state)
{
    (void)state;
    for (int act = LP_ACT_NONE; act <= LP_ACT_SILU; act++) {
        assert_true(lp_act_exact(act, 3e38) == 3e38);
        assert_true(lp_act_exact(act, 0) == 0);
        assert_true(lp_act_exact(act, -3e38) == (act == LP_ACT_NONE ? -3e38 : 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_equals_pytorch),
        cmocka_unit_test(gated_linear_equals_pytorch),
        cmocka_unit_test(norms_equal_pytorch),
        cmocka_unit_test(activations_stay_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
