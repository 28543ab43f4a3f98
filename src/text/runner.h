/* A runner: one network on one device with its cache. It owns the history of tokens and keeps
 * several decode steps in flight; the device samples, so nothing waits for the host.
 *
 * Positions. `n_tokens` tokens are known to the caller. The device's cursor says how many of them
 * are in the K/V cache; the latest drawn token is not yet. Steps in flight run ahead of the caller:
 * what they draw is taken over by lp_runner_next(), or dropped by lp_runner_rewind().
 *
 * Numbers. When logits hold NaN or infinity, the call that would give them or a token drawn from
 * them fails with LP_E_DEVICE, and the message names the node where that began. The tokens so far
 * stay, and nothing is in flight: the caller may rewind and go on. The same when the guard
 * disagrees; it looks at one node of every evaluation of a prompt and of a share of the draws. */
#ifndef LP_TEXT_RUNNER_H
#define LP_TEXT_RUNNER_H

#include "check/guard.h"
#include "graph/backend.h"
#include "models/network.h"

typedef struct lp_runner lp_runner;

/* How a runner's programs are made. */
typedef struct lp_runner_programs {
    lp_plan_options plan;
    bool no_fusion;
    bool no_int8; /* whatever the device prefers (lp_backend.int8_types) */
    uint32_t batch; /* most tokens of a prompt at once, whatever the session asks for; 0: any */
} lp_runner_programs;

/* Tokens of context that a session has if it asks for n_ctx; 0: the model's own, at most 4096. */
uint32_t lp_runner_context(const lp_network *network, uint32_t n_ctx);

/* Keys that the attention of a recording covers when `keys` are in use: a power of two, or the
 * whole context. */
uint32_t lp_runner_bucket(uint32_t keys, uint32_t n_ctx);

/* Builds the graph, loads the weights. Takes over the backend, also when it fails. `network` must
 * outlive the runner. `programs` NULL: in the usual way. */
lp_status lp_runner_create(lp_context *ctx, const lp_network *network, lp_backend *backend,
                           const lp_session_options *options, const lp_runner_programs *programs,
                           lp_runner **runner);
void lp_runner_destroy(lp_runner *runner);

/* What a runner would take, but for staging, from plans alone; nothing is loaded. `caps` NULL: one on
 * the CPU. */
lp_status lp_runner_plan_memory(lp_context *ctx, const lp_network *network, const lp_caps *caps,
                                const lp_session_options *options,
                                const lp_runner_programs *programs, lp_footprint *plan);

uint32_t lp_runner_n_ctx(const lp_runner *runner);
uint32_t lp_runner_n_tokens(const lp_runner *runner);
/* Most tokens that are computed at once. */
uint32_t lp_runner_n_batch(const lp_runner *runner);
/* Tokens fed or drawn that are not in the cache yet, and those of a source text that was not read.
 */
uint32_t lp_runner_n_pending(const lp_runner *runner);

/* Appends tokens to the history; nothing is computed yet. LP_E_ARG for ids outside the vocabulary
 * (naming the first), LP_E_LIMIT when the context would overflow. */
lp_status lp_runner_feed(lp_runner *runner, const int32_t *tokens, size_t n);

/* The text that an encoder-decoder's encoder reads: forgets all tokens. It must be there before the
 * decoder is fed, and is computed with what that is fed. LP_E_UNSUPPORTED without an encoder,
 * LP_E_LIMIT when it is longer than the context. */
lp_status lp_runner_source(lp_runner *runner, const int32_t *tokens, size_t n);

/* The neighbours of a chunk of the text, for a model with retrieval: n of them, none longer than the
 * model takes, the tokens of one behind those of the other; instead of those that the chunk had. Tokens
 * from the chunk's last one on are computed again. LP_E_UNSUPPORTED without retrieval, LP_E_ARG for
 * more or longer ones, LP_E_LIMIT for a chunk that the context does not have. */
lp_status lp_runner_neighbours(lp_runner *runner, uint32_t chunk, const int32_t *tokens,
                               const uint32_t *lengths, uint32_t n);

