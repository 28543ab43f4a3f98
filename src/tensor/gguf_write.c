/* The GGUF v3 writer. Metadata and tensor table are collected in memory (megabytes at most),
 * because the header holds their counts; the data goes straight to the file. */
#include "tensor/gguf_write.h"

#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/half.h"
#include "tensor/gguf_private.h"

enum { GGUF_ALIGNMENT = 32 };

typedef struct buffer {
    uint8_t *data;
    size_t n, room;
} buffer;

struct lp_gguf_writer {
    lp_context *ctx;
    lp_status status; /* of the first failure */
    buffer pairs, table;
    uint64_t n_pairs, n_tensors;
    uint64_t *sizes; /* bytes of each tensor */
    uint64_t offset; /* where the next tensor's data would begin */
    lp_writer file;
    uint64_t tensor;  /* whose data comes next */
    uint64_t written; /* bytes of it so far */
};

lp_gguf_writer *lp_gguf_writer_create(lp_context *ctx)
{
    lp_gguf_writer *writer = calloc(1, sizeof(*writer));
    if (writer)
        writer->ctx = ctx;
    return writer;
}

void lp_gguf_writer_destroy(lp_gguf_writer *writer)
{
    if (!writer)
        return;
    lp_writer_abandon(&writer->file);
    free(writer->pairs.data);
    free(writer->table.data);
    free(writer->sizes);
    free(writer);
}

/* --- Serialising ----------------------------------------------------------------------------- */

static void put(lp_gguf_writer *writer, buffer *b, const void *data, size_t n)
{
    if (writer->status != LP_OK)
        return;
    if (n > b->room - b->n) {
        size_t room = 2 * b->room + n + 4096;
        uint8_t *grown = realloc(b->data, room);
        if (!grown) {
            writer->status = lp_fail_memory(writer->ctx, "the metadata of a GGUF file");
            return;
        }
        b->data = grown;
        b->room = room;
    }
    if (n)
        memcpy(b->data + b->n, data, n);
    b->n += n;
}

/* Little-endian on any host. */
static void put_number(lp_gguf_writer *writer, buffer *b, uint64_t value, int bytes)
{
    uint8_t data[8];
    for (int i = 0; i < bytes; i++)
        data[i] = (uint8_t)(value >> 8 * i);
    put(writer, b, data, (size_t)bytes);
}

static void put_text(lp_gguf_writer *writer, buffer *b, const char *text, size_t n)
{
    put_number(writer, b, n, 8);
    put(writer, b, text, n);
}

static void put_key(lp_gguf_writer *writer, const char *key, lp_gguf_type type)
{
    put_text(writer, &writer->pairs, key, strlen(key));
    put_number(writer, &writer->pairs, type, 4);
    writer->n_pairs++;
}

static void put_array(lp_gguf_writer *writer, const char *key, lp_gguf_type element, uint64_t n)
{
    put_key(writer, key, LP_GGUF_ARRAY);
    put_number(writer, &writer->pairs, element, 4);
    put_number(writer, &writer->pairs, n, 8);
}

void lp_gguf_put_u32(lp_gguf_writer *writer, const char *key, uint32_t value)
{
    put_key(writer, key, LP_GGUF_U32);
    put_number(writer, &writer->pairs, value, 4);
}

void lp_gguf_put_f32(lp_gguf_writer *writer, const char *key, float value)
{
    put_key(writer, key, LP_GGUF_F32);
    put_number(writer, &writer->pairs, lp_f32_bits(value), 4);
}

void lp_gguf_put_bool(lp_gguf_writer *writer, const char *key, bool value)
{
    put_key(writer, key, LP_GGUF_BOOL);
    put_number(writer, &writer->pairs, value, 1);
}

void lp_gguf_put_string(lp_gguf_writer *writer, const char *key, const char *value)
{
    put_key(writer, key, LP_GGUF_STRING);
    put_text(writer, &writer->pairs, value, strlen(value));
}

void lp_gguf_put_strings(lp_gguf_writer *writer, const char *key, const lp_gguf_string *values,
                         uint64_t n)
{
    put_array(writer, key, LP_GGUF_STRING, n);
    for (uint64_t i = 0; i < n; i++)
        put_text(writer, &writer->pairs, values[i].data, values[i].bytes);
}

void lp_gguf_put_f32s(lp_gguf_writer *writer, const char *key, const float *values, uint64_t n)
{
    put_array(writer, key, LP_GGUF_F32, n);
    for (uint64_t i = 0; i < n; i++)
        put_number(writer, &writer->pairs, lp_f32_bits(values[i]), 4);
}

void lp_gguf_put_u8s(lp_gguf_writer *writer, const char *key, const uint8_t *values, uint64_t n)
{
    put_array(writer, key, LP_GGUF_U8, n);
    put(writer, &writer->pairs, values, n);
}

void lp_gguf_put_i32s(lp_gguf_writer *writer, const char *key, const int32_t *values, uint64_t n)
{
    put_array(writer, key, LP_GGUF_I32, n);
    for (uint64_t i = 0; i < n; i++)
        put_number(writer, &writer->pairs, (uint32_t)values[i], 4);
}

