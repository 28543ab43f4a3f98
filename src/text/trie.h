/* A trie over bytes: all keys that start at a place of a text, in one walk. For vocabularies
 * (Unigram, WordPiece) and for tokens that are looked for in text. */
#ifndef LP_TEXT_TRIE_H
#define LP_TEXT_TRIE_H

#include <stddef.h>
#include "base/context.h"

typedef struct lp_trie {
    struct lp_trie_edge *edges; /* hash table */
    size_t n_edges;             /* slots, a power of two; 0: empty trie */
    int32_t *values;            /* per node, -1: no key ends here */
    uint32_t n_nodes, room;
    uint32_t first[256]; /* children of the root */
} lp_trie;               /* zero-initialise */

#define LP_TRIE_ROOT 0u
#define LP_TRIE_NONE UINT32_MAX

void lp_trie_destroy(lp_trie *trie);
/* `value` is not negative. A key that is there already keeps its first value. An empty key is
 * accepted and never found by a walk. */
lp_status lp_trie_add(lp_context *ctx, lp_trie *trie, const char *key, size_t bytes, int32_t value);
/* The node behind `byte`; LP_TRIE_NONE if no key goes on like this. */
uint32_t lp_trie_step(const lp_trie *trie, uint32_t node, uint8_t byte);
/* The node behind all of text[bytes]. */
uint32_t lp_trie_walk(const lp_trie *trie, uint32_t node, const char *text, size_t bytes);
/* Value of the key that ends at a node, or -1. */
static inline int32_t lp_trie_value(const lp_trie *trie, uint32_t node)
{
    return trie->values[node];
}
/* The longest key at the start of text[bytes]: its value and length; -1 if there is none. */
int32_t lp_trie_longest(const lp_trie *trie, const char *text, size_t bytes, size_t *length);

#endif
