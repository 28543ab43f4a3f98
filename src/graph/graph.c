/* Graphs as data: names, extents, printing. Building is in builder.c. */
#include "graph/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

const char *lp_op_name(lp_op op)
{
    static const char *const names[] = {
#define OP(id, name, purpose) #name,
#include "graph/ops.def"
#undef OP
    };
    return (unsigned)op < LP_N_OPS ? names[op] : "?";
}

int64_t lp_cell_gates(lp_cell_kind cell)
{
    return cell == LP_CELL_LSTM ? 4 : 3;
}

int64_t lp_cell_states(lp_cell_kind cell)
{
    return cell == LP_CELL_LSTM ? 2 : 1;
}

int64_t lp_conv2d_side(const lp_conv2d_options *o, int64_t side)
{
    const int64_t room = side * o->upsample + o->pad_before + o->pad_after - o->kernel;
    return room < 0 ? 0 : room / o->stride + 1;
}

int64_t lp_conv2d_row(const lp_conv2d_options *o, int64_t n_channels)
{
    return (int64_t)o->kernel * o->kernel * ((n_channels + 3) / 4 * 4);
}

uint64_t lp_tensor_extent(const lp_tensor *tensor)
{
    uint64_t rows = (uint64_t)tensor->shape.dim[0];
    return rows == 0 ? 0 : (rows - 1) * tensor->stride + (uint64_t)lp_shape_row(tensor->shape);
}

uint64_t lp_tensor_bytes(const lp_tensor *tensor)
{
    if (lp_dtype_table[tensor->dtype].block == 1)
        return lp_state_bytes(tensor->dtype, lp_tensor_extent(tensor));
    return lp_state_bytes(tensor->dtype, (uint64_t)tensor->shape.dim[0] * tensor->stride);
}

lp_tensor_id lp_graph_find(const lp_graph *graph, const char *name)
{
    for (uint32_t i = 0; i < graph->n_tensors; i++)
        if (strcmp(graph->tensors[i].name, name) == 0)
            return i;
    return LP_NONE;
}

void lp_graph_destroy(lp_graph *graph)
{
    if (graph == NULL)
        return;
    lp_arena_destroy(&graph->arena);
    free(graph->tensors);
    free(graph->nodes);
    free(graph);
}

char *lp_graph_print(const lp_graph *graph)
{
    lp_text text = {0};
    char shape[96];
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const lp_node *node = &graph->nodes[i];
        lp_text_printf(&text, "%4u  %-10s %-20s", i, lp_op_name(node->op), node->name);
        for (int d = 0; d < LP_MAX_DST; d++)
            if (node->dst[d] != LP_NONE) {
                const lp_tensor *t = &graph->tensors[node->dst[d]];
                lp_text_printf(&text, " %s %s", t->name, lp_shape_print(t->shape, shape));
            }
        lp_text_printf(&text, " <-");
        for (int s = 0; s < LP_MAX_SRC; s++)
            if (node->src[s] != LP_NONE) {
                const lp_tensor *t = &graph->tensors[node->src[s]];
                lp_text_printf(&text, " %s %s %s", t->name, lp_dtype_table[t->dtype].name,
                               lp_shape_print(t->shape, shape));
            }
        lp_text_printf(&text, "\n");
    }
    return lp_text_take(&text);
}
