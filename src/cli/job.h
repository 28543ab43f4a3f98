/* A model on a device: what the subcommands that compute something open, and in which order. */
#ifndef LP_CLI_JOB_H
#define LP_CLI_JOB_H

#include "adapters.h"

typedef struct cli_job {
    /* From the command line. */
    const char *path;       /* of the model; NULL: the one that ships, then its path */
    const char *selector;   /* of the device; may be NULL */
    const char *workaround; /* file; may be NULL */
    cli_adapters adapters;
    int verbose;
    lp_session_options options; /* without the fields that cli_job_session() fills */

    lp_context *ctx;
    lp_model *model;
    lp_devices *devices;
    size_t device;
    const char *reason; /* why this device, in half a sentence */
    lp_session *session;
    char *shipped, *cache, *workaround_text; /* malloc'ed */
} cli_job;                                   /* zero-initialise */

/* Model and device. Prints failures; returns the exit code. */
int cli_job_open(cli_job *job);
/* Then the session, with a bar while weights are loaded. The same. */
int cli_job_session(cli_job *job);
/* Whether the model continues texts, as `command` needs it: an encoder-decoder answers them. False
 * with a message. After cli_job_open(). */
bool cli_job_continues(const cli_job *job, const cli_command *command);
/* "lapilli: llama 3.5M F16 on CPU (cpu): asked for" on stderr. */
void cli_job_print(const cli_job *job);
/* At any stage. */
void cli_job_close(cli_job *job);

#endif
