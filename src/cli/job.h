/* A model on a device: the options that name it, the same in every subcommand that computes
 * something, and what is opened in which order. A subcommand puts CLI_JOB_OPTIONS into its table of
 * options, with those of the others that it takes ("context", 'c'; "batch", 'b'; "quiet", 'q';
 * CLI_CACHE_TYPE_OPTION, CLI_GUARD_OPTION, CLI_PLANT_OPTION), and hands its options to
 * cli_job_option(). */
#ifndef LP_CLI_JOB_H
#define LP_CLI_JOB_H

#include "adapters.h"

enum {
    CLI_CACHE_TYPE = 2176, /* above those of draft.h */
    CLI_WORKAROUND,
    CLI_DETERMINISTIC,
    CLI_NO_INT8,
    CLI_GUARD,
    CLI_PLANT
};

#define CLI_JOB_OPTIONS                                                                            \
    {"model", required_argument, NULL, 'm'}, CLI_ADAPTER_OPTIONS,                                  \
        {"device", required_argument, NULL, 'd'},                                                  \
        {"workaround", required_argument, NULL, CLI_WORKAROUND},                                   \
        {"deterministic", no_argument, NULL, CLI_DETERMINISTIC},                                   \
        {"no-int8", no_argument, NULL, CLI_NO_INT8},                                               \
        {"verbose", no_argument, NULL, 'v'},                                                       \
    {                                                                                              \
        "help", no_argument, NULL, 'h'                                                             \
    }
#define CLI_CACHE_TYPE_OPTION                                                                      \
    {                                                                                              \
        "cache-type", required_argument, NULL, CLI_CACHE_TYPE                                      \
    }
#define CLI_GUARD_OPTION                                                                           \
    {                                                                                              \
        "guard", optional_argument, NULL, CLI_GUARD                                                \
    }
#define CLI_PLANT_OPTION                                                                           \
    {                                                                                              \
        "plant", required_argument, NULL, CLI_PLANT                                                \
    }

#define CLI_MODEL_HELP                                                                             \
    "  -m, --model=FILE|DIR  GGUF file or Hugging Face folder; without: the model that\n"          \
    "                        ships with lapilli\n"
#define CLI_DEVICE_HELP                                                                            \
    "  -d, --device=DEVICE   an id (vulkan:0, cpu, reference) or a part of a name\n"
#define CLI_CACHE_TYPE_HELP                                                                        \
    "      --cache-type=TYPE of keys and values: f16 (default), f32, or q8_0\n"
#define CLI_WORKAROUND_HELP                                                                        \
    "      --workaround=FILE what lapilli check wrote for this device and driver\n"
#define CLI_GUARD_HELP                                                                             \
    "      --guard[=RATE]    recomputes a part of one node on the CPU for this share of the\n"     \
    "                        tokens (default 0.02), and stops if the device disagrees\n"
#define CLI_NO_INT8_HELP                                                                           \
    "      --no-int8         cpu: read what quantised layers get in full, not in int8; slower\n"
#define CLI_VERBOSE_HELP                                                                           \
    "  -v, --verbose         say more; twice: everything\n"                                        \
    "  -h, --help            this text\n"

typedef struct cli_job {
    /* From the command line. */
    const char *path;       /* of the model; NULL: the one that ships, then its path */
    const char *selector;   /* of the device; may be NULL */
    const char *workaround; /* file; may be NULL */
    cli_adapters adapters;
    int verbose;
    bool quiet;
    uint32_t least_context;     /* that the subcommand can work with */
    bool ids_only;              /* no texts: the model needs no tokenizer */
    lp_session_options options; /* without the fields that cli_job_session() fills */

    lp_context *ctx;
    lp_model *model;
    lp_devices *devices;
    size_t device;
    const char *reason; /* why this device, in half a sentence */
    lp_session *session;
    char *shipped, *cache, *workaround_text; /* malloc'ed */
} cli_job;                                   /* zero-initialise */

/* Whether option `id` is one of those above; *code: CLI_OK, or the exit code after a message. */
bool cli_job_option(const cli_command *command, cli_job *job, int id, int *code);
/* What --guard recomputed, on stderr; nothing without --guard. */
void cli_job_print_guard(const cli_job *job);
/* n ids spread over the vocabulary, the same every time. */
void cli_ids(uint32_t vocabulary, int32_t *tokens, size_t n);
/* Model and device. Prints failures; returns the exit code. */
int cli_job_open(cli_job *job);
/* Then the session, with a bar while weights are loaded. The same. */
int cli_job_session(cli_job *job);
/* Whether the model is of a kind that `command` takes. False with a message. After cli_job_open().
 */
enum { CLI_DECODERS = 1, CLI_ENCODERS = 2, CLI_ENCODER_DECODERS = 4 };
bool cli_job_takes(const cli_job *job, const cli_command *command, unsigned kinds);
/* As cli_failed(), for what uses a workaround (NULL: none): its mistakes are named with its file.
 */
int cli_job_failed(const lp_context *ctx, lp_status status, const char *workaround);
/* "lapilli: llama 3.5M F16 on CPU (cpu): asked for" on stderr. */
void cli_job_print(const cli_job *job);
/* At any stage. */
void cli_job_close(cli_job *job);

#endif
