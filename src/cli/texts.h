/* Texts that a subcommand treats one by one: its operands, then the lines of a file. */
#ifndef LP_CLI_TEXTS_H
#define LP_CLI_TEXTS_H

#include "job.h"
#include "prompt.h"

typedef struct cli_text {
    const char *data; /* not terminated */
    size_t bytes;
    int32_t *tokens;
    size_t n_tokens;
} cli_text;

typedef struct cli_texts {
    cli_text *item;
    size_t n;
    cli_prompt file;
} cli_texts; /* zero-initialise */

/* `file` NULL: operands only. "-" is standard input. False with a message. */
bool cli_texts_read(cli_texts *texts, char *const *operands, int n_operands, const char *file);
/* The tokens of all, special ones included. `parse`: special tokens may be spelled out. The exit
 * code, with a message. */
int cli_texts_tokenize(cli_texts *texts, const cli_job *job, bool parse);
void cli_texts_free(cli_texts *texts);

/* The text as a terminal may show it, at most `columns` characters of it. */
void cli_print_text(const char *text, size_t bytes, size_t columns);

#endif
