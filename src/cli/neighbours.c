/* See neighbours.h. */
#include "neighbours.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "files.h"

/* Tokens of a chunk's neighbours, one behind the other. */
typedef struct chunk_tokens {
    int32_t *tokens; /* malloc'ed */
    size_t n;
} chunk_tokens;

static bool append(chunk_tokens *all, const int32_t *tokens, size_t n)
{
    int32_t *more = realloc(all->tokens, (all->n + n + 1) * sizeof *more);
    if (more == NULL)
        return false;
    all->tokens = more;
    if (n > 0)
        memcpy(more + all->n, tokens, n * sizeof *tokens);
    all->n += n;
    return true;
}

static lp_status append_text(lp_model *model, yyjson_val *text, chunk_tokens *all)
{
    int32_t *tokens = NULL;
    size_t n = 0;
    const lp_status status =
        lp_model_tokenize(model, yyjson_get_str(text), yyjson_get_len(text), 0, &tokens, &n);
    const bool room = status != LP_OK || append(all, tokens, n);
    free(tokens);
    return room ? status : LP_E_MEMORY;
}

/* A list of ids; false if something else is in it. */
static bool append_ids(yyjson_val *ids, chunk_tokens *all)
{
    size_t i, n;
    yyjson_val *id;
    yyjson_arr_foreach(ids, i, n, id)
    {
        const int32_t token = (int32_t)yyjson_get_int(id);
        if (!yyjson_is_int(id) || yyjson_get_sint(id) < 0 || yyjson_get_sint(id) > INT32_MAX ||
            !append(all, &token, 1))
            return false;
    }
    return true;
}

static int give_chunk(lp_context *ctx, lp_model *model, lp_session *session, const char *path,
                      size_t chunk, yyjson_val *list)
{
    chunk_tokens all = {0};
    const size_t n = yyjson_arr_size(list);
    uint32_t *lengths = calloc(n + 1, sizeof *lengths);
    lp_status status = lengths != NULL ? LP_OK : LP_E_MEMORY;
    int code = CLI_OK;
    size_t i, count;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, count, item)
    {
        const size_t before = all.n;
        if (status != LP_OK || code != CLI_OK)
            break;
        if (yyjson_is_str(item)) {
            status = append_text(model, item, &all);
        } else if (!yyjson_is_arr(item) || !append_ids(item, &all)) {
            cli_error("%s: neighbour %zu of chunk %zu is neither a text nor a list of tokens", path,
                      i, chunk);
            code = CLI_FAILED;
        }
        lengths[i] = all.n - before < UINT32_MAX ? (uint32_t)(all.n - before) : UINT32_MAX;
    }
    if (code == CLI_OK && status == LP_OK)
        status = lp_session_neighbours(session, chunk < UINT32_MAX ? (uint32_t)chunk : UINT32_MAX,
                                       all.tokens, lengths, (uint32_t)n);
    free(all.tokens);
    free(lengths);
    return status != LP_OK ? cli_failed(ctx, status) : code;
}

int cli_neighbours(lp_context *ctx, lp_model *model, lp_session *session, const char *path)
{
    char *text = cli_read_text(path);
    if (text == NULL)
        return CLI_FAILED;
    yyjson_read_err error = {0};
    yyjson_doc *doc = yyjson_read_opts(text, strlen(text), 0, NULL, &error);
    yyjson_val *root = yyjson_doc_get_root(doc), *list;
    int code = CLI_OK;
    if (!yyjson_is_arr(root)) {
        cli_error("%s: %s", path,
                  doc ? "a list with an entry for every chunk expected" : error.msg);
        code = CLI_FAILED;
    }
    size_t i, n;
    yyjson_arr_foreach(root, i, n, list)
    {
        if (code != CLI_OK)
            break;
        if (!yyjson_is_arr(list) && !yyjson_is_null(list)) {
            cli_error("%s: entry %zu is not a list of neighbours", path, i);
            code = CLI_FAILED;
        } else {
            code = give_chunk(ctx, model, session, path, i, list);
        }
    }
    yyjson_doc_free(doc);
    free(text);
    return code;
}
