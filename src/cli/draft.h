/* Speculative decoding: options, the second model, and what came of it. A subcommand puts
 * CLI_DRAFT_OPTIONS into its table of options and CLI_DRAFT_HELP into its help. */
#ifndef LP_CLI_DRAFT_H
#define LP_CLI_DRAFT_H

#include "job.h"

enum {
    CLI_DRAFT = 2112, /* above those of adapters.h */
    CLI_DRAFT_LOOKUP,
    CLI_DRAFT_MAX,
    CLI_DRAFT_MIN_P
};

#define CLI_DRAFT_OPTIONS                                                                          \
    {"draft", required_argument, NULL, CLI_DRAFT},                                                 \
        {"draft-lookup", no_argument, NULL, CLI_DRAFT_LOOKUP},                                     \
        {"draft-max", required_argument, NULL, CLI_DRAFT_MAX},                                     \
    {                                                                                              \
        "draft-min-p", required_argument, NULL, CLI_DRAFT_MIN_P                                    \
    }
#define CLI_DRAFT_HELP                                                                             \
    "      --draft=FILE|DIR  a smaller model with the same tokens guesses what comes, the model\n" \
    "                        checks several guesses at once: the same text\n"                      \
    "      --draft-lookup    what followed the same tokens earlier in the text is the guess\n"     \
    "      --draft-max=N     at most N guesses at a time (1 to 64, default 4)\n"                   \
    "      --draft-min-p=P   no guess to which the draft gives less than P (default 0)\n"

typedef struct cli_draft {
    const char *path; /* NULL: no draft model */
    bool lookup, has_numbers;
    uint32_t most;
    float min_p;

    lp_model *model;
    lp_session *session;
} cli_draft;
#define CLI_DRAFT_DEFAULT                                                                          \
    {                                                                                              \
        .most = 4                                                                                  \
    }

/* Whether option `id` is one of these; *code: CLI_OK, or the exit code after a message. */
bool cli_draft_option(const cli_command *command, cli_draft *draft, int id, int *code);
/* After the last option. Returns the exit code. */
int cli_draft_finish(const cli_command *command, const cli_draft *draft);
/* Gives the job's session its draft, on the same device. Prints failures; returns the exit code. */
int cli_draft_open(cli_draft *draft, const cli_job *job);
/* How many guesses were right, on stderr. */
void cli_draft_print(const cli_draft *draft, const cli_job *job);
/* At any stage, after the job's session. */
void cli_draft_close(cli_draft *draft);

#endif
