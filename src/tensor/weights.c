/* The table of named tensors: an array in file order and a hash index over the names. Entries have
 * stable addresses. The index probes linearly; a renamed entry leaves a tombstone. */
#include "tensor/weights.h"

#include <stdlib.h>
#include <string.h>
#include "base/arena.h"

#define SLOT_FREE 0u
#define SLOT_GONE UINT32_MAX /* was renamed away: probing goes on */

struct lp_weights {
    lp_arena arena; /* entries, names */
    lp_weight **entries;
    size_t n_entries, entry_room;
    uint32_t *slots; /* index + 1 of an entry */
    size_t n_slots;  /* a power of two */
    size_t n_used;   /* not free, tombstones included */
    lp_file *files;
    size_t n_files;
};

lp_weights *lp_weights_create(void)
{
    return calloc(1, sizeof(lp_weights));
}

void lp_weights_destroy(lp_weights *weights)
{
    if (!weights)
        return;
    for (size_t i = 0; i < weights->n_files; i++)
        lp_file_close(&weights->files[i]);
    free(weights->files);
    free(weights->slots);
    free(weights->entries);
    lp_arena_destroy(&weights->arena);
    free(weights);
}

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const uint8_t *p = (const uint8_t *)name; *p; p++)
        h = (h ^ *p) * 0x100000001b3u;
    return h ^ h >> 29;
}

/* The slot that holds `name`, or NULL. */
static uint32_t *find_slot(const lp_weights *weights, const char *name)
{
    if (!weights->n_slots)
        return NULL;
    size_t mask = weights->n_slots - 1;
    for (size_t i = hash(name) & mask; weights->slots[i] != SLOT_FREE; i = (i + 1) & mask) {
        uint32_t slot = weights->slots[i];
        if (slot != SLOT_GONE && strcmp(weights->entries[slot - 1]->name, name) == 0)
            return &weights->slots[i];
    }
    return NULL;
}

/* Puts entry `index` under its name; there is room and the name is new. */
static void insert(lp_weights *weights, size_t index)
{
    size_t mask = weights->n_slots - 1, i = hash(weights->entries[index]->name) & mask;
    while (weights->slots[i] != SLOT_FREE)
        i = (i + 1) & mask;
    weights->slots[i] = (uint32_t)index + 1;
    weights->n_used++;
}

/* Room for one more slot: the table stays at most half used. */
static lp_status reserve_slot(lp_context *ctx, lp_weights *weights)
{
    if (weights->n_used + 1 <= weights->n_slots / 2)
        return LP_OK;
    size_t n = 64;
    while (n < 4 * (weights->n_entries + 1))
        n *= 2;
    uint32_t *slots = calloc(n, sizeof(*slots));
    if (!slots)
        return lp_fail_memory(ctx, "the table of tensors");
    free(weights->slots);
    weights->slots = slots;
    weights->n_slots = n;
    weights->n_used = 0;
    for (size_t i = 0; i < weights->n_entries; i++)
        insert(weights, i);
    return LP_OK;
}

lp_status lp_weights_add(lp_context *ctx, lp_weights *weights, const lp_weight *weight)
{
    if (find_slot(weights, weight->name))
        return lp_fail(ctx, LP_E_FORMAT, "tensor %s: the name occurs twice", weight->name);
    if (weights->n_entries >= UINT32_MAX - 2)
        return lp_fail(ctx, LP_E_LIMIT, "too many tensors");
    if (weights->n_entries == weights->entry_room) {
        size_t room = weights->entry_room ? weights->entry_room * 2 : 64;
        lp_weight **entries = realloc(weights->entries, room * sizeof(*entries));
        if (!entries)
            return lp_fail_memory(ctx, "the table of tensors");
        weights->entries = entries;
        weights->entry_room = room;
    }
    LP_TRY(reserve_slot(ctx, weights));

    lp_weight *entry = lp_arena_alloc(&weights->arena, sizeof(*entry));
    char *name = lp_arena_strdup(&weights->arena, weight->name);
    const char *type = weight->dtype < LP_N_DTYPES ? lp_dtype_table[weight->dtype].name : "unknown";
    if (weight->type)
        type = lp_arena_strdup(&weights->arena, weight->type);
    if (!entry || !name || !type)
        return lp_fail_memory(ctx, "the table of tensors");
    *entry = *weight;
    entry->name = name;
    entry->type = type;
    weights->entries[weights->n_entries] = entry;
    insert(weights, weights->n_entries++);
    return LP_OK;
}

