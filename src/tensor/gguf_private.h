/* What the GGUF parser (gguf.c) and the getters (gguf_values.c) share. */
#ifndef LP_TENSOR_GGUF_PRIVATE_H
#define LP_TENSOR_GGUF_PRIVATE_H

#include "base/arena.h"
#include "tensor/gguf.h"

typedef struct lp_gguf_pair {
    lp_gguf_string key;
    lp_gguf_type type;
    lp_gguf_type element;    /* of an array; the same as type for anything else */
    uint64_t n;              /* elements of an array, 1 for anything else */
    const uint8_t *data;     /* first byte of the (first) value, in the file; unaligned */
    size_t bytes;            /* of all values */
    lp_gguf_string *strings; /* n of them, for strings and arrays of strings; else NULL */
} lp_gguf_pair;

struct lp_gguf {
    lp_arena arena;
    lp_gguf_pair *pairs;
    size_t n_pairs;
    const lp_gguf_pair **sorted; /* by key, in the order of lp_gguf_compare() */
};

/* Bytes of a value; 0: not fixed (string, array). */
extern const uint8_t lp_gguf_value_bytes[LP_GGUF_N_TYPES];

/* `bytes` bytes as a little-endian number, on any host. */
uint64_t lp_gguf_load(const uint8_t *data, int bytes);

/* Order of keys: negative, zero or positive. */
int lp_gguf_compare(lp_gguf_string a, lp_gguf_string b);

#endif
