/* A writer of GGUF v3 files: metadata, then the tensor table, then the data, streamed in the order
 * of the table, so that a file larger than memory can be made.
 *
 *     lp_gguf_writer *w = lp_gguf_writer_create(ctx);
 *     lp_gguf_put_string(w, "general.architecture", "llama");
 *     lp_gguf_put_tensor(w, "output_norm.weight", LP_F32, LP_SHAPE1(64));
 *     lp_gguf_begin(w, path);
 *     lp_gguf_data(w, gains, sizeof gains);
 *     lp_status status = lp_gguf_commit(w);
 *     lp_gguf_writer_destroy(w);
 *
 * After the first failure further calls do nothing; lp_gguf_commit() returns it. Without a commit
 * no file appears. */
#ifndef LP_TENSOR_GGUF_WRITE_H
#define LP_TENSOR_GGUF_WRITE_H

#include "tensor/dtype.h"
#include "tensor/gguf.h"

typedef struct lp_gguf_writer lp_gguf_writer;

/* NULL when out of memory. */
lp_gguf_writer *lp_gguf_writer_create(lp_context *ctx);
/* Also removes what was written, if there was no commit. */
void lp_gguf_writer_destroy(lp_gguf_writer *writer);

/* Metadata, before lp_gguf_begin(). Keys are not checked for duplicates. */
void lp_gguf_put_u32(lp_gguf_writer *writer, const char *key, uint32_t value);
void lp_gguf_put_f32(lp_gguf_writer *writer, const char *key, float value);
void lp_gguf_put_bool(lp_gguf_writer *writer, const char *key, bool value);
void lp_gguf_put_string(lp_gguf_writer *writer, const char *key, const char *value);
void lp_gguf_put_strings(lp_gguf_writer *writer, const char *key, const lp_gguf_string *values,
                         uint64_t n);
void lp_gguf_put_f32s(lp_gguf_writer *writer, const char *key, const float *values, uint64_t n);
void lp_gguf_put_u8s(lp_gguf_writer *writer, const char *key, const uint8_t *values, uint64_t n);
void lp_gguf_put_i32s(lp_gguf_writer *writer, const char *key, const int32_t *values, uint64_t n);
/* Pair `index` of another file, as it is. */
void lp_gguf_put_copy(lp_gguf_writer *writer, const lp_gguf *gguf, size_t index);

/* What was put so far as a file of its own without tensors: malloc'ed, aligned for lp_gguf_parse().
 */
lp_status lp_gguf_metadata(lp_gguf_writer *writer, uint8_t **data, size_t *bytes);

/* A row of the tensor table; its data is written later, in this order. */
void lp_gguf_put_tensor(lp_gguf_writer *writer, const char *name, lp_dtype dtype, lp_shape shape);

/* Opens the file and writes everything but the data. */
lp_status lp_gguf_begin(lp_gguf_writer *writer, const char *path);
/* The next bytes of data. A tensor may come in pieces; a piece does not span tensors. Padding is
 * put between tensors. */
lp_status lp_gguf_data(lp_gguf_writer *writer, const void *data, size_t bytes);
/* Makes the file appear. LP_E_ARG if the data is not complete. */
lp_status lp_gguf_commit(lp_gguf_writer *writer);

#endif
