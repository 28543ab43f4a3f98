/* Opens a tokenizer by what lies at a path: a GGUF file, a folder, or one of a folder's files. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "text/tokenizer_build.h"

/* A file of a folder, mapped; no data if it is not there. */
static lp_status open_optional(lp_context *ctx, const char *path, lp_file *file,
                               lp_tokenizer_file *contents)
{
    *contents = (lp_tokenizer_file){.path = path};
    if (access(path, F_OK) != 0)
        return LP_OK;
    LP_TRY(lp_file_open(ctx, path, file));
    contents->data = file->data ? (const char *)file->data : "";
    contents->bytes = file->bytes;
    return LP_OK;
}

/* tokenizer.json at `path`, tokenizer_config.json in `folder`. */
static lp_status open_json(lp_context *ctx, const char *path, const char *folder,
                           lp_tokenizer **tokenizer)
{
    lp_status status = LP_OK;
    lp_file json = {0}, config = {0};
    lp_tokenizer_file contents = {.path = path}, config_contents;
    char *config_path = lp_path_join(folder, "tokenizer_config.json");

    if (!config_path)
        LP_CHECK(lp_fail_memory(ctx, folder));
    LP_CHECK(lp_file_open(ctx, path, &json));
    contents.data = json.data ? (const char *)json.data : "";
    contents.bytes = json.bytes;
    LP_CHECK(open_optional(ctx, config_path, &config, &config_contents));
    LP_CHECK(lp_tokenizer_from_json(ctx, contents, config_contents, tokenizer));
cleanup:
    lp_file_close(&config);
    lp_file_close(&json);
    free(config_path);
    return status;
}

lp_status lp_tokenizer_from_folder(lp_context *ctx, const char *folder, lp_tokenizer **tokenizer)
{
    char *path = lp_path_join(folder, "tokenizer.json");
    *tokenizer = NULL;
    if (!path)
        return lp_fail_memory(ctx, folder);
    lp_status status = open_json(ctx, path, folder, tokenizer);
    free(path);
    return status;
}

static lp_status open_gguf(lp_context *ctx, const char *path, lp_tokenizer **tokenizer)
{
    lp_gguf *gguf = NULL;
    lp_weights *weights = lp_weights_create();
    lp_status status =
        weights ? lp_gguf_open(ctx, path, weights, &gguf) : lp_fail_memory(ctx, path);
    if (status == LP_OK) {
        status = lp_tokenizer_from_gguf(ctx, gguf, tokenizer);
        if (status != LP_OK) /* the message names the key; the file's name goes before it */
            lp_fail(ctx, status, "%s: %s", path, ctx->message);
    }
    lp_gguf_destroy(gguf);
    lp_weights_destroy(weights);
    return status;
}

/* Malloc'ed folder of a file. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == path ? strdup("/")
           : slash       ? strndup(path, (size_t)(slash - path))
                         : strdup(".");
}

lp_status lp_tokenizer_open(lp_context *ctx, const char *path, lp_tokenizer **tokenizer)
{
    lp_file file = {0};
    *tokenizer = NULL;
    if (lp_path_is_folder(path))
        return lp_tokenizer_from_folder(ctx, path, tokenizer);
    LP_TRY(lp_file_open(ctx, path, &file));
    bool gguf = file.bytes >= 4 && memcmp(file.data, "GGUF", 4) == 0;
    lp_file_close(&file);
    if (gguf)
        return open_gguf(ctx, path, tokenizer);
    char *folder = folder_of(path);
    if (!folder)
        return lp_fail_memory(ctx, path);
    lp_status status = open_json(ctx, path, folder, tokenizer);
    free(folder);
    return status;
}
