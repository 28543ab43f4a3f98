/* Runners: see runner.h. Programs are made per (tokens, cache bucket, what is wanted at the end)
 * and kept; a decode step is one replay of a recorded program. */
#include "text/runner.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/compare.h"
#include "check/finite.h"

#define MAX_PROGRAMS 12
#define MAX_AHEAD    8
#define SCORE_BYTES  (64u << 20) /* of logits at a time, on the device and here */
#define MIN_BUCKET   256 /* keys; buckets are powers of two, the last one is the whole context */

/* What a program leaves: the logits of its last token, those of all of them, a drawn token. That of
 * the encoder (END_SOURCE) leaves keys and values of the source text. Of a whole text, hidden states,
 * and logits with them. */
typedef enum run_end {
    END_NOTHING,
    END_LOGITS,
    END_ALL_LOGITS,
    END_SAMPLE,
    END_SOURCE,
    END_HIDDEN,
    END_EVERYTHING
} run_end;

/* Which activations are there after the run: for a look at any node, or at one of a large batch. */
typedef enum run_keep { KEEP_NOTHING, KEEP_ALL, KEEP_NODE } run_keep;

typedef struct program_entry {
    uint32_t n_tokens, kv_max;
    run_end end;
    run_keep keep;
    uint32_t node; /* KEEP_NODE: that is looked at; otherwise LP_NONE */
    lp_graph *graph;
    lp_program *program;
    uint64_t used; /* clock of the latest use */
} program_entry;

struct lp_runner {
    lp_context *ctx;
    const lp_network *network;
    lp_backend *backend;
    lp_runner_programs how;
    lp_store store;
    uint32_t n_ctx, n_batch;
    lp_dtype cache_type;
    uint32_t history, cursor, sampler; /* slots */
    uint32_t source;                   /* of an encoder-decoder */
    bool source_new;                   /* the encoder has not read it yet */

    uint32_t n_tokens; /* known to the caller */
    uint32_t n_cached; /* the device's cursor, once everything submitted is done */
    uint32_t n_ahead;  /* tokens drawn or being drawn that the caller has not asked for */
    uint32_t n_draws;  /* of the tokens known to the caller, since lp_runner_sampling() */
    uint64_t tickets[MAX_AHEAD]; /* of draw i: tickets[i % MAX_AHEAD] */
    uint32_t first_ahead;
    uint64_t last_ticket, clock;
    uint64_t edits; /* changes of the tokens from outside */

    program_entry programs[MAX_PROGRAMS];
    uint32_t n_programs;
    lp_guard guard;
};

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t lp_runner_context(const lp_network *network, uint32_t n_ctx)
{
    if (n_ctx == 0 && network->hparams.both_ways) /* nothing grows with it */
        return network->hparams.n_context;
    return n_ctx ? n_ctx : min_u32(network->hparams.n_context, 4096);
}

uint32_t lp_runner_bucket(uint32_t keys, uint32_t n_ctx)
{
    uint32_t size = MIN_BUCKET;
    while (size < keys)
        size *= 2;
    return min_u32(size, n_ctx);
}

static void drop_program(lp_runner *s, uint32_t i)
{
    s->backend->table->program_destroy(s->programs[i].program);
    lp_graph_destroy(s->programs[i].graph);
    s->programs[i] = s->programs[--s->n_programs];
}

static lp_status build_graph(lp_runner *s, uint32_t n_tokens, uint32_t kv_max, run_end end,
                             lp_graph **graph)
{
    lp_network_options options = {.n_tokens = (int32_t)n_tokens,
                                  .n_ctx = (int32_t)s->n_ctx,
                                  .kv_max = (int32_t)kv_max,
                                  .kv_dtype = s->cache_type,
                                  .outputs = end == END_LOGITS       ? LP_OUTPUTS_LAST
                                             : end == END_ALL_LOGITS || end == END_EVERYTHING
                                                 ? LP_OUTPUTS_ALL
                                                                     : LP_OUTPUTS_NONE,
                                  .hidden = end == END_HIDDEN || end == END_EVERYTHING,
                                  .sample = end == END_SAMPLE,
                                  .part = end == END_SOURCE ? LP_PART_ENCODER : LP_PART_DECODER,
                                  .no_fusion = s->how.no_fusion};
    return lp_network_graph(s->ctx, s->network, &s->store, &options, graph);
}

