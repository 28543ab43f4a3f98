/* lapilli translate: answers of encoder-decoders, text by text. */
#define _GNU_SOURCE /* getline */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "job.h"

#define MAX_LINE ((size_t)16 << 20) /* bytes; beyond it a wrong file was named */

typedef struct settings {
    cli_job job;
    const char *text, *file, *prefix;
    bool json;
    /* What is set on the command line; the model's files say the rest. */
    lp_search_options search;
    bool has_beams, has_best, has_most, has_least, has_repeat, has_penalty, has_stopping;
    uint64_t n_texts, n_tokens;
    double seconds;
} settings;

enum { LENGTH_PENALTY = CLI_LONG_ONLY, N_BEST, MIN_LENGTH, NO_REPEAT, EARLY_STOPPING, PREFIX };

static const struct option long_options[] = {
    CLI_JOB_OPTIONS,
    {"prompt", required_argument, NULL, 'p'},
    {"file", required_argument, NULL, 'f'},
    {"beams", required_argument, NULL, 'B'},
    {"length-penalty", required_argument, NULL, LENGTH_PENALTY},
    {"n-best", required_argument, NULL, N_BEST},
    {"max-length", required_argument, NULL, 'n'},
    {"min-length", required_argument, NULL, MIN_LENGTH},
    {"no-repeat", required_argument, NULL, NO_REPEAT},
    {"early-stopping", required_argument, NULL, EARLY_STOPPING},
    {"prefix", required_argument, NULL, PREFIX},
    {"context", required_argument, NULL, 'c'},
    CLI_CACHE_TYPE_OPTION,
    CLI_PLANT_OPTION,
    {"json", no_argument, NULL, 'j'},
    {"quiet", no_argument, NULL, 'q'},
    {0},
};

static bool parse_u32(const char *name, uint32_t min, uint32_t max, uint32_t *value, bool *set)
{
    uint64_t number;
    if (!cli_parse_u64(&cli_translate, name, optarg, min, max, &number))
        return false;
    *value = (uint32_t)number;
    return *set = true;
}

static bool parse_stopping(settings *s)
{
    static const char *const names[] = {
        [LP_STOP_UNLIKELY] = "no", [LP_STOP_AT_ONCE] = "yes", [LP_STOP_HOPELESS] = "never"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(optarg, names[i]) == 0) {
            s->search.early_stopping = (lp_early_stopping)i;
            return s->has_stopping = true;
        }
    }
    cli_usage_error(&cli_translate, "--early-stopping is yes, no or never, not \"%s\"", optarg);
    return false;
}

/* One option; false with a message. */
static bool set_option(settings *s, int id)
{
    int code;
    if (cli_job_option(&cli_translate, &s->job, id, &code))
        return code == CLI_OK;
    switch (id) {
    case 'p':
        s->text = optarg;
        return true;
    case 'f':
        return cli_parse_name(&cli_translate, "-f", optarg, &s->file);
    case 'B':
        return parse_u32("-B", 1, LP_MAX_BEAMS, &s->search.n_beams, &s->has_beams);
    case LENGTH_PENALTY:
        return s->has_penalty = cli_parse_float(&cli_translate, "--length-penalty", optarg, -100,
                                                100, &s->search.length_penalty);
    case N_BEST:
        return parse_u32("--n-best", 1, LP_MAX_BEAMS, &s->search.n_best, &s->has_best);
    case 'n':
        return parse_u32("-n", 1, 1u << 20, &s->search.max_tokens, &s->has_most);
    case MIN_LENGTH:
        return parse_u32("--min-length", 0, 1u << 20, &s->search.min_tokens, &s->has_least);
    case NO_REPEAT:
        return parse_u32("--no-repeat", 0, 1u << 20, &s->search.no_repeat, &s->has_repeat);
    case EARLY_STOPPING:
        return parse_stopping(s);
    case PREFIX:
        s->prefix = optarg;
        return true;
    default: /* 'j': getopt returns nothing else */
        return s->json = true;
    }
}

/* The model's options where the command line does not say otherwise. Returns the exit code. */
static int complete(settings *s)
{
    const lp_search_options own = lp_model_search(s->job.model);
    lp_search_options *o = &s->search;
    if (!s->has_beams)
        o->n_beams = s->has_best && o->n_best > own.n_beams ? o->n_best : own.n_beams;
    if (!s->has_best)
        o->n_best = 1;
    if (!s->has_most)
        o->max_tokens = own.max_tokens;
    if (!s->has_least)
        o->min_tokens = own.min_tokens;
    if (!s->has_repeat)
        o->no_repeat = own.no_repeat;
    if (!s->has_penalty)
        o->length_penalty = own.length_penalty;
    if (!s->has_stopping)
        o->early_stopping = own.early_stopping;
    o->repeat_penalty = own.repeat_penalty;
    if (o->n_best <= o->n_beams)
        return CLI_OK;
    return cli_usage_error(&cli_translate, "--n-best=%u: more answers than -B %u beams can give",
                           o->n_best, o->n_beams);
}

