/* Drawing the next token: repeat penalty, top-k, top-p, min-p, temperature, draw (the order in
 * which llama.cpp chains its samplers by default). Nucleus sampling: Holtzman et al. 2019,
 * arXiv:1904.09751; min-p: Nguyen et al. 2024, arXiv:2407.01082; repeat penalty: Keskar et al.
 * 2019, arXiv:1909.05858.
 *
 * The same logits must give the same token on every device, so nothing may depend on an order of
 * summation or on a device's exp(): probabilities are integers ("masses", exp(x - max) in units of
 * 2^-30) from a fixed sequence of multiplications and additions, and everything after is integer.
 *
 *  - NaN counts as -inf, +inf as the largest finite number, subnormal numbers as 0. If nothing but
 *    -inf is left, token 0 is chosen. A token drawn from NaN or +inf is not worth having: the first
 *    one's place is noted behind the history (graph.h), and the host stops there. -inf is a token
 *    that must not come.
 *  - penalty: every token among the latest `window` of the history, once: x > 0 ? x / p : x * p.
 *  - top-k: logits >= the k-th largest (ties are all kept). 0 or >= V: off.
 *  - top-p: the smallest set of largest logits with at least p of what top-k left; ties are kept.
 *  - min-p: mass >= min_p of the largest.
 *  - temperature 0: the largest logit, the lowest id among equals. Otherwise the masses of
 *    (x - max) / temperature are summed in the order of ids, and the draw is the id in which
 *    r * total / 2^64 falls, r being 64 bits of Philox4x32-10 (Salmon et al. 2011) with the seed as
 *    key and the number of draws so far as counter.
 *
 * shaders/sample.comp finds the thresholds by radix descent, this file by selection and sorting. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/half.h"
#include "ops/draw.h"
#include "ops/ops.h"
#include "params.h"

lp_status lp_op_sample_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                             lp_shape shapes[LP_MAX_DST])
{
    LP_TRY(lp_op_check_input(ctx, graph, node, 0, "logits", 2));
    LP_TRY(lp_op_check_cursor(ctx, graph, node, node->dst[1]));
    const lp_tensor *logits = lp_op_tensor(graph, node->src[0]);
    const lp_tensor *sampler = lp_op_tensor(graph, node->src[1]);
    const lp_tensor *history = lp_op_tensor(graph, node->dst[0]);
    if (logits->shape.dim[0] != 1 || logits->shape.dim[1] > 1 << 28)
        return lp_fail(ctx, LP_E_SHAPE, "%s: logits must be one row of at most 2^28", node->name);
    if (sampler == NULL || sampler->dtype != LP_I32 || sampler->shape.n != 1 ||
        sampler->shape.dim[0] < LP_SAMPLER_WORDS)
        return lp_fail(ctx, LP_E_SHAPE, "%s: the sampler's state must be I32[%d]", node->name,
                       LP_SAMPLER_WORDS);
    if (history == NULL || history->dtype != LP_I32 || history->shape.n != 1 ||
        history->shape.dim[0] < 2)
        return lp_fail(ctx, LP_E_SHAPE, "%s: the history must be I32[C + 2]", node->name);
    if (node->p.cursor.advance < 0)
        return lp_fail(ctx, LP_E_ARG, "%s: the cursor cannot go back", node->name);
    /* Row 0: penalised logits, or on a device their keys; row 1: what the reference sorts. */
    shapes[2] = LP_SHAPE2(2, logits->shape.dim[1]);
    return LP_OK;
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

typedef struct settings {
    float temperature, top_p, min_p, penalty;
    int32_t top_k, window;
    uint32_t seed[2];
} settings;

static settings read_settings(const uint32_t *words)
{
    return (settings){
        .temperature = lp_bits_f32(words[LP_SAMPLER_TEMPERATURE]),
        .top_p = lp_bits_f32(words[LP_SAMPLER_TOP_P]),
        .min_p = lp_bits_f32(words[LP_SAMPLER_MIN_P]),
        .penalty = lp_bits_f32(words[LP_SAMPLER_PENALTY]),
        .top_k = (int32_t)words[LP_SAMPLER_TOP_K],
        .window = (int32_t)words[LP_SAMPLER_WINDOW],
        .seed = {words[LP_SAMPLER_SEED_LO], words[LP_SAMPLER_SEED_HI]},
    };
}

/* The smallest logit that top-k and top-p leave, of n in `sorted`, which are overwritten. */
static float threshold(const settings *s, float *sorted, int64_t n, float largest)
{
    float least = -INFINITY;
    if (s->top_k > 0 && s->top_k < n)
        least = lp_draw_select_largest(sorted, n, s->top_k);
    if (!(s->top_p < 1.0f))
        return least;
    int64_t n_left = 0;
    uint64_t total = 0;
    for (int64_t i = 0; i < n; i++)
        if (sorted[i] >= least && lp_draw_mass(sorted[i] - largest) > 0) {
            total += lp_draw_mass(sorted[i] - largest);
            sorted[n_left++] = sorted[i];
        }
    qsort(sorted, (size_t)n_left, sizeof *sorted, descending);
    uint64_t want = lp_draw_share(total, s->top_p), sum = 0;
    for (int64_t i = 0; i < n_left; i++) {
        sum += lp_draw_mass(sorted[i] - largest);
        if (sum >= want)
            return sorted[i];
    }
    return least;
}

