/* The dense layer of the `cpu` device, in float with vector kernels (simd.h).
 *
 * Few rows: a weight's row is read once for up to four rows of x, from the file's type right into
 * registers; the memory is what limits it. Many rows: weight rows become panels of f32 in the
 * first-level cache, a stretch at a time, and meet a tile of rows of x. */
#include <math.h>
#include <string.h>

#include "ops/linear.h"
#include "ops/simd.h"

enum {
    FEW = 12,                  /* rows that are served one weight row at a time */
    PANEL = 2 * LP_SIMD_LANES, /* weight rows of a panel */
    STRETCH = 512,             /* columns of a panel; 32 KiB */
    PIECE = 256,               /* columns that are dequantised at a time */
    CACHED = 1 << 17,          /* elements of the rows of x of a tile; 512 KiB */
    LEAST_ROWS = 48,           /* of a tile, so that making panels is worth its while */
    MOST_ROWS = 144
};

/* Outputs of a tile of rows, a panel of them each. */
typedef float (*panel_sums)[PANEL];

static float act_of(lp_act_kind kind, float x)
{
    if (kind == LP_ACT_NONE)
        return x;
    if (kind == LP_ACT_SILU)
        return x / (1 + expf(-x));
    if (kind == LP_ACT_GELU_TANH)
        return x / (1 + expf(-1.5957691216f * (x + 0.044715f * x * x * x)));
    return (float)lp_act_exact(kind, (double)x);
}

/* The epilogue of outputs n to n + count - 1 of the r-th row. */
static void finish(const lp_cpu_call *call, const lp_linear_rows *rows, int64_t r, int64_t n,
                   int count, const float values[], const float gates[], const float bias[],
                   const float gate_bias[])
{
    const int64_t row = lp_linear_row(rows, r);
    const lp_act_kind act = call->node->p.linear.act;
    const lp_view *residual = &call->src[LP_LINEAR_RESIDUAL];
    float *y = lp_linear_floats(&call->dst[0], row) + n;
    const float *more = residual->data != NULL ? lp_linear_floats(residual, row) + n : NULL;
    for (int c = 0; c < count; c++) {
        float value = act_of(act, values[c] + bias[c]);
        if (rows->gate.data != NULL)
            value *= gates[c] + gate_bias[c];
        if (more != NULL)
            value += more[c];
        y[c] = value;
    }
}

static const void *weights_at(const lp_view *w, int64_t n, int64_t k)
{
    const lp_dtype_info *info = &lp_dtype_table[w->dtype];
    return (const char *)w->data +
           ((uint64_t)n * w->stride + (uint64_t)k) / info->block * info->bytes;
}

static float bias_at(const lp_cpu_call *call, int source, const lp_linear_rows *rows, int64_t n)
{
    return (float)lp_linear_bias(&call->src[source], rows->expert, n);
}

/* out[r] = w . x[first + r] of `count` rows, at most LP_SIMD_ROWS */
static void dots(const lp_cpu_call *call, const lp_linear_rows *rows, const void *w, int64_t first,
                 int count, float out[])
{
    const int64_t n_inputs = rows->w.shape.dim[1];
    const lp_dtype dtype = rows->w.dtype;
    if (rows->x_int8 != NULL && call->simd->int8_dots[dtype] != NULL) {
        lp_int8_row x[LP_SIMD_ROWS];
        for (int r = 0; r < count; r++)
            x[r] = rows->x_int8[lp_linear_row(rows, first + r) / rows->rows_per_x];
        call->simd->int8_dots[dtype](w, x, count, n_inputs, out);
        return;
    }
    const float *x[LP_SIMD_ROWS];
    for (int r = 0; r < count; r++)
        x[r] = lp_linear_x(call, rows, first + r);
    lp_simd_dots(call->simd, dtype, w, x, count, n_inputs, out);
}

/* Output n of all rows, each row's sum in the same order however many there are. */
static void one_output(const lp_cpu_call *call, const lp_linear_rows *rows, int64_t n)
{
    const float bias = bias_at(call, LP_LINEAR_BIAS, rows, n);
    const float gate_bias = bias_at(call, LP_LINEAR_GATE_BIAS, rows, n);
    for (int64_t first = 0; first < rows->n; first += LP_SIMD_ROWS) {
        float values[LP_SIMD_ROWS], gates[LP_SIMD_ROWS] = {0};
        const int count = rows->n - first < LP_SIMD_ROWS ? (int)(rows->n - first) : LP_SIMD_ROWS;
        dots(call, rows, weights_at(&rows->w, n, 0), first, count, values);
        if (rows->gate.data != NULL)
            dots(call, rows, weights_at(&rows->gate, n, 0), first, count, gates);
        for (int r = 0; r < count; r++)
            finish(call, rows, first + r, n, 1, &values[r], &gates[r], &bias, &gate_bias);
    }
}

