/* Is what a device computed for a node right? See checker.h. */
#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "check/checker.h"
#include "check/compare.h"

enum { MAP_ROWS = 64 };

void lp_expected_free(lp_expected *expected)
{
    lp_outputs_free(&expected->outputs);
    for (int d = 0; d < LP_MAX_DST; d++)
        free(expected->sigma[d]);
    *expected = (lp_expected){0};
}

lp_status lp_expected_sigma(lp_context *ctx, const lp_step *step, lp_expected *expected)
{
    for (int d = 0; d < LP_MAX_DST; d++) {
        if (step->n_outputs[d] == 0 || step->slots[d].slot != LP_NONE)
            continue;
        expected->sigma[d] = calloc(step->n_outputs[d], sizeof(float));
        if (expected->sigma[d] == NULL)
            return lp_fail_memory(ctx, "error scales");
    }
    return LP_OK;
}

/* The sum that a norm hands on is rounded once. */
void lp_expected_sums(const lp_step *step, lp_expected *expected)
{
    for (int d = 1; d < LP_MAX_DST; d++)
        for (uint64_t i = 0; expected->sigma[d] != NULL && i < step->n_outputs[d]; i++)
            expected->sigma[d][i] = fabsf(expected->outputs.values[d][i]) * 0x1p-24f;
}

lp_difference lp_judge(const lp_step *step, const lp_expected *expected, const lp_outputs *got,
                       const uint64_t n[LP_MAX_DST], int *dst)
{
    lp_difference worst = {0};
    *dst = 0;
    for (int d = 0; d < LP_MAX_DST; d++) {
        if (step->n_outputs[d] == 0)
            continue;
        lp_difference here = lp_compare(expected->outputs.values[d], got->values[d],
                                        expected->sigma[d], n[d]);
        const bool bad = !lp_difference_agrees(&here), was_bad = !lp_difference_agrees(&worst);
        if (worst.n == 0 || (bad && !was_bad) ||
            (bad == was_bad && step->slots[d].slot == LP_NONE && here.largest > worst.largest)) {
            worst = here;
            *dst = d;
        }
    }
    return worst;
}

lp_finding lp_judge_finding(const lp_difference *d, const lp_step_result *result)
{
    const bool wrong = !lp_difference_agrees(d);
    if (result->stray)
        return LP_FINDING_STRAY_WRITE;
    if (result->flaky)
        return LP_FINDING_FLAKY;
    if (wrong && result->n_unwritten > 0)
        return LP_FINDING_UNWRITTEN;
    if (wrong && isfinite(d->expected) && !isfinite(d->got))
        return LP_FINDING_NOT_FINITE;
    return wrong ? LP_FINDING_WRONG : LP_FINDING_NONE;
}

/* "row 15", "rows 1, 3, 5, …, 191", "7 of 19 rows": those of n that are marked. */
static void print_marked(lp_text *text, const char *what, const bool *marked, uint64_t n)
{
    enum { FEW = 6 };
    uint64_t count = 0, first = 0, second = 0, last = 0;
    bool even = true;
    for (uint64_t i = 0; i < n; i++) {
        if (!marked[i])
            continue;
        if (count == 0)
            first = i;
        else if (count == 1)
            second = i;
        else
            even = even && i - last == second - first;
        last = i;
        count++;
    }
    if (count == n) {
        lp_text_printf(text, n == 1 ? "the only %s" : "all %ss", what);
        return;
    }
    if (count > FEW && !even) {
        lp_text_printf(text, "%llu of %llu %ss", (unsigned long long)count, (unsigned long long)n,
                       what);
        return;
    }
    lp_text_printf(text, "%s%s ", what, count > 1 ? "s" : "");
    if (count > FEW) {
        lp_text_printf(text, "%llu, %llu, …, %llu", (unsigned long long)first,
                       (unsigned long long)second, (unsigned long long)last);
        return;
    }
    for (uint64_t i = 0; i < n; i++)
        if (marked[i])
            lp_text_printf(text, "%s%llu", i == first ? "" : ", ", (unsigned long long)i);
}

