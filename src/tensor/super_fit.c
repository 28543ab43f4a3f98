/* Which numbers of a super-block come nearest given values, see super.h: least squares.
 *
 * With its levels q fixed, a run's best scale and minimum solve x ~ scale q - min, linear least
 * squares; with these fixed, its best levels are the nearest ones. Neither step makes the error
 * larger, but where they end depends on where they start: so a run tries a number of scales, all
 * near the one that just covers its range. Then the scales become integers: for given d and dmin a
 * run takes the best of the neighbours of its own, and d and dmin, in turn, are the least squares
 * of the whole super-block. */
#include "tensor/super.h"

#include <math.h>
#include <stdbool.h>

#include "base/half.h"

enum { MOST = 32 /* elements of a run */, PASSES = 3 };

/* Scale and minimum of a run, and the sum of squared errors with them. */
typedef struct fit {
    float scale, min, error;
} fit;

typedef struct sums { /* over the levels q, less their offset, and the values x */
    float n, q, qq, x, qx;
} sums;

/* The nearest level of x (in units of the scale), less the offset; the lowest for NaN. Rounding by
 * addition: compilers make vectors of it. */
static inline float level(float x, float low, float top)
{
    x = x > low ? x : low;
    x = x < top ? x : top;
    return (x + 0x1.8p23f) - 0x1.8p23f;
}

/* The value of `kind` nearest x. */
static inline float nearest(const lp_super_kind *kind, float x)
{
    int q = 0;
    for (int i = 1; i < kind->levels; i++) /* they grow */
        q += 2 * x > (float)(kind->values[i - 1] + kind->values[i]);
    return (float)kind->values[q];
}

/* Of a kind with values. */
static void take_values(const lp_super_kind *kind, const float *x, fit *f, float q[MOST])
{
    const float inverse = f->scale != 0 ? 1 / f->scale : 0;
    f->error = 0;
    for (int i = 0; i < kind->run; i++) {
        q[i] = nearest(kind, x[i] * inverse);
        const float e = f->scale * q[i] - x[i];
        f->error += e * e;
    }
}

/* The levels of x at f's scale and minimum, and f's error. */
static void take_levels(const lp_super_kind *kind, const float *x, fit *f, float q[MOST])
{
    const float low = (float)-kind->offset, top = (float)(kind->levels - 1 - kind->offset);
    const float inverse = f->scale != 0 ? 1 / f->scale : 0, scale = f->scale, min = f->min;
    float error = 0;
    if (kind->values != NULL) {
        take_values(kind, x, f, q);
        return;
    }
#pragma omp simd reduction(+ : error)
    for (int i = 0; i < kind->run; i++) {
        q[i] = level((x[i] + min) * inverse, low, top);
        const float e = scale * q[i] - min - x[i];
        error += e * e;
    }
    f->error = error;
}

static sums sums_of(int n, const float *x, const float *q)
{
    float sum_q = 0, sum_qq = 0, sum_x = 0, sum_qx = 0;
#pragma omp simd reduction(+ : sum_q, sum_qq, sum_x, sum_qx)
    for (int i = 0; i < n; i++) {
        sum_q += q[i];
        sum_qq += q[i] * q[i];
        sum_x += x[i];
        sum_qx += q[i] * x[i];
    }
    return (sums){(float)n, sum_q, sum_qq, sum_x, sum_qx};
}

/* The best scale and minimum for levels. Minima are not negative. */
static bool solve(const lp_super_kind *kind, const sums *s, fit *f)
{
    const float determinant = s->n * s->qq - s->q * s->q;
    if (!(s->qq > 0) || (kind->min_top > 0 && !(determinant > 0)))
        return false;
    f->scale = s->qx / s->qq;
    f->min = 0;
    if (kind->min_top > 0) {
        const float scale = (s->n * s->qx - s->q * s->x) / determinant;
        const float min = (scale * s->q - s->x) / s->n;
        if (min > 0) {
            f->scale = scale;
            f->min = min;
        }
    }
    return kind->scale_low < 0 || f->scale > 0;
}

/* From a first scale and minimum: levels, least squares, levels again. */
static void try_start(const lp_super_kind *kind, const float *x, fit start, fit *best)
{
    float q[MOST];
    for (int step = 0; step < 2; step++) {
        take_levels(kind, x, &start, q);
        if (start.error < best->error)
            *best = start;
        const sums s = sums_of(kind->run, x, q);
        if (!solve(kind, &s, &start))
            return;
    }
    take_levels(kind, x, &start, q);
    if (start.error < best->error)
        *best = start;
}

/* A run without regard to integers. What is not finite does not count as larger than anything. */
static fit fit_run(const lp_super_kind *kind, const float *x)
{
    enum { STEPS = 10 }; /* to both sides, of a tenth of a level */
    float least = 0, most = x[0], extreme = 0, q[MOST];
    for (int i = 0; i < kind->run; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
        extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
    }
    const float min = kind->min_top > 0 ? -least : 0;
    fit best = {0, min, 0};
    take_levels(kind, x, &best, q);
    const float width = kind->min_top > 0 ? most - least : -extreme;
    const float n = (float)(kind->values != NULL ? -kind->values[0]
                            : kind->min_top > 0  ? kind->levels - 1
                                                 : kind->offset);
    if (!(fabsf(width) > 0) || !isfinite(width))
        return best;
    const float size = kind->values != NULL ? 2.0f : 0.1f; /* levels of a table are far apart */
    for (int step = -STEPS; step <= STEPS; step++)
        try_start(kind, x, (fit){width / (n + size * (float)step), min, 0}, &best);
    return best;
}

