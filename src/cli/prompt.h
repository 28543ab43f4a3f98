/* The prompt of `lapilli run`: given, read from a file, or asked for. */
#ifndef LP_CLI_PROMPT_H
#define LP_CLI_PROMPT_H

#include "cli.h"

typedef struct cli_prompt {
    char *text; /* malloc'ed, not terminated, any bytes; NULL if empty */
    size_t bytes;
} cli_prompt; /* zero-initialise; free(text) */

/* All: false with a message. */
bool cli_prompt_literal(cli_prompt *prompt, const char *text);
/* "-" is standard input. One newline at the end is dropped. */
bool cli_prompt_file(cli_prompt *prompt, const char *path);
/* Asks on a terminal; without one the prompt stays empty. */
bool cli_prompt_ask(cli_prompt *prompt);

#endif
