/* Rows of the op table for the dense families: linear, norm, embed, add, mul, act. */
#include "check/op_table.h"

#include <string.h>

static const lp_dtype weight_types[] = {LP_F32, LP_F16, LP_BF16, LP_Q8_0, LP_Q4_0, LP_MXFP4};
static const lp_dtype more_types[] = {LP_Q4_1, LP_Q5_0, LP_Q5_1, LP_IQ4_NL, LP_Q2_K,  LP_Q3_K,
                                      LP_Q4_K, LP_Q5_K, LP_Q6_K, LP_IQ4_XS, LP_TQ1_0, LP_TQ2_0};
enum {
    N_WEIGHT_TYPES = sizeof weight_types / sizeof *weight_types,
    N_MORE_TYPES = sizeof more_types / sizeof *more_types
};

static bool in_blocks(lp_dtype dtype)
{
    return lp_dtype_table[dtype].block > 1;
}

/* ---- linear */

enum { L_T, L_N, L_K, L_TYPE, L_ACT, L_WITH, L_FILL };
enum {
    WITH_BIAS = 1,
    WITH_GATE = 2,
    WITH_GATE_BIAS = 4,
    WITH_RESIDUAL = 8,
    WITH_VIEW = 16,
    WITH_ODD_VIEW = 32,
    WITH_ALL = 15
};
enum { FILL_UNIT, FILL_ZERO, FILL_HUGE, FILL_TINY_WEIGHTS, FILL_POSITIVE };

static void build_linear(lp_case_build *c, const int64_t *arg)
{
    const int64_t t = arg[L_T], n = arg[L_N], k = arg[L_K], with = arg[L_WITH];
    const lp_dtype type = (lp_dtype)arg[L_TYPE];
    const lp_case_fill x_fill = arg[L_FILL] == FILL_ZERO       ? LP_CASE_ZERO
                                : arg[L_FILL] == FILL_HUGE     ? LP_CASE_HUGE
                                : arg[L_FILL] == FILL_POSITIVE ? (lp_case_fill){1, 1}
                                                               : LP_CASE_UNIT;
    /* scales (of blocks) and values (of halves) that are subnormal as halves */
    const lp_case_fill w_fill = arg[L_FILL] == FILL_TINY_WEIGHTS
                                    ? (lp_case_fill){0, in_blocks(type) ? 1e-4f : 1e-5f}
                                    : LP_CASE_UNIT;
    lp_node node = lp_case_node(c, LP_OP_LINEAR);
    node.p.linear.act = (lp_act_kind)arg[L_ACT];
    if (with & WITH_VIEW)
        node.src[0] = lp_case_input_view(c, t, k, 4, k + 12, x_fill);
    else if (with & WITH_ODD_VIEW)
        node.src[0] = lp_case_input_view(c, t, k, 3, k + 5, x_fill);
    else
        node.src[0] = lp_case_input(c, LP_SHAPE2(t, k), x_fill);
    node.src[1] = lp_case_weight(c, type, LP_SHAPE2(n, k), w_fill);
    if (with & WITH_BIAS)
        node.src[2] =
            lp_case_weight(c, in_blocks(type) ? LP_F32 : type, LP_SHAPE1(n), LP_CASE_UNIT);
    if (with & WITH_GATE)
        node.src[3] = lp_case_weight(c, type, LP_SHAPE2(n, k), LP_CASE_UNIT);
    if (with & WITH_RESIDUAL)
        node.src[4] = with & (WITH_VIEW | WITH_ODD_VIEW)
                          ? lp_case_input_view(c, t, n, 1, n + 2, LP_CASE_UNIT)
                          : lp_case_input(c, LP_SHAPE2(t, n), LP_CASE_UNIT);
    if (with & WITH_GATE_BIAS)
        node.src[5] = lp_case_weight(c, LP_F32, LP_SHAPE1(n), LP_CASE_UNIT);
    lp_case_emit(c, &node);
}

