/* Files that the command reads and writes whole. */
#ifndef LP_CLI_FILES_H
#define LP_CLI_FILES_H

#include "cli.h"

/* A file being written: it goes to a temporary file beside `path`, which takes its name at the end,
 * so that there is the old file or the whole new one, never a part. Begun before long work, it
 * finds a wrong path before and not after it. */
typedef struct cli_output {
    const char *path; /* as given; NULL: nothing is written */
    char *target, *temporary;
    FILE *stream;
} cli_output; /* zero-initialise */

/* False with a message. `path` NULL: no file is wanted, and the other functions do nothing. */
bool cli_output_begin(cli_output *output, const char *path);
/* Writes `text` and gives the file its name; false with a message, and no file is left. */
bool cli_output_finish(cli_output *output, const char *text);
/* Removes the temporary file unless the output was finished. */
void cli_output_abandon(cli_output *output);

/* The text of a file, terminated, malloc'ed; NULL with a message. At most 16 MiB, no NUL. */
char *cli_read_text(const char *path);

#endif
