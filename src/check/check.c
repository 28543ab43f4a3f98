/* The check of a text model: which tokens are evaluated in which pieces. See checker.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/checker.h"
#include "text/runner.h"

/* After the prompt: decode steps, then every batch for which kernels have special cases. */
static const uint32_t sweep[] = {1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 64};
/* Of a prompt: all activations of a piece are kept, on the device and on the host. */
enum { N_SWEEP = sizeof sweep / sizeof *sweep, PIECE = 128 };

lp_status lp_checker_progress(lp_checker *c, uint64_t n)
{
    const lp_check_options *o = c->options;
    c->done += n < c->total - c->done ? n : c->total - c->done;
    if (o->progress != NULL && o->progress(o->progress_user, c->done, c->total) != 0)
        return lp_fail(c->ctx, LP_E_CANCELLED, "the check was interrupted");
    return LP_OK;
}

lp_status lp_checker_reserve(lp_checker *c, size_t n)
{
    lp_report *r = c->report;
    lp_check_pass *passes = lp_arena_array(c->arena, r->n_passes + n + 1, sizeof *passes);
    if (passes == NULL)
        return lp_fail_memory(c->ctx, "a report");
    if (r->n_passes > 0)
        memcpy(passes, r->passes, r->n_passes * sizeof *passes);
    r->passes = passes;
    return LP_OK;
}

lp_status lp_checker_named_pass(lp_checker *c, uint32_t n_tokens, const char *name)
{
    lp_check_pass *p = &c->report->passes[c->report->n_passes];
    p->name = lp_arena_strdup(c->arena, name);
    if (p->name == NULL)
        return lp_fail_memory(c->ctx, "a report");
    c->report->n_passes++; /* a pass that breaks off is in the report as far as it came */
    return lp_checker_pass(c, n_tokens, p);
}

/* ---- Set-up -------------------------------------------------------------------------------- */

static lp_status write_all(lp_checker *c, uint32_t slot, uint64_t offset, const void *from,
                           uint64_t bytes)
{
    lp_backend *const backends[] = {c->chain, c->device, c->against};
    for (int i = 0; i < 3; i++)
        LP_TRY(backends[i]->table->slot_write(backends[i], slot, offset, from, bytes));
    return LP_OK;
}

lp_status lp_checker_load(lp_checker *c)
{
    LP_TRY(c->chain->table->load(c->chain, &c->store, NULL, NULL));
    LP_TRY(c->device->table->load(c->device, &c->store, NULL, NULL));
    if (c->against == c->chain)
        return LP_OK;
    return c->against->table->load(c->against, &c->store, NULL, NULL);
}

/* Any graph names every weight and state, and so fills the store. */
static lp_status load(lp_checker *c, uint32_t *n_nodes)
{
    lp_graph *first = NULL;
    LP_TRY(c->subject.graph(c, 1, c->quirks.no_fusion, &first));
    *n_nodes = first->n_nodes;
    lp_graph_destroy(first);
    c->cursor = lp_store_find(&c->store, "cursor");
    c->history = lp_store_find(&c->store, "history");
    c->sampler = lp_store_find(&c->store, "sampler");
    LP_TRY(lp_checker_load(c));
    uint32_t words[LP_SAMPLER_WORDS] = {0}; /* greedy */
    const float one = 1;
    memcpy(&words[LP_SAMPLER_TOP_P], &one, 4);
    memcpy(&words[LP_SAMPLER_PENALTY], &one, 4);
    LP_TRY(write_all(c, c->sampler, 0, words, sizeof words));
    const int32_t cursor[LP_CURSOR_WORDS] = {[LP_CURSOR_SOURCE] =
                                                 (int32_t)(c->n_source + c->prefix.n),
                                             [LP_CURSOR_BLANK] = (int32_t)c->prefix.blank};
    LP_TRY(write_all(c, c->cursor, 0, cursor, sizeof cursor));
    if (c->options->n_tokens == 0) /* a picture only */
        return LP_OK;
    if (c->n_source == 0)
        return write_all(c, c->history, 0, c->options->tokens, 4 * c->options->n_tokens);
    LP_TRY(write_all(c, c->history, 0, &c->start, 4));
    return write_all(c, lp_store_find(&c->store, "source"), 0, c->options->tokens,
                     4 * c->options->n_tokens);
}

/* Tokens that stand for a text: any ids will do, but always the same ones. The first is what the
 * chain drew. */
