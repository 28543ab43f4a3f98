/* Rows of the op table for what depends on the position: rope, kv_write, attention, sample,
 * advance. */
#include "check/op_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))

/* n values as the cache holds them, the first `valid` random, the rest NaN. */
static lp_tensor_id cache(lp_case_build *c, lp_dtype dtype, lp_shape shape, int64_t valid,
                          bool compare)
{
    const int64_t n = lp_shape_elements(shape);
    lp_tensor_id id = LP_NONE;
    float *values = malloc((size_t)n * sizeof *values);
    uint16_t *halves = malloc((size_t)n * sizeof *halves);
    if (values == NULL || halves == NULL) {
        if (c->b->status == LP_OK)
            c->b->status = lp_fail_memory(c->b->ctx, "the op table");
        goto cleanup;
    }
    for (int64_t i = 0; i < n; i++) {
        values[i] = i < valid ? lp_case_uniform(c) : NAN;
        halves[i] = lp_f32_to_f16(values[i]);
    }
    id = lp_case_state(c, dtype, shape, dtype == LP_F16 ? (void *)halves : (void *)values, compare);

cleanup:
    free(values);
    free(halves);
    return id;
}

/* x [T, H, D], perhaps as a view into a wider matrix. */
static lp_tensor_id heads(lp_case_build *c, int64_t t, int64_t h, int64_t d, bool view,
                          lp_case_fill fill)
{
    lp_tensor_id x = view ? lp_case_input_view(c, t, h * d, 3, h * d + 8, fill)
                          : lp_case_input(c, LP_SHAPE2(t, h * d), fill);
    return lp_view_heads(c->b, x, h);
}

/* ---- rope */

enum { R_T, R_H, R_D, R_N, R_PAIRING, R_POSITION, R_VIEW, R_SCALE };

static void build_rope(lp_case_build *c, const int64_t *arg)
{
    double frequencies[64];
    for (int i = 0; i < arg[R_N] / 2; i++)
        frequencies[i] = pow(10000, -2.0 * i / (double)arg[R_N]);
    lp_node node = lp_case_node(c, LP_OP_ROPE);
    lp_rope_angles angles = lp_rope_table(c->b, c->row->name, frequencies, (int32_t)arg[R_N],
                                          (int32_t)(arg[R_POSITION] + arg[R_T]));
    node.p.rope.pairing = (lp_rope_pairing)arg[R_PAIRING];
    node.p.rope.n_rotated = angles.n_rotated;
    node.p.rope.frequencies = angles.frequencies;
    node.src[0] = heads(c, arg[R_T], arg[R_H], arg[R_D], arg[R_VIEW],
                        (lp_case_fill){0, (float)arg[R_SCALE]});
    node.src[1] = lp_case_cursor(c, (int32_t)arg[R_POSITION], 0, false);
    node.src[2] = angles.table;
    lp_case_emit(c, &node);
}

static void ropes(lp_case_table *table)
{
    static const int64_t sizes[][3] = {{1, 8, 8}, {3, 20, 10}, {12, 64, 64}, {8, 128, 128},
                                       {5, 80, 32}, {2, 2, 2}};
    static const int64_t tokens_and_position[][2] = {{1, 0}, {1, 255}, {1, 131071}, {2, 255},
                                                     {9, 250}, {33, 1000}};
    for (unsigned s = 0; s < N_OF(sizes); s++)
        for (unsigned p = 0; p < N_OF(tokens_and_position); p++)
            for (int pairing = LP_ROPE_ADJACENT; pairing <= LP_ROPE_HALVES; pairing++) {
                const int64_t arg[] = {tokens_and_position[p][0],
                                       sizes[s][0],
                                       sizes[s][1],
                                       sizes[s][2],
                                       pairing,
                                       tokens_and_position[p][1],
                                       (s + p) % 2,
                                       (s + p) % 5 == 0 ? 0 : (s + p) % 7 == 0 ? 1000000 : 1};
                lp_case *row = lp_case_add(
                    table, LP_OP_ROPE, build_rope, "rope%d T%d H%d D%d n%d position%d",
                    pairing, (int)arg[R_T], (int)arg[R_H], (int)arg[R_D], (int)arg[R_N],
                    (int)arg[R_POSITION]);
                memcpy(row->arg, arg, sizeof arg);
                row->n_tokens = (int32_t)arg[R_T];
            }
}

/* ---- kv_write */

enum { K_T, K_G, K_D, K_C, K_TYPE, K_POSITION, K_VIEW, K_FILL };

static void build_kv_write(lp_case_build *c, const int64_t *arg)
{
    static const float scales[] = {1, 0, 1e6f, 1e-5f,
                                   1e-8f}; /* halves: normal, 0, inf, subnormal, 0 */
    lp_node node = lp_case_node(c, LP_OP_KV_WRITE);
    node.src[0] = heads(c, arg[K_T], arg[K_G], arg[K_D], arg[K_VIEW],
                        (lp_case_fill){0, scales[arg[K_FILL]]});
    node.src[1] = lp_case_cursor(c, (int32_t)arg[K_POSITION], 0, false);
    node.dst[0] = cache(c, (lp_dtype)arg[K_TYPE], LP_SHAPE3(arg[K_C], arg[K_G], arg[K_D]),
                        arg[K_C] * arg[K_G] * arg[K_D], true);
    lp_case_emit(c, &node);
}

