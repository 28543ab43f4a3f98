/* The feed-forward part of a block: dense, gated, a mixture of experts. */
#include "models/walk.h"

#include <stdio.h>

/* What the activation `name` makes of x [T, F], normed if the model does. */
static lp_tensor_id activated(lp_walk *w, const char *name, lp_tensor_id x, int64_t n_ff)
{
    if (w->hp->solu) {
        lp_tensor_id share = lp_norm(w->b, "ffn_softmax", LP_NORM_SOFTMAX, 0, x, LP_NONE, LP_NONE);
        x = lp_mul(w->b, name, x, share);
    } else {
        x = lp_act(w->b, name, w->hp->act, x);
    }
    return w->hp->norms & LP_NORMS_FFN_HIDDEN ? lp_walk_norm_of(w, "ffn_hidden_norm", x, n_ff) : x;
}

/* act(gate) * up; gpt-oss: act(min(gate, c)) (1 + up cut to [-c, c]). `kind` ends the names. */
static lp_tensor_id gated(lp_walk *w, const char *kind, lp_tensor_id gate, lp_tensor_id up,
                          int64_t n_ff)
{
    const float most = w->hp->glu_limit;
    char names[2][24];
    snprintf(names[0], sizeof names[0], "ffn_act%s", kind);
    snprintf(names[1], sizeof names[1], "ffn_mul%s", kind);
    if (most == 0)
        return lp_mul(w->b, names[1], activated(w, names[0], gate, n_ff), up);
    gate = lp_act_scaled(w->b, "ffn_gate_clamp", LP_ACT_CLAMP_ABOVE, 1 / most, gate, most);
    up = lp_act_scaled(w->b, "ffn_up_clamp", LP_ACT_CLAMP, 1 / most, up, most);
    gate = lp_act(w->b, names[0], w->hp->act, gate);
    return lp_add(w->b, "ffn_glu", lp_mul(w->b, names[1], gate, up), gate);
}

/* x [T, N] -> [T, N]: ffn_down(act(ffn_up x)), or gated: Shazeer 2020, arXiv:2002.05202. Gate and
 * what it gates may be one matrix, the gate's rows first. `kind` is put behind the names of the
 * weights. */
static lp_tensor_id dense(lp_walk *w, const char *kind, lp_tensor_id x, int64_t n_ff)
{
    const lp_hparams *hp = w->hp;
    char names[4][24];
    static const char *const parts[] = {"up", "gate", "down", "act"};
    enum { UP, GATE, DOWN, ACT };
    for (int i = 0; i < 4; i++)
        snprintf(names[i], sizeof names[i], "ffn_%s%s", parts[i], kind);
    const bool fused = hp->arch->gated && !lp_walk_has_weight(w, names[GATE]);
    lp_tensor_id up = lp_walk_linear(w, names[UP], x, fused ? 2 * n_ff : n_ff, hp->n_embd), hidden;
    if (hp->arch->gated || lp_walk_has_weight(w, names[GATE])) {
        lp_tensor_id gate = fused ? lp_view_columns(w->b, up, 0, n_ff)
                                  : lp_walk_linear(w, names[GATE], x, n_ff, hp->n_embd);
        up = fused ? lp_view_columns(w->b, up, n_ff, n_ff) : up;
        hidden = gated(w, kind, gate, up, n_ff);
    } else {
        hidden = activated(w, names[ACT], up, n_ff);
    }
    return lp_walk_linear(w, names[DOWN], hidden, hp->n_embd, n_ff);
}

/* w [E, n_out, n_in]. */
static lp_tensor_id experts(lp_walk *w, const char *name, lp_tensor_id x, lp_tensor_id routes,
                            int64_t n_out, int64_t n_in)
{
    lp_shape shape = LP_SHAPE3(w->hp->n_expert, n_out, n_in);
    lp_tensor_id weight = lp_weight_tensor(w->b, shape, "%s%s.weight", w->block, name),
                 bias = LP_NONE;
    if (lp_walk_has(w, name, ".bias"))
        bias =
            lp_weight_vectors(w->b, LP_SHAPE2(w->hp->n_expert, n_out), "%s%s.bias", w->block, name);
    return lp_linear_experts(w->b, name, x, routes, weight, bias);
}

/* Normed x [T, N] -> [T, N]: a mixture of feed-forward parts, of which each token uses a few:
 * Shazeer et al. 2017, arXiv:1701.06538. */
static lp_tensor_id mixture(lp_walk *w, lp_tensor_id x)
{
    const lp_hparams *hp = w->hp;
    lp_tensor_id logits = lp_walk_linear(w, "ffn_gate_inp", x, hp->n_expert, hp->n_embd);
    lp_tensor_id bias =
        lp_weight_optional(w->b, LP_SHAPE1(hp->n_expert), "%sexp_probs_b.bias", w->block);
    lp_tensor_id routes = lp_route(w->b, "ffn_route", logits, bias, hp->route);
    if (hp->arch->route_first) /* one expert per token: [T, N] again */
        x = lp_combine(w->b, "ffn_weigh", x, routes);
    lp_tensor_id up = experts(w, "ffn_up_exps", x, routes, hp->n_ff_expert, hp->n_embd);
    lp_tensor_id hidden;
    if (hp->arch->gated) {
        lp_tensor_id gate = experts(w, "ffn_gate_exps", x, routes, hp->n_ff_expert, hp->n_embd);
        hidden = gated(w, "", gate, up, hp->n_ff_expert);
    } else {
        hidden = lp_act(w->b, "ffn_act", hp->act, up);
    }
    lp_tensor_id y = experts(w, "ffn_down_exps", hidden, routes, hp->n_embd, hp->n_ff_expert);
    return hp->arch->route_first ? y : lp_combine(w->b, "ffn_combine", y, routes);
}

/* Normed x [T, N] -> [T, N]: the part of a mixture that all tokens use (Dai et al. 2024,
 * arXiv:2401.06066). Qwen weighs it by a sigmoid, which is a route to one expert. */
static lp_tensor_id shared_expert(lp_walk *w, lp_tensor_id x)
{
    lp_tensor_id y = dense(w, "_shexp", x, w->hp->n_ff_shared);
    if (!lp_walk_has_weight(w, "ffn_gate_inp_shexp"))
        return y;
    const lp_route_options one = {.score = LP_ROUTE_SIGMOID, .k = 1, .scale = 1};
    lp_tensor_id logit = lp_walk_linear(w, "ffn_gate_inp_shexp", x, 1, w->hp->n_embd);
    lp_tensor_id route = lp_route(w->b, "ffn_route_shexp", logit, LP_NONE, one);
    return lp_combine(w->b, "ffn_combine_shexp", y, route);
}

lp_tensor_id lp_walk_feed_forward(lp_walk *w, lp_tensor_id x)
{
    if (!lp_walk_has_weight(w, "ffn_gate_inp"))
        return dense(w, "", x, w->hp->n_ff);
    lp_tensor_id y = mixture(w, x);
    if (w->hp->n_ff_shared > 0)
        y = lp_add(w->b, "ffn_shared", y, shared_expert(w, x));
    return y;
}
