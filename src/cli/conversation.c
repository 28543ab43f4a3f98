/* See conversation.h. */
#define _DEFAULT_SOURCE /* timegm, localtime_r */
#include "conversation.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "files.h"

static bool no_memory(void)
{
    cli_error("out of memory");
    return false;
}

bool cli_conversation_start(cli_conversation *c)
{
    c->doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = c->doc ? yyjson_mut_arr(c->doc) : NULL;
    if (!root)
        return no_memory();
    yyjson_mut_doc_set_root(c->doc, root);
    return true;
}

void cli_conversation_free(cli_conversation *c)
{
    yyjson_mut_doc_free(c->doc);
    free(c->tools);
    free(c->variables);
    *c = (cli_conversation){0};
}

static yyjson_mut_val *messages(const cli_conversation *c)
{
    return yyjson_mut_doc_get_root(c->doc);
}

static yyjson_mut_val *make_message(cli_conversation *c, const char *role, const char *content,
                                    size_t bytes)
{
    yyjson_mut_val *message = yyjson_mut_obj(c->doc);
    if (!message || !yyjson_mut_obj_add_strcpy(c->doc, message, "role", role))
        return NULL;
    cli_json_bytes(c->doc, message, "content", content, bytes);
    return yyjson_mut_obj_size(message) == 2 ? message : NULL;
}

bool cli_conversation_add(cli_conversation *c, const char *role, const char *content, size_t bytes)
{
    yyjson_mut_val *message = make_message(c, role, content, bytes);
    return (message && yyjson_mut_arr_append(messages(c), message)) || no_memory();
}

size_t cli_conversation_n(const cli_conversation *c)
{
    return yyjson_mut_arr_size(messages(c));
}

const char *cli_conversation_role(const cli_conversation *c, size_t index)
{
    const char *role =
        yyjson_mut_get_str(yyjson_mut_obj_get(yyjson_mut_arr_get(messages(c), index), "role"));
    return role ? role : "";
}

static bool has_system(const cli_conversation *c)
{
    return cli_conversation_n(c) > 0 && strcmp(cli_conversation_role(c, 0), "system") == 0;
}

bool cli_conversation_system(cli_conversation *c, const char *text)
{
    if (has_system(c))
        yyjson_mut_arr_remove_first(messages(c));
    if (!*text)
        return true;
    yyjson_mut_val *message = make_message(c, "system", text, strlen(text));
    return (message && yyjson_mut_arr_prepend(messages(c), message)) || no_memory();
}

void cli_conversation_cut(cli_conversation *c, size_t index)
{
    while (cli_conversation_n(c) > index)
        yyjson_mut_arr_remove_last(messages(c));
}

/* --- Files
 * ---------------------------------------------------------------------------------------- */

/* Parses a file; NULL with a message. */
static yyjson_doc *read_json(const char *path)
{
    yyjson_read_err error = {0};
    char *text = cli_read_text(path);
    yyjson_doc *doc = text ? yyjson_read_opts(text, strlen(text), 0, NULL, &error) : NULL;
    if (text && !doc)
        cli_error("%s: JSON: %s at byte %zu", path, error.msg, error.pos);
    free(text);
    return doc;
}

/* Whether a value is a list of messages; a message if not. */
static bool check_messages(const char *path, yyjson_val *list)
{
    yyjson_val *item;
    size_t i, n;
    if (!yyjson_is_arr(list)) {
        cli_error("%s: an array of messages is expected", path);
        return false;
    }
    yyjson_arr_foreach(list, i, n, item)
    {
        static const char *const roles[] = {"system", "developer", "user", "assistant", "tool"};
        const char *role = yyjson_get_str(yyjson_obj_get(item, "role"));
        bool known = false;
        for (size_t k = 0; k < sizeof roles / sizeof *roles; k++)
            known = known || (role && strcmp(role, roles[k]) == 0);
        if (!known) {
            cli_error(role ? "%s: message %zu has the role \"%.40s\"; system, developer, user, "
                             "assistant and tool are known"
                           : "%s: message %zu has no \"role\"",
                      path, i + 1, role);
            return false;
        }
    }
    return true;
}

bool cli_conversation_load(cli_conversation *c, const char *path)
{
    yyjson_doc *doc = read_json(path);
    yyjson_val *root = yyjson_doc_get_root(doc), *tools = yyjson_obj_get(root, "tools");
    yyjson_val *list = yyjson_is_obj(root) ? yyjson_obj_get(root, "messages") : root;
    bool ok = doc && check_messages(path, list);
    if (ok) {
        yyjson_mut_doc *loaded = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *copy = loaded ? yyjson_val_mut_copy(loaded, list) : NULL;
        char *tool_text = tools ? yyjson_val_write(tools, 0, NULL) : NULL;
        ok = copy && (!tools || tool_text);
        if (ok) {
            yyjson_mut_doc_set_root(loaded, copy);
            yyjson_mut_doc_free(c->doc);
            c->doc = loaded;
            if (tools) {
                free(c->tools);
                c->tools = tool_text;
            }
        } else {
            yyjson_mut_doc_free(loaded);
            free(tool_text);
            no_memory();
        }
    }
    yyjson_doc_free(doc);
    return ok;
}

