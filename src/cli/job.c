/* Opening model, device and session: see job.h. What is cheap to get wrong comes first: a wrong
 * path is noticed before a driver is loaded. */
#include "job.h"

#include <stdlib.h>
#include <string.h>

#include "files.h"

int cli_job_open(cli_job *job)
{
    job->ctx = cli_context(job->verbose);
    if (!job->ctx)
        return CLI_FAILED;
    if (job->workaround && !(job->workaround_text = cli_read_text(job->workaround)))
        return CLI_FAILED;
    if (!job->path && !(job->path = job->shipped = cli_default_model()))
        return CLI_FAILED;
    lp_status status = lp_model_open(job->ctx, job->path, &job->model);
    if (status == LP_OK)
        status = cli_adapters_apply(&job->adapters, job->model);
    if (status != LP_OK)
        return cli_failed(job->ctx, status);
    return cli_choose_device(job->ctx, job->selector, true, &job->devices, &job->device,
                             &job->reason);
}

bool cli_job_continues(const cli_job *job, const cli_command *command)
{
    if (!lp_model_reads_source(job->model))
        return true;
    cli_error("%s: %s is an encoder-decoder, which %s does not take; see lapilli translate",
              job->path, lp_model_architecture(job->model), command->name);
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
    return status == LP_OK ? CLI_OK : cli_failed(job->ctx, status);
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
