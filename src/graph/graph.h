/* The graph: a model written once, as plain data. Nodes are coarse operations in execution order;
 * every executor walks the same list. Tensors are activations (in one arena, planned by lifetime),
 * or slots of the store. Views (a column range of a wider activation) share their base's memory.
 *
 * Shape letters used everywhere: T tokens of this batch, N output features, K input features,
 * H heads, G K/V heads, D head size (Dk of keys, Dv of values), C context, V vocabulary, E experts,
 * k experts that a token uses. */
#ifndef LP_GRAPH_GRAPH_H
#define LP_GRAPH_GRAPH_H

#include "graph/store.h"

typedef uint32_t lp_tensor_id;
#define LP_NONE    UINT32_MAX /* an optional source or output that is not there */
#define LP_MAX_SRC 9
#define LP_MAX_DST 3

typedef enum lp_op {
#define OP(id, name, purpose) LP_OP_##id,
#include "graph/ops.def"
#undef OP
    LP_N_OPS
} lp_op;

typedef struct lp_tensor {
    const char *name;
    lp_dtype dtype; /* activations are F32 */
    lp_shape shape;
    uint32_t slot;     /* index in the store, or LP_NONE for activations */
    lp_tensor_id base; /* itself, or the tensor that this one is a view of */
    uint64_t offset;   /* elements from the start of the base */
    uint64_t stride;   /* elements between indices of dim[0]; inner dimensions are contiguous */
    bool output;       /* the host reads it after the run: kept until the end */
} lp_tensor;

typedef enum lp_act_kind {
    LP_ACT_NONE,
    LP_ACT_RELU,
    LP_ACT_GELU_ERF,  /* x/2 (1 + erf(x/sqrt 2)): Hendrycks & Gimpel 2016 */
    LP_ACT_GELU_TANH, /* the same paper's tanh approximation */
    LP_ACT_GELU_QUICK,/* x sigmoid(1.702 x) */
    LP_ACT_SILU,      /* x sigmoid(x) */
    LP_ACT_TANH,
    LP_ACT_SIGMOID,
    LP_ACT_RELU_SQUARED, /* max(x, 0)^2: So et al. 2021, arXiv:2109.08668 */
    LP_ACT_CLAMP,        /* to [-1, 1] */
    LP_ACT_CLAMP_ABOVE,  /* min(x, 1) */
    LP_N_ACTS
} lp_act_kind;

typedef enum lp_norm_kind { LP_NORM_LAYER, LP_NORM_RMS, LP_NORM_SOFTMAX } lp_norm_kind;

/* GATED: the hidden units of Bahdanau et al. 2015, for the op of that name. */
typedef enum lp_cell_kind { LP_CELL_NONE, LP_CELL_LSTM, LP_CELL_GRU, LP_CELL_GATED } lp_cell_kind;

/* Which elements of a head are rotated together. */
typedef enum lp_rope_pairing {
    LP_ROPE_ADJACENT, /* (2k, 2k+1): the paper, GGUF llama */
    LP_ROPE_HALVES    /* (k, k + n/2): GPT-NeoX, Hugging Face llama */
} lp_rope_pairing;

/* Where a row stands whose token has place i in the text, if not there: at after + (i + first) %
 * period; period 0: at i. */
typedef struct lp_rope_place {
    int32_t period, first, after;
} lp_rope_place;

/* Which keys j the query of a token at place i = position + t sees, of those below kv_max. */
typedef enum lp_mask_kind {
    LP_MASK_CAUSAL,  /* j <= i; with a window w also j > i - w */
    LP_MASK_FULL,    /* all; with a window w: |i - j| <= w / 2 (Beltagy et al. 2020) */
    LP_MASK_CHUNKED, /* j <= i and i / stride == j / stride: local layers of Llama 4 */
    LP_MASK_STRIDED, /* j <= i and (i - j < stride or (i - j) % stride == 0): Child et al. 2019 */
    LP_MASK_FIXED,   /* j <= i and (i / stride == j / stride or j % stride >= stride - summary):
                        the same paper */
    LP_MASK_PREFIX,  /* j <= i or j < cursor[LP_CURSOR_SOURCE]: Du et al. 2022, arXiv:2103.10360 */
    LP_MASK_BLOCKS,  /* stride tokens see a block of keys: b block <= j < (b + 1) block, b = floor((i -
                        offset) / stride); none where i < offset: chunked cross-attention, Borgeaud
                        et al. 2021, arXiv:2112.04426 */
    LP_N_MASKS
} lp_mask_kind;