bool cli_conversation_save(const cli_conversation *c, const char *path)
{
    cli_output output = {0};
    char *text = yyjson_mut_write(c->doc, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL);
    bool ok =
        text ? cli_output_begin(&output, path) && cli_output_finish(&output, text) : no_memory();
    free(text);
    return ok;
}

bool cli_conversation_tools(cli_conversation *c, const char *path)
{
    yyjson_doc *doc = read_json(path);
    bool ok = doc && yyjson_is_arr(yyjson_doc_get_root(doc));
    if (doc && !ok)
        cli_error("%s: an array of tools is expected", path);
    if (ok) {
        free(c->tools);
        c->tools = yyjson_write(doc, 0, NULL);
        ok = c->tools || no_memory();
    }
    yyjson_doc_free(doc);
    return ok;
}

bool cli_conversation_set(cli_conversation *c, const cli_command *command, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        cli_usage_error(command, "--set wants NAME=VALUE, not \"%s\"", text);
        return false;
    }
    const char *old_text = c->variables ? c->variables : "{}";
    yyjson_doc *old = yyjson_read(old_text, strlen(old_text), 0);
    yyjson_doc *given = yyjson_read(equals + 1, strlen(equals + 1), 0);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = old && doc ? yyjson_val_mut_copy(doc, yyjson_doc_get_root(old)) : NULL;
    yyjson_mut_val *key = root ? yyjson_mut_strncpy(doc, text, (size_t)(equals - text)) : NULL;
    yyjson_mut_val *value = !key    ? NULL
                            : given ? yyjson_val_mut_copy(doc, yyjson_doc_get_root(given))
                                    : yyjson_mut_strcpy(doc, equals + 1);
    char *variables = NULL;
    if (value && yyjson_mut_obj_put(root, key, value)) {
        yyjson_mut_doc_set_root(doc, root);
        variables = yyjson_mut_write(doc, 0, NULL); /* also fails if the text is no UTF-8 */
    }
    yyjson_doc_free(old);
    yyjson_doc_free(given);
    yyjson_mut_doc_free(doc);
    if (!variables) {
        cli_usage_error(command, "--set: \"%s\" cannot be used", text);
        return false;
    }
    free(c->variables);
    c->variables = variables;
    return true;
}

/* --- Text
 * ----------------------------------------------------------------------------------------- */

/* What a clock on the wall shows, as seconds since 1970. */
static int64_t local_now(void)
{
    const time_t now = time(NULL);
    struct tm local;
    return localtime_r(&now, &local) ? (int64_t)timegm(&local) : (int64_t)now;
}

/* The messages as JSON, without `skip` of those behind the system prompt; NULL when out of memory.
 */
static char *write_messages(const cli_conversation *c, size_t skip)
{
    if (skip == 0)
        return yyjson_mut_write(c->doc, 0, NULL);
    yyjson_mut_doc *doc = yyjson_mut_doc_mut_copy(c->doc, NULL);
    if (!doc)
        return NULL;
    yyjson_mut_arr_remove_range(yyjson_mut_doc_get_root(doc), has_system(c), skip);
    char *text = yyjson_mut_write(doc, 0, NULL);
    yyjson_mut_doc_free(doc);
    return text;
}

lp_status cli_conversation_render(const cli_conversation *c, lp_context *ctx, const lp_model *model,
                                  const lp_chat_template *chat_template, size_t skip,
                                  bool next_turn, char **text, size_t *bytes)
{
    char *json = write_messages(c, skip);
    if (!json)
        return LP_E_MEMORY;
    const lp_chat_options options = {.messages = json,
                                     .tools = c->tools,
                                     .variables = c->variables,
                                     .add_generation_prompt = next_turn,
                                     .now = local_now()};
    const lp_status status = lp_chat_render(ctx, chat_template, model, &options, text, bytes);
    free(json);
    return status;
}

size_t cli_conversation_oldest(const cli_conversation *c, size_t skip)
{
    const size_t n = cli_conversation_n(c), first = has_system(c) + skip;
    for (size_t i = first + 1; i < n; i++)
        if (strcmp(cli_conversation_role(c, i), "user") == 0)
            return i - first;
    return 0;
}
