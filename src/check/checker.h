/* The check's own state, shared by check.c (passes of texts), verdict.c, pictures.c (passes of
 * models that make pictures), pass.c (one pass), trials.c (what makes a bad node right) and judge.c
 * (is this node right?).
 *
 * The chain is the CPU reference walking a graph node by node. Every node's inputs come from it, so
 * neither device's activations are ever all in memory twice. */
#ifndef LP_CHECK_CHECKER_H
#define LP_CHECK_CHECKER_H

#include "base/arena.h"
#include "check/drift.h"
#include "check/quirks.h"
#include "check/step.h"
#include "lapilli/check.h"
#include "models/network.h"

typedef struct lp_checker lp_checker;

/* What the next pass is about: how its graph is made in the checker's store, and the inputs of it
 * that are no slots. */
typedef struct lp_subject {
    lp_status (*graph)(lp_checker *c, uint32_t n_tokens, bool no_fusion, lp_graph **graph);
    const void *user;
    lp_graph_input inputs[3];
    uint32_t n_inputs;
} lp_subject;
lp_status lp_network_subject_graph(lp_checker *c, uint32_t n_tokens, bool no_fusion,
                                   lp_graph **graph);

struct lp_checker {
    lp_context *ctx;
    lp_subject subject;
    const lp_network *network; /* NULL: the passes are of no text model */
    const lp_check_options *options;
    lp_arena *arena; /* the report's */
    lp_report *report;
    lp_backend *chain, *device;
    lp_backend *against;  /* the chain itself, or another device */
    lp_quirks quirks;     /* what the device's programs respect from the start */
    lp_plan_options plan; /* the same as plan options, and the planted fault */
    lp_store store;
    uint32_t int8_types; /* see lp_backend; of all devices that take part */
    bool rounds;         /* a layer of the model has weights of these */
    uint32_t n_ctx;
    uint32_t cursor, history, sampler; /* slots; LP_NONE: there are none */
    uint32_t position;                 /* tokens in the caches */
    lp_network_part part;              /* that the next pass is about */
    uint32_t n_source;     /* of an encoder-decoder: the prompt, which its encoder reads; 0: none */
    lp_prefix prefix;      /* what all tokens see, of models that have such a thing */
    int32_t start;         /* and what its decoder then starts with */
    const float *patches;  /* of the picture that a model sees; NULL: none */
    uint64_t done, total;  /* for progress */
    bool lost;             /* the device cannot go on */
    bool any_bad;          /* in an earlier pass: the device's caches are spoiled */
    bool other_choice;     /* in an earlier pass a router chose other experts */
    const char *only_text; /* the name of the only pass, of encoders whose texts are all of one
                              length; NULL: other lengths follow */
    uint32_t n_trial_runs; /* how often a trial runs: often, after a flaky finding */
    bool tried_node, tried_plan, tried_unfused;
    /* What trials found: the smallest change that makes the first bad node right. */
    bool has_workaround;
    lp_quirks workaround;
};

/* ---- judge.c ------------------------------------------------------------------------------- */

/* What a node should have computed. */
typedef struct lp_expected {
    lp_outputs outputs;
    float *sigma[LP_MAX_DST]; /* [n_outputs], NULL: exact */
} lp_expected;
void lp_expected_free(lp_expected *expected);
/* sigma of the outputs that the reference's ops do not fill: sums of a norm, and room for dst[0].
 */
lp_status lp_expected_sigma(lp_context *ctx, const lp_step *step, lp_expected *expected);
void lp_expected_sums(const lp_step *step, lp_expected *expected);

/* The output that differs most; *dst says which. Only the first n[d] elements are looked at. */
lp_difference lp_judge(const lp_step *step, const lp_expected *expected, const lp_outputs *got,
                       const uint64_t n[LP_MAX_DST], int *dst);
lp_finding lp_judge_finding(const lp_difference *difference, const lp_step_result *result);
/* Which elements of output `dst` are beyond the bound, for people: how many, in which rows and
 * columns. In the report's arena; NULL when out of memory. */
