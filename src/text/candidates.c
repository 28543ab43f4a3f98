/* The steps: see candidates.h. Where probabilities are needed they are the integer masses of the
 * sample op; logarithms are made here, because the C library's differ between machines. */
#include "text/candidates.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "ops/draw.h"

/* ---- Order -------------------------------------------------------------------------------------
 */

/* Ascending by `key`, equal keys stay in order. */
static void sort(lp_candidates *list)
{
    uint32_t counts[4][256] = {{0}};
    if (list->n <= 48) {
        for (size_t i = 1; i < list->n; i++) {
            lp_candidate moving = list->at[i];
            size_t k = i;
            for (; k > 0 && list->at[k - 1].key > moving.key; k--)
                list->at[k] = list->at[k - 1];
            list->at[k] = moving;
        }
        return;
    }
    for (size_t i = 0; i < list->n; i++)
        for (int d = 0; d < 4; d++)
            counts[d][list->at[i].key >> 8 * d & 255]++;
    for (int d = 0; d < 4; d++) {
        uint32_t *count = counts[d], sum = 0;
        if (count[list->at[0].key >> 8 * d & 255] == list->n)
            continue; /* one digit for all */
        for (int b = 0; b < 256; b++) {
            uint32_t n = count[b];
            count[b] = sum;
            sum += n;
        }
        for (size_t i = 0; i < list->n; i++)
            list->spare[count[list->at[i].key >> 8 * d & 255]++] = list->at[i];
        lp_candidate *sorted = list->spare;
        list->spare = list->at;
        list->at = sorted;
    }
}

/* Ascending integers for descending floats. */
static uint32_t descending_key(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    return u & 0x80000000u ? u : ~(u | 0x80000000u);
}

void lp_candidates_by_logit(lp_candidates *list)
{
    lp_candidates_by_id(list);
    for (size_t i = 0; i < list->n; i++)
        list->at[i].key = descending_key(list->at[i].x);
    sort(list);
}

void lp_candidates_by_id(lp_candidates *list)
{
    bool sorted = true;
    for (size_t i = 0; i < list->n; i++) {
        list->at[i].key = (uint32_t)list->at[i].id;
        sorted &= i == 0 || list->at[i - 1].id < list->at[i].id;
    }
    if (!sorted)
        sort(list);
}

/* ---- Weights -----------------------------------------------------------------------------------
 */

void lp_candidates_fill(lp_candidates *list, const float *logits, size_t n)
{
    list->n = 0;
    for (size_t i = 0; i < n; i++) {
        float x = lp_draw_clean(logits[i]);
        if (x > -INFINITY)
            list->at[list->n++] = (lp_candidate){.x = x, .id = (int32_t)i};
    }
}

static float largest(const lp_candidates *list)
{
    float most = -INFINITY;
    for (size_t i = 0; i < list->n; i++)
        most = fmaxf(most, list->at[i].x);
    return most;
}

uint64_t lp_candidates_weigh(lp_candidates *list)
{
    const float most = largest(list);
    uint64_t total = 0;
    for (size_t i = 0; i < list->n; i++)
        total += list->at[i].mass = lp_draw_mass(list->at[i].x - most);
    return total;
}

/* ln(x) of a positive normal number: x = 2^e m, ln(m) = 2 artanh((m - 1) / (m + 1)). */
static double natural_log(double x)
{
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752) {
        m *= 2;
        e--;
    }
    const double s = (m - 1) / (m + 1), s2 = s * s;
    double sum = 0;
    for (int k = 23; k >= 1; k -= 2)
        sum = sum * s2 + 1.0 / k;
    return (double)e * 0.69314718055994531 + 2 * s * sum;
}

double lp_candidates_surprise(uint64_t total, uint32_t mass)
{
    return natural_log((double)total / (double)mass) * 1.4426950408889634;
}

/* ---- Cuts --------------------------------------------------------------------------------------
 */

static void keep_from(lp_candidates *list, float least)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        if (list->at[i].x >= least)
            list->at[n++] = list->at[i];
    list->n = n;
}

void lp_candidates_top_k(lp_candidates *list, uint32_t k)
{
    if (k == 0 || k >= list->n)
        return;
    for (size_t i = 0; i < list->n; i++)
        list->values[i] = list->at[i].x;
    keep_from(list, lp_draw_select_largest(list->values, (int64_t)list->n, k));
}

void lp_candidates_top_p(lp_candidates *list, float p)
{
    if (!(p < 1.0f))
        return;
    const uint64_t want = lp_draw_share(lp_candidates_weigh(list), p);
    uint64_t sum = 0;
    lp_candidates_by_logit(list);
    for (size_t i = 0; i < list->n; i++) {
        sum += list->at[i].mass;
        if (sum >= want) {
            keep_from(list, list->at[i].x);
            return;
        }
    }
}

