/* Exams: see exam.h. Which kernel is to blame when a plan has several: the one with the larger
 * share of wrong rows among all that used it. */
#include "check/exam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/compare.h"
#include "cpu/cpu_backend.h"

enum {
    N_RUNS = 2,     /* of every row: more than once, or nobody knows that it is flaky */
    MAX_LOST = 3,   /* then the device is left alone */
    MAX_ROUNDS = 8, /* of refusing kernels and trying again */
    QUICK = 4       /* one row in so many of an op and type */
};

/* What a row's run on the device came to. */
typedef struct verdict {
    lp_finding finding;
    bool unsupported; /* no kernel is left */
    lp_exam_kernels kernels;
    lp_difference difference;
    char detail[200];
} verdict;

/* ---- Kernels ------------------------------------------------------------------------------- */

/* Those that the device would be given for a row. LP_E_UNSUPPORTED: there are none. */
static lp_status plan_kernels(lp_exam *exam, const lp_graph *graph, lp_exam_kernels *kernels)
{
    const lp_backend *device = exam->device;
    lp_plan *plan;
    kernels->n = 0;
    if (device->table->caps == NULL)
        return LP_OK;
    LP_TRY(lp_plan_create(exam->ctx, graph, device->table->caps(device), lp_exam_plan_options(exam),
                          &plan));
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        uint32_t k = 0;
        while (k < kernels->n && kernels->list[k] != plan->dispatches[i].kernel)
            k++;
        if (k == kernels->n && k < sizeof kernels->list / sizeof *kernels->list)
            kernels->list[kernels->n++] = plan->dispatches[i].kernel;
    }
    lp_plan_destroy(plan);
    return LP_OK;
}

void lp_exam_print_kernels(const lp_exam_kernels *kernels, char *text, size_t size)
{
    size_t n = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < kernels->n && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%s", i > 0 ? " + " : "",
                              kernels->list[i]->name);
}

/* ---- One row ------------------------------------------------------------------------------- */

/* Type of the first matrix or cache that the node uses. */
static lp_dtype row_type(const lp_graph *graph)
{
    const lp_node *node = graph->nodes;
    for (int i = 0; i < LP_MAX_SRC + LP_MAX_DST; i++) {
        lp_tensor_id id = i < LP_MAX_SRC ? node->src[i] : node->dst[i - LP_MAX_SRC];
        if (id != LP_NONE && graph->tensors[id].slot != LP_NONE && graph->tensors[id].shape.n >= 2)
            return graph->tensors[id].dtype;
    }
    return LP_F32;
}

/* The cursor before the run; 0 if the row has none. */
static int32_t position_of(const lp_case *row)
{
    for (int i = 0; i < row->n_states; i++)
        if (row->graph->tensors[row->states[i].id].dtype == LP_I32 &&
            row->states[i].bytes == LP_CURSOR_WORDS * sizeof(int32_t))
            return ((const int32_t *)row->states[i].data)[LP_CURSOR_POSITION];
    return 0;
}

static lp_status write_states(const lp_case *row, lp_backend *backend)
{
    for (int i = 0; i < row->n_states; i++)
        LP_TRY(backend->table->slot_write(backend, row->graph->tensors[row->states[i].id].slot, 0,
                                          row->states[i].data, row->states[i].bytes));
    return LP_OK;
}

/* The row on the reference: its inputs as a step, what it computes, and how large errors may be. */
typedef struct expected {
    lp_step step;
    lp_outputs outputs;
    float *sigma; /* of the first output; NULL if it must be exact */
} expected;

static void expected_free(expected *e)
{
    lp_step_free(&e->step);
    lp_outputs_free(&e->outputs);
    free(e->sigma);
}

