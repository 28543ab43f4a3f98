/* One layer of an LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000) or
 * a GRU (Cho et al. 2014, arXiv:1406.1078) over the tokens, by the equations of PyTorch's nn.LSTM
 * and nn.GRU. The inputs' part of all gates has been computed before by a linear.
 *
 *   LSTM, gates i f g o:  c = sigmoid(f) c' + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c)
 *   GRU, gates r z n:     h = (1 - z) n + z h', n = tanh(x_n + sigmoid(r) (w_n h' + b_n))
 *
 * A token's state is a row of the result, and of the cache once KV_WRITE has put it there: so a
 * session rolls back as it does with keys and values, by setting the cursor. Where another net has
 * read a source text, the first token's state follows the last one of that. */
#include "ops/ops.h"

#include <math.h>
#include <stddef.h>

#include "ops/noisy.h"
#include "params.h"

enum { X, W, BIAS, CURSOR, STATES, START }; /* sources, see graph.h */

lp_status lp_op_recurrence_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                                 lp_shape shapes[LP_MAX_DST])
{
    const lp_cell_kind cell = node->p.recurrence.cell;
    if (cell != LP_CELL_LSTM && cell != LP_CELL_GRU)
        return lp_fail(ctx, LP_E_ARG, "%s: cell %d", node->name, (int)cell);
    LP_TRY(lp_op_check_input(ctx, graph, node, X, "the gates", 2));
    LP_TRY(lp_op_check_cursor(ctx, graph, node, node->src[CURSOR]));
    const lp_shape x = lp_op_tensor(graph, node->src[X])->shape;
    const int64_t gates = lp_cell_gates(cell), n = x.dim[1] / gates;
    const lp_tensor *states = lp_op_tensor(graph, node->src[STATES]);
    if (node->src[W] == LP_NONE || states == NULL)
        return lp_fail(ctx, LP_E_MISSING, "%s: no weight or no states", node->name);
    if (x.dim[1] % gates)
        return lp_fail(ctx, LP_E_SHAPE, "%s: %lld columns for %lld gates", node->name,
                       (long long)x.dim[1], (long long)gates);
    LP_TRY(lp_op_check_vectors(ctx, graph, node, W, "the weight", LP_SHAPE2(x.dim[1], n)));
    LP_TRY(lp_op_check_vector(ctx, graph, node, BIAS, "the bias", x.dim[1]));
    const lp_tensor *start = lp_op_tensor(graph, node->src[START]);
    char text[96];
    if (start != NULL && (start->slot == LP_NONE || start->dtype != LP_F32 ||
                          !lp_shape_equal(start->shape, states->shape)))
        return lp_fail(ctx, LP_E_SHAPE, "%s: the start must be like the states, is %s", node->name,
                       lp_shape_print(start->shape, text));
    if (states->slot == LP_NONE || states->dtype != LP_F32 || states->shape.n != 3 ||
        lp_shape_row(states->shape) != lp_cell_states(cell) * n || states->shape.dim[0] < x.dim[0])
        return lp_fail(ctx, LP_E_SHAPE, "%s: the states must be F32 [C, 1, %lld], are %s",
                       node->name, (long long)(lp_cell_states(cell) * n),
                       lp_shape_print(states->shape, text));
    shapes[0] = LP_SHAPE2(x.dim[0], lp_cell_states(cell) * n);
    return LP_OK;
}

/* One token of a layer. */
typedef struct step {
    const lp_cpu_call *call;
    int64_t n;
    const float *x, *before;   /* its gates; the state before it, or NULL: zeros */
    const float *before_sigma; /* of the state, or NULL: it is exact */
} step;

static lp_noisy before(const step *s, int64_t i)
{
    if (s->before == NULL)
        return (lp_noisy){0, 0};
    return (lp_noisy){(double)s->before[i],
                      s->before_sigma ? lp_square((double)s->before_sigma[i]) : 0};
}

/* Row `row` of w times h', plus its bias. */
static lp_noisy hidden_gate(const step *s, int64_t row)
{
    enum { CHUNK = 256 };
    const lp_view *bias = &s->call->src[BIAS];
    float w[CHUNK], b = 0;
    lp_dot_sums sums = {0};
    double inherited = 0;
    for (int64_t k = 0; k < s->n && s->before != NULL; k += CHUNK) {
        const int64_t m = s->n - k < CHUNK ? s->n - k : CHUNK;
        lp_view_load(&s->call->src[W], row, k, w, m);
        for (int64_t i = 0; i < m; i++) {
            const lp_noisy h = before(s, k + i);
            lp_dot_add(&sums, (double)w[i] * h.value);
            inherited += lp_square((double)w[i]) * h.variance;
        }
    }
    if (bias->data != NULL)
        lp_view_load(bias, row, 0, &b, 1);
    const lp_noisy dot = {sums.sum, lp_dot_variance((double)s->n, &sums) + inherited};
    return lp_noisy_sum(dot, (lp_noisy){(double)b, 0});
}

