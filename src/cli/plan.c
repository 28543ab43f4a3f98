/* lapilli plan: what a model would take on a device, before anything is loaded. */
#include <string.h>

#include "job.h"

typedef struct settings {
    cli_job job;
    bool json;
    lp_footprint plan;
    uint64_t memory, allocation; /* of the device; allocation 0: nobody says */
} settings;

static uint64_t together(const lp_footprint *plan)
{
    const lp_memory *b = &plan->bytes;
    return b->weights + b->cache + b->activations + b->staging;
}

static bool fits(const settings *s, const lp_footprint *plan)
{
    return together(plan) <= s->memory &&
           (s->allocation == 0 || plan->largest_bytes <= s->allocation);
}

/* The same with other options; nothing changes in `s`. Prints failures; returns the exit code. */
static int plan_with(const settings *s, const lp_session_options *options, lp_footprint *plan)
{
    lp_status status = lp_session_plan(s->job.devices, s->job.device, s->job.model, options, plan);
    return status == LP_OK ? CLI_OK : cli_job_failed(s->job.ctx, status, s->job.workaround);
}

/* ---- Output -------------------------------------------------------------------------------- */

static void print_line(const char *name, uint64_t bytes, const char *what)
{
    char text[16];
    printf("%-16s%11s%s%s\n", name, cli_bytes(bytes, text), *what ? "   " : "", what);
}

static void print_parts(const settings *s)
{
    const lp_footprint *p = &s->plan;
    const lp_device_info *device = lp_devices_info(s->job.devices, s->job.device);
    const bool host = strcmp(device->type, "host") == 0;
    char a[27], b[27], bytes[16], text[256];
    snprintf(text, sizeof(text), "%s matrices and vectors%s", cli_count(p->n_weights, a),
             host ? ", in their mapped files" : "");
    print_line("weights", p->bytes.weights, text);
    if (p->cache_per_token > 0)
        snprintf(text, sizeof(text), "%s tokens of context, %s each (%s)", cli_count(p->n_ctx, a),
                 cli_bytes(p->cache_per_token, bytes), cli_cache_type(s->job.options.cache_type));
    else
        *text = '\0';
    print_line("states", p->bytes.cache, text);
    snprintf(text, sizeof(text), "%s tokens at once", cli_count(p->n_batch, a));
    print_line("activations", p->bytes.activations, text);
    if (p->bytes.staging > 0)
        print_line("staging", p->bytes.staging, "for copies, at most");
    snprintf(text, sizeof(text), "%.1f %% of %s of %s",
             100 * (double)together(p) / (double)s->memory, cli_bytes(s->memory, bytes),
             host ? "this machine" : device->name);
    print_line("together", together(p), text);
    printf("\nThe largest allocation: %s, %s", p->largest, cli_bytes(p->largest_bytes, bytes));
    if (s->allocation > 0)
        printf(", of at most %s", cli_bytes(s->allocation, bytes));
    fputc('\n', stdout);
    if (p->n_dispatches > 0)
        printf("%s dispatches with %s barriers a step\n", cli_count(p->n_dispatches, a),
               cli_count(p->n_barriers, b));
}

/* One thing to change, and what it would take then. */
static int suggest(const settings *s, const char *change, const lp_session_options *options)
{
    lp_footprint plan;
    char bytes[16];
    int code = plan_with(s, options, &plan);
    if (code == CLI_OK)
        printf("  %-20s%11s   %s\n", change, cli_bytes(together(&plan), bytes),
               fits(s, &plan) ? "fits" : "is still too much");
    return code;
}

static int print_changes(const settings *s)
{
    const lp_footprint *p = &s->plan;
    const uint64_t fixed = together(p) - p->cache_per_token * p->n_ctx;
    char bytes[16], change[40];
    int code = CLI_OK;
    if (s->allocation > 0 && p->largest_bytes > s->allocation)
        printf("\nThis is more than one allocation may have.\n");
    if (together(p) <= s->memory)
        return CLI_OK;
    printf("\nIt does not fit: %s too much. What changes that:\n",
           cli_bytes(together(p) - s->memory, bytes));
    lp_session_options options = s->job.options;
    if (p->cache_per_token > 0 && options.cache_type != LP_Q8_0) {
        options.cache_type = LP_Q8_0;
        code = suggest(s, "--cache-type q8_0", &options);
        options.cache_type = s->job.options.cache_type;
    }
    if (code == CLI_OK && p->cache_per_token > 0 && fixed < s->memory) {
        options.n_ctx = (uint32_t)((s->memory - fixed) / p->cache_per_token / 256 * 256);
        snprintf(change, sizeof(change), "-c %u", options.n_ctx);
        if (options.n_ctx > 0)
            code = suggest(s, change, &options);
        options.n_ctx = s->job.options.n_ctx;
    }
    if (code == CLI_OK && p->n_batch > 64 && p->bytes.activations > together(p) / 10) {
        options.n_batch = 64;
        code = suggest(s, "-b 64", &options);
    }
    if (p->bytes.weights > s->memory / 2)
        printf("  matrices of a smaller type: see lapilli quantize\n");
    return code;
}

