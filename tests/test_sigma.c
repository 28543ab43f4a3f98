// The reference's sigma (src/ops/sigma.h) is neither too small nor too large: what a right fp32
// kernel makes, in any order of summation, passes the gates of lp_difference_agrees(); one element
// wrong by a thousandth of the root mean square, inputs rounded to halves and the usual mistakes do
// not.
#include "base/half.h"
#include "check/compare.h"
#include "ops/ops.h"
#include "ops/sigma.h"
#include "ops/simd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// ---- Data and calls

static uint64_t seed = 1;

static double uniform(void) // [-1, 1): the high bits of a linear congruential generator (Knuth)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) * 0x1p-52 - 1;
}

static double normal(void) // the sum of 12 uniform numbers has variance 4
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += uniform();
    return sum / 2;
}

static float *numbers(int64_t n, double mean, double deviation)
{
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(mean + deviation * normal());
    return x;
}

static lp_view view(const float *data, lp_shape shape)
{
    return (lp_view){(void *)(uintptr_t)data, LP_F32, shape, (uint64_t)lp_shape_row(shape)};
}

typedef lp_status op_function(const lp_cpu_call *call);

// The reference's result and its sigma.
typedef struct judged {
    int64_t n;
    float *want, *sigma, *got; // got: for the test to fill
    double rms;                // of want
} judged;

static judged judge(op_function *op, lp_cpu_call *call, lp_shape shape)
{
    judged j = {.n = lp_shape_elements(shape)};
    j.want = numbers(j.n, 0, 0);
    j.sigma = numbers(j.n, NAN, 0);
    j.got = numbers(j.n, 0, 0);
    call->dst[0] = view(j.want, shape);
    call->sigma = j.sigma;
    assert_int_equal(op(call), LP_OK);
    for (int64_t i = 0; i < j.n; i++) {
        assert_true(j.sigma[i] > 0);
        j.rms += (double)j.want[i] * (double)j.want[i] / (double)j.n;
    }
    j.rms = sqrt(j.rms);
    call->dst[0].data = j.got; // further calls go there
    call->sigma = NULL;
    return j;
}

static void judged_free(judged *j)
{
    free(j->want);
    free(j->sigma);
    free(j->got);
}

static bool agrees(const judged *j)
{
    const lp_difference d = lp_compare(j->want, j->got, j->sigma, (uint64_t)j->n);
    return lp_difference_agrees(&d);
}

// The smallest error of one element that is caught, whichever it is, relative to the root mean
// square: at most `most`.
static void one_wrong_element(judged *j, const char *name, double most)
{
    int64_t worst = 0;
    for (int64_t i = 0; i < j->n; i++)
        if (j->sigma[i] > j->sigma[worst])
            worst = i;
    const double smallest = LP_SIGMA_LARGEST * (double)j->sigma[worst] / j->rms;
    print_message("%-32s one element wrong by %.1e of the rms is caught\n", name, smallest);
    assert_true(smallest < most);
    memcpy(j->got, j->want, (size_t)j->n * sizeof *j->got);
    assert_true(agrees(j));
    j->got[worst] += (float)(most * j->rms);
    assert_false(agrees(j));
}

static void round_to_halves(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = lp_f16_to_f32(lp_f32_to_f16(x[i]));
}

// ---- Sums

// Float sums of many sets of terms: the mean square of their errors is what the formula says, or
// less.
static void sums_in_float(void **state)
{
    (void)state;
    enum { N = 1000, TRIALS = 2000 };
    static const double means[] = {0, 0.1, 3};
    for (int m = 0; m < 3; m++) {
        double error = 0, expected = 0;
        for (int trial = 0; trial < TRIALS; trial++) {
            double sum = 0, squares = 0;
            float in_float = 0;
            for (int i = 0; i < N; i++) {
                const float x = (float)(means[m] + normal());
                in_float += x;
                sum += (double)x;
                squares += (double)x * (double)x;
            }
            error += lp_square((double)in_float - sum) / TRIALS;
            expected += lp_sum_variance(N, squares, sum) / TRIALS;
        }
        print_message("terms %g +- 1: mean square error %.2f of the expected\n", means[m],
                      error / expected);
        assert_true(error < expected && error > 0.3 * expected);
    }
}

