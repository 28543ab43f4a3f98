/* Rows of the op table for what depends on the position: rope, kv_write, recurrence, gated, sample,
 * advance; attention has a file of its own. */
#include "check/op_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N_OF(array) (sizeof(array) / sizeof *(array))

/* ---- rope */

enum {
    R_T,
    R_H,
    R_D,
    R_N,
    R_PAIRING,
    R_POSITION,
    R_VIEW,
    R_SIZE,
    R_SCALED,
    R_FRONT,
    R_AXES,
    R_PERIOD
};

static void build_rope(lp_case_build *c, const int64_t *arg)
{
    double frequencies[64];
    for (int i = 0; i < arg[R_N] / 2; i++)
        frequencies[i] = pow(10000, -2.0 * i / (double)arg[R_N]);
    lp_node node = lp_case_node(c, LP_OP_ROPE);
    lp_rope_angles angles = lp_rope_table(c->b, c->row->name, frequencies, (int32_t)arg[R_N],
                                          (int32_t)(arg[R_POSITION] + arg[R_T] + 2 * arg[R_PERIOD]),
                                          arg[R_SCALED] ? 1.3f : 1);
    node.p.rope.pairing = (lp_rope_pairing)arg[R_PAIRING];
    node.p.rope.n_rotated = angles.n_rotated;
    node.p.rope.frequencies = angles.frequencies;
    node.p.rope.scale = angles.scale;
    if (arg[R_PERIOD] > 0)
        node.p.rope.place = (lp_rope_place){(int32_t)arg[R_PERIOD], 1, (int32_t)arg[R_PERIOD] - 1};
    node.src[0] = lp_case_heads(c, arg[R_T], arg[R_H], arg[R_D], arg[R_VIEW],
                                (lp_case_fill){0, (float)arg[R_SIZE]});
    const int32_t cursor[LP_CURSOR_WORDS] = {
        [LP_CURSOR_POSITION] = (int32_t)arg[R_POSITION],
        [LP_CURSOR_SOURCE] = (int32_t)(arg[R_POSITION] + arg[R_T] / 2), /* in the midst */
        [LP_CURSOR_BLANK] = (int32_t)arg[R_POSITION] / 3};
    node.p.rope.two_axes = arg[R_AXES] != 0;
    node.src[1] = lp_case_state(c, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), cursor, false);
    node.src[2] = angles.table;
    if (arg[R_FRONT] > 0)
        node.src[3] = lp_case_heads(c, arg[R_T], arg[R_H], arg[R_FRONT], !arg[R_VIEW],
                                    (lp_case_fill){0, (float)arg[R_SIZE]});
    lp_case_emit(c, &node);
}

static void ropes(lp_case_table *table)
{
    static const int64_t sizes[][3] = {{1, 8, 8},   {3, 20, 10}, {12, 64, 64},   {8, 128, 128},
                                       {5, 80, 32}, {2, 2, 2},   {16, 192, 64},  {1, 576, 64},
                                       {3, 24, 6},  {4, 24, 24}, {32, 128, 128}, {3, 20, 12}};
    static const int64_t fronts[N_OF(sizes)] = {
        [6] = 512, 512, 18}; /* as latent attention has them */
    static const bool axes[N_OF(sizes)] = {[9] = true, true, true};
    static const int64_t tokens_and_position[][2] = {{1, 0},   {1, 255}, {1, 131071},
                                                     {2, 255}, {9, 250}, {33, 1000}};
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
                                       (s + p) % 5 == 0   ? 0
                                       : (s + p) % 7 == 0 ? 1000000
                                                          : 1,
                                       (s + p) % 3 == 1,
                                       fronts[s],
                                       axes[s],
                                       (2 * s + p) % 5 == 2 && !axes[s] ? 1 + 9 * (int64_t)(s + p)
                                                                        : 0};
                lp_case *row = lp_case_add(
                    table, LP_OP_ROPE, build_rope,
                    "rope%d%s T%d H%d D%d n%d position%d front%d period%d", pairing,
                    axes[s] ? " two axes" : "", (int)arg[R_T], (int)arg[R_H], (int)arg[R_D],
                    (int)arg[R_N], (int)arg[R_POSITION], (int)arg[R_FRONT], (int)arg[R_PERIOD]);
                memcpy(row->arg, arg, sizeof arg);
                row->n_tokens = (int32_t)arg[R_T];
            }
}

