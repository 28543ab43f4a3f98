/* Runners: see runner.h. Programs are made per (tokens, cache bucket, what is wanted at the end)
 * and kept; a decode step is one replay of a recorded program. */
#include "text/runner_state.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/compare.h"
#include "check/finite.h"

uint32_t lp_runner_context(const lp_network *network, uint32_t n_ctx)
{
    if (n_ctx == 0 && network->hparams.both_ways) /* nothing grows with it */
        return network->hparams.n_context;
    return n_ctx ? n_ctx : lp_min_u32(network->hparams.n_context, 4096);
}

lp_status lp_runner_sizes(lp_runner *s, const lp_session_options *options)
{
    s->cache_type = options->cache_type;
    s->n_ctx = lp_runner_context(s->network, options->n_ctx);
    if (s->n_ctx > LP_MAX_CONTEXT)
        return lp_fail(s->ctx, LP_E_LIMIT, "a context of %u tokens; at most %d are possible",
                       s->n_ctx, LP_MAX_CONTEXT);
    if (!lp_is_cache_type(s->cache_type))
        return lp_fail(s->ctx, LP_E_ARG, "the cache can hold " LP_CACHE_TYPES);
    s->n_batch = lp_min_u32(options->n_batch ? options->n_batch : 512, s->n_ctx);
    if (s->how.batch != 0)
        s->n_batch = lp_min_u32(s->n_batch, s->how.batch);
    if (s->network->hparams.route.capacity > 0) /* what is dropped must not depend on the pieces */
        s->n_batch = 1;
    return LP_OK;
}

uint32_t lp_runner_first(const lp_runner *s, lp_run_end *end)
{
    const lp_hparams *hp = &s->network->hparams;
    const bool texts = lp_hparams_reads_texts(hp);
    *end = !texts                            ? LP_END_PICTURE
           : !hp->both_ways                  ? LP_END_SAMPLE
           : lp_network_has_head(s->network) ? LP_END_EVERYTHING
                                             : LP_END_HIDDEN;
    return texts ? 1 : hp->n_context;
}

lp_status lp_runner_create(lp_context *ctx, const lp_network *network, lp_backend *backend,
                           const lp_session_options *options, const lp_runner_programs *programs,
                           lp_runner **result)
{
    lp_status status = LP_OK;
    lp_graph *first = NULL;
    lp_runner *s = calloc(1, sizeof *s);
    if (s == NULL) {
        backend->table->destroy(backend);
        return lp_fail_memory(ctx, "a session");
    }
    s->ctx = ctx;
    s->network = network;
    s->backend = backend;
    if (programs != NULL)
        s->how = *programs;
    LP_CHECK(lp_runner_sizes(s, options));
    const uint32_t trained = network->hparams.n_context;
    if (s->n_ctx > trained)
        lp_log(ctx, LP_LOG_WARN, "a context of %u tokens, but the model was trained for %u",
               s->n_ctx, trained);
    if (!(options->guard >= 0 && options->guard <= 1)) {
        status = lp_fail(ctx, LP_E_ARG, "a guard on %g of the tokens (0 to 1)", options->guard);
        goto cleanup;
    }
    s->guard.rate = options->guard;
    lp_run_end all;
    const uint32_t n_first = lp_runner_first(s, &all);
    LP_CHECK(lp_runner_graph(s, n_first, lp_runner_bucket(1, s->n_ctx), all, &first));
    s->history = lp_store_find(&s->store, "history");
    s->cursor = lp_store_find(&s->store, "cursor");
    s->sampler = lp_store_find(&s->store, "sampler");
    s->source = lp_store_find(&s->store, "source");
    LP_CHECK(backend->table->load(backend, &s->store, options->progress, options->progress_user));
    LP_CHECK(lp_runner_open_retrieval(s));
    lp_sampling greedy = {.repeat_penalty = 1, .top_p = 1};
    LP_CHECK(lp_runner_sampling(s, &greedy));
    lp_graph_destroy(first);
    *result = s;
    return LP_OK;
cleanup:
    lp_graph_destroy(first);
    lp_runner_destroy(s);
    return status;
}

void lp_runner_destroy(lp_runner *s)
{
    if (s == NULL)
        return;
    lp_runner_trim(s);
    s->backend->table->destroy(s->backend);
    lp_store_destroy(&s->store);
    free(s->lengths);
    free(s);
}

uint32_t lp_runner_n_ctx(const lp_runner *s)
{
    return s->n_ctx;
}

uint32_t lp_runner_n_tokens(const lp_runner *s)
{
    return s->n_tokens;
}

