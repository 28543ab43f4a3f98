/* From the names in a file to canonical names, by the table of the architecture's row. A tensor
 * that the table does not know is an error: ignoring a weight silently would give wrong numbers. */
#ifndef LP_MODELS_NAMES_H
#define LP_MODELS_NAMES_H

#include "models/hparams.h"

/* Renames the weights of a Hugging Face folder; what lies otherwise than the graph wants it
 * (lp_weight_form) is brought into form once, in memory of the table, and the pages it came from
 * are given back. Buffers that are no weights keep their names. LP_E_UNSUPPORTED names an unknown
 * tensor. */
lp_status lp_names_from_hf(lp_context *ctx, const char *where, const lp_hparams *hp,
                           lp_weights *weights);

#define LP_NAME_BYTES 128
/* The name that a canonical one has in GGUF files of this architecture, if it is another. */
bool lp_names_in_gguf(const lp_hparams *hp, const lp_arch *arch, const char *name,
                      char renamed[LP_NAME_BYTES]);

/* Whether a canonical name is that of a weight, not of a buffer that was kept. */
bool lp_names_is_weight(const lp_hparams *hp, const char *name);

/* Checks that every tensor of a GGUF file belongs to the architecture. */
lp_status lp_names_check(lp_context *ctx, const char *where, const lp_hparams *hp,
                         lp_weights *weights);

/* Checks that the graphs of a store, which is filled by one that has the head, read every weight.
 */
lp_status lp_names_check_read(lp_context *ctx, const char *where, const lp_hparams *hp,
                              lp_weights *weights, const lp_store *store);

/* For adapters. `name`: of a weight without ".weight", in a file of either kind. Its canonical name
 * without ".weight", and its row; NULL: no such weight. */
const lp_weight_name *lp_names_find(const lp_hparams *hp, bool hf, const char *name,
                                    char canonical[LP_NAME_BYTES]);
/* Brings the rows of B [N, r], which a Hugging Face file holds for the weight of this row, into the
 * order that the graph wants; their new memory goes to `weights`. LP_E_UNSUPPORTED for weights that
 * are no plain matrices. */
lp_status lp_names_sort_rows(lp_context *ctx, const char *where, const lp_hparams *hp,
                             const lp_weight_name *row, lp_weights *weights, lp_weight *b);

#endif
