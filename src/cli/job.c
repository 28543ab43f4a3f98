/* Opening model, device and session: see job.h. What is cheap to get wrong comes first: a wrong
 * path is noticed before a driver is loaded. */
#include "job.h"

#include <stdlib.h>
#include <string.h>

#include "files.h"

/* Without a rate it costs little: docs/CHECKING.md says how that was measured. */
#define USUAL_GUARD 0.02f

static bool parse_u32(const cli_command *command, const char *name, uint32_t min, uint32_t *value)
{
    uint64_t number;
    if (!cli_parse_u64(command, name, optarg, min, UINT32_MAX, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

static bool parse_guard(const cli_command *command, double *guard)
{
    float rate = USUAL_GUARD;
    if (optarg && !cli_parse_float(command, "--guard", optarg, 0, 1, &rate))
        return false;
    *guard = (double)rate;
    return true;
}

bool cli_job_option(const cli_command *command, cli_job *job, int id, int *code)
{
    bool ok = true;
    if (cli_adapter_option(command, &job->adapters, id, code))
        return true;
    switch (id) {
    case 'm':
        ok = cli_parse_name(command, "-m", optarg, &job->path);
        break;
    case 'c':
        ok = parse_u32(command, "-c", job->least_context, &job->options.n_ctx);
        break;
    case 'b':
        ok = parse_u32(command, "-b", 0, &job->options.n_batch);
        break;
    case 'd':
        job->selector = optarg;
        break;
    case CLI_CACHE_TYPE:
        ok = cli_parse_cache_type(command, optarg, &job->options.cache_type);
        break;
    case CLI_WORKAROUND:
        ok = cli_parse_name(command, "--workaround", optarg, &job->workaround);
        break;
    case CLI_DETERMINISTIC:
        job->options.deterministic = 1;
        break;
    case CLI_NO_INT8:
        job->options.no_int8 = 1;
        break;
    case CLI_GUARD:
        ok = parse_guard(command, &job->options.guard);
        break;
    case CLI_PLANT:
        job->options.plant = optarg;
        break;
    case 'q':
        job->quiet = true;
        break;
    case 'v':
        job->verbose++;
        break;
    default:
        return false;
    }
    *code = ok ? CLI_OK : CLI_USAGE;
    return true;
}

void cli_ids(uint32_t vocabulary, int32_t *tokens, size_t n)
{
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u; /* Knuth's "quick and dirty" generator */
        tokens[i] = (int32_t)((x >> 8) % vocabulary);
    }
}

int cli_job_open(cli_job *job)
{
    job->ctx = cli_context(job->verbose);
    if (!job->ctx)
        return CLI_FAILED;
    if (job->workaround && !(job->workaround_text = cli_read_text(job->workaround)))
        return CLI_FAILED;
    if (!job->path && !(job->path = job->shipped = cli_default_model()))
        return CLI_FAILED;
    lp_status status = job->ids_only ? lp_model_look(job->ctx, job->path, &job->model)
                                     : lp_model_open(job->ctx, job->path, &job->model);
    if (status == LP_OK)
        status = cli_adapters_apply(&job->adapters, job->model);
    if (status != LP_OK)
        return cli_failed(job->ctx, status);
    return cli_choose_device(job->ctx, job->selector, true, &job->devices, &job->device,
                             &job->reason);
}

bool cli_job_takes(const cli_job *job, const cli_command *command, unsigned kinds)
{
    const bool generates = lp_model_generates(job->model);
    const bool answers = lp_model_reads_source(job->model);
    const unsigned kind = answers ? CLI_ENCODER_DECODERS : generates ? CLI_DECODERS : CLI_ENCODERS;
    if (kinds & kind)
        return true;
    const bool pictures = lp_model_reads_pictures(job->model);
    cli_error("%s: %s is %s, which lapilli %s does not take%s", job->path,
              lp_model_architecture(job->model),
              answers     ? "an encoder-decoder"
              : generates ? "a decoder"
                          : "an encoder",
              command->name,
              answers     ? "; see lapilli translate"
              : generates ? "; see lapilli run"
              : pictures  ? "; see lapilli classify and embed"
                          : "; see lapilli embed and fill");
    return false;
}

int cli_job_session(cli_job *job)
{
    cli_progress progress = CLI_PROGRESS("loading");
    job->options.workaround = job->workaround_text;
    job->options.cache_folder = job->cache = cli_cache_folder();
    job->options.progress = cli_show_progress;
    job->options.progress_user = &progress;
    lp_status status =
        lp_session_create(job->devices, job->device, job->model, &job->options, &job->session);
    cli_clear_progress(&progress);
    job->options.progress = NULL;
    job->options.progress_user = NULL;
    return status == LP_OK ? CLI_OK : cli_job_failed(job->ctx, status, job->workaround);
}

int cli_job_failed(const lp_context *ctx, lp_status status, const char *workaround)
{
    const char *message = lp_context_message(ctx);
    if (!workaround || strncmp(message, "workaround", strlen("workaround")) != 0)
        return cli_failed(ctx, status);
    cli_error("%s: %s", workaround, message);
    return CLI_FAILED;
}

void cli_job_print(const cli_job *job)
{
    const lp_device_info *d = lp_devices_info(job->devices, job->device);
    fprintf(stderr, "lapilli: %s on %s (%s): %s", lp_model_title(job->model), d->name, d->id,
            job->reason);
    if (strcmp(d->type, "host") == 0 && *lp_devices_vulkan_problem(job->devices))
        fprintf(stderr, " (%s)", lp_devices_vulkan_problem(job->devices));
    fputc('\n', stderr);
    for (size_t i = 0; i < job->adapters.n; i++)
        fprintf(stderr, "lapilli: with the adapter %s times %g\n", job->adapters.item[i].path,
                (double)job->adapters.item[i].scale);
}

void cli_job_print_guard(const cli_job *job)
{
    char count[27];
    if (!(job->options.guard > 0))
        return;
    const lp_guard_summary guard = lp_session_guard(job->session);
    fprintf(stderr, "lapilli: guard: %s node%s recomputed", cli_count(guard.n_nodes, count),
            guard.n_nodes == 1 ? "" : "s");
    if (*guard.node)
        fprintf(stderr, "; largest error %.2f times the expected rounding error (%s)",
                guard.largest, guard.node);
    fputc('\n', stderr);
}

void cli_job_close(cli_job *job)
{
    lp_session_destroy(job->session);
    lp_model_destroy(job->model);
    lp_devices_destroy(job->devices);
    lp_context_destroy(job->ctx);
    free(job->shipped);
    free(job->cache);
    free(job->workaround_text);
}
