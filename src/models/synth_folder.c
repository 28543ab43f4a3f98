/* Folders with random weights for any config.json that is understood: see synth_sketch.h for their
 * tensors, synth.c for their numbers. The data is made in pieces and streamed. */
#define _POSIX_C_SOURCE 200809L
#include "models/synth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "models/synth_sketch.h"

#define PIECE ((size_t)1 << 20) /* elements made and written at once */

typedef struct job {
    lp_context *ctx;
    lp_dtype type;
    uint64_t seed, done, total; /* bytes */
    lp_progress_fn progress;
    void *user;
} job;

static lp_status copy_file(lp_context *ctx, const char *from, const char *to)
{
    lp_file file;
    lp_writer writer = {0};
    LP_TRY(lp_file_open(ctx, from, &file));
    lp_status status = lp_writer_open(ctx, to, &writer);
    if (status == LP_OK)
        status = lp_writer_write(&writer, file.data, file.bytes);
    if (status == LP_OK)
        status = lp_writer_commit(&writer);
    lp_writer_abandon(&writer);
    lp_file_close(&file);
    return status;
}

/* config.json and what tokenizers are made of. */
static const char *const names[] = {"config.json",
                                    "tokenizer.json",
                                    "tokenizer_config.json",
                                    "vocab.txt",
                                    "vocab.json",
                                    "merges.txt",
                                    "spiece.model",
                                    "tokenizer.model",
                                    "source.spm",
                                    "target.spm",
                                    "added_tokens.json",
                                    "special_tokens_map.json",
                                    "generation_config.json",
                                    "chat_template.jinja"};
enum { N_NAMES = sizeof names / sizeof names[0] };

static lp_status copy_files(lp_context *ctx, const char *config, const char *folder, const char *to)
{
    lp_status status = LP_OK;
    for (size_t i = 0; i < N_NAMES && status == LP_OK; i++) {
        char *own = folder ? lp_path_join(folder, names[i]) : NULL;
        char *target = lp_path_join(to, names[i]);
        const char *from = i == 0 ? config : own;
        if (!target || (folder && !own))
            status = lp_fail_memory(ctx, "a path");
        else if (from && access(from, F_OK) == 0)
            status = copy_file(ctx, from, target);
        free(own);
        free(target);
    }
    return status;
}

static uint64_t bytes_of(const job *j, const lp_sketch_tensor *t)
{
    return (uint64_t)lp_shape_elements(t->shape) * lp_dtype_table[j->type].bytes;
}

/* The table of tensors before the data: its length, then JSON, filled up with spaces. */
static lp_status write_table(job *j, const lp_sketch *sketch, lp_writer *writer)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    yyjson_mut_doc_set_root(doc, root);
    bool done = root != NULL;
    for (size_t i = 0; i < sketch->n && done; i++) {
        const lp_sketch_tensor *t = &sketch->tensors[i];
        const uint64_t places[] = {j->total, j->total + bytes_of(j, t)};
        yyjson_mut_val *one = yyjson_mut_obj_add_obj(doc, root, t->name);
        done = one && yyjson_mut_obj_add_str(doc, one, "dtype", lp_dtype_table[j->type].name) &&
               yyjson_mut_obj_add_val(
                   doc, one, "shape",
                   yyjson_mut_arr_with_sint64(doc, t->shape.dim, (size_t)t->shape.n)) &&
               yyjson_mut_obj_add_val(doc, one, "data_offsets",
                                      yyjson_mut_arr_with_uint64(doc, places, 2));
        j->total = places[1];
    }
    size_t n = 0;
    char *text = done ? yyjson_mut_write(doc, 0, &n) : NULL;
    yyjson_mut_doc_free(doc);
    if (!text)
        return lp_fail_memory(j->ctx, "the table of tensors");
    const uint64_t filled = (n + 7) / 8 * 8;
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(filled >> 8 * i);
    lp_status status = lp_writer_write(writer, length, 8);
    if (status == LP_OK)
        status = lp_writer_write(writer, text, n);
    if (status == LP_OK)
        status = lp_writer_write(writer, "       ", filled - n);
    free(text);
    return status;
}

static lp_status write_tensor(job *j, const lp_sketch_tensor *t, uint64_t stream, float *values,
                              uint8_t *packed, lp_writer *writer)
{
    const lp_dtype_info *info = &lp_dtype_table[j->type];
    const uint64_t n = (uint64_t)lp_shape_elements(t->shape);
    for (uint64_t first = 0; first < n; first += PIECE) {
        const size_t count = n - first < PIECE ? (size_t)(n - first) : PIECE;
        lp_synth_fill(stream, t->mean, t->deviation, first, values, count);
        info->from_f32(values, packed, count);
        LP_TRY(lp_writer_write(writer, packed, count * info->bytes));
        j->done += count * info->bytes;
        if (j->progress && j->progress(j->user, j->done, j->total))
            return lp_fail(j->ctx, LP_E_CANCELLED, "cancelled");
    }
    return LP_OK;
}

static lp_status write_weights(job *j, const lp_sketch *sketch, const char *path)
{
    lp_writer writer = {0};
    float *values = malloc(PIECE * sizeof *values);
    uint8_t *packed = malloc(PIECE * sizeof *values);
    lp_status status = values && packed ? lp_writer_open(j->ctx, path, &writer)
                                        : lp_fail_memory(j->ctx, "a piece of a tensor");
    if (status == LP_OK)
        status = write_table(j, sketch, &writer);
    for (size_t i = 0; i < sketch->n && status == LP_OK; i++)
        status = write_tensor(j, &sketch->tensors[i], lp_synth_stream(j->seed, i), values, packed,
                              &writer);
    if (status == LP_OK)
        status = lp_writer_commit(&writer);
    lp_writer_abandon(&writer);
    free(values);
    free(packed);
    return status;
}

lp_status lp_synth_folder(lp_context *ctx, const char *from, lp_dtype type, uint64_t seed,
                          const char *to, lp_progress_fn progress, void *user)
{
    const bool folder = lp_path_is_folder(from);
    job j = {.ctx = ctx, .type = type, .seed = seed, .progress = progress, .user = user};
    lp_sketch *sketch = NULL;
    if (type != LP_F32 && type != LP_F16 && type != LP_BF16)
        return lp_fail(ctx, LP_E_ARG, "weights of a folder are F32, F16 or BF16");
    char *config = folder ? lp_path_join(from, "config.json") : strdup(from);
    char *weights = lp_path_join(to, "model.safetensors");
    lp_status status = config && weights ? LP_OK : lp_fail_memory(ctx, "a path");
    if (status == LP_OK)
        status = lp_sketch_open(ctx, config, &sketch);
    if (status == LP_OK && mkdir(to, 0777) != 0)
        status = lp_fail(ctx, LP_E_IO, "%s: %s", to, strerror(errno));
    if (status == LP_OK)
        status = copy_files(ctx, config, folder ? from : NULL, to);
    if (status == LP_OK)
        status = write_weights(&j, sketch, weights);
    lp_sketch_destroy(sketch);
    free(config);
    free(weights);
    return status;
}

void lp_synth_folder_remove(const char *folder)
{
    for (size_t i = 0; i <= N_NAMES; i++) {
        char *path = lp_path_join(folder, i < N_NAMES ? names[i] : "model.safetensors");
        if (path)
            unlink(path);
        free(path);
    }
    rmdir(folder);
}