void lp_gguf_put_copy(lp_gguf_writer *writer, const lp_gguf *gguf, size_t index)
{
    const lp_gguf_pair *pair = &gguf->pairs[index];
    put_text(writer, &writer->pairs, pair->key.data, pair->key.bytes);
    put_number(writer, &writer->pairs, pair->type, 4);
    if (pair->type == LP_GGUF_ARRAY) {
        put_number(writer, &writer->pairs, pair->element, 4);
        put_number(writer, &writer->pairs, pair->n, 8);
    }
    put(writer, &writer->pairs, pair->data, pair->bytes);
    writer->n_pairs++;
}

void lp_gguf_put_tensor(lp_gguf_writer *writer, const char *name, lp_dtype dtype, lp_shape shape)
{
    if (writer->status != LP_OK)
        return;
    int64_t bytes = lp_dtype_file_bytes(dtype, shape);
    if (bytes < 0 || lp_dtype_table[dtype].gguf_type < 0) {
        char text[96];
        writer->status = lp_fail(writer->ctx, LP_E_ARG, "tensor %s: %s cannot be stored as %s",
                                 name, lp_shape_print(shape, text), lp_dtype_table[dtype].name);
        return;
    }
    uint64_t *sizes = realloc(writer->sizes, (writer->n_tensors + 1) * sizeof(*sizes));
    if (!sizes) {
        writer->status = lp_fail_memory(writer->ctx, "the table of tensors");
        return;
    }
    writer->sizes = sizes;
    sizes[writer->n_tensors++] = (uint64_t)bytes;
    buffer *b = &writer->table;
    put_text(writer, b, name, strlen(name));
    put_number(writer, b, (uint32_t)shape.n, 4);
    for (int i = shape.n - 1; i >= 0; i--) /* innermost first */
        put_number(writer, b, (uint64_t)shape.dim[i], 8);
    put_number(writer, b, (uint32_t)lp_dtype_table[dtype].gguf_type, 4);
    put_number(writer, b, writer->offset, 8);
    writer->offset += ((uint64_t)bytes + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
}

/* --- Writing --------------------------------------------------------------------------------- */

/* Keeps the first failure. */
static lp_status keep(lp_gguf_writer *writer, lp_status status)
{
    if (writer->status == LP_OK)
        writer->status = status;
    return writer->status;
}

/* Passes over tensors that are complete (or empty), with their padding. */
static lp_status next_tensor(lp_gguf_writer *writer)
{
    while (writer->tensor < writer->n_tensors && writer->written == writer->sizes[writer->tensor]) {
        LP_TRY(lp_writer_align(&writer->file, GGUF_ALIGNMENT));
        writer->tensor++;
        writer->written = 0;
    }
    return LP_OK;
}

static void put_head(lp_gguf_writer *writer, buffer *head)
{
    put(writer, head, "GGUF", 4);
    put_number(writer, head, 3, 4);
    put_number(writer, head, writer->n_tensors, 8);
    put_number(writer, head, writer->n_pairs, 8);
}

lp_status lp_gguf_metadata(lp_gguf_writer *writer, uint8_t **data, size_t *bytes)
{
    buffer all = {0};
    put_head(writer, &all);
    put(writer, &all, writer->pairs.data, writer->pairs.n);
    *data = all.data;
    *bytes = all.n;
    return writer->status;
}

static lp_status write_head(lp_gguf_writer *writer, const char *path)
{
    buffer head = {0};
    put_head(writer, &head);
    lp_status status = writer->status;
    if (status == LP_OK)
        status = lp_writer_open(writer->ctx, path, &writer->file);
    if (status == LP_OK)
        status = lp_writer_write(&writer->file, head.data, head.n);
    free(head.data);
    LP_TRY(status);
    LP_TRY(lp_writer_write(&writer->file, writer->pairs.data, writer->pairs.n));
    LP_TRY(lp_writer_write(&writer->file, writer->table.data, writer->table.n));
    LP_TRY(lp_writer_align(&writer->file, GGUF_ALIGNMENT));
    return next_tensor(writer);
}

lp_status lp_gguf_begin(lp_gguf_writer *writer, const char *path)
{
    if (writer->status != LP_OK)
        return writer->status;
    return keep(writer, write_head(writer, path));
}

lp_status lp_gguf_data(lp_gguf_writer *writer, const void *data, size_t bytes)
{
    if (writer->status != LP_OK || bytes == 0)
        return writer->status;
    uint64_t room =
        writer->tensor < writer->n_tensors ? writer->sizes[writer->tensor] - writer->written : 0;
    if (bytes > room)
        return keep(writer, lp_fail(writer->ctx, LP_E_ARG,
                                    "tensor number %llu: more data than the table says",
                                    (unsigned long long)writer->tensor));
    keep(writer, lp_writer_write(&writer->file, data, bytes));
    writer->written += bytes;
    return writer->status == LP_OK ? keep(writer, next_tensor(writer)) : writer->status;
}

lp_status lp_gguf_commit(lp_gguf_writer *writer)
{
    if (writer->status == LP_OK && (!writer->file.stream || writer->tensor < writer->n_tensors))
        keep(writer,
             lp_fail(writer->ctx, LP_E_ARG, "tensor number %llu: less data than the table says",
                     (unsigned long long)writer->tensor));
    if (writer->status == LP_OK)
        keep(writer, lp_writer_commit(&writer->file));
    return writer->status;
}
