/* Diagnoses: see diagnosis.h. */
#include "check/diagnosis.h"

#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "base/text.h"

enum { MAX_PROBES = 8, MAX_NAMED = 3 };

static lp_status no_memory(lp_context *ctx)
{
    return lp_fail_memory(ctx, "a diagnosis");
}

/* ---- Rows ---------------------------------------------------------------------------------- */

static const char *kernel_names(lp_arena *arena, const lp_exam_kernels *kernels)
{
    char text[256];
    lp_exam_print_kernels(kernels, text, sizeof text);
    return lp_arena_strdup(arena, text);
}

static bool fill_row(lp_arena *arena, const lp_exam_row *r, lp_diagnosis_row *row)
{
    *row = (lp_diagnosis_row){.name = lp_arena_strdup(arena, r->row->name),
                              .op = lp_op_name(r->row->op),
                              .type = lp_dtype_table[r->type].name,
                              .kernels = kernel_names(arena, &r->kernels),
                              .finding = r->finding,
                              .detail = lp_arena_strdup(arena, r->detail),
                              .difference = r->difference,
                              .outcome = r->again ? r->outcome : LP_TRIAL_NOTHING,
                              .instead = kernel_names(arena, &r->instead)};
    return row->name != NULL && row->kernels != NULL && row->detail != NULL && row->instead != NULL;
}

lp_status lp_diagnosis_rows(lp_context *ctx, lp_arena *arena, const lp_exam *exam, lp_diagnosis *d)
{
    d->n_rows = exam->n_done;
    d->cells = lp_arena_array(arena, LP_N_OPS * LP_N_DTYPES, sizeof *d->cells);
    d->wrong = lp_arena_array(arena, exam->n_wrong + 1u, sizeof *d->wrong);
    d->refused = lp_arena_array(arena, lp_n_kernels + 1u, sizeof *d->refused);
    if (d->cells == NULL || d->wrong == NULL || d->refused == NULL)
        return no_memory(ctx);
    for (int op = 0; op < LP_N_OPS; op++)
        for (int type = 0; type < LP_N_DTYPES; type++) {
            lp_diagnosis_cell cell = {.op = lp_op_name((lp_op)op),
                                      .type = lp_dtype_table[type].name};
            for (uint32_t i = 0; i < exam->n_rows; i++) {
                const lp_exam_row *r = &exam->rows[i];
                if (!r->done || (int)r->row->op != op || (int)r->type != type)
                    continue;
                cell.n++;
                if (r->finding == LP_FINDING_NONE)
                    continue;
                cell.n_wrong++;
                if (!fill_row(arena, r, &d->wrong[d->n_wrong++]))
                    return no_memory(ctx);
            }
            if (cell.n > 0)
                d->cells[d->n_cells++] = cell;
        }
    for (unsigned i = 0; i < lp_n_kernels; i++)
        if (lp_kernel_set_has(&exam->refused, &lp_kernels[i]))
            d->refused[d->n_refused++] = lp_kernels[i].name;
    /* a row that was right, and is wrong by what is used instead, counts as well */
    for (uint32_t i = 0; i < exam->n_rows; i++) {
        const lp_exam_row *r = &exam->rows[i];
        d->n_left +=
            r->done && (r->again ? r->outcome != LP_TRIAL_RIGHT : r->finding != LP_FINDING_NONE);
    }
    return LP_OK;
}

lp_status lp_diagnosis_add(lp_context *ctx, lp_arena *arena, lp_diagnosis *d,
                           lp_diagnosis_probe probe)
{
    if (d->probes == NULL)
        d->probes = lp_arena_array(arena, MAX_PROBES, sizeof *d->probes);
    probe.text = lp_arena_strdup(arena, probe.text);
    if (d->probes == NULL || probe.text == NULL)
        return no_memory(ctx);
    if (d->n_probes == MAX_PROBES)
        return lp_fail(ctx, LP_E_LIMIT, "more than %d probes of a device", MAX_PROBES);
    d->probes[d->n_probes++] = probe;
    return LP_OK;
}

/* ---- The verdict --------------------------------------------------------------------------- */

/* "linear F16, attention F16 and 2 more" */
static void say_wrong_cells(lp_text *text, const lp_diagnosis *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n_cells; i++) {
        const lp_diagnosis_cell *c = &d->cells[i];
        if (c->n_wrong == 0 || n++ >= MAX_NAMED)
            continue;
        lp_text_printf(text, "%s%s %s", n > 1 ? ", " : "", c->op, c->type);
    }
    if (n > MAX_NAMED)
        lp_text_printf(text, " and %zu more", n - MAX_NAMED);
}

static void say_refused(lp_text *text, const lp_diagnosis *d)
{
    for (size_t i = 0; i < d->n_refused && i < MAX_NAMED; i++)
        lp_text_printf(text, "%s%s", i > 0 ? ", " : "", d->refused[i]);
    if (d->n_refused > MAX_NAMED)
        lp_text_printf(text, " and %zu more", d->n_refused - MAX_NAMED);
}

lp_status lp_diagnosis_conclude(lp_context *ctx, lp_arena *arena, lp_diagnosis *d)
{
    const lp_diagnosis_probe *bad = NULL;
    char n_rows[LP_COUNT_TEXT], n_wrong[LP_COUNT_TEXT];
    lp_text text = {0};
    for (size_t i = 0; i < d->n_probes; i++) /* the worst one is named */
        if (!d->probes[i].right && (bad == NULL || (bad->repaired && !d->probes[i].repaired)))
            bad = &d->probes[i];
    lp_print_count(d->n_rows, n_rows);
    lp_print_count(d->n_wrong, n_wrong);
    const bool helped = d->n_left == 0 && d->n_refused > 0;
    if (d->n_wrong == 0 && bad == NULL && d->n_refused == 0) {
        d->health = LP_HEALTH_GOOD;
        lp_text_printf(&text, "all %s computations agree with the reference", n_rows);
    } else {
        if (d->n_wrong > 0) {
            lp_text_printf(&text, "%s of %s computations %s wrong (", n_wrong, n_rows,
                           d->n_wrong == 1 ? "is" : "are");
            say_wrong_cells(&text, d);
            lp_text_printf(&text, ")");
        }
        if (bad != NULL && d->n_wrong > 0)
            lp_text_printf(&text, "; so is: %s", bad->name);
        else if (bad != NULL)
            lp_text_printf(&text, "%s: %s", bad->name, bad->text);
        if (helped) {
            lp_text_printf(&text, "; right without ");
            say_refused(&text, d);
        } else if (d->n_refused > 0) {
            lp_text_printf(&text, "; nothing right is left instead of ");
            say_refused(&text, d);
        }
        d->health = helped && (bad == NULL || bad->repaired) ? LP_HEALTH_REDUCED : LP_HEALTH_BAD;
    }
    char *taken = lp_text_take(&text);
    d->sentence = taken != NULL ? lp_arena_strdup(arena, taken) : NULL;
    free(taken);
    return d->sentence != NULL ? LP_OK : no_memory(ctx);
}