/* ---- Output -------------------------------------------------------------------------------- */

static int print_json(const char *text, size_t bytes, const lp_answers *answers)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, root);
    cli_json_bytes(doc, root, "source", text, bytes);
    yyjson_mut_obj_add_val(doc, root, "answers", list);
    for (size_t i = 0; i < answers->n; i++) {
        const lp_answer *a = &answers->at[i];
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, list);
        yyjson_mut_val *tokens = yyjson_mut_arr(doc);
        cli_json_bytes(doc, item, "text", a->text, a->bytes);
        yyjson_mut_obj_add_real(doc, item, "score", a->score);
        for (size_t k = 0; k < a->n_tokens; k++)
            yyjson_mut_arr_add_int(doc, tokens, a->tokens[k]);
        yyjson_mut_obj_add_val(doc, item, "tokens", tokens);
    }
    char *line = yyjson_mut_write(doc, 0, NULL);
    yyjson_mut_doc_free(doc);
    if (line == NULL) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    const bool ok = cli_write(line, strlen(line)) && cli_write("\n", 1);
    free(line);
    return ok ? CLI_OK : CLI_FAILED;
}

/* The best answer on a line; of several each behind its score, and an empty line at the end. */
static int print_text(const settings *s, const lp_answers *answers)
{
    const bool many = s->search.n_best > 1;
    for (size_t i = 0; i < answers->n; i++) {
        char score[32];
        snprintf(score, sizeof score, "%.4f\t", answers->at[i].score);
        if ((many && !cli_write(score, strlen(score))) ||
            !cli_write(answers->at[i].text, answers->at[i].bytes) || !cli_write("\n", 1))
            return CLI_FAILED;
    }
    return (many || answers->n == 0) && !cli_write("\n", 1) ? CLI_FAILED : CLI_OK;
}

static int print_answers(const settings *s, const char *text, size_t bytes,
                         const lp_answers *answers)
{
    return s->json ? print_json(text, bytes, answers) : print_text(s, answers);
}

/* ---- Texts --------------------------------------------------------------------------------- */

static int stop(void *user)
{
    (void)user;
    return cli_stop_signal();
}

/* `text` behind the prefix, as the encoder reads it. */
static lp_status give_source(const settings *s, const char *text, size_t bytes)
{
    const size_t n = s->prefix ? strlen(s->prefix) : 0;
    if (n == 0)
        return lp_session_source_text(s->job.session, text, bytes);
    char *both = malloc(n + bytes);
    if (both == NULL)
        return LP_E_MEMORY;
    memcpy(both, s->prefix, n);
    memcpy(both + n, text, bytes);
    const lp_status status = lp_session_source_text(s->job.session, both, n + bytes);
    free(both);
    return status;
}

static const char *file_name(const settings *s)
{
    return strcmp(s->file, "-") == 0 ? "standard input" : s->file;
}

/* An empty text has an empty answer. `line`: its number in the file; 0: it is the only one. */
static int answer(settings *s, const char *text, size_t bytes, uint64_t line)
{
    static const lp_answers none;
    lp_answers *answers = NULL;
    if (bytes == 0)
        return print_answers(s, text, bytes, &none);
    const double begin = cli_seconds();
    lp_status status = give_source(s, text, bytes);
    if (status == LP_OK)
        status = lp_session_search(s->job.session, &s->search, stop, NULL, &answers);
    s->seconds += cli_seconds() - begin;
    if (status != LP_OK) {
        if (line == 0 || cli_stop_signal())
            return cli_failed(s->job.ctx, status);
        cli_error("line %llu of %s: %s", (unsigned long long)line, file_name(s),
                  status == LP_E_MEMORY ? "out of memory" : lp_context_message(s->job.ctx));
        return CLI_FAILED;
    }
    s->n_texts++;
    s->n_tokens += answers->n > 0 ? answers->at[0].n_tokens : 0;
    const int code = print_answers(s, text, bytes, answers);
    lp_answers_destroy(answers);
    return code;
}

static int answer_lines(settings *s, FILE *from)
{
    char *line = NULL;
    size_t room = 0;
    int code = CLI_OK;
    uint64_t number = 0;
    errno = 0;
    for (ssize_t n;
         code == CLI_OK && !cli_stop_signal() && (n = getline(&line, &room, from)) >= 0;) {
        size_t bytes = (size_t)n;
        number++;
        bytes -= bytes > 0 && line[bytes - 1] == '\n';
        bytes -= bytes > 0 && line[bytes - 1] == '\r';
        if (bytes > MAX_LINE) {
            cli_error("%s: line %llu is too long", file_name(s), (unsigned long long)number);
            code = CLI_FAILED;
        } else {
            code = answer(s, line, bytes, number);
        }
    }
    if (code == CLI_OK && ferror(from) && !cli_stop_signal()) {
        cli_error("%s: %s", file_name(s), strerror(errno));
        code = CLI_FAILED;
    }
    free(line);
    return code;
}

