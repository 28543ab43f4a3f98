/* Arithmetic of drawing: see draw.h. */
#include "ops/draw.h"

#include <float.h>
#include <math.h>

float lp_draw_clean(float x)
{
    if (isnan(x))
        return -INFINITY;
    if (x > FLT_MAX)
        return FLT_MAX;
    return fabsf(x) < FLT_MIN ? 0.0f : x;
}

/* Rounded once: the quotient of two floats in double is never near enough to a tie of floats to be
 * rounded twice. */
float lp_draw_quotient(float a, float b)
{
    double q = (double)a / (double)b;
    return fabs(q) < (double)FLT_MIN ? 0.0f : lp_draw_clean((float)q);
}

/* Cody & Waite's reduction, then Taylor's polynomial, every operation rounded by itself.
 * shaders/sample.glsl does the same ones in the same order. */
uint32_t lp_draw_mass(float d)
{
    if (!(d >= -21.0f))
        return 0;
    int32_t k = (int32_t)(0.5f - d * 1.44269504f);
    float n = -(float)k;
    float r = (d - n * 0.693359375f) - n * -2.12194440e-4f;
    float y = 1.98412698e-4f;
    y = y * r + 1.38888889e-3f;
    y = y * r + 8.33333333e-3f;
    y = y * r + 4.16666667e-2f;
    y = y * r + 1.66666667e-1f;
    y = y * r + 0.5f;
    y = y * r + 1.0f;
    y = y * r + 1.0f;
    uint32_t m = (uint32_t)(y * 16777216.0f) << 6;
    return m >> k;
}

void lp_draw_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t key0 = key[0], key1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ key0, (uint32_t)b,
                            (uint32_t)(a >> 32) ^ c[3] ^ key1, (uint32_t)a};
        for (int i = 0; i < 4; i++)
            c[i] = next[i];
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

/* From products of halves. */
uint64_t lp_draw_multiply_high(uint64_t a, uint64_t b)
{
    uint64_t al = a & UINT32_MAX, ah = a >> 32, bl = b & UINT32_MAX, bh = b >> 32;
    uint64_t middle = ah * bl + (al * bl >> 32);
    uint64_t other = al * bh + (middle & UINT32_MAX);
    return ah * bh + (middle >> 32) + (other >> 32);
}

uint64_t lp_draw_share(uint64_t total, float share)
{
    uint64_t p = share > 0.0f ? (uint64_t)(share * 16777216.0f) : 0;
    return ((total >> 32) * p << 8) + ((total & UINT32_MAX) * p >> 24);
}

/* Hoare's selection. */
float lp_draw_select_largest(float *v, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1, want = k - 1;
    while (low < high) {
        float pivot = v[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (v[i] > pivot)
                i++;
            while (v[j] < pivot)
                j--;
            if (i <= j) {
                float swap = v[i];
                v[i++] = v[j];
                v[j--] = swap;
            }
        }
        if (want <= j)
            high = j;
        else if (want >= i)
            low = i;
        else
            break;
    }
    return v[want];
}