/* ---- kv_write */

enum { K_T, K_G, K_D, K_C, K_TYPE, K_POSITION, K_VIEW, K_FILL };

static void build_kv_write(lp_case_build *c, const int64_t *arg)
{
    /* halves: normal, 0, inf, subnormal, 0; the scales of Q8_0: normal, 0, normal, subnormal, the
     * smallest, NaN */
    static const float scales[] = {1, 0, 1e6f, 1e-5f, 1e-8f, 1e8f};
    lp_node node = lp_case_node(c, LP_OP_KV_WRITE);
    node.src[0] = lp_case_heads(c, arg[K_T], arg[K_G], arg[K_D], arg[K_VIEW],
                                (lp_case_fill){0, scales[arg[K_FILL]]});
    node.src[1] = lp_case_cursor(c, (int32_t)arg[K_POSITION], 0, false);
    node.dst[0] = lp_case_cache(c, (lp_dtype)arg[K_TYPE], LP_SHAPE3(arg[K_C], arg[K_G], arg[K_D]),
                                arg[K_C] * arg[K_G] * arg[K_D], true);
    lp_case_emit(c, &node);
}

static void kv_writes(lp_case_table *table)
{
    /* the last ones do not fit: only the rows of the cache are written */
    static const int64_t tokens_and_position[][2] = {{1, 0},  {1, 39}, {9, 11}, {40, 0},
                                                     {7, 36}, {1, 40}, {3, -2}};
    static const int64_t sizes[][2] = {{1, 2}, {3, 10}, {4, 64}, {5, 38}};
    static const int types[] = {LP_F32, LP_F16, LP_Q8_0};
    for (unsigned s = 0; s < N_OF(sizes); s++)
        for (unsigned p = 0; p < N_OF(tokens_and_position); p++)
            for (unsigned k = 0; k < N_OF(types); k++) {
                const int64_t arg[] = {
                    tokens_and_position[p][0], sizes[s][0], sizes[s][1], 40, types[k],
                    tokens_and_position[p][1], (s + p) % 2, (s + p) % 6};
                lp_case *row =
                    lp_case_add(table, LP_OP_KV_WRITE, build_kv_write,
                                "kv_write %s T%d G%d D%d position%d", lp_dtype_table[types[k]].name,
                                (int)arg[K_T], (int)arg[K_G], (int)arg[K_D], (int)arg[K_POSITION]);
                memcpy(row->arg, arg, sizeof arg);
                row->n_tokens = (int32_t)arg[K_T];
                row->gate = LP_CASE_EXACT;
            }
}

/* ---- recurrence */

enum { C_T, C_N, C_CELL, C_POSITION, C_BIAS, C_TYPE, C_SOURCE };
enum { NO_START = -1 };