uint32_t lp_runner_n_batch(const lp_runner *s)
{
    return s->n_batch;
}

uint64_t lp_runner_edits(const lp_runner *s)
{
    return s->edits;
}

uint32_t lp_runner_n_pending(const lp_runner *s)
{
    const uint32_t n_source = s->source_new ? s->guard.n_source : 0;
    return n_source + (s->n_tokens > s->n_cached ? s->n_tokens - s->n_cached : 0);
}

lp_backend *lp_runner_backend(lp_runner *s)
{
    return s->backend;
}

const lp_guard *lp_runner_guard(const lp_runner *s)
{
    return &s->guard;
}

const lp_network *lp_runner_network(const lp_runner *s)
{
    return s->network;
}

lp_store *lp_runner_store(lp_runner *s)
{
    return &s->store;
}

void lp_runner_memory(const lp_runner *s, uint64_t bytes[4])
{
    s->backend->table->memory(s->backend, bytes);
}

lp_status lp_runner_settle(lp_runner *s, uint32_t n_cached)
{
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    int32_t words[LP_CURSOR_WORDS] = {0};
    words[LP_CURSOR_POSITION] = (int32_t)n_cached;
    words[LP_CURSOR_DRAWS] = (int32_t)s->n_draws;
    words[LP_CURSOR_SOURCE] = (int32_t)s->guard.n_source;
    words[LP_CURSOR_BLANK] = (int32_t)s->guard.blank;
    LP_TRY(s->backend->table->slot_write(s->backend, s->cursor, 0, words, sizeof words));
    const int32_t none = 0; /* no token from logits that are not finite */
    LP_TRY(s->backend->table->slot_write(s->backend, s->history, 4ull * (s->n_ctx + 1), &none, 4));
    s->n_cached = n_cached;
    s->n_ahead = 0;
    s->first_ahead = 0;
    return LP_OK;
}

lp_status lp_runner_rewind(lp_runner *s, uint32_t n)
{
    if (n > s->n_tokens)
        return lp_fail(s->ctx, LP_E_ARG, "rewind to token %u of %u", n, s->n_tokens);
    s->edits++;
    s->n_tokens = n; /* tokens in flight stand behind these, in the history and in the cache */
    return lp_runner_settle(s, lp_min_u32(s->n_cached, n));
}

lp_status lp_runner_adopt(lp_runner *s, uint32_t n)
{
    if (n > s->n_tokens || s->n_ahead > 0)
        return lp_fail(s->ctx, LP_E_ARG, "rows of %u of %u tokens", n, s->n_tokens);
    s->edits++;
    s->n_cached = n;
    if (s->network->hparams.prefix.used)
        return lp_runner_find_prefix(s, true);
    return lp_runner_settle(s, n);
}

lp_status lp_runner_check_tokens(const lp_runner *s, const int32_t *tokens, size_t n)
{
    uint32_t n_vocab = s->network->hparams.n_vocab;
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= n_vocab)
            return lp_fail(s->ctx, LP_E_ARG, "token %zu is %d; the vocabulary has %u", i,
                           (int)tokens[i], n_vocab);
    return LP_OK;
}

lp_status lp_runner_feed(lp_runner *s, const int32_t *tokens, size_t n)
{
    LP_TRY(lp_runner_check_tokens(s, tokens, n));
    if (s->network->hparams.both_ways)
        return lp_fail(s->ctx, LP_E_UNSUPPORTED,
                       "%s is an encoder: it reads whole texts (embed, fill) and continues none",
                       s->network->hparams.arch->hf);
    if (s->source != UINT32_MAX && s->guard.n_source == 0)
        return lp_fail(s->ctx, LP_E_ARG, "there is no source text yet that could be answered");
    if (n > s->n_ctx - s->n_tokens)
        return lp_fail(s->ctx, LP_E_LIMIT,
                       "%zu tokens do not fit: %u of the context's %u are taken", n, s->n_tokens,
                       s->n_ctx);
    if (s->n_ahead > 0)
        LP_TRY(lp_runner_rewind(s, s->n_tokens));
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    LP_TRY(
        s->backend->table->slot_write(s->backend, s->history, 4ull * s->n_tokens, tokens, 4 * n));
    s->edits++;
    s->n_tokens += (uint32_t)n;
    return LP_OK;
}

/* Submits one program over the next n tokens of the history. With a look at one of its nodes, it is
 * done when this returns. */