static lp_status find_program(lp_runner *s, uint32_t n_tokens, uint32_t keys, run_end end,
                              run_keep keep, program_entry **found)
{
    uint32_t kv_max = lp_runner_bucket(keys, s->n_ctx);
    for (uint32_t i = 0; i < s->n_programs; i++) {
        program_entry *e = &s->programs[i];
        if (e->n_tokens == n_tokens && e->kv_max == kv_max && e->end == end &&
            e->keep == keep && keep != KEEP_NODE) {
            e->used = ++s->clock;
            *found = e;
            return LP_OK;
        }
    }
    if (s->n_programs == MAX_PROGRAMS) {
        uint32_t oldest = 0;
        for (uint32_t i = 1; i < s->n_programs; i++)
            if (s->programs[i].used < s->programs[oldest].used)
                oldest = i;
        LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
        drop_program(s, oldest);
    }
    program_entry entry = {.n_tokens = n_tokens,
                           .kv_max = kv_max,
                           .end = end,
                           .keep = keep,
                           .node = LP_NONE,
                           .used = ++s->clock};
    lp_plan_options options = s->how.plan;
    options.keep_all = keep == KEEP_ALL;
    LP_TRY(build_graph(s, n_tokens, kv_max, end, &entry.graph));
    if (keep == KEEP_NODE)
        lp_guard_keep(entry.graph, entry.node = lp_guard_pick(&s->guard, entry.graph));
    lp_status status =
        s->backend->table->program_create(s->backend, entry.graph, options, &entry.program);
    if (status != LP_OK) {
        lp_graph_destroy(entry.graph);
        return status;
    }
    *found = &s->programs[s->n_programs++];
    **found = entry;
    return LP_OK;
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
    s->cache_type = options->cache_type;
    uint32_t trained = network->hparams.n_context;
    s->n_ctx = lp_runner_context(network, options->n_ctx);
    if (s->n_ctx > LP_MAX_CONTEXT) {
        status = lp_fail(ctx, LP_E_LIMIT, "a context of %u tokens; at most %d are possible",
                         s->n_ctx, LP_MAX_CONTEXT);
        goto cleanup;
    }
    if (s->n_ctx > trained)
        lp_log(ctx, LP_LOG_WARN, "a context of %u tokens, but the model was trained for %u",
               s->n_ctx, trained);
    if (s->cache_type != LP_F16 && s->cache_type != LP_F32) {
        status = lp_fail(ctx, LP_E_ARG, "the cache can hold F16 or F32");
        goto cleanup;
    }
    if (!(options->guard >= 0 && options->guard <= 1)) {
        status = lp_fail(ctx, LP_E_ARG, "a guard on %g of the tokens (0 to 1)", options->guard);
        goto cleanup;
    }
    s->guard.rate = options->guard;
    s->n_batch = min_u32(options->n_batch ? options->n_batch : 512, s->n_ctx);
    if (s->how.batch != 0)
        s->n_batch = min_u32(s->n_batch, s->how.batch);
    if (network->hparams.route.capacity > 0) /* what is dropped must not depend on the pieces */
        s->n_batch = 1;

    /* Any graph names every weight and state: it fills the store. */
    const run_end all = !network->hparams.both_ways      ? END_SAMPLE
                        : lp_network_has_head(network) ? END_EVERYTHING
                                                       : END_HIDDEN;
    LP_CHECK(build_graph(s, 1, lp_runner_bucket(1, s->n_ctx), all, &first));
    s->history = lp_store_find(&s->store, "history");
    s->cursor = lp_store_find(&s->store, "cursor");
    s->sampler = lp_store_find(&s->store, "sampler");
    s->source = lp_store_find(&s->store, "source");
    LP_CHECK(backend->table->load(backend, &s->store, options->progress, options->progress_user));
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
    free(s);
}

