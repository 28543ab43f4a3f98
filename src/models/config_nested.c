/* Models of texts and other things: config.json holds the text model's own at `text_config`. */
#include "models/config.h"

#include <string.h>

/* Adds the members that `to` lacks. */
static bool add_missing(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_val *from)
{
    size_t i, n;
    yyjson_val *key, *value;
    bool done = true;
    yyjson_obj_foreach(from, i, n, key, value)
    {
        if (yyjson_mut_obj_getn(to, yyjson_get_str(key), yyjson_get_len(key)))
            continue;
        done = done && yyjson_mut_obj_add(to, yyjson_val_mut_copy(doc, key),
                                          yyjson_val_mut_copy(doc, value));
    }
    return done;
}

lp_status lp_config_text(lp_config *c, yyjson_doc **doc)
{
    static const char tied[] = "tie_word_embeddings";
    const char *type = NULL;
    yyjson_val *text = NULL, *outer = yyjson_obj_get(c->root, tied);
    LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, "model_type", LP_JSON_REQUIRED, &type));
    const lp_arch *arch = lp_arch_find_nested(type);
    *doc = NULL;
    if (!arch)
        return LP_OK;
    LP_TRY(lp_json_get_object(c->ctx, c->where, c->root, "text_config", LP_JSON_REQUIRED, &text));
    yyjson_doc *defaults = NULL;
    LP_TRY(
        lp_json_parse(c->ctx, "defaults", arch->hf_defaults, strlen(arch->hf_defaults), &defaults));
    yyjson_mut_doc *merged = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = merged ? yyjson_val_mut_copy(merged, text) : NULL;
    bool done = root && add_missing(merged, root, yyjson_doc_get_root(defaults));
    if (done && outer && !yyjson_mut_obj_get(root, tied))
        done = yyjson_mut_obj_add_val(merged, root, tied, yyjson_val_mut_copy(merged, outer));
    if (done)
        yyjson_mut_doc_set_root(merged, root);
    *doc = done ? yyjson_mut_doc_imut_copy(merged, NULL) : NULL;
    yyjson_mut_doc_free(merged);
    yyjson_doc_free(defaults);
    if (*doc == NULL)
        return lp_fail_memory(c->ctx, c->where);
    c->root = yyjson_doc_get_root(*doc);
    return LP_OK;
}
