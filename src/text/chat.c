/* Chat templates: finding them in a model's files, and applying them to messages. */
#include "text/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "text/jinja.h"

struct lp_chat_template {
    lp_jinja_template *jinja;
    char *source;
};

lp_status lp_chat_template_create(lp_context *ctx, const char *where, const char *source,
                                  size_t bytes, lp_chat_template **result)
{
    lp_status status = LP_OK;
    lp_chat_template *template = calloc(1, sizeof *template);
    *result = NULL;
    if (!template || !(template->source = malloc(bytes + 1)))
        LP_CHECK(lp_fail_memory(ctx, "a chat template"));
    if (bytes > 0)
        memcpy(template->source, source, bytes);
    template->source[bytes] = '\0';
    LP_CHECK(lp_jinja_parse(ctx, where, source, bytes, &template->jinja));
    *result = template;
    template = NULL;
cleanup:
    lp_chat_template_destroy(template);
    return status;
}

void lp_chat_template_destroy(lp_chat_template *template)
{
    if (!template)
        return;
    lp_jinja_destroy(template->jinja);
    free(template->source);
    free(template);
}

const char *lp_chat_template_text(const lp_chat_template *template)
{
    return template->source;
}

/* --- Where they are -----------------------------------------------------------------------------
 */

static lp_status missing(lp_context *ctx, const char *path, const char *name)
{
    if (name)
        return lp_fail(ctx, LP_E_MISSING, "%s: no chat template called %s", path, name);
    return lp_fail(ctx, LP_E_MISSING, "%s: no chat template", path);
}

/* "PATH: chat template". */
static lp_status create_from(lp_context *ctx, const char *path, const char *source, size_t bytes,
                             lp_chat_template **result)
{
    char where[512];
    snprintf(where, sizeof where, "%s: chat template", path);
    return lp_chat_template_create(ctx, where, source, bytes, result);
}

lp_status lp_chat_template_from_gguf(lp_context *ctx, const char *path, const lp_gguf *gguf,
                                     const char *name, lp_chat_template **result)
{
    char key[256];
    lp_gguf_string source;
    *result = NULL;
    const bool usual = !name || strcmp(name, "default") == 0;
    const int n = snprintf(key, sizeof key, "tokenizer.chat_template%s%s", usual ? "" : ".",
                           usual ? "" : name);
    if (n < 0 || (size_t)n >= sizeof key || !lp_gguf_get_string(gguf, key, &source))
        return missing(ctx, path, name);
    return create_from(ctx, path, source.data, source.bytes, result);
}

/* From a file that is a template; *result stays NULL if there is no such file. */
static lp_status from_jinja(lp_context *ctx, const char *folder, const char *file,
                            lp_chat_template **result)
{
    lp_status status = LP_OK;
    lp_file mapped = {0};
    char *path = lp_path_join(folder, file);
    if (!path)
        return lp_fail_memory(ctx, "a path");
    if (access(path, F_OK) == 0) {
        LP_CHECK(lp_file_open(ctx, path, &mapped));
        LP_CHECK(lp_chat_template_create(ctx, path, mapped.data ? (const char *)mapped.data : "",
                                         mapped.bytes, result));
    }
cleanup:
    lp_file_close(&mapped);
    free(path);
    return status;
}

/* A string, a list of {"name": ..., "template": ...}, or an object of templates by name. */
static yyjson_val *find_named(yyjson_val *templates, const char *name)
{
    yyjson_val *item;
    size_t i, n;
    if (!name)
        name = "default";
    if (yyjson_is_str(templates))
        return strcmp(name, "default") == 0 ? templates : NULL;
    if (yyjson_is_obj(templates))
        return yyjson_obj_get(templates, name);
    yyjson_arr_foreach(templates, i, n,
                       item) if (yyjson_equals_str(yyjson_obj_get(item, "name"),
                                                   name)) return yyjson_obj_get(item, "template");
    return NULL;
}

/* From the member "chat_template" of a JSON file. */
static lp_status from_json(lp_context *ctx, const char *folder, const char *file, const char *name,
                           lp_chat_template **result)
{
    lp_status status = LP_OK;
    yyjson_doc *doc = NULL;
    char *path = lp_path_join(folder, file);
    if (!path)
        return lp_fail_memory(ctx, "a path");
    if (access(path, F_OK) == 0) {
        LP_CHECK(lp_json_open(ctx, path, &doc));
        yyjson_val *source =
            find_named(yyjson_obj_get(yyjson_doc_get_root(doc), "chat_template"), name);
        if (yyjson_is_str(source))
            LP_CHECK(
                create_from(ctx, path, yyjson_get_str(source), yyjson_get_len(source), result));
    }
cleanup:
    yyjson_doc_free(doc);
    free(path);
    return status;
}

lp_status lp_chat_template_from_folder(lp_context *ctx, const char *folder, const char *name,
                                       lp_chat_template **result)
{
    char file[256] = "chat_template.jinja";
    *result = NULL;
    if (name && strcmp(name, "default") != 0) {
        const int n = snprintf(file, sizeof file, "additional_chat_templates/%s.jinja", name);
        if (n < 0 || (size_t)n >= sizeof file || strchr(name, '/'))
            return missing(ctx, folder, name);
    }
    LP_TRY(from_jinja(ctx, folder, file, result));
    if (!*result)
        LP_TRY(from_json(ctx, folder, "chat_template.json", name, result));
    if (!*result)
        LP_TRY(from_json(ctx, folder, "tokenizer_config.json", name, result));
    return *result ? LP_OK : missing(ctx, folder, name);
}