void lp_candidates_min_p(lp_candidates *list, float p)
{
    if (!(p > 0.0f))
        return;
    const uint32_t least = (uint32_t)(fminf(p, 1.0f) * (float)LP_MASS_ONE);
    size_t n = 0;
    lp_candidates_weigh(list);
    for (size_t i = 0; i < list->n; i++)
        if (list->at[i].mass >= least)
            list->at[n++] = list->at[i];
    list->n = n;
}

void lp_candidates_top_n_sigma(lp_candidates *list, float n)
{
    if (!(n > 0.0f))
        return;
    double mean = 0, squares = 0;
    for (size_t i = 0; i < list->n; i++)
        mean += (double)list->at[i].x;
    mean /= (double)list->n;
    for (size_t i = 0; i < list->n; i++) {
        double d = (double)list->at[i].x - mean;
        squares += d * d;
    }
    const double least = (double)largest(list) - (double)n * sqrt(squares / (double)list->n);
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++)
        if ((double)list->at[i].x >= least)
            list->at[kept++] = list->at[i];
    list->n = kept;
}

static uint64_t difference(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Of the probabilities p in descending order, the second differences |p(i) - 2 p(i+1) + p(i+2)|, as
 * shares of their sum: the cut is where their running sum exceeds z. Difference i stands for token
 * i + 1; the first token always stays, and the last one never. */
void lp_candidates_tail_free(lp_candidates *list, float z)
{
    if (!(z > 0.0f && z < 1.0f) || list->n < 3)
        return;
    uint64_t weight = lp_candidates_weigh(list), total = 0, sum = 0;
    size_t kept = 1;
    lp_candidates_by_logit(list);
    const lp_candidate *c = list->at;
    for (size_t i = 0; i + 2 < list->n; i++)
        total += difference((uint64_t)c[i].mass + c[i + 2].mass, 2ull * c[i + 1].mass);
    if (total <= weight >> 20)
        return; /* a straight line: there is no tail */
    for (const uint64_t most = lp_draw_share(total, z); kept + 1 < list->n; kept++) {
        sum += difference((uint64_t)c[kept - 1].mass + c[kept + 1].mass, 2ull * c[kept].mass);
        if (sum > most)
            break;
    }
    keep_from(list, c[kept - 1].x);
}

/* Surprise of a token: -ln(its probability); expected: the entropy. */
void lp_candidates_typical(lp_candidates *list, float p)
{
    if (!(p > 0.0f && p < 1.0f))
        return;
    const uint64_t total = lp_candidates_weigh(list), want = lp_draw_share(total, p);
    const double most = (double)largest(list);
    const double log_total = natural_log((double)total / (double)LP_MASS_ONE);
    double entropy = 0;
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        lp_candidate *c = &list->at[i];
        if (c->mass == 0) /* as good as impossible, and of no weight here */
            continue;
        entropy += (double)c->mass / (double)total * (log_total + most - (double)c->x);
        list->at[n++] = *c;
    }
    list->n = n;
    for (size_t i = 0; i < n; i++) {
        float deviation = (float)fabs(log_total + most - (double)list->at[i].x - entropy);
        memcpy(&list->at[i].key, &deviation, 4); /* not negative: in the order of its bits */
    }
    sort(list);
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += list->at[i].mass;
        if (sum >= want && (i + 1 == n || list->at[i + 1].key != list->at[i].key)) {
            list->n = i + 1;
            return;
        }
    }
}

void lp_candidates_xtc(lp_candidates *list, float threshold)
{
    const uint64_t least = lp_draw_share(lp_candidates_weigh(list), threshold);
    size_t n = 0;
    lp_candidates_by_logit(list);
    while (n < list->n && list->at[n].mass > 0 && list->at[n].mass >= least)
        n++;
    if (n < 2)
        return;
    list->n -= n - 1;
    memmove(list->at, list->at + n - 1, list->n * sizeof *list->at);
}

void lp_candidates_temperature(lp_candidates *list, float temperature)
{
    const float most = largest(list);
    if (!(temperature >= FLT_MIN)) {
        lp_candidates_by_id(list);
        size_t best = 0;
        while (list->at[best].x < most)
            best++;
        list->at[0] = list->at[best];
        list->n = 1;
        return;
    }
    const float inverse = lp_draw_quotient(1.0f, fminf(temperature, FLT_MAX));
    for (size_t i = 0; i < list->n; i++) {
        float d = fmaxf(list->at[i].x - most, -FLT_MAX);
        list->at[i].x = fmaxf(lp_draw_clean(d * inverse), -FLT_MAX);
    }
}

void lp_candidates_mirostat(lp_candidates *list, double mu)
{
    const uint64_t total = lp_candidates_weigh(list);
    lp_candidates_by_logit(list);
    size_t n = 1;
    while (n < list->n && list->at[n].mass > 0 &&
           lp_candidates_surprise(total, list->at[n].mass) <= mu)
        n++;
    keep_from(list, list->at[n - 1].x);
}
