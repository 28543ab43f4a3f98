/* The graph of the decoder-only, pre-norm transformer (Vaswani et al. 2017, arXiv:1706.03762, with
 * the norms moved to the front of each block: Radford et al. 2019), in all the variants that the
 * rows of arch.c describe. */
#ifndef LP_MODELS_TRANSFORMER_H
#define LP_MODELS_TRANSFORMER_H

#include "graph/builder.h"
#include "models/network.h"

/* Adds all nodes to the builder, which keeps the first failure. */
void lp_transformer_build(lp_builder *b, const lp_network *model, const lp_network_options *options);

#endif
