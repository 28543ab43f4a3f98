/* One pass of a check: free-running on the device, then node by node along the chain. See
 * checker.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "check/checker.h"
#include "check/choice.h"
#include "check/compare.h"
#include "check/digest.h"
#include "cpu/cpu_backend.h"
#include "ops/attention.h"
#include "text/runner.h"

/* The graph of n tokens that generation would use at the checker's position. */
lp_status lp_network_subject_graph(lp_checker *c, uint32_t n_tokens, bool no_fusion,
                                   lp_graph **graph)
{
    const bool encoder = c->network->hparams.both_ways;
    if (c->part == LP_PART_PICTURE) {
        lp_hparams vision;
        lp_hparams_of_vision(&c->network->hparams, &vision);
        n_tokens = vision.n_context;
    }
    const lp_network_options options = {
        .n_tokens = (int32_t)n_tokens,
        .n_ctx = (int32_t)c->n_ctx,
        .kv_max = (int32_t)lp_runner_bucket(c->position + n_tokens, c->n_ctx),
        .kv_dtype = c->options->cache_type,
        .outputs = encoder && lp_network_has_head(c->network) ? LP_OUTPUTS_ALL : LP_OUTPUTS_NONE,
        .hidden = encoder,
        .sample = !encoder && c->part == LP_PART_DECODER,
        .part = c->part,
        .no_fusion = no_fusion,
        .int8_types = c->int8_types};
    LP_TRY(lp_network_graph(c->ctx, c->network, &c->store, &options, graph));
    for (uint32_t i = 0; i < (*graph)->n_nodes; i++)
        c->rounds |= (*graph)->nodes[i].op == LP_OP_LINEAR && (*graph)->nodes[i].p.linear.int8;
    return LP_OK;
}

lp_drift_start lp_checker_start(const lp_checker *c, const int32_t cursor[LP_CURSOR_WORDS])
{
    return (lp_drift_start){.cursor_slot = c->cursor,
                            .cursor = cursor,
                            .inputs = c->subject.inputs,
                            .n_inputs = c->subject.n_inputs};
}

/* ---- A node -------------------------------------------------------------------------------- */

enum { MAX_MAPS = 8 };

typedef struct pass_state {
    lp_checker *c;
    lp_check_pass *pass; /* NULL: nothing is reported */
    lp_graph *graph;
    lp_program *chain;
    lp_drift device, against; /* against: empty if that is the chain */
    int32_t cursor[LP_CURSOR_WORDS];
    uint32_t n_bad;
    uint32_t other_choice; /* the first router whose free run chose other experts; LP_NONE */
} pass_state;

static bool is_chain(const lp_checker *c)
{
    return c->against == c->chain;
}

static const char *join_kernels(lp_arena *arena, const lp_step_result *result)
{
    const char *text = "";
    for (uint32_t i = 0; i < result->n_dispatches && text != NULL; i++)
        text = lp_arena_printf(arena, "%s%s%s", text, i ? " + " : "", result->kernels[i]->name);
    return text != NULL ? text : "";
}

static void describe(const pass_state *s, uint32_t index, lp_check_node *row)
{
    const lp_node *node = &s->graph->nodes[index];
    const lp_tensor *tensors = s->graph->tensors;
    lp_tensor_id shape = node->dst[0], type = LP_NONE;
    int64_t first, end;
    switch (node->op) {
    case LP_OP_LINEAR:
    case LP_OP_CONV2D:
        type = node->src[1];
        row->n_inputs = tensors[type].shape.dim[tensors[type].shape.n - 1];
        break;
    case LP_OP_EMBED:
        type = node->src[0];
        break;
    case LP_OP_ATTENTION:
        type = node->src[1];
        lp_attention_range(node, s->cursor, (int64_t)s->c->position + s->graph->n_tokens - 1,
                           &first, &end);
        row->n_inputs = end > first ? end - first : 0;
        break;
    case LP_OP_KV_WRITE:
        type = node->dst[0];
        shape = node->src[0];
        break;
    default:
        break;
    }
    row->name = lp_arena_strdup(s->c->arena, node->name);
    row->op = lp_op_name(node->op);
    row->type = type != LP_NONE ? lp_dtype_table[tensors[type].dtype].name : "";
    row->kernels = row->detail = row->digest = "";
    row->n_dims = tensors[shape].shape.n;
    for (int i = 0; i < LP_MAX_DIMS; i++)
        row->dims[i] = tensors[shape].shape.dim[i];
    if (row->name == NULL)
        row->name = row->op;
}

