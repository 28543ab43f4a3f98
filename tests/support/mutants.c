/* See mutants.h. */
#include "support/mutants.h"

#include <string.h>

static bool swap_rope_pairing(lp_node *n)
{
    if (n->op != LP_OP_ROPE)
        return false;
    n->p.rope.pairing = n->p.rope.pairing == LP_ROPE_HALVES ? LP_ROPE_ADJACENT : LP_ROPE_HALVES;
    return true;
}

static bool eps_times_100(lp_node *n)
{
    if (n->op != LP_OP_NORM || n->p.norm.kind == LP_NORM_SOFTMAX)
        return false;
    n->p.norm.eps *= n->p.norm.eps < 1e-9f ? 1e9f : 100; /* BERT's: next to nothing */
    return true;
}

static bool other_norm(lp_node *n)
{
    if (n->op != LP_OP_NORM || n->p.norm.kind == LP_NORM_SOFTMAX)
        return false;
    n->p.norm.kind = n->p.norm.kind == LP_NORM_RMS ? LP_NORM_LAYER : LP_NORM_RMS;
    return true;
}

static bool change_act(lp_node *n, lp_act_kind from, lp_act_kind to)
{
    if (n->op == LP_OP_LINEAR && n->p.linear.act == from) {
        n->p.linear.act = to;
        return true;
    }
    if (n->op == LP_OP_ACT && n->p.act.act == from) {
        n->p.act.act = to;
        return true;
    }
    return false;
}

static bool gelu_erf(lp_node *n)
{
    return change_act(n, LP_ACT_GELU_TANH, LP_ACT_GELU_ERF);
}

static bool gelu_tanh(lp_node *n)
{
    return change_act(n, LP_ACT_GELU_ERF, LP_ACT_GELU_TANH);
}

static bool gelu_quick(lp_node *n)
{
    return change_act(n, LP_ACT_GELU_TANH, LP_ACT_GELU_QUICK);
}

static bool gelu_not_quick(lp_node *n)
{
    return change_act(n, LP_ACT_GELU_QUICK, LP_ACT_GELU_ERF);
}

static bool silu_to_gelu_quick(lp_node *n)
{
    return change_act(n, LP_ACT_SILU, LP_ACT_GELU_QUICK);
}

static bool silu_to_relu(lp_node *n)
{
    return change_act(n, LP_ACT_SILU, LP_ACT_RELU);
}

static bool relu_to_silu(lp_node *n)
{
    return change_act(n, LP_ACT_RELU, LP_ACT_SILU);
}

static bool relu_not_squared(lp_node *n)
{
    return change_act(n, LP_ACT_RELU_SQUARED, LP_ACT_RELU);
}

static bool shift_mask(lp_node *n, int shift)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.mask == LP_MASK_FULL)
        return false;
    n->p.attention.mask_shift = shift;
    return true;
}

static bool mask_later(lp_node *n)
{
    return shift_mask(n, 1);
}

static bool mask_earlier(lp_node *n)
{
    return shift_mask(n, -1);
}

static bool mask_causal(lp_node *n)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.mask != LP_MASK_FULL)
        return false;
    n->p.attention.mask = LP_MASK_CAUSAL;
    n->p.attention.from_source = false;
    return true;
}

static bool scale_some_attention(lp_node *n, bool from_source)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.from_source != from_source)
        return false;
    n->p.attention.scale *= 1.1f;
    return true;
}

static bool scale_attention(lp_node *n)
{
    return scale_some_attention(n, false);
}

static bool scale_cross_attention(lp_node *n)
{
    return scale_some_attention(n, true);
}

/* What lies in the cache behind the source text is seen, too. */
static bool source_endless(lp_node *n)
{
    if (n->op != LP_OP_ATTENTION || !n->p.attention.from_source)
        return false;
    n->p.attention.from_source = false;
    return true;
}

static bool change_window(lp_node *n, int by)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.window == 0)
        return false;
    if (n->p.attention.mask == LP_MASK_FULL) /* half of it on each side */
        by *= 2;
    n->p.attention.window = by == 0 ? 0 : n->p.attention.window + by;
    return true;
}

static bool window_off(lp_node *n)
{
    return change_window(n, 0);
}

static bool window_longer(lp_node *n)
{
    return change_window(n, 1);
}

static bool window_shorter(lp_node *n)
{
    return change_window(n, -1);
}

bool scale_embedding(lp_node *n)
{
    if (n->op != LP_OP_EMBED || n->src[2] == LP_NONE)
        return false;
    n->p.embed.scale *= 1.1f;
    return true;
}