static void linear(lp_case_table *table, int64_t t, int64_t n, int64_t k, lp_dtype type,
                   lp_act_kind act, int64_t with, int64_t fill)
{
    lp_case *row = lp_case_add(
        table, LP_OP_LINEAR, build_linear, "linear %s T%d N%d K%d act%d with%d fill%d",
        lp_dtype_table[type].name, (int)t, (int)n, (int)k, (int)act, (int)with, (int)fill);
    const int64_t arg[] = {t, n, k, type, act, with, fill};
    memcpy(row->arg, arg, sizeof arg);
    row->n_tokens = (int32_t)t;
}

static void linears(lp_case_table *table)
{
    static const int64_t some_t[] = {1, 3, 8, 9, 17, 70}, few_t[] = {1, 9, 64};
    for (int i = 0; i < N_WEIGHT_TYPES; i++) {
        const lp_dtype type = weight_types[i];
        const bool blocks = in_blocks(type);
        const int64_t k1 = blocks ? 96 : 101, k2 = blocks ? 352 : 162;
        for (int64_t t = 1; t <= 9; t++) /* all of them for one plain type and one with blocks */
            if (type == LP_F16 || type == LP_Q4_0 || type == LP_MXFP4 || t == 1 || t == 4 || t == 9)
                linear(table, t, 37, k1, type, LP_ACT_NONE, 0, FILL_UNIT);
        for (unsigned j = 0; j < sizeof some_t / sizeof *some_t; j++)
            linear(table, some_t[j], 131, k2, type, LP_ACT_SILU, WITH_ALL, FILL_UNIT);
        for (unsigned j = 0; j < sizeof few_t / sizeof *few_t; j++) {
            const int64_t t = few_t[j];
            linear(table, t, 20, 64, type, LP_ACT_NONE, 0, FILL_ZERO);
            linear(table, t, 20, 64, type, LP_ACT_GELU_ERF, WITH_RESIDUAL, FILL_HUGE);
            linear(table, t, 20, 64, type, LP_ACT_NONE, 0, FILL_TINY_WEIGHTS);
            linear(table, t, 65, k2, type, LP_ACT_NONE, WITH_BIAS | WITH_RESIDUAL | WITH_VIEW,
                   FILL_UNIT);
            linear(table, t, 65, 128, type, LP_ACT_NONE, WITH_GATE | WITH_RESIDUAL | WITH_VIEW,
                   FILL_UNIT);
            linear(table, t, 65, 64, type, LP_ACT_RELU, WITH_RESIDUAL | WITH_ODD_VIEW, FILL_UNIT);
            linear(table, t, 130, 4096, type, LP_ACT_NONE, 0, FILL_UNIT);
            linear(table, t, 1, blocks ? 32 : 1, type, LP_ACT_NONE, 0, FILL_UNIT);
            linear(table, t, 3, blocks ? 32 : 5, type, LP_ACT_NONE, WITH_GATE, FILL_UNIT);
        }
    }
    for (int act = LP_ACT_NONE; act <= LP_ACT_SILU; act++)
        for (unsigned j = 0; j < 2; j++)
            linear(table, j == 0 ? 1 : 9, 64, 32, j == 0 ? LP_F32 : LP_F16, (lp_act_kind)act,
                   j == 0 ? WITH_BIAS : WITH_GATE, FILL_UNIT);
}

/* Few rows per type, as compilers of kernels are slow: one token; several, with all there is around
 * them; tiles of linear_mm with tails. The kernels around the weights are the same as above. */
static void more_linears(lp_case_table *table)
{
    for (int i = 0; i < N_MORE_TYPES; i++) {
        const lp_dtype type = more_types[i];
        const bool small = lp_dtype_table[type].block <= LP_ROW_ALIGN;
        linear(table, 1, 37, small ? 96 : 256, type, LP_ACT_NONE, 0, FILL_UNIT);
        linear(table, 3, 131, small ? 352 : 512, type, LP_ACT_SILU, WITH_ALL, FILL_UNIT);
        linear(table, 3, 20, 512, type, LP_ACT_SILU, WITH_ALL, FILL_TINY_WEIGHTS);
        linear(table, 1, 37, 11008, type, LP_ACT_NONE, 0, FILL_POSITIVE); /* minima pile up */
        linear(table, 70, 131, small ? 352 : 512, type, LP_ACT_SILU, WITH_ALL, FILL_UNIT);
        linear(table, 70, 20, 768, type, LP_ACT_SILU, WITH_ALL, FILL_HUGE);
    }
}

