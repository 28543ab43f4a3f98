/* A layer of gated hidden units over the tokens, which may look at a source text with additive
 * attention: Bahdanau et al. 2015, arXiv:1409.0473, appendix A. With s' the state before a token, x
 * the inputs' part of all gates (r, z and the candidate n), and keys k_j and values v_j of the
 * source:
 *
 *   A.1.2, A.2.2  e_j = a . tanh(W_a s' + k_j), c = sum_j softmax(e)_j v_j, c = 0 without a source
 *   A.1.1, A.2    r = sigmoid(x_r + U_r s' + c_r), z = sigmoid(x_z + U_z s' + c_z),
 *                 n = tanh(x_n + U_n (r s') + c_n), s = (1 - z) s' + z n
 *
 * Values are annotations times what the paper multiplies contexts by: a sum of products is a
 * product of the sum. Other than in nn.GRU (recurrence.c), r comes before the product with U_n, and
 * z counts the other way round.
 *
 * The state after a token is the first part of the result's row; with a source s' follows, and what
 * columns of c there are beyond the gates: what the words that are put out depend on. */
#include "ops/ops.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "ops/noisy.h"
#include "params.h"

enum { X, U, CURSOR, STATES, START, KEYS, VALUES, QUERY, ALIGN }; /* sources, see graph.h */

/* Sizes of a node: N units, A units of alignment and c's columns, 0 without a source. */
typedef struct sizes {
    int64_t n_tokens, n, n_align, n_context;
    int64_t n_extra; /* columns of c behind the gates' */
    int64_t n_keys;  /* rows of the caches of keys and values */
} sizes;

static sizes sizes_of(const lp_graph *graph, const lp_node *node)
{
    const lp_shape x = lp_op_tensor(graph, node->src[X])->shape;
    sizes s = {.n_tokens = x.dim[0], .n = x.dim[1] / 3};
    if (node->src[KEYS] != LP_NONE) {
        const lp_tensor *keys = lp_op_tensor(graph, node->src[KEYS]);
        s.n_keys = keys->shape.dim[0];
        s.n_align = keys->shape.dim[2];
        s.n_context = lp_op_tensor(graph, node->src[VALUES])->shape.dim[2];
        s.n_extra = s.n_context - 3 * s.n;
    }
    return s;
}

/* Rows of n f32 of a slot, without gaps: [C, 1, n]. */
static lp_status check_rows(lp_context *ctx, const lp_graph *graph, const lp_node *node, int source,
                            const char *what, int64_t n)
{
    const lp_tensor *t = lp_op_tensor(graph, node->src[source]);
    char text[96];
    if (t == NULL)
        return LP_OK;
    if (t->slot == LP_NONE || t->dtype != LP_F32 || t->shape.n != 3 || t->shape.dim[1] != 1 ||
        t->shape.dim[0] < 1 || t->shape.dim[2] != n || t->stride != (uint64_t)n)
        return lp_fail(ctx, LP_E_SHAPE, "%s: %s must be F32 [C, 1, %lld], are %s", node->name, what,
                       (long long)n, lp_shape_print(t->shape, text));
    return LP_OK;
}

static lp_status check_source(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                              int64_t n)
{
    const lp_tensor *keys = lp_op_tensor(graph, node->src[KEYS]);
    const lp_tensor *values = lp_op_tensor(graph, node->src[VALUES]);
    if (values == NULL || node->src[QUERY] == LP_NONE || node->src[ALIGN] == LP_NONE)
        return lp_fail(ctx, LP_E_MISSING, "%s: keys without values or an alignment", node->name);
    LP_TRY(check_rows(ctx, graph, node, KEYS, "the keys", keys->shape.dim[2]));
    LP_TRY(check_rows(ctx, graph, node, VALUES, "the values", values->shape.dim[2]));
    if (keys->shape.dim[0] != values->shape.dim[0] || values->shape.dim[2] < 3 * n)
        return lp_fail(ctx, LP_E_SHAPE, "%s: %lld keys, values [%lld, %lld] for %lld units",
                       node->name, (long long)keys->shape.dim[0], (long long)values->shape.dim[0],
                       (long long)values->shape.dim[2], (long long)n);
    const int64_t n_align = keys->shape.dim[2];
    LP_TRY(lp_op_check_vectors(ctx, graph, node, QUERY, "W_a", LP_SHAPE2(n_align, n)));
    return lp_op_check_vector(ctx, graph, node, ALIGN, "v_a", n_align);
}