static lp_status expect(lp_exam *exam, const lp_case *row, expected *e)
{
    lp_backend *reference = exam->reference;
    lp_program *program = NULL;
    lp_status status;
    *e = (expected){0};
    LP_CHECK(reference->table->program_create(reference, row->graph,
                                              (lp_plan_options){.keep_all = true}, &program));
    for (int i = 0; i < row->n_inputs; i++)
        LP_CHECK(reference->table->tensor_write(program, row->inputs[i].id, row->inputs[i].data));
    LP_CHECK(write_states(row, reference));
    LP_CHECK(lp_step_take(exam->ctx, reference, program, row->graph, 0, (uint32_t)position_of(row),
                          &e->step));
    if (e->step.n_outputs[0] != 0 && e->step.slots[0].slot == LP_NONE) {
        e->sigma = calloc(e->step.n_outputs[0], sizeof *e->sigma);
        if (e->sigma == NULL)
            LP_CHECK(lp_fail_memory(exam->ctx, "an exam"));
    }
    LP_CHECK(lp_cpu_program_node(program, 0, e->sigma));
    LP_CHECK(lp_step_outputs(exam->ctx, &e->step, reference, program, &e->outputs));
cleanup:
    reference->table->program_destroy(program);
    if (status != LP_OK)
        expected_free(e);
    return status;
}

/* Compares all outputs; what is worst goes into the verdict. */
static void judge(const expected *e, const lp_step_result *result, verdict *v)
{
    for (int d = 0; d < LP_MAX_DST; d++) {
        if (e->step.n_outputs[d] == 0)
            continue;
        const lp_difference difference = lp_compare(e->outputs.values[d], result->outputs.values[d],
                                                    d == 0 ? e->sigma : NULL, e->step.n_outputs[d]);
        if (d == 0 || difference.largest > v->difference.largest)
            v->difference = difference;
        if (lp_difference_agrees(&difference))
            continue;
        v->difference = difference;
        v->finding = result->n_unwritten > 0 ? LP_FINDING_UNWRITTEN : LP_FINDING_WRONG;
        snprintf(v->detail, sizeof v->detail, "element %llu of %llu: want %.9g, got %.9g",
                 (unsigned long long)difference.worst, (unsigned long long)difference.n,
                 difference.expected, difference.got);
        if (difference.sigma > 0 && difference.largest < 1e6) {
            const size_t n = strlen(v->detail);
            snprintf(v->detail + n, sizeof v->detail - n, " (%.0f times the rounding error)",
                     difference.largest);
        }
        return;
    }
    if (result->stray) {
        v->finding = LP_FINDING_STRAY_WRITE;
        snprintf(v->detail, sizeof v->detail, "a byte outside of its outputs was changed");
    } else if (result->flaky) {
        v->finding = LP_FINDING_FLAKY;
        snprintf(v->detail, sizeof v->detail, "two runs gave different bits");
    }
}

/* Failures that are the device's doing, and not those of memory or of this program. */
static bool is_the_devices(lp_status status)
{
    return status == LP_E_DEVICE || status == LP_E_DEVICE_LOST || status == LP_E_UNSUPPORTED ||
           status == LP_E_LIMIT;
}

static lp_status open_device(lp_exam *exam)
{
    LP_TRY(exam->options.open(exam->options.open_user, &exam->device));
    if (exam->table->store.frozen)
        return exam->device->table->load(exam->device, &exam->table->store, NULL, NULL);
    return LP_OK;
}

/* After a loss: the device once more, or never again. */
static lp_status reopen(lp_exam *exam)
{
    exam->device->table->destroy(exam->device);
    exam->device = NULL;
    exam->n_lost++;
    lp_status status = exam->n_lost < MAX_LOST ? open_device(exam) : LP_E_DEVICE_LOST;
    if (status == LP_OK)
        return LP_OK;
    exam->stopped = true;
    return is_the_devices(status) ? LP_OK : status;
}