static lp_status make_text(lp_checker *c, uint32_t n)
{
    uint64_t state = 0x9e3779b97f4a7c15u + c->position;
    for (uint32_t i = 1; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX generator */
        const int32_t token = (int32_t)((state >> 33) % c->network->hparams.n_vocab);
        LP_TRY(
            c->chain->table->slot_write(c->chain, c->history, 4ull * (c->position + i), &token, 4));
    }
    return LP_OK;
}

static lp_status pass(lp_checker *c, uint32_t n_tokens, const char *format)
{
    char name[32];
    snprintf(name, sizeof name, format, n_tokens);
    return lp_checker_named_pass(c, n_tokens, name);
}

static lp_status picture_pass(lp_checker *c)
{
    const int32_t cursor[LP_CURSOR_WORDS] = {0};
    lp_hparams vision;
    lp_hparams_of_vision(&c->network->hparams, &vision);
    const uint32_t slot = lp_store_find(&c->store, "patches");
    const lp_network_part texts = c->part;
    c->part = LP_PART_PICTURE;
    LP_TRY(write_all(c, c->cursor, 0, cursor, sizeof cursor));
    LP_TRY(write_all(c, slot, 0, c->patches,
                     4 * (uint64_t)vision.n_context * lp_picture_row(&vision.picture)));
    LP_TRY(pass(c, vision.n_context, "picture"));
    c->part = texts;
    return LP_OK;
}

/* An encoder has no cache: each pass is a text of its own, from position 0 on, or a picture. */
static lp_status run_texts(lp_checker *c, uint32_t n_nodes)
{
    const int32_t cursor[LP_CURSOR_WORDS] = {0};
    const uint32_t n_sweep = c->only_text != NULL ? 0 : c->options->quick ? 1 : N_SWEEP;
    const uint32_t n_texts = c->options->n_tokens > 0 ? 1 + n_sweep : 0;
    LP_TRY(lp_checker_reserve(c, 1 + n_texts));
    c->total += (uint64_t)(n_texts + (c->patches != NULL)) * n_nodes;
    if (c->patches != NULL)
        LP_TRY(picture_pass(c));
    for (uint32_t i = 0; i < n_texts; i++) {
        const uint32_t n = i == 0 ? (uint32_t)c->options->n_tokens : sweep[i - 1];
        if (n > c->n_ctx || (i > 1 && n == sweep[i - 2]))
            continue;
        c->position = 0;
        LP_TRY(write_all(c, c->cursor, 0, cursor, sizeof cursor));
        if (i > 0)
            LP_TRY(make_text(c, n));
        if (i > 0)
            LP_TRY(pass(c, n, n == 1 ? "one token" : "%u tokens"));
        else
            LP_TRY(pass(c, n, c->only_text != NULL ? c->only_text : "prompt"));
    }
    return LP_OK;
}

/* The encoder, over the whole prompt. */
static lp_status encoder_pass(lp_checker *c)
{
    c->part = LP_PART_ENCODER;
    LP_TRY(pass(c, c->n_source, "source"));
    c->part = LP_PART_DECODER;
    c->position = 0;
    return LP_OK;
}

/* Every chunk has as many neighbours as there may be: some shorter, one of them missing. */
static lp_status make_neighbours(lp_checker *c)
{
    const lp_hparams *hp = &c->network->hparams;
    const lp_retrieval_hparams *of = &hp->retrieval;
    const uint32_t n = of->chunk > 0 ? lp_retrieval_chunks(hp, c->n_ctx) * of->n_neighbours : 0;
    const uint32_t tokens = lp_store_find(&c->store, "neighbours");
    const uint32_t lengths = lp_store_find(&c->store, "neighbour_lengths");
    uint64_t state = 0x9e3779b97f4a7c15u;
    lp_status status = LP_OK;
    int32_t *text = n > 0 ? malloc(of->length * sizeof *text) : NULL;
    if (n > 0 && text == NULL)
        return lp_fail_memory(c->ctx, "neighbours");
    for (uint32_t i = 0; i < n && status == LP_OK; i++) {
        const int32_t length = (int32_t)(i == 2 ? 0 : of->length - i % 3 * (of->length / 4));
        for (uint32_t t = 0; t < of->length; t++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            text[t] = (int32_t)((state >> 33) % hp->n_vocab);
        }
        status = write_all(c, lengths, 4ull * i, &length, 4);
        if (status == LP_OK)
            status = write_all(c, tokens, 4ull * i * of->length, text, 4ull * of->length);
    }
    free(text);
    return status;
}

static lp_status set_position(lp_checker *c, uint32_t position)
{
    const int32_t word = (int32_t)position;
    c->position = position;
    return c->chain->table->slot_write(c->chain, c->cursor, 4 * LP_CURSOR_POSITION, &word, 4);
}

