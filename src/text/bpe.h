/* Byte-pair merging: joins neighbouring symbols, best pair first, until no rule joins any two.
 * The rule decides what "best" is, so that merges by rank (GPT-2) and by score (SentencePiece)
 * share one loop. O(n log n). */
#ifndef LP_TEXT_BPE_H
#define LP_TEXT_BPE_H

#include <stdbool.h>
#include "base/context.h"

typedef struct lp_bpe_symbol {
    uint32_t start, length; /* span of the text; length 0: joined into its left neighbour */
    int32_t id;             /* token, -1 if the text is none */
    int32_t previous, next; /* indices of the neighbours, -1 at the ends */
} lp_bpe_symbol;

typedef struct lp_bpe_pair lp_bpe_pair;

/* Working memory, kept from word to word. Zero-initialise. */
typedef struct lp_bpe {
    lp_bpe_symbol *symbols;
    size_t n_symbols, symbols_room;
    lp_bpe_pair *heap;
    size_t n_heap, heap_room;
} lp_bpe;

/* Whether two neighbours join, into which token, and how early (the smallest key goes first). */
typedef bool (*lp_bpe_rule)(const void *user, const lp_bpe_symbol *left, const lp_bpe_symbol *right,
                            double *key, int32_t *id);

void lp_bpe_clear(lp_bpe *bpe);
void lp_bpe_free(lp_bpe *bpe);
/* Appends a symbol; spans must follow each other and not be empty. At most INT32_MAX symbols. */
lp_status lp_bpe_add(lp_context *ctx, lp_bpe *bpe, uint32_t start, uint32_t length, int32_t id);
/* Afterwards the result is symbols[0] and, through `next`, what follows it. Among equal keys the
 * leftmost pair goes first. */
lp_status lp_bpe_merge(lp_context *ctx, lp_bpe *bpe, lp_bpe_rule rule, const void *user);

/* Merges by rank: (left token, right token) to (rank, joined token). */
typedef struct lp_bpe_table {
    struct lp_bpe_slot *slots;
    size_t n, n_slots; /* n_slots: a power of two */
} lp_bpe_table;

lp_status lp_bpe_table_create(lp_context *ctx, lp_bpe_table *table, size_t n_merges);
void lp_bpe_table_destroy(lp_bpe_table *table);
/* The first rank of a pair counts. At most n_merges pairs. */
void lp_bpe_table_add(lp_bpe_table *table, int32_t left, int32_t right, uint32_t rank, int32_t id);
/* Slot i of n_slots: false if it is free. */
bool lp_bpe_table_at(const lp_bpe_table *table, size_t i, int32_t *left, int32_t *right,
                     uint32_t *rank, int32_t *id);
/* The lp_bpe_rule of a table; user: const lp_bpe_table *. */
bool lp_bpe_table_rule(const void *user, const lp_bpe_symbol *left, const lp_bpe_symbol *right,
                       double *key, int32_t *id);

#endif
