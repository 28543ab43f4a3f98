/* Parameters of every kernel: one struct per kernel family, included by C and by GLSL, so that both
 * sides cannot differ. Push constants: at most 128 bytes; an LP_ADDRESS is a buffer device address
 * as two words, so that shaders need no int64. Offsets and strides are in elements of what they
 * point to unless the name says otherwise. */
#ifndef LP_PARAMS_H
#define LP_PARAMS_H

#ifdef __cplusplus
#error "C and GLSL only"
#endif
#ifdef GL_core_profile /* GLSL */
#define LP_UINT    uint
#define LP_INT     int
#define LP_FLOAT   float
#define LP_ADDRESS uvec2
#define LP_PARAMS(name) struct name
#else
#include <stdint.h>
#define LP_UINT    uint32_t
#define LP_INT     int32_t
#define LP_FLOAT   float
#define LP_ADDRESS struct lp_address
#define LP_PARAMS(name)                                                                            \
    typedef struct name name;                                                                      \
    struct name
/* GLSL aligns an address to 8 bytes: addresses come first in every struct. C does not, so that no
 * struct ends with padding, and parameters can be compared byte by byte. */
struct lp_address {
    uint32_t low, high;
};
#endif

/* ---- linear_mv, linear_mm ---- y = act(x w^T + bias) * (x gate^T + gate_bias) + residual
 * With routes T counts rows of y: row t has the weights and biases of the expert of route t. */
LP_PARAMS(lp_linear_params)
{
    LP_ADDRESS x;         /* [T / rows_per_x, K] f32 */
    LP_ADDRESS w;         /* [N, K] or [E, N, K], device layout of a weight */
    LP_ADDRESS bias;      /* [N] or [E, N] f32, or 0 */
    LP_ADDRESS gate;      /* like w, or 0 */
    LP_ADDRESS gate_bias; /* like bias, or 0 */
    LP_ADDRESS residual;  /* [T, N] f32, or 0 */
    LP_ADDRESS routes;    /* [T / n_slots, n_slots, 2] f32, or 0 */
    LP_ADDRESS groups;    /* what group_rows makes, or 0 */
    LP_ADDRESS y;         /* [T, N] f32 */
    LP_UINT n_tokens, n_outputs, n_inputs;
    LP_UINT x_stride, residual_stride, y_stride;
    LP_UINT n_experts, n_slots, rows_per_x, routes_stride;
    LP_UINT n_tiles; /* of groups */
};

/* ---- group_rows ---- the rows of y, in the order of their experts and cut into tiles of one each */
LP_PARAMS(lp_group_rows_params)
{
    LP_ADDRESS routes; /* [T / n_slots, n_slots, 2] f32, or 0: row r has matrix r mod E */
    LP_ADDRESS groups; /* [n_tiles, 4] words: expert, number of the tile's first row in what follows,
                          rows of the tile (0: unused), 0; then [T] words, rows of y */
    LP_UINT n_rows, n_slots, routes_stride, n_tiles;
};

/* ---- conv2d ---- y = act(convolution of x + bias) + residual */
LP_PARAMS(lp_conv2d_params)
{
    LP_ADDRESS x;        /* [H W, C] f32 */
    LP_ADDRESS w;        /* [O, kernel kernel C'], device layout of a weight; C' = C rounded up to 4 */
    LP_ADDRESS bias;     /* [O] f32, or 0 */
    LP_ADDRESS residual; /* [H' W', O] f32, or 0 */
    LP_ADDRESS y;        /* [H' W', O] f32 */
    LP_UINT n_pixels, n_outputs, n_channels;
    LP_UINT x_stride, residual_stride, y_stride;
    LP_UINT height, width; /* upsample times those of x */
    LP_UINT out_width, kernel_side, step, pad, upsample;
};

/* ---- group_norm ---- y = act((x - mean) / sqrt(variance + eps) gain + bias), per group of channels */
LP_PARAMS(lp_group_norm_params)
{
    LP_ADDRESS x;      /* [n_rows, C] f32 */
    LP_ADDRESS gain;   /* [C] f32, or 0 */
    LP_ADDRESS bias;   /* the same */
    LP_ADDRESS pieces; /* [n_groups, n_pieces, 3] f32: mean, what is left of it, sum of squares */
    LP_ADDRESS stats;  /* [n_groups, 3] f32: mean, what is left of it, scale */
    LP_ADDRESS y;      /* like x */
    LP_UINT n_rows, n_channels, n_groups;
    LP_UINT x_stride, y_stride;
    LP_UINT n_pieces, piece_rows;
    LP_FLOAT eps;
};

