/* The graph of a transformer (Vaswani et al. 2017, arXiv:1706.03762), decoder, encoder or both, in all
 * the variants that the rows of arch_*.c describe. */
#ifndef LP_MODELS_TRANSFORMER_H
#define LP_MODELS_TRANSFORMER_H

#include "graph/builder.h"
#include "models/network.h"

/* Adds all nodes to the builder, which keeps the first failure. */
void lp_transformer_build(lp_builder *b, const lp_network *model, const lp_network_options *options);

#endif
