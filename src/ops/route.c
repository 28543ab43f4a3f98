/* The router of a mixture of experts: each token's k experts and their weights. Shazeer et al. 2017
 * (arXiv:1701.06538); Switch (2101.03961) with its capacity; groups and the selection bias as in
 * DeepSeek-V2 (2405.04434) and V3 (2412.19437).
 *
 * A choice is discrete: with nearly equal scores one rounding decides, and then all of an expert's
 * output differs. So the choice is defined bit for bit, and every device must make the same one of
 * the same logits; there are no near ties to be lenient with, and a check accepts no other expert.
 * Scores are compared as the integers of their bits. Where they are the logits themselves, or rise
 * with them, nothing is computed at all. Where a function of the logits counts (a bias is added, or
 * groups are ranked by sums), it is made of float additions and products in a fixed order, which
 * are correctly rounded everywhere: route_exp() and what follows it, like their twins in
 * shaders/route.comp. (This file is compiled without contraction; there it says `precise`.)
 * NaN is above all numbers, so that it is chosen and shows.
 *
 * Weights are ordinary numbers: here in double, with a sigma.
 *
 * When a device runs freely, its logits differ by rounding, and it may choose others. That is told
 * apart from a fault in src/check/choice.h. */
#include "ops/ops.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "ops/sigma.h"
#include "params.h"

enum { LOGITS, BIAS }; /* sources, see graph.h */

enum {
    MAX_EXPERTS = 2048, /* limits of shaders/route.comp */
    MAX_CHOSEN = 32,
    MAX_GROUPS = 64,
    LANES = 64 /* workgroup size, which fixes the order of the total */
};

/* What orders the experts: SCORE of shaders/route.comp. */
typedef enum order {
    BY_LOGIT,   /* logit + bias: the scores rise with the logits, or are softmaxed afterwards */
    BY_SIGMOID, /* sigmoid(logit) + bias */
    BY_SOFTMAX  /* exp(logit - largest) + bias * total: softmax + bias, times the total */
} order;

static order order_of(const lp_node *node)
{
    const lp_route_options *o = &node->p.route;
    const bool numbers_count = node->src[BIAS] != LP_NONE || (o->n_groups > 0 && o->group_best > 1);
    if (!numbers_count || o->score == LP_ROUTE_CHOSEN)
        return BY_LOGIT;
    return o->score == LP_ROUTE_SIGMOID ? BY_SIGMOID : BY_SOFTMAX;
}

static lp_status check_groups(lp_context *ctx, const lp_node *node, int64_t n_experts)
{
    const lp_route_options *o = &node->p.route;
    const int64_t per_group = o->n_groups > 0 ? n_experts / o->n_groups : 0;
    if (o->n_groups == 0)
        return LP_OK;
    if (o->n_groups < 0 || o->n_groups > MAX_GROUPS || n_experts % o->n_groups != 0)
        return lp_fail(ctx, LP_E_ARG, "%s: %lld experts in %d groups (at most %d)", node->name,
                       (long long)n_experts, o->n_groups, MAX_GROUPS);
    if (o->n_groups_used < 1 || o->n_groups_used > o->n_groups ||
        o->k > o->n_groups_used * per_group)
        return lp_fail(ctx, LP_E_ARG, "%s: %d of %d groups for %d of %lld experts", node->name,
                       o->n_groups_used, o->n_groups, o->k, (long long)n_experts);
    if (o->group_best < 1 || o->group_best > 2 || o->group_best > per_group)
        return lp_fail(ctx, LP_E_ARG, "%s: groups of %lld experts ranked by their best %d",
                       node->name, (long long)per_group, o->group_best);
    return LP_OK;
}

lp_status lp_op_route_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                            lp_shape shapes[LP_MAX_DST])
{
    const lp_route_options *o = &node->p.route;
    LP_TRY(lp_op_check_input(ctx, graph, node, LOGITS, "the logits", 2));
    const lp_shape shape = lp_op_tensor(graph, node->src[LOGITS])->shape;
    LP_TRY(lp_op_check_vector(ctx, graph, node, BIAS, "the selection bias", shape.dim[1]));
    if (shape.dim[1] > MAX_EXPERTS)
        return lp_fail(ctx, LP_E_LIMIT, "%s: %lld experts; at most %d are possible", node->name,
                       (long long)shape.dim[1], MAX_EXPERTS);
    if (o->k < 1 || o->k > MAX_CHOSEN || o->k > shape.dim[1])
        return lp_fail(ctx, LP_E_ARG, "%s: %d of %lld experts (at most %d)", node->name, o->k,
                       (long long)shape.dim[1], MAX_CHOSEN);
    if ((unsigned)o->score > LP_ROUTE_CHOSEN)
        return lp_fail(ctx, LP_E_ARG, "%s: unknown score %d", node->name, (int)o->score);
    if (!isfinite(o->scale) || o->capacity < 0)
        return lp_fail(ctx, LP_E_ARG, "%s: scale %g, capacity %d", node->name, (double)o->scale,
                       o->capacity);
    LP_TRY(check_groups(ctx, node, shape.dim[1]));
    shapes[0] = LP_SHAPE3(shape.dim[0], o->k, 2);
    return LP_OK;
}

