/* Commands within a chat: lines that begin with "/". */
#include <string.h>

#include "chat.h"

void cli_chat_help(void)
{
    fputs("/help            this list\n"
          "/reset           forget the conversation, but not the system prompt\n"
          "/system [TEXT]   another system prompt, or none\n"
          "/regenerate      another answer to the latest message\n"
          "/save FILE       write the conversation, as JSON\n"
          "/load FILE       go on with one that was saved\n"
          "/exit            leave (or Ctrl-D)\n"
          "Ctrl-C stops an answer. A line that ends with \\ goes on in the next one.\n",
          stderr);
}

static int reset(cli_chat *chat, const char *text, bool *end)
{
    (void)text;
    (void)end;
    const bool system = strcmp(cli_conversation_role(&chat->conversation, 0), "system") == 0;
    cli_conversation_cut(&chat->conversation, system);
    chat->told_forgotten = false;
    return CLI_OK;
}

static int set_system(cli_chat *chat, const char *text, bool *end)
{
    (void)end;
    return cli_conversation_system(&chat->conversation, text) ? CLI_OK : CLI_FAILED;
}

static int regenerate(cli_chat *chat, const char *text, bool *end)
{
    size_t n = cli_conversation_n(&chat->conversation);
    (void)text;
    (void)end;
    while (n > 0 && strcmp(cli_conversation_role(&chat->conversation, n - 1), "assistant") == 0)
        n--;
    if (n == 0 || strcmp(cli_conversation_role(&chat->conversation, n - 1), "system") == 0) {
        cli_error("there is nothing to answer yet");
        return CLI_FAILED;
    }
    cli_conversation_cut(&chat->conversation, n);
    return cli_chat_answer(chat);
}

static int save(cli_chat *chat, const char *text, bool *end)
{
    (void)end;
    if (!*text) {
        cli_error("/save wants a name of a file");
        return CLI_FAILED;
    }
    if (!cli_conversation_save(&chat->conversation, text))
        return CLI_FAILED;
    if (!chat->job.quiet)
        cli_error("%s: %zu messages", text, cli_conversation_n(&chat->conversation));
    return CLI_OK;
}

static int load(cli_chat *chat, const char *text, bool *end)
{
    (void)end;
    if (!*text) {
        cli_error("/load wants a name of a file");
        return CLI_FAILED;
    }
    if (!cli_conversation_load(&chat->conversation, text))
        return CLI_FAILED;
    chat->told_forgotten = false;
    if (!chat->job.quiet)
        cli_error("%s: %zu messages", text, cli_conversation_n(&chat->conversation));
    return CLI_OK;
}

static int help(cli_chat *chat, const char *text, bool *end)
{
    (void)chat;
    (void)text;
    (void)end;
    cli_chat_help();
    return CLI_OK;
}

static int leave(cli_chat *chat, const char *text, bool *end)
{
    (void)chat;
    (void)text;
    *end = true;
    return CLI_OK;
}

int cli_chat_command(cli_chat *chat, char *line, bool *end)
{
    static const struct {
        const char *name;
        int (*run)(cli_chat *chat, const char *text, bool *end);
    } rows[] = {{"/help", help},         {"/?", help},
                {"/reset", reset},       {"/clear", reset},
                {"/system", set_system}, {"/regenerate", regenerate},
                {"/save", save},         {"/load", load},
                {"/exit", leave},        {"/quit", leave},
                {"/bye", leave}};
    const size_t n = strcspn(line, " \t");
    const char *text = line + n + strspn(line + n, " \t");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].name) == n && strncmp(rows[i].name, line, n) == 0)
            return rows[i].run(chat, text, end);
    cli_error("there is no command \"%.*s\"; see /help", (int)(n < 40 ? n : 40), line);
    return CLI_FAILED;
}