/* What the chain computes for the node, and the error scale of it. */
static lp_status expect(pass_state *s, const lp_step *step, lp_expected *expected)
{
    lp_checker *c = s->c;
    LP_TRY(lp_expected_sigma(c->ctx, step, expected));
    LP_TRY(lp_cpu_program_node(s->chain, step->node, expected->sigma[0]));
    LP_TRY(lp_step_outputs(c->ctx, step, c->chain, s->chain, &expected->outputs));
    lp_expected_sums(step, expected);
    return LP_OK;
}

/* The other device's result takes the place of the chain's. */
static lp_status ask_other(const pass_state *s, const lp_step *step, lp_expected *expected)
{
    lp_checker *c = s->c;
    lp_step_result result;
    const lp_step_options options = {.n_runs = 1};
    LP_TRY(lp_step_run(c->ctx, c->against, step, &options, &result));
    lp_outputs_free(&expected->outputs);
    expected->outputs = result.outputs;
    return LP_OK;
}

static lp_status note(lp_checker *c, lp_check_node *row, lp_finding finding, const char *detail)
{
    row->finding = finding;
    row->detail = lp_arena_strdup(c->arena, detail);
    return row->detail != NULL ? LP_OK : lp_fail_memory(c->ctx, "a report");
}

static lp_status describe_finding(const pass_state *s, const lp_step *step, int dst,
                                  const lp_expected *expected, const lp_step_result *result,
                                  lp_check_node *row)
{
    if (row->finding == LP_FINDING_WRONG || row->finding == LP_FINDING_NOT_FINITE) {
        row->detail = lp_judge_pattern(s->c->arena, step, dst, expected, &result->outputs);
        return row->detail != NULL ? LP_OK : lp_fail_memory(s->c->ctx, "a report");
    }
    char text[256] = "";
    if (row->finding == LP_FINDING_STRAY_WRITE && result->stray_buffer == LP_BUFFER_ARENA)
        snprintf(text, sizeof text, "byte %llu of its activations changed and belongs to nobody",
                 (unsigned long long)result->stray_offset);
    else if (row->finding == LP_FINDING_STRAY_WRITE)
        snprintf(text, sizeof text, "byte %llu of %s changed, in a row that it must not touch",
                 (unsigned long long)result->stray_offset,
                 s->c->store.slots[result->stray_buffer - 1].name);
    else if (row->finding == LP_FINDING_UNWRITTEN)
        snprintf(text, sizeof text, "%llu of %llu elements were not written",
                 (unsigned long long)result->n_unwritten, (unsigned long long)row->isolated.n);
    else if (row->finding == LP_FINDING_FLAKY)
        snprintf(text, sizeof text, "%u runs from the same inputs gave different bits",
                 s->c->options->n_runs);
    return note(s->c, row, row->finding, text);
}

/* The isolated result, beside what was expected. */
static lp_status judge(pass_state *s, const lp_step *step, const lp_expected *expected,
                       const lp_step_result *result, lp_check_node *row)
{
    int dst;
    row->isolated = lp_judge(step, expected, &result->outputs, step->n_outputs, &dst);
    row->finding = lp_judge_finding(&row->isolated, result);
    const bool bad = row->finding != LP_FINDING_NONE;
    s->n_bad += bad;
    if (s->pass == NULL)
        return LP_OK;
    row->kernels = join_kernels(s->c->arena, result);
    if (s->c->options->digests)
        LP_TRY(lp_digest_floats(s->c->ctx, s->c->arena, result->outputs.values, step->n_outputs,
                                LP_MAX_DST, &row->digest));
    lp_check_node *was = &s->pass->nodes[s->pass->worst];
    const bool worst = step->node == 0 || row->isolated.largest > was->isolated.largest;
    if (worst) {
        if (was->finding == LP_FINDING_NONE)
            was->map = NULL;
        s->pass->worst = step->node;
    }
    /* Pictures are large: many of the first bad pass only. */
    const bool first_bad = bad && !s->c->any_bad && s->n_bad <= MAX_MAPS;
    if (first_bad || worst)
        row->map =
            lp_judge_map(s->c->arena, step, dst, first_bad ? 256 : 96, expected, &result->outputs);
    if (!bad)
        return LP_OK;
    LP_TRY(describe_finding(s, step, dst, expected, result, row));
    return lp_checker_try(s->c, step, expected, result, row->finding);
}

