/* Opens a tokenizer by what lies at a path: a GGUF file, a folder, or one of a folder's files. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "text/tokenizer_build.h"

/* Where a part may lie, the usual name first. */
static const char *const names[LP_N_PARTS][4] = {
    [LP_PART_JSON] = {"tokenizer.json"},
    [LP_PART_CONFIG] = {"tokenizer_config.json"},
    [LP_PART_SPECIAL] = {"special_tokens_map.json"},
    [LP_PART_ADDED] = {"added_tokens.json"},
    [LP_PART_MODEL_CONFIG] = {"config.json"},
    [LP_PART_VOCAB_TXT] = {"vocab.txt"},
    [LP_PART_VOCAB_JSON] = {"vocab.json"},
    [LP_PART_MERGES] = {"merges.txt"},
    [LP_PART_PIECES] = {"spiece.model", "tokenizer.model", "sentencepiece.bpe.model",
                        "sentencepiece.model"},
    [LP_PART_SOURCE] = {"source.spm"},
};

/* The files of a folder, mapped. */
typedef struct folder_files {
    char *paths[LP_N_PARTS];
    lp_file files[LP_N_PARTS];
    lp_tokenizer_file parts[LP_N_PARTS];
} folder_files;

static void close_parts(folder_files *f)
{
    for (int i = 0; i < LP_N_PARTS; i++) {
        lp_file_close(&f->files[i]);
        free(f->paths[i]);
    }
}

/* A part from the file at `path`, which becomes the list's; no data if it is not there. */
static lp_status open_part(lp_context *ctx, folder_files *f, lp_tokenizer_part part, char *path)
{
    free(f->paths[part]);
    f->paths[part] = path;
    if (!path)
        return lp_fail_memory(ctx, "a path");
    f->parts[part] = (lp_tokenizer_file){.path = path};
    if (access(path, F_OK) != 0)
        return LP_OK;
    lp_file_close(&f->files[part]);
    f->files[part] = (lp_file){0};
    LP_TRY(lp_file_open(ctx, path, &f->files[part]));
    f->parts[part].data = f->files[part].data ? (const char *)f->files[part].data : "";
    f->parts[part].bytes = f->files[part].bytes;
    return LP_OK;
}

static lp_status open_parts(lp_context *ctx, const char *folder, folder_files *f)
{
    for (int i = 0; i < LP_N_PARTS; i++)
        for (int k = 0; k < 4 && names[i][k] && !f->parts[i].data; k++)
            LP_TRY(open_part(ctx, f, (lp_tokenizer_part)i, lp_path_join(folder, names[i][k])));
    return LP_OK;
}

static void mark_end(lp_tokenizer *tokenizer, yyjson_val *id)
{
    if (yyjson_is_uint(id) && yyjson_get_uint(id) < tokenizer->vocab.n)
        tokenizer->vocab.tokens[yyjson_get_uint(id)].flags |= LP_TOKEN_END;
}

/* generation_config.json may say which tokens end an answer: a number, or a list of them. */
static lp_status read_ends(lp_context *ctx, const char *folder, lp_tokenizer *tokenizer)
{
    lp_status status = LP_OK;
    yyjson_doc *doc = NULL;
    char *path = lp_path_join(folder, "generation_config.json");
    if (!path)
        return lp_fail_memory(ctx, "a path");
    if (access(path, F_OK) == 0) {
        LP_CHECK(lp_json_open(ctx, path, &doc));
        yyjson_val *ends = yyjson_obj_get(yyjson_doc_get_root(doc), "eos_token_id"), *id;
        size_t i, n;
        mark_end(tokenizer, ends);
        yyjson_arr_foreach(ends, i, n, id) mark_end(tokenizer, id);
    }
cleanup:
    yyjson_doc_free(doc);
    free(path);
    return status;
}

lp_status lp_tokenizer_from_folder(lp_context *ctx, const char *folder, lp_tokenizer **tokenizer)
{
    lp_status status = LP_OK;
    folder_files f = {0};
    *tokenizer = NULL;
    LP_CHECK(open_parts(ctx, folder, &f));
    LP_CHECK(lp_tokenizer_from_parts(ctx, folder, f.parts, tokenizer));
    LP_CHECK(read_ends(ctx, folder, *tokenizer));
cleanup:
    if (status != LP_OK) {
        lp_tokenizer_destroy(*tokenizer);
        *tokenizer = NULL;
    }
    close_parts(&f);
    return status;
}

lp_status lp_tokenizer_target_from_folder(lp_context *ctx, const char *folder,
                                          lp_tokenizer **tokenizer)
{
    lp_status status = LP_OK;
    folder_files f = {0};
    char *own = lp_path_join(folder, "target_vocab.json");
    *tokenizer = NULL;
    LP_CHECK(open_parts(ctx, folder, &f));
    LP_CHECK(open_part(ctx, &f, LP_PART_SOURCE, lp_path_join(folder, "target.spm")));
    if (own && access(own, F_OK) == 0) { /* the languages do not share their ids */
        char *path = own;
        own = NULL;
        LP_CHECK(open_part(ctx, &f, LP_PART_VOCAB_JSON, path));
    }
    f.parts[LP_PART_JSON].data = NULL;
    if (!f.parts[LP_PART_SOURCE].data)
        LP_CHECK(lp_fail(ctx, LP_E_MISSING, "%s is missing", f.parts[LP_PART_SOURCE].path));
    LP_CHECK(lp_tokenizer_from_parts(ctx, folder, f.parts, tokenizer));
cleanup:
    free(own);
    close_parts(&f);
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

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

/* What a single file is, by its name. */
static lp_tokenizer_part part_of(const char *path)
{
    if (ends_with(path, ".model") || ends_with(path, ".spm"))
        return LP_PART_PIECES;
    if (ends_with(path, "vocab.json") || ends_with(path, "merges.txt"))
        return LP_PART_VOCAB_JSON;
    return ends_with(path, ".txt") ? LP_PART_VOCAB_TXT : LP_PART_JSON;
}

/* One file of a folder: it is the one that counts, and the small files beside it still help. */
static lp_status open_single(lp_context *ctx, const char *path, lp_tokenizer **tokenizer)
{
    lp_status status = LP_OK;
    folder_files f = {0};
    lp_tokenizer_part part = part_of(path);
    const char *slash = strrchr(path, '/');
    char *folder = slash == path ? strdup("/")
                   : slash       ? strndup(path, (size_t)(slash - path))
                                 : strdup(".");
    if (!folder)
        LP_CHECK(lp_fail_memory(ctx, path));
    LP_CHECK(open_parts(ctx, folder, &f));
    for (int i = 0; i < LP_N_PARTS; i++)
        if (i == LP_PART_JSON || i >= LP_PART_VOCAB_TXT)
            if (part != LP_PART_VOCAB_JSON || (i != LP_PART_VOCAB_JSON && i != LP_PART_MERGES))
                f.parts[i].data = NULL;
    if (part != LP_PART_VOCAB_JSON)
        LP_CHECK(open_part(ctx, &f, part, strdup(path)));
    LP_CHECK(lp_tokenizer_from_parts(ctx, path, f.parts, tokenizer));
cleanup:
    close_parts(&f);
    free(folder);
    return status;
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
    return gguf ? open_gguf(ctx, path, tokenizer) : open_single(ctx, path, tokenizer);
}
