/* LoRA adapters: the same options in every subcommand that computes with a model. A subcommand puts
 * CLI_ADAPTER_OPTIONS into its table of options and CLI_ADAPTER_HELP into its help, and hands its
 * options to cli_adapter_option(). */
#ifndef LP_CLI_ADAPTERS_H
#define LP_CLI_ADAPTERS_H

#include "cli.h"

enum {
    CLI_LORA = 2048, /* above those of any subcommand, and of sampling.h */
    CLI_LORA_SCALED,
    CLI_MAX_ADAPTERS = 64
};

#define CLI_ADAPTER_OPTIONS                                                                        \
    {"lora", required_argument, NULL, CLI_LORA},                                                   \
    {                                                                                              \
        "lora-scaled", required_argument, NULL, CLI_LORA_SCALED                                    \
    }
#define CLI_ADAPTER_HELP                                                                           \
    "      --lora=FILE|DIR   adds a LoRA adapter: a GGUF file, or a folder of PEFT; repeatable\n"  \
    "      --lora-scaled=FILE|DIR:SCALE   the same, times SCALE\n"

typedef struct cli_adapters {
    struct {
        const char *path; /* in argv */
        float scale;
    } item[CLI_MAX_ADAPTERS];
    size_t n;
} cli_adapters; /* zero-initialise */

/* Whether option `id` is one of these; *code: CLI_OK, or the exit code after a message. */
bool cli_adapter_option(const cli_command *command, cli_adapters *adapters, int id, int *code);
/* Adds them to a model that was just opened. */
lp_status cli_adapters_apply(const cli_adapters *adapters, lp_model *model);

#endif