lp_status lp_op_gated_infer(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                            lp_shape shapes[LP_MAX_DST])
{
    LP_TRY(lp_op_check_input(ctx, graph, node, X, "the gates", 2));
    LP_TRY(lp_op_check_cursor(ctx, graph, node, node->src[CURSOR]));
    const lp_shape x = lp_op_tensor(graph, node->src[X])->shape;
    const int64_t n = x.dim[1] / 3;
    if (node->src[U] == LP_NONE || x.dim[1] % 3)
        return lp_fail(ctx, LP_E_SHAPE, "%s: no weight, or %lld columns for 3 gates", node->name,
                       (long long)x.dim[1]);
    LP_TRY(lp_op_check_vectors(ctx, graph, node, U, "the weight", LP_SHAPE2(3 * n, n)));
    LP_TRY(check_rows(ctx, graph, node, STATES, "the states", n));
    LP_TRY(check_rows(ctx, graph, node, START, "the start", n));
    const lp_tensor *states = lp_op_tensor(graph, node->src[STATES]);
    if (states != NULL && (node->p.gated.backwards || states->shape.dim[0] < x.dim[0]))
        return lp_fail(ctx, LP_E_SHAPE, "%s: %lld tokens do not follow %lld states", node->name,
                       (long long)x.dim[0], (long long)states->shape.dim[0]);
    if (node->src[KEYS] != LP_NONE)
        LP_TRY(check_source(ctx, graph, node, n));
    const sizes s = sizes_of(graph, node);
    shapes[0] = LP_SHAPE2(x.dim[0], s.n_keys > 0 ? 2 * n + s.n_extra : n);
    return LP_OK;
}

/* ---- Reference ----------------------------------------------------------------------------- */

/* A score: its own errors, and the standard deviation of what the query's do to it. */
typedef struct score {
    double value, own, of_query;
    double p; /* its share */
} score;

/* One token. */
typedef struct step {
    const lp_cpu_call *call;
    sizes s;
    const float *x;   /* [3 N] */
    int64_t n_source; /* keys that there are */
    score *scores;    /* [n_source] */
    lp_noisy *state;  /* s' [N] */
    lp_noisy *hidden; /* [2 N + A]: U_r s', U_z s', W_a s' */
    lp_noisy *reset;  /* r s' [N] */
    lp_noisy *z, *n;  /* [N]; n: before the product with U_n and tanh */
    lp_noisy *extra;  /* of c, [n_extra] */
} step;

/* Row `row` of w times v [N]. */
static lp_noisy dot(const lp_view *w, int64_t row, const lp_noisy *v, int64_t n)
{
    enum { CHUNK = 256 };
    float weight[CHUNK];
    lp_dot_sums sums = {0};
    double inherited = 0;
    for (int64_t k = 0; k < n; k += CHUNK) {
        const int64_t m = n - k < CHUNK ? n - k : CHUNK;
        lp_view_load(w, row, k, weight, m);
        for (int64_t i = 0; i < m; i++) {
            lp_dot_add(&sums, (double)weight[i] * v[k + i].value);
            inherited += lp_square((double)weight[i]) * v[k + i].variance;
        }
    }
    return (lp_noisy){sums.sum, lp_dot_variance((double)n, &sums) + inherited};
}

static const float *row_of(const lp_view *view, int64_t row)
{
    return (const float *)view->data + (uint64_t)row * view->stride;
}

/* e_j */
static score score_of(const step *s, int64_t j)
{
    const lp_noisy *query = s->hidden + 2 * s->s.n;
    const float *key = row_of(&s->call->src[KEYS], j);
    lp_dot_sums sums = {0};
    double own = 0, of_query = 0;
    for (int64_t k = 0; k < s->s.n_align; k++) {
        float a;
        lp_view_load(&s->call->src[ALIGN], 0, k, &a, 1);
        const lp_noisy exact = {query[k].value, 0};
        const lp_noisy y =
            lp_noisy_act(LP_ACT_TANH, lp_noisy_sum(exact, (lp_noisy){(double)key[k], 0}));
        lp_dot_add(&sums, (double)a * y.value);
        own += lp_square((double)a) * y.variance;
        of_query += lp_square((double)a * (1 - lp_square(y.value))) * query[k].variance;
    }
    own += lp_dot_variance((double)s->s.n_align, &sums);
    return (score){.value = sums.sum, .own = own, .of_query = sqrt(of_query)};
}