static void sums_of_runs(void **state)
{
    (void)state;
    // half of the terms +1, then half -1: partial sums in order are far larger than in a random one
    enum { N = 1000 };
    lp_dot_sums sums = {0};
    for (int i = 0; i < N; i++)
        lp_dot_add(&sums, i < N / 2 ? 1 : -1);
    assert_true(sums.sum == 0 && sums.squares == N);
    assert_true(lp_dot_variance(N, &sums) > 100 * lp_sum_variance(N, sums.squares, sums.sum));
}

// ---- Linear

enum { T = 3, N = 40, MAX_K = 14336 };

typedef enum order { IN_ORDER, LANES, PAIRS, N_ORDERS } order;

// Destroys x.
static float sum_pairs(float *x, int64_t n)
{
    for (; n > 1; n = (n + 1) / 2)
        for (int64_t i = 0; i < n / 2; i++)
            x[i] = i + (n + 1) / 2 < n ? x[i] + x[i + (n + 1) / 2] : x[i];
    return x[0];
}

static float float_dot(const float *x, const float *w, int64_t k, order how)
{
    static float lane[MAX_K];
    const int64_t n = how == IN_ORDER ? 1 : how == LANES ? 64 : k;
    memset(lane, 0, sizeof lane);
    for (int64_t i = 0; i < k; i++)
        lane[i % n] += x[i] * w[i];
    return sum_pairs(lane, n);
}

static void any_order(judged *j, const float *x, const float *w, int64_t k)
{
    for (int how = 0; how < N_ORDERS; how++) {
        for (int64_t i = 0; i < j->n; i++)
            j->got[i] = float_dot(x + i / N * k, w + i % N * k, k, (order)how);
        assert_true(agrees(j));
    }
}

static void linears(void **state)
{
    (void)state;
    static const int64_t sizes[] = {64, 768, 4096, MAX_K};
    for (int s = 0; s < 4; s++) {
        const int64_t k = sizes[s];
        float *x = numbers(T * k, 0, 1), *w = numbers(N * k, 0, 0.02);
        const lp_node node = {.op = LP_OP_LINEAR, .name = "linear"};
        lp_cpu_call call = {.node = &node};
        call.src[0] = view(x, LP_SHAPE2(T, k));
        call.src[1] = view(w, LP_SHAPE2(N, k));
        judged j = judge(lp_op_linear_cpu, &call, LP_SHAPE2(T, N));
        char name[64];
        snprintf(name, sizeof name, "linear K = %d", (int)k);
        one_wrong_element(&j, name, 1e-4);

        any_order(&j, x, w, k);
        // the last of the inputs forgotten: almost every output tells by itself
        int n_seen = 0;
        for (int64_t i = 0; i < j.n; i++) {
            const double error = (double)x[i / N * k + k - 1] * (double)w[i % N * k + k - 1];
            n_seen += fabs(error) > LP_SIGMA_LARGEST * (double)j.sigma[i];
        }
        assert_true(n_seen > 0.95 * (double)j.n);
        // the outputs, the weights, the inputs as halves
        memcpy(j.got, j.want, (size_t)j.n * sizeof *j.got);
        round_to_halves(j.got, j.n);
        assert_false(agrees(&j));
        round_to_halves(x, T * k);
        assert_int_equal(lp_op_linear_cpu(&call), LP_OK);
        assert_false(agrees(&j));
        judged_free(&j);
        free(x);
        free(w);
    }
}

