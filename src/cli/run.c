/* lapilli run: text from a model. The text goes to stdout as it comes, everything else to stderr.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "draft.h"
#include "job.h"
#include "neighbours.h"
#include "prompt.h"
#include "sampling.h"

typedef struct settings {
    cli_job job;
    cli_prompt prompt;
    bool has_prompt, no_echo, nothing_written;
    const char *suffix;       /* what comes behind the text to be written, or NULL */
    unsigned infill;          /* flags */
    const char *neighbours;   /* file, or NULL */
    const char *prompt_cache; /* file, or NULL */
    bool prompt_cache_ro, keep_all;
    cli_sampling sampling;
    cli_draft draft;
    lp_generate_options generate;
} settings;

enum {
    PROMPT_CACHE = CLI_LONG_ONLY,
    PROMPT_CACHE_RO,
    KEEP,
    NO_CONTEXT_SHIFT,
    NO_ECHO,
    SUFFIX,
    SPM_INFILL,
    NEIGHBOURS
};

static const struct option long_options[] = {
    CLI_JOB_OPTIONS,
    {"prompt", required_argument, NULL, 'p'},
    {"file", required_argument, NULL, 'f'},
    {"tokens", required_argument, NULL, 'n'},
    {"context", required_argument, NULL, 'c'},
    {"batch", required_argument, NULL, 'b'},
    CLI_SAMPLING_OPTIONS,
    CLI_DRAFT_OPTIONS,
    CLI_CACHE_TYPE_OPTION,
    {"prompt-cache", required_argument, NULL, PROMPT_CACHE},
    {"prompt-cache-ro", no_argument, NULL, PROMPT_CACHE_RO},
    {"keep", required_argument, NULL, KEEP},
    {"no-context-shift", no_argument, NULL, NO_CONTEXT_SHIFT},
    {"no-echo", no_argument, NULL, NO_ECHO},
    {"suffix", required_argument, NULL, SUFFIX},
    {"spm-infill", no_argument, NULL, SPM_INFILL},
    {"neighbours", required_argument, NULL, NEIGHBOURS},
    CLI_GUARD_OPTION,
    CLI_PLANT_OPTION,
    {"quiet", no_argument, NULL, 'q'},
    {0},
};

