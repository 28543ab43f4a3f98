/* The weights of a Hugging Face folder: one file, or shards and an index of them, in the formats of
 * the table below, the better one first. Folders come from downloads, so the shard names in an
 * index are hostile. */
#include "tensor/weights_folder.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "tensor/safetensors.h"
#include "tensor/torch_file.h"

enum { MAX_SHARDS = 4096 };

typedef struct format {
    const char *single, *index, *suffix;
    lp_status (*open)(lp_context *ctx, const char *path, lp_weights *weights);
} format;

static const format formats[] = {
    {"model.safetensors", "model.safetensors.index.json", ".safetensors", lp_safetensors_open},
    {"pytorch_model.bin", "pytorch_model.bin.index.json", ".bin", lp_torch_open},
};

/* A shard is a file beside the index, nothing else. Links are followed: download caches use them.
 */
static bool is_shard_name(const format *form, yyjson_val *value)
{
    const char *name = yyjson_get_str(value);
    size_t n = yyjson_get_len(value), m = strlen(form->suffix);
    return name && n > m && n < 256 && strlen(name) == n && !strpbrk(name, "/\\") &&
           strcmp(name + n - m, form->suffix) == 0;
}

/* Opens each shard once, in the order of the index. */
static lp_status open_shards(lp_context *ctx, const format *form, const char *folder,
                             const char *index, yyjson_val *map, lp_weights *weights)
{
    lp_status status = LP_OK;
    size_t n_shards = 0, i, n;
    const char **shards = calloc(MAX_SHARDS, sizeof(*shards));
    if (!shards)
        return lp_fail_memory(ctx, index);
    yyjson_val *key, *value;
    yyjson_obj_foreach(map, i, n, key, value)
    {
        if (!is_shard_name(form, value)) {
            status = lp_fail(ctx, LP_E_FORMAT,
                             "%s: tensor %s: its shard must be the name of a %s file in the same "
                             "folder",
                             index, yyjson_get_str(key), form->suffix);
            goto cleanup;
        }
        const char *name = yyjson_get_str(value);
        size_t shard = n_shards; /* the latest first: tensors of one shard are neighbours */
        while (shard > 0 && strcmp(shards[shard - 1], name) != 0)
            shard--;
        if (shard > 0)
            continue;
        if (n_shards == MAX_SHARDS) {
            status = lp_fail(ctx, LP_E_LIMIT, "%s: more than %d shards", index, MAX_SHARDS);
            goto cleanup;
        }
        shards[n_shards++] = name;
        char *path = lp_path_join(folder, name);
        status = path ? form->open(ctx, path, weights) : lp_fail_memory(ctx, index);
        free(path);
        if (status != LP_OK)
            goto cleanup;
    }
cleanup:
    free(shards);
    return status;
}

/* Whether every tensor of the index lies in the shard that the index names. */
static lp_status check_index(lp_context *ctx, const char *index, yyjson_val *map,
                             const lp_weights *weights)
{
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(map, i, n, key, value)
    {
        const lp_weight *weight = lp_weights_find(weights, yyjson_get_str(key));
        if (!weight)
            return lp_fail(ctx, LP_E_MISSING, "%s: tensor %s is not in its shard %s", index,
                           yyjson_get_str(key), yyjson_get_str(value));
        const char *slash = strrchr(weight->file, '/');
        const char *file = slash ? slash + 1 : weight->file;
        if (strcmp(file, yyjson_get_str(value)) != 0)
            return lp_fail(ctx, LP_E_FORMAT, "%s: tensor %s is in shard %s, the index says %s",
                           index, weight->name, file, yyjson_get_str(value));
    }
    return LP_OK;
}

static lp_status open_index(lp_context *ctx, const format *form, const char *folder,
                            const char *index, lp_weights *weights)
{
    yyjson_doc *doc;
    yyjson_val *map;
    LP_TRY(lp_json_open(ctx, index, &doc));
    lp_status status = LP_OK;
    LP_CHECK(lp_json_get_object(ctx, index, yyjson_doc_get_root(doc), "weight_map",
                                LP_JSON_REQUIRED, &map));
    if (yyjson_obj_size(map) == 0) {
        status = lp_fail(ctx, LP_E_FORMAT, "%s: weight_map is empty", index);
        goto cleanup;
    }
    LP_CHECK(open_shards(ctx, form, folder, index, map, weights));
    LP_CHECK(check_index(ctx, index, map, weights));
cleanup:
    yyjson_doc_free(doc);
    return status;
}

/* *found: whether the folder has this format. */
static lp_status open_format(lp_context *ctx, const format *form, const char *folder,
                             lp_weights *weights, bool *found)
{
    char *single = lp_path_join(folder, form->single), *index = lp_path_join(folder, form->index);
    lp_status status = LP_OK;
    *found = true;
    if (!single || !index)
        status = lp_fail_memory(ctx, folder);
    else if (access(single, F_OK) == 0)
        status = form->open(ctx, single, weights);
    else if (access(index, F_OK) == 0)
        status = open_index(ctx, form, folder, index, weights);
    else
        *found = false;
    free(single);
    free(index);
    return status;
}

lp_status lp_weights_open_folder(lp_context *ctx, const char *folder, lp_weights *weights)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        bool found;
        lp_status status = open_format(ctx, &formats[i], folder, weights, &found);
        if (status != LP_OK || found)
            return status;
    }
    return lp_fail(ctx, LP_E_MISSING, "%s: neither %s nor %s is there, nor an index of shards (%s)",
                   folder, formats[0].single, formats[1].single, formats[0].index);
}
