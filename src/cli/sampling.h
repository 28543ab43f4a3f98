/* Options that say how tokens are drawn and where a text ends: the same in every subcommand that
 * generates. A subcommand puts CLI_SAMPLING_OPTIONS into its table of options and CLI_SAMPLING_HELP
 * into its help, and hands every option to cli_sampling_option() first. */
#ifndef LP_CLI_SAMPLING_H
#define LP_CLI_SAMPLING_H

#include "cli.h"

enum {
    CLI_TEMP = 1024, /* above those of any subcommand */
    CLI_TOP_K,
    CLI_TOP_P,
    CLI_MIN_P,
    CLI_TYPICAL,
    CLI_TAIL_FREE,
    CLI_TOP_N_SIGMA,
    CLI_XTC_PROBABILITY,
    CLI_XTC_THRESHOLD,
    CLI_MIROSTAT,
    CLI_MIROSTAT_TAU,
    CLI_MIROSTAT_ETA,
    CLI_REPEAT_PENALTY,
    CLI_REPEAT_WINDOW,
    CLI_FREQUENCY_PENALTY,
    CLI_PRESENCE_PENALTY,
    CLI_DRY_MULTIPLIER,
    CLI_DRY_BASE,
    CLI_DRY_ALLOWED,
    CLI_DRY_WINDOW,
    CLI_DRY_BREAKER,
    CLI_LOGIT_BIAS,
    CLI_SAMPLERS,
    CLI_GRAMMAR,
    CLI_GRAMMAR_FILE,
    CLI_JSON_SCHEMA,
    CLI_STOP
};

/* Some go by two names: ours and llama.cpp's. */
#define CLI_SAMPLING_OPTIONS                                                                       \
    {"seed", required_argument, NULL, 's'},                                                        \
        {"temp", required_argument, NULL, CLI_TEMP},                                               \
        {"temperature", required_argument, NULL, CLI_TEMP},                                        \
        {"top-k", required_argument, NULL, CLI_TOP_K},                                             \
        {"top-p", required_argument, NULL, CLI_TOP_P},                                             \
        {"min-p", required_argument, NULL, CLI_MIN_P},                                             \
        {"typical", required_argument, NULL, CLI_TYPICAL},                                         \
        {"tail-free", required_argument, NULL, CLI_TAIL_FREE},                                     \
        {"top-n-sigma", required_argument, NULL, CLI_TOP_N_SIGMA},                                 \
        {"top-nsigma", required_argument, NULL, CLI_TOP_N_SIGMA},                                  \
        {"xtc-probability", required_argument, NULL, CLI_XTC_PROBABILITY},                         \
        {"xtc-threshold", required_argument, NULL, CLI_XTC_THRESHOLD},                             \
        {"mirostat", required_argument, NULL, CLI_MIROSTAT},                                       \
        {"mirostat-tau", required_argument, NULL, CLI_MIROSTAT_TAU},                               \
        {"mirostat-ent", required_argument, NULL, CLI_MIROSTAT_TAU},                               \
        {"mirostat-eta", required_argument, NULL, CLI_MIROSTAT_ETA},                               \
        {"mirostat-lr", required_argument, NULL, CLI_MIROSTAT_ETA},                                \
        {"repeat-penalty", required_argument, NULL, CLI_REPEAT_PENALTY},                           \
        {"repeat-window", required_argument, NULL, CLI_REPEAT_WINDOW},                             \
        {"repeat-last-n", required_argument, NULL, CLI_REPEAT_WINDOW},                             \
        {"frequency-penalty", required_argument, NULL, CLI_FREQUENCY_PENALTY},                     \
        {"presence-penalty", required_argument, NULL, CLI_PRESENCE_PENALTY},                       \
        {"dry-multiplier", required_argument, NULL, CLI_DRY_MULTIPLIER},                           \
        {"dry-base", required_argument, NULL, CLI_DRY_BASE},                                       \
        {"dry-allowed-length", required_argument, NULL, CLI_DRY_ALLOWED},                          \
        {"dry-window", required_argument, NULL, CLI_DRY_WINDOW},                                   \
        {"dry-penalty-last-n", required_argument, NULL, CLI_DRY_WINDOW},                           \
        {"dry-breaker", required_argument, NULL, CLI_DRY_BREAKER},                                 \
        {"dry-sequence-breaker", required_argument, NULL, CLI_DRY_BREAKER},                        \
        {"logit-bias", required_argument, NULL, CLI_LOGIT_BIAS},                                   \
        {"samplers", required_argument, NULL, CLI_SAMPLERS},                                       \
        {"grammar", required_argument, NULL, CLI_GRAMMAR},                                         \
        {"grammar-file", required_argument, NULL, CLI_GRAMMAR_FILE},                               \
        {"json-schema", required_argument, NULL, CLI_JSON_SCHEMA},                                 \
        {"stop", required_argument, NULL, CLI_STOP},                                               \
        {"reverse-prompt", required_argument, NULL, CLI_STOP}

