/* Options of drawing: see sampling.h. */
#include "sampling.h"

#include "files.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void cli_sampling_start(cli_sampling *s)
{
    static const lp_sampling usual = LP_SAMPLING_DEFAULT;
    *s = (cli_sampling){.values = usual};
}

void cli_sampling_finish(cli_sampling *s)
{
    if (s->values.n_bias > 0)
        s->values.bias = s->biases;
    if (s->values.n_dry_breakers > 0)
        s->values.dry_breakers = s->breakers;
    if (!s->has_seed) /* it is printed, so the text can be had again */
        s->values.seed = cli_any_seed();
}

int cli_sampling_check(const cli_sampling *s)
{
    size_t n;
    bool complete;
    if (s->values.grammar == NULL && s->values.json_schema == NULL)
        return CLI_OK;
    lp_context *ctx = cli_context(0);
    if (ctx == NULL)
        return CLI_FAILED;
    const lp_status status =
        lp_grammar_match(ctx, s->values.grammar, s->values.json_schema, "", 0, &n, &complete);
    const int code = status == LP_OK ? CLI_OK : cli_failed(ctx, status);
    lp_context_destroy(ctx);
    return code;
}

void cli_sampling_free(cli_sampling *s)
{
    free(s->file);
}

/* Options with a number: where it goes, and from where to where it makes sense. */
static const struct number {
    int id;
    const char *name;
    size_t offset;
    float min, max;
} numbers[] = {
#define NUMBER(id, name, field, min, max)                                                          \
    {                                                                                              \
        id, name, offsetof(lp_sampling, field), min, max                                           \
    }
    NUMBER(CLI_TEMP, "--temp", temperature, 0, 100),
    NUMBER(CLI_TOP_P, "--top-p", top_p, 0.001f, 1),
    NUMBER(CLI_MIN_P, "--min-p", min_p, 0, 1),
    NUMBER(CLI_TYPICAL, "--typical", typical_p, 0.001f, 1),
    NUMBER(CLI_TAIL_FREE, "--tail-free", tail_free_z, 0.001f, 1),
    NUMBER(CLI_TOP_N_SIGMA, "--top-n-sigma", top_n_sigma, 0, 1000),
    NUMBER(CLI_XTC_PROBABILITY, "--xtc-probability", xtc_probability, 0, 1),
    NUMBER(CLI_XTC_THRESHOLD, "--xtc-threshold", xtc_threshold, 0.0001f, 1),
    NUMBER(CLI_MIROSTAT_TAU, "--mirostat-tau", mirostat_tau, 0.01f, 100),
    NUMBER(CLI_MIROSTAT_ETA, "--mirostat-eta", mirostat_eta, 0.0001f, 10),
    NUMBER(CLI_REPEAT_PENALTY, "--repeat-penalty", repeat_penalty, 0.01f, 100),
    NUMBER(CLI_FREQUENCY_PENALTY, "--frequency-penalty", frequency_penalty, -100, 100),
    NUMBER(CLI_PRESENCE_PENALTY, "--presence-penalty", presence_penalty, -100, 100),
    NUMBER(CLI_DRY_MULTIPLIER, "--dry-multiplier", dry_multiplier, 0, 100),
    NUMBER(CLI_DRY_BASE, "--dry-base", dry_base, 1, 100),
#undef NUMBER
};

/* Options with a whole number. */
static const struct count {
    int id;
    const char *name;
    size_t offset;
    uint32_t min;
} counts[] = {
    {CLI_TOP_K, "--top-k", offsetof(lp_sampling, top_k), 0},
    {CLI_REPEAT_WINDOW, "--repeat-window", offsetof(lp_sampling, repeat_window), 0},
    {CLI_DRY_ALLOWED, "--dry-allowed-length", offsetof(lp_sampling, dry_allowed_length), 1},
    {CLI_DRY_WINDOW, "--dry-window", offsetof(lp_sampling, dry_window), 0},
};

static int add_text(const cli_command *command, const char *name, const char **list, size_t *n,
                    size_t most)
{
    if (*n == most)
        return cli_usage_error(command, "at most %zu %s can be given", most, name);
    if (!*optarg)
        return cli_usage_error(command, "%s wants a text that is not empty", name);
    list[(*n)++] = optarg;
    return CLI_OK;
}

/* ID=BIAS, TEXT=BIAS, "TEXT"=BIAS (for a text of digits), or ID+BIAS, ID-BIAS as llama.cpp has it.
 */