static lp_status run_row(lp_exam *exam, const lp_case *row, const expected *e, verdict *v)
{
    const lp_step_options options = {.plan = lp_exam_plan_options(exam), .n_runs = N_RUNS};
    lp_step_result result = {0};
    *v = (verdict){0};
    lp_status status = plan_kernels(exam, row->graph, &v->kernels);
    v->unsupported = status == LP_E_UNSUPPORTED;
    if (status == LP_OK)
        status = write_states(row, exam->device);
    if (status == LP_OK)
        status = lp_step_run(exam->ctx, exam->device, &e->step, &options, &result);
    if (status == LP_OK) {
        judge(e, &result, v);
        lp_step_result_free(&result);
        return LP_OK;
    }
    if (!is_the_devices(status))
        return status;
    v->finding = LP_FINDING_DEVICE;
    snprintf(v->detail, sizeof v->detail, "%.190s", exam->ctx->message);
    return status == LP_E_DEVICE_LOST ? reopen(exam) : LP_OK;
}

static lp_status examine(lp_exam *exam, lp_exam_row *r, verdict *v)
{
    expected e;
    LP_TRY(expect(exam, r->row, &e));
    lp_status status = run_row(exam, r->row, &e, v);
    expected_free(&e);
    return status;
}

/* ---- Whom to blame ------------------------------------------------------------------------- */

/* Wrong rows among those that used a kernel. */
static double guilt(const lp_exam *exam, const lp_kernel *kernel)
{
    uint32_t used = 0, wrong = 0;
    for (uint32_t i = 0; i < exam->n_rows; i++)
        for (uint32_t k = 0; k < exam->rows[i].kernels.n; k++)
            if (exam->rows[i].kernels.list[k] == kernel) {
                used++;
                wrong += exam->rows[i].finding != LP_FINDING_NONE;
            }
    return used > 0 ? (double)wrong / used : 0;
}

/* Refuses the guiltiest kernel of a plan; false if there is none that is not refused. */
static bool refuse_one(lp_exam *exam, const lp_exam_kernels *kernels)
{
    const lp_kernel *worst = NULL;
    for (uint32_t i = 0; i < kernels->n; i++) {
        const lp_kernel *k = kernels->list[i];
        if (!lp_kernel_set_has(&exam->refused, k) &&
            (worst == NULL || guilt(exam, k) > guilt(exam, worst)))
            worst = k;
    }
    if (worst != NULL)
        lp_kernel_set_add(&exam->refused, worst);
    return worst != NULL;
}

static bool uses_refused(const lp_exam *exam, const lp_exam_kernels *kernels)
{
    for (uint32_t i = 0; i < kernels->n; i++)
        if (lp_kernel_set_has(&exam->refused, kernels->list[i]))
            return true;
    return false;
}

static bool still_wrong(const lp_exam_row *r)
{
    return r->again ? r->outcome == LP_TRIAL_WRONG : r->finding != LP_FINDING_NONE;
}

/* Refuses the kernels of wrong rows, runs all rows that used them with what is there instead, and
 * so on, until those are right or nothing is left. */
static lp_status cure(lp_exam *exam)
{
    for (int round = 0; round < MAX_ROUNDS; round++) {
        bool more = false;
        for (uint32_t i = 0; i < exam->n_rows; i++) {
            const lp_exam_row *r = &exam->rows[i];
            const lp_exam_kernels *used = r->again ? &r->instead : &r->kernels;
            if (r->done && still_wrong(r) && !uses_refused(exam, used))
                more = refuse_one(exam, used) || more;
        }
        if (!more)
            return LP_OK;
        for (uint32_t i = 0; i < exam->n_rows && !exam->stopped; i++) {
            lp_exam_row *r = &exam->rows[i];
            const lp_exam_kernels *used = r->again ? &r->instead : &r->kernels;
            if (!r->done || !uses_refused(exam, used))
                continue;
            verdict v;
            LP_TRY(examine(exam, r, &v));
            r->again = true;
            if (!v.unsupported) /* otherwise: the last ones that there were */
                r->instead = v.kernels;
            r->outcome = v.unsupported                  ? LP_TRIAL_NOTHING
                         : v.finding == LP_FINDING_NONE ? LP_TRIAL_RIGHT
                                                        : LP_TRIAL_WRONG;
        }
    }
    return LP_OK;
}