static void kv_writes(lp_case_table *table)
{
    /* the last ones do not fit: only the rows of the cache are written */
    static const int64_t tokens_and_position[][2] = {{1, 0},  {1, 39}, {9, 11}, {40, 0},
                                                     {7, 36}, {1, 40}, {3, -2}};
    static const int64_t sizes[][2] = {{1, 2}, {3, 10}, {4, 64}};
    for (unsigned s = 0; s < N_OF(sizes); s++)
        for (unsigned p = 0; p < N_OF(tokens_and_position); p++)
            for (int type = LP_F32; type <= LP_F16; type++) {
                const int64_t arg[] = {tokens_and_position[p][0],
                                       sizes[s][0],
                                       sizes[s][1],
                                       40,
                                       type,
                                       tokens_and_position[p][1],
                                       (s + p) % 2,
                                       (s + p) % 5};
                lp_case *row = lp_case_add(
                    table, LP_OP_KV_WRITE, build_kv_write, "kv_write %s T%d G%d D%d position%d",
                    lp_dtype_table[type].name, (int)arg[K_T], (int)arg[K_G], (int)arg[K_D],
                    (int)arg[K_POSITION]);
                memcpy(row->arg, arg, sizeof arg);
                row->n_tokens = (int32_t)arg[K_T];
                row->gate = LP_CASE_EXACT;
            }
}

/* ---- attention */

enum { A_T, A_H, A_G, A_DK, A_DV, A_C, A_KV_MAX, A_POSITION, A_WINDOW, A_TYPE, A_VIEW, A_SCALE };

/* Rows of the cache that no token may see hold NaN. */
static void build_attention(lp_case_build *c, const int64_t *arg)
{
    const lp_dtype type = (lp_dtype)arg[A_TYPE];
    const int64_t seen = arg[A_POSITION] + arg[A_T], g = arg[A_G];
    lp_node node = lp_case_node(c, LP_OP_ATTENTION);
    node.p.attention.scale = 1 / sqrtf((float)arg[A_DK]);
    node.p.attention.kv_max = (int32_t)arg[A_KV_MAX];
    node.p.attention.window = (int32_t)arg[A_WINDOW];
    node.src[0] = heads(c, arg[A_T], arg[A_H], arg[A_DK], arg[A_VIEW],
                        (lp_case_fill){0, (float)arg[A_SCALE]});
    node.src[1] = cache(c, type, LP_SHAPE3(arg[A_C], g, arg[A_DK]), seen * g * arg[A_DK], false);
    node.src[2] = cache(c, type, LP_SHAPE3(arg[A_C], g, arg[A_DV]), seen * g * arg[A_DV], false);
    node.src[3] = lp_case_cursor(c, (int32_t)arg[A_POSITION], 0, false);
    lp_case_emit(c, &node);
}

static void attention(lp_case_table *table, const int64_t arg[A_SCALE + 1])
{
    lp_case *row = lp_case_add(
        table, LP_OP_ATTENTION, build_attention,
        "attention %s T%d H%d/%d D%d/%d C%d kv%d position%d window%d view%d scale%d",
        lp_dtype_table[arg[A_TYPE]].name, (int)arg[A_T], (int)arg[A_H], (int)arg[A_G],
        (int)arg[A_DK], (int)arg[A_DV], (int)arg[A_C], (int)arg[A_KV_MAX], (int)arg[A_POSITION],
        (int)arg[A_WINDOW], (int)arg[A_VIEW], (int)arg[A_SCALE]);
    memcpy(row->arg, arg, (A_SCALE + 1) * sizeof *arg);
    row->n_tokens = (int32_t)arg[A_T];
    /* A score of several hundred is rounded by up to 2^-16, which is a relative error of its
     * weight. */
    if (arg[A_SCALE] > 1)
        row->gate = (lp_case_gate){1e-9, 1e-3};
}

