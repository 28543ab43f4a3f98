/* Labels, see labels.h. */
#include "image/labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

void lp_labels_free(char **labels, uint32_t n)
{
    for (uint32_t i = 0; labels != NULL && i < n; i++)
        free(labels[i]);
    free(labels);
}

static char *copy_of(const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    return copy != NULL ? strcpy(copy, text) : NULL;
}

/* The names that there are. */
static lp_status take(lp_context *ctx, const char *where, yyjson_val *names, uint32_t n,
                      char **labels)
{
    size_t i, count;
    yyjson_val *key, *value;
    if (names == NULL) /* yyjson would step from it */
        return LP_OK;
    yyjson_obj_foreach(names, i, count, key, value)
    {
        char *end = NULL;
        const char *number = yyjson_get_str(key), *name = yyjson_get_str(value);
        const unsigned long index =
            *number >= '0' && *number <= '9' ? strtoul(number, &end, 10) : n;
        if (end == NULL || *end != '\0' || index >= n || labels[index] != NULL)
            return lp_fail(ctx, LP_E_FORMAT,
                           "%s: id2label: \"%.40s\" is no number of one of %u labels, or is there "
                           "twice",
                           where, number, n);
        if (name == NULL || strlen(name) != yyjson_get_len(value))
            return lp_fail(ctx, LP_E_FORMAT, "%s: id2label: label %lu has no name", where, index);
        if ((labels[index] = copy_of(name)) == NULL)
            return lp_fail_memory(ctx, "labels");
    }
    return LP_OK;
}

/* The library's names of those that have none. */
static lp_status fill_up(lp_context *ctx, uint32_t n, char **labels)
{
    for (uint32_t k = 0; k < n; k++) {
        char name[24];
        snprintf(name, sizeof name, "LABEL_%u", k);
        if (labels[k] == NULL && (labels[k] = copy_of(name)) == NULL)
            return lp_fail_memory(ctx, "labels");
    }
    return LP_OK;
}

lp_status lp_labels_read(lp_context *ctx, const char *folder, uint32_t n, char ***labels)
{
    yyjson_doc *doc = NULL;
    yyjson_val *names = NULL;
    char *where = lp_path_join(folder, "config.json"), **list = calloc(n, sizeof *list);
    *labels = NULL;
    lp_status status =
        where && list ? lp_json_open(ctx, where, &doc) : lp_fail_memory(ctx, "labels");
    if (status == LP_OK)
        status = lp_json_get_object(ctx, where, yyjson_doc_get_root(doc), "id2label",
                                    LP_JSON_OPTIONAL, &names);
    if (status == LP_OK)
        status = take(ctx, where, names, n, list);
    if (status == LP_OK)
        status = fill_up(ctx, n, list);
    yyjson_doc_free(doc);
    free(where);
    if (status == LP_OK)
        *labels = list;
    else
        lp_labels_free(list, n);
    return status;
}