/* ---- norm */

enum { N_T, N_N, N_KIND, N_WITH, N_OFFSET, N_SCALE };
enum { WITH_GAIN = 1, WITH_NORM_BIAS = 2, WITH_SUM_IN = 4, WITH_NORM_VIEW = 8 };

static void build_norm(lp_case_build *c, const int64_t *arg)
{
    const int64_t t = arg[N_T], n = arg[N_N], with = arg[N_WITH];
    const lp_case_fill fill = {(float)arg[N_OFFSET], (float)arg[N_SCALE]};
    lp_node node = lp_case_node(c, LP_OP_NORM);
    node.p.norm.kind = (lp_norm_kind)arg[N_KIND];
    node.p.norm.eps = 1e-5f;
    node.src[0] = with & WITH_NORM_VIEW ? lp_case_input_view(c, t, n, 3, n + 4, fill)
                                        : lp_case_input(c, LP_SHAPE2(t, n), fill);
    if (with & WITH_GAIN)
        node.src[1] = lp_case_weight(c, LP_F16, LP_SHAPE1(n), LP_CASE_UNIT);
    if (with & WITH_NORM_BIAS)
        node.src[2] = lp_case_weight(c, LP_F32, LP_SHAPE1(n), LP_CASE_UNIT);
    if (with & WITH_SUM_IN)
        node.src[3] = with & WITH_NORM_VIEW ? lp_case_input_view(c, t, n, 1, n + 2, LP_CASE_UNIT)
                                            : lp_case_input(c, LP_SHAPE2(t, n), LP_CASE_UNIT);
    lp_case_emit(c, &node);
}

static void norms(lp_case_table *table)
{
    static const int64_t shapes[][2] = {{1, 1}, {2, 7}, {5, 64}, {70, 100}, {3, 768}, {1, 4099}};
    static const int64_t fills[][2] = {{0, 1}, {0, 0}, {0, 1000000}, {1000, 1}, {-30000, 1}};
    static const int64_t withs[] = {0, WITH_GAIN, WITH_GAIN | WITH_NORM_BIAS, 7, 15};
    static const char *const names[] = {"layer", "rms", "softmax"};
    for (int kind = LP_NORM_LAYER; kind <= LP_NORM_SOFTMAX; kind++)
        for (unsigned s = 0; s < 6; s++)
            for (unsigned f = 0; f < 5; f++)
                for (unsigned w = 0; w < 5; w++) {
                    if (f > 0 && (w + s + f) % 3 != 0) /* a third of the unusual values */
                        continue;
                    if (kind == LP_NORM_LAYER && shapes[s][1] == 1 && f > 0)
                        continue; /* 0 by rounding alone */
                    lp_case *row =
                        lp_case_add(table, LP_OP_NORM, build_norm, "norm %s T%d N%d with%d %d+%d",
                                    names[kind], (int)shapes[s][0], (int)shapes[s][1],
                                    (int)withs[w], (int)fills[f][0], (int)fills[f][1]);
                    const int64_t arg[] = {shapes[s][0], shapes[s][1], kind,
                                           withs[w],     fills[f][0],  fills[f][1]};
                    memcpy(row->arg, arg, sizeof arg);
                    row->n_tokens = (int32_t)shapes[s][0];
                }
}

/* Of the heads of every token. */
enum { H_T, H_H, H_N, H_KIND, H_WITH };
enum { WITH_HEAD_VIEW = 1, WITH_HEAD_GAINS = 2, WITH_HEAD_BIASES = 4 };

static lp_tensor_id vectors(lp_case_build *c, lp_dtype type, const int64_t *arg)
{
    const lp_shape shape = LP_SHAPE2(arg[H_H], arg[H_N]);
    lp_case_weight_data(c, type, shape, LP_CASE_UNIT);
    return lp_weight_vectors(c->b, shape, "%s", c->name);
}