// What models really have: a few inputs hundreds of times larger than the others, inputs of one
// sign, weights with a bias of their own in every head.
static void uneven_inputs(void **state)
{
    (void)state;
    enum { K = 4096 };
    for (int kind = 0; kind < 3; kind++) {
        float *x = numbers(T * K, kind == 1 ? 3 : 0, 1), *w = numbers(N * K, 0, 0.02);
        for (int64_t i = 0; i < T * K; i++)
            x[i] *= kind == 0 && i % 1000 == 7 ? 500 : 1;
        for (int64_t i = 0; i < N * K; i++)
            w[i] += kind == 1 ? 0.05f : kind == 2 && i / 64 % 2 == 0 ? 0.1f : 0;
        for (int64_t i = 0; i < T * K; i++)
            x[i] += kind == 2 ? (i / 128 % 2 == 0 ? 1 : -1) : 0;
        const lp_node node = {.op = LP_OP_LINEAR, .name = "linear"};
        lp_cpu_call call = {.node = &node};
        call.src[0] = view(x, LP_SHAPE2(T, K));
        call.src[1] = view(w, LP_SHAPE2(N, K));
        judged j = judge(lp_op_linear_cpu, &call, LP_SHAPE2(T, N));
        static const char *const names[] = {"linear, outliers", "linear, one sign",
                                            "linear, biased heads"};
        one_wrong_element(&j, names[kind], 2e-4);
        any_order(&j, x, w, K);
        judged_free(&j);
        free(x);
        free(w);
    }
}

static void epilogues(void **state)
{
    (void)state;
    enum { K = 4096 };
    float *x = numbers(T * K, 0, 1), *w = numbers(N * K, 0, 0.02), *gate = numbers(N * K, 0, 0.02);
    float *residual = numbers(T * N, 0, 2);
    for (int act = LP_ACT_NONE; act < LP_N_ACTS; act++) {
        const lp_node node = {.op = LP_OP_LINEAR, .name = "linear", .p.linear.act = act};
        lp_cpu_call call = {.node = &node};
        call.src[0] = view(x, LP_SHAPE2(T, K));
        call.src[1] = view(w, LP_SHAPE2(N, K));
        call.src[3] = view(gate, LP_SHAPE2(N, K));
        call.src[4] = view(residual, LP_SHAPE2(T, N));
        judged j = judge(lp_op_linear_cpu, &call, LP_SHAPE2(T, N));
        /* a square doubles relative errors, and its largest results are further from the rest */
        one_wrong_element(&j, "linear K = 4096, gate, residual",
                          act == LP_ACT_RELU_SQUARED ? 2e-4 : 1e-4);
        for (int64_t i = 0; i < j.n; i++) { // the activation in double, the rest in float
            const float a = float_dot(x + i / N * K, w + i % N * K, K, IN_ORDER);
            const float b = float_dot(x + i / N * K, gate + i % N * K, K, LANES);
            j.got[i] = (float)lp_act_exact((lp_act_kind)act, (double)a) * b + residual[i];
        }
        assert_true(agrees(&j));
        judged_free(&j);
    }
    free(x);
    free(w);
    free(gate);
    free(residual);
}

// ---- Norm

