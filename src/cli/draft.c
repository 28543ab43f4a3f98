/* See draft.h. */
#include "draft.h"

bool cli_draft_option(const cli_command *command, cli_draft *draft, int id, int *code)
{
    uint64_t number;
    bool ok = true;
    switch (id) {
    case CLI_DRAFT:
        ok = cli_parse_name(command, "--draft", optarg, &draft->path);
        break;
    case CLI_DRAFT_LOOKUP:
        draft->lookup = true;
        break;
    case CLI_DRAFT_MAX:
        ok = cli_parse_u64(command, "--draft-max", optarg, 1, 64, &number);
        if (ok)
            draft->most = (uint32_t)number;
        draft->has_numbers = true;
        break;
    case CLI_DRAFT_MIN_P:
        ok = cli_parse_float(command, "--draft-min-p", optarg, 0, 1, &draft->min_p);
        draft->has_numbers = true;
        break;
    default:
        return false;
    }
    *code = ok ? CLI_OK : CLI_USAGE;
    return true;
}

int cli_draft_finish(const cli_command *command, const cli_draft *draft)
{
    if (draft->path && draft->lookup)
        return cli_usage_error(command, "guesses come from --draft or --draft-lookup, not both");
    if (draft->has_numbers && !draft->path && !draft->lookup)
        return cli_usage_error(command,
                               "--draft-max and --draft-min-p want --draft or --draft-lookup");
    return CLI_OK;
}

int cli_draft_open(cli_draft *draft, const cli_job *job)
{
    lp_status status = LP_OK;
    if (draft->path) {
        lp_session_options options = job->options;
        cli_progress progress = CLI_PROGRESS("loading the draft");
        status = lp_model_open(job->ctx, draft->path, &draft->model);
        if (status == LP_OK) {
            const uint32_t most = lp_model_context(draft->model);
            options.n_ctx = lp_session_n_ctx(job->session);
            options.n_ctx = options.n_ctx < most ? options.n_ctx : most;
            options.guard = 0;
            options.plant = NULL;
            options.progress = cli_show_progress;
            options.progress_user = &progress;
            status = lp_session_create(job->devices, job->device, draft->model, &options,
                                       &draft->session);
            cli_clear_progress(&progress);
        }
    }
    if (status == LP_OK && (draft->path || draft->lookup))
        status = lp_session_draft(job->session, draft->session, draft->most, draft->min_p);
    return status == LP_OK ? CLI_OK : cli_failed(job->ctx, status);
}

void cli_draft_print(const cli_draft *draft, const cli_job *job)
{
    const lp_draft_summary s = lp_session_drafted(job->session);
    char right[27], guessed[27];
    if (!draft->path && !draft->lookup)
        return;
    fprintf(stderr, "lapilli: draft: %s of %s guesses right", cli_count(s.n_right, right),
            cli_count(s.n_guessed, guessed));
    if (s.n_guessed > 0)
        fprintf(stderr, " (%.0f %%)", 100.0 * (double)s.n_right / (double)s.n_guessed);
    if (s.n_passes > 0)
        fprintf(stderr, ", %.2f tokens per evaluation of the model",
                (double)s.n_tokens / (double)s.n_passes);
    fputc('\n', stderr);
}

void cli_draft_close(cli_draft *draft)
{
    lp_session_destroy(draft->session);
    lp_model_destroy(draft->model);
}
