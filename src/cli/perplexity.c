/* lapilli perplexity: how well a model predicts a text, exp(-mean log-probability of its tokens).
 *
 * Two ways to cut a text that is longer than the context, because published numbers follow either:
 * - as llama.cpp's llama-perplexity: chunks of the whole context, each beginning with BOS where the
 *   model wants it; the second half of each is counted, so that every token has at least half a
 *   context before it. What does not fill a chunk is left out.
 * - --stride, as in Hugging Face's guide ("Perplexity of fixed-length models"): the window moves by
 *   `stride` tokens, and what is new in it is counted: every token but the first, exactly once.
 *   (Where the guide weighs windows by their tokens less one, every token weighs the same here.) */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "job.h"
#include "prompt.h"

enum { USUAL_CONTEXT = 512, LEAST_CONTEXT = 4 };

typedef struct settings {
    cli_job job;
    const char *file;
    uint32_t stride, max_chunks; /* 0: chunks; all */
    bool json;

    cli_prompt text;
    int32_t *tokens;
    size_t n_tokens, n_chunks;
    double *scores, *running; /* of a chunk's tokens; perplexity after each chunk */
    double sum, squares;      /* of -log p and its square, nats */
    uint64_t n_scored;
} settings;

/* Tokens [begin, end) of the text, of which those from `first` on are counted. */
typedef struct chunk {
    size_t begin, first, end;
} chunk;

static chunk chunk_at(const settings *s, size_t i)
{
    const size_t n_ctx = s->job.options.n_ctx;
    if (s->stride == 0)
        return (chunk){i * n_ctx, i * n_ctx + n_ctx / 2 + 1, (i + 1) * n_ctx};
    const size_t begin = i * s->stride, end = begin + n_ctx;
    const size_t known = i == 0 ? begin : begin - s->stride + n_ctx; /* counted before */
    return (chunk){begin, known > begin ? known : begin + 1, end < s->n_tokens ? end : s->n_tokens};
}

static size_t count_chunks(const settings *s)
{
    const size_t n_ctx = s->job.options.n_ctx;
    size_t n = s->stride == 0         ? s->n_tokens / n_ctx
               : s->n_tokens <= n_ctx ? 1
                                      : (s->n_tokens - n_ctx + s->stride - 1) / s->stride + 1;
    return s->max_chunks && s->max_chunks < n ? s->max_chunks : n;
}

static double perplexity(const settings *s)
{
    return exp(s->sum / (double)s->n_scored);
}

/* One standard deviation of the perplexity, from that of the mean of independent -log p. */
static double uncertainty(const settings *s)
{
    const double n = (double)s->n_scored, mean = s->sum / n;
    const double variance = s->squares / n - mean * mean;
    return n > 1 && variance > 0 ? sqrt(variance / (n - 1)) * perplexity(s) : 0;
}

static lp_status add_chunk(settings *s, chunk c, int32_t bos)
{
    lp_session *session = s->job.session;
    int32_t first = s->stride == 0 && bos >= 0 ? bos : s->tokens[c.begin];
    lp_status status = lp_session_rewind(session, 0);
    if (status == LP_OK)
        status = lp_session_feed(session, &first, 1);
    if (status == LP_OK)
        status = lp_session_feed(session, s->tokens + c.begin + 1, c.first - c.begin - 1);
    if (status == LP_OK)
        status = lp_session_score(session, s->tokens + c.first, c.end - c.first, s->scores);
    for (size_t i = 0; status == LP_OK && i < c.end - c.first; i++) {
        s->sum -= s->scores[i];
        s->squares += s->scores[i] * s->scores[i];
        s->n_scored++;
    }
    return status;
}