/* What a router makes of its logits. */
typedef enum lp_route_score {
    LP_ROUTE_SOFTMAX, /* over all experts: Switch, Qwen MoE, DeepSeek V2 */
    LP_ROUTE_SIGMOID, /* each by itself: DeepSeek V3, Llama 4; a shared expert's gate is E = k = 1 */
    LP_ROUTE_CHOSEN   /* softmax over the chosen ones: Mixtral, gpt-oss */
} lp_route_score;

/* A convolution of a picture that is `upsample` times as large as x, its neighbours repeated. */
typedef struct lp_conv2d_options {
    int32_t height, width;         /* of x */
    int32_t kernel;                /* a side of it, 1 to LP_MAX_KERNEL */
    int32_t stride;                /* 1 or 2 */
    int32_t pad_before, pad_after; /* zeros above and left, below and right; less than `kernel` */
    int32_t upsample;              /* 1 or 2 */
    lp_act_kind act;
} lp_conv2d_options;
#define LP_MAX_KERNEL 7

typedef struct lp_route_options {
    lp_route_score score;
    int32_t k;          /* experts that a token uses */
    bool normalise;     /* divide by the sum of the chosen ones' scores */
    float scale;        /* of the weights, last; 1 for most models */
    int32_t n_groups;   /* 0: none; else the experts are so many groups of neighbours, */
    int32_t n_groups_used; /* of which only so many are used, */
    int32_t group_best; /* ranked by the sum of so many of their best: 1 (DeepSeek V2) or 2 (V3) */
    int32_t capacity;   /* 0: no limit; else an expert serves so many of the graph's tokens, in
                           order; what is beyond has weight 0 (Switch) */
} lp_route_options;

/* Cursor state, I32[8], slot "cursor": where the session stands. */
enum {
    LP_CURSOR_POSITION, /* position of the batch's first token = tokens in the cache */
    LP_CURSOR_DRAWS,    /* tokens drawn so far: the random counter */
    LP_CURSOR_SOURCE,   /* tokens of the source text: keys that cross-attention sees; where all
                           tokens see the beginning of their text, how long that is */
    LP_CURSOR_BLANK,    /* there, the position of the token in whose place the rest stands */
    LP_CURSOR_WORDS = 8
};

/* Sampler state, 16 words of 32 bits, slot "sampler" (dtype I32; floats by their bits). */
enum {
    LP_SAMPLER_TEMPERATURE, /* f32; 0: greedy (lowest id among equals) */
    LP_SAMPLER_TOP_K,       /* i32; 0: off */
    LP_SAMPLER_TOP_P,       /* f32; 1: off */
    LP_SAMPLER_MIN_P,       /* f32; 0: off */
    LP_SAMPLER_PENALTY,     /* f32; 1: off; logits > 0 divided, others multiplied */
    LP_SAMPLER_WINDOW,      /* i32; how many latest tokens the penalty looks at */
    LP_SAMPLER_SEED_LO,
    LP_SAMPLER_SEED_HI,
    LP_SAMPLER_WORDS = 16
};