/* Factors of residuals, of parts and of the logits, by the ends of their nodes' names. */
static bool drop_factor(lp_node *n, const char *end)
{
    const size_t name = strlen(n->name), bytes = strlen(end);
    if (n->op != LP_OP_ACT || n->p.act.act != LP_ACT_NONE || name < bytes ||
        strcmp(n->name + name - bytes, end) != 0)
        return false;
    n->p.act.out = 1;
    return true;
}

static bool drop_residual_factor(lp_node *n)
{
    return drop_factor(n, "_residual_scale");
}

static bool drop_attention_factor(lp_node *n)
{
    return drop_factor(n, ".attn_scale");
}

static bool drop_feed_forward_factor(lp_node *n)
{
    return drop_factor(n, ".ffn_scale");
}

static bool drop_logit_factor(lp_node *n)
{
    return drop_factor(n, "output_scale");
}

static bool scale_turned(lp_node *n)
{
    if (n->op != LP_OP_ROPE || n->p.rope.scale == 1)
        return false;
    n->p.rope.scale = 1;
    return true;
}

static bool change_stride(lp_node *n)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.stride == 0)
        return false;
    n->p.attention.stride++;
    return true;
}

static bool drop_summary(lp_node *n)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.mask != LP_MASK_FIXED)
        return false;
    n->p.attention.summary = 0;
    return true;
}

static bool change_block(lp_node *n)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.mask != LP_MASK_BLOCKS)
        return false;
    n->p.attention.block--;
    return true;
}

static bool drop_lengths(lp_node *n)
{
    if (n->op != LP_OP_ATTENTION || n->src[6] == LP_NONE)
        return false;
    n->src[6] = LP_NONE;
    return true;
}

static bool place_later(lp_node *n)
{
    if (n->op != LP_OP_ROPE || n->p.rope.place.after == 0)
        return false;
    n->p.rope.place.after++;
    return true;
}

static bool place_in_text(lp_node *n)
{
    if (n->op != LP_OP_ROPE || n->p.rope.place.period == 0)
        return false;
    n->p.rope.place = (lp_rope_place){0};
    return true;
}

static bool no_softmax(lp_node *n)
{
    if (n->op != LP_OP_NORM || n->p.norm.kind != LP_NORM_SOFTMAX)
        return false;
    n->p.norm.kind = LP_NORM_RMS;
    return true;
}

static bool drop_positions(lp_node *n)
{
    if (n->op != LP_OP_EMBED || n->src[2] != LP_NONE)
        return false;
    n->p.embed.scale = 0;
    return true;
}

static bool other_score(lp_node *n)
{
    if (n->op != LP_OP_ROUTE)
        return false;
    n->p.route.score = n->p.route.score == LP_ROUTE_CHOSEN    ? LP_ROUTE_SOFTMAX
                       : n->p.route.score == LP_ROUTE_SOFTMAX ? LP_ROUTE_SIGMOID
                                                              : LP_ROUTE_CHOSEN;
    return true;
}

static bool scale_experts(lp_node *n)
{
    if (n->op != LP_OP_ROUTE)
        return false;
    n->p.route.scale *= 1.1f;
    return true;
}

static bool other_sum_of_scores(lp_node *n)
{
    if (n->op != LP_OP_ROUTE || n->p.route.k == 1 || n->p.route.score == LP_ROUTE_CHOSEN)
        return false;
    n->p.route.normalise = !n->p.route.normalise;
    return true;
}

static bool groups_off(lp_node *n)
{
    if (n->op != LP_OP_ROUTE || n->p.route.n_groups == 0)
        return false;
    n->p.route.n_groups = 0;
    return true;
}

static bool capacity_smaller(lp_node *n)
{
    if (n->op != LP_OP_ROUTE || n->p.route.capacity == 0)
        return false;
    n->p.route.capacity--;
    return true;
}

static bool prefix_off(lp_node *n)
{
    if (n->op != LP_OP_ATTENTION || n->p.attention.mask != LP_MASK_PREFIX)
        return false;
    n->p.attention.mask = LP_MASK_CAUSAL;
    return true;
}

static bool one_axis(lp_node *n)
{
    if (n->op != LP_OP_ROPE || !n->p.rope.two_axes)
        return false;
    n->p.rope.two_axes = false;
    return true;
}

static bool positions_later(lp_node *n)
{
    if (n->op != LP_OP_EMBED || n->src[2] != LP_NONE)
        return false;
    n->p.embed.first++;
    return true;
}

bool mutant_is_other(const lp_graph *graph)
{
    const lp_tensor_id neighbours = lp_graph_find(graph, "neighbours");
    for (uint32_t i = 0; i < graph->n_nodes && neighbours != LP_NONE; i++)
        if (graph->nodes[i].op == LP_OP_EMBED && graph->nodes[i].src[2] == neighbours)
            return true;
    return lp_graph_find(graph, "source") != LP_NONE ||
           (lp_graph_find(graph, "patches") != LP_NONE &&
            lp_store_find(graph->store, "token_embd.weight") != UINT32_MAX);
}

