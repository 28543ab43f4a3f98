/* The store: tensors that outlive a graph. Weights and tables (constant, with host data) and states
 * (zeroed at load: K/V caches, the cursor, token history). Graphs name them by slot, so one set of
 * weights and one cache serve the graphs of every batch size. The first graph built fills the
 * store; a backend then loads it, and from then on it is frozen. */
#ifndef LP_GRAPH_STORE_H
#define LP_GRAPH_STORE_H

#include "base/arena.h"
#include "base/context.h"
#include "tensor/shape.h"
#include "tensor/state.h"

typedef enum lp_slot_kind {
    LP_SLOT_WEIGHT, /* file data: on a device in the layout of lp_layout_of() */
    LP_SLOT_TABLE,  /* computed on the host (RoPE tables): plain rows, f32 or i32 */
    LP_SLOT_STATE,  /* zero at load, rows of state.h, written by graphs */
    LP_SLOT_HOST    /* like STATE, but the host reads and writes it between and during submits */
} lp_slot_kind;

typedef struct lp_slot {
    const char *name;
    lp_slot_kind kind;
    lp_dtype dtype;
    lp_shape shape;
    const void *data; /* WEIGHT and TABLE: host data as in the file, borrowed; NULL for states */
} lp_slot;

typedef struct lp_store {
    lp_arena arena; /* names; tables may live here, too */
    lp_slot *slots;
    uint32_t n_slots, capacity;
    bool frozen;
} lp_store; /* zero-initialise */

/* Finds or adds a slot by name; if it is there, kind, dtype, shape and data must be the same
 * (LP_E_SHAPE otherwise). Adding to a frozen store is LP_E_ARG. */
lp_status lp_store_slot(lp_context *ctx, lp_store *store, const lp_slot *slot, uint32_t *index);
/* Index, or UINT32_MAX. */
uint32_t lp_store_find(const lp_store *store, const char *name);
/* Bytes of a slot on a device: lp_layout_of() for weights, the rows of state.h for the others, in
 * both cases rounded up to 256. */
uint64_t lp_slot_device_bytes(const lp_slot *slot);
void lp_store_destroy(lp_store *store);

#endif
