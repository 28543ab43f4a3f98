/* The trie's edges are entries (node, byte) -> node of one hash table, so that a vocabulary of a
 * quarter of a million tokens takes a few megabytes and is built in one pass; the children of the
 * root, where nearly every walk ends, lie in an array. */
#include "text/trie.h"

#include <stdlib.h>
#include <string.h>

typedef struct lp_trie_edge {
    uint32_t from, to; /* to 0: free (nothing leads to the root) */
    uint32_t byte;
} lp_trie_edge;

void lp_trie_destroy(lp_trie *trie)
{
    free(trie->edges);
    free(trie->values);
    *trie = (lp_trie){0};
}

/* The slot of an edge, or the free one where it belongs (at least half of all slots are free). */
static size_t find_slot(const lp_trie_edge *edges, size_t n, uint32_t from, uint32_t byte)
{
    uint64_t hash = ((uint64_t)from << 8 | byte) * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(hash ^ hash >> 32) & (n - 1);
    while (edges[at].to != 0 && (edges[at].from != from || edges[at].byte != byte))
        at = (at + 1) & (n - 1);
    return at;
}

static lp_status grow_edges(lp_context *ctx, lp_trie *trie)
{
    if (trie->n_edges / 2 > trie->n_nodes)
        return LP_OK;
    size_t n = trie->n_edges ? trie->n_edges * 2 : 64;
    lp_trie_edge *edges = calloc(n, sizeof *edges);
    if (!edges)
        return lp_fail_memory(ctx, "the tokenizer's trie");
    for (size_t i = 0; i < trie->n_edges; i++) {
        const lp_trie_edge *edge = &trie->edges[i];
        if (edge->to != 0)
            edges[find_slot(edges, n, edge->from, edge->byte)] = *edge;
    }
    free(trie->edges);
    trie->edges = edges;
    trie->n_edges = n;
    return LP_OK;
}

static lp_status add_node(lp_context *ctx, lp_trie *trie, uint32_t *node)
{
    if (trie->n_nodes == trie->room) {
        if (trie->room > UINT32_MAX / 4)
            return lp_fail(ctx, LP_E_LIMIT, "a vocabulary of more than %u bytes", trie->room);
        uint32_t room = trie->room ? trie->room * 2 : 64;
        int32_t *values = realloc(trie->values, room * sizeof *values);
        if (!values)
            return lp_fail_memory(ctx, "the tokenizer's trie");
        trie->values = values;
        trie->room = room;
    }
    *node = trie->n_nodes++;
    trie->values[*node] = -1;
    return LP_OK;
}

lp_status lp_trie_add(lp_context *ctx, lp_trie *trie, const char *key, size_t bytes, int32_t value)
{
    uint32_t node = LP_TRIE_ROOT;
    if (trie->n_nodes == 0)
        LP_TRY(add_node(ctx, trie, &node));
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)key[i];
        LP_TRY(grow_edges(ctx, trie));
        size_t at = find_slot(trie->edges, trie->n_edges, node, byte);
        if (trie->edges[at].to == 0) {
            uint32_t child = 0;
            LP_TRY(add_node(ctx, trie, &child));
            trie->edges[at] = (lp_trie_edge){node, child, byte};
            if (node == LP_TRIE_ROOT)
                trie->first[byte] = child;
        }
        node = trie->edges[at].to;
    }
    if (trie->values[node] < 0)
        trie->values[node] = value;
    return LP_OK;
}

uint32_t lp_trie_step(const lp_trie *trie, uint32_t node, uint8_t byte)
{
    if (node == LP_TRIE_ROOT)
        return trie->first[byte] ? trie->first[byte] : LP_TRIE_NONE;
    const lp_trie_edge *edge = &trie->edges[find_slot(trie->edges, trie->n_edges, node, byte)];
    return edge->to ? edge->to : LP_TRIE_NONE;
}

uint32_t lp_trie_walk(const lp_trie *trie, uint32_t node, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes && node != LP_TRIE_NONE; i++)
        node = lp_trie_step(trie, node, (uint8_t)text[i]);
    return node;
}

int32_t lp_trie_longest(const lp_trie *trie, const char *text, size_t bytes, size_t *length)
{
    int32_t best = -1;
    uint32_t node = LP_TRIE_ROOT;
    for (size_t i = 0; i < bytes; i++) {
        node = lp_trie_step(trie, node, (uint8_t)text[i]);
        if (node == LP_TRIE_NONE)
            break;
        if (trie->values[node] >= 0) {
            best = trie->values[node];
            *length = i + 1;
        }
    }
    return best;
}
