/* Digests, see digest.h. */
#include "check/digest.h"

#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

static void finish(struct sha256_ctx *sha, char text[LP_DIGEST_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[SHA256_DIGEST_SIZE];
    sha256_digest(sha, sizeof bytes, bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * sizeof bytes] = '\0';
}

void lp_digest_bytes(const void *data, size_t bytes, char text[LP_DIGEST_TEXT])
{
    struct sha256_ctx sha;
    sha256_init(&sha);
    sha256_update(&sha, bytes, data);
    finish(&sha, text);
}

lp_status lp_digest_floats(lp_context *ctx, lp_arena *arena, float *const values[],
                           const uint64_t n[], int count, const char **text)
{
    struct sha256_ctx sha;
    char digest[LP_DIGEST_TEXT];
    sha256_init(&sha);
    for (int i = 0; i < count; i++)
        if (values[i] != NULL)
            sha256_update(&sha, n[i] * sizeof(float), (const uint8_t *)values[i]);
    finish(&sha, digest);
    *text = lp_arena_strdup(arena, digest);
    return *text != NULL ? LP_OK : lp_fail_memory(ctx, "a digest");
}

/* Pages are given back on the way: a model may be larger than memory. */
static lp_status digest_file(lp_context *ctx, const char *path, char text[LP_DIGEST_TEXT])
{
    enum { PIECE = 1 << 24 };
    lp_file file;
    struct sha256_ctx sha;
    LP_TRY(lp_file_open(ctx, path, &file));
    sha256_init(&sha);
    for (size_t at = 0; at < file.bytes; at += PIECE) {
        const size_t n = file.bytes - at < PIECE ? file.bytes - at : PIECE;
        sha256_update(&sha, n, file.data + at);
        lp_file_forget(file.data + at, n);
    }
    finish(&sha, text);
    lp_file_close(&file);
    return LP_OK;
}

/* ---- A folder ------------------------------------------------------------------------------ */

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(name_of(*(char *const *)a), name_of(*(char *const *)b));
}

/* Adds a copy of `path` (NULL: out of memory) unless it is there already. */
static lp_status add_path(lp_context *ctx, char *paths[], size_t *n, const char *path)
{
    if (path == NULL)
        return lp_fail_memory(ctx, "names of files");
    for (size_t i = 0; i < *n; i++)
        if (strcmp(paths[i], path) == 0)
            return LP_OK;
    paths[*n] = strdup(path);
    if (paths[*n] == NULL)
        return lp_fail_memory(ctx, "names of files");
    ++*n;
    return LP_OK;
}

static lp_status digest_folder(lp_context *ctx, const lp_network *network,
                               char text[LP_DIGEST_TEXT])
{
    static const char *const others[] = {"config.json", "tokenizer.json", "tokenizer_config.json"};
    enum { N_OTHERS = sizeof others / sizeof *others };
    lp_status status = LP_OK;
    const size_t n_weights = lp_weights_count(network->weights);
    lp_text list = {0};
    char *lines = NULL, *other = NULL, **paths = calloc(n_weights + N_OTHERS, sizeof *paths);
    size_t n = 0;
    if (paths == NULL)
        return lp_fail_memory(ctx, "names of files");
    for (int i = 0; i < N_OTHERS; i++) {
        lp_file file;
        other = lp_path_join(network->path, others[i]);
        if (other != NULL && lp_file_open(ctx, other, &file) == LP_OK) {
            lp_file_close(&file);
            LP_CHECK(add_path(ctx, paths, &n, other));
        }
        free(other);
        other = NULL;
    }
    for (size_t i = 0; i < n_weights; i++) {
        const lp_weight *w = lp_weights_at(network->weights, i);
        if (w->file != NULL)
            LP_CHECK(add_path(ctx, paths, &n, w->file));
    }
    qsort(paths, n, sizeof *paths, by_name);
    for (size_t i = 0; i < n; i++) {
        LP_CHECK(digest_file(ctx, paths[i], text));
        lp_text_printf(&list, "%s  %s\n", text, name_of(paths[i]));
    }
    lines = lp_text_take(&list);
    if (lines == NULL)
        status = lp_fail_memory(ctx, "a digest");
    else
        lp_digest_bytes(lines, strlen(lines), text);
cleanup:
    free(lines);
    free(lp_text_take(&list));
    free(other);
    for (size_t i = 0; i < n; i++)
        free(paths[i]);
    free(paths);
    return status;
}

/* `text`: of the model, then of the model with its adapters. */
static lp_status digest_adapters(lp_context *ctx, const lp_adapters *adapters,
                                 char text[LP_DIGEST_TEXT])
{
    lp_text list = {0};
    lp_text_printf(&list, "%s  model\n", text);
    for (size_t i = 0; i < adapters->n_pairs; i++) {
        const lp_low_rank *pair = &adapters->pairs[i];
        const lp_weight *const both[] = {&pair->a, &pair->b};
        for (int m = 0; m < 2; m++) {
            lp_digest_bytes(both[m]->data, both[m]->bytes, text);
            lp_text_printf(&list, "%s  %s  %.9g\n", text, both[m]->name, (double)pair->factor);
        }
    }
    char *lines = lp_text_take(&list);
    if (lines == NULL)
        return lp_fail_memory(ctx, "a digest");
    lp_digest_bytes(lines, strlen(lines), text);
    free(lines);
    return LP_OK;
}

lp_status lp_digest_model(lp_context *ctx, const lp_network *network, char text[LP_DIGEST_TEXT])
{
    LP_TRY(network->gguf != NULL ? digest_file(ctx, network->path, text)
                                 : digest_folder(ctx, network, text));
    return network->adapters.n > 0 ? digest_adapters(ctx, &network->adapters, text) : LP_OK;
}