lp_status lp_weights_own_file(lp_context *ctx, lp_weights *weights, lp_file *file)
{
    lp_file *files = realloc(weights->files, (weights->n_files + 1) * sizeof(*files));
    if (!files)
        return lp_fail_memory(ctx, "the table of files");
    weights->files = files;
    files[weights->n_files++] = *file;
    *file = (lp_file){0};
    return LP_OK;
}

lp_status lp_weights_map_file(lp_context *ctx, lp_weights *weights, const char *path, lp_file *file)
{
    lp_file opened;
    LP_TRY(lp_file_open(ctx, path, &opened));
    *file = opened;
    lp_status status = lp_weights_own_file(ctx, weights, &opened);
    if (status != LP_OK)
        lp_file_close(&opened);
    return status;
}

lp_status lp_weights_memory(lp_context *ctx, lp_weights *weights, size_t bytes, const char *what,
                            uint8_t **data)
{
    lp_file memory;
    *data = NULL;
    LP_TRY(lp_file_memory(ctx, bytes, what, &memory));
    *data = (uint8_t *)(uintptr_t)memory.data;
    lp_status status = lp_weights_own_file(ctx, weights, &memory);
    if (status != LP_OK)
        lp_file_close(&memory);
    return status;
}

size_t lp_weights_count(const lp_weights *weights)
{
    return weights->n_entries;
}

lp_weight *lp_weights_at(lp_weights *weights, size_t index)
{
    return weights->entries[index];
}

const lp_weight *lp_weights_find(const lp_weights *weights, const char *name)
{
    const uint32_t *slot = find_slot(weights, name);
    return slot ? weights->entries[*slot - 1] : NULL;
}

lp_status lp_weights_rename(lp_context *ctx, lp_weights *weights, size_t index, const char *name)
{
    lp_weight *entry = weights->entries[index];
    if (strcmp(entry->name, name) == 0)
        return LP_OK;
    if (find_slot(weights, name))
        return lp_fail(ctx, LP_E_FORMAT, "tensor %s: its new name %s exists already", entry->name,
                       name);
    char *copy = lp_arena_strdup(&weights->arena, name);
    if (!copy)
        return lp_fail_memory(ctx, "the name of a tensor");
    LP_TRY(reserve_slot(ctx, weights));
    *find_slot(weights, entry->name) = SLOT_GONE;
    entry->name = copy;
    insert(weights, index);
    return LP_OK;
}

void lp_weights_drop(lp_weights *weights, const bool *drop)
{
    size_t n = 0;
    for (size_t i = 0; i < weights->n_entries; i++)
        if (!drop[i])
            weights->entries[n++] = weights->entries[i];
    weights->n_entries = n;
    weights->n_used = 0;
    for (size_t i = 0; i < weights->n_slots; i++)
        weights->slots[i] = SLOT_FREE;
    for (size_t i = 0; i < n; i++)
        insert(weights, i);
}

lp_status lp_weight_usable(lp_context *ctx, const lp_weight *weight)
{
    if (weight->dtype < LP_N_DTYPES)
        return LP_OK;
    return lp_fail(ctx, LP_E_UNSUPPORTED, "%s%stensor %s: type %s is not supported",
                   weight->file ? weight->file : "", weight->file ? ": " : "", weight->name,
                   weight->type);
}

uint64_t lp_weights_bytes(const lp_weights *weights)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < weights->n_entries; i++)
        sum += weights->entries[i]->bytes;
    return sum;
}