/* ---- The choice: floats, the same as in shaders/route.comp ---------------------------------- */

/* e^x, x <= 0, within two ULP: x = n ln 2 + f, |f| < 0.36; Taylor's series. 0 below e^-87, so that
 * no result is subnormal. */
static float route_exp(float x)
{
    static const float taylor[] = {
        1.38888889e-3f, 8.33333333e-3f, 4.16666667e-2f, 1.66666667e-1f, 0.5f, 1.0f, 1.0f};
    if (!(x >= -87))
        return isnan(x) ? x : 0;
    const int n = (int)(x * 1.44269504f - 0.5f);
    float f = x - (float)n * 0.693359375f; /* ln 2 in two parts, the first of nine bits */
    f = f + (float)n * 2.12194440e-4f;
    float sum = 1.98412698e-4f;
    for (int i = 0; i < 7; i++)
        sum = sum * f + taylor[i];
    return ldexpf(sum, n);
}

/* 1 / d, 1 <= d <= 2: Newton's method, because devices divide in their own ways. */
static float route_reciprocal(float d)
{
    float r = 1.41176471f - 0.470588235f * d;
    for (int i = 0; i < 3; i++)
        r = r * (2 - d * r);
    return r;
}

static float route_sigmoid(float x)
{
    const float t = route_exp(-fabsf(x)), r = route_reciprocal(1 + t);
    return x < 0 ? t * r : r;
}

