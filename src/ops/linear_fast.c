/* The dense layer of the `cpu` device, in float with vector kernels (simd.h).
 *
 * Few rows: a weight's row is read once for up to four rows of x, from the file's type right into
 * registers; the memory is what limits it. Many rows: four weight rows become f32 in the
 * first-level cache, a stretch at a time, and meet a tile of rows of x that stays in the
 * second-level cache. */
#include <math.h>

#include "ops/linear.h"
#include "ops/simd.h"

enum {
    STRETCH = 1024,   /* columns of four weight rows that are f32 at a time; 16 KiB */
    CACHED = 1 << 16, /* elements of the rows of x that stay cached; 256 KiB */
    LEAST_ROWS = 24,  /* of a tile, so that dequantising is worth its while */
    MOST_ROWS = 96
};

typedef float (*sums_of_tile)[LP_SIMD_TILE_W];

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

/* sums[r] = x[first + r] . w[n ... n + 3] for a tile of rows; weight rows that are not there are
 * the last one again. */
static void sums_of(const lp_cpu_call *call, const lp_linear_rows *rows, const lp_view *w,
                    int64_t n, int64_t first, int64_t n_rows, sums_of_tile sums)
{
    float part[LP_SIMD_TILE_W][STRETCH];
    const int64_t n_inputs = w->shape.dim[1], last = w->shape.dim[0] - 1;
    const float *const parts[LP_SIMD_TILE_W] = {part[0], part[1], part[2], part[3]};
    for (int64_t r = 0; r < n_rows; r++)
        for (int c = 0; c < LP_SIMD_TILE_W; c++)
            sums[r][c] = 0;
    for (int64_t k = 0; k < n_inputs; k += STRETCH) {
        const int64_t count = n_inputs - k < STRETCH ? n_inputs - k : STRETCH;
        for (int c = 0; c < LP_SIMD_TILE_W; c++)
            lp_simd_to_f32(call->simd, w->dtype, weights_at(w, n + c < last ? n + c : last, k),
                           part[c], (size_t)count);
        for (int64_t r = 0; r < n_rows; r += LP_SIMD_TILE_X) {
            const float *x[LP_SIMD_TILE_X];
            for (int i = 0; i < LP_SIMD_TILE_X; i++) /* sums has room for a whole tile */
                x[i] = lp_linear_x(call, rows, first + (r + i < n_rows ? r + i : n_rows - 1)) + k;
            call->simd->tile(parts, x, count, sums + r);
        }
    }
}

/* Four outputs of a tile of rows. */
static void four_outputs(const lp_cpu_call *call, const lp_linear_rows *rows, int64_t n,
                         int64_t first, int64_t n_rows)
{
    float values[MOST_ROWS][LP_SIMD_TILE_W], gates[MOST_ROWS][LP_SIMD_TILE_W] = {{0}};
    sums_of(call, rows, &rows->w, n, first, n_rows, values);
    if (rows->gate.data != NULL)
        sums_of(call, rows, &rows->gate, n, first, n_rows, gates);
    const int64_t n_left = rows->w.shape.dim[0] - n;
    const int n_columns = n_left < LP_SIMD_TILE_W ? (int)n_left : LP_SIMD_TILE_W;
    float bias[LP_SIMD_TILE_W], gate_bias[LP_SIMD_TILE_W];
    for (int c = 0; c < n_columns; c++) {
        bias[c] = bias_at(call, LP_LINEAR_BIAS, rows, n + c);
        gate_bias[c] = bias_at(call, LP_LINEAR_GATE_BIAS, rows, n + c);
    }
    for (int64_t r = 0; r < n_rows; r++)
        finish(call, rows, first + r, n, n_columns, values[r], gates[r], bias, gate_bias);
}

bool lp_linear_is_few(const lp_cpu_call *call, int64_t n_rows)
{
    return n_rows <= LP_SIMD_ROWS || call->deterministic;
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
    int64_t tile = CACHED / n_inputs / LP_SIMD_TILE_X * LP_SIMD_TILE_X;
    tile = tile < LEAST_ROWS ? LEAST_ROWS : tile > MOST_ROWS ? MOST_ROWS : tile;
    for (int64_t first = 0; first < rows->n; first += tile) {
        const int64_t n_rows = rows->n - first < tile ? rows->n - first : tile;
#pragma omp parallel for schedule(static) if (work > LP_PARALLEL_WORK)
        for (int64_t n = 0; n < n_outputs; n += LP_SIMD_TILE_W)
            four_outputs(call, rows, n, first, n_rows);
    }
}
