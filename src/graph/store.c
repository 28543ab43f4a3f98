/* The store of tensors that outlive a graph: see store.h. A linear table; a model has a few hundred
 * slots and looks them up once per graph. */
#include "graph/store.h"

#include <stdlib.h>
#include <string.h>

uint32_t lp_store_find(const lp_store *store, const char *name)
{
    for (uint32_t i = 0; i < store->n_slots; i++)
        if (strcmp(store->slots[i].name, name) == 0)
            return i;
    return UINT32_MAX;
}

static const char *kind_name(lp_slot_kind kind)
{
    static const char *const names[] = {"weight", "table", "state", "host state"};
    return names[kind];
}

lp_status lp_store_slot(lp_context *ctx, lp_store *store, const lp_slot *slot, uint32_t *index)
{
    uint32_t found = lp_store_find(store, slot->name);
    if (found != UINT32_MAX) {
        const lp_slot *have = &store->slots[found];
        char want[96], is[96];
        if (have->kind != slot->kind || have->dtype != slot->dtype ||
            !lp_shape_equal(have->shape, slot->shape) ||
            (slot->data != NULL && have->data != slot->data))
            return lp_fail(ctx, LP_E_SHAPE, "%s: want %s %s %s, but it is %s %s %s already",
                           slot->name, kind_name(slot->kind), lp_dtype_table[slot->dtype].name,
                           lp_shape_print(slot->shape, want), kind_name(have->kind),
                           lp_dtype_table[have->dtype].name, lp_shape_print(have->shape, is));
        *index = found;
        return LP_OK;
    }
    if (store->frozen)
        return lp_fail(ctx, LP_E_ARG, "%s: not in the store, which is loaded already", slot->name);
    if (store->n_slots == store->capacity) {
        uint32_t capacity = store->capacity ? 2 * store->capacity : 64;
        lp_slot *slots = realloc(store->slots, capacity * sizeof *slots);
        if (slots == NULL)
            return lp_fail_memory(ctx, "the store of weights");
        store->slots = slots;
        store->capacity = capacity;
    }
    char *name = lp_arena_strdup(&store->arena, slot->name);
    if (name == NULL)
        return lp_fail_memory(ctx, "the store of weights");
    *index = store->n_slots++;
    store->slots[*index] = *slot;
    store->slots[*index].name = name;
    return LP_OK;
}

uint64_t lp_slot_device_bytes(const lp_slot *slot)
{
    if (slot->kind == LP_SLOT_WEIGHT)
        return lp_layout_of(slot->dtype, slot->shape).bytes;
    int64_t bytes = lp_state_size(slot->dtype, slot->shape);
    return ((uint64_t)bytes + 255) / 256 * 256;
}

void lp_store_destroy(lp_store *store)
{
    if (store == NULL)
        return;
    lp_arena_destroy(&store->arena);
    free(store->slots);
    *store = (lp_store){0};
}
