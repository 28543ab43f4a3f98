/* Where the prompt of `lapilli run` comes from. */
#include "prompt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Beyond this no context is long enough, and a wrong file was named. */
#define MAX_PROMPT ((size_t)64 << 20)

/* Everything until the end of the stream; `only_line`: until the end of the line. */
static bool read_stream(FILE *from, const char *name, bool only_line, cli_prompt *prompt)
{
    size_t room = 0;
    errno = 0;
    for (int c; (c = getc(from)) != EOF && !(only_line && c == '\n');) {
        if (prompt->bytes + 1 >= room) {
            room = 2 * room + 4096;
            char *grown = room <= MAX_PROMPT ? realloc(prompt->text, room) : NULL;
            if (!grown) {
                cli_error("%s: %s", name, room <= MAX_PROMPT ? "out of memory" : "too long");
                return false;
            }
            prompt->text = grown;
        }
        prompt->text[prompt->bytes++] = (char)c;
    }
    if (ferror(from) && !cli_stop_signal()) {
        cli_error("%s: %s", name, strerror(errno));
        return false;
    }
    /* editors and echo put a newline at the end, which is not meant as a part of the text */
    if (prompt->bytes > 0 && prompt->text[prompt->bytes - 1] == '\n')
        prompt->bytes--;
    return true;
}

bool cli_prompt_literal(cli_prompt *prompt, const char *text)
{
    prompt->bytes = strlen(text);
    prompt->text = malloc(prompt->bytes + 1);
    if (!prompt->text) {
        cli_error("out of memory");
        return false;
    }
    memcpy(prompt->text, text, prompt->bytes + 1);
    return true;
}

bool cli_prompt_file(cli_prompt *prompt, const char *path)
{
    if (strcmp(path, "-") == 0)
        return read_stream(stdin, "standard input", false, prompt);
    FILE *file = fopen(path, "rb");
    if (!file) {
        cli_error("%s: %s", path, strerror(errno));
        return false;
    }
    bool ok = read_stream(file, path, false, prompt);
    fclose(file);
    return ok;
}

bool cli_prompt_ask(cli_prompt *prompt)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return true;
    fputs("Prompt: ", stderr);
    fflush(stderr);
    bool ok = read_stream(stdin, "standard input", true, prompt);
    if (feof(stdin) || cli_stop_signal()) /* Ctrl-D, Ctrl-C: no newline was typed */
        fputc('\n', stderr);
    return ok;
}