lp_status lp_runner_trim(lp_runner *s)
{
    lp_status status = s->backend->table->wait(s->backend, s->last_ticket);
    while (s->n_programs > 0)
        drop_program(s, s->n_programs - 1);
    return status;
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

/* Waits for what is in flight and sets the device's cursor to the caller's view of things. */
static lp_status settle(lp_runner *s, uint32_t n_cached)
{
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    int32_t words[LP_CURSOR_WORDS] = {0};
    words[LP_CURSOR_POSITION] = (int32_t)n_cached;
    words[LP_CURSOR_DRAWS] = (int32_t)s->n_draws;
    words[LP_CURSOR_SOURCE] = (int32_t)s->guard.n_source;
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
    return settle(s, min_u32(s->n_cached, n));
}

lp_status lp_runner_adopt(lp_runner *s, uint32_t n)
{
    if (n > s->n_tokens || s->n_ahead > 0)
        return lp_fail(s->ctx, LP_E_ARG, "rows of %u of %u tokens", n, s->n_tokens);
    s->edits++;
    return settle(s, n);
}

static lp_status check_tokens(const lp_runner *s, const int32_t *tokens, size_t n)
{
    uint32_t n_vocab = s->network->hparams.n_vocab;
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= n_vocab)
            return lp_fail(s->ctx, LP_E_ARG, "token %zu is %d; the vocabulary has %u", i,
                           (int)tokens[i], n_vocab);
    return LP_OK;
}

lp_status lp_runner_source(lp_runner *s, const int32_t *tokens, size_t n)
{
    if (s->source == UINT32_MAX)
        return lp_fail(s->ctx, LP_E_UNSUPPORTED, "%s models have no encoder that reads a source text",
                       s->network->hparams.arch->hf);
    if (n == 0)
        return lp_fail(s->ctx, LP_E_ARG, "the source text is empty");
    if (n > s->n_ctx)
        return lp_fail(s->ctx, LP_E_LIMIT, "a source text of %zu tokens; the context has %u", n,
                       s->n_ctx);
    LP_TRY(check_tokens(s, tokens, n));
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    LP_TRY(s->backend->table->slot_write(s->backend, s->source, 0, tokens, 4 * n));
    s->edits++;
    s->n_tokens = 0;
    s->guard.n_source = (uint32_t)n;
    s->source_new = true;
    return settle(s, 0);
}

lp_status lp_runner_feed(lp_runner *s, const int32_t *tokens, size_t n)
{
    LP_TRY(check_tokens(s, tokens, n));
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
    LP_TRY(s->backend->table->slot_write(s->backend, s->history, 4ull * s->n_tokens, tokens,
                                         4 * n));
    s->edits++;
    s->n_tokens += (uint32_t)n;
    return LP_OK;
}

lp_status lp_runner_view(lp_runner *s, const int32_t *tokens, size_t n, const char *output,
                         float *values)
{
    const run_end end = strcmp(output, "logits") == 0 ? END_ALL_LOGITS : END_HIDDEN;
    const char *kind = s->network->hparams.arch->hf;
    program_entry *entry;
    if (s->source != UINT32_MAX)
        return lp_fail(s->ctx, LP_E_UNSUPPORTED, "%s models answer texts; they give no vectors",
                       kind);
    if (n == 0)
        return lp_fail(s->ctx, LP_E_ARG, "the text has no tokens");
    if (n > s->n_ctx)
        return lp_fail(s->ctx, LP_E_LIMIT, "a text of %zu tokens; the context has %u", n, s->n_ctx);
    LP_TRY(check_tokens(s, tokens, n));
    s->n_tokens = 0;
    LP_TRY(settle(s, 0));
    LP_TRY(s->backend->table->slot_write(s->backend, s->history, 0, tokens, 4 * n));
    LP_TRY(find_program(s, (uint32_t)n, (uint32_t)n, end, KEEP_NOTHING, &entry));
    const lp_tensor_id id = lp_graph_find(entry->graph, output);
    if (id == LP_NONE)
        return lp_fail(s->ctx, LP_E_UNSUPPORTED, "this %s model has no %s output", kind, output);
    LP_TRY(s->backend->table->submit(entry->program, 1, &s->last_ticket));
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    LP_TRY(s->backend->table->tensor_read(entry->program, id, values));
    const int64_t n_values = lp_shape_elements(entry->graph->tensors[id].shape);
    LP_TRY(settle(s, 0));
    for (int64_t i = 0; i < n_values; i++)
        if (!isfinite(values[i]))
            return lp_fail(s->ctx, LP_E_DEVICE, "the %s output is not finite: element %lld", output,
                           (long long)i);
    return LP_OK;
}