const char *lp_judge_pattern(lp_arena *arena, const lp_step *step, int dst,
                             const lp_expected *expected, const lp_outputs *got);
/* A picture of output `dst` with up to `most` columns, in the report's arena; NULL when out of
 * memory. */
lp_check_map *lp_judge_map(lp_arena *arena, const lp_step *step, int dst, uint32_t most,
                           const lp_expected *expected, const lp_outputs *got);

/* ---- pass.c -------------------------------------------------------------------------------- */

/* What a run of the subject's graph starts from. */
lp_drift_start lp_checker_start(const lp_checker *c, const int32_t cursor[LP_CURSOR_WORDS]);
/* Per slot of the store: rows that a device computed by itself, NULL: it is no cache. */
typedef struct lp_caches {
    uint8_t **own;
    uint32_t n;
} lp_caches;
void lp_caches_free(lp_caches *k);
/* Rows of the caches that a pass over the graph reads or writes, as far as a cache has them. */
uint64_t lp_caches_rows(const lp_checker *c, const lp_graph *graph);
/* Keeps the first n rows of the backend's caches aside and puts the chain's there; and the reverse.
 */
lp_status lp_caches_lend(lp_checker *c, lp_backend *backend, uint64_t n_rows, lp_caches *k);
lp_status lp_caches_return(lp_checker *c, lp_backend *backend, uint64_t n_rows, lp_caches *k);
/* Cursor and history as the chain has them. */
lp_status lp_caches_follow(lp_checker *c, lp_backend *backend);

/* Evaluates the next n tokens of the history on the chain and checks every node; position moves on.
 * `pass` has its name. */
lp_status lp_checker_pass(lp_checker *c, uint32_t n_tokens, lp_check_pass *pass);
/* Walks the unfused graph of the same tokens from the same state, isolated only. The chain's state
 * is put back. *n_bad: bad nodes. */
lp_status lp_checker_walk_unfused(lp_checker *c, uint32_t n_tokens, uint32_t *n_bad,
                                  uint32_t *n_nodes);

/* ---- trials.c ------------------------------------------------------------------------------ */

/* Of the check's first bad node: tries what makes it right, and adds that to the report. */
lp_status lp_checker_try(lp_checker *c, const lp_step *step, const lp_expected *expected,
                         const lp_step_result *result, lp_finding finding);
/* The same of the first plan that is wrong as a whole. */
lp_status lp_checker_try_plan(lp_checker *c, const lp_graph *graph,
                              const int32_t cursor[LP_CURSOR_WORDS], lp_finding finding);
/* At the end of the first bad pass. */
lp_status lp_checker_try_unfused(lp_checker *c, uint32_t n_tokens);
/* A row in the report. */
lp_status lp_checker_trial(lp_checker *c, lp_trial_outcome outcome, const char *detail,
                           const char *format, ...) LP_PRINTF(4, 5);

/* ---- check.c ------------------------------------------------------------------------------- */

/* Runs the passes of a text model. All three backends were just created; the caller destroys them
 * after the report is made. `report` has its strings about devices and model. */
lp_status lp_checker_run(lp_checker *c);
/* Room for so many more passes. */
lp_status lp_checker_reserve(lp_checker *c, size_t n);
/* lp_checker_pass() as the report's next pass. */
lp_status lp_checker_named_pass(lp_checker *c, uint32_t n_tokens, const char *name);
/* The store, filled by a graph, goes to all devices. */
lp_status lp_checker_load(lp_checker *c);
/* n steps of progress; LP_E_CANCELLED if asked to stop. */
lp_status lp_checker_progress(lp_checker *c, uint64_t n);

/* ---- verdict.c ----------------------------------------------------------------------------- */

/* The sentence, and whether the report agrees, from its passes. */
lp_status lp_checker_verdict(lp_checker *c);
/* That, and what else follows from the passes: trials that need none, the workaround. */
lp_status lp_checker_conclude(lp_checker *c);

#endif
