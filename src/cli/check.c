/* lapilli check: does this device compute this model rightly, or where does it go wrong first? The
 * verdict goes to stdout, files are written whole or not at all. */
#define _DEFAULT_SOURCE /* open_memstream */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "files.h"
#include "report_print.h"

/* Letters, digits and marks; short with every tokenizer. */
static const char default_prompt[] =
    "Once upon a time, a pebble counted to 12 and asked: what now?";

enum {
    AGAINST = CLI_LONG_ONLY,
    QUICK,
    RUNS,
    HTML,
    WORKAROUND_OUT,
    CERTIFICATE,
    SAVE_REPRO,
    REPRO,
    IMAGE
};

static const struct option long_options[] = {
    CLI_JOB_OPTIONS,
    CLI_REQUEST_OPTIONS,
    {"prompt", required_argument, NULL, 'p'},
    {"file", required_argument, NULL, 'f'},
    {"against", required_argument, NULL, AGAINST},
    {"context", required_argument, NULL, 'c'},
    CLI_CACHE_TYPE_OPTION,
    {"quick", no_argument, NULL, QUICK},
    {"runs", required_argument, NULL, RUNS},
    {"json", no_argument, NULL, 'j'},
    {"html", required_argument, NULL, HTML},
    {"workaround-out", required_argument, NULL, WORKAROUND_OUT},
    {"certificate", required_argument, NULL, CERTIFICATE},
    {"save-repro", required_argument, NULL, SAVE_REPRO},
    {"repro", required_argument, NULL, REPRO},
    {"image", required_argument, NULL, IMAGE},
    CLI_PLANT_OPTION,
    {0},
};

/* --- Command line ------------------------------------------------------------------------------
 */