static void build_head_norm(lp_case_build *c, const int64_t *arg)
{
    const int64_t with = arg[H_WITH];
    lp_node node = lp_case_node(c, LP_OP_NORM);
    node.p.norm.kind = (lp_norm_kind)arg[H_KIND];
    node.p.norm.eps = 1e-5f;
    node.src[0] =
        lp_case_heads(c, arg[H_T], arg[H_H], arg[H_N], with & WITH_HEAD_VIEW, LP_CASE_UNIT);
    node.src[1] = with & WITH_HEAD_GAINS
                      ? vectors(c, LP_F16, arg)
                      : lp_case_weight(c, LP_F32, LP_SHAPE1(arg[H_N]), LP_CASE_UNIT);
    if (with & WITH_HEAD_BIASES)
        node.src[2] = vectors(c, LP_F32, arg);
    lp_case_emit(c, &node);
}

static void head_norms(lp_case_table *table)
{
    static const int64_t shapes[][3] = {{1, 1, 2}, {1, 12, 64}, {7, 3, 20}, {33, 5, 128}};
    static const int64_t withs[] = {0, WITH_HEAD_VIEW, WITH_HEAD_GAINS, 7};
    for (int kind = LP_NORM_LAYER; kind <= LP_NORM_RMS; kind++)
        for (unsigned s = 0; s < 4; s++)
            for (unsigned w = 0; w < 4; w++) {
                const int64_t arg[] = {shapes[s][0], shapes[s][1], shapes[s][2], kind, withs[w]};
                lp_case *row = lp_case_add(table, LP_OP_NORM, build_head_norm,
                                           "norm of heads %s T%d H%d N%d with%d",
                                           kind == LP_NORM_LAYER ? "layer" : "rms", (int)arg[H_T],
                                           (int)arg[H_H], (int)arg[H_N], (int)arg[H_WITH]);
                memcpy(row->arg, arg, sizeof arg);
                row->n_tokens = (int32_t)arg[H_T];
            }
}

/* ---- embed */

enum { E_V, E_N, E_TYPE, E_HISTORY, E_POSITION, E_FIRST };

static void build_embed(lp_case_build *c, const int64_t *arg)
{
    /* past both ends of the table; positions past the end of the history repeat its last id */
    static const int32_t ids[] = {3, 0, 12, 7, -1, 13, 1 << 30, INT32_MIN, 5, 6};
    lp_node node = lp_case_node(c, LP_OP_EMBED);
    node.p.embed.scale = 1.5f;
    node.p.embed.first = (int32_t)arg[E_FIRST];
    node.src[0] =
        lp_case_weight(c, (lp_dtype)arg[E_TYPE], LP_SHAPE2(arg[E_V], arg[E_N]), LP_CASE_UNIT);
    node.src[1] = lp_case_cursor(c, (int32_t)arg[E_POSITION], 0, false);
    if (arg[E_HISTORY])
        node.src[2] = lp_case_state(c, LP_I32, LP_SHAPE1(10), ids, false);
    lp_case_emit(c, &node);
}

static void embed(lp_case_table *table, lp_dtype type, int64_t n, int history, const int64_t at[3])
{
    lp_case *row =
        lp_case_add(table, LP_OP_EMBED, build_embed, "embed %s T%d N%d history%d position%d",
                    lp_dtype_table[type].name, (int)at[0], (int)n, history, (int)at[1]);
    const int64_t arg[] = {13, n, type, history, at[1], at[2]};
    memcpy(row->arg, arg, sizeof arg);
    row->n_tokens = (int32_t)at[0];
}

static void embeds(lp_case_table *table)
{
    /* rows of positions that begin with the table's first, with its third: RoBERTa */
    static const int64_t tokens_and_position[][3] = {{1, 0, 0}, {7, 2, 0}, {70, 6, 2}, {2, -5, 0}};
    for (int i = 0; i < N_WEIGHT_TYPES; i++)
        for (int history = 0; history < 2; history++)
            for (unsigned j = 0; j < 4; j++)
                embed(table, weight_types[i], in_blocks(weight_types[i]) ? 96 : 67 + (int64_t)j,
                      history, tokens_and_position[j]);
    for (int i = 0; i < N_MORE_TYPES; i++)
        embed(table, more_types[i], 768, 1, tokens_and_position[1]);
}

