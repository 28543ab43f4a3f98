// The sampler's reference (src/ops/sample.c) against its definition, written a second time here with
// doubles and sets: which tokens may be drawn, how often (chi-square), what is written back.
// Devices are compared with the reference, token by token, in test_sample_device.c.
#include <float.h>
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
#include "ops/ops.h"

#define MAX_V 1000
#define C     64

// One sampler with everything it touches.
typedef struct fixture {
    float logits[MAX_V], scratch[2 * MAX_V];
    int32_t state[LP_SAMPLER_WORDS], history[C + 2], cursor[LP_CURSOR_WORDS];
    int64_t n;
} fixture;

static void set_f32(fixture *f, int word, float value)
{
    memcpy(&f->state[word], &value, 4);
}

static void setup(fixture *f, int64_t n)
{
    *f = (fixture){.n = n};
    set_f32(f, LP_SAMPLER_TEMPERATURE, 1);
    set_f32(f, LP_SAMPLER_TOP_P, 1);
    set_f32(f, LP_SAMPLER_PENALTY, 1);
    f->state[LP_SAMPLER_SEED_LO] = 42;
}

static int32_t step(fixture *f, int32_t advance)
{
    lp_node node = {.op = LP_OP_SAMPLE, .name = "sample", .p.cursor.advance = advance};
    lp_cpu_call call = {
        .node = &node,
        .src = {{f->logits, LP_F32, LP_SHAPE2(1, f->n), (uint64_t)f->n},
                {f->state, LP_I32, LP_SHAPE1(LP_SAMPLER_WORDS), 1}},
        .dst = {{f->history, LP_I32, LP_SHAPE1(C + 2), 1},
                {f->cursor, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), 1},
                {f->scratch, LP_F32, LP_SHAPE2(2, f->n), (uint64_t)f->n}},
    };
    int32_t end = f->cursor[LP_CURSOR_POSITION] + advance;
    assert_int_equal(lp_op_sample_cpu(&call), LP_OK);
    return end >= 0 && end <= C ? f->history[end] : -1;
}

// Draws without moving on, so that every draw sees the same history.
static int32_t draw(fixture *f)
{
    int32_t position = f->cursor[LP_CURSOR_POSITION], kept = f->history[position];
    int32_t token = step(f, 0);
    f->history[position] = kept;
    f->cursor[LP_CURSOR_POSITION] = position;
    return token;
}

static void random_logits(fixture *f, unsigned seed, float spread)
{
    uint64_t s = seed * 2654435761u + 1;
    for (int64_t i = 0; i < f->n; i++) {
        s = s * 6364136223846793005u + 1442695040888963407u;
        f->logits[i] = spread * ((float)(s >> 40) / 8388608.0f - 1.0f);
    }
}

// ---- The definition, once more -----------------------------------------------------------------

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

// Probability of every token; 0 for those that are cut off.
static void probabilities(const fixture *f, double *p)
{
    static double x[MAX_V], sorted[MAX_V];
    float penalty = lp_bits_f32((uint32_t)f->state[LP_SAMPLER_PENALTY]);
    float top_p = lp_bits_f32((uint32_t)f->state[LP_SAMPLER_TOP_P]);
    float min_p = lp_bits_f32((uint32_t)f->state[LP_SAMPLER_MIN_P]);
    float temperature = lp_bits_f32((uint32_t)f->state[LP_SAMPLER_TEMPERATURE]);
    int32_t end = f->cursor[LP_CURSOR_POSITION], window = f->state[LP_SAMPLER_WINDOW];
    double largest = -INFINITY;
    for (int64_t i = 0; i < f->n; i++) {
        bool seen = false;
        for (int32_t j = end > window ? end - window : 0; j < end; j++)
            seen |= f->history[j] == i;
        x[i] = (double)f->logits[i];
        if (seen)
            x[i] = x[i] > 0 ? x[i] / (double)penalty : x[i] * (double)penalty;
        sorted[i] = x[i];
        largest = fmax(largest, x[i]);
    }
    qsort(sorted, (size_t)f->n, sizeof *sorted, by_value);
    int64_t k = f->state[LP_SAMPLER_TOP_K] > 0 && f->state[LP_SAMPLER_TOP_K] < f->n
                    ? f->state[LP_SAMPLER_TOP_K]
                    : f->n;
    double least = sorted[k - 1], total = 0, sum = 0;
    for (int64_t i = 0; i < k; i++)
        total += exp(sorted[i] - largest);
    if (top_p < 1)
        for (int64_t i = 0; i < k; i++) {
            sum += exp(sorted[i] - largest);
            least = sorted[i];
            if (sum >= (double)top_p * total)
                break;
        }
    total = 0;
    for (int64_t i = 0; i < f->n; i++) {
        bool kept = x[i] >= least && exp(x[i] - largest) >= (double)min_p;
        p[i] = kept ? exp((x[i] - largest) / (double)temperature) : 0;
        total += p[i];
    }
    for (int64_t i = 0; i < f->n; i++)
        p[i] /= total;
}