/* Submits one program over the next n tokens of the history. With a look at one of its nodes, it is
 * done when this returns. */
static lp_status step(lp_runner *s, uint32_t n, run_end end, bool look, program_entry **entry)
{
    run_keep kept = !look ? KEEP_NOTHING : n == 1 || s->guard.rate == 1 ? KEEP_ALL : KEEP_NODE;
    LP_TRY(find_program(s, n, s->n_cached + n, end, kept, entry));
    LP_TRY(s->backend->table->submit((*entry)->program, 1, &s->last_ticket));
    s->n_cached += n;
    if (!look)
        return LP_OK;
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    lp_status status = lp_guard_look(&s->guard, s->backend, (*entry)->program, (*entry)->graph,
                                     (*entry)->node, s->n_cached - n, s->n_draws);
    if (status == LP_E_DEVICE)
        LP_TRY(settle(s, s->n_cached - n));
    return status;
}

/* The encoder's run over the source text left NaN or infinity behind. */
static lp_status encoder_not_finite(lp_runner *s)
{
    program_entry *entry;
    char text[512] = "the encoder's result is not finite, but it is when it is computed again";
    bool found = false;
    const uint32_t n = s->guard.n_source;
    LP_TRY(find_program(s, n, n, END_SOURCE, KEEP_ALL, &entry));
    LP_TRY(s->backend->table->submit(entry->program, 1, &s->last_ticket));
    LP_TRY(s->backend->table->wait(s->backend, s->last_ticket));
    LP_TRY(lp_finite_find(entry->program, s->backend, entry->graph, 0, text, sizeof text, &found));
    return lp_fail(s->ctx, LP_E_DEVICE, "%s (of the source text)", text);
}

/* The encoder reads the source text, all at once: its tokens see each other. */
static lp_status encode(lp_runner *s, bool look)
{
    program_entry *entry;
    const uint32_t n = s->guard.n_source, n_cached = s->n_cached;
    const run_keep kept = !look ? KEEP_NOTHING : s->guard.rate == 1 ? KEEP_ALL : KEEP_NODE;
    LP_TRY(settle(s, 0));
    LP_TRY(find_program(s, n, n, END_SOURCE, kept, &entry));
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
    return settle(s, n_cached);
}

/* Tokens [n_cached, to), at least one, that stand in the history; the last piece ends with `end`.
 * look: at one piece, or at all if the guard looks at everything. */
static lp_status evaluate(lp_runner *s, uint32_t to, run_end end, bool look, program_entry **last)
{
    if (s->source_new)
        LP_TRY(encode(s, look));
    uint32_t n_pieces = (to - s->n_cached + s->n_batch - 1) / s->n_batch;
    uint32_t looked_at = (uint32_t)(s->guard.visits / 7 % n_pieces); /* out of step with the walk */
    for (uint32_t piece = 0;; piece++) {
        uint32_t left = to - s->n_cached, n = min_u32(left, s->n_batch);
        bool here = look && (piece == looked_at || s->guard.rate == 1);
        LP_TRY(step(s, n, n == left ? end : END_NOTHING, here, last));
        if (n == left)
            return LP_OK;
    }
}

/* Evaluates n tokens from `first` again, everything kept, to see which node is not finite. */
static lp_status look_again(lp_runner *s, uint32_t first, uint32_t n, char *text, size_t size,
                            bool *found)
{
    program_entry *entry;
    LP_TRY(settle(s, first));
    LP_TRY(find_program(s, n, first + n, END_LOGITS, KEEP_ALL, &entry));
    LP_TRY(s->backend->table->submit(entry->program, 1, &s->last_ticket));
    lp_status status = s->backend->table->wait(s->backend, s->last_ticket);
    if (status == LP_OK)
        status = lp_finite_find(entry->program, s->backend, entry->graph, first, text, size, found);
    return status;
}