const char *lp_judge_pattern(lp_arena *arena, const lp_step *step, int d,
                             const lp_expected *expected, const lp_outputs *got)
{
    const lp_tensor *t = &step->graph->tensors[step->graph->nodes[step->node].dst[d]];
    const uint64_t n = step->n_outputs[d], width = (uint64_t)lp_shape_row(t->shape);
    const uint64_t n_rows = n / width;
    bool *rows = calloc(n_rows + width + 1, sizeof *rows), *columns = rows + n_rows;
    uint64_t count = 0;
    lp_text text = {0};
    if (rows == NULL)
        return NULL;
    for (uint64_t i = 0; i < n_rows * width; i++) {
        const float *sigma = expected->sigma[d] != NULL ? &expected->sigma[d][i] : NULL;
        const lp_difference here =
            lp_compare(&expected->outputs.values[d][i], &got->values[d][i], sigma, 1);
        if (here.largest <= LP_SIGMA_LARGEST)
            continue;
        rows[i / width] = columns[i % width] = true;
        count++;
    }
    lp_text_printf(&text, "%llu of %llu elements beyond the bound", (unsigned long long)count,
                   (unsigned long long)n);
    if (count > 0) {
        lp_text_printf(&text, ": ");
        print_marked(&text, "row", rows, n_rows);
        lp_text_printf(&text, "; ");
        print_marked(&text, "column", columns, width);
    }
    char *done = lp_text_take(&text);
    const char *kept = done != NULL ? lp_arena_strdup(arena, done) : NULL;
    free(done);
    free(rows);
    return kept;
}

/* Rows and columns of a picture: tokens and features; a single row is folded. */
static void picture_shape(uint64_t n, uint64_t row, uint32_t most, uint64_t *rows,
                          uint64_t *columns)
{
    *columns = row;
    if (n <= row) {
        *columns = 1;
        while (*columns < most && *columns * *columns < n)
            *columns *= 2;
    }
    *rows = (n + *columns - 1) / *columns;
}

lp_check_map *lp_judge_map(lp_arena *arena, const lp_step *step, int d, uint32_t most,
                           const lp_expected *expected, const lp_outputs *got)
{
    const uint64_t n = step->n_outputs[d];
    const lp_tensor *t = &step->graph->tensors[step->graph->nodes[step->node].dst[d]];
    lp_check_map *map = lp_arena_alloc(arena, sizeof *map);
    if (map == NULL || n == 0)
        return NULL;
    picture_shape(n, (uint64_t)lp_shape_row(t->shape), most, &map->tensor_rows,
                  &map->tensor_columns);
    map->rows = map->tensor_rows < MAP_ROWS ? (uint32_t)map->tensor_rows : MAP_ROWS;
    map->columns = map->tensor_columns < most ? (uint32_t)map->tensor_columns : most;
    const size_t cells = (size_t)map->rows * map->columns;
    map->expected = lp_arena_array(arena, cells, sizeof(float));
    map->got = lp_arena_array(arena, cells, sizeof(float));
    map->error = lp_arena_array(arena, cells, sizeof(float));
    if (map->expected == NULL || map->got == NULL || map->error == NULL)
        return NULL;
    for (size_t i = 0; i < cells; i++)
        map->error[i] = -1;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t r = i / map->tensor_columns * map->rows / map->tensor_rows;
        const uint64_t c = i % map->tensor_columns * map->columns / map->tensor_columns;
        const size_t cell = (size_t)(r * map->columns + c);
        const float *sigma = expected->sigma[d] != NULL ? &expected->sigma[d][i] : NULL;
        const lp_difference here =
            lp_compare(&expected->outputs.values[d][i], &got->values[d][i], sigma, 1);
        if ((float)here.largest > map->error[cell]) {
            map->error[cell] = (float)here.largest;
            map->expected[cell] = (float)here.expected;
            map->got[cell] = (float)here.got;
        }
    }
    for (size_t i = 0; i < cells; i++) /* the end of a folded row */
        map->error[i] = fmaxf(map->error[i], 0);
    return map;
}