static bool parse_u32(const char *name, uint64_t min, uint64_t max, uint32_t *value)
{
    uint64_t number;
    if (!cli_parse_u64(&cli_check, name, optarg, min, max, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

/* One option; returns the exit code, CLI_OK to go on. */
static int set_option(cli_check_settings *s, int id)
{
    bool ok = true;
    int code;
    if (cli_job_option(&cli_check, &s->job, id, &code))
        return code;
    if (cli_request_option(&cli_check, &s->request, id, &ok)) {
        s->asks = true;
        return ok ? CLI_OK : CLI_USAGE;
    }
    switch (id) {
    case 'p':
    case 'f':
        if (s->prompt_text || s->prompt_file)
            return cli_usage_error(&cli_check, "only one prompt can be given");
        *(id == 'p' ? &s->prompt_text : &s->prompt_file) = optarg;
        break;
    case AGAINST:
        s->against = optarg;
        break;
    case QUICK:
        s->check.quick = 1;
        break;
    case RUNS:
        ok = parse_u32("--runs", 1, 1000, &s->check.n_runs);
        break;
    case 'j':
        s->json = true;
        break;
    case HTML:
        s->html = optarg;
        break;
    case WORKAROUND_OUT:
        s->workaround_out = optarg;
        break;
    case CERTIFICATE:
        s->certificate = optarg;
        s->check.digests = 1;
        break;
    case SAVE_REPRO:
        s->check.repro_folder = optarg;
        break;
    case IMAGE:
        s->image = optarg;
        break;
    default: /* REPRO: getopt returns nothing else */
        s->repro = optarg;
    }
    return ok ? CLI_OK : CLI_USAGE;
}

/* Returns the exit code, CLI_OK to go on; *end: the command ends here (--help). */
static int parse(cli_check_settings *s, int argc, char **argv, bool *end)
{
    cli_options options = {&cli_check, "m:p:f:d:c:W:H:s:jv", long_options, argc, argv, 0};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        if (id == CLI_END_NOW) {
            *end = true;
            return options.exit_code;
        }
        int code = set_option(s, id);
        if (code != CLI_OK)
            return code;
    }
    if (optind < argc)
        return cli_usage_error(&cli_check, "\"%s\" is not an option; a prompt is given with -p",
                               argv[optind]);
    s->check.n_ctx = s->job.options.n_ctx;
    s->check.cache_type = s->job.options.cache_type;
    s->check.deterministic = s->job.options.deterministic;
    s->check.no_int8 = s->job.options.no_int8;
    s->check.plant = s->job.options.plant;
    bool ok = s->prompt_file ? cli_prompt_file(&s->prompt, s->prompt_file)
                             : cli_prompt_literal(&s->prompt,
                                                  s->prompt_text ? s->prompt_text : default_prompt);
    return ok ? CLI_OK : CLI_FAILED;
}

/* --- The check -----------------------------------------------------------------------------------
 */

/* What is open while a check runs. */
typedef struct state {
    lp_context *ctx;
    lp_devices *devices;
    lp_model *model;
    size_t device, against;
    char *shipped, *cache, *command, *workaround, *prompt;
    int32_t *tokens;
    lp_image *image;
    cli_output html, workaround_out, certificate;
} state;

static void print_what(const cli_check_settings *s, const state *t)
{
    const lp_device_info *device = lp_devices_info(t->devices, t->device);
    const lp_device_info *against = lp_devices_info(t->devices, t->against);
    fprintf(stderr, "lapilli: checking %s on %s (%s) against %s (%s)\n",
            t->model ? lp_model_title(t->model) : s->job.path, device->name, device->id,
            against->name, against->id);
}

static bool has_prompt(const cli_check_settings *s)
{
    return s->prompt_text || s->prompt_file;
}

/* The prompt's tokens; without a tokenizer, ids spread over the vocabulary. Prints failures;
 * returns the exit code. */
static int make_tokens(cli_check_settings *s, state *t)
{
    enum { N_IDS = 24 };
    const bool given = has_prompt(s);
    if (!given && !lp_model_reads_texts(t->model))
        return CLI_OK;
    if (given || strcmp(lp_model_tokenizer(t->model), "none") != 0) {
        const lp_status status =
            lp_model_tokenize(t->model, s->prompt.text ? s->prompt.text : "", s->prompt.bytes,
                              LP_TOKENS_SPECIAL, &t->tokens, &s->check.n_tokens);
        return status == LP_OK ? CLI_OK : cli_failed(t->ctx, status);
    }
    const uint32_t most = s->check.n_ctx && s->check.n_ctx < lp_model_context(t->model)
                              ? s->check.n_ctx
                              : lp_model_context(t->model);
    s->check.n_tokens = most < 2 * N_IDS ? most / 2 : N_IDS;
    t->tokens = malloc((s->check.n_tokens + 1) * sizeof(*t->tokens));
    if (!t->tokens) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    cli_ids(lp_model_vocabulary(t->model), t->tokens, s->check.n_tokens);
    return CLI_OK;
}

/* A folder of a pipeline. */
static bool makes_pictures(const cli_check_settings *s)
{
    static const char index[] = "/model_index.json";
    char *path = s->job.path ? malloc(strlen(s->job.path) + sizeof(index)) : NULL;
    const bool is = path && access(strcat(strcpy(path, s->job.path), index), F_OK) == 0;
    free(path);
    return is;
}

/* Of a pipeline: nothing is opened, but options must be for it. */
static int prepare_picture(cli_check_settings *s, state *t)
{
    const char *wrong = s->image                        ? "--image"
                        : s->job.adapters.n             ? "--lora"
                        : s->check.n_ctx                ? "-c"
                        : s->check.cache_type != LP_F16 ? "--cache-type"
                                                        : NULL;
    if (wrong) {
        cli_error("%s: it makes pictures, and %s is not for such", s->job.path, wrong);
        return CLI_FAILED;
    }
    t->prompt = calloc(s->prompt.bytes + 1, 1);
    if (!t->prompt) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    memcpy(t->prompt, s->prompt.text, s->prompt.bytes);
    s->request.prompt = t->prompt;
    return CLI_OK;
}

/* Of the other models: the model and what it reads. Prints failures; returns the exit code. */
static int prepare_model(cli_check_settings *s, state *t)
{
    if (s->asks) {
        cli_error("%s makes no pictures: -W, -H, -s, --steps and the like are not for it",
                  s->job.path ? s->job.path : "the model that ships");
        return CLI_FAILED;
    }
    if (!s->job.path && !(t->shipped = cli_default_model()))
        return CLI_FAILED;
    const char *path = s->job.path ? s->job.path : t->shipped;
    lp_status status = has_prompt(s) ? lp_model_open(t->ctx, path, &t->model)
                                     : lp_model_look(t->ctx, path, &t->model);
    if (status == LP_OK)
        status = cli_adapters_apply(&s->job.adapters, t->model);
    if (status == LP_OK && s->image)
        status = lp_image_open(t->ctx, s->image, &t->image);
    if (status != LP_OK)
        return cli_failed(t->ctx, status);
    s->check.image = t->image;
    int code = make_tokens(s, t);
    if (code != CLI_OK)
        return code;
    if (!t->image && !lp_model_reads_texts(t->model)) {
        cli_error("%s: %s models read pictures: one is given with --image", s->job.path,
                  lp_model_architecture(t->model));
        return CLI_FAILED;
    }
    if (s->check.n_tokens == 0 && lp_model_reads_texts(t->model)) {
        cli_error("the prompt is empty, and this model has no token that begins a text");
        return CLI_FAILED;
    }
    return CLI_OK;
}

/* Everything that the check needs; returns the exit code. */
static int prepare(cli_check_settings *s, state *t)
{
    const char *reason;
    if (!cli_output_begin(&t->html, s->html) ||
        !cli_output_begin(&t->workaround_out, s->workaround_out) ||
        !cli_output_begin(&t->certificate, s->certificate))
        return CLI_FAILED;
    if (s->job.workaround && !(t->workaround = cli_read_text(s->job.workaround)))
        return CLI_FAILED;
    s->pictures = makes_pictures(s);
    int code = s->pictures ? prepare_picture(s, t) : prepare_model(s, t);
    if (code != CLI_OK)
        return code;
    code =
        cli_choose_device(t->ctx, s->job.selector, !s->against, &t->devices, &t->device, &reason);
    if (code != CLI_OK)
        return code;
    const lp_status status =
        lp_devices_choose(t->devices, s->against ? s->against : "reference", &t->against, &reason);
    if (status != LP_OK)
        return cli_failed(t->ctx, status);
    const char *device = lp_devices_info(t->devices, t->device)->id;
    if (t->device == t->against) {
        cli_error("%s would be compared with itself; see --device and --against", device);
        return CLI_FAILED;
    }
    t->command = cli_check_command(s, device, lp_devices_info(t->devices, t->against)->id);
    if (!t->command) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    t->cache = cli_cache_folder();
    s->check.tokens = t->tokens;
    s->check.command = t->command;
    s->check.cache_folder = t->cache;
    s->check.workaround = t->workaround;
    return CLI_OK;
}

/* A file whose text the library makes of the report. */
static int write_made(const state *t, const lp_report *report,
                      lp_status (*make)(lp_context *, const lp_report *, char **),
                      cli_output *output, const char *what, FILE *to)
{
    char *text = NULL;
    int code = CLI_OK;
    lp_status status = make(t->ctx, report, &text);
    if (status != LP_OK)
        code = cli_failed(t->ctx, status);
    else if (!cli_output_finish(output, text))
        code = CLI_FAILED;
    else
        fprintf(to, "%s: %s\n", what, output->path);
    free(text);
    return code;
}

/* Writes the files that were asked for; on `to` one line about each. Returns the exit code. */
static int write_files(const cli_check_settings *s, state *t, const lp_report *report, FILE *to)
{
    int code = CLI_OK;
    if (s->html)
        code = write_made(t, report, lp_report_html, &t->html, "Report", to);
    if (s->certificate && code == CLI_OK)
        code = write_made(t, report, lp_certificate, &t->certificate, "Certificate", to);
    if (s->workaround_out && !report->workaround)
        cli_error("%s is not written: there is no workaround", s->workaround_out);
    else if (!cli_output_finish(&t->workaround_out, report->workaround))
        code = CLI_FAILED;
    else if (s->workaround_out)
        fprintf(to, "Workaround: lapilli %s --workaround %s\n",
                report->trajectory ? "image" : "run", s->workaround_out);
    return code;
}

/* Prints the report and writes files; returns the exit code. */
static int give_out(const cli_check_settings *s, state *t, const lp_report *report)
{
    char *json = NULL, *text = NULL;
    size_t bytes = 0;
    /* all of it is collected first: stdio would forget why an early write failed */
    FILE *to = open_memstream(&text, &bytes);
    if (!to) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    cli_print_report(to, report, s->job.verbose > 0);
    putc('\n', to);
    int code = write_files(s, t, report, to);
    if (!report->agrees && !s->repro &&
        strncmp(lp_devices_info(t->devices, t->device)->id, "vulkan", 6) == 0)
        fprintf(
            to,
            "Other types and shapes may be wrong, too: lapilli doctor -d %s looks at all of them\n",
            lp_devices_info(t->devices, t->device)->id);
    if (*report->repro)
        fprintf(to, "Repro: lapilli check --repro %s\n", report->repro);
    if (*report->command)
        fprintf(to, "Again: %s\n", report->command);
    bool ok = fclose(to) == 0 && text;
    if (!ok)
        cli_error("out of memory");
    if (ok && s->json) {
        lp_status status = lp_report_json(t->ctx, report, &json);
        if (status != LP_OK)
            code = cli_failed(t->ctx, status);
        else if (cli_write(json, strlen(json)))
            cli_write("\n", 1);
    } else if (ok) {
        cli_write(text, bytes);
    }
    free(json);
    free(text);
    return ok && report->agrees ? code : CLI_FAILED;
}

static int check_model(cli_check_settings *s)
{
    state t = {.ctx = cli_context(s->job.verbose > 1 ? s->job.verbose - 1 : 0)};
    if (!t.ctx)
        return CLI_FAILED;
    int code = prepare(s, &t);
    if (code == CLI_OK) {
        cli_progress progress = CLI_PROGRESS("checking");
        lp_report *report = NULL;
        s->check.progress = cli_show_progress;
        s->check.progress_user = &progress;
        print_what(s, &t);
        const lp_status status =
            s->pictures ? lp_check_image(t.devices, t.device, t.against, s->job.path, &s->request,
                                         &s->check, &report)
                        : lp_check(t.devices, t.device, t.against, t.model, &s->check, &report);
        cli_clear_progress(&progress);
        code = status == LP_OK ? give_out(s, &t, report)
                               : cli_job_failed(t.ctx, status, s->job.workaround);
        lp_report_destroy(report);
    }
    cli_output_abandon(&t.html);
    cli_output_abandon(&t.workaround_out);
    cli_output_abandon(&t.certificate);
    lp_model_destroy(t.model);
    lp_devices_destroy(t.devices);
    lp_context_destroy(t.ctx);
    lp_image_destroy(t.image);
    free(t.shipped);
    free(t.cache);
    free(t.command);
    free(t.workaround);
    free(t.prompt);
    free(t.tokens);
    return code;
}

/* A repro instead of a model. */
static int check_repro(cli_check_settings *s)
{
    state t = {.ctx = cli_context(s->job.verbose > 1 ? s->job.verbose - 1 : 0)};
    lp_report *report = NULL;
    const char *reason;
    if (!t.ctx)
        return CLI_FAILED;
    int code =
        cli_output_begin(&t.html, s->html)
            ? cli_choose_device(t.ctx, s->job.selector, false, &t.devices, &t.device, &reason)
            : CLI_FAILED;
    if (code == CLI_OK) {
        lp_status status = lp_check_repro(t.devices, t.device, s->repro, s->check.n_runs, &report);
        code = status == LP_OK ? give_out(s, &t, report) : cli_failed(t.ctx, status);
    }
    lp_report_destroy(report);
    cli_output_abandon(&t.html);
    lp_devices_destroy(t.devices);
    lp_context_destroy(t.ctx);
    return code;
}

static int run(int argc, char **argv)
{
    static const lp_image_request usual = LP_IMAGE_REQUEST_DEFAULT;
    cli_check_settings s = {
        .job.options = LP_SESSION_DEFAULT, .check = LP_CHECK_DEFAULT, .request = usual};
    bool end = false;
    int code = parse(&s, argc, argv, &end);
    if (code == CLI_OK && !end && s.check.plant && strcmp(s.check.plant, "list") == 0)
        code = cli_list_faults();
    else if (code == CLI_OK && !end && s.repro && s.certificate)
        code = cli_usage_error(&cli_check, "a certificate is of a model, not of --repro");
    else if (code == CLI_OK && !end)
        code = cli_stop_signal() ? CLI_FAILED : s.repro ? check_repro(&s) : check_model(&s);
    free(s.prompt.text);
    return code;
}

const cli_command cli_check = {
    .name = "check",
    .summary = "does a device compute a model rightly, or where does it go wrong first?",
    .usage = "[OPTION]... [-p PROMPT | -f FILE | --image FILE | --repro DIR]",
    .help =
        "Runs a model on a device and on the CPU reference, compares them node by node and says "
        "in\n"
        "one sentence whether they agree, or which node goes wrong first and what makes it right.\n"
        "Exit code 0: agrees; 1: disagrees (the sentence is on standard output), or the check\n"
        "could not be made (the reason is on standard error).\n"
        "\n"
        "  -m, --model=FILE|DIR  GGUF file, Hugging Face folder, or folder of a\n"
        "                        StableDiffusionPipeline; without: the model that ships with\n"
        "                        lapilli\n"
        "  -p, --prompt=PROMPT   text to compute (default: a short sentence; some ids where the\n"
        "                        model has no tokenizer)\n"
        "  -f, --file=FILE       the text is in a file; - is standard input\n" CLI_ADAPTER_HELP
        "  -W, -H, -s, --steps, --negative, --cfg-scale, --cfg-rescale, --sampler, --schedule\n"
        "                        of a model that makes pictures: as for lapilli image (seed 0)\n"
        "      --image=FILE      a picture for a model that reads such, beside the text if it "
        "reads\n"
        "                        texts, too\n"
        "  -d, --device=DEVICE   to check: an id (vulkan:0, cpu) or a part of a name\n"
        "      --against=DEVICE  what is taken as right (default: reference)\n"
        "      --quick           the text and one more token, not every batch size; of a model that\n"
        "                        makes pictures only the denoiser's first step, node by node\n"
        "      --runs=N          how often every node runs, to find flaky results (default 2)\n"
        "  -c, --context=N       tokens of context (default: the model's, at most 4096)\n"
        "      --cache-type=TYPE of keys and values: f16 (default), f32, or q8_0\n"
        "      --deterministic   as lapilli run --deterministic computes\n" CLI_NO_INT8_HELP
        "      --workaround=FILE with what an earlier check found to make it right\n"
        "      --workaround-out=FILE  write what makes a bad node right, for lapilli run, image\n"
        "      --html=FILE       write the report as a page: charts, heat maps, every node\n"
        "      --certificate=FILE  write digests of all that was computed; to compare two:\n"
        "                        lapilli certificate diff A B\n"
        "      --save-repro=DIR  write the first bad node alone, to be run again anywhere\n"
        "      --repro=DIR       run such a node again, without the model; its kernels are\n"
        "                        programs: only from people whom you trust\n"
        "  -j, --json            the whole report as JSON (one line) on standard output\n"
        "      --plant=FAULT     plant a fault, to see it found (builds with LAPILLI_FAULTS)\n"
        "  -v, --verbose         list every node; twice, three times: say what is done\n"
        "  -h, --help            this text\n",
    .run = run,
};
