/* Neighbours of chunks of the text, for models with retrieval: which ones there are, and the two
 * graphs that come before the decoder's where it completes chunks (see models/network.h). */
#include <stdlib.h>
#include <string.h>

#include "text/runner_state.h"

static uint32_t n_chunks(const lp_runner *s)
{
    return lp_retrieval_chunks(&s->network->hparams, s->n_ctx);
}

lp_status lp_runner_open_retrieval(lp_runner *s)
{
    const lp_retrieval_hparams *of = &s->network->hparams.retrieval;
    if (of->chunk == 0)
        return LP_OK;
    const size_t n = (size_t)n_chunks(s) * of->n_neighbours;
    s->neighbours = lp_store_find(&s->store, "neighbours");
    s->neighbour_lengths = lp_store_find(&s->store, "neighbour_lengths");
    s->lengths = calloc(n, sizeof *s->lengths);
    if (s->lengths == NULL)
        return lp_fail_memory(s->ctx, "neighbours");
    return s->backend->table->slot_write(s->backend, s->neighbour_lengths, 0, s->lengths, 4 * n);
}

static lp_status check_neighbours(const lp_runner *s, uint32_t chunk, const int32_t *tokens,
                                  const uint32_t *lengths, uint32_t n)
{
    const lp_retrieval_hparams *of = &s->network->hparams.retrieval;
    if (of->chunk == 0)
        return lp_fail(s->ctx, LP_E_UNSUPPORTED, "%s models look at no neighbours",
                       s->network->hparams.arch->hf);
    if (chunk >= n_chunks(s))
        return lp_fail(s->ctx, LP_E_LIMIT,
                       "neighbours of chunk %u; a context of %u tokens has %u chunks of %u", chunk,
                       s->n_ctx, n_chunks(s), of->chunk);
    if (n > of->n_neighbours)
        return lp_fail(s->ctx, LP_E_ARG, "chunk %u has %u neighbours; the model takes %u", chunk, n,
                       of->n_neighbours);
    size_t n_tokens = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (lengths[i] < 1 || lengths[i] > of->length)
            return lp_fail(s->ctx, LP_E_ARG,
                           "neighbour %u of chunk %u has %u tokens; the model takes 1 to %u", i,
                           chunk, lengths[i], of->length);
        n_tokens += lengths[i];
    }
    const lp_status status = lp_runner_check_tokens(s, tokens, n_tokens);
    return status == LP_OK
               ? LP_OK
               : lp_fail(s->ctx, status, "neighbours of chunk %u: %s", chunk, s->ctx->message);
}

lp_status lp_runner_neighbours(lp_runner *s, uint32_t chunk, const int32_t *tokens,
                               const uint32_t *lengths, uint32_t n)
{
    LP_TRY(check_neighbours(s, chunk, tokens, lengths, n));
    const lp_retrieval_hparams *of = &s->network->hparams.retrieval;
    const lp_backend_table *table = s->backend->table;
    const uint64_t first = (uint64_t)chunk * of->n_neighbours;
    LP_TRY(lp_runner_rewind(s, s->n_tokens));
    for (uint32_t i = 0; i < of->n_neighbours; i++)
        s->lengths[first + i] = i < n ? (int32_t)lengths[i] : 0;
    LP_TRY(table->slot_write(s->backend, s->neighbour_lengths, 4 * first, s->lengths + first,
                             4ull * of->n_neighbours));
    for (uint32_t i = 0; i < n; tokens += lengths[i++])
        LP_TRY(table->slot_write(s->backend, s->neighbours, 4 * (first + i) * of->length, tokens,
                                 4ull * lengths[i]));
    /* what has seen others is computed again */
    const uint64_t seeing = (chunk + 1ull) * of->chunk - 1;
    return s->n_cached > seeing ? lp_runner_settle(s, (uint32_t)seeing) : LP_OK;
}

bool lp_runner_has_neighbours(const lp_runner *s)
{
    const size_t n =
        s->lengths != NULL ? (size_t)n_chunks(s) * s->network->hparams.retrieval.n_neighbours : 0;
    for (size_t i = 0; i < n; i++)
        if (s->lengths[i] > 0)
            return true;
    return false;
}

static lp_status set_position(lp_runner *s, uint32_t position)
{
    const int32_t words[LP_CURSOR_WORDS] = {[LP_CURSOR_POSITION] = (int32_t)position,
                                            [LP_CURSOR_DRAWS] = (int32_t)(s->n_draws + s->n_ahead)};
    return s->backend->table->slot_write(s->backend, s->cursor, 0, words, sizeof words);
}

/* Runs a program and waits for it. */
static lp_status run(lp_runner *s, uint32_t n_tokens, uint32_t keys, lp_run_end end)
{
    lp_run_program *entry;
    LP_TRY(lp_runner_program(s, n_tokens, keys, end, LP_KEEP_NOTHING, &entry));
    LP_TRY(s->backend->table->submit(entry->program, 1, &s->last_ticket));
    return s->backend->table->wait(s->backend, s->last_ticket);
}

lp_status lp_runner_retrieve(lp_runner *s, uint32_t n)
{
    const lp_retrieval_hparams *of = &s->network->hparams.retrieval;
    if (s->lengths == NULL)
        return LP_OK;
    const uint32_t first = s->n_cached / of->chunk, end = (s->n_cached + n) / of->chunk;
    const uint32_t rows = of->n_neighbours * of->length;
    uint64_t i = (uint64_t)first * of->n_neighbours;
    while (i < (uint64_t)end * of->n_neighbours && s->lengths[i] == 0)
        i++;
    if (i == (uint64_t)end * of->n_neighbours) /* no chunk is completed, or none that has any */
        return LP_OK;
    LP_TRY(run(s, n, s->n_cached + n, LP_END_CONTEXT));
    LP_TRY(set_position(s, first * rows));
    LP_TRY(run(s, (end - first) * rows, 1, LP_END_SOURCE));
    return set_position(s, s->n_cached);
}
