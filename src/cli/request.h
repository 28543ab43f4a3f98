/* Options of pictures of texts, for the subcommands that make such. */
#ifndef LP_CLI_REQUEST_H
#define LP_CLI_REQUEST_H

#include <getopt.h>

#include "cli.h"

enum {
    CLI_NEGATIVE = 3072,
    /* above those of job.h */ CLI_STEPS,
    CLI_CFG_SCALE,
    CLI_CFG_RESCALE,
    CLI_SAMPLER,
    CLI_SCHEDULE
};

/* And of letters W, H and s, each with an argument. */
#define CLI_REQUEST_OPTIONS                                                                        \
    {"negative", required_argument, NULL, CLI_NEGATIVE}, {"width", required_argument, NULL, 'W'},  \
        {"height", required_argument, NULL, 'H'}, {"steps", required_argument, NULL, CLI_STEPS},   \
        {"cfg-scale", required_argument, NULL, CLI_CFG_SCALE},                                     \
        {"cfg-rescale", required_argument, NULL, CLI_CFG_RESCALE},                                 \
        {"seed", required_argument, NULL, 's'}, {"sampler", required_argument, NULL, CLI_SAMPLER}, \
    {                                                                                              \
        "schedule", required_argument, NULL, CLI_SCHEDULE                                          \
    }

/* Whether option `id` is one of those above; *ok: false after a message about its argument. */
bool cli_request_option(const cli_command *command, lp_image_request *request, int id, bool *ok);

#endif
