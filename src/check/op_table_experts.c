/* Rows of the op table for mixtures of experts: route, linear with routes, combine. */
#include "check/op_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N_OF(array) (sizeof(array) / sizeof *(array))

static lp_tensor_id matrix(lp_case_build *c, int64_t rows, int64_t n, bool view, float scale)
{
    const lp_case_fill fill = {0, scale};
    return view ? lp_case_input_view(c, rows, n, 3, n + 5, fill)
                : lp_case_input(c, LP_SHAPE2(rows, n), fill);
}

/* ---- route */

enum { R_T, R_E, R_K, R_SCORE, R_WITH, R_GROUPS, R_USED, R_BEST, R_CAPACITY, R_VALUES };
enum { WITH_BIAS = 1, WITH_NORMALISE = 2, WITH_VIEW = 4, WITH_SCALE = 8 };
/* Logits: random; of few values, so that most are equal; all equal; huge; apart by one unit in the
 * last place. */
enum { VALUES_RANDOM, VALUES_TIED, VALUES_EQUAL, VALUES_HUGE, VALUES_CLOSE, N_VALUES };

static void set_values(lp_case_build *c, int64_t kind)
{
    static const float scales[] = {3, 0, 0, 1e6f, 0};
    lp_case_tensor *logits = &c->row->inputs[0];
    float *x = logits->data;
    for (uint64_t i = 0; x != NULL && i < logits->bytes / 4; i++) {
        const float u = lp_case_uniform(c);
        if (isnan(x[i])) /* around a view */
            continue;
        if (kind == VALUES_TIED)
            x[i] = floorf(2 * u) * (i % 3 == 0 ? -0.0f : 1.5f);
        else if (kind == VALUES_CLOSE)
            x[i] = 1 + floorf(20 * u) * 0x1p-23f;
        else
            x[i] = scales[kind] * u;
    }
}

static void build_route(lp_case_build *c, const int64_t *arg)
{
    lp_node node = lp_case_node(c, LP_OP_ROUTE);
    node.p.route = (lp_route_options){.score = (lp_route_score)arg[R_SCORE],
                                      .k = (int32_t)arg[R_K],
                                      .normalise = (arg[R_WITH] & WITH_NORMALISE) != 0,
                                      .scale = arg[R_WITH] & WITH_SCALE ? 2.5f : 1,
                                      .n_groups = (int32_t)arg[R_GROUPS],
                                      .n_groups_used = (int32_t)arg[R_USED],
                                      .group_best = (int32_t)arg[R_BEST],
                                      .capacity = (int32_t)arg[R_CAPACITY]};
    node.src[0] = matrix(c, arg[R_T], arg[R_E], (arg[R_WITH] & WITH_VIEW) != 0, 1);
    set_values(c, arg[R_VALUES]);
    if (arg[R_WITH] & WITH_BIAS)
        node.src[1] = lp_case_weight(c, LP_F32, LP_SHAPE1(arg[R_E]), (lp_case_fill){0, 0.2f});
    lp_case_emit(c, &node);
}

static void route(lp_case_table *table, const int64_t arg[R_VALUES + 1])
{
    lp_case *row = lp_case_add(
        table, LP_OP_ROUTE, build_route,
        "route T%d E%d k%d score%d with%d groups%d/%d best%d capacity%d values%d", (int)arg[R_T],
        (int)arg[R_E], (int)arg[R_K], (int)arg[R_SCORE], (int)arg[R_WITH], (int)arg[R_USED],
        (int)arg[R_GROUPS], (int)arg[R_BEST], (int)arg[R_CAPACITY], (int)arg[R_VALUES]);
    memcpy(row->arg, arg, (R_VALUES + 1) * sizeof *arg);
    row->n_tokens = (int32_t)arg[R_T];
}

