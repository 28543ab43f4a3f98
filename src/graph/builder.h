/* Builds graphs. Every call checks shapes and types on the spot and names the layer in the error.
 * After the first failure further calls do nothing and return LP_NONE; the caller checks once, in
 * lp_builder_finish(). */
#ifndef LP_GRAPH_BUILDER_H
#define LP_GRAPH_BUILDER_H

#include "graph/graph.h"
#include "tensor/weights.h"

typedef struct lp_builder {
    lp_context *ctx;
    lp_graph *graph;
    lp_store *store;
    const lp_weights *weights;
    uint32_t int8_types; /* bits 1 << lp_dtype: layers with such weights round x (ops/int8.h) */
    bool sketch; /* weights without a shape get the one that is asked for */
    lp_status status;
    char prefix[128];
} lp_builder;

lp_status lp_builder_start(lp_builder *b, lp_context *ctx, lp_store *store,
                           const lp_weights *weights, int32_t n_tokens);
/* The graph, fused (fuse.h) unless `no_fusion`, or the first failure, in which case nothing is left
 * to destroy. */
lp_status lp_builder_finish(lp_builder *b, bool no_fusion, lp_graph **graph);

/* Weight by name. Its shape must be `shape`; a missing weight is LP_E_MISSING. */
lp_tensor_id lp_weight_tensor(lp_builder *b, lp_shape shape, const char *format, ...)
    LP_PRINTF(3, 4);
/* The same, but a missing weight gives LP_NONE without failing. */
lp_tensor_id lp_weight_optional(lp_builder *b, lp_shape shape, const char *format, ...)
    LP_PRINTF(3, 4);
/* A weight that is not in the builder's table; its name must be that of no other slot. */
lp_tensor_id lp_weight_given(lp_builder *b, const lp_weight *weight, lp_shape shape);
/* A weight [E, N] whose rows are used as vectors, like the biases of E experts: f32 on every
 * device, as vectors are. */
lp_tensor_id lp_weight_vectors(lp_builder *b, lp_shape shape, const char *format, ...)
    LP_PRINTF(3, 4);
/* State that persists between runs. */
lp_tensor_id lp_state_tensor(lp_builder *b, lp_slot_kind kind, lp_dtype dtype, lp_shape shape,
                             const char *format, ...) LP_PRINTF(5, 6);
/* Numbers that the program makes, `shape` f32, copied; a table of this name that is there already
 * is taken as it is. */
lp_tensor_id lp_table_tensor(lp_builder *b, const char *name, lp_shape shape, const float *values);
/* The same as a weight: for lp_embed(), whose table is one. */
lp_tensor_id lp_made_weight(lp_builder *b, const char *name, lp_shape shape, const float *values);
/* Angles of a rotary embedding. */
typedef struct lp_rope_angles {
    lp_tensor_id table;
    int32_t n_rotated;
    const double *frequencies;
    float scale;
    bool two_axes; /* false, unless the caller sets it */
    lp_rope_place place;
} lp_rope_angles;
/* cos/sin table for lp_rope, [256 + ceil(n_ctx / 256), n / 2, 2] f32: row a < 256 holds the angles
 * of position a, row 256 + b those of position 256 b, so that any position is one complex product
 * and no shader needs a sine. frequencies: [n / 2] radians per position; copied. `scale` multiplies
 * what is turned; the rows below 256 hold it. */
lp_rope_angles lp_rope_table(lp_builder *b, const char *name, const double *frequencies, int32_t n,
                             int32_t n_ctx, float scale);

/* Names the nodes that follow: prefix ("blk.3.") is put before their names. */
void lp_builder_prefix(lp_builder *b, const char *format, ...) LP_PRINTF(2, 3);

lp_tensor_id lp_embed(lp_builder *b, const char *name, lp_tensor_id table, lp_tensor_id cursor,
                      lp_tensor_id history, float scale);
/* Rows first + position + t of a table of positions. */
lp_tensor_id lp_embed_positions(lp_builder *b, const char *name, lp_tensor_id table,
                                lp_tensor_id cursor, int32_t first);
lp_tensor_id lp_norm(lp_builder *b, const char *name, lp_norm_kind kind, float eps, lp_tensor_id x,
                     lp_tensor_id gain, lp_tensor_id bias);
lp_tensor_id lp_linear(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id w,
                       lp_tensor_id bias);
/* x [H W, C], w [O, lp_conv2d_row()]: rows of taps, then channels, whose number is rounded up to 4 with
 * zeros. */
lp_tensor_id lp_conv2d(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id w,
                       lp_tensor_id bias, lp_conv2d_options options);
lp_tensor_id lp_group_norm(lp_builder *b, const char *name, int32_t n_groups, float eps,
                           lp_tensor_id x, lp_tensor_id gain, lp_tensor_id bias);
/* Mixture of experts: routes [T, k, 2] from a router's logits [T, E]; the experts' linears, x [T,
 * K] (a token's row serves all of its experts) or [T k, K], w [E, N, K], bias [E, N] (from
 * lp_weight_vectors) or LP_NONE; and the sum of what they made, [T, N]. Between two linears of
 * experts lp_act, lp_mul and the like take rows [T k, N]. A gate for shared experts is lp_route of
 * one expert (sigmoid, k = 1, logits [T, 1]) and lp_combine. */
lp_tensor_id lp_route(lp_builder *b, const char *name, lp_tensor_id logits, lp_tensor_id bias,
                      lp_route_options options);
lp_tensor_id lp_linear_experts(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id routes,
                               lp_tensor_id w, lp_tensor_id bias);