/* Sources and outputs by position. "?" may be LP_NONE.
 *
 * EMBED     src: 0 table [V, N] weight, 1 cursor, 2 history? [C + 2] i32   dst: 0 [T, N]
 *           row of token t: history[position + t], or first + position + t without a history
 * NORM      src: 0 x [T, N], 1 gain [N]?, 2 bias [N]?, 3 residual [T, N]?
 *           dst: 0 [T, N], 1 x + residual [T, N]? (only with a residual)
 *           or of heads: x and the others [T, H, N], gain and bias [N] or [H, N]
 * LINEAR    src: 0 x [T, K], 1 w [N, K], 2 bias [N]?, 3 gate w [N, K]?, 4 residual [T, N]?,
 *                5 gate bias [N]?, 6 routes [T, k, 2]?      dst: 0 [T, N]
 *           y = act(x w^T + bias), times (x gate^T + gate bias), plus residual
 *           with routes: x [T, K] or [T k, K], w and gate w [E, N, K], biases [E, N], residual and
 *           dst [T k, N]; row t k + s is that of token t and the expert of its slot s
 *           with such a w, but without routes, row r has matrix r mod E: heads have their own
 * CONV2D    src: 0 x [H W, C], 1 w [O, kh kw C'], 2 bias [O]?, 4 residual [H' W', O]?
 *           dst: 0 [H' W', O]   (C' is C rounded up to 4; rows of pixels, line by line)
 *           y = act(sum over dy, dx, c of x[iy, ix, c] w[o, dy, dx, c] + bias) + residual, with
 *           iy = (oy stride + dy - pad_before) / upsample, 0 outside of the picture; ix likewise
 *           (src/ops/conv2d.c)
 * GROUP_NORM src: 0 x [H W, C], 1 gain [C]?, 2 bias [C]?   dst: 0 [H W, C]
 *           each group of C / n_groups neighbouring channels is normalised over all pixels
 * ROUTE     src: 0 logits [T, E], 1 selection bias [E]?   dst: 0 routes [T, k, 2]
 *           (expert as a number, weight), the best expert first, the lower id first among equals;
 *           the bias counts for the choice, not for the weight (src/ops/route.c)
 * COMBINE   src: 0 y [T k, N], 1 routes [T, k, 2], 2 residual [T, N]?   dst: 0 [T, N]
 *           sum over a token's slots of weight times row, plus residual
 * ROPE      src: 0 x [T, H, D], 1 cursor, 2 table [256 + ceil(C/256), n/2, 2], 3 front [T, H, F]?
 *           dst: 0 [T, H, D], or with a front [T, H, F + n]: it stands before the last n elements of
 *           x's heads, which are turned then. With two axes the first half of what is turned is so
 *           by the place in the source text, the other by that behind it (src/ops/rope.c); with a
 *           period the angles are those of another position
 * KV_WRITE  src: 0 x [T, G, D], 1 cursor   dst: 0 cache [C, G, D] (slot, in place)
 * RECURRENCE src: 0 x [T, g N], 1 w [g N, N] (of lp_weight_vectors), 2 bias [g N]?, 3 cursor,
 *                4 states [C, 1, s N] f32 (slot), 5 start (like states)?    dst: 0 [T, s N]
 *           LSTM: g = 4 gates, s = 2 states, h and c; GRU: 3 and 1, h (src/ops/recurrence.c); row t is
 *           the state after token t, that before the first token is the cache's row position - 1, or 0;
 *           with a start, the cache of a net that has read a source text, at first its last state
 * GATED     src: 0 x [T, 3 N], 1 u [3 N, N] (of lp_weight_vectors), 2 cursor, 3 states [C, 1, N] f32
 *                (slot)?, 4 start [1, 1, N] f32 (slot)?, and, or none of these, 5 keys [S, 1, A] f32
 *                (slot), 6 values [S, 1, 3 N + P] f32 (slot), 7 W_a [A, N] (of lp_weight_vectors), 8 v_a [A]
 *           dst: 0 [T, N], or with keys [T, 2 N + P]
 *           gates r, z, candidate (src/ops/gated.c); row t is the state after token t; with keys also that
 *           before it, and P columns of what the token finds in the values of the source; the state
 *           before position 0 is the start, or 0, before another one row position - 1 of the states
 * ATTENTION src: 0 q [T, H, Dk], 1 keys [C, G, Dk], 2 values [C, G, Dv], 3 cursor,
 *                4 bias [H] or [H, 2 M + 1]?, 5 sinks [H]?, 6 lengths [C / period] i32?
 *           dst: 0 [T, H, Dv]
 *           keys and values: caches (lp_is_cache_type()), or f32 activations
 *           score s = scale q k; with a softcap c: s = c tanh(s / c); bias [H] (ALiBi):
 *           s -= bias[h] |i - j|; [H, 2 M + 1]: s += bias[h][M + clamp(j - i, -M, M)]; softmax over
 *           the keys that the mask shows, and over sinks[h], which has no value. A token that
 *           sees no key gets 0. With lengths key j is there only if j % period < lengths[j / period]
 * ADD, MUL, MAX  src: 0 a, 1 b of one shape   dst: 0
 * ACT       src: 0 x   dst: 0   y = out act(in x)
 * SAMPLE    src: 0 logits [1, V], 1 sampler   dst: 0 history, 1 cursor (in place), 2 scratch [2, V]
 *           history[position + advance] = token; position += advance; draws += 1
 *           history[C + 1]: 1 + place in the history of the first token that was drawn although a
 *           logit was NaN or +inf; 0: none. Set where it is 0, cleared by the host
 * ADVANCE   dst: 0 cursor (in place)   position += advance */