static void build_recurrence(lp_case_build *c, const int64_t *arg)
{
    enum { ROWS = 12 };
    const lp_cell_kind cell = (lp_cell_kind)arg[C_CELL];
    const int64_t n = arg[C_N], gates = lp_cell_gates(cell) * n;
    lp_node node = lp_case_node(c, LP_OP_RECURRENCE);
    node.p.recurrence.cell = cell;
    node.src[0] = lp_case_input_view(c, arg[C_T], gates, 1, gates + 3, (lp_case_fill){0, 2});
    lp_case_weight_data(c, (lp_dtype)arg[C_TYPE], LP_SHAPE2(gates, n),
                        (lp_case_fill){0, (float)(2 / sqrt((double)n))});
    node.src[1] = lp_weight_vectors(c->b, LP_SHAPE2(gates, n), "%s", c->name);
    if (arg[C_BIAS])
        node.src[2] = lp_case_weight(c, LP_F16, LP_SHAPE1(gates), LP_CASE_UNIT);
    const lp_shape states = LP_SHAPE3(ROWS, 1, lp_cell_states(cell) * n);
    const int32_t cursor[LP_CURSOR_WORDS] = {[LP_CURSOR_POSITION] = (int32_t)arg[C_POSITION],
                                             [LP_CURSOR_SOURCE] = (int32_t)arg[C_SOURCE]};
    node.src[3] = lp_case_state(c, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), cursor, false);
    node.src[4] = lp_case_cache(c, LP_F32, states, arg[C_POSITION] * lp_shape_row(states), false);
    if (arg[C_SOURCE] != NO_START)
        node.src[5] = lp_case_cache(c, LP_F32, states, arg[C_SOURCE] * lp_shape_row(states), false);
    lp_case_emit(c, &node);
}

static void recurrences(lp_case_table *table)
{
    static const int64_t sizes[][2] = {{1, 1}, {9, 7}, {3, 64}, {2, 100}, {1, 515}};
    static const int64_t places[][2] = {{0, NO_START}, {3, NO_START}, {0, 5}, {0, 0}, {2, 12}};
    for (unsigned s = 0; s < N_OF(sizes); s++)
        for (unsigned p = 0; p < N_OF(places); p++)
            for (int cell = LP_CELL_LSTM; cell <= LP_CELL_GRU; cell++) {
                const int64_t arg[] = {sizes[s][0],  sizes[s][1], cell,
                                       places[p][0], (s + p) % 2, s % 2 ? LP_BF16 : LP_F32,
                                       places[p][1]};
                lp_case *row = lp_case_add(table, LP_OP_RECURRENCE, build_recurrence,
                                           "%s T%d N%d position%d start%d",
                                           cell == LP_CELL_LSTM ? "lstm" : "gru", (int)arg[C_T],
                                           (int)arg[C_N], (int)arg[C_POSITION], (int)arg[C_SOURCE]);
                memcpy(row->arg, arg, sizeof arg);
                row->n_tokens = (int32_t)arg[C_T];
            }
}

/* ---- gated units */

enum { G_T, G_N, G_ALIGN, G_EXTRA, G_SOURCE, G_POSITION, G_BACK, G_START, G_TYPE };

/* A source of 0 tokens or more, in caches of S rows. */
static void add_source(lp_case_build *c, const int64_t *arg, lp_node *node)
{
    const int64_t n = arg[G_N], n_align = arg[G_ALIGN], n_value = 3 * n + arg[G_EXTRA];
    const int64_t rows = arg[G_SOURCE] + 3;
    node->src[5] =
        lp_case_cache(c, LP_F32, LP_SHAPE3(rows, 1, n_align), arg[G_SOURCE] * n_align, false);
    node->src[6] =
        lp_case_cache(c, LP_F32, LP_SHAPE3(rows, 1, n_value), arg[G_SOURCE] * n_value, false);
    lp_case_weight_data(c, (lp_dtype)arg[G_TYPE], LP_SHAPE2(n_align, n),
                        (lp_case_fill){0, (float)(2 / sqrt((double)n))});
    node->src[7] = lp_weight_vectors(c->b, LP_SHAPE2(n_align, n), "%s", c->name);
    node->src[8] = lp_case_weight(c, LP_F16, LP_SHAPE1(n_align), LP_CASE_UNIT);
}