lp_tensor_id lp_combine(lp_builder *b, const char *name, lp_tensor_id y, lp_tensor_id routes);
/* A layer of an LSTM or a GRU: the states [T, s N] after every token, h first; x [T, g N] are the
 * inputs' part of the gates, `states` the cache that they are to be written to with lp_kv_write().
 */
lp_tensor_id lp_recurrence(lp_builder *b, const char *name, lp_cell_kind cell, lp_tensor_id x,
                           lp_tensor_id w, lp_tensor_id bias, lp_tensor_id cursor,
                           lp_tensor_id states, lp_tensor_id start);
/* A layer of gated units (src/ops/gated.c): the states [T, N] after every token; with a source [T,
 * 2 N
 * + P]: behind a state the one before, and what the token finds in the columns of the values that
 * are not the gates'. Pointers may be NULL. */
typedef struct lp_gated_source {
    lp_tensor_id keys, values; /* caches [S, 1, A] and [S, 1, 3 N + P] */
    lp_tensor_id query, align; /* W_a [A, N] (lp_weight_vectors()) and v_a [A] */
} lp_gated_source;
typedef struct lp_gated_options {
    const lp_tensor_id *states; /* the cache that the states are to be written to */
    const lp_tensor_id *start;  /* [1, 1, N], the state before position 0; else 0 */
    const lp_gated_source *source;
    bool backwards; /* from the last token to the first; without `states` */
} lp_gated_options;
lp_tensor_id lp_gated(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id u,
                      lp_tensor_id cursor, lp_gated_options options);
lp_tensor_id lp_rope(lp_builder *b, const char *name, lp_rope_pairing pairing, lp_tensor_id x,
                     lp_tensor_id cursor, lp_rope_angles angles);
/* The last elements of x's heads, turned, behind those of front [T, H, F]. */
lp_tensor_id lp_rope_behind(lp_builder *b, const char *name, lp_rope_pairing pairing,
                            lp_tensor_id front, lp_tensor_id x, lp_tensor_id cursor,
                            lp_rope_angles angles);
void lp_kv_write(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id cursor,
                 lp_tensor_id cache);

/* Fields of the same names in lp_node; zeros: causal attention without extras. */
typedef struct lp_attention_options {
    float scale;
    int32_t kv_max, window;
    lp_mask_kind mask;
    int32_t stride, summary, block, offset, period;
    const lp_tensor_id *lengths; /* of every `period` keys; NULL: there are none */
    bool from_source;
    float softcap;
} lp_attention_options;
lp_tensor_id lp_attention(lp_builder *b, const char *name, lp_tensor_id q, lp_tensor_id keys,
                          lp_tensor_id values, lp_tensor_id cursor, lp_attention_options options);
/* The same with a bias by distance, [H] or [H, 2 M + 1], and sinks [H]; either may be LP_NONE. */
lp_tensor_id lp_attention_biased(lp_builder *b, const char *name, lp_tensor_id q, lp_tensor_id keys,
                                 lp_tensor_id values, lp_tensor_id cursor, lp_tensor_id bias,
                                 lp_tensor_id sinks, lp_attention_options options);
lp_tensor_id lp_add(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id y);
lp_tensor_id lp_mul(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id y);
lp_tensor_id lp_max(lp_builder *b, const char *name, lp_tensor_id x, lp_tensor_id y);
lp_tensor_id lp_act(lp_builder *b, const char *name, lp_act_kind kind, lp_tensor_id x);
/* out act(in x): a plain factor with LP_ACT_NONE, a soft cap c with LP_ACT_TANH, 1 / c and c. */
lp_tensor_id lp_act_scaled(lp_builder *b, const char *name, lp_act_kind kind, float in,
                           lp_tensor_id x, float out);
void lp_sample(lp_builder *b, const char *name, lp_tensor_id logits, lp_tensor_id sampler,
               lp_tensor_id history, lp_tensor_id cursor, int32_t advance);
void lp_advance(lp_builder *b, const char *name, lp_tensor_id cursor, int32_t advance);

/* Views: no work, no copy. Columns [first, first + n) of x [T, K]; rows [first, first + n);
 * x [T, H * D] seen as [T, H, D]; the first n elements of x [T, 1, D]; x [T, H, D] seen as [T, H *
 * D]; x without gaps between its rows in any other shape of as many elements. */
lp_tensor_id lp_view_columns(lp_builder *b, lp_tensor_id x, int64_t first, int64_t n);
lp_tensor_id lp_view_rows(lp_builder *b, lp_tensor_id x, int64_t first, int64_t n);
lp_tensor_id lp_view_heads(lp_builder *b, lp_tensor_id x, int64_t n_heads);
lp_tensor_id lp_view_head_start(lp_builder *b, lp_tensor_id x, int64_t n);
lp_tensor_id lp_view_flat(lp_builder *b, lp_tensor_id x);
lp_tensor_id lp_view_shape(lp_builder *b, lp_tensor_id x, lp_shape shape);

/* Gives a tensor its own name and keeps it for the host. */
void lp_output(lp_builder *b, lp_tensor_id x, const char *name);

/* For tests and other floors: a node of any op. The sources, outputs and parameters of `node` are
 * taken as they are; outputs that are LP_NONE and are no in-place slots are inferred. */
lp_status lp_builder_node(lp_builder *b, lp_node *node);
/* An activation that the host fills before the run (tests). */
lp_tensor_id lp_input(lp_builder *b, const char *name, lp_shape shape);

#endif