static bool parse_u32(const char *name, uint64_t max, uint32_t *value)
{
    uint64_t number;
    if (!cli_parse_u64(&cli_run, name, optarg, 0, max, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

/* The prompt may be given once. Returns the exit code. */
static int set_prompt(settings *s, bool literal, const char *text)
{
    if (s->has_prompt)
        return cli_usage_error(&cli_run, "only one prompt can be given");
    s->has_prompt = true;
    if (!literal && !cli_parse_name(&cli_run, "-f", text, &text))
        return CLI_USAGE;
    bool ok = literal ? cli_prompt_literal(&s->prompt, text) : cli_prompt_file(&s->prompt, text);
    return ok ? CLI_OK : CLI_FAILED;
}

/* One option; returns the exit code, CLI_OK to go on. */
static int set_option(settings *s, int id)
{
    bool ok = true;
    int code = cli_sampling_option(&cli_run, &s->sampling, id);
    if (code != CLI_NOT_SAMPLING || cli_job_option(&cli_run, &s->job, id, &code) ||
        cli_draft_option(&cli_run, &s->draft, id, &code))
        return code;
    switch (id) {
    case 'p':
        return set_prompt(s, true, optarg);
    case 'f':
        return set_prompt(s, false, optarg);
    case 'n':
        ok = parse_u32("-n", UINT32_MAX, &s->generate.max_tokens);
        break;
    case PROMPT_CACHE:
        ok = cli_parse_name(&cli_run, "--prompt-cache", optarg, &s->prompt_cache);
        break;
    case NEIGHBOURS:
        ok = cli_parse_name(&cli_run, "--neighbours", optarg, &s->neighbours);
        s->generate.shift = 0; /* they belong to chunks of this text */
        break;
    case PROMPT_CACHE_RO:
        s->prompt_cache_ro = true;
        break;
    case KEEP: /* -1, as llama.cpp has it, and all: the whole prompt */
        s->keep_all = strcmp(optarg, "all") == 0 || strcmp(optarg, "-1") == 0;
        ok = s->keep_all || parse_u32("--keep", UINT32_MAX, &s->generate.keep);
        break;
    case NO_CONTEXT_SHIFT:
        s->generate.shift = 0;
        break;
    case NO_ECHO:
        s->no_echo = true;
        break;
    case SUFFIX:
        s->suffix = optarg;
        break;
    default: /* SPM_INFILL: getopt returns nothing else */
        s->infill |= LP_INFILL_SUFFIX_FIRST;
    }
    return ok ? CLI_OK : CLI_USAGE;
}

/* Returns the exit code, CLI_OK to go on; *end: the command ends here (--help). */
static int parse(settings *s, int argc, char **argv, bool *end)
{
    cli_options options = {&cli_run, "m:p:f:n:c:b:s:d:qv", long_options, argc, argv, 0};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        if (id == CLI_END_NOW) {
            *end = true;
            return options.exit_code;
        }
        int code = set_option(s, id);
        if (code != CLI_OK)
            return code;
    }
    for (; optind < argc; optind++) {
        if (strcmp(argv[optind], "-") != 0)
            return cli_usage_error(&cli_run, "\"%s\" is not an option; a prompt is given with -p",
                                   argv[optind]);
        int code = set_prompt(s, false, "-");
        if (code != CLI_OK)
            return code;
    }
    if (s->infill && !s->suffix)
        return cli_usage_error(&cli_run, "--spm-infill wants --suffix TEXT");
    if (s->prompt_cache_ro && !s->prompt_cache)
        return cli_usage_error(&cli_run, "--prompt-cache-ro wants --prompt-cache FILE");
    const int code = cli_draft_finish(&cli_run, &s->draft);
    if (code != CLI_OK)
        return code;
    if (!s->has_prompt && !cli_prompt_ask(&s->prompt))
        return CLI_FAILED;
    cli_sampling_finish(&s->sampling);
    s->generate.stop = s->sampling.stops;
    s->generate.n_stop = s->sampling.n_stops;
    return CLI_OK;
}

/* Tokenizers put a space before a word; one at the very beginning is no part of the text. */
static int write_text(void *user, const char *text, size_t bytes)
{
    settings *s = user;
    if (s->nothing_written && bytes > 0) {
        s->nothing_written = false;
        if (*text == ' ') {
            text++;
            bytes--;
        }
    }
    return !cli_write(text, bytes) || cli_stop_signal();
}

/* As the user sees it: the caller of the library is this command. */
static const char *ending_text(lp_ending ending)
{
    if (ending != LP_ENDED_CALLER)
        return lp_ending_text(ending);
    return cli_stop_signal() ? "interrupted" : "nobody reads on";
}

static void print_summary(const lp_generation *g, uint64_t seed, bool sampled)
{
    char count[27];
    double decode = g->seconds - g->first_token_seconds;
    fprintf(stderr, "lapilli: %s token%s", cli_count(g->n_tokens, count),
            g->n_tokens == 1 ? "" : "s");
    if (g->n_tokens > 1 && decode > 0)
        fprintf(stderr, ", %.1f tokens/s", (g->n_tokens - 1) / decode);
    if (g->n_tokens > 0)
        fprintf(stderr, "; first after %.2f s (prompt: %s token%s)", g->first_token_seconds,
                cli_count(g->n_prompt, count), g->n_prompt == 1 ? "" : "s");
    fprintf(stderr, "; ended: %s", ending_text(g->ending));
    if (g->n_shifts > 0)
        fprintf(stderr, "; half of the context forgotten %s time%s", cli_count(g->n_shifts, count),
                g->n_shifts == 1 ? "" : "s");
    if (sampled)
        fprintf(stderr, "; seed %llu", (unsigned long long)seed);
    fputc('\n', stderr);
}

/* What the session holds at its end, with everything that became necessary on the way. */
static void print_memory(const lp_session *session)
{
    const lp_memory m = lp_session_memory(session);
    char weights[16], cache[16], activations[16], staging[16];
    fprintf(stderr, "lapilli: memory: weights %s, keys and values %s, activations %s, staging %s\n",
            cli_bytes(m.weights, weights), cli_bytes(m.cache, cache),
            cli_bytes(m.activations, activations), cli_bytes(m.staging, staging));
}

/* Keys and values of the prompt, as far as the file has them. */
static lp_status load_prompt_cache(const settings *s, uint32_t *n_known)
{
    if (!s->prompt_cache_ro && access(s->prompt_cache, F_OK) != 0)
        return LP_OK; /* the first time */
    return lp_session_load(s->job.session, s->prompt_cache, n_known);
}

/* Computes the others and writes the file anew, if it lacked any. */
static lp_status save_prompt_cache(const settings *s, uint32_t n_known)
{
    const uint32_t n = lp_session_n_tokens(s->job.session);
    const bool save = !s->prompt_cache_ro && n_known < n;
    return save          ? lp_session_save(s->job.session, s->prompt_cache)
           : n_known < n ? lp_session_eval(s->job.session, NULL)
                         : LP_OK;
}

static void print_prompt_cache(const settings *s, uint32_t n_known, uint32_t n)
{
    fprintf(stderr, "lapilli: prompt cache %s: %u of %u tokens found%s\n", s->prompt_cache, n_known,
            n, !s->prompt_cache_ro && n_known < n ? "; written" : "");
}

static lp_status feed_prompt(const settings *s)
{
    const char *text = s->prompt.text ? s->prompt.text : "";
    return s->suffix ? lp_session_feed_infill(s->job.session, text, s->prompt.bytes, s->suffix,
                                              strlen(s->suffix), s->infill)
                     : lp_session_feed_text(s->job.session, text, s->prompt.bytes, LP_FEED_PROMPT);
}

/* Everything after the session is there. */
static int generate(settings *s)
{
    lp_context *ctx = s->job.ctx;
    lp_session *session = s->job.session;
    lp_generation g = {0};
    uint32_t n_known = 0;
    lp_status status = feed_prompt(s);
    if (status == LP_OK && lp_session_n_tokens(session) == 0) {
        cli_error("the prompt is empty, and this model has no token that begins a text");
        return CLI_FAILED;
    }
    if (status == LP_OK && s->prompt_cache)
        status = load_prompt_cache(s, &n_known);
    if (status == LP_OK)
        status = lp_session_sampling(session, &s->sampling.values);
    if (status != LP_OK)
        return cli_failed(ctx, status);
    if (lp_model_reads_source(s->job.model))
        s->no_echo = true; /* what is read and what answers it are two texts */
    if (!s->no_echo && !cli_write(s->prompt.text, s->prompt.bytes))
        return CLI_FAILED; /* cli_finish() tells why */
    const bool begins = s->prompt.bytes == 0 || lp_model_reads_source(s->job.model);
    s->nothing_written = begins && !s->suffix && s->sampling.values.grammar == NULL &&
                         s->sampling.values.json_schema == NULL;
    if (s->keep_all)
        s->generate.keep = lp_session_n_tokens(session);
    else if (s->generate.keep == 0 && lp_model_bos(s->job.model) >= 0)
        s->generate.keep = 1; /* models lean on the token that begins every text */
    const uint32_t n_computed = lp_session_n_tokens(session) - n_known;
    const double begin = cli_seconds();
    if (s->prompt_cache)
        status = save_prompt_cache(s, n_known);
    const double before = cli_seconds() - begin;
    if (status == LP_OK)
        status = lp_session_generate(session, &s->generate, &g);
    if (status == LP_OK && s->suffix && !s->no_echo)
        cli_write(s->suffix, strlen(s->suffix));
    cli_write("\n", 1);
    if (status != LP_OK)
        return cli_failed(ctx, status);
    if (s->prompt_cache) {
        g.n_prompt = n_computed;
        g.seconds += before;
        g.first_token_seconds += before;
    }
    if (!s->job.quiet)
        print_summary(&g, s->sampling.values.seed, s->sampling.values.temperature > 0);
    if (!s->job.quiet && s->prompt_cache)
        print_prompt_cache(s, n_known, n_known + n_computed);
    if (!s->job.quiet)
        cli_draft_print(&s->draft, &s->job);
    if (!s->job.quiet)
        cli_job_print_guard(&s->job);
    if (s->job.verbose)
        print_memory(session);
    return CLI_OK;
}

static int run_model(settings *s)
{
    int code = cli_sampling_check(&s->sampling);
    if (code == CLI_OK)
        code = cli_job_open(&s->job);
    if (code == CLI_OK && !cli_job_takes(&s->job, &cli_run, CLI_DECODERS | CLI_ENCODER_DECODERS))
        code = CLI_FAILED;
    if (code == CLI_OK && !s->job.quiet) {
        cli_job_print(&s->job);
        if (s->job.workaround)
            fprintf(stderr, "lapilli: with the workaround %s\n", s->job.workaround);
    }
    if (code == CLI_OK)
        code = cli_job_session(&s->job);
    if (code == CLI_OK && s->neighbours)
        code = cli_neighbours(s->job.ctx, s->job.model, s->job.session, s->neighbours);
    if (code == CLI_OK)
        code = cli_draft_open(&s->draft, &s->job);
    if (code == CLI_OK)
        code = generate(s);
    lp_session_destroy(s->job.session);
    s->job.session = NULL;
    cli_draft_close(&s->draft);
    cli_job_close(&s->job);
    return code;
}

static int run(int argc, char **argv)
{
    settings s = {.job.options = LP_SESSION_DEFAULT,
                  .draft = CLI_DRAFT_DEFAULT,
                  .generate = {.max_tokens = 256, .on_text = write_text, .shift = 1}};
    cli_sampling_start(&s.sampling);
    s.generate.user = &s;
    bool end = false;
    int code = parse(&s, argc, argv, &end);
    if (code == CLI_OK && !end && s.job.options.plant && strcmp(s.job.options.plant, "list") == 0)
        code = cli_list_faults();
    else if (code == CLI_OK && !end)
        code = cli_stop_signal() ? CLI_FAILED : run_model(&s);
    free(s.prompt.text);
    cli_sampling_free(&s.sampling);
    return code;
}

const cli_command cli_run = {
    .name = "run",
    .summary = "continue a text",
    .usage = "[OPTION]... [-p PROMPT | -f FILE | -]",
    .help =
        "Continues a text. Prompt and continuation go to standard output, everything else to\n"
        "standard error. Ends when the model ends the text, after -n tokens, at a stop string,\n"
        "or at Ctrl-C (exit code 130). When the context is full, the older half of it is\n"
        "forgotten, and the text goes on.\n"
        "An encoder-decoder answers the prompt: only its answer is written (see lapilli "
        "translate).\n"
        "\n" CLI_MODEL_HELP "  -p, --prompt=PROMPT   the text's beginning\n"
        "  -f, --file=FILE       the beginning is in a file (one newline at its end is dropped)\n"
        "  -                     the beginning comes from standard input\n"
        "                        (none of these: asked for on a terminal, else empty)\n"
        "  -n, --tokens=N        at most N tokens (default 256; 0: until the text ends)\n"
        "  -c, --context=N       tokens of context (default: the model's, at most 4096)\n"
        "  -b, --batch=N         tokens of a prompt computed at once (default "
        "512)\n" CLI_ADAPTER_HELP CLI_DRAFT_HELP CLI_DEVICE_HELP CLI_CACHE_TYPE_HELP
        "      --prompt-cache=FILE  takes keys and values of the prompt from FILE as far as it "
        "has\n"
        "                        them; computes the others and writes FILE anew\n"
        "      --prompt-cache-ro never writes it\n"
        "      --keep=N          the first N tokens are never forgotten; all: the whole prompt\n"
        "                        (default: the token that begins every text, if there is one)\n"
        "      --no-context-shift   end when the context is full\n" CLI_WORKAROUND_HELP
        "      --no-echo         only the continuation, not the prompt\n"
        "      --suffix=TEXT     fills in the middle: the prompt is what comes before, TEXT what\n"
        "                        comes behind; for models with tokens for that\n"
        "      --spm-infill      for those that want the suffix first\n"
        "      --neighbours=FILE JSON, for RETRO: a list of each chunk's neighbours, each a\n"
        "                        text or a list of tokens\n" CLI_GUARD_HELP
        "      --deterministic   the same text, to the bit, whatever -b is; slower (see\n"
        "                        docs/CHECKING.md)\n" CLI_NO_INT8_HELP
        "      --plant=FAULT     for developers: one node computes wrongly, to see that\n"
        "                        lapilli check finds it (NAME or NAME@NODE; list: all names)\n"
        "  -q, --quiet           nothing but the text and errors\n" CLI_VERBOSE_HELP
        "\n" CLI_SAMPLING_HELP,
    .run = run,
};