static void routes(lp_case_table *table)
{
    static const int64_t sizes[][3] = {{1, 1, 1},   {1, 8, 2},    {9, 60, 4},  {70, 7, 1},
                                       {3, 3, 3},   {2, 160, 6},  {17, 64, 8}, {1, 128, 8},
                                       {5, 257, 8}, {1, 2048, 1}, {2, 100, 32}};
    static const int64_t groups[][6] = {/* T, E, k, groups, used, best */
                                        {9, 256, 8, 8, 4, 2},
                                        {3, 160, 6, 8, 3, 1},
                                        {1, 60, 4, 6, 1, 2},
                                        {70, 12, 2, 3, 2, 1},
                                        {2, 2048, 8, 64, 8, 2}};
    unsigned n = 0;
    for (unsigned s = 0; s < N_OF(sizes); s++)
        for (int64_t score = LP_ROUTE_SOFTMAX; score <= LP_ROUTE_CHOSEN; score++)
            for (int64_t values = 0; values < N_VALUES; values++, n++)
                route(table, (int64_t[]){sizes[s][0], sizes[s][1], sizes[s][2], score, n * 7 % 16,
                                         0, 0, 0, n % 5 == 4 ? 3 : 0, values});
    for (unsigned g = 0; g < N_OF(groups); g++)
        for (int64_t score = LP_ROUTE_SOFTMAX; score <= LP_ROUTE_CHOSEN; score++)
            for (int64_t with = 0; with < 4; with++, n++)
                route(table, (int64_t[]){groups[g][0], groups[g][1], groups[g][2], score,
                                         with | (n % 3 == 0 ? WITH_VIEW : WITH_SCALE), groups[g][3],
                                         groups[g][4], groups[g][5], 0, n % N_VALUES});
    for (int64_t capacity = 1; capacity <= 65;
         capacity *= 4) /* Switch: one expert gets nearly all */
        route(table,
              (int64_t[]){70, 8, 1, LP_ROUTE_SOFTMAX, WITH_BIAS, 0, 0, 0, capacity, capacity % 5});
}

/* ---- linear with routes, combine */

enum { L_T, L_E, L_K, L_SLOTS, L_N, L_TYPE, L_ACT, L_WITH, L_PATTERN };
enum { WITH_GATE = 2, WITH_GATE_BIAS = 8, WITH_RESIDUAL = 16, WITH_ROWS = 32, WITH_TURNS = 64, WITH_ALL = 27 };
/* Who gets the tokens: experts in turn; the last one all; no expert's numbers among the routes. */
enum { IN_TURN, LAST_ONLY, NOBODY, N_PATTERNS };

/* Routes [T, k, 2] that a router might have made. */
static lp_tensor_id chosen(lp_case_build *c, int64_t n_tokens, int64_t k, int64_t n_experts,
                           int64_t pattern)
{
    static const float odd[] = {-1, NAN, INFINITY, 1e9f, -0.0f, 0.5f};
    const lp_tensor_id id = lp_case_input(c, LP_SHAPE3(n_tokens, k, 2), LP_CASE_UNIT);
    if (id == LP_NONE)
        return id;
    float *x = c->row->inputs[c->row->n_inputs - 1].data;
    for (int64_t i = 0; i < n_tokens * k; i++)
        x[2 * i] = pattern == NOBODY      ? odd[i % (int64_t)N_OF(odd)]
                   : pattern == LAST_ONLY ? (float)(n_experts - 1)
                                          : (float)(i * 5 % n_experts);
    return id;
}

/* Biases of all experts: rows of no whole number of 64. */
static lp_tensor_id biases(lp_case_build *c, lp_dtype type, int64_t n_experts, int64_t n)
{
    lp_case_weight_data(c, type, LP_SHAPE2(n_experts, n), LP_CASE_UNIT);
    return lp_weight_vectors(c->b, LP_SHAPE2(n_experts, n), "%s", c->name);
}

static void build_linear(lp_case_build *c, const int64_t *arg)
{
    const lp_dtype type = (lp_dtype)arg[L_TYPE];
    const bool blocks = lp_dtype_table[type].block > 1;
    const int64_t with = arg[L_WITH], n_rows = arg[L_T] * arg[L_SLOTS];
    const lp_shape w = LP_SHAPE3(arg[L_E], arg[L_N], arg[L_K]);
    lp_node node = lp_case_node(c, LP_OP_LINEAR);
    node.p.linear.act = (lp_act_kind)arg[L_ACT];
    node.src[0] =
        matrix(c, with & WITH_ROWS ? n_rows : arg[L_T], arg[L_K], (with & WITH_VIEW) != 0, 1);
    node.src[1] = lp_case_weight(c, type, w, LP_CASE_UNIT);
    if (with & WITH_BIAS)
        node.src[2] = biases(c, blocks ? LP_F32 : type, arg[L_E], arg[L_N]);
    if (with & WITH_GATE)
        node.src[3] = lp_case_weight(c, type, w, LP_CASE_UNIT);
    if (with & WITH_RESIDUAL)
        node.src[4] = matrix(c, n_rows, arg[L_N], (with & WITH_VIEW) != 0, 1);
    if (with & WITH_GATE_BIAS)
        node.src[5] = biases(c, LP_F32, arg[L_E], arg[L_N]);
    if (!(with & WITH_TURNS))
        node.src[6] = chosen(c, arg[L_T], arg[L_SLOTS], arg[L_E], arg[L_PATTERN]);
    lp_case_emit(c, &node);
}