/* The free-running results of both devices at this node. */
static void compare_drift(const pass_state *s, const lp_step *step, const lp_expected *expected,
                          lp_check_node *row)
{
    if (s->device.outputs == NULL || row == NULL)
        return;
    int dst;
    lp_expected other = *expected;
    if (!is_chain(s->c)) {
        if (s->against.outputs == NULL)
            return;
        other.outputs = s->against.outputs[step->node];
    }
    row->drift = lp_judge(step, &other, &s->device.outputs[step->node], step->n_outputs, &dst);
}

/* Rounding grows from layer to layer, but not as far as this: on sound drivers 1e-8 was the most
 * that was seen. */
#define DRIFT_NMSE 1e-4
/* Where layers round what they read to int8, a value near a boundary falls to the one side or the
 * other, and all that follows is as far off as such rounding is by itself: up to 4e-4 was seen. */
#define DRIFT_NMSE_INT8 1e-2

static double most_drift(const pass_state *s)
{
    return s->c->rounds ? DRIFT_NMSE_INT8 : DRIFT_NMSE;
}

/* A router chose other experts than the other side: said once, at the first one. */
static lp_status note_choice(pass_state *s, uint32_t index, const lp_choice *choice)
{
    if (s->other_choice != LP_NONE || s->c->other_choice || choice->n_tokens == 0 ||
        !(choice->nmse <= most_drift(s)))
        return LP_OK;
    s->other_choice = index;
    s->pass->choices = lp_arena_printf(
        s->c->arena,
        "%s gave %llu of %d tokens (token %llu first) other experts: right for the device's own "
        "logits, which differ by rounding (NMSE %.2g). Numbers behind it may drift further",
        s->graph->nodes[index].name, (unsigned long long)choice->n_tokens, s->graph->n_tokens,
        (unsigned long long)choice->first, choice->nmse);
    return s->pass->choices != NULL ? LP_OK : lp_fail_memory(s->c->ctx, "a report");
}

/* The free-running choice of a router. */
static lp_status compare_choice(pass_state *s, const lp_step *step, const lp_expected *expected,
                                lp_check_node *row)
{
    lp_status status = LP_OK;
    float *theirs = NULL;
    lp_choice choice;
    if (s->graph->nodes[step->node].op != LP_OP_ROUTE || s->device.outputs == NULL ||
        s->pass == NULL)
        return LP_OK;
    const float *logits = step->inputs[0], *routes = expected->outputs.values[0];
    if (!is_chain(s->c)) {
        if (s->against.outputs == NULL)
            return LP_OK;
        LP_TRY(lp_choice_source(s->c->ctx, s->graph, step->node, s->against.outputs, &theirs));
        logits = theirs;
        routes = s->against.outputs[step->node].values[0];
    }
    if (logits == NULL || routes == NULL)
        goto cleanup;
    LP_CHECK(lp_choice_compare(s->c->ctx, s->graph, step->node, s->device.outputs, logits, routes,
                               &choice));
    LP_CHECK(note_choice(s, step->node, &choice));
    if (!choice.own && row->finding == LP_FINDING_NONE && !s->c->any_bad) {
        s->n_bad++;
        LP_CHECK(note(s->c, row, LP_FINDING_REPLAY,
                      "in the run of the whole graph, experts are not those that the device's own "
                      "logits give"));
    }
cleanup:
    free(theirs);
    return status;
}

