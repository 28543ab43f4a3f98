/* One walk through a network that adds its nodes to a graph: what its parts share. The parts are
 * walk_positions.c, walk_attention.c, walk_retrieval.c and walk_feed_forward.c; transformer.c puts
 * them together.
 *
 * Shapes: T tokens, N embedding, H heads of Dk (keys) and Dv (values), G key/value heads, F hidden
 * features of the feed-forward part, V vocabulary, C context. Activations are f32. */
#ifndef LP_MODELS_WALK_H
#define LP_MODELS_WALK_H

#include "models/transformer.h"

typedef struct lp_walk {
    lp_builder *b;
    const lp_network *model;
    const lp_hparams *hp;
    const lp_network_options *options; /* n_ctx: rows of the caches of its own */
    int32_t n_ctx;                     /* the session's */
    uint32_t layer;
    const char *part; /* "enc.", "dec." where a model has both, or "" */
    char block[24];   /* "blk.3." or "", with the part before it: put before the names of weights */
    lp_tensor_id cursor, history, sampler;
    lp_tensor_id bias;   /* by distance: slopes of ALiBi, relative positions, or LP_NONE */
    lp_tensor_id growth; /* factors of queries as routes [T, 1, 2], or LP_NONE */
    lp_rope_angles angles, angles_window; /* of layers that see everything, and of the others */
    lp_tensor_id reverse; /* of a recurrent encoder that reads from both ends: its states [T, N] on
                             the way from the last token to the first */
    lp_tensor_id lengths; /* of neighbours, where there is retrieval */
    bool of_neighbours;   /* its texts are neighbours, side by side */
    bool looked;          /* a layer has looked at neighbours */
} lp_walk;

/* Which rows of a block's result are wanted. The cache is always filled with all T. */
typedef enum lp_walk_rows { LP_ROWS_NONE, LP_ROWS_LAST, LP_ROWS_ALL } lp_walk_rows;

/* Whether the file has this layer's `name` with the suffix: where models differ from layer to
 * layer, or from file to file, that decides. */
bool lp_walk_has(const lp_walk *w, const char *name, const char *suffix);

bool lp_walk_has_weight(const lp_walk *w, const char *name);

/* What weight `name` made of x, with what adapters add to it. */
lp_tensor_id lp_walk_adapted(lp_walk *w, const char *name, lp_tensor_id x, lp_tensor_id y);

/* x [T, n_in] -> [T, n_out]; the bias is optional, adapters add to the result. */
lp_tensor_id lp_walk_linear(lp_walk *w, const char *name, lp_tensor_id x, int64_t n_out,
                            int64_t n_in);

/* x [T heads, n] -> the same with the weights `name`; a layer norm may lack the bias. A gain of two
 * dimensions is one per head. */
lp_tensor_id lp_walk_norm_of(lp_walk *w, const char *name, lp_tensor_id x, int64_t n);

/* x [T, N], normed if the model has `which` of LP_NORMS_. */
lp_tensor_id lp_walk_norm(lp_walk *w, unsigned which, const char *name, lp_tensor_id x);

/* Weights and nodes are those of the part's block `layer` from here on; of the whole part where it
 * is negative. */
void lp_walk_enter(lp_walk *w, int64_t layer);

/* x [T, N] -> [T, N], or [1, N] if only the last row is wanted. */
lp_tensor_id lp_walk_wanted_rows(lp_walk *w, lp_tensor_id x, lp_walk_rows rows);

bool lp_walk_has_window(const lp_walk *w);

/* ---- positions */

/* Vaswani et al. 2017, section 3.5, [C, N]: a sine and its cosine in turn, or as Marian has it, all
 * sines, then all cosines. */
lp_tensor_id lp_walk_sinusoids(lp_walk *w);

/* What the layers' attention needs to know of positions. */
void lp_walk_positions(lp_walk *w);

/* ---- pictures (walk_picture.c) */

/* What the first block reads of the picture whose patches lie in the slot "patches": [T, N]. */
lp_tensor_id lp_walk_picture(lp_walk *w);

/* ---- attention */

/* Normed x [T, N] -> [T, N] or [1, N]; LP_NONE if only the cache was to be filled. */
lp_tensor_id lp_walk_attention(lp_walk *w, lp_tensor_id x, lp_walk_rows rows);

/* Of the encoder's result x [T, N]: what the layer's attention to the source will read. */
void lp_walk_cache_source(lp_walk *w, lp_tensor_id x);

/* Normed x [T, N] -> [T, N]: attention to the source text, all of it and without positions. */
lp_tensor_id lp_walk_cross_attention(lp_walk *w, lp_tensor_id x);

/* ---- recurrent layers */

/* x [T, K], K = N but in the first layer, through a layer of an LSTM or a GRU: [T, N]. A decoder's
 * begins with the state in which the encoder's has left the source text. */
lp_tensor_id lp_walk_recurrent(lp_walk *w, lp_tensor_id x, lp_walk_rows rows);

/* The same of gated units (Bahdanau et al. 2015, arXiv:1409.0473): an encoder's from both ends, a
 * decoder's with what it puts words out of, [T, n_maxout]. */
lp_tensor_id lp_walk_gated(lp_walk *w, lp_tensor_id x, lp_walk_rows rows);

/* Of the encoder's result x [T, N]: what the decoder's attention to the source will read. */
void lp_walk_cache_annotations(lp_walk *w, lp_tensor_id x);
void lp_walk_cache_gated(lp_walk *w, lp_tensor_id x);

/* x [T, N], the last layer's: tanh(W_c [c; x]) [T, N], where c is what one head of attention to the
 * source, whose scores are products, makes of it. */
lp_tensor_id lp_walk_attentional(lp_walk *w, lp_tensor_id x);

/* ---- retrieval: models with hp->retrieval */

/* Whether the block has cross-attention. */
bool lp_walk_retrieves(const lp_walk *w);

/* x [T, N] -> [T, N]: with what it finds in its block of neighbours, or in its chunk. */
lp_tensor_id lp_walk_retrieve(lp_walk *w, lp_tensor_id x);

/* A walk through the encoder, which reads neighbours. */
typedef struct lp_walk_neighbours {
    lp_hparams hp;
    lp_network_options options;
    lp_walk walk;
} lp_walk_neighbours;
void lp_walk_of_neighbours(const lp_walk *w, lp_walk_neighbours *to);

/* Of x [T, N]: what the encoder will read of chunks. */
void lp_walk_cache_context(lp_walk *w, lp_tensor_id x);

/* Of the encoder's result x [T, n_embd]: what the decoder's block will read of it, if it does. */
void lp_walk_cache_neighbours(lp_walk *w, lp_tensor_id x, int64_t n_embd);

/* ---- the feed-forward part */

/* Normed x [T, N] -> [T, N]. */
lp_tensor_id lp_walk_feed_forward(lp_walk *w, lp_tensor_id x);

#endif