/* ---- route ---- */
LP_PARAMS(lp_route_params)
{
    LP_ADDRESS logits; /* [T, E] f32 */
    LP_ADDRESS bias;   /* [E] f32, or 0 */
    LP_ADDRESS routes; /* [T, k, 2] f32: expert, weight */
    LP_UINT n_tokens, n_experts, n_slots;
    LP_UINT logits_stride, routes_stride;
    LP_UINT n_groups, n_groups_used, group_best; /* n_groups 0: none */
    LP_UINT capacity;                            /* 0: no limit */
    LP_FLOAT scale;
};

/* ---- combine ---- y = sum over slots of weight * x, + residual */
LP_PARAMS(lp_combine_params)
{
    LP_ADDRESS x;        /* [T n_slots, N] f32 */
    LP_ADDRESS routes;   /* [T, n_slots, 2] f32 */
    LP_ADDRESS residual; /* [T, N] f32, or 0 */
    LP_ADDRESS y;        /* [T, N] f32 */
    LP_UINT n_tokens, n, n_slots;
    LP_UINT x_stride, routes_stride, residual_stride, y_stride;
};

/* ---- norm ---- sum = x + residual; y = normalised sum * gain + bias */
LP_PARAMS(lp_norm_params)
{
    LP_ADDRESS x;        /* [T, N] f32 */
    LP_ADDRESS residual; /* [T, N] f32, or 0 */
    LP_ADDRESS gain;     /* [N], or [H, N] of one per head, f32, or 0 */
    LP_ADDRESS bias;     /* the same */
    LP_ADDRESS y;        /* [T, N] f32 */
    LP_ADDRESS sum;      /* [T, N] f32, or 0 */
    LP_UINT n_rows, n;
    LP_UINT n_heads, gain_per_head; /* n_rows is the number of heads of all tokens; 0 or 1 */
    LP_UINT x_stride, residual_stride, y_stride, sum_stride;
    LP_FLOAT eps;
};

/* ---- embed ---- y[t] = scale * table[history ? history[position + t] : first + position + t] */
LP_PARAMS(lp_embed_params)
{
    LP_ADDRESS table;   /* [V, N], device layout of a weight */
    LP_ADDRESS cursor;  /* i32 */
    LP_ADDRESS history; /* [n_history] i32, or 0 */
    LP_ADDRESS y;       /* [T, N] f32 */
    LP_UINT n_vocabulary, n, n_tokens, n_history, y_stride;
    LP_FLOAT scale;
    LP_INT first;
};

/* ---- elementwise ---- y = a + b, a * b, max(a, b) or out_factor act(in_factor a), [n_rows, n] */
LP_PARAMS(lp_elementwise_params)
{
    LP_ADDRESS a; /* f32 */
    LP_ADDRESS b; /* f32, or 0 */
    LP_ADDRESS y; /* f32 */
    LP_UINT n_rows, n;
    LP_UINT a_stride, b_stride, y_stride;
    LP_FLOAT in_factor, out_factor;
};

/* ---- recurrence ---- token t of a layer of an LSTM or a GRU */
LP_PARAMS(lp_recurrence_params)
{
    LP_ADDRESS x;      /* [T, g n] f32 */
    LP_ADDRESS w;      /* [g n, n] f32 */
    LP_ADDRESS bias;   /* [g n] f32, or 0 */
    LP_ADDRESS cursor; /* i32 */
    LP_ADDRESS states; /* [cache_rows, s n] f32 */
    LP_ADDRESS start;  /* the same, or 0 */
    LP_ADDRESS y;      /* [T, s n] f32 */
    LP_UINT n, t;
    LP_UINT x_stride, y_stride;
    LP_UINT cache_rows, cache_stride;
};

/* ---- gated ---- token t of a layer of gated units with additive attention: src/ops/gated.c */
LP_PARAMS(lp_gated_hidden_params)
{
    LP_ADDRESS u;      /* [3 n, n] f32 */
    LP_ADDRESS query;  /* [n_align, n] f32, or 0 */
    LP_ADDRESS y;      /* f32: row before - 1 begins with the state before; or 0 */
    LP_ADDRESS cursor; /* i32, or 0 */
    LP_ADDRESS states; /* [cache_rows, n] f32, or 0 */
    LP_ADDRESS start;  /* [n] f32, or 0 */
    LP_ADDRESS hidden; /* [3 n + n_align] f32 */
    LP_UINT n, n_align, before, y_stride, cache_rows;
};

LP_PARAMS(lp_gated_scores_params)
{
    LP_ADDRESS query;  /* [n_align] f32 */
    LP_ADDRESS keys;   /* [n_keys, n_align] f32 */
    LP_ADDRESS align;  /* [n_align] f32 */
    LP_ADDRESS cursor; /* i32 */
    LP_ADDRESS scores; /* [n_keys] f32 */
    LP_UINT n_align, n_keys;
};