// Draws and compares with the exact distribution: nothing impossible, and chi-square within six
// standard deviations (of cells that expect at least 8; the rest are one cell).
static void check_distribution(fixture *f, int n_draws)
{
    static double p[MAX_V];
    static int count[MAX_V];
    probabilities(f, p);
    memset(count, 0, sizeof count);
    for (int i = 0; i < n_draws; i++)
        count[draw(f)]++;
    double chi2 = 0, rest = 0, n_rest = 0;
    int cells = 0;
    for (int64_t i = 0; i < f->n; i++) {
        double expected = p[i] * n_draws;
        if (p[i] == 0)
            assert_int_equal(count[i], 0);
        if (expected >= 8) {
            chi2 += (count[i] - expected) * (count[i] - expected) / expected;
            cells++;
        } else {
            rest += expected;
            n_rest += count[i];
        }
    }
    if (rest >= 8) {
        chi2 += (n_rest - rest) * (n_rest - rest) / rest;
        cells++;
    }
    assert_true(cells >= 1);
    double freedom = cells - 1, bound = freedom + 6 * sqrt(2 * freedom) + 6;
    if (chi2 > bound)
        fail_msg("chi-square %.1f with %d cells", chi2, cells);
}

static void draws_follow_the_distribution(void **state)
{
    (void)state;
    static fixture f;
    static const struct {
        int64_t n;
        float spread, temperature;
        int32_t top_k;
        float top_p, min_p;
    } cases[] = {
        {2, 1, 1, 0, 1, 0},         {50, 2, 1, 0, 1, 0},      {50, 2, 0.5f, 0, 1, 0},
        {50, 2, 3, 0, 1, 0},        {300, 3, 1, 20, 1, 0},    {300, 3, 1, 0, 0.7f, 0},
        {300, 3, 1, 0, 1, 0.1f},    {300, 4, 0.8f, 40, 0.95f, 0.05f},
        {1000, 6, 0.9f, 1000, 0.5f, 0.01f}, {1000, 3, 1, 1, 1, 0}, {10, 1, 1, 0, 1e-6f, 0},
        {10, 1, 1, 0, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (unsigned seed = 0; seed < 3; seed++) {
            setup(&f, cases[i].n);
            random_logits(&f, 100 * (unsigned)i + seed, cases[i].spread);
            set_f32(&f, LP_SAMPLER_TEMPERATURE, cases[i].temperature);
            set_f32(&f, LP_SAMPLER_TOP_P, cases[i].top_p);
            set_f32(&f, LP_SAMPLER_MIN_P, cases[i].min_p);
            f.state[LP_SAMPLER_TOP_K] = cases[i].top_k;
            f.state[LP_SAMPLER_SEED_HI] = (int32_t)seed;
            check_distribution(&f, 20000);
        }
}

static void penalty_is_applied_once_to_each_recent_token(void **state)
{
    (void)state;
    static fixture f;
    setup(&f, 40);
    random_logits(&f, 7, 2);
    set_f32(&f, LP_SAMPLER_PENALTY, 1.7f);
    f.state[LP_SAMPLER_WINDOW] = 5;
    for (int i = 0; i < 12; i++) // repeated, out of the window, and not in the vocabulary
        f.history[i] = i == 9 ? 4000 : i == 10 ? -3 : i / 2;
    f.cursor[LP_CURSOR_POSITION] = 12;
    check_distribution(&f, 20000);
    f.state[LP_SAMPLER_WINDOW] = 1000;
    check_distribution(&f, 20000);
}

static void greedy_takes_the_lowest_id_of_the_largest(void **state)
{
    (void)state;
    static fixture f;
    setup(&f, 100);
    set_f32(&f, LP_SAMPLER_TEMPERATURE, 0);
    random_logits(&f, 3, 1);
    f.logits[70] = f.logits[31] = f.logits[99] = 5;
    assert_int_equal(draw(&f), 31);
    f.logits[31] = NAN; // is -inf
    assert_int_equal(draw(&f), 70);
    f.logits[80] = INFINITY;
    assert_int_equal(draw(&f), 80);
    f.logits[20] = FLT_MAX; // +inf is the largest finite number
    assert_int_equal(draw(&f), 20);
    for (int i = 0; i < 100; i++)
        f.logits[i] = i % 2 ? NAN : -INFINITY;
    assert_int_equal(draw(&f), 0);
    set_f32(&f, LP_SAMPLER_TEMPERATURE, 1);
    assert_int_equal(draw(&f), 0);
    f.logits[17] = -FLT_MAX;
    assert_int_equal(draw(&f), 17);
    set_f32(&f, LP_SAMPLER_TEMPERATURE, NAN);
    assert_int_equal(draw(&f), 17);
    f.logits[3] = -0.0f;
    f.logits[2] = 1e-40f; // subnormal: zero, and equal to -0
    f.logits[4] = 0.0f;
    assert_int_equal(draw(&f), 2);
}

static void ties_at_the_threshold_are_kept(void **state)
{
    (void)state;
    static fixture f;
    setup(&f, 6);
    const float logits[] = {1, 0, 1, -1, 1, 0};
    memcpy(f.logits, logits, sizeof logits);
    f.state[LP_SAMPLER_TOP_K] = 2;
    check_distribution(&f, 3000);
    int count[6] = {0};
    for (int i = 0; i < 300; i++)
        count[draw(&f)]++;
    assert_true(count[0] > 60 && count[2] > 60 && count[4] > 60);
}

static void state_moves_on(void **state)
{
    (void)state;
    static fixture f;
    setup(&f, 1);
    f.cursor[LP_CURSOR_POSITION] = 10;
    f.cursor[LP_CURSOR_DRAWS] = 3;
    f.cursor[5] = 77;
    memset(f.history, 0x55, sizeof f.history);
    assert_int_equal(step(&f, 4), 0);
    assert_int_equal(f.cursor[LP_CURSOR_POSITION], 14);
    assert_int_equal(f.cursor[LP_CURSOR_DRAWS], 4);
    assert_int_equal(f.cursor[5], 77);
    for (int i = 0; i <= C + 1; i++)
        assert_int_equal(f.history[i], i == 14 ? 0 : 0x55555555);
    f.cursor[LP_CURSOR_POSITION] = C - 1;
    step(&f, 1);
    assert_int_equal(f.history[C], 0);
    int32_t before[C + 2];
    memcpy(before, f.history, sizeof before);
    step(&f, 1); // past the end: nothing is written
    assert_memory_equal(before, f.history, sizeof before);
    assert_int_equal(f.cursor[LP_CURSOR_POSITION], C + 1);
}

// history[C + 1]: 1 + place of the first token that was drawn from NaN or +inf.
static void the_first_bad_token_is_noted(void **state)
{
    (void)state;
    static fixture f;
    setup(&f, 50);
    random_logits(&f, 9, 1);
    f.logits[7] = -INFINITY; // a token that must not come
    f.logits[8] = -FLT_MAX;
    f.logits[9] = FLT_MAX;
    f.cursor[LP_CURSOR_POSITION] = 20;
    step(&f, 1);
    assert_int_equal(f.history[C + 1], 0);
    for (int i = 0; i < 2; i++) {
        f.logits[49] = i ? INFINITY : NAN;
        f.history[C + 1] = 0;
        f.cursor[LP_CURSOR_POSITION] = 20;
        step(&f, 3);
        assert_int_equal(f.history[C + 1], 24);
        step(&f, 1); // the first one stays
        assert_int_equal(f.history[C + 1], 24);
    }
    f.history[C + 1] = 0;
    f.cursor[LP_CURSOR_POSITION] = C;
    step(&f, 1); // past the end: a token that is not there
    assert_int_equal(f.history[C + 1], 0);
    f.logits[49] = 0;
    f.cursor[LP_CURSOR_POSITION] = 3;
    f.history[C + 1] = 9;
    step(&f, 1); // good ones do not clear it
    assert_int_equal(f.history[C + 1], 9);
}

static void seeds_and_draws_give_other_tokens(void **state)
{
    (void)state;
    static fixture f;
    setup(&f, 1000); // all equal
    int32_t first[20];
    for (int i = 0; i < 20; i++)
        first[i] = draw(&f);
    f.cursor[LP_CURSOR_DRAWS] = 0;
    for (int i = 0; i < 20; i++)
        assert_int_equal(draw(&f), first[i]); // replayed
    for (int word = LP_SAMPLER_SEED_LO; word <= LP_SAMPLER_SEED_HI; word++) {
        f.cursor[LP_CURSOR_DRAWS] = 0;
        f.state[word]++;
        int same = 0;
        for (int i = 0; i < 20; i++)
            same += draw(&f) == first[i];
        assert_true(same < 5);
    }
    // Philox4x32-10 of key 0, counter 0 is 6627e8d5 e169c58d ... (Random123's known answers), so with
    // 1000 equal masses of 2^30 the number r falls into id floor(0xe169c58d6627e8d5 * 1000 / 2^64).
    f.cursor[LP_CURSOR_DRAWS] = 0;
    f.state[LP_SAMPLER_SEED_LO] = f.state[LP_SAMPLER_SEED_HI] = 0;
    assert_int_equal(draw(&f), 880);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_follow_the_distribution),
        cmocka_unit_test(penalty_is_applied_once_to_each_recent_token),
        cmocka_unit_test(greedy_takes_the_lowest_id_of_the_largest),
        cmocka_unit_test(ties_at_the_threshold_are_kept),
        cmocka_unit_test(state_moves_on),
        cmocka_unit_test(the_first_bad_token_is_noted),
        cmocka_unit_test(seeds_and_draws_give_other_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
