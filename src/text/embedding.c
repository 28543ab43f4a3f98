/* Pooling, normalising, guessing: see embedding.h. */
#include "text/embedding.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "check/compare.h"

/* ---- What the files say -------------------------------------------------------------------- */

typedef struct reader {
    lp_context *ctx;
    const char *folder;
    lp_embedding *embedding;
} reader;

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* The config.json of a Pooling module: one flag per way, of which one must be set; since version 5
 * of sentence-transformers one name. */
static lp_status read_flags(const reader *r, const char *where, yyjson_val *root)
{
    static const struct {
        const char *flag, *name;
        int pooling; /* LP_N_POOLINGS: not here */
    } ways[] = {
        {"pooling_mode_mean_tokens", "mean", LP_POOLING_MEAN},
        {"pooling_mode_cls_token", "cls", LP_POOLING_CLS},
        {"pooling_mode_lasttoken", "lasttoken", LP_POOLING_LAST},
        {"pooling_mode_max_tokens", "max", LP_N_POOLINGS},
        {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", LP_N_POOLINGS},
        {"pooling_mode_weightedmean_tokens", "weightedmean", LP_N_POOLINGS},
    };
    const char *mode = NULL, *found = NULL;
    LP_TRY(lp_json_get_string(r->ctx, where, root, "pooling_mode", LP_JSON_OPTIONAL, &mode));
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        bool set = mode != NULL && strcmp(mode, ways[i].name) == 0;
        LP_TRY(lp_json_get_bool(r->ctx, where, root, ways[i].flag, LP_JSON_OPTIONAL, &set));
        if (!set)
            continue;
        if (found != NULL || ways[i].pooling == LP_N_POOLINGS)
            return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: %s%s%s is not supported", where,
                           found ? found : "", found ? " and " : "", ways[i].flag);
        found = ways[i].flag;
        r->embedding->pooling = (lp_pooling)ways[i].pooling;
    }
    if (found == NULL)
        return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: no way of pooling that is known", where);
    return LP_OK;
}

static lp_status read_pooling(const reader *r, const char *path)
{
    char inner[256];
    yyjson_doc *doc = NULL;
    if (path[0] == '/' || strstr(path, "..") != NULL || strlen(path) > 200)
        return lp_fail(r->ctx, LP_E_FORMAT,
                       "%s/modules.json: path \"%.60s\" leads out of the folder", r->folder, path);
    snprintf(inner, sizeof inner, "%s/config.json", path);
    char *where = lp_path_join(r->folder, inner);
    if (where == NULL)
        return lp_fail_memory(r->ctx, "a path");
    lp_status status = lp_json_open(r->ctx, where, &doc);
    if (status == LP_OK)
        status = read_flags(r, where, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    free(where);
    return status;
}

/* sentence-transformers' list of what comes behind each other. */
static lp_status read_modules(const reader *r, const char *where, yyjson_val *modules)
{
    size_t i, n;
    yyjson_val *module;
    if (!yyjson_is_arr(modules))
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: a list of modules is expected", where);
    r->embedding->normalised = false;
    yyjson_arr_foreach(modules, i, n, module)
    {
        const char *type = NULL, *path = "";
        if (!yyjson_is_obj(module))
            return lp_fail(r->ctx, LP_E_FORMAT, "%s: module %zu is no object", where, i);
        LP_TRY(lp_json_get_string(r->ctx, where, module, "type", LP_JSON_REQUIRED, &type));
        LP_TRY(lp_json_get_string(r->ctx, where, module, "path", LP_JSON_OPTIONAL, &path));
        if (ends_with(type, ".Pooling"))
            LP_TRY(read_pooling(r, path));
        else if (ends_with(type, ".Normalize"))
            r->embedding->normalised = true;
        else if (!ends_with(type, ".Transformer"))
            return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s: module \"%.80s\" is not supported", where,
                           type);
    }
    return LP_OK;
}

/* {"max_seq_length": 256, ...}, also null: sentence-transformers cuts longer texts there. */
static lp_status read_length(const reader *r)
{
    yyjson_doc *doc = NULL;
    lp_status status = LP_OK;
    char *where = lp_path_join(r->folder, "sentence_bert_config.json");
    if (where == NULL)
        return lp_fail_memory(r->ctx, "a path");
    if (lp_path_exists(where))
        status = lp_json_open(r->ctx, where, &doc);
    yyjson_val *length = yyjson_obj_get(yyjson_doc_get_root(doc), "max_seq_length");
    if (status == LP_OK && length != NULL && !yyjson_is_null(length)) {
        const uint64_t n = yyjson_get_uint(length); /* 0 for what is none */
        r->embedding->max_tokens = (uint32_t)n;
        if (n < 2 || n > UINT32_MAX)
            status =
                lp_fail(r->ctx, LP_E_FORMAT, "%s: max_seq_length is no number of tokens", where);
    }
    yyjson_doc_free(doc);
    free(where);
    return status;
}