static void align(step *s)
{
    double largest = -INFINITY, sum = 0;
#pragma omp parallel for schedule(static) if (s->n_source * s->s.n_align > LP_PARALLEL_WORK)
    for (int64_t j = 0; j < s->n_source; j++)
        s->scores[j] = score_of(s, j);
    for (int64_t j = 0; j < s->n_source; j++)
        largest = fmax(largest, s->scores[j].value);
    for (int64_t j = 0; j < s->n_source; j++) {
        const double below = s->scores[j].value - largest;
        s->scores[j].p = exp(below);
        s->scores[j].own += lp_rounding_variance(below) + lp_ulp_variance(LP_ULP_EXP(below), 1);
        sum += s->scores[j].p;
    }
    for (int64_t j = 0; j < s->n_source; j++)
        s->scores[j].p /= sum;
}

/* Column m of c. A relative error of a share p_j moves it by p_j (v_j - c), because the total has
 * the same error; what comes from the query may do the same to all scores. As in attention.c,
 * shares below half a ULP may get lost in the sums. */
static lp_noisy context(const step *s, int64_t m)
{
    lp_dot_sums sums = {0}, total = {0};
    double variance = 0, of_query = 0, lost = 0, lost_total = 0;
    for (int64_t j = 0; j < s->n_source; j++) {
        const double p = s->scores[j].p, v = (double)row_of(&s->call->src[VALUES], j)[m];
        lp_dot_add(&sums, p * v);
        lp_dot_add(&total, p);
        lost += p < 0x1p-23 ? p * v : 0;
        lost_total += p < 0x1p-23 ? p : 0;
    }
    const double c = sums.sum, n = (double)s->n_source;
    for (int64_t j = 0; j < s->n_source && s->call->sigma != NULL; j++) {
        const score *e = &s->scores[j];
        const double moved = e->p * ((double)row_of(&s->call->src[VALUES], j)[m] - c);
        variance += lp_square(moved) * e->own;
        of_query += fabs(moved) * e->of_query;
    }
    variance += lp_square(of_query) + lp_square(fabs(lost) + fabs(c) * lost_total) +
                lp_dot_variance(n, &sums) +
                lp_square(c) * (lp_dot_variance(n, &total) + lp_ulp_variance(LP_ULP_DIVISION, 1));
    return (lp_noisy){c, variance};
}

/* Column m of what U_r, U_z or nothing, x and c make of a gate; beyond the gates c's own. */
static void gate(step *s, int64_t m)
{
    const int64_t n = s->s.n, j = m % n;
    lp_noisy y = {0, 0};
    const lp_noisy c = s->n_source > 0 ? context(s, m) : y;
    if (m >= 3 * n) {
        s->extra[m - 3 * n] = c;
        return;
    }
    y.value = (double)s->x[m];
    if (m < 2 * n)
        y = lp_noisy_sum(y, s->hidden[m]);
    if (s->n_source > 0)
        y = lp_noisy_sum(y, c);
    if (m < n)
        s->reset[j] = lp_noisy_product(lp_noisy_act(LP_ACT_SIGMOID, y), s->state[j]);
    else if (m < 2 * n)
        s->z[j] = lp_noisy_act(LP_ACT_SIGMOID, y);
    else
        s->n[j] = y;
}

static lp_noisy new_state(const step *s, int64_t j)
{
    const lp_noisy inner = dot(&s->call->src[U], 2 * s->s.n + j, s->reset, s->s.n);
    const lp_noisy n = lp_noisy_act(LP_ACT_TANH, lp_noisy_sum(s->n[j], inner));
    return lp_noisy_sum(lp_noisy_product(lp_noisy_rest(s->z[j]), s->state[j]),
                        lp_noisy_product(s->z[j], n));
}

