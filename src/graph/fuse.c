/* The fusion pass: see fuse.h. A node is merged into a later one only if nothing else reads what
 * lay between them. Activations are written once, so a node may move down to its consumer's place.
 */
#include "graph/fuse.h"

#include <stdlib.h>

typedef struct fusion {
    lp_graph *graph;
    uint32_t *producer; /* per tensor: node that writes it, or LP_NONE */
    uint32_t *uses;     /* per base tensor: sources that read it or a view of it, and the host */
    bool *dead;         /* per node */
} fusion;

/* The live node of `op` whose result is exactly `id` and is read by nothing else. */
static lp_node *sole_producer(const fusion *f, lp_tensor_id id, lp_op op)
{
    if (id == LP_NONE || f->producer[id] == LP_NONE || f->uses[id] != 1)
        return NULL;
    lp_node *node = &f->graph->nodes[f->producer[id]];
    return node->op == op && node->dst[0] == id ? node : NULL;
}

static lp_node *plain_linear(const fusion *f, lp_tensor_id id)
{
    lp_node *node = sole_producer(f, id, LP_OP_LINEAR);
    return node != NULL && node->src[3] == LP_NONE && node->src[4] == LP_NONE ? node : NULL;
}

/* The activation of a node that has one and may still get another; NULL: it is no such node. */
static lp_act_kind *act_of(lp_node *node)
{
    if (node->src[4] != LP_NONE) /* the residual comes behind it */
        return NULL;
    switch (node->op) {
    case LP_OP_LINEAR:
        return node->src[3] == LP_NONE ? &node->p.linear.act : NULL;
    case LP_OP_CONV2D:
        return &node->p.conv2d.act;
    case LP_OP_GROUP_NORM:
        return &node->p.group_norm.act;
    default:
        return NULL;
    }
}

/* `earlier` takes over the place and the result of node `i`. */
static void merge_into(fusion *f, lp_node *earlier, uint32_t i)
{
    lp_node *node = &f->graph->nodes[i];
    f->dead[earlier - f->graph->nodes] = true;
    lp_node merged = *earlier;
    merged.dst[0] = node->dst[0];
    *node = merged;
    f->producer[node->dst[0]] = i;
}

static bool contiguous(const fusion *f, lp_tensor_id id)
{
    const lp_tensor *t = &f->graph->tensors[id];
    return t->stride == (uint64_t)lp_shape_row(t->shape);
}

static void fuse_act(fusion *f, uint32_t i)
{
    static const lp_op ops[] = {LP_OP_LINEAR, LP_OP_CONV2D, LP_OP_GROUP_NORM};
    const lp_node *node = &f->graph->nodes[i];
    lp_node *before = NULL;
    for (size_t k = 0; k < sizeof ops / sizeof *ops && before == NULL; k++)
        before = sole_producer(f, node->src[0], ops[k]);
    lp_act_kind *act = before != NULL ? act_of(before) : NULL;
    if (act == NULL || *act != LP_ACT_NONE || node->p.act.in != 1 || node->p.act.out != 1 ||
        !contiguous(f, node->dst[0]))
        return;
    *act = node->p.act.act;
    merge_into(f, before, i);
}

/* act(x w^T + b) * (x g^T + c): two linears of one input (and the same routes), weights of one type
 * and shape. */
static void fuse_gate(fusion *f, uint32_t i)
{
    const lp_node *node = &f->graph->nodes[i];
    lp_node *first = plain_linear(f, node->src[0]), *second = plain_linear(f, node->src[1]);
    if (first == NULL || second == NULL || first == second || first->src[0] != second->src[0] ||
        first->src[6] != second->src[6])
        return;
    if (second->p.linear.act != LP_ACT_NONE) {
        lp_node *swap = first;
        first = second;
        second = swap;
    }
    const lp_tensor *w = &f->graph->tensors[first->src[1]];
    const lp_tensor *gate = &f->graph->tensors[second->src[1]];
    if (second->p.linear.act != LP_ACT_NONE || w->dtype != gate->dtype ||
        !lp_shape_equal(w->shape, gate->shape))
        return;
    first->src[3] = second->src[1];
    first->src[5] = second->src[2];
    f->uses[first->src[0]]--;
    if (first->src[6] != LP_NONE)
        f->uses[first->src[6]]--;
    f->dead[second - f->graph->nodes] = true;
    merge_into(f, first, i);
}

