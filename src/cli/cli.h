/* What the subcommands of `lapilli` share: exit codes, messages, options, output that notices when
 * it fails, interruption, progress. The command sees the public header only. */
#ifndef LP_CLI_H
#define LP_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <yyjson.h>
#include "lapilli.h"

enum {
    CLI_OK = 0,
    CLI_FAILED = 1,        /* it was tried and did not work: the message says why */
    CLI_USAGE = 2,         /* the command line makes no sense */
    CLI_INTERRUPTED = 130, /* Ctrl-C; 143 for SIGTERM: 128 + signal */
    CLI_READER_GONE = 141  /* whoever read the output has closed it: 128 + SIGPIPE */
};

typedef struct cli_command {
    const char *name, *summary;
    const char *help; /* everything that `lapilli NAME --help` prints after the usage line */
    const char *usage;
    int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name */
} cli_command;

extern const cli_command cli_run, cli_embed, cli_fill, cli_classify, cli_devices, cli_inspect,
    cli_bench, cli_synth, cli_check, cli_doctor, cli_certificate, cli_tokenize, cli_detokenize,
    cli_perplexity, cli_translate, cli_convert, cli_quantize, cli_grammar, cli_chat_main, cli_image,
    cli_plan;

/* The types of matrices, for messages. */
#define CLI_TYPES                                                                                  \
    "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K to Q6_K, IQ4_NL, IQ4_XS, MXFP4, TQ1_0, "   \
    "TQ2_0"

/* --- Messages --------------------------------------------------------------------------------- */

/* "lapilli: ...\n" on stderr. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says what is wrong with the command line; returns CLI_USAGE. */
int cli_usage_error(const cli_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Prints the latest failure of the library; returns the exit code. A cancellation by a signal needs
 * no message. */
int cli_failed(const lp_context *ctx, lp_status status);
/* Log lines of the library on stderr. `verbose`: 0 warnings, 1 information, 2 everything. NULL when
 * out of memory, with a message. */
lp_context *cli_context(int verbose);

/* --- Command line ----------------------------------------------------------------------------- */

/* Options of a subcommand: short ones as getopt has them (without the leading ':'). Handles --help
 * and everything unknown. */
typedef struct cli_options {
    const cli_command *command;
    const char *short_options;
    const struct option *long_options; /* ends with {0} */
    int argc;
    char **argv;
    int exit_code; /* when cli_next() returned CLI_END_NOW */
} cli_options;

enum { CLI_NO_MORE = -1, CLI_END_NOW = -2, CLI_LONG_ONLY = 256 /* first id without a letter */ };

/* The next option (its letter or id; its argument in optarg), CLI_NO_MORE after the last (optind is
 * then the first operand), or CLI_END_NOW: leave with exit_code. */
int cli_next(cli_options *options);

/* Whole numbers and numbers in a range; false with a message. `name` is the option's. */
bool cli_parse_u64(const cli_command *command, const char *name, const char *text, uint64_t min,
                   uint64_t max, uint64_t *value);
bool cli_parse_float(const cli_command *command, const char *name, const char *text, float min,
                     float max, float *value);
/* Name of a file or folder; an empty one (of a shell variable that is not set) is a mistake. */
bool cli_parse_name(const cli_command *command, const char *option, const char *text,
                    const char **name);
/* Of keys and values: f16, f32 or q8_0; false with a message. */
bool cli_parse_cache_type(const cli_command *command, const char *text, lp_dtype *type);
const char *cli_cache_type(lp_dtype type);

/* --- Output ------------------------------------------------------------------------------------
 */

/* Before anything else: missing standard streams, signals. */
void cli_prepare(void);
/* The signal that asked us to stop, or 0. */
int cli_stop_signal(void);

/* Writes to stdout at once; false when that failed, also earlier. */
bool cli_write(const char *text, size_t bytes);
/* At the end: flushes stdout and returns the exit code: `code`, unless something could not be
 * written or a signal came. */
int cli_finish(int code);

/* Number with separators ("1,048,576") into `text`, 27 bytes; returns `text`. */
char *cli_count(uint64_t count, char *text);
/* "3.1 GiB" into `text`, 16 bytes; returns `text`. */
char *cli_bytes(uint64_t bytes, char *text);

/* Length of the character at the start of text[bytes]; 0 if it is none that a terminal may show
 * (broken UTF-8, control characters). */
size_t cli_character(const char *text, size_t bytes);
/* Spaces that bring a text to a number of columns on a terminal; 0 if it is longer. */
int cli_padding(const char *text, int columns);

/* JSON: strings from files may be invalid UTF-8, which JSON cannot hold; such bytes become U+FFFD.
 */
void cli_json_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *text);
/* The same for text by its length. */
void cli_json_bytes(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *text,
                    size_t bytes);
/* A fact: as a number if it is one; quotes around a value are those of JSON. */
void cli_json_fact(yyjson_mut_doc *doc, yyjson_mut_val *object, lp_fact fact);
/* Prints text as a JSON string on a line of its own; returns the exit code. */
int cli_json_line(const char *text, size_t bytes);
/* Prints the document and frees it; returns the exit code. `doc` may be NULL (out of memory). */
int cli_json_print(yyjson_mut_doc *doc);

/* --- What several subcommands need -------------------------------------------------------------
 */

/* Progress on stderr, on a terminal only, after a third of a second. An lp_progress_fn; `user` is a
 * cli_progress. It asks to stop when a signal came. */
typedef struct cli_progress {
    const char *what;
    double begin; /* seconds; 0: not yet called */
    int percent;  /* shown last; -1: nothing is shown */
} cli_progress;
#define CLI_PROGRESS(text)                                                                         \
    {                                                                                              \
        .what = (text), .percent = -1                                                              \
    }
int cli_show_progress(void *user, uint64_t done, uint64_t total);
/* Removes the bar. */
void cli_clear_progress(cli_progress *progress);

/* Monotonic clock. */
double cli_seconds(void);

/* The model that ships, malloc'ed; NULL with a message if it is not there. */
char *cli_default_model(void);
/* The same without a message. */
char *cli_find_model(void);
/* The one that makes pictures. */
char *cli_default_image_model(void);
/* A seed that nobody chose, of six digits at most: it is printed, so the result can be had again. */
uint64_t cli_any_seed(void);
/* Where compiled pipelines are kept (made if it is missing), malloc'ed; NULL: nowhere. */
char *cli_cache_folder(void);
/* Lists the devices and chooses; `selector` may be NULL. `alone`: no other device of the list will
 * be asked for, so for one that needs no Vulkan none is opened. Prints failures; returns the exit
 * code. */
int cli_choose_device(lp_context *ctx, const char *selector, bool alone, lp_devices **devices,
                      size_t *index, const char **reason);
/* Prints what --plant can name; returns the exit code. */
int cli_list_faults(void);

#endif