static lp_status step(lp_runner *s, uint32_t n, lp_run_end end, bool look, lp_run_program **entry)
{
    lp_run_keep kept = !look                          ? LP_KEEP_NOTHING
                       : n == 1 || s->guard.rate == 1 ? LP_KEEP_ALL
                                                      : LP_KEEP_NODE;
    LP_TRY(lp_runner_retrieve(s, n));
    LP_TRY(lp_runner_program(s, n, s->n_cached + n, end, kept, entry));
    LP_TRY(s->backend->table->submit((*entry)->program, 1, &s->last_ticket));
    s->n_cached += n;
    if (!look)
        return LP_OK;
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    lp_status status = lp_guard_look(&s->guard, s->backend, (*entry)->program, (*entry)->graph,
                                     (*entry)->node, s->n_cached - n, s->n_draws);
    if (status == LP_E_DEVICE)
        LP_TRY(lp_runner_settle(s, s->n_cached - n));
    return status;
}

lp_status lp_runner_evaluate(lp_runner *s, uint32_t to, lp_run_end end, bool look,
                             lp_run_program **last)
{
    uint32_t n_whole = 0; /* tokens that see each other are evaluated together */
    if (s->source_new)
        LP_TRY(lp_runner_encode(s, look));
    if (s->network->hparams.prefix.used) {
        LP_TRY(lp_runner_find_prefix(s, false));
        n_whole = s->n_cached == 0 ? s->guard.n_source : 0;
    }
    if (to < n_whole)
        return lp_fail(s->ctx, LP_E_ARG,
                       "token %u has no successor of its own: the text is read up to token %u, "
                       "where the answer begins",
                       to, n_whole);
    uint32_t n_pieces = (to - s->n_cached + s->n_batch - 1) / s->n_batch;
    uint32_t looked_at = (uint32_t)(s->guard.visits / 7 % n_pieces); /* out of step with the walk */
    for (uint32_t piece = 0;; piece++) {
        uint32_t left = to - s->n_cached, n = lp_min_u32(left, s->n_batch);
        n = piece == 0 && n < n_whole ? n_whole : n;
        bool here = look && (piece == looked_at || s->guard.rate == 1);
        LP_TRY(step(s, n, n == left ? end : LP_END_NOTHING, here, last));
        if (n == left)
            return LP_OK;
    }
}

/* Evaluates n tokens from `first` again, everything kept, to see which node is not finite. */
static lp_status look_again(lp_runner *s, uint32_t first, uint32_t n, char *text, size_t size,
                            bool *found)
{
    lp_run_program *entry;
    LP_TRY(lp_runner_settle(s, first));
    LP_TRY(lp_runner_program(s, n, first + n, LP_END_LOGITS, LP_KEEP_ALL, &entry));
    LP_TRY(s->backend->table->submit(entry->program, 1, &s->last_ticket));
    lp_status status = s->backend->table->wait(s->backend, s->last_ticket);
    if (status == LP_OK)
        status = lp_finite_find(entry->program, s->backend, entry->graph, first, text, size, found);
    return status;
}

lp_status lp_runner_not_finite(lp_runner *s)
{
    uint32_t last = s->n_tokens - 1, first = last;
    char text[512] = "the logits are not finite, but they are when they are computed again";
    bool found = false;
    /* keys and values of a source text are the encoder's work, also where its result is fine */
    lp_status status = lp_runner_source_finite(s, &found);
    LP_TRY(lp_runner_settle(s, last));
    LP_TRY(status);
    lp_run_program *decoder; /* of other programs the rows are no tokens */
    LP_TRY(lp_runner_program(s, 1, last + 1, LP_END_LOGITS, LP_KEEP_ALL, &decoder));
    LP_TRY(lp_finite_caches(s->backend, decoder->graph, last, &first));
    /* One token after the other: in a batch, NaN in a value reaches tokens that do not see it, too
     * (0 NaN = NaN). If that finds nothing it is the kernels for many tokens. */
    uint32_t start = first - first % s->n_batch, n = lp_min_u32(s->n_batch, last + 1 - start);
    uint32_t from = first, to = first;
    for (; to < start + n && !found && status == LP_OK; to++)
        status = look_again(s, from = to, 1, text, sizeof text, &found);
    if (n > 1 && !found && status == LP_OK)
        status = look_again(s, first = from = start, n, text, sizeof text, &found);
    if (status == LP_E_DEVICE_LOST)
        return status;
    LP_TRY(lp_runner_settle(s, first));
    if (from + 1 == to)
        return lp_fail(s->ctx, LP_E_DEVICE, "%s (token %u of the text)", text, to);
    return lp_fail(s->ctx, LP_E_DEVICE, "%s (tokens %u to %u of the text)", text, from + 1, to);
}