/* Unit j: its new h and, of an LSTM, c. */
static void cell(const step *s, int64_t j, lp_noisy state[2])
{
    const bool lstm = s->call->node->p.recurrence.cell == LP_CELL_LSTM;
    lp_noisy x[4], h[4], gate[4];
    for (int64_t g = 0; g < (lstm ? 4 : 3); g++) {
        x[g] = (lp_noisy){(double)s->x[g * s->n + j], 0};
        h[g] = hidden_gate(s, g * s->n + j);
        gate[g] = lp_noisy_sum(x[g], h[g]);
    }
    if (lstm) {
        const lp_noisy kept =
            lp_noisy_product(lp_noisy_act(LP_ACT_SIGMOID, gate[1]), before(s, s->n + j));
        const lp_noisy taken = lp_noisy_product(lp_noisy_act(LP_ACT_SIGMOID, gate[0]),
                                                lp_noisy_act(LP_ACT_TANH, gate[2]));
        state[1] = lp_noisy_sum(kept, taken);
        state[0] = lp_noisy_product(lp_noisy_act(LP_ACT_SIGMOID, gate[3]),
                                    lp_noisy_act(LP_ACT_TANH, state[1]));
    } else {
        const lp_noisy z = lp_noisy_act(LP_ACT_SIGMOID, gate[1]);
        const lp_noisy rest = lp_noisy_rest(z);
        const lp_noisy inner =
            lp_noisy_sum(x[2], lp_noisy_product(lp_noisy_act(LP_ACT_SIGMOID, gate[0]), h[2]));
        state[0] = lp_noisy_sum(lp_noisy_product(rest, lp_noisy_act(LP_ACT_TANH, inner)),
                                lp_noisy_product(z, before(s, j)));
    }
}

lp_status lp_op_recurrence_cpu(const lp_cpu_call *call)
{
    const lp_view *x = &call->src[X], *y = &call->dst[0];
    const int64_t n_states = lp_cell_states(call->node->p.recurrence.cell);
    const int64_t n = y->shape.dim[1] / n_states, gates = x->shape.dim[1] / n;
    const int32_t *cursor = call->src[CURSOR].data;
    const bool starts = cursor[LP_CURSOR_POSITION] <= 0 && call->src[START].data != NULL;
    const lp_view *from = &call->src[starts ? START : STATES];
    const int64_t rows = from->shape.dim[0];
    int64_t row = cursor[starts ? LP_CURSOR_SOURCE : LP_CURSOR_POSITION];
    row = row < rows ? row : rows;
    step s = {.call = call, .n = n};
    if (row > 0)
        s.before = (const float *)from->data + (uint64_t)(row - 1) * from->stride;
    for (int64_t t = 0; t < x->shape.dim[0]; t++) {
        float *to = (float *)y->data + (uint64_t)t * y->stride;
        float *sigma = call->sigma ? call->sigma + t * n_states * n : NULL;
        s.x = (const float *)x->data + (uint64_t)t * x->stride;
#pragma omp parallel for schedule(static) if (gates * n * n > LP_PARALLEL_WORK)
        for (int64_t j = 0; j < n; j++) {
            lp_noisy state[2];
            cell(&s, j, state);
            for (int64_t i = 0; i < n_states; i++) {
                to[i * n + j] = (float)state[i].value;
                if (sigma != NULL)
                    sigma[i * n + j] = lp_sigma(state[i].variance);
            }
        }
        s.before = to;
        s.before_sigma = sigma;
    }
    return LP_OK;
}

/* A dispatch per token, because one needs what the last one made. */
lp_status lp_op_recurrence_plan(lp_planner *pl, const lp_node *node)
{
    const lp_shape x = lp_op_tensor(pl->graph, node->src[X])->shape;
    const lp_tensor *states = lp_op_tensor(pl->graph, node->src[STATES]);
    const lp_kernel *kernel;
    LP_TRY(lp_plan_kernel(pl, "recurrence", "f32", &kernel));
    lp_recurrence_params p = {
        .n = (uint32_t)(x.dim[1] / lp_cell_gates(node->p.recurrence.cell)),
        .x_stride = lp_op_stride(pl->graph, node->src[X]),
        .y_stride = lp_op_stride(pl->graph, node->dst[0]),
        .cache_rows = (uint32_t)states->shape.dim[0],
        .cache_stride = lp_op_stride(pl->graph, node->src[STATES]),
    };
    uint32_t groups[2];
    lp_op_groups(pl->caps, p.n, groups);
    for (; p.t < (uint32_t)x.dim[0]; p.t++) {
        lp_dispatch *d = lp_plan_dispatch(pl, kernel, groups[0], groups[1], 1, &p, sizeof p);
        lp_dispatch_spec(d, 0, pl->caps->is_cpu ? 32 : 64);
        lp_dispatch_spec(d, 1, node->p.recurrence.cell);
        lp_dispatch_tensor(pl, d, offsetof(lp_recurrence_params, x), node->src[X], LP_READ);
        lp_dispatch_tensor(pl, d, offsetof(lp_recurrence_params, w), node->src[W], LP_READ);
        lp_dispatch_tensor(pl, d, offsetof(lp_recurrence_params, bias), node->src[BIAS], LP_READ);
        lp_dispatch_tensor(pl, d, offsetof(lp_recurrence_params, cursor), node->src[CURSOR],
                           LP_READ);
        lp_dispatch_tensor(pl, d, offsetof(lp_recurrence_params, states), node->src[STATES],
                           LP_READ);
        lp_dispatch_tensor(pl, d, offsetof(lp_recurrence_params, start), node->src[START], LP_READ);
        lp_dispatch_tensor(pl, d, offsetof(lp_recurrence_params, y), node->dst[0],
                           p.t == 0 ? LP_WRITE : LP_READ_WRITE);
        d->flops = 2.0 * (double)x.dim[1] * p.n;
        d->bytes = 4.0 * (double)x.dim[1] * p.n;
    }
    return LP_OK;
}
