/* What makes a bad node right? Each trial changes one thing about how the device computes it, from
 * the small to the large; the first that helps becomes the workaround. See checker.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "check/checker.h"
#include "check/repro.h"

/* Runs after which a result that was not the same twice counts as stable. */
enum { STABLE_RUNS = 40 };

lp_status lp_checker_trial(lp_checker *c, lp_trial_outcome outcome, const char *detail,
                           const char *format, ...)
{
    lp_report *r = c->report;
    char change[160];
    va_list args;
    va_start(args, format);
    vsnprintf(change, sizeof change, format, args);
    va_end(args);
    lp_check_trial *more = lp_arena_array(c->arena, r->n_trials + 1, sizeof *more);
    if (more == NULL)
        return lp_fail_memory(c->ctx, "a report");
    if (r->n_trials > 0)
        memcpy(more, r->trials, r->n_trials * sizeof *more);
    more[r->n_trials] = (lp_check_trial){.change = lp_arena_strdup(c->arena, change),
                                         .outcome = outcome,
                                         .detail = lp_arena_strdup(c->arena, detail)};
    if (more[r->n_trials].change == NULL || more[r->n_trials].detail == NULL)
        return lp_fail_memory(c->ctx, "a report");
    r->trials = more;
    r->n_trials++;
    return LP_OK;
}

typedef struct trial {
    lp_checker *c;
    const lp_step *step;
    const lp_expected *expected;
} trial;

/* Runs the node in another way. *outcome: NOTHING with the reason in the context if that is not
 * possible. `result` (may be NULL) has the kernels, but no outputs. */
static lp_status attempt(const trial *t, lp_plan_options plan, const lp_caps *caps,
                         int64_t n_tokens, lp_trial_outcome *outcome, lp_step_result *kernels)
{
    lp_step_result result;
    const lp_step_options options = {
        .plan = plan, .caps = caps, .n_runs = t->c->n_trial_runs, .n_tokens = n_tokens};
    uint64_t n[LP_MAX_DST];
    int dst;
    lp_status status = lp_step_run(t->c->ctx, t->c->device, t->step, &options, &result);
    *outcome = LP_TRIAL_NOTHING;
    if (status == LP_E_UNSUPPORTED || status == LP_E_LIMIT)
        return LP_OK;
    LP_TRY(status);
    for (int d = 0; d < LP_MAX_DST; d++) {
        n[d] = t->step->n_outputs[d];
        if (n_tokens != 0)
            n[d] = n[d] / (uint64_t)t->step->graph->n_tokens * (uint64_t)n_tokens;
    }
    const lp_difference d = lp_judge(t->step, t->expected, &result.outputs, n, &dst);
    *outcome = lp_judge_finding(&d, &result) == LP_FINDING_NONE ? LP_TRIAL_RIGHT : LP_TRIAL_WRONG;
    lp_step_result_free(&result);
    if (kernels != NULL)
        *kernels = result;
    return LP_OK;
}

/* The latest trial is the smallest change if it is the first that helps. */
static void adopt(lp_checker *c, const lp_quirks *quirks)
{
    const lp_check_trial *latest = &c->report->trials[c->report->n_trials - 1];
    if (latest->outcome == LP_TRIAL_RIGHT && !c->has_workaround) {
        c->has_workaround = true;
        c->workaround = *quirks;
        c->report->smallest_change = latest->change;
    }
}