/* The logits after the latest token are not finite. Fails with LP_E_DEVICE and the name of the node
 * where that began, perhaps at an earlier token, from which keys and values are computed anew when
 * the session goes on. */
static lp_status not_finite(lp_runner *s)
{
    uint32_t last = s->n_tokens - 1, first = last;
    char text[512] = "the logits are not finite, but they are when they are computed again";
    bool found = false;
    LP_TRY(settle(s, last));
    LP_TRY(lp_finite_caches(s->backend, s->programs[0].graph, last, &first));
    /* One token after the other: in a batch, NaN in a value reaches tokens that do not see it, too
     * (0 NaN = NaN). If that finds nothing it is the kernels for many tokens. */
    uint32_t start = first - first % s->n_batch, n = min_u32(s->n_batch, last + 1 - start);
    uint32_t from = first, to = first;
    lp_status status = LP_OK;
    for (; to < start + n && !found && status == LP_OK; to++)
        status = look_again(s, from = to, 1, text, sizeof text, &found);
    if (n > 1 && !found && status == LP_OK)
        status = look_again(s, first = from = start, n, text, sizeof text, &found);
    if (status == LP_E_DEVICE_LOST)
        return status;
    LP_TRY(settle(s, first));
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
        LP_TRY(settle(s, s->n_tokens - 1));
    program_entry *last;
    LP_TRY(evaluate(s, s->n_tokens, logits ? END_LOGITS : END_NOTHING, look, &last));
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
            return not_finite(s);
    return LP_OK;
}

lp_status lp_runner_logits(lp_runner *s, float *logits)
{
    bool prompt = lp_runner_n_pending(s) > 1;
    LP_TRY(evaluate_all(s, prompt ? s->guard.rate > 0 : lp_guard_due(&s->guard, s->n_draws),
                        logits));
    for (uint32_t i = 0; i < s->network->hparams.n_vocab; i++)
        if (!(logits[i] <= FLT_MAX)) /* -inf is a token that must not come, as in the sample op */
            return not_finite(s);
    return LP_OK;
}

lp_status lp_runner_drawn(lp_runner *s, int32_t token)
{
    LP_TRY(lp_runner_feed(s, &token, 1));
    s->n_draws++;
    return settle(s, s->n_cached); /* the device's counter of draws, too */
}

lp_status lp_runner_look_ahead(lp_runner *s, const int32_t *guesses, uint32_t n, float *logits)
{
    const uint32_t first = s->n_tokens;
    program_entry *entry;
    lp_status status = LP_OK;
    if (first == 0 || lp_runner_n_pending(s) > 1 || n >= s->n_batch)
        return lp_fail(s->ctx, LP_E_ARG, "%u tokens cannot be looked at ahead", n);
    LP_TRY(lp_runner_feed(s, guesses, n));
    if (s->n_cached == first) /* it is evaluated, but its logits are gone */
        LP_CHECK(settle(s, first - 1));
    LP_CHECK(evaluate(s, s->n_tokens, END_ALL_LOGITS, lp_guard_due(&s->guard, s->n_draws), &entry));
    LP_CHECK(s->backend->table->wait(s->backend, s->last_ticket));
    LP_CHECK(s->backend->table->tensor_read(entry->program, lp_graph_find(entry->graph, "logits"),
                                            logits));
    return lp_runner_rewind(s, first);
cleanup:
    if (status != LP_E_DEVICE_LOST && s->n_cached > first)
        settle(s, first);
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
    program_entry *entry;
    float *logits = NULL;
    if (first == 0)
        return lp_fail(s->ctx, LP_E_ARG, "nothing predicts a text's first token: it must be fed");
    if (n == 0)
        return LP_OK;
    LP_TRY(lp_runner_feed(s, tokens, n));
    uint32_t most = SCORE_BYTES / sizeof *logits / n_vocab;
    most = min_u32(min_u32(most ? most : 1, s->n_batch), (uint32_t)n);
    logits = malloc((size_t)most * n_vocab * sizeof *logits);
    if (logits == NULL) {
        status = lp_fail_memory(s->ctx, "logits");
        goto cleanup;
    }
    bool look = s->guard.rate > 0;
    if (s->n_cached == first) /* it is evaluated, but its logits are gone */
        LP_CHECK(settle(s, first - 1));
    else if (s->n_cached < first - 1)
        LP_CHECK(evaluate(s, first - 1, END_NOTHING, look, &entry));
    for (size_t done = 0; done < n; done += rows) {
        rows = min_u32(most, (uint32_t)(n - done));
        LP_CHECK(evaluate(s, s->n_cached + rows, END_ALL_LOGITS, look, &entry));
        LP_CHECK(s->backend->table->wait(s->backend, s->last_ticket));
        LP_CHECK(s->backend->table->tensor_read(
            entry->program, lp_graph_find(entry->graph, "logits"), logits));
        score_rows(logits, rows, n_vocab, tokens + done, scores + done, &bad);
        if (bad < rows) {
            LP_CHECK(lp_runner_rewind(s, first + (uint32_t)done + bad));
            status = not_finite(s);
            goto cleanup;
        }
    }
cleanup:
    free(logits);
    return status;
}