/* Failures of the device, as opposed to ours. */
static bool is_devices(lp_status status)
{
    return status == LP_E_DEVICE || status == LP_E_DEVICE_LOST || status == LP_E_UNSUPPORTED ||
           status == LP_E_LIMIT;
}

/* The pages of the model's file that the reference has read go back: they are on the device
 * already. */
static void forget_weights(const pass_state *s, uint32_t index)
{
    const lp_node *node = &s->graph->nodes[index];
    for (int i = 0; i < LP_MAX_SRC; i++) {
        const lp_tensor *t = node->src[i] != LP_NONE ? &s->graph->tensors[node->src[i]] : NULL;
        const lp_slot *slot = t != NULL && t->slot != LP_NONE ? &s->c->store.slots[t->slot] : NULL;
        if (slot != NULL && slot->kind == LP_SLOT_WEIGHT)
            lp_file_forget(slot->data, (size_t)lp_dtype_file_bytes(slot->dtype, slot->shape));
    }
}

static lp_status check_node(pass_state *s, uint32_t index)
{
    lp_checker *c = s->c;
    lp_status status = LP_OK;
    lp_step step = {0};
    lp_expected expected = {0};
    lp_step_result result = {0};
    lp_check_node unused = {0}, *row = s->pass != NULL ? &s->pass->nodes[index] : &unused;
    const lp_step_options options = {
        .plan = c->plan, .n_runs = s->pass != NULL ? c->options->n_runs : c->n_trial_runs};
    describe(s, index, row);
    LP_CHECK(lp_step_take(c->ctx, c->chain, s->chain, s->graph, index, c->position, &step));
    LP_CHECK(expect(s, &step, &expected));
    compare_drift(s, &step, &expected, row);
    if (!is_chain(c))
        LP_CHECK(ask_other(s, &step, &expected));
    status = c->lost ? LP_E_DEVICE_LOST : lp_step_run(c->ctx, c->device, &step, &options, &result);
    if (status == LP_OK) {
        LP_CHECK(judge(s, &step, &expected, &result, row));
        LP_CHECK(compare_choice(s, &step, &expected, row));
        LP_CHECK(lp_step_sync(c->ctx, &step, c->chain, c->device));
    } else if (is_devices(status)) {
        c->lost = c->lost || status == LP_E_DEVICE_LOST;
        s->n_bad++;
        LP_CHECK(note(c, row, LP_FINDING_DEVICE, c->ctx->message));
    } else {
        goto cleanup;
    }
    if (!is_chain(c))
        LP_CHECK(lp_step_sync(c->ctx, &step, c->chain, c->against));
    forget_weights(s, index);
    LP_CHECK(lp_checker_progress(c, 1));
cleanup:
    lp_step_result_free(&result);
    lp_expected_free(&expected);
    lp_step_free(&step);
    return status;
}

/* ---- The pass ------------------------------------------------------------------------------ */

/* Free-running on one device; `lost` (may be NULL) takes failures that are the device's. */
static lp_status free_run(pass_state *s, lp_backend *backend, const lp_plan_options *plan,
                          lp_drift *drift)
{
    lp_checker *c = s->c;
    const lp_drift_start start = lp_checker_start(c, s->cursor);
    lp_status status = lp_drift_run(c->ctx, backend, s->graph, plan, &start, drift);
    if (backend == c->device && is_devices(status)) {
        c->lost = c->lost || status == LP_E_DEVICE_LOST;
        drift->finding = LP_FINDING_DEVICE;
        drift->node = 0;
        drift->detail = lp_arena_strdup(c->arena, c->ctx->message);
        return LP_OK;
    }
    return status;
}