static void put(lp_noisy from, int64_t at, float *y, float *sigma)
{
    y[at] = (float)from.value;
    if (sigma != NULL)
        sigma[at] = lp_sigma(from.variance);
}

/* One token: s->state is the state before, and becomes that after it. */
static void token(step *s, float *y, float *sigma)
{
    const int64_t n = s->s.n, columns = 3 * n + s->s.n_extra, a = s->s.n_align;
#pragma omp parallel for schedule(static) if ((2 * n + a) * n > LP_PARALLEL_WORK)
    for (int64_t i = 0; i < 2 * n + a; i++)
        s->hidden[i] =
            dot(&s->call->src[i < 2 * n ? U : QUERY], i < 2 * n ? i : i - 2 * n, s->state, n);
    align(s);
#pragma omp parallel for schedule(static) if (columns * s->n_source > LP_PARALLEL_WORK)
    for (int64_t m = 0; m < columns; m++)
        gate(s, m);
    for (int64_t j = 0; j < n && s->s.n_keys > 0; j++)
        put(s->state[j], n + j, y, sigma);
    for (int64_t i = 0; i < s->s.n_extra; i++)
        put(s->extra[i], 2 * n + i, y, sigma);
#pragma omp parallel for schedule(static) if (n * n > LP_PARALLEL_WORK)
    for (int64_t j = 0; j < n; j++)
        put(new_state(s, j), j, y, sigma);
    for (int64_t j = 0; j < n; j++)
        s->state[j] = (lp_noisy){(double)y[j], sigma != NULL ? lp_square((double)sigma[j]) : 0};
}

/* s' of the first token. */
static void first_state(step *s, const int32_t *cursor)
{
    const lp_view *states = &s->call->src[STATES], *start = &s->call->src[START];
    int64_t position = cursor[LP_CURSOR_POSITION];
    const float *from = position <= 0 ? start->data : NULL;
    if (position > 0 && states->data != NULL) {
        position = position < states->shape.dim[0] ? position : states->shape.dim[0];
        from = row_of(states, position - 1);
    }
    for (int64_t j = 0; j < s->s.n; j++)
        s->state[j] = (lp_noisy){from != NULL ? (double)from[j] : 0, 0};
}

lp_status lp_op_gated_cpu(const lp_cpu_call *call)
{
    const lp_view *x = &call->src[X], *y = &call->dst[0], *keys = &call->src[KEYS];
    const int32_t *cursor = call->src[CURSOR].data;
    step s = {.call = call, .s = {.n_tokens = x->shape.dim[0], .n = x->shape.dim[1] / 3}};
    const int64_t n = s.s.n;
    if (keys->data != NULL) {
        s.s.n_keys = keys->shape.dim[0];
        s.s.n_align = keys->shape.dim[2];
        s.s.n_extra = y->shape.dim[1] - 2 * n;
        s.n_source = cursor[LP_CURSOR_SOURCE] < s.s.n_keys ? cursor[LP_CURSOR_SOURCE] : s.s.n_keys;
        s.n_source = s.n_source > 0 ? s.n_source : 0;
    }
    const size_t room = (size_t)(6 * n + s.s.n_align + s.s.n_extra);
    lp_noisy *numbers = calloc(room + 1, sizeof *numbers);
    s.scores = calloc((size_t)s.n_source + 1, sizeof *s.scores);
    if (numbers == NULL || s.scores == NULL) {
        free(numbers);
        free(s.scores);
        return lp_fail_memory(call->ctx, call->node->name);
    }
    s.state = numbers;
    s.reset = s.state + n;
    s.z = s.reset + n;
    s.n = s.z + n;
    s.hidden = s.n + n;
    s.extra = s.hidden + 2 * n + s.s.n_align;
    first_state(&s, cursor);
    for (int64_t i = 0; i < s.s.n_tokens; i++) {
        const int64_t t = call->node->p.gated.backwards ? s.s.n_tokens - 1 - i : i;
        s.x = row_of(x, t);
        token(&s, (float *)y->data + (uint64_t)t * y->stride,
              call->sigma ? call->sigma + t * y->shape.dim[1] : NULL);
    }
    free(numbers);
    free(s.scores);
    return LP_OK;
}

/* ---- Plan ---------------------------------------------------------------------------------- */