static void linear(lp_case_table *table, const int64_t arg[L_PATTERN + 1])
{
    lp_case *row = lp_case_add(
        table, LP_OP_LINEAR, build_linear, "linear %s T%d E%d K%d k%d N%d act%d with%d pattern%d",
        lp_dtype_table[arg[L_TYPE]].name, (int)arg[L_T], (int)arg[L_E], (int)arg[L_K],
        (int)arg[L_SLOTS], (int)arg[L_N], (int)arg[L_ACT], (int)arg[L_WITH], (int)arg[L_PATTERN]);
    memcpy(row->arg, arg, (L_PATTERN + 1) * sizeof *arg);
    row->n_tokens = (int32_t)arg[L_T];
}

static void linears(lp_case_table *table)
{
    static const int64_t sizes[][3] = {{1, 7, 1}, {1, 8, 2},  {2, 60, 4}, {3, 3, 8},
                                       {9, 5, 2}, {17, 6, 4}, {70, 9, 1}, {70, 3, 2}}; /* T, E, k */
    for (int type = 0; type < LP_N_DTYPES; type++) {
        const lp_dtype_info *info = &lp_dtype_table[type];
        if (info->kernel == NULL || info->to_f32 == NULL)
            continue;
        if (type > LP_MXFP4) { /* few rows: see op_table_dense.c */
            linear(table, (int64_t[]){2, 7, 512, 4, 70, type, LP_ACT_SILU, WITH_ALL, 0});
            continue;
        }
        const int64_t k1 = info->block > 1 ? 96 : 101, k2 = info->block > 1 ? 160 : 128;
        for (unsigned s = 0; s < N_OF(sizes); s++) {
            const int64_t t = sizes[s][0], e = sizes[s][1], k = sizes[s][2],
                          pattern = s % N_PATTERNS;
            linear(table, (int64_t[]){t, e, k1, k, 37, type, LP_ACT_NONE, 0, IN_TURN});
            linear(table, (int64_t[]){t, e, k2, k, 70, type, LP_ACT_SILU, WITH_ALL, pattern});
            linear(table, (int64_t[]){t, e, k2, k, 19, type, LP_ACT_GELU_TANH,
                                      WITH_ROWS | WITH_BIAS | WITH_VIEW, pattern});
        }
        linear(table, (int64_t[]){4, 4, 4096, 2, 66, type, LP_ACT_SILU, WITH_GATE, IN_TURN});
        for (int64_t t = 1; t <= 70; t += 23) /* a matrix per head: as many rows per token */
            linear(table, (int64_t[]){t, 3, k2, 3, 37, type, LP_ACT_NONE,
                                      WITH_ROWS | WITH_TURNS | (t % 2 ? WITH_VIEW : WITH_BIAS), 0});
    }
}

static void build_combine(lp_case_build *c, const int64_t *arg)
{
    const bool view = (arg[L_WITH] & WITH_VIEW) != 0;
    const float scale = arg[L_WITH] & WITH_SCALE ? 1e6f : 1;
    lp_node node = lp_case_node(c, LP_OP_COMBINE);
    node.src[0] = matrix(c, arg[L_T] * arg[L_SLOTS], arg[L_N], view, scale);
    node.src[1] = chosen(c, arg[L_T], arg[L_SLOTS], 5, IN_TURN);
    if (arg[L_WITH] & WITH_RESIDUAL)
        node.src[2] = matrix(c, arg[L_T], arg[L_N], view, 1);
    lp_case_emit(c, &node);
}

static void combines(lp_case_table *table)
{
    static const int64_t sizes[][3] = {
        {1, 1, 1}, {1, 2, 1030}, {9, 8, 33}, {70, 4, 129}, {3, 32, 64}}; /* T, k, N */
    static const int64_t withs[] = {0, WITH_RESIDUAL, WITH_RESIDUAL | WITH_VIEW, WITH_SCALE};
    for (unsigned s = 0; s < N_OF(sizes); s++)
        for (unsigned w = 0; w < N_OF(withs); w++) {
            lp_case *row =
                lp_case_add(table, LP_OP_COMBINE, build_combine, "combine T%d k%d N%d with%d",
                            (int)sizes[s][0], (int)sizes[s][1], (int)sizes[s][2], (int)withs[w]);
            const int64_t arg[] = {[L_T] = sizes[s][0],
                                   [L_SLOTS] = sizes[s][1],
                                   [L_N] = sizes[s][2],
                                   [L_WITH] = withs[w]};
            memcpy(row->arg, arg, sizeof arg);
            row->n_tokens = (int32_t)sizes[s][0];
        }
}

void lp_cases_experts(lp_case_table *table)
{
    routes(table);
    linears(table);
    combines(table);
}