LP_PARAMS(lp_gated_gates_params)
{
    LP_ADDRESS x;      /* [T, 3 n] f32 */
    LP_ADDRESS hidden; /* [3 n] f32 */
    LP_ADDRESS cursor; /* i32; this and the next two: or 0 */
    LP_ADDRESS scores; /* [n_keys] f32 */
    LP_ADDRESS values; /* [n_keys, 3 n + n_extra] f32 */
    LP_ADDRESS gates;  /* [3 n] f32 */
    LP_ADDRESS y;      /* [T, 2 n + n_extra] f32, or 0 */
    LP_UINT n, n_extra, n_keys, t, x_stride, y_stride;
};

LP_PARAMS(lp_gated_state_params)
{
    LP_ADDRESS u;      /* [3 n, n] f32 */
    LP_ADDRESS before; /* [n] f32 */
    LP_ADDRESS gates;  /* [3 n] f32 */
    LP_ADDRESS y;      /* f32: row t begins with the new state */
    LP_UINT n, t, y_stride;
};

/* ---- rope, kv_write, sample, advance ------------------------------------------------------- */

LP_PARAMS(lp_rope_params)
{
    LP_ADDRESS x, y, cursor, table, front; /* front: or 0 */
    LP_UINT x_stride, y_stride, front_stride; /* of a token */
    LP_UINT n_tokens, n_heads, head, n_rotated; /* head: of x */
    LP_UINT first, n_front, y_head; /* a head of y: n_front elements of front, what is turned and
                                       begins at `first` in x's, the rest of x's */
    LP_UINT table_rows;
    LP_UINT period, place_first, place_after; /* period 0: a token stands at its place in the text */
};

LP_PARAMS(lp_kv_write_params)
{
    LP_ADDRESS x, cache, cursor;
    LP_UINT x_stride; /* of a token */
    LP_UINT n_tokens, row; /* row: elements of a token, G * D */
    LP_UINT cache_rows;
};

LP_PARAMS(lp_sample_params)
{
    LP_ADDRESS logits, keys, settings, history, cursor;
    LP_UINT n_vocab;
    LP_UINT n_history; /* tokens; one more word behind them, see src/graph/graph.h */
    LP_UINT advance;
};

LP_PARAMS(lp_advance_params)
{
    LP_ADDRESS cursor;
    LP_UINT advance;
};

/* ---- attention ----------------------------------------------------------------------------- */

LP_PARAMS(lp_attention_params)
{
    LP_ADDRESS q, keys, values, cursor;
    LP_ADDRESS bias;  /* [H] or [H, 2 bias_reach + 1] f32, or 0 */
    LP_ADDRESS sinks; /* [H] f32, or 0 */
    LP_ADDRESS y;     /* or with several splits partial [G, rows, splits, Dv] */
    LP_ADDRESS stats; /* [G, rows, splits, 2]: largest score and sum of exponentials, per split */
    LP_ADDRESS lengths; /* [C / period] i32, or 0 */
    LP_UINT q_stride, key_stride, value_stride, y_stride; /* of a token */
    LP_UINT n_tokens, n_heads, n_groups; /* splits are as many as there are groups along z */
    LP_UINT first_block; /* of query rows, in this dispatch */
    LP_UINT kv_max, window;
    LP_INT mask_shift;
    LP_FLOAT scale, softcap;
    LP_UINT bias_reach;
};

/* Specialization constant 7 of the attention kernels: lp_mask_kind in the lowest bits, and which of
 * the extras there are. */
#define LP_ATTENTION_MASK    7u
#define LP_ATTENTION_SOFTCAP 8u
#define LP_ATTENTION_SLOPES  16u /* bias [H] */
#define LP_ATTENTION_TABLE   32u /* bias [H, 2 bias_reach + 1] */
#define LP_ATTENTION_SINKS   64u
#define LP_ATTENTION_SOURCE  128u
#define LP_ATTENTION_LENGTHS 256u

LP_PARAMS(lp_attention_merge_params)
{
    LP_ADDRESS partial, stats, y;
    LP_UINT y_stride; /* of a token */
    LP_UINT n_tokens, n_heads, n_groups, n_splits, head;
};

/* ---- subgroups ---- */
LP_PARAMS(lp_subgroups_params)
{
    LP_ADDRESS to; /* [n, 6] words, n invocations in all */
};

/* ---- selftest ---- */
LP_PARAMS(lp_selftest_params)
{
    LP_ADDRESS from; /* [n, 6] words */
    LP_ADDRESS to;   /* [n, 8] words */
    LP_UINT n;
};

/* ---- fault ---- changes `count` elements of y [., n]; only in builds with LAPILLI_FAULTS */
LP_PARAMS(lp_fault_params)
{
    LP_ADDRESS y;       /* f32 */
    LP_ADDRESS vector;  /* [n] f32, or 0 */
    LP_ADDRESS counter; /* of runs: a word, or 0; with it the change is made in one of `every` runs */
    LP_UINT n, y_stride;
    LP_UINT first, step, count;
    LP_UINT bits; /* the number that the mode wants: a float's bits, or a mask */
    LP_UINT every;
};

#endif