/* panel [count, PANEL]: columns [k, k + count) of weight rows n to n + PANEL - 1, which are zeros
 * behind the last one; count is filled up to whole vectors. */
static void make_panel(const lp_cpu_call *call, const lp_view *w, int64_t n, int64_t k,
                       int64_t count, float *panel)
{
    float rows[PANEL][PIECE];
    const int64_t n_rows = w->shape.dim[0] - n < PANEL ? w->shape.dim[0] - n : PANEL;
    if (n_rows < PANEL)
        memset(rows, 0, sizeof rows);
    for (int64_t at = 0; at < count; at += PIECE) {
        const int64_t size = count - at < PIECE ? count - at : PIECE;
        const int64_t padded = (size + LP_SIMD_LANES - 1) / LP_SIMD_LANES * LP_SIMD_LANES;
        for (int64_t r = 0; r < n_rows; r++) {
            lp_simd_to_f32(call->simd, w->dtype, weights_at(w, n + r, k + at), rows[r],
                           (size_t)size);
            memset(rows[r] + size, 0, (size_t)(padded - size) * sizeof(float));
        }
        call->simd->transpose(rows[0], PIECE, panel + at * PANEL, PANEL, PANEL, padded);
    }
}

/* sums[r] = x[r] . w[n … n + PANEL - 1] for a tile of rows */
static void sums_of(const lp_cpu_call *call, const float *const x[], const lp_view *w, int64_t n,
                    int64_t n_rows, panel_sums sums)
{
    float panel[STRETCH * PANEL];
    const int64_t n_inputs = w->shape.dim[1];
    memset(sums, 0, (size_t)n_rows * sizeof *sums);
    for (int64_t k = 0; k < n_inputs; k += STRETCH) {
        const int64_t count = n_inputs - k < STRETCH ? n_inputs - k : STRETCH;
        make_panel(call, w, n, k, count, panel);
        call->simd->product(x, k, panel, PANEL, sums[0], PANEL, n_rows, PANEL, count);
    }
}

/* Outputs n to n + PANEL - 1 of a tile of rows. */
static void panel_of_tile(const lp_cpu_call *call, const lp_linear_rows *rows, int64_t n,
                          int64_t first, int64_t n_rows)
{
    float values[MOST_ROWS][PANEL], gates[MOST_ROWS][PANEL], bias[PANEL], gate_bias[PANEL];
    const float *x[MOST_ROWS];
    for (int64_t r = 0; r < n_rows; r++)
        x[r] = lp_linear_x(call, rows, first + r);
    sums_of(call, x, &rows->w, n, n_rows, values);
    if (rows->gate.data != NULL)
        sums_of(call, x, &rows->gate, n, n_rows, gates);
    const int64_t n_left = rows->w.shape.dim[0] - n;
    const int n_columns = n_left < PANEL ? (int)n_left : PANEL;
    for (int c = 0; c < n_columns; c++) {
        bias[c] = bias_at(call, LP_LINEAR_BIAS, rows, n + c);
        gate_bias[c] = bias_at(call, LP_LINEAR_GATE_BIAS, rows, n + c);
    }
    for (int64_t r = 0; r < n_rows; r++)
        finish(call, rows, first + r, n, n_columns, values[r], gates[r], bias, gate_bias);
}

bool lp_linear_is_few(const lp_cpu_call *call, int64_t n_rows)
{
    return n_rows <= FEW || call->deterministic;
}

void lp_linear_fast(const lp_cpu_call *call, const lp_linear_rows *rows)
{
    const int64_t n_outputs = rows->w.shape.dim[0], n_inputs = rows->w.shape.dim[1];
    const int64_t work = n_outputs * rows->n * n_inputs;
    if (lp_linear_is_few(call, rows->n)) {
#pragma omp parallel for schedule(static) if (work > LP_PARALLEL_WORK)
        for (int64_t n = 0; n < n_outputs; n++)
            one_output(call, rows, n);
        return;
    }
    int64_t tile = CACHED / n_inputs;
    tile = tile < LEAST_ROWS ? LEAST_ROWS : tile > MOST_ROWS ? MOST_ROWS : tile;
#pragma omp parallel for collapse(2) schedule(static) if (work > LP_PARALLEL_WORK)
    for (int64_t first = 0; first < rows->n; first += tile)
        for (int64_t n = 0; n < n_outputs; n += PANEL)
            panel_of_tile(call, rows, n, first, rows->n - first < tile ? rows->n - first : tile);
}