/* An addition into the linear, the convolution, or the sum over experts, before it. */
static void fuse_residual(fusion *f, uint32_t i)
{
    static const struct {
        lp_op op;
        int residual; /* its source */
    } ops[] = {{LP_OP_LINEAR, 4}, {LP_OP_CONV2D, 4}, {LP_OP_COMBINE, 2}};
    const lp_node *node = &f->graph->nodes[i];
    for (int side = 1; side >= 0; side--) {
        lp_node *before = NULL;
        int at = 0;
        for (size_t k = 0; k < sizeof ops / sizeof *ops && before == NULL; k++) {
            before = sole_producer(f, node->src[side], ops[k].op);
            at = ops[k].residual;
        }
        lp_tensor_id residual = node->src[1 - side];
        if (before == NULL || before->src[at] != LP_NONE || residual == node->src[side] ||
            !contiguous(f, residual))
            continue;
        before->src[at] = residual;
        merge_into(f, before, i);
        return;
    }
}

/* Is `id` read by a node before `end`, other than through the add itself? */
static bool read_before(const fusion *f, lp_tensor_id id, uint32_t end)
{
    for (uint32_t i = f->producer[id] + 1; i < end; i++)
        for (int s = 0; s < LP_MAX_SRC && !f->dead[i]; s++) {
            lp_tensor_id source = f->graph->nodes[i].src[s];
            if (source != LP_NONE && f->graph->tensors[source].base == id)
                return true;
        }
    return false;
}

static void fuse_norm(fusion *f, uint32_t i)
{
    lp_node *norm = &f->graph->nodes[i];
    lp_tensor_id sum = norm->src[0];
    if (norm->src[3] != LP_NONE || f->producer[sum] == LP_NONE)
        return;
    const lp_node *add = &f->graph->nodes[f->producer[sum]];
    if (add->op != LP_OP_ADD || read_before(f, sum, i) || !contiguous(f, add->src[0]) ||
        !contiguous(f, add->src[1]))
        return;
    f->dead[f->producer[sum]] = true;
    norm->src[0] = add->src[0];
    norm->src[3] = add->src[1];
    if (f->uses[sum] > 1) {
        norm->dst[1] = sum;
        f->producer[sum] = i;
    }
}

lp_status lp_graph_fuse(lp_context *ctx, lp_graph *g)
{
    fusion f = {.graph = g,
                .producer = malloc((g->n_tensors + 1) * sizeof *f.producer),
                .uses = calloc(g->n_tensors + 1, sizeof *f.uses),
                .dead = calloc(g->n_nodes + 1, sizeof *f.dead)};
    lp_status status = LP_OK;
    if (f.producer == NULL || f.uses == NULL || f.dead == NULL) {
        status = lp_fail_memory(ctx, "the fusion pass");
        goto cleanup;
    }
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        f.producer[i] = LP_NONE;
        if (g->tensors[i].output)
            f.uses[g->tensors[i].base]++;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        for (int s = 0; s < LP_MAX_SRC; s++)
            if (g->nodes[i].src[s] != LP_NONE)
                f.uses[g->tensors[g->nodes[i].src[s]].base]++;
        for (int d = 0; d < LP_MAX_DST; d++)
            if (g->nodes[i].dst[d] != LP_NONE && g->tensors[g->nodes[i].dst[d]].slot == LP_NONE)
                f.producer[g->nodes[i].dst[d]] = i;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++)
        switch (g->nodes[i].op) {
        case LP_OP_ACT:
            fuse_act(&f, i);
            break;
        case LP_OP_MUL:
            fuse_gate(&f, i);
            break;
        case LP_OP_ADD:
            fuse_residual(&f, i);
            break;
        case LP_OP_NORM:
            fuse_norm(&f, i);
            break;
        default:
            break;
        }
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (!f.dead[i])
            g->nodes[n++] = g->nodes[i];
    g->n_nodes = n;
cleanup:
    free(f.producer);
    free(f.uses);
    free(f.dead);
    return status;
}