lp_status lp_runner_sampling(lp_runner *s, const lp_sampling *sampling)
{
    uint32_t words[LP_SAMPLER_WORDS] = {0};
    memcpy(&words[LP_SAMPLER_TEMPERATURE], &sampling->temperature, 4);
    words[LP_SAMPLER_TOP_K] = min_u32(sampling->top_k, INT32_MAX);
    memcpy(&words[LP_SAMPLER_TOP_P], &sampling->top_p, 4);
    memcpy(&words[LP_SAMPLER_MIN_P], &sampling->min_p, 4);
    memcpy(&words[LP_SAMPLER_PENALTY], &sampling->repeat_penalty, 4);
    words[LP_SAMPLER_WINDOW] = min_u32(sampling->repeat_window, INT32_MAX);
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
    program_entry *entry;
    uint32_t most = min_u32(min_u32(s->backend->ahead, MAX_AHEAD), wanted ? wanted : 1);
    if (s->n_ahead == 0) {
        if (s->n_cached == s->n_tokens) /* evaluated before: its last token again, to draw from */
            LP_TRY(settle(s, s->n_tokens - 1));
        bool prompt = s->n_tokens - s->n_cached > 1;
        LP_TRY(evaluate(s, s->n_tokens, END_SAMPLE,
                        prompt ? s->guard.rate > 0 : lp_guard_due(&s->guard, s->n_draws), &entry));
        s->tickets[(s->first_ahead + s->n_ahead++) % MAX_AHEAD] = s->last_ticket;
    }
    /* A step that the guard looks at is taken when nothing else is in flight, by the above. */
    while (s->n_ahead < most && s->n_cached < s->n_ctx &&
           !lp_guard_due(&s->guard, s->n_draws + s->n_ahead)) {
        LP_TRY(step(s, 1, END_SAMPLE, false, &entry));
        s->tickets[(s->first_ahead + s->n_ahead++) % MAX_AHEAD] = s->last_ticket;
    }
    LP_TRY(s->backend->table->wait(s->backend, s->tickets[s->first_ahead % MAX_AHEAD]));
    int32_t bad; /* 1 + place of the first token from logits that are not finite */
    LP_TRY(s->backend->table->slot_read(s->backend, s->history, 4ull * (s->n_ctx + 1), &bad, 4));
    if (bad != 0 && (uint32_t)bad - 1 <= s->n_tokens)
        return not_finite(s);
    LP_TRY(s->backend->table->slot_read(s->backend, s->history, 4ull * s->n_tokens, token, 4));
    s->first_ahead++;
    s->n_ahead--;
    s->n_tokens++;
    s->n_draws++;
    return LP_OK;
}