static void attentions(lp_case_table *table)
{
    static const int64_t sizes[][2] = {{8, 8},     {20, 20},   {64, 64},   {80, 80},  {96, 96},
                                       {128, 128}, {192, 128}, {256, 256}, {576, 512}, {10, 6}};
    static const int64_t groups[][2] = {{3, 3}, {6, 2}, {8, 2}, {8, 1}};
    static const int64_t few[] = {1, 2, 3, 4, 5, 6, 7, 8}, many[] = {9, 33, 64};
    unsigned n = 0;
    for (unsigned s = 0; s < N_OF(sizes); s++)
        for (unsigned p = 0; p < 8;
             p++, n++) { /* where: at 0, in the middle, at the end, kv_max < C */
            const int64_t t = p < 4 ? few[(s + 3 * p) % N_OF(few)] : many[(s + p) % N_OF(many)];
            const int64_t kv_max = p % 4 == 3 ? 150 : 330;
            const int64_t *g = groups[(s + p) % N_OF(groups)];
            attention(table, (int64_t[]){t, g[0], g[1], sizes[s][0], sizes[s][1], 330, kv_max,
                                         p % 4 == 0   ? 0
                                         : p % 4 == 1 ? 70
                                                      : kv_max - t,
                                         n % 3 == 1 ? 17 : 0, n % 2 ? LP_F16 : LP_F32,
                                         n / 2 % 2, n % 11 == 7 ? 200 : n % 13 == 5 ? 0 : 1});
        }
    for (int64_t t = 1; t <= 9; t++) /* all small batches, all groupings, one key at first */
        for (unsigned g = 0; g < N_OF(groups); g++)
            attention(table, (int64_t[]){t, groups[g][0], groups[g][1], 64, 64, 16, 16,
                                         (t + g) % 2 ? 0 : 7, 0, LP_F16, 0, 1});
    /* long: splits that see no key yet, tiles that a window skips */
    for (int64_t position = 0; position < 4000; position += 1333)
        for (int64_t window = 0; window < 2000; window += 900) {
            attention(table,
                      (int64_t[]){1, 8, 2, 64, 64, 4096, 4096, position, window, LP_F16, 0, 1});
            attention(table,
                      (int64_t[]){20, 4, 2, 64, 64, 4096, 4096, position, window, LP_F16, 0, 1});
        }
}

/* ---- sample, advance: thousands of cases are in test_sample_device.c */

enum { S_V, S_POSITION, S_ADVANCE, S_TEMPERATURE };

static void build_sample(lp_case_build *c, const int64_t *arg)
{
    const float settings[] = {(float)arg[S_TEMPERATURE] / 10, 0, 0.95f, 0.01f, 1.1f};
    int32_t words[LP_SAMPLER_WORDS] = {0}, tokens[22];
    memcpy(words, settings, sizeof settings);
    words[LP_SAMPLER_TOP_K] = 40;
    words[LP_SAMPLER_WINDOW] = 8;
    words[LP_SAMPLER_SEED_LO] = (int32_t)arg[S_V];
    for (int i = 0; i < 21; i++)
        tokens[i] = i;
    tokens[21] = 0; /* no token from logits that are not finite */
    lp_node node = lp_case_node(c, LP_OP_SAMPLE);
    node.p.cursor.advance = (int32_t)arg[S_ADVANCE];
    node.src[0] = lp_case_input(c, LP_SHAPE2(1, arg[S_V]), (lp_case_fill){0, 5});
    node.src[1] = lp_case_state(c, LP_I32, LP_SHAPE1(LP_SAMPLER_WORDS), words, false);
    node.dst[0] = lp_case_state(c, LP_I32, LP_SHAPE1(22), tokens, true);
    node.dst[1] = lp_case_cursor(c, (int32_t)arg[S_POSITION], 7, true);
    lp_builder_node(c->b, &node); /* the scratch is not compared: every device has its own */
}

static void build_advance(lp_case_build *c, const int64_t *arg)
{
    lp_node node = lp_case_node(c, LP_OP_ADVANCE);
    node.p.cursor.advance = (int32_t)arg[S_ADVANCE];
    node.dst[0] = lp_case_cursor(c, (int32_t)arg[S_POSITION], 7, true);
    lp_case_emit(c, &node);
}

static void samples(lp_case_table *table)
{
    static const int64_t sizes[] = {1, 2, 255, 257, 5000};
    static const int64_t position_and_advance[][2] = {{0, 1}, {13, 3}, {19, 1}, {20, 1}, {0, 21}};
    for (unsigned s = 0; s < N_OF(sizes); s++)
        for (unsigned p = 0; p < N_OF(position_and_advance); p++) {
            const int64_t arg[] = {sizes[s], position_and_advance[p][0],
                                   position_and_advance[p][1], (int64_t)(s + p) % 3 * 5};
            lp_case *row =
                lp_case_add(table, LP_OP_SAMPLE, build_sample,
                             "sample V%d position%d advance%d temperature%g", (int)arg[S_V],
                             (int)arg[S_POSITION], (int)arg[S_ADVANCE],
                             (double)arg[S_TEMPERATURE] / 10);
            memcpy(row->arg, arg, sizeof arg);
            row->gate = LP_CASE_EXACT;
        }
    for (unsigned p = 0; p < N_OF(position_and_advance); p++) {
        const int64_t arg[] = {0, position_and_advance[p][0], position_and_advance[p][1]};
        lp_case *row = lp_case_add(table, LP_OP_ADVANCE, build_advance,
                                     "advance position%d by %d", (int)arg[S_POSITION],
                                     (int)arg[S_ADVANCE]);
        memcpy(row->arg, arg, sizeof arg);
        row->gate = LP_CASE_EXACT;
    }
}

void lp_cases_sequence(lp_case_table *table)
{
    ropes(table);
    kv_writes(table);
    attentions(table);
    samples(table);
}