static int answer_all(settings *s)
{
    if (s->text != NULL)
        return answer(s, s->text, strlen(s->text), 0);
    if (strcmp(s->file, "-") == 0)
        return answer_lines(s, stdin);
    FILE *file = fopen(s->file, "rb");
    if (file == NULL) {
        cli_error("%s: %s", s->file, strerror(errno));
        return CLI_FAILED;
    }
    const int code = answer_lines(s, file);
    fclose(file);
    return code;
}

static void print_summary(const settings *s)
{
    char texts[27], tokens[27];
    fprintf(stderr, "lapilli: %s text%s, %s tokens", cli_count(s->n_texts, texts),
            s->n_texts == 1 ? "" : "s", cli_count(s->n_tokens, tokens));
    if (s->seconds > 0)
        fprintf(stderr, ", %.1f tokens/s", (double)s->n_tokens / s->seconds);
    fprintf(stderr, "; %u beam%s\n", s->search.n_beams, s->search.n_beams == 1 ? "" : "s");
}

static int run_model(settings *s)
{
    int code = cli_job_open(&s->job);
    if (code == CLI_OK && !cli_job_takes(&s->job, &cli_translate, CLI_ENCODER_DECODERS))
        code = CLI_FAILED;
    if (code == CLI_OK)
        code = complete(s);
    if (code == CLI_OK && !s->job.quiet)
        cli_job_print(&s->job);
    if (code == CLI_OK)
        code = cli_job_session(&s->job);
    if (code == CLI_OK)
        code = answer_all(s);
    if (code == CLI_OK && !s->job.quiet)
        print_summary(s);
    cli_job_close(&s->job);
    return code;
}

static int run(int argc, char **argv)
{
    cli_options options = {&cli_translate, "m:p:f:B:n:c:d:jqv", long_options, argc, argv, 0};
    settings s = {.job.options = LP_SESSION_DEFAULT};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        if (id == CLI_END_NOW)
            return options.exit_code;
        if (!set_option(&s, id))
            return CLI_USAGE;
    }
    for (; optind < argc; optind++) {
        if (strcmp(argv[optind], "-") != 0 || s.file)
            return cli_usage_error(
                &cli_translate, "\"%s\" is not an option; a text is given with -p", argv[optind]);
        s.file = "-";
    }
    if (s.text && s.file)
        return cli_usage_error(&cli_translate, "-p TEXT or -f FILE, not both");
    if (!s.text && !s.file)
        s.file = "-";
    if (!s.job.path)
        return cli_usage_error(&cli_translate,
                               "-m MODEL is missing: the model that ships does not translate");
    return cli_stop_signal() ? CLI_FAILED : run_model(&s);
}

const cli_command cli_translate = {
    .name = "translate",
    .summary = "answer texts with an encoder-decoder",
    .usage = "[OPTION]... -m MODEL [-p TEXT | -f FILE | -]",
    .help =
        "Writes what an encoder-decoder (T5, BART, Marian ...) makes of each text: a translation, "
        "a\n"
        "summary, an answer. Every line of the input is a text, every line of the output its best\n"
        "answer. Options that are left out are taken from the model's generation_config.json.\n"
        "\n"
        "  -m, --model=DIR       Hugging Face folder\n"
        "  -p, --prompt=TEXT     one text, newlines included\n"
        "  -f, --file=FILE       the lines of a file\n"
        "  -                     those of standard input (also without any of these)\n"
        "      --prefix=TEXT     put before every text, as T5 wants it: \"translate English to\n"
        "                        German: \"\n"
        "  -B, --beams=N         beams of the search, 1 to 64; 1: greedy\n"
        "      --n-best=N        so many answers, each behind its score, then an empty line\n"
        "      --length-penalty=P  score = log-probability / tokens^P; above 0 favours long "
        "answers\n"
        "  -n, --max-length=N    at most N tokens (default: the model's, or 256)\n"
        "      --min-length=N    no end before N tokens\n"
        "      --no-repeat=N     no run of N tokens comes twice; 0: off\n"
        "      --early-stopping=WHEN  once as many answers as beams have ended: yes (stop), no "
        "(go\n"
        "                        on while the best beam scores better), never (while it might)\n"
        "  -c, --context=N       tokens of a text and of an answer (default: the model's, at most\n"
        "                        4096)\n" CLI_ADAPTER_HELP CLI_DEVICE_HELP CLI_CACHE_TYPE_HELP
            CLI_WORKAROUND_HELP "      --deterministic   the same numbers, to the bit, however "
                                "they are cut; slower\n" CLI_NO_INT8_HELP
        "      --plant=FAULT     for developers: one node computes wrongly (see lapilli run)\n"
        "  -j, --json            a JSON object per text: source, answers with text, score, tokens\n"
        "  -q, --quiet           nothing but answers and errors\n" CLI_VERBOSE_HELP "\n"
        "Marian models for several languages want the target's name in the text: \">>fr<< "
        "Hello\".\n",
    .run = run,
};