static void build_gated(lp_case_build *c, const int64_t *arg)
{
    enum { ROWS = 12 };
    const int64_t n = arg[G_N];
    lp_node node = lp_case_node(c, LP_OP_GATED);
    node.p.gated.backwards = arg[G_BACK] != 0;
    node.src[0] = lp_case_input_view(c, arg[G_T], 3 * n, 1, 3 * n + 3, (lp_case_fill){0, 2});
    lp_case_weight_data(c, (lp_dtype)arg[G_TYPE], LP_SHAPE2(3 * n, n),
                        (lp_case_fill){0, (float)(2 / sqrt((double)n))});
    node.src[1] = lp_weight_vectors(c->b, LP_SHAPE2(3 * n, n), "%s", c->name);
    const int32_t cursor[LP_CURSOR_WORDS] = {[LP_CURSOR_POSITION] = (int32_t)arg[G_POSITION],
                                             [LP_CURSOR_SOURCE] = (int32_t)arg[G_SOURCE]};
    node.src[2] = lp_case_state(c, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), cursor, false);
    if (!node.p.gated.backwards)
        node.src[3] = lp_case_cache(c, LP_F32, LP_SHAPE3(ROWS, 1, n), arg[G_POSITION] * n, false);
    if (arg[G_START])
        node.src[4] = lp_case_cache(c, LP_F32, LP_SHAPE3(1, 1, n), n, false);
    if (arg[G_ALIGN] > 0)
        add_source(c, arg, &node);
    lp_case_emit(c, &node);
}

static void gated_units(lp_case_table *table)
{
    /* tokens, units, units of the alignment, further columns, source's tokens, position, backwards
     */
    static const int64_t cases[][7] = {
        {1, 1, 0, 0, 0, 0, 0},    {9, 7, 0, 0, 0, 0, 0},     {9, 7, 0, 0, 0, 0, 1},
        {3, 100, 0, 0, 0, 5, 0},  {2, 130, 0, 0, 0, 0, 1},   {1, 1, 1, 0, 1, 0, 0},
        {1, 2, 3, 1, 0, 0, 0},    {1, 7, 5, 6, 9, 0, 0},     {4, 7, 5, 6, 9, 3, 0},
        {1, 64, 70, 10, 1, 4, 0}, {2, 33, 64, 66, 70, 0, 0}, {1, 100, 130, 20, 300, 12, 0},
        {1, 9, 40, 0, 65, 2, 0},  {3, 20, 31, 7, 130, 0, 0}};
    for (unsigned i = 0; i < N_OF(cases); i++)
        for (int start = 0; start < 2; start++) {
            lp_case *row = lp_case_add(
                table, LP_OP_GATED, build_gated, "gated T%d N%d A%d P%d source%d position%d%s%s",
                (int)cases[i][G_T], (int)cases[i][G_N], (int)cases[i][G_ALIGN],
                (int)cases[i][G_EXTRA], (int)cases[i][G_SOURCE], (int)cases[i][G_POSITION],
                cases[i][G_BACK] ? " backwards" : "", start ? " start" : "");
            memcpy(row->arg, cases[i], sizeof cases[i]);
            row->arg[G_START] = start;
            row->arg[G_TYPE] = i % 2 ? LP_BF16 : LP_F32;
            row->n_tokens = (int32_t)cases[i][G_T];
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
            const int64_t arg[] = {sizes[s], position_and_advance[p][0], position_and_advance[p][1],
                                   (int64_t)(s + p) % 3 * 5};
            lp_case *row = lp_case_add(table, LP_OP_SAMPLE, build_sample,
                                       "sample V%d position%d advance%d temperature%g",
                                       (int)arg[S_V], (int)arg[S_POSITION], (int)arg[S_ADVANCE],
                                       (double)arg[S_TEMPERATURE] / 10);
            memcpy(row->arg, arg, sizeof arg);
            row->gate = LP_CASE_EXACT;
        }
    for (unsigned p = 0; p < N_OF(position_and_advance); p++) {
        const int64_t arg[] = {0, position_and_advance[p][0], position_and_advance[p][1]};
        lp_case *row = lp_case_add(table, LP_OP_ADVANCE, build_advance, "advance position%d by %d",
                                   (int)arg[S_POSITION], (int)arg[S_ADVANCE]);
        memcpy(row->arg, arg, sizeof arg);
        row->gate = LP_CASE_EXACT;
    }
}

void lp_cases_sequence(lp_case_table *table)
{
    ropes(table);
    kv_writes(table);
    recurrences(table);
    gated_units(table);
    samples(table);
}
