/* Whole texts: what an encoder makes of them, and how likely a decoder finds them. */
#include "text/runner_state.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/compare.h"
#include "check/finite.h"

#define SCORE_BYTES (64u << 20) /* of logits at a time, on the device and here */

lp_status lp_runner_source(lp_runner *s, const int32_t *tokens, size_t n)
{
    if (s->source == UINT32_MAX)
        return lp_fail(s->ctx, LP_E_UNSUPPORTED,
                       "%s models have no encoder that reads a source text",
                       s->network->hparams.arch->hf);
    if (n == 0)
        return lp_fail(s->ctx, LP_E_ARG, "the source text is empty");
    if (n > s->n_ctx)
        return lp_fail(s->ctx, LP_E_LIMIT, "a source text of %zu tokens; the context has %u", n,
                       s->n_ctx);
    LP_TRY(lp_runner_check_tokens(s, tokens, n));
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    LP_TRY(s->backend->table->slot_write(s->backend, s->source, 0, tokens, 4 * n));
    s->edits++;
    s->n_tokens = 0;
    s->guard.n_source = (uint32_t)n;
    s->source_new = true;
    return lp_runner_settle(s, 0);
}

lp_status lp_runner_find_prefix(lp_runner *s, bool adopted)
{
    lp_prefix prefix = {0};
    /* What begins an answer comes once: behind it nothing can change, and tokens are drawn without
     * a look at all of the text. */
    if (!adopted && s->guard.n_source > 0 && s->n_cached > s->guard.n_source)
        return LP_OK;
    int32_t *tokens = malloc((s->n_tokens + 1ull) * sizeof *tokens);
    if (tokens == NULL)
        return lp_fail_memory(s->ctx, "tokens");
    lp_status status = lp_runner_tokens(s, 0, s->n_tokens, tokens);
    if (status == LP_OK)
        status = lp_network_prefix(s->ctx, s->network, tokens, s->n_tokens, &prefix);
    free(tokens);
    LP_TRY(status);
    const bool same = s->guard.n_source == prefix.n && s->guard.blank == prefix.blank;
    const bool valid = (same || adopted) && s->n_cached >= prefix.n;
    if (valid && !adopted)
        return LP_OK;
    s->guard.n_source = prefix.n;
    s->guard.blank = prefix.blank;
    return lp_runner_settle(s, valid ? s->n_cached : 0);
}

lp_status lp_runner_read_rows(lp_runner *s, const lp_run_program *entry, uint32_t rows,
                              float *logits)
{
    if (entry->n_tokens != rows) /* with more of them there would be no room */
        return lp_fail(s->ctx, LP_E_ARG,
                       "the text's beginning, which is read whole, is not the one that it was");
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    return s->backend->table->tensor_read(entry->program, lp_graph_find(entry->graph, "logits"),
                                          logits);
}

lp_status lp_runner_source_finite(lp_runner *s, bool *found)
{
    lp_run_program *entry;
    char text[512];
    const uint32_t n = s->guard.n_source;
    *found = false;
    if (n == 0 || s->network->hparams.encoder.n_layer == 0 ||
        s->network->hparams.retrieval.chunk > 0)
        return LP_OK;
    LP_TRY(lp_runner_settle(s, 0));
    LP_TRY(lp_runner_program(s, n, n, LP_END_SOURCE, LP_KEEP_ALL, &entry));
    LP_TRY(s->backend->table->submit(entry->program, 1, &s->last_ticket));
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    LP_TRY(lp_finite_find(entry->program, s->backend, entry->graph, 0, text, sizeof text, found));
    return *found ? lp_fail(s->ctx, LP_E_DEVICE, "%s (of the source text)", text) : LP_OK;
}

/* The encoder's run over the source text left NaN or infinity behind. */
static lp_status encoder_not_finite(lp_runner *s)
{
    bool found;
    LP_TRY(lp_runner_source_finite(s, &found));
    return lp_fail(s->ctx, LP_E_DEVICE,
                   "the encoder's result is not finite, but it is when it is "
                   "computed again (of the source text)");
}

