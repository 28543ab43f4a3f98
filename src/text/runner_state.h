/* The inside of a runner, for runner*.c only. */
#ifndef LP_TEXT_RUNNER_STATE_H
#define LP_TEXT_RUNNER_STATE_H

#include "text/runner.h"

#define LP_MAX_RUN_PROGRAMS 12
#define LP_MAX_AHEAD        8

/* What a program leaves: the logits of its last token, those of all of them, a drawn token. That of
 * the encoder (LP_END_SOURCE) leaves keys and values of the source text, or of neighbours;
 * LP_END_CONTEXT what that sees of chunks. Of a whole text, hidden states, and logits with them; of
 * a picture (LP_END_PICTURE) all that there is. */
typedef enum lp_run_end {
    LP_END_NOTHING,
    LP_END_LOGITS,
    LP_END_ALL_LOGITS,
    LP_END_SAMPLE,
    LP_END_SOURCE,
    LP_END_CONTEXT,
    LP_END_HIDDEN,
    LP_END_EVERYTHING,
    LP_END_PICTURE
} lp_run_end;

/* Which activations are there after the run: for a look at any node, or at one of a large batch. */
typedef enum lp_run_keep { LP_KEEP_NOTHING, LP_KEEP_ALL, LP_KEEP_NODE } lp_run_keep;

typedef struct lp_run_program {
    uint32_t n_tokens, kv_max;
    lp_run_end end;
    lp_run_keep keep;
    uint32_t node; /* LP_KEEP_NODE: that is looked at; otherwise LP_NONE */
    lp_graph *graph;
    lp_program *program;
    uint64_t used; /* clock of the latest use */
} lp_run_program;

struct lp_runner {
    lp_context *ctx;
    const lp_network *network;
    lp_backend *backend;
    lp_runner_programs how;
    lp_store store;
    uint32_t n_ctx, n_batch;
    lp_dtype cache_type;
    uint32_t history, cursor, sampler;      /* slots */
    uint32_t source;                        /* of an encoder-decoder */
    bool source_new;                        /* the encoder has not read it yet */
    uint32_t neighbours, neighbour_lengths; /* slots, of a model with retrieval */
    int32_t *lengths; /* of all chunks' neighbours, as the device has them; NULL: no retrieval */

    uint32_t n_tokens; /* known to the caller */
    uint32_t n_cached; /* the device's cursor, once everything submitted is done */
    uint32_t n_ahead;  /* tokens drawn or being drawn that the caller has not asked for */
    uint32_t n_draws;  /* of the tokens known to the caller, since lp_runner_sampling() */
    uint64_t tickets[LP_MAX_AHEAD]; /* of draw i: tickets[i % LP_MAX_AHEAD] */
    uint32_t first_ahead;
    uint64_t last_ticket, clock;
    uint64_t edits; /* changes of the tokens from outside */

    lp_run_program programs[LP_MAX_RUN_PROGRAMS];
    uint32_t n_programs;
    lp_guard guard;
};

static inline uint32_t lp_min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* ---- runner_programs.c */

lp_status lp_runner_graph(lp_runner *s, uint32_t n_tokens, uint32_t kv_max, lp_run_end end,
                          lp_graph **graph);

void lp_runner_drop_program(lp_runner *s, uint32_t i);

/* The program over n_tokens that sees `keys` keys, made if there is none yet. */
lp_status lp_runner_program(lp_runner *s, uint32_t n_tokens, uint32_t keys, lp_run_end end,
                            lp_run_keep keep, lp_run_program **found);

/* ---- runner.c */

/* Context, batch and cache as the options and the model have them. */
lp_status lp_runner_sizes(lp_runner *s, const lp_session_options *options);
/* A graph that names every weight and state, and so fills the store: its tokens, and its end. */
uint32_t lp_runner_first(const lp_runner *s, lp_run_end *end);

/* Waits for what is in flight and sets the device's cursor to the caller's view of things. */
lp_status lp_runner_settle(lp_runner *s, uint32_t n_cached);

lp_status lp_runner_check_tokens(const lp_runner *s, const int32_t *tokens, size_t n);

/* Of models in which all tokens see the text up to where the answer begins: finds that place among
 * the n_tokens, and drops cache rows that were made for another; those of a part of that beginning
 * always. adopted: the rows are from elsewhere, and made for these tokens. */
lp_status lp_runner_find_prefix(lp_runner *s, bool adopted);
/* Waits for the latest evaluation, which was one of `rows` tokens with all their logits, and reads
 * them: [rows, V]. */
lp_status lp_runner_read_rows(lp_runner *s, const lp_run_program *entry, uint32_t rows,
                              float *logits);

/* The encoder reads the source text, all at once: its tokens see each other. */
lp_status lp_runner_encode(lp_runner *s, bool look);

/* Runs the encoder again to see whether it leaves NaN or infinity behind, in what the decoder reads
 * of it, too: *found, and LP_E_DEVICE with the node. The cursor is at 0 afterwards. */
lp_status lp_runner_source_finite(lp_runner *s, bool *found);

/* Tokens [n_cached, to), at least one, that stand in the history; the last piece ends with `end`.
 * look: at one piece, or at all if the guard looks at everything. */
lp_status lp_runner_evaluate(lp_runner *s, uint32_t to, lp_run_end end, bool look,
                             lp_run_program **last);

/* The logits after the latest token are not finite. Fails with LP_E_DEVICE and the name of the node
 * where that began, perhaps at an earlier token, from which keys and values are computed anew when
 * the session goes on. */
lp_status lp_runner_not_finite(lp_runner *s);

/* ---- runner_retrieval.c */

/* No chunk has neighbours. */
lp_status lp_runner_open_retrieval(lp_runner *s);

bool lp_runner_has_neighbours(const lp_runner *s);

/* Before the next n tokens: what those see for which they complete chunks that have neighbours. */
lp_status lp_runner_retrieve(lp_runner *s, uint32_t n);

#endif