static void norms(void **state)
{
    (void)state;
    enum { K = 768 };
    static const double means[] = {0, 100};
    float *gain = numbers(K, 1, 0.1);
    for (int m = 0; m < 2; m++) {
        float *x = numbers(T * K, means[m], 1);
        const lp_node node = {.op = LP_OP_NORM, .name = "norm", .p.norm = {LP_NORM_LAYER, 1e-5f}};
        lp_cpu_call call = {.node = &node};
        call.src[0] = view(x, LP_SHAPE2(T, K));
        call.src[1] = view(gain, LP_SHAPE1(K));
        judged j = judge(lp_op_norm_cpu, &call, LP_SHAPE2(T, K));
        one_wrong_element(&j, m == 0 ? "layer norm" : "layer norm of 100 +- 1", 1e-4);

        for (int way = 0; way < 2; way++) { // two passes; then E[x^2] - E[x]^2, which loses digits
            for (int64_t t = 0; t < T; t++) {
                const float *a = x + t * K;
                float sum = 0, rest = 0, squares = 0;
                for (int64_t i = 0; i < K; i++)
                    sum += a[i];
                const float mean = sum / K;
                for (int64_t i = 0; i < K; i++)
                    rest += a[i] - mean;
                rest /= K;
                for (int64_t i = 0; i < K; i++) {
                    const float d = way == 0 ? a[i] - mean - rest : a[i];
                    squares += d * d;
                }
                const float variance = squares / K - (way == 0 ? 0 : mean * mean);
                for (int64_t i = 0; i < K; i++)
                    j.got[t * K + i] = (a[i] - mean - rest) / sqrtf(variance + 1e-5f) * gain[i];
            }
            if (way == 0)
                assert_true(agrees(&j));
            else if (m > 0)
                assert_false(agrees(&j));
        }
        for (int64_t i = 0; i < j.n; i++) // the variance divided by K - 1
            j.got[i] = j.want[i] * (float)sqrt((K - 1) / (double)K);
        assert_false(agrees(&j));
        judged_free(&j);
        free(x);
    }
    free(gain);
}

static void softmax(void **state)
{
    (void)state;
    enum { K = 768 };
    float *x = numbers(T * K, 0, 3);
    const lp_node node = {.op = LP_OP_NORM, .name = "norm", .p.norm = {LP_NORM_SOFTMAX, 0}};
    lp_cpu_call call = {.node = &node};
    call.src[0] = view(x, LP_SHAPE2(T, K));
    judged j = judge(lp_op_norm_cpu, &call, LP_SHAPE2(T, K));
    one_wrong_element(&j, "softmax", 4e-4); // exp() may be wrong by 3 + 2 |x| ULP
    for (int way = 0; way < 2; way++) { // right; without the last term of the sum
        for (int64_t t = 0; t < T; t++) {
            const float *a = x + t * K;
            float largest = a[0], sum = 0;
            for (int64_t i = 1; i < K; i++)
                largest = fmaxf(largest, a[i]);
            for (int64_t i = 0; i < K - way; i++)
                sum += expf(a[i] - largest);
            for (int64_t i = 0; i < K; i++)
                j.got[t * K + i] = expf(a[i] - largest) / sum;
        }
        assert_int_equal(agrees(&j), way == 0);
    }
    judged_free(&j);
    free(x);
}

// ---- Attention

typedef struct attention_rig {
    float *q, *k, *v;
    int32_t cursor[LP_CURSOR_WORDS];
    lp_node node;
    lp_cpu_call call;
} attention_rig;

enum { HEADS = 4, GROUPS = 2, HEAD = 64, CONTEXT = 1024 };

static void attention_start(attention_rig *rig, int64_t n_tokens, int32_t position, double spread)
{
    memset(rig, 0, sizeof *rig);
    rig->q = numbers(n_tokens * HEADS * HEAD, 0, spread);
    rig->k = numbers(CONTEXT * GROUPS * HEAD, 0, 1);
    rig->v = numbers(CONTEXT * GROUPS * HEAD, 0, 1);
    rig->cursor[LP_CURSOR_POSITION] = position;
    rig->node = (lp_node){.op = LP_OP_ATTENTION, .name = "attention"};
    rig->node.p.attention.scale = 0.125f;
    rig->node.p.attention.kv_max = CONTEXT;
    rig->call = (lp_cpu_call){.node = &rig->node};
    rig->call.src[0] = view(rig->q, LP_SHAPE3(n_tokens, HEADS, HEAD));
    rig->call.src[1] = view(rig->k, LP_SHAPE3(CONTEXT, GROUPS, HEAD));
    rig->call.src[2] = view(rig->v, LP_SHAPE3(CONTEXT, GROUPS, HEAD));
    rig->call.src[3] = (lp_view){rig->cursor, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1};
}

static void attention_end(attention_rig *rig)
{
    free(rig->q);
    free(rig->k);
    free(rig->v);
}

