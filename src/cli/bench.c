/* lapilli bench: tokens per second of prompt evaluation (pp) and of generation (tg), in rows that
 * can stand beside those of llama.cpp's llama-bench: pp512 evaluates 512 tokens at once, up to the
 * logits of the last; tg128 generates 128 tokens one after another from an almost empty context;
 * mean and sample standard deviation over the repetitions, after one warm-up. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"

enum { MAX_REPEATS = 1000 };

typedef struct bench {
    cli_job job;
    uint32_t n_prompt, n_generate, repeats;
    bool prompt_given, generate_given, json;
    float *logits; /* of a prompt's last token: what evaluating it is for */
} bench;

typedef struct result {
    char name[24]; /* "pp512" */
    uint32_t n_prompt, n_generate;
    double *samples; /* tokens/s, `repeats` of them */
    double mean, deviation;
} result;

/* Tokens that something must be generated behind. */
static uint32_t least_prompt(const bench *b)
{
    int32_t end[2];
    const size_t n = lp_model_prompt_end(b->job.model, end);
    return n > 0 ? (uint32_t)n : 1;
}

/* Which ids does not matter to the speed, but there may be some that a prompt needs, at its end
 * only. */
static lp_status feed(bench *b, uint32_t n)
{
    int32_t end[2];
    const size_t n_end = lp_model_prompt_end(b->job.model, end);
    int32_t *tokens = malloc(((size_t)n + 1) * sizeof(*tokens));
    if (!tokens)
        return LP_E_MEMORY;
    cli_ids(lp_model_vocabulary(b->job.model), tokens, n);
    for (size_t i = 0; i < n && n_end > 0; i++)
        if (i + n_end >= n)
            tokens[i] = end[i + n_end - n];
        else if (tokens[i] == end[n_end - 1])
            tokens[i] = end[0];
    lp_status status = lp_session_feed(b->job.session, tokens, n);
    free(tokens);
    return status;
}

/* One repetition; *seconds of n tokens. */
static lp_status measure(bench *b, const result *r, double *seconds)
{
    lp_status status = lp_session_rewind(b->job.session, 0);
    if (status == LP_OK)
        status = feed(b, r->n_prompt ? r->n_prompt : least_prompt(b));
    double begin = cli_seconds();
    if (status == LP_OK && r->n_prompt)
        status = lp_session_eval(b->job.session, b->logits);
    for (uint32_t i = 0; i < r->n_generate && status == LP_OK && !cli_stop_signal(); i++) {
        int32_t token;
        status = lp_session_next(b->job.session, r->n_generate - i, &token);
    }
    *seconds = cli_seconds() - begin;
    return status;
}