/* Everything fed so far. logits: [V] of the last token, or NULL. */
static lp_status evaluate_all(lp_runner *s, bool look, float *logits)
{
    if (s->n_tokens == 0)
        return lp_fail(s->ctx, LP_E_ARG, "nothing to evaluate: no tokens yet");
    if (s->n_ahead > 0 || s->n_cached == s->n_tokens)
        LP_TRY(lp_runner_rewind(s, s->n_tokens));
    if (s->n_cached == s->n_tokens) /* all there: the last token again, for its logits */
        LP_TRY(lp_runner_settle(s, s->n_tokens - 1));
    lp_run_program *last;
    LP_TRY(
        lp_runner_evaluate(s, s->n_tokens, logits ? LP_END_LOGITS : LP_END_NOTHING, look, &last));
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    if (logits == NULL)
        return LP_OK;
    lp_tensor_id id = lp_graph_find(last->graph, "logits");
    return s->backend->table->tensor_read(last->program, id, logits);
}

lp_status lp_runner_eval(lp_runner *s, float *logits)
{
    LP_TRY(evaluate_all(s, s->guard.rate > 0, logits));
    for (uint32_t i = 0; logits != NULL && i < s->network->hparams.n_vocab; i++)
        if (!isfinite(logits[i]))
            return lp_runner_not_finite(s);
    return LP_OK;
}

lp_status lp_runner_logits(lp_runner *s, float *logits)
{
    bool prompt = lp_runner_n_pending(s) > 1;
    LP_TRY(
        evaluate_all(s, prompt ? s->guard.rate > 0 : lp_guard_due(&s->guard, s->n_draws), logits));
    for (uint32_t i = 0; i < s->network->hparams.n_vocab; i++)
        if (!(logits[i] <= FLT_MAX)) /* -inf is a token that must not come, as in the sample op */
            return lp_runner_not_finite(s);
    return LP_OK;
}

lp_status lp_runner_drawn(lp_runner *s, int32_t token)
{
    LP_TRY(lp_runner_feed(s, &token, 1));
    s->n_draws++;
    return lp_runner_settle(s, s->n_cached); /* the device's counter of draws, too */
}

lp_status lp_runner_look_ahead(lp_runner *s, const int32_t *guesses, uint32_t n, float *logits)
{
    const uint32_t first = s->n_tokens;
    lp_run_program *entry;
    lp_status status = LP_OK;
    if (first == 0 || lp_runner_n_pending(s) > 1 || n >= s->n_batch)
        return lp_fail(s->ctx, LP_E_ARG, "%u tokens cannot be looked at ahead", n);
    LP_TRY(lp_runner_feed(s, guesses, n));
    if (s->n_cached == first) /* it is evaluated, but its logits are gone */
        LP_CHECK(lp_runner_settle(s, first - 1));
    LP_CHECK(lp_runner_evaluate(s, s->n_tokens, LP_END_ALL_LOGITS,
                                lp_guard_due(&s->guard, s->n_draws), &entry));
    LP_CHECK(lp_runner_read_rows(s, entry, n + 1, logits));
    return lp_runner_rewind(s, first);
cleanup:
    if (status != LP_E_DEVICE_LOST && s->n_cached > first)
        lp_runner_settle(s, first);
    s->n_tokens = first;
    return status;
}

uint32_t lp_runner_n_draws(const lp_runner *s)
{
    return s->n_draws;
}

lp_status lp_runner_tokens(lp_runner *s, uint32_t first, uint32_t n, int32_t *tokens)
{
    if (first > s->n_tokens || n > s->n_tokens - first)
        return lp_fail(s->ctx, LP_E_ARG, "tokens %u to %u of %u", first, first + n, s->n_tokens);
    return s->backend->table->slot_read(s->backend, s->history, 4ull * first, tokens, 4ull * n);
}

lp_status lp_runner_forget(lp_runner *s, uint32_t first, uint32_t n)
{
    if (first > s->n_tokens || n > s->n_tokens - first)
        return lp_fail(s->ctx, LP_E_ARG, "forget tokens %u to %u of %u", first, first + n,
                       s->n_tokens);
    if (lp_runner_has_neighbours(s)) /* they belong to the chunks, which would be others */
        return lp_fail(s->ctx, LP_E_UNSUPPORTED,
                       "tokens within a text whose chunks have neighbours cannot be forgotten");
    uint32_t n_behind = s->n_tokens - first - n;
    int32_t *behind = malloc((n_behind + 1ull) * sizeof *behind);
    if (behind == NULL)
        return lp_fail_memory(s->ctx, "tokens");
    lp_status status = lp_runner_tokens(s, first + n, n_behind, behind);
    if (status == LP_OK)
        status = lp_runner_rewind(s, first);
    if (status == LP_OK)
        status = lp_runner_feed(s, behind, n_behind);
    free(behind);
    return status;
}