static lp_status read_folder(const reader *r)
{
    lp_file file;
    yyjson_read_err error = {0};
    char *where = lp_path_join(r->folder, "modules.json");
    if (where == NULL)
        return lp_fail_memory(r->ctx, "a path");
    if (!lp_path_exists(where)) {
        free(where);
        return LP_OK;
    }
    lp_status status = lp_file_open(r->ctx, where, &file);
    if (status == LP_OK) {
        yyjson_doc *doc = NULL;
        if (file.bytes > 0) /* without YYJSON_READ_INSITU the text is not changed */
            doc = yyjson_read_opts((char *)(uintptr_t)file.data, file.bytes, 0, NULL, &error);
        status = doc != NULL ? read_modules(r, where, yyjson_doc_get_root(doc))
                             : lp_fail(r->ctx, LP_E_FORMAT, "%s: JSON: %s", where,
                                       error.msg != NULL ? error.msg : "nothing found");
        yyjson_doc_free(doc);
        lp_file_close(&file);
    }
    free(where);
    return status == LP_OK ? read_length(r) : status;
}

/* The numbers are those of the GGUF specification. */
static lp_status read_gguf(const reader *r, const lp_network *network)
{
    char key[96];
    uint32_t type = 0;
    snprintf(key, sizeof key, "%.60s.pooling_type", network->hparams.arch->gguf);
    if (!lp_gguf_get_u32(network->gguf, key, &type) || type == 0)
        return LP_OK;
    if (type > 3)
        return lp_fail(r->ctx, LP_E_UNSUPPORTED,
                       "%s: %s is %u; 1 (mean), 2 (cls) and 3 (last) are supported", network->path,
                       key, type);
    r->embedding->pooling = type == 1   ? LP_POOLING_MEAN
                            : type == 2 ? LP_POOLING_CLS
                                        : LP_POOLING_LAST;
    return LP_OK;
}

lp_status lp_embedding_of(lp_context *ctx, const lp_network *network, lp_embedding *embedding)
{
    const reader r = {ctx, network->path, embedding};
    *embedding =
        (lp_embedding){.pooling = network->hparams.both_ways ? LP_POOLING_MEAN : LP_POOLING_LAST,
                       .normalised = true};
    if (network->hparams.picture.patch > 0 || network->hparams.n_projected > 0) {
        embedding->pooling = lp_network_has_pooled(network)              ? LP_POOLING_POOLER
                             : lp_hparams_reads_texts(&network->hparams) ? LP_POOLING_LAST
                                                                         : LP_POOLING_CLS;
        return LP_OK;
    }
    return network->gguf != NULL ? read_gguf(&r, network) : read_folder(&r);
}

lp_status lp_embedding_check(lp_context *ctx, const lp_network *network, lp_embedding embedding)
{
    if ((unsigned)embedding.pooling >= LP_N_POOLINGS)
        return lp_fail(ctx, LP_E_ARG, "pooling %d does not exist", (int)embedding.pooling);
    if (lp_network_projects(network) && embedding.pooling != LP_POOLING_POOLER)
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "%s: %s models project one token's vector: their pooling is \"pooler\"",
                       network->path, network->hparams.arch->hf);
    return LP_OK;
}

/* ---- Numbers ------------------------------------------------------------------------------- */

void lp_embedding_pool(lp_pooling pooling, const float *hidden, size_t n_tokens, size_t n,
                       float *vector)
{
    if (pooling != LP_POOLING_MEAN) {
        const size_t row = pooling == LP_POOLING_LAST ? n_tokens - 1 : 0;
        memcpy(vector, hidden + row * n, n * sizeof *vector);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t t = 0; t < n_tokens; t++)
            sum += (double)hidden[t * n + i];
        vector[i] = (float)(sum / (double)n_tokens);
    }
}

void lp_embedding_normalise(float *vector, size_t n)
{
    double square = 0;
    for (size_t i = 0; i < n; i++)
        square += (double)vector[i] * (double)vector[i];
    for (size_t i = 0; i < n && square > 0; i++)
        vector[i] = (float)((double)vector[i] / sqrt(square));
}

void lp_guess_best(const float *logits, uint32_t n, uint32_t k, lp_guess *guesses)
{
    const double total = lp_log_sum_exp(logits, n);
    uint32_t n_kept = 0;
    for (uint32_t i = 0; i < n; i++) { /* insertion: k is small */
        if (n_kept == k && !(logits[i] > logits[guesses[k - 1].token]))
            continue;
        uint32_t at = n_kept < k ? n_kept++ : k - 1;
        for (; at > 0 && logits[i] > logits[guesses[at - 1].token]; at--)
            guesses[at] = guesses[at - 1];
        guesses[at].token = (int32_t)i;
    }
    for (uint32_t i = 0; i < k; i++)
        guesses[i].probability = (float)exp((double)logits[guesses[i].token] - total);
}
