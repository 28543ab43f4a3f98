/* The fusion pass: rewrites a graph into fewer, coarser nodes, before it is planned. Both executors
 * see the same fused graph; a fused op is an ordinary op with its own reference.
 *
 *   linear, act                 -> linear with that activation
 *   linear (act), linear, mul   -> gated linear (SwiGLU, GeGLU)
 *   linear, add                 -> linear with a residual
 *   add, norm                   -> norm with a residual, which also gives the sum */
#ifndef LP_GRAPH_FUSE_H
#define LP_GRAPH_FUSE_H

#include "graph/graph.h"

lp_status lp_graph_fuse(lp_context *ctx, lp_graph *graph);

#endif
