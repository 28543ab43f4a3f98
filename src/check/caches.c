/* The caches of a check: a device's own, and the chain's while nodes are isolated. See checker.h.
 */
#include <stdlib.h>

#include "check/checker.h"

static bool is_cache(const lp_store *store, uint32_t slot)
{
    const lp_slot *s = &store->slots[slot];
    return s->kind == LP_SLOT_STATE && s->shape.n == 3;
}

static uint64_t bytes_of(const lp_slot *s, uint64_t n_rows)
{
    const uint64_t all = (uint64_t)s->shape.dim[0], n = n_rows < all ? n_rows : all;
    return n *
           lp_state_bytes(s->dtype, lp_state_stride(s->dtype, (uint64_t)lp_shape_row(s->shape)));
}

void lp_caches_free(lp_caches *k)
{
    for (uint32_t i = 0; k->own != NULL && i < k->n; i++)
        free(k->own[i]);
    free(k->own);
    *k = (lp_caches){0};
}

uint64_t lp_caches_rows(const lp_checker *c, const lp_graph *graph)
{
    if (c->network == NULL) /* nothing is cached */
        return 0;
    if (c->network->hparams.retrieval.chunk > 0) /* some have those of neighbours */
        return UINT64_MAX;
    const uint64_t n = (uint64_t)c->position + (uint64_t)graph->n_tokens;
    return n > c->n_source ? n : c->n_source;
}

lp_status lp_caches_lend(lp_checker *c, lp_backend *backend, uint64_t n_rows, lp_caches *k)
{
    lp_status status = LP_OK;
    uint8_t *theirs = NULL;
    *k = (lp_caches){.n = c->store.n_slots};
    k->own = calloc(k->n + 1, sizeof *k->own);
    if (k->own == NULL)
        return lp_fail_memory(c->ctx, "caches");
    for (uint32_t i = 0; i < k->n; i++) {
        if (!is_cache(&c->store, i))
            continue;
        const uint64_t bytes = bytes_of(&c->store.slots[i], n_rows);
        k->own[i] = malloc(bytes + 1);
        theirs = malloc(bytes + 1);
        if (k->own[i] == NULL || theirs == NULL) {
            status = lp_fail_memory(c->ctx, "caches");
            goto cleanup;
        }
        LP_CHECK(backend->table->slot_read(backend, i, 0, k->own[i], bytes));
        LP_CHECK(c->chain->table->slot_read(c->chain, i, 0, theirs, bytes));
        LP_CHECK(backend->table->slot_write(backend, i, 0, theirs, bytes));
        free(theirs);
        theirs = NULL;
    }
cleanup:
    free(theirs);
    if (status != LP_OK)
        lp_caches_free(k);
    return status;
}

lp_status lp_caches_return(lp_checker *c, lp_backend *backend, uint64_t n_rows, lp_caches *k)
{
    lp_status status = LP_OK;
    for (uint32_t i = 0; i < k->n && status == LP_OK; i++)
        if (k->own[i] != NULL)
            status = backend->table->slot_write(backend, i, 0, k->own[i],
                                                bytes_of(&c->store.slots[i], n_rows));
    lp_caches_free(k);
    return status;
}

lp_status lp_caches_follow(lp_checker *c, lp_backend *backend)
{
    const uint32_t slots[] = {c->cursor, c->history};
    for (int i = 0; i < 2 && c->cursor != LP_NONE; i++) {
        const lp_slot *s = &c->store.slots[slots[i]];
        const uint64_t bytes = (uint64_t)lp_shape_elements(s->shape) * 4;
        uint8_t *data = malloc(bytes);
        if (data == NULL)
            return lp_fail_memory(c->ctx, "the history");
        lp_status status = c->chain->table->slot_read(c->chain, slots[i], 0, data, bytes);
        if (status == LP_OK)
            status = backend->table->slot_write(backend, slots[i], 0, data, bytes);
        free(data);
        LP_TRY(status);
    }
    return LP_OK;
}