/* An integer that rises with x. 0 is below all. */
static uint32_t route_key(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return UINT32_MAX;
    if (bits == 0x80000000u)
        bits = 0;
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float value_of_key(uint32_t key)
{
    const uint32_t bits = key == UINT32_MAX   ? 0x7fc00000u
                          : key & 0x80000000u ? key & 0x7fffffffu
                                              : ~key;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Sum in the order of a workgroup: lane j has j, j + LANES, …; then halves are added. */
static float route_total(const float *x, int64_t n)
{
    float lane[LANES] = {0};
    for (int64_t i = 0; i < n; i++)
        lane[i % LANES] += x[i];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

static float largest_of(const float *x, int64_t n)
{
    uint32_t key = 0;
    for (int64_t i = 0; i < n; i++)
        key = route_key(x[i]) > key ? route_key(x[i]) : key;
    return value_of_key(key);
}

typedef struct router {
    const lp_cpu_call *call;
    const lp_route_options *o;
    order order;
    int64_t n_experts;
    float bias[MAX_EXPERTS]; /* 0 where there is none */
} router;

/* Keys of the groups that are not used become 0. */
static void drop_groups(const router *r, uint32_t *keys)
{
    const int64_t n = r->n_experts / r->o->n_groups;
    uint32_t group[MAX_GROUPS];
    for (int g = 0; g < r->o->n_groups; g++) {
        uint32_t best = 0, second = 0;
        for (int64_t i = g * n; i < (g + 1) * n; i++) {
            const uint32_t key = keys[i];
            second = key > best ? best : key > second ? key : second;
            best = key > best ? key : best;
        }
        group[g] =
            r->o->group_best == 1 ? best : route_key(value_of_key(best) + value_of_key(second));
    }
    for (int g = 0; g < r->o->n_groups; g++) {
        int rank = 0;
        for (int other = 0; other < r->o->n_groups; other++)
            rank += group[other] > group[g] || (group[other] == group[g] && other < g);
        for (int64_t i = g * n; rank >= r->o->n_groups_used && i < (g + 1) * n; i++)
            keys[i] = 0;
    }
}

static void choose(const router *r, const float *logits, int32_t chosen[MAX_CHOSEN])
{
    uint32_t keys[MAX_EXPERTS];
    float e[MAX_EXPERTS];
    const int64_t n = r->n_experts;
    const float largest = largest_of(logits, n);
    for (int64_t i = 0; i < n && r->order == BY_SOFTMAX; i++)
        e[i] = route_exp(logits[i] - largest);
    const float total = r->order == BY_SOFTMAX ? route_total(e, n) : 0;
    for (int64_t i = 0; i < n; i++) {
        const float score = r->order == BY_SOFTMAX   ? e[i] + r->bias[i] * total
                            : r->order == BY_SIGMOID ? route_sigmoid(logits[i]) + r->bias[i]
                                                     : logits[i] + r->bias[i];
        keys[i] = route_key(score);
    }
    if (r->o->n_groups > 0)
        drop_groups(r, keys);
    for (int s = 0; s < r->o->k; s++) {
        chosen[s] = 0;
        for (int64_t i = 1; i < n; i++)
            if (keys[i] > keys[chosen[s]])
                chosen[s] = (int32_t)i;
        keys[chosen[s]] = 0;
    }
}

/* ---- The weights ---------------------------------------------------------------------------- */

/* A number and the variance of its relative error in float. */
typedef struct rounded {
    double value, relative;
} rounded;

/* exp(x - largest), where the difference is rounded. */
static rounded exact_exp(double x, double largest)
{
    const double d = x - largest;
    return (rounded){exp(d), lp_ulp_variance(2, 1) + lp_rounding_variance(d)};
}

/* t / (1 + t) or 1 / (1 + t) with t = exp(-|x|). */
static rounded exact_sigmoid(double x)
{
    const double t = exp(-fabs(x)), share = (x < 0 ? 1 : t) / (1 + t);
    return (rounded){x < 0 ? t / (1 + t) : 1 / (1 + t),
                     (lp_square(share) + 1) * lp_ulp_variance(2, 1) + 2 * lp_rounding_variance(1)};
}

/* Sum of n terms whose squares and variances are summed up already. */
static rounded sum_of(double n, double sum, double squares, double variances)
{
    const double variance = lp_sum_variance(n, squares, sum) + variances;
    return (rounded){sum, sum > 0 ? variance / lp_square(sum) : 0};
}

static rounded divide(rounded a, rounded b)
{
    return (rounded){a.value / b.value,
                     a.relative + b.relative + lp_ulp_variance(LP_ULP_DIVISION, 1)};
}

/* sum over i of exp(logits[ids ? ids[i] : i] - largest) */
static rounded exponentials(const float *logits, const int32_t *ids, int64_t n, double largest)
{
    double sum = 0, squares = 0, variances = 0;
    for (int64_t i = 0; i < n; i++) {
        const rounded e = exact_exp((double)logits[ids != NULL ? ids[i] : i], largest);
        sum += e.value;
        squares += lp_square(e.value);
        variances += lp_square(e.value) * e.relative;
    }
    return sum_of((double)n, sum, squares, variances);
}

/* Sums of scores are divided by this much more, as in DeepSeek-V3's own code: all may be 0. */
#define NOT_ZERO 1e-20

static void weigh(const router *r, const float *logits, const int32_t *chosen,
                  rounded weights[MAX_CHOSEN])
{
    const int k = r->o->k;
    if (r->o->score == LP_ROUTE_SIGMOID) {
        for (int s = 0; s < k; s++)
            weights[s] = exact_sigmoid((double)logits[chosen[s]]);
    } else {
        const bool all = r->o->score == LP_ROUTE_SOFTMAX;
        float of_chosen[MAX_CHOSEN];
        for (int s = 0; s < k; s++)
            of_chosen[s] = logits[chosen[s]];
        const double largest =
            (double)(all ? largest_of(logits, r->n_experts) : largest_of(of_chosen, k));
        const rounded total =
            exponentials(logits, all ? NULL : chosen, all ? r->n_experts : k, largest);
        for (int s = 0; s < k; s++)
            weights[s] = divide(exact_exp((double)of_chosen[s], largest), total);
    }
    if (r->o->normalise) {
        double sum = 0, squares = 0, variances = 0;
        for (int s = 0; s < k; s++) {
            sum += weights[s].value;
            squares += lp_square(weights[s].value);
            variances += lp_square(weights[s].value) * weights[s].relative;
        }
        const rounded total = sum_of(k + 1, sum + NOT_ZERO, squares, variances);
        for (int s = 0; s < k; s++)
            weights[s] = divide(weights[s], total);
    }
    for (int s = 0; s < k; s++) {
        weights[s].value *= (double)r->o->scale;
        weights[s].relative += 2 * lp_rounding_variance(1); /* the product, and the reference's */
    }
}

/* Tokens in order; what an expert gets beyond its capacity has weight 0. */
static void limit(const router *r, int64_t n_tokens)
{
    const lp_view *routes = &r->call->dst[0];
    const int64_t k = r->o->k;
    int32_t n[MAX_EXPERTS] = {0};
    for (int64_t t = 0; t < n_tokens; t++)
        for (int64_t s = 0; s < k; s++)
            if (n[lp_route_expert(routes, t, s, r->n_experts)]++ >= r->o->capacity)
                ((float *)routes->data)[(uint64_t)t * routes->stride + 2 * (uint64_t)s + 1] = 0;
}

lp_status lp_op_route_cpu(const lp_cpu_call *call)
{
    const lp_view *x = &call->src[LOGITS], *bias = &call->src[BIAS], *y = &call->dst[0];
    const int64_t n_tokens = x->shape.dim[0], k = call->node->p.route.k;
    router r = {.call = call,
                .o = &call->node->p.route,
                .order = order_of(call->node),
                .n_experts = x->shape.dim[1]};
    for (int64_t i = 0; i < r.n_experts && bias->data != NULL; i++)
        lp_view_load(bias, i, 0, &r.bias[i], 1);
#pragma omp parallel for schedule(static) if (n_tokens * r.n_experts > LP_PARALLEL_WORK)
    for (int64_t t = 0; t < n_tokens; t++) {
        const float *logits = (const float *)x->data + (uint64_t)t * x->stride;
        float *to = (float *)y->data + (uint64_t)t * y->stride;
        int32_t chosen[MAX_CHOSEN];
        rounded weights[MAX_CHOSEN];
        choose(&r, logits, chosen);
        weigh(&r, logits, chosen, weights);
        for (int64_t s = 0; s < k; s++) {
            to[2 * s] = (float)chosen[s];
            to[2 * s + 1] = (float)weights[s].value;
            if (call->sigma != NULL) {
                call->sigma[2 * (t * k + s)] = lp_sigma(0);
                call->sigma[2 * (t * k + s) + 1] =
                    lp_sigma(lp_square(weights[s].value) * weights[s].relative);
            }
        }
    }
    if (r.o->capacity > 0)
        limit(&r, n_tokens);
    return LP_OK;
}

/* ---- Plan ----------------------------------------------------------------------------------- */

/* Constants of the kernel: 1 what is done, 2 to 5 how. Capacity is a dispatch of its own: it looks
 * at all tokens. */
enum { CHOOSE, LIMIT };
enum { HAS_BIAS = 1, HAS_GROUPS = 2, NORMALISE = 4 };

static lp_dispatch *add_dispatch(lp_planner *pl, const lp_node *node, const lp_kernel *kernel,
                                 const lp_route_params *p, uint32_t stage)
{
    const lp_route_options *o = &node->p.route;
    const uint32_t flags = (node->src[BIAS] != LP_NONE ? HAS_BIAS : 0u) |
                           (o->n_groups > 0 ? HAS_GROUPS : 0u) | (o->normalise ? NORMALISE : 0u);
    uint32_t groups[2] = {1, 1};
    if (stage == CHOOSE)
        lp_op_groups(pl->caps, p->n_tokens, groups);
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1], 1, p, sizeof *p);
    lp_dispatch_spec(d, 0, LANES);
    lp_dispatch_spec(d, 1, stage);
    lp_dispatch_spec(d, 2, o->score);
    lp_dispatch_spec(d, 3, order_of(node));
    lp_dispatch_spec(d, 4, flags);
    lp_dispatch_spec(d, 5, p->n_experts);
    lp_dispatch_tensor(pl, d, offsetof(lp_route_params, routes), node->dst[0],
                       stage == CHOOSE ? LP_WRITE : LP_READ_WRITE);
    d->flops = (stage == CHOOSE ? 16.0 : 1.0) * p->n_tokens * p->n_experts;
    return d;
}

lp_status lp_op_route_plan(lp_planner *pl, const lp_node *node)
{
    const lp_shape shape = lp_op_tensor(pl->graph, node->src[LOGITS])->shape;
    const lp_route_options *o = &node->p.route;
    const lp_route_params p = {
        .n_tokens = (uint32_t)shape.dim[0],
        .n_experts = (uint32_t)shape.dim[1],
        .n_slots = (uint32_t)o->k,
        .logits_stride = lp_op_stride(pl->graph, node->src[LOGITS]),
        .routes_stride = lp_op_stride(pl->graph, node->dst[0]),
        .n_groups = (uint32_t)o->n_groups,
        .n_groups_used = (uint32_t)o->n_groups_used,
        .group_best = (uint32_t)o->group_best,
        .capacity = (uint32_t)o->capacity,
        .scale = o->scale,
    };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "route", "f32", &kernel));
    lp_dispatch *d = add_dispatch(pl, node, kernel, &p, CHOOSE);
    lp_dispatch_tensor(pl, d, offsetof(lp_route_params, logits), node->src[LOGITS], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_route_params, bias), node->src[BIAS], LP_READ);
    if (o->capacity > 0)
        add_dispatch(pl, node, kernel, &p, LIMIT);
    return LP_OK;
}