/* ---- add, mul, act */

/* W_ACT + FACTORS: with factors of argument and result, as a soft cap of 50 has them. */
enum { FACTORS = 100 };
enum { W_OP, W_DIMS, W_D0, W_D1, W_D2, W_VIEW, W_ACT, W_SCALE };

static lp_tensor_id operand(lp_case_build *c, const int64_t *arg, int64_t first)
{
    const lp_case_fill fill = {0, (float)arg[W_SCALE]};
    const lp_shape shape = {(int)arg[W_DIMS], {arg[W_D0], arg[W_D1], arg[W_D2], 1}};
    if (arg[W_VIEW])
        return lp_case_input_view(c, arg[W_D0], arg[W_D1], first, arg[W_D1] + 5, fill);
    return lp_case_input(c, shape, fill);
}

static void build_elementwise(lp_case_build *c, const int64_t *arg)
{
    lp_node node = lp_case_node(c, (lp_op)arg[W_OP]);
    node.src[0] = operand(c, arg, 1);
    if (node.op == LP_OP_ACT) {
        const bool factors = arg[W_ACT] >= FACTORS;
        node.p.act.act = (lp_act_kind)(arg[W_ACT] % FACTORS);
        node.p.act.in = factors ? 0.02f : 1;
        node.p.act.out = factors ? 50 : 1;
    } else {
        node.src[1] = operand(c, arg, 2);
    }
    lp_case_emit(c, &node);
}

static void elementwise(lp_case_table *table, lp_op op, int64_t act, lp_shape shape, int64_t view,
                        int64_t scale)
{
    char text[96];
    lp_case *row =
        lp_case_add(table, op, build_elementwise, "%s%d %s view%d scale%g", lp_op_name(op),
                    (int)act, lp_shape_print(shape, text), (int)view, (double)scale);
    const int64_t arg[] = {op, shape.n, shape.dim[0], shape.dim[1], shape.dim[2], view, act, scale};
    memcpy(row->arg, arg, sizeof arg);
    row->n_tokens = (int32_t)shape.dim[0];
}

static void elementwises(lp_case_table *table)
{
    const lp_shape shapes[] = {LP_SHAPE1(1), LP_SHAPE1(1030), LP_SHAPE2(3, 7), LP_SHAPE2(70, 513),
                               LP_SHAPE3(2, 3, 5)};
    for (unsigned s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int view = 0; view <= (shapes[s].n == 2); view++) {
            elementwise(table, LP_OP_ADD, 0, shapes[s], view, 1);
            elementwise(table, LP_OP_MUL, 0, shapes[s], view, 1000000);
            elementwise(table, LP_OP_MAX, 0, shapes[s], view, 1);
            for (int act = LP_ACT_NONE; act < LP_N_ACTS; act++)
                elementwise(table, LP_OP_ACT, act, shapes[s], view, s == 0 ? 1 : 8);
        }
    for (int act = LP_ACT_NONE; act < LP_N_ACTS; act++) { /* zero; 1e6; nearly the largest float */
        elementwise(table, LP_OP_ACT, act, LP_SHAPE2(2, 9), 0, 0);
        elementwise(table, LP_OP_ACT, act, LP_SHAPE2(9, 100), 0, 1000000);
        elementwise(table, LP_OP_ACT, act, LP_SHAPE2(9, 100), 0,
                    act == LP_ACT_RELU_SQUARED ? INT64_C(1000000000000000)
                                               : INT64_C(1000000000000000000));
        elementwise(table, LP_OP_ACT, act, LP_SHAPE2(9, 100), 0, 1);
        elementwise(table, LP_OP_ACT, act, LP_SHAPE2(9, 100), 0, 100);
        elementwise(table, LP_OP_ACT, act + FACTORS, LP_SHAPE2(9, 100), 0, 10);
        elementwise(table, LP_OP_ACT, act + FACTORS, LP_SHAPE2(9, 100), 0, 1000);
    }
}

void lp_cases_dense(lp_case_table *table)
{
    linears(table);
    more_linears(table);
    norms(table);
    head_norms(table);
    embeds(table);
    elementwises(table);
}
