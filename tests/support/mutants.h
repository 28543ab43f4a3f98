/* Mutants of all nodes of a kind: test_mutants.c breaks graphs with them. */
#ifndef LP_TEST_MUTANTS_H
#define LP_TEST_MUTANTS_H

#include "graph/graph.h"
#include "models/hparams.h"

typedef struct mutant {
    const char *what;
    bool (*apply)(lp_node *node); /* returns whether the node was its business */
} mutant;

/* What this one does a norm of the embeddings takes away. */
bool scale_embedding(lp_node *node);

/* Whether it is the other graph of a model that has two: that of an encoder-decoder's encoder,
 * which alone reads the source text, or of the tower that reads pictures beside one that reads
 * texts (whose graph has filled the store). */
bool mutant_is_other(const lp_graph *graph);

/* Every token of a text sees all others. */
void mutant_see_all(lp_graph *graph, const void *user);

/* What is made of one row alone (of the token that stands for a text or a picture) is made of the
 * one `by` rows later. `encoder`: in the other graph. */
typedef struct mutant_moved {
    bool encoder;
    int by;
} mutant_moved;
void mutant_row(lp_graph *graph, const void *user);

/* Rows of patches whose elements lie channel by channel, [P, P, C] instead of [C, P, P]; or that
 * follow each other column by column. */
void mutant_patches(const lp_picture_hparams *p, bool columns, const float *from, float *to);

extern const mutant mutants[];
extern const size_t n_mutants;

#endif
