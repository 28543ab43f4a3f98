/* lapilli chat: a conversation with a model, on a terminal or through a pipe. */
#define _POSIX_C_SOURCE 200809L /* getline, isatty */
#include "chat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "files.h"

typedef struct settings {
    cli_chat chat;
    const char *prompt;        /* the only message; NULL: they are read */
    char *prompt_text;         /* the same from a file, malloc'ed */
    const char *system, *load; /* NULL: none */
    const char *chat_template; /* a file, or the name of one; NULL: the model's */
    bool print_prompt;
} settings;

enum { SYSTEM = CLI_LONG_ONLY, TEMPLATE, SET, TOOLS, LOAD, PRINT_PROMPT, JSON };

static const struct option long_options[] = {
    CLI_JOB_OPTIONS,
    {"prompt", required_argument, NULL, 'p'},
    {"file", required_argument, NULL, 'f'},
    {"system", required_argument, NULL, SYSTEM},
    {"template", required_argument, NULL, TEMPLATE},
    {"set", required_argument, NULL, SET},
    {"tools", required_argument, NULL, TOOLS},
    {"load", required_argument, NULL, LOAD},
    {"print-prompt", no_argument, NULL, PRINT_PROMPT},
    {"tokens", required_argument, NULL, 'n'},
    {"context", required_argument, NULL, 'c'},
    {"batch", required_argument, NULL, 'b'},
    CLI_SAMPLING_OPTIONS,
    CLI_DRAFT_OPTIONS,
    CLI_CACHE_TYPE_OPTION,
    CLI_GUARD_OPTION,
    {"json", no_argument, NULL, JSON},
    {"quiet", no_argument, NULL, 'q'},
    {0},
};