static lp_status run_test(bench *b, result *r)
{
    const uint32_t n = r->n_prompt ? r->n_prompt : r->n_generate;
    snprintf(r->name, sizeof(r->name), "%s%u", r->n_prompt ? "pp" : "tg", n);
    r->samples = calloc(b->repeats, sizeof(*r->samples));
    if (!r->samples)
        return LP_E_MEMORY;
    double seconds, sum = 0, squares = 0;
    lp_status status = measure(b, r, &seconds); /* warm-up */
    for (uint32_t i = 0; i < b->repeats && status == LP_OK && !cli_stop_signal(); i++) {
        status = measure(b, r, &seconds);
        r->samples[i] = n / seconds;
        sum += r->samples[i];
    }
    r->mean = sum / b->repeats;
    for (uint32_t i = 0; i < b->repeats; i++)
        squares += pow(r->samples[i] - r->mean, 2);
    r->deviation = b->repeats > 1 ? sqrt(squares / (b->repeats - 1)) : 0;
    return status;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static const char *backend_name(const lp_device_info *d)
{
    return strcmp(d->type, "host") == 0 ? "CPU" : "Vulkan";
}

static void print_row(const bench *b, const result *r)
{
    const lp_device_info *d = lp_devices_info(b->job.devices, b->job.device);
    char size[16], speed[48], parameters[24];
    snprintf(parameters, sizeof(parameters), "%.2f M",
             (double)lp_model_parameters(b->job.model) / 1e6);
    snprintf(speed, sizeof(speed), "%.2f ± %.2f", r->mean, r->deviation);
    printf("| %-30s | %10s | %10s | %-7s | %-30s | %7s | %20s |\n", lp_model_title(b->job.model),
           cli_bytes(lp_model_bytes(b->job.model), size), parameters, backend_name(d), d->name,
           r->name, speed);
}

static void print_head(void)
{
    printf("| %-30s | %10s | %10s | %-7s | %-30s | %7s | %19s |\n", "model", "size", "params",
           "backend", "device", "test", "t/s");
    printf("| %.30s | %.9s: | %.9s: | %.7s | %.30s | %.6s: | %.18s: |\n",
           "------------------------------", "------------------------------",
           "------------------------------", "------------------------------",
           "------------------------------", "------------------------------",
           "------------------------------");
}

/* What the rows have in common and no column for. */
static void print_foot(const bench *b)
{
    const lp_device_info *d = lp_devices_info(b->job.devices, b->job.device);
    printf("\nlapilli %s%s%s; keys and values %s\n", lp_version(), *d->driver ? "; driver: " : "",
           d->driver, cli_cache_type(b->job.options.cache_type));
}

static int print_json(const bench *b, const result *results, size_t n)
{
    const lp_device_info *d = lp_devices_info(b->job.devices, b->job.device);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, root);
    for (size_t i = 0; i < n; i++) {
        yyjson_mut_val *row = yyjson_mut_arr_add_obj(doc, root);
        cli_json_text(doc, row, "test", results[i].name);
        cli_json_text(doc, row, "lapilli", lp_version());
        cli_json_text(doc, row, "backend", backend_name(d));
        cli_json_text(doc, row, "device", d->name);
        cli_json_text(doc, row, "driver", d->driver);
        cli_json_text(doc, row, "model_filename", file_name(b->job.path));
        cli_json_text(doc, row, "model", lp_model_title(b->job.model));
        cli_json_text(doc, row, "quantisation", lp_model_type(b->job.model));
        yyjson_mut_obj_add_uint(doc, row, "model_size", lp_model_bytes(b->job.model));
        yyjson_mut_obj_add_uint(doc, row, "model_n_params", lp_model_parameters(b->job.model));
        cli_json_text(doc, row, "cache_type", cli_cache_type(b->job.options.cache_type));
        yyjson_mut_obj_add_bool(doc, row, "deterministic", b->job.options.deterministic != 0);
        yyjson_mut_obj_add_uint(doc, row, "n_prompt", results[i].n_prompt);
        yyjson_mut_obj_add_uint(doc, row, "n_gen", results[i].n_generate);
        yyjson_mut_obj_add_real(doc, row, "avg_ts", results[i].mean);
        yyjson_mut_obj_add_real(doc, row, "stddev_ts", results[i].deviation);
        yyjson_mut_val *samples = yyjson_mut_obj_add_arr(doc, row, "samples_ts");
        for (uint32_t k = 0; k < b->repeats; k++)
            yyjson_mut_arr_add_real(doc, samples, results[i].samples[k]);
    }
    return cli_json_print(doc);
}

static int run_tests(bench *b)
{
    result results[2] = {0};
    size_t n = 0;
    int code = CLI_OK;
    if (b->n_prompt)
        results[n++].n_prompt = b->n_prompt;
    if (b->n_generate)
        results[n++].n_generate = b->n_generate;
    for (size_t i = 0; i < n && code == CLI_OK; i++) {
        lp_status status = run_test(b, &results[i]);
        if (status != LP_OK)
            code = cli_failed(b->job.ctx, status);
        else if (cli_stop_signal())
            code = CLI_INTERRUPTED;
        else if (!b->json) {
            if (i == 0)
                print_head(); /* not before it is known that there will be rows */
            print_row(b, &results[i]);
        }
        fflush(stdout);
    }
    if (code == CLI_OK && b->json)
        code = print_json(b, results, n);
    else if (code == CLI_OK)
        print_foot(b);
    free(results[0].samples);
    free(results[1].samples);
    return code;
}

/* Small models have small contexts: what was not asked for need not fail. */
static void clamp_defaults(bench *b, uint32_t context)
{
    if (!b->prompt_given && b->n_prompt > context)
        b->n_prompt = context;
    if (!b->generate_given && b->n_generate + least_prompt(b) > context)
        b->n_generate = context > least_prompt(b) ? context - least_prompt(b) : 1;
}