static int add_bias(const cli_command *command, cli_sampling *s)
{
    char *equals = strrchr(optarg, '='), *end;
    const size_t digits = strspn(optarg, "0123456789");
    const bool short_form = digits > 0 && (optarg[digits] == '+' || optarg[digits] == '-');
    const char *number = short_form ? optarg + digits : equals ? equals + 1 : "";
    lp_logit_bias bias = {.bias = strtof(number, &end)};
    if (end == number || *end || !(bias.bias <= 1e6f) || number == optarg || equals == optarg)
        return cli_usage_error(
            command,
            "--logit-bias wants ID=BIAS or TEXT=BIAS, BIAS a number up to 1e6 or "
            "-inf, not \"%s\"",
            optarg);
    if (s->values.n_bias == CLI_MAX_BIASES)
        return cli_usage_error(command, "at most %d --logit-bias can be given", CLI_MAX_BIASES);
    if (short_form || digits == (size_t)(equals - optarg)) {
        unsigned long long id = strtoull(optarg, NULL, 10);
        bias.token = id <= INT32_MAX ? (int32_t)id : INT32_MAX;
    } else {
        *equals = '\0';
        if (*optarg == '"' && equals - optarg > 2 && equals[-1] == '"') {
            equals[-1] = '\0';
            optarg++;
        }
        bias.text = optarg;
    }
    s->biases[s->values.n_bias++] = bias;
    return CLI_OK;
}

static int set_mirostat(const cli_command *command, cli_sampling *s)
{
    uint64_t version;
    if (!cli_parse_u64(command, "--mirostat", optarg, 0, 2, &version))
        return CLI_USAGE;
    if (version == 1)
        return cli_usage_error(command, "--mirostat is 2 (0: off); the first version is not there");
    s->values.mirostat = (int)version;
    return CLI_OK;
}

/* A schema is an object, true or false; anything else is the name of a file. */
static bool is_json(const char *text)
{
    text += strspn(text, " \t\r\n");
    return *text == '{' || strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
}

/* What the text may be is said once, in one of these ways. */
static int set_grammar(const cli_command *command, cli_sampling *s, int id)
{
    const char *path;
    if (s->values.grammar != NULL || s->values.json_schema != NULL)
        return cli_usage_error(command, "only one grammar or JSON schema can be given");
    if (id == CLI_GRAMMAR) {
        s->values.grammar = optarg;
        return CLI_OK;
    }
    const char *name = id == CLI_JSON_SCHEMA ? "--json-schema" : "--grammar-file";
    if (!cli_parse_name(command, name, optarg, &path))
        return CLI_USAGE;
    if (id == CLI_JSON_SCHEMA && is_json(optarg)) {
        s->values.json_schema = optarg;
        return CLI_OK;
    }
    s->file = cli_read_text(path);
    *(id == CLI_JSON_SCHEMA ? &s->values.json_schema : &s->values.grammar) = s->file;
    return s->file != NULL ? CLI_OK : CLI_FAILED;
}

int cli_sampling_option(const cli_command *command, cli_sampling *s, int id)
{
    uint64_t count;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].id == id) {
            float *value = (float *)(void *)((char *)&s->values + numbers[i].offset);
            return cli_parse_float(command, numbers[i].name, optarg, numbers[i].min, numbers[i].max,
                                   value)
                       ? CLI_OK
                       : CLI_USAGE;
        }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].id == id) {
            if (!cli_parse_u64(command, counts[i].name, optarg, counts[i].min, UINT32_MAX, &count))
                return CLI_USAGE;
            *(uint32_t *)(void *)((char *)&s->values + counts[i].offset) = (uint32_t)count;
            return CLI_OK;
        }
    switch (id) {
    case 's':
        s->has_seed = true;
        return cli_parse_u64(command, "-s", optarg, 0, UINT64_MAX, &s->values.seed) ? CLI_OK
                                                                                    : CLI_USAGE;
    case CLI_MIROSTAT:
        return set_mirostat(command, s);
    case CLI_SAMPLERS:
        s->values.samplers = optarg;
        return CLI_OK;
    case CLI_LOGIT_BIAS:
        return add_bias(command, s);
    case CLI_GRAMMAR:
    case CLI_GRAMMAR_FILE:
    case CLI_JSON_SCHEMA:
        return set_grammar(command, s, id);
    case CLI_STOP:
        return add_text(command, "--stop", s->stops, &s->n_stops, CLI_MAX_STOPS);
    case CLI_DRY_BREAKER:
        if (strcmp(optarg, "none") == 0) {
            s->values.dry_breakers = s->breakers;
            return CLI_OK;
        }
        return add_text(command, "--dry-breaker", s->breakers, &s->values.n_dry_breakers,
                        CLI_MAX_BREAKERS);
    default:
        return CLI_NOT_SAMPLING;
    }
}