typedef struct lp_node {
    lp_op op;
    const char *name; /* checkpoint path: "blk.3.attn_q" */
    lp_tensor_id src[LP_MAX_SRC], dst[LP_MAX_DST];
    union {
        struct {
            lp_norm_kind kind;
            float eps;
        } norm;
        struct {
            lp_act_kind act;
            bool int8; /* x is rounded to blocks of 32 int8 and a scale first (ops/int8.h); K % 32 = 0 */
        } linear;
        lp_conv2d_options conv2d;
        struct {
            int32_t n_groups;
            float eps;
            lp_act_kind act;
        } group_norm;
        struct {
            lp_rope_pairing pairing;
            int32_t n_rotated;         /* leading elements of each head that are rotated, even */
            bool two_axes;             /* n_rotated / 2 of them by each of two positions */
            const double *frequencies; /* [n_rotated / 2] radians per position, in the graph's arena */
            float scale;               /* of what is turned */
            lp_rope_place place;
        } rope;
        struct {
            float scale;        /* of q k^T */
            int32_t kv_max;     /* keys from here on are seen by nobody in this graph; <= C */
            lp_mask_kind mask;
            int32_t window;     /* CAUSAL, FULL: 0: none */
            int32_t stride;     /* CHUNKED, STRIDED, FIXED, BLOCKS */
            int32_t summary;    /* FIXED: the last keys of a block, which all later blocks see */
            int32_t block, offset; /* BLOCKS */
            int32_t period;     /* with lengths: keys that share one */
            bool from_source;   /* FULL: keys below cursor[LP_CURSOR_SOURCE] only */
            float softcap;      /* 0: none */
            int32_t mask_shift; /* 0; tests of the tests set it to +-1: causal masks end later */
        } attention;
        lp_route_options route;
        struct {
            lp_cell_kind cell;
        } recurrence;
        struct {
            bool backwards; /* from the last token to the first; without states */
        } gated;
        struct {
            lp_act_kind act;
            float in, out; /* factors of argument and result; 1 for plain activations */
        } act;
        struct {
            float scale;   /* of the row; 1 for most models */
            int32_t first; /* row of position 0, without a history */
        } embed;
        struct {
            int32_t advance;
        } cursor; /* SAMPLE and ADVANCE */
    } p;
} lp_node;

typedef struct lp_graph {
    lp_arena arena;
    lp_store *store; /* borrowed */
    lp_tensor *tensors;
    uint32_t n_tensors, tensor_capacity;
    lp_node *nodes;
    uint32_t n_nodes, node_capacity;
    int32_t n_tokens; /* T */
} lp_graph;

/* Graphs come from the builder (builder.h); the model's function owns the result. */
void lp_graph_destroy(lp_graph *graph);

const char *lp_op_name(lp_op op);
/* Gates and states (h, perhaps c) of a cell. */
int64_t lp_cell_gates(lp_cell_kind cell);
int64_t lp_cell_states(lp_cell_kind cell);
/* Height or width of what a convolution makes of that of x; 0 or less if nothing. */
int64_t lp_conv2d_side(const lp_conv2d_options *options, int64_t side);
/* Elements of a row of its weight, the inputs of one output, for C channels. */
int64_t lp_conv2d_row(const lp_conv2d_options *options, int64_t n_channels);
/* Elements from the first to one past the last of a tensor, strides included. */
uint64_t lp_tensor_extent(const lp_tensor *tensor);
/* The same in bytes, of an activation or a state; of block types all of its rows. */
uint64_t lp_tensor_bytes(const lp_tensor *tensor);
/* Tensor by name, or LP_NONE. */
lp_tensor_id lp_graph_find(const lp_graph *graph, const char *name);
/* One line per node with shapes, for people: malloc'ed text, NULL when out of memory. */
char *lp_graph_print(const lp_graph *graph);

#endif