static void attentions(void **state)
{
    (void)state;
    static const int64_t tokens[] = {1, 20};
    for (int m = 0; m < 2; m++) {
        const int64_t n_tokens = tokens[m];
        attention_rig rig;
        attention_start(&rig, n_tokens, m == 0 ? 900 : 300, 1);
        lp_cpu_call *call = &rig.call;
        judged j = judge(lp_op_attention_cpu, call, LP_SHAPE3(n_tokens, HEADS, HEAD));
        one_wrong_element(&j, m == 0 ? "attention, 900 keys" : "attention, 20 tokens", 1e-4);

        call->simd = lp_simd_choose(); // online softmax in float
        assert_int_equal(lp_op_attention_cpu(call), LP_OK);
        assert_true(agrees(&j));
        call->simd = NULL;
        for (int shift = -1; shift <= 1; shift += 2) { // a key too few, one too many
            rig.node.p.attention.mask_shift = shift;
            assert_int_equal(lp_op_attention_cpu(call), LP_OK);
            assert_false(agrees(&j));
        }
        rig.node.p.attention.mask_shift = 0;
        rig.node.p.attention.scale = 0.12501f;
        assert_int_equal(lp_op_attention_cpu(call), LP_OK);
        assert_false(agrees(&j));
        rig.node.p.attention.scale = 0.125f;
        round_to_halves(rig.q, n_tokens * HEADS * HEAD);
        assert_int_equal(lp_op_attention_cpu(call), LP_OK);
        assert_false(agrees(&j));
        judged_free(&j);
        attention_end(&rig);
    }
}

static void extras_of_attention(void **state)
{
    (void)state;
    enum { T_EXTRAS = 5, REACH = 20, DISTANCES = 2 * REACH + 1 };
    for (int table = 0; table < 2; table++) {
        float sinks[HEADS], bias[HEADS * DISTANCES];
        attention_rig rig;
        attention_start(&rig, T_EXTRAS, 500, 1);
        for (int h = 0; h < HEADS; h++)
            sinks[h] = (float)h;
        for (int i = 0; i < HEADS * DISTANCES; i++)
            bias[i] = table ? (float)(i * 29 % 64) / 32 : 0.01f * (float)(i + 1);
        rig.node.p.attention.softcap = 2;
        rig.call.src[4] = view(bias, table ? LP_SHAPE2(HEADS, DISTANCES) : LP_SHAPE1(HEADS));
        rig.call.src[5] = view(sinks, LP_SHAPE1(HEADS));
        judged j = judge(lp_op_attention_cpu, &rig.call, LP_SHAPE3(T_EXTRAS, HEADS, HEAD));
        // with slopes nearly every key has a larger score than those before it: much rescaling
        one_wrong_element(&j, table ? "attention, a table" : "attention, slopes",
                          table ? 1e-4 : 3e-4);
        rig.call.simd = lp_simd_choose();
        assert_int_equal(lp_op_attention_cpu(&rig.call), LP_OK);
        assert_true(agrees(&j));
        rig.call.simd = NULL;

        rig.node.p.attention.softcap = 2.001f; // each a little: all are noticed
        assert_int_equal(lp_op_attention_cpu(&rig.call), LP_OK);
        assert_false(agrees(&j));
        rig.node.p.attention.softcap = 2;
        bias[table ? REACH - 3 : 0] += 1e-4f;
        assert_int_equal(lp_op_attention_cpu(&rig.call), LP_OK);
        assert_false(agrees(&j));
        bias[table ? REACH - 3 : 0] -= 1e-4f;
        sinks[3] += table ? 0.01f : 1e-3f; // one key of five hundred, or of what slopes leave
        assert_int_equal(lp_op_attention_cpu(&rig.call), LP_OK);
        assert_false(agrees(&j));
        judged_free(&j);
        attention_end(&rig);
    }
}