lp_status lp_chat_template_from_name(lp_context *ctx, const char *name, lp_chat_template **result)
{
    char names[256] = "";
    size_t n, used = 0;
    const lp_chat_builtin *rows = lp_chat_builtins(&n);
    *result = NULL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return lp_chat_template_create(ctx, rows[i].name, rows[i].source,
                                           strlen(rows[i].source), result);
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                 rows[i].name);
    }
    return lp_fail(ctx, LP_E_MISSING, "no chat template is called %s; there are %s", name, names);
}

/* --- Applying ------------------------------------------------------------------------------------
 */

static lp_status read_json(lp_context *ctx, const char *what, const char *text, bool array,
                           yyjson_doc **doc)
{
    yyjson_read_err error = {0};
    *doc = yyjson_read_opts((char *)(uintptr_t)text, strlen(text), 0, NULL, &error);
    if (!*doc && error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return lp_fail_memory(ctx, what);
    if (!*doc)
        return lp_fail(ctx, LP_E_ARG, "%s: JSON: %s at byte %zu", what, error.msg, error.pos);
    yyjson_val *root = yyjson_doc_get_root(*doc), *item;
    if (array ? !yyjson_is_arr(root) : !yyjson_is_obj(root))
        return lp_fail(ctx, LP_E_ARG, "%s: %s is expected", what, array ? "an array" : "an object");
    size_t i, n;
    if (array) {
        yyjson_arr_foreach(root, i, n, item) if (!yyjson_is_obj(item)) return lp_fail(
            ctx, LP_E_ARG, "%s: number %zu is no object", what, i);
    }
    return LP_OK;
}

/* bos_token and others, as the vocabulary spells them. */
static bool add_special(yyjson_mut_doc *doc, yyjson_mut_val *root, const lp_tokenizer *tokenizer)
{
    const lp_special_tokens special = lp_tokenizer_special(tokenizer);
    const struct {
        const char *name;
        int32_t id;
    } rows[] = {{"bos_token", special.bos},     {"eos_token", special.eos},
                {"unk_token", special.unknown}, {"sep_token", special.sep},
                {"pad_token", special.pad},     {"cls_token", special.cls},
                {"mask_token", special.mask}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text;
        size_t n;
        if (rows[i].id >= 0 && lp_token_text(NULL, tokenizer, rows[i].id, &text, &n) == LP_OK &&
            !yyjson_mut_obj_add_strncpy(doc, root, rows[i].name, text, n))
            return false;
    }
    return true;
}

/* What every template finds. */
static lp_status make_variables(lp_context *ctx, const lp_tokenizer *tokenizer,
                                const lp_chat_options *options, yyjson_doc *messages,
                                yyjson_doc *tools, yyjson_doc **variables)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    yyjson_mut_val *tool_list = root && tools ? yyjson_val_mut_copy(doc, yyjson_doc_get_root(tools))
                                : root        ? yyjson_mut_null(doc)
                                              : NULL;
    *variables = NULL;
    if (root && (!tokenizer || add_special(doc, root, tokenizer)) &&
        yyjson_mut_obj_add_val(doc, root, "messages",
                               yyjson_val_mut_copy(doc, yyjson_doc_get_root(messages))) &&
        yyjson_mut_obj_add_val(doc, root, "tools", tool_list) &&
        yyjson_mut_obj_add_null(doc, root, "documents") &&
        yyjson_mut_obj_add_bool(doc, root, "add_generation_prompt",
                                options->add_generation_prompt != 0)) {
        yyjson_mut_doc_set_root(doc, root);
        *variables = yyjson_mut_doc_imut_copy(doc, NULL);
    }
    yyjson_mut_doc_free(doc);
    return *variables ? LP_OK : lp_fail_memory(ctx, "a template's variables");
}

lp_status lp_chat_template_render(lp_context *ctx, const lp_chat_template *template,
                                  const lp_tokenizer *tokenizer, const lp_chat_options *options,
                                  char **text, size_t *bytes)
{
    lp_status status = LP_OK;
    yyjson_doc *messages = NULL, *tools = NULL, *more = NULL, *all = NULL;
    *text = NULL;
    *bytes = 0;
    LP_CHECK(
        read_json(ctx, "messages", options->messages ? options->messages : "", true, &messages));
    if (options->tools)
        LP_CHECK(read_json(ctx, "tools", options->tools, true, &tools));
    if (options->variables)
        LP_CHECK(read_json(ctx, "variables", options->variables, false, &more));
    LP_CHECK(make_variables(ctx, tokenizer, options, messages, tools, &all));
    yyjson_val *variables[] = {yyjson_doc_get_root(all), yyjson_doc_get_root(more)};
    LP_CHECK(
        lp_jinja_render(ctx, template->jinja, variables, more ? 2 : 1, options->now, text, bytes));
cleanup:
    yyjson_doc_free(messages);
    yyjson_doc_free(tools);
    yyjson_doc_free(more);
    yyjson_doc_free(all);
    return status;
}

lp_status lp_chat_text_tokens(lp_context *ctx, const lp_tokenizer *tokenizer, const char *text,
                              size_t bytes, int32_t **tokens, size_t *n_tokens)
{
    const lp_special_tokens special = lp_tokenizer_special(tokenizer);
    int32_t *list;
    size_t n;
    *tokens = NULL;
    *n_tokens = 0;
    LP_TRY(lp_tokenize(ctx, tokenizer, text, bytes, LP_TOKENIZE_PARSE_SPECIAL, &list, &n));
    if (special.add_bos && special.bos >= 0 && (n == 0 || list[0] != special.bos)) {
        int32_t *longer = realloc(list, (n + 1) * sizeof *list);
        if (!longer) {
            free(list);
            return lp_fail_memory(ctx, "tokens");
        }
        list = longer;
        memmove(list + 1, list, n * sizeof *list);
        list[0] = special.bos;
        n++;
    }
    *tokens = list;
    *n_tokens = n;
    return LP_OK;
}