static lp_status compare_logits(pass_state *s, const lp_tensor_id id)
{
    lp_status status = LP_OK;
    if (id == LP_NONE) /* an encoder's graph */
        return LP_OK;
    const uint64_t n = (uint64_t)lp_shape_elements(s->graph->tensors[id].shape);
    const uint64_t n_last = n / (uint64_t)s->graph->tensors[id].shape.dim[0]; /* the last token's */
    const uint32_t k = n_last < 5 ? (uint32_t)n_last : 5;
    const float *got = s->device.logits, *expected = s->against.logits;
    float *chain = malloc(n * sizeof *chain);
    uint64_t a[5], b[5];
    if (chain == NULL)
        return lp_fail_memory(s->c->ctx, "logits");
    LP_CHECK(s->c->chain->table->tensor_read(s->chain, id, chain));
    if (is_chain(s->c))
        expected = chain;
    if (got != NULL && s->c->options->digests)
        LP_CHECK(
            lp_digest_floats(s->c->ctx, s->c->arena, &s->device.logits, &n, 1, &s->pass->digest));
    if (got != NULL && expected != NULL) {
        s->pass->logits = lp_compare(expected, got, NULL, n);
        if (s->c->network == NULL) /* pixels: no distribution */
            goto cleanup;
        expected += n - n_last;
        got += n - n_last;
        s->pass->kl = lp_kl_divergence(expected, got, n_last);
        lp_top_k(expected, n_last, k, a);
        lp_top_k(got, n_last, k, b);
        s->pass->top1_same = a[0] == b[0];
        for (uint32_t i = 0; i < k; i++)
            for (uint32_t j = 0; j < k; j++)
                s->pass->top5_common += a[i] == b[j];
    }
cleanup:
    free(chain);
    return status;
}

/* What is wrong with the plan goes to the node it is wrong at, unless that one is bad by itself. */
static lp_status report_drift(pass_state *s)
{
    const lp_drift *d = &s->device;
    lp_check_node *row;
    if (d->finding == LP_FINDING_NONE || d->node >= s->pass->n_nodes)
        return LP_OK;
    row = &s->pass->nodes[d->node];
    if (row->finding != LP_FINDING_NONE || (d->finding == LP_FINDING_DEVICE && s->n_bad > 0))
        return LP_OK;
    s->n_bad++;
    return note(s->c, row, d->finding, d->detail != NULL ? d->detail : "");
}

/* Every node is right by itself and the plan is sound, yet the free-running result is another one:
 * something else writes where it should not. The first node that is far off is named. Behind
 * another choice of experts, in this pass or one before, there is nothing to be said. */
static lp_status check_drift(pass_state *s)
{
    const lp_difference *logits = &s->pass->logits;
    if (s->c->any_bad || s->c->other_choice || s->n_bad > 0 ||
        s->device.finding != LP_FINDING_NONE || logits->n == 0 || logits->nmse <= most_drift(s))
        return LP_OK;
    size_t i = 0;
    while (i + 1 < s->pass->n_nodes && i < s->other_choice &&
           s->pass->nodes[i].drift.nmse <= most_drift(s))
        i++;
    if (i == s->other_choice)
        return LP_OK;
    s->n_bad++;
    return note(s->c, &s->pass->nodes[i], LP_FINDING_REPLAY,
                "every node is right by itself, but not in the run of the whole graph");
}

static lp_status read_cursor(pass_state *s)
{
    if (s->c->cursor == LP_NONE)
        return LP_OK;
    return s->c->chain->table->slot_read(s->c->chain, s->c->cursor, 0, s->cursor, sizeof s->cursor);
}

static lp_status write_cursor(const lp_checker *c, const int32_t words[LP_CURSOR_WORDS])
{
    if (c->cursor == LP_NONE)
        return LP_OK;
    return c->chain->table->slot_write(c->chain, c->cursor, 0, words,
                                       LP_CURSOR_WORDS * sizeof *words);
}

