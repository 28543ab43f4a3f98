/* A conversation of `lapilli chat`: its messages, and the text that a template makes of them. */
#ifndef LP_CLI_CONVERSATION_H
#define LP_CLI_CONVERSATION_H

#include "cli.h"

typedef struct cli_conversation {
    yyjson_mut_doc *doc; /* its root: an array of {"role": ..., "content": ...} */
    char *tools;         /* JSON, malloc'ed; NULL: none */
    char *variables;     /* the same: an object */
} cli_conversation;      /* zero-initialise */

/* All: false with a message. */
bool cli_conversation_start(cli_conversation *c);
void cli_conversation_free(cli_conversation *c);
bool cli_conversation_add(cli_conversation *c, const char *role, const char *content, size_t bytes);
/* Sets the system prompt, or removes it if there is no text; the messages stay. */
bool cli_conversation_system(cli_conversation *c, const char *text);
size_t cli_conversation_n(const cli_conversation *c);
/* "user"; "" for a message without a role. */
const char *cli_conversation_role(const cli_conversation *c, size_t index);
/* Removes messages from `index` on. */
void cli_conversation_cut(cli_conversation *c, size_t index);
/* From a file: an array of messages, or an object with "messages" (and perhaps "tools"). What was
 * there stays on failure. */
bool cli_conversation_load(cli_conversation *c, const char *path);
bool cli_conversation_save(const cli_conversation *c, const char *path);
/* NAME=VALUE for the template: VALUE is JSON, or else a string. */
bool cli_conversation_set(cli_conversation *c, const cli_command *command, const char *text);
bool cli_conversation_tools(cli_conversation *c, const char *path);

/* The text of all messages but `skip` that follow the system prompt. malloc'ed. */
lp_status cli_conversation_render(const cli_conversation *c, lp_context *ctx, const lp_model *model,
                                  const lp_chat_template *chat_template, size_t skip,
                                  bool next_turn, char **text, size_t *bytes);
/* How many messages behind the system prompt make the oldest exchange that is not skipped yet: up
 * to the next one of the user; 0 if there is none behind it. */
size_t cli_conversation_oldest(const cli_conversation *c, size_t skip);

#endif
