/* Mutants of all nodes of a kind: test_mutants.c breaks graphs with them. */
#ifndef LP_TEST_MUTANTS_H
#define LP_TEST_MUTANTS_H

#include "graph/graph.h"

typedef struct mutant {
    const char *what;
    bool (*apply)(lp_node *node); /* returns whether the node was its business */
} mutant;

/* What this one does a norm of the embeddings takes away. */
bool scale_embedding(lp_node *node);

extern const mutant mutants[];
extern const size_t n_mutants;

#endif