static bool parse_u32(const char *name, uint32_t *value)
{
    uint64_t number;
    if (!cli_parse_u64(&cli_chat_main, name, optarg, 0, UINT32_MAX, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

/* The only message, given or in a file. Returns the exit code. */
static int set_prompt(settings *s, int id)
{
    const char *path;
    if (s->prompt)
        return cli_usage_error(&cli_chat_main, "only one message can be given");
    s->prompt = optarg;
    if (id == 'p')
        return CLI_OK;
    if (!cli_parse_name(&cli_chat_main, "-f", optarg, &path))
        return CLI_USAGE;
    s->prompt = s->prompt_text = cli_read_text(path);
    if (!s->prompt_text)
        return CLI_FAILED;
    const size_t n = strlen(s->prompt_text);
    if (n > 0 && s->prompt_text[n - 1] == '\n')
        s->prompt_text[n - 1] = '\0';
    return CLI_OK;
}

/* One option; returns the exit code, CLI_OK to go on. */
static int set_option(settings *s, int id)
{
    cli_chat *chat = &s->chat;
    bool ok = true;
    int code = cli_sampling_option(&cli_chat_main, &chat->sampling, id);
    if (code != CLI_NOT_SAMPLING || cli_job_option(&cli_chat_main, &chat->job, id, &code) ||
        cli_draft_option(&cli_chat_main, &chat->draft, id, &code))
        return code;
    switch (id) {
    case 'p':
    case 'f':
        return set_prompt(s, id);
    case SYSTEM:
        s->system = optarg;
        break;
    case TEMPLATE:
        ok = cli_parse_name(&cli_chat_main, "--template", optarg, &s->chat_template);
        break;
    case SET:
        ok = cli_conversation_set(&chat->conversation, &cli_chat_main, optarg);
        break;
    case TOOLS:
        return cli_conversation_tools(&chat->conversation, optarg) ? CLI_OK : CLI_FAILED;
    case LOAD:
        ok = cli_parse_name(&cli_chat_main, "--load", optarg, &s->load);
        break;
    case PRINT_PROMPT:
        s->print_prompt = true;
        break;
    case 'n':
        ok = parse_u32("-n", &chat->max_tokens);
        break;
    default: /* JSON: getopt returns nothing else */
        chat->json = true;
    }
    return ok ? CLI_OK : CLI_USAGE;
}

static int parse(settings *s, int argc, char **argv, bool *end)
{
    cli_options options = {&cli_chat_main, "m:p:f:n:c:b:s:d:qv", long_options, argc, argv, 0};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        if (id == CLI_END_NOW) {
            *end = true;
            return options.exit_code;
        }
        int code = set_option(s, id);
        if (code != CLI_OK)
            return code;
    }
    if (optind < argc)
        return cli_usage_error(&cli_chat_main,
                               "\"%s\" is not an option; a message is given with -p", argv[optind]);
    cli_sampling_finish(&s->chat.sampling);
    return cli_draft_finish(&cli_chat_main, &s->chat.draft);
}

/* --- The template
 * ---------------------------------------------------------------------------------- */

static void list_templates(FILE *to)
{
    for (size_t i = 0; i < lp_n_chat_templates(); i++)
        fprintf(to, "  %-8s  %s\n", lp_chat_template_info(i).name, lp_chat_template_info(i).value);
}

static bool is_builtin(const char *name)
{
    for (size_t i = 0; i < lp_n_chat_templates(); i++)
        if (strcmp(lp_chat_template_info(i).name, name) == 0)
            return true;
    return false;
}

/* What --template names: one that ships, one of the model's by name, or a file. */
static int open_named(settings *s)
{
    cli_chat *chat = &s->chat;
    lp_context *ctx = chat->job.ctx;
    lp_status status = LP_E_MISSING;
    if (is_builtin(s->chat_template))
        status = lp_chat_template_builtin(ctx, s->chat_template, &chat->chat_template);
    else if (access(s->chat_template, F_OK) != 0)
        status =
            lp_chat_template_open(ctx, chat->job.model, s->chat_template, &chat->chat_template);
    if (status == LP_E_MISSING && access(s->chat_template, F_OK) != 0) {
        cli_error("%s: no such file, and no template of that name in the model; with lapilli come:",
                  s->chat_template);
        list_templates(stderr);
        return CLI_FAILED;
    }
    if (status == LP_E_MISSING) {
        char *source = cli_read_text(s->chat_template);
        if (!source)
            return CLI_FAILED;
        if (source[strspn(source, " \t\r\n")] == '\0') {
            cli_error("%s: an empty template", s->chat_template);
            free(source);
            return CLI_FAILED;
        }
        status = lp_chat_template_parse(ctx, s->chat_template, source, strlen(source),
                                        &chat->chat_template);
        free(source);
    }
    return status == LP_OK ? CLI_OK : cli_failed(ctx, status);
}

static int open_template(settings *s)
{
    cli_chat *chat = &s->chat;
    if (s->chat_template)
        return open_named(s);
    lp_status status =
        lp_chat_template_open(chat->job.ctx, chat->job.model, NULL, &chat->chat_template);
    if (status != LP_E_MISSING)
        return status == LP_OK ? CLI_OK : cli_failed(chat->job.ctx, status);
    cli_error(
        "%s: this model has no chat template: it was not made for chats, or its file lacks it. "
        "If you know which one it wants, name it with --template:",
        chat->job.path);
    list_templates(stderr);
    return CLI_FAILED;
}

/* --- The conversation
 * ------------------------------------------------------------------------------ */

/* A message from standard input, without its newline; a backslash at its end joins the next line.
 * NULL at the end, or when the user wants to leave. */
static char *read_message(const cli_chat *chat)
{
    char *line = NULL, *whole = NULL;
    size_t room = 0, n_whole = 0;
    bool more = true, warned = false;
    cli_interrupts_take();
    while (more) {
        if (chat->terminal)
            fputs(whole ? ". " : "> ", stderr);
        fflush(stderr);
        errno = 0;
        ssize_t n = getline(&line, &room, stdin);
        if (n < 0 && errno == EINTR && chat->terminal && !cli_stop_signal() && !warned) {
            clearerr(stdin);
            fputs("\n(Ctrl-C again, or Ctrl-D, to leave)\n", stderr);
            warned = cli_interrupts_take() > 0;
            continue;
        }
        if (n < 0) {
            if (chat->terminal)
                fputc('\n', stderr);
            break;
        }
        if (n > 0 && line[n - 1] == '\n')
            n--;
        more = n > 0 && line[n - 1] == '\\';
        char *grown = realloc(whole, n_whole + (size_t)n + 2);
        if (!grown) {
            cli_error("out of memory");
            break;
        }
        whole = grown;
        memcpy(whole + n_whole, line, (size_t)n);
        n_whole += (size_t)n;
        if (more)
            whole[n_whole - 1] = '\n';
        whole[n_whole] = '\0';
    }
    const int error = errno;
    free(line);
    if (more) { /* it did not come to its end */
        free(whole);
        errno = error;
        return NULL;
    }
    return whole;
}

/* A message, and the answer; a message that cannot be answered is forgotten. */
static int talk(cli_chat *chat, const char *message)
{
    const size_t n = cli_conversation_n(&chat->conversation);
    if (!cli_conversation_add(&chat->conversation, "user", message, strlen(message)))
        return CLI_FAILED;
    const int code = cli_chat_answer(chat);
    if (code != CLI_OK)
        cli_conversation_cut(&chat->conversation, n);
    return code;
}

/* Until the input ends. A failure ends a chat that is not on a terminal. */
static int converse(cli_chat *chat)
{
    int code = CLI_OK;
    bool end = false;
    while (!end && (code == CLI_OK || chat->terminal) && !cli_stop_signal()) {
        char *message = read_message(chat);
        if (!message && ferror(stdin) && !cli_stop_signal() && !chat->terminal) {
            cli_error("standard input: %s", strerror(errno));
            return CLI_FAILED;
        }
        if (!message)
            return code;
        if (*message == '/')
            code = cli_chat_command(chat, message, &end);
        else if (*message)
            code = talk(chat, message);
        free(message);
    }
    return chat->terminal ? CLI_OK : code;
}

/* The text that the model would see. */
static int print_prompt(cli_chat *chat, const char *message)
{
    char *text = NULL;
    size_t bytes = 0;
    if (message && !cli_conversation_add(&chat->conversation, "user", message, strlen(message)))
        return CLI_FAILED;
    const size_t n = cli_conversation_n(&chat->conversation);
    const bool next =
        n == 0 || strcmp(cli_conversation_role(&chat->conversation, n - 1), "assistant") != 0;
    const lp_status status =
        cli_conversation_render(&chat->conversation, chat->job.ctx, chat->job.model,
                                chat->chat_template, 0, next, &text, &bytes);
    if (status == LP_OK)
        cli_write(text, bytes);
    free(text);
    return status == LP_OK ? CLI_OK : cli_failed(chat->job.ctx, status);
}

static int run_session(settings *s)
{
    cli_chat *chat = &s->chat;
    int code = cli_job_session(&chat->job);
    if (code == CLI_OK)
        code = cli_draft_open(&chat->draft, &chat->job);
    if (code != CLI_OK)
        return code;
    if (!s->prompt && chat->terminal) {
        cli_interrupts_begin();
        if (!chat->job.quiet)
            fputs("A message per line; /help lists commands, Ctrl-D leaves.\n", stderr);
    }
    code = s->prompt ? talk(chat, s->prompt) : converse(chat);
    if (!chat->job.quiet && code == CLI_OK) {
        cli_draft_print(&chat->draft, &chat->job);
        cli_job_print_guard(&chat->job);
    }
    return code;
}

static int run_model(settings *s)
{
    cli_chat *chat = &s->chat;
    int code = cli_sampling_check(&chat->sampling);
    if (code == CLI_OK)
        code = cli_job_open(&chat->job);
    if (code == CLI_OK)
        code =
            cli_job_takes(&chat->job, &cli_chat_main, CLI_DECODERS) ? open_template(s) : CLI_FAILED;
    if (code == CLI_OK && s->load && !cli_conversation_load(&chat->conversation, s->load))
        code = CLI_FAILED;
    if (code == CLI_OK && s->system && !cli_conversation_system(&chat->conversation, s->system))
        code = CLI_FAILED;
    if (code != CLI_OK || s->print_prompt)
        return code != CLI_OK ? code : print_prompt(chat, s->prompt);
    if (!chat->job.quiet)
        cli_job_print(&chat->job);
    return run_session(s);
}

static int run(int argc, char **argv)
{
    settings s = {.chat.job.options = LP_SESSION_DEFAULT, .chat.draft = CLI_DRAFT_DEFAULT};
    cli_chat *chat = &s.chat;
    cli_sampling_start(&chat->sampling);
    chat->terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
    bool end = false;
    int code =
        cli_conversation_start(&chat->conversation) ? parse(&s, argc, argv, &end) : CLI_FAILED;
    if (code == CLI_OK && !end)
        code = run_model(&s);
    lp_chat_template_destroy(chat->chat_template);
    lp_session_destroy(chat->job.session);
    chat->job.session = NULL;
    cli_draft_close(&chat->draft);
    cli_job_close(&chat->job);
    cli_conversation_free(&chat->conversation);
    free(chat->answer);
    free(s.prompt_text);
    cli_sampling_free(&chat->sampling);
    return code;
}

const cli_command cli_chat_main = {
    .name = "chat",
    .summary = "talk with a model",
    .usage = "[OPTION]... [-p MESSAGE]",
    .help = "Talks with a model that was made for it. On a terminal: a message per line, answers "
            "as they\n"
            "come; Ctrl-C stops an answer, Ctrl-D ends; /help lists commands. Through a pipe: a "
            "message\n"
            "per line of standard input. With -p or -f: one message, one answer. Answers go to "
            "standard "
            "output,\n"
            "everything else to standard error. Only what is new in a conversation is computed; "
            "when it\n"
            "outgrows the context, its oldest messages are left out.\n"
            "\n"
            "  -m, --model=FILE|DIR  GGUF file or Hugging Face folder\n"
            "  -p, --prompt=MESSAGE  one message\n"
            "  -f, --file=FILE       one message, in a file\n"
            "      --system=TEXT     the system prompt\n"
            "      --template=FILE|NAME  a chat template in a file, another one of the model's by "
            "name, or\n"
            "                        chatml, gemma, llama2, llama3, phi3, vicuna, zephyr\n"
            "                        (default: the one in the model's files)\n"
            "      --set=NAME=VALUE  a variable of the template, such as enable_thinking=false; "
            "several\n"
            "                        times\n"
            "      --tools=FILE      functions that the model may call, a JSON array\n"
            "      --load=FILE       goes on with a conversation that /save wrote\n"
            "      --print-prompt    prints the text that the model would see, and ends\n"
            "      --json            an object per answer, on a line\n"
            "  -n, --tokens=N        at most N tokens of an answer (default 0: until it ends)\n"
            "  -c, --context=N       tokens of context (default: the model's, at most 4096)\n"
            "  -b, --batch=N         tokens of a prompt computed at once (default "
            "512)\n" CLI_ADAPTER_HELP CLI_DRAFT_HELP CLI_DEVICE_HELP CLI_CACHE_TYPE_HELP
                CLI_WORKAROUND_HELP CLI_GUARD_HELP
            "      --deterministic   the same answer, to the bit, whatever -b is; slower\n" CLI_NO_INT8_HELP
            "  -q, --quiet           nothing but answers and errors\n" CLI_VERBOSE_HELP
            "\n" CLI_SAMPLING_HELP,
    .run = run,
};