// One key takes nearly all of the weight, and all others have just so little that a float total of
// one does not change when they are added, one after the other, while together they count.
static void weights_that_get_lost(void **state)
{
    (void)state;
    attention_rig rig;
    attention_start(&rig, 1, CONTEXT - 1, 0);
    for (int64_t h = 0; h < HEADS; h++)
        rig.q[h * HEAD] = 8;
    for (int64_t i = 0; i < CONTEXT * GROUPS; i++)
        rig.k[i * HEAD] = i < GROUPS ? 0 : -16.8f; // exp(-16.8) = 0.85 2^-24
    judged j = judge(lp_op_attention_cpu, &rig.call, LP_SHAPE3(1, HEADS, HEAD));
    rig.call.simd = lp_simd_choose();
    assert_int_equal(lp_op_attention_cpu(&rig.call), LP_OK);
    assert_true(memcmp(j.want, j.got, (size_t)j.n * sizeof *j.got) != 0);
    assert_true(agrees(&j));
    judged_free(&j);
    attention_end(&rig);
}

// ---- Rope, activations

static void rope(void **state)
{
    (void)state;
    enum { H = 4, POSITION = 5000 };
    double frequencies[HEAD / 2];
    for (int i = 0; i < HEAD / 2; i++)
        frequencies[i] = pow(10000, -2.0 * i / HEAD);
    const int32_t cursor[LP_CURSOR_WORDS] = {POSITION};
    float *x = numbers(T * H * HEAD, 0, 1);
    lp_node node = {.op = LP_OP_ROPE, .name = "rope"};
    node.p.rope.n_rotated = HEAD;
    node.p.rope.frequencies = frequencies;
    node.p.rope.scale = 1;
    lp_cpu_call call = {.node = &node};
    call.src[0] = view(x, LP_SHAPE3(T, H, HEAD));
    call.src[1] = (lp_view){(void *)(uintptr_t)cursor, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1};
    judged j = judge(lp_op_rope_cpu, &call, LP_SHAPE3(T, H, HEAD));
    one_wrong_element(&j, "rope", 1e-5);
    for (int way = 0; way < 2; way++) { // rounded cos and sin; then the angle in float
        for (int64_t i = 0; i < j.n; i += 2) {
            const int64_t t = i / (H * HEAD), k = i % HEAD / 2;
            double angle = (double)(POSITION + t) * frequencies[k];
            if (way == 1)
                angle = (double)((float)(POSITION + t) * (float)frequencies[k]);
            const float c = (float)cos(angle), s = (float)sin(angle);
            j.got[i] = x[i] * c - x[i + 1] * s;
            j.got[i + 1] = x[i] * s + x[i + 1] * c;
        }
        assert_true(agrees(&j) == (way == 0));
    }
    judged_free(&j);
    free(x);
}

static void activations(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    float *x = numbers(COUNT, 0, 4);
    for (int act = LP_ACT_RELU; act < LP_N_ACTS; act++) {
        const lp_node node = {.op = LP_OP_ACT, .name = "act", .p.act = {act, 1, 1}};
        lp_cpu_call call = {.node = &node};
        call.src[0] = view(x, LP_SHAPE1(COUNT));
        call.src[0].stride = 1;
        judged j = judge(lp_op_act_cpu, &call, LP_SHAPE1(COUNT));
        one_wrong_element(&j, "activation", 1e-4);
        for (int other = LP_ACT_RELU; other < LP_N_ACTS; other++) { // none passes for another
            for (int64_t i = 0; i < COUNT; i++)
                j.got[i] = (float)lp_act_exact((lp_act_kind)other, (double)x[i]);
            assert_true(agrees(&j) == (act == other));
        }
        judged_free(&j);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_in_float), cmocka_unit_test(sums_of_runs),
        cmocka_unit_test(linears),       cmocka_unit_test(epilogues),
        cmocka_unit_test(uneven_inputs), cmocka_unit_test(norms),
        cmocka_unit_test(softmax),
        cmocka_unit_test(attentions),    cmocka_unit_test(extras_of_attention),
        cmocka_unit_test(rope),          cmocka_unit_test(weights_that_get_lost),
        cmocka_unit_test(activations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
