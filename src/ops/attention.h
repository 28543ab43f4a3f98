/* What the files of attention share: query rows as the two CPU versions see them, and how devices
 * cut the work into tiles, a pure function of shapes and device facts, so that tests can try every
 * limit without a device. */
#ifndef LP_OPS_ATTENTION_H
#define LP_OPS_ATTENTION_H

#include "ops/ops.h"
#include "ops/simd.h"

#define LP_MAX_HEAD      576 /* elements of a key or value */
#define LP_DECODE_TOKENS 8   /* up to here a GPU uses the decode kernel */
#define LP_MAX_SPLITS    64

/* ---- Query rows (attention.c) -------------------------------------------------------------- */

/* Head h of token t. */
typedef struct lp_attention_row {
    const float *q;     /* [Dk] */
    float *y;           /* [Dv] */
    int64_t group;      /* K/V head */
    int64_t place;      /* of the token in the text */
    int64_t first, end; /* it sees keys of [first, end) only */
    const float *table; /* its head's bias by distance, [2 reach + 1], or NULL */
    int64_t reach;
    float slope, sink;      /* 0 without slopes, -infinity without sinks */
    const int32_t *lengths; /* of every `period` keys, or NULL */
} lp_attention_row;

/* The keys [*first, *end) outside of which a token at `place` sees none. */
void lp_attention_range(const lp_node *node, const int32_t *cursor, int64_t place, int64_t *first,
                        int64_t *end);
lp_attention_row lp_attention_row_of(const lp_cpu_call *call, int64_t t, int64_t h);

/* Of the keys of [first, end): does the mask's pattern show key j, and is it there? */
static inline bool lp_attention_sees(const lp_node *node, const lp_attention_row *row, int64_t j)
{
    const int64_t stride = node->p.attention.stride, behind = row->place - j;
    const int64_t period = node->p.attention.period;
    if (row->lengths != NULL && j % period >= row->lengths[j / period])
        return false;
    if (node->p.attention.mask == LP_MASK_STRIDED)
        return behind < stride || behind % stride == 0;
    if (node->p.attention.mask == LP_MASK_FIXED)
        return j / stride == row->place / stride ||
               j % stride >= stride - node->p.attention.summary;
    return true;
}

/* What is added to the score of key j. */
static inline double lp_attention_bias(const lp_attention_row *row, int64_t j)
{
    const int64_t ahead = j - row->place, reach = row->reach;
    if (row->table != NULL)
        return (double)row->table[(ahead < -reach  ? -reach
                                   : ahead > reach ? reach
                                                   : ahead) +
                                  reach];
    return -(double)row->slope * (double)(ahead < 0 ? -ahead : ahead);
}

/* The `cpu` device's versions: a row (attention_fast.c), or all of many (attention_blocks.c), whose
 * numbers depend on which rows are together. */
void lp_attention_fast_row(const lp_cpu_call *call, int64_t t, int64_t h);
bool lp_attention_in_blocks(const lp_cpu_call *call);
lp_status lp_attention_blocks(const lp_cpu_call *call);
/* The score of key j, of s = scale q k: capped, with its bias. */
float lp_attention_score(const lp_node *node, const lp_attention_row *row, int64_t j, float s);
/* n numbers of a row of keys or values from a column on: in the cache itself, or in `tile`. */
const float *lp_attention_load(const lp_simd *simd, const lp_view *cache, int64_t row,
                               int64_t column, int64_t n, float *tile);

/* ---- Tiles (attention_plan.c) -------------------------------------------------------------- */

typedef enum lp_attention_kind {
    LP_ATTENTION_PREFILL, /* shaders/attention_prefill.comp */
    LP_ATTENTION_DECODE,  /* shaders/attention_decode.comp */
    LP_ATTENTION_ROWS     /* shaders/attention_rows.comp */
} lp_attention_kind;

typedef struct lp_attention_tiles {
    lp_attention_kind kind;
    bool resident;      /* prefill: the tile's queries stay in shared memory */
    uint32_t workgroup; /* invocations */
    uint32_t n_rows;    /* query rows (token, head of the group) of a workgroup */
    uint32_t n_keys;    /* keys of a tile */
    uint32_t n_splits;  /* of the keys over workgroups; 1: no merge */
} lp_attention_tiles;

/* reach: more keys than that and the number of tokens are seen by none of them; 0: no limit. */
lp_attention_tiles lp_attention_choose(const lp_caps *caps, uint32_t n_tokens, uint32_t n_heads,
                                       uint32_t n_groups, uint32_t dk, uint32_t dv, uint32_t kv_max,
                                       uint32_t reach);
/* Bytes of shared memory that the kernel takes. */
uint32_t lp_attention_shared(const lp_attention_tiles *tiles, uint32_t dk);

#endif