lp_status lp_runner_sampling(lp_runner *s, const lp_sampling *sampling)
{
    uint32_t words[LP_SAMPLER_WORDS] = {0};
    memcpy(&words[LP_SAMPLER_TEMPERATURE], &sampling->temperature, 4);
    words[LP_SAMPLER_TOP_K] = lp_min_u32(sampling->top_k, INT32_MAX);
    memcpy(&words[LP_SAMPLER_TOP_P], &sampling->top_p, 4);
    memcpy(&words[LP_SAMPLER_MIN_P], &sampling->min_p, 4);
    memcpy(&words[LP_SAMPLER_PENALTY], &sampling->repeat_penalty, 4);
    words[LP_SAMPLER_WINDOW] = lp_min_u32(sampling->repeat_window, INT32_MAX);
    words[LP_SAMPLER_SEED_LO] = (uint32_t)sampling->seed;
    words[LP_SAMPLER_SEED_HI] = (uint32_t)(sampling->seed >> 32);
    if (!(sampling->temperature >= 0) || !(sampling->top_p > 0) || !(sampling->min_p >= 0) ||
        !(sampling->min_p <= 1) || !(sampling->repeat_penalty > 0))
        return lp_fail(s->ctx, LP_E_ARG,
                       "sampling needs temperature >= 0, top-p > 0, min-p in 0..1, penalty > 0");
    s->n_draws = 0;
    s->guard.seed = sampling->seed; /* another seed, another walk */
    LP_TRY(lp_runner_rewind(s, s->n_tokens));
    return s->backend->table->slot_write(s->backend, s->sampler, 0, words, sizeof words);
}

lp_status lp_runner_next(lp_runner *s, uint32_t wanted, int32_t *token)
{
    if (s->n_tokens == 0)
        return lp_fail(s->ctx, LP_E_ARG, "nothing to continue: no tokens yet");
    if (s->n_tokens >= s->n_ctx)
        return lp_fail(s->ctx, LP_E_LIMIT, "the context of %u tokens is full", s->n_ctx);
    lp_run_program *entry;
    uint32_t most = lp_min_u32(lp_min_u32(s->backend->ahead, LP_MAX_AHEAD), wanted ? wanted : 1);
    if (s->n_ahead == 0) {
        if (s->n_cached == s->n_tokens) /* evaluated before: its last token again, to draw from */
            LP_TRY(lp_runner_settle(s, s->n_tokens - 1));
        bool prompt = s->n_tokens - s->n_cached > 1;
        LP_TRY(lp_runner_evaluate(s, s->n_tokens, LP_END_SAMPLE,
                                  prompt ? s->guard.rate > 0 : lp_guard_due(&s->guard, s->n_draws),
                                  &entry));
        s->tickets[(s->first_ahead + s->n_ahead++) % LP_MAX_AHEAD] = s->last_ticket;
    }
    /* A step that the guard looks at is taken when nothing else is in flight, by the above. */
    while (s->n_ahead < most && s->n_cached < s->n_ctx &&
           !lp_guard_due(&s->guard, s->n_draws + s->n_ahead)) {
        LP_TRY(step(s, 1, LP_END_SAMPLE, false, &entry));
        s->tickets[(s->first_ahead + s->n_ahead++) % LP_MAX_AHEAD] = s->last_ticket;
    }
    LP_TRY(s->backend->table->wait(s->backend, s->tickets[s->first_ahead % LP_MAX_AHEAD]));
    int32_t bad; /* 1 + place of the first token from logits that are not finite */
    LP_TRY(s->backend->table->slot_read(s->backend, s->history, 4ull * (s->n_ctx + 1), &bad, 4));
    if (bad != 0 && (uint32_t)bad - 1 <= s->n_tokens)
        return lp_runner_not_finite(s);
    LP_TRY(s->backend->table->slot_read(s->backend, s->history, 4ull * s->n_tokens, token, 4));
    s->first_ahead++;
    s->n_ahead--;
    s->n_tokens++;
    s->n_draws++;
    return LP_OK;
}