/* Scratch, f32: what one token's kernels leave each other. */
typedef struct scratch {
    uint64_t hidden; /* [3 N + A]: s', and the products with it */
    uint64_t scores; /* [C] */
    uint64_t gates;  /* [3 N]: r s', z, and n before the product with U_n */
    uint64_t end;    /* bytes, as the others */
} scratch;

static scratch scratch_of(const sizes *s)
{
    scratch at = {0};
    at.scores = 4 * (uint64_t)(3 * s->n + s->n_align);
    at.gates = at.scores + 4 * (uint64_t)s->n_keys;
    at.end = at.gates + 12 * (uint64_t)s->n;
    return at;
}

uint64_t lp_op_gated_scratch(const lp_graph *graph, const lp_node *node, const lp_caps *caps)
{
    (void)caps;
    const sizes s = sizes_of(graph, node);
    return scratch_of(&s).end;
}

/* A node on its way to dispatches. */
typedef struct gated_plan {
    lp_planner *pl;
    const lp_node *node;
    sizes s;
    scratch at;
    uint32_t size; /* of workgroups */
    const lp_kernel *hidden, *scores, *gates, *state;
} gated_plan;

static lp_dispatch *dispatch(const gated_plan *g, const lp_kernel *kernel, int64_t n_groups,
                             const void *p, uint32_t bytes)
{
    uint32_t groups[2];
    lp_op_groups(g->pl->caps, (uint64_t)n_groups, groups);
    lp_dispatch *d = lp_plan_dispatch(g->pl, kernel, groups[0], groups[1], 1, p, bytes);
    lp_dispatch_spec(d, 0, g->size);
    return d;
}

/* `before`: 1 + row of y with the state before the token; 0: the first token's. */
static void plan_hidden(const gated_plan *g, uint32_t before)
{
    const lp_tensor *states = lp_op_tensor(g->pl->graph, g->node->src[STATES]);
    const lp_gated_hidden_params p = {
        .n = (uint32_t)g->s.n,
        .n_align = (uint32_t)g->s.n_align,
        .before = before,
        .y_stride = lp_op_stride(g->pl->graph, g->node->dst[0]),
        .cache_rows = states != NULL ? (uint32_t)states->shape.dim[0] : 0,
    };
    const int64_t rows = 2 * g->s.n + g->s.n_align;
    lp_dispatch *d = dispatch(g, g->hidden, rows, &p, sizeof p);
    const lp_node *node = g->node;
    lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_hidden_params, u), node->src[U], LP_READ);
    lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_hidden_params, query), node->src[QUERY],
                       LP_READ);
    if (before > 0) {
        lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_hidden_params, y), node->dst[0], LP_READ);
    } else {
        lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_hidden_params, cursor), node->src[CURSOR],
                           LP_READ);
        lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_hidden_params, states), node->src[STATES],
                           LP_READ);
        lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_hidden_params, start), node->src[START],
                           LP_READ);
    }
    lp_dispatch_scratch(g->pl, d, offsetof(lp_gated_hidden_params, hidden), g->at.hidden,
                        g->at.scores - g->at.hidden, LP_WRITE);
    d->flops = 2.0 * (double)(rows * g->s.n);
    d->bytes = 4.0 * (double)(rows * g->s.n);
}

static void plan_scores(const gated_plan *g)
{
    const lp_gated_scores_params p = {.n_align = (uint32_t)g->s.n_align,
                                      .n_keys = (uint32_t)g->s.n_keys};
    lp_dispatch *d = dispatch(g, g->scores, g->s.n_keys, &p, sizeof p);
    const uint64_t query = g->at.hidden + 12 * (uint64_t)g->s.n;
    lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_scores_params, keys), g->node->src[KEYS],
                       LP_READ);
    lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_scores_params, align), g->node->src[ALIGN],
                       LP_READ);
    lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_scores_params, cursor), g->node->src[CURSOR],
                       LP_READ);
    lp_dispatch_scratch(g->pl, d, offsetof(lp_gated_scores_params, query), query,
                        g->at.scores - query, LP_READ);
    lp_dispatch_scratch(g->pl, d, offsetof(lp_gated_scores_params, scores), g->at.scores,
                        g->at.gates - g->at.scores, LP_WRITE);
    d->flops = 16.0 * (double)(g->s.n_keys * g->s.n_align);
}