lp_status lp_runner_encode(lp_runner *s, bool look)
{
    lp_run_program *entry;
    const uint32_t n = s->guard.n_source, n_cached = s->n_cached;
    const lp_run_keep kept = !look                ? LP_KEEP_NOTHING
                             : s->guard.rate == 1 ? LP_KEEP_ALL
                                                  : LP_KEEP_NODE;
    LP_TRY(lp_runner_settle(s, 0));
    LP_TRY(lp_runner_program(s, n, n, LP_END_SOURCE, kept, &entry));
    LP_TRY(s->backend->table->submit(entry->program, 1, &s->last_ticket));
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    if (look)
        LP_TRY(lp_guard_look(&s->guard, s->backend, entry->program, entry->graph, entry->node, 0,
                             s->n_draws));
    const size_t n_hidden = (size_t)n * s->network->hparams.n_embd;
    float *hidden = malloc(n_hidden * sizeof *hidden);
    if (hidden == NULL)
        return lp_fail_memory(s->ctx, "the encoder's result");
    lp_status status = s->backend->table->tensor_read(
        entry->program, lp_graph_find(entry->graph, "hidden"), hidden);
    size_t n_finite = 0;
    while (status == LP_OK && n_finite < n_hidden && isfinite(hidden[n_finite]))
        n_finite++;
    free(hidden);
    LP_TRY(status);
    if (n_finite < n_hidden)
        return encoder_not_finite(s);
    s->source_new = false;
    return lp_runner_settle(s, n_cached);
}

/* Runs the graph of a whole text or picture, whose inputs are there, and reads one of its outputs.
 */
static lp_status run_whole(lp_runner *s, uint32_t n, lp_run_end end, const char *output,
                           float *values)
{
    const char *kind = s->network->hparams.arch->hf;
    lp_run_program *entry;
    LP_TRY(lp_runner_program(s, n, n, end, LP_KEEP_NOTHING, &entry));
    const lp_tensor_id id = lp_graph_find(entry->graph, output);
    if (id == LP_NONE)
        return lp_fail(s->ctx, LP_E_UNSUPPORTED, "this %s model has no %s output", kind, output);
    LP_TRY(s->backend->table->submit(entry->program, 1, &s->last_ticket));
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    LP_TRY(s->backend->table->tensor_read(entry->program, id, values));
    const int64_t n_values = lp_shape_elements(entry->graph->tensors[id].shape);
    LP_TRY(lp_runner_settle(s, 0));
    for (int64_t i = 0; i < n_values; i++)
        if (!isfinite(values[i]))
            return lp_fail(s->ctx, LP_E_DEVICE, "the %s output is not finite: element %lld", output,
                           (long long)i);
    return LP_OK;
}

lp_status lp_runner_view(lp_runner *s, const int32_t *tokens, size_t n, const char *output,
                         float *values)
{
    const lp_run_end end = strcmp(output, "logits") == 0 ? LP_END_ALL_LOGITS : LP_END_HIDDEN;
    const char *kind = s->network->hparams.arch->hf;
    if (s->source != UINT32_MAX)
        return lp_fail(s->ctx, LP_E_UNSUPPORTED, "%s models answer texts; they give no vectors",
                       kind);
    if (n == 0)
        return lp_fail(s->ctx, LP_E_ARG, "the text has no tokens");
    if (n > s->n_ctx)
        return lp_fail(s->ctx, LP_E_LIMIT, "a text of %zu tokens; the context has %u", n, s->n_ctx);
    LP_TRY(lp_runner_check_tokens(s, tokens, n));
    s->n_tokens = 0;
    if (s->network->hparams.prefix.used) {
        const lp_prefix prefix = lp_network_prefix_or_all(s->ctx, s->network, tokens, n);
        s->guard.n_source = prefix.n;
        s->guard.blank = prefix.blank;
    }
    LP_TRY(lp_runner_settle(s, 0));
    LP_TRY(s->backend->table->slot_write(s->backend, s->history, 0, tokens, 4 * n));
    return run_whole(s, (uint32_t)n, end, output, values);
}