static int print_json(const settings *s)
{
    const lp_footprint *p = &s->plan;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    cli_json_text(doc, root, "model", lp_model_title(s->job.model));
    cli_json_text(doc, root, "device", lp_devices_info(s->job.devices, s->job.device)->id);
    yyjson_mut_obj_add_uint(doc, root, "context", p->n_ctx);
    yyjson_mut_obj_add_uint(doc, root, "batch", p->n_batch);
    yyjson_mut_obj_add_uint(doc, root, "weight_bytes", p->bytes.weights);
    yyjson_mut_obj_add_uint(doc, root, "state_bytes", p->bytes.cache);
    yyjson_mut_obj_add_uint(doc, root, "state_bytes_per_token", p->cache_per_token);
    yyjson_mut_obj_add_uint(doc, root, "activation_bytes", p->bytes.activations);
    yyjson_mut_obj_add_uint(doc, root, "staging_bytes", p->bytes.staging);
    yyjson_mut_obj_add_uint(doc, root, "bytes", together(p));
    cli_json_text(doc, root, "largest", p->largest);
    yyjson_mut_obj_add_uint(doc, root, "largest_bytes", p->largest_bytes);
    yyjson_mut_obj_add_uint(doc, root, "memory_bytes", s->memory);
    if (s->allocation > 0)
        yyjson_mut_obj_add_uint(doc, root, "allocation_bytes", s->allocation);
    yyjson_mut_obj_add_uint(doc, root, "dispatches", p->n_dispatches);
    yyjson_mut_obj_add_uint(doc, root, "barriers", p->n_barriers);
    yyjson_mut_obj_add_bool(doc, root, "fits", fits(s, p));
    return cli_json_print(doc);
}

/* ---- Command line -------------------------------------------------------------------------- */

static int plan(settings *s)
{
    int code = cli_job_open(&s->job);
    if (code != CLI_OK)
        return code;
    s->job.options.workaround = s->job.workaround_text;
    lp_device_limits(s->job.devices, s->job.device, &s->memory, &s->allocation);
    code = plan_with(s, &s->job.options, &s->plan);
    if (code != CLI_OK)
        return code;
    if (s->json)
        code = print_json(s);
    else {
        cli_job_print(&s->job);
        print_parts(s);
        code = print_changes(s);
    }
    return code != CLI_OK ? code : fits(s, &s->plan) ? CLI_OK : CLI_FAILED;
}

static int run(int argc, char **argv)
{
    static const struct option long_options[] = {
        CLI_JOB_OPTIONS,
        {"context", required_argument, NULL, 'c'},
        {"batch", required_argument, NULL, 'b'},
        CLI_CACHE_TYPE_OPTION,
        {"json", no_argument, NULL, 'j'},
        {0},
    };
    settings s = {.job = {.least_context = 1, .ids_only = true, .options = LP_SESSION_DEFAULT}};
    cli_options options = {&cli_plan, "m:c:b:d:jv", long_options, argc, argv, 0};
    int code = CLI_OK;
    for (int id; code == CLI_OK && (id = cli_next(&options)) != CLI_NO_MORE;) {
        if (id == CLI_END_NOW)
            return options.exit_code;
        if (id == 'j')
            s.json = true;
        else
            (void)cli_job_option(&cli_plan, &s.job, id, &code);
    }
    if (code == CLI_OK && optind < argc)
        code = cli_usage_error(&cli_plan, "\"%s\" is not an option", argv[optind]);
    if (code == CLI_OK)
        code = plan(&s);
    cli_job_close(&s.job);
    return cli_finish(code);
}

const cli_command cli_plan = {
    .name = "plan",
    .summary = "what a model would take on a device, before it is loaded",
    .usage = "[OPTION]...",
    .help = "Bytes of weights, states (keys and values), activations and copies, beside what the\n"
            "device has, from the plans that a session would run; nothing is loaded. If it does\n"
            "not fit: what to change, and what it takes then. Exit code 0 if it fits, else 1.\n"
            "\n" CLI_MODEL_HELP
            "  -c, --context=N       tokens of context (default: the model's own, at most 4096)\n"
            "  -b, --batch=N         tokens of a prompt computed at once (default "
            "512)\n" CLI_ADAPTER_HELP CLI_DEVICE_HELP CLI_CACHE_TYPE_HELP CLI_WORKAROUND_HELP
            "      --deterministic   as lapilli run --deterministic plans\n"
            "  -j, --json            for programs\n" CLI_VERBOSE_HELP,
    .run = run,
};