/* Chunk by chunk, with the value so far: a line that is written again and again on a terminal. */
static int add_chunks(settings *s)
{
    const bool terminal = !s->job.quiet && isatty(STDERR_FILENO) && !s->job.verbose;
    const int32_t bos = lp_model_bos(s->job.model);
    lp_status status = LP_OK;
    for (size_t i = 0; i < s->n_chunks && status == LP_OK && !cli_stop_signal(); i++) {
        status = add_chunk(s, chunk_at(s, i), bos);
        s->running[i] = perplexity(s);
        if (status == LP_OK && (terminal || s->job.verbose))
            fprintf(stderr, "%schunk %zu of %zu: %.4f%s",
                    terminal ? "\r\033[K" : "lapilli: ", i + 1, s->n_chunks, s->running[i],
                    terminal ? "" : "\n");
    }
    if (terminal)
        fputs(cli_stop_signal() || status != LP_OK ? "\n" : "\r\033[K", stderr);
    if (status != LP_OK)
        return cli_failed(s->job.ctx, status);
    return cli_stop_signal() ? CLI_FAILED : CLI_OK; /* cli_finish() makes 130 of it */
}

static void print_text(const settings *s)
{
    char scored[27], tokens[27], chunks[27];
    printf("perplexity %.4f ± %.4f (%.5f nats per token)\n", perplexity(s), uncertainty(s),
           s->sum / (double)s->n_scored);
    printf("%s of %s tokens counted; %s %s of %u", cli_count(s->n_scored, scored),
           cli_count(s->n_tokens, tokens), cli_count(s->n_chunks, chunks),
           s->n_chunks == 1 ? "chunk" : "chunks", s->job.options.n_ctx);
    printf(s->stride ? ", stride %u\n" : ", the second half of each\n", s->stride);
}

static int print_json(const settings *s)
{
    const lp_device_info *d = lp_devices_info(s->job.devices, s->job.device);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    cli_json_text(doc, root, "lapilli", lp_version());
    cli_json_text(doc, root, "model", lp_model_title(s->job.model));
    cli_json_text(doc, root, "model_path", s->job.path);
    cli_json_text(doc, root, "text", s->file);
    cli_json_text(doc, root, "device", d->name);
    cli_json_text(doc, root, "driver", d->driver);
    cli_json_text(doc, root, "cache_type", cli_cache_type(s->job.options.cache_type));
    yyjson_mut_obj_add_uint(doc, root, "context", s->job.options.n_ctx);
    yyjson_mut_obj_add_uint(doc, root, "stride", s->stride);
    yyjson_mut_obj_add_uint(doc, root, "n_tokens", s->n_tokens);
    yyjson_mut_obj_add_uint(doc, root, "n_counted", s->n_scored);
    yyjson_mut_obj_add_real(doc, root, "perplexity", perplexity(s));
    yyjson_mut_obj_add_real(doc, root, "uncertainty", uncertainty(s));
    yyjson_mut_obj_add_real(doc, root, "nats_per_token", s->sum / (double)s->n_scored);
    yyjson_mut_val *running = yyjson_mut_obj_add_arr(doc, root, "running");
    for (size_t i = 0; i < s->n_chunks; i++)
        yyjson_mut_arr_add_real(doc, running, s->running[i]);
    return cli_json_print(doc);
}

/* The text as tokens, and how it is cut. */
static int prepare(settings *s)
{
    lp_session_options *options = &s->job.options;
    const uint32_t trained = lp_model_context(s->job.model);
    if (options->n_ctx == 0)
        options->n_ctx = trained < USUAL_CONTEXT ? trained : USUAL_CONTEXT;
    if (s->stride > options->n_ctx) {
        cli_error("a stride of %u would leave tokens out: the context has %u", s->stride,
                  options->n_ctx);
        return CLI_FAILED;
    }
    lp_status status =
        lp_model_tokenize(s->job.model, s->text.text ? s->text.text : "", s->text.bytes,
                          LP_TOKENS_SPECIAL, &s->tokens, &s->n_tokens);
    if (status != LP_OK)
        return cli_failed(s->job.ctx, status);
    const size_t least = s->stride ? 2 : options->n_ctx;
    if (s->n_tokens < least) {
        cli_error("%s: %zu tokens, at least %zu are needed%s", s->file, s->n_tokens, least,
                  s->stride ? "" : " to fill the context; choose a smaller one (-c) or --stride");
        return CLI_FAILED;
    }
    s->n_chunks = count_chunks(s);
    s->scores = malloc(options->n_ctx * sizeof(*s->scores));
    s->running = malloc(s->n_chunks * sizeof(*s->running));
    if (s->scores && s->running)
        return CLI_OK;
    cli_error("out of memory");
    return CLI_FAILED;
}