/* Before n tokens that complete chunks: what the neighbours of these need. */
static lp_status retrieval_passes(lp_checker *c, uint32_t n)
{
    const lp_retrieval_hparams *of = &c->network->hparams.retrieval;
    const uint32_t position = c->position, rows = of->n_neighbours * of->length;
    const uint32_t first = of->chunk > 0 ? position / of->chunk : 0;
    const uint32_t end = of->chunk > 0 ? (position + n) / of->chunk : 0;
    if (first == end)
        return LP_OK;
    c->part = LP_PART_CONTEXT;
    LP_TRY(pass(c, n, "%u tokens, chunks"));
    c->part = LP_PART_ENCODER;
    LP_TRY(set_position(c, first * rows));
    LP_TRY(pass(c, (end - first) * rows, "%u of neighbours"));
    c->part = LP_PART_DECODER;
    return set_position(c, position);
}

static lp_status run_passes(lp_checker *c, uint32_t n_nodes)
{
    if (c->network->hparams.both_ways)
        return run_texts(c, n_nodes);
    const uint32_t n_prompt = c->n_source > 0 ? 1 : (uint32_t)c->options->n_tokens;
    const uint32_t most = c->quirks.batch != 0 && c->quirks.batch < PIECE ? c->quirks.batch : PIECE;
    const uint32_t n_pieces = (n_prompt + most - 1) / most;
    const uint32_t n_sweep = c->options->quick ? 1 : N_SWEEP;
    const uint32_t each = c->network->hparams.retrieval.chunk > 0 ? 3 : 1; /* at most */
    LP_TRY(lp_checker_reserve(c, each * (n_pieces + n_sweep)));
    c->total = (uint64_t)(n_pieces + n_sweep + (c->n_source > 0)) * n_nodes;
    LP_TRY(make_neighbours(c));
    if (c->n_source > 0)
        LP_TRY(encoder_pass(c));
    while (c->position < n_prompt) {
        uint32_t left = n_prompt - c->position, n = left < most ? left : most;
        if (c->position == 0 && n < c->prefix.n)
            n = c->prefix.n;
        LP_TRY(retrieval_passes(c, n));
        LP_TRY(pass(c, n, "prompt"));
    }
    for (uint32_t i = 0; i < n_sweep; i++) {
        if (c->position + sweep[i] > c->n_ctx || sweep[i] > most)
            continue;
        LP_TRY(make_text(c, sweep[i]));
        LP_TRY(retrieval_passes(c, sweep[i]));
        LP_TRY(pass(c, sweep[i], sweep[i] == 1 ? "decode" : "%u tokens"));
    }
    return LP_OK;
}

lp_status lp_checker_run(lp_checker *c)
{
    const lp_check_options *o = c->options;
    uint32_t n_nodes = 0;
    c->subject = (lp_subject){.graph = lp_network_subject_graph};
    c->n_ctx = lp_runner_context(c->network, o->n_ctx);
    if (!lp_hparams_reads_texts(&c->network->hparams))
        c->part = LP_PART_PICTURE;
    if (c->part == LP_PART_PICTURE && (o->n_tokens > 0 || c->patches == NULL))
        return lp_fail(c->ctx, LP_E_ARG,
                       "%s: %s models read pictures and no texts: a check needs one",
                       c->network->path, c->network->hparams.arch->hf);
    if (o->n_tokens == 0 && c->patches == NULL)
        return lp_fail(c->ctx, LP_E_ARG, "a check needs a prompt of at least one token");
    if (o->n_tokens + !c->network->hparams.both_ways > c->n_ctx) /* there is room for one more */
        return lp_fail(c->ctx, LP_E_LIMIT, "the prompt has %zu tokens, the context %u", o->n_tokens,
                       c->n_ctx);
    for (size_t i = 0; i < o->n_tokens; i++)
        if (o->tokens[i] < 0 || (uint32_t)o->tokens[i] >= c->network->hparams.n_vocab)
            return lp_fail(c->ctx, LP_E_ARG, "token %zu is %d; the vocabulary has %u", i,
                           (int)o->tokens[i], c->network->hparams.n_vocab);
    const lp_hparams *hp = &c->network->hparams;
    const bool reads_source = hp->encoder.n_layer > 0 && hp->retrieval.chunk == 0;
    c->n_source = reads_source ? (uint32_t)o->n_tokens : 0;
    if (hp->prefix.used)
        c->prefix = lp_network_prefix_or_all(c->ctx, c->network, o->tokens, o->n_tokens);
    LP_TRY(load(c, &n_nodes));
    return run_passes(c, n_nodes);
}