/* All nodes, isolated. The caches of the devices are the chain's meanwhile. */
static lp_status walk(pass_state *s)
{
    lp_checker *c = s->c;
    lp_status status = LP_OK, back = LP_OK;
    const uint64_t n_rows = lp_caches_rows(c, s->graph);
    lp_caches device = {0}, against = {0};
    LP_TRY(c->chain->table->program_create(c->chain, s->graph, (lp_plan_options){0}, &s->chain));
    LP_TRY(lp_graph_inputs_write(c->chain, s->chain, s->graph, c->subject.inputs,
                                 c->subject.n_inputs));
    if (!c->lost)
        LP_CHECK(lp_caches_lend(c, c->device, n_rows, &device));
    if (!is_chain(c))
        LP_CHECK(lp_caches_lend(c, c->against, n_rows, &against));
    if (!c->lost)
        LP_CHECK(lp_caches_follow(c, c->device));
    if (!is_chain(c))
        LP_CHECK(lp_caches_follow(c, c->against));
    for (uint32_t i = 0; i < s->graph->n_nodes; i++)
        LP_CHECK(check_node(s, i));
cleanup:
    if (!c->lost && device.own != NULL)
        back = lp_caches_return(c, c->device, n_rows, &device);
    if (back == LP_OK && against.own != NULL)
        back = lp_caches_return(c, c->against, n_rows, &against);
    lp_caches_free(&device);
    lp_caches_free(&against);
    return status != LP_OK ? status : back;
}

static void end_pass(pass_state *s)
{
    if (s->chain != NULL)
        s->c->chain->table->program_destroy(s->chain);
    lp_drift_free(&s->device);
    lp_drift_free(&s->against);
    lp_graph_destroy(s->graph);
}

lp_status lp_checker_pass(lp_checker *c, uint32_t n_tokens, lp_check_pass *pass)
{
    lp_status status = LP_OK;
    pass_state s = {.c = c, .pass = pass, .other_choice = LP_NONE};
    const lp_plan_options plain = {0};
    pass->position = c->position;
    pass->n_tokens = n_tokens;
    pass->digest = "";
    pass->choices = c->other_choice
                        ? "A pass before chose other experts, so keys and values are others, too"
                        : "";
    LP_CHECK(c->subject.graph(c, n_tokens, c->quirks.no_fusion, &s.graph));
    pass->nodes = lp_arena_array(c->arena, s.graph->n_nodes, sizeof *pass->nodes);
    if (pass->nodes == NULL) {
        status = lp_fail_memory(c->ctx, "a report");
        goto cleanup;
    }
    pass->n_nodes = s.graph->n_nodes;
    LP_CHECK(read_cursor(&s));
    if (!c->lost) {
        LP_CHECK(lp_caches_follow(c, c->device));
        LP_CHECK(free_run(&s, c->device, &c->plan, &s.device));
    }
    if (!is_chain(c)) {
        LP_CHECK(lp_caches_follow(c, c->against));
        LP_CHECK(free_run(&s, c->against, &plain, &s.against));
    }
    LP_CHECK(walk(&s));
    LP_CHECK(compare_logits(&s, lp_drift_logits(s.graph)));
    const bool all_right = s.n_bad == 0; /* each by itself */
    LP_CHECK(report_drift(&s));
    LP_CHECK(check_drift(&s));
    if (all_right && s.device.finding != LP_FINDING_NONE)
        LP_CHECK(lp_checker_try_plan(c, s.graph, s.cursor, s.device.finding));
    if (s.n_bad > 0)
        LP_CHECK(lp_checker_try_unfused(c, n_tokens));
    c->any_bad = c->any_bad || s.n_bad > 0;
    c->other_choice = c->other_choice || s.other_choice != LP_NONE;
    c->position += n_tokens;
cleanup:
    end_pass(&s);
    return status;
}

lp_status lp_checker_walk_unfused(lp_checker *c, uint32_t n_tokens, uint32_t *n_bad,
                                  uint32_t *n_nodes)
{
    lp_status status = LP_OK;
    pass_state s = {.c = c, .other_choice = LP_NONE};
    int32_t words[LP_CURSOR_WORDS];
    LP_CHECK(read_cursor(&s));
    memcpy(words, s.cursor, sizeof words);
    words[LP_CURSOR_POSITION] = (int32_t)c->position;
    LP_CHECK(write_cursor(c, words));
    LP_CHECK(c->subject.graph(c, n_tokens, true, &s.graph));
    LP_CHECK(walk(&s));
    LP_CHECK(write_cursor(c, s.cursor));
cleanup:
    *n_bad = s.n_bad;
    *n_nodes = s.graph != NULL ? s.graph->n_nodes : 0;
    end_pass(&s);
    return status;
}
