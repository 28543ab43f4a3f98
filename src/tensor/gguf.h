/* GGUF v2 and v3 files: metadata and tensors.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#ifndef LP_TENSOR_GGUF_H
#define LP_TENSOR_GGUF_H

#include "tensor/weights.h"

typedef enum lp_gguf_type {
    LP_GGUF_U8,
    LP_GGUF_I8,
    LP_GGUF_U16,
    LP_GGUF_I16,
    LP_GGUF_U32,
    LP_GGUF_I32,
    LP_GGUF_F32,
    LP_GGUF_BOOL,
    LP_GGUF_STRING,
    LP_GGUF_ARRAY,
    LP_GGUF_U64,
    LP_GGUF_I64,
    LP_GGUF_F64,
    LP_GGUF_N_TYPES
} lp_gguf_type;

/* Not terminated; borrowed from the mapping. */
typedef struct lp_gguf_string {
    const char *data;
    size_t bytes;
} lp_gguf_string;

typedef struct lp_gguf lp_gguf;

/* Parses header, metadata and tensor table; every count, offset and size is checked against the
 * file. Tensors go into `weights`, which takes over the mapping and must outlive the gguf. Tensors
 * of types without a row in LP_DTYPES are listed, but not usable: see weights.h. After a failure
 * `weights` may hold some of the tensors; destroy it. */
lp_status lp_gguf_open(lp_context *ctx, const char *path, lp_weights *weights, lp_gguf **gguf);
/* The same for bytes in memory, 8-byte aligned; they and `where`, the name for messages, are
 * borrowed and must outlive `weights`. */
lp_status lp_gguf_parse(lp_context *ctx, const char *where, const void *data, size_t bytes,
                        lp_weights *weights, lp_gguf **gguf);
void lp_gguf_destroy(lp_gguf *gguf);

/* Metadata in file order, for inspect. */
size_t lp_gguf_count(const lp_gguf *gguf);
lp_gguf_string lp_gguf_key(const lp_gguf *gguf, size_t index);
lp_gguf_type lp_gguf_value_type(const lp_gguf *gguf, size_t index);
/* Elements of an array, 1 for anything else. */
uint64_t lp_gguf_length(const lp_gguf *gguf, size_t index);
/* Value as short text ("32", "\"llama\"", "[string x 32000]", "[1, 2]") into text[n], n >= 16. */
char *lp_gguf_print(const lp_gguf *gguf, size_t index, char *text, size_t n);

/* Getters by key: true if the key is there and its value converts: any integer type whose value
 * fits to u32; any float or integer to the nearest f32, if that is finite. */
bool lp_gguf_get_u32(const lp_gguf *gguf, const char *key, uint32_t *value);
bool lp_gguf_get_f32(const lp_gguf *gguf, const char *key, float *value);
bool lp_gguf_get_bool(const lp_gguf *gguf, const char *key, bool *value);
bool lp_gguf_get_string(const lp_gguf *gguf, const char *key, lp_gguf_string *value);
/* Arrays: type of the elements and how many; false if the key is missing or no array. */
bool lp_gguf_get_array(const lp_gguf *gguf, const char *key, lp_gguf_type *type, uint64_t *n);
/* Element i of a string array: O(1) after open. */
lp_gguf_string lp_gguf_array_string(const lp_gguf *gguf, const char *key, uint64_t i);
/* Copies numeric elements [0, n) converted to f32 / i32 (there truths become 0 and 1); false if the
 * key is no numeric array of at least n elements. */
bool lp_gguf_array_f32(const lp_gguf *gguf, const char *key, float *to, uint64_t n);
bool lp_gguf_array_i32(const lp_gguf *gguf, const char *key, int32_t *to, uint64_t n);

#endif