/* Each of the node's kernels replaced by the next one of the catalogue. */
static lp_status try_kernels(const trial *t, const lp_step_result *with)
{
    lp_checker *c = t->c;
    for (uint32_t i = 0; i < with->n_dispatches; i++) {
        bool seen = false;
        for (uint32_t j = 0; j < i; j++)
            seen = seen || with->kernels[j] == with->kernels[i];
        if (seen)
            continue;
        lp_trial_outcome outcome;
        lp_step_result other = {0};
        lp_plan_options plan = c->plan;
        lp_quirks quirks = {0};
        lp_kernel_set_add(&quirks.refused, with->kernels[i]);
        lp_kernel_set_add(&plan.refused, with->kernels[i]);
        LP_TRY(attempt(t, plan, NULL, 0, &outcome, &other));
        char detail[160] = "there is no other kernel for it";
        if (outcome != LP_TRIAL_NOTHING)
            snprintf(detail, sizeof detail, "%s instead",
                     other.n_dispatches > 0 ? other.kernels[0]->name : "nothing");
        LP_TRY(
            lp_checker_trial(c, outcome, detail, "without the kernel %s", with->kernels[i]->name));
        adopt(c, &quirks);
    }
    return LP_OK;
}

static lp_status try_plans(const trial *t, const lp_step_result *with)
{
    lp_checker *c = t->c;
    lp_trial_outcome outcome;
    lp_plan_options plan = c->plan;
    if (with->n_dispatches > 1) {
        plan.full_barriers = true;
        LP_TRY(attempt(t, plan, NULL, 0, &outcome, NULL));
        LP_TRY(lp_checker_trial(c, outcome, "", "with a barrier before every dispatch"));
        adopt(c, &(lp_quirks){.full_barriers = true});
        plan.full_barriers = c->plan.full_barriers;
    }
    LP_TRY(attempt(t, plan, &lp_caps_minimum, 0, &outcome, NULL));
    LP_TRY(lp_checker_trial(c, outcome, "no subgroups, no 16-bit types, small workgroups",
                            "planned as for the smallest device"));
    plan.deterministic = true;
    LP_TRY(attempt(t, plan, NULL, 0, &outcome, NULL));
    LP_TRY(lp_checker_trial(c, outcome, "the kernels that do not depend on the number of tokens",
                            "planned as with --deterministic"));
    adopt(c, &(lp_quirks){.deterministic = true});
    return LP_OK;
}

/* For which numbers of tokens? If only for large ones, fewer at a time are a change that helps. */
static lp_status try_tokens(const trial *t)
{
    static const int64_t numbers[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32, 64};
    const int64_t all = t->step->graph->n_tokens;
    const lp_node *node = &t->step->graph->nodes[t->step->node];
    lp_text good = {0}, bad = {0};
    lp_status status = LP_OK;
    int64_t largest_good = 0, smallest_bad = all;
    if (all < 2 || node->op == LP_OP_SAMPLE || t->step->slots[0].slot != LP_NONE)
        return LP_OK;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && numbers[i] < all; i++) {
        lp_trial_outcome outcome = LP_TRIAL_NOTHING;
        LP_CHECK(attempt(t, t->c->plan, NULL, numbers[i], &outcome, NULL));
        if (outcome == LP_TRIAL_RIGHT)
            largest_good = numbers[i];
        else if (outcome == LP_TRIAL_WRONG && smallest_bad == all)
            smallest_bad = numbers[i];
        if (outcome != LP_TRIAL_NOTHING)
            lp_text_printf(outcome == LP_TRIAL_RIGHT ? &good : &bad, " %d", (int)numbers[i]);
    }
    lp_text_printf(&good, "%s", "");
    lp_text_printf(&bad, " %d", (int)all);
    const bool helps = largest_good > 0 && largest_good < smallest_bad;
    char detail[160];
    if (good.failed || bad.failed) {
        status = lp_fail_memory(t->c->ctx, "a report");
        goto cleanup;
    }
    snprintf(detail, sizeof detail, "right for%s; wrong for%s", *good.data ? good.data : " none",
             bad.data);
    if (helps)
        LP_CHECK(lp_checker_trial(t->c, LP_TRIAL_RIGHT, detail, "with at most %d tokens at a time",
                                  (int)largest_good));
    else
        LP_CHECK(
            lp_checker_trial(t->c, LP_TRIAL_INFO, detail, "unchanged, by the number of tokens"));
    adopt(t->c, &(lp_quirks){.batch = (uint32_t)largest_good});