static int make_room(bench *b)
{
    const uint32_t vocabulary = lp_model_vocabulary(b->job.model);
    const uint32_t context = lp_model_context(b->job.model);
    b->logits = malloc(vocabulary * sizeof(*b->logits));
    if (!b->logits) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    clamp_defaults(b, context);
    if (b->n_prompt && b->n_prompt < least_prompt(b))
        b->n_prompt = least_prompt(b);
    const uint32_t n = b->n_generate + least_prompt(b);
    b->job.options.n_ctx = b->n_prompt > n ? b->n_prompt : n;
    if (b->job.options.n_ctx <= context)
        return CLI_OK;
    cli_error("%s: %u tokens do not fit into the model's context of %u", b->job.path,
              b->job.options.n_ctx, context);
    return CLI_FAILED;
}

static int run_bench(bench *b)
{
    b->job.ids_only = true;
    int code = cli_job_open(&b->job);
    if (code == CLI_OK)
        code = cli_job_takes(&b->job, &cli_bench, CLI_DECODERS) ? make_room(b) : CLI_FAILED;
    if (code == CLI_OK)
        code = cli_job_session(&b->job);
    if (code == CLI_OK)
        code = run_tests(b);
    free(b->logits);
    cli_job_close(&b->job);
    return code;
}

static bool parse_u32(const char *name, uint32_t min, uint32_t max, uint32_t *value)
{
    uint64_t number;
    if (!cli_parse_u64(&cli_bench, name, optarg, min, max, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

static const struct option long_options[] = {
    CLI_JOB_OPTIONS,
    {"prompt", required_argument, NULL, 'p'},
    {"tokens", required_argument, NULL, 'n'},
    {"repeats", required_argument, NULL, 'r'},
    {"batch", required_argument, NULL, 'b'},
    CLI_CACHE_TYPE_OPTION,
    {"json", no_argument, NULL, 'j'},
    {0},
};

/* One option; false with a message. */
static bool set_option(bench *b, int id)
{
    int code;
    if (cli_job_option(&cli_bench, &b->job, id, &code))
        return code == CLI_OK;
    switch (id) {
    case 'p':
        return b->prompt_given = parse_u32("-p", 0, 1u << 26, &b->n_prompt);
    case 'n':
        return b->generate_given = parse_u32("-n", 0, 1u << 26, &b->n_generate);
    case 'r':
        return parse_u32("-r", 1, MAX_REPEATS, &b->repeats);
    default: /* 'j': getopt returns nothing else */
        return b->json = true;
    }
}

static int run(int argc, char **argv)
{
    cli_options options = {&cli_bench, "m:p:n:r:b:d:jv", long_options, argc, argv, 0};
    bench b = {.n_prompt = 512, .n_generate = 128, .repeats = 5, .job.options = LP_SESSION_DEFAULT};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        if (id == CLI_END_NOW)
            return options.exit_code;
        if (!set_option(&b, id))
            return CLI_USAGE;
    }
    if (optind < argc)
        return cli_usage_error(&cli_bench, "\"%s\" is not an option", argv[optind]);
    if (!b.n_prompt && !b.n_generate)
        return cli_usage_error(&cli_bench, "-p 0 -n 0 leaves nothing to measure");
    return run_bench(&b);
}

const cli_command cli_bench = {
    .name = "bench",
    .summary = "measure tokens per second",
    .usage = "[OPTION]...",
    .help = "Measures tokens per second, as a Markdown table or JSON: ppN, a prompt of N tokens\n"
            "evaluated at once; tgN, N tokens generated one after another. Mean and standard\n"
            "deviation, after one warm-up.\n"
            "\n" CLI_MODEL_HELP CLI_ADAPTER_HELP
            "  -p, --prompt=N        tokens of the prompt (default 512; 0: not measured)\n"
            "  -n, --tokens=N        tokens to generate (default 128; 0: not measured)\n"
            "  -r, --repeats=R       default 5\n"
            "  -b, --batch=N         tokens of a prompt computed at once (default "
            "512)\n" CLI_DEVICE_HELP CLI_CACHE_TYPE_HELP CLI_WORKAROUND_HELP
            "      --deterministic   as lapilli run --deterministic computes\n" CLI_NO_INT8_HELP
            "  -j, --json            as JSON\n" CLI_VERBOSE_HELP,
    .run = run,
};