static void plan_gates(const gated_plan *g, int64_t t, bool first)
{
    const bool source = g->s.n_keys > 0;
    const lp_gated_gates_params p = {
        .n = (uint32_t)g->s.n,
        .n_extra = (uint32_t)g->s.n_extra,
        .n_keys = (uint32_t)g->s.n_keys,
        .t = (uint32_t)t,
        .x_stride = lp_op_stride(g->pl->graph, g->node->src[X]),
        .y_stride = lp_op_stride(g->pl->graph, g->node->dst[0]),
    };
    const int64_t columns = 3 * g->s.n + g->s.n_extra;
    lp_dispatch *d = dispatch(g, g->gates, (columns + g->size - 1) / g->size, &p, sizeof p);
    lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_gates_params, x), g->node->src[X], LP_READ);
    lp_dispatch_scratch(g->pl, d, offsetof(lp_gated_gates_params, hidden), g->at.hidden,
                        g->at.scores - g->at.hidden, LP_READ);
    if (source) {
        lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_gates_params, cursor), g->node->src[CURSOR],
                           LP_READ);
        lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_gates_params, values), g->node->src[VALUES],
                           LP_READ);
        lp_dispatch_scratch(g->pl, d, offsetof(lp_gated_gates_params, scores), g->at.scores,
                            g->at.gates - g->at.scores, LP_READ);
        lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_gates_params, y), g->node->dst[0],
                           first ? LP_WRITE : LP_READ_WRITE);
    }
    lp_dispatch_scratch(g->pl, d, offsetof(lp_gated_gates_params, gates), g->at.gates,
                        g->at.end - g->at.gates, LP_WRITE);
    d->flops = 2.0 * (double)(columns * g->s.n_keys);
    d->bytes = 4.0 * (double)(columns * g->s.n_keys);
}

static void plan_state(const gated_plan *g, int64_t t, bool first)
{
    const lp_gated_state_params p = {
        .n = (uint32_t)g->s.n,
        .t = (uint32_t)t,
        .y_stride = lp_op_stride(g->pl->graph, g->node->dst[0]),
    };
    lp_dispatch *d = dispatch(g, g->state, g->s.n, &p, sizeof p);
    lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_state_params, u), g->node->src[U], LP_READ);
    lp_dispatch_scratch(g->pl, d, offsetof(lp_gated_state_params, before), g->at.hidden,
                        4 * (uint64_t)g->s.n, LP_READ);
    lp_dispatch_scratch(g->pl, d, offsetof(lp_gated_state_params, gates), g->at.gates,
                        g->at.end - g->at.gates, LP_READ);
    lp_dispatch_tensor(g->pl, d, offsetof(lp_gated_state_params, y), g->node->dst[0],
                       first ? LP_WRITE : LP_READ_WRITE);
    d->flops = 2.0 * (double)(g->s.n * g->s.n);
    d->bytes = 4.0 * (double)(g->s.n * g->s.n);
}

/* Some dispatches per token, because one needs what the last one made. */
lp_status lp_op_gated_plan(lp_planner *pl, const lp_node *node)
{
    gated_plan g = {
        .pl = pl, .node = node, .s = sizes_of(pl->graph, node), .size = pl->caps->is_cpu ? 32 : 64};
    g.at = scratch_of(&g.s);
    const bool source = g.s.n_keys > 0;
    LP_TRY(lp_plan_kernel(pl, "gated_hidden", "f32", &g.hidden));
    LP_TRY(lp_plan_kernel(pl, "gated_scores", "f32", &g.scores));
    LP_TRY(lp_plan_kernel(pl, "gated_gates", "f32", &g.gates));
    LP_TRY(lp_plan_kernel(pl, "gated_state", "f32", &g.state));
    for (int64_t i = 0, before = 0; i < g.s.n_tokens; i++) {
        const int64_t t = node->p.gated.backwards ? g.s.n_tokens - 1 - i : i;
        plan_hidden(&g, (uint32_t)before);
        if (source)
            plan_scores(&g);
        plan_gates(&g, t, i == 0);
        plan_state(&g, t, i == 0 && !source);
        before = t + 1;
    }
    return LP_OK;
}