cleanup:
    free(lp_text_take(&good));
    free(lp_text_take(&bad));
    return status;
}

lp_status lp_checker_try(lp_checker *c, const lp_step *step, const lp_expected *expected,
                         const lp_step_result *result, lp_finding finding)
{
    const trial t = {.c = c, .step = step, .expected = expected};
    if (c->tried_node || c->device->table->program_from_plan == NULL)
        return LP_OK;
    c->tried_node = true;
    if (finding == LP_FINDING_FLAKY)
        c->n_trial_runs = STABLE_RUNS;
    if (c->options->repro_folder != NULL) {
        int dst;
        (void)lp_judge(step, expected, &result->outputs, step->n_outputs, &dst);
        LP_TRY(lp_repro_write(c, c->options->repro_folder, step, expected, dst));
        c->report->repro = lp_arena_strdup(c->arena, c->options->repro_folder);
        if (c->report->repro == NULL)
            return lp_fail_memory(c->ctx, "a report");
    }
    LP_TRY(try_kernels(&t, result));
    LP_TRY(try_tokens(&t));
    return try_plans(&t, result);
}

/* A plan in another way, from the same state: what is still wrong with it. What was not the same
 * twice may well be the same a few times, so it runs more often. */
static lp_status run_plan(const lp_checker *c, const lp_graph *graph, const lp_plan_options *plan,
                          const int32_t cursor[LP_CURSOR_WORDS], lp_finding was, lp_drift *drift)
{
    const int n_runs = was == LP_FINDING_REPLAY ? STABLE_RUNS : 1;
    for (int i = 0; i < n_runs; i++) {
        const lp_drift_start start = lp_checker_start(c, cursor);
        LP_TRY(lp_drift_run(c->ctx, c->device, graph, plan, &start, drift));
        if (drift->finding != LP_FINDING_NONE || i + 1 == n_runs)
            break;
        lp_drift_free(drift);
    }
    return LP_OK;
}

lp_status lp_checker_try_plan(lp_checker *c, const lp_graph *graph,
                              const int32_t cursor[LP_CURSOR_WORDS], lp_finding finding)
{
    if (c->tried_plan || c->lost || c->device->table->program_from_plan == NULL)
        return LP_OK;
    c->tried_plan = true;
    for (int i = 0; i < 2; i++) {
        lp_drift drift;
        lp_plan_options plan = c->plan;
        lp_quirks quirks = {.full_barriers = i == 0, .keep_all = i == 1};
        plan.full_barriers |= quirks.full_barriers;
        plan.keep_all |= quirks.keep_all;
        LP_TRY(run_plan(c, graph, &plan, cursor, finding, &drift));
        lp_trial_outcome outcome =
            drift.finding == LP_FINDING_NONE ? LP_TRIAL_RIGHT : LP_TRIAL_WRONG;
        lp_status status = lp_checker_trial(c, outcome, drift.detail != NULL ? drift.detail : "",
                                            i == 0 ? "with a barrier before every dispatch"
                                                   : "with memory of its own for every tensor");
        lp_drift_free(&drift);
        LP_TRY(status);
        adopt(c, &quirks);
    }
    return LP_OK;
}

lp_status lp_checker_try_unfused(lp_checker *c, uint32_t n_tokens)
{
    uint32_t n_bad = 0, n_nodes = 0;
    if (c->tried_unfused || c->lost || c->quirks.no_fusion)
        return LP_OK;
    c->tried_unfused = true;
    LP_TRY(lp_checker_walk_unfused(c, n_tokens, &n_bad, &n_nodes));
    char detail[64];
    snprintf(detail, sizeof detail, "%u of its %u nodes are bad", n_bad, n_nodes);
    LP_TRY(lp_checker_trial(c, n_bad == 0 ? LP_TRIAL_RIGHT : LP_TRIAL_WRONG, detail,
                            "with every operation as a node of its own"));
    adopt(c, &(lp_quirks){.no_fusion = true});
    return LP_OK;
}