void mutant_see_all(lp_graph *graph, const void *user)
{
    (void)user;
    for (uint32_t i = 0; i < graph->n_nodes && !mutant_is_other(graph); i++)
        if (graph->nodes[i].op == LP_OP_ATTENTION)
            graph->nodes[i].p.attention.mask = LP_MASK_FULL;
}

void mutant_row(lp_graph *graph, const void *user)
{
    const mutant_moved *m = user;
    for (uint32_t i = 0; i < graph->n_nodes && mutant_is_other(graph) == m->encoder; i++) {
        const lp_node *node = &graph->nodes[i];
        lp_tensor *x = node->op == LP_OP_LINEAR ? &graph->tensors[node->src[0]] : NULL;
        if (x != NULL && x->base != node->src[0] && x->shape.dim[0] == 1)
            x->offset += (uint64_t)m->by * x->stride;
    }
}

void mutant_patches(const lp_picture_hparams *p, bool columns, const float *from, float *to)
{
    const size_t n_row = lp_picture_row(p), area = p->patch * p->patch, n = p->size / p->patch;
    memcpy(to, from, lp_picture_tokens(p) * n_row * sizeof *to);
    for (size_t t = p->n_first; t < lp_picture_tokens(p); t++) {
        const size_t i = t - p->n_first, other = columns ? i % n * n + i / n : i;
        for (size_t k = 0; k < n_row; k++)
            to[t * n_row + (columns ? k : k % area * p->channels + k / area)] =
                from[(p->n_first + other) * n_row + k];
    }
}

/* An encoder's; a decoder's have states. */
static bool turn_round(lp_node *n)
{
    enum { STATES = 3 };
    if (n->op != LP_OP_GATED || n->src[STATES] != LP_NONE)
        return false;
    n->p.gated.backwards = !n->p.gated.backwards;
    return true;
}

static bool other_query(lp_node *n)
{
    enum { U = 1, QUERY = 7 };
    if (n->op != LP_OP_GATED || n->src[QUERY] == LP_NONE)
        return false;
    n->src[QUERY] = n->src[U];
    return true;
}

static bool sum_for_max(lp_node *n)
{
    if (n->op != LP_OP_MAX)
        return false;
    n->op = LP_OP_ADD;
    return true;
}

const mutant mutants[] = {
    {"RoPE pairing swapped", swap_rope_pairing},
    {"eps times 100", eps_times_100},
    {"layer norm for RMS norm or the reverse", other_norm},
    {"GELU by erf", gelu_erf},
    {"GELU by tanh", gelu_tanh},
    {"quick GELU", gelu_quick},
    {"GELU for quick GELU", gelu_not_quick},
    {"quick GELU for SiLU", silu_to_gelu_quick},
    {"ReLU for SiLU", silu_to_relu},
    {"SiLU for ReLU", relu_to_silu},
    {"ReLU for its square", relu_not_squared},
    {"mask one later", mask_later},
    {"mask one earlier", mask_earlier},
    {"causal mask for all keys", mask_causal},
    {"attention scale times 1.1", scale_attention},
    {"scale of attention to the source times 1.1", scale_cross_attention},
    {"source without an end", source_endless},
    {"RoPE without its factor", scale_turned},
    {"sliding window off", window_off},
    {"sliding window one longer", window_longer},
    {"sliding window one shorter", window_shorter},
    {"embedding times 1.1", scale_embedding},
    {"position embeddings dropped", drop_positions},
    {"other scores of experts", other_score},
    {"weights of experts times 1.1", scale_experts},
    {"sum of the experts' scores", other_sum_of_scores},
    {"groups of experts off", groups_off},
    {"capacity of experts one less", capacity_smaller},
    {"factor of the residuals dropped", drop_residual_factor},
    {"factor of attention's part dropped", drop_attention_factor},
    {"factor of the feed-forward part dropped", drop_feed_forward_factor},
    {"factor of the logits dropped", drop_logit_factor},
    {"stride of sparse attention one more", change_stride},
    {"summary of fixed attention dropped", drop_summary},
    {"blocks of keys one shorter", change_block},
    {"lengths of neighbours dropped", drop_lengths},
    {"chunk beside its neighbours one later", place_later},
    {"angles by the place in the text", place_in_text},
    {"RMS norm for softmax", no_softmax},
    {"position embeddings one later", positions_later},
    {"causal mask for a prefix", prefix_off},
    {"RoPE by one position instead of two", one_axis},
    {"directions of an encoder turned round", turn_round},
    {"additive attention's query by another matrix", other_query},
    {"sum for the larger of two", sum_for_max},
};
const size_t n_mutants = sizeof mutants / sizeof mutants[0];