#define CLI_SAMPLING_HELP                                                                          \
    "How tokens are drawn:\n"                                                                      \
    "  -s, --seed=SEED       same seed, same text (default: another one every time)\n"             \
    "      --temp=T          temperature; 0: always the likeliest token (default 0.8)\n"           \
    "      --top-k=K         only the K likeliest tokens (default 40; 0: all)\n"                   \
    "      --top-p=P         only the likeliest that together have probability P\n"                \
    "                        (default 0.95; 1: all)\n"                                             \
    "      --min-p=P         only those at least P times as likely as the likeliest\n"             \
    "                        (default 0.05; 0: all)\n"                                             \
    "      --typical=P       only those whose surprise is nearest to the expected one, with\n"     \
    "                        probability P together (default 1: off)\n"                            \
    "      --tail-free=Z     without the tail of unlikely ones (default 1: off)\n"                 \
    "      --top-n-sigma=N   only logits within N standard deviations of the largest\n"            \
    "                        (default 0: off)\n"                                                   \
    "      --xtc-probability=P, --xtc-threshold=P\n"                                               \
    "                        how often the likeliest are left out, except the last one with\n"     \
    "                        at least the threshold (default 0: never, and 0.1)\n"                 \
    "      --mirostat=2      keeps the surprise of the text constant, instead of all cuts above;\n" \
    "                        --mirostat-tau=BITS (default 5), --mirostat-eta=RATE (default 0.1)\n" \
    "      --samplers=LIST   these steps and no others, in this order (default\n"                  \
    "                        \"penalties;dry;top_n_sigma;top_k;tfs_z;typ_p;top_p;min_p;xtc;\n"     \
    "                        temperature\")\n"                                                     \
    "\n"                                                                                           \
    "Against repetition, and for or against single tokens:\n"                                      \
    "      --repeat-penalty=R      divides logits of tokens of the latest text (default 1: off)\n" \
    "      --frequency-penalty=F   off a logit each time that the token came (default 0)\n"        \
    "      --presence-penalty=F    off a logit if the token came (default 0)\n"                    \
    "      --repeat-window=N       how many tokens these three look at (default 64)\n"             \
    "      --dry-multiplier=M      DRY: off the logit of a token that would go on with a sequence\n" \
    "                              of L tokens that was there before: M B^(L - A) (default 0: off)\n" \
    "      --dry-base=B, --dry-allowed-length=A, --dry-window=N\n"                                 \
    "                              (default 1.75, 2, and all of the text)\n"                       \
    "      --dry-breaker=TEXT      no sequence reaches over it; several times, or none (default\n" \
    "                              newline, colon, double quote, asterisk)\n"                      \
    "      --logit-bias=TOKEN=B    adds B to the logit of a token, given by its id or spelling, or\n" \
    "                              of all tokens of a text; -inf: never; several times\n"          \
    "\n"                                                                                           \
    "What the text may be:\n"                                                                      \
    "      --grammar=GBNF    a text of this grammar, from its rule root (docs/GRAMMARS.md)\n"      \
    "      --grammar-file=FILE   the grammar is in a file\n"                                       \
    "      --json-schema=SCHEMA  JSON that satisfies a schema, given as text or as a file's\n"     \
    "                        name; {}: any JSON\n"                                                 \
    "\n"                                                                                           \
    "Where the text ends:\n"                                                                       \
    "      --stop=TEXT       before this text; up to 16 times\n"

enum { CLI_MAX_STOPS = 16, CLI_MAX_BIASES = 256, CLI_MAX_BREAKERS = 32, CLI_NOT_SAMPLING = -1 };

typedef struct cli_sampling {
    lp_sampling values;
    bool has_seed;
    const char *stops[CLI_MAX_STOPS];
    size_t n_stops;
    lp_logit_bias biases[CLI_MAX_BIASES];
    const char *breakers[CLI_MAX_BREAKERS];
    char *file; /* the grammar's, malloc'ed */
} cli_sampling;

/* The defaults. */
void cli_sampling_start(cli_sampling *s);
/* One option (its argument in optarg, which may be cut in two): the exit code, CLI_OK to go on,
 * CLI_NOT_SAMPLING if it is none of these. */
int cli_sampling_option(const cli_command *command, cli_sampling *s, int id);
/* Whether the grammar or schema, if there is one, can be used: before anything is loaded. Prints its
 * mistake; returns the exit code. */
int cli_sampling_check(const cli_sampling *s);
/* After the last one: `values` is ready. Without a seed there is another one every time. */
void cli_sampling_finish(cli_sampling *s);
void cli_sampling_free(cli_sampling *s);

#endif