/* ---- The whole ----------------------------------------------------------------------------- */

lp_status lp_exam_create(lp_context *ctx, const lp_exam_options *options, lp_exam **result)
{
    lp_status status = LP_OK;
    lp_exam *exam = calloc(1, sizeof *exam);
    *result = NULL;
    if (exam == NULL)
        return lp_fail_memory(ctx, "an exam");
    exam->ctx = ctx;
    exam->options = *options;
    LP_CHECK(lp_case_table_create(ctx, &exam->table));
    exam->n_rows = (uint32_t)exam->table->n;
    exam->rows = calloc(exam->n_rows + 1u, sizeof *exam->rows);
    if (exam->rows == NULL)
        LP_CHECK(lp_fail_memory(ctx, "an exam"));
    LP_CHECK(open_device(exam));
    const lp_backend_table *table = exam->device->table;
    LP_CHECK(lp_probe_create(exam->table, table->caps != NULL ? table->caps(exam->device) : NULL,
                             &exam->probe));
    LP_CHECK(table->load(exam->device, &exam->table->store, NULL, NULL));
    LP_CHECK(lp_cpu_backend_create(ctx, false, &exam->reference));
    LP_CHECK(exam->reference->table->load(exam->reference, &exam->table->store, NULL, NULL));
    *result = exam;
    return LP_OK;
cleanup:
    lp_exam_destroy(exam);
    return status;
}

void lp_exam_destroy(lp_exam *exam)
{
    if (exam == NULL)
        return;
    lp_probe_destroy(&exam->probe);
    if (exam->device != NULL)
        exam->device->table->destroy(exam->device);
    if (exam->reference != NULL)
        exam->reference->table->destroy(exam->reference);
    lp_case_table_destroy(exam->table);
    free(exam->rows);
    free(exam);
}

lp_plan_options lp_exam_plan_options(const lp_exam *exam)
{
    return (lp_plan_options){.refused = exam->refused,
                             .refused_by = "doctor",
                             .alter = exam->options.alter,
                             .alter_user = exam->options.alter_user};
}

/* A cursor before the text, which some rows have, never happens in use. */
static bool is_wanted(const lp_exam_options *o, const lp_exam_row *r, uint32_t number)
{
    return (o->ops == 0 || (o->ops >> r->row->op & 1) != 0) && (!o->quick || number % QUICK == 0) &&
           position_of(r->row) >= 0 && (o->wants == NULL || o->wants(o->wants_user, r->row));
}

lp_status lp_exam_run(lp_exam *exam)
{
    const lp_exam_options *o = &exam->options;
    uint32_t seen[LP_N_OPS][LP_N_DTYPES] = {{0}};
    for (uint32_t i = 0; i < exam->n_rows && !exam->stopped; i++) {
        lp_exam_row *r = &exam->rows[i];
        verdict v;
        r->row = &exam->table->cases[i];
        r->type = row_type(r->row->graph);
        if (o->progress != NULL && o->progress(o->progress_user, i, exam->n_rows) != 0)
            return lp_fail(exam->ctx, LP_E_CANCELLED, "cancelled");
        if (!is_wanted(o, r, seen[r->row->op][r->type]++))
            continue;
        LP_TRY(examine(exam, r, &v));
        r->done = true;
        r->finding = v.finding;
        r->kernels = v.kernels;
        r->difference = v.difference;
        memcpy(r->detail, v.detail, sizeof r->detail);
        exam->n_done++;
        exam->n_wrong += v.finding != LP_FINDING_NONE;
    }
    return exam->n_wrong > 0 ? cure(exam) : LP_OK;
}
