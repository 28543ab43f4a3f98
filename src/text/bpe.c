/* Byte-pair merging (Sennrich et al. 2016, arXiv:1508.07909) with a doubly linked list of symbols
 * and a heap of candidate pairs. A pair in the heap may be out of date by the time it is taken: its
 * ends keep their start while they live, so it still holds exactly if both live and their lengths
 * add up to what they were. */
#include "text/bpe.h"

#include <assert.h>
#include <stdlib.h>
#include "text/buffer.h"

struct lp_bpe_pair {
    double key;
    int32_t left, right;
    uint32_t length;
    int32_t id;
};

typedef struct lp_bpe_slot {
    int32_t left, right; /* left -1: free */
    uint32_t rank;
    int32_t id;
} lp_bpe_slot;

void lp_bpe_clear(lp_bpe *bpe)
{
    bpe->n_symbols = 0;
    bpe->n_heap = 0;
}

void lp_bpe_free(lp_bpe *bpe)
{
    free(bpe->symbols);
    free(bpe->heap);
    *bpe = (lp_bpe){0};
}

lp_status lp_bpe_add(lp_context *ctx, lp_bpe *bpe, uint32_t start, uint32_t length, int32_t id)
{
    assert(length > 0 && bpe->n_symbols < INT32_MAX);
    lp_bpe_symbol *symbols =
        lp_list_grow(bpe->symbols, bpe->n_symbols, &bpe->symbols_room, sizeof *symbols);
    if (!symbols)
        return lp_fail_memory(ctx, "the symbols of a text");
    bpe->symbols = symbols;
    int32_t index = (int32_t)bpe->n_symbols++;
    bpe->symbols[index] = (lp_bpe_symbol){start, length, id, index - 1, -1};
    if (index > 0)
        bpe->symbols[index - 1].next = index;
    return LP_OK;
}

static bool before(const lp_bpe_pair *a, const lp_bpe_pair *b)
{
    return a->key < b->key || (a->key == b->key && a->left < b->left);
}

static lp_status heap_push(lp_context *ctx, lp_bpe *bpe, lp_bpe_pair pair)
{
    lp_bpe_pair *heap = lp_list_grow(bpe->heap, bpe->n_heap, &bpe->heap_room, sizeof *heap);
    if (!heap)
        return lp_fail_memory(ctx, "the symbol pairs of a text");
    bpe->heap = heap;
    size_t at = bpe->n_heap++;
    while (at > 0 && before(&pair, &bpe->heap[(at - 1) / 2])) {
        bpe->heap[at] = bpe->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    bpe->heap[at] = pair;
    return LP_OK;
}

static lp_bpe_pair heap_pop(lp_bpe *bpe)
{
    lp_bpe_pair top = bpe->heap[0], last = bpe->heap[--bpe->n_heap];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= bpe->n_heap)
            break;
        if (child + 1 < bpe->n_heap && before(&bpe->heap[child + 1], &bpe->heap[child]))
            child++;
        if (!before(&bpe->heap[child], &last))
            break;
        bpe->heap[at] = bpe->heap[child];
        at = child;
    }
    bpe->heap[at] = last;
    return top;
}

/* Pushes the pair (left, right) if the rule joins it. */
static lp_status consider(lp_context *ctx, lp_bpe *bpe, lp_bpe_rule rule, const void *user,
                          int32_t left, int32_t right)
{
    if (left < 0 || right < 0)
        return LP_OK;
    const lp_bpe_symbol *l = &bpe->symbols[left], *r = &bpe->symbols[right];
    lp_bpe_pair pair = {0, left, right, l->length + r->length, -1};
    if (!rule(user, l, r, &pair.key, &pair.id))
        return LP_OK;
    return heap_push(ctx, bpe, pair);
}

lp_status lp_bpe_merge(lp_context *ctx, lp_bpe *bpe, lp_bpe_rule rule, const void *user)
{
    for (size_t i = 1; i < bpe->n_symbols; i++)
        LP_TRY(consider(ctx, bpe, rule, user, (int32_t)i - 1, (int32_t)i));
    while (bpe->n_heap > 0) {
        lp_bpe_pair pair = heap_pop(bpe);
        lp_bpe_symbol *left = &bpe->symbols[pair.left], *right = &bpe->symbols[pair.right];
        if (left->length == 0 || right->length == 0 || left->length + right->length != pair.length)
            continue;
        left->length = pair.length;
        left->id = pair.id;
        left->next = right->next;
        right->length = 0;
        if (right->next >= 0)
            bpe->symbols[right->next].previous = pair.left;
        LP_TRY(consider(ctx, bpe, rule, user, left->previous, pair.left));
        LP_TRY(consider(ctx, bpe, rule, user, pair.left, left->next));
    }
    return LP_OK;
}

lp_status lp_bpe_table_create(lp_context *ctx, lp_bpe_table *table, size_t n_merges)
{
    *table = (lp_bpe_table){0};
    size_t n_slots = 16;
    while (n_slots / 2 < n_merges && n_slots <= SIZE_MAX / 2 / sizeof(lp_bpe_slot))
        n_slots *= 2;
    table->slots = n_slots / 2 >= n_merges ? malloc(n_slots * sizeof *table->slots) : NULL;
    if (!table->slots)
        return lp_fail_memory(ctx, "the tokenizer's merges");
    for (size_t i = 0; i < n_slots; i++)
        table->slots[i].left = -1;
    table->n_slots = n_slots;
    return LP_OK;
}

void lp_bpe_table_destroy(lp_bpe_table *table)
{
    free(table->slots);
    *table = (lp_bpe_table){0};
}

/* The slot of a pair, or the free one where it belongs (at least half of all slots are free). */
static lp_bpe_slot *find_slot(const lp_bpe_table *table, int32_t left, int32_t right)
{
    uint64_t hash = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    hash = (hash ^ hash >> 31) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9u;
    size_t at = (size_t)(hash ^ hash >> 32) & (table->n_slots - 1);
    while (table->slots[at].left >= 0 &&
           (table->slots[at].left != left || table->slots[at].right != right))
        at = (at + 1) & (table->n_slots - 1);
    return &table->slots[at];
}

void lp_bpe_table_add(lp_bpe_table *table, int32_t left, int32_t right, uint32_t rank, int32_t id)
{
    assert(left >= 0 && right >= 0 && table->n < table->n_slots / 2);
    lp_bpe_slot *slot = find_slot(table, left, right);
    if (slot->left >= 0)
        return;
    *slot = (lp_bpe_slot){left, right, rank, id};
    table->n++;
}

bool lp_bpe_table_at(const lp_bpe_table *table, size_t i, int32_t *left, int32_t *right,
                     uint32_t *rank, int32_t *id)
{
    const lp_bpe_slot *slot = &table->slots[i];
    *left = slot->left;
    *right = slot->right;
    *rank = slot->rank;
    *id = slot->id;
    return slot->left >= 0;
}

bool lp_bpe_table_rule(const void *user, const lp_bpe_symbol *left, const lp_bpe_symbol *right,
                       double *key, int32_t *id)
{
    const lp_bpe_table *table = user;
    if (left->id < 0 || right->id < 0)
        return false;
    const lp_bpe_slot *slot = find_slot(table, left->id, right->id);
    if (slot->left < 0)
        return false;
    *key = slot->rank;
    *id = slot->id;
    return true;
}