lp_status lp_runner_see(lp_runner *s, const float *patches, const char *output, float *values)
{
    lp_hparams vision;
    if (!lp_hparams_reads_pictures(&s->network->hparams))
        return lp_fail(s->ctx, LP_E_UNSUPPORTED, "%s models read no pictures",
                       s->network->hparams.arch->hf);
    lp_hparams_of_vision(&s->network->hparams, &vision);
    const uint64_t bytes = sizeof(float) * vision.n_context * lp_picture_row(&vision.picture);
    s->n_tokens = 0;
    LP_TRY(lp_runner_settle(s, 0));
    LP_TRY(s->backend->table->slot_write(s->backend, lp_store_find(&s->store, "patches"), 0,
                                         patches, bytes));
    return run_whole(s, vision.n_context, LP_END_PICTURE, output, values);
}

/* Log-probabilities of the tokens behind the n rows of logits [n, V]; *bad: first row that is not
 * finite, or n. */
static void score_rows(const float *logits, uint32_t n, uint32_t n_vocab, const int32_t *tokens,
                       double *scores, uint32_t *bad)
{
    uint32_t first_bad = n;
#pragma omp parallel for reduction(min : first_bad)
    for (uint32_t r = 0; r < n; r++) {
        const float *row = logits + (size_t)r * n_vocab;
        uint32_t i = 0;
        while (i < n_vocab && row[i] <= FLT_MAX) /* -inf: as in lp_runner_logits() */
            i++;
        if (i < n_vocab && r < first_bad)
            first_bad = r;
        scores[r] = (double)row[tokens[r]] - lp_log_sum_exp(row, n_vocab);
    }
    *bad = first_bad;
}

lp_status lp_runner_score(lp_runner *s, const int32_t *tokens, size_t n, double *scores)
{
    lp_status status = LP_OK;
    uint32_t n_vocab = s->network->hparams.n_vocab, first = s->n_tokens, bad = 0, rows = 0;
    lp_run_program *entry;
    float *logits = NULL;
    if (first == 0)
        return lp_fail(s->ctx, LP_E_ARG, "nothing predicts a text's first token: it must be fed");
    if (n == 0)
        return LP_OK;
    LP_TRY(lp_runner_feed(s, tokens, n));
    uint32_t most = SCORE_BYTES / sizeof *logits / n_vocab;
    most = lp_min_u32(lp_min_u32(most ? most : 1, s->n_batch), (uint32_t)n);
    logits = malloc((size_t)most * n_vocab * sizeof *logits);
    if (logits == NULL) {
        status = lp_fail_memory(s->ctx, "logits");
        goto cleanup;
    }
    bool look = s->guard.rate > 0;
    if (s->n_cached == first) /* it is evaluated, but its logits are gone */
        LP_CHECK(lp_runner_settle(s, first - 1));
    else if (s->n_cached < first - 1)
        LP_CHECK(lp_runner_evaluate(s, first - 1, LP_END_NOTHING, look, &entry));
    for (size_t done = 0; done < n; done += rows) {
        rows = lp_min_u32(most, (uint32_t)(n - done));
        LP_CHECK(lp_runner_evaluate(s, s->n_cached + rows, LP_END_ALL_LOGITS, look, &entry));
        LP_CHECK(lp_runner_read_rows(s, entry, rows, logits));
        score_rows(logits, rows, n_vocab, tokens + done, scores + done, &bad);
        if (bad < rows) {
            LP_CHECK(lp_runner_rewind(s, first + (uint32_t)done + bad));
            status = lp_runner_not_finite(s);
            goto cleanup;
        }
    }
cleanup:
    free(logits);
    return status;
}