static int32_t draw(const settings *s, const float *x, float *sorted, int64_t n, uint32_t draws)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    float largest = x[best];
    if (largest == -INFINITY)
        return 0;
    if (!(s->temperature >= FLT_MIN))
        return (int32_t)best;
    float least = threshold(s, sorted, n, largest);
    float min_p = s->min_p > 0.0f ? fminf(s->min_p, 1.0f) : 0.0f;
    uint32_t least_mass = (uint32_t)(min_p * (float)LP_MASS_ONE);
    float inverse = lp_draw_quotient(1.0f, fminf(s->temperature, FLT_MAX));

    uint32_t random[4];
    lp_draw_philox((const uint32_t[4]){draws}, s->seed, random);
    uint64_t total = 0, sum = 0, at = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < n; i++) {
            float d = fmaxf(x[i] - largest, -FLT_MAX);
            if (x[i] == -INFINITY || x[i] < least || lp_draw_mass(d) < least_mass)
                continue;
            sum += lp_draw_mass(d * inverse);
            if (pass == 1 && sum > at)
                return (int32_t)i;
        }
        total = sum;
        sum = 0;
        at = lp_draw_multiply_high((uint64_t)random[1] << 32 | random[0], total);
    }
    return (int32_t)best;
}

lp_status lp_op_sample_cpu(const lp_cpu_call *call)
{
    const lp_view *logits = &call->src[0], *history = &call->dst[0];
    settings s = read_settings(call->src[1].data);
    int32_t *tokens = history->data, *cursor = call->dst[1].data;
    int64_t n = logits->shape.dim[1], size = history->shape.dim[0] - 1;
    int64_t end = (int64_t)cursor[LP_CURSOR_POSITION] + call->node->p.cursor.advance;
    const float *from = logits->data;
    float *x = call->dst[2].data, *sorted = x + call->dst[2].stride;
    bool finite = true;
    for (int64_t i = 0; i < n; i++) {
        x[i] = lp_draw_clean(from[i]);
        finite &= from[i] <= FLT_MAX; /* false for NaN, too */
    }
    if (s.penalty >= FLT_MIN && s.penalty <= FLT_MAX && s.penalty != 1.0f) {
        int64_t last = end < size ? end : size;
        for (int64_t i = end > s.window ? end - s.window : 0; i < last; i++)
            if (tokens[i] >= 0 && tokens[i] < n) {
                float y = lp_draw_clean(from[tokens[i]]);
                x[tokens[i]] =
                    y > 0.0f ? lp_draw_quotient(y, s.penalty) : lp_draw_clean(y * s.penalty);
            }
    }
    for (int64_t i = 0; i < n; i++)
        sorted[i] = x[i];
    int32_t token = draw(&s, x, sorted, n, (uint32_t)cursor[LP_CURSOR_DRAWS]);
    if (end >= 0 && end < size) {
        tokens[end] = token;
        if (!finite && tokens[size] == 0)
            tokens[size] = (int32_t)end + 1;
    }
    cursor[LP_CURSOR_POSITION] = (int32_t)end;
    cursor[LP_CURSOR_DRAWS] = (int32_t)((uint32_t)cursor[LP_CURSOR_DRAWS] + 1u);
    return LP_OK;
}

lp_status lp_op_sample_plan(lp_planner *pl, const lp_node *node)
{
    const lp_tensor *logits = lp_op_tensor(pl->graph, node->src[0]);
    const lp_tensor *history = lp_op_tensor(pl->graph, node->dst[0]);
    lp_sample_params push = {
        .n_vocab = (uint32_t)logits->shape.dim[1],
        .n_history = (uint32_t)history->shape.dim[0] - 1,
        .advance = (uint32_t)node->p.cursor.advance,
    };
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "sample", "f32", &kernel));
    /* One workgroup, as large as there is use for. */
    uint32_t size = 128;
    while (size < 1024 && 2 * size <= pl->caps->max_workgroup_invocations &&
           size * 16 < push.n_vocab)
        size *= 2;
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, 1, 1, 1, &push, sizeof push);
    lp_dispatch_spec(d, 0, size);
    lp_dispatch_tensor(pl, d, offsetof(lp_sample_params, logits), node->src[0], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_sample_params, settings), node->src[1], LP_READ);
    lp_dispatch_tensor(pl, d, offsetof(lp_sample_params, keys), node->dst[2], LP_READ_WRITE);
    lp_dispatch_tensor(pl, d, offsetof(lp_sample_params, history), node->dst[0], LP_READ_WRITE);
    lp_dispatch_tensor(pl, d, offsetof(lp_sample_params, cursor), node->dst[1], LP_READ_WRITE);
    d->flops = 400.0 * (double)push.n_vocab; /* passes over the vocabulary, on one core */
    return LP_OK;
}

lp_status lp_op_advance_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                              lp_shape shapes[LP_MAX_DST])
{
    (void)shapes; /* in place */
    if (node->p.cursor.advance < 0)
        return lp_fail(ctx, LP_E_ARG, "%s: the cursor cannot go back", node->name);
    return lp_op_check_cursor(ctx, graph, node, node->dst[0]);
}

lp_status lp_op_advance_cpu(const lp_cpu_call *call)
{
    ((int32_t *)call->dst[0].data)[LP_CURSOR_POSITION] += call->node->p.cursor.advance;
    return LP_OK;
}

lp_status lp_op_advance_plan(lp_planner *pl, const lp_node *node)
{
    lp_advance_params push = {.advance = (uint32_t)node->p.cursor.advance};
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "advance", "i32", &kernel));
    lp_dispatch *d = lp_plan_dispatch(pl, kernel, 1, 1, 1, &push, sizeof push);
    lp_dispatch_spec(d, 0, 1);
    lp_dispatch_tensor(pl, d, offsetof(lp_advance_params, cursor), node->dst[0], LP_READ_WRITE);
    return LP_OK;
}
