/* Attention of the `cpu` device: online softmax over tiles of keys, in float. */
#include <math.h>

#include "base/half.h"
#include "ops/attention.h"

#define FAST_KEYS 16

/* Without branches, so that compilers make vectors of it; exact, subnormals and NaN included. */
static void halves_to_floats(const uint16_t *from, float *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t h = from[i], low = (h & 0x7fffu) << 13;
        float x = lp_bits_f32(low) * 0x1p112f;
        uint32_t special = low >= 0x0f800000u ? low | 0x70000000u : lp_f32_bits(x);
        to[i] = lp_bits_f32(special | (h & 0x8000u) << 16);
    }
}

static const float *load(const lp_view *cache, int64_t row, int64_t column, int64_t n, float *tile)
{
    uint64_t at = (uint64_t)row * cache->stride + (uint64_t)column;
    if (cache->dtype != LP_F16)
        return (const float *)cache->data + at;
    halves_to_floats((const uint16_t *)cache->data + at, tile, n);
    return tile;
}

static float dot(const float *a, const float *b, int64_t n)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* The score of key j, of s = scale q k. */
static float score_of(const lp_node *node, const lp_attention_row *at, int64_t j, float s)
{
    const float softcap = node->p.attention.softcap;
    if (softcap > 0)
        s = softcap * tanhf(s / softcap);
    return s + (float)lp_attention_bias(at, j);
}

/* The next keys from `from` on that the row sees, at most FAST_KEYS. */
static int64_t next_keys(const lp_node *node, const lp_attention_row *at, int64_t from,
                         int64_t keys[FAST_KEYS])
{
    int64_t n = 0;
    for (int64_t j = from; j < at->end && n < FAST_KEYS; j++)
        if (lp_attention_sees(node, at, j))
            keys[n++] = j;
    return n;
}

/* Head `h` of token t against all of its keys. */
void lp_attention_fast_row(const lp_cpu_call *call, int64_t t, int64_t h)
{
    const lp_view *keys = &call->src[1], *values = &call->src[2];
    const int64_t dk = keys->shape.dim[2], dv = values->shape.dim[2];
    const lp_attention_row at = lp_attention_row_of(call, t, h);
    float largest = at.sink, sum = at.sink > -INFINITY ? 1 : 0, out[LP_MAX_HEAD] = {0};
    float row[LP_MAX_HEAD];
    int64_t tile[FAST_KEYS], n;
    for (int64_t from = at.first; (n = next_keys(call->node, &at, from, tile)) > 0;
         from = tile[n - 1] + 1) {
        float p[FAST_KEYS], top = largest;
        for (int64_t j = 0; j < n; j++) {
            const float *k = load(keys, tile[j], at.group * dk, dk, row);
            p[j] = score_of(call->node, &at, tile[j],
                            call->node->p.attention.scale * dot(at.q, k, dk));
            top = p[j] > top ? p[j] : top;
        }
        if (top > largest) {
            float shrink = expf(largest - top);
            sum *= shrink;
            for (int64_t i = 0; i < dv; i++)
                out[i] *= shrink;
            largest = top;
        }
        for (int64_t j = 0; j < n; j++) {
            float weight = expf(p[j] - largest);
            const float *v = load(values, tile[j], at.group * dv, dv, row);
            sum += weight;
            for (int64_t i = 0; i < dv; i++)
                out[i] += weight * v[i];
        }
    }
    for (int64_t i = 0; i < dv; i++)
        at.y[i] = sum == 0 ? 0.0f : out[i] / sum;
}