static int run_model(settings *s)
{
    if (!cli_prompt_file(&s->text, s->file))
        return CLI_FAILED;
    int code = cli_job_open(&s->job);
    if (code == CLI_OK)
        code = cli_job_takes(&s->job, &cli_perplexity, CLI_DECODERS) ? prepare(s) : CLI_FAILED;
    if (code == CLI_OK && !s->job.quiet)
        cli_job_print(&s->job);
    if (code == CLI_OK)
        code = cli_job_session(&s->job);
    if (code == CLI_OK)
        code = add_chunks(s);
    if (code == CLI_OK && s->json)
        code = print_json(s);
    else if (code == CLI_OK)
        print_text(s);
    cli_job_close(&s->job);
    return code;
}

static bool parse_u32(const char *name, uint32_t min, uint32_t *value)
{
    uint64_t number;
    if (!cli_parse_u64(&cli_perplexity, name, optarg, min, UINT32_MAX, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

enum { STRIDE = CLI_LONG_ONLY, CHUNKS };

static const struct option long_options[] = {
    CLI_JOB_OPTIONS,
    {"context", required_argument, NULL, 'c'},
    {"batch", required_argument, NULL, 'b'},
    {"stride", required_argument, NULL, STRIDE},
    {"chunks", required_argument, NULL, CHUNKS},
    CLI_CACHE_TYPE_OPTION,
    {"json", no_argument, NULL, 'j'},
    {"quiet", no_argument, NULL, 'q'},
    {0},
};

/* One option; false with a message. */
static bool set_option(settings *s, int id)
{
    int code;
    if (cli_job_option(&cli_perplexity, &s->job, id, &code))
        return code == CLI_OK;
    switch (id) {
    case STRIDE:
        return parse_u32("--stride", 1, &s->stride);
    case CHUNKS:
        return parse_u32("--chunks", 1, &s->max_chunks);
    default: /* 'j': getopt returns nothing else */
        return s->json = true;
    }
}

static int run(int argc, char **argv)
{
    cli_options options = {&cli_perplexity, "m:c:b:d:jqv", long_options, argc, argv, 0};
    settings s = {.job.options = LP_SESSION_DEFAULT, .job.least_context = LEAST_CONTEXT};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        if (id == CLI_END_NOW)
            return options.exit_code;
        if (!set_option(&s, id))
            return CLI_USAGE;
    }
    if (argc - optind != 1)
        return cli_usage_error(&cli_perplexity, "one FILE is expected, not %d", argc - optind);
    if (!cli_parse_name(&cli_perplexity, "FILE", argv[optind], &s.file))
        return CLI_USAGE;
    int code = run_model(&s);
    free(s.text.text);
    free(s.tokens);
    free(s.scores);
    free(s.running);
    return code;
}

const cli_command cli_perplexity = {
    .name = "perplexity",
    .summary = "measure how well a model predicts a text",
    .usage = "[OPTION]... FILE",
    .help =
        "Prints exp(-mean log-probability of a text's tokens): the lower, the better the model\n"
        "predicts it. Counted as llama.cpp's llama-perplexity does, in chunks of the context, of\n"
        "which the second half counts; or with --stride as Hugging Face's guide does.\n"
        "FILE is a text (one newline at its end is dropped), - standard input.\n"
        "\n" CLI_MODEL_HELP
        "  -c, --context=N       tokens of a chunk (default 512, or the model's if that is less)\n"
        "  -b, --batch=N         tokens computed at once (default 512)\n"
        "      --stride=N        the context moves on by N tokens, and all tokens that are new in\n"
        "                        it count; slower, and a fairer number\n"
        "      --chunks=N        only the first N chunks\n" CLI_ADAPTER_HELP CLI_DEVICE_HELP
            CLI_CACHE_TYPE_HELP CLI_WORKAROUND_HELP
        "      --deterministic   the same number, to the bit, whatever -b is; "
        "slower\n" CLI_NO_INT8_HELP
        "      --json            for programs, with the value after each chunk\n"
        "  -q, --quiet           nothing but the result and errors\n"
        "  -v, --verbose         say more, the value after each chunk too; twice: everything\n"
        "  -h, --help            this text\n",
    .run = run,
};