static int clamp(float x, int low, int top)
{
    return (int)level(x, (float)low, (float)top);
}

static uint8_t index_of(const lp_super_kind *kind, float value)
{
    uint8_t q = 0;
    if (kind->values == NULL)
        return (uint8_t)((int)value + kind->offset);
    while (q + 1 < kind->levels && (float)kind->values[q] < value)
        q++;
    return q;
}

/* The best integers near those of run r for d and dmin, and their levels; returns the error. */
static float take_integers(const lp_super_kind *kind, const float *x, int r, float d, float dmin,
                           lp_super *s)
{
    const int scale = s->scale[r], min = s->min[r];
    float q[MOST], best_q[MOST] = {0};
    fit best = {0, 0, INFINITY};
    for (int a = scale - 1; a <= scale + 1; a++)
        for (int b = min - 1; b <= min + 1; b++) {
            fit f = {d * (float)a, dmin * (float)b, 0};
            if (a < kind->scale_low || a > kind->scale_top || b < 0 || b > kind->min_top)
                continue;
            take_levels(kind, x, &f, q);
            if (!(f.error < best.error))
                continue;
            best = f;
            s->scale[r] = (int8_t)a;
            s->min[r] = (uint8_t)b;
            for (int i = 0; i < kind->run; i++)
                best_q[i] = q[i];
        }
    for (int i = 0; i < kind->run; i++)
        s->q[r * kind->run + i] = index_of(kind, best_q[i]);
    return best.error;
}

/* d and dmin of least squares: x ~ d a - dmin b with a = scale q, b = min. */
static bool solve_super(const lp_super_kind *kind, const float *x, const lp_super *s, float *d,
                        float *dmin)
{
    double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
    for (int i = 0; i < LP_SUPER; i++) {
        const int q = kind->values != NULL ? kind->values[s->q[i]] : s->q[i] - kind->offset;
        const double a = (double)s->scale[i / kind->run] * q;
        const double b = s->min[i / kind->run], value = (double)x[i];
        aa += a * a;
        ab += a * b;
        bb += b * b;
        ax += a * value;
        bx += b * value;
    }
    const double determinant = aa * bb - ab * ab;
    if (determinant > 0) {
        *d = (float)((ax * bb - bx * ab) / determinant);
        *dmin = (float)((ax * ab - bx * aa) / determinant);
        return *d > 0 && *dmin > 0;
    }
    if (!(aa > 0) || bb > 0)
        return false;
    *d = (float)(ax / aa);
    return true;
}

/* The nearest finite half; 0 for NaN. */
static uint16_t half_of(float x)
{
    return isnan(x) ? 0 : lp_f32_to_f16(fmaxf(-65504, fminf(65504, x)));
}

static float ratio(float a, float b)
{
    return b != 0 ? a / b : 0;
}

/* Integers that are as large as they can be, so that they are fine. */
static void first_integers(const lp_super_kind *kind, const fit *runs, int n, lp_super *s)
{
    float scale = 0, min = 0;
    for (int r = 0; r < n; r++) {
        scale = fabsf(runs[r].scale) > fabsf(scale) ? runs[r].scale : scale;
        min = runs[r].min > min ? runs[r].min : min;
    }
    s->d = half_of(scale / (float)(kind->scale_low < 0 ? kind->scale_low : kind->scale_top));
    s->dmin = kind->min_top > 0 ? half_of(min / (float)kind->min_top) : 0;
    for (int r = 0; r < n; r++) {
        s->scale[r] = (int8_t)clamp(ratio(runs[r].scale, lp_f16_to_f32(s->d)), kind->scale_low,
                                    kind->scale_top);
        s->min[r] = (uint8_t)clamp(ratio(runs[r].min, lp_f16_to_f32(s->dmin)), 0, kind->min_top);
    }
}

uint16_t lp_super_fit_run(const lp_super_kind *kind, const float *x, uint8_t *levels)
{
    float q[MOST];
    const uint16_t d = half_of(fit_run(kind, x).scale);
    fit f = {lp_f16_to_f32(d), 0, 0};
    take_levels(kind, x, &f, q);
    for (int i = 0; i < kind->run; i++)
        levels[i] = index_of(kind, q[i]);
    return d;
}

void lp_super_fit(const lp_super_kind *kind, const float x[LP_SUPER], lp_super *s)
{
    const int n = LP_SUPER / kind->run;
    fit runs[LP_SUPER_RUNS];
    for (int r = 0; r < n; r++)
        runs[r] = fit_run(kind, x + r * kind->run);
    lp_super now = {0};
    first_integers(kind, runs, n, &now);
    float best = INFINITY;
    for (int pass = 0; pass < PASSES; pass++) {
        float error = 0, d = lp_f16_to_f32(now.d), dmin = lp_f16_to_f32(now.dmin);
        for (int r = 0; r < n; r++)
            error += take_integers(kind, x + r * kind->run, r, d, dmin, &now);
        if (pass == 0 || error < best) {
            best = error;
            *s = now;
        }
        if (!solve_super(kind, x, &now, &d, &dmin))
            return;
        now.d = half_of(d);
        now.dmin = half_of(dmin);
    }
}