/* Reads a whole text and forgets it, and all tokens before: `output` is "hidden" [n, N], the last
 * layer's results; "pooled" [N], where an encoder has a pooler; or "logits" [n, V].
 * LP_E_UNSUPPORTED where the model has none, LP_E_LIMIT when the text is longer than the context.
 */
lp_status lp_runner_view(lp_runner *runner, const int32_t *tokens, size_t n, const char *output,
                         float *values);

/* The same of a picture: `patches` are the rows that the slot of this name takes
 * (models/network.h); `output` is "logits" [1, V] of its labels, "pooled" or "hidden".
 * LP_E_UNSUPPORTED where the model reads no pictures, or has no such output. */
lp_status lp_runner_see(lp_runner *runner, const float *patches, const char *output, float *values);

/* Computes everything fed so far and waits for it. logits: [V] of the last token, or NULL. */
lp_status lp_runner_eval(lp_runner *runner, float *logits);

/* Appends tokens, and computes the log-probability in nats of each, given all that is before it:
 * scores[i] of tokens[i]. Logits are made a few rows at a time, whatever n is. The last token is
 * not evaluated yet. LP_E_ARG without a token before; otherwise as lp_runner_feed() and
 * lp_runner_eval() (of tokens behind one whose logits are not finite, none stays). */
lp_status lp_runner_score(lp_runner *runner, const int32_t *tokens, size_t n, double *scores);

/* How tokens are drawn from now on; restarts the random counter. */
lp_status lp_runner_sampling(lp_runner *runner, const lp_sampling *sampling);

/* The next token: computes what was fed, draws, and appends. At least one token must have been fed.
 * `wanted`: how many more tokens the caller may ask for, this one included (steps in flight never
 * go beyond). LP_E_LIMIT when the context is full. */
lp_status lp_runner_next(lp_runner *runner, uint32_t wanted, int32_t *token);

/* The same for a draw by the host: computes what was fed and gives the logits [V] of the next
 * token, and appends the one that the host has drawn from them. */
lp_status lp_runner_logits(lp_runner *runner, float *logits);
lp_status lp_runner_drawn(lp_runner *runner, int32_t token);
/* Logits [n + 1, V] of the next token and of those behind each of `guesses`, as if they had been
 * fed; then they are forgotten, but the caches still hold their rows: whoever feeds the same tokens
 * may adopt them. At most one token may be pending, and n + 1 must not exceed lp_runner_n_batch().
 * Logits may be anything: the caller looks. */
lp_status lp_runner_look_ahead(lp_runner *runner, const int32_t *guesses, uint32_t n,
                               float *logits);
/* Changes whenever tokens are fed, forgotten or adopted, by whomever. */
uint64_t lp_runner_edits(const lp_runner *runner);
/* Tokens drawn since lp_runner_sampling(): the random counter. */
uint32_t lp_runner_n_draws(const lp_runner *runner);
/* Tokens [first, first + n) of those known to the caller. */
lp_status lp_runner_tokens(lp_runner *runner, uint32_t first, uint32_t n, int32_t *tokens);

/* Forgets all tokens after the first n (n <= n_tokens), and what is in flight. */
lp_status lp_runner_rewind(lp_runner *runner, uint32_t n);

/* Forgets tokens [first, first + n). Those behind are fed again: they are computed anew, at their
 * new positions and without what the forgotten ones told them, so that the runner is as if it had
 * never seen those. */
lp_status lp_runner_forget(lp_runner *runner, uint32_t first, uint32_t n);

/* The caches hold the rows of the first n tokens (n <= n_tokens): their owner has written them. */
lp_status lp_runner_adopt(lp_runner *runner, uint32_t n);

/* Drops all recorded programs; they are made again when they are needed. */
lp_status lp_runner_trim(lp_runner *runner);

/* Bytes: weights, states (K/V cache), activations, staging. */
void lp_runner_memory(const lp_runner *runner, uint64_t bytes[4]);
lp_backend *lp_runner_backend(lp_runner *runner);
lp_store *lp_runner_store(lp_runner *runner);
const lp_network *lp_runner_network(const lp_runner *runner);
const lp_guard *lp_runner_guard(const lp_runner *runner);

#endif
