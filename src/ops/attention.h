/* How attention is cut into tiles: a pure function of shapes and device facts, so that tests can
 * try every limit without a device. */
#ifndef LP_OPS_ATTENTION_H
#define LP_OPS_ATTENTION_H

#include "ops/ops.h"

#define LP_MAX_HEAD      576 /* elements of a key or value */
#define LP_DECODE_TOKENS 8   /* up to here a GPU uses the decode kernel */
#define LP_MAX_SPLITS    64

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

lp_attention_tiles lp_attention_choose(const lp_caps *caps, uint32_t n_tokens, uint32_t n_heads,
                                       uint32_t n_groups, uint32_t dk, uint32_t dv, uint32_t kv_max,
                                       uint32_t window);
/* Bytes of shared memory that the kernel takes. */
uint32_t lp_attention_shared(const lp_attention_tiles *tiles, uint32_t dk);

#endif
